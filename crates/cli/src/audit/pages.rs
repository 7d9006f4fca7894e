//! A log read from its beginning, record by record, without a key: only accidents are noticed, and
//! that numbers follow each other.

use std::path::Path;

use allotment::audit::{AuditError, Body, Entry, Reader};

use super::failed;
use super::when::Dial;
use crate::failure::CliError;

/// What comes next.
#[derive(Debug)]
pub enum Page {
    /// A record, and what it says.
    Record(Entry, Body),
    /// Something is wrong here, and records are missing.
    Damage(String),
}

/// A log, as far as it was read.
pub struct Pages {
    reader: Reader<'static>,
    /// The number of the record that should come next; none before the first.
    next: Option<u64>,
    /// A record that was read and waits until the damage before it is told.
    waiting: Option<Entry>,
    /// Whether the last thing told was damage: then that explains what is missing.
    is_after_damage: bool,
}

impl Pages {
    /// At the first record that is there.
    pub fn open(folder: &Path) -> Result<Self, CliError> {
        let reader = Reader::open(folder, None).map_err(failed)?;
        Ok(Self { reader, next: None, waiting: None, is_after_damage: false })
    }

    /// The next page; none if there is no more for now.
    pub fn read(&mut self) -> Result<Option<Page>, CliError> {
        let entry = match self.waiting.take().map(Ok).or_else(|| self.reader.next()) {
            None => return Ok(None),
            Some(Ok(entry)) => entry,
            Some(Err(AuditError::Damaged(finding))) => {
                self.is_after_damage = true;
                return Ok(Some(Page::Damage(finding.to_string())));
            }
            Some(Err(error)) => return Err(failed(error)),
        };
        let sequence = entry.record.sequence;
        let next = self.next.unwrap_or(sequence);
        if sequence > next && !self.is_after_damage {
            (self.waiting, self.is_after_damage) = (Some(entry), true);
            let what = format!("records {next} to {} are missing", sequence - 1);
            return Ok(Some(Page::Damage(what)));
        }
        self.is_after_damage = false;
        if sequence < next {
            return Ok(Some(Page::Damage(format!("record {sequence} after {}", next - 1))));
        }
        self.next = Some(sequence.saturating_add(1));
        Ok(Some(Page::Record(entry, entry.record.body())))
    }
}

/// The first thing a log says about the time of day: what stands before it happened by the same
/// clock.
pub fn first_dial(folder: &Path) -> Result<Dial, CliError> {
    let mut pages = Pages::open(folder)?;
    let mut dial = Dial::default();
    while let Some(page) = pages.read()? {
        if let Page::Record(_, body) = page
            && let Some((clock_ns, unix_ns)) = both_clocks(&body)
        {
            dial.set(clock_ns, unix_ns);
            break;
        }
    }
    Ok(dial)
}

/// What both clocks showed, where a record says so.
pub fn both_clocks(body: &Body) -> Option<(u64, u64)> {
    match *body {
        Body::Opened { clock_ns, unix_ns }
        | Body::Checkpoint { clock_ns, unix_ns, .. }
        | Body::Seal { clock_ns, unix_ns, .. } => Some((clock_ns, unix_ns)),
        _ => None,
    }
}

/// The governor's clock at a record, where it has one.
pub fn clock_ns(body: &Body) -> Option<u64> {
    match *body {
        Body::Event(event) => Some(event.time_ns),
        Body::Gap { clock_ns, .. }
        | Body::Balance { clock_ns, .. }
        | Body::Retired { clock_ns, .. }
        | Body::Recovered { clock_ns, .. } => Some(clock_ns),
        Body::Refused { to_ns, .. } => Some(to_ns),
        _ => both_clocks(body).map(|(clock_ns, _)| clock_ns),
    }
}
