#include "quic/raw_stream.h"

#include "raw_pair.h"

static void test_bytes_travel_both_ways(void)
{
    static struct raw_pair rp;
    raw_open(&rp, NULL, 0);
    for (int server = 0; server < 2; server++)
        for (int bidi = 0; bidi < 2; bidi++) {
            struct raw_side *other = server ? &rp.client : &rp.server;
            quicpro_stream mine = raw_send(&rp, server, bidi, "hello", 5, 1);
            raw_until(&rp, !server, QUICPRO_EVENT_READABLE, 1);
            CHECK_U64(other->count[QUICPRO_EVENT_STREAM], ==, 1);
            CHECK_U64(other->last[QUICPRO_EVENT_STREAM].flags, ==, bidi ? 0 : QUICPRO_FLAG_UNI);
            CHECK_U64(other->last[QUICPRO_EVENT_STREAM].stream_id, ==,
                      (bidi ? 0 : 2) | (unsigned)server);
            quicpro_stream theirs = other->last[QUICPRO_EVENT_STREAM].stream;
            CHECK_U64(other->last[QUICPRO_EVENT_READABLE].stream, ==, theirs);
            raw_expect(&rp, !server, theirs, "hello", 1);
            if (bidi) {
                int fin;
                char byte;
                CHECK_INT(quicpro_stream_read(raw_loop(&rp, !server), theirs, &byte, 1, &fin, NULL),
                          ==, QUICPRO_ESTATE);
                CHECK_INT(quicpro_stream_write(raw_loop(&rp, !server), theirs, "world!", 6, 1), ==,
                          0);
                raw_until(&rp, server, QUICPRO_EVENT_READABLE, 1);
                raw_expect(&rp, server, mine, "world!", 1);
            }
            raw_until_idle(&rp);
            CHECK_INT(quicpro_stream_write(raw_loop(&rp, server), mine, "x", 1, 0), ==,
                      QUICPRO_ESTALE);
            CHECK_INT(quicpro_stream_write(raw_loop(&rp, !server), theirs, "x", 1, 0), ==,
                      QUICPRO_ESTALE);
            memset(rp.client.count, 0, sizeof(rp.client.count));
            memset(rp.server.count, 0, sizeof(rp.server.count));
        }
    pair_done(&rp.p);
}

static void test_one_direction_ends_before_the_other(void)
{
    static struct raw_pair rp;
    raw_open(&rp, NULL, 0);
    quicpro_stream mine = raw_send(&rp, false, 1, "question", 8, 1);
    raw_until(&rp, true, QUICPRO_EVENT_READABLE, 1);
    quicpro_stream theirs = rp.server.stream[0];
    raw_expect(&rp, true, theirs, "question", 1);
    for (unsigned i = 1; i <= 5; i++) {
        CHECK_INT(quicpro_stream_write(rp.p.server_loop, theirs, "part", 4, 0), ==, 0);
        raw_until(&rp, false, QUICPRO_EVENT_READABLE, i);
        raw_expect(&rp, false, mine, "part", 0);
    }
    CHECK_INT(quicpro_stream_write(rp.p.client_loop, mine, "x", 1, 0), ==, QUICPRO_ESTATE);
    CHECK_INT(quicpro_stream_write(rp.p.server_loop, theirs, NULL, 0, 1), ==, 0);
    raw_until(&rp, false, QUICPRO_EVENT_READABLE, 6);
    raw_expect(&rp, false, mine, "", 1);
    raw_until_idle(&rp);
    pair_done(&rp.p);
}

