//! An allocator that keeps something back: Rust ends the process when memory runs out, and a library
//! must not. The first allocation that fails gives the reserve away and is tried again; the call that
//! needed it ends normally, and then costs its connection.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::sync::atomic::{AtomicPtr, Ordering};

/// More than any one call into the engine takes: a call handles one train of datagrams (64 KiB).
const SIZE: usize = 1 << 20;
const LAYOUT: Layout = match Layout::from_size_align(SIZE, 16) {
    Ok(layout) => layout,
    Err(_) => panic!("a valid layout"),
};

static RESERVE: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());

thread_local! {
    static SHORT: Cell<bool> = const { Cell::new(false) };
}

pub struct Reserving<A>(pub A);

impl<A: GlobalAlloc> Reserving<A> {
    /// Gives the reserve away; false if it is gone already.
    #[cold]
    fn give_away(&self) -> bool {
        let block = RESERVE.swap(std::ptr::null_mut(), Ordering::AcqRel);
        if block.is_null() {
            return false;
        }
        // SAFETY: allocated by keep() from this very allocator; nobody else has it after the swap.
        unsafe { self.0.dealloc(block, LAYOUT) };
        SHORT.with(|short| short.set(true));
        true
    }

    fn keep(&self) {
        if !RESERVE.load(Ordering::Acquire).is_null() {
            return;
        }
        // SAFETY: the layout has a size.
        let block = unsafe { self.0.alloc(LAYOUT) };
        let kept = RESERVE.compare_exchange(
            std::ptr::null_mut(),
            block,
            Ordering::AcqRel,
            Ordering::Acquire,
        );
        if kept.is_err() && !block.is_null() {
            // SAFETY: another thread was faster; this block is still ours.
            unsafe { self.0.dealloc(block, LAYOUT) };
        }
    }
}

// SAFETY: the inner allocator does the work; a failed call is repeated, nothing else changes.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Reserving<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: handed on.
        let p = unsafe { self.0.alloc(layout) };
        if !p.is_null() || !self.give_away() {
            return p;
        }
        // SAFETY: handed on.
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn dealloc(&self, p: *mut u8, layout: Layout) {
        // SAFETY: handed on.
        unsafe { self.0.dealloc(p, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: handed on.
        let p = unsafe { self.0.alloc_zeroed(layout) };
        if !p.is_null() || !self.give_away() {
            return p;
        }
        // SAFETY: handed on.
        unsafe { self.0.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, p: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: handed on.
        let q = unsafe { self.0.realloc(p, layout, size) };
        if !q.is_null() || !self.give_away() {
            return q;
        }
        // SAFETY: handed on; a failed realloc left the block as it was.
        unsafe { self.0.realloc(p, layout, size) }
    }
}

/// Puts a reserve by, if there is none.
pub fn keep() {
    crate::ALLOCATOR.keep();
}

/// Whether this thread has lived on the reserve since the last call.
pub fn taken() -> bool {
    SHORT.with(|short| short.replace(false))
}
