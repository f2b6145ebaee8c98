#include "base/tally.h"

#include "check.h"
#include "oom.h"

static const uint8_t key[16] = {4, 5, 6};

static void test_counts(void)
{
    struct qp_tally t;
    qp_tally_init(&t, key);
    CHECK_U64(qp_tally_get(&t, 7), ==, 0);
    CHECK_INT(qp_tally_add(&t, 7), ==, 0);
    CHECK_INT(qp_tally_add(&t, 7), ==, 0);
    CHECK_INT(qp_tally_add(&t, 0), ==, 0); /* as good a group as any */
    CHECK_U64(qp_tally_get(&t, 7), ==, 2);
    CHECK_U64(qp_tally_get(&t, 0), ==, 1);
    CHECK_U64(qp_tally_get(&t, 8), ==, 0);
    CHECK_U64(t.used, ==, 2);
    qp_tally_sub(&t, 7);
    qp_tally_sub(&t, 0);
    CHECK_U64(qp_tally_get(&t, 7), ==, 1);
    CHECK_U64(qp_tally_get(&t, 0), ==, 0);
    qp_tally_sub(&t, 7);
    CHECK_U64(t.used, ==, 0);
    qp_tally_done(&t);
}

/* Against plain counters; the table is no larger than what is counted wants it. */
static void test_like_an_array(void)
{
    struct qp_tally t;
    static uint32_t want[700];
    uint64_t seed = 3;
    size_t total = 0;
    qp_tally_init(&t, key);
    for (int i = 0; i < 60000; i++) {
        size_t group = check_random(&seed) % COUNTOF(want);
        bool more = i < 30000 ? check_random(&seed) % 3 != 0 : check_random(&seed) % 3 == 0;
        if (more) {
            CHECK_INT(qp_tally_add(&t, group << 40), ==, 0);
            want[group]++;
            total++;
        } else if (want[group] > 0) {
            qp_tally_sub(&t, group << 40);
            want[group]--;
            total--;
        }
        CHECK_U64(qp_tally_get(&t, group << 40), ==, want[group]);
    }
    for (size_t group = 0; group < COUNTOF(want); group++) {
        CHECK_U64(qp_tally_get(&t, group << 40), ==, want[group]);
        for (; want[group] > 0; want[group]--)
            qp_tally_sub(&t, group << 40);
    }
    CHECK_U64(t.used, ==, 0);
    CHECK_U64(t.capacity, <=, 16);
    qp_tally_done(&t);
}

static void test_out_of_memory(void)
{
    struct qp_tally t;
    if (!OOM_POSSIBLE) {
        check_skip("the allocator is a sanitizer's");
        return;
    }
    qp_tally_init(&t, key);
    oom_left = 0;
    CHECK_INT(qp_tally_add(&t, 1), ==, QUICPRO_ENOMEM);
    oom_left = LONG_MAX;
    for (uint64_t group = 0; group < 12; group++)
        CHECK_INT(qp_tally_add(&t, group), ==, 0);
    oom_left = 0;
    CHECK_INT(qp_tally_add(&t, 12), ==, QUICPRO_ENOMEM);
    oom_left = LONG_MAX;
    CHECK_U64(t.used, ==, 12);
    CHECK_U64(qp_tally_get(&t, 12), ==, 0);
    CHECK_U64(qp_tally_get(&t, 11), ==, 1);
    qp_tally_done(&t);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_counts),
        TEST(test_like_an_array),
        TEST(test_out_of_memory),
    };
    return RUN(tests);
}
