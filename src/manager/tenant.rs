//! Who is registered: the directory of tenants, and the verbs that change it.

use super::config::{TenantMemoryConfig, config_rate};
use super::emergency::EmergencyVerb;
use super::error::MemoryError;
use super::names::check_name;
use super::queue;
use super::reason::Mib;
use super::record::{Held, Key};
use super::statistics::Counted;
use super::{MultiTenantMemoryManager, lock};
use crate::TenantHandle;
use crate::config::{TenantConfig, TenantId};
use crate::error::Error;
use crate::registration::{LookAgain, Unregister};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Parts of the directory: requests of different tenants rarely meet at one lock.
const SHARDS: usize = 16;
/// Attempts to register or change a tenant while others are at it.
const CHANGE_TURNS_MAX: u32 = 100;

/// A registered tenant.
pub(super) struct Tenant {
    pub id: TenantId,
    pub handle: TenantHandle,
    pub held: Mutex<Held>,
    pub statistics: Counted,
}

impl Tenant {
    /// Gives back an allocation nobody knows of.
    pub(super) fn forget(&self, key: Key) {
        let record = lock(&self.held).records.remove(&key);
        drop(record);
    }
}

type Shard = HashMap<u128, Arc<Tenant>>;

/// Tenants by UUID, and by the governor's handle.
#[derive(Default)]
pub(super) struct Directory {
    by_id: [RwLock<Shard>; SHARDS],
    by_handle: [RwLock<Shard>; SHARDS],
}

fn shard(shards: &[RwLock<Shard>; SHARDS], key: u128) -> &RwLock<Shard> {
    // Fibonacci hashing of both halves.
    let mixed = (key ^ (key >> 64)) as u64;
    &shards[(mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60) as usize]
}

fn read(lock: &RwLock<Shard>) -> RwLockReadGuard<'_, Shard> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write(lock: &RwLock<Shard>) -> RwLockWriteGuard<'_, Shard> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

fn number(handle: TenantHandle) -> u128 {
    handle.as_u64().into()
}

/// Calls again while other threads are in the way.
fn insistently<T>(call: impl Fn() -> Result<T, Error>) -> Result<T, Error> {
    for _ in 1..CHANGE_TURNS_MAX {
        match call() {
            Err(Error::Contended) => std::thread::yield_now(),
            answer => return answer,
        }
    }
    call()
}

impl Directory {
    pub(super) fn find(&self, id: TenantId) -> Option<Arc<Tenant>> {
        read(shard(&self.by_id, id.as_u128())).get(&id.as_u128()).cloned()
    }

    pub(super) fn find_handle(&self, handle: TenantHandle) -> Option<Arc<Tenant>> {
        read(shard(&self.by_handle, number(handle))).get(&number(handle)).cloned()
    }

    /// All of them, in no order.
    pub(super) fn all(&self) -> Vec<Arc<Tenant>> {
        let shards = self.by_id.iter();
        shards.flat_map(|shard| read(shard).values().cloned().collect::<Vec<_>>()).collect()
    }

    /// Whether anybody else holds this allocation: a look at every tenant.
    fn is_held_by_another(&self, key: Key, id: TenantId) -> bool {
        self.by_id.iter().any(|shard| {
            let tenants: Vec<_> = read(shard).values().cloned().collect();
            let others = tenants.iter().filter(|tenant| tenant.id != id);
            others.into_iter().any(|tenant| lock(&tenant.held).records.contains_key(&key))
        })
    }
}

impl MultiTenantMemoryManager {
    /// Every verb that names a tenant begins here.
    pub(super) fn tenant(&self, tenant_id: TenantId) -> Result<Arc<Tenant>, MemoryError> {
        self.inner.lapse_places_now();
        self.inner.tenants.find(tenant_id).ok_or(MemoryError::UnknownTenant(tenant_id))
    }

    /// Why a tenant holds no allocation of this id.
    pub(super) fn missing(&self, tenant: &Tenant, allocation_id: &str) -> MemoryError {
        let (tenant_id, id) = (tenant.id, allocation_id.to_string());
        let Some(key) = Key::parse(allocation_id) else {
            return MemoryError::UnknownAllocation { allocation_id: id, tenant_id };
        };
        // Not held any longer than this: others look at this tenant while it looks at them.
        let ended = lock(&tenant.held).ended(key);
        if let Some(end) = ended {
            return MemoryError::AllocationEnded { allocation_id: id, how: end.name() };
        }
        if self.inner.tenants.is_held_by_another(key, tenant_id) {
            return MemoryError::ForeignAllocation { allocation_id: id, tenant_id };
        }
        MemoryError::UnknownAllocation { allocation_id: id, tenant_id }
    }

