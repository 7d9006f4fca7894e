//! The plain form of a comfortable facade: an asynchronous lock around maps, tenants and
//! allocations by UUID, the allocation's as a string.

use crate::bare::BYTES;
use crate::rounds::{Plan, Side};
use crate::tasks::{Runtimes, together_in_tasks};
use crate::timing::alone;
use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;
use tokio::sync::RwLock;
use uuid::Uuid;

/// On one thread.
pub const FACADE: &str = "plain facade: request + release";
/// On two threads, each its own tenant.
pub const FACADE_TOGETHER: &str = "plain facade: request + release, two threads";

/// Lets tenants share a capacity, each up to its limit.
pub struct PlainFacade {
    tenants: RwLock<HashMap<Uuid, Tenant>>,
}

struct Tenant {
    used_bytes: u64,
    limit_bytes: u64,
    allocations: HashMap<String, u64>,
}

impl PlainFacade {
    /// A facade of such tenants.
    pub fn new(limit_bytes: u64, tenants: &[Uuid]) -> Self {
        let tenant = || Tenant { used_bytes: 0, limit_bytes, allocations: HashMap::new() };
        let tenants = tenants.iter().map(|id| (*id, tenant())).collect();
        Self { tenants: RwLock::new(tenants) }
    }

    /// Allocates `bytes`, or not.
    pub async fn request_allocation(&self, tenant: Uuid, bytes: u64) -> Option<String> {
        let mut tenants = self.tenants.write().await;
        let tenant = tenants.get_mut(&tenant)?;
        if tenant.used_bytes + bytes > tenant.limit_bytes {
            return None;
        }
        tenant.used_bytes += bytes;
        let id = Uuid::new_v4().to_string();
        tenant.allocations.insert(id.clone(), bytes);
        Some(id)
    }

    /// Gives an allocation back; says whether there was one.
    pub async fn release_allocation(&self, tenant: Uuid, allocation: &str) -> bool {
        let mut tenants = self.tenants.write().await;
        let Some(tenant) = tenants.get_mut(&tenant) else { return false };
        let Some(bytes) = tenant.allocations.remove(allocation) else { return false };
        tenant.used_bytes -= bytes;
        true
    }

    async fn take_and_give_back(&self, tenant: Uuid, times: u64) {
        for _ in 0..times {
            let id = self.request_allocation(black_box(tenant), black_box(BYTES)).await;
            let id = id.expect("room for a page");
            assert!(self.release_allocation(tenant, black_box(&id)).await, "it was allocated");
        }
    }
}

/// The tenants of the two threads.
pub fn tenants() -> [Uuid; 2] {
    [1, 2].map(Uuid::from_u128)
}

/// On this thread.
pub fn side<'a>(plan: &Plan, facade: &'a PlainFacade, runtimes: &'a Runtimes) -> Side<'a> {
    let [tenant, _] = tenants();
    alone(plan, FACADE, move |times| {
        runtimes.alone.block_on(facade.take_and_give_back(tenant, times));
    })
}

/// In two tasks of a runtime of two threads.
pub fn side_together<'a>(
    plan: &Plan,
    facade: Arc<PlainFacade>,
    runtimes: &'a Runtimes,
) -> Side<'a> {
    together_in_tasks(plan, FACADE_TOGETHER, &runtimes.workers, move |k, times| {
        let facade = facade.clone();
        async move { facade.take_and_give_back(tenants()[k], times).await }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts() {
        let [tenant, other] = tenants();
        let facade = PlainFacade::new(10, &[tenant]);
        Runtimes::new().alone.block_on(async {
            let id = facade.request_allocation(tenant, 10).await.unwrap();
            assert_eq!(facade.request_allocation(tenant, 1).await, None);
            assert_eq!(facade.request_allocation(other, 1).await, None);
            assert!(facade.release_allocation(tenant, &id).await);
            assert!(!facade.release_allocation(tenant, &id).await);
        });
    }
}
