//! All of the command `allot` but its `main`: a library, so that the fuzz targets reach its
//! decoders. Not for other programs, which use `allotment`.
//!
//! | file | what is there |
//! |---|---|
//! | `args` | the command line |
//! | `trace` | decoders of recorded traces |
//! | `replay` | driving a governor with a trace |
//! | `audit` | proving, showing and accounting for an audit log |
//! | `recording` | logs of runs, made again and asked what if |
//! | `demo` | one minute of four tenants, with and without a governor |
//! | `ledger` | independent sums that check the governor |
//! | `tune` | searching guarantees, limits and bursts that suit a trace |
//! | `config` | a configuration checked, shown, and the schema of its file |
//! | `bench` | what decisions cost on this machine |
//! | `plan` | what fits of models under a budget |
//! | `doctor` | whether a configuration fits this machine |
//! | `machine` | what this machine has |
//! | `serve` | a governor over HTTP, and a trace played against it, where that was built in |
//! | `token` | keys and tokens for it |
//! | `top` | what its dashboard shows, in a terminal, where that was built in |
//! | `secret` | files that nobody else may read |
//! | `stress` | every verb at once, and the proof that no byte is lost |
//! | `manual` | completions for shells, and man pages |
//! | `dice` | random numbers from a seed |
//! | `report` | tables, JSON and HTML |
//! | `failure` | the one kind of error, exit code 2 |
//!
//! Tenants, groups and limits from a file come from the crate `allotment_config`.

mod args;
mod audit;
mod bench;
mod config;
mod demo;
mod dice;
mod doctor;
mod failure;
mod ledger;
mod machine;
mod manual;
mod plan;
mod recording;
mod replay;
mod report;
#[cfg(any(feature = "serve", feature = "top"))]
mod secret;
#[cfg(feature = "serve")]
mod serve;
mod stress;
#[cfg(feature = "serve")]
mod token;
#[cfg(feature = "top")]
mod top;
mod trace;
mod tune;

use std::process::ExitCode;

use args::{Allot, Command};
use clap::Parser;

/// What the fuzz targets and some tests see. Not part of any interface.
#[doc(hidden)]
pub mod fuzzing {
    pub use crate::failure::CliError;
    pub use crate::plan::gguf::{Gguf, read as read_gguf};
    pub use crate::plan::numbers::Numbers;
    pub use crate::plan::rows::Rows;
    pub use crate::plan::safetensors::{Safetensors, files_of_index, read as read_safetensors};
    pub use crate::recording::stretch::Stretch;
    pub use crate::replay::progress::Progress;
    pub use crate::trace::part::Part;
    pub use crate::trace::workload::{Requests, UseBytes, Workload};
    pub use crate::trace::{Format, Scale, TraceFile, Unit, decode};
}

/// Does what the command line says.
pub fn run() -> ExitCode {
    let outcome = match Allot::parse().command {
        Command::Audit(command) => audit::run(&command),
        Command::Bench(args) => bench::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Config(command) => config::run(&command),
        Command::Completions(args) => manual::completions(&args).map(|()| ExitCode::SUCCESS),
        Command::Demo(args) => demo::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Doctor(args) => doctor::run(&args),
        Command::Man(args) => manual::man(&args).map(|()| ExitCode::SUCCESS),
        Command::Plan(args) => plan::run(&args),
        Command::Replay(args) => replay::run(&args).map(|()| ExitCode::SUCCESS),
        #[cfg(feature = "serve")]
        Command::Serve(args) => serve::run(&args).map(|()| ExitCode::SUCCESS),
        #[cfg(feature = "serve")]
        Command::Token(command) => token::run(&command).map(|()| ExitCode::SUCCESS),
        Command::Stress(args) => stress::run(&args),
        #[cfg(feature = "top")]
        Command::Top(args) => top::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Tune(args) => tune::run(&args).map(|()| ExitCode::SUCCESS),
    };
    match outcome {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("allot: {failure}");
            ExitCode::from(failure::EXIT_CODE)
        }
    }
}
