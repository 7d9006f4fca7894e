//! A recording of several threads, followed: evictions, ends and pressure are taken from it, and
//! each request is asked again where its answer stands.
//!
//! The order of the answers is one in which they could all have been given (`core/events.rs`, E5:
//! what was granted and not yet returned adds up to no more than was in use). So a grant is granted
//! again. A denial may come out as a grant: it was decided a moment before its record, while
//! somebody else held what was free by then.
//!
//! ```text
//! share that differs = answers that are not the same / answers that were compared
//! ```

use std::collections::{HashMap, VecDeque};

use allotment::{AllocationType, DenialReason, Event, EventKind, Pressure, Request, Verb};

use super::player::{Answer, Player};
use super::tally::Tally;
use super::tape::{Step, Tape};
use crate::failure::CliError;

/// Denials that follow from what is in use, and so can be decided again.
const DECIDED: [DenialReason; 5] = [
    DenialReason::TenantLimit,
    DenialReason::GroupLimit,
    DenialReason::Capacity,
    DenialReason::GrantCount,
    DenialReason::RateLimit,
];

/// Follows a whole recording.
pub fn follow(tape: &mut Tape) -> Result<Tally, CliError> {
    let mut following = Following { player: None, asked: HashMap::new(), tally: Tally::default() };
    while let Some(step) = tape.next()? {
        following.step(step)?;
    }
    following.tally.records = tape.records();
    Ok(following.tally)
}

/// Account, type, bytes.
type Subject = (u32, u8, u64);

struct Following {
    player: Option<Player>,
    /// Calls whose answers are still to come, by what they asked for.
    asked: HashMap<Subject, VecDeque<Event>>,
    tally: Tally,
}

fn subject(event: &Event) -> Subject {
    (event.account, event.allocation_type, event.bytes)
}

impl Following {
    fn step(&mut self, step: Step) -> Result<(), CliError> {
        match step {
            Step::Opened { .. } => {
                self.player = None;
                self.asked.clear();
            }
            Step::Governor(config) => self.player = Some(Player::new(&config, false)?),
            Step::Stated(configured) => self.player()?.configure(&configured)?,
            Step::Missing => self.tally.gaps += 1,
            Step::Event(event, configured) => {
                self.player()?.set_time(event.time_ns);
                if let Some(configured) = configured
                    && event.kind != EventKind::Tried
                {
                    self.player()?.configure(&configured)?;
                }
                self.event(&event)?;
                self.player()?.drain();
            }
        }
        Ok(())
    }

    fn player(&mut self) -> Result<&mut Player, CliError> {
        self.player.as_mut().ok_or_else(|| {
            CliError::new("the log does not say how its governor was set up; record it anew")
        })
    }

    fn event(&mut self, event: &Event) -> Result<(), CliError> {
        match event.kind {
            EventKind::Asked => {
                self.tally.calls += 1;
                self.asked.entry(subject(event)).or_default().push_back(*event);
            }
            EventKind::Granted => self.granted(event)?,
            EventKind::Denied if event.grant == 0 => self.denied(event)?,
            EventKind::Denied => drop(self.call_of(event)),
            EventKind::Grown => {
                self.call_of(event);
                let answer = self.player()?.try_grow(event);
                self.compare(event, answer == Answer::Granted);
            }
            EventKind::Released | EventKind::Evicted | EventKind::ReservationExpired => {
                self.player()?.release(event.grant);
            }
            EventKind::PressureChanged => {
                let levels = [Pressure::Normal, Pressure::High, Pressure::Critical];
                if let Some(level) = levels.get(usize::from(event.to)) {
                    self.player()?.governor.report_pressure(*level);
                }
            }
            EventKind::Unregistered => self.player()?.unregister(event),
            EventKind::Balanced | EventKind::PressureReported | EventKind::Measured => {}
            _ => self.player()?.call(event),
        }
        Ok(())
    }

    /// The oldest call that asked for what is answered now.
    fn call_of(&mut self, answer: &Event) -> Option<Event> {
        let calls = self.asked.get_mut(&subject(answer))?;
        calls.pop_front()
    }

    fn granted(&mut self, event: &Event) -> Result<(), CliError> {
        let call = self.call_of(event);
        let player = self.player()?;
        let request = match call.and_then(|call| player.request(&call)) {
            Some(request) => Some(request),
            None => plain_request(player, event),
        };
        let Some(request) = request else { return Ok(()) };
        let (answer, grant) = player.try_ask(&request);
        if let Some(grant) = grant {
            player.knows(event.grant, event.account, grant);
        }
        self.compare(event, answer == Answer::Granted);
        Ok(())
    }

    fn denied(&mut self, event: &Event) -> Result<(), CliError> {
        let call = self.call_of(event);
        if !DECIDED.iter().any(|reason| reason.code() == event.reason) {
            return Ok(());
        }
        let player = self.player()?;
        let is_growth = call.is_some_and(|call| {
            matches!(Verb::from_code(call.from), Some(Verb::Grow | Verb::GrowEvicting))
        });
        if let (true, Some(call)) = (is_growth, call) {
            let answer = player.try_grow(&call);
            if answer == Answer::Granted {
                player.call(&Event { kind: EventKind::Shrunk, ..call });
            }
            self.compare(event, answer != Answer::Granted);
            return Ok(());
        }
        let request = match call.and_then(|call| player.request(&call)) {
            Some(request) => Some(request),
            None => plain_request(player, event),
        };
        let Some(request) = request else { return Ok(()) };
        let (answer, grant) = player.try_ask(&request);
        if let (Some(grant), Some(tenant)) = (grant, player.tenant(event.account)) {
            player.give_back(tenant, grant);
        }
        self.compare(event, answer == Answer::Denied);
        Ok(())
    }

    fn compare(&mut self, event: &Event, is_same: bool) {
        if is_same {
            self.tally.answers += 1;
        } else {
            self.tally.differs(format!("recorded {event:?}, now the opposite"));
        }
    }
}

/// A request of which only the answer is known.
fn plain_request(player: &Player, answer: &Event) -> Option<Request> {
    let tenant = player.tenant(answer.account)?;
    let kind = AllocationType::from_u8(answer.allocation_type)?;
    Some(Request::new(tenant, kind, answer.bytes))
}
