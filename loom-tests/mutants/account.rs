//! What `tests/account_mutants.rs` breaks in `src/core/account.rs`.

use crate::Mutant;

const fn account(name: &'static str, changes: &'static [(&'static str, &'static str)]) -> Mutant {
    Mutant { file: "account", name, changes }
}

pub const MUTANTS: &[Mutant] = &[
    // New limits are written over those in force, so who has read the old ones does not notice.
    account("configured_in_place", &[("let next = word.next_config();", "let next = word;")]),
    // What a tenant hands back skips the group that it was bought from.
    account(
        "handed_back_past_the_group",
        &[(
            "let parent = &self.table[account.parent()];\n        parent.subtract(bytes);",
            "let parent = &self.table[ROOT];\n        parent.subtract(bytes);",
        )],
    ),
    // A trim lowers the claim and does not bump the version.
    account(
        "trim_without_version",
        &[("if account.exchange(word, word.next_trim()) {", "if word.used() < u64::MAX {")],
    ),
    // Nobody looks whether the versions came round to the same bits.
    account(
        "no_check_after_the_charge",
        &[(
            "match accounts.confirm(self.account, self.changes, bytes) {",
            "match self.account.changes() != u64::MAX {",
        )],
    ),
    // Trims are not counted, so that check sees nothing.
    account(
        "trims_uncounted",
        &[("account.note_change(TRIM);\n        if !self.forbid", "if !self.forbid")],
    ),
    // The same where a charge takes the short way: nobody looks, or takes what is seen for little.
    account(
        "changes_not_read_again",
        &[("account.changes() == changes ||", "changes < u64::MAX ||")],
    ),
    account(
        "no_sleep_is_too_long",
        &[(
            "let good = slept(since % CONFIGURATION) < TRIM_VERSIONS\n            \
             && slept(since / CONFIGURATION) < CONFIG_VERSIONS.into();",
            "let good = slept(since) > 0;",
        )],
    ),
    // The change that was counted before the look, and not yet in force, counts for nothing.
    account(
        "change_under_way_ignored",
        &[("let slept = |begun: u64| begun + 1;", "let slept = |begun: u64| begun;")],
    ),
    // Configurations are not counted.
    account("configurations_uncounted", CONFIGURATIONS_UNCOUNTED),
    account("configurations_uncounted_in_full", CONFIGURATIONS_UNCOUNTED),
    // What is to be in force is told before, although it may never come to that.
    account(
        "pass_before_the_exchange",
        &[(
            "            if account.exchange(word, next) {\n",
            "            account.pass.store(settings.pass(next, closed).0, Ordering::Release);
            if account.exchange(word, next) {\n",
        )],
    ),
    // The short way does not ask what was paid for, or by whom.
    account("claim_not_compared", &[("|| then > account.claim().claim()", "|| then > BYTES_MAX")]),
    account("stranger_not_noticed", &[("|| account.generation() != generation", "")]),
    // Bytes come back to the root and no counter says so.
    account("hand_back_uncounted", &[("parent.count_return();", "")]),
    // A refusal rests on a record that is being rewritten.
    account(
        "refusal_by_an_old_record",
        &[(
            "let same = word.config_version() == view.word.config_version()\n            && self",
            "let same = self",
        )],
    ),
    // A refusal puts the use of one instant beside the limit of another.
    account(
        "refusal_by_old_use",
        &[(
            "let word = view.account.used();\n        // The limit was",
            "let word = view.word;\n        // The limit was",
        )],
    ),
    // As above, where the use comes back and the level does not.
    account(
        "refusal_by_an_old_level",
        &[("&& self.limit_in_force(view.record) == view.limit", "")],
    ),
    // What was in use when it was looked at counts as in use for good.
    account("one_look", &[("let second = self.look_below(account)?;", "let second = first;")]),
    // A refusal stands for whatever the attempt asked for, also after it met a trim.
    account(
        "refusal_of_what_was_asked",
        &[
            (
                "Full { account, .. } if account != index",
                "Full { account, asked, .. } if account != index",
            ),
            (
                "self.certify(account, index, need)",
                "self.certify(account, account, Need::More(asked))",
            ),
            ("let asked = self.missing(account, index, need)?;", "let asked = need.bytes();"),
        ],
    ),
    // What is on its way when the capacity falls is not waited for.
    account(
        "capacity_lowered_beside_a_purchase",
        &[("while self.trim(index) == Trimmed::Busy {", "if self.trim(index) == Trimmed::Busy {")],
    ),
    // No mark says that a payment is on its way.
    account(
        "payment_without_mark",
        &[
            ("let marked = account.mark();", "let marked = account.claim();"),
            ("bought.unwrap_or(0).wrapping_sub(ClaimWord::MARK)", "bought.unwrap_or(0)"),
        ],
    ),
    // The claim shows what the parent has not been paid for.
    account(
        "claim_before_payment",
        &[
            (
                "let bought = self.attempt(parent, min.max(quantum), min, turns);",
                "account.change_claim(min);\n        \
                 let bought = self.attempt(parent, min.max(quantum), min, turns);",
            ),
            (
                "bought.unwrap_or(0).wrapping_sub(ClaimWord::MARK)",
                "bought.unwrap_or(0).wrapping_sub(min).wrapping_sub(ClaimWord::MARK)",
            ),
        ],
    ),
    // The bytes are added to see whether they fit, and taken away if they do not.
    account(
        "charge_and_roll_back",
        &[(
            "if wanted > view.limit {\n",
            "if wanted > view.limit {\n                \
             account.used.fetch_add(min, Ordering::AcqRel);\n                \
             account.subtract(min);\n",
        )],
    ),
    // Whoever pays does not look whether the slot has changed hands.
    account(
        "payment_for_a_stranger",
        &[("if marked.closed() || stranger {", "if marked.marks() == u64::MAX && stranger {")],
    ),
    // A slot is given away while somebody is paying for it.
    account(
        "reuse_despite_a_mark",
        &[("account.claim().0 == ClaimWord::CLOSED", "account.claim().claim() == 0")],
    ),
    // A guarantee is promised before it is paid for.
    account(
        "guarantee_before_payment",
        &[(
            "if index != ROOT && account.claim().claim() < settings.guarantee {",
            "if index == ROOT && account.claim().claim() < settings.guarantee {",
        )],
    ),
    // A trim takes what is idle, guarantee or not.
    account(
        "trim_into_the_guarantee",
        &[
            (
                "saturating_sub(word.used().max(guarantee));",
                "saturating_sub(word.used().max(guarantee / 2));",
            ),
            ("let needed = word.used().max(account.guarantee(word));", "let needed = word.used();"),
        ],
    ),
];

const CONFIGURATIONS_UNCOUNTED: &[(&str, &str)] = &[(
    "account.note_change(CONFIGURATION);\n            if account.exchange",
    "if account.exchange",
)];
