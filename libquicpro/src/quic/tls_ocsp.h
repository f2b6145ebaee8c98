/* OCSP responses taken apart (RFC 6960): for a server, as much as one needs in order not to send a
 * stale one; for a client, what tls_staple.h judges. */
#ifndef QP_QUIC_TLS_OCSP_H
#define QP_QUIC_TLS_OCSP_H

#include <stddef.h>
#include <stdint.h>

#include <openssl/bytestring.h>

enum qp_tls_ocsp_status { QP_TLS_OCSP_GOOD, QP_TLS_OCSP_REVOKED, QP_TLS_OCSP_UNKNOWN };

struct qp_tls_ocsp {
    enum qp_tls_ocsp_status status;
    int64_t from, until; /* thisUpdate and nextUpdate, seconds since 1970 */
};

/* A BasicOCSPResponse; all of it points into the bytes it was read from. */
struct qp_tls_ocsp_response {
    CBS data;    /* tbsResponseData as it stands there: what is signed */
    CBS singles; /* of it, what qp_tls_ocsp_next() reads */
    CBS rest;    /* signatureAlgorithm, signature, certs: unread */
};

/* What is said of one certificate, and of which: CertID, its hash algorithm as a whole. */
struct qp_tls_ocsp_single {
    CBS algorithm, name_hash, key_hash, serial;
    struct qp_tls_ocsp says;
};

/* NULL; or why not, as the end of "ocsp_file ..." */
const char *qp_tls_ocsp_open(struct qp_tls_ocsp_response *ret, const uint8_t *der, size_t len);
/* The next of response->singles, of which there must be one. The same. */
const char *qp_tls_ocsp_next(struct qp_tls_ocsp_single *ret, struct qp_tls_ocsp_response *response);

/* What the response says of the certificate with that serial number: the contents of its INTEGER.
 * NULL; or why it says nothing, as above. */
const char *qp_tls_ocsp_read(struct qp_tls_ocsp *ret, const uint8_t *der, size_t len,
                             const uint8_t *serial, size_t serial_len);

#endif
