//! Requests that are granted together or not at all.
//!
//! A batch of one tenant is one charge of the sum. A batch over several tenants has to charge them
//! in turn, and give back what it got when a later one refuses; meanwhile other requests could be
//! refused because of bytes that are about to return. The *batch word* forbids that such a refusal
//! stands as true, also that of another batch:
//!
//! ```text
//! batch word   begun | in flight
//! a denial is certain only if no other batch was in flight, and none began, while it was decided
//! ```
//!
//! Each tenant has such a word as well, of the batches that charge it: for who asks about its own
//! limit alone, and would be in doubt for as long as there are batches of others.

use super::Core;
use super::account::Obstacle;
use super::admission::{Ask, Granted, No, Prepared};
use super::bugs::{Bug, planted};
use super::events::Observer;
use super::sync::{AtomicU64, Ordering};

/// Requests a batch may hold.
pub const BATCH_MAX: usize = 64;

/// The batch word.
pub struct Batches(AtomicU64);

/// A reading of the batch word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reading(u64);

const BEGUN: u64 = 1 << 16;

impl Reading {
    /// A batch word now: that of all, or of a tenant.
    #[inline]
    pub fn of(word: &AtomicU64) -> Self {
        // Acquire: pairs with the AcqRel in `begin` and `end`: who was refused because of a
        // batch's charge has acquired it in the used word, so it sees the batch here.
        Self(word.load(Ordering::Acquire))
    }

    /// Whether there was no batch then, and none has begun since: asked with the word now.
    pub fn was_quiet(self, now: Self) -> bool {
        self.in_flight() == 0 && now == self
    }

    /// Batches in flight.
    pub fn in_flight(self) -> u64 {
        self.0 % BEGUN
    }
}

impl Batches {
    /// No batch yet.
    pub fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Whether there ever was a batch over several tenants, beside the `own` one.
    #[inline]
    pub fn any_but(&self, own: u64) -> bool {
        self.read().0 != own * (BEGUN + 1) && !planted(Bug::BatchUnseen)
    }

    /// The word now.
    #[inline]
    pub fn read(&self) -> Reading {
        Reading::of(&self.0)
    }
}

fn begin(word: &AtomicU64) {
    // AcqRel: before the first charge, which publishes it through the used word.
    word.fetch_add(BEGUN + 1, Ordering::AcqRel);
}

fn end(word: &AtomicU64) {
    // AcqRel: after the last hand-back; pairs with the Acquire in `Reading::of`.
    word.fetch_sub(1, Ordering::AcqRel);
}

impl Default for Batches {
    fn default() -> Self {
        Self::new()
    }
}

impl Core {
    /// Grants all of `asks`, at most [`BATCH_MAX`], or none. `granted` receives the slots in the
    /// same order. Bounded, like the requests one by one.
    ///
    /// # Errors
    ///
    /// The request that was refused, and why. The sum of a tenant's requests is refused at the
    /// first of them.
    pub fn admit_all(
        &self,
        asks: &[Ask],
        granted: &mut [Granted],
        observer: &dyn Observer,
    ) -> Result<(), (usize, No)> {
        debug_assert!(asks.len() <= BATCH_MAX && asks.len() == granted.len());
        let mut ready = [Prepared::default(); BATCH_MAX];
        let mut prepared = 0;
        let answer = asks.iter().zip(&mut ready).enumerate().try_for_each(|(i, (ask, ready))| {
            let alike = |other: &&Ask| other.owner() == ask.owner();
            let first = !asks[..i].iter().any(|other| alike(&other));
            let count = if first { asks.iter().filter(alike).count() as u32 } else { 0 };
            let prepared_one = self.pace(ask).and_then(|()| self.prepare(ask, count));
            *ready = prepared_one.map_err(|no| (i, no))?;
            prepared += 1;
            Ok(())
        });
        let answer = answer.and_then(|()| self.charge_all(asks, &ready));
        for (i, ask) in asks[..prepared].iter().enumerate() {
            match answer {
                Ok(()) => granted[i] = self.publish(ask, &ready[i], observer),
                Err(_) => self.abandon(ask, &ready[i]),
            }
        }
        answer
    }

    /// Whether what a tenant uses is more than what is set aside for it and what a batch may have
    /// there for a moment. Exact of one that was closed, while nobody is at work for it.
    pub fn holds_grants(&self, account: u32) -> bool {
        let before = Reading::of(&self.tenant(account).batches);
        let used = self.accounts.used(account);
        used > self.aside_of(account)
            && before.was_quiet(Reading::of(&self.tenant(account).batches))
    }

    /// One charge for each tenant, of the sum of its requests.
    fn charge_all(&self, asks: &[Ask], ready: &[Prepared]) -> Result<(), (usize, No)> {
        let first = |i: &usize| asks[..*i].iter().all(|a| a.account != asks[*i].account);
        let same = |i: usize| (i..asks.len()).filter(move |&j| asks[j].account == asks[i].account);
        let sum = |i: usize| same(i).map(|j| asks[j].bytes).sum::<u64>();
        let tenants = (0..asks.len()).filter(first);
        let several = tenants.clone().nth(1).is_some();
        if several {
            begin(&self.batches.0);
        }
        let mut answer = Ok(());
        if several {
            tenants.clone().for_each(|i| begin(&self.tenant(asks[i].account).batches));
        }
        for i in tenants.clone() {
            let (account, generation) = (asks[i].account, asks[i].generation);
            let counted = ready[i].counted;
            let charged = if same(i).all(|j| ready[j].counted == counted) {
                self.charge(account, generation, counted, sum(i), u64::from(several))
            } else {
                Err(Obstacle::Contended)
            };
            if let Err(obstacle) = charged {
                let before = tenants.clone().take_while(|&j| j != i);
                let before = before.filter(|_| !planted(Bug::BatchHalfKept));
                before.for_each(|j| self.uncharge(asks[j].account, sum(j)));
                answer = Err((i, obstacle.into()));
                break;
            }
        }
        if several {
            tenants.for_each(|i| end(&self.tenant(asks[i].account).batches));
            end(&self.batches.0);
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_sees_every_other_one() {
        let batches = Batches::new();
        assert!(!batches.any_but(0));
        begin(&batches.0);
        assert!(batches.any_but(0) && !batches.any_but(1));
        assert_eq!(batches.read().in_flight(), 1);
        begin(&batches.0);
        assert!(batches.any_but(1));
        end(&batches.0);
        end(&batches.0);
        assert!(batches.any_but(0) && batches.any_but(1), "there was one");
        assert_eq!(batches.read().in_flight(), 0);
    }
}
