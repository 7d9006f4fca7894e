//! A recording of one thread, done again call by call: every answer must come out the same.
//!
//! A recording is a sequence of *calls*, each followed by what it brought about: the answer, what
//! was evicted for it, who was served by it. The player makes each call at its time; what its own
//! governor then records is held against the recording, record by record.
//!
//! ```text
//! differing = records of the recording whose counterpart is missing or not the same
//! ```
//!
//! Everything is compared but the numbers that name things: tags of governors, ids of texts.

use std::collections::VecDeque;

use allotment::{Event, EventKind, Intent, ReclaimAnswer, Verb};

use super::player::{Answer, Player, untagged};
use super::tally::Tally;
use super::tape::{Step, Tape};
use crate::failure::CliError;

/// Does a whole recording again.
pub fn reproduce(tape: &mut Tape) -> Result<Tally, CliError> {
    let mut reproduction =
        Reproduction { steps: VecDeque::new(), player: None, tally: Tally::default() };
    while reproduction.turn(tape)? {}
    reproduction.tally.records = tape.records();
    Ok(reproduction.tally)
}

struct Reproduction {
    /// What was read and is not done yet.
    steps: VecDeque<Step>,
    player: Option<Player>,
    tally: Tally,
}

/// Whether an event is a call, and not what one brought about.
pub fn is_call(event: &Event) -> bool {
    match event.kind {
        EventKind::LimitsChanged => event.detail != 0,
        EventKind::Asked
        | EventKind::Intended
        | EventKind::Touched
        | EventKind::Pinned
        | EventKind::KeptAlive
        | EventKind::Committed
        | EventKind::Declined
        | EventKind::Balanced
        | EventKind::PressureReported
        | EventKind::Measured
        | EventKind::Polled
        | EventKind::Tried
        | EventKind::Registered
        | EventKind::Unregistered
        | EventKind::CapacityChanged
        | EventKind::Released
        | EventKind::Shrunk
        | EventKind::Withdrawn => true,
        _ => false,
    }
}

impl Reproduction {
    /// One call; false at the end of the recording.
    fn turn(&mut self, tape: &mut Tape) -> Result<bool, CliError> {
        self.fill(tape, 1)?;
        let Some(step) = self.steps.pop_front() else { return Ok(false) };
        match step {
            Step::Opened { .. } => self.player = None,
            Step::Governor(config) => self.player = Some(Player::new(&config, true)?),
            Step::Stated(configured) => {
                let player = self.player()?;
                player.configure(&configured)?;
                player.drain();
            }
            Step::Missing => {
                return Err(CliError::new(
                    "the recording has a gap; it cannot be done again exactly",
                ));
            }
            Step::Event(event, configured) => {
                self.steps.push_front(Step::Event(event, configured));
                self.call(tape)?;
            }
        }
        Ok(true)
    }

    fn player(&mut self) -> Result<&mut Player, CliError> {
        self.player.as_mut().ok_or_else(|| {
            CliError::new("the log does not say how its governor was set up; record it anew")
        })
    }

    /// Reads on until `count` steps are there, if the recording has as many.
    fn fill(&mut self, tape: &mut Tape, count: usize) -> Result<(), CliError> {
        while self.steps.len() < count {
            match tape.next()? {
                Some(step) => self.steps.push_back(step),
                None => break,
            }
        }
        Ok(())
    }

    /// How many steps from the front belong to the call there: up to the next call. Parts of a
    /// call (what was intended, the rest of a batch) are no calls of their own.
    fn span(&mut self, tape: &mut Tape) -> Result<usize, CliError> {
        let mut length = self.head_length(tape)?;
        loop {
            self.fill(tape, length + 1)?;
            match self.steps.get(length) {
                Some(Step::Event(event, _)) if !is_call(event) => length += 1,
                _ => return Ok(length),
            }
        }
    }

