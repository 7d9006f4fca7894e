//! Loom models of `src/core/tenant.rs`. The scenarios and what they claim are in
//! `scenarios/tenant.rs`; that they can fail is shown in `core_mutants.rs`.
#![cfg(allot_loom)]

use allotment::internals as core;

mod scenario {
    include!("scenarios/tenant.rs");
}

loom_tests::models! {
    counts_of_slow_paths_add_up
}
