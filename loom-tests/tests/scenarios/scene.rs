// A core with a few tenants, the owners of its grants, and a ledger no thread can tear: what the
// scenarios of `admission.rs`, `evict.rs` and `batch.rs` are played on. Whoever includes this file
// has the code under test in `super::super::core`.

use super::core::account::{LEVELS, Obstacle, ROOT, Settings};
use super::core::admission::{Ask, Granted, No};
use super::core::events::{Nobody, Recorded};
use super::core::evict::{Owners, ReclaimAnswer, Relief};
use super::core::grants::{Fields, Victim};
use super::core::order::{CACHE, Goal, INFERENCE, Order, Requester, Shortage};
use super::core::sync::Ordering;
use super::core::word::Owner;
use super::core::{Core, Sizes};
use loom::sync::Arc;
use loom_tests::{ALL, bound, model, thread};

/// (parent, limit, guarantee) of a group.
type Group = (u32, u64, u64);
/// (parent, limit, guarantee, priority) of a tenant.
type Tenant = (u32, u64, u64, u64);

const ANY: u64 = 1 << 40;

/// Groups have the indices from 1, tenants those after them; all have generation 1.
struct Scene {
    core: Core,
    answer: ReclaimAnswer,
    /// Bytes whose owners were asked, and answered that they are free.
    evicted: std::sync::Mutex<u64>,
    /// Bytes charged without a slot.
    charged: std::sync::Mutex<u64>,
    /// Whether one who waits was woken to look at the line.
    woken: std::sync::Mutex<bool>,
}

impl Owners for Scene {
    fn reclaim(&self, victim: &Victim) -> Option<ReclaimAnswer> {
        if self.answer == ReclaimAnswer::Freed {
            *self.evicted.lock().unwrap() += victim.bytes;
        }
        Some(self.answer)
    }

    fn hand_out(&self, _victim: &Victim) {}

    fn note_promise(&self, _victim: &Victim) {}

    fn note_end(&self, _victim: &Victim) {}
}

fn settings(limit: u64, guarantee: u64, priority: u64, counted: u8) -> Settings {
    let limits = [limit; LEVELS];
    Settings { limits, guarantee, traits: priority, counted, ..Settings::default() }
}

/// Which of two roles the thread has that starts, and which one the thread that is started.
#[derive(Clone, Copy)]
struct Roles {
    exchanged: bool,
}

/// Runs a scenario of two roles both ways round: loom overlooks some orders in the one and some in
/// the other, and interrupts the thread that starts more often.
fn both_ways(
    name: &str,
    bound: Option<usize>,
    scenario: impl Fn(Roles) + Send + Sync + Clone + 'static,
) {
    for exchanged in [false, true] {
        let scenario = scenario.clone();
        let name = if exchanged { format!("{name}, roles exchanged") } else { name.to_string() };
        model(&name, bound, move || scenario(Roles { exchanged }));
    }
}

impl Roles {
    fn race<A: 'static, B: 'static>(
        self,
        scene: &Arc<Scene>,
        one: impl FnOnce(&Scene) -> A + 'static,
        other: impl FnOnce(&Scene) -> B + 'static,
    ) -> (A, B) {
        let started = scene.clone();
        if self.exchanged {
            let thread = thread::spawn(move || one(&started));
            let b = other(scene);
            (thread.join().unwrap(), b)
        } else {
            let thread = thread::spawn(move || other(&started));
            let a = one(scene);
            (a, thread.join().unwrap())
        }
    }
}

impl Scene {
    fn new(capacity: u64, groups: &[Group], tenants: &[Tenant]) -> Self {
        Self::answering(ReclaimAnswer::Freed, capacity, groups, tenants)
    }

    fn answering(
        answer: ReclaimAnswer,
        capacity_bytes: u64,
        groups: &[Group],
        tenants: &[Tenant],
    ) -> Self {
        Self::buying(0, answer, capacity_bytes, groups, tenants)
    }

    /// Whose purchases of claim go beyond the need by so many bytes.
    fn buying(
        quantum_bytes: u64,
        answer: ReclaimAnswer,
        capacity_bytes: u64,
        groups: &[Group],
        tenants: &[Tenant],
    ) -> Self {
        let core = Core::new(&Sizes {
            capacity_bytes,
            groups_max: groups.len() as u32,
            tenants_max: tenants.len() as u32,
            grants_max: 8,
            ghost_keys_max: 0,
            quantum_bytes,
            events: Recorded::default(),
            waiters_max: 2,
            patience_ns: 1,
        });
        for (index, &(parent, limit, guarantee)) in (1..).zip(groups) {
            core.accounts.open(index, parent, &settings(limit, guarantee, 0, 0)).unwrap();
        }
        let first = 1 + groups.len() as u32;
        for (index, &(parent, limit, guarantee, priority)) in (first..).zip(tenants) {
            core.accounts.open(index, parent, &settings(limit, guarantee, priority, 0)).unwrap();
            core.tenant(index).begin(u128::from(index), 1);
        }
        let (evicted, charged, woken) = Default::default();
        Self { core, answer, evicted, charged, woken }
    }

