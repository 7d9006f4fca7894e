//! How long it takes to read all the numbers of 10, 1,000 and 10,000 tenants.
//!
//! `cargo bench --bench snapshot`

mod bare_pair;

use allotment::*;
use bare_pair::settings;
use criterion::{Criterion, criterion_group, criterion_main};
use std::cell::OnceCell;
use std::hint::black_box;

const PAGE: u64 = 4_096;

/// A governor with so many tenants that hold a grant each.
fn governor(tenants: u64) -> Governor {
    let governor = Governor::new(GovernorConfig::new(1 << 40)).expect("a capacity in range");
    for number in 1..=tenants {
        let id = TenantId::from_u128(number.into());
        let config = TenantConfig::new(id, format!("tenant {number}"));
        let of = governor.register_tenant(config).expect("room for a tenant");
        let request = Request::new(of, AllocationType::Cache, PAGE);
        governor.try_request(&request).expect("room in the pool").into_id();
    }
    governor.on_leak(|_| {});
    let seen = governor.snapshot();
    assert_eq!(seen.live_bytes, tenants * PAGE);
    assert_eq!(seen.tenants.len() as u64, tenants);
    governor
}

fn snapshot(criterion: &mut Criterion) {
    let mut group = bare_pair::group(criterion, "snapshot");
    for (tenants, named) in [(10, "10"), (1_000, "1,000"), (10_000, "10,000")] {
        let stage = OnceCell::new();
        group.bench_function(format!("{named} tenants"), |b| {
            let governor = stage.get_or_init(|| governor(tenants));
            b.iter(|| drop(black_box(governor.snapshot())));
        });
    }
    group.finish();
}

criterion_group! { name = benches; config = settings(); targets = snapshot }
criterion_main!(benches);
