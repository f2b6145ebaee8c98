#include "quic/tls_pins.h"

#include <stdio.h>
#include <string.h>

#include <openssl/base64.h>
#include <openssl/mem.h>
#include <openssl/sha.h>

#include "base/options.h"

enum { BASE64_CHARS = 44 }; /* of 32 bytes */

/* One word of the list, len bytes. */
static bool parse(uint8_t hash[QP_TLS_PIN_BYTES], const char *text, size_t len)
{
    static const char prefix[] = "sha256/";
    uint8_t bytes[BASE64_CHARS];
    size_t n;
    if (len < sizeof(prefix) - 1 || memcmp(text, prefix, sizeof(prefix) - 1) != 0)
        return false;
    text += sizeof(prefix) - 1;
    len -= sizeof(prefix) - 1;
    if (len == BASE64_CHARS + 1 && text[0] == '/') { /* base64 may begin with one, too */
        text++;
        len--;
    }
    if (len != BASE64_CHARS ||
        !EVP_DecodeBase64(bytes, &n, sizeof(bytes), (const uint8_t *)text, len) ||
        n != QP_TLS_PIN_BYTES)
        return false;
    memcpy(hash, bytes, QP_TLS_PIN_BYTES);
    return true;
}

int qp_tls_pins_init(struct qp_tls_pins *pins, const struct qp_tls_args *args)
{
    const char *text = args->options->pins;
    pins->count = 0;
    while (*text != '\0') {
        const size_t len = strcspn(text, ",");
        if (pins->count == QP_TLS_MAX_PINS)
            return qp_tls_fail(args, QUICPRO_EVALUE, "pins: more than %d", QP_TLS_MAX_PINS);
        if (!parse(pins->hash[pins->count], text, len))
            return qp_tls_fail(args, QUICPRO_EVALUE,
                               "pins: '%.*s' is not sha256/ and 44 characters of base64",
                               len > 80 ? 80 : (int)len, text);
        pins->count++;
        text += len + (text[len] == ',');
    }
    return 0;
}

static bool hash_key(uint8_t hash[QP_TLS_PIN_BYTES], const X509 *cert)
{
    uint8_t *der = NULL;
    int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);
    if (len < 0)
        return false;
    SHA256(der, (size_t)len, hash);
    OPENSSL_free(der);
    return true;
}

bool qp_tls_pins_match(const struct qp_tls_pins *pins, const X509 *cert)
{
    uint8_t hash[QP_TLS_PIN_BYTES];
    if (!hash_key(hash, cert))
        return false;
    for (size_t i = 0; i < pins->count; i++)
        if (memcmp(pins->hash[i], hash, sizeof(hash)) == 0)
            return true;
    return false;
}

void qp_tls_pin_text(char out[QP_TLS_PIN_TEXT], const X509 *cert)
{
    uint8_t hash[QP_TLS_PIN_BYTES];
    out[0] = '\0';
    if (!hash_key(hash, cert))
        return;
    memcpy(out, "sha256/", 7);
    EVP_EncodeBlock((uint8_t *)out + 7, hash, sizeof(hash));
}
