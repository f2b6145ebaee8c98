#include "os/clock.h"

#include "check.h"

#include <time.h>

static void test_monotonic_and_in_nanoseconds(void)
{
    struct timespec ts;
    quicpro_tstamp before = qp_clock_now();
    clock_gettime(CLOCK_MONOTONIC, &ts);
    quicpro_tstamp after = qp_clock_now();
    quicpro_tstamp between = (uint64_t)ts.tv_sec * QUICPRO_SECOND + (uint64_t)ts.tv_nsec;
    CHECK_U64(before, <=, between);
    CHECK_U64(between, <=, after);
    for (int i = 0; i < 1000; i++) {
        after = qp_clock_now();
        CHECK_U64(before, <=, after);
        before = after;
    }
}

static void test_wall_time_is_the_systems(void)
{
    int64_t before = time(NULL), now = qp_clock_wall(), after = time(NULL);
    CHECK_INT(before, <=, now);
    CHECK_INT(now, <=, after);
}

int main(void)
{
    static const struct check_test tests[] = {TEST(test_monotonic_and_in_nanoseconds),
                                              TEST(test_wall_time_is_the_systems)};
    return RUN(tests);
}
