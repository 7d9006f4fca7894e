//! What a record says: an event of the governor, or one of the log's own records.
//!
//! A record carries seven words. Word 0 is always the time in nanoseconds of the governor's clock
//! (of a text: its id), the low 8 bits of word 1 the kind: 1 to 127 are events, laid out in
//! `core/events.rs`; from 128 on they are the log's own (least significant bits on the right):
//!
//! ```text
//! kind             word 1 above the kind             word 2        word 3    word 4    words 5, 6
//! 128 opened       0                                 unix_ns       0         0         0
//! 129 checkpoint   0                                 unix_ns       mac ...   mac ...   mac ...
//! 130 seal         0                                 unix_ns       mac ...   mac ...   mac ...
//! 131 gap          0                                 first         count     0         0
//! 132 refused      0                                 from_ns       requests  bytes     0
//! 133 balance      account:32 | type:8 | 0:16        bytes         grants    0         0
//! 134 text         below                             40 bytes, zeros at the end
//! 135 retired      0                                 sequence      segment   0         0
//! 136 recovered    0                                 segment       file      whole     digest ...
//! ```
//!
//! Of a text, word 1 is `parts:16 | part:16 | length:8 | 0:8 | topic:8 | kind:8`.
//!
//! Invariants:
//!
//! ```text
//! B1  decode(sequence, encode(b)) = b
//! B2  encode(decode(sequence, w)) = w for all words w: what is not understood is kept as it is
//! ```

use super::record::RECORD_WORDS;
use super::text::TextPart;
use crate::core::events::Event;

const KIND_OPENED: u8 = 128;
pub(super) const KIND_CHECKPOINT: u8 = 129;
pub(super) const KIND_SEAL: u8 = 130;
const KIND_GAP: u8 = 131;
const KIND_REFUSED: u8 = 132;
const KIND_BALANCE: u8 = 133;
pub(super) const KIND_TEXT: u8 = 134;
pub(super) const KIND_RETIRED: u8 = 135;
pub(super) const KIND_RECOVERED: u8 = 136;

const TYPE_SHIFT: u32 = 24;
const ACCOUNT_SHIFT: u32 = 32;
const MAC_FIRST_WORD: usize = 3;

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Body {
    /// An event of the governor. Its `sequence` is the record's.
    Event(Event),
    /// A writer began.
    Opened {
        /// The governor's clock.
        clock_ns: u64,
        /// The time of day, in nanoseconds since 1970.
        unix_ns: u64,
    },
    /// How far the log had come; what [`Head`](super::Head) remembers elsewhere.
    Checkpoint {
        /// The governor's clock.
        clock_ns: u64,
        /// The time of day, in nanoseconds since 1970.
        unix_ns: u64,
        /// Of everything before it, by the checkpoint key.
        mac: [u8; 32],
    },
    /// A writer ended in good order; nothing follows in its segment.
    Seal {
        /// The governor's clock.
        clock_ns: u64,
        /// The time of day, in nanoseconds since 1970.
        unix_ns: u64,
        /// Of everything before it, by the seal key.
        mac: [u8; 32],
    },
    /// Events were lost before they reached the log.
    Gap {
        /// When this was noticed, by the governor's clock.
        clock_ns: u64,
        /// The number of the first lost event among all events.
        first: u64,
        /// How many; 0 where a segment begins: there were some before, and its balances may be off.
        count: u64,
    },
    /// Requests that were denied because the log had no room for them, as one sum.
    Refused {
        /// When the first of them came, by the governor's clock.
        from_ns: u64,
        /// When the last of them came.
        to_ns: u64,
        /// How many.
        requests: u64,
        /// What they asked for together.
        bytes: u64,
    },
    /// What an account held when its segment began, so that older segments may be deleted.
    Balance {
        /// The governor's clock.
        clock_ns: u64,
        /// The index of the account.
        account: u32,
        /// The code of the allocation type.
        allocation_type: u8,
        /// Bytes held.
        bytes: u64,
        /// Grants held.
        grants: u64,
    },
    /// A part of a text.
    Text(TextPart),
    /// Older segments were deleted, as retention says.
    Retired {
        /// The governor's clock.
        clock_ns: u64,
        /// Records before this one are gone.
        sequence: u64,
        /// Segments before this one are gone.
        segment: u64,
    },
    /// An earlier segment ends with a record that was never finished. Stands first in its segment.
    Recovered {
        /// The governor's clock.
        clock_ns: u64,
        /// The number of that segment.
        segment: u64,
        /// The length of its file.
        file_bytes: u64,
        /// Its length up to the end of the last whole record; 0 if it has no whole header.
        whole_bytes: u64,
        /// BLAKE3 of what stands behind them, of which the first 16 bytes.
        digest: u128,
    },
    /// Words of a kind that this version does not know; kept, and proved like all others.
    Unknown([u64; RECORD_WORDS]),
}

