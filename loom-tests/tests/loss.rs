//! Models of events that are not recorded: whoever reads what came after a loss knows of the loss.
#![cfg(allot_loom)]

use allotment::internals::loss::Losses;
use allotment::internals::ring::{Cursor, Read, Ring};
use loom::sync::atomic::{AtomicU64, Ordering};
use loom_tests::{control, model, thread};
use std::sync::Arc;

/// S2, of a loss and a record by one thread, and a reader.
#[test]
fn a_loss_is_known_before_the_record_that_follows_it() {
    model("loss::a_loss_is_known_before_the_record_that_follows_it", None, || {
        let shared = Arc::new((Losses::new(), Ring::<1>::new(2)));
        let writer = shared.clone();
        let writer = thread::spawn(move || {
            writer.0.count(1);
            writer.1.push(&[7]);
        });
        let (losses, ring) = &*shared;
        if let Read::Event(_) = ring.read(&mut Cursor::default()) {
            assert_eq!(losses.take(), 1, "S2");
        }
        writer.join().unwrap();
        assert_eq!(losses.total(), 1, "S1");
    });
}

/// The control: a loss that is counted after its record comes too late.
#[test]
#[should_panic(expected = "S2")]
fn a_loss_that_is_counted_late_is_not_known() {
    let claim = "loss::a_loss_is_known_before_the_record_that_follows_it";
    let scenario = || {
        let shared = Arc::new((AtomicU64::new(0), Ring::<1>::new(2)));
        let writer = shared.clone();
        let writer = thread::spawn(move || {
            writer.1.push(&[7]);
            writer.0.fetch_add(1, Ordering::Relaxed);
        });
        let (losses, ring) = &*shared;
        if let Read::Event(_) = ring.read(&mut Cursor::default()) {
            assert_eq!(losses.load(Ordering::Relaxed), 1, "S2");
        }
        writer.join().unwrap();
    };
    control("loss::counted_late", || model(claim, None, scenario));
}
