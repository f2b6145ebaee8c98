//! Transport parameters around an SSL_CTX that C made.

use crate::error::{EENGINE, EINVAL};
use crate::guard;
use boring::ssl::SslContextBuilder;
use libc::{c_int, c_void};
use quiche::CongestionControlAlgorithm as Cc;
use std::time::Duration;

pub struct Config(pub quiche::Config);

/// `struct qp_engine_params`
#[repr(C)]
pub struct Params {
    max_idle_timeout_ms: u64,
    initial_max_data_bytes: u64,
    initial_max_stream_data_bidi_local_bytes: u64,
    initial_max_stream_data_bidi_remote_bytes: u64,
    initial_max_stream_data_uni_bytes: u64,
    initial_max_streams_bidi: u64,
    initial_max_streams_uni: u64,
    max_connection_window_bytes: u64,
    max_stream_window_bytes: u64,
    max_send_udp_payload_bytes: u64,
    active_connection_id_limit: u64,
    initial_cwnd_packets: u64,
    cc: u64,
    max_recv_udp_payload_bytes: u64,
    max_ack_delay_ms: u64,
    ack_delay_exponent: u64,
    initial_rtt_ms: u64,
    max_amplification_factor: u64,
    max_pacing_rate_mbps: u64,
    dgram_recv_queue: u64,
    dgram_send_queue: u64,
    disable_active_migration: u64,
    hystart: u64,
    pacing: u64,
    grease: u64,
    pmtud: u64,
    early_data: u64,
}

extern "C" {
    fn SSL_CTX_up_ref(ctx: *mut c_void) -> c_int;
}

#[no_mangle]
pub unsafe extern "C" fn qp_engine_config_new(
    ret: *mut *mut Config,
    ctx: *mut c_void,
    params: *const Params,
) -> c_int {
    guard::keep_panics_quiet();
    // SAFETY: the caller gives valid pointers (qp_engine.h).
    let params = unsafe { &*params };
    let cc = match params.cc {
        0 => Cc::CUBIC,
        1 => Cc::Reno,
        2 => Cc::Bbr2Gcongestion,
        _ => return EINVAL,
    };
    let made = guard::catch(|| {
        // SAFETY: ctx is a live SSL_CTX; the reference taken here is the builder's, which frees it.
        // quiche changes nothing in it but the session callback, and C shares no certificate store.
        let builder = unsafe {
            SSL_CTX_up_ref(ctx);
            SslContextBuilder::from_ptr(ctx.cast())
        };
        let mut c =
            quiche::Config::with_boring_ssl_ctx_builder(quiche::PROTOCOL_VERSION, builder).ok()?;
        c.set_max_idle_timeout(params.max_idle_timeout_ms);
        c.set_initial_max_data(params.initial_max_data_bytes);
        c.set_initial_max_stream_data_bidi_local(params.initial_max_stream_data_bidi_local_bytes);
        c.set_initial_max_stream_data_bidi_remote(params.initial_max_stream_data_bidi_remote_bytes);
        c.set_initial_max_stream_data_uni(params.initial_max_stream_data_uni_bytes);
        c.set_initial_max_streams_bidi(params.initial_max_streams_bidi);
        c.set_initial_max_streams_uni(params.initial_max_streams_uni);
        c.set_max_connection_window(params.max_connection_window_bytes);
        c.set_max_stream_window(params.max_stream_window_bytes);
        // quiche sends no more than fits into a two-byte length; probing for it finds nothing.
        let most = if params.pmtud != 0 { 16383 } else { u64::MAX };
        let payload = params.max_send_udp_payload_bytes.min(most);
        c.set_max_send_udp_payload_size(payload as usize);
        c.set_active_connection_id_limit(params.active_connection_id_limit);
        c.set_initial_congestion_window_packets(params.initial_cwnd_packets as usize);
        c.set_cc_algorithm(cc);
        c.set_max_recv_udp_payload_size(params.max_recv_udp_payload_bytes as usize);
        c.set_max_ack_delay(params.max_ack_delay_ms);
        c.set_ack_delay_exponent(params.ack_delay_exponent);
        c.set_initial_rtt(Duration::from_millis(params.initial_rtt_ms));
        c.set_max_amplification_factor(params.max_amplification_factor as usize);
        if params.max_pacing_rate_mbps != 0 {
            c.set_max_pacing_rate(params.max_pacing_rate_mbps);
        }
        if params.dgram_recv_queue != 0 || params.dgram_send_queue != 0 {
            c.enable_dgram(
                true,
                params.dgram_recv_queue as usize,
                params.dgram_send_queue as usize,
            );
        }
        c.set_disable_active_migration(params.disable_active_migration != 0);
        c.enable_hystart(params.hystart != 0);
        c.enable_pacing(params.pacing != 0);
        c.grease(params.grease != 0);
        c.discover_pmtu(params.pmtud != 0);
        if params.early_data != 0 {
            c.enable_early_data();
        }
        Some(Config(c))
    });
    match made.flatten() {
        Some(config) => {
            // SAFETY: ret is the caller's pointer variable.
            unsafe { *ret = Box::into_raw(Box::new(config)) };
            0
        }
        None => EENGINE,
    }
}

#[no_mangle]
pub unsafe extern "C" fn qp_engine_config_free(config: *mut Config) {
    if !config.is_null() {
        // SAFETY: made by Box::into_raw above.
        guard::catch(|| drop(unsafe { Box::from_raw(config) }));
    }
}
