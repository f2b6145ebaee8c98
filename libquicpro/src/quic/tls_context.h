/* What the tls*.c files share: a context of ours behind each SSL_CTX, and how it is found. */
#ifndef QP_QUIC_TLS_CONTEXT_H
#define QP_QUIC_TLS_CONTEXT_H

#include <openssl/ssl.h>

#include "base/log.h"
#include "base/options.h"
#include "quic/tls_args.h"
#include "quic/tls_cert.h"
#include "quic/tls_hosts.h"
#include "quic/tls_pins.h"

enum { QP_TLS_MAX_ALPN = 128 }; /* bytes of all protocols on the wire: some ten usual names */

/* What the callbacks of a context need; freed with it, after the last connection that uses it. */
struct qp_tls_context {
    const struct qp_tls_env *env;
    const struct qp_log *log;
    uint8_t alpn[QP_TLS_MAX_ALPN]; /* wire format: length, bytes, ... (RFC 7301 section 3.1) */
    size_t alpn_len;
    int keylog_fd;             /* -1: none */
    struct qp_tls_cert cert;   /* a server's for names that are not among hosts; a client's */
    struct qp_tls_hosts hosts; /* a server's, by name */
    struct {
        bool chain; /* up to an authority; else only pins count */
        int depth;
        bool staple; /* a client's: the peer's certificate must bring a good OCSP response */
        struct qp_tls_pins pins;
    } verify;
};

/* A context for ctx, which frees it; NULL: no memory. */
struct qp_tls_context *qp_tls_context_new(SSL_CTX *ctx, const struct qp_tls_args *args);
/* The context of a connection, or of an SSL_CTX. */
struct qp_tls_context *qp_tls_context_of(const SSL *ssl);
struct qp_tls_context *qp_tls_context_get(const SSL_CTX *ctx);

#endif
