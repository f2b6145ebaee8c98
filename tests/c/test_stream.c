#include "exchange.h"
#include "wire.h"

#include <nghttp3/nghttp3.h>

#include "loop/loop.h"

struct reset_case {
    bool server_resets, after_headers;
    uint64_t code;
    quicpro_stream at_server;
    bool server_saw;
    uint64_t server_code;
    int server_error;
};

static void reset_server(struct pair *p, const quicpro_batch *batch, const quicpro_event *event)
{
    struct reset_case *c = p->data;
    (void)batch;
    if (event->type == QUICPRO_EVENT_REQUEST) {
        c->at_server = event->stream;
        if (c->after_headers)
            CHECK_INT(quicpro_respond(p->server_loop, event->stream, 200, NULL, 0, "x", 1, 0), ==,
                      0);
        if (c->server_resets)
            CHECK_INT(quicpro_stream_reset(p->server_loop, event->stream, c->code), ==, 0);
    } else if (event->type == QUICPRO_EVENT_RESET) {
        CHECK(event->flags & QUICPRO_FLAG_REMOTE);
        c->server_saw = true;
        c->server_code = event->code;
        c->server_error = event->error;
    }
}

/* Whoever resets, the other side hears of it with the code, and both handles are stale. */
static void test_resets_travel(void)
{
    static const struct reset_case row[] = {
        {.server_resets = true, .code = 0x10b},
        {.server_resets = true, .after_headers = true, .code = 0x102},
        {.server_resets = false, .code = 0x10c},
        {.server_resets = false, .after_headers = true, .code = 0x10c},
    };
    struct pair p;
    pair_open(&p);
    p.on_server = reset_server;
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct reset_case c = row[i];
        quicpro_stream stream;
        quicpro_tstamp end = quicpro_now() + PAIR_DEADLINE_S * QUICPRO_SECOND;
        p.data = &c;
        p.resets = 0;
        CHECK_INT(pair_request(&p, "POST", "/", "abc", 3, 0, NULL, &stream), ==, 0);
        while (c.at_server == 0)
            pair_step(&p);
        if (!c.server_resets)
            CHECK_INT(quicpro_stream_reset(p.client_loop, stream, c.code), ==, 0);
        while ((c.server_resets ? p.resets == 0 : !c.server_saw) && quicpro_now() < end)
            pair_step(&p);
        if (c.server_resets) {
            CHECK_INT(p.resets, ==, 1);
            CHECK_INT(p.reset_error, ==, QUICPRO_ERESET);
            CHECK_U64(p.reset_code, ==, c.code);
            CHECK(!c.server_saw);
        } else {
            CHECK_INT(p.resets, ==, 0);
            CHECK_U64(c.server_code, ==, c.code);
            CHECK_INT(c.server_error, ==, QUICPRO_ERESET);
        }
        CHECK_INT(quicpro_stream_write(p.client_loop, stream, "x", 1, 0), ==, QUICPRO_ESTALE);
        CHECK_INT(quicpro_stream_write(p.server_loop, c.at_server, "x", 1, 0), ==, QUICPRO_ESTALE);
    }
    CHECK_INT(p.closed, ==, 0);
    pair_done(&p);
}

/* The others are not disturbed, and the slots of those that ended are used again. */
static void test_resets_among_many(void)
{
    struct pair p;
    struct exchanges all;
    struct exchange x[60];
    quicpro_loop_stats stats = {.size = sizeof(stats)};
    exchange_open(&p, &all, COUNTOF(x) / 2);
    for (size_t i = 0; i < COUNTOF(x); i++)
        CHECK_INT(exchange_get(&p, &x[i], 30000, (uint8_t)i), ==, 0);
    pair_step(&p);
    for (size_t i = 0; i < COUNTOF(x); i += 2)
        CHECK_INT(quicpro_stream_reset(p.client_loop, x[i].stream, 0x10c), ==, 0);
    CHECK(pair_until(&p, &all.finished));
    for (size_t i = 1; i < COUNTOF(x); i += 2)
        CHECK(exchange_good(&x[i]));
    CHECK_INT(quicpro_loop_get_stats(p.client_loop, &stats), ==, 0);
    CHECK_U64(stats.streams, ==, 0);
    exchange_close(&p);
}

