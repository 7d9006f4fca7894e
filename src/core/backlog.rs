//! What a search for victims has found and not yet used: the least worth grants of a large queue,
//! in order.
//!
//! A rotating hand looks at half a segment of the queue for each victim. What it sees goes in here,
//! if it is worth less than something that is here, and the least worth leaves first. With as many
//! places as the queue has halves a grant that comes to be among the least is seen before its turn,
//! so the order is nearly that of an exact scan, which content that is only of use as a whole (a
//! chain of KV blocks) needs. Where worth fades at different speeds (Hybrid) an order that was kept
//! for long is wrong, and fewer places are enough.
//!
//! ```text
//! free  owner = 0       taken  owner = a queue        held by at most one thread while busy = 1
//! key(parent) <= key(child)                           a heap in which each has four children
//!
//! B1  who takes a free one looks after that whether the queue has another, or was closed, and
//!     frees it then; a queue that ends is closed before its backlog is freed: so the one finds the
//!     queue closed or the other the backlog taken, and none is a queue's that has ended
//! ```
//!
//! Once all places are taken an entry that comes in replaces one without children that is worth
//! more, of the next four in turn: the most worth are not kept in order, they only leave in time.
//!
//! Nobody waits: who finds the backlog held chooses from what the hand shows. Entries are hints;
//! the grant behind one is looked at again before it goes. Segments keep a bit for each slot that
//! is listed here (`grants.rs`), so that none takes two places.

use super::region::{Table, Zeroed};
use super::sync::{AtomicU32, AtomicU64, Ordering, fence};

/// Most entries of a backlog; a larger queue is in order only about.
pub const ENTRIES_MAX: u32 = if cfg!(allot_loom) { 3 } else { 16_384 };
/// Fewest places of a backlog.
pub const ENTRIES_MIN: u32 = if cfg!(allot_loom) { 3 } else { 64 };
/// Most entries where worth changes while nobody touches a grant: an old order is worth little,
/// and a short one stays in the nearest memory.
const FADING_ENTRIES_MAX: u32 = if cfg!(allot_loom) { 3 } else { 128 };
/// Most backlogs: so many large queues are in order at once.
const BACKLOGS_MAX: u32 = 256;
/// Segments of which a queue that has a backlog consists, at least.
const SEGMENTS_EACH: u32 = if cfg!(allot_loom) { 1 } else { 4 };
/// Places at which a queue's backlog may be.
const PROBES_MAX: u32 = 8;
/// An odd number without pattern: neighbours look at different places.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
/// Halves of segments shown for each victim until the hand has been round the queue once.
const FIRST_WINDOW: u32 = 32;
/// Most halves shown for each victim from then on.
const WINDOW_MAX: u32 = 4;
/// Children of an entry.
const CHILDREN: usize = 4;
/// Entries without children that have their turn together: one that comes in replaces the most
/// worth of them.
const TURN: usize = 4;
/// Time is told from so many operations before the backlog was taken, and told anew before it
/// would overflow.
const MARGIN: u32 = 1 << 30;

/// A grant as the hand saw it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Entry {
    /// `rank:32 | touched:32`: what it is worth, and when it was last touched by the time of this
    /// backlog. Less goes first.
    pub key: u64,
    /// The slot.
    pub slot: u32,
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
    /// Where the tenant's clock stood when time began here.
    began: AtomicU32,
    /// Halves of segments the hand has still to show once.
    unseen: AtomicU32,
    /// The entry without children that is compared next.
    turn: AtomicU32,
    /// Places ever used.
    touched: AtomicU32,
}

struct Place {
    key: AtomicU64,
    slot: AtomicU32,
}

// SAFETY: atomics only; all zero is a cell that is free.
unsafe impl Zeroed for Cell {
    fn empty() -> Self {
        let zero = || AtomicU32::new(0);
        let (owner, busy, length, policy) = (AtomicU64::new(0), zero(), zero(), zero());
        let (began, unseen, turn, touched) = (zero(), zero(), zero(), zero());
        Self { owner, busy, length, policy, began, unseen, turn, touched }
    }
}

// SAFETY: atomics only; all zero is an entry, and no place is read before it was written.
unsafe impl Zeroed for Place {
    fn empty() -> Self {
        Self { key: AtomicU64::new(0), slot: AtomicU32::new(0) }
    }
}

