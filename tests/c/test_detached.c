/* Loops without I/O, by their public calls. What runs on them is tested everywhere else. */
#include "exchange.h"

#include <arpa/inet.h>

#include "loop/loop.h"

static quicpro_address address(const char *host, uint16_t port)
{
    quicpro_address a;
    memset(&a, 0, sizeof(a));
    if (inet_pton(AF_INET, host, &a.in.sin_addr) == 1) {
        a.in.sin_family = AF_INET;
        a.in.sin_port = htons(port);
    } else if (inet_pton(AF_INET6, host, &a.in6.sin6_addr) == 1) {
        a.in6.sin6_family = AF_INET6;
        a.in6.sin6_port = htons(port);
    } else {
        abort();
    }
    return a;
}

/* A pair in virtual time, whose server answers requests for bytes. */
static void start(struct pair *p, struct net *net, struct exchanges *all, size_t expected)
{
    *all = (struct exchanges){.expected = expected};
    pair_init(p, "localhost");
    p->net = net;
    pair_start(p);
    p->data = all;
    p->on_server = exchange_serve;
    p->on_client = exchange_client;
}

static void test_requests_through_memory(void)
{
    static const struct {
        quicpro_tstamp begin, delay;
        unsigned loss;
    } row[] = {
        {0, 0, 0},
        {1, 10 * QUICPRO_MILLISECOND, 0},
        {UINT64_MAX / 2, 10 * QUICPRO_MILLISECOND, 100}, /* 292 years */
        {12345, 300 * QUICPRO_MILLISECOND, 20},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct pair p;
        struct net net = {
            .now = row[i].begin, .delay = row[i].delay, .loss = row[i].loss, .seed = i};
        struct exchanges all;
        struct exchange down, up;
        quicpro_loop_stats stats = {.size = sizeof(stats)};
        start(&p, &net, &all, 2);
        CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0);
        CHECK_INT(exchange_get(&p, &down, 500000, 1), ==, 0);
        CHECK_INT(exchange_post(&p, &up, 300000, 2), ==, 0);
        if (!CHECK(pair_until(&p, &all.finished)))
            printf("#   row %zu: %s\n", i, p.closed_text);
        CHECK(exchange_good(&down) && exchange_good(&up));
        CHECK_U64(net.now - row[i].begin, >=, 4 * row[i].delay);
        CHECK_INT(quicpro_loop_get_stats(p.server_loop, &stats), ==, 0);
        CHECK_U64(stats.syscalls_in + stats.syscalls_out, ==, 0);
        CHECK_U64(stats.datagrams_out, ==, net.sent[0]);
        CHECK_U64(net.refused, ==, 0);
        exchange_close(&p);
    }
}

static void test_nothing_happens_until_something_does(void)
{
    struct net net = {.now = 7};
    struct pair p;
    const quicpro_batch *batch;
    quicpro_train train;
    pair_init(&p, "localhost");
    p.net = &net;
    pair_start(&p);
    CHECK(!pair_step(&p));
    CHECK_U64(quicpro_loop_expiry(p.client_loop), ==, QUICPRO_FOREVER);
    CHECK_INT(quicpro_loop_wants(p.client_loop), ==, 0);
    CHECK_INT(quicpro_loop_run(p.client_loop, 0, &batch), ==, 0);
    CHECK_INT(quicpro_loop_send(p.client_loop, 1, &train), ==, 0);
    CHECK(strstr(quicpro_loop_backend(p.client_loop), "memory") != NULL);
    CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0);
    quicpro_loop_flush(p.client_loop);
    CHECK_INT(quicpro_loop_send(p.client_loop, 64, &train), >, 0);
    CHECK_U64(train.segment, >=, 1200);
    CHECK_U64(ntohs(train.local.in.sin_port), ==, 49152);
    CHECK_U64(ntohs(train.peer.in.sin_port), ==, p.port);
    CHECK_U64(quicpro_loop_expiry(p.client_loop), >, net.now); /* it will be sent again */
    pair_done(&p);
}

