#include "quic/raw.h"

#include "raw_pair.h"

static void test_a_hundred_streams_at_once(void)
{
    static struct raw_pair rp;
    raw_open(&rp, NULL, 0);
    for (size_t i = 0; i < 100; i++) {
        char text[16];
        snprintf(text, sizeof(text), "stream %zu", i);
        raw_send(&rp, false, 1, text, strlen(text), 1);
    }
    raw_until(&rp, true, QUICPRO_EVENT_READABLE, 100);
    CHECK_U64(rp.server.count[QUICPRO_EVENT_STREAM], ==, 100);
    for (size_t i = 0; i < 100; i++) {
        char text[16];
        snprintf(text, sizeof(text), "stream %zu", i);
        raw_expect(&rp, true, rp.server.stream[i], text, 1);
        CHECK_INT(
            quicpro_stream_write(rp.p.server_loop, rp.server.stream[i], text, strlen(text), 1), ==,
            0);
    }
    raw_until(&rp, false, QUICPRO_EVENT_READABLE, 100);
    quicpro_conn_info info = {.size = sizeof(info)};
    CHECK_INT(quicpro_conn_get_info(rp.p.client_loop, rp.p.conn, &info), ==, 0);
    CHECK_U64(info.streams, ==, 100);
    CHECK_STR(info.alpn, "echo");
    pair_done(&rp.p);
}

static void take_all(struct raw_pair *rp, bool server, const quicpro_event *event)
{
    uint8_t buf[4096];
    int fin = 0;
    if (event->type != QUICPRO_EVENT_READABLE)
        return;
    while (!fin && quicpro_stream_read(raw_loop(rp, server), event->stream, buf, sizeof(buf), &fin,
                                       NULL) >= 0)
        ;
    if (fin && server && (event->stream_id & 2) == 0)
        CHECK_INT(quicpro_stream_write(rp->p.server_loop, event->stream, "ok", 2, 1), ==, 0);
}

static void test_the_peers_limit_is_told_and_lifted(void)
{
    static const struct raw_option option[] = {
        {true, "initial_max_streams_uni", "3"},
        {true, "initial_max_streams_bidi", "3"},
    };
    static struct raw_pair rp;
    raw_open(&rp, option, COUNTOF(option));
    rp.on_event = take_all;
    for (int bidi = 0; bidi < 2; bidi++) {
        quicpro_stream s[3], more;
        const unsigned flags = bidi ? 0 : QUICPRO_FLAG_UNI;
        for (int i = 0; i < 3; i++)
            s[i] = raw_send(&rp, false, bidi, "x", 1, 0);
        CHECK_INT(quicpro_stream_open(rp.p.client_loop, rp.p.conn, bidi, NULL, &more), ==,
                  QUICPRO_ELIMIT);
        for (int i = 0; i < 3; i++)
            CHECK_INT(quicpro_stream_write(rp.p.client_loop, s[i], NULL, 0, 1), ==, 0);
        raw_until(&rp, false, QUICPRO_EVENT_STREAMS, (unsigned)bidi + 1);
        CHECK_U64(rp.client.last[QUICPRO_EVENT_STREAMS].flags, ==, flags);
        CHECK_U64(rp.client.last[QUICPRO_EVENT_STREAMS].conn, ==, rp.p.conn);
        raw_send(&rp, false, bidi, "x", 1, 1);
    }
    raw_until_idle(&rp);
    pair_done(&rp.p);
}

