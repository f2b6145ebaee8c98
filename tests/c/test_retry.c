#include "quic/retry.h"

#include <netinet/in.h>
#include <stdlib.h>

#include "check.h"

static const uint8_t odcid[8] = {0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08};
static const uint8_t scid[QP_CID_LEN] = {19, 1, 2, 3, 4, 5};
static const uint8_t nonce[QP_RETRY_NONCE] = {7};

#define NOW (1000 * QUICPRO_SECOND)

static struct qp_retry_address v4(uint32_t host, uint16_t port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    in.sin_addr.s_addr = htonl(host);
    return qp_retry_address((struct sockaddr *)(void *)&in);
}

static struct qp_retry_address v6(uint8_t last, uint16_t port)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    in6.sin6_addr.s6_addr[0] = 0x20;
    in6.sin6_addr.s6_addr[15] = last;
    return qp_retry_address((struct sockaddr *)(void *)&in6);
}

static struct qp_retry_keys keys_of(uint8_t number)
{
    struct qp_retry_keys keys = {.current.set = false};
    const uint8_t key[QP_RETRY_KEY] = {number, 99};
    qp_retry_rotate(&keys, key, number);
    return keys;
}

static size_t make(uint8_t *token, const struct qp_retry_keys *keys,
                   struct qp_retry_address address)
{
    return qp_retry_token(token, keys, &address, odcid, sizeof(odcid), scid, nonce, NOW);
}

static enum qp_token check_at(const struct qp_retry_keys *keys, struct qp_retry_address address,
                              const uint8_t *token, size_t len, quicpro_tstamp now)
{
    struct qp_cid id = {.len = 0};
    enum qp_token r = qp_retry_check(keys, &address, token, len, scid, sizeof(scid), now, &id);
    if (r == QP_TOKEN_VALID)
        CHECK(id.len == sizeof(odcid) && memcmp(id.data, odcid, sizeof(odcid)) == 0);
    else
        CHECK_U64(id.len, ==, 0);
    return r;
}

/* RFC 9001 appendix A.4. */
static void test_the_rfc_vector(void)
{
    static const uint8_t retry_scid[] = {0xf0, 0x67, 0xa5, 0x50, 0x2a, 0x42, 0x62, 0xb5};
    static const uint8_t want[] = {0xff, 0x00, 0x00, 0x00, 0x01, 0x00, 0x08, 0xf0, 0x67,
                                   0xa5, 0x50, 0x2a, 0x42, 0x62, 0xb5, 0x74, 0x6f, 0x6b,
                                   0x65, 0x6e, 0x04, 0xa2, 0x65, 0xba, 0x2e, 0xff, 0x4d,
                                   0x82, 0x90, 0x58, 0xfb, 0x3f, 0x0f, 0x24, 0x96, 0xba};
    uint8_t out[QP_RETRY_MAX];
    const struct qp_packet ask = {.dcid = odcid, .dcid_len = sizeof(odcid), .scid = odcid};
    size_t n =
        qp_retry_write(out, &ask, retry_scid, sizeof(retry_scid), (const uint8_t *)"token", 5);
    if (CHECK_U64(n, ==, sizeof(want)))
        CHECK_MEM(out, want, n);
}

static void test_a_token_comes_back(void)
{
    struct qp_retry_keys keys = keys_of(1);
    const struct qp_retry_address address[] = {v4(0x7f000001, 443), v6(1, 443)};
    for (size_t i = 0; i < COUNTOF(address); i++) {
        uint8_t token[QP_RETRY_TOKEN_MAX];
        size_t n = make(token, &keys, address[i]);
        CHECK_U64(n, >, 0);
        CHECK_U64(n, <=, QP_RETRY_TOKEN_MAX);
        CHECK_INT(check_at(&keys, address[i], token, n, NOW), ==, QP_TOKEN_VALID);
    }
    /* The longest ID there is, and the shortest. */
    for (size_t len = 0; len <= QP_CID_MAX; len += QP_CID_MAX) {
        uint8_t token[QP_RETRY_TOKEN_MAX], id[QP_CID_MAX] = {5};
        struct qp_cid got;
        size_t n = qp_retry_token(token, &keys, &address[0], id, len, scid, nonce, NOW);
        CHECK_INT(qp_retry_check(&keys, &address[0], token, n, scid, QP_CID_LEN, NOW, &got), ==,
                  QP_TOKEN_VALID);
        CHECK(got.len == len && memcmp(got.data, id, len) == 0);
    }
}

static void test_a_token_expires(void)
{
    struct qp_retry_keys keys = keys_of(1);
    uint8_t token[QP_RETRY_TOKEN_MAX];
    size_t n = make(token, &keys, v4(1, 1));
    static const struct {
        quicpro_tstamp at;
        enum qp_token want;
    } row[] = {
        {NOW, QP_TOKEN_VALID},
        {NOW + QP_RETRY_LIFETIME, QP_TOKEN_VALID},
        {NOW + QP_RETRY_LIFETIME + 1, QP_TOKEN_INVALID},
        {NOW + 3600 * QUICPRO_SECOND, QP_TOKEN_INVALID},
        {NOW - 1, QP_TOKEN_INVALID}, /* a clock that jumped back */
        {0, QP_TOKEN_INVALID},
        {QUICPRO_FOREVER, QP_TOKEN_INVALID},
    };
    for (size_t i = 0; i < COUNTOF(row); i++)
        CHECK_INT(check_at(&keys, v4(1, 1), token, n, row[i].at), ==, row[i].want);
}

