//! What `tests/listener_mutants.rs` breaks in `src/core/listener.rs`.

use crate::Mutant;

const fn listener(name: &'static str, changes: &'static [(&'static str, &'static str)]) -> Mutant {
    Mutant { file: "listener", name, changes }
}

pub const MUTANTS: &[Mutant] = &[
    // Notes that came since the last look are wiped away with those seen.
    listener(
        "listener_left_by_a_store",
        &[(
            "self.0.compare_exchange(seen, 0, success, failure)",
            "(|| {
                let now = self.0.load(failure);
                self.0.store(0, success);
                if now == 0 { Err(seen) } else { Ok(now) }
            })()",
        )],
    ),
    listener("listener_looks_once", &[("LOOKS_MAX: u32 = 64", "LOOKS_MAX: u32 = 1")]),
    // What was changed before a note is not seen by the teller that finds the note.
    listener(
        "listener_note_read_without_acquire",
        &[("(Ordering::Release, Ordering::Acquire)", "(Ordering::Release, Ordering::Relaxed)")],
    ),
    listener(
        "listener_note_left_without_release",
        &[("fetch_add(1, Ordering::AcqRel)", "fetch_add(1, Ordering::Acquire)")],
    ),
    // What was told is not known to the next teller.
    listener(
        "listener_left_without_release",
        &[("(Ordering::Release, Ordering::Acquire)", "(Ordering::Relaxed, Ordering::Acquire)")],
    ),
    listener(
        "listener_begun_without_acquire",
        &[("fetch_add(1, Ordering::AcqRel)", "fetch_add(1, Ordering::Release)")],
    ),
    listener(
        "listener_told_by_all",
        &[("fetch_add(1, Ordering::AcqRel) > 0", "fetch_add(1, Ordering::AcqRel) > 1")],
    ),
];
