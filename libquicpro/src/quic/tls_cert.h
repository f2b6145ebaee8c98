/* One certificate of ours with its chain and key, as it is shown to peers. */
#ifndef QP_QUIC_TLS_CERT_H
#define QP_QUIC_TLS_CERT_H

#include <openssl/ssl.h>

#include "quic/tls.h"

struct qp_tls_cert {
    SSL_CREDENTIAL *plain; /* NULL: none */
};

/* From the options cert_* and key_*. 1; 0: no certificate is set; QUICPRO_ECERT; QUICPRO_ENOMEM */
int qp_tls_cert_load(struct qp_tls_cert *ret, const struct qp_tls_args *args);
void qp_tls_cert_done(struct qp_tls_cert *cert);

#endif
