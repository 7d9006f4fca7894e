//! The segment that is being written: which bytes of it the system has accepted.
//!
//! Invariants:
//!
//! ```text
//! O1  written   = bytes accepted, from the start of the file
//! O2  bytes are written at `written` only: what a failed write left behind is written over with
//!     the same bytes, and what was accepted is never touched
//! ```

use super::error::{AuditError, failed};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A segment that is being written.
#[derive(Debug)]
pub(super) struct Output {
    file: File,
    path: PathBuf,
    written: u64,
    /// Whether the file's own position may not be `written`.
    is_astray: bool,
    /// What the system answered when it could not sync.
    unsynced: Option<ErrorKind>,
}

impl Output {
    /// A new file; nothing is overwritten.
    pub(super) fn create(path: &Path) -> Result<Self, AuditError> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).open(path);
        Ok(Self::new(file.map_err(failed("create", path))?, path))
    }

    fn new(file: File, path: &Path) -> Self {
        Self { file, path: path.to_path_buf(), written: 0, is_astray: false, unsynced: None }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes accepted.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Whether the path still leads to this file, with all that was written.
    pub(super) fn is_there(&self) -> bool {
        let (Ok(named), Ok(held)) = (std::fs::metadata(&self.path), self.file.metadata()) else {
            return false;
        };
        is_same(&named, &held) && held.len() >= self.written
    }

    /// Writes as much as the system accepts; answers how many bytes that were, and why not all.
    pub(super) fn write(&mut self, bytes: &[u8]) -> (usize, Result<(), AuditError>) {
        let mut accepted = 0;
        let outcome = self.write_on(bytes, &mut accepted);
        self.written += accepted as u64;
        self.is_astray = outcome.is_err();
        (accepted, outcome.map_err(failed("write", &self.path)))
    }

    fn write_on(&mut self, bytes: &[u8], accepted: &mut usize) -> io::Result<()> {
        if self.is_astray {
            self.file.seek(SeekFrom::Start(self.written))?;
        }
        while *accepted < bytes.len() {
            match self.file.write(&bytes[*accepted..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => *accepted += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Writes the first bytes, over what an attempt before left behind: all of them, or it can be
    /// called again.
    pub(super) fn start(&mut self, bytes: &[u8]) -> Result<(), AuditError> {
        (self.written, self.is_astray) = (0, true);
        self.file.set_len(0).map_err(failed("write", &self.path))?;
        self.write(bytes).1
    }

    /// Brings what was written to the disk. A system that failed to do so may have dropped what it
    /// held, and may say yes the next time: so once it failed it has failed for this file.
    pub(super) fn sync(&mut self) -> Result<(), AuditError> {
        let synced = match self.unsynced {
            Some(kind) => Err(kind.into()),
            None => self.file.sync_data(),
        };
        synced.map_err(|source| {
            self.unsynced = Some(source.kind());
            AuditError::Sync { path: self.path.clone(), source }
        })
    }

    /// Writes the file again under its name, from what is still held of it.
    ///
    /// # Errors
    ///
    /// If there is another file now, or not all is held any more.
    pub(super) fn restore(&mut self) -> Result<(), AuditError> {
        let mut bytes = Vec::new();
        self.file.seek(SeekFrom::Start(0)).map_err(failed("read", &self.path))?;
        let mut held = (&self.file).take(self.written);
        held.read_to_end(&mut bytes).map_err(failed("read", &self.path))?;
        self.is_astray = true;
        if bytes.len() as u64 != self.written {
            return Err(AuditError::Vanished { path: self.path.clone() });
        }
        let mut copy = Self::create(&self.path)?;
        let written = copy.write(&bytes).1.and_then(|()| copy.sync());
        if let Err(error) = written {
            // Half a copy is in the way of the next attempt; it is not the only one.
            std::fs::remove_file(&copy.path).map_err(failed("remove", &copy.path))?;
            return Err(error);
        }
        *self = copy;
        Ok(())
    }
}

#[cfg(unix)]
fn is_same(named: &std::fs::Metadata, held: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (named.dev(), named.ino()) == (held.dev(), held.ino())
}

/// Where files have no numbers, an open file cannot be deleted.
#[cfg(not(unix))]
fn is_same(named: &std::fs::Metadata, held: &std::fs::Metadata) -> bool {
    named.len() == held.len()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_is_full_takes_nothing_and_stays_unsynced() {
        let full = Path::new("/dev/full");
        let mut output = Output::new(File::options().write(true).open(full).unwrap(), full);
        let (accepted, outcome) = output.write(&[1; 100]);
        assert_eq!((accepted, output.written()), (0, 0));
        assert!(outcome.unwrap_err().to_string().contains("free some room"));
        // Devices of this kind cannot be synced. A system that says yes later is not believed.
        assert!(matches!(output.sync(), Err(AuditError::Sync { .. })));
        output.file = File::open(std::env::current_exe().unwrap()).unwrap();
        output.file.sync_data().unwrap();
        let error = output.sync().unwrap_err().to_string();
        assert!(error.contains("open the journal anew"), "{error}");
    }
}
