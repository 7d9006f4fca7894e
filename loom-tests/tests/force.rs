//! Loom models of `src/core/force.rs`. The scenarios and what they claim are in
//! `scenarios/force.rs`; that they can fail is shown in `core_mutants.rs`.
#![cfg(allot_loom)]

use allotment::internals as core;

#[expect(unused, reason = "a scene made for more than force")]
mod scenario {
    include!("scenarios/force.rs");
}

loom_tests::models! {
    a_late_end_and_a_release_count_the_bytes_once
    a_late_end_and_an_eviction_count_the_bytes_once
    a_reservation_that_runs_out_while_it_is_committed_is_one_or_the_other
    force_and_two_releases_count_the_bytes_once
}
