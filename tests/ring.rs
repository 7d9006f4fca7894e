//! The ring against a naive one: a list of all that was ever pushed.
//!
//! One thread drops nothing, so the oracle is exact; what concurrency adds is counted in the
//! threaded test here and proved on small rings by `loom-tests/tests/ring.rs`.

use allotment::internals::ring::{Cursor, Read, Record, Ring};
use proptest::prelude::*;

/// Remembers everything; forgets by arithmetic alone.
struct Naive {
    capacity: u64,
    all: Vec<[u64; 3]>,
}

impl Naive {
    fn read(&self, next: &mut u64) -> Read<Record<3>> {
        let oldest = (self.all.len() as u64).saturating_sub(self.capacity);
        let sequence = *next;
        if sequence < oldest {
            *next = oldest;
            return Read::Lost(oldest - sequence);
        }
        match self.all.get(sequence as usize) {
            None => Read::Empty,
            Some(&words) => {
                *next += 1;
                Read::Event(Record { sequence, words })
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Push([u64; 3]),
    Read(usize),
    ToEnd(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => any::<[u64; 3]>().prop_map(Step::Push),
        4 => (0..3usize).prop_map(Step::Read),
        1 => (0..3usize).prop_map(Step::ToEnd),
    ]
}

proptest! {
    #[test]
    fn agrees_with_a_list_of_everything(
        capacity_log2 in 0..5u32,
        steps in prop::collection::vec(step(), 0..200),
    ) {
        let capacity = 1 << capacity_log2;
        let ring = Ring::<3>::new(capacity);
        let mut naive = Naive { capacity: u64::from(capacity), all: Vec::new() };
        let mut cursors = [(Cursor::default(), 0); 3];
        for step in steps {
            match step {
                Step::Push(words) => {
                    prop_assert_eq!(ring.push(&words), Some(naive.all.len() as u64));
                    naive.all.push(words);
                }
                Step::Read(i) => {
                    let (cursor, next) = &mut cursors[i];
                    prop_assert_eq!(ring.read(cursor), naive.read(next));
                }
                Step::ToEnd(i) => cursors[i] = (ring.end(), naive.all.len() as u64),
            }
            for (cursor, next) in &cursors {
                prop_assert_eq!(cursor.next(), *next);
            }
        }
        prop_assert_eq!(ring.pushed(), naive.all.len() as u64);
        prop_assert_eq!(ring.dropped(), 0);
    }
}

#[test]
fn a_ring_of_nothing_keeps_nothing() {
    let ring = Ring::<7>::new(0);
    assert_eq!(ring.push(&[1; 7]), None);
    assert_eq!(ring.read(&mut Cursor::default()), Read::Empty);
    assert_eq!((ring.pushed(), ring.dropped(), ring.capacity()), (0, 0, 0));
}

#[test]
#[should_panic(expected = "ring capacity 3 is not a power of two")]
fn an_odd_capacity_is_refused() {
    Ring::<7>::new(3);
}

#[test]
fn tracking_bytes_are_a_line_and_a_word_per_record() {
    let empty_bytes = Ring::<7>::new(0).tracking_bytes();
    assert_eq!(Ring::<7>::new(1024).tracking_bytes() - empty_bytes, 1024 * (64 + 8));
}

#[test]
fn threads_lose_only_what_is_counted() {
    const PUSHES: u64 = if cfg!(miri) { 50 } else { 20_000 };
    const WRITERS: u64 = 3;
    let ring = Ring::<3>::new(16);
    let whole = |r: &Record<3>| r.words[1] == !r.words[0] && r.words[2] == r.words[0] ^ 0x5a5a;
    let (stored, [first, second]) = std::thread::scope(|scope| {
        let writers = [0, 1, 2].map(|writer| {
            let ring = &ring;
            let record = move |i: u64| {
                let x = writer * PUSHES + i;
                [x, !x, x ^ 0x5a5a]
            };
            scope.spawn(move || (0..PUSHES).filter(|&i| ring.push(&record(i)).is_some()).count())
        });
        let readers = [0, 1].map(|_| {
            scope.spawn(|| {
                let (mut cursor, mut read, mut lost) = (Cursor::default(), 0, 0);
                while cursor.next() < WRITERS * PUSHES {
                    match ring.read(&mut cursor) {
                        Read::Event(record) => {
                            assert!(whole(&record), "torn record {record:?}");
                            read += 1;
                        }
                        Read::Lost(count) => lost += count,
                        Read::Empty => std::thread::yield_now(),
                    }
                    assert_eq!(cursor.next(), read + lost);
                }
                read
            })
        });
        let stored: usize = writers.map(|w| w.join().unwrap()).into_iter().sum();
        (stored as u64, readers.map(|r| r.join().unwrap()))
    });
    assert_eq!(ring.pushed(), WRITERS * PUSHES);
    assert_eq!(ring.pushed(), stored + ring.dropped());
    assert!(first <= stored && second <= stored);
}

#[cfg(allot_steps)]
#[test]
fn a_push_is_two_read_modify_writes_and_a_read_is_none() {
    use allotment::internals::ring::PUSH_READ_MODIFY_WRITES_MAX;
    use allotment::internals::sync::count_steps;
    let ring = Ring::<7>::new(4);
    for i in 0..9 {
        let (_, steps) = count_steps(|| ring.push(&[i; 7]));
        assert_eq!((steps.read_modify_writes, steps.accesses), (2, 8));
        assert!(steps.read_modify_writes <= PUSH_READ_MODIFY_WRITES_MAX);
    }
    let mut cursor = ring.end();
    let (_, steps) = count_steps(|| ring.read(&mut cursor));
    assert_eq!((steps.read_modify_writes, steps.accesses), (0, 3));
    let mut cursor = Cursor::at(5);
    let (_, steps) = count_steps(|| ring.read(&mut cursor));
    assert_eq!((steps.read_modify_writes, steps.accesses), (0, 9));
}
