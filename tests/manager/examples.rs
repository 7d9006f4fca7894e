//! The documented examples, in their own words.

use super::*;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use uuid::Uuid;

/// What an application makes of the errors it meets.
#[derive(Debug, thiserror::Error)]
enum CouncilError {
    #[error("no memory for a judge")]
    ResourceExhausted,
    #[error(transparent)]
    Memory(#[from] MemoryError),
}

#[test]
fn documented_registration_allocation_release_and_dashboard() -> Result<(), MemoryError> {
    let memory_config = MemoryConfig {
        max_memory_mb: 8192,
        enable_monitoring: true,
        monitoring_interval_secs: 10,
        enable_memory_balancing: true,
        balancing_interval_secs: 30,
        enable_compression: false,
        compression_threshold_mb: 100,
    };
    now(async {
        let manager = MultiTenantMemoryManager::new(memory_config);

        // Register a production tenant
        let tenant_config = TenantMemoryConfig {
            tenant_id: Uuid::new_v4(),
            max_memory_mb: 512,
            priority: TenantPriority::High,
            guaranteed_memory_mb: 128,
            burst_limit_mb: Some(1024),
            isolation_level: IsolationLevel::Soft,
        };
        let config = tenant_config.clone();
        let tenant_id = config.tenant_id;

        manager.register_tenant(tenant_config).await?;

        // Request memory for model loading
        let request = MemoryAllocationRequest {
            tenant_id,
            requested_memory_mb: 256,
            model_name: "llama-7b".to_string(),
            allocation_type: AllocationType::ModelLoad,
        };

        let mut held = None;
        match manager.request_allocation(request).await? {
            MemoryAllocationResponse::Granted { allocation_id } => {
                println!("Allocation granted: {}", allocation_id);
                held = Some(allocation_id);
            }
            MemoryAllocationResponse::Denied { reason, available_memory_mb } => {
                println!("Allocation denied: {} (available: {} MB)", reason, available_memory_mb);
            }
            MemoryAllocationResponse::Queued { estimated_wait_time_secs } => {
                println!("Queued for {} seconds", estimated_wait_time_secs);
            }
        }
        let allocation_id = held.expect("there is room");

        show(&manager, tenant_id, &config).await?;

        // Trigger manual balancing
        manager.balance_memory().await?;

        // Release allocated memory
        manager.release_allocation(tenant_id, &allocation_id, 256).await?;
        assert_eq!(manager.get_tenant_usage(tenant_id).await?.allocated_memory_mb, 0);
        manager.unregister_tenant(tenant_id).await?;
        Ok(())
    })
}

async fn show(
    manager: &Manager,
    tenant_id: TenantId,
    config: &TenantMemoryConfig,
) -> Result<(), MemoryError> {
    // Check tenant status
    let usage = manager.get_tenant_usage(tenant_id).await?;
    println!("Allocated: {} MB, Max: {} MB", usage.allocated_memory_mb, config.max_memory_mb);
    assert_eq!(usage.allocated_memory_mb, 256);

    // Get comprehensive tenant dashboard
    let dashboard = manager.get_tenant_dashboard().await?;

    println!("Total tenants: {}", dashboard.summary.total_tenants);
    println!("Critical tenants: {}", dashboard.summary.critical_tenants);
    println!("Memory efficiency: {}%", dashboard.summary.memory_efficiency);
    println!("Global pressure: {:?}", dashboard.global_memory_status.memory_pressure);

    // Analyze individual tenants
    for tenant in &dashboard.tenant_summaries {
        println!(
            "Tenant {}: {}% utilization, priority: {:?}",
            tenant.name, tenant.utilization_percentage, tenant.priority
        );
    }
    for tenant in dashboard.tenant_summaries {
        if tenant.memory_pressure == MemoryPressure::Critical {
            println!(
                "Critical tenant: {} ({}% utilization)",
                tenant.name, tenant.utilization_percentage
            );
        }
    }
    Ok(())
}

#[test]
fn documented_council_loads_its_judges_in_turn() -> Result<(), CouncilError> {
    let manager = manager(1024);
    let council_tenant_id = named(&manager, 1, "council", 600);
    for judge_type in ["constitutional", "technical", "quality", "integration"] {
        now(async {
            // Council requests memory for a judge
            let request = MemoryAllocationRequest {
                tenant_id: council_tenant_id,
                requested_memory_mb: 512,
                model_name: format!("judge-{}-model", judge_type),
                allocation_type: AllocationType::ModelLoad,
            };

            let allocation_id = match manager.request_allocation(request).await? {
                MemoryAllocationResponse::Granted { allocation_id } => allocation_id,
                _ => return Err(CouncilError::ResourceExhausted),
            };

            // Two judges at once are too many, and the first one stays.
            let second = request_judge(&manager, council_tenant_id).await;
            assert!(matches!(second, Err(CouncilError::ResourceExhausted)));

            // Release when done
            manager.release_allocation(council_tenant_id, &allocation_id, 512).await?;
            Ok(())
        })?;
    }
    assert_eq!(allocated_mb(&manager, council_tenant_id), 0);
    Ok(())
}

async fn request_judge(manager: &Manager, tenant_id: TenantId) -> Result<String, CouncilError> {
    let request = request(tenant_id, 512, "judge-second-model", AllocationType::ModelLoad);
    match manager.request_allocation(request).await? {
        MemoryAllocationResponse::Granted { allocation_id } => Ok(allocation_id),
        _ => Err(CouncilError::ResourceExhausted),
    }
}

type TaskId = u64;

// Orchestrator manages task-specific allocations
struct TaskMemoryManager {
    memory_manager: Arc<MultiTenantMemoryManager>,
    orchestrator_tenant_id: TenantId,
    task_allocations: Mutex<HashMap<TaskId, String>>, // task -> allocation_id
}

impl TaskMemoryManager {
    async fn allocate_for_task(&self, task_id: TaskId, memory_mb: u64) -> Result<(), String> {
        let request = MemoryAllocationRequest {
            tenant_id: self.orchestrator_tenant_id,
            requested_memory_mb: memory_mb,
            model_name: format!("task-{}", task_id),
            allocation_type: AllocationType::Inference,
        };
        let answer = self.memory_manager.request_allocation(request).await;

        match answer.map_err(|error| error.to_string())? {
            MemoryAllocationResponse::Granted { allocation_id } => {
                self.task_allocations.lock().unwrap().insert(task_id, allocation_id);
                Ok(())
            }
            MemoryAllocationResponse::Denied { reason, .. } => {
                Err(format!("Task allocation failed: {}", reason))
            }
            MemoryAllocationResponse::Queued { estimated_wait_time_secs } => {
                Err(format!("again in {estimated_wait_time_secs} s"))
            }
        }
    }

