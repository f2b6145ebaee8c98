#include "base/prefix.h"

#include <arpa/inet.h>
#include <quicpro/base.h>

#include "check.h"
#include "oom.h"

static bool in(const struct qp_prefixes *prefixes, const char *text)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    struct sockaddr_in in4 = {.sin_family = AF_INET};
    if (inet_pton(AF_INET, text, &in4.sin_addr) == 1)
        return qp_prefixes_match(prefixes, (struct sockaddr *)&in4);
    CHECK_INT(inet_pton(AF_INET6, text, &in6.sin6_addr), ==, 1);
    return qp_prefixes_match(prefixes, (struct sockaddr *)&in6);
}

static void test_prefixes_match_what_is_in_them(void)
{
    static const struct {
        const char *prefixes, *addr;
        bool want;
    } row[] = {
        {"192.0.2.1", "192.0.2.1", true},
        {"192.0.2.1", "192.0.2.2", false},
        {"192.0.2.0/24", "192.0.2.255", true},
        {"192.0.2.0/24", "192.0.3.0", false},
        {"192.0.2.128/25", "192.0.2.127", false},
        {"192.0.2.128/25", "192.0.2.128", true},
        {"0.0.0.0/0", "203.0.113.9", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"::/0", "2001:db8::1", true},
        {"2001:db8::/32", "2001:db8:ffff::1", true},
        {"2001:db8::/33", "2001:db8:8000::1", false},
        {"192.0.2.1", "::ffff:192.0.2.1", true}, /* as a v6 socket shows it */
        {"10.0.0.0/8, 2001:db8::1", "2001:db8::1", true},
        {"10.0.0.0/8,,2001:db8::1,", "10.9.9.9", true},
        {"", "10.9.9.9", false},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct qp_prefixes prefixes;
        const char *wrong;
        size_t len;
        CHECK_INT(qp_prefixes_parse(&prefixes, row[i].prefixes, &wrong, &len), ==, 0);
        CHECK_INT(in(&prefixes, row[i].addr), ==, row[i].want);
        qp_prefixes_done(&prefixes);
    }
}

static void test_what_is_no_prefix_is_named(void)
{
    static const struct {
        const char *text, *wrong;
    } row[] = {
        {"example.org", "example.org"},
        {"10.0.0.0/8,192.0.2/24", "192.0.2/24"},
        {"192.0.2.0/33", "192.0.2.0/33"},
        {"192.0.2.0/", "192.0.2.0/"},
        {"192.0.2.0/-1", "192.0.2.0/-1"},
        {"192.0.2.0/4294967320", "192.0.2.0/4294967320"},
        {"::1/129", "::1/129"},
        {"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd",
         "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd"},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct qp_prefixes prefixes;
        const char *wrong = "";
        size_t len = 0;
        CHECK_INT(qp_prefixes_parse(&prefixes, row[i].text, &wrong, &len), ==, QUICPRO_EVALUE);
        CHECK_U64(len, ==, strlen(row[i].wrong));
        CHECK(strncmp(wrong, row[i].wrong, len) == 0);
        CHECK(prefixes.list == NULL);
    }
}

static void test_no_memory(void)
{
    struct qp_prefixes prefixes;
    const char *wrong;
    size_t len;
    if (!OOM_POSSIBLE)
        return;
    oom_after(0);
    const int r = qp_prefixes_parse(&prefixes, "10.0.0.0/8", &wrong, &len);
    oom_off();
    CHECK_INT(r, ==, QUICPRO_ENOMEM);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_prefixes_match_what_is_in_them),
        TEST(test_what_is_no_prefix_is_named),
        TEST(test_no_memory),
    };
    return RUN(tests);
}
