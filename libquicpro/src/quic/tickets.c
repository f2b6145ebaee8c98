#include "quic/tickets.h"

#include <assert.h>
#include <string.h>
#include <threads.h>

#include <openssl/cipher.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha2.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/options.h"
#include "quic/engine.h"
#include "ticket/be.h"
#include "ticket/psk.h"

static_assert(QP_RING_NAME_BYTES == SSL_TICKET_KEY_NAME_LEN, "a ticket begins with its key's name");
static_assert(QP_TICKETS_CONTEXT_BYTES == SHA256_DIGEST_LENGTH, "the context is a hash");

/* BoringSSL hands out numbers of ex_data slots for the process: a fact about it, not state of ours.
 */
static int tickets_slot;
static void tickets_slot_init(void)
{
    tickets_slot = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

static int tickets_index(void)
{
    static once_flag once = ONCE_FLAG_INIT;
    call_once(&once, tickets_slot_init);
    return tickets_slot;
}

static struct qp_tickets *tickets_of(const SSL *ssl)
{
    return SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), tickets_index());
}

/* Encrypt-then-MAC with the keys of the ring; BoringSSL feeds them. 1: done; 2: done, and the
 * client should get a new ticket (a resumed handshake of TLS 1.3 always gives it some); 0: no
 * ticket, or none of ours, so the handshake is a full one; -1: fails. */
static int seal_or_open(SSL *ssl, uint8_t *name, uint8_t *iv, EVP_CIPHER_CTX *cipher, HMAC_CTX *mac,
                        int encrypt)
{
    const struct qp_tickets *tickets = tickets_of(ssl);
    struct qp_ring_key key;
    bool renew = false;
    if (tickets == NULL)
        return 0;
    if (encrypt ? !qp_ring_current(tickets->ring, tickets->now, &key)
                : !qp_ring_find(tickets->ring, tickets->now, name, &key, &renew))
        return 0;
    int ok = 1;
    if (encrypt) {
        memcpy(name, key.name, sizeof(key.name));
        ok = RAND_bytes(iv, EVP_CIPHER_iv_length(EVP_aes_256_cbc()));
    }
    ok = ok && EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key.cipher, iv, encrypt) &&
         HMAC_Init_ex(mac, key.mac, sizeof(key.mac), EVP_sha256(), NULL);
    qp_ring_key_done(&key);
    return !ok ? -1 : renew ? 2 : 1;
}

int qp_tickets_install(struct ssl_ctx_st *ctx, struct qp_tickets *tickets,
                       const struct qp_options *options)
{
    if (tickets == NULL) {
        SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
        SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
        return SSL_CTX_set_num_tickets(ctx, 0) ? 0 : QUICPRO_ENOMEM;
    }
    if (!SSL_CTX_set_ex_data(ctx, tickets_index(), tickets))
        return QUICPRO_ENOMEM;
    SSL_CTX_set_session_psk_dhe_timeout(ctx, (uint32_t)options->ticket_lifetime_sec);
    SSL_CTX_set_tlsext_ticket_key_cb(ctx, seal_or_open);
    return 0;
}

/* Whether this ClientHello may come with early data. */
static bool may_be_early(struct qp_tickets *tickets, const SSL_CLIENT_HELLO *hello)
{
    struct qp_flight flight;
    struct qp_ring_key key;
    struct qp_psk psk;
    const uint8_t *data;
    size_t len;
    bool renew;
    if (!SSL_early_callback_ctx_extension_get(hello, TLSEXT_TYPE_pre_shared_key, &data, &len) ||
        !qp_psk_parse(&psk, data, len) || psk.identity_len < QP_RING_NAME_BYTES ||
        hello->random_len != sizeof(flight.random))
        return false;
    /* A ticket that will not open brings no early data, and must not cost a place. */
    if (!qp_ring_find(tickets->ring, tickets->now, psk.identity, &key, &renew))
        return false;
    flight = (struct qp_flight){
        .binder = psk.binder, .binder_len = psk.binder_len, .key_made = key.made};
    qp_ring_key_done(&key);
    memcpy(flight.random, hello->random, sizeof(flight.random));
    return qp_register_strike(tickets->reg, &flight, tickets->now, tickets->wall) ==
           QP_REGISTER_FRESH;
}

void qp_tickets_look_at(const struct ssl_early_callback_ctx *hello)
{
    struct qp_tickets *tickets = tickets_of(hello->ssl);
    const uint8_t *data;
    size_t len;
    if (tickets == NULL || tickets->reg == NULL ||
        !SSL_early_callback_ctx_extension_get(hello, TLSEXT_TYPE_early_data, &data, &len))
        return;
    if (!may_be_early(tickets, hello))
        SSL_set_early_data_enabled(hello->ssl, 0);
}

