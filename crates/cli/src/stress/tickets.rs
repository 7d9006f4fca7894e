//! The verbs that wait for memory, and those of a place in line.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use allotment::{GrantId, Refusal};

use super::book::{Asked, Line, Place, TICKETS_MAX};
use super::tally::Outcome;
use super::verb::Verb;
use super::worker::Worker;

/// The longest time that is waited in line.
const WAIT_MAX_NS: u64 = 2_000_000;

/// A real wait of a thread, once in a while.
const SHORT: Duration = Duration::from_micros(20);

/// Does the same with a ticket of either sort.
macro_rules! with {
    ($line:expr, $ticket:ident => $done:expr) => {
        match $line {
            Line::Borrowed($ticket) => $done,
            Line::Owned($ticket) => $done,
        }
    };
}

/// The answer of a ticket, as a number.
type Answer = Option<Result<GrantId, Refusal>>;

impl Line<'_> {
    fn poll(&mut self) -> Answer {
        with!(self, ticket => ticket.poll().map(|answer| answer.map(|grant| grant.into_id())))
    }

    fn wait(&mut self, time: Duration) -> Answer {
        with!(self, ticket => ticket.wait(time).map(|answer| answer.map(|grant| grant.into_id())))
    }

    fn poll_as_future(&mut self) -> Answer {
        let mut context = Context::from_waker(Waker::noop());
        with!(self, ticket => match Future::poll(Pin::new(ticket), &mut context) {
            Poll::Ready(answer) => Some(answer.map(|grant| grant.into_id())),
            Poll::Pending => None,
        })
    }

    /// Whether its bytes belong to it already.
    pub fn is_granted(&self) -> bool {
        with!(self, ticket => ticket.is_granted())
    }
}

impl<'g> Worker<'g> {
    pub fn ticket_verb(&mut self, verb: Verb) -> Option<Outcome> {
        match verb {
            Verb::Enqueue | Verb::EnqueueOwned | Verb::RequestOrEnqueueOwned => {
                let room = self.book.has_room(1) && self.book.places.len() < TICKETS_MAX;
                room.then(|| self.enter_line(verb))
            }
            Verb::Poll
            | Verb::Await
            | Verb::Wait
            | Verb::Cancel
            | Verb::LookAfter
            | Verb::IsReady
            | Verb::IsGranted
            | Verb::Estimate
            | Verb::BytesBefore => {
                let count = self.book.places.len() as u64;
                if count == 0 {
                    return None;
                }
                let at = self.dice(count) as usize;
                Some(self.with_place(verb, at))
            }
            _ => None,
        }
    }

    fn enter_line(&mut self, verb: Verb) -> Outcome {
        let (asked, request) = self.ask();
        let ns = self.dice(2 * WAIT_MAX_NS).saturating_sub(WAIT_MAX_NS);
        let (wait, governor) = (Duration::from_nanos(ns), &self.scene.governor);
        let ticket = match verb {
            Verb::Enqueue => governor.enqueue(&request, wait).map(Line::Borrowed),
            Verb::EnqueueOwned => governor.enqueue_owned(&request, wait).map(Line::Owned),
            _ => governor.request_or_enqueue_owned(&request, wait).map(Line::Owned),
        };
        match ticket {
            Ok(ticket) => {
                self.book.places.push(Place { asked, ticket });
                Outcome::Done
            }
            Err(refusal) => {
                self.forget(asked);
                self.refused(refusal)
            }
        }
    }

    fn with_place(&mut self, verb: Verb, at: usize) -> Outcome {
        let real = self.dice(16) == 0;
        let ticket = &mut self.book.places[at].ticket;
        let answer = match verb {
            Verb::Poll => ticket.poll(),
            Verb::Await => ticket.poll_as_future(),
            Verb::Wait => ticket.wait(if real { SHORT } else { Duration::ZERO }),
            Verb::Cancel => {
                let Place { asked, ticket } = self.book.places.swap_remove(at);
                with!(ticket, ticket => ticket.cancel());
                self.forget(asked);
                return Outcome::Done;
            }
            Verb::LookAfter => {
                with!(ticket, ticket => ticket.look_after());
                return Outcome::Done;
            }
            Verb::IsReady => return said(with!(ticket, ticket => ticket.is_ready())),
            Verb::IsGranted => return said(ticket.is_granted()),
            Verb::Estimate => return Outcome::some(with!(ticket, ticket => ticket.estimate())),
            _ => return Outcome::some(with!(ticket, ticket => ticket.bytes_before())),
        };
        let Some(answer) = answer else { return Outcome::Nothing };
        let Place { asked, .. } = self.book.places.swap_remove(at);
        self.served(asked, answer)
    }

    /// The answer of a ticket was taken.
    fn served(&mut self, asked: Asked, answer: Result<GrantId, Refusal>) -> Outcome {
        match answer {
            Ok(id) => {
                self.hold(asked, id, None);
                Outcome::Done
            }
            Err(refusal) => {
                self.forget(asked);
                self.refused(refusal)
            }
        }
    }
}

fn said(yes: bool) -> Outcome {
    if yes { Outcome::Done } else { Outcome::Nothing }
}
