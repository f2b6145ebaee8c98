/* Trains over loopback, on each path the kernel has: with and without segmentation, coalescing and
 * several messages a call. */
#include "os/udp_socket.h"

#include "check.h"

#include <arpa/inet.h>
#include <netinet/udp.h>
#include <poll.h>
#include <unistd.h>

static struct qp_udp_area *area;

static struct qp_addr address(int family, const char *host)
{
    struct qp_addr addr;
    memset(&addr, 0, sizeof(addr));
    addr.sa.sa_family = (sa_family_t)family;
    if (family == AF_INET6)
        inet_pton(AF_INET6, host, &addr.in6.sin6_addr);
    else
        inet_pton(AF_INET, host, &addr.in.sin_addr);
    return addr;
}

static struct qp_addr at_port(struct qp_addr addr, const struct qp_addr *other)
{
    in_port_t port = htons((uint16_t)qp_addr_port(other));
    if (addr.sa.sa_family == AF_INET6)
        addr.in6.sin6_port = port;
    else
        addr.in.sin_port = port;
    return addr;
}

static bool open_at(struct qp_udp_socket *sock, int family, const char *host,
                    const struct qp_addr *peer)
{
    struct qp_addr local = address(family, host);
    return CHECK_INT(qp_udp_socket_open(sock, &local, peer), ==, 0);
}

static bool have_ipv6(void)
{
    struct qp_udp_socket sock = {0};
    struct qp_addr local = address(AF_INET6, "::1");
    if (qp_udp_socket_open(&sock, &local, NULL) < 0)
        return false;
    close(sock.fd);
    return true;
}

static bool readable(const struct qp_udp_socket *sock)
{
    struct pollfd fd = {.fd = sock->fd, .events = POLLIN};
    return poll(&fd, 1, 10000) == 1;
}

static uint8_t pattern(size_t at)
{
    return (uint8_t)(at * 7 + at / 251);
}

struct got {
    size_t bytes, datagrams, trains, longest; /* longest: datagrams of one train */
    struct qp_addr peer, local;
};

/* Receives until `want` bytes of the pattern are there; each datagram must be as it was cut. */
static void receive_all(struct qp_udp_socket *sock, size_t want, size_t segment, struct got *got)
{
    struct qp_udp_train train[QP_UDP_MESSAGES];
    memset(got, 0, sizeof(*got));
    while (got->bytes < want) {
        int n = qp_udp_area_receive(area, sock, train, COUNTOF(train));
        if (n == 0 && readable(sock))
            continue;
        if (!CHECK_INT(n, >, 0))
            return;
        for (int i = 0; i < n; i++) {
            size_t count = 0;
            for (size_t at = 0; at < train[i].len; at += train[i].segment, count++) {
                size_t size =
                    train[i].len - at < train[i].segment ? train[i].len - at : train[i].segment;
                size_t left = want - got->bytes;
                CHECK_U64(size, ==, left < segment ? left : segment);
                for (size_t j = 0; j < size; j++)
                    if (train[i].data[at + j] != pattern(got->bytes + j) &&
                        !CHECK(!"the bytes that were sent"))
                        return;
                got->bytes += size;
            }
            got->datagrams += count;
            got->trains++;
            got->longest = count > got->longest ? count : got->longest;
            got->peer = train[i].peer;
            got->local = train[i].local;
        }
    }
}

static uint8_t data[200000];

struct path {
    bool gso, gro, mmsg;
};
static const struct path paths[] = {
    {true, true, true},  {true, true, false},  {true, false, true},  {true, false, false},
    {false, true, true}, {false, true, false}, {false, false, true}, {false, false, false},
};

