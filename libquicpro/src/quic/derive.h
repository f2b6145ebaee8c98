/* Secrets of a server, from one that its workers and its next incarnation may share. */
#ifndef QP_QUIC_DERIVE_H
#define QP_QUIC_DERIVE_H

#include <stddef.h>
#include <stdint.h>

enum { QP_SECRET = 32 };

/* Any number of bytes to one secret (HKDF-Extract, RFC 5869). */
void qp_secret_extract(uint8_t out[QP_SECRET], const uint8_t *data, size_t len);
/* A secret for one purpose, and one of a series; knowing it tells nothing of others. */
void qp_secret_derive(uint8_t out[QP_SECRET], const uint8_t secret[QP_SECRET], const char *purpose,
                      uint64_t number);

#endif
