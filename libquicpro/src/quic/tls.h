/* TLS contexts and facts about a handshake. The tls*.c files and devcert.c are the only place that
 * sees BoringSSL. */
#ifndef QP_QUIC_TLS_H
#define QP_QUIC_TLS_H

#include <stdbool.h>

#include "quic/tls_args.h"

struct ssl_ctx_st;
struct ssl_st;

/* A context for servers (certificate and key from options) or clients (authorities).
 * 0; QUICPRO_ECERT; QUICPRO_EVALUE: an option that is not a file; QUICPRO_ENOMEM */
int qp_tls_server_new(struct ssl_ctx_st **ret, const struct qp_tls_args *args);
int qp_tls_client_new(struct ssl_ctx_st **ret, const struct qp_tls_args *args);
void qp_tls_free(struct ssl_ctx_st *ctx);

/* Server: another certificate, for clients that ask for a name or, "*.example", for one of its
 * kind. Of args only the options of a certificate count. 0; QUICPRO_ECERT; QUICPRO_EVALUE: not such
 * a name; QUICPRO_ENOMEM */
int qp_tls_add_host(struct ssl_ctx_st *ctx, const char *host, const struct qp_tls_args *args);

/* Frees what only the handshake needs as soon as it is done: over a KiB of each idle connection. */
void qp_tls_shed(struct ssl_st *ssl);
/* Client: name to ask for and to verify; a literal goes without SNI and is verified as an address
 * (RFC 6066 section 3, RFC 9110 section 4.3.5). 0; QUICPRO_EINVAL; QUICPRO_ENOMEM */
int qp_tls_set_host(struct ssl_st *ssl, const char *host);

/* tls_facts.c */
struct qp_tls_facts {
    char alpn[16], cipher[32], group[32];
};
void qp_tls_get_facts(struct ssl_st *ssl, struct qp_tls_facts *ret);
/* Certificate `index` of those that the peer sent, DER, owned by the connection; false: none. */
bool qp_tls_peer_cert(struct ssl_st *ssl, size_t index, const uint8_t **der, size_t *len);
/* The subject of the peer's own certificate (RFC 4514); "": it has none. */
void qp_tls_peer_subject(struct ssl_st *ssl, char *out, size_t size);

/* tls_verify.c: why our side refused the peer's certificate, in words; NULL if it did not. alert:
 * the one that was sent. Owned by the connection. */
const char *qp_tls_verify_error(struct ssl_st *ssl, unsigned alert);
/* Name of a TLS alert (RFC 8446 section 6), such as "bad certificate". */
const char *qp_tls_alert_text(unsigned alert);

#endif
