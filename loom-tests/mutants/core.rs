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
            ("    pub raced: bool,\n}", "    pub raced: bool,\n    pub early: u64,\n}"),
            (
                "            let Some(rank) = self.next_queue(",
                "            relief.early = self.accounts.used(shortage.account);
            let Some(rank) = self.next_queue(",
            ),
            (
                "joined == 0 || self.covers(shortage, freeing)",
                "{
                let demand = self.accounts.get(shortage.account).demand();
                let wanted = relief.early + demand.load(Ordering::Acquire);
                joined == 0 || wanted <= self.accounts.limit(shortage.account) + freeing
            }",
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
            ("        if evicting {\n", "        if account == u32::MAX {\n"),
            (
                "Ended::WhileEvicting => return Ok((bytes, true)),",
                "Ended::WhileEvicting => {
                self.uncharge(account, bytes);
                return Ok((bytes, true));
            }",
            ),
        ],
    ),
    // A release shows that the grant is over before its place is free.
    of(
        "admission",
        "gone_before_it_is_counted_out",
        &[
            ("if counted && evicting {", "if counted && account == u32::MAX {"),
            ("if counted && !evicting {", "if counted {"),
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
                "if let Err(obstacle) = charged {\n                end(&self.batches.0);",
            ),
            (
                "            end(&self.batches.0);\n        }\n        answer",
                "            if answer.is_ok() {
                end(&self.batches.0);
            }
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
            "let withheld = self.accounts.hand_up(account).any();",
            "let withheld = account == u32::MAX
            && self.accounts.hand_up(account).any();",
        )],
    ),
    // Whoever collects what others have bought says nothing of it.
    of(
        "account",
        "collected_in_silence",
        &[(
            "        if matches!(trimmed, Trimmed::Freed(_)) {",
            "        if matches!(trimmed, Trimmed::Freed(_)) && index > 9 {",
        )],
    ),
    // A waiter that does not fit after all keeps what was bought for it.
    of(
        "wait",
        "bought_in_vain_and_kept",
        &[(
            "let withheld = self.give_up_rest(ask.account);",
            "let withheld = ask.bytes == u64::MAX;",
        )],
    ),
    // A look is enough to let a later waiter of the same tenant pass.
    of(
        "wait",
        "passed_by_a_look",
        &[(".is_some_and(surely)\n", ".is_some_and(surely) && least == u64::MAX\n")],
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
        &[("if self.counted != 0 || self.paced {", "if self.paced {")],
    ),
    // Nobody reads the count of changes again.
    of("account", "slept_at_once", &[("account.changes() == changes ||", "changes < u64::MAX ||")]),
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
            ("if queue.is_counting() || !queue", "if counting || !queue"),
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
            ("account.note_used(used);\n        slot.let_go(if planted", "slot.let_go(if planted"),
            (
                "{ word.plus(bytes) });\n",
                "{ word.plus(bytes) });\n        account.note_used(used);\n",
            ),
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
    // A ghost is written in two steps.
    of(
        "ghost",
        "ghost_in_two_halves",
        &[(
            "cell.store(newer.0, order);",
            "cell.store(newer.0 & 0xffff_ffff, order);
                cell.store(newer.0, order);",
        )],
    ),
    // A key recalls the first ghost of its set.
    of("ghost", "any_ghost_of_a_set", &[("found.tag() == tag)?", "found.tag() != 0)?")]),
    // A hint is added to what was remembered in its place.
    of(
        "past",
        "hints_added_up",
        &[(
            "self.freed[next as usize % HINTS].store(slot + 1, order);",
            "self.freed[next as usize % HINTS].fetch_or(slot + 1, order);",
        )],
    ),
    // The last of those that are remembered is taken for one that was not overwritten.
    of(
        "past",
        "hints_counted",
        &[(
            "self.freed[first as usize % HINTS].load(order)",
            "self.freed[first as usize % HINTS].load(order) + u32::from(lost)",
        )],
    ),
    // A lesson is added to a weight before it is known whether there is room for it.
    of(
        "lessons",
        "weight_added_first",
        &[(
            "let moved = (cell.load(order) as i32 + by)",
            "let moved = (cell.fetch_add(by as u32, order) as i32 + by)",
        )],
    ),
    // A weight is cleared before it is written.
    of(
        "lessons",
        "weight_cleared_first",
        &[(
            "cell.store(moved as u32, order);",
            "cell.store(1, order);\n        cell.store(moved as u32, order);",
        )],
    ),
    // Who begins to wait looks for bytes before it is certain to be seen.
    of(
        "scarcity",
        "entered_without_fence",
        &[("        fence(Ordering::SeqCst);\n    }\n", "        let _ = fence;\n    }\n")],
    ),
    // Who frees bytes looks for waiters by any load.
    of(
        "scarcity",
        "looked_at_out_of_order",
        &[("load_in_order(&self.0)", "self.0.load(Ordering::Acquire)")],
    ),
    // What was left idle need not be seen by who takes the word of it back.
    of(
        "scarcity",
        "settled_without_order",
        &[("fetch_and(!UNSETTLED, Ordering::AcqRel)", "fetch_and(!UNSETTLED, Ordering::Relaxed)")],
    ),
    // The end of excess overwrites the count of those who wait.
    of(
        "scarcity",
        "excess_by_store",
        &[(
            "self.0.fetch_and(!EXCESS, order);",
            "self.0.store(self.0.load(Ordering::Acquire) & !EXCESS, Ordering::Release);",
        )],
    ),
    // Evicted bytes are added up in two steps.
    of(
        "tenant",
        "evictions_by_store",
        &[(
            "self.evicted_bytes.fetch_add(bytes, order);",
            "self.evicted_bytes.store(self.evicted_bytes.load(order) + bytes, order);",
        )],
    ),
    // As `decided_by_store`.
    of(
        "waiters",
        "waiter_decided_by_store",
        &[(
            "&& self.cells[index].word.compare_exchange(word.0, next.0, success, failure).is_ok()",
            "&& (self.cells[index].word.swap(next.0, success), success != failure).1",
        )],
    ),
    // A waiter that was served need not see with what.
    of(
        "waiters",
        "served_without_release",
        &[(
            "(Ordering::AcqRel, Ordering::Relaxed);\n        word.is(Phase::Waiting)",
            "(Ordering::Relaxed, Ordering::Relaxed);\n        word.is(Phase::Waiting)",
        )],
    ),
    // Who enters overwrites who entered at the same time.
    of(
        "waiters",
        "entered_by_store",
        &[(
            "if self.inbox.compare_exchange(first, index + 1, success, failure).is_ok() {",
            "let before = self.inbox.swap(index + 1, success);
            if (before, failure) != (u32::MAX, success) {",
        )],
    ),
    // The first of the two who let go of a cell frees it.
    of(
        "waiters",
        "freed_by_the_first",
        &[("if before | part as u32 != BOTH || before == BOTH {", "if before == BOTH {")],
    ),
    // A request is written while an earlier one is still being read.
    of(
        "waiters",
        "written_without_fence",
        &[(
            "fence(Ordering::Release);\n        // Relaxed: published by the Release of the word",
            "// Relaxed: published by the Release of the word",
        )],
    ),
    // Who looks at a waiter does not look whether it was still there in the end.
    of(
        "waiters",
        "looked_at_once",
        &[(
            "before.is(Phase::Waiting) && self.word(index) == before;",
            "before.is(Phase::Waiting);",
        )],
    ),
    // A ticket decides whoever is in its cell.
    of(
        "waiters",
        "any_waiter_of_a_cell",
        &[(
            "word.generation() == ticket.generation && self.exchange(",
            "word.generation() != 0 && self.exchange(",
        )],
    ),
    // Records are written whether or not there is room for them.
    of(
        "events",
        "room_for_all",
        &[(
            "Some(credits) => credits.take(records),",
            "Some(credits) => credits.take(records).or(Ok(())),",
        )],
    ),
    // What is lost is counted in two steps.
    of(
        "loss",
        "loss_by_store",
        &[(
            "self.stripes[account as usize % STRIPES].fetch_add(1, Ordering::Relaxed);",
            "let stripe = &self.stripes[account as usize % STRIPES];
        stripe.store(stripe.load(Ordering::Relaxed) + 1, Ordering::Relaxed);",
        )],
    ),
    // What the keeper has taken is not remembered.
    of(
        "loss",
        "losses_taken_again",
        &[(
            "total - self.taken.swap(total, Ordering::Relaxed)",
            "total - self.taken.load(Ordering::Relaxed)",
        )],
    ),
    // The count of refused requests is taken in two steps.
    of(
        "events",
        "refused_taken_by_store",
        &[(
            "self.refused[at].swap(0, Ordering::Relaxed)",
            "{
                let taken = self.refused[at].load(Ordering::Relaxed);
                self.refused[at].store(0, Ordering::Relaxed);
                taken
            }",
        )],
    ),
    // What is known of pressure overwrites what another thread has found.
    of(
        "account",
        "gauge_by_store",
        &[(
            "self.gauge.compare_exchange(from.0, to.0, success, failure).is_ok()",
            "(self.gauge.swap(to.0, success), from.0, failure) != (u32::MAX, 0, success)",
        )],
    ),
    // As above; that it was overwritten is noticed afterwards.
    of(
        "account",
        "gauge_exchanged_blindly",
        &[(
            "self.gauge.compare_exchange(from.0, to.0, success, failure).is_ok()",
            "(self.gauge.swap(to.0, success), failure) == (from.0, Ordering::Relaxed)",
        )],
    ),
    // A grant is held by a store, so that two may hold it to end it.
    of(
        "grants",
        "held_to_end_by_store",
        &[(
            "if segment.exchange(lane, word, word.with_state(State::Tuning)) {
                // Held still",
            "segment.set_word(lane, word.with_state(State::Tuning));
            if word.state() != State::Free {
                // Held still",
        )],
    ),
    // A victim is claimed by a store, so that two may claim it.
    of(
        "grants",
        "claimed_by_store",
        &[(
            "!segment.exchange(lane, seen, seen.with_state(State::Tuning))",
            "(segment.set_word(lane, seen.with_state(State::Tuning)), seen == SlotWord(0)).1",
        )],
    ),
    // Whatever has expired ends, committed or not.
    of(
        "force",
        "committed_grants_expire",
        &[(
            "let uncommitted = fields.flags & flag::UNCOMMITTED != 0 && fields.is_expired(now_ns);",
            "let uncommitted = fields.flags != u32::MAX && now_ns > 0;",
        )],
    ),
];
