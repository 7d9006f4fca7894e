//! The writer of a log.
//!
//! Invariants:
//!
//! ```text
//! J1  records appended = records in segments + records in the buffer, whenever a verb returns
//! J2  the buffer holds records base + 1 .. sequence; their bytes before `accepted` are in the file
//! J3  bytes that the system accepted are never written over or cut off
//! J4  head = the last checkpoint that was flushed and synced, as the policy says
//! ```

use super::body::{Body, KIND_CHECKPOINT, KIND_RECOVERED, KIND_RETIRED, KIND_SEAL};
use super::error::{AuditError, NotAppended, failed};
use super::folder::{Lock, keep_outside, segment_name, segments, sync_folder};
use super::head::{Head, Signed};
use super::header::{HEADER_BYTES, Header, Read};
use super::key::Key;
use super::options::{JournalOptions, Moment, SyncPolicy};
use super::output::Output;
use super::record::{Frame, RECORD_BYTES, RECORD_WORDS, Tag};
use super::resume::{Resumed, resume};
use super::text::{TEXT_BYTES_MAX, TextPart};
use super::verdict::Torn;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::fs::File;
use std::hash::BuildHasher;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// Records of the journal's own that may stand in a full buffer.
const OWN_RECORDS_MAX: usize = 4;

/// Where the chain stands.
#[derive(Clone, Copy, Debug)]
struct Place {
    sequence: u64,
    tag: Tag,
}

/// The writer of a log. It belongs to one thread at a time.
///
/// Records are made in memory, each with its tag, and go to the system in batches:
///
/// ```text
/// append       a record, into the buffer                          no allocation, no system call
/// flush        the buffer, to the system: readable, and safe from the end of this process
/// checkpoint   a signed record, flushed, synced: safe from the end of the machine; the head file
/// rotate       the next segment, with what its readers have to know at the start
/// seal         the last record
/// ```
///
/// What happens when the system refuses:
///
/// ```text
/// state      how it is entered                     what is done with the next flush
/// good                                             the buffer is written
/// cut short  a write failed, maybe in a record     it goes on at the byte where it stopped
/// vanished   the file is not there any more        it is written again from what is still held of
///                                                  it, or else the next segment is begun
/// unsynced   a sync failed                         it writes on; but no checkpoint succeeds until
///                                                  the journal is opened anew
/// crowded    the next segment cannot be begun      this one goes on growing
/// ```
///
/// When it is dropped it flushes, as far as that succeeds; it does not seal.
pub struct Journal {
    folder: PathBuf,
    key: Key,
    options: JournalOptions,
    log_id: [u8; 16],
    segment: u64,
    output: Output,
    /// The next segment, if a header could not be written in full.
    begun: Option<Output>,
    buffer: Vec<u8>,
    /// Bytes of the buffer that are in the file.
    accepted: usize,
    buffer_bytes_max: usize,
    /// Before the first record in the buffer.
    base: Place,
    /// At the last record.
    place: Place,
    /// The last checkpoint that was appended, and when.
    checkpoint: u64,
    checkpoint_clock_ns: u64,
    /// When a checkpoint was last where it should be.
    synced_clock_ns: u64,
    /// A checkpoint that is not yet where it should be.
    pending: Option<Head>,
    head: Option<Head>,
    /// Held for as long as this lives.
    _lock: Lock,
}

/// A seal that could not be written; the journal is still there, with all its records.
#[derive(Debug)]
pub struct SealFailed {
    /// The journal: flush it, or seal it again.
    pub journal: Journal,
    /// What went wrong.
    pub error: AuditError,
}

