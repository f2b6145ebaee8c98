#include "quic/conn.h"

#include <openssl/ssl.h>

#include "check.h"

/* An engine that only says how it ended. */
struct ended {
    uint32_t flags;
    struct qp_engine_error error;
    SSL *ssl;
};

static const struct ended *ended(const qp_engine_conn *conn)
{
    return (const struct ended *)(const void *)conn;
}

static uint32_t flags(const qp_engine_conn *conn)
{
    return ended(conn)->flags;
}

static void get_error(const qp_engine_conn *conn, struct qp_engine_error *ret)
{
    *ret = ended(conn)->error;
}

static struct ssl_st *ssl(qp_engine_conn *conn)
{
    return ended(conn)->ssl;
}

static size_t panic_text(char *out, size_t size)
{
    return (size_t)snprintf(out, size, "panicked somewhere");
}

static const struct qp_engine_ops engine = {
    .flags = flags,
    .get_error = get_error,
    .ssl = ssl,
    .panic_text = panic_text,
};

static void test_every_end_has_its_error_and_text(void)
{
#define LOCAL(app_, code_)                                                                         \
    {                                                                                              \
        .found = 1, .code = (code_), .app = (app_)                                                 \
    }
#define REMOTE(app_, code_)                                                                        \
    {                                                                                              \
        .found = 1, .code = (code_), .app = (app_), .remote = 1                                    \
    }
    enum { TRANSPORT, APP };
    static const struct {
        uint32_t flags;
        struct qp_engine_error error;
        int first_error;
        bool closed_here;
        int want;
        const char *says;
    } row[] = {
        {QP_ENGINE_POISONED, {0}, 0, false, QUICPRO_EENGINE, "panicked somewhere"},
        {QP_ENGINE_POISONED | QP_ENGINE_NO_MEMORY, {0}, 0, false, QUICPRO_ENOMEM, "memory"},
        {QP_ENGINE_TIMED_OUT | QP_ENGINE_ESTABLISHED, {0}, 0, false, QUICPRO_EIDLE, "idle"},
        {QP_ENGINE_TIMED_OUT, {0}, 0, false, QUICPRO_EHANDSHAKE, "handshake"},
        {QP_ENGINE_CLOSED, {0}, QUICPRO_EVERSION, false, QUICPRO_EVERSION, "version"},
        {QP_ENGINE_CLOSED, {0}, QUICPRO_EPROTO, false, QUICPRO_EPROTO, "protocol"},
        {QP_ENGINE_CLOSED, {0}, 0, false, QUICPRO_ECLOSED, "closed"},
        {0, LOCAL(APP, 0x100), 0, true, 0, "closed by us with H3_NO_ERROR"},
        {0, LOCAL(APP, 0x10c), 0, true, 0, "closed by us with H3_REQUEST_CANCELLED"},
        {0, LOCAL(APP, 0x105), 0, false, QUICPRO_EPROTO, "closed by us with H3_FRAME_UNEXPECTED"},
        {0, REMOTE(APP, 0x100), 0, false, 0, "closed by the peer with H3_NO_ERROR"},
        {0, REMOTE(APP, 0x100), 0, true, 0, "closed by the peer with H3_NO_ERROR"},
        {0, REMOTE(APP, 0x102), 0, false, QUICPRO_ECLOSED, "the peer with H3_INTERNAL_ERROR"},
        {0, LOCAL(TRANSPORT, 0), 0, true, 0, "closed by us with NO_ERROR"},
        {0, LOCAL(TRANSPORT, 0x0a), 0, false, QUICPRO_EPROTO, "PROTOCOL_VIOLATION"},
        {0, LOCAL(TRANSPORT, 0x0a), QUICPRO_EVERSION, false, QUICPRO_EVERSION, ""},
        {0, REMOTE(TRANSPORT, 0), 0, false, 0, "closed by the peer with NO_ERROR"},
        {0, REMOTE(TRANSPORT, 0x0a), 0, false, QUICPRO_ECLOSED, "PROTOCOL_VIOLATION"},
        {0, LOCAL(TRANSPORT, 0x178), 0, false, QUICPRO_EALPN, "no_application_protocol"},
        {0, REMOTE(TRANSPORT, 0x178), 0, false, QUICPRO_EALPN, "no_application_protocol"},
        {0, REMOTE(TRANSPORT, 0x12a), 0, false, QUICPRO_ETLS, "bad_certificate"},
        {0, LOCAL(TRANSPORT, 0x128), 0, false, QUICPRO_ETLS, "handshake_failure"},
    };
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());
    SSL *session = SSL_new(ctx);
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct ended e = {row[i].flags, row[i].error, session};
        const struct qp_conn conn = {.engine = &engine,
                                     .impl = (qp_engine_conn *)(void *)&e,
                                     .first_error = row[i].first_error,
                                     .closed_here = row[i].closed_here};
        struct qp_conn_close close;
        qp_conn_get_close(&conn, &close);
        bool ok = CHECK_INT(close.error, ==, row[i].want);
        ok &= CHECK(strstr(close.text, row[i].says) != NULL);
        ok &= CHECK_U64(close.code, ==, row[i].error.code);
        ok &= CHECK_INT(close.remote, ==, row[i].error.remote);
        ok &= CHECK_INT(close.app, ==, row[i].error.app);
        if (!ok)
            printf("#   row %zu said: %s\n", i, close.text);
    }
    SSL_free(session);
    SSL_CTX_free(ctx);
}

/* What the peer wrote reaches a terminal escaped, and is cut. */
static void test_reasons_are_escaped(void)
{
    struct ended e = {0, REMOTE(1, 0x102), NULL};
    const struct qp_conn conn = {.engine = &engine, .impl = (qp_engine_conn *)(void *)&e};
    struct qp_conn_close close;
    memcpy(e.error.reason, "\x1b[2J\nhi", 7);
    e.error.reason_len = 7;
    qp_conn_get_close(&conn, &close);
    CHECK_STR(close.text, "closed by the peer with H3_INTERNAL_ERROR (\\x1b[2J\\x0ahi)");
    memset(e.error.reason, 0xff, sizeof(e.error.reason));
    e.error.reason_len = sizeof(e.error.reason);
    qp_conn_get_close(&conn, &close);
    CHECK_U64(strlen(close.text), <, sizeof(close.text) - 1);
    CHECK(strchr(close.text, '\n') == NULL);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_every_end_has_its_error_and_text),
        TEST(test_reasons_are_escaped),
    };
    return RUN(tests);
}
