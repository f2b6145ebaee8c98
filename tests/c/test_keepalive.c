/* Time is the test's: a loop's clock does not run backwards, so one that is put ahead stands still
 * until it is put further. */
#include "pair.h"

#include "loop/loop.h"

static const quicpro_tstamp MS = QUICPRO_MILLISECOND;

static struct qp_link *only_link(quicpro_loop *loop)
{
    uint32_t cursor = 0;
    quicpro_handle handle;
    return qp_slab_next(&loop->links, &cursor, &handle);
}

static struct qp_engine_stats stats_of(quicpro_loop *loop)
{
    struct qp_engine_stats stats = {0};
    const struct qp_link *link = only_link(loop);
    if (link != NULL && link->conn.impl != NULL)
        link->conn.engine->get_stats(link->conn.impl, &stats);
    return stats;
}

/* Until nothing of either side is under way, and both know it. */
static void settle(struct pair *p)
{
    struct qp_engine_stats c, s;
    bool quiet = false;
    while (!quiet) {
        quicpro_loop_flush(p->client_loop);
        quicpro_loop_flush(p->server_loop);
        c = stats_of(p->client_loop);
        s = stats_of(p->server_loop);
        quiet = c.packets_in == s.packets_out && s.packets_in == c.packets_out &&
                !p->client_loop->again && !p->server_loop->again;
        if (!quiet)
            pair_step(p);
    }
}

/* Connected, all said, at the time that is returned; it stands still. */
static quicpro_tstamp begin(struct pair *p, const char *ping_ms, const char *idle_ms)
{
    const quicpro_tstamp ahead = quicpro_now() + 3600 * QUICPRO_SECOND;
    pair_init(p, "localhost");
    quicpro_config_set(p->client_config, "ping_interval_ms", ping_ms);
    quicpro_config_set(p->client_config, "max_idle_timeout_ms", idle_ms);
    quicpro_config_set(p->server_config, "max_idle_timeout_ms", "0");
    pair_start(p);
    p->client_loop->now = p->server_loop->now = ahead;
    CHECK_INT(pair_connect(p, "127.0.0.1"), ==, 0);
    CHECK(pair_until(p, &p->connected));
    settle(p);
    return ahead;
}

/* One turn of the client alone, at a time; packets it made. */
static uint64_t client_at(struct pair *p, quicpro_tstamp now)
{
    const uint64_t before = stats_of(p->client_loop).packets_out;
    p->client_loop->now = now;
    pair_run(p, false);
    quicpro_loop_flush(p->client_loop);
    return stats_of(p->client_loop).packets_out - before;
}

static void hear(struct pair *p, quicpro_tstamp now)
{
    p->server_loop->now = p->client_loop->now = now;
    settle(p);
}

static void test_silence_is_broken(void)
{
    struct pair p;
    quicpro_tstamp now = begin(&p, "1000", "0");
    for (int i = 0; i < 20; i++) {
        CHECK_U64(client_at(&p, now + 999 * MS), ==, 0);
        CHECK_U64(client_at(&p, now + 1000 * MS), ==, 1);
        now += 1000 * MS;
        hear(&p, now); /* the answer */
        CHECK_U64(only_link(p.client_loop)->heard_at, ==, now);
    }
    CHECK_INT(p.closed, ==, 0);
    pair_done(&p);
}

/* The default, and what a running client says. */
static void test_nothing_is_sent_unasked(void)
{
    struct pair p;
    const quicpro_tstamp now = begin(&p, "0", "0");
    CHECK_U64(client_at(&p, now + 3000 * QUICPRO_SECOND), ==, 0);
    CHECK_INT(quicpro_client_set_option(p.client, "ping_interval_ms", "1000"), ==, 0);
    qp_link_mark_dirty(only_link(p.client_loop)); /* the next packet or command does */
    quicpro_loop_flush(p.client_loop);
    CHECK_U64(client_at(&p, now + 3001 * QUICPRO_SECOND), ==, 1);
    pair_done(&p);
}

/* An interval that the idle timeout does not leave is a third of it. */
static void test_it_comes_before_the_idle_timeout(void)
{
    struct pair p;
    quicpro_tstamp now = begin(&p, "60000", "6000");
    for (int i = 0; i < 10; i++) {
        CHECK_U64(client_at(&p, now + 1999 * MS), ==, 0);
        CHECK_U64(client_at(&p, now + 2000 * MS), ==, 1);
        now += 2000 * MS;
        hear(&p, now);
    }
    CHECK_INT(p.closed, ==, 0);
    pair_done(&p);
}

/* The server says nothing any more: PINGs and their repetitions do not keep the connection. */
static void test_the_dead_are_not_kept(void)
{
    struct pair p;
    const quicpro_tstamp start = begin(&p, "1000", "6000");
    quicpro_tstamp now = start;
    uint64_t packets = 0;
    while (p.closed == 0 && now < start + 60000 * MS)
        packets += client_at(&p, now += 100 * MS);
    CHECK_INT(p.closed, ==, 1);
    CHECK_INT(p.closed_error, ==, QUICPRO_EIDLE);
    CHECK_U64(packets, >, 1);
    /* The first PING restarts the timer, nothing else does. */
    CHECK_U64(now, >=, start + 6900 * MS);
    CHECK_U64(now, <=, start + 7200 * MS);
    pair_done(&p);
}

/* Whoever knows the addresses can send what looks like packets; the engine throws it away. */
static void test_garbage_is_not_a_sign_of_life(void)
{
    struct pair p;
    const quicpro_tstamp start = begin(&p, "1000", "0");
    struct qp_link *link = only_link(p.client_loop);
    uint64_t packets = 0;
    for (int i = 1; i <= 100; i++) {
        uint8_t garbage[64] = {0x40, 1, 2, 3};
        const struct qp_udp_train train = {.data = garbage,
                                           .len = sizeof(garbage),
                                           .segment = sizeof(garbage),
                                           .peer = link->peer,
                                           .local = link->local};
        p.client_loop->now = start + (quicpro_tstamp)i * 100 * MS;
        qp_loop_now(p.client_loop);
        qp_port_route(link->port, &train, p.client_loop->now);
        CHECK_U64(link->heard_at, ==, p.client_loop->now);
        packets += client_at(&p, p.client_loop->now);
    }
    CHECK_U64(packets, >=, 4); /* ten seconds, every other one at the least */
    pair_done(&p);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_silence_is_broken),
        TEST(test_nothing_is_sent_unasked),
        TEST(test_it_comes_before_the_idle_timeout),
        TEST(test_the_dead_are_not_kept),
        TEST(test_garbage_is_not_a_sign_of_life),
    };
    return RUN(tests);
}