impl Backlogs {
    /// For the queues of so many segments.
    pub fn new(segments_max: u32) -> Self {
        let capacity = segments_max.saturating_mul(2).clamp(ENTRIES_MIN, ENTRIES_MAX);
        let count = (segments_max / SEGMENTS_EACH).clamp(1, BACKLOGS_MAX);
        let places = Table::new(count as usize * capacity as usize);
        Self { cells: Table::new(count as usize), places, capacity }
    }

    /// Holds the backlog of a queue of so many segments; a queue that has none takes a free one, if
    /// it is still open by then. None if another thread holds it, or all are taken.
    #[inline]
    pub fn hold(&self, of: &Source, is_open: impl FnOnce() -> bool) -> Option<Backlog<'_>> {
        let number = self.find(of.owner)?;
        let cell = &self.cells[number];
        if !cell.enter() {
            return None;
        }
        // Relaxed: only who holds the cell gives it to anybody; `enter` acquired the rest.
        let order = Ordering::Relaxed;
        let holder = cell.owner.load(order);
        if holder != of.owner && holder != 0 {
            cell.exit();
            return None;
        }
        if holder == 0 {
            cell.length.store(0, order);
            cell.owner.store(of.owner, order);
            cell.begin(of);
            if !self.may_keep(number, of.owner, is_open) {
                cell.owner.store(0, order);
                cell.exit();
                return None;
            }
        }
        let begin = number as usize * self.capacity as usize;
        let places = &self.places.iter().as_slice()[begin..begin + self.capacity as usize];
        let room = of.entries().clamp(ENTRIES_MIN, self.capacity) as usize;
        let now = of.clock.wrapping_sub(cell.began.load(order));
        let length = cell.length.load(order) as usize;
        let mut backlog = Backlog { cell, places, length, room, now, leaver: 0 };
        backlog.choose_leaver();
        Some(backlog)
    }

    /// Whether a queue is still open, and has no backlog but the one of this number, which it has
    /// just taken.
    #[cold]
    fn may_keep(&self, number: u32, owner: u64, is_open: impl FnOnce() -> bool) -> bool {
        // SeqCst: pairs with the fence in `give_back`: either that finds the owner stored before
        // this one, or the queue is seen closed after it (B1). And with itself: of two who took
        // one each for a queue the later one, at least, sees what the other has taken.
        fence(Ordering::SeqCst);
        // Relaxed: ordered by the fence.
        let holder = |number: u32| self.cells[number].owner.load(Ordering::Relaxed);
        let another = self.probed(owner).any(|other| other != number && holder(other) == owner);
        !another && is_open()
    }

    /// The backlog of a queue, or else a free one.
    #[inline]
    fn find(&self, owner: u64) -> Option<u32> {
        // Relaxed: looked at again once the cell is held.
        let holder = |number: u32| self.cells[number].owner.load(Ordering::Relaxed);
        let own = self.probed(owner).find(|&number| holder(number) == owner);
        own.or_else(|| self.probed(owner).find(|&number| holder(number) == 0))
    }

    /// Where the backlog of a queue may be.
    #[inline]
    fn probed(&self, owner: u64) -> impl Iterator<Item = u32> + use<> {
        let count = self.cells.capacity();
        let first = (owner.wrapping_mul(SPREAD) >> 40) as u32;
        (0..PROBES_MAX.min(count)).map(move |probe| (first + probe) % count)
    }

    /// Frees the backlog of a queue that has ended, and was closed before, also while a late search
    /// holds it.
    pub fn give_back(&self, owner: u64) {
        // SeqCst: pairs with the fence in `may_keep` (B1).
        fence(Ordering::SeqCst);
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

/// What a backlog must know of its queue.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// The `Owner`, never 0.
    pub owner: u64,
    /// Segments it has.
    pub segments: u32,
    /// Number of its policy.
    pub policy: u32,
    /// The tenant's clock.
    pub clock: u32,
    /// Whether the order of two grants changes while nobody touches them.
    pub fades: bool,
}

impl Source {
    /// Entries it would take to keep the order of an exact scan, or as many as are of use.
    #[inline]
    fn entries(&self) -> u32 {
        if self.fades { self.halves().min(FADING_ENTRIES_MAX) } else { self.halves() }
    }

    #[inline]
    fn halves(&self) -> u32 {
        self.segments.saturating_mul(2)
    }
}

