//! Grant slots: one cell for each live grant, decided by one word.
//!
//! ```text
//! free -> reserved -> live                 a request fills the slot and publishes it
//! live -> tuning -> live | free            resize, pin, commit; release by the owner
//! live -> tuning -> evicting               chosen as a victim, if it still is one when held
//!         evicting -> live                 victim: busy
//!                  -> ending -> free       victim: freed
//!                  -> deferred -> tuning -> free      the owner releases later
//!                              -> tuning -> live      the owner declines
//!                  -> tuning -> gone -> free          the owner releases while it is asked
//! ```
//!
//! Whoever moves a word by exchange into *reserved*, *tuning* or *ending* is alone in writing it
//! next, by a plain store. Fields are written while reserved and published by the store of *live*.
//! The word holds only the low bits of the generation; the full one stands beside it and is
//! compared while the slot is held still, so a stale id is refused with certainty and the step
//! undone. *Evicting* pins a slot to its evictor: nobody else can free it. A grant is held still
//! and looked at before it becomes *evicting*, so one that may not go is never seen in that state.
//!
//! Slots come in segments of [`SLOTS`], owned by one account and allocation type. What a scan for
//! victims reads lies densely, four candidates to a line; so does what every grant writes besides,
//! and who owns the segment is written elsewhere: two threads at work in one segment, on slots of
//! different lines, write none that the other reads. A segment changes hands only while all its
//! slots are reserved by the one who moves it, and they stay so while it belongs to nobody: whoever
//! still has it in mind finds nothing to take.
//!
//! ```text
//! segments = fresh + given back + linked in queues + on their way        (+ worn out)
//! spare    = given back + on their way;  spare = 0 and none fresh  =>  no segment is left
//! ```

use super::backlog::Backlogs;
use super::bugs::{Bug, planted};
use super::past::Pasts;
use super::region::{Table, Zeroed};
use super::sync::{AtomicU32, AtomicU64, Ordering};
use super::word::{Owner, SlotWord, State};
use crossbeam_utils::CachePadded;

/// Slots in a segment.
#[cfg(not(allot_loom))]
pub const SLOTS: u32 = 16;
/// Slots in a segment: as few as show everything, so that models stay small.
#[cfg(allot_loom)]
pub const SLOTS: u32 = 2;
/// Lines on which the words of a segment lie.
pub const LINES: u32 = if cfg!(allot_loom) { 1 } else { 4 };
/// Turns of the loop that takes hold of a slot which another thread is tuning.
pub const HOLD_TURNS_MAX: u32 = 32;

/// Bits of a grant's flags.
pub mod flag {
    /// Must not be evicted.
    pub const PINNED: u32 = 1;
    /// Of a type that is never evicted, and not marked evictable by its owner.
    pub const FIXED: u32 = 2;
    /// Its number is limited: it was counted.
    pub const COUNTED: u32 = 4;
    /// A reservation that was not yet committed.
    pub const UNCOMMITTED: u32 = 8;
    /// The grant ended by eviction, not by release.
    pub const EVICTED: u32 = 16;
    /// Those that forbid to evict the grant.
    pub const SPECIAL: u32 = PINNED | FIXED | UNCOMMITTED;
    /// Has a key, a cookie or a time. Of a slot without it these are zero.
    pub const DETAILED: u32 = 32;
}

/// What a grant is beside its size.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Fields {
    /// Name of the content, 0 if it has none.
    pub key: u64,
    /// The caller's own number.
    pub cookie: u64,
    /// When the grant expires, in ns of the governor's clock; 0: never.
    pub expires_ns: u64,
    /// Until when the grant must not be evicted.
    pub keep_until_ns: u64,
    /// Bits of [`flag`].
    pub flags: u32,
}

impl Fields {
    /// Whether a scan for victims must look at these fields and not at the word alone.
    #[inline]
    pub fn special(&self) -> bool {
        self.flags & flag::SPECIAL != 0 || self.expires_ns != 0 || self.keep_until_ns != 0
    }

    /// The flags with the one that tells of key, cookie and times.
    #[inline]
    fn all_flags(&self) -> u32 {
        let detailed = self.key | self.cookie | self.expires_ns | self.keep_until_ns != 0;
        let detail = if detailed { flag::DETAILED } else { 0 };
        (self.flags & !flag::DETAILED) | detail
    }

    /// Whether the time to live, or to commit, has run out.
    pub fn is_expired(&self, now_ns: u64) -> bool {
        self.expires_ns != 0 && self.expires_ns <= now_ns
    }

    /// Whether the grant may be evicted now.
    pub fn is_evictable(&self, now_ns: u64) -> bool {
        let expired = self.is_expired(now_ns);
        let uncommitted = self.flags & flag::UNCOMMITTED != 0;
        let held = self.flags & (flag::PINNED | flag::FIXED) != 0 || self.keep_until_ns > now_ns;
        if uncommitted { expired } else { !held || planted(Bug::PinIgnored) }
    }
}

/// [`SLOTS`] slots of one account and allocation type.
#[repr(C, align(64))]
pub struct Segment {
    owner: AtomicU64,
    /// Sum of the slots' generations when the segment came to its owner.
    begun: AtomicU64,
    /// The next segment of the queue, plus one.
    next: AtomicU32,
    /// Slots that are in the backlog of the queue, one bit each.
    listed: AtomicU32,
    fronts: Lines<Front>,
    marks: Lines<Mark>,
    details: Lines<Details>,
}

/// One of each slot, from the beginning of a line on.
#[repr(C, align(64))]
struct Lines<T>([T; SLOTS as usize]);

