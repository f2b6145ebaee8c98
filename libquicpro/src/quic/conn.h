/* One QUIC connection: the engine's, with what we know of how it began and how it ended. A function
 * of datagrams and time; it owns no socket. */
#ifndef QP_QUIC_CONN_H
#define QP_QUIC_CONN_H

#include <quicpro/base.h>
#include <stdbool.h>

#include "quic/cid.h"
#include "quic/engine.h"

struct sockaddr;

/* What connections of one server or client have in common. */
struct qp_conn_factory {
    const struct qp_engine_ops *engine;
    qp_engine_config *config;
    struct ssl_ctx_st *tls;
    uint8_t early_context[32]; /* server: see qp_tickets_context() */
};

struct qp_conn {
    const struct qp_engine_ops *engine;
    qp_engine_conn *impl;
    uint8_t scid[QP_CID_LEN];
    bool server;
    bool http3;           /* codes of the application are those of RFC 9114 */
    struct qp_qlog *qlog; /* its owner's; NULL: none is written */
    bool closed_here;     /* by qp_conn_close(): no protocol error even if a code was given */
    int first_error; /* first QUICPRO_E... of qp_conn_recv(): tells what the engine's code does not
                      */
};

/* How a connection ended. */
struct qp_conn_close {
    int error;     /* 0 or a QUICPRO_E... code */
    uint64_t code; /* on the wire */
    bool app, remote;
    char text[2048]; /* one line for people; room for all addresses of a host */
};

struct qp_options;

/* Takes nothing of options but values. tls is moved to the factory on success. */
int qp_conn_factory_init(struct qp_conn_factory *factory, const struct qp_engine_ops *engine,
                         const struct qp_options *options, struct ssl_ctx_st *tls);
void qp_conn_factory_done(struct qp_conn_factory *factory);

/* Server and client ends; ids->scid has QP_CID_LEN bytes. host: see qp_tls_set_host().
 * 0; QUICPRO_EENGINE; QUICPRO_EINVAL */
int qp_conn_accept(struct qp_conn *conn, struct qp_conn_factory *factory,
                   const struct qp_engine_ids *ids, const struct sockaddr *local,
                   const struct sockaddr *peer);
int qp_conn_connect(struct qp_conn *conn, struct qp_conn_factory *factory,
                    const struct qp_engine_ids *ids, const struct sockaddr *local,
                    const struct sockaddr *peer, const char *host);
void qp_conn_done(struct qp_conn *conn);

/* Feeds a train of datagrams (RFC 9000 section 5.2). */
void qp_conn_recv(struct qp_conn *conn, uint8_t *data, size_t len, size_t segment,
                  const struct sockaddr *local, const struct sockaddr *peer);
/* Closes with an application code (app) or a transport code, because we want to. */
void qp_conn_close(struct qp_conn *conn, bool app, uint64_t code, const char *reason);
/* The same because the peer left us no choice: counts as an error. */
void qp_conn_fail(struct qp_conn *conn, bool app, uint64_t code, const char *reason);
/* Why it ended; only meaningful once closing, draining or closed. */
void qp_conn_get_close(const struct qp_conn *conn, struct qp_conn_close *ret);

#endif
