//! The options of `allot completions` and `allot man`.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

/// Options of `allot completions`.
#[derive(Args, Debug)]
pub struct CompletionsArgs {
    /// For which shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Options of `allot man`.
#[derive(Args, Debug)]
pub struct ManArgs {
    /// Write a page for each command into this folder, which must be there
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
}
