//! The secret of a log, and the keys that are derived from it: one for each use.
//!
//! It is symmetric: whoever can verify a log could also have forged it.

use super::error::{AuditError, failed};
use super::record::Chain;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

const SECRET_BYTES: usize = 32;
const CHAIN: &str = "allotment audit log, version 1: the chain of records";
const CHECKPOINT: &str = "allotment audit log, version 1: checkpoints";
const SEAL: &str = "allotment audit log, version 1: the seal";
const HEADER: &str = "allotment audit log, version 1: headers of segments";
const ID: &str = "allotment audit log, version 1: the id of the key";

/// Tells keys apart; stands in every segment and says nothing about the secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId(pub(super) [u8; 8]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// The secret of a log: 32 bytes, kept outside of its folder. Never shown by `Debug`.
#[derive(Clone)]
pub struct Key {
    pub(super) chain: Chain,
    pub(super) checkpoint: [u8; 32],
    pub(super) seal: [u8; 32],
    pub(super) header: [u8; 32],
    id: KeyId,
    file: Option<PathBuf>,
}

impl Key {
    /// A key of 32 secret bytes from elsewhere.
    ///
    /// ```
    /// let key = allotment::audit::Key::from_bytes(&[7; 32]);
    /// assert_eq!(format!("{key:?}"), format!("Key({})", key.id()));
    /// ```
    pub fn from_bytes(secret: &[u8; 32]) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = blake3::derive_key(ID, secret);
        Self {
            chain: Chain::new(blake3::derive_key(CHAIN, secret)),
            checkpoint: blake3::derive_key(CHECKPOINT, secret),
            seal: blake3::derive_key(SEAL, secret),
            header: blake3::derive_key(HEADER, secret),
            id: KeyId([a, b, c, d, e, f, g, h]),
            file: None,
        }
    }

    /// Draws a new secret from the system and writes it to a new file that only its owner may read:
    /// 64 hex digits and a line end.
    ///
    /// # Errors
    ///
    /// [`AuditError::Io`] if the file is there already (it is never overwritten) or cannot be
    /// written, or if the system has no `/dev/urandom`.
    pub fn generate(file: &Path) -> Result<Self, AuditError> {
        let mut secret = [0; SECRET_BYTES];
        let source = Path::new("/dev/urandom");
        let mut drawn = File::open(source).map_err(failed("open", source))?;
        drawn.read_exact(&mut secret).map_err(failed("read", source))?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut created = options.open(file).map_err(failed("create the new key", file))?;
        writeln!(created, "{}", hex(&secret)).map_err(failed("write", file))?;
        created.sync_all().map_err(failed("sync", file))?;
        Ok(Self { file: Some(file.to_path_buf()), ..Self::from_bytes(&secret) })
    }

    /// Reads a key that [`generate`](Self::generate) wrote.
    ///
    /// # Errors
    ///
    /// [`AuditError::Io`] if the file cannot be read, [`AuditError::Key`] if it is not 64 hex
    /// digits, with or without blanks around them.
    pub fn load(file: &Path) -> Result<Self, AuditError> {
        // Whatever was named by mistake is not read to its end.
        const READ_BYTES_MAX: u64 = 1 << 10;
        let opened = File::open(file).map_err(failed("open the key", file))?;
        let mut text = Vec::new();
        opened.take(READ_BYTES_MAX).read_to_end(&mut text).map_err(failed("read the key", file))?;
        let secret = std::str::from_utf8(&text).ok().and_then(|text| unhex(text.trim()));
        let secret = secret.ok_or_else(|| AuditError::Key { path: file.to_path_buf() })?;
        Ok(Self { file: Some(file.to_path_buf()), ..Self::from_bytes(&secret) })
    }

    /// Tells it apart from other keys.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The file it came from.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.id)
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `None` unless `text` is exactly the hex digits of 32 bytes.
pub(super) fn unhex(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes().as_chunks::<2>().0;
    let mut bytes = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(digits) {
        let value = |digit: u8| char::from(digit).to_digit(16);
        *byte = (value(*high)? << 4 | value(*low)?) as u8;
    }
    Some(bytes)
}
