/* How a context looks at its peers' certificates. */
#ifndef QP_QUIC_TLS_VERIFY_H
#define QP_QUIC_TLS_VERIFY_H

#include <stdbool.h>

#include <openssl/ssl.h>

#include "quic/tls_args.h"

/* From the options verify_*, ca_*, client_auth, pins. 0; QUICPRO_ECERT; QUICPRO_EVALUE;
 * QUICPRO_ENOMEM */
int qp_tls_verify_init(SSL_CTX *ctx, const struct qp_tls_args *args, bool server);
/* Keeps the name that is verified, for the words. 0; QUICPRO_ENOMEM */
int qp_tls_verify_host(SSL *ssl, const char *host);

#endif
