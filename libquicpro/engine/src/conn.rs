//! Connections: packets in and out, the timer, how it ended.

use crate::config::{Config, Params};
use crate::error::{self, EENGINE, EINVAL};
use crate::path::Path;
use crate::piece::Pieces;
use crate::stats::{PeerParams, Stats};
use crate::{addr, clock, guard, reserve};
use libc::{c_int, c_void, sockaddr};
use quiche::{ConnectionId, Error, RecvInfo};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// quiche's connection, whose streams may keep memory of C.
pub type Quic = quiche::Connection<Pieces>;

pub struct Conn {
    inner: Quic,
    poisoned: bool,
    no_memory: bool,
}

impl Conn {
    /// Runs `f` on the connection; `neutral` if it is poisoned, or becomes so.
    #[inline]
    pub fn guarded<T>(&mut self, neutral: T, f: impl FnOnce(&mut Quic) -> T) -> T {
        if self.poisoned {
            return neutral;
        }
        let inner = &mut self.inner;
        let result = guard::catch(|| f(inner));
        if reserve::taken() {
            self.no_memory = true;
            self.poisoned = true;
            reserve::keep();
            return neutral;
        }
        match result {
            Some(value) => value,
            None => {
                self.poisoned = true;
                neutral
            }
        }
    }

    /// The same for calls that change nothing and cannot poison.
    pub fn peek<T>(&self, neutral: T, f: impl FnOnce(&Quic) -> T) -> T {
        if self.poisoned {
            return neutral;
        }
        guard::catch(|| f(&self.inner)).unwrap_or(neutral)
    }
}

/// `struct qp_engine_error`
#[repr(C)]
pub struct CloseInfo {
    code: u64,
    app: u32,
    remote: u32,
    reason_len: u32,
    reason: [u8; 256],
    found: u32,
}

/// `struct qp_engine_ids`
#[repr(C)]
pub struct Ids {
    scid: *const u8,
    scid_len: usize,
    odcid: *const u8,
    odcid_len: usize,
    reset_token: *const u8,
}

/// SAFETY: as qp_engine_accept() in the header.
unsafe fn make(
    ret: *mut *mut Conn,
    config: *mut Config,
    ids: *const Ids,
    path: (*const sockaddr, *const sockaddr),
    server: bool,
) -> c_int {
    // SAFETY: the caller's pointers are valid for the call.
    let (config, ids, local, peer) = unsafe {
        (
            &mut (*config).0,
            &*ids,
            addr::read(path.0),
            addr::read(path.1),
        )
    };
    let (Some(local), Some(peer)) = (local, peer) else {
        return EINVAL;
    };
    // SAFETY: the lengths belong to the pointers; a token has 16 bytes.
    let (scid, odcid, token) = unsafe {
        (
            ConnectionId::from_ref(std::slice::from_raw_parts(ids.scid, ids.scid_len)),
            (ids.odcid_len != 0).then(|| {
                ConnectionId::from_ref(std::slice::from_raw_parts(ids.odcid, ids.odcid_len))
            }),
            (!ids.reset_token.is_null()).then(|| read_token(ids.reset_token)),
        )
    };
    reserve::keep();
    let made = guard::catch(|| {
        if server {
            config.set_stateless_reset_token(token);
            quiche::accept_with_buf_factory(&scid, odcid.as_ref(), local, peer, config)
        } else {
            quiche::connect_with_buffer_factory(None, &scid, local, peer, config)
        }
    });
    match made {
        Some(Ok(inner)) => {
            let conn = Box::new(Conn {
                inner,
                poisoned: false,
                no_memory: false,
            });
            // SAFETY: ret is the caller's pointer variable.
            unsafe { *ret = Box::into_raw(conn) };
            0
        }
        Some(Err(e)) => error::code(e),
        None => EENGINE,
    }
}

/// A stateless reset token, as quiche wants it. SAFETY: `token` has 16 bytes.
pub unsafe fn read_token(token: *const u8) -> u128 {
    // SAFETY: as above.
    u128::from_be_bytes(unsafe { *token.cast::<[u8; 16]>() })
}

#[no_mangle]
pub unsafe extern "C" fn qp_engine_accept(
    ret: *mut *mut Conn,
    config: *mut Config,
    ids: *const Ids,
    local: *const sockaddr,
    peer: *const sockaddr,
) -> c_int {
    // SAFETY: handed on.
    unsafe { make(ret, config, ids, (local, peer), true) }
}

