//! What a queue remembers beyond its one hot line: the slots that were freed, and what evictions
//! taught. Kept apart, in a table of its own, so that a queue which never evicts costs no memory
//! for it, and a request touches one line of its queue.

use super::lessons::Lessons;
use super::region::{Table, Zeroed};
use super::sync::{AtomicU32, Ordering};

/// Slots remembered as freed a moment ago: a line of memory.
pub const HINTS: usize = if cfg!(allot_loom) { 2 } else { 16 };

/// The past of one queue.
#[repr(C, align(64))]
pub struct Past {
    /// Slots freed last, plus one, in a ring.
    freed: [AtomicU32; HINTS],
    /// Where the ring begins and ends; counts up.
    freed_begin: AtomicU32,
    freed_end: AtomicU32,
    /// What evictions taught.
    pub lessons: Lessons,
}

// SAFETY: atomics only; all zero is a queue that nothing was freed in.
unsafe impl Zeroed for Past {
    fn empty() -> Self {
        let zero = || AtomicU32::new(0);
        let freed = std::array::from_fn(|_| zero());
        Self { freed, freed_begin: zero(), freed_end: zero(), lessons: Lessons::empty() }
    }
}

impl Past {
    /// Of the slots that are remembered the one freed longest ago, plus one; 0 if there is none: an
    /// owner may still ask what became of the grant that had it.
    pub fn take_freed(&self) -> u32 {
        // Relaxed: hints, also of where the hints are; the exchange on the slot's word decides.
        let order = Ordering::Relaxed;
        let (begin, end) = (self.freed_begin.load(order), self.freed_end.load(order));
        if begin == end {
            return 0;
        }
        // The first were overwritten since; or two threads have met, and it is after the end.
        let lost = end.wrapping_sub(begin) > HINTS as u32;
        let first = if lost { end.wrapping_sub(HINTS as u32) } else { begin };
        self.freed_begin.store(first.wrapping_add(1), order);
        self.freed[first as usize % HINTS].load(order)
    }

    /// Remembers a slot that was freed, if need be in place of another.
    pub fn note_freed(&self, slot: u32) {
        // Relaxed: a hint, as in `take_freed`.
        let order = Ordering::Relaxed;
        let next = self.freed_end.load(order);
        self.freed[next as usize % HINTS].store(slot + 1, order);
        self.freed_end.store(next.wrapping_add(1), order);
    }

    /// Whether nothing was ever freed here, nor learned.
    fn is_blank(&self) -> bool {
        // Relaxed: a figure for people.
        self.freed_end.load(Ordering::Relaxed) == 0 && self.lessons.is_blank()
    }
}

/// The pasts of all queues.
pub struct Pasts(Table<Past>);

impl Pasts {
    /// For so many queues; at least one.
    pub fn new(queues_max: usize) -> Self {
        Self(Table::new(queues_max.max(1)))
    }

    /// The past of a queue.
    #[inline]
    pub fn of(&self, queue: u32) -> &Past {
        &self.0[queue]
    }

    /// Bytes of those that were written to, of the first so many.
    pub fn tracking_bytes(&self, queues: u32) -> u64 {
        let written = self.0.range(0..queues).iter().filter(|past| !past.is_blank()).count();
        (written * size_of::<Past>()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::super::region::tests::{assert_empty_is_zeroed, words};
    use super::*;

    words! { Past: freed freed_begin freed_end lessons }

    #[test]
    fn an_empty_cell_is_a_zeroed_one() {
        assert_empty_is_zeroed::<Past>();
    }

    /// Who was freed first is told first, as long as there is room to remember; then the oldest are
    /// forgotten.
    #[test]
    fn the_last_that_were_freed_are_told_in_their_order() {
        let past = Past::empty();
        assert_eq!(past.take_freed(), 0);
        for count in [1, 2, HINTS as u32, HINTS as u32 + 4, 3 * HINTS as u32] {
            (0..count).for_each(|slot| past.note_freed(100 + slot));
            let told = std::iter::from_fn(|| past.take_freed().checked_sub(1));
            assert!(told.eq(count.saturating_sub(HINTS as u32) + 100..count + 100), "{count}");
        }
    }

    #[test]
    fn only_a_past_that_was_written_to_counts() {
        let pasts = Pasts::new(4);
        let each = size_of::<Past>() as u64;
        assert_eq!(pasts.tracking_bytes(4), 0);
        pasts.of(1).note_freed(3);
        assert_eq!((pasts.tracking_bytes(4), pasts.tracking_bytes(1)), (each, 0));
        pasts.of(2).lessons.returned(1, 0, 100);
        pasts.of(3).note_freed(3);
        pasts.of(3).lessons.returned(1, 0, 100);
        assert_eq!(pasts.tracking_bytes(4), 3 * each);
    }
}
