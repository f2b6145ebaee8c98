#include "quic/packet.h"

#include <string.h>

#include "base/hash.h"
#include "base/varint.h"

enum { VERSION_1 = 1 };

static uint32_t read_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void write_u32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

/* Length of a version 1 long-header packet whose type-specific part begins at `off`, with its
 * token; 0: broken. */
static size_t long_length(struct qp_packet *packet, const uint8_t *data, size_t len, size_t off)
{
    uint64_t value;
    if (packet->type == QP_PACKET_RETRY || packet->type == QP_PACKET_VERSION)
        return len;
    if (packet->type == QP_PACKET_INITIAL) { /* token length, token */
        size_t n = qp_varint_get(data + off, len - off, &value);
        if (n == 0 || value > len - off - n)
            return 0;
        packet->token = data + off + n;
        packet->token_len = (size_t)value;
        off += n + (size_t)value;
    }
    size_t n = qp_varint_get(data + off, len - off, &value);
    if (n == 0 || value > len - off - n)
        return 0;
    return off + n + (size_t)value;
}

static bool parse_long(struct qp_packet *packet, const uint8_t *data, size_t len)
{
    static const enum qp_packet_type type[] = {QP_PACKET_INITIAL, QP_PACKET_ZERO_RTT,
                                               QP_PACKET_HANDSHAKE, QP_PACKET_RETRY};
    if (len < 7)
        return false;
    packet->version = read_u32(data + 1);
    packet->dcid_len = data[5];
    packet->dcid = data + 6;
    if (len < 7u + packet->dcid_len)
        return false;
    packet->scid_len = data[6 + packet->dcid_len];
    packet->scid = data + 7 + packet->dcid_len;
    size_t off = 7u + packet->dcid_len + packet->scid_len;
    if (len < off)
        return false;
    if (packet->version == 0) {
        packet->type = QP_PACKET_VERSION;
    } else if (packet->version != VERSION_1) {
        packet->type = QP_PACKET_UNKNOWN;
        packet->len = len;
        return true; /* only the invariants hold: connection IDs may be longer than ours (RFC 8999)
                      */
    } else {
        packet->type = type[data[0] >> 4 & 3];
    }
    if (packet->dcid_len > QP_CID_MAX || packet->scid_len > QP_CID_MAX)
        return false;
    packet->len = long_length(packet, data, len, off);
    return packet->len != 0;
}

bool qp_packet_parse(struct qp_packet *packet, const uint8_t *data, size_t len,
                     size_t short_cid_len)
{
    *packet = (struct qp_packet){.len = len};
    if (len == 0)
        return false;
    if (data[0] & 0x80)
        return parse_long(packet, data, len);
    if (len < 1 + short_cid_len)
        return false;
    packet->type = QP_PACKET_SHORT;
    packet->dcid = data + 1;
    packet->dcid_len = (uint8_t)short_cid_len;
    return true;
}

size_t qp_packet_same_dcid(const uint8_t *data, size_t len, const struct qp_packet *first)
{
    size_t off = first->len;
    while (off < len) {
        struct qp_packet next;
        if (!qp_packet_parse(&next, data + off, len - off, first->dcid_len) ||
            next.dcid_len != first->dcid_len ||
            memcmp(next.dcid, first->dcid, first->dcid_len) != 0)
            return off;
        off += next.len;
    }
    return len;
}

size_t qp_packet_write_version(uint8_t *out, const struct qp_packet *packet, uint8_t random)
{
    size_t n = 0;
    /* "The value in the Unused field is set to an arbitrary value by the server." The fixed bit's
     * place is set so that multiplexers still take it for QUIC. */
    out[n++] = 0xc0 | (random & 0x3f);
    write_u32(out + n, 0);
    n += 4;
    out[n++] = packet->scid_len;
    memcpy(out + n, packet->scid, packet->scid_len);
    n += packet->scid_len;
    out[n++] = packet->dcid_len;
    memcpy(out + n, packet->dcid, packet->dcid_len);
    n += packet->dcid_len;
    /* A reserved version (0x?a?a?a?a) exercises the peer's tolerance (section 15). */
    uint32_t grease = 0x0a0a0a0a | (uint32_t)(random & 0xf0) << 24 | (uint32_t)(random & 0xf0) << 8;
    if (grease == packet->version)
        grease ^= 0x1000;
    write_u32(out + n, grease);
    write_u32(out + n + 4, VERSION_1);
    return n + 8;
}
