#include "h3/early.h"

#include "wire.h"

static void test_methods(void)
{
    static const struct {
        const char *method;
        bool early;
    } row[] = {
        {"GET", true},    {"HEAD", true},    {"OPTIONS", true}, {"POST", false},     {"PUT", false},
        {"get", false},   {"DELETE", false}, {"PATCH", false},  {"CONNECT", false},  {"", false},
        {"TRACE", false}, {"GETS", false},   {"GE", false},     {"PROPFIND", false},
    };
    for (size_t i = 0; i < COUNTOF(row); i++)
        CHECK(qp_h3_early_method((const uint8_t *)row[i].method, strlen(row[i].method)) ==
              row[i].early);
}

/* A request with the field Early-Data, or without it: NULL. */
static quicpro_stream ask_by(struct wire_end *client, const char *method, const char *gateway,
                             const char *body, bool fin)
{
    const quicpro_nv fields[] = {
        {":method", 7, method, strlen(method)},
        QUICPRO_NV(":scheme", "https"),
        QUICPRO_NV(":authority", "wire.example"),
        QUICPRO_NV(":path", "/"),
        {"early-data", 10, gateway, gateway == NULL ? 0 : strlen(gateway)},
    };
    const size_t count = COUNTOF(fields) - (gateway == NULL);
    quicpro_stream stream = 0;
    CHECK_INT(qp_h3_request(&client->h3, fields, count, body, strlen(body), fin, NULL, &stream), ==,
              0);
    return stream;
}

static quicpro_stream ask(struct wire_end *client, const char *method, const char *body, bool fin)
{
    return ask_by(client, method, NULL, body, fin);
}

static struct qp_h3_stream *stream_of(struct wire_end *end, quicpro_stream handle)
{
    return qp_slab_get(&end->streams, handle);
}

/* The types and flags of a batch's events as text, such as "R0e" (request on stream 0, early),
 * "D4=body", "T4f" (trailers, the end). */
static const char *told(const quicpro_batch *batch)
{
    static char text[512];
    text[0] = '\0';
    for (size_t i = 0; i < batch->event_count; i++) {
        const quicpro_event *e = &batch->events[i];
        size_t n = strlen(text);
        const char *type = e->type == QUICPRO_EVENT_REQUEST    ? "R"
                           : e->type == QUICPRO_EVENT_DATA     ? "D"
                           : e->type == QUICPRO_EVENT_TRAILERS ? "T"
                           : e->type == QUICPRO_EVENT_RESPONSE ? "A"
                           : e->type == QUICPRO_EVENT_RESET    ? "X"
                                                               : "?";
        snprintf(text + n, sizeof(text) - n, "%s%s%d%s%s%.*s", n == 0 ? "" : " ", type,
                 (int)e->stream_id, e->flags & QUICPRO_FLAG_EARLY ? "e" : "",
                 e->flags & QUICPRO_FLAG_FIN ? "f" : "",
                 e->type == QUICPRO_EVENT_DATA ? (int)e->len : 0, (const char *)e->data);
    }
    return text;
}

static void test_server_holds_what_is_not_safe(void)
{
    static const char *const trailer[] = {NULL, "x"};
    for (size_t t = 0; t < COUNTOF(trailer); t++)
        for (size_t piece = 1; piece < 2000; piece = piece * 3 + 1) {
            struct wire_end client, server;
            wire_pair(&client, &server);
            server.h3.early = true;
            ask(&client, "GET", "", true);
            quicpro_stream post = ask(&client, "POST", "body", trailer[t] == NULL);
            ask(&client, "DELETE", "", true);
            wire_write(&client);
            if (trailer[t] != NULL) {
                const quicpro_nv nv[] = {QUICPRO_NV("x-sum", "1")};
                CHECK_INT(qp_h3_stream_trailers(stream_of(&client, post), nv, 1), ==, 0);
                wire_write(&client);
            }
            wire_move(&client, &server, 6, SIZE_MAX);
            CHECK_U64(wire_read(&server)->event_count, ==, 0);
            size_t requests = 0;
            for (uint64_t id = 0; id <= 8; id += 4)
                while (wire_move(&client, &server, id, piece) != 0) {
                    const quicpro_batch *batch = wire_read(&server);
                    if (batch->event_count != 0 && CHECK_STR(told(batch), "R0ef"))
                        requests++;
                }
            CHECK_U64(requests, ==, 1);
            qp_batch_reset(&server.batch);
            qp_h3_early_over(&server.h3);
            qp_h3_read(&server.h3, 0, SIZE_MAX); /* what was left unread */
            const quicpro_batch *batch = qp_batch_seal(&server.batch);
            const quicpro_event *request = wire_event(batch, QUICPRO_EVENT_REQUEST, 0);
            size_t len, body = 0, fins = 0, trailers = 0;
            for (size_t i = 0; i < batch->event_count; i++) {
                const quicpro_event *e = &batch->events[i];
                if (e->type == QUICPRO_EVENT_DATA) {
                    CHECK_MEM(e->data, "body" + body, e->len);
                    body += e->len;
                }
                CHECK(!(e->flags & QUICPRO_FLAG_EARLY));
                fins += (e->flags & QUICPRO_FLAG_FIN) != 0;
                trailers += e->type == QUICPRO_EVENT_TRAILERS;
            }
            CHECK_U64(body, ==, 4);
            CHECK_U64(fins, ==, 2);
            CHECK_U64(trailers, ==, t);
            if (CHECK(request != NULL)) {
                const char *method = quicpro_event_field(batch, request, ":method", &len);
                CHECK(method != NULL && len == 4 && memcmp(method, "POST", 4) == 0);
                CHECK_U64(request->stream_id, ==, 4);
            }
            CHECK_INT(server.closed, ==, 0);
            wire_done(&client);
            wire_done(&server);
        }
}

