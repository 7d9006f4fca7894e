//! What `tests/queue_mutants.rs` breaks in `src/core/queue.rs`.

use crate::Mutant;

const fn queue(name: &'static str, changes: &'static [(&'static str, &'static str)]) -> Mutant {
    Mutant { file: "queue", name, changes }
}

pub const MUTANTS: &[Mutant] = &[
    // This stands on slots that are broken, see `mutants/grants.rs`.
    queue("given_back_with_free_slots", &[]),
    queue(
        "one_look",
        &[(
            "let after = match self.look_at_all(grants, owner) {\n            \
             Look::Found(slot) => return Ok(slot),\n            look => look,\n        };",
            "let after = before;",
        )],
    ),
    queue(
        "segment_on_its_way_ignored",
        &[(
            "none == NoSegment::Exhausted",
            "matches!(none, NoSegment::Exhausted | NoSegment::OnTheWay)",
        )],
    ),
    queue(
        "linked_by_store",
        &[(
            "if self.exchange_head(head, head.with_first(Some(index))) {",
            "self.head.store(head.with_first(Some(index)).0, Ordering::Release);
            if self.head().first().is_some() {",
        )],
    ),
    queue(
        "unlinked_by_store",
        &[(
            "if !first || !self.exchange_head(head, head.with_first(next)) {",
            "self.head.store(head.with_first(next).0, Ordering::Release);
                if first && head.is_closed() {",
        )],
    ),
    queue(
        "head_without_generation",
        &[(
            "if !head.admits(owner.generation()) {",
            "if head.is_closed() || owner == Owner::NOBODY {",
        )],
    ),
    queue("undecided_count_is_certain", &[("(word.pending() == 0).then_some", "Some")]),
    queue(
        "counted_by_store",
        &[(
            "if self.count.compare_exchange(word.0, next, success, failure).is_ok() {",
            "let _ = (success, failure);
            self.count.store(next, Ordering::Release);
            if next != 0 {",
        )],
    ),
];
