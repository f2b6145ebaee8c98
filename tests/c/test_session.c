#include "wire.h"

#define BYTES(text) (text), sizeof(text) - 1
/* GET / of authority "a", by the static table alone (RFC 9204 appendix A). */
#define GET "\x01\x08\x00\x00\xd1\xd7\xc1\x50\x01\x61"

/* What a client sends on one stream, behind its SETTINGS on stream 2, and what becomes of it.
 * nghttp3 takes a malformed message for the connection's end, as RFC 9114 section 8 allows. */
static void test_bytes_that_break_the_protocol(void)
{
    static const struct {
        const char *what;
        uint64_t id;
        const char *bytes;
        size_t len;
        bool fin;
        uint64_t close; /* code of the connection's close, or 0 */
        uint64_t reset; /* code of the stream's reset, or 0 */
    } row[] = {
        {"end of the control stream", 2, BYTES(""), true, 0x104, 0},
        {"second SETTINGS", 2, BYTES("\x04\x00"), false, 0x105, 0},
        {"DATA on the control stream", 2, BYTES("\x00\x00"), false, 0x105, 0},
        {"HEADERS on the control stream", 2, BYTES("\x01\x00"), false, 0x105, 0},
        {"HTTP/2 frame", 2, BYTES("\x06\x00"), false, 0x105, 0},
        {"GREASE frame", 2, BYTES("\x21\x03xyz"), false, 0, 0},
        {"second control stream", 6, BYTES("\x00"), false, 0x103, 0},
        {"push stream of a client", 6, BYTES("\x01"), false, 0x103, 0},
        {"unknown stream type", 6, BYTES("\x21hello"), false, 0, 0},
        {"unknown stream type with its end", 6, BYTES("\x21hello"), true, 0, 0},
        {"empty stream", 6, BYTES(""), true, 0, 0},
        {"dynamic table above the limit", 6, BYTES("\x02\x3f\xff\xff\x7f"), false, 0x201, 0},
        {"end of the encoder stream", 6, BYTES("\x02"), true, 0x104, 0},
        {"acknowledgement of nothing", 6, BYTES("\x03\x80"), false, 0x202, 0},
        {"DATA before HEADERS", 0, BYTES("\x00\x01\x61"), false, 0x105, 0},
        {"SETTINGS on a request", 0, BYTES("\x04\x00"), false, 0x105, 0},
        {"CANCEL_PUSH on a request", 0, BYTES("\x03\x01\x00"), false, 0x105, 0},
        {"frame cut short", 0, BYTES("\x01\x08\x00"), true, 0x106, 0},
        {"reference into an empty dynamic table", 0, BYTES("\x01\x03\x00\x00\x80"), false, 0x200,
         0},
        {"section without a method", 0, BYTES("\x01\x02\x00\x00"), false, 0x10e, 0},
        {"upper-case name", 0, BYTES("\x01\x0c\x00\x00\xd1\xd7\xc1\x50\x01\x61\x21X\x01y"), false,
         0x10e, 0},
        {"request without a section", 0, BYTES(""), true, 0x105, 0},
        {"good request", 0, BYTES(GET), true, 0, 0},
        {"good request behind GREASE", 0, BYTES("\x21\x02xy" GET), true, 0, 0},
        {"good request with a body", 0, BYTES(GET "\x00\x03xyz"), true, 0, 0},
        {"HEADERS behind trailers", 0, BYTES(GET "\x01\x02\x00\x00\x01\x02\x00\x00"), false, 0x105,
         0},
    };
    for (size_t i = 0; i < COUNTOF(row); i++)
        for (size_t step = 1; step <= 64; step *= 64) {
            struct wire_end server;
            wire_init(&server, true);
            wire_write(&server);
            wire_give(&server, 2, "\0\4\0", 3, false);
            for (size_t off = 0; off < row[i].len; off += step) {
                size_t n = row[i].len - off < step ? row[i].len - off : step;
                wire_give(&server, row[i].id, row[i].bytes + off, n, false);
                wire_read(&server);
            }
            if (row[i].fin)
                wire_give(&server, row[i].id, NULL, 0, true);
            wire_read(&server);
            const struct wire_stream *out = wire_find(server.out, row[i].id, false);
            bool ok = CHECK_U64(server.close_code, ==, row[i].close);
            ok &= CHECK_U64(out != NULL && out->reset ? out->code : 0, ==, row[i].reset);
            if (!ok)
                printf("#   %s, %zu bytes at a time (%s)\n", row[i].what, step,
                       server.close_reason);
            wire_done(&server);
        }
}

