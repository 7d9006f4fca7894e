//! `allot doctor`: what this machine has, what a configuration promises of it, and whether the one
//! has room for the other.
//!
//! | file | what is there |
//! |---|---|
//! | `promised` | what a configuration promises, added up |
//! | `findings` | what does not fit, and what else is worth knowing |
//! | `suggested` | a configuration that fits |
//! | `text` | for people; `json` for programs |

mod findings;
mod json;
mod promised;
mod suggested;
mod text;

use std::path::PathBuf;
use std::process::ExitCode;

use allotment_config::Setup;

use self::findings::{Finding, Weight};
use self::promised::Promised;
use crate::args::DoctorArgs;
use crate::failure::CliError;
use crate::machine::Machine;
use crate::replay::output;

/// The exit code where the configuration does not fit the machine.
const EXIT_UNFIT: u8 = 1;

/// What was seen.
#[derive(Debug)]
struct Visit {
    machine: Machine,
    config: Option<Config>,
    findings: Vec<Finding>,
    /// The text of a configuration that fits.
    suggested: String,
}

/// The configuration that was given.
#[derive(Debug)]
struct Config {
    path: PathBuf,
    setup: Setup,
    promised: Promised,
}

/// Looks and prints; exit code 1 says that the configuration does not fit.
///
/// # Errors
///
/// If the configuration is wrong, or the machine cannot be looked at.
pub fn run(args: &DoctorArgs) -> Result<ExitCode, CliError> {
    let visit = Visit::new(args)?;
    output::print(&if args.json { json::json(&visit) } else { text::text(&visit) })?;
    Ok(if visit.fits() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_UNFIT) })
}

impl Visit {
    fn new(args: &DoctorArgs) -> Result<Self, CliError> {
        let config = match &args.config {
            None => None,
            Some(path) => {
                let setup = allotment_config::load(path);
                let setup = setup.map_err(|error| CliError::new(error.to_string()))?;
                let promised = Promised::of(&setup);
                Some(Config { path: path.clone(), setup, promised })
            }
        };
        let machine = Machine::look(args.root.as_deref())?;
        let findings = findings::of(&machine, config.as_ref());
        let setup = config.as_ref().map(|config| &config.setup);
        let suggested = suggested::toml(&machine, setup);
        Ok(Self { machine, config, findings, suggested })
    }

    fn fits(&self) -> bool {
        self.findings.iter().all(|finding| finding.weight != Weight::Unfit)
    }
}
