#include "h3/session.h"

#include <assert.h>
#include <nghttp3/nghttp3.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "h3/callbacks.h"
#include "h3/early.h"
#include "h3/stream.h"

enum {
    READ_CHUNK = 16384,      /* least room for one read of a stream */
    STREAM_READ_MAX = 65536, /* bytes of one stream in one turn, so that all get theirs */
    WRITE_JOIN = 4096,       /* header block and small body travel in one stream_send */
    LEND_MIN = 4096,         /* bytes; fewer would keep more of a block than they need */
    WRITE_VECTORS = 16,
};

void qp_h3_init(struct qp_h3 *h3, struct qp_conn *conn, const struct qp_h3_options *options,
                struct qp_batch *batch, struct qp_slab *slab, quicpro_handle handle)
{
    *h3 = (struct qp_h3){
        .conn = conn,
        .batch = batch,
        .slab = slab,
        .options = options,
        .conn_handle = handle,
        .server = conn->server,
        .resets.per_second = options->resets_per_second,
    };
}

void qp_h3_done(struct qp_h3 *h3)
{
    while (h3->waiting != NULL)
        qp_h3_stream_release(h3->waiting);
    for (uint32_t i = 0; i < h3->streams.capacity; i++) {
        struct qp_h3_stream *stream = h3->streams.slots[i].value;
        if (stream != NULL)
            qp_h3_stream_release(stream);
    }
    qp_idmap_done(&h3->streams);
    qp_seen_done(&h3->seen);
    if (h3->impl != NULL)
        nghttp3_conn_del(h3->impl);
    h3->impl = NULL;
}

/* An error of the whole connection: closes it with the code RFC 9114 section 8.1 gives it. */
static void fail(struct qp_h3 *h3, int liberr)
{
    if (h3->failed)
        return;
    h3->failed = 1;
    qp_conn_fail(h3->conn, true, nghttp3_err_infer_quic_app_error_code(liberr),
                 nghttp3_strerror(liberr));
}

/* A request that its client took back or spoiled costs it little, and us what was done for it: with
 * the stream gone another may follow at once, whatever "initial_max_streams_bidi" says (rapid
 * reset, and what makes us do the resetting). */
static void given_up(struct qp_h3 *h3)
{
    if (!h3->server || h3->failed || h3->resets.per_second == 0 ||
        qp_rate_take(&h3->resets, h3->now))
        return;
    h3->failed = 1;
    h3->flooded = true;
    qp_conn_fail(h3->conn, true, NGHTTP3_H3_EXCESSIVE_LOAD, "too many requests were taken back");
}

int qp_h3_start(struct qp_h3 *h3)
{
    const struct qp_h3_options *o = h3->options;
    nghttp3_callbacks callbacks = {0};
    nghttp3_settings settings;
    nghttp3_settings_default(&settings);
    settings.max_field_section_size = o->max_field_section_bytes;
    settings.qpack_max_dtable_capacity = o->qpack_max_table_bytes;
    settings.qpack_encoder_max_dtable_capacity = o->qpack_max_table_bytes;
    settings.qpack_blocked_streams = o->qpack_blocked_streams;
    qp_h3_callbacks(&callbacks);
    callbacks.rand = o->random;
    int r = h3->server ? nghttp3_conn_server_new(&h3->impl, &callbacks, &settings, NULL, h3)
                       : nghttp3_conn_client_new(&h3->impl, &callbacks, &settings, NULL, h3);
    if (r != 0) {
        h3->impl = NULL;
        return QUICPRO_ENOMEM;
    }
    /* Our unidirectional streams: control, QPACK encoder, QPACK decoder (RFC 9114 section 6.2). */
    const int64_t first = h3->server ? 3 : 2;
    if (nghttp3_conn_bind_control_stream(h3->impl, first) != 0 ||
        nghttp3_conn_bind_qpack_streams(h3->impl, first + 4, first + 8) != 0)
        return QUICPRO_ENOMEM;
    if (h3->server)
        nghttp3_conn_set_max_client_streams_bidi(h3->impl, o->max_streams_bidi);
    else
        qp_h3_send_waiting(h3);
    return 0;
}

