//! What a stream keeps until it is acknowledged: copies, or memory that C lends.

use quiche::{BufFactory, BufSplit};
use std::ptr::NonNull;
use std::sync::Arc;

/// `struct qp_engine_block`: the head of memory by malloc(3), with the number of those who need it.
#[repr(C)]
pub struct Block {
    users: u32,
}

/// Bytes of a block, of which this is one of the users. One thread at a time has a connection and
/// the blocks lent to it (qp_engine.h), so the count needs no atomics.
#[derive(Debug)]
pub struct Lent {
    block: NonNull<Block>,
    data: *const u8,
    len: usize,
}

impl Lent {
    /// SAFETY: `data` has `len` bytes inside the block, which stay as they are while it has users.
    pub unsafe fn new(block: NonNull<Block>, data: *const u8, len: usize) -> Self {
        // SAFETY: the caller is a user, so the block is there.
        unsafe { (*block.as_ptr()).users += 1 };
        Self { block, data, len }
    }

    fn part(&self, from: usize, to: usize) -> Self {
        let len = self.as_ref()[from..to].len();
        // SAFETY: within our own bytes, whose block has a user: us.
        unsafe { Self::new(self.block, self.data.add(from), len) }
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: as promised to new().
        unsafe { std::slice::from_raw_parts(self.data, self.len) }
    }
}

impl Clone for Lent {
    fn clone(&self) -> Self {
        self.part(0, self.len)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        // SAFETY: we are a user, and the last one frees what malloc() gave.
        unsafe {
            let block = self.block.as_ptr();
            (*block).users -= 1;
            if (*block).users == 0 {
                libc::free(block.cast());
            }
        }
    }
}

#[derive(Clone, Debug)]
pub enum Piece {
    Copied(Arc<[u8]>),
    Lent(Lent),
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        match self {
            Piece::Copied(bytes) => bytes,
            Piece::Lent(lent) => lent.as_ref(),
        }
    }
}

impl BufSplit for Piece {
    fn split_at(&mut self, at: usize) -> Self {
        let (first, rest) = match self {
            Piece::Copied(bytes) => (Self::Copied(bytes[..at].into()), bytes[at..].into()),
            Piece::Lent(lent) => {
                let rest = lent.part(at, lent.len);
                lent.len = at;
                return Self::Lent(rest);
            }
        };
        *self = first;
        Self::Copied(rest)
    }
}

/// Makes the pieces of connections.
#[derive(Clone, Debug, Default)]
pub struct Pieces;

impl BufFactory for Pieces {
    type Buf = Piece;
    type DgramBuf = Vec<u8>;

    fn buf_from_slice(buf: &[u8]) -> Piece {
        Piece::Copied(buf.into())
    }

    fn dgram_buf_from_slice(buf: &[u8]) -> Vec<u8> {
        buf.into()
    }
}
