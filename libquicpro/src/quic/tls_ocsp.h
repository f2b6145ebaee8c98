/* As much of an OCSP response as one needs in order not to send a stale one (RFC 6960). Whether it
 * is authentic is for clients to judge: they know the authority. */
#ifndef QP_QUIC_TLS_OCSP_H
#define QP_QUIC_TLS_OCSP_H

#include <stddef.h>
#include <stdint.h>

enum qp_tls_ocsp_status { QP_TLS_OCSP_GOOD, QP_TLS_OCSP_REVOKED, QP_TLS_OCSP_UNKNOWN };

struct qp_tls_ocsp {
    enum qp_tls_ocsp_status status;
    int64_t from, until; /* thisUpdate and nextUpdate, seconds since 1970 */
};

/* What the response says of the certificate with that serial number: the contents of its INTEGER.
 * NULL; or why it says nothing, as the end of "ocsp_file ..." */
const char *qp_tls_ocsp_read(struct qp_tls_ocsp *ret, const uint8_t *der, size_t len,
                             const uint8_t *serial, size_t serial_len);

#endif
