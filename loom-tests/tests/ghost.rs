//! Loom models of `src/core/ghost.rs`. The scenarios and what they claim are in
//! `scenarios/ghost.rs`; that they can fail is shown in `core_mutants.rs`.
#![cfg(allot_loom)]

use allotment::internals as core;

mod scenario {
    include!("scenarios/ghost.rs");
}

loom_tests::models! {
    a_ghost_is_recalled_whole
    those_remembered_at_once_are_not_mixed
}
