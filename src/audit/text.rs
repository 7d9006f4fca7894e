//! Texts in the log: a UTF-8 text is cut into consecutive records of up to 40 bytes each.
//!
//! Invariants:
//!
//! ```text
//! T1  the parts 0, 1 .. parts - 1 of a text, in order, joined = the text
//! T2  every part but the last is full; an empty text is one empty part
//! ```

use super::body::{Body, KIND_TEXT};
use super::record::RECORD_WORDS;

/// Bytes of a text that one record carries.
pub const TEXT_PART_BYTES: usize = 40;

/// Bytes of the longest text.
pub const TEXT_BYTES_MAX: usize = 64 << 10;

/// Parts of the longest text.
pub(super) const TEXT_PARTS_MAX: usize = TEXT_BYTES_MAX.div_ceil(TEXT_PART_BYTES);

const _: () = assert!(TEXT_PARTS_MAX <= u16::MAX as usize);
const _: () = assert!(TEXT_PART_BYTES == (RECORD_WORDS - 2) * size_of::<u64>());

const TOPIC_SHIFT: u32 = 8;
const LENGTH_SHIFT: u32 = 24;
const PART_SHIFT: u32 = 32;
const PARTS_SHIFT: u32 = 48;

/// A part of a text, as one record carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextPart {
    /// What the text is about; the meaning is the writer's.
    pub topic: u8,
    /// Which text; the meaning is the writer's.
    pub id: u64,
    /// Which part, from 0.
    pub part: u16,
    /// How many parts there are.
    pub parts: u16,
    /// Bytes of the text in this part, 0 to 40.
    pub length: u8,
    /// These bytes, then zeros.
    pub bytes: [u8; TEXT_PART_BYTES],
}

impl TextPart {
    /// The parts of a text, to be appended one after the other. Of a text that is longer than
    /// [`TEXT_BYTES_MAX`] only so much is taken, up to the end of a character.
    ///
    /// ```
    /// use allotment::audit::{TextPart, Texts};
    ///
    /// let text = "a sentence that is a good deal longer than one part can carry";
    /// let mut texts = Texts::default();
    /// let whole = TextPart::cut(1, 9, text).find_map(|part| texts.push(&part));
    /// assert_eq!(whole.unwrap(), (1, 9, text.to_string()));
    /// ```
    pub fn cut(topic: u8, id: u64, text: &str) -> impl Iterator<Item = Self> {
        let text = &text.as_bytes()[..text.floor_char_boundary(TEXT_BYTES_MAX)];
        let parts = text.len().div_ceil(TEXT_PART_BYTES).max(1) as u16;
        (0..parts).map(move |part| {
            let start = usize::from(part) * TEXT_PART_BYTES;
            let here = &text[start..text.len().min(start + TEXT_PART_BYTES)];
            let mut bytes = [0; TEXT_PART_BYTES];
            bytes[..here.len()].copy_from_slice(here);
            Self { topic, id, part, parts, length: here.len() as u8, bytes }
        })
    }

    pub(super) fn encode(&self) -> [u64; RECORD_WORDS] {
        let mut words = [0; RECORD_WORDS];
        words[0] = self.id;
        words[1] = u64::from(KIND_TEXT)
            | u64::from(self.topic) << TOPIC_SHIFT
            | u64::from(self.length) << LENGTH_SHIFT
            | u64::from(self.part) << PART_SHIFT
            | u64::from(self.parts) << PARTS_SHIFT;
        for (word, bytes) in words[2..].iter_mut().zip(self.bytes.as_chunks().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        words
    }

    /// `None` if these are not the words of a part.
    pub(super) fn decode(words: &[u64; RECORD_WORDS]) -> Option<Self> {
        let subject = words[1];
        let mut bytes = [0; TEXT_PART_BYTES];
        for (bytes, word) in bytes.as_chunks_mut().0.iter_mut().zip(&words[2..]) {
            *bytes = word.to_le_bytes();
        }
        let part = Self {
            topic: (subject >> TOPIC_SHIFT) as u8,
            id: words[0],
            part: (subject >> PART_SHIFT) as u16,
            parts: (subject >> PARTS_SHIFT) as u16,
            length: (subject >> LENGTH_SHIFT) as u8,
            bytes,
        };
        let rest = part.bytes.get(usize::from(part.length)..)?;
        (part.part < part.parts && rest.iter().all(|&byte| byte == 0)).then_some(part)
    }
}

impl From<TextPart> for Body {
    fn from(part: TextPart) -> Self {
        Self::Text(part)
    }
}

/// Puts the parts of texts together again, as they are read.
#[derive(Clone, Debug, Default)]
pub struct Texts {
    bytes: Vec<u8>,
    next: u16,
    of: (u8, u64, u16),
}

impl Texts {
    /// Takes the next part; with the last part of a text it answers topic, id and text. A part that
    /// does not follow the one before it (the reader began within a text) is dropped; bytes that
    /// are not UTF-8 are replaced.
    pub fn push(&mut self, part: &TextPart) -> Option<(u8, u64, String)> {
        let of = (part.topic, part.id, part.parts);
        if part.part == 0 {
            self.bytes.clear();
            self.next = 0;
            self.of = of;
        }
        if part.part != self.next || self.of != of {
            // No part follows this: the next text begins with its part 0.
            self.next = u16::MAX;
            return None;
        }
        let length = usize::from(part.length).min(TEXT_PART_BYTES);
        self.bytes.extend_from_slice(&part.bytes[..length]);
        self.next += 1;
        let done = self.next == part.parts;
        done.then(|| (part.topic, part.id, String::from_utf8_lossy(&self.bytes).into_owned()))
    }
}
