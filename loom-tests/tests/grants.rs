//! Loom models of `src/core/grants.rs`. The scenarios and what they claim are in
//! `scenarios/grants.rs`; that each can fail is shown in `grants_mutants.rs`.
#![cfg(allot_loom)]

use allotment::internals::grants;

mod scenario {
    include!("scenarios/grants.rs");
}

loom_tests::models! {
    a_claimed_victim_shows_its_own_fields
    a_word_that_came_round_shows_its_new_fields
    a_grant_ends_exactly_once
    who_comes_second_is_told
    a_release_during_a_busy_answer_counts
    a_stale_release_ends_nobody_else
    a_stale_change_changes_nobody_else
    resizes_keep_the_balance
    an_eviction_takes_the_last_size
    a_pinned_grant_is_left_alone
    a_claimed_victim_cannot_be_pinned
    a_deferred_grant_is_settled_once
    a_decline_that_comes_early_is_told_so
    two_requesters_never_share_a_slot
    three_requesters_never_share_a_slot
    two_equal_looks_mean_taken_all_the_time
    a_retired_segment_is_nobody_elses
    a_late_requester_does_not_disturb_the_next_owner
    a_late_release_does_not_reach_the_next_owner
    a_segment_goes_to_one_owner
    a_segment_on_its_way_is_not_missed
    a_segment_given_back_is_found
}
