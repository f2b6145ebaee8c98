/* Which numbers of a sequence were seen, where most come in order and a few are late: one past the
 * highest, and the ranges below it that are missing. Numbers that came cost nothing, so a sequence
 * of any length does; what is missing costs at most a range for each number. */
#ifndef QP_BASE_SEEN_H
#define QP_BASE_SEEN_H

#include <quicpro/base.h>

struct qp_seen_range {
    uint64_t from, to; /* to is not in it */
};
struct qp_seen {
    uint64_t top; /* one past the highest seen */
    struct qp_seen_range *missing;
    uint32_t count, capacity;
};

void qp_seen_done(struct qp_seen *seen);
/* 1: new, and seen from now on; 0: it was seen before; QUICPRO_ENOMEM */
int qp_seen_mark(struct qp_seen *seen, uint64_t number);

#endif
