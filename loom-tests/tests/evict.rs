//! Loom models of `src/core/evict.rs`. The scenarios and what they claim are in
//! `scenarios/evict.rs`; that they can fail is shown in `core_mutants.rs`.
#![cfg(allot_loom)]

use allotment::internals as core;

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
fn two_requests_short_of_the_pool_evict_what_both_need() {
    scenario::two_requests_short_of_the_pool_evict_what_both_need();
}

#[test]
fn two_evictors_keep_a_guarantee() {
    scenario::two_evictors_keep_a_guarantee();
}

#[test]
fn two_evictors_keep_the_guarantee_of_a_group() {
    scenario::two_evictors_keep_the_guarantee_of_a_group();
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

#[test]
fn what_its_owner_releases_while_asked_is_enough() {
    scenario::what_its_owner_releases_while_asked_is_enough();
}

#[test]
fn promised_bytes_are_not_taken_twice() {
    scenario::promised_bytes_are_not_taken_twice();
}

#[test]
fn bytes_promised_to_the_pool_are_not_taken_twice() {
    scenario::bytes_promised_to_the_pool_are_not_taken_twice();
}

#[test]
fn a_promise_is_declined_during_an_eviction() {
    scenario::a_promise_is_declined_during_an_eviction();
}

#[test]
fn growth_and_eviction_agree_on_the_bytes() {
    scenario::growth_and_eviction_agree_on_the_bytes();
}

#[test]
fn force_ends_what_a_request_publishes() {
    scenario::force_ends_what_a_request_publishes();
}

#[test]
fn force_and_an_evictor_count_the_bytes_once() {
    scenario::force_and_an_evictor_count_the_bytes_once();
}
