//! Getting bytes back: who is asked, in which order, and when it is enough.
//!
//! ```text
//! order within a shortage    type (background, cache, inference, model load) -> priority
//!                            -> furthest above the fair share -> the queue's policy
//! a balancer at Critical     priority -> type -> furthest above the fair share -> policy
//!
//! E1  free + freeing >= demand  =>  nobody claims another victim
//! E2  used(victim's tenant) - freeing(victim's tenant) - bytes >= guarantee, for others' victims
//! ```
//!
//! Requests that are short add what they need to the *demand* of the account that refused. Bytes
//! are counted as *freeing*, at that account and at the victim's tenant, before a victim is claimed
//! and leave the count only after they have left the used word; who evicts reads `freeing` first
//! and `used` second, so bytes are never missed between the two. A request withdraws its demand
//! before it charges again.
//!
//! A tenant at its own limit evicts only its own. A tenant refused further up may evict others of
//! lower priority, and of equal priority only while the victim stays at least as far above its
//! fair share as the requester will be, so that two equals never evict each other in turn. Its own
//! running inference is never evicted for its own request.
//!
//! Owners are asked with nothing held: a callback may call any function of the governor. This path
//! is bounded by the number of victims and accounts, not by a constant, and may wait for the few
//! instructions of an owner's release; only `request` and the balancer take it.

use super::Core;
use super::account::{ROOT, Trimmed};
use super::grants::{Refused, Settled, Victim, flag};
use super::policy::Recency;
use super::queue::{Pick, Sight};
use super::sync::Ordering;
use super::tenant::TYPES;
use super::word::{OnTheWay, Owner};

/// Number of the allocation type of loaded models.
pub const MODEL_LOAD: u8 = 0;
/// Number of the allocation type of running requests.
pub const INFERENCE: u8 = 1;
/// Number of the allocation type of results that can be rebuilt.
pub const CACHE: u8 = 2;
/// Number of the allocation type of work nobody waits for.
pub const BACKGROUND: u8 = 3;

/// All allocation types, as one bit each.
pub const ALL_TYPES: u8 = 0xf;
/// Queues remembered as without a victim in one search.
const BARREN_MAX: usize = 32;
/// Attempts on one queue whose victims others claim first.
const RACES_MAX: u32 = 64;

/// What an owner answers when its grant is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReclaimAnswer {
    /// The memory is free now.
    Freed,
    /// The owner will release the grant; its bytes count as being freed until then.
    Deferred,
    /// Not now: the grant is left alone for a while.
    Busy,
}

/// Who is asked for victims.
pub trait Owners {
    /// Asks the owner of a grant to free it. Called with nothing held.
    fn reclaim(&self, victim: &Victim) -> ReclaimAnswer;
}

/// For whom bytes are to be freed.
#[derive(Clone, Copy, Debug)]
pub struct Requester {
    /// Its account.
    pub account: u32,
    /// Type of the grant it wants.
    pub kind: u8,
    /// Bytes it wants.
    pub bytes: u64,
}

/// Which of priority and type decides first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// All background work before all caches.
    TypeFirst,
    /// All of the lowest tenants before any of the higher ones.
    PriorityFirst,
}

/// When a shortage is relieved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// So many bytes are asked of the account: what is free and on its way covers all demand (E1).
    Demand(u64),
    /// So many bytes were freed or promised.
    Bytes(u64),
    /// One grant ended.
    OneGrant,
}

/// A shortage to be relieved.
#[derive(Clone, Copy, Debug)]
pub struct Shortage {
    /// The account that is short.
    pub account: u32,
    /// When it is short no more.
    pub goal: Goal,
    /// Who wants the bytes; none: the balancer.
    pub requester: Option<Requester>,
    /// Types that may go, as one bit each.
    pub types: u8,
    /// Which of priority and type decides first.
    pub order: Order,
    /// Most victims.
    pub victims_max: u32,
    /// Now, by the governor's clock.
    pub now_ns: u64,
    /// Until when a busy victim is left alone.
    pub keep_until_ns: u64,
}

