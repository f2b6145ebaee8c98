//! DATAGRAM frames (RFC 9221).

use crate::conn::Conn;
use crate::error::{self, E2BIG, EAGAIN, EENGINE, EINVAL, ESTATE};
use libc::c_int;
use quiche::Error;

// SAFETY of all functions here: a live connection; buffers with the sizes named (qp_engine.h).

#[no_mangle]
pub unsafe extern "C" fn qp_engine_dgram_send(
    conn: *mut Conn,
    data: *const u8,
    len: usize,
) -> c_int {
    // SAFETY: see above; data may be dangling when len is 0.
    let (conn, data) = unsafe {
        (
            &mut *conn,
            if len == 0 {
                &[][..]
            } else {
                std::slice::from_raw_parts(data, len)
            },
        )
    };
    conn.guarded(EENGINE, |c| match c.dgram_send(data) {
        Ok(()) => 0,
        Err(Error::Done) => EAGAIN,
        Err(Error::BufferTooShort) => E2BIG,
        Err(Error::InvalidState) => ESTATE,
        Err(e) => error::code(e),
    })
}

#[no_mangle]
pub unsafe extern "C" fn qp_engine_dgram_max(conn: *const Conn) -> i64 {
    // SAFETY: see above.
    let conn = unsafe { &*conn };
    conn.peek(-1, |c| c.dgram_max_writable_len().map_or(-1, |n| n as i64))
}

#[no_mangle]
pub unsafe extern "C" fn qp_engine_dgram_next(conn: *const Conn) -> i64 {
    // SAFETY: see above.
    let conn = unsafe { &*conn };
    conn.peek(-1, |c| c.dgram_recv_front_len().map_or(-1, |n| n as i64))
}

#[no_mangle]
pub unsafe extern "C" fn qp_engine_dgram_recv(conn: *mut Conn, out: *mut u8, cap: usize) -> i64 {
    // SAFETY: see above.
    let (conn, out) = unsafe { (&mut *conn, std::slice::from_raw_parts_mut(out, cap)) };
    conn.guarded(EENGINE.into(), |c| {
        match c.dgram_recv_front_len() {
            None => return EAGAIN.into(),
            Some(n) if n > out.len() => return EINVAL.into(),
            Some(_) => {}
        }
        c.dgram_recv(out)
            .map_or_else(|e| error::code(e).into(), |n| n as i64)
    })
}
