//! The writer: what it appends is there, in order, across segments, sessions and retention.

use super::*;
use std::time::Duration;

/// What the events of a log say.
fn numbers(folder: &Path) -> Vec<u64> {
    let events = records(folder).into_iter().filter(|record| record.kind() < 128);
    events.map(|record| record.words[0]).collect()
}

#[test]
fn records_come_back_across_segments_and_sessions() {
    let scratch = Scratch::new();
    for session in 0..4 {
        let mut journal = scratch.open(small());
        for number in session * 100..(session + 1) * 100 {
            journal.append(&words(number)).unwrap();
            if journal.is_full() {
                journal.rotate(at(number), []).unwrap();
            }
        }
        if session % 2 == 0 {
            journal.seal(at(session)).unwrap();
        }
    }
    assert_eq!(numbers(&scratch.log()), (0..400).collect::<Vec<_>>());
    let verdict = verify(&scratch.log(), &key(), None).unwrap();
    assert!(verdict.is_intact() && !verdict.sealed);
    assert!(verdict.segments > 20, "{}", verdict.segments);
    assert_eq!(verdict.last_sequence, verdict.records);
}

#[test]
fn a_preamble_begins_every_segment() {
    let scratch = Scratch::new();
    let mut journal = scratch.open(small());
    let log_id = journal.log_id();
    append(&mut journal, 0..20);
    // More than the buffer holds.
    let balance =
        |account| Body::Balance { clock_ns: 2, account, allocation_type: 1, bytes: 1, grants: 1 };
    journal.rotate(at(2), (0..5_000).map(balance)).unwrap();
    assert_eq!((journal.segment(), journal.room()), (2, 4_096));
    assert_eq!(journal.head().unwrap().sequence, 22, "the segment before ended with it");
    append(&mut journal, 20..21);
    journal.flush().unwrap();
    let shown = records(&scratch.log());
    assert!((0..5_000).all(|at| shown[22 + at as usize].body() == balance(at)));
    assert_eq!(shown.last().unwrap().words, words(20));
    assert_eq!(verify(&scratch.log(), &key(), None).unwrap().log_id, log_id);
    let wrong = [Body::Retired { clock_ns: 0, sequence: 9, segment: 9 }];
    let error = journal.rotate(at(3), wrong).unwrap_err();
    assert!(matches!(error, AuditError::NotAppended(NotAppended::Reserved { .. })), "{error}");
}

fn segments(folder: &Path) -> Vec<u64> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let numbers = names.filter_map(|path| path.file_stem()?.to_str()?.parse().ok());
    let mut numbers: Vec<u64> = numbers.collect();
    numbers.sort();
    numbers
}

#[test]
fn retention_deletes_what_it_says() {
    let scratch = Scratch::new();
    let options = || JournalOptions { keep_segments_max: Some(3), ..small() };
    let mut journal = scratch.open(options());
    let mut first_head = None;
    for round in 0..10 {
        append(&mut journal, 0..20);
        first_head = first_head.or(Some(journal.checkpoint(at(round)).unwrap()));
        journal.rotate(at(round), []).unwrap();
        let kept = segments(&scratch.log());
        assert!(kept.len() <= 3 && kept.last() == Some(&journal.segment()), "{kept:?}");
        let verdict = verify(&scratch.log(), &key(), journal.head().as_ref()).unwrap();
        assert!(verdict.is_intact(), "{:#?}", verdict.findings);
        assert_eq!(verdict.first_sequence > 1, kept[0] > 1);
    }
    drop(journal);
    let head_retired = verify(&scratch.log(), &key(), first_head.as_ref()).unwrap().findings;
    assert_eq!(head_retired[0].kind, FindingKind::HeadRetired);
    let journal = scratch.open(options());
    let head = journal.seal(at(20)).unwrap();
    let kept = segments(&scratch.log());
    std::fs::remove_file(scratch.segment(kept[0])).unwrap();
    let verdict = verify(&scratch.log(), &key(), Some(&head)).unwrap();
    assert_eq!(verdict.findings[0].kind, FindingKind::Removed, "one more than retention took");
}

#[test]
fn old_segments_go_when_their_time_has_come() {
    let scratch = Scratch::new();
    let options = JournalOptions { keep_for: Some(Duration::from_nanos(100)), ..small() };
    let mut journal = scratch.open(options);
    // A segment ended when the next one began. A clock that goes back keeps all.
    for (now, kept) in [(30, 1..3), (60, 1..4), (90, 1..5), (10, 1..6), (130, 2..7), (205, 5..8)] {
        append(&mut journal, 0..2);
        journal.rotate(at(now), []).unwrap();
        assert_eq!(segments(&scratch.log()), kept.collect::<Vec<_>>(), "at {now}");
        assert!(verify(&scratch.log(), &key(), None).unwrap().is_intact());
    }
}

