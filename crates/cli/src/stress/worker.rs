//! One thread: plays decks of verbs, and keeps a book of the answers.
//!
//! | verbs | in |
//! |---|---|
//! | that ask for memory | `requests.rs`, and wait for it: `tickets.rs` |
//! | of what is held | `grants.rs` |
//! | of what owners are asked for | `reclaim.rs` |
//! | that change who is registered, limits and capacity | `administration.rs` |
//! | that look, or tell of the machine | `looks.rs` |

use std::time::Instant;

use allotment::{
    AllocationType, Error, Governor, GrantId, OwnedGrant, Refusal, Request, TenantHandle,
};

use super::book::{Asked, Book, Entry, LEAKED_MAX};
use super::cells;
use super::fault::Fault;
use super::scene::{Resident, Scene};
use super::tally::Outcome;
use super::verb::{Deck, Verb};

/// Tries to make a verb possible before its card is left.
const PREPARE_MAX: u32 = 16;

/// Most bytes of a usual request.
const BYTES_MAX: u64 = 64 << 10;

/// When a thread stops.
#[derive(Clone, Copy)]
pub(super) struct Until {
    pub time: Option<Instant>,
    pub decks: u64,
}

/// A thread at work.
pub(super) struct Worker<'g> {
    pub scene: &'g Scene,
    pub book: Book<'g>,
}

impl<'g> Worker<'g> {
    pub fn new(scene: &'g Scene, book: Book<'g>) -> Self {
        Self { scene, book }
    }

