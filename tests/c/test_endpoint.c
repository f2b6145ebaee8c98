#include "exchange.h"

#include "loop/loop.h"

static void note_drained(struct pair *p, const quicpro_batch *batch, const quicpro_event *event)
{
    (void)batch;
    if (event->type != QUICPRO_EVENT_DRAINED)
        return;
    CHECK(event->user == p);
    ++*(unsigned *)p->data;
}

static void test_drained_is_told_once(void)
{
    struct pair p;
    unsigned drained = 0;
    pair_open(&p);
    p.data = &drained;
    p.on_server = note_drained;
    quicpro_server_set_user(p.server, &p);
    quicpro_server_shutdown(p.server);
    CHECK(pair_until_closed(&p));
    CHECK(pair_until(&p, &p.drained));
    quicpro_server_shutdown(p.server);
    quicpro_server_abort(p.server);
    quicpro_server_shutdown(NULL);
    quicpro_server_abort(NULL);
    pair_run(&p, true);
    pair_run(&p, true);
    CHECK_U64(drained, ==, 1);
    pair_done(&p);
}

/* A limit that is reached: first flights are dropped, and let in when there is room again. */
static void test_a_full_server_lets_nobody_in(void)
{
    static const char *const limit[] = {"max_connections", "max_handshakes"};
    for (size_t i = 0; i < 2 * COUNTOF(limit); i++) {
        struct pair p;
        quicpro_conn second;
        quicpro_loop_stats stats = {.size = sizeof(stats)};
        const char *key = limit[i / 2];
        pair_init(&p, "localhost");
        CHECK_INT(quicpro_config_set(p.server_config, key, i % 2 == 0 ? "1" : "100"), ==, 0);
        pair_start(&p);
        if (i % 2 == 1) /* told while it runs */
            CHECK_INT(quicpro_server_set_option(p.server, key, "1"), ==, 0);
        CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0);
        CHECK_INT(quicpro_client_connect(p.client, "127.0.0.1", p.port, NULL, &second), ==, 0);
        quicpro_tstamp end = quicpro_now() + PAIR_DEADLINE_S * QUICPRO_SECOND;
        do {
            pair_step(&p);
            CHECK_INT(quicpro_loop_get_stats(p.server_loop, &stats), ==, 0);
        } while (stats.dropped_in == 0 && quicpro_now() < end);
        CHECK_U64(quicpro_server_connections(p.server), ==, 1);
        CHECK(pair_until(&p, &p.connected));
        CHECK_INT(p.closed, ==, 0);
        pair_done(&p);
    }
}

/* Two clients and a server on one loop do not see each other's connections. */
static void test_endpoints_share_a_loop(void)
{
    struct pair p;
    quicpro_client *other;
    quicpro_conn conn;
    quicpro_loop_stats stats = {.size = sizeof(stats)};
    pair_init(&p, "localhost");
    pair_start(&p);
    CHECK_INT(quicpro_client_new(&other, p.server_loop, p.client_config), ==, 0);
    CHECK_INT(quicpro_client_connect(other, "127.0.0.1", p.port, NULL, &conn), ==, 0);
    CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0);
    CHECK(pair_until(&p, &p.connected));
    quicpro_tstamp end = quicpro_now() + PAIR_DEADLINE_S * QUICPRO_SECOND;
    while (quicpro_server_connections(p.server) < 2 && quicpro_now() < end)
        pair_step(&p);
    CHECK_INT(quicpro_loop_get_stats(p.server_loop, &stats), ==, 0);
    CHECK_U64(stats.connections, ==, 3);
    quicpro_client_free(other);
    CHECK_U64(quicpro_server_connections(p.server), ==, 2);
    quicpro_client_free(NULL);
    quicpro_server_free(NULL);
    pair_done(&p);
}

