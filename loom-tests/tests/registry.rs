//! Models of the registry: one writer at a time, as its callers' lock has it, and one or two
//! searching threads, on tables of two or four cells.
//!
//! Where there is a choice the writer is the main thread: loom sees a reader's race with a store
//! better than with a writer's load before that store.
#![cfg(allot_loom)]

use allotment::internals::registry::{InsertRefused, Lookup, Registry, SEARCHES_MAX};
use allotment::internals::sync::{AtomicU64, Ordering};
use loom_tests::{ALL, bound, control, model, thread};
use std::sync::Arc;

/// With seed 7 and four cells U and V have the same home cell, and W the one before it.
const U: u128 = 0x0190_0000_0000_7000_8000_0000_0000_0001;
const V: u128 = 0x0190_0000_0000_7000_8000_0000_0000_0005;
const W: u128 = 0x0190_0000_0000_7000_8000_0000_0000_0002;
const NOBODY: u64 = 0;

/// A registry and the accounts beside it, which remember their UUID's low half.
struct Names {
    registry: Registry,
    accounts: [AtomicU64; 3],
}

impl Names {
    fn new(capacity: u32) -> Self {
        let accounts = [0, 1, 2].map(|_| AtomicU64::new(NOBODY));
        Self { registry: Registry::new(capacity, 7), accounts }
    }

    /// Relaxed on purpose: that the name is seen at all is the entry's doing.
    fn is_at(&self, uuid: u128, index: u32) -> bool {
        self.accounts[index as usize].load(Ordering::Relaxed) == uuid as u64
    }

    fn find(&self, uuid: u128) -> Lookup {
        self.registry.find(uuid, |index| self.is_at(uuid, index))
    }

    fn insert(&self, uuid: u128, index: u32) {
        self.accounts[index as usize].store(uuid as u64, Ordering::Relaxed);
        self.registry.insert(uuid, index, |i| self.is_at(uuid, i)).expect("room");
    }
}

/// A model of one searching thread and the writer.
fn raced(
    name: &str,
    capacity: u32,
    setup: fn(&Names),
    searcher: fn(&Names),
    writer: fn(&Names),
    end: fn(&Names),
) {
    model(name, None, move || {
        let names = Arc::new(Names::new(capacity));
        setup(&names);
        let searching = {
            let names = names.clone();
            thread::spawn(move || searcher(&names))
        };
        writer(&names);
        searching.join().unwrap();
        end(&names);
    });
}

/// A search that races an insertion finds the account, its name written, or nothing; one that
/// comes after it finds the account.
#[test]
fn a_search_racing_an_insertion_finds_it_or_nothing() {
    raced(
        "registry::a_search_racing_an_insertion_finds_it_or_nothing",
        1,
        |_| {},
        |names| {
            // An entry leads only to accounts whose name is written.
            let entered = names.registry.find(U, |index| {
                assert!(index == 0 && names.is_at(U, 0), "an entry before its account's name");
                true
            });
            assert!([Lookup::Found(0), Lookup::Missing].contains(&entered));
        },
        |names| names.insert(U, 0),
        |names| assert_eq!(names.find(U), Lookup::Found(0)),
    );
}

/// G3, G4: an entry that stays is found by every search, also while the tables are rebuilt twice
/// and the one being searched is cleared.
#[test]
fn an_entry_that_stays_is_found_during_rebuilds() {
    raced(
        "registry::an_entry_that_stays_is_found_during_rebuilds",
        1,
        |names| names.insert(U, 0),
        |names| assert_eq!(names.find(U), Lookup::Found(0), "stays registered"),
        |names| {
            names.registry.rebuild();
            names.registry.rebuild();
        },
        |names| {
            assert_eq!(names.find(U), Lookup::Found(0));
            assert_eq!(names.registry.rebuilds(), 2);
        },
    );
}

