//! Network paths and connection IDs.

use crate::conn::{read_token, Conn, Quic};
use crate::error::{self, EAGAIN, EENGINE, EINVAL, ESTATE};
use crate::stats::span;
use crate::{addr, guard};
use libc::{c_int, sockaddr};
use quiche::{ConnectionId, Error, PathEvent};
use std::net::SocketAddr;

// SAFETY of all functions here: a live connection; room for a sockaddr_in6 behind the addresses that
// are written; buffers with the sizes named (qp_engine.h).

/// `struct qp_engine_path`
#[repr(C)]
#[derive(Default)]
pub struct Path {
    state: u64,
    active: u64,
    packets_in: u64,
    packets_out: u64,
    packets_lost: u64,
    packets_retransmitted: u64,
    ptos: u64,
    bytes_in: u64,
    bytes_out: u64,
    bytes_lost: u64,
    stream_bytes_retransmitted: u64,
    datagrams_in: u64,
    datagrams_out: u64,
    datagrams_lost: u64,
    rtt_ns: u64,
    min_rtt_ns: u64,
    max_rtt_ns: u64,
    rttvar_ns: u64,
    cwnd_bytes: u64,
    mtu_bytes: u64,
    delivery_rate: u64,
    max_bandwidth: u64,
    rtt_jumps: u64,
    startup_exit_cwnd_bytes: u64,
}

/// `enum qp_engine_path_state`: quiche does not name the type in public, but it can be printed.
fn state(p: &quiche::PathStats) -> u64 {
    match format!("{:?}", p.validation_state).as_str() {
        "Failed" => 0,
        "Unknown" => 1,
        "Validating" => 2,
        "ValidatingMTU" => 3,
        _ => 4,
    }
}

#[no_mangle]
pub unsafe extern "C" fn qp_engine_path_at(
    conn: *const Conn,
    index: usize,
    ret: *mut Path,
    local: *mut sockaddr,
    peer: *mut sockaddr,
) -> c_int {
    // SAFETY: see above.
    let (conn, ret) = unsafe { (&*conn, &mut *ret) };
    let found = conn.peek(None, |c| {
        let p = c.path_stats().nth(index)?;
        *ret = Path {
            state: state(&p),
            active: p.active.into(),
            packets_in: p.recv as u64,
            packets_out: p.sent as u64,
            packets_lost: p.lost as u64,
            packets_retransmitted: p.retrans as u64,
            ptos: p.total_pto_count as u64,
            bytes_in: p.recv_bytes,
            bytes_out: p.sent_bytes,
            bytes_lost: p.lost_bytes,
            stream_bytes_retransmitted: p.stream_retrans_bytes,
            datagrams_in: p.dgram_recv as u64,
            datagrams_out: p.dgram_sent as u64,
            datagrams_lost: p.dgram_lost as u64,
            rtt_ns: span(Some(p.rtt)),
            min_rtt_ns: span(p.min_rtt),
            max_rtt_ns: span(p.max_rtt),
            rttvar_ns: span(Some(p.rttvar)),
            cwnd_bytes: p.cwnd as u64,
            mtu_bytes: p.pmtu as u64,
            delivery_rate: p.delivery_rate,
            max_bandwidth: p.max_bandwidth.unwrap_or(0),
            rtt_jumps: p.rtt_persistent_jump_count,
            startup_exit_cwnd_bytes: p.startup_exit.map_or(0, |e| e.cwnd as u64),
        };
        Some((p.local_addr, p.peer_addr))
    });
    // SAFETY: see above.
    unsafe { put(found.map(|path| (1, path)), local, peer) }
}

/// The result of a function that gives a path away. SAFETY: see above.
unsafe fn put(
    found: Option<(c_int, (SocketAddr, SocketAddr))>,
    local: *mut sockaddr,
    peer: *mut sockaddr,
) -> c_int {
    let Some((result, path)) = found else {
        return 0;
    };
    // SAFETY: see above.
    unsafe {
        addr::write(path.0, local);
        addr::write(path.1, peer);
    }
    result
}

#[no_mangle]
pub unsafe extern "C" fn qp_engine_path_event(
    conn: *mut Conn,
    value: *mut u64,
    local: *mut sockaddr,
    peer: *mut sockaddr,
) -> c_int {
    // SAFETY: see above.
    let (conn, value) = unsafe { (&mut *conn, &mut *value) };
    *value = 0;
    let found = conn.guarded(None, |c| loop {
        let (kind, path) = match c.path_event_next()? {
            PathEvent::New(local, peer) => (1, (local, peer)),
            PathEvent::Validated(local, peer) => (2, (local, peer)),
            PathEvent::FailedValidation(local, peer) => (3, (local, peer)),
            PathEvent::Closed(local, peer) => (4, (local, peer)),
            PathEvent::ReusedSourceConnectionId(sequence, _, path) => {
                *value = sequence;
                (5, path)
            }
            PathEvent::PeerMigrated(local, peer) => (6, (local, peer)),
            PathEvent::PmtuUpdated { local, peer, pmtu } => {
                *value = pmtu as u64;
                (7, (local, peer))
            }
            _ => continue, // of a later quiche
        };
        return Some((kind, path));
    });
    // SAFETY: see above.
    unsafe { put(found, local, peer) }
}

