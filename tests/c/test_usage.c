#include "quic/usage.h"

#include "check.h"

/* RFC 9001 appendix B.1. */
static void test_limits(void)
{
    CHECK_U64(qp_usage_limit(1200), ==, 268435456);
    CHECK_U64(qp_usage_limit(2048), ==, 268435456);
    CHECK_U64(qp_usage_limit(2049), ==, 8388608);
    CHECK_U64(qp_usage_limit(65527), ==, 8388608);
}

static void test_from_fine_to_spent(void)
{
    static const struct {
        uint64_t packets;
        enum qp_usage want;
    } row[] = {{0, QP_USAGE_FINE},      {6999, QP_USAGE_FINE},  {7000, QP_USAGE_ENDING},
               {7999, QP_USAGE_ENDING}, {8000, QP_USAGE_SPENT}, {UINT64_MAX, QP_USAGE_SPENT}};
    for (size_t i = 0; i < COUNTOF(row); i++)
        CHECK_INT(qp_usage(row[i].packets, 8000), ==, row[i].want);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_limits),
        TEST(test_from_fine_to_spent),
    };
    return RUN(tests);
}
