/* Datagrams over loopback with nothing but POSIX. */
#include "os/udp_plain.h"

#include "os/udp_socket.h"

#include "check.h"

#include <arpa/inet.h>
#include <poll.h>
#include <unistd.h>

static struct qp_udp_plain *plain;
static uint8_t data[150000];

static struct qp_addr address(const char *host, int port)
{
    struct qp_addr addr;
    memset(&addr, 0, sizeof(addr));
    if (inet_pton(AF_INET, host, &addr.in.sin_addr) == 1) {
        addr.in.sin_family = AF_INET;
        addr.in.sin_port = htons((uint16_t)port);
    } else if (inet_pton(AF_INET6, host, &addr.in6.sin6_addr) == 1) {
        addr.in6.sin6_family = AF_INET6;
        addr.in6.sin6_port = htons((uint16_t)port);
    }
    return addr;
}

static bool open_at(struct qp_udp_socket *sock, const char *host, const struct qp_addr *peer)
{
    struct qp_addr local = address(host, 0);
    memset(sock, 0, sizeof(*sock));
    return qp_udp_socket_open(sock, &local, peer) == 0;
}

/* What comes next, `len` bytes of data from `at` on. */
static bool receive(struct qp_udp_socket *sock, struct qp_udp_train *train, size_t at, size_t len)
{
    struct pollfd fd = {.fd = sock->fd, .events = POLLIN};
    if (!CHECK(poll(&fd, 1, 10000) == 1) ||
        !CHECK_INT(qp_udp_plain_receive(plain, sock, train, 1), ==, 1))
        return false;
    return CHECK_U64(train->len, ==, len) && CHECK_U64(train->segment, ==, len) &&
           CHECK_MEM(train->data, data + at, len);
}

static void test_a_train_arrives_datagram_by_datagram(void)
{
    static const char *const host[] = {"127.0.0.1", "::1"};
    for (size_t h = 0; h < 2; h++) {
        for (int connected = 0; connected < 2; connected++) {
            struct qp_udp_socket server, client;
            struct qp_udp_train train;
            if (!open_at(&server, host[h], NULL))
                continue; /* no IPv6 here */
            if (!CHECK(open_at(&client, host[h], connected ? &server.local : NULL)))
                return;
            const struct qp_udp_counts before = *qp_udp_plain_counts(plain);
            CHECK_INT(qp_udp_plain_send(plain, &client, NULL, &server.local, data, 2500, 1000), ==,
                      2500);
            CHECK_U64(qp_udp_plain_counts(plain)->syscalls_out - before.syscalls_out, ==, 3);
            CHECK_U64(qp_udp_plain_counts(plain)->messages_out - before.messages_out, ==, 3);
            for (size_t at = 0; at < 2500; at += 1000)
                receive(&server, &train, at, at == 2000 ? 500 : 1000);
            CHECK(qp_addr_equal(&train.peer, &client.local));
            CHECK(qp_addr_equal(&train.local, &server.local));
            CHECK_INT(qp_udp_plain_receive(plain, &server, &train, 1), ==, 0);
            close(client.fd);
            close(server.fd);
        }
    }
}

/* A socket at a wildcard tells where a datagram was sent to, and answers from there. */
static void test_wildcard(void)
{
    static const struct {
        const char *any, *to, *from;
    } row[] = {
        {"0.0.0.0", "127.0.0.1", "127.0.0.1"},
        {"0.0.0.0", "127.0.0.2", "127.0.0.3"},
        {"::", "::1", "::1"},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct qp_udp_socket server, client;
        struct qp_udp_train train;
        if (!open_at(&server, row[i].any, NULL))
            continue;
        struct qp_addr to = address(row[i].to, qp_addr_port(&server.local));
        if (!CHECK(open_at(&client, row[i].from, &to)))
            return;
        CHECK_INT(qp_udp_plain_send(plain, &client, NULL, NULL, data, 9, 9), ==, 9);
        receive(&server, &train, 0, 9);
        CHECK(qp_addr_equal(&train.local, &to));
        const struct qp_addr local = train.local, peer = train.peer;
        CHECK_INT(qp_udp_plain_send(plain, &server, &local, &peer, data, 30, 10), ==, 30);
        receive(&client, &train, 0, 10); /* connected: only what comes from there arrives */
        CHECK(qp_addr_equal(&train.peer, &to));
        close(client.fd);
        close(server.fd);
    }
}

static void test_empty_and_largest_datagrams(void)
{
    struct qp_udp_socket server, client;
    struct qp_udp_train train;
    if (!open_at(&server, "127.0.0.1", NULL) || !open_at(&client, "127.0.0.1", &server.local))
        return;
    CHECK_INT(send(client.fd, "", 0, 0), ==, 0);
    receive(&server, &train, 0, 0);
    CHECK_INT(qp_udp_plain_send(plain, &client, NULL, NULL, data, 65507, 65507), ==, 65507);
    receive(&server, &train, 0, 65507);
    CHECK_INT(qp_udp_plain_send(plain, &client, NULL, NULL, data, 65508, 65508), ==, -EMSGSIZE);
    close(client.fd);
    close(server.fd);
}

