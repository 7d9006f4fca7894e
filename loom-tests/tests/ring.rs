//! Models of the event ring: two writers and a reader on rings of one or two records.
//!
//! Every record is a ticket's two words `[x, !x]`, so that a torn one shows.
#![cfg(allot_loom)]

use allotment::internals::ring::{Cursor, Read, Ring};
use loom_tests::{control, model, thread};
use std::sync::Arc;

fn record(x: u64) -> [u64; 2] {
    [x, !x]
}

/// Reads once; answers how many sequence numbers that settled and whether one was read.
fn read_once(ring: &Ring<2>, cursor: &mut Cursor) -> (u64, bool) {
    let start = cursor.next();
    match ring.read(cursor) {
        Read::Event(r) => {
            assert_eq!(r.words[1], !r.words[0], "torn record");
            assert_eq!(r.sequence, start, "record of another sequence number");
            assert_eq!(cursor.next(), start + 1);
            (1, true)
        }
        Read::Lost(n) => {
            assert!(n > 0 && cursor.next() == start + n, "cursor moves by what it lost");
            (n, false)
        }
        Read::Empty => {
            assert_eq!(cursor.next(), start);
            (0, false)
        }
    }
}

/// Reads to the end of a ring at rest; answers how many were read.
fn drain(ring: &Ring<2>, cursor: &mut Cursor) -> u64 {
    let mut read = 0;
    loop {
        match read_once(ring, cursor) {
            (0, _) => return read,
            (_, got) => read += u64::from(got),
        }
    }
}

/// R3: a reader that races two laps of one writer gets whole records of the sequence it asked for.
#[test]
fn a_record_read_is_whole() {
    model("ring::a_record_read_is_whole", None, || {
        let ring = Arc::new(Ring::<2>::new(1));
        let writer = {
            let ring = ring.clone();
            thread::spawn(move || {
                assert_eq!(ring.push(&record(5)), Some(0));
                assert_eq!(ring.push(&record(9)), Some(1));
            })
        };
        let mut cursor = Cursor::default();
        for _ in 0..2 {
            if let Read::Event(r) = ring.read(&mut cursor) {
                assert_eq!(r.words, record(if r.sequence == 0 { 5 } else { 9 }), "torn record");
            }
        }
        writer.join().unwrap();
        assert_eq!(ring.dropped(), 0, "a writer alone drops nothing");
    });
}

/// R1, R3: two writers a lap apart never write one record together; what is in the ring at rest is
/// whole, and every ticket was stored or counted as dropped.
#[test]
fn writers_a_lap_apart_do_not_mix() {
    model("ring::writers_a_lap_apart_do_not_mix", None, || {
        let ring = Arc::new(Ring::<2>::new(1));
        let writer = {
            let ring = ring.clone();
            thread::spawn(move || u64::from(ring.push(&record(5)).is_some()))
        };
        let stored = u64::from(ring.push(&record(9)).is_some()) + writer.join().unwrap();
        assert_eq!(ring.pushed(), stored + ring.dropped(), "R1");
        assert!(stored >= 1, "the writer who claims first stores");
        let mut cursor = Cursor::default();
        assert!(drain(&ring, &mut cursor) <= 1);
        assert_eq!(cursor.next(), ring.pushed(), "R4: the reader reaches the end");
    });
}

/// R2, R4: whatever a reader met on the way, in the end each sequence number was read or lost, and
/// no dropped ticket keeps it from the end.
#[test]
fn every_sequence_is_read_or_counted_as_lost() {
    model("ring::every_sequence_is_read_or_counted_as_lost", None, || {
        let ring = Arc::new(Ring::<2>::new(1));
        let writers = [5, 9].map(|x| {
            let ring = ring.clone();
            thread::spawn(move || u64::from(ring.push(&record(x)).is_some()))
        });
        let mut cursor = Cursor::default();
        let (settled, got) = read_once(&ring, &mut cursor);
        let stored: u64 = writers.map(|w| w.join().unwrap()).into_iter().sum();
        let before = cursor.next();
        let read = u64::from(got) + drain(&ring, &mut cursor);
        assert_eq!(settled, before, "R2 on the way");
        assert_eq!(cursor.next(), 2, "R4");
        assert!(read <= stored, "nothing is read twice");
        assert_eq!(ring.pushed(), stored + ring.dropped(), "R1");
    });
}

/// R1, R4 with three writers of one cell: two of them may drop, and mark the same cell, at once.
#[test]
fn three_writers_leave_no_hole_unmarked() {
    model("ring::three_writers_leave_no_hole_unmarked", None, || {
        let ring = Arc::new(Ring::<2>::new(1));
        let writers = [5, 9].map(|x| {
            let ring = ring.clone();
            thread::spawn(move || u64::from(ring.push(&record(x)).is_some()))
        });
        let own = u64::from(ring.push(&record(13)).is_some());
        let stored = own + writers.map(|w| w.join().unwrap()).into_iter().sum::<u64>();
        let mut cursor = Cursor::default();
        assert!(drain(&ring, &mut cursor) <= 1);
        assert_eq!(cursor.next(), 3, "R4");
        assert_eq!(ring.pushed(), stored + ring.dropped(), "R1");
    });
}

