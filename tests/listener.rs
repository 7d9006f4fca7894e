//! Who is told how short memory is: once for each change, by one thread at a time, with nothing
//! held. The protocol itself is in `loom-tests/tests/listener.rs`.

use AllocationType::{Cache, Inference};
use Pressure::{Critical, High, Normal};
use allotment::internals::listener::LOOKS_MAX;
use allotment::internals::sync::{AtomicU32, AtomicU64, Ordering};
use allotment::*;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier, Mutex, Weak};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(3_600);

/// A pool of 100 bytes whose fill counts as pressure, or does not.
fn governor(pool_pressure: bool) -> Arc<Governor> {
    let config = GovernorConfig {
        tenants_max: 8,
        grants_max: 1_024,
        waiters_max: 16,
        quantum_bytes: 0,
        pool_pressure,
        ..GovernorConfig::new(100)
    };
    Arc::new(Governor::new(config).unwrap())
}

fn tenant(governor: &Governor, number: u128, priority: Priority) -> TenantHandle {
    let id = TenantId::from_u128(number);
    let config = TenantConfig { priority, ..TenantConfig::new(id, number.to_string()) };
    governor.register_tenant(config).unwrap()
}

/// Sets a listener that keeps what it is told.
fn listen(governor: &Governor) -> Receiver<Pressure> {
    let (tell, told) = channel();
    governor.on_pressure(move |pressure| tell.send(pressure).unwrap());
    told
}

fn taken(told: &Receiver<Pressure>) -> Vec<Pressure> {
    told.try_iter().collect()
}

#[test]
fn a_change_is_told_once_and_no_change_is_not() {
    let governor = governor(false);
    governor.report_pressure(High);
    governor.report_pressure(Normal);
    let told = listen(&governor);
    for (reported, expected) in [
        (Normal, None),
        (High, Some(High)),
        (High, None),
        (Critical, Some(Critical)),
        (Normal, Some(Normal)),
        (Normal, None),
    ] {
        governor.report_pressure(reported);
        assert_eq!(told.try_iter().collect::<Vec<_>>(), Vec::from_iter(expected));
        governor.balance();
        governor.balance_without_eviction();
        governor.report_measured_process(None);
        assert_eq!(taken(&told), [], "no change");
    }
}

#[test]
fn a_listener_that_is_new_begins_with_normal() {
    let governor = governor(false);
    let first = listen(&governor);
    governor.report_pressure(High);
    assert_eq!(taken(&first), [High]);
    let second = listen(&governor);
    assert_eq!(taken(&second), [], "by the next step");
    governor.balance();
    assert_eq!((taken(&first), taken(&second)), (vec![], vec![High]));
    governor.clear_on_pressure();
    governor.report_pressure(Critical);
    assert_eq!(taken(&second), []);
    assert!(second.recv().is_err(), "it was dropped");
    governor.clear_on_pressure();
    let third = listen(&governor);
    governor.report_pressure(Normal);
    assert_eq!(taken(&third), [], "it was told nothing else before");
}

/// What a test of a verb has: a tenant that holds 96 of 100 bytes that nobody may take, at Normal
/// as far as anybody has looked.
struct Full {
    governor: Arc<Governor>,
    one: TenantHandle,
    two: TenantHandle,
    held: GrantId,
    told: Receiver<Pressure>,
}

impl Full {
    /// What does not fit.
    fn want(&self) -> Request {
        Request::new(self.two, Inference, 10)
    }
}

fn full() -> Full {
    let governor = governor(true);
    let one = tenant(&governor, 1, Priority::Normal);
    let two = tenant(&governor, 2, Priority::Normal);
    let told = listen(&governor);
    let held = Request::new(one, Inference, 96).pinned(true);
    let held = governor.try_request(&held).unwrap().into_id();
    assert_eq!(governor.pressure(), Normal);
    Full { governor, one, two, held, told }
}