static void check_path(int family, const char *host, const struct path *path, bool connected)
{
    enum { SEGMENT = 1200, LEN = 19 * SEGMENT + 700 }; /* 20 datagrams, the last one shorter */
    struct qp_udp_features features = {.gso = path->gso, .gro = path->gro, .mmsg = path->mmsg};
    struct qp_udp_socket server = {.features = features}, client = {.features = features};
    if (!open_at(&server, family, host, NULL) ||
        !open_at(&client, family, host, connected ? &server.local : NULL))
        return;
    /* What was asked for and not given has been tried; what was not asked for stays off. */
    CHECK(path->gso || !client.features.gso);
    CHECK(path->gro || !server.features.gro);
    CHECK(path->mmsg || !client.features.mmsg);
    const struct qp_udp_counts *counts = qp_udp_area_counts(area);
    struct qp_udp_counts before = *counts;
    struct got got;
    int64_t sent = qp_udp_area_send(area, &client, NULL, &server.local, data, LEN, SEGMENT);
    CHECK_INT(sent, ==, LEN);
    receive_all(&server, LEN, SEGMENT, &got);
    CHECK_U64(got.datagrams, ==, 20);
    CHECK(qp_addr_equal(&got.peer, &client.local));
    CHECK(qp_addr_equal(&got.local, &server.local));
    if (client.features.gso) {
        CHECK_U64(counts->messages_out - before.messages_out, ==, 1);
        CHECK_U64(got.longest, ==, server.features.gro ? 20 : 1);
    } else {
        CHECK_U64(counts->messages_out - before.messages_out, ==, 20);
        CHECK_U64(counts->syscalls_out - before.syscalls_out, ==, client.features.mmsg ? 1 : 20);
    }
    CHECK_U64(counts->syscalls_in, >, before.syscalls_in);
    close(client.fd);
    close(server.fd);
}

static void test_every_path_ipv4(void)
{
    for (size_t i = 0; i < COUNTOF(paths); i++) {
        check_path(AF_INET, "127.0.0.1", &paths[i], false);
        check_path(AF_INET, "127.0.0.1", &paths[i], true);
    }
}

static void test_every_path_ipv6(void)
{
    if (!have_ipv6()) {
        check_skip("no IPv6 here");
        return;
    }
    for (size_t i = 0; i < COUNTOF(paths); i++) {
        check_path(AF_INET6, "::1", &paths[i], false);
        check_path(AF_INET6, "::1", &paths[i], true);
    }
}

/* More than one message holds: cut by the number of segments, and by bytes. */
static void test_long_trains_are_split(void)
{
    static const struct {
        size_t segment, len, messages;
    } row[] = {
        {300, 64 * 300, 1},      {300, 65 * 300, 2},    {300, 130 * 300 + 1, 3},
        {1200, 54 * 1200, 1},    {1200, 55 * 1200, 2},  {1200, 54 * 1200 + 1, 2},
        {32753, 2 * 32753, 1},   {32754, 2 * 32754, 2}, {9000, 7 * 9000, 1},
        {9000, 8 * 9000 - 1, 2}, {1200, 1200, 1},       {1200, 1, 1},
        {1200, 1201, 1},         {30, 64 * 30, 1},
    };
    struct qp_udp_features features = {
        .gso = true, .gro = true, .mmsg = true, .buffer_bytes = 1 << 20};
    struct qp_udp_socket server = {.features = features}, client = {.features = features};
    if (!open_at(&server, AF_INET, "127.0.0.1", NULL) ||
        !open_at(&client, AF_INET, "127.0.0.1", NULL))
        return;
    for (size_t i = 0; i < COUNTOF(row); i++) {
        uint64_t before = qp_udp_area_counts(area)->messages_out;
        struct got got;
        CHECK_INT(
            qp_udp_area_send(area, &client, NULL, &server.local, data, row[i].len, row[i].segment),
            ==, row[i].len);
        receive_all(&server, row[i].len, row[i].segment, &got);
        CHECK_U64(got.datagrams, ==, (row[i].len + row[i].segment - 1) / row[i].segment);
        if (client.features.gso && row[i].segment < 32754)
            CHECK_U64(qp_udp_area_counts(area)->messages_out - before, ==, row[i].messages);
    }
    close(client.fd);
    close(server.fd);
}

