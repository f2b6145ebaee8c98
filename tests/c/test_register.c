#include "ticket/register.h"

#include <pthread.h>
#include <stdlib.h>

#include "check.h"

enum { SLOTS = 4096, BYTES = QP_REGISTER_HEAD_BYTES + SLOTS * 8 };

static const uint8_t key[16] = "register";
static uint8_t binder[32] = "binder";
#define WINDOW QP_REGISTER_WINDOW
#define SECOND QUICPRO_SECOND

static uint64_t memory[BYTES / 8];

static struct qp_register *made(quicpro_tstamp now, uint64_t wall)
{
    return qp_register_init(memory, BYTES, key, now, wall);
}

static struct qp_flight flight_of(uint64_t number)
{
    struct qp_flight flight = {.binder = binder, .binder_len = sizeof(binder)};
    memcpy(flight.random, &number, sizeof(number));
    return flight;
}

/* At a time at which the wall clock goes along. */
static enum qp_register_verdict strike(struct qp_register *reg, uint64_t number, quicpro_tstamp now)
{
    const struct qp_flight flight = flight_of(number);
    return qp_register_strike(reg, &flight, now, 1000000 + now / SECOND);
}

static void test_capacity_is_a_power_of_two(void)
{
    static const struct {
        size_t bytes, slots;
    } row[] = {
        {0, 0},
        {QP_REGISTER_MIN_BYTES - 1, 0},
        {QP_REGISTER_MIN_BYTES, 64},
        {QP_REGISTER_MIN_BYTES + 511, 64},
        {QP_REGISTER_HEAD_BYTES + 128 * 8, 128},
        {BYTES, SLOTS},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct qp_register *reg = qp_register_init(memory, row[i].bytes, key, 0, 0);
        CHECK((reg == NULL) == (row[i].slots == 0));
        if (reg != NULL)
            CHECK_U64(qp_register_capacity(reg), ==, row[i].slots);
    }
}

static void test_first_is_fresh_others_are_seen(void)
{
    struct qp_register *reg = made(0, 1000000);
    uint64_t counts[4];
    for (uint64_t i = 0; i < 1000; i++)
        CHECK_INT(strike(reg, i, 2 * WINDOW), ==, QP_REGISTER_FRESH);
    for (uint64_t i = 0; i < 1000; i++)
        CHECK_INT(strike(reg, i, 2 * WINDOW + 1), ==, QP_REGISTER_SEEN);
    qp_register_counts(reg, counts);
    CHECK_U64(counts[QP_REGISTER_FRESH], ==, 1000);
    CHECK_U64(counts[QP_REGISTER_SEEN], ==, 1000);
    CHECK_U64(counts[QP_REGISTER_FULL] + counts[QP_REGISTER_TOO_YOUNG], ==, 0);
}

static void test_random_and_binder_both_count(void)
{
    struct qp_register *reg = made(0, 1000000);
    struct qp_flight a = flight_of(1), b = a, c = a;
    uint8_t other[32] = "other";
    b.random[31] ^= 1;
    c.binder = other;
    CHECK_INT(qp_register_strike(reg, &a, WINDOW, 1000150), ==, QP_REGISTER_FRESH);
    CHECK_INT(qp_register_strike(reg, &b, WINDOW, 1000150), ==, QP_REGISTER_FRESH);
    CHECK_INT(qp_register_strike(reg, &c, WINDOW, 1000150), ==, QP_REGISTER_FRESH);
    CHECK_INT(qp_register_strike(reg, &a, WINDOW, 1000150), ==, QP_REGISTER_SEEN);
    CHECK_INT(qp_register_strike(reg, &b, WINDOW, 1000150), ==, QP_REGISTER_SEEN);
    CHECK_INT(qp_register_strike(reg, &c, WINDOW, 1000150), ==, QP_REGISTER_SEEN);
}