#[test]
fn steps_that_may_take_long_tell() {
    type Step = fn(&Full);
    let steps: [(&str, Step); 11] = [
        ("balance", |full| _ = full.governor.balance()),
        ("balance_without_eviction", |full| _ = full.governor.balance_without_eviction()),
        ("report_pressure", |full| full.governor.report_pressure(Normal)),
        ("report_measured_process", |full| full.governor.report_measured_process(Some(1))),
        ("request", |full| {
            full.governor.request(&full.want()).unwrap_err();
        }),
        ("request_owned", |full| {
            full.governor.request_owned(&full.want()).unwrap_err();
        }),
        ("reserve", |full| {
            assert!(full.governor.reserve(&full.want(), LONG).is_err());
        }),
        ("grow_evicting", |full| {
            full.governor.grow_evicting(full.one, full.held, 10).unwrap_err();
        }),
        ("enqueue", |full| {
            // Its place is still good when the listener has been called.
            let mut ticket = full.governor.enqueue(&full.want(), LONG).unwrap();
            full.governor.release(full.one, full.held).unwrap();
            assert!(ticket.poll().is_some());
        }),
        ("acquire", |full| {
            full.governor.acquire(&full.want(), Duration::ZERO).unwrap_err();
        }),
        ("request_or_enqueue_owned", |full| {
            drop(full.governor.request_or_enqueue_owned(&full.want(), LONG).unwrap());
        }),
    ];
    for (name, step) in steps {
        let full = full();
        step(&full);
        assert_eq!(taken(&full.told).first(), Some(&Critical), "{name}");
    }
    // A denial of one that does not wait in line.
    let full = full();
    full.governor.set_tenant(full.two, |config| config.limit_bytes = Some(9)).unwrap();
    full.governor.try_request(&Request::new(full.one, Inference, 10)).unwrap_err();
    full.governor.enqueue(&full.want(), LONG).unwrap_err();
    assert_eq!(taken(&full.told), [Critical], "enqueue, denied");
}

#[test]
fn what_is_granted_by_evicting_tells_what_has_changed_before() {
    type Step = fn(&Full) -> u64;
    let steps: [(&str, Step); 3] = [
        ("request", |full| full.governor.request(&full.want()).unwrap().bytes()),
        ("grow_evicting", |full| {
            let small = full.governor.request(&Request::new(full.two, Inference, 1)).unwrap();
            full.governor.grow_evicting(full.two, small.id(), 9).unwrap();
            small.bytes()
        }),
        ("enqueue", |full| {
            let mut ticket = full.governor.enqueue(&full.want(), LONG).unwrap();
            ticket.poll().expect("at once").unwrap().bytes()
        }),
    ];
    for (name, step) in steps {
        let full = full();
        full.governor.on_reclaim(|_| ReclaimAnswer::Freed);
        full.governor.try_request(&full.want()).unwrap_err();
        full.governor.unpin(full.one, full.held).unwrap();
        assert_eq!((full.governor.pressure(), taken(&full.told)), (Critical, vec![]));
        full.governor.set_tenant(full.two, |config| config.priority = Priority::High).unwrap();
        assert_eq!((step(&full), taken(&full.told)), (10, vec![Critical]), "{name}");
    }
}

