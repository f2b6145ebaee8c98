/* Stateless resets (RFC 9000 section 10.3): a server that lost a connection, by a restart for
 * example, tells so by a token that only it could have given out. Tokens are a keyed function of
 * the connection ID, so that they are known again after everything else was forgotten. */
#ifndef QP_QUIC_RESET_H
#define QP_QUIC_RESET_H

#include <stddef.h>
#include <stdint.h>

#include "quic/cid.h"

enum {
    QP_RESET_TOKEN_LEN = 16,
    QP_RESET_KEY_LEN = 32,
    QP_RESET_MIN = 21, /* "at least 5 bytes" of random bits and the token */
    /* Long enough to look like a packet with a 20-byte ID and a short payload, no longer: a reset
     * tells nothing more, and an attacker gets less back than it sent. */
    QP_RESET_MAX = 43,
};

void qp_reset_token(uint8_t out[QP_RESET_TOKEN_LEN], const uint8_t key[QP_RESET_KEY_LEN],
                    const uint8_t cid[QP_CID_LEN]);
/* Writes a reset that answers a datagram of `received` bytes for `cid`. Smaller than that, so that
 * two endpoints that know nothing do not answer each other for ever (section 10.3.3). Its length;
 * 0: the datagram is too small to be answered.
 * @param random  QP_RESET_MAX bytes */
size_t qp_reset_write(uint8_t out[QP_RESET_MAX], size_t received,
                      const uint8_t key[QP_RESET_KEY_LEN], const uint8_t cid[QP_CID_LEN],
                      const uint8_t random[QP_RESET_MAX]);

#endif
