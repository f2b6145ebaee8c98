#include "h3/callbacks.h"

#include <string.h>

#include "h3/early.h"
#include "h3/fields.h"
#include "h3/session.h"
#include "h3/stream.h"

static struct qp_h3_stream *find(struct qp_h3 *h3, int64_t id)
{
    if (h3->current != NULL && h3->current->id == (uint64_t)id)
        return h3->current;
    return qp_h3_stream_find(h3, (uint64_t)id);
}

/* Nothing more of its message is told. */
static bool is_over(const struct qp_h3_stream *stream)
{
    return stream->refused || stream->too_early;
}

/* A parked field: this head, then its name (none if it is a known one) and its value. */
struct parked {
    uint32_t name_id, name_len, value_len;
};

static int park(struct qp_h3_stream *stream, const struct qp_batch *batch, size_t mark)
{
    const quicpro_field *field = (const quicpro_field *)(const void *)batch->fields.data;
    const char *text = batch->text.len == 0 ? "" : (const char *)batch->text.data;
    for (size_t i = mark; i < qp_batch_field_mark(batch); i++) {
        const quicpro_field *f = &field[i];
        const struct parked head = {f->name, f->name_len, f->value_len};
        if (qp_buf_append(&stream->section, &head, sizeof(head)) < 0 ||
            (f->name_len != 0 &&
             qp_buf_append(&stream->section, text + f->name, f->name_len) < 0) ||
            qp_buf_append(&stream->section, text + f->value, f->value_len) < 0)
            return QUICPRO_ENOMEM;
    }
    return 0;
}

void qp_h3_park_section(struct qp_h3 *h3)
{
    struct qp_h3_stream *stream = h3->in_section;
    if (stream == NULL)
        return;
    if (!is_over(stream) && park(stream, h3->batch, h3->field_mark) < 0) {
        stream->refused = true;
        stream->refused_code = NGHTTP3_H3_INTERNAL_ERROR;
        qp_h3_stream_touch(stream);
    }
    qp_batch_fields_drop(h3->batch, h3->field_mark);
    h3->in_section = NULL;
}

/* The next fields in the batch are this stream's, behind those that came earlier. */
static int enter_section(struct qp_h3 *h3, struct qp_h3_stream *stream)
{
    if (h3->in_section == stream)
        return 0;
    qp_h3_park_section(h3);
    h3->in_section = stream;
    h3->field_mark = qp_batch_field_mark(h3->batch);
    const uint8_t *at = stream->section.data, *end = at + stream->section.len;
    while (at != end) {
        struct parked head;
        memcpy(&head, at, sizeof(head));
        at += sizeof(head);
        if (qp_batch_field(h3->batch, head.name_len == 0 ? NULL : at, head.name_len, head.name_id,
                           at + head.name_len, head.value_len) < 0)
            return QUICPRO_ENOMEM;
        at += head.name_len + head.value_len;
    }
    qp_buf_done(&stream->section);
    return 0;
}

/* "The size of a field list is calculated based on the uncompressed size of fields, including the
 * length of the name and value in bytes plus an overhead of 32 bytes for each field" (RFC 9114
 * section 4.2.2). nghttp3 announces our limit and leaves it to us to hold peers to it. */
static bool too_large(struct qp_h3_stream *stream, size_t name_len, size_t value_len)
{
    stream->section_size += name_len + value_len + 32;
    if (stream->section_size <= stream->h3->options->max_field_section_bytes)
        return false;
    stream->refused = true;
    stream->refused_code = NGHTTP3_H3_EXCESSIVE_LOAD;
    qp_h3_stream_touch(stream);
    return true;
}

static unsigned three_digits(const nghttp3_vec *v)
{
    unsigned n = 0;
    for (size_t i = 0; i < v->len && i < 3; i++)
        n = n * 10 + (unsigned)(v->base[i] - '0');
    return n;
}

static int field(nghttp3_conn *conn, int64_t id, int32_t token, nghttp3_rcbuf *name,
                 nghttp3_rcbuf *value, uint8_t flags, void *user, void *stream_user)
{
    struct qp_h3 *h3 = user;
    struct qp_h3_stream *stream = find(h3, id);
    nghttp3_vec n = nghttp3_rcbuf_get_buf(name), v = nghttp3_rcbuf_get_buf(value);
    int known = qp_h3_known_name(token), r;
    (void)conn, (void)flags, (void)stream_user;
    if (stream == NULL || is_over(stream) || too_large(stream, n.len, v.len))
        return 0;
    if (enter_section(h3, stream) < 0)
        return NGHTTP3_ERR_CALLBACK_FAILURE;
    if (known >= 0)
        r = qp_batch_field(h3->batch, NULL, 0, (uint32_t)known, v.base, v.len);
    else
        r = qp_batch_field(h3->batch, n.base, n.len, 0, v.base, v.len);
    if (token == NGHTTP3_QPACK_TOKEN__STATUS)
        stream->status = three_digits(&v);
    if (token == NGHTTP3_QPACK_TOKEN__METHOD)
        stream->early_method = qp_h3_early_method(v.base, v.len);
    if (token == NGHTTP3_QPACK_TOKEN_EARLY_DATA)
        stream->early_field = true; /* "Multiple or invalid instances of the header field MUST be
                                       treated as equivalent to a single instance with a value of 1"
                                       (RFC 8470 section 5.1) */
    return r < 0 ? NGHTTP3_ERR_CALLBACK_FAILURE : 0;
}

