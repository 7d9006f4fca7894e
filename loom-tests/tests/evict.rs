//! Loom models of `src/core/evict.rs`. The scenarios and what they claim are in
//! `scenarios/evict.rs`; that they can fail is shown in `core_mutants.rs`.
#![cfg(allot_loom)]

use allotment::internals as core;

#[expect(unused, reason = "a scene made for more than evictions")]
mod scenario {
    include!("scenarios/evict.rs");
}

use core::evict::ReclaimAnswer;

#[test]
fn two_short_requests_evict_what_both_need_of_their_size() {
    scenario::two_short_requests_evict_what_both_need(2);
}

#[test]
fn two_short_requests_evict_what_both_need_that_share_one() {
    scenario::two_short_requests_evict_what_both_need(1);
}

#[test]
fn a_release_and_an_eviction_count_the_bytes_once_freed() {
    scenario::a_release_and_an_eviction_count_the_bytes_once(ReclaimAnswer::Freed);
}

#[test]
fn a_release_and_an_eviction_count_the_bytes_once_busy() {
    scenario::a_release_and_an_eviction_count_the_bytes_once(ReclaimAnswer::Busy);
}

#[test]
fn a_release_and_an_eviction_count_the_bytes_once_deferred() {
    scenario::a_release_and_an_eviction_count_the_bytes_once(ReclaimAnswer::Deferred);
}

loom_tests::models! {
    two_requests_short_of_the_pool_evict_what_both_need
    two_evictors_keep_a_guarantee
    two_evictors_keep_the_guarantee_of_a_group
    what_its_owner_releases_while_asked_is_enough
    what_its_owner_releases_while_asked_is_counted_out
    promised_bytes_are_not_taken_twice
    bytes_promised_to_the_pool_are_not_taken_twice
    a_promise_is_declined_during_an_eviction
    growth_and_eviction_agree_on_the_bytes
    force_ends_what_a_request_publishes
    force_and_an_evictor_count_the_bytes_once
}
