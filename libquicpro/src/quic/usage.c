#include "quic/usage.h"

uint64_t qp_usage_limit(uint64_t max_udp_payload_bytes)
{
    return UINT64_C(1) << (max_udp_payload_bytes <= 2048 ? 28 : 23);
}

enum qp_usage qp_usage(uint64_t packets_out, uint64_t limit)
{
    return packets_out >= limit               ? QP_USAGE_SPENT
           : packets_out >= limit - limit / 8 ? QP_USAGE_ENDING
                                              : QP_USAGE_FINE;
}
