/* One certificate of ours with its chain and key, as it is shown to peers. */
#ifndef QP_QUIC_TLS_CERT_H
#define QP_QUIC_TLS_CERT_H

#include <stdbool.h>

#include <openssl/ssl.h>

#include "quic/tls_args.h"

struct qp_tls_cert {
    SSL_CREDENTIAL *plain;   /* NULL: none */
    SSL_CREDENTIAL *stapled; /* the same with an OCSP response; NULL: there is none to send */
    int64_t stapled_until;   /* when the response is stale, seconds since 1970 */
    bool stale;              /* it is, and the log was told */
};

/* What to show now. The log hears it when the response has become stale. */
SSL_CREDENTIAL *qp_tls_cert_now(struct qp_tls_cert *cert, int64_t now, const struct qp_log *log);

/* From the options cert_*, key_* and ocsp_file. 1; 0: no certificate is set; QUICPRO_ECERT;
 * QUICPRO_ENOMEM */
int qp_tls_cert_load(struct qp_tls_cert *ret, const struct qp_tls_args *args);
void qp_tls_cert_done(struct qp_tls_cert *cert);

#endif
