//! What kind of recording a log is, which decides how it can be done again.
//!
//! In a recording of one thread every answer stands behind its own call, with nothing but what that
//! call brought about in between. As soon as an answer stands elsewhere, calls have overlapped.

use std::collections::HashMap;

use allotment::{Event, EventKind, Verb};
use serde::Serialize;

use super::reproduce::is_call;
use super::tape::{Step, Tape};
use crate::failure::CliError;

/// How a recording came about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// Calls one after the other: it can be done again to the bit.
    #[default]
    InTurn,
    /// Calls that overlapped, or a log with gaps: evictions and pressure have to be taken from it.
    Overlapping,
    /// Answers without the calls that led to them.
    AnswersOnly,
}

impl Shape {
    /// The shape of a log, in one pass over it.
    pub fn of(mut tape: Tape) -> Result<Self, CliError> {
        let mut look = Look::default();
        while let Some(step) = tape.next()? {
            match step {
                Step::Event(event, _) => look.add(&event),
                Step::Missing => look.overlaps = true,
                _ => {}
            }
        }
        Ok(match look {
            Look { calls: 0, answers: 1.., .. } => Self::AnswersOnly,
            Look { overlaps: true, .. } => Self::Overlapping,
            _ => Self::InTurn,
        })
    }
}

#[derive(Default)]
struct Look {
    /// The calls whose answers come next: one, or those of a batch.
    open: Vec<Event>,
    /// Requests in line, by account, type and bytes.
    queued: HashMap<(u32, u8, u64), u64>,
    calls: u64,
    answers: u64,
    overlaps: bool,
}

impl Look {
    fn add(&mut self, event: &Event) {
        let key = (event.account, event.allocation_type, event.bytes);
        match event.kind {
            EventKind::Asked => {
                self.calls += 1;
                let is_batch = event.from == Verb::RequestAll as u8;
                if !is_batch || event.used_bytes >> 32 == 0 {
                    self.open.clear();
                }
                self.open.push(*event);
            }
            EventKind::Queued => {
                self.answered(event);
                *self.queued.entry(key).or_default() += 1;
            }
            EventKind::Granted | EventKind::Grown => {
                self.answers += 1;
                let is_open = self.is_open(event);
                match self.queued.get_mut(&key) {
                    Some(waiting) if *waiting > 0 && !is_open => *waiting -= 1,
                    _ => self.answered(event),
                }
            }
            // Of a batch the sum is denied.
            EventKind::Denied if event.grant == 0 => {
                self.answers += 1;
                if self.open.is_empty() {
                    self.overlaps = true;
                }
                self.open.clear();
            }
            // Belongs to the call that follows, which may be one of a batch.
            EventKind::Intended => {}
            _ if is_call(event) => self.open.clear(),
            _ => {}
        }
    }

    fn is_open(&self, event: &Event) -> bool {
        self.open.iter().any(|asked| belongs(asked, event))
    }

    fn answered(&mut self, event: &Event) {
        match self.open.iter().position(|asked| belongs(asked, event)) {
            Some(at) => drop(self.open.swap_remove(at)),
            None => self.overlaps = true,
        }
    }
}

fn belongs(asked: &Event, answer: &Event) -> bool {
    let kind = asked.allocation_type == answer.allocation_type;
    kind && asked.account == answer.account && asked.bytes == answer.bytes
}
