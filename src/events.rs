//! What happened: a bounded ring of events that readers follow at their own pace, and which of an
//! event's numbers mean something.

use crate::core::events::{Event, EventKind, Verb};
use crate::core::handle::GrantId;
use crate::core::ring::{Cursor, Read};
use crate::governor::Governor;

/// Follows the events of a governor. Events that were overwritten before they were read are
/// counted, never skipped silently. So are those that are not recorded because an audit log that
/// may lose events is a whole ring behind: the ones since the reader was made, or since the mark it
/// was made from.
#[derive(Debug)]
pub struct EventReader<'g> {
    governor: &'g Governor,
    cursor: Cursor,
    /// Events that were not recorded, as far as they are told.
    lost: u64,
}

/// Where a reader stands, to go on from later ([`Governor::events_after`]). The default stands
/// before the oldest event that is kept, with no loss told yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventMark {
    /// The number of the event that is read next.
    pub position: u64,
    /// Events that were not recorded, as far as they are told.
    pub lost: u64,
}

impl EventReader<'_> {
    /// The next event, the number of events lost since the last one, or that there is none yet.
    /// Bounded; allocates nothing.
    pub fn read(&mut self) -> Read<Event> {
        let events = &self.governor.core.events;
        // A mark may have come from another thread ahead of the counts it was made from.
        let lost = events.lost().saturating_sub(self.lost);
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

    /// Where it stands, for [`Governor::events_after`]. Two plain numbers.
    pub fn mark(&self) -> EventMark {
        EventMark { position: self.position(), lost: self.lost }
    }
}

/// A field that an event of its kind has no use for is zero, or of another meaning. Each of these
/// is a few comparisons.
impl Event {
    /// Whether the allocation type means something: it is about grants, or requests for them.
    pub fn has_type(&self) -> bool {
        use EventKind::{
            Balanced, CapacityChanged, Emergency, FreedNotSeen, LimitsChanged, Measured,
            PressureChanged, PressureReported, Registered, Tried, Unregistered,
        };
        !matches!(
            self.kind,
            Balanced
                | CapacityChanged
                | Emergency
                | FreedNotSeen
                | LimitsChanged
                | Measured
                | PressureChanged
                | PressureReported
                | Registered
                | Tried
                | Unregistered
        )
    }

    /// Whether `used_bytes` is what the account used when it happened: it is about bytes in grants.
    pub fn tells_use(&self) -> bool {
        use EventKind::{Denied, Evicted, Granted, Grown, Released, ReservationExpired, Shrunk};
        matches!(
            self.kind,
            Granted | Denied | Grown | Shrunk | Released | Evicted | ReservationExpired
        )
    }

    /// The grant it is about; of those who stand in line there is none yet.
    ///
    /// ```
    /// use allotment::*;
    ///
    /// let config = GovernorConfig { events_max: 64, ..GovernorConfig::new(24 << 30) };
    /// let governor = Governor::new(config)?;
    /// let chat = governor.register_tenant(TenantConfig::new(TenantId::from_u128(1), "chat"))?;
    /// let grant = governor.try_request(&Request::new(chat, AllocationType::Cache, 4096))?;
    /// let mut told = Vec::new();
    /// let mut reader = governor.events();
    /// while let EventRead::Event(event) = reader.read() {
    ///     told.push((event.kind, event.has_type(), event.grant_id()));
    /// }
    /// let registered = (EventKind::Registered, false, None);
    /// assert_eq!(told, [registered, (EventKind::Granted, true, Some(grant.id()))]);
    /// # Ok::<(), Refusal>(())
    /// ```
    pub fn grant_id(&self) -> Option<GrantId> {
        use EventKind::{Asked, Denied, Intended, Polled, Queued, Taken, Withdrawn};
        let grows = || matches!(Verb::from_code(self.from), Some(Verb::Grow | Verb::GrowEvicting));
        let number = match self.kind {
            Asked if grows() => self.grant,
            Denied | Queued | Withdrawn | Polled | Asked | Intended => 0,
            Taken => self.detail,
            _ => self.grant,
        };
        (number != 0).then(|| GrantId::from_u64(number))
    }

