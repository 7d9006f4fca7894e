//! The proof that a log is what was written: segments are taken in order, and each record has to
//! follow the one before it.
//!
//! What does not follow is a [`Finding`]. After one the verification goes on where records follow
//! each other again: a tag stands in every record, so the next one tells whether it was written
//! after it.
//!
//! Invariants, for a log without findings:
//!
//! ```text
//! V1  segments: a, a + 1 .. b, each named by its number
//! V2  the first record of the log is number 1, or a Retired record covers those before it
//! V3  first sequence of segment n = 1 + last sequence before it, and likewise the chain
//! V4  bytes of segment n < b = header + whole records + what a Recovered record says, or nothing
//! V5  nothing follows a seal in its segment
//! V6  the expected head is a checkpoint or seal of this log
//! ```

use super::body::{Body, KIND_CHECKPOINT, KIND_RECOVERED};
use super::error::AuditError;
use super::finding::{FINDINGS_MAX, Finding, FindingKind};
use super::folder::{is_writer_active, read_segment, segment_name, segments};
use super::head::{Head, Signed};
use super::header::{HEADER_BYTES, Header, Read};
use super::key::Key;
use super::record::{Frame, RECORD_BYTES, Record, Tag};
use super::verdict::{Checkpoint, Tail, Torn, Verdict};
use super::walk::{candidates, is_torn, next_whole, stands_before};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// How often a verification begins again because retention deleted what it was about to read.
const ATTEMPTS_MAX: u32 = 16;

/// Verifies the log in a folder, also while it is being written; `expect` is a head that it must
/// contain. Reads one segment at a time into memory.
///
/// # Errors
///
/// [`AuditError`] if there is no log that could be looked at: nothing there, not ours, of a later
/// version, of another key, unreadable. What is wrong with a log that can be looked at stands in
/// [`Verdict::findings`].
pub fn verify(folder: &Path, key: &Key, expect: Option<&Head>) -> Result<Verdict, AuditError> {
    let mut attempt = 1;
    loop {
        match verify_once(folder, key, expect) {
            Err(AuditError::Io { source, .. })
                if source.kind() == ErrorKind::NotFound
                    && folder.is_dir()
                    && attempt < ATTEMPTS_MAX =>
            {
                attempt += 1;
            }
            other => return other,
        }
    }
}

fn verify_once(folder: &Path, key: &Key, expect: Option<&Head>) -> Result<Verdict, AuditError> {
    let is_active = is_writer_active(folder);
    let numbers = segments(folder)?;
    if numbers.is_empty() {
        return Err(AuditError::Missing { folder: folder.to_path_buf() });
    }
    let mut verifier = Verifier::of_end(folder, key, expect, true);
    for number in numbers {
        verifier.segment(number, &read_segment(&folder.join(segment_name(number)))?)?;
    }
    Ok(verifier.finish(is_active))
}

/// Verifies segments that the caller brings, one after the other; [`verify`] does so for a folder.
///
/// ```no_run
/// use allotment::audit::{Key, Verifier};
///
/// let key = Key::load("/secrets/audit.key".as_ref())?;
/// let mut verifier = Verifier::new(&key, None);
/// verifier.segment(1, &std::fs::read("log/00000000000000000001.audit")?)?;
/// assert!(verifier.finish(false).is_intact());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Verifier<'a> {
    key: &'a Key,
    expect: Option<Head>,
    folder: PathBuf,
    /// Whether the log may begin with any segment.
    is_part: bool,
    log_id: Option<[u8; 16]>,
    /// The chain at the last record; `None` if it is not known.
    tag: Option<Tag>,
    /// The number of the record that should come next.
    next: u64,
    /// The number of the segment that was taken last, and its name.
    number: u64,
    name: String,
    /// Of the first segment: its number, its first record.
    first: Option<(u64, u64)>,
    segments: u64,
    records: u64,
    /// What stands at the ends of segments and is not accounted for yet.
    torn: Vec<Torn>,
    /// Records before the first, segments before the second are gone, by the log's own account.
    retired: (u64, u64),
    lost: u64,
    refused: u64,
    checkpoints: u64,
    head: Option<Head>,
    last: Option<Checkpoint>,
    records_after: u64,
    /// The segment that ends with a seal, if nothing followed.
    sealed: Option<u64>,
    has_expected: bool,
    findings: Vec<Finding>,
}

