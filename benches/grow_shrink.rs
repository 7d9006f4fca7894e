//! What it costs to grow a grant and to shrink it again, inside the guarantee and beyond it.
//!
//! `cargo bench --bench grow_shrink`

mod bare_pair;

use allotment::*;
use bare_pair::settings;
use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;

const MIB: u64 = 1 << 20;
const PAGE: u64 = 4_096;

fn grow_shrink(criterion: &mut Criterion) {
    let mut group = bare_pair::group(criterion, "grow_shrink");
    let governor = Governor::new(GovernorConfig::new(1 << 40)).expect("a capacity in range");
    let tenant = |number| TenantConfig::new(TenantId::from_u128(number), "bench");
    let cases = [
        ("inside the guarantee", TenantConfig { guarantee_bytes: 128 * MIB, ..tenant(1) }),
        ("beyond it, claim at hand", tenant(2)),
    ];
    for (place, config) in cases {
        let of = governor.register_tenant(config).expect("room for a tenant");
        let ask = |bytes| Request::new(of, AllocationType::Cache, bytes);
        // What it has used before is at hand.
        drop(governor.try_request(&ask(64 * MIB)).expect("room in the pool"));
        let grant = governor.try_request(&ask(PAGE)).expect("room in the pool");
        let (id, unclaimed) = (grant.id(), governor.unclaimed_bytes());
        group.bench_function(place, |b| {
            b.iter(|| {
                governor.grow(of, black_box(id), black_box(PAGE)).expect("room in the pool");
                governor.shrink(of, black_box(id), black_box(PAGE)).expect("it has grown by that");
            });
        });
        assert_eq!(governor.unclaimed_bytes(), unclaimed, "nothing had to be bought");
        assert_eq!(grant.bytes(), PAGE);
    }
    group.finish();
}

criterion_group! { name = benches; config = settings(); targets = grow_shrink }
criterion_main!(benches);
