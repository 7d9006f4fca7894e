//! What happened: the governor's events, for readers that go at their own pace.

use crate::governor::allot_governor;
use crate::guard::call;
use crate::pointer::{OutStruct, Versioned, out_struct, read};
use crate::status::{ALLOT_ERROR_NEWER, ALLOT_LOST, ALLOT_NONE, ALLOT_OK, allot_status};
use allotment::{Event, EventMark, EventRead};

/// What kind of thing happened. Numbers are never changed and never used again.
pub type allot_event_kind = u32;

/// A request was granted.
pub const ALLOT_EVENT_GRANTED: allot_event_kind = 1;
/// A request was denied; reason says by which check, detail how many bytes were short.
pub const ALLOT_EVENT_DENIED: allot_event_kind = 2;
/// A grant grew by bytes.
pub const ALLOT_EVENT_GROWN: allot_event_kind = 3;
/// A grant shrank by bytes.
pub const ALLOT_EVENT_SHRUNK: allot_event_kind = 4;
/// A grant was released by its owner.
pub const ALLOT_EVENT_RELEASED: allot_event_kind = 5;
/// A grant was taken back.
pub const ALLOT_EVENT_EVICTED: allot_event_kind = 6;
/// An account was registered.
pub const ALLOT_EVENT_REGISTERED: allot_event_kind = 7;
/// An account was unregistered.
pub const ALLOT_EVENT_UNREGISTERED: allot_event_kind = 8;
/// The limits of an account were changed.
pub const ALLOT_EVENT_LIMITS_CHANGED: allot_event_kind = 9;
/// Pressure went from level from to level to.
pub const ALLOT_EVENT_PRESSURE_CHANGED: allot_event_kind = 10;
/// The capacity was changed to bytes.
pub const ALLOT_EVENT_CAPACITY_CHANGED: allot_event_kind = 11;
/// A reservation ran out before it was used.
pub const ALLOT_EVENT_RESERVATION_EXPIRED: allot_event_kind = 12;
/// A grant was still held when its owner was gone.
pub const ALLOT_EVENT_LEAK: allot_event_kind = 13;
/// The owner of a grant was asked for it and did not answer in time.
pub const ALLOT_EVENT_RECLAIM_TIMED_OUT: allot_event_kind = 14;
/// The owner of a grant was asked for it and panicked.
pub const ALLOT_EVENT_RECLAIM_PANICKED: allot_event_kind = 15;
/// Memory that was said to be freed was not seen to be: bytes are still measured.
pub const ALLOT_EVENT_FREED_NOT_SEEN: allot_event_kind = 16;
/// A request stands in line; grant is its number there.
pub const ALLOT_EVENT_QUEUED: allot_event_kind = 27;
/// A request that stood in line was given up by its owner.
pub const ALLOT_EVENT_WITHDRAWN: allot_event_kind = 28;
/// The answer to a request that has waited was taken by its owner; detail is the grant.
pub const ALLOT_EVENT_TAKEN: allot_event_kind = 29;
/// The owner of a grant was asked for it and keeps it: to is 1 for busy, 2 for later.
pub const ALLOT_EVENT_RECLAIM_ANSWERED: allot_event_kind = 30;
/// Somebody used a verb of an emergency.
pub const ALLOT_EVENT_EMERGENCY: allot_event_kind = 31;

/// An event. Begin with ALLOT_EVENT_INIT. Fields that mean nothing for a kind are 0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct allot_event {
    /// sizeof(allot_event).
    pub struct_size: u32,
    /// What: one of the ALLOT_EVENT numbers; others are for the library's own log.
    pub kind: allot_event_kind,
    /// Its place among all events.
    pub sequence: u64,
    /// When, in ns of the governor's clock.
    pub time_ns: u64,
    /// The grant concerned.
    pub grant: u64,
    /// The bytes that were asked for, granted, released.
    pub bytes: u64,
    /// One more number, by kind.
    pub detail: u64,
    /// What the account used when the event was recorded.
    pub used_bytes: u64,
    /// The slot of the account concerned: ALLOT_SLOT of its handle; 0 for the pool, and for a
    /// request of a tenant that is gone and whose slot another one has.
    pub account: u32,
    /// The number of the allocation type.
    pub allocation_type: u32,
    /// The state before, for changes of state.
    pub from: u32,
    /// The state after, for changes of state.
    pub to: u32,
    /// The number of the reason, for denials.
    pub reason: u32,
    /// What it costs to rebuild the content, where that is recorded.
    pub cost: u32,
}

