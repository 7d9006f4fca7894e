//! The file of what is kept: a line of JSON for each record, each with a checksum and a number.
//!
//! ```text
//! {"crc":"1b2c3d4e","seq":0,"record":{"op":"begin","format":"allot-state","version":1}}
//! {"crc":"5f6a7b8c","seq":1,"record":{"op":"tenant","id":...}}
//! ```
//!
//! ```text
//! F1  what was appended is on the disk when that returns: each record is synced
//! F2  a last record that is not whole is cut when the file is opened; it was never answered
//! F3  a record that is not whole and is followed by one that is: damage, and the file is refused
//! F4  after an error of the disk nothing is appended: the file is written anew beside itself,
//!     synced and renamed, and its folder is synced
//! ```

use super::{Entries, Record};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// What the first record says.
const FORMAT: &str = "allot-state";
/// The newest version that is read, and the one that is written.
const VERSION: u32 = 1;
/// Largest file that is read.
const FILE_BYTES_MAX: u64 = 256 << 20;
/// Longest line.
const LINE_BYTES_MAX: usize = 1 << 20;
/// What each line begins with.
const BEGIN: &[u8] = b"{\"crc\":\"";
/// A file grows to this size, or to twice of what it was when it was written anew, before it is
/// written anew.
const GROWS_BYTES: u64 = 64 << 10;

/// A file that is open, and what it says.
pub struct KeptFile {
    path: PathBuf,
    file: File,
    /// Held as long as the server runs, so that no other one writes.
    _lock: File,
    bytes: u64,
    /// Size when it was written anew.
    base_bytes: u64,
    next_seq: u64,
    /// Whether the disk has refused something: what is on it is not all there is.
    behind: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
enum First {
    Begin { format: String, version: u32 },
}

#[derive(Deserialize)]
struct Numbered<R> {
    seq: u64,
    record: R,
}

/// What was found when a file was opened.
pub struct Opened {
    /// The file.
    pub file: KeptFile,
    /// What it says.
    pub entries: Entries,
    /// Bytes at its end that were cut, as their record was not whole.
    pub cut_bytes: u64,
    /// Whether there was nothing before.
    pub is_new: bool,
}

fn line(seq: u64, record: &impl Serialize) -> String {
    let record = serde_json::to_string(record).expect("records are plain data");
    let body = format!("\"seq\":{seq},\"record\":{record}");
    format!("{{\"crc\":\"{:08x}\",{body}}}\n", crc32fast::hash(body.as_bytes()))
}

/// The number and the record of a line, if it is whole.
fn read_line<R: for<'de> Deserialize<'de>>(line: &[u8]) -> Option<Numbered<R>> {
    let rest = line.strip_prefix(BEGIN)?;
    let (crc, rest) = rest.split_at_checked(8)?;
    let body = rest.strip_prefix(b"\",")?.strip_suffix(b"}")?;
    let crc = u32::from_str_radix(std::str::from_utf8(crc).ok()?, 16).ok()?;
    if crc32fast::hash(body) != crc {
        return None;
    }
    let text = std::str::from_utf8(body).ok()?;
    serde_json::from_str(&format!("{{{text}}}")).ok()
}

/// Whether a whole record stands somewhere in a line: its beginning, or the end of the line before
/// it, may be damaged.
fn has_record(line: &[u8]) -> bool {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    // No record has this within a text: quotes are escaped there.
    let begins = line.windows(BEGIN.len()).enumerate().filter(|(_, part)| *part == BEGIN);
    begins.into_iter().any(|(at, _)| read_line::<serde_json::Value>(&line[at..]).is_some())
}

fn refused(path: &Path, why: impl std::fmt::Display) -> io::Error {
    io::Error::other(format!("{}: {why}", path.display()))
}

impl KeptFile {
    /// Opens a file, or begins one, for this process alone.
    ///
    /// # Errors
    ///
    /// What the system answers; that it is another server's, of another program, damaged, too
    /// large, or of a newer version.
    pub fn open(path: &Path) -> io::Result<Opened> {
        // What a link points to is what is replaced.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        let of_path = |error: io::Error| refused(&path, error);
        if fs::metadata(&path).is_ok_and(|metadata| !metadata.is_file()) {
            return Err(refused(&path, "is no file; name another with --state"));
        }
        let lock = lock(&path)?;
        let mut file = options().read(true).open(&path).map_err(of_path)?;
        let length = file.metadata().map_err(of_path)?.len();
        if length > FILE_BYTES_MAX {
            let why = format!("has {length} bytes, more than the {FILE_BYTES_MAX} that are read");
            return Err(refused(&path, why));
        }
        let mut bytes = Vec::with_capacity(length as usize);
        file.read_to_end(&mut bytes).map_err(of_path)?;
        let mut kept =
            Self { path, file, _lock: lock, bytes: 0, base_bytes: 0, next_seq: 0, behind: true };
        let is_new = bytes.is_empty();
        let mut entries = Entries::default();
        let mut cut_bytes = 0;
        if !is_new {
            let whole = kept.replay(&bytes, &mut entries)?;
            cut_bytes = (bytes.len() - whole) as u64;
        }
        // Written anew at each start: nothing is ever appended to what may not be whole.
        kept.rewrite(&entries).map_err(|error| refused(&kept.path, error))?;
        Ok(Opened { file: kept, entries, cut_bytes, is_new })
    }

