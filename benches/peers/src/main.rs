//! What else one could use for the same work, measured beside Allotment in one process.
//!
//! | I want to see | open |
//! |---|---|
//! | how sides take turns, and when a round is done again | `rounds.rs` |
//! | how one side is timed | `timing.rs`, `tasks.rs`; what medians are: `figures.rs` |
//! | the least it can cost | `bare.rs` |
//! | our own sides | `ours.rs`, `crowd.rs`, `victims.rs`, `denials.rs`, `manager.rs` |
//! | the slowest answers, and memory | `tail.rs`, `memory.rs` |
//! | the peers | `datafusion.rs`, `semaphore.rs`, `map.rs`, `facade.rs` |
//! | caches on recorded keys | `caches.rs`, played by `keys.rs`, read by `trace.rs` |
//! | what is measured together | `sections.rs` |
//! | the bars | `bars.rs` |
//! | the document, and the same for programs | `report.rs`, `tables.rs`, `json.rs` |
//! | what peers leave out | `lacks.rs` |

mod bare;
mod bars;
mod caches;
mod crowd;
mod datafusion;
mod denials;
mod facade;
mod figures;
mod json;
mod keys;
mod lacks;
mod machine;
mod manager;
mod map;
mod memory;
mod ours;
mod random;
mod report;
mod rounds;
mod sections;
mod semaphore;
mod tables;
mod tail;
mod tasks;
mod timing;
mod trace;
mod victims;

use crate::machine::Machine;
use crate::rounds::Plan;
use crate::sections::Measured;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

const FULL: Plan = Plan { rounds: 5, repeats_max: 20, side_ms: 150, keys_max: 2_000_000 };
/// Enough to see that everything runs.
const QUICK: Plan = Plan { rounds: 2, repeats_max: 0, side_ms: 20, keys_max: 100_000 };

const USAGE: &str = "usage: allotment-peers [--quick] [--traces FOLDER] DOCUMENT JSON";

struct Options {
    plan: Plan,
    /// The folder `cache-keys`.
    traces: Option<PathBuf>,
    document: PathBuf,
    json: PathBuf,
}

fn main() -> ExitCode {
    let Some(options) = options(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match measure(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn options(mut words: impl Iterator<Item = String>) -> Option<Options> {
    let (mut plan, mut traces, mut files) = (FULL, None, Vec::new());
    while let Some(word) = words.next() {
        match word.as_str() {
            "--quick" => plan = QUICK,
            "--traces" => traces = Some(PathBuf::from(words.next()?)),
            option if option.starts_with('-') => return None,
            file => files.push(PathBuf::from(file)),
        }
    }
    let [document, json] = files.try_into().ok()?;
    Some(Options { plan, traces, document, json })
}

fn measure(options: &Options) -> std::io::Result<()> {
    // Before anything else: the tree is looked at as it was built.
    let machine = Machine::look();
    let measured = Measured::all(&options.plan, options.traces.as_deref())?;
    fs::write(&options.json, json::text(&machine, &measured))?;
    fs::write(&options.document, report::text(&machine, &options.plan, &measured))?;
    println!("{}", tables::promised(&measured));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &str) -> Option<Options> {
        options(words.split_whitespace().map(str::to_string))
    }

    #[test]
    fn two_files_are_written() {
        let options = parsed("--quick --traces keys a.md a.json").unwrap();
        assert_eq!((options.plan.rounds, options.traces), (2, Some(PathBuf::from("keys"))));
        assert!(parsed("a.md").is_none());
        assert!(parsed("--fast a.md a.json").is_none());
    }
}
