//! A bounded broadcast ring: writers never wait, each reader has its own cursor, losses are exact.
//!
//! A writer draws ticket `t` from `head`, claims cell `t mod capacity` by an exchange on its
//! stamp, writes the words and publishes them by one store of the stamp. A reader copies the
//! words between two looks at the stamp (a sequence lock) and takes them only if both agree.
//! Records are a fixed number of words; what they mean is the business of `events.rs`.
//!
//! The stamp of a cell only grows, by these steps:
//!
//! ```text
//! 0        nothing was written here yet
//! 2t + 1   the writer of ticket t owns the cell        (from any even, smaller stamp)
//! 2t + 2   record t is complete                        (from 2t + 1, by its owner)
//! ```
//!
//! Invariants:
//!
//! ```text
//! R1  head        = records stored + dropped + writers at work
//! R2  cursor.next = start + records read + records lost        (for each reader, always)
//! R3  a record read is what one push wrote, whole
//! R4  at rest: a reader reaches head; no ticket keeps it waiting
//! ```
//!
//! A ticket is dropped when its cell is owned by a writer a whole lap behind (or was being taken
//! by such writers during both attempts), or was taken by one a lap ahead while this one slept.
//! The first leaves no trace in the stamp, so the dropper marks a hole beside the cell, and readers
//! pass it. If `MARK_ATTEMPTS_MAX` others mark the same cell meanwhile (each of them a lap apart
//! from this one) the mark is left out: R1 to R3 hold, and a reader waits at that hole until the
//! ring has been filled once more.

use super::region::{Table, Zeroed};
use super::sync::{AtomicU64, Ordering, fence, prefetch_to_write};
use crossbeam_utils::CachePadded;

/// How often a writer tries to claim its cell: again only if an older record stood there than the
/// lap before should have left.
pub const CLAIM_ATTEMPTS_MAX: u64 = 2;

/// How often a dropped ticket tries to leave its mark.
pub const MARK_ATTEMPTS_MAX: u64 = 4;

/// Read-modify-writes of one push at most: the ticket, the claim, the mark, and the count of drops.
pub const PUSH_READ_MODIFY_WRITES_MAX: u64 = 1 + CLAIM_ATTEMPTS_MAX + MARK_ATTEMPTS_MAX + 1;

/// Which cell a push asks for ahead: the one of the push after so many others.
const CELLS_AHEAD: u64 = 8;

/// A ring of records of `WORDS` words each.
pub struct Ring<const WORDS: usize> {
    /// The next ticket.
    head: CachePadded<AtomicU64>,
    /// Tickets whose record was never stored.
    dropped: CachePadded<AtomicU64>,
    cells: Table<Cell<WORDS>>,
    /// Beside each cell: the youngest dropped ticket that its stamp does not tell of, plus one.
    holes: Table<Hole>,
}

/// Where one reader stands. Each reader owns its own; the ring does not know them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    next: u64,
}

/// What a reader got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read<T> {
    /// The next one.
    Event(T),
    /// So many sequence numbers were passed over: overwritten before they were read, or dropped.
    Lost(u64),
    /// Nothing further is complete yet.
    Empty,
}

/// One record and its sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<const WORDS: usize> {
    /// The ticket of its push: 0, 1, 2 ... without gaps over all pushes, lost ones included.
    pub sequence: u64,
    /// What was pushed.
    pub words: [u64; WORDS],
}

struct Cell<const WORDS: usize> {
    stamp: AtomicU64,
    words: [AtomicU64; WORDS],
}

struct Hole(AtomicU64);

// SAFETY: atomics are valid when zero, zero is the empty state, and they need no Drop.
unsafe impl<const WORDS: usize> Zeroed for Cell<WORDS> {
    fn empty() -> Self {
        let words = std::array::from_fn(|_| AtomicU64::new(0));
        Self { stamp: AtomicU64::new(0), words }
    }
}

// SAFETY: an atomic is valid when zero, zero is "no hole", and it needs no Drop.
unsafe impl Zeroed for Hole {
    fn empty() -> Self {
        Self(AtomicU64::new(0))
    }
}