/* Bytes of a stream that ended here. */
static void discard(struct qp_h3 *h3, uint64_t id)
{
    const struct qp_engine_ops *engine = h3->conn->engine;
    uint8_t sink[4096];
    uint64_t code;
    for (;;) {
        int fin = 0;
        int64_t n = engine->stream_recv(h3->conn->impl, id, sink, sizeof(sink), &fin, &code);
        if (n < 0 || fin)
            return;
    }
}

/* Looks at the streams that callbacks marked, now that nghttp3 has returned. */
static void look_at_touched(struct qp_h3 *h3)
{
    struct qp_h3_stream *stream;
    while ((stream = h3->touched) != NULL) {
        h3->touched = stream->next_touched;
        stream->touched = false;
        const bool large = stream->refused_code == NGHTTP3_H3_EXCESSIVE_LOAD;
        if (stream->refused) {
            given_up(h3);
            qp_h3_stream_fail(stream, large ? QUICPRO_ELIMIT : QUICPRO_EPROTO, stream->refused_code,
                              false, large ? "field section too large" : "malformed message");
        } else if (stream->too_early)
            qp_h3_early_refused(stream);
        else
            qp_h3_stream_finish_if_done(stream);
    }
}

/* Hands bytes to nghttp3; false if the connection failed. The stream may be gone afterwards: then
 * h3->current is NULL. */
static bool feed(struct qp_h3 *h3, uint64_t id, const uint8_t *data, size_t len, int fin)
{
    h3->feed = data;
    h3->feed_len = len;
    h3->feed_data = 0;
    nghttp3_ssize n = nghttp3_conn_read_stream2(h3->impl, (int64_t)id, data, len, fin, h3->now);
    h3->feed = NULL;
    qp_h3_park_section(h3);
    if (n < 0) {
        fail(h3, (int)n);
        return false;
    }
    /* What was neither consumed nor delivered nghttp3 keeps for later: the stream waits for the
     * dynamic table (RFC 9204 section 2.2.1), and gets no more until it moves again. */
    if (h3->current != NULL && (size_t)n + h3->feed_data < len)
        h3->current->blocked_in = true;
    look_at_touched(h3);
    return true;
}

/* A unidirectional stream of the peer ended: nghttp3 knows if it was critical. */
static void uni_ended(struct qp_h3 *h3, uint64_t id, uint64_t code)
{
    int r = nghttp3_conn_close_stream(h3->impl, (int64_t)id, code);
    if (r != 0 && r != NGHTTP3_ERR_STREAM_NOT_FOUND)
        fail(h3, r);
}

/* A client's stream that is new to us; false if there can be none. */
static bool open_stream(struct qp_h3 *h3, uint64_t id)
{
    /* "Clients MUST treat receipt of a server-initiated bidirectional stream as a connection error
     * of type H3_STREAM_CREATION_ERROR" (RFC 9114 section 6.1). */
    if (!h3->server && (id & 1) != 0)
        fail(h3, NGHTTP3_ERR_H3_STREAM_CREATION_ERROR);
    if (!h3->server || (id & 3) != 0)
        return false;
    const uint64_t top = h3->seen.top;
    int r = qp_seen_mark(&h3->seen, id / 4);
    if (r == 0) /* it ended here */
        return false;
    h3->current = r < 0 ? NULL : qp_h3_stream_new(h3, id);
    if (h3->current == NULL) {
        fail(h3, NGHTTP3_ERR_NOMEM);
        return false;
    }
    if (h3->seen.top != top)
        nghttp3_conn_set_max_client_streams_bidi(h3->impl,
                                                 h3->seen.top + h3->options->max_streams_bidi);
    return true;
}

static void leave_unread(struct qp_h3 *h3, struct qp_h3_stream *stream)
{
    stream->unread = true;
    if (!stream->queued)
        qp_h3_list_push(&h3->unread, stream);
}

static void stopped_by_peer(struct qp_h3 *h3, struct qp_h3_stream *stream, uint64_t code);

