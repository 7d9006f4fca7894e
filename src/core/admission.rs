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
//!
//! A limit or the capacity may be lowered below what is in use. As long as some group or the pool
//! is above its limit (`scarcity.rs`), whoever takes bytes out of use hands the claim up: idle
//! claim would let a charge commit that its ancestors have no room for (I1).

use super::Core;
use super::account::Obstacle;
use super::bugs::{Bug, planted};
use super::events::{End, Observer};
use super::grants::{Ended, Fields, Refused, flag};
use super::policy::Recency;
use super::queue::{NoSlot, Queue};
use super::rate::RateRefused;
use super::word::{GRANT_BYTES_MAX, Owner, State};

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
    /// Whether the limit of the rate has nothing to say of this request: it has passed it before,
    /// or there was none when it was made.
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
    /// The same, at the limit of the rate, which has not passed the request.
    Unpaced,
}

impl No {
    /// Whether the limit of the rate, if there is one, has passed the request.
    pub fn is_paced(self) -> bool {
        !matches!(self, Self::Rate(_) | Self::Unpaced | Self::Closed)
    }
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
            RateRefused::Contended => Self::Unpaced,
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
    /// Grants it has counted, if its type is: in a batch the first of its kind counts for all.
    count: u32,
}

impl Core {
    /// Decides a request. Steps: two read-modify-writes when the account's claim suffices, one
    /// more for the rate and two for the number of grants where they are limited; bounded always.
    /// Where bytes are scarce, claim that was bought beyond the need goes back at once.
    #[inline]
    pub fn admit(&self, ask: &Ask, observer: &dyn Observer) -> Result<Granted, No> {
        let answer = self.decide(ask, observer);
        self.after_charge(ask.account);
        answer
    }

    /// Where bytes are scarce, claim beyond the need goes back at once.
    #[inline]
    fn after_charge(&self, account: u32) {
        if self.scarcity.any() {
            self.give_up_rest(account);
        }
    }

    /// Whether there is claim that went up, or was left idle, and was not offered to those who wait
    /// since: who was refused before may fit.
    #[inline]
    pub fn is_unsettled(&self) -> bool {
        self.scarcity.is_unsettled() || self.accounts.has_collected()
    }

