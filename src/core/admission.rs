//! Where a grant is decided: every check, in order, on one screen ([`Core::admit`]), and the other
//! verbs of a grant's life.
//!
//! ```text
//! account in force -> rate -> number of grants -> slot -> bytes -> published
//! ```
//!
//! The slot is taken before the bytes are charged, so nothing that was charged is ever rolled
//! back: a large request that is refused never makes a small one fail. Bounded on every path (by
//! how much, says `steps.rs`): no lock, no allocation, no system call, no callback.

use super::Core;
use super::account::Obstacle;
use super::grants::{Ended, Fields, Refused, flag};
use super::policy::Recency;
use super::queue::{NoSlot, Queue};
use super::rate::RateRefused;
use super::word::{GRANT_BYTES_MAX, Owner};

/// Times an admission begins again because the types that are counted have changed meanwhile.
pub const RESTARTS_MAX: u32 = 4;

/// A request as the core sees it.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// Account of the tenant.
    pub account: u32,
    /// Generation of the account.
    pub generation: u32,
    /// Number of the allocation type.
    pub kind: u8,
    /// Bytes, at least 1 and at most [`super::word::GRANT_BYTES_MAX`].
    pub bytes: u64,
    /// Key, cookie, expiry, flags.
    pub fields: Fields,
    /// Cost to rebuild the content, in any unit the tenant chooses.
    pub cost: u32,
    /// Now, by the governor's clock.
    pub now_ns: u64,
    /// Whether the rate limit has passed this request before.
    pub paced: bool,
}

impl Ask {
    /// Whose slots the request uses.
    #[inline]
    pub fn owner(&self) -> Owner {
        Owner::new(self.account, self.generation, self.kind)
    }

    /// Whether grants of this request's type are among the counted ones.
    #[inline]
    fn is_counted(&self, counted: u8) -> bool {
        counted & (1 << self.kind) != 0
    }
}

/// The slot and generation of a grant.
pub type Granted = (u32, u32);

/// Why there is no grant, in the core's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum No {
    /// An account has no room.
    Full {
        /// The account that refused.
        account: u32,
        /// Bytes it was asked for.
        asked: u64,
        /// Bytes in use there.
        used: u64,
        /// Its limit in force.
        limit: u64,
    },
    /// The tenant may hold no more grants of this type.
    Count {
        /// Grants it holds.
        count: u64,
    },
    /// Too many requests; so many ns until the next may pass.
    Rate(u64),
    /// No slot is left.
    Slots,
    /// The account is closed, or belongs to somebody else by now.
    Closed,
    /// The bound of steps ran out before the answer was certain.
    Contended,
}

impl From<Obstacle> for No {
    fn from(obstacle: Obstacle) -> Self {
        match obstacle {
            Obstacle::Full { account, asked, used, limit } => {
                Self::Full { account, asked, used, limit }
            }
            Obstacle::Closed => Self::Closed,
            Obstacle::Changed | Obstacle::Contended => Self::Contended,
        }
    }
}

impl From<RateRefused> for No {
    fn from(refused: RateRefused) -> Self {
        match refused {
            RateRefused::RetryAfter { wait_ns } => Self::Rate(wait_ns),
            RateRefused::Contended => Self::Contended,
        }
    }
}

impl From<NoSlot> for No {
    fn from(none: NoSlot) -> Self {
        match none {
            NoSlot::Exhausted => Self::Slots,
            NoSlot::Contended => Self::Contended,
        }
    }
}

/// A request that has everything but its bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Prepared {
    /// The slot reserved for it.
    pub slot: u32,
    /// The types that were counted when it was prepared, one bit each.
    pub counted: u8,
}

impl Core {
    /// Decides a request. Steps: two read-modify-writes when the account's claim suffices, one
    /// more for the rate and two for the number of grants where they are limited; bounded always.
    #[inline]
    pub fn admit(&self, ask: &Ask) -> Result<Granted, No> {
        for _ in 0..RESTARTS_MAX {
            let ready = self.prepare(ask)?;
            match self.charge(ask.account, ask.generation, ready.counted, ask.bytes) {
                Ok(()) => return Ok(self.publish(ask, &ready)),
                Err(obstacle) => {
                    self.abandon(ask, &ready);
                    if obstacle != Obstacle::Changed {
                        return Err(obstacle.into());
                    }
                }
            }
        }
        Err(No::Contended)
    }

    /// Every check but the last: account in force, rate, number of grants, slot.
    #[inline]
    pub fn prepare(&self, ask: &Ask) -> Result<Prepared, No> {
        let head = self.accounts.head(ask.account);
        if head.generation() != ask.generation || head.closed() {
            return Err(No::Closed);
        }
        let tenant = self.tenant(ask.account);
        if let Some(limit) = tenant.rate_limit()
            && !ask.paced
        {
            tenant.rate.try_pass(limit, ask.now_ns)?;
        }
        let queue = &tenant.queues[usize::from(ask.kind)];
        let counted = head.counted();
        if ask.is_counted(counted) {
            count_in(queue)?;
        }
        let slot = queue.reserve(&self.grants, ask.owner()).map_err(|none| {
            undo_count(queue, ask.is_counted(counted));
            No::from(none)
        })?;
        Ok(Prepared { slot, counted })
    }

    /// Gives back what a prepared request took.
    pub fn abandon(&self, ask: &Ask, ready: &Prepared) {
        let queue = &self.tenant(ask.account).queues[usize::from(ask.kind)];
        self.grants.unreserve(ready.slot);
        queue.note_freed(ready.slot);
        undo_count(queue, ask.is_counted(ready.counted));
    }