/* Ids that come in any order, and again when their streams have ended. */
static void test_streams_that_are_skipped_are_new_later(void)
{
    static struct raw_pair rp;
    static const uint64_t id[] = {20, 8, 12, 0, 4, 16};
    uint64_t code;
    raw_open(&rp, NULL, 0);
    struct qp_link *client = raw_link(&rp, false), *server = raw_link(&rp, true);
    for (size_t i = 0; i < COUNTOF(id); i++) {
        CHECK_INT(client->conn.engine->stream_send(client->conn.impl, id[i], (const uint8_t *)"abc",
                                                   3, 0, &code),
                  ==, 3);
        qp_link_mark_dirty(client);
        raw_until(&rp, true, QUICPRO_EVENT_READABLE, (unsigned)i + 1);
        CHECK_U64(rp.server.count[QUICPRO_EVENT_STREAM], ==, i + 1);
        CHECK_U64(rp.server.last[QUICPRO_EVENT_STREAM].stream_id, ==, id[i]);
        raw_expect(&rp, true, rp.server.stream[i], "abc", 0);
        if (i % 2 == 0)
            CHECK_INT(quicpro_stream_reset(rp.p.server_loop, rp.server.stream[i], 1), ==, 0);
    }
    CHECK_U64(server->raw.open, ==, 3);
    CHECK_U64(server->raw.seen[0].count, ==, 0);
    for (size_t i = 0; i < COUNTOF(id); i++)
        client->conn.engine->stream_send(client->conn.impl, id[i], (const uint8_t *)"def", 3, 1,
                                         &code);
    raw_send(&rp, false, 0, "x", 1, 1);
    raw_until(&rp, true, QUICPRO_EVENT_STREAM, COUNTOF(id) + 1);
    CHECK_U64(rp.server.last[QUICPRO_EVENT_STREAM].stream_id, ==, 2);
    CHECK_U64(server->raw.open, ==, 4);
    pair_done(&rp.p);
}

/* What one stream costs goes with it. */
static void test_many_streams_leave_nothing(void)
{
    static struct raw_pair rp;
    const unsigned rounds = getenv("QUICPRO_TEST_FULL") != NULL ? 10000 : 100;
    raw_open(&rp, NULL, 0);
    rp.on_event = take_all;
    struct qp_link *client = raw_link(&rp, false), *server = raw_link(&rp, true);
    unsigned made = 0, end = 0;
    for (unsigned round = 0; round < rounds; round++) {
        quicpro_stream stream;
        while (quicpro_stream_open(rp.p.client_loop, rp.p.conn, round % 2 == 0, NULL, &stream) ==
               0) {
            made++;
            CHECK_INT(quicpro_stream_write(rp.p.client_loop, stream, "abc", 3, 1), ==, 0);
        }
        if (!raw_until_idle(&rp) || !raw_until(&rp, false, QUICPRO_EVENT_STREAMS, ++end))
            break;
    }
    CHECK_U64(rp.server.count[QUICPRO_EVENT_STREAM], ==, made);
    CHECK_U64(made, >=, rounds * 2);
    CHECK_U64(server->raw.seen[0].capacity + server->raw.seen[1].capacity, <=, 64);
    CHECK_U64(server->raw.streams.capacity, <=, 16);
    CHECK_U64(client->raw.streams.capacity, <=, 16);
    CHECK_U64(rp.p.server_loop->raw_streams.capacity, <=, 256);
    quicpro_loop_stats stats = {.size = sizeof(stats)};
    CHECK_INT(quicpro_loop_get_stats(rp.p.client_loop, &stats), ==, 0);
    CHECK_U64(stats.streams, ==, 0);
    CHECK_U64(stats.streams_made, ==, made);
    pair_done(&rp.p);
}