/* Reads one request stream; returns bytes read. */
static size_t read_bidi(struct qp_h3 *h3, uint64_t id)
{
    const struct qp_engine_ops *engine = h3->conn->engine;
    size_t total = 0;
    bool stopped = false;
    uint64_t stop_code = 0;
    h3->current = qp_h3_stream_find(h3, id);
    if (h3->current == NULL) {
        if (!open_stream(h3, id)) {
            discard(h3, id);
            return 0;
        }
        /* A client may take its request back in the packet that makes it. The transport's word of
         * that came before there was a stream to stop, and comes once; and it forgets a stream that
         * is stopped and read to its end. So ask now, and act when the request is known. */
        stopped = engine->stream_stopped(h3->conn->impl, id, &stop_code);
    }
    while (h3->current != NULL) {
        struct qp_h3_stream *stream = h3->current;
        int fin = 0;
        uint64_t code = 0;
        size_t room;
        if (stream->blocked_in || stream->held != NULL ||
            (!h3->last && (stream->paused || total >= STREAM_READ_MAX))) {
            leave_unread(h3, stream);
            break;
        }
        uint8_t *buf = qp_arena_reserve(&h3->batch->data, READ_CHUNK, &room);
        if (buf == NULL) {
            fail(h3, NGHTTP3_ERR_NOMEM);
            break;
        }
        if (h3->early && room > READ_CHUNK)
            room = READ_CHUNK; /* what may have to be held back of one request */
        int64_t n = engine->stream_recv(h3->conn->impl, id, buf, room, &fin, &code);
        if (n == QUICPRO_ERESET) {
            stream->fin_in = true; /* nothing more comes: no STOP_SENDING needed */
            given_up(h3);
            qp_h3_stream_fail(stream, QUICPRO_ERESET, code, true, "reset by the peer");
        }
        if (n < 0)
            break;
        total += (size_t)n;
        stream->fin_in = fin;
        bool ok = feed(h3, id, buf, (size_t)n, fin);
        /* Only body bytes stay where they were read; field sections were copied out. */
        if (h3->feed_data != 0)
            qp_arena_commit(&h3->batch->data, (size_t)n);
        if (!ok || fin)
            break;
    }
    h3->current = NULL;
    struct qp_h3_stream *left = stopped ? qp_h3_stream_find(h3, id) : NULL;
    if (left != NULL)
        stopped_by_peer(h3, left, stop_code);
    return total;
}

/* Reads one control, QPACK or unknown stream; returns bytes read. */
static size_t read_uni(struct qp_h3 *h3, uint64_t id)
{
    const struct qp_engine_ops *engine = h3->conn->engine;
    uint8_t buf[4096];
    size_t total = 0;
    h3->current = NULL;
    for (;;) {
        int fin = 0;
        uint64_t code = 0;
        int64_t n = engine->stream_recv(h3->conn->impl, id, buf, sizeof(buf), &fin, &code);
        if (n == QUICPRO_ERESET)
            uni_ended(h3, id, code);
        if (n < 0)
            return total;
        total += (size_t)n;
        if (!feed(h3, id, buf, (size_t)n, fin))
            return total;
        if (fin) {
            uni_ended(h3, id, NGHTTP3_H3_NO_ERROR);
            return total;
        }
    }
}

static size_t read_stream(struct qp_h3 *h3, uint64_t id)
{
    return (id & 2) != 0 ? read_uni(h3, id) : read_bidi(h3, id);
}

/* The peer wants no more of what we send. The transport answers STOP_SENDING with RESET_STREAM by
 * itself (RFC 9000 section 3.5). */
static void stopped_by_peer(struct qp_h3 *h3, struct qp_h3_stream *stream, uint64_t code)
{
    stream->fin_out = true;
    if (h3->server) {
        given_up(h3);
        qp_h3_stream_fail(stream, QUICPRO_ERESET, code, true, "the peer wants no response");
        return;
    }
    /* "A server MAY request that a client abort transmission of a request without error by sending
     * H3_NO_ERROR and send a complete response" (RFC 9114 section 4.1). */
    nghttp3_conn_shutdown_stream_write(h3->impl, (int64_t)stream->id);
    stream->want_writable = false;
    qp_h3_stream_finish_if_done(stream);
}

