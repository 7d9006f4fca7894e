//! The fair queue: who is served next when bytes come free.
//!
//! Waiters stand in one *line*, in the order of their virtual finish times (self-clocked fair
//! queueing, Golestani 1994): the bytes of a tenant with weight w count 1/w, so tenants that always
//! wait share what comes free in proportion to their weights, whatever they ask for.
//!
//! ```text
//! tag(waiter)  = max(virtual time, tag of the tenant's last waiter) + 12 x bytes / weight
//! virtual time = the largest tag that was served
//!
//! W1  tags of one tenant rise in the order in which it asked: first in, first out; who leaves
//!     unserved takes its cost with it, so those of its tenant behind it move forward by as much,
//!     but not before those who would enter now
//! W2  bytes belong to a waiter before it wakes: it is decided by the exchange that names its grant
//! W3  used(tenant) = sum of its live grants + bytes set aside for the senior, if that is its own
//! W4  nobody is forgotten: after the last change that could let a waiter in, somebody looks; who
//!     takes idle claim away that another has bought says so (`has_collected`), for that one finds
//!     none to offer
//! W5  while somebody waits no claim is idle, save what is on its way: who begins to wait collects
//!     it, and whoever frees bytes or buys claim hands it up and looks at the line (S1)
//! W6  who is passed by a later waiter of its tenant did not fit at some moment since that came
//! ```
//!
//! **Hand-over.** One thread at a time walks the line from its front and tries to serve everyone:
//! a waiter that does not fit does not hold up one that does (backfill), though that it does not is
//! made certain before a later one of its own tenant passes it (W6). Who finds another thread
//! at it leaves a *note*, and the holder looks again before it goes (W4); nobody waits for it. A
//! holder makes a bounded number of walks. If there are notes even then it wakes one who waits: who
//! looks at its ticket looks at the line if it is noted. Notes of those who have given up are left
//! to nobody: where nobody waits it goes on.
//!
//! **Ageing.** A waiter that has been passed over for longer than the configured patience is
//! *aged*: later requests of its own tenant no longer pass it. Where an ancestor is short, the
//! longest waiting of the aged becomes the *senior*: whatever comes free there is set aside for it,
//! charged to its tenant byte by byte, until it has enough. There is one senior at a time, so no
//! two of them can each hold what the other needs; who cannot fit at all, since limits were
//! lowered, is none. Bytes set aside are in use, and in no grant.
//!
//! Entering is lock-free. A hand-over is bounded: its steps grow with the line and with nothing
//! else, but it takes nobody's lock and wakes others, so it is more than a release in plenty. Only
//! threads that free bytes, or find claim idle, while somebody waits take part in it; the first one
//! that waits looks at every account once.

use super::Core;
use super::account::{DEPTH_MAX, Obstacle, ROOT};
use super::admission::{Ask, Granted, No, RESTARTS_MAX};
use super::batch::Reading;
use super::bugs::{Bug, planted};
use super::events::{GRANT_RECORDS, Nobody, Observer};
use super::order::priority;
use super::pressure::Live;
use super::region::{Table, Zeroed};
use super::sync::{AtomicU32, AtomicU64, Ordering, fence};
use super::tenant::Turns;
use super::turnover::Turnover;
use super::waiters::{Outcome, Part, Phase, Ticket, Waiters};
use crossbeam_utils::CachePadded;

/// Waiters that one hand-over can name as decided.
pub const DECIDED_MAX: usize = if cfg!(allot_loom) { 2 } else { 32 };
/// Walks along the line that one thread makes if others can go on.
const WALKS_MAX: u32 = 8;
/// What a byte of weight 1 counts: divisible by every weight.
const BYTE_TAG: u64 = 12;
/// Looks at what is in use during each of which the senior changes, before nothing of it counts.
const SENIOR_LOOKS_MAX: u32 = 4;
/// Tags further apart than this are not of the same time.
const TAGS_APART_MAX: u64 = 1 << 62;

const BUSY: u32 = 1;
const NOTE: u32 = 2;

/// The waiters that a hand-over has decided, to be woken once it is over.
pub struct Decided<'o> {
    /// Who is told of grants.
    observer: &'o dyn Observer,
    cells: [u32; DECIDED_MAX],
    length: usize,
    /// Whether a waiter found the table of grants full.
    pub lacks_slots: bool,
}

impl Default for Decided<'_> {
    fn default() -> Self {
        Self::told_to(&Nobody)
    }
}

impl<'o> Decided<'o> {
    /// Nobody yet; grants are told to `observer`.
    pub fn told_to(observer: &'o dyn Observer) -> Self {
        Self { observer, cells: [0; DECIDED_MAX], length: 0, lacks_slots: false }
    }

    fn push(&mut self, index: u32) {
        self.cells[self.length] = index;
        self.length += 1;
    }

    fn is_full(&self) -> bool {
        self.length == DECIDED_MAX
    }

    /// Their cells.
    pub fn cells(&self) -> &[u32] {
        &self.cells[..self.length]
    }
}

/// How the line was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// Everything was looked at, or is by whoever is at it; who is changing what was unclear looks
    /// afterwards.
    Clear,
    /// As many are decided as can be named; there may be more.
    Full,
    /// Others kept changing something: somebody has to look again.
    Noted,
}

/// Why a walk along the line is not the last one.
#[derive(Clone, Copy, Default)]
struct Open {
    /// Others were at work where it looked.
    unclear: bool,
    /// It freed something itself, which those may want whom it had looked at before.
    freed: bool,
}

impl Open {
    fn any(self) -> bool {
        self.unclear || self.freed
    }
}

/// A place in the line.
struct Place {
    tag: AtomicU64,
    cost: AtomicU64,
    cell: AtomicU32,
}

// SAFETY: atomics only; no place is read before it was written.
unsafe impl Zeroed for Place {
    fn empty() -> Self {
        Self { tag: AtomicU64::new(0), cost: AtomicU64::new(0), cell: AtomicU32::new(0) }
    }
}

/// Someone in the line.
#[derive(Clone, Copy)]
struct Standing {
    /// Its virtual finish time.
    tag: u64,
    /// Its part of the tag.
    cost: u64,
    cell: u32,
}

/// The line and who stands in it.
pub struct Waiting {
    /// The waiters themselves.
    pub waiters: Waiters,
    /// What it gave out lately.
    pub turnover: CachePadded<Turnover>,
    line: Table<Place>,
    door: CachePadded<AtomicU32>,
    state: CachePadded<State>,
    patience_ns: u64,
}

