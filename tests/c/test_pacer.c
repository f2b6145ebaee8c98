#include "quic/pacer.h"

#include "check.h"

static const uint64_t MS = QUICPRO_MILLISECOND, PAYLOAD = 1350;

static struct qp_pacer paced(uint64_t cwnd, uint64_t rtt, quicpro_tstamp now)
{
    struct qp_pacer pacer = {0};
    qp_pacer_update(&pacer, cwnd, rtt, PAYLOAD, 10, 0, now);
    return pacer;
}

/* Sends whatever is let, datagram by datagram, over a span in steps of 100 us. */
static uint64_t send_for(struct qp_pacer *pacer, quicpro_tstamp *now, uint64_t span)
{
    uint64_t sent = 0;
    for (quicpro_tstamp end = *now + span; *now < end; *now += MS / 10)
        while (qp_pacer_allowance(pacer, *now) >= PAYLOAD) {
            qp_pacer_sent(pacer, PAYLOAD, *now);
            sent += PAYLOAD;
        }
    return sent;
}

static void test_nothing_is_paced_before_it_is_known(void)
{
    struct qp_pacer pacer = {0};
    CHECK_U64(qp_pacer_allowance(&pacer, 5 * MS), ==, UINT64_MAX);
    CHECK(qp_pacer_is_due(&pacer, 0));
    qp_pacer_update(&pacer, 43200, 0, PAYLOAD, 10, 0, 5 * MS); /* no round trip measured */
    CHECK_U64(qp_pacer_allowance(&pacer, 6 * MS), ==, UINT64_MAX);
    CHECK(qp_pacer_is_due(&pacer, 6 * MS));
}

/* The first flight may be a window in one burst; after that twice a window a round trip while the
 * window grows, and 1.25 times once it fell. */
static void test_rate(void)
{
    static const struct {
        bool fell;
        uint64_t cwnd, rtt, percent;
    } row[] = {
        {false, 43200, 100 * MS, 200},    {true, 43200, 100 * MS, 125},
        {false, 1000000, 20 * MS, 200},   {true, 1000000, 20 * MS, 125},
        {true, 100000000, 200 * MS, 125}, {true, 20000, 9000 * MS, 125},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        quicpro_tstamp now = 1000 * MS;
        struct qp_pacer pacer = paced(row[i].cwnd, row[i].rtt, now);
        if (row[i].fell) {
            qp_pacer_update(&pacer, row[i].cwnd - 1, row[i].rtt, PAYLOAD, 10, 0, now);
            qp_pacer_update(&pacer, row[i].cwnd, row[i].rtt, PAYLOAD, 10, 0, now);
        }
        const uint64_t first = qp_pacer_allowance(&pacer, now);
        CHECK_U64(first, ==, row[i].cwnd - row[i].fell);
        qp_pacer_sent(&pacer, first, now);
        CHECK_U64(qp_pacer_allowance(&pacer, now), ==, 0);
        const uint64_t got = send_for(&pacer, &now, row[i].rtt);
        const uint64_t want = row[i].cwnd * row[i].percent / 100;
        /* A datagram may be left over, and the bucket's last step. */
        if (!CHECK(got <= want && got + 2 * PAYLOAD + pacer.rate / 10000 >= want))
            printf("# row %zu: %" PRIu64 " of %" PRIu64 "\n", i, got, want);
    }
}

static void test_a_burst_is_bounded(void)
{
    static const struct {
        uint64_t cwnd, rtt, burst;
    } row[] = {
        {43200, 100 * MS, 10 * 1350}, /* ten datagrams */
        {10000000, 100 * MS, 400000}, /* or 2 ms of the rate */
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        quicpro_tstamp now = 1000 * MS;
        struct qp_pacer pacer = paced(row[i].cwnd, row[i].rtt, now);
        qp_pacer_sent(&pacer, row[i].cwnd, now);
        now += row[i].rtt * 9 / 10; /* much time, but not silent for a round trip */
        CHECK_U64(qp_pacer_allowance(&pacer, now), ==, row[i].burst);
        qp_pacer_sent(&pacer, row[i].burst, now);
        CHECK_U64(qp_pacer_allowance(&pacer, now), ==, 0);
    }
}

/* After a silent round trip the path is empty: what the first flight had, but no more than the
 * window is now. */
static void test_after_silence(void)
{
    quicpro_tstamp now = 1000 * MS;
    struct qp_pacer pacer = paced(43200, 50 * MS, now);
    qp_pacer_sent(&pacer, 43200, now);
    qp_pacer_update(&pacer, 1000000, 50 * MS, PAYLOAD, 10, 0, now);
    now += 50 * MS;
    CHECK_U64(qp_pacer_allowance(&pacer, now), ==, 43200);
    qp_pacer_sent(&pacer, 43200, now);
    qp_pacer_update(&pacer, 20000, 50 * MS, PAYLOAD, 10, 0, now);
    now += 3600 * QUICPRO_SECOND;
    CHECK_U64(qp_pacer_allowance(&pacer, now), ==, 20000);
}

