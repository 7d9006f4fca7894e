//! Events: what is encoded is decoded, word by word and through the ring.

use allotment::internals::account::{LEVELS, ROOT, Settings};
use allotment::internals::admission::Ask;
use allotment::internals::events::{EVENT_WORDS, Event, EventKind, Events, Nobody, Recorded, Verb};
use allotment::internals::grants::Fields;
use allotment::internals::ring::{Cursor, Read};
use allotment::internals::word::Owner;
use allotment::internals::{Core, Sizes};
use proptest::prelude::*;

fn event() -> impl Strategy<Value = Event> {
    let kind = prop::sample::select(EventKind::ALL.as_slice());
    let small = (any::<u8>(), any::<u8>(), any::<u8>(), any::<u8>(), any::<u32>());
    let words = (any::<u32>(), any::<[u64; 6]>());
    (kind, small, words).prop_map(|(kind, small, (cost, w))| {
        let (from, to, allocation_type, reason, account) = small;
        let [sequence, time_ns, grant, bytes, detail, used_bytes] = w;
        Event {
            sequence,
            time_ns,
            kind,
            from,
            to,
            account,
            allocation_type,
            reason,
            cost,
            grant,
            bytes,
            detail,
            used_bytes,
        }
    })
}

proptest! {
    #[test]
    fn decoding_undoes_encoding(event in event()) {
        prop_assert_eq!(Event::decode(event.sequence, &event.encode()), Some(event));
    }

    /// Whatever words decode, they are the words of the event that they decode to.
    #[test]
    fn encoding_undoes_decoding(mut words in any::<[u64; EVENT_WORDS]>(), kind in any::<u8>()) {
        words[1] = words[1] & !0xff | u64::from(kind % 33);
        words[6] >>= 60 - u32::from(kind % 33);
        match Event::decode(7, &words) {
            Some(event) => prop_assert_eq!(event.encode(), words),
            None => {
                let unknown = EventKind::from_code(words[1] as u8).is_none();
                prop_assert!(unknown || words[6] >= 1 << 40);
            }
        }
    }

    #[test]
    fn the_ring_numbers_events_and_returns_them(events in prop::collection::vec(event(), 0..40)) {
        let ring = Events::new(Recorded { capacity: 64, ..Recorded::default() });
        for event in &events {
            ring.push(event);
        }
        let mut cursor = Cursor::default();
        for (sequence, event) in (0..).zip(&events) {
            prop_assert_eq!(ring.read(&mut cursor), Read::Event(Event { sequence, ..*event }));
        }
        prop_assert_eq!(ring.read(&mut cursor), Read::Empty);
        prop_assert_eq!(cursor, ring.end());
        prop_assert_eq!(ring.pushed(), events.len() as u64);
    }
}

#[test]
fn codes_and_kinds_correspond() {
    let kinds: Vec<_> = (0..=255).filter_map(EventKind::from_code).collect();
    assert_eq!(kinds, EventKind::ALL);
    assert_eq!(EventKind::from_code(0), None, "an empty record is not an event");
}

#[test]
fn codes_and_verbs_correspond() {
    let verbs: Vec<_> = (0..=255).filter_map(Verb::from_code).collect();
    assert_eq!(verbs, Verb::ALL);
    assert!((1..).zip(Verb::ALL).all(|(code, verb)| verb as u8 == code));
    assert_eq!(Verb::from_code(0), None, "a call that names no verb");
}

#[test]
fn fields_that_mean_nothing_are_zero() {
    let denied = Event { reason: 3, ..Event::new(EventKind::Denied, 5) };
    assert_eq!(denied.encode(), [5, EventKind::Denied.code().into(), 0, 0, 0, 0, 3]);
}

#[test]
fn without_a_ring_events_vanish() {
    let none = Events::new(Recorded::default());
    assert!(!none.is_enabled() && !none.has_room_kept() && none.is_plain());
    assert_eq!(none.push(&Event::new(EventKind::Granted, 1)), None);
    assert_eq!(none.read(&mut Cursor::default()), Read::Empty);
    assert_eq!(none.pushed() + none.dropped(), 0);
}

