//! Reads the records of a log one by one, also while they are being written.

use super::error::{AuditError, failed};
use super::finding::{Finding, FindingKind};
use super::folder::{segment_name, segments};
use super::header::{ANY_BYTES_MAX, HEADER_BYTES, Header, Read};
use super::key::Key;
use super::record::{Frame, RECORD_BYTES, Record, Tag};
use super::walk::{is_torn, next_whole};
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

/// Bytes that are read at once.
const CHUNK_BYTES: u64 = 1 << 20;

/// A record, and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The record.
    pub record: Record,
    /// The number of its segment.
    pub segment: u64,
    /// Where in the segment's file, in bytes.
    pub offset: u64,
}

/// The records of a log, from the first that is there.
///
/// Without a key only accidents are noticed, by the CRCs. With the key each record must also follow
/// the one before it; that nothing is missing at the ends only [`verify`](super::verify) proves.
/// After an error the reader goes on with the next record that is whole. `None` means that there is
/// no more for now: asked again, it goes on with what was written since.
///
/// ```
/// # use allotment::audit::*;
/// # let folder = std::env::temp_dir().join(format!("allotment-reader-{}", std::process::id()));
/// # std::fs::remove_dir_all(&folder).ok();
/// # let key = Key::from_bytes(&[1; 32]);
/// let mut journal = Journal::open(&folder, &key, JournalOptions::default(), Moment::now(0))?;
/// journal.append_text(1, 7, "a text")?;
/// journal.flush()?;
/// let mut reader = Reader::open(&folder, None)?;
/// assert!(matches!(reader.next().unwrap()?.record.body(), Body::Opened { .. }));
/// assert!(matches!(reader.next().unwrap()?.record.body(), Body::Text(part) if part.id == 7));
/// assert!(reader.next().is_none());
/// # drop(journal);
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Reader<'a> {
    folder: PathBuf,
    key: Option<&'a Key>,
    /// The segment that is being read, 0 before the first; no file if it has no records for us.
    segment: u64,
    file: Option<File>,
    /// What was read of it and is not yet answered, and where that begins in the file.
    bytes: Vec<u8>,
    offset: u64,
    at: usize,
    /// The chain before the next record, and its number, as far as they are known.
    after: Option<(Tag, u64)>,
}

impl<'a> Reader<'a> {
    /// At the first record of the log in `folder`.
    ///
    /// # Errors
    ///
    /// [`AuditError::Missing`] if there are no segments, [`AuditError::Foreign`] if there are other
    /// files, [`AuditError::Io`] if the folder cannot be read.
    pub fn open(folder: &Path, key: Option<&'a Key>) -> Result<Self, AuditError> {
        if segments(folder)?.is_empty() {
            return Err(AuditError::Missing { folder: folder.to_path_buf() });
        }
        let folder = folder.to_path_buf();
        let (file, bytes, after) = (None, Vec::new(), None);
        Ok(Self { folder, key, segment: 0, file, bytes, offset: 0, at: 0, after })
    }

    /// At the first record of the segment before the one that has record `sequence`, or of the
    /// first segment that is there: so that what every segment begins with, and the checkpoint at
    /// the end of the one before it, are read on the way. Of segments whose headers cannot be read
    /// nothing is known: then it begins earlier. Costs a look at some headers.
    ///
    /// # Errors
    ///
    /// As [`Reader::open`].
    pub fn open_before(
        folder: &Path,
        key: Option<&'a Key>,
        sequence: u64,
    ) -> Result<Self, AuditError> {
        let mut reader = Self::open(folder, key)?;
        let numbers = segments(folder)?;
        let begins = numbers.partition_point(|&number| {
            first_sequence(&folder.join(segment_name(number)))
                .is_some_and(|first| first <= sequence)
        });
        // It goes over to the one after this.
        reader.segment = begins.checked_sub(3).map_or(0, |before| numbers[before]);
        Ok(reader)
    }

    /// Goes on until there is a record, an error, or nothing more.
    fn step(&mut self) -> Result<Option<Entry>, AuditError> {
        loop {
            let rest = &self.bytes[self.at..];
            if let Some(frame) = Frame::at(rest).filter(Frame::is_whole) {
                return self.take(&frame).map(Some);
            }
            if self.read_on()? {
                continue;
            }
            if !is_torn(&self.bytes[self.at..], self.offset as usize + self.at) {
                return Err(self.skip());
            }
            if !self.next_segment()? {
                return Ok(None);
            }
        }
    }

