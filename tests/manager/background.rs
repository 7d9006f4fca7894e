//! The threads of a manager: that they step, survive a panic, and end with the last clone.

use super::*;
use allotment::os::{MachineLevel, OsError, Probe, Sample, Scripted};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

/// Much longer than anything here takes; only a fault waits for so long.
const TOO_LONG: Duration = Duration::from_secs(60);

fn until(what: &str, mut is: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is() {
        assert!(begin.elapsed() < TOO_LONG, "{what} never came");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn level(level: MachineLevel) -> Result<Sample, OsError> {
    Ok(Sample { level, ..Sample::new(100, 50) })
}

fn threads(monitoring: bool, balancing: bool, probe: impl Probe + 'static) -> Manager {
    let config = MemoryConfig {
        enable_monitoring: monitoring,
        monitoring_interval_secs: 1,
        enable_memory_balancing: balancing,
        balancing_interval_secs: 1,
        ..memory(100)
    };
    let options = ManagerOptions::default().probe(probe).governor(|governor| {
        governor.tenants_max = 8;
        governor.grants_max = 256;
    });
    Manager::try_new_with(config, options).unwrap()
}

#[test]
fn the_balancer_thread_evicts_under_pressure_and_never_while_observing() {
    let manager = threads(false, true, Scripted::new(level(MachineLevel::Normal)));
    let one = named(&manager, 1, "chat", 100);
    now(manager.set_observe_only(true));
    for _ in 0..9 {
        cache(&manager, one, 10);
    }
    let steps = manager.background_status().balancer_steps;
    until("a step", || manager.background_status().balancer_steps > steps);
    assert_eq!(allocated_mb(&manager, one), 90);
    now(manager.set_observe_only(false));
    until("the eviction", || allocated_mb(&manager, one) == 70);
    let status = manager.background_status();
    assert!(status.balancing && !status.monitoring);
    assert_eq!((status.monitor_steps, status.panicked_steps), (0, 0));
}

#[test]
fn the_monitor_reports_what_the_machine_says() {
    let fault = OsError::Unsupported { system: "a script" };
    let script = Scripted::new(level(MachineLevel::Warning))
        .then(level(MachineLevel::Critical))
        .then(Err(fault.clone()));
    let manager = threads(false, false, script);
    assert_eq!(manager.machine(), None);
    now(manager.start_monitoring()).unwrap();
    now(manager.start_monitoring()).unwrap();
    assert!(manager.background_status().monitoring);
    until("the error", || manager.machine().is_some_and(|look| look.answer == Err(fault.clone())));
    // What was said before it stands.
    let page = now(manager.get_tenant_dashboard()).unwrap();
    assert_eq!(page.global_memory_status.memory_pressure, MemoryPressure::Critical);
    assert!(manager.background_status().monitor_steps >= 3);
}

#[test]
fn the_monitor_needs_an_interval_and_a_configuration_that_holds() {
    let lazy = MemoryConfig { monitoring_interval_secs: 0, ..memory(100) };
    let manager = Manager::try_new(lazy.clone()).unwrap();
    let no = now(manager.start_monitoring()).unwrap_err();
    assert!(matches!(no, MemoryError::Config { field: "monitoring_interval_secs", .. }), "{no}");
    let refused = Manager::new(MemoryConfig { enable_monitoring: true, ..lazy });
    assert_eq!(now(refused.start_monitoring()).unwrap_err(), no);
    assert_eq!(refused.background_status(), BackgroundStatus::default());
}

/// A probe that panics at its first look, and shows whether anybody still holds it.
struct Faulty {
    has_looked: bool,
    _held: Arc<()>,
}

impl Faulty {
    fn held_by(held: &Arc<()>) -> Self {
        Self { has_looked: false, _held: held.clone() }
    }
}

impl Probe for Faulty {
    fn sample(&mut self) -> Result<Sample, OsError> {
        let looked = std::mem::replace(&mut self.has_looked, true);
        assert!(looked, "the first look fails on purpose");
        level(MachineLevel::Warning)
    }
}

#[test]
fn a_step_that_panics_is_counted_and_the_next_one_comes() {
    let held = Arc::new(());
    let manager = threads(true, false, Faulty::held_by(&held));
    until("a look that succeeds", || manager.machine().is_some());
    assert_eq!(manager.background_status().panicked_steps, 1);
    let clone = manager.clone();
    drop(manager);
    until("a step for the clone", || clone.background_status().monitor_steps >= 3);
    drop(clone);
    assert_eq!(Arc::strong_count(&held), 1, "the thread has ended and so has the manager");
}

#[test]
fn threads_end_at_once_when_the_last_clone_goes() {
    let held = Arc::new(());
    let hourly = MemoryConfig {
        enable_monitoring: true,
        monitoring_interval_secs: 3_600,
        enable_memory_balancing: true,
        balancing_interval_secs: 3_600,
        ..memory(100)
    };
    let options = ManagerOptions::default().probe(Faulty::held_by(&held));
    let manager = Manager::try_new_with(hourly, options).unwrap();
    let status = manager.background_status();
    assert!(status.monitoring && status.balancing);
    let (done, told) = mpsc::channel();
    std::thread::spawn(move || {
        drop(manager);
        done.send(()).unwrap();
    });
    told.recv_timeout(TOO_LONG).expect("the interval is not slept through");
    assert_eq!(Arc::strong_count(&held), 1);
}

#[test]
fn a_callback_that_hangs_does_not_hold_up_who_drops_the_last_clone() {
    let manager = threads(true, false, Scripted::new(level(MachineLevel::Normal)));
    let one = named(&manager, 1, "chat", 100);
    granted(inference(&manager, one, 99));
    let ((enter, entered), (end, ended)) = (mpsc::channel(), mpsc::channel::<()>());
    let (enter, ended) = (Mutex::new(enter), Mutex::new(ended));
    manager.on_alert(move |_| {
        enter.lock().unwrap().send(()).unwrap();
        // Until the test is over.
        let _ = ended.lock().unwrap().recv();
    });
    entered.recv_timeout(TOO_LONG).expect("an alert");
    let (done, dropped) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        drop(manager);
        done.send(()).unwrap();
    });
    dropped.recv_timeout(TOO_LONG).expect("dropped while the callback hangs");
    drop(end);
    thread.join().unwrap();
}

#[test]
fn the_last_clone_may_be_dropped_by_a_callback_of_a_step() {
    let held = Arc::new(());
    let manager = threads(true, true, Faulty::held_by(&held));
    let one = named(&manager, 1, "chat", 100);
    let last = Arc::new(Mutex::new(None));
    let inside = last.clone();
    manager.on_evict(move |_| {
        drop(inside.lock().unwrap().take());
        ReclaimAnswer::Busy
    });
    for _ in 0..9 {
        cache(&manager, one, 10);
    }
    *last.lock().unwrap() = Some(manager);
    until("the end of the manager", || Arc::strong_count(&held) == 1);
}
