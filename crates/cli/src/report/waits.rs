//! Requests that could wait: how many did, for how long, and what they were told as they began.

use serde::Serialize;

/// What became of requests that could wait, of one tenant or of all. Each is counted once: at once,
/// after a wait, gave up, or denied. Figures of which there are no cases are `None`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct WaitReport {
    /// Granted at the instant they were made.
    pub granted_at_once: u64,
    /// Granted later.
    pub granted_after_wait: u64,
    /// Waited for as long as they may, in vain.
    pub gave_up: u64,
    /// Refused, since waiting cannot help.
    pub denied: u64,
    /// Seconds that those granted after a wait had waited on average.
    pub wait_mean_s: Option<f64>,
    /// Seconds that half of those granted after a wait had waited, or less.
    pub wait_p50_s: Option<f64>,
    /// The same of 90 %.
    pub wait_p90_s: Option<f64>,
    /// The same of 99 %.
    pub wait_p99_s: Option<f64>,
    /// The longest of these waits.
    pub wait_longest_s: Option<f64>,
    /// Estimates asked for: one for each request that began to wait.
    pub estimates: u64,
    /// Those answered by "unknown".
    pub estimates_unknown: u64,
    /// Those answered by a time, of requests that were granted in the end: only they have a real
    /// wait to compare with.
    pub estimates_judged: u64,
    /// Estimate / real wait of the judged ones: 10 % are at most this.
    pub estimate_ratio_p10: Option<f64>,
    /// The median.
    pub estimate_ratio_p50: Option<f64>,
    /// The same of 90 %.
    pub estimate_ratio_p90: Option<f64>,
}

impl WaitReport {
    /// Requests that began to wait and came to an end.
    pub fn waited(&self) -> u64 {
        self.granted_after_wait + self.gave_up
    }
}

/// Every wait and every estimate of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Waited {
    /// Seconds that those granted after a wait had waited.
    pub waits_s: Vec<f64>,
    /// Estimate / real wait.
    pub ratios: Vec<f64>,
}

/// The least of `sorted` that is not exceeded by `percent` of all; none of nothing.
pub fn percentile(sorted: &[f64], percent: u32) -> Option<f64> {
    let rank = (sorted.len() * percent as usize).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(percentile(&hundred, 50), Some(50.0));
        assert_eq!(percentile(&hundred, 99), Some(99.0));
        assert_eq!(percentile(&[3.0, 4.0, 9.0], 50), Some(4.0));
        assert_eq!((percentile(&[7.0], 10), percentile(&[7.0], 100)), (Some(7.0), Some(7.0)));
        assert_eq!(percentile(&[], 50), None);
    }
}
