//! Keys, and the head file that the writer of a log keeps beside its key.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use allotment::audit::Key;

use super::failed;
use crate::failure::CliError;
use crate::replay::output::print;

/// `KEYFILE.head`: where the last checkpoint of a log is remembered.
pub fn head_file(key_file: &Path) -> PathBuf {
    let mut name = OsString::from(key_file);
    name.push(".head");
    PathBuf::from(name)
}

/// Makes a new key file.
pub fn generate(file: &Path) -> Result<ExitCode, CliError> {
    let key = Key::generate(file).map_err(failed)?;
    let head = head_file(file);
    print(&format!(
        "key {} is in {}. Whoever has it can verify a log, and forge one: keep it where those who\n\
         run the governor cannot read it later. The head of the log belongs into {}.\n",
        key.id(),
        file.display(),
        head.display()
    ))?;
    Ok(ExitCode::SUCCESS)
}
