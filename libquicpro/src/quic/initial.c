#include "quic/initial.h"

#include <string.h>

#include <openssl/aead.h>
#include <openssl/aes.h>
#include <openssl/digest.h>
#include <openssl/hkdf.h>
#include <openssl/mem.h>

enum { KEY_LEN = 16, IV_LEN = 12, SECRET_LEN = 32, SAMPLE_LEN = 16 };

struct keys {
    uint8_t key[KEY_LEN], iv[IV_LEN], hp[KEY_LEN];
};

/* HKDF-Expand-Label with an empty context (RFC 8446 section 7.1). */
static int expand(uint8_t *out, size_t len, const uint8_t secret[SECRET_LEN], const char *label)
{
    uint8_t info[32] = {0,   (uint8_t)len, (uint8_t)(6 + strlen(label)), 't', 'l', 's', '1',
                        '3', ' '};
    size_t n = 9 + strlen(label);
    memcpy(info + 9, label, strlen(label));
    info[n++] = 0;
    return HKDF_expand(out, len, EVP_sha256(), secret, SECRET_LEN, info, n);
}

/* RFC 9001 section 5.2 */
static int make_keys(struct keys *keys, const uint8_t *dcid, size_t dcid_len, bool server)
{
    static const uint8_t salt[20] = {0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17,
                                     0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a};
    uint8_t initial[SECRET_LEN], secret[SECRET_LEN];
    size_t len;
    return HKDF_extract(initial, &len, EVP_sha256(), dcid, dcid_len, salt, sizeof(salt)) &&
           expand(secret, sizeof(secret), initial, server ? "server in" : "client in") &&
           expand(keys->key, KEY_LEN, secret, "quic key") &&
           expand(keys->iv, IV_LEN, secret, "quic iv") &&
           expand(keys->hp, KEY_LEN, secret, "quic hp");
}

size_t qp_initial_seal(uint8_t *packet, size_t header_len, size_t pn_len, size_t payload_len,
                       const uint8_t *dcid, size_t dcid_len, uint64_t pn, bool server)
{
    struct keys keys;
    EVP_AEAD_CTX aead;
    AES_KEY hp;
    uint8_t mask[SAMPLE_LEN];
    uint8_t *payload = packet + header_len, *number = payload - pn_len;
    size_t sealed = 0;
    if (!make_keys(&keys, dcid, dcid_len, server) ||
        !EVP_AEAD_CTX_init(&aead, EVP_aead_aes_128_gcm(), keys.key, KEY_LEN, QP_INITIAL_TAG, NULL))
        return 0;
    for (size_t i = 0; i < 8; i++) /* section 5.3: the nonce is the IV xor the packet number */
        keys.iv[IV_LEN - 1 - i] ^= (uint8_t)(pn >> (8 * i));
    int ok = EVP_AEAD_CTX_seal(&aead, payload, &sealed, payload_len + QP_INITIAL_TAG, keys.iv,
                               IV_LEN, payload, payload_len, packet, header_len) &&
             AES_set_encrypt_key(keys.hp, 8 * KEY_LEN, &hp) == 0;
    EVP_AEAD_CTX_cleanup(&aead);
    if (!ok)
        return 0;
    AES_encrypt(number + 4, mask, &hp); /* section 5.4.2: as if the packet number had 4 bytes */
    packet[0] ^= mask[0] & 0x0f;
    for (size_t i = 0; i < pn_len; i++)
        number[i] ^= mask[1 + i];
    return header_len + sealed;
}

size_t qp_initial_close(uint8_t *out, const struct qp_packet *packet, uint8_t code)
{
    enum { PN_LEN = 1 };
    /* CONNECTION_CLOSE: code, type of the frame at fault (none), length of the reason (RFC 9000
     * section 19.19). */
    const uint8_t frame[] = {0x1c, code, 0, 0};
    size_t n = 0;
    out[n++] = 0xc0 | (PN_LEN - 1);
    memcpy(out + n, "\0\0\0\1", 4);
    n += 4;
    out[n++] = packet->scid_len;
    memcpy(out + n, packet->scid, packet->scid_len);
    n += packet->scid_len;
    out[n++] = packet->dcid_len; /* the connection that is not made would have had it */
    memcpy(out + n, packet->dcid, packet->dcid_len);
    n += packet->dcid_len;
    out[n++] = 0; /* no token */
    out[n++] = PN_LEN + sizeof(frame) + QP_INITIAL_TAG;
    out[n++] = 0; /* packet number */
    memcpy(out + n, frame, sizeof(frame));
    return qp_initial_seal(out, n, PN_LEN, sizeof(frame), packet->dcid, packet->dcid_len, 0, true);
}
