//! `allot bench`: what a decision costs on this machine, beside the least it could cost: a bare
//! `fetch_add` and `fetch_sub`. Times differ from machine to machine, ratios hardly.
//!
//! | file | what is there |
//! |---|---|
//! | `bare` | the bare pair |
//! | `cases` | what is done on one thread, and that every answer is the right one |
//! | `rounds` | all cases in turn, round after round |
//! | `sample` | median and spread of rounds |
//! | `throughput` | allocations per second on one thread and on all cores |
//! | `crowd` | tenants that want more than there is, so that some requests evict |
//! | `latency` | how long one request takes at worst, under twice as many threads as cores |
//! | `machine` | what is measured, and on what |
//! | `text` | for people; `json` for programs |

mod bare;
mod cases;
mod crowd;
mod json;
mod latency;
mod machine;
mod rounds;
mod sample;
mod text;
mod throughput;

use std::time::{Duration, Instant};

use allotment::Refusal;

use self::latency::Latency;
use self::machine::Machine;
use self::rounds::Cost;
use self::throughput::Throughput;
use crate::args::BenchArgs;
use crate::failure::CliError;
use crate::replay::output;
use crate::replay::progress::Progress;

/// Seconds that are measured where nothing is said.
pub const SECONDS: u64 = 20;

/// Beyond this spread of the bare pair the machine had other things to do.
const NOISY_SPREAD: f64 = 0.05;

/// What was measured.
struct Bench {
    machine: Machine,
    throughput: Throughput,
    /// The bare pair first.
    costs: Vec<Cost>,
    latency: Latency,
    took: Duration,
}

/// Measures and prints.
///
/// # Errors
///
/// If an answer was not the one that the governor promises.
pub fn run(args: &BenchArgs) -> Result<(), CliError> {
    let machine = Machine::here();
    if machine.debug_build {
        // Before the wait, and where the figures go to a program too.
        eprintln!("allot: {}", machine::DEBUG_WARNING);
    }
    let bench = Bench::measured(machine, Duration::from_secs(args.seconds))?;
    output::print(&if args.json { json::json(&bench) } else { text::text(&bench) })
}

impl Bench {
    fn measured(machine: Machine, time: Duration) -> Result<Self, CliError> {
        let begin = Instant::now();
        let steps = rounds::ROUNDS + throughput::ROUNDS + latency::ROUNDS;
        let bar = Progress::on_terminal().bar(steps as u64, "measuring");
        let step = || bar.inc(1);
        let costs = rounds::measured(&mut cases::all().map_err(refused)?, time / 2, step)?;
        let throughput = Throughput::measured(machine.cores, time / 5, step)?;
        let latency = Latency::measured(2 * machine.cores, time * 3 / 10, step)?;
        bar.finish_and_clear();
        Ok(Self { machine, throughput, costs, latency, took: begin.elapsed() })
    }

    fn bare_pair(&self) -> &Cost {
        &self.costs[0]
    }

    /// A cost in units of the bare pair, measured in the same rounds.
    fn ratio(&self, cost: &Cost) -> f64 {
        cost.ns.median / self.bare_pair().ns.median
    }

    fn is_noisy(&self) -> bool {
        self.bare_pair().ns.spread > NOISY_SPREAD
    }
}

/// Setting something up was refused, for which there is no good reason.
fn refused(refusal: Refusal) -> CliError {
    broken(&refusal.to_string())
}

fn broken(what: &str) -> CliError {
    CliError::new(format!("{what}: the governor broke a promise; please report it"))
}