impl Cursor {
    /// A cursor at a sequence number, say one that a reader kept from earlier. The default is 0.
    pub const fn at(sequence: u64) -> Self {
        Self { next: sequence }
    }

    /// The sequence number it reads next.
    pub const fn next(&self) -> u64 {
        self.next
    }
}

impl<const WORDS: usize> Ring<WORDS> {
    /// A ring of `capacity` records. Zero makes a ring that stores nothing and costs one branch.
    ///
    /// # Panics
    ///
    /// If `capacity` is neither zero nor a power of two.
    pub fn new(capacity: u32) -> Self {
        assert!(
            capacity == 0 || capacity.is_power_of_two(),
            "ring capacity {capacity} is not a power of two: round it up, or use 0 for no ring"
        );
        Self {
            head: CachePadded::new(AtomicU64::new(0)),
            dropped: CachePadded::new(AtomicU64::new(0)),
            cells: Table::new(capacity as usize),
            holes: Table::new(capacity as usize),
        }
    }

    /// Stores a record and answers its sequence number; `None` if it was dropped, or if there is
    /// no ring.
    ///
    /// Wait-free: two read-modify-writes and `WORDS` + 1 stores; never more than
    /// [`PUSH_READ_MODIFY_WRITES_MAX`].
    #[inline]
    pub fn push(&self, words: &[u64; WORDS]) -> Option<u64> {
        if self.capacity() == 0 {
            return None;
        }
        // Relaxed: a ticket is a number and publishes nothing; the stamp of its cell does.
        let ticket = self.head.fetch_add(1, Ordering::Relaxed);
        // A reader on another core has it.
        prefetch_to_write(&self.cells[self.place(ticket + CELLS_AHEAD)]);
        let cell = &self.cells[self.place(ticket)];
        match cell.claim(ticket, u64::from(self.capacity())) {
            Ok(()) => {
                cell.publish(ticket, words);
                Some(ticket)
            }
            Err(stamp) => {
                self.give_up(ticket, stamp);
                None
            }
        }
    }

    /// Reads on at the cursor and moves it.
    ///
    /// Wait-free: `WORDS` + 4 loads at most, no store. `Empty` also while the writer whose turn it
    /// is has drawn its ticket and not finished: records come in order.
    #[inline]
    pub fn read(&self, cursor: &mut Cursor) -> Read<Record<WORDS>> {
        if self.capacity() == 0 {
            return Read::Empty;
        }
        let sequence = cursor.next;
        match self.cells[self.place(sequence)].copy(sequence) {
            Ok(words) => {
                cursor.next += 1;
                Read::Event(Record { sequence, words })
            }
            Err(stamp) => self.read_past(cursor, stamp),
        }
    }

    /// How many records it keeps; 0 if there is no ring.
    #[inline]
    pub fn capacity(&self) -> u32 {
        self.cells.capacity()
    }

    /// A cursor at the end: it reads what is pushed from now on.
    pub fn end(&self) -> Cursor {
        Cursor { next: self.pushed() }
    }

    /// How many pushes there were: the next sequence number.
    pub fn pushed(&self) -> u64 {
        // Relaxed: a number that publishes nothing; see push.
        self.head.load(Ordering::Relaxed)
    }

    /// How many pushes were dropped by their writers. Readers see these among their losses.
    pub fn dropped(&self) -> u64 {
        // Relaxed: a statistic.
        self.dropped.load(Ordering::Relaxed)
    }

    /// Bytes reserved by this ring.
    pub fn tracking_bytes(&self) -> u64 {
        let cell_bytes = size_of::<Cell<WORDS>>() + size_of::<Hole>();
        size_of::<Self>() as u64 + cell_bytes as u64 * u64::from(self.capacity())
    }

    fn place(&self, ticket: u64) -> u32 {
        (ticket & (u64::from(self.capacity()) - 1)) as u32
    }

