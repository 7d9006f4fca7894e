//! The system refuses: nothing that was accepted is lost, and writing goes on where it stopped.

use super::*;

#[test]
fn a_deleted_segment_is_written_again() {
    let scratch = Scratch::new();
    let mut journal = scratch.open(small());
    append(&mut journal, 0..3);
    journal.flush().unwrap();
    let before = std::fs::read(scratch.segment(1)).unwrap();
    std::fs::remove_file(scratch.segment(1)).unwrap();
    append(&mut journal, 3..5);
    let error = journal.flush().unwrap_err();
    assert!(matches!(error, AuditError::Vanished { .. }), "{error}");
    assert_eq!(std::fs::read(scratch.segment(1)).unwrap(), before);
    let head = journal.seal(at(2)).unwrap();
    let verdict = verify(&scratch.log(), &key(), Some(&head)).unwrap();
    assert!(verdict.is_intact() && verdict.sealed, "{:#?}", verdict.findings);
    assert_eq!((verdict.segments, verdict.records), (1, 7));
}

#[test]
fn a_checkpoint_notices_too() {
    let scratch = Scratch::new();
    let mut journal = scratch.open(small());
    std::fs::remove_file(scratch.segment(1)).unwrap();
    assert!(matches!(journal.checkpoint(at(2)), Err(AuditError::Vanished { .. })));
    assert_eq!(journal.head(), None);
    let head = journal.checkpoint(at(3)).unwrap();
    assert_eq!(head.sequence, 2, "one checkpoint, finished by the second call");
    assert!(verify(&scratch.log(), &key(), Some(&head)).unwrap().is_intact());
}

#[test]
fn a_segment_that_cannot_be_brought_back_is_left_and_found() {
    for is_replaced in [false, true] {
        let scratch = Scratch::new();
        let mut journal = scratch.open(small());
        append(&mut journal, 0..3);
        journal.flush().unwrap();
        let file = std::fs::OpenOptions::new().write(true).open(scratch.segment(1)).unwrap();
        if is_replaced {
            std::fs::remove_file(scratch.segment(1)).unwrap();
            std::fs::write(scratch.segment(1), "something else").unwrap();
        } else {
            file.set_len(300).unwrap();
        }
        append(&mut journal, 3..5);
        assert!(matches!(journal.flush(), Err(AuditError::Vanished { .. })));
        journal.flush().unwrap();
        assert_eq!((journal.segment(), journal.flushed()), (2, 6));
        let head = journal.seal(at(2)).unwrap();
        match verify(&scratch.log(), &key(), Some(&head)) {
            Ok(verdict) => {
                assert!(!is_replaced && !verdict.is_intact());
                assert_eq!(verdict.last_sequence, 7, "what came later is there");
            }
            Err(error) => assert!(is_replaced && matches!(error, AuditError::Foreign { .. })),
        }
    }
}

#[cfg(target_os = "linux")]
mod limited {
    use super::*;
    use crate::limited::{alone, limit};

    fn is_refused(outcome: Result<(), AuditError>) {
        let error = outcome.unwrap_err();
        assert!(error.to_string().contains("free some room"), "{error}");
    }

    #[test]
    fn a_full_disk_loses_nothing() {
        alone("output::limited::a_full_disk_loses_nothing", || {
            let scratch = Scratch::new();
            let options = JournalOptions { buffer_records_max: 2_048, ..small() };
            let mut journal = scratch.open(options);
            append(&mut journal, 0..10);
            journal.flush().unwrap();
            let room = (HEADER_BYTES + 20 * RECORD_BYTES + 50) as u64;
            limit(room);
            append(&mut journal, 10..1_000);
            is_refused(journal.flush());
            is_refused(journal.flush());
            assert_eq!(std::fs::metadata(scratch.segment(1)).unwrap().len(), room);
            assert_eq!(journal.flushed(), 11);
            is_refused(journal.checkpoint(at(2)).map(drop));
            is_refused(journal.rotate(at(2), []));
            assert_eq!(records(&scratch.log()).len(), 20);
            let mut number = 1_000;
            let full = loop {
                match journal.append(&words(number)) {
                    Ok(_) => number += 1,
                    Err(full) => break full,
                }
            };
            assert_eq!(full, NotAppended::Full { records: 2_048 });
            let sealed = journal.seal(at(3)).unwrap_err();
            journal = sealed.journal;
            limit(libc::RLIM_INFINITY);
            journal.flush().unwrap();
            let head = journal.seal(at(4)).unwrap();
            let verdict = verify(&scratch.log(), &key(), Some(&head)).unwrap();
            assert!(verdict.is_intact() && verdict.sealed, "{:#?}", verdict.findings);
            let said: Vec<_> = records(&scratch.log()).iter().map(|r| r.words).collect();
            let expected: Vec<_> = (0..number).map(words).collect();
            assert_eq!(said[1..said.len() - 1], expected);
        });
    }

    #[test]
    fn a_segment_that_cannot_be_begun_waits() {
        alone("output::limited::a_segment_that_cannot_be_begun_waits", || {
            for goes_on in [true, false] {
                let scratch = Scratch::new();
                let mut journal = scratch.open(small());
                append(&mut journal, 0..20);
                journal.checkpoint(at(2)).unwrap();
                assert!(journal.is_full());
                limit(100);
                is_refused(journal.rotate(at(3), []));
                is_refused(journal.rotate(at(3), []));
                assert_eq!(journal.segment(), 1);
                limit(libc::RLIM_INFINITY);
                append(&mut journal, 20..25);
                journal.flush().unwrap();
                if goes_on {
                    journal.rotate(at(4), []).unwrap();
                    assert_eq!(journal.segment(), 2);
                    append(&mut journal, 25..30);
                } else {
                    drop(journal);
                    journal = scratch.open(small());
                    assert_eq!(journal.segment(), 3);
                }
                let head = journal.seal(at(5)).unwrap();
                let verdict = verify(&scratch.log(), &key(), Some(&head)).unwrap();
                assert!(verdict.is_intact() && verdict.sealed, "{:#?}", verdict.findings);
            }
        });
    }

    #[test]
    fn a_log_that_cannot_be_begun_leaves_nothing_behind() {
        alone("output::limited::a_log_that_cannot_be_begun_leaves_nothing_behind", || {
            let scratch = Scratch::new();
            for room in [100, (HEADER_BYTES + 50) as u64] {
                for _ in 0..3 {
                    limit(room);
                    let opened = Journal::open(&scratch.log(), &key(), small(), at(1));
                    is_refused(opened.map(drop));
                    limit(libc::RLIM_INFINITY);
                    assert!(!scratch.segment(1).exists(), "{room}");
                }
            }
            assert_eq!(scratch.open(small()).segment(), 1);
        });
    }
}
