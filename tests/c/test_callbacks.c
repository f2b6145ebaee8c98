#include "wire.h"

static bool field_is(const quicpro_batch *batch, const quicpro_event *event, const char *name,
                     const char *want, size_t want_len)
{
    size_t len;
    const char *value = quicpro_event_field(batch, event, name, &len);
    return value != NULL && len == want_len && memcmp(value, want, len) == 0;
}

/* However the bytes of a request were cut, and whatever came in between, it is the same request. */
static void test_sections_in_pieces(void)
{
    static const size_t piece[] = {1, 2, 7, 100, SIZE_MAX};
    char value[2][700];
    memset(value[0], 'a', sizeof(value[0]));
    memset(value[1], 'b', sizeof(value[1]));
    for (size_t i = 0; i < COUNTOF(piece); i++) {
        struct wire_end client, server;
        size_t requests = 0, moved;
        wire_pair(&client, &server);
        wire_request(&client, "/0", value[0], sizeof(value[0]), true);
        wire_request(&client, "/1", value[1], sizeof(value[1]), true);
        wire_write(&client);
        do {
            moved = wire_move(&client, &server, 6, piece[i]); /* the encoder's stream */
            moved += wire_move(&client, &server, 0, piece[i]);
            moved += wire_move(&client, &server, 4, piece[i]);
            const quicpro_batch *batch = wire_read(&server);
            const quicpro_event *event;
            for (size_t n = 0; (event = wire_event(batch, QUICPRO_EVENT_REQUEST, n)) != NULL; n++) {
                size_t which = event->stream_id / 4;
                requests++;
                CHECK_U64(event->len, ==, 6);
                CHECK(field_is(batch, event, ":path", which == 0 ? "/0" : "/1", 2));
                CHECK(field_is(batch, event, "x-value", value[which], sizeof(value[which])));
                CHECK(field_is(batch, event, ":authority", "wire.example", 12));
                CHECK(event->flags & QUICPRO_FLAG_FIN);
            }
        } while (moved != 0);
        CHECK_U64(requests, ==, 2);
        CHECK_INT(server.closed, ==, 0);
        wire_done(&client);
        wire_done(&server);
    }
}

/* RFC 9204 section 2.1.2: a section may refer to insertions that are still on their way. */
static void test_sections_that_wait_for_the_dynamic_table(void)
{
    static const char *const path[] = {"/first", "/second", "/third"};
    struct wire_end client, server;
    wire_pair(&client, &server);
    for (size_t i = 0; i < COUNTOF(path); i++)
        wire_request(&client, path[i], path[i], strlen(path[i]), true);
    wire_write(&client);
    for (size_t i = 0; i < COUNTOF(path); i++) {
        wire_move(&client, &server, 4 * i, SIZE_MAX);
        CHECK_U64(wire_read(&server)->event_count, ==, 0);
    }
    wire_move(&client, &server, 6, SIZE_MAX);
    const quicpro_batch *batch = wire_read(&server);
    for (size_t i = 0; i < COUNTOF(path); i++) {
        const quicpro_event *event = wire_event(batch, QUICPRO_EVENT_REQUEST, i);
        if (!CHECK(event != NULL))
            continue;
        const char *want = path[event->stream_id / 4];
        CHECK(field_is(batch, event, ":path", want, strlen(want)));
        CHECK(field_is(batch, event, "x-value", want, strlen(want)));
        CHECK_U64(event->len, ==, 6);
    }
    wire_done(&client);
    wire_done(&server);
}

/* A body that came while its field section was blocked is nghttp3's copy by then. */
static void test_a_body_behind_a_blocked_section(void)
{
    struct wire_end client, server;
    wire_pair(&client, &server);
    quicpro_stream stream = wire_request(&client, "/", "v", 1, false);
    struct qp_h3_stream *s = qp_slab_get(&client.streams, stream);
    CHECK_INT(qp_h3_stream_write(s, "hello", 5, true), ==, 0);
    wire_write(&client);
    wire_move(&client, &server, 0, SIZE_MAX);
    CHECK_U64(wire_read(&server)->event_count, ==, 0);
    wire_move(&client, &server, 6, SIZE_MAX);
    const quicpro_batch *batch = wire_read(&server);
    const quicpro_event *data = wire_event(batch, QUICPRO_EVENT_DATA, 0);
    CHECK(wire_event(batch, QUICPRO_EVENT_REQUEST, 0) != NULL);
    if (CHECK(data != NULL) && CHECK_U64(data->len, ==, 5))
        CHECK_MEM(data->data, "hello", 5);
    wire_done(&client);
    wire_done(&server);
}

/* RFC 9114 section 4.2.2; 8192 bytes here. */
static void test_sections_are_limited(void)
{
    static char value[9000];
    struct wire_end client, server;
    memset(value, 'x', sizeof(value));
    wire_pair(&client, &server);
    wire_request(&client, "/", value, sizeof(value), true);
    wire_request(&client, "/", value, 7000, true);
    wire_write(&client);
    wire_move_all(&client, &server);
    const quicpro_batch *batch = wire_read(&server);
    const quicpro_event *event = wire_event(batch, QUICPRO_EVENT_REQUEST, 0);
    if (CHECK(event != NULL))
        CHECK_U64(event->stream_id, ==, 4);
    CHECK(wire_event(batch, QUICPRO_EVENT_REQUEST, 1) == NULL);
    struct wire_stream *out = wire_find(server.out, 0, false);
    CHECK(out != NULL && out->reset && out->code == 0x107);
    CHECK_INT(server.closed, ==, 0);
    wire_done(&client);
    wire_done(&server);
}

/* A stream that ends in the middle of a section takes what it had with it. */
static void test_a_section_that_is_given_up(void)
{
    struct wire_end client, server;
    char value[3000];
    memset(value, 'x', sizeof(value));
    wire_pair(&client, &server);
    wire_request(&client, "/", value, sizeof(value), true);
    wire_write(&client);
    wire_move(&client, &server, 6, SIZE_MAX);
    wire_move(&client, &server, 0, 500);
    CHECK_U64(wire_read(&server)->event_count, ==, 0);
    CHECK_U64(server.streams.used, ==, 1);
    struct wire_stream *in = wire_find(server.in, 0, false);
    in->reset = in->fresh = true;
    in->code = 0x10c;
    CHECK_U64(wire_read(&server)->event_count, ==, 0);
    CHECK_U64(server.streams.used, ==, 0);
    wire_done(&client);
    wire_done(&server);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_sections_in_pieces),
        TEST(test_sections_that_wait_for_the_dynamic_table),
        TEST(test_a_body_behind_a_blocked_section),
        TEST(test_sections_are_limited),
        TEST(test_a_section_that_is_given_up),
    };
    return RUN(tests);
}
