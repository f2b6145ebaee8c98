/* What the tls*.c files share: a context of ours behind each SSL_CTX, and how they fail. */
#ifndef QP_QUIC_TLS_CONTEXT_H
#define QP_QUIC_TLS_CONTEXT_H

#include <openssl/ssl.h>

#include "base/log.h"
#include "base/options.h"
#include "quic/tls.h"
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

/* The context of a connection, or of an SSL_CTX. */
struct qp_tls_context *qp_tls_context_of(const SSL *ssl);
struct qp_tls_context *qp_tls_context_get(const SSL_CTX *ctx);

/* Writes the line for people, forgets what BoringSSL noted, returns code. */
__attribute__((format(printf, 3, 4))) int qp_tls_fail(const struct qp_tls_args *args, int code,
                                                      const char *format, ...);
/* The last reason BoringSSL gives, without its file names and numbers. */
const char *qp_tls_reason(void);

/* tls_verify.c: how a context looks at its peers' certificates. */
int qp_tls_verify_init(SSL_CTX *ctx, const struct qp_tls_args *args, bool server);
/* Keeps the name that is verified, for the words. 0; QUICPRO_ENOMEM */
int qp_tls_verify_host(SSL *ssl, const char *host);

#endif
