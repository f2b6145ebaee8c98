//! Numbers: what a connection counted, what its peer announced.

use crate::conn::Conn;
use libc::c_int;
use quiche::TxBufferTrackingState;
use std::time::Duration;

/// `struct qp_engine_stats`
#[repr(C)]
#[derive(Default)]
pub struct Stats {
    packets_in: u64,
    packets_out: u64,
    packets_lost: u64,
    packets_spurious_lost: u64,
    packets_retransmitted: u64,
    bytes_in: u64,
    bytes_out: u64,
    bytes_acked: u64,
    bytes_lost: u64,
    stream_bytes_retransmitted: u64,
    datagrams_in: u64,
    datagrams_out: u64,
    resets_in: u64,
    resets_out: u64,
    stops_in: u64,
    stops_out: u64,
    data_blocked_in: u64,
    data_blocked_out: u64,
    stream_data_blocked_in: u64,
    stream_data_blocked_out: u64,
    streams_blocked_bidi_in: u64,
    streams_blocked_uni_in: u64,
    path_challenges_in: u64,
    amplification_limited: u64,
    paths: u64,
    in_flight_ns: u64,
    send_count_wrong: u64,
    rtt_ns: u64,
    min_rtt_ns: u64,
    cwnd_bytes: u64,
}

/// `struct qp_engine_peer_params`
#[repr(C)]
#[derive(Default)]
pub struct PeerParams {
    max_idle_timeout_ms: u64,
    max_udp_payload_bytes: u64,
    initial_max_data_bytes: u64,
    initial_max_stream_data_bidi_local_bytes: u64,
    initial_max_stream_data_bidi_remote_bytes: u64,
    initial_max_stream_data_uni_bytes: u64,
    initial_max_streams_bidi: u64,
    initial_max_streams_uni: u64,
    ack_delay_exponent: u64,
    max_ack_delay_ms: u64,
    active_connection_id_limit: u64,
    disable_active_migration: u64,
    max_datagram_frame_bytes: u64,
}

/// A span in nanoseconds; 0 for none.
pub fn span(d: Option<Duration>) -> u64 {
    d.map_or(0, |d| d.as_nanos().try_into().unwrap_or(u64::MAX))
}

#[no_mangle]
pub unsafe extern "C" fn qp_engine_get_stats(conn: *const Conn, ret: *mut Stats) {
    // SAFETY: a live connection, the caller's struct.
    let (conn, ret) = unsafe { (&*conn, &mut *ret) };
    *ret = conn.peek(Stats::default(), |c| {
        let s = c.stats();
        let mut stats = Stats {
            packets_in: s.recv as u64,
            packets_out: s.sent as u64,
            packets_lost: s.lost as u64,
            packets_spurious_lost: s.spurious_lost as u64,
            packets_retransmitted: s.retrans as u64,
            bytes_in: s.recv_bytes,
            bytes_out: s.sent_bytes,
            bytes_acked: s.acked_bytes,
            bytes_lost: s.lost_bytes,
            stream_bytes_retransmitted: s.stream_retrans_bytes,
            datagrams_in: s.dgram_recv as u64,
            datagrams_out: s.dgram_sent as u64,
            resets_in: s.reset_stream_count_remote,
            resets_out: s.reset_stream_count_local,
            stops_in: s.stopped_stream_count_remote,
            stops_out: s.stopped_stream_count_local,
            data_blocked_in: s.data_blocked_recv_count,
            data_blocked_out: s.data_blocked_sent_count,
            stream_data_blocked_in: s.stream_data_blocked_recv_count,
            stream_data_blocked_out: s.stream_data_blocked_sent_count,
            streams_blocked_bidi_in: s.streams_blocked_bidi_recv_count,
            streams_blocked_uni_in: s.streams_blocked_uni_recv_count,
            path_challenges_in: s.path_challenge_rx_count,
            amplification_limited: s.amplification_limited_count,
            paths: s.paths_count as u64,
            in_flight_ns: span(Some(s.bytes_in_flight_duration)),
            send_count_wrong: (s.tx_buffered_state != TxBufferTrackingState::Ok).into(),
            ..Stats::default()
        };
        if let Some(p) = c.path_stats().find(|p| p.active) {
            stats.rtt_ns = span(Some(p.rtt));
            stats.min_rtt_ns = span(p.min_rtt);
            stats.cwnd_bytes = p.cwnd as u64;
        }
        stats
    });
}

#[no_mangle]
pub unsafe extern "C" fn qp_engine_get_peer_params(
    conn: *const Conn,
    ret: *mut PeerParams,
) -> c_int {
    // SAFETY: a live connection, the caller's struct.
    let (conn, ret) = unsafe { (&*conn, &mut *ret) };
    conn.peek(0, |c| {
        let Some(p) = c.peer_transport_params() else {
            return 0;
        };
        *ret = PeerParams {
            max_idle_timeout_ms: p.max_idle_timeout,
            max_udp_payload_bytes: p.max_udp_payload_size,
            initial_max_data_bytes: p.initial_max_data,
            initial_max_stream_data_bidi_local_bytes: p.initial_max_stream_data_bidi_local,
            initial_max_stream_data_bidi_remote_bytes: p.initial_max_stream_data_bidi_remote,
            initial_max_stream_data_uni_bytes: p.initial_max_stream_data_uni,
            initial_max_streams_bidi: p.initial_max_streams_bidi,
            initial_max_streams_uni: p.initial_max_streams_uni,
            ack_delay_exponent: p.ack_delay_exponent,
            max_ack_delay_ms: p.max_ack_delay,
            active_connection_id_limit: p.active_conn_id_limit,
            disable_active_migration: p.disable_active_migration.into(),
            max_datagram_frame_bytes: p.max_datagram_frame_size.unwrap_or(0),
        };
        1
    })
}
