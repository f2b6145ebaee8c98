#include "base/seen.h"

#include <stdlib.h>

#include "oom.h"

#include "check.h"

static void test_in_order_costs_nothing(void)
{
    struct qp_seen seen = {0};
    for (uint64_t i = 0; i < 1000000; i++)
        if (!CHECK_INT(qp_seen_mark(&seen, i), ==, 1))
            break;
    CHECK_INT(qp_seen_mark(&seen, 0), ==, 0);
    CHECK_INT(qp_seen_mark(&seen, 999999), ==, 0);
    CHECK_U64(seen.top, ==, 1000000);
    CHECK(seen.missing == NULL);
    qp_seen_done(&seen);
}

static void test_gaps_are_filled_from_all_sides(void)
{
    struct qp_seen seen = {0};
    static const struct {
        uint64_t number;
        int want;
        uint32_t ranges;
    } row[] = {
        {9, 1, 1}, {9, 0, 1}, {0, 1, 1},  {0, 0, 1},  {8, 1, 1},  {4, 1, 2},
        {4, 0, 2}, {2, 1, 3}, {6, 1, 4},  {5, 1, 3},  {7, 1, 2},  {3, 1, 1},
        {1, 1, 0}, {1, 0, 0}, {12, 1, 1}, {10, 1, 1}, {11, 1, 0}, {13, 1, 0},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        bool ok = CHECK_INT(qp_seen_mark(&seen, row[i].number), ==, row[i].want);
        ok &= CHECK_U64(seen.count, ==, row[i].ranges);
        if (!ok)
            printf("#   row %zu, number %" PRIu64 "\n", i, row[i].number);
    }
    qp_seen_done(&seen);
}

/* As a table of all numbers would say. */
static void test_any_order(void)
{
    enum { NUMBERS = 4000 };
    static bool known[NUMBERS];
    struct qp_seen seen = {0};
    uint64_t state = 7;
    for (size_t i = 0; i < 20 * NUMBERS; i++) {
        uint64_t n = check_random(&state) % NUMBERS;
        if (!CHECK_INT(qp_seen_mark(&seen, n), ==, !known[n]))
            break;
        known[n] = true;
    }
    for (uint64_t n = 0; n < NUMBERS; n++)
        CHECK_INT(qp_seen_mark(&seen, n), ==, !known[n]);
    CHECK_U64(seen.count, ==, 0);
    qp_seen_done(&seen);
}

static void test_out_of_memory_changes_nothing(void)
{
    if (!OOM_POSSIBLE) {
        check_skip("the allocator cannot be replaced here");
        return;
    }
    struct qp_seen seen = {0};
    oom_after(0);
    CHECK_INT(qp_seen_mark(&seen, 5), ==, QUICPRO_ENOMEM);
    oom_off();
    CHECK_U64(seen.top, ==, 0);
    for (uint64_t n = 1; n < 9; n += 2) /* fills the first four places */
        CHECK_INT(qp_seen_mark(&seen, n), ==, 1);
    CHECK_INT(qp_seen_mark(&seen, 19), ==, 1);
    for (uint64_t n = 0; n < 7; n += 2)
        CHECK_INT(qp_seen_mark(&seen, n), ==, 1);
    CHECK_INT(qp_seen_mark(&seen, 10), ==, 1);
    CHECK_INT(qp_seen_mark(&seen, 12), ==, 1);
    CHECK_INT(qp_seen_mark(&seen, 14), ==, 1);
    CHECK_INT(qp_seen_mark(&seen, 29), ==, 1);
    CHECK_INT(qp_seen_mark(&seen, 31), ==, 1);
    CHECK_INT(qp_seen_mark(&seen, 33), ==, 1);
    CHECK_U64(seen.count, ==, 7);
    CHECK_INT(qp_seen_mark(&seen, 35), ==, 1);
    oom_after(0);
    CHECK_INT(qp_seen_mark(&seen, 25), ==, QUICPRO_ENOMEM);
    oom_off();
    CHECK_U64(seen.count, ==, 8);
    CHECK_INT(qp_seen_mark(&seen, 24), ==, 1);
    CHECK_INT(qp_seen_mark(&seen, 25), ==, 1);
    qp_seen_done(&seen);
}

static const struct check_test tests[] = {
    TEST(test_in_order_costs_nothing),
    TEST(test_gaps_are_filled_from_all_sides),
    TEST(test_any_order),
    TEST(test_out_of_memory_changes_nothing),
};

int main(void)
{
    return RUN(tests);
}