/* Sockets without checksums cannot be segmented: the same train goes as plain datagrams, and the
 * next one is not tried again. */
static void test_gso_refused_for_good(void)
{
    for (int mmsg = 0; mmsg < 2; mmsg++) {
        struct qp_udp_socket server = {0}, client = {.features = {.gso = true, .mmsg = mmsg}};
        int one = 1;
        struct got got;
        if (!open_at(&server, AF_INET, "127.0.0.1", NULL) ||
            !open_at(&client, AF_INET, "127.0.0.1", NULL))
            return;
        if (!client.features.gso ||
            setsockopt(client.fd, SOL_SOCKET, SO_NO_CHECK, &one, sizeof(one)) < 0) {
            check_skip("no UDP_SEGMENT or no SO_NO_CHECK here");
        } else {
            CHECK_INT(qp_udp_area_send(area, &client, NULL, &server.local, data, 5000, 1000), ==,
                      5000);
            receive_all(&server, 5000, 1000, &got);
            CHECK(got.datagrams == 5 && !client.features.gso);
        }
        close(client.fd);
        close(server.fd);
    }
}

/* A train that no path can carry is lost without taking segmentation with it. */
static void test_errors_lose_one_train(void)
{
    struct qp_udp_socket client = {.features = {.gso = true, .mmsg = true}}, server = {0};
    if (!open_at(&client, AF_INET, "127.0.0.1", NULL) ||
        !open_at(&server, AF_INET, "127.0.0.1", NULL))
        return;
    bool gso = client.features.gso;
    struct qp_addr broadcast = at_port(address(AF_INET, "255.255.255.255"), &server.local);
    struct qp_addr nowhere = address(AF_INET, "127.0.0.1"); /* port 0 */
    CHECK_INT(qp_udp_area_send(area, &client, NULL, &server.local, data, 65508, 65508), ==,
              -EMSGSIZE);
    CHECK_INT(qp_udp_area_send(area, &client, NULL, &broadcast, data, 2400, 1200), ==, -EACCES);
    CHECK_INT(qp_udp_area_send(area, &client, NULL, &nowhere, data, 2400, 1200), ==, -EINVAL);
    CHECK_INT(client.features.gso, ==, gso);
    struct got got;
    CHECK_INT(qp_udp_area_send(area, &client, NULL, &server.local, data, 2400, 1200), ==, 2400);
    receive_all(&server, 2400, 1200, &got);
    CHECK_U64(got.datagrams, ==, 2);
    close(client.fd);
    close(server.fd);
}

/* What the interface does not take is lost, the shorter packet behind it is not. A train begins
 * with a probe of the path's MTU, say; or its size is from a path that had a larger one. */
static void test_too_large_datagrams_are_lost_alone(void)
{
    static const struct path row[] = {
        {true, true, true}, {false, true, true}, {false, true, false}};
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct qp_udp_features features = {.gso = row[i].gso, .mmsg = row[i].mmsg};
        struct qp_udp_socket client = {.features = features}, server = {0};
        if (!open_at(&server, AF_INET, "127.0.0.1", NULL) ||
            !open_at(&client, AF_INET, "127.0.0.1", row[i].mmsg ? &server.local : NULL))
            return;
        const uint64_t before = qp_udp_area_counts(area)->too_large;
        struct qp_udp_train train[1];
        /* 65508 bytes are one too many for IPv4. */
        CHECK_INT(
            qp_udp_area_send(area, &client, NULL, &server.local, data, 2 * 65508 + 700, 65508), ==,
            2 * 65508 + 700);
        CHECK_U64(qp_udp_area_counts(area)->too_large - before, ==, 2);
        CHECK(readable(&server));
        CHECK_INT(qp_udp_area_receive(area, &server, train, 1), ==, 1);
        CHECK_U64(train[0].len, ==, 700);
        CHECK_INT(qp_udp_area_receive(area, &server, train, 1), ==, 0);
        close(client.fd);
        close(server.fd);
    }
}

