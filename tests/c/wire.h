/* HTTP/3 sessions without a transport: an engine that is a handful of byte strings. The test
 * decides which bytes of which stream arrive when, and may make them up. */
#ifndef WIRE_H
#define WIRE_H

#include <stdlib.h>

#include "h3/session.h"
#include "h3/stream.h"
#include "os/random.h"

#include "check.h"

enum { WIRE_STREAMS = 64 };

struct wire_stream {
    uint64_t id;
    uint8_t *data;
    size_t len, done; /* done: read by the session, or moved on by the test */
    bool used, fin, fin_done, fresh, reset, stopped;
    uint64_t code;
};

/* One side: a session, what came for it and what it sent. */
struct wire_end {
    struct wire_stream in[WIRE_STREAMS], out[WIRE_STREAMS];
    struct qp_conn conn;
    struct qp_h3 h3;
    struct qp_batch batch;
    struct qp_slab streams;
    struct qp_h3_options options;
    size_t send_room; /* bytes it may still send on requests */
    int closed;
    uint64_t close_code;
    char close_reason[128];
};

static inline struct wire_stream *wire_find(struct wire_stream *list, uint64_t id, bool make)
{
    struct wire_stream *free_one = NULL;
    for (size_t i = 0; i < WIRE_STREAMS; i++) {
        if (list[i].used && list[i].id == id)
            return &list[i];
        if (!list[i].used && free_one == NULL)
            free_one = &list[i];
    }
    if (!make)
        return NULL;
    if (free_one == NULL)
        abort();
    *free_one = (struct wire_stream){.id = id, .used = true};
    return free_one;
}

static inline void wire_append(struct wire_stream *s, const void *data, size_t len, bool fin)
{
    s->data = realloc(s->data, s->len + len + 1);
    if (s->data == NULL)
        abort();
    if (len != 0)
        memcpy(s->data + s->len, data, len);
    s->len += len;
    s->fin |= fin;
    s->fresh = true;
}

static inline struct wire_end *wire_of(qp_engine_conn *conn)
{
    return (struct wire_end *)(void *)conn;
}

static inline int64_t wire_recv(qp_engine_conn *conn, uint64_t id, uint8_t *out, size_t cap,
                                int *fin, uint64_t *code)
{
    struct wire_stream *s = wire_find(wire_of(conn)->in, id, false);
    if (s == NULL || s->fin_done)
        return QUICPRO_ESTALE;
    if (s->reset) {
        *code = s->code;
        s->fin_done = true;
        return QUICPRO_ERESET;
    }
    size_t n = s->len - s->done < cap ? s->len - s->done : cap;
    if (n == 0 && !s->fin)
        return QUICPRO_EAGAIN;
    memcpy(out, s->data + s->done, n);
    s->done += n;
    s->fin_done = s->fin && s->done == s->len;
    *fin = s->fin_done;
    return (int64_t)n;
}

static inline int64_t wire_send(qp_engine_conn *conn, uint64_t id, const uint8_t *data, size_t len,
                                int fin, uint64_t *code)
{
    struct wire_end *end = wire_of(conn);
    struct wire_stream *s = wire_find(end->out, id, true);
    size_t n = len;
    if (s->stopped) {
        *code = s->code;
        return QUICPRO_ERESET;
    }
    if ((id & 2) == 0) {
        n = n < end->send_room ? n : end->send_room;
        end->send_room -= n;
        if (n == 0 && len != 0)
            return QUICPRO_EAGAIN;
    }
    wire_append(s, data, n, fin && n == len);
    return (int64_t)n;
}

/* It needs nothing for longer than the call. */
static inline int64_t wire_lend(qp_engine_conn *conn, uint64_t id, struct qp_engine_block *block,
                                const uint8_t *data, size_t len, int fin, uint64_t *code)
{
    CHECK_U64(block->users, ==, 1);
    return wire_send(conn, id, data, len, fin, code);
}

static inline int wire_stop_read(qp_engine_conn *conn, uint64_t id, uint64_t code)
{
    struct wire_stream *s = wire_find(wire_of(conn)->in, id, false);
    if (s == NULL)
        return QUICPRO_ESTALE;
    s->stopped = true;
    s->code = code;
    return 0;
}

static inline int wire_reset_write(qp_engine_conn *conn, uint64_t id, uint64_t code)
{
    struct wire_stream *s = wire_find(wire_of(conn)->out, id, true);
    s->reset = true;
    s->code = code;
    return 0;
}

static inline int64_t wire_readable(qp_engine_conn *conn)
{
    struct wire_stream *s = wire_of(conn)->in;
    for (size_t i = 0; i < WIRE_STREAMS; i++)
        if (s[i].used && s[i].fresh) {
            s[i].fresh = false;
            return (int64_t)s[i].id;
        }
    return -1;
}

/* The streams the peer stopped, once; while there is room, those the test marked fresh. */
static inline int64_t wire_writable(qp_engine_conn *conn, int *stopped, uint64_t *code)
{
    struct wire_stream *s = wire_of(conn)->out;
    for (size_t i = 0; i < WIRE_STREAMS; i++)
        if (s[i].used && s[i].fresh && (s[i].stopped || wire_of(conn)->send_room != 0)) {
            s[i].fresh = false;
            *stopped = s[i].stopped;
            *code = s[i].code;
            return (int64_t)s[i].id;
        }
    return -1;
}

static inline int wire_close(qp_engine_conn *conn, int app, uint64_t code, const uint8_t *reason,
                             size_t reason_len)
{
    struct wire_end *end = wire_of(conn);
    if (end->closed++)
        return QUICPRO_EAGAIN;
    CHECK(app);
    end->close_code = code;
    snprintf(end->close_reason, sizeof(end->close_reason), "%.*s", (int)reason_len,
             (const char *)reason);
    return 0;
}

