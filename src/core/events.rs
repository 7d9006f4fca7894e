//! What happened, as records of fixed size, and the ring that keeps the last of them.
//!
//! An event is eight words: the stamp of its ring cell, which holds its sequence number, and seven
//! words laid out as follows (least significant bits on the right):
//!
//! ```text
//! word 0   time_ns:64
//! word 1   account:32 | allocation_type:8 | to:8 | from:8 | kind:8
//! word 2   grant:64
//! word 3   bytes:64
//! word 4   detail:64
//! word 5   used_bytes:64
//! word 6   zero:24 | cost:32 | reason:8
//! ```
//!
//! What the fields of a kind mean, where it is more than their names say:
//!
//! | kind | fields |
//! |---|---|
//! | `Denied` | `detail`: bytes short; `grant`: the ticket, if it has waited |
//! | `Registered`, `LimitsChanged` | `detail`: number of its configuration in `details.rs` |
//! | `Unregistered` | `to`: how |
//! | `Queued`, `Withdrawn` | `grant`: the ticket |
//! | `Taken` | `grant`: the ticket; `detail`: the grant |
//! | `ReclaimAnswered` | `to`: 1 busy, 2 deferred or handed out to be polled |
//! | `Emergency` | `to`: the verb; `bytes`: what came of it |
//! | `Asked` | `from`: the verb; `to`: flags; `grant`: the content's key, of a growth the grant; \
//! `detail`: time to live in ns; `used_bytes`: longest wait in ns, or the place in a batch |
//! | `Intended` | what the next `Asked` of that tenant means to do: `grant`: ns it will hold; \
//! `bytes`: bytes it will grow by, `detail`: at each step, `used_bytes`: ns between two steps |
//! | `Pinned` | `to`: 1 pinned, 0 not any more |
//! | `KeptAlive` | `detail`: for how many ns |
//! | `Balanced` | `to`: 1 if it may evict |
//! | `PressureReported` | `to`: the level |
//! | `Measured` | `to`: 0 if it is not measured any more |
//! | `Polled` | `grant`: the ticket |
//! | `Tried` | `detail`: number of its configuration in `details.rs`; `to`: 1 if it is registered |
//!
//! The last nine rows, and `Touched`, `Committed` and `Declined`, are *calls*: what was
//! asked for, so that a recording can be replayed. They are recorded only where that is wanted.
//!
//! A ring may keep *room* for records (`credit.rs`): then nothing is overwritten that its one
//! keeper has not read. Without, the keeper may fall behind, and events are lost (`loss.rs`).
//!
//! Invariants:
//!
//! ```text
//! E1  decode(sequence, encode(e)) = e with that sequence
//! E2  decode(words) = None unless kind is known and the spare bits are zero
//! E3  size of an event in the ring = 64 bytes
//! E4  with room kept: a record that was pushed is overwritten only after its credit came back
//! ```

use super::credit::{Credits, NoRoom};
use super::loss::Losses;
use super::ring::{Cursor, Read, Record, Ring};
use super::sync::{AtomicU64, Ordering};
use super::word::Owner;

/// Records of a request that is granted: that it was, and later that the grant has ended.
pub const GRANT_RECORDS: u64 = 2;

/// Words of an event besides the stamp of its cell.
pub const EVENT_WORDS: usize = 7;

const KIND_BITS: u32 = 8;
const FROM_BITS: u32 = 8;
const TO_BITS: u32 = 8;
const ALLOCATION_TYPE_BITS: u32 = 8;
const ACCOUNT_BITS: u32 = 32;
const REASON_BITS: u32 = 8;
const COST_BITS: u32 = 32;

const FROM_SHIFT: u32 = KIND_BITS;
const TO_SHIFT: u32 = FROM_SHIFT + FROM_BITS;
const ALLOCATION_TYPE_SHIFT: u32 = TO_SHIFT + TO_BITS;
const ACCOUNT_SHIFT: u32 = ALLOCATION_TYPE_SHIFT + ALLOCATION_TYPE_BITS;

const _: () = assert!(ACCOUNT_SHIFT + ACCOUNT_BITS == u64::BITS);
const COST_SHIFT: u32 = REASON_BITS;
const LAST_BITS: u32 = REASON_BITS + COST_BITS;

