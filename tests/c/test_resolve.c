#include "os/resolve.h"

#include "check.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void test_literals(void)
{
    static const struct {
        const char *host;
        const char *text; /* NULL: not a literal */
    } row[] = {
        {"127.0.0.1", "127.0.0.1:443"},
        {"0.0.0.0", "0.0.0.0:443"},
        {"::1", "[::1]:443"},
        {"[::1]", "[::1]:443"},
        {"[2001:db8::1]", "[2001:db8::1]:443"},
        {"::ffff:127.0.0.1", "127.0.0.1:443"},
        {"[127.0.0.1]", NULL},
        {"[::1", NULL},
        {"::1]", NULL},
        {"127.0.0.1.", NULL},
        {"127.0.0.256", NULL},
        {"localhost", NULL},
        {"", NULL},
        {"[]", NULL},
        {":", NULL},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct qp_addr addr;
        char text[64] = "";
        int literal = qp_resolve_literal(&addr, row[i].host, 443);
        CHECK_INT(literal, ==, row[i].text != NULL);
        if (literal)
            qp_addr_text(&addr, text, sizeof(text));
        CHECK_STR(text, row[i].text == NULL ? "" : row[i].text);
    }
}

static void test_literals_resolve_to_themselves(void)
{
    struct qp_resolve_result result;
    char text[64];
    qp_resolve_now(&result, "[::1]", 8443, 0);
    CHECK(result.error == 0 && result.count == 1);
    qp_addr_text(&result.addr[0], text, sizeof(text));
    CHECK_STR(text, "[::1]:8443");
}

static void test_no_host_is_every_address_for_bind(void)
{
    struct qp_resolve_result result;
    qp_resolve_now(&result, NULL, 443, 1);
    CHECK(result.error == 0 && result.count >= 1);
    for (size_t i = 0; i < result.count; i++) {
        CHECK(qp_addr_is_wildcard(&result.addr[i]));
        CHECK_INT(qp_addr_port(&result.addr[i]), ==, 443);
    }
}

/* Refused before anybody is asked. */
static void test_what_no_name_can_be(void)
{
    static char long_name[400];
    static const struct {
        const char *host, *text;
    } row[] = {
        {"", "\"\": not a host name"},
        {"[::1", "\"[::1\": not a host name"},
        {"a:b", "\"a:b\": not a host name"},
        {"\x1b:", "\"\\x1b:\": not a host name"},
        {long_name, NULL},
    };
    memset(long_name, 'a', sizeof(long_name) - 1);
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct qp_resolve_result result;
        qp_resolve_now(&result, row[i].host, 443, 0);
        CHECK(result.error == QUICPRO_ERESOLVE && result.count == 0);
        if (row[i].text != NULL)
            CHECK_STR(result.text, row[i].text);
        else
            CHECK(strstr(result.text, "longer than") != NULL);
    }
}

static void test_localhost(void)
{
    struct qp_resolve_result result;
    qp_resolve_now(&result, "localhost", 443, 0);
    if (result.error != 0) {
        check_skip("this machine has no \"localhost\"");
        return;
    }
    CHECK(result.count >= 1 && result.count <= QP_RESOLVE_MAX);
    CHECK_INT(qp_addr_port(&result.addr[0]), ==, 443);
}

static void test_a_thread_resolves_and_wakes(void)
{
    int wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    struct pollfd fd = {.fd = wake, .events = POLLIN};
    struct qp_resolve *resolve = NULL;
    struct qp_resolve_result result;
    uint64_t count = 0;
    if (!CHECK_INT(qp_resolver_system.start(&resolve, "127.0.0.1", 4433, AF_UNSPEC, wake), ==, 0))
        return;
    CHECK_INT(poll(&fd, 1, 10000), ==, 1);
    CHECK_INT(qp_resolver_system.poll(resolve, &result), ==, 1);
    CHECK(result.error == 0 && result.count == 1 && qp_addr_port(&result.addr[0]) == 4433);
    CHECK_INT(qp_resolver_system.poll(resolve, &result), ==, 1);
    CHECK_INT(read(wake, &count, sizeof(count)), ==, 8);
    CHECK_U64(count, ==, 1);
    qp_resolver_system.free(resolve);
    close(wake);
}

