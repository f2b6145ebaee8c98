#include "exchange.h"

#include <sys/socket.h>

#include "loop/loop.h"

/* The connection of the pair's client, and of its server. */
static struct qp_link *client_link(struct pair *p)
{
    return qp_slab_get(&p->client_loop->links, p->conn);
}

static struct qp_link *server_link(struct pair *p)
{
    uint32_t cursor = 0;
    quicpro_handle handle;
    return qp_slab_next(&p->server_loop->links, &cursor, &handle);
}

static bool no_links(const quicpro_loop *loop)
{
    return loop->links.used == 0 && loop->cids.count == 0 && qp_heap_first(&loop->timers) == NULL &&
           loop->streams.used == 0;
}

/* Drives until both sides forgot their connections. */
static bool until_forgotten(struct pair *p)
{
    quicpro_tstamp end = quicpro_now() + PAIR_DEADLINE_S * QUICPRO_SECOND;
    while (quicpro_now() < end) {
        if (no_links(p->server_loop) && no_links(p->client_loop))
            return true;
        pair_step(p);
    }
    return false;
}

static void test_states(void)
{
    struct pair p;
    pair_init(&p, "localhost");
    pair_start(&p);
    CHECK_INT(pair_connect(&p, "localhost"), ==, 0);
    CHECK_INT(client_link(&p)->state, ==, QP_LINK_RESOLVING);
    while (client_link(&p)->state == QP_LINK_RESOLVING)
        pair_step(&p);
    CHECK_INT(client_link(&p)->state, ==, QP_LINK_HANDSHAKE);
    CHECK(pair_until(&p, &p.connected));
    CHECK_INT(client_link(&p)->state, ==, QP_LINK_OPEN);
    while (server_link(&p)->state != QP_LINK_OPEN)
        pair_step(&p);
    CHECK_U64(server_link(&p)->odcid_len, ==, 0); /* the client's first choice is forgotten */
    CHECK_U64(p.server_loop->cids.count, ==, 1 + server_link(&p)->cid_count);
    CHECK_INT(quicpro_conn_close(p.client_loop, p.conn, 0x100, ""), ==, 0);
    CHECK(pair_until_closed(&p));
    CHECK(client_link(&p) == NULL || client_link(&p)->state == QP_LINK_ENDED);
    CHECK(qp_link_get(p.client_loop, p.conn) == NULL);
    pair_done(&p);
}

/* After CLOSED and the draining period nothing is left on either side. */
static void test_nothing_is_left_behind(void)
{
    struct pair p;
    pair_open(&p);
    CHECK_INT(quicpro_conn_close(p.client_loop, p.conn, 0x100, "done"), ==, 0);
    CHECK(until_forgotten(&p));
    CHECK_INT(p.closed, ==, 1);
    CHECK_INT(p.closed_error, ==, 0);
    pair_done(&p);
}

static void test_closing_before_there_is_an_address(void)
{
    struct pair p;
    quicpro_stream stream;
    pair_init(&p, "localhost");
    pair_start(&p);
    CHECK_INT(pair_connect(&p, "localhost"), ==, 0);
    CHECK_INT(pair_request(&p, "GET", "/", NULL, 0, 1, NULL, &stream), ==, 0);
    CHECK_INT(quicpro_conn_close(p.client_loop, p.conn, 0x100, ""), ==, 0);
    CHECK_INT(quicpro_conn_close(p.client_loop, p.conn, 0x100, ""), ==, QUICPRO_ESTALE);
    CHECK(pair_until_closed(&p));
    CHECK_INT(p.closed_error, ==, 0);
    CHECK_INT(p.resets, ==, 1);
    CHECK(until_forgotten(&p));
    pair_done(&p);
}

static void test_closing_during_the_handshake(void)
{
    struct pair p;
    pair_init(&p, "localhost");
    pair_start(&p);
    CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0);
    CHECK_INT(client_link(&p)->state, ==, QP_LINK_HANDSHAKE);
    CHECK_INT(quicpro_conn_close(p.client_loop, p.conn, 0x100, ""), ==, 0);
    CHECK(pair_until_closed(&p));
    CHECK_INT(p.closed, ==, 1);
    CHECK_INT(p.closed_error, ==, 0);
    CHECK_U64(p.closed_code, ==, 0);
    pair_done(&p);
}