const _: () = assert!(LAST_BITS <= u64::BITS);
const _: () = assert!((EVENT_WORDS + 1) * size_of::<u64>() == 64);

/// What kind of thing happened. Codes are never reused; 0 is no kind, so that an empty record is
/// not an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum EventKind {
    /// A request was granted.
    Granted = 1,
    /// A request was denied; `reason` says which check.
    Denied = 2,
    /// A grant grew by `bytes`.
    Grown = 3,
    /// A grant shrank by `bytes`.
    Shrunk = 4,
    /// A grant was released by its owner.
    Released = 5,
    /// A grant was taken back.
    Evicted = 6,
    /// An account was registered.
    Registered = 7,
    /// An account was unregistered.
    Unregistered = 8,
    /// The limits of an account were changed.
    LimitsChanged = 9,
    /// Pressure went from level `from` to level `to`.
    PressureChanged = 10,
    /// The capacity was changed to `bytes`.
    CapacityChanged = 11,
    /// A reservation ran out before it was used.
    ReservationExpired = 12,
    /// A grant was still held when its owner was gone.
    Leak = 13,
    /// The owner of a grant was asked for it and did not answer in time.
    ReclaimTimedOut = 14,
    /// The owner of a grant was asked for it and panicked.
    ReclaimPanicked = 15,
    /// Memory that was said to be freed was not seen to be: `bytes` are still measured, of the
    /// tenant or, for account 0, of the process.
    FreedNotSeen = 16,
    /// A call: memory was asked for; the answer is a record of its own.
    Asked = 17,
    /// A call: what the caller means to do with what it asks for next.
    Intended = 18,
    /// A call: the content of a grant was used.
    Touched = 19,
    /// A call: a grant was pinned, or not any more.
    Pinned = 20,
    /// A call: a grant is kept alive for a while.
    KeptAlive = 21,
    /// A call: a reservation was made a grant.
    Committed = 22,
    /// A call: an owner keeps a grant it was asked to free.
    Declined = 23,
    /// A call: the balancer takes a step.
    Balanced = 24,
    /// A call: somebody said how short the machine is.
    PressureReported = 25,
    /// A call: what a tenant (or, account 0, the process) was measured to use.
    Measured = 26,
    /// A request stands in line.
    Queued = 27,
    /// A request that stood in line was given up by its owner.
    Withdrawn = 28,
    /// The answer to a request that has waited was taken by its owner.
    Taken = 29,
    /// The owner of a grant was asked for it and keeps it: it is busy, or will release it later.
    ReclaimAnswered = 30,
    /// Somebody used a verb of an emergency.
    Emergency = 31,
    /// A call: the owner of a request in line asked for its answer, and there is one.
    Polled = 32,
    /// A call: somebody was to be registered or configured so, and it was refused with claim
    /// collected for it.
    Tried = 33,
}

/// Which verb an [`EventKind::Asked`] came by. Codes are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Verb {
    /// `try_request`.
    TryRequest = 1,
    /// `request`.
    Request = 2,
    /// `reserve`.
    Reserve = 3,
    /// `request_all`.
    RequestAll = 4,
    /// `enqueue`, `acquire`.
    Enqueue = 5,
    /// `request_or_enqueue_owned`.
    RequestOrEnqueue = 6,
    /// `grow`.
    Grow = 7,
    /// `grow_evicting`.
    GrowEvicting = 8,
    /// `evict_for`.
    EvictFor = 9,
}

impl Verb {
    /// All verbs, in the order of their codes.
    pub const ALL: [Self; 9] = [
        Self::TryRequest,
        Self::Request,
        Self::Reserve,
        Self::RequestAll,
        Self::Enqueue,
        Self::RequestOrEnqueue,
        Self::Grow,
        Self::GrowEvicting,
        Self::EvictFor,
    ];

    /// The verb of a code, if there is one.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code).checked_sub(1)?).copied()
    }
}

/// Flags of an [`EventKind::Asked`].
pub mod asked {
    /// It is pinned from the start.
    pub const PINNED: u8 = 1;
    /// A loaded model that may be evicted.
    pub const EVICTABLE: u8 = 2;
    /// It has a time to live.
    pub const TIMED: u8 = 4;
}

