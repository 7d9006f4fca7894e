//! Loom models of `src/core/wait.rs`, `waiters.rs` and `scarcity.rs`. The scenarios and what they
//! claim are in `scenarios/wait.rs`; that they can fail is shown in `core_mutants.rs`.
#![cfg(allot_loom)]

use allotment::internals as core;

#[expect(unused, reason = "a scene made for more than waiting")]
mod scenario {
    include!("scenarios/wait.rs");
}

loom_tests::models! {
    a_release_of_its_own_finds_who_begins_to_wait
    a_release_of_another_finds_who_begins_to_wait
    what_is_bought_beyond_the_need_is_not_withheld
    what_is_bought_in_vain_for_a_waiter_goes_to_the_next
    a_refused_growth_says_that_it_may_have_collected
    bytes_on_their_way_let_no_later_waiter_pass
    giving_up_and_being_served_agree
    coming_too_late_and_being_served_agree
    what_was_set_aside_goes_back
    closing_a_tenant_answers_who_waits
}
