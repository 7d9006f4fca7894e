//! `--record`: the log of a replay, written beside it and never behind it.
//!
//! The governor's ring of events overwrites what nobody has read, and a recording with a gap cannot
//! be done again. So the replay looks between two stretches whether the log keeps up, and waits for
//! it where it does not.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use allotment::audit::{AuditError, AuditLog, JournalOptions, Key, SyncPolicy};
use allotment::{AuditMode, Governor, GovernorConfig};

use crate::failure::CliError;

/// Events between two looks at most: a stretch has far fewer.
const EVENTS_MAX: u32 = 1 << 20;
/// So many may wait to be written before the replay waits for them.
const WAITING_MAX: u64 = EVENTS_MAX as u64 / 4;

/// Where a recording goes.
#[derive(Clone, Debug)]
pub struct Destination {
    /// The folder of the log; it must not hold one.
    pub folder: PathBuf,
    /// The key file; made if it is not there.
    pub key: PathBuf,
}

impl Destination {
    /// A folder and its key: beside it, unless one is named.
    pub fn new(folder: &Path, key: Option<&Path>) -> Self {
        let key = key.map_or_else(|| suffixed(folder, ".key"), Path::to_path_buf);
        Self { folder: folder.to_path_buf(), key }
    }

    /// The file that tells how far the log has come: beside the key.
    pub fn head_file(&self) -> PathBuf {
        suffixed(&self.key, ".head")
    }

    /// Refuses a folder that has something in it, before any work is done for it.
    pub fn check(&self) -> Result<(), CliError> {
        let entries = std::fs::read_dir(&self.folder).map(Iterator::count);
        match entries {
            Ok(1..) => Err(CliError::new(format!(
                "{}: holds something already; name a new folder for the recording",
                self.folder.display()
            ))),
            Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
                Err(CliError::new(format!("{}: {cause}; name a folder", self.folder.display())))
            }
            _ => Ok(()),
        }
    }
}

fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(suffix);
    PathBuf::from(name)
}

/// The log of one replay.
pub struct Recorder {
    log: AuditLog,
}

impl Recorder {
    /// What a governor needs to be recorded.
    pub fn configured(config: GovernorConfig) -> GovernorConfig {
        let audit = AuditMode::DropAndCount;
        GovernorConfig { events_max: EVENTS_MAX, audit, audit_calls: true, ..config }
    }

    /// Begins to record a governor that was configured for it.
    pub fn start(governor: &Arc<Governor>, to: &Destination) -> Result<Self, CliError> {
        let key = if to.key.exists() { Key::load(&to.key) } else { Key::generate(&to.key) };
        let key = key.map_err(|error| failed(&error))?;
        let head_file = Some(to.head_file());
        let options =
            JournalOptions { sync: SyncPolicy::Never, head_file, ..JournalOptions::default() };
        let log = AuditLog::start(governor, &to.folder, &key, options);
        Ok(Self { log: log.map_err(|error| failed(&error))? })
    }

    /// Waits for the log if it is behind.
    pub fn keep_up(&self) -> Result<(), CliError> {
        if self.log.status().events_waiting > WAITING_MAX {
            self.log.flush().map_err(|error| failed(&error))?;
        }
        Ok(())
    }

    /// Ends the recording; fails if it has a gap.
    pub fn close(self) -> Result<(), CliError> {
        self.log.flush().map_err(|error| failed(&error))?;
        let lost = self.log.status().events_lost;
        self.log.close().map_err(|error| failed(&error))?;
        if lost > 0 {
            return Err(CliError::new(format!(
                "the recording lost {lost} events: its disk is too slow for it; record to another"
            )));
        }
        Ok(())
    }
}

fn failed(error: &AuditError) -> CliError {
    CliError::new(error.to_string())
}
