// Scenarios of `src/core/events.rs`. Included by `events.rs`, where they hold, and by
// `core_mutants.rs`, where they fail.
//
// `LOST EVENT` is what a scenario says when an event was neither read nor counted as lost.

use super::core::events::{Event, EventKind, Events, Recorded};
use super::core::ring::{Cursor, Read};
use loom::sync::Arc;
use loom_tests::{model, thread};

fn events(capacity: u32, with_room: bool) -> Arc<Events> {
    Arc::new(Events::new(Recorded { capacity, calls: false, with_room }))
}

/// An event that says in two places whose it is.
fn of(account: u32) -> Event {
    Event { account, bytes: account.into(), ..Event::new(EventKind::Released, 0) }
}

/// Reads one event, if there is one; nothing may be lost.
fn read(events: &Events, cursor: &mut Cursor) -> Option<u32> {
    match events.read(cursor) {
        Read::Event(event) => {
            assert_eq!(event.bytes, event.account.into(), "MIXED EVENT");
            Some(event.account)
        }
        Read::Lost(count) => panic!("LOST EVENT: {count} overwritten"),
        Read::Empty => None,
    }
}

/// C1 of the ring: whoever has room for a record finds its place read, so that two who record and a
/// keeper that gives room back lose nothing.
pub fn with_room_no_event_is_lost() {
    model("events::with_room_no_event_is_lost", Some(3), || {
        let events = events(1, true);
        let recording = [3, 5].map(|account| {
            let events = events.clone();
            thread::spawn(move || {
                let room = events.take_room(1);
                room.is_ok_and(|()| events.push(&of(account)).expect("LOST EVENT: dropped") < 2)
            })
        });
        let mut cursor = Cursor::default();
        let mut seen = 0;
        if read(&events, &mut cursor).is_some() {
            events.give_room(1);
            seen += 1;
        }
        let recorded = recording.map(|thread| u64::from(thread.join().unwrap()));
        while read(&events, &mut cursor).is_some() {
            events.give_room(1);
            seen += 1;
        }
        assert_eq!(recorded.iter().sum::<u64>(), seen, "LOST EVENT, or one read twice");
        assert_eq!(events.free_room(), Some(1), "C1");
    });
}

/// S1 of losses: of two events and room for one, each is recorded or counted.
pub fn an_event_without_room_is_counted() {
    model("events::an_event_without_room_is_counted", None, || {
        let events = events(1, true);
        events.take_room(1).unwrap();
        let others = [3, 5].map(|account| {
            let events = events.clone();
            thread::spawn(move || events.push_if_room(&of(account)))
        });
        events.give_room(1);
        for other in others {
            other.join().unwrap();
        }
        let (recorded, lost) = (events.pushed(), events.lost());
        assert_eq!(recorded + lost, 2, "LOST EVENT: {recorded} recorded and {lost} counted");
        assert!(recorded <= 1, "room for one");
    });
}

/// S2: the keeper of a full ring, to whom events are lost, knows of those it did not get by the
/// time it reads what came after them.
pub fn a_keeper_far_behind_knows_what_it_lost() {
    model("events::a_keeper_far_behind_knows_what_it_lost", None, || {
        let events = events(2, false);
        events.keep_after(0);
        events.push(&of(1)).expect("room for two");
        events.push(&of(1)).expect("room for two");
        let other = events.clone();
        let recording = thread::spawn(move || {
            let lost = other.push(&of(3)).is_none();
            (lost, other.push(&of(5)).is_some())
        });
        let mut cursor = Cursor::default();
        assert_eq!(read(&events, &mut cursor), Some(1), "nothing is overwritten");
        events.keep_after(cursor.next());
        assert_eq!(read(&events, &mut cursor), Some(1), "nothing is overwritten");
        let third = read(&events, &mut cursor);
        let taken = events.take_lost();
        // What came before an event that was read, and was lost, is known.
        assert!(third != Some(5) || taken == 1, "LOST EVENT: {taken} known to be");
        let (lost, kept) = recording.join().unwrap();
        let total = u64::from(lost) + u64::from(!kept);
        assert_eq!(taken + events.take_lost(), total, "LOST EVENT, or one counted twice");
    });
}

/// Two requests are refused for want of room while the keeper takes the count: each is taken once.
pub fn refused_requests_are_taken_once() {
    model("events::refused_requests_are_taken_once", None, || {
        let events = events(1, true);
        let refused = [3, 5].map(|bytes| {
            let events = events.clone();
            thread::spawn(move || events.count_refused(bytes))
        });
        let first = events.take_refused();
        for thread in refused {
            thread.join().unwrap();
        }
        let rest = events.take_refused();
        let taken = [first[0] + rest[0], first[1] + rest[1]];
        assert_eq!(taken, [2, 8], "LOST COUNT");
    });
}