/* Where a window fits into the bucket there is nothing to spread: loopback, a LAN, a tiny window.
 */
static void test_short_round_trips_are_not_paced(void)
{
    static const struct {
        uint64_t cwnd, rtt;
        bool paced;
    } row[] = {
        {1000000, MS / 10, false}, {1000000, 4 * MS, false}, {1000000, 5 * MS, true},
        {13500, 100 * MS, false},  {13501, 100 * MS, true},  {2700, 9000 * MS, false},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct qp_pacer pacer = paced(row[i].cwnd, row[i].rtt, 7 * MS);
        if (!CHECK((qp_pacer_allowance(&pacer, 7 * MS) != UINT64_MAX) == row[i].paced))
            printf("# row %zu\n", i);
    }
}

/* Sleeping until the release gives half a bucket, and half a bucket only. */
static void test_release(void)
{
    quicpro_tstamp now = 1000 * MS;
    struct qp_pacer pacer = paced(1000000, 100 * MS, now);
    CHECK_U64(qp_pacer_release(&pacer, false), <=, now);
    qp_pacer_sent(&pacer, 1000000, now);
    for (int i = 0; i < 100; i++) {
        const quicpro_tstamp at = qp_pacer_release(&pacer, false);
        CHECK_U64(at, >, now);
        CHECK_U64(at, <=, now + 3 * MS);
        CHECK_U64(qp_pacer_allowance(&pacer, at - 1), <=, pacer.burst / 2);
        now = at;
        const uint64_t sent = qp_pacer_allowance(&pacer, now);
        CHECK_U64(sent, >=, pacer.burst / 2);
        CHECK_U64(sent, <=, pacer.burst / 2 + PAYLOAD);
        qp_pacer_sent(&pacer, sent, now);
    }
}

/* What goes without being asked is paid back, but a flood of it does not stop the rest. */
static void test_debt(void)
{
    quicpro_tstamp now = 1000 * MS;
    struct qp_pacer pacer = paced(1000000, 100 * MS, now);
    qp_pacer_sent(&pacer, 1000000, now);
    qp_pacer_sent(&pacer, 10000, now);
    CHECK(qp_pacer_may_owe(&pacer, now));
    const quicpro_tstamp soon = qp_pacer_release(&pacer, false);
    CHECK_U64(qp_pacer_allowance(&pacer, now), ==, 0);
    for (int i = 0; i < 100000; i++)
        qp_pacer_sent(&pacer, PAYLOAD, now);
    CHECK_U64(qp_pacer_release(&pacer, false), >, soon);
    CHECK_U64(qp_pacer_release(&pacer, false), <=, now + 4 * MS);
    CHECK(!qp_pacer_may_owe(&pacer, now));
}

/* Where a bucket takes longer to fill than an acknowledgement may wait, that comes first. */
static void test_acknowledgements_are_not_late(void)
{
    quicpro_tstamp now = 1000 * MS;
    struct qp_pacer pacer = paced(20000, 1000 * MS, now); /* 40 bytes a ms */
    qp_pacer_sent(&pacer, 20000 + PAYLOAD * 8, now);
    CHECK_U64(qp_pacer_release(&pacer, false), >, now + 300 * MS);
    CHECK_U64(qp_pacer_release(&pacer, true), ==, now + 25 * MS);
    CHECK(!qp_pacer_may_owe(&pacer, now + 25 * MS - 1));
    CHECK(qp_pacer_may_owe(&pacer, now + 25 * MS));
}

/* Many looks, each too soon for a byte, lose nothing. */
static void test_small_steps_add_up(void)
{
    quicpro_tstamp now = 1000 * MS;
    struct qp_pacer pacer = paced(20000, 1000 * MS, now); /* 40 bytes a ms */
    qp_pacer_sent(&pacer, 20000, now);
    for (int i = 0; i < 10000; i++) /* in all 100 ms */
        qp_pacer_allowance(&pacer, now += MS / 100);
    CHECK_U64(qp_pacer_allowance(&pacer, now), >=, 3990);
    CHECK_U64(qp_pacer_allowance(&pacer, now), <=, 4000);
}