#[test]
fn checkpoints_are_due_by_records_and_by_time() {
    let scratch = Scratch::new();
    let options =
        JournalOptions { checkpoint_records_max: 10, checkpoint_ns_max: 1_000, ..small() };
    let mut journal = scratch.open(options);
    journal.checkpoint(at(5_000)).unwrap();
    assert!(!journal.is_checkpoint_due(at(u64::MAX >> 8)), "there is nothing new");
    append(&mut journal, 0..9);
    assert!(!journal.is_checkpoint_due(at(5_999)));
    assert!(journal.is_checkpoint_due(at(6_000)));
    assert!(!journal.is_checkpoint_due(at(10)), "a clock that went back stands still");
    append(&mut journal, 9..10);
    assert!(journal.is_checkpoint_due(at(10)));
    journal.checkpoint(at(10)).unwrap();
    append(&mut journal, 10..11);
    assert!(!journal.is_checkpoint_due(at(1_009)) && journal.is_checkpoint_due(at(1_010)));
    drop(journal);
    assert!(verify(&scratch.log(), &key(), None).unwrap().is_intact());
}

#[test]
fn a_full_buffer_takes_no_more_and_loses_nothing() {
    let scratch = Scratch::new();
    let mut journal = scratch.open(JournalOptions { buffer_records_max: 2_048, ..small() });
    append(&mut journal, 0..2_048);
    assert_eq!(journal.room(), 0);
    let full = journal.append(&words(0)).unwrap_err();
    assert_eq!(
        full.to_string(),
        "2048 records wait to be written, and no more may; flush the \
                                  journal first"
    );
    assert_eq!((journal.sequence(), journal.flushed()), (2_049, 1));
    journal.flush().unwrap();
    append(&mut journal, 2_048..2_050);
    // What waits is flushed when the journal goes.
    drop(journal);
    assert_eq!(numbers(&scratch.log()), (0..2_050).collect::<Vec<_>>());
}

#[test]
fn every_policy_writes_the_same() {
    let mut shown = Vec::new();
    let every = SyncPolicy::Every(Duration::from_secs(1));
    for sync in [SyncPolicy::Checkpoint, every, SyncPolicy::Batch, SyncPolicy::Never] {
        let scratch = Scratch::new();
        let mut journal = scratch.open(JournalOptions { sync, ..small() });
        append(&mut journal, 0..30);
        journal.flush().unwrap();
        journal.rotate(at(2), []).unwrap();
        journal.seal(at(3)).unwrap();
        shown.push(numbers(&scratch.log()));
        assert!(verify(&scratch.log(), &key(), None).unwrap().sealed);
    }
    assert!(shown.iter().all(|numbers| *numbers == shown[0]));
}

/// Checkpoints are signed when they are due and synced when that is; the head is of a synced one.
#[test]
fn a_head_follows_the_checkpoints_as_often_as_the_policy_says() {
    let scratch = Scratch::new();
    let sync = SyncPolicy::Every(Duration::from_nanos(100));
    let options = JournalOptions { sync, checkpoint_records_max: 10, ..small() };
    let mut journal = scratch.open(options);
    for turn in 0..6 {
        append(&mut journal, turn * 10..turn * 10 + 10);
        journal.checkpoint_if_due(at(1 + turn)).unwrap();
        assert_eq!(journal.head(), None, "not synced before its time");
    }
    journal.checkpoint_if_due(at(200)).unwrap();
    let head = journal.head().expect("it was time, though nothing new was there");
    assert_eq!(head.sequence, journal.sequence());
    append(&mut journal, 60..70);
    journal.checkpoint_if_due(at(201)).unwrap();
    assert_eq!(journal.head(), Some(head));
    let last = journal.seal(at(202)).unwrap();
    let verdict = verify(&scratch.log(), &key(), Some(&head)).unwrap();
    assert!(verdict.sealed && verdict.checkpoints >= 7, "{verdict:?}");
    assert!(verify(&scratch.log(), &key(), Some(&last)).unwrap().is_intact());
}

#[test]
fn appending_and_flushing_allocate_nothing() {
    let scratch = Scratch::new();
    let mut journal = scratch.open(small());
    let allocations = |run: &mut dyn FnMut()| {
        let before = ALLOCATIONS.get();
        run();
        ALLOCATIONS.get() - before
    };
    assert_ne!(allocations(&mut || drop(vec![0; 1])), 0, "they are counted");
    let rounds = allocations(&mut || {
        for round in 0..5 {
            append(&mut journal, round * 4_096..(round + 1) * 4_096);
            assert!(journal.append(&words(0)).is_err());
            // Asking the system where the segment is takes a name that ends with zero: for paths of
            // usual length that is made on the stack.
            journal.flush().unwrap();
        }
    });
    assert_eq!(rounds, 0);
}
