//! The registry against a hash map, and what it costs to search it.

use allotment::internals::registry::{InsertRefused, Lookup, Registry, SEARCHES_MAX};
use proptest::prelude::*;
use std::collections::HashMap;

/// The accounts beside a registry: who has which index.
struct Accounts(Vec<Option<u128>>);

impl Accounts {
    fn verify(&self, uuid: u128) -> impl Fn(u32) -> bool {
        move |index| self.0[index as usize] == Some(uuid)
    }

    fn free_index(&self) -> Option<u32> {
        self.0.iter().position(Option::is_none).map(|i| i as u32)
    }
}

#[derive(Clone, Debug)]
enum Step {
    Insert(usize),
    Remove(usize),
    Rebuild,
}

fn step(names: usize) -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..names).prop_map(Step::Insert),
        8 => (0..names).prop_map(Step::Remove),
        1 => Just(Step::Rebuild),
    ]
}

const NAMES: usize = 24;

/// One step on both, with the answers compared.
fn apply(
    registry: &Registry,
    capacity: u32,
    accounts: &mut Accounts,
    naive: &mut HashMap<u128, u32>,
    (step, names): (&Step, &[u128]),
) -> Result<(), TestCaseError> {
    match *step {
        Step::Insert(i) => {
            let uuid = names[i];
            let index = accounts.free_index().expect("one more account than names");
            let expected = match naive.get(&uuid) {
                Some(&index) => Err(InsertRefused::Duplicate(index)),
                None if naive.len() == capacity as usize => Err(InsertRefused::Full),
                None => Ok(()),
            };
            prop_assert_eq!(registry.insert(uuid, index, accounts.verify(uuid)), expected);
            if expected.is_ok() {
                accounts.0[index as usize] = Some(uuid);
                naive.insert(uuid, index);
            }
        }
        Step::Remove(i) => match naive.remove(&names[i]) {
            Some(index) => {
                prop_assert!(!registry.remove(names[i], index + 1), "of another account");
                prop_assert!(registry.remove(names[i], index));
                accounts.0[index as usize] = None;
            }
            None => prop_assert!(!registry.remove(names[i], 0)),
        },
        Step::Rebuild => registry.rebuild(),
    }
    Ok(())
}

proptest! {
    #[test]
    fn agrees_with_a_hash_map(
        capacity in 0..20u32,
        seed in any::<u64>(),
        names in prop::collection::hash_set(any::<u128>(), NAMES),
        steps in prop::collection::vec(step(NAMES), 0..150),
    ) {
        let registry = Registry::new(capacity, seed);
        let names: Vec<u128> = names.into_iter().collect();
        let mut accounts = Accounts(vec![None; NAMES + 1]);
        let mut naive = HashMap::new();
        let cells = (2 * capacity).next_power_of_two();
        for step in &steps {
            apply(&registry, capacity, &mut accounts, &mut naive, (step, &names))?;
            for &uuid in &names {
                let expected = naive.get(&uuid).map_or(Lookup::Missing, |&i| Lookup::Found(i));
                prop_assert_eq!(registry.find(uuid, accounts.verify(uuid)), expected);
            }
            prop_assert_eq!(registry.len() as usize, naive.len());
            prop_assert_eq!(registry.is_empty(), naive.is_empty());
            prop_assert!(registry.removed() <= cells / 4, "G1");
        }
    }
}

#[test]
fn removals_rebuild_the_table_and_nothing_is_lost() {
    let registry = Registry::new(64, 1);
    let stay = |uuid: u128| move |index: u32| u128::from(index) == uuid;
    for uuid in 0..32 {
        registry.insert(uuid, uuid as u32, |_| false).unwrap();
    }
    for uuid in 1000..5000 {
        registry.insert(uuid, uuid as u32, |_| false).unwrap();
        assert!(registry.remove(uuid, uuid as u32));
    }
    assert!(registry.rebuilds() > 0);
    for uuid in 0..32 {
        assert_eq!(registry.find(uuid, stay(uuid)), Lookup::Found(uuid as u32));
    }
    assert_eq!(registry.len(), 32);
}

/// A writer that rebuilds at every turn, played by the check of the account, drives a search to
/// its bound: it says that it knows nothing, and never that the name is missing.
#[test]
fn a_search_that_is_always_disturbed_says_contended() {
    let registry = Registry::new(4, 1);
    registry.insert(7, 0, |_| false).unwrap();
    let disturb = |_: u32| {
        registry.rebuild();
        false
    };
    assert_eq!(registry.find(7, disturb), Lookup::Contended);
    assert_eq!(registry.rebuilds(), u64::from(SEARCHES_MAX));
    assert_eq!(registry.find(7, |_| true), Lookup::Found(0));
}

#[test]
#[should_panic(expected = "registry capacity 1073741825 is above 1073741824")]
fn a_capacity_beyond_the_index_is_refused() {
    Registry::new((1 << 30) + 1, 0);
}

#[test]
fn tracking_bytes_are_two_tables_of_two_cells_each() {
    let small_bytes = Registry::new(1, 0).tracking_bytes();
    assert_eq!(Registry::new(1024, 0).tracking_bytes() - small_bytes, 2 * (2048 - 2) * 8);
}

/// Threads search names that stay while others come and go under a lock.
#[test]
fn threads_find_what_stays() {
    const TURNS: u128 = if cfg!(miri) { 40 } else { 20_000 };
    let registry = Registry::new(8, 3);
    for uuid in 0..4 {
        registry.insert(uuid, uuid as u32, |_| false).unwrap();
    }
    std::thread::scope(|scope| {
        for uuid in 0..2 {
            let registry = &registry;
            scope.spawn(move || {
                for _ in 0..TURNS {
                    match registry.find(uuid, |index| u128::from(index) == uuid) {
                        Lookup::Found(index) => assert_eq!(u128::from(index), uuid),
                        Lookup::Missing => panic!("missed {uuid}, which stays"),
                        Lookup::Contended => {}
                    }
                }
            });
        }
        for uuid in 100..100 + TURNS {
            registry.insert(uuid, uuid as u32, |_| false).unwrap();
            assert!(registry.remove(uuid, uuid as u32));
        }
    });
}

/// Knuth's figures for linear probing at half load: 1.5 cells for a hit, 2.5 for a miss.
#[cfg(allot_steps)]
#[test]
fn a_full_registry_is_searched_in_few_loads() {
    use allotment::internals::sync::count_steps;
    const NAMES: u32 = 1 << 14;
    let registry = Registry::new(NAMES, 5);
    for index in 0..NAMES {
        registry.insert(u128::from(index), index, |_| false).unwrap();
    }
    let loads = |names: std::ops::Range<u32>| {
        let mut accesses = 0;
        for name in names.clone() {
            let (_, steps) = count_steps(|| registry.find(name.into(), |index| index == name));
            assert_eq!(steps.read_modify_writes, 0);
            accesses += steps.accesses;
        }
        accesses as f64 / names.len() as f64
    };
    let (hit, miss) = (loads(0..NAMES), loads(NAMES..2 * NAMES));
    println!("loads of a hit {hit:.2}, of a miss {miss:.2}, the version's included");
    assert!(hit < 1.0 + 1.7 && miss < 2.0 + 2.8, "hit {hit}, miss {miss}");
}
