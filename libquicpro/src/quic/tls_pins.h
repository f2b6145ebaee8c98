/* Pinned keys: hashes of the SubjectPublicKeyInfo that a peer's certificates may have. */
#ifndef QP_QUIC_TLS_PINS_H
#define QP_QUIC_TLS_PINS_H

#include <stdbool.h>

#include <openssl/x509.h>

#include "quic/tls_args.h"

enum {
    QP_TLS_MAX_PINS = 32, /* the keys in use and those to come, of a few authorities */
    QP_TLS_PIN_BYTES = 32,
    QP_TLS_PIN_TEXT = 52, /* "sha256/", 44 characters, NUL */
};

struct qp_tls_pins {
    uint8_t hash[QP_TLS_MAX_PINS][QP_TLS_PIN_BYTES];
    size_t count; /* 0: every key will do */
};

/* Reads the option pins: "sha256/BASE64", also "sha256//BASE64" as curl writes it. 0; EVALUE */
int qp_tls_pins_init(struct qp_tls_pins *pins, const struct qp_tls_args *args);
bool qp_tls_pins_match(const struct qp_tls_pins *pins, const X509 *cert);
/* The pin of a certificate's key, as the option takes it; "" when out of memory. */
void qp_tls_pin_text(char out[QP_TLS_PIN_TEXT], const X509 *cert);

#endif
