#include "exchange.h"

static void test_get_of_any_length(void)
{
    static const size_t length[] = {0, 1, 1200, 16384, 16385, 300000};
    struct pair p;
    struct exchanges all;
    struct exchange x[COUNTOF(length)];
    exchange_open(&p, &all, COUNTOF(length));
    for (size_t i = 0; i < COUNTOF(length); i++)
        CHECK_INT(exchange_get(&p, &x[i], length[i], (uint8_t)i), ==, 0);
    CHECK(pair_until(&p, &all.finished));
    for (size_t i = 0; i < COUNTOF(length); i++)
        CHECK(exchange_good(&x[i]));
    exchange_close(&p);
}

static void test_post_is_echoed(void)
{
    struct pair p;
    struct exchanges all;
    struct exchange x;
    exchange_open(&p, &all, 1);
    CHECK_INT(exchange_post(&p, &x, 1 << 20, 3), ==, 0);
    CHECK(pair_until(&p, &all.finished));
    CHECK(exchange_good(&x));
    CHECK_U64(x.sent, ==, 1 << 20);
    CHECK_U64(all.writable, >, 0);
    exchange_close(&p);
}

/* Many small responses share packets (engine/patches/0001): each must get its own bytes. */
static void test_a_hundred_streams_keep_their_bytes(void)
{
    static const size_t length[] = {0, 1, 20, 100, 1100, 1400, 5000, 40000};
    struct pair p;
    struct exchanges all;
    struct exchange x[100];
    exchange_open(&p, &all, 3 * COUNTOF(x));
    for (unsigned round = 1; round <= 3; round++) {
        for (size_t i = 0; i < COUNTOF(x); i++)
            CHECK_INT(exchange_get(&p, &x[i], length[(i * round) % COUNTOF(length)], (uint8_t)i),
                      ==, 0);
        all.finished = false;
        all.expected = round * COUNTOF(x);
        CHECK(pair_until(&p, &all.finished));
        for (size_t i = 0; i < COUNTOF(x); i++)
            CHECK(exchange_good(&x[i]));
    }
    exchange_close(&p);
}

/* 100 responses of 100 bytes take about a tenth of a hundred packets. */
static void test_small_responses_share_packets(void)
{
    struct pair p;
    struct exchanges all;
    struct exchange x[100];
    quicpro_conn_info before = {.size = sizeof(before)}, after = {.size = sizeof(after)};
    exchange_open(&p, &all, COUNTOF(x));
    CHECK_INT(quicpro_conn_get_info(p.client_loop, p.conn, &before), ==, 0);
    for (size_t i = 0; i < COUNTOF(x); i++)
        CHECK_INT(exchange_get(&p, &x[i], 100, (uint8_t)i), ==, 0);
    CHECK(pair_until(&p, &all.finished));
    CHECK_INT(quicpro_conn_get_info(p.client_loop, p.conn, &after), ==, 0);
    CHECK_U64(after.packets_in - before.packets_in, <, 60);
    exchange_close(&p);
}

static void test_a_large_download_is_paced_by_the_queue(void)
{
    struct pair p;
    struct exchanges all;
    struct exchange x;
    exchange_open(&p, &all, 1);
    CHECK_INT(exchange_get(&p, &x, 8 << 20, 9), ==, 0);
    CHECK(pair_until(&p, &all.finished));
    CHECK(exchange_good(&x));
    CHECK_U64(all.again, >, 0);
    CHECK_U64(all.writable, ==, all.again);
    exchange_close(&p);
}

static void test_a_paused_stream_waits(void)
{
    struct pair p;
    struct exchanges all;
    struct exchange big, small;
    exchange_open(&p, &all, 1);
    CHECK_INT(exchange_get(&p, &big, 4 << 20, 1), ==, 0);
    while (big.got == 0)
        pair_step(&p);
    CHECK_INT(quicpro_stream_pause(p.client_loop, big.stream, 1), ==, 0);
    size_t got = big.got;
    CHECK_INT(exchange_get(&p, &small, 100000, 2), ==, 0);
    CHECK(pair_until(&p, &all.finished)); /* the other stream */
    CHECK(exchange_good(&small));
    CHECK_U64(big.got, <=, got + 65536);
    all = (struct exchanges){.expected = 1, .serving = all.serving};
    CHECK_INT(quicpro_stream_pause(p.client_loop, big.stream, 0), ==, 0);
    CHECK(pair_until(&p, &all.finished));
    CHECK(exchange_good(&big));
    exchange_close(&p);
}

