//! The threads of a manager: one that balances, one that looks at the machine.
//!
//! ```text
//! B1  a thread steps only while its manager has a clone left; the last one to go ends it
//! B2  a step that panics is counted, and the next one comes
//! B3  at most one thread of each kind
//! ```
//!
//! A thread sleeps for its interval, then takes one step, so the first step comes after the first
//! interval. It knows its manager by a [`Weak`], and is woken to end. Who drops the last clone
//! waits for a step that is running, and with it for the owners that step is asking, for as long
//! as they may take ([`super::ManagerOptions::reclaim_timeout`]). Only where a callback drops the
//! last clone, on one of these threads or of those on which owners are asked, nobody waits: the
//! threads end by themselves.
//!
//! What is done is elsewhere: [`Inner::balance`] in `mod.rs`, and [`Inner::look_after`] here,
//! which names everything that is due by the clock.

use super::error::MemoryError;
use super::{Counter, Inner, MultiTenantMemoryManager, lock};
use crate::workers::is_worker;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

/// What the threads have done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackgroundStatus {
    /// Whether the monitor runs.
    pub monitoring: bool,
    /// Whether the balancer runs.
    pub balancing: bool,
    /// Steps of the monitor, those that panicked included.
    pub monitor_steps: u64,
    /// Steps of the balancer, those that panicked included.
    pub balancer_steps: u64,
    /// Steps of either that panicked. They have done what came before the panic.
    pub panicked_steps: u64,
}

/// One kind of thread.
#[derive(Clone, Copy)]
enum Kind {
    Balancer,
    Monitor,
}

/// What threads and manager share.
#[derive(Default)]
struct Shared {
    stopped: Mutex<bool>,
    told: Condvar,
    /// Steps by kind.
    steps: [Counter; 2],
    panicked: Counter,
}

/// The threads of a manager. All clones of the manager hold it, and the threads do not: when it
/// is dropped the last clone is gone.
#[derive(Default)]
pub(super) struct Background {
    shared: Arc<Shared>,
    /// Threads by kind.
    threads: Mutex<[Option<JoinHandle<()>>; 2]>,
}

impl Shared {
    /// Sleeps for an interval; says whether the time has come to end.
    fn rest(&self, interval: Duration) -> bool {
        let stopped = lock(&self.stopped);
        let slept = self.told.wait_timeout_while(stopped, interval, |stopped| !*stopped);
        let (stopped, _) = slept.unwrap_or_else(PoisonError::into_inner);
        *stopped
    }

    fn stop(&self) {
        *lock(&self.stopped) = true;
        self.told.notify_all();
    }

    fn run(&self, kind: Kind, interval: Duration, manager: &Weak<Inner>) {
        while !self.rest(interval) {
            let Some(inner) = manager.upgrade() else { return };
            let step = || match kind {
                Kind::Balancer => {
                    inner.balance();
                }
                Kind::Monitor => inner.look_after(inner.governor.clock().now_ns()),
            };
            // What a panic leaves behind is as valid as what any caller's panic does (B2).
            let panicked = catch_unwind(AssertUnwindSafe(step)).is_err();
            // Relaxed: statistics.
            self.panicked.fetch_add(u64::from(panicked), Ordering::Relaxed);
            // Relaxed: as above.
            self.steps[kind as usize].fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Background {
    /// Starts a thread, unless it runs already.
    fn start(
        &self,
        kind: Kind,
        interval_secs: u64,
        manager: &Arc<Inner>,
    ) -> Result<(), MemoryError> {
        let mut threads = lock(&self.threads);
        let thread = &mut threads[kind as usize];
        if thread.is_some() {
            return Ok(());
        }
        let (shared, manager) = (self.shared.clone(), Arc::downgrade(manager));
        let interval = Duration::from_secs(interval_secs);
        let name = ["allot-balancer", "allot-monitor"][kind as usize];
        let new = std::thread::Builder::new().name(name.to_string());
        let started = new.spawn(move || shared.run(kind, interval, &manager));
        let started = started.map_err(|error| MemoryError::Thread { name, kind: error.kind() })?;
        *thread = Some(started);
        Ok(())
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.shared.stop();
        let threads = self.threads.get_mut().unwrap_or_else(PoisonError::into_inner);
        let here = std::thread::current().id();
        let is_own = threads.iter().flatten().any(|thread| thread.thread().id() == here);
        if is_own || is_worker() {
            // In a callback: the step that asks cannot be waited for, and another may be waiting
            // for this one.
            return;
        }
        for thread in threads.iter_mut().filter_map(Option::take) {
            // A step does not panic out of its thread; what else does has been reported there.
            drop(thread.join());
        }
    }
}

impl Inner {
    /// One step of the monitor, and the one place where work is called that is due by the clock.
    fn look_after(&self, now_ns: u64) {
        self.lapse_places(now_ns);
        self.look_at_machine(now_ns);
        self.monitor_step(now_ns);
    }
}

impl MultiTenantMemoryManager {
    /// Starts the threads that the configuration enables.
    pub(super) fn start_enabled(&self) -> Result<(), MemoryError> {
        let config = &self.inner.config;
        if config.enable_memory_balancing {
            let interval_secs = config.balancing_interval_secs;
            self.background.start(Kind::Balancer, interval_secs, &self.inner)?;
        }
        if config.enable_monitoring { self.monitor() } else { Ok(()) }
    }

    /// Starts the monitor, a thread that looks at the machine every `monitoring_interval_secs`:
    /// how short of memory it is counts as pressure from then on, if that is worse than the
    /// pool's own fill. Does nothing if it runs already. It ends when the last clone of the
    /// manager is dropped.
    ///
    /// # Errors
    ///
    /// [`MemoryError::Config`] if the interval is 0, [`MemoryError::Thread`] if the system has no
    /// thread left; what the manager was created with, if that was refused.
    pub async fn start_monitoring(&self) -> Result<(), MemoryError> {
        self.monitor()
    }

    fn monitor(&self) -> Result<(), MemoryError> {
        if let Some(fault) = &self.inner.fault {
            return Err(fault.clone());
        }
        let interval_secs = self.inner.config.monitoring_interval()?;
        self.background.start(Kind::Monitor, interval_secs, &self.inner)
    }

    /// What the threads of this manager have done. Exact for steps that have ended.
    pub fn background_status(&self) -> BackgroundStatus {
        let (shared, threads) = (&self.background.shared, lock(&self.background.threads));
        // Relaxed: statistics.
        let count = |counter: &Counter| counter.load(Ordering::Relaxed);
        BackgroundStatus {
            monitoring: threads[Kind::Monitor as usize].is_some(),
            balancing: threads[Kind::Balancer as usize].is_some(),
            monitor_steps: count(&shared.steps[Kind::Monitor as usize]),
            balancer_steps: count(&shared.steps[Kind::Balancer as usize]),
            panicked_steps: count(&shared.panicked),
        }
    }
}
