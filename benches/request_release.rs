//! What the hot path costs, beside the least it could: a bare `fetch_add` and `fetch_sub`.
//!
//! `cargo bench --bench request_release`

use allotment::*;
use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use std::sync::atomic::{AtomicI64, Ordering};

const MIB: u64 = 1 << 20;

fn tenant(number: u128) -> TenantConfig {
    TenantConfig::new(TenantId::from_u128(number), "bench")
}

fn governor() -> Governor {
    Governor::new(GovernorConfig::new(1 << 40)).expect("a capacity in range")
}

/// A tenant that has used 64 MiB before, so that claim is at hand.
fn register(governor: &Governor, config: TenantConfig) -> TenantHandle {
    let of = governor.register_tenant(config).expect("room for a tenant");
    drop(governor.try_request(&Request::new(of, AllocationType::Cache, 64 * MIB)));
    of
}

fn bare_pair(c: &mut Criterion) {
    let word = AtomicI64::new(0);
    c.bench_function("bare fetch_add + fetch_sub", |b| {
        b.iter(|| {
            // AcqRel: what request and release pay at least; nothing else pairs with it.
            black_box(&word).fetch_add(black_box(4_096), Ordering::AcqRel);
            black_box(&word).fetch_sub(black_box(4_096), Ordering::AcqRel);
        });
    });
}

fn request_release(c: &mut Criterion) {
    let governor = governor();
    let inside = TenantConfig { guarantee_bytes: 128 * MIB, ..tenant(1) };
    let inside = register(&governor, inside);
    let beyond = register(&governor, tenant(2));
    let numbered = TenantConfig { grants_max: [Some(9); 4], ..tenant(3) };
    let numbered = register(&governor, numbered);
    for (place, of) in [
        ("inside the guarantee", inside),
        ("beyond it, claim at hand", beyond),
        ("number limited", numbered),
    ] {
        let request = Request::new(of, AllocationType::Cache, 4_096);
        c.bench_function(&format!("request + release, {place}"), |b| {
            b.iter(|| drop(black_box(governor.try_request(black_box(&request)))));
        });
        c.bench_function(&format!("request + release by id, {place}"), |b| {
            b.iter(|| {
                let id = governor.try_request(black_box(&request)).map(Grant::into_id);
                black_box(id.map(|id| governor.release(of, id))).ok();
            });
        });
    }
}

fn grow_shrink_touch(c: &mut Criterion) {
    let governor = governor();
    let of = register(&governor, tenant(1));
    let request = Request::new(of, AllocationType::Cache, 4_096);
    let id = governor.try_request(&request).expect("room").into_id();
    c.bench_function("grow + shrink", |b| {
        b.iter(|| {
            black_box(governor.grow(of, black_box(id), black_box(4_096))).ok();
            black_box(governor.shrink(of, black_box(id), black_box(4_096))).ok();
        });
    });
    c.bench_function("touch", |b| {
        b.iter(|| black_box(governor.touch(of, black_box(id))));
    });
    governor.release(of, id).expect("a live grant");
}

fn denied(c: &mut Criterion) {
    let governor = governor();
    let limited = TenantConfig { limit_bytes: Some(64 * MIB), ..tenant(1) };
    let limited = register(&governor, limited);
    let request = Request::new(limited, AllocationType::Cache, 65 * MIB);
    c.bench_function("denied at the own limit", |b| {
        b.iter(|| black_box(governor.try_request(black_box(&request)).is_err()));
    });
}

criterion_group!(benches, bare_pair, request_release, grow_shrink_touch, denied);
criterion_main!(benches);