fn moved(result: quiche::Result<u64>) -> c_int {
    match result {
        Ok(_) => 0,
        Err(Error::OutOfIdentifiers) => EAGAIN,
        Err(Error::InvalidState) => ESTATE,
        Err(e) => error::code(e),
    }
}

/// SAFETY: see above.
unsafe fn go(
    conn: *mut Conn,
    local: *const sockaddr,
    peer: *const sockaddr,
    how: fn(&mut Quic, SocketAddr, SocketAddr) -> quiche::Result<u64>,
) -> c_int {
    // SAFETY: see above.
    let (conn, local, peer) = unsafe { (&mut *conn, addr::read(local), addr::read(peer)) };
    let (Some(local), Some(peer)) = (local, peer) else {
        return EINVAL;
    };
    conn.guarded(EENGINE, |c| moved(how(c, local, peer)))
}

#[no_mangle]
pub unsafe extern "C" fn qp_engine_probe_path(
    conn: *mut Conn,
    local: *const sockaddr,
    peer: *const sockaddr,
) -> c_int {
    // SAFETY: handed on.
    unsafe { go(conn, local, peer, |c, l, p| c.probe_path(l, p)) }
}

#[no_mangle]
pub unsafe extern "C" fn qp_engine_migrate(
    conn: *mut Conn,
    local: *const sockaddr,
    peer: *const sockaddr,
) -> c_int {
    // SAFETY: handed on.
    unsafe { go(conn, local, peer, |c, l, p| c.migrate(l, p)) }
}

#[no_mangle]
pub unsafe extern "C" fn qp_engine_leave_path(
    conn: *mut Conn,
    local: *const sockaddr,
    peer: *const sockaddr,
) -> c_int {
    // SAFETY: handed on.
    unsafe { go(conn, local, peer, |c, l, p| c.leave_path(l, p).map(|()| 0)) }
}

#[no_mangle]
pub unsafe extern "C" fn qp_engine_scids_left(conn: *const Conn) -> usize {
    // SAFETY: see above.
    let conn = unsafe { &*conn };
    conn.peek(0, |c| c.scids_left())
}

#[no_mangle]
pub unsafe extern "C" fn qp_engine_dcids_left(conn: *const Conn) -> usize {
    // SAFETY: see above.
    let conn = unsafe { &*conn };
    conn.peek(0, |c| c.available_dcids())
}

#[no_mangle]
pub unsafe extern "C" fn qp_engine_new_scid(
    conn: *mut Conn,
    scid: *const u8,
    len: usize,
    token: *const u8,
) -> c_int {
    // SAFETY: see above.
    let (conn, scid, token) = unsafe {
        (
            &mut *conn,
            std::slice::from_raw_parts(scid, len),
            read_token(token),
        )
    };
    conn.guarded(EENGINE, |c| {
        match c.new_scid(&ConnectionId::from_ref(scid), token, false) {
            Ok(_) => 0,
            Err(Error::IdLimit) => EAGAIN,
            Err(_) => EINVAL,
        }
    })
}

#[no_mangle]
pub unsafe extern "C" fn qp_engine_dcid(conn: *const Conn, out: *mut u8) -> usize {
    // SAFETY: see above.
    let conn = unsafe { &*conn };
    conn.peek(0, |c| {
        let id = c.destination_id();
        let len = id.len().min(20);
        // SAFETY: out has 20 bytes.
        unsafe { std::ptr::copy_nonoverlapping(id.as_ptr(), out, len) };
        len
    })
}

#[no_mangle]
pub unsafe extern "C" fn qp_engine_retired_scid(conn: *mut Conn, out: *mut u8) -> usize {
    // SAFETY: see above.
    let conn = unsafe { &mut *conn };
    let retired = conn.guarded(None, |c| c.retired_scid_next());
    let Some(id) = retired else {
        return 0;
    };
    let len = id.len().min(20);
    // SAFETY: out has 20 bytes.
    guard::catch(|| unsafe { std::ptr::copy_nonoverlapping(id.as_ptr(), out, len) });
    len
}
