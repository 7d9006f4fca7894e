//! Where a configuration comes from, and the options of `allot config`.

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// The layers of a configuration over its defaults. Variables are the one between these two.
#[derive(Args, Clone, Debug, Default)]
pub struct LayerArgs {
    /// Who shares the memory, and what each may have (docs/CONFIG.md)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// A value over all others, as in `--set tenants.chat.limit=8GiB`
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub settings: Vec<String>,
}

/// What to do with a configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Say whether it is sound, or everything that is wrong with it
    ///
    /// Exit code 0: it is. 1: it is not, with a line for each fault that names file and line,
    /// variable or option. 2: the file cannot be read.
    Check(LayerArgs),
    /// Show each value, and where it comes from
    Show(ShowArgs),
    /// Print a JSON Schema of the file, for editors and other checkers
    Schema,
}

/// Options of `allot config show`.
#[derive(Args, Debug)]
pub struct ShowArgs {
    /// Where the configuration comes from.
    #[command(flatten)]
    pub layers: LayerArgs,

    /// All that is in force, rather than only what somebody has set
    #[arg(long)]
    pub effective: bool,

    /// For programs
    #[arg(long)]
    pub json: bool,
}