static void test_what_makes_no_sense(void)
{
    quicpro_loop *loop, *sockets;
    quicpro_client *client;
    quicpro_config *config;
    quicpro_watch list[4];
    uint64_t version = 0;
    const quicpro_address here = address("192.0.2.1", 1), any = address("0.0.0.0", 1);
    quicpro_address odd = here;
    quicpro_train train = {.data = (uint8_t *)"x", .len = 1, .segment = 1, .local = here};
    train.peer = here;
    odd.sa.sa_family = AF_UNIX;
    CHECK_INT(quicpro_loop_new_detached(NULL, NULL, 1), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_loop_new_detached(&loop, NULL, QUICPRO_FOREVER), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_loop_new_detached(&loop, NULL, 1000), ==, 0);
    CHECK_INT(quicpro_loop_wait(loop, 0), ==, -ENOTSUP);
    CHECK(strstr(quicpro_loop_error(loop), "does not wait") != NULL);
    CHECK_INT(quicpro_loop_fd(loop), ==, -ENOTSUP);
    CHECK_INT(quicpro_loop_fds(loop, list, COUNTOF(list), &version), ==, 0);
    quicpro_loop_wake(loop);
    CHECK_INT(quicpro_loop_set_now(loop, 999), ==, QUICPRO_EINVAL);
    CHECK(strstr(quicpro_loop_error(loop), "went back") != NULL);
    CHECK_INT(quicpro_loop_set_now(loop, QUICPRO_FOREVER), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_loop_set_now(loop, 1000), ==, 0);
    CHECK_INT(quicpro_loop_recv(loop, &train), ==, QUICPRO_ECONNREFUSED);
    CHECK_INT(quicpro_loop_refused(loop, &train, -ECONNREFUSED), ==, QUICPRO_ECONNREFUSED);
    CHECK_INT(quicpro_loop_refused(loop, &train, 0), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_loop_recv(loop, NULL), ==, QUICPRO_EINVAL);
    train.segment = 0;
    CHECK_INT(quicpro_loop_recv(loop, &train), ==, QUICPRO_EINVAL);
    train.segment = 1;
    train.peer = odd;
    CHECK_INT(quicpro_loop_recv(loop, &train), ==, QUICPRO_ECONNREFUSED);
    CHECK_INT(quicpro_loop_send(loop, 0, &train), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_loop_send(loop, 1, NULL), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_loop_set_address(loop, &any), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_loop_set_address(loop, &odd), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_loop_add_host(loop, "", &here), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_loop_add_host(loop, "a.example", &odd), ==, QUICPRO_EINVAL);
    for (int i = 0; i < 16; i++)
        CHECK_INT(quicpro_loop_add_host(loop, "a.example", &here), ==, 0);
    CHECK_INT(quicpro_loop_add_host(loop, "a.example", &here), ==, QUICPRO_ELIMIT);
    /* Interfaces are the caller's matter. */
    CHECK_INT(quicpro_config_new(&config), ==, 0);
    quicpro_config_set(config, "iface", "lo");
    CHECK_INT(quicpro_client_new(&client, loop, config), ==, -ENODEV);
    CHECK(strstr(quicpro_loop_error(loop), "without I/O") != NULL);
    quicpro_config_free(config);
    quicpro_loop_free(loop);
    /* And the other way round. */
    CHECK_INT(quicpro_loop_new(&sockets, NULL), ==, 0);
    train.peer = here;
    CHECK_INT(quicpro_loop_set_now(sockets, UINT64_MAX - 1), ==, QUICPRO_ESTATE);
    CHECK_INT(quicpro_loop_recv(sockets, &train), ==, QUICPRO_ESTATE);
    CHECK_INT(quicpro_loop_send(sockets, 1, &train), ==, QUICPRO_ESTATE);
    CHECK_INT(quicpro_loop_refused(sockets, &train, -EPERM), ==, QUICPRO_ESTATE);
    CHECK_INT(quicpro_loop_set_address(sockets, &here), ==, QUICPRO_ESTATE);
    CHECK_INT(quicpro_loop_add_host(sockets, "a.example", &here), ==, QUICPRO_ESTATE);
    quicpro_loop_free(sockets);
}

static void test_names_are_told_not_looked_up(void)
{
    struct net net = {.now = 1};
    struct pair p;
    struct exchanges all;
    struct exchange x;
    const quicpro_address there = address("127.0.0.1", 0);
    start(&p, &net, &all, 1);
    CHECK_INT(pair_connect(&p, "localhost"), ==, 0);
    CHECK(pair_until_closed(&p));
    CHECK_INT(p.closed_error, ==, QUICPRO_ERESOLVE);
    if (!CHECK(strstr(p.closed_text, "quicpro_loop_add_host") != NULL))
        printf("#   %s\n", p.closed_text);
    CHECK_INT(quicpro_loop_add_host(p.client_loop, "localhost", &there), ==, 0);
    CHECK_INT(pair_connect(&p, "localhost"), ==, 0);
    CHECK_INT(exchange_get(&p, &x, 1000, 3), ==, 0);
    CHECK(pair_until(&p, &all.finished));
    CHECK(exchange_good(&x));
    CHECK_INT(p.closed, ==, 1);
    exchange_close(&p);
    /* Servers too. */
    quicpro_server *server;
    pair_init(&p, "localhost");
    p.net = &net;
    pair_start(&p);
    CHECK_INT(quicpro_server_new(&server, p.server_loop, p.server_config), ==, 0);
    CHECK_INT(quicpro_server_listen(server, "localhost", 700), ==, QUICPRO_ERESOLVE);
    CHECK(strstr(quicpro_loop_error(p.server_loop), "localhost: ") != NULL);
    CHECK_INT(quicpro_loop_add_host(p.server_loop, "localhost", &there), ==, 0);
    CHECK_INT(quicpro_server_listen(server, "localhost", 700), ==, 700);
    CHECK_INT(quicpro_server_listen(server, "127.0.0.1", 700), ==, -EADDRINUSE);
    CHECK_INT(quicpro_server_listen(server, "::1", 700), ==, 700);
    CHECK_INT(quicpro_server_listen(server, NULL, 701), ==, 701);
    CHECK_INT(quicpro_server_listen_fd(server, 0), ==, -ENOTSUP);
    quicpro_server_free(server);
    pair_done(&p);
}

