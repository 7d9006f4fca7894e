//! `allot replay`: a recorded trace through a governor, in virtual time.
//!
//! | file | what is there |
//! |---|---|
//! | `plan` | the governor that suits a trace and a size |
//! | `single_run` | one trace at one size under one policy |
//! | `roster` | tenants, registered on first sight |
//! | `worker` | the loop: touch, request, grow, release |
//! | `memory`, `time` | whom the loop asks, and what makes its time pass |
//! | `patient` | the loop of `--wait`: requests wait their turn, run, and end |
//! | `waits` | how long they waited, and what they were told |
//! | `running`, `line` | jobs that end or grow later, or wait to begin |
//! | `books`, `shared_books`, `gate` | what the driver knows by itself, in one thread and several |
//! | `loads` | what misses cost, and how much of it is for what could have been there still |
//! | `history` | samples over time |
//! | `recorder` | the log of `--record` |
//! | `plain_lru` | the same keys without a governor |
//! | `output`, `progress` | where results and progress go |

pub mod books;
mod gate;
pub mod history;
mod line;
mod loads;
pub mod memory;
pub mod output;
mod patient;
mod plain_lru;
pub mod plan;
pub mod progress;
pub mod recorder;
pub mod roster;
mod running;
mod shared_books;
pub mod single_run;
pub mod time;
mod waits;
pub mod worker;

use std::sync::Arc;

use allotment_config::{Setup, load};

use crate::args::{ReplayArgs, TraceArgs};
use crate::failure::CliError;
use crate::recording;
use crate::report::human::plural;
use crate::trace::part::Part;
use crate::trace::workload::Workload;
use crate::trace::{self, Format};
use plan::Plan;
use progress::Progress;
use single_run::SingleRun;

/// Runs the command: every trace at every size under every policy, one report each.
pub fn run(args: &ReplayArgs) -> Result<(), CliError> {
    args.check()?;
    if args.trace.format == Format::Audit {
        return recording::run(args);
    }
    output::check(args)?;
    let sizes = args.sizes()?;
    let setup = match &args.config {
        Some(path) => Some(load(path).map_err(|error| CliError::new(error.to_string()))?),
        None => None,
    };
    let known = setup.as_ref().and_then(Setup::only_names);
    let progress = Progress::on_terminal();
    let mut reports = Vec::new();
    // The files of azure-llm are tenants of one replay; any other file is a replay of its own.
    let TraceArgs { traces, format, .. } = &args.trace;
    let at_once = if *format == Format::AzureLlm { traces.len() } else { 1 };
    let runs = traces.len().div_ceil(at_once) * sizes.len() * args.policies().len();
    args.check_recorded(runs)?;
    for files in traces.chunks(at_once) {
        let scale = args.trace.scale();
        let (whole, _) = trace::decode(*format, files, &scale, known.as_ref(), &progress)?;
        let workload = Arc::new(part_of(whole, args.part)?);
        for size in &sizes {
            for policy in args.policies() {
                let plan = match &setup {
                    None => Plan::of_trace(args, &workload, *size)?,
                    Some(setup) => Plan::of_setup(args, setup, &workload, *size, policy)?,
                };
                let run = SingleRun { args, workload: &workload, plan, size: *size, policy };
                reports.push(run.report(&progress)?);
            }
        }
    }
    output::write(args, &reports)
}

/// What `--part` leaves of a trace.
fn part_of(whole: Workload, part: Option<Part>) -> Result<Workload, CliError> {
    let Some(part) = part else { return Ok(whole) };
    let workload = whole.part(part);
    if workload.requests_len() == 0 {
        return Err(CliError::new(format!(
            "{}: part {part} of its {} is empty; choose a larger part",
            whole.name,
            plural(whole.requests_len() as u64, "request")
        )));
    }
    Ok(workload)
}