static void test_datagrams(void)
{
    static const struct raw_option option[] = {
        {false, "datagrams_enable", "true"},
        {true, "datagrams_enable", "true"},
        {false, "dgram_send_queue_len", "4"},
    };
    static struct raw_pair rp;
    static uint8_t large[65536];
    raw_open(&rp, option, COUNTOF(option));
    quicpro_loop *c = rp.p.client_loop, *s = rp.p.server_loop;
    CHECK_INT(quicpro_datagram_send(c, rp.p.conn, "ping", 4), ==, 0);
    CHECK_INT(quicpro_datagram_send(c, rp.p.conn, NULL, 0), ==, 0);
    raw_until(&rp, true, QUICPRO_EVENT_DATAGRAM, 2);
    CHECK_U64(rp.server.data_len, ==, 4);
    CHECK_MEM(rp.server.data, "ping", 4);
    CHECK_U64(rp.server.last[QUICPRO_EVENT_DATAGRAM].len, ==, 0);
    CHECK_U64(rp.server.last[QUICPRO_EVENT_DATAGRAM].conn, ==, rp.server.conn);
    CHECK_INT(quicpro_datagram_send(s, rp.server.conn, "pong", 4), ==, 0);
    raw_until(&rp, false, QUICPRO_EVENT_DATAGRAM, 1);
    CHECK_MEM(rp.client.data, "pong", 4);

    int64_t max = quicpro_datagram_max(c, rp.p.conn);
    CHECK_INT(max, >=, 1000);
    CHECK_INT(max, <, (int64_t)sizeof(large));
    CHECK_INT(quicpro_datagram_send(c, rp.p.conn, large, (size_t)max + 1), ==, QUICPRO_E2BIG);
    CHECK_INT(quicpro_datagram_send(c, rp.p.conn, large, (size_t)max), ==, 0);
    raw_until(&rp, true, QUICPRO_EVENT_DATAGRAM, 3);
    CHECK_U64(rp.server.last[QUICPRO_EVENT_DATAGRAM].len, ==, max);

    for (size_t i = 0; i < 4; i++)
        CHECK_INT(quicpro_datagram_send(c, rp.p.conn, "x", 1), ==, 0);
    for (size_t i = 0; i < 3; i++)
        CHECK_INT(quicpro_datagram_send(c, rp.p.conn, "x", 1), ==, QUICPRO_EAGAIN);
    quicpro_loop_stats stats = {.size = sizeof(stats)};
    CHECK_INT(quicpro_loop_get_stats(c, &stats), ==, 0);
    CHECK_U64(stats.datagrams_refused, ==, 3);
    raw_until(&rp, true, QUICPRO_EVENT_DATAGRAM, 7);
    CHECK_INT(quicpro_datagram_send(c, rp.p.conn, "x", 1), ==, 0);
    CHECK_INT(quicpro_datagram_send(c, rp.p.conn, NULL, 1), ==, QUICPRO_EINVAL);
    pair_done(&rp.p);
}

static void test_datagrams_that_nobody_takes(void)
{
    for (int which = 0; which < 2; which++) {
        const struct raw_option option[] = {
            {which != 0, "datagrams_enable", "true"},
            {which == 0, "datagrams_enable", "false"},
        };
        static struct raw_pair rp;
        raw_open(&rp, option, COUNTOF(option));
        CHECK_INT(quicpro_datagram_send(rp.p.client_loop, rp.p.conn, "x", 1), ==, QUICPRO_ESTATE);
        CHECK_INT(quicpro_datagram_max(rp.p.client_loop, rp.p.conn), ==, QUICPRO_ESTATE);
        pair_done(&rp.p);
    }
}

/* One run takes no more than its share of them, and the next ones the rest. */
static void test_datagrams_of_one_turn_are_bounded(void)
{
    static const struct raw_option option[] = {
        {false, "datagrams_enable", "true"},
        {true, "datagrams_enable", "true"},
    };
    static struct raw_pair rp;
    static uint8_t data[1000];
    raw_open(&rp, option, COUNTOF(option));
    for (size_t i = 0; i < 20; i++)
        CHECK_INT(quicpro_datagram_send(rp.p.client_loop, rp.p.conn, data, sizeof(data)), ==, 0);
    /* All of them are in the engine before anybody looks. */
    struct qp_link *server = raw_link(&rp, true);
    server->raw.started = false;
    struct qp_engine_stats stats = {0};
    quicpro_tstamp end = quicpro_now() + PAIR_DEADLINE_S * QUICPRO_SECOND;
    while (stats.datagrams_in < 20 && quicpro_now() < end) {
        pair_step(&rp.p);
        server->conn.engine->get_stats(server->conn.impl, &stats);
    }
    CHECK_U64(stats.datagrams_in, ==, 20);
    server->raw.started = true;
    qp_raw_read(&server->raw, 5000);
    CHECK_U64(qp_batch_count(&rp.p.server_loop->batch), ==, 5);
    CHECK(qp_raw_has_unread(&server->raw));
    qp_link_mark_dirty(server);
    raw_until(&rp, true, QUICPRO_EVENT_DATAGRAM, 20);
    CHECK(!qp_raw_has_unread(&server->raw));
    pair_done(&rp.p);
}

