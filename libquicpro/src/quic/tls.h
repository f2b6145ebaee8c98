/* TLS contexts and facts about a handshake; with devcert.c the only place that sees BoringSSL. */
#ifndef QP_QUIC_TLS_H
#define QP_QUIC_TLS_H

#include <quicpro/base.h>
#include <stdbool.h>

struct ssl_ctx_st;
struct ssl_st;
struct qp_options;

/* A context for servers (certificate and key from options) or clients (authorities). On failure
 * error holds one line that names the file and the reason.
 * 0; QUICPRO_ECERT; QUICPRO_EVALUE: alpn; QUICPRO_ENOMEM */
int qp_tls_server_new(struct ssl_ctx_st **ret, const struct qp_options *options, char *error,
                      size_t error_size);
int qp_tls_client_new(struct ssl_ctx_st **ret, const struct qp_options *options, char *error,
                      size_t error_size);
void qp_tls_free(struct ssl_ctx_st *ctx);

/* Frees what only the handshake needs as soon as it is done: over a KiB of each idle connection. */
void qp_tls_shed(struct ssl_st *ssl);
/* Client: name to ask for and to verify; a literal goes without SNI and is verified as an address
 * (RFC 6066 section 3, RFC 9110 section 4.3.5). 0; QUICPRO_EINVAL */
int qp_tls_set_host(struct ssl_st *ssl, const char *host);

struct qp_tls_facts {
    char alpn[16], cipher[32], group[32];
};
void qp_tls_get_facts(struct ssl_st *ssl, struct qp_tls_facts *ret);
/* Why our side refused the peer's certificate, in words; NULL if it did not. */
const char *qp_tls_verify_error(struct ssl_st *ssl);
/* Name of a TLS alert (RFC 8446 section 6), such as "bad certificate". */
const char *qp_tls_alert_text(unsigned alert);

#endif
