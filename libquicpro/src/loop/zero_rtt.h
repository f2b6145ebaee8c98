/* A connection before its handshake is done: early data of clients and servers (RFC 9001 section
 * 4.6, RFC 8470). */
#ifndef QP_LOOP_ZERO_RTT_H
#define QP_LOOP_ZERO_RTT_H

#include <quicpro/base.h>
#include <stdbool.h>

struct qp_link;

/* Server: the application's protocol begins if early data was accepted and may be shown. After
 * datagrams were fed, until established. */
void qp_zero_rtt_receive(struct qp_link *link);
/* Client, on flush: it begins if the engine offers early data and, with HTTP/3, a request may be
 * sent as such. True, for both sides: it has begun, and writes. */
bool qp_zero_rtt_send(struct qp_link *link, quicpro_tstamp now);
/* The handshake is done. True: early data was rejected and the connection has begun anew, so it is
 * not established yet. */
bool qp_zero_rtt_rejected(struct qp_link *link, quicpro_tstamp now);
/* The same, and it was not rejected: what became of it, and what waited for it. */
void qp_zero_rtt_over(struct qp_link *link);

#endif
