//! `src/core/backlog.rs` against a plain sorted list: whatever comes and goes, the least worth
//! entry leaves first, and only what is worth more than another one ever gives way to it.

use allotment::internals::backlog::{Backlogs, ENTRIES_MIN, Entry, Source};
use proptest::prelude::*;
use std::collections::BTreeSet;

const OF: Source = Source { owner: 1 << 32 | 1, segments: 1, policy: 0, clock: 5, fades: false };

#[derive(Clone, Copy, Debug)]
enum Step {
    Add { key: u64 },
    RemoveFirst,
    LetGo,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        60 => (0..500_u64).prop_map(|key| Step::Add { key }),
        30 => Just(Step::RemoveFirst),
        1 => Just(Step::LetGo),
    ];
    proptest::collection::vec(step, 1..600)
}

proptest! {
    #[test]
    fn the_least_leaves_first(steps in steps()) {
        let backlogs = Backlogs::new(256);
        let mut plain: BTreeSet<Entry> = BTreeSet::new();
        let mut held = backlogs.hold(&OF, || true).unwrap();
        for (slot, step) in (0..).zip(steps) {
            match step {
                Step::Add { key } => {
                    let bar = held.bar();
                    prop_assert_eq!(bar == u64::MAX, plain.len() < ENTRIES_MIN as usize);
                    if key < bar {
                        let entry = Entry { key, slot };
                        plain.insert(entry);
                        let left = held.add(entry);
                        prop_assert_eq!(left.is_some(), plain.len() > ENTRIES_MIN as usize);
                        if let Some(left) = left {
                            prop_assert!(left.key == bar && plain.remove(&left));
                        }
                    } else {
                        held.take_turns();
                    }
                }
                Step::RemoveFirst => {
                    let first = held.first();
                    held.remove_first();
                    let least = plain.first().map(|entry| entry.key);
                    prop_assert_eq!(first.map(|entry| entry.key), least);
                    first.iter().for_each(|first| assert!(plain.remove(first)));
                }
                Step::LetGo => {
                    drop(held);
                    held = backlogs.hold(&OF, || true).unwrap();
                }
            }
            prop_assert_eq!(held.len(), plain.len());
        }
    }
}

/// What is worth more than all others gives way in time, whatever its place.
#[test]
fn the_most_worth_give_way() {
    let backlogs = Backlogs::new(256);
    let mut held = backlogs.hold(&OF, || true).unwrap();
    for slot in 0..ENTRIES_MIN {
        assert_eq!(held.add(Entry { key: 1_000 - u64::from(slot), slot }), None);
    }
    for slot in 0..4 * ENTRIES_MIN {
        let key = u64::from(slot % 7);
        if key < held.bar() {
            assert!(held.add(Entry { key, slot: 1_000 + slot }).is_some());
        }
        held.take_turns();
    }
    let mut kept = Vec::new();
    while let Some(entry) = held.first() {
        kept.push(entry.key);
        held.remove_first();
    }
    let old = kept.iter().filter(|&&key| key >= 7).count();
    assert!(kept.is_sorted() && old < ENTRIES_MIN as usize / 2, "{old} of the old are left");
}

#[test]
fn who_comes_while_it_is_held_goes_without() {
    let backlogs = Backlogs::new(256);
    let held = backlogs.hold(&OF, || true).unwrap();
    assert!(backlogs.hold(&OF, || true).is_none());
    let other = Source { owner: OF.owner + 2, ..OF };
    assert!(backlogs.hold(&other, || true).is_some(), "another queue has its own");
    drop(held);
    assert!(backlogs.hold(&OF, || true).is_some());
}

/// A queue that ends frees its backlog, also while a late search holds it; the next one begins
/// with nothing.
#[test]
fn a_backlog_changes_hands_empty() {
    let backlogs = Backlogs::new(4);
    let next = Source { owner: OF.owner + 2, ..OF };
    let mut held = backlogs.hold(&OF, || true).unwrap();
    assert_eq!(held.add(Entry { key: 1, slot: 1 }), None);
    assert!(backlogs.hold(&next, || true).is_none(), "there is one only");
    backlogs.give_back(OF.owner);
    assert!(backlogs.hold(&next, || true).is_none(), "still held");
    drop(held);
    assert!(backlogs.hold(&next, || true).is_some_and(|held| held.is_empty()));
    assert!(backlogs.hold(&OF, || true).is_none());
}

/// Who comes late finds out once it has taken one, and lets go of it.
#[test]
fn a_queue_that_has_ended_takes_none() {
    let backlogs = Backlogs::new(4);
    assert!(backlogs.hold(&OF, || false).is_none());
    let next = Source { owner: OF.owner + 2, ..OF };
    assert!(backlogs.hold(&next, || true).is_some(), "there is one, and it is free");
    let asked = || unreachable!("what it has it keeps until it is given back");
    assert!(backlogs.hold(&next, asked).is_some());
}

/// Keys hold time, which begins anew before it would overflow; ranks of different policies are not
/// compared.
#[test]
fn time_and_ranks_begin_anew() {
    let backlogs = Backlogs::new(256);
    let of = |clock, policy| Source { clock, policy, ..OF };
    let held = backlogs.hold(&of(u32::MAX, 0), || true).unwrap();
    let (young, old) = (held.key((1, 0)), held.key((1, 1_000)));
    assert!(old < young && !held.is_outdated(&of(u32::MAX, 0)));
    assert!(held.is_outdated(&of(u32::MAX, 1)), "another policy");
    drop(held);
    let mut held = backlogs.hold(&of(5, 0), || true).unwrap();
    assert_eq!((held.key((1, 0)), held.key((1, 6))), (young + 6, young), "the clock wraps");
    assert_eq!(held.key((2, u32::MAX)), 2 << 32, "older than time itself");
    drop(held);
    let much_later = of(u32::MAX / 4 * 3, 0);
    held = backlogs.hold(&much_later, || true).unwrap();
    assert!(held.is_outdated(&much_later));
    held.begin_anew(&much_later);
    assert!(!held.is_outdated(&much_later) && held.window(&much_later) > 1);
}
