//! Negative controls of the models in `listener.rs`: each runs a scenario against a copy of
//! `src/core/listener.rs` with one mistake (`mutants/listener.rs`), and the scenario must fail.
#![cfg(allot_loom)]

/// `mutant => scenario, "what the scenario, or loom, says"`.
macro_rules! mutants {
    ($($mutant:ident => $scenario:ident, $expected:literal;)*) => {
        $(
            mod $mutant {
                mod listener {
                    include!(concat!(env!("OUT_DIR"), "/listener_", stringify!($mutant), ".rs"));
                }

                #[expect(unused, reason = "one scenario of many")]
                mod scenario {
                    include!("scenarios/listener.rs");
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
    listener_left_by_a_store => a_listener_is_told_last_what_is_in_force, "FORGOTTEN";
    listener_looks_once => a_listener_is_told_last_what_is_in_force, "FORGOTTEN";
    listener_note_read_without_acquire => a_listener_is_told_last_what_is_in_force, "FORGOTTEN";
    listener_note_left_without_release => a_listener_is_told_last_what_is_in_force, "FORGOTTEN";
    listener_left_without_release =>
        a_listener_is_told_last_what_is_in_force, "Causality violation";
    listener_begun_without_acquire =>
        a_listener_is_told_last_what_is_in_force, "Causality violation";
    listener_told_by_all => a_listener_is_told_last_what_is_in_force, "Causality violation";
}
