//! The header of a segment: 192 bytes, as much as two records.
//!
//! ```text
//! 0..8      magic           "allotlog"
//! 8..10     version         1
//! 10..12    header bytes    192; where the CRC of a later version stands can be told from it
//! 12..14    record bytes    96
//! 14..16    zero
//! 16..24    key id
//! 24..40    log id          the same in all segments
//! 40..48    segment         1, 2, 3 ...: the number in the name of the file
//! 48..56    first sequence  of the first record, once there is one
//! 56..64    unix_ns         when it began
//! 64..92    tag             the chain before the first record
//! 92..156   zero
//! 156..188  MAC             BLAKE3(header key, bytes 0..156)
//! 188..192  CRC-32          of bytes 0..188
//! ```
//!
//! Segments are named by their number, not by their first record: of two that begin at the same
//! record the first ended before its first record was whole.

use super::key::{Key, KeyId};
use super::record::{RECORD_BYTES, Tag};

/// Bytes of a header.
pub const HEADER_BYTES: usize = 192;

/// The version of the format that is written, and the latest that is read.
pub const VERSION: u16 = 1;

const MAGIC: [u8; 8] = *b"allotlog";
const MAC_AT: usize = 156;
const CRC_AT: usize = 188;
/// Headers of later versions are looked for up to this size.
pub(super) const ANY_BYTES_MAX: usize = 4096;

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) log_id: [u8; 16],
    pub(super) segment: u64,
    pub(super) first_sequence: u64,
    pub(super) unix_ns: u64,
    pub(super) tag: Tag,
}

/// What stands where a header should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    Header(Header),
    /// A header that was never finished: too few bytes, or nothing but zeros.
    Torn,
    /// Not the start of a segment at all.
    Foreign,
    /// Whole, but of a version that is not known here.
    Version(u16),
    /// Whole, but by another key.
    Key(KeyId),
    /// Damaged or edited.
    Damaged,
}

impl Header {
    pub(super) fn encode(&self, key: &Key) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..10].copy_from_slice(&VERSION.to_le_bytes());
        bytes[10..12].copy_from_slice(&(HEADER_BYTES as u16).to_le_bytes());
        bytes[12..14].copy_from_slice(&(RECORD_BYTES as u16).to_le_bytes());
        bytes[16..24].copy_from_slice(&key.id().0);
        bytes[24..40].copy_from_slice(&self.log_id);
        bytes[40..48].copy_from_slice(&self.segment.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.first_sequence.to_le_bytes());
        bytes[56..64].copy_from_slice(&self.unix_ns.to_le_bytes());
        bytes[64..92].copy_from_slice(&self.tag);
        let mac = blake3::keyed_hash(&key.header, &bytes[..MAC_AT]);
        bytes[MAC_AT..CRC_AT].copy_from_slice(mac.as_bytes());
        let crc = crc32fast::hash(&bytes[..CRC_AT]);
        bytes[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads the header at the start of a segment; without a key its MAC is not checked.
    pub(super) fn read(segment: &[u8], key: Option<&Key>) -> Read {
        let start = &segment[..segment.len().min(HEADER_BYTES)];
        let is_torn = segment.iter().all(|&byte| byte == 0)
            || start.len() < HEADER_BYTES && start.starts_with(&MAGIC[..start.len().min(8)]);
        if is_torn {
            return Read::Torn;
        }
        let Some(bytes) = segment.first_chunk::<HEADER_BYTES>() else { return Read::Foreign };
        if !is_whole(segment) {
            return if bytes.starts_with(&MAGIC) { Read::Damaged } else { Read::Foreign };
        }
        let version = u16::from_le_bytes(field(bytes, 8));
        let mac = blake3::keyed_hash(key.map_or(&[0; 32], |key| &key.header), &bytes[..MAC_AT]);
        match key {
            _ if version > VERSION => Read::Version(version),
            _ if usize::from(u16::from_le_bytes(field(bytes, 10))) != HEADER_BYTES => Read::Damaged,
            Some(key) if key.id().0 != field(bytes, 16) => Read::Key(KeyId(field(bytes, 16))),
            // The comparison of hashes takes the same time for all.
            Some(_) if mac != field::<32>(bytes, MAC_AT) => Read::Damaged,
            _ => Read::Header(Self {
                log_id: field(bytes, 24),
                segment: u64::from_le_bytes(field(bytes, 40)),
                first_sequence: u64::from_le_bytes(field(bytes, 48)),
                unix_ns: u64::from_le_bytes(field(bytes, 56)),
                tag: field(bytes, 64),
            }),
        }
    }
}

/// Whether magic and CRC are right, for this version and those to come.
fn is_whole(segment: &[u8]) -> bool {
    let size = usize::from(u16::from_le_bytes(field(segment, 10)));
    let Some(bytes) = segment.get(..size).filter(|_| (16..=ANY_BYTES_MAX).contains(&size)) else {
        return false;
    };
    let (said, crc) = bytes.split_at(size - 4);
    said.starts_with(&MAGIC) && crc32fast::hash(said).to_le_bytes() == crc
}

fn field<const BYTES: usize>(bytes: &[u8], at: usize) -> [u8; BYTES] {
    *bytes[at..].first_chunk().expect("a field lies within the header")
}
