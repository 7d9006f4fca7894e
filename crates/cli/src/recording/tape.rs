//! A recorded log as a replay reads it: events in order, each with the configuration it carries.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

use allotment::audit::{
    AuditError, Body, CONFIGURED_TOPIC, Configured, Reader, STATED_TOPIC, TRIED_TOPIC, Texts,
};
use allotment::{Event, EventKind, GovernorConfig};

use crate::failure::CliError;
use crate::report::human::plural;

/// What comes next on the tape.
#[derive(Clone, Debug)]
pub enum Step {
    /// A writer began: what follows is of a governor of its own.
    Opened {
        /// The governor's clock.
        clock_ns: u64,
        /// The time of day, in nanoseconds since 1970.
        unix_ns: u64,
    },
    /// The governor's configuration.
    Governor(Box<GovernorConfig>),
    /// Somebody stood registered so before the log began, or is since the gap that follows.
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
    /// Configurations whose events are still to come, and their topics, by the number that the
    /// event carries.
    pending: BTreeMap<u64, (u8, Box<Configured>)>,
    /// What comes before anything else is read.
    ready: VecDeque<Step>,
    /// Whether events of this sitting were read: what is stated then is known.
    is_under_way: bool,
    records: u64,
    folder: PathBuf,
    /// The number of the sitting that is read, from 1, and the only one that is wanted.
    sitting: u64,
    wanted: Option<u64>,
    /// Whether anything of the first sitting was read. A log that lost its beginning to retention
    /// begins within one.
    has_begun: bool,
}

impl Tape {
    /// The log in a folder, from its beginning, or one sitting of it, counted from 1. It is not
    /// verified.
    pub fn open(folder: &Path, wanted: Option<u64>) -> Result<Self, CliError> {
        let reader = Reader::open(folder, None).map_err(|error| damaged(&error))?;
        Ok(Self {
            reader,
            texts: Texts::default(),
            pending: BTreeMap::new(),
            ready: VecDeque::new(),
            is_under_way: false,
            records: 0,
            folder: folder.to_path_buf(),
            sitting: 1,
            wanted,
            has_begun: false,
        })
    }

    /// Records read so far.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// The next step; none at the end. A sitting that is wanted and not there is an error then.
    pub fn next(&mut self) -> Result<Option<Step>, CliError> {
        loop {
            if let Some(step) = self.ready.pop_front() {
                return Ok(Some(step));
            }
            let Some(entry) = self.reader.next() else { return self.ended() };
            let body = entry.map_err(|error| damaged(&error))?.record.body();
            self.count_sittings(&body);
            match self.wanted {
                Some(wanted) if self.sitting < wanted => continue,
                Some(wanted) if self.sitting > wanted => return Ok(None),
                _ => {}
            }
            self.records += 1;
            if let Some(step) = self.step(body) {
                return Ok(Some(step));
            }
        }
    }

    fn count_sittings(&mut self, body: &Body) {
        match body {
            Body::Opened { .. } => {
                self.sitting += u64::from(self.has_begun);
                self.has_begun = true;
            }
            Body::Event(_) | Body::Text(_) => self.has_begun = true,
            _ => {}
        }
    }

    fn ended(&self) -> Result<Option<Step>, CliError> {
        match self.wanted {
            Some(wanted) if wanted > self.sitting => Err(CliError::new(format!(
                "{}: the log holds {}, and --sitting asks for number {wanted}; `allot audit show \
                 --kind opened` lists when each began",
                self.folder.display(),
                plural(self.sitting, "sitting")
            ))),
            _ => Ok(None),
        }
    }

    fn step(&mut self, body: Body) -> Option<Step> {
        match body {
            Body::Opened { clock_ns, unix_ns } => {
                self.is_under_way = false;
                self.pending.clear();
                Some(Step::Opened { clock_ns, unix_ns })
            }
            // A segment repeats that there were some, for those who have only that.
            Body::Gap { count: 0, .. } if self.is_under_way => None,
            Body::Gap { .. } => {
                self.state_pending();
                None
            }
            Body::Refused { .. } => Some(Step::Missing),
            Body::Event(event) => {
                self.is_under_way = true;
                use EventKind::{LimitsChanged, Registered, Tried};
                let carries = matches!(event.kind, Registered | LimitsChanged | Tried);
                let carries = carries && event.detail != 0;
                let configured = if carries { self.pending.remove(&event.detail) } else { None };
                let configured = configured.map(|(_, configured)| configured);
                Some(Step::Event(event, configured))
            }
            Body::Text(part) => {
                let (topic, id, text) = self.texts.push(&part)?;
                self.configured(topic, id, Configured::parse(&text)?)
            }
            _ => None,
        }
    }

    /// The events of what is pending may be lost: what holds by them is told without.
    fn state_pending(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        let in_force = pending.into_values().filter(|(topic, _)| *topic == CONFIGURED_TOPIC);
        self.ready.extend(in_force.map(|(_, configured)| Step::Stated(configured)));
        self.ready.push_back(Step::Missing);
    }

    fn configured(&mut self, topic: u8, id: u64, configured: Configured) -> Option<Step> {
        match (topic, configured) {
            (CONFIGURED_TOPIC, Configured::Governor(config)) => {
                Some(Step::Governor(Box::new(config)))
            }
            (CONFIGURED_TOPIC | TRIED_TOPIC, configured) if id != 0 => {
                self.pending.insert(id, (topic, Box::new(configured)));
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
