//! The verbs of an emergency, and the record of who used them when.
//!
//! | verb | new memory | what is held |
//! |---|---|---|
//! | freeze | none; what is queued ends | stays; may be evicted as ever |
//! | drain | none; what is queued ends | its owner is asked for all that may go |
//! | thaw | as ever | as ever |
//! | revoke | as ever | one allocation ends now |

use super::change::end;
use super::error::MemoryError;
use super::names::Shown;
use super::queue;
use super::reason::Mib;
use super::record::{End, Key, Record};
use super::{MultiTenantMemoryManager, lock};
use crate::ReclaimAnswer;
use crate::config::{AllocationType, TenantId};
use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::SystemTime;

/// Whether a tenant gets anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TenantHold {
    /// As its limits say.
    #[default]
    None,
    /// No: it was frozen.
    Frozen,
    /// No: it is being drained.
    Draining,
}

/// What was done. The codes stand in events and audit logs and are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum EmergencyVerb {
    /// [`MultiTenantMemoryManager::freeze_tenant`].
    Freeze = 1,
    /// [`MultiTenantMemoryManager::thaw_tenant`].
    Thaw = 2,
    /// [`MultiTenantMemoryManager::drain_tenant`].
    Drain = 3,
    /// [`MultiTenantMemoryManager::revoke_allocation`].
    Revoke = 4,
    /// [`MultiTenantMemoryManager::unregister_tenant_by_force`].
    UnregisterByForce = 5,
    /// [`MultiTenantMemoryManager::set_observe_only`], when it changed anything.
    ObserveOnly = 6,
}

/// One use of an emergency verb.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmergencyEntry {
    /// The time of day.
    pub time: SystemTime,
    /// The same on the governor's clock, in ns.
    pub time_ns: u64,
    /// What was done.
    pub verb: EmergencyVerb,
    /// To whom; none: to all.
    pub tenant_id: Option<TenantId>,
    /// What came of it, in words.
    pub what: String,
}

/// What a drain achieved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DrainReport {
    /// Allocations that ended.
    pub freed_allocations: u64,
    /// Their bytes.
    pub freed_bytes: u64,
    /// Allocations whose owner promised to release them.
    pub deferred_allocations: u64,
    /// Allocations whose owner is still busy with them.
    pub busy_allocations: u64,
    /// Bytes the tenant still holds, loaded models and pinned allocations among them.
    pub held_bytes: u64,
}

/// The last emergency verbs, oldest first.
#[derive(Debug)]
pub(super) struct EmergencyLog {
    entries: Mutex<VecDeque<EmergencyEntry>>,
    max: usize,
}

impl EmergencyLog {
    pub(super) const DEFAULT_MAX: usize = 1_024;

    pub(super) fn new(max: usize) -> Self {
        Self { entries: Mutex::default(), max }
    }

    fn push(&self, entry: EmergencyEntry) {
        let mut entries = lock(&self.entries);
        entries.push_back(entry);
        while entries.len() > self.max {
            entries.pop_front();
        }
    }
}

impl Default for EmergencyLog {
    fn default() -> Self {
        Self::new(Self::DEFAULT_MAX)
    }
}

impl MultiTenantMemoryManager {
    /// Stops a tenant from getting anything more, by request or by growth. When this returns
    /// nothing further is granted to it; what it holds stays. Its requests in the queue end, and
    /// what was assigned to them goes back.
    ///
    /// # Errors
    ///
    /// [`MemoryError::UnknownTenant`].
    pub async fn freeze_tenant(&self, tenant_id: TenantId) -> Result<(), MemoryError> {
        let bytes = self.hold(tenant_id, TenantHold::Frozen)?;
        let what = format!("gets nothing more; holds {:#}", Mib(bytes));
        self.note_emergency(EmergencyVerb::Freeze, Some(tenant_id), bytes, what);
        Ok(())
    }

    /// Ends a freeze or a drain.
    ///
    /// # Errors
    ///
    /// [`MemoryError::UnknownTenant`].
    pub async fn thaw_tenant(&self, tenant_id: TenantId) -> Result<(), MemoryError> {
        let bytes = self.hold(tenant_id, TenantHold::None)?;
        let what = format!("may ask again; holds {:#}", Mib(bytes));
        self.note_emergency(EmergencyVerb::Thaw, Some(tenant_id), bytes, what);
        Ok(())
    }