impl Journal {
    /// Opens the log in `folder`, creating both if they are not there. A log that is there is
    /// continued in a new segment, after its end was verified; what a crash left behind stays as it
    /// is, and a [`Body::Recovered`] says so. Begins with [`Body::Opened`].
    ///
    /// Costs as much as verifying the last segment.
    ///
    /// # Errors
    ///
    /// [`AuditError::Locked`] if it has a writer; [`AuditError::Inside`] if the key or the head
    /// file lies in the folder; [`AuditError::HeadOnly`] if there is a head and no log;
    /// [`AuditError::Foreign`], [`AuditError::Version`], [`AuditError::WrongKey`] or
    /// [`AuditError::Damaged`] for a log that is not continued.
    pub fn open(
        folder: &Path,
        key: &Key,
        options: JournalOptions,
        now: Moment,
    ) -> Result<Self, AuditError> {
        options.check()?;
        std::fs::create_dir_all(folder).map_err(failed("create", folder))?;
        if let Some(file) = key.file() {
            keep_outside("the key", file, folder)?;
        }
        if let Some(file) = &options.head_file {
            keep_outside("the head file", file, folder)?;
        }
        // Nothing is put into a folder that is somebody else's, not even the lock.
        segments(folder)?;
        let lock = Lock::take(folder)?;
        let numbers = segments(folder)?;
        let head = known_head(&options)?;
        if let (true, Some(_), Some(file)) = (numbers.is_empty(), &head, &options.head_file) {
            let (folder, head_file) = (folder.to_path_buf(), file.clone());
            return Err(AuditError::HeadOnly { folder, head_file });
        }
        let resumed = resume(folder, &numbers, key, head.as_ref(), new_log_id(now))?;
        Self::begin(folder, key, options, now, resumed, lock)
    }

    fn begin(
        folder: &Path,
        key: &Key,
        options: JournalOptions,
        now: Moment,
        resumed: Resumed,
        lock: Lock,
    ) -> Result<Self, AuditError> {
        let Resumed { log_id, segment, sequence, tag, head, torn } = resumed;
        let place = Place { sequence, tag };
        let segment = segment + 1;
        let output = Output::create(&folder.join(segment_name(segment)))?;
        let buffer_bytes_max = options.buffer_records_max as usize * RECORD_BYTES;
        let mut journal = Self {
            folder: folder.to_path_buf(),
            key: key.clone(),
            options,
            log_id,
            segment,
            output,
            begun: None,
            buffer: Vec::with_capacity(buffer_bytes_max + OWN_RECORDS_MAX * RECORD_BYTES),
            accepted: 0,
            buffer_bytes_max,
            base: place,
            place,
            checkpoint: sequence,
            checkpoint_clock_ns: now.clock_ns,
            synced_clock_ns: now.clock_ns,
            pending: None,
            head,
            _lock: lock,
        };
        if let Err(error) = journal.write_beginning(now, &torn) {
            // Nobody was told of it. If it cannot be removed it is as after a crash.
            journal.buffer.clear();
            std::fs::remove_file(journal.output.path()).ok();
            return Err(error);
        }
        Ok(journal)
    }

    fn write_beginning(&mut self, now: Moment, torn: &[Torn]) -> Result<(), AuditError> {
        let Moment { clock_ns, unix_ns } = now;
        let header = self.header(self.segment, unix_ns);
        self.output.start(&header)?;
        for &Torn { number: segment, offset: whole_bytes, bytes, digest, .. } in torn {
            let file_bytes = whole_bytes + bytes;
            let body = Body::Recovered { clock_ns, segment, file_bytes, whole_bytes, digest };
            self.push(&body.encode());
        }
        self.push(&Body::Opened { clock_ns, unix_ns }.encode());
        self.flush()?;
        self.sync()?;
        self.sync_folder()
    }

    /// The header of a segment that begins with what waits.
    fn header(&self, segment: u64, unix_ns: u64) -> [u8; HEADER_BYTES] {
        let Self { log_id, base: Place { sequence, tag }, .. } = *self;
        Header { log_id, segment, first_sequence: sequence + 1, unix_ns, tag }.encode(&self.key)
    }

