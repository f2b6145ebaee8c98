#include "quic/tls_hosts.h"

#include "authority.h"

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
        TEST(test_the_nearest_name_is_found),
        TEST(test_many_and_again),
    };
    return RUN(tests);
}