/// What an eviction achieved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Relief {
    /// Grants that ended.
    pub grants: u32,
    /// Bytes that are free now.
    pub freed: u64,
    /// Bytes whose owners promised to free them.
    pub deferred: u64,
    /// Grants whose owners were busy.
    pub busy: u32,
}

/// A queue in the order of eviction; less goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    first: u8,
    second: u8,
    /// Bytes below (or, negative, above) the fair share: the furthest above goes first.
    below_share: i64,
    /// The tenant's account.
    pub account: u32,
    /// The allocation type.
    pub kind: u8,
}

enum Step {
    Enough,
    NoVictim,
    Raced,
    Done,
}

/// Where a type stands in the order of eviction.
pub fn type_rank(kind: u8) -> u8 {
    match kind {
        BACKGROUND => 0,
        CACHE => 1,
        INFERENCE => 2,
        _ => 3,
    }
}

/// Priority as the accounts carry it: 0 lowest to 3 highest.
pub fn priority(traits: u64) -> u8 {
    (traits & 3) as u8
}

impl Core {
    /// Evicts for a shortage until it is relieved, nothing more may go, or the bound is reached.
    pub fn make_room(&self, shortage: &Shortage, owners: &dyn Owners) -> Relief {
        let mut relief = Relief::default();
        let mut barren = Barren::default();
        let mut joined = self.join_demand(shortage);
        let mut races = 0;
        while relief.grants + relief.busy < shortage.victims_max && races < RACES_MAX {
            let Some(rank) = self.next_queue(shortage, &barren, &|_| 0) else { break };
            match self.evict_from(shortage, rank, owners, &mut relief, &mut joined) {
                Step::Enough => break,
                Step::NoVictim if !barren.add(rank.account, rank.kind) => break,
                Step::NoVictim => {}
                Step::Raced => races += 1,
                Step::Done => races = 0,
            }
        }
        self.leave_demand(shortage, joined);
        relief
    }

    fn join_demand(&self, shortage: &Shortage) -> u64 {
        let Goal::Demand(bytes) = shortage.goal else { return 0 };
        let demand = &self.accounts.get(shortage.account).demand;
        // AcqRel: pairs with the Acquire in `is_enough`; withdrawn before the next charge.
        demand.fetch_add(bytes, Ordering::AcqRel);
        bytes
    }

    fn leave_demand(&self, shortage: &Shortage, joined: u64) {
        // AcqRel: as in `join_demand`.
        self.accounts.get(shortage.account).demand.fetch_sub(joined, Ordering::AcqRel);
    }

    /// Bytes of an account that are being evicted.
    pub fn freeing(&self, account: u32) -> OnTheWay {
        // Acquire: pairs with the Release half of `count_freeing` and `leave_freeing`; what has
        // left this count has left the used word that is read next.
        OnTheWay(self.accounts.get(account).freeing.load(Ordering::Acquire))
    }

    /// Counts bytes as on their way before their holder is asked; fails if others did meanwhile.
    fn count_freeing(&self, account: u32, seen: OnTheWay, bytes: u64) -> bool {
        // AcqRel: pairs with the Acquire in `freeing`. Relaxed on failure: read again.
        let (success, failure) = (Ordering::AcqRel, Ordering::Relaxed);
        let word = &self.accounts.get(account).freeing;
        word.compare_exchange(seen.0, seen.plus(bytes).0, success, failure).is_ok()
    }

    fn leave_freeing(&self, account: u32, bytes: u64) {
        // AcqRel: pairs with the Acquire in `freeing`; the bytes have left the used word before.
        self.accounts.get(account).freeing.fetch_sub(bytes, Ordering::AcqRel);
    }

