//! What happened: a bounded ring of events that readers follow at their own pace.

use crate::core::events::Event;
use crate::core::ring::{Cursor, Read};
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
        EventReader { governor: self, cursor: Cursor::at(position) }
    }
}