impl Cell {
    #[inline]
    fn enter(&self) -> bool {
        // Acquire: pairs with the Release in `exit`; what the last holder wrote is seen.
        // Relaxed on failure: nothing is read.
        let (success, failure) = (Ordering::Acquire, Ordering::Relaxed);
        self.busy.compare_exchange(0, 1, success, failure).is_ok()
    }

    #[inline]
    fn exit(&self) {
        // Release: pairs with the Acquire in `enter`.
        self.busy.store(0, Ordering::Release);
    }

    /// There are no entries: time and ranks may begin anew.
    fn begin(&self, of: &Source) {
        // Relaxed: published by the Release of `exit`.
        let order = Ordering::Relaxed;
        self.policy.store(of.policy, order);
        self.began.store(of.clock.wrapping_sub(MARGIN), order);
        self.unseen.store(of.halves(), order);
    }
}

/// A backlog held by this thread.
pub struct Backlog<'a> {
    cell: &'a Cell,
    places: &'a [Place],
    length: usize,
    room: usize,
    /// The time, in operations of the tenant.
    now: u32,
    /// The one that leaves next, once all places are taken.
    leaver: usize,
}

impl Drop for Backlog<'_> {
    #[inline]
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

    /// Whether all entries must go because ranks are of another policy now, or time runs out.
    #[inline]
    pub fn is_outdated(&self, of: &Source) -> bool {
        // Relaxed: held.
        self.cell.policy.load(Ordering::Relaxed) != of.policy || self.now > u32::MAX - MARGIN
    }

    /// Begins anew once all entries are gone.
    pub fn begin_anew(&mut self, of: &Source) {
        self.cell.begin(of);
        self.now = MARGIN;
    }

    /// The key of a grant of this rank, last touched `age` operations ago.
    #[inline(always)]
    pub fn key(&self, (rank, age): (u32, u32)) -> u64 {
        u64::from(rank) << 32 | u64::from(self.now.saturating_sub(age))
    }

    /// How many halves of segments the hand should show: as many as bring it round the queue before
    /// all entries have left. More until it has been round once, because those that were not seen
    /// yet may be worth the least.
    #[inline]
    pub fn window(&mut self, of: &Source) -> u32 {
        // Relaxed: held.
        let order = Ordering::Relaxed;
        let unseen = self.cell.unseen.load(order);
        if unseen == 0 {
            return of.entries().div_ceil(self.room as u32).clamp(1, WINDOW_MAX);
        }
        self.cell.unseen.store(unseen.saturating_sub(FIRST_WINDOW), order);
        FIRST_WINDOW
    }

    /// The least worth entry.
    #[inline]
    pub fn first(&self) -> Option<Entry> {
        (self.length > 0).then(|| self.at(0))
    }

    /// Whether all places are taken.
    #[inline]
    fn is_full(&self) -> bool {
        self.length >= self.room && self.length > 0
    }

    /// An entry comes in if its key is below this: below one of those that would have to leave.
    #[inline]
    pub fn bar(&self) -> u64 {
        if self.is_full() { self.at(self.leaver).key } else { u64::MAX }
    }

    /// Adds an entry below the bar; one that leaves for it is answered.
    pub fn add(&mut self, entry: Entry) -> Option<Entry> {
        if self.length < self.room {
            self.length += 1;
            self.note_touched();
            self.rise(self.length - 1, entry);
            self.choose_leaver();
            return None;
        }
        let left = self.at(self.leaver);
        self.rise(self.leaver, entry);
        self.take_turns();
        Some(left)
    }

    /// The slot that leaves when the next entry is added.
    #[inline]
    pub fn next_to_leave(&self) -> Option<u32> {
        self.is_full().then(|| self.at(self.leaver).slot)
    }

    /// Finds the most worth of those entries without children whose turn it is.
    #[inline]
    fn choose_leaver(&mut self) {
        if !self.is_full() {
            return;
        }
        let childless = (self.length + CHILDREN - 2) / CHILDREN;
        // Relaxed: held.
        let turn = self.cell.turn.load(Ordering::Relaxed) as usize;
        let first = turn.clamp(childless, self.length - 1);
        let (mut key, mut at) = (self.at(first).key, first);
        for index in first + 1..(first + TURN).min(self.length) {
            let other = self.at(index).key;
            at = if other > key { index } else { at };
            key = key.max(other);
        }
        self.leaver = at;
    }

    /// It is the turn of the next ones from now on.
    #[inline]
    pub fn take_turns(&mut self) {
        // Relaxed: held.
        let order = Ordering::Relaxed;
        let next = self.cell.turn.load(order) as usize;
        let first = (self.length + CHILDREN - 2) / CHILDREN;
        let next = next.max(first) + TURN;
        self.cell.turn.store(if next < self.length { next as u32 } else { 0 }, order);
        self.choose_leaver();
    }

    /// The slot that leaves after the first one.
    #[inline]
    pub fn second(&self) -> Option<u32> {
        let children = 1..self.length.min(1 + CHILDREN);
        children.map(|index| self.at(index)).min_by_key(|entry| entry.key).map(|entry| entry.slot)
    }

    /// Removes the least worth entry.
    pub fn remove_first(&mut self) {
        if self.length == 0 {
            return;
        }
        self.length -= 1;
        let last = self.at(self.length);
        let mut gap = 0;
        loop {
            let first = CHILDREN * gap + 1;
            if first >= self.length {
                break;
            }
            let children = first..(first + CHILDREN).min(self.length);
            let mut least = self.at(first);
            let mut at = first;
            for child in children.skip(1) {
                let entry = self.at(child);
                let less = entry.key < least.key;
                at = if less { child } else { at };
                least = if less { entry } else { least };
            }
            self.set(gap, least);
            gap = at;
        }
        // The last entry belongs near the bottom.
        self.rise(gap, last);
        self.choose_leaver();
    }

    fn note_touched(&self) {
        // Relaxed: a statistic, written by the holder.
        let order = Ordering::Relaxed;
        if self.length as u32 > self.cell.touched.load(order) {
            self.cell.touched.store(self.length as u32, order);
        }
    }

    /// Moves an entry up from a gap to where it belongs.
    #[inline]
    fn rise(&self, gap: usize, entry: Entry) {
        let mut gap = gap;
        while gap > 0 {
            let parent = (gap - 1) / CHILDREN;
            let above = self.at(parent);
            if above.key <= entry.key {
                break;
            }
            self.set(gap, above);
            gap = parent;
        }
        self.set(gap, entry);
    }

    #[inline]
    fn at(&self, index: usize) -> Entry {
        // Relaxed: the thread that holds the backlog is alone with it.
        let order = Ordering::Relaxed;
        let place = &self.places[index];
        Entry { key: place.key.load(order), slot: place.slot.load(order) }
    }

    #[inline]
    fn set(&self, index: usize, entry: Entry) {
        // Relaxed: as in `at`.
        let order = Ordering::Relaxed;
        let place = &self.places[index];
        place.key.store(entry.key, order);
        place.slot.store(entry.slot, order);
    }
}

