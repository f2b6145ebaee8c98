/* What stands between strangers and a server: the rules of quic/admit.h with the counts, keys and
 * answers they need. */
#ifndef QP_LOOP_GUARD_H
#define QP_LOOP_GUARD_H

#include "base/hash.h"
#include "base/rate.h"
#include "base/tally.h"
#include "os/udp.h"
#include "quic/admit.h"
#include "quic/reset.h"
#include "quic/retry.h"
#include "quic/derive.h"

/* Keys of Retry tokens live this long, and as long again as the previous ones. */
#define QP_GUARD_ROTATION (3600 * QUICPRO_SECOND)

struct qp_guard {
    uint8_t secret[QP_SECRET]; /* a client has one, too: its IDs have reset tokens */
    uint8_t reset_key[QP_RESET_KEY_LEN];
    struct qp_retry_keys retry_keys;
    quicpro_tstamp rotate_at; /* 0: there are no keys yet */
    struct qp_rate resets;
    struct qp_tally neighbours; /* unfinished handshakes by prefix */
};

/* What the guard found out for the connection to be made. */
struct qp_guard_pass {
    uint8_t scid[QP_CID_LEN], reset_token[QP_RESET_TOKEN_LEN];
    struct qp_cid odcid; /* of a client that was sent a Retry; empty: of one that was not */
    uint64_t prefix;
};

struct qp_endpoint;
struct qp_link;
struct qp_port;

/* 0; QUICPRO_EVALUE: "secret_file" cannot be used (the loop's error says why). */
int qp_guard_init(struct qp_guard *guard, struct qp_endpoint *endpoint);
void qp_guard_done(struct qp_guard *guard);
/* Judges a datagram that belongs to no connection, answers it if that is the judgement, and counts.
 * True: a connection is to be made, as *pass says. */
bool qp_guard_admit(struct qp_port *port, const struct qp_udp_train *train,
                    const struct qp_packet *packet, size_t datagram_len, quicpro_tstamp now,
                    struct qp_guard_pass *pass);
/* A link of the server enters and leaves the handshake. */
void qp_guard_enter(struct qp_link *link, uint64_t prefix);
void qp_guard_leave(struct qp_link *link);

#endif
