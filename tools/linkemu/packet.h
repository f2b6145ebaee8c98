/* IP packets as the emulator sees them: who talks, and what of it is a UDP datagram. */
#ifndef LINKEMU_PACKET_H
#define LINKEMU_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct emu_packet {
    uint8_t *source;      /* address, in the packet */
    uint8_t *destination; /* the same */
    uint8_t *udp;         /* UDP header, in the packet */
    uint8_t *payload;
    size_t payload_len;
    size_t address_len; /* 4 or 16 */
};

/* Finds the parts of an unfragmented UDP datagram in IPv4 or IPv6. False: it is something else. */
bool emu_packet_parse(struct emu_packet *packet, uint8_t *data, size_t len);

uint16_t emu_source_port(const struct emu_packet *packet);
uint16_t emu_destination_port(const struct emu_packet *packet);
void emu_set_source_port(struct emu_packet *packet, uint16_t port);
void emu_set_destination_port(struct emu_packet *packet, uint16_t port);

/* After any change: the header's checksum (IPv4) and UDP's, so that the kernel behind delivers what
 * was changed on purpose. */
void emu_packet_seal(struct emu_packet *packet);

#endif
