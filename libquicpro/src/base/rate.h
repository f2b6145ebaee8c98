/* So many a second, and as many at once after a pause: a token bucket that keeps no more than the
 * time at which it would be full again. */
#ifndef QP_BASE_RATE_H
#define QP_BASE_RATE_H

#include <quicpro/base.h>
#include <stdbool.h>

struct qp_rate {
    uint64_t per_second; /* 0: never; at most 10^9 */
    quicpro_tstamp full_at;
};

/* True if one more may be, and counts it. */
bool qp_rate_take(struct qp_rate *rate, quicpro_tstamp now);

#endif
