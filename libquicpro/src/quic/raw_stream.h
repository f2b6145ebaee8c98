/* One stream of an application's own protocol: what an application commands. The public functions
 * of stream.h with the handle looked up already; same results. */
#ifndef QP_QUIC_RAW_STREAM_H
#define QP_QUIC_RAW_STREAM_H

#include "quic/raw.h"

/* A stream with a handle. NULL: out of memory. */
struct qp_raw_stream *qp_raw_stream_new(struct qp_raw *raw, uint64_t id);
/* The stream of an id, or NULL if it has none here. */
struct qp_raw_stream *qp_raw_stream_find(const struct qp_raw *raw, uint64_t id);
/* Ends the handle if both directions have ended. True: it is gone. */
bool qp_raw_stream_finish_if_done(struct qp_raw_stream *stream);
/* Whether bytes, or the end, wait for the transport. */
bool qp_raw_stream_is_unsent(const struct qp_raw_stream *stream);
/* An event about a stream, its common fields filled in; NULL: out of memory. */
quicpro_event *qp_raw_stream_event(struct qp_raw_stream *stream, unsigned type);
/* Hands the transport at most max bytes of the queue, and the end behind it. Bytes taken. The
 * stream may be gone afterwards. */
size_t qp_raw_stream_send(struct qp_raw_stream *stream, size_t max);
/* The transport takes bytes again. */
void qp_raw_stream_unblock(struct qp_raw_stream *stream);
/* The peer wants no more: STOPPED. The stream may be gone afterwards. */
void qp_raw_stream_stopped(struct qp_raw_stream *stream, uint64_t code);
/* Takes the next stream out of the ring of an urgency, NULL: none. */
struct qp_raw_stream *qp_raw_pending_take(struct qp_raw *raw, unsigned urgency);
/* Puts it back; in front: it comes next. */
void qp_raw_pending_put(struct qp_raw_stream *stream, bool front);

int qp_raw_open(struct qp_raw *raw, bool bidi, void *user, quicpro_stream *ret);
int64_t qp_raw_stream_read(struct qp_raw_stream *stream, void *buf, size_t cap, int *fin,
                           uint64_t *code);
int qp_raw_stream_write(struct qp_raw_stream *stream, const void *data, size_t len, int fin);
/* Gives both directions up, silently. */
void qp_raw_stream_abort(struct qp_raw_stream *stream, uint64_t code);
/* how: of enum quicpro_shutdown */
int qp_raw_stream_shutdown(struct qp_raw_stream *stream, unsigned how, uint64_t code);
int qp_raw_stream_set_priority(struct qp_raw_stream *stream, unsigned urgency, bool incremental);
/* Sets the user pointer, also in events of the batch that the application is just looking at. */
void qp_raw_stream_set_user(struct qp_raw_stream *stream, void *user,
                            const struct qp_batch *handed);

#endif
