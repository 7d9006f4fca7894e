//! The usual case of each verb, straight through.
//!
//! What `admission.rs` decides in general is decided here where nothing is in the way: the claim
//! suffices, a slot was freed a moment ago, nothing is limited but bytes, nothing is recorded and
//! nobody else is at the same grant. Every record is found once, one look at the account serves all
//! checks, and the exchange that takes the bytes is what makes the look true.
//!
//! ```text
//! request  look -> slot (exchange) -> bytes (exchange) -> published
//! release  slot (exchange) -> free -> bytes (subtraction)
//! grow     slot (exchange) -> look -> bytes (exchange) -> let go
//! shrink   slot (exchange) -> let go -> bytes (subtraction)
//! ```
//!
//! Whoever calls has made sure that nothing is recorded. A verb that meets anything else answers
//! `None` and has changed nothing: the caller goes on with the general form of it. Whoever has been
//! answered looks at `scarcity.rs` next (S1).
//!
//! What it costs is instructions and stores: an exchange waits for every store before it, and what
//! follows it goes on at some eight instructions a cycle. So each record is found once, what is
//! there already is not written again, and a request without key, cookie and flags has a form of
//! its own. `docs/PERFORMANCE.md` says what each step was worth.

use super::Core;
use super::account::Account;
use super::admission::Granted;
use super::bugs::{Bug, planted};
use super::grants::{Fields, Slot, flag};
use super::policy::{Cost, Recency};
use super::queue::Queue;
use super::sync::prefetch_to_write;
use super::tenant::Tenant;
use super::word::{GRANT_BYTES_MAX, Owner, Purpose, SlotWord};

/// A request as it was made, read where it is needed: a value kept across an exchange is a store
/// before it.
pub trait Asked {
    /// Whose slots it uses.
    fn owner(&self) -> Owner;
    /// At least 1 and at most [`GRANT_BYTES_MAX`].
    fn bytes(&self) -> u64;
    /// Name of the content, 0 if it has none.
    fn key(&self) -> u64;
    /// Key, cookie and flags.
    fn fields(&self) -> Fields;
    /// What it costs to rebuild the content.
    fn cost(&self) -> Cost;
}

impl Core {
    /// Grants a request of a tenant that exists, or did, for bytes that a grant can have. Without
    /// `details` its flags, key and cookie are known to be 0.
    #[inline(always)]
    pub fn request_at_once(&self, asked: &impl Asked, details: bool) -> Option<Granted> {
        let owner = asked.owner();
        let Seat { account, queue, .. } = self.seat(owner)?;
        // Where several threads are at it, the line comes once and not first to be read.
        prefetch_to_write(account);
        if self.accounts.looks_full(account, asked.bytes()) {
            return None;
        }
        if details {
            self.expect(queue, owner, asked.key());
        }
        let (index, next) = queue.reserve_next(&self.grants, owner).ok()?;
        // Before the exchange, which needs the line for itself anyway.
        let clock = account.tick();
        let Some(used) = self.charge_at_once(account, owner, asked.bytes()) else {
            self.give_slot_back(owner, index);
            return None;
        };
        account.note_used(used);
        // SAFETY: it was reserved a moment ago.
        let slot = unsafe { self.grants.slot_at(index) };
        if details {
            let frequency = self.recall(queue, owner, asked.key(), clock);
            let recency = Recency::of(clock, asked.cost(), frequency);
            slot.publish(next, asked.bytes(), recency.0, &asked.fields());
        } else {
            slot.publish_plain(next, asked.bytes(), Recency::of(clock, asked.cost(), 1).0);
        }
        Some((index, next))
    }

    /// Use and limit of the tenant, if its limit is the first check that refuses the request and
    /// that is certain by one look. Counts the denial.
    #[inline(always)]
    pub fn refuse_at_once(&self, asked: &impl Asked) -> Option<(u64, u64)> {
        let owner = asked.owner();
        let Seat { account, tenant, .. } = self.seat(owner)?;
        let full = self.accounts.own_refusal(account, owner.generation(), asked.bytes())?;
        // After the look: what of the use may be a batch's, which has begun before it charged.
        if self.batches.any_but(0) {
            return None;
        }
        tenant.tally.note_denied();
        Some(full)
    }