static const quicpro_nv checksum[] = {QUICPRO_NV("x-checksum", "0123456789abcdef")};

struct trailers {
    quicpro_stream server_stream;
    char request_trailer[32], response_trailer[32];
    uint64_t status[4];
    size_t sections;
    size_t body;
    bool done;
};

static void keep_trailer(char out[32], const quicpro_batch *batch, const quicpro_event *event)
{
    size_t len;
    const char *value = quicpro_event_field(batch, event, "x-checksum", &len);
    CHECK(event->flags & QUICPRO_FLAG_FIN);
    if (CHECK(value != NULL))
        snprintf(out, 32, "%.*s", (int)len, value);
}

/* Early hints, then when the request has ended a response with a body and trailers. */
static void answer_with_trailers(struct pair *p, const quicpro_batch *batch,
                                 const quicpro_event *event)
{
    static const quicpro_nv hint[] = {QUICPRO_NV("link", "</style.css>; rel=preload")};
    struct trailers *t = p->data;
    quicpro_loop *loop = p->server_loop;
    if (event->type == QUICPRO_EVENT_REQUEST)
        CHECK_INT(quicpro_respond(loop, event->stream, 103, hint, 1, NULL, 0, 0), ==, 0);
    if (event->type != QUICPRO_EVENT_TRAILERS)
        return;
    keep_trailer(t->request_trailer, batch, event);
    CHECK_INT(quicpro_stream_trailers(loop, event->stream, checksum, 1), ==, QUICPRO_ESTATE);
    CHECK_INT(quicpro_respond(loop, event->stream, 200, NULL, 0, "body", 4, 0), ==, 0);
    CHECK_INT(quicpro_stream_trailers(loop, event->stream, checksum, 1), ==, 0);
    CHECK_INT(quicpro_stream_trailers(loop, event->stream, checksum, 1), ==, QUICPRO_ESTATE);
    CHECK_INT(quicpro_stream_write(loop, event->stream, "x", 1, 0), ==, QUICPRO_ESTATE);
}

static void see_trailers(struct pair *p, const quicpro_batch *batch, const quicpro_event *event)
{
    struct trailers *t = p->data;
    if (event->type == QUICPRO_EVENT_RESPONSE && t->sections < COUNTOF(t->status)) {
        CHECK_INT((event->flags & QUICPRO_FLAG_INFORMATIONAL) != 0, ==, event->code < 200);
        t->status[t->sections++] = event->code;
    } else if (event->type == QUICPRO_EVENT_DATA) {
        t->body += event->len;
    } else if (event->type == QUICPRO_EVENT_TRAILERS) {
        keep_trailer(t->response_trailer, batch, event);
        t->done = true;
    }
}

static void test_trailers_and_informational_responses(void)
{
    struct pair p;
    struct trailers t = {0};
    quicpro_stream stream;
    pair_open(&p);
    p.data = &t;
    p.on_server = answer_with_trailers;
    p.on_client = see_trailers;
    CHECK_INT(pair_request(&p, "POST", "/", "abc", 3, 0, NULL, &stream), ==, 0);
    CHECK_INT(quicpro_stream_trailers(p.client_loop, stream, checksum, 1), ==, 0);
    CHECK(pair_until(&p, &t.done));
    CHECK_STR(t.request_trailer, "0123456789abcdef");
    CHECK_STR(t.response_trailer, "0123456789abcdef");
    CHECK_U64(t.sections, ==, 2);
    CHECK_U64(t.status[0], ==, 103);
    CHECK_U64(t.status[1], ==, 200);
    CHECK_U64(t.body, ==, 4);
    CHECK_INT(p.resets, ==, 0);
    pair_done(&p);
}