/* RFC 9114 section 4.1: a server that needs no more of a request stops it and answers all the same.
 */
static void test_a_client_that_is_stopped_still_gets_its_answer(void)
{
    struct wire_end client, server;
    wire_pair(&client, &server);
    quicpro_stream stream = wire_request(&client, "/", "v", 1, false);
    wire_write(&client);
    wire_move_all(&client, &server);
    const quicpro_event *event = wire_event(wire_read(&server), QUICPRO_EVENT_REQUEST, 0);
    if (!CHECK(event != NULL))
        return;
    CHECK_INT(qp_h3_respond(qp_slab_get(&server.streams, event->stream), 200, NULL, 0, "ok", 2, 1),
              ==, 0);
    wire_write(&server);
    struct wire_stream *out = wire_find(client.out, 0, false);
    out->stopped = out->fresh = true;
    out->code = 0x100;
    CHECK_U64(wire_read(&client)->event_count, ==, 0);
    struct qp_h3_stream *s = qp_slab_get(&client.streams, stream);
    if (CHECK(s != NULL))
        CHECK_INT(qp_h3_stream_write(s, "for nobody", 10, false), ==, 0);
    wire_move_all(&server, &client);
    const quicpro_batch *batch = wire_read(&client);
    CHECK(wire_event(batch, QUICPRO_EVENT_RESPONSE, 0) != NULL);
    event = wire_event(batch, QUICPRO_EVENT_DATA, 0);
    if (CHECK(event != NULL))
        CHECK(event->flags & QUICPRO_FLAG_FIN);
    CHECK(wire_event(batch, QUICPRO_EVENT_RESET, 0) == NULL);
    CHECK_U64(client.streams.used, ==, 0);
    wire_done(&client);
    wire_done(&server);
}

static void test_a_server_that_is_stopped_gives_up(void)
{
    struct wire_end client, server;
    wire_pair(&client, &server);
    wire_request(&client, "/", "v", 1, true);
    wire_write(&client);
    wire_move_all(&client, &server);
    const quicpro_event *event = wire_event(wire_read(&server), QUICPRO_EVENT_REQUEST, 0);
    if (!CHECK(event != NULL))
        return;
    struct qp_h3_stream *s = qp_slab_get(&server.streams, event->stream);
    CHECK_INT(qp_h3_respond(s, 200, NULL, 0, "ok", 2, false), ==, 0);
    wire_write(&server);
    struct wire_stream *out = wire_find(server.out, 0, false);
    out->stopped = out->fresh = true;
    out->code = 0x10c;
    event = wire_event(wire_read(&server), QUICPRO_EVENT_RESET, 0);
    if (CHECK(event != NULL)) {
        CHECK_U64(event->code, ==, 0x10c);
        CHECK_INT(event->error, ==, QUICPRO_ERESET);
        CHECK(event->flags & QUICPRO_FLAG_REMOTE);
    }
    CHECK_U64(server.streams.used, ==, 0);
    wire_done(&client);
    wire_done(&server);
}

/* Request and STOP_SENDING came in one packet, so the stop was there before the stream. */
static void test_a_request_taken_back_at_once(void)
{
    struct wire_end client, server;
    wire_pair(&client, &server);
    wire_request(&client, "/", "v", 1, true);
    wire_write(&client);
    struct wire_stream *out = wire_find(server.out, 0, true);
    out->stopped = out->fresh = true;
    out->code = 0x10c;
    CHECK_U64(wire_read(&server)->event_count, ==, 0);
    wire_move_all(&client, &server);
    const quicpro_batch *batch = wire_read(&server);
    const quicpro_event *event = wire_event(batch, QUICPRO_EVENT_RESET, 0);
    CHECK(wire_event(batch, QUICPRO_EVENT_REQUEST, 0) != NULL);
    if (CHECK(event != NULL))
        CHECK_U64(event->code, ==, 0x10c);
    CHECK_U64(server.streams.used, ==, 0);
    wire_done(&client);
    wire_done(&server);
}