int qp_h3_emit_section(struct qp_h3_stream *stream, unsigned type)
{
    struct qp_h3 *h3 = stream->h3;
    if (enter_section(h3, stream) < 0)
        return QUICPRO_ENOMEM;
    quicpro_event *event = qp_h3_stream_event(stream, type);
    if (event == NULL)
        return QUICPRO_ENOMEM;
    qp_batch_fields_from(h3->batch, event, h3->field_mark);
    h3->in_section = NULL;
    stream->seen = true;
    if (type == QUICPRO_EVENT_RESPONSE) {
        event->code = stream->status;
        if (stream->status < 200)
            event->flags |= QUICPRO_FLAG_INFORMATIONAL;
    }
    if (type == QUICPRO_EVENT_REQUEST && (h3->early || stream->early_field))
        event->flags |= QUICPRO_FLAG_EARLY;
    return 0;
}

/* The section is complete, but must not be shown before the handshake is done. */
static int hold_section(struct qp_h3_stream *stream)
{
    if (enter_section(stream->h3, stream) < 0)
        return QUICPRO_ENOMEM;
    qp_h3_park_section(stream->h3);
    if (stream->held == NULL)
        return qp_h3_early_hold(stream);
    stream->held->trailers = true;
    return 0;
}

static int end_section(struct qp_h3 *h3, int64_t id, unsigned type, int fin)
{
    struct qp_h3_stream *stream = find(h3, id);
    if (stream == NULL || is_over(stream))
        return 0;
    enum qp_h3_early_verdict verdict =
        stream->held != NULL ? QP_H3_EARLY_HELD : QP_H3_EARLY_SHOWN; /* trailers */
    if (type == QUICPRO_EVENT_REQUEST)
        verdict = qp_h3_early_request(stream);
    if (type == QUICPRO_EVENT_RESPONSE && qp_h3_early_again(stream))
        verdict = QP_H3_EARLY_REFUSED;
    if (verdict == QP_H3_EARLY_REFUSED) {
        stream->too_early = true; /* so its fields are dropped */
        qp_h3_stream_touch(stream);
        return 0;
    }
    if (type == QUICPRO_EVENT_RESPONSE && stream->status >= 200)
        qp_buf_done(&stream->pending);
    int r = verdict == QP_H3_EARLY_HELD ? hold_section(stream) : qp_h3_emit_section(stream, type);
    stream->section_size = 0;
    (void)fin; /* end_stream follows */
    return r < 0 ? NGHTTP3_ERR_CALLBACK_FAILURE : 0;
}

static int end_headers(nghttp3_conn *conn, int64_t id, int fin, void *user, void *stream_user)
{
    struct qp_h3 *h3 = user;
    (void)conn, (void)stream_user;
    return end_section(h3, id, h3->server ? QUICPRO_EVENT_REQUEST : QUICPRO_EVENT_RESPONSE, fin);
}

static int end_trailers(nghttp3_conn *conn, int64_t id, int fin, void *user, void *stream_user)
{
    (void)conn, (void)stream_user;
    return end_section(user, id, QUICPRO_EVENT_TRAILERS, fin);
}

static int body(nghttp3_conn *conn, int64_t id, const uint8_t *data, size_t len, void *user,
                void *stream_user)
{
    struct qp_h3 *h3 = user;
    struct qp_h3_stream *stream = find(h3, id);
    (void)conn, (void)stream_user;
    bool ours = h3->feed != NULL && data >= h3->feed && data < h3->feed + h3->feed_len;
    if (ours)
        h3->feed_data += len;
    if (stream == NULL || is_over(stream))
        return 0;
    if (stream->held != NULL)
        return qp_buf_append(&stream->held->body, data, len) < 0 ? NGHTTP3_ERR_CALLBACK_FAILURE : 0;
    if (!ours) { /* nghttp3's own copy of a stream that was blocked: it goes when we return */
        size_t room;
        uint8_t *copy = qp_arena_reserve(&h3->batch->data, len, &room);
        if (copy == NULL)
            return NGHTTP3_ERR_CALLBACK_FAILURE;
        memcpy(copy, data, len);
        qp_arena_commit(&h3->batch->data, len);
        data = copy;
    }
    quicpro_event *event = qp_h3_stream_event(stream, QUICPRO_EVENT_DATA);
    if (event == NULL)
        return NGHTTP3_ERR_CALLBACK_FAILURE;
    event->data = data;
    event->len = len;
    return 0;
}

