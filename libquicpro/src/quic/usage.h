/* How many packets one set of keys may seal (RFC 9001 section 6.6). The engine neither counts nor
 * changes keys of its own accord, so a connection ends before it gets there. */
#ifndef QP_QUIC_USAGE_H
#define QP_QUIC_USAGE_H

#include <stdint.h>

enum qp_usage {
    QP_USAGE_FINE,
    QP_USAGE_ENDING, /* no new requests: 1/8 is left for those that are there */
    QP_USAGE_SPENT,
};

/* Packets for AES-GCM, the stricter of the ciphers in use, by the largest datagram: 2^28 up to
 * 2,048 bytes, 2^23 above (appendix B.1). At 1,350 bytes that is 360 GB. A peer's key updates,
 * which begin the count anew, are not seen and not counted on. */
uint64_t qp_usage_limit(uint64_t max_udp_payload_bytes);
enum qp_usage qp_usage(uint64_t packets_out, uint64_t limit);

#endif
