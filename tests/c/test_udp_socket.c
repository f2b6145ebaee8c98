#include "os/udp_socket.h"

#include "check.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <sys/un.h>
#include <unistd.h>

static struct qp_addr loopback(int family)
{
    struct qp_addr addr;
    memset(&addr, 0, sizeof(addr));
    addr.sa.sa_family = (sa_family_t)family;
    if (family == AF_INET6)
        addr.in6.sin6_addr = in6addr_loopback;
    else
        addr.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return addr;
}

static struct qp_addr wildcard(int family)
{
    struct qp_addr addr;
    memset(&addr, 0, sizeof(addr));
    addr.sa.sa_family = (sa_family_t)family;
    return addr;
}

static int option(int fd, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof(value);
    return getsockopt(fd, level, name, &value, &len) < 0 ? -errno : value;
}

static const struct qp_udp_features all = {.gso = true, .gro = true, .mmsg = true};

static bool no_ipv6(void)
{
    struct qp_udp_socket sock = {0};
    struct qp_addr addr = loopback(AF_INET6);
    if (qp_udp_socket_open(&sock, &addr, NULL) < 0)
        return true;
    close(sock.fd);
    return false;
}

static void check_opened(int family, bool any)
{
    struct qp_udp_socket sock = {.features = all};
    struct qp_addr local = any ? wildcard(family) : loopback(family);
    if (!CHECK_INT(qp_udp_socket_open(&sock, &local, NULL), ==, 0))
        return;
    CHECK(!sock.connected && !sock.want_write && sock.wildcard == any);
    CHECK(qp_addr_port(&sock.local) != 0);
    CHECK(qp_addr_is_wildcard(&sock.local) == any);
    CHECK(fcntl(sock.fd, F_GETFL) & O_NONBLOCK);
    CHECK(fcntl(sock.fd, F_GETFD) & FD_CLOEXEC);
    if (family == AF_INET6) {
        CHECK_INT(option(sock.fd, IPPROTO_IPV6, IPV6_V6ONLY), ==, 1);
        CHECK_INT(option(sock.fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER), ==, IPV6_PMTUDISC_PROBE);
        CHECK_INT(option(sock.fd, IPPROTO_IPV6, IPV6_RECVPKTINFO), ==, any);
    } else {
        CHECK_INT(option(sock.fd, IPPROTO_IP, IP_MTU_DISCOVER), ==, IP_PMTUDISC_PROBE);
        CHECK_INT(option(sock.fd, IPPROTO_IP, IP_PKTINFO), ==, any);
    }
    close(sock.fd);
}

static void test_open_ipv4(void)
{
    check_opened(AF_INET, false);
    check_opened(AF_INET, true);
}

static void test_open_ipv6(void)
{
    if (no_ipv6()) {
        check_skip("no IPv6 here");
        return;
    }
    check_opened(AF_INET6, false);
    check_opened(AF_INET6, true);
}

static void test_open_connected(void)
{
    struct qp_udp_socket server = {0}, client = {0};
    struct qp_addr local = loopback(AF_INET), any = wildcard(AF_INET);
    if (!CHECK_INT(qp_udp_socket_open(&server, &local, NULL), ==, 0))
        return;
    const struct qp_addr *from[] = {NULL, &any, &local};
    for (size_t i = 0; i < COUNTOF(from); i++) {
        if (!CHECK_INT(qp_udp_socket_open(&client, from[i], &server.local), ==, 0))
            break;
        CHECK(client.connected && !client.wildcard);
        CHECK(qp_addr_equal(&client.peer, &server.local));
        CHECK(!qp_addr_is_wildcard(&client.local) && qp_addr_port(&client.local) != 0);
        close(client.fd);
    }
    close(server.fd);
}

