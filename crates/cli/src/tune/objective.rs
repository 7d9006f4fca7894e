//! What a configuration costs: denials by weight, and loading again what could have been kept.
//!
//! ```text
//! cost     = sum over t of weight(t) x denials(t)  +  rebuild_weight x sum over t of rebuild(t)
//!
//! denials  requests and growths refused, as the replay counts them
//! rebuild  seconds of loading for misses of items that were asked for before, so had been evicted
//!          or refused, and for jobs that were evicted: by the trace's own times where it has some
//!          (alibaba-lora); else a GiB takes a second, and an object, where objects are counted, a
//!          millisecond
//! weight   4, 3, 2, 1 for critical, high, normal, low, and 0.01 for rebuilding, unless given
//! ```
//!
//! A first load costs nothing: no configuration avoids it. What was refused counts like what was
//! evicted: else the best thing would be to let nothing in that could be lost. The figures come
//! from a replay through the governor itself, never from a model of it, and a run that its ledger
//! does not find sound is a failure, not a candidate.

use std::sync::Arc;

use allotment_config::Setup;
use serde::Serialize;

use crate::args::{ReplayArgs, Size};
use crate::failure::CliError;
use crate::replay::plan::Plan;
use crate::replay::progress::Progress;
use crate::replay::single_run::SingleRun;
use crate::report::RunReport;
use crate::trace::workload::Workload;

/// What counts how much.
#[derive(Clone, Debug)]
pub struct Weights {
    /// By the number of the tenant in the trace.
    pub denials: Vec<f64>,
    /// For a second.
    pub rebuild: f64,
}

impl Weights {
    /// By the priorities of `setup`, save where `given` says otherwise.
    pub fn new(
        setup: &Setup,
        tenants: &[String],
        given: &[(String, f64)],
        rebuild: f64,
    ) -> Result<Self, CliError> {
        let mut denials: Vec<f64> =
            tenants.iter().map(|name| weight_of_priority(setup, name)).collect();
        for (name, weight) in given {
            let Some(at) = tenants.iter().position(|tenant| tenant == name) else {
                return Err(CliError::new(format!(
                    "--weight {name}={weight}: the trace has no tenant '{name}'; it has {}",
                    some_of(tenants)
                )));
            };
            denials[at] = *weight;
        }
        Ok(Self { denials, rebuild })
    }

    /// The cost of a run.
    pub fn cost(&self, run: &RunReport) -> Cost {
        let weighted = self.denials.iter().zip(&run.tenants);
        let weighted_denials = weighted.map(|(weight, told)| weight * told.denied as f64).sum();
        let seconds = run.tenants.iter().filter_map(|told| told.rebuild_seconds);
        let rebuild_seconds: f64 = seconds.sum();
        let weighted_rebuild = self.rebuild * rebuild_seconds;
        Cost { total: weighted_denials + weighted_rebuild, weighted_denials, weighted_rebuild }
    }
}

fn weight_of_priority(setup: &Setup, name: &str) -> f64 {
    let named = setup.tenants.iter().find(|tenant| tenant.name == name).cloned();
    let tenant = named.or_else(|| Some(setup.defaults.as_ref()?.tenant(name)));
    tenant.map_or(0.0, |tenant| tenant.priority.weight() as f64)
}

/// Names for a complaint: all of a few.
fn some_of(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let shown = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = names.len().saturating_sub(SHOWN);
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}

/// The cost of a run and its terms: `total = weighted_denials + weighted_rebuild`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Cost {
    /// What is made small.
    pub total: f64,
    /// The denials of all tenants.
    pub weighted_denials: f64,
    /// The loading of all tenants.
    pub weighted_rebuild: f64,
}

/// Replays one part of a trace under any configuration.
pub struct Judge<'a> {
    /// How it is replayed.
    pub args: &'a ReplayArgs,
    /// The part.
    pub workload: Arc<Workload>,
    /// What counts how much.
    pub weights: &'a Weights,
}

impl Judge<'_> {
    /// A whole replay through a governor of its own; several threads may do it at one time.
    pub fn run(&self, setup: &Setup) -> Result<RunReport, CliError> {
        let (args, size) = (self.args, Size::Configured);
        let plan = Plan::of_setup(args, setup, &self.workload, size, None)?;
        let run = SingleRun { args, workload: &self.workload, plan, size, policy: None };
        let report = run.report(&Progress::hidden())?;
        if !report.is_sound() {
            return Err(CliError::new(format!(
                "a replay broke a promise ({}); please report it with the trace and the seed",
                report.ledger()
            )));
        }
        Ok(report)
    }

    /// What a configuration costs on this part.
    pub fn cost(&self, setup: &Setup) -> Result<f64, CliError> {
        Ok(self.weights.cost(&self.run(setup)?).total)
    }
}