/* The transport takes a few bytes at a time: nothing is lost and nothing comes twice. */
static void test_a_narrow_transport(void)
{
    static uint8_t body[9000];
    struct wire_end client, server;
    size_t got = 0, writable = 0;
    bool fin = false;
    exchange_fill(body, sizeof(body), 1, 0);
    wire_pair(&client, &server);
    client.send_room = 0;
    quicpro_stream stream = wire_request(&client, "/", "v", 1, false);
    struct qp_h3_stream *s = qp_slab_get(&client.streams, stream);
    CHECK_INT(qp_h3_stream_write(s, body, 6000, false), ==, 0);
    CHECK_INT(qp_h3_stream_write(s, body + 6000, 3000, false), ==, 0);
    CHECK_INT(qp_h3_stream_write(s, "", 0, false), ==, 0);
    for (size_t round = 0; round < 10000 && !fin; round++) {
        client.send_room = 1 + round % 97;
        struct wire_stream *out = wire_find(client.out, 0, false);
        if (out != NULL)
            out->fresh = true;
        writable += wire_event(wire_read(&client), QUICPRO_EVENT_WRITABLE, 0) != NULL;
        wire_write(&client);
        if (round == 100) {
            s = qp_slab_get(&client.streams, stream);
            CHECK_INT(qp_h3_stream_write(s, NULL, 0, true), ==, 0);
        }
        wire_move_all(&client, &server);
        const quicpro_batch *batch = wire_read(&server);
        for (size_t i = 0; i < batch->event_count; i++) {
            const quicpro_event *event = &batch->events[i];
            if (event->type != QUICPRO_EVENT_DATA)
                continue;
            CHECK(exchange_equal(event->data, event->len, 1, got));
            got += event->len;
            fin |= event->flags & QUICPRO_FLAG_FIN;
        }
    }
    CHECK(fin);
    CHECK_U64(got, ==, sizeof(body));
    CHECK_U64(writable, ==, 0); /* nobody was refused */
    wire_done(&client);
    wire_done(&server);
}

static void test_a_full_queue_asks_for_patience(void)
{
    static uint8_t body[12000];
    struct wire_end client;
    wire_init(&client, false);
    quicpro_stream stream = wire_request(&client, "/", "v", 1, false);
    struct qp_h3_stream *s = qp_slab_get(&client.streams, stream);
    CHECK_INT(qp_h3_stream_write(s, body, sizeof(body), false), ==, 0); /* all or nothing */
    CHECK_INT(qp_h3_stream_write(s, body, 1, false), ==, QUICPRO_EAGAIN);
    CHECK_INT(qp_h3_stream_write(s, NULL, 0, false), ==, 0);
    client.send_room = 2000;
    wire_write(&client);
    CHECK_U64(qp_batch_count(&client.batch), ==, 0); /* more than half of it waits */
    client.send_room = 8000;
    nghttp3_conn_unblock_stream(client.h3.impl, 0);
    wire_write(&client);
    const quicpro_batch *batch = qp_batch_seal(&client.batch);
    if (CHECK_U64(batch->event_count, ==, 1))
        CHECK_INT(batch->events[0].type, ==, QUICPRO_EVENT_WRITABLE);
    qp_batch_reset(&client.batch);
    CHECK_INT(qp_h3_stream_write(s, body, 1, true), ==, 0);
    wire_done(&client);
}