/// What a search for victims reads of a slot, and a touch writes: four to a line.
#[repr(C, align(16))]
struct Front {
    word: AtomicU64,
    recency: AtomicU64,
}

/// What else every grant reads and writes: four to a line.
#[repr(C, align(16))]
struct Mark {
    /// Full generation of the slot's grant.
    generation: AtomicU32,
    flags: AtomicU32,
    /// The account on whose behalf a deferred victim is being evicted.
    evictor: AtomicU32,
}

/// What few grants have.
struct Details {
    key: AtomicU64,
    cookie: AtomicU64,
    expires_ns: AtomicU64,
    keep_until_ns: AtomicU64,
}

#[cfg(not(allot_loom))]
const _: () = assert!(size_of::<Segment>() == 64 * (1 + SLOTS as usize));

// SAFETY: atomics only; all zero is a segment that nobody knows of yet.
unsafe impl Zeroed for Segment {
    fn empty() -> Self {
        let (half, zero) = (|| AtomicU32::new(0), || AtomicU64::new(0));
        Self {
            owner: zero(),
            begun: zero(),
            next: half(),
            listed: half(),
            fronts: Lines::of(|| Front { word: zero(), recency: zero() }),
            marks: Lines::of(|| Mark { generation: half(), flags: half(), evictor: half() }),
            details: Lines::of(|| Details {
                key: zero(),
                cookie: zero(),
                expires_ns: zero(),
                keep_until_ns: zero(),
            }),
        }
    }
}

impl<T> Lines<T> {
    fn of(empty: impl Fn() -> T) -> Self {
        Self(std::array::from_fn(|_| empty()))
    }
}

/// Why a grant could not be held still.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// The id is of another generation or of another owner, or was released before.
    Stale,
    /// The grant was evicted, or is being evicted.
    Evicted,
    /// Another thread is changing the grant.
    Busy,
}

/// A slot that was found in its table, for a verb that comes back to it.
#[derive(Clone, Copy)]
pub struct Slot<'a> {
    segment: &'a Segment,
    lane: u32,
}

/// A slot held in *tuning* by this thread: it alone decides what comes next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Held {
    /// The slot.
    pub slot: u32,
    /// The word before it was held.
    pub word: SlotWord,
}

/// How a release went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// The grant is over; the slot is free.
    Free,
    /// The grant is over; its evictor was asking the owner and will free the slot.
    WhileEvicting,
    /// The grant is over, as its owner had promised to the evictor of the account given.
    Deferred {
        /// The account that was short.
        evictor: u32,
    },
}

/// A slot held in *evicting* by this thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Victim {
    /// The slot.
    pub slot: u32,
    /// Full generation of the grant.
    pub generation: u32,
    /// Whose grant it is.
    pub owner: Owner,
    /// Bytes it holds.
    pub bytes: u64,
    /// Its fields.
    pub fields: Fields,
}

/// What became of a victim.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Settled {
    /// The slot is free; the bytes are still to be taken out of use.
    Ended,
    /// The owner released it meanwhile and has taken the bytes out of use; the slot is free.
    ReleasedByOwner,
    /// The grant lives on, or lives until its owner releases it.
    Kept,
}

/// Why no segment could be taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoSegment {
    /// At one instant every segment was linked in a queue.
    Exhausted,
    /// A segment is on its way to or from a queue.
    OnTheWay,
}

/// All slots of all grants.
pub struct Grants {
    segments: Table<Segment>,
    /// The next victims of large queues.
    pub backlogs: Backlogs,
    /// What queues remember.
    pub pasts: Pasts,
    /// Of the lanes of a queue those that are used: all, or the first alone.
    pub lanes_mask: usize,
    returned: Table<Returned>,
    supply: CachePadded<Supply>,
}

/// Segments that were given back, one bit each.
struct Returned(AtomicU64);

// SAFETY: an atomic only; all zero is a word without segments.
unsafe impl Zeroed for Returned {
    fn empty() -> Self {
        Self(AtomicU64::new(0))
    }
}

/// How many segments are left. Read when a queue runs out of slots, not for a grant.
struct Supply {
    /// Segments given back or on their way: at no instant fewer than bits in [`Returned`].
    spare: AtomicU32,
    /// The first segment that was never used.
    fresh: AtomicU32,
}

impl Segment {
    /// Whose grants these are.
    #[inline]
    pub fn owner(&self) -> Owner {
        // Acquire: pairs with the Release in `give`. Whoever holds a slot of the segment sees its
        // owner for certain: the owner changes only while somebody else holds them all.
        Owner(self.owner.load(Ordering::Acquire))
    }

    /// Gives a segment that the caller holds alone to another owner.
    fn give(&self, owner: Owner) {
        // Relaxed: a hint, as in `listed`.
        self.listed.store(0, Ordering::Relaxed);
        // Release: pairs with the Acquire in `owner`.
        self.owner.store(owner.0, Ordering::Release);
    }

    /// The slots that are in the backlog of the queue, one bit each.
    #[inline]
    pub fn listed(&self) -> u32 {
        // Relaxed: a hint that keeps a slot from taking two places; a bit that is lost, or set for
        // nothing, costs a little order.
        self.listed.load(Ordering::Relaxed)
    }

    /// Says whether a slot is in the backlog. One thread at a time for each queue, or else bits
    /// are lost.
    #[inline]
    pub fn set_listed(&self, lane: u32, listed: bool) {
        let others = self.listed() & !(1 << lane);
        // Relaxed: as in `listed`.
        self.listed.store(others | u32::from(listed) << lane, Ordering::Relaxed);
    }

