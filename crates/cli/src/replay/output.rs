//! Where the reports go: standard output, or files that are whole or not there at all.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::args::ReplayArgs;
use crate::failure::CliError;
use crate::report::{self, RunReport};

/// Refuses a file that could not be written, before any work is done for it.
pub fn check(args: &ReplayArgs) -> Result<(), CliError> {
    let json = args.json.as_ref().and_then(Option::as_ref);
    json.into_iter().chain(&args.html).try_for_each(|path| check_place(path))
}

/// Refuses a place where no file can be written.
pub fn check_place(path: &Path) -> Result<(), CliError> {
    if !folder_of(path).is_dir() {
        let folder = folder_of(path).display().to_string();
        return Err(CliError::new(format!(
            "{}: there is no folder {folder}; create it first",
            path.display()
        )));
    }
    if path.is_dir() {
        return Err(CliError::file(path, &ErrorKind::IsADirectory.into()));
    }
    Ok(())
}

/// Writes the reports as the options say.
pub fn write(args: &ReplayArgs, reports: &[RunReport]) -> Result<(), CliError> {
    if let Some(path) = &args.html {
        write_whole(path, &report::html(reports))?;
    }
    match &args.json {
        None => print(&report::table(reports)),
        Some(None) => print(&report::json(reports)),
        Some(Some(path)) => write_whole(path, &report::json(reports)),
    }
}

/// Prints a text. A reader that has seen enough and left is no failure.
pub fn print(text: &str) -> Result<(), CliError> {
    let mut stdout = std::io::stdout().lock();
    let written = writeln!(stdout, "{}", text.trim_end()).and_then(|()| stdout.flush());
    match written {
        Err(cause) if cause.kind() != ErrorKind::BrokenPipe => {
            Err(CliError::file(Path::new("standard output"), &cause))
        }
        _ => Ok(()),
    }
}

/// Writes a file beside its place and moves it there, so that nobody sees half of it. A link stays
/// one: the file it leads to is replaced.
pub fn write_whole(path: &Path, text: &str) -> Result<(), CliError> {
    // A device or a pipe is written to where it is: a file in its place would take it away.
    if std::fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        return std::fs::write(path, text).map_err(|cause| CliError::file(path, &cause));
    }
    let place = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    let aside = folder_of(&place).join(format!(".{name}.{}", std::process::id()));
    let written = std::fs::write(&aside, text).and_then(|()| std::fs::rename(&aside, &place));
    written.map_err(|cause| {
        // The failure that counts is the one above; a file that is not there cannot be removed.
        let _ = std::fs::remove_file(&aside);
        CliError::file(path, &cause)
    })
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
        _ => PathBuf::from("."),
    }
}
