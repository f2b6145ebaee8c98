#include "os/udp_memory.h"

#include <string.h>

#include "check.h"

static const struct qp_udp_ops *const ops = &qp_udp_memory;

static struct qp_addr addr4(uint32_t host, uint16_t port)
{
    struct qp_addr addr;
    memset(&addr, 0, sizeof(addr));
    addr.in.sin_family = AF_INET;
    addr.in.sin_addr.s_addr = htonl(host);
    addr.in.sin_port = htons(port);
    return addr;
}

static struct qp_addr addr6(uint8_t host, uint16_t port)
{
    struct qp_addr addr;
    memset(&addr, 0, sizeof(addr));
    addr.in6.sin6_family = AF_INET6;
    addr.in6.sin6_addr.s6_addr[15] = host;
    addr.in6.sin6_port = htons(port);
    return addr;
}

static struct qp_udp_poller *make(size_t queue, quicpro_tstamp now)
{
    struct qp_udp_poller *poller = NULL;
    CHECK_INT(qp_udp_memory_new(&poller, queue, now), ==, 0);
    return poller;
}

static void refused(struct qp_udp_poller *poller, const struct qp_addr *local,
                    const struct qp_addr *peer, int error)
{
    struct qp_udp_socket socket = {.fd = -1};
    CHECK_INT(ops->open(poller, &socket, local, peer), ==, error);
    CHECK_INT(socket.fd, ==, -1);
}

/* The poller keeps where a socket is: it is opened in place. */
#define OPEN(socket, local, peer)                                                                  \
    memset(&(socket), 0, sizeof(socket));                                                          \
    (socket).fd = -1;                                                                              \
    CHECK_INT(ops->open(poller, &(socket), local, peer), ==, 0)

static void test_who_gets_a_datagram(void)
{
    struct qp_udp_poller *poller = make(0, 1);
    const struct qp_addr all4 = addr4(INADDR_ANY, 443), all6 = addr6(0, 443);
    const struct qp_addr one = addr4(0x0a000001, 444), two = addr4(0x0a000002, 444);
    const struct qp_addr peer = addr4(0x0a000009, 5000), other = addr4(0x0a000009, 5001);
    struct qp_udp_socket a, b, c, d, client;
    OPEN(a, &all4, NULL);
    OPEN(b, &all6, NULL);
    OPEN(c, &one, NULL);
    OPEN(d, &two, NULL);
    OPEN(client, NULL, &peer);
    CHECK(a.wildcard && b.wildcard && !c.wildcard && client.connected);
    const struct qp_addr to4 = addr4(0x0a000005, 443), to6 = addr6(7, 443);
    const struct qp_addr nowhere = addr4(0x0a000003, 444), nobody = addr4(0x0a000001, 445);
    CHECK(qp_udp_memory_find(poller, &to4, &peer) == &a);
    CHECK(qp_udp_memory_find(poller, &to6, &peer) == &b);
    CHECK(qp_udp_memory_find(poller, &one, &peer) == &c);
    CHECK(qp_udp_memory_find(poller, &two, &peer) == &d);
    CHECK(qp_udp_memory_find(poller, &nowhere, &peer) == NULL);
    CHECK(qp_udp_memory_find(poller, &nobody, &peer) == NULL);
    CHECK(qp_udp_memory_find(poller, &client.local, &peer) == &client);
    CHECK(qp_udp_memory_find(poller, &client.local, &other) == NULL);
    ops->close(poller, &c);
    CHECK_INT(c.fd, ==, -1);
    CHECK(qp_udp_memory_find(poller, &one, &peer) == NULL);
    CHECK(qp_udp_memory_find(poller, &two, &peer) == &d);
    ops->close(poller, &c); /* once more does nothing */
    ops->poller_free(poller);
}

