//! The options of `allot doctor`.

use std::path::PathBuf;

use clap::Args;

/// Options of `allot doctor`.
#[derive(Args, Debug)]
pub struct DoctorArgs {
    /// The configuration that is held against what the machine has (docs/CONFIG.md)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Print one object for programs
    #[arg(long)]
    pub json: bool,

    /// Look at the machine whose proc and sys lie below this folder: a container's, say (Linux)
    #[arg(long, value_name = "FOLDER")]
    pub root: Option<PathBuf>,
}
