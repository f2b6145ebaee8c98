/* Resumption on a loop: a server's ticket keys and strike register, a client's sessions in memory
 * or in a file. */
#ifndef QP_LOOP_RESUME_H
#define QP_LOOP_RESUME_H

#include <quicpro/base.h>
#include <stdbool.h>

#include "quic/tickets.h"
#include "ticket/store.h"

struct qp_endpoint;
struct qp_link;
struct ssl_ctx_st;

struct qp_resume {
    /* Server. */
    struct qp_tickets tickets; /* .ring is NULL: tickets are off */
    struct qp_ring *ring;      /* in the vault, with the register behind it */
    void *vault;
    size_t vault_bytes;
    /* Client. */
    struct qp_store store; /* what is not in a file */
    uint8_t policy[32];
    bool file_failed; /* said so once */
};

/* After the endpoint's options are there. 0; QUICPRO_EVALUE: "session_file" cannot be used (the
 * loop's error says why); QUICPRO_ENOMEM */
int qp_resume_init(struct qp_endpoint *endpoint);
void qp_resume_done(struct qp_endpoint *endpoint);
/* Makes a TLS context of the endpoint use all this. 0; QUICPRO_ENOMEM */
int qp_resume_install(struct qp_endpoint *endpoint, struct ssl_ctx_st *ctx);

/* Server: turns the keys if it is time; before datagrams are fed. */
void qp_resume_tick(struct qp_endpoint *endpoint, quicpro_tstamp now);

/* Client: takes a session for the link's target, if there is one, and offers it on the connection
 * just made. */
void qp_resume_offer(struct qp_link *link);
/* Client: keeps the session that the server has sent meanwhile; at the end of a connection also the
 * one it sent last. */
void qp_resume_keep(struct qp_link *link, bool at_end);

#endif
