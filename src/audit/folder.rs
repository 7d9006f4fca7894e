//! The folder of a log: the names of its segments, and the lock of its one writer.

use super::error::{AuditError, failed};
use super::header::HEADER_BYTES;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

const LOCK: &str = "writer.lock";
const EXTENSION: &str = ".audit";
const DIGITS: usize = 20;
/// A segment may outgrow its limit while the next cannot be begun, but this is somebody's file.
const READ_BYTES_MAX: u64 = 4 << 30;
/// Whoever asks whether there is a writer holds the lock for a moment.
const LOCK_ATTEMPTS_MAX: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// The name of a segment's file.
pub(super) fn segment_name(number: u64) -> String {
    format!("{number:0DIGITS$}{EXTENSION}")
}

/// The number of a segment's file; `None` if this is not the name of one.
fn segment_number(name: &str) -> Option<u64> {
    let number = name.strip_suffix(EXTENSION)?.parse().ok()?;
    (segment_name(number) == name).then_some(number)
}

/// The numbers of all segments, in order.
pub(super) fn segments(folder: &Path) -> Result<Vec<u64>, AuditError> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed("read", folder))? {
        let name = entry.map_err(failed("read", folder))?.file_name();
        let name = name.to_string_lossy();
        match segment_number(&name) {
            Some(number) => numbers.push(number),
            // Names with a dot are those of systems and editors.
            None if name == LOCK || name.starts_with('.') => {}
            None => {
                let problem = "no file of a log has such a name; move it away, or name a folder \
                               that is the log's alone";
                return Err(AuditError::Foreign { path: folder.join(&*name), problem });
            }
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// All bytes of a segment, as far as it is written by now.
pub(super) fn read_segment(path: &Path) -> Result<Vec<u8>, AuditError> {
    let file = File::open(path).map_err(failed("open", path))?;
    let length = file.metadata().map_err(failed("read", path))?.len();
    if length > READ_BYTES_MAX {
        let problem = "it is larger than 4 GiB, which no segment is; move it away";
        return Err(AuditError::Foreign { path: path.to_path_buf(), problem });
    }
    let mut bytes = Vec::with_capacity(length as usize + HEADER_BYTES);
    (&file).take(length).read_to_end(&mut bytes).map_err(failed("read", path))?;
    Ok(bytes)
}

/// The right to write a log; ends when it is dropped, however the process ends.
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    pub(super) fn take(folder: &Path) -> Result<Self, AuditError> {
        let path = folder.join(LOCK);
        let mut options = OpenOptions::new();
        let mut file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed("open", &path))?;
        for _ in 0..LOCK_ATTEMPTS_MAX {
            match file.try_lock() {
                Ok(()) => {
                    // For the message to others only: who cannot read it says less.
                    let id = std::process::id();
                    let said = file.set_len(0).and_then(|()| writeln!(file, "{id}"));
                    said.map_err(failed("write", &path))?;
                    return Ok(Self { _file: file });
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
                Err(TryLockError::Error(source)) => return Err(failed("lock", &path)(source)),
            }
        }
        let mut text = String::new();
        let read = file.rewind().and_then(|()| file.read_to_string(&mut text));
        let holder = read.ok().and_then(|_| text.trim().parse().ok());
        Err(AuditError::Locked { folder: folder.to_path_buf(), holder })
    }
}

/// Whether a writer has the log open now. A folder that does not let us look has none.
pub(super) fn is_writer_active(folder: &Path) -> bool {
    let Ok(file) = File::open(folder.join(LOCK)) else { return false };
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

/// Brings the names in a folder to the disk, where this is a thing.
pub(super) fn sync_folder(folder: &Path) -> Result<(), AuditError> {
    if cfg!(unix) {
        let synced = File::open(folder).and_then(|opened| opened.sync_all());
        synced.map_err(failed("sync", folder))?;
    }
    Ok(())
}

/// The folder of a file.
pub(super) fn parent(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// Refuses `file` if it lies in `folder` or below it. It need not be there yet.
pub(super) fn keep_outside(
    what: &'static str,
    file: &Path,
    folder: &Path,
) -> Result<(), AuditError> {
    let real = |path: &Path| -> io::Result<PathBuf> { path.canonicalize() };
    let within = real(folder).map_err(failed("find", folder))?;
    // A link is where it leads to, and also where it lies: both must be elsewhere.
    let lies = real(parent(file)).map_err(failed("find the folder of", file))?;
    let leads = real(file).unwrap_or_else(|_| lies.clone());
    if lies.starts_with(&within) || leads.starts_with(&within) {
        let (path, folder) = (file.to_path_buf(), folder.to_path_buf());
        return Err(AuditError::Inside { what, path, folder });
    }
    Ok(())
}
