//! Loom models of `src/core/pressure.rs`. The scenarios and what they claim are in
//! `scenarios/pressure.rs`; that they can fail is shown in `core_mutants.rs`.
#![cfg(allot_loom)]

use allotment::internals as core;

mod scenario {
    include!("scenarios/pressure.rs");
}

loom_tests::models! {
    a_report_and_a_fill_are_both_in_force
    the_level_in_force_is_the_worse_of_the_two
}