static void test_addresses_and_ports(void)
{
    struct qp_udp_poller *poller = make(0, 1);
    const struct qp_addr peer4 = addr4(0x0a000009, 5000), peer6 = addr6(9, 5000);
    const struct qp_addr home4 = addr4(0x0a000001, 77), home6 = addr6(1, 77);
    struct qp_udp_socket a, b, c, d, e;
    OPEN(a, NULL, &peer4);
    CHECK_INT(qp_addr_port(&a.local), ==, QP_UDP_MEMORY_PORT);
    CHECK_U64(ntohl(a.local.in.sin_addr.s_addr), ==, INADDR_LOOPBACK);
    qp_udp_memory_set_address(poller, &home4);
    qp_udp_memory_set_address(poller, &home6);
    OPEN(b, NULL, &peer4);
    OPEN(c, NULL, &peer6);
    CHECK_INT(qp_addr_port(&b.local), ==, QP_UDP_MEMORY_PORT + 1);
    CHECK_U64(ntohl(b.local.in.sin_addr.s_addr), ==, 0x0a000001);
    CHECK_INT(c.local.in6.sin6_addr.s6_addr[15], ==, 1);
    CHECK_INT(c.family, ==, AF_INET6);
    /* Two sockets that would get the same datagrams; of different families they do not. */
    const struct qp_addr all4 = addr4(INADDR_ANY, 443), some4 = addr4(0x0a000002, 443);
    const struct qp_addr some6 = addr6(0, 443);
    OPEN(d, &some4, NULL);
    refused(poller, &all4, NULL, -EADDRINUSE);
    refused(poller, &some4, NULL, -EADDRINUSE);
    OPEN(e, &some6, NULL);
    CHECK_INT(e.fd, >=, 0);
    ops->poller_free(poller);
}

static void test_ports_run_out(void)
{
    enum { PORTS = 65536 - QP_UDP_MEMORY_PORT };
    static struct qp_udp_socket many[PORTS];
    struct qp_udp_poller *poller = make(0, 1);
    const struct qp_addr peer = addr4(0x0a000009, 5000);
    int failed = 0;
    for (int i = 0; i < PORTS; i++)
        failed += ops->open(poller, &many[i], NULL, &peer) != 0;
    CHECK_INT(failed, ==, 0);
    refused(poller, NULL, &peer, -EADDRNOTAVAIL);
    const int port = qp_addr_port(&many[100].local);
    ops->close(poller, &many[100]);
    struct qp_udp_socket again;
    OPEN(again, NULL, &peer);
    CHECK_INT(qp_addr_port(&again.local), ==, port);
    ops->poller_free(poller);
}

static void send_bytes(struct qp_udp_poller *poller, struct qp_udp_socket *socket,
                       const struct qp_addr *peer, size_t len, size_t segment, uint8_t first,
                       int64_t want)
{
    static uint8_t data[65536];
    for (size_t i = 0; i < len; i++)
        data[i] = (uint8_t)(first + i);
    CHECK_INT(ops->send(poller, socket, &socket->local, peer, data, len, segment), ==, want);
}

/* Trains come out whole or in parts, in their order. */
static void test_what_was_sent_is_taken(void)
{
    struct qp_udp_poller *poller = make(0, 1);
    const struct qp_addr here = addr4(0x0a000001, 443), peer = addr4(0x0a000009, 5000);
    struct qp_udp_socket a;
    struct qp_udp_train train;
    static const struct {
        size_t max, count, len, segment;
        uint8_t first;
    } row[] = {
        {1, 1, 100, 100, 0}, {2, 2, 200, 100, 100}, {9, 1, 50, 50, (uint8_t)300},
        {9, 1, 7, 7, 9},     {9, 3, 205, 100, 1},
    };
    OPEN(a, &here, NULL);
    CHECK_U64(qp_udp_memory_take(poller, 1, &train), ==, 0);
    send_bytes(poller, &a, &peer, 350, 100, 0, 350);
    send_bytes(poller, &a, &peer, 7, 7, 9, 7);
    send_bytes(poller, &a, &peer, 205, 100, 1, 205);
    for (size_t i = 0; i < COUNTOF(row); i++) {
        CHECK_U64(qp_udp_memory_take(poller, row[i].max, &train), ==, row[i].count);
        CHECK_U64(train.len, ==, row[i].len);
        CHECK_U64(train.segment, ==, row[i].segment);
        CHECK_INT(train.data[0], ==, row[i].first);
        CHECK_INT(train.data[train.len - 1], ==, (uint8_t)(row[i].first + row[i].len - 1));
        CHECK(qp_addr_equal(&train.local, &here) && qp_addr_equal(&train.peer, &peer));
    }
    CHECK_U64(qp_udp_memory_take(poller, 9, &train), ==, 0);
    CHECK_U64(ops->counts(poller)->messages_out, ==, 3);
    CHECK_U64(ops->counts(poller)->syscalls_out, ==, 0);
    ops->poller_free(poller);
}