// SAFETY: numbers only, none of them padded.
unsafe impl Versioned for allot_event {
    const SIZE_MIN: usize = 80;
}

impl Default for allot_event {
    fn default() -> Self {
        Self {
            struct_size: size_of::<Self>() as u32,
            kind: 0,
            sequence: 0,
            time_ns: 0,
            grant: 0,
            bytes: 0,
            detail: 0,
            used_bytes: 0,
            account: 0,
            allocation_type: 0,
            from: 0,
            to: 0,
            reason: 0,
            cost: 0,
        }
    }
}

impl From<&Event> for allot_event {
    fn from(event: &Event) -> Self {
        Self {
            kind: event.kind as u32,
            sequence: event.sequence,
            time_ns: event.time_ns,
            grant: event.grant,
            bytes: event.bytes,
            detail: event.detail,
            used_bytes: event.used_bytes,
            account: event.account,
            allocation_type: event.allocation_type.into(),
            from: event.from.into(),
            to: event.to.into(),
            reason: event.reason.into(),
            cost: event.cost,
            ..Self::default()
        }
    }
}

/// How far a reader of events has got. Begin with ALLOT_EVENT_READER_INIT: with the oldest event
/// that is kept. The caller's own; one thread at a time reads with it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct allot_event_reader {
    /// sizeof(allot_event_reader).
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// The sequence of the event that is read next.
    pub position: u64,
    /// Losses of a full audit log that were told.
    pub lost: u64,
    /// With ALLOT_LOST: how many events were lost since the last one that was read.
    pub lost_now: u64,
}

// SAFETY: numbers only, none of them padded.
unsafe impl Versioned for allot_event_reader {
    const SIZE_MIN: usize = 32;
}

impl Default for allot_event_reader {
    fn default() -> Self {
        Self {
            struct_size: size_of::<Self>() as u32,
            reserved: 0,
            position: 0,
            lost: 0,
            lost_now: 0,
        }
    }
}

/// Reads the next event. The governor keeps the last events_max of its configuration; what was
/// overwritten before it was read is counted.
///
/// Owns: the caller the reader, which is moved on. Threads: any, one for each reader. Blocks: no;
/// allocates nothing. Returns: ALLOT_OK and *out_event; ALLOT_NONE: there is none yet; ALLOT_LOST
/// and reader->lost_now: read on. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_events_read(
    governor: *mut allot_governor,
    reader: *mut allot_event_reader,
    out_event: *mut allot_event,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        call(governor, |governor| {
            let before = read(reader.cast_const())?;
            if before.reserved != 0 {
                return Err(ALLOT_ERROR_NEWER.into());
            }
            let out_reader: OutStruct<allot_event_reader> = out_struct(reader)?;
            let out_event = out_struct(out_event)?;
            let mark = EventMark { position: before.position, lost: before.lost };
            let mut events = governor.inner.events_after(mark);
            let (status, lost_now) = match events.read() {
                EventRead::Event(event) => {
                    out_event.write(&allot_event::from(&event));
                    (ALLOT_OK, 0)
                }
                EventRead::Lost(lost) => (ALLOT_LOST, lost),
                EventRead::Empty => (ALLOT_NONE, 0),
            };
            let EventMark { position, lost } = events.mark();
            out_reader.write(&allot_event_reader { position, lost, lost_now, ..before });
            Ok(status)
        })
    }
}
