//! What `tests/core_mutants.rs` breaks in the files that use the whole core.

use crate::Mutant;

const fn of(file: &'static str, name: &'static str, changes: Changes) -> Mutant {
    Mutant { file, name, changes }
}

type Changes = &'static [(&'static str, &'static str)];

pub const MUTANTS: &[Mutant] = &[
    // The bytes are added to see whether they fit, and taken away if they do not.
    of(
        "account",
        "charge_and_roll_back",
        &[(
            "if wanted > view.limit {\n",
            "if wanted > view.limit {\n                \
             account.used.fetch_add(min, Ordering::AcqRel);\n                \
             account.subtract(min);\n",
        )],
    ),
    // A denial for the number of grants counts requests that are not decided.
    of(
        "queue",
        "undecided_grants_deny",
        &[("Err((word.pending() == 0).then_some(word.count()))", "Err(Some(word.count()))")],
    ),
    // Who counts the grants there are does not look whether a grant was counted.
    of(
        "force",
        "counted_again",
        &[("if fields.flags & flag::COUNTED == 0 {", "if fields.flags != u32::MAX {")],
    ),
    // A guarantee is promised before it is paid for.
    of(
        "account",
        "guarantee_before_payment",
        &[(
            "if index != ROOT && account.claim().claim() < settings.guarantee {",
            "if index == ROOT && account.claim().claim() < settings.guarantee {",
        )],
    ),
    // Idle claim stays where it is although the pool is above its limit.
    of(
        "admission",
        "excess_ignored",
        &[("bytes);\n        if self.scarcity.any() {", "bytes);\n        if bytes == u64::MAX {")],
    ),
    // A queue goes to the next tenant with slots of the last one in it.
    of(
        "queue",
        "closed_with_slots",
        &[("head.is_closed() || head.first().is_none() &&", "head.is_closed() ||")],
    ),
    // Use is read before what is on its way, so bytes that leave between the two are missed.
    of(
        "evict",
        "used_read_first",
        &[
            ("    length: usize,\n}", "    length: usize,\n    early: u64,\n}"),
            (", length: 0 };", ", length: 0, early: self.accounts.used(short) };"),
            (
                "joined == 0 || self.covers(shortage, freeing)",
                "let demand = self.accounts.get(shortage.account).demand();
        let wanted = way.early + demand.load(Ordering::Acquire);
        joined == 0 || wanted <= self.accounts.limit(shortage.account) + freeing",
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
                "                self.leave(way.accounts(), bytes);\n                Step::Raced",
                "                Step::Raced",
            ),
            (
                "self.ask_owner(shortage, &victim, &way, owners, relief, joined);",
                "let again = || self.way(rank.account, shortage.account).unwrap();
                while !self.set_off(&again(), bytes) {}
                self.ask_owner(shortage, &victim, &way, owners, relief, joined);",
            ),
        ],
    ),
    // What is being evicted of a tenant by others does not count against its guarantee.
    of(
        "order",
        "guarantee_without_leaving",
        &[(
            "let kept = guarantee.saturating_add(leaving);",
            "let _ = leaving;\n                let kept = guarantee;",
        )],
    ),
    // What is being evicted below a group by others does not count against its guarantee.
    of(
        "order",
        "group_without_leaving",
        &[(
            "let leaving = (sums.leaving)(at);",
            "let leaving = if at == tenant { (sums.leaving)(at) } else { 0 };",
        )],
    ),
    // A release shows that the grant is over before its bytes are back.
    of(
        "admission",
        "gone_before_the_bytes_are_back",
        &[
            ("if held.word.state() == State::Evicting {", "if account == u32::MAX {"),
            (
                "Ended::WhileEvicting => return Ok((bytes, true)),",
                "Ended::WhileEvicting => {
                self.uncharge(account, bytes);
                return Ok((bytes, true));
            }",
            ),
        ],
    ),
    // A refusal stands although a batch is about to give the bytes back.
    of(
        "admission",
        "batch_word_ignored",
        &[("if self.batches.any_but(own) =>", "if own == u64::MAX =>")],
    ),
    // As above, where the batch says that it is over before it gives the bytes back.
    of(
        "batch",
        "batch_ends_before_it_gives_back",
        &[
            (
                "if let Err(obstacle) = charged {",
                "if let Err(obstacle) = charged {\n                self.batches.end();",
            ),
            (
                "        if several {\n            self.batches.end();\n        }\n        answer",
                "        if several && answer.is_ok() {
            self.batches.end();
        }
        answer",
            ),
        ],
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
    // A victim is claimed with the bytes it has by then, and not with those that were counted.
    of(
        "evict",
        "claimed_after_it_grew",
        &[(
            "self.grants.claim_victim(pick.slot, pick.word, may_go)",
            "self.grants.claim_victim(pick.slot, self.grants.word(pick.slot), may_go)",
        )],
    ),
    // The evictor takes the bytes out of use although the owner's release has done it.
    of(
        "evict",
        "released_bytes_taken_again",
        &[("if settled == Settled::Ended {", "if settled != Settled::Kept {")],
    ),
    // What was promised does not count as being on its way.
    of(
        "evict",
        "promise_uncounted",
        &[(
            "relief.deferred += victim.bytes;",
            "relief.deferred += victim.bytes;\n                \
             self.leave(way.accounts(), victim.bytes);",
        )],
    ),
    // An owner that keeps what it had promised leaves the promise in the counts.
    of(
        "evict",
        "declined_promise_still_counted",
        &[("self.leave(&way[..length], held.word.bytes());", "let _ = &way[..length];")],
    ),
    // Who frees bytes looks for waiters before the bytes are seen to be free.
    of(
        "sync",
        "waiters_looked_for_early",
        &[(
            "    fence(Ordering::SeqCst);\n    // SeqCst: pairs with the SeqCst writes",
            "    let _ = fence;\n    // SeqCst: pairs with the SeqCst writes",
        )],
    ),
    // The line is left although there is a note.
    of(
        "wait",
        "note_overlooked",
        &[(
            "self.door.compare_exchange(BUSY, 0, success, failure).is_ok()",
            "self.door.swap(0, success) | u32::from(success == failure) != 0",
        )],
    ),
    // A waiter is decided by a store, so that two may decide it.
    of(
        "waiters",
        "decided_by_store",
        &[(
            "&& self.cells[index].word.compare_exchange(word.0, next.0, success, failure).is_ok()",
            "&& (self.cells[index].word.swap(next.0, success), success != failure).1",
        )],
    ),
    // What was set aside for a senior stays in use when it gives up.
    of("wait", "aside_kept", &[("        if aside > 0 {\n", "        if aside == u64::MAX {\n")]),
    // A grant for somebody who has given up is nobody's.
    of(
        "wait",
        "grant_of_nobody_kept",
        &[("let _ = self.release(granted.0, granted.1, ask.owner(), decided.observer);", "")],
    ),
    // Claim that was bought beyond the need stays where it is although somebody waits.
    of(
        "admission",
        "rest_withheld",
        &[(
            "if self.accounts.hand_up(account) != Trimmed::Nothing {",
            "if account == u32::MAX && self.accounts.hand_up(account) != Trimmed::Nothing {",
        )],
    ),
    // Which version the limit belongs to is not compared.
    of("word", "pass_of_any_version", &[("&& (self.0 ^ word.0) & Self::VERSION == 0", "")]),
    // A limit is told as that of the version before it.
    of(
        "account",
        "pass_before_its_version",
        &[(
            "            if account.exchange(word, next) {\n",
            "            account.pass.store(settings.pass(word, closed).0, Ordering::Release);
            if account.exchange(word, next) {\n",
        )],
    ),
    // The limit at the lowest level is told at all levels.
    of(
        "account",
        "pass_at_every_level",
        &[(
            "self.share_weight == 0 && self.limits.iter().all(|&l| l == self.limits[0]);",
            "self.share_weight == 0;",
        )],
    ),
    // Grants are counted, and the short way is open.
    of(
        "account",
        "pass_where_grants_are_counted",
        &[("let usual = !closed && self.counted == 0;", "let usual = !closed;")],
    ),
    // Nobody reads the count of changes again.
    of("account", "slept_at_once", &[("self.changes() == changes ||", "changes < u64::MAX ||")]),
    // A release looks whether grants are counted before it holds its own.
    of(
        "hot_path",
        "counting_looked_at_early",
        &[
            (
                "let word = slot.hold_live(generation, owner)?;\n        \
                 let Seat { account, queue, .. }",
                "let counting = self.queue(owner).is_counting();
        let word = slot.hold_live(generation, owner)?;
        let Seat { account, queue, .. }",
            ),
            ("if queue.is_counting() {", "if counting {"),
        ],
    ),
    // A grant that is held by its low generation bits is taken for the one that was named.
    of(
        "grants",
        "held_without_comparison",
        &[("if !self.is_of(generation, owner) {", "if owner == Owner::NOBODY {")],
    ),
    // What was charged is noted when the grant may be over, and its tenant gone.
    of(
        "hot_path",
        "peak_noted_late",
        &[
            (
                "            account.note_used(used);\n        }\n",
                "            let _ = used;\n        }\n",
            ),
            ("used.map(|_| ())", "used.map(|used| account.note_used(used))"),
        ],
    ),
    // As `waiters_looked_for_early`.
    of(
        "sync",
        "waiters_missed_at_once",
        &[(
            "    fence(Ordering::SeqCst);\n    // SeqCst: pairs with the SeqCst writes",
            "    let _ = fence;\n    // SeqCst: pairs with the SeqCst writes",
        )],
    ),
    // A release at once takes the bytes of a grant for good before it has the grant alone.
    of(
        "grants",
        "held_by_store",
        &[(
            "if !word.is_live_of(generation) || !segment.exchange(lane, word, word.held()) {
            return None;
        }",
            "if !word.is_live_of(generation) {
            return None;
        }
        segment.set_word(lane, word.held());",
        )],
    ),
];
