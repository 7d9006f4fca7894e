//! The eviction queue of one account and allocation type.
//!
//! There is no list to maintain: the queue *is* the chain of the type's segments. Reserving a slot
//! enters it, freeing the slot leaves it, a touch is two plain accesses, and nothing can be stale.
//! A victim is found by looking: a small queue is scanned whole, a large one by a rotating hand
//! that remembers the least worth of what it saw (`backlog.rs`).
//!
//! ```text
//! slots of the queue = SLOTS x segments          grants of the queue <= grants_max, if limited
//! ```
//!
//! What a request reads of its queue lies on one line; the rest is in `past.rs`.
//!
//! Segments are linked at the head by anybody (lock-free, bounded turns) and unlinked by one
//! administrator at a time. Who walks the chain checks the owner of each segment and stops at one
//! that has changed hands; an answer that needs the whole chain (no slot, or no grant, is left) is
//! given only if nothing was unlinked meanwhile.

use super::backlog::{Backlog, Entry, Source};
use super::bugs::{Bug, planted};
use super::ghost::Ghost;
use super::grants::{Grants, LINES, NoSegment, SLOTS, Segment};
use super::lessons::Weights;
use super::past::Past;
use super::policy::frequency_at_return;
use super::policy::{Candidate, EXACT_SLOTS, Judge, Policy, Recency, WINDOW, Worth};
use super::sync::{AtomicU32, AtomicU64, Ordering};
use super::word::{CountWord, Owner, QueueHead, SlotWord, State};
use std::ops::Range;

/// Segments looked at for a free slot before a new segment is taken.
pub const SEARCH_SEGMENTS: u32 = 8;
/// Turns of the loops that link a segment or count a grant.
pub const QUEUE_TURNS_MAX: u32 = 32;
/// Slots released last that a queue remembers apart, so that threads at work for one tenant rarely
/// meet at a slot.
const LANES: usize = if cfg!(allot_loom) { 1 } else { 4 };
/// The hand moves by half a segment.
const HALF: u32 = SLOTS / 2;
const WINDOW_HALVES: u32 = WINDOW / HALF;
const EXACT_SEGMENTS: u32 = EXACT_SLOTS / SLOTS;
/// Entries of the backlog that may turn out to be out of date in one search.
const STALE_MAX: u32 = 32;

/// The slots, and the order of eviction, of one allocation type of one account.
#[repr(C, align(64))]
pub struct Queue {
    /// The slot released last, plus one, by each [`lane`]: where the next request looks first.
    released: [AtomicU32; LANES],
    /// A [`QueueHead`].
    head: AtomicU64,
    /// Segment where the search for a free slot goes on, plus one.
    search: AtomicU32,
    /// Half of a segment where the search for a victim goes on, plus one.
    hand: AtomicU32,
    segments: AtomicU32,
    /// Odd while segments are being unlinked.
    shedding: AtomicU32,
    count: AtomicU64,
    /// Most grants, plus one; 0: not limited.
    grants_max: AtomicU32,
    policy: AtomicU32,
    /// Where its past is kept.
    past: AtomicU32,
    /// Grants seen by the last search, if that was of the whole queue.
    seen: AtomicU32,
}

#[cfg(not(allot_loom))]
const _: () = assert!(size_of::<Queue>() == 64, "one line");

/// Why no slot could be reserved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoSlot {
    /// At one instant every slot of the queue was taken and no segment was left.
    Exhausted,
    /// The bound of steps ran out, or slots were on their way.
    Contended,
}

/// What a search for victims needs to know.
#[derive(Clone, Copy)]
pub struct Sight<'a> {
    /// All slots.
    pub grants: &'a Grants,
    /// Whose queue it is.
    pub owner: Owner,
    /// The tenant's clock.
    pub clock: u32,
    /// Now, by the governor's clock.
    pub now_ns: u64,
    /// Slot of a grant that is passed over.
    pub spared: Option<u32>,
}

/// A candidate as it was seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pick {
    /// Its slot.
    pub slot: u32,
    /// Its word, for the exchange that claims it.
    pub word: SlotWord,
    /// What it is worth: less goes first.
    pub worth: Worth,
}

impl Queue {
    /// A queue without segments.
    pub fn empty() -> Self {
        let zero = || AtomicU32::new(0);
        Self {
            released: std::array::from_fn(|_| zero()),
            head: AtomicU64::new(0),
            search: zero(),
            hand: zero(),
            segments: zero(),
            shedding: zero(),
            count: AtomicU64::new(0),
            grants_max: zero(),
            policy: zero(),
            past: zero(),
            seen: zero(),
        }
    }

    /// The order in which grants go.
    #[inline]
    pub fn policy(&self) -> Policy {
        // Relaxed: a choice among rules; a search that races a change follows either.
        Policy::from_u8(self.policy.load(Ordering::Relaxed) as u8).unwrap_or_default()
    }

    /// Sets the order in which grants go.
    pub fn set_policy(&self, policy: Policy) {
        // Relaxed: as in `policy`.
        self.policy.store(u32::from(policy.as_u8()), Ordering::Relaxed);
    }

    /// Whether it matters how often content was used that comes back: to Hybrid alone.
    #[inline]
    pub fn remembers(&self) -> bool {
        self.policy() == Policy::Hybrid
    }

