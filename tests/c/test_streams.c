#include <quicpro/stream.h>

#include "raw_pair.h"

static void test_commands_of_another_protocol(void)
{
    static struct raw_pair rp;
    const quicpro_nv nv[] = {QUICPRO_NV(":method", "GET")};
    quicpro_stream stream;
    raw_open(&rp, NULL, 0);
    quicpro_loop *c = rp.p.client_loop;
    CHECK_INT(pair_request(&rp.p, "GET", "/", NULL, 0, 1, NULL, &stream), ==, QUICPRO_ESTATE);
    stream = raw_send(&rp, false, 1, "abc", 3, 0);
    CHECK_INT(quicpro_respond(c, stream, 200, nv, 0, NULL, 0, 1), ==, QUICPRO_ESTATE);
    CHECK_INT(quicpro_stream_trailers(c, stream, nv, 0), ==, QUICPRO_ESTATE);
    CHECK_INT(quicpro_stream_pause(c, stream, 1), ==, QUICPRO_ESTATE);
    CHECK_INT(quicpro_stream_write(c, stream, NULL, 0, 1), ==, 0);
    raw_until(&rp, true, QUICPRO_EVENT_READABLE, 1);
    pair_done(&rp.p);
}

static void test_commands_on_http3(void)
{
    struct pair p;
    quicpro_stream stream, other;
    char buf[4];
    int fin;
    pair_open(&p);
    quicpro_loop *c = p.client_loop;
    CHECK_INT(quicpro_stream_open(c, p.conn, 1, NULL, &stream), ==, QUICPRO_ESTATE);
    CHECK_INT(quicpro_datagram_send(c, p.conn, "x", 1), ==, QUICPRO_ESTATE);
    CHECK_INT(quicpro_datagram_max(c, p.conn), ==, QUICPRO_ESTATE);
    CHECK_INT(pair_request(&p, "GET", "/", NULL, 0, 1, NULL, &other), ==, 0);
    CHECK_INT(quicpro_stream_read(c, other, buf, 4, &fin, NULL), ==, QUICPRO_ESTATE);
    CHECK_INT(quicpro_stream_shutdown(c, other, QUICPRO_SHUT_READ, 0), ==, QUICPRO_ESTATE);
    CHECK_INT(quicpro_stream_set_priority(c, other, 3, 0), ==, QUICPRO_ESTATE);
    pair_done(&p);
}

static void test_handles_that_are_none(void)
{
    static struct raw_pair rp;
    quicpro_stream stream;
    char buf[4];
    int fin;
    raw_open(&rp, NULL, 0);
    quicpro_loop *c = rp.p.client_loop;
    stream = raw_send(&rp, false, 1, "abc", 3, 0);
    const quicpro_handle bad[] = {0, 1, UINT64_MAX, stream ^ UINT64_C(1) << 33, rp.p.conn};
    for (size_t i = 0; i < COUNTOF(bad); i++) {
        CHECK_INT(quicpro_stream_read(c, bad[i], buf, 4, &fin, NULL), ==, QUICPRO_ESTALE);
        CHECK_INT(quicpro_stream_shutdown(c, bad[i], QUICPRO_SHUT_READ, 0), ==, QUICPRO_ESTALE);
        CHECK_INT(quicpro_stream_set_priority(c, bad[i], 3, 0), ==, QUICPRO_ESTALE);
        CHECK_INT(quicpro_stream_write(c, bad[i], "x", 1, 0), ==, QUICPRO_ESTALE);
        CHECK_INT(quicpro_stream_reset(c, bad[i], 0), ==, QUICPRO_ESTALE);
        CHECK_INT(quicpro_stream_set_user(c, bad[i], NULL), ==, QUICPRO_ESTALE);
    }
    CHECK_INT(quicpro_stream_open(c, stream, 1, NULL, &stream), ==, QUICPRO_ESTALE);
    CHECK_INT(quicpro_datagram_send(c, stream, "x", 1), ==, QUICPRO_ESTALE);
    CHECK_INT(quicpro_datagram_max(c, stream), ==, QUICPRO_ESTALE);
    CHECK_INT(quicpro_stream_open(NULL, rp.p.conn, 1, NULL, &stream), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_stream_open(c, rp.p.conn, 1, NULL, NULL), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_datagram_send(NULL, rp.p.conn, "x", 1), ==, QUICPRO_EINVAL);
    pair_done(&rp.p);
}