    /// The next segment in the list, if any.
    #[inline]
    pub fn next(&self) -> Option<u32> {
        // Acquire: pairs with the Release in `set_next`; a segment is complete once linked.
        self.next.load(Ordering::Acquire).checked_sub(1)
    }

    /// Links the segment to the one that follows.
    pub fn set_next(&self, next: Option<u32>) {
        // Release: pairs with the Acquire in `next`.
        self.next.store(next.map_or(0, |n| n + 1), Ordering::Release);
    }

    #[inline]
    fn word(&self, lane: u32) -> SlotWord {
        // Acquire: pairs with the Release in `set_word`; the fields belong to the word seen.
        SlotWord(self.front(lane).word.load(Ordering::Acquire))
    }

    /// Asks for the lines that a scan of the first or second half reads.
    #[inline]
    pub fn prefetch(&self, half: u32) {
        const LANES: usize = SLOTS as usize / 2;
        let first = half as usize * LANES;
        super::sync::prefetch(&self.owner);
        super::sync::prefetch(&self.fronts.0[first]);
        super::sync::prefetch(&self.fronts.0[first + LANES / 2]);
    }

    /// Asks for the line with the owner and what is listed.
    #[inline]
    pub fn prefetch_owner(&self) {
        super::sync::prefetch(&self.owner);
    }

    /// Asks for the lines that are read when a slot is chosen and claimed.
    #[inline]
    pub fn prefetch_slot(&self, lane: u32) {
        super::sync::prefetch(&self.owner);
        super::sync::prefetch(self.front(lane));
        super::sync::prefetch(self.mark(lane));
        super::sync::prefetch(self.details(lane));
    }

    /// Word and recency of a slot, as a scan for victims sees them.
    #[inline]
    pub fn look(&self, lane: u32) -> (SlotWord, u64) {
        // Relaxed: recency is a hint for the choice of victims and orders nothing.
        (self.word(lane), self.front(lane).recency.load(Ordering::Relaxed))
    }

    /// Plain store by the one thread that holds the slot.
    #[inline]
    fn set_word(&self, lane: u32, word: SlotWord) {
        // Release: pairs with the Acquire in `word` and `exchange`; publishes the fields.
        self.front(lane).word.store(word.0, Ordering::Release);
    }

    #[inline]
    fn exchange(&self, lane: u32, from: SlotWord, to: SlotWord) -> bool {
        // AcqRel: Acquire pairs with the Release in `set_word`, so the holder may write the fields
        // after everybody who held the slot before; Release orders what the caller did first (the
        // count of bytes on their way, above all) before the new state is seen.
        // Relaxed on failure: the word is read again.
        let (success, failure) = (Ordering::AcqRel, Ordering::Relaxed);
        self.front(lane).word.compare_exchange(from.0, to.0, success, failure).is_ok()
    }

    #[inline(always)]
    fn front(&self, lane: u32) -> &Front {
        &self.fronts.0[lane as usize]
    }

    #[inline(always)]
    fn mark(&self, lane: u32) -> &Mark {
        &self.marks.0[lane as usize]
    }

    #[inline(always)]
    fn details(&self, lane: u32) -> &Details {
        &self.details.0[lane as usize]
    }

    #[inline]
    fn generation(&self, lane: u32) -> u32 {
        // Relaxed: ordered by the word, which was acquired; compared again once the slot is held.
        self.mark(lane).generation.load(Ordering::Relaxed)
    }

    #[inline]
    fn flags(&self, lane: u32) -> u32 {
        // Relaxed: ordered by the word, as for `generation`.
        self.mark(lane).flags.load(Ordering::Relaxed)
    }

    #[inline]
    fn fields(&self, lane: u32) -> Fields {
        let details = self.details(lane);
        // Relaxed: ordered by the word, which was acquired; exact for whoever holds the slot, a
        // hint for a scanner.
        let order = Ordering::Relaxed;
        Fields {
            key: details.key.load(order),
            cookie: details.cookie.load(order),
            expires_ns: details.expires_ns.load(order),
            keep_until_ns: details.keep_until_ns.load(order),
            flags: self.flags(lane) & !flag::DETAILED,
        }
    }

    #[inline(never)]
    fn set_fields(&self, lane: u32, fields: &Fields) {
        let details = self.details(lane);
        // Relaxed: published by the store of the word that follows.
        let order = Ordering::Relaxed;
        details.key.store(fields.key, order);
        details.cookie.store(fields.cookie, order);
        details.expires_ns.store(fields.expires_ns, order);
        details.keep_until_ns.store(fields.keep_until_ns, order);
        // Release: as in `set_evicted`, by way of `end_chosen` in `force.rs`.
        self.mark(lane).flags.store(fields.all_flags(), Ordering::Release);
    }

    /// The same for a grant of which there is nothing to say. A store waits for every exchange that
    /// follows it, a load does not: so nothing is written that is there.
    #[inline(always)]
    fn clear_fields(&self, lane: u32) {
        // Relaxed: as in `set_fields`; whoever holds the slot knows what is there.
        if self.mark(lane).flags.load(Ordering::Relaxed) != 0 {
            self.set_fields(lane, &Fields::default());
        }
    }

    /// Says of the last grant of a slot that it was evicted. By the one thread that holds it.
    fn set_evicted(&self, lane: u32) {
        let flags = self.flags(lane) | flag::EVICTED;
        // Release: pairs with the Acquire in `was_evicted`; the generation was there before.
        self.mark(lane).flags.store(flags, Ordering::Release);
    }

    /// Whether the grant of this generation was evicted, if it was the last one of a slot. Looked
    /// at without holding the slot: the next grant may be evicted, too, before the flag is read.
    fn was_evicted(&self, lane: u32, generation: u32) -> bool {
        // Acquire: pairs with the Release in `set_evicted`: whoever sees the flag of a later grant
        // sees its generation next.
        let evicted = self.mark(lane).flags.load(Ordering::Acquire) & flag::EVICTED != 0;
        evicted && self.generation(lane) == generation
    }

