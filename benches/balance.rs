//! What the background costs with 10,000 tenants: one step of the balancer and one look at the
//! machine every second, as percent of one core.
//!
//! `cargo bench --bench balance`
//!
//! Printed is the CPU time of the thread, the median over [`STEPS`] steps. Between two steps every
//! active tenant asks and returns, which is not counted; tenants that are not active are
//! registered with a guarantee and hold nothing.

use allotment::os::{ManualClock, probe};
use allotment::*;
use std::hint::black_box;
use std::time::Duration;

const MIB: u64 = 1 << 20;
const TENANTS: u32 = 10_000;
const STEPS: usize = 101;
const INTERVAL: Duration = Duration::from_secs(1);

/// CPU time of this thread.
#[cfg(unix)]
fn cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a live timespec, to be filled in.
    let status = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(status, 0, "the thread's clock can be read");
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Time on the wall: the best to be had here.
#[cfg(not(unix))]
fn cpu_time() -> Duration {
    use std::sync::OnceLock;
    use std::time::Instant;
    static BEGIN: OnceLock<Instant> = OnceLock::new();
    BEGIN.get_or_init(Instant::now).elapsed()
}

struct Stage {
    governor: Governor,
    clock: ManualClock,
    active: Vec<(TenantHandle, GrantId)>,
}

impl Stage {
    /// So many active tenants, each with `grant_bytes` that cannot be evicted.
    fn new(active: u32, grant_bytes: u64) -> Self {
        let clock = ManualClock::new();
        let governor = Governor::new(GovernorConfig {
            clock: clock.clone().into(),
            ..GovernorConfig::new(u64::from(TENANTS) * 8 * MIB)
        });
        let governor = governor.expect("a configuration in range");
        let every = TENANTS / active;
        let tenants: Vec<_> = (0..TENANTS).map(|n| register(&governor, n)).collect();
        let held = tenants.iter().step_by(every as usize).map(|&tenant| {
            let model = Request::new(tenant, AllocationType::ModelLoad, grant_bytes);
            (tenant, governor.request(&model).expect("room").into_id())
        });
        let active = held.collect();
        Self { governor, clock, active }
    }

    fn close(self) {
        for &(tenant, grant) in &self.active {
            self.governor.release(tenant, grant).expect("a live grant");
        }
    }

    fn act(&self) {
        self.clock.advance_ns(INTERVAL.as_nanos() as u64);
        for &(tenant, _) in &self.active {
            let request = Request::new(tenant, AllocationType::Cache, 4_096);
            drop(self.governor.try_request(&request));
        }
    }
}

fn register(governor: &Governor, number: u32) -> TenantHandle {
    let id = TenantId::from_u128(u128::from(number) + 1);
    let config = TenantConfig {
        guarantee_bytes: MIB,
        limit_bytes: Some(64 * MIB),
        priority: Priority::ALL[number as usize % 4],
        ..TenantConfig::new(id, format!("tenant {number}"))
    };
    governor.register_tenant(config).expect("room for a tenant")
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// The median time of `step`, with `before` between the steps.
fn measured(before: impl Fn(), mut step: impl FnMut()) -> Duration {
    let mut once = || {
        before();
        let begin = cpu_time();
        step();
        cpu_time() - begin
    };
    once();
    median((0..STEPS).map(|_| once()).collect())
}

fn main() {
    let mut machine = probe();
    let look = measured(|| (), || drop(black_box(machine.sample())));
    println!("one look at the machine: {look:?}");
    let cases = [
        ("100 active, pressure normal", 100, 4 * MIB, 0.1),
        ("all active, pressure normal", TENANTS, 4 * MIB, 1.0),
        ("all active, pressure high, nothing to evict", TENANTS, 8 * MIB - 600_000, 1.0),
    ];
    for (what, active, grant_bytes, budget_percent) in cases {
        let stage = Stage::new(active, grant_bytes);
        let step = measured(
            || stage.act(),
            || {
                black_box(stage.governor.balance());
            },
        );
        let percent = (step + look).as_secs_f64() * 100.0 / INTERVAL.as_secs_f64();
        println!(
            "{TENANTS} tenants, {what}: step {step:?}, with the look {percent:.3} % of a core \
             (at most {budget_percent} %)"
        );
        stage.close();
    }
}