    /// E1: whether what is free and what is on its way covers all demand; and the count it rests
    /// on, which must not have moved when the next victim is counted.
    fn is_enough(&self, shortage: &Shortage, relief: &Relief, joined: u64) -> (bool, OnTheWay) {
        let freeing = self.freeing(shortage.account);
        match shortage.goal {
            Goal::Bytes(bytes) => return (relief.freed + relief.deferred >= bytes, freeing),
            Goal::OneGrant => return (relief.grants > 0 || relief.deferred > 0, freeing),
            Goal::Demand(_) => {}
        }
        let free = self.accounts.room(shortage.account);
        // Acquire: pairs with the AcqRel in `join_demand`.
        let demand = self.accounts.get(shortage.account).demand.load(Ordering::Acquire);
        (joined == 0 || free.saturating_add(freeing.bytes()) >= demand, freeing)
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
        let (enough, freeing) = self.is_enough(shortage, relief, *joined);
        if enough {
            return Step::Enough;
        }
        let owner = Owner::new(rank.account, self.accounts.generation(rank.account), rank.kind);
        let Some(pick) = self.pick(owner, shortage.now_ns) else { return Step::NoVictim };
        let bytes = pick.word.bytes();
        let own_freeing = self.freeing(rank.account);
        let leaving = own_freeing.bytes() + bytes;
        if !self.may_lose(shortage, rank.account, leaving) {
            return Step::NoVictim;
        }
        if !self.count_freeing(shortage.account, freeing, bytes) {
            return Step::Raced;
        }
        let twice = rank.account != shortage.account;
        if twice && !self.count_freeing(rank.account, own_freeing, bytes) {
            self.leave_freeing(shortage.account, bytes);
            return Step::Raced;
        }
        match self.claim(pick, owner, shortage.now_ns) {
            Some(victim) => {
                self.ask_owner(shortage, &victim, owners, relief, joined);
                Step::Done
            }
            None => {
                self.bytes_arrived(rank.account, shortage.account, bytes);
                Step::Raced
            }
        }
    }

    fn pick(&self, owner: Owner, now_ns: u64) -> Option<Pick> {
        let tenant = self.tenant(owner.account());
        let sight = Sight { grants: &self.grants, owner, clock: tenant.clock(), now_ns };
        tenant.queues[usize::from(owner.allocation_type())].pick(&sight)
    }

    /// Everything in a queue that may go, in the order in which it would. Allocates; for people.
    pub fn picks(&self, owner: Owner, now_ns: u64) -> Vec<Pick> {
        let tenant = self.tenant(owner.account());
        let sight = Sight { grants: &self.grants, owner, clock: tenant.clock(), now_ns };
        let mut picks = tenant.queues[usize::from(owner.allocation_type())].candidates(&sight);
        picks.sort_by_key(|pick| pick.worth);
        picks
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
        owners: &dyn Owners,
        relief: &mut Relief,
        joined: &mut u64,
    ) {
        let (tenant, short) = (victim.owner.account(), shortage.account);
        let uncommitted = victim.fields.flags & flag::UNCOMMITTED != 0;
        let answer = if uncommitted { ReclaimAnswer::Freed } else { owners.reclaim(victim) };
        let settled = match answer {
            ReclaimAnswer::Freed => self.grants.settle_freed(victim),
            ReclaimAnswer::Deferred => self.grants.settle_deferred(victim, short),
            ReclaimAnswer::Busy => self.grants.settle_busy(victim, shortage.keep_until_ns),
        };
        match (settled, answer) {
            (Settled::Kept, ReclaimAnswer::Deferred) => {
                relief.deferred += victim.bytes;
                return;
            }
            (Settled::Kept, _) => relief.busy += 1,
            (Settled::Ended | Settled::ReleasedByOwner, _) => {
                self.after_settled(victim, settled);
                relief.grants += 1;
                relief.freed += victim.bytes;
                self.pass_on(shortage, tenant, victim.bytes, joined);
            }
        }
        self.leave_freeing(short, victim.bytes);
        if tenant != short {
            self.leave_freeing(tenant, victim.bytes);
        }
    }

    /// Brings freed bytes to the account that is short. A requester's own bytes stay with it: its
    /// claim serves its next charge, so it no longer demands them from above.
    fn pass_on(&self, shortage: &Shortage, tenant: u32, bytes: u64, joined: &mut u64) {
        let own = shortage.requester.is_some_and(|r| r.account == tenant);
        if tenant == shortage.account {
            return;
        }
        if own {
            let covered = bytes.min(*joined);
            self.leave_demand(shortage, covered);
            *joined -= covered;
        } else if matches!(self.accounts.trim(tenant), Trimmed::Freed(_)) {
            self.accounts.collect_above(tenant, shortage.account, 0);
        }
    }