/// What only the holder of the line reads and writes, save for looks of people.
struct State {
    length: AtomicU32,
    virtual_time: AtomicU64,
    /// The cell of the senior, plus one.
    senior: AtomicU32,
    /// How often one was made, or began to give up what it had.
    seniors: AtomicU64,
    /// Bytes set aside for it, and while that changes all that may be in use for it.
    aside_bytes: AtomicU64,
    /// Bytes set aside for it, and while that changes only what is in use for it.
    charged_bytes: AtomicU64,
    /// When there came to be more of them, or it became the senior.
    gained_ns: AtomicU64,
    /// Number of this walk: marks tenants that are not passed.
    walk: AtomicU32,
}

/// What became of an attempt to serve a waiter.
enum Served {
    Granted(Granted),
    /// Refused by this account.
    Short(u32),
    /// Others are at work: look again.
    Unclear,
    /// Something else than bytes is missing.
    Lacking(No),
}

impl Waiting {
    /// Room for so many waiters, whose patience is so long.
    pub fn new(waiters_max: u32, patience_ns: u64) -> Self {
        let (zero, long) = (|| AtomicU32::new(0), || AtomicU64::new(0));
        let state = State {
            length: zero(),
            virtual_time: long(),
            senior: zero(),
            seniors: long(),
            aside_bytes: long(),
            charged_bytes: long(),
            gained_ns: long(),
            walk: zero(),
        };
        Self {
            waiters: Waiters::new(waiters_max),
            turnover: CachePadded::default(),
            line: Table::new(waiters_max as usize),
            door: CachePadded::new(zero()),
            state: CachePadded::new(state),
            patience_ns,
        }
    }

    /// Whether the line is held, or a note was left that nobody has looked at: whoever changes
    /// something leaves a note then, or takes the line.
    pub fn is_noted(&self) -> bool {
        // Acquire: pairs with the AcqRel in `take_line`.
        self.door.load(Ordering::Acquire) != 0
    }

    /// Takes the line, or leaves a note to who has it.
    fn take_line(&self) -> bool {
        // AcqRel: Acquire pairs with the Release half in `leave_line`: the line is as the last
        // holder left it. Release: what the caller changed is seen by who reads the note.
        self.door.fetch_or(BUSY | NOTE, Ordering::AcqRel) & BUSY == 0
    }

    fn take_note(&self) {
        // AcqRel: pairs with the Release half in `take_line`.
        self.door.fetch_and(!NOTE, Ordering::AcqRel);
    }

    /// Leaves the line, unless there is a note.
    fn leave_line(&self) -> bool {
        // AcqRel: pairs with the Acquire half in `take_line`.
        // Acquire on failure: pairs with the Release half in `take_line`.
        let (success, failure) = (Ordering::AcqRel, Ordering::Acquire);
        if planted(Bug::NoteIgnored) {
            // AcqRel: as below.
            return self.door.swap(0, success) > 0;
        }
        self.door.compare_exchange(BUSY, 0, success, failure).is_ok()
    }

    /// Leaves the line and a note of its own, unless there is one.
    fn leave_unclear(&self) -> bool {
        // AcqRel: pairs with the Acquire half in `take_line`.
        // Acquire on failure: pairs with the Release half in `take_line`.
        let (success, failure) = (Ordering::AcqRel, Ordering::Acquire);
        self.door.compare_exchange(BUSY, NOTE, success, failure).is_ok()
    }

    /// Leaves the line and a note.
    fn leave_to_others(&self) {
        // AcqRel: pairs with the Acquire half in `take_line`.
        self.door.swap(NOTE, Ordering::AcqRel);
    }

    fn length(&self) -> u32 {
        // Relaxed: held, or a look of people.
        self.state.length.load(Ordering::Relaxed)
    }

    fn set_length(&self, length: u32) {
        // Relaxed: held.
        self.state.length.store(length, Ordering::Relaxed);
    }

    fn at(&self, index: u32) -> Standing {
        let place = &self.line[index];
        // Relaxed: held, or a look of people.
        let order = Ordering::Relaxed;
        Standing {
            tag: place.tag.load(order),
            cost: place.cost.load(order),
            cell: place.cell.load(order),
        }
    }

    fn put(&self, index: u32, standing: Standing) {
        let place = &self.line[index];
        // Relaxed: held.
        let order = Ordering::Relaxed;
        place.tag.store(standing.tag, order);
        place.cost.store(standing.cost, order);
        place.cell.store(standing.cell, order);
    }

    fn virtual_time(&self) -> u64 {
        // Relaxed: held.
        self.state.virtual_time.load(Ordering::Relaxed)
    }

    /// Lets a waiter stand behind all of the first `length` whose tags are not larger.
    fn insert(&self, length: u32, standing: Standing) {
        let now = self.virtual_time();
        let since = |tag: u64| tag.wrapping_sub(now) as i64;
        let mut at = length;
        while at > 0 && since(self.at(at - 1).tag) > since(standing.tag) {
            self.put(at, self.at(at - 1));
            at -= 1;
        }
        self.put(at, standing);
    }

    /// The cell of the senior.
    pub fn senior(&self) -> Option<u32> {
        // Acquire: pairs with the Release in `set_senior`: what is read of it next is not older.
        self.state.senior.load(Ordering::Acquire).checked_sub(1)
    }

    fn set_senior(&self, cell: Option<u32>) {
        // Release: pairs with the Acquire in `senior`: nothing is aside for the one before then.
        self.state.senior.store(cell.map_or(0, |cell| cell + 1), Ordering::Release);
    }

    /// Two equal answers mean that there was one senior at most between them, who gave up nothing:
    /// what was in use for it at any time then is aside at the end, or in its grant.
    fn seniors(&self) -> u64 {
        // Acquire: pairs with the Release in `note_senior`.
        self.state.seniors.load(Ordering::Acquire)
    }

    /// Before another one is made, or what is aside goes out of use.
    fn note_senior(&self) {
        // Relaxed: held.
        let next = self.state.seniors.load(Ordering::Relaxed).wrapping_add(1);
        // Release: pairs with the Acquire in `seniors`; whoever sees what comes next sees this.
        self.state.seniors.store(next, Ordering::Release);
    }

    /// Bytes set aside for the senior, with those that it is just being tried to set aside, or
    /// that are given up.
    pub fn aside_bytes(&self) -> u64 {
        // Acquire: pairs with the Release in `set_aside_bytes`: what is read next is not older.
        self.state.aside_bytes.load(Ordering::Acquire)
    }

    fn set_aside_bytes(&self, bytes: u64) {
        // Release: pairs with the Acquire in `aside_bytes`.
        self.state.aside_bytes.store(bytes, Ordering::Release);
    }

    /// Bytes set aside for the senior, without those.
    fn charged_bytes(&self) -> u64 {
        // Acquire: pairs with the Release in `set_charged_bytes`: what is read next is not older.
        self.state.charged_bytes.load(Ordering::Acquire)
    }

