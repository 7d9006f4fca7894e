//! Parked requests: one cell for each waiter, decided by one word.
//!
//! ```text
//! free -> waiting -> granted       whoever hands bytes over, with the grant already published
//!                 -> withdrawn     its owner, or whoever drops the ticket
//!                 -> expired       whoever sees that the deadline has passed
//!                 -> closed        whoever sees that the tenant is gone
//!         all of these -> free     once both the owner and the line have let go
//! ```
//!
//! One exchange decides each waiter once, so nobody is served twice and a withdrawal that loses
//! the race finds the grant. A ticket is index and generation: a stale one is refused.
//!
//! A waiter enters by pushing its cell onto the *inbox*, a list that whoever holds the line takes
//! whole (`wait.rs`). Entering is lock-free; the rest is a bounded number of steps.

use super::admission::Ask;
use super::grants::Fields;
use super::region::{Table, Zeroed};
use super::sync::{AtomicU32, AtomicU64, Ordering, fence};
use crossbeam_utils::CachePadded;

/// A waiter's place: index and generation of its cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The cell.
    pub index: u32,
    /// Which of its waiters.
    pub generation: u32,
}

/// What became of a waiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing yet.
    Waiting,
    /// A grant: its slot and generation.
    Granted(u32, u32),
    /// The deadline has passed.
    Expired,
    /// The tenant is gone.
    Closed,
    /// The ticket was withdrawn, or its outcome was taken before.
    Stale,
}

/// Where a waiter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Nobody's cell.
    Free = 0,
    /// Parked.
    Waiting = 1,
    /// Has its grant.
    Granted = 2,
    /// Given up by its owner.
    Withdrawn = 3,
    /// Too late.
    Expired = 4,
    /// Its tenant is gone.
    Closed = 5,
}

/// `generation:32 | phase:8`.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Word(u64);

impl Word {
    fn new(generation: u32, phase: Phase) -> Self {
        Self(u64::from(generation) << 32 | phase as u64)
    }

    fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }

    fn is(self, phase: Phase) -> bool {
        self.0 as u32 == phase as u32
    }
}

/// Who has still to let go of a cell.
#[derive(Clone, Copy)]
#[repr(u32)]
pub enum Part {
    /// Whoever has the ticket.
    Owner = 1,
    /// The line of `wait.rs`.
    Line = 2,
}

const BOTH: u32 = Part::Owner as u32 | Part::Line as u32;

struct Cell {
    word: AtomicU64,
    /// [`Part`]s that have let go.
    parted: AtomicU32,
    /// The one that entered before, plus one.
    next: AtomicU32,
    account: AtomicU32,
    account_generation: AtomicU32,
    kind: AtomicU32,
    flags: AtomicU32,
    cost: AtomicU32,
    bytes: AtomicU64,
    key: AtomicU64,
    cookie: AtomicU64,
    expires_ns: AtomicU64,
    entered_ns: AtomicU64,
    ageing_ns: AtomicU64,
    deadline_ns: AtomicU64,
    slot: AtomicU32,
    slot_generation: AtomicU32,
    /// 1: an observer was told of a grant for it.
    told: AtomicU32,
}

// SAFETY: atomics only; all zero is a free cell.
unsafe impl Zeroed for Cell {
    fn empty() -> Self {
        let (zero, long) = (|| AtomicU32::new(0), || AtomicU64::new(0));
        Self {
            word: long(),
            parted: zero(),
            next: zero(),
            account: zero(),
            account_generation: zero(),
            kind: zero(),
            flags: zero(),
            cost: zero(),
            bytes: long(),
            key: long(),
            cookie: long(),
            expires_ns: long(),
            entered_ns: long(),
            ageing_ns: long(),
            deadline_ns: long(),
            slot: zero(),
            slot_generation: zero(),
            told: zero(),
        }
    }
}

/// 64 cells, one bit each: set while taken.
struct Taken(AtomicU64);

// SAFETY: an atomic only; all zero is 64 free cells.
unsafe impl Zeroed for Taken {
    fn empty() -> Self {
        Self(AtomicU64::new(0))
    }
}

/// All waiters there are.
pub struct Waiters {
    cells: Table<Cell>,
    taken: Table<Taken>,
    /// The one that entered last, plus one.
    inbox: CachePadded<AtomicU32>,
}

impl Waiters {
    /// Room for so many.
    pub fn new(waiters_max: u32) -> Self {
        Self {
            cells: Table::new(waiters_max as usize),
            taken: Table::new(waiters_max.div_ceil(u64::BITS) as usize),
            inbox: CachePadded::new(AtomicU32::new(0)),
        }
    }

