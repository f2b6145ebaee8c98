/* The keys that seal session tickets (RFC 5077 section 4): one seals, the one before and the one
 * before that still open, and the next is there already, so that whoever turns a little later can
 * read what is sealed with it. A key seals for one period and opens for three.
 *
 * The ring lives in memory that its owner gives it. One writer turns it; readers take copies
 * without a lock, in other processes too, where the memory may be mapped read-only. A writer that
 * dies in the middle leaves a ring that readers find no key in: full handshakes, no wrong ones. */
#ifndef QP_TICKET_RING_H
#define QP_TICKET_RING_H

#include <quicpro/base.h>
#include <stdbool.h>

enum {
    QP_RING_NAME_BYTES = 16,
    QP_RING_KEYS = 4,
    QP_RING_SECRET_BYTES = QP_RING_NAME_BYTES + 32 + 32,
    /* Random bytes for the keys of one turn: after a long sleep, the next and the current. */
    QP_RING_FRESH_BYTES = 2 * QP_RING_SECRET_BYTES,
    QP_RING_BYTES = 48 + QP_RING_KEYS * (16 + QP_RING_SECRET_BYTES),
};

struct qp_ring_key {
    uint8_t name[QP_RING_NAME_BYTES]; /* in the ticket, in the clear */
    uint8_t cipher[32];               /* AES-256 */
    uint8_t mac[32];                  /* HMAC-SHA-256 */
    quicpro_tstamp made;
};

struct qp_ring;

/* A ring in QP_RING_BYTES of memory, aligned to 8. fresh: random, zeroed by its owner afterwards.
 */
struct qp_ring *qp_ring_init(void *memory, quicpro_tstamp period, quicpro_tstamp now,
                             const uint8_t fresh[QP_RING_FRESH_BYTES]);
/* The ring that another process made in the same memory; NULL: none of this version. */
const struct qp_ring *qp_ring_attach(const void *memory);
/* Zeroes the keys; readers find none. */
void qp_ring_done(struct qp_ring *ring);

/* When the ring is to be turned. */
quicpro_tstamp qp_ring_due(const struct qp_ring *ring);
/* Moves the keys on by as many periods as have passed and zeroes those that fall out. Does nothing
 * before it is due. */
void qp_ring_turn(struct qp_ring *ring, quicpro_tstamp now,
                  const uint8_t fresh[QP_RING_FRESH_BYTES]);

/* The key to seal with; false: none, seal nothing. A ring that nobody turned in time goes on with
 * its next key for one more period. */
bool qp_ring_current(const struct qp_ring *ring, quicpro_tstamp now, struct qp_ring_key *ret);
/* The key of that name, if it may still open; *ret_renew: it seals no more, so the client should
 * get a new ticket. */
bool qp_ring_find(const struct qp_ring *ring, quicpro_tstamp now,
                  const uint8_t name[QP_RING_NAME_BYTES], struct qp_ring_key *ret, bool *ret_renew);
/* Zeroes a copy. */
void qp_ring_key_done(struct qp_ring_key *key);

#endif