/* Streams that take bytes again, or whose peer wants no more. */
static void read_writable(struct qp_h3 *h3)
{
    const struct qp_engine_ops *engine = h3->conn->engine;
    int stopped;
    uint64_t code;
    int64_t id;
    while ((id = engine->writable_next(h3->conn->impl, &stopped, &code)) >= 0) {
        struct qp_h3_stream *stream = qp_h3_stream_find(h3, (uint64_t)id);
        if (stream != NULL && stopped)
            stopped_by_peer(h3, stream, code);
        else if (stream == NULL || stream->blocked_out)
            nghttp3_conn_unblock_stream(h3->impl, id);
        if (stream != NULL && !stopped)
            stream->blocked_out = false;
    }
}

void qp_h3_read(struct qp_h3 *h3, quicpro_tstamp now, size_t max_bytes)
{
    const struct qp_engine_ops *engine = h3->conn->engine;
    size_t total = 0;
    int64_t id;
    if (h3->failed || h3->impl == NULL) /* the latter: no memory to start */
        return;
    h3->now = now;
    read_writable(h3);
    /* Streams left unread in an earlier turn, each once; the paused and blocked ones stay. */
    struct qp_h3_stream *stream = h3->unread, *next;
    h3->unread = NULL;
    for (; stream != NULL; stream = next) {
        next = stream->next;
        stream->queued = false;
        if (total < max_bytes && !h3->failed && !(stream->paused && !h3->last) &&
            !stream->blocked_in && stream->held == NULL) {
            stream->unread = false;
            total += read_stream(h3, stream->id);
        } else {
            qp_h3_list_push(&h3->unread, stream);
        }
    }
    while (!h3->failed && total < max_bytes && (id = engine->readable_next(h3->conn->impl)) >= 0)
        total += read_stream(h3, (uint64_t)id);
    h3->more = total >= max_bytes;
    if (!h3->server && !h3->failed && !h3->last)
        qp_h3_send_waiting(h3);
}

void qp_h3_read_rest(struct qp_h3 *h3, quicpro_tstamp now)
{
    h3->last = true;
    qp_h3_read(h3, now, SIZE_MAX);
}

bool qp_h3_has_unread(const struct qp_h3 *h3)
{
    if (h3->more)
        return !h3->failed;
    for (const struct qp_h3_stream *s = h3->unread; s != NULL; s = s->next)
        if (!s->paused && !s->blocked_in && s->held == NULL)
            return !h3->failed;
    return false;
}

/* The transport took n bytes of a stream, maybe its end. */
static void sent(struct qp_h3 *h3, int64_t id, size_t n, bool end)
{
    struct qp_h3_stream *stream = qp_h3_stream_find(h3, (uint64_t)id);
    nghttp3_conn_add_write_offset(h3->impl, id, n);
    nghttp3_conn_add_ack_offset(h3->impl, id, n); /* it keeps what it took: we need not */
    if (stream == NULL)
        return;
    if (stream->want_writable && stream->body.len <= h3->options->send_queue_bytes / 2)
        stream->want_writable = qp_h3_stream_event(stream, QUICPRO_EVENT_WRITABLE) == NULL;
    if (end) {
        stream->fin_out = true;
        qp_h3_stream_finish_if_done(stream);
    }
}

/* Offers bytes to the transport; many bytes of a body are lent, not copied. */
static int64_t offer_run(struct qp_h3 *h3, int64_t id, const uint8_t *data, size_t len, int fin)
{
    const struct qp_conn *conn = h3->conn;
    const struct qp_h3_stream *stream = len < LEND_MIN ? NULL : qp_h3_stream_find(h3, (uint64_t)id);
    uint32_t *users = stream == NULL ? NULL : qp_queue_block_of(&stream->body, data);
    uint64_t code;
    if (users == NULL)
        return conn->engine->stream_send(conn->impl, (uint64_t)id, data, len, fin, &code);
    return conn->engine->stream_lend(conn->impl, (uint64_t)id, (struct qp_engine_block *)users,
                                     data, len, fin, &code);
}

/* Offers vectors to the transport: small ones joined, large ones as they are. Bytes taken, or an
 * error of stream_send. */