/* Transport options are what the peer is told (RFC 9000 section 18.2). */
static void test_the_peer_is_told_of_options(void)
{
#define PARAM(name) offsetof(struct qp_engine_peer_params, name)
    static const struct {
        const char *key, *value;
        size_t param;
        uint64_t want;
    } row[] = {
        {"max_idle_timeout_ms", "12345", PARAM(max_idle_timeout_ms), 12345},
        {"max_recv_udp_payload_bytes", "1300", PARAM(max_udp_payload_bytes), 1300},
        {"initial_max_data_bytes", "70001", PARAM(initial_max_data_bytes), 70001},
        {"initial_max_stream_data_bidi_local_bytes", "20001",
         PARAM(initial_max_stream_data_bidi_local_bytes), 20001},
        {"initial_max_stream_data_bidi_remote_bytes", "20002",
         PARAM(initial_max_stream_data_bidi_remote_bytes), 20002},
        {"initial_max_stream_data_uni_bytes", "20003", PARAM(initial_max_stream_data_uni_bytes),
         20003},
        {"initial_max_streams_bidi", "7", PARAM(initial_max_streams_bidi), 7},
        {"initial_max_streams_uni", "8", PARAM(initial_max_streams_uni), 8},
        {"ack_delay_exponent", "5", PARAM(ack_delay_exponent), 5},
        {"max_ack_delay_ms", "16383", PARAM(max_ack_delay_ms), 16383},
        {"active_connection_id_limit", "8", PARAM(active_connection_id_limit), 8},
        {"disable_active_migration", "true", PARAM(disable_active_migration), 1},
        {"datagrams_enable", "true", PARAM(max_datagram_frame_bytes), 65536},
    };
    struct pair p;
    struct qp_engine_peer_params told;
    uint64_t got;
    pair_init(&p, "localhost");
    for (size_t i = 0; i < COUNTOF(row); i++)
        CHECK_INT(quicpro_config_set(p.server_config, row[i].key, row[i].value), ==, 0);
    pair_start(&p);
    CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0);
    CHECK(pair_until(&p, &p.connected));
    const struct qp_link *link = qp_slab_get(&p.client_loop->links, p.conn);
    if (!CHECK(link != NULL))
        return;
    CHECK_INT(link->conn.engine->get_peer_params(link->conn.impl, &told), ==, 1);
    for (size_t i = 0; i < COUNTOF(row); i++) {
        memcpy(&got, (const char *)&told + row[i].param, sizeof(got));
        if (!CHECK_U64(got, ==, row[i].want))
            printf("#   %s\n", row[i].key);
    }
    pair_done(&p);
#undef PARAM
}

static void check_edge(const quicpro_option *option, const char *value)
{
    struct pair p;
    struct exchanges all = {.expected = 2};
    struct exchange down, up;
    pair_init(&p, "localhost");
    CHECK_INT(quicpro_config_set(p.server_config, option->key, value), ==, 0);
    CHECK_INT(quicpro_config_set(p.client_config, option->key, value), ==, 0);
    pair_start(&p);
    p.data = &all;
    p.on_server = exchange_serve;
    p.on_client = exchange_client;
    CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0);
    if (CHECK(pair_until(&p, &p.connected))) {
        CHECK_INT(exchange_get(&p, &down, 60000, 1), ==, 0);
        CHECK_INT(exchange_post(&p, &up, 60000, 2), ==, 0);
        if (!CHECK(pair_until(&p, &all.finished)))
            printf("#   %s=%s\n", option->key, value);
        CHECK(exchange_good(&down));
        CHECK(exchange_good(&up));
    } else {
        printf("#   %s=%s\n", option->key, value);
    }
    exchange_close(&p);
}

/* A value that is in range works. */
static void test_every_number_at_its_edges(void)
{
    const quicpro_option *option;
    char text[32];
    for (size_t i = 0; (option = quicpro_option_at(i)) != NULL; i++) {
        if (option->type != QUICPRO_OPTION_UINT || option->status != QUICPRO_OPTION_HONOURED)
            continue;
        snprintf(text, sizeof(text), "%" PRIu64, option->max);
        check_edge(option, text);
        /* Times as short as they may be are shorter than a busy machine needs. */
        snprintf(text, sizeof(text), "%" PRIu64, option->min);
        if (strcmp(option->unit, "ms") != 0)
            check_edge(option, text);
    }
}

