//! Negative controls of the models in `backlog.rs`: each runs a scenario against a copy of
//! `src/core/backlog.rs` with one mistake (`mutants/backlog.rs`), and the scenario must fail.
#![cfg(allot_loom)]

/// `mutant => scenario, "what the scenario says"`.
macro_rules! mutants {
    ($($mutant:ident => $scenario:ident, $expected:literal;)*) => {
        $(
            mod $mutant {
                #[expect(unused, reason = "a copy of the core, of which one scenario uses a part")]
                mod backlog {
                    include!(concat!(env!("OUT_DIR"), "/backlog_", stringify!($mutant), ".rs"));
                }

                #[expect(unused, reason = "one scenario of many")]
                mod scenario {
                    include!("scenarios/backlog.rs");
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
    entered_by_store => one_search_at_a_time_has_the_backlog, "STRANGE ENTRY";
    left_without_release => the_next_search_finds_what_was_added, "LOST ENTRY";
    entries_of_the_last_queue_kept => the_next_queue_begins_without_entries, "STRANGE ENTRY";
    holder_not_compared => the_next_queue_begins_without_entries, "STRANGE ENTRY";
}
