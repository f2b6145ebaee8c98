#include "quic/admit.h"

#include <netinet/in.h>
#include <string.h>

enum { MIN_CLIENT_DCID = 8 }; /* RFC 9000 section 7.2 */

/* UDP services that answer whatever they get, or amplify it: a datagram "from" them is a forgery
 * that wants our answer sent there (RFC 9000 section 21.5). 0 is no port at all. Sorted. */
static const uint16_t reflectors[] = {0,   7,   17,  19,  53,  69,   111,  123,  137,  138,
                                      161, 389, 427, 500, 520, 1900, 3702, 5353, 5355, 11211};

static bool is_reflector(uint16_t port)
{
    for (size_t i = 0; i < sizeof(reflectors) / sizeof(reflectors[0]); i++)
        if (reflectors[i] >= port)
            return reflectors[i] == port;
    return false;
}

/* "This" network, multicast, reserved and broadcast addresses (RFC 6890). */
static bool is_host_v4(const uint8_t addr[4])
{
    return addr[0] != 0 && addr[0] < 224;
}

static bool is_host_v6(const uint8_t addr[16])
{
    static const uint8_t none[16];
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (memcmp(addr, mapped, 12) == 0)
        return is_host_v4(addr + 12);
    return addr[0] != 0xff && memcmp(addr, none, 16) != 0;
}

static bool is_host(const struct sockaddr *sa)
{
    if (sa->sa_family == AF_INET6)
        return is_host_v6(((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr.s6_addr);
    return is_host_v4(
        (const uint8_t *)&((const struct sockaddr_in *)(const void *)sa)->sin_addr.s_addr);
}

static uint16_t port_of(const struct sockaddr *sa)
{
    if (sa->sa_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)(const void *)sa)->sin6_port);
    return ntohs(((const struct sockaddr_in *)(const void *)sa)->sin_port);
}

/* Multicast and broadcast. That the system does not know its own address is no offence. */
static bool is_many(const struct sockaddr *sa)
{
    if (sa->sa_family == AF_INET6)
        return ((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr.s6_addr[0] == 0xff;
    return *(const uint8_t *)&((const struct sockaddr_in *)(const void *)sa)->sin_addr.s_addr >=
           224;
}

bool qp_admit_source(const struct sockaddr *peer, const struct sockaddr *local)
{
    return !is_reflector(port_of(peer)) && is_host(peer) && !is_many(local);
}

enum qp_admit qp_admit_packet(const struct qp_packet *packet, size_t datagram_len)
{
    if (packet->type == QP_PACKET_SHORT)
        return QP_ADMIT_RESET;
    /* "A server MUST discard an Initial packet that is carried in a UDP datagram with a payload
     * that is smaller than the smallest allowed maximum datagram size of 1200 bytes"
     * (section 14.1); the same bound keeps version negotiation from amplifying (section 6.1). */
    if (datagram_len < QP_MIN_INITIAL)
        return QP_ADMIT_NO_PACKET;
    if (packet->type == QP_PACKET_UNKNOWN)
        return QP_ADMIT_VERSION;
    return packet->type == QP_PACKET_INITIAL && packet->dcid_len >= MIN_CLIENT_DCID
               ? QP_ADMIT_ACCEPT
               : QP_ADMIT_NO_PACKET;
}

enum qp_admit qp_admit_load(const struct qp_admit_load *load, enum qp_token token)
{
    if (load->shutdown || load->connections >= load->max_connections)
        return QP_ADMIT_NO_ROOM;
    if (load->handshakes >= load->max_handshakes)
        return QP_ADMIT_NO_HANDSHAKE;
    if (load->neighbours >= load->max_neighbours)
        return QP_ADMIT_NO_NEIGHBOURS;
    if (token == QP_TOKEN_VALID)
        return QP_ADMIT_ACCEPT;
    /* "A server SHOULD immediately close the connection with an INVALID_TOKEN error" (section
     * 8.1.2): a second Retry would be ignored, so without it the client would wait in vain. */
    if (token == QP_TOKEN_INVALID)
        return QP_ADMIT_TOKEN;
    return load->retry == QP_RETRY_ALWAYS ||
                   (load->retry == QP_RETRY_AUTO && load->handshakes >= load->retry_handshakes)
               ? QP_ADMIT_RETRY
               : QP_ADMIT_ACCEPT;
}

uint64_t qp_admit_prefix(const struct sockaddr *peer)
{
    static const uint8_t loopback[16] = {[15] = 1};
    const uint8_t *at;
    uint64_t prefix = 0;
    int bytes = 3;
    if (peer->sa_family == AF_INET6) {
        at = ((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr.s6_addr;
        bytes = 6;
        if (memcmp(at, loopback, 16) == 0)
            return 0;
    } else {
        at = (const uint8_t *)&((const struct sockaddr_in *)(const void *)peer)->sin_addr.s_addr;
        if (at[0] == 127)
            return 0;
    }
    for (int i = 0; i < bytes; i++)
        prefix = prefix << 8 | at[i];
    return (uint64_t)bytes << 56 | prefix;
}
