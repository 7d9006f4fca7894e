//! `allot audit`: proves an audit log, shows it, and accounts for memory by it.
//!
//! | file | what is there |
//! |---|---|
//! | `key` | a new key, and the head file beside it |
//! | `verify` | the proof, and what it means for a script |
//! | `show/` | records as lines: `filter` chooses, `line` is for people, `json` for programs |
//! | `report/` | who held how much for how long |
//! | `pages` | a log, record by record, and what is wrong with it without a key |
//! | `roster` | who stands behind the number of an account |
//! | `kind` | the names of what can happen |
//! | `when` | times of day |

pub mod key;
mod kind;
pub mod pages;
mod report;
mod roster;
mod show;
mod verify;
pub mod when;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::failure::CliError;

/// The exit code where something is wrong with a log that could be read.
const EXIT_FAULT: u8 = 1;

/// What to do with an audit log.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Make the key file of a new log; nothing is ever overwritten
    Keygen(KeygenArgs),
    /// Prove that a log is what was written
    Verify(verify::VerifyArgs),
    /// Show what happened, line by line; needs no key, and reads along while the log is written
    Show(Box<show::ShowArgs>),
    /// Account for memory: who held how much for how long
    Report(report::ReportArgs),
}

/// Options of `allot audit keygen`.
#[derive(Args, Debug)]
pub struct KeygenArgs {
    /// The new key file; keep it outside of the log's folder
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// Does what was asked for.
///
/// # Errors
///
/// If a log or key could not be read, or the command line asks for what is not there. What is wrong
/// with a log that could be read is printed, and answered as an exit code.
pub fn run(command: &AuditCommand) -> Result<ExitCode, CliError> {
    match command {
        AuditCommand::Keygen(args) => key::generate(&args.file),
        AuditCommand::Verify(args) => verify::run(args),
        AuditCommand::Show(args) => show::run(args),
        AuditCommand::Report(args) => report::run(args),
    }
}

/// An error of the library, as one of the command.
fn failed(error: allotment::audit::AuditError) -> CliError {
    CliError::new(error.to_string())
}
