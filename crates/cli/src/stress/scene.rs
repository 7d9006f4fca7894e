//! The governor that is hammered, who is registered in it, and what all threads share.

use std::collections::HashSet;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::{Arc, Mutex};

use allotment::{
    Error, Governor, GovernorConfig, GroupConfig, GroupHandle, Isolation, LeakReport, Policy,
    Priority, RateLimit, TenantConfig, TenantHandle, TenantId,
};

use super::book::{Entry, TICKETS_MAX};
use super::bound::Bound;
use super::cells::Cells;
use super::count::{Word, lock};
use super::fault::Fault;
use super::owners::Owners;
use crate::dice::Dice;

/// Bytes of the pool for each thread.
const BYTES_PER_THREAD: u64 = 16 << 20;

/// Places on the board where guests are seen by other threads.
const BOARD: usize = 16;

/// Records of grants for each thread.
pub(super) const CELLS: u32 = 2_048;

/// Guests of one thread at a time.
pub(super) const GUESTS_MAX: usize = 8;

/// Groups of one thread at a time.
pub(super) const GROUPS_MAX: usize = 3;

/// Kinds of tenants; they take turns.
const KINDS: usize = 8;

/// A tenant that stays.
#[derive(Clone, Copy)]
pub(super) struct Resident {
    pub tenant: TenantHandle,
    /// Its place among the kinds.
    pub kind: usize,
    pub guarantee_bytes: u64,
    /// A limit that is hard and never changes.
    pub fixed_limit_bytes: Option<u64>,
}

/// What all threads share.
pub(super) struct Scene {
    pub seed: u64,
    pub capacity_bytes: u64,
    /// What a tenant would have if all had the same.
    pub share_bytes: u64,
    pub governor: Arc<Governor>,
    pub residents: Vec<Resident>,
    pub groups: Vec<GroupHandle>,
    /// A tenant of another governor, of no use here.
    pub foreign: TenantHandle,
    /// What owners answer.
    pub owners: Arc<Owners>,
    pub bound: Bound,
    /// What was heard of leaks when the governor went.
    pub leak: Arc<Mutex<Option<LeakReport>>>,
    /// Guests that other threads may name, as numbers; 0: nobody.
    pub board: [Word; BOARD],
    next_guest: Word,
    /// Guests that were, or are being, unregistered by force: none of their grants lives.
    forced: Mutex<HashSet<TenantHandle>>,
    is_faulty: Word,
    fault: Mutex<Option<Fault>>,
}

impl Scene {
    pub fn new(seed: u64, threads: u64, tenants: u64, events: bool) -> Result<Self, Error> {
        let capacity_bytes = BYTES_PER_THREAD * threads;
        let guests = 16 + threads * (GUESTS_MAX as u64 + 24);
        let config = GovernorConfig {
            tenants_max: (tenants + guests) as u32,
            groups_max: 8 + (threads * GROUPS_MAX as u64) as u32,
            grants_max: (288 * threads + 24 * tenants) as u32,
            ghost_keys_max: 1 << 12,
            events_max: if events { 1 << 12 } else { 0 },
            // Fewer than all threads together would take.
            waiters_max: (TICKETS_MAX as u32) * threads as u32 - 2,
            patience_ns: 200_000,
            quantum_bytes: 64 << 10,
            busy_cooldown_ns: 5_000_000,
            promise_ns: 500_000,
            freed_shows_ns: 1_000_000,
            idle_claim_ns: 1_000_000,
            inactive_limit_ns: 50_000_000,
            high_relief_percent: 2,
            critical_relief_percent: 5,
            ..GovernorConfig::new(capacity_bytes)
        };
        let governor = Arc::new(Governor::new(config)?);
        let share_bytes = capacity_bytes / tenants;
        let groups = groups(&governor, capacity_bytes)?;
        let residents = (0..tenants as usize)
            .map(|number| resident(&governor, &groups, number, share_bytes))
            .collect::<Result<Vec<_>, _>>()?;
        let other = Governor::new(GovernorConfig::new(1))?;
        let foreign = other.register_tenant(TenantConfig::new(TenantId::from_u128(1), "other"))?;
        let cells = Cells::new(CELLS * threads as u32);
        let owners =
            Owners::new(&governor, seed, cells, residents.iter().map(|r| r.tenant).collect());
        Ok(Self {
            seed,
            capacity_bytes,
            share_bytes,
            governor,
            residents,
            groups,
            foreign,
            owners: Arc::new(owners),
            bound: Bound::new(capacity_bytes),
            leak: Arc::default(),
            board: Default::default(),
            next_guest: Word::new(1 << 32),
            forced: Mutex::default(),
            is_faulty: Word::new(0),
            fault: Mutex::default(),
        })
    }

    pub fn cells(&self) -> &Cells {
        &self.owners.cells
    }

    /// An id that no tenant has had.
    pub fn fresh_id(&self) -> TenantId {
        // Relaxed: only the number matters.
        TenantId::from_u128(self.next_guest.fetch_add(1, Relaxed).into())
    }

