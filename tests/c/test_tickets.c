#include "quic/tickets.h"

#include <openssl/ssl.h>

#include "base/options.h"
#include "check.h"
#include "quic/engine.h"

/* Handshakes with tickets are in test_resume.c and test_early.c. */

static void test_context_changes_with_each_promise(void)
{
    struct qp_engine_params params = {0};
    struct qp_options options = {0};
    uint64_t *const promise[] = {
        &params.active_connection_id_limit,
        &params.initial_max_data_bytes,
        &params.initial_max_stream_data_bidi_local_bytes,
        &params.initial_max_stream_data_bidi_remote_bytes,
        &params.initial_max_stream_data_uni_bytes,
        &params.initial_max_streams_bidi,
        &params.initial_max_streams_uni,
        &params.dgram_recv_queue,
        &params.disable_active_migration,
        &options.max_field_section_bytes,
        &options.qpack_max_table_bytes,
        &options.qpack_blocked_streams,
    };
    uint8_t seen[COUNTOF(promise) + 1][QP_TICKETS_CONTEXT_BYTES];
    for (size_t i = 0; i <= COUNTOF(promise); i++) {
        if (i > 0)
            *promise[i - 1] = 1;
        qp_tickets_context(seen[i], &params, &options);
        for (size_t j = 0; j < i; j++)
            CHECK(memcmp(seen[i], seen[j], sizeof(seen[i])) != 0);
        if (i > 0)
            *promise[i - 1] = 0;
    }
    params.max_idle_timeout_ms = 1; /* no promise */
    qp_tickets_context(seen[1], &params, &options);
    CHECK_MEM(seen[1], seen[0], sizeof(seen[0]));
}

static void test_policy_tells_ways_of_verifying_apart(void)
{
    static const struct {
        const char *key, *value;
        bool counts;
    } row[] = {
        {"verify_peer", "0", true},    {"ca_file", "/ca.pem", true},
        {"alpn", "h4", true},          {"cert_file", "/cert", true},
        {"session_file", "/s", false}, {"early_data", "1", false},
        {"keylog_file", "/k", false},  {"ticket_lifetime_sec", "60", false},
        {"verify_depth", "3", true},   {"ca_path", "/ca", true},
        {"pins", "sha256/x", true},    {"ca_data", "ca", true},
        {"cert_data", "c", true},      {"gso", "0", false},
    };
    struct qp_options options;
    uint8_t plain[32], policy[32];
    CHECK_INT(qp_options_init(&options), ==, 0);
    qp_tickets_policy(plain, &options);
    qp_options_done(&options);
    for (size_t i = 0; i < COUNTOF(row); i++) {
        const char *why;
        CHECK_INT(qp_options_init(&options), ==, 0);
        CHECK_INT(qp_options_set(&options, (size_t)qp_option_row(row[i].key), row[i].value, &why),
                  ==, 0);
        qp_tickets_policy(policy, &options);
        if (!CHECK((memcmp(policy, plain, sizeof(plain)) != 0) == row[i].counts))
            printf("#   %s\n", row[i].key);
        qp_options_done(&options);
    }
}

static void test_bytes_that_are_no_session(void)
{
    static const uint8_t bytes[40] = {0, 0, 0, 0, 0, 0, 0, 8, 0x30, 0x82};
    static const uint8_t long_one[16] = {0, 0, 0, 0, 0, 0, 0, 9};
    static const uint8_t huge[16] = {255, 255, 255, 255, 255, 255, 255, 255};
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());
    SSL *ssl = SSL_new(ctx);
    struct qp_blob blob;
    for (size_t len = 0; len <= sizeof(bytes); len++)
        CHECK(!qp_tickets_describe(ssl, bytes, len, 0, &blob));
    CHECK(!qp_tickets_describe(ssl, long_one, sizeof(long_one), 0, &blob));
    CHECK(!qp_tickets_describe(ssl, huge, sizeof(huge), 0, &blob));
    CHECK_INT(qp_tickets_early(ssl), ==, QP_EARLY_NONE);
    CHECK_STR(qp_tickets_early_reason(ssl), "unknown");
    SSL_free(ssl);
    SSL_CTX_free(ctx);
}

static void test_no_tickets_at_all(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());
    CHECK_INT(qp_tickets_install(ctx, NULL, NULL), ==, 0);
    CHECK((SSL_CTX_get_options(ctx) & SSL_OP_NO_TICKET) != 0);
    SSL_CTX_free(ctx);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_context_changes_with_each_promise),
        TEST(test_policy_tells_ways_of_verifying_apart),
        TEST(test_bytes_that_are_no_session),
        TEST(test_no_tickets_at_all),
    };
    return RUN(tests);
}
