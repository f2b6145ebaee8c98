#include "quic/derive.h"

#include "check.h"

/* Computed by another implementation (Python's hmac): the files of other machines, and later
 * versions, must lead to the same secrets. */
static void test_known_values(void)
{
    static const uint8_t extracted[QP_SECRET] = {0x6d, 0x82, 0xfe, 0x4d, 0x32, 0x2b, 0xac, 0xa1,
                                                 0xdc, 0xd8, 0xe5, 0x76, 0x6a, 0x3b, 0x08, 0xd4,
                                                 0xc5, 0xbe, 0x49, 0xbc, 0x7d, 0xcd, 0xdb, 0xa0,
                                                 0x04, 0x4d, 0xde, 0x6f, 0xba, 0x24, 0xbd, 0xd3};
    static const uint8_t derived[QP_SECRET] = {0x20, 0x87, 0x10, 0x0f, 0x4b, 0x8f, 0xed, 0xf0,
                                               0x4f, 0x4a, 0x18, 0x60, 0x4a, 0x3b, 0xa6, 0x6d,
                                               0x43, 0xbd, 0x94, 0x9a, 0x2a, 0xb5, 0xa6, 0x99,
                                               0x81, 0x12, 0x51, 0x38, 0x52, 0x0c, 0x05, 0x35};
    uint8_t file[40], secret[QP_SECRET], out[QP_SECRET];
    for (size_t i = 0; i < sizeof(file); i++)
        file[i] = (uint8_t)i;
    qp_secret_extract(secret, file, sizeof(file));
    CHECK_MEM(secret, extracted, QP_SECRET);
    qp_secret_derive(out, secret, "retry", 258);
    CHECK_MEM(out, derived, QP_SECRET);
}

static void test_each_purpose_has_its_own(void)
{
    static const struct {
        const char *purpose;
        uint64_t number;
    } row[] = {{"retry", 0}, {"retry", 1}, {"retry", UINT64_C(1) << 56}, {"stateless reset", 0}};
    const uint8_t secret[QP_SECRET] = {1};
    uint8_t out[COUNTOF(row)][QP_SECRET];
    for (size_t i = 0; i < COUNTOF(row); i++) {
        qp_secret_derive(out[i], secret, row[i].purpose, row[i].number);
        for (size_t j = 0; j < i; j++)
            CHECK(memcmp(out[i], out[j], QP_SECRET) != 0);
    }
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_known_values),
        TEST(test_each_purpose_has_its_own),
    };
    return RUN(tests);
}
