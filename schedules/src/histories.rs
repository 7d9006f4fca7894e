//! What was called and answered when.
//!
//! Time is a count of calls and returns. What an operation causes beside its answer (a victim is
//! chosen, bytes come back, a waiter is served) is an operation of its own, within the times of
//! what causes it.

use crate::checker::{Interval, Violation, check};
use crate::specification::{Governing, Operation, State};
use std::fmt;

/// What a call came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// An answer.
    To(Operation),
    /// The governor gave up: others were in the way.
    ToNothing,
    /// Another thread was changing this grant.
    ToBusy(u8),
}

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// By which thread; those that ran alone before and after: none.
    pub thread: Option<u8>,
    /// Whether it is what the thread called, and not what that has caused.
    pub called: bool,
    /// When it was called, or could happen first.
    pub call: u32,
    /// When it returned, or could happen last.
    pub ret: u32,
    /// The answer.
    pub came: Came,
}

/// All of one schedule.
#[derive(Clone, Debug)]
pub struct History {
    /// The state before.
    pub begin: State,
    /// In the order in which they were entered.
    pub events: Vec<Event>,
}

/// What is wrong with a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No order explains it.
    Unexplained(Violation),
    /// A grant was busy while nobody else was at it.
    Busy(Event),
    /// The governor gave up although nobody else was at work.
    GaveUpAlone(Event),
    /// A thread panicked, or took more steps than there may be.
    Broken(String),
}

impl Event {
    fn is_beside(&self, other: &Self) -> bool {
        self.call <= other.ret && other.call <= self.ret
    }
}

impl History {
    /// Calls that were answered.
    pub fn operations(&self) -> u64 {
        self.events.iter().filter(|event| event.called).count() as u64
    }

    /// Calls that were given up.
    pub fn given_up(&self) -> u64 {
        self.events.iter().filter(|event| event.came == Came::ToNothing).count() as u64
    }

    /// Whether any two threads were in a call at once.
    pub fn overlaps(&self) -> bool {
        let calls = || self.events.iter().filter(|event| event.called && event.thread.is_some());
        calls().any(|a| calls().any(|b| a.thread != b.thread && a.is_beside(b)))
    }

    /// Whether the specification explains it.
    ///
    /// # Errors
    ///
    /// What is wrong.
    pub fn check(&self) -> Result<(), Fault> {
        for event in &self.events {
            match event.came {
                Came::ToBusy(grant) if !self.is_held_by_another(event, grant) => {
                    return Err(Fault::Busy(*event));
                }
                Came::ToNothing if !self.is_beside_another(event) => {
                    return Err(Fault::GaveUpAlone(*event));
                }
                _ => {}
            }
        }
        check(&Governing, &self.begin, &self.intervals()).map(|_| ()).map_err(Fault::Unexplained)
    }

    /// A fault in words.
    pub fn describe(&self, fault: &Fault) -> String {
        match fault {
            Fault::Unexplained(violation) => {
                let answered = self.intervals();
                let stuck = violation.stuck.iter().map(|&at| {
                    let Interval { call, ret, operation } = &answered[at];
                    format!("    {call} {ret} {operation:?}\n")
                });
                let explained = violation.explained.len();
                format!(
                    "{explained} of {} are explained; after these none of the next can come:\n{}",
                    answered.len(),
                    stuck.collect::<String>()
                )
            }
            Fault::Busy(event) => format!("nobody else was at it: {event:?}"),
            Fault::GaveUpAlone(event) => format!("nobody else was at work: {event:?}"),
            Fault::Broken(what) => what.clone(),
        }
    }

    fn is_held_by_another(&self, event: &Event, grant: u8) -> bool {
        self.events.iter().any(|other| {
            let same = match other.came {
                Came::To(operation) => operation.grant() == Some(grant) || operation.ends_many(),
                Came::ToBusy(also) => also == grant,
                // Of an evicting request that may have taken hold of it and let it go.
                Came::ToNothing => true,
            };
            other.thread != event.thread && same && other.is_beside(event)
        })
    }

    fn is_beside_another(&self, event: &Event) -> bool {
        self.events.iter().any(|other| other.thread != event.thread && other.is_beside(event))
    }

    fn intervals(&self) -> Vec<Interval<Operation>> {
        let overlaps = self.overlaps();
        let answered = self.events.iter().filter_map(|event| match event.came {
            Came::To(operation) => {
                let operation = operation.beside(overlaps);
                Some(Interval { call: event.call, ret: event.ret, operation })
            }
            Came::ToNothing | Came::ToBusy(_) => None,
        });
        answered.collect()
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let State { capacity, groups, tenants, .. } = &self.begin;
        writeln!(f, "capacity {capacity}")?;
        for (number, group) in groups.iter().enumerate() {
            writeln!(f, "group {number}: {group:?}")?;
        }
        for (number, tenant) in tenants.iter().enumerate() {
            writeln!(f, "tenant {number}: {tenant:?}")?;
        }
        let mut events = self.events.clone();
        events.sort_by_key(|event| (event.call, event.ret));
        for Event { thread, called, call, ret, came } in events {
            let who = thread.map_or("alone".to_string(), |thread| format!("thread {thread}"));
            let what = match came {
                Came::To(operation) => format!("{operation:?}"),
                Came::ToNothing => "gave up".to_string(),
                Came::ToBusy(grant) => format!("grant {grant} is busy"),
            };
            writeln!(f, "{call:>4} {ret:>4}  {who:<8} {}{what}", if called { "" } else { "  " })?;
        }
        Ok(())
    }
}

impl Operation {
    /// The grant it is about.
    pub fn grant(&self) -> Option<u8> {
        match *self {
            Self::Grown(grant, _)
            | Self::GrowthDenied(grant, ..)
            | Self::Shrunk(grant, _)
            | Self::ShrunkTooMuch(grant, _)
            | Self::Released(grant)
            | Self::Evicted(grant)
            | Self::ReleasedEvicted(grant)
            | Self::Stale(grant)
            | Self::Back(grant, _)
            | Self::BackAll(grant)
            | Self::Chosen(grant, _)
            | Self::Spared(grant)
            | Self::Ended(grant)
            | Self::Forced(grant) => Some(grant),
            _ => None,
        }
    }

    /// The same, where it depends on whether several threads were in calls at once.
    fn beside(self, others: bool) -> Self {
        match self {
            Self::Capacity(bytes, _) => Self::Capacity(bytes, others),
            Self::Bounded(group, limit, _) => Self::Bounded(group, limit, others),
            operation => operation,
        }
    }

    /// Whether it may have taken hold of any grant: a request that evicts looks at victims that it
    /// then lets go, and who counts grants holds them.
    fn ends_many(&self) -> bool {
        matches!(
            self,
            Self::Granted(..)
                | Self::Denied(..)
                | Self::Waits(..)
                | Self::Configured(..)
                | Self::PerhapsConfigured(..)
                | Self::Counted(..)
                | Self::Closed(..)
                | Self::Gone(..)
        )
    }
}
