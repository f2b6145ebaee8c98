/* How many of something each group has: open addressing, groups of none take no room, so that it is
 * as large as what is counted, which its owner bounds. Keyed, since peers choose their groups. */
#ifndef QP_BASE_TALLY_H
#define QP_BASE_TALLY_H

#include <quicpro/base.h>

struct qp_tally {
    struct qp_tally_slot {
        uint64_t group;
        uint32_t count; /* 0: free */
    } * slots;          /* a power of two; NULL while empty */
    size_t capacity, used;
    uint8_t key[16];
};

void qp_tally_init(struct qp_tally *tally, const uint8_t key[16]);
void qp_tally_done(struct qp_tally *tally);
uint32_t qp_tally_get(const struct qp_tally *tally, uint64_t group);
/* One more. 0; QUICPRO_ENOMEM: not counted. */
int qp_tally_add(struct qp_tally *tally, uint64_t group);
/* One less of a group that has some. */
void qp_tally_sub(struct qp_tally *tally, uint64_t group);

#endif
