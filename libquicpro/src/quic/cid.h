/* Connection IDs of ours: always 20 bytes, and any worker of a cluster can tell from one which
 * socket it belongs to. Layout (docs/design.md):
 *   b0       configuration (3 bits), 19 (5 bits: length that follows, as QUIC-LB counts)
 *   b1 b2    host id, 0 unset
 *   b3       slot ^ b6
 *   b4       (b3 + b7 + b8 + K) & 255, K from the cluster's secret
 *   b5..b19  random */
#ifndef QP_QUIC_CID_H
#define QP_QUIC_CID_H

#include <quicpro/base.h>
#include <stdbool.h>

enum { QP_CID_LEN = 20 };

struct qp_cid_layout {
    uint8_t config; /* 0..7 */
    uint16_t host;
    uint8_t slot;
    uint8_t k;
};

/* @param random  15 bytes for b5..b19 */
void qp_cid_make(uint8_t out[QP_CID_LEN], const struct qp_cid_layout *layout,
                 const uint8_t random[15]);
/* Slot of an ID that was made with k; false if it was not. */
bool qp_cid_slot(const uint8_t *cid, size_t len, uint8_t k, uint8_t *ret);

#endif