#[cfg(test)]
mod tests {
    use super::super::region::tests::{assert_empty_is_zeroed, words};
    use super::*;

    words! { Cell: owner busy length policy began unseen turn touched }
    words! { Place: key slot }

    #[test]
    fn an_empty_cell_is_a_zeroed_one() {
        assert_empty_is_zeroed::<Cell>();
        assert_empty_is_zeroed::<Place>();
    }

    fn of(owner: u64, segments: u32) -> Source {
        Source { owner, segments, policy: 0, clock: 5, fades: false }
    }

    /// Numbers without order, few enough that some are the same.
    fn keys() -> impl Iterator<Item = u64> {
        (1..).map(|n: u64| (n.wrapping_mul(SPREAD) >> 40) % 200)
    }

    fn fill(held: &mut Backlog<'_>, keys: &mut impl Iterator<Item = u64>) {
        while held.bar() == u64::MAX {
            let slot = held.len() as u32;
            assert_eq!(held.next_to_leave(), None);
            assert_eq!(held.add(Entry { key: keys.next().unwrap(), slot }), None);
        }
    }

    /// Of those without children, from the one whose turn it is, the first of the most worth.
    fn leaver(held: &Backlog<'_>, turn: usize) -> usize {
        let length = held.len();
        let childless = (0..length).find(|index| CHILDREN * index + 1 >= length).unwrap();
        let first = turn.clamp(childless, length - 1);
        let in_turn = (first..length.min(first + TURN)).rev();
        in_turn.max_by_key(|&index| held.at(index).key).unwrap()
    }

