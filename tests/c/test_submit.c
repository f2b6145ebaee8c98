#include "pair.h"

/* Records one behind the other, at whatever alignment they come to lie. */
struct packed {
    uint8_t data[4096];
    size_t len;
};

static void put(struct packed *out, const void *data, size_t len)
{
    if (len != 0)
        memcpy(out->data + out->len, data, len);
    out->len += len;
}

static void record(struct packed *out, uint32_t op, quicpro_stream stream, uint64_t code,
                   const char *const *field, uint32_t field_count, const char *body, int fin)
{
    const quicpro_record head = {
        .op = op,
        .flags = fin ? QUICPRO_FLAG_FIN : 0,
        .stream = stream,
        .code = code,
        .field_count = field_count,
        .body_len = (uint32_t)strlen(body),
    };
    put(out, &head, sizeof(head));
    for (uint32_t i = 0; i < field_count; i++) {
        const uint32_t len[2] = {(uint32_t)strlen(field[2 * i]),
                                 (uint32_t)strlen(field[2 * i + 1])};
        put(out, len, sizeof(len));
    }
    for (uint32_t i = 0; i < 2 * field_count; i++)
        put(out, field[i], strlen(field[i]));
    put(out, body, strlen(body));
}

struct many {
    quicpro_stream stream[4]; /* at the server, in the order of their ids */
    size_t count;
    char body[4][32];
    char trailer[4][32], type[4][32];
    size_t ended, expected;
    bool ready, finished;
};

static void collect(struct pair *p, const quicpro_batch *batch, const quicpro_event *event)
{
    struct many *m = p->data;
    (void)batch;
    if (event->type == QUICPRO_EVENT_REQUEST)
        m->stream[event->stream_id / 4] = event->stream;
    m->ready = m->stream[0] && m->stream[1] && m->stream[2] && m->stream[3];
}

static void keep(char *out, const quicpro_batch *batch, const quicpro_event *event,
                 const char *name)
{
    size_t len;
    const char *value = quicpro_event_field(batch, event, name, &len);
    if (value != NULL)
        snprintf(out, 32, "%.*s", (int)len, value);
}

static void see(struct pair *p, const quicpro_batch *batch, const quicpro_event *event)
{
    struct many *m = p->data;
    size_t i = event->stream_id / 4;
    if (event->stream == 0)
        return;
    if (event->type == QUICPRO_EVENT_RESPONSE)
        keep(m->type[i], batch, event, "content-type");
    if (event->type == QUICPRO_EVENT_TRAILERS)
        keep(m->trailer[i], batch, event, "x-sum");
    if (event->type == QUICPRO_EVENT_DATA)
        snprintf(m->body[i] + strlen(m->body[i]), sizeof(m->body[i]) - strlen(m->body[i]), "%.*s",
                 (int)event->len, (const char *)event->data);
    if (event->type == QUICPRO_EVENT_RESET || (event->flags & QUICPRO_FLAG_FIN))
        m->finished = ++m->ended == m->expected;
}

/* Four requests that wait for their answers. */
static void open_four(struct pair *p, struct many *m)
{
    quicpro_stream stream;
    *m = (struct many){.expected = 4};
    pair_open(p);
    p->data = m;
    p->on_server = collect;
    p->on_client = see;
    for (int i = 0; i < 4; i++)
        CHECK_INT(pair_request(p, "GET", "/", NULL, 0, 1, NULL, &stream), ==, 0);
    CHECK(pair_until(p, &m->ready));
}

static const char *const plain[] = {"content-type", "text/plain", "x", ""};
static const char *const sum[] = {"x-sum", "7"};

static void test_each_operation(void)
{
    struct pair p;
    struct many m;
    struct packed r = {.len = 0};
    size_t refused = 99;
    open_four(&p, &m);
    record(&r, QUICPRO_OP_RESPOND, m.stream[0], 200, plain, 2, "whole", 1);
    record(&r, QUICPRO_OP_RESPOND, m.stream[1], 103, plain, 1, "", 0);
    record(&r, QUICPRO_OP_RESPOND, m.stream[1], 200, plain, 2, "odd", 0);
    record(&r, QUICPRO_OP_WRITE, m.stream[1], 0, NULL, 0, " more", 0);
    record(&r, QUICPRO_OP_TRAILERS, m.stream[1], 0, sum, 1, "", 0);
    record(&r, QUICPRO_OP_PAUSE, m.stream[2], 0, NULL, 0, "", 0);
    record(&r, QUICPRO_OP_RESUME, m.stream[2], 0, NULL, 0, "", 0);
    record(&r, QUICPRO_OP_RESPOND, m.stream[2], 404, NULL, 0, "", 1);
    record(&r, QUICPRO_OP_RESET, m.stream[3], 0x10b, NULL, 0, "", 0);
    CHECK_INT(quicpro_loop_submit(p.server_loop, r.data, r.len, &refused), ==, 9);
    CHECK_U64(refused, ==, 0);
    CHECK(pair_until(&p, &m.finished));
    CHECK_STR(m.body[0], "whole");
    CHECK_STR(m.type[0], "text/plain");
    CHECK_STR(m.body[1], "odd more");
    CHECK_STR(m.trailer[1], "7");
    CHECK_STR(m.body[2], "");
    CHECK_INT(p.resets, ==, 1);
    CHECK_U64(p.reset_code, ==, 0x10b);
    pair_done(&p);
}