    /// Ends a claimed victim without asking its owner.
    pub fn end_victim(&self, victim: &Victim) {
        self.after_settled(victim, self.grants.settle_freed(victim));
    }

    fn after_settled(&self, victim: &Victim, settled: Settled) {
        self.slot_is_free(victim);
        if settled == Settled::Ended {
            self.end_evicted(victim);
        }
    }

    /// Offers the slot of a victim that has ended to the next request.
    fn slot_is_free(&self, victim: &Victim) {
        let kind = usize::from(victim.owner.allocation_type());
        self.tenant(victim.owner.account()).queues[kind].note_freed(victim.slot);
    }

    /// Takes an evicted grant's bytes out of use and remembers what it was.
    fn end_evicted(&self, victim: &Victim) {
        let tenant = self.tenant(victim.owner.account());
        let kind = usize::from(victim.owner.allocation_type());
        if victim.fields.flags & flag::COUNTED != 0 {
            tenant.queues[kind].count_out();
        }
        self.accounts.uncharge(victim.owner.account(), victim.bytes);
        tenant.tally.note_evicted(victim.bytes);
        if victim.fields.key != 0 {
            let frequency = Recency(self.grants.recency(victim.slot)).frequency();
            self.ghosts.remember(victim.owner, victim.fields.key, frequency, tenant.clock());
            tenant.queues[kind].note_evicted(frequency);
        }
    }

    /// The owner of a deferred victim has released it.
    pub fn deferred_is_free(&self, tenant: u32, short: u32, bytes: u64) {
        if tenant != short && matches!(self.accounts.trim(tenant), Trimmed::Freed(_)) {
            self.accounts.collect_above(tenant, short, 0);
        }
        self.bytes_arrived(tenant, short, bytes);
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
        let short = self.grants.keep_deferred(held, keep_until_ns)?;
        self.bytes_arrived(owner.account(), short, held.word.bytes());
        Ok(())
    }

    fn bytes_arrived(&self, tenant: u32, short: u32, bytes: u64) {
        self.leave_freeing(short, bytes);
        if tenant != short {
            self.leave_freeing(tenant, bytes);
        }
    }

    /// The queue whose turn it is, among those that may be asked and are not known to be barren,
    /// as if `gone(tenant)` bytes had left each tenant already. Steps grow with the number of
    /// tenants.
    pub fn next_queue(&self, shortage: &Shortage, barren: &Barren, gone: Gone) -> Option<Rank> {
        if !self.accounts.is_inner(shortage.account) {
            return self.queues_of(shortage, shortage.account, barren, gone).min();
        }
        let water = self.accounts.water();
        let below =
            |&t: &u32| shortage.account == ROOT || self.accounts.is_below(t, shortage.account);
        self.accounts
            .tenants()
            .filter(below)
            .filter(|&t| self.may_be_asked(shortage, t, water, gone))
            .filter_map(|t| self.queues_of(shortage, t, barren, gone).min())
            .min()
    }

