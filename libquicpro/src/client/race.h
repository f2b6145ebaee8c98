/* Happy Eyeballs (RFC 8305): which address of a host to try, and when. A function of answers, of
 * outcomes and of time: the caller resolves, connects and closes, and asks qp_race_next() until it
 * says -1, again at qp_race_due() and after everything it told.
 *
 *   qp_race_answer() -> qp_race_next() -> the caller starts it -> qp_race_failed()
 *                                                              -> qp_race_won(): close the others
 */
#ifndef QP_CLIENT_RACE_H
#define QP_CLIENT_RACE_H

#include <quicpro/base.h>

#include "client/dest.h"

enum {
    /* Addresses of one family that are looked at; a name with more spreads its load, and eight in
     * vain say enough. Bounds sockets and handshakes of one connection to 16. */
    QP_RACE_PER_FAMILY = 8,
    QP_RACE_MAX = 2 * QP_RACE_PER_FAMILY,
};
/* "Recommended to be 50 milliseconds" (section 8): how long an answer of the family that goes
 * second waits for the one that goes first. */
#define QP_RACE_RESOLUTION_DELAY (50 * QUICPRO_MILLISECOND)

struct qp_race {
    quicpro_tstamp attempt_delay;
    enum qp_family first, last; /* family to begin with; family of the last start */
    struct qp_race_queue {
        struct qp_dest dest[QP_RACE_PER_FAMILY];
        uint8_t count, started;
        bool pending;          /* the resolver has not answered */
    } queue[2];                /* IPv4, IPv6 */
    quicpro_tstamp hold_until; /* an answer waits for the preferred family; 0: none does */
    quicpro_tstamp next_at;    /* the next start, if none fails before */
    unsigned live, starts;
    bool remembered, over;
};

/* @param family         the only family to ask for; QP_FAMILY_ANY: both
 * @param first          the family that last led there; QP_FAMILY_ANY: not known, so IPv6
 * @param attempt_delay  ns between two starts ("Connection Attempt Delay", section 5) */
void qp_race_init(struct qp_race *race, enum qp_family family, enum qp_family first,
                  quicpro_tstamp attempt_delay);
/* What the resolver says for one family, once: 0 addresses for a failure, too. Sorts a copy of
 * dest, drops duplicates and what is too many. */
void qp_race_answer(struct qp_race *race, enum qp_family family, const struct qp_dest *dest,
                    size_t count, quicpro_tstamp now);
/* The address to start now; NULL: none. Owned by the race. */
const struct qp_dest *qp_race_next(struct qp_race *race, quicpro_tstamp now);
/* When qp_race_next() may have something although nothing happened; QUICPRO_FOREVER: never. */
quicpro_tstamp qp_race_due(const struct qp_race *race);
/* An attempt that was started came to nothing: the next need not wait any longer. */
void qp_race_failed(struct qp_race *race);
/* One has succeeded: nothing more is started. */
void qp_race_won(struct qp_race *race);
/* Nothing is under way and nothing can come any more: all have failed. */
bool qp_race_lost(const struct qp_race *race);

#endif