/* Bytes of a stream that was given up here are thrown away, its id is not taken for a new one. */
static void test_late_bytes_of_a_stream_that_was_given_up(void)
{
    struct wire_end client, server;
    wire_pair(&client, &server);
    quicpro_stream stream = wire_request(&client, "/", "v", 1, false);
    qp_h3_stream_write(qp_slab_get(&client.streams, stream), "hello", 5, false);
    wire_write(&client);
    wire_move_all(&client, &server);
    const quicpro_event *event = wire_event(wire_read(&server), QUICPRO_EVENT_REQUEST, 0);
    if (!CHECK(event != NULL))
        return;
    qp_batch_reset(&server.batch);
    qp_h3_stream_abort(qp_slab_get(&server.streams, event->stream), 0x10b);
    CHECK_U64(server.streams.used, ==, 0);
    CHECK(wire_find(server.in, 0, false)->stopped);
    wire_give(&server, 0, "\x00\x04late", 6, false);
    CHECK_U64(wire_read(&server)->event_count, ==, 0);
    wire_give(&server, 0, "\x00\x04last", 6, true);
    CHECK_U64(wire_read(&server)->event_count, ==, 0);
    CHECK_U64(server.h3.streams.count, ==, 0);
    CHECK_INT(server.closed, ==, 0);
    wire_done(&client);
    wire_done(&server);
}

/* Bodies that have nothing to send now do not keep others from what they have. */
static void test_bodies_that_wait_hold_up_nobody(void)
{
    enum { REQUESTS = 40 };
    struct wire_end client, server;
    quicpro_stream at_server[REQUESTS];
    wire_pair(&client, &server);
    for (int i = 0; i < REQUESTS; i++) {
        quicpro_stream stream = wire_request(&client, "/", "v", 1, false);
        qp_h3_stream_write(qp_slab_get(&client.streams, stream), "hello", 5, false);
    }
    wire_write(&client);
    wire_move_all(&client, &server);
    const quicpro_batch *batch = wire_read(&server);
    for (size_t i = 0; i < REQUESTS; i++) {
        const quicpro_event *event = wire_event(batch, QUICPRO_EVENT_REQUEST, i);
        if (!CHECK(event != NULL) || !CHECK(wire_event(batch, QUICPRO_EVENT_DATA, i) != NULL))
            return;
        at_server[i] = event->stream;
    }
    qp_batch_reset(&server.batch);
    for (size_t i = 0; i < REQUESTS; i++)
        CHECK_INT(qp_h3_respond(qp_slab_get(&server.streams, at_server[i]), 200, NULL, 0, "so far",
                                6, false),
                  ==, 0);
    wire_write(&server);
    wire_move_all(&server, &client);
    batch = wire_read(&client);
    CHECK(wire_event(batch, QUICPRO_EVENT_RESPONSE, REQUESTS - 1) != NULL);
    CHECK(wire_event(batch, QUICPRO_EVENT_DATA, REQUESTS - 1) != NULL);
    wire_done(&client);
    wire_done(&server);
}

/* Who gives requests up, and when. */
enum give_up { CLIENT_AT_ONCE, CLIENT_LATER, SERVER_AT_ONCE, SERVER_LATER, WAYS };

static void give_up_server(struct pair *p, const quicpro_batch *batch, const quicpro_event *event)
{
    const enum give_up *way = p->data;
    size_t len;
    if (event->type != QUICPRO_EVENT_REQUEST)
        return;
    if (quicpro_event_field(batch, event, ":path", &len)[1] == 'a') {
        quicpro_respond(p->server_loop, event->stream, 200, NULL, 0, NULL, 0, 1);
        return;
    }
    if (*way == CLIENT_LATER || *way == SERVER_LATER)
        quicpro_respond(p->server_loop, event->stream, 200, NULL, 0, "some of it", 10, 0);
    if (*way == SERVER_AT_ONCE || *way == SERVER_LATER)
        CHECK_INT(quicpro_stream_reset(p->server_loop, event->stream, 0x10b), ==, 0);
}

static void give_up_client(struct pair *p, const quicpro_batch *batch, const quicpro_event *event)
{
    const enum give_up *way = p->data;
    (void)batch;
    if (event->type == QUICPRO_EVENT_RESPONSE && (event->flags & QUICPRO_FLAG_FIN) == 0 &&
        *way == CLIENT_LATER)
        CHECK_INT(quicpro_stream_reset(p->client_loop, event->stream, 0x10c), ==, 0);
}

static const struct qp_h3 *only_session(quicpro_loop *loop)
{
    uint32_t cursor = 0;
    quicpro_handle handle;
    const struct qp_link *link = qp_slab_next(&loop->links, &cursor, &handle);
    return &link->h3;
}