void qp_tickets_context(uint8_t out[QP_TICKETS_CONTEXT_BYTES],
                        const struct qp_engine_params *params, const struct qp_options *options)
{
    /* The limits that RFC 9000 section 7.4.1 lists, then the settings of HTTP/3. */
    const uint64_t value[] = {
        params->active_connection_id_limit,
        params->initial_max_data_bytes,
        params->initial_max_stream_data_bidi_local_bytes,
        params->initial_max_stream_data_bidi_remote_bytes,
        params->initial_max_stream_data_uni_bytes,
        params->initial_max_streams_bidi,
        params->initial_max_streams_uni,
        params->dgram_recv_queue,
        params->disable_active_migration,
        options->max_field_section_bytes,
        options->qpack_max_table_bytes,
        options->qpack_blocked_streams,
    };
    uint8_t text[sizeof(value)], *at = text;
    for (size_t i = 0; i < sizeof(value) / sizeof(value[0]); i++)
        at = qp_be_put(at, value[i], 8);
    SHA256(text, sizeof(text), out);
}

int qp_tickets_bind(struct ssl_st *ssl, const uint8_t context[QP_TICKETS_CONTEXT_BYTES])
{
    return SSL_set_quic_early_data_context(ssl, context, QP_TICKETS_CONTEXT_BYTES) ? 0
                                                                                   : QUICPRO_ENOMEM;
}

/* When a session ends: its ticket does, or the certificate it was begun with. */
static uint64_t end_of(const SSL_SESSION *session)
{
    uint64_t end = SSL_SESSION_get_time(session) + SSL_SESSION_get_timeout(session);
    const X509 *cert = SSL_SESSION_get0_peer(session);
    int64_t not_after;
    if (cert == NULL || !ASN1_TIME_to_posix(X509_get0_notAfter(cert), &not_after))
        return end;
    return not_after < 0 ? 0 : (uint64_t)not_after < end ? (uint64_t)not_after : end;
}

/* The engine's bytes: length 8, TLS session, length 8, transport parameters. */
bool qp_tickets_describe(struct ssl_st *ssl, const uint8_t *engine, size_t len, uint64_t wall,
                         struct qp_blob *ret)
{
    if (len < 8 || len > QP_BLOB_MAX || qp_be_get(engine, 8) > len - 8)
        return false;
    SSL_SESSION *session =
        SSL_SESSION_from_bytes(engine + 8, (size_t)qp_be_get(engine, 8), SSL_get_SSL_CTX(ssl));
    ERR_clear_error();
    if (session == NULL)
        return false;
    *ret = (struct qp_blob){
        .early = SSL_SESSION_early_data_capable(session),
        .stored = wall,
        .expires = end_of(session),
        .engine = engine,
        .engine_len = len,
    };
    SSL_SESSION_free(session);
    return true;
}

static void hash_text(SHA256_CTX *hash, const char *text)
{
    SHA256_Update(hash, text, strlen(text) + 1);
}

static void hash_bytes(SHA256_CTX *hash, const struct qp_bytes *bytes)
{
    uint8_t len[8];
    qp_be_put(len, bytes->len, sizeof(len));
    SHA256_Update(hash, len, sizeof(len));
    SHA256_Update(hash, bytes->data, bytes->len);
}

void qp_tickets_policy(uint8_t out[32], const struct qp_options *options)
{
    /* Options of TLS that do not say who is trusted. All others count, so that a new one cannot be
     * forgotten. */
    static const char *const other[] = {
        "session_tickets",    "ticket_lifetime_sec",   "ticket_rotation_sec", "early_data",
        "early_data_flights", "session_cache_entries", "session_file",        "keylog_file",
    };
    const quicpro_option *option;
    SHA256_CTX hash;
    SHA256_Init(&hash);
    for (size_t row = 0; (option = quicpro_option_at(row)) != NULL; row++) {
        char text[32];
        bool counts =
            strcmp(option->group, "tls") == 0 && option->status == QUICPRO_OPTION_HONOURED;
        for (size_t i = 0; counts && i < sizeof(other) / sizeof(other[0]); i++)
            counts = strcmp(option->key, other[i]) != 0;
        if (!counts)
            continue;
        hash_text(&hash, option->key);
        hash_text(&hash, qp_options_get(options, row, text, sizeof(text)));
    }
    hash_bytes(&hash, &options->ca_data);   /* above only their lengths count */
    hash_bytes(&hash, &options->cert_data); /* who we are is what a session stands for, too */
    SHA256_Final(out, &hash);
}

enum qp_early qp_tickets_early(struct ssl_st *ssl)
{
    switch (SSL_get_early_data_reason(ssl)) {
    case ssl_early_data_accepted:
        return QP_EARLY_ACCEPTED;
    case ssl_early_data_unknown:
    case ssl_early_data_disabled:
    case ssl_early_data_no_session_offered:
    case ssl_early_data_unsupported_for_session:
    case ssl_early_data_protocol_version:
        return QP_EARLY_NONE;
    default:
        return QP_EARLY_REJECTED;
    }
}

const char *qp_tickets_early_reason(struct ssl_st *ssl)
{
    return SSL_early_data_reason_string(SSL_get_early_data_reason(ssl));
}
