//! What happened: a bounded ring of events that readers follow at their own pace.

use crate::core::admission::Granted;
use crate::core::events::{Event, EventKind};
use crate::core::handle::GrantId;
use crate::core::pressure::Pressure;
use crate::core::ring::{Cursor, Read};
use crate::core::word::Owner;
use crate::governor::Governor;

/// Follows the events of a governor. Events that were overwritten before they were read are
/// counted, never skipped silently.
#[derive(Debug)]
pub struct EventReader<'g> {
    governor: &'g Governor,
    cursor: Cursor,
}

impl EventReader<'_> {
    /// The next event, the number of events lost since the last one, or that there is none yet.
    /// Bounded; allocates nothing.
    pub fn read(&mut self) -> Read<Event> {
        self.governor.core.events.read(&mut self.cursor)
    }
}

impl Governor {
    /// A reader that begins with the oldest event still kept. Without
    /// [`crate::GovernorConfig::events_max`] there are none.
    pub fn events(&self) -> EventReader<'_> {
        EventReader { governor: self, cursor: Cursor::default() }
    }

    /// Records what happened to a grant, if events are recorded at all.
    #[inline]
    pub(crate) fn note(&self, kind: EventKind, owner: Owner, grant: Granted, bytes: u64) {
        if self.core.events.is_enabled() {
            self.record(kind, owner, grant, bytes, 0);
        }
    }

    #[cold]
    pub(crate) fn record(
        &self,
        kind: EventKind,
        owner: Owner,
        (slot, generation): Granted,
        bytes: u64,
        reason: u8,
    ) {
        let grant =
            if generation == 0 { 0 } else { GrantId::new(self.tag, generation, slot).as_u64() };
        self.core.events.push(&Event {
            sequence: 0,
            time_ns: self.clock().now_ns(),
            kind,
            from: 0,
            to: 0,
            account: owner.account(),
            allocation_type: owner.allocation_type(),
            reason,
            grant,
            bytes,
            detail: 0,
            used_bytes: self.core.accounts.used(owner.account()),
        });
    }

    pub(crate) fn note_change(&self, kind: EventKind, from: Pressure, to: Pressure, used: u64) {
        self.core.events.push(&Event {
            sequence: 0,
            time_ns: self.clock().now_ns(),
            kind,
            from: from as u8,
            to: to as u8,
            account: 0,
            allocation_type: 0,
            reason: 0,
            grant: 0,
            bytes: 0,
            detail: 0,
            used_bytes: used,
        });
    }
}