    /// Whether the slot has had all its generations and is never used again.
    #[inline]
    fn is_worn(&self, lane: u32) -> bool {
        self.generation(lane) == u32::MAX
    }

    fn generations(&self) -> u64 {
        (0..SLOTS).map(|lane| u64::from(self.generation(lane))).sum()
    }

    /// Grants published in this segment since it came to its owner.
    pub fn granted(&self) -> u64 {
        // Relaxed: a statistic; written while the segment belonged to nobody.
        self.generations().saturating_sub(self.begun.load(Ordering::Relaxed))
    }
}

impl Slot<'_> {
    /// Takes the slot for the caller alone, if it is a free one of `owner`'s; answers the
    /// generation of its next grant.
    #[inline(always)]
    pub fn reserve_next(self, owner: Owner) -> Option<u32> {
        let Self { segment, lane } = self;
        let word = segment.word(lane);
        if word.state() != State::Free
            || !segment.exchange(lane, word, word.with_state(State::Reserved))
        {
            return None;
        }
        // The segment may have changed hands, or the generation come to its end, before the
        // exchange, never after it.
        let next = segment.generation(lane).checked_add(1);
        if segment.owner() != owner || next.is_none() {
            segment.set_word(lane, word);
            return None;
        }
        next
    }

    /// Makes a reserved slot a live grant of the next generation.
    #[inline(always)]
    pub fn publish(self, next: u32, bytes: u64, recency: u64, fields: &Fields) {
        let Self { segment, lane } = self;
        // Release: pairs with the Acquire in `taken_by`; who sees the generation sees the slot
        // reserved. For everybody else it is published by the store of the word below.
        segment.mark(lane).generation.store(next, Ordering::Release);
        segment.set_fields(lane, fields);
        self.set_recency(recency);
        let word = SlotWord::new(State::Live, next, bytes);
        segment.set_word(lane, word.with_special(fields.special()));
    }

    /// The same of a grant of which there is nothing to say: all its fields are zero.
    #[inline(always)]
    pub fn publish_plain(self, next: u32, bytes: u64, recency: u64) {
        let Self { segment, lane } = self;
        // Release: as in `publish`.
        segment.mark(lane).generation.store(next, Ordering::Release);
        segment.clear_fields(lane);
        self.set_recency(recency);
        segment.set_word(lane, SlotWord::new(State::Live, next, bytes));
    }

    /// Whether the slot now shows this generation of this owner's grant, live.
    #[inline(always)]
    pub fn is_live(self, generation: u32, owner: Owner) -> bool {
        self.segment.word(self.lane).is_live_of(generation) && self.is_of(generation, owner)
    }

    /// Whose slot it is.
    #[inline(always)]
    pub fn owner(self) -> Owner {
        self.segment.owner()
    }

    /// Full generation and owner: certain for whoever holds the slot.
    #[inline(always)]
    fn is_of(self, generation: u32, owner: Owner) -> bool {
        self.segment.generation(self.lane) == generation && self.segment.owner() == owner
    }

    /// Holds a live grant still if nobody else does at this moment; answers its word.
    #[inline(always)]
    pub fn hold_live(self, generation: u32, owner: Owner) -> Option<SlotWord> {
        let Self { segment, lane } = self;
        let word = segment.word(lane);
        if !word.is_live_of(generation) || !segment.exchange(lane, word, word.held()) {
            return None;
        }
        // Held still: now the comparison is certain.
        if !self.is_of(generation, owner) {
            segment.set_word(lane, word);
            return None;
        }
        Some(word)
    }

    /// Lets a held grant go with the word of a live one.
    #[inline(always)]
    pub fn let_go(self, word: SlotWord) {
        debug_assert_eq!(word.state(), State::Live);
        self.segment.set_word(self.lane, word);
    }

    /// Ends a held grant that was live.
    #[inline(always)]
    pub fn free(self, word: SlotWord) {
        self.segment.set_word(self.lane, word.with_state(State::Free).with_bytes(0));
    }

    /// Flags: exact for whoever holds the slot, else a hint.
    #[inline(always)]
    pub fn flags(self) -> u32 {
        self.segment.flags(self.lane)
    }

    /// Recency: last touch and frequency, packed by `policy.rs`.
    #[inline(always)]
    pub fn recency(self) -> u64 {
        // Relaxed: recency is a hint for the choice of victims and orders nothing.
        self.segment.front(self.lane).recency.load(Ordering::Relaxed)
    }

    /// Stores the recency; racing touches may lose one another.
    #[inline(always)]
    pub fn set_recency(self, recency: u64) {
        // Relaxed: as in `recency`.
        self.segment.front(self.lane).recency.store(recency, Ordering::Relaxed);
    }
}

/// Segment and lane of a slot.
#[inline]
fn place(slot: u32) -> (u32, u32) {
    (slot / SLOTS, slot % SLOTS)
}

impl Grants {
    /// Room for `segments_max` segments, of one queue or of several that share their past.
    pub fn new(segments_max: u32) -> Self {
        Self::of_queues(segments_max, 1)
    }

    /// Room for `segments_max` segments and the pasts of so many queues.
    pub fn of_queues(segments_max: u32, queues_max: usize) -> Self {
        let supply = Supply { spare: AtomicU32::new(0), fresh: AtomicU32::new(0) };
        Self {
            segments: Table::new(segments_max as usize),
            backlogs: Backlogs::new(segments_max),
            pasts: Pasts::new(queues_max),
            lanes_mask: usize::MAX,
            returned: Table::new(segments_max.div_ceil(u64::BITS) as usize),
            supply: CachePadded::new(supply),
        }
    }

