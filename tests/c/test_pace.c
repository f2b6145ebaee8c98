/* What the pacer does to a connection. The engine's numbers are replaced: on loopback a round trip
 * is too short to pace anything. */
#include "exchange.h"

#include "loop/loop.h"

enum { PAYLOAD = 1350, CWND = 50000, BURST = 10 * PAYLOAD };
static const uint64_t RTT = 20 * QUICPRO_MILLISECOND; /* so the rate is 5 MB/s */

static struct qp_engine_ops slow; /* the real engine, behind a long path */
static int paces_itself;

static void slow_stats(const qp_engine_conn *conn, struct qp_engine_stats *ret)
{
    qp_engine_quiche.get_stats(conn, ret);
    ret->cwnd_bytes = CWND;
    ret->rtt_ns = ret->min_rtt_ns = RTT;
}

static int slow_paces(const qp_engine_conn *conn)
{
    (void)conn;
    return paces_itself;
}

static struct qp_link *server_link(struct pair *p)
{
    uint32_t cursor = 0;
    quicpro_handle handle;
    return qp_slab_next(&p->server_loop->links, &cursor, &handle);
}

static void slow_down(struct qp_link *link)
{
    slow = qp_engine_quiche;
    slow.get_stats = slow_stats;
    slow.paces = slow_paces;
    paces_itself = 0;
    link->conn.engine = &slow;
    memset(&link->pacer, 0, sizeof(link->pacer));
}

/* Counts what goes out between two flushes of the server. */
static const struct qp_udp_ops *kernel;
static size_t in_turn, in_all, turns, largest;

static int64_t counting_send(struct qp_udp_poller *poller, struct qp_udp_socket *socket,
                             const struct qp_addr *local, const struct qp_addr *peer,
                             const uint8_t *data, size_t len, size_t segment)
{
    in_turn += len;
    return kernel->send(poller, socket, local, peer, data, len, segment);
}

static void counting_arm(struct qp_udp_poller *poller, quicpro_tstamp at)
{
    if (in_turn != 0 && in_all > CWND && ++turns != 0 && in_turn > largest)
        largest = in_turn;
    in_all += in_turn;
    in_turn = 0;
    kernel->arm(poller, at);
}

static void test_bursts_after_the_first_flight(void)
{
    struct pair p;
    struct exchanges all;
    struct exchange x;
    struct qp_udp_ops counting;
    exchange_open(&p, &all, 1);
    while (server_link(&p)->state != QP_LINK_OPEN)
        pair_step(&p);
    slow_down(server_link(&p));
    kernel = p.server_loop->udp;
    counting = *kernel;
    counting.send = counting_send;
    counting.arm = counting_arm;
    in_turn = in_all = turns = largest = 0;
    p.server_loop->udp = &counting;
    CHECK_INT(exchange_get(&p, &x, 300000, 9), ==, 0);
    const quicpro_tstamp start = quicpro_now();
    CHECK(pair_until(&p, &all.finished));
    const quicpro_tstamp took = quicpro_now() - start;
    CHECK(exchange_good(&x));
    CHECK_U64(largest, <=, BURST + 2 * PAYLOAD);
    CHECK_U64(turns, >=, (300000 - CWND) / (BURST + 2 * PAYLOAD));
    /* 5 MB/s for all but the first window and a datagram for each answer of the peer. */
    CHECK_U64(took, >=, 20 * QUICPRO_MILLISECOND);
    p.server_loop->udp = kernel;
    server_link(&p)->conn.engine = &qp_engine_quiche;
    exchange_close(&p);
}

static void test_whom_it_holds_up(void)
{
    struct pair p;
    pair_open(&p);
    while (server_link(&p)->state != QP_LINK_OPEN)
        pair_step(&p);
    struct qp_link *link = server_link(&p);
    const quicpro_tstamp now = quicpro_now();
    slow_down(link);
    link->prompted = false;
    link->release_at = 0;
    CHECK_U64(qp_link_may_send(link, PAYLOAD, 64, now), ==, CWND / PAYLOAD); /* the first flight */
    CHECK_U64(qp_link_may_send(link, PAYLOAD, 7, now), ==, 7);
    qp_link_has_sent(link, CWND, now);
    CHECK_U64(link->release_at, ==, 0);
    CHECK_U64(qp_link_may_send(link, PAYLOAD, 64, now), ==, 0);
    CHECK_U64(link->release_at, >, now);
    CHECK_U64(link->release_at, <, now + 5 * QUICPRO_MILLISECOND);
    link->prompted = true; /* an acknowledgement does not wait */
    CHECK_U64(qp_link_may_send(link, PAYLOAD, 64, now), ==, 1);
    qp_link_has_sent(link, 60, now);
    CHECK(!link->prompted);
    CHECK_U64(qp_link_may_send(link, PAYLOAD, 64, now), ==, 0);
    paces_itself = 1;
    CHECK_U64(qp_link_may_send(link, PAYLOAD, 64, now), ==, 64);
    paces_itself = 0;
    link->endpoint->options.pacing = false;
    CHECK_U64(qp_link_may_send(link, PAYLOAD, 64, now), ==, 64);
    link->conn.engine = &qp_engine_quiche;
    pair_done(&p);
}