    fn queues_of<'a>(
        &'a self,
        shortage: &'a Shortage,
        account: u32,
        barren: &'a Barren,
        gone: Gone,
    ) -> impl Iterator<Item = Rank> + 'a {
        let own = shortage.requester.filter(|r| r.account == account);
        let may_go = move |kind: u8| match own {
            Some(requester) => goes_for_own(kind, requester.kind),
            None => true,
        };
        let tenant = self.tenant(account);
        let priority = priority(self.accounts.traits(account));
        let above_share = self.above_share(account, self.accounts.water());
        let below_share = gone(account) as i64 - above_share;
        (0..TYPES as u8)
            .filter(move |&kind| shortage.types & (1 << kind) != 0 && may_go(kind))
            .filter(move |&kind| tenant.queues[usize::from(kind)].segments() > 0)
            .filter(move |&kind| !barren.contains(account, kind))
            .map(move |kind| {
                let (first, second) = match shortage.order {
                    Order::TypeFirst => (type_rank(kind), priority),
                    Order::PriorityFirst => (priority, type_rank(kind)),
                };
                Rank { first, second, below_share, account, kind }
            })
    }

    /// Bytes above the fair share, negative below it.
    pub fn above_share(&self, account: u32, water: u64) -> i64 {
        let weight = u64::from(priority(self.accounts.traits(account))) + 1;
        let share = self.accounts.guarantee(account).saturating_add(weight.saturating_mul(water));
        self.accounts.used(account) as i64 - share.min(i64::MAX as u64) as i64
    }

    /// An upper bound of what could be freed for the shortage, without looking at single grants.
    pub fn reclaimable(&self, shortage: &Shortage) -> u64 {
        if !self.accounts.is_inner(shortage.account) {
            return self.accounts.used(shortage.account);
        }
        let water = self.accounts.water();
        let own = shortage.requester.map(|r| r.account);
        let beyond = |t: u32| match own == Some(t) {
            true => self.accounts.used(t),
            false => self.accounts.used(t).saturating_sub(self.accounts.guarantee(t)),
        };
        self.accounts
            .tenants()
            .filter(|&t| shortage.account == ROOT || self.accounts.is_below(t, shortage.account))
            .filter(|&t| self.may_be_asked(shortage, t, water, &|_| 0))
            .fold(0, |sum: u64, t| sum.saturating_add(beyond(t)))
    }

    /// Whether any grant of the tenant may go for this shortage, whatever its size.
    fn may_be_asked(&self, shortage: &Shortage, tenant: u32, water: u64, gone: Gone) -> bool {
        let left = self.accounts.used(tenant).saturating_sub(gone(tenant));
        let Some(requester) = shortage.requester else {
            return left > self.accounts.guarantee(tenant);
        };
        if requester.account == tenant {
            return true;
        }
        let theirs = priority(self.accounts.traits(tenant));
        let ours = priority(self.accounts.traits(requester.account));
        let above = || self.above_share(tenant, water) > gone(tenant) as i64;
        left > self.accounts.guarantee(tenant) && (theirs < ours || (theirs == ours && above()))
    }

    /// E2, and no ping-pong between equals: whether the tenant may lose `leaving` bytes in all.
    pub fn may_lose(&self, shortage: &Shortage, tenant: u32, leaving: u64) -> bool {
        if shortage.requester.is_some_and(|r| r.account == tenant) {
            return true;
        }
        let (used, guarantee) = (self.accounts.used(tenant), self.accounts.guarantee(tenant));
        if used < leaving.saturating_add(guarantee) {
            return false;
        }
        let Some(requester) = shortage.requester else { return true };
        let theirs = priority(self.accounts.traits(tenant));
        let ours = priority(self.accounts.traits(requester.account));
        let water = self.accounts.water();
        let requester_after =
            self.above_share(requester.account, water).saturating_add(requester.bytes as i64);
        theirs < ours || self.above_share(tenant, water) - leaving as i64 >= requester_after
    }
}

/// Whether a tenant's own grants of type `kind` may go for its own request: types that go no later
/// than the requested one, and never running inference.
pub fn goes_for_own(kind: u8, requested: u8) -> bool {
    kind != INFERENCE && type_rank(kind) <= type_rank(requested)
}

/// Bytes that count as gone from a tenant already, when an eviction is only planned.
pub type Gone<'a> = &'a dyn Fn(u32) -> u64;

/// Queues in which nothing may go, so that a search does not come back to them.
pub struct Barren {
    queues: [(u32, u8); BARREN_MAX],
    count: usize,
}

impl Default for Barren {
    fn default() -> Self {
        Self { queues: [(0, 0); BARREN_MAX], count: 0 }
    }
}

impl Barren {
    fn contains(&self, account: u32, kind: u8) -> bool {
        self.queues[..self.count].contains(&(account, kind))
    }

    /// Remembers a queue; says whether there was room for it.
    pub fn add(&mut self, account: u32, kind: u8) -> bool {
        let room = self.count < BARREN_MAX;
        if room {
            self.queues[self.count] = (account, kind);
            self.count += 1;
        }
        room
    }
}
