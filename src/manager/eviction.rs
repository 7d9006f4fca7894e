//! How owners learn that an allocation has to go, before its memory is given to others.
//!
//! An owner is asked with nothing held, and about one allocation by one thread at a time: by the
//! governor that is short, or by a drain. Who is asked and releases instead of answering has the
//! same effect.

use super::record::{End, Key, Record};
use super::statistics::Count;
use super::tenant::Tenant;
use super::{Inner, MultiTenantMemoryManager, lock};
use crate::ReclaimAnswer;
use crate::config::{AllocationType, TenantId};
use crate::reclaim::Victim;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, Weak};

/// An allocation that is to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvictedAllocation {
    /// Its id.
    pub allocation_id: String,
    /// Who holds it.
    pub tenant_id: TenantId,
    /// What it was requested for.
    pub model_name: String,
    /// What kind of use.
    pub allocation_type: AllocationType,
    /// Bytes it holds.
    pub bytes: u64,
}

type Callback = Arc<dyn Fn(&EvictedAllocation) -> ReclaimAnswer + Send + Sync>;

/// Who is asked; nobody: the owner learns at its next call.
#[derive(Default)]
pub(super) struct Listener(Mutex<Option<Callback>>);

impl MultiTenantMemoryManager {
    /// Sets who is asked to free an allocation that was chosen to go; replaces an earlier one.
    ///
    /// The callback runs on the thread that is short of memory, balances or drains, with nothing
    /// held: it may call any verb. It answers [`ReclaimAnswer::Freed`] once the memory is free,
    /// [`ReclaimAnswer::Deferred`] if the owner will release the allocation, and
    /// [`ReclaimAnswer::Busy`] to keep it for a while. One that panics counts as busy.
    ///
    /// Without a callback an evicted allocation counts as free at once, and its owner learns at
    /// its next call: set one wherever memory stands behind what may be evicted. One that holds a
    /// clone of the manager keeps it alive until it is replaced.
    pub fn on_evict(
        &self,
        callback: impl Fn(&EvictedAllocation) -> ReclaimAnswer + Send + Sync + 'static,
    ) {
        let earlier = lock(&self.inner.listener.0).replace(Arc::new(callback));
        // Dropped with nothing held: it may hold anything.
        drop(earlier);
    }
}

/// What an owner answered.
pub(super) struct Asked {
    pub answer: ReclaimAnswer,
    /// Bytes it was asked for; 0: it was not asked.
    pub bytes: u64,
    /// What has left the records because it is free now.
    pub record: Option<Record>,
}

impl Inner {
    /// Asks the owner of an allocation. One that is gone already, about to be entered by the
    /// thread that requested it, or asked for by another thread counts as busy.
    pub(super) fn ask_owner(&self, tenant: &Tenant, key: Key) -> Asked {
        let asked = {
            let mut held = lock(&tenant.held);
            let record = held.records.get_mut(&key).filter(|record| !record.asking);
            let Some(record) = record else {
                return Asked { answer: ReclaimAnswer::Busy, bytes: 0, record: None };
            };
            record.asking = true;
            EvictedAllocation {
                allocation_id: key.to_string(),
                tenant_id: tenant.id,
                model_name: record.model.clone(),
                allocation_type: record.kind,
                bytes: record.bytes(),
            }
        };
        let callback = lock(&self.listener.0).clone();
        let answer = callback
            .map_or(ReclaimAnswer::Freed, |callback| self.answer_of(tenant, &*callback, &asked));
        let mut held = lock(&tenant.held);
        if let Some(record) = held.records.get_mut(&key) {
            record.asking = false;
        }
        let freed = answer == ReclaimAnswer::Freed;
        let record = if freed { held.end(key, End::Evicted) } else { None };
        Asked { answer, bytes: asked.bytes, record }
    }
}

impl Inner {
    /// Asks and counts.
    fn answer_of(
        &self,
        tenant: &Tenant,
        callback: &(dyn Fn(&EvictedAllocation) -> ReclaimAnswer + Send + Sync),
        asked: &EvictedAllocation,
    ) -> ReclaimAnswer {
        let (statistics, clock) = (tenant.statistics.get(), self.governor.clock());
        let begun_ns = clock.now_ns();
        // One that panics has not freed anything it could vouch for.
        let answer = catch_unwind(AssertUnwindSafe(|| callback(asked)));
        let took_ns = clock.now_ns().saturating_sub(begun_ns);
        statistics.note(Count::ReclaimAsked);
        statistics.note_reclaim_ns(took_ns);
        if took_ns / 1_000_000 > self.monitoring.thresholds.reclaim_ms {
            statistics.note(Count::ReclaimSlow);
        }
        match answer {
            Ok(ReclaimAnswer::Busy) => statistics.note(Count::ReclaimBusy),
            Ok(_) => {}
            Err(_) => statistics.note(Count::ReclaimPanicked),
        }
        answer.unwrap_or(ReclaimAnswer::Busy)
    }
}

thread_local! {
    /// Whether this thread takes a step of the balancer.
    static BALANCING: Cell<bool> = const { Cell::new(false) };
}

/// Does the work of a step of the balancer: what owners are asked meanwhile counts as its doing.
pub(super) fn balancing<T>(work: impl FnOnce() -> T) -> T {
    struct Before(bool);
    impl Drop for Before {
        fn drop(&mut self) {
            BALANCING.set(self.0);
        }
    }
    let _before = Before(BALANCING.replace(true));
    work()
}

/// The governor's question about a victim, passed on to its owner.
pub(super) fn ask_for(manager: &Weak<Inner>, victim: &Victim) -> ReclaimAnswer {
    let Some(inner) = manager.upgrade() else { return ReclaimAnswer::Busy };
    let Some(tenant) = inner.tenants.find_handle(victim.tenant) else {
        return ReclaimAnswer::Busy;
    };
    if BALANCING.get() {
        tenant.statistics.get().note(Count::Balanced);
    }
    let Asked { answer, record, .. } = inner.ask_owner(&tenant, Key::Grant(victim.grant));
    if let Some(grant) = record.and_then(|record| record.grant) {
        // The governor ends it on this answer, and counts it as evicted.
        grant.into_id();
    }
    answer
}
