//! Whom to wake: when a waiter is decided, and when its deadline has passed.
//!
//! Wakers stand in cells beside those of `core/waiters.rs`. A task that awaits its turn sets an
//! *alarm*, so that it is woken at its deadline even if nobody calls the governor any more. One
//! thread looks after all alarms: the first alarm starts it, it ends when there were none for a
//! while, and it is joined when the governor goes. It knows wakers and a clock, nothing else of
//! the governor. Whoever owns the governor may set one alarm of its own. A clock that is moved by
//! hand has no alarms.

use crate::caught::caught;
use crate::os::Clock;
use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;
use std::thread::JoinHandle;
use std::time::Duration;

/// How long the thread stays without an alarm.
const IDLE_MAX: Duration = Duration::from_secs(10);
/// Stands among the cells for the owner of the governor.
const OWNER: u32 = u32::MAX;

/// Wakers and alarms of all waiters, by their cells.
pub(crate) struct Wakers(Arc<Shared>);

struct Shared {
    clock: Clock,
    cells: OnceLock<Box<[Mutex<Option<Waker>>]>>,
    cells_max: u32,
    alarms: Mutex<Alarms>,
    changed: Condvar,
}

/// At most one alarm for each cell, and one of the owner.
#[derive(Default)]
struct Alarms {
    /// By time in ns.
    due: BTreeSet<(u64, u32)>,
    /// When the owner's alarm goes off, and who is woken by it.
    owner: Option<(u64, Waker)>,
    thread: Option<JoinHandle<()>>,
    running: bool,
    stopped: bool,
}

impl Wakers {
    /// Room for so many waiters, which costs nothing before one of them wants to be woken.
    pub(crate) fn new(clock: Clock, cells_max: u32) -> Self {
        Self(Arc::new(Shared {
            clock,
            cells: OnceLock::new(),
            cells_max,
            alarms: Mutex::default(),
            changed: Condvar::new(),
        }))
    }

    /// Sets who is woken when the waiter of a cell is decided. Answers who was set before, to be
    /// dropped with nothing held: it may be the last of its task, which may have tickets as well.
    #[must_use = "to be dropped with nothing held"]
    pub(crate) fn set(&self, cell: u32, waker: Waker) -> Option<Waker> {
        let new = || (0..self.0.cells_max).map(|_| Mutex::new(None)).collect();
        let cells = self.0.cells.get_or_init(new);
        lock(&cells[cell as usize]).replace(waker)
    }

    /// Wakes whoever was set; says whether anybody was.
    pub(crate) fn wake(&self, cell: u32) -> bool {
        self.0.wake(cell)
    }

    /// Forgets who was set, and the alarm. Called before the cell may be another waiter's.
    pub(crate) fn forget(&self, cell: u32, alarm_ns: Option<u64>) {
        if let Some(at_ns) = alarm_ns {
            lock(&self.0.alarms).due.remove(&(at_ns, cell));
        }
        drop(self.0.take(cell));
    }

    /// Wakes the waiter of a cell at a time of the governor's clock, too.
    pub(crate) fn set_alarm(&self, cell: u32, at_ns: u64) {
        if matches!(self.0.clock, Clock::Manual(_)) {
            return;
        }
        self.enter(&mut lock(&self.0.alarms), at_ns, cell);
    }

    /// Wakes the owner of the governor at a time of the governor's clock, unless it is woken
    /// earlier; once.
    pub(crate) fn set_owner_alarm(&self, at_ns: u64, waker: &Waker) {
        if matches!(self.0.clock, Clock::Manual(_)) {
            return;
        }
        let mut alarms = lock(&self.0.alarms);
        let before_ns = alarms.owner.as_ref().map(|&(before_ns, _)| before_ns);
        if before_ns.is_some_and(|before_ns| before_ns <= at_ns) {
            return;
        }
        if let Some(before_ns) = before_ns {
            alarms.due.remove(&(before_ns, OWNER));
        }
        let before = alarms.owner.replace((at_ns, waker.clone()));
        self.enter(&mut alarms, at_ns, OWNER);
        drop(alarms);
        // Not with the alarms held: nobody knows what it takes along.
        drop(before);
    }

    fn enter(&self, alarms: &mut Alarms, at_ns: u64, cell: u32) {
        alarms.due.insert((at_ns, cell));
        if !alarms.running {
            let shared = self.0.clone();
            let thread = std::thread::Builder::new().name("allotment-alarms".to_string());
            // Without a thread the time is seen when somebody calls the governor.
            alarms.thread = thread.spawn(move || shared.run()).ok();
            alarms.running = alarms.thread.is_some();
        } else if alarms.due.first() == Some(&(at_ns, cell)) {
            self.0.changed.notify_one();
        }
    }
}

impl Drop for Wakers {
    fn drop(&mut self) {
        let thread = {
            let mut alarms = lock(&self.0.alarms);
            alarms.stopped = true;
            alarms.thread.take()
        };
        self.0.changed.notify_one();
        // A task that it woke may have dropped the governor: then it ends by itself.
        if let Some(thread) = thread.filter(|t| t.thread().id() != std::thread::current().id()) {
            // It cannot have panicked: wakers are called with panics caught.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn take(&self, cell: u32) -> Option<Waker> {
        lock(&self.cells.get()?[cell as usize]).take()
    }

    fn wake(&self, cell: u32) -> bool {
        let Some(waker) = self.take(cell) else { return false };
        wake_caught(waker);
        true
    }

    /// The thread that looks after alarms.
    fn run(&self) {
        let mut alarms = lock(&self.alarms);
        while !alarms.stopped {
            let now_ns = self.clock.now_ns();
            let sleep = match alarms.due.first() {
                Some(&(at_ns, cell)) if at_ns <= now_ns => {
                    alarms.due.pop_first();
                    let owner = if cell == OWNER { alarms.owner.take() } else { None };
                    drop(alarms);
                    match owner {
                        Some((_, waker)) => wake_caught(waker),
                        None => {
                            self.wake(cell);
                        }
                    }
                    alarms = lock(&self.alarms);
                    continue;
                }
                Some(&(at_ns, _)) => Duration::from_nanos(at_ns - now_ns),
                None => IDLE_MAX,
            };
            let idle = alarms.due.is_empty();
            let waited = self.changed.wait_timeout(alarms, sleep);
            let (again, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            alarms = again;
            if idle && timeout.timed_out() && alarms.due.is_empty() {
                alarms.running = false;
                return;
            }
        }
    }
}

/// Wakes a task. A waker that panics is its task's own loss, and must not keep others from being
/// woken. Called with nothing held.
pub(crate) fn wake_caught(waker: Waker) {
    caught(|| waker.wake());
}

/// What a panic left behind is whole: every change is a single step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
