//! Getting bytes back: who is asked (`order.rs` says in which order), and when it is enough.
//!
//! ```text
//! E1  used + demand <= limit + freeing + kept  =>  nobody claims another victim for that account
//! E2  no tenant and no group below its guarantee (`order.rs`)
//! ```
//!
//! Requests that are short add what they need to the *demand* of the account that refused. Bytes
//! are counted as *freeing*, at that account, at the victim's tenant and at every group between
//! them, before a victim is claimed and leave the count only after they have left the used word;
//! who evicts reads `freeing` first and `used` second, so bytes are never missed between the two.
//! A request withdraws its demand before it charges again.
//!
//! While anybody buys for an account its claim is not trimmed, so freed bytes may be *kept* below
//! the account that is short: they leave the count, and its used word has them still. No other
//! victim goes for them. Who freed them demands them no more, nor what was idle and went up to
//! where its own charge finds it. `kept` is what is idle on the way of the next victim after an
//! attempt to hand it up; the requester's charge collects it, or is told that others are in the
//! way. For E2 a group has in grants what its tenants use at one instant, or are guaranteed:
//! nothing that is idle or on its way below it.
//!
//! The limit of the number of grants is looked at again before each victim, so that what others
//! evict meanwhile counts; while they do, it is not said that nothing may go.
//!
//! Owners are asked with nothing held: a callback may call any function of the governor. This path
//! is bounded by the number of victims and accounts, not by a constant, and may wait for the few
//! instructions of an owner's release; only `request` and the balancer take it.

use super::Core;
use super::account::{DEPTH_MAX, ROOT, Trimmed};
use super::bugs::{Bug, planted};
use super::events::{End, Observer};
use super::grants::{Refused, Settled, Victim, flag};
use super::order::{Ahead, Goal, Rank, Shortage, Sums};
use super::policy::Recency;
use super::queue::Pick;
use super::sync::Ordering;
use super::word::{OnTheWay, Owner};

/// Attempts on the queues of one shortage whose victims others claim first, in a row.
const RACES_MAX: u32 = 64;
/// Attempts to hand up claim at which another thread is at work.
pub const PASS_TURNS_MAX: u32 = 8;

/// What an owner answers when its grant is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReclaimAnswer {
    /// The memory is free now.
    Freed,
    /// The owner will release the grant; its bytes count as being freed until then. This is a
    /// promise, and others are denied memory rather than evicted for it meanwhile: if it is not
    /// kept within [`crate::GovernorConfig::promise_ns`] the grant counts as declined, like one
    /// whose owner was busy. It may be released later all the same.
    Deferred,
    /// Not now: the grant is left alone for a while.
    Busy,
}

/// Who is asked for victims.
pub trait Owners {
    /// Asks the owner of a grant to free it; `None` if there is nobody to ask. Called with nothing
    /// held.
    fn reclaim(&self, victim: &Victim) -> Option<ReclaimAnswer>;

    /// Takes a victim for whom there was nobody to ask, and whose bytes count as being freed until
    /// it is released or declined. Called with nothing held.
    fn hand_out(&self, victim: &Victim);

    /// Takes note of a victim whose bytes count as being freed until it is released or declined,
    /// whether it was handed out or its owner said so. Called with nothing held.
    fn note_promise(&self, victim: &Victim);

    /// Takes note of a victim that has ended by this, and not by its owner's release: its bytes are
    /// in use until this returns.
    fn note_end(&self, victim: &Victim);
}

/// What an eviction achieved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Relief {
    /// Grants that ended.
    pub grants: u32,
    /// Bytes that are free now.
    pub freed: u64,
    /// Grants whose owners promised to release them.
    pub promised: u32,
    /// Bytes of those.
    pub deferred: u64,
    /// Grants whose owners were busy.
    pub busy: u32,
    /// What is free and on its way covers all demand.
    pub enough: bool,
    /// It was given up because others were faster again and again, or keep what was freed.
    pub raced: bool,
}

impl Relief {
    /// Owners asked.
    fn victims(&self) -> u32 {
        self.grants.saturating_add(self.promised).saturating_add(self.busy)
    }

