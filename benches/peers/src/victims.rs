//! A cache that is full: each request evicts exactly one grant, among few or among many.

use crate::bare::BYTES;
use crate::ours::{cached, governor, tenant};
use crate::rounds::{Plan, Side};
use crate::timing::alone;
use allotment::{
    Governor, GovernorConfig, GrantId, Policy, ReclaimAnswer, TenantConfig, TenantHandle,
};
use std::hint::black_box;

/// Among as few as a small cache has.
pub const AMONG_FEW: &str = "request that evicts one of 1,000 grants (hybrid)";
/// Among as many as a large one has.
pub const AMONG_MANY: &str = "request that evicts one of 1,000,000 grants (hybrid)";

const SIZES: [(u64, Policy, &str); 4] = [
    (1_000, Policy::Hybrid, AMONG_FEW),
    (1_000_000, Policy::Hybrid, AMONG_MANY),
    (1_000, Policy::Lru, "request that evicts one of 1,000 grants (lru)"),
    (1_000_000, Policy::Lru, "request that evicts one of 1,000,000 grants (lru)"),
];

/// One full cache for each size and policy.
pub struct Caches(Vec<Full>);

struct Full {
    name: &'static str,
    governor: Governor,
    tenant: TenantHandle,
}

impl Caches {
    /// Fills them all.
    pub fn new() -> Self {
        Self(SIZES.map(|(grants, policy, name)| Full::new(grants, policy, name)).into())
    }

    /// Requests that find them full.
    pub fn sides(&self, plan: &Plan) -> Vec<Side<'_>> {
        let evicting = |full| {
            let mut number = 0;
            alone(plan, Full::name(full), move |times| {
                for _ in 0..times {
                    number += 1;
                    black_box(full.put(number));
                }
            })
        };
        self.0.iter().map(evicting).collect()
    }

    /// Evictions for each request of a side, so that nobody has to believe it.
    pub fn evicted_per_request(&self) -> Vec<f64> {
        self.0.iter().map(Full::evicted_per_request).collect()
    }
}

impl Full {
    fn new(grants: u64, policy: Policy, name: &'static str) -> Self {
        let config = GovernorConfig {
            // Segments are taken whole, and some are part empty for a while.
            grants_max: (2 * grants + 4_096) as u32,
            pool_pressure: false,
            ..GovernorConfig::new(1 << 40)
        };
        let governor = governor(config);
        governor.on_reclaim(|victim| {
            black_box(victim.cookie);
            ReclaimAnswer::Freed
        });
        let limit_bytes = Some(grants * BYTES);
        let config = TenantConfig { limit_bytes, policy, ..tenant(1) };
        let tenant = governor.register_tenant(config).expect("room for a tenant");
        let full = Self { name, governor, tenant };
        // The first ones find room, the others evict as many again.
        for number in 0..2 * grants {
            full.put(number);
        }
        full
    }

    fn name(&self) -> &'static str {
        self.name
    }

    #[inline]
    fn put(&self, number: u64) -> GrantId {
        let block = cached(self.tenant, BYTES).key(number + 1).cookie(number);
        self.governor.request(black_box(&block)).expect("one that may go").into_id()
    }

    fn evicted_per_request(&self) -> f64 {
        let usage = self.governor.usage(self.tenant).expect("a registered tenant");
        let held = usage.used_bytes / BYTES;
        usage.evicted as f64 / (usage.granted - held) as f64
    }
}
