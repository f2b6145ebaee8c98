#include "quic/derive.h"

#include <string.h>

#include <openssl/digest.h>
#include <openssl/hmac.h>

void qp_secret_extract(uint8_t out[QP_SECRET], const uint8_t *data, size_t len)
{
    static const char salt[] = "quicpro secret 1";
    unsigned out_len;
    HMAC(EVP_sha256(), salt, sizeof(salt) - 1, data, len, out, &out_len);
}

void qp_secret_derive(uint8_t out[QP_SECRET], const uint8_t secret[QP_SECRET], const char *purpose,
                      uint64_t number)
{
    uint8_t info[8 + 64];
    unsigned out_len;
    size_t len = strlen(purpose);
    for (int i = 0; i < 8; i++)
        info[i] = (uint8_t)(number >> (8 * (7 - i)));
    memcpy(info + 8, purpose, len);
    HMAC(EVP_sha256(), secret, QP_SECRET, info, 8 + len, out, &out_len);
}
