//! The numbers, for people: one page over all tenants, and the same for one of them.
//!
//! ```text
//! utilization_percentage = allocated / limit in force x 100     (of the pool, without a limit)
//! memory_efficiency      = live bytes / bytes claimed of the pool x 100
//! ```
//!
//! Figures of different tenants are read one after the other while others go on; at rest they add
//! up. Memory in live allocations includes what is assigned to places in the queue; that is shown
//! apart as well, and belongs to no model yet. What is observed beyond the budget stands apart and
//! is in none of the other sums.

use super::alerts::Alert;
use super::config::{IsolationLevel, MIB, MemoryPressure, TenantPriority};
use super::emergency::TenantHold;
use super::error::MemoryError;
use super::history::UsageHistory;
use super::monitor::PoolReport;
use super::recommendations::{Recommendation, recommend};
use super::record::{Held, Record};
use super::statistics::MemoryStatistics;
use super::tenant::Tenant;
use super::{MultiTenantMemoryManager, lock};
use crate::config::{AllocationType, GovernorConfig, TenantId};
use crate::error::Error;
use crate::snapshot::TenantSnapshot;
use std::collections::BTreeMap;

/// Everything on one page.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TenantDashboard {
    /// The first line.
    pub summary: DashboardSummary,
    /// Every tenant, in the order of ids.
    pub tenant_summaries: Vec<TenantUsage>,
    /// The pool.
    pub global_memory_status: GlobalMemoryStatus,
    /// Models by name over all tenants, largest first.
    pub models: Vec<ModelUsage>,
    /// What was counted of all tenants, those that are gone included, as of the monitor's last
    /// look.
    pub statistics: MemoryStatistics,
    /// What the pool held in the last minute and the last hour.
    pub history: UsageHistory,
    /// Alerts that were raised and are not over, those of tenants included.
    pub open_alerts: Vec<Alert>,
    /// What could be changed, and from which figure that follows: at most sixteen.
    pub recommendations: Vec<Recommendation>,
}

/// The first line of the dashboard.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DashboardSummary {
    /// Registered tenants.
    pub total_tenants: usize,
    /// Tenants that hold something.
    pub active_tenants: usize,
    /// Tenants of priority Critical.
    pub critical_tenants: usize,
    /// Tenants that are frozen or being drained.
    pub tenants_on_hold: usize,
    /// Live allocations.
    pub total_allocations: u64,
    /// Percent of what is claimed of the pool that is in live allocations: the rest is guaranteed
    /// or idle. 100 where nothing is claimed.
    pub memory_efficiency: f64,
    /// Requests in the queue that wait for their bytes.
    pub waiting_requests: u64,
    /// Whether nobody is refused.
    pub observe_only: bool,
    /// Requests that would have been denied while only observing.
    pub observed_denials: u64,
}

/// The pool.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct GlobalMemoryStatus {
    /// Pressure in force: the worse of the pool's fill and what the machine reports.
    pub memory_pressure: MemoryPressure,
    /// Memory to share, in MiB.
    pub max_memory_mb: u64,
    /// Memory in live allocations, in MiB, rounded up.
    pub allocated_memory_mb: u64,
    /// Memory claimed by tenants, in MiB, rounded up: in use, guaranteed, or idle.
    pub claimed_memory_mb: u64,
    /// Memory that nobody has claimed, in whole MiB.
    pub unclaimed_memory_mb: u64,
    /// Memory to share, in bytes.
    pub max_memory_bytes: u64,
    /// Memory in live allocations, in bytes.
    pub allocated_memory_bytes: u64,
    /// Memory claimed by tenants, in bytes.
    pub claimed_memory_bytes: u64,
    /// Bytes of those in live allocations that were assigned to requests in the queue and are not
    /// fetched yet.
    pub assigned_memory_bytes: u64,
    /// Percent of the pool in live allocations.
    pub utilization_percentage: f64,
    /// Memory held beyond the budget since only observing, in MiB, rounded up.
    pub observed_over_mb: u64,
    /// The same in bytes.
    pub observed_over_bytes: u64,
    /// Memory measured of the process, in bytes, if it is measured.
    pub measured_memory_bytes: Option<u64>,
    /// Memory measured that is in no allocation, in bytes: of all tenants together, or of the
    /// process where that is more.
    pub unaccounted_memory_bytes: u64,
    /// Times that memory was said to be freed and was measured all the same.
    pub shortfalls: u64,
    /// Owners that were asked for an allocation and did not answer in time.
    pub reclaim_timeouts: u64,
    /// Owners that panicked when they were asked.
    pub reclaim_panics: u64,
    /// Bytes that tracking all this takes in the governor's tables.
    pub tracking_bytes: u64,
}