    fn ask(tenant: u32, kind: u8, bytes: u64) -> Ask {
        Ask {
            account: tenant,
            generation: 1,
            kind,
            bytes,
            fields: Fields::default(),
            cost: 1,
            now_ns: 0,
            paced: true,
        }
    }

    fn admit(&self, tenant: u32, kind: u8, bytes: u64) -> Result<Granted, No> {
        self.core.admit(&Self::ask(tenant, kind, bytes), &Nobody)
    }

    /// Fills a tenant with grants that may be evicted.
    fn fill(&self, tenant: u32, grants: u32, bytes: u64) {
        for _ in 0..grants {
            self.admit(tenant, CACHE, bytes).unwrap();
        }
    }

    fn shortage(account: u32, goal: Goal, requester: Option<Requester>) -> Shortage {
        let (types, order) = (1 << CACHE, Order::TypeFirst);
        let (victims_max, now_ns, keep_until_ns) = (8, 0, 1);
        Shortage { account, goal, requester, types, order, victims_max, now_ns, keep_until_ns }
    }

    /// Charges as a request does, without the slot.
    fn charge(&self, tenant: u32, bytes: u64) -> Result<(), Obstacle> {
        let charged = self.core.charge(tenant, 1, 0, bytes, 0);
        if charged.is_ok() {
            *self.charged.lock().unwrap() += bytes;
        }
        charged
    }

    /// Evicts what a running request of `bytes` is short of in the account `short`.
    fn evict(&self, short: u32, tenant: u32, bytes: u64) -> Relief {
        let requester = Some(Requester { account: tenant, kind: INFERENCE, bytes, growing: None });
        let shortage = Self::shortage(short, Goal::Demand(bytes), requester);
        self.core.make_room(&shortage, self)
    }

    /// The same, and then charges them.
    fn evict_and_charge(
        &self,
        short: u32,
        tenant: u32,
        bytes: u64,
    ) -> (Relief, Result<(), Obstacle>) {
        let relief = self.evict(short, tenant, bytes);
        (relief, self.charge(tenant, bytes))
    }

    /// Evicts like the balancer.
    fn relieve(&self, bytes: u64) -> Relief {
        self.core.make_room(&Self::shortage(ROOT, Goal::Bytes(bytes), None), self)
    }

    fn release(&self, tenant: u32, kind: u8, (slot, generation): Granted) -> bool {
        self.core.release(slot, generation, Owner::new(tenant, 1, kind), &Nobody).is_ok()
    }

    /// Ends what is in the slots of a tenant's caches, as unregistering by force does.
    fn force(&self, tenant: u32) {
        let owner = Owner::new(tenant, 1, CACHE);
        for slot in self.core.slots(owner).collect::<Vec<_>>() {
            while !self.core.end_by_force(slot, owner, &Nobody) {
                thread::yield_now();
            }
        }
    }

    fn used(&self, tenant: u32) -> u64 {
        self.core.accounts.used(tenant)
    }

    fn evicted(&self) -> u64 {
        *self.evicted.lock().unwrap()
    }

    /// At rest: the invariants hold, what is in use is in slots, and no count is left behind.
    fn check(&self) {
        self.core.accounts.assert_at_rest();
        let (mut used, mut held) = (0, *self.charged.lock().unwrap());
        for tenant in self.core.accounts.tenants() {
            let generation = self.core.accounts.generation(tenant);
            used += self.used(tenant);
            held += (0..4)
                .flat_map(|kind| self.core.slots(Owner::new(tenant, generation, kind)))
                .map(|slot| self.core.grants.word(slot).bytes())
                .sum::<u64>();
        }
        assert_eq!(used, held, "I3: used {used}, held {held}");
        for account in 0..self.core.accounts.tenants().end {
            let freeing = self.core.freeing(account).bytes();
            assert_eq!(freeing, 0, "LEFT BEHIND: {freeing} bytes on their way in {account}");
            let demand = self.core.accounts.get(account).demand().load(Ordering::Acquire);
            assert_eq!(demand, 0, "LEFT BEHIND: a demand of {demand} bytes in {account}");
        }
    }
}
