//! Whose turn it is to lose bytes, and who may not: looking only, nothing changes here.
//!
//! ```text
//! order within a shortage    type (background, cache, inference, model load) -> priority
//!                            -> furthest above the fair share -> the queue's policy
//! a balancer at Critical     priority -> type -> furthest above the fair share -> policy
//!
//! E2  used(a) - leaving(a) >= guarantee(a)    for the victim's tenant a, and for every group a
//!                                             above it whose claim the requester does not share
//! ```
//!
//! A tenant at its own limit evicts only its own. A tenant refused further up may evict others of
//! lower priority, and of equal priority only while the victim stays at least as far above its
//! fair share as the requester will be, so that two equals never evict each other in turn. Its own
//! running inference is never evicted for its own request.
//!
//! What is freed goes up until it meets the requester: at its own account for its own grants, at
//! the lowest group above both for a sibling's, at the account that is short for everybody else's.
//! Up to there E2 binds; above, the requester's own charge uses what is freed.

use super::Core;
use super::account::{DEPTH_MAX, ROOT};
use super::admission::Granted;
use super::bugs::{Bug, planted};
use super::grants::SLOTS;
use super::queue::{Pick, Sight};
use super::sync::Ordering;
use super::tenant::TYPES;
use super::word::{OnTheWay, Owner, SlotWord, State};

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
/// Queues found in one look over all tenants.
const AHEAD: usize = 32;

/// For whom bytes are to be freed.
#[derive(Clone, Copy, Debug)]
pub struct Requester {
    /// Its account.
    pub account: u32,
    /// Type of the grant it wants.
    pub kind: u8,
    /// Bytes it wants.
    pub bytes: u64,
    /// The grant that is to grow by them: it does not go for its own growth.
    pub growing: Option<Granted>,
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
    /// At most `to` bytes of the account are in use, without those that are on their way, whoever
    /// freed the rest; or `by` bytes were freed or promised.
    Down {
        /// Bytes that may stay.
        to: u64,
        /// Bytes beyond them when it was looked at.
        by: u64,
    },
    /// So many more grants of the requester's fit their number, or will once those have gone that
    /// were promised.
    Grants(u64),
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

impl Shortage {
    /// The same for a request by which a grant grows.
    pub fn sparing(mut self, growing: Option<Granted>) -> Self {
        if let Some(requester) = &mut self.requester {
            requester.growing = growing;
        }
        self
    }

    /// The grant that does not go because the bytes are for it.
    pub fn spared(&self) -> Option<Granted> {
        self.requester.and_then(|requester| requester.growing)
    }

    /// Its slot.
    fn spared_slot(&self) -> Option<u32> {
        self.spared().map(|(slot, _)| slot)
    }

    /// Whether it is the tenant's own request that is short.
    fn is_own(&self, tenant: u32) -> bool {
        self.requester.is_some_and(|requester| requester.account == tenant)
    }
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

/// The queues whose turn is next, in order.
#[derive(Default)]
pub struct Ahead {
    ranks: [Option<Rank>; AHEAD],
    next: usize,
}

impl Ahead {
    /// Enters a queue where it belongs; the last one falls out if there are too many.
    fn offer(&mut self, rank: Rank) {
        let later = |other: &Option<Rank>| other.is_none_or(|other| rank < other);
        if !self.ranks.last().is_some_and(later) {
            return;
        }
        let at = self.ranks.partition_point(|other| !later(other));
        self.ranks[at..].rotate_right(1);
        self.ranks[at] = Some(rank);
    }

    /// After an eviction everything is looked at anew, unless there is one queue only.
    pub fn begin_again(&mut self) {
        match self.ranks {
            [Some(_), None, ..] => self.next = 0,
            _ => *self = Self::default(),
        }
    }