/// One tenant.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TenantUsage {
    /// Its identity.
    pub tenant_id: TenantId,
    /// What people call it; its UUID unless set.
    pub name: String,
    /// Who goes first when not all can.
    pub priority: TenantPriority,
    /// How strictly its limits bind.
    pub isolation_level: IsolationLevel,
    /// Memory in live allocations, in MiB, rounded up.
    pub allocated_memory_mb: u64,
    /// The same in bytes.
    pub allocated_memory_bytes: u64,
    /// Memory measured, in bytes, if the tenant is measured.
    pub measured_memory_bytes: Option<u64>,
    /// Memory measured that is in no allocation, in bytes.
    pub unaccounted_memory_bytes: u64,
    /// The most it held at once, in bytes.
    pub peak_memory_bytes: u64,
    /// Memory claimed of the pool, in bytes: what is allocated, and what stays claimed beside it.
    pub claimed_memory_bytes: u64,
    /// Memory in loaded models and pinned allocations, which is never evicted, in bytes.
    pub unevictable_memory_bytes: u64,
    /// Ceiling, in whole MiB; none: the pool's.
    pub max_memory_mb: Option<u64>,
    /// Floor, in whole MiB.
    pub guaranteed_memory_mb: u64,
    /// Higher ceiling while pressure is normal, in whole MiB.
    pub burst_limit_mb: Option<u64>,
    /// The ceiling in force at the pressure of now, in bytes; none: the pool's.
    pub limit_in_force_bytes: Option<u64>,
    /// Whether that is lower than configured, because the tenant asks for nothing while memory is
    /// short (see [`GovernorConfig::inactive_limit_ns`]).
    pub limit_lowered: bool,
    /// Fair share as of the last step of the balancer, in bytes.
    pub fair_share_bytes: u64,
    /// Percent of the ceiling in force, or of the pool.
    pub utilization_percentage: f64,
    /// How near the tenant is to its ceiling, by the thresholds of the pool.
    pub memory_pressure: MemoryPressure,
    /// Whether it gets anything.
    pub hold: TenantHold,
    /// Live allocations.
    pub allocations: u64,
    /// The same by type.
    pub allocations_by_type: AllocationCounts,
    /// Models by name, largest first.
    pub models: Vec<ModelUsage>,
    /// Its requests in the queue that wait for their bytes.
    pub waiting_requests: u64,
    /// Bytes assigned to its requests in the queue that are not fetched yet: allocated, and in none
    /// of its models.
    pub assigned_memory_bytes: u64,
    /// Requests granted so far.
    pub granted_requests: u64,
    /// Requests denied so far by the limits, those that were only observed included.
    pub denied_requests: u64,
    /// Allocations evicted so far.
    pub evicted_allocations: u64,
    /// Bytes of those.
    pub evicted_memory_bytes: u64,
    /// Memory held beyond the budget since only observing, in MiB, rounded up.
    pub observed_over_mb: u64,
    /// The same in bytes.
    pub observed_over_bytes: u64,
    /// Requests that would have evicted something to be granted while only observing.
    pub observed_evictions: u64,
    /// Requests that would have been denied while only observing.
    pub observed_denials: u64,
    /// Why, for the last eight of them, oldest first.
    pub observed_reasons: Vec<String>,
    /// What was counted of its requests through the manager.
    pub statistics: MemoryStatistics,
    /// What it held in the last minute and the last hour; none, unless it was active in that time
    /// and the monitor has looked.
    pub history: Option<UsageHistory>,
    /// Alerts about it that were raised and are not over.
    pub open_alerts: Vec<Alert>,
    /// For how long the monitor has watched it, in ns; 0: it was not active in the last hour.
    pub watched_ns: u64,
    /// For how long it has not asked for memory while it was watched, in ns.
    pub silent_ns: u64,
}

/// Allocations by type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AllocationCounts {
    /// Loaded models.
    pub model_load: u64,
    /// Running requests.
    pub inference: u64,
    /// Caches.
    pub cache: u64,
    /// Background work.
    pub background: u64,
}

