#include "quic/reset.h"

#include "check.h"

/* HMAC-SHA256, cut to 16 bytes; computed with Python's hmac module. */
static void test_known_token(void)
{
    static const uint8_t want[QP_RESET_TOKEN_LEN] = {
        0xbf, 0xec, 0x15, 0xc9, 0x9c, 0xbb, 0xbf, 0xe0,
        0xad, 0x30, 0xdf, 0x05, 0xc8, 0x6c, 0xf2, 0xbb,
    };
    uint8_t key[QP_RESET_KEY_LEN], cid[QP_CID_LEN], token[QP_RESET_TOKEN_LEN];
    for (size_t i = 0; i < sizeof(key); i++)
        key[i] = (uint8_t)i;
    for (size_t i = 0; i < sizeof(cid); i++)
        cid[i] = (uint8_t)(100 + i);
    qp_reset_token(token, key, cid);
    CHECK_MEM(token, want, sizeof(want));
}

/* "The same stateless reset token MUST NOT be used for multiple connection IDs" (RFC 9000 section
 * 10.3.2). */
static void test_depends_on_key_and_id(void)
{
    uint8_t key[QP_RESET_KEY_LEN] = {0}, cid[QP_CID_LEN] = {0};
    uint8_t first[QP_RESET_TOKEN_LEN], other[QP_RESET_TOKEN_LEN];
    qp_reset_token(first, key, cid);
    cid[QP_CID_LEN - 1] = 1;
    qp_reset_token(other, key, cid);
    CHECK(memcmp(first, other, sizeof(first)) != 0);
    cid[QP_CID_LEN - 1] = 0;
    qp_reset_token(other, key, cid);
    CHECK_MEM(first, other, sizeof(first));
    key[0] = 1;
    qp_reset_token(other, key, cid);
    CHECK(memcmp(first, other, sizeof(first)) != 0);
}

/* RFC 9000 section 10.3: at least 21 bytes, looks like a short header, smaller than what came. */
static void test_sizes(void)
{
    const uint8_t key[QP_RESET_KEY_LEN] = {1}, cid[QP_CID_LEN] = {2};
    uint8_t random[QP_RESET_MAX], token[QP_RESET_TOKEN_LEN];
    qp_reset_token(token, key, cid);
    for (unsigned bits = 0; bits < 256; bits += 85)
        for (size_t received = 0; received < 1500; received++) {
            uint8_t out[QP_RESET_MAX];
            memset(random, (int)bits, sizeof(random));
            size_t n = qp_reset_write(out, received, key, cid, random);
            if (received <= QP_RESET_MIN) {
                CHECK_U64(n, ==, 0);
                continue;
            }
            CHECK_U64(n, >=, QP_RESET_MIN);
            CHECK_U64(n, <, received);
            CHECK_U64(n, ==, received > QP_RESET_MAX ? QP_RESET_MAX : received - 1);
            CHECK_U64(out[0] & 0xc0, ==, 0x40);
            CHECK_MEM(out + n - QP_RESET_TOKEN_LEN, token, QP_RESET_TOKEN_LEN);
        }
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_known_token),
        TEST(test_depends_on_key_and_id),
        TEST(test_sizes),
    };
    return check_run(tests, COUNTOF(tests));
}
