//! The time of this thread: nanoseconds from outside, `Instant`s inside.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Time zero. With the system's clock as origin, so that the times a caller reads from it are the
/// instants that quiche would have read itself.
fn zero() -> Instant {
    static ZERO: OnceLock<Instant> = OnceLock::new();
    *ZERO.get_or_init(|| {
        let mut ts = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let now = Instant::now();
        // SAFETY: a valid clock and a valid struct.
        unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut ts) };
        now.checked_sub(Duration::new(ts.tv_sec as u64, ts.tv_nsec as u32))
            .unwrap_or(now)
    })
}

/// An instant as the C side counts.
pub fn nanoseconds(at: Instant) -> u64 {
    at.saturating_duration_since(zero())
        .as_nanos()
        .try_into()
        .unwrap_or(u64::MAX)
}

#[no_mangle]
pub extern "C" fn qp_engine_set_now(now: u64) {
    quiche::clock::set_now((now != u64::MAX).then(|| zero() + Duration::from_nanos(now)));
}