static void test_nothing_and_bad_arguments(void)
{
    quicpro_loop *loop;
    size_t refused = 99;
    if (!CHECK_INT(quicpro_loop_new(&loop, NULL), ==, 0))
        return;
    CHECK_INT(quicpro_loop_submit(loop, NULL, 0, &refused), ==, 0);
    CHECK_U64(refused, ==, 0);
    CHECK_INT(quicpro_loop_submit(loop, NULL, 0, NULL), ==, 0);
    CHECK_INT(quicpro_loop_submit(loop, NULL, 1, NULL), ==, QUICPRO_EINVAL);
    CHECK_INT(quicpro_loop_submit(NULL, "", 0, NULL), ==, QUICPRO_EINVAL);
    quicpro_loop_free(loop);
}

/* Every cut is found out, and nothing is read behind it. */
static void test_cut_short_anywhere(void)
{
    struct packed r = {.len = 0};
    quicpro_loop *loop;
    if (!CHECK_INT(quicpro_loop_new(&loop, NULL), ==, 0))
        return;
    record(&r, QUICPRO_OP_RESPOND, 1, 200, plain, 2, "body", 1);
    const size_t first = r.len;
    record(&r, QUICPRO_OP_TRAILERS, 1, 0, sum, 1, "", 0);
    for (size_t len = 0; len <= r.len; len++) {
        uint8_t *exact = malloc(len + (len == 0)); /* so that a sanitizer sees the end */
        size_t refused = 99;
        memcpy(exact, r.data, len);
        int want = len == 0 ? 0 : len == first ? 1 : len == r.len ? 2 : QUICPRO_EINVAL;
        CHECK_INT(quicpro_loop_submit(loop, exact, len, &refused), ==, want);
        free(exact);
    }
    quicpro_loop_free(loop);
}

static void test_heads_that_lie(void)
{
    static const quicpro_record row[] = {
        {.op = 0},
        {.op = 7},
        {.op = UINT32_MAX},
        {.op = QUICPRO_OP_WRITE, .body_len = 1},
        {.op = QUICPRO_OP_WRITE, .body_len = UINT32_MAX},
        {.op = QUICPRO_OP_RESPOND, .field_count = 1},
        {.op = QUICPRO_OP_RESPOND, .field_count = UINT32_MAX},
        {.op = QUICPRO_OP_RESPOND, .field_count = 257},
    };
    quicpro_loop *loop;
    if (!CHECK_INT(quicpro_loop_new(&loop, NULL), ==, 0))
        return;
    for (size_t i = 0; i < COUNTOF(row); i++)
        CHECK_INT(quicpro_loop_submit(loop, &row[i], sizeof(row[i]), NULL), ==, QUICPRO_EINVAL);
    quicpro_loop_free(loop);
}

/* What comes before a record that cannot be read was carried out. */
static void test_a_good_record_before_a_bad_one(void)
{
    struct pair p;
    struct many m;
    struct packed r = {.len = 0};
    open_four(&p, &m);
    m.expected = 1;
    record(&r, QUICPRO_OP_RESPOND, m.stream[0], 200, plain, 1, "done", 1);
    record(&r, 99, m.stream[1], 200, NULL, 0, "", 1);
    CHECK_INT(quicpro_loop_submit(p.server_loop, r.data, r.len, NULL), ==, QUICPRO_EINVAL);
    CHECK(pair_until(&p, &m.finished));
    CHECK_STR(m.body[0], "done");
    pair_done(&p);
}

static void test_refusals_are_counted(void)
{
    static const char *const bad[] = {"Upper", "case"};
    struct pair p;
    struct many m;
    struct packed r = {.len = 0};
    size_t refused = 99;
    open_four(&p, &m);
    record(&r, QUICPRO_OP_RESPOND, m.stream[0], 200, bad, 1, "", 1);   /* resets */
    record(&r, QUICPRO_OP_WRITE, m.stream[0], 0, NULL, 0, "x", 1);     /* stale by now */
    record(&r, QUICPRO_OP_RESPOND, m.stream[1], 1000, NULL, 0, "", 1); /* no such status */
    record(&r, QUICPRO_OP_RESPOND, m.stream[2], UINT64_MAX, NULL, 0, "", 1);
    record(&r, QUICPRO_OP_WRITE, m.stream[3], 0, NULL, 0, "x", 1); /* before its fields */
    record(&r, QUICPRO_OP_RESPOND, m.stream[3], 200, NULL, 0, "", 1);
    record(&r, QUICPRO_OP_RESPOND, m.stream[3], 200, NULL, 0, "", 1); /* twice */
    record(&r, QUICPRO_OP_RESET, 12345, 0x10c, NULL, 0, "", 0);       /* never one */
    CHECK_INT(quicpro_loop_submit(p.server_loop, r.data, r.len, &refused), ==, 8);
    CHECK_U64(refused, ==, 7);
    CHECK(pair_until(&p, &m.finished));
    CHECK_INT(p.resets, ==, 3);
    CHECK_U64(p.reset_code, ==, 0x102);
    pair_done(&p);
}

int main(void)
{
    static const struct check_test tests[] = {
        TEST(test_each_operation),
        TEST(test_nothing_and_bad_arguments),
        TEST(test_cut_short_anywhere),
        TEST(test_heads_that_lie),
        TEST(test_a_good_record_before_a_bad_one),
        TEST(test_refusals_are_counted),
    };
    return RUN(tests);
}
