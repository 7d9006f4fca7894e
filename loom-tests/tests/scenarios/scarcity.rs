// Scenarios of `src/core/scarcity.rs`. Included by `scarcity.rs`, where they hold, and by
// `core_mutants.rs`, where they fail.
//
// `FORGOTTEN` is what a scenario says when a waiter has not seen bytes that came free, and who
// freed them has not seen the waiter.

use super::core::scarcity::Scarcity;
use super::core::sync::{AtomicU64, Ordering};
use loom::sync::Arc;
use loom_tests::{model, thread};

/// The word of scarcity, and beside it bytes in use and bytes left idle.
#[derive(Default)]
struct World {
    scarcity: Scarcity,
    used: AtomicU64,
    idle: AtomicU64,
}

impl World {
    fn with_used(bytes: u64) -> Arc<Self> {
        Arc::new(Self { used: AtomicU64::new(bytes), ..Self::default() })
    }

    /// Frees bytes as `account.rs` does; says whether a waiter was found.
    fn release(&self, bytes: u64) -> bool {
        self.used.fetch_sub(bytes, Ordering::SeqCst);
        self.scarcity.is_waited()
    }

    /// Begins to wait; says what is in use.
    fn wait(&self) -> u64 {
        self.scarcity.enter();
        self.used.load(Ordering::Acquire)
    }
}

/// S1: who begins to wait sees the bytes that come free, or who frees them sees the waiter.
pub fn who_begins_to_wait_finds_the_bytes_or_is_found() {
    model("scarcity::who_begins_to_wait_finds_the_bytes_or_is_found", None, || {
        let world = World::with_used(1);
        let other = world.clone();
        let release = thread::spawn(move || other.release(1));
        let used = world.wait();
        let found = release.join().unwrap();
        assert!(found || used == 0, "FORGOTTEN: {used} in use, and nobody found it");
        assert_eq!(world.scarcity.waiters(), 1);
    });
}

/// S1 with two who free bytes: each finds the waiter, or has its bytes found.
pub fn two_releases_find_who_begins_to_wait_or_leave_it_all() {
    model("scarcity::two_releases_find_who_begins_to_wait_or_leave_it_all", Some(3), || {
        let world = World::with_used(0b11);
        let releases = [0b01, 0b10].map(|bytes| {
            let world = world.clone();
            thread::spawn(move || (bytes, world.release(bytes)))
        });
        let used = world.wait();
        for release in releases {
            let (bytes, found) = release.join().unwrap();
            assert!(found || used & bytes == 0, "FORGOTTEN: {bytes} of {used} in use");
        }
    });
}

/// Who takes back that something is unsettled sees all that was left idle before.
pub fn what_was_left_idle_is_known_to_who_settles() {
    model("scarcity::what_was_left_idle_is_known_to_who_settles", None, || {
        let world = World::with_used(0);
        let leaving = [0b01, 0b10].map(|bytes| {
            let world = world.clone();
            thread::spawn(move || {
                world.idle.fetch_or(bytes, Ordering::Relaxed);
                world.scarcity.unsettle();
            })
        });
        let settled = world.scarcity.settle();
        let seen = world.idle.load(Ordering::Relaxed);
        assert!(!settled || seen != 0, "FORGOTTEN: nothing idle was seen");
        for thread in leaving {
            thread.join().unwrap();
        }
        let again = world.scarcity.is_unsettled();
        assert!(again || seen == 0b11, "FORGOTTEN: {seen} was seen and nothing is unsettled");
    });
}

/// Waiters, excess and unsettled claim share a word, and leave each other's part alone.
pub fn waiters_are_counted_while_excess_comes_and_goes() {
    model("scarcity::waiters_are_counted_while_excess_comes_and_goes", None, || {
        let world = World::with_used(0);
        // So that none of those who come is the first, which unsettles.
        world.scarcity.enter();
        assert!(world.scarcity.settle());
        let (one, two) = (world.clone(), world.clone());
        let waiter = thread::spawn(move || {
            one.scarcity.enter();
            one.scarcity.enter();
            one.scarcity.leave();
        });
        let settling = thread::spawn(move || {
            two.scarcity.unsettle();
            two.scarcity.settle()
        });
        world.scarcity.set_excess(true);
        world.scarcity.set_excess(false);
        waiter.join().unwrap();
        assert!(settling.join().unwrap(), "LOST COUNT: of what is unsettled");
        assert_eq!(world.scarcity.waiters(), 2, "LOST COUNT: of waiters");
        let left = (world.scarcity.has_excess(), world.scarcity.is_unsettled());
        assert_eq!(left, (false, false), "LOST COUNT: of excess");
    });
}