    /// This and an earlier one together.
    pub fn after(self, earlier: Self) -> Self {
        Self {
            grants: self.grants.saturating_add(earlier.grants),
            freed: self.freed.saturating_add(earlier.freed),
            promised: self.promised.saturating_add(earlier.promised),
            deferred: self.deferred.saturating_add(earlier.deferred),
            busy: self.busy.saturating_add(earlier.busy),
            ..self
        }
    }
}

enum Step {
    Enough,
    /// What is kept on the way covers the demand.
    Kept,
    NoVictim,
    /// Nothing may go now, but others are at work that decide about it.
    Unsure,
    Raced,
    Done,
}

/// The accounts in which a victim's bytes are counted while they are on their way: its tenant, and
/// all above it up to the one that is short. They stay the same as long as the bytes are in use.
struct Way {
    accounts: [u32; DEPTH_MAX as usize + 1],
    freeing: [OnTheWay; DEPTH_MAX as usize + 1],
    length: usize,
}

impl Way {
    fn accounts(&self) -> &[u32] {
        &self.accounts[..self.length]
    }

    /// What was on it when it was looked at; nothing is known of accounts beside it.
    fn freeing(&self, account: u32) -> Option<OnTheWay> {
        let at = self.accounts().iter().position(|&a| a == account);
        at.map(|at| self.freeing[at])
    }
}

impl Core {
    /// Evicts for a shortage until it is relieved, nothing more may go, or the bound is reached.
    pub fn make_room(&self, shortage: &Shortage, owners: &dyn Owners) -> Relief {
        self.make_room_from(shortage, owners, false)
    }

    /// The same for who has found others in its way again and again: what they keep counts as in
    /// use, and the next in order is asked instead of who cannot pass on what it frees.
    pub fn make_room_elsewhere(&self, shortage: &Shortage, owners: &dyn Owners) -> Relief {
        self.make_room_from(shortage, owners, true)
    }

    fn make_room_from(&self, shortage: &Shortage, owners: &dyn Owners, elsewhere: bool) -> Relief {
        let mut relief = Relief::default();
        let mut ahead = Ahead::default();
        // In the queues up to here nothing may go.
        let mut after = None;
        let mut joined = self.join_demand(shortage);
        let (mut races, mut unclear) = (0, false);
        let (used, leaving) = (|a| self.in_grants(a), |a| self.freeing(a).bytes());
        let sums = Sums { used: &used, leaving: &leaving };
        while relief.victims() < shortage.victims_max && !relief.enough && !relief.raced {
            if shortage.spared().is_some_and(|grant| !self.grants.is_there(grant)) {
                // It has gone meanwhile: nothing more goes for its growth.
                break;
            }
            let Some(rank) = self.next_queue(shortage, after, sums, &mut ahead) else { break };
            match self.evict_from(shortage, rank, owners, &mut relief, &mut joined) {
                Step::Enough => relief.enough = true,
                Step::NoVictim => after = Some(rank),
                Step::Unsure => (after, unclear) = (Some(rank), true),
                Step::Kept => {
                    (after, unclear) = (Some(rank), true);
                    relief.raced = !elsewhere;
                }
                Step::Raced => {
                    races += 1;
                    relief.raced = races == RACES_MAX;
                    // What others did may have put queues before those that were looked at.
                    (ahead, after) = (Ahead::default(), None);
                }
                Step::Done => {
                    races = 0;
                    ahead.begin_again();
                    // Most shortages take one victim.
                    relief.enough = self.is_relieved(shortage, joined);
                }
            }
        }
        self.leave_demand(shortage, joined);
        relief.raced |= unclear && !relief.enough;
        relief
    }

    fn join_demand(&self, shortage: &Shortage) -> u64 {
        let Goal::Demand(bytes) = shortage.goal else { return 0 };
        let demand = self.accounts.get(shortage.account).demand();
        // AcqRel: pairs with the Acquire in `is_enough`; withdrawn before the next charge.
        demand.fetch_add(bytes, Ordering::AcqRel);
        bytes
    }

    fn leave_demand(&self, shortage: &Shortage, joined: u64) {
        // AcqRel: as in `join_demand`.
        self.accounts.get(shortage.account).demand().fetch_sub(joined, Ordering::AcqRel);
    }

    /// Bytes that the requester finds below the account are not demanded of it any more.
    fn demand_less(&self, shortage: &Shortage, bytes: u64, joined: &mut u64) {
        let covered = bytes.min(*joined);
        self.leave_demand(shortage, covered);
        *joined -= covered;
    }

