//! What `tests/grants_mutants.rs` breaks in `src/core/grants.rs`.

use crate::Mutant;

const fn grants(name: &'static str, changes: &'static [(&'static str, &'static str)]) -> Mutant {
    Mutant { file: "grants", name, changes }
}

pub const MUTANTS: &[Mutant] = &[
    grants("no_comparison_after_the_hold", &[("if !ours(segment) {", "if false {")]),
    grants(
        "live_before_fields",
        &[
            (
                "segment.set_fields(lane, fields);\n        self.set_recency(recency);",
                "self.set_recency(recency);",
            ),
            (
                "segment.set_word(lane, word.with_special(fields.special()));\n    }",
                "segment.set_word(lane, word.with_special(fields.special()));\n        \
                 segment.set_fields(lane, fields);\n    }",
            ),
        ],
    ),
    grants(
        "word_without_release",
        &[("self.front(lane).word.store(word.0, Ordering::Release);", STORE_RELAXED)],
    ),
    grants(
        "generation_of_another_word",
        &[("(taken && segment.generation(lane) == before).then_some(before)", ANY_GENERATION)],
    ),
    grants(
        "generation_ignored",
        &[("(taken && segment.generation(lane) == before).then_some(before)", NO_GENERATION)],
    ),
    grants("no_look_at_the_victim", &[("let claimed = may_go(&victim);", LOOKED_FOR_NOTHING)]),
    grants(
        "evicting_before_the_look",
        &[("!segment.exchange(lane, seen, seen.with_state(State::Tuning))", CLAIM_AT_ONCE)],
    ),
    grants(
        "evicted_slot_not_pinned",
        &[("if held.word.state() == State::Evicting {\n            segment.set_word", NOT_PINNED)],
    ),
    grants(
        "evictor_does_not_wait_for_a_release",
        &[("_ => super::sync::pause(),", "_ => return Settled::Kept,")],
    ),
    grants(
        "early_decline_is_stale",
        &[("if asking { Refused::Busy } else { Refused::Stale }", DECLINE_STALE)],
    ),
    grants("reserved_by_store", &[(RESERVE, RESERVE_BY_STORE)]),
    grants(
        "owner_not_compared",
        &[(
            "if segment.owner() != owner || next.is_none() {",
            "if owner == Owner::NOBODY || next.is_none() {",
        )],
    ),
    grants(
        "retired_by_store",
        &[(
            "if word.state() != State::Free || !segment.exchange(lane, word, reserved) {",
            "segment.set_word(lane, reserved);\n            if word.state() != State::Free {",
        )],
    ),
    grants(
        "given_back_with_free_slots",
        &[
            ("segment.give(Owner::NOBODY);", GIVE_FREE),
            ("others.for_each(|lane|", OFFER_THE_RESERVED),
        ],
    ),
    grants("bit_taken_twice", &[("fetch_and(!lowest, Ordering::AcqRel) & lowest != 0", TWICE)]),
    grants(
        "segment_on_its_way_uncounted",
        &[
            ("spare.fetch_add(1, Ordering::AcqRel);\n        // AcqRel: pairs", "// AcqRel: pairs"),
            ("segment.give(Owner::NOBODY);", COUNT_LATE),
        ],
    ),
];

const LOOKED_FOR_NOTHING: &str = "let _ = may_go(&victim);
        let claimed = true;";
const STORE_RELAXED: &str = "self.front(lane).word.store(word.0, Ordering::Relaxed);";
const CLAIM_AT_ONCE: &str = "!segment.exchange(lane, seen, seen.with_state(State::Evicting))";
const NOT_PINNED: &str = "if held.word.state() == State::Evicting {
            segment.set_word(lane, held.word.with_state(State::Free).with_bytes(0));
            return Ended::WhileEvicting;
        }
        if false {
            segment.set_word";
const DECLINE_STALE: &str = "[Refused::Stale; 2][usize::from(asking)]";
const GIVE_FREE: &str = "segment.give(Owner::NOBODY);\n        self.unretire_segment(index);";
const TWICE: &str = "fetch_and(!lowest, Ordering::AcqRel) | lowest != 0";
const COUNT_LATE: &str = "segment.give(Owner::NOBODY);
        self.supply.spare.fetch_add(1, Ordering::AcqRel);";
const ANY_GENERATION: &str = "taken.then(|| segment.generation(lane))";
const NO_GENERATION: &str = "taken.then_some(before / u32::MAX)";
const RESERVE: &str = "
            || !segment.exchange(lane, word, word.with_state(State::Reserved))
        {
            return None;
        }
        // The segment";
const RESERVE_BY_STORE: &str = "
        {
            return None;
        }
        segment.set_word(lane, word.with_state(State::Reserved));
        // The segment";
const OFFER_THE_RESERVED: &str = "self.reserve(index * SLOTS + kept, segment.owner());
        let others = others.filter(|&lane| segment.word(lane).state() != State::Free);
        others.for_each(|lane|";