    /// Asks for what is remembered of the content.
    #[inline]
    fn expect(&self, queue: &Queue, owner: Owner, key: u64) {
        if key != 0 && queue.remembers() {
            self.ghosts.prefetch(owner, key);
        }
    }

    /// The frequency with which content begins that may have been here before.
    #[inline]
    fn recall(&self, queue: &Queue, owner: Owner, key: u64, clock: u32) -> u32 {
        if key == 0 || !queue.remembers() {
            return 1;
        }
        queue.frequency_of(&self.grants, self.ghosts.recall(owner, key, clock))
    }

    #[cold]
    #[inline(never)]
    fn give_slot_back(&self, owner: Owner, index: u32) {
        // As if it had not been here: what is recorded goes the general way alone, and shall find
        // the same slots and the same time.
        self.accounts.get(owner.account()).untick();
        self.grants.unreserve(index);
        self.queue(owner).note_released(&self.grants, index);
    }

    /// Ends a live grant and takes its bytes out of use. Where there is more to do than that, it
    /// holds the grant and answers its word, for [`Core::release_held`].
    #[inline(always)]
    pub fn release_at_once(
        &self,
        (slot, index): (Slot<'_>, u32),
        generation: u32,
        owner: Owner,
    ) -> Option<Result<(), SlotWord>> {
        let word = slot.hold_live(generation, owner)?;
        let Seat { account, queue, .. } = self.seat_of_holder(owner);
        // While it is held: whoever counts a live grant holds it too, and counts before it lets go.
        if queue.is_counting() || !queue.was_released_last(&self.grants, index) {
            return Some(Err(word));
        }
        if planted(Bug::ReleasedTwice) {
            slot.let_go(word);
        } else {
            slot.free(word);
        }
        self.accounts.uncharge_at_once(account, word.bytes());
        Some(Ok(()))
    }

    /// The same of a held grant that may have been counted, and of which the queue is told.
    #[inline]
    pub fn release_held(&self, index: u32, word: SlotWord, owner: Owner) {
        let (slot, queue) = (self.grants.slot(index), self.queue(owner));
        let counted = queue.is_counting() && slot.flags() & flag::COUNTED != 0;
        slot.free(word);
        queue.note_released(&self.grants, index);
        if counted {
            queue.count_out();
        }
        self.accounts.uncharge(owner.account(), word.bytes());
    }

    /// Adds bytes to a live grant.
    #[inline(always)]
    pub fn grow_at_once(
        &self,
        slot: Slot<'_>,
        generation: u32,
        owner: Owner,
        bytes: u64,
    ) -> Option<()> {
        let word = slot.hold_live(generation, owner)?;
        let Seat { account, .. } = self.seat_of_holder(owner);
        let held = word.bytes();
        // More than it holds: so it is not zero that is asked for, nor came the sum round.
        let then = held.wrapping_add(bytes);
        let fits = held < then && then <= GRANT_BYTES_MAX;
        let used = if fits { self.charge_more_at_once(account, owner, bytes) } else { None };
        let Some(used) = used else {
            slot.let_go(word);
            return None;
        };
        // While it is held: later the account may be the next tenant's.
        account.note_used(used);
        slot.let_go(if planted(Bug::GrowthForgotten) { word } else { word.plus(bytes) });
        Some(())
    }

    /// Takes bytes off a live grant that has more.
    #[inline(always)]
    pub fn shrink_at_once(
        &self,
        slot: Slot<'_>,
        generation: u32,
        owner: Owner,
        bytes: u64,
    ) -> Option<()> {
        let word = slot.hold_live(generation, owner)?;
        let Seat { account, .. } = self.seat_of_holder(owner);
        // A live grant holds something: so some is asked for, and some is left.
        if bytes.wrapping_sub(1) >= word.bytes() - 1 {
            slot.let_go(word);
            return None;
        }
        slot.let_go(word.minus(bytes));
        self.accounts.uncharge_at_once(account, bytes);
        Some(())
    }

    /// Tells the eviction queue that the content of a live grant was used.
    #[inline(always)]
    pub fn touch_at_once(&self, slot: Slot<'_>, generation: u32, owner: Owner) -> Option<()> {
        if !slot.is_live(generation, owner) {
            return None;
        }
        let Seat { account, .. } = self.seat_of_holder(owner);
        let clock = account.tick();
        slot.set_recency(Recency(slot.recency()).touched(clock).0);
        Some(())
    }

    /// The usual charge of a request.
    #[inline(always)]
    fn charge_at_once(&self, account: &Account, owner: Owner, bytes: u64) -> Option<u64> {
        let again = || self.charge_again(owner, bytes);
        let what = (bytes, Purpose::Request);
        self.accounts.charge_at_once(account, owner.generation(), what, again)
    }

    #[cold]
    #[inline(never)]
    fn charge_again(&self, owner: Owner, bytes: u64) -> Option<u64> {
        let what = (bytes, Purpose::Request);
        self.accounts.charge_again(owner.account(), owner.generation(), what)
    }

    /// The same of a growth. Two functions: one that is told which of them has to keep what it is
    /// told in memory, which is three stores before the exchange.
    #[inline(always)]
    fn charge_more_at_once(&self, account: &Account, owner: Owner, bytes: u64) -> Option<u64> {
        let again = || self.charge_more_again(owner, bytes);
        let what = (bytes, Purpose::Growth);
        self.accounts.charge_at_once(account, owner.generation(), what, again)
    }

    #[cold]
    #[inline(never)]
    fn charge_more_again(&self, owner: Owner, bytes: u64) -> Option<u64> {
        let what = (bytes, Purpose::Growth);
        self.accounts.charge_again(owner.account(), owner.generation(), what)
    }

    /// The records of a tenant that a caller names.
    #[inline(always)]
    fn seat(&self, owner: Owner) -> Option<Seat<'_>> {
        let index = owner.account();
        // SAFETY: the account is one of those there are.
        (index < self.tenants.capacity()).then(|| unsafe { self.seat_at(index, owner) })
    }