    /// The way of a tenant's bytes up to `short`, with what is on it now; none if `short` is not
    /// above the tenant.
    fn way(&self, tenant: u32, short: u32) -> Option<Way> {
        let empty = [OnTheWay(0); DEPTH_MAX as usize + 1];
        let mut way = Way { accounts: [ROOT; DEPTH_MAX as usize + 1], freeing: empty, length: 0 };
        let mut at = tenant;
        for _ in 0..=DEPTH_MAX {
            way.accounts[way.length] = at;
            way.freeing[way.length] = self.freeing(at);
            way.length += 1;
            if at == short {
                return Some(way);
            }
            if at == ROOT {
                return None;
            }
            at = self.accounts.parent(at);
        }
        None
    }

    /// Counts bytes as on their way before their holder is asked; fails, and counts nothing, if
    /// others did meanwhile.
    fn set_off(&self, way: &Way, bytes: u64) -> bool {
        // From the top, where most evictors meet.
        for at in (0..way.length).rev() {
            if !self.count_freeing(way.accounts[at], way.freeing[at], bytes) {
                way.accounts()[at + 1..].iter().for_each(|&a| self.leave_freeing(a, bytes));
                return false;
            }
        }
        true
    }

    fn count_freeing(&self, account: u32, seen: OnTheWay, bytes: u64) -> bool {
        // AcqRel: pairs with the Acquire in `freeing`. Relaxed on failure: read again.
        let (success, failure) = (Ordering::AcqRel, Ordering::Relaxed);
        let word = self.accounts.get(account).freeing();
        word.compare_exchange(seen.0, seen.plus(bytes).0, success, failure).is_ok()
    }

    fn leave_freeing(&self, account: u32, bytes: u64) {
        // AcqRel: pairs with the Acquire in `freeing`; the bytes have left the used word before.
        self.accounts.get(account).freeing().fetch_sub(bytes, Ordering::AcqRel);
    }

    /// Bytes are on their way no more: they have left the used words, or stay after all.
    fn leave(&self, accounts: &[u32], bytes: u64) {
        accounts.iter().for_each(|&account| self.leave_freeing(account, bytes));
    }

    /// E1: whether what is free and what is on its way covers all demand. `freeing` was read
    /// before, and must not have moved when the next victim is counted.
    fn is_enough(
        &self,
        shortage: &Shortage,
        owner: Owner,
        relief: &Relief,
        joined: u64,
        way: &Way,
    ) -> bool {
        let gone = relief.freed.saturating_add(relief.deferred);
        let freeing = way.freeing(shortage.account).map_or(0, OnTheWay::bytes);
        match shortage.goal {
            Goal::Bytes(bytes) => gone >= bytes,
            Goal::Down { by, .. } => gone >= by || self.covers(shortage, freeing),
            Goal::Grants(grants) => {
                // Before the count: who has left both by then is not missed.
                let promised = self.promised_grants(owner);
                self.queue(owner).beyond(grants) <= promised
            }
            Goal::Demand(_) => joined == 0 || self.covers(shortage, freeing),
        }
    }

    /// E1, as of now, for a shortage that demands bytes.
    fn is_relieved(&self, shortage: &Shortage, joined: u64) -> bool {
        let demands = matches!(shortage.goal, Goal::Demand(_));
        let covered = || self.covers(shortage, self.freeing(shortage.account).bytes());
        demands && (joined == 0 || covered())
    }

    /// Whether so many bytes on their way are enough for all that is demanded of the account, or to
    /// bring it down.
    fn covers(&self, shortage: &Shortage, freeing: u64) -> bool {
        let used = self.accounts.used(shortage.account);
        if let Goal::Down { to, .. } = shortage.goal {
            return used <= to.saturating_add(freeing);
        }
        let limit = self.accounts.limit(shortage.account);
        // Acquire: pairs with the AcqRel in `join_demand`.
        let demand = self.accounts.get(shortage.account).demand().load(Ordering::Acquire);
        used.saturating_add(demand) <= limit.saturating_add(freeing)
    }

