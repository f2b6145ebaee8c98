#include "quic/retry.h"

#include <netinet/in.h>
#include <string.h>

#include <openssl/aead.h>
#include <openssl/mem.h>

enum { FORMAT = 1, HEAD = 2, TAG = 16, FIXED = 8 + QP_CID_LEN + 1, AAD_MAX = HEAD + 19 };

void qp_retry_rotate(struct qp_retry_keys *keys, const uint8_t key[QP_RETRY_KEY], uint8_t number)
{
    keys->previous = keys->current;
    memcpy(keys->current.key, key, QP_RETRY_KEY);
    keys->current.number = number;
    keys->current.set = true;
}

struct qp_retry_address qp_retry_address(const struct sockaddr *peer)
{
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)peer;
    const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)peer;
    struct qp_retry_address ret = {.data[0] = (uint8_t)peer->sa_family};
    if (peer->sa_family == AF_INET6) {
        memcpy(ret.data + 1, &in6->sin6_port, 2);
        memcpy(ret.data + 3, &in6->sin6_addr, 16);
        ret.len = 19;
    } else {
        memcpy(ret.data + 1, &in->sin_port, 2);
        memcpy(ret.data + 3, &in->sin_addr, 4);
        ret.len = 7;
    }
    return ret;
}

static size_t make_aad(uint8_t out[AAD_MAX], const uint8_t head[HEAD],
                       const struct qp_retry_address *address)
{
    memcpy(out, head, HEAD);
    memcpy(out + HEAD, address->data, address->len);
    return HEAD + address->len;
}

static void write_u64(uint8_t *p, uint64_t v)
{
    for (int i = 7; i >= 0; i--, v >>= 8)
        p[i] = (uint8_t)v;
}

static uint64_t read_u64(const uint8_t *p)
{
    uint64_t v = 0;
    for (int i = 0; i < 8; i++)
        v = v << 8 | p[i];
    return v;
}

size_t qp_retry_token(uint8_t out[QP_RETRY_TOKEN_MAX], const struct qp_retry_keys *keys,
                      const struct qp_retry_address *address, const uint8_t *odcid,
                      size_t odcid_len, const uint8_t scid[QP_CID_LEN],
                      const uint8_t nonce[QP_RETRY_NONCE], quicpro_tstamp now)
{
    uint8_t plain[FIXED + QP_CID_MAX], aad[AAD_MAX];
    EVP_AEAD_CTX aead;
    size_t len = 0;
    if (!keys->current.set || !EVP_AEAD_CTX_init(&aead, EVP_aead_aes_128_gcm_siv(),
                                                 keys->current.key, QP_RETRY_KEY, TAG, NULL))
        return 0;
    out[0] = FORMAT;
    out[1] = keys->current.number;
    memcpy(out + HEAD, nonce, QP_RETRY_NONCE);
    write_u64(plain, now);
    memcpy(plain + 8, scid, QP_CID_LEN);
    plain[FIXED - 1] = (uint8_t)odcid_len;
    memcpy(plain + FIXED, odcid, odcid_len);
    size_t aad_len = make_aad(aad, out, address);
    int ok = EVP_AEAD_CTX_seal(&aead, out + HEAD + QP_RETRY_NONCE, &len,
                               QP_RETRY_TOKEN_MAX - HEAD - QP_RETRY_NONCE, nonce, QP_RETRY_NONCE,
                               plain, FIXED + odcid_len, aad, aad_len);
    EVP_AEAD_CTX_cleanup(&aead);
    return ok ? HEAD + QP_RETRY_NONCE + len : 0;
}

/* Opens a token that claims to be of `key`; the length of what was in it, 0: it is not. The compare
 * of its tag takes the same time wherever it differs. */
