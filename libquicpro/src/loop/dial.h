/* How a client's link gets to its host: look-ups of both families, attempts that overlap (RFC
 * 8305), one of which the link ends up with.
 *
 * The link holds one attempt itself, in its own `conn` and `port`, so that a host with one address
 * costs nothing more; each further one has a link of its own, without a handle that anybody knows,
 * in `rivals`. Where another attempt than the link's own wins or is the last to live, the two links
 * swap what they hold: handle, streams and events stay where they are. */
#ifndef QP_LOOP_DIAL_H
#define QP_LOOP_DIAL_H

#include "client/family.h"
#include "client/race.h"
#include "os/resolve.h"
#include "quic/conn.h"

struct qp_link;

struct qp_dial {
    struct qp_race race;
    struct qp_lookup {
        struct qp_resolve *resolve; /* NULL: not asked, or answered */
        struct qp_resolve_result result;
        bool expired;
    } lookup[2]; /* IPv4, IPv6; a dest's tag is QP_RESOLVE_MAX times the index, plus the place */
    struct qp_attempt {
        struct qp_addr peer;
        bool failed;
        char why[96];
    } attempt[QP_RACE_MAX];
    unsigned attempts;
    struct qp_conn_close best; /* the end of a failed attempt that tells most */
    struct qp_link *rivals;    /* through next_rival */
    struct qp_family_cache *families;
    bool literal;
    quicpro_tstamp resolve_until;
};

/* Begins; link->target says where to. What is wrong is reported by an event. 0; QUICPRO_ENOMEM;
 * -EAGAIN: no thread for the resolver. */
int qp_dial_start(struct qp_link *link, struct qp_family_cache *families, quicpro_tstamp now);
/* Takes what resolvers have to say. */
void qp_dial_poll(struct qp_link *link, quicpro_tstamp now);
/* Starts what is due. False: there is no engine connection whose timers want to be looked at. */
bool qp_dial_on_timer(struct qp_link *link, quicpro_tstamp now);
quicpro_tstamp qp_dial_due(const struct qp_link *link);
/* The attempt in `link` has come through: the others are closed. Returns the link that has it now,
 * the one whose handle the user knows. */
struct qp_link *qp_dial_won(struct qp_link *link);
/* The attempt in `link` came to nothing. True: the race goes on, or has told its end; false: the
 * user's connection ends now, with *close, which then tells of all attempts. */
bool qp_dial_failed(struct qp_link *link, struct qp_conn_close *close, quicpro_tstamp now);
/* The same for an error of the socket; ends the connection itself when it was the last. */
void qp_dial_refused(struct qp_link *link, int error, quicpro_tstamp now);
/* Forgets everything but the link's own attempt; rivals are closed. */
void qp_dial_stop(struct qp_link *link);
/* A rival is about to be freed. */
void qp_dial_forget(struct qp_link *rival);

#endif