static void answer_head(struct pair *p, const quicpro_batch *batch, const quicpro_event *event)
{
    static const quicpro_nv length[] = {QUICPRO_NV("content-length", "12345")};
    size_t len;
    if (event->type != QUICPRO_EVENT_REQUEST)
        return;
    const char *method = quicpro_event_field(batch, event, ":method", &len);
    CHECK(method != NULL && len == 4 && memcmp(method, "HEAD", 4) == 0);
    CHECK_INT(quicpro_respond(p->server_loop, event->stream, 200, length, 1, NULL, 0, 1), ==, 0);
}

static void test_head_has_a_length_and_no_body(void)
{
    struct pair p;
    struct exchanges all;
    struct exchange x = {0};
    exchange_open(&p, &all, 1);
    p.on_server = answer_head;
    CHECK_INT(pair_request(&p, "HEAD", "/", NULL, 0, 1, &x, &x.stream), ==, 0);
    CHECK(pair_until(&p, &all.finished));
    CHECK(exchange_good(&x));
    exchange_close(&p);
}

static void test_stale_handles(void)
{
    struct pair p;
    struct exchanges all;
    struct exchange x;
    quicpro_conn_info info = {.size = sizeof(info)};
    exchange_open(&p, &all, 1);
    CHECK_INT(exchange_get(&p, &x, 10, 0), ==, 0);
    CHECK(pair_until(&p, &all.finished));
    const quicpro_handle stale[] = {0, x.stream, x.stream + 1, p.conn, UINT64_MAX};
    quicpro_loop *loop = p.client_loop;
    for (size_t i = 0; i < COUNTOF(stale); i++) {
        const quicpro_handle h = stale[i];
        CHECK_INT(quicpro_respond(loop, h, 200, NULL, 0, NULL, 0, 1), ==, QUICPRO_ESTALE);
        CHECK_INT(quicpro_stream_write(loop, h, "x", 1, 0), ==, QUICPRO_ESTALE);
        CHECK_INT(quicpro_stream_trailers(loop, h, NULL, 0), ==, QUICPRO_ESTALE);
        CHECK_INT(quicpro_stream_reset(loop, h, 0x10c), ==, QUICPRO_ESTALE);
        CHECK_INT(quicpro_stream_pause(loop, h, 1), ==, QUICPRO_ESTALE);
        CHECK_INT(quicpro_stream_set_user(loop, h, NULL), ==, QUICPRO_ESTALE);
        if (h == p.conn)
            continue;
        CHECK_INT(quicpro_conn_set_user(loop, h, NULL), ==, QUICPRO_ESTALE);
        CHECK_INT(quicpro_conn_close(loop, h, 0x100, NULL), ==, QUICPRO_ESTALE);
        CHECK_INT(quicpro_conn_get_info(loop, h, &info), ==, QUICPRO_ESTALE);
    }
    CHECK_INT(quicpro_conn_close(loop, p.conn, 0x100, NULL), ==, 0);
    CHECK(pair_until_closed(&p));
    CHECK_INT(quicpro_conn_close(loop, p.conn, 0x100, NULL), ==, QUICPRO_ESTALE);
    CHECK_INT(exchange_get(&p, &x, 10, 0), ==, QUICPRO_ESTALE);
    exchange_close(&p);
}