/// How a grant ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Its owner released it.
    Released,
    /// It was evicted.
    Evicted,
    /// It was a reservation that nobody committed in time.
    Expired,
    /// Administration ended it: its tenant was unregistered by force.
    Forced,
}

/// Who is told what becomes of grants, where events are recorded: by slot and generation, and by
/// the thread that has decided it.
///
/// ```text
/// E5  bytes that were told of, in the order of the telling, add up to at most what was in use
/// E6  of one grant: granted, then grown and shrunk, then ended, once
/// ```
///
/// Both follow from the moment of the telling: after bytes came into use and before anybody can
/// know the grant, or that it has grown; after it is decided that they leave, and before they do.
/// Must not block, and must not call the core's verbs.
pub trait Observer {
    /// A request was granted.
    fn granted(&self, owner: Owner, grant: (u32, u32), bytes: u64);
    /// A grant has so many bytes more.
    fn grown(&self, owner: Owner, grant: (u32, u32), bytes: u64);
    /// A grant has so many bytes less.
    fn shrunk(&self, owner: Owner, grant: (u32, u32), bytes: u64);
    /// A grant of so many bytes has ended.
    fn ended(&self, owner: Owner, grant: (u32, u32), bytes: u64, end: End);
}

/// Takes note of nothing.
pub struct Nobody;

impl Observer for Nobody {
    fn granted(&self, _: Owner, _: (u32, u32), _: u64) {}
    fn grown(&self, _: Owner, _: (u32, u32), _: u64) {}
    fn shrunk(&self, _: Owner, _: (u32, u32), _: u64) {}
    fn ended(&self, _: Owner, _: (u32, u32), _: u64, _: End) {}
}

/// One event. Fields that mean nothing for a kind are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its place among all events. The ring assigns it: what a pusher puts here is not used.
    pub sequence: u64,
    /// When, in nanoseconds of the governor's clock.
    pub time_ns: u64,
    /// What.
    pub kind: EventKind,
    /// The state before, for changes of state.
    pub from: u8,
    /// The state after, for changes of state.
    pub to: u8,
    /// The index of the account concerned; 0, the pool's, also for a request of a tenant that is
    /// gone and whose slot another one has.
    pub account: u32,
    /// The code of the allocation type.
    pub allocation_type: u8,
    /// The code of the reason, for denials and evictions.
    pub reason: u8,
    /// What it costs to rebuild the content, of an [`EventKind::Asked`].
    pub cost: u32,
    /// The id of the grant concerned.
    pub grant: u64,
    /// The bytes that were asked for, granted, released ...
    pub bytes: u64,
    /// One more number, by kind.
    pub detail: u64,
    /// What the account used when the event was recorded: with the bytes that come by it, without
    /// those that leave.
    pub used_bytes: u64,
}

/// Which events are recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// The last so many are kept; 0: none are. A power of two.
    pub capacity: u32,
    /// Calls as well.
    pub calls: bool,
    /// Room is kept: what has none is not done.
    pub with_room: bool,
}

/// The last events of a governor: [`Ring`] with events in it.
pub struct Events {
    ring: Ring<EVENT_WORDS>,
    calls: bool,
    /// Room in the ring, where that is kept.
    credits: Option<Credits>,
    /// Events that were not recorded because there was no room.
    losses: Losses,
    /// Requests denied because their records had no room, and their bytes.
    refused: [AtomicU64; 2],
}

impl EventKind {
    /// All kinds, in the order of their codes.
    pub const ALL: [Self; 33] = [
        Self::Granted,
        Self::Denied,
        Self::Grown,
        Self::Shrunk,
        Self::Released,
        Self::Evicted,
        Self::Registered,
        Self::Unregistered,
        Self::LimitsChanged,
        Self::PressureChanged,
        Self::CapacityChanged,
        Self::ReservationExpired,
        Self::Leak,
        Self::ReclaimTimedOut,
        Self::ReclaimPanicked,
        Self::FreedNotSeen,
        Self::Asked,
        Self::Intended,
        Self::Touched,
        Self::Pinned,
        Self::KeptAlive,
        Self::Committed,
        Self::Declined,
        Self::Balanced,
        Self::PressureReported,
        Self::Measured,
        Self::Queued,
        Self::Withdrawn,
        Self::Taken,
        Self::ReclaimAnswered,
        Self::Emergency,
        Self::Polled,
        Self::Tried,
    ];

