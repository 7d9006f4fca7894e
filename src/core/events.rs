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
//! word 6   zero:56 | reason:8
//! ```
//!
//! Invariants:
//!
//! ```text
//! E1  decode(sequence, encode(e)) = e with that sequence
//! E2  decode(words) = None unless kind is known and the spare bits are zero
//! E3  size of an event in the ring = 64 bytes
//! ```

use super::ring::{Cursor, Read, Record, Ring};

/// Words of an event besides the stamp of its cell.
pub const EVENT_WORDS: usize = 7;

const KIND_BITS: u32 = 8;
const FROM_BITS: u32 = 8;
const TO_BITS: u32 = 8;
const ALLOCATION_TYPE_BITS: u32 = 8;
const ACCOUNT_BITS: u32 = 32;
const REASON_BITS: u32 = 8;

const FROM_SHIFT: u32 = KIND_BITS;
const TO_SHIFT: u32 = FROM_SHIFT + FROM_BITS;
const ALLOCATION_TYPE_SHIFT: u32 = TO_SHIFT + TO_BITS;
const ACCOUNT_SHIFT: u32 = ALLOCATION_TYPE_SHIFT + ALLOCATION_TYPE_BITS;

const _: () = assert!(ACCOUNT_SHIFT + ACCOUNT_BITS == u64::BITS);
const _: () = assert!(REASON_BITS <= u64::BITS);
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
    /// The index of the account concerned.
    pub account: u32,
    /// The code of the allocation type.
    pub allocation_type: u8,
    /// The code of the reason, for denials and evictions.
    pub reason: u8,
    /// The id of the grant concerned.
    pub grant: u64,
    /// The bytes that were asked for, granted, released ...
    pub bytes: u64,
    /// One more number, by kind.
    pub detail: u64,
    /// What the account used when the event was recorded.
    pub used_bytes: u64,
}

/// The last events of a governor: [`Ring`] with events in it.
pub struct Events {
    ring: Ring<EVENT_WORDS>,
}

impl EventKind {
    /// All kinds, in the order of their codes.
    pub const ALL: [Self; 16] = [
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
    ];

    /// Its number in records and in the C interface.
    pub const fn code(self) -> u8 {
        self as u8
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
        let reason = self.reason as u64;
        [self.time_ns, subject, self.grant, self.bytes, self.detail, self.used_bytes, reason]
    }

    /// The event of a record; `None` if these words are not those of an event.
    #[inline]
    pub fn decode(sequence: u64, words: &[u64; EVENT_WORDS]) -> Option<Self> {
        let [time_ns, subject, grant, bytes, detail, used_bytes, reason] = *words;
        Some(Self {
            sequence,
            time_ns,
            kind: EventKind::from_code(subject as u8)?,
            from: (subject >> FROM_SHIFT) as u8,
            to: (subject >> TO_SHIFT) as u8,
            account: (subject >> ACCOUNT_SHIFT) as u32,
            allocation_type: (subject >> ALLOCATION_TYPE_SHIFT) as u8,
            reason: u8::try_from(reason).ok()?,
            grant,
            bytes,
            detail,
            used_bytes,
        })
    }
}

impl Events {
    /// Room for the last `capacity` events; 0 keeps none, and a push then costs one branch.
    ///
    /// # Panics
    ///
    /// If `capacity` is neither zero nor a power of two.
    pub fn new(capacity: u32) -> Self {
        Self { ring: Ring::new(capacity) }
    }

    /// Whether events are kept at all: a caller may then spare itself making them.
    #[inline]
    pub fn is_enabled(&self) -> bool {
        self.ring.capacity() != 0
    }

    /// Records an event and answers the sequence number it was given; `None` if it was dropped.
    ///
    /// Wait-free; see [`Ring::push`] for the cost.
    #[inline]
    pub fn push(&self, event: &Event) -> Option<u64> {
        if self.is_enabled() { self.ring.push(&event.encode()) } else { None }
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
