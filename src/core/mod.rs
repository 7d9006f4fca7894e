//! The governor's core, from the ground up. Each file may use the ones above it.
//!
//! | files | what |
//! |---|---|
//! | `sync` `word` `handle` `region` | the door to atomics, packed words, names of slots, tables |
//! | `bugs` | mistakes that tests plant |
//! | `account` `share` `scarcity` | the counting: who uses, has paid for and may have how much |
//! | `grants` `queue` | a grant's life in one word; the eviction queue of a tenant and type |
//! | `policy` `lessons` `ghost` `backlog` | who goes first within a queue |
//! | `pressure` `rate` `registry` `tenant` | one record or structure each |
//! | `ring` `credit` `loss` `events` | what happened, the room for its records, what had none |
//! | `listener` | who calls a listener when several threads have something to tell |
//! | `admission` `batch` | where a grant is decided; all or nothing |
//! | `order` `evict` `force` | whose turn it is to go, asking them, what administration ends |
//! | `waiters` `wait` `turnover` `estimate` | who waits, who is served next, how long that takes |
//! | `circle` | who waits for each other |
//! | `steps` | the most steps of each verb |
//!
//! No clock, no I/O, no allocation after creation: time and machine samples come in as arguments.

pub mod bugs;
pub mod sync;

pub mod handle;
pub mod word;

pub mod region;

pub mod lessons;
pub mod loss;

pub mod backlog;
pub mod ghost;
pub mod policy;
pub mod pressure;

pub mod past;

pub mod account;
pub mod credit;
pub mod grants;
pub mod listener;
pub mod rate;
pub mod registry;
pub mod ring;
pub mod scarcity;
pub mod share;
pub mod turnover;

pub mod events;
pub mod queue;

pub mod tenant;

pub mod admission;

pub mod hot_path;
pub mod order;

pub mod batch;
pub mod evict;

pub mod steps;

pub mod force;

pub mod waiters;

pub mod wait;

pub mod circle;
pub mod estimate;

use account::Accounts;
use batch::Batches;
use events::{Events, Recorded};
use ghost::Ghosts;
use grants::{Grants, SLOTS};
use queue::Queue;
use region::Table;
use registry::{InsertRefused, Lookup, Registry};
use scarcity::Scarcity;
use tenant::{TYPES, Tenant};
use wait::Waiting;
use word::Owner;

/// All state there is: what the files above keep, side by side.
#[repr(C)]
pub struct Core {
    /// The counting.
    pub accounts: Accounts,
    /// The slots of all grants.
    pub grants: Grants,
    /// What tenants have beside their accounts, by the account's index.
    pub tenants: Table<Tenant>,
    /// How often evicted content was used.
    pub ghosts: Ghosts,
    /// Batches over several tenants.
    pub batches: Batches,
    /// Whether idle claim goes back at once.
    pub scarcity: Scarcity,
    /// From a tenant's UUID to its account.
    pub registry: Registry,
    /// What happened, if it is recorded.
    pub events: Events,
    /// Who waits for bytes.
    pub waiting: Waiting,
}

/// How large everything is.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Bytes to share.
    pub capacity_bytes: u64,
    /// Most groups.
    pub groups_max: u32,
    /// Most tenants.
    pub tenants_max: u32,
    /// Most live grants.
    pub grants_max: u32,
    /// Keys remembered after eviction.
    pub ghost_keys_max: u32,
    /// Bytes of claim bought beyond the need.
    pub quantum_bytes: u64,
    /// Which events are recorded.
    pub events: Recorded,
    /// Most waiters.
    pub waiters_max: u32,
    /// How long a waiter may be passed over, in ns.
    pub patience_ns: u64,
}

/// Decides which UUIDs collide; any number will do.
const REGISTRY_SEED: u64 = 0x9e37_79b9_7f4a_7c15;

impl Core {
    /// Empty tables of these sizes.
    pub fn new(sizes: &Sizes) -> Self {
        // Every queue may hold one segment that is not full.
        let partial = sizes.tenants_max.saturating_mul(TYPES as u32);
        let segments = sizes.grants_max.div_ceil(SLOTS) + partial.min(sizes.grants_max);
        let segments = segments.min((handle::INDEX_MAX + 1) / SLOTS);
        let (groups, tenants) = (sizes.groups_max, sizes.tenants_max);
        let grants = Grants::of_queues(segments, (1 + groups + tenants) as usize * TYPES);
        Self {
            accounts: Accounts::new(sizes.capacity_bytes, groups, tenants, sizes.quantum_bytes),
            grants: if sizes.events.capacity > 0 { grants.in_one_lane() } else { grants },
            tenants: Table::new(1 + groups as usize + tenants as usize),
            ghosts: Ghosts::new(sizes.ghost_keys_max),
            batches: Batches::new(),
            scarcity: Scarcity::default(),
            registry: Registry::new(tenants, REGISTRY_SEED),
            events: Events::new(sizes.events),
            waiting: Waiting::new(sizes.waiters_max, sizes.patience_ns),
        }
    }

