/* Why a certificate was not accepted, in words for people. */
#ifndef QP_QUIC_TLS_WORDS_H
#define QP_QUIC_TLS_WORDS_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct qp_tls_refusal {
    int error;        /* X509_V_ERR_... */
    const X509 *leaf; /* the peer's own */
    const X509 *cert; /* the one it is about; may be NULL */
    const char *host; /* what the peer should be; NULL: nothing in particular */
    int64_t now;      /* seconds since 1970 */
    int depth;        /* certificates between leaf and authority that are allowed */
    bool client;      /* the peer is a client */
};

/* Such as "certificate expired 3 days ago". Bytes of the peer are escaped. Cut at size. */
void qp_tls_words(char *out, size_t size, const struct qp_tls_refusal *refusal);

/* "CN=example,O=Example Ltd" (RFC 4514), cut at size. */
void qp_tls_name_text(char *out, size_t size, const X509_NAME *name);
/* "3 days": a length of time in its largest unit. */
void qp_tls_span_text(char *out, size_t size, int64_t seconds);

#endif