    /// The rule by which victims are chosen now.
    fn judge(&self, sight: &Sight) -> Judge {
        let (clock, now_ns) = (sight.clock, sight.now_ns);
        let policy = self.policy();
        let weights = if self.remembers() {
            self.past(sight.grants).lessons.weights()
        } else {
            Weights::EVEN
        };
        Judge { policy, clock, now_ns, weights }
    }

    /// Forgets what evictions taught: the queue gets another owner.
    pub fn forget_lessons(&self, grants: &Grants) {
        self.past(grants).lessons.forget();
    }

    /// Learns that a grant used `frequency` times was evicted and will be remembered.
    pub fn note_evicted(&self, grants: &Grants, frequency: u32) {
        self.past(grants).lessons.evicted(frequency);
    }

    /// Learns that content came back, and says with which frequency it begins.
    #[inline]
    pub fn frequency_of(&self, grants: &Grants, ghost: Option<Ghost>) -> u32 {
        let Some(Ghost { frequency, absent }) = ghost else { return 1 };
        let slots = self.extent();
        self.past(grants).lessons.returned(frequency, absent, slots);
        frequency_at_return(frequency, absent, slots)
    }

    /// Grants of the queue, about: by this the memory of ghosts is measured. A queue of one
    /// segment may hold two grants, and should not remember for sixteen.
    fn extent(&self) -> u32 {
        // Relaxed: an estimate.
        match self.seen.load(Ordering::Relaxed) {
            seen if seen != 0 && self.segments() <= EXACT_SEGMENTS => seen,
            _ => self.segments().saturating_mul(SLOTS),
        }
    }

    /// Segments in the queue.
    pub fn segments(&self) -> u32 {
        // Relaxed: tells how to search; the chain itself is what is searched.
        self.segments.load(Ordering::Relaxed)
    }

    /// Says where the past of the queue is kept.
    pub fn keep_past_at(&self, past: u32) {
        // Relaxed: always the same place, written before the queue is opened for the first time.
        self.past.store(past, Ordering::Relaxed);
    }

