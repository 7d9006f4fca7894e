//! The yardstick: one `fetch_add` and one `fetch_sub`. Whoever counts the bytes of several threads
//! in one word pays at least this much.

use std::hint::black_box;
use std::sync::atomic::{AtomicI64, Ordering};

use crossbeam_utils::CachePadded;

/// A word with a cache line to itself.
#[derive(Default)]
pub(super) struct Bare {
    line: CachePadded<AtomicI64>,
}

impl Bare {
    /// Adds and takes away again; says whether the word was never below zero.
    #[inline]
    pub fn pair(&self) -> bool {
        let line: &AtomicI64 = black_box(&self.line);
        // AcqRel: what a request and its release need at least; here nothing pairs with it.
        let before = line.fetch_add(black_box(4_096), Ordering::AcqRel);
        black_box(before) >= 0 && line.fetch_sub(black_box(4_096), Ordering::AcqRel) > 0
    }
}
