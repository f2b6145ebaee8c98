#include "os/random.h"

#include "check.h"

static void test_fills_exactly_what_it_is_told(void)
{
    uint8_t out[300] = {0};
    qp_random(out, 0);
    qp_random(out + 1, 298); /* more than getrandom(2) gives without an interruption: 256 */
    CHECK(out[0] == 0 && out[299] == 0);
    /* All zero in 32 bytes: once in 2^256. */
    static const uint8_t zero[32];
    for (size_t at = 1; at + 32 < 299; at += 32)
        CHECK(memcmp(out + at, zero, 32) != 0);
}

static void test_two_are_not_the_same(void)
{
    uint8_t a[16], b[16];
    qp_random(a, sizeof(a));
    qp_random(b, sizeof(b));
    CHECK(memcmp(a, b, sizeof(a)) != 0);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_fills_exactly_what_it_is_told),
        TEST(test_two_are_not_the_same),
    };
    return RUN(tests);
}