    /// How many records the call itself has.
    fn head_length(&mut self, tape: &mut Tape) -> Result<usize, CliError> {
        let mut length = 0;
        let mut left = 1;
        while left > 0 {
            self.fill(tape, length + 1)?;
            let Some(event) = self.event(length) else { return Ok(length.max(1)) };
            length += 1;
            let is_batch = event.kind == EventKind::Asked && event.from == Verb::RequestAll as u8;
            match event.kind {
                EventKind::Intended => {}
                EventKind::Asked if is_batch => {
                    let (place, of) =
                        (event.used_bytes >> 32, event.used_bytes & u64::from(u32::MAX));
                    left = of.saturating_sub(place + 1);
                }
                _ => left = 0,
            }
        }
        Ok(length)
    }

    fn event(&self, at: usize) -> Option<&Event> {
        match self.steps.get(at) {
            Some(Step::Event(event, _)) => Some(event),
            _ => None,
        }
    }

    /// Makes the call at the front and compares.
    fn call(&mut self, tape: &mut Tape) -> Result<(), CliError> {
        let span = self.span(tape)?;
        let head = self.head_length(tape)?;
        self.prepare(span)?;
        let made = self.make(head, span)?;
        let own = self.player()?.drain();
        let compared = self.compare(tape, &own, span)?;
        if let (Some(grant), false) = (made, compared) {
            // It has it and the recorded one has not, or under another name.
            self.settle(grant, span)?;
        }
        let done = if compared { own.len() } else { span };
        self.steps.drain(..done.min(self.steps.len()));
        Ok(())
    }

    /// Time, and what owners answered while the call was made.
    fn prepare(&mut self, span: usize) -> Result<(), CliError> {
        let of = |kind| (0..span).filter_map(|at| self.event(at)).filter(move |e| e.kind == kind);
        let answers = of(EventKind::ReclaimAnswered).map(|event| {
            let is_busy = event.to == 1;
            let answer = if is_busy { ReclaimAnswer::Busy } else { ReclaimAnswer::Deferred };
            (event.grant, Some(answer))
        });
        let panics = of(EventKind::ReclaimPanicked).map(|event| (event.grant, None));
        // One that panics counts as busy, and that is recorded as well.
        let answers: Vec<_> = answers.chain(panics).collect();
        let time_ns = self.event(0).map_or(0, |event| event.time_ns);
        let player = self.player()?;
        player.set_answers(answers.into_iter());
        player.set_time(time_ns);
        Ok(())
    }

    /// Makes the call; answers a grant that it led to directly.
    fn make(&mut self, head: usize, span: usize) -> Result<Option<allotment::GrantId>, CliError> {
        let Some(Step::Event(first, configured)) = self.steps.front().cloned() else {
            return Ok(None);
        };
        self.tally.calls += 1;
        let queued =
            (head..span).filter_map(|at| self.event(at)).find(|e| e.kind == EventKind::Queued);
        let queued = queued.map(|event| event.grant);
        let asked = self.asked(head);
        let player = self.player()?;
        match first.kind {
            EventKind::Registered | EventKind::LimitsChanged => {
                if let Some(configured) = configured {
                    player.configure(&configured)?;
                }
            }
            EventKind::Tried => {
                if let Some(configured) = configured {
                    player.try_to_configure(&configured, first.to == 1);
                }
            }
            EventKind::Unregistered => player.unregister(&first),
            EventKind::Released => player.release(first.grant),
            EventKind::Withdrawn => player.withdraw(first.grant),
            EventKind::Polled => return Ok(player.take(first.grant).1),
            EventKind::Asked | EventKind::Intended => match asked[..] {
                [(call, intent)] if call.from != Verb::RequestAll as u8 => {
                    let (answer, grant) = player.ask(&call, intent);
                    if answer == Answer::Queued {
                        player.knows_ticket(queued);
                    }
                    return Ok(grant);
                }
                _ => player.ask_all(&asked),
            },
            _ => player.call(&first),
        }
        Ok(None)
    }

