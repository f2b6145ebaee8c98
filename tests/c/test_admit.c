#include "quic/admit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "check.h"

union addr {
    struct sockaddr sa;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
};

static union addr make(const char *host, uint16_t port)
{
    union addr a;
    memset(&a, 0, sizeof(a));
    if (inet_pton(AF_INET, host, &a.in.sin_addr) == 1) {
        a.in.sin_family = AF_INET;
        a.in.sin_port = htons(port);
    } else {
        if (inet_pton(AF_INET6, host, &a.in6.sin6_addr) != 1)
            abort();
        a.in6.sin6_family = AF_INET6;
        a.in6.sin6_port = htons(port);
    }
    return a;
}

static void test_ports_of_no_client(void)
{
    static const uint16_t bad[] = {0,   7,   17,  19,  53,  69,   111,  123,  137,  138,
                                   161, 389, 427, 500, 520, 1900, 3702, 5353, 5355, 11211};
    unsigned refused = 0;
    const union addr local = make("192.0.2.1", 443);
    for (unsigned port = 0; port < 65536; port++) {
        const union addr v4 = make("198.51.100.7", (uint16_t)port),
                         v6 = make("2001:db8::7", (uint16_t)port);
        bool ok = qp_admit_source(&v4.sa, &local.sa);
        CHECK(ok == qp_admit_source(&v6.sa, &local.sa));
        refused += !ok;
    }
    CHECK_U64(refused, ==, COUNTOF(bad));
    for (size_t i = 0; i < COUNTOF(bad); i++) {
        const union addr peer = make("198.51.100.7", bad[i]);
        if (!CHECK(!qp_admit_source(&peer.sa, &local.sa)))
            printf("#   port %u\n", bad[i]);
    }
}

static void test_addresses(void)
{
    static const struct {
        const char *peer, *local;
        bool ok;
    } row[] = {
        {"198.51.100.7", "192.0.2.1", true},
        {"127.0.0.1", "127.0.0.1", true},
        {"10.0.0.255", "192.0.2.1", true}, /* who knows its netmask */
        {"0.0.0.0", "192.0.2.1", false},
        {"0.1.2.3", "192.0.2.1", false},
        {"224.0.0.1", "192.0.2.1", false},
        {"239.255.255.250", "192.0.2.1", false},
        {"255.255.255.255", "192.0.2.1", false},
        {"240.0.0.1", "192.0.2.1", false},
        {"2001:db8::1", "2001:db8::2", true},
        {"::1", "::1", true},
        {"fe80::1", "fe80::2", true},
        {"::", "2001:db8::2", false},
        {"ff02::1", "2001:db8::2", false},
        {"::ffff:198.51.100.7", "2001:db8::2", true},
        {"::ffff:224.0.0.1", "2001:db8::2", false},
        {"198.51.100.7", "255.255.255.255", false},
        {"198.51.100.7", "224.0.0.251", false},
        {"198.51.100.7", "0.0.0.0", true}, /* not known */
        {"2001:db8::1", "ff02::fb", false},
        {"2001:db8::1", "::", true},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        const union addr peer = make(row[i].peer, 40000), local = make(row[i].local, 443);
        if (!CHECK(qp_admit_source(&peer.sa, &local.sa) == row[i].ok))
            printf("#   %s to %s\n", row[i].peer, row[i].local);
    }
}

static void test_packets(void)
{
    static const struct {
        struct qp_packet packet;
        size_t len;
        enum qp_admit want;
    } row[] = {
        {{.type = QP_PACKET_INITIAL, .dcid_len = 8}, 1200, QP_ADMIT_ACCEPT},
        {{.type = QP_PACKET_INITIAL, .dcid_len = 20}, 1500, QP_ADMIT_ACCEPT},
        {{.type = QP_PACKET_INITIAL, .dcid_len = 8}, 1199, QP_ADMIT_NO_PACKET},
        {{.type = QP_PACKET_INITIAL, .dcid_len = 7}, 1200, QP_ADMIT_NO_PACKET},
        {{.type = QP_PACKET_UNKNOWN, .dcid_len = 0}, 1200, QP_ADMIT_VERSION},
        {{.type = QP_PACKET_UNKNOWN, .dcid_len = 8}, 1199, QP_ADMIT_NO_PACKET},
        {{.type = QP_PACKET_ZERO_RTT, .dcid_len = 8}, 1200, QP_ADMIT_NO_PACKET},
        {{.type = QP_PACKET_HANDSHAKE, .dcid_len = 20}, 1200, QP_ADMIT_NO_PACKET},
        {{.type = QP_PACKET_RETRY, .dcid_len = 20}, 1200, QP_ADMIT_NO_PACKET},
        {{.type = QP_PACKET_VERSION, .dcid_len = 20}, 1200, QP_ADMIT_NO_PACKET},
        {{.type = QP_PACKET_SHORT, .dcid_len = 20}, 30, QP_ADMIT_RESET},
    };
    for (size_t i = 0; i < COUNTOF(row); i++)
        if (!CHECK_INT(qp_admit_packet(&row[i].packet, row[i].len), ==, row[i].want))
            printf("#   row %zu\n", i);
}

