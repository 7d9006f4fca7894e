//! What came out of a search, as data: each configuration on the part that it was not tuned on.

use allotment_config::{Setup, write};
use serde::Serialize;

use super::objective::{Cost, Judge};
use super::split;
use crate::args::TuneArgs;
use crate::failure::CliError;
use crate::report::TenantReport;

/// The name of memory without limits.
pub const NO_LIMITS: &str = "no limits";
/// The name of the even split.
pub const EVEN_SPLIT: &str = "even split";
/// The name of the configuration that was given.
pub const START: &str = "start";
/// The name of the best that was found.
pub const FOUND: &str = "found";

/// The whole report. Keys that do not apply are null in the JSON form, never left out.
#[derive(Debug, Serialize)]
pub struct TuneReport {
    /// The trace as the replay names it.
    pub trace: String,
    /// How it was read.
    pub format: String,
    /// What a key counts, for traces of keys.
    pub unit: Option<String>,
    /// What is shared.
    pub capacity_bytes: u64,
    /// The seed of the search.
    pub seed: u64,
    /// Candidates that were judged.
    pub evaluations: usize,
    /// How much of the trace was tuned on.
    pub train_percent: u8,
    /// Its requests.
    pub train_requests: usize,
    /// Those of the rest.
    pub held_out_requests: usize,
    /// What a second of rebuilding costs.
    pub rebuild_weight: f64,
    /// No limits, the even split, the start where one was given, and the best that was found.
    pub outcomes: Vec<Outcome>,
    /// Which of them is proposed: what was found only if it costs less than the one before it.
    pub proposed: &'static str,
    /// For whom what was found is worse than the one before it; empty if it is not proposed.
    pub who_pays: Vec<Payer>,
    /// The configuration that is proposed.
    pub config: String,
}

/// One configuration on the part that was not tuned on.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// Which one.
    pub name: &'static str,
    /// What it costs there.
    pub cost: Cost,
    /// What it costs on the part that was tuned on.
    pub cost_in_training: Cost,
    /// The most bytes in use at one time.
    pub peak_used_bytes: u64,
    /// By the number of the tenant in the trace.
    pub tenants: Vec<TenantOutcome>,
}

/// One tenant under one configuration.
#[derive(Debug, Serialize)]
pub struct TenantOutcome {
    /// What a denial of its costs.
    pub weight: f64,
    /// Its burst.
    pub burst_bytes: Option<u64>,
    /// What the replay tells of it.
    #[serde(flatten)]
    pub told: TenantReport,
}

/// One for whom it gets worse.
#[derive(Debug, PartialEq, Serialize)]
pub struct Payer {
    /// Who.
    pub name: String,
    /// Its denials before.
    pub denied_before: u64,
    /// And after.
    pub denied_after: u64,
    /// Its seconds of rebuilding before.
    pub rebuild_seconds_before: f64,
    /// And after.
    pub rebuild_seconds_after: f64,
}

impl Outcome {
    /// Replays both parts under a configuration.
    pub fn of(
        name: &'static str,
        setup: &Setup,
        train: &Judge<'_>,
        held_out: &Judge<'_>,
    ) -> Result<Self, CliError> {
        let run = held_out.run(setup)?;
        let tenants = split::tenants(setup, &held_out.workload.tenants);
        let told = run.tenants.iter().zip(&held_out.weights.denials).zip(tenants);
        Ok(Self {
            name,
            cost: held_out.weights.cost(&run),
            cost_in_training: train.weights.cost(&train.run(setup)?),
            peak_used_bytes: run.peak_used_bytes,
            tenants: told
                .map(|((told, weight), tenant)| TenantOutcome {
                    weight: *weight,
                    burst_bytes: tenant.burst_bytes,
                    told: told.clone(),
                })
                .collect(),
        })
    }
}

