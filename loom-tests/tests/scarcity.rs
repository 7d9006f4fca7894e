//! Loom models of `src/core/scarcity.rs`. The scenarios and what they claim are in
//! `scenarios/scarcity.rs`; that they can fail is shown in `core_mutants.rs`.
#![cfg(allot_loom)]

use allotment::internals as core;

mod scenario {
    include!("scenarios/scarcity.rs");
}

loom_tests::models! {
    who_begins_to_wait_finds_the_bytes_or_is_found
    two_releases_find_who_begins_to_wait_or_leave_it_all
    what_was_left_idle_is_known_to_who_settles
    waiters_are_counted_while_excess_comes_and_goes
}
