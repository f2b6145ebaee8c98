#include "quic/tls_hosts.h"

#include "authority.h"

static void test_names(void)
{
    static char label63[64], label64[65], longest[320];
    memset(label63, 'a', 63);
    memset(label64, 'a', 64);
    for (int i = 0; i < 4; i++)
        snprintf(longest + strlen(longest), 80, "%s%s", i == 0 ? "" : ".", label63);
    const struct {
        const char *name, *want, *why; /* want NULL: refused */
    } row[] = {
        {"example.org", "example.org", NULL},
        {"Example.ORG.", "example.org", NULL},
        {"localhost", "localhost", NULL},
        {"*.example.org", "*.example.org", NULL},
        {"xn--bcher-kva.example", "xn--bcher-kva.example", NULL},
        {"a_b.example", "a_b.example", NULL},
        {label63, label63, NULL},
        {label64, NULL, "is not a host name"},
        {longest, NULL, "is not a host name"},
        {"", NULL, "is not a host name"},
        {".", NULL, "is not a host name"},
        {"a..b", NULL, "is not a host name"},
        {".a", NULL, "is not a host name"},
        {"a b", NULL, "is not a host name"},
        {"b\xc3\xbc"
         "cher.example",
         NULL, "xn--"},
        {"*", NULL, "a star stands for one whole label"},
        {"*.", NULL, "a star stands"},
        {"a.*.example", NULL, "a star stands"},
        {"a*.example", NULL, "a star stands"},
        {"*.*.example", NULL, "a star stands"},
        {"127.0.0.1", NULL, "is an address"},
        {"::1", NULL, "is an address"},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        char out[QP_TLS_HOST_MAX + 1];
        const char *why = "";
        int r = qp_tls_host_name(out, row[i].name, &why);
        CHECK_INT(r, ==, row[i].want == NULL ? QUICPRO_EVALUE : 0);
        if (r == 0)
            CHECK_STR(out, row[i].want);
        else if (!CHECK(strstr(why, row[i].why) != NULL))
            printf("#   '%s' %s\n", row[i].name, why);
    }
}

/* A certificate that can be told from others, without its contents. */
static struct qp_tls_cert token(void)
{
    return (struct qp_tls_cert){.plain = SSL_CREDENTIAL_new_x509()};
}

static void test_the_nearest_name_is_found(void)
{
    static const char *const names[] = {"b.example", "*.example", "example", "a.example",
                                        "*.c.example"};
    static const struct {
        const char *asked;
        int want; /* index of names; -1: none */
    } row[] = {
        {"a.example", 3}, {"b.example", 0},    {"B.Example.", 0},
        {"x.example", 1}, {"x.y.example", -1}, {"example", 2},
        {"c.example", 1}, {"x.c.example", 4},  {"example.org", -1},
        {"", -1},         {".", -1},           {".example", -1},
        {"*.example", 1}, {"a.example.x", -1}, {"org", -1},
    };
    struct qp_tls_hosts hosts = {0};
    const SSL_CREDENTIAL *made[COUNTOF(names)];
    CHECK(qp_tls_hosts_find(&hosts, "a.example") == NULL);
    for (size_t i = 0; i < COUNTOF(names); i++) {
        struct qp_tls_cert cert = token();
        made[i] = cert.plain;
        CHECK_INT(qp_tls_hosts_put(&hosts, names[i], &cert), ==, 0);
        CHECK(cert.plain == NULL);
    }
    for (size_t i = 0; i < COUNTOF(row); i++) {
        const struct qp_tls_cert *found = qp_tls_hosts_find(&hosts, row[i].asked);
        if (!CHECK(row[i].want < 0 ? found == NULL
                                   : found != NULL && found->plain == made[row[i].want]))
            printf("#   %s\n", row[i].asked);
    }
    static char huge[70000];
    memset(huge, 'a', sizeof(huge) - 1);
    CHECK(qp_tls_hosts_find(&hosts, huge) == NULL);
    qp_tls_hosts_done(&hosts);
    CHECK_U64(hosts.count, ==, 0);
}

static void test_many_and_again(void)
{
    struct qp_tls_hosts hosts = {0};
    uint64_t random = 7;
    char name[32];
    for (int i = 0; i < 2000; i++) {
        struct qp_tls_cert cert = token();
        snprintf(name, sizeof(name), "h%u.example", (unsigned)(check_random(&random) % 500));
        CHECK_INT(qp_tls_hosts_put(&hosts, name, &cert), ==, 0);
        const SSL_CREDENTIAL *last = qp_tls_hosts_find(&hosts, name)->plain;
        CHECK(last != NULL);
    }
    CHECK_U64(hosts.count, <=, 500);
    CHECK_U64(hosts.count, >, 450);
    qp_tls_hosts_done(&hosts);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_names),
        TEST(test_the_nearest_name_is_found),
        TEST(test_many_and_again),
    };
    return RUN(tests);
}
