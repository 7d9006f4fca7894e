//! Grant slots: one cell for each live grant, decided by one word.
//!
//! ```text
//! free -> reserved -> live                 a request fills the slot and publishes it
//! live -> tuning -> live | free            resize, pin, commit; release by the owner
//! live -> evicting -> live                 victim: busy
//!                  -> ending -> free       victim: freed
//!                  -> deferred -> tuning -> free      the owner releases later
//!                  -> tuning -> gone -> free          the owner releases while it is asked
//! ```
//!
//! Whoever moves a word by exchange into *reserved*, *tuning* or *ending* is alone in writing it
//! next, by a plain store. Fields are written while reserved and published by the store of *live*.
//! The word holds only the low bits of the generation; the full one stands beside it and is
//! compared while the slot is held still, so a stale id is refused with certainty and the step
//! undone. *Evicting* pins a slot to its evictor: nobody else can free it.
//!
//! Slots come in segments of [`SLOTS`], owned by one account and allocation type. Their words lie
//! densely, so a scan for victims reads two lines for sixteen candidates. A segment changes hands
//! only while all its slots are free and reserved by the one who moves it.

use super::region::{Table, Zeroed};
use super::sync::{AtomicU32, AtomicU64, Ordering};
use super::word::{Owner, SlotWord, State};

/// Slots in a segment.
pub const SLOTS: u32 = 16;
/// Turns of the loop that takes hold of a slot which another thread is tuning.
pub const HOLD_TURNS_MAX: u32 = 32;
/// Turns of the loops that move segments between queues and the free list.
pub const SEGMENT_TURNS_MAX: u32 = 32;

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
        let flags = flag::PINNED | flag::FIXED | flag::UNCOMMITTED;
        self.flags & flags != 0 || self.expires_ns != 0 || self.keep_until_ns != 0
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
        if uncommitted { expired } else { !held }
    }
}

struct Details {
    key: AtomicU64,
    cookie: AtomicU64,
    expires_ns: AtomicU64,
    keep_until_ns: AtomicU64,
    generation: AtomicU32,
    flags: AtomicU32,
    /// The account on whose behalf a deferred victim is being evicted.
    evictor: AtomicU32,
}

/// Sixteen slots of one account and allocation type.
#[repr(C, align(64))]
pub struct Segment {
    owner: AtomicU64,
    /// Sum of the slots' generations when the segment came to its owner.
    begun: AtomicU64,
    /// The next segment of the queue or of the free list, plus one.
    next: AtomicU32,
    words: Line<[AtomicU64; SLOTS as usize]>,
    recency: [AtomicU64; SLOTS as usize],
    details: [Details; SLOTS as usize],
}

#[repr(align(64))]
struct Line<T>(T);

// SAFETY: atomics only; all zero is a segment of free slots that belongs to nobody.
unsafe impl Zeroed for Segment {
    fn empty() -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            owner: zero(),
            begun: zero(),
            next: AtomicU32::new(0),
            words: Line(std::array::from_fn(|_| zero())),
            recency: std::array::from_fn(|_| zero()),
            details: std::array::from_fn(|_| Details {
                key: zero(),
                cookie: zero(),
                expires_ns: zero(),
                keep_until_ns: zero(),
                generation: AtomicU32::new(0),
                flags: AtomicU32::new(0),
                evictor: AtomicU32::new(0),
            }),
        }
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

/// The bound of steps ran out because other threads were faster.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutOfTurns;

/// All slots of all grants.
pub struct Grants {
    segments: Table<Segment>,
    /// `pops | first free segment + 1`.
    free: AtomicU64,
    fresh: AtomicU32,
}

impl Segment {
    /// Whose grants these are.
    #[inline]
    pub fn owner(&self) -> Owner {
        // Acquire: pairs with the Release in `give`; the slots are free for the owner seen.
        Owner(self.owner.load(Ordering::Acquire))
    }

    /// Gives a segment that the caller holds alone to another owner.
    fn give(&self, owner: Owner) {
        // Release: pairs with the Acquire in `owner`.
        self.owner.store(owner.0, Ordering::Release);
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
        SlotWord(self.words.0[lane as usize].load(Ordering::Acquire))
    }

    /// Word and recency of a slot, as a scan for victims sees them.
    #[inline]
    pub fn look(&self, lane: u32) -> (SlotWord, u64) {
        // Relaxed: recency is a hint for the choice of victims and orders nothing.
        (self.word(lane), self.recency[lane as usize].load(Ordering::Relaxed))
    }

    /// Plain store by the one thread that holds the slot.
    #[inline]
    fn set_word(&self, lane: u32, word: SlotWord) {
        // Release: pairs with the Acquire in `word` and `exchange`; publishes the fields.
        self.words.0[lane as usize].store(word.0, Ordering::Release);
    }

