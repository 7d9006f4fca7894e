//! How owners learn that an allocation has to go, before its memory is given to others.
//!
//! An owner is asked with nothing held, and about one allocation by one thread at a time: by the
//! governor that is short, or by a drain. Who is asked and releases instead of answering has the
//! same effect.
//!
//! The callback runs on a thread of the governor's (`workers.rs`), so that one that hangs holds up
//! nobody. After a time-out the allocation counts as kept, but its owner still has the question:
//!
//! ```text
//! before the answer   the record is there, asking                      M1
//! time-out            the record is there, asking, the grant live      M1
//! a late Freed        record and grant go together, if they are there  M1
//! any other, a panic  the record is there, no longer asking            M1
//! no answer, ever     nobody asks for it again: it ends when its owner releases it or an
//!                     operator revokes it
//! ```

use super::record::{End, Key, Record};
use super::statistics::Count;
use super::tenant::Tenant;
use super::{Inner, MultiTenantMemoryManager, lock};
use crate::ReclaimAnswer;
use crate::caught::caught;
use crate::config::{AllocationType, TenantId};
use crate::reclaim::Victim;
use crate::workers::Reply;
use std::cell::Cell;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

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
pub(super) struct Listener {
    callback: Mutex<Option<Callback>>,
    /// How long an answer is waited for; zero: the callback runs on the thread that asks.
    timeout: Duration,
}

impl Listener {
    pub(super) fn waiting_for(timeout: Duration) -> Self {
        Self { callback: Mutex::default(), timeout }
    }
}

impl MultiTenantMemoryManager {
    /// Sets who is asked to free an allocation that was chosen to go; replaces an earlier one.
    ///
    /// The callback runs with nothing held, so it may call any verb. It answers
    /// [`ReclaimAnswer::Freed`] once the memory is free, [`ReclaimAnswer::Deferred`] if the owner
    /// will release the allocation, and [`ReclaimAnswer::Busy`] to keep it for a while. Who defers
    /// and has not released within [`promise_ns`](crate::GovernorConfig::promise_ns), ten seconds
    /// unless set, was busy: others are evicted then. One that
    /// panics counts as busy, and so does one that has not answered within
    /// [`ManagerOptions::reclaim_timeout`](crate::ManagerOptions::reclaim_timeout), one second
    /// unless set: the tenant is then left alone until it has answered or for
    /// [`busy_cooldown_ns`](crate::GovernorConfig::busy_cooldown_ns), and others are asked. If it
    /// answers `Freed` later, the allocation ends then; any other late answer keeps it. Nobody is
    /// asked for the same allocation before that: one whose callback never returns is not evicted
    /// any more, and lasts until it is released or revoked.
    ///
    /// Answer quickly. While an owner is asked, the thread that requests is blocked for up to that
    /// time, in `async` verbs too, where it is a thread of the executor's. Where freeing takes
    /// time, answer `Deferred` and release the allocation once it is free; or request on a thread
    /// of your own.
    ///
    /// It may be asked for an id that the caller does not know: one that was just granted, and
    /// whose answer is still on its way, or one that the caller has struck off its own list to
    /// release it. The answer is what is true of the memory: `Freed` if it is free, as it is of an
    /// allocation about to be released once nothing uses it any more; that release then answers
    /// [`Released::Evicted`](crate::Released::Evicted). Otherwise, and where you cannot tell which
    /// it is, `Busy`: it keeps what was just granted, and hinders no release.
    ///
    /// It runs on one of at most eight threads of the manager's, so it must not count on values
    /// that belong to a thread; with a time-out of zero on the thread that is short of memory,
    /// balances or drains.
    ///
    /// Without a callback an evicted allocation counts as free at once, and its owner learns at
    /// its next call: set one wherever memory stands behind what may be evicted. One that holds a
    /// clone of the manager keeps it alive until it is replaced.
    pub fn on_evict(
        &self,
        callback: impl Fn(&EvictedAllocation) -> ReclaimAnswer + Send + Sync + 'static,
    ) {
        let earlier = lock(&self.inner.listener.callback).replace(Arc::new(callback));
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
    /// thread that requested it, or asked for by another thread, whether that still waits for the
    /// answer or not, counts as busy.
    pub(super) fn ask_owner(self: &Arc<Self>, tenant: &Arc<Tenant>, key: Key) -> Asked {
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
        let (kind, bytes) = (asked.allocation_type, asked.bytes);
        let callback = lock(&self.listener.callback).clone();
        let reply = match callback {
            Some(callback) => self.reply_of(callback, asked, tenant, key),
            None => Reply::Answered(ReclaimAnswer::Freed),
        };
        let mut held = lock(&tenant.held);
        // After a time-out the late answer does this, and may have come by now.
        if reply != Reply::TimedOut {
            held.note_answered(key);
        }
        let freed = reply == Reply::Answered(ReclaimAnswer::Freed);
        let record = if freed { held.end(key, End::Evicted) } else { None };
        drop(held);
        let grant = match key {
            Key::Grant(id) => Some(id),
            Key::Observed(_) => None,
        };
        let answer = self.governor.answer_about(reply, tenant.handle, grant, kind, bytes);
        Asked { answer, bytes, record }
    }

    /// Asks and counts.
    fn reply_of(
        self: &Arc<Self>,
        callback: Callback,
        asked: EvictedAllocation,
        tenant: &Arc<Tenant>,
        key: Key,
    ) -> Reply<ReclaimAnswer> {
        let begun_ns = self.governor.clock().now_ns();
        let reply = if self.listener.timeout.is_zero() {
            caught(|| callback(&asked)).map_or(Reply::Panicked, Reply::Answered)
        } else {
            // Weak, so that a callback that hangs keeps neither the manager nor what it granted.
            let (manager, held_by) = (Arc::downgrade(self), Arc::downgrade(tenant));
            let late = move |answer| {
                let Some(tenant) = held_by.upgrade() else { return };
                if answer != Some(ReclaimAnswer::Freed) {
                    lock(&tenant.held).note_answered(key);
                } else if let Some(manager) = manager.upgrade() {
                    manager.end_late(&tenant, key);
                }
            };
            let timeout = self.listener.timeout;
            self.governor.ask_within(timeout, tenant.handle, move || callback(&asked), late)
        };
        let took_ns = self.governor.clock().now_ns().saturating_sub(begun_ns);
        self.count_reply(tenant, &reply, took_ns);
        reply
    }

    fn count_reply(&self, tenant: &Tenant, reply: &Reply<ReclaimAnswer>, took_ns: u64) {
        if *reply == Reply::NotAsked {
            return;
        }
        let statistics = tenant.statistics.get();
        statistics.note(Count::ReclaimAsked);
        statistics.note_reclaim_ns(took_ns);
        let slow = took_ns / 1_000_000 > self.monitoring.thresholds.reclaim_ms;
        if slow || *reply == Reply::TimedOut {
            statistics.note(Count::ReclaimSlow);
        }
        match reply {
            Reply::Answered(ReclaimAnswer::Busy) => statistics.note(Count::ReclaimBusy),
            Reply::Panicked => statistics.note(Count::ReclaimPanicked),
            Reply::Answered(_) | Reply::TimedOut | Reply::NotAsked => {}
        }
    }

    /// The owner of an allocation has freed it after nobody waited for that any more.
    fn end_late(&self, tenant: &Tenant, key: Key) {
        let record = lock(&tenant.held).end(key, End::Evicted);
        if let Some(grant) = record.and_then(|record| record.grant) {
            // It counts as evicted rather than released, whoever ends it.
            let id = grant.into_id();
            self.governor.end_late_certainly(tenant.handle, id);
        }
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
