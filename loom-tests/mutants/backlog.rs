//! What `tests/backlog_mutants.rs` breaks in `src/core/backlog.rs`.

use crate::Mutant;

const fn backlog(name: &'static str, changes: &'static [(&'static str, &'static str)]) -> Mutant {
    Mutant { file: "backlog", name, changes }
}

pub const MUTANTS: &[Mutant] = &[
    backlog(
        "entered_by_store",
        &[(
            "self.busy.compare_exchange(0, 1, success, failure).is_ok()",
            "let free = self.busy.load(failure) == 0;
        if free {
            self.busy.fetch_max(1, success);
        }
        free",
        )],
    ),
    backlog(
        "left_without_release",
        &[("self.busy.store(0, Ordering::Release);", "self.busy.store(0, Ordering::Relaxed);")],
    ),
    backlog("entries_of_the_last_queue_kept", &[("cell.length.store(0, order);", "")]),
    backlog(
        "holder_not_compared",
        &[("if holder != of.owner && holder != 0 {", "if holder == u64::MAX {")],
    ),
];