/* 2,500 requests of a connection that nobody finishes, in each way: of none is anything left. */
static void test_requests_that_were_given_up_leave_nothing(void)
{
    enum { ROUNDS = 50, AT_ONCE = 50 };
    for (enum give_up way = 0; way < WAYS; way++) {
        struct net net = {.now = 1, .delay = QUICPRO_MILLISECOND};
        struct pair p;
        pair_init(&p, "localhost");
        quicpro_config_set(p.server_config, "request_resets_per_second", "0");
        p.net = &net;
        pair_start(&p);
        p.data = &way;
        p.on_server = give_up_server;
        p.on_client = give_up_client;
        CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0);
        CHECK(pair_until(&p, &p.connected));
        for (int round = 0; round < ROUNDS; round++) {
            quicpro_stream stream;
            /* One has its answer: nghttp3 ends connections whose peer cancels 4 KiB of streams in
             * a row. */
            CHECK_INT(pair_request(&p, "GET", "/answer", NULL, 0, 1, NULL, &stream), ==, 0);
            for (int i = 0; i < AT_ONCE; i++) {
                CHECK_INT(pair_request(&p, "POST", "/", "abc", 3, 0, NULL, &stream), ==, 0);
                if (way == CLIENT_AT_ONCE)
                    CHECK_INT(quicpro_stream_reset(p.client_loop, stream, 0x10c), ==, 0);
            }
            pair_pass(&p, 20 * QUICPRO_MILLISECOND);
        }
        if (!CHECK_INT(p.closed, ==, 0)) {
            printf("#   way %d: %s\n", (int)way, p.closed_text);
            pair_done(&p);
            continue;
        }
        const struct qp_h3 *client = only_session(p.client_loop);
        const struct qp_h3 *server = only_session(p.server_loop);
        if (!CHECK_U64(client->streams.count, ==, 0) | !CHECK_U64(server->streams.count, ==, 0))
            printf("#   way %d\n", (int)way);
        CHECK_U64(client->streams.capacity, <=, 256);
        CHECK_U64(server->streams.capacity, <=, 256);
        CHECK_U64(p.client_loop->streams.used + p.server_loop->streams.used, ==, 0);
        CHECK_U64(p.client_loop->streams.made, ==, ROUNDS * (AT_ONCE + 1));
        pair_done(&p);
    }
}

/* Rapid reset: the connection ends, and it is counted why. */
static void test_a_client_that_takes_back_too_many(void)
{
    struct net net = {.now = 1, .delay = QUICPRO_MILLISECOND};
    struct pair p;
    quicpro_stream stream;
    pair_init(&p, "localhost");
    quicpro_config_set(p.server_config, "request_resets_per_second", "20");
    p.net = &net;
    pair_start(&p);
    CHECK_INT(pair_connect(&p, "127.0.0.1"), ==, 0);
    CHECK(pair_until(&p, &p.connected));
    for (int i = 0; i < 1000 && p.closed == 0; i++) {
        if (pair_request(&p, "POST", "/", "abc", 3, 0, NULL, &stream) == 0)
            quicpro_stream_reset(p.client_loop, stream, 0x10c);
        pair_step(&p);
    }
    CHECK(pair_until_closed(&p));
    CHECK_U64(p.closed_code, ==, 0x107);
    CHECK_U64(pair_metric(p.server_loop, QP_METRIC_RESET_FLOODS), ==, 1);
    pair_done(&p);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_resets_travel),
        TEST(test_resets_among_many),
        TEST(test_a_client_that_is_stopped_still_gets_its_answer),
        TEST(test_a_server_that_is_stopped_gives_up),
        TEST(test_a_request_taken_back_at_once),
        TEST(test_a_narrow_transport),
        TEST(test_a_full_queue_asks_for_patience),
        TEST(test_late_bytes_of_a_stream_that_was_given_up),
        TEST(test_bodies_that_wait_hold_up_nobody),
        TEST(test_requests_that_were_given_up_leave_nothing),
        TEST(test_a_client_that_takes_back_too_many),
    };
    return RUN(tests);
}
