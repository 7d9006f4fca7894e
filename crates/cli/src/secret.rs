//! Files that hold a secret: read if nobody else may read them, written for nobody else.

use std::fs::File;
#[cfg(feature = "serve")]
use std::fs::{self, OpenOptions};
use std::io;
#[cfg(feature = "serve")]
use std::io::Write;
use std::path::Path;

use crate::failure::CliError;

/// Most bytes of such a file.
const BYTES_MAX: u64 = 64 * 1024;

/// What is in a file that others may not read.
///
/// # Errors
///
/// That it cannot be read, that others may read it, or that it is too long.
pub fn read(path: &Path) -> Result<String, CliError> {
    let of_file = |error: io::Error| CliError::file(path, &error);
    let file = File::open(path).map_err(of_file)?;
    let about = file.metadata().map_err(of_file)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = about.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            let path = path.display();
            return Err(CliError::new(format!(
                "{path}: others may read it (mode {mode:03o}); run chmod 600 {path}"
            )));
        }
    }
    if about.len() > BYTES_MAX {
        let (path, bytes) = (path.display(), about.len());
        return Err(CliError::new(format!("{path}: {bytes} bytes, at most {BYTES_MAX}")));
    }
    io::read_to_string(file).map_err(of_file)
}

/// Writes a file whole or not at all, for nobody else to read from the beginning.
///
/// # Errors
///
/// That it cannot be written; what was there before is still there.
#[cfg(feature = "serve")]
pub fn write(path: &Path, text: &str) -> Result<(), CliError> {
    let beside = path.with_extension(format!("{}.new", std::process::id()));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options
        .open(&beside)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&beside, path));
    written.map_err(|error| {
        // One that was there before is not ours.
        if error.kind() != io::ErrorKind::AlreadyExists {
            let _ = fs::remove_file(&beside);
        }
        CliError::file(path, &error)
    })
}
