//! What `tests/core_mutants.rs` breaks in the files that use the whole core.

use crate::Mutant;

const fn of(file: &'static str, name: &'static str, changes: Changes) -> Mutant {
    Mutant { file, name, changes }
}

type Changes = &'static [(&'static str, &'static str)];

pub const MUTANTS: &[Mutant] = &[
    // Use is read before what is on its way, so bytes that leave between the two are missed.
    of(
        "evict",
        "used_read_first",
        &[
            ("    length: usize,\n}", "    length: usize,\n    early: u64,\n}"),
            (", length: 0 };", ", length: 0, early: self.accounts.used(short) };"),
            (
                "let used = self.accounts.used(shortage.account);\n        let limit",
                "let used = way.early;\n        let limit",
            ),
        ],
    ),
    // The count of bytes on their way does not say that others were added and have left.
    of(
        "word",
        "no_sequence",
        &[(".wrapping_add(bytes).wrapping_add(1 << BYTES_BITS)", ".wrapping_add(bytes)")],
    ),
    // A victim is claimed first, and counted as on its way after.
    of(
        "evict",
        "claimed_uncounted",
        &[
            ("if !self.set_off(&way, bytes) {", "if bytes == u64::MAX {"),
            (
                "Some(victim) => {\n                self.ask",
                "Some(victim) => {\n                while !self.set_off(&self.way(rank.account, shortage.account).unwrap(), bytes) {}\n                self.ask",
            ),
        ],
    ),
    // An evictor counts its own need alone, not what others wait for... and takes theirs for free.
    of(
        "evict",
        "demand_of_others_ignored",
        &[(
            "let demand = self.accounts.get(shortage.account).demand.load(Ordering::Acquire);\n        joined",
            "let demand = joined;\n        joined",
        )],
    ),
    // What is being evicted of a tenant by others does not count against its guarantee.
    of(
        "order",
        "guarantee_without_leaving",
        &[("let kept = guarantee.saturating_add(leaving);", "let kept = guarantee + leaving * 0;")],
    ),
    // Groups on the way are not counted.
    of(
        "evict",
        "groups_uncounted",
        &[
            (
                "for at in (0..way.length).rev() {",
                "for at in (0..way.length).rev().filter(|at| *at == 0 || at + 1 == way.length) {",
            ),
            (
                "accounts.iter().for_each(|&account| self.leave_freeing(account, bytes));",
                "accounts.iter().filter(|&&a| a == ROOT || !self.accounts.is_inner(a)).for_each(|&account| self.leave_freeing(account, bytes));",
            ),
        ],
    ),
    // A release shows that the grant is over before its bytes are back.
    of(
        "admission",
        "gone_before_the_bytes_are_back",
        &[
            ("if held.word.state() == State::Evicting {", "if account == u32::MAX {"),
            (
                "Ended::WhileEvicting => return Ok((bytes, true)),",
                "Ended::WhileEvicting => {\n                self.uncharge(account, bytes);\n                return Ok((bytes, true));\n            }",
            ),
        ],
    ),
    // A refusal stands although a batch is about to give the bytes back.
    of(
        "admission",
        "batch_word_ignored",
        &[("if self.batches.any_but(own) =>", "if own == u64::MAX =>")],
    ),
    // As above, where the batch ends between the refusal and the look at the word.
    of(
        "admission",
        "batch_word_read_once",
        &[("if refused && !certain {", "if refused && before.in_flight() != own {")],
    ),
    // Force does not wait for a grant that is being published.
    of(
        "force",
        "force_passes_a_reserved_slot",
        &[
            (
                "State::Free | State::Gone => true,",
                "State::Free | State::Gone | State::Reserved => true,",
            ),
            (
                "State::Reserved | State::Tuning | State::Ending => false,",
                "State::Tuning | State::Ending => false,",
            ),
        ],
    ),
    // A denial for the number of grants counts requests that are not decided.
    of(
        "queue",
        "undecided_grants_deny",
        &[("Err((word.pending() == 0).then_some(word.count()))", "Err(Some(word.count()))")],
    ),
];