static void test_options_of_what_runs(void)
{
    struct pair p;
    quicpro_conn conn;
    quicpro_stream stream;
    pair_open(&p);
    CHECK_INT(quicpro_client_set_option(p.client, "max_connections", "1"), ==, 0);
    CHECK_INT(quicpro_client_connect(p.client, "127.0.0.1", p.port, NULL, &conn), ==,
              QUICPRO_ELIMIT);
    CHECK_INT(quicpro_client_set_option(p.client, "max_sessions", "2"), ==, 0);
    CHECK_INT(quicpro_client_set_option(p.client, "max_pending_requests", "0"), ==, 0);
    CHECK_INT(quicpro_client_connect(p.client, "127.0.0.1", p.port, NULL, &conn), ==, 0);
    CHECK_INT(pair_request(&p, "GET", "/", NULL, 0, 1, NULL, &stream), ==,
              0); /* the first has its handshake done */
    p.conn = conn;
    CHECK_INT(pair_request(&p, "GET", "/", NULL, 0, 1, NULL, &stream), ==, QUICPRO_ELIMIT);
    static const struct {
        const char *key, *value;
        int r;
        const char *says;
    } row[] = {
        {"gso", "false", QUICPRO_ESTATE, "option \"gso\" is fixed when"},
        {"initial_max_data_bytes", "70000", QUICPRO_ESTATE, "is fixed when"},
        {"tls_enable", "true", QUICPRO_ESTATE, "is fixed when"},
        {"burst_bytes", "1", QUICPRO_EVALUE, "16384 to 16777216 bytes"},
        {"burst_byte", "1", QUICPRO_EOPTION, "the nearest is \"burst_bytes\""},
        {NULL, "1", QUICPRO_EINVAL, NULL},
        {"burst_bytes", NULL, QUICPRO_EINVAL, NULL},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        CHECK_INT(quicpro_server_set_option(p.server, row[i].key, row[i].value), ==, row[i].r);
        CHECK_INT(quicpro_client_set_option(p.client, row[i].key, row[i].value), ==, row[i].r);
        if (row[i].says != NULL) {
            CHECK(strstr(quicpro_loop_error(p.server_loop), row[i].says) != NULL);
            CHECK(strstr(quicpro_loop_error(p.client_loop), row[i].says) != NULL);
        }
    }
    CHECK_INT(quicpro_server_set_option(NULL, "burst_bytes", "65536"), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_client_set_option(NULL, "burst_bytes", "65536"), ==, QUICPRO_EINVAL);
    pair_done(&p);
}

static void test_a_locked_configuration_is_locked_while_it_runs(void)
{
    struct pair p;
    pair_init(&p, "localhost");
    CHECK_INT(quicpro_config_set(p.server_config, "security_allow_config_override", "0"), ==, 0);
    pair_start(&p);
    CHECK_INT(quicpro_server_set_option(p.server, "max_handshakes", "5"), ==, QUICPRO_EPOLICY);
    CHECK_INT(quicpro_server_set_option(p.server, "max_handshakes", "4096"), ==, 0);
    pair_done(&p);
}

static void test_configurations_may_go_at_once(void)
{
    struct pair p;
    pair_init(&p, "localhost");
    pair_start(&p);
    quicpro_config_free(p.server_config);
    quicpro_config_free(p.client_config);
    p.server_config = p.client_config = NULL;
    CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0);
    CHECK(pair_until(&p, &p.connected));
    pair_done(&p);
}

static void test_bad_arguments(void)
{
    struct pair p;
    quicpro_server *server;
    quicpro_client *client;
    pair_init(&p, "localhost");
    pair_start(&p);
    CHECK_INT(quicpro_server_new(NULL, p.server_loop, p.server_config), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_server_new(&server, NULL, p.server_config), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_server_new(&server, p.server_loop, NULL), ==, QUICPRO_ECERT);
    CHECK_INT(quicpro_client_new(NULL, p.client_loop, NULL), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_client_new(&client, NULL, NULL), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_server_listen(NULL, NULL, 0), ==, QUICPRO_EINVAL);
    pair_done(&p);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_drained_is_told_once),
        TEST(test_a_full_server_lets_nobody_in),
        TEST(test_endpoints_share_a_loop),
        TEST(test_the_peer_is_told_of_options),
        TEST(test_every_number_at_its_edges),
        TEST(test_options_of_what_runs),
        TEST(test_a_locked_configuration_is_locked_while_it_runs),
        TEST(test_configurations_may_go_at_once),
        TEST(test_bad_arguments),
    };
    return RUN(tests);
}