static void test_nothing_is_opened_before_the_handshake(void)
{
    struct pair p;
    quicpro_stream stream;
    pair_init(&p, "localhost");
    quicpro_config_set(p.server_config, "alpn", "echo");
    quicpro_config_set(p.client_config, "alpn", "echo");
    pair_start(&p);
    CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0);
    CHECK_INT(quicpro_stream_open(p.client_loop, p.conn, 1, NULL, &stream), ==, QUICPRO_ESTATE);
    CHECK_INT(quicpro_datagram_send(p.client_loop, p.conn, "x", 1), ==, QUICPRO_ESTATE);
    CHECK(pair_until(&p, &p.connected));
    CHECK_INT(quicpro_stream_open(p.client_loop, p.conn, 1, NULL, &stream), ==, 0);
    pair_done(&p);
}

static int marks[3];

static void mark_event(struct raw_pair *rp, bool server, const quicpro_event *event)
{
    if (!server)
        return;
    if (event->type == QUICPRO_EVENT_STREAM) {
        CHECK(event->user == &marks[0]);
        CHECK_INT(quicpro_stream_set_user(rp->p.server_loop, event->stream, &marks[1]), ==, 0);
    } else if (event->type == QUICPRO_EVENT_READABLE) {
        CHECK(event->user == &marks[1]); /* of the same batch */
    }
}

static void test_users_of_streams(void)
{
    static struct raw_pair rp;
    quicpro_stream stream;
    raw_open(&rp, NULL, 0);
    rp.on_event = mark_event;
    CHECK_INT(quicpro_conn_set_user(rp.p.server_loop, rp.server.conn, &marks[0]), ==, 0);
    CHECK_INT(quicpro_stream_open(rp.p.client_loop, rp.p.conn, 1, &marks[2], &stream), ==, 0);
    CHECK_INT(quicpro_stream_write(rp.p.client_loop, stream, "abc", 3, 0), ==, 0);
    raw_until(&rp, true, QUICPRO_EVENT_READABLE, 1);
    CHECK_INT(quicpro_stream_shutdown(rp.p.server_loop, rp.server.stream[0], QUICPRO_SHUT_READ, 3),
              ==, 0);
    raw_until(&rp, false, QUICPRO_EVENT_STOPPED, 1);
    CHECK(rp.client.last[QUICPRO_EVENT_STOPPED].user == &marks[2]);
    pair_done(&rp.p);
}

/* Records of quicpro_loop_submit() are for these streams too. */
static void test_records(void)
{
    static struct raw_pair rp;
    uint8_t bytes[sizeof(quicpro_record) + 3];
    size_t refused = 9;
    raw_open(&rp, NULL, 0);
    quicpro_stream stream = raw_send(&rp, false, 1, "abc", 3, 0);
    const quicpro_record record = {
        .op = QUICPRO_OP_WRITE, .flags = QUICPRO_FLAG_FIN, .stream = stream, .body_len = 3};
    memcpy(bytes, &record, sizeof(record));
    memcpy(bytes + sizeof(record), "def", 3);
    CHECK_INT(quicpro_loop_submit(rp.p.client_loop, bytes, sizeof(bytes), &refused), ==, 1);
    CHECK_U64(refused, ==, 0);
    raw_until(&rp, true, QUICPRO_EVENT_READABLE, 1);
    raw_expect(&rp, true, rp.server.stream[0], "abcdef", 1);
    pair_done(&rp.p);
}

static const struct check_test tests[] = {
    TEST(test_commands_of_another_protocol),
    TEST(test_commands_on_http3),
    TEST(test_handles_that_are_none),
    TEST(test_nothing_is_opened_before_the_handshake),
    TEST(test_users_of_streams),
    TEST(test_records),
};

int main(void)
{
    return RUN(tests);
}