    /// Appends a record; answers its number. It is in memory until the next
    /// [`flush`](Self::flush). One keyed hash and one CRC; no allocation, no system call.
    ///
    /// # Errors
    ///
    /// [`NotAppended::Full`] if too many records wait, [`NotAppended::Reserved`] for what the
    /// journal writes itself.
    #[inline]
    pub fn append(&mut self, words: &[u64; RECORD_WORDS]) -> Result<u64, NotAppended> {
        if self.buffer.len() >= self.buffer_bytes_max {
            return Err(self.full());
        }
        check_kind(words)?;
        Ok(self.push(words))
    }

    /// Appends a record; see [`append`](Self::append).
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append).
    pub fn append_body(&mut self, body: &Body) -> Result<u64, NotAppended> {
        self.append(&body.encode())
    }

    /// Appends a text of up to 64 KiB, as records one after the other; answers the number of the
    /// last one. What topic and id mean is the caller's business.
    ///
    /// # Errors
    ///
    /// [`AuditError::TextTooLong`]; [`NotAppended::Full`] if there is no room for all of it, and
    /// then nothing is appended.
    pub fn append_text(&mut self, topic: u8, id: u64, text: &str) -> Result<u64, AuditError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(AuditError::TextTooLong { bytes: text.len() });
        }
        let parts = TextPart::cut(topic, id, text);
        let (parts_count, _) = parts.size_hint();
        if self.buffer.len() + parts_count * RECORD_BYTES > self.buffer_bytes_max {
            return Err(self.full().into());
        }
        for part in parts {
            self.push(&part.encode());
        }
        Ok(self.place.sequence)
    }

    #[cold]
    fn full(&self) -> NotAppended {
        NotAppended::Full { records: self.place.sequence - self.base.sequence }
    }

    #[inline]
    fn push(&mut self, words: &[u64; RECORD_WORDS]) -> u64 {
        let sequence = self.place.sequence + 1;
        let (frame, tag) = Frame::seal(sequence, words, &self.key.chain, &self.place.tag);
        self.buffer.extend_from_slice(&frame.0);
        self.place = Place { sequence, tag };
        sequence
    }

    /// Gives all that waits to the system: readable from here on, and safe from the end of this
    /// process. One write.
    ///
    /// # Errors
    ///
    /// [`AuditError::Io`] if the system takes not all, [`AuditError::Vanished`] if the segment is
    /// gone. What was not written still waits, and the next flush goes on where this one stopped.
    pub fn flush(&mut self) -> Result<(), AuditError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.check_output()?;
        let (accepted, outcome) = self.output.write(&self.buffer[self.accepted..]);
        self.accepted += accepted;
        outcome?;
        self.buffer.clear();
        self.accepted = 0;
        self.base = self.place;
        // The texts of a rotation may have made it grow.
        self.buffer.shrink_to(self.buffer_bytes_max + OWN_RECORDS_MAX * RECORD_BYTES);
        if self.options.sync == SyncPolicy::Batch { self.output.sync() } else { Ok(()) }
    }

    /// A segment that is gone is reported, and written again: from the file that is still held
    /// open, or else by going on in the next one, which leaves the gap for `verify` to find.
    fn check_output(&mut self) -> Result<(), AuditError> {
        if self.output.is_there() {
            return Ok(());
        }
        let vanished = AuditError::Vanished { path: self.output.path().to_path_buf() };
        if self.output.restore().is_err() {
            let unix_ns = Moment::now(0).unix_ns;
            self.begin_segment(unix_ns)?;
        }
        self.sync_folder()?;
        Err(vanished)
    }

    /// Appends a signed checkpoint, flushes, syncs unless the policy is [`SyncPolicy::Never`], and
    /// writes the head file. If there was no record since the last one, that one is answered.
    ///
    /// # Errors
    ///
    /// As [`flush`](Self::flush); [`AuditError::Sync`]; [`AuditError::Io`] for the head file. A
    /// checkpoint that was appended is finished by the next call.
    pub fn checkpoint(&mut self, now: Moment) -> Result<Head, AuditError> {
        self.confirm()?;
        self.synced_clock_ns = now.clock_ns;
        match self.head {
            Some(head) if head.sequence == self.place.sequence => Ok(head),
            _ => self.sign(now, false),
        }
    }

    /// Appends a checkpoint or seal and brings it where it should be.
    fn sign(&mut self, now: Moment, is_seal: bool) -> Result<Head, AuditError> {
        let head = self.push_signed(now, is_seal);
        self.confirm()?;
        Ok(head)
    }

    /// Appends a checkpoint or seal.
    fn push_signed(&mut self, Moment { clock_ns, unix_ns }: Moment, is_seal: bool) -> Head {
        let Place { sequence, tag } = self.place;
        let sequence = sequence + 1;
        let log_id = &self.log_id;
        let signed = Signed { log_id, sequence, before: &tag, clock_ns, unix_ns, is_seal };
        let mac = signed.mac(&self.key);
        let body = if is_seal {
            Body::Seal { clock_ns, unix_ns, mac }
        } else {
            Body::Checkpoint { clock_ns, unix_ns, mac }
        };
        self.push(&body.encode());
        (self.checkpoint, self.checkpoint_clock_ns) = (sequence, clock_ns);
        let head = Head { sequence, mac };
        self.pending = Some(head);
        head
    }

    /// Flushes, and finishes a checkpoint that an earlier attempt left unfinished.
    fn confirm(&mut self) -> Result<(), AuditError> {
        self.flush()?;
        let Some(head) = self.pending else { return Ok(()) };
        self.check_output()?;
        self.sync()?;
        if let Some(file) = &self.options.head_file {
            head.replace(file, self.options.sync != SyncPolicy::Never)?;
        }
        self.head = Some(head);
        self.pending = None;
        Ok(())
    }

    /// Appends a checkpoint if one is due ([`is_checkpoint_due`](Self::is_checkpoint_due)), and
    /// syncs it as the policy says: with [`SyncPolicy::Every`] perhaps only a later call.
    ///
    /// # Errors
    ///
    /// As [`checkpoint`](Self::checkpoint).
    pub fn checkpoint_if_due(&mut self, now: Moment) -> Result<(), AuditError> {
        let is_due = self.is_checkpoint_due(now);
        let elapsed_ns = now.clock_ns.saturating_sub(self.synced_clock_ns);
        let is_early = matches!(self.options.sync, SyncPolicy::Every(interval)
            if u128::from(elapsed_ns) < interval.as_nanos());
        match (is_due, is_early) {
            (true, true) => {
                self.flush()?;
                self.push_signed(now, false);
                self.flush()
            }
            (true, false) => self.checkpoint(now).map(drop),
            (false, false) if self.pending.is_some() => {
                self.confirm()?;
                self.synced_clock_ns = now.clock_ns;
                Ok(())
            }
            (false, _) => Ok(()),
        }
    }

    /// Whether enough records or enough time has passed since the last checkpoint. A clock that
    /// went back counts as one that stands still.
    pub fn is_checkpoint_due(&self, now: Moment) -> bool {
        let records = self.place.sequence - self.checkpoint;
        let elapsed_ns = now.clock_ns.saturating_sub(self.checkpoint_clock_ns);
        records >= self.options.checkpoint_records_max
            || records > 0 && elapsed_ns >= self.options.checkpoint_ns_max
    }

    /// Whether the segment has reached its size, with what waits: it is time to
    /// [`rotate`](Self::rotate). It may grow further if that is not possible now.
    pub fn is_full(&self) -> bool {
        let waiting = self.buffer.len() - self.accepted;
        self.output.written() + waiting as u64 >= self.options.segment_bytes_max
    }

    /// Ends the segment with a checkpoint and begins the next one with `preamble`: what a reader
    /// has to know who has only this and later segments, such as balances and the texts of the
    /// configuration. Then deletes old segments, see [`retire`](Self::retire).
    ///
    /// The preamble may be larger than the buffer, which then grows for as long as needed.
    ///
    /// # Errors
    ///
    /// As [`checkpoint`](Self::checkpoint) and [`retire`](Self::retire), and if the new segment
    /// cannot be created. The journal then goes on in the segment it has: after an error
    /// [`segment`](Self::segment) tells which. The preamble is taken only by a segment that was
    /// begun, and then waits like all records.
    pub fn rotate(
        &mut self,
        now: Moment,
        preamble: impl IntoIterator<Item = Body>,
    ) -> Result<(), AuditError> {
        self.checkpoint(now)?;
        self.begin_segment(now.unix_ns)?;
        for body in preamble {
            let words = body.encode();
            check_kind(&words)?;
            self.push(&words);
        }
        self.flush()?;
        self.sync()?;
        self.sync_folder()?;
        self.retire(now)?;
        Ok(())
    }

    /// Goes over to the next segment, which begins with what waits.
    fn begin_segment(&mut self, unix_ns: u64) -> Result<(), AuditError> {
        let segment = self.segment + 1;
        let mut output = match self.begun.take().filter(Output::is_there) {
            Some(output) => output,
            None => Output::create(&self.folder.join(segment_name(segment)))?,
        };
        if let Err(error) = output.start(&self.header(segment, unix_ns)) {
            self.begun = Some(output);
            return Err(error);
        }
        (self.output, self.segment, self.accepted) = (output, segment, 0);
        Ok(())
    }

    /// Deletes the segments that `keep_segments_max` and `keep_for` let go, oldest first, never the
    /// one that is being written. A [`Body::Retired`] says so before it is done. [`rotate`] calls
    /// this; answers how many were deleted.
    ///
    /// [`rotate`]: Self::rotate
    ///
    /// # Errors
    ///
    /// As [`checkpoint`](Self::checkpoint), and if a segment cannot be read or deleted. The next
    /// call tries again.
    pub fn retire(&mut self, now: Moment) -> Result<u64, AuditError> {
        if self.options.keep_segments_max.is_none() && self.options.keep_for.is_none() {
            return Ok(0);
        }
        // While the system refuses, nothing is added to what waits.
        self.confirm()?;
        let numbers = segments(&self.folder)?;
        let Some((count, kept)) = self.first_kept(&numbers, now.unix_ns)? else { return Ok(0) };
        let Header { first_sequence: sequence, segment, .. } = kept;
        let body = Body::Retired { clock_ns: now.clock_ns, sequence, segment };
        self.push(&body.encode());
        self.checkpoint(now)?;
        for &number in &numbers[..count] {
            let path = self.folder.join(segment_name(number));
            std::fs::remove_file(&path).map_err(failed("delete", &path))?;
        }
        self.sync_folder()?;
        Ok(count as u64)
    }

    /// How many of the oldest segments may go, and the header of the first that is kept.
    fn first_kept(
        &self,
        numbers: &[u64],
        unix_ns: u64,
    ) -> Result<Option<(usize, Header)>, AuditError> {
        let keep = self.options.keep_segments_max.map_or(usize::MAX, |keep| keep as usize);
        let keep_ns = self.options.keep_for.map_or(u128::MAX, |keep| keep.as_nanos());
        let mut found = None;
        for (count, &number) in numbers.iter().enumerate().skip(1) {
            let header = read_header(&self.folder.join(segment_name(number)), &self.key)?;
            // One that was never begun in full has no first record: the next one decides.
            let Some(header) = header else { continue };
            let is_old = u128::from(unix_ns.saturating_sub(header.unix_ns)) >= keep_ns;
            if !is_old && numbers.len() - count < keep {
                break;
            }
            if is_old || numbers.len() - (count - 1) > keep {
                found = Some((count, header));
            }
        }
        Ok(found)
    }

    /// Appends the seal, as a [`checkpoint`](Self::checkpoint) that says that the writer ended in
    /// good order; answers the head. A log may be opened again after it.
    ///
    /// # Errors
    ///
    /// As [`checkpoint`](Self::checkpoint), with the journal.
    pub fn seal(mut self, now: Moment) -> Result<Head, Box<SealFailed>> {
        let sealed = self.confirm().and_then(|()| self.sign(now, true));
        sealed.map_err(|error| Box::new(SealFailed { journal: self, error }))
    }

    /// Tries once more to write what waits, and answers the records that are not in the log then,
    /// to be appended to the next one: this one does not write them any more.
    pub(super) fn give_up(mut self) -> Vec<[u64; RECORD_WORDS]> {
        self.flush().ok();
        let whole = self.accepted / RECORD_BYTES * RECORD_BYTES;
        let frames = self.buffer[whole..].chunks_exact(RECORD_BYTES).filter_map(Frame::at);
        let unwritten = frames.map(|frame| frame.record().words).collect();
        self.buffer.clear();
        unwritten
    }

    /// The last checkpoint that is where it should be.
    pub fn head(&self) -> Option<Head> {
        self.head
    }

    /// The number of the last record that was appended; 0 if there is none.
    pub fn sequence(&self) -> u64 {
        self.place.sequence
    }

    /// The number of the last record that was flushed.
    pub fn flushed(&self) -> u64 {
        self.base.sequence
    }

    /// The number of the segment that is being written, from 1.
    pub fn segment(&self) -> u64 {
        self.segment
    }

    /// How many records can be appended before a flush is needed.
    pub fn room(&self) -> u64 {
        (self.buffer_bytes_max.saturating_sub(self.buffer.len()) / RECORD_BYTES) as u64
    }

    /// The id of the log.
    pub fn log_id(&self) -> Uuid {
        Uuid::from_bytes(self.log_id)
    }

    /// Where the log is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn sync(&mut self) -> Result<(), AuditError> {
        if self.options.sync == SyncPolicy::Never { Ok(()) } else { self.output.sync() }
    }

    fn sync_folder(&self) -> Result<(), AuditError> {
        let is_wanted = self.options.sync != SyncPolicy::Never;
        if is_wanted { sync_folder(&self.folder) } else { Ok(()) }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // Nobody is left to tell: who wants to know flushes before.
        self.flush().ok();
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal")
            .field("folder", &self.folder)
            .field("segment", &self.segment)
            .field("sequence", &self.place.sequence)
            .field("flushed", &self.base.sequence)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for SealFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the log is not sealed: {}", self.error)
    }
}

