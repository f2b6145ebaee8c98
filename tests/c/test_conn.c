#include "quic/conn.h"

#include <openssl/ssl.h>

#include "base/options.h"

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

static struct qp_engine_params params;

static int config_new(qp_engine_config **ret, struct ssl_ctx_st *ctx,
                      const struct qp_engine_params *given)
{
    (void)ctx;
    *ret = NULL;
    params = *given;
    return 0;
}

static void config_free(qp_engine_config *config)
{
    (void)config;
}

static const struct qp_engine_ops engine = {
    .config_new = config_new,
    .config_free = config_free,
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
        {QP_ENGINE_CLOSED | QP_ENGINE_ESTABLISHED,
         {.remote = 1},
         0,
         false,
         QUICPRO_ECLOSED,
         "stateless reset"},
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
                                     .http3 = true,
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

/* Codes of a protocol that is not HTTP/3 have no names, and 0 is no error. */
static void test_codes_of_other_protocols(void)
{
    static const struct {
        struct qp_engine_error error;
        bool closed_here;
        int want;
        const char *says;
    } row[] = {
        {LOCAL(1, 0), true, 0, "closed by us with application code 0"},
        {LOCAL(1, 7), true, 0, "closed by us with application code 7"},
        {REMOTE(1, 0), false, 0, "closed by the peer with application code 0"},
        {REMOTE(1, 0x100), false, QUICPRO_ECLOSED, "closed by the peer with application code 256"},
        {REMOTE(0, 0x0a), false, QUICPRO_ECLOSED, "closed by the peer with PROTOCOL_VIOLATION"},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct ended e = {.error = row[i].error};
        const struct qp_conn conn = {.engine = &engine,
                                     .impl = (qp_engine_conn *)(void *)&e,
                                     .closed_here = row[i].closed_here};
        struct qp_conn_close close;
        if (!row[i].error.remote) { /* else nobody asks what was wrong with the certificate */
            SSL_CTX *ctx = SSL_CTX_new(TLS_method());
            e.ssl = SSL_new(ctx);
            SSL_CTX_free(ctx);
        }
        qp_conn_get_close(&conn, &close);
        CHECK_INT(close.error, ==, row[i].want);
        CHECK_STR(close.text, row[i].says);
        SSL_free(e.ssl);
    }
}

/* What the peer wrote reaches a terminal escaped, and is cut. */
/* Each option of the transport reaches the engine as the parameter it is. */
static void test_options_reach_the_engine(void)
{
#define PARAM(name) offsetof(struct qp_engine_params, name)
    static const struct {
        const char *key, *value;
        size_t param;
        uint64_t want;
    } row[] = {
        {"gso", "true", PARAM(max_idle_timeout_ms), 30000}, /* the defaults */
        {"gso", "true", PARAM(initial_max_data_bytes), 10485760},
        {"gso", "true", PARAM(max_connection_window_bytes), 2 * 10485760},
        {"gso", "true", PARAM(initial_max_stream_data_bidi_local_bytes), 1048576},
        {"gso", "true", PARAM(initial_max_stream_data_bidi_remote_bytes), 1048576},
        {"gso", "true", PARAM(initial_max_stream_data_uni_bytes), 1048576},
        {"gso", "true", PARAM(max_stream_window_bytes), 2 * 1048576},
        {"gso", "true", PARAM(initial_max_streams_bidi), 100},
        {"gso", "true", PARAM(initial_max_streams_uni), 16},
        {"gso", "true", PARAM(active_connection_id_limit), 4},
        {"gso", "true", PARAM(max_recv_udp_payload_bytes), 65527},
        {"gso", "true", PARAM(max_ack_delay_ms), 25},
        {"gso", "true", PARAM(ack_delay_exponent), 3},
        {"gso", "true", PARAM(initial_rtt_ms), 333},
        {"gso", "true", PARAM(max_amplification_factor), 3},
        {"gso", "true", PARAM(dgram_recv_queue), 0},
        {"gso", "true", PARAM(dgram_send_queue), 0},
        {"gso", "true", PARAM(disable_active_migration), 0},
        {"gso", "true", PARAM(hystart), 1},
        {"gso", "true", PARAM(grease), 1},
        {"active_connection_id_limit", "2", PARAM(active_connection_id_limit), 2},
        {"max_recv_udp_payload_size", "1200", PARAM(max_recv_udp_payload_bytes), 1200},
        {"max_ack_delay_ms", "0", PARAM(max_ack_delay_ms), 0},
        {"ack_delay_exponent", "20", PARAM(ack_delay_exponent), 20},
        {"initial_rtt_ms", "1", PARAM(initial_rtt_ms), 1},
        {"max_amplification_factor", "1", PARAM(max_amplification_factor), 1},
        {"datagrams_enable", "1", PARAM(dgram_recv_queue), 1024},
        {"datagrams_enable", "1", PARAM(dgram_send_queue), 1024},
        {"dgram_recv_queue_len", "5", PARAM(dgram_recv_queue), 0},
        {"disable_active_migration", "1", PARAM(disable_active_migration), 1},
        {"cc_enable_hystart_plus_plus", "0", PARAM(hystart), 0},
        {"grease_enable", "0", PARAM(grease), 0},
        {"max_idle_timeout_ms", "5", PARAM(max_idle_timeout_ms), 5},
        {"initial_max_data_bytes", "70000", PARAM(initial_max_data_bytes), 70000},
        {"initial_max_data_bytes", "70000", PARAM(max_connection_window_bytes), 140000},
        {"max_connection_window_bytes", "90000000", PARAM(max_connection_window_bytes), 90000000},
        {"max_connection_window_bytes", "1", PARAM(max_connection_window_bytes), 10485760},
        {"initial_max_stream_data_bytes", "20000", PARAM(initial_max_stream_data_uni_bytes), 20000},
        {"initial_max_stream_data_bidi_local", "7", PARAM(initial_max_stream_data_bidi_local_bytes),
         7},
        {"initial_max_stream_data_bidi_local", "7",
         PARAM(initial_max_stream_data_bidi_remote_bytes), 1048576},
        {"initial_max_stream_data_bidi_remote", "8",
         PARAM(initial_max_stream_data_bidi_remote_bytes), 8},
        {"initial_max_stream_data_uni", "9000000", PARAM(initial_max_stream_data_uni_bytes),
         9000000},
        {"initial_max_stream_data_uni", "9000000", PARAM(max_stream_window_bytes), 18000000},
        {"max_stream_window_bytes", "5000000", PARAM(max_stream_window_bytes), 5000000},
        {"max_stream_window_bytes", "5", PARAM(max_stream_window_bytes), 1048576},
        {"initial_max_streams_bidi", "3", PARAM(initial_max_streams_bidi), 3},
        {"initial_max_streams_uni", "3", PARAM(initial_max_streams_uni), 3},
        {"max_udp_payload_bytes", "1200", PARAM(max_send_udp_payload_bytes), 1200},
        {"initial_cwnd_packets", "10", PARAM(initial_cwnd_packets), 10},
        {"congestion_control", "cubic", PARAM(cc), QP_ENGINE_CC_CUBIC},
        {"congestion_control", "reno", PARAM(cc), QP_ENGINE_CC_RENO},
        {"congestion_control", "bbr2", PARAM(cc), QP_ENGINE_CC_BBR2},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct qp_conn_factory factory;
        quicpro_config *config;
        uint64_t got;
        if (!CHECK_INT(quicpro_config_new(&config), ==, 0))
            return;
        CHECK_INT(quicpro_config_set(config, row[i].key, row[i].value), ==, 0);
        CHECK_INT(qp_conn_factory_init(&factory, &engine, &config->options, NULL), ==, 0);
        memcpy(&got, (const char *)&params + row[i].param, sizeof(got));
        if (!CHECK_U64(got, ==, row[i].want))
            printf("#   %s=%s\n", row[i].key, row[i].value);
        quicpro_config_free(config);
    }
#undef PARAM
}

static void test_reasons_are_escaped(void)
{
    struct ended e = {0, REMOTE(1, 0x102), NULL};
    const struct qp_conn conn = {
        .engine = &engine, .impl = (qp_engine_conn *)(void *)&e, .http3 = true};
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
        TEST(test_codes_of_other_protocols),
        TEST(test_options_reach_the_engine),
        TEST(test_reasons_are_escaped),
    };
    return RUN(tests);
}
