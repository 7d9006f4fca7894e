//! A cache of KV blocks that owns real buffers, within the memory of a process that others share.
//!
//! ```sh
//! cargo run --example kv_cache
//! ```
//!
//! Shows how memory and its accounting stay one: a buffer exists exactly as long as its allocation.
//! The cache asks before it allocates, says what was used (`touch_allocation`), and drops a buffer
//! when it is asked to (`on_evict`), before its bytes are given to somebody else. Halfway a model
//! is loaded beside it and takes half of the memory: the cache gives way, and its hit ratio falls.

use allotment::*;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const POOL_MB: u64 = 16;
const BLOCK_BYTES: u64 = 64 << 10;
const KEYS: u64 = 1_000;
const READS: u64 = 20_000;

/// A block that is there.
struct Block {
    allocation_id: String,
    buffer: Vec<u8>,
}

/// Blocks by key, and keys by allocation.
#[derive(Default)]
struct Blocks {
    by_key: HashMap<u64, Block>,
    keys: HashMap<String, u64>,
}

/// The cache of one tenant.
struct KvCache {
    manager: MultiTenantMemoryManager,
    tenant: TenantId,
    blocks: Arc<Mutex<Blocks>>,
    hits: u64,
    reads: u64,
}

fn lock(blocks: &Mutex<Blocks>) -> MutexGuard<'_, Blocks> {
    blocks.lock().unwrap_or_else(PoisonError::into_inner)
}

impl KvCache {
    fn new(manager: MultiTenantMemoryManager, tenant: TenantId) -> Self {
        let blocks = Arc::new(Mutex::new(Blocks::default()));
        let asked = blocks.clone();
        manager.on_evict(move |evicted| {
            let mut blocks = lock(&asked);
            match blocks.keys.remove(&evicted.allocation_id) {
                // The buffer is dropped here, so its memory is free when this answers.
                Some(key) => drop(blocks.by_key.remove(&key)),
                // Not this cache's: keep it.
                None => return ReclaimAnswer::Busy,
            }
            ReclaimAnswer::Freed
        });
        Self { manager, tenant, blocks, hits: 0, reads: 0 }
    }

    /// Reads a block: from the cache, or computed anew and kept if there is room.
    async fn read(&mut self, key: u64) -> Result<u8, MemoryError> {
        self.reads += 1;
        let cached = {
            let blocks = lock(&self.blocks);
            let found = blocks.by_key.get(&key);
            found.map(|block| (block.allocation_id.clone(), block.buffer[0]))
        };
        if let Some((allocation_id, value)) = cached {
            self.hits += 1;
            // One that was evicted since then was read just in time.
            let _ = self.manager.touch_allocation(self.tenant, &allocation_id).await;
            return Ok(value);
        }
        let value = (key % 251) as u8;
        self.keep(key, value).await?;
        Ok(value)
    }

    /// Asks first, and allocates when it may. Nothing of the cache is locked while it asks: what
    /// has to go for the new block is asked for meanwhile.
    async fn keep(&self, key: u64, value: u8) -> Result<(), MemoryError> {
        let name = format!("block {key}");
        let kind = AllocationType::Cache;
        let answer = self.manager.request_allocation_bytes(self.tenant, BLOCK_BYTES, &name, kind);
        if let MemoryAllocationResponse::Granted { allocation_id } = answer.await? {
            let buffer = vec![value; BLOCK_BYTES as usize];
            let mut blocks = lock(&self.blocks);
            blocks.keys.insert(allocation_id.clone(), key);
            blocks.by_key.insert(key, Block { allocation_id, buffer });
        }
        Ok(())
    }

    /// Bytes of all buffers, counted one by one.
    fn buffer_bytes(&self) -> u64 {
        lock(&self.blocks).by_key.values().map(|block| block.buffer.len() as u64).sum()
    }

    async fn clear(&self) -> Result<(), MemoryError> {
        let blocks = std::mem::take(&mut *lock(&self.blocks));
        for (_, Block { allocation_id, buffer }) in blocks.by_key {
            drop(buffer);
            let (tenant, manager) = (self.tenant, &self.manager);
            manager.release_allocation_bytes(tenant, &allocation_id, BLOCK_BYTES).await?;
        }
        Ok(())
    }
}

/// Keys of which few are read often, the same in every run.
fn next_key(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    let uniform = (*state >> 11) as f64 / (1u64 << 53) as f64;
    (uniform.powi(4) * KEYS as f64) as u64
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), MemoryError> {
    // The whole purpose of the pool is to be full: that is no pressure.
    let options = ManagerOptions::default().governor(|governor| governor.pool_pressure = false);
    let memory = MemoryConfig {
        max_memory_mb: POOL_MB,
        enable_monitoring: false,
        monitoring_interval_secs: 10,
        enable_memory_balancing: false,
        balancing_interval_secs: 30,
        enable_compression: false,
        compression_threshold_mb: 1,
    };
    let manager = MultiTenantMemoryManager::try_new_with(memory, options)?;
    let (cache, models) = (TenantId::from_u128(1), TenantId::from_u128(2));
    for (tenant_id, priority) in [(cache, TenantPriority::Low), (models, TenantPriority::High)] {
        let config = TenantMemoryConfig {
            tenant_id,
            max_memory_mb: POOL_MB,
            priority,
            guaranteed_memory_mb: 0,
            burst_limit_mb: None,
            isolation_level: IsolationLevel::Hard,
        };
        manager.register_tenant(config).await?;
    }
    let mut kv = KvCache::new(manager.clone(), cache);
    let mut state = 42;
    let mut ratios = Vec::new();
    for phase in ["alone", "beside a model"] {
        (kv.hits, kv.reads) = (0, 0);
        for _ in 0..READS / 2 {
            let key = next_key(&mut state);
            assert_eq!(kv.read(key).await?, (key % 251) as u8);
        }
        let (held, ratio) = (kv.buffer_bytes(), kv.hits as f64 / kv.reads as f64);
        let allocated = manager.get_tenant_usage(cache).await?.allocated_memory_bytes;
        assert_eq!(allocated, held, "what is counted is what is there");
        println!("{phase:<15} {:>6} KiB of blocks  hit ratio {ratio:.3}", held >> 10);
        ratios.push(ratio);
        if phase == "alone" {
            let weights = MemoryAllocationRequest {
                tenant_id: models,
                requested_memory_mb: POOL_MB / 2,
                model_name: "weights".to_string(),
                allocation_type: AllocationType::ModelLoad,
            };
            let loaded = manager.request_allocation(weights).await?;
            assert!(matches!(loaded, MemoryAllocationResponse::Granted { .. }), "{loaded:?}");
            assert!(kv.buffer_bytes() <= (POOL_MB / 2) << 20, "the cache gave way at once");
        }
    }
    assert!(ratios[0] > ratios[1], "less memory, fewer hits");
    kv.clear().await?;
    assert_eq!(manager.get_tenant_usage(cache).await?.allocated_memory_bytes, 0);
    manager.unregister_tenant(cache).await
}
