//! The numbers, read in one pass.
//!
//! Each figure is exact at the instant it is read; figures of different accounts are read one
//! after the other while others go on. At rest everything adds up, and a debug build asserts it in
//! its tests: live bytes are the sum over tenants, and no tenant uses more than its claim.

use crate::config::{AllocationType, Isolation, Priority, TenantId};
use crate::core::account::Account;
use crate::core::account::ROOT;
use crate::core::grants::Segment;
use crate::core::handle::{GroupHandle, TenantHandle};
use crate::core::pressure::Pressure;
use crate::core::sync::lock;
use crate::core::tenant::{TYPES, Tenant};
use crate::core::word::{BYTES_MAX, Owner};
use crate::governor::Governor;
use crate::registration::{Admin, Kind};

/// The whole, at one time.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Snapshot {
    /// Bytes to share.
    pub capacity_bytes: u64,
    /// Bytes in live grants.
    pub live_bytes: u64,
    /// Bytes that were measured of the process, if it is measured.
    pub measured_bytes: Option<u64>,
    /// Bytes that were measured and are in no grant: of all tenants together, or of the process
    /// where those are more.
    pub unaccounted_bytes: u64,
    /// Frees that were not seen in what was measured, so far.
    pub shortfalls: u64,
    /// Bytes claimed of the pool by tenants and groups: in use, guaranteed, or idle.
    pub claimed_bytes: u64,
    /// Pressure in force.
    pub pressure: Pressure,
    /// Fair share for each unit of weight beyond the guarantees, as of the last balancer step.
    pub share_bytes: u64,
    /// Owners that were asked for a grant and did not answer in time, so far.
    pub reclaim_timeouts: u64,
    /// Owners that panicked when they were asked, so far.
    pub reclaim_panics: u64,
    /// Registered groups.
    pub groups: u32,
    /// Registered tenants, in the order of their slots.
    pub tenants: Vec<TenantSnapshot>,
}

/// One tenant.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TenantSnapshot {
    /// Its handle.
    pub tenant: TenantHandle,
    /// Its identity.
    pub id: TenantId,
    /// What people call it.
    pub name: String,
    /// The name of its group, if it has one.
    pub group: Option<String>,
    /// Bytes in live grants.
    pub used_bytes: u64,
    /// Bytes set aside for a request of the tenant that has waited long.
    pub set_aside_bytes: u64,
    /// Bytes that were measured, if the tenant is measured.
    pub measured_bytes: Option<u64>,
    /// Bytes of those that are in no grant.
    pub unaccounted_bytes: u64,
    /// The most bytes in use at once.
    pub peak_bytes: u64,
    /// Bytes paid for: in use, guaranteed, or idle.
    pub claimed_bytes: u64,
    /// Floor.
    pub guarantee_bytes: u64,
    /// Ceiling in force; none: the parent's.
    pub limit_bytes: Option<u64>,
    /// Whether that is lower than configured, because the tenant asks for nothing while memory is
    /// short.
    pub limit_lowered: bool,
    /// Fair share as of the last balancer step; the whole pool where all wants fit.
    pub share_bytes: u64,
    /// Priority.
    pub priority: Priority,
    /// Isolation.
    pub isolation: Isolation,
    /// Requests granted so far.
    pub granted: u64,
    /// Requests denied so far.
    pub denied: u64,
    /// Grants evicted so far.
    pub evicted: u64,
    /// Bytes of those.
    pub evicted_bytes: u64,
}

/// One group at an instant.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct GroupSnapshot {
    /// Its handle.
    pub group: GroupHandle,
    /// What people call it.
    pub name: String,
    /// The group above; none: directly below the pool.
    pub parent: Option<String>,
    /// Bytes its children have claimed: in use, guaranteed or idle.
    pub used_bytes: u64,
    /// Bytes it has claimed of its parent, its guarantee included.
    pub claimed_bytes: u64,
    /// Floor of the whole group, in bytes.
    pub guarantee_bytes: u64,
    /// Ceiling in force, in bytes; none: the parent's.
    pub limit_bytes: Option<u64>,
    /// Tenants and groups directly below it.
    pub children: u32,
}

impl Governor {
    /// Reads everything. Takes the administrative mutex for the names; allocates.
    pub fn snapshot(&self) -> Snapshot {
        let admin = lock(&self.admin);
        let tenants: Vec<_> = admin
            .nodes
            .iter()
            .filter_map(|(&index, node)| match &node.kind {
                Kind::Tenant(config) => {
                    let group = admin.nodes.get(&node.parent).map(|g| g.name().to_string());
                    let named = (config.name.clone(), group);
                    Some(self.tenant_snapshot(&admin, index, named))
                }
                Kind::Group(_) => None,
            })
            .collect();
        let [reclaim_timeouts, reclaim_panics] = self.reclaim_faults();
        let live_bytes = self.live_bytes();
        Snapshot {
            measured_bytes: self.measured.of_process(),
            unaccounted_bytes: self.measured.fill(live_bytes).saturating_sub(live_bytes),
            shortfalls: self.measured.shortfalls(),
            reclaim_timeouts,
            reclaim_panics,
            capacity_bytes: admin.capacity_bytes,
            live_bytes,
            claimed_bytes: self.core.accounts.used(ROOT),
            pressure: self.pressure(),
            share_bytes: self.core.accounts.water(),
            groups: (admin.nodes.len() - tenants.len()) as u32,
            tenants,
        }
    }

