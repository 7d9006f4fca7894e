// Scenarios of `src/core/listener.rs`. Each is run twice: by `listener.rs` against the library,
// where it must hold, and by `listener_mutants.rs` against broken copies, where it must fail.
// Whoever has this as a module has the code under test beside it, as `super::listener`.

use super::listener::Notes;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom_tests::{model, thread};

/// A level that threads change, and a listener that is told.
struct World {
    notes: Notes,
    /// What is in force. Relaxed always: what a teller has to see, the notes must order.
    level: AtomicU32,
    told: Told,
}

/// What the listener was told, in order. Loom fails where two threads are at it at once, or where
/// one does not know what another has written.
struct Told(UnsafeCell<Vec<u32>>);

// SAFETY: T1, which is under test: loom would tell.
unsafe impl Sync for Told {}
// SAFETY: as above.
unsafe impl Send for Told {}

impl World {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            notes: Notes::default(),
            level: AtomicU32::new(0),
            told: Told(UnsafeCell::new(vec![0])),
        })
    }

    /// Changes the level, and tells.
    fn change(&self, level: u32) {
        self.level.store(level, Ordering::Relaxed);
        self.step();
    }

    fn step(&self) {
        self.notes.leave(|| {
            let level = self.level.load(Ordering::Relaxed);
            self.told.0.with_mut(|told| {
                // SAFETY: T1.
                let told = unsafe { &mut *told };
                if told.last() != Some(&level) {
                    told.push(level);
                }
            });
        });
    }

    /// All is at rest: what was told last is in force.
    fn check(&self) {
        let level = self.level.load(Ordering::Relaxed);
        // SAFETY: all threads have ended.
        let told = self.told.0.with(|told| unsafe { (*told).clone() });
        assert_eq!(told.last(), Some(&level), "FORGOTTEN: {told:?}");
    }
}

/// The last told level is the one in force, whoever changes it.
pub fn a_listener_is_told_last_what_is_in_force() {
    model("listener::a_listener_is_told_last_what_is_in_force", None, || {
        let world = World::new();
        let other = world.clone();
        let thread = thread::spawn(move || {
            other.change(1);
            other.change(2);
        });
        world.change(3);
        thread.join().unwrap();
        world.check();
    });
}

/// The same with three at it, one of which has changed nothing itself.
pub fn a_listener_is_told_by_one_of_three() {
    let preemptions = if loom_tests::full() { None } else { Some(3) };
    model("listener::a_listener_is_told_by_one_of_three", preemptions, || {
        let world = World::new();
        let threads = [1, 0].map(|level| {
            let world = world.clone();
            thread::spawn(move || if level == 0 { world.step() } else { world.change(level) })
        });
        world.change(2);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        world.check();
    });
}
