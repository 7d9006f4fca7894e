//! Loom models of `src/core/hot_path.rs`. The scenarios and what they claim are in
//! `scenarios/hot_path.rs`; that they can fail is shown in `core_mutants.rs`.
#![cfg(allot_loom)]

use allotment::internals as core;

#[expect(unused, reason = "a scene made for more than the hot path")]
mod scenario {
    include!("scenarios/hot_path.rs");
}

use core::pressure::Pressure;

loom_tests::models! {
    requests_at_once_that_fit_are_granted
    requests_at_once_keep_to_the_limit
    a_request_at_once_and_a_trim_never_both_have_the_claim
    no_request_at_once_passes_a_lowered_limit
    no_request_at_once_is_ahead_of_its_limit
    a_request_at_once_that_slept_through_all_config_versions_notices
    a_lowered_capacity_admits_no_growth_at_once
    a_request_at_once_of_the_last_tenant_never_reaches_the_next
    a_slot_noted_late_misleads_not_the_next_tenant
    what_the_last_tenant_used_is_no_peak_of_the_next
    of_two_releases_at_once_one_counts
    a_stale_release_at_once_ends_nobody_else
    a_release_at_once_and_an_eviction_count_the_bytes_once
    a_release_at_once_takes_what_was_counted_out_of_the_count
    a_growth_and_a_shrinkage_at_once_agree_on_the_bytes
    a_growth_and_a_release_at_once_agree_on_the_bytes
    a_shrinkage_and_a_release_at_once_agree_on_the_bytes
    a_growth_at_once_and_an_eviction_agree_on_the_bytes
    a_release_at_once_finds_who_begins_to_wait
    a_shrinkage_at_once_finds_who_begins_to_wait
    a_request_at_once_withholds_nothing
}

#[test]
fn a_request_at_once_keeps_to_the_limit_under_high() {
    scenario::a_request_at_once_keeps_to_the_limit_under(Pressure::High);
}

#[test]
fn a_request_at_once_keeps_to_the_limit_under_critical() {
    scenario::a_request_at_once_keeps_to_the_limit_under(Pressure::Critical);
}
