/* One request and its response: what an application commands. The public functions of http.h with
 * the handle looked up already; same results. */
#ifndef QP_H3_STREAM_H
#define QP_H3_STREAM_H

#include "h3/session.h"

/* A stream with a handle; id may be QP_H3_NO_ID. NULL: out of memory. */
struct qp_h3_stream *qp_h3_stream_new(struct qp_h3 *h3, uint64_t id);
/* The stream of an id, or NULL if it has none here. */
struct qp_h3_stream *qp_h3_stream_find(const struct qp_h3 *h3, uint64_t id);
/* Ends the handle and releases memory; neither transport nor nghttp3 hear of it. */
void qp_h3_stream_release(struct qp_h3_stream *stream);
/* Gives its id up, as far as there is one: STOP_SENDING and RESET_STREAM where the directions are
 * open. The handle lives on. Not from within nghttp3. */
void qp_h3_stream_leave(struct qp_h3_stream *stream, uint64_t code);
/* Ends it if both directions have ended. Not from within nghttp3. */
void qp_h3_stream_finish_if_done(struct qp_h3_stream *stream);
/* Ends it now: STOP_SENDING and RESET_STREAM as far as the directions are open. Not from within
 * nghttp3. */
void qp_h3_stream_abort(struct qp_h3_stream *stream, uint64_t code);
/* The same after a RESET event, if the application knows the stream. */
void qp_h3_stream_fail(struct qp_h3_stream *stream, int error, uint64_t code, bool remote,
                       const char *why);
/* An event about a stream, its common fields filled in; NULL: out of memory. */
quicpro_event *qp_h3_stream_event(struct qp_h3_stream *stream, unsigned type);
/* Sets the user pointer, also in events of the batch that the application is just looking at. */
void qp_h3_stream_set_user(struct qp_h3_stream *stream, void *user, const struct qp_batch *handed);
/* A RESET event alone. */
void qp_h3_stream_report(struct qp_h3_stream *stream, int error, uint64_t code, bool remote,
                         const char *why);
/* To be looked at by qp_h3_touched() when nghttp3 has returned. */
void qp_h3_stream_touch(struct qp_h3_stream *stream);

void qp_h3_list_push(struct qp_h3_stream **list, struct qp_h3_stream *stream);

int qp_h3_request(struct qp_h3 *h3, const quicpro_nv *fields, size_t count, const void *body,
                  size_t len, int fin, void *user, quicpro_stream *ret);
/* Sends waiting requests as far as the peer allows streams. */
void qp_h3_send_waiting(struct qp_h3 *h3);
int qp_h3_respond(struct qp_h3_stream *stream, unsigned status, const quicpro_nv *fields,
                  size_t count, const void *body, size_t len, int fin);
int qp_h3_stream_write(struct qp_h3_stream *stream, const void *data, size_t len, int fin);
int qp_h3_stream_trailers(struct qp_h3_stream *stream, const quicpro_nv *fields, size_t count);
void qp_h3_stream_pause(struct qp_h3_stream *stream, bool paused);

#endif