/* Clients at addresses of their own, a server at all addresses; both families. */
static void test_many_hosts(void)
{
    static const struct {
        const char *from, *to;
    } row[] = {{"192.0.2.7", "127.0.0.1"}, {"2001:db8::7", "::1"}};
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct net net = {.now = 1};
        struct pair p;
        struct exchanges all;
        struct exchange x;
        quicpro_conn_info info = {.size = sizeof(info)};
        const quicpro_address home = address(row[i].from, 0);
        start(&p, &net, &all, 1);
        CHECK_INT(quicpro_server_listen(p.server, NULL, 443), ==, 443);
        CHECK_INT(quicpro_loop_set_address(p.client_loop, &home), ==, 0);
        p.port = 443;
        CHECK_INT(pair_connect(&p, row[i].to), ==, 0);
        CHECK_INT(exchange_get(&p, &x, 70000, 3), ==, 0);
        CHECK(pair_until(&p, &all.finished));
        CHECK(exchange_good(&x));
        CHECK_INT(quicpro_conn_get_info(p.client_loop, p.conn, &info), ==, 0);
        CHECK(strstr(info.local, row[i].from) != NULL && strstr(info.local, ":49152") != NULL);
        exchange_close(&p);
    }
}

/* Three addresses, of which the last one answers. */
struct eyeballs {
    struct pair *p;
    bool refuse;
    quicpro_tstamp first[3]; /* when each was first sent to */
};
static const char *const to[3] = {"192.0.2.1", "192.0.2.2", "192.0.2.3"};

static bool on_attempt(struct net *net, bool to_server, quicpro_train *train, quicpro_tstamp *delay)
{
    struct eyeballs *e = net->data;
    (void)delay;
    for (size_t i = 0; to_server && i < COUNTOF(to); i++) {
        const quicpro_address a = address(to[i], 0);
        if (train->local.in.sin_addr.s_addr != a.in.sin_addr.s_addr)
            continue;
        const bool begins = e->first[i] == 0;
        if (begins)
            e->first[i] = net->now;
        if (begins && e->refuse && i < 2) {
            const quicpro_train back = {.local = train->peer, .peer = train->local};
            CHECK_INT(quicpro_loop_refused(e->p->client_loop, &back, -EHOSTUNREACH), ==, 0);
        }
        return i == 2;
    }
    return true;
}

/* Each attempt has its delay, up to the nanosecond (RFC 8305 section 5); what the network says of
 * one ends it at once. */
static void test_happy_eyeballs(void)
{
    for (int refuse = 0; refuse < 2; refuse++) {
        struct pair p;
        struct eyeballs e = {.p = &p, .refuse = refuse};
        struct net net = {
            .now = 1000, .delay = QUICPRO_MILLISECOND, .on_datagram = on_attempt, .data = &e};
        pair_init(&p, "localhost");
        p.net = &net;
        pair_start(&p);
        CHECK_INT(quicpro_server_listen(p.server, to[2], p.port), ==, p.port);
        for (size_t i = 0; i < COUNTOF(to); i++) {
            const quicpro_address a = address(to[i], 0);
            CHECK_INT(quicpro_loop_add_host(p.client_loop, "localhost", &a), ==, 0);
        }
        CHECK_INT(pair_connect(&p, "localhost"), ==, 0);
        CHECK(pair_until(&p, &p.connected));
        const quicpro_tstamp stagger = refuse ? 0 : 250 * QUICPRO_MILLISECOND;
        for (size_t i = 0; i < COUNTOF(to); i++)
            CHECK_U64(e.first[i], ==, 1000 + i * stagger);
        CHECK_U64(net.now, ==, 1000 + 2 * stagger + 2 * net.delay); /* a round trip */
        pair_done(&p);
    }
}