/* A refusal takes the engine's connection away: its timer, due in the same run, must not find it.
 */
static void test_refused_while_the_timer_is_due(void)
{
    struct pair p;
    const quicpro_batch *batch;
    pair_init(&p, "localhost");
    pair_start(&p);
    quicpro_server_free(p.server);
    p.server = NULL;
    CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0);
    quicpro_loop_flush(p.client_loop);
    CHECK_INT(quicpro_loop_wait(p.client_loop, PAIR_DEADLINE_S * QUICPRO_SECOND), ==, 1);
    qp_heap_set(&p.client_loop->timers, &client_link(&p)->timer, 1);
    CHECK_INT(quicpro_loop_run(p.client_loop, 0, &batch), ==, 1);
    if (batch->event_count == 1)
        CHECK_INT(batch->events[0].error, ==, QUICPRO_ECONNREFUSED);
    quicpro_loop_flush(p.client_loop);
    CHECK(no_links(p.client_loop));
    pair_done(&p);
}

/* Freed with connections in every state: no event, no trace. */
static void test_clients_freed_at_any_time(void)
{
    for (unsigned steps = 0; steps < 6; steps++) {
        struct pair p;
        quicpro_conn conn;
        quicpro_stream stream;
        pair_init(&p, "localhost");
        pair_start(&p);
        CHECK_INT(pair_connect(&p, "localhost"), ==, 0);
        CHECK_INT(pair_request(&p, "GET", "/", NULL, 0, 1, NULL, &stream), ==, 0);
        CHECK_INT(quicpro_client_connect(p.client, "127.0.0.1", p.port, NULL, &conn), ==, 0);
        CHECK_INT(quicpro_client_connect(p.client, "127.0.0.1", 1, NULL, &conn), ==, 0);
        for (unsigned i = 0; i < steps; i++)
            pair_step(&p);
        quicpro_client_free(p.client);
        p.client = NULL;
        CHECK(no_links(p.client_loop));
        quicpro_server_free(p.server);
        p.server = NULL;
        CHECK(no_links(p.server_loop));
        pair_step(&p);
        pair_done(&p);
    }
}

/* A kernel that takes nothing more: what was made waits, and goes out when there is room. */
static void test_a_kernel_that_takes_no_more(void)
{
    struct pair p;
    int small = 1; /* the kernel's minimum */
    pair_open(&p);
    while (server_link(&p)->state != QP_LINK_OPEN)
        pair_step(&p);
    struct qp_port *port = server_link(&p)->port;
    CHECK(setsockopt(port->socket.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)) == 0);
    CHECK_INT(quicpro_conn_close(p.server_loop, server_link(&p)->handle, 0x100, "bye"), ==, 0);
    CHECK(pair_until_closed(&p));
    CHECK_INT(p.closed_error, ==, 0);
    pair_done(&p);
}

/* Keys that have sealed nearly enough: requests that are there finish, new ones go elsewhere, and
 * what does not end in time is ended. */
