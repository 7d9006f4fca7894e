//! From where on something is worth an alert, and when it is over.
//!
//! ```text
//! raised    value beyond its threshold
//! cleared   value at least the hysteresis on the good side of it, hold_secs after it was raised
//!           or value on the good side of it for settle_secs in a row
//! ```

use super::error::MemoryError;

/// Every number that decides about alerts. Begin with the default and change what differs; a
/// manager whose thresholds contradict each other is not created.
///
/// ```
/// use allotment::{AlertThresholds, ManagerOptions};
///
/// let mut thresholds = AlertThresholds::default();
/// thresholds.tenant_utilisation_percent = 80;
/// thresholds.latency_ms = 20;
/// let options = ManagerOptions::default().thresholds(thresholds);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AlertThresholds {
    /// A tenant uses more than this percent of its ceiling in force: 1 to 100. 90 unless set; 100
    /// is never exceeded, save after a limit was lowered.
    pub tenant_utilisation_percent: u8,
    /// More than this percent of the pool is in live allocations, a warning: 1 to 100. 90 unless
    /// set.
    pub global_utilisation_percent: u8,
    /// The same, critical: `global_utilisation_percent` to 100. 95 unless set.
    pub global_critical_percent: u8,
    /// Points below its threshold at which an alert about utilisation is over: 0 to one less than
    /// the lowest of those thresholds. 5 unless set.
    pub utilisation_hysteresis_points: u8,
    /// Requests of the last minute took longer than this on average, in ms, at least 1. 100 unless
    /// set. The average, not a percentile: one slow answer among a few is not an alert.
    pub latency_ms: u64,
    /// More than this was evicted in the last minute, in MiB, at least 1. 10 unless set.
    pub eviction_mb_per_minute: u64,
    /// Pressure rose more often than this in the last hour, at least 1. 5 unless set.
    pub pressure_events_per_hour: u64,
    /// Fewer than this percent of the requests of the last minute were granted: 0 to 99. 90 unless
    /// set; 0 is never.
    pub success_percent: u8,
    /// Requests of the last minute below which their success is not judged, at least 1. 20 unless
    /// set.
    pub success_requests_min: u64,
    /// An owner took longer than this to answer when an allocation was to go, in ms, at least 1.
    /// 1000 unless set.
    pub reclaim_ms: u64,
    /// The machine could not be read for longer than this, in seconds, at least 1. 60 unless set.
    /// Watched where the monitor runs in the background.
    pub measurement_secs: u64,
    /// How far below its threshold, in percent of it, an alert that is not about utilisation is
    /// over: 0 to 99. 20 unless set. Of `success_percent`: of what is missing to 100.
    pub hysteresis_percent: u8,
    /// An alert stays raised for at least this long, in seconds, up to a day. 5 unless set.
    pub hold_secs: u64,
    /// An alert whose value stays between the two bounds for this long is over, in seconds:
    /// `hold_secs` to a day. 60 unless set.
    pub settle_secs: u64,
}

/// A day in seconds.
const DAY_SECS: u64 = 86_400;

impl Default for AlertThresholds {
    fn default() -> Self {
        Self {
            tenant_utilisation_percent: 90,
            global_utilisation_percent: 90,
            global_critical_percent: 95,
            utilisation_hysteresis_points: 5,
            latency_ms: 100,
            eviction_mb_per_minute: 10,
            pressure_events_per_hour: 5,
            success_percent: 90,
            success_requests_min: 20,
            reclaim_ms: 1_000,
            measurement_secs: 60,
            hysteresis_percent: 20,
            hold_secs: 5,
            settle_secs: 60,
        }
    }
}

impl AlertThresholds {
    pub(super) fn validate(&self) -> Result<(), MemoryError> {
        let (tenant, global) = (self.tenant_utilisation_percent, self.global_utilisation_percent);
        in_range("tenant_utilisation_percent", tenant.into(), 1, 100)?;
        in_range("global_utilisation_percent", global.into(), 1, 100)?;
        let critical = u64::from(self.global_critical_percent);
        in_range("global_critical_percent", critical, global.into(), 100)?;
        let lowest = u64::from(tenant.min(global)) - 1;
        let points = u64::from(self.utilisation_hysteresis_points);
        in_range("utilisation_hysteresis_points", points, 0, lowest)?;
        in_range("success_percent", self.success_percent.into(), 0, 99)?;
        in_range("hysteresis_percent", self.hysteresis_percent.into(), 0, 99)?;
        for (field, value) in [
            ("latency_ms", self.latency_ms),
            ("eviction_mb_per_minute", self.eviction_mb_per_minute),
            ("pressure_events_per_hour", self.pressure_events_per_hour),
            ("success_requests_min", self.success_requests_min),
            ("reclaim_ms", self.reclaim_ms),
            ("measurement_secs", self.measurement_secs),
        ] {
            in_range(field, value, 1, u64::MAX)?;
        }
        in_range("hold_secs", self.hold_secs, 0, DAY_SECS)?;
        in_range("settle_secs", self.settle_secs, self.hold_secs, DAY_SECS)
    }
}

fn in_range(field: &'static str, value: u64, low: u64, high: u64) -> Result<(), MemoryError> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    let right = match high {
        u64::MAX => format!("at least {low}"),
        _ => format!("{low} to {high}"),
    };
    let problem = format!("{value} is out of range; use {right}");
    Err(MemoryError::Config { field, problem })
}