    /// The next queue, if one is left.
    fn pop(&mut self) -> Option<Rank> {
        let rank = *self.ranks.get(self.next)?;
        self.next += 1;
        rank
    }
}

/// Bytes in use and bytes leaving, by account: as they are, or as they would be once a planned
/// eviction was done.
#[derive(Clone, Copy)]
pub struct Sums<'a> {
    /// Bytes in grants, those that are leaving included.
    pub used: &'a dyn Fn(u32) -> u64,
    /// Bytes on their way out. Read before `used`, so that no byte is missed between the two.
    pub leaving: &'a dyn Fn(u32) -> u64,
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

/// Whether a tenant's own grants of type `kind` may go for its own request: types that go no later
/// than the requested one, and never running inference.
pub fn goes_for_own(kind: u8, requested: u8) -> bool {
    kind != INFERENCE && type_rank(kind) <= type_rank(requested)
}

impl Core {
    /// Bytes of an account that are being evicted.
    pub fn freeing(&self, account: u32) -> OnTheWay {
        // Acquire: pairs with the Release half of the changes in `evict.rs`; what has left this
        // count has left the used word that is read next.
        OnTheWay(self.accounts.get(account).freeing().load(Ordering::Acquire))
    }

    /// The queue whose turn it is, behind `after`: nothing may go any more in that and those
    /// before it. Steps grow with the number of tenants, once for every [`AHEAD`] queues if
    /// `ahead` is kept while nothing is evicted.
    pub fn next_queue(
        &self,
        shortage: &Shortage,
        after: Option<Rank>,
        sums: Sums,
        ahead: &mut Ahead,
    ) -> Option<Rank> {
        if let Some(rank) = ahead.pop() {
            return Some(rank);
        }
        *ahead = Ahead::default();
        let behind = |rank: &Rank| after.is_none_or(|after| *rank > after);
        for tenant in self.tenants_below(shortage.account) {
            if self.may_be_asked(shortage, tenant, sums) {
                let ranks = self.queues_of(shortage, tenant, sums);
                ranks.filter(behind).for_each(|rank| ahead.offer(rank));
            }
        }
        ahead.pop()
    }

    /// The tenant itself, or all tenants below an inner account.
    pub fn tenants_below(&self, account: u32) -> impl Iterator<Item = u32> + '_ {
        let range = if self.accounts.is_inner(account) {
            self.accounts.tenants()
        } else {
            account..account + 1
        };
        range.filter(move |&tenant| {
            account == ROOT || tenant == account || self.accounts.is_below(tenant, account)
        })
    }

