//! What a search for victims has found and not yet used: the least worth grants of a large queue,
//! in order.
//!
//! A rotating hand looks at one segment of the queue for each victim. What it sees goes in here,
//! if it is worth less than something that is here, and the least worth leaves first. With as many
//! places as the queue has segments a grant that comes to be among the least is seen before its
//! turn, so the order is nearly that of an exact scan: exact under Lru, which is what content that
//! is only of use as a whole (a chain of KV blocks) needs.
//!
//! ```text
//! free  owner = 0         taken  owner = a queue          held by at most one thread while busy = 1
//! entries[0 .. length] is a min-max heap (Atkinson et al., 1986): no entry of an even level is
//! above one below it, no entry of an odd level is below one below it
//! ```
//!
//! Nobody waits: who finds the backlog held chooses from what the hand shows. Entries are hints;
//! the grant behind one is looked at again before it goes. Segments keep a bit for each slot that
//! is listed here (`grants.rs`), so that none takes two places.

use super::region::{Table, Zeroed};
use super::sync::{AtomicU32, AtomicU64, Ordering};

/// Most entries of a backlog; a larger queue is in order only about.
pub const ENTRIES_MAX: u32 = if cfg!(allot_loom) { 3 } else { 8192 };
/// Fewest places of a backlog.
const ENTRIES_MIN: u32 = if cfg!(allot_loom) { 3 } else { 64 };
/// Most backlogs: so many large queues are in order at once.
const BACKLOGS_MAX: u32 = 256;
/// Segments of which one queue of the size that has a backlog consists, at least.
const SEGMENTS_EACH: u32 = if cfg!(allot_loom) { 1 } else { 4 };
/// Segments shown for each victim until the hand has been round the queue once.
const FIRST_WINDOW: u32 = 16;
/// Places at which a queue's backlog may be.
const PROBES_MAX: u32 = 8;
/// An odd number without pattern: neighbours look at different places.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// A grant as the hand saw it. Less goes first; equal ranks are decided by the last touch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Entry {
    /// The policy's rank.
    pub rank: u64,
    /// The tenant's clock at the last touch; wraps.
    pub touched: u32,
    /// The slot.
    pub slot: u32,
}

impl Entry {
    /// Whether this one goes before the other.
    #[inline]
    pub fn is_before(&self, other: &Self) -> bool {
        let older = (self.touched.wrapping_sub(other.touched) as i32) < 0;
        self.rank < other.rank || self.rank == other.rank && older
    }
}

/// All backlogs there are.
pub struct Backlogs {
    cells: Table<Cell>,
    places: Table<Place>,
    /// Places of each.
    capacity: u32,
}

struct Cell {
    /// The queue's `Owner`; 0: free.
    owner: AtomicU64,
    busy: AtomicU32,
    length: AtomicU32,
    /// The policy whose ranks these are.
    policy: AtomicU32,
    /// Segments the hand has still to show once.
    unseen: AtomicU32,
    /// Places ever used.
    touched: AtomicU32,
}

struct Place {
    rank: AtomicU64,
    /// `touched:32 | slot:32`
    which: AtomicU64,
}

// SAFETY: atomics only; all zero is a cell that is free.
unsafe impl Zeroed for Cell {
    fn empty() -> Self {
        let zero = || AtomicU32::new(0);
        let (owner, busy, length, policy) = (AtomicU64::new(0), zero(), zero(), zero());
        Self { owner, busy, length, policy, unseen: zero(), touched: zero() }
    }
}

// SAFETY: atomics only; all zero is an entry, and no place is read before it was written.
unsafe impl Zeroed for Place {
    fn empty() -> Self {
        Self { rank: AtomicU64::new(0), which: AtomicU64::new(0) }
    }
}

impl Backlogs {
    /// For the queues of so many segments.
    pub fn new(segments_max: u32) -> Self {
        let capacity = segments_max.clamp(ENTRIES_MIN, ENTRIES_MAX);
        let count = (segments_max / SEGMENTS_EACH).clamp(1, BACKLOGS_MAX);
        let places = Table::new(count as usize * capacity as usize);
        Self { cells: Table::new(count as usize), places, capacity }
    }

