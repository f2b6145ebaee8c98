//! Streams: bytes in and out, resets, who is ready.

use crate::conn::Conn;
use crate::error::{self, EENGINE};
use crate::piece::{Block, Lent, Piece};
use libc::c_int;
use quiche::{Error, Shutdown};
use std::ptr::NonNull;

// SAFETY of all functions here: a live connection; buffers with the sizes named (qp_engine.h).

#[no_mangle]
pub unsafe extern "C" fn qp_engine_readable_next(conn: *mut Conn) -> i64 {
    // SAFETY: see above.
    let conn = unsafe { &mut *conn };
    conn.guarded(-1, |c| c.stream_readable_next().map_or(-1, |id| id as i64))
}

#[no_mangle]
pub unsafe extern "C" fn qp_engine_writable_next(
    conn: *mut Conn,
    stopped: *mut c_int,
    code: *mut u64,
) -> i64 {
    // SAFETY: see above.
    let (conn, stopped, code) = unsafe { (&mut *conn, &mut *stopped, &mut *code) };
    *stopped = 0;
    conn.guarded(-1, |c| {
        let Some(id) = c.stream_writable_next() else {
            return -1;
        };
        if let Err(Error::StreamStopped(wire)) = c.stream_capacity(id) {
            *stopped = 1;
            *code = wire;
        }
        id as i64
    })
}

#[no_mangle]
pub unsafe extern "C" fn qp_engine_stream_collected(conn: *mut Conn, id: u64) -> c_int {
    // SAFETY: see above.
    let conn = unsafe { &mut *conn };
    conn.guarded(1, |c| {
        matches!(c.stream_capacity(id), Err(Error::InvalidStreamState(_))).into()
    })
}

#[no_mangle]
pub unsafe extern "C" fn qp_engine_stream_stopped(
    conn: *mut Conn,
    id: u64,
    code: *mut u64,
) -> c_int {
    // SAFETY: see above.
    let (conn, code) = unsafe { (&mut *conn, &mut *code) };
    conn.guarded(0, |c| match c.stream_capacity(id) {
        Err(Error::StreamStopped(wire)) => {
            *code = wire;
            1
        }
        _ => 0,
    })
}

#[no_mangle]
pub unsafe extern "C" fn qp_engine_stream_recv(
    conn: *mut Conn,
    id: u64,
    out: *mut u8,
    cap: usize,
    fin: *mut c_int,
    code: *mut u64,
) -> i64 {
    // SAFETY: see above.
    let (conn, out, fin, code) = unsafe {
        (
            &mut *conn,
            std::slice::from_raw_parts_mut(out, cap),
            &mut *fin,
            &mut *code,
        )
    };
    conn.guarded(EENGINE.into(), |c| match c.stream_recv(id, out) {
        Ok((len, end)) => {
            *fin = end.into();
            len as i64
        }
        Err(e) => {
            if let Error::StreamReset(wire) = e {
                *code = wire;
            }
            error::code(e).into()
        }
    })
}

#[no_mangle]
pub unsafe extern "C" fn qp_engine_stream_send(
    conn: *mut Conn,
    id: u64,
    data: *const u8,
    len: usize,
    fin: c_int,
    code: *mut u64,
) -> i64 {
    // SAFETY: see above; data may be dangling when len is 0.
    let (conn, data, code) = unsafe {
        (
            &mut *conn,
            if len == 0 {
                &[][..]
            } else {
                std::slice::from_raw_parts(data, len)
            },
            &mut *code,
        )
    };
    conn.guarded(EENGINE.into(), |c| {
        taken(c.stream_send(id, data, fin != 0), code)
    })
}

/// Bytes taken, or an error, with the peer's code if it wants no more.
fn taken(result: quiche::Result<usize>, code: &mut u64) -> i64 {
    match result {
        Ok(sent) => sent as i64,
        Err(e) => {
            if let Error::StreamStopped(wire) = e {
                *code = wire;
            }
            error::code(e).into()
        }
    }
}

#[no_mangle]
pub unsafe extern "C" fn qp_engine_stream_lend(
    conn: *mut Conn,
    id: u64,
    block: *mut Block,
    data: *const u8,
    len: usize,
    fin: c_int,
    code: *mut u64,
) -> i64 {
    // SAFETY: see above; the caller is a user of the block, which data is inside of.
    let (conn, lent, code) = unsafe {
        (
            &mut *conn,
            Lent::new(NonNull::new_unchecked(block), data, len),
            &mut *code,
        )
    };
    conn.guarded(EENGINE.into(), |c| {
        let sent = c.stream_send_zc(id, Piece::Lent(lent), fin != 0);
        taken(sent.map(|(sent, _)| sent), code)
    })
}

/// SAFETY: as the others.
unsafe fn shutdown(conn: *mut Conn, id: u64, direction: Shutdown, code: u64) -> c_int {
    // SAFETY: see above.
    let conn = unsafe { &mut *conn };
    conn.guarded(EENGINE, |c| match c.stream_shutdown(id, direction, code) {
        Ok(()) => 0,
        Err(e) => error::code(e),
    })
}

#[no_mangle]
pub unsafe extern "C" fn qp_engine_stream_stop_read(conn: *mut Conn, id: u64, code: u64) -> c_int {
    // SAFETY: handed on.
    unsafe { shutdown(conn, id, Shutdown::Read, code) }
}

#[no_mangle]
pub unsafe extern "C" fn qp_engine_stream_reset_write(
    conn: *mut Conn,
    id: u64,
    code: u64,
) -> c_int {
    // SAFETY: handed on.
    unsafe { shutdown(conn, id, Shutdown::Write, code) }
}

#[no_mangle]
pub unsafe extern "C" fn qp_engine_stream_priority(
    conn: *mut Conn,
    id: u64,
    urgency: u8,
    incremental: c_int,
) -> c_int {
    // SAFETY: see above.
    let conn = unsafe { &mut *conn };
    conn.guarded(EENGINE, |c| {
        c.stream_priority(id, urgency, incremental != 0)
            .map_or_else(error::code, |()| 0)
    })
}

#[no_mangle]
pub unsafe extern "C" fn qp_engine_streams_left(conn: *const Conn, bidi: c_int) -> u64 {
    // SAFETY: see above.
    let conn = unsafe { &*conn };
    conn.peek(0, |c| {
        if bidi != 0 {
            c.peer_streams_left_bidi()
        } else {
            c.peer_streams_left_uni()
        }
    })
}