static void test_load(void)
{
    static const struct {
        struct qp_admit_load load;
        enum qp_token token;
        enum qp_admit want;
    } row[] = {
#define LOAD(c, h, n, mode)                                                                        \
    {.connections = (c),                                                                           \
     .max_connections = 100,                                                                       \
     .handshakes = (h),                                                                            \
     .max_handshakes = 50,                                                                         \
     .neighbours = (n),                                                                            \
     .max_neighbours = 20,                                                                         \
     .retry_handshakes = 10,                                                                       \
     .retry = (mode)}
        {LOAD(0, 0, 0, QP_RETRY_AUTO), QP_TOKEN_NONE, QP_ADMIT_ACCEPT},
        {LOAD(9, 9, 9, QP_RETRY_AUTO), QP_TOKEN_NONE, QP_ADMIT_ACCEPT},
        {LOAD(10, 10, 1, QP_RETRY_AUTO), QP_TOKEN_NONE, QP_ADMIT_RETRY},
        {LOAD(10, 10, 1, QP_RETRY_AUTO), QP_TOKEN_VALID, QP_ADMIT_ACCEPT},
        {LOAD(0, 0, 0, QP_RETRY_AUTO), QP_TOKEN_INVALID, QP_ADMIT_TOKEN},
        {LOAD(49, 49, 1, QP_RETRY_NEVER), QP_TOKEN_NONE, QP_ADMIT_ACCEPT},
        {LOAD(0, 0, 0, QP_RETRY_ALWAYS), QP_TOKEN_NONE, QP_ADMIT_RETRY},
        {LOAD(0, 0, 0, QP_RETRY_ALWAYS), QP_TOKEN_VALID, QP_ADMIT_ACCEPT},
        {LOAD(0, 0, 0, QP_RETRY_ALWAYS), QP_TOKEN_INVALID, QP_ADMIT_TOKEN},
        {LOAD(50, 50, 1, QP_RETRY_AUTO), QP_TOKEN_VALID, QP_ADMIT_NO_HANDSHAKE},
        {LOAD(50, 20, 20, QP_RETRY_AUTO), QP_TOKEN_VALID, QP_ADMIT_NO_NEIGHBOURS},
        {LOAD(100, 0, 0, QP_RETRY_ALWAYS), QP_TOKEN_VALID, QP_ADMIT_NO_ROOM},
    };
    for (size_t i = 0; i < COUNTOF(row); i++)
        if (!CHECK_INT(qp_admit_load(&row[i].load, row[i].token), ==, row[i].want))
            printf("#   row %zu\n", i);
    struct qp_admit_load leaving = LOAD(0, 0, 0, QP_RETRY_AUTO);
    leaving.shutdown = true;
    CHECK_INT(qp_admit_load(&leaving, QP_TOKEN_VALID), ==, QP_ADMIT_NO_ROOM);
}

static uint64_t prefix(const char *host)
{
    const union addr a = make(host, 1);
    return qp_admit_prefix(&a.sa);
}

static void test_prefixes(void)
{
    CHECK(prefix("192.0.2.1") == prefix("192.0.2.255"));
    CHECK(prefix("192.0.2.1") != prefix("192.0.3.1"));
    CHECK(prefix("2001:db8:1:2::1") == prefix("2001:db8:1:ffff::2"));
    CHECK(prefix("2001:db8:1::1") != prefix("2001:db8:2::1"));
    CHECK(prefix("::2") != 0);
    CHECK(prefix("0.0.1.1") != prefix("::1:0:0:0:0")); /* families do not mix */
    CHECK_U64(prefix("127.0.0.1"), ==, 0);
    CHECK_U64(prefix("127.9.9.9"), ==, 0);
    CHECK_U64(prefix("::1"), ==, 0);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_ports_of_no_client), TEST(test_addresses), TEST(test_packets), TEST(test_load),
        TEST(test_prefixes),
    };
    return RUN(tests);
}
