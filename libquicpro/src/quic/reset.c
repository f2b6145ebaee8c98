#include "quic/reset.h"

#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <string.h>

void qp_reset_token(uint8_t out[QP_RESET_TOKEN_LEN], const uint8_t key[QP_RESET_KEY_LEN],
                    const uint8_t cid[QP_CID_LEN])
{
    uint8_t digest[SHA256_DIGEST_LENGTH] = {0};
    unsigned len = sizeof(digest);
    HMAC(EVP_sha256(), key, QP_RESET_KEY_LEN, cid, QP_CID_LEN, digest, &len);
    memcpy(out, digest, QP_RESET_TOKEN_LEN);
}

size_t qp_reset_write(uint8_t out[QP_RESET_MAX], size_t received,
                      const uint8_t key[QP_RESET_KEY_LEN], const uint8_t cid[QP_CID_LEN],
                      const uint8_t random[QP_RESET_MAX])
{
    if (received <= QP_RESET_MIN)
        return 0;
    const size_t len = received > QP_RESET_MAX ? QP_RESET_MAX : received - 1;
    memcpy(out, random, len);
    out[0] = 0x40 | (out[0] & 0x3f); /* a short header with its fixed bit */
    qp_reset_token(out + len - QP_RESET_TOKEN_LEN, key, cid);
    return len;
}