/* One family at a time, each address with the one it would be sent from. */
static void test_families_and_sources(void)
{
    static const struct {
        int family;
        const char *host, *source; /* "": it knows no way */
    } row[] = {
        {AF_INET, "127.0.0.1", "127.0.0.1"},
        {AF_INET, "127.0.0.9", "127.0.0.1"},
        {AF_INET, "255.255.255.255", ""}, /* nobody may send there unasked */
        {AF_INET6, "fe80::1", ""},        /* on which link? */
    };
    int wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    struct pollfd fd = {.fd = wake, .events = POLLIN};
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct qp_resolve *resolve = NULL;
        struct qp_resolve_result result;
        uint64_t count;
        char text[64], want[64];
        if (!CHECK_INT(qp_resolver_system.start(&resolve, row[i].host, 9, row[i].family, wake), ==,
                       0))
            return;
        CHECK_INT(poll(&fd, 1, 10000), ==, 1);
        CHECK_INT(read(wake, &count, sizeof(count)), ==, 8);
        CHECK_INT(qp_resolver_system.poll(resolve, &result), ==, 1);
        CHECK_U64(result.count, ==, 1);
        qp_addr_text(&result.source[0], text, sizeof(text));
        snprintf(want, sizeof(want), "%s:", row[i].source);
        if (row[i].source[0] != '\0')
            CHECK(strncmp(text, want, strlen(want)) == 0);
        else
            CHECK_STR(text, "-");
        qp_resolver_system.free(resolve);
    }
    close(wake);
}

static void test_failure_comes_with_its_reason(void)
{
    static char long_name[400];
    int wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    struct pollfd fd = {.fd = wake, .events = POLLIN};
    struct qp_resolve *resolve = NULL;
    struct qp_resolve_result result = {0};
    memset(long_name, 'a', sizeof(long_name) - 1);
    if (!CHECK_INT(qp_resolver_system.start(&resolve, long_name, 4433, AF_UNSPEC, wake), ==, 0))
        return;
    CHECK_INT(poll(&fd, 1, 10000), ==, 1);
    CHECK_INT(qp_resolver_system.poll(resolve, &result), ==, 1);
    CHECK(result.error == QUICPRO_ERESOLVE && result.text[0] != '\0');
    qp_resolver_system.free(resolve);
    close(wake);
}

/* Whatever the thread is doing, afterwards the descriptor is the caller's alone. */
static void test_abandoned_look_ups_do_not_wake(void)
{
    int wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    for (int i = 0; i < 200; i++) {
        struct qp_resolve *resolve = NULL;
        struct qp_resolve_result result;
        uint64_t count;
        if (!CHECK_INT(qp_resolver_system.start(&resolve, "::1", 1, AF_UNSPEC, wake), ==, 0))
            break;
        if (i % 3 == 1)
            (void)qp_resolver_system.poll(resolve, &result);
        qp_resolver_system.free(resolve);
        (void)!read(wake, &count, sizeof(count));
        CHECK(read(wake, &count, sizeof(count)) < 0);
    }
    qp_resolver_system.free(NULL);
    close(wake);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_literals),
        TEST(test_literals_resolve_to_themselves),
        TEST(test_no_host_is_every_address_for_bind),
        TEST(test_what_no_name_can_be),
        TEST(test_localhost),
        TEST(test_a_thread_resolves_and_wakes),
        TEST(test_families_and_sources),
        TEST(test_failure_comes_with_its_reason),
        TEST(test_abandoned_look_ups_do_not_wake),
    };
    return RUN(tests);
}
