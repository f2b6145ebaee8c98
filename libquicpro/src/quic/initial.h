/* Packets that a server writes for clients it keeps nothing of: Initial packets sealed with the
 * keys that follow from a connection ID (RFC 9001 section 5.2), to refuse with a reason. */
#ifndef QP_QUIC_INITIAL_H
#define QP_QUIC_INITIAL_H

#include <quicpro/base.h>
#include <stdbool.h>

#include "quic/packet.h"

enum {
    QP_INITIAL_TAG = 16,
    QP_INITIAL_CLOSE_MAX = 64 + 2 * 20, /* bytes of a packet that qp_initial_close() writes */
};

/* Seals a packet in place: header_len bytes of header, the last pn_len (1 to 4) of them the packet
 * number, then payload_len bytes (at least 4 - pn_len), then room for QP_INITIAL_TAG. The length of
 * all of it; 0: BoringSSL failed (memory).
 * @param dcid    what the client chose first, or a Retry's SCID: the keys follow from it
 * @param server  whose keys */
size_t qp_initial_seal(uint8_t *packet, size_t header_len, size_t pn_len, size_t payload_len,
                       const uint8_t *dcid, size_t dcid_len, uint64_t pn, bool server);
/* A CONNECTION_CLOSE with a transport code that answers a client's Initial, from nobody: at most
 * QP_INITIAL_CLOSE_MAX bytes. Its length; 0 as above. */
size_t qp_initial_close(uint8_t *out, const struct qp_packet *packet, uint8_t code);

#endif