    /// What is asked for by the first `head` records, each with what it is meant for.
    fn asked(&self, head: usize) -> Vec<(Event, Option<Intent>)> {
        let (mut asked, mut intent) = (Vec::new(), None);
        for event in (0..head).filter_map(|at| self.event(at)) {
            match event.kind {
                EventKind::Intended => {
                    intent = Some(Intent {
                        hold_ns: event.grant,
                        grow_bytes: event.bytes,
                        grow_step_bytes: event.detail,
                        grow_step_ns: event.used_bytes,
                    });
                }
                EventKind::Asked => asked.push((*event, intent.take())),
                _ => {}
            }
        }
        asked
    }

    /// Holds what the player's governor recorded against the recording; true if all is the same.
    /// What a call brought about may itself look like a call: a place in line that is given up
    /// returns its grant. So as long as all is the same it goes on.
    fn compare(&mut self, tape: &mut Tape, own: &[Event], span: usize) -> Result<bool, CliError> {
        self.fill(tape, own.len().max(span))?;
        let mut same = own.len() >= span;
        for (at, own) in own.iter().enumerate() {
            let Some(recorded) = self.event(at).copied() else {
                same = false;
                break;
            };
            let is_same = normal(own) == normal(&recorded);
            if own.kind == EventKind::Granted && recorded.kind == EventKind::Granted {
                let grant = allotment::GrantId::from_u64(own.grant);
                self.player()?.knows(recorded.grant, recorded.account, grant);
            }
            if !is_same {
                let sentence = format!("recorded {recorded:?}, now {own:?}");
                self.tally.differs(sentence);
                same = false;
            } else if is_answer(&recorded) {
                self.tally.answers += 1;
            }
            if !same && at + 1 >= span {
                break;
            }
        }
        if own.len() < span {
            let missing = self.event(own.len()).copied();
            self.tally.differs(format!("recorded {missing:?}, now nothing"));
        }
        Ok(same)
    }

    /// A grant that the recorded caller did not get is given back at once.
    fn settle(&mut self, grant: allotment::GrantId, span: usize) -> Result<(), CliError> {
        let recorded =
            (0..span).filter_map(|at| self.event(at)).any(|e| e.kind == EventKind::Granted);
        let account = self.event(span - 1).map_or(0, |event| event.account);
        let player = self.player()?;
        if let (false, Some(tenant)) = (recorded, player.tenant(account)) {
            player.give_back(tenant, grant);
            player.drain();
        }
        Ok(())
    }
}

/// Whether a record is an answer to somebody, and not a call or a state.
pub fn is_answer(event: &Event) -> bool {
    matches!(
        event.kind,
        EventKind::Granted
            | EventKind::Denied
            | EventKind::Grown
            | EventKind::Evicted
            | EventKind::ReservationExpired
            | EventKind::Queued
            | EventKind::Taken
    )
}

/// The event without the names that differ from governor to governor, and without its time, which
/// the machine's clock tells a little later within one call.
fn normal(event: &Event) -> Event {
    let event = Event { sequence: 0, time_ns: 0, ..*event };
    match event.kind {
        EventKind::Registered | EventKind::LimitsChanged | EventKind::Tried => {
            Event { detail: 0, ..event }
        }
        EventKind::Taken => Event { detail: untagged(event.detail), ..event },
        EventKind::Asked if is_growth(&event) => Event { grant: untagged(event.grant), ..event },
        EventKind::Asked | EventKind::Intended | EventKind::Queued | EventKind::Polled => event,
        EventKind::Withdrawn => event,
        _ => Event { grant: untagged(event.grant), ..event },
    }
}

fn is_growth(event: &Event) -> bool {
    let verb = Verb::from_code(event.from);
    matches!(verb, Some(Verb::Grow | Verb::GrowEvicting))
}