/// With room for all, two writers and no lap: nothing is lost and nothing dropped.
#[test]
fn with_room_nothing_is_lost() {
    model("ring::with_room_nothing_is_lost", None, || {
        let ring = Arc::new(Ring::<2>::new(2));
        let writers = [5, 9].map(|x| {
            let ring = ring.clone();
            thread::spawn(move || ring.push(&record(x)).expect("a free cell"))
        });
        let mut cursor = Cursor::default();
        let (settled, got) = read_once(&ring, &mut cursor);
        assert_eq!(settled, u64::from(got), "nothing is lost on the way");
        let mut sequences = writers.map(|w| w.join().unwrap());
        sequences.sort_unstable();
        assert_eq!(sequences, [0, 1]);
        assert_eq!(u64::from(got) + drain(&ring, &mut cursor), 2);
        assert_eq!(ring.dropped(), 0);
    });
}

/// A ring of one record again, as small as can be, with its rules as switches: each control turns
/// one off and must fail.
mod weakened {
    use super::record;
    use loom::sync::atomic::{AtomicU64, Ordering, fence};

    #[derive(Clone, Copy)]
    pub struct Rules {
        pub writer_fence: bool,
        pub reader_fence: bool,
        pub owner_respected: bool,
    }

    pub const ALL: Rules = Rules { writer_fence: true, reader_fence: true, owner_respected: true };

    pub struct Cell {
        rules: Rules,
        stamp: AtomicU64,
        words: [AtomicU64; 2],
    }

    impl Cell {
        pub fn new(rules: Rules) -> Self {
            let words = [AtomicU64::new(0), AtomicU64::new(0)];
            Self { rules, stamp: AtomicU64::new(0), words }
        }

        pub fn push(&self, ticket: u64, x: u64) {
            let mut expected = 0;
            loop {
                let claim = (2 * ticket + 1, Ordering::Acquire, Ordering::Relaxed);
                match self.stamp.compare_exchange(expected, claim.0, claim.1, claim.2) {
                    Ok(_) => break,
                    Err(stamp) if stamp > claim.0 => return,
                    Err(stamp) if stamp % 2 == 1 && self.rules.owner_respected => return,
                    Err(stamp) => expected = stamp,
                }
            }
            if self.rules.writer_fence {
                fence(Ordering::Release);
            }
            for (place, word) in self.words.iter().zip(record(x)) {
                place.store(word, Ordering::Relaxed);
            }
            self.stamp.store(2 * ticket + 2, Ordering::Release);
        }

        pub fn read(&self) {
            let before = self.stamp.load(Ordering::Acquire);
            if before % 2 == 1 || before == 0 {
                return;
            }
            let words = [0, 1].map(|i: usize| self.words[i].load(Ordering::Relaxed));
            if self.rules.reader_fence {
                fence(Ordering::Acquire);
            }
            if self.stamp.load(Ordering::Relaxed) == before {
                assert_eq!(words[1], !words[0], "torn record");
            }
        }
    }
}

fn one_writer_two_laps(name: &str, rules: weakened::Rules) {
    model(name, None, move || {
        let cell = Arc::new(weakened::Cell::new(rules));
        let writer = {
            let cell = cell.clone();
            thread::spawn(move || {
                cell.push(0, 5);
                cell.push(1, 9);
            })
        };
        cell.read();
        writer.join().unwrap();
    });
}

fn two_writers_of_one_cell(name: &str, rules: weakened::Rules) {
    model(name, None, move || {
        let cell = Arc::new(weakened::Cell::new(rules));
        let writer = {
            let cell = cell.clone();
            thread::spawn(move || cell.push(0, 5))
        };
        cell.push(1, 9);
        writer.join().unwrap();
        cell.read();
    });
}

/// The copy with all rules kept is sound, so that each control below fails for its own reason.
#[test]
fn copy_with_all_rules_is_sound() {
    one_writer_two_laps("ring::copy_with_all_rules_is_sound (laps)", weakened::ALL);
    two_writers_of_one_cell("ring::copy_with_all_rules_is_sound (writers)", weakened::ALL);
}

#[test]
#[should_panic(expected = "torn record")]
fn control_without_the_readers_fence_records_tear() {
    let rules = weakened::Rules { reader_fence: false, ..weakened::ALL };
    control("ring::without the reader's fence", || {
        one_writer_two_laps("ring::a_record_read_is_whole", rules);
    });
}

#[test]
#[should_panic(expected = "torn record")]
fn control_without_the_writers_fence_records_tear() {
    let rules = weakened::Rules { writer_fence: false, ..weakened::ALL };
    control("ring::without the writer's fence", || {
        one_writer_two_laps("ring::a_record_read_is_whole", rules);
    });
}

#[test]
#[should_panic(expected = "torn record")]
fn control_writers_that_take_an_owned_cell_mix() {
    let rules = weakened::Rules { owner_respected: false, ..weakened::ALL };
    control("ring::taking an owned cell", || {
        two_writers_of_one_cell("ring::writers_a_lap_apart_do_not_mix", rules);
    });
}
