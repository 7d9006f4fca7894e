//! The audit log: an append-only folder of segments that proves what was written to it.
//!
//! A [`Journal`] appends records of fixed size, each bound to the one before it by a keyed hash;
//! signed checkpoints and a seal say how far the log had come. [`verify`] proves that nothing was
//! edited, inserted, reordered, duplicated, removed or cut off, and names the tail that a crash
//! leaves, to the byte. [`Reader`] shows the records, also while they are being written.
//!
//! ```
//! use allotment::audit::{Body, Journal, JournalOptions, Key, Moment, verify};
//!
//! # let place = std::env::temp_dir().join(format!("allotment-doc-{}", std::process::id()));
//! # std::fs::remove_dir_all(&place).ok();
//! # std::fs::create_dir_all(&place)?;
//! let key = Key::generate(&place.join("audit.key"))?;         // keep it elsewhere
//! let folder = place.join("log");
//! let mut journal = Journal::open(&folder, &key, JournalOptions::default(), Moment::now(0))?;
//! journal.append_body(&Body::Gap { clock_ns: 7, first: 40, count: 2 })?;
//! let head = journal.checkpoint(Moment::now(8))?;             // on the disk from here on
//! journal.seal(Moment::now(9))?;
//!
//! let verdict = verify(&folder, &key, Some(&head))?;
//! assert!(verdict.is_intact() && verdict.sealed);
//! assert_eq!(verdict.events_lost, 2);
//! # std::fs::remove_dir_all(&place)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it proves, and what it does not
//!
//! - Whoever does not have the key cannot change a byte of a whole record, or of a header, without
//!   a [`Finding`].
//! - The key is symmetric: **whoever can verify can also forge.** Keep it where those who run the
//!   governor cannot read it later, or give every log a key of its own and take it away.
//! - A folder cannot tell that its end was cut off: without an expected [`Head`] such a log is
//!   merely *not sealed*, and one cut back to an earlier seal looks as it did then. A head kept
//!   elsewhere (`head_file`) makes it a finding.
//! - What was said to the log is proved, not that it was true.
//!
//! # Where is ...?
//!
//! | I want to see | open |
//! |---|---|
//! | the bytes of a record, and the chain | `record.rs` |
//! | the bytes of a segment's header | `header.rs` |
//! | the words of the log's own records | `body.rs`, texts in `text.rs` |
//! | the keys and what they are for | `key.rs` |
//! | what a governor does, written down by a thread | `log.rs`, `books.rs` |
//! | how tenants and groups are told of | `configured.rs` |
//! | the writer, and what it does when writing fails | `journal.rs`, `output.rs` |
//! | how an existing log is continued | `resume.rs` |
//! | what deletes old segments | `journal.rs`: `retire` |
//! | the proof | `verifier.rs` and `walk.rs`, its answer in `verdict.rs` and `finding.rs` |
//! | reading while others write | `reader.rs` |

mod body;
mod books;
mod configured;
mod error;
mod finding;
mod folder;
mod head;
mod header;
mod journal;
mod key;
mod log;
mod options;
mod output;
mod reader;
mod record;
mod rest;
mod resume;
mod text;
mod verdict;
mod verifier;
mod walk;

pub use body::Body;
pub use configured::{
    CLOSED_TOPIC, CONFIGURED_TOPIC, Configured, NOTED_TOPIC, STATED_TOPIC, TRIED_TOPIC,
};
pub use error::{AuditError, NotAppended};
pub use finding::{FINDINGS_MAX, Finding, FindingKind};
pub use head::Head;
pub use header::{HEADER_BYTES, VERSION};
pub use journal::{Journal, SealFailed};
pub use key::{Key, KeyId};
pub use log::{AuditLog, AuditStatus};
pub use options::{JournalOptions, Moment, SyncPolicy};
pub use reader::{Entry, Reader};
pub use record::{RECORD_BYTES, RECORD_WORDS, Record};
pub(crate) use rest::Rest;
pub use text::{TEXT_BYTES_MAX, TEXT_PART_BYTES, TextPart, Texts};
pub use verdict::{Checkpoint, Tail, Torn, Verdict};
pub use verifier::{Verifier, verify};