impl TuneReport {
    /// The report of a search that judged `evaluations` candidates on the first part; the figures
    /// are those of the second. The last outcome is what was found, the one before it what it has
    /// to better.
    pub fn new(
        args: &TuneArgs,
        parts: [&Judge<'_>; 2],
        evaluations: usize,
        outcomes: Vec<Outcome>,
        proposed: &(&'static str, Setup),
    ) -> Self {
        let [train, held_out] = parts.map(|judge| &judge.workload);
        let who_pays = match &outcomes[..] {
            [.., before, after] if proposed.0 == FOUND => payers(before, after),
            _ => Vec::new(),
        };
        Self {
            trace: held_out.name.clone(),
            format: args.trace.format.name().to_string(),
            unit: (args.trace.format.is_keys()).then(|| args.trace.unit().name().to_string()),
            capacity_bytes: proposed.1.capacity_bytes,
            seed: args.seed,
            evaluations,
            train_percent: args.train,
            train_requests: train.requests_len(),
            held_out_requests: held_out.requests_len(),
            rebuild_weight: args.rebuild_weight,
            outcomes,
            proposed: proposed.0,
            who_pays,
            config: write(&proposed.1),
        }
    }

    /// The report for programs, ending in a new line.
    pub fn json(&self) -> String {
        let mut text =
            serde_json::to_string_pretty(self).expect("plain fields always have a JSON form");
        text.push('\n');
        text
    }
}

/// Those with more denials or more to load again, those who pay most first.
fn payers(before: &Outcome, after: &Outcome) -> Vec<Payer> {
    let both = before.tenants.iter().zip(&after.tenants);
    let seconds = |tenant: &TenantOutcome| tenant.told.rebuild_seconds.unwrap_or(0.0);
    let mut payers: Vec<Payer> = both
        .map(|(before, after)| Payer {
            name: after.told.name.clone(),
            denied_before: before.told.denied,
            denied_after: after.told.denied,
            rebuild_seconds_before: seconds(before),
            rebuild_seconds_after: seconds(after),
        })
        .filter(|payer| payer.denied_more() > 0 || payer.rebuild_seconds_more() > 0.0)
        .collect();
    payers.sort_by(|a, b| {
        let by_seconds = b.rebuild_seconds_more().total_cmp(&a.rebuild_seconds_more());
        b.denied_more().cmp(&a.denied_more()).then(by_seconds)
    });
    payers
}

impl Payer {
    /// Its additional denials, or 0.
    pub fn denied_more(&self) -> u64 {
        self.denied_after.saturating_sub(self.denied_before)
    }

    /// Its additional seconds of rebuilding, or 0.
    pub fn rebuild_seconds_more(&self) -> f64 {
        (self.rebuild_seconds_after - self.rebuild_seconds_before).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(tenants: [(&str, u64, f64); 4]) -> Outcome {
        let cost = Cost { total: 0.0, weighted_denials: 0.0, weighted_rebuild: 0.0 };
        let tenant = |(name, denied, seconds): (&str, u64, f64)| TenantOutcome {
            weight: 1.0,
            burst_bytes: None,
            told: TenantReport {
                name: name.to_string(),
                denied,
                rebuild_seconds: Some(seconds),
                ..TenantReport::default()
            },
        };
        let tenants = tenants.into_iter().map(tenant).collect();
        Outcome { name: FOUND, cost, cost_in_training: cost, peak_used_bytes: 0, tenants }
    }

    #[test]
    fn who_gets_less_pays() {
        let before = outcome([("a", 5, 0.0), ("b", 9, 2.0), ("c", 1, 1.0), ("d", 7, 7.0)]);
        let after = outcome([("a", 6, 0.0), ("b", 0, 3.5), ("c", 8, 0.0), ("d", 7, 7.0)]);
        let payers = payers(&before, &after);
        let told: Vec<_> = payers
            .iter()
            .map(|payer| (payer.name.as_str(), payer.denied_more(), payer.rebuild_seconds_more()))
            .collect();
        assert_eq!(told, [("c", 7, 0.0), ("a", 1, 0.0), ("b", 0, 1.5)]);
    }
}