/// The same while others come and go: U stands behind V, whose cell is removed, used again and
/// removed; then the removed cells force a rebuild, which puts U into V's place in the other table.
#[test]
fn an_entry_that_stays_is_found_while_others_come_and_go() {
    raced(
        "registry::an_entry_that_stays_is_found_while_others_come_and_go",
        2,
        |names| {
            names.insert(V, 1);
            names.insert(U, 0);
        },
        |names| assert_eq!(names.find(U), Lookup::Found(0), "stays registered"),
        |names| {
            assert!(names.registry.remove(V, 1));
            names.insert(V, 2);
            assert_eq!(names.registry.removed(), 0, "the removed cell is used again");
            assert!(names.registry.remove(V, 2));
            names.insert(W, 1);
            assert!(names.registry.remove(W, 1));
            assert_eq!(names.registry.rebuilds(), 1, "the removed cells force a rebuild");
            names.insert(V, 2);
        },
        |names| {
            assert_eq!((names.find(U), names.find(V)), (Lookup::Found(0), Lookup::Found(2)));
            assert_eq!((names.find(W), names.registry.len()), (Lookup::Missing, 2));
        },
    );
}

/// A search for what was never there says so with certainty, whatever is rebuilt meanwhile: this
/// many rebuilds do not make it give up.
#[test]
fn a_search_gives_up_only_after_as_many_rebuilds() {
    const { assert!(SEARCHES_MAX > 2) };
    raced(
        "registry::a_search_gives_up_only_after_as_many_rebuilds",
        1,
        |names| names.insert(U, 0),
        |names| assert_eq!(names.find(V), Lookup::Missing),
        |names| {
            names.registry.rebuild();
            names.registry.rebuild();
        },
        |_| {},
    );
}

/// Once a removal has returned nobody finds the entry, and its account goes to another name
/// without anyone finding it by the old one.
#[test]
fn a_removed_entry_is_not_found_after_the_removal() {
    model("registry::a_removed_entry_is_not_found_after_the_removal", None, || {
        let names = Arc::new(Names::new(1));
        let removed = Arc::new(AtomicU64::new(0));
        names.insert(U, 0);
        let searching = {
            let (names, removed) = (names.clone(), removed.clone());
            thread::spawn(move || {
                let was_removed = removed.load(Ordering::Acquire) == 1;
                let found = names.registry.find(U, |index| index == 0);
                if was_removed {
                    assert_eq!(found, Lookup::Missing, "found after its removal");
                }
            })
        };
        assert!(names.registry.remove(U, 0));
        removed.store(1, Ordering::Release);
        searching.join().unwrap();
        names.insert(V, 0);
        assert_eq!((names.find(U), names.find(V)), (Lookup::Missing, Lookup::Found(0)));
        assert!(!names.registry.remove(U, 0), "removed once");
    });
}

/// A name that moves from one account to another is found at either or, between the two, nowhere;
/// never at a third, and never at the old one by who saw the move.
#[test]
fn a_name_that_moves_is_found_at_one_of_its_accounts() {
    model("registry::a_name_that_moves_is_found_at_one_of_its_accounts", None, || {
        let names = Arc::new(Names::new(2));
        names.insert(U, 0);
        names.insert(V, 1);
        let searching = {
            let names = names.clone();
            thread::spawn(move || {
                let first = names.registry.find(U, |index| index != 1);
                let then = names.registry.find(U, |index| index != 1);
                for found in [first, then] {
                    let places = [Lookup::Found(0), Lookup::Found(2), Lookup::Missing];
                    assert!(places.contains(&found), "found {found:?}");
                }
                let seen = first != Lookup::Found(0);
                assert!(!seen || then != Lookup::Found(0), "went back to its old account");
            })
        };
        assert!(names.registry.remove(U, 0));
        names.insert(U, 2);
        searching.join().unwrap();
        assert_eq!(names.find(U), Lookup::Found(2));
    });
}

/// A name is given once, and a refused insertion is never seen.
#[test]
fn a_name_is_given_once() {
    raced(
        "registry::a_name_is_given_once",
        2,
        |names| names.insert(U, 0),
        |names| {
            let found = names.registry.find(U, |_| true);
            assert!([Lookup::Found(0), Lookup::Missing].contains(&found), "found {found:?}");
        },
        |names| {
            let again = names.registry.insert(U, 1, |index| names.is_at(U, index));
            assert_eq!(again, Err(InsertRefused::Duplicate(0)));
            assert!(names.registry.remove(U, 0) && !names.registry.remove(U, 0));
        },
        |names| assert_eq!(names.find(U), Lookup::Missing),
    );
}