static void test_first_frame_of_the_control_stream(void)
{
    struct wire_end server;
    wire_init(&server, true);
    wire_give(&server, 2, BYTES("\x00\x07\x01\x00"), false);
    wire_read(&server);
    CHECK_U64(server.close_code, ==, 0x10a); /* H3_MISSING_SETTINGS */
    wire_done(&server);
}

static void test_settings_that_are_reserved(void)
{
    struct wire_end server;
    wire_init(&server, true);
    wire_give(&server, 2, BYTES("\x00\x04\x02\x02\x00"), false); /* of HTTP/2 */
    wire_read(&server);
    CHECK_U64(server.close_code, ==, 0x109);
    wire_done(&server);
}

/* A server opens no request streams, and streams of ours are not the peer's to open. */
static void test_streams_of_the_wrong_side(void)
{
    struct wire_end client, server;
    wire_pair(&client, &server);
    wire_give(&client, 1, BYTES(GET), true);
    CHECK_U64(wire_read(&client)->event_count, ==, 0);
    CHECK_U64(client.streams.used, ==, 0);
    wire_done(&client);
    wire_done(&server);
}

static void test_reading_stops_at_its_bound(void)
{
    static char body[200000];
    struct wire_end server;
    wire_init(&server, true);
    wire_give(&server, 2, "\0\4\0", 3, false);
    for (uint64_t id = 0; id < 12; id += 4) {
        wire_give(&server, id, BYTES(GET), false);
        wire_give(&server, id, "\x00\x80\x03\x0d\x40", 5, false); /* DATA of 200,000 bytes */
        wire_give(&server, id, body, sizeof(body), true);
    }
    size_t total = 0, turns = 0, ends = 0;
    do {
        uint64_t serial = server.batch.serial;
        qp_batch_reset(&server.batch);
        server.batch.serial = serial + 1;
        qp_h3_read(&server.h3, 1, 65536);
        const quicpro_batch *batch = qp_batch_seal(&server.batch);
        size_t now = 0;
        for (size_t i = 0; i < batch->event_count; i++)
            if (batch->events[i].type == QUICPRO_EVENT_DATA) {
                now += batch->events[i].len;
                ends += (batch->events[i].flags & QUICPRO_FLAG_FIN) != 0;
            }
        CHECK_U64(now, <=, 2 * 65536 + 65536);
        total += now;
        turns++;
    } while (qp_h3_has_unread(&server.h3) && turns < 100);
    CHECK_U64(ends, ==, 3);
    CHECK_U64(total, ==, 3 * sizeof(body));
    CHECK_U64(turns, >=, 5);
    wire_done(&server);
}

static void test_goaway_and_draining(void)
{
    struct wire_end client, server;
    quicpro_stream refused;
    const quicpro_nv nv[] = {QUICPRO_NV(":method", "GET"), QUICPRO_NV(":scheme", "https"),
                             QUICPRO_NV(":path", "/")};
    wire_pair(&client, &server);
    quicpro_stream stream = wire_request(&client, "/", "v", 1, true);
    wire_write(&client);
    wire_move_all(&client, &server);
    const quicpro_event *event = wire_event(wire_read(&server), QUICPRO_EVENT_REQUEST, 0);
    if (!CHECK(event != NULL))
        return;
    struct qp_h3_stream *s = qp_slab_get(&server.streams, event->stream);
    qp_h3_shutdown(&server.h3);
    qp_h3_shutdown(&server.h3);
    wire_write(&server);
    wire_move_all(&server, &client);
    event = wire_event(wire_read(&client), QUICPRO_EVENT_GOAWAY, 0);
    if (CHECK(event != NULL))
        CHECK_U64(event->code, ==, 4);
    qp_batch_reset(&client.batch);
    CHECK_INT(qp_h3_request(&client.h3, nv, 3, NULL, 0, 1, NULL, &refused), ==, QUICPRO_ESTATE);
    CHECK(!qp_h3_drained(&server.h3));
    CHECK_INT(qp_h3_respond(s, 204, NULL, 0, NULL, 0, true), ==, 0);
    wire_write(&server);
    wire_move_all(&server, &client);
    event = wire_event(wire_read(&client), QUICPRO_EVENT_RESPONSE, 0);
    if (CHECK(event != NULL)) {
        CHECK_U64(event->stream, ==, stream);
        CHECK_U64(event->code, ==, 204);
    }
    CHECK(qp_h3_drained(&server.h3));
    wire_done(&client);
    wire_done(&server);
}

