/* Certificates and keys as bytes: PEM or DER, from a file or from memory. */
#ifndef QP_QUIC_TLS_PEM_H
#define QP_QUIC_TLS_PEM_H

#include <openssl/pool.h>
#include <openssl/x509.h>

#include "base/options.h"
#include "quic/tls_args.h"

struct qp_tls_source {
    const uint8_t *data;
    size_t len;
    uint8_t *owned;  /* malloc'd, zeroed when done: it may be a key */
    char name[4200]; /* how a message begins: "cert_file '/path'", "cert_data" */
};

/* The bytes of a pair of options, "cert" being cert_file and cert_data; data may be NULL: there is
 * no such option. 1; 0: neither is set; QUICPRO_ECERT: both are, or the file cannot be read */
int qp_tls_source_open(struct qp_tls_source *source, const struct qp_tls_args *args,
                       const char *option, const char *file, const struct qp_bytes *data);
void qp_tls_source_done(struct qp_tls_source *source);

/* Calls visit with each certificate, in order: other PEM blocks are passed over, DER ones follow
 * each other. Their number, or -1: not one, or bytes that are none; or what visit returned if that
 * is negative. */
int qp_tls_each_cert(const struct qp_tls_source *source,
                     int (*visit)(void *arg, CRYPTO_BUFFER *cert), void *arg);

/* The private key: PKCS#8, PKCS#1 or SEC1. NULL: *why says why. *encrypted: it needs the
 * passphrase.
 */
EVP_PKEY *qp_tls_read_key(const struct qp_tls_source *source, const struct qp_bytes *passphrase,
                          bool *encrypted, const char **why);

#endif