/* What the server's application is told at once, and when the handshake is done; and the client. */
static void test_what_becomes_of_a_request(void)
{
    enum { WAIT = QP_H3_UNSAFE_WAIT, REFUSE = QP_H3_UNSAFE_REFUSE, SHOW = QP_H3_UNSAFE_SHOW };
    static const struct {
        unsigned option; /* enum qp_h3_early_unsafe */
        bool early;      /* on this connection */
        const char *gateway, *method, *at_once, *later;
        unsigned status; /* that the client gets without the application */
    } row[] = {
        {WAIT, false, NULL, "POST", "R0 D0fbody", "", 0},
        {WAIT, true, NULL, "POST", "", "R0 D0fbody", 0},
        {WAIT, true, NULL, "GET", "R0e D0fbody", "", 0},
        {WAIT, false, "1", "POST", "", "", 425},
        {WAIT, true, "1", "POST", "", "", 425},
        {WAIT, false, "1", "GET", "R0e D0fbody", "", 0},
        {WAIT, false, "nonsense", "DELETE", "", "", 425},
        {WAIT, false, "", "GET", "R0e D0fbody", "", 0},
        {REFUSE, false, NULL, "POST", "R0 D0fbody", "", 0},
        {REFUSE, true, NULL, "POST", "", "", 425},
        {REFUSE, true, NULL, "GET", "R0e D0fbody", "", 0},
        {REFUSE, false, "1", "POST", "", "", 425},
        {SHOW, true, NULL, "POST", "R0e D0fbody", "", 0},
        {SHOW, false, "1", "POST", "R0e D0fbody", "", 0},
        {SHOW, false, NULL, "POST", "R0 D0fbody", "", 0},
    };
    for (size_t i = 0; i < COUNTOF(row); i++) {
        struct wire_end client, server;
        wire_pair(&client, &server);
        server.options.early_unsafe = row[i].option;
        server.h3.early = row[i].early;
        ask_by(&client, row[i].method, row[i].gateway, "body", true);
        wire_write(&client);
        wire_move_all(&client, &server);
        CHECK_STR(told(wire_read(&server)), row[i].at_once);
        wire_write(&server);
        wire_move_all(&server, &client);
        const quicpro_event *answer = wire_event(wire_read(&client), QUICPRO_EVENT_RESPONSE, 0);
        CHECK_U64(answer == NULL ? 0 : answer->code, ==, row[i].status);
        CHECK(answer == NULL || (answer->flags & QUICPRO_FLAG_FIN));
        if (row[i].status != 0) { /* both are through with it */
            CHECK_U64(server.streams.used, ==, 0);
            CHECK_U64(client.streams.used, ==, 0);
        }
        qp_batch_reset(&server.batch);
        qp_h3_early_over(&server.h3);
        CHECK_STR(told(qp_batch_seal(&server.batch)), row[i].later);
        wire_done(&client);
        wire_done(&server);
    }
}

