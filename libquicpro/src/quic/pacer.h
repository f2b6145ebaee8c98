/* A pacer for congestion controllers that have none of their own: a token bucket that fills with
 * the rate the congestion window allows (RFC 9002 section 7.7). A function of what it is told and
 * of time; time that runs backwards stands still. */
#ifndef QP_QUIC_PACER_H
#define QP_QUIC_PACER_H

#include <quicpro/base.h>
#include <stdbool.h>

struct qp_pacer {
    uint64_t rate;         /* bytes a second; 0: everything may go */
    uint64_t burst;        /* bytes the bucket holds */
    int64_t tokens;        /* bytes; negative: a debt */
    uint64_t window;       /* initial congestion window, in bytes; 0: nothing is known yet */
    uint64_t cwnd;         /* as last told */
    uint64_t rtt;          /* as last told, ns */
    quicpro_tstamp filled; /* tokens are of this time */
    quicpro_tstamp sent;   /* the last time that bytes went */
    quicpro_tstamp told;
    bool fell;   /* cwnd did, once: not in the first slow start any more */
    bool capped; /* by max_rate: nothing goes faster, not even what begins anew */
};

/* Whether qp_pacer_update() should be told the present numbers: an eighth of a round trip is over.
 */
bool qp_pacer_is_due(const struct qp_pacer *pacer, quicpro_tstamp now);
/* cwnd and payload (of one datagram) in bytes, rtt: the smoothed one in ns, 0: not measured yet.
 * max_burst: datagrams. max_rate: bytes a second; 0: none. */
void qp_pacer_update(struct qp_pacer *pacer, uint64_t cwnd, uint64_t rtt, uint64_t payload,
                     uint64_t max_burst, uint64_t max_rate, quicpro_tstamp now);
/* Bytes that may go now; UINT64_MAX: as many as the congestion controller lets. */
uint64_t qp_pacer_allowance(struct qp_pacer *pacer, quicpro_tstamp now);
/* Whether one datagram that carries an acknowledgement may go although the bucket is empty: while
 * the debt is small, or when acknowledgements would be late. */
bool qp_pacer_may_owe(const struct qp_pacer *pacer, quicpro_tstamp now);
/* They went, allowed or not: an acknowledgement that could not wait leaves a debt. */
void qp_pacer_sent(struct qp_pacer *pacer, uint64_t bytes, quicpro_tstamp now);
/* When it is worth while to go on: half a bucket is there, and a timer for each packet saved; or,
 * if it owes an acknowledgement, when that would be late. */
quicpro_tstamp qp_pacer_release(const struct qp_pacer *pacer, bool owes);

#endif
