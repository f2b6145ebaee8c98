/* Counts in a loop's metrics what happens to its connections. */
#ifndef QP_LOOP_COUNT_H
#define QP_LOOP_COUNT_H

#include <quicpro/base.h>

#include "metrics/metrics.h"
#include "quic/admit.h"

struct qp_link;
struct quicpro_loop;

void qp_count_init(struct quicpro_loop *loop);
void qp_count_admit(struct quicpro_loop *loop, enum qp_admit verdict);
void qp_count_established(const struct qp_link *link, quicpro_tstamp now);
void qp_count_closed(const struct qp_link *link, int error);
void qp_count_response(struct quicpro_loop *loop, unsigned status);
/* What others count, and how many are open. */
void qp_count_publish(const struct quicpro_loop *loop);

#endif