static void test_keys_wear_out(void)
{
    for (int i = 0; i < 4; i++) {
        const bool server = i & 1, spent = i & 2;
        struct pair p;
        struct exchanges all;
        struct exchange x;
        quicpro_stream stream;
        quicpro_loop_stats stats = {.size = sizeof(stats)};
        exchange_open(&p, &all, 1);
        while (server_link(&p)->state != QP_LINK_OPEN)
            pair_step(&p);
        struct qp_link *link = server ? server_link(&p) : client_link(&p);
        CHECK_U64(link->endpoint->packets_max, ==, UINT64_C(1) << 28);
        CHECK_INT(exchange_post(&p, &x, 500000, 2), ==, 0);
        while (server_link(&p)->h3.open == 0) /* else it would be refused */
            pair_step(&p);
        link->endpoint->packets_max = 100000;
        link->packets_out = spent ? 99999 : 87500;
        qp_link_mark_dirty(link);
        CHECK(pair_until(&p, &p.goaway));
        CHECK_INT(pair_request(&p, "GET", "/", NULL, 0, 1, NULL, &stream), <, 0);
        CHECK(pair_until(&p, &all.finished));
        CHECK_INT(quicpro_loop_get_stats(server ? p.server_loop : p.client_loop, &stats), ==, 0);
        if (!CHECK(exchange_good(&x) == !spent))
            printf("#   server %d, spent %d\n", server, spent);
        CHECK_U64(stats.keys_spent, ==, spent);
        if (spent) {
            CHECK(pair_until_closed(&p));
            CHECK_U64(p.closed_code, ==, 0x0f);
            CHECK(strstr(p.closed_text, "AEAD_LIMIT_REACHED") != NULL);
        } else if (server) {
            CHECK(pair_until_closed(&p));
            CHECK_INT(p.closed_error, ==, 0); /* the last answer was acknowledged */
        }
        exchange_close(&p);
    }
}

static void pause_requests(struct pair *p, const quicpro_batch *batch, const quicpro_event *event)
{
    (void)batch;
    if (event->type == QUICPRO_EVENT_REQUEST) {
        *(quicpro_stream *)p->data = event->stream;
        CHECK_INT(quicpro_stream_pause(p->server_loop, event->stream, 1), ==, 0);
    }
}

/* Flow control is memory: of a body that nobody reads, no more arrives than the windows let. */
static void test_a_reader_that_stops_bounds_the_sender(void)
{
    enum { BODY = 1000000, CONNECTION = 65536, STREAM = 16384, PAUSED = 40000 };
    static const char zeros[BODY];
    struct pair p;
    quicpro_stream stream, paused = 0;
    pair_init(&p, "localhost");
    quicpro_config_set(p.server_config, "initial_max_data_bytes", "65536");
    quicpro_config_set(p.server_config, "initial_max_stream_data_bytes", "16384");
    quicpro_config_set(p.client_config, "send_queue_bytes", "2000000");
    pair_start(&p);
    p.data = &paused;
    p.on_server = pause_requests;
    CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0);
    CHECK(pair_until(&p, &p.connected));
    for (int i = 0; i < 8; i++) { /* together more than the connection's window */
        CHECK_INT(pair_request(&p, "POST", "/", zeros, PAUSED, 1, NULL, &stream), ==, 0);
        CHECK_INT(pair_request(&p, "POST", "/", zeros, BODY, 1, NULL, &stream), ==, 0);
    }
    while (paused == 0)
        pair_step(&p);
    for (int i = 0; i < 500; i++) { /* all that can come over the loopback has come */
        quicpro_loop_flush(p.client_loop);
        pair_run(&p, true);
        quicpro_loop_flush(p.server_loop);
        pair_run(&p, false);
    }
    struct qp_engine_stats stats;
    struct qp_link *link = server_link(&p);
    link->conn.engine->get_stats(link->conn.impl, &stats);
    /* Windows may double once while the field sections are read; packets have heads. */
    CHECK_U64(stats.bytes_in, >, STREAM);
    CHECK_U64(stats.bytes_in, <, 2 * CONNECTION + CONNECTION / 2);
    pair_done(&p);
}

/* Timers, to the millisecond: time is the test's. */

struct rules {
    bool up[2];       /* datagrams arrive: at the client, at the server */
    unsigned seen[2]; /* that came by, also those that were lost */
    unsigned lose[2]; /* the next ones */
};

static bool as_ruled(struct net *net, bool to_server, quicpro_train *train, quicpro_tstamp *delay)
{
    struct rules *rules = net->data;
    (void)train, (void)delay;
    rules->seen[to_server]++;
    if (rules->lose[to_server] == 0)
        return rules->up[to_server];
    rules->lose[to_server]--;
    return false;
}