    #[inline]
    fn past<'a>(&self, grants: &'a Grants) -> &'a Past {
        // Relaxed: as in `keep_past_at`.
        grants.pasts.of(self.past.load(Ordering::Relaxed))
    }

    /// Opens the queue to a tenant of this generation. The caller holds the administrative mutex;
    /// the queue was never used, or closed.
    pub fn begin(&self, generation: u32) {
        // Release: pairs with the Acquire in `head`.
        self.head.store(QueueHead::new(generation, None).0, Ordering::Release);
    }

    /// Forbids linking segments until the next [`Queue::begin`]; false if there are some.
    pub fn close(&self) -> bool {
        let head = self.head();
        head.is_closed() || head.first().is_none() && self.exchange_head(head, head.closed())
    }

    fn head(&self) -> QueueHead {
        // Acquire: pairs with the Release half of `exchange_head`.
        QueueHead(self.head.load(Ordering::Acquire))
    }

    fn exchange_head(&self, from: QueueHead, to: QueueHead) -> bool {
        // AcqRel: Release pairs with the Acquire in `head`, the link is written before; Acquire
        // keeps what earlier linkers published. Relaxed on failure: the head is read again.
        let (success, failure) = (Ordering::AcqRel, Ordering::Relaxed);
        self.head.compare_exchange(from.0, to.0, success, failure).is_ok()
    }

    /// Whether there may be grants that were counted.
    #[inline]
    pub fn is_counting(&self) -> bool {
        // Relaxed: whoever holds a counted grant sees it counted.
        self.count.load(Ordering::Relaxed) != 0
    }

    /// Reserves a free slot, taking a new segment if that is quicker than searching on.
    ///
    /// Steps: one exchange if a slot was freed a moment ago; bounded otherwise, unless the table
    /// is full and the whole queue must be searched to say so.
    #[inline]
    pub fn reserve(&self, grants: &Grants, owner: Owner) -> Result<u32, NoSlot> {
        self.reserve_next(grants, owner).map(|(slot, _)| slot)
    }

    /// The same, with the generation of the slot's next grant.
    #[inline(always)]
    pub fn reserve_next(&self, grants: &Grants, owner: Owner) -> Result<(u32, u32), NoSlot> {
        match self.reserve_hinted(grants, owner) {
            Some(found) => Ok(found),
            None => self.reserve_unhinted(grants, owner),
        }
    }

    #[cold]
    #[inline(never)]
    fn reserve_unhinted(&self, grants: &Grants, owner: Owner) -> Result<(u32, u32), NoSlot> {
        let slot = self.reserve_slow(grants, owner)?;
        Ok((slot, grants.generation(slot) + 1))
    }

    /// Reserves a slot that was freed a moment ago: the one released last, whose lines are near, or
    /// else of those that are remembered the one freed longest ago. Answers the generation of its
    /// next grant, too.
    ///
    /// What was released last stays remembered while its slot is taken again and again, so that
    /// nothing has to be written for it.
    #[inline(always)]
    fn reserve_hinted(&self, grants: &Grants, owner: Owner) -> Option<(u32, u32)> {
        // Relaxed: a hint; the exchange on the slot's word decides.
        let hint = self.released[lane(grants)].load(Ordering::Relaxed);
        match reserve_if_free(grants, hint, owner) {
            None => self.reserve_freed(grants, owner),
            found => found,
        }
    }

    #[inline(never)]
    fn reserve_freed(&self, grants: &Grants, owner: Owner) -> Option<(u32, u32)> {
        let released = &self.released[lane(grants)];
        // Relaxed: as in `reserve_hinted`.
        if released.load(Ordering::Relaxed) != 0 {
            // Relaxed: as above.
            released.store(0, Ordering::Relaxed);
        }
        reserve_if_free(grants, self.past(grants).take_freed(), owner)
    }

    /// Whether it is remembered already that the slot was released last.
    #[inline(always)]
    pub fn was_released_last(&self, grants: &Grants, slot: u32) -> bool {
        // Relaxed: a hint, as in `reserve_hinted`.
        self.released[lane(grants)].load(Ordering::Relaxed) == slot + 1
    }

    /// Remembers a slot that its owner has released, or that no grant was made of: nobody will ask
    /// what became of one.
    #[inline(always)]
    pub fn note_released(&self, grants: &Grants, slot: u32) {
        let released = &self.released[lane(grants)];
        // Relaxed: a hint, as in `reserve_hinted`.
        let before = released.load(Ordering::Relaxed);
        if before != slot + 1 {
            // Relaxed: as above.
            released.store(slot + 1, Ordering::Relaxed);
            self.note_other(grants, before);
        }
    }

    /// Remembers the slot released before the last one, given plus one, if it is still free.
    #[inline(never)]
    fn note_other(&self, grants: &Grants, before: u32) {
        if let Some(slot) = before.checked_sub(1)
            && grants.word(slot).state() == State::Free
        {
            self.note_freed(grants, slot);
        }
    }

    /// Remembers a slot that was freed. It is used after all that are remembered: an owner may
    /// still ask what became of the grant that had it.
    #[inline(never)]
    pub fn note_freed(&self, grants: &Grants, slot: u32) {
        self.past(grants).note_freed(slot);
    }

    fn reserve_slow(&self, grants: &Grants, owner: Owner) -> Result<u32, NoSlot> {
        if let Some(slot) = self.search_on(grants, owner) {
            return Ok(slot);
        }
        match grants.take_segment(owner) {
            Ok(index) => self.link(grants, index, owner),
            Err(_) => self.search_all(grants, owner),
        }
    }

    /// Looks for a free slot where the last search ended, round the whole chain if it is short.
    fn search_on(&self, grants: &Grants, owner: Owner) -> Option<u32> {
        let ours = |i: &u32| grants.segment(*i).owner() == owner;
        // Relaxed: where to look first; every segment is checked for its owner.
        let order = Ordering::Relaxed;
        let mut at = self.search.load(order).checked_sub(1);
        for _ in 0..SEARCH_SEGMENTS.min(self.segments()) {
            let first = || self.head().first();
            let index = at.filter(ours).or_else(first).filter(ours)?;
            let found = reserve_in(grants, index, owner);
            at = if found.is_some() { Some(index) } else { grants.segment(index).next() };
            self.search.store(at.map_or(0, |i| i + 1), order);
            if found.is_some() {
                return found;
            }
        }
        None
    }

    /// Links a segment that was taken, and answers one of its slots, reserved.
    fn link(&self, grants: &Grants, index: u32, owner: Owner) -> Result<u32, NoSlot> {
        for _ in 0..QUEUE_TURNS_MAX {
            let head = self.head();
            if !head.admits(owner.generation()) {
                break;
            }
            grants.segment(index).set_next(head.first());
            if self.exchange_head(head, head.with_first(Some(index))) {
                // Relaxed: `segments` and `search` tell where to look, no more. Nobody can retire
                // the segment, and subtract it, before the slot kept here is free.
                let order = Ordering::Relaxed;
                self.segments.fetch_add(1, order);
                self.search.store(index + 1, order);
                return Ok(grants.keep_segment(index));
            }
        }
        grants.return_segment(index);
        Err(NoSlot::Contended)
    }

    /// The search that ends in certainty. Generations only grow, so if their sum is the same in
    /// both looks, every slot was taken all the time between them.
    fn search_all(&self, grants: &Grants, owner: Owner) -> Result<u32, NoSlot> {
        let shedding = self.shedding();
        let before = match self.look_at_all(grants, owner) {
            Look::Found(slot) => return Ok(slot),
            look => look,
        };
        let none = match grants.take_segment(owner) {
            Ok(index) => return self.link(grants, index, owner),
            Err(none) => none,
        };
        let after = match self.look_at_all(grants, owner) {
            Look::Found(slot) => return Ok(slot),
            look => look,
        };
        let still = shedding.is_multiple_of(2) && self.shedding() == shedding;
        let full = before == after && before != Look::Unsettled;
        let certain = full && still && none == NoSegment::Exhausted;
        Err(if certain { NoSlot::Exhausted } else { NoSlot::Contended })
    }

    fn shedding(&self) -> u32 {
        // Acquire: pairs with the Release in `shed`: whoever met a change of the chain, with the
        // Acquire of a link, an owner or a word, sees the number that announced it.
        self.shedding.load(Ordering::Acquire)
    }

    fn look_at_all(&self, grants: &Grants, owner: Owner) -> Look {
        let head = self.head();
        let mut published = Some(0);
        for index in self.chain(grants, owner) {
            if let Some(slot) = reserve_in(grants, index, owner) {
                return Look::Found(slot);
            }
            for slot in index * SLOTS..(index + 1) * SLOTS {
                let generation = grants.taken_by(slot).map(u64::from);
                published = published.and_then(|sum: u64| Some(sum + generation?));
            }
        }
        published.map_or(Look::Unsettled, |published| Look::Taken { head, published })
    }

    /// The segments of the queue, newest first; ends early if one changes hands meanwhile.
    pub fn chain<'a>(&self, grants: &'a Grants, owner: Owner) -> impl Iterator<Item = u32> + 'a {
        let ours = move |i: &u32| grants.segment(*i).owner() == owner;
        let first = self.head().first().filter(ours);
        let limit = grants.segments_seen() as usize;
        std::iter::successors(first, move |&i| grants.segment(i).next().filter(ours)).take(limit)
    }

    /// Visits the segments of the queue, newest first; says whether none was unlinked meanwhile, so
    /// that these are all that were linked when it began.
    pub fn walk(&self, grants: &Grants, owner: Owner, visit: impl FnMut(u32)) -> bool {
        let shedding = self.shedding();
        self.chain(grants, owner).for_each(visit);
        shedding.is_multiple_of(2) && self.shedding() == shedding
    }

    /// The grant of the queue that should go first, and is allowed to go. Of a large queue the hand
    /// shows a part; it goes on around the whole queue only if nothing there may be evicted.
    pub fn pick(&self, sight: &Sight) -> Option<Pick> {
        let judge = self.judge(sight);
        let segments = self.segments();
        if segments > EXACT_SEGMENTS {
            return self.pick_of_large(sight, &judge, segments);
        }
        let (mut best, mut seen) = (None, 0);
        for index in self.chain(sight.grants, sight.owner) {
            for_each_candidate(sight, &judge, slots_of(index), |pick| {
                note_least(&mut best, pick);
                seen += 1;
            });
        }
        // Relaxed: an estimate.
        self.seen.store(seen, Ordering::Relaxed);
        best
    }

    fn pick_of_large(&self, sight: &Sight, judge: &Judge, segments: u32) -> Option<Pick> {
        let (policy, clock) = (judge.policy.as_u8().into(), sight.clock);
        let fades = judge.policy.fades();
        let of = Source { owner: sight.owner.0, segments, policy, clock, fades };
        let is_open = || self.head().admits(sight.owner.generation());
        let Some(mut backlog) = sight.grants.backlogs.hold(&of, is_open) else {
            return self.turn_hand(sight, segments, WINDOW_HALVES, |slots, best| {
                for_each_candidate(sight, judge, slots, |pick| note_least(best, pick));
                best.is_some()
            });
        };
        if backlog.is_outdated(&of) {
            while let Some(entry) = backlog.first() {
                remove_first(sight, &mut backlog, entry);
            }
            backlog.begin_anew(&of);
        }
        let first = first_in_order(sight, judge, &mut backlog);
        let window = backlog.window(&of);
        let shown = self.turn_hand(sight, segments, window, |slots, best| {
            show(sight, judge, slots, &mut backlog, best);
            first.is_some() || best.is_some()
        });
        // So that the next search does not wait for memory.
        if let Some(second) = backlog.second() {
            sight.grants.segment(second / SLOTS).prefetch_slot(second % SLOTS);
        }
        if let Some(slot) = backlog.next_to_leave() {
            sight.grants.segment(slot / SLOTS).prefetch_owner();
        }
        let least = |a: Shown, b: Shown| if b.key < a.key { b } else { a };
        let least = first.into_iter().chain(shown).reduce(least)?;
        let candidate = least.seen.candidate();
        Some(Pick { slot: least.slot, word: least.seen.word, worth: judge.worth(&candidate) })
    }

    /// Looks at a window of halves of segments where the last search ended, and on around the whole
    /// queue until `look` says that it is enough.
    fn turn_hand<T>(
        &self,
        sight: &Sight,
        segments: u32,
        window: u32,
        mut look: impl FnMut(Range<u32>, &mut Option<T>) -> bool,
    ) -> Option<T> {
        // Relaxed: the hand is a hint; every segment is checked for its owner.
        let order = Ordering::Relaxed;
        let ours = |half: &u32| sight.grants.segment(half / 2).owner() == sight.owner;
        let first = || self.head().first().map(|index| 2 * index);
        let mut hand = self.hand.load(order).checked_sub(1);
        let mut best = None;
        for seen in 1..=segments.saturating_mul(2).saturating_add(window) {
            let Some(half) = hand.filter(ours).or_else(first).filter(ours) else { break };
            let enough = look(half * HALF..(half + 1) * HALF, &mut best);
            let next = || sight.grants.segment(half / 2).next().map(|index| 2 * index);
            hand = if half % 2 == 0 { Some(half + 1) } else { next() };
            if enough && seen >= window {
                break;
            }
        }
        self.hand.store(hand.map_or(0, |half| half + 1), order);
        // The next search begins here.
        if let Some(half) = hand {
            sight.grants.segment(half / 2).prefetch(half % 2);
        }
        best
    }

    /// Every grant of the queue that is allowed to go. Allocates; for people, not for evictions.
    pub fn candidates(&self, sight: &Sight) -> Vec<Pick> {
        let judge = self.judge(sight);
        let mut picks = Vec::new();
        for index in self.chain(sight.grants, sight.owner) {
            for_each_candidate(sight, &judge, slots_of(index), |pick| picks.push(pick));
        }
        picks
    }

    /// Limits the number of grants; `None` lifts the limit.
    pub fn set_grants_max(&self, grants_max: Option<u32>) {
        // Relaxed: requests read it after the account's record told them that they are counted.
        self.grants_max.store(grants_max.map_or(0, |n| n.saturating_add(1)), Ordering::Relaxed);
    }

    /// The limit of the number of grants, if there is one.
    pub fn grants_max(&self) -> Option<u32> {
        // Relaxed: as in `set_grants_max`.
        self.grants_max.load(Ordering::Relaxed).checked_sub(1)
    }

    /// Counts `grants` more that are not yet decided.
    ///
    /// # Errors
    ///
    /// `Some(count)` if the limit refuses them, `None` if that depends on undecided ones.
    pub fn count_in(&self, grants: u32) -> Result<(), Option<u64>> {
        for _ in 0..QUEUE_TURNS_MAX {
            // Acquire: pairs with the Release half of the changes below.
            let word = CountWord(self.count.load(Ordering::Acquire));
            let after = word.count() + u64::from(grants);
            if self.grants_max().is_some_and(|max| after > u64::from(max)) {
                if planted(Bug::CountTransient) {
                    return Err(Some(word.count()));
                }
                return Err((word.pending() == 0).then_some(word.count()));
            }
            let next = word.0 + u64::from(grants) + CountWord::PENDING;
            // AcqRel: every change follows the one it builds on. Relaxed on failure: read again.
            let (success, failure) = (Ordering::AcqRel, Ordering::Relaxed);
            if self.count.compare_exchange(word.0, next, success, failure).is_ok() {
                return Ok(());
            }
        }
        Err(None)
    }

    /// Decides what [`Queue::count_in`] counted: it stays, or it leaves the count again.
    pub fn count_decided(&self, grants: u32, granted: bool) {
        let leaving = if granted { 0 } else { u64::from(grants) };
        // AcqRel: pairs with the Acquire in `count_in`.
        self.count.fetch_sub(CountWord::PENDING + leaving, Ordering::AcqRel);
    }

    /// Takes one grant out of the count.
    pub fn count_out(&self) {
        // AcqRel: pairs with the Acquire in `count_in`; a slot is free before its count is, unless
        // its grant is being evicted: then its evictor counts on that as soon as it is over.
        self.count.fetch_sub(1, Ordering::AcqRel);
    }

    /// Counts a grant that was made before its type was counted.
    pub fn count_late(&self) {
        // AcqRel: pairs with the Acquire in `count_in`.
        self.count.fetch_add(1, Ordering::AcqRel);
    }

    /// Grants counted, if they are counted.
    pub fn counted(&self) -> u64 {
        // Acquire: pairs with the Release half of the changes above.
        CountWord(self.count.load(Ordering::Acquire)).count()
    }

    /// Grants that have to go before so many more fit their number, if that is limited. Requests
    /// that are counted and not yet decided may be refused, and nothing has to go for them.
    pub fn beyond(&self, grants: u64) -> u64 {
        // Acquire: pairs with the Release half of the changes above.
        let word = CountWord(self.count.load(Ordering::Acquire));
        let after = word.count().saturating_sub(word.pending()) + grants;
        self.grants_max().map_or(0, |max| after.saturating_sub(max.into()))
    }

    /// Gives free segments back to everybody: all of them, or all but the first; says how many
    /// grants had been published in them, and whether any segment is left. One caller at a time.
    pub fn shed(&self, grants: &Grants, all: bool) -> (u64, bool) {
        let (mut granted, mut before) = (0, None);
        self.announce_shedding();
        let mut at = self.head().first();
        while let Some(index) = at {
            at = grants.segment(index).next();
            let keep = before.is_none() && !all;
            match (!keep).then(|| grants.retire_segment(index)).flatten() {
                Some(published) if self.unlink(grants, before, index) => {
                    granted += published;
                    grants.recycle_segment(index);
                }
                Some(_) => {
                    grants.unretire_segment(index);
                    before = Some(index);
                }
                None => before = Some(index),
            }
        }
        self.announce_shedding();
        (granted, self.head().first().is_some())
    }

    fn announce_shedding(&self) {
        // Relaxed: the one caller of `shed` reads what it wrote itself, or what the mutex ordered.
        let next = self.shedding.load(Ordering::Relaxed).wrapping_add(1);
        // Release: pairs with the Acquire in `shedding`. When it begins, the Release of each
        // change to the chain carries the odd number; when it ends, all changes come before.
        self.shedding.store(next, Ordering::Release);
    }

    fn unlink(&self, grants: &Grants, before: Option<u32>, index: u32) -> bool {
        let next = grants.segment(index).next();
        match before {
            Some(before) => grants.segment(before).set_next(next),
            None => {
                // Where a new head was linked meanwhile, this segment stays for now.
                let head = self.head();
                let first = head.first() == Some(index);
                if !first || !self.exchange_head(head, head.with_first(next)) {
                    return false;
                }
            }
        }
        // Relaxed: tells how to search, no more.
        self.segments.fetch_sub(1, Ordering::Relaxed);
        true
    }
}