    /// Freezes a tenant and asks back whatever may go, its guarantee included: background work,
    /// then caches, then inference; no loaded model and nothing pinned. Owners are asked as by an
    /// eviction ([`Self::on_evict`]).
    ///
    /// # Errors
    ///
    /// [`MemoryError::UnknownTenant`].
    pub async fn drain_tenant(&self, tenant_id: TenantId) -> Result<DrainReport, MemoryError> {
        let tenant = self.tenant(tenant_id)?;
        self.hold(tenant_id, TenantHold::Draining)?;
        let mut keys: Vec<(std::cmp::Reverse<AllocationType>, Key)> = {
            let held = lock(&tenant.held);
            let may_go = |r: &Record| r.kind != AllocationType::ModelLoad && !r.pinned;
            let going = held.records.iter().filter(|(_, record)| may_go(record));
            going.map(|(&key, record)| (std::cmp::Reverse(record.kind), key)).collect()
        };
        keys.sort_unstable();
        let mut report = DrainReport::default();
        for (_, key) in keys {
            let asked = self.inner.ask_owner(&tenant, key);
            asked.record.map(end);
            match asked.answer {
                ReclaimAnswer::Freed => {
                    report.freed_allocations += 1;
                    report.freed_bytes += asked.bytes;
                }
                ReclaimAnswer::Deferred => report.deferred_allocations += 1,
                ReclaimAnswer::Busy => {
                    let held = lock(&tenant.held).records.contains_key(&key);
                    report.busy_allocations += u64::from(held);
                }
            }
        }
        report.held_bytes = lock(&tenant.held).bytes();
        let (freed, held) = (Mib(report.freed_bytes), Mib(report.held_bytes));
        let ended = report.freed_allocations;
        let what = format!("{ended} allocations of {freed:#} ended; holds {held:#}");
        let bytes = report.freed_bytes;
        self.note_emergency(EmergencyVerb::Drain, Some(tenant_id), bytes, what);
        Ok(report)
    }

    /// Ends an allocation now, whatever it is for, pinned or not. Nobody is asked: a release by
    /// its owner answers [`Released::Evicted`](crate::Released::Evicted), any other call
    /// [`MemoryError::AllocationEnded`]. Answers the bytes that were taken.
    ///
    /// # Errors
    ///
    /// [`MemoryError::UnknownAllocation`], [`MemoryError::ForeignAllocation`],
    /// [`MemoryError::AllocationEnded`], [`MemoryError::UnknownTenant`].
    pub async fn revoke_allocation(
        &self,
        tenant_id: TenantId,
        allocation_id: &str,
    ) -> Result<u64, MemoryError> {
        let tenant = self.tenant(tenant_id)?;
        let key = Key::parse(allocation_id);
        let record = key.and_then(|key| lock(&tenant.held).end(key, End::Revoked));
        let Some(record) = record else { return Err(self.missing(&tenant, allocation_id)) };
        let bytes = record.bytes();
        let what = format!("{} ({allocation_id}) of {:#}", Shown(&record.model), Mib(bytes));
        end(record);
        self.note_emergency(EmergencyVerb::Revoke, Some(tenant_id), bytes, what);
        Ok(bytes)
    }

    /// The last emergency verbs, oldest first; how many are kept is
    /// [`ManagerOptions::emergency_log_max`](crate::ManagerOptions::emergency_log_max).
    pub async fn emergency_log(&self) -> Vec<EmergencyEntry> {
        lock(&self.inner.log.entries).iter().cloned().collect()
    }

    /// Puts a tenant on hold, or lets it go; answers the bytes it holds.
    fn hold(&self, tenant_id: TenantId, hold: TenantHold) -> Result<u64, MemoryError> {
        let tenant = self.tenant(tenant_id)?;
        let mut held = lock(&tenant.held);
        held.hold = hold;
        let places = if hold == TenantHold::None { Vec::new() } else { held.places.take_all() };
        let bytes = held.bytes();
        drop(held);
        queue::close(places);
        Ok(bytes)
    }

    /// Remembers the use of a verb, and records an event of it with the bytes that it is about.
    pub(super) fn note_emergency(
        &self,
        verb: EmergencyVerb,
        tenant_id: Option<TenantId>,
        bytes: u64,
        what: String,
    ) {
        let governor = &self.inner.governor;
        governor.note_emergency(verb as u8, tenant_id.and_then(|id| governor.find(id)), bytes);
        let time_ns = governor.clock().now_ns();
        self.inner.log.push(EmergencyEntry {
            time: SystemTime::now(),
            time_ns,
            verb,
            tenant_id,
            what,
        });
    }
}