/* A bucket that is empty does not keep the closing packet back. */
static void test_closing_is_not_paced(void)
{
    struct pair p;
    pair_open(&p);
    while (server_link(&p)->state != QP_LINK_OPEN)
        pair_step(&p);
    struct qp_link *link = server_link(&p);
    slow_down(link);
    qp_link_may_send(link, PAYLOAD, 64, quicpro_now());
    link->pacer.tokens = -BURST;
    link->pacer.sent = link->pacer.filled = quicpro_now() + 3600 * QUICPRO_SECOND; /* for long */
    CHECK_INT(quicpro_conn_close(p.server_loop, link->handle, 0x100, "bye"), ==, 0);
    CHECK(pair_until_closed(&p));
    CHECK_INT(p.closed_error, ==, 0);
    link->conn.engine = &qp_engine_quiche;
    pair_done(&p);
}

static void test_every_congestion_controller(void)
{
    static const char *const cc[] = {"cubic", "reno", "bbr2"};
    for (size_t i = 0; i < 2 * COUNTOF(cc); i++) {
        struct pair p;
        struct exchanges all = {.expected = 2};
        struct exchange down, up;
        pair_init(&p, "localhost");
        quicpro_config *const config[] = {p.server_config, p.client_config};
        for (size_t j = 0; j < 2; j++) {
            quicpro_config_set(config[j], "congestion_control", cc[i / 2]);
            quicpro_config_set(config[j], "pacing", i % 2 == 0 ? "true" : "false");
        }
        pair_start(&p);
        p.data = &all;
        p.on_server = exchange_serve;
        p.on_client = exchange_client;
        CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0);
        CHECK_INT(exchange_get(&p, &down, 1000000, 1), ==, 0);
        CHECK_INT(exchange_post(&p, &up, 300000, 2), ==, 0);
        if (!CHECK(pair_until(&p, &all.finished)))
            printf("# %s, pacing %zu\n", cc[i / 2], i % 2);
        CHECK(exchange_good(&down) && exchange_good(&up));
        CHECK((server_link(&p)->conn.engine->paces(server_link(&p)->conn.impl) != 0) == (i == 4));
        exchange_close(&p);
    }
}

/* 40 Mbit/s are 5 MB/s: what is behind the first flight takes its time, also on loopback. */
static void test_a_limit_of_the_rate(void)
{
    static const char *const cc[] = {"cubic", "reno", "bbr2"};
    for (size_t i = 0; i < COUNTOF(cc); i++) {
        struct pair p;
        struct exchanges all = {.expected = 1};
        struct exchange x;
        pair_init(&p, "localhost");
        quicpro_config_set(p.server_config, "congestion_control", cc[i]);
        quicpro_config_set(p.server_config, "max_pacing_rate_mbps", "40");
        pair_start(&p);
        p.data = &all;
        p.on_server = exchange_serve;
        p.on_client = exchange_client;
        CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0);
        CHECK(pair_until(&p, &p.connected));
        CHECK_INT(exchange_get(&p, &x, 500000, 1), ==, 0);
        const quicpro_tstamp start = quicpro_now();
        CHECK(pair_until(&p, &all.finished) && exchange_good(&x));
        const quicpro_tstamp took = quicpro_now() - start;
        if (!CHECK_U64(took, >=, 60 * QUICPRO_MILLISECOND))
            printf("# %s\n", cc[i]);
        exchange_close(&p);
    }
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_bursts_after_the_first_flight), TEST(test_whom_it_holds_up),
        TEST(test_closing_is_not_paced),          TEST(test_every_congestion_controller),
        TEST(test_a_limit_of_the_rate),
    };
    return RUN(tests);
}
