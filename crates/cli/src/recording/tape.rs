//! A recorded log as a replay reads it: events in order, each with the configuration it carries.

use std::path::Path;

use allotment::audit::{
    AuditError, Body, CONFIGURED_TOPIC, Configured, Reader, STATED_TOPIC, TRIED_TOPIC, Texts,
};
use allotment::{Event, EventKind, GovernorConfig};

use crate::failure::CliError;

/// What comes next on the tape.
#[derive(Clone, Debug)]
pub enum Step {
    /// A writer began: what follows is of a governor of its own.
    Opened,
    /// The governor's configuration.
    Governor(Box<GovernorConfig>),
    /// Somebody stood registered so before the log began.
    Stated(Box<Configured>),
    /// Something happened.
    Event(Event, Option<Box<Configured>>),
    /// Events were lost here, or requests were only counted.
    Missing,
}

/// Reads the steps of a log, one after the other.
pub struct Tape {
    reader: Reader<'static>,
    texts: Texts,
    /// The configuration that belongs to the next event that carries one.
    pending: Option<Box<Configured>>,
    /// Whether events of this sitting were read: what is stated then is known.
    is_under_way: bool,
    records: u64,
}

impl Tape {
    /// The log in a folder, from its beginning. It is not verified.
    pub fn open(folder: &Path) -> Result<Self, CliError> {
        let reader = Reader::open(folder, None).map_err(|error| damaged(&error))?;
        let texts = Texts::default();
        Ok(Self { reader, texts, pending: None, is_under_way: false, records: 0 })
    }

    /// Records read so far.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// The next step; none at the end.
    pub fn next(&mut self) -> Result<Option<Step>, CliError> {
        loop {
            let Some(entry) = self.reader.next() else { return Ok(None) };
            let entry = entry.map_err(|error| damaged(&error))?;
            self.records += 1;
            if let Some(step) = self.step(entry.record.body()) {
                return Ok(Some(step));
            }
        }
    }

    fn step(&mut self, body: Body) -> Option<Step> {
        match body {
            Body::Opened { .. } => {
                self.is_under_way = false;
                Some(Step::Opened)
            }
            Body::Gap { .. } | Body::Refused { .. } => Some(Step::Missing),
            Body::Event(event) => {
                self.is_under_way = true;
                use EventKind::{LimitsChanged, Registered, Tried};
                let carries = matches!(event.kind, Registered | LimitsChanged | Tried);
                let carries = carries && event.detail != 0;
                let configured = if carries { self.pending.take() } else { None };
                Some(Step::Event(event, configured))
            }
            Body::Text(part) => {
                let (topic, id, text) = self.texts.push(&part)?;
                self.configured(topic, id, Configured::parse(&text)?)
            }
            _ => None,
        }
    }

    fn configured(&mut self, topic: u8, id: u64, configured: Configured) -> Option<Step> {
        match (topic, configured) {
            (CONFIGURED_TOPIC, Configured::Governor(config)) => {
                Some(Step::Governor(Box::new(config)))
            }
            (CONFIGURED_TOPIC | TRIED_TOPIC, configured) if id != 0 => {
                self.pending = Some(Box::new(configured));
                None
            }
            // A segment repeats what stands, for those who have only that.
            (STATED_TOPIC, configured) if !self.is_under_way => match configured {
                Configured::Governor(config) => Some(Step::Governor(Box::new(config))),
                configured => Some(Step::Stated(Box::new(configured))),
            },
            _ => None,
        }
    }
}

fn damaged(error: &AuditError) -> CliError {
    CliError::new(error.to_string())
}