static inline int wire_collected(qp_engine_conn *conn, uint64_t id)
{
    (void)conn, (void)id;
    return 1;
}

static inline int wire_stopped(qp_engine_conn *conn, uint64_t id, uint64_t *code)
{
    const struct wire_stream *s = wire_find(wire_of(conn)->out, id, false);
    if (s == NULL || !s->stopped)
        return 0;
    *code = s->code;
    return 1;
}

static const struct qp_engine_ops wire_engine = {
    .name = "wire",
    .close = wire_close,
    .readable_next = wire_readable,
    .writable_next = wire_writable,
    .stream_collected = wire_collected,
    .stream_stopped = wire_stopped,
    .stream_recv = wire_recv,
    .stream_send = wire_send,
    .stream_lend = wire_lend,
    .stream_stop_read = wire_stop_read,
    .stream_reset_write = wire_reset_write,
};

/* A session whose transport is not there yet. */
static inline void wire_prepare(struct wire_end *end, bool server)
{
    *end = (struct wire_end){
        .conn = {.engine = &wire_engine, .server = server},
        .options =
            {
                .max_field_section_bytes = 8192,
                .qpack_max_table_bytes = 4096,
                .qpack_blocked_streams = 16,
                .max_streams_bidi = 100,
                .send_queue_bytes = 10000,
                .max_pending_requests = 10,
                .random = qp_random,
            },
        .send_room = SIZE_MAX,
    };
    end->conn.impl = (qp_engine_conn *)(void *)end;
    qp_batch_init(&end->batch);
    end->batch.serial = 1;
    qp_slab_init(&end->streams, sizeof(struct qp_h3_stream), 0);
    qp_h3_init(&end->h3, &end->conn, &end->options, &end->batch, &end->streams, 1);
}

static inline void wire_init(struct wire_end *end, bool server)
{
    wire_prepare(end, server);
    CHECK_INT(qp_h3_start(&end->h3), ==, 0);
}

static inline void wire_done(struct wire_end *end)
{
    qp_h3_done(&end->h3);
    CHECK_U64(end->streams.used, ==, 0); /* nothing is left behind */
    qp_slab_done(&end->streams);
    qp_batch_done(&end->batch);
    for (size_t i = 0; i < WIRE_STREAMS; i++) {
        free(end->in[i].data);
        free(end->out[i].data);
    }
}

/* Bytes arrive. */
static inline void wire_give(struct wire_end *end, uint64_t id, const void *data, size_t len,
                             bool fin)
{
    wire_append(wire_find(end->in, id, true), data, len, fin);
}

/* Carries at most n bytes of a stream over, and its end with the last of them. */
static inline size_t wire_move(struct wire_end *from, struct wire_end *to, uint64_t id, size_t n)
{
    struct wire_stream *s = wire_find(from->out, id, false);
    if (s == NULL || (s->done == s->len && (!s->fin || s->fin_done)))
        return 0;
    n = n < s->len - s->done ? n : s->len - s->done;
    bool last = s->fin && s->done + n == s->len;
    wire_give(to, id, s->data + s->done, n, last);
    s->done += n;
    s->fin_done = last;
    return n + last;
}

static inline void wire_move_all(struct wire_end *from, struct wire_end *to)
{
    for (size_t i = 0; i < WIRE_STREAMS; i++)
        if (from->out[i].used)
            wire_move(from, to, from->out[i].id, SIZE_MAX);
}

/* Reads, and hands out what there is; the next read begins a new batch. */
static inline const quicpro_batch *wire_read(struct wire_end *end)
{
    uint64_t serial = end->batch.serial;
    qp_batch_reset(&end->batch);
    end->batch.serial = serial + 1;
    qp_h3_read(&end->h3, 1, SIZE_MAX);
    CHECK(!end->batch.failed);
    return qp_batch_seal(&end->batch);
}

/* Writes; whatever events that makes are lost. */
static inline void wire_write(struct wire_end *end)
{
    qp_batch_reset(&end->batch);
    CHECK(!qp_h3_write(&end->h3, SIZE_MAX));
}

static inline const quicpro_event *wire_event(const quicpro_batch *batch, unsigned type, size_t nth)
{
    for (size_t i = 0; i < batch->event_count; i++)
        if (batch->events[i].type == type && nth-- == 0)
            return &batch->events[i];
    return NULL;
}

/* Client and server that know each other's settings. */
static inline void wire_pair(struct wire_end *client, struct wire_end *server)
{
    wire_init(client, false);
    wire_init(server, true);
    wire_write(client);
    wire_write(server);
    wire_move_all(client, server);
    wire_move_all(server, client);
    CHECK_U64(wire_read(client)->event_count, ==, 0);
    CHECK_U64(wire_read(server)->event_count, ==, 0);
}

static inline quicpro_stream wire_request(struct wire_end *client, const char *path,
                                          const char *value, size_t value_len, bool fin)
{
    const quicpro_nv nv[] = {
        QUICPRO_NV(":method", "GET"),
        QUICPRO_NV(":scheme", "https"),
        QUICPRO_NV(":authority", "wire.example"),
        {":path", 5, path, strlen(path)},
        {"x-value", 7, value, value_len},
        QUICPRO_NV("user-agent", "wire/1"),
    };
    quicpro_stream stream = 0;
    CHECK_INT(qp_h3_request(&client->h3, nv, COUNTOF(nv), NULL, 0, fin, NULL, &stream), ==, 0);
    return stream;
}

#endif
