//! Words that threads share, and counts in them.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A number.
#[expect(clippy::disallowed_types, reason = "no part of the core's models")]
pub(super) type Word = std::sync::atomic::AtomicU64;

/// Counts one more.
pub(super) fn one(count: &Word) {
    // Relaxed: a statistic.
    count.fetch_add(1, Relaxed);
}

/// What was counted so far.
pub(super) fn of(count: &Word) -> u64 {
    // Relaxed: a statistic.
    count.load(Relaxed)
}

/// What a panic leaves behind is as good as before.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
