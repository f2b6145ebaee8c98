/* Stateless reset tokens (RFC 9000 section 10.3.2): a keyed function of the connection ID, so that
 * they are known again after everything else was forgotten. */
#ifndef QP_QUIC_RESET_H
#define QP_QUIC_RESET_H

#include <stdint.h>

#include "quic/cid.h"

enum { QP_RESET_TOKEN_LEN = 16, QP_RESET_KEY_LEN = 32 };

void qp_reset_token(uint8_t out[QP_RESET_TOKEN_LEN], const uint8_t key[QP_RESET_KEY_LEN],
                    const uint8_t cid[QP_CID_LEN]);

#endif
