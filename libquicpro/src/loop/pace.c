/* Pacing of what a connection sends. BBR2 tells the engine when the next packet may go; CUBIC and
 * Reno have no opinion, so a token bucket has one for them. */
#include "loop/loop.h"

enum { BYTES_PER_MBIT = 125000 };

static void update(struct qp_link *link, size_t payload, quicpro_tstamp now)
{
    struct qp_engine_stats stats;
    const struct qp_options *options = &link->endpoint->options;
    link->conn.engine->get_stats(link->conn.impl, &stats);
    /* Before the first sample the engine's round trip is a guess. */
    const uint64_t rtt = stats.min_rtt_ns == 0 ? 0 : stats.rtt_ns;
    qp_pacer_update(&link->pacer, stats.cwnd_bytes, rtt, payload, options->pacing_max_burst_packets,
                    options->max_pacing_rate_mbps * BYTES_PER_MBIT, now);
}

size_t qp_link_may_send(struct qp_link *link, size_t payload, size_t max, quicpro_tstamp now)
{
    if (!link->endpoint->options.pacing || link->conn.engine->paces(link->conn.impl))
        return max;
    if (qp_pacer_is_due(&link->pacer, now))
        update(link, payload, now);
    const uint64_t count = qp_pacer_allowance(&link->pacer, now) / payload;
    if (count > 0)
        return count < max ? (size_t)count : max;
    /* "Acknowledgments ... SHOULD NOT be paced" (RFC 9002 section 7.7): they come with the first
     * packet, whatever else is in it. */
    if (link->prompted && qp_pacer_may_owe(&link->pacer, now))
        return 1;
    link->release_at = qp_pacer_release(&link->pacer, link->prompted);
    return 0;
}

void qp_link_has_sent(struct qp_link *link, size_t bytes, quicpro_tstamp now)
{
    link->prompted = false;
    qp_pacer_sent(&link->pacer, bytes, now);
}
