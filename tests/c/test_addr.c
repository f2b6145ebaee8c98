#include "os/addr.h"

#include "check.h"

#include <arpa/inet.h>
#include <errno.h>

static struct qp_addr make(int family, const char *host, uint16_t port, uint32_t scope)
{
    struct qp_addr addr;
    memset(&addr, 0, sizeof(addr));
    addr.sa.sa_family = (sa_family_t)family;
    if (family == AF_INET6) {
        addr.in6.sin6_port = htons(port);
        addr.in6.sin6_scope_id = scope;
        inet_pton(AF_INET6, host, &addr.in6.sin6_addr);
    } else {
        addr.in.sin_port = htons(port);
        inet_pton(AF_INET, host, &addr.in.sin_addr);
    }
    return addr;
}

static void test_text_port_wildcard(void)
{
    static const struct {
        int family;
        const char *host;
        uint16_t port;
        uint32_t scope;
        const char *text;
        bool wildcard;
    } row[] = {
        {AF_INET, "127.0.0.1", 4433, 0, "127.0.0.1:4433", false},
        {AF_INET, "0.0.0.0", 65535, 0, "0.0.0.0:65535", true},
        {AF_INET6, "::1", 4433, 0, "[::1]:4433", false},
        {AF_INET6, "::", 0, 0, "[::]:0", true},
        {AF_INET6, "fe80::1", 1, 7, "[fe80::1%7]:1", false},
        {AF_INET6, "2001:db8:1111:2222:3333:4444:5555:6666", 65535, 0,
         "[2001:db8:1111:2222:3333:4444:5555:6666]:65535", false},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct qp_addr addr = make(row[i].family, row[i].host, row[i].port, row[i].scope);
        char text[64], small[8];
        qp_addr_text(&addr, text, sizeof(text));
        CHECK_STR(text, row[i].text);
        qp_addr_text(&addr, small, sizeof(small));
        CHECK(strncmp(small, row[i].text, sizeof(small) - 1) == 0);
        CHECK_INT(qp_addr_port(&addr), ==, row[i].port);
        CHECK(qp_addr_is_wildcard(&addr) == row[i].wildcard);
        CHECK_U64(qp_addr_len(&addr), ==,
                  row[i].family == AF_INET6 ? sizeof(addr.in6) : sizeof(addr.in));
    }
    struct qp_addr none = {.sa.sa_family = AF_UNSPEC};
    char text[8];
    qp_addr_text(&none, text, sizeof(text));
    CHECK_STR(text, "-");
}

static void test_equal(void)
{
    struct qp_addr a = make(AF_INET, "127.0.0.1", 1, 0), same = a;
    struct qp_addr other_port = make(AF_INET, "127.0.0.1", 2, 0);
    struct qp_addr other_host = make(AF_INET, "127.0.0.2", 1, 0);
    struct qp_addr b = make(AF_INET6, "fe80::1", 1, 2), same6 = b;
    struct qp_addr other_scope = make(AF_INET6, "fe80::1", 1, 3);
    same.in.sin_zero[3] = 1;     /* padding */
    same6.in6.sin6_flowinfo = 5; /* no part of the address */
    CHECK(qp_addr_equal(&a, &same));
    CHECK(!qp_addr_equal(&a, &other_port));
    CHECK(!qp_addr_equal(&a, &other_host));
    CHECK(!qp_addr_equal(&a, &b));
    CHECK(qp_addr_equal(&b, &same6));
    CHECK(!qp_addr_equal(&b, &other_scope));
}

static void test_mapped(void)
{
    static const struct {
        int family;
        const char *host, *plain, *mapped;
    } row[] = {
        {AF_INET, "192.0.2.7", "192.0.2.7:44", "[::ffff:192.0.2.7]:44"},
        {AF_INET6, "::ffff:192.0.2.7", "192.0.2.7:44", "[::ffff:192.0.2.7]:44"},
        {AF_INET6, "2001:db8::7", "[2001:db8::7]:44", "[2001:db8::7]:44"},
        {AF_INET6, "::", "[::]:44", "[::]:44"},
        {AF_INET6, "::192.0.2.7", "[::192.0.2.7]:44", "[::192.0.2.7]:44"}, /* compatible: another */
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct qp_addr addr = make(row[i].family, row[i].host, 44, 0), before = addr;
        char text[64];
        CHECK(qp_addr_unmap(&addr) == !qp_addr_equal(&addr, &before));
        qp_addr_text(&addr, text, sizeof(text));
        CHECK_STR(text, row[i].plain);
        qp_addr_map(&addr);
        qp_addr_text(&addr, text, sizeof(text));
        CHECK_STR(text, row[i].mapped);
    }
}

static void test_addresses_in_numbers(void)
{
    static const struct {
        const char *text, *want; /* NULL: none */
    } row[] = {
        {"192.0.2.1", "192.0.2.1:4433"},
        {"2001:db8::1", "[2001:db8::1]:4433"},
        {"::ffff:192.0.2.1", "[::ffff:192.0.2.1]:4433"},
        {"localhost", NULL},
        {"192.0.2", NULL},
        {"192.0.2.1:80", NULL},
        {"[::1]", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct qp_addr addr;
        char text[64];
        CHECK_INT(qp_addr_parse(&addr, row[i].text), ==, row[i].want == NULL ? -EINVAL : 0);
        if (row[i].want == NULL)
            continue;
        CHECK_INT(qp_addr_port(&addr), ==, 0);
        qp_addr_set_port(&addr, 4433);
        qp_addr_text(&addr, text, sizeof(text));
        CHECK_STR(text, row[i].want);
    }
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_text_port_wildcard),
        TEST(test_equal),
        TEST(test_mapped),
        TEST(test_addresses_in_numbers),
    };
    return RUN(tests);
}