/* A clock that jumps back stands still; one that jumps ahead gives a window, not more. */
static void test_clock_jumps(void)
{
    quicpro_tstamp now = 1000 * QUICPRO_SECOND;
    struct qp_pacer pacer = paced(1000000, 100 * MS, now);
    qp_pacer_sent(&pacer, 1000000, now);
    const quicpro_tstamp release = qp_pacer_release(&pacer, false);
    CHECK_U64(qp_pacer_allowance(&pacer, 0), ==, 0);
    CHECK_U64(qp_pacer_allowance(&pacer, now - QUICPRO_SECOND), ==, 0);
    qp_pacer_sent(&pacer, 0, 0);
    qp_pacer_update(&pacer, 1000000, 100 * MS, PAYLOAD, 10, 0, 0);
    CHECK_U64(qp_pacer_release(&pacer, false), ==, release);
    CHECK_U64(qp_pacer_allowance(&pacer, release), >, 0);
    CHECK_U64(qp_pacer_allowance(&pacer, QUICPRO_FOREVER - 1), ==, 1000000);
    CHECK_U64(qp_pacer_release(&pacer, false), <, QUICPRO_FOREVER);
}

/* Never faster than what is let, on whatever path: not on loopback, not in the first flight, not
 * after silence. */
static void test_a_rate_that_is_not_exceeded(void)
{
    static const struct {
        uint64_t cwnd, rtt, max_rate, burst;
    } row[] = {
        {1000000, MS / 20, 125000, 10 * PAYLOAD},
        {1000000, 100 * MS, 125000, 10 * PAYLOAD},
        {50000000, 10 * MS, 125000000, 250000},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct qp_pacer pacer = {0};
        quicpro_tstamp now = 1000 * MS;
        qp_pacer_update(&pacer, row[i].cwnd, row[i].rtt, PAYLOAD, 10, row[i].max_rate, now);
        CHECK_U64(qp_pacer_allowance(&pacer, now), ==, row[i].burst);
        const uint64_t first = send_for(&pacer, &now, QUICPRO_SECOND);
        CHECK_U64(first, <=, row[i].max_rate + row[i].burst);
        CHECK_U64(first, >=, row[i].max_rate);
        now += QUICPRO_SECOND; /* the path is empty */
        CHECK_U64(qp_pacer_allowance(&pacer, now), ==, row[i].burst);
        /* A window that is slower by itself counts as ever. */
        qp_pacer_update(&pacer, 20000, 1000 * MS, PAYLOAD, 10, row[i].max_rate, now);
        CHECK_U64(pacer.rate, <=, 40000);
    }
}

static void test_due(void)
{
    struct qp_pacer pacer = paced(1000000, 80 * MS, 1000 * MS);
    CHECK(!qp_pacer_is_due(&pacer, 1000 * MS));
    CHECK(!qp_pacer_is_due(&pacer, 1010 * MS - 1));
    CHECK(qp_pacer_is_due(&pacer, 1010 * MS));
    pacer = paced(1000000, MS / 10, 1000 * MS); /* on loopback a look costs more than it gives */
    CHECK(!qp_pacer_is_due(&pacer, 1000 * MS + MS / 2 - 1));
    CHECK(qp_pacer_is_due(&pacer, 1000 * MS + MS / 2));
}

/* Whatever the numbers: never more than the rate, a bucket and a window let, no overflow. */
static void test_any_numbers(void)
{
    uint64_t seed = 7;
    for (int round = 0; round < 200; round++) {
        struct qp_pacer pacer = {0};
        quicpro_tstamp now = check_random(&seed) % (UINT64_C(1) << 50);
        for (int i = 0; i < 200; i++) {
            const uint64_t cwnd = check_random(&seed) >> (24 + check_random(&seed) % 40);
            const uint64_t rtt = check_random(&seed) >> (20 + check_random(&seed) % 44);
            qp_pacer_update(&pacer, cwnd, rtt, 1200 + check_random(&seed) % 64000,
                            1 + check_random(&seed) % 10000,
                            check_random(&seed) >> (16 + check_random(&seed) % 48), now);
            now += check_random(&seed) >> (24 + check_random(&seed) % 40);
            const uint64_t may = qp_pacer_allowance(&pacer, now);
            if (pacer.rate != 0)
                CHECK_U64(may, <=, pacer.burst > pacer.window ? pacer.burst : pacer.window);
            qp_pacer_sent(&pacer, check_random(&seed) % 1000000, now);
            CHECK_U64(qp_pacer_release(&pacer, false), >=, pacer.filled);
            CHECK_U64(qp_pacer_release(&pacer, false), <, QUICPRO_FOREVER);
        }
    }
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_nothing_is_paced_before_it_is_known),
        TEST(test_rate),
        TEST(test_a_burst_is_bounded),
        TEST(test_after_silence),
        TEST(test_short_round_trips_are_not_paced),
        TEST(test_release),
        TEST(test_debt),
        TEST(test_acknowledgements_are_not_late),
        TEST(test_small_steps_add_up),
        TEST(test_clock_jumps),
        TEST(test_a_rate_that_is_not_exceeded),
        TEST(test_due),
        TEST(test_any_numbers),
    };
    return RUN(tests);
}
