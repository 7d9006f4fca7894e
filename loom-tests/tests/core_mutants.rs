//! Negative controls of the models in `admission.rs`, `evict.rs`, `batch.rs` and `wait.rs`: each
//! runs a scenario against a copy of all of `src/core` with one mistake in one file
//! (`mutants/core.rs`), and the scenario must fail.
#![cfg(allot_loom)]

/// `mutant => file of the scenario, scenario(arguments), "what the scenario says"`.
macro_rules! mutants {
    ($(
        $mutant:ident => $file:literal, $scenario:ident($($argument:expr),*), $expected:literal;
    )*) => {
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
    charge_and_roll_back =>
        "admission",
        a_large_refused_request_of_a_counting_tenant_refuses_no_small_one(),
        "FALSE DENIAL";
    undecided_grants_deny =>
        "admission", an_undecided_request_is_not_counted_against_others(), "FALSE DENIAL";
    counted_again =>
        "admission", grants_are_counted_from_the_moment_they_are_limited(), "LOST COUNT";
    guarantee_before_payment =>
        "admission", a_guarantee_that_rises_is_kept_against_requests(), "OVER-COMMIT";
    excess_ignored => "admission", a_lowered_capacity_admits_no_growth(), "OVER-COMMIT";
    closed_with_slots =>
        "admission", a_request_of_the_last_tenant_never_reaches_the_next(), "LEFT BEHIND";
    used_read_first =>
        "evict", two_requests_short_of_the_pool_evict_what_both_need(), "OVER-EVICTED";
    no_sequence => "evict", two_short_requests_evict_what_both_need(2), "OVER-EVICTED";
    claimed_uncounted => "evict", two_evictors_keep_a_guarantee(), "BELOW GUARANTEE";
    guarantee_without_leaving => "evict", two_evictors_keep_a_guarantee(), "BELOW GUARANTEE";
    group_without_leaving =>
        "evict", two_evictors_keep_the_guarantee_of_a_group(), "BELOW GUARANTEE";
    gone_before_the_bytes_are_back =>
        "evict", what_its_owner_releases_while_asked_is_enough(), "OVER-EVICTED";
    released_bytes_taken_again =>
        "evict",
        a_release_and_an_eviction_count_the_bytes_once(core::evict::ReclaimAnswer::Busy),
        "more released than used";
    claimed_after_it_grew => "evict", growth_and_eviction_agree_on_the_bytes(), "LEFT BEHIND";
    promise_uncounted => "evict", promised_bytes_are_not_taken_twice(), "OVER-EVICTED";
    declined_promise_still_counted =>
        "evict", a_promise_is_declined_during_an_eviction(), "LEFT BEHIND";
    force_passes_a_reserved_slot =>
        "evict", force_ends_what_a_request_publishes(), "LEFT BEHIND";
    batch_word_ignored => "batch", a_refused_batch_refuses_no_request(), "FALSE DENIAL";
    batch_ends_before_it_gives_back =>
        "batch", a_refused_batch_refuses_no_growth(), "FALSE DENIAL";
    waiters_looked_for_early =>
        "wait", a_release_of_another_finds_who_begins_to_wait(), "FORGOTTEN";
    note_overlooked => "wait", a_release_of_another_finds_who_begins_to_wait(), "FORGOTTEN";
    decided_by_store => "wait", giving_up_and_being_served_agree(), "LOST BYTES";
    aside_kept => "wait", what_was_set_aside_goes_back(), "LOST BYTES";
    grant_of_nobody_kept => "wait", giving_up_and_being_served_agree(), "LOST BYTES";
    pass_of_any_version =>
        "hot_path", no_request_at_once_passes_a_lowered_limit(), "OVER-COMMIT";
    pass_before_its_version =>
        "hot_path", no_request_at_once_is_ahead_of_its_limit(), "OVER-COMMIT";
    pass_at_every_level =>
        "hot_path",
        a_request_at_once_keeps_to_the_limit_under(core::pressure::Pressure::High),
        "OVER-COMMIT";
    pass_where_grants_are_counted =>
        "hot_path", a_release_at_once_takes_what_was_counted_out_of_the_count(), "LOST COUNT";
    slept_at_once =>
        "hot_path",
        a_request_at_once_that_slept_through_all_config_versions_notices(),
        "OVER-COMMIT";
    counting_looked_at_early =>
        "hot_path", a_release_at_once_takes_what_was_counted_out_of_the_count(), "LOST COUNT";
    held_without_comparison =>
        "hot_path", a_stale_release_at_once_ends_nobody_else(), "WRONG GRANT";
    held_by_store => "hot_path", of_two_releases_at_once_one_counts(), "more released than used";
    peak_noted_late =>
        "hot_path", what_the_last_tenant_used_is_no_peak_of_the_next(), "WRONG TENANT";
    waiters_missed_at_once =>
        "hot_path", a_release_at_once_finds_who_begins_to_wait(), "FORGOTTEN";
    rest_withheld => "wait", what_is_bought_beyond_the_need_is_not_withheld(), "FORGOTTEN";
}