    fn set_charged_bytes(&self, bytes: u64) {
        // Release: pairs with the Acquire in `charged_bytes`.
        self.state.charged_bytes.store(bytes, Ordering::Release);
    }

    /// Of the bytes that `used` finds in use by all tenants those that are in grants: all but what
    /// is set aside. What that is at most is seen before or after them, and what it is at least
    /// both times.
    pub fn live(&self, used: impl FnOnce() -> u64) -> Live {
        let look = || (self.charged_bytes(), self.aside_bytes());
        let seniors = self.seniors();
        let (before, used, after) = (look(), used(), look());
        let (charged, aside) = match self.seniors() == seniors {
            true => (before.0.min(after.0), before.1.max(after.1)),
            // What was charged for one may be in its grant, and what others had in the use, too.
            false => (0, u64::MAX),
        };
        let most = used.saturating_sub(charged);
        // Never more, though it may have changed several times meanwhile.
        Live { least: used.saturating_sub(aside).min(most), most }
    }

    fn gained_ns(&self) -> u64 {
        // Relaxed: held.
        self.state.gained_ns.load(Ordering::Relaxed)
    }

    fn set_gained_ns(&self, now_ns: u64) {
        // Relaxed: held.
        self.state.gained_ns.store(now_ns, Ordering::Relaxed);
    }

    /// Whether it has been passed over for longer than patience lasts.
    pub fn is_aged(&self, cell: u32, now_ns: u64) -> bool {
        now_ns.saturating_sub(self.waiters.ageing_ns(cell)) >= self.patience_ns
    }

    /// Who stands at a place in line, and what it still wants. A look while the line may move.
    pub fn look(&self, place: u32) -> Option<(Ticket, Ask)> {
        if place >= self.length().min(self.line.capacity()) {
            return None;
        }
        let cell = self.at(place).cell;
        let (ticket, mut ask) = self.waiters.look(cell)?;
        if self.senior() == Some(cell) {
            ask.bytes = ask.bytes.saturating_sub(self.aside_bytes()).max(1);
        }
        Some((ticket, ask))
    }

    /// Bytes wanted by all who stand before this waiter, and by itself; none if it does not stand
    /// in line. A look while the line may move: good for an estimate.
    pub fn bytes_before(&self, ticket: Ticket) -> Option<u64> {
        let mut sum: u64 = 0;
        for cell in self.standing() {
            sum = sum.saturating_add(self.waiters.ask(cell, 0).bytes);
            if cell == ticket.index {
                return Some(sum);
            }
        }
        None
    }

    /// The cells of those in line, from its front. A look while the line may move.
    pub fn standing(&self) -> impl Iterator<Item = u32> {
        (0..self.length().min(self.line.capacity())).map(|index| self.at(index).cell)
    }

    /// How many of those in line a waiter with this tag would stand behind.
    fn before(&self, tag: u64) -> usize {
        let now = self.virtual_time();
        let since = |tag: u64| tag.wrapping_sub(now) as i64;
        let length = self.length().min(self.line.capacity());
        (0..length).filter(|&index| since(self.at(index).tag) <= since(tag)).count()
    }

    /// The tenants in line with their generations, and what each still needs beyond what was set
    /// aside for it. A look while the line may move.
    pub fn wanted(&self) -> impl Iterator<Item = (u32, u32, u64)> + '_ {
        self.standing().filter(|&cell| self.waiters.is_waiting(cell)).map(|cell| {
            let ask = self.waiters.ask(cell, 0);
            let aside = if self.senior() == Some(cell) { self.aside_bytes() } else { 0 };
            (ask.account, ask.generation, ask.bytes.saturating_sub(aside))
        })
    }
}

impl Core {
    /// Parks a request that was refused, until `deadline_ns`; none if too many wait. The caller
    /// calls [`Core::hand_over`] next, which looks whether it fits after all.
    pub fn enter_line(&self, ask: &Ask, deadline_ns: u64) -> Option<Ticket> {
        // If it is the first, the next hand-over collects what is idle.
        self.scarcity.enter();
        let ticket = self.waiting.waiters.enter(ask, deadline_ns);
        if ticket.is_none() {
            self.scarcity.leave();
        }
        ticket
    }

    /// Gives up waiting; false if the waiter was decided before. The caller calls
    /// [`Core::hand_over`] next: what was set aside for it goes to others.
    pub fn withdraw(&self, ticket: Ticket) -> bool {
        let withdrawn = self.decide_ticket(ticket, Phase::Withdrawn);
        if withdrawn {
            self.waiting.waiters.part(ticket.index, Part::Owner);
        }
        withdrawn
    }

    /// Gives up waiting because the deadline has passed.
    pub fn expire(&self, ticket: Ticket) -> bool {
        self.decide_ticket(ticket, Phase::Expired)
    }

    fn decide_ticket(&self, ticket: Ticket, phase: Phase) -> bool {
        let decided = self.waiting.waiters.decide_ticket(ticket, phase);
        if decided {
            self.scarcity.leave();
        }
        decided
    }

    /// What became of a waiter. Whoever is told of a grant owns it; the ticket is stale then.
    pub fn take_outcome(&self, ticket: Ticket) -> Outcome {
        let waiters = &self.waiting.waiters;
        let outcome = waiters.outcome(ticket);
        if !matches!(outcome, Outcome::Waiting | Outcome::Stale) {
            waiters.part(ticket.index, Part::Owner);
        }
        outcome
    }

    /// Serves everyone in line who fits, unless another thread is at it: that one looks again.
    /// Called, with nothing held, after bytes, slots or limits have changed while somebody waits.
    pub fn hand_over(&self, now_ns: u64, decided: &mut Decided<'_>) -> Left {
        let waiting = &self.waiting;
        if !waiting.take_line() {
            return Left::Clear;
        }
        let mut left = Open::default();
        for _ in 0..WALKS_MAX {
            waiting.take_note();
            left = self.walk(now_ns, decided);
            if decided.is_full() {
                waiting.leave_to_others();
                return Left::Full;
            }
            if !left.any() && waiting.leave_line() {
                return Left::Clear;
            }
        }
        // Those who are at work look afterwards; what this walk freed nobody else knows of.
        let others = left.unclear && !left.freed;
        if others && decided.cells().is_empty() && waiting.leave_unclear() {
            return Left::Clear;
        }
        waiting.leave_to_others();
        Left::Noted
    }

