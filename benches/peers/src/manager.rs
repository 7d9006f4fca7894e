//! Our own facade, for who compares a facade with a facade: tenants and allocations by UUID, the
//! allocation's as a string, verbs that are awaited.

use crate::facade::tenants;
use crate::rounds::{Plan, Side};
use crate::tasks::{Runtimes, together_in_tasks};
use crate::timing::alone;
use allotment::{
    AllocationType, IsolationLevel, MemoryAllocationRequest, MemoryAllocationResponse,
    MemoryConfig, MultiTenantMemoryManager, TenantId, TenantMemoryConfig, TenantPriority,
};
use std::hint::black_box;

/// On one thread.
pub const MANAGER: &str = "`MultiTenantMemoryManager`: request + release";
/// On two threads, each its own tenant.
pub const MANAGER_TOGETHER: &str = "`MultiTenantMemoryManager`: request + release, two threads";

/// The facade with two tenants, and none of its threads.
pub async fn manager() -> MultiTenantMemoryManager {
    let manager = MultiTenantMemoryManager::new(MemoryConfig {
        max_memory_mb: 1 << 20,
        enable_monitoring: false,
        monitoring_interval_secs: 1,
        enable_memory_balancing: false,
        balancing_interval_secs: 1,
        enable_compression: false,
        compression_threshold_mb: 0,
    });
    for tenant_id in tenants() {
        let config = TenantMemoryConfig {
            tenant_id,
            max_memory_mb: 1 << 20,
            priority: TenantPriority::Normal,
            guaranteed_memory_mb: 1 << 10,
            burst_limit_mb: None,
            isolation_level: IsolationLevel::Soft,
        };
        manager.register_tenant(config).await.expect("room for a tenant");
    }
    manager
}

/// On this thread.
pub fn side<'a>(
    plan: &Plan,
    manager: &'a MultiTenantMemoryManager,
    runtimes: &'a Runtimes,
) -> Side<'a> {
    alone(plan, MANAGER, move |times| {
        runtimes.alone.block_on(take_and_give_back(manager, tenants()[0], times));
    })
}

/// In two tasks of a runtime of two threads.
pub fn side_together<'a>(
    plan: &Plan,
    manager: &MultiTenantMemoryManager,
    runtimes: &'a Runtimes,
) -> Side<'a> {
    let manager = manager.clone();
    together_in_tasks(plan, MANAGER_TOGETHER, &runtimes.workers, move |k, times| {
        let manager = manager.clone();
        async move { take_and_give_back(&manager, tenants()[k], times).await }
    })
}

async fn take_and_give_back(manager: &MultiTenantMemoryManager, tenant: TenantId, times: u64) {
    for _ in 0..times {
        let request = MemoryAllocationRequest {
            tenant_id: black_box(tenant),
            requested_memory_mb: black_box(1),
            model_name: "bench".to_string(),
            allocation_type: AllocationType::Cache,
        };
        let answer = manager.request_allocation(request).await.expect("a registered tenant");
        let MemoryAllocationResponse::Granted { allocation_id } = answer else {
            panic!("a MiB within the guarantee was refused");
        };
        let given_back = manager.release_allocation(tenant, black_box(&allocation_id), 1).await;
        given_back.expect("it was allocated");
    }
}
