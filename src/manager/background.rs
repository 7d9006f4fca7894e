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
//! waits for a step that is running, for two seconds at most: a callback that hangs holds up
//! nobody for longer. Where a callback drops the last clone, on one of these threads or of those on
//! which owners are asked, nobody waits. Threads that are not waited for end by themselves.
//!
//! What is done is elsewhere: [`Inner::balance`] in `mod.rs`, and [`Inner::look_after`] here,
//! which names everything that is due by the clock.

use super::error::MemoryError;
use super::{Counter, Inner, MultiTenantMemoryManager, lock};
use crate::caught::caught;
use crate::workers::is_worker;
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

/// How long a step that is running is waited for in the end.
const JOIN_MAX: Duration = Duration::from_secs(2);

/// One kind of thread.
#[derive(Clone, Copy)]
enum Kind {
    Balancer,
    Monitor,
}

#[derive(Default)]
struct State {
    stopped: bool,
    running: u32,
}

/// What threads and manager share.
#[derive(Default)]
struct Shared {
    state: Mutex<State>,
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
        let state = lock(&self.state);
        let slept = self.told.wait_timeout_while(state, interval, |state| !state.stopped);
        let (state, _) = slept.unwrap_or_else(PoisonError::into_inner);
        state.stopped
    }

    fn stop(&self) {
        lock(&self.state).stopped = true;
        self.told.notify_all();
    }

    /// Waits until no thread runs any more, for a while; says whether none does.
    fn wait_for_the_last(&self) -> bool {
        let state = lock(&self.state);
        let waited = self.told.wait_timeout_while(state, JOIN_MAX, |state| state.running > 0);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.running == 0
    }

    fn run_to_the_end(&self, kind: Kind, interval: Duration, manager: &Weak<Inner>) {
        self.run(kind, interval, manager);
        lock(&self.state).running -= 1;
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
            let panicked = caught(step).is_none();
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
        lock(&self.shared.state).running += 1;
        match new.spawn(move || shared.run_to_the_end(kind, interval, &manager)) {
            Ok(started) => {
                *thread = Some(started);
                Ok(())
            }
            Err(error) => {
                lock(&self.shared.state).running -= 1;
                Err(MemoryError::Thread { name, kind: error.kind() })
            }
        }
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
        if !self.shared.wait_for_the_last() {
            // In a callback that hangs: its thread ends by itself, if the callback ever returns.
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