static void test_from_elsewhere(void)
{
    struct qp_retry_keys keys = keys_of(1);
    uint8_t token[QP_RETRY_TOKEN_MAX];
    size_t n = make(token, &keys, v4(0x0a000001, 4433));
    CHECK_INT(check_at(&keys, v4(0x0a000001, 4434), token, n, NOW), ==, QP_TOKEN_INVALID);
    CHECK_INT(check_at(&keys, v4(0x0a000002, 4433), token, n, NOW), ==, QP_TOKEN_INVALID);
    CHECK_INT(check_at(&keys, v6(1, 4433), token, n, NOW), ==, QP_TOKEN_INVALID);
    n = make(token, &keys, v6(1, 4433));
    CHECK_INT(check_at(&keys, v6(2, 4433), token, n, NOW), ==, QP_TOKEN_INVALID);
    CHECK_INT(check_at(&keys, v6(1, 4433), token, n, NOW), ==, QP_TOKEN_VALID);
}

/* It is for one connection: with another ID, or one of another length, it is nothing. */
static void test_another_connection_id(void)
{
    struct qp_retry_keys keys = keys_of(1);
    struct qp_retry_address address = v4(1, 1);
    struct qp_cid got;
    uint8_t token[QP_RETRY_TOKEN_MAX], other[QP_CID_LEN];
    size_t n = make(token, &keys, address);
    memcpy(other, scid, sizeof(other));
    other[19] ^= 1;
    CHECK_INT(qp_retry_check(&keys, &address, token, n, other, QP_CID_LEN, NOW, &got), ==,
              QP_TOKEN_INVALID);
    CHECK_INT(qp_retry_check(&keys, &address, token, n, scid, 8, NOW, &got), ==, QP_TOKEN_INVALID);
}

/* Each bit, each length. */
static void test_altered(void)
{
    struct qp_retry_keys keys = keys_of(1);
    uint8_t token[QP_RETRY_TOKEN_MAX + 1] = {0};
    size_t n = make(token, &keys, v4(1, 1));
    for (size_t bit = 0; bit < n * 8; bit++) {
        token[bit / 8] ^= (uint8_t)(1 << bit % 8);
        CHECK_INT(check_at(&keys, v4(1, 1), token, n, NOW), ==,
                  bit < 8 ? QP_TOKEN_NONE : QP_TOKEN_INVALID);
        token[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t len = 0; len <= sizeof(token); len++)
        CHECK_INT(check_at(&keys, v4(1, 1), token, len, NOW) == QP_TOKEN_VALID, ==, len == n);
    CHECK_INT(check_at(&keys, v4(1, 1), token, 0, NOW), ==, QP_TOKEN_NONE);
}

static void test_keys_rotate(void)
{
    struct qp_retry_keys keys = keys_of(1), none = {.current.set = false};
    const uint8_t key[QP_RETRY_KEY] = {2, 99};
    uint8_t old[QP_RETRY_TOKEN_MAX], fresh[QP_RETRY_TOKEN_MAX];
    size_t n = make(old, &keys, v4(1, 1));
    qp_retry_rotate(&keys, key, 2);
    CHECK_INT(check_at(&keys, v4(1, 1), old, n, NOW), ==, QP_TOKEN_VALID);
    CHECK_U64(make(fresh, &keys, v4(1, 1)), ==, n);
    CHECK(memcmp(old, fresh, n) != 0);
    CHECK_INT(check_at(&keys, v4(1, 1), fresh, n, NOW), ==, QP_TOKEN_VALID);
    qp_retry_rotate(&keys, key, 3);
    CHECK_INT(check_at(&keys, v4(1, 1), old, n, NOW), ==, QP_TOKEN_INVALID);
    CHECK_INT(check_at(&keys, v4(1, 1), fresh, n, NOW), ==, QP_TOKEN_VALID);
    CHECK_U64(make(fresh, &none, v4(1, 1)), ==, 0);
    CHECK_INT(check_at(&none, v4(1, 1), old, n, NOW), ==, QP_TOKEN_INVALID);
    /* Another worker that derived the same keys takes it. */
    struct qp_retry_keys sibling = keys_of(1);
    CHECK_INT(check_at(&sibling, v4(1, 1), old, n, NOW), ==, QP_TOKEN_VALID);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_the_rfc_vector), TEST(test_a_token_comes_back),    TEST(test_a_token_expires),
        TEST(test_from_elsewhere), TEST(test_another_connection_id), TEST(test_altered),
        TEST(test_keys_rotate),
    };
    return RUN(tests);
}