/* A flight is remembered for one window at least, and two at most, wherever in a window it came. */
static void test_memory_lasts_one_window_at_least(void)
{
    static const struct {
        quicpro_tstamp came, again;
        enum qp_register_verdict want;
    } row[] = {
        {10 * WINDOW, 11 * WINDOW, QP_REGISTER_SEEN},
        {10 * WINDOW, 12 * WINDOW - 1, QP_REGISTER_SEEN},
        {10 * WINDOW, 12 * WINDOW, QP_REGISTER_FRESH},
        {11 * WINDOW - 1, 12 * WINDOW - 1, QP_REGISTER_SEEN},
        {11 * WINDOW - 1, 12 * WINDOW, QP_REGISTER_FRESH},
        {10 * WINDOW, 10 * WINDOW + ((UINT64_C(1) << 19) - 1) * WINDOW, QP_REGISTER_FRESH},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct qp_register *reg = made(0, 1000000);
        CHECK_INT(strike(reg, 7, row[i].came), ==, QP_REGISTER_FRESH);
        CHECK_INT(strike(reg, 7, row[i].again), ==, row[i].want);
    }
}

/* A caller whose clock is read late must not take what is remembered for free. */
static void test_late_caller_forgets_nothing(void)
{
    struct qp_register *reg = made(0, 1000000);
    CHECK_INT(strike(reg, 1, 5 * WINDOW), ==, QP_REGISTER_FRESH);
    CHECK_INT(strike(reg, 1, 4 * WINDOW), ==, QP_REGISTER_SEEN);
    CHECK_INT(strike(reg, 2, 3 * WINDOW), ==, QP_REGISTER_FRESH);
    CHECK_INT(strike(reg, 2, 6 * WINDOW), ==, QP_REGISTER_SEEN);
}

static void test_full_is_not_fresh(void)
{
    struct qp_register *reg = qp_register_init(memory, QP_REGISTER_MIN_BYTES, key, 0, 1000000);
    for (uint64_t i = 0; i < 64; i++)
        CHECK_INT(strike(reg, i, 2 * WINDOW), ==, QP_REGISTER_FRESH);
    CHECK_INT(strike(reg, 64, 2 * WINDOW), ==, QP_REGISTER_FULL);
    CHECK_INT(strike(reg, 63, 2 * WINDOW), ==, QP_REGISTER_SEEN);
    CHECK_INT(strike(reg, 64, 4 * WINDOW), ==, QP_REGISTER_FRESH); /* the old ones are over */
}

/* How full it gets before the first flight finds no place. */
static void test_three_quarters_fit(void)
{
    struct qp_register *reg = made(0, 1000000);
    for (uint64_t i = 0; i < SLOTS * 3 / 4; i++)
        CHECK_INT(strike(reg, i, 2 * WINDOW), ==, QP_REGISTER_FRESH);
}

static void test_young_register_refuses(void)
{
    struct qp_register *reg = made(100 * SECOND, 1000100);
    CHECK_INT(strike(reg, 1, 100 * SECOND), ==, QP_REGISTER_TOO_YOUNG);
    CHECK_INT(strike(reg, 2, 100 * SECOND + WINDOW - 1), ==, QP_REGISTER_TOO_YOUNG);
    CHECK_INT(strike(reg, 3, 100 * SECOND + WINDOW), ==, QP_REGISTER_FRESH);
    /* What came in its youth was recorded: its client has sent the data again since. */
    CHECK_INT(strike(reg, 2, 100 * SECOND + WINDOW), ==, QP_REGISTER_SEEN);
}

/* No ticket under a key can be older than the key. */
static void test_key_as_young_as_the_register_needs_no_wait(void)
{
    static const struct {
        quicpro_tstamp key_made;
        enum qp_register_verdict want;
    } row[] = {
        {0, QP_REGISTER_TOO_YOUNG},
        {100 * SECOND - 1, QP_REGISTER_TOO_YOUNG},
        {100 * SECOND, QP_REGISTER_FRESH},
        {101 * SECOND, QP_REGISTER_FRESH},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct qp_register *reg = made(100 * SECOND, 1000100);
        struct qp_flight flight = flight_of(i);
        flight.key_made = row[i].key_made;
        CHECK_INT(qp_register_strike(reg, &flight, 102 * SECOND, 1000102), ==, row[i].want);
        CHECK_INT(qp_register_strike(reg, &flight, 102 * SECOND, 1000102), ==, QP_REGISTER_SEEN);
    }
}

