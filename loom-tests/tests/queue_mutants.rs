//! Negative controls of the models in `queue.rs`: broken copies of `src/core/queue.rs`, or of
//! `src/core/grants.rs` under it, each of which a scenario must catch. What is broken is in
//! `mutants/queue.rs` and `mutants/grants.rs`.
#![cfg(allot_loom)]

macro_rules! mutant {
    ($mutant:ident: $scenario:ident says $message:literal on $($grants:tt)*) => {
        #[expect(dead_code, reason = "one scenario of all is run")]
        mod $mutant {
            $($grants)*
            pub mod queue {
                include!(concat!(env!("OUT_DIR"), "/queue_", stringify!($mutant), ".rs"));
            }
            pub mod scenario {
                include!(concat!(env!("OUT_DIR"), "/scenarios_queue.rs"));
            }

            #[test]
            #[should_panic(expected = $message)]
            fn $scenario() {
                scenario::$scenario();
            }
        }
    };
}

macro_rules! mutants {
    ($($mutant:ident: $scenario:ident says $message:literal)*) => {
        $(mutant! { $mutant: $scenario says $message on use allotment::internals::grants; })*
    };
}

macro_rules! mutants_on_broken_slots {
    ($($mutant:ident: $scenario:ident says $message:literal)*) => {
        $(mutant! {
            $mutant: $scenario says $message on
            pub mod grants {
                include!(concat!(env!("OUT_DIR"), "/grants_", stringify!($mutant), ".rs"));
            }
        })*
    };
}

mutants! {
    one_look: a_free_slot_that_moves_is_not_missed says "FALSE EXHAUSTION"
    segment_on_its_way_ignored: a_segment_on_its_way_is_not_missed says "FALSE EXHAUSTION"
    linked_by_store: two_first_requests_have_a_slot_each says "LOST"
    unlinked_by_store: shedding_the_head_loses_no_new_head says "LOST"
    head_without_generation: a_late_request_does_not_reach_the_next_tenant says "LOST"
    undecided_count_is_certain: an_undecided_count_refuses_nobody says "FALSE REFUSAL"
    counted_by_store: a_count_keeps_its_limit says "LOST COUNT"
}

mutants_on_broken_slots! {
    given_back_with_free_slots: shedding_takes_no_slot_from_a_request says "SHARED SLOT"
}