    /// One walk along the line; says what is a reason for another one.
    fn walk(&self, now_ns: u64, decided: &mut Decided<'_>) -> Open {
        let waiting = &self.waiting;
        waiting.turnover.look(now_ns);
        self.let_in();
        // Relaxed: held.
        let number = waiting.state.walk.load(Ordering::Relaxed).wrapping_add(1).max(1);
        // Relaxed: held.
        waiting.state.walk.store(number, Ordering::Relaxed);
        let unsettled = !self.settle();
        let mut open = self.serve_senior(now_ns, decided);
        open.unclear |= unsettled;
        let (mut kept, length) = (0, waiting.length());
        let mut oldest: Option<u32> = None;
        for index in 0..length {
            let mut standing = waiting.at(index);
            if let Some(turns) = self.turns(&waiting.waiters.ask(standing.cell, 0)) {
                let now = waiting.virtual_time();
                standing.tag = turns.moved(standing.tag, standing.cost, number, now);
            }
            let stays = if decided.is_full() {
                waiting.turnover.short();
                true
            } else {
                let look = self.look_at(&standing, now_ns, number, decided);
                open.unclear |= look == Look::Unclear;
                open.freed |= look == Look::LeavesBytes;
                if look == Look::Aged {
                    let since = |cell| waiting.waiters.ageing_ns(cell);
                    let longer = oldest.is_none_or(|o| since(standing.cell) < since(o));
                    oldest = if longer { Some(standing.cell) } else { oldest };
                }
                look != Look::Leaves && look != Look::LeavesBytes
            };
            if stays {
                waiting.insert(kept, standing);
                kept += 1;
            }
        }
        waiting.set_length(kept);
        open.freed |= oldest.is_some_and(|oldest| self.make_senior(oldest, now_ns));
        // Those who were looked at before may want it, if there are any still.
        open.freed |= self.scarcity.is_waited() && self.accounts.has_collected();
        open
    }

    /// Makes an aged waiter the senior, if there is none, or the present one has gained nothing for
    /// longer than its patience: then it makes way, and ages anew. Says whether bytes came free.
    fn make_senior(&self, oldest: u32, now_ns: u64) -> bool {
        let waiting = &self.waiting;
        let mut freed = false;
        if let Some(senior) = waiting.senior() {
            if now_ns.saturating_sub(waiting.gained_ns()) <= waiting.patience_ns {
                return false;
            }
            waiting.waiters.age_anew(senior, now_ns);
            freed = self.give_up_aside(senior);
        }
        waiting.note_senior();
        waiting.set_senior(Some(oldest));
        waiting.set_gained_ns(now_ns);
        self.set_aside(oldest, now_ns) | freed
    }

    /// Collects what may be idle for those who wait; false if some of it is on its way. Who comes
    /// next, if nobody does, says that there may be some.
    fn settle(&self) -> bool {
        if !self.scarcity.is_waited() {
            return true;
        }
        if !(self.scarcity.settle() | self.accounts.take_collected()) {
            return true;
        }
        let settled = self.accounts.collect(ROOT, u64::MAX);
        // It is there for all who are looked at next.
        self.accounts.take_collected();
        if !settled {
            self.scarcity.unsettle();
        }
        settled
    }

    /// Hands up what is idle of a tenant that has just paid for what a waiter needs, and for no
    /// more: what goes up here another has bought, or is giving back.
    fn give_up_others(&self, account: u32) {
        let up = self.accounts.hand_up(account);
        if up.freed > 0 {
            self.accounts.note_collected();
        }
        if up.busy {
            self.scarcity.unsettle();
        }
    }

    /// Gives those who entered their places.
    fn let_in(&self) {
        // The list is the last one first: turned round by threading it through the line's end.
        let waiting = &self.waiting;
        let capacity = waiting.line.capacity();
        let mut begin = capacity;
        for cell in waiting.waiters.take_inbox() {
            begin -= 1;
            waiting.put(begin, Standing { tag: 0, cost: 0, cell });
        }
        for index in begin..capacity {
            let cell = waiting.at(index).cell;
            let ask = waiting.waiters.ask(cell, 0);
            let turns = &self.tenant(ask.account).turns;
            let is_here = self.accounts.generation(ask.account) == ask.generation;
            if is_here && !turns.are_of(ask.generation) {
                turns.begin(ask.generation, waiting.virtual_time());
            }
            let (tag, cost) = (self.tag_of(&ask), self.cost_tag(&ask));
            if let Some(turns) = self.turns(&ask) {
                turns.set_tag(tag);
            }
            let length = waiting.length();
            waiting.insert(length, Standing { tag, cost, cell });
            waiting.set_length(length + 1);
        }
    }

    /// The turns of the tenant of a request; none if they are those of another one in its slot, who
    /// owes and gets nothing for it.
    fn turns(&self, ask: &Ask) -> Option<&Turns> {
        let turns = &self.tenant(ask.account).turns;
        turns.are_of(ask.generation).then_some(turns)
    }

    fn tag_of(&self, ask: &Ask) -> u64 {
        self.start_tag(ask).wrapping_add(self.cost_tag(ask))
    }

    /// How many of those in line the request would stand behind. A look while the line may move.
    pub fn waiters_before(&self, ask: &Ask) -> usize {
        self.waiting.before(self.tag_of(ask))
    }

    fn cost_tag(&self, ask: &Ask) -> u64 {
        let weight = u64::from(priority(self.accounts.traits(ask.account))) + 1;
        ask.bytes * BYTE_TAG / weight
    }

    /// The later of the virtual time and the tag of the tenant's last waiter.
    fn start_tag(&self, ask: &Ask) -> u64 {
        let now = self.waiting.virtual_time();
        let last = self.turns(ask).map_or(now, Turns::tag);
        if last.wrapping_sub(now) < TAGS_APART_MAX { last } else { now }
    }

    /// Serves the senior, or sets aside what there is for it.
    fn serve_senior(&self, now_ns: u64, decided: &mut Decided<'_>) -> Open {
        let waiting = &self.waiting;
        let mut open = Open::default();
        let Some(cell) = waiting.senior() else { return open };
        let waiters = &waiting.waiters;
        let late = waiters.deadline_ns(cell) <= now_ns;
        if late || !waiters.is_waiting(cell) || self.is_gone(&waiters.ask(cell, now_ns)) {
            // What it had goes to those in line before anybody is senior again.
            self.give_up_aside(cell);
            return open;
        }
        if decided.is_full() {
            return open;
        }
        // What went up again is there for those who are looked at next.
        self.set_aside(cell, now_ns);
        match self.serve(cell, now_ns, decided.observer) {
            Served::Granted(granted) => {
                // All bytes are its grant's now.
                waiting.set_aside_bytes(0);
                self.decide_granted(cell, granted, decided);
            }
            Served::Short(account) => {
                // At its own limit it needs no bytes of others, and makes way for the next.
                let ask = waiters.ask(cell, now_ns);
                if account == ask.account || !self.can_ever_fit(&ask) {
                    open.freed = self.give_up_aside(cell);
                }
            }
            Served::Unclear => open.unclear = true,
            // Without a slot it has no use for bytes.
            Served::Lacking(no) => {
                decided.lacks_slots |= no == No::Slots;
                open.freed = self.give_up_aside(cell);
            }
        }
        open
    }

