/* What a connection carries: HTTP/3 or an application's own protocol. The only place that asks
 * which when a connection is read, written or ended.
 *
 * A side that offers "h3" begins with HTTP/3, so that requests may wait for the handshake; the
 * protocol that the handshake chose decides (RFC 7301). */
#ifndef QP_LOOP_APP_H
#define QP_LOOP_APP_H

#include <quicpro/base.h>
#include <stdbool.h>
#include <stddef.h>

struct qp_link;
struct qp_endpoint;
struct qp_conn_close;

enum qp_app {
    QP_APP_NONE, /* the link is too young, or its streams are gone */
    QP_APP_HTTP3,
    QP_APP_RAW,
};

/* Takes from the endpoint's options what its connections look at. */
void qp_app_options(struct qp_endpoint *endpoint);

void qp_app_init(struct qp_link *link);
/* Ends all streams, silently. */
void qp_app_done(struct qp_link *link);
/* Whether the handshake chose HTTP/3, as far as it has come. */
bool qp_app_is_http3(const struct qp_link *link);
/* Whether it began before the handshake was done. */
bool qp_app_is_early(const struct qp_link *link);
/* The handshake is done. 0; QUICPRO_ENOMEM */
int qp_app_start(struct qp_link *link);
/* Early data travels, and TLS has chosen the protocol. 0; QUICPRO_ENOMEM */
int qp_app_start_early(struct qp_link *link);
/* The handshake is done, and the peer took what was early; or it did not. */
void qp_app_early_over(struct qp_link *link);
void qp_app_early_rejected(struct qp_link *link);
void qp_app_read(struct qp_link *link, quicpro_tstamp now, size_t max_bytes);
void qp_app_read_rest(struct qp_link *link, quicpro_tstamp now);
bool qp_app_has_unread(const struct qp_link *link);
bool qp_app_write(struct qp_link *link, size_t max_bytes);
void qp_app_shutdown(struct qp_link *link);
bool qp_app_drained(struct qp_link *link);
void qp_app_lost(struct qp_link *link, const struct qp_conn_close *close);
/* No new requests or streams should begin: the application is told, once. */
void qp_app_retire(struct qp_link *link);
/* Whether it ends because too many requests were taken back. */
bool qp_app_is_flooded(const struct qp_link *link);
/* The code of a close that is none's fault. */
uint64_t qp_app_no_error(const struct qp_link *link);
size_t qp_app_open(const struct qp_link *link);
void *qp_app_user(const struct qp_link *link);
void qp_app_set_user(struct qp_link *link, void *user);

#endif