static void respond_wrongly(struct pair *p, const quicpro_batch *batch, const quicpro_event *event)
{
    static const struct {
        quicpro_nv field;
        unsigned status;
    } bad[] = {
        {QUICPRO_NV("ok", "v"), 99},
        {QUICPRO_NV("ok", "v"), 101},
        {QUICPRO_NV("ok", "v"), 1000},
        {QUICPRO_NV(":status", "200"), 200},
        {QUICPRO_NV("Upper", "v"), 200},
        {QUICPRO_NV("connection", "close"), 200},
        {QUICPRO_NV("transfer-encoding", "chunked"), 200},
        {QUICPRO_NV("x", "a\r\nb"), 200},
        {QUICPRO_NV("", "v"), 200},
    };
    quicpro_loop *loop = p->server_loop;
    const quicpro_stream s = event->stream;
    (void)batch;
    if (event->type != QUICPRO_EVENT_REQUEST)
        return;
    for (size_t i = 0; i < COUNTOF(bad); i++)
        CHECK_INT(quicpro_respond(loop, s, bad[i].status, &bad[i].field, 1, NULL, 0, 0), ==,
                  QUICPRO_EINVAL);
    CHECK_INT(quicpro_respond(loop, s, 200, NULL, 0, NULL, 1, 1), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_respond(loop, s, 100, NULL, 0, "x", 1, 0), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_stream_write(loop, s, "x", 1, 0), ==, QUICPRO_ESTATE);
    CHECK_INT(quicpro_respond(loop, s, 200, NULL, 0, NULL, 0, 0), ==, 0);
    CHECK_INT(quicpro_respond(loop, s, 200, NULL, 0, NULL, 0, 0), ==, QUICPRO_ESTATE);
    CHECK_INT(quicpro_stream_write(loop, s, NULL, 1, 0), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_stream_trailers(loop, s, &bad[4].field, 1), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_stream_write(loop, s, "x", 1, 1), ==, 0);
    CHECK_INT(quicpro_stream_write(loop, s, "x", 1, 1), ==, QUICPRO_ESTATE);
}

static void test_responses_that_are_refused(void)
{
    struct pair p;
    struct exchanges all;
    struct exchange x;
    exchange_open(&p, &all, 1);
    p.on_server = respond_wrongly;
    CHECK_INT(exchange_get(&p, &x, 0, 'x'), ==, 0);
    x.want = 1;
    CHECK(pair_until(&p, &all.finished));
    CHECK(exchange_good(&x));
    exchange_close(&p);
}

static void test_requests_that_are_refused(void)
{
#define METHOD QUICPRO_NV(":method", "GET")
#define SCHEME QUICPRO_NV(":scheme", "https")
#define PATH QUICPRO_NV(":path", "/")
    static const quicpro_nv row[][4] = {
        {METHOD, SCHEME, PATH, QUICPRO_NV("connection", "close")},
        {METHOD, SCHEME, PATH, QUICPRO_NV("te", "gzip")},
        {METHOD, SCHEME, PATH, QUICPRO_NV("a b", "x")},
        {METHOD, SCHEME, PATH, QUICPRO_NV("x", "a\nb")},
        {METHOD, SCHEME, PATH, METHOD},
        {METHOD, SCHEME, QUICPRO_NV("x", "y"), PATH},
        {METHOD, METHOD, SCHEME, PATH},
        {SCHEME, PATH, QUICPRO_NV("x", "y"), QUICPRO_NV("y", "z")},
        {METHOD, SCHEME, PATH, QUICPRO_NV(":unknown", "z")},
    };
    struct pair p;
    quicpro_stream stream = 77;
    pair_open(&p);
    for (size_t i = 0; i < COUNTOF(row); i++)
        CHECK_INT(quicpro_request(p.client_loop, p.conn, row[i], 4, NULL, 0, 1, NULL, &stream), ==,
                  QUICPRO_EINVAL);
    CHECK_INT(quicpro_request(p.client_loop, p.conn, row[0], 3, NULL, 5, 1, NULL, &stream), ==,
              QUICPRO_EINVAL);
    CHECK_INT(quicpro_request(p.client_loop, p.conn, NULL, 3, NULL, 0, 1, NULL, &stream), ==,
              QUICPRO_EINVAL);
    CHECK_INT(quicpro_request(p.client_loop, p.conn, row[0], 3, NULL, 0, 1, NULL, NULL), ==,
              QUICPRO_EINVAL);
    CHECK_U64(stream, ==, 77);
    pair_done(&p);
}

