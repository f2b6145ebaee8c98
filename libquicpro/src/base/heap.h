/* Timers: a 4-ary heap of nodes embedded in their owners. */
#ifndef QP_BASE_HEAP_H
#define QP_BASE_HEAP_H

#include <quicpro/base.h>

struct qp_timer {
    quicpro_tstamp at; /* QUICPRO_FOREVER: not set */
    uint32_t pos;      /* 1 + place in the heap; 0: not in it */
};
struct qp_heap {
    struct qp_timer **nodes;
    uint32_t count, capacity;
};

void qp_heap_done(struct qp_heap *heap);
/* Puts, moves or (QUICPRO_FOREVER) removes. 0; QUICPRO_ENOMEM: unchanged. */
int qp_heap_set(struct qp_heap *heap, struct qp_timer *timer, quicpro_tstamp at);
/* Earliest one, or NULL. */
struct qp_timer *qp_heap_first(const struct qp_heap *heap);

#endif
