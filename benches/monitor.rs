//! What one look of the monitor costs with 10,000 registered tenants: CPU time of the thread, and
//! allocations.
//!
//! `cargo bench --bench monitor`
//!
//! | active in the last hour | budget of a look |
//! |---|---|
//! | 100 | 0.5 ms |
//! | all | 5 ms |
//!
//! Each row is the median and the largest of all looks, one second of the manual clock apart. With
//! `--check` the program fails if a median is above its budget.

use allotment::os::ManualClock;
use allotment::*;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::process::ExitCode;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

const TENANTS: u128 = 10_000;
const LOOKS: usize = 300;
const SECOND_NS: u64 = 1_000_000_000;
const MIB: u64 = 1 << 20;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// Counts what this thread allocates.
struct Counting;

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// CPU time of this thread; where that is not to be had, the time that has passed.
fn thread_time() -> Duration {
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the clock exists on both systems, and the place is ours.
        let failed = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
        assert_eq!(failed, 0, "the thread's own clock");
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }
    #[cfg(not(any(target_os = "linux", target_os = "macos")))]
    {
        static BEGIN: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
        BEGIN.get_or_init(std::time::Instant::now).elapsed()
    }
}

fn now<T>(verb: impl Future<Output = T>) -> T {
    match pin!(verb).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => unreachable!("no verb of the manager waits"),
    }
}

struct World {
    manager: MultiTenantMemoryManager,
    clock: ManualClock,
}

impl World {
    fn new() -> Self {
        let config = MemoryConfig {
            max_memory_mb: 1 << 20,
            enable_monitoring: false,
            monitoring_interval_secs: 1,
            enable_memory_balancing: false,
            balancing_interval_secs: 1,
            enable_compression: false,
            compression_threshold_mb: 1,
        };
        let clock = ManualClock::new();
        let time = clock.clone();
        let options = ManagerOptions::default()
            .governor(move |governor| governor.clock = time.into())
            .histories_max(TENANTS as usize);
        let manager = MultiTenantMemoryManager::try_new_with(config, options);
        let world = Self { manager: manager.expect("a valid configuration"), clock };
        for number in 1..=TENANTS {
            let tenant = TenantMemoryConfig {
                tenant_id: TenantId::from_u128(number),
                max_memory_mb: 100,
                priority: TenantPriority::Normal,
                guaranteed_memory_mb: 0,
                burst_limit_mb: None,
                isolation_level: IsolationLevel::Hard,
            };
            now(world.manager.register_tenant(tenant)).expect("room for a tenant");
        }
        world
    }

    /// One request, which is kept for the first round, and given back otherwise.
    fn ask(&self, number: u128, is_kept: bool) {
        let (tenant, kind) = (TenantId::from_u128(number), AllocationType::Inference);
        let answer = now(self.manager.request_allocation_bytes(tenant, MIB, "model", kind));
        let Ok(MemoryAllocationResponse::Granted { allocation_id }) = answer else {
            panic!("not granted: {answer:?}");
        };
        if !is_kept {
            now(self.manager.release_allocation(tenant, &allocation_id, 1)).expect("it is held");
        }
    }

    /// CPU time of each look, in µs, and the most allocations of one.
    fn look(&self, active: u128) -> (Vec<f64>, u64) {
        (1..=active).for_each(|number| self.ask(number, true));
        // What begins may allocate: watches and histories.
        self.clock.advance_ns(SECOND_NS);
        now(self.manager.monitor_now());
        let mut allocations_max = 0;
        let looks = (0..LOOKS).map(|round| {
            // Some of the active ones ask in every second.
            let asking = (1..=active).filter(|number| number % 10 == round as u128 % 10);
            asking.for_each(|number| self.ask(number, false));
            self.clock.advance_ns(SECOND_NS);
            let (before, begin) = (ALLOCATIONS.get(), thread_time());
            now(self.manager.monitor_now());
            let took = thread_time() - begin;
            allocations_max = allocations_max.max(ALLOCATIONS.get() - before);
            took.as_secs_f64() * 1e6
        });
        let looks = looks.collect();
        (looks, allocations_max)
    }
}

fn main() -> ExitCode {
    let check = std::env::args().any(|argument| argument == "--check");
    let world = World::new();
    let mut within = true;
    println!("{TENANTS} registered tenants, {LOOKS} looks, CPU time of the thread");
    println!(
        "{:>8} {:>12} {:>12} {:>12} {:>12}",
        "active", "median", "largest", "budget", "allocs"
    );
    for (active, budget_us) in [(100, 500.0), (TENANTS, 5_000.0)] {
        let (mut looks, allocations) = world.look(active);
        looks.sort_by(f64::total_cmp);
        let (median, largest) = (looks[LOOKS / 2], looks[LOOKS - 1]);
        println!(
            "{active:>8} {median:>9.1} µs {largest:>9.1} µs {budget_us:>9.0} µs {allocations:>12}"
        );
        within &= median <= budget_us;
    }
    if check && !within { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