    /// Plays decks until the time comes, or a fault is found.
    pub fn work(mut self, until: Until) -> Book<'g> {
        for _ in 0..until.decks {
            self.play_deck();
            let over = until.time.is_some_and(|time| Instant::now() >= time);
            if over || self.scene.is_faulty() {
                break;
            }
        }
        self.book
    }

    fn play_deck(&mut self) {
        let Book { deck, dice, .. } = &mut self.book;
        deck.shuffle(dice);
        for at in 0..Deck::size() as usize {
            let verb = self.book.deck.card(at);
            self.play(verb);
        }
        self.book.decks += 1;
        self.settle_doubts();
        if self.dice(64) == 0 {
            self.be_visited();
        }
    }

    fn play(&mut self, verb: Verb) {
        for _ in 0..PREPARE_MAX {
            if let Some(outcome) = self.act(verb) {
                return self.book.tally.count(verb, outcome);
            }
            let first = verb.prepared_by();
            match self.act(first) {
                Some(outcome) => self.book.tally.count(first, outcome),
                None => self.let_go(),
            }
        }
        self.book.skipped += 1;
    }

    /// One call of a verb, and what came of it; none if it makes no sense now.
    fn act(&mut self, verb: Verb) -> Option<Outcome> {
        self.request_verb(verb)
            .or_else(|| self.ticket_verb(verb))
            .or_else(|| self.grant_verb(verb))
            .or_else(|| self.reclaim_verb(verb))
            .or_else(|| self.administration_verb(verb))
            .or_else(|| self.look_verb(verb))
    }

    /// Makes room in the book, whatever is in it.
    fn let_go(&mut self) {
        let verb = if self.book.held.is_empty() { Verb::Cancel } else { Verb::Release };
        if let Some(outcome) = self.act(verb) {
            self.book.tally.count(verb, outcome);
        }
    }

    pub fn governor(&self) -> &'g Governor {
        &self.scene.governor
    }

    /// A number below `sides`.
    #[inline]
    pub fn dice(&mut self, sides: u64) -> u64 {
        self.book.dice.next() % sides
    }

    pub fn resident(&mut self) -> &'g Resident {
        self.scene.resident(self.book.dice.next())
    }

    /// Any tenant, which may be gone by now if it is a guest.
    pub fn anybody(&mut self) -> TenantHandle {
        let dice = self.book.dice.next();
        let guest = if dice & 63 == 0 { self.scene.guest(dice >> 6) } else { None };
        guest.unwrap_or_else(|| self.scene.resident(dice >> 12).tenant)
    }

    pub fn report(&self, fault: Fault) {
        self.scene.report(fault);
    }

    /// A request, with a record in the ledger.
    pub fn ask(&mut self) -> (Asked, Request) {
        let tenant = self.anybody();
        let huge = self.dice(64) == 0;
        self.ask_for(tenant, if huge { self.scene.capacity_bytes / 8 } else { BYTES_MAX })
    }

    /// The same of one tenant, for so many bytes at most.
    pub fn ask_for(&mut self, tenant: TenantHandle, most: u64) -> (Asked, Request) {
        let dice = self.book.dice.next();
        let kind = AllocationType::ALL[(dice & 3) as usize];
        let bytes = 1 + (dice >> 16) % most;
        let index = self.book.free.pop().expect("there was room when it was looked for");
        let cookie = self.scene.cells().open(index);
        let mut request = Request::new(tenant, kind, bytes).cost((dice >> 8 & 7) as u32);
        // Without cookie, key and flags a request takes the shorter of the two quick paths.
        if dice >> 11 & 3 != 0 {
            request = request.cookie(cookie).evictable(dice & 4 == 0);
            request = match dice >> 13 & 7 {
                0 => request.key(1 + (dice >> 20) % 256),
                1 if dice & 8 == 0 => request.ttl(std::time::Duration::from_nanos(dice >> 44)),
                2 if dice & 8 == 0 => request.pinned(true),
                _ => request,
            };
        }
        (Asked { tenant, cookie, bytes }, request)
    }

    /// Gives a record back for which nothing was granted.
    pub fn forget(&mut self, asked: Asked) {
        self.book.free.push(cells::index(asked.cookie));
    }

    /// Notes a grant, unless its end was noted before.
    pub fn hold(&mut self, asked: Asked, id: GrantId, owned: Option<OwnedGrant>) {
        let entry = self.entry(asked, id, owned);
        if !self.scene.cells().publish(asked.cookie) {
            // An object of it gives nothing back when it is dropped here.
            return self.end(entry);
        }
        let leaks = entry.owned.is_none() && self.book.leaked.len() < LEAKED_MAX;
        if leaks && self.dice(2_048) == 0 && self.scene.stays(entry.tenant) {
            return self.book.leaked.push(entry);
        }
        self.book.held.push(entry);
    }

    pub fn entry(&self, asked: Asked, id: GrantId, owned: Option<OwnedGrant>) -> Entry {
        let Asked { tenant, cookie, bytes } = asked;
        Entry { tenant, id, cookie, bytes, owned }
    }

    /// A grant that has ended for certain: its record is free.
    pub fn end(&mut self, entry: Entry) {
        self.book.free.push(cells::index(entry.cookie));
    }

    /// Any grant of the book.
    pub fn pick(&mut self) -> Option<usize> {
        let count = self.book.held.len() as u64;
        (count > 0).then(|| self.dice(count) as usize)
    }

    /// What a refusal counts as; a misuse that is none is a fault.
    pub fn refused(&self, refusal: Refusal) -> Outcome {
        match refusal {
            Refusal::Denied(denial) => Outcome::Denied(denial.reason),
            Refusal::Misuse(Error::Gone { .. }) => Outcome::Misuse,
            Refusal::Misuse(error) => self.wrong(error),
        }
    }

    /// An error that nothing called for.
    pub fn wrong(&self, error: Error) -> Outcome {
        self.report(Fault::new(format!("an error that nothing called for: {error}"), 0, 1));
        Outcome::Misuse
    }

    /// The governor says that a grant has ended: then somebody has said so who knows, or will, or
    /// its tenant was unregistered by force; or it is a victim now. Until that is clear it counts
    /// as live.
    pub fn doubt(&mut self, entry: Entry) {
        match self.scene.has_ended(&entry) {
            true => self.end(entry),
            false => self.book.doubtful.push(entry),
        }
    }

    /// Those of the doubtful that have not ended by now were only being asked for.
    fn settle_doubts(&mut self) {
        for entry in std::mem::take(&mut self.book.doubtful) {
            match self.scene.has_ended(&entry) {
                true => self.end(entry),
                false => self.book.held.push(entry),
            }
        }
    }

    /// A thread takes grants and ends, which leaves them to this one.
    fn be_visited(&mut self) {
        const GRANTS: usize = 4;
        if !self.book.has_room(GRANTS) {
            return;
        }
        let asked: Vec<(Asked, Request)> = (0..GRANTS).map(|_| self.ask()).collect();
        let requests: Vec<Request> = asked.iter().map(|&(_, request)| request).collect();
        let governor = &self.scene.governor;
        let visit = || -> Vec<_> { requests.iter().map(|r| governor.request_owned(r)).collect() };
        let answers = std::thread::scope(|scope| scope.spawn(visit).join());
        let Ok(answers) = answers else {
            return self.report(Fault::new("threads of visitors that panicked", 0, 1));
        };
        self.book.visitors += 1;
        for ((asked, _), answer) in asked.into_iter().zip(answers) {
            let outcome = self.granted_owned(asked, answer);
            self.book.tally.count(Verb::RequestOwned, outcome);
        }
    }
}