impl Body {
    /// The words of a record.
    ///
    /// ```
    /// use allotment::audit::Body;
    ///
    /// let body = Body::Gap { clock_ns: 5, first: 100, count: 3 };
    /// assert_eq!(body.encode(), [5, 131, 100, 3, 0, 0, 0]);
    /// assert_eq!(Body::decode(1, &body.encode()), body);
    /// ```
    pub fn encode(&self) -> [u64; RECORD_WORDS] {
        match *self {
            Self::Event(ref event) => event.encode(),
            Self::Opened { clock_ns, unix_ns } => own(clock_ns, KIND_OPENED, [unix_ns, 0, 0]),
            Self::Checkpoint { clock_ns, unix_ns, ref mac } => {
                signed(clock_ns, KIND_CHECKPOINT, unix_ns, mac)
            }
            Self::Seal { clock_ns, unix_ns, ref mac } => signed(clock_ns, KIND_SEAL, unix_ns, mac),
            Self::Gap { clock_ns, first, count } => own(clock_ns, KIND_GAP, [first, count, 0]),
            Self::Refused { from_ns, to_ns, requests, bytes } => {
                own(to_ns, KIND_REFUSED, [from_ns, requests, bytes])
            }
            Self::Balance { clock_ns, account, allocation_type, bytes, grants } => {
                let mut words = own(clock_ns, KIND_BALANCE, [bytes, grants, 0]);
                words[1] |= u64::from(allocation_type) << TYPE_SHIFT;
                words[1] |= u64::from(account) << ACCOUNT_SHIFT;
                words
            }
            Self::Text(ref part) => part.encode(),
            Self::Retired { clock_ns, sequence, segment } => {
                own(clock_ns, KIND_RETIRED, [sequence, segment, 0])
            }
            Self::Recovered { clock_ns, segment, file_bytes, whole_bytes, digest } => {
                let mut words = own(clock_ns, KIND_RECOVERED, [segment, file_bytes, whole_bytes]);
                [words[5], words[6]] = [digest as u64, (digest >> 64) as u64];
                words
            }
            Self::Unknown(words) => words,
        }
    }

    /// What the words of record `sequence` say.
    pub fn decode(sequence: u64, words: &[u64; RECORD_WORDS]) -> Self {
        let body = match words[1] as u8 {
            ..KIND_OPENED => Event::decode(sequence, words).map(Self::Event),
            KIND_TEXT => TextPart::decode(words).map(Self::Text),
            _ => Self::decode_own(words),
        };
        // Bits that mean nothing today may mean something to a later version: they are not dropped.
        body.filter(|body| body.encode() == *words).unwrap_or(Self::Unknown(*words))
    }

    fn decode_own(words: &[u64; RECORD_WORDS]) -> Option<Self> {
        let [clock_ns, subject, a, b, c, low, high] = *words;
        Some(match subject as u8 {
            KIND_OPENED => Self::Opened { clock_ns, unix_ns: a },
            KIND_CHECKPOINT => Self::Checkpoint { clock_ns, unix_ns: a, mac: mac(words) },
            KIND_SEAL => Self::Seal { clock_ns, unix_ns: a, mac: mac(words) },
            KIND_GAP => Self::Gap { clock_ns, first: a, count: b },
            KIND_REFUSED => Self::Refused { from_ns: a, to_ns: clock_ns, requests: b, bytes: c },
            KIND_BALANCE => Self::Balance {
                clock_ns,
                account: (subject >> ACCOUNT_SHIFT) as u32,
                allocation_type: (subject >> TYPE_SHIFT) as u8,
                bytes: a,
                grants: b,
            },
            KIND_RETIRED => Self::Retired { clock_ns, sequence: a, segment: b },
            KIND_RECOVERED => Self::Recovered {
                clock_ns,
                segment: a,
                file_bytes: b,
                whole_bytes: c,
                digest: u128::from(low) | u128::from(high) << 64,
            },
            _ => return None,
        })
    }
}

fn own(clock_ns: u64, kind: u8, [a, b, c]: [u64; 3]) -> [u64; RECORD_WORDS] {
    [clock_ns, u64::from(kind), a, b, c, 0, 0]
}

fn signed(clock_ns: u64, kind: u8, unix_ns: u64, mac: &[u8; 32]) -> [u64; RECORD_WORDS] {
    let mut words = own(clock_ns, kind, [unix_ns, 0, 0]);
    for (word, bytes) in words[MAC_FIRST_WORD..].iter_mut().zip(mac.as_chunks().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    words
}

fn mac(words: &[u64; RECORD_WORDS]) -> [u8; 32] {
    let mut mac = [0; 32];
    for (bytes, word) in mac.as_chunks_mut().0.iter_mut().zip(&words[MAC_FIRST_WORD..]) {
        *bytes = word.to_le_bytes();
    }
    mac
}