    /// Counts a ticket whose cell was not free, and marks the hole if the stamp cannot tell of it.
    #[cold]
    #[inline(never)]
    fn give_up(&self, ticket: u64, stamp: u64) {
        if stamp < owned(ticket) {
            self.holes[self.place(ticket)].mark(ticket);
        }
        // Relaxed: a statistic.
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// The cell does not hold the record that the cursor wants: is it gone, or not yet there?
    #[cold]
    #[inline(never)]
    fn read_past(&self, cursor: &mut Cursor, stamp: u64) -> Read<Record<WORDS>> {
        let wanted = cursor.next;
        let pushed = self.pushed();
        let oldest = pushed.saturating_sub(u64::from(self.capacity()));
        let gone = stamp > complete(wanted) || self.holes[self.place(wanted)].is_of(wanted);
        let next = if gone { oldest.max(wanted + 1) } else { oldest.max(wanted) };
        if next == wanted {
            return Read::Empty;
        }
        cursor.next = next;
        Read::Lost(next - wanted)
    }
}

impl<const WORDS: usize> Cell<WORDS> {
    /// Makes the writer of `ticket` the cell's owner, or answers the stamp that stood in its way.
    ///
    /// The first guess is that the lap before left its record here. There is no load to look first:
    /// it would fetch the line twice.
    #[inline]
    fn claim(&self, ticket: u64, capacity: u64) -> Result<(), u64> {
        let mut expected = ticket.checked_sub(capacity).map_or(NEVER_WRITTEN, complete);
        for _ in 0..CLAIM_ATTEMPTS_MAX {
            // Acquire: pairs with the Release in publish; our words come after the last owner's.
            // Relaxed: on failure only the stamp itself is used.
            let (taken, refused) = (Ordering::Acquire, Ordering::Relaxed);
            match self.stamp.compare_exchange(expected, owned(ticket), taken, refused) {
                Ok(_) => return Ok(()),
                Err(stamp) if is_owned(stamp) || stamp > owned(ticket) => return Err(stamp),
                Err(stamp) => expected = stamp,
            }
        }
        Err(expected)
    }

    /// Writes the words and lets readers see them. Only for the owner.
    #[inline]
    fn publish(&self, ticket: u64, words: &[u64; WORDS]) {
        // Release: pairs with the Acquire fence in copy; who sees one of these words sees that the
        // cell was owned, and does not take the words for the record before.
        fence(Ordering::Release);
        for (place, word) in self.words.iter().zip(words) {
            // Relaxed: the fence above and the store below order the words.
            place.store(*word, Ordering::Relaxed);
        }
        // Release: pairs with the Acquire in copy and in claim; publishes the words.
        self.stamp.store(complete(ticket), Ordering::Release);
    }

    /// The words of record `ticket`, or the stamp that tells why not.
    #[inline]
    fn copy(&self, ticket: u64) -> Result<[u64; WORDS], u64> {
        // Acquire: pairs with the Release store in publish; the words are at least those of ticket.
        let before = self.stamp.load(Ordering::Acquire);
        if before != complete(ticket) {
            return Err(before);
        }
        // Relaxed: the load above and the fence below order the words.
        let words = std::array::from_fn(|i| self.words[i].load(Ordering::Relaxed));
        // Acquire: pairs with the Release fence in publish; a later word comes with a later stamp.
        fence(Ordering::Acquire);
        // Relaxed: ordered by the fence.
        let after = self.stamp.load(Ordering::Relaxed);
        if after == before { Ok(words) } else { Err(after) }
    }
}

impl Hole {
    /// Marks `ticket` as dropped, unless a younger one is marked. The first guess is: none yet.
    fn mark(&self, ticket: u64) {
        let mut marked = NO_HOLE;
        for _ in 0..MARK_ATTEMPTS_MAX {
            // Relaxed: the mark is all there is to see; each value says one thing of one ticket.
            let order = Ordering::Relaxed;
            match self.0.compare_exchange(marked, ticket + 1, order, order) {
                Ok(_) => return,
                Err(other) if other > ticket => return,
                Err(other) => marked = other,
            }
        }
    }