    /// Most waiters at once.
    pub fn capacity(&self) -> u32 {
        self.cells.capacity()
    }

    /// Parks a request; none if all cells are taken. It is seen by the next hand-over.
    pub fn enter(&self, ask: &Ask, deadline_ns: u64) -> Option<Ticket> {
        let index = self.take_cell()?;
        let cell = &self.cells[index];
        self.fill(cell, ask, deadline_ns);
        // Relaxed: the last waiter's word, ordered by the bit that was taken.
        let last = Word(cell.word.load(Ordering::Relaxed));
        let generation = last.generation().wrapping_add(1);
        // Release: pairs with the Acquire in `word`; the request is written before.
        cell.word.store(Word::new(generation, Phase::Waiting).0, Ordering::Release);
        self.push(index);
        Some(Ticket { index, generation })
    }

    fn take_cell(&self) -> Option<u32> {
        for (at, Taken(word)) in (0..).zip(self.taken.iter()) {
            loop {
                // Relaxed: a free bit is taken by the exchange below or not at all.
                let bits = word.load(Ordering::Relaxed);
                let index = at * u64::BITS + bits.trailing_ones();
                if bits == u64::MAX || index >= self.capacity() {
                    break;
                }
                let bit = 1 << (index % u64::BITS);
                // AcqRel: pairs with the Release half in `part`: the cell is as its last waiter
                // left it.
                if word.fetch_or(bit, Ordering::AcqRel) & bit == 0 {
                    return Some(index);
                }
            }
        }
        None
    }

    fn fill(&self, cell: &Cell, ask: &Ask, deadline_ns: u64) {
        // Release: pairs with the Acquire fence of `look`: who read anything of what follows sees
        // that the cell was free.
        fence(Ordering::Release);
        // Relaxed: published by the Release of the word, and of the inbox.
        let order = Ordering::Relaxed;
        cell.parted.store(0, order);
        cell.account.store(ask.account, order);
        cell.account_generation.store(ask.generation, order);
        cell.kind.store(ask.kind.into(), order);
        cell.flags.store(ask.fields.flags, order);
        cell.cost.store(ask.cost, order);
        cell.bytes.store(ask.bytes, order);
        cell.key.store(ask.fields.key, order);
        cell.cookie.store(ask.fields.cookie, order);
        cell.expires_ns.store(ask.fields.expires_ns, order);
        cell.entered_ns.store(ask.now_ns, order);
        cell.ageing_ns.store(ask.now_ns, order);
        cell.deadline_ns.store(deadline_ns, order);
        cell.told.store(0, order);
    }

    fn push(&self, index: u32) {
        loop {
            // Relaxed: the exchange below decides.
            let first = self.inbox.load(Ordering::Relaxed);
            // Relaxed: published by the exchange below.
            self.cells[index].next.store(first, Ordering::Relaxed);
            // Release: pairs with the Acquire in `take_inbox`. Relaxed on failure: read again.
            let (success, failure) = (Ordering::Release, Ordering::Relaxed);
            if self.inbox.compare_exchange(first, index + 1, success, failure).is_ok() {
                return;
            }
        }
    }

