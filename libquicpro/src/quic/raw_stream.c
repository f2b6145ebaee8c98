#include "quic/raw_stream.h"

#include <assert.h>
#include <quicpro/stream.h>

enum { DEFAULT_URGENCY = 3 }; /* RFC 9218 section 4.1 */
enum { LEND_MIN = 4096 };     /* bytes; fewer would keep more of a block than they need */

static bool is_uni(uint64_t id)
{
    return (id & 2) != 0;
}

static bool is_local(const struct qp_raw *raw, uint64_t id)
{
    return (id & 1) == raw->conn->server;
}

static bool sends(const struct qp_raw_stream *stream)
{
    return !is_uni(stream->id) || is_local(stream->raw, stream->id);
}

static bool receives(const struct qp_raw_stream *stream)
{
    return !is_uni(stream->id) || !is_local(stream->raw, stream->id);
}

struct qp_raw_stream *qp_raw_stream_new(struct qp_raw *raw, uint64_t id)
{
    quicpro_handle handle;
    struct qp_raw_stream *stream = qp_slab_take(raw->slab, &handle);
    if (stream == NULL)
        return NULL;
    if (qp_idmap_put(&raw->streams, id, stream) < 0) {
        qp_slab_put(raw->slab, handle);
        return NULL;
    }
    stream->raw = raw;
    stream->handle = handle;
    stream->id = id;
    stream->user = raw->user;
    stream->urgency = DEFAULT_URGENCY;
    stream->incremental = true;
    stream->send_done = !sends(stream);
    stream->recv_done = !receives(stream);
    raw->open++;
    return stream;
}

struct qp_raw_stream *qp_raw_stream_find(const struct qp_raw *raw, uint64_t id)
{
    return qp_idmap_get(&raw->streams, id);
}

struct qp_raw_stream *qp_raw_pending_take(struct qp_raw *raw, unsigned urgency)
{
    struct qp_raw_stream **last = &raw->pending[urgency];
    if (*last == NULL)
        return NULL;
    struct qp_raw_stream *first = (*last)->next;
    if (first == *last)
        *last = NULL;
    else
        (*last)->next = first->next;
    first->pending = false;
    return first;
}

void qp_raw_pending_put(struct qp_raw_stream *stream, bool front)
{
    struct qp_raw_stream **last = &stream->raw->pending[stream->urgency];
    assert(!stream->pending);
    stream->pending = true;
    if (*last == NULL) {
        *last = stream->next = stream;
        return;
    }
    stream->next = (*last)->next;
    (*last)->next = stream;
    if (!front)
        *last = stream;
}

static void pending_remove(struct qp_raw_stream *stream)
{
    struct qp_raw_stream **last = &stream->raw->pending[stream->urgency], *before = *last;
    if (!stream->pending)
        return;
    while (before->next != stream)
        before = before->next;
    before->next = stream->next;
    if (*last == stream)
        *last = before == stream ? NULL : before;
    stream->pending = false;
}

/* Ends the handle and releases memory; the transport does not hear of it. */
static void release(struct qp_raw_stream *stream)
{
    struct qp_raw *raw = stream->raw;
    pending_remove(stream);
    qp_queue_done(&stream->queue);
    qp_idmap_remove(&raw->streams, stream->id);
    raw->open--;
    qp_slab_put(raw->slab, stream->handle);
}

bool qp_raw_stream_finish_if_done(struct qp_raw_stream *stream)
{
    if (!stream->recv_done || !stream->send_done)
        return false;
    release(stream);
    return true;
}

quicpro_event *qp_raw_stream_event(struct qp_raw_stream *stream, unsigned type)
{
    quicpro_event *event = qp_batch_add_at(stream->raw->batch, type, &stream->events);
    if (event == NULL)
        return NULL;
    event->conn = stream->raw->conn_handle;
    event->stream = stream->handle;
    event->stream_id = stream->id;
    event->user = stream->user;
    return event;
}

void qp_raw_stream_set_user(struct qp_raw_stream *stream, void *user, const struct qp_batch *handed)
{
    stream->user = user;
    qp_batch_set_user(handed, &stream->events, stream->handle, user);
}

