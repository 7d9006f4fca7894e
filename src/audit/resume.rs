//! How an existing log is continued: what its end says, once that is verified.

use super::body::KIND_RECOVERED;
use super::error::AuditError;
use super::folder::{read_segment, segment_name};
use super::head::Head;
use super::header::{HEADER_BYTES, Header, Read};
use super::key::Key;
use super::record::{Frame, RECORD_BYTES, Tag};
use super::verdict::Torn;
use super::verifier::Verifier;
use std::path::Path;

/// Where a log ends.
pub(super) struct Resumed {
    pub(super) log_id: [u8; 16],
    /// The number of the last segment.
    pub(super) segment: u64,
    /// The last record, and the chain there.
    pub(super) sequence: u64,
    pub(super) tag: Tag,
    /// Its last checkpoint, if it was looked at.
    pub(super) head: Option<Head>,
    /// Torn tails that no record accounts for yet.
    pub(super) torn: Vec<Torn>,
}

/// Verifies the last of these segments: from the one that holds `head`, and from the one whose
/// beginning was finished. All before it is accounted for. A log of which not even a header was
/// finished, or that is not there, begins with `new_id`.
pub(super) fn resume(
    folder: &Path,
    numbers: &[u64],
    key: &Key,
    head: Option<&Head>,
    new_id: [u8; 16],
) -> Result<Resumed, AuditError> {
    let read = |number: u64| read_segment(&folder.join(segment_name(number)));
    let mut start = numbers.len();
    let mut is_found = false;
    while start > 0 && !is_found {
        start -= 1;
        is_found = is_settled(&read(numbers[start])?, key, head);
    }
    let mut verifier = Verifier::of_end(folder, key, head, start == 0);
    for &number in &numbers[start..] {
        verifier.segment(number, &read(number)?)?;
    }
    let end = verifier.end();
    let verdict = verifier.finish(false);
    if let Some(finding) = verdict.findings.into_iter().next() {
        return Err(AuditError::Damaged(Box::new(finding)));
    }
    let (log_id, tag) = end.unwrap_or_else(|| (new_id, key.chain.start(&new_id)));
    Ok(Resumed {
        log_id,
        segment: numbers.last().copied().unwrap_or_default(),
        sequence: verdict.last_sequence,
        tag,
        head: verdict.head,
        torn: verdict.tail.map_or_else(Vec::new, |tail| tail.torn),
    })
}

/// Whether a segment has a record of its writer, so that all that was torn before is accounted for,
/// and begins at or before the head.
fn is_settled(bytes: &[u8], key: &Key, head: Option<&Head>) -> bool {
    let Read::Header(header) = Header::read(bytes, Some(key)) else { return false };
    let frames = bytes[HEADER_BYTES..].chunks_exact(RECORD_BYTES).filter_map(Frame::at);
    let mut written = frames.take_while(Frame::is_whole);
    head.is_none_or(|head| header.first_sequence <= head.sequence)
        && written.any(|frame| frame.record().kind() != KIND_RECOVERED)
}
