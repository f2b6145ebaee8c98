/* HTTP/3 before the handshake is done (RFC 8470). What comes then may be a replay, until the
 * handshake is done: a server shows its application only requests with a safe method and holds the
 * others back, or answers them with 425; a client sends only those early, and once more afterwards
 * if it is told 425. */
#ifndef QP_H3_EARLY_H
#define QP_H3_EARLY_H

#include "h3/session.h"

/* What a server holds back of a request: its fields stay packed, its stream is not read on. */
struct qp_h3_held {
    struct qp_buf section; /* the request's fields */
    struct qp_buf body;    /* what came with them */
    bool trailers;         /* those in stream->section are all there */
};

enum qp_h3_early_unsafe { QP_H3_UNSAFE_WAIT, QP_H3_UNSAFE_REFUSE, QP_H3_UNSAFE_SHOW };
enum qp_h3_early_verdict { QP_H3_EARLY_SHOWN, QP_H3_EARLY_HELD, QP_H3_EARLY_REFUSED };

/* "Safe methods" of RFC 9110 section 9.2.1 that a user agent sends: GET, HEAD, OPTIONS. */
bool qp_h3_early_method(const uint8_t *method, size_t len);
/* Server: what becomes of a request whose fields are all there. */
enum qp_h3_early_verdict qp_h3_early_request(const struct qp_h3_stream *stream);
/* Client: whether this answer, whose status is known, means that the request is sent once more. */
bool qp_h3_early_again(const struct qp_h3_stream *stream);
/* Of a stream that is too_early: a server answers, a client lets the request wait again. Not from
 * within nghttp3. */
void qp_h3_early_refused(struct qp_h3_stream *stream);
/* Server: begins to hold a request whose fields are packed in stream->section. 0; QUICPRO_ENOMEM */
int qp_h3_early_hold(struct qp_h3_stream *stream);
void qp_h3_early_forget(struct qp_h3_stream *stream);

/* Client: whether this request may be sent early. */
bool qp_h3_early_may(const struct qp_h3_stream *stream);
/* Client: whether one waits that may. */
bool qp_h3_early_ready(const struct qp_h3 *h3);

/* The handshake is done. Server: what was held happens now. Client: early data was accepted; the
 * other requests follow. */
void qp_h3_early_over(struct qp_h3 *h3);
/* Client: early data was rejected, and the connection is begun anew: every request waits again as
 * if nothing had been sent. */
void qp_h3_early_rejected(struct qp_h3 *h3);

#endif
