//! Loom models of `src/core/admission.rs`. The scenarios and what they claim are in
//! `scenarios/admission.rs`; that they can fail is shown in `core_mutants.rs`.
#![cfg(allot_loom)]

use allotment::internals as core;

#[expect(unused, reason = "the scene is set for three files")]
mod scenario {
    include!("scenarios/admission.rs");
}

loom_tests::models! {
    a_large_refused_request_of_the_pool_refuses_no_small_one
    a_large_refused_request_of_a_tenant_refuses_no_small_one
    a_large_refused_request_of_a_counting_tenant_refuses_no_small_one
    an_undecided_request_is_not_counted_against_others
    grants_are_counted_from_the_moment_they_are_limited
    a_guarantee_that_rises_is_kept_against_requests
    a_lowered_capacity_admits_no_growth
    a_request_of_the_last_tenant_never_reaches_the_next
}