/// What a look at every slot of a queue found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    /// This slot was free and is reserved now.
    Found(u32),
    /// Every slot was seen taken, in a chain with this head, by generations with this sum.
    Taken { head: QueueHead, published: u64 },
    /// A slot was on its way.
    Unsettled,
}

/// Reserves a slot, given plus one, if it is a free one of `owner`'s.
#[inline(always)]
fn reserve_if_free(grants: &Grants, hint: u32, owner: Owner) -> Option<(u32, u32)> {
    let slot = hint.checked_sub(1)?;
    // SAFETY: only slots that there are have been remembered.
    Some((slot, unsafe { grants.slot_at(slot) }.reserve_next(owner)?))
}

fn reserve_in(grants: &Grants, segment: u32, owner: Owner) -> Option<u32> {
    // Neighbours in time lie on different lines: they may be of two threads.
    let places = (0..SLOTS).map(|turn| turn % LINES * (SLOTS / LINES) + turn / LINES);
    let mut slots = places.map(|place| segment * SLOTS + place);
    slots.find(|&slot| grants.reserve(slot, owner))
}

/// The slots of a segment.
pub fn slots_of(index: u32) -> Range<u32> {
    index * SLOTS..(index + 1) * SLOTS
}

/// Looks at those slots of one segment whose grants may go.
#[inline(always)]
fn for_each_candidate(
    sight: &Sight,
    judge: &Judge,
    slots: Range<u32>,
    mut candidate: impl FnMut(Pick),
) {
    let segment = sight.grants.segment(slots.start / SLOTS);
    for slot in slots {
        if let Some(seen) = look(sight, segment, slot) {
            let worth = judge.worth(&seen.candidate());
            candidate(Pick { slot, word: seen.word, worth });
        }
    }
}

