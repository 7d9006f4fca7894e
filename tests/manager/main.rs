//! The facade by its public interface: the documented examples, every answer and every error.

use allotment::os::ManualClock;
use allotment::*;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

mod acquire;
mod alerts;
mod audit;
mod background;
mod dashboard;
mod detailed;
mod emergency;
mod eviction;
mod examples;
mod history;
mod holding;
mod measured;
mod misuse;
mod names;
mod observe;
mod queue;
mod reason;
mod recommendations;
mod statistics;
mod stress;

type Manager = MultiTenantMemoryManager;
type Response = MemoryAllocationResponse;

const MIB: u64 = 1 << 20;

/// The answer of a verb of the manager that does not wait.
fn now<T>(verb: impl Future<Output = T>) -> T {
    match pin!(verb).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("only acquire_allocation waits"),
    }
}

fn memory(max_memory_mb: u64) -> MemoryConfig {
    MemoryConfig {
        max_memory_mb,
        enable_monitoring: false,
        monitoring_interval_secs: 10,
        enable_memory_balancing: false,
        balancing_interval_secs: 30,
        enable_compression: false,
        compression_threshold_mb: 64,
    }
}

/// A manager of few tenants, whose limits do not change with pressure.
fn manager(max_memory_mb: u64) -> Manager {
    with(max_memory_mb, |_| {})
}

fn with(max_memory_mb: u64, tune: fn(&mut GovernorConfig)) -> Manager {
    clocked(max_memory_mb, &ManualClock::new(), ManagerOptions::default(), tune)
}

/// The same, where nobody is queued.
fn unqueued(max_memory_mb: u64) -> Manager {
    let options = ManagerOptions::default().queueing(false);
    clocked(max_memory_mb, &ManualClock::new(), options, |_| {})
}

/// The same, with a clock to be moved and options.
fn clocked(
    max_memory_mb: u64,
    clock: &ManualClock,
    options: ManagerOptions,
    tune: fn(&mut GovernorConfig),
) -> Manager {
    let clock = clock.clone();
    let options = options.governor(move |governor| {
        governor.tenants_max = 64;
        governor.grants_max = 4_096;
        governor.pool_pressure = false;
        governor.clock = clock.into();
        tune(governor);
    });
    Manager::try_new_with(memory(max_memory_mb), options).unwrap()
}

/// A manager whose clock is moved by hand and whose monitor is asked to look.
struct Monitored {
    manager: Manager,
    clock: ManualClock,
}

const SECOND: u64 = 1_000_000_000;

impl Monitored {
    fn new(max_memory_mb: u64) -> Self {
        Self::with(max_memory_mb, |_| {}, AlertThresholds::default())
    }

    fn with(mb: u64, tune: fn(&mut GovernorConfig), thresholds: AlertThresholds) -> Self {
        let clock = ManualClock::new();
        // What is counted here is who is granted and who is denied.
        let options = ManagerOptions::default().thresholds(thresholds).queueing(false);
        Self { manager: clocked(mb, &clock, options, tune), clock }
    }

    /// A look after so many seconds.
    fn look(&self, seconds: u64) -> MonitorReport {
        self.clock.advance_ns(seconds * SECOND);
        now(self.manager.monitor_now())
    }

    fn usage(&self, tenant: TenantId) -> TenantUsage {
        now(self.manager.get_tenant_usage(tenant)).unwrap()
    }

    fn release(&self, tenant: TenantId, allocation_id: &str, mb: u64) {
        now(self.manager.release_allocation(tenant, allocation_id, mb)).unwrap();
    }
}

fn id(number: u128) -> TenantId {
    TenantId::from_u128(number)
}

fn tenant(number: u128, max_memory_mb: u64) -> TenantMemoryConfig {
    TenantMemoryConfig {
        tenant_id: id(number),
        max_memory_mb,
        priority: TenantPriority::Normal,
        guaranteed_memory_mb: 0,
        burst_limit_mb: None,
        isolation_level: IsolationLevel::Hard,
    }
}

/// Registers a tenant and gives it a name.
fn named(manager: &Manager, number: u128, name: &str, max_memory_mb: u64) -> TenantId {
    now(manager.register_tenant(tenant(number, max_memory_mb))).unwrap();
    now(manager.set_tenant_name(id(number), name)).unwrap();
    id(number)
}

fn request(
    tenant_id: TenantId,
    mb: u64,
    model: &str,
    kind: AllocationType,
) -> MemoryAllocationRequest {
    MemoryAllocationRequest {
        tenant_id,
        requested_memory_mb: mb,
        model_name: model.to_string(),
        allocation_type: kind,
    }
}

fn ask(
    manager: &Manager,
    tenant: TenantId,
    mb: u64,
    model: &str,
    kind: AllocationType,
) -> Response {
    now(manager.request_allocation(request(tenant, mb, model, kind))).unwrap()
}

fn inference(manager: &Manager, tenant: TenantId, mb: u64) -> Response {
    ask(manager, tenant, mb, "llama-7b", AllocationType::Inference)
}

fn cache(manager: &Manager, tenant: TenantId, mb: u64) -> String {
    granted(ask(manager, tenant, mb, "kv", AllocationType::Cache))
}

fn granted(response: Response) -> String {
    match response {
        Response::Granted { allocation_id } => allocation_id,
        other => panic!("not granted: {other:?}"),
    }
}

fn denied(response: Response) -> (String, u64) {
    match response {
        Response::Denied { reason, available_memory_mb } => (reason, available_memory_mb),
        other => panic!("not denied: {other:?}"),
    }
}

/// After how many seconds to ask again.
fn queued(response: Response) -> u64 {
    match response {
        Response::Queued { estimated_wait_time_secs } => estimated_wait_time_secs,
        other => panic!("not queued: {other:?}"),
    }
}

fn release(manager: &Manager, tenant: TenantId, held: &str, mb: u64) {
    assert_eq!(now(manager.release_allocation(tenant, held, mb)), Ok(Released::Returned));
}

/// Everything there is to see: nothing has changed while it is equal.
fn all(manager: &Manager) -> TenantDashboard {
    let mut seen = now(manager.get_tenant_dashboard()).unwrap();
    // Denials are counted, and they are no change.
    for tenant in &mut seen.tenant_summaries {
        tenant.denied_requests = 0;
        tenant.statistics = MemoryStatistics::default();
    }
    seen.statistics = MemoryStatistics::default();
    seen.recommendations.clear();
    seen
}

fn allocated_mb(manager: &Manager, tenant: TenantId) -> u64 {
    now(manager.get_tenant_usage(tenant)).unwrap().allocated_memory_mb
}
