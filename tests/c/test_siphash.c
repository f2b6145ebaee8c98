#include "base/hash.h"

#include "check.h"

/* Key 00 01 .. 0f, message 00 01 .. (len - 1): the reference vectors of SipHash-2-4; that of length
 * 15 is the worked example in appendix A of the paper. */
static void test_reference_vectors(void)
{
    static const struct {
        size_t len;
        uint64_t hash;
    } row[] = {
        {0, UINT64_C(0x726fdb47dd0e0e31)},  {1, UINT64_C(0x74f839c593dc67fd)},
        {2, UINT64_C(0x0d6c8009d9a94f5a)},  {3, UINT64_C(0x85676696d7fb7e2d)},
        {7, UINT64_C(0xab0200f58b01d137)},  {8, UINT64_C(0x93f5f5799a932462)},
        {9, UINT64_C(0x9e0082df0ba9e4b0)},  {15, UINT64_C(0xa129ca6149be45e5)},
        {16, UINT64_C(0x3f2acc7f57c29bdb)}, {31, UINT64_C(0x32d892fad841c342)},
        {63, UINT64_C(0x958a324ceb064572)},
    };
    uint8_t key[16], message[64];
    for (size_t i = 0; i < sizeof(message); i++)
        message[i] = (uint8_t)i;
    memcpy(key, message, sizeof(key));
    for (size_t i = 0; i < COUNTOF(row); i++)
        CHECK_U64(qp_siphash(key, message, row[i].len), ==, row[i].hash);
}

static void test_alignment_does_not_matter(void)
{
    static const uint8_t key[16] = {1};
    uint8_t message[40] = {0};
    uint64_t want = qp_siphash(key, "a connection ID of 20", 20);
    for (size_t shift = 0; shift < 16; shift++) {
        memcpy(message + shift, "a connection ID of 20", 20);
        CHECK_U64(qp_siphash(key, message + shift, 20), ==, want);
    }
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_reference_vectors),
        TEST(test_alignment_does_not_matter),
    };
    return RUN(tests);
}
