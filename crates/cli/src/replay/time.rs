//! What makes the time of a trace pass: the driver, which sets it, or the clock on the wall, which
//! the driver waits for.

#[cfg(feature = "serve")]
use std::sync::{Condvar, Mutex, PoisonError};
#[cfg(feature = "serve")]
use std::time::{Duration, Instant};

use allotment::os::ManualClock;

/// The time of a trace.
#[derive(Clone, Copy)]
pub enum Time<'a> {
    /// Passes as the driver says.
    Virtual(&'a ManualClock),
    /// Passes by itself: where a server plays.
    #[cfg(feature = "serve")]
    Paced(&'a Pace),
}

impl Time<'_> {
    /// Makes it so late, or waits until it is.
    #[inline]
    pub fn come_to(self, now_ns: u64) {
        match self {
            Self::Virtual(clock) => {
                clock.set_ns(now_ns);
            }
            #[cfg(feature = "serve")]
            Self::Paced(pace) => pace.wait_until(now_ns),
        }
    }

    /// Whether nothing more is to be done.
    #[inline]
    pub fn is_over(self) -> bool {
        match self {
            Self::Virtual(_) => false,
            #[cfg(feature = "serve")]
            Self::Paced(pace) => pace.is_over(),
        }
    }
}

/// Time that passes so many times as fast as on the wall, from its making on, until it is ended.
/// Whoever comes late does not wait, and so catches up.
#[cfg(feature = "serve")]
pub struct Pace {
    began: Instant,
    speed: u32,
    is_over: Mutex<bool>,
    ended: Condvar,
}

#[cfg(feature = "serve")]
impl Pace {
    /// From now on, so many times as fast as on the wall; at least once.
    pub fn new(speed: u32) -> Self {
        let (is_over, ended) = (Mutex::new(false), Condvar::new());
        Self { began: Instant::now(), speed: speed.max(1), is_over, ended }
    }

    /// Ends it: who waits goes on.
    pub fn end(&self) {
        *self.is_over.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.ended.notify_all();
    }

    fn is_over(&self) -> bool {
        *self.is_over.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_until(&self, now_ns: u64) {
        let after = Duration::from_nanos(now_ns / u64::from(self.speed));
        let Some(left) = after.checked_sub(self.began.elapsed()) else { return };
        let is_over = self.is_over.lock().unwrap_or_else(PoisonError::into_inner);
        // Nothing is done with what comes of it: whoever has waited looks again.
        drop(self.ended.wait_timeout_while(is_over, left, |is_over| !*is_over));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "serve")]
    #[test]
    fn paced_time_is_waited_for_and_its_end_is_not() {
        let pace = Pace::new(3600);
        let time = Time::Paced(&pace);
        // A minute and a half of the trace is 25 ms.
        time.come_to(90_000_000_000);
        assert!(pace.began.elapsed() >= Duration::from_millis(25));
        assert!(!time.is_over());
        std::thread::scope(|scope| {
            // Two weeks, which nobody waits for.
            let waiting = scope.spawn(|| time.come_to(14 * 24 * 3_600_000_000_000_000));
            pace.end();
            waiting.join().unwrap();
        });
        assert!(time.is_over());
    }

    #[test]
    fn virtual_time_is_set_and_never_over() {
        let clock = ManualClock::new();
        let time = Time::Virtual(&clock);
        time.come_to(7);
        assert_eq!((clock.now_ns(), time.is_over()), (7, false));
    }
}
