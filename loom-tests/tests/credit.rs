//! Models of the room for records: takers and a reader that gives room back, at once.
#![cfg(allot_loom)]

use allotment::internals::credit::{Credits, NoRoom};
use loom::sync::atomic::{AtomicU64, Ordering};
use loom_tests::{control, model, thread};
use std::sync::Arc;

/// C1: two takers and one who gives back, and nothing is made or lost.
#[test]
fn room_is_neither_made_nor_lost() {
    model("credit::room_is_neither_made_nor_lost", None, || {
        let credits = Arc::new(Credits::new(2));
        credits.take(2).unwrap();
        let takers = [1, 2].map(|records| {
            let credits = credits.clone();
            thread::spawn(move || credits.take(records).map(|()| records))
        });
        credits.give(2);
        let taken: u64 = takers.map(|taker| taker.join().unwrap().unwrap_or(0)).iter().sum();
        assert_eq!(credits.free() + taken, 2);
    });
}

/// Who takes more than there is does not make one fail who takes what there is.
#[test]
fn a_refused_taker_refuses_nobody_else() {
    model("credit::a_refused_taker_refuses_nobody_else", None, || {
        let credits = Arc::new(Credits::new(2));
        let greedy = credits.clone();
        let greedy = thread::spawn(move || greedy.take(3));
        assert_eq!(credits.take(2), Ok(()));
        assert!(matches!(greedy.join().unwrap(), Err(NoRoom::Exhausted { free: 0 | 2 })));
    });
}

/// The control: room that is subtracted first and added back makes the smaller one fail.
#[test]
#[should_panic(expected = "the modest one was refused")]
fn subtracting_first_refuses_somebody_else() {
    let claim = "credit::a_refused_taker_refuses_nobody_else";
    let scenario = || {
        let free = Arc::new(AtomicU64::new(2));
        let take = |free: &AtomicU64, records: u64| {
            let before = free.fetch_sub(records, Ordering::AcqRel) as i64;
            let enough = before >= records as i64;
            if !enough {
                free.fetch_add(records, Ordering::AcqRel);
            }
            enough
        };
        let greedy = free.clone();
        let greedy = thread::spawn(move || take(&greedy, 3));
        assert!(take(&free, 2), "the modest one was refused");
        greedy.join().unwrap();
    };
    control("credit::subtracting_first", || model(claim, None, scenario));
}

/// What was read from a place is read before the next record is written there.
#[test]
fn a_record_is_written_after_the_last_one_was_read() {
    model("credit::a_record_is_written_after_the_last_one_was_read", None, || {
        let credits = Arc::new(Credits::new(1));
        credits.take(1).unwrap();
        let place = Arc::new(loom::cell::UnsafeCell::new(7_u64));
        let (room, record) = (credits.clone(), place.clone());
        let reader = thread::spawn(move || {
            // SAFETY: the next record is written only into room that was given back.
            let read = record.with(|value| unsafe { *value });
            room.give(1);
            read
        });
        if credits.take(1).is_ok() {
            // SAFETY: its reader has given the room back.
            place.with_mut(|value| unsafe { *value = 9 });
        }
        assert_eq!(reader.join().unwrap(), 7);
    });
}