/* Sends and takes in a random order, against a model. */
static void test_the_queue_keeps_order(void)
{
    struct qp_udp_poller *poller = make(0, 1);
    const struct qp_addr here = addr4(0x0a000001, 443), peer = addr4(0x0a000009, 5000);
    struct qp_udp_socket a;
    struct qp_udp_train train;
    uint64_t seed = 5, sent = 0, taken = 0;
    OPEN(a, &here, NULL);
    for (int i = 0; i < 20000; i++) {
        const uint64_t r = check_random(&seed);
        const size_t len = 1 + (size_t)(r >> 8) % 3000;
        if (r % 2 == 0) {
            send_bytes(poller, &a, &peer, len, len, (uint8_t)sent, (int64_t)len);
            sent++;
        } else if (qp_udp_memory_take(poller, 1, &train) != 0) {
            CHECK_INT(train.data[0], ==, (uint8_t)taken);
            taken++;
        }
    }
    while (qp_udp_memory_take(poller, 1, &train) != 0)
        CHECK_INT(train.data[0], ==, (uint8_t)taken++);
    CHECK_U64(taken, ==, sent);
    ops->poller_free(poller);
}

static void test_a_full_queue_holds_its_senders_up(void)
{
    struct qp_udp_poller *poller = make(1000, 50);
    const struct qp_addr one = addr4(0x0a000001, 443), two = addr4(0x0a000002, 443);
    const struct qp_addr peer = addr4(0x0a000009, 5000);
    struct qp_udp_socket a, b;
    struct qp_udp_train train;
    bool in = true, out = false;
    OPEN(a, &one, NULL);
    OPEN(b, &two, NULL);
    send_bytes(poller, &a, &peer, 900, 900, 0, 900);
    send_bytes(poller, &a, &peer, 900, 900, 0, 900); /* the last one may be too much */
    send_bytes(poller, &a, &peer, 900, 900, 0, 0);
    send_bytes(poller, &b, &peer, 900, 900, 0, 0);
    send_bytes(poller, &a, &peer, 900, 900, 0, 0);
    CHECK(a.want_write && b.want_write);
    CHECK(ops->next_ready(poller, &in, &out) == NULL);
    CHECK_U64(ops->expiry(poller), ==, QUICPRO_FOREVER);
    CHECK_U64(qp_udp_memory_take(poller, 1, &train), ==, 1);
    CHECK_U64(ops->expiry(poller), ==, 50); /* at once */
    CHECK(ops->next_ready(poller, &in, &out) == &a && !in && out);
    ops->disarm_write(poller, &a);
    CHECK(!a.want_write);
    ops->close(poller, &b); /* does not come any more */
    CHECK(ops->next_ready(poller, &in, &out) == NULL);
    CHECK_U64(ops->expiry(poller), ==, QUICPRO_FOREVER);
    ops->poller_free(poller);
}

static void test_time_is_what_it_is_told(void)
{
    struct qp_udp_poller *poller = make(0, 100);
    CHECK_U64(ops->expiry(poller), ==, QUICPRO_FOREVER);
    ops->arm(poller, 500);
    CHECK_U64(ops->expiry(poller), ==, 500);
    qp_udp_memory_prompt(poller);
    CHECK_U64(ops->expiry(poller), ==, 100);
    qp_udp_memory_set_now(poller, 700);
    ops->arm(poller, 500);
    CHECK_U64(ops->expiry(poller), ==, 700); /* never in the past */
    ops->arm(poller, QUICPRO_FOREVER);
    CHECK_U64(ops->expiry(poller), ==, QUICPRO_FOREVER);
    ops->poller_free(poller);
}

static void test_what_it_does_not_have(void)
{
    struct qp_udp_poller *poller = NULL;
    struct qp_udp_socket socket = {.fd = -1};
    quicpro_watch list[1];
    CHECK_INT(ops->poller_new(&poller), ==, 0);
    CHECK_INT(ops->poller_fd(poller), ==, -ENOTSUP);
    CHECK_INT(ops->wake_fd(poller), ==, -ENOTSUP);
    CHECK_U64(ops->fds(poller, list, 1), ==, 0);
    CHECK_U64(ops->fds_version(poller), ==, ops->fds_version(poller));
    CHECK_INT(ops->wait(poller, QUICPRO_FOREVER), ==, -ENOTSUP);
    CHECK_INT(ops->adopt(poller, &socket, 0), ==, -ENOTSUP);
    ops->wake(poller);
    ops->poller_free(poller);
    ops->poller_free(NULL);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_who_gets_a_datagram),     TEST(test_addresses_and_ports),
        TEST(test_ports_run_out),           TEST(test_what_was_sent_is_taken),
        TEST(test_the_queue_keeps_order),   TEST(test_a_full_queue_holds_its_senders_up),
        TEST(test_time_is_what_it_is_told), TEST(test_what_it_does_not_have),
    };
    return RUN(tests);
}