static void test_too_large_datagrams_are_lost_alone(void)
{
    struct qp_udp_socket server, client;
    struct qp_udp_train train;
    if (!open_at(&server, "127.0.0.1", NULL) || !open_at(&client, "127.0.0.1", &server.local))
        return;
    const uint64_t before = qp_udp_plain_counts(plain)->too_large;
    CHECK_INT(qp_udp_plain_send(plain, &client, NULL, NULL, data, 65508 + 700, 65508), ==,
              65508 + 700);
    CHECK_U64(qp_udp_plain_counts(plain)->too_large - before, ==, 1);
    receive(&server, &train, 65508, 700);
    CHECK_INT(qp_udp_plain_receive(plain, &server, &train, 1), ==, 0);
    close(client.fd);
    close(server.fd);
}

/* A socket for both families, as a supervisor may hand it over: addresses are what they are. */
static void test_a_socket_of_both_families(void)
{
    static const char *const host[] = {"127.0.0.2", "::1"};
    struct qp_udp_socket server = {0}, client;
    struct qp_udp_train train;
    struct qp_addr any = address("::", 0);
    int fd = socket(AF_INET6, SOCK_DGRAM, 0), zero = 0;
    if (fd < 0 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero)) < 0 ||
        bind(fd, &any.sa, sizeof(any.in6)) < 0) {
        check_skip("no IPv6 here");
        return;
    }
    if (!CHECK_INT(qp_udp_socket_adopt(&server, fd), ==, 0))
        return;
    CHECK(server.dual && server.family == AF_INET6);
    for (size_t i = 0; i < COUNTOF(host); i++) {
        struct qp_addr to = address(host[i], qp_addr_port(&server.local));
        if (!CHECK(open_at(&client, i == 0 ? "127.0.0.1" : "::1", &to)))
            break;
        CHECK_INT(qp_udp_plain_send(plain, &client, NULL, NULL, data, 9, 9), ==, 9);
        receive(&server, &train, 0, 9);
        CHECK(qp_addr_equal(&train.local, &to));
        CHECK(qp_addr_equal(&train.peer, &client.local));
        const struct qp_addr local = train.local, peer = train.peer;
        CHECK_INT(qp_udp_plain_send(plain, &server, &local, &peer, data, 5, 5), ==, 5);
        receive(&client, &train, 0, 5);
        close(client.fd);
    }
    close(fd);
}

static void test_max_is_kept(void)
{
    struct qp_udp_socket server, client;
    struct qp_udp_train train[20];
    if (!open_at(&server, "127.0.0.1", NULL) || !open_at(&client, "127.0.0.1", NULL))
        return;
    CHECK_INT(qp_udp_plain_send(plain, &client, NULL, &server.local, data, 20, 1), ==, 20);
    CHECK_INT(qp_udp_plain_receive(plain, &server, train, 0), ==, 0);
    CHECK_INT(qp_udp_plain_receive(plain, &server, train, 3), ==, 3);
    CHECK_INT(qp_udp_plain_receive(plain, &server, train, 20), ==, QP_UDP_MESSAGES);
    CHECK_INT(qp_udp_plain_receive(plain, &server, train, 20), ==, QP_UDP_MESSAGES);
    CHECK_INT(qp_udp_plain_receive(plain, &server, train, 20), ==, 1);
    CHECK_MEM(train[0].data, data + 19, 1);
    close(client.fd);
    close(server.fd);
}

static void test_refused_by_the_peer(void)
{
    struct qp_udp_socket server, client;
    struct qp_udp_train train;
    if (!open_at(&server, "127.0.0.1", NULL) || !open_at(&client, "127.0.0.1", &server.local))
        return;
    close(server.fd); /* from here on nobody has the port */
    CHECK_INT(qp_udp_plain_send(plain, &client, NULL, NULL, data, 100, 100), ==, 100);
    CHECK_INT(qp_udp_plain_receive(plain, &client, &train, 1), ==, -ECONNREFUSED);
    CHECK_INT(qp_udp_plain_receive(plain, &client, &train, 1), ==, 0);
    close(client.fd);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_a_train_arrives_datagram_by_datagram),
        TEST(test_wildcard),
        TEST(test_empty_and_largest_datagrams),
        TEST(test_too_large_datagrams_are_lost_alone),
        TEST(test_a_socket_of_both_families),
        TEST(test_max_is_kept),
        TEST(test_refused_by_the_peer),
    };
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 7 + i / 251);
    if (qp_udp_plain_new(&plain) < 0)
        return check_skip_all("no memory");
    int r = RUN(tests);
    qp_udp_plain_free(plain);
    return r;
}