    /// The place in line it is about: of who waits, or has waited.
    pub fn ticket(&self) -> Option<u64> {
        use EventKind::{Denied, Polled, Queued, Taken, Withdrawn};
        let waits = matches!(self.kind, Denied | Queued | Withdrawn | Polled | Taken);
        (waits && self.grant != 0).then_some(self.grant)
    }
}

impl Governor {
    /// A reader that begins with the oldest event still kept. Without
    /// [`crate::GovernorConfig::events_max`] there are none.
    pub fn events(&self) -> EventReader<'_> {
        self.events_from(0)
    }

    /// A reader that goes on where another one stood ([`EventReader::position`]). Events that were
    /// not recorded before it was made are not told: [`Governor::events_after`] tells them.
    pub fn events_from(&self, position: u64) -> EventReader<'_> {
        self.events_after(EventMark { position, lost: u64::MAX })
    }

    /// A reader that goes on where another one stood, for who cannot keep the reader itself: with
    /// nothing read twice and every loss told exactly once, also those in between.
    ///
    /// Costs a few loads, takes no lock and allocates nothing; may be called from any thread. A
    /// mark that is ahead of the governor, say of another one, counts as one at the end: what comes
    /// from now on is read.
    ///
    /// ```
    /// use allotment::*;
    ///
    /// let config = GovernorConfig { events_max: 64, ..GovernorConfig::new(24 << 30) };
    /// let governor = Governor::new(config)?;
    /// let mut mark = EventMark::default();
    /// for number in 1..=3 {
    ///     let id = TenantId::from_u128(number);
    ///     governor.register_tenant(TenantConfig::new(id, number.to_string()))?;
    ///     let mut reader = governor.events_after(mark);
    ///     assert!(matches!(reader.read(), EventRead::Event(_)));
    ///     assert_eq!(reader.read(), EventRead::Empty);
    ///     mark = reader.mark();
    /// }
    /// # Ok::<(), Error>(())
    /// ```
    pub fn events_after(&self, mark: EventMark) -> EventReader<'_> {
        let events = &self.core.events;
        EventReader {
            governor: self,
            cursor: Cursor::at(mark.position.min(events.pushed())),
            lost: mark.lost.min(events.lost()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::core::events::{Event, EventKind};
    use crate::*;

    fn governor() -> Governor {
        Governor::new(GovernorConfig { events_max: 64, ..GovernorConfig::new(1_000) }).unwrap()
    }

    /// Says that something happened, and whether it was recorded.
    fn happen(governor: &Governor, recorded: bool) {
        match recorded {
            true => _ = governor.core.events.push(&Event::new(EventKind::Granted, 1)),
            false => governor.core.events.note_lost(1),
        }
    }

    /// Events and losses up to the end, and where that is.
    fn read_on(mut reader: EventReader<'_>) -> ([u64; 2], EventMark) {
        let mut told = [0, 0];
        loop {
            match reader.read() {
                EventRead::Event(_) => told[0] += 1,
                EventRead::Lost(count) => told[1] += count,
                EventRead::Empty => return (told, reader.mark()),
            }
        }
    }

    #[test]
    fn every_loss_is_told_once_whatever_readers_there_were() {
        let governor = governor();
        let mut mark = EventMark::default();
        let mut sum = [0, 0];
        for step in 0..40_u64 {
            (0..step % 3).for_each(|_| happen(&governor, true));
            (0..step % 4).for_each(|_| happen(&governor, false));
            let mut reader = governor.events_after(mark);
            // One that stops anywhere has told what it has told.
            match reader.read() {
                EventRead::Event(_) => sum[0] += 1,
                EventRead::Lost(count) => sum[1] += count,
                EventRead::Empty => {}
            }
            mark = reader.mark();
        }
        let (rest, _) = read_on(governor.events_after(mark));
        assert_eq!([sum[0] + rest[0], sum[1] + rest[1]], [39, 60]);
    }

    #[test]
    fn what_was_overwritten_between_two_readers_is_told_as_well() {
        let governor = governor();
        let (_, mark) = read_on(governor.events_after(EventMark::default()));
        (0..100).for_each(|_| happen(&governor, true));
        (0..5).for_each(|_| happen(&governor, false));
        let (told, mark) = read_on(governor.events_after(mark));
        assert_eq!(told, [64, 36 + 5]);
        assert_eq!(mark, EventMark { position: 100, lost: 5 });
        assert_eq!(read_on(governor.events_after(mark)), ([0, 0], mark));
    }

    #[test]
    fn a_position_alone_forgets_what_was_lost_before() {
        let governor = governor();
        happen(&governor, false);
        happen(&governor, true);
        assert_eq!(read_on(governor.events_from(0)).0, [1, 0]);
        assert_eq!(read_on(governor.events()).0, [1, 0]);
        assert_eq!(read_on(governor.events_after(EventMark::default())).0, [1, 1]);
        let mut reader = governor.events_from(1);
        happen(&governor, false);
        assert_eq!(reader.read(), EventRead::Lost(1), "in its time");
    }

    #[test]
    fn a_mark_of_nonsense_stands_at_the_end() {
        let governor = governor();
        let wild = [1, 3, 1_000, u64::MAX / 2, u64::MAX - 1, u64::MAX];
        for (position, lost) in wild.into_iter().flat_map(|p| wild.map(|l| (p, l))) {
            let none = Governor::new(GovernorConfig::new(1_000)).unwrap();
            assert_eq!(read_on(none.events_after(EventMark { position, lost })).0, [0, 0]);
            let mut reader = governor.events_after(EventMark { position, lost });
            while reader.read() != EventRead::Empty {}
            happen(&governor, true);
            happen(&governor, false);
            assert_eq!(reader.read(), EventRead::Lost(1), "{position} {lost}");
            assert!(matches!(reader.read(), EventRead::Event(_)), "{position} {lost}");
            assert_eq!(reader.read(), EventRead::Empty, "{position} {lost}");
            let mut reader = governor.events_from(position);
            while reader.read() != EventRead::Empty {}
        }
    }

    /// What is said of each kind, beside what stands in `core/events.rs`.
    #[test]
    fn each_kind_says_what_it_is_about() {
        use EventKind::*;
        for kind in EventKind::ALL {
            let event = Event { grant: 7, detail: 9, ..Event::new(kind, 1) };
            let of_accounts = [
                Registered,
                Unregistered,
                LimitsChanged,
                PressureChanged,
                CapacityChanged,
                Balanced,
                PressureReported,
                Measured,
                FreedNotSeen,
                Emergency,
                Tried,
            ];
            assert_eq!(event.has_type(), !of_accounts.contains(&kind), "{kind:?}");
            let of_bytes = [Granted, Denied, Grown, Shrunk, Released, Evicted, ReservationExpired];
            assert_eq!(event.tells_use(), of_bytes.contains(&kind), "{kind:?}");
            let in_line = [Denied, Queued, Withdrawn, Polled, Taken].contains(&kind);
            assert_eq!(event.ticket(), in_line.then_some(7), "{kind:?}");
            let asks = [Asked, Intended].contains(&kind);
            let grant = if kind == Taken { Some(9) } else { (!in_line && !asks).then_some(7) };
            assert_eq!(event.grant_id().map(GrantId::as_u64), grant, "{kind:?}");
            let nothing = Event::new(kind, 1);
            assert_eq!((nothing.grant_id(), nothing.ticket()), (None, None), "{kind:?}");
        }
        for verb in [Verb::Grow, Verb::GrowEvicting, Verb::TryRequest] {
            let event = Event { from: verb as u8, grant: 7, ..Event::new(Asked, 1) };
            assert_eq!(event.grant_id().is_some(), verb != Verb::TryRequest, "{verb:?}");
        }
    }
}
