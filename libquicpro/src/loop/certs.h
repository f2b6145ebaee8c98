/* The certificates of a server or client: read, added to, read again when they change. */
#ifndef QP_LOOP_CERTS_H
#define QP_LOOP_CERTS_H

#include "loop/loop.h"

/* A TLS context from the options of an endpoint and the hosts that were added.
 * 0; an error of qp_tls_server_new() */
int qp_certs_new_tls(struct ssl_ctx_st **ret, struct qp_endpoint *endpoint);
void qp_certs_done(struct qp_certs *certs);

/* A certificate for a name, for handshakes from now on. */
int qp_certs_add(struct qp_endpoint *endpoint, const char *host, const quicpro_config *config);
/* Reads all files anew, for handshakes from now on. Whatever fails changes nothing. */
int qp_certs_reload(struct qp_endpoint *endpoint);

/* Begins to look at the files of a server, if its options say so. */
void qp_certs_watch(struct qp_endpoint *endpoint, quicpro_tstamp now);
/* Looks at those whose time has come. */
void qp_certs_look(struct quicpro_loop *loop, quicpro_tstamp now);

#endif
