//! Where records begin and end in the bytes of a segment, when they are not where they should be.

use super::header::HEADER_BYTES;
use super::record::{Frame, RECORD_BYTES};

/// Drives write whole sectors of this size, or larger ones.
const SECTOR_BYTES: usize = 512;

/// Whether `rest`, from byte `offset` of a segment to its end, is a record that was never finished:
/// too few bytes, or zeros from its beginning or from the edge of a sector on. Asked only about
/// what does not verify.
pub(super) fn is_torn(rest: &[u8], offset: usize) -> bool {
    let edge = SECTOR_BYTES - offset % SECTOR_BYTES;
    rest.len() < RECORD_BYTES || is_zero(rest) || edge < RECORD_BYTES && is_zero(&rest[edge..])
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0)
}

/// The next place from `from` on at which a record with a right CRC stands. Looks first where one
/// would stand if the record before `from` had its proper length.
pub(super) fn next_whole(bytes: &[u8], from: usize) -> Option<usize> {
    let is_whole = |&at: &usize| {
        let frame = bytes.get(at..).and_then(Frame::at);
        // Zeros have a CRC of their own, which is not zero: this only spares the work.
        frame.is_some_and(|frame| frame.sequence() != 0 && frame.is_whole())
    };
    let aligned = from - 1 + RECORD_BYTES;
    Some(aligned)
        .filter(is_whole)
        .or_else(|| (from..bytes.len().saturating_sub(RECORD_BYTES - 1)).find(is_whole))
}

/// The places from `from` on at which bytes stand that could begin record `sequence`.
pub(super) fn candidates(
    bytes: &[u8],
    from: usize,
    sequence: u64,
) -> impl Iterator<Item = (usize, Frame)> {
    let wanted = sequence.to_le_bytes();
    let places = bytes[from..].windows(RECORD_BYTES).enumerate();
    places.filter_map(move |(at, window)| {
        window.starts_with(&wanted).then(|| Frame::at(window).map(|frame| (from + at, frame)))?
    })
}

/// Whether the same record stands in the segment before `at`, counted in whole records.
pub(super) fn stands_before(bytes: &[u8], at: usize, frame: &Frame) -> bool {
    bytes[HEADER_BYTES..at].as_chunks().0.contains(&frame.0)
}
