//! The comfortable facade: tenants by UUID, sizes in MiB, answers with a reason for people.
//!
//! | I want to see | open |
//! |---|---|
//! | the settings, and what is refused about them | `config.rs` |
//! | who is registered | `tenant.rs` |
//! | requests and their answers | `allocation.rs` |
//! | the same with refusals as data | `detailed.rs` |
//! | requests that wait, and are asked again | `queue.rs` |
//! | awaiting one's turn | `acquire.rs` |
//! | release, shrink, grow, touch, pin | `change.rs` |
//! | what a tenant holds, and what became of it | `record.rs` |
//! | what a denial says | `reason.rs` |
//! | what a tenant may be called, and how names are shown | `names.rs` |
//! | what would decide a request | `explain.rs` |
//! | how owners learn of an eviction | `eviction.rs` |
//! | deciding without refusing | `observe.rs` |
//! | freeze, thaw, drain, revoke | `emergency.rs` |
//! | the numbers | `dashboard.rs` |
//! | the threads: balancer and monitor | `background.rs` |
//! | what the machine says, and what others measure | `machine.rs` |
//! | what is counted, and over time | `statistics.rs`, `trend.rs`, `window.rs`, `history.rs` |
//! | one look of the monitor | `monitor.rs` |
//! | what to change, in words | `recommendations.rs` |
//! | alerts, and when they come and go | `alerts.rs`, `thresholds.rs`, `trigger.rs` |
//! | the audit log | `audit.rs` |
//! | what can go wrong | `error.rs` |
//!
//! ```text
//! M1  an allocation is in its tenant's records  <=>  its grant was answered and it was not
//!     returned, evicted or revoked
//! M2  bytes of a record = bytes of its grant + what was observed beyond the budget
//! M3  at rest, sum over records of bytes of grants + sum over places of bytes assigned to them
//!     = live bytes of the governor
//! ```
//!
//! A tenant's records stand behind a mutex of that tenant alone. It is never held while a callback
//! runs or a task is woken, and never while a request is decided: it guards a table. Locks are
//! taken in the order directory, monitor, records, governor; nobody holds the records of two
//! tenants.

mod acquire;
mod alerts;
mod allocation;
mod audit;
mod background;
mod change;
mod config;
mod dashboard;
mod detailed;
mod emergency;
mod error;
mod eviction;
mod explain;
mod history;
mod machine;
mod monitor;
mod names;
mod observe;
mod queue;
mod reason;
mod recommendations;
mod record;
mod statistics;
mod tenant;
mod thresholds;
mod trend;
mod trigger;
mod window;

pub use alerts::{Alert, AlertChange, AlertKind, AlertLevel, AlertReader};
pub use allocation::{MemoryAllocationRequest, MemoryAllocationResponse, MemoryBatchResponse};
pub use background::BackgroundStatus;
pub use config::{
    IsolationLevel, ManagerOptions, MemoryConfig, MemoryPressure, TenantMemoryConfig,
    TenantPriority,
};
pub use dashboard::{
    AllocationCounts, DashboardSummary, GlobalMemoryStatus, ModelUsage, TenantDashboard,
    TenantUsage,
};
pub use detailed::{AllocationAsk, AllocationDenial, AllocationRefusal, AllocationView};
pub use emergency::{DrainReport, EmergencyEntry, EmergencyVerb, TenantHold};
pub use error::MemoryError;
pub use eviction::EvictedAllocation;
pub use explain::{AllocationExplanation, PlannedEviction};
pub use history::{HistoryPoint, UsageHistory};
pub use machine::MachineLook;
pub use monitor::MonitorReport;
pub use recommendations::{Recommendation, RecommendationKind};
pub use statistics::{DenialCounts, LatencySummary, MemoryStatistics, ReclaimCounts};
pub use thresholds::AlertThresholds;

use crate::balance::BalanceReport;
use crate::governor::Governor;
use audit::Audit;
use background::Background;
use config::{Settled, burst_warning};
use emergency::EmergencyLog;
use eviction::Listener;
use machine::Machine;
use monitor::Monitoring;
use queue::Queue;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tenant::Directory;

#[expect(clippy::disallowed_types, reason = "a switch of the facade, no part of the core's models")]
type Switch = std::sync::atomic::AtomicBool;
#[expect(clippy::disallowed_types, reason = "a number for names, no part of the core's models")]
type Counter = std::sync::atomic::AtomicU64;