    /// The same with one lane in each queue: which slots are found does not depend on threads.
    pub fn in_one_lane(self) -> Self {
        Self { lanes_mask: 0, ..self }
    }

    /// The segment at `index`.
    #[inline]
    pub fn segment(&self, index: u32) -> &Segment {
        &self.segments[index]
    }

    /// A slot that is there for certain.
    #[inline]
    pub fn slot(&self, slot: u32) -> Slot<'_> {
        let (segment, lane) = place(slot);
        Slot { segment: self.segment(segment), lane }
    }

    /// The same without a look whether it is.
    ///
    /// # Safety
    ///
    /// It is: the number is that of a slot which these grants have given, or keep in a queue.
    #[inline(always)]
    pub unsafe fn slot_at(&self, slot: u32) -> Slot<'_> {
        let (segment, lane) = place(slot);
        // SAFETY: as the caller promises.
        Slot { segment: unsafe { self.segments.at(segment) }, lane }
    }

    /// The slot of this number, if there is one.
    #[inline]
    pub fn find(&self, slot: u32) -> Option<Slot<'_>> {
        let (segment, lane) = place(slot);
        Some(Slot { segment: self.segments.get(segment)?, lane })
    }

    /// Whether `slot` exists at all.
    #[inline]
    pub fn contains(&self, slot: u32) -> bool {
        slot / SLOTS < self.segments.capacity()
    }

    /// Whose slot it is.
    #[inline]
    pub fn owner(&self, slot: u32) -> Owner {
        self.segment(slot / SLOTS).owner()
    }

    /// Segments that were ever in use.
    pub fn segments_seen(&self) -> u32 {
        // Relaxed: a statistic, and a bound of searches: whoever saw a segment linked also sees
        // that it was taken.
        self.supply.fresh.load(Ordering::Relaxed).min(self.segments.capacity())
    }

    /// The word of a slot, for a look without a hold.
    #[inline]
    pub fn word(&self, slot: u32) -> SlotWord {
        let (segment, lane) = place(slot);
        self.segment(segment).word(lane)
    }

    /// The generation of the grant that has the slot, or had it last if the slot is used up; none
    /// if the slot is free or changing. Exact: the word read belongs to the generation answered,
    /// so two equal answers mean that the slot was taken all the time between them.
    pub fn taken_by(&self, slot: u32) -> Option<u32> {
        let (segment, lane) = place(slot);
        let segment = self.segment(segment);
        // Acquire: pairs with the Release in `publish`: the word read next is not older than the
        // reservation in which this generation was written.
        let before = segment.mark(lane).generation.load(Ordering::Acquire);
        let taken = match segment.word(lane).state() {
            State::Live | State::Evicting | State::Deferred => true,
            State::Free => before == u32::MAX,
            State::Reserved | State::Tuning | State::Ending | State::Gone => false,
        };
        // Not older than the word, which was acquired.
        (taken && segment.generation(lane) == before).then_some(before)
    }

    /// The full generation, exact only while the slot is held or its word unchanged.
    #[inline]
    pub fn generation(&self, slot: u32) -> u32 {
        let (segment, lane) = place(slot);
        self.segment(segment).generation(lane)
    }

    /// Whether the grant of this generation has not ended, by a look.
    pub fn is_there(&self, (slot, generation): (u32, u32)) -> bool {
        let over = [State::Free, State::Reserved, State::Ending, State::Gone];
        !over.contains(&self.word(slot).state()) && self.generation(slot) == generation
    }

    /// The flags of a slot: exact for whoever holds it, else a hint.
    #[inline]
    pub fn flags(&self, slot: u32) -> u32 {
        self.slot(slot).flags()
    }

    /// Whether the grant of this generation was evicted, if it was the last one of a slot.
    pub fn was_evicted(&self, slot: u32, generation: u32) -> bool {
        let (segment, lane) = place(slot);
        self.segment(segment).was_evicted(lane, generation)
    }

    /// The fields of a slot: exact for whoever holds it, else a hint.
    #[inline]
    pub fn fields(&self, slot: u32) -> Fields {
        let (segment, lane) = place(slot);
        self.segment(segment).fields(lane)
    }

    /// Recency of a slot: last touch and frequency, packed by `policy.rs`.
    #[inline]
    pub fn recency(&self, slot: u32) -> u64 {
        self.slot(slot).recency()
    }

    /// Stores the recency of a slot; racing touches may lose one another.
    #[inline]
    pub fn set_recency(&self, slot: u32, recency: u64) {
        self.slot(slot).set_recency(recency);
    }

    /// Takes a free slot of `owner`'s for the caller alone.
    #[inline]
    pub fn reserve(&self, slot: u32, owner: Owner) -> bool {
        let at = self.slot(slot);
        !at.segment.is_worn(at.lane) && at.reserve_next(owner).is_some()
    }

    /// Frees a reserved slot again.
    #[inline]
    pub fn unreserve(&self, slot: u32) {
        let (segment, lane) = place(slot);
        let segment = self.segment(segment);
        let word = segment.word(lane);
        debug_assert_eq!(word.state(), State::Reserved);
        segment.set_word(lane, word.with_state(State::Free));
    }

    /// Makes a reserved slot a live grant of the next generation, which it answers.
    #[inline]
    pub fn publish(&self, slot: u32, bytes: u64, recency: u64, fields: &Fields) -> u32 {
        let at = self.slot(slot);
        let next = at.segment.generation(at.lane) + 1;
        at.publish(next, bytes, recency, fields);
        next
    }

    /// Whether the slot now shows this generation of this owner's grant, live.
    #[inline]
    pub fn is_live(&self, slot: u32, generation: u32, owner: Owner) -> bool {
        self.slot(slot).is_live(generation, owner)
    }

    /// Holds a live grant still, to change it. Bounded by [`HOLD_TURNS_MAX`].
    #[inline]
    pub fn hold(&self, slot: u32, generation: u32, owner: Owner) -> Result<Held, Refused> {
        self.hold_in(slot, generation, owner, false)
    }

    /// Holds a grant still, to end it: also one that is being evicted or was promised.
    #[inline]
    pub fn hold_to_end(&self, slot: u32, generation: u32, owner: Owner) -> Result<Held, Refused> {
        self.hold_in(slot, generation, owner, true)
    }

    #[inline]
    fn hold_in(
        &self,
        slot: u32,
        generation: u32,
        owner: Owner,
        to_end: bool,
    ) -> Result<Held, Refused> {
        let (index, lane) = place(slot);
        let segment = self.segment(index);
        for _ in 0..HOLD_TURNS_MAX {
            let word = segment.word(lane);
            let any = planted(Bug::GenerationUnchecked);
            let same = |s: &Segment| any || s.generation(lane) == generation;
            let ours = |s: &Segment| same(s) && s.owner() == owner;
            if !(any || word.may_be(generation)) || !ours(segment) {
                return Err(Refused::Stale);
            }
            match word.state() {
                State::Live => {}
                State::Evicting | State::Deferred if to_end => {}
                State::Evicting | State::Deferred | State::Ending => return Err(Refused::Evicted),
                State::Free if segment.was_evicted(lane, generation) => {
                    return Err(Refused::Evicted);
                }
                State::Free | State::Reserved | State::Gone => return Err(Refused::Stale),
                State::Tuning => {
                    super::sync::pause();
                    continue;
                }
            }
            if segment.exchange(lane, word, word.with_state(State::Tuning)) {
                // Held still: now the comparison is certain.
                if !ours(segment) {
                    segment.set_word(lane, word);
                    return Err(Refused::Stale);
                }
                return Ok(Held { slot, word });
            }
        }
        Err(Refused::Busy)
    }

    /// Lets a held grant go, with so many bytes.
    #[inline]
    pub fn let_go(&self, held: Held, bytes: u64) {
        let (segment, lane) = place(held.slot);
        self.segment(segment).set_word(lane, held.word.with_bytes(bytes));
    }

    /// Lets a held grant go with other fields.
    pub fn let_go_with(&self, held: Held, fields: &Fields) {
        let (segment, lane) = place(held.slot);
        self.segment(segment).set_fields(lane, fields);
        self.segment(segment).set_word(lane, held.word.with_special(fields.special()));
    }

    /// Ends a held grant; the caller takes its bytes out of use.
    #[inline]
    pub fn end(&self, held: Held) -> Ended {
        let (segment, lane) = place(held.slot);
        let segment = self.segment(segment);
        if held.word.state() == State::Evicting {
            segment.set_word(lane, held.word.with_state(State::Gone));
            return Ended::WhileEvicting;
        }
        // Relaxed: written by the evictor before the word was acquired.
        let evictor = segment.mark(lane).evictor.load(Ordering::Relaxed);
        segment.set_word(lane, held.word.with_state(State::Free).with_bytes(0));
        match held.word.state() {
            State::Deferred => Ended::Deferred { evictor },
            _ => Ended::Free,
        }
    }

    /// Makes a held grant live again if it was deferred; answers the account that was short.
    ///
    /// # Errors
    ///
    /// The grant goes on as it was: [`Refused::Busy`] if its evictor is still asking,
    /// [`Refused::Stale`] if nobody waits for it.
    pub fn keep_deferred(&self, held: Held, keep_until_ns: u64) -> Result<u32, Refused> {
        let (segment, lane) = place(held.slot);
        let segment = self.segment(segment);
        if held.word.state() != State::Deferred {
            segment.set_word(lane, held.word);
            let asking = held.word.state() == State::Evicting;
            return Err(if asking { Refused::Busy } else { Refused::Stale });
        }
        let details = segment.details(lane);
        // Relaxed: written by the evictor before the word was acquired; published by the store of
        // the word below.
        let order = Ordering::Relaxed;
        let evictor = segment.mark(lane).evictor.load(order);
        let keep = details.keep_until_ns.load(order).max(keep_until_ns);
        details.keep_until_ns.store(keep, order);
        segment.mark(lane).flags.store(segment.flags(lane) | flag::DETAILED, order);
        segment.set_word(lane, held.word.with_state(State::Live).with_special(true));
        Ok(evictor)
    }

    /// Claims a live grant as a victim if its word is still the one seen and `may_go` says so
    /// while it is held still: the same word may by now be another grant's, or a pinned one's.
    pub fn claim_victim(
        &self,
        slot: u32,
        seen: SlotWord,
        may_go: impl FnOnce(&Victim) -> bool,
    ) -> Option<Victim> {
        let (index, lane) = place(slot);
        let segment = self.segment(index);
        if seen.state() != State::Live
            || !segment.exchange(lane, seen, seen.with_state(State::Tuning))
        {
            return None;
        }
        let victim = Victim {
            slot,
            generation: segment.generation(lane),
            owner: segment.owner(),
            bytes: seen.bytes(),
            fields: segment.fields(lane),
        };
        let claimed = may_go(&victim);
        segment.set_word(lane, if claimed { seen.with_state(State::Evicting) } else { seen });
        claimed.then_some(victim)
    }

    /// Ends a victim for good, unless its owner was faster.
    pub fn settle_freed(&self, victim: &Victim) -> Settled {
        self.settle(victim, State::Ending, false, |segment, lane, word| {
            segment.set_evicted(lane);
            segment.set_word(lane, word.with_state(State::Free).with_bytes(0));
            Settled::Ended
        })
    }

    /// Lets a victim live, and not be chosen again before `keep_until_ns`.
    pub fn settle_busy(&self, victim: &Victim, keep_until_ns: u64) -> Settled {
        let (segment, lane) = place(victim.slot);
        let keep = victim.fields.keep_until_ns.max(keep_until_ns);
        // Relaxed: published by the exchange that follows; the slot is pinned to this evictor.
        let order = Ordering::Relaxed;
        let segment = self.segment(segment);
        segment.details(lane).keep_until_ns.store(keep, order);
        segment.mark(lane).flags.store(segment.flags(lane) | flag::DETAILED, order);
        let special = keep != 0 || victim.fields.special();
        self.settle(victim, State::Live, special, |_, _, _| Settled::Kept)
    }

    /// Leaves a victim to its owner, who will release it on behalf of account `evictor`.
    pub fn settle_deferred(&self, victim: &Victim, evictor: u32) -> Settled {
        let (segment, lane) = place(victim.slot);
        // Relaxed: published by the exchange that follows; the slot is pinned to this evictor.
        let order = Ordering::Relaxed;
        self.segment(segment).mark(lane).evictor.store(evictor, order);
        self.settle(victim, State::Deferred, true, |_, _, _| Settled::Kept)
    }

    /// Moves an evicted slot on. Its owner may hold it for the few instructions of a release;
    /// this waits for them, which only an evictor ever does, and by yielding: the owner's thread
    /// may have been put to sleep there.
    fn settle(
        &self,
        victim: &Victim,
        to: State,
        special: bool,
        then: impl FnOnce(&Segment, u32, SlotWord) -> Settled,
    ) -> Settled {
        let (segment, lane) = place(victim.slot);
        let segment = self.segment(segment);
        loop {
            let word = segment.word(lane);
            match word.state() {
                State::Evicting => {
                    let next = word.with_state(to).with_special(special);
                    if segment.exchange(lane, word, next) {
                        return then(segment, lane, word);
                    }
                }
                State::Gone => {
                    segment.set_word(lane, word.with_state(State::Free).with_bytes(0));
                    return Settled::ReleasedByOwner;
                }
                _ => super::sync::pause(),
            }
        }
    }

    /// A segment for `owner` with all its slots reserved by the caller, who links it and then
    /// calls [`Grants::keep_segment`], or gives it back with [`Grants::return_segment`].
    ///
    /// Wait-free; steps grow with the number of segments, one for 64, if some were given back.
    pub fn take_segment(&self, owner: Owner) -> Result<u32, NoSegment> {
        let index = self.take_returned().or_else(|| self.take_fresh());
        let Some(index) = index else {
            // Acquire: pairs with the Release half of the changes of `spare`: who has found none
            // fresh sees those counted who took the last ones.
            let spare = self.supply.spare.load(Ordering::Acquire);
            return Err(if spare == 0 { NoSegment::Exhausted } else { NoSegment::OnTheWay });
        };
        let segment = self.segment(index);
        // Relaxed: published by the store of the owner.
        segment.begun.store(segment.generations(), Ordering::Relaxed);
        segment.give(owner);
        Ok(index)
    }

    fn take_returned(&self) -> Option<u32> {
        // Acquire: pairs with the Release half of the changes of `spare`. Zero: no bit is set.
        if self.supply.spare.load(Ordering::Acquire) == 0 {
            return None;
        }
        let words = self.segments_seen().div_ceil(u64::BITS);
        for at in 0..words {
            let word = &self.returned[at].0;
            // Relaxed: a guess; the read-modify-write decides.
            let mut bits = word.load(Ordering::Relaxed);
            while bits != 0 {
                let lowest = bits & bits.wrapping_neg();
                // AcqRel: Acquire pairs with the Release in `return_segment`; Release lets whoever
                // sees the bit gone see that the segment is counted as spare.
                if word.fetch_and(!lowest, Ordering::AcqRel) & lowest != 0 {
                    return Some(at * u64::BITS + lowest.trailing_zeros());
                }
                bits &= !lowest;
            }
        }
        None
    }

    fn take_fresh(&self) -> Option<u32> {
        let (spare, fresh) = (&self.supply.spare, &self.supply.fresh);
        // Acquire: pairs with the Release half below: who finds none sees the last takers counted.
        if fresh.load(Ordering::Acquire) >= self.segments.capacity() {
            return None;
        }
        // AcqRel: pairs with the Acquire in `take_segment`; before the segment is taken.
        spare.fetch_add(1, Ordering::AcqRel);
        // AcqRel: pairs with the Acquire above.
        let index = fresh.fetch_add(1, Ordering::AcqRel);
        if index >= self.segments.capacity() {
            // AcqRel: as for the addition.
            spare.fetch_sub(1, Ordering::AcqRel);
            return None;
        }
        let segment = self.segment(index);
        // Nobody knows of the segment yet, so no exchange is needed.
        (0..SLOTS).for_each(|lane| {
            segment.set_word(lane, segment.word(lane).with_state(State::Reserved))
        });
        Some(index)
    }

    /// Offers the slots of a segment that was taken and linked, but for one that the caller keeps
    /// reserved and that is answered.
    pub fn keep_segment(&self, index: u32) -> u32 {
        let segment = self.segment(index);
        // Segments without such a slot are not given back.
        let kept = (0..SLOTS).find(|&lane| !segment.is_worn(lane)).unwrap_or(0);
        let others = (0..SLOTS).filter(|&lane| lane != kept);
        others.for_each(|lane| self.unreserve(index * SLOTS + lane));
        // AcqRel: pairs with the Acquire in `take_segment`; after the segment was linked.
        self.supply.spare.fetch_sub(1, Ordering::AcqRel);
        index * SLOTS + kept
    }

    /// Gives back a segment that was taken and not linked. Wait-free.
    pub fn return_segment(&self, index: u32) {
        let segment = self.segment(index);
        segment.give(Owner::NOBODY);
        if (0..SLOTS).all(|lane| segment.is_worn(lane)) {
            // AcqRel: as in `keep_segment`; the segment is used up.
            self.supply.spare.fetch_sub(1, Ordering::AcqRel);
            return;
        }
        let bit = 1 << (index % u64::BITS);
        // Release: pairs with the Acquire in `take_returned`; whoever takes the segment sees its
        // slots as they were left, all reserved.
        self.returned[index / u64::BITS].0.fetch_or(bit, Ordering::Release);
    }

    /// Takes all slots of a segment from their queue, if all are free; the grants published in it
    /// are answered, for the statistics. The caller, the only one who unlinks, then calls
    /// [`Grants::recycle_segment`] or [`Grants::unretire_segment`].
    pub fn retire_segment(&self, index: u32) -> Option<u64> {
        let segment = self.segment(index);
        for lane in 0..SLOTS {
            let word = segment.word(lane);
            let reserved = word.with_state(State::Reserved);
            if word.state() != State::Free || !segment.exchange(lane, word, reserved) {
                (0..lane).for_each(|held| self.unreserve(index * SLOTS + held));
                return None;
            }
        }
        Some(segment.granted())
    }

    /// Gives back a segment that was retired and unlinked. Its slots stay reserved.
    pub fn recycle_segment(&self, index: u32) {
        // AcqRel: pairs with the Acquire in `take_segment`; before the bit is set.
        self.supply.spare.fetch_add(1, Ordering::AcqRel);
        self.return_segment(index);
    }

    /// Offers the slots of a retired segment that stays in its queue.
    pub fn unretire_segment(&self, index: u32) {
        (0..SLOTS).for_each(|lane| self.unreserve(index * SLOTS + lane));
    }
}