static size_t open_token(uint8_t plain[FIXED + QP_CID_MAX], const struct qp_retry_key *key,
                         const struct qp_retry_address *address, const uint8_t *token, size_t len)
{
    uint8_t aad[AAD_MAX];
    EVP_AEAD_CTX aead;
    size_t plain_len = 0;
    if (!key->set || key->number != token[1] ||
        !EVP_AEAD_CTX_init(&aead, EVP_aead_aes_128_gcm_siv(), key->key, QP_RETRY_KEY, TAG, NULL))
        return 0;
    size_t aad_len = make_aad(aad, token, address);
    int ok = EVP_AEAD_CTX_open(&aead, plain, &plain_len, FIXED + QP_CID_MAX, token + HEAD,
                               QP_RETRY_NONCE, token + HEAD + QP_RETRY_NONCE,
                               len - HEAD - QP_RETRY_NONCE, aad, aad_len);
    EVP_AEAD_CTX_cleanup(&aead);
    return ok ? plain_len : 0;
}

enum qp_token qp_retry_check(const struct qp_retry_keys *keys,
                             const struct qp_retry_address *address, const uint8_t *token,
                             size_t token_len, const uint8_t *dcid, size_t dcid_len,
                             quicpro_tstamp now, struct qp_cid *odcid)
{
    uint8_t plain[FIXED + QP_CID_MAX];
    /* Anything that does not look like ours may be another server's NEW_TOKEN: "If the token is
     * invalid, then the server SHOULD proceed as if the client did not have a validated address".
     */
    if (token_len < HEAD + QP_RETRY_NONCE + FIXED + TAG || token_len > QP_RETRY_TOKEN_MAX ||
        token[0] != FORMAT)
        return QP_TOKEN_NONE;
    size_t len = open_token(plain, &keys->current, address, token, token_len);
    if (len == 0)
        len = open_token(plain, &keys->previous, address, token, token_len);
    if (len < FIXED)
        return QP_TOKEN_INVALID;
    const quicpro_tstamp issued = read_u64(plain);
    if (issued > now || now - issued > QP_RETRY_LIFETIME || dcid_len != QP_CID_LEN ||
        CRYPTO_memcmp(plain + 8, dcid, QP_CID_LEN) != 0 || len != FIXED + (size_t)plain[FIXED - 1])
        return QP_TOKEN_INVALID;
    odcid->len = plain[FIXED - 1];
    memcpy(odcid->data, plain + FIXED, odcid->len);
    return QP_TOKEN_VALID;
}

size_t qp_retry_write(uint8_t out[QP_RETRY_MAX], const struct qp_packet *packet,
                      const uint8_t *scid, size_t scid_len, const uint8_t *token, size_t token_len)
{
    /* RFC 9001 section 5.8: keys that everybody knows; the tag tells a Retry from noise. */
    static const uint8_t key[16] = {0xbe, 0x0c, 0x69, 0x0b, 0x9f, 0x66, 0x57, 0x5a,
                                    0x1d, 0x76, 0x6b, 0x54, 0xe3, 0x68, 0xc8, 0x4e};
    static const uint8_t nonce[12] = {0x46, 0x15, 0x99, 0xd3, 0x5d, 0x63,
                                      0x2b, 0xf2, 0x23, 0x98, 0x25, 0xbb};
    uint8_t pseudo[1 + QP_CID_MAX + QP_RETRY_MAX];
    EVP_AEAD_CTX aead;
    size_t n = 0, tag_len = 0;
    out[n++] = 0xff; /* the lower four bits are unused */
    memcpy(out + n, "\0\0\0\1", 4);
    n += 4;
    out[n++] = packet->scid_len;
    memcpy(out + n, packet->scid, packet->scid_len);
    n += packet->scid_len;
    out[n++] = (uint8_t)scid_len;
    memcpy(out + n, scid, scid_len);
    n += scid_len;
    memcpy(out + n, token, token_len);
    n += token_len;
    pseudo[0] = packet->dcid_len;
    memcpy(pseudo + 1, packet->dcid, packet->dcid_len);
    memcpy(pseudo + 1 + packet->dcid_len, out, n);
    if (!EVP_AEAD_CTX_init(&aead, EVP_aead_aes_128_gcm(), key, sizeof(key), TAG, NULL))
        return 0;
    int ok = EVP_AEAD_CTX_seal(&aead, out + n, &tag_len, TAG, nonce, sizeof(nonce), NULL, 0, pseudo,
                               1 + (size_t)packet->dcid_len + n);
    EVP_AEAD_CTX_cleanup(&aead);
    return ok ? n + tag_len : 0;
}