/// Lets many tenants share one memory, by the names of models and tasks: every request is granted,
/// queued or denied under quotas, guarantees, bursts and priorities, and what can be rebuilt is
/// evicted when memory is short.
///
/// `Clone`, `Send` and `Sync`: clones are cheap and are the same manager. When the last one goes,
/// its threads end and everything it granted is returned. `_mb` means MiB (2^20 bytes); every such
/// verb has an exact twin in bytes. A [`Governor`] decides; this keeps the names.
///
/// All verbs are `async` and need no runtime. All but one answer when they are first polled: a
/// request that has to wait is told to ask again ([`MemoryAllocationResponse::Queued`]) and keeps
/// its place in a fair queue meanwhile. [`Self::acquire_allocation`] awaits its turn instead. What
/// they cost is what the same verb of [`Governor`] costs, and one mutex of the tenant named.
///
/// ```
/// use allotment::*;
///
/// # fn main() -> Result<(), MemoryError> {
/// # use std::{future::Future, pin::pin, task::{Context, Poll, Waker}};
/// # let mut example = pin!(async {
/// let manager = MultiTenantMemoryManager::new(MemoryConfig {
///     max_memory_mb: 24 * 1024,
///     enable_monitoring: false,
///     monitoring_interval_secs: 10,
///     enable_memory_balancing: false,
///     balancing_interval_secs: 30,
///     enable_compression: false,
///     compression_threshold_mb: 1024,
/// });
/// let chat = TenantId::from_u128(1);
/// manager
///     .register_tenant(TenantMemoryConfig {
///         tenant_id: chat,
///         max_memory_mb: 8 * 1024,
///         priority: TenantPriority::High,
///         guaranteed_memory_mb: 2 * 1024,
///         burst_limit_mb: None,
///         isolation_level: IsolationLevel::Hard,
///     })
///     .await?;
/// let request = MemoryAllocationRequest {
///     tenant_id: chat,
///     requested_memory_mb: 4 * 1024,
///     model_name: "llama-7b".to_string(),
///     allocation_type: AllocationType::ModelLoad,
/// };
/// match manager.request_allocation(request).await? {
///     MemoryAllocationResponse::Granted { allocation_id } => {
///         manager.release_allocation(chat, &allocation_id, 4 * 1024).await?;
///     }
///     MemoryAllocationResponse::Denied { reason, available_memory_mb } => {
///         println!("{reason} (available: {available_memory_mb} MiB)");
///     }
///     MemoryAllocationResponse::Queued { estimated_wait_time_secs } => {
///         println!("ask again for the same in about {estimated_wait_time_secs} s");
///     }
/// }
/// # Ok(())
/// # });
/// # match example.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
/// #     Poll::Ready(done) => done,
/// #     Poll::Pending => unreachable!(),
/// # }
/// # }
/// ```
#[derive(Clone)]
pub struct MultiTenantMemoryManager {
    /// Dropped first: when the last clone goes, the threads end before what they work on.
    background: Arc<Background>,
    inner: Arc<Inner>,
}

/// What all clones share, and the threads step by step.
struct Inner {
    governor: Arc<Governor>,
    /// Why everything is denied, if the configuration was refused.
    fault: Option<MemoryError>,
    config: MemoryConfig,
    tenants: Directory,
    listener: Listener,
    log: EmergencyLog,
    queue: Queue,
    machine: Machine,
    monitoring: Monitoring,
    observe_only: Switch,
    /// Names of observed allocations given so far.
    observed: Counter,
    /// Dropped last: what is returned as the rest goes is in it.
    audit: Audit,
}

impl MultiTenantMemoryManager {
    /// A manager over `config.max_memory_mb`.
    ///
    /// A configuration that [`Self::try_new`] would refuse makes a manager that grants nothing:
    /// registering a tenant answers the error, every request is denied with it as the reason.
    /// Nothing is corrected silently.
    pub fn new(config: MemoryConfig) -> Self {
        Self::try_new(config.clone()).unwrap_or_else(|fault| Self::refusing(config, fault))
    }

    /// A manager over `config.max_memory_mb`, with everything else at its defaults.
    ///
    /// # Errors
    ///
    /// [`MemoryError::Config`] naming the field that is out of range.
    pub fn try_new(config: MemoryConfig) -> Result<Self, MemoryError> {
        Self::try_new_with(config, ManagerOptions::default())
    }