#[cfg(test)]
mod tests {
    use super::super::region::tests::{assert_empty_is_zeroed, words};
    use super::*;

    words! { Segment: owner begun next listed fronts marks details }
    words! { Lines<Front>: 0 }
    words! { Lines<Mark>: 0 }
    words! { Lines<Details>: 0 }
    words! { Front: word recency }
    words! { Mark: generation flags evictor }
    words! { Details: key cookie expires_ns keep_until_ns }
    words! { Returned: 0 }

    #[test]
    fn an_empty_cell_is_a_zeroed_one() {
        assert_empty_is_zeroed::<Segment>();
        assert_empty_is_zeroed::<Returned>();
    }

    /// A slot that has had all its generations.
    fn wear(grants: &Grants, slot: u32) {
        let (segment, lane) = place(slot);
        // Relaxed: one thread.
        grants.segment(segment).mark(lane).generation.store(u32::MAX, Ordering::Relaxed);
    }

    #[test]
    fn a_segment_is_kept_by_a_slot_that_is_not_worn() {
        let grants = Grants::new(3);
        for index in 0..3 {
            let first = index * SLOTS;
            assert_eq!(grants.take_segment(Owner::new(1, 1, 2)), Ok(index));
            (first..first + index).for_each(|slot| wear(&grants, slot));
            assert_eq!(grants.keep_segment(index), first + index);
        }
    }

