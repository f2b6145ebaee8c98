#include "quic/raw.h"

#include <quicpro/stream.h>
#include <stdio.h>
#include <string.h>

#include "quic/raw_stream.h"

enum {
    PIECE = 16384,      /* bytes of an incremental stream before its equals have their turn */
    READ_CHUNK = 16384, /* least room for one read of a stream */
    EVENT_COST = 64,    /* what a datagram counts besides its bytes */
};

enum { INTERNAL_ERROR = 1 }; /* RFC 9000 section 20.1 */

void qp_raw_init(struct qp_raw *raw, struct qp_conn *conn, const struct qp_raw_options *options,
                 struct qp_batch *batch, struct qp_slab *slab, quicpro_handle handle)
{
    *raw = (struct qp_raw){
        .conn = conn,
        .batch = batch,
        .slab = slab,
        .options = options,
        .conn_handle = handle,
        .room = (size_t)options->burst_bytes,
    };
}

void qp_raw_done(struct qp_raw *raw)
{
    for (uint32_t i = 0; i < raw->streams.capacity; i++) {
        struct qp_raw_stream *stream = raw->streams.slots[i].value;
        if (stream == NULL)
            continue;
        qp_queue_done(&stream->queue);
        qp_slab_put(raw->slab, stream->handle);
    }
    qp_idmap_done(&raw->streams);
    memset(raw->pending, 0, sizeof(raw->pending));
    qp_seen_done(&raw->seen[0]);
    qp_seen_done(&raw->seen[1]);
    raw->open = 0;
    raw->over = true;
}

void qp_raw_start(struct qp_raw *raw)
{
    raw->started = true;
}

void qp_raw_start_early(struct qp_raw *raw)
{
    quicpro_event *event = qp_batch_add(raw->batch, QUICPRO_EVENT_EARLY);
    raw->started = raw->early = true;
    if (event == NULL)
        return;
    event->conn = raw->conn_handle;
    event->user = raw->user;
}

void qp_raw_early_over(struct qp_raw *raw)
{
    raw->early = false;
}

void qp_raw_early_rejected(struct qp_raw *raw)
{
    static const struct qp_conn_close close = {
        .error = QUICPRO_EEARLY,
        .text = "early data was rejected",
    };
    const bool shutdown = raw->shutdown;
    void *user = raw->user;
    qp_raw_lost(raw, &close);
    qp_raw_init(raw, raw->conn, raw->options, raw->batch, raw->slab, raw->conn_handle);
    raw->user = user;
    raw->shutdown = shutdown;
}

static void out_of_memory(struct qp_raw *raw)
{
    qp_conn_fail(raw->conn, false, INTERNAL_ERROR, "out of memory");
}

/* The stream that an id of the engine is about; NULL if it ended here, or cannot be. */
static struct qp_raw_stream *stream_of(struct qp_raw *raw, uint64_t id)
{
    struct qp_raw_stream *stream = qp_raw_stream_find(raw, id);
    const bool uni = (id & 2) != 0;
    if (stream != NULL || (id & 1) == raw->conn->server)
        return stream;
    int r = qp_seen_mark(&raw->seen[uni], id >> 2);
    if (r == 0)
        return NULL;
    if (r > 0)
        stream = qp_raw_stream_new(raw, id);
    if (stream == NULL) {
        out_of_memory(raw);
        return NULL;
    }
    quicpro_event *event = qp_raw_stream_event(stream, QUICPRO_EVENT_STREAM);
    if (event != NULL)
        event->flags = (uni ? QUICPRO_FLAG_UNI : 0) | (raw->early ? QUICPRO_FLAG_EARLY : 0);
    return stream;
}

/* Streams that take bytes (again), or whose peer wants no more. */
static void read_writable(struct qp_raw *raw)
{
    const struct qp_engine_ops *engine = raw->conn->engine;
    int stopped;
    uint64_t code;
    int64_t id;
    while ((id = engine->writable_next(raw->conn->impl, &stopped, &code)) >= 0) {
        struct qp_raw_stream *stream = stream_of(raw, (uint64_t)id);
        if (stream != NULL && stopped)
            qp_raw_stream_stopped(stream, code);
        else if (stream != NULL)
            qp_raw_stream_unblock(stream);
    }
}