    /// The records of a tenant that was seen to be the owner of a segment.
    #[inline(always)]
    fn seat_of_holder(&self, owner: Owner) -> Seat<'_> {
        debug_assert!(owner.account() < self.tenants.capacity());
        // SAFETY: segments are only given to accounts that there are.
        unsafe { self.seat_at(owner.account(), owner) }
    }

    /// # Safety
    ///
    /// There is an account of this index.
    #[inline(always)]
    unsafe fn seat_at(&self, index: u32, owner: Owner) -> Seat<'_> {
        // SAFETY: both tables have a cell for each account (`Core::new`), and the caller promises
        // that this is one.
        let (account, tenant) = unsafe { (self.accounts.at(index), self.tenants.at(index)) };
        Seat { account, tenant, queue: &tenant.queues[usize::from(owner.allocation_type())] }
    }
}

/// Where a verb finds what it needs of a tenant.
struct Seat<'a> {
    account: &'a Account,
    tenant: &'a Tenant,
    queue: &'a Queue,
}

#[cfg(test)]
mod tests {
    use super::super::account::Settings;
    use super::super::admission::Ask;
    use super::super::events::Nobody;
    use super::super::policy::Policy;
    use super::super::tests::{ask, core};
    use super::*;

    impl Asked for Ask {
        fn owner(&self) -> Owner {
            Ask::owner(self)
        }
        fn bytes(&self) -> u64 {
            self.bytes
        }
        fn key(&self) -> u64 {
            self.fields.key
        }
        fn fields(&self) -> Fields {
            self.fields
        }
        fn cost(&self) -> Cost {
            Cost::new(self.cost)
        }
    }

