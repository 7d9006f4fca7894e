//! What the line gave out lately: bytes handed to waiters, and the time they were waited for.
//!
//! ```text
//! rate = bytes handed to who stood in line / time in which somebody there was short of them
//! ```
//!
//! The line gets on by the bytes that are handed to who stood there. Those that somebody wants no
//! more are owed no more, and say nothing of the rate; whose deadline passes is foreseen
//! (`estimate.rs`).
//!
//! Time in which nobody waits does not count, nor does time in which all who wait are at limits of
//! their own: what comes free in it goes to others than the line. Bytes count for waiters that have
//! stood there for some time; who is served as it enters has found what was free already.
//!
//! A ring of slots, each for some waiting and what it ended in. The answer sums the newest of them:
//! about the last [`WINDOW_NS`] of waiting, or as much more as it takes to find
//! [`INSTANTS_ENOUGH`] instants at which somebody was served. Where bytes come free in large and
//! rare lumps the window grows with the gaps between them; where a long stall is over, it is
//! forgotten as soon as there is enough to go by.
//!
//! Written only by whoever holds the line, read by anyone without blocking. All accesses are
//! relaxed: a reader that a writer overtakes sums slots of different times, and what it answers is
//! an estimate in any case. Models leave it out: nothing is decided by it.

use super::sync::{AtomicU32, AtomicU64, Ordering};

/// Whether all of it is left out: models have no more steps to order than they need.
const OFF: bool = cfg!(allot_loom);
/// Slots of the ring.
const SLOTS: usize = if OFF { 1 } else { 16 };
/// Waiting that an answer is about, in ns.
pub const WINDOW_NS: u64 = 10_000_000_000;
/// Waiting that a slot is for, at the least, in ns.
pub const SLOT_NS: u64 = WINDOW_NS / SLOTS as u64;
/// Instants at which somebody was served, below which nothing is known.
pub const INSTANTS_MIN: u64 = 2;
/// Instants for which an answer goes back further than [`WINDOW_NS`].
pub const INSTANTS_ENOUGH: u64 = 8;

/// Every slot but the newest has an instant: the ring holds what the answer goes back for.
const _: () = assert!(INSTANTS_MIN <= INSTANTS_ENOUGH && (INSTANTS_ENOUGH < SLOTS as u64 || OFF));

/// What was handed out in some waiting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lately {
    /// Bytes handed to waiters.
    pub bytes: u64,
    /// Time in which somebody was short of them.
    pub waited_ns: u64,
    /// Different instants at which somebody was served.
    pub instants: u64,
}

impl Lately {
    /// How long it takes to hand out so many bytes at this rate; none if the rate is zero.
    pub fn wait_ns(&self, bytes: u64) -> Option<u64> {
        let product = u128::from(bytes) * u128::from(self.waited_ns);
        let wait_ns = product.checked_div(u128::from(self.bytes))?;
        Some(u64::try_from(wait_ns).unwrap_or(u64::MAX))
    }

    /// Bytes handed out at one instant, on average.
    pub fn lump(&self) -> u64 {
        self.bytes / self.instants.max(1)
    }

    fn plus(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_add(other.bytes),
            waited_ns: self.waited_ns.saturating_add(other.waited_ns),
            instants: self.instants + other.instants,
        }
    }
}

#[derive(Default)]
struct Slot {
    bytes: AtomicU64,
    waited_ns: AtomicU64,
    instants: AtomicU64,
}

impl Slot {
    fn get(&self) -> Lately {
        // Relaxed: as all of this file.
        let get = |word: &AtomicU64| word.load(Ordering::Relaxed);
        let (bytes, waited_ns) = (get(&self.bytes), get(&self.waited_ns));
        Lately { bytes, waited_ns, instants: get(&self.instants) }
    }

    fn set(&self, to: Lately) {
        // Relaxed: as all of this file.
        let set = |word: &AtomicU64, value| word.store(value, Ordering::Relaxed);
        set(&self.bytes, to.bytes);
        set(&self.waited_ns, to.waited_ns);
        set(&self.instants, to.instants);
    }

    fn add(&self, more: Lately) {
        self.set(self.get().plus(more));
    }
}

/// The ring.
#[derive(Default)]
pub struct Turnover {
    slots: [Slot; SLOTS],
    newest: AtomicU32,
    /// When the line was looked at last.
    looked_ns: AtomicU64,
    /// When somebody was served last, plus one.
    served_ns: AtomicU64,
    /// Whether somebody was found short of bytes in the look that is going on, or the last one.
    short: AtomicU32,
    /// Whether somebody was before it.
    was_short: AtomicU32,
}

impl Turnover {
    fn get(word: &AtomicU32) -> u32 {
        // Relaxed: as all of this file.
        word.load(Ordering::Relaxed)
    }

    fn set(word: &AtomicU32, value: u32) {
        // Relaxed: as all of this file.
        word.store(value, Ordering::Relaxed);
    }