    /// Sets aside for the senior what it can get now; says whether claim that was bought in vain
    /// went up again.
    fn set_aside(&self, cell: u32, now_ns: u64) -> bool {
        let waiting = &self.waiting;
        let ask = waiting.waiters.ask(cell, now_ns);
        let aside = waiting.aside_bytes();
        let mut wanted = ask.bytes - aside;
        for _ in 0..=DEPTH_MAX + 1 {
            if wanted == 0 {
                break;
            }
            let counted = self.accounts.head(ask.account).counted();
            // Before they are in use: see `in_grants`.
            waiting.set_aside_bytes(aside + wanted);
            match self.accounts.charge_once(ask.account, ask.generation, counted, wanted) {
                Ok(()) => {
                    // Once they are in use: see `Waiting::live`.
                    waiting.set_charged_bytes(aside + wanted);
                    waiting.set_gained_ns(now_ns);
                    self.give_up_others(ask.account);
                    return false;
                }
                Err(Obstacle::Full { asked, used, limit, .. }) => {
                    // The account that refused has so much less than it was asked for.
                    let short = (used + asked).saturating_sub(limit).max(1);
                    wanted = wanted.saturating_sub(short);
                }
                Err(_) => break,
            }
        }
        waiting.set_aside_bytes(aside);
        self.give_up_rest(ask.account)
    }

    /// Bytes of an account that are set aside for the senior.
    pub fn aside_of(&self, account: u32) -> u64 {
        let waiting = &self.waiting;
        let of = |cell| waiting.waiters.ask(cell, 0).account;
        if waiting.senior().map(of) == Some(account) { waiting.charged_bytes() } else { 0 }
    }

    /// Closes a tenant that holds no grant; else answers the bytes in its grants. With the line
    /// held, so that what is set aside is neither more nor less than what is charged for it, and
    /// becomes no grant meanwhile: `wait` is called while another thread has it, for a bounded
    /// number of that thread's own steps. The caller holds the administrative mutex, and looks at
    /// the line afterwards, whether anybody waits or not.
    pub fn close_while_idle(&self, account: u32, wait: impl Fn()) -> Result<(), u64> {
        while !self.waiting.take_line() {
            wait();
        }
        let aside = self.aside_of(account);
        let closed = self.accounts.close_within(account, aside);
        let bytes = self.accounts.used(account).saturating_sub(aside);
        self.waiting.leave_to_others();
        if closed { Ok(()) } else { Err(bytes) }
    }

    /// At most what the grants below an account hold: its use without what is set aside for the
    /// senior, which nobody can evict. Bytes are aside from before they are charged until after
    /// they are out of use, so while there is one senior they are seen at the second look at the
    /// latest. 0 if the senior changes again and again.
    pub fn in_grants(&self, account: u32) -> u64 {
        self.without_aside(account, || self.accounts.used(account))
    }

    /// The same of what a look finds in use there.
    pub fn without_aside(&self, account: u32, look: impl Fn() -> u64) -> u64 {
        let waiting = &self.waiting;
        for _ in 0..SENIOR_LOOKS_MAX {
            let seniors = waiting.seniors();
            let (senior, before) = (waiting.senior(), waiting.aside_bytes());
            let used = look();
            let aside = before.max(waiting.aside_bytes());
            let above = aside > 0 && self.is_above(account, senior);
            // Acquire: pairs with the Release in `note_senior`: the cell was the senior's all the
            // time, if it still is.
            fence(Ordering::Acquire);
            if waiting.seniors() == seniors {
                return if above { used.saturating_sub(aside) } else { used };
            }
        }
        0
    }

    /// Whether the tenant of a waiter is an account, or below it. Taken for true of nobody: that
    /// one is just being made the senior, or is no more.
    fn is_above(&self, account: u32, cell: Option<u32>) -> bool {
        let Some(cell) = cell else { return true };
        let tenant = self.waiting.waiters.ask(cell, 0).account;
        tenant == account || self.accounts.is_below(tenant, account)
    }

    /// Takes what was set aside for the senior out of use again, unless its grant has it.
    fn give_up_aside(&self, cell: u32) -> bool {
        let waiting = &self.waiting;
        if waiting.senior() != Some(cell) {
            return false;
        }
        let aside = waiting.aside_bytes();
        waiting.note_senior();
        // While they are in use: see `Waiting::live`.
        waiting.set_charged_bytes(0);
        if aside > 0 {
            self.uncharge(waiting.waiters.ask(cell, 0).account, aside);
        }
        // After they were in use: see `in_grants`.
        waiting.set_aside_bytes(0);
        waiting.set_senior(None);
        aside > 0
    }

    /// Looks at one who stands in line.
    fn look_at(&self, at: &Standing, now_ns: u64, walk: u32, decided: &mut Decided<'_>) -> Look {
        let waiting = &self.waiting;
        let waiters = &waiting.waiters;
        if !waiters.is_waiting(at.cell) {
            return self.let_go(at, walk);
        }
        if waiters.deadline_ns(at.cell) <= now_ns {
            return self.decide_without(at, Phase::Expired, walk, decided);
        }
        let ask = waiters.ask(at.cell, now_ns);
        if self.is_gone(&ask) {
            return self.decide_without(at, Phase::Closed, walk, decided);
        }
        let turns = &self.tenant(ask.account).turns;
        if waiting.senior() == Some(at.cell) {
            turns.hold_up(walk);
        }
        if turns.is_held_up(walk) {
            return Look::Stays;
        }
        if self.would_overtake(&ask, walk) {
            turns.hold_up(walk);
            return Look::Unclear;
        }
        let served = self.serve(at.cell, now_ns, decided.observer);
        let aged = waiting.is_aged(at.cell, now_ns);
        if aged && !matches!(served, Served::Granted(_)) {
            turns.hold_up(walk);
        }
        match served {
            Served::Granted(granted) => {
                if !self.decide_granted(at.cell, granted, decided) {
                    self.let_go(at, walk);
                    return Look::LeavesBytes;
                }
                self.advance(at.tag);
                waiters.part(at.cell, Part::Line);
                Look::Leaves
            }
            Served::Short(account) => {
                turns.note_short(ask.bytes, walk);
                let of_others = aged && account != ask.account;
                let gains = of_others && !self.lacks_count(&ask) && self.can_ever_fit(&ask);
                if gains { Look::Aged } else { Look::Stays }
            }
            Served::Lacking(no) => {
                decided.lacks_slots |= no == No::Slots;
                Look::Stays
            }
            // It may fit: no later one of its tenant passes it before that is known.
            Served::Unclear => {
                turns.hold_up(walk);
                Look::Unclear
            }
        }
    }

