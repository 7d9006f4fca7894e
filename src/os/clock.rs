//! The clock: nanoseconds since it was created, from the machine or moved by hand.
//!
//! The core takes time as an argument; this is where callers get it. With a [`ManualClock`] a run
//! is reproducible to the bit.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

#[expect(clippy::disallowed_types, reason = "time is no part of the core's models")]
type Hand = std::sync::atomic::AtomicU64;

/// Tells nanoseconds since its creation. Clones tell the same time.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The machine's monotonic clock, counted from this instant. It stands still while the
    /// machine sleeps.
    Monotonic(Instant),
    /// Moves only when told to.
    Manual(ManualClock),
}

impl Clock {
    /// The machine's clock, from now on.
    pub fn monotonic() -> Self {
        Self::Monotonic(Instant::now())
    }

    /// Nanoseconds since creation; never less than an earlier answer. The machine's clock stops at
    /// `u64::MAX` after 584 years.
    #[inline]
    pub fn now_ns(&self) -> u64 {
        match self {
            Self::Monotonic(started) => {
                u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX)
            }
            Self::Manual(clock) => clock.now_ns(),
        }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::monotonic()
    }
}

impl From<ManualClock> for Clock {
    fn from(clock: ManualClock) -> Self {
        Self::Manual(clock)
    }
}

/// A clock that is moved by hand; starts at 0 and never goes backwards. Clones are the same clock.
#[derive(Clone, Debug, Default)]
pub struct ManualClock {
    hand_ns: Arc<Hand>,
}

impl ManualClock {
    /// A clock at 0.
    pub fn new() -> Self {
        Self::default()
    }

    /// What the clock shows.
    #[inline]
    pub fn now_ns(&self) -> u64 {
        // Acquire: pairs with the Release of the moves below; who sees a time sees what was done
        // before the clock was moved to it.
        self.hand_ns.load(Ordering::Acquire)
    }

    /// Moves the clock to `ns`. A time that has passed leaves it where it is. Returns what the
    /// clock shows then.
    pub fn set_ns(&self, ns: u64) -> u64 {
        // Release: pairs with the Acquire in now_ns; publishes what was done before the move.
        self.hand_ns.fetch_max(ns, Ordering::Release).max(ns)
    }

    /// Moves the clock forward by `ns`, at most to `u64::MAX`. Returns what it shows then.
    pub fn advance_ns(&self, ns: u64) -> u64 {
        let forward = |now: u64| Some(now.saturating_add(ns));
        // Release: pairs with the Acquire in now_ns; publishes what was done before the move.
        // Relaxed: a failed exchange publishes nothing and is tried again.
        let moved = self.hand_ns.fetch_update(Ordering::Release, Ordering::Relaxed, forward);
        moved.unwrap_or_else(|now| now).saturating_add(ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manual_clock_moves_forward_only() {
        let clock = ManualClock::new();
        let same = clock.clone();
        assert_eq!(clock.now_ns(), 0);
        assert_eq!(clock.set_ns(100), 100);
        assert_eq!(same.set_ns(40), 100, "a time that has passed changes nothing");
        assert_eq!(same.advance_ns(5), 105);
        assert_eq!(Clock::from(clock.clone()).now_ns(), 105);
        assert_eq!(clock.advance_ns(u64::MAX), u64::MAX);
        assert_eq!(same.now_ns(), u64::MAX);
    }

    #[test]
    fn manual_clock_loses_no_step_of_two_threads() {
        let clock = ManualClock::new();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        clock.advance_ns(1);
                    }
                });
            }
        });
        assert_eq!(clock.now_ns(), 20_000);
    }

    #[test]
    fn monotonic_clock_starts_near_zero_and_runs() {
        let clock = Clock::default();
        let first = clock.now_ns();
        assert!(first < 60_000_000_000, "{first} ns since creation");
        let same = clock.clone();
        while same.now_ns() == first {}
        assert!(same.now_ns() > first);
    }
}
