//! Loom models of `src/core/lessons.rs`. The scenarios and what they claim are in
//! `scenarios/lessons.rs`; that they can fail is shown in `core_mutants.rs`.
#![cfg(allot_loom)]

use allotment::internals as core;

mod scenario {
    include!("scenarios/lessons.rs");
}

loom_tests::models! {
    weights_keep_their_bounds_whoever_learns
    a_weight_moves_by_whole_lessons
}
