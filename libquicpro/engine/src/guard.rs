//! Panics end here: one in quiche costs its connection, never the process.

use std::cell::RefCell;
use std::panic::{catch_unwind, set_hook, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    static LAST: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Keeps the text of a panic for the log instead of printing it. The hook is the one thing that is
/// global to the Rust runtime inside this library, which nothing else in the process shares.
pub fn keep_panics_quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        set_hook(Box::new(|info| {
            LAST.with(|last| {
                if let Ok(mut last) = last.try_borrow_mut() {
                    *last = info.to_string().replace('\n', ": ");
                }
            });
        }));
    });
}

/// Runs `f`; `None` if it panicked.
pub fn catch<T>(f: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(f)).ok()
}

#[no_mangle]
pub unsafe extern "C" fn qp_engine_panic_text(out: *mut libc::c_char, size: usize) -> usize {
    if size == 0 {
        return 0;
    }
    LAST.with(|last| {
        let text = last.borrow();
        let len = text.len().min(size - 1);
        // SAFETY: the caller's buffer has `size` bytes, and len < size.
        unsafe {
            std::ptr::copy_nonoverlapping(text.as_ptr().cast(), out, len);
            *out.add(len) = 0;
        }
        len
    })
}