static void read_readable(struct qp_raw *raw)
{
    const struct qp_engine_ops *engine = raw->conn->engine;
    int64_t id;
    while ((id = engine->readable_next(raw->conn->impl)) >= 0) {
        struct qp_raw_stream *stream = stream_of(raw, (uint64_t)id);
        if (stream == NULL || stream->told || stream->recv_done || raw->last)
            continue;
        stream->told = qp_raw_stream_event(stream, QUICPRO_EVENT_READABLE) != NULL;
    }
}

static void read_datagrams(struct qp_raw *raw, size_t max_bytes)
{
    const struct qp_engine_ops *engine = raw->conn->engine;
    size_t total = 0;
    int64_t len;
    while (total < max_bytes && (len = engine->dgram_next(raw->conn->impl)) >= 0) {
        size_t room;
        /* A byte more, so that one of no bytes has an address too. */
        uint8_t *buf = qp_arena_reserve(&raw->batch->data, (size_t)len + 1, &room);
        if (buf == NULL) {
            out_of_memory(raw);
            return;
        }
        len = engine->dgram_recv(raw->conn->impl, buf, room);
        if (len < 0)
            break;
        total += (size_t)len + EVENT_COST;
        quicpro_event *event = qp_batch_add(raw->batch, QUICPRO_EVENT_DATAGRAM);
        if (event == NULL)
            return;
        qp_arena_commit(&raw->batch->data, (size_t)len);
        event->conn = raw->conn_handle;
        event->user = raw->user;
        event->data = buf;
        event->len = (size_t)len;
    }
    raw->more = total >= max_bytes;
}

/* What an open that was refused waits for. */
static void tell_of_room(struct qp_raw *raw)
{
    for (int uni = 0; uni < 2; uni++) {
        if (!raw->want[uni] || raw->conn->engine->streams_left(raw->conn->impl, !uni) == 0)
            continue;
        quicpro_event *event = qp_batch_add(raw->batch, QUICPRO_EVENT_STREAMS);
        if (event == NULL)
            return;
        raw->want[uni] = false;
        event->conn = raw->conn_handle;
        event->user = raw->user;
        event->flags = uni ? QUICPRO_FLAG_UNI : 0;
    }
}

void qp_raw_read(struct qp_raw *raw, size_t max_bytes)
{
    if (!raw->started || raw->over)
        return;
    read_writable(raw);
    read_readable(raw);
    read_datagrams(raw, max_bytes);
    if (!raw->last)
        tell_of_room(raw);
}

static void report_reset(struct qp_raw_stream *stream, int error, uint64_t code, bool remote,
                         const char *text)
{
    quicpro_event *event = qp_raw_stream_event(stream, QUICPRO_EVENT_RESET);
    if (event == NULL)
        return;
    event->error = error;
    event->code = code;
    event->flags = remote ? QUICPRO_FLAG_REMOTE : 0;
    qp_batch_set_text(stream->raw->batch, event, text);
}

/* Everything that is left of a stream; the stream stays, for others walk the table. */
static void deliver(struct qp_raw_stream *stream)
{
    struct qp_raw *raw = stream->raw;
    while (!stream->recv_done) {
        size_t room;
        uint64_t code = 0;
        int fin = 0;
        uint8_t *buf = qp_arena_reserve(&raw->batch->data, READ_CHUNK, &room);
        if (buf == NULL) {
            raw->batch->failed = true;
            return;
        }
        int64_t n =
            raw->conn->engine->stream_recv(raw->conn->impl, stream->id, buf, room, &fin, &code);
        if (n == QUICPRO_ERESET) {
            char text[64];
            snprintf(text, sizeof(text), "reset by the peer: application code %llu",
                     (unsigned long long)code);
            report_reset(stream, QUICPRO_ERESET, code, true, text);
            stream->recv_done = stream->send_done = true;
        }
        if (n < 0)
            return;
        quicpro_event *event = qp_raw_stream_event(stream, QUICPRO_EVENT_DATA);
        if (event == NULL)
            return;
        qp_arena_commit(&raw->batch->data, (size_t)n);
        event->data = buf;
        event->len = (size_t)n;
        event->flags = fin ? QUICPRO_FLAG_FIN : 0;
        stream->recv_done = fin;
    }
}

