#include "h3/stream.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "h3/callbacks.h"
#include "h3/early.h"
#include "h3/fields.h"

enum { H3_REQUEST_CANCELLED = 0x10c, H3_INTERNAL_ERROR = 0x102 };

static const nghttp3_data_reader body_reader = {qp_h3_read_body};

struct qp_h3_stream *qp_h3_stream_new(struct qp_h3 *h3, uint64_t id)
{
    quicpro_handle handle;
    struct qp_h3_stream *stream = qp_slab_take(h3->slab, &handle);
    if (stream == NULL)
        return NULL;
    if (id != QP_H3_NO_ID && qp_idmap_put(&h3->streams, id, stream) < 0) {
        qp_slab_put(h3->slab, handle);
        return NULL;
    }
    stream->h3 = h3;
    stream->handle = handle;
    stream->id = id;
    stream->user = h3->user;
    h3->open++;
    return stream;
}

struct qp_h3_stream *qp_h3_stream_find(const struct qp_h3 *h3, uint64_t id)
{
    return qp_idmap_get(&h3->streams, id);
}

void qp_h3_list_push(struct qp_h3_stream **list, struct qp_h3_stream *stream)
{
    assert(!stream->queued);
    stream->queued = true;
    stream->next = *list;
    *list = stream;
}

static bool list_remove(struct qp_h3_stream **list, struct qp_h3_stream *stream)
{
    for (struct qp_h3_stream **at = list; *at != NULL; at = &(*at)->next)
        if (*at == stream) {
            *at = stream->next;
            return true;
        }
    return false;
}

void qp_h3_stream_touch(struct qp_h3_stream *stream)
{
    if (stream->touched)
        return;
    stream->touched = true;
    stream->next_touched = stream->h3->touched;
    stream->h3->touched = stream;
}

void qp_h3_stream_release(struct qp_h3_stream *stream)
{
    struct qp_h3 *h3 = stream->h3;
    if (stream->queued && !list_remove(&h3->unread, stream) && list_remove(&h3->waiting, stream)) {
        h3->waiting_count--;
        h3->waiting_last = h3->waiting;
        while (h3->waiting_last != NULL && h3->waiting_last->next != NULL)
            h3->waiting_last = h3->waiting_last->next;
    }
    if (stream->touched)
        for (struct qp_h3_stream **at = &h3->touched; *at != NULL; at = &(*at)->next_touched)
            if (*at == stream) {
                *at = stream->next_touched;
                break;
            }
    if (h3->current == stream)
        h3->current = NULL;
    qp_queue_done(&stream->body);
    qp_buf_done(&stream->pending);
    qp_buf_done(&stream->section);
    qp_h3_early_forget(stream);
    h3->open--;
    qp_slab_put(h3->slab, stream->handle);
}

void qp_h3_stream_leave(struct qp_h3_stream *stream, uint64_t code)
{
    struct qp_h3 *h3 = stream->h3;
    const struct qp_conn *conn = h3->conn;
    if (stream->id == QP_H3_NO_ID)
        return;
    if (!h3->failed && !stream->fin_in)
        conn->engine->stream_stop_read(conn->impl, stream->id, code);
    if (!h3->failed && !stream->fin_out)
        conn->engine->stream_reset_write(conn->impl, stream->id, code);
    if (stream->queued && list_remove(&h3->unread, stream))
        stream->queued = false;
    nghttp3_conn_shutdown_stream_read(h3->impl, (int64_t)stream->id);
    nghttp3_conn_close_stream(h3->impl, (int64_t)stream->id, code);
    qp_idmap_remove(&h3->streams, stream->id);
}

void qp_h3_stream_finish_if_done(struct qp_h3_stream *stream)
{
    struct qp_h3 *h3 = stream->h3;
    if (!stream->end_in || !stream->fin_out)
        return;
    nghttp3_conn_close_stream(h3->impl, (int64_t)stream->id, NGHTTP3_H3_NO_ERROR);
    qp_idmap_remove(&h3->streams, stream->id);
    qp_h3_stream_release(stream);
}

void qp_h3_stream_abort(struct qp_h3_stream *stream, uint64_t code)
{
    qp_h3_stream_leave(stream, code);
    qp_h3_stream_release(stream);
}