static void test_codes_of_a_close_are_the_applications(void)
{
    static const struct {
        uint64_t code;
        const char *reason;
        int error;
        const char *says;
    } row[] = {
        {0, "", 0, "closed by the peer with application code 0"},
        {42, "bye", QUICPRO_ECLOSED, "closed by the peer with application code 42 (bye)"},
        {0x100, "", QUICPRO_ECLOSED, "closed by the peer with application code 256"},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        static struct raw_pair rp;
        raw_open(&rp, NULL, 0);
        raw_send(&rp, false, 1, "abc", 3, 0);
        raw_until(&rp, true, QUICPRO_EVENT_READABLE, 1);
        CHECK_INT(quicpro_conn_close(rp.p.server_loop, rp.server.conn, row[i].code, row[i].reason),
                  ==, 0);
        raw_until(&rp, false, QUICPRO_EVENT_CLOSED, 1);
        const quicpro_event *closed = &rp.client.last[QUICPRO_EVENT_CLOSED];
        CHECK_INT(closed->error, ==, row[i].error);
        CHECK_U64(closed->code, ==, row[i].code);
        CHECK_U64(closed->flags, ==, QUICPRO_FLAG_APP | QUICPRO_FLAG_REMOTE);
        CHECK_STR(rp.client.text, row[i].says);
        CHECK_U64(rp.client.count[QUICPRO_EVENT_RESET], ==, 1);
        CHECK_INT(rp.client.last[QUICPRO_EVENT_RESET].error, ==,
                  row[i].error == 0 ? QUICPRO_ECLOSED : row[i].error);
        raw_until(&rp, true, QUICPRO_EVENT_CLOSED, 1);
        CHECK_INT(rp.server.last[QUICPRO_EVENT_CLOSED].error, ==, 0);
        raw_until_idle(&rp);
        pair_done(&rp.p);
    }
}

/* Between the command and the CLOSED event nothing is taken that nobody would send. */
static void test_nothing_is_taken_after_a_close(void)
{
    static const struct raw_option option[] = {{true, "datagrams_enable", "true"},
                                               {false, "datagrams_enable", "true"}};
    static struct raw_pair rp;
    quicpro_stream other;
    raw_open(&rp, option, COUNTOF(option));
    quicpro_stream stream = raw_send(&rp, false, 1, "abc", 3, 0);
    CHECK_INT(quicpro_conn_close(rp.p.client_loop, rp.p.conn, 0, NULL), ==, 0);
    CHECK_INT(quicpro_stream_write(rp.p.client_loop, stream, "x", 1, 0), ==, QUICPRO_ESTALE);
    CHECK_INT(quicpro_stream_open(rp.p.client_loop, rp.p.conn, 1, NULL, &other), ==,
              QUICPRO_ESTALE);
    CHECK_INT(quicpro_datagram_send(rp.p.client_loop, rp.p.conn, "x", 1), ==, QUICPRO_ESTALE);
    raw_until(&rp, false, QUICPRO_EVENT_CLOSED, 1);
    raw_until_idle(&rp);
    pair_done(&rp.p);
}

