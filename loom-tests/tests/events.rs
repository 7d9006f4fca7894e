//! Loom models of `src/core/events.rs`. The scenarios and what they claim are in
//! `scenarios/events.rs`; that they can fail is shown in `core_mutants.rs`.
#![cfg(allot_loom)]

use allotment::internals as core;

mod scenario {
    include!("scenarios/events.rs");
}

loom_tests::models! {
    with_room_no_event_is_lost
    an_event_without_room_is_counted
    a_keeper_far_behind_knows_what_it_lost
    refused_requests_are_taken_once
}
