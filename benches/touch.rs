//! What it costs to say that a grant was used: always the same one, and one of many at random.
//!
//! `cargo bench --bench touch`

mod bare_pair;

use allotment::*;
use bare_pair::settings;
use criterion::{Criterion, criterion_group, criterion_main};
use std::cell::OnceCell;
use std::hint::black_box;

const PAGE: u64 = 4_096;
const MANY: usize = 100_000;
/// Random grants that are drawn before, so that drawing costs next to nothing; then again.
const DRAWN: usize = 1 << 18;

struct Stage {
    governor: Governor,
    of: TenantHandle,
    drawn: Vec<GrantId>,
}

impl Stage {
    fn new(grants: usize) -> Self {
        let governor = Governor::new(GovernorConfig::new(1 << 40)).expect("a capacity in range");
        let config = TenantConfig::new(TenantId::from_u128(1), "bench");
        let of = governor.register_tenant(config).expect("room for a tenant");
        let request = Request::new(of, AllocationType::Cache, PAGE);
        let take = |_| governor.try_request(&request).expect("room in the pool").into_id();
        let held: Vec<_> = (0..grants).map(take).collect();
        let mut random = 1_u64;
        let drawn = (0..DRAWN).map(|_| {
            // The multiplier of Knuth's 64-bit linear congruential generator.
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            held[(random >> 32) as usize % held.len()]
        });
        let drawn = drawn.collect();
        governor.on_leak(|_| {});
        Self { governor, of, drawn }
    }
}

fn touch(criterion: &mut Criterion) {
    let mut group = bare_pair::group(criterion, "touch");
    for (name, grants) in [("the same grant", 1), ("one of 100,000 at random", MANY)] {
        let stage = OnceCell::new();
        let mut turn = 0;
        group.bench_function(name, |b| {
            let Stage { governor, of, drawn } = stage.get_or_init(|| Stage::new(grants));
            b.iter(|| {
                turn = (turn + 1) % DRAWN;
                governor.touch(*of, black_box(drawn[turn])).expect("a live grant");
            });
        });
    }
    group.finish();
}

criterion_group! { name = benches; config = settings(); targets = touch }
criterion_main!(benches);