#[inline(always)]
fn note_least(best: &mut Option<Pick>, pick: Pick) {
    if best.is_none_or(|best| pick.worth < best.worth) {
        *best = Some(pick);
    }
}

/// A grant as the hand shows it to a backlog.
#[derive(Clone, Copy)]
struct Shown {
    key: u64,
    slot: u32,
    seen: Seen,
}

/// Shows grants of one segment to the backlog. A loop for each policy: to ask for every grant which
/// one it is costs as much as the look.
fn show(
    sight: &Sight,
    judge: &Judge,
    slots: Range<u32>,
    backlog: &mut Backlog<'_>,
    best: &mut Option<Shown>,
) {
    let of = |policy| Judge { policy, ..*judge };
    match judge.policy {
        Policy::Lru => show_as(sight, &of(Policy::Lru), slots, backlog, best),
        Policy::Lfu => show_as(sight, &of(Policy::Lfu), slots, backlog, best),
        Policy::Ttl => show_as(sight, &of(Policy::Ttl), slots, backlog, best),
        Policy::Size => show_as(sight, &of(Policy::Size), slots, backlog, best),
        Policy::Hybrid => show_as(sight, &of(Policy::Hybrid), slots, backlog, best),
    }
}

#[inline(always)]
fn show_as(
    sight: &Sight,
    judge: &Judge,
    slots: Range<u32>,
    backlog: &mut Backlog<'_>,
    best: &mut Option<Shown>,
) {
    let segment = sight.grants.segment(slots.start / SLOTS);
    let listed = segment.listed();
    let mut bar = backlog.bar();
    let mut least = best.map_or(u64::MAX, |best| best.key);
    for slot in slots {
        let Some(seen) = look(sight, segment, slot) else { continue };
        let key = backlog.key(judge.brief(&seen.candidate()));
        if key >= bar && key >= least {
            continue;
        }
        if key < least {
            least = key;
            *best = Some(Shown { key, slot, seen });
        }
        if key < bar && listed & 1 << (slot % SLOTS) == 0 {
            list(sight, backlog, Entry { key, slot });
            bar = backlog.bar();
        }
    }
    backlog.take_turns();
}

