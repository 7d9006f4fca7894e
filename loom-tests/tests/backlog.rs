//! Loom models of `src/core/backlog.rs`. The scenarios and what they claim are in
//! `scenarios/backlog.rs`; that each can fail is shown in `backlog_mutants.rs`.
#![cfg(allot_loom)]

use allotment::internals::backlog;

mod scenario {
    include!("scenarios/backlog.rs");
}

loom_tests::models! {
    one_search_at_a_time_has_the_backlog
    the_next_search_finds_what_was_added
    the_next_queue_begins_without_entries
}