static void test_wall_clock_set_back_makes_it_young(void)
{
    static const struct {
        uint64_t wall;
        enum qp_register_verdict want;
    } row[] = {
        {1000000 + 3600, QP_REGISTER_FRESH},
        {1000000 + 3600 + 86400, QP_REGISTER_FRESH}, /* forward: old flights fit even less */
        {1000000 + 3600 + 86400 - 19, QP_REGISTER_FRESH},
        {1000000 + 3600, QP_REGISTER_TOO_YOUNG},
        {0, QP_REGISTER_TOO_YOUNG},
    };
    struct qp_register *reg = made(0, 1000000);
    struct qp_flight flight;
    for (size_t i = 0; i < COUNTOF(row); i++) {
        flight = flight_of(i);
        flight.key_made = 1; /* younger than the register was, older than it is after a jump */
        CHECK_INT(qp_register_strike(reg, &flight, 3600 * SECOND, row[i].wall), ==, row[i].want);
    }
    flight = flight_of(99);
    CHECK_INT(qp_register_strike(reg, &flight, 3600 * SECOND + WINDOW, WINDOW / SECOND), ==,
              QP_REGISTER_FRESH);
}

static void test_attach_wants_the_same_layout(void)
{
    struct qp_register *reg = made(0, 1000000);
    strike(reg, 1, WINDOW);
    CHECK(qp_register_attach(memory, BYTES) == reg);
    CHECK_INT(strike(qp_register_attach(memory, BYTES), 1, WINDOW), ==, QP_REGISTER_SEEN);
    CHECK(qp_register_attach(memory, BYTES / 2) == NULL);
    CHECK(qp_register_attach(memory, 8) == NULL);
    memory[0] ^= 1;
    CHECK(qp_register_attach(memory, BYTES) == NULL);
}

/* Threads strike the same flights at the same time, in different orders, over a border of windows
 * and with slots that are old: at most one of them may win each, and exactly one in one window. */

enum { THREADS = 4, FLIGHTS = 3000 };

struct racer {
    pthread_t thread;
    pthread_barrier_t *start;
    struct qp_register *reg;
    quicpro_tstamp now;
    unsigned char won[FLIGHTS];
};

static void *race(void *arg)
{
    struct racer *me = arg;
    pthread_barrier_wait(me->start);
    for (uint64_t i = 0; i < FLIGHTS; i++)
        me->won[i] = strike(me->reg, i, me->now) == QP_REGISTER_FRESH;
    return NULL;
}

/* Flights that somebody won; 0 and a failed check if one was won twice. */
static size_t run_race(struct qp_register *reg, quicpro_tstamp now, quicpro_tstamp step)
{
    struct racer *racer = calloc(THREADS, sizeof(*racer));
    pthread_barrier_t start;
    size_t won = 0;
    pthread_barrier_init(&start, NULL, THREADS);
    for (size_t i = 0; i < THREADS; i++) {
        racer[i].start = &start;
        racer[i].reg = reg;
        racer[i].now = now + i % 2 * step;
        if (!CHECK(pthread_create(&racer[i].thread, NULL, race, &racer[i]) == 0))
            abort(); /* the others wait at the barrier */
    }
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(racer[i].thread, NULL);
    pthread_barrier_destroy(&start);
    for (size_t f = 0; f < FLIGHTS; f++) {
        unsigned times = 0;
        for (size_t i = 0; i < THREADS; i++)
            times += racer[i].won[f];
        CHECK_U64(times, <=, 1);
        won += times;
    }
    free(racer);
    return won;
}

static void test_threads_win_each_flight_exactly_once(void)
{
    struct qp_register *reg = made(0, 1000000);
    for (unsigned round = 1; round <= 10; round++)
        CHECK_U64(run_race(reg, 2 * round * WINDOW, 0), ==, FLIGHTS);
}

static void test_threads_in_two_windows_never_win_twice(void)
{
    struct qp_register *reg = made(0, 1000000);
    for (unsigned round = 1; round <= 10; round++)
        CHECK_U64(run_race(reg, 3 * round * WINDOW - 1, 1), >=, FLIGHTS * 9 / 10);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_capacity_is_a_power_of_two),
        TEST(test_first_is_fresh_others_are_seen),
        TEST(test_random_and_binder_both_count),
        TEST(test_memory_lasts_one_window_at_least),
        TEST(test_late_caller_forgets_nothing),
        TEST(test_full_is_not_fresh),
        TEST(test_three_quarters_fit),
        TEST(test_young_register_refuses),
        TEST(test_key_as_young_as_the_register_needs_no_wait),
        TEST(test_wall_clock_set_back_makes_it_young),
        TEST(test_attach_wants_the_same_layout),
        TEST(test_threads_win_each_flight_exactly_once),
        TEST(test_threads_in_two_windows_never_win_twice),
    };
    return RUN(tests);
}
