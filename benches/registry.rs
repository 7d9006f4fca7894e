//! How long it takes to find a tenant by its UUID among 10, 10,000 and 100,000 registered ones.
//!
//! `cargo bench --bench registry`
//!
//! Tenants are looked for at random, so that with many of them most are not in a cache.

mod bare_pair;

use allotment::*;
use bare_pair::settings;
use criterion::{Criterion, criterion_group, criterion_main};
use std::cell::OnceCell;
use std::hint::black_box;

/// Random tenants that are drawn before, so that drawing costs next to nothing; then again.
const DRAWN: usize = 1 << 18;

/// The multiplier of Knuth's 64-bit linear congruential generator.
const KNUTH: u64 = 6_364_136_223_846_793_005;

struct Stage {
    governor: Governor,
    drawn: Vec<TenantId>,
    strangers: Vec<TenantId>,
}

/// As random as a UUID of version 4, and the same in every run.
fn id(number: u64) -> TenantId {
    let half = |salt: u64| {
        let mixed = (number ^ salt).wrapping_mul(KNUTH);
        (mixed ^ mixed >> 32).wrapping_mul(KNUTH)
    };
    TenantId::from_u64_pair(half(0), half(1 << 63))
}

impl Stage {
    fn new(tenants: u64) -> Self {
        let config = GovernorConfig { tenants_max: tenants as u32, ..GovernorConfig::new(1 << 40) };
        let governor = Governor::new(config).expect("a configuration in range");
        for number in 0..tenants {
            let config = TenantConfig::new(id(number), "bench");
            governor.register_tenant(config).expect("room for a tenant");
        }
        let mut random = 1_u64;
        let mut draw = |begin: u64| -> Vec<TenantId> {
            let drawn = (0..DRAWN).map(|_| {
                random = random.wrapping_mul(KNUTH).wrapping_add(1);
                id(begin + (random >> 32) % tenants)
            });
            drawn.collect()
        };
        let (drawn, strangers) = (draw(0), draw(tenants));
        for (here, gone) in drawn.iter().zip(&strangers).take(1_000) {
            let found = governor.find(*here).and_then(|of| governor.tenant_config(of).ok());
            assert_eq!(found.map(|config| config.id), Some(*here));
            assert_eq!(governor.find(*gone), None);
        }
        Self { governor, drawn, strangers }
    }
}

fn registry(criterion: &mut Criterion) {
    let mut group = bare_pair::group(criterion, "registry");
    for (tenants, named) in [(10, "10"), (10_000, "10,000"), (100_000, "100,000")] {
        let stage = OnceCell::new();
        let mut turn = 0;
        let mut next = || {
            turn = (turn + 1) % DRAWN;
            turn
        };
        group.bench_function(format!("one of {named} tenants"), |b| {
            let stage = stage.get_or_init(|| Stage::new(tenants));
            b.iter(|| stage.governor.find(black_box(stage.drawn[next()])).expect("a tenant"));
        });
        group.bench_function(format!("none of {named} tenants"), |b| {
            let stage = stage.get_or_init(|| Stage::new(tenants));
            b.iter(|| {
                let found = stage.governor.find(black_box(stage.strangers[next()]));
                assert!(found.is_none(), "nobody has that id");
            });
        });
    }
    group.finish();
}

criterion_group! { name = benches; config = settings(); targets = registry }
criterion_main!(benches);