static void timed_start(struct pair *p, struct net *net, struct rules *rules)
{
    *rules = (struct rules){.up = {true, true}};
    *net = (struct net){
        .now = 1, .delay = 10 * QUICPRO_MILLISECOND, .on_datagram = as_ruled, .data = rules};
    pair_init(p, "localhost");
    p->net = net;
}

static void timed_open(struct pair *p, struct exchanges *all, struct net *net, struct rules *rules)
{
    timed_start(p, net, rules);
    pair_start(p);
    *all = (struct exchanges){.expected = 1};
    p->data = all;
    p->on_server = exchange_serve;
    p->on_client = exchange_client;
    CHECK_INT(pair_connect(p, "127.0.0.1"), ==, 0);
    CHECK(pair_until(p, &p->connected));
    exchange_once(p, all, 1000);
    pair_pass(p, QUICPRO_SECOND); /* the last acknowledgements */
}

static void test_a_handshake_that_nobody_answers(void)
{
    struct net net;
    struct rules rules;
    struct pair p;
    timed_start(&p, &net, &rules);
    quicpro_config_set(p.client_config, "handshake_timeout_ms", "7000");
    pair_start(&p);
    rules.up[1] = false;
    CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0);
    pair_pass(&p, 7 * QUICPRO_SECOND - QUICPRO_MILLISECOND);
    CHECK_INT(p.closed, ==, 0);
    /* The first flight again and again, each time twice as late (RFC 9002 section 6.2). */
    CHECK_U64(rules.seen[1], >=, 6);
    pair_pass(&p, 2 * QUICPRO_MILLISECOND);
    CHECK_INT(p.closed, ==, 1);
    CHECK_INT(p.closed_error, ==, QUICPRO_EHANDSHAKE);
    pair_pass(&p, 30 * QUICPRO_SECOND);
    CHECK(no_links(p.client_loop));
    pair_done(&p);
}

static void test_a_client_that_vanishes_in_its_handshake(void)
{
    struct net net;
    struct rules rules;
    struct pair p;
    timed_start(&p, &net, &rules);
    quicpro_config_set(p.server_config, "handshake_timeout_ms", "3000");
    pair_start(&p);
    CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0);
    while (rules.seen[0] == 0)
        pair_step(&p);
    rules.up[0] = rules.up[1] = false;
    const quicpro_tstamp begun = server_link(&p)->begun_at;
    pair_pass(&p, begun + 3 * QUICPRO_SECOND - QUICPRO_MILLISECOND - net.now);
    CHECK_U64(p.server_loop->endpoints->handshakes, ==, 1);
    pair_pass(&p, 2 * QUICPRO_MILLISECOND);
    CHECK_U64(p.server_loop->endpoints->handshakes, ==, 0);
    pair_pass(&p, 10 * QUICPRO_SECOND);
    CHECK(no_links(p.server_loop));
    pair_done(&p);
}

/* The smaller of both sides' (RFC 9000 section 10.1), counted from the last that was heard. */
static void test_silence(void)
{
    struct net net;
    struct rules rules;
    struct pair p;
    struct exchanges all;
    timed_open(&p, &all, &net, &rules); /* 30 s on both sides */
    pair_pass(&p, 20 * QUICPRO_SECOND);
    exchange_once(&p, &all, 1000);
    const quicpro_tstamp last = net.now;
    pair_pass(&p, 29 * QUICPRO_SECOND + 900 * QUICPRO_MILLISECOND);
    CHECK_INT(p.closed, ==, 0);
    const unsigned seen = rules.seen[0] + rules.seen[1];
    while (p.closed == 0 && pair_step(&p))
        ;
    CHECK_INT(p.closed_error, ==, QUICPRO_EIDLE);
    CHECK_U64(net.now - last, >=, 30 * QUICPRO_SECOND - 100 * QUICPRO_MILLISECOND);
    CHECK_U64(net.now - last, <=, 30 * QUICPRO_SECOND + 100 * QUICPRO_MILLISECOND);
    CHECK_U64(rules.seen[0] + rules.seen[1], ==, seen); /* silently */
    pair_pass(&p, QUICPRO_SECOND);
    CHECK(no_links(p.client_loop) && no_links(p.server_loop));
    exchange_close(&p);
}

