//! What a request and its release cost below 0 to 3 groups: within the tenant's claim, and when
//! every level has to buy of the one above it.
//!
//! `cargo bench --bench hierarchy`

mod bare_pair;
mod buying;

use allotment::*;
use bare_pair::settings;
use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;

const MIB: u64 = 1 << 20;
const PAGE: u64 = 4_096;

/// A tenant at this depth: 1 is right below the pool.
fn tenant_at(depth: u32, governor: &Governor) -> TenantHandle {
    let mut parent = None;
    for level in 1..depth {
        let config = GroupConfig { parent, ..GroupConfig::new(format!("{level} of {depth}")) };
        parent = Some(governor.register_group(config).expect("room for a group"));
    }
    let id = TenantId::from_u128(depth.into());
    let config = TenantConfig { parent, ..TenantConfig::new(id, "bench") };
    governor.register_tenant(config).expect("room for a tenant")
}

fn hierarchy(criterion: &mut Criterion) {
    let mut group = bare_pair::group(criterion, "hierarchy");
    let governor = Governor::new(GovernorConfig::new(1 << 40)).expect("a capacity in range");
    for depth in 1..=4 {
        let of = tenant_at(depth, &governor);
        let ask = |bytes| Request::new(of, AllocationType::Cache, bytes);
        drop(governor.try_request(&ask(64 * MIB)).expect("room in the pool"));
        let (request, unclaimed) = (ask(PAGE), governor.unclaimed_bytes());
        group.bench_function(format!("depth {depth}, claim at hand"), |b| {
            b.iter(|| drop(governor.try_request(black_box(&request))));
        });
        assert_eq!(governor.unclaimed_bytes(), unclaimed, "nothing had to be bought");
        let denied = governor.usage(of).expect("a tenant").denied;
        assert_eq!(denied, 0, "every request was granted");
    }
    for depth in 1..=4 {
        let governor = buying::governor(0);
        let of = tenant_at(depth, &governor);
        group.bench_function(format!("depth {depth}, bought each time"), |b| {
            b.iter_custom(|pairs| buying::pairs(&governor, of, pairs));
        });
    }
    group.finish();
}

criterion_group! { name = benches; config = settings(); targets = hierarchy }
criterion_main!(benches);