impl std::error::Error for SealFailed {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

#[inline]
fn check_kind(words: &[u64; RECORD_WORDS]) -> Result<(), NotAppended> {
    match words[1] as u8 {
        kind @ (KIND_CHECKPOINT | KIND_SEAL | KIND_RETIRED | KIND_RECOVERED) => {
            Err(NotAppended::Reserved { kind })
        }
        _ => Ok(()),
    }
}

/// The head that a log was known to have, if its file is there.
fn known_head(options: &JournalOptions) -> Result<Option<Head>, AuditError> {
    match &options.head_file {
        Some(file) if file.exists() => Head::read(file).map(Some),
        _ => Ok(None),
    }
}

/// `None` for a header that was never finished.
fn read_header(path: &Path, key: &Key) -> Result<Option<Header>, AuditError> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed("open", path))?;
    file.take(HEADER_BYTES as u64).read_to_end(&mut bytes).map_err(failed("read", path))?;
    match Header::read(&bytes, Some(key)) {
        Read::Header(header) => Ok(Some(header)),
        Read::Torn => Ok(None),
        _ => {
            let problem = "its header is not what was written; verify the log";
            Err(AuditError::Foreign { path: path.to_path_buf(), problem })
        }
    }
}

/// Distinct, not secret: what the hasher of the process was seeded with, time and process.
fn new_log_id(now: Moment) -> [u8; 16] {
    let seeds = [(); 2].map(|()| {
        let time = Moment::now(now.clock_ns);
        RandomState::new().hash_one((time.unix_ns, now.unix_ns, std::process::id()))
    });
    let [high, low] = seeds.map(u64::to_le_bytes);
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&high);
    bytes[8..].copy_from_slice(&low);
    *uuid::Builder::from_random_bytes(bytes).as_uuid().as_bytes()
}