impl<'a> Verifier<'a> {
    /// Nothing taken yet; `expect` is a head that the log must contain.
    pub fn new(key: &'a Key, expect: Option<&Head>) -> Self {
        Self {
            key,
            expect: expect.copied(),
            folder: PathBuf::new(),
            is_part: false,
            log_id: None,
            tag: None,
            next: 1,
            number: 0,
            name: String::new(),
            first: None,
            segments: 0,
            records: 0,
            torn: Vec::new(),
            retired: (0, 0),
            lost: 0,
            refused: 0,
            checkpoints: 0,
            head: None,
            last: None,
            records_after: 0,
            sealed: None,
            has_expected: false,
            findings: Vec::new(),
        }
    }

    /// For the last segments of a log in a folder; for all of them if `is_whole`.
    pub(super) fn of_end(
        folder: &Path,
        key: &'a Key,
        expect: Option<&Head>,
        is_whole: bool,
    ) -> Self {
        Self { folder: folder.to_path_buf(), is_part: !is_whole, ..Self::new(key, expect) }
    }

    /// The id of the log and its chain at the last record, if they are known.
    pub(super) fn end(&self) -> Option<([u8; 16], Tag)> {
        self.log_id.zip(self.tag)
    }

    /// Takes the next segment: its number, as its file is named, and all its bytes.
    ///
    /// # Errors
    ///
    /// [`AuditError::Version`] for a segment of a later version; [`AuditError::WrongKey`] and
    /// [`AuditError::Foreign`] if not even the first segment is of this key, or a segment. The
    /// verifier is then of no further use.
    pub fn segment(&mut self, number: u64, bytes: &[u8]) -> Result<(), AuditError> {
        let header = Header::read(bytes, Some(self.key));
        let path = || self.folder.join(segment_name(number));
        match header {
            Read::Version(version) => return Err(AuditError::Version { path: path(), version }),
            Read::Key(written_with) if self.log_id.is_none() => {
                return Err(AuditError::WrongKey {
                    path: path(),
                    written_with,
                    given: self.key.id(),
                });
            }
            Read::Foreign if self.log_id.is_none() => {
                let problem = "it does not begin as a segment does; name the folder of a log";
                return Err(AuditError::Foreign { path: path(), problem });
            }
            _ => {}
        }
        let before = std::mem::replace(&mut self.number, number);
        self.name = segment_name(number);
        self.segments += 1;
        self.check_number(before);
        let goes_on = match header {
            Read::Header(header) => self.take_header(&header, before),
            Read::Torn => {
                self.add_torn(0, bytes);
                false
            }
            Read::Key(key) => {
                self.find(FindingKind::Inserted, 0, None, format!("written with key {key}"));
                false
            }
            _ => {
                let what = "the header is not what was written".to_string();
                self.find(FindingKind::Edited, 0, None, what);
                self.first.get_or_insert((number, self.next));
                true
            }
        };
        if goes_on {
            self.take_records(bytes);
        }
        Ok(())
    }

    /// The answer. `is_writer_active` is passed on to the [`Tail`].
    pub fn finish(mut self, is_writer_active: bool) -> Verdict {
        let is_complete = !self.is_enough();
        if is_complete {
            self.check_beginning();
            self.check_expected();
        }
        let first_sequence = self.first.map_or(self.next, |(_, sequence)| sequence);
        let sealed = self.sealed.is_some() && self.torn.is_empty();
        let tail = Tail {
            after: self.last,
            records: self.records_after,
            torn: self.torn,
            is_writer_active,
        };
        Verdict {
            log_id: Uuid::from_bytes(self.log_id.unwrap_or_default()),
            segments: self.segments,
            records: self.records,
            first_sequence,
            last_sequence: self.next - 1,
            events_lost: self.lost,
            requests_refused: self.refused,
            checkpoints: self.checkpoints,
            head: self.head,
            sealed,
            tail: Some(tail).filter(|_| !sealed),
            findings: self.findings,
            is_complete,
        }
    }

    /// What is wrong so far.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    // Headers.

    fn check_number(&mut self, before: u64) {
        let number = self.number;
        if before != 0 && number <= before {
            let what = format!("segment {number} after segment {before}");
            self.find(FindingKind::Reordered, 0, None, what);
        } else if before != 0 && number > before + 1 {
            let what = format!("no segment between {before} and {number}");
            self.find(FindingKind::Removed, 0, None, what);
        }
    }