/* READABLE comes once for what was not read to its end, and again after that. */
static void test_readable_is_told_once(void)
{
    static struct raw_pair rp;
    char buf[8];
    int fin;
    raw_open(&rp, NULL, 0);
    quicpro_stream mine = raw_send(&rp, false, 1, "abcdef", 6, 0);
    raw_until(&rp, true, QUICPRO_EVENT_READABLE, 1);
    quicpro_stream theirs = rp.server.stream[0];
    CHECK_INT(quicpro_stream_read(rp.p.server_loop, theirs, buf, 2, &fin, NULL), ==, 2);
    /* More comes, and another stream's event tells when it is here. */
    CHECK_INT(quicpro_stream_write(rp.p.client_loop, mine, "gh", 2, 0), ==, 0);
    raw_send(&rp, false, 0, "x", 1, 1);
    raw_until(&rp, true, QUICPRO_EVENT_STREAM, 2);
    CHECK_U64(rp.server.count[QUICPRO_EVENT_READABLE], ==, 2);
    CHECK_U64(rp.server.last[QUICPRO_EVENT_READABLE].stream, ==, rp.server.stream[1]);
    CHECK_INT(quicpro_stream_read(rp.p.server_loop, theirs, buf, 6, &fin, NULL), ==, 6);
    CHECK_MEM(buf, "cdefgh", 6);
    CHECK_INT(quicpro_stream_read(rp.p.server_loop, theirs, buf, 6, &fin, NULL), ==,
              QUICPRO_EAGAIN);
    CHECK_INT(quicpro_stream_write(rp.p.client_loop, mine, "i", 1, 0), ==, 0);
    raw_until(&rp, true, QUICPRO_EVENT_READABLE, 3);
    CHECK_U64(rp.server.last[QUICPRO_EVENT_READABLE].stream, ==, theirs);
    raw_expect(&rp, true, theirs, "i", 0); /* fewer than asked for: that is all */
    CHECK_INT(quicpro_stream_write(rp.p.client_loop, mine, "j", 1, 0), ==, 0);
    raw_until(&rp, true, QUICPRO_EVENT_READABLE, 4);
    raw_expect(&rp, true, theirs, "j", 0);
    pair_done(&rp.p);
}

enum { FLOW = 1 << 20, FLOW_CHUNK = 10000 };

/* A mebibyte in each direction of one stream, as fast as the other side lets. */
struct flow {
    struct flow_side {
        quicpro_stream stream;
        size_t sent, got;
        unsigned again, writable;
        bool fin, wrong;
    } side[2];
};

static uint8_t flow_byte(int server, size_t offset)
{
    return (uint8_t)(offset * 31 + (offset >> 8) * 7 + (offset >> 16) + (size_t)server * 101);
}

static void flow_pump(struct raw_pair *rp, int server)
{
    struct flow_side *f = &((struct flow *)rp->data)->side[server];
    uint8_t chunk[FLOW_CHUNK];
    while (f->sent < FLOW) {
        size_t n = FLOW - f->sent < sizeof(chunk) ? FLOW - f->sent : sizeof(chunk);
        for (size_t i = 0; i < n; i++)
            chunk[i] = flow_byte(server, f->sent + i);
        int r =
            quicpro_stream_write(raw_loop(rp, server), f->stream, chunk, n, f->sent + n == FLOW);
        if (r == QUICPRO_EAGAIN) {
            f->again++;
            return;
        }
        if (!CHECK_INT(r, ==, 0))
            return;
        f->sent += n;
    }
}

static void flow_take(struct raw_pair *rp, int server)
{
    struct flow_side *f = &((struct flow *)rp->data)->side[server];
    uint8_t buf[3000];
    int64_t n;
    int fin = 0;
    while (!fin && (n = quicpro_stream_read(raw_loop(rp, server), f->stream, buf, sizeof(buf), &fin,
                                            NULL)) >= 0) {
        for (int64_t i = 0; i < n; i++)
            f->wrong |= buf[i] != flow_byte(!server, f->got + (size_t)i);
        f->got += (size_t)n;
    }
    f->fin |= fin;
}

static void flow_event(struct raw_pair *rp, bool server, const quicpro_event *event)
{
    struct flow *flow = rp->data;
    if (event->type == QUICPRO_EVENT_STREAM) {
        flow->side[server].stream = event->stream;
        flow_pump(rp, server);
    } else if (event->type == QUICPRO_EVENT_READABLE) {
        flow_take(rp, server);
    } else if (event->type == QUICPRO_EVENT_WRITABLE) {
        flow->side[server].writable++;
        flow_pump(rp, server);
    }
}

