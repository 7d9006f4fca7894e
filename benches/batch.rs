//! What it costs to request 1, 4 or 16 grants together and to release them, beside one by one.
//!
//! `cargo bench --bench batch`

mod bare_pair;

use allotment::*;
use bare_pair::settings;
use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;

const MIB: u64 = 1 << 20;
const PAGE: u64 = 4_096;

fn batch(criterion: &mut Criterion) {
    let mut group = bare_pair::group(criterion, "batch");
    let governor = Governor::new(GovernorConfig::new(1 << 40)).expect("a capacity in range");
    let config = TenantConfig::new(TenantId::from_u128(1), "bench");
    let config = TenantConfig { guarantee_bytes: 128 * MIB, ..config };
    let of = governor.register_tenant(config).expect("room for a tenant");
    for number in [1, 4, 16] {
        let requests = vec![Request::new(of, AllocationType::Cache, PAGE); number];
        let granted = || governor.usage(of).expect("a tenant").granted;
        let before = granted();
        drop(governor.request_all(&requests).expect("it is guaranteed"));
        assert_eq!(granted() - before, number as u64, "all of them");
        group.bench_function(format!("{number} together"), |b| {
            b.iter(|| {
                let grants = governor.request_all(black_box(&requests)).expect("it is guaranteed");
                drop(black_box(grants));
            });
        });
        group.bench_function(format!("{number} one by one"), |b| {
            b.iter(|| {
                let ask = |request| governor.try_request(request).expect("it is guaranteed");
                let grants: Vec<_> = black_box(&requests).iter().map(ask).collect();
                drop(black_box(grants));
            });
        });
    }
    group.finish();
}

criterion_group! { name = benches; config = settings(); targets = batch }
criterion_main!(benches);
