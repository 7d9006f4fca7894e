//! How a journal writes, and what time it is.

use super::error::AuditError;
use super::header::HEADER_BYTES;
use super::record::RECORD_BYTES;
use super::text::TEXT_PARTS_MAX;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The smallest and the largest segment. A verification holds one of them in memory.
const SEGMENT_BYTES: [u64; 2] = [(HEADER_BYTES + 16 * RECORD_BYTES) as u64, 1 << 30];
/// The longest text has to fit, and a checkpoint behind it.
const BUFFER_RECORDS: [u32; 2] = [2_048, 1 << 20];

const _: () = assert!(TEXT_PARTS_MAX < BUFFER_RECORDS[0] as usize);

/// When what was written is brought to the disk. A process that is killed loses nothing that was
/// flushed, whatever is chosen here; this is about a machine that loses its power.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SyncPolicy {
    /// With every checkpoint.
    #[default]
    Checkpoint,
    /// With a checkpoint, but not more often than this, by the governor's clock: for more than some
    /// hundred thousand records a second. The head, and the head file, are of the last one synced.
    Every(Duration),
    /// With every flush.
    Batch,
    /// Whenever the system likes. A head file may then be ahead of the log after a loss of power.
    Never,
}

/// How a [`Journal`](super::Journal) writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalOptions {
    /// From this size on a segment [is full](super::Journal::is_full): 1,728 bytes to 1 GiB.
    pub segment_bytes_max: u64,
    /// How many segments are kept, at least 1; `None`: all.
    pub keep_segments_max: Option<u32>,
    /// How long a segment is kept after it was full; `None`: for ever.
    pub keep_for: Option<Duration>,
    /// When what was written is brought to the disk.
    pub sync: SyncPolicy,
    /// A checkpoint is due after so many records, at least 1.
    pub checkpoint_records_max: u64,
    /// A checkpoint is due after so much time of the governor's clock, if there is a new record.
    pub checkpoint_ns_max: u64,
    /// How many records may wait to be written: 2,048 to 1,048,576, of 96 bytes each.
    pub buffer_records_max: u32,
    /// Where the head is written after every checkpoint; outside of the folder of the log. If it is
    /// there when a journal is opened, the log must contain it.
    pub head_file: Option<PathBuf>,
}

impl Default for JournalOptions {
    /// Segments of 64 MiB, all kept; a checkpoint, synced, every 1,000 records or 10 seconds.
    fn default() -> Self {
        Self {
            segment_bytes_max: 64 << 20,
            keep_segments_max: None,
            keep_for: None,
            sync: SyncPolicy::Checkpoint,
            checkpoint_records_max: 1_000,
            checkpoint_ns_max: 10_000_000_000,
            buffer_records_max: 4_096,
            head_file: None,
        }
    }
}

impl JournalOptions {
    pub(super) fn check(&self) -> Result<(), AuditError> {
        let [low, high] = SEGMENT_BYTES;
        within("segment_bytes_max", self.segment_bytes_max, low, high)?;
        let [low, high] = BUFFER_RECORDS.map(u64::from);
        within("buffer_records_max", self.buffer_records_max.into(), low, high)?;
        within("keep_segments_max", self.keep_segments_max.unwrap_or(1).into(), 1, u64::MAX)?;
        within("checkpoint_records_max", self.checkpoint_records_max, 1, u64::MAX)
    }
}

fn within(field: &'static str, value: u64, low: u64, high: u64) -> Result<(), AuditError> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    let problem = format!("{value} is out of range; choose {low} to {high}");
    Err(AuditError::Config { field, problem })
}

/// What time it is, by two clocks. Both may stand still or jump; nothing depends on their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// The time of day, in nanoseconds since 1970.
    pub unix_ns: u64,
    /// The governor's clock.
    pub clock_ns: u64,
}

impl Moment {
    /// The time of day as the system tells it, beside the governor's clock. A system that is set to
    /// a day before 1970 tells 0.
    pub fn now(clock_ns: u64) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { unix_ns: u64::try_from(since.as_nanos()).unwrap_or(u64::MAX), clock_ns }
    }
}