    /// Holds the backlog of a queue of so many segments; a queue that has none takes a free one.
    /// None if another thread holds it, or all are taken.
    #[inline]
    pub fn hold(&self, owner: u64, segments: u32) -> Option<Backlog<'_>> {
        let number = self.find(owner)?;
        let cell = &self.cells[number];
        if !cell.enter() {
            return None;
        }
        // Relaxed: only who holds the cell gives it to anybody.
        let holder = cell.owner.load(Ordering::Relaxed);
        if holder != owner && holder != 0 {
            cell.exit();
            return None;
        }
        if holder == 0 {
            // Relaxed: published by the Release of `exit`.
            cell.length.store(0, Ordering::Relaxed);
            // Relaxed: as above.
            cell.unseen.store(segments, Ordering::Relaxed);
            // Relaxed: as above; who looks without holding the cell looks again when it does.
            cell.owner.store(owner, Ordering::Relaxed);
        }
        // Relaxed: acquired with `enter`.
        let length = cell.length.load(Ordering::Relaxed) as usize;
        let begin = number as usize * self.capacity as usize;
        let places = &self.places.iter().as_slice()[begin..begin + self.capacity as usize];
        let room = segments.clamp(ENTRIES_MIN, self.capacity) as usize;
        Some(Backlog { cell, places, length, room })
    }

    /// The backlog of a queue, or else a free one.
    #[inline]
    fn find(&self, owner: u64) -> Option<u32> {
        // Relaxed: looked at again once the cell is held.
        let holder = |number: u32| self.cells[number].owner.load(Ordering::Relaxed);
        let mut probed = self.probed(owner);
        let own = probed.find(|&number| holder(number) == owner);
        own.or_else(|| self.probed(owner).find(|&number| holder(number) == 0))
    }

    /// Where the backlog of a queue may be.
    #[inline]
    fn probed(&self, owner: u64) -> impl Iterator<Item = u32> + use<> {
        let count = self.cells.capacity();
        let first = (owner.wrapping_mul(SPREAD) >> 32) as u32;
        (0..PROBES_MAX.min(count)).map(move |probe| first.wrapping_add(probe) % count)
    }

    /// Frees the backlog of a queue that has ended, also while a late search holds it.
    pub fn give_back(&self, owner: u64) {
        for number in self.probed(owner) {
            // Relaxed: who takes it next holds it first, and begins with no entries.
            let order = Ordering::Relaxed;
            let _ = self.cells[number].owner.compare_exchange(owner, 0, order, order);
        }
    }

    /// Bytes of the places that were ever used.
    pub fn tracking_bytes(&self) -> u64 {
        // Relaxed: a statistic.
        let used = self.cells.iter().map(|cell| u64::from(cell.touched.load(Ordering::Relaxed)));
        used.sum::<u64>() * size_of::<Place>() as u64
    }
}

impl Cell {
    fn enter(&self) -> bool {
        // Acquire: pairs with the Release in `exit`; what the last holder wrote is seen.
        // Relaxed on failure: nothing is read.
        let (success, failure) = (Ordering::Acquire, Ordering::Relaxed);
        self.busy.compare_exchange(0, 1, success, failure).is_ok()
    }

    fn exit(&self) {
        // Release: pairs with the Acquire in `enter`.
        self.busy.store(0, Ordering::Release);
    }
}

/// A backlog held by this thread.
pub struct Backlog<'a> {
    cell: &'a Cell,
    places: &'a [Place],
    length: usize,
    room: usize,
}

impl Drop for Backlog<'_> {
    fn drop(&mut self) {
        // Relaxed: published by the Release of `exit`.
        self.cell.length.store(self.length as u32, Ordering::Relaxed);
        self.cell.exit();
    }
}