    /// Takes all that entered since the last time, the last of them first. Only whoever holds the
    /// line.
    pub fn take_inbox(&self) -> impl Iterator<Item = u32> + '_ {
        // Acquire: pairs with the Release in `push`, of every waiter of the list: each of them
        // exchanged what the one before had released.
        let last = self.inbox.swap(0, Ordering::Acquire).checked_sub(1);
        // Relaxed: written before the push.
        let before = |&index: &u32| self.cells[index].next.load(Ordering::Relaxed).checked_sub(1);
        std::iter::successors(last, before)
    }

    /// The request of a waiter, as of `now_ns`.
    pub fn ask(&self, index: u32, now_ns: u64) -> Ask {
        let cell = &self.cells[index];
        // Relaxed: written before the waiter entered.
        let order = Ordering::Relaxed;
        Ask {
            account: cell.account.load(order),
            generation: cell.account_generation.load(order),
            kind: cell.kind.load(order) as u8,
            bytes: cell.bytes.load(order),
            fields: Fields {
                key: cell.key.load(order),
                cookie: cell.cookie.load(order),
                expires_ns: cell.expires_ns.load(order),
                keep_until_ns: 0,
                flags: cell.flags.load(order),
            },
            cost: cell.cost.load(order),
            now_ns,
            paced: true,
        }
    }

    /// Whoever waits in a cell, and its request, read while others may decide it.
    pub fn look(&self, index: u32) -> Option<(Ticket, Ask)> {
        let before = self.word(index);
        let ask = self.ask(index, 0);
        // Acquire: pairs with the Release fence of `fill`, by way of what was read.
        fence(Ordering::Acquire);
        let same = before.is(Phase::Waiting) && self.word(index) == before;
        same.then_some((Ticket { index, generation: before.generation() }, ask))
    }

    /// When it entered.
    pub fn entered_ns(&self, index: u32) -> u64 {
        // Relaxed: written before the waiter entered.
        self.cells[index].entered_ns.load(Ordering::Relaxed)
    }

    /// Since when it ages.
    pub fn ageing_ns(&self, index: u32) -> u64 {
        // Relaxed: written before the waiter entered, or by whoever holds the line.
        self.cells[index].ageing_ns.load(Ordering::Relaxed)
    }

    /// Lets it age anew. Only whoever holds the line.
    pub fn age_anew(&self, index: u32, now_ns: u64) {
        // Relaxed: as in `ageing_ns`.
        self.cells[index].ageing_ns.store(now_ns, Ordering::Relaxed);
    }

    /// An observer was told of a grant for it. Only whoever holds the line.
    pub fn note_told(&self, index: u32) {
        // Relaxed: read by whoever holds the line.
        self.cells[index].told.store(1, Ordering::Relaxed);
    }

    /// Whether an observer was told of a grant for it. Only whoever holds the line.
    pub fn is_told(&self, index: u32) -> bool {
        // Relaxed: as above.
        self.cells[index].told.load(Ordering::Relaxed) != 0
    }

    /// Until when it waits.
    pub fn deadline_ns(&self, index: u32) -> u64 {
        // Relaxed: written before the waiter entered.
        self.cells[index].deadline_ns.load(Ordering::Relaxed)
    }

    fn word(&self, index: u32) -> Word {
        // Acquire: pairs with the Release in `enter` and `decide`.
        Word(self.cells[index].word.load(Ordering::Acquire))
    }

    /// Whether it is still parked. Exact for whoever holds the line: the cell is not given away
    /// before the line lets go.
    pub fn is_waiting(&self, index: u32) -> bool {
        self.word(index).is(Phase::Waiting)
    }

    /// Whether it was decided by a grant; exact for whoever holds the line, as above.
    pub fn is_granted(&self, index: u32) -> bool {
        self.word(index).is(Phase::Granted)
    }

    /// Decides a waiter, unless somebody has.
    pub fn decide(&self, index: u32, phase: Phase) -> bool {
        let word = self.word(index);
        self.exchange(index, word, phase)
    }

    fn exchange(&self, index: u32, word: Word, phase: Phase) -> bool {
        let next = Word::new(word.generation(), phase);
        // AcqRel: pairs with the Acquire in `word`: who sees it granted sees the grant.
        // Relaxed on failure: somebody else has decided.
        let (success, failure) = (Ordering::AcqRel, Ordering::Relaxed);
        word.is(Phase::Waiting)
            && self.cells[index].word.compare_exchange(word.0, next.0, success, failure).is_ok()
    }

    /// Decides a waiter by a grant, unless somebody else has decided. Only whoever holds the line.
    pub fn grant(&self, index: u32, (slot, generation): (u32, u32)) -> bool {
        let cell = &self.cells[index];
        // Relaxed: published by the exchange that follows.
        cell.slot.store(slot, Ordering::Relaxed);
        // Relaxed: as above.
        cell.slot_generation.store(generation, Ordering::Relaxed);
        self.decide(index, Phase::Granted)
    }

    /// Decides the waiter of a ticket; false if it was decided before.
    pub fn decide_ticket(&self, ticket: Ticket, phase: Phase) -> bool {
        let word = self.word(ticket.index);
        word.generation() == ticket.generation && self.exchange(ticket.index, word, phase)
    }

    /// What became of a waiter. Once it is decided the owner lets go of it by
    /// [`Waiters::part`], and the ticket is stale.
    pub fn outcome(&self, ticket: Ticket) -> Outcome {
        let (cell, word) = (&self.cells[ticket.index], self.word(ticket.index));
        if word.generation() != ticket.generation {
            return Outcome::Stale;
        }
        // Relaxed: ordered by the word, which was acquired.
        let order = Ordering::Relaxed;
        match word {
            _ if word.is(Phase::Waiting) => Outcome::Waiting,
            _ if word.is(Phase::Granted) => {
                Outcome::Granted(cell.slot.load(order), cell.slot_generation.load(order))
            }
            _ if word.is(Phase::Expired) => Outcome::Expired,
            _ if word.is(Phase::Closed) => Outcome::Closed,
            _ => Outcome::Stale,
        }
    }

    /// The owner of a decided waiter, or the line, lets go of it; the second of them frees the
    /// cell.
    pub fn part(&self, index: u32, part: Part) {
        let cell = &self.cells[index];
        // AcqRel: the second one comes after everything the first one did.
        let before = cell.parted.fetch_or(part as u32, Ordering::AcqRel);
        if before | part as u32 != BOTH || before == BOTH {
            return;
        }
        // Relaxed: nobody else has the cell; published by the Release below.
        let generation = Word(cell.word.load(Ordering::Relaxed)).generation();
        // Release: pairs with the Acquire in `word`: a stale ticket finds a free cell.
        cell.word.store(Word::new(generation, Phase::Free).0, Ordering::Release);
        let bit = 1 << (index % u64::BITS);
        // AcqRel: Release pairs with the Acquire half in `take_cell`.
        self.taken[index / u64::BITS].0.fetch_and(!bit, Ordering::AcqRel);
    }

    /// Cells that are taken.
    pub fn taken(&self) -> u32 {
        // Relaxed: a statistic.
        self.taken.iter().map(|Taken(bits)| bits.load(Ordering::Relaxed).count_ones()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::super::region::tests::{assert_empty_is_zeroed, words};
    use super::super::tests::ask;
    use super::*;

    words! {
        Cell: word parted next account account_generation kind flags cost bytes key cookie
            expires_ns entered_ns ageing_ns deadline_ns slot slot_generation told
    }
    words! { Taken: 0 }

    #[test]
    fn an_empty_cell_is_a_zeroed_one() {
        assert_empty_is_zeroed::<Cell>();
        assert_empty_is_zeroed::<Taken>();
    }

    #[test]
    fn each_waiter_has_a_cell_of_its_own() {
        let waiters = Waiters::new(200);
        let enter = |_| waiters.enter(&ask(2, 1), 9).map(|ticket| ticket.index);
        assert!((0..200).map(enter).eq((0..200).map(Some)));
        assert_eq!((enter(0), waiters.taken()), (None, 200));
    }

    #[test]
    fn a_cell_that_both_have_let_go_of_is_taken_again() {
        let waiters = Waiters::new(200);
        let tickets = [(); 130].map(|()| waiters.enter(&ask(2, 1), 9).unwrap());
        for ticket in [tickets[5], tickets[70], tickets[129]] {
            assert!(waiters.decide_ticket(ticket, Phase::Withdrawn));
            waiters.part(ticket.index, Part::Line);
            assert_eq!(waiters.taken(), 130, "its owner has it still");
            waiters.part(ticket.index, Part::Owner);
            assert_eq!(waiters.taken(), 129);
            assert_eq!(waiters.enter(&ask(2, 1), 9).map(|again| again.index), Some(ticket.index));
        }
    }

    #[test]
    fn what_is_said_of_a_waiter_is_kept() {
        let waiters = Waiters::new(2);
        let ticket = waiters.enter(&Ask { now_ns: 5, ..ask(2, 7) }, 9).unwrap();
        let index = ticket.index;
        assert_eq!((waiters.entered_ns(index), waiters.ageing_ns(index)), (5, 5));
        assert_eq!((waiters.deadline_ns(index), waiters.is_told(index)), (9, false));
        waiters.note_told(index);
        waiters.age_anew(index, 8);
        assert_eq!((waiters.ageing_ns(index), waiters.is_told(index)), (8, true));
    }

    #[test]
    fn an_outcome_is_what_was_decided() {
        for (phase, outcome) in [
            (Phase::Expired, Outcome::Expired),
            (Phase::Closed, Outcome::Closed),
            (Phase::Withdrawn, Outcome::Stale),
        ] {
            let waiters = Waiters::new(2);
            let ticket = waiters.enter(&ask(2, 7), 9).unwrap();
            assert_eq!(waiters.outcome(ticket), Outcome::Waiting);
            assert!(waiters.decide_ticket(ticket, phase));
            assert_eq!(waiters.outcome(ticket), outcome);
        }
    }
}