    /// What is remembered of content that comes back is used, and used up, as it is the general
    /// way, and only by the policy that asks for it.
    #[test]
    fn content_comes_back_as_it_does_the_general_way() {
        for policy in [Policy::Hybrid, Policy::Lru] {
            for (key, known) in [(0, 7), (7, 7), (7, 8)] {
                let begins = [true, false].map(|at_once| {
                    let core = core(100);
                    let again = Ask { fields: Fields { key, ..Fields::default() }, ..ask(2, 5) };
                    let owner = Ask::owner(&again);
                    core.queue(owner).set_policy(policy);
                    // Its claim stays at hand, and so does the slot.
                    let (slot, generation) = core.admit(&ask(2, 5), &Nobody).unwrap();
                    core.release(slot, generation, owner, &Nobody).unwrap();
                    core.ghosts.remember(owner, known, 6, 0);
                    let granted = match at_once {
                        true => core.request_at_once(&again, true),
                        false => core.admit(&again, &Nobody).ok(),
                    };
                    let slot = granted.unwrap().0;
                    let frequency = Recency(core.grants.recency(slot)).frequency();
                    (frequency, core.ghosts.recall(owner, known, 0).is_some())
                });
                assert_eq!(begins[0], begins[1], "{policy:?}, {key} where {known} is known");
                let uses = policy == Policy::Hybrid && key == known;
                assert_eq!(begins[0].0 > 1, uses, "{policy:?}, {key} where {known} is known");
                assert_eq!(begins[0].1, !uses, "{policy:?}, {key} where {known} is known");
            }
        }
    }

    /// One tenant, whose claim of so many bytes is at hand, and whose grants are of one queue.
    struct Scene {
        core: Core,
        owner: Owner,
    }

    impl Scene {
        fn new(claim: u64) -> Self {
            let core = core(claim);
            let owner = Ask::owner(&ask(2, 1));
            let (slot, generation) = core.admit(&ask(2, claim), &Nobody).unwrap();
            core.release(slot, generation, owner, &Nobody).unwrap();
            Self { core, owner }
        }

        fn slot(&self, index: u32) -> Slot<'_> {
            self.core.grants.slot(index)
        }

        fn used(&self) -> u64 {
            self.core.accounts.used(2)
        }

        fn grow(&self, (slot, generation): Granted, bytes: u64) -> Option<()> {
            self.core.grow_at_once(self.slot(slot), generation, self.owner, bytes)
        }

        fn shrink(&self, (slot, generation): Granted, bytes: u64) -> Option<()> {
            self.core.shrink_at_once(self.slot(slot), generation, self.owner, bytes)
        }