#[test]
fn who_evicts_for_the_line_tells() {
    type Step = fn(&Full, &Ticket<'_>);
    let steps: [(&str, Step); 2] = [
        ("evict_for", |full, _| {
            full.governor.evict_for(&full.want()).unwrap();
        }),
        ("look_after", |_, ticket| ticket.look_after()),
    ];
    for (name, step) in steps {
        let full = full();
        full.governor.clear_on_pressure();
        let ticket = full.governor.enqueue(&full.want(), LONG).unwrap();
        let told = listen(&full.governor);
        step(&full, &ticket);
        assert_eq!(taken(&told), [Critical], "{name}");
    }
}

#[test]
fn bounded_verbs_tell_nobody() {
    let full = full();
    let Full { governor, one, two, held, told } = &full;
    let other = governor.try_request(&Request::new(*two, Cache, 2)).unwrap().into_id();
    governor.try_request(&Request::new(*two, Cache, 10)).unwrap_err();
    assert_eq!(governor.pressure(), Critical, "it has changed");
    governor.grow(*two, other, 1).unwrap();
    governor.grow(*two, other, 50).unwrap_err();
    governor.shrink(*two, other, 1).unwrap();
    governor.true_up(*two, other, 1).unwrap();
    governor.touch(*two, other).unwrap();
    governor.bytes_of(*two, other).unwrap();
    governor.request_all(&[Request::new(*two, Cache, 50)]).unwrap_err();
    governor.release(*two, other).unwrap();
    governor.release(*one, *held).unwrap();
    drop(governor.request(&Request::new(*two, Cache, 50)).unwrap());
    drop(governor.enqueue(&Request::new(*two, Cache, 50), LONG).unwrap());
    assert_eq!(taken(told), [], "also what evicts does not, if it has no need to");
    assert_eq!(governor.pressure(), Critical);
    governor.balance();
    assert_eq!(taken(told), [], "what ended before it could be told is not");
    assert_eq!(governor.pressure(), Normal);
}

/// I9: whatever a listener calls, nobody waits for ever, and it is called by one at a time.
#[test]
fn a_listener_may_call_anything() {
    let full = full();
    let governor = &full.governor;
    let weak = Arc::downgrade(governor);
    let (tell, told) = channel();
    let within = AtomicU32::new(0);
    governor.on_pressure(move |pressure| {
        assert_eq!(within.fetch_add(1, Ordering::SeqCst), 0, "one at a time");
        let governor = weak.upgrade().unwrap();
        let two = governor.find_named("2").unwrap();
        let request = Request::new(two, Inference, 10);
        governor.balance();
        let _ = governor.snapshot();
        let _ = governor.explain(&request);
        let _ = governor.request(&request);
        let ticket = governor.enqueue(&request, LONG).unwrap();
        ticket.look_after();
        drop(ticket);
        governor.set_tenant(two, |config| config.name = "2".into()).unwrap();
        let three = tenant(&governor, 3, Priority::Low);
        governor.unregister_tenant(three, Unregister::IfIdle).unwrap();
        governor.set_capacity(100).unwrap();
        if pressure == Critical {
            // Told after this has returned.
            let one = governor.find_named("1").unwrap();
            governor.unregister_tenant(one, Unregister::Force).unwrap();
            governor.balance();
            assert_eq!(governor.pressure(), Normal);
        }
        tell.send(pressure).unwrap();
        within.fetch_sub(1, Ordering::SeqCst);
    });
    governor.request(&full.want()).unwrap_err();
    assert_eq!(taken(&told), [Critical, Normal]);
}

#[test]
fn a_listener_that_changes_the_pressure_each_time_is_left_after_a_while() {
    let governor = governor(false);
    let weak = Arc::downgrade(&governor);
    let calls = Arc::new(AtomicU64::new(0));
    let count = calls.clone();
    governor.on_pressure(move |pressure| {
        count.fetch_add(1, Ordering::SeqCst);
        let other = if pressure == Normal { High } else { Normal };
        weak.upgrade().unwrap().report_pressure(other);
    });
    for steps in 1..=3 {
        governor.report_pressure(High);
        governor.report_pressure(Critical);
        let calls = calls.load(Ordering::SeqCst);
        assert!(calls > 0 && calls <= 2 * steps * u64::from(LOOKS_MAX), "{calls}");
    }
    let told = listen(&governor);
    governor.report_pressure(Critical);
    assert_eq!(taken(&told), [Critical], "telling goes on");
}

#[test]
fn a_listener_that_panics_is_told_the_next_change() {
    let governor = governor(false);
    let (tell, told) = channel();
    let weak = Arc::downgrade(&governor);
    governor.on_pressure(move |pressure| {
        tell.send(pressure).unwrap();
        if pressure != Normal {
            weak.upgrade().unwrap().balance();
            panic!("the listener's own fault");
        }
    });
    governor.report_pressure(High);
    governor.report_pressure(High);
    assert_eq!(taken(&told), [High], "it counts as told");
    governor.report_pressure(Critical);
    governor.report_pressure(Normal);
    assert_eq!(taken(&told), [Critical, Normal]);
    let next = listen(&governor);
    governor.report_pressure(High);
    assert_eq!(taken(&next), [High]);
}

#[test]
fn what_a_listener_throws_may_throw_again() {
    struct Thrown;
    impl Drop for Thrown {
        fn drop(&mut self) {
            panic!("also what was thrown");
        }
    }
    let governor = governor(false);
    governor.on_pressure(|_| std::panic::panic_any(Thrown));
    governor.report_pressure(High);
    assert_eq!(governor.pressure(), High);
    let next = listen(&governor);
    governor.report_pressure(Critical);
    assert_eq!(taken(&next), [Critical]);
}

/// Fewer notes than a teller looks, so none is left behind.
#[test]
fn the_last_told_level_is_the_one_in_force_whoever_changes_it() {
    const THREADS: usize = 4;
    const REPORTS: usize = LOOKS_MAX as usize / THREADS - 1;
    for round in 0..200 {
        let governor = governor(false);
        let (tell, told) = channel();
        let within = AtomicU32::new(0);
        let tell = Mutex::new(tell);
        governor.on_pressure(move |pressure| {
            let others = within.fetch_add(1, Ordering::SeqCst);
            tell.lock().unwrap().send((others, pressure)).unwrap();
            within.fetch_sub(1, Ordering::SeqCst);
        });
        let begin = Barrier::new(THREADS);
        std::thread::scope(|threads| {
            for thread in 0..THREADS {
                let (governor, begin) = (&governor, &begin);
                threads.spawn(move || {
                    begin.wait();
                    for report in 0..REPORTS {
                        let level = (thread * 7 + report * 5 + round) / 3 % 3;
                        governor.report_pressure(Pressure::ALL[level]);
                    }
                });
            }
        });
        let mut last = Normal;
        for (others, pressure) in told.try_iter() {
            assert_eq!(others, 0, "one at a time");
            assert_ne!(pressure, last, "a change each time");
            last = pressure;
        }
        assert_eq!(last, governor.pressure(), "round {round}");
    }
}

/// Calls the governor when it is dropped.
struct Kept(Weak<Governor>, Sender<Option<TenantHandle>>);

impl Drop for Kept {
    fn drop(&mut self) {
        let Some(governor) = self.0.upgrade() else { return };
        // With one of the mutexes held these would never return.
        governor.balance();
        self.1.send(governor.find_named("1")).unwrap();
    }
}

#[test]
fn a_listener_may_be_replaced_from_within() {
    let governor = governor(false);
    let one = tenant(&governor, 1, Priority::Normal);
    let (drop_tell, dropped) = channel();
    let (tell, told) = channel();
    let kept = Kept(Arc::downgrade(&governor), drop_tell);
    let weak = Arc::downgrade(&governor);
    governor.on_pressure(move |pressure| {
        let governor = kept.0.upgrade().unwrap();
        let next = tell.clone();
        governor.on_pressure(move |pressure| next.send((2, pressure)).unwrap());
        tell.send((1, pressure)).unwrap();
    });
    governor.report_pressure(High);
    assert_eq!(dropped.try_iter().collect::<Vec<_>>(), [Some(one)], "with nothing held");
    governor.report_pressure(Critical);
    assert_eq!(told.try_iter().collect::<Vec<_>>(), [(1, High), (2, High), (2, Critical)]);
    let (tell, told) = channel();
    governor.on_pressure(move |pressure| {
        weak.upgrade().unwrap().clear_on_pressure();
        tell.send(pressure).unwrap();
    });
    governor.balance();
    governor.report_pressure(Normal);
    assert_eq!(told.iter().collect::<Vec<_>>(), [Critical], "told once, and dropped");
}
