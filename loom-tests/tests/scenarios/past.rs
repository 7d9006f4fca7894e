// Scenarios of `src/core/past.rs`. Included by `past.rs`, where they hold, and by
// `core_mutants.rs`, where they fail.
//
// Hints may be lost, or had twice. What they may not do is name a slot that was never freed here.

use super::core::past::{HINTS, Past, Pasts};
use loom::sync::Arc;
use loom_tests::{model, thread};

/// Slots whose numbers have no bit in common.
const SLOTS: [u32; 3] = [1, 3, 7];
const NONE: u32 = 0;

fn take(past: &Past) -> u32 {
    let hint = past.take_freed();
    let known = hint == NONE || SLOTS.contains(&(hint - 1));
    assert!(known, "STRANGE HINT: slot {} was never freed", hint - 1);
    hint
}

/// Two threads free slots while a third looks for one: it is told of theirs, or of none.
pub fn a_hint_names_a_slot_that_was_freed() {
    model("past::a_hint_names_a_slot_that_was_freed", Some(3), || {
        let pasts = Arc::new(Pasts::new(1));
        let freeing = [SLOTS[0], SLOTS[1]].map(|slot| {
            let pasts = pasts.clone();
            thread::spawn(move || pasts.of(0).note_freed(slot))
        });
        take(pasts.of(0));
        for thread in freeing {
            thread.join().unwrap();
        }
        (0..=HINTS).for_each(|_| _ = take(pasts.of(0)));
    });
}

/// Two look for a slot while a third frees one more than are remembered.
pub fn takers_that_meet_get_slots_that_were_freed() {
    model("past::takers_that_meet_get_slots_that_were_freed", Some(3), || {
        let pasts = Arc::new(Pasts::new(1));
        pasts.of(0).note_freed(SLOTS[0]);
        let takers = [0, 1].map(|_| {
            let pasts = pasts.clone();
            thread::spawn(move || take(pasts.of(0)))
        });
        pasts.of(0).note_freed(SLOTS[1]);
        pasts.of(0).note_freed(SLOTS[2]);
        for taker in takers {
            taker.join().unwrap();
        }
        (0..=HINTS).for_each(|_| _ = take(pasts.of(0)));
    });
}
