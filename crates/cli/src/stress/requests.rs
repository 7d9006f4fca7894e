//! The verbs that ask for memory.

use std::time::Duration;

use allotment::{AllocationType, Error, Grant, OwnedGrant, Refusal, Request};

use super::book::{Asked, RESERVED_MAX, Reserved};
use super::fault::Fault;
use super::tally::Outcome;
use super::verb::Verb;
use super::worker::Worker;

/// Once in so many requests one that makes no sense.
const NONSENSE: u64 = 256;

/// Requests of one batch at most.
const BATCH: u64 = 4;

/// Most bytes of a request that ought to find room.
const SMALL_MAX: u64 = 256;

/// Time to commit that nobody waits for, and one that is over at once.
const LONG: Duration = Duration::from_secs(1_000_000);
const BRIEF: Duration = Duration::from_micros(20);

/// A real wait, once in a while.
const WAIT: Duration = Duration::from_millis(1);

impl<'g> Worker<'g> {
    pub fn request_verb(&mut self, verb: Verb) -> Option<Outcome> {
        match verb {
            Verb::Commit => return self.commit(),
            Verb::Reserve if self.book.reserved.len() >= RESERVED_MAX => return None,
            Verb::RequestAll if !self.book.has_room(BATCH as usize) => return None,
            Verb::TryRequest
            | Verb::Request
            | Verb::RequestOwned
            | Verb::Acquire
            | Verb::IntoOwned
            | Verb::Reserve
                if !self.book.has_room(1) =>
            {
                return None;
            }
            _ => {}
        }
        let nonsense = self.dice(NONSENSE) == 0;
        let governor = self.governor();
        match verb {
            Verb::TryRequest if nonsense => Some(self.nonsense(|r| governor.try_request(r))),
            Verb::Request if nonsense => Some(self.nonsense(|r| governor.request(r))),
            Verb::TryRequest => Some(self.request_with(|r| governor.try_request(r))),
            Verb::Request => Some(self.request_with(|r| governor.request(r))),
            Verb::Acquire => {
                let wait = if nonsense { WAIT } else { Duration::ZERO };
                Some(self.request_with(|r| governor.acquire(r, wait)))
            }
            Verb::RequestOwned => {
                let (asked, request) = self.ask();
                let answer = self.scene.governor.request_owned(&request);
                Some(self.granted_owned(asked, answer))
            }
            Verb::IntoOwned => self.own(),
            Verb::Reserve => Some(self.reserve()),
            Verb::RequestAll => Some(self.request_all()),
            _ => None,
        }
    }

    fn request_with(
        &mut self,
        ask: impl FnOnce(&Request) -> Result<Grant<'g>, Refusal>,
    ) -> Outcome {
        let (asked, request) = self.ask();
        match ask(&request) {
            Ok(grant) => {
                self.hold(asked, grant.into_id(), None);
                Outcome::Done
            }
            Err(refusal) => self.not_granted(asked, refusal),
        }
    }

    fn not_granted(&mut self, asked: Asked, refusal: Refusal) -> Outcome {
        self.forget(asked);
        self.refused(refusal)
    }

    pub fn granted_owned(&mut self, asked: Asked, answer: Result<OwnedGrant, Refusal>) -> Outcome {
        match answer {
            Ok(grant) => {
                self.hold(asked, grant.id(), Some(grant));
                Outcome::Done
            }
            Err(refusal) => self.not_granted(asked, refusal),
        }
    }

    /// A request that has to be refused as misuse.
    fn nonsense(&mut self, ask: impl FnOnce(&Request) -> Result<Grant<'g>, Refusal>) -> Outcome {
        let (asked, _) = self.ask();
        self.forget(asked);
        let (tenant, bytes, means) = match self.dice(2) {
            0 => (self.scene.foreign, 1, "foreign"),
            _ => (asked.tenant, 0, "empty"),
        };
        let request = Request::new(tenant, AllocationType::Cache, bytes);
        match ask(&request).map(Grant::into_id) {
            Err(Refusal::Misuse(_)) => {}
            _ => self.report(Fault::new(format!("a {means} request refused as misuse"), 1, 0)),
        }
        Outcome::Misuse
    }

    /// The grant of a request, as an object that can be stored; of one who stays.
    fn own(&mut self) -> Option<Outcome> {
        let tenant = self.resident().tenant;
        let (asked, request) = self.ask_for(tenant, SMALL_MAX);
        let answer = self.governor().try_request(&request);
        match answer {
            Ok(grant) => {
                self.book.tally.count(Verb::TryRequest, Outcome::Done);
                let owned = grant.into_owned(&self.scene.governor);
                self.hold(asked, owned.id(), Some(owned));
                Some(Outcome::Done)
            }
            Err(refusal) => {
                let outcome = self.not_granted(asked, refusal);
                self.book.tally.count(Verb::TryRequest, outcome);
                None
            }
        }
    }

    fn reserve(&mut self) -> Outcome {
        let (asked, request) = self.ask();
        let brief = self.dice(4) == 0;
        let answer = self.governor().reserve(&request, if brief { BRIEF } else { LONG });
        match answer {
            Ok(reservation) if self.dice(8) == 0 => {
                drop(reservation);
                self.forget(asked);
                Outcome::Done
            }
            Ok(reservation) if self.dice(8) == 0 => {
                // What cannot be committed any more is given back.
                match reservation.commit() {
                    Ok(grant) => self.hold(asked, grant.into_id(), None),
                    Err(_) => self.forget(asked),
                }
                Outcome::Done
            }
            Ok(reservation) => {
                let entry = self.entry(asked, reservation.into_id(), None);
                // An owner was asked for it, although it is none's yet.
                if self.scene.cells().publish(asked.cookie) || brief {
                    self.book.reserved.push(Reserved { entry, brief });
                } else {
                    self.report(Fault::new("reservations that were evicted", 0, 1));
                }
                Outcome::Done
            }
            Err(refusal) => self.not_granted(asked, refusal),
        }
    }

    fn commit(&mut self) -> Option<Outcome> {
        let count = self.book.reserved.len() as u64;
        if count == 0 {
            return None;
        }
        let at = self.dice(count) as usize;
        let Reserved { entry, brief } = self.book.reserved.swap_remove(at);
        match self.governor().commit(entry.tenant, entry.id) {
            Ok(()) => {
                self.book.held.push(entry);
                Some(Outcome::Done)
            }
            Err(Error::Busy(_)) => {
                self.book.reserved.push(Reserved { entry, brief });
                Some(Outcome::Misuse)
            }
            Err(Error::Expired(_) | Error::StaleGrant(_) | Error::Gone { .. }) => {
                match brief {
                    // Its time is over, and the governor has its bytes back, or takes them.
                    true => self.give_up(entry),
                    false => self.doubt(entry),
                }
                Some(Outcome::Misuse)
            }
            Err(error) => Some(self.wrong(error)),
        }
    }

    /// All or nothing.
    fn request_all(&mut self) -> Outcome {
        let count = 1 + self.dice(BATCH);
        let asked: Vec<_> = (0..count).map(|_| self.ask()).collect();
        let requests: Vec<Request> = asked.iter().map(|&(_, request)| request).collect();
        match self.governor().request_all(&requests) {
            Ok(grants) => {
                for ((asked, _), grant) in asked.into_iter().zip(grants) {
                    self.hold(asked, grant.into_id(), None);
                }
                Outcome::Done
            }
            Err(refusal) => {
                asked.into_iter().for_each(|(asked, _)| self.forget(asked));
                self.refused(refusal)
            }
        }
    }
}