static void test_a_mebibyte_each_way(void)
{
    static const struct raw_option option[] = {
        {false, "send_queue_bytes", "65536"},
        {true, "send_queue_bytes", "65536"},
    };
    static struct raw_pair rp;
    struct flow flow = {0};
    raw_open(&rp, option, COUNTOF(option));
    rp.data = &flow;
    rp.on_event = flow_event;
    CHECK_INT(quicpro_stream_open(rp.p.client_loop, rp.p.conn, 1, NULL, &flow.side[0].stream), ==,
              0);
    flow_pump(&rp, 0);
    quicpro_tstamp end = quicpro_now() + PAIR_DEADLINE_S * QUICPRO_SECOND;
    while (!(flow.side[0].fin && flow.side[1].fin) && quicpro_now() < end)
        pair_step(&rp.p);
    for (size_t i = 0; i < 2; i++) {
        CHECK_U64(flow.side[i].got, ==, FLOW);
        CHECK(!flow.side[i].wrong);
        CHECK_U64(flow.side[i].again, >, 0);
        CHECK_U64(flow.side[i].writable, ==, flow.side[i].again);
    }
    raw_until_idle(&rp);
    pair_done(&rp.p);
}

static void test_resets_and_stops_carry_codes(void)
{
    static struct raw_pair rp;
    uint64_t code = 0;
    int fin;
    char buf[10];
    raw_open(&rp, NULL, 0);
    quicpro_stream mine = raw_send(&rp, false, 1, "abc", 3, 0);
    raw_until(&rp, true, QUICPRO_EVENT_READABLE, 1);
    quicpro_stream theirs = rp.server.stream[0];
    raw_expect(&rp, true, theirs, "abc", 0);
    /* Our side of sending ends: the peer's read says why. */
    CHECK_INT(quicpro_stream_shutdown(rp.p.client_loop, mine, QUICPRO_SHUT_WRITE, 7), ==, 0);
    CHECK_INT(quicpro_stream_shutdown(rp.p.client_loop, mine, QUICPRO_SHUT_WRITE, 8), ==, 0);
    CHECK_INT(quicpro_stream_write(rp.p.client_loop, mine, "x", 1, 0), ==, QUICPRO_ESTATE);
    raw_until(&rp, true, QUICPRO_EVENT_READABLE, 2);
    CHECK_INT(quicpro_stream_read(rp.p.server_loop, theirs, buf, sizeof(buf), &fin, &code), ==,
              QUICPRO_ERESET);
    CHECK_U64(code, ==, 7);
    CHECK_INT(quicpro_stream_read(rp.p.server_loop, theirs, buf, sizeof(buf), &fin, &code), ==,
              QUICPRO_ESTATE);
    /* The other direction is as it was. */
    CHECK_INT(quicpro_stream_write(rp.p.server_loop, theirs, "still", 5, 0), ==, 0);
    raw_until(&rp, false, QUICPRO_EVENT_READABLE, 1);
    raw_expect(&rp, false, mine, "still", 0);
    /* And ends when we want no more of it. */
    CHECK_INT(quicpro_stream_shutdown(rp.p.client_loop, mine, QUICPRO_SHUT_READ, 9), ==, 0);
    CHECK_INT(quicpro_stream_shutdown(rp.p.client_loop, mine, QUICPRO_SHUT_READ, 9), ==,
              QUICPRO_ESTALE);
    raw_until(&rp, true, QUICPRO_EVENT_STOPPED, 1);
    CHECK_U64(rp.server.last[QUICPRO_EVENT_STOPPED].code, ==, 9);
    CHECK_U64(rp.server.last[QUICPRO_EVENT_STOPPED].flags, ==, QUICPRO_FLAG_REMOTE);
    CHECK_INT(quicpro_stream_write(rp.p.server_loop, theirs, "x", 1, 0), ==, QUICPRO_ESTALE);
    raw_until_idle(&rp);

    /* A stopped stream whose other direction goes on. */
    mine = raw_send(&rp, false, 1, "abc", 3, 0);
    raw_until(&rp, true, QUICPRO_EVENT_READABLE, 3);
    theirs = rp.server.stream[1];
    CHECK_INT(quicpro_stream_shutdown(rp.p.server_loop, theirs, QUICPRO_SHUT_READ, 11), ==, 0);
    CHECK_INT(quicpro_stream_read(rp.p.server_loop, theirs, buf, sizeof(buf), &fin, NULL), ==,
              QUICPRO_ESTATE);
    raw_until(&rp, false, QUICPRO_EVENT_STOPPED, 1);
    CHECK_U64(rp.client.last[QUICPRO_EVENT_STOPPED].code, ==, 11);
    CHECK_INT(quicpro_stream_write(rp.p.client_loop, mine, "x", 1, 0), ==, QUICPRO_ERESET);
    CHECK_INT(quicpro_stream_write(rp.p.server_loop, theirs, "bye", 3, 1), ==, 0);
    raw_until(&rp, false, QUICPRO_EVENT_READABLE, 2);
    raw_expect(&rp, false, mine, "bye", 1);
    raw_until_idle(&rp);

    /* Both at once, silently here. */
    mine = raw_send(&rp, false, 1, "abc", 3, 0);
    raw_until(&rp, true, QUICPRO_EVENT_READABLE, 4);
    theirs = rp.server.stream[2];
    CHECK_INT(quicpro_stream_reset(rp.p.client_loop, mine, 13), ==, 0);
    CHECK_INT(quicpro_stream_reset(rp.p.client_loop, mine, 13), ==, QUICPRO_ESTALE);
    raw_until(&rp, true, QUICPRO_EVENT_STOPPED, 2);
    CHECK_INT(quicpro_stream_read(rp.p.server_loop, theirs, buf, sizeof(buf), &fin, &code), ==,
              QUICPRO_ERESET);
    CHECK_U64(code, ==, 13);
    raw_until_idle(&rp);
    pair_done(&rp.p);
}

