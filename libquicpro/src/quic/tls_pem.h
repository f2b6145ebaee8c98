/* Certificates and keys as bytes: PEM or DER, from a file or from memory. */
#ifndef QP_QUIC_TLS_PEM_H
#define QP_QUIC_TLS_PEM_H

#include <openssl/pool.h>
#include <openssl/x509.h>

#include "quic/tls.h"

struct qp_tls_source {
    const uint8_t *data;
    size_t len;
    uint8_t *owned;  /* malloc'd, zeroed when done: it may be a key */
    char name[4200]; /* how a message begins: "cert_file '/path'" */
};

/* Reads the file that an option names. 1; 0: the option is not set; QUICPRO_ECERT */
int qp_tls_source_open(struct qp_tls_source *source, const struct qp_tls_args *args,
                       const char *option, const char *file);
void qp_tls_source_done(struct qp_tls_source *source);

/* Calls visit with each certificate, in order: other PEM blocks are passed over, DER ones follow
 * each other. Their number, or -1: not one, or bytes that are none; or what visit returned if that
 * is negative. */
int qp_tls_each_cert(const struct qp_tls_source *source,
                     int (*visit)(void *arg, CRYPTO_BUFFER *cert), void *arg);

/* The private key: PKCS#8, PKCS#1 or SEC1. NULL: *why says why, *encrypted whether that was in the
 * way. passphrase may be NULL. */
EVP_PKEY *qp_tls_read_key(const struct qp_tls_source *source, const char *passphrase,
                          bool *encrypted, const char **why);

#endif