    /// A manager with options beyond the [`MemoryConfig`].
    ///
    /// # Errors
    ///
    /// [`MemoryError::Config`] naming the field that is out of range.
    pub fn try_new_with(
        config: MemoryConfig,
        options: ManagerOptions,
    ) -> Result<Self, MemoryError> {
        config.validate()?;
        let settled = options.settle(config.max_bytes()?)?;
        let manager = Self::build(config, None, settled)?;
        manager.start_enabled()?;
        Ok(manager)
    }

    /// Denies everything: its configuration was refused.
    fn refusing(config: MemoryConfig, fault: MemoryError) -> Self {
        let settled = ManagerOptions::default().settle(1).and_then(|mut settled| {
            settled.governor.tenants_max = 1;
            settled.governor.grants_max = 1;
            Self::build(config, Some(fault), settled)
        });
        settled.expect("one tenant and one byte are a valid configuration")
    }

    fn build(
        config: MemoryConfig,
        fault: Option<MemoryError>,
        settled: Settled,
    ) -> Result<Self, MemoryError> {
        let Settled { governor, log, queue, machine, listener, monitoring } = settled;
        let inner = Arc::new(Inner {
            governor: Arc::new(Governor::new(governor)?),
            fault,
            config,
            tenants: Directory::default(),
            listener,
            log,
            queue,
            machine,
            monitoring,
            observe_only: Switch::new(false),
            observed: Counter::new(0),
            audit: Audit::default(),
        });
        inner.lapse_by_alarm();
        let asked = Arc::downgrade(&inner);
        inner.governor.on_reclaim(move |victim| eviction::ask_for(&asked, victim));
        Ok(Self { background: Arc::default(), inner })
    }

    /// The configuration the manager was created with.
    pub fn config(&self) -> &MemoryConfig {
        &self.inner.config
    }

    /// What is configured and has no effect: one sentence for each such field of the
    /// [`MemoryConfig`], then one for each tenant whose burst limit nothing ever comes to, in the
    /// order of their ids. For whoever starts the service to log once its tenants are registered.
    /// Empty where all is in force; a sentence is gone when the tenant is gone or changed.
    ///
    /// Cost: looks at the configuration of every tenant.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = self.inner.config.warnings();
        let governor = &self.inner.governor;
        let tenants = self.tenants();
        // One that was unregistered meanwhile has no configuration any more.
        let configs = tenants.iter().filter_map(|t| governor.tenant_config(t.handle).ok());
        warnings.extend(configs.filter_map(|config| burst_warning(&config)));
        warnings
    }

    /// The governor below: for groups, reports of the machine's pressure, events, exact numbers.
    /// Its handler of victims is the manager's; with another one the records would not learn of
    /// evictions.
    pub fn governor(&self) -> &Governor {
        &self.inner.governor
    }

    /// One step of the balancer: lets places in the queue lapse that nobody asks for, evaluates
    /// pressure and evicts if it is high, first telling the owners ([`Self::on_evict`]). Guarantees
    /// are kept. While only observing it evicts nothing.
    ///
    /// What [`MemoryConfig::enable_memory_balancing`] does every so often. Both may run at once:
    /// each counts what the other is freeing, so they do not free twice for one shortage.
    ///
    /// # Errors
    ///
    /// None today; the signature leaves room.
    pub async fn balance_memory(&self) -> Result<BalanceReport, MemoryError> {
        Ok(self.inner.balance())
    }
}

impl Inner {
    fn is_observe_only(&self) -> bool {
        // Acquire: pairs with the AcqRel in `set_observe_only`.
        self.observe_only.load(Ordering::Acquire)
    }

    fn balance(&self) -> BalanceReport {
        self.lapse_places_now();
        if self.is_observe_only() {
            return self.governor.balance_without_eviction();
        }
        self.balance_counted()
    }
}

impl std::fmt::Debug for MultiTenantMemoryManager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("MultiTenantMemoryManager");
        shown.field("config", &self.inner.config).field("fault", &self.inner.fault);
        shown.field("warnings", &self.inner.config.warnings());
        shown.finish_non_exhaustive()
    }
}

/// What a panic left behind is a whole table: every change of one is a single step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