quicpro_event *qp_h3_stream_event(struct qp_h3_stream *stream, unsigned type)
{
    quicpro_event *event = qp_batch_add_at(stream->h3->batch, type, &stream->events);
    if (event == NULL)
        return NULL;
    event->conn = stream->h3->conn_handle;
    event->stream = stream->handle;
    event->stream_id = stream->id == QP_H3_NO_ID ? 0 : stream->id;
    event->user = stream->user;
    return event;
}

void qp_h3_stream_set_user(struct qp_h3_stream *stream, void *user, const struct qp_batch *handed)
{
    stream->user = user;
    qp_batch_set_user(handed, &stream->events, stream->handle, user);
}

void qp_h3_stream_report(struct qp_h3_stream *stream, int error, uint64_t code, bool remote,
                         const char *why)
{
    quicpro_event *event = stream->seen ? qp_h3_stream_event(stream, QUICPRO_EVENT_RESET) : NULL;
    char text[768];
    if (event == NULL)
        return;
    if (error == QUICPRO_ERESET)
        snprintf(text, sizeof(text), "%s: %s", why, quicpro_wire_code_name(code, 1));
    else
        snprintf(text, sizeof(text), "%s", why);
    event->error = error;
    event->code = code;
    event->flags = remote ? QUICPRO_FLAG_REMOTE : 0;
    qp_batch_set_text(stream->h3->batch, event, text);
}

void qp_h3_stream_fail(struct qp_h3_stream *stream, int error, uint64_t code, bool remote,
                       const char *why)
{
    qp_h3_stream_report(stream, error, code, remote, why);
    qp_h3_stream_abort(stream, remote && error == QUICPRO_ERESET ? H3_REQUEST_CANCELLED : code);
}

/* A date is another one in a second: what the dynamic table spares on the wire costs more than it
 * is worth, an insertion, a reference for each response and its acknowledgement. */
static uint8_t flags_of(const quicpro_nv *field)
{
    return field->name_len == 4 && memcmp(field->name, "date", 4) == 0 ? NGHTTP3_NV_FLAG_NEVER_INDEX
                                                                       : 0;
}

/* quicpro_nv to nghttp3_nv, ":status" in front if there is one. */
static size_t convert(nghttp3_nv *out, const char *status, const quicpro_nv *fields, size_t count)
{
    size_t n = 0;
    if (status != NULL)
        out[n++] = (nghttp3_nv){(const uint8_t *)":status", (const uint8_t *)status, 7, 3, 0};
    for (size_t i = 0; i < count; i++)
        out[n++] = (nghttp3_nv){(const uint8_t *)fields[i].name, (const uint8_t *)fields[i].value,
                                fields[i].name_len, fields[i].value_len, flags_of(&fields[i])};
    return n;
}

/* A waiting request's fields: lengths in front, then the bytes. */
static int pack(struct qp_buf *out, const quicpro_nv *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const size_t len[2] = {fields[i].name_len, fields[i].value_len};
        if (qp_buf_append(out, len, sizeof(len)) < 0)
            return QUICPRO_ENOMEM;
    }
    for (size_t i = 0; i < count; i++)
        if (qp_buf_append(out, fields[i].name, fields[i].name_len) < 0 ||
            qp_buf_append(out, fields[i].value, fields[i].value_len) < 0)
            return QUICPRO_ENOMEM;
    return 0;
}

static void unpack(nghttp3_nv *out, const struct qp_buf *packed, size_t count)
{
    const uint8_t *text = packed->data + count * 2 * sizeof(size_t);
    for (size_t i = 0; i < count; i++) {
        size_t len[2];
        memcpy(len, packed->data + i * sizeof(len), sizeof(len));
        out[i] = (nghttp3_nv){text, text + len[0], len[0], len[1], 0};
        text += len[0] + len[1];
    }
}

static const nghttp3_data_reader *reader_of(const struct qp_h3_stream *stream)
{
    return stream->body_end && stream->body.len == 0 ? NULL : &body_reader;
}

/* Opens the stream and hands nghttp3 the request. 0; QUICPRO_EAGAIN: the peer allows no more
 * streams now (RFC 9000 section 4.6); QUICPRO_ESTATE; QUICPRO_ENOMEM */