static void test_empty_and_largest_datagrams(void)
{
    struct qp_udp_socket server = {.features = {.gro = true, .mmsg = true}}, client = {0};
    struct qp_udp_train train[QP_UDP_MESSAGES];
    if (!open_at(&server, AF_INET, "127.0.0.1", NULL) ||
        !open_at(&client, AF_INET, "127.0.0.1", &server.local))
        return;
    CHECK_INT(qp_udp_area_receive(area, &server, train, COUNTOF(train)), ==, 0);
    CHECK_INT(send(client.fd, "", 0, 0), ==, 0);
    CHECK(readable(&server));
    CHECK_INT(qp_udp_area_receive(area, &server, train, COUNTOF(train)), ==, 1);
    CHECK_U64(train[0].len, ==, 0);
    CHECK_INT(qp_udp_area_send(area, &client, NULL, NULL, data, 65507, 65507), ==, 65507);
    CHECK(readable(&server));
    CHECK_INT(qp_udp_area_receive(area, &server, train, COUNTOF(train)), ==, 1);
    CHECK(train[0].len == 65507 && train[0].segment == 65507);
    CHECK_MEM(train[0].data, data, 65507);
    train[0].data[0] ^= 1; /* it may be written to */
    CHECK_INT(qp_udp_area_receive(area, &server, train, 0), ==, 0);
    close(client.fd);
    close(server.fd);
}

/* At most max trains, and what is left stays. */
static void test_max_is_kept(void)
{
    for (int mmsg = 0; mmsg < 2; mmsg++) {
        struct qp_udp_socket server = {.features.mmsg = mmsg}, client = {0};
        struct qp_udp_train train[20];
        if (!open_at(&server, AF_INET, "127.0.0.1", NULL) ||
            !open_at(&client, AF_INET, "127.0.0.1", NULL))
            return;
        CHECK_INT(qp_udp_area_send(area, &client, NULL, &server.local, data, 20, 1), ==, 20);
        size_t seen = 0;
        for (int calls = 0; seen < 20 && calls < 60; calls++) {
            size_t max = 1 + (size_t)calls % 20;
            int n = readable(&server) ? qp_udp_area_receive(area, &server, train, max) : -1;
            if (!CHECK(n >= 0 && (size_t)n <= max && n <= QP_UDP_MESSAGES))
                break;
            for (int i = 0; i < n; i++, seen++)
                CHECK(train[i].len == 1 && train[i].data[0] == pattern(seen));
        }
        CHECK_U64(seen, ==, 20);
        close(client.fd);
        close(server.fd);
    }
}

static void test_refused_by_the_peer(void)
{
    for (int mmsg = 0; mmsg < 2; mmsg++) {
        struct qp_udp_socket server = {0}, client = {.features.mmsg = mmsg};
        struct qp_udp_train train[QP_UDP_MESSAGES];
        if (!open_at(&server, AF_INET, "127.0.0.1", NULL) ||
            !open_at(&client, AF_INET, "127.0.0.1", &server.local))
            return;
        close(server.fd); /* from here on nobody has the port */
        CHECK_INT(qp_udp_area_send(area, &client, NULL, NULL, data, 100, 100), ==, 100);
        CHECK(readable(&client));
        CHECK_INT(qp_udp_area_receive(area, &client, train, COUNTOF(train)), ==, -ECONNREFUSED);
        CHECK_INT(qp_udp_area_receive(area, &client, train, COUNTOF(train)), ==, 0);
        close(client.fd);
    }
}

