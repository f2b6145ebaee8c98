/* The certificates of a server or client: what they are made from. */
#ifndef QP_LOOP_CERTS_H
#define QP_LOOP_CERTS_H

#include "loop/loop.h"

/* A TLS context from the options of an endpoint. 0; an error of qp_tls_server_new() */
int qp_certs_new_tls(struct ssl_ctx_st **ret, struct qp_endpoint *endpoint);

#endif