/* What is lost is sent again after a probe timeout: at most a round trip, four times its variation
 * and what the peer may delay an acknowledgement (RFC 9002 section 6.2.1), here under 100 ms. */
static void test_a_datagram_that_is_lost(void)
{
    struct net net;
    struct rules rules;
    struct pair p;
    struct exchanges all;
    timed_open(&p, &all, &net, &rules);
    const quicpro_tstamp begun = net.now;
    rules.lose[1] = 1;
    exchange_once(&p, &all, 100);
    CHECK_U64(rules.lose[1], ==, 0);
    CHECK_U64(net.now - begun, >, 20 * QUICPRO_MILLISECOND);
    CHECK_U64(net.now - begun, <, 120 * QUICPRO_MILLISECOND);
    exchange_close(&p);
}

/* Three probe timeouts, in which a peer that did not hear of the end is told again, and no longer
 * (RFC 9000 section 10.2). */
static void test_a_closed_connection_is_kept_for_a_while(void)
{
    struct net net;
    struct rules rules;
    struct pair p;
    struct exchanges all;
    timed_open(&p, &all, &net, &rules);
    rules.lose[1] = 1; /* the closing packet */
    CHECK_INT(quicpro_conn_close(p.client_loop, p.conn, 0x100, NULL), ==, 0);
    pair_pass(&p, 20 * QUICPRO_MILLISECOND);
    CHECK_INT(p.closed, ==, 1);
    CHECK_U64(p.client_loop->links.used, ==, 1);
    CHECK_U64(p.server_loop->endpoints->open, ==, 1);
    pair_pass(&p, 2 * QUICPRO_SECOND);
    CHECK(no_links(p.client_loop));
    exchange_close(&p);
}

/* A machine that was suspended, in the middle of a transfer: for an hour, or for a moment. What
 * is longer than the idle timeout ends the connection; what is not does no harm. */
static void test_a_clock_that_jumps(void)
{
    static const struct {
        quicpro_tstamp ahead;
        bool survives;
    } row[] = {{5 * QUICPRO_SECOND, true}, {3600 * QUICPRO_SECOND, false}};
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct net net;
        struct rules rules;
        struct pair p;
        struct exchanges all;
        struct exchange x;
        timed_open(&p, &all, &net, &rules);
        all = (struct exchanges){.expected = 1, .serving = all.serving};
        CHECK_INT(exchange_get(&p, &x, 2000000, 5), ==, 0);
        while (x.got < 500000)
            pair_step(&p);
        pair_at(&p, net.now + row[i].ahead);
        if (row[i].survives) {
            CHECK(pair_until(&p, &all.finished) && exchange_good(&x));
        } else {
            /* What was under way may come first, and have one side go on for another timeout. */
            pair_pass(&p, 40 * QUICPRO_SECOND);
            CHECK_INT(p.closed_error, ==, QUICPRO_EIDLE);
            CHECK(no_links(p.client_loop) && no_links(p.server_loop));
            p.connected = false;
            CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0); /* and anew */
            CHECK(pair_until(&p, &p.connected));
        }
        exchange_close(&p);
    }
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_states),
        TEST(test_nothing_is_left_behind),
        TEST(test_closing_before_there_is_an_address),
        TEST(test_closing_during_the_handshake),
        TEST(test_refused_while_the_timer_is_due),
        TEST(test_clients_freed_at_any_time),
        TEST(test_a_kernel_that_takes_no_more),
        TEST(test_keys_wear_out),
        TEST(test_a_reader_that_stops_bounds_the_sender),
        TEST(test_a_handshake_that_nobody_answers),
        TEST(test_a_client_that_vanishes_in_its_handshake),
        TEST(test_silence),
        TEST(test_a_datagram_that_is_lost),
        TEST(test_a_closed_connection_is_kept_for_a_while),
        TEST(test_a_clock_that_jumps),
    };
    return RUN(tests);
}
