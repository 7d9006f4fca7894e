//! Negative controls of the models whose scenarios are played on the whole core, or on a file of it
//! that has no `*_mutants.rs` of its own: each runs a scenario against a copy of all of `src/core`
//! with one mistake in one file (`mutants/core.rs`), and the scenario must fail.
#![cfg(allot_loom)]

/// `mutant => file of the scenario, scenario(arguments), "what the scenario says"`.
macro_rules! mutants {
    ($(
        $mutant:ident => $file:literal, $scenario:ident($($argument:expr),*), $expected:literal;
    )*) => {
        $(
            mod $mutant {
                #[allow(unused, reason = "a copy of the core, of which one scenario uses a part")]
                mod core {
                    include!(concat!(env!("OUT_DIR"), "/core_", stringify!($mutant), ".rs"));
                }

                #[allow(unused, reason = "one scenario of many, or the only one")]
                mod scenario {
                    include!(concat!("scenarios/", $file, ".rs"));
                }

                #[test]
                #[should_panic(expected = $expected)]
                fn is_caught() {
                    let scenario = || scenario::$scenario($($argument),*);
                    loom_tests::control(stringify!($mutant), scenario);
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
    gone_before_it_is_counted_out =>
        "evict", what_its_owner_releases_while_asked_is_counted_out(), "FALSE DENIAL";
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
    bought_in_vain_and_kept =>
        "wait", what_is_bought_in_vain_for_a_waiter_goes_to_the_next(), "FORGOTTEN";
    passed_by_a_look =>
        "wait", bytes_on_their_way_let_no_later_waiter_pass(), "OVERTAKEN";
    collected_in_silence =>
        "wait", a_refused_growth_says_that_it_may_have_collected(), "FORGOTTEN";
    rest_withheld => "wait", what_is_bought_beyond_the_need_is_not_withheld(), "FORGOTTEN";
    ghost_in_two_halves => "ghost", a_ghost_is_recalled_whole(), "MIXED GHOST";
    any_ghost_of_a_set => "ghost", those_remembered_at_once_are_not_mixed(), "MIXED GHOST";
    hints_added_up => "past", a_hint_names_a_slot_that_was_freed(), "STRANGE HINT";
    hints_counted => "past", takers_that_meet_get_slots_that_were_freed(), "STRANGE HINT";
    weight_added_first =>
        "lessons", weights_keep_their_bounds_whoever_learns(), "OUT OF BOUNDS";
    weight_cleared_first => "lessons", a_weight_moves_by_whole_lessons(), "HALF A LESSON";
    entered_without_fence =>
        "scarcity", who_begins_to_wait_finds_the_bytes_or_is_found(), "FORGOTTEN";
    looked_at_out_of_order =>
        "scarcity", two_releases_find_who_begins_to_wait_or_leave_it_all(), "FORGOTTEN";
    settled_without_order =>
        "scarcity", what_was_left_idle_is_known_to_who_settles(), "FORGOTTEN";
    excess_by_store =>
        "scarcity", waiters_are_counted_while_excess_comes_and_goes(), "LOST COUNT";
    evictions_by_store => "tenant", counts_of_slow_paths_add_up(), "LOST COUNT";
    waiter_decided_by_store => "waiters", a_waiter_is_decided_once(), "DECIDED TWICE";
    served_without_release => "waiters", who_sees_a_grant_sees_its_slot(), "ANOTHER SLOT";
    entered_by_store =>
        "waiters", each_of_those_who_enter_has_a_cell_of_its_own(), "LOST WAITER";
    freed_by_the_first => "waiters", a_cell_goes_on_once_both_have_let_go(), "SHARED CELL";
    written_without_fence => "waiters", a_look_shows_one_waiter_whole(), "MIXED REQUEST";
    looked_at_once => "waiters", a_look_shows_one_waiter_whole(), "MIXED REQUEST";
    any_waiter_of_a_cell => "waiters", a_stale_ticket_decides_nobody(), "WRONG WAITER";
    room_for_all => "events", with_room_no_event_is_lost(), "LOST EVENT";
    loss_by_store => "events", an_event_without_room_is_counted(), "LOST EVENT";
    losses_taken_again => "events", a_keeper_far_behind_knows_what_it_lost(), "LOST EVENT";
    refused_taken_by_store => "events", refused_requests_are_taken_once(), "LOST COUNT";
    gauge_by_store => "pressure", a_report_and_a_fill_are_both_in_force(), "LOST REPORT";
    gauge_exchanged_blindly =>
        "pressure", the_level_in_force_is_the_worse_of_the_two(), "LOST REPORT";
    held_to_end_by_store =>
        "force", a_late_end_and_a_release_count_the_bytes_once(), "more released than used";
    claimed_by_store =>
        "force", a_late_end_and_an_eviction_count_the_bytes_once(), "more released than used";
    committed_grants_expire =>
        "force",
        a_reservation_that_runs_out_while_it_is_committed_is_one_or_the_other(),
        "LOST GRANT";
}
