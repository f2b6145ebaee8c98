/* What the engine counts of a connection and its paths, as the public structs have it. */
#include <quicpro/conn.h>

#include <assert.h>

#include "loop/loop.h"

static_assert(QUICPRO_PATH_FAILED == (int)QP_ENGINE_PATH_FAILED &&
                  QUICPRO_PATH_UNKNOWN == (int)QP_ENGINE_PATH_UNKNOWN &&
                  QUICPRO_PATH_VALIDATING == (int)QP_ENGINE_PATH_VALIDATING &&
                  QUICPRO_PATH_MTU_UNKNOWN == (int)QP_ENGINE_PATH_MTU_UNKNOWN &&
                  QUICPRO_PATH_VALIDATED == (int)QP_ENGINE_PATH_VALIDATED,
              "states are handed out as the engine numbers them");

int quicpro_conn_get_stats(quicpro_loop *loop, quicpro_conn conn, quicpro_conn_stats *stats)
{
    const struct qp_link *link = loop == NULL ? NULL : qp_link_get(loop, conn);
    if (loop == NULL || stats == NULL || stats->size < sizeof(*stats))
        return QUICPRO_EINVAL;
    if (link == NULL)
        return QUICPRO_ESTALE;
    const struct qp_engine_ops *engine = link->conn.engine;
    const size_t size = stats->size;
    struct qp_engine_stats s;
    *stats = (quicpro_conn_stats){.size = size};
    if (link->conn.impl == NULL)
        return 0;
    engine->get_stats(link->conn.impl, &s);
    *stats = (quicpro_conn_stats){
        .size = size,
        .packets_in = s.packets_in,
        .packets_out = s.packets_out,
        .packets_lost = s.packets_lost,
        .packets_spurious_lost = s.packets_spurious_lost,
        .packets_retransmitted = s.packets_retransmitted,
        .bytes_in = s.bytes_in,
        .bytes_out = s.bytes_out,
        .bytes_acked = s.bytes_acked,
        .bytes_lost = s.bytes_lost,
        .stream_bytes_retransmitted = s.stream_bytes_retransmitted,
        .datagrams_in = s.datagrams_in,
        .datagrams_out = s.datagrams_out,
        .resets_in = s.resets_in,
        .resets_out = s.resets_out,
        .stops_in = s.stops_in,
        .stops_out = s.stops_out,
        .data_blocked_in = s.data_blocked_in,
        .data_blocked_out = s.data_blocked_out,
        .stream_data_blocked_in = s.stream_data_blocked_in,
        .stream_data_blocked_out = s.stream_data_blocked_out,
        .streams_blocked_bidi_in = s.streams_blocked_bidi_in,
        .streams_blocked_uni_in = s.streams_blocked_uni_in,
        .path_challenges_in = s.path_challenges_in,
        .amplification_limited = s.amplification_limited,
        .in_flight_ns = s.in_flight_ns,
        .send_count_wrong = s.send_count_wrong,
        .paths = s.paths,
        .ids_issued = 1 + link->cid_count,
        .ids_spare = engine->dcids_left(link->conn.impl),
        .rtt_ns = s.rtt_ns,
        .min_rtt_ns = s.min_rtt_ns,
        .cwnd_bytes = s.cwnd_bytes,
    };
    return 0;
}

int quicpro_conn_get_path(quicpro_loop *loop, quicpro_conn conn, size_t index,
                          quicpro_path_stats *path)
{
    const struct qp_link *link = loop == NULL ? NULL : qp_link_get(loop, conn);
    if (loop == NULL || path == NULL || path->size < sizeof(*path))
        return QUICPRO_EINVAL;
    if (link == NULL)
        return QUICPRO_ESTALE;
    struct qp_engine_path p;
    struct qp_addr local = {0}, peer = {0};
    if (link->conn.impl == NULL ||
        link->conn.engine->path_at(link->conn.impl, index, &p, &local.sa, &peer.sa) == 0)
        return 0;
    const size_t size = path->size;
    *path = (quicpro_path_stats){
        .size = size,
        .state = (uint32_t)p.state,
        .active = (uint32_t)p.active,
        .packets_in = p.packets_in,
        .packets_out = p.packets_out,
        .packets_lost = p.packets_lost,
        .packets_retransmitted = p.packets_retransmitted,
        .bytes_in = p.bytes_in,
        .bytes_out = p.bytes_out,
        .bytes_lost = p.bytes_lost,
        .stream_bytes_retransmitted = p.stream_bytes_retransmitted,
        .datagrams_in = p.datagrams_in,
        .datagrams_out = p.datagrams_out,
        .datagrams_lost = p.datagrams_lost,
        .ptos = p.ptos,
        .rtt_ns = p.rtt_ns,
        .min_rtt_ns = p.min_rtt_ns,
        .max_rtt_ns = p.max_rtt_ns,
        .rttvar_ns = p.rttvar_ns,
        .cwnd_bytes = p.cwnd_bytes,
        .mtu_bytes = p.mtu_bytes,
        .delivery_rate = p.delivery_rate,
        .max_bandwidth = p.max_bandwidth,
        .rtt_jumps = p.rtt_jumps,
        .startup_exit_cwnd_bytes = p.startup_exit_cwnd_bytes,
    };
    qp_addr_text(&local, path->local, sizeof(path->local));
    qp_addr_text(&peer, path->peer, sizeof(path->peer));
    return 1;
}