static void test_open_refuses(void)
{
    struct qp_udp_socket sock = {.fd = -1}, taken = {0};
    struct qp_addr local = loopback(AF_INET), odd = wildcard(AF_UNIX), v6 = loopback(AF_INET6);
    CHECK_INT(qp_udp_socket_open(&sock, NULL, NULL), ==, QUICPRO_EINVAL);
    CHECK_INT(qp_udp_socket_open(&sock, &odd, NULL), ==, QUICPRO_EINVAL);
    if (!CHECK_INT(qp_udp_socket_open(&taken, &local, NULL), ==, 0))
        return;
    CHECK_INT(qp_udp_socket_open(&sock, &taken.local, NULL), ==, -EADDRINUSE);
    v6.in6.sin6_port = htons(1);
    CHECK_INT(qp_udp_socket_open(&sock, &local, &v6), <, 0); /* two families */
    CHECK_INT(sock.fd, ==, -1);
    close(taken.fd);
}

static void test_features_not_wanted_stay_off(void)
{
    struct qp_udp_socket sock = {0};
    struct qp_addr local = loopback(AF_INET);
    if (!CHECK_INT(qp_udp_socket_open(&sock, &local, NULL), ==, 0))
        return;
    CHECK(!sock.features.gso && !sock.features.gro && !sock.features.mmsg);
    close(sock.fd);
}

static void test_buffers_grow_as_far_as_allowed(void)
{
    struct qp_udp_socket small = {.features.buffer_bytes = 20000},
                         huge = {.features.buffer_bytes = SIZE_MAX};
    struct qp_addr local = loopback(AF_INET);
    if (!CHECK_INT(qp_udp_socket_open(&small, &local, NULL), ==, 0) ||
        !CHECK_INT(qp_udp_socket_open(&huge, &local, NULL), ==, 0))
        return;
    CHECK_INT(option(small.fd, SOL_SOCKET, SO_RCVBUF), ==, 40000); /* the kernel doubles it */
    CHECK_INT(option(small.fd, SOL_SOCKET, SO_SNDBUF), ==, 40000);
    CHECK_INT(option(huge.fd, SOL_SOCKET, SO_RCVBUF), >, 40000);
    close(small.fd);
    close(huge.fd);
}

/* A descriptor of each kind, as somebody might hand it over. */
enum kind { UDP_BOUND, UDP_BOUND_ANY, UDP_CONNECTED, UDP_UNBOUND, TCP, UNIX, PIPE_END, CLOSED };

static int make(enum kind kind)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in discard = in;
    int fd, pair[2];
    discard.sin_port = htons(9);
    switch (kind) {
    case UDP_BOUND_ANY:
        in.sin_addr.s_addr = htonl(INADDR_ANY);
        /* fall through */
    case UDP_BOUND:
    case UDP_CONNECTED:
        fd = socket(AF_INET, SOCK_DGRAM, 0);
        if (bind(fd, (struct sockaddr *)&in, sizeof(in)) < 0 ||
            (kind == UDP_CONNECTED &&
             connect(fd, (struct sockaddr *)&discard, sizeof(discard)) < 0))
            CHECK(!"a socket for the test");
        return fd;
    case UDP_UNBOUND:
        return socket(AF_INET, SOCK_DGRAM, 0);
    case TCP:
        return socket(AF_INET, SOCK_STREAM, 0);
    case UNIX:
        return socket(AF_UNIX, SOCK_DGRAM, 0);
    case PIPE_END:
        if (pipe(pair) < 0)
            return -1;
        close(pair[1]);
        return pair[0];
    case CLOSED:
        break;
    }
    return -1;
}

static void test_adopt(void)
{
    static const struct {
        enum kind kind;
        int r;
        bool connected, wildcard;
    } row[] = {
        {UDP_BOUND, 0, false, false},
        {UDP_BOUND_ANY, 0, false, true},
        {UDP_CONNECTED, 0, true, false},
        {UDP_UNBOUND, QUICPRO_EINVAL, false, false},
        {TCP, QUICPRO_EINVAL, false, false},
        {UNIX, QUICPRO_EINVAL, false, false},
        {PIPE_END, QUICPRO_EINVAL, false, false},
        {CLOSED, QUICPRO_EINVAL, false, false},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct qp_udp_socket sock = {.fd = -1, .features = all};
        int fd = make(row[i].kind);
        if (!CHECK_INT(qp_udp_socket_adopt(&sock, fd), ==, row[i].r))
            printf("# row %zu\n", i);
        if (row[i].r == 0) {
            CHECK(sock.fd == fd && qp_addr_port(&sock.local) != 0);
            CHECK(sock.connected == row[i].connected && sock.wildcard == row[i].wildcard);
            CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
            CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
            CHECK_INT(option(fd, IPPROTO_IP, IP_MTU_DISCOVER), ==, IP_PMTUDISC_PROBE);
        } else {
            CHECK_INT(sock.fd, ==, -1);
        }
        if (fd >= 0)
            close(fd);
    }
}