    /// One tenant's numbers.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Gone`] if it is not registered.
    pub fn usage(&self, tenant: TenantHandle) -> Result<TenantSnapshot, crate::Error> {
        let gone = crate::Error::Gone { what: "tenant", number: tenant.as_u64() };
        let (index, generation) = self.resolve(tenant)?;
        let admin = lock(&self.admin);
        let node = admin.nodes.get(&index).filter(|node| node.generation == generation);
        let node = node.ok_or(gone)?;
        let group = admin.nodes.get(&node.parent).map(|group| group.name().to_string());
        Ok(self.tenant_snapshot(&admin, index, (node.name().to_string(), group)))
    }

    /// Every group, in the order in which they were registered; each figure is exact at the instant
    /// it is read. Locks administration out; cost: grows with tenants and groups.
    pub fn groups(&self) -> Vec<GroupSnapshot> {
        let accounts = &self.core.accounts;
        let admin = lock(&self.admin);
        let groups = admin.nodes.iter().filter(|(_, node)| matches!(node.kind, Kind::Group(_)));
        groups
            .map(|(&index, node)| {
                let limit = accounts.limit(index);
                let parent = admin.nodes.get(&node.parent);
                GroupSnapshot {
                    group: GroupHandle::new(self.tag, node.generation, index),
                    name: node.name().to_string(),
                    parent: parent.map(|group| group.name().to_string()),
                    used_bytes: accounts.used(index),
                    claimed_bytes: accounts.claim(index),
                    guarantee_bytes: accounts.guarantee(index),
                    limit_bytes: (limit < BYTES_MAX).then_some(limit),
                    children: node.children,
                }
            })
            .collect()
    }

    fn tenant_snapshot(
        &self,
        admin: &Admin,
        index: u32,
        (name, group): (String, Option<String>),
    ) -> TenantSnapshot {
        let accounts = &self.core.accounts;
        let tenant = self.core.tenant(index);
        let traits = self.traits(index);
        let [denied, evicted, evicted_bytes, granted_before] = tenant.tally.read();
        let limit = accounts.limit(index);
        let guarantee = accounts.guarantee(index);
        let set_aside_bytes = self.core.aside_of(index);
        let water = traits.priority.weight().saturating_mul(accounts.water());
        let used_bytes = accounts.used(index).saturating_sub(set_aside_bytes);
        let measured_bytes = self.measured.of_tenant(index, accounts.generation(index));
        TenantSnapshot {
            measured_bytes,
            unaccounted_bytes: measured_bytes.map_or(0, |bytes| bytes.saturating_sub(used_bytes)),
            tenant: TenantHandle::new(self.tag, accounts.generation(index), index),
            id: TenantId::from_u128(tenant.uuid()),
            name,
            group,
            used_bytes,
            set_aside_bytes,
            peak_bytes: accounts.get(index).peak(),
            claimed_bytes: accounts.claim(index),
            guarantee_bytes: guarantee,
            limit_bytes: (limit < BYTES_MAX).then_some(limit),
            limit_lowered: admin.lowered.contains(&index),
            // While everybody has what it wants the water stands higher than the pool.
            share_bytes: guarantee.saturating_add(water).min(admin.capacity_bytes),
            priority: traits.priority,
            isolation: traits.isolation,
            granted: granted_before + self.granted_now(index),
            denied,
            evicted,
            evicted_bytes,
        }
    }

    /// Grants published in the segments a tenant has now, from the generations of their slots.
    fn granted_now(&self, index: u32) -> u64 {
        let generation = self.core.accounts.generation(index);
        let queues = self.core.tenant(index).queues.iter().zip(AllocationType::ALL);
        queues
            .map(|(queue, kind)| {
                let owner = Owner::new(index, generation, kind as u8);
                let segments = queue.chain(&self.core.grants, owner);
                segments.map(|s| self.core.grants.segment(s).granted()).sum::<u64>()
            })
            .sum()
    }

    /// Bytes of memory in use for tracking: the cells of every table that were ever touched, and
    /// the names. Address space that was only reserved does not count.
    pub fn tracking_bytes(&self) -> u64 {
        let accounts = &self.core.accounts;
        let (groups, tenants) = (accounts.groups().len(), accounts.tenants().len());
        let admin = lock(&self.admin);
        let nodes: usize =
            admin.nodes.values().map(|n| size_of_val(n) + n.name().len() + size_of::<u32>()).sum();
        let nodes = nodes + admin.reservations_bytes();
        let segments = self.core.grants.segments_seen() as usize * size_of::<Segment>();
        let cells = (1 + groups + tenants) * size_of::<Account>() + tenants * size_of::<Tenant>();
        let tables = self.core.registry.tracking_bytes()
            + self.core.events.tracking_bytes()
            + self.core.ghosts.tracking_bytes()
            + self.core.grants.backlogs.tracking_bytes()
            + self.core.grants.pasts.tracking_bytes(accounts.tenants().end * TYPES as u32)
            + self.idle.tracking_bytes()
            + self.measured.tracking_bytes();
        (size_of::<Self>() + nodes + segments + cells) as u64 + tables
    }
}