    fn queues_of<'a>(
        &'a self,
        shortage: &'a Shortage,
        account: u32,
        sums: Sums,
    ) -> impl Iterator<Item = Rank> + 'a {
        let tenant = self.tenant(account);
        let priority = priority(self.accounts.traits(account));
        let leaving = bytes_as_i64((sums.leaving)(account));
        let below_share = leaving - self.above_share(account);
        self.kinds(shortage, account)
            .filter(move |&kind| tenant.queues[usize::from(kind)].segments() > 0)
            .map(move |kind| {
                let (first, second) = match shortage.order {
                    Order::TypeFirst => (type_rank(kind), priority),
                    Order::PriorityFirst => (priority, type_rank(kind)),
                };
                Rank { first, second, below_share, account, kind }
            })
    }

    /// The types of a tenant's grants that may go.
    fn kinds(&self, shortage: &Shortage, tenant: u32) -> impl Iterator<Item = u8> + use<> {
        let (types, own) = (shortage.types, shortage.requester.filter(|r| r.account == tenant));
        (0..TYPES as u8).filter(move |&kind| {
            types & (1 << kind) != 0 && own.is_none_or(|own| goes_for_own(kind, own.kind))
        })
    }

    /// Bytes above the fair share, negative below it.
    pub fn above_share(&self, account: u32) -> i64 {
        let weight = u64::from(priority(self.accounts.traits(account))) + 1;
        let beyond = weight.saturating_mul(self.accounts.water());
        let share = self.accounts.guarantee(account).saturating_add(beyond);
        bytes_as_i64(self.accounts.used(account)) - bytes_as_i64(share)
    }

    /// Bytes above the fair share that the requester will be with what it asks for.
    fn requester_after(&self, shortage: &Shortage, sums: Sums) -> i64 {
        shortage.requester.map_or(i64::MIN, |requester| {
            let leaving = bytes_as_i64((sums.leaving)(requester.account));
            self.above_share(requester.account) - leaving + bytes_as_i64(requester.bytes)
        })
    }

    /// How the priority of a tenant compares to the requester's; less for the balancer.
    fn compared(&self, shortage: &Shortage, tenant: u32) -> std::cmp::Ordering {
        let of = |account| priority(self.accounts.traits(account));
        shortage.requester.map_or(std::cmp::Ordering::Less, |r| of(tenant).cmp(&of(r.account)))
    }

    /// Whether any grant of the tenant may go for this shortage, whatever its size.
    fn may_be_asked(&self, shortage: &Shortage, tenant: u32, sums: Sums) -> bool {
        if shortage.is_own(tenant) {
            return true;
        }
        let leaving = (sums.leaving)(tenant);
        let left = (sums.used)(tenant).saturating_sub(leaving);
        let willing = match self.compared(shortage, tenant) {
            std::cmp::Ordering::Less => true,
            std::cmp::Ordering::Equal => self.above_share(tenant) > bytes_as_i64(leaving),
            std::cmp::Ordering::Greater => false,
        };
        willing && left > self.accounts.guarantee(tenant)
    }

    /// E2, and no ping-pong between equals: whether the tenant may lose so many bytes more.
    pub fn may_lose(&self, shortage: &Shortage, tenant: u32, bytes: u64, sums: Sums) -> bool {
        if shortage.is_own(tenant) {
            return true;
        }
        let spare = self.spare(shortage, tenant, sums);
        let equal = self.compared(shortage, tenant) == std::cmp::Ordering::Equal;
        let stays = || {
            let after = bytes_as_i64((sums.leaving)(tenant).saturating_add(bytes));
            self.above_share(tenant) - after >= self.requester_after(shortage, sums)
        };
        (bytes <= spare || planted(Bug::GuaranteeEvicted)) && (!equal || stays())
    }

    /// What E2 allows the tenant to lose: the least that it, or a group between it and where its
    /// bytes meet the requester, has above its guarantee.
    fn spare(&self, shortage: &Shortage, tenant: u32, sums: Sums) -> u64 {
        let meeting = self.meeting(shortage, tenant);
        let (mut at, mut least) = (tenant, u64::MAX);
        for _ in 0..DEPTH_MAX {
            if at == meeting {
                break;
            }
            let guarantee = self.accounts.guarantee(at);
            if at == tenant || guarantee > 0 {
                let leaving = (sums.leaving)(at);
                let kept = guarantee.saturating_add(leaving);
                least = least.min((sums.used)(at).saturating_sub(kept));
            }
            at = self.accounts.parent(at);
        }
        least
    }

    /// The lowest account that both the tenant's freed bytes and the requester's charge pass: what
    /// is freed need not go further up.
    pub fn meeting(&self, shortage: &Shortage, tenant: u32) -> u32 {
        let Some(requester) = shortage.requester else { return shortage.account };
        let shared = |at| at == requester.account || self.accounts.is_below(requester.account, at);
        let mut at = tenant;
        for _ in 0..DEPTH_MAX {
            if at == shortage.account || shared(at) {
                break;
            }
            at = self.accounts.parent(at);
        }
        at
    }

    /// Whether evictions could free `needed` bytes at all.
    pub fn suffices(&self, shortage: &Shortage, needed: u64, sums: Sums) -> bool {
        self.could_free(shortage, needed, sums) >= needed
    }

    /// Whether any grant may go for a shortage, by a look at one after the other until one is
    /// found: where nothing may, that is one pass instead of one for every few queues.
    pub fn may_free_any(&self, shortage: &Shortage) -> bool {
        let (used, leaving) = (|a| self.in_grants(a), |a| self.freeing(a).bytes());
        let sums = Sums { used: &used, leaving: &leaving };
        self.tenants_below(shortage.account).any(|tenant| {
            self.may_be_asked(shortage, tenant, sums) && self.evictable(shortage, tenant, 1) > 0
        })
    }

    /// Bytes that evictions could free, with all that is on its way from below the account; looked
    /// for until there are `needed`, and then at most those. An upper bound, which knows what each
    /// tenant may lose, but not how whole grants fit into that. Looks at grants one by one.
    pub fn could_free(&self, shortage: &Shortage, needed: u64, sums: Sums) -> u64 {
        let tenants = || self.tenants_below(shortage.account);
        let leaving = tenants().map(sums.leaving);
        let mut sum = leaving.fold(0, u64::saturating_add);
        let own = shortage.requester.map(|requester| requester.account);
        let own_below = tenants().find(|&t| Some(t) == own);
        let mut from_own = 0;
        if let Some(own) = own_below {
            from_own = self.evictable(shortage, own, needed);
            sum = sum.saturating_add(from_own);
        }
        for tenant in tenants() {
            if sum >= needed {
                break;
            }
            if Some(tenant) != own && self.may_be_asked(shortage, tenant, sums) {
                let spare = self.spare(shortage, tenant, sums);
                let spare = match self.compared(shortage, tenant) {
                    std::cmp::Ordering::Equal => {
                        let leaving = bytes_as_i64((sums.leaving)(tenant));
                        let after = self.requester_after(shortage, sums) - bytes_as_i64(from_own);
                        spare.min((self.above_share(tenant) - leaving - after).max(0) as u64)
                    }
                    _ => spare,
                };
                sum = sum.saturating_add(self.evictable(shortage, tenant, spare));
            }
        }
        sum.min(needed)
    }

    /// Bytes of the tenant's grants that may go for a shortage, counted up to `most`.
    pub fn evictable(&self, shortage: &Shortage, tenant: u32, most: u64) -> u64 {
        self.sum_of_evictable(shortage, tenant, most, SlotWord::bytes)
    }

    /// Grants of the requester's that may go for a shortage or were promised, counted up to `most`.
    pub fn evictable_grants(&self, shortage: &Shortage, owner: Owner, most: u64) -> u64 {
        let promised = self.promised_grants(owner);
        promised + self.sum_of_evictable(shortage, owner.account(), most, |_| 1)
    }

    fn sum_of_evictable(
        &self,
        shortage: &Shortage,
        tenant: u32,
        most: u64,
        measure: impl Fn(SlotWord) -> u64,
    ) -> u64 {
        let generation = self.accounts.generation(tenant);
        let mut sum: u64 = 0;
        for kind in self.kinds(shortage, tenant) {
            let owner = Owner::new(tenant, generation, kind);
            for slot in self.slots(owner).filter(|&slot| Some(slot) != shortage.spared_slot()) {
                let word = self.grants.word(slot);
                let may_go =
                    || !word.special() || self.grants.fields(slot).is_evictable(shortage.now_ns);
                if word.state() == State::Live && may_go() {
                    sum = sum.saturating_add(measure(word));
                }
                if sum >= most {
                    return most;
                }
            }
        }
        sum
    }

    /// The slots of a queue.
    pub fn slots(&self, owner: Owner) -> impl Iterator<Item = u32> + '_ {
        self.queue(owner).chain(&self.grants, owner).flat_map(|s| s * SLOTS..(s + 1) * SLOTS)
    }

    /// Grants of a queue whose owner has promised to release them.
    pub fn promised_grants(&self, owner: Owner) -> u64 {
        if self.freeing(owner.account()).bytes() == 0 {
            return 0;
        }
        self.promised(owner).count() as u64
    }

    fn promised(&self, owner: Owner) -> impl Iterator<Item = SlotWord> + '_ {
        let words = self.slots(owner).map(|slot| self.grants.word(slot));
        words.filter(|word| word.state() == State::Deferred)
    }

    /// Whether more bytes of a tenant are on their way than its owner has promised: somebody is
    /// evicting.
    pub fn is_being_evicted(&self, tenant: u32) -> bool {
        let generation = self.accounts.generation(tenant);
        let queues = (0..TYPES as u8).map(|kind| Owner::new(tenant, generation, kind));
        let promised = queues.flat_map(|owner| self.promised(owner)).map(SlotWord::bytes);
        promised.fold(0, u64::saturating_add) < self.freeing(tenant).bytes()
    }

    fn sight(&self, owner: Owner, now_ns: u64) -> Sight<'_> {
        let clock = self.accounts.get(owner.account()).clock();
        Sight { grants: &self.grants, owner, clock, now_ns, spared: None }
    }

    /// The grant of a queue that should go first.
    pub fn pick(&self, owner: Owner, now_ns: u64) -> Option<Pick> {
        self.queue(owner).pick(&self.sight(owner, now_ns))
    }

    /// The same for a shortage, without the grant that is to grow.
    pub fn pick_for(&self, owner: Owner, shortage: &Shortage) -> Option<Pick> {
        let sight = self.sight(owner, shortage.now_ns);
        self.queue(owner).pick(&Sight { spared: shortage.spared_slot(), ..sight })
    }

    /// Everything in a queue that may go, in the order in which it would. Allocates; for people.
    pub fn picks(&self, owner: Owner, now_ns: u64) -> Vec<Pick> {
        let mut picks = self.queue(owner).candidates(&self.sight(owner, now_ns));
        picks.sort_by_key(|pick| pick.worth);
        picks
    }
}