#[no_mangle]
pub unsafe extern "C" fn qp_engine_connect(
    ret: *mut *mut Conn,
    config: *mut Config,
    ids: *const Ids,
    local: *const sockaddr,
    peer: *const sockaddr,
) -> c_int {
    // SAFETY: handed on.
    unsafe { make(ret, config, ids, (local, peer), false) }
}

#[no_mangle]
pub unsafe extern "C" fn qp_engine_conn_free(conn: *mut Conn) {
    if !conn.is_null() {
        // SAFETY: made by Box::into_raw above. A destructor that panics leaks the rest.
        guard::catch(|| drop(unsafe { Box::from_raw(conn) }));
    }
}

#[no_mangle]
pub unsafe extern "C" fn qp_engine_ssl(conn: *mut Conn) -> *mut c_void {
    use foreign_types_shared::ForeignTypeRef;
    // SAFETY: a live connection.
    let conn = unsafe { &mut *conn };
    let ssl: &mut boring::ssl::SslRef = conn.inner.as_mut();
    ssl.as_ptr().cast()
}

#[no_mangle]
pub unsafe extern "C" fn qp_engine_recv(
    conn: *mut Conn,
    data: *mut u8,
    len: usize,
    segment: usize,
    local: *const sockaddr,
    peer: *const sockaddr,
) -> c_int {
    // SAFETY: the caller's pointers are valid for the call and data is not aliased.
    let (conn, data, to, from) = unsafe {
        (
            &mut *conn,
            std::slice::from_raw_parts_mut(data, len),
            addr::read(local),
            addr::read(peer),
        )
    };
    let (Some(to), Some(from)) = (to, from) else {
        return EINVAL;
    };
    conn.guarded(EENGINE, |c| {
        let mut result = 0;
        for datagram in data.chunks_mut(segment.max(1)) {
            match c.recv(datagram, RecvInfo { from, to }) {
                Ok(_) | Err(Error::Done) => {}
                Err(e) if result == 0 => result = error::code(e),
                Err(_) => {}
            }
        }
        let released = c.release_left_paths();
        debug_assert!(released.is_ok());
        result
    })
}

#[no_mangle]
pub unsafe extern "C" fn qp_engine_send(
    conn: *mut Conn,
    out: *mut u8,
    cap: usize,
    payload: usize,
    lens: *mut u16,
    max: usize,
    local: *mut sockaddr,
    peer: *mut sockaddr,
    at: *mut u64,
) -> c_int {
    // SAFETY: the caller's buffers have the sizes it names.
    let (conn, out, lens, at) = unsafe {
        (
            &mut *conn,
            std::slice::from_raw_parts_mut(out, cap),
            std::slice::from_raw_parts_mut(lens, max),
            &mut *at,
        )
    };
    *at = 0;
    let mut path: Option<(SocketAddr, SocketAddr)> = None;
    let made = conn.guarded(EENGINE, |c| {
        let mut used = 0;
        let mut count = 0;
        let now = quiche::clock::now();
        while count < max && cap - used >= payload {
            if let Some(release) = release_time(c, now) {
                *at = clock::nanoseconds(release);
                break;
            }
            let (from, to) = path.map_or((None, None), |(from, to)| (Some(from), Some(to)));
            match c.send_on_path(&mut out[used..used + payload], from, to) {
                Ok((len, info)) => {
                    path.get_or_insert((info.from, info.to));
                    lens[count] = len as u16;
                    used += len;
                    count += 1;
                }
                Err(Error::Done) => break,
                Err(e) => {
                    // Nothing the peer did: quiche could not write a packet. Give the connection up.
                    let _ = c.close(false, 0x1, format!("send: {e:?}").as_bytes());
                    break;
                }
            }
        }
        count as c_int
    });
    if let Some((from, to)) = path {
        // SAFETY: both have room for a sockaddr_in6.
        unsafe {
            addr::write(from, local);
            addr::write(to, peer);
        }
    }
    made
}

/// When the next packet may be made, if the congestion controller wants it later than now. Packets
/// that are due within a little while go at once: a timer for each would cost more than it gives.
fn release_time(c: &Quic, now: Instant) -> Option<Instant> {
    const NEAR: Duration = Duration::from_micros(500);
    if !c.pacing_enabled() || !c.is_established() {
        return None;
    }
    c.get_next_release_time()?.time(now + NEAR)
}

#[no_mangle]
pub unsafe extern "C" fn qp_engine_paces(conn: *const Conn) -> c_int {
    // SAFETY: a live connection.
    let conn = unsafe { &*conn };
    conn.peek(0, |c| {
        (c.pacing_enabled() && c.gcongestion_enabled() == Some(true)).into()
    })
}

