//! A host of models that loads each of them whole or not at all.
//!
//! ```sh
//! cargo run --example model_host
//! ```
//!
//! A model needs weights, a KV cache and scratch space, and two of the three are of no use. The
//! host asks for all of them in one batch (`request_allocations`): all are granted, or none, so two
//! hosts that load at the same time can never each hold what the other one needs. Where there is no
//! room it unloads the model that was used longest ago and asks again. A few hundred requests for
//! models are served by eight tasks at once; at the end nothing is left.

use allotment::*;
use std::sync::Arc;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

const HOST: TenantId = TenantId::from_u128(1);
const POOL_MB: u64 = 24 * 1_024;
const TASKS: u64 = 8;
const REQUESTS: u64 = 50;

/// A model on disk: its name, and what it needs in MiB.
struct Model {
    name: &'static str,
    weights_mb: u64,
    kv_mb: u64,
    scratch_mb: u64,
}

const MODELS: [Model; 5] = [
    Model { name: "llama-8b", weights_mb: 5_120, kv_mb: 1_024, scratch_mb: 256 },
    Model { name: "mistral-7b", weights_mb: 4_480, kv_mb: 1_024, scratch_mb: 256 },
    Model { name: "coder-14b", weights_mb: 9_216, kv_mb: 2_048, scratch_mb: 512 },
    Model { name: "embed-small", weights_mb: 640, kv_mb: 64, scratch_mb: 64 },
    Model { name: "vision-11b", weights_mb: 7_680, kv_mb: 1_536, scratch_mb: 512 },
];

impl Model {
    fn parts(&self) -> [(u64, AllocationType); 3] {
        [
            (self.weights_mb, AllocationType::ModelLoad),
            (self.kv_mb, AllocationType::Cache),
            (self.scratch_mb, AllocationType::Inference),
        ]
    }

    fn requests(&self) -> Vec<MemoryAllocationRequest> {
        let request = |(requested_memory_mb, allocation_type)| MemoryAllocationRequest {
            tenant_id: HOST,
            requested_memory_mb,
            model_name: self.name.to_string(),
            allocation_type,
        };
        self.parts().map(request).to_vec()
    }
}

/// A model in memory; the one used last stands last.
struct Loaded {
    model: &'static Model,
    allocation_ids: Vec<String>,
}

/// What the host has loaded, and counts.
#[derive(Default)]
struct Shelf {
    loaded: Vec<Loaded>,
    served: u64,
    loads: u64,
    unloads: u64,
}

struct Host {
    manager: MultiTenantMemoryManager,
    shelf: Mutex<Shelf>,
}

impl Host {
    /// Answers one request with `model`, which is loaded first if it has to be.
    async fn serve(&self, model: &'static Model) -> Result<(), MemoryError> {
        // One at a time loads or unloads. A real host would let the model run outside of this.
        let mut shelf = self.shelf.lock().await;
        if let Some(at) = shelf.loaded.iter().position(|loaded| loaded.model.name == model.name) {
            let used = shelf.loaded.remove(at);
            shelf.loaded.push(used);
        } else {
            self.load(&mut shelf, model).await?;
        }
        shelf.served += 1;
        Ok(())
    }

    async fn load(&self, shelf: &mut Shelf, model: &'static Model) -> Result<(), MemoryError> {
        loop {
            match self.manager.request_allocations(model.requests()).await? {
                MemoryBatchResponse::Granted { allocation_ids } => {
                    shelf.loads += 1;
                    shelf.loaded.push(Loaded { model, allocation_ids });
                    return Ok(());
                }
                MemoryBatchResponse::Denied { reason, .. } => {
                    if shelf.unloads == 0 {
                        println!("no room for {}: {reason}", model.name);
                    }
                    assert!(!shelf.loaded.is_empty(), "an empty host has room for any of them");
                    let oldest = shelf.loaded.remove(0);
                    self.unload(oldest).await?;
                    shelf.unloads += 1;
                }
                other => unreachable!("a batch is granted or denied: {other:?}"),
            }
        }
    }

    async fn unload(&self, Loaded { model, allocation_ids }: Loaded) -> Result<(), MemoryError> {
        for (allocation_id, (mb, _)) in allocation_ids.iter().zip(model.parts()) {
            self.manager.release_allocation(HOST, allocation_id, mb).await?;
        }
        Ok(())
    }
}

async fn open() -> Result<Host, MemoryError> {
    // A host keeps as many models as fit: a full pool is no pressure.
    let options = ManagerOptions::default().governor(|governor| governor.pool_pressure = false);
    let memory = MemoryConfig {
        max_memory_mb: POOL_MB,
        enable_monitoring: false,
        monitoring_interval_secs: 10,
        enable_memory_balancing: false,
        balancing_interval_secs: 30,
        enable_compression: false,
        compression_threshold_mb: 64,
    };
    let manager = MultiTenantMemoryManager::try_new_with(memory, options)?;
    let host = TenantMemoryConfig {
        tenant_id: HOST,
        max_memory_mb: POOL_MB,
        priority: TenantPriority::Normal,
        guaranteed_memory_mb: 0,
        burst_limit_mb: None,
        isolation_level: IsolationLevel::Hard,
    };
    manager.register_tenant(host).await?;
    manager.set_tenant_name(HOST, "host").await?;
    Ok(Host { manager, shelf: Mutex::default() })
}

#[tokio::main]
async fn main() -> Result<(), MemoryError> {
    let host = Arc::new(open().await?);
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let host = host.clone();
        tasks.spawn(async move {
            for n in 0..REQUESTS {
                let which = (task * 3 + n * n) % MODELS.len() as u64;
                host.serve(&MODELS[which as usize]).await?;
            }
            Ok::<(), MemoryError>(())
        });
    }
    while let Some(finished) = tasks.join_next().await {
        finished.expect("no task panics")?;
    }
    let mut shelf = host.shelf.lock().await;
    let usage = host.manager.get_tenant_usage(HOST).await?;
    let needed: u64 =
        shelf.loaded.iter().flat_map(|loaded| loaded.model.parts()).map(|(mb, _)| mb).sum();
    assert_eq!(usage.allocated_memory_mb, needed, "whole models, and nothing else");
    assert!(usage.peak_memory_bytes <= POOL_MB << 20);
    println!("in memory: {needed} MiB of {POOL_MB}");
    for model in &usage.models {
        println!("  {:<12} {:>6} MiB", model.model_name, model.bytes >> 20);
    }
    let Shelf { served, loads, unloads, .. } = *shelf;
    println!("{served} requests, {loads} loads, {unloads} unloads");
    assert_eq!(served, TASKS * REQUESTS);
    assert_eq!(loads - unloads, shelf.loaded.len() as u64);
    for loaded in std::mem::take(&mut shelf.loaded) {
        host.unload(loaded).await?;
    }
    assert_eq!(host.manager.get_tenant_usage(HOST).await?.allocated_memory_bytes, 0);
    host.manager.unregister_tenant(HOST).await
}