impl Backlog<'_> {
    /// Entries there are.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Says that ranks are of this policy from now on; true if they were not.
    pub fn change_policy(&mut self, policy: u32) -> bool {
        // Relaxed: held, as all that follows.
        let order = Ordering::Relaxed;
        let differs = self.cell.policy.load(order) != policy;
        if differs {
            self.cell.policy.store(policy, order);
            self.cell.unseen.store(self.room as u32, order);
        }
        differs
    }

    /// How many segments the hand should show: one for each victim, several until it has been round
    /// once, because those that were not seen yet may be worth the least.
    pub fn window(&mut self) -> u32 {
        // Relaxed: held.
        let unseen = self.cell.unseen.load(Ordering::Relaxed);
        if unseen == 0 {
            return 1;
        }
        // Relaxed: held.
        self.cell.unseen.store(unseen.saturating_sub(FIRST_WINDOW), Ordering::Relaxed);
        FIRST_WINDOW
    }

    /// The least worth entry.
    #[inline]
    pub fn first(&self) -> Option<Entry> {
        (self.length > 0).then(|| self.at(0))
    }

    /// What an entry must be before to be taken; none: there is room.
    #[inline]
    pub fn bar(&self) -> Option<Entry> {
        (self.length >= self.room).then(|| self.at(self.last()))
    }

    /// Adds an entry. If there is no room the most worth one leaves, perhaps this one, and is
    /// answered.
    pub fn add(&mut self, entry: Entry) -> Option<Entry> {
        if self.length < self.room {
            let at = self.length;
            self.set(at, entry);
            self.length += 1;
            self.note_touched();
            self.rise(at);
            return None;
        }
        let last = self.last();
        let leaving = self.at(last);
        if !entry.is_before(&leaving) {
            return Some(entry);
        }
        self.set(last, entry);
        // It may be the least of all.
        if last > 0 && entry.is_before(&self.at(0)) {
            self.swap(0, last);
        }
        self.sink(last);
        Some(leaving)
    }

    /// Removes the least worth entry.
    pub fn remove_first(&mut self) {
        if self.length > 0 {
            self.length -= 1;
            let moved = self.at(self.length);
            self.set(0, moved);
            self.sink(0);
        }
    }

    fn note_touched(&self) {
        // Relaxed: a statistic, written by the holder.
        if self.length as u32 > self.cell.touched.load(Ordering::Relaxed) {
            // Relaxed: as above.
            self.cell.touched.store(self.length as u32, Ordering::Relaxed);
        }
    }

    /// Where the most worth entry is.
    #[inline]
    fn last(&self) -> usize {
        match self.length {
            0 | 1 => 0,
            2 => 1,
            _ if self.at(1).is_before(&self.at(2)) => 2,
            _ => 1,
        }
    }

    #[inline]
    fn at(&self, index: usize) -> Entry {
        // Relaxed: the thread that holds the backlog is alone with it.
        let order = Ordering::Relaxed;
        let which = self.places[index].which.load(order);
        let rank = self.places[index].rank.load(order);
        Entry { rank, touched: (which >> 32) as u32, slot: which as u32 }
    }

    #[inline]
    fn set(&self, index: usize, entry: Entry) {
        // Relaxed: as in `at`.
        let order = Ordering::Relaxed;
        let which = u64::from(entry.touched) << 32 | u64::from(entry.slot);
        self.places[index].which.store(which, order);
        self.places[index].rank.store(entry.rank, order);
    }

    #[inline]
    fn swap(&self, a: usize, b: usize) {
        let (one, two) = (self.at(a), self.at(b));
        self.set(a, two);
        self.set(b, one);
    }

    /// Whether `a` belongs above `b`, where `a` is on a level of this kind.
    #[inline]
    fn above(least: bool, a: &Entry, b: &Entry) -> bool {
        if least { a.is_before(b) } else { b.is_before(a) }
    }

    /// Moves the last entry up to where it belongs.
    fn rise(&self, index: usize) {
        if index == 0 {
            return;
        }
        let (mut at, parent) = (index, (index - 1) / 2);
        let mut least = is_least(index);
        let entry = self.at(index);
        if Self::above(!least, &entry, &self.at(parent)) {
            self.swap(index, parent);
            (at, least) = (parent, !least);
        }
        while at > 2 {
            let up = ((at - 1) / 2 - 1) / 2;
            if !Self::above(least, &entry, &self.at(up)) {
                break;
            }
            self.swap(at, up);
            at = up;
        }
    }

    /// Moves an entry down to where it belongs.
    fn sink(&self, index: usize) {
        let least = is_least(index);
        let mut at = index;
        loop {
            let next = self.foremost_below(at, least);
            let Some(next) = next else { break };
            if !Self::above(least, &self.at(next), &self.at(at)) {
                break;
            }
            self.swap(at, next);
            if next <= 2 * at + 2 {
                break;
            }
            let parent = (next - 1) / 2;
            if Self::above(!least, &self.at(next), &self.at(parent)) {
                self.swap(next, parent);
            }
            at = next;
        }
    }

    /// Of the children and grandchildren, the one that belongs highest.
    #[inline]
    fn foremost_below(&self, index: usize, least: bool) -> Option<usize> {
        let children = 2 * index + 1..(2 * index + 3).min(self.length);
        let grandchildren = 4 * index + 3..(4 * index + 7).min(self.length);
        let mut best: Option<(usize, Entry)> = None;
        for at in children.chain(grandchildren) {
            let entry = self.at(at);
            if best.is_none_or(|(_, best)| Self::above(least, &entry, &best)) {
                best = Some((at, entry));
            }
        }
        best.map(|(at, _)| at)
    }
}

/// Whether an index is on a level whose entries are the least of all below them.
#[inline]
fn is_least(index: usize) -> bool {
    (index + 1).ilog2().is_multiple_of(2)
}
