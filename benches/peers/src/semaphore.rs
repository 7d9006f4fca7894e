//! tokio's semaphore, a permit for each byte.

use crate::bare::BYTES;
use crate::rounds::{Plan, Side};
use crate::timing::{alone, each, together};
use std::hint::black_box;
use tokio::sync::Semaphore;

/// On one thread.
pub const SEMAPHORE: &str = "`Semaphore`: try_acquire_many + drop";
/// On two threads.
pub const SEMAPHORE_TOGETHER: &str = "`Semaphore`: try_acquire_many + drop, two threads";

/// A semaphore never has more permits than fit in this.
const PERMITS: usize = 1 << 40;

/// A semaphore of a permit for each byte.
pub fn semaphore() -> Semaphore {
    Semaphore::new(PERMITS.min(Semaphore::MAX_PERMITS))
}

/// On this thread.
pub fn side<'a>(plan: &Plan, semaphore: &'a Semaphore) -> Side<'a> {
    alone(plan, SEMAPHORE, each(|| take_and_drop(semaphore)))
}

/// On two threads.
pub fn side_together<'a>(plan: &Plan, semaphore: &'a Semaphore) -> Side<'a> {
    together(plan, SEMAPHORE_TOGETHER, 2, |_, times| {
        (0..times).for_each(|_| take_and_drop(semaphore));
    })
}

#[inline]
fn take_and_drop(semaphore: &Semaphore) {
    let permits = semaphore.try_acquire_many(black_box(BYTES as u32)).expect("enough permits");
    black_box(&permits);
}
