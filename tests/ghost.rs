//! Ghosts against a naive memory: a list of what was evicted, newest first.

use allotment::internals::ghost::{CELLS, Ghost, Ghosts};
use allotment::internals::word::Owner;
use proptest::prelude::*;

/// One set, or a memory without end: a list of key, frequency and clock.
#[derive(Default)]
struct Naive {
    newest_first: Vec<(u64, u32, u32)>,
    capacity: usize,
}

impl Naive {
    fn remember(&mut self, key: u64, frequency: u32, clock: u32) {
        self.newest_first.retain(|known| known.0 != key);
        self.newest_first.insert(0, (key, frequency.min(65_535), clock));
        self.newest_first.truncate(self.capacity);
    }

    fn recall(&mut self, key: u64, clock: u32) -> Option<Ghost> {
        let at = self.newest_first.iter().position(|known| known.0 == key)?;
        let (_, frequency, evicted) = self.newest_first.remove(at);
        Some(Ghost { frequency, absent: clock.wrapping_sub(evicted) })
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Remember(u64, u32),
    Recall(u64),
}

fn steps(keys: u64) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (1..=keys, 1..100_000_u32).prop_map(|(key, frequency)| Step::Remember(key, frequency)),
        (1..=keys).prop_map(Step::Recall),
    ];
    prop::collection::vec(step, 0..200)
}

const OWNER: Owner = Owner(0x0123_4567);

proptest! {
    /// One set is exactly a list of its length. The keys here have different tags.
    #[test]
    fn one_set_is_a_short_list(steps in steps(20), start: u32) {
        let ghosts = Ghosts::new(CELLS as u32);
        let mut naive = Naive { capacity: CELLS, ..Naive::default() };
        for (step, clock) in steps.into_iter().zip((0..).map(|n| start.wrapping_add(n))) {
            match step {
                Step::Remember(key, frequency) => {
                    ghosts.remember(OWNER, key, frequency, clock);
                    naive.remember(key, frequency, clock);
                }
                Step::Recall(key) => {
                    prop_assert_eq!(ghosts.recall(OWNER, key, clock), naive.recall(key, clock));
                }
            }
        }
    }

    /// A table with room to spare forgets nothing and takes no key for another.
    #[test]
    fn a_roomy_table_forgets_nothing(steps in steps(40), start: u32) {
        let ghosts = Ghosts::new(40 * 64);
        let mut naive = Naive { capacity: usize::MAX, ..Naive::default() };
        for (step, clock) in steps.into_iter().zip((0..).map(|n| start.wrapping_add(n))) {
            match step {
                Step::Remember(key, frequency) => {
                    ghosts.remember(OWNER, key, frequency, clock);
                    naive.remember(key, frequency, clock);
                }
                Step::Recall(key) => {
                    prop_assert_eq!(ghosts.recall(OWNER, key, clock), naive.recall(key, clock));
                }
            }
        }
    }

    /// The table never holds more than its capacity, and tells keys apart by 16 bits of a tag.
    #[test]
    fn a_crowded_table_rarely_errs(keys_max in 0..64_u32, keys in 1..500_u64) {
        let ghosts = Ghosts::new(keys_max);
        (1..=keys).for_each(|key| ghosts.remember(OWNER, key, key as u32, 0));
        let recall = |key| ghosts.recall(OWNER, key, 7).map(|ghost| (key, ghost));
        let recalled: Vec<_> = (1..=keys).filter_map(recall).collect();
        prop_assert!(recalled.len() as u64 <= ghosts.capacity());
        let right = |&&(key, ghost): &&(u64, Ghost)| {
            ghost == Ghost { frequency: key as u32, absent: 7 }
        };
        let wrong = recalled.len() - recalled.iter().filter(right).count();
        prop_assert!(wrong <= 2, "{wrong} of {} keys were taken for others", recalled.len());
    }
}

#[test]
fn remembering_and_recalling_from_many_threads_is_harmless() {
    let ghosts = Ghosts::new(64);
    std::thread::scope(|threads| {
        for thread in 0..4_u64 {
            let ghosts = &ghosts;
            threads.spawn(move || {
                for n in 0..20_000_u64 {
                    let key = 1 + (n * 7 + thread) % 100;
                    ghosts.remember(OWNER, key, 1_000 + key as u32, n as u32);
                    if let Some(ghost) = ghosts.recall(OWNER, 1 + n % 100, n as u32) {
                        assert_eq!(ghost.frequency, 1_000 + 1 + (n % 100) as u32);
                    }
                }
            });
        }
    });
}