static int64_t offer(struct qp_h3 *h3, int64_t id, const nghttp3_vec *vec, size_t count, int fin,
                     bool *ret_all)
{
    uint8_t joined[WRITE_JOIN];
    size_t i = 0, taken = 0;
    do {
        const uint8_t *data = i < count ? vec[i].base : joined;
        size_t len = i < count ? vec[i].len : 0, n = 1;
        if (len < WRITE_JOIN / 2 && i + 1 < count) {
            len = 0;
            for (n = 0; i + n < count && vec[i + n].len <= WRITE_JOIN - len; n++) {
                memcpy(joined + len, vec[i + n].base, vec[i + n].len);
                len += vec[i + n].len;
            }
            data = joined;
        }
        int64_t r = offer_run(h3, id, data, len, fin && i + n >= count);
        if (r < 0) {
            *ret_all = false;
            return taken != 0 && r == QUICPRO_EAGAIN ? (int64_t)taken : r;
        }
        taken += (size_t)r;
        if ((size_t)r < len) {
            *ret_all = false;
            return (int64_t)taken;
        }
        i += n;
    } while (i < count);
    *ret_all = true;
    return (int64_t)taken;
}

bool qp_h3_write(struct qp_h3 *h3, size_t max_bytes)
{
    size_t total = 0;
    while (h3->impl != NULL && !h3->failed) {
        nghttp3_vec vec[WRITE_VECTORS];
        int64_t id;
        int fin = 0;
        if (total >= max_bytes)
            return true;
        h3->dry = false;
        nghttp3_ssize count = nghttp3_conn_writev_stream(h3->impl, &id, &fin, vec, WRITE_VECTORS);
        if (count < 0)
            fail(h3, (int)count);
        /* No stream: of all of them, or of the one whose turn it was, whose body has nothing now.
         * It is not asked again before it has, so this comes to an end. */
        if (count == 0 && id < 0 && h3->dry)
            continue;
        if (count < 0 || id < 0)
            return false;
        bool all;
        int64_t n = offer(h3, id, vec, (size_t)count, fin, &all);
        struct qp_h3_stream *stream = qp_h3_stream_find(h3, (uint64_t)id);
        if (n >= 0) {
            total += (size_t)n;
            sent(h3, id, (size_t)n, all && fin);
        } else if (n == QUICPRO_ERESET || n == QUICPRO_ESTALE) {
            /* Stopped or gone: qp_h3_read() hears of it from the transport. */
            nghttp3_conn_shutdown_stream_write(h3->impl, id);
            continue;
        } else if (n != QUICPRO_EAGAIN) {
            /* The peer allows not even the streams HTTP/3 needs, or the engine gave up. */
            fail(h3, n == QUICPRO_ELIMIT ? NGHTTP3_ERR_H3_STREAM_CREATION_ERROR
                                         : NGHTTP3_ERR_H3_INTERNAL_ERROR);
            return false;
        }
        if (!all) {
            nghttp3_conn_block_stream(h3->impl, id);
            if (stream != NULL)
                stream->blocked_out = true;
        }
    }
    return false;
}

void qp_h3_shutdown(struct qp_h3 *h3)
{
    if (h3->goaway_out || h3->impl == NULL || h3->failed)
        return;
    h3->goaway_out = true;
    if (nghttp3_conn_shutdown(h3->impl) != 0)
        fail(h3, NGHTTP3_ERR_NOMEM);
}

bool qp_h3_drained(struct qp_h3 *h3)
{
    if (!h3->goaway_out || h3->open != 0)
        return false;
    while (h3->drained_to < h3->seen.top * 4) {
        if (!h3->conn->engine->stream_collected(h3->conn->impl, h3->drained_to))
            return false;
        h3->drained_to += 4;
    }
    return true;
}

void qp_h3_lost(struct qp_h3 *h3, const struct qp_conn_close *close)
{
    int error = close->error != 0 ? close->error : QUICPRO_ECLOSED;
    h3->failed = 1;
    for (struct qp_h3_stream *s = h3->waiting; s != NULL; s = s->next)
        qp_h3_stream_report(s, error, close->code, close->remote, close->text);
    for (uint32_t i = 0; i < h3->streams.capacity; i++) {
        struct qp_h3_stream *stream = h3->streams.slots[i].value;
        if (stream != NULL)
            qp_h3_stream_report(stream, error, close->code, close->remote, close->text);
    }
    qp_h3_done(h3);
}