    /// Whether one that fits would be served before one of its tenant that may fit as well: bytes
    /// on their way, of others and of batches, hid that from the look at it in this walk.
    fn would_overtake(&self, ask: &Ask, walk: u32) -> bool {
        let tenant = self.tenant(ask.account);
        let Some(least) = tenant.turns.least_short(walk) else { return false };
        if self.accounts.shortage(ask.account, ask.bytes).is_some() {
            return false;
        }
        // At its own limit only those batches that charge the tenant itself.
        let (own, all) = (Reading::of(&tenant.batches), self.batches.read());
        let surely = |short| match short == ask.account {
            true => own.was_quiet(Reading::of(&tenant.batches)),
            false => all.was_quiet(self.batches.read()),
        };
        !self.accounts.surely_short(ask.account, least).is_some_and(surely)
    }

    /// Virtual time goes on to what was served.
    fn advance(&self, tag: u64) {
        let now = self.waiting.virtual_time();
        if tag.wrapping_sub(now) < TAGS_APART_MAX {
            // Relaxed: held.
            self.waiting.state.virtual_time.store(tag, Ordering::Relaxed);
        }
    }

    /// Hands a published grant to its waiter, or ends it again if the waiter is decided already.
    fn decide_granted(&self, cell: u32, granted: Granted, decided: &mut Decided<'_>) -> bool {
        let waiting = &self.waiting;
        let ask = waiting.waiters.ask(cell, 0);
        waiting.waiters.note_told(cell);
        if waiting.waiters.grant(cell, granted) {
            self.scarcity.leave();
            waiting.turnover.served(ask.bytes, waiting.waiters.entered_ns(cell));
            decided.push(cell);
            return true;
        }
        // An evictor may have been faster; either way the bytes leave the used word once.
        if !planted(Bug::ServedLate) {
            let _ = self.release(granted.0, granted.1, ask.owner(), decided.observer);
        }
        false
    }

    fn decide_without(
        &self,
        at: &Standing,
        phase: Phase,
        walk: u32,
        into: &mut Decided<'_>,
    ) -> Look {
        if self.waiting.waiters.decide(at.cell, phase) {
            self.scarcity.leave();
            into.push(at.cell);
        }
        self.let_go(at, walk)
    }

    /// The line lets go of a waiter that is decided, and was not served from its place.
    fn let_go(&self, at: &Standing, walk: u32) -> Look {
        let waiters = &self.waiting.waiters;
        if waiters.is_granted(at.cell) {
            // It was served as the senior.
            self.advance(at.tag);
        } else if let Some(turns) = self.turns(&waiters.ask(at.cell, 0)) {
            turns.give_back(at.cost, walk);
        }
        let freed = self.give_up_aside(at.cell);
        if !waiters.is_told(at.cell) {
            self.events.give_room(GRANT_RECORDS);
        }
        waiters.part(at.cell, Part::Line);
        if freed { Look::LeavesBytes } else { Look::Leaves }
    }

    /// Whether the limits allow the request at all.
    pub fn can_ever_fit(&self, ask: &Ask) -> bool {
        ask.bytes <= self.accounts.attainable(ask.account, true)
    }

    /// Whether the tenant holds as many grants of the type as it may.
    fn lacks_count(&self, ask: &Ask) -> bool {
        let queue = self.queue(ask.owner());
        queue.grants_max().is_some_and(|max| queue.counted() >= u64::from(max))
    }

    /// Whether the tenant of a request was unregistered.
    pub fn is_gone(&self, ask: &Ask) -> bool {
        let head = self.accounts.head(ask.account);
        head.generation() != ask.generation || head.closed()
    }

    /// Tries to serve a waiter. A look at the accounts is enough for an answer, because no claim
    /// is idle while somebody waits (W5).
    fn serve(&self, cell: u32, now_ns: u64, observer: &dyn Observer) -> Served {
        let ask = self.waiting.waiters.ask(cell, now_ns);
        let senior = self.waiting.senior() == Some(cell);
        let bytes = ask.bytes - if senior { self.waiting.aside_bytes() } else { 0 };
        if let Some(Obstacle::Full { account, .. }) = self.accounts.shortage(ask.account, bytes) {
            if account != ask.account {
                self.waiting.turnover.short();
            }
            return Served::Short(account);
        }
        for _ in 0..RESTARTS_MAX {
            let ready = match self.prepare(&ask, 1) {
                Ok(ready) => ready,
                // Closed: once more, then it is seen to be gone.
                Err(No::Contended | No::Closed) => return Served::Unclear,
                Err(no) => return Served::Lacking(no),
            };
            // Also of nothing, if all is set aside: that what was prepared is still in force is
            // known by the exchange of the used word.
            let (generation, counted) = (ask.generation, ready.counted);
            let bytes = if planted(Bug::ServedTwice) { 2 * bytes } else { bytes };
            let charged = self.accounts.charge_once(ask.account, generation, counted, bytes);
            let obstacle = match charged {
                Ok(()) => {
                    self.give_up_others(ask.account);
                    if senior {
                        // Before they are in a grant: see `Waiting::live`.
                        self.waiting.set_charged_bytes(0);
                    }
                    return Served::Granted(self.publish(&ask, &ready, observer));
                }
                Err(obstacle) => obstacle,
            };
            self.abandon(&ask, &ready);
            let withheld = self.give_up_rest(ask.account);
            match obstacle {
                // Others may want what was bought for it in vain.
                Obstacle::Full { .. } if withheld => return Served::Unclear,
                Obstacle::Full { account, .. } => return Served::Short(account),
                Obstacle::Changed => {}
                Obstacle::Contended | Obstacle::Closed => return Served::Unclear,
            }
        }
        Served::Unclear
    }
}

/// What a look at one who stands in line came to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    /// It is decided and leaves.
    Leaves,
    /// It leaves, and bytes come free that those before it may want.
    LeavesBytes,
    /// It stays: something is missing, or it was not its turn.
    Stays,
    /// Bytes of an ancestor are missing, for too long.
    Aged,
    /// Others are at work: it has to be looked at again.
    Unclear,
}

#[cfg(test)]
mod tests {
    use super::super::account::Settings;
    use super::super::events::{End, Nobody};
    use super::super::region::tests::{assert_empty_is_zeroed, words};
    use super::super::tests::{ask, core};
    use super::super::word::Owner;
    use super::*;

    words! { Place: tag cost cell }

    #[test]
    fn an_empty_cell_is_a_zeroed_one() {
        assert_empty_is_zeroed::<Place>();
    }