    /// A tenant that stays, of any kind.
    pub fn resident(&self, dice: u64) -> &Resident {
        &self.residents[(dice % self.residents.len() as u64) as usize]
    }

    /// Whether a tenant stays to the end: those were registered first.
    pub fn stays(&self, tenant: TenantHandle) -> bool {
        self.residents.last().is_some_and(|last| tenant.index() <= last.tenant.index())
    }

    /// Shows a guest to all.
    pub fn show(&self, guest: TenantHandle, dice: u64) {
        // Release: pairs with the Acquire in `guest`.
        self.board[dice as usize % BOARD].store(guest.as_u64(), Release);
    }

    /// A guest of some thread, which may be gone by now.
    pub fn guest(&self, dice: u64) -> Option<TenantHandle> {
        // Acquire: pairs with the Release in `show`.
        let number = self.board[dice as usize % BOARD].load(Acquire);
        (number != 0).then(|| TenantHandle::from_u64(number))
    }

    /// A guest is about to be unregistered by force.
    pub fn note_forced(&self, guest: TenantHandle) {
        lock(&self.forced).insert(guest);
    }

    pub fn is_forced(&self, tenant: TenantHandle) -> bool {
        lock(&self.forced).contains(&tenant)
    }

    /// Nobody holds anything of them any more.
    pub fn forget_forced(&self) {
        lock(&self.forced).clear();
    }

    /// Whether somebody has ended a grant who would know.
    pub fn has_ended(&self, entry: &Entry) -> bool {
        !self.cells().is_live(entry.cookie) || self.is_forced(entry.tenant)
    }

    /// Keeps the first fault that is found; all threads stop then.
    pub fn report(&self, fault: Fault) {
        lock(&self.fault).get_or_insert(fault);
        // Release: pairs with the Acquire in `is_faulty`.
        self.is_faulty.store(1, Release);
    }

    pub fn is_faulty(&self) -> bool {
        // Acquire: pairs with the Release in `report`.
        self.is_faulty.load(Acquire) != 0
    }

    pub fn fault(&self) -> Option<Fault> {
        lock(&self.fault).clone()
    }
}

/// Three groups: one with a limit, one with a guarantee, one within that.
fn groups(governor: &Governor, capacity_bytes: u64) -> Result<Vec<GroupHandle>, Error> {
    let left = governor.register_group(GroupConfig {
        limit_bytes: Some(capacity_bytes / 2),
        ..GroupConfig::new("left")
    })?;
    let right = governor.register_group(GroupConfig {
        guarantee_bytes: capacity_bytes / 8,
        limit_bytes: Some(capacity_bytes * 3 / 4),
        ..GroupConfig::new("right")
    })?;
    let inner = GroupConfig { parent: Some(right), ..GroupConfig::new("inner") };
    Ok(vec![left, right, governor.register_group(inner)?])
}

/// Registers a tenant that stays.
fn resident(
    governor: &Governor,
    groups: &[GroupHandle],
    number: usize,
    share_bytes: u64,
) -> Result<Resident, Error> {
    let kind = number % KINDS;
    let fixed = (kind == 0).then_some(2 * share_bytes);
    let guarantee_bytes = if kind == 0 { share_bytes / 2 } else { 0 };
    let id = TenantId::from_u128(number as u128 + 1);
    let plain = TenantConfig::new(id, format!("t{number}"));
    let group = |at: usize| Some(groups[at]);
    let config = match kind {
        0 => TenantConfig {
            guarantee_bytes,
            limit_bytes: fixed,
            isolation: Isolation::Hard,
            ..plain
        },
        1 => TenantConfig { priority: Priority::Low, ..plain },
        2 => TenantConfig {
            limit_bytes: Some(2 * share_bytes),
            isolation: Isolation::Hard,
            parent: group(0),
            ..plain
        },
        3 => TenantConfig {
            limit_bytes: Some(share_bytes),
            burst_bytes: Some(3 * share_bytes),
            parent: group(0),
            ..plain
        },
        4 => TenantConfig { priority: Priority::High, parent: group(1), ..plain },
        5 => TenantConfig {
            grants_max: [None, Some(12), Some(12), None],
            policy: Policy::Lru,
            parent: group(2),
            ..plain
        },
        6 => TenantConfig {
            rate: RateLimit::new(100_000, 64).ok(),
            priority: Priority::Critical,
            parent: group(2),
            ..plain
        },
        _ => TenantConfig { isolation: Isolation::None, policy: Policy::Size, ..plain },
    };
    let tenant = governor.register_tenant(config)?;
    Ok(Resident { tenant, kind, guarantee_bytes, fixed_limit_bytes: fixed })
}

/// Numbers for one thread of one run.
pub(super) fn dice(seed: u64, thread: u64) -> Dice {
    let mut of = Dice(seed ^ thread.wrapping_mul(0xd6e8_feb8_6659_fd93));
    Dice(of.next())
}
