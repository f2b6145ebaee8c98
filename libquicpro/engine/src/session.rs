//! What outlives a connection: its session for resumption, its qlog.

use crate::conn::Conn;
use crate::error::{EENGINE, EINVAL};
use libc::{c_char, c_int, c_void};
use quiche::QlogLevel;
use std::ffi::CStr;

// SAFETY of all functions here: a live connection; buffers with the sizes named (qp_engine.h).

#[no_mangle]
pub unsafe extern "C" fn qp_engine_session(conn: *const Conn, out: *mut u8, cap: usize) -> usize {
    // SAFETY: see above.
    let conn = unsafe { &*conn };
    conn.peek(0, |c| {
        let Some(session) = c.session() else {
            return 0;
        };
        let len = session.len().min(cap);
        // SAFETY: out has cap bytes.
        unsafe { std::ptr::copy_nonoverlapping(session.as_ptr(), out, len) };
        session.len()
    })
}

#[no_mangle]
pub unsafe extern "C" fn qp_engine_set_session(
    conn: *mut Conn,
    data: *const u8,
    len: usize,
) -> c_int {
    // SAFETY: see above.
    let (conn, data) = unsafe { (&mut *conn, std::slice::from_raw_parts(data, len)) };
    conn.guarded(EENGINE, |c| match c.set_session(data) {
        Ok(()) => 0,
        Err(_) => EINVAL,
    })
}

type WriteFn = unsafe extern "C" fn(user: *mut c_void, data: *const u8, len: usize);

/// Hands the records of a qlog to C, each at once: the serializer writes it word by word.
struct Writer {
    write: WriteFn,
    user: *mut c_void,
    record: Vec<u8>,
}

// SAFETY: a connection and its writer stay on one thread at a time; `user` is C's.
unsafe impl Send for Writer {}
// SAFETY: as above.
unsafe impl Sync for Writer {}

impl std::io::Write for Writer {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        self.record.extend_from_slice(data);
        // Inside a record, JSON has it escaped.
        if data.ends_with(b"\n") {
            // SAFETY: the function and its argument belong together, as the caller said.
            unsafe { (self.write)(self.user, self.record.as_ptr(), self.record.len()) };
            self.record.clear();
        }
        Ok(data.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[no_mangle]
pub unsafe extern "C" fn qp_engine_set_qlog(
    conn: *mut Conn,
    level: c_int,
    title: *const c_char,
    write: WriteFn,
    user: *mut c_void,
) -> c_int {
    // SAFETY: see above.
    let (conn, title) = unsafe { (&mut *conn, CStr::from_ptr(title)) };
    let level = match level {
        0 => QlogLevel::Core,
        1 => QlogLevel::Base,
        _ => QlogLevel::Extra,
    };
    let title = title.to_string_lossy().into_owned();
    let writer = Box::new(Writer {
        write,
        user,
        record: Vec::new(),
    });
    conn.guarded(EENGINE, |c| {
        c.set_qlog_with_level(writer, title, String::new(), level);
        0
    })
}