int qp_raw_open(struct qp_raw *raw, bool bidi, void *user, quicpro_stream *ret)
{
    const struct qp_engine_ops *engine = raw->conn->engine;
    if (!raw->started || raw->over)
        return QUICPRO_ESTATE;
    if (engine->streams_left(raw->conn->impl, bidi) == 0) {
        raw->want[!bidi] = true;
        return QUICPRO_ELIMIT;
    }
    const uint64_t id = raw->next[!bidi] << 2 | (bidi ? 0 : 2) | raw->conn->server;
    struct qp_raw_stream *stream = qp_raw_stream_new(raw, id);
    if (stream == NULL)
        return QUICPRO_ENOMEM;
    /* Opens it in the engine too, which ends streams it does not know without a word. */
    int r = qp_raw_stream_set_priority(stream, DEFAULT_URGENCY, true);
    if (r < 0) {
        release(stream);
        return r;
    }
    raw->next[!bidi]++;
    stream->user = user;
    *ret = stream->handle;
    return 0;
}

int64_t qp_raw_stream_read(struct qp_raw_stream *stream, void *buf, size_t cap, int *fin,
                           uint64_t *code)
{
    struct qp_conn *conn = stream->raw->conn;
    uint64_t wire = 0;
    if (buf == NULL || cap == 0 || fin == NULL)
        return QUICPRO_EINVAL;
    *fin = 0;
    if (stream->recv_done)
        return QUICPRO_ESTATE;
    int64_t n = conn->engine->stream_recv(conn->impl, stream->id, buf, cap, fin, &wire);
    if (n == QUICPRO_ERESET && code != NULL)
        *code = wire;
    if (n == QUICPRO_ERESET || (n >= 0 && *fin)) {
        stream->recv_done = true;
        qp_raw_stream_finish_if_done(stream);
    } else if (n < (int64_t)cap) {
        stream->told = false; /* the engine has no more, and tells when it has */
    }
    return n;
}

bool qp_raw_stream_is_unsent(const struct qp_raw_stream *stream)
{
    return !stream->send_done && (stream->queue.len != 0 || stream->end);
}

/* Offers bytes, and with all of them the end; many bytes of the queue are lent, not copied. Bytes
 * taken, or an error; after QUICPRO_ERESET the stream may be gone. */
static int64_t offer(struct qp_raw_stream *stream, const void *data, size_t len, bool fin)
{
    struct qp_conn *conn = stream->raw->conn;
    uint64_t code = 0;
    uint32_t *users = len < LEND_MIN ? NULL : qp_queue_block_of(&stream->queue, data);
    int64_t n =
        users == NULL
            ? conn->engine->stream_send(conn->impl, stream->id, data, len, fin, &code)
            : conn->engine->stream_lend(conn->impl, stream->id, (struct qp_engine_block *)users,
                                        data, len, fin, &code);
    if (n == QUICPRO_ERESET) {
        qp_raw_stream_stopped(stream, code);
        return n;
    }
    if (n == QUICPRO_EAGAIN)
        n = 0;
    if (n < 0)
        return n;
    stream->blocked = (size_t)n < len;
    if (fin && !stream->blocked)
        stream->send_done = true;
    return n;
}

int qp_raw_stream_write(struct qp_raw_stream *stream, const void *data, size_t len, int fin)
{
    struct qp_raw *raw = stream->raw;
    size_t taken = 0;
    if (data == NULL && len != 0)
        return QUICPRO_EINVAL;
    if (stream->stopped)
        return QUICPRO_ERESET;
    if (stream->send_done || stream->end || stream->broken)
        return QUICPRO_ESTATE;
    if (len != 0 && stream->queue.len >= raw->options->send_queue_bytes) {
        stream->want_writable = true;
        return QUICPRO_EAGAIN;
    }
    if (stream->queue.len == 0 && !stream->blocked && (len != 0 || fin)) {
        const size_t now = len < raw->room ? len : raw->room;
        int64_t n = now == 0 && len != 0 ? 0 : offer(stream, data, now, fin && now == len);
        if (n < 0)
            return (int)n;
        taken = (size_t)n;
        raw->room -= taken;
    }
    if (qp_queue_append(&stream->queue, (const uint8_t *)data + taken, len - taken) < 0) {
        stream->broken = taken != 0;
        return QUICPRO_ENOMEM;
    }
    stream->end = fin != 0;
    if (qp_raw_stream_finish_if_done(stream))
        return 0;
    if (qp_raw_stream_is_unsent(stream) && !stream->blocked && !stream->pending)
        qp_raw_pending_put(stream, false);
    return 0;
}

