//! Loom models of `src/core/queue.rs`. The scenarios and what they claim are in
//! `scenarios/queue.rs`; that each can fail is shown in `queue_mutants.rs`.
#![cfg(allot_loom)]

use allotment::internals::{grants, queue};

mod scenario {
    include!("scenarios/queue.rs");
}

loom_tests::models! {
    two_first_requests_have_a_slot_each
    the_last_segment_goes_to_one_queue
    a_free_slot_that_moves_is_not_missed
    a_segment_on_its_way_is_not_missed
    shedding_takes_no_slot_from_a_request
    shedding_the_head_loses_no_new_head
    a_chain_that_is_cut_hides_no_slot
    a_search_for_victims_stays_in_its_queue
    a_late_request_does_not_reach_the_next_tenant
    hints_lose_no_slot
    a_count_keeps_its_limit
    an_undecided_count_refuses_nobody
    a_refusal_by_the_count_is_true
}