/// Byte counts of accounts have 48 bits; shares may be larger, and count as without bound then.
fn bytes_as_i64(bytes: u64) -> i64 {
    bytes.min(1 << 62) as i64
}

#[cfg(test)]
mod tests {
    use super::super::account::{LEVELS, Settings};
    use super::super::admission::Ask;
    use super::super::events::Nobody;
    use super::super::grants::{Fields, flag};
    use super::super::tests::{ask, core};
    use super::*;

    const USED: u64 = 40;

    /// Tenants 2 and 4 have `USED` bytes each; water stands at 5.
    fn shared() -> Core {
        let core = core(100);
        core.accounts.set_water(5);
        for account in [2, 4] {
            core.admit(&ask(account, USED), &Nobody).unwrap();
        }
        core
    }

    fn configure(core: &Core, account: u32, priority: u64, guarantee: u64) {
        let limits = [100; LEVELS];
        let to = Settings { limits, guarantee, traits: priority, ..Settings::default() };
        core.accounts.configure(account, &to).unwrap();
    }

    /// Tenant 2 wants so many bytes of the pool.
    fn wants(bytes: u64) -> Shortage {
        let requester = Some(Requester { account: 2, kind: 0, bytes, growing: None });
        let (account, goal, types, order) =
            (ROOT, Goal::Demand(bytes), ALL_TYPES, Order::TypeFirst);
        let (victims_max, now_ns, keep_until_ns) = (1, 0, 0);
        Shortage { account, goal, requester, types, order, victims_max, now_ns, keep_until_ns }
    }