/* The network refuses all there is. */
static void test_a_refusal_ends_what_has_no_other_way(void)
{
    struct net net = {.now = 1};
    struct pair p;
    quicpro_train train;
    pair_init(&p, "localhost");
    p.net = &net;
    pair_start(&p);
    CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0);
    quicpro_loop_flush(p.client_loop);
    while (quicpro_loop_send(p.client_loop, 1, &train) > 0)
        quicpro_loop_refused(p.client_loop, &train, -ENETUNREACH);
    CHECK(pair_until_closed(&p));
    CHECK_INT(p.closed_error, ==, -ENETUNREACH);
    CHECK_U64(net.now, ==, 1);
    /* One that works is not moved by a message that anybody can forge. */
    p.closed = 0;
    CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0);
    CHECK(pair_until(&p, &p.connected));
    quicpro_conn_close(p.client_loop, p.conn, 0, "");
    quicpro_loop_flush(p.client_loop);
    if (CHECK_INT(quicpro_loop_send(p.client_loop, 1, &train), >, 0))
        CHECK_INT(quicpro_loop_refused(p.client_loop, &train, -ENETUNREACH), ==, 0);
    CHECK(pair_until_closed(&p));
    CHECK_INT(p.closed_error, ==, 0);
    pair_done(&p);
}

/* Whoever does not take what is sent holds up his own connections, and nothing is lost or piles up:
 * the closing packet waits like all others, and strangers get no answer. */
static void test_a_queue_that_nobody_empties(void)
{
    enum { QUEUE = 20000 };
    struct net net = {.now = 1};
    struct pair p;
    struct exchanges all = {.expected = 1};
    struct exchange x;
    quicpro_train train;
    quicpro_loop_stats stats = {.size = sizeof(stats)};
    pair_init(&p, "localhost");
    quicpro_config_set(p.server_config, "socket_buffer_bytes", "20000");
    quicpro_config_set(p.server_config, "pacing", "false");
    p.net = &net;
    pair_start(&p);
    p.data = &all;
    p.on_server = exchange_serve;
    p.on_client = exchange_client;
    CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0);
    CHECK_INT(exchange_get(&p, &x, 3000000, 1), ==, 0);
    /* Now and then the server's datagrams are left where they are for a while. */
    for (uint64_t seed = 3; !all.finished && pair_now(&p) < 60 * QUICPRO_SECOND;) {
        if (check_random(&seed) % 4 != 0) {
            pair_step(&p);
            continue;
        }
        for (int i = 0; i < 5; i++) {
            quicpro_loop_flush(p.client_loop);
            net_collect(&net, p.client_loop, true);
            net_deliver(&net, p.client_loop, p.server_loop);
            pair_run(&p, true);
            quicpro_loop_flush(p.server_loop);
        }
    }
    CHECK(exchange_good(&x));
    CHECK_INT(quicpro_loop_get_stats(p.server_loop, &stats), ==, 0);
    CHECK_U64(stats.send_blocked, >, 0);
    /* Strangers: each datagram of another version has an answer, until the queue is full. */
    uint8_t hello[1200] = {0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8, 1, 2};
    size_t answers = 0;
    for (int i = 0; i < 2000; i++) {
        train = (quicpro_train){.data = hello, .len = sizeof(hello), .segment = sizeof(hello)};
        train.local = address("127.0.0.1", p.port);
        train.peer = address("198.51.100.7", 5000);
        CHECK_INT(quicpro_loop_recv(p.server_loop, &train), ==, 0);
    }
    while (quicpro_loop_send(p.server_loop, 1, &train) > 0)
        answers += train.len;
    CHECK_U64(answers, >=, QUEUE);
    CHECK_U64(answers, <, QUEUE + 2000);
    /* The way is full when the application closes: the peer hears of it all the same. */
    for (int i = 0; i < 2000; i++) {
        train = (quicpro_train){.data = hello, .len = sizeof(hello), .segment = sizeof(hello)};
        train.local = address("127.0.0.1", p.port);
        train.peer = address("198.51.100.7", 5000);
        quicpro_loop_recv(p.server_loop, &train);
    }
    uint32_t cursor = 0;
    quicpro_handle handle = 0;
    qp_slab_next(&p.server_loop->links, &cursor, &handle);
    CHECK_INT(quicpro_conn_close(p.server_loop, handle, 0x10c, "bye"), ==, 0);
    quicpro_loop_flush(p.server_loop);
    while (quicpro_loop_send(p.server_loop, 1, &train) > 0)
        ; /* what went to strangers */
    CHECK(pair_until_closed(&p));
    CHECK_U64(p.closed_code, ==, 0x10c);
    CHECK_U64(net.now, <, QUICPRO_SECOND);
    exchange_close(&p);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_requests_through_memory),
        TEST(test_nothing_happens_until_something_does),
        TEST(test_what_makes_no_sense),
        TEST(test_names_are_told_not_looked_up),
        TEST(test_many_hosts),
        TEST(test_happy_eyeballs),
        TEST(test_a_refusal_ends_what_has_no_other_way),
        TEST(test_a_queue_that_nobody_empties),
    };
    return RUN(tests);
}
