/* Packet protection (RFC 9001 section 5), so that what a fuzzer makes up gets behind the seal,
 * where no mutation of a sealed packet ever gets. AES-128-GCM with SHA-256. */
#ifndef SEAL_H
#define SEAL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/aead.h>
#include <openssl/aes.h>
#include <openssl/digest.h>
#include <openssl/hkdf.h>

enum { SEAL_SECRET = 32, SEAL_PN = 4, SEAL_TAG = 16 };

struct seal {
    uint8_t iv[12];
    EVP_AEAD_CTX aead;
    AES_KEY hp;
};

static inline void seal_require(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "seal: %s\n", what);
    abort();
}

/* HKDF-Expand-Label with an empty context (RFC 8446 section 7.1). */
static inline void seal_expand(uint8_t *out, size_t len, const uint8_t secret[SEAL_SECRET],
                               const char *label)
{
    uint8_t info[32] = {0,   (uint8_t)len, (uint8_t)(6 + strlen(label)), 't', 'l', 's', '1',
                        '3', ' '};
    size_t n = 9 + strlen(label);
    memcpy(info + 9, label, strlen(label));
    info[n++] = 0;
    seal_require(HKDF_expand(out, len, EVP_sha256(), secret, SEAL_SECRET, info, n), "HKDF_expand");
}

static inline void seal_init(struct seal *s, const uint8_t secret[SEAL_SECRET])
{
    uint8_t key[16], hp[16];
    seal_expand(key, sizeof(key), secret, "quic key");
    seal_expand(s->iv, sizeof(s->iv), secret, "quic iv");
    seal_expand(hp, sizeof(hp), secret, "quic hp");
    seal_require(
        EVP_AEAD_CTX_init(&s->aead, EVP_aead_aes_128_gcm(), key, sizeof(key), SEAL_TAG, NULL),
        "no AES-GCM");
    AES_set_encrypt_key(hp, 128, &s->hp);
}

static inline void seal_done(struct seal *s)
{
    EVP_AEAD_CTX_cleanup(&s->aead);
}

/* Seals what stands behind a header of head bytes, whose last SEAL_PN are room for the number; len
 * is at least SEAL_PN, and out has room for the tag. The packet's length. */
static inline size_t seal_packet(struct seal *s, uint8_t *out, size_t head, uint32_t number,
                                 size_t len)
{
    uint8_t nonce[12], mask[16], *pn = out + head - SEAL_PN;
    size_t sealed;
    memcpy(nonce, s->iv, sizeof(nonce));
    for (int i = 0; i < SEAL_PN; i++) {
        pn[i] = (uint8_t)(number >> (24 - 8 * i));
        nonce[8 + i] ^= pn[i];
    }
    seal_require(EVP_AEAD_CTX_seal(&s->aead, out + head, &sealed, len + SEAL_TAG, nonce,
                                   sizeof(nonce), out + head, len, out, head),
                 "cannot seal");
    AES_encrypt(pn + 4, mask, &s->hp);
    out[0] ^= mask[0] & (out[0] & 0x80 ? 0x0f : 0x1f);
    for (int i = 0; i < SEAL_PN; i++)
        pn[i] ^= mask[1 + i];
    return head + sealed;
}

#endif
