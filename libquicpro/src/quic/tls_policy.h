/* Which key exchange groups and ciphers are offered and taken, by name. */
#ifndef QP_QUIC_TLS_POLICY_H
#define QP_QUIC_TLS_POLICY_H

#include <openssl/ssl.h>

#include "quic/tls_args.h"

/* From the options groups and ciphers. 0; QUICPRO_EVALUE: a name that is not known or comes twice
 */
int qp_tls_policy_init(SSL_CTX *ctx, const struct qp_tls_args *args);

#endif