    /// The record that stands next.
    fn take(&mut self, frame: &Frame) -> Result<Entry, AuditError> {
        let sequence = frame.sequence();
        let place = (self.segment, self.offset + self.at as u64);
        self.at += RECORD_BYTES;
        let after = self.after.replace((*frame.tag(), sequence.saturating_add(1)));
        if let (Some(key), Some((tag, next))) = (self.key, after)
            && (sequence != next || key.chain.next(&tag, frame.said()) != *frame.tag())
        {
            let what = format!("record {sequence} does not follow the one before it");
            return Err(damaged(place, Some(sequence), what));
        }
        let (segment, offset) = place;
        Ok(Entry { record: frame.record(), segment, offset })
    }

    /// Goes past what is no record, in bytes that reach to the end of the segment.
    fn skip(&mut self) -> AuditError {
        let place = (self.segment, self.offset + self.at as u64);
        let resume = next_whole(&self.bytes, self.at + 1).unwrap_or(self.bytes.len());
        let what = format!("{} bytes are no record", resume - self.at);
        self.at = resume;
        self.after = None;
        damaged(place, None, what)
    }

    /// Reads more of the segment, if there is more by now.
    fn read_on(&mut self) -> Result<bool, AuditError> {
        self.bytes.drain(..self.at);
        self.offset += self.at as u64;
        self.at = 0;
        let Some(file) = &self.file else { return Ok(false) };
        let read = file.take(CHUNK_BYTES).read_to_end(&mut self.bytes);
        let path = || self.folder.join(segment_name(self.segment));
        Ok(read.map_err(|source| failed("read", &path())(source))? > 0)
    }

    /// Goes over to the next segment; answers whether there is one, or more of this one.
    fn next_segment(&mut self) -> Result<bool, AuditError> {
        let mut later = segments(&self.folder)?;
        later.retain(|&number| number > self.segment);
        let Some(&number) = later.first() else { return Ok(false) };
        // It was ended before the next one was begun, but maybe after it was last read.
        if self.read_on()? {
            return Ok(true);
        }
        let path = self.folder.join(segment_name(number));
        let file = match File::open(&path) {
            // Retention was quicker.
            Err(error) if error.kind() == ErrorKind::NotFound => return self.next_segment(),
            opened => opened.map_err(failed("open", &path))?,
        };
        let mut bytes = Vec::new();
        let read = (&file).take(ANY_BYTES_MAX as u64).read_to_end(&mut bytes);
        read.map_err(failed("read", &path))?;
        let header = Header::read(&bytes, self.key);
        if header == Read::Torn && later.len() == 1 {
            // Its writer may be about to finish it.
            return Ok(false);
        }
        bytes.drain(..bytes.len().min(HEADER_BYTES));
        // Where segments are missing, by retention or not, records are: `verify` tells which.
        let is_next = number == self.segment + 1;
        (self.segment, self.file) = (number, None);
        (self.bytes, self.offset, self.at) = (Vec::new(), HEADER_BYTES as u64, 0);
        match header {
            Read::Header(header) => {
                (self.file, self.bytes) = (Some(file), bytes);
                let begins = (header.tag, header.first_sequence);
                let before = self.after.replace(begins).filter(|_| is_next);
                if self.key.is_some() && before.is_some_and(|before| before != begins) {
                    let what = "the segment does not follow the one before it".to_string();
                    return Err(damaged((number, 0), None, what));
                }
            }
            Read::Torn => {}
            Read::Foreign => {
                let problem = "it does not begin as a segment does; verify the log";
                return Err(AuditError::Foreign { path, problem });
            }
            Read::Version(version) => return Err(AuditError::Version { path, version }),
            Read::Key(written_with) => {
                let given = self.key.map_or(written_with, Key::id);
                return Err(AuditError::WrongKey { path, written_with, given });
            }
            Read::Damaged => {
                (self.file, self.bytes, self.after) = (Some(file), bytes, None);
                let what = "the header is not what was written".to_string();
                return Err(damaged((number, 0), None, what));
            }
        }
        Ok(true)
    }
}

impl Iterator for Reader<'_> {
    type Item = Result<Entry, AuditError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step().transpose()
    }
}

/// The number of the first record of a segment, as its header says.
fn first_sequence(path: &Path) -> Option<u64> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(HEADER_BYTES as u64).read_to_end(&mut bytes).ok()?;
    match Header::read(&bytes, None) {
        Read::Header(header) => Some(header.first_sequence),
        _ => None,
    }
}

fn damaged((number, offset): (u64, u64), sequence: Option<u64>, what: String) -> AuditError {
    let (kind, segment) = (FindingKind::Edited, segment_name(number));
    AuditError::Damaged(Box::new(Finding { kind, segment, offset, sequence, what }))
}