/// A keeper who is a ring behind loses events that are then counted, and no administration.
#[test]
fn what_a_keeper_cannot_get_is_counted_and_does_not_overwrite_what_it_can() {
    let ring = Events::new(Recorded { capacity: 64, ..Recorded::default() });
    let granted = |account| Event { account, ..Event::new(EventKind::Granted, 1) };
    (0..100).for_each(|account| _ = ring.push(&granted(account)));
    assert_eq!(ring.lost(), 0, "nobody keeps it: the oldest go");
    ring.keep_after(100);
    let kept = (0..100).filter(|account| ring.push(&granted(*account)).is_some()).count() as u64;
    assert!((48..=64).contains(&kept), "{kept}");
    assert_eq!(ring.lost(), 100 - kept);
    assert!(ring.push(&Event::new(EventKind::Registered, 1)).is_some(), "administration");
    assert_eq!((ring.take_lost(), ring.take_lost()), (100 - kept, 0), "each is taken once");
    ring.keep_after(100 + kept);
    assert!(ring.push(&granted(1)).is_some(), "it has read on");
    ring.keep_nothing();
    (0..100).for_each(|account| _ = ring.push(&granted(account)));
    assert_eq!((ring.lost(), ring.pushed()), (100 - kept, 100 + kept + 102));
}

/// Where room is kept, nobody loses anything for a keeper's sake.
#[test]
fn with_room_kept_there_is_no_limit_beside_it() {
    let ring = Events::new(Recorded { capacity: 64, with_room: true, ..Recorded::default() });
    assert!(ring.has_room_kept() && !ring.is_plain());
    ring.keep_after(0);
    ring.take_room(64).unwrap();
    (0..64).for_each(|_| assert!(ring.push(&Event::new(EventKind::Granted, 1)).is_some()));
    ring.push_if_room(&Event::new(EventKind::Leak, 1));
    assert_eq!((ring.pushed(), ring.lost()), (64, 1));
}

/// The core tells an observer and records nothing of grants itself: one who takes no note leaves no
/// trace.
#[test]
fn what_nobody_takes_note_of_is_not_recorded() {
    let core = Core::new(&Sizes {
        capacity_bytes: 100,
        groups_max: 0,
        tenants_max: 1,
        grants_max: 64,
        ghost_keys_max: 0,
        quantum_bytes: 0,
        events: Recorded { capacity: 64, ..Recorded::default() },
        waiters_max: 0,
        patience_ns: 0,
    });
    let settings = Settings { limits: [100; LEVELS], ..Settings::default() };
    core.begin(1, 1, core.accounts.open(1, ROOT, &settings).unwrap());
    let (fields, owner) = (Fields::default(), Owner::new(1, 1, 0));
    let (account, generation, kind, bytes) = (1, 1, 0, 5);
    let ask = Ask { account, generation, kind, bytes, fields, cost: 1, now_ns: 0, paced: true };
    let (slot, generation) = core.admit(&ask, &Nobody).unwrap();
    core.grow(slot, generation, owner, 3, &Nobody).unwrap().unwrap();
    core.shrink(slot, generation, owner, 1, &Nobody).unwrap().unwrap();
    assert_eq!(core.release(slot, generation, owner, &Nobody), Ok((7, false)));
    assert!(core.events.is_enabled());
    assert_eq!((core.events.pushed(), core.events.lost()), (0, 0));
}

/// What is recorded beside events, and what it takes.
#[test]
fn what_is_kept_is_as_it_was_asked_for() {
    for (capacity, calls) in [(8, false), (8, true), (16, false)] {
        let events = Events::new(Recorded { capacity, calls, with_room: false });
        assert_eq!((events.capacity(), events.has_calls()), (capacity, calls));
        assert!(events.is_enabled() && events.is_plain() != calls);
        let none = Events::new(Recorded::default()).tracking_bytes();
        let each = (events.tracking_bytes() - none) / u64::from(capacity);
        assert!(each >= 8 * EVENT_WORDS as u64, "{each} bytes for an event");
    }
}