    /// Registers a tenant. Its guarantee is its own from then on.
    ///
    /// # Errors
    ///
    /// [`MemoryError::Config`] for values out of order, [`MemoryError::DuplicateTenant`],
    /// [`MemoryError::GuaranteesExceed`]; what the manager was created with, if that was refused.
    pub async fn register_tenant(&self, config: TenantMemoryConfig) -> Result<(), MemoryError> {
        config.validate()?;
        let mut exact = TenantConfig::new(config.tenant_id, config.tenant_id.to_string());
        config.apply(&mut exact);
        self.enter(exact)
    }

    /// Registers a tenant with everything the governor knows of one: sizes in bytes, a name, a
    /// group, limits on requests and on numbers of allocations, the policy of eviction.
    ///
    /// # Errors
    ///
    /// As [`Self::register_tenant`], and [`MemoryError::Config`] for a name that
    /// [`Self::set_tenant_name`] would refuse.
    pub async fn register_tenant_bytes(&self, config: TenantConfig) -> Result<(), MemoryError> {
        check_name(&config.name)?;
        self.enter(config)
    }

    fn enter(&self, config: TenantConfig) -> Result<(), MemoryError> {
        if let Some(fault) = &self.inner.fault {
            return Err(fault.clone());
        }
        let (id, name) = (config.id, config.name.clone());
        let directory = &self.inner.tenants;
        // With nothing held, for it may wake who waits. One that leaves at the same time has left
        // the governor before this succeeds, and leaves the directory before this enters it.
        let registered = insistently(|| self.inner.governor.register_tenant(config.clone()));
        let handle = registered.map_err(|error| MemoryError::of_tenant(error, id))?;
        let held = Mutex::new(Held::new(name));
        let tenant = Arc::new(Tenant { id, handle, held, statistics: Counted::default() });
        let mut by_id = write(shard(&directory.by_id, id.as_u128()));
        write(shard(&directory.by_handle, number(handle))).insert(number(handle), tenant.clone());
        by_id.insert(id.as_u128(), tenant);
        Ok(())
    }

    /// Changes limits, guarantee, priority and isolation of a tenant while it runs. A limit below
    /// what is held revokes nothing; further requests are denied.
    ///
    /// # Errors
    ///
    /// As [`Self::register_tenant`], and [`MemoryError::UnknownTenant`].
    pub async fn update_tenant(&self, config: TenantMemoryConfig) -> Result<(), MemoryError> {
        config.validate()?;
        let tenant = self.tenant(config.tenant_id)?;
        self.change(&tenant, |exact| config.apply(exact))
    }

    /// Changes anything of a tenant that the governor knows of one, exact in bytes: `change` edits
    /// its configuration, and may be called several times. Its id and its group stay as they are.
    ///
    /// # Errors
    ///
    /// As [`Self::register_tenant_bytes`], and [`MemoryError::UnknownTenant`]. Nothing has changed
    /// then.
    pub async fn update_tenant_bytes(
        &self,
        tenant_id: TenantId,
        change: impl Fn(&mut TenantConfig),
    ) -> Result<(), MemoryError> {
        let tenant = self.tenant(tenant_id)?;
        let unknown = |error| MemoryError::of_tenant(error, tenant_id);
        let mut preview = self.inner.governor.tenant_config(tenant.handle).map_err(unknown)?;
        change(&mut preview);
        check_name(&preview.name)?;
        self.change(&tenant, change)?;
        self.note_name(&tenant);
        Ok(())
    }

    /// What people call a tenant, in every sentence about it: 1 to 128 characters, none of them a
    /// control character. Its UUID unless set. Two tenants may have one name.
    ///
    /// # Errors
    ///
    /// [`MemoryError::Config`] for another name, [`MemoryError::UnknownTenant`].
    pub async fn set_tenant_name(
        &self,
        tenant_id: TenantId,
        name: &str,
    ) -> Result<(), MemoryError> {
        check_name(name)?;
        let tenant = self.tenant(tenant_id)?;
        self.change(&tenant, |exact| exact.name = name.to_string())?;
        self.note_name(&tenant);
        Ok(())
    }

    /// Takes over what the governor calls a tenant by now. It is asked while nobody else can write
    /// here: of several who name it at once, the last one to come here finds the name that stays.
    fn note_name(&self, tenant: &Tenant) {
        let mut held = lock(&tenant.held);
        if let Ok(config) = self.inner.governor.tenant_config(tenant.handle) {
            held.name = config.name;
        }
    }

