#include "exchange.h"
#include "loop/loop.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include "os/udp.h"

/* A socket that sends what it likes to the pair's server. */
static int raw_socket(const struct pair *p)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(p->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0)
        abort();
    return fd;
}

static quicpro_loop_stats stats_of(const quicpro_loop *loop)
{
    quicpro_loop_stats stats = {.size = sizeof(stats)};
    CHECK_INT(quicpro_loop_get_stats(loop, &stats), ==, 0);
    return stats;
}

/* Until the server has seen n datagrams that belong nowhere. */
static bool until_dropped(struct pair *p, uint64_t n)
{
    quicpro_tstamp end = quicpro_now() + PAIR_DEADLINE_S * QUICPRO_SECOND;
    while (stats_of(p->server_loop).dropped_in < n && quicpro_now() < end)
        pair_step(p);
    return stats_of(p->server_loop).dropped_in == n;
}

static const struct {
    const char *what;
    uint8_t head[32];
    size_t len;
} nothing[] = {
    {"nothing", {0}, 0},
    {"a zero", {0}, 1},
    {"zeros", {0}, 1400},
    {"a short header for nobody", {0x40, 1, 2, 3}, 100},
    {"a short header cut short", {0x40, 1, 2, 3}, 20},
    {"half a long header", {0xc0, 0, 0, 0, 1, 8}, 6},
    {"an Initial that is too short",
     {0xc0, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0x44, 0x9d},
     1199},
    {"an Initial with a DCID of 7 bytes",
     {0xc0, 0, 0, 0, 1, 7, 1, 2, 3, 4, 5, 6, 7, 0, 0, 0x44, 0x9f},
     1200},
    {"an Initial longer than its datagram",
     {0xc0, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0x44, 0xff},
     1200},
    {"an Initial with an endless token",
     {0xc0, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0xff, 0xff, 0xff},
     1200},
    {"a Handshake for nobody", {0xe0, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0x44, 0x9e}, 1200},
    {"a 0-RTT packet for nobody",
     {0xd0, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0x44, 0x9e},
     1200},
    {"a Retry", {0xf0, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0}, 1200},
    {"a Version Negotiation", {0xc0, 0, 0, 0, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 1}, 1200},
    {"an unknown version, too short",
     {0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0},
     1199},
};

static void test_datagrams_that_mean_nothing(void)
{
    struct pair p;
    struct exchanges all;
    struct exchange x;
    pair_init(&p, "localhost");
    quicpro_config_set(p.server_config, "stateless_resets_per_second", "0");
    pair_start(&p);
    all = (struct exchanges){.expected = 1};
    p.data = &all;
    p.on_server = exchange_serve;
    p.on_client = exchange_client;
    CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0);
    CHECK(pair_until(&p, &p.connected));
    int fd = raw_socket(&p);
    uint64_t dropped = stats_of(p.server_loop).dropped_in;
    for (size_t i = 0; i < COUNTOF(nothing); i++) {
        uint8_t data[1500] = {0};
        memcpy(data, nothing[i].head, sizeof(nothing[i].head));
        CHECK_INT(send(fd, data, nothing[i].len, 0), ==, nothing[i].len);
        if (!CHECK(until_dropped(&p, ++dropped)))
            printf("#   %s\n", nothing[i].what);
    }
    CHECK_U64(stats_of(p.server_loop).connections_made, ==, 1);
    uint8_t answer[64];
    CHECK(recv(fd, answer, sizeof(answer), MSG_DONTWAIT) < 0);
    CHECK_INT(exchange_get(&p, &x, 1000, 1), ==, 0);
    CHECK(pair_until(&p, &all.finished));
    CHECK(exchange_good(&x));
    close(fd);
    exchange_close(&p);
}

