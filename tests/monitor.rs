//! A look of the monitor allocates nothing, unless something begins or ends.

use allotment::os::ManualClock;
use allotment::*;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

const SECOND_NS: u64 = 1_000_000_000;
const MIB: u64 = 1 << 20;
const TENANTS: u128 = 100;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, counting the allocations of each thread.
struct Counting;

// SAFETY: passes everything on to the system's allocator; what is not said here ends in `alloc`.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as promised by the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as promised by the caller.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn now<T>(verb: impl Future<Output = T>) -> T {
    match pin!(verb).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("no verb of the manager waits"),
    }
}

#[test]
fn a_look_allocates_only_for_what_begins_or_ends() {
    let clock = ManualClock::new();
    let time = clock.clone();
    let config = MemoryConfig {
        max_memory_mb: 100_000,
        enable_monitoring: false,
        monitoring_interval_secs: 1,
        enable_memory_balancing: false,
        balancing_interval_secs: 1,
        enable_compression: false,
        compression_threshold_mb: 1,
    };
    let options = ManagerOptions::default().governor(move |governor| governor.clock = time.into());
    let manager = MultiTenantMemoryManager::try_new_with(config, options).unwrap();
    for number in 1..=TENANTS {
        let tenant = TenantMemoryConfig {
            tenant_id: TenantId::from_u128(number),
            max_memory_mb: 100,
            priority: TenantPriority::Normal,
            guaranteed_memory_mb: 0,
            burst_limit_mb: None,
            isolation_level: IsolationLevel::Hard,
        };
        now(manager.register_tenant(tenant)).unwrap();
    }
    let ask = |number, mb| {
        let (tenant, kind) = (TenantId::from_u128(number), AllocationType::Inference);
        now(manager.request_allocation_bytes(tenant, mb * MIB, "model", kind)).unwrap()
    };
    let look = || {
        clock.advance_ns(SECOND_NS);
        let before = ALLOCATIONS.get();
        let report = now(manager.monitor_now());
        (ALLOCATIONS.get() - before, report)
    };
    (1..=TENANTS).for_each(|number| drop(ask(number, 1)));
    assert!(look().0 > 0, "histories begin");
    for round in 0..200 {
        drop(ask(1 + round % TENANTS, 1));
        if round % 20 == 0 {
            drop(ask(1 + round % TENANTS, 101));
        }
        let (allocations, report) = look();
        assert_eq!((allocations, report.raised), (0, 0), "round {round}");
    }
    drop(ask(1, 90));
    let (allocations, report) = look();
    assert!(allocations > 0 && report.raised == 1, "an alert begins: {report:?}");
    assert_eq!(look().0, 0, "and goes on");
}