static int end_stream(nghttp3_conn *conn, int64_t id, void *user, void *stream_user)
{
    struct qp_h3 *h3 = user;
    struct qp_h3_stream *stream = find(h3, id);
    (void)conn, (void)stream_user;
    if (stream == NULL || stream->refused)
        return 0;
    stream->end_in = true;
    qp_h3_stream_touch(stream);
    if (stream->held != NULL || stream->too_early)
        return 0;
    quicpro_event *event = qp_batch_last(h3->batch);
    if (event == NULL || event->stream != stream->handle || event->type < QUICPRO_EVENT_REQUEST ||
        event->type > QUICPRO_EVENT_TRAILERS)
        event = qp_h3_stream_event(stream, QUICPRO_EVENT_DATA);
    if (event == NULL)
        return NGHTTP3_ERR_CALLBACK_FAILURE;
    event->flags |= QUICPRO_FLAG_FIN;
    return 0;
}

/* nghttp3 asks for both, one after the other, when a message is malformed or not welcome. */
static int refuse(nghttp3_conn *conn, int64_t id, uint64_t code, void *user, void *stream_user)
{
    struct qp_h3 *h3 = user;
    struct qp_h3_stream *stream = find(h3, id);
    (void)conn, (void)stream_user;
    if (stream == NULL) { /* a unidirectional stream of unknown type (RFC 9114 section 6.2) */
        if ((id & 2) != 0)
            h3->conn->engine->stream_stop_read(h3->conn->impl, (uint64_t)id, code);
        return 0;
    }
    stream->refused = true;
    stream->refused_code = code;
    qp_h3_stream_touch(stream);
    return 0;
}

static int moved(nghttp3_conn *conn, int64_t id, size_t consumed, void *user, void *stream_user)
{
    struct qp_h3_stream *stream = find(user, id);
    (void)conn, (void)consumed, (void)stream_user;
    if (stream != NULL)
        stream->blocked_in = false;
    return 0;
}

static int taken(nghttp3_conn *conn, int64_t id, uint64_t len, void *user, void *stream_user)
{
    struct qp_h3_stream *stream = find(user, id);
    (void)conn, (void)stream_user;
    if (stream != NULL) {
        qp_queue_consume(&stream->body, (size_t)len);
        stream->peeked -= (size_t)len;
    }
    return 0;
}

static int goaway(nghttp3_conn *conn, int64_t id, void *user)
{
    struct qp_h3 *h3 = user;
    (void)conn;
    h3->goaway_in = true;
    quicpro_event *event = qp_batch_add(h3->batch, QUICPRO_EVENT_GOAWAY);
    if (event == NULL)
        return NGHTTP3_ERR_CALLBACK_FAILURE;
    event->conn = h3->conn_handle;
    event->code = (uint64_t)id;
    event->user = h3->user;
    event->flags = QUICPRO_FLAG_REMOTE;
    return 0;
}

void qp_h3_callbacks(nghttp3_callbacks *ret)
{
    *ret = (nghttp3_callbacks){
        .acked_stream_data = taken,
        .recv_data = body,
        .deferred_consume = moved,
        .recv_header = field,
        .end_headers = end_headers,
        .recv_trailer = field,
        .end_trailers = end_trailers,
        .stop_sending = refuse,
        .end_stream = end_stream,
        .reset_stream = refuse,
        .shutdown = goaway,
    };
}

nghttp3_ssize qp_h3_read_body(nghttp3_conn *conn, int64_t id, nghttp3_vec *vec, size_t count,
                              uint32_t *flags, void *conn_user, void *stream_user)
{
    struct qp_h3 *h3 = conn_user;
    struct qp_h3_stream *stream = qp_h3_stream_find(h3, (uint64_t)id);
    struct qp_span span[16];
    (void)conn, (void)stream_user;
    h3->dry = stream == NULL;
    if (stream == NULL)
        return NGHTTP3_ERR_WOULDBLOCK;
    if (count > sizeof(span) / sizeof(span[0]))
        count = sizeof(span) / sizeof(span[0]);
    size_t n = qp_queue_peek(&stream->body, stream->peeked, span, count);
    for (size_t i = 0; i < n; i++) {
        vec[i] = (nghttp3_vec){(uint8_t *)span[i].data, span[i].len};
        stream->peeked += span[i].len;
    }
    if (stream->body_end && stream->peeked == stream->body.len) {
        *flags |= NGHTTP3_DATA_FLAG_EOF;
        if (stream->trailers_out)
            *flags |= NGHTTP3_DATA_FLAG_NO_END_STREAM;
        return (nghttp3_ssize)n;
    }
    h3->dry = n == 0;
    return n == 0 ? NGHTTP3_ERR_WOULDBLOCK : (nghttp3_ssize)n;
}
