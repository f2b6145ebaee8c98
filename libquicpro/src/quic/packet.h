/* What can be read of a QUIC packet before its keys are known (RFC 8999, RFC 9000 section 17). */
#ifndef QP_QUIC_PACKET_H
#define QP_QUIC_PACKET_H

#include <quicpro/base.h>
#include <stdbool.h>

enum qp_packet_type {
    QP_PACKET_INITIAL,
    QP_PACKET_ZERO_RTT,
    QP_PACKET_HANDSHAKE,
    QP_PACKET_RETRY,
    QP_PACKET_VERSION, /* version negotiation */
    QP_PACKET_SHORT,
    QP_PACKET_UNKNOWN, /* long header of a version that is not ours */
};

enum {
    QP_MIN_INITIAL = 1200,                /* RFC 9000 section 14.1 */
    QP_VERSION_MAX = 7 + 2 * 255 + 2 * 4, /* bytes of a Version Negotiation packet of ours */
};

struct qp_packet {
    enum qp_packet_type type;
    uint32_t version; /* long headers */
    const uint8_t *dcid, *scid;
    uint8_t dcid_len, scid_len; /* scid_len 0 for short headers */
    const uint8_t *token;       /* Initial */
    size_t token_len;
    size_t len; /* of this packet; the rest of the datagram may hold others (section 12.2) */
};

/* Reads the first packet of data. short_cid_len: length of our own connection IDs. False: not QUIC.
 */
bool qp_packet_parse(struct qp_packet *packet, const uint8_t *data, size_t len,
                     size_t short_cid_len);
/* Length of a datagram up to the first coalesced packet whose DCID differs from the first one's:
 * "Senders MUST NOT coalesce QUIC packets with different connection IDs into a single UDP datagram"
 * (section 12.2). len if there is none. */
size_t qp_packet_same_dcid(const uint8_t *data, size_t len, const struct qp_packet *first);
/* Writes a Version Negotiation packet that answers `packet` (section 17.2.1), whatever the length
 * of its IDs; out has room for QP_VERSION_MAX. random: one byte for the unused bits and the greased
 * version. Returns its length. */
size_t qp_packet_write_version(uint8_t *out, const struct qp_packet *packet, uint8_t random);

#endif