    #[inline]
    fn exchange(&self, lane: u32, from: SlotWord, to: SlotWord) -> bool {
        // AcqRel: Acquire pairs with the Release in `set_word`, so the holder may write the fields
        // after everybody who held the slot before; Release orders what the caller did first (the
        // count of bytes on their way, above all) before the new state is seen.
        // Relaxed on failure: the word is read again.
        let (success, failure) = (Ordering::AcqRel, Ordering::Relaxed);
        self.words.0[lane as usize].compare_exchange(from.0, to.0, success, failure).is_ok()
    }

    #[inline]
    fn generation(&self, lane: u32) -> u32 {
        // Relaxed: ordered by the word, which was acquired; compared again once the slot is held.
        self.details[lane as usize].generation.load(Ordering::Relaxed)
    }

    fn flags(&self, lane: u32) -> u32 {
        // Relaxed: ordered by the word, as for `generation`.
        self.details[lane as usize].flags.load(Ordering::Relaxed)
    }

    fn fields(&self, lane: u32) -> Fields {
        let details = &self.details[lane as usize];
        // Relaxed: ordered by the word, which was acquired; exact for whoever holds the slot, a
        // hint for a scanner.
        let order = Ordering::Relaxed;
        Fields {
            key: details.key.load(order),
            cookie: details.cookie.load(order),
            expires_ns: details.expires_ns.load(order),
            keep_until_ns: details.keep_until_ns.load(order),
            flags: details.flags.load(order),
        }
    }