    /// Evicts one grant of the queue.
    fn evict_from(
        &self,
        shortage: &Shortage,
        rank: Rank,
        owners: &dyn Owners,
        relief: &mut Relief,
        joined: &mut u64,
    ) -> Step {
        let owner = Owner::new(rank.account, self.accounts.generation(rank.account), rank.kind);
        let Some(way) = self.way(rank.account, shortage.account) else { return Step::NoVictim };
        if self.is_enough(shortage, owner, relief, *joined, &way) {
            return Step::Enough;
        }
        if (*joined > 0 || matches!(shortage.goal, Goal::Down { .. }))
            && let Some(step) = self.use_kept(shortage, &way, joined)
        {
            return step;
        }
        let Some(pick) = self.pick_for(owner, shortage) else {
            // Others may be at the last grant of those that are counted.
            let counts = matches!(shortage.goal, Goal::Grants(_));
            let unsure = counts && self.is_being_evicted(rank.account);
            return if unsure { Step::Unsure } else { Step::NoVictim };
        };
        let bytes = pick.word.bytes();
        if let Some(step) = self.spare_owner(shortage, &way, bytes) {
            return step;
        }
        if !self.set_off(&way, bytes) {
            return Step::Raced;
        }
        match self.claim(pick, owner, shortage.now_ns) {
            Some(victim) => {
                if self.queue(owner).remembers() {
                    self.ghosts.prefetch(owner, victim.fields.key);
                }
                self.ask_owner(shortage, &victim, &way, owners, relief, joined);
                Step::Done
            }
            None => {
                self.leave(way.accounts(), bytes);
                Step::Raced
            }
        }
    }

    /// E1: idle claim on a victim's way goes up before the victim is asked. What to do instead, if
    /// there was any and that is enough, or may be, or less is demanded now.
    fn use_kept(&self, shortage: &Shortage, way: &Way, joined: &mut u64) -> Option<Step> {
        let top = self.destination(shortage, way);
        let idle = self.idle_on(way, top);
        if idle == 0 {
            return None;
        }
        if let Some(arrived) = self.hand_up(way.accounts(), top) {
            if top != shortage.account {
                // From there it is the requester's next charge that goes on, as of what was freed.
                self.demand_less(shortage, arrived, joined);
            }
            return Some(Step::Raced);
        }
        let freeing = way.freeing(shortage.account).map_or(0, OnTheWay::bytes);
        self.covers(shortage, freeing.saturating_add(idle)).then_some(Step::Kept)
    }

    /// Idle claim on a way that `top` is short of: what would arrive there if all were handed up.
    fn idle_on(&self, way: &Way, top: u32) -> u64 {
        way.accounts().iter().take_while(|&&account| account != top).fold(0, |rising, &account| {
            let claim = self.accounts.claim(account);
            let used = self.accounts.used(account).saturating_sub(rising);
            claim.saturating_sub(used.max(self.accounts.guarantee(account)))
        })
    }

    /// E2: what to do instead of asking for a grant, if its tenant may not lose so many bytes, or
    /// that is not certain.
    fn spare_owner(&self, shortage: &Shortage, way: &Way, bytes: u64) -> Option<Step> {
        let tenant = way.accounts[0];
        let leaving = |a| way.freeing(a).unwrap_or_else(|| self.freeing(a)).bytes();
        let (used, surely_used) = (|a| self.in_grants(a), |a| self.surely_in_grants(a));
        if self.may_lose(shortage, tenant, bytes, Sums { used: &surely_used, leaving: &leaving }) {
            return None;
        }
        if !self.may_lose(shortage, tenant, bytes, Sums { used: &used, leaving: &leaving }) {
            return Some(Step::NoVictim);
        }
        // Once nothing is idle below them it is certain what groups have in grants.
        let top = self.meeting(shortage, tenant);
        let groups = way.accounts()[1..].iter().take_while(|&&account| account != top);
        let mut groups = groups.filter(|&&group| self.accounts.guarantee(group) > 0);
        let settled = groups.all(|&group| self.accounts.collect(group, u64::MAX));
        let surely = Sums { used: &surely_used, leaving: &leaving };
        // Where others release all the time it is not: then the next in order is asked.
        let certain = settled && self.may_lose(shortage, tenant, bytes, surely);
        Some(if certain { Step::Raced } else { Step::Unsure })
    }

    /// Bytes in grants of an account, without what may be idle or on its way below it.
    fn surely_in_grants(&self, account: u32) -> u64 {
        match self.accounts.is_inner(account) {
            true => self.without_aside(account, || self.accounts.surely_used(account)),
            false => self.in_grants(account),
        }
    }