/* Sections that need several packets, and whose packets come in between those of others. */
static void answer_large_fields(struct pair *p, const quicpro_batch *batch,
                                const quicpro_event *event)
{
    size_t len = 0;
    unsigned found = 0;
    if (event->type != QUICPRO_EVENT_REQUEST)
        return;
    const quicpro_field *field = event->data;
    const char *path = quicpro_event_field(batch, event, ":path", &len);
    if (!CHECK(path != NULL && len == 2))
        return;
    for (size_t i = 0; i < event->len; i++) {
        size_t value_len;
        const char *value = quicpro_field_value(batch, &field[i], &value_len);
        if (value_len == 3000 && value[0] == path[1] && value[2999] == path[1])
            found++;
    }
    CHECK_U64(found, ==, 10);
    CHECK_U64(event->len, ==, 14);
    CHECK_INT(quicpro_respond(p->server_loop, event->stream, 200, NULL, 0, NULL, 0, 1), ==, 0);
}

static void test_large_field_sections_stay_apart(void)
{
    struct pair p;
    struct exchanges all;
    struct exchange x[8];
    char value[COUNTOF(x)][3000], path[COUNTOF(x)][3];
    exchange_open(&p, &all, COUNTOF(x));
    p.on_server = answer_large_fields;
    for (size_t i = 0; i < COUNTOF(x); i++) {
        quicpro_nv nv[14] = {QUICPRO_NV(":method", "GET"), QUICPRO_NV(":scheme", "https"),
                             QUICPRO_NV(":authority", "localhost")};
        memset(value[i], 'a' + (int)i, sizeof(value[i]));
        snprintf(path[i], sizeof(path[i]), "/%c", 'a' + (int)i);
        nv[3] = (quicpro_nv){":path", 5, path[i], 2};
        for (size_t j = 4; j < 14; j++)
            nv[j] = (quicpro_nv){"x-large", 7, value[i], sizeof(value[i])};
        x[i] = (struct exchange){0};
        CHECK_INT(quicpro_request(p.client_loop, p.conn, nv, 14, NULL, 0, 1, &x[i], &x[i].stream),
                  ==, 0);
    }
    CHECK(pair_until(&p, &all.finished));
    for (size_t i = 0; i < COUNTOF(x); i++)
        CHECK(exchange_good(&x[i]));
    exchange_close(&p);
}

static void test_requests_wait_for_the_handshake(void)
{
    struct pair p;
    struct exchanges all = {.expected = 3};
    struct exchange x[3], more;
    pair_init(&p, "localhost");
    quicpro_config_set(p.client_config, "max_pending_requests", "3");
    pair_start(&p);
    p.data = &all;
    p.on_server = exchange_serve;
    p.on_client = exchange_client;
    CHECK_INT(pair_connect(&p, "localhost"), ==, 0);
    for (size_t i = 0; i < COUNTOF(x); i++)
        CHECK_INT(exchange_post(&p, &x[i], 1000 * i + 1, (uint8_t)i), ==, 0);
    CHECK_INT(exchange_get(&p, &more, 1, 0), ==, QUICPRO_ELIMIT);
    CHECK(!p.connected);
    CHECK(pair_until(&p, &all.finished));
    for (size_t i = 0; i < COUNTOF(x); i++)
        CHECK(exchange_good(&x[i]));
    exchange_close(&p);
}

static void test_requests_wait_for_the_stream_limit(void)
{
    struct pair p;
    struct exchanges all = {.expected = 50};
    struct exchange x[50], more;
    pair_init(&p, "localhost");
    quicpro_config_set(p.server_config, "initial_max_streams_bidi", "4");
    quicpro_config_set(p.client_config, "max_pending_requests", "46");
    pair_start(&p);
    p.data = &all;
    p.on_server = exchange_serve;
    p.on_client = exchange_client;
    CHECK_INT(pair_connect(&p, "localhost"), ==, 0);
    CHECK(pair_until(&p, &p.connected));
    for (size_t i = 0; i < COUNTOF(x); i++)
        CHECK_INT(exchange_get(&p, &x[i], 10 * i, (uint8_t)i), ==, 0);
    CHECK_INT(exchange_get(&p, &more, 1, 0), ==, QUICPRO_ELIMIT);
    CHECK(pair_until(&p, &all.finished));
    for (size_t i = 0; i < COUNTOF(x); i++)
        CHECK(exchange_good(&x[i]));
    exchange_close(&p);
}

