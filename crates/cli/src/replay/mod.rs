//! `allot replay`: a recorded trace through a governor, in virtual time.
//!
//! | file | what is there |
//! |---|---|
//! | `plan` | the governor that suits a trace and a size |
//! | `single_run` | one trace at one size under one policy |
//! | `roster` | tenants, registered on first sight |
//! | `worker` | the loop: touch, request, grow, release |
//! | `patient` | the loop of `--wait`: requests wait their turn, run, and end |
//! | `waits` | how long they waited, and what they were told |
//! | `running` | jobs that end or grow later |
//! | `books`, `shared_books`, `gate` | what the driver knows by itself, in one thread and several |
//! | `history` | samples over time |
//! | `plain_lru` | the same keys without a governor |
//! | `output`, `progress` | where results and progress go |

mod books;
mod gate;
mod history;
pub mod output;
mod patient;
mod plain_lru;
mod plan;
pub mod progress;
mod roster;
mod running;
mod shared_books;
mod single_run;
mod waits;
mod worker;

use std::collections::HashSet;
use std::sync::Arc;

use crate::args::ReplayArgs;
use crate::config;
use crate::failure::CliError;
use crate::trace::{self, Format};
use plan::Plan;
use progress::Progress;
use single_run::SingleRun;

/// Runs the command: every trace at every size under every policy, one report each.
pub fn run(args: &ReplayArgs) -> Result<(), CliError> {
    args.check()?;
    output::check(args)?;
    let sizes = args.sizes()?;
    let setup = match &args.config {
        Some(path) => Some(config::load(path).map_err(|error| CliError::new(error.to_string()))?),
        None => None,
    };
    let known = setup.iter().flat_map(|setup| &setup.tenants).map(|tenant| tenant.name.clone());
    let known: HashSet<String> = known.collect();
    let progress = Progress::on_terminal();
    let mut reports = Vec::new();
    // The files of azure-llm are tenants of one replay; any other file is a replay of its own.
    let at_once = if args.format == Format::AzureLlm { args.traces.len() } else { 1 };
    for files in args.traces.chunks(at_once) {
        let workload = trace::decode(args.format, files, &args.scale(), &known, &progress)?;
        let workload = Arc::new(workload);
        for size in &sizes {
            for policy in args.policies() {
                let plan = match &setup {
                    None => Plan::of_trace(args, &workload, *size)?,
                    Some(setup) => Plan::of_setup(setup, &workload, *size, policy)?,
                };
                let run = SingleRun { args, workload: &workload, plan, size: *size, policy };
                reports.push(run.report(&progress)?);
            }
        }
    }
    output::write(args, &reports)
}