/* Its body and its trailers are read to their end, however they come, and never told. */
static void test_rest_of_a_refused_request_is_thrown_away(void)
{
    const quicpro_nv trailers[] = {QUICPRO_NV("x-sum", "1")};
    for (size_t piece = 1; piece < 200; piece = piece * 3 + 1) {
        struct wire_end client, server;
        wire_pair(&client, &server);
        quicpro_stream post = ask_by(&client, "POST", "1", "begin", false);
        wire_write(&client);
        wire_move_all(&client, &server);
        CHECK_U64(wire_read(&server)->event_count, ==, 0);
        wire_write(&server);
        wire_move_all(&server, &client);
        CHECK_STR(told(wire_read(&client)), "A0f");
        CHECK_U64(server.streams.used, ==, 1); /* more is to come */
        CHECK_INT(qp_h3_stream_write(stream_of(&client, post), "the rest", 8, 0), ==, 0);
        CHECK_INT(qp_h3_stream_trailers(stream_of(&client, post), trailers, 1), ==, 0);
        wire_write(&client);
        wire_move(&client, &server, 6, SIZE_MAX);
        CHECK_U64(wire_read(&server)->event_count, ==, 0);
        while (wire_move(&client, &server, 0, piece) != 0)
            CHECK_U64(wire_read(&server)->event_count, ==, 0);
        CHECK_U64(server.streams.used, ==, 0);
        CHECK_INT(server.closed, ==, 0);
        wire_done(&client);
        wire_done(&server);
    }
}

static void answer_all(struct wire_end *server, const quicpro_batch *batch, unsigned status)
{
    for (size_t i = 0; i < batch->event_count; i++)
        if (batch->events[i].type == QUICPRO_EVENT_REQUEST)
            CHECK_INT(qp_h3_respond(stream_of(server, batch->events[i].stream), status, NULL, 0,
                                    "text", 4, 1),
                      ==, 0);
}

/* "A user agent SHOULD retry automatically" (RFC 8470 section 5.2), once, and not as early data. */
static void test_client_asks_again_after_425(void)
{
    for (size_t piece = 1; piece < 500; piece = piece * 3 + 1)
        for (int over = 0; over < 2; over++) { /* was the handshake done when 425 came? */
            struct wire_end client, server;
            wire_prepare(&client, false);
            wire_init(&server, true);
            quicpro_stream get = ask(&client, "GET", "", true);
            client.h3.early = true;
            CHECK_INT(qp_h3_start(&client.h3), ==, 0);
            wire_write(&client);
            wire_move_all(&client, &server);
            answer_all(&server, wire_read(&server), 425);
            wire_write(&server);
            if (over)
                qp_h3_early_over(&client.h3);
            for (uint64_t id = 3; id <= 11; id += 4)
                wire_move(&server, &client, id, SIZE_MAX);
            while (wire_move(&server, &client, 0, piece) != 0)
                CHECK_STR(told(wire_read(&client)), "");
            CHECK_U64(client.h3.waiting_count, ==, !over);
            if (!over) {
                CHECK(!qp_h3_early_ready(&client.h3));
                qp_h3_early_over(&client.h3);
            }
            CHECK_U64(stream_of(&client, get)->id, ==, 4); /* the same to its user */
            wire_write(&client);
            wire_move_all(&client, &server);
            const quicpro_batch *batch = wire_read(&server);
            CHECK_STR(told(batch), "R4f");
            answer_all(&server, batch, 425); /* now it is the answer */
            wire_write(&server);
            wire_move_all(&server, &client);
            batch = wire_read(&client);
            CHECK_STR(told(batch), "A4 D4ftext");
            CHECK_U64(wire_event(batch, QUICPRO_EVENT_RESPONSE, 0)->code, ==, 425);
            CHECK_U64(client.streams.used, ==, 0);
            wire_done(&client);
            wire_done(&server);
        }
}

/* Whoever sent a request when the handshake was done, or is asked to go, is told of 425. */
static void test_425_that_is_told(void)
{
    for (int goaway = 0; goaway < 2; goaway++) {
        struct wire_end client, server;
        wire_prepare(&client, false);
        wire_init(&server, true);
        ask(&client, "GET", "", true);
        client.h3.early = goaway;
        CHECK_INT(qp_h3_start(&client.h3), ==, 0);
        wire_write(&client);
        wire_move_all(&client, &server);
        answer_all(&server, wire_read(&server), 425);
        if (goaway)
            qp_h3_shutdown(&server.h3);
        wire_write(&server);
        wire_move(&server, &client, 3, SIZE_MAX);
        wire_read(&client);
        wire_move_all(&server, &client);
        CHECK_STR(told(wire_read(&client)), "A0 D0ftext");
        wire_done(&client);
        wire_done(&server);
    }
}

/* Nothing was shown, so nothing is lost. */
static void test_held_request_dies_silently(void)
{
    static const struct qp_conn_close close = {.error = QUICPRO_EHANDSHAKE, .text = "timeout"};
    struct wire_end client, server;
    wire_pair(&client, &server);
    server.h3.early = true;
    ask(&client, "GET", "", true);
    ask(&client, "POST", "body", true);
    wire_write(&client);
    wire_move_all(&client, &server);
    CHECK_STR(told(wire_read(&server)), "R0ef");
    qp_batch_reset(&server.batch);
    qp_h3_lost(&server.h3, &close);
    CHECK_STR(told(qp_batch_seal(&server.batch)), "X0");
    wire_done(&client);
    wire_done(&server);
}

