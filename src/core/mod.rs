//! The governor's core, from the ground up. Each file may use the ones above it.
//!
//! No clock, no I/O, no allocation after creation: time and machine samples come in as arguments.

pub mod sync;

pub mod handle;
pub mod word;

pub mod region;

pub mod ghost;
pub mod policy;

pub mod account;
pub mod grants;
pub mod pressure;
pub mod queue;
pub mod rate;
pub mod registry;
pub mod ring;
pub mod share;
pub mod tenant;

pub mod admission;
pub mod batch;
pub mod evict;

use account::Accounts;
use batch::Batches;
use ghost::Ghosts;
use grants::{Grants, SLOTS};
use region::Table;
use tenant::{TYPES, Tenant};

/// All state there is: what the files above keep, side by side.
pub struct Core {
    /// The counting.
    pub accounts: Accounts,
    /// The slots of all grants.
    pub grants: Grants,
    /// What tenants have beside their accounts.
    pub tenants: Table<Tenant>,
    /// How often evicted content was used.
    pub ghosts: Ghosts,
    /// Batches over several tenants.
    pub batches: Batches,
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
}

impl Core {
    /// Empty tables of these sizes.
    pub fn new(sizes: &Sizes) -> Self {
        // Every queue may hold one segment that is not full.
        let partial = sizes.tenants_max.saturating_mul(TYPES as u32);
        let segments = sizes.grants_max.div_ceil(SLOTS) + partial.min(sizes.grants_max);
        let segments = segments.min((handle::INDEX_MAX + 1) / SLOTS);
        let (groups, tenants) = (sizes.groups_max, sizes.tenants_max);
        Self {
            accounts: Accounts::new(sizes.capacity_bytes, groups, tenants, sizes.quantum_bytes),
            grants: Grants::new(segments),
            tenants: Table::new(tenants as usize),
            ghosts: Ghosts::new(sizes.ghost_keys_max),
            batches: Batches::new(),
        }
    }

    /// The tenant record beside an account.
    #[inline]
    pub fn tenant(&self, account: u32) -> &Tenant {
        &self.tenants[account - self.accounts.tenants_begin()]
    }
}