void qp_raw_read_rest(struct qp_raw *raw)
{
    if (!raw->started || raw->over)
        return;
    raw->last = true;
    qp_raw_read(raw, SIZE_MAX);
    for (uint32_t i = 0; i < raw->streams.capacity; i++)
        if (raw->streams.slots[i].value != NULL)
            deliver(raw->streams.slots[i].value);
}

bool qp_raw_has_unread(const struct qp_raw *raw)
{
    return raw->more && !raw->over;
}

bool qp_raw_write(struct qp_raw *raw, size_t max_bytes)
{
    size_t total = 0;
    if (raw->over)
        return false;
    raw->room = (size_t)raw->options->burst_bytes;
    for (unsigned urgency = 0; urgency < QP_RAW_URGENCIES; urgency++) {
        struct qp_raw_stream *stream;
        while ((stream = qp_raw_pending_take(raw, urgency)) != NULL) {
            size_t max = max_bytes - total;
            if (max == 0) {
                qp_raw_pending_put(stream, true);
                return true;
            }
            if (stream->incremental && max > PIECE)
                max = PIECE;
            total += qp_raw_stream_send(stream, max);
        }
    }
    return false;
}

void qp_raw_shutdown(struct qp_raw *raw)
{
    raw->shutdown = true;
}

bool qp_raw_drained(struct qp_raw *raw)
{
    const struct qp_engine_ops *engine = raw->conn->engine;
    if (!raw->shutdown || raw->open != 0 || raw->over)
        return false;
    for (uint64_t type = 0; type < 4; type++) {
        const bool ours = (type & 1) == raw->conn->server, uni = (type & 2) != 0;
        const uint64_t top = ours ? raw->next[uni] : raw->seen[uni].top;
        uint64_t *number = &raw->drained_to[type];
        for (; *number < top; ++*number)
            if (!engine->stream_collected(raw->conn->impl, *number << 2 | type))
                return false;
    }
    return true;
}

bool qp_raw_has_unsent(const struct qp_raw *raw)
{
    for (uint32_t i = 0; i < raw->streams.capacity; i++) {
        const struct qp_raw_stream *stream = raw->streams.slots[i].value;
        if (stream != NULL && qp_raw_stream_is_unsent(stream))
            return true;
    }
    return false;
}

void qp_raw_lost(struct qp_raw *raw, const struct qp_conn_close *close)
{
    const int error = close->error != 0 ? close->error : QUICPRO_ECLOSED;
    for (uint32_t i = 0; i < raw->streams.capacity; i++) {
        struct qp_raw_stream *stream = raw->streams.slots[i].value;
        if (stream != NULL && !(stream->recv_done && stream->send_done))
            report_reset(stream, error, close->code, close->remote, close->text);
    }
    qp_raw_done(raw);
}

int qp_raw_datagram_send(struct qp_raw *raw, const void *data, size_t len)
{
    if (data == NULL && len != 0)
        return QUICPRO_EINVAL;
    if (!raw->started || raw->over || !raw->options->datagrams)
        return QUICPRO_ESTATE;
    return raw->conn->engine->dgram_send(raw->conn->impl, data, len);
}

int64_t qp_raw_datagram_max(const struct qp_raw *raw)
{
    if (!raw->started || raw->over || !raw->options->datagrams)
        return QUICPRO_ESTATE;
    int64_t max = raw->conn->engine->dgram_max(raw->conn->impl);
    return max < 0 ? QUICPRO_ESTATE : max;
}