    /// Charges, and lets a refusal stand only if no batch that gave bytes back can have caused it.
    #[inline]
    fn charge(&self, index: u32, gen_: u32, counted: u8, bytes: u64) -> Result<(), Obstacle> {
        match self.accounts.charge(index, gen_, counted, bytes) {
            Err(Obstacle::Full { .. }) if self.batches.any_yet() => {
                let before = self.batches.read();
                let again = self.accounts.charge(index, gen_, counted, bytes);
                let refused = matches!(again, Err(Obstacle::Full { .. }));
                let certain = before.quiet() && self.batches.read() == before;
                if refused && !certain { Err(Obstacle::Contended) } else { again }
            }
            answer => answer,
        }
    }

    /// Makes a prepared and charged request a live grant.
    #[inline]
    pub fn publish(&self, ask: &Ask, ready: &Prepared) -> Granted {
        let tenant = self.tenant(ask.account);
        let mut fields = ask.fields;
        let counted = ask.is_counted(ready.counted);
        if counted {
            fields.flags |= flag::COUNTED;
        }
        let clock = tenant.tick();
        let ghost = self.ghosts.recall(ask.owner(), fields.key, clock);
        let frequency = tenant.queues[usize::from(ask.kind)].frequency_of(ghost);
        let recency = Recency::new(clock, ask.cost, frequency);
        let generation = self.grants.publish(ready.slot, ask.bytes, recency.0, &fields);
        if counted {
            tenant.queues[usize::from(ask.kind)].count_decided(1, true);
        }
        tenant.note_used(self.accounts.used(ask.account));
        (ready.slot, generation)
    }

    /// Tells the eviction queue that the content was used. A handful of plain accesses.
    #[inline]
    pub fn touch(&self, slot: u32, generation: u32, owner: Owner) -> bool {
        if !self.grants.is_live(slot, generation, owner) {
            return false;
        }
        let clock = self.tenant(owner.account()).tick();
        let recency = Recency(self.grants.recency(slot));
        self.grants.set_recency(slot, recency.touched(clock).0);
        true
    }

    /// Adds bytes to a live grant. Two read-modify-writes when the claim suffices.
    pub fn grow(
        &self,
        slot: u32,
        generation: u32,
        owner: Owner,
        bytes: u64,
    ) -> Result<Result<(), No>, Refused> {
        let held = self.grants.hold(slot, generation, owner)?;
        let account = owner.account();
        let mut charged = Err(Obstacle::Changed);
        // Larger only if another thread has grown the grant since the caller looked at its size.
        let fits = held.word.bytes().saturating_add(bytes) <= GRANT_BYTES_MAX;
        let turns = if fits { RESTARTS_MAX } else { 0 };
        for _ in 0..turns {
            let counted = self.accounts.head(account).counted();
            charged = self.charge(account, owner.generation(), counted, bytes);
            if charged != Err(Obstacle::Changed) {
                break;
            }
        }
        let more = if charged.is_ok() { bytes } else { 0 };
        self.grants.let_go(held, held.word.bytes() + more);
        if charged.is_ok() {
            self.tenant(account).note_used(self.accounts.used(account));
        }
        Ok(charged.map_err(No::from))
    }

    /// Takes bytes off a live grant, or answers how many it holds if they are not fewer than that.
    pub fn shrink(
        &self,
        slot: u32,
        generation: u32,
        owner: Owner,
        bytes: u64,
    ) -> Result<Result<(), u64>, Refused> {
        let held = self.grants.hold(slot, generation, owner)?;
        let has = held.word.bytes();
        if bytes >= has {
            self.grants.let_go(held, has);
            return Ok(Err(has));
        }
        self.grants.let_go(held, has - bytes);
        self.accounts.uncharge(owner.account(), bytes);
        Ok(Ok(()))
    }

    /// Changes the fields of a live grant; `change` may refuse by answering an error.
    pub fn change<E>(
        &self,
        slot: u32,
        generation: u32,
        owner: Owner,
        change: impl FnOnce(&mut Fields) -> Result<(), E>,
    ) -> Result<Result<(), E>, Refused> {
        let held = self.grants.hold(slot, generation, owner)?;
        let mut fields = self.grants.fields(slot);
        let answer = change(&mut fields);
        match answer {
            Ok(()) => self.grants.let_go_with(held, &fields),
            Err(_) => self.grants.let_go(held, held.word.bytes()),
        }
        Ok(answer)
    }

    /// Ends a grant and takes its bytes out of use; answers the bytes and whether an evictor was
    /// at it. Two read-modify-writes.
    #[inline]
    pub fn release(
        &self,
        slot: u32,
        generation: u32,
        owner: Owner,
    ) -> Result<(u64, bool), Refused> {
        let held = self.grants.hold_to_end(slot, generation, owner)?;
        let bytes = held.word.bytes();
        let counted = self.grants.flags(slot) & flag::COUNTED != 0;
        let ended = self.grants.end(held);
        let queue = &self.tenant(owner.account()).queues[usize::from(owner.allocation_type())];
        if counted {
            queue.count_out();
        }
        if ended != Ended::WhileEvicting {
            queue.note_freed(slot);
        }
        self.accounts.uncharge(owner.account(), bytes);
        if let Ended::Deferred { evictor } = ended {
            self.deferred_is_free(owner.account(), evictor, bytes);
        }
        Ok((bytes, ended != Ended::Free))
    }
}

#[cold]
fn count_in(queue: &Queue) -> Result<(), No> {
    queue.count_in(1).map_err(|full| match full {
        Some(count) => No::Count { count },
        None => No::Contended,
    })
}

#[inline]
fn undo_count(queue: &Queue, counted: bool) {
    if counted {
        queue.count_decided(1, false);
    }
}
