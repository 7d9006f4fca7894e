// Scenarios of `src/core/ghost.rs`. Included by `ghost.rs`, where they hold, and by
// `core_mutants.rs`, where they fail.
//
// Ghosts are advice, and a race may lose or double one. What it may not do is make one up: each is
// remembered with a frequency that says when that was, so that a mixed one shows.

use super::core::ghost::{Ghosts, CELLS};
use super::core::word::Owner;
use loom::sync::Arc;
use loom_tests::{model, thread};

const OWNER: Owner = Owner(7);
const NOW: u32 = 100;

/// One set for all keys.
fn one_set() -> Arc<Ghosts> {
    Arc::new(Ghosts::new(CELLS as u32))
}

fn remember(ghosts: &Ghosts, key: u64, frequency: u32) {
    ghosts.remember(OWNER, key, frequency, NOW - frequency);
}

fn recall(ghosts: &Ghosts, key: u64) -> Option<u32> {
    let ghost = ghosts.recall(OWNER, key, NOW)?;
    assert_eq!(ghost.absent, ghost.frequency, "MIXED GHOST");
    Some(ghost.frequency)
}

/// Who recalls a key while it is evicted again gets one of the two ghosts, or none.
pub fn a_ghost_is_recalled_whole() {
    model("ghost::a_ghost_is_recalled_whole", None, || {
        let ghosts = one_set();
        remember(&ghosts, 1, 3);
        let other = ghosts.clone();
        let recalling = thread::spawn(move || recall(&other, 1));
        remember(&ghosts, 1, 5);
        let recalled = recalling.join().unwrap();
        assert!([None, Some(3), Some(5)].contains(&recalled), "MIXED GHOST: {recalled:?}");
        let again = recall(&ghosts, 1);
        assert!([None, Some(3), Some(5)].contains(&again), "MIXED GHOST: {again:?}");
    });
}

/// Two evictors and one who recalls, in one set: each key has what was remembered of it, or
/// nothing, and what is remembered in peace is there.
pub fn those_remembered_at_once_are_not_mixed() {
    model("ghost::those_remembered_at_once_are_not_mixed", Some(3), || {
        let ghosts = one_set();
        let evictors = [(1, 3), (2, 5)].map(|(key, frequency)| {
            let ghosts = ghosts.clone();
            thread::spawn(move || remember(&ghosts, key, frequency))
        });
        let first = recall(&ghosts, 1);
        assert!([None, Some(3)].contains(&first), "MIXED GHOST: {first:?}");
        for evictor in evictors {
            evictor.join().unwrap();
        }
        let second = recall(&ghosts, 2);
        assert!([None, Some(5)].contains(&second), "MIXED GHOST: {second:?}");
        remember(&ghosts, 9, 7);
        assert_eq!(recall(&ghosts, 9), Some(7), "LOST GHOST");
    });
}