    /// Whether `ticket` is the one marked.
    fn is_of(&self, ticket: u64) -> bool {
        // Relaxed: see mark.
        self.0.load(Ordering::Relaxed) == ticket + 1
    }
}

/// The stamp of an untouched cell.
const NEVER_WRITTEN: u64 = 0;

/// The mark of a cell where no ticket was dropped.
const NO_HOLE: u64 = 0;

const fn owned(ticket: u64) -> u64 {
    2 * ticket + 1
}

const fn complete(ticket: u64) -> u64 {
    2 * ticket + 2
}

const fn is_owned(stamp: u64) -> bool {
    stamp % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::super::region::tests::{assert_empty_is_zeroed, words};
    use super::*;

    words! { Cell<3>: stamp words }
    words! { Hole: 0 }

    #[test]
    fn an_empty_cell_is_a_zeroed_one() {
        assert_empty_is_zeroed::<Cell<3>>();
        assert_empty_is_zeroed::<Hole>();
    }

    const LAP: u64 = 4;

    #[test]
    fn a_cell_is_its_owners_until_it_is_published() {
        let cell = Cell::<3>::empty();
        assert_eq!(cell.claim(0, LAP), Ok(()));
        assert_eq!(cell.claim(LAP, LAP), Err(owned(0)), "its owner sleeps");
        cell.publish(0, &[7; 3]);
        assert_eq!(cell.copy(0), Ok([7; 3]));
        assert_eq!(cell.claim(2 * LAP, LAP), Ok(()), "the lap between was dropped");
        assert_eq!(cell.copy(0), Err(owned(2 * LAP)));
        cell.publish(2 * LAP, &[8; 3]);
        assert_eq!(cell.claim(LAP, LAP), Err(complete(2 * LAP)), "it comes too late");
        assert_eq!(cell.copy(2 * LAP), Ok([8; 3]));
    }

    #[test]
    fn stamps_rise_and_tell_owned_from_complete() {
        let stamps = (0..9).flat_map(|ticket| [owned(ticket), complete(ticket)]);
        assert!(stamps.clone().eq(NEVER_WRITTEN + 1..19));
        assert!(stamps.enumerate().all(|(at, stamp)| is_owned(stamp) == (at % 2 == 0)));
        assert!(!is_owned(NEVER_WRITTEN));
    }

    #[test]
    fn a_hole_is_of_the_youngest_ticket() {
        let hole = Hole::empty();
        assert!(!hole.is_of(0));
        for (marks, youngest) in [(5, 5), (3, 5), (6, 6), (9, 9), (0, 9)] {
            hole.mark(marks);
            assert!((0..12).all(|ticket| hole.is_of(ticket) == (ticket == youngest)), "{marks}");
        }
    }

    /// A writer that sleeps costs those who meet its cell their records, and a reader is told how
    /// many, once.
    #[test]
    fn what_was_dropped_is_told_as_lost() {
        let ring = Ring::<1>::new(2);
        let mut cursor = ring.end();
        // Relaxed: one thread.
        let sleeper = ring.head.fetch_add(1, Ordering::Relaxed);
        assert_eq!(ring.cells[ring.place(sleeper)].claim(sleeper, 2), Ok(()));
        assert_eq!(ring.read(&mut cursor), Read::Empty, "it may come yet");
        assert_eq!((ring.push(&[1]), ring.dropped()), (Some(1), 0));
        assert_eq!((ring.push(&[2]), ring.dropped()), (None, 1));
        assert_eq!(ring.read(&mut cursor), Read::Lost(1), "the sleeper's place is taken");
        let one = Record { sequence: 1, words: [1] };
        assert_eq!(ring.read(&mut cursor), Read::Event(one));
        assert_eq!(ring.read(&mut cursor), Read::Lost(1), "it was dropped");
        assert_eq!(ring.read(&mut cursor), Read::Empty);
        assert_eq!(ring.push(&[3]), Some(3));
        let three = Record { sequence: 3, words: [3] };
        assert_eq!(ring.read(&mut cursor), Read::Event(three));
    }
}
