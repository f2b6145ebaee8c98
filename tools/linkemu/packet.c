/* Headers of IPv4 (RFC 791), IPv6 (RFC 8200) and UDP (RFC 768). */
#include "packet.h"

enum { IP4_MIN = 20, IP6_LEN = 40, UDP_LEN = 8, PROTO_UDP = 17 };

static uint16_t get16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static void put16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

bool emu_packet_parse(struct emu_packet *packet, uint8_t *data, size_t len)
{
    size_t header, total;
    if (len >= IP4_MIN && data[0] >> 4 == 4) {
        header = (size_t)(data[0] & 15) * 4;
        total = get16(data + 2);
        /* More fragments, or an offset: the ports are not all here. */
        if (header < IP4_MIN || data[9] != PROTO_UDP || (get16(data + 6) & 0x3fff) != 0)
            return false;
        packet->source = data + 12;
        packet->destination = data + 16;
        packet->address_len = 4;
    } else if (len >= IP6_LEN && data[0] >> 4 == 6) {
        header = IP6_LEN;
        total = IP6_LEN + (size_t)get16(data + 4);
        if (data[6] != PROTO_UDP)
            return false;
        packet->source = data + 8;
        packet->destination = data + 24;
        packet->address_len = 16;
    } else {
        return false;
    }
    if (total > len || total < header + UDP_LEN)
        return false;
    packet->udp = data + header;
    size_t udp_len = get16(packet->udp + 4);
    if (udp_len < UDP_LEN || udp_len > total - header)
        return false;
    packet->payload = packet->udp + UDP_LEN;
    packet->payload_len = udp_len - UDP_LEN;
    return true;
}

uint16_t emu_source_port(const struct emu_packet *packet)
{
    return get16(packet->udp);
}

uint16_t emu_destination_port(const struct emu_packet *packet)
{
    return get16(packet->udp + 2);
}

void emu_set_source_port(struct emu_packet *packet, uint16_t port)
{
    put16(packet->udp, port);
}

void emu_set_destination_port(struct emu_packet *packet, uint16_t port)
{
    put16(packet->udp + 2, port);
}

static uint64_t add(uint64_t sum, const uint8_t *data, size_t len)
{
    for (size_t i = 0; i + 1 < len; i += 2)
        sum += get16(data + i);
    return len % 2 == 0 ? sum : sum + ((uint64_t)data[len - 1] << 8);
}

static uint16_t fold(uint64_t sum)
{
    while (sum >> 16 != 0)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

void emu_packet_seal(struct emu_packet *packet)
{
    const size_t udp_len = UDP_LEN + packet->payload_len;
    if (packet->address_len == 4) {
        uint8_t *ip = packet->source - 12;
        put16(ip + 10, 0);
        put16(ip + 10, fold(add(0, ip, (size_t)(packet->udp - ip))));
    }
    put16(packet->udp + 6, 0);
    uint64_t sum = add(0, packet->source, 2 * packet->address_len); /* both addresses */
    uint16_t checksum = fold(add(sum + PROTO_UDP + udp_len, packet->udp, udp_len));
    /* "If the computed checksum is zero, it is transmitted as all ones" (RFC 768). */
    put16(packet->udp + 6, checksum == 0 ? 0xffff : checksum);
}