static int submit_request(struct qp_h3_stream *stream, const nghttp3_nv *nv, size_t count)
{
    struct qp_h3 *h3 = stream->h3;
    const struct qp_engine_ops *engine = h3->conn->engine;
    uint64_t id = h3->next_bidi, code;
    if (h3->goaway_in)
        return QUICPRO_ESTATE;
    int64_t opened = engine->stream_send(h3->conn->impl, id, NULL, 0, 0, &code);
    if (opened < 0)
        return opened == QUICPRO_ELIMIT ? QUICPRO_EAGAIN : QUICPRO_ESTATE;
    if (qp_idmap_put(&h3->streams, id, stream) < 0)
        return QUICPRO_ENOMEM;
    int r = nghttp3_conn_submit_request(h3->impl, (int64_t)id, nv, count, reader_of(stream), NULL);
    if (r != 0) {
        qp_idmap_remove(&h3->streams, id);
        return r == NGHTTP3_ERR_CONN_CLOSING ? QUICPRO_ESTATE : QUICPRO_ENOMEM;
    }
    stream->id = id;
    stream->headers_out = true;
    h3->next_bidi += 4;
    return 0;
}

static int wait_for_stream(struct qp_h3_stream *stream, const quicpro_nv *fields, size_t count)
{
    struct qp_h3 *h3 = stream->h3;
    if (h3->waiting_count >= h3->options->max_pending_requests)
        return QUICPRO_ELIMIT;
    if (pack(&stream->pending, fields, count) < 0)
        return QUICPRO_ENOMEM;
    stream->pending_fields = (uint32_t)count;
    /* First come, first served: at the end of the list. */
    struct qp_h3_stream **at = h3->waiting == NULL ? &h3->waiting : &h3->waiting_last->next;
    *at = stream;
    stream->next = NULL;
    stream->queued = true;
    h3->waiting_last = stream;
    h3->waiting_count++;
    return 0;
}

static int set_body(struct qp_h3_stream *stream, const void *body, size_t len, int fin)
{
    if (len != 0 && qp_queue_append(&stream->body, body, len) < 0)
        return QUICPRO_ENOMEM;
    stream->body_end = fin != 0;
    return 0;
}

static bool is_early_method(const quicpro_nv *fields, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (fields[i].name_len == 7 && memcmp(fields[i].name, ":method", 7) == 0)
            return qp_h3_early_method((const uint8_t *)fields[i].value, fields[i].value_len);
    return false;
}

int qp_h3_request(struct qp_h3 *h3, const quicpro_nv *fields, size_t count, const void *body,
                  size_t len, int fin, void *user, quicpro_stream *ret)
{
    nghttp3_nv nv[QP_H3_MAX_FIELDS];
    int r = qp_h3_fields_check(QP_H3_REQUEST, fields, count);
    if (r < 0)
        return r;
    if (h3->goaway_in || h3->failed)
        return QUICPRO_ESTATE;
    struct qp_h3_stream *stream = qp_h3_stream_new(h3, QP_H3_NO_ID);
    if (stream == NULL)
        return QUICPRO_ENOMEM;
    r = set_body(stream, body, len, fin);
    stream->early_method = is_early_method(fields, count);
    if (r == 0 && h3->impl != NULL && h3->waiting == NULL && !h3->early)
        r = submit_request(stream, nv, convert(nv, NULL, fields, count));
    else if (r == 0)
        r = QUICPRO_EAGAIN;
    if (r == QUICPRO_EAGAIN)
        r = wait_for_stream(stream, fields, count);
    if (r < 0) {
        qp_h3_stream_release(stream);
        return r;
    }
    stream->user = user;
    stream->seen = true;
    *ret = stream->handle;
    if (h3->early)
        qp_h3_send_waiting(h3);
    return 0;
}