/// Two searching threads and a writer: each finds what stays, in all orders.
#[test]
fn searches_do_not_disturb_each_other() {
    model("registry::searches_do_not_disturb_each_other", bound(3, ALL), || {
        let names = Arc::new(Names::new(1));
        names.insert(U, 0);
        let searching = [0, 1].map(|_| {
            let names = names.clone();
            thread::spawn(move || assert_eq!(names.find(U), Lookup::Found(0), "stays registered"))
        });
        names.registry.rebuild();
        names.registry.rebuild();
        for thread in searching {
            thread.join().unwrap();
        }
    });
}

/// The search and the rebuild again for one entry that stays, with the rules as switches: each
/// control turns one off and must fail.
mod weakened {
    use loom::sync::atomic::{AtomicU64, Ordering};

    #[derive(Clone, Copy)]
    pub struct Rules {
        pub version_checked: bool,
        pub clearing_ordered: bool,
        pub two_tables: bool,
    }

    pub const ALL: Rules =
        Rules { version_checked: true, clearing_ordered: true, two_tables: true };

    pub struct Tables {
        rules: Rules,
        version: AtomicU64,
        /// A table of one cell each: the entry, or 0.
        tables: [AtomicU64; 2],
    }

    impl Tables {
        pub fn new(rules: Rules) -> Self {
            let tables = [AtomicU64::new(1), AtomicU64::new(0)];
            Self { rules, version: AtomicU64::new(0), tables }
        }

        fn table(&self, version: u64) -> &AtomicU64 {
            &self.tables[if self.rules.two_tables { version as usize % 2 } else { 0 }]
        }

        pub fn finds_it(&self) -> bool {
            let acquire = self.rules.clearing_ordered;
            let order = if acquire { Ordering::Acquire } else { Ordering::Relaxed };
            let mut version = self.version.load(Ordering::Acquire);
            loop {
                if self.table(version).load(order) != 0 {
                    return true;
                }
                let now = self.version.load(Ordering::Acquire);
                if !self.rules.version_checked || now == version {
                    return false;
                }
                version = now;
            }
        }

        pub fn rebuild(&self, version: u64) {
            let release = self.rules.clearing_ordered;
            let order = if release { Ordering::Release } else { Ordering::Relaxed };
            self.table(version + 1).store(0, order);
            self.table(version + 1).store(1, order);
            self.version.store(version + 1, Ordering::Release);
        }
    }
}

fn search_during_two_rebuilds(name: &str, rules: weakened::Rules) {
    model(name, None, move || {
        let tables = Arc::new(weakened::Tables::new(rules));
        let searching = {
            let tables = tables.clone();
            thread::spawn(move || assert!(tables.finds_it(), "missed an entry that stays"))
        };
        tables.rebuild(0);
        tables.rebuild(1);
        searching.join().unwrap();
    });
}

/// The copy with all rules kept is sound, so that each control below fails for its own reason.
#[test]
fn copy_with_all_rules_is_sound() {
    search_during_two_rebuilds("registry::copy_with_all_rules_is_sound", weakened::ALL);
}

#[test]
#[should_panic(expected = "missed an entry that stays")]
fn control_a_search_that_does_not_look_at_the_version_again_misses() {
    let rules = weakened::Rules { version_checked: false, ..weakened::ALL };
    control("registry::without the second look", || {
        search_during_two_rebuilds("registry::an_entry_that_stays_is_found_during_rebuilds", rules);
    });
}

#[test]
#[should_panic(expected = "missed an entry that stays")]
fn control_a_clearing_without_order_is_missed() {
    let rules = weakened::Rules { clearing_ordered: false, ..weakened::ALL };
    control("registry::without order", || {
        search_during_two_rebuilds("registry::an_entry_that_stays_is_found_during_rebuilds", rules);
    });
}

#[test]
#[should_panic(expected = "missed an entry that stays")]
fn control_a_rebuild_in_place_is_seen() {
    let rules = weakened::Rules { two_tables: false, ..weakened::ALL };
    control("registry::in place", || {
        search_during_two_rebuilds("registry::an_entry_that_stays_is_found_during_rebuilds", rules);
    });
}
