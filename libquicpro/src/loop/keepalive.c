/* Keep-alive: a PING when nothing was heard for a while (RFC 9000 section 10.1.2).
 *
 * A peer that is gone is not kept: only the first packet after the last one received restarts the
 * engine's idle timer, so that a connection ends at the latest one interval and one idle timeout
 * after its peer. */
#include "loop/loop.h"

enum {
    /* "An endpoint ... SHOULD send a PING or another ack-eliciting frame to test the connection
     * ... if the peer could time out soon" (section 10.1.2): a third, so that one that is lost, or
     * a check too late, do no harm. */
    IDLE_PARTS = 3,
};

static quicpro_tstamp most(quicpro_tstamp a, quicpro_tstamp b)
{
    return a > b ? a : b;
}

/* How long silence may be; 0: for ever. An interval that the idle timeout does not leave would
 * keep nothing alive. */
static quicpro_tstamp interval(const struct qp_link *link)
{
    const quicpro_tstamp every = link->endpoint->options.ping_interval_ms * QUICPRO_MILLISECOND;
    const quicpro_tstamp idle = link->idle_ns / IDLE_PARTS;
    return every != 0 && idle != 0 && idle < every ? idle : every;
}

static uint64_t packets_in(const struct qp_link *link)
{
    struct qp_engine_stats stats;
    link->conn.engine->get_stats(link->conn.impl, &stats);
    return stats.packets_in;
}

void qp_keepalive_begin(struct qp_link *link, quicpro_tstamp now)
{
    struct qp_engine_peer_params peer;
    uint64_t idle_ms = link->endpoint->options.max_idle_timeout_ms;
    /* "each endpoint advertises a max_idle_timeout, but the effective value ... is computed as the
     * minimum of the two" (section 10.1), and 0 is none. */
    if (link->conn.engine->get_peer_params(link->conn.impl, &peer) &&
        peer.max_idle_timeout_ms != 0 && (idle_ms == 0 || peer.max_idle_timeout_ms < idle_ms))
        idle_ms = peer.max_idle_timeout_ms;
    link->idle_ns = idle_ms < QUICPRO_FOREVER / QUICPRO_MILLISECOND ? idle_ms * QUICPRO_MILLISECOND
                                                                    : QUICPRO_FOREVER;
    link->heard_at = link->checked_at = now;
    link->heard_packets = packets_in(link);
}

quicpro_tstamp qp_keepalive_due(const struct qp_link *link)
{
    const quicpro_tstamp every = interval(link);
    if (every == 0 || link->state != QP_LINK_OPEN)
        return QUICPRO_FOREVER;
    /* What came in the peer's name need not be the peer's: once in a while the engine is asked. */
    const quicpro_tstamp last = most(link->heard_at, link->pinged_at);
    return (last < link->checked_at + every ? last : link->checked_at + every) + every;
}

void qp_keepalive_on_timer(struct qp_link *link, quicpro_tstamp now)
{
    if (qp_keepalive_due(link) > now)
        return;
    const uint64_t packets = packets_in(link);
    const bool heard = packets != link->heard_packets && link->heard_at + interval(link) > now;
    link->heard_packets = packets;
    link->checked_at = now;
    if (heard)
        return;
    link->conn.engine->ping(link->conn.impl);
    link->pinged_at = now;
}