    /// What was collected while nobody waits is no reason to look again: whoever comes looks.
    #[test]
    fn a_line_that_nobody_waits_in_is_left_at_once() {
        let core = core(100);
        core.accounts.note_collected();
        let left = core.hand_over(0, &mut Decided::default());
        assert!(left == Left::Clear && !core.waiting.is_noted());
        core.enter_line(&ask(2, 5), u64::MAX).unwrap();
        core.hand_over(0, &mut Decided::default());
        assert!(!core.is_unsettled(), "it has looked");
    }

    #[test]
    fn who_finds_the_line_held_leaves_a_note() {
        let waiting = Waiting::new(4, 100);
        assert!(!waiting.is_noted());
        assert!(waiting.take_line());
        assert!(waiting.is_noted() && !waiting.leave_line(), "taking it is a note to oneself");
        waiting.take_note();
        assert!(waiting.leave_line() && !waiting.is_noted());
        assert!(waiting.take_line() && !waiting.take_line());
        waiting.take_note();
        assert!(!waiting.take_line(), "held");
        assert!(!waiting.leave_line() && !waiting.leave_unclear(), "somebody left a note");
        waiting.take_note();
        assert!(waiting.leave_unclear() && waiting.is_noted());
        assert!(waiting.take_line(), "a note holds nobody off");
        waiting.leave_to_others();
        assert!(waiting.is_noted() && waiting.take_line());
    }

    /// Whatever is on its way when the use is added up, or changes meanwhile, lies between.
    #[test]
    fn what_is_in_grants_is_told_as_closely_as_it_is_known() {
        let waiting = Waiting::new(4, 100);
        let change = |aside, charged| {
            waiting.set_aside_bytes(aside);
            waiting.set_charged_bytes(charged);
            50
        };
        change(0, 0);
        assert_eq!(waiting.live(|| change(0, 0)), Live { least: 50, most: 50 });
        assert_eq!(waiting.live(|| change(30, 10)), Live { least: 20, most: 50 });
        assert_eq!(waiting.live(|| change(30, 30)), Live { least: 20, most: 40 });
        assert_eq!(waiting.live(|| change(20, 20)), Live { least: 20, most: 30 });
        assert_eq!(waiting.live(|| change(0, 0)), Live { least: 30, most: 50 });
        assert_eq!(waiting.live(|| change(60, 60)), Live { least: 0, most: 50 });
        assert_eq!(waiting.live(|| change(60, 60)), Live { least: 0, most: 0 });
        assert_eq!(waiting.live(|| change(0, 60)), Live { least: 0, most: 0 });
    }

    #[test]
    fn a_waiter_is_aged_once_its_patience_is_over() {
        let waiting = Waiting::new(4, 100);
        let since = waiting.waiters.ageing_ns(0);
        for (passed_ns, aged) in [(99, false), (100, true), (101, true)] {
            assert_eq!(waiting.is_aged(0, since + passed_ns), aged);
        }
    }

    /// A pool of 100 that is used up by tenant 4, but for so many bytes, and who waits for some.
    fn one_waits(free: u64, bytes: u64) -> (Core, Ticket) {
        let core = core(100);
        core.admit(&ask(4, 100 - free), &Nobody).unwrap();
        let ticket = core.enter_line(&ask(2, bytes), u64::MAX).unwrap();
        (core, ticket)
    }

    #[test]
    fn a_ticket_may_be_asked_again_until_it_is_decided() {
        let (core, first) = one_waits(5, 5);
        assert_eq!(core.take_outcome(first), Outcome::Waiting);
        assert_eq!(core.hand_over(0, &mut Decided::default()), Left::Clear);
        let second = core.enter_line(&ask(2, 50), u64::MAX).unwrap();
        assert_ne!(first.index, second.index, "its owner was not told yet");
        assert!(!core.expire(first), "it is decided");
        assert!(matches!(core.take_outcome(first), Outcome::Granted(..)));
        assert_eq!(core.take_outcome(first), Outcome::Stale);
        assert!(core.expire(second) && !core.expire(second));
        assert_eq!(core.take_outcome(second), Outcome::Expired);
    }

    /// The senior has what there is, and is in use with it, as all above it are; others are not.
    #[test]
    fn what_is_set_aside_is_the_seniors() {
        let (core, ticket) = one_waits(10, 20);
        assert_eq!(core.hand_over(0, &mut Decided::default()), Left::Clear);
        assert_eq!(core.waiting.look(0).map(|(_, ask)| ask.bytes), Some(20));
        assert!(!core.make_senior(ticket.index, 5), "nobody had anything before");
        assert_eq!(core.waiting.aside_bytes(), 10, "all that is free");
        assert_eq!(core.waiting.look(0).map(|(_, ask)| ask.bytes), Some(10));
        let other = core.enter_line(&ask(4, 7), u64::MAX).unwrap();
        core.hand_over(5, &mut Decided::default());
        let wants = |ticket: Ticket| {
            let mut all = (0..2).filter_map(|place| core.waiting.look(place));
            all.find(|(at, _)| *at == ticket).map(|(_, ask)| ask.bytes)
        };
        assert_eq!((wants(ticket), wants(other)), (Some(10), Some(7)));
        let held = [ROOT, 1, 2, 3, 4].map(|account| core.in_grants(account));
        assert_eq!(held, [90, 0, 0, 0, 90]);
        assert_eq!([1, 2, 3, 4].map(|account| core.accounts.used(account)), [10, 10, 0, 90]);
        assert!(core.give_up_aside(ticket.index), "bytes came free");
        assert!(!core.give_up_aside(ticket.index), "it is not the senior any more");
        assert_eq!([ROOT, 1, 2].map(|account| core.accounts.used(account)), [90, 0, 0]);
    }

    #[test]
    fn a_senior_that_had_nothing_makes_way_without_freeing_any() {
        let (core, ticket) = one_waits(0, 20);
        core.make_senior(ticket.index, 5);
        assert_eq!((core.waiting.senior(), core.waiting.aside_bytes()), (Some(ticket.index), 0));
        assert!(!core.give_up_aside(ticket.index));
        assert_eq!(core.waiting.senior(), None);
    }

    /// Sees each grant, and does something then.
    struct WhenGranted<F: Fn()>(F);

    impl<F: Fn()> Observer for WhenGranted<F> {
        fn granted(&self, _: Owner, _: (u32, u32), _: u64) {
            (self.0)();
        }
        fn grown(&self, _: Owner, _: (u32, u32), _: u64) {}
        fn shrunk(&self, _: Owner, _: (u32, u32), _: u64) {}
        fn ended(&self, _: Owner, _: (u32, u32), _: u64, _: End) {}
    }

