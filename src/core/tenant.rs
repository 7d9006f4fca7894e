//! What a tenant has beside its account: identity, rate, tallies and its eviction queues.
//!
//! Nothing on the hot path writes here but the slot released last: the number of grants is derived
//! from the generations of the slots, and what changes with every grant stands on the account's
//! first line, which is written anyway.

use super::queue::Queue;
use super::rate::Rate;
use super::region::Zeroed;
use super::sync::{AtomicU32, AtomicU64, Ordering};

/// Allocation types there are: one queue for each.
pub const TYPES: usize = 4;

/// The record of a tenant beside its account; same generation as the account.
#[repr(C, align(64))]
pub struct Tenant {
    /// Rate of requests, if it is limited.
    pub rate: Rate,
    uuid: [AtomicU64; 2],
    /// Its turns in the fair queue; kept by `wait.rs`.
    pub turns: Turns,
    /// The word of batches over several tenants that charge it; kept by `batch.rs`.
    pub batches: AtomicU64,
    /// What happened to this tenant, for people.
    pub tally: Tally,
    /// One eviction queue for each allocation type.
    pub queues: [Queue; TYPES],
}

/// What the fair queue knows of a tenant. Only whoever holds the line reads and writes it, save for
/// looks of people: so it is the line that begins anew for the next tenant of the slot.
#[repr(C)]
pub struct Turns {
    /// Virtual finish time of the tenant's last waiter.
    tag: AtomicU64,
    /// What waiters that left unserved in walk `credited` had added to the tags behind them.
    credit: AtomicU64,
    /// The tag of the last one that was moved; counts in walk `credited`.
    moved: AtomicU64,
    /// The fewest bytes that one of its waiters lacked in walk `found_short`.
    least: AtomicU64,
    credited: AtomicU32,
    found_short: AtomicU32,
    /// The walk along the line in which later waiters are not served.
    held_up: AtomicU32,
    /// Of the tenant whose waiters these are.
    generation: AtomicU32,
}

/// Counts that only slow paths write.
#[repr(C)]
pub struct Tally {
    denied: AtomicU64,
    evicted_grants: AtomicU64,
    evicted_bytes: AtomicU64,
    granted_before: AtomicU64,
}

// SAFETY: atomics only; all zero is a tenant that was never registered.
unsafe impl Zeroed for Tenant {
    fn empty() -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            rate: Rate::empty(),
            uuid: [zero(), zero()],
            turns: Turns {
                tag: zero(),
                credit: zero(),
                moved: zero(),
                least: zero(),
                credited: AtomicU32::new(0),
                found_short: AtomicU32::new(0),
                held_up: AtomicU32::new(0),
                generation: AtomicU32::new(0),
            },
            batches: zero(),
            tally: Tally {
                denied: zero(),
                evicted_grants: zero(),
                evicted_bytes: zero(),
                granted_before: zero(),
            },
            queues: std::array::from_fn(|_| Queue::empty()),
        }
    }
}

impl Tenant {
    /// Clears what the slot's last tenant left; the caller holds the administrative mutex and the
    /// account is closed, and opens after this.
    pub fn begin(&self, uuid: u128, generation: u32) {
        self.queues.iter().for_each(|queue| queue.begin(generation));
        // Release: pairs with the Acquire in `uuid`; after the account was closed, and the exchange
        // that opens it publishes the tenant.
        let order = Ordering::Release;
        self.uuid[0].store((uuid >> 64) as u64, order);
        self.uuid[1].store(uuid as u64, order);
        self.rate.reset(generation);
        let tally = &self.tally;
        for count in
            [&tally.denied, &tally.evicted_grants, &tally.evicted_bytes, &tally.granted_before]
        {
            count.store(0, order);
        }
    }

    /// The tenant's UUID.
    pub fn uuid(&self) -> u128 {
        // Acquire: pairs with the Release in `begin`; whoever sees the next tenant's sees that the
        // account was closed before.
        let half = |i: usize| u128::from(self.uuid[i].load(Ordering::Acquire));
        (half(0) << 64) | half(1)
    }
}

impl Turns {
    /// Whether these are the turns of the tenant of this generation.
    pub fn are_of(&self, generation: u32) -> bool {
        // Relaxed: as in `tag`.
        self.generation.load(Ordering::Relaxed) == generation
    }

    /// Begins anew, for a tenant that owes nothing for the one before it.
    pub fn begin(&self, generation: u32, virtual_time: u64) {
        self.set_tag(virtual_time);
        // Relaxed: as in `tag`.
        self.generation.store(generation, Ordering::Relaxed);
    }

    /// Virtual finish time of the last waiter.
    pub fn tag(&self) -> u64 {
        // Relaxed: for whoever holds the line.
        self.tag.load(Ordering::Relaxed)
    }

    /// Sets the virtual finish time of the last waiter.
    pub fn set_tag(&self, tag: u64) {
        // Relaxed: as in `tag`.
        self.tag.store(tag, Ordering::Relaxed);
    }

    /// A waiter that added `cost` to the tags behind it leaves unserved.
    pub fn give_back(&self, cost: u64, walk: u32) {
        let before = self.credit(walk);
        if before == 0 {
            // Relaxed: as in `tag`; nobody was moved in this walk so far.
            self.moved.store(0, Ordering::Relaxed);
        }
        let credit = before + cost;
        // Relaxed: as in `tag`.
        self.credit.store(credit, Ordering::Relaxed);
        // Relaxed: as in `tag`.
        self.credited.store(walk, Ordering::Relaxed);
        self.set_tag(self.tag().wrapping_sub(cost));
    }

