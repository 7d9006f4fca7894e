//! The verbs that look, and those that tell of the machine. What they say is held against what is
//! known to stay.

use std::panic::resume_unwind;

use allotment::{AccountName, AllocationType, EventRead, EventReader, Pressure, Request};

use super::count::{self, lock};
use super::fault::Fault;
use super::tally::Outcome;
use super::verb::Verb;
use super::worker::Worker;

/// Events read at one time.
const EVENTS: u32 = 16;

impl Worker<'_> {
    pub fn look_verb(&mut self, verb: Verb) -> Option<Outcome> {
        let governor = self.governor();
        Some(match verb {
            Verb::Balance => {
                governor.balance();
                Outcome::Done
            }
            Verb::BalanceWithoutEviction => {
                governor.balance_without_eviction();
                Outcome::Done
            }
            Verb::ReportPressure => {
                let level = [2, 1, 1, 1].get(self.dice(64) as usize).copied().unwrap_or(0);
                governor.report_pressure(Pressure::ALL[level]);
                Outcome::Done
            }
            Verb::Pressure => {
                governor.pressure();
                Outcome::Done
            }
            Verb::OnPressure => self.on_pressure(),
            Verb::ClearOnPressure => {
                governor.clear_on_pressure();
                Outcome::Done
            }
            Verb::ReportMeasured => self.report_measured(),
            Verb::ReportMeasuredProcess => {
                let bytes = (self.dice(4) == 0).then(|| self.dice(self.scene.capacity_bytes / 2));
                governor.report_measured_process(bytes);
                Outcome::Done
            }
            Verb::TakeShortfalls => {
                let found = governor.take_shortfalls();
                if found.is_empty() { Outcome::Nothing } else { Outcome::Done }
            }
            Verb::Snapshot | Verb::Groups | Verb::Usage | Verb::Meter | Verb::PoolMeter => {
                self.figures(verb)
            }
            Verb::TrackingBytes => {
                governor.tracking_bytes();
                Outcome::Done
            }
            Verb::UnclaimedBytes => {
                governor.unclaimed_bytes();
                Outcome::Done
            }
            Verb::Explain | Verb::Attainable | Verb::BytesAhead | Verb::EstimatedWait => {
                self.question(verb)
            }
            Verb::LargestHolders | Verb::Name => self.account(verb),
            Verb::Account => self.numbered(),
            Verb::CircularWait => Outcome::some(governor.circular_wait()),
            Verb::Waiters => {
                let waiters = governor.waiters();
                if waiters == 0 { Outcome::Nothing } else { Outcome::Done }
            }
            Verb::LeakReport => Outcome::some(governor.leak_report()),
            Verb::OnLeak => self.on_leak(),
            Verb::Events | Verb::EventsFrom | Verb::EventsAfter => self.events(verb),
            _ => return None,
        })
    }

    /// Number 0 is the pool, and no other is.
    fn numbered(&mut self) -> Outcome {
        let index = self.dice(16) as u32;
        let is_pool = self.governor().account(index) == Some(AccountName::Pool);
        if is_pool != (index == 0) {
            self.report(Fault::new(format!("the pool, as account {index}"), 0, is_pool.into()));
        }
        Outcome::Done
    }

    /// A listener that panics counts as told.
    fn on_pressure(&mut self) -> Outcome {
        let panics = self.dice(4) == 0;
        let owners = self.scene.owners.clone();
        self.governor().on_pressure(move |_| {
            if panics {
                count::one(&owners.answers.panics_of_others);
                resume_unwind(Box::new("a listener that panics"));
            }
        });
        Outcome::Done
    }

    pub fn on_leak(&mut self) -> Outcome {
        let leak = self.scene.leak.clone();
        self.governor().on_leak(move |report| *lock(&leak) = Some(report.clone()));
        Outcome::Done
    }

    fn report_measured(&mut self) -> Outcome {
        let tenant = self.anybody();
        let bytes = (self.dice(2) == 0).then(|| self.dice(self.scene.share_bytes / 4));
        match self.governor().report_measured(tenant, bytes) {
            Ok(()) => Outcome::Done,
            Err(error) => self.refused(error.into()),
        }
    }

    /// Bytes in use, of one or of all.
    fn figures(&mut self, verb: Verb) -> Outcome {
        let governor = self.governor();
        let resident = *self.resident();
        let mut used = None;
        let mut claimed = || match verb {
            Verb::Snapshot => {
                let snapshot = governor.snapshot();
                let mut tenants = snapshot.tenants.iter();
                used = tenants.find(|t| t.tenant == resident.tenant).map(|t| t.used_bytes);
                snapshot.claimed_bytes
            }
            // What one group has claimed the pool has as well.
            Verb::Groups => {
                used = Some(0);
                governor.groups().iter().map(|group| group.claimed_bytes).max().unwrap_or(0)
            }
            Verb::Usage => {
                used = governor.usage(resident.tenant).ok().map(|usage| usage.used_bytes);
                0
            }
            Verb::Meter => {
                used = governor.meter(resident.tenant).map(|meter| meter.used_bytes);
                0
            }
            _ => {
                used = Some(0);
                governor.pool_meter().claimed_bytes
            }
        };
        if let Err(fault) = self.scene.bound.look(&mut claimed) {
            self.report(fault);
        }
        match (used, resident.fixed_limit_bytes) {
            (None, _) => self.report(Fault::new(format!("{} of a tenant", verb.name()), 1, 0)),
            (Some(used), Some(limit)) if used > limit => {
                let fault = Fault::over("bytes in grants, at most the fixed limit", limit, used);
                self.report(fault.of_tenant(resident.tenant.to_string()));
            }
            _ => {}
        }
        Outcome::Done
    }

    fn question(&mut self, verb: Verb) -> Outcome {
        let governor = self.governor();
        let tenant = self.anybody();
        let bytes = 1 + self.dice(self.scene.share_bytes);
        let kind = AllocationType::ALL[self.dice(4) as usize];
        let request = Request::new(tenant, kind, bytes);
        let answer = match verb {
            Verb::Explain => governor.explain(&request).map(|_| ()),
            Verb::Attainable => governor.attainable(&request).map(|most| {
                if most > bytes {
                    self.report(Fault::new("attainable bytes, at most those asked", bytes, most));
                }
            }),
            Verb::BytesAhead => governor.bytes_ahead(&request).map(|_| ()),
            _ => return Outcome::some(governor.estimated_wait(&request)),
        };
        answer.map_or_else(|error| self.refused(error.into()), |()| Outcome::Done)
    }

    fn account(&mut self, verb: Verb) -> Outcome {
        let account = match self.dice(4) {
            0 => AccountName::Pool,
            1 => AccountName::Group(self.scene.groups[0]),
            _ => AccountName::Tenant(self.anybody()),
        };
        let governor = self.governor();
        let answer = match verb {
            Verb::Name => governor.name(account).map(|_| ()),
            _ => governor.largest_holders(account).map(|_| ()),
        };
        answer.map_or_else(|error| self.refused(error.into()), |()| Outcome::Done)
    }

    /// Reads on from where this thread stood.
    fn events(&mut self, verb: Verb) -> Outcome {
        let governor = self.governor();
        let mark = self.book.mark;
        let mut reader = match verb {
            Verb::Events => governor.events(),
            Verb::EventsFrom => governor.events_from(mark.position),
            _ => governor.events_after(mark),
        };
        let told = (0..EVENTS).take_while(|_| reader.read() != EventRead::Empty).count();
        self.follow(&reader, verb);
        if told == 0 { Outcome::Nothing } else { Outcome::Done }
    }

    fn follow(&mut self, reader: &EventReader<'_>, verb: Verb) {
        let (before, after) = (self.book.mark.position, reader.position());
        if verb != Verb::Events {
            if after < before {
                self.report(Fault::new("position of a reader of events, at least", before, after));
            }
            self.book.mark = reader.mark();
        }
    }
}
