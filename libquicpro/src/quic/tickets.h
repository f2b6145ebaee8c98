/* Session tickets of a server, and whether early data may come with them (RFC 8446 sections 2.2,
 * 4.6.1 and 8; RFC 9001 section 4.6). With the tls*.c files and devcert.c the only place that sees
 * BoringSSL. */
#ifndef QP_QUIC_TICKETS_H
#define QP_QUIC_TICKETS_H

#include <quicpro/base.h>
#include <stdbool.h>

#include "ticket/blob.h"
#include "ticket/register.h"
#include "ticket/ring.h"

struct ssl_ctx_st;
struct ssl_early_callback_ctx; /* BoringSSL's SSL_CLIENT_HELLO */
struct ssl_st;
struct qp_engine_params;
struct qp_options;

/* What the TLS contexts of one server share. Outlives them and their connections. */
struct qp_tickets {
    const struct qp_ring *ring;
    struct qp_register *reg; /* NULL: no early data */
    quicpro_tstamp now;      /* set before each datagram that may begin a handshake */
    uint64_t wall;           /* seconds since 1970 */
};

/* Makes a server's context seal and open tickets with the ring; tickets NULL: it does neither. The
 * context keeps the pointer. 0; QUICPRO_ENOMEM */
int qp_tickets_install(struct ssl_ctx_st *ctx, struct qp_tickets *tickets,
                       const struct qp_options *options);
/* Looks at a ClientHello: one that offers early data must be the first of its kind, else early data
 * is off for this handshake, and its client waits for the round trip. Called for each ClientHello
 * by the callback that selects the certificate. */
void qp_tickets_look_at(const struct ssl_early_callback_ctx *hello);

enum { QP_TICKETS_CONTEXT_BYTES = 32 };
/* What a server promised its clients for early data: "a server MUST NOT reduce any limits or alter
 * any values that might be violated by the client with its 0-RTT data" (RFC 9000 section 7.4.1),
 * and SETTINGS (RFC 9114 section 7.2.4.2). A hash of it binds each ticket to it. */
void qp_tickets_context(uint8_t out[QP_TICKETS_CONTEXT_BYTES],
                        const struct qp_engine_params *params, const struct qp_options *options);
/* Server: binds what comes early on this connection. 0; QUICPRO_ENOMEM */
int qp_tickets_bind(struct ssl_st *ssl, const uint8_t context[QP_TICKETS_CONTEXT_BYTES]);

/* Client: what a session's bytes, as the engine gives them, say about it. blob->engine is borrowed
 * from them. It expires with the server's certificate at the latest, which is not verified again
 * when a session is resumed. False: nothing to resume with. */
bool qp_tickets_describe(struct ssl_st *ssl, const uint8_t *engine, size_t len, uint64_t wall,
                         struct qp_blob *ret);
/* What decides whether a session may serve again: the options that say how peers are verified. */
void qp_tickets_policy(uint8_t out[32], const struct qp_options *options);

enum qp_early {
    QP_EARLY_NONE, /* not offered, or not known yet */
    QP_EARLY_ACCEPTED,
    QP_EARLY_REJECTED,
};
/* Once the handshake is done. */
enum qp_early qp_tickets_early(struct ssl_st *ssl);
/* Why early data was not accepted, in a word of BoringSSL, such as "ticket_age_skew". */
const char *qp_tickets_early_reason(struct ssl_st *ssl);

#endif