#[no_mangle]
pub unsafe extern "C" fn qp_engine_expiry(conn: *mut Conn) -> u64 {
    // SAFETY: a live connection.
    let conn = unsafe { &*conn };
    conn.peek(u64::MAX, |c| {
        c.timeout_instant().map_or(u64::MAX, clock::nanoseconds)
    })
}

#[no_mangle]
pub unsafe extern "C" fn qp_engine_ping(conn: *mut Conn) -> c_int {
    // SAFETY: a live connection.
    let conn = unsafe { &mut *conn };
    conn.guarded(EENGINE, |c| {
        c.send_ack_eliciting().map_or_else(error::code, |()| 0)
    })
}

#[no_mangle]
pub unsafe extern "C" fn qp_engine_on_timeout(conn: *mut Conn) {
    // SAFETY: a live connection.
    let conn = unsafe { &mut *conn };
    conn.guarded((), |c| c.on_timeout());
}

#[no_mangle]
pub unsafe extern "C" fn qp_engine_close(
    conn: *mut Conn,
    app: c_int,
    code: u64,
    reason: *const u8,
    reason_len: usize,
) -> c_int {
    // SAFETY: a live connection; reason has reason_len bytes (it may be dangling when that is 0).
    let (conn, reason) = unsafe {
        (
            &mut *conn,
            if reason_len == 0 {
                &[][..]
            } else {
                std::slice::from_raw_parts(reason, reason_len)
            },
        )
    };
    conn.guarded(EENGINE, |c| match c.close(app != 0, code, reason) {
        Ok(()) => 0,
        Err(e) => error::code(e),
    })
}

#[no_mangle]
pub unsafe extern "C" fn qp_engine_all_acked(conn: *const Conn) -> c_int {
    // SAFETY: a live connection.
    unsafe { &*conn }.peek(1, |c| c.is_all_acked().into())
}

#[no_mangle]
pub unsafe extern "C" fn qp_engine_flags(conn: *const Conn) -> u32 {
    // SAFETY: a live connection.
    let conn = unsafe { &*conn };
    const POISONED: u32 = 64;
    const NO_MEMORY: u32 = 512;
    let poisoned = POISONED | 4 | if conn.no_memory { NO_MEMORY } else { 0 };
    conn.peek(poisoned, |c| {
        u32::from(c.is_established())
            | u32::from(c.is_draining()) << 1
            | u32::from(c.is_closed()) << 2
            | u32::from(c.is_timed_out()) << 3
            | u32::from(c.is_resumed()) << 4
            | u32::from(c.is_in_early_data()) << 5
            | u32::from(c.local_error().is_some()) << 7
            | u32::from(c.peer_error().is_some()) << 8
            | u32::from(c.is_handshake_confirmed()) << 10
    })
}

#[no_mangle]
pub unsafe extern "C" fn qp_engine_get_error(conn: *const Conn, ret: *mut CloseInfo) {
    // SAFETY: a live connection, the caller's struct.
    let (conn, ret) = unsafe { (&*conn, &mut *ret) };
    ret.found = 0;
    conn.peek((), |c| {
        let (error, remote) = match (c.peer_error(), c.local_error()) {
            (Some(e), _) => (e, true),
            (None, Some(e)) => (e, false),
            (None, None) => return,
        };
        let len = error.reason.len().min(ret.reason.len());
        ret.reason[..len].copy_from_slice(&error.reason[..len]);
        ret.reason_len = len as u32;
        ret.code = error.error_code;
        ret.app = error.is_app.into();
        ret.remote = remote.into();
        ret.found = 1;
    });
}

#[no_mangle]
pub unsafe extern "C" fn qp_engine_panic_for_test(conn: *mut Conn) -> c_int {
    // SAFETY: a live connection.
    let conn = unsafe { &mut *conn };
    conn.guarded(EENGINE, |_| panic!("provoked by a test"))
}

#[no_mangle]
pub unsafe extern "C" fn qp_engine_layout(ret: *mut usize) {
    let sizes = [
        std::mem::size_of::<Params>(),
        std::mem::size_of::<CloseInfo>(),
        std::mem::size_of::<Stats>(),
        std::mem::size_of::<Path>(),
        std::mem::size_of::<PeerParams>(),
        std::mem::size_of::<Ids>(),
    ];
    // SAFETY: the caller's array has QP_ENGINE_LAYOUTS elements.
    unsafe { std::ptr::copy_nonoverlapping(sizes.as_ptr(), ret, sizes.len()) };
}
