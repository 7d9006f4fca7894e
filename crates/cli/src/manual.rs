//! What is made from the command line itself, so that it can never say anything else: completions
//! for shells (`allot completions`) and man pages (`allot man`).

use clap::CommandFactory;
use clap_mangen::Man;

use crate::args::{Allot, CompletionsArgs, ManArgs};
use crate::failure::CliError;
use crate::replay::output;

/// Prints the completions for a shell.
///
/// # Errors
///
/// If nothing can be printed.
pub fn completions(args: &CompletionsArgs) -> Result<(), CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Allot::command(), "allot", &mut script);
    output::print(&String::from_utf8_lossy(&script))
}

/// Prints the page of `allot`, or writes those of all commands into a folder.
///
/// # Errors
///
/// If nothing can be printed, or the folder cannot be written to.
pub fn man(args: &ManArgs) -> Result<(), CliError> {
    if let Some(folder) = &args.out {
        return clap_mangen::generate_to(Allot::command(), folder)
            .map_err(|cause| CliError::file(folder, &cause));
    }
    let mut page = Vec::new();
    let rendered = Man::new(Allot::command().disable_help_subcommand(true)).render(&mut page);
    rendered.map_err(|cause| CliError::new(format!("the man page: {cause}")))?;
    output::print(&String::from_utf8_lossy(&page))
}