    /// The tag of a waiter in this walk: smaller by what those of its tenant before it had added
    /// that left in this walk, but not before its own cost from now on, nor from the one before it.
    pub fn moved(&self, tag: u64, cost: u64, walk: u32, virtual_time: u64) -> u64 {
        let credit = self.credit(walk);
        if credit == 0 {
            return tag;
        }
        // Tags wrap: they are told apart by how far they are from now.
        let since = |tag: u64| tag.wrapping_sub(virtual_time) as i64;
        // Relaxed: as in `tag`.
        let before = since(self.moved.load(Ordering::Relaxed)).max(0);
        let first = before.saturating_add_unsigned(cost);
        let moved = since(tag.wrapping_sub(credit)).max(since(tag).min(first));
        let moved = virtual_time.wrapping_add_signed(moved);
        // Relaxed: as in `tag`.
        self.moved.store(moved, Ordering::Relaxed);
        self.set_tag(moved);
        moved
    }

    fn credit(&self, walk: u32) -> u64 {
        // Relaxed: as in `tag`.
        let this = self.credited.load(Ordering::Relaxed) == walk;
        // Relaxed: as in `tag`.
        if this { self.credit.load(Ordering::Relaxed) } else { 0 }
    }

    /// A waiter of so many bytes finds its tenant, or some account above it, short.
    pub fn note_short(&self, bytes: u64, walk: u32) {
        let least = self.least_short(walk).map_or(bytes, |least| least.min(bytes));
        // Relaxed: as in `tag`.
        self.least.store(least, Ordering::Relaxed);
        // Relaxed: as in `tag`.
        self.found_short.store(walk, Ordering::Relaxed);
    }

    /// The fewest bytes of a waiter that was found short in this walk.
    pub fn least_short(&self, walk: u32) -> Option<u64> {
        // Relaxed: as in `tag`.
        let this = self.found_short.load(Ordering::Relaxed) == walk;
        // Relaxed: as in `tag`.
        this.then(|| self.least.load(Ordering::Relaxed))
    }

    /// Whether later waiters are not served in this walk along the line.
    pub fn is_held_up(&self, walk: u32) -> bool {
        // Relaxed: as in `tag`.
        self.held_up.load(Ordering::Relaxed) == walk
    }

    /// Lets later waiters not be served in this walk along the line.
    pub fn hold_up(&self, walk: u32) {
        // Relaxed: as in `tag`.
        self.held_up.store(walk, Ordering::Relaxed);
    }
}

impl Tally {
    /// Counts a denial.
    pub fn note_denied(&self) {
        // Relaxed: a statistic.
        self.denied.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an evicted grant.
    pub fn note_evicted(&self, bytes: u64) {
        // Relaxed: statistics.
        let order = Ordering::Relaxed;
        self.evicted_grants.fetch_add(1, order);
        self.evicted_bytes.fetch_add(bytes, order);
    }

    /// Keeps the count of grants of a segment that leaves the tenant.
    pub fn note_retired(&self, granted: u64) {
        // Relaxed: a statistic.
        self.granted_before.fetch_add(granted, Ordering::Relaxed);
    }

    /// Denials, evicted grants, evicted bytes and the grants of segments that left.
    pub fn read(&self) -> [u64; 4] {
        // Relaxed: statistics.
        [&self.denied, &self.evicted_grants, &self.evicted_bytes, &self.granted_before]
            .map(|count| count.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::super::region::tests::{assert_empty_is_zeroed, words};
    use super::*;

    words! { Tenant: rate uuid turns batches tally queues }
    words! { Turns: tag credit moved least credited found_short held_up generation }
    words! { Tally: denied evicted_grants evicted_bytes granted_before }

    #[test]
    fn an_empty_cell_is_a_zeroed_one() {
        assert_empty_is_zeroed::<Tenant>();
    }

    #[test]
    fn a_tenant_is_who_it_was_begun_as() {
        let tenant = Tenant::empty();
        for uuid in [1, 1 << 64, 1 << 127 | 5, u128::MAX, 0] {
            tenant.begin(uuid, 1);
            assert_eq!(tenant.uuid(), uuid);
        }
    }

    #[test]
    fn each_tenant_of_a_slot_has_turns_of_its_own() {
        let turns = Tenant::empty().turns;
        assert!(turns.are_of(0) && !turns.are_of(1), "of nobody");
        for (generation, virtual_time) in [(1, 5), (2, 7)] {
            turns.begin(generation, virtual_time);
            assert!(turns.are_of(generation) && !turns.are_of(generation - 1));
            assert_eq!(turns.tag(), virtual_time);
            turns.set_tag(100);
        }
    }

    #[test]
    fn the_least_that_was_short_in_a_walk_is_remembered_until_the_next() {
        let turns = Tenant::empty().turns;
        assert_eq!(turns.least_short(1), None);
        for (bytes, walk, least) in [(5, 1, 5), (3, 1, 3), (9, 1, 3), (7, 2, 7), (8, 2, 7)] {
            turns.note_short(bytes, walk);
            assert_eq!(turns.least_short(walk), Some(least));
            assert_eq!(turns.least_short(walk + 1), None);
        }
    }
}
