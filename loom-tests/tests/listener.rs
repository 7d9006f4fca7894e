//! Loom models of `src/core/listener.rs`. The scenarios and what they claim are in
//! `scenarios/listener.rs`; that each can fail is shown in `listener_mutants.rs`.
#![cfg(allot_loom)]

use allotment::internals::listener;

mod scenario {
    include!("scenarios/listener.rs");
}

loom_tests::models! {
    a_listener_is_told_last_what_is_in_force
    a_listener_is_told_by_one_of_three
}