    /// The account of a UUID. Lock-free.
    pub fn find(&self, uuid: u128) -> Option<u32> {
        match self.registry.find(uuid, |index| self.tenant(index).uuid() == uuid) {
            Lookup::Found(index) => Some(index),
            Lookup::Missing | Lookup::Contended => None,
        }
    }

    /// Makes a UUID findable. The caller holds the administrative mutex.
    pub fn enter(&self, uuid: u128, index: u32) -> Result<(), InsertRefused> {
        self.registry.insert(uuid, index, |other| self.tenant(other).uuid() == uuid)
    }

    /// Gives the record beside an account to its next tenant. The caller holds the administrative
    /// mutex and the account is closed, and opens after this.
    pub fn begin(&self, account: u32, uuid: u128, generation: u32) {
        let tenant = self.tenant(account);
        for (kind, queue) in (0..).zip(&tenant.queues) {
            queue.keep_past_at(account * TYPES as u32 + kind);
            queue.forget_lessons(&self.grants);
        }
        self.accounts.get(account).forget_peak();
        tenant.begin(uuid, generation);
    }

    /// Gives all segments of a drained account back; says whether none is left, and then none
    /// comes. The caller holds the administrative mutex.
    pub fn end_queues(&self, account: u32) -> bool {
        if self.accounts.is_inner(account) {
            return true;
        }
        let generation = self.accounts.generation(account);
        (0..).zip(&self.tenant(account).queues).all(|(kind, queue)| {
            queue.shed(&self.grants, true);
            let closed = queue.close();
            if closed {
                // Not before: a search that comes late could take it once more.
                self.grants.backlogs.give_back(Owner::new(account, generation, kind).0);
            }
            closed
        })
    }

    /// The tenant record beside an account.
    #[inline]
    pub fn tenant(&self, account: u32) -> &Tenant {
        &self.tenants[account]
    }

    /// The eviction queue of an owner.
    #[inline]
    pub fn queue(&self, owner: Owner) -> &Queue {
        &self.tenant(owner.account()).queues[usize::from(owner.allocation_type())]
    }
}

#[cfg(test)]
mod tests {
    use super::account::{LEVELS, ROOT, Settings};
    use super::admission::Ask;
    use super::events::{Nobody, Recorded};
    use super::grants::Fields;
    use super::policy::Policy;
    use super::registry::InsertRefused;
    use super::tenant::TYPES;
    use super::{Core, Sizes};

    /// A small one that has a group, account 1, two tenants below it and one beside it, 2 to 4, of
    /// which nothing is guaranteed or limited. Keys are remembered, and so are events.
    pub(super) fn core(capacity_bytes: u64) -> Core {
        let core = Core::new(&Sizes {
            capacity_bytes,
            groups_max: 1,
            tenants_max: 3,
            grants_max: 256,
            ghost_keys_max: 64,
            quantum_bytes: 0,
            events: Recorded { capacity: 64, ..Recorded::default() },
            waiters_max: 4,
            patience_ns: 1 << 40,
        });
        let limits = [capacity_bytes; LEVELS];
        let open = Settings { limits, ..Settings::default() };
        for (account, parent) in [(1, ROOT), (2, 1), (3, 1), (4, ROOT)] {
            let generation = core.accounts.open(account, parent, &open).unwrap();
            core.begin(account, account.into(), generation);
            core.queue(ask(account, 1).owner()).set_policy(Policy::Hybrid);
        }
        core
    }

    /// The slot of a grant that there is room for.
    pub(super) fn admit(core: &Core, ask: &Ask) -> u32 {
        core.admit(ask, &Nobody).unwrap().0
    }

    #[test]
    fn each_queue_has_a_past_of_its_own() {
        let core = core(100);
        for (account, kind) in [(2, 0), (2, 3), (3, 0), (4, 2)] {
            let owner = Ask { kind, ..ask(account, 1) }.owner();
            core.queue(owner).note_freed(&core.grants, 9);
            let freed: Vec<u32> = (0..5 * TYPES as u32)
                .filter(|&past| core.grants.pasts.of(past).take_freed() != 0)
                .collect();
            assert_eq!(freed, [account * TYPES as u32 + u32::from(kind)]);
        }
    }

    #[test]
    fn a_uuid_is_entered_once() {
        let core = core(100);
        assert_eq!(core.find(2), None);
        assert_eq!(core.enter(2, 2), Ok(()));
        assert_eq!((core.find(2), core.find(3)), (Some(2), None));
        assert_eq!(core.enter(2, 2), Err(InsertRefused::Duplicate(2)));
        assert_eq!(core.enter(3, 3), Ok(()));
    }

    /// A request of which there is nothing to say.
    pub(super) fn ask(account: u32, bytes: u64) -> Ask {
        let fields = Fields::default();
        Ask { account, generation: 1, kind: 0, bytes, fields, cost: 1, now_ns: 0, paced: false }
    }
}
