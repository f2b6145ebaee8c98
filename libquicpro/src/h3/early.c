#include "h3/early.h"

#include <assert.h>
#include <nghttp3/nghttp3.h>
#include <stdlib.h>
#include <string.h>

#include "h3/callbacks.h"
#include "h3/stream.h"

enum { TOO_EARLY = 425 };

bool qp_h3_early_method(const uint8_t *method, size_t len)
{
    static const char *const safe[] = {"GET", "HEAD", "OPTIONS"};
    for (size_t i = 0; i < sizeof(safe) / sizeof(safe[0]); i++)
        if (strlen(safe[i]) == len && memcmp(safe[i], method, len) == 0)
            return true;
    return false;
}

/* A server may let a request wait for the handshake (RFC 8470 section 3). That of a gateway's
 * client is not seen from here, so what a gateway marks cannot wait. Whoever sets the field only
 * makes a request less trusted, so it counts from everybody. */
enum qp_h3_early_verdict qp_h3_early_request(const struct qp_h3_stream *stream)
{
    const struct qp_h3 *h3 = stream->h3;
    const bool early = h3->early || stream->early_field;
    if (!h3->server || !early || stream->early_method ||
        h3->options->early_unsafe == QP_H3_UNSAFE_SHOW)
        return QP_H3_EARLY_SHOWN;
    if (stream->early_field || h3->options->early_unsafe == QP_H3_UNSAFE_REFUSE)
        return QP_H3_EARLY_REFUSED;
    return QP_H3_EARLY_HELD;
}

bool qp_h3_early_again(const struct qp_h3_stream *stream)
{
    const struct qp_h3 *h3 = stream->h3;
    return !h3->server && stream->status == TOO_EARLY && stream->pending.len != 0 &&
           !h3->goaway_in && !h3->last;
}

int qp_h3_early_hold(struct qp_h3_stream *stream)
{
    assert(stream->held == NULL);
    stream->held = calloc(1, sizeof(*stream->held));
    if (stream->held == NULL)
        return QUICPRO_ENOMEM;
    stream->held->section = stream->section;
    stream->section = (struct qp_buf){0};
    return 0;
}

void qp_h3_early_forget(struct qp_h3_stream *stream)
{
    if (stream->held == NULL)
        return;
    qp_buf_done(&stream->held->section);
    qp_buf_done(&stream->held->body);
    free(stream->held);
    stream->held = NULL;
}

static int emit_body(struct qp_h3_stream *stream, const struct qp_buf *body)
{
    struct qp_batch *batch = stream->h3->batch;
    size_t room;
    uint8_t *copy = qp_arena_reserve(&batch->data, body->len, &room);
    quicpro_event *event = copy == NULL ? NULL : qp_h3_stream_event(stream, QUICPRO_EVENT_DATA);
    if (event == NULL)
        return QUICPRO_ENOMEM;
    memcpy(copy, body->data, body->len);
    qp_arena_commit(&batch->data, body->len);
    event->data = copy;
    event->len = body->len;
    return 0;
}

/* The events of a held request, in their order. */
static int emit(struct qp_h3_stream *stream)
{
    struct qp_h3_held *held = stream->held;
    const struct qp_buf later = stream->section; /* trailers, or the beginning of some */
    stream->section = held->section;
    held->section = (struct qp_buf){0};
    int r = qp_h3_emit_section(stream, QUICPRO_EVENT_REQUEST);
    stream->section = later;
    if (r == 0 && held->body.len != 0)
        r = emit_body(stream, &held->body);
    if (r == 0 && held->trailers)
        r = qp_h3_emit_section(stream, QUICPRO_EVENT_TRAILERS);
    if (r == 0 && stream->end_in)
        qp_batch_last(stream->h3->batch)->flags |= QUICPRO_FLAG_FIN;
    return r;
}

static void release(struct qp_h3_stream *stream)
{
    int r = emit(stream);
    qp_h3_early_forget(stream);
    if (r < 0)
        qp_h3_stream_fail(stream, r, NGHTTP3_H3_INTERNAL_ERROR, false, quicpro_strerror(r));
}

void qp_h3_early_over(struct qp_h3 *h3)
{
    h3->early = false;
    if (!h3->server) {
        qp_h3_send_waiting(h3);
        return;
    }
    for (uint64_t id = 0; id < h3->seen.top * 4; id += 4) {
        struct qp_h3_stream *stream = qp_h3_stream_find(h3, id);
        if (stream != NULL && stream->held != NULL)
            release(stream);
    }
}

bool qp_h3_early_may(const struct qp_h3_stream *stream)
{
    return stream->early_method && stream->body_end && stream->body.len == 0 &&
           !stream->trailers_out;
}

bool qp_h3_early_ready(const struct qp_h3 *h3)
{
    for (const struct qp_h3_stream *s = h3->waiting; s != NULL; s = s->next)
        if (qp_h3_early_may(s))
            return true;
    return false;
}

static void answer(struct qp_h3_stream *stream)
{
    if (stream->headers_out) { /* and the rest of the request was thrown away */
        qp_h3_stream_finish_if_done(stream);
        return;
    }
    int r = qp_h3_respond(stream, TOO_EARLY, NULL, 0, NULL, 0, 1);
    if (r < 0)
        qp_h3_stream_fail(stream, r, NGHTTP3_H3_INTERNAL_ERROR, false, quicpro_strerror(r));
}

/* Back to where it was before it was sent. */
static void wait_again(struct qp_h3 *h3, struct qp_h3_stream *stream)
{
    stream->id = QP_H3_NO_ID;
    stream->headers_out = stream->fin_out = stream->blocked_out = false;
    stream->peeked = 0;
    stream->next = h3->waiting;
    stream->queued = true;
    if (h3->waiting == NULL)
        h3->waiting_last = stream;
    h3->waiting = stream;
    h3->waiting_count++;
}

/* "A user agent SHOULD retry automatically, but any retries MUST NOT be sent in early data"
 * (RFC 8470 section 5.2). Its packed fields go when it is sent, so there is no third time. */
static void ask_again(struct qp_h3_stream *stream)
{
    struct qp_h3 *h3 = stream->h3;
    qp_h3_stream_leave(stream, NGHTTP3_H3_REQUEST_CANCELLED);
    if (h3->current == stream)
        h3->current = NULL;
    stream->early_method = false;
    stream->too_early = stream->fin_in = stream->end_in = false;
    stream->unread = stream->blocked_in = false;
    stream->status = 0;
    stream->section_size = 0;
    qp_buf_done(&stream->section);
    wait_again(h3, stream);
}

void qp_h3_early_refused(struct qp_h3_stream *stream)
{
    if (stream->h3->server)
        answer(stream);
    else
        ask_again(stream);
}

void qp_h3_early_rejected(struct qp_h3 *h3)
{
    assert(!h3->server && h3->unread == NULL);
    for (uint64_t id = h3->next_bidi; id > 0; id -= 4) {
        struct qp_h3_stream *stream = qp_h3_stream_find(h3, id - 4);
        if (stream != NULL)
            wait_again(h3, stream); /* in front, so the first comes to be first again */
    }
    qp_idmap_done(&h3->streams);
    nghttp3_conn_del(h3->impl);
    h3->impl = NULL;
    h3->touched = h3->current = NULL;
    h3->next_bidi = 0;
    h3->early = false;
}
