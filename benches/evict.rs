//! What a request costs that evicts exactly one victim, among a hundred to a million grants, with
//! each policy.
//!
//! `cargo bench --bench evict`
//!
//! The pool is full of grants of one tenant, so each further request takes the place of one of
//! them; its owner frees it as soon as it is asked.

mod bare_pair;

use allotment::*;
use bare_pair::settings;
use criterion::{Criterion, criterion_group, criterion_main};
use std::cell::OnceCell;
use std::hint::black_box;
use std::time::Duration;

const PAGE: u64 = 4_096;

struct Stage {
    governor: Governor,
    of: TenantHandle,
    request: Request,
}

/// A request that is as large as four of these.
fn quarters(of: TenantHandle, policy: Policy, quarters: u64) -> Request {
    let request = Request::new(of, AllocationType::Cache, PAGE * quarters / 4);
    if policy == Policy::Ttl { request.ttl(Duration::from_secs(1 << 20)) } else { request }
}

impl Stage {
    /// A pool that is full with so many grants.
    fn new(policy: Policy, grants: u64) -> Self {
        // Where size decides, one in four is as large as what is requested later, so that one is
        // enough.
        let sizes = if policy == Policy::Size { [1, 2, 3, 4] } else { [4; 4] };
        let config = GovernorConfig {
            grants_max: 1 << 21,
            // The pool is full on purpose.
            pool_pressure: false,
            ..GovernorConfig::new(sizes.iter().sum::<u64>() * PAGE / 4 * grants / 4)
        };
        let governor = Governor::new(config).expect("a configuration in range");
        let config = TenantConfig::new(TenantId::from_u128(1), "bench");
        let of = governor.register_tenant(TenantConfig { policy, ..config });
        let of = of.expect("room for a tenant");
        for number in 0..grants {
            let request = quarters(of, policy, sizes[number as usize % 4]);
            let id = governor.try_request(&request).expect("room in the pool").into_id();
            // Some are used more often than others.
            (0..number % 3).for_each(|_| governor.touch(of, id).expect("a live grant"));
        }
        let used = governor.pool_meter();
        assert_eq!(used.live_bytes, used.capacity_bytes, "the pool is full");
        governor.on_reclaim(|_| ReclaimAnswer::Freed);
        governor.on_leak(|_| {});
        Self { governor, of, request: quarters(of, policy, 4) }
    }

    /// Requests granted, and grants evicted, so far.
    fn counts(&self) -> (u64, u64) {
        let seen = self.governor.usage(self.of).expect("a tenant");
        (seen.granted, seen.evicted)
    }
}

fn evict(criterion: &mut Criterion) {
    let mut group = bare_pair::group(criterion, "evict");
    let sizes = ["100", "1,000", "10,000", "100,000", "1,000,000"];
    for policy in Policy::ALL {
        for (grants, named) in (2..).map(|power| 10_u64.pow(power)).zip(sizes) {
            let stage = OnceCell::new();
            group.bench_function(format!("{policy}, one of {named}"), |b| {
                let stage = stage.get_or_init(|| Stage::new(policy, grants));
                let before = stage.counts();
                b.iter(|| {
                    let granted = stage.governor.request(black_box(&stage.request));
                    granted.expect("a victim makes room").into_id()
                });
                let after = stage.counts();
                assert_eq!(after.1 - before.1, after.0 - before.0, "one victim for each request");
            });
        }
    }
    group.finish();
}

criterion_group! { name = benches; config = settings(); targets = evict }
criterion_main!(benches);
