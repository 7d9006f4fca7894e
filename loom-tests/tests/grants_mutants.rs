//! Negative controls of the models in `grants.rs`: each runs a scenario against a copy of
//! `src/core/grants.rs` with one mistake (`mutants/grants.rs`), and the scenario must fail.
#![cfg(allot_loom)]

/// `mutant => scenario, "what the scenario says"`.
macro_rules! mutants {
    ($($mutant:ident => $scenario:ident, $expected:literal;)*) => {
        $(
            mod $mutant {
                #[expect(unused, reason = "a copy of the core, of which one scenario uses a part")]
                mod grants {
                    include!(concat!(env!("OUT_DIR"), "/grants_", stringify!($mutant), ".rs"));
                }

                #[expect(unused, reason = "one scenario of many")]
                mod scenario {
                    include!("scenarios/grants.rs");
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
    no_comparison_after_the_hold => a_stale_release_ends_nobody_else, "WRONG GRANT";
    live_before_fields => a_claimed_victim_shows_its_own_fields, "MIXED FIELDS";
    word_without_release => a_claimed_victim_shows_its_own_fields, "ENDED TWICE";
    no_look_at_the_victim => a_pinned_grant_is_left_alone, "PINNED AND";
    evicting_before_the_look => a_pinned_grant_is_left_alone, "PINNED AND";
    evicted_slot_not_pinned => a_release_during_a_busy_answer_counts, "number of branches";
    evictor_does_not_wait_for_a_release => a_release_during_a_busy_answer_counts, "LOST SLOT";
    early_decline_is_stale => a_decline_that_comes_early_is_told_so, "LOST decline";
    generation_of_another_word => two_equal_looks_mean_taken_all_the_time, "FALSE EXHAUSTION";
    generation_ignored => two_equal_looks_mean_taken_all_the_time, "FALSE EXHAUSTION";
    reserved_by_store => two_requesters_never_share_a_slot, "SHARED SLOT";
    owner_not_compared => a_late_requester_does_not_disturb_the_next_owner, "SHARED SLOT";
    retired_by_store => a_retired_segment_is_nobody_elses, "SHARED SLOT";
    bit_taken_twice => a_segment_goes_to_one_owner, "SHARED SEGMENT";
    segment_on_its_way_uncounted => a_segment_on_its_way_is_not_missed, "LOST SEGMENT";
}
