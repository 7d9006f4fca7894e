//! The least that taking and giving back can cost: a `fetch_add` and a `fetch_sub` of one word.

use crate::rounds::{Plan, Side};
use crate::timing::{alone, each, together};
use crossbeam_utils::CachePadded;
use std::hint::black_box;
use std::sync::atomic::{AtomicI64, Ordering};

/// On one thread.
pub const ALONE: &str = "bare pair";
/// On two threads that do not meet.
pub const APART: &str = "bare pairs, two threads, own lines";
/// On two threads that do.
pub const CONTENDED: &str = "bare pairs, two threads, one line";

/// Bytes that every side takes and gives back.
pub const BYTES: u64 = 4_096;

/// A word on a line of its own.
#[derive(Default)]
pub struct Word(CachePadded<AtomicI64>);

impl Word {
    /// The bare pair.
    #[inline]
    pub fn pair(&self) {
        // AcqRel: what a request and a release pay at least; nothing else pairs with it.
        black_box(self).0.fetch_add(black_box(BYTES as i64), Ordering::AcqRel);
        black_box(self).0.fetch_sub(black_box(BYTES as i64), Ordering::AcqRel);
    }
}

/// On one thread: what every round is checked by.
pub fn alone_on<'a>(plan: &Plan, word: &'a Word) -> Side<'a> {
    let short = Plan { side_ms: plan.side_ms / 4, ..*plan };
    alone(&short, ALONE, each(|| word.pair()))
}

/// On one thread and on two in turns, each its own line: what a round of two threads is checked by.
/// Two threads that have a core each are as fast as one.
pub fn apart<'a>(plan: &Plan, words: &'a [Word; 2]) -> Side<'a> {
    let mut alone = alone_on(plan, &words[0]);
    let half = Plan { side_ms: plan.side_ms / 2, ..*plan };
    let mut both = together(&half, APART, 2, |k, times| {
        (0..times).for_each(|_| words[k].pair());
    });
    let mut turn = 0;
    Side::new(APART, move || {
        turn += 1;
        if turn % 2 == 0 { (both.measure)() } else { (alone.measure)() }
    })
}

/// On two threads, both the same line.
pub fn contended<'a>(plan: &Plan, word: &'a Word) -> Side<'a> {
    together(plan, CONTENDED, 2, |_, times| (0..times).for_each(|_| word.pair()))
}