    /// Claims a candidate, unless it may not be evicted after all.
    fn claim(&self, pick: Pick, owner: Owner, now_ns: u64) -> Option<Victim> {
        let may_go = |v: &Victim| v.owner == owner && v.fields.is_evictable(now_ns);
        self.grants.claim_victim(pick.slot, pick.word, may_go)
    }

    fn ask_owner(
        &self,
        shortage: &Shortage,
        victim: &Victim,
        way: &Way,
        owners: &dyn Owners,
        relief: &mut Relief,
        joined: &mut u64,
    ) {
        let before = self.accounts.used(shortage.account);
        let uncommitted = victim.fields.flags & flag::UNCOMMITTED != 0;
        let answer = if uncommitted { Some(ReclaimAnswer::Freed) } else { owners.reclaim(victim) };
        let settled = match answer {
            Some(ReclaimAnswer::Freed) => self.grants.settle_freed(victim),
            Some(ReclaimAnswer::Busy) => self.grants.settle_busy(victim, shortage.keep_until_ns),
            _ => self.grants.settle_deferred(victim, shortage.account),
        };
        let early = planted(Bug::FreedBeforeUsed) && settled != Settled::Kept;
        if early {
            self.leave(way.accounts(), victim.bytes);
        }
        match (settled, answer) {
            (Settled::Kept, Some(ReclaimAnswer::Busy)) => relief.busy += 1,
            (Settled::Kept, _) => {
                relief.promised += 1;
                relief.deferred += victim.bytes;
                if answer.is_none() {
                    owners.hand_out(victim);
                }
                owners.note_promise(victim);
                return;
            }
            (Settled::Ended | Settled::ReleasedByOwner, _) => {
                self.after_settled(victim, settled, || owners.note_end(victim));
                relief.grants += 1;
                relief.freed += victim.bytes;
                let covered = self.pass_on(shortage, way, victim.bytes, before);
                self.demand_less(shortage, covered, joined);
            }
        }
        if !early {
            self.leave(way.accounts(), victim.bytes);
        }
    }

    /// How far up freed bytes go: to where they meet the requester. Where there is excess they go
    /// on as far as guarantees let them.
    fn destination(&self, shortage: &Shortage, way: &Way) -> u32 {
        match self.scarcity.has_excess() {
            true => shortage.account,
            false => self.meeting(shortage, way.accounts[0]),
        }
    }

    /// Brings freed bytes up. If they stay below the account that is short, the next charge of the
    /// requester finds them there, and it no longer demands them from above: answers how many.
    fn pass_on(&self, shortage: &Shortage, way: &Way, bytes: u64, before: u64) -> u64 {
        let short = shortage.account;
        if self.scarcity.has_excess() {
            self.hand_up(way.accounts(), short);
            return bytes.saturating_sub(before.saturating_sub(self.accounts.used(short)));
        }
        let meeting = self.meeting(shortage, way.accounts[0]);
        match self.hand_up(way.accounts(), meeting) {
            Some(_) if meeting == short => 0,
            // What its owner has released besides goes with it.
            arrived => bytes.max(arrived.unwrap_or(0)),
        }
    }

    /// Hands idle claim up from account to account, until it is with `top`. Answers how much of it
    /// came there; none if others were at work at one of them all the time.
    fn hand_up(&self, accounts: &[u32], top: u32) -> Option<u64> {
        let mut arrived = Some(0);
        for &account in accounts.iter().take_while(|&&account| account != top) {
            // Also where one below it is busy: what is idle there comes further.
            let next = self.hand_up_from(account);
            arrived = arrived.and(next);
        }
        arrived
    }

    fn hand_up_from(&self, account: u32) -> Option<u64> {
        for _ in 0..PASS_TURNS_MAX {
            match self.accounts.trim(account) {
                Trimmed::Freed(bytes) => return Some(bytes),
                Trimmed::Nothing => return Some(0),
                Trimmed::Busy => super::sync::pause(),
            }
        }
        None
    }

    /// Ends a claimed victim without asking its owner.
    pub fn end_victim(&self, victim: &Victim, end: End, observer: &dyn Observer) {
        let place = (victim.slot, victim.generation);
        let note = || observer.ended(victim.owner, place, victim.bytes, end);
        self.after_settled(victim, self.grants.settle_freed(victim), note);
    }

