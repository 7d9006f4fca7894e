//! The verbs of what is held: each on any grant of the thread's book.

use std::time::Duration;

use allotment::{Error, Refusal, Released};

use super::book::Entry;
use super::fault::Fault;
use super::tally::Outcome;
use super::verb::Verb;
use super::worker::Worker;

/// The longest time for which a grant is kept alive.
const KEEP_NS_MAX: u64 = 1_000_000;

/// Most bytes of one growth.
const GROWTH_MAX: u64 = 8 << 10;

/// Grants looked at for one of a guest.
const GUESTS_FIRST: usize = 6;

/// Once in so many releases of a grant that was returned before.
const AGAIN: u64 = 128;

impl Worker<'_> {
    pub fn grant_verb(&mut self, verb: Verb) -> Option<Outcome> {
        match verb {
            Verb::Grow | Verb::GrowEvicting | Verb::Shrink | Verb::TrueUp => self.resize(verb),
            Verb::Touch | Verb::Pin | Verb::Unpin | Verb::KeepAlive => self.mark(verb),
            Verb::BytesOf => self.bytes_of(),
            Verb::Release => self.release(),
            Verb::Drop => self.drop_object(),
            _ => None,
        }
    }

    fn resize(&mut self, verb: Verb) -> Option<Outcome> {
        let at = self.pick()?;
        let by = 1 + self.dice(GROWTH_MAX);
        let governor = self.governor();
        let Entry { tenant, id, bytes, owned, .. } = &mut self.book.held[at];
        let (tenant, id) = (*tenant, *id);
        let after = match verb {
            Verb::Grow | Verb::GrowEvicting => *bytes + by,
            // Of one byte nothing can be given back: that is refused, and nothing changes.
            Verb::Shrink => (*bytes).saturating_sub(by).max(1),
            _ => 1 + by * 8,
        };
        let answer = match (verb, owned) {
            (Verb::GrowEvicting, _) => governor.grow_evicting(tenant, id, by),
            (Verb::Grow, Some(owned)) => owned.grow(by),
            (Verb::Grow, None) => governor.grow(tenant, id, by),
            (Verb::Shrink, Some(owned)) => owned.shrink(*bytes - after).map_err(Refusal::from),
            (Verb::Shrink, None) => governor.shrink(tenant, id, *bytes - after).map_err(Into::into),
            (_, Some(owned)) => owned.true_up(after),
            (_, None) => governor.true_up(tenant, id, after),
        };
        match answer {
            Ok(()) => {
                *bytes = after;
                Some(Outcome::Done)
            }
            Err(Refusal::Denied(denial)) => Some(Outcome::Denied(denial.reason)),
            Err(Refusal::Misuse(Error::ZeroBytes)) if *bytes == after => Some(Outcome::Misuse),
            Err(Refusal::Misuse(error)) => Some(self.ended_or_wrong(at, error)),
        }
    }

    fn mark(&mut self, verb: Verb) -> Option<Outcome> {
        let at = self.pick()?;
        let keep = Duration::from_nanos(self.dice(KEEP_NS_MAX));
        let governor = self.governor();
        let Entry { tenant, id, owned, .. } = &self.book.held[at];
        let (tenant, id) = (*tenant, *id);
        let answer = match (verb, owned) {
            (Verb::Touch, Some(owned)) => owned.touch(),
            (Verb::Touch, None) => governor.touch(tenant, id),
            (Verb::Pin, Some(owned)) => owned.pin(),
            (Verb::Pin, None) => governor.pin(tenant, id),
            (Verb::Unpin, Some(owned)) => owned.unpin(),
            (Verb::Unpin, None) => governor.unpin(tenant, id),
            (_, Some(owned)) => owned.keep_alive(keep),
            (_, None) => governor.keep_alive(tenant, id, keep),
        };
        Some(answer.map_or_else(|error| self.ended_or_wrong(at, error), |()| Outcome::Done))
    }

    /// What only its holder changes has to be what its holder knows.
    fn bytes_of(&mut self) -> Option<Outcome> {
        let at = self.pick()?;
        let Entry { tenant, id, bytes, .. } = self.book.held[at];
        match self.governor().bytes_of(tenant, id) {
            Ok(seen) if seen == bytes => Some(Outcome::Done),
            Ok(seen) => {
                self.report(Fault::new(format!("bytes of grant {id}"), bytes, seen));
                Some(Outcome::Done)
            }
            Err(error) => Some(self.ended_or_wrong(at, error)),
        }
    }

    fn release(&mut self) -> Option<Outcome> {
        if self.dice(AGAIN) == 0
            && let Some((tenant, id)) = self.book.ended
        {
            if self.governor().release(tenant, id) == Ok(Released::Returned) {
                self.report(Fault::new("releases that give the bytes of one grant back", 1, 2));
            }
            return Some(Outcome::Misuse);
        }
        let at = self.pick_for_release()?;
        let mut entry = self.book.held.swap_remove(at);
        let answer = match entry.owned.take() {
            Some(owned) => owned.release(),
            None => self.governor().release(entry.tenant, entry.id),
        };
        if answer.is_ok() {
            self.note_end(entry, answer);
            return Some(Outcome::Done);
        }
        Some(self.not_released(entry, answer))
    }

    /// Rather one of a guest: those that drain take a place until their last grant has ended.
    fn pick_for_release(&mut self) -> Option<usize> {
        let first = self.pick()?;
        let others: [usize; GUESTS_FIRST] = std::array::from_fn(|_| self.pick().unwrap_or(first));
        let is_guest = |&at: &usize| !self.scene.stays(self.book.held[at].tenant);
        Some(others.into_iter().find(is_guest).unwrap_or(first))
    }

    /// A release that was refused.
    fn not_released(&mut self, entry: Entry, answer: Result<Released, Error>) -> Outcome {
        match answer {
            Err(Error::Busy(_)) => self.book.held.push(entry),
            Err(Error::StaleGrant(_) | Error::Gone { .. }) => self.doubt(entry),
            Err(error) => {
                self.book.held.push(entry);
                return self.wrong(error);
            }
            Ok(_) => self.note_end(entry, answer),
        }
        Outcome::Misuse
    }

    /// A release was granted.
    fn note_end(&mut self, entry: Entry, answer: Result<Released, Error>) {
        if answer == Ok(Released::Returned) {
            self.book.ended = Some((entry.tenant, entry.id));
        }
        if let Err(fault) = self.scene.owners.note_release(entry.cookie, &answer) {
            self.report(fault);
        }
        self.end(entry);
    }

    /// A reservation whose time is over: given back, if the governor has not done so.
    pub fn give_up(&mut self, entry: Entry) {
        loop {
            match self.governor().release(entry.tenant, entry.id) {
                Err(Error::Busy(_)) => std::thread::yield_now(),
                Err(Error::StaleGrant(_) | Error::Gone { .. }) => return self.end(entry),
                Err(error) => {
                    self.wrong(error);
                    return self.end(entry);
                }
                answer => return self.note_end(entry, answer),
            }
        }
    }

    /// Drops an object: its bytes are back then, whatever became of it before.
    fn drop_object(&mut self) -> Option<Outcome> {
        let objects = self.book.held.iter().rposition(|entry| entry.owned.is_some());
        let entry = self.book.held.swap_remove(objects?);
        // Its record may be used again: what is said of it late is of a life that is over.
        self.end(entry);
        Some(Outcome::Done)
    }

    /// What a grant answers that has ended, or is just changing hands.
    fn ended_or_wrong(&mut self, at: usize, error: Error) -> Outcome {
        match error {
            // A grant of a tenant that drains lives on, but it does not grow.
            Error::Busy(_) | Error::Evicted(_) | Error::Gone { .. } => {}
            Error::StaleGrant(_) => {
                let entry = self.book.held.swap_remove(at);
                self.doubt(entry);
            }
            error => return self.wrong(error),
        }
        Outcome::Misuse
    }
}