    #[inline]
    fn set_fields(&self, lane: u32, fields: &Fields) {
        let details = &self.details[lane as usize];
        // Relaxed: published by the store of the word that follows.
        let order = Ordering::Relaxed;
        details.key.store(fields.key, order);
        details.cookie.store(fields.cookie, order);
        details.expires_ns.store(fields.expires_ns, order);
        details.keep_until_ns.store(fields.keep_until_ns, order);
        details.flags.store(fields.flags, order);
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

/// Segment and lane of a slot.
#[inline]
fn place(slot: u32) -> (u32, u32) {
    (slot / SLOTS, slot % SLOTS)
}

impl Grants {
    /// Room for `segments_max` segments.
    pub fn new(segments_max: u32) -> Self {
        let segments = Table::new(segments_max as usize);
        Self { segments, free: AtomicU64::new(0), fresh: AtomicU32::new(0) }
    }

    /// The segment at `index`.
    #[inline]
    pub fn segment(&self, index: u32) -> &Segment {
        &self.segments[index]
    }

    /// Whether `slot` exists at all.
    #[inline]
    pub fn contains(&self, slot: u32) -> bool {
        slot / SLOTS < self.segments.capacity()
    }

    /// Whose slot it is.
    #[inline]
    pub fn owner(&self, slot: u32) -> Owner {
        self.segments[slot / SLOTS].owner()
    }

    /// Segments that were ever in use.
    pub fn segments_seen(&self) -> u32 {
        // Relaxed: a statistic.
        self.fresh.load(Ordering::Relaxed).min(self.segments.capacity())
    }

    /// The word of a slot, for a look without a hold.
    #[inline]
    pub fn word(&self, slot: u32) -> SlotWord {
        let (segment, lane) = place(slot);
        self.segments[segment].word(lane)
    }

    /// The full generation, exact only while the slot is held or its word unchanged.
    #[inline]
    pub fn generation(&self, slot: u32) -> u32 {
        let (segment, lane) = place(slot);
        self.segments[segment].generation(lane)
    }

    /// The fields of a slot: exact for whoever holds it, else a hint.
    pub fn fields(&self, slot: u32) -> Fields {
        let (segment, lane) = place(slot);
        self.segments[segment].fields(lane)
    }

    /// Recency of a slot: last touch and frequency, packed by `policy.rs`.
    #[inline]
    pub fn recency(&self, slot: u32) -> u64 {
        let (segment, lane) = place(slot);
        // Relaxed: recency is a hint for the choice of victims and orders nothing.
        self.segments[segment].recency[lane as usize].load(Ordering::Relaxed)
    }

    /// Stores the recency of a slot; racing touches may lose one another.
    #[inline]
    pub fn set_recency(&self, slot: u32, recency: u64) {
        let (segment, lane) = place(slot);
        // Relaxed: as in `recency`.
        self.segments[segment].recency[lane as usize].store(recency, Ordering::Relaxed);
    }

    /// Takes a free slot of `owner`'s for the caller alone.
    #[inline]
    pub fn reserve(&self, slot: u32, owner: Owner) -> bool {
        let (segment, lane) = place(slot);
        let segment = &self.segments[segment];
        let word = segment.word(lane);
        if word.state() != State::Free
            || segment.generation(lane) == u32::MAX
            || !segment.exchange(lane, word, word.with_state(State::Reserved))
        {
            return false;
        }
        // The segment may have changed hands before the exchange, never after it.
        if segment.owner() != owner {
            segment.set_word(lane, word);
            return false;
        }
        true
    }

    /// Frees a reserved slot again.
    pub fn unreserve(&self, slot: u32) {
        let (segment, lane) = place(slot);
        let segment = &self.segments[segment];
        let word = segment.word(lane);
        debug_assert_eq!(word.state(), State::Reserved);
        segment.set_word(lane, word.with_state(State::Free));
    }

    /// Makes a reserved slot a live grant of the next generation, which it answers.
    #[inline]
    pub fn publish(&self, slot: u32, bytes: u64, recency: u64, fields: &Fields) -> u32 {
        let (segment, lane) = place(slot);
        let segment = &self.segments[segment];
        let generation = segment.generation(lane) + 1;
        // Relaxed: published by the store of the word below.
        segment.details[lane as usize].generation.store(generation, Ordering::Relaxed);
        segment.set_fields(lane, fields);
        self.set_recency(slot, recency);
        let word = SlotWord::new(State::Live, generation, bytes);
        segment.set_word(lane, word.with_special(fields.special()));
        generation
    }

    /// Whether the slot now shows this generation of this owner's grant, live.
    #[inline]
    pub fn is_live(&self, slot: u32, generation: u32, owner: Owner) -> bool {
        let (segment, lane) = place(slot);
        let segment = &self.segments[segment];
        segment.word(lane).state() == State::Live
            && segment.generation(lane) == generation
            && segment.owner() == owner
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
        let segment = &self.segments[index];
        for _ in 0..HOLD_TURNS_MAX {
            let word = segment.word(lane);
            let ours = |s: &Segment| s.generation(lane) == generation && s.owner() == owner;
            if !word.may_be(generation) || !ours(segment) {
                return Err(Refused::Stale);
            }
            match word.state() {
                State::Live => {}
                State::Evicting | State::Deferred if to_end => {}
                State::Evicting | State::Deferred | State::Ending => return Err(Refused::Evicted),
                State::Free if segment.flags(lane) & flag::EVICTED != 0 => {
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
        self.segments[segment].set_word(lane, held.word.with_bytes(bytes));
    }

    /// Lets a held grant go with other fields.
    pub fn let_go_with(&self, held: Held, fields: &Fields) {
        let (segment, lane) = place(held.slot);
        self.segments[segment].set_fields(lane, fields);
        self.segments[segment].set_word(lane, held.word.with_special(fields.special()));
    }

    /// Ends a held grant; the caller takes its bytes out of use.
    #[inline]
    pub fn end(&self, held: Held) -> Ended {
        let (segment, lane) = place(held.slot);
        let segment = &self.segments[segment];
        if held.word.state() == State::Evicting {
            segment.set_word(lane, held.word.with_state(State::Gone));
            return Ended::WhileEvicting;
        }
        // Relaxed: written by the evictor before the word was acquired.
        let evictor = segment.details[lane as usize].evictor.load(Ordering::Relaxed);
        segment.set_word(lane, held.word.with_state(State::Free).with_bytes(0));
        match held.word.state() {
            State::Deferred => Ended::Deferred { evictor },
            _ => Ended::Free,
        }
    }

    /// Makes a held grant live again if it was deferred; answers the account that was short.
    /// Otherwise lets it go as it was.
    pub fn keep_deferred(&self, held: Held, keep_until_ns: u64) -> Option<u32> {
        let (segment, lane) = place(held.slot);
        let segment = &self.segments[segment];
        if held.word.state() != State::Deferred {
            segment.set_word(lane, held.word);
            return None;
        }
        let details = &segment.details[lane as usize];
        // Relaxed: written by the evictor before the word was acquired; published by the store of
        // the word below.
        let order = Ordering::Relaxed;
        let evictor = details.evictor.load(order);
        let keep = details.keep_until_ns.load(order).max(keep_until_ns);
        details.keep_until_ns.store(keep, order);
        segment.set_word(lane, held.word.with_state(State::Live).with_special(true));
        Some(evictor)
    }

    /// Claims a live grant as a victim if its word is still the one seen.
    pub fn claim_victim(&self, slot: u32, seen: SlotWord) -> Option<Victim> {
        let (index, lane) = place(slot);
        let segment = &self.segments[index];
        if seen.state() != State::Live
            || !segment.exchange(lane, seen, seen.with_state(State::Evicting))
        {
            return None;
        }
        Some(Victim {
            slot,
            generation: segment.generation(lane),
            owner: segment.owner(),
            bytes: seen.bytes(),
            fields: segment.fields(lane),
        })
    }

    /// Ends a victim for good, unless its owner was faster.
    pub fn settle_freed(&self, victim: &Victim) -> Settled {
        self.settle(victim, State::Ending, false, |segment, lane, word| {
            let flags = segment.flags(lane) | flag::EVICTED;
            // Relaxed: published by the store of the word below.
            segment.details[lane as usize].flags.store(flags, Ordering::Relaxed);
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
        self.segments[segment].details[lane as usize].keep_until_ns.store(keep, order);
        self.settle(victim, State::Live, true, |_, _, _| Settled::Kept)
    }

    /// Leaves a victim to its owner, who will release it on behalf of account `evictor`.
    pub fn settle_deferred(&self, victim: &Victim, evictor: u32) -> Settled {
        let (segment, lane) = place(victim.slot);
        // Relaxed: published by the exchange that follows; the slot is pinned to this evictor.
        let order = Ordering::Relaxed;
        self.segments[segment].details[lane as usize].evictor.store(evictor, order);
        self.settle(victim, State::Deferred, true, |_, _, _| Settled::Kept)
    }

    /// Moves an evicted slot on. Its owner may hold it for the few instructions of a release;
    /// this waits for them, which only an evictor ever does.
    fn settle(
        &self,
        victim: &Victim,
        to: State,
        special: bool,
        then: impl FnOnce(&Segment, u32, SlotWord) -> Settled,
    ) -> Settled {
        let (segment, lane) = place(victim.slot);
        let segment = &self.segments[segment];
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

    /// A segment nobody owns, given to `owner`; nothing if all are taken, or if the bound of
    /// steps ran out (then `Err`).
    pub fn take_segment(&self, owner: Owner) -> Result<Option<u32>, OutOfTurns> {
        let taken = match self.pop_free()? {
            Some(index) => Some(index),
            None => self.take_fresh()?,
        };
        if let Some(index) = taken {
            let segment = &self.segments[index];
            // Relaxed: published by the store of the owner.
            segment.begun.store(segment.generations(), Ordering::Relaxed);
            segment.give(owner);
        }
        Ok(taken)
    }

    fn pop_free(&self) -> Result<Option<u32>, OutOfTurns> {
        for _ in 0..SEGMENT_TURNS_MAX {
            // Acquire: pairs with the Release in `push_free`; the link below belongs to the head.
            let head = self.free.load(Ordering::Acquire);
            let Some(index) = (head as u32).checked_sub(1) else { return Ok(None) };
            let next = self.segments[index].next().map_or(0, |n| u64::from(n) + 1);
            // The count of pops in the high half forbids a head that left and came back.
            let popped = ((head >> 32).wrapping_add(1) << 32) | next;
            // AcqRel: Acquire as above; Release keeps the chain of pushes acquired by later pops.
            // Relaxed on failure: read again.
            let (success, failure) = (Ordering::AcqRel, Ordering::Relaxed);
            if self.free.compare_exchange(head, popped, success, failure).is_ok() {
                return Ok(Some(index));
            }
        }
        Err(OutOfTurns)
    }

    fn take_fresh(&self) -> Result<Option<u32>, OutOfTurns> {
        for _ in 0..SEGMENT_TURNS_MAX {
            // Relaxed: a count of cells never used; their content is all zero for everybody.
            let index = self.fresh.load(Ordering::Relaxed);
            if index >= self.segments.capacity() {
                return Ok(None);
            }
            // Relaxed: as above, on success and failure.
            let order = Ordering::Relaxed;
            if self.fresh.compare_exchange(index, index + 1, order, order).is_ok() {
                return Ok(Some(index));
            }
        }
        Err(OutOfTurns)
    }

    /// Takes an unlinked segment from its owner, if all its slots are free; the grants published
    /// in it are answered, for the statistics. The caller is the only one who unlinks.
    pub fn retire_segment(&self, index: u32) -> Option<u64> {
        let segment = &self.segments[index];
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

    /// Frees the slots of a retired, unlinked segment and offers it to everybody.
    pub fn recycle_segment(&self, index: u32) {
        let segment = &self.segments[index];
        segment.give(Owner::NOBODY);
        (0..SLOTS).for_each(|lane| self.unreserve(index * SLOTS + lane));
        loop {
            // Relaxed: only a guess; the exchange decides.
            let head = self.free.load(Ordering::Relaxed);
            segment.set_next((head as u32).checked_sub(1));
            let pushed = (head >> 32 << 32) | (u64::from(index) + 1);
            // Release: pairs with the Acquire in `pop_free`; the link is written before.
            // Relaxed on failure: read again.
            let (success, failure) = (Ordering::Release, Ordering::Relaxed);
            if self.free.compare_exchange(head, pushed, success, failure).is_ok() {
                return;
            }
        }
    }

    /// Makes a slot unusable by later grants until it is back from `retire_segment`; undoes it.
    pub fn unretire_segment(&self, index: u32) {
        (0..SLOTS).for_each(|lane| self.unreserve(index * SLOTS + lane));
    }
}