    /// Limits how often a tenant may ask: so many requests a second, as many at once after a
    /// pause. None lifts the limit. Releases are never limited.
    ///
    /// # Errors
    ///
    /// [`MemoryError::Config`] for 0 or more than 10^9 requests a second,
    /// [`MemoryError::UnknownTenant`].
    pub async fn set_request_rate(
        &self,
        tenant_id: TenantId,
        requests_per_second: Option<u64>,
    ) -> Result<(), MemoryError> {
        let rate = requests_per_second.map(config_rate).transpose()?;
        let tenant = self.tenant(tenant_id)?;
        self.change(&tenant, |exact| exact.rate = rate)
    }

    fn change(
        &self,
        tenant: &Tenant,
        change: impl Fn(&mut TenantConfig),
    ) -> Result<(), MemoryError> {
        let changed = insistently(|| self.inner.governor.set_tenant(tenant.handle, &change));
        changed.map_err(|error| MemoryError::of_tenant(error, tenant.id))
    }

    /// Unregisters a tenant that holds nothing. To empty one first: [`Self::drain_tenant`]. Its
    /// requests in the queue end, and what was assigned to them goes back.
    ///
    /// # Errors
    ///
    /// [`MemoryError::TenantHoldsMemory`], [`MemoryError::UnknownTenant`].
    pub async fn unregister_tenant(&self, tenant_id: TenantId) -> Result<(), MemoryError> {
        self.leave(tenant_id, Unregister::IfIdle).map(|_| ())
    }

    /// Unregisters a tenant and ends all its allocations now, also pinned ones, and its requests
    /// in the queue. Nobody is asked: its next call answers that the tenant is unknown. Answers
    /// the bytes that were taken from allocations.
    ///
    /// # Errors
    ///
    /// [`MemoryError::UnknownTenant`].
    pub async fn unregister_tenant_by_force(
        &self,
        tenant_id: TenantId,
    ) -> Result<u64, MemoryError> {
        let (allocations, bytes) = self.leave(tenant_id, Unregister::Force)?;
        let what = format!("ended {allocations} allocations of {:#}", Mib(bytes));
        self.note_emergency(EmergencyVerb::UnregisterByForce, Some(tenant_id), bytes, what);
        Ok(bytes)
    }

    /// Gives back what was assigned to a tenant's places, if nothing else is in the way of its
    /// leaving.
    fn close_assigned(&self, tenant_id: TenantId, how: Unregister) -> Result<(), MemoryError> {
        let tenant = self.tenant(tenant_id)?;
        let mut held = lock(&tenant.held);
        let leaves = how == Unregister::Force || held.records.is_empty();
        let assigned = if leaves { held.places.take_assigned() } else { Vec::new() };
        drop(held);
        queue::close(assigned);
        Ok(())
    }

    /// Answers how many allocations ended with the tenant, and their bytes.
    fn leave(&self, tenant_id: TenantId, how: Unregister) -> Result<(u64, u64), MemoryError> {
        self.close_assigned(tenant_id, how)?;
        let governor = &self.inner.governor;
        // With nothing held, for it wakes who waits: dropped last.
        let afterwards = LookAgain::at(governor);
        let directory = &self.inner.tenants;
        let mut by_id = write(shard(&directory.by_id, tenant_id.as_u128()));
        let found = by_id.get(&tenant_id.as_u128()).cloned();
        let tenant = found.ok_or(MemoryError::UnknownTenant(tenant_id))?;
        let mut held = lock(&tenant.held);
        let (allocations, bytes) = (held.records.len() as u64, held.bytes());
        let holds = |bytes| MemoryError::TenantHoldsMemory { tenant_id, allocations, bytes };
        if how == Unregister::IfIdle && allocations > 0 {
            return Err(holds(bytes));
        }
        // Nobody's code runs in there, so the records may stay locked.
        let left = governor.unregister_unserved(tenant.handle, how, &afterwards);
        left.map_err(|error| match error {
            Error::GrantsLive { bytes } => holds(bytes),
            other => MemoryError::of_tenant(other, tenant_id),
        })?;
        held.gone = true;
        let places = held.places.take_all();
        let records = std::mem::take(&mut held.records);
        by_id.remove(&tenant_id.as_u128());
        write(shard(&directory.by_handle, number(tenant.handle))).remove(&number(tenant.handle));
        drop(held);
        drop(by_id);
        // Their grants have ended; what is left to give back is nothing.
        drop(records);
        queue::close(places);
        Ok((allocations, bytes))
    }

    /// All tenants, in the order of their ids.
    pub(super) fn tenants(&self) -> Vec<Arc<Tenant>> {
        let mut all = self.inner.tenants.all();
        all.sort_by_key(|tenant| tenant.id);
        all
    }
}