static void test_a_lost_connection_resets_what_is_known(void)
{
    static const struct qp_conn_close lost = {.error = QUICPRO_EIDLE, .text = "gone"};
    struct wire_end client, server;
    wire_pair(&client, &server);
    quicpro_stream stream = wire_request(&client, "/", "v", 1, true);
    wire_write(&client);
    wire_move(&client, &server, 6, SIZE_MAX);
    wire_move(&client, &server, 0, 5); /* the server's application knows nothing of it yet */
    wire_read(&server);
    qp_batch_reset(&client.batch);
    qp_batch_reset(&server.batch);
    qp_h3_lost(&client.h3, &lost);
    qp_h3_lost(&server.h3, &lost);
    const quicpro_batch *batch = qp_batch_seal(&client.batch);
    if (CHECK_U64(batch->event_count, ==, 1)) {
        CHECK_INT(batch->events[0].type, ==, QUICPRO_EVENT_RESET);
        CHECK_INT(batch->events[0].error, ==, QUICPRO_EIDLE);
        CHECK_U64(batch->events[0].stream, ==, stream);
        CHECK_STR(batch->events[0].data, "gone");
    }
    CHECK_U64(qp_batch_count(&server.batch), ==, 0);
    wire_done(&client);
    wire_done(&server);
}

static void test_a_server_opens_no_requests(void)
{
    struct wire_end client, server;
    wire_pair(&client, &server);
    wire_give(&client, 1, "\x01\x02\0\0", 4, false);
    CHECK_U64(wire_read(&client)->event_count, ==, 0);
    CHECK_INT(client.closed, ==, 1);
    CHECK_U64(client.close_code, ==, 0x103);
    wire_done(&client);
    wire_done(&server);
}

enum give_up { RESET, STOPPED, SPOILED };

/* One request of a client that does not want it, after a pause. */
static void give_up(struct wire_end *server, uint64_t id, enum give_up how, quicpro_tstamp at)
{
    wire_give(server, id, BYTES(GET), how == SPOILED);
    qp_h3_read(&server->h3, at, SIZE_MAX);
    if (how == RESET) {
        struct wire_stream *in = wire_find(server->in, id, true);
        in->reset = in->fresh = true;
    } else if (how == STOPPED) {
        struct wire_stream *out = wire_find(server->out, id, true);
        out->stopped = out->fresh = true;
    }
    qp_h3_read(&server->h3, at, SIZE_MAX);
}

/* "H3_EXCESSIVE_LOAD: the endpoint detected that its peer is exhibiting a behavior that might be
 * generating excessive load" (RFC 9114 section 8.1). */
static void test_requests_that_are_taken_back(void)
{
    static const struct {
        enum give_up how;
        uint64_t per_second;
        quicpro_tstamp pause;
        bool closed;
    } row[] = {
        {RESET, 3, 0, true},
        {STOPPED, 3, 0, true},
        {SPOILED, 3, 0, true},
        {RESET, 4, 0, false}, /* so many at once are no flood */
        {RESET, 1, QUICPRO_SECOND, false},
        {RESET, 1, QUICPRO_SECOND / 2, true},
        {RESET, 0, 0, false}, /* no limit */
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct wire_end server;
        wire_prepare(&server, true);
        server.h3.resets.per_second = row[i].per_second;
        if (row[i].how == SPOILED)
            server.options.max_field_section_bytes = 64; /* less than the request has */
        CHECK_INT(qp_h3_start(&server.h3), ==, 0);
        wire_give(&server, 2, "\0\x04\0", 3, false);
        for (uint64_t n = 0; n < 4; n++)
            give_up(&server, 4 * n, row[i].how, QUICPRO_SECOND + n * row[i].pause);
        if (!CHECK_INT(server.closed, ==, row[i].closed))
            printf("#   row %zu\n", i);
        CHECK_INT(server.h3.flooded, ==, row[i].closed);
        CHECK_U64(server.close_code, ==, row[i].closed ? 0x107 : 0);
        wire_done(&server);
    }
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_bytes_that_break_the_protocol),
        TEST(test_a_server_opens_no_requests),
        TEST(test_first_frame_of_the_control_stream),
        TEST(test_settings_that_are_reserved),
        TEST(test_streams_of_the_wrong_side),
        TEST(test_reading_stops_at_its_bound),
        TEST(test_goaway_and_draining),
        TEST(test_a_lost_connection_resets_what_is_known),
        TEST(test_requests_that_are_taken_back),
    };
    return RUN(tests);
}