        fn release(&self, (slot, generation): Granted) -> Option<Result<(), SlotWord>> {
            self.core.release_at_once((self.slot(slot), slot), generation, self.owner)
        }
    }

    /// The usual case is served here, and no more than once.
    #[test]
    fn the_usual_case_of_each_verb_needs_no_other_form() {
        let scene = Scene::new(100);
        let core = &scene.core;
        let mut grant = core.request_at_once(&ask(2, 5), false).unwrap();
        for _ in 0..3 {
            assert_eq!(scene.used(), 5);
            assert_eq!(scene.grow(grant, 7), Some(()));
            assert_eq!((scene.used(), core.grants.word(grant.0).bytes()), (12, 12));
            assert_eq!(scene.shrink(grant, 2), Some(()));
            assert_eq!((scene.used(), core.grants.word(grant.0).bytes()), (10, 10));
            let before = Recency(core.grants.recency(grant.0));
            let touched = core.touch_at_once(scene.slot(grant.0), grant.1, scene.owner);
            assert_eq!(touched, Some(()));
            let after = Recency(core.grants.recency(grant.0));
            assert_eq!(after.frequency(), before.frequency() + 1);
            assert_eq!(scene.release(grant), Some(Ok(())));
            assert_eq!(scene.used(), 0);
            assert_eq!(scene.release(grant), None, "it has ended");
            let next = core.request_at_once(&ask(2, 5), false).unwrap();
            assert_eq!(next, (grant.0, grant.1 + 1), "the slot released last");
            grant = next;
        }
        // Its queue has to be told of another slot than the last, while the grant is held.
        let other = core.request_at_once(&ask(2, 3), false).unwrap();
        let Some(Err(word)) = scene.release(other) else { panic!("{other:?}") };
        assert_eq!(scene.used(), 8);
        assert_eq!(scene.release(other), None, "it is held");
        core.release_held(other.0, word, scene.owner);
        assert_eq!(scene.used(), 5);
        assert_eq!(core.request_at_once(&ask(2, 3), false), Some((other.0, other.1 + 1)));
        assert_eq!(scene.release((other.0, other.1 + 1)), Some(Ok(())), "now it is the last");
        assert_eq!(core.refuse_at_once(&ask(2, 96)), Some((5, 100)));
        assert_eq!(core.refuse_at_once(&ask(2, 95)), None);
        assert_eq!(core.tenants[2].tally.read()[0], 1);
    }

    /// What would be no size of a grant changes nothing, and the grant can be had again at once.
    #[test]
    fn a_grant_grows_and_shrinks_to_what_it_can_hold() {
        let scene = Scene::new(GRANT_BYTES_MAX);
        let grant = scene.core.request_at_once(&ask(2, 5), false).unwrap();
        let bytes = || (scene.used(), scene.core.grants.word(grant.0).bytes());
        for much in [0, GRANT_BYTES_MAX - 4, GRANT_BYTES_MAX, u64::MAX - 4, u64::MAX] {
            assert_eq!(scene.grow(grant, much), None, "{much}");
            assert_eq!(bytes(), (5, 5));
        }
        for much in [0, 5, 6, u64::MAX] {
            assert_eq!(scene.shrink(grant, much), None, "{much}");
            assert_eq!(bytes(), (5, 5));
        }
        assert_eq!(scene.grow(grant, GRANT_BYTES_MAX - 5), Some(()));
        assert_eq!(bytes(), (GRANT_BYTES_MAX, GRANT_BYTES_MAX));
        assert_eq!(scene.shrink(grant, GRANT_BYTES_MAX - 1), Some(()));
        assert_eq!(bytes(), (1, 1));
    }

    /// Where requests are counted or paced none is the usual one, but a grant grows as any other.
    #[test]
    fn what_is_looked_at_closely_is_each_request_and_no_growth() {
        for (counted, paced) in [(1, false), (0, true)] {
            let scene = Scene::new(100);
            let (core, owner) = (&scene.core, scene.owner);
            let grant = core.request_at_once(&ask(2, 5), false).unwrap();
            let closely = Settings { counted, paced, ..core.accounts.settings(2) };
            core.accounts.configure(2, &closely).unwrap();
            assert_eq!(core.request_at_once(&ask(2, 5), false), None);
            assert_eq!(core.refuse_at_once(&ask(2, 96)), None);
            assert_eq!(scene.grow(grant, 95), Some(()));
            assert_eq!(scene.grow(grant, 1), None, "beyond the limit");
            assert_eq!((scene.used(), core.grants.word(grant.0).bytes()), (100, 100));
            assert_eq!(core.accounts.charge_again(2, 2, (0, Purpose::Growth)), None, "of another");
            let again = |purpose| core.accounts.charge_again(2, owner.generation(), (0, purpose));
            assert_eq!(again(Purpose::Growth), Some(100));
            assert_eq!(again(Purpose::Request), (counted == 0).then_some(100));
        }
    }

    /// What is counted is taken out of the count, and what was granted before is not.
    #[test]
    fn a_held_grant_is_released_from_the_count_it_is_in() {
        for counted in [false, true] {
            let scene = Scene::new(100);
            let flags = if counted { flag::COUNTED } else { 0 };
            let asked = Ask { fields: Fields { flags, ..Fields::default() }, ..ask(2, 5) };
            let grant = scene.core.request_at_once(&asked, true).unwrap();
            let queue = scene.core.queue(scene.owner);
            queue.set_grants_max(Some(3));
            queue.count_in(2).unwrap();
            queue.count_decided(2, true);
            let Some(Err(word)) = scene.release(grant) else { panic!("grants are counted") };
            scene.core.release_held(grant.0, word, scene.owner);
            assert_eq!((queue.counted(), scene.used()), (2 - u64::from(counted), 0));
        }
    }

    /// A number that no tenant has is looked at before anything is looked up by it.
    #[test]
    fn no_tenant_is_behind_the_last() {
        let core = core(100);
        for account in [core.tenants.capacity(), core.tenants.capacity() + 1, (1 << 24) - 1] {
            assert!(core.request_at_once(&ask(account, 1), false).is_none());
            assert!(core.refuse_at_once(&ask(account, 101)).is_none());
        }
    }
}
