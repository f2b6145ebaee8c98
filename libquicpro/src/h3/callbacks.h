/* What nghttp3 calls while it reads and writes. The callbacks append to the batch and mark streams;
 * they end none and call nobody. */
#ifndef QP_H3_CALLBACKS_H
#define QP_H3_CALLBACKS_H

#include <nghttp3/nghttp3.h>

struct qp_h3;
struct qp_h3_stream;

/* For nghttp3_conn_*_new() with a struct qp_h3 as user data; rand is left to the caller. */
void qp_h3_callbacks(nghttp3_callbacks *ret);
/* nghttp3 returned: what it said of a field section whose rest is still to come goes from the batch
 * to its stream, since the batch will be handed out and other streams' sections come in between. */
void qp_h3_park_section(struct qp_h3 *h3);
/* The event of a field section that is complete, from what the stream parked and the batch's last
 * fields. 0; QUICPRO_ENOMEM */
int qp_h3_emit_section(struct qp_h3_stream *stream, unsigned type);
/* Gives nghttp3 the body of a stream. */
nghttp3_ssize qp_h3_read_body(nghttp3_conn *conn, int64_t id, nghttp3_vec *vec, size_t count,
                              uint32_t *flags, void *conn_user, void *stream_user);

#endif