/* RFC 9000 section 6.1: an unknown version of at least 1200 bytes is answered with ours. */
static void test_version_negotiation(void)
{
    struct pair p;
    uint8_t ask[1200] = {0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 4, 1, 2, 3, 4, 3, 7, 8, 9}, answer[64];
    pair_init(&p, "localhost");
    pair_start(&p);
    int fd = raw_socket(&p);
    struct pollfd readable = {fd, POLLIN, 0};
    CHECK_INT(send(fd, ask, sizeof(ask), 0), ==, sizeof(ask));
    CHECK(until_dropped(&p, 1));
    CHECK_INT(poll(&readable, 1, 1000 * PAIR_DEADLINE_S), ==, 1);
    CHECK_INT(recv(fd, answer, sizeof(answer), MSG_DONTWAIT), ==, 22);
    CHECK(answer[0] & 0x80);
    CHECK_MEM(answer + 1, "\0\0\0\0\3\7\x8\x9\4\1\2\3\4", 13); /* IDs change places */
    CHECK_MEM(answer + 18, "\0\0\0\1", 4);
    CHECK_U64(stats_of(p.server_loop).connections_made, ==, 0);
    close(fd);
    pair_done(&p);
}

/* The same datagrams once more, from elsewhere: a connection is not disturbed by its own past. */
static void test_datagrams_that_come_again(void)
{
    struct pair p;
    struct exchanges all;
    struct exchange x;
    uint8_t data[1200] = {0xc0, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0x44, 0x9e};
    exchange_open(&p, &all, 1);
    int fd = raw_socket(&p);
    for (int i = 0; i < 3; i++)
        CHECK_INT(send(fd, data, sizeof(data), 0), ==, sizeof(data));
    CHECK_INT(exchange_get(&p, &x, 100000, 1), ==, 0);
    CHECK(pair_until(&p, &all.finished));
    CHECK(exchange_good(&x));
    CHECK_U64(stats_of(p.server_loop).connections_made, <=, 2); /* one more at most */
    close(fd);
    exchange_close(&p);
}

/* A client is not a server: nobody connects to it. */
static void test_a_client_accepts_nobody(void)
{
    struct pair p;
    uint8_t data[1200] = {0xc0, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0x44, 0x9e};
    quicpro_conn_info info = {.size = sizeof(info)};
    pair_open(&p);
    CHECK_INT(quicpro_conn_get_info(p.client_loop, p.conn, &info), ==, 0);
    /* Its socket is connected, so only the server's could reach it. */
    unsigned port = 0;
    CHECK_INT(sscanf(info.local, "127.0.0.1:%u", &port), ==, 1);
    p.port = (uint16_t)port;
    int fd = raw_socket(&p);
    (void)send(fd, data, sizeof(data), 0);
    quicpro_loop_flush(p.client_loop);
    pair_run(&p, false);
    CHECK_U64(stats_of(p.client_loop).connections_made, ==, 1);
    close(fd);
    pair_done(&p);
}

/* Datagrams without a byte count like others: a flood of them takes no more than its share of a
 * run, and the connection goes on. */
static void test_zero_length_datagrams_are_bounded(void)
{
    enum { FLOOD = 500, RUN_MAX = 4 * QP_UDP_MESSAGES };
    struct pair p;
    struct exchanges all;
    struct exchange x;
    const quicpro_batch *batch;
    exchange_open(&p, &all, 1);
    int fd = raw_socket(&p);
    while (stats_of(p.server_loop).connections == 0)
        pair_step(&p);
    quicpro_loop_run(p.server_loop, 0, &batch);
    for (int i = 0; i < FLOOD; i++)
        CHECK_INT(send(fd, "", 0, 0), ==, 0);
    uint64_t before = stats_of(p.server_loop).dropped_in, dropped = before;
    quicpro_tstamp end = quicpro_now() + PAIR_DEADLINE_S * QUICPRO_SECOND;
    while (dropped < before + FLOOD && quicpro_now() < end) {
        quicpro_loop_flush(p.server_loop);
        quicpro_loop_run(p.server_loop, 0, &batch);
        uint64_t now = stats_of(p.server_loop).dropped_in;
        CHECK_U64(now - dropped, <=, RUN_MAX);
        dropped = now;
    }
    CHECK_U64(dropped, ==, before + FLOOD);
    CHECK_INT(exchange_get(&p, &x, 1000, 1), ==, 0);
    CHECK(pair_until(&p, &all.finished));
    CHECK(exchange_good(&x));
    close(fd);
    exchange_close(&p);
}

