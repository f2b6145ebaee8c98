#include "client/family.h"

#include "check.h"

static const uint8_t key[16] = "sixteen bytes ..";

static void test_remembers_and_forgets(void)
{
    struct qp_family_cache c;
    qp_family_init(&c, key);
    CHECK_INT(qp_family_get(&c, "a.example"), ==, QP_FAMILY_ANY);
    qp_family_put(&c, "a.example", QP_FAMILY_V4);
    qp_family_put(&c, "b.example", QP_FAMILY_V6);
    CHECK_INT(qp_family_get(&c, "a.example"), ==, QP_FAMILY_V4);
    CHECK_INT(qp_family_get(&c, "A.EXAMPLE"), ==, QP_FAMILY_V4);
    CHECK_INT(qp_family_get(&c, "b.example"), ==, QP_FAMILY_V6);
    qp_family_put(&c, "a.example", QP_FAMILY_V6);
    CHECK_INT(qp_family_get(&c, "a.example"), ==, QP_FAMILY_V6);
    CHECK_U64(c.count, ==, 2);
    qp_family_put(&c, "a.example", QP_FAMILY_ANY);
    qp_family_put(&c, "never.example", QP_FAMILY_ANY);
    CHECK_INT(qp_family_get(&c, "a.example"), ==, QP_FAMILY_ANY);
    CHECK_INT(qp_family_get(&c, "b.example"), ==, QP_FAMILY_V6);
    CHECK_U64(c.count, ==, 1);
}

static void put_number(struct qp_family_cache *c, unsigned n)
{
    char host[32];
    snprintf(host, sizeof(host), "%u.example", n);
    qp_family_put(c, host, n % 2 == 0 ? QP_FAMILY_V4 : QP_FAMILY_V6);
}

static bool knows(struct qp_family_cache *c, unsigned n)
{
    char host[32];
    snprintf(host, sizeof(host), "%u.example", n);
    return qp_family_get(c, host) == (n % 2 == 0 ? QP_FAMILY_V4 : QP_FAMILY_V6);
}

/* Bounded: the least recently used host goes, and a look is a use. */
static void test_the_oldest_goes(void)
{
    struct qp_family_cache c;
    qp_family_init(&c, key);
    for (unsigned i = 0; i < QP_FAMILY_CACHE; i++)
        put_number(&c, i);
    CHECK(knows(&c, 0));
    put_number(&c, 1000);
    CHECK_U64(c.count, ==, QP_FAMILY_CACHE);
    CHECK(knows(&c, 0));
    CHECK(!knows(&c, 1));
    CHECK(knows(&c, 2));
    CHECK(knows(&c, 1000));
}

/* When its clock runs over, old stays old. */
static void test_the_clock_runs_over(void)
{
    struct qp_family_cache c;
    qp_family_init(&c, key);
    c.clock = UINT32_MAX - QP_FAMILY_CACHE * UINT32_C(0x20000);
    for (unsigned i = 0; i < QP_FAMILY_CACHE; i++) {
        put_number(&c, i);
        c.clock += 0x1ffff;
    }
    c.clock = UINT32_MAX;
    put_number(&c, 2000);
    CHECK_U64(c.clock, <, UINT32_MAX);
    CHECK(!knows(&c, 0));
    CHECK(knows(&c, 1));
    put_number(&c, 2001);
    CHECK(!knows(&c, 2));
    CHECK(knows(&c, QP_FAMILY_CACHE - 1));
}

static void test_hosts_longer_than_a_name(void)
{
    struct qp_family_cache c;
    char host[400];
    memset(host, 'a', sizeof(host) - 1);
    host[sizeof(host) - 1] = '\0';
    qp_family_init(&c, key);
    qp_family_put(&c, host, QP_FAMILY_V4);
    CHECK_INT(qp_family_get(&c, host), ==, QP_FAMILY_V4);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_remembers_and_forgets),
        TEST(test_the_oldest_goes),
        TEST(test_the_clock_runs_over),
        TEST(test_hosts_longer_than_a_name),
    };
    return RUN(tests);
}
