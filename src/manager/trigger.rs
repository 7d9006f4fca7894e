//! Whether an alert is raised: one state for each alert there can be, with hysteresis.
//!
//! ```text
//!            value beyond threshold
//!     off -------------------------> raised
//!      ^                              | value at or below clear, hold_ns after it was raised
//!      +------------------------------+ or not beyond the threshold for settle_ns in a row
//! ```
//!
//! A value that swings around its threshold raises one alert and no more: each swing beyond it
//! begins the time to settle anew. One that swings across both bounds raises one in `hold_ns`.

use super::alerts::{AlertChange, AlertKind, AlertLevel};
use super::thresholds::AlertThresholds;

/// No time.
const NEVER: u64 = u64::MAX;

/// A value, and the bounds it is held against.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub kind: AlertKind,
    pub level: AlertLevel,
    pub value: f64,
    pub threshold: f64,
    /// Where the alert is over at once.
    pub clear: f64,
}

impl Reading {
    /// Whether small values are the bad ones.
    fn is_floor(&self) -> bool {
        self.kind == AlertKind::SuccessRate
    }

    fn is_beyond(&self) -> bool {
        match self.is_floor() {
            true => self.value < self.threshold,
            false => self.value > self.threshold,
        }
    }

    fn is_clear(&self) -> bool {
        match self.is_floor() {
            true => self.value >= self.clear,
            false => self.value <= self.clear,
        }
    }
}

/// How fast alerts may come and go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub hold_ns: u64,
    pub settle_ns: u64,
}

impl Pace {
    pub(super) fn of(thresholds: &AlertThresholds) -> Self {
        let ns = |secs: u64| secs * 1_000_000_000;
        Self { hold_ns: ns(thresholds.hold_secs), settle_ns: ns(thresholds.settle_secs) }
    }
}

/// The state of one alert.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trigger {
    raised_ns: u64,
    /// Since when the value is not beyond its threshold.
    calm_ns: u64,
}

impl Default for Trigger {
    fn default() -> Self {
        Self { raised_ns: NEVER, calm_ns: NEVER }
    }
}

impl Trigger {
    pub(super) fn is_raised(&self) -> bool {
        self.raised_ns != NEVER
    }

    /// Takes a reading; says what changed by it.
    pub(super) fn pull(
        &mut self,
        reading: &Reading,
        pace: Pace,
        now_ns: u64,
    ) -> Option<AlertChange> {
        if reading.is_beyond() {
            let raised = !self.is_raised();
            self.calm_ns = NEVER;
            if raised {
                self.raised_ns = now_ns.min(NEVER - 1);
            }
            return raised.then_some(AlertChange::Raised);
        }
        if !self.is_raised() {
            return None;
        }
        self.calm_ns = self.calm_ns.min(now_ns);
        let held = now_ns.saturating_sub(self.raised_ns) >= pace.hold_ns;
        let settled = now_ns.saturating_sub(self.calm_ns) >= pace.settle_ns;
        if !(held && (reading.is_clear() || settled)) {
            return None;
        }
        *self = Self::default();
        Some(AlertChange::Cleared)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { hold_ns: 10, settle_ns: 60 };

    /// What a row of values, one for each ns, does to an alert above 90 that is over at 85.
    fn changes(values: impl IntoIterator<Item = f64>) -> Vec<(usize, AlertChange)> {
        let mut trigger = Trigger::default();
        let values = values.into_iter().enumerate();
        values
            .filter_map(|(at, value)| {
                let (kind, level) = (AlertKind::TenantUtilisation, AlertLevel::Warning);
                let reading = Reading { kind, level, value, threshold: 90.0, clear: 85.0 };
                trigger.pull(&reading, PACE, at as u64).map(|change| (at, change))
            })
            .collect()
    }

    fn swing(low: f64, high: f64) -> impl Iterator<Item = f64> {
        (0..).map(move |at| if at % 2 == 0 { high } else { low })
    }

    #[test]
    fn a_value_that_swings_around_its_threshold_raises_one_alert() {
        let raised = [(0, AlertChange::Raised)];
        assert_eq!(changes(swing(86.0, 91.0).take(10_000)), raised);
        assert_eq!(changes(swing(90.0, 90.1).take(10_000)), raised);
    }

    #[test]
    fn at_the_threshold_is_not_beyond_it() {
        assert_eq!(changes([90.0; 100]), []);
    }

    #[test]
    fn it_is_over_below_the_band_or_after_a_while_within() {
        let (raised, cleared) = (AlertChange::Raised, AlertChange::Cleared);
        let fall = [95.0; 20].into_iter().chain([85.0; 20]);
        assert_eq!(changes(fall), [(0, raised), (20, cleared)]);
        let early = [95.0; 5].into_iter().chain([10.0; 20]);
        assert_eq!(changes(early), [(0, raised), (10, cleared)], "held for 10");
        let within = [95.0; 20].into_iter().chain([88.0; 100]);
        assert_eq!(changes(within), [(0, raised), (80, cleared)], "60 after 20");
    }

    #[test]
    fn across_both_bounds_it_comes_at_most_once_in_its_time() {
        let all = changes(swing(0.0, 100.0).take(1_000));
        let raised = all.iter().filter(|change| change.1 == AlertChange::Raised).count();
        assert!((2..=100).contains(&raised), "{raised} times in 1000 ns, held for 10 each");
    }

    #[test]
    fn of_a_floor_the_small_values_are_bad() {
        let mut trigger = Trigger::default();
        let mut at = 0;
        let mut pull = |value| {
            let (kind, level) = (AlertKind::SuccessRate, AlertLevel::Warning);
            let reading = Reading { kind, level, value, threshold: 90.0, clear: 92.0 };
            at += 20;
            trigger.pull(&reading, PACE, at)
        };
        assert_eq!(pull(95.0), None);
        assert_eq!(pull(89.0), Some(AlertChange::Raised));
        assert_eq!(pull(91.0), None);
        assert_eq!(pull(92.0), Some(AlertChange::Cleared));
    }
}
