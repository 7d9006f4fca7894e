//! Negative controls of the models in `queue.rs`: each runs a scenario against a copy of
//! `src/core/queue.rs`, or of `src/core/grants.rs` under it, with one mistake (`mutants/`), and the
//! scenario must fail.
#![cfg(allot_loom)]

/// `mutant => scenario, "what the scenario says", grants as the queue has them;`.
macro_rules! mutants {
    ($($mutant:ident => $scenario:ident, $expected:literal, $grants:item)*) => {
        $(
            mod $mutant {
                $grants

                #[expect(unused, reason = "a copy of the core, of which one scenario uses a part")]
                mod queue {
                    include!(concat!(env!("OUT_DIR"), "/queue_", stringify!($mutant), ".rs"));
                }

                #[expect(unused, reason = "one scenario of many")]
                mod scenario {
                    include!("scenarios/queue.rs");
                }

                #[test]
                #[should_panic(expected = $expected)]
                fn is_caught() {
                    loom_tests::control(stringify!($mutant), scenario::$scenario);
                }
            }
        )*
    };
}

mutants! {
    one_look => a_free_slot_that_moves_is_not_missed, "FALSE EXHAUSTION",
        use allotment::internals::grants;
    segment_on_its_way_ignored => a_segment_on_its_way_is_not_missed, "FALSE EXHAUSTION",
        use allotment::internals::grants;
    linked_by_store => two_first_requests_have_a_slot_each, "LOST",
        use allotment::internals::grants;
    unlinked_by_store => shedding_the_head_loses_no_new_head, "LOST",
        use allotment::internals::grants;
    head_without_generation => a_late_request_does_not_reach_the_next_tenant, "LOST",
        use allotment::internals::grants;
    undecided_count_is_certain => an_undecided_count_refuses_nobody, "FALSE REFUSAL",
        use allotment::internals::grants;
    counted_by_store => a_count_keeps_its_limit, "LOST COUNT",
        use allotment::internals::grants;
    given_back_with_free_slots => shedding_takes_no_slot_from_a_request, "right: Reserved",
        #[expect(unused, reason = "a copy of the core, of which one scenario uses a part")]
        mod grants {
            include!(concat!(env!("OUT_DIR"), "/grants_given_back_with_free_slots.rs"));
        }
}