    /// Answers whether the records of the segment are to be looked at.
    fn take_header(&mut self, header: &Header, before: u64) -> bool {
        let Self { number, next, .. } = *self;
        if *self.log_id.get_or_insert(header.log_id) != header.log_id {
            self.find(FindingKind::Inserted, 0, None, "a segment of another log".to_string());
            return false;
        }
        if header.segment != number {
            let is_twice = (1..number).contains(&header.segment) && header.segment <= before;
            let kind = if is_twice { FindingKind::Duplicated } else { FindingKind::Reordered };
            let what = format!("segment {} under the name of segment {number}", header.segment);
            self.find(kind, 0, None, what);
            return false;
        }
        let is_first = self.first.is_none();
        let (_, first_sequence) = *self.first.get_or_insert((number, header.first_sequence));
        let begins = first_sequence > 1 || header.tag == self.key.chain.start(&header.log_id);
        if is_first && (first_sequence == 0 || !begins) {
            let what = "the log does not begin as logs of this id do".to_string();
            self.find(FindingKind::Edited, 0, None, what);
        } else if !is_first && header.first_sequence > next {
            let last = header.first_sequence - 1;
            let what = format!("records {next} to {last} are missing before this segment");
            let is_next = before.checked_add(1) == Some(number);
            let kind = if is_next { FindingKind::Truncated } else { FindingKind::Removed };
            self.find(kind, 0, Some(next), what);
        } else if !is_first && header.first_sequence < next {
            let what = format!(
                "it begins with record {}, but the segments before it go on to record {}",
                header.first_sequence,
                next - 1
            );
            self.find(FindingKind::Inserted, 0, Some(header.first_sequence), what);
        } else if self.tag.is_some_and(|tag| tag != header.tag) {
            let what = format!("record {} is not the one it was begun after", next - 1);
            self.find(FindingKind::Edited, 0, Some(next - 1), what);
        }
        (self.tag, self.next) = (Some(header.tag), header.first_sequence.max(1));
        true
    }

    // Records.

    fn take_records(&mut self, bytes: &[u8]) {
        let mut at = HEADER_BYTES;
        while at < bytes.len() && !self.is_enough() {
            let rest = &bytes[at..];
            at = match Frame::at(rest) {
                Some(frame) if self.follows(&frame) => {
                    if !frame.is_whole() {
                        let what = format!("the checksum of record {} is wrong", self.next);
                        self.find(FindingKind::Edited, at, Some(self.next), what);
                    }
                    self.accept(&frame, at);
                    at + RECORD_BYTES
                }
                Some(frame) if self.tag.is_none() && frame.is_whole() => {
                    self.check_sequence(bytes, &frame, at);
                    self.adopt(&frame);
                    at + RECORD_BYTES
                }
                _ if is_torn(rest, at) => return self.add_torn(at, rest),
                _ => self.go_on(bytes, at),
            };
        }
    }

    /// Whether this is the next record.
    fn follows(&self, frame: &Frame) -> bool {
        frame.sequence() == self.next && self.tag.is_some_and(|tag| self.leads(&tag, frame))
    }

    /// Whether a record was written after one with this tag.
    fn leads(&self, tag: &Tag, frame: &Frame) -> bool {
        self.key.chain.next(tag, frame.said()) == *frame.tag()
    }

    /// What stands at `at` does not follow: says what is wrong, and answers where to go on.
    fn go_on(&mut self, bytes: &[u8], at: usize) -> usize {
        let wanted = candidates(bytes, at + 1, self.next).find(|(_, frame)| self.follows(frame));
        if let Some((found, _)) = wanted {
            self.find_inserted(bytes, at, found);
            return found;
        }
        let frame = Frame::at(&bytes[at..]).filter(Frame::is_whole);
        let resume = match frame {
            Some(frame) => {
                self.check_sequence(bytes, &frame, at);
                at + RECORD_BYTES
            }
            None => {
                let resume = next_whole(bytes, at + 1).unwrap_or(bytes.len());
                let what = match resume - at {
                    RECORD_BYTES => format!("record {} is not what was written", self.next),
                    bytes => format!("{bytes} bytes at record {} are no records", self.next),
                };
                self.find(FindingKind::Edited, at, Some(self.next), what);
                resume
            }
        };
        self.anchor(bytes, at, resume);
        resume
    }

