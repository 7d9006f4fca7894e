//! A record: 96 bytes in a segment, each bound to all before it.
//!
//! ```text
//! 0..8     sequence     1, 2, 3 ... over the whole log, without gaps
//! 8..64    seven words  what they say: body.rs
//! 64..92   tag          the chain at this record
//! 92..96   CRC-32       of bytes 0..92
//! ```
//!
//! All numbers are little-endian. The CRC finds accidents, and whole records without a key; the tag
//! is the proof. Since a tag is all of the chain, and stands in the file, the records after a
//! damaged one can be proved to follow each other: damage is named to the record.
//!
//! Invariants:
//!
//! ```text
//! C1  tag(0) = BLAKE3(chain key, log id), of which the first 28 bytes
//! C2  tag(n) = BLAKE3(chain key, tag(n - 1) | bytes 0..64 of record n), of which the first 28
//! C3  sequence(n) = n
//! ```

use super::body::Body;
use crate::core::events::EVENT_WORDS;

/// Words of a record.
pub const RECORD_WORDS: usize = EVENT_WORDS;

/// Bytes of a record in a segment.
pub const RECORD_BYTES: usize = 96;

pub(super) const TAG_BYTES: usize = 28;
/// What the tag is of, besides the tag before.
pub(super) const SAID_BYTES: usize = 64;
const CRC_AT: usize = SAID_BYTES + TAG_BYTES;

const _: () = assert!(8 + RECORD_WORDS * 8 == SAID_BYTES);
const _: () = assert!(CRC_AT + 4 == RECORD_BYTES);

/// The chain at a record. 224 bits: nobody meets the same twice.
pub(super) type Tag = [u8; TAG_BYTES];

/// A record as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its number in the log, from 1.
    pub sequence: u64,
    /// What it says, undeciphered.
    pub words: [u64; RECORD_WORDS],
}

impl Record {
    /// What it says.
    pub fn body(&self) -> Body {
        Body::decode(self.sequence, &self.words)
    }

    /// The low 8 bits of word 1.
    pub fn kind(&self) -> u8 {
        self.words[1] as u8
    }
}

/// The key of a chain.
#[derive(Clone)]
pub(super) struct Chain {
    key: [u8; 32],
}

impl Chain {
    pub(super) fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    /// The tag before the first record.
    pub(super) fn start(&self, log_id: &[u8; 16]) -> Tag {
        tag_of(&blake3::keyed_hash(&self.key, log_id))
    }

    /// The tag of a record that says `said`, after a record with tag `before`.
    #[inline]
    pub(super) fn next(&self, before: &Tag, said: &[u8; SAID_BYTES]) -> Tag {
        let mut input = [0; TAG_BYTES + SAID_BYTES];
        input[..TAG_BYTES].copy_from_slice(before);
        input[TAG_BYTES..].copy_from_slice(said);
        tag_of(&blake3::keyed_hash(&self.key, &input))
    }
}

fn tag_of(hash: &blake3::Hash) -> Tag {
    *hash.as_bytes().first_chunk().expect("a tag is shorter than a hash")
}

/// The bytes of a record.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame(pub(super) [u8; RECORD_BYTES]);

impl Frame {
    /// The record that follows one with tag `before`, and its own tag.
    #[inline]
    pub(super) fn seal(
        sequence: u64,
        words: &[u64; RECORD_WORDS],
        chain: &Chain,
        before: &Tag,
    ) -> (Self, Tag) {
        let mut bytes = [0; RECORD_BYTES];
        let (numbers, _) = bytes.as_chunks_mut::<8>();
        numbers[0] = sequence.to_le_bytes();
        for (bytes, word) in numbers[1..].iter_mut().zip(words) {
            *bytes = word.to_le_bytes();
        }
        let tag = chain.next(before, said(&bytes));
        bytes[SAID_BYTES..CRC_AT].copy_from_slice(&tag);
        let crc = crc32fast::hash(&bytes[..CRC_AT]);
        bytes[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        (Self(bytes), tag)
    }

    /// The frame at the start of `bytes`, whole or not; `None` if there are too few bytes.
    pub(super) fn at(bytes: &[u8]) -> Option<Self> {
        bytes.first_chunk().map(|bytes| Self(*bytes))
    }

    pub(super) fn sequence(&self) -> u64 {
        u64::from_le_bytes(*self.0.first_chunk().expect("a record has 96 bytes"))
    }

    pub(super) fn said(&self) -> &[u8; SAID_BYTES] {
        said(&self.0)
    }

    pub(super) fn tag(&self) -> &Tag {
        self.0[SAID_BYTES..].first_chunk().expect("a record has 96 bytes")
    }

    /// Whether the CRC is right.
    pub(super) fn is_whole(&self) -> bool {
        crc32fast::hash(&self.0[..CRC_AT]).to_le_bytes() == self.0[CRC_AT..]
    }

    pub(super) fn record(&self) -> Record {
        let mut words = [0; RECORD_WORDS];
        let (numbers, _) = self.0.as_chunks::<8>();
        for (word, bytes) in words.iter_mut().zip(&numbers[1..]) {
            *word = u64::from_le_bytes(*bytes);
        }
        Record { sequence: self.sequence(), words }
    }
}

fn said(bytes: &[u8; RECORD_BYTES]) -> &[u8; SAID_BYTES] {
    bytes.first_chunk().expect("a record has 96 bytes")
}
