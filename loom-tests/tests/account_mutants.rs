//! Negative controls of the models in `account.rs`: each runs a scenario against a copy of
//! `src/core/account.rs` with one mistake (`mutants/account.rs`), and the scenario must fail.
#![cfg(allot_loom)]

/// `mutant => scenario, "what the scenario says"`.
macro_rules! mutants {
    ($($mutant:ident => $scenario:ident, $expected:literal;)*) => {
        $(
            mod $mutant {
                #[expect(unused, reason = "a copy of the core, of which one scenario uses a part")]
                mod account {
                    include!(concat!(env!("OUT_DIR"), "/account_", stringify!($mutant), ".rs"));
                }

                #[expect(unused, reason = "one scenario of many")]
                mod scenario {
                    include!("scenarios/account.rs");
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
    configured_in_place => no_charge_passes_a_lowered_capacity, "OVER-COMMIT";
    capacity_lowered_beside_a_purchase =>
        nothing_bought_before_carries_use_beyond_a_lowered_capacity, "OVER-COMMIT";
    handed_back_past_the_group => three_levels_stay_in_balance, "V3";
    trim_without_version => a_trim_and_a_charge_never_both_have_the_claim, "OVER-COMMIT";
    no_check_after_the_charge =>
        a_charge_that_slept_through_all_trim_versions_notices, "OVER-COMMIT";
    trims_uncounted => a_charge_that_slept_through_all_trim_versions_notices, "OVER-COMMIT";
    changes_not_read_again =>
        a_charge_at_once_that_slept_through_all_trim_versions_notices, "OVER-COMMIT";
    no_sleep_is_too_long =>
        a_charge_at_once_that_slept_through_all_config_versions_notices, "OVER-COMMIT";
    change_under_way_ignored =>
        a_charge_at_once_that_slept_through_all_config_versions_notices, "OVER-COMMIT";
    configurations_uncounted =>
        a_charge_at_once_that_slept_through_all_config_versions_notices, "OVER-COMMIT";
    claim_not_compared => a_trim_and_a_charge_at_once_never_both_have_the_claim, "OVER-COMMIT";
    stranger_not_noticed =>
        a_charge_at_once_of_the_last_tenant_never_reaches_the_next, "WRONG TENANT";
    configurations_uncounted_in_full =>
        a_charge_that_slept_through_all_config_versions_notices, "OVER-COMMIT";
    hand_back_uncounted => bytes_being_handed_back_deny_nobody, "FALSE DENIAL";
    refusal_by_an_old_record => limits_that_always_suffice_deny_nobody, "FALSE DENIAL";
    refusal_by_old_use => pressure_that_rises_after_a_release_denies_nobody, "FALSE DENIAL";
    refusal_by_an_old_level => pressure_that_comes_and_goes_denies_nobody, "FALSE DENIAL";
    one_look => use_that_moves_between_tenants_denies_nobody, "FALSE DENIAL";
    refusal_of_what_was_asked => idle_bytes_of_a_group_that_move_down_deny_nobody, "FALSE DENIAL";
    payment_without_mark => two_tenants_that_fit_share_a_quantum, "FALSE DENIAL";
    claim_before_payment => nobody_uses_a_claim_before_it_is_paid, "OVER-COMMIT";
    charge_and_roll_back => a_request_beyond_the_limit_denies_no_smaller_one, "FALSE DENIAL";
    payment_for_a_stranger => a_payment_of_the_last_tenant_never_reaches_the_next, "V3";
    reuse_despite_a_mark => a_payment_of_the_last_tenant_never_reaches_the_next, "V3";
    pass_before_the_exchange => a_refused_configuration_leaves_the_short_way_open, "SHUT";
    guarantee_before_payment => a_guarantee_raised_during_requests_is_paid_for, "V1";
    trim_into_the_guarantee => a_request_within_its_guarantee_is_granted_whatever_others_do, "V1";
}
