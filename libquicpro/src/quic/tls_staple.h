/* A client's look at the OCSP response that a server stapled to its certificate (RFC 6066 section
 * 8, RFC 6960 section 3.2). */
#ifndef QP_QUIC_TLS_STAPLE_H
#define QP_QUIC_TLS_STAPLE_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether the response says, signed by the issuer or by whom the issuer let do it, that the
 * certificate is good now. If not, why, in words for people, cut at size.
 * @param der     NULL: there was none
 * @param issuer  as it was verified: the one above cert in the chain
 * @param now     seconds since 1970
 * @param revoked  set if it was all in order and says so */
bool qp_tls_staple_good(const uint8_t *der, size_t len, X509 *cert, X509 *issuer, int64_t now,
                        bool *revoked, char *words, size_t size);

#endif