/* The peer has all of it before it hears of the end, whatever is lost on the way. */
static void test_a_connection_is_finished(void)
{
    enum { BYTES = 60000 };
    static struct raw_pair rp;
    static uint8_t data[BYTES];
    struct net net = {.now = 1, .delay = 10 * QUICPRO_MILLISECOND, .seed = 7};
    raw_open_on(&rp, &net, NULL, 0);
    net.loss = 200;
    memset(data, 'a', sizeof(data));
    quicpro_stream stream = raw_send(&rp, false, 1, data, BYTES, 0); /* and without an end */
    CHECK_INT(quicpro_conn_finish(rp.p.client_loop, rp.p.conn, 3, "done"), ==, 0);
    CHECK_INT(quicpro_conn_finish(rp.p.client_loop, rp.p.conn, 4, "twice"), ==, 0);
    CHECK_INT(quicpro_stream_write(rp.p.client_loop, stream, "x", 1, 0), ==, QUICPRO_ESTALE);
    raw_until(&rp, true, QUICPRO_EVENT_CLOSED, 1);
    CHECK_U64(net.lost[1], >, 0);
    CHECK_U64(rp.server.last[QUICPRO_EVENT_CLOSED].code, ==, 3);
    CHECK_U64(rp.server.data_len, ==, BYTES); /* it has read nothing before */
    CHECK_MEM(rp.server.data, data, BYTES);
    raw_until(&rp, false, QUICPRO_EVENT_CLOSED, 1);
    CHECK_INT(rp.client.last[QUICPRO_EVENT_CLOSED].error, ==, 0);
    raw_until_idle(&rp);
    pair_done(&rp.p);
}

/* A peer that gives no credit holds it up, but not a close. */
static void test_a_finish_that_takes_too_long(void)
{
    static const struct raw_option option[] = {
        {true, "initial_max_stream_data_bidi_remote_bytes", "1000"}};
    static struct raw_pair rp;
    static uint8_t data[20000];
    struct net net = {.now = 1, .delay = 10 * QUICPRO_MILLISECOND};
    raw_open_on(&rp, &net, option, COUNTOF(option));
    raw_send(&rp, false, 1, data, sizeof(data), 1);
    CHECK_INT(quicpro_conn_finish(rp.p.client_loop, rp.p.conn, 0, NULL), ==, 0);
    pair_pass(&rp.p, 5 * QUICPRO_SECOND);
    CHECK_U64(rp.client.count[QUICPRO_EVENT_CLOSED], ==, 0);
    CHECK_U64(rp.server.count[QUICPRO_EVENT_CLOSED], ==, 0);
    CHECK_INT(quicpro_conn_close(rp.p.client_loop, rp.p.conn, 9, NULL), ==, 0);
    raw_until(&rp, true, QUICPRO_EVENT_CLOSED, 1);
    CHECK_U64(rp.server.last[QUICPRO_EVENT_CLOSED].code, ==, 9);
    raw_until(&rp, false, QUICPRO_EVENT_CLOSED, 1);
    raw_until_idle(&rp);
    pair_done(&rp.p);
}

/* What was received and not read is handed out before the connection's end. */
static void test_what_was_not_read_comes_before_the_end(void)
{
    static struct raw_pair rp;
    static uint8_t bulk[40000];
    char buf[3];
    int fin;
    raw_open(&rp, NULL, 0);
    for (size_t i = 0; i < sizeof(bulk); i++)
        bulk[i] = (uint8_t)(i * 7 + (i >> 8));
    quicpro_stream mine = raw_send(&rp, false, 1, bulk, sizeof(bulk), 1);
    raw_until(&rp, true, QUICPRO_EVENT_READABLE, 1);
    quicpro_stream theirs = rp.server.stream[0];
    CHECK_INT(quicpro_stream_read(rp.p.server_loop, theirs, buf, 3, &fin, NULL), ==, 3);
    /* The client knows that all of it has arrived before it closes. */
    struct qp_link *client = raw_link(&rp, false);
    struct qp_engine_stats stats = {0};
    quicpro_tstamp end = quicpro_now() + PAIR_DEADLINE_S * QUICPRO_SECOND;
    while (stats.bytes_acked < sizeof(bulk) && quicpro_now() < end) {
        pair_step(&rp.p);
        client->conn.engine->get_stats(client->conn.impl, &stats);
    }
    quicpro_conn_close(rp.p.client_loop, rp.p.conn, 5, "");
    raw_until(&rp, true, QUICPRO_EVENT_CLOSED, 1);
    CHECK_U64(rp.server.data_len, ==, sizeof(bulk) - 3);
    CHECK_MEM(rp.server.data, bulk + 3, sizeof(bulk) - 3);
    CHECK_U64(rp.server.last[QUICPRO_EVENT_DATA].flags, ==, QUICPRO_FLAG_FIN);
    CHECK_U64(rp.server.last[QUICPRO_EVENT_DATA].stream, ==, theirs);
    CHECK_U64(rp.server.count[QUICPRO_EVENT_RESET], ==, 1); /* it could still have answered */
    CHECK_INT(quicpro_stream_read(rp.p.server_loop, theirs, buf, 3, &fin, NULL), ==,
              QUICPRO_ESTALE);
    CHECK_INT(quicpro_stream_write(rp.p.client_loop, mine, "x", 1, 0), ==, QUICPRO_ESTALE);
    pair_done(&rp.p);
}

