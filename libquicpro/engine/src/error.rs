//! Translation of quiche's errors: its numbers overlap errno and stay in here.

use libc::c_int;

// The values of quicpro/base.h; tests/c/test_engine.c compares them.
pub const EINVAL: c_int = -libc::EINVAL;
pub const EAGAIN: c_int = -libc::EAGAIN;
pub const E2BIG: c_int = -libc::E2BIG;
pub const ESTALE: c_int = -1000;
pub const EPROTO: c_int = -1001;
pub const EENGINE: c_int = -1002;
pub const ESTATE: c_int = -1003;
pub const ELIMIT: c_int = -1004;
pub const ETLS: c_int = -1005;
pub const ERESET: c_int = -1011;
pub const EVERSION: c_int = -1012;

pub fn code(error: quiche::Error) -> c_int {
    use quiche::Error;
    match error {
        Error::Done => EAGAIN,
        Error::UnknownVersion => EVERSION,
        Error::InvalidStreamState(_) => ESTALE,
        Error::TlsFail | Error::CryptoFail => ETLS,
        Error::StreamLimit => ELIMIT,
        Error::StreamStopped(_) | Error::StreamReset(_) => ERESET,
        Error::InvalidState => ESTALE,
        Error::BufferTooShort => EINVAL,
        _ => EPROTO,
    }
}
