//! Loom models of `src/core/account.rs`. The scenarios and what they claim are in
//! `scenarios/account.rs`; that each can fail is shown in `account_mutants.rs`.
#![cfg(allot_loom)]

use allotment::internals::account;

mod scenario {
    include!("scenarios/account.rs");
}

loom_tests::models! {
    requests_racing_for_a_limit_deny_nobody_else
    a_quantum_bought_in_vain_denies_nobody_else
    bytes_being_handed_back_deny_nobody
    a_request_beyond_the_limit_denies_no_smaller_one
    a_large_refused_request_denies_no_small_one
    a_payment_on_its_way_through_a_group_denies_no_sibling
    idle_bytes_of_a_group_that_move_down_deny_nobody
    use_that_moves_between_tenants_denies_nobody
    use_that_moves_to_and_fro_denies_nobody
    limits_that_always_suffice_deny_nobody
    pressure_that_rises_after_a_release_denies_nobody
    pressure_that_comes_and_goes_denies_nobody
    bytes_being_handed_back_refuse_no_guarantee
    a_registration_denies_nobody
    two_tenants_that_fit_share_a_quantum
    nobody_uses_a_claim_before_it_is_paid
    a_trim_and_a_charge_never_both_have_the_claim
    a_trim_and_a_charge_at_once_never_both_have_the_claim
    a_charge_that_slept_through_all_trim_versions_notices
    a_charge_at_once_that_slept_through_all_trim_versions_notices
    a_charge_that_slept_through_all_config_versions_notices
    a_charge_at_once_that_slept_through_all_config_versions_notices
    no_charge_passes_a_lowered_capacity
    nothing_bought_before_carries_use_beyond_a_lowered_capacity
    three_levels_stay_in_balance
    a_request_within_its_guarantee_is_granted_whatever_others_do
    a_guarantee_raised_during_requests_is_paid_for
    a_guarantee_raised_and_lowered_again_strands_nothing
    a_refused_configuration_leaves_the_short_way_open
    of_two_configurations_one_is_in_force_whole
    a_payment_of_the_last_tenant_never_reaches_the_next
    a_charge_of_the_last_tenant_never_reaches_the_next
    a_charge_at_once_of_the_last_tenant_never_reaches_the_next
    a_slot_is_reused_only_after_the_last_release
    a_release_during_the_close_strands_nothing
    a_payment_during_the_close_strands_nothing
}
