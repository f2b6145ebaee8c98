#include "base/rate.h"

#include "check.h"

#define MS QUICPRO_MILLISECOND

/* How many may be within a span, asked for every step. */
static unsigned taken(struct qp_rate *rate, quicpro_tstamp from, quicpro_tstamp to,
                      quicpro_tstamp step)
{
    unsigned n = 0;
    for (quicpro_tstamp now = from; now < to; now += step)
        n += qp_rate_take(rate, now);
    return n;
}

static void test_a_burst_then_the_rate(void)
{
    struct qp_rate rate = {.per_second = 100};
    unsigned n = 0;
    while (qp_rate_take(&rate, 5 * QUICPRO_SECOND))
        n++;
    CHECK_U64(n, ==, 100);
    CHECK(!qp_rate_take(&rate, 5 * QUICPRO_SECOND + 9 * MS));
    CHECK(qp_rate_take(&rate, 5 * QUICPRO_SECOND + 10 * MS));
    CHECK(!qp_rate_take(&rate, 5 * QUICPRO_SECOND + 10 * MS));
    CHECK_U64(taken(&rate, 6 * QUICPRO_SECOND, 16 * QUICPRO_SECOND, MS), <=, 1100);
    CHECK_U64(taken(&rate, 16 * QUICPRO_SECOND, 26 * QUICPRO_SECOND, MS), ==, 1000);
    /* A pause fills it, to no more than one second's worth. */
    CHECK_U64(taken(&rate, 1000 * QUICPRO_SECOND, 1000 * QUICPRO_SECOND + 1000, 1), ==, 100);
}

static void test_limits(void)
{
    struct qp_rate never = {.per_second = 0}, one = {.per_second = 1},
                   most = {.per_second = 1000000};
    CHECK(!qp_rate_take(&never, 0));
    CHECK(qp_rate_take(&one, 0));
    CHECK(!qp_rate_take(&one, QUICPRO_SECOND - 1));
    CHECK(qp_rate_take(&one, QUICPRO_SECOND));
    CHECK_U64(taken(&most, 0, QUICPRO_SECOND / 1000, 1000), ==, 1000);
}

/* A clock that goes back takes nothing away and gives nothing. */
static void test_the_clock_goes_back(void)
{
    struct qp_rate rate = {.per_second = 10};
    CHECK_U64(taken(&rate, QUICPRO_SECOND, QUICPRO_SECOND + 100, 1), ==, 10);
    CHECK(!qp_rate_take(&rate, 0));
    CHECK(qp_rate_take(&rate, 2 * QUICPRO_SECOND));
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_a_burst_then_the_rate),
        TEST(test_limits),
        TEST(test_the_clock_goes_back),
    };
    return RUN(tests);
}
