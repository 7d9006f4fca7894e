//! What can go wrong with an audit log: where, why, and what to do.

use super::finding::Finding;
use super::key::KeyId;
use super::text::TEXT_BYTES_MAX;
use std::io;
use std::path::{Path, PathBuf};

/// Why a log could not be opened, written or read. What was accepted by `append` is never lost by
/// an error; see [`Journal`](super::Journal).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// The system refused.
    #[error("cannot {action} {}: {source}; {}", path.display(), advice(source))]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// A configuration value is out of range.
    #[error("{field}: {problem}")]
    Config {
        /// The offending field.
        field: &'static str,
        /// What is wrong with it and what would be right.
        problem: String,
    },
    /// Another writer has the log open.
    #[error(
        "the audit log in {} is being written by {}; a log has one writer: end that one, or give \
         this one a folder of its own",
        folder.display(), holder.map_or("another journal".to_string(), |id| format!("process {id}"))
    )]
    Locked {
        /// The folder of the log.
        folder: PathBuf,
        /// The process that holds it, where it can be told.
        holder: Option<u32>,
    },
    /// The folder, or a file in it, is not an audit log's.
    #[error("{} is not part of an audit log: {problem}", path.display())]
    Foreign {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it and what to do.
        problem: &'static str,
    },
    /// There is no log.
    #[error("there is no audit log in {}; name the folder that has its segments", folder.display())]
    Missing {
        /// The folder.
        folder: PathBuf,
    },
    /// A later version wrote the log.
    #[error(
        "{} is of version {version}, this one reads up to {}: use a newer allot",
        path.display(), super::header::VERSION
    )]
    Version {
        /// The segment.
        path: PathBuf,
        /// Its version.
        version: u16,
    },
    /// The log was written with another key.
    #[error(
        "{} was written with key {written_with}, this is key {given}; load the key of this log",
        path.display()
    )]
    WrongKey {
        /// The segment.
        path: PathBuf,
        /// The key it was written with.
        written_with: KeyId,
        /// The key that was given.
        given: KeyId,
    },
    /// A key file is not one.
    #[error(
        "{} is no key: a key file has 64 hex digits; make one with `allot audit keygen FILE` or \
         Key::generate",
        path.display()
    )]
    Key {
        /// The file.
        path: PathBuf,
    },
    /// A text is not a head.
    #[error("{text:?} is no head; a head is a record number, a colon and 64 hex digits")]
    Head {
        /// The text, or its beginning.
        text: String,
    },
    /// A file is not a head file. Its text is not told: it may be a key.
    #[error(
        "{} is no head file: a head is a record number, a colon and 64 hex digits; name the file \
         that the writer keeps, KEYFILE.head, or one with a head that was printed",
        path.display()
    )]
    HeadFile {
        /// The file.
        path: PathBuf,
    },
    /// A head is known of a log of which there is nothing.
    #[error(
        "there is no log in {}, but {} has the head of one: bring that log back; or, if the head \
         is another log's, give each a head file of its own; or remove the file to begin a new one",
        folder.display(), head_file.display()
    )]
    HeadOnly {
        /// The folder.
        folder: PathBuf,
        /// The file that has the head.
        head_file: PathBuf,
    },
    /// A file lies in the folder of the log, whose guard it is.
    #[error(
        "{what} {} lies in the folder of the log, {}; whoever can change the log could change it \
         too: keep it elsewhere",
        path.display(), folder.display()
    )]
    Inside {
        /// "the key" or "the head file".
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The folder of the log.
        folder: PathBuf,
    },
    /// The log does not verify; it is not continued.
    #[error(
        "the audit log is damaged: {0}; verify it, keep its folder as evidence, and begin a new \
         log in another one"
    )]
    Damaged(Box<Finding>),
    /// A segment that is being written is not there any more.
    #[error(
        "segment {} was deleted, moved or shortened while it was being written; what it held is \
         written again with the next flush",
        path.display()
    )]
    Vanished {
        /// The segment.
        path: PathBuf,
    },
    /// The system could not bring a segment to the disk.
    #[error(
        "cannot sync {}: {source}; what was written since the last checkpoint may not be on the \
         disk: open the journal anew, which verifies what is there",
        path.display()
    )]
    Sync {
        /// The segment.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// A governor cannot have this log.
    #[error("the governor cannot be written down: {problem}")]
    NotAudited {
        /// Why, and what to do.
        problem: &'static str,
    },
    /// The thread that writes a log met this.
    #[error("the audit log is not written: {0}")]
    Writer(std::sync::Arc<AuditError>),
    /// The journal did not take a record.
    #[error(transparent)]
    NotAppended(#[from] NotAppended),
    /// A text does not fit into the log.
    #[error("a text of {bytes} bytes; the log takes up to {TEXT_BYTES_MAX}: shorten or split it")]
    TextTooLong {
        /// Its length.
        bytes: usize,
    },
}

/// Why a record was not taken. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotAppended {
    /// As many records as may wait to be written do.
    #[error("{records} records wait to be written, and no more may; flush the journal first")]
    Full {
        /// Records that wait.
        records: u64,
    },
    /// Only the journal itself writes such records.
    #[error("records of kind {kind} are written by the journal alone; use its own verbs")]
    Reserved {
        /// The kind: checkpoint, seal, retired or recovered.
        kind: u8,
    },
}

fn advice(source: &io::Error) -> &'static str {
    use io::ErrorKind::*;
    match source.kind() {
        NotFound => "check the path",
        PermissionDenied | ReadOnlyFilesystem => "let this process write there, or name another",
        AlreadyExists => "nothing is overwritten: name another, or use the one that is there",
        StorageFull | QuotaExceeded | FileTooLarge => "free some room; then it goes on by itself",
        NotADirectory => "name a folder",
        IsADirectory => "name a file",
        _ => "check the drive, and try again",
    }
}

/// Makes the error of the system one of the log: `.map_err(failed("read", path))`.
pub(super) fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> AuditError {
    move |source| AuditError::Io { action, path: path.to_path_buf(), source }
}
