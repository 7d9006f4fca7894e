//! The command `allot`; what it does is in the library beside it.

use std::process::ExitCode;

fn main() -> ExitCode {
    allot_cli::run()
}