    /// Whether or not the last turn is a whole one.
    #[test]
    fn those_without_children_leave_in_turn() {
        for (segments, entries) in [(50, 100), (48, 96)] {
            let backlogs = Backlogs::new(256);
            let mut held = backlogs.hold(&of(1, segments), || true).unwrap();
            let mut keys = keys();
            fill(&mut held, &mut keys);
            assert_eq!((held.len(), held.is_empty()), (entries, false));
            let (mut turn, mut came) = (0, 0);
            for slot in 1_000..3_000 {
                assert_eq!(held.leaver, leaver(&held, turn), "turn {turn}");
                let leaves = held.at(held.leaver);
                assert_eq!(held.next_to_leave(), Some(leaves.slot));
                let key = keys.next().unwrap() / 2;
                if key < held.bar() {
                    assert_eq!(held.add(Entry { key, slot }), Some(leaves));
                    came += 1;
                } else {
                    held.take_turns();
                }
                turn = turn.max((entries + CHILDREN - 2) / CHILDREN) + TURN;
                turn = if turn < entries { turn } else { 0 };
            }
            assert!(came > 100, "{came} came in");
        }
    }

    /// Where it was a long backlog's turn to leave says nothing to the short one that comes next.
    #[test]
    fn who_leaves_is_there() {
        let backlogs = Backlogs::new(256);
        let mut held = backlogs.hold(&of(1, 200), || true).unwrap();
        fill(&mut held, &mut keys());
        (0..60).for_each(|_| held.take_turns());
        drop(held);
        backlogs.give_back(1);
        let same = (2..).find(|&owner| backlogs.find(owner) == backlogs.find(1)).unwrap();
        let mut held = backlogs.hold(&of(same, 1), || true).unwrap();
        fill(&mut held, &mut keys());
        assert_eq!(held.len(), ENTRIES_MIN as usize);
        assert_eq!(held.leaver, held.len() - 1);
    }

    #[test]
    fn the_second_is_the_first_once_that_has_left() {
        let backlogs = Backlogs::new(256);
        let mut held = backlogs.hold(&of(1, 40), || true).unwrap();
        // No two the same.
        fill(&mut held, &mut (1..).map(|n: u64| n.wrapping_mul(SPREAD)));
        while !held.is_empty() {
            let second = held.second();
            held.remove_first();
            assert_eq!(held.first().map(|entry| entry.slot), second);
        }
    }

    #[test]
    fn each_backlog_has_places_of_its_own() {
        let backlogs = Backlogs::new(256);
        let several = || (1..40).filter_map(|owner| backlogs.hold(&of(owner, 1), || true));
        let all: Vec<_> = several()
            .enumerate()
            .map(|(number, mut held)| {
                held.add(Entry { key: number as u64, slot: 0 });
                held
            })
            .collect();
        assert!(all.len() > 20);
        let firsts = all.iter().map(|held| held.first().unwrap().key);
        assert!(firsts.eq(0..all.len() as u64));
    }

    #[test]
    fn what_was_used_once_is_counted_once() {
        let backlogs = Backlogs::new(256);
        assert_eq!(backlogs.tracking_bytes(), 0);
        let mut held = backlogs.hold(&of(1, 1), || true).unwrap();
        for slot in 0..3 {
            held.add(Entry { key: 1, slot });
        }
        assert_eq!(backlogs.tracking_bytes(), 3 * size_of::<Place>() as u64);
        held.remove_first();
        held.add(Entry { key: 1, slot: 3 });
        assert_eq!(backlogs.tracking_bytes(), 3 * size_of::<Place>() as u64);
    }

    #[test]
    fn so_many_are_kept_as_are_of_use() {
        let backlogs = Backlogs::new(1 << 20);
        for (owner, segments, fades, entries) in [
            (1, 1, false, ENTRIES_MIN),
            (2, 100, false, 200),
            (3, 100, true, FADING_ENTRIES_MAX),
            (4, 40, true, 80),
            (5, 1 << 19, false, ENTRIES_MAX),
        ] {
            let held = backlogs.hold(&Source { fades, ..of(owner, segments) }, || true).unwrap();
            assert_eq!(held.room, entries as usize, "{segments} segments");
        }
    }

    #[test]
    fn time_ends_a_while_before_it_would_overflow() {
        let backlogs = Backlogs::new(256);
        drop(backlogs.hold(&of(1, 1), || true).unwrap());
        let last = Source { clock: 5 + (u32::MAX - 2 * MARGIN), ..of(1, 1) };
        assert!(!backlogs.hold(&last, || true).unwrap().is_outdated(&last));
        let late = Source { clock: last.clock + 1, ..last };
        assert!(backlogs.hold(&late, || true).unwrap().is_outdated(&late));
    }
}
