/* Strike register: has this first flight been here before? It makes 0-RTT data "at most once"
 * (RFC 8446 section 8: "at most once per server instance"), which TLS leaves to its user.
 *
 * It lives in memory that its owner gives it, holds no pointers and no locks, and each flight is
 * one compare-and-swap: several threads or processes may strike at once, and one that dies in the
 * middle leaves nothing to repair.
 *
 * A slot is a word: when (20 bits), which flight (44 bits of a keyed hash). Time is counted in
 * windows; a flight is remembered during its window and the next one, so at least for one window's
 * length. Slots of older windows are free: nothing has to be swept. */
#ifndef QP_TICKET_REGISTER_H
#define QP_TICKET_REGISTER_H

#include <quicpro/base.h>
#include <stdbool.h>

enum {
    QP_REGISTER_HEAD_BYTES = 128,
    QP_REGISTER_MIN_BYTES = QP_REGISTER_HEAD_BYTES + 64 * 8,
};

/* BoringSSL takes 0-RTT data only if the ticket's age, as the client and as the server count it, is
 * the same to 60 s: a flight can be replayed for 120 s. The rest is for a wall clock set back. */
#define QP_REGISTER_WINDOW (150 * QUICPRO_SECOND)
#define QP_REGISTER_CLOCK_SLACK (20 * QUICPRO_SECOND)

enum qp_register_verdict {
    QP_REGISTER_FRESH, /* never seen: early data may be taken, once, by whoever got this answer */
    QP_REGISTER_SEEN,
    QP_REGISTER_FULL,      /* no place to remember it: it must count as seen */
    QP_REGISTER_TOO_YOUNG, /* the flight may have been here before the register was */
};

/* What makes a first flight one of its kind. Not its connection ID: a flight that met a Retry could
 * be replayed under the ID it had before. */
struct qp_flight {
    uint8_t random[32];    /* of the ClientHello */
    const uint8_t *binder; /* of its first pre-shared key; covers the whole ClientHello */
    size_t binder_len;
    /* When the key that sealed its ticket was made. A ticket younger than the register cannot have
     * been used before it, so a young register that made its keys with it serves at once. 0: not
     * known. */
    quicpro_tstamp key_made;
};

struct qp_register;

/* A register in bytes of memory (aligned to 8, at least QP_REGISTER_MIN_BYTES), which its owner
 * keeps mapped: the largest power of two of slots that fits. key: random.
 * @param wall  seconds of the wall clock since 1970
 * @return memory, or NULL if bytes are too few */
struct qp_register *qp_register_init(void *memory, size_t bytes, const uint8_t key[16],
                                     quicpro_tstamp now, uint64_t wall);
/* The register that another process made in the same memory; NULL: none of this version and size.
 */
struct qp_register *qp_register_attach(void *memory, size_t bytes);
/* Records a flight and tells whether it is the first of its kind. */
enum qp_register_verdict qp_register_strike(struct qp_register *reg, const struct qp_flight *flight,
                                            quicpro_tstamp now, uint64_t wall);
/* Verdicts given so far, by enum qp_register_verdict. */
void qp_register_counts(const struct qp_register *reg, uint64_t ret[4]);
size_t qp_register_capacity(const struct qp_register *reg);

#endif