/* The end has arrived, and is not acknowledged yet: its sender may still take all of it back. */
static void test_a_reset_behind_the_end_is_heard_of(void)
{
    static struct raw_pair rp;
    uint64_t code = 0;
    int fin;
    char buf[10];
    raw_open(&rp, NULL, 0);
    for (unsigned round = 0; round < 2; round++) {
        quicpro_stream mine = raw_send(&rp, false, 1, "abc", 3, 1);
        raw_until(&rp, true, QUICPRO_EVENT_READABLE, 2 * round + 1);
        quicpro_stream theirs = rp.server.stream[2 * round];
        if (round == 1) /* a part of it was read */
            CHECK_INT(quicpro_stream_read(rp.p.server_loop, theirs, buf, 1, &fin, NULL), ==, 1);
        CHECK_INT(quicpro_stream_reset(rp.p.client_loop, mine, 21 + round), ==, 0);
        raw_send(&rp, false, 0, "x", 1, 1); /* tells when the reset is there */
        raw_until(&rp, true, QUICPRO_EVENT_STREAM, 2 * round + 2);
        CHECK_INT(quicpro_stream_read(rp.p.server_loop, theirs, buf, sizeof(buf), &fin, &code), ==,
                  QUICPRO_ERESET);
        CHECK_U64(code, ==, 21 + round);
    }
    pair_done(&rp.p);
}

static void test_what_a_direction_does_not_do(void)
{
    static struct raw_pair rp;
    char buf[4];
    int fin;
    raw_open(&rp, NULL, 0);
    quicpro_stream mine = raw_send(&rp, false, 0, "abc", 3, 0);
    raw_until(&rp, true, QUICPRO_EVENT_READABLE, 1);
    quicpro_stream theirs = rp.server.stream[0];
    quicpro_loop *c = rp.p.client_loop, *s = rp.p.server_loop;
    CHECK_INT(quicpro_stream_read(c, mine, buf, 4, &fin, NULL), ==, QUICPRO_ESTATE);
    CHECK_INT(quicpro_stream_write(s, theirs, "x", 1, 0), ==, QUICPRO_ESTATE);
    CHECK_INT(quicpro_stream_shutdown(c, mine, QUICPRO_SHUT_READ, 0), ==, QUICPRO_ESTATE);
    CHECK_INT(quicpro_stream_shutdown(s, theirs, QUICPRO_SHUT_WRITE, 0), ==, QUICPRO_ESTATE);
    CHECK_INT(quicpro_stream_shutdown(s, theirs, 0, 0), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_stream_shutdown(s, theirs, 4, 0), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_stream_set_priority(s, theirs, 3, 1), ==, QUICPRO_ESTATE);
    CHECK_INT(quicpro_stream_set_priority(c, mine, 8, 1), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_stream_read(s, theirs, buf, 0, &fin, NULL), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_stream_read(s, theirs, NULL, 4, &fin, NULL), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_stream_read(s, theirs, buf, 4, NULL, NULL), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_stream_write(c, mine, NULL, 1, 0), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_stream_write(c, mine, NULL, 0, 0), ==, 0);
    raw_expect(&rp, true, theirs, "abc", 0);
    pair_done(&rp.p);
}

/* Which of the streams ended first, by their places in `order`. */
static quicpro_stream order[4];
static size_t ordered;