    /// What the last of all walks frees nobody else knows of: it is not taken for the work of
    /// others, who would look again. Seven are made for those who give up while they are served.
    #[test]
    fn what_the_last_walk_frees_is_offered_by_another() {
        let core = core(100);
        let floor = Settings { guarantee: 1, ..core.accounts.settings(3) };
        core.accounts.configure(3, &floor).unwrap();
        core.admit(&ask(4, 89), &Nobody).unwrap();
        let senior = core.enter_line(&ask(2, 20), u64::MAX).unwrap();
        core.hand_over(0, &mut Decided::default());
        core.make_senior(senior.index, 0);
        assert_eq!(core.waiting.aside_bytes(), 10);
        let (walks, last) = (std::cell::Cell::new(0), std::cell::Cell::new(None));
        let enter = |account, bytes| {
            last.set(core.enter_line(&ask(account, bytes), u64::MAX));
        };
        enter(3, 1);
        let gives_up = WhenGranted(|| {
            walks.set(walks.get() + 1);
            assert!(core.withdraw(last.get().unwrap()));
            if walks.get() + 1 < WALKS_MAX { enter(3, 1) } else { enter(4, 5) }
        });
        let late_ns = core.waiting.patience_ns + 1;
        let left = core.hand_over(late_ns, &mut Decided::told_to(&gives_up));
        assert_eq!((walks.get() + 1, left), (WALKS_MAX, Left::Noted));
        assert_eq!(core.aside_of(4), 5, "the senior has made way, and five bytes are free");
        core.hand_over(late_ns, &mut Decided::default());
        assert!(matches!(core.take_outcome(last.get().unwrap()), Outcome::Granted(..)));
    }

    #[test]
    fn a_line_in_which_all_is_clear_is_left_without_a_note() {
        let (core, _) = one_waits(0, 20);
        assert_eq!(core.hand_over(0, &mut Decided::default()), Left::Clear);
        assert!(!core.waiting.is_noted() && !core.scarcity.is_unsettled());
        // Relaxed: one thread.
        assert_eq!(core.waiting.state.walk.load(Ordering::Relaxed), 1, "one look is enough");
    }

    /// The senior is decided before it is served: too late, or because it has given up.
    #[test]
    fn a_senior_that_is_late_or_gone_is_served_no_more() {
        for (late, outcome) in [(true, Outcome::Expired), (false, Outcome::Stale)] {
            let core = core(100);
            let (slot, generation) = core.admit(&ask(4, 90), &Nobody).unwrap();
            let ticket = core.enter_line(&ask(2, 20), 10).unwrap();
            core.hand_over(0, &mut Decided::default());
            core.make_senior(ticket.index, 0);
            core.release(slot, generation, ask(4, 90).owner(), &Nobody).unwrap();
            assert!(late || core.withdraw(ticket));
            let nobody = WhenGranted(|| panic!("it is served"));
            core.hand_over(if late { 10 } else { 9 }, &mut Decided::told_to(&nobody));
            assert_eq!(core.take_outcome(ticket), outcome);
            assert_eq!((core.waiting.senior(), core.accounts.used(2)), (None, 0));
        }
    }

    /// Time goes on by what was served, not by what was given back.
    #[test]
    fn who_gives_up_while_it_is_granted_its_bytes_was_not_served() {
        for withdraws in [false, true] {
            let (core, ticket) = one_waits(5, 5);
            let gives_up = WhenGranted(|| assert!(!withdraws || core.withdraw(ticket)));
            let mut decided = Decided::told_to(&gives_up);
            core.hand_over(0, &mut decided);
            assert_eq!(decided.cells().len(), usize::from(!withdraws));
            assert_eq!(core.waiting.virtual_time() > 0, !withdraws);
            // Relaxed: one thread.
            let walks = core.waiting.state.walk.load(Ordering::Relaxed);
            assert_eq!(walks, 1 + u32::from(withdraws), "what came back is offered");
            assert_eq!(core.accounts.used(2), if withdraws { 0 } else { 5 });
        }
    }

    /// What it had is free again, and that is said, so that somebody looks again.
    #[test]
    fn a_senior_makes_way_for_one_that_waits_as_long() {
        let (core, first) = one_waits(10, 20);
        let second = core.enter_line(&ask(4, 30), u64::MAX).unwrap();
        core.hand_over(0, &mut Decided::default());
        assert!(!core.make_senior(first.index, 5));
        let patience_ns = core.waiting.patience_ns;
        assert!(!core.make_senior(second.index, 5 + patience_ns), "it may gain something yet");
        assert_eq!(core.waiting.senior(), Some(first.index));
        assert!(core.make_senior(second.index, 6 + patience_ns), "ten bytes came free");
        let aside = [(2, 0), (4, 10)].map(|(account, bytes)| (core.aside_of(account), bytes));
        assert!(aside.iter().all(|(aside, bytes)| aside == bytes), "{aside:?}");
    }

    /// Whoever waits in vain for a slot is told apart from who lacks a count, in line or before it.
    #[test]
    fn it_is_said_if_slots_are_lacking_and_only_then() {
        for counted in [false, true] {
            for is_senior in [false, true] {
                let (core, ticket) = one_waits(5, 5);
                if counted {
                    let one = Settings { counted: 1, ..core.accounts.settings(2) };
                    core.accounts.configure(2, &one).unwrap();
                    core.queue(ask(2, 1).owner()).set_grants_max(Some(0));
                } else {
                    let other = Ask { bytes: 1, ..ask(4, 1) };
                    core.accounts.uncharge(4, 90);
                    while core.admit(&other, &Nobody).is_ok() {
                        core.accounts.uncharge(4, 1);
                    }
                    core.accounts.charge(4, 1, 0, 90).unwrap();
                }
                if is_senior {
                    core.waiting.take_line();
                    core.let_in();
                    core.make_senior(ticket.index, 0);
                    core.waiting.leave_to_others();
                }
                let mut decided = Decided::default();
                core.hand_over(0, &mut decided);
                assert_eq!(core.take_outcome(ticket), Outcome::Waiting);
                assert_eq!(decided.lacks_slots, !counted, "{counted} {is_senior}");
            }
        }
    }

    /// Where grants of its type are limited, a waiter that lacks one stands in nobody's way.
    #[test]
    fn who_holds_as_many_as_it_may_lacks_one() {
        let core = core(100);
        let queue = core.queue(ask(2, 1).owner());
        for (most, held, lacks) in
            [(None, 0, false), (Some(2), 0, false), (Some(2), 1, false), (Some(2), 2, true)]
        {
            queue.set_grants_max(most);
            while queue.counted() < held {
                queue.count_late();
            }
            assert_eq!(core.lacks_count(&ask(2, 1)), lacks, "{held} of {most:?}");
        }
    }
}
