#include "base/varint.h"

#include "check.h"

/* RFC 9000 appendix A.1. */
static void test_rfc_vectors(void)
{
    static const struct {
        uint8_t wire[8];
        size_t len;
        uint64_t value;
        bool shortest;
    } row[] = {
        {{0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c}, 8, UINT64_C(151288809941952652), true},
        {{0x9d, 0x7f, 0x3e, 0x7d}, 4, 494878333, true},
        {{0x7b, 0xbd}, 2, 15293, true},
        {{0x25}, 1, 37, true},
        {{0x40, 0x25}, 2, 37, false},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        uint64_t value = 1;
        uint8_t out[8];
        CHECK_U64(qp_varint_get(row[i].wire, row[i].len, &value), ==, row[i].len);
        CHECK_U64(value, ==, row[i].value);
        if (!row[i].shortest)
            continue;
        CHECK_U64(qp_varint_put(out, row[i].value), ==, row[i].len);
        CHECK_MEM(out, row[i].wire, row[i].len);
    }
}

static void test_length_changes_at_the_limits(void)
{
    static const struct {
        uint64_t value;
        size_t len;
    } row[] = {
        {0, 1},     {63, 1},         {64, 2},         {16383, 2},
        {16384, 4}, {1073741823, 4}, {1073741824, 8}, {QP_VARINT_MAX, 8},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        uint8_t out[8];
        uint64_t value = ~row[i].value;
        CHECK_U64(qp_varint_put(out, row[i].value), ==, row[i].len);
        CHECK_U64(qp_varint_get(out, row[i].len, &value), ==, row[i].len);
        CHECK_U64(value, ==, row[i].value);
    }
}

static void test_cut_short_reads_nothing(void)
{
    static const uint64_t row[] = {1, 1000, 100000, UINT64_C(1) << 40};
    for (size_t i = 0; i < COUNTOF(row); i++) {
        uint8_t out[8];
        size_t n = qp_varint_put(out, row[i]);
        uint64_t value = 77;
        for (size_t len = 0; len < n; len++)
            CHECK_U64(qp_varint_get(out, len, &value), ==, 0);
        CHECK_U64(value, ==, 77);
    }
}

static void test_round_trip(void)
{
    uint64_t seed = 1;
    for (int i = 0; i < 20000; i++) {
        uint64_t value = check_random(&seed) >> (2 + check_random(&seed) % 62), back = 0;
        uint8_t out[8];
        size_t n = qp_varint_put(out, value);
        if (!CHECK_U64(qp_varint_get(out, sizeof(out), &back), ==, n) ||
            !CHECK_U64(back, ==, value))
            return;
    }
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_rfc_vectors),
        TEST(test_length_changes_at_the_limits),
        TEST(test_cut_short_reads_nothing),
        TEST(test_round_trip),
    };
    return RUN(tests);
}