    #[test]
    fn a_share_is_the_guarantee_and_the_water_by_weight() {
        let core = shared();
        for (priority, guarantee, share) in [(0, 0, 5), (1, 0, 10), (3, 10, 30), (2, 10, 25)] {
            configure(&core, 2, priority, guarantee);
            assert_eq!(core.above_share(2), USED as i64 - share);
        }
    }

    /// Of equals who is above its share may be asked, down to where the one who asks will be.
    #[test]
    fn equals_meet_where_the_requester_will_be() {
        let core = shared();
        let leaving = std::cell::Cell::new(0);
        let (used, leaves) = (|account| core.accounts.used(account), |_| leaving.get());
        let sums = Sums { used: &used, leaving: &leaves };
        // Both are 35 above their shares.
        for (bytes, gone, after) in [(7, 0, 42), (7, 4, 38), (0, 0, 35)] {
            leaving.set(gone);
            assert_eq!(core.requester_after(&wants(bytes), sums), after);
        }
        configure(&core, 2, 0, 30);
        leaving.set(0);
        // With a guarantee of 30 the requester will be 5 above, and the other may lose 30.
        for (bytes, may) in [(1, true), (30, true), (31, false), (40, false)] {
            assert_eq!(core.may_lose(&wants(0), 4, bytes, sums), may, "{bytes}");
        }
        leaving.set(10);
        for (bytes, may) in [(25, true), (26, false)] {
            assert_eq!(core.may_lose(&wants(5), 4, bytes, sums), may, "{bytes}");
        }
        for (gone, may) in [(34, true), (35, false), (36, false)] {
            leaving.set(gone);
            assert_eq!(core.may_be_asked(&wants(1), 4, sums), may, "{gone} are leaving");
        }
    }