static void test_held_request_that_its_client_resets(void)
{
    struct wire_end client, server;
    wire_pair(&client, &server);
    server.h3.early = true;
    ask(&client, "POST", "body", false);
    wire_write(&client);
    wire_move_all(&client, &server);
    CHECK_U64(wire_read(&server)->event_count, ==, 0);
    struct wire_stream *in = wire_find(server.in, 0, false);
    in->reset = in->fresh = true;
    in->code = 0x10c;
    qp_batch_reset(&server.batch);
    qp_h3_early_over(&server.h3);
    qp_h3_read(&server.h3, 0, SIZE_MAX);
    CHECK_STR(told(qp_batch_seal(&server.batch)), "R0 D0body X0");
    wire_done(&client);
    wire_done(&server);
}

/* A client that offers early data: safe requests without a body overtake the others. */
static void test_client_sends_only_safe_requests_early(void)
{
    struct wire_end client;
    wire_prepare(&client, false);
    ask(&client, "POST", "1", true);
    CHECK(!qp_h3_early_ready(&client.h3));
    quicpro_stream get = ask(&client, "GET", "", true);
    CHECK(qp_h3_early_ready(&client.h3));
    ask(&client, "GET", "with a body", true);
    ask(&client, "OPTIONS", "", false); /* one is to come */
    client.h3.early = true;
    CHECK_INT(qp_h3_start(&client.h3), ==, 0);
    CHECK_U64(client.h3.waiting_count, ==, 3);
    CHECK_U64(stream_of(&client, get)->id, ==, 0);
    quicpro_stream head = ask(&client, "HEAD", "", true); /* at once */
    CHECK_U64(stream_of(&client, head)->id, ==, 4);
    ask(&client, "DELETE", "", true);
    CHECK_U64(client.h3.waiting_count, ==, 4);
    CHECK(stream_of(&client, get)->pending.len != 0);
    qp_h3_early_over(&client.h3);
    CHECK_U64(client.h3.waiting_count, ==, 0);
    CHECK(client.h3.waiting == NULL);
    CHECK_U64(client.h3.next_bidi, ==, 4 * 6);
    CHECK(stream_of(&client, get)->pending.len != 0); /* 425 may come */
    wire_done(&client);
}

static void test_rejection_makes_all_wait_again_in_order(void)
{
    struct wire_end client, server;
    quicpro_stream stream[4];
    wire_prepare(&client, false);
    wire_prepare(&server, true);
    stream[0] = ask(&client, "GET", "", true);
    stream[1] = ask(&client, "POST", "x", true);
    stream[2] = ask(&client, "HEAD", "", true);
    client.h3.early = true;
    CHECK_INT(qp_h3_start(&client.h3), ==, 0);
    stream[3] = ask(&client, "GET", "", true);
    wire_write(&client);
    /* One of them is given up meanwhile. */
    qp_h3_stream_abort(stream_of(&client, stream[2]), 0x10c);
    qp_h3_early_rejected(&client.h3);
    CHECK_U64(client.h3.waiting_count, ==, 3);
    for (size_t i = 0; i < WIRE_STREAMS; i++) { /* a new connection */
        free(client.out[i].data);
        client.out[i] = (struct wire_stream){0};
    }
    CHECK_INT(qp_h3_start(&client.h3), ==, 0);
    CHECK_U64(client.h3.waiting_count, ==, 0);
    CHECK_U64(stream_of(&client, stream[0])->id, ==, 0);
    CHECK_U64(stream_of(&client, stream[3])->id, ==, 4);
    CHECK_U64(stream_of(&client, stream[1])->id, ==, 8);
    wire_write(&client);
    CHECK_INT(qp_h3_start(&server.h3), ==, 0);
    wire_move_all(&client, &server);
    CHECK_STR(told(wire_read(&server)), "R0f R4f R8 D8fx");
    wire_done(&client);
    wire_done(&server);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_methods),
        TEST(test_server_holds_what_is_not_safe),
        TEST(test_what_becomes_of_a_request),
        TEST(test_rest_of_a_refused_request_is_thrown_away),
        TEST(test_client_asks_again_after_425),
        TEST(test_425_that_is_told),
        TEST(test_held_request_dies_silently),
        TEST(test_held_request_that_its_client_resets),
        TEST(test_client_sends_only_safe_requests_early),
        TEST(test_rejection_makes_all_wait_again_in_order),
    };
    return RUN(tests);
}