    fn get_ns(word: &AtomicU64) -> u64 {
        // Relaxed: as all of this file.
        word.load(Ordering::Relaxed)
    }

    fn set_ns(word: &AtomicU64, value: u64) {
        // Relaxed: as all of this file.
        word.store(value, Ordering::Relaxed);
    }

    fn slot(&self, index: u32) -> &Slot {
        &self.slots[index as usize % SLOTS]
    }

    /// A look along the line begins. Only whoever holds the line. A time before that of the last
    /// look counts as the same.
    pub fn look(&self, now_ns: u64) {
        if OFF {
            return;
        }
        let looked_ns = Self::get_ns(&self.looked_ns);
        let passed_ns = now_ns.saturating_sub(looked_ns);
        let short = Self::get(&self.short) != 0;
        // At the same instant those who were short before are, although they are served by now.
        let was_short = short || passed_ns == 0 && Self::get(&self.was_short) != 0;
        Self::set(&self.was_short, was_short.into());
        Self::set(&self.short, 0);
        Self::set_ns(&self.looked_ns, looked_ns + passed_ns);
        if !short || passed_ns == 0 {
            return;
        }
        let newest = Self::get(&self.newest);
        let full = self.slot(newest).get();
        let more = Lately { waited_ns: passed_ns, ..Lately::default() };
        if full.waited_ns < SLOT_NS || full.instants == 0 {
            return self.slot(newest).add(more);
        }
        self.slot(newest.wrapping_add(1)).set(more);
        Self::set(&self.newest, newest.wrapping_add(1));
    }

    /// In this look somebody is short of bytes of others than itself, or was not looked at. Only
    /// whoever holds the line.
    pub fn short(&self) {
        if !OFF {
            Self::set(&self.short, 1);
        }
    }

    /// In this look a waiter that entered at `entered_ns` is served. Only whoever holds the line.
    pub fn served(&self, bytes: u64, entered_ns: u64) {
        let now_ns = Self::get_ns(&self.looked_ns);
        if !self.counts(entered_ns) {
            return;
        }
        let same = Self::get_ns(&self.served_ns) == now_ns.wrapping_add(1);
        Self::set_ns(&self.served_ns, now_ns.wrapping_add(1));
        let served = Lately { bytes, instants: u64::from(!same), ..Lately::default() };
        self.slot(Self::get(&self.newest)).add(served);
    }

    /// Whether a waiter that stood in line since then was short of bytes of others, for some time.
    fn counts(&self, entered_ns: u64) -> bool {
        !OFF && Self::get(&self.was_short) != 0 && entered_ns < Self::get_ns(&self.looked_ns)
    }

    /// What was handed out lately; none if that is nothing, or less than can be judged by:
    /// [`INSTANTS_MIN`] instants. Waiting that goes on counts up to `now_ns`.
    ///
    /// Steps: three loads for each slot.
    pub fn lately(&self, now_ns: u64) -> Option<Lately> {
        let going_on = Self::get(&self.short) != 0;
        let since_ns = now_ns.saturating_sub(Self::get_ns(&self.looked_ns));
        let mut sum =
            Lately { waited_ns: if going_on { since_ns } else { 0 }, ..Lately::default() };
        let newest = Self::get(&self.newest);
        for back in 0..SLOTS as u32 {
            let next = sum.plus(self.slot(newest.wrapping_sub(back)).get());
            if next.waited_ns > WINDOW_NS && sum.instants >= INSTANTS_ENOUGH {
                break;
            }
            sum = next;
        }
        let known = sum.instants >= INSTANTS_MIN && sum.bytes > 0 && sum.waited_ns > 0;
        known.then_some(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Somebody is short for that long, and then somebody is served.
    fn wait(turnover: &Turnover, now_ns: &mut u64, waited_ns: u64) {
        turnover.short();
        *now_ns += waited_ns;
        turnover.look(*now_ns);
        turnover.short();
        turnover.served(1, 0);
    }

    #[test]
    fn a_slot_is_for_as_much_waiting_as_it_is_for() {
        let (turnover, mut now_ns) = (Turnover::default(), 0);
        for (waited_ns, newest) in [(SLOT_NS - 1, 0), (1, 0), (1, 1), (SLOT_NS, 1), (1, 2)] {
            wait(&turnover, &mut now_ns, waited_ns);
            assert_eq!(Turnover::get(&turnover.newest), newest, "at {now_ns} ns");
        }
    }

    #[test]
    fn an_answer_is_about_the_whole_window() {
        let (turnover, mut now_ns) = (Turnover::default(), 0);
        assert_eq!(turnover.lately(now_ns), None);
        (0..SLOTS).for_each(|_| wait(&turnover, &mut now_ns, SLOT_NS));
        let whole = turnover.lately(now_ns).unwrap();
        assert_eq!((whole.waited_ns, whole.instants), (WINDOW_NS, SLOTS as u64));
    }
}
