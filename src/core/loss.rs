//! Events that are not recorded, by count, and when that is so: while the keeper of a ring is a
//! whole ring behind, to overwrite what it has not read would only lose other events, and at the
//! price of a record. A loss costs a comparison and a count instead, in a stripe of its account.
//!
//! Invariants:
//!
//! ```text
//! S1  events = recorded + total
//! S2  whoever reads a record sees every loss in `total` that happened before its push
//! ```
//!
//! S2 needs no ordering of its own: a loss is counted before whatever its caller does next, and a
//! record is published with Release and read with Acquire.

use super::sync::{AtomicU64, Ordering};
use crossbeam_utils::CachePadded;

/// Counts of losses, so that tenants who lose at once are not in each other's way. A model has
/// few, as every atomic makes it slower.
const STRIPES: usize = if cfg!(allot_loom) { 2 } else { 16 };

/// Room left for those who have looked and not pushed yet, and for administration, as a part of
/// the ring.
const MARGIN_PART: u64 = 8;

/// Where recording ends for now.
const NEVER: u64 = u64::MAX;

/// See the top of this file.
pub struct Losses {
    /// The sequence number from which on nothing is recorded until the keeper has read on.
    limit: CachePadded<AtomicU64>,
    stripes: [CachePadded<AtomicU64>; STRIPES],
    /// What the keeper has taken of the total.
    taken: AtomicU64,
}

impl Losses {
    /// None so far, and nobody is waited for.
    pub fn new() -> Self {
        Self {
            limit: CachePadded::new(AtomicU64::new(NEVER)),
            stripes: std::array::from_fn(|_| CachePadded::new(AtomicU64::new(0))),
            taken: AtomicU64::new(0),
        }
    }

    /// Whether the keeper is too far behind for one more, with so many pushed.
    #[inline]
    pub fn are_due(&self, pushed: u64) -> bool {
        // Relaxed: a hint; what is overwritten in spite of it is counted by the ring.
        pushed >= self.limit.load(Ordering::Relaxed)
    }

    /// Counts one.
    pub fn count(&self, account: u32) {
        // Relaxed: S2 follows from what orders the records.
        self.stripes[account as usize % STRIPES].fetch_add(1, Ordering::Relaxed);
    }

    /// The keeper of a ring of that capacity has read up to a sequence number.
    pub fn keep_after(&self, next: u64, capacity: u64) {
        let limit = next + capacity - capacity / MARGIN_PART;
        // Relaxed: see `are_due`.
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// Nobody keeps the ring any more: the oldest records are overwritten again.
    pub fn keep_nothing(&self) {
        // Relaxed: see `are_due`.
        self.limit.store(NEVER, Ordering::Relaxed);
    }

    /// All so far.
    pub fn total(&self) -> u64 {
        // Relaxed: S2 follows from what orders the records.
        self.stripes.iter().map(|stripe| stripe.load(Ordering::Relaxed)).sum()
    }

    /// Those since the last call. For the one keeper.
    pub fn take(&self) -> u64 {
        let total = self.total();
        // Relaxed: only the keeper uses it.
        total - self.taken.swap(total, Ordering::Relaxed)
    }
}

impl Default for Losses {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_margin_is_kept_before_what_was_not_read_is_overwritten() {
        let losses = Losses::new();
        assert!(!losses.are_due(NEVER - 1));
        for (next, capacity) in [(0, 1 << 10), (77, 1 << 16), (5, 1)] {
            losses.keep_after(next, capacity);
            let due = next + capacity - capacity / MARGIN_PART;
            assert!(losses.are_due(due) && (due == 0 || !losses.are_due(due - 1)));
            assert!(due <= next + capacity);
        }
        losses.keep_nothing();
        assert!(!losses.are_due(NEVER - 1));
    }
}
