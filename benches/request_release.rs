//! What a request and its release cost: inside the guarantee, beyond it, near the limit, with
//! events and a rate limit, over many tenants.
//!
//! `cargo bench --bench request_release`

mod bare_pair;
mod buying;

use allotment::*;
use bare_pair::settings;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use std::cell::OnceCell;
use std::hint::black_box;

type Group<'c> = BenchmarkGroup<'c, WallTime>;

const MIB: u64 = 1 << 20;
const PAGE: u64 = 4_096;
/// Random tenants that are drawn before, so that drawing costs next to nothing; then again.
const DRAWN: usize = 1 << 18;

fn tenant(number: u128) -> TenantConfig {
    TenantConfig::new(TenantId::from_u128(number), "bench")
}

fn page(of: TenantHandle) -> Request {
    Request::new(of, AllocationType::Cache, PAGE)
}

fn new_governor(config: GovernorConfig) -> Governor {
    Governor::new(config).expect("a configuration in range")
}

/// A tenant that has used 64 MiB before, so that claim is at hand.
fn register(governor: &Governor, config: TenantConfig) -> TenantHandle {
    let of = governor.register_tenant(config).expect("room for a tenant");
    let much = Request::new(of, AllocationType::Cache, 64 * MIB);
    drop(governor.try_request(&much).expect("room in the pool"));
    of
}

/// One pair. That it was granted is seen afterwards: to look here changes what is compiled.
#[inline(always)]
fn pair(governor: &Governor, request: &Request) {
    drop(governor.try_request(black_box(request)));
}

fn assert_none_denied(governor: &Governor) {
    let denied: u64 = governor.snapshot().tenants.iter().map(|of| of.denied).sum();
    assert_eq!(denied, 0, "every request was granted");
}

#[inline(always)]
fn pair_by_id(governor: &Governor, of: TenantHandle, request: &Request) {
    let id = governor.try_request(black_box(request)).expect("room in the pool").into_id();
    let released = governor.release(of, black_box(id)).expect("a live grant");
    black_box(released);
}

fn claim_at_hand(group: &mut Group) {
    let governor = new_governor(GovernorConfig::new(1 << 40));
    let cases = [
        ("inside the guarantee", TenantConfig { guarantee_bytes: 128 * MIB, ..tenant(1) }),
        ("beyond it, claim at hand", tenant(2)),
        ("number limited", TenantConfig { grants_max: [Some(9); 4], ..tenant(3) }),
    ];
    for (place, config) in cases {
        let of = register(&governor, config);
        let request = page(of);
        let unclaimed = governor.unclaimed_bytes();
        group.bench_function(place, |b| b.iter(|| pair(&governor, &request)));
        group.bench_function(format!("{place}, by id"), |b| {
            b.iter(|| pair_by_id(&governor, of, &request));
        });
        assert_eq!(governor.unclaimed_bytes(), unclaimed, "nothing had to be bought");
    }
    assert_none_denied(&governor);
}

/// The pool is full but for what the requests take, and nobody has idle claim.
fn bought_each_time(group: &mut Group) {
    let governor = buying::governor(64 * MIB);
    let other = governor.register_tenant(tenant(1)).expect("room for a tenant");
    let most = Request::new(other, AllocationType::ModelLoad, 64 * MIB);
    let most = governor.try_request(&most).expect("room in the pool");
    let of = governor.register_tenant(tenant(2)).expect("room for a tenant");
    group.bench_function("near the limit, bought each time", |b| {
        b.iter_custom(|pairs| buying::pairs(&governor, of, pairs));
    });
    assert_eq!(most.bytes(), 64 * MIB);
}

/// Two tenants take the last bytes of the pool in turns: each finds them idle with the other.
fn taken_from_another(group: &mut Group) {
    let config = GovernorConfig { pool_pressure: false, ..GovernorConfig::new(PAGE) };
    let governor = new_governor(config);
    let both = [1, 2].map(|n| governor.register_tenant(tenant(n)).expect("room for a tenant"));
    let mut turn = 0;
    group.bench_function("near the limit, taken from another", |b| {
        b.iter(|| {
            turn ^= 1;
            pair(&governor, &page(both[turn]));
        });
    });
    let before = governor.meter(both[turn ^ 1]).expect("a tenant");
    assert_eq!(before.claimed_bytes, 0, "its claim was taken from it");
    assert_none_denied(&governor);
}

fn with_events_and_rate(group: &mut Group) {
    let config = GovernorConfig { events_max: 1 << 16, ..GovernorConfig::new(1 << 40) };
    let governor = new_governor(config);
    // One in a nanosecond: none is refused.
    let rate = RateLimit::new(1_000_000_000, 1_000_000).expect("a rate in range");
    let config = TenantConfig { guarantee_bytes: 128 * MIB, rate: Some(rate), ..tenant(1) };
    let of = register(&governor, config);
    let request = page(of);
    group.bench_function("with events and a rate limit", |b| {
        b.iter(|| pair(&governor, &request));
    });
    let mut events = governor.events();
    while events.read() != EventRead::Empty {}
    assert_none_denied(&governor);
    let granted = governor.usage(of).expect("a tenant").granted;
    assert!(events.position() >= 2 * granted, "every grant and every release is recorded");
}

/// Tenants that are registered once they are needed, and those that are drawn among them.
struct Many {
    governor: Governor,
    drawn: Vec<TenantHandle>,
}

impl Many {
    fn new(tenants: u32) -> Self {
        let governor = new_governor(GovernorConfig {
            tenants_max: tenants,
            // The grants of a tenant have a segment to themselves.
            grants_max: 1 << 23,
            ..GovernorConfig::new(1 << 40)
        });
        let all: Vec<_> = (1..=tenants)
            .map(|n| {
                let config = TenantConfig { guarantee_bytes: MIB, ..tenant(n.into()) };
                let of = governor.register_tenant(config).expect("room for a tenant");
                drop(governor.try_request(&page(of)).expect("it is guaranteed"));
                of
            })
            .collect();
        let mut random = 1_u64;
        let drawn = (0..DRAWN).map(|_| {
            // The multiplier of Knuth's 64-bit linear congruential generator.
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            all[(random >> 32) as usize % all.len()]
        });
        let drawn = drawn.collect();
        Self { governor, drawn }
    }
}

fn over_many_tenants(group: &mut Group) {
    for (tenants, named) in [(16, "16"), (100_000, "100,000")] {
        let many = OnceCell::new();
        let mut turn = 0;
        group.bench_function(format!("over {named} tenants at random"), |b| {
            let many = many.get_or_init(|| Many::new(tenants));
            b.iter(|| {
                turn = (turn + 1) % DRAWN;
                pair(&many.governor, &page(many.drawn[turn]));
            });
        });
        if let Some(many) = many.get() {
            assert_none_denied(&many.governor);
        }
    }
}

fn request_release(criterion: &mut Criterion) {
    let mut group = bare_pair::group(criterion, "request_release");
    claim_at_hand(&mut group);
    bought_each_time(&mut group);
    taken_from_another(&mut group);
    with_events_and_rate(&mut group);
    over_many_tenants(&mut group);
    group.finish();
}

criterion_group! { name = benches; config = settings(); targets = request_release }
criterion_main!(benches);
