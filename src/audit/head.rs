//! The head of a log: its last checkpoint, to be remembered where the log's folder is not.

use super::error::{AuditError, failed};
use super::folder::sync_folder;
use super::key::{Key, hex, unhex};
use super::record::Tag;
use std::fmt;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::str::FromStr;

/// A checkpoint (or seal) of a log: the number of its record and its MAC. A log that does not
/// contain it was cut off, or is another one. Shown and parsed as `SEQUENCE:64 hex digits`.
///
/// ```
/// use allotment::audit::Head;
///
/// let head = Head { sequence: 17, mac: [0xab; 32] };
/// assert_eq!(head.to_string().parse::<Head>()?, head);
/// assert!("17:ab".parse::<Head>().is_err());
/// # Ok::<(), allotment::audit::AuditError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Head {
    /// The number of the record that carries it.
    pub sequence: u64,
    /// Of everything before that record, and of its number and times.
    pub mac: [u8; 32],
}

/// What a checkpoint or seal is of.
pub(super) struct Signed<'a> {
    pub(super) log_id: &'a [u8; 16],
    pub(super) sequence: u64,
    /// The chain before it.
    pub(super) before: &'a Tag,
    pub(super) clock_ns: u64,
    pub(super) unix_ns: u64,
    pub(super) is_seal: bool,
}

impl Signed<'_> {
    pub(super) fn mac(&self, key: &Key) -> [u8; 32] {
        let secret = if self.is_seal { &key.seal } else { &key.checkpoint };
        let numbers = [self.sequence, self.clock_ns, self.unix_ns].map(u64::to_le_bytes);
        let input = [self.log_id, numbers.as_flattened(), self.before].concat();
        *blake3::keyed_hash(secret, &input).as_bytes()
    }
}

impl Head {
    /// Reads a head file.
    ///
    /// # Errors
    ///
    /// [`AuditError::Io`] if it cannot be read, [`AuditError::HeadFile`] if it is not a head.
    pub fn read(file: &Path) -> Result<Self, AuditError> {
        let text = std::fs::read_to_string(file).map_err(failed("read the head file", file))?;
        text.parse().map_err(|_| AuditError::HeadFile { path: file.to_path_buf() })
    }

    /// Replaces a head file: whoever reads it finds the old head or the new one, whole.
    ///
    /// # Errors
    ///
    /// [`AuditError::Io`]; the old file is then still there.
    pub fn write(&self, file: &Path) -> Result<(), AuditError> {
        self.replace(file, true)
    }

    /// With `sync`, the new one is also on the disk.
    pub(super) fn replace(&self, file: &Path, sync: bool) -> Result<(), AuditError> {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let new = file.with_file_name(format!(".{name}.new"));
        let mut opened = File::create(&new).map_err(failed("create", &new))?;
        writeln!(opened, "{self}").map_err(failed("write", &new))?;
        if sync {
            opened.sync_all().map_err(failed("sync", &new))?;
        }
        std::fs::rename(&new, file).map_err(failed("replace", file))?;
        if sync { sync_folder(super::folder::parent(file)) } else { Ok(()) }
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.sequence, hex(&self.mac))
    }
}

impl FromStr for Head {
    type Err = AuditError;

    fn from_str(text: &str) -> Result<Self, AuditError> {
        let parts = text.trim().split_once(':');
        let parsed = parts.and_then(|(sequence, mac)| {
            Some(Self { sequence: sequence.parse().ok()?, mac: unhex(mac)? })
        });
        parsed.ok_or_else(|| AuditError::Head { text: text.chars().take(100).collect() })
    }
}