    async fn finish_task(&self, task_id: TaskId, memory_mb: u64) -> Result<(), MemoryError> {
        let allocation_id = self.task_allocations.lock().unwrap().remove(&task_id).unwrap();
        let tenant_id = self.orchestrator_tenant_id;
        self.memory_manager.release_allocation(tenant_id, &allocation_id, memory_mb).await?;
        Ok(())
    }
}

#[test]
fn documented_orchestrator_shares_a_manager_among_tasks() {
    let memory_manager = Arc::new(manager(64));
    let orchestrator = Arc::new(TaskMemoryManager {
        orchestrator_tenant_id: named(&memory_manager, 1, "orchestrator", 64),
        memory_manager: memory_manager.clone(),
        task_allocations: Mutex::default(),
    });
    let finished: usize = std::thread::scope(|scope| {
        let tasks: Vec<_> = (0..4)
            .map(|thread| {
                let orchestrator = orchestrator.clone();
                scope.spawn(move || {
                    let mut finished = 0;
                    for task in (0..200).map(|n| thread * 1_000 + n) {
                        if now(orchestrator.allocate_for_task(task, 10)).is_ok() {
                            now(orchestrator.finish_task(task, 10)).unwrap();
                            finished += 1;
                        }
                    }
                    finished
                })
            })
            .collect();
        tasks.into_iter().map(|task| task.join().unwrap()).sum()
    });
    // Four tasks of 10 MiB always fit into 64.
    assert_eq!(finished, 800);
    assert_eq!(allocated_mb(&memory_manager, id(1)), 0);
    assert!(orchestrator.task_allocations.lock().unwrap().is_empty());
}

#[test]
fn the_manager_is_cheap_to_share_and_its_futures_travel() {
    fn is_shared<T: Clone + Send + Sync + 'static>(_: &T) {}
    fn travels<T: Send>(_: &T) {}
    let manager = manager(10);
    is_shared(&manager);
    let one = named(&manager, 1, "chat", 10);
    let request = manager.request_allocation(request(one, 1, "m", AllocationType::Cache));
    travels(&request);
    travels(&manager.get_tenant_dashboard());
    travels(&manager.drain_tenant(one));
    drop(now(request));
    let clone = manager.clone();
    assert_eq!(allocated_mb(&clone, one), 1, "a clone is the same manager");
    assert_eq!(size_of::<Manager>(), 2 * size_of::<usize>());
}