    fn after_settled(&self, victim: &Victim, settled: Settled, note: impl FnOnce()) {
        self.slot_is_free(victim);
        let settled = if planted(Bug::EvictedTwice) { Settled::Ended } else { settled };
        if settled == Settled::Ended {
            if self.events.is_enabled() {
                note();
            }
            self.end_evicted(victim);
        }
    }

    /// Offers the slot of a victim that has ended to the next request.
    fn slot_is_free(&self, victim: &Victim) {
        self.queue(victim.owner).note_freed(&self.grants, victim.slot);
    }

    /// Remembers what an evicted grant was and takes its bytes out of use: last, as they are
    /// counted as on their way until then, and others wait for them.
    fn end_evicted(&self, victim: &Victim) {
        let tenant = self.tenant(victim.owner.account());
        let queue = self.queue(victim.owner);
        tenant.tally.note_evicted(victim.bytes);
        if victim.fields.key != 0 && queue.remembers() {
            let frequency = Recency(self.grants.recency(victim.slot)).frequency();
            let clock = self.accounts.get(victim.owner.account()).clock();
            self.ghosts.remember(victim.owner, victim.fields.key, frequency, clock);
            queue.note_evicted(&self.grants, frequency);
        }
        if victim.fields.flags & flag::COUNTED != 0 {
            queue.count_out();
        }
        self.uncharge(victim.owner.account(), victim.bytes);
    }

    /// The owner of a deferred victim releases it: its bytes leave the used word, go up to the
    /// account `short` for whose shortage it was chosen, and are on their way no more.
    pub fn return_deferred(&self, tenant: u32, short: u32, bytes: u64) {
        // Looked at first: once its bytes are back the tenant's slot may get another owner.
        let way = self.way(tenant, short);
        self.uncharge(tenant, bytes);
        if let Some(way) = way {
            self.hand_up(way.accounts(), short);
            self.leave(way.accounts(), bytes);
        }
    }