static void order_event(struct raw_pair *rp, bool server, const quicpro_event *event)
{
    static uint8_t buf[65536];
    int fin = 0;
    if (!server || event->type != QUICPRO_EVENT_READABLE)
        return;
    while (!fin &&
           quicpro_stream_read(rp->p.server_loop, event->stream, buf, sizeof(buf), &fin, NULL) >= 0)
        ;
    if (fin && ordered < COUNTOF(order))
        order[ordered++] = event->stream_id;
}

/* What is urgent overtakes what was written before it. */
static void test_priorities_order_what_waits(void)
{
    static struct raw_pair rp;
    static uint8_t bulk[4 << 20];
    quicpro_stream s[3];
    raw_open(&rp, NULL, 0);
    rp.on_event = order_event;
    ordered = 0;
    for (size_t i = 0; i < 3; i++)
        CHECK_INT(quicpro_stream_open(rp.p.client_loop, rp.p.conn, 0, NULL, &s[i]), ==, 0);
    CHECK_INT(quicpro_stream_set_priority(rp.p.client_loop, s[0], 7, 1), ==, 0);
    CHECK_INT(quicpro_stream_write(rp.p.client_loop, s[0], bulk, sizeof(bulk), 1), ==, 0);
    CHECK_INT(quicpro_stream_write(rp.p.client_loop, s[1], bulk, 300000, 1), ==, 0);
    CHECK_INT(quicpro_stream_write(rp.p.client_loop, s[2], bulk, 600000, 1), ==, 0);
    CHECK_INT(quicpro_stream_set_priority(rp.p.client_loop, s[2], 0, 0), ==, 0);
    quicpro_tstamp end = quicpro_now() + PAIR_DEADLINE_S * QUICPRO_SECOND;
    while (ordered < 3 && quicpro_now() < end)
        pair_step(&rp.p);
    CHECK_U64(ordered, ==, 3);
    CHECK_U64(order[0], ==, 10);
    CHECK_U64(order[1], ==, 6);
    CHECK_U64(order[2], ==, 2);
    raw_until_idle(&rp);
    pair_done(&rp.p);
}

static void refuse_event(struct raw_pair *rp, bool server, const quicpro_event *event)
{
    if (server && event->type == QUICPRO_EVENT_STREAM)
        CHECK_INT(quicpro_stream_reset(rp->p.server_loop, event->stream, 5), ==, 0);
}

/* Streams that are refused unread are forgotten, and others take their places. */
static void test_refused_streams_leave_their_places(void)
{
    static const struct raw_option option[] = {
        {true, "initial_max_streams_uni", "10"},
        {true, "initial_max_streams_bidi", "10"},
    };
    for (int bidi = 0; bidi < 2; bidi++) {
        static struct raw_pair rp;
        unsigned made = 0;
        raw_open(&rp, option, COUNTOF(option));
        rp.on_event = refuse_event;
        quicpro_tstamp end = quicpro_now() + PAIR_DEADLINE_S / 6 * QUICPRO_SECOND;
        while (made < 100 && quicpro_now() < end) {
            quicpro_stream stream;
            int r = quicpro_stream_open(rp.p.client_loop, rp.p.conn, bidi, NULL, &stream);
            if (r == 0) {
                made++;
                CHECK_INT(quicpro_stream_write(rp.p.client_loop, stream, "abc", 3, made % 2), ==,
                          0);
                if (bidi)
                    quicpro_stream_shutdown(rp.p.client_loop, stream, QUICPRO_SHUT_READ, 1);
                continue;
            }
            CHECK_INT(r, ==, QUICPRO_ELIMIT);
            pair_step(&rp.p);
        }
        CHECK_U64(made, ==, 100);
        pair_done(&rp.p);
    }
}

static const struct check_test tests[] = {
    TEST(test_bytes_travel_both_ways),
    TEST(test_one_direction_ends_before_the_other),
    TEST(test_readable_is_told_once),
    TEST(test_a_mebibyte_each_way),
    TEST(test_resets_and_stops_carry_codes),
    TEST(test_a_reset_behind_the_end_is_heard_of),
    TEST(test_what_a_direction_does_not_do),
    TEST(test_priorities_order_what_waits),
    TEST(test_refused_streams_leave_their_places),
};

int main(void)
{
    return RUN(tests);
}