#[inline(never)]
fn list(sight: &Sight, backlog: &mut Backlog<'_>, entry: Entry) {
    sight.grants.segment(entry.slot / SLOTS).set_listed(entry.slot % SLOTS, true);
    if let Some(left) = backlog.add(entry) {
        unlist(sight, left);
    }
}

fn unlist(sight: &Sight, entry: Entry) {
    sight.grants.segment(entry.slot / SLOTS).set_listed(entry.slot % SLOTS, false);
}

/// The least worth grant of the backlog. What was used, changed or ended since it was listed
/// leaves on the way there.
#[inline]
fn first_in_order(sight: &Sight, judge: &Judge, backlog: &mut Backlog<'_>) -> Option<Shown> {
    for _ in 0..STALE_MAX {
        let Entry { key: listed, slot } = backlog.first()?;
        let segment = sight.grants.segment(slot / SLOTS);
        if segment.owner() == sight.owner
            && let Some(seen) = look(sight, segment, slot)
        {
            let key = backlog.key(judge.brief(&seen.candidate()));
            // Worth falls as time goes by. What was touched is not where it was listed.
            if key as u32 == listed as u32 && key <= listed {
                return Some(Shown { key, slot, seen });
            }
        }
        remove_first(sight, backlog, Entry { key: listed, slot });
    }
    None
}

fn remove_first(sight: &Sight, backlog: &mut Backlog<'_>, first: Entry) {
    backlog.remove_first();
    unlist(sight, first);
}

/// What a search reads of a grant.
#[derive(Clone, Copy)]
struct Seen {
    word: SlotWord,
    recency: Recency,
    expires_ns: u64,
}

impl Seen {
    #[inline(always)]
    fn candidate(&self) -> Candidate {
        let Self { word, recency, expires_ns } = *self;
        Candidate { bytes: word.bytes(), recency, expires_ns }
    }
}

/// The grant in a slot of `segment`, if it may go.
#[inline(always)]
fn look(sight: &Sight, segment: &Segment, slot: u32) -> Option<Seen> {
    let (word, recency) = segment.look(slot % SLOTS);
    if word.state() != State::Live || sight.spared == Some(slot) {
        return None;
    }
    let mut expires_ns = 0;
    if word.special() {
        let fields = sight.grants.fields(slot);
        if !fields.is_evictable(sight.now_ns) {
            return None;
        }
        expires_ns = fields.expires_ns;
    }
    Some(Seen { word, recency: Recency(recency), expires_ns })
}