/* What a budget leaves comes with the next runs. */
static void test_a_budget_loses_nothing(void)
{
    struct pair p;
    quicpro_stream stream;
    const quicpro_batch *batch;
    size_t requests = 0;
    pair_open(&p);
    for (int i = 0; i < 90; i++) {
        CHECK_INT(pair_request(&p, "GET", "/", NULL, 0, 1, NULL, &stream), ==, 0);
        quicpro_loop_flush(p.client_loop); /* a datagram each */
    }
    quicpro_tstamp end = quicpro_now() + PAIR_DEADLINE_S * QUICPRO_SECOND;
    while (requests < 90 && quicpro_now() < end) {
        quicpro_loop_flush(p.server_loop);
        if (quicpro_loop_run(p.server_loop, 10, &batch) < 0)
            break;
        for (size_t i = 0; i < batch->event_count; i++)
            requests += batch->events[i].type == QUICPRO_EVENT_REQUEST;
        quicpro_loop_flush(p.client_loop);
        pair_run(&p, false);
    }
    CHECK_U64(requests, ==, 90);
    pair_done(&p);
}

/* RFC 9000 section 12.2: what is behind a packet that cannot be read is read all the same. Here the
 * end of a connection comes behind a packet of its handshake, whose keys are gone. */
static void test_packet_behind_one_without_keys(void)
{
    static const uint8_t head[] = {0xe0, 0, 0, 0, 1, QP_CID_LEN};
    struct pair p;
    struct qp_addr local = {0}, peer = {0};
    uint8_t data[2048];
    uint16_t len = 0;
    uint64_t at;
    pair_open(&p);
    pair_step(&p);
    struct qp_link *link = qp_link_get(p.client_loop, p.conn);
    const struct qp_engine_ops *engine = link->conn.engine;
    const size_t front = sizeof(head) + QP_CID_LEN + 1 + 1 + 50; /* no SCID, length 50 */
    qp_conn_close(&link->conn, true, 0x100, "");
    CHECK_INT(engine->send(link->conn.impl, data + front, sizeof(data) - front, 1200, &len, 1,
                           &local.sa, &peer.sa, &at),
              ==, 1);
    CHECK_INT(data[front] & 0x80, ==, 0);
    memset(data, 0, front);
    memcpy(data, head, sizeof(head));
    memcpy(data + sizeof(head), data + front + 1, QP_CID_LEN);
    data[sizeof(head) + QP_CID_LEN + 1] = 50;
    struct qp_port *port = p.server_loop->endpoints->ports;
    const struct qp_udp_train train = {.data = data,
                                       .len = front + len,
                                       .segment = front + len,
                                       .local = port->socket.local,
                                       .peer = local};
    qp_port_route(port, &train, quicpro_now());
    const quicpro_batch *batch;
    if (CHECK_INT(quicpro_loop_run(p.server_loop, 0, &batch), ==, 1)) {
        CHECK_INT(batch->events[0].type, ==, QUICPRO_EVENT_CLOSED);
        CHECK_INT(batch->events[0].error, ==, 0);
    }
    pair_done(&p);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_datagrams_that_mean_nothing),       TEST(test_version_negotiation),
        TEST(test_datagrams_that_come_again),         TEST(test_a_client_accepts_nobody),
        TEST(test_zero_length_datagrams_are_bounded), TEST(test_a_budget_loses_nothing),
        TEST(test_packet_behind_one_without_keys),
    };
    return RUN(tests);
}