static void test_iface(void)
{
    static const struct {
        const char *iface;
        int r;
    } row[] = {{NULL, 0},
               {"", 0},
               {"lo", 0},
               {"qp-nowhere", -ENODEV},
               {"a name longer than any", -ENODEV}};
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct qp_udp_socket sock = {.fd = -1, .iface = row[i].iface}, taken = sock;
        struct qp_addr local = loopback(AF_INET);
        CHECK_INT(qp_udp_iface_check(row[i].iface), ==, row[i].r);
        CHECK_INT(qp_udp_socket_open(&sock, &local, NULL), ==, row[i].r);
        int fd = make(UDP_BOUND);
        CHECK_INT(qp_udp_socket_adopt(&taken, fd), ==, row[i].r);
        if (row[i].iface != NULL && strcmp(row[i].iface, "lo") == 0) {
            char name[IFNAMSIZ] = "";
            socklen_t len = sizeof(name);
            CHECK(getsockopt(sock.fd, SOL_SOCKET, SO_BINDTODEVICE, name, &len) == 0);
            CHECK_STR(name, "lo");
        }
        close(fd);
        if (sock.fd >= 0)
            close(sock.fd);
    }
}

static void test_busy_poll(void)
{
    struct qp_udp_socket off = {0}, on = {.features.busy_poll_us = 50};
    struct qp_addr local = loopback(AF_INET);
    if (!CHECK_INT(qp_udp_socket_open(&off, &local, NULL), ==, 0) ||
        !CHECK_INT(qp_udp_socket_open(&on, &local, NULL), ==, 0))
        return;
    CHECK_INT(off.features.busy_poll_error, ==, 0);
    CHECK_INT(option(off.fd, SOL_SOCKET, SO_BUSY_POLL), ==, 0);
    CHECK_INT(option(on.fd, SOL_SOCKET, SO_BUSY_POLL), ==,
              on.features.busy_poll_error == 0 ? 50 : 0);
    CHECK(!qp_udp_busy_polls(&on)); /* nothing came */
    close(off.fd);
    close(on.fd);
}

/* A v4-mapped address is an IPv4 address. */
static void test_adopted_mapped_addresses(void)
{
    struct qp_udp_socket sock = {.fd = -1};
    struct qp_addr mapped = loopback(AF_INET), want = mapped;
    int fd = socket(AF_INET6, SOCK_DGRAM, 0), zero = 0;
    qp_addr_map(&mapped);
    if (fd < 0 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero)) < 0 ||
        bind(fd, &mapped.sa, sizeof(mapped.in6)) < 0) {
        check_skip("no IPv6 here");
        return;
    }
    CHECK_INT(qp_udp_socket_adopt(&sock, fd), ==, 0);
    want.in.sin_port = htons((uint16_t)qp_addr_port(&sock.local));
    CHECK(qp_addr_equal(&sock.local, &want));
    CHECK(sock.family == AF_INET6 && sock.dual && !sock.wildcard);
    close(fd);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_open_ipv4),
        TEST(test_open_ipv6),
        TEST(test_open_connected),
        TEST(test_open_refuses),
        TEST(test_features_not_wanted_stay_off),
        TEST(test_buffers_grow_as_far_as_allowed),
        TEST(test_adopt),
        TEST(test_adopted_mapped_addresses),
        TEST(test_iface),
        TEST(test_busy_poll),
    };
    return RUN(tests);
}
