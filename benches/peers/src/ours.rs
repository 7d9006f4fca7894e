//! Our own side: each verb of the hot path, where the document has a bar for it.

use crate::bare::BYTES;
use crate::rounds::{Plan, Side};
use crate::timing::{alone, each, together};
use allotment::{
    AllocationType, Governor, GovernorConfig, Grant, RateLimit, Request, TenantConfig,
    TenantHandle, TenantId,
};
use std::hint::black_box;

/// Names of the sides that bars ask for.
pub const INSIDE: &str = "request + release inside the guarantee";
/// Beyond the guarantee.
pub const BEYOND: &str = "request + release beyond it, idle claim at hand";
/// With everything on that is off elsewhere.
pub const OBSERVED: &str = "the same with events and rate limit on";
/// Growth inside the guarantee.
pub const GROW_INSIDE: &str = "grow + shrink inside the guarantee";
/// Growth beyond it.
pub const GROW_BEYOND: &str = "grow + shrink beyond it, idle claim at hand";
/// A touch.
pub const TOUCH: &str = "touch";
/// A denial by the tenant's own limit.
pub const DENIED: &str = "denied at the own limit";
/// Two threads on two tenants.
pub const OWN_TENANTS: &str = "request + release, two threads, own tenants";
/// Two threads on one tenant.
pub const ONE_TENANT: &str = "request + release, two threads, one tenant";
/// Two threads on one tenant beyond its guarantee.
pub const ONE_TENANT_BEYOND: &str = "request + release beyond, two threads, one tenant";

const MIB: u64 = 1 << 20;
/// Events kept where they are on.
const EVENTS: u32 = 1 << 16;

/// A tenant without limits.
pub fn tenant(number: u128) -> TenantConfig {
    TenantConfig::new(TenantId::from_u128(number), "bench")
}

/// A governor that may be dropped with live grants, without a word.
pub fn governor(config: GovernorConfig) -> Governor {
    let governor = Governor::new(config).expect("a capacity in range");
    governor.on_leak(|_| ());
    governor
}

/// Registers a tenant that has used 64 MiB before, so that claim is at hand.
fn register(governor: &Governor, config: TenantConfig) -> TenantHandle {
    let handle = governor.register_tenant(config).expect("room for a tenant");
    drop(governor.try_request(&cached(handle, 64 * MIB)).expect("room for 64 MiB"));
    handle
}

/// A request of a cache for so many bytes.
pub fn cached(tenant: TenantHandle, bytes: u64) -> Request {
    Request::new(tenant, AllocationType::Cache, bytes)
}

/// The governors of the hot path.
pub struct Ours {
    plain: Governor,
    observed: Governor,
    inside: [TenantHandle; 2],
    beyond: TenantHandle,
    limited: TenantHandle,
    rated: TenantHandle,
}

impl Ours {
    /// Two governors, plain and with everything on.
    pub fn new() -> Self {
        let config = GovernorConfig::new(1 << 40);
        let with_events = GovernorConfig { events_max: EVENTS, ..config.clone() };
        let (plain, observed) = (governor(config), governor(with_events));
        let guaranteed = |n| TenantConfig { guarantee_bytes: 128 * MIB, ..tenant(n) };
        // More than can be asked for: it is counted, and never refuses.
        let rate = RateLimit::new(1_000_000_000, 1 << 30).expect("a rate in range");
        Self {
            inside: [1, 2].map(|n| register(&plain, guaranteed(n))),
            beyond: register(&plain, tenant(3)),
            limited: register(&plain, TenantConfig { limit_bytes: Some(64 * MIB), ..tenant(4) }),
            rated: register(&observed, TenantConfig { rate: Some(rate), ..tenant(5) }),
            plain,
            observed,
        }
    }

    /// Each verb on this thread.
    pub fn alone(&self, plan: &Plan) -> Vec<Side<'_>> {
        let too_much = cached(self.limited, 65 * MIB);
        let touched = self.held(self.beyond);
        vec![
            self.taking(plan, INSIDE, &self.plain, self.inside[0]),
            self.taking(plan, BEYOND, &self.plain, self.beyond),
            self.taking(plan, OBSERVED, &self.observed, self.rated),
            growing(plan, GROW_INSIDE, self.held(self.inside[0])),
            growing(plan, GROW_BEYOND, self.held(self.beyond)),
            alone(plan, TOUCH, each(move || touched.touch().expect("a live grant"))),
            alone(
                plan,
                DENIED,
                each(move || {
                    let denied = self.plain.try_request(black_box(&too_much));
                    black_box(&denied).as_ref().expect_err("more than its limit");
                }),
            ),
        ]
    }

    /// Request and release on two threads, and on one beside them.
    pub fn together(&self, plan: &Plan) -> Vec<Side<'_>> {
        let two = |name, tenants: [TenantHandle; 2]| {
            let requests = tenants.map(|tenant| cached(tenant, BYTES));
            together(plan, name, 2, move |k, times| {
                (0..times).for_each(|_| take_and_drop(&self.plain, &requests[k]));
            })
        };
        vec![
            self.taking(plan, INSIDE, &self.plain, self.inside[0]),
            two(OWN_TENANTS, self.inside),
            two(ONE_TENANT, [self.inside[0]; 2]),
            two(ONE_TENANT_BEYOND, [self.beyond; 2]),
        ]
    }

    fn taking<'a>(
        &self,
        plan: &Plan,
        name: &str,
        governor: &'a Governor,
        tenant: TenantHandle,
    ) -> Side<'a> {
        let request = cached(tenant, BYTES);
        alone(plan, name, each(move || take_and_drop(governor, &request)))
    }

    fn held(&self, tenant: TenantHandle) -> Grant<'_> {
        self.plain.try_request(&cached(tenant, BYTES)).expect("room for a page")
    }
}

/// The unit of most comparisons: a grant is taken, seen, and dropped.
#[inline]
pub fn take_and_drop(governor: &Governor, request: &Request) {
    let grant = governor.try_request(black_box(request)).expect("room for a page");
    black_box(&grant);
}

fn growing<'a>(plan: &Plan, name: &str, grant: Grant<'a>) -> Side<'a> {
    alone(
        plan,
        name,
        each(move || {
            black_box(&grant).grow(black_box(BYTES)).expect("room for a page");
            black_box(&grant).shrink(black_box(BYTES)).expect("it has grown");
        }),
    )
}