void qp_h3_send_waiting(struct qp_h3 *h3)
{
    nghttp3_nv nv[QP_H3_MAX_FIELDS];
    struct qp_h3_stream **at = &h3->waiting, *before = NULL;
    while (h3->impl != NULL && *at != NULL) {
        struct qp_h3_stream *stream = *at;
        if (h3->early && !qp_h3_early_may(stream)) {
            before = stream;
            at = &stream->next;
            continue;
        }
        unpack(nv, &stream->pending, stream->pending_fields);
        int r = submit_request(stream, nv, stream->pending_fields);
        if (r == QUICPRO_EAGAIN)
            return;
        *at = stream->next;
        if (h3->waiting_last == stream)
            h3->waiting_last = before;
        h3->waiting_count--;
        stream->queued = false;
        if (!h3->early)
            qp_buf_done(&stream->pending);
        if (r < 0) {
            qp_h3_stream_report(stream, r, H3_REQUEST_CANCELLED, false, quicpro_strerror(r));
            qp_h3_stream_release(stream);
        }
    }
}

int qp_h3_respond(struct qp_h3_stream *stream, unsigned status, const quicpro_nv *fields,
                  size_t count, const void *body, size_t len, int fin)
{
    struct qp_h3 *h3 = stream->h3;
    nghttp3_nv nv[QP_H3_MAX_FIELDS + 1];
    const char text[3] = {(char)('0' + status / 100 % 10), (char)('0' + status / 10 % 10),
                          (char)('0' + status % 10)};
    int r = qp_h3_fields_check(QP_H3_RESPONSE, fields, count);
    if (r < 0 || status < 100 || status > 999 || status == 101) /* section 4.5: no 101 */
        return QUICPRO_EINVAL;
    if (!h3->server || stream->headers_out || h3->failed)
        return QUICPRO_ESTATE;
    size_t n = convert(nv, text, fields, count);
    if (status < 200) {
        if (len != 0 || fin)
            return QUICPRO_EINVAL;
        r = nghttp3_conn_submit_info(h3->impl, (int64_t)stream->id, nv, n);
        return r == 0 ? 0 : QUICPRO_ENOMEM;
    }
    r = set_body(stream, body, len, fin);
    if (r < 0)
        return r;
    r = nghttp3_conn_submit_response(h3->impl, (int64_t)stream->id, nv, n, reader_of(stream));
    if (r != 0)
        return r == NGHTTP3_ERR_NOMEM ? QUICPRO_ENOMEM : QUICPRO_ESTATE;
    stream->headers_out = true;
    return 0;
}

static void resume(struct qp_h3_stream *stream)
{
    if (stream->id != QP_H3_NO_ID)
        nghttp3_conn_resume_stream(stream->h3->impl, (int64_t)stream->id);
}

int qp_h3_stream_write(struct qp_h3_stream *stream, const void *data, size_t len, int fin)
{
    struct qp_h3 *h3 = stream->h3;
    if (data == NULL && len != 0)
        return QUICPRO_EINVAL;
    if (stream->fin_out && !h3->server)
        return 0; /* the server wants no more of this body, and answers all the same */
    if (h3->server ? !stream->headers_out : false)
        return QUICPRO_ESTATE;
    if (stream->body_end)
        return QUICPRO_ESTATE;
    if (len != 0 && stream->body.len >= h3->options->send_queue_bytes) {
        stream->want_writable = true;
        return QUICPRO_EAGAIN;
    }
    if (len != 0 && qp_queue_append(&stream->body, data, len) < 0)
        return QUICPRO_ENOMEM;
    stream->body_end = fin != 0;
    resume(stream);
    return 0;
}

int qp_h3_stream_trailers(struct qp_h3_stream *stream, const quicpro_nv *fields, size_t count)
{
    struct qp_h3 *h3 = stream->h3;
    nghttp3_nv nv[QP_H3_MAX_FIELDS];
    int r = qp_h3_fields_check(QP_H3_TRAILERS, fields, count);
    if (r < 0)
        return r;
    if (!stream->headers_out || stream->body_end)
        return QUICPRO_ESTATE;
    stream->trailers_out = stream->body_end = true;
    r = nghttp3_conn_submit_trailers(h3->impl, (int64_t)stream->id, nv,
                                     convert(nv, NULL, fields, count));
    resume(stream);
    return r == 0 ? 0 : r == NGHTTP3_ERR_NOMEM ? QUICPRO_ENOMEM : QUICPRO_ESTATE;
}

void qp_h3_stream_pause(struct qp_h3_stream *stream, bool paused)
{
    stream->paused = paused;
}