    /// However a victim was let live, what was said of it ends with it.
    #[test]
    fn nothing_is_left_of_a_victim_that_stayed() {
        for (key, deferred) in [(0, false), (7, false), (0, true), (7, true)] {
            let (grants, owner) = (Grants::new(1), Owner::new(1, 1, 2));
            let slot = grants.keep_segment(grants.take_segment(owner).unwrap());
            let fields = Fields { key, ..Fields::default() };
            let generation = grants.publish(slot, 5, 0, &fields);
            let victim = grants.claim_victim(slot, grants.word(slot), |_| true).unwrap();
            if deferred {
                grants.settle_deferred(&victim, 1);
                let held = grants.hold_to_end(slot, generation, owner).unwrap();
                assert_eq!(grants.keep_deferred(held, 40), Ok(1));
            } else {
                grants.settle_busy(&victim, 40);
            }
            assert_eq!(grants.fields(slot), Fields { keep_until_ns: 40, ..fields });
            grants.end(grants.hold(slot, generation, owner).unwrap());
            assert!(grants.reserve(slot, owner));
            grants.slot(slot).publish_plain(generation + 1, 5, 0);
            assert_eq!(grants.fields(slot), Fields::default(), "key {key}, {deferred}");
        }
    }

    #[test]
    fn a_segment_whose_slots_are_all_worn_is_used_up() {
        let grants = Grants::new(1);
        assert_eq!(grants.take_segment(Owner::new(1, 1, 2)), Ok(0));
        (1..SLOTS).for_each(|slot| wear(&grants, slot));
        grants.return_segment(0);
        assert_eq!(grants.take_segment(Owner::new(1, 1, 2)), Ok(0), "one slot is left");
        wear(&grants, 0);
        grants.return_segment(0);
        let none = grants.take_segment(Owner::new(1, 1, 2));
        assert_eq!(none, Err(NoSegment::Exhausted));
    }
}
