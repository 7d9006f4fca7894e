//! Loom models of `src/core/past.rs`. The scenarios and what they claim are in
//! `scenarios/past.rs`; that they can fail is shown in `core_mutants.rs`.
#![cfg(allot_loom)]

use allotment::internals as core;

mod scenario {
    include!("scenarios/past.rs");
}

loom_tests::models! {
    a_hint_names_a_slot_that_was_freed
    takers_that_meet_get_slots_that_were_freed
}