static void test_a_waiting_request_can_be_given_up(void)
{
    struct pair p;
    struct exchanges all = {.expected = 2};
    struct exchange x[3];
    pair_init(&p, "localhost");
    pair_start(&p);
    p.data = &all;
    p.on_server = exchange_serve;
    p.on_client = exchange_client;
    CHECK_INT(pair_connect(&p, "localhost"), ==, 0);
    for (size_t i = 0; i < COUNTOF(x); i++)
        CHECK_INT(exchange_get(&p, &x[i], 100, (uint8_t)i), ==, 0);
    CHECK_INT(quicpro_stream_reset(p.client_loop, x[1].stream, 0x10c), ==, 0);
    CHECK_INT(quicpro_stream_reset(p.client_loop, x[1].stream, 0x10c), ==, QUICPRO_ESTALE);
    CHECK(pair_until(&p, &all.finished));
    CHECK(exchange_good(&x[0]));
    CHECK_U64(x[1].sections, ==, 0);
    CHECK(exchange_good(&x[2]));
    exchange_close(&p);
}

static void test_user_pointers(void)
{
    struct pair p;
    struct exchanges all;
    struct exchange first, second;
    exchange_open(&p, &all, 1);
    CHECK_INT(exchange_get(&p, &first, 2000, 5), ==, 0);
    second = first;
    CHECK_INT(quicpro_stream_set_user(p.client_loop, first.stream, &second), ==, 0);
    CHECK(pair_until(&p, &all.finished));
    CHECK_U64(first.got, ==, 0);
    CHECK(exchange_good(&second));
    CHECK_INT(quicpro_conn_set_user(p.client_loop, p.conn, &first), ==, 0);
    exchange_close(&p);
}

static void test_info_counts_what_happened(void)
{
    struct pair p;
    struct exchanges all;
    struct exchange x;
    quicpro_conn_info info = {.size = 8};
    exchange_open(&p, &all, 1);
    CHECK_INT(quicpro_conn_get_info(p.client_loop, p.conn, &info), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_conn_get_info(p.client_loop, p.conn, NULL), ==, QUICPRO_EINVAL);
    info.size = sizeof(info);
    CHECK_INT(exchange_get(&p, &x, 100000, 5), ==, 0);
    CHECK_INT(quicpro_conn_get_info(p.client_loop, p.conn, &info), ==, 0);
    CHECK_U64(info.streams, ==, 1);
    CHECK(pair_until(&p, &all.finished));
    CHECK_INT(quicpro_conn_get_info(p.client_loop, p.conn, &info), ==, 0);
    CHECK_U64(info.streams, ==, 0);
    CHECK_U64(info.bytes_in, >, 100000);
    CHECK_U64(info.packets_in, >, 60);
    CHECK_U64(info.packets_out, >, 0);
    CHECK_U64(info.cwnd, >, 0);
    CHECK_U64(info.min_rtt, <=, info.rtt);
    CHECK_U64(info.size, ==, sizeof(info));
    exchange_close(&p);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_get_of_any_length),
        TEST(test_post_is_echoed),
        TEST(test_a_hundred_streams_keep_their_bytes),
        TEST(test_small_responses_share_packets),
        TEST(test_a_large_download_is_paced_by_the_queue),
        TEST(test_a_paused_stream_waits),
        TEST(test_trailers_and_informational_responses),
        TEST(test_head_has_a_length_and_no_body),
        TEST(test_stale_handles),
        TEST(test_responses_that_are_refused),
        TEST(test_requests_that_are_refused),
        TEST(test_large_field_sections_stay_apart),
        TEST(test_requests_wait_for_the_handshake),
        TEST(test_requests_wait_for_the_stream_limit),
        TEST(test_a_waiting_request_can_be_given_up),
        TEST(test_user_pointers),
        TEST(test_info_counts_what_happened),
    };
    return RUN(tests);
}
