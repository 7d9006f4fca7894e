//! Counters over the last minute and the last hour, and what alerts are made of.
//!
//! | alert | value |
//! |---|---|
//! | utilisation | bytes in use / ceiling in force, at this look |
//! | allocation latency | average over the requests of the last minute |
//! | eviction rate, slow and panicking reclaims | counted in the last minute |
//! | success rate | granted / answered in the last minute, if there were enough |
//! | pressure events | counted in the last hour |

use super::alerts::{AlertKind, AlertLevel};
use super::history::MINUTE_NS;
use super::statistics::{Count, Totals, share_percent};
use super::thresholds::AlertThresholds;
use super::trigger::{Reading, Trigger};
use super::window::Window;

const HOUR_NS: u64 = 60 * MINUTE_NS;
/// One MiB in bytes.
const MIB: f64 = (1u64 << 20) as f64;

/// Counts that alerts are about, at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Recent {
    granted: u64,
    pub denied: u64,
    pub evicted_bytes: u64,
    latency_ns: u64,
    latency_weight: u64,
    reclaim_slow: u64,
    reclaim_panicked: u64,
}

impl Recent {
    pub(super) fn of(totals: &Totals) -> Self {
        let get = |count| totals.get(count);
        Self {
            granted: get(Count::Granted),
            denied: get(Count::Denied),
            evicted_bytes: get(Count::EvictedBytes),
            latency_ns: get(Count::LatencyNs),
            latency_weight: get(Count::LatencyWeight),
            reclaim_slow: get(Count::ReclaimSlow),
            reclaim_panicked: get(Count::ReclaimPanicked),
        }
    }
}

/// Alerts that there are about a tenant; the first ones also about the pool.
pub(super) const ALERTS: usize = 7;
pub(super) const ALERTS_OF_ALL: usize = 5;

/// Counters over time, and the alerts that follow from them: of a tenant or of the pool.
pub(super) struct Trend {
    minute: Window<Recent>,
    hour: Window<u64>,
    pub pressure_events: u64,
    pub triggers: [Trigger; ALERTS],
}

impl Trend {
    pub(super) fn new(now_ns: u64, totals: &Totals, pressure_events: u64) -> Self {
        let now = Recent::of(totals);
        Self {
            minute: Window::new(MINUTE_NS, now_ns, now),
            hour: Window::new(HOUR_NS, now_ns, pressure_events),
            pressure_events,
            triggers: Default::default(),
        }
    }

    pub(super) fn turn(&mut self, now_ns: u64, totals: &Totals, pressure_events: u64) {
        self.pressure_events = pressure_events;
        self.minute.turn(now_ns, Recent::of(totals));
        self.hour.turn(now_ns, pressure_events);
    }

    /// What was counted up to the last look.
    pub(super) fn now(&self) -> Recent {
        self.minute.newest()
    }

    /// Events in the last minute.
    fn per_minute(&self, count: impl Fn(&Recent) -> u64) -> f64 {
        let gained = count(&self.now()).saturating_sub(count(&self.minute.oldest()));
        gained as f64 * self.minute.scale()
    }

    pub(super) fn evicted_bytes_per_minute(&self) -> f64 {
        self.per_minute(|recent| recent.evicted_bytes)
    }

    pub(super) fn pressure_events_per_hour(&self) -> f64 {
        (self.pressure_events - self.hour.oldest()) as f64 * self.hour.scale()
    }

    /// Whether nothing has happened for long and no alert is raised: then only utilisation may
    /// raise one.
    pub(super) fn is_quiet(&self) -> bool {
        self.now() == self.minute.oldest()
            && self.pressure_events == self.hour.oldest()
            && !self.triggers.iter().any(Trigger::is_raised)
    }

    /// What alerts are about, in the order of their triggers.
    pub(super) fn readings(
        &self,
        thresholds: &AlertThresholds,
        utilisation: (AlertKind, f64, u8),
    ) -> [Reading; ALERTS] {
        let (now, before) = (self.now(), self.minute.oldest());
        let weight = now.latency_weight - before.latency_weight;
        let latency_ns = now.latency_ns - before.latency_ns;
        let latency_ms = latency_ns.checked_div(weight).unwrap_or(0) as f64 / 1e6;
        let granted = now.granted - before.granted;
        let asked = granted + now.denied - before.denied;
        let judged = asked >= thresholds.success_requests_min;
        let success = if judged { share_percent(granted, asked) } else { 100.0 };
        let evicted_mb = self.evicted_bytes_per_minute() / MIB;
        let slow = self.per_minute(|recent| recent.reclaim_slow);
        let panicked = self.per_minute(|recent| recent.reclaim_panicked);
        let rises = self.pressure_events_per_hour();
        let (kind, percent, threshold) = utilisation;
        let rate = |kind, value, threshold: u64| above(thresholds, kind, value, threshold);
        [
            of_utilisation(thresholds, kind, AlertLevel::Warning, percent, threshold),
            rate(AlertKind::AllocationLatency, latency_ms, thresholds.latency_ms),
            rate(AlertKind::EvictionRate, evicted_mb, thresholds.eviction_mb_per_minute),
            rate(AlertKind::PressureEvents, rises, thresholds.pressure_events_per_hour),
            of_success(thresholds, success),
            rate(AlertKind::ReclaimTimedOut, slow, 0),
            rate(AlertKind::ReclaimPanicked, panicked, 0),
        ]
    }
}

/// A value that is bad above its threshold.
pub(super) fn above(
    thresholds: &AlertThresholds,
    kind: AlertKind,
    value: f64,
    threshold: u64,
) -> Reading {
    let threshold = threshold as f64;
    let clear = threshold * f64::from(100 - thresholds.hysteresis_percent) / 100.0;
    Reading { kind, level: AlertLevel::Warning, value, threshold, clear }
}

pub(super) fn of_utilisation(
    thresholds: &AlertThresholds,
    kind: AlertKind,
    level: AlertLevel,
    value: f64,
    threshold: u8,
) -> Reading {
    let clear = f64::from(threshold - thresholds.utilisation_hysteresis_points);
    Reading { kind, level, value, threshold: f64::from(threshold), clear }
}

fn of_success(thresholds: &AlertThresholds, value: f64) -> Reading {
    let threshold = f64::from(thresholds.success_percent);
    let clear = threshold + (100.0 - threshold) * f64::from(thresholds.hysteresis_percent) / 100.0;
    let (kind, level) = (AlertKind::SuccessRate, AlertLevel::Warning);
    Reading { kind, level, value, threshold, clear }
}

/// How full a bound is, in percent.
pub(super) fn fill_percent(used: u64, bound: u64) -> f64 {
    if bound == 0 { 0.0 } else { used as f64 * 100.0 / bound as f64 }
}
