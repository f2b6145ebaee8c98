#include "ticket/blob.h"

#include "check.h"

static void test_known_bytes(void)
{
    static const uint8_t want[] = {
        'Q', 'P', 'S', 1, 1,    0,   0,    0,    /* early data */
        0,   0,   0,   0, 0x6a, 0,   0,    1,    /* stored */
        0,   0,   0,   0, 0x6a, 0,   0x1c, 0x21, /* expires */
        0,   0,   0,   3, 'a',  'b', 'c',        /* the engine's */
    };
    const struct qp_blob blob = {.early = true,
                                 .stored = 0x6a000001,
                                 .expires = 0x6a001c21,
                                 .engine = (const uint8_t *)"abc",
                                 .engine_len = 3};
    uint8_t out[64];
    struct qp_blob back;
    CHECK_U64(qp_blob_size(&blob), ==, sizeof(want));
    qp_blob_write(out, &blob);
    CHECK_MEM(out, want, sizeof(want));
    if (!CHECK(qp_blob_parse(&back, want, sizeof(want))))
        return;
    CHECK(back.early);
    CHECK_U64(back.stored, ==, blob.stored);
    CHECK_U64(back.expires, ==, blob.expires);
    CHECK_U64(back.engine_len, ==, 3);
    CHECK(back.engine == want + QP_BLOB_HEAD_BYTES);
}

static void test_anything_else_is_refused(void)
{
    static const struct {
        size_t at;
        uint8_t value;
    } row[] = {
        {0, 'q'}, {3, 2},  {4, 2},  {4, 0x81}, {5, 1}, {7, 1}, /* magic, version, flags */
        {27, 4},  {27, 2}, {24, 1}, {25, 1},                   /* length */
    };
    const struct qp_blob blob = {.engine = (const uint8_t *)"abc", .engine_len = 3};
    uint8_t out[64];
    struct qp_blob back;
    const size_t len = qp_blob_size(&blob);
    qp_blob_write(out, &blob);
    CHECK(qp_blob_parse(&back, out, len) && !back.early);
    for (size_t cut = 0; cut < len; cut++)
        CHECK(!qp_blob_parse(&back, out, cut));
    CHECK(!qp_blob_parse(&back, out, len + 1));
    for (size_t i = 0; i < COUNTOF(row); i++) {
        uint8_t old = out[row[i].at];
        out[row[i].at] = row[i].value;
        CHECK(!qp_blob_parse(&back, out, len));
        out[row[i].at] = old;
    }
}

static void test_largest(void)
{
    static uint8_t engine[QP_BLOB_MAX + 1], out[sizeof(engine) + QP_BLOB_HEAD_BYTES];
    struct qp_blob blob = {.engine = engine, .engine_len = QP_BLOB_MAX}, back;
    qp_blob_write(out, &blob);
    CHECK(qp_blob_parse(&back, out, qp_blob_size(&blob)));
    blob.engine_len++;
    qp_blob_write(out, &blob);
    CHECK(!qp_blob_parse(&back, out, qp_blob_size(&blob)));
}

static void test_key_tells_servers_apart(void)
{
    static const uint8_t strict[32] = {1}, lax[32] = {2};
    static const struct {
        const char *host;
        uint16_t port;
        const char *alpn;
        const uint8_t *policy;
        bool same;
    } row[] = {
        {"example.org", 443, "h3", strict, true},     {"EXAMPLE.org", 443, "h3", strict, true},
        {"example.com", 443, "h3", strict, false},    {"example.org", 444, "h3", strict, false},
        {"example.org", 443, "h3,h4", strict, false}, {"example.org", 443, "h3", lax, false},
        {"example.or", 443, "h3", strict, false},
    };
    uint8_t want[QP_BLOB_KEY_MAX], key[QP_BLOB_KEY_MAX];
    char longest[257];
    size_t want_len = qp_blob_key(want, "example.org", 443, "h3", strict);
    CHECK_U64(want_len, ==, 2 + 11 + 2 + 1 + 2 + 32);
    for (size_t i = 0; i < COUNTOF(row); i++) {
        size_t len = qp_blob_key(key, row[i].host, row[i].port, row[i].alpn, row[i].policy);
        CHECK((len == want_len && memcmp(key, want, len) == 0) == row[i].same);
    }
    CHECK_U64(qp_blob_key(key, "", 1, "h3", strict), ==, 0);
    CHECK_U64(qp_blob_key(key, "a", 1, "", strict), ==, 0);
    memset(longest, 'a', 256);
    longest[256] = '\0';
    CHECK_U64(qp_blob_key(key, longest, 1, "h3", strict), ==, 0);
    CHECK_U64(qp_blob_key(key, "a", 1, longest, strict), ==, 0);
    longest[255] = '\0';
    CHECK_U64(qp_blob_key(key, longest, 1, longest, strict), ==, QP_BLOB_KEY_MAX);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_known_bytes),
        TEST(test_anything_else_is_refused),
        TEST(test_largest),
        TEST(test_key_tells_servers_apart),
    };
    return RUN(tests);
}