    /// A whole record that does not follow: why not?
    fn check_sequence(&mut self, bytes: &[u8], frame: &Frame, at: usize) {
        let (sequence, next) = (frame.sequence(), self.next);
        let (kind, what) = if sequence == next && self.tag.is_none() {
            return;
        } else if sequence == next {
            (FindingKind::Edited, format!("record {sequence} is not what was written"))
        } else if sequence > next {
            let last = sequence - 1;
            (FindingKind::Removed, format!("records {next} to {last} are missing"))
        } else if stands_before(bytes, at, frame) {
            (FindingKind::Duplicated, format!("record {sequence} instead of record {next}"))
        } else {
            (FindingKind::Reordered, format!("record {sequence} instead of record {next}"))
        };
        self.find(kind, at, Some(next), what);
    }

    /// Bytes that were put before the record that follows.
    fn find_inserted(&mut self, bytes: &[u8], at: usize, found: usize) {
        let next = self.next;
        let frame = Frame::at(&bytes[at..found]).filter(Frame::is_whole);
        let (kind, what) = match frame {
            Some(frame) if stands_before(bytes, at, &frame) => {
                (FindingKind::Duplicated, format!("record {} is there twice", frame.sequence()))
            }
            Some(frame) if frame.sequence() > next => {
                (FindingKind::Reordered, format!("record {} before {next}", frame.sequence()))
            }
            _ => {
                let count = found - at;
                (FindingKind::Inserted, format!("{count} bytes were put before record {next}"))
            }
        };
        self.find(kind, at, Some(next), what);
    }

    /// Finds out after which tag the record at `resume` was written, if what stands at `at` is one
    /// record before it: the tag that stands there, or the one that should.
    fn anchor(&mut self, bytes: &[u8], at: usize, resume: usize) {
        let skipped = (resume - at).div_ceil(RECORD_BYTES) as u64;
        let gone = Frame::at(&bytes[at..]);
        let gone_next = gone.filter(Frame::is_whole).map(|frame| frame.sequence());
        self.next = gone_next.unwrap_or(self.next.saturating_add(skipped - 1)).saturating_add(1);
        let follower = Frame::at(&bytes[resume..]);
        let computed = gone.zip(self.tag).map(|(gone, tag)| self.key.chain.next(&tag, gone.said()));
        let stored = gone.map(|gone| *gone.tag());
        let tags = [stored, computed].into_iter().flatten();
        let mut leading = tags.filter(|tag| follower.is_some_and(|next| self.leads(tag, &next)));
        // At the end of a segment its successor tells, by the tag in its header.
        self.tag = match (leading.next(), follower) {
            (Some(tag), _) => Some(tag),
            (None, None) => stored.filter(|_| gone_next.is_some()),
            (None, Some(_)) => None,
        };
    }

    fn adopt(&mut self, frame: &Frame) {
        self.tag = Some(*frame.tag());
        self.next = frame.sequence().saturating_add(1);
    }

    fn accept(&mut self, frame: &Frame, at: usize) {
        let before = self.tag.unwrap_or(*frame.tag());
        self.adopt(frame);
        self.records += 1;
        self.records_after += 1;
        let record = frame.record();
        if !self.torn.is_empty() && record.kind() != KIND_RECOVERED {
            self.find_torn();
        }
        if self.sealed.take() == Some(self.number) {
            let what = format!("record {} after the seal", record.sequence);
            self.find(FindingKind::Inserted, at, Some(record.sequence), what);
        }
        // Events are proved as they are: nothing in them is about the log.
        if record.kind() >= KIND_CHECKPOINT {
            self.read(&record, &before, at);
        }
    }

    /// What the log says about itself.
    fn read(&mut self, record: &Record, before: &Tag, at: usize) {
        match record.body() {
            Body::Checkpoint { clock_ns, unix_ns, mac } => {
                self.check_mac(record, before, at, [clock_ns, unix_ns], (mac, false));
            }
            Body::Seal { clock_ns, unix_ns, mac } => {
                self.check_mac(record, before, at, [clock_ns, unix_ns], (mac, true));
                self.sealed = Some(self.number);
            }
            Body::Gap { count, .. } => self.lost = self.lost.saturating_add(count),
            Body::Refused { requests, .. } => self.refused = self.refused.saturating_add(requests),
            Body::Retired { sequence, segment, .. } => {
                self.retired = (self.retired.0.max(sequence), self.retired.1.max(segment));
            }
            Body::Recovered { segment, file_bytes, whole_bytes, digest, .. } => {
                let torn = self.torn.iter().position(|torn| {
                    let Torn { number, offset, bytes, .. } = *torn;
                    (number, offset, offset + bytes) == (segment, whole_bytes, file_bytes)
                        && torn.digest == digest
                });
                let is_before = self.first.is_none_or(|(number, _)| segment < number);
                match torn {
                    Some(place) => drop(self.torn.remove(place)),
                    None if is_before => {}
                    None => {
                        let what = format!(
                            "segment {segment} had {file_bytes} bytes, {whole_bytes} of them whole"
                        );
                        self.find(FindingKind::Truncated, at, Some(record.sequence), what);
                    }
                }
            }
            _ => {}
        }
    }