    /// Its number in records and in the C interface.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Whether it tells who is there, under which limits: rare, and needed to understand the rest.
    const fn is_administration(self) -> bool {
        matches!(
            self,
            Self::Registered
                | Self::Unregistered
                | Self::LimitsChanged
                | Self::CapacityChanged
                | Self::Tried
                | Self::Emergency
        )
    }

    /// The kind of a code, if there is one.
    pub fn from_code(code: u8) -> Option<Self> {
        let kind = *Self::ALL.get(usize::from(code).checked_sub(1)?)?;
        debug_assert_eq!(kind.code(), code);
        Some(kind)
    }
}

impl Event {
    /// An event of a kind at a time; everything else is zero, to be filled in with `..`.
    pub const fn new(kind: EventKind, time_ns: u64) -> Self {
        Self {
            sequence: 0,
            time_ns,
            kind,
            from: 0,
            to: 0,
            account: 0,
            allocation_type: 0,
            reason: 0,
            cost: 0,
            grant: 0,
            bytes: 0,
            detail: 0,
            used_bytes: 0,
        }
    }

    /// The words of a record. The sequence number is not among them: it is the cell's stamp.
    #[inline]
    pub const fn encode(&self) -> [u64; EVENT_WORDS] {
        let subject = self.kind.code() as u64
            | (self.from as u64) << FROM_SHIFT
            | (self.to as u64) << TO_SHIFT
            | (self.allocation_type as u64) << ALLOCATION_TYPE_SHIFT
            | (self.account as u64) << ACCOUNT_SHIFT;
        let last = self.reason as u64 | (self.cost as u64) << COST_SHIFT;
        [self.time_ns, subject, self.grant, self.bytes, self.detail, self.used_bytes, last]
    }

    /// The event of a record; `None` if these words are not those of an event.
    #[inline]
    pub fn decode(sequence: u64, words: &[u64; EVENT_WORDS]) -> Option<Self> {
        let [time_ns, subject, grant, bytes, detail, used_bytes, last] = *words;
        if last >> LAST_BITS != 0 {
            return None;
        }
        Some(Self {
            sequence,
            time_ns,
            kind: EventKind::from_code(subject as u8)?,
            from: (subject >> FROM_SHIFT) as u8,
            to: (subject >> TO_SHIFT) as u8,
            account: (subject >> ACCOUNT_SHIFT) as u32,
            allocation_type: (subject >> ALLOCATION_TYPE_SHIFT) as u8,
            reason: last as u8,
            cost: (last >> COST_SHIFT) as u32,
            grant,
            bytes,
            detail,
            used_bytes,
        })
    }
}

impl Events {
    /// Keeps the events of these kinds; where none are kept a push costs one branch.
    ///
    /// # Panics
    ///
    /// If the capacity is neither zero nor a power of two.
    pub fn new(recorded: Recorded) -> Self {
        let Recorded { capacity, calls, with_room } = recorded;
        Self {
            ring: Ring::new(capacity),
            calls: calls && capacity > 0,
            credits: (with_room && capacity > 0).then(|| Credits::new(capacity.into())),
            losses: Losses::new(),
            refused: [AtomicU64::new(0), AtomicU64::new(0)],
        }
    }

    /// Whether events are kept at all: a caller may then spare itself making them.
    #[inline]
    pub fn is_enabled(&self) -> bool {
        self.ring.capacity() != 0
    }

    /// Whether nothing has to be done before a verb: no calls are recorded, no room is kept.
    #[inline]
    pub fn is_plain(&self) -> bool {
        !self.calls && self.credits.is_none()
    }

    /// Whether calls are recorded, too.
    #[inline]
    pub fn has_calls(&self) -> bool {
        self.calls
    }

    /// Whether room is kept for records.
    #[inline]
    pub fn has_room_kept(&self) -> bool {
        self.credits.is_some()
    }

    /// Takes room for so many records, where room is kept. Whoever has it pushes that many or gives
    /// the rest back. Bounded: at most [`super::credit::TAKE_TURNS_MAX`] read-modify-writes.
    #[inline]
    pub fn take_room(&self, records: u64) -> Result<(), NoRoom> {
        match &self.credits {
            None => Ok(()),
            Some(credits) => credits.take(records),
        }
    }