/// Which of [`LANES`] the calling thread uses: told by where its stack is, which costs less than to
/// keep a number for each thread. Two threads may share one; it is a hint. Who is alone finds the
/// same slots whichever it is; where what happens is recorded there is only one, so that it happens
/// again whichever threads it is made by.
#[inline(always)]
fn lane(grants: &Grants) -> usize {
    // Tests that choose who goes on want the same choices to have the same outcome.
    if cfg!(any(allot_loom, allot_steps)) {
        return 0;
    }
    let here = 0u8;
    let stack = (&raw const here).addr() as u64 >> 19;
    // Threads that were started one after the other are half a megabyte, two or eight apart: 1, 4
    // or 16 times 0.35 turns, so the next of them is always in another quarter.
    let lane = (stack.wrapping_mul(0x5999_9999_9999_999a) >> 62) as usize % LANES;
    lane & grants.lanes_mask
}

#[cfg(test)]
mod tests {
    use super::super::Core;
    use super::super::backlog::ENTRIES_MIN;
    use super::super::region::tests::words;
    use super::super::tests::{admit, ask, core};
    use super::super::word::BYTES_MAX;
    use super::*;

    words! {
        Queue: released head search hand segments shedding count grants_max policy past seen
    }

    /// What came back soon gains, what is evicted loses by it, and the next owner begins anew.
    #[test]
    fn a_queue_learns_from_what_comes_back_and_forgets_it() {
        let core = core(100);
        let (grants, queue) = (&core.grants, core.queue(ask(2, 1).owner()));
        let weights = || queue.past(grants).lessons.weights();
        assert_eq!(queue.frequency_of(grants, None), 1);
        assert_eq!(weights(), Weights::EVEN);
        // Relaxed: one thread.
        queue.seen.store(100, Ordering::Relaxed);
        let ghost = |absent| Some(Ghost { frequency: 9, absent });
        assert_eq!(queue.frequency_of(grants, ghost(0)), 10);
        assert_eq!(queue.frequency_of(grants, ghost(u32::MAX)), 1, "too long ago");
        assert!(weights().of(9) > 1.0);
        queue.note_evicted(grants, 1);
        queue.note_evicted(grants, 9);
        assert!(weights().of(1) < 1.0);
        queue.forget_lessons(grants);
        assert!(queue.past(grants).lessons.is_blank());
    }

    #[test]
    fn as_many_go_as_are_beyond_their_number_for_certain() {
        let queue = Queue::empty();
        (0..3).for_each(|_| queue.count_late());
        assert_eq!([0, 1].map(|more| queue.beyond(more)), [0, 0], "there is no limit");
        queue.set_grants_max(Some(2));
        assert_eq!([0, 1, 2].map(|more| queue.beyond(more)), [1, 2, 3]);
        queue.set_grants_max(Some(4));
        queue.count_in(1).unwrap();
        assert_eq!([1, 2].map(|more| queue.beyond(more)), [0, 1], "one may be refused yet");
        queue.count_decided(1, true);
        assert_eq!([0, 1].map(|more| queue.beyond(more)), [0, 1]);
    }

    /// A queue of account 2 with so many grants of as many bytes as they came late, the slots of
    /// these, and a backlog that is held and has [`ENTRIES_MIN`] places.
    fn by_size(core: &Core, count: u32) -> (&Queue, Vec<u32>, Backlog<'_>) {
        let queue = core.queue(ask(2, 1).owner());
        queue.set_policy(Policy::Size);
        let slots = (1..=count).map(|n| admit(core, &ask(2, n.into()))).collect();
        let (owner, policy) = (ask(2, 1).owner().0, Policy::Size.as_u8().into());
        let of = Source { owner, segments: 1, policy, clock: 9, fades: false };
        (queue, slots, core.grants.backlogs.hold(&of, || true).unwrap())
    }

    fn show_all(core: &Core, queue: &Queue, backlog: &mut Backlog<'_>) -> Option<Shown> {
        let owner = ask(2, 1).owner();
        let sight = Sight { grants: &core.grants, owner, clock: 9, now_ns: 0, spared: None };
        let mut best = None;
        for index in queue.chain(&core.grants, owner) {
            show(&sight, &queue.judge(&sight), slots_of(index), backlog, &mut best);
        }
        best
    }

    /// Each grant once, however often it is shown, and in their order.
    #[test]
    fn what_is_shown_is_listed_once() {
        let core = core(BYTES_MAX);
        let (queue, mut slots, mut backlog) = by_size(&core, ENTRIES_MIN);
        for _ in 0..3 {
            let best = show_all(&core, queue, &mut backlog).unwrap();
            assert_eq!((backlog.len(), Some(&best.slot)), (slots.len(), slots.last()));
        }
        let sight = Sight {
            grants: &core.grants,
            owner: ask(2, 1).owner(),
            clock: 9,
            now_ns: 0,
            spared: None,
        };
        while let Some(first) = first_in_order(&sight, &queue.judge(&sight), &mut backlog) {
            assert_eq!(Some(first.slot), slots.pop());
            remove_first(&sight, &mut backlog, Entry { key: first.key, slot: first.slot });
            let segment = core.grants.segment(first.slot / SLOTS);
            assert_eq!(segment.listed() >> (first.slot % SLOTS) & 1, 0, "it may be listed again");
        }
        assert!(slots.is_empty() && backlog.is_empty());
    }

