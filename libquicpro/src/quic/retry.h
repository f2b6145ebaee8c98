/* Address validation by Retry (RFC 9000 section 8.1.2): a client proves that it receives at its
 * address before it costs anything. The token carries all there is to know, sealed:
 *
 *   0       1 (format)
 *   1       number of the key
 *   2..13   nonce
 *   14..    AES-128-GCM-SIV of: time of issue (8 bytes), the Retry's SCID (20), length of the
 *           original DCID (1), the original DCID; with bytes 0 and 1 and the client's address and
 *           port as additional data
 *
 * GCM-SIV, because nonces are drawn by workers that share a key and do not talk to each other. */
#ifndef QP_QUIC_RETRY_H
#define QP_QUIC_RETRY_H

#include <quicpro/base.h>
#include <stdbool.h>

#include "base/hash.h"
#include "quic/cid.h"
#include "quic/packet.h"

enum {
    QP_RETRY_KEY = 16,
    QP_RETRY_NONCE = 12,
    QP_RETRY_TOKEN_MAX = 2 + QP_RETRY_NONCE + 8 + QP_CID_LEN + 1 + QP_CID_MAX + 16,
    QP_RETRY_MAX = 7 + 2 * QP_CID_MAX + QP_RETRY_TOKEN_MAX + 16, /* bytes of a Retry packet */
};
/* How long a token counts: a client answers a Retry at once, so this is a few retransmissions of
 * it. "Servers SHOULD ensure that tokens sent in Retry packets are only accepted for a short time"
 * (section 8.1.3). */
#define QP_RETRY_LIFETIME (10 * QUICPRO_SECOND)

/* The key in use and the one before, so that a change disturbs nobody. */
struct qp_retry_keys {
    struct qp_retry_key {
        uint8_t key[QP_RETRY_KEY], number;
        bool set;
    } current, previous;
};

/* A key for new tokens; the one before counts on, older ones no more. number: any that differs from
 * the last; workers that share keys number them alike. */
void qp_retry_rotate(struct qp_retry_keys *keys, const uint8_t key[QP_RETRY_KEY], uint8_t number);

struct sockaddr;

/* What a token is bound to, as bytes. */
struct qp_retry_address {
    uint8_t data[19]; /* family, port, address */
    uint8_t len;
};
struct qp_retry_address qp_retry_address(const struct sockaddr *peer);

enum qp_token {
    QP_TOKEN_NONE, /* none of ours: as if there were none (section 8.1.3) */
    QP_TOKEN_VALID,
    QP_TOKEN_INVALID, /* from a Retry, but not now, not from there, or not whole */
};

/* Seals a token into out; its length, 0: BoringSSL failed (memory), or there is no key. */
size_t qp_retry_token(uint8_t out[QP_RETRY_TOKEN_MAX], const struct qp_retry_keys *keys,
                      const struct qp_retry_address *address, const uint8_t *odcid,
                      size_t odcid_len, const uint8_t scid[QP_CID_LEN],
                      const uint8_t nonce[QP_RETRY_NONCE], quicpro_tstamp now);
/* Reads the token of an Initial packet with the connection ID dcid. odcid: written if it is valid.
 */
enum qp_token qp_retry_check(const struct qp_retry_keys *keys,
                             const struct qp_retry_address *address, const uint8_t *token,
                             size_t token_len, const uint8_t *dcid, size_t dcid_len,
                             quicpro_tstamp now, struct qp_cid *odcid);
/* Writes a Retry packet that answers `packet` (section 17.2.5, RFC 9001 section 5.8). Its length; 0
 * as above. */
size_t qp_retry_write(uint8_t out[QP_RETRY_MAX], const struct qp_packet *packet,
                      const uint8_t *scid, size_t scid_len, const uint8_t *token, size_t token_len);

#endif