size_t qp_raw_stream_send(struct qp_raw_stream *stream, size_t max)
{
    size_t total = 0;
    assert(!stream->pending);
    while (qp_raw_stream_is_unsent(stream) && !stream->blocked &&
           (total < max || stream->queue.len == 0)) {
        struct qp_span span = {0};
        qp_queue_peek(&stream->queue, 0, &span, 1);
        const size_t len = span.len < max - total ? span.len : max - total;
        int64_t n = offer(stream, span.data, len, stream->end && len == stream->queue.len);
        if (n == QUICPRO_ERESET)
            return total;
        if (n < 0) { /* the engine gave the connection up: there is an end of it to come */
            stream->broken = true;
            return total;
        }
        qp_queue_consume(&stream->queue, (size_t)n);
        total += (size_t)n;
    }
    if (stream->want_writable && stream->queue.len <= stream->raw->options->send_queue_bytes / 2)
        stream->want_writable = qp_raw_stream_event(stream, QUICPRO_EVENT_WRITABLE) == NULL;
    if (!qp_raw_stream_finish_if_done(stream) && qp_raw_stream_is_unsent(stream) &&
        !stream->blocked)
        qp_raw_pending_put(stream, !stream->incremental);
    return total;
}

void qp_raw_stream_unblock(struct qp_raw_stream *stream)
{
    stream->blocked = false;
    if (qp_raw_stream_is_unsent(stream) && !stream->pending && !stream->broken)
        qp_raw_pending_put(stream, false);
}

/* Nothing more is sent. */
static void end_sending(struct qp_raw_stream *stream)
{
    pending_remove(stream);
    qp_queue_done(&stream->queue);
    stream->send_done = true;
    stream->want_writable = false;
}

/* The transport answers STOP_SENDING with RESET_STREAM by itself (RFC 9000 section 3.5). */
void qp_raw_stream_stopped(struct qp_raw_stream *stream, uint64_t code)
{
    const bool reset = stream->send_done && !stream->end;
    if (stream->stopped)
        return;
    end_sending(stream);
    stream->stopped = true;
    if (!reset) {
        quicpro_event *event = qp_raw_stream_event(stream, QUICPRO_EVENT_STOPPED);
        if (event != NULL) {
            event->code = code;
            event->flags = QUICPRO_FLAG_REMOTE;
        }
    }
    qp_raw_stream_finish_if_done(stream);
}

static void stop_receiving(struct qp_raw_stream *stream, uint64_t code)
{
    const struct qp_conn *conn = stream->raw->conn;
    if (!stream->recv_done)
        conn->engine->stream_stop_read(conn->impl, stream->id, code);
    stream->recv_done = true;
}

/* Also when our end was handed on: what was not acknowledged is thrown away. */
static void reset_sending(struct qp_raw_stream *stream, uint64_t code)
{
    const struct qp_conn *conn = stream->raw->conn;
    if (!stream->stopped)
        conn->engine->stream_reset_write(conn->impl, stream->id, code);
    stream->end = false;
    end_sending(stream);
}

void qp_raw_stream_abort(struct qp_raw_stream *stream, uint64_t code)
{
    if (receives(stream))
        stop_receiving(stream, code);
    if (sends(stream))
        reset_sending(stream, code);
    release(stream);
}

int qp_raw_stream_shutdown(struct qp_raw_stream *stream, unsigned how, uint64_t code)
{
    if (how == 0 || (how & ~(unsigned)(QUICPRO_SHUT_READ | QUICPRO_SHUT_WRITE)) != 0)
        return QUICPRO_EINVAL;
    if (((how & QUICPRO_SHUT_READ) && !receives(stream)) ||
        ((how & QUICPRO_SHUT_WRITE) && !sends(stream)))
        return QUICPRO_ESTATE;
    if (how & QUICPRO_SHUT_READ)
        stop_receiving(stream, code);
    if (how & QUICPRO_SHUT_WRITE)
        reset_sending(stream, code);
    qp_raw_stream_finish_if_done(stream);
    return 0;
}

int qp_raw_stream_set_priority(struct qp_raw_stream *stream, unsigned urgency, bool incremental)
{
    const struct qp_conn *conn = stream->raw->conn;
    if (urgency >= QP_RAW_URGENCIES)
        return QUICPRO_EINVAL;
    if (!sends(stream))
        return QUICPRO_ESTATE;
    /* The engine counts to 255, and begins with 127: our 3. */
    int r = conn->engine->stream_priority(conn->impl, stream->id, (uint8_t)(urgency * 32 + 31),
                                          incremental);
    if (r < 0)
        return r;
    const bool pending = stream->pending;
    pending_remove(stream);
    stream->urgency = (uint8_t)urgency;
    stream->incremental = incremental;
    if (pending)
        qp_raw_pending_put(stream, false);
    return 0;
}
