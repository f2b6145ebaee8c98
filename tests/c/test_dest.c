#include "client/dest.h"

#include <arpa/inet.h>
#include <stdlib.h>

#include "check.h"

static void put(uint8_t out[16], const char *text)
{
    char mapped[64];
    if (strchr(text, ':') == NULL) {
        snprintf(mapped, sizeof(mapped), "::ffff:%s", text);
        text = mapped;
    }
    if (inet_pton(AF_INET6, text, out) != 1)
        abort();
}

/* source NULL: no way there. */
static struct qp_dest make(const char *addr, const char *source, uint32_t tag)
{
    struct qp_dest d = {.family = strchr(addr, ':') != NULL ? QP_FAMILY_V6 : QP_FAMILY_V4,
                        .reachable = source != NULL,
                        .tag = tag};
    put(d.addr, addr);
    if (source != NULL)
        put(d.source, source);
    return d;
}

/* RFC 6724 section 10.2, those of its examples that need no kernel, and what it leaves out. */
static const struct {
    const char *first, *first_source, *second, *second_source, *why;
} order[] = {
    {"2001:db8:1::1", "2001:db8:1::2", "198.51.100.121", "169.254.13.78", "matching scope"},
    {"198.51.100.121", "198.51.100.117", "2001:db8:1::1", "fe80::1", "matching scope"},
    {"2001:db8:1::1", "2001:db8:1::2", "10.1.2.3", "10.1.2.4", "higher precedence"},
    {"fe80::1", "fe80::2", "2001:db8:1::1", "2001:db8:1::2", "smaller scope"},
    {"2001:db8:1::1", "2001:db8:1::2", "2001:db8:3ffe::1", "2001:db8:3f44::2", "longest prefix"},
    {"2002:c633:6401::1", "2002:c633:6401::2", "2001:db8:1::1", "2002:c633:6401::2",
     "matching label"},
    {"2001:db8:1::1", "2001:db8:1::2", "2002:c633:6401::1", "2002:c633:6401::2",
     "higher precedence"},
    {"198.51.100.1", "198.51.100.2", "2001:db8::1", NULL, "usable"},
    {"198.51.100.1", "198.51.100.2", "fd00::1", "fd00::2", "higher precedence than unique local"},
    {"::1", "::1", "127.0.0.1", "127.0.0.1", "higher precedence of loopback"},
    {"169.254.1.1", "169.254.1.2", "10.0.0.1", "10.0.0.2", "smaller scope of IPv4"},
    {"198.51.100.1", "198.51.100.2", "fec0::1", "fec0::2", "site-local is out of use"},
};

static void test_pairs(void)
{
    for (size_t i = 0; i < COUNTOF(order); i++) {
        struct qp_dest a = make(order[i].first, order[i].first_source, 0);
        struct qp_dest b = make(order[i].second, order[i].second_source, 1);
        if (!CHECK_INT(qp_dest_compare(&a, &b), <, 0) || !CHECK_INT(qp_dest_compare(&b, &a), >, 0))
            printf("#   %s before %s: %s\n", order[i].first, order[i].second, order[i].why);
        struct qp_dest list[] = {b, a};
        qp_dest_sort(list, 2);
        CHECK_U64(list[0].tag, ==, 0);
    }
}

static void test_what_no_rule_tells_apart_keeps_its_order(void)
{
    static const char *const addr[] = {"198.51.100.200", "198.51.100.3", "198.51.100.77",
                                       "203.0.113.5"};
    struct qp_dest list[COUNTOF(addr) + 2];
    size_t n = 0;
    list[n++] = make("2001:db8::1", NULL, 8);
    for (size_t i = 0; i < COUNTOF(addr); i++) /* longest prefix does not count for IPv4 */
        list[n++] = make(addr[i], "198.51.100.2", (uint32_t)i);
    list[n++] = make("2001:db8::2", NULL, 9);
    qp_dest_sort(list, n);
    static const uint32_t want[] = {0, 1, 2, 3, 8, 9};
    for (size_t i = 0; i < n; i++)
        CHECK_U64(list[i].tag, ==, want[i]);
    qp_dest_sort(list, 0);
}

/* Any order in gives the same order out, up to ties. */
static void test_sorting_is_sorting(void)
{
    uint64_t seed = 7;
    for (int round = 0; round < 200; round++) {
        struct qp_dest list[2 * COUNTOF(order)];
        for (size_t i = 0; i < COUNTOF(list); i++) {
            size_t at = check_random(&seed) % COUNTOF(order);
            list[i] = i % 2 == 0 ? make(order[at].first, order[at].first_source, 0)
                                 : make(order[at].second, order[at].second_source, 0);
        }
        qp_dest_sort(list, COUNTOF(list));
        for (size_t i = 1; i < COUNTOF(list); i++)
            CHECK_INT(qp_dest_compare(&list[i - 1], &list[i]), <=, 0);
    }
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_pairs),
        TEST(test_what_no_rule_tells_apart_keeps_its_order),
        TEST(test_sorting_is_sorting),
    };
    return RUN(tests);
}