    /// Reads all records; answers how many bytes of them are whole.
    fn replay(&mut self, bytes: &[u8], entries: &mut Entries) -> io::Result<usize> {
        let mut whole = 0;
        let mut lines = bytes.split_inclusive(|byte| *byte == b'\n').zip(1..);
        let (first, _) = lines.next().unwrap_or((b"", 1));
        let begin: Option<Numbered<First>> = first.strip_suffix(b"\n").and_then(read_line);
        let Some(Numbered { seq, record: First::Begin { format, version } }) = begin else {
            return Err(refused(&self.path, "is no state file of allot; name another"));
        };
        if format != FORMAT || version > VERSION {
            return Err(refused(
                &self.path,
                format!(
                    "is of version {version} of {format}, and this program reads up to version \
                     {VERSION}: use a newer one"
                ),
            ));
        }
        self.next_seq = seq + 1;
        whole += first.len();
        while let Some((line, number)) = lines.next() {
            // The last one may be whole but for its end of line.
            let read = Some(line.strip_suffix(b"\n").unwrap_or(line));
            let read = read.filter(|line| line.len() <= LINE_BYTES_MAX);
            let read: Option<Numbered<Record>> = read.and_then(read_line);
            let Some(Numbered { record, .. }) = read.filter(|read| read.seq == self.next_seq)
            else {
                if has_record(line) || lines.any(|(line, _)| has_record(line)) {
                    return Err(refused(
                        &self.path,
                        format!(
                            "line {number} is damaged, and others follow it: mend it from a \
                             backup, or move the file away and register again"
                        ),
                    ));
                }
                break;
            };
            self.next_seq += 1;
            whole += line.len();
            let _ = entries.put(record);
        }
        Ok(whole)
    }

    /// Puts a record at the end, and waits until it is on the disk. `entries` have it already.
    ///
    /// # Errors
    ///
    /// What the system answers. The record is not to be counted on then, and the next one is
    /// preceded by a rewrite.
    pub fn append(&mut self, record: &Record, entries: &Entries) -> io::Result<()> {
        let line = line(self.next_seq, record);
        if line.len() > LINE_BYTES_MAX {
            return Err(io::Error::other(format!("the record has over {LINE_BYTES_MAX} bytes")));
        }
        let grows_to = GROWS_BYTES.max(2 * self.base_bytes);
        if self.behind || self.bytes + line.len() as u64 > grows_to {
            return self.rewrite(entries);
        }
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        if written.is_err() {
            self.behind = true;
            // Else it might come back although it was answered that it failed.
            let _ = self.file.set_len(self.bytes);
        } else {
            self.bytes += line.len() as u64;
            self.next_seq += 1;
        }
        written
    }

    /// Writes all of it beside the file, and puts that in its place.
    pub fn rewrite(&mut self, entries: &Entries) -> io::Result<()> {
        self.behind = true;
        let beside = with_ending(&self.path, ".new");
        let first = First::Begin { format: FORMAT.to_string(), version: VERSION };
        let mut text = line(self.next_seq, &first);
        let mut seq = self.next_seq + 1;
        for record in entries.all() {
            text.push_str(&line(seq, record));
            seq += 1;
        }
        let file = options().truncate(true).open(&beside)?;
        let written = (&file).write_all(text.as_bytes()).and_then(|()| file.sync_all());
        if let Err(error) = written.and_then(|()| fs::rename(&beside, &self.path)) {
            let _ = fs::remove_file(&beside);
            return Err(error);
        }
        sync_folder(&self.path)?;
        self.file = file;
        (self.bytes, self.base_bytes) = (text.len() as u64, text.len() as u64);
        self.next_seq = seq;
        self.behind = false;
        Ok(())
    }

    /// Whether the disk lacks something that is in force.
    pub fn is_behind(&self) -> bool {
        self.behind
    }
}

/// For nobody else to read: names of tenants may be nobody else's business.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(ending);
    name.into()
}

/// A file beside, since the file itself is replaced.
fn lock(path: &Path) -> io::Result<File> {
    let beside = with_ending(path, ".lock");
    let lock = options().open(&beside).map_err(|error| refused(&beside, error))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            Err(refused(path, "another server keeps its state there; name another with --state"))
        }
        Err(TryLockError::Error(error)) => Err(refused(&beside, error)),
    }
}

#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_path: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests;
