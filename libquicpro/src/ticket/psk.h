/* What the strike register needs of a ClientHello's pre_shared_key extension (RFC 8446 section
 * 4.2.11). */
#ifndef QP_TICKET_PSK_H
#define QP_TICKET_PSK_H

#include <quicpro/base.h>
#include <stdbool.h>

/* Of the first identity: a server that takes early data takes it under this one (section 4.2.10).
 */
struct qp_psk {
    const uint8_t *identity; /* the ticket; borrowed */
    size_t identity_len;
    const uint8_t *binder; /* borrowed */
    size_t binder_len;     /* 32 to 255 */
};

/* @param data  the extension's body
 * @return false: malformed */
bool qp_psk_parse(struct qp_psk *ret, const uint8_t *data, size_t len);

#endif
