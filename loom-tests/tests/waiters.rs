//! Loom models of `src/core/waiters.rs`. The scenarios and what they claim are in
//! `scenarios/waiters.rs`; that they can fail is shown in `core_mutants.rs`.
#![cfg(allot_loom)]

use allotment::internals as core;

mod scenario {
    include!("scenarios/waiters.rs");
}

loom_tests::models! {
    a_waiter_is_decided_once
    who_sees_a_grant_sees_its_slot
    each_of_those_who_enter_has_a_cell_of_its_own
    a_cell_goes_on_once_both_have_let_go
    a_look_shows_one_waiter_whole
    a_stale_ticket_decides_nobody
}