static void test_resets_that_were_not_read_come_before_the_end(void)
{
    static struct raw_pair rp;
    raw_open(&rp, NULL, 0);
    quicpro_stream mine = raw_send(&rp, false, 1, "abc", 3, 0);
    raw_until(&rp, true, QUICPRO_EVENT_READABLE, 1);
    quicpro_stream_reset(rp.p.client_loop, mine, 77);
    raw_until(&rp, true, QUICPRO_EVENT_STOPPED, 1);
    quicpro_conn_close(rp.p.client_loop, rp.p.conn, 5, "");
    raw_until(&rp, true, QUICPRO_EVENT_CLOSED, 1);
    CHECK_U64(rp.server.count[QUICPRO_EVENT_RESET], ==, 1);
    CHECK_INT(rp.server.last[QUICPRO_EVENT_RESET].error, ==, QUICPRO_ERESET);
    CHECK_U64(rp.server.last[QUICPRO_EVENT_RESET].code, ==, 77);
    CHECK_U64(rp.server.count[QUICPRO_EVENT_DATA], ==, 0);
    pair_done(&rp.p);
}

static void test_a_server_that_shuts_down_waits_for_streams(void)
{
    static struct raw_pair rp;
    raw_open(&rp, NULL, 0);
    quicpro_stream mine = raw_send(&rp, false, 1, "question", 8, 1);
    raw_until(&rp, true, QUICPRO_EVENT_READABLE, 1);
    quicpro_server_shutdown(rp.p.server);
    raw_expect(&rp, true, rp.server.stream[0], "question", 1);
    CHECK_INT(quicpro_stream_write(rp.p.server_loop, rp.server.stream[0], "answer", 6, 1), ==, 0);
    raw_until(&rp, false, QUICPRO_EVENT_READABLE, 1);
    raw_expect(&rp, false, mine, "answer", 1);
    raw_until(&rp, false, QUICPRO_EVENT_CLOSED, 1);
    CHECK_INT(rp.client.last[QUICPRO_EVENT_CLOSED].error, ==, 0);
    CHECK_U64(rp.client.last[QUICPRO_EVENT_CLOSED].code, ==, 0);
    raw_until(&rp, true, QUICPRO_EVENT_DRAINED, 1);
    pair_done(&rp.p);
}

static const struct check_test tests[] = {
    TEST(test_a_hundred_streams_at_once),
    TEST(test_the_peers_limit_is_told_and_lifted),
    TEST(test_streams_that_are_skipped_are_new_later),
    TEST(test_many_streams_leave_nothing),
    TEST(test_datagrams),
    TEST(test_datagrams_that_nobody_takes),
    TEST(test_datagrams_of_one_turn_are_bounded),
    TEST(test_codes_of_a_close_are_the_applications),
    TEST(test_nothing_is_taken_after_a_close),
    TEST(test_a_connection_is_finished),
    TEST(test_a_finish_that_takes_too_long),
    TEST(test_what_was_not_read_comes_before_the_end),
    TEST(test_resets_that_were_not_read_come_before_the_end),
    TEST(test_a_server_that_shuts_down_waits_for_streams),
};

int main(void)
{
    return RUN(tests);
}
