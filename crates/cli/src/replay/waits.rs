//! How long requests waited, and what they were told: sums of one tenant.

use std::time::Duration;

use crate::report::waits::percentile;
use crate::report::{WaitReport, Waited};

/// What became of the requests of one tenant.
#[derive(Clone, Debug, Default)]
pub struct WaitSums {
    /// Granted at the instant they were made.
    pub at_once: u64,
    /// Waited in vain.
    pub gave_up: u64,
    /// Refused.
    pub denied: u64,
    estimates: u64,
    unknown: u64,
    waited: Waited,
}

impl WaitSums {
    /// Who begins to wait is told this.
    pub fn told(&mut self, estimate: Option<Duration>) {
        self.estimates += 1;
        self.unknown += u64::from(estimate.is_none());
    }

    /// It was granted after `waited_ns`, at least 1.
    pub fn granted(&mut self, waited_ns: u64, estimate: Option<Duration>) {
        let real_s = waited_ns as f64 / 1e9;
        self.waited.waits_s.push(real_s);
        self.waited.ratios.extend(estimate.map(|told| told.as_secs_f64() / real_s));
    }

    /// All tenants together.
    pub fn total(tenants: &[Self]) -> Self {
        let mut total = Self::default();
        for sums in tenants {
            total.at_once += sums.at_once;
            total.gave_up += sums.gave_up;
            total.denied += sums.denied;
            total.estimates += sums.estimates;
            total.unknown += sums.unknown;
            total.waited.waits_s.extend(&sums.waited.waits_s);
            total.waited.ratios.extend(&sums.waited.ratios);
        }
        total
    }

    /// The figures of a report.
    pub fn report(&self) -> WaitReport {
        let sorted = |values: &[f64]| {
            let mut sorted = values.to_vec();
            sorted.sort_by(f64::total_cmp);
            sorted
        };
        let (waits, ratios) = (sorted(&self.waited.waits_s), sorted(&self.waited.ratios));
        WaitReport {
            granted_at_once: self.at_once,
            granted_after_wait: waits.len() as u64,
            gave_up: self.gave_up,
            denied: self.denied,
            wait_mean_s: mean(&waits),
            wait_p50_s: percentile(&waits, 50),
            wait_p90_s: percentile(&waits, 90),
            wait_p99_s: percentile(&waits, 99),
            wait_longest_s: waits.last().copied(),
            estimates: self.estimates,
            estimates_unknown: self.unknown,
            estimates_judged: ratios.len() as u64,
            estimate_ratio_p10: percentile(&ratios, 10),
            estimate_ratio_p50: percentile(&ratios, 50),
            estimate_ratio_p90: percentile(&ratios, 90),
        }
    }

    /// What is drawn.
    pub fn drawn(self) -> Waited {
        self.waited
    }
}

/// None of nothing.
fn mean(values: &[f64]) -> Option<f64> {
    let sum: f64 = values.iter().sum();
    (!values.is_empty()).then(|| sum / values.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_tenants_add_up() {
        let second = Duration::from_secs(1);
        let mut one = WaitSums { at_once: 2, ..WaitSums::default() };
        one.told(None);
        one.granted(4_000_000_000, None);
        let mut two = WaitSums { gave_up: 1, denied: 3, ..WaitSums::default() };
        two.told(Some(second));
        two.told(Some(second));
        two.granted(2_000_000_000, Some(second));
        let report = WaitSums::total(&[one, two]).report();
        assert_eq!((report.granted_at_once, report.granted_after_wait), (2, 2));
        assert_eq!((report.gave_up, report.denied, report.waited()), (1, 3, 3));
        assert_eq!((report.wait_p50_s, report.wait_longest_s), (Some(2.0), Some(4.0)));
        assert_eq!(report.wait_mean_s, Some(3.0));
        assert_eq!((report.estimates, report.estimates_unknown), (3, 1));
        assert_eq!((report.estimates_judged, report.estimate_ratio_p50), (1, Some(0.5)));
        assert_eq!(WaitSums::default().report(), WaitReport::default());
    }
}