    /// The owner of a deferred victim keeps it after all.
    pub fn decline(
        &self,
        slot: u32,
        generation: u32,
        owner: Owner,
        keep_until_ns: u64,
    ) -> Result<(), Refused> {
        let held = self.grants.hold_to_end(slot, generation, owner)?;
        // Looked at first, as above: as soon as the grant is live again its owner may release it.
        let way = self.way(owner.account(), ROOT);
        let short = self.grants.keep_deferred(held, keep_until_ns)?;
        let way = way.as_ref().map_or(&[][..], Way::accounts);
        let length = way.iter().position(|&account| account == short).map_or(0, |at| at + 1);
        self.leave(&way[..length], held.word.bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::account::{LEVELS, Settings};
    use super::super::admission::Ask;
    use super::super::events::Nobody;
    use super::super::grants::Fields;
    use super::super::order::{Order, Requester};
    use super::super::policy::Policy;
    use super::super::tests::{admit, ask, core};
    use super::*;

    /// Owners who all answer the same.
    struct All(ReclaimAnswer);

    impl Owners for All {
        fn reclaim(&self, _: &Victim) -> Option<ReclaimAnswer> {
            Some(self.0)
        }
        fn hand_out(&self, victim: &Victim) {
            panic!("there is somebody to ask for {victim:?}");
        }
        fn note_promise(&self, _: &Victim) {}
        fn note_end(&self, _: &Victim) {}
    }

    fn shortage(goal: Goal, requester: Option<Requester>) -> Shortage {
        let (account, types, order, victims_max) = (ROOT, 1, Order::TypeFirst, 2);
        let (now_ns, keep_until_ns) = (0, 1);
        Shortage { account, goal, requester, types, order, victims_max, now_ns, keep_until_ns }
    }

    #[test]
    fn no_more_owners_are_asked_than_may_be() {
        for (answer, freed, deferred, busy) in [
            (ReclaimAnswer::Freed, 10, 0, 0),
            (ReclaimAnswer::Deferred, 0, 10, 0),
            (ReclaimAnswer::Busy, 0, 0, 2),
        ] {
            let core = core(100);
            for _ in 0..5 {
                admit(&core, &ask(2, 5));
            }
            let relief = core.make_room(&shortage(Goal::Bytes(25), None), &All(answer));
            assert_eq!(relief.victims(), 2, "{answer:?}");
            assert_eq!((relief.freed, relief.deferred, relief.busy), (freed, deferred, busy));
            assert_eq!(core.promised_grants(ask(2, 5).owner()), deferred / 5);
            let twice = relief.after(relief);
            assert_eq!(twice.victims(), 4);
            assert_eq!(
                (twice.freed, twice.deferred, twice.busy),
                (2 * freed, 2 * deferred, 2 * busy)
            );
            assert_eq!((twice.grants, twice.promised), (2 * relief.grants, 2 * relief.promised));
        }
    }

    /// What is demanded of the pool is there once the last grant that may go has gone, and is
    /// claimed by whoever both are below; nothing is demanded or on its way any more.
    #[test]
    fn bytes_go_as_far_up_as_they_have_to() {
        for (victim, claims) in [(2, [40, 40, 40]), (3, [40, 40, 20]), (4, [20, 0, 20])] {
            let core = core(40);
            for kind in [1, 2] {
                admit(&core, &Ask { kind, ..ask(victim, 20) });
            }
            let requester = Some(Requester { account: 2, kind: 1, bytes: 20, growing: None });
            let short = Shortage { types: 1 << 2, ..shortage(Goal::Demand(20), requester) };
            let relief = core.make_room(&short, &All(ReclaimAnswer::Freed));
            assert_eq!((relief.grants, relief.freed, relief.enough), (1, 20, true), "of {victim}");
            let claimed = [core.accounts.used(ROOT), core.accounts.claim(1)];
            assert_eq!([claimed[0], claimed[1], core.accounts.claim(victim)], claims);
            for account in [ROOT, 1, victim] {
                // Acquire: as in `covers`.
                let demand = core.accounts.get(account).demand().load(Ordering::Acquire);
                assert_eq!((demand, core.freeing(account).bytes()), (0, 0));
            }
        }
    }

    /// Who meets another evictor on its way counts nothing, and takes nothing of what that counts.
    #[test]
    fn a_way_that_has_changed_is_not_set_off_on() {
        let core = core(100);
        let way = core.way(2, ROOT).unwrap();
        assert_eq!(way.accounts(), [2, 1, ROOT]);
        assert!(core.count_freeing(1, core.freeing(1), 3));
        assert!(!core.set_off(&way, 5));
        assert_eq!([2, 1, ROOT].map(|account| core.freeing(account).bytes()), [0, 3, 0]);
        assert!(core.set_off(&core.way(2, ROOT).unwrap(), 5));
        assert_eq!([2, 1, ROOT].map(|account| core.freeing(account).bytes()), [5, 8, 5]);
    }

    /// A key that was evicted is known again; what was not counted is not counted out.
    #[test]
    fn what_was_evicted_is_remembered_by_its_key() {
        let core = core(100);
        let keyed = Ask { fields: Fields { key: 7, ..Fields::default() }, ..ask(2, 5) };
        let slot = admit(&core, &keyed);
        core.make_room(&shortage(Goal::Bytes(5), None), &All(ReclaimAnswer::Freed));
        assert_eq!(core.grants.word(slot).bytes(), 0);
        let queue = core.queue(keyed.owner());
        assert_eq!(queue.counted(), 0);
        assert!(core.ghosts.recall(keyed.owner(), 7, 9).is_some());
        assert_eq!(admit(&core, &ask(2, 5)), slot, "the slot is offered again");
    }

    /// What has no key cannot come back, and what the policy takes no note of need not.
    #[test]
    fn nothing_else_is_remembered() {
        for (key, policy) in [(0, Policy::Hybrid), (7, Policy::Lru)] {
            let core = core(100);
            let asked = Ask { fields: Fields { key, ..Fields::default() }, ..ask(2, 5) };
            let queue = core.queue(asked.owner());
            queue.set_policy(policy);
            admit(&core, &asked);
            let relief =
                core.make_room(&shortage(Goal::Bytes(5), None), &All(ReclaimAnswer::Freed));
            assert_eq!(relief.freed, 5);
            assert!(core.ghosts.recall(asked.owner(), key, 9).is_none());
        }
    }

    /// Slots come free in the order in which their grants went, and are taken in that order.
    #[test]
    fn the_slots_of_victims_are_offered_in_turn() {
        let core = core(100);
        core.queue(ask(2, 5).owner()).set_policy(Policy::Lru);
        let slots = [(); 4].map(|()| admit(&core, &ask(2, 5)));
        for used in [slots[2], slots[0], slots[3], slots[1]] {
            core.touch(used, 1, ask(2, 5).owner()).unwrap();
        }
        for _ in 0..2 {
            core.make_room(&shortage(Goal::Bytes(5), None), &All(ReclaimAnswer::Freed));
        }
        let gone = slots.map(|slot| core.grants.word(slot).bytes() == 0);
        assert_eq!(gone, [true, false, true, false]);
        assert_eq!([(); 2].map(|()| admit(&core, &ask(2, 5))), [slots[2], slots[0]]);
    }

    /// What is idle below the group of both, the requester's next charge finds: it goes for the
    /// rest alone.
    #[test]
    fn what_is_kept_below_the_account_that_is_short_is_demanded_no_more() {
        for (released, victims) in [(0, 5), (1, 4), (3, 2), (4, 1), (5, 0)] {
            let core = core(105);
            let high = Settings { limits: [100; LEVELS], traits: 3, ..Settings::default() };
            core.accounts.configure(2, &high).unwrap();
            let slots = [(); 10].map(|()| admit(&core, &ask(3, 10)));
            admit(&core, &ask(4, 5));
            for &slot in &slots[..released] {
                core.release(slot, 1, ask(3, 10).owner(), &Nobody).unwrap();
            }
            let requester = Some(Requester { account: 2, kind: 1, bytes: 50, growing: None });
            let short = shortage(Goal::Demand(50), requester);
            let short = Shortage { victims_max: 9, ..short };
            let relief = core.make_room_elsewhere(&short, &All(ReclaimAnswer::Freed));
            assert_eq!((relief.grants, relief.enough), (victims, true), "{released} released");
            core.accounts.charge_once(2, 1, 0, 50).expect("what is idle is at hand");
        }
    }

    /// Nothing goes for the growth of a grant that has gone, whoever has the slot now.
    #[test]
    fn a_growth_ends_with_its_grant() {
        for (again, generation) in [(false, 1), (true, 1), (true, 2)] {
            let core = core(40);
            let slots = [(); 4].map(|()| admit(&core, &ask(2, 10)));
            core.release(slots[0], 1, ask(2, 10).owner(), &Nobody).unwrap();
            if again {
                assert_eq!(admit(&core, &ask(2, 10)), slots[0]);
            }
            let growing = Some((slots[0], generation));
            let requester = Some(Requester { account: 2, kind: 0, bytes: 20, growing });
            let short = shortage(Goal::Demand(20), requester);
            let relief = core.make_room(&short, &All(ReclaimAnswer::Freed));
            assert_eq!(relief.grants, if generation == 2 { 2 } else { 0 });
        }
    }

    /// What others have promised to the account that is short counts, though it comes from beside
    /// the victim's way.
    #[test]
    fn what_is_on_its_way_from_others_is_not_asked_for_again() {
        for (demand, promised) in [(10, 0), (11, 1)] {
            let core = core(20);
            for (account, kind) in [(2, 0), (4, 1)] {
                admit(&core, &Ask { kind, ..ask(account, 10) });
            }
            assert!(core.set_off(&core.way(4, ROOT).unwrap(), 10));
            let short = shortage(Goal::Demand(demand), None);
            let relief = core.make_room(&short, &All(ReclaimAnswer::Deferred));
            assert_eq!((relief.promised, relief.enough), (promised, true), "{demand}");
        }
    }

    /// The last victim that may be asked is enough where what it frees covers the demand.
    #[test]
    fn who_is_relieved_by_the_last_victim_is_told_so() {
        for answer in [ReclaimAnswer::Freed, ReclaimAnswer::Deferred] {
            for (demand, enough) in [(9, true), (10, true), (11, false)] {
                let core = core(20);
                (0..2).for_each(|_| _ = admit(&core, &ask(2, 10)));
                let goal = Goal::Demand(demand);
                let short = Shortage { victims_max: 1, ..shortage(goal, None) };
                let relief = core.make_room(&short, &All(answer));
                assert_eq!((relief.victims(), relief.enough), (1, enough), "{answer:?} {demand}");
            }
        }
    }
}
