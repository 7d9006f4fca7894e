//! Negative controls of the models in `grants.rs`: broken copies of `src/core/grants.rs`, each of
//! which a scenario must catch. What is broken is in `mutants/grants.rs`.
#![cfg(allot_loom)]

macro_rules! mutants {
    ($($mutant:ident: $scenario:ident says $message:literal)*) => {
        $(
            #[expect(dead_code, reason = "one scenario of all is run")]
            mod $mutant {
                pub mod grants {
                    include!(concat!(env!("OUT_DIR"), "/grants_", stringify!($mutant), ".rs"));
                }
                pub mod scenario {
                    include!(concat!(env!("OUT_DIR"), "/scenarios_grants.rs"));
                }

                #[test]
                #[should_panic(expected = $message)]
                fn $scenario() {
                    scenario::$scenario();
                }
            }
        )*
    };
}

mutants! {
    no_comparison_after_the_hold: a_stale_release_ends_nobody_else says "WRONG GRANT"
    live_before_fields: a_claimed_victim_shows_its_own_fields says "MIXED FIELDS"
    word_without_release: a_claimed_victim_shows_its_own_fields says "ENDED TWICE"
    no_look_at_the_victim: a_pinned_grant_is_left_alone says "PINNED AND"
    evicting_before_the_look: a_pinned_grant_is_left_alone says "PINNED AND"
    evicted_slot_not_pinned: a_release_during_a_busy_answer_counts says "number of branches"
    evictor_does_not_wait_for_a_release: a_release_during_a_busy_answer_counts says "LOST SLOT"
    early_decline_is_stale: a_decline_that_comes_early_is_told_so says "LOST decline"
    generation_of_another_word: two_equal_looks_mean_taken_all_the_time says "FALSE"
    generation_ignored: two_equal_looks_mean_taken_all_the_time says "FALSE"
    reserved_by_store: two_requesters_never_share_a_slot says "SHARED SLOT"
    owner_not_compared: a_late_requester_does_not_disturb_the_next_owner says "SHARED SLOT"
    retired_by_store: a_retired_segment_is_nobody_elses says "SHARED SLOT"
    bit_taken_twice: a_segment_goes_to_one_owner says "SHARED SEGMENT"
    segment_on_its_way_uncounted: a_segment_on_its_way_is_not_missed says "LOST SEGMENT"
}
