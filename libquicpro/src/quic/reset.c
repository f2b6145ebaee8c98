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
