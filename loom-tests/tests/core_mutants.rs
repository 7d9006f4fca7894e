//! Negative controls of the models in `admission.rs`, `evict.rs` and `batch.rs`: each runs a
//! scenario against a copy of all of `src/core` with one mistake in one file (`mutants/core.rs`),
//! and the scenario must fail.
#![cfg(allot_loom)]

/// `mutant => file of the scenario, scenario(arguments), "what the scenario says"`.
macro_rules! mutants {
    ($($mutant:ident => $file:literal, $scenario:ident($($argument:expr),*), $expected:literal;)*) => {
        $(
            mod $mutant {
                #[expect(unused, reason = "a copy of the core, of which one scenario uses a part")]
                mod core {
                    include!(concat!(env!("OUT_DIR"), "/core_", stringify!($mutant), ".rs"));
                }

                #[expect(unused, reason = "one scenario of many")]
                mod scenario {
                    include!(concat!("scenarios/", $file, ".rs"));
                }

                #[test]
                #[should_panic(expected = $expected)]
                fn is_caught() {
                    scenario::$scenario($($argument),*);
                }
            }
        )*
    };
}

mutants! {
    used_read_first => "evict", two_short_requests_evict_what_both_need(2), "OVER-EVICTED";
    no_sequence => "evict", two_short_requests_evict_what_both_need(2), "OVER-EVICTED";
    claimed_uncounted => "evict", two_evictors_keep_a_guarantee(), "BELOW GUARANTEE";
    guarantee_without_leaving => "evict", two_evictors_keep_a_guarantee(), "BELOW GUARANTEE";
    group_without_leaving =>
        "evict", two_evictors_keep_the_guarantee_of_a_group(), "BELOW GUARANTEE";
    gone_before_the_bytes_are_back =>
        "evict", what_its_owner_releases_while_asked_is_enough(), "OVER-EVICTED";
    batch_word_ignored => "batch", a_refused_batch_refuses_no_request(), "FALSE DENIAL";
    batch_ends_before_it_gives_back => "batch", a_refused_batch_refuses_no_request(), "FALSE DENIAL";
    force_passes_a_reserved_slot =>
        "evict", force_ends_what_a_request_publishes(), "LEFT BEHIND";
    undecided_grants_deny =>
        "admission", an_undecided_request_is_not_counted_against_others(), "FALSE DENIAL";
}