    /// What is worth more than all that is listed is no entry, but may be the least that was shown.
    #[test]
    fn the_least_that_is_shown_is_told_though_it_is_not_listed() {
        let core = core(BYTES_MAX);
        let (queue, slots, mut backlog) = by_size(&core, 1);
        for slot in 1_000..1_000 + ENTRIES_MIN {
            backlog.add(Entry { key: 1, slot });
        }
        let best = show_all(&core, queue, &mut backlog).unwrap();
        assert_eq!(best.slot, slots[0]);
        assert!((1_000..).contains(&backlog.first().unwrap().slot));
    }

    /// What is worth more, or less, than when it was listed is not where it belongs.
    #[test]
    fn what_has_changed_is_not_found_where_it_was_listed() {
        let core = core(BYTES_MAX);
        let (queue, slots, mut backlog) = by_size(&core, 3);
        show_all(&core, queue, &mut backlog);
        let [_, second, first] = slots[..] else { unreachable!() };
        let sight = Sight {
            grants: &core.grants,
            owner: ask(2, 1).owner(),
            clock: 9,
            now_ns: 0,
            spared: None,
        };
        let judge = queue.judge(&sight);
        let next = |backlog: &mut Backlog<'_>| first_in_order(&sight, &judge, backlog).unwrap();
        assert_eq!(next(&mut backlog).slot, first);
        let held = core.grants.hold(first, 1, sight.owner).unwrap();
        core.grants.let_go(held, 1);
        assert_eq!(next(&mut backlog).slot, second, "the first one has shrunk");
        core.grants.set_recency(second, Recency::new(8, 1, 1).0);
        assert_eq!(next(&mut backlog).slot, slots[0], "the second one was touched");
    }

    /// The hand goes round the queue, and on from where it was.
    #[test]
    fn the_hand_goes_on_where_it_was() {
        let core = core(BYTES_MAX);
        let (queue, _, _backlog) = by_size(&core, 3 * SLOTS);
        let owner = ask(2, 1).owner();
        let sight = Sight { grants: &core.grants, owner, clock: 9, now_ns: 0, spared: None };
        let halves = || queue.chain(&core.grants, owner).flat_map(|at| [2 * at, 2 * at + 1]);
        for half in halves().chain(halves()) {
            let seen = queue.turn_hand(&sight, 3, 1, |slots, seen| {
                *seen = Some(slots);
                true
            });
            assert_eq!(seen, Some(half * HALF..(half + 1) * HALF));
        }
    }

    #[test]
    fn a_search_sees_how_many_grants_may_go() {
        let core = core(100);
        let (grants, owner) = (&core.grants, ask(2, 1).owner());
        for _ in 0..3 {
            admit(&core, &ask(2, 1));
        }
        assert_eq!(core.queue(owner).extent(), SLOTS, "nothing was searched yet");
        let sight = Sight { grants, owner, clock: 9, now_ns: 0, spared: None };
        assert!(core.queue(owner).pick(&sight).is_some());
        assert_eq!(core.queue(owner).extent(), 3);
    }

    #[test]
    fn a_short_queue_is_as_long_as_it_was_seen_to_be() {
        let core = core(100);
        let queue = core.queue(ask(2, 1).owner());
        for (segments, seen, extent) in [
            (1, 0, SLOTS),
            (1, 3, 3),
            (EXACT_SEGMENTS, 3, 3),
            (EXACT_SEGMENTS + 1, 3, (EXACT_SEGMENTS + 1) * SLOTS),
            (EXACT_SEGMENTS + 1, 0, (EXACT_SEGMENTS + 1) * SLOTS),
        ] {
            // Relaxed: one thread.
            queue.segments.store(segments, Ordering::Relaxed);
            // Relaxed: one thread.
            queue.seen.store(seen, Ordering::Relaxed);
            assert_eq!(queue.extent(), extent, "{segments} segments, {seen} seen");
        }
    }

    /// What is remembered and found taken is forgotten, so that the next request is not told of it.
    #[test]
    fn a_slot_that_is_taken_is_remembered_no_longer() {
        let core = core(100);
        let (grants, owner) = (&core.grants, ask(2, 1).owner());
        let queue = core.queue(owner);
        let slot = admit(&core, &ask(2, 1));
        queue.note_released(grants, slot);
        assert!(queue.was_released_last(grants, slot));
        let (other, _) = queue.reserve_next(grants, owner).unwrap();
        assert!(other != slot && !queue.was_released_last(grants, slot));
    }

    /// Threads that live at one time spread over the lanes, unless there shall be only one.
    #[test]
    fn threads_use_several_lanes() {
        let used = |grants: &Grants| {
            let barrier = std::sync::Barrier::new(16);
            std::thread::scope(|scope| {
                let here = || {
                    let lane = lane(grants);
                    barrier.wait();
                    lane
                };
                let threads: Vec<_> = (0..16).map(|_| scope.spawn(here)).collect();
                let lanes = threads.into_iter().map(|thread| thread.join().unwrap());
                lanes.collect::<std::collections::BTreeSet<_>>()
            })
        };
        let several = used(&Grants::new(1));
        let chosen = cfg!(any(allot_loom, allot_steps));
        assert_eq!(several.len() > 1, !chosen, "{several:?}");
        assert!(several.iter().all(|&lane| lane < LANES), "{several:?}");
        assert_eq!(used(&Grants::new(1).in_one_lane()).into_iter().collect::<Vec<_>>(), [0]);
    }
}