    #[inline]
    fn decide(&self, ask: &Ask, observer: &dyn Observer) -> Result<Granted, No> {
        self.pace(ask)?;
        if self.queue(ask.owner()).remembers() {
            self.ghosts.prefetch(ask.owner(), ask.fields.key);
        }
        // Nothing has to be prepared for what the own limit refuses at a look.
        if let Some((used, limit)) = self.own_refusal(ask) {
            return Err(No::Full { account: ask.account, asked: ask.bytes, used, limit });
        }
        for _ in 0..RESTARTS_MAX {
            let ready = self.prepare(ask, 1)?;
            match self.charge(ask.account, ask.generation, ready.counted, ask.bytes, 0) {
                Ok(()) => return Ok(self.publish(ask, &ready, observer)),
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

    #[inline]
    fn own_refusal(&self, ask: &Ask) -> Option<(u64, u64)> {
        let account = self.accounts.get(ask.account);
        let full = self.accounts.own_refusal(account, ask.generation, ask.bytes)?;
        // After the look: what of the use may be a batch's, which has begun before it charged.
        (!self.batches.any_but(0)).then_some(full)
    }

    /// The first checks: account in force, rate. A request passes the rate once, however often it
    /// begins again.
    #[inline]
    pub fn pace(&self, ask: &Ask) -> Result<(), No> {
        if ask.paced {
            return Ok(());
        }
        let tenant = self.tenant(ask.account);
        let in_force = || {
            // After the limit, and that after the bucket: if the account is still of this
            // generation, both were.
            let head = self.accounts.head(ask.account);
            let same = head.generation() == ask.generation && !head.closed();
            if same { Ok(()) } else { Err(No::Closed) }
        };
        tenant.rate.try_pass_by(in_force, ask.now_ns)
    }

    /// Every check but rate and bytes: account in force, number of grants, slot. Counts `count`
    /// grants, where their number is limited.
    #[inline]
    pub fn prepare(&self, ask: &Ask, count: u32) -> Result<Prepared, No> {
        let head = self.accounts.head(ask.account);
        if head.generation() != ask.generation || head.closed() {
            return Err(No::Closed);
        }
        let queue = self.queue(ask.owner());
        let counted = head.counted();
        let count = if ask.is_counted(counted) { count } else { 0 };
        if count > 0 {
            count_in(queue, count)?;
        }
        let slot = queue.reserve(&self.grants, ask.owner()).map_err(|none| {
            undo_count(queue, count);
            No::from(none)
        })?;
        Ok(Prepared { slot, counted, count })
    }

    /// Gives back what a prepared request took.
    pub fn abandon(&self, ask: &Ask, ready: &Prepared) {
        let queue = self.queue(ask.owner());
        self.grants.unreserve(ready.slot);
        queue.note_released(&self.grants, ready.slot);
        undo_count(queue, ready.count);
    }

    /// Charges, and lets a refusal stand only if no batch that gave bytes back can have caused it,
    /// save the `own` one that asks.
    #[inline]
    pub fn charge(
        &self,
        account: u32,
        generation: u32,
        counted: u8,
        bytes: u64,
        own: u64,
    ) -> Result<(), Obstacle> {
        let charge = || self.accounts.charge(account, generation, counted, bytes);
        match charge() {
            Err(Obstacle::Full { .. }) if self.batches.any_but(own) => {
                let before = self.batches.read();
                let again = charge();
                let refused = matches!(again, Err(Obstacle::Full { .. }));
                let certain = before.in_flight() == own && self.batches.read() == before;
                if refused && !certain { Err(Obstacle::Contended) } else { again }
            }
            answer => answer,
        }
    }

    /// Takes bytes of a tenant out of use. The claim stays with it in plenty; where bytes are
    /// scarce it goes up.
    #[inline]
    pub fn uncharge(&self, account: u32, bytes: u64) {
        self.accounts.uncharge(account, bytes);
        if self.scarcity.any() {
            self.give_up_claim(account);
        }
    }

    /// Hands the idle claim of an account up as far as it goes.
    #[cold]
    pub fn give_up_claim(&self, account: u32) {
        if self.accounts.hand_up(account).busy {
            self.scarcity.unsettle();
        }
    }

    /// Hands idle claim of an account up if somebody waits for it, or there is excess.
    pub fn offer_claim(&self, account: u32) {
        if self.scarcity.any() {
            self.give_up_claim(account);
        }
    }

    /// Hands up what was bought beyond the need where bytes are scarce, and says so: to those who
    /// look at the line next, and to the caller.
    #[cold]
    pub fn give_up_rest(&self, account: u32) -> bool {
        let withheld = self.accounts.hand_up(account).any();
        if withheld {
            self.scarcity.unsettle();
        }
        withheld
    }

    /// Makes a prepared and charged request a live grant.
    #[inline]
    pub fn publish(&self, ask: &Ask, ready: &Prepared, observer: &dyn Observer) -> Granted {
        let account = self.accounts.get(ask.account);
        let mut fields = ask.fields;
        let counted = ask.is_counted(ready.counted);
        if counted {
            fields.flags |= flag::COUNTED;
        }
        let clock = account.tick();
        let queue = self.queue(ask.owner());
        let frequency = if queue.remembers() {
            queue.frequency_of(&self.grants, self.ghosts.recall(ask.owner(), fields.key, clock))
        } else {
            1
        };
        let recency = Recency::new(clock, ask.cost, frequency);
        if self.events.is_enabled() {
            let next = self.grants.generation(ready.slot) + 1;
            observer.granted(ask.owner(), (ready.slot, next), ask.bytes);
        }
        let generation = self.grants.publish(ready.slot, ask.bytes, recency.0, &fields);
        if ready.count > 0 {
            queue.count_decided(ready.count, true);
        }
        account.note_used(self.accounts.used(ask.account));
        (ready.slot, generation)
    }

    /// Tells the eviction queue that the content was used. A handful of plain accesses; another
    /// thread that holds the grant at the same time is not in the way.
    #[inline]
    pub fn touch(&self, slot: u32, generation: u32, owner: Owner) -> Result<(), Refused> {
        if !self.grants.is_live(slot, generation, owner) {
            self.bytes_of(slot, generation, owner)?;
        }
        let clock = self.accounts.get(owner.account()).tick();
        let recency = Recency(self.grants.recency(slot));
        self.grants.set_recency(slot, recency.touched(clock).0);
        Ok(())
    }

    /// Bytes of this grant of this owner if it has not ended, whatever is being done to it. A few
    /// loads, and no wait for who changes it: while it grows or shrinks, what it had before.
    pub fn bytes_of(&self, slot: u32, generation: u32, owner: Owner) -> Result<u64, Refused> {
        let word = self.grants.word(slot);
        // After the word: the slot may have gone to the next grant before it was read, and the full
        // generation is not older than the word, which was acquired.
        let same = self.grants.generation(slot) == generation && self.grants.owner(slot) == owner;
        if !word.may_be(generation) || !same {
            return Err(Refused::Stale);
        }
        match word.state() {
            State::Live | State::Tuning | State::Evicting | State::Deferred => Ok(word.bytes()),
            State::Ending => Err(Refused::Evicted),
            State::Free if self.grants.was_evicted(slot, generation) => Err(Refused::Evicted),
            State::Free | State::Reserved | State::Gone => Err(Refused::Stale),
        }
    }

    /// Adds bytes to a live grant. Two read-modify-writes when the claim suffices.
    #[inline]
    pub fn grow(
        &self,
        slot: u32,
        generation: u32,
        owner: Owner,
        bytes: u64,
        observer: &dyn Observer,
    ) -> Result<Result<(), No>, Refused> {
        let held = self.grants.hold(slot, generation, owner)?;
        let account = owner.account();
        let mut charged = Err(Obstacle::Changed);
        // Larger only if another thread has grown the grant since the caller looked at its size.
        let fits = held.word.bytes().saturating_add(bytes) <= GRANT_BYTES_MAX;
        let turns = if fits { RESTARTS_MAX } else { 0 };
        for _ in 0..turns {
            let counted = self.accounts.head(account).counted();
            charged = self.charge(account, owner.generation(), counted, bytes, 0);
            if charged != Err(Obstacle::Changed) {
                break;
            }
        }
        self.after_charge(account);
        if charged.is_ok() && self.events.is_enabled() {
            observer.grown(owner, (slot, generation), bytes);
        }
        let more = if charged.is_ok() { bytes } else { 0 };
        self.grants.let_go(held, held.word.bytes() + more);
        if charged.is_ok() {
            self.accounts.get(account).note_used(self.accounts.used(account));
        }
        Ok(charged.map_err(No::from))
    }

    /// Takes bytes off a live grant, or answers how many it holds if they are not fewer than that.
    #[inline]
    pub fn shrink(
        &self,
        slot: u32,
        generation: u32,
        owner: Owner,
        bytes: u64,
        observer: &dyn Observer,
    ) -> Result<Result<(), u64>, Refused> {
        let held = self.grants.hold(slot, generation, owner)?;
        let has = held.word.bytes();
        if bytes >= has {
            self.grants.let_go(held, has);
            return Ok(Err(has));
        }
        if self.events.is_enabled() {
            observer.shrunk(owner, (slot, generation), bytes);
        }
        self.grants.let_go(held, has - bytes);
        self.uncharge(owner.account(), bytes);
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
        observer: &dyn Observer,
    ) -> Result<(u64, bool), Refused> {
        self.end((slot, generation), owner, End::Released, observer)
    }

    /// The same, for whoever ends it in its owner's place.
    #[inline]
    pub fn end(
        &self,
        (slot, generation): Granted,
        owner: Owner,
        end: End,
        observer: &dyn Observer,
    ) -> Result<(u64, bool), Refused> {
        let held = self.grants.hold_to_end(slot, generation, owner)?;
        let (account, bytes) = (owner.account(), held.word.bytes());
        if self.events.is_enabled() {
            observer.ended(owner, (slot, generation), bytes, end);
        }
        let counted = self.grants.flags(slot) & flag::COUNTED != 0;
        let queue = self.queue(owner);
        let evicting = held.word.state() == State::Evicting;
        if evicting {
            // First of all: as soon as the evictor sees that the grant is over, it counts on its
            // bytes, and on its place among those that are counted.
            self.uncharge(account, bytes);
        }
        if counted && evicting {
            queue.count_out();
        }
        let ended = self.grants.end(held);
        if counted && !evicting {
            queue.count_out();
        }
        match ended {
            Ended::WhileEvicting => return Ok((bytes, true)),
            Ended::Free => {
                queue.note_released(&self.grants, slot);
                self.uncharge(account, bytes);
            }
            Ended::Deferred { evictor } => {
                queue.note_freed(&self.grants, slot);
                self.return_deferred(account, evictor, bytes);
            }
        }
        Ok((bytes, ended != Ended::Free))
    }
}

#[cold]
fn count_in(queue: &Queue, count: u32) -> Result<(), No> {
    queue.count_in(count).map_err(|full| match full {
        Some(count) => No::Count { count },
        None => No::Contended,
    })
}

#[inline]
fn undo_count(queue: &Queue, count: u32) {
    if count > 0 {
        queue.count_decided(count, planted(Bug::CountKept));
    }
}

#[cfg(test)]
mod tests {
    use super::super::account::{LEVELS, Settings};
    use super::super::events::Nobody;
    use super::super::grants::SLOTS;
    use super::super::tests::{admit, ask, core};
    use super::*;

    #[test]
    fn only_what_the_rate_has_passed_is_paced() {
        let full = No::Full { account: 0, asked: 1, used: 1, limit: 1 };
        for no in [full, No::Count { count: 1 }, No::Slots, No::Contended] {
            assert!(no.is_paced(), "{no:?}");
        }
        assert!(![No::Rate(1), No::Unpaced, No::Closed].into_iter().any(No::is_paced));
    }

    #[test]
    fn a_grant_is_counted_by_its_own_type() {
        for kind in 0..4 {
            let ask = Ask { kind, ..ask(2, 1) };
            let is_counted = (0..16).filter(|&counted| ask.is_counted(counted));
            assert!(is_counted.eq((0..16).filter(|counted| counted >> kind & 1 == 1)));
        }
    }

    /// Nothing is prepared for what the own limit refuses, so that no slot has to be free for that.
    #[test]
    fn who_has_neither_bytes_nor_a_slot_left_is_told_of_the_bytes() {
        let (core, limit) = (core(1 << 20), SLOTS.into());
        let settings = Settings { limits: [limit; LEVELS], ..Settings::default() };
        core.accounts.configure(2, &settings).unwrap();
        (0..SLOTS).for_each(|_| _ = admit(&core, &ask(2, 1)));
        while core.admit(&ask(3, 1), &Nobody) != Err(No::Slots) {}
        let full = No::Full { account: 2, asked: 1, used: limit, limit };
        assert_eq!(core.admit(&ask(2, 1), &Nobody), Err(full));
    }

    /// What was collected is a reason to look at the line, whether it was enough or not.
    #[test]
    fn who_has_collected_says_so_and_nobody_else() {
        let grown = |core: &Core, granted: Granted, bytes| {
            core.grow(granted.0, granted.1, ask(2, 5).owner(), bytes, &Nobody).unwrap().is_ok()
        };
        for (more, enough) in [(5, true), (6, false)] {
            for grows in [false, true] {
                let core = core(15);
                let open = Settings { limits: [100; LEVELS], ..Settings::default() };
                for account in [1, 2] {
                    core.accounts.configure(account, &open).unwrap();
                }
                core.accounts.charge(4, 1, 0, 5).unwrap();
                core.accounts.uncharge(4, 5);
                core.scarcity.enter();
                assert!(core.scarcity.settle());
                let granted = core.admit(&ask(2, 5), &Nobody).unwrap();
                assert!(grown(&core, granted, 5) && !core.is_unsettled(), "that much was free");
                let ask_for = |bytes| match grows {
                    true => grown(&core, granted, bytes),
                    false => core.admit(&ask(2, bytes), &Nobody).is_ok(),
                };
                assert_eq!(ask_for(more), enough);
                assert!(core.is_unsettled() && core.accounts.take_collected());
                assert!(!ask_for(7) && !core.is_unsettled(), "there was nothing to collect");
            }
        }
    }

    /// Idle claim that goes up is a reason to look at the line again; where there is none, or it is
    /// certain that all of it went up, there is no reason.
    #[test]
    fn only_what_was_withheld_unsettles() {
        let core = core(100);
        core.accounts.charge(2, 1, 0, 5).unwrap();
        core.accounts.uncharge(2, 5);
        assert!(core.give_up_rest(2) && core.scarcity.settle());
        assert!(!core.give_up_rest(2) && !core.scarcity.is_unsettled());
        core.accounts.charge(2, 1, 0, 5).unwrap();
        core.accounts.uncharge(2, 5);
        core.give_up_claim(2);
        assert_eq!((core.accounts.claim(2), core.scarcity.is_unsettled()), (0, false));
    }
}
