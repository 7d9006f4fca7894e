//! Many tenants in random order: what the caches of the machine no longer hold has to be fetched.

use crate::bare::BYTES;
use crate::ours::{cached, governor, take_and_drop, tenant};
use crate::random::Random;
use crate::rounds::{Plan, Side};
use crate::timing::alone;
use allotment::{Governor, GovernorConfig, TenantConfig, TenantHandle};

/// As many as fit anywhere.
pub const FEW: &str = "request + release, 16 tenants at random";
/// More than fit into the caches of a core.
pub const MANY: &str = "request + release, 100,000 tenants at random";

const FEW_TENANTS: usize = 16;
const MANY_TENANTS: usize = 100_000;
/// The order repeats after so many requests; they are read one after the other.
const ORDER: usize = 1 << 18;
const GUARANTEE_BYTES: u64 = 16 * BYTES;

/// A governor with many tenants, each with a guarantee and its first grant behind it.
pub struct Crowd {
    governor: Governor,
    few: Vec<TenantHandle>,
    many: Vec<TenantHandle>,
}

impl Crowd {
    /// Registers them all.
    pub fn new() -> Self {
        let config = GovernorConfig {
            tenants_max: MANY_TENANTS as u32,
            // A segment of grants for each tenant.
            grants_max: 8_000_000,
            ..GovernorConfig::new(1 << 40)
        };
        let governor = governor(config);
        let many: Vec<TenantHandle> = (1..=MANY_TENANTS as u128)
            .map(|n| {
                let config = TenantConfig { guarantee_bytes: GUARANTEE_BYTES, ..tenant(n) };
                let handle = governor.register_tenant(config).expect("room for a tenant");
                take_and_drop(&governor, &cached(handle, BYTES));
                handle
            })
            .collect();
        let mut random = Random::default();
        let order = |among: usize, random: &mut Random| {
            (0..ORDER).map(|_| many[random.below(among)]).collect::<Vec<_>>()
        };
        let few = order(FEW_TENANTS, &mut random);
        let many = order(MANY_TENANTS, &mut random);
        Self { governor, few, many }
    }

    /// Few and many.
    pub fn sides(&self, plan: &Plan) -> Vec<Side<'_>> {
        vec![self.side(plan, FEW, &self.few), self.side(plan, MANY, &self.many)]
    }

    fn side<'a>(&'a self, plan: &Plan, name: &str, order: &'a [TenantHandle]) -> Side<'a> {
        let mut turns = order.iter().cycle();
        alone(plan, name, move |times| {
            for tenant in turns.by_ref().take(times as usize) {
                take_and_drop(&self.governor, &cached(*tenant, BYTES));
            }
        })
    }
}
