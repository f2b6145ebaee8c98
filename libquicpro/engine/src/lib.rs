//! Everything foreign inside libquicpro, behind `qp_engine.h`, whose comments are the manual.
//!
//! The crate names quiche, boring and nghttp3-sys so that BoringSSL's and nghttp3's C symbols end
//! up in the static library; of quiche nothing is exported but the functions of this crate.

#![allow(clippy::missing_safety_doc)] // the header says what callers owe
#![deny(unsafe_op_in_unsafe_fn)]

mod addr;
mod clock;
mod config;
mod conn;
mod dgram;
mod error;
mod guard;
mod path;
mod piece;
mod reserve;
mod session;
mod stats;
mod stream;

/// Keeps nghttp3 in the link: C code calls it directly.
#[doc(hidden)]
pub use nghttp3_sys as _nghttp3;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: reserve::Reserving<mimalloc::MiMalloc> = reserve::Reserving(mimalloc::MiMalloc);

#[cfg(not(feature = "mimalloc"))]
#[global_allocator]
static ALLOCATOR: reserve::Reserving<std::alloc::System> = reserve::Reserving(std::alloc::System);

#[allow(non_upper_case_globals, missing_docs)]
mod abi {
    include!(concat!(env!("OUT_DIR"), "/abi.rs"));
}

/// Version of the quiche crate, which `Cargo.toml` pins.
#[no_mangle]
pub extern "C" fn qp_engine_quiche_version() -> *const libc::c_char {
    c"0.30.0".as_ptr()
}
