//! What a denial costs, and what a storm of them does to others: at the tenant's own limit, and by
//! the pool itself, where it is true only after a look at all 10,000 tenants.
//!
//! `cargo bench --bench denied`
//!
//! The storm is one thread whose requests the pool refuses as fast as it can ask; meanwhile another
//! tenant requests and releases on another thread. What a busy neighbour costs by itself, its share
//! of caches and cores, is told by the same storm in another governor.

mod bare_pair;

use allotment::*;
use bare_pair::settings;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use std::cell::LazyCell;
use std::hint::black_box;
use std::sync::atomic::{AtomicI64, Ordering};

const MIB: u64 = 1 << 20;
const PAGE: u64 = 4_096;
const TENANTS: u32 = 10_000;

fn tenant(number: u32) -> TenantConfig {
    TenantConfig::new(TenantId::from_u128(number.into()), "bench")
}

fn page(of: TenantHandle) -> Request {
    Request::new(of, AllocationType::Cache, PAGE)
}

fn reason(answer: Result<Grant<'_>, Refusal>) -> DenialReason {
    match answer {
        Err(Refusal::Denied(denial)) => denial.reason,
        other => panic!("not denied: {other:?}"),
    }
}

fn at_the_own_limit(group: &mut BenchmarkGroup<WallTime>) {
    let governor = Governor::new(GovernorConfig::new(1 << 40)).expect("a capacity in range");
    let limited = TenantConfig { limit_bytes: Some(64 * MIB), ..tenant(1) };
    let of = governor.register_tenant(limited).expect("room for a tenant");
    let request = Request::new(of, AllocationType::Cache, 65 * MIB);
    assert_eq!(reason(governor.try_request(&request)), DenialReason::TenantLimit);
    group.bench_function("at the own limit", |b| {
        b.iter(|| black_box(governor.try_request(black_box(&request)).is_err()));
    });
    assert_eq!(governor.usage(of).expect("a tenant").granted, 0);
}

/// Many tenants that hold something each, one of which asks for too much.
struct Stage {
    governor: Governor,
    greedy: TenantHandle,
    too_much: Request,
    inside: TenantHandle,
    beyond: TenantHandle,
}

impl Stage {
    fn new() -> Self {
        let capacity_bytes = u64::from(TENANTS) * 2 * MIB;
        let config = GovernorConfig { pool_pressure: false, ..GovernorConfig::new(capacity_bytes) };
        let governor = Governor::new(config).expect("a configuration in range");
        let register = |config| governor.register_tenant(config).expect("room for a tenant");
        let take = |of| {
            governor.try_request(&page(of)).expect("room in the pool").into_id();
        };
        let inside = register(TenantConfig { guarantee_bytes: 128 * MIB, ..tenant(1) });
        let beyond = register(tenant(2));
        (3..TENANTS).for_each(|number| take(register(tenant(number))));
        let greedy = register(tenant(TENANTS));
        let too_much = Request::new(greedy, AllocationType::Cache, capacity_bytes);
        assert_eq!(reason(governor.try_request(&too_much)), DenialReason::Capacity);
        governor.on_leak(|_| {});
        Self { governor, greedy, too_much, inside, beyond }
    }

    /// Calls `during` while another thread is denied without a pause.
    fn storm(&self, during: impl FnOnce()) {
        let (denied, is_over) = (AtomicI64::new(0), AtomicI64::new(0));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while is_over.load(Ordering::Relaxed) == 0 {
                    let why = reason(self.governor.try_request(&self.too_much));
                    assert!(matches!(why, DenialReason::Capacity | DenialReason::Contended));
                    denied.fetch_add(1, Ordering::Relaxed);
                }
            });
            while denied.load(Ordering::Relaxed) == 0 {
                std::hint::spin_loop();
            }
            during();
            is_over.store(1, Ordering::Relaxed);
        });
    }
}

fn denied(criterion: &mut Criterion) {
    let mut group = bare_pair::group(criterion, "denied");
    at_the_own_limit(&mut group);
    let (here, elsewhere) = (LazyCell::new(Stage::new), LazyCell::new(Stage::new));
    group.bench_function("by the pool, 10,000 tenants", |b| {
        let Stage { governor, greedy, too_much, .. } = &*here;
        b.iter(|| black_box(governor.try_request(black_box(too_much)).is_err()));
        assert_eq!(governor.usage(*greedy).expect("a tenant").granted, 0);
    });
    for place in ["inside the guarantee", "beyond it"] {
        for beside in ["alone", "beside a storm elsewhere", "beside a storm"] {
            group.bench_function(format!("a pair {place}, {beside}"), |b| {
                let of = if place == "beyond it" { here.beyond } else { here.inside };
                let (request, governor) = (page(of), &here.governor);
                let mut pairs = || b.iter(|| drop(governor.try_request(&request)));
                match beside {
                    "alone" => pairs(),
                    "beside a storm" => here.storm(pairs),
                    _ => elsewhere.storm(pairs),
                }
                assert_eq!(governor.usage(of).expect("a tenant").denied, 0);
            });
        }
    }
    group.finish();
}

criterion_group! { name = benches; config = settings(); targets = denied }
criterion_main!(benches);
