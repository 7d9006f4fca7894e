//! What happened: a bounded ring of events that readers follow at their own pace.

use crate::core::events::Event;
use crate::core::ring::{Cursor, Read};
use crate::governor::Governor;

/// Follows the events of a governor. Events that were overwritten before they were read are
/// counted, never skipped silently. So are those that happen in its time and are not recorded
/// because an audit log that may lose events is a whole ring behind.
#[derive(Debug)]
pub struct EventReader<'g> {
    governor: &'g Governor,
    cursor: Cursor,
    /// Events that were not recorded, as far as they are told.
    lost: u64,
}

impl EventReader<'_> {
    /// The next event, the number of events lost since the last one, or that there is none yet.
    /// Bounded; allocates nothing.
    pub fn read(&mut self) -> Read<Event> {
        let events = &self.governor.core.events;
        let lost = events.lost() - self.lost;
        if lost > 0 {
            self.lost += lost;
            return Read::Lost(lost);
        }
        events.read(&mut self.cursor)
    }

    /// The number of the event that is read next, for [`Governor::events_from`].
    pub fn position(&self) -> u64 {
        self.cursor.next()
    }
}

impl Governor {
    /// A reader that begins with the oldest event still kept. Without
    /// [`crate::GovernorConfig::events_max`] there are none.
    pub fn events(&self) -> EventReader<'_> {
        self.events_from(0)
    }

    /// A reader that goes on where another one stood ([`EventReader::position`]).
    pub fn events_from(&self, position: u64) -> EventReader<'_> {
        EventReader { governor: self, cursor: Cursor::at(position), lost: self.core.events.lost() }
    }
}