/// What is held under one model name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelUsage {
    /// The name.
    pub model_name: String,
    /// Live allocations.
    pub allocations: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl MultiTenantMemoryManager {
    /// What a tenant holds and may hold.
    ///
    /// # Errors
    ///
    /// [`MemoryError::UnknownTenant`].
    pub async fn get_tenant_usage(&self, tenant_id: TenantId) -> Result<TenantUsage, MemoryError> {
        let tenant = self.tenant(tenant_id)?;
        let usage = self.inner.governor.usage(tenant.handle);
        let usage = usage.and_then(|snapshot| self.usage_of(&tenant, snapshot));
        usage.map_err(|error| MemoryError::of_tenant(error, tenant_id))
    }

    /// Everything on one page. Cost: grows with tenants and allocations; allocates.
    ///
    /// # Errors
    ///
    /// None today; the signature leaves room.
    pub async fn get_tenant_dashboard(&self) -> Result<TenantDashboard, MemoryError> {
        let governor = &self.inner.governor;
        self.inner.lapse_places_now();
        let snapshot = governor.snapshot();
        let mut tenants: Vec<TenantUsage> = snapshot
            .tenants
            .iter()
            .filter_map(|numbers| {
                let tenant = self.inner.tenants.find_handle(numbers.tenant)?;
                // One that was unregistered meanwhile is left out.
                self.usage_of(&tenant, numbers.clone()).ok()
            })
            .collect();
        tenants.sort_by_key(|tenant| tenant.tenant_id);
        let observed =
            tenants.iter().fold(0u64, |sum, t| sum.saturating_add(t.observed_over_bytes));
        let (capacity, live) = (snapshot.capacity_bytes, snapshot.live_bytes);
        let claimed = snapshot.claimed_bytes;
        let PoolReport { statistics, history, open } = self.inner.report_of_pool();
        let count = |is: fn(&TenantUsage) -> bool| tenants.iter().filter(|t| is(t)).count();
        let efficiency = if claimed == 0 { 100.0 } else { percent(live, claimed) };
        let reclaim_ms = self.inner.monitoring.thresholds.reclaim_ms;
        Ok(TenantDashboard {
            recommendations: recommend(&tenants, efficiency, reclaim_ms),
            summary: DashboardSummary {
                total_tenants: tenants.len(),
                active_tenants: count(|t| t.allocations > 0),
                critical_tenants: count(|t| t.priority == TenantPriority::Critical),
                tenants_on_hold: count(|t| t.hold != TenantHold::None),
                total_allocations: tenants.iter().map(|t| t.allocations).sum(),
                waiting_requests: tenants.iter().map(|t| t.waiting_requests).sum(),
                memory_efficiency: efficiency,
                observe_only: self.is_observe_only(),
                observed_denials: tenants.iter().map(|t| t.observed_denials).sum(),
            },
            global_memory_status: GlobalMemoryStatus {
                memory_pressure: snapshot.pressure,
                max_memory_mb: capacity / MIB,
                allocated_memory_mb: live.div_ceil(MIB),
                claimed_memory_mb: claimed.div_ceil(MIB),
                unclaimed_memory_mb: capacity.saturating_sub(claimed) / MIB,
                max_memory_bytes: capacity,
                allocated_memory_bytes: live,
                claimed_memory_bytes: claimed,
                assigned_memory_bytes: tenants.iter().map(|t| t.assigned_memory_bytes).sum(),
                utilization_percentage: percent(live, capacity),
                observed_over_mb: observed.div_ceil(MIB),
                observed_over_bytes: observed,
                measured_memory_bytes: snapshot.measured_bytes,
                unaccounted_memory_bytes: snapshot.unaccounted_bytes,
                shortfalls: snapshot.shortfalls,
                reclaim_timeouts: snapshot.reclaim_timeouts,
                reclaim_panics: snapshot.reclaim_panics,
                tracking_bytes: governor.tracking_bytes(),
            },
            models: merged(tenants.iter().flat_map(|tenant| tenant.models.iter().cloned())),
            tenant_summaries: tenants,
            statistics,
            history,
            open_alerts: open,
        })
    }

    fn usage_of(&self, tenant: &Tenant, numbers: TenantSnapshot) -> Result<TenantUsage, Error> {
        let governor = &self.inner.governor;
        let config = governor.tenant_config(tenant.handle)?;
        let report = self.inner.report_of(tenant);
        let held = lock(&tenant.held);
        let used = numbers.used_bytes;
        let bound = numbers.limit_bytes.unwrap_or(governor.config().capacity_bytes);
        let observed = held.records.values();
        let observed = observed.fold(0u64, |sum, r| sum.saturating_add(r.observed_bytes));
        let mb = |bytes: u64| bytes / MIB;
        Ok(TenantUsage {
            tenant_id: tenant.id,
            name: numbers.name,
            priority: numbers.priority,
            isolation_level: numbers.isolation,
            allocated_memory_mb: used.div_ceil(MIB),
            allocated_memory_bytes: used,
            measured_memory_bytes: numbers.measured_bytes,
            unaccounted_memory_bytes: numbers.unaccounted_bytes,
            peak_memory_bytes: numbers.peak_bytes,
            claimed_memory_bytes: numbers.claimed_bytes,
            unevictable_memory_bytes: unevictable_bytes(&held),
            max_memory_mb: config.limit_bytes.map(mb),
            guaranteed_memory_mb: mb(config.guarantee_bytes),
            burst_limit_mb: config.burst_bytes.map(mb),
            limit_in_force_bytes: numbers.limit_bytes,
            limit_lowered: numbers.limit_lowered,
            fair_share_bytes: numbers.share_bytes,
            utilization_percentage: percent(used, bound),
            memory_pressure: pressure_of(governor.config(), used, bound),
            hold: held.hold,
            allocations: held.records.len() as u64,
            allocations_by_type: counts(&held),
            models: models(&held),
            waiting_requests: held.places.waiting(),
            assigned_memory_bytes: held.places.assigned_bytes(),
            granted_requests: numbers.granted,
            denied_requests: numbers.denied,
            evicted_allocations: numbers.evicted,
            evicted_memory_bytes: numbers.evicted_bytes,
            observed_over_mb: observed.div_ceil(MIB),
            observed_over_bytes: observed,
            observed_evictions: held.observed.evictions,
            observed_denials: held.observed.denials,
            observed_reasons: held.observed.reasons.iter().cloned().collect(),
            statistics: report.statistics,
            history: report.history,
            open_alerts: report.open,
            watched_ns: report.watched_ns,
            silent_ns: report.silent_ns,
        })
    }
}

fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}

/// The thresholds of the pool, applied to a tenant and its ceiling; without hysteresis.
fn pressure_of(config: &GovernorConfig, used: u64, bound: u64) -> MemoryPressure {
    let reached =
        |threshold: u8| u128::from(used) * 100 >= u128::from(bound) * u128::from(threshold);
    match () {
        () if reached(config.critical_percent) => MemoryPressure::Critical,
        () if reached(config.high_percent) => MemoryPressure::High,
        () => MemoryPressure::Normal,
    }
}

fn unevictable_bytes(held: &Held) -> u64 {
    let records = held.records.values();
    let fixed = records.filter(|r| r.pinned || r.kind == AllocationType::ModelLoad);
    fixed.map(Record::granted_bytes).sum()
}

fn counts(held: &Held) -> AllocationCounts {
    let mut counts = AllocationCounts::default();
    for record in held.records.values() {
        *match record.kind {
            AllocationType::ModelLoad => &mut counts.model_load,
            AllocationType::Inference => &mut counts.inference,
            AllocationType::Cache => &mut counts.cache,
            AllocationType::Background => &mut counts.background,
        } += 1;
    }
    counts
}

/// Models of one tenant, what is observed beyond the budget included.
fn models(held: &Held) -> Vec<ModelUsage> {
    merged(held.records.values().map(|record| ModelUsage {
        model_name: record.model.clone(),
        allocations: 1,
        bytes: record.bytes(),
    }))
}

/// Sums by name, largest first, then by name.
fn merged(parts: impl Iterator<Item = ModelUsage>) -> Vec<ModelUsage> {
    let mut sums: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for part in parts {
        let sum = sums.entry(part.model_name).or_default();
        *sum = (sum.0 + part.allocations, sum.1.saturating_add(part.bytes));
    }
    let mut models: Vec<ModelUsage> = sums
        .into_iter()
        .map(|(model_name, (allocations, bytes))| ModelUsage { model_name, allocations, bytes })
        .collect();
    models.sort_by_key(|model| std::cmp::Reverse(model.bytes));
    models
}