    /// What is guaranteed stays, also where priority says that all may go.
    #[test]
    fn the_guarantee_is_what_is_left() {
        let core = shared();
        configure(&core, 2, 1, 0);
        let leaving = std::cell::Cell::new(0);
        let (used, leaves) = (|account| core.accounts.used(account), |_| leaving.get());
        let sums = Sums { used: &used, leaving: &leaves };
        assert_eq!(core.spare(&wants(1), 4, sums), USED);
        configure(&core, 4, 0, 30);
        for (gone, spare) in [(0, 10), (4, 6), (10, 0), (11, 0)] {
            leaving.set(gone);
            assert_eq!(core.spare(&wants(1), 4, sums), spare);
            assert_eq!(core.may_be_asked(&wants(1), 4, sums), spare > 0);
            assert!(core.may_lose(&wants(1), 4, spare, sums));
            assert!(!core.may_lose(&wants(1), 4, spare + 1, sums));
        }
    }

    /// Its own, what is on its way, and of an equal what leaves it above where the requester will
    /// be.
    #[test]
    fn so_much_could_be_freed() {
        let core = shared();
        core.admit(&Ask { kind: CACHE, ..ask(2, 8) }, &Nobody).unwrap();
        let used = |account| core.accounts.used(account);
        let leaves = |account| if account == 4 { 4 } else { 0 };
        let sums = Sums { used: &used, leaving: &leaves };
        let of_cache = |bytes| Shortage {
            requester: Some(Requester { account: 2, kind: CACHE, bytes, growing: None }),
            ..wants(bytes)
        };
        // 43 above its share, it will be higher than the other is, whatever it gives up.
        assert_eq!(core.could_free(&of_cache(5), 100, sums), 4 + 8);
        // 13 above, it will be 10 above: the other, 31 above and 4 on their way, may lose 21.
        configure(&core, 2, 0, 30);
        assert_eq!(core.could_free(&of_cache(5), 100, sums), 4 + 8 + 21);
        assert_eq!(core.could_free(&of_cache(5), 20, sums), 20);
        assert!(core.suffices(&of_cache(5), 33, sums) && !core.suffices(&of_cache(5), 34, sums));
    }

    #[test]
    fn what_is_pinned_may_not_go() {
        let core = core(100);
        let pinned = Fields { flags: flag::PINNED, ..Fields::default() };
        core.admit(&Ask { fields: pinned, ..ask(4, 5) }, &Nobody).unwrap();
        let balancer = Shortage { requester: None, ..wants(1) };
        assert!(!core.may_free_any(&balancer));
        assert_eq!(core.evictable(&balancer, 4, 10), 0);
        (0..3).for_each(|_| assert!(core.admit(&ask(4, 5), &Nobody).is_ok()));
        assert!(core.may_free_any(&balancer));
        for (most, grants) in [(2, 2), (3, 3), (10, 3)] {
            assert_eq!(core.evictable_grants(&balancer, ask(4, 5).owner(), most), grants);
        }
    }
}
