//! What a verification answers.

use super::finding::Finding;
use super::head::Head;
use uuid::Uuid;

/// What is known of a log after it was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verdict {
    /// The id that all its segments carry.
    pub log_id: Uuid,
    /// Segments that were looked at.
    pub segments: u64,
    /// Records that were proved.
    pub records: u64,
    /// The number of the first record; of the one that comes next if there is none.
    pub first_sequence: u64,
    /// The number of the last record that was proved.
    pub last_sequence: u64,
    /// Events that were lost before they reached the log, by its own account.
    pub events_lost: u64,
    /// Requests that were denied because the log had no room, by its own account.
    pub requests_refused: u64,
    /// Checkpoints and seals that were proved.
    pub checkpoints: u64,
    /// The last of them.
    pub head: Option<Head>,
    /// Whether the last record is a seal.
    pub sealed: bool,
    /// Where the log ends, if it is not sealed.
    pub tail: Option<Tail>,
    /// All that is wrong; the log is intact if there is nothing.
    pub findings: Vec<Finding>,
    /// Whether all was looked at; not if there were [too many findings](super::FINDINGS_MAX).
    pub is_complete: bool,
}

/// The end of a log that is not sealed: its writer is at work, or was interrupted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tail {
    /// The last checkpoint, if there is one.
    pub after: Option<Checkpoint>,
    /// Records after it, all proved.
    pub records: u64,
    /// Records or headers that were never finished, at the ends of the last segments.
    pub torn: Vec<Torn>,
    /// Whether a writer has the log open now.
    pub is_writer_active: bool,
}

/// Where a checkpoint stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checkpoint {
    /// The number of its record.
    pub sequence: u64,
    /// The name of the segment's file.
    pub segment: String,
    /// Where in this file, in bytes.
    pub offset: u64,
    /// The time of day it tells, in nanoseconds since 1970.
    pub unix_ns: u64,
}

/// Bytes at the end of a segment that are not a whole record: a part of one, or zeros of blocks
/// that were never written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Torn {
    /// The name of the segment's file.
    pub segment: String,
    /// The number of the segment.
    pub number: u64,
    /// Where they begin: the length up to the end of the last whole record.
    pub offset: u64,
    /// How many.
    pub bytes: u64,
    /// BLAKE3 of them, of which the first 16 bytes.
    pub digest: u128,
}

impl Verdict {
    /// Whether nothing is wrong. A log that is intact may still not be sealed.
    pub fn is_intact(&self) -> bool {
        self.findings.is_empty() && self.is_complete
    }
}