    /// Gives room back: it was not needed, or its record has been read for good. Wait-free.
    #[inline]
    pub fn give_room(&self, records: u64) {
        if let Some(credits) = &self.credits {
            credits.give(records);
        }
    }

    /// Room that nobody has taken; none where no room is kept.
    pub fn free_room(&self) -> Option<u64> {
        self.credits.as_ref().map(Credits::free)
    }

    /// Records an event for which nobody has taken room: what cannot be denied, and moves no bytes.
    /// Without room it is counted as skipped.
    pub fn push_if_room(&self, event: &Event) {
        match self.take_room(1) {
            Ok(()) => {
                self.push(event);
            }
            Err(_) => self.note_lost(event.account),
        }
    }

    /// Counts an event that had no room and could not be denied.
    pub fn note_lost(&self, account: u32) {
        self.losses.count(account);
    }

    /// The one keeper, to whom events may be lost, has read up to a sequence number: a ring that
    /// is full of what it has not read takes no more but administration. Not where room is kept.
    pub fn keep_after(&self, next: u64) {
        if self.credits.is_none() {
            self.losses.keep_after(next, self.capacity().into());
        }
    }

    /// There is no such keeper any more.
    pub fn keep_nothing(&self) {
        self.losses.keep_nothing();
    }

    /// Counts a request that is denied because its record has no room.
    pub fn count_refused(&self, bytes: u64) {
        let [count, sum] = &self.refused;
        // Relaxed: statistics, taken together only roughly.
        count.fetch_add(1, Ordering::Relaxed);
        // Relaxed: as above.
        sum.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Events that were not recorded so far.
    pub fn lost(&self) -> u64 {
        self.losses.total()
    }

    /// Takes the count of those since the last time. For the one keeper.
    pub fn take_lost(&self) -> u64 {
        self.losses.take()
    }

    /// Takes the count of refused requests since the last time, and their bytes.
    pub fn take_refused(&self) -> [u64; 2] {
        // Relaxed: statistics.
        [0, 1].map(|at: usize| self.refused[at].swap(0, Ordering::Relaxed))
    }

    /// Records an event and answers the sequence number it was given; `None` if it was dropped, or
    /// lost because its keeper is too far behind.
    ///
    /// Wait-free; see [`Ring::push`] for the cost.
    #[inline]
    pub fn push(&self, event: &Event) -> Option<u64> {
        if !self.is_enabled() {
            return None;
        }
        if !event.kind.is_administration() && self.is_lost(event.account) {
            return None;
        }
        self.ring.push(&event.encode())
    }

    /// Whether the next event is lost, of anything but administration, which is counted then: a
    /// caller may so spare itself making it.
    #[inline]
    pub fn is_lost(&self, account: u32) -> bool {
        let is_lost = self.losses.are_due(self.ring.pushed());
        if is_lost {
            self.note_lost(account);
        }
        is_lost
    }

    /// Reads on at the cursor and moves it. Wait-free; see [`Ring::read`].
    pub fn read(&self, cursor: &mut Cursor) -> Read<Event> {
        match self.ring.read(cursor) {
            Read::Event(Record { sequence, words }) => match Event::decode(sequence, &words) {
                Some(event) => Read::Event(event),
                // Only events are pushed, so this does not happen; a count is better than a panic.
                None => Read::Lost(1),
            },
            Read::Lost(count) => Read::Lost(count),
            Read::Empty => Read::Empty,
        }
    }

    /// The words of the next record, as [`Self::read`] would decode them.
    pub fn read_words(&self, cursor: &mut Cursor) -> Read<Record<EVENT_WORDS>> {
        self.ring.read(cursor)
    }

    /// How many events are kept.
    pub fn capacity(&self) -> u32 {
        self.ring.capacity()
    }

    /// A cursor at the end: it reads what is recorded from now on.
    pub fn end(&self) -> Cursor {
        self.ring.end()
    }

    /// How many events were recorded, dropped ones included: the next sequence number.
    pub fn pushed(&self) -> u64 {
        self.ring.pushed()
    }

    /// How many events were dropped because a slow writer held their place.
    pub fn dropped(&self) -> u64 {
        self.ring.dropped()
    }

    /// Bytes reserved for events.
    pub fn tracking_bytes(&self) -> u64 {
        self.ring.tracking_bytes()
    }
}