    fn check_mac(
        &mut self,
        record: &Record,
        before: &Tag,
        at: usize,
        [clock_ns, unix_ns]: [u64; 2],
        (mac, is_seal): ([u8; 32], bool),
    ) {
        let sequence = record.sequence;
        let log_id = &self.log_id.unwrap_or_default();
        let signed = Signed { log_id, sequence, before, clock_ns, unix_ns, is_seal };
        // Without the first header the log id is not known, and that is a finding already.
        if self.log_id.is_some() && signed.mac(self.key) != mac {
            let what = format!("the checkpoint at record {sequence} is not by this key");
            return self.find(FindingKind::Edited, at, Some(sequence), what);
        }
        let head = Head { sequence, mac };
        self.has_expected |= self.expect == Some(head);
        self.head = Some(head);
        let (segment, offset) = (self.name.clone(), at as u64);
        self.last = Some(Checkpoint { sequence, segment, offset, unix_ns });
        self.checkpoints += 1;
        self.records_after = 0;
    }

    // Ends.

    fn add_torn(&mut self, at: usize, bytes: &[u8]) {
        let Self { number, ref name, .. } = *self;
        if self.sealed == Some(number) {
            let what = format!("{} bytes after the seal", bytes.len());
            return self.find(FindingKind::Inserted, at, None, what);
        }
        let first = *blake3::hash(bytes).as_bytes().first_chunk().expect("a hash is longer");
        let digest = u128::from_le_bytes(first);
        let (segment, offset, bytes) = (name.clone(), at as u64, bytes.len() as u64);
        self.torn.push(Torn { segment, number, offset, bytes, digest });
    }

    /// Records follow, and no word of what is torn before them.
    fn find_torn(&mut self) {
        for torn in std::mem::take(&mut self.torn) {
            let Torn { segment, offset, bytes, .. } = torn;
            let what = format!("{bytes} bytes that are no record, and nothing accounts for them");
            let kind = FindingKind::Truncated;
            self.add(Finding { kind, segment, offset, sequence: None, what });
        }
    }

    fn check_beginning(&mut self) {
        let Some((number, sequence)) = self.first else { return };
        let is_retired = sequence <= self.retired.0 && number <= self.retired.1;
        if !self.is_part && sequence > 1 && !is_retired {
            let kind = FindingKind::Removed;
            let what = format!("the log begins with record {sequence}, and not by its retention");
            let segment = segment_name(number);
            self.add(Finding { kind, segment, offset: 0, sequence: Some(sequence), what });
        }
    }

    fn check_expected(&mut self) {
        let Some(Head { sequence, .. }) = self.expect.filter(|_| !self.has_expected) else {
            return;
        };
        let first = self.first.map_or(self.next, |(_, first)| first);
        let last = self.next - 1;
        let (kind, what) = if sequence > last {
            let what = format!(
                "the log ends at record {last}, and a head at {sequence} is known: its end was cut \
                 off, or this is an older copy, or the head is another log's"
            );
            (FindingKind::Truncated, what)
        } else if sequence < first {
            let what = format!("the expected head at record {sequence} is gone; name a later one");
            (FindingKind::HeadRetired, what)
        } else {
            (FindingKind::Forked, format!("record {sequence} is not the expected head"))
        };
        self.find(kind, 0, Some(sequence), what);
    }

    fn is_enough(&self) -> bool {
        self.findings.len() >= FINDINGS_MAX
    }

    fn find(&mut self, kind: FindingKind, at: usize, sequence: Option<u64>, what: String) {
        let segment = self.name.clone();
        self.add(Finding { kind, segment, offset: at as u64, sequence, what });
    }

    fn add(&mut self, finding: Finding) {
        if !self.is_enough() {
            self.findings.push(finding);
        }
    }
}