/* A wildcard socket tells where a datagram was sent to, and answers from there. */
static void check_wildcard(struct qp_udp_socket *server, int family, const char *host,
                           const char *client_host, const char *told)
{
    struct qp_udp_socket client = {.features = {.gso = true, .gro = true, .mmsg = true}};
    struct qp_addr to = at_port(address(family, host), &server->local);
    struct got got, back;
    if (!open_at(&client, family, client_host, &to))
        return;
    CHECK_INT(qp_udp_area_send(area, &client, NULL, NULL, data, 3000, 1000), ==, 3000);
    receive_all(server, 3000, 1000, &got);
    struct qp_addr want = at_port(address(family, told), &server->local);
    CHECK(qp_addr_equal(&got.local, &want));
    /* One datagram, a train by segmentation, a train without. */
    for (int i = 0; i < 3; i++) {
        size_t len = i == 0 ? 700 : 3000;
        bool gso = server->features.gso;
        server->features.gso = gso && i != 2;
        CHECK_INT(qp_udp_area_send(area, server, &got.local, &got.peer, data, len, 1000), ==, len);
        server->features.gso = gso;
        receive_all(&client, len, 1000, &back);
        CHECK(qp_addr_equal(&back.peer, &to));
    }
    close(client.fd);
}

static void test_wildcard_ipv4(void)
{
    struct qp_udp_socket server = {.features = {.gso = true, .gro = true, .mmsg = true}};
    if (!open_at(&server, AF_INET, "0.0.0.0", NULL))
        return;
    check_wildcard(&server, AF_INET, "127.0.0.1", "127.0.0.1", "127.0.0.1");
    check_wildcard(&server, AF_INET, "127.0.0.2", "127.0.0.3", "127.0.0.2");
    server.features.mmsg = false;
    check_wildcard(&server, AF_INET, "127.0.0.4", "127.0.0.3", "127.0.0.4");
    close(server.fd);
}

static void test_wildcard_ipv6(void)
{
    struct qp_udp_socket server = {.features = {.gso = true, .gro = true, .mmsg = true}};
    if (!have_ipv6()) {
        check_skip("no IPv6 here");
        return;
    }
    if (!open_at(&server, AF_INET6, "::", NULL))
        return;
    check_wildcard(&server, AF_INET6, "::1", "::1", "::1");
    close(server.fd);
}

/* Not ours, but somebody may hand it over: an IPv6 socket that also speaks IPv4. */
static void test_wildcard_of_both_families(void)
{
    struct qp_udp_socket server = {.features = {.gso = true, .gro = true, .mmsg = true}};
    struct qp_addr any = address(AF_INET6, "::");
    int fd = socket(AF_INET6, SOCK_DGRAM, 0), zero = 0;
    if (fd < 0 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero)) < 0 ||
        bind(fd, &any.sa, sizeof(any.in6)) < 0) {
        check_skip("no IPv6 here");
        return;
    }
    if (!CHECK_INT(qp_udp_socket_adopt(&server, fd), ==, 0))
        return;
    check_wildcard(&server, AF_INET6, "::1", "::1", "::1");
    check_wildcard(&server, AF_INET, "127.0.0.2", "127.0.0.3", "127.0.0.2");
    close(server.fd);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_every_path_ipv4),
        TEST(test_every_path_ipv6),
        TEST(test_long_trains_are_split),
        TEST(test_gso_refused_for_good),
        TEST(test_errors_lose_one_train),
        TEST(test_too_large_datagrams_are_lost_alone),
        TEST(test_empty_and_largest_datagrams),
        TEST(test_max_is_kept),
        TEST(test_refused_by_the_peer),
        TEST(test_wildcard_ipv4),
        TEST(test_wildcard_ipv6),
        TEST(test_wildcard_of_both_families),
    };
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = pattern(i);
    if (qp_udp_area_new(&area) < 0)
        return check_skip_all("no memory");
    int r = RUN(tests);
    qp_udp_area_free(area);
    return r;
}
