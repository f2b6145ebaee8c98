/* Whom a server lets in: everything that can be known before a connection is made. Pure rules, each
 * with its reason; research and other servers' accidents name them. */
#ifndef QP_QUIC_ADMIT_H
#define QP_QUIC_ADMIT_H

#include <quicpro/base.h>
#include <stdbool.h>

#include "quic/packet.h"
#include "quic/retry.h"

struct sockaddr;

/* What is to be done with a datagram that belongs to no connection. */
enum qp_admit {
    QP_ADMIT_ACCEPT,
    QP_ADMIT_RETRY,   /* prove your address first */
    QP_ADMIT_VERSION, /* Version Negotiation */
    QP_ADMIT_RESET,   /* a short header: a stateless reset */
    QP_ADMIT_TOKEN,   /* close with INVALID_TOKEN */
    /* Dropped. */
    QP_ADMIT_NO_SOURCE,     /* from a port or address that no client has */
    QP_ADMIT_NO_PACKET,     /* nothing that begins a connection, or too small */
    QP_ADMIT_NO_ROOM,       /* max_connections, or the server shuts down */
    QP_ADMIT_NO_HANDSHAKE,  /* max_handshakes */
    QP_ADMIT_NO_NEIGHBOURS, /* max_handshakes_per_prefix */
    QP_ADMIT_KINDS,
};

/* Words of the option "retry", in its order. */
enum qp_retry_mode { QP_RETRY_NEVER, QP_RETRY_AUTO, QP_RETRY_ALWAYS };

/* How full a server is. */
struct qp_admit_load {
    bool shutdown;
    uint64_t connections, max_connections;
    uint64_t handshakes, max_handshakes; /* unfinished */
    uint64_t neighbours, max_neighbours; /* unfinished ones of the client's prefix */
    uint64_t retry_handshakes;           /* from here on QP_RETRY_AUTO asks for proof */
    enum qp_retry_mode retry;
};

/* Whether an answer may go to peer: ports of services that would answer it in turn, and addresses
 * that are nobody's or everybody's are none of a client. local: where the datagram was sent to. */
bool qp_admit_source(const struct sockaddr *peer, const struct sockaddr *local);
/* By what the first packet of the datagram is: ACCEPT for a client's Initial. */
enum qp_admit qp_admit_packet(const struct qp_packet *packet, size_t datagram_len);
/* By how full it is. */
enum qp_admit qp_admit_load(const struct qp_admit_load *load, enum qp_token token);
/* The network a peer is counted with: its /24, or its /48 ("a /48 is what a site gets", RFC 6177);
 * 0: it is not counted, because the loopback's addresses are this machine's. */
uint64_t qp_admit_prefix(const struct sockaddr *peer);

#endif
