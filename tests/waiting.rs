//! Looking after a place in line: who is woken and when, for whom is evicted, and what becomes of
//! waiters when the rules change meanwhile. The line itself is tested in `wait.rs`.

use allotment::internals::sync::{AtomicU64, Ordering};
use allotment::os::ManualClock;
use allotment::*;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

const FOREVER: Duration = Duration::from_secs(1 << 30);
const PATIENCE_NS: u64 = 100;
/// How long a test waits for what must come, before it says that it did not.
const SURELY: Duration = Duration::from_secs(20);

fn governor(capacity_bytes: u64, clock: &ManualClock) -> Governor {
    let config = GovernorConfig {
        tenants_max: 16,
        grants_max: 4_096,
        quantum_bytes: 0,
        pool_pressure: false,
        patience_ns: PATIENCE_NS,
        clock: clock.clone().into(),
        ..GovernorConfig::new(capacity_bytes)
    };
    Governor::new(config).unwrap()
}

fn tenant(number: u128) -> TenantConfig {
    TenantConfig::new(TenantId::from_u128(number), number.to_string())
}

/// What nobody else may take: models are never evicted unless marked so.
fn fixed(tenant: TenantHandle, bytes: u64) -> Request {
    Request::new(tenant, AllocationType::ModelLoad, bytes)
}

fn bytes(ticket: &mut Ticket<'_>) -> u64 {
    ticket.poll().expect("decided").expect("granted").bytes()
}

/// Counts how often it is woken, and wakes a thread.
struct Woken(AtomicU64, std::thread::Thread);

impl Woken {
    fn new() -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(0), std::thread::current()))
    }

    fn times(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
        self.1.unpark();
    }
}

fn poll(ticket: &mut OwnedTicket, waker: &Waker) -> Poll<Result<OwnedGrant, Refusal>> {
    Future::poll(Pin::new(ticket), &mut Context::from_waker(waker))
}

// Pressure that has ended.

/// The pool is full of claim that nobody uses; only the walk along the line collects it.
#[test]
fn who_waits_at_a_limit_of_pressure_is_served_once_what_is_idle_was_collected() {
    let governor = Governor::new(GovernorConfig {
        tenants_max: 16,
        grants_max: 4_096,
        quantum_bytes: 0,
        clock: ManualClock::new().into(),
        ..GovernorConfig::new(100)
    });
    let governor = governor.unwrap();
    let one = governor.register_tenant(tenant(1)).unwrap();
    let two = TenantConfig { limit_bytes: Some(10), burst_bytes: Some(100), ..tenant(2) };
    let two = governor.register_tenant(two).unwrap();
    let most = governor.request(&fixed(one, 92)).unwrap();
    governor.balance();
    assert_eq!(governor.pressure(), Pressure::High);
    drop(most);
    let ticket = governor.enqueue(&fixed(two, 20), FOREVER).unwrap();
    assert!(ticket.is_granted(), "at {:?} nobody holds anything", governor.pressure());
    assert_eq!(governor.pressure(), Pressure::Normal);
}

// Who is woken.

#[test]
fn a_task_is_woken_at_its_deadline_although_nobody_calls() {
    let governor = Arc::new(Governor::new(GovernorConfig::new(10)).unwrap());
    let one = governor.register_tenant(tenant(1)).unwrap();
    let _all = governor.request(&fixed(one, 10)).unwrap();
    let (far, near) = (Duration::from_secs(3_600), Duration::from_secs(1));
    let waits: Vec<_> = [far, near].map(|w| governor.enqueue_owned(&fixed(one, 1), w)).into();
    let mut tickets: Vec<_> = waits.into_iter().map(Result::unwrap).collect();
    let woken = [Woken::new(), Woken::new()];
    for (ticket, woken) in tickets.iter_mut().zip(&woken) {
        assert!(poll(ticket, &Waker::from(woken.clone())).is_pending());
    }
    let begin = Instant::now();
    while woken[1].times() == 0 && begin.elapsed() < SURELY {
        std::thread::park_timeout(SURELY);
    }
    assert_eq!((woken[0].times(), woken[1].times()), (0, 1));
    match poll(&mut tickets[1], Waker::noop()) {
        Poll::Ready(Err(Refusal::Denied(no))) => {
            assert_eq!(no.reason, DenialReason::WaitedTooLong);
        }
        _ => panic!("woken at its deadline, and not too late"),
    }
    assert_eq!(governor.waiters(), 1);
}

#[test]
fn the_governor_may_go_with_the_last_task_that_is_woken() {
    /// A task that holds a ticket and the governor, and is gone once it was woken.
    struct Last(Mutex<Option<(OwnedTicket, Arc<Governor>)>>, std::thread::Thread);
    impl Wake for Last {
        fn wake(self: Arc<Self>) {
            let task = self.0.lock().unwrap().take();
            drop(task);
            self.1.unpark();
        }
    }
    let governor = Arc::new(Governor::new(GovernorConfig::new(10)).unwrap());
    let one = governor.register_tenant(tenant(1)).unwrap();
    // Held until the end by number: its grant must not keep the governor.
    let _all = governor.request(&fixed(one, 10)).unwrap().into_id();
    let mut ticket = governor.enqueue_owned(&fixed(one, 1), Duration::from_millis(50)).unwrap();
    let last = Arc::new(Last(Mutex::new(None), std::thread::current()));
    assert!(poll(&mut ticket, &Waker::from(last.clone())).is_pending());
    let gone = Arc::downgrade(&governor);
    *last.0.lock().unwrap() = Some((ticket, governor));
    let begin = Instant::now();
    while gone.upgrade().is_some() && begin.elapsed() < SURELY {
        std::thread::park_timeout(Duration::from_millis(10));
    }
    assert!(gone.upgrade().is_none());
}

#[test]
fn a_waker_that_panics_keeps_nobody_from_being_woken() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            std::panic::resume_unwind(Box::new("a waker that panics"));
        }
    }
    let governor = Arc::new(Governor::new(GovernorConfig::new(10)).unwrap());
    let one = governor.register_tenant(tenant(1)).unwrap();
    let all = governor.request(&fixed(one, 10)).unwrap();
    let enqueue = || governor.enqueue_owned(&fixed(one, 2), FOREVER).unwrap();
    let (mut first, mut second) = (enqueue(), enqueue());
    let woken = Woken::new();
    assert!(poll(&mut first, &Waker::from(Arc::new(Panics))).is_pending());
    assert!(poll(&mut second, &Waker::from(woken.clone())).is_pending());
    drop(all);
    assert_eq!(woken.times(), 1);
    assert!(poll(&mut first, Waker::noop()).is_ready());
    assert!(poll(&mut second, Waker::noop()).is_ready());
}

#[test]
fn a_waker_goes_with_its_ticket() {
    let governor = Arc::new(Governor::new(GovernorConfig::new(10)).unwrap());
    let one = governor.register_tenant(tenant(1)).unwrap();
    for decided in [false, true] {
        let all = governor.request(&fixed(one, 10)).unwrap();
        let mut ticket = governor.enqueue_owned(&fixed(one, 2), FOREVER).unwrap();
        let woken = Woken::new();
        assert!(poll(&mut ticket, &Waker::from(woken.clone())).is_pending());
        assert_eq!(Arc::strong_count(&woken), 2);
        if decided {
            drop(all);
            assert!(poll(&mut ticket, Waker::noop()).is_ready());
        } else {
            drop(ticket);
        }
        assert_eq!(Arc::strong_count(&woken), 1);
    }
}

// For whom is evicted.

#[test]
fn the_balancer_evicts_for_who_is_first_in_line() {
    let clock = ManualClock::new();
    let governor = governor(10, &clock);
    governor.on_reclaim(|_| ReclaimAnswer::Freed);
    let low = TenantConfig { priority: Priority::Low, ..tenant(1) };
    let low = governor.register_tenant(low).unwrap();
    let high = governor.register_tenant(tenant(2)).unwrap();
    let cache = Request::new(low, AllocationType::Cache, 10).pinned(true);
    let cache = governor.request(&cache).unwrap().into_id();
    let mut waiting = governor.enqueue(&fixed(high, 3), FOREVER).unwrap();
    governor.balance();
    assert!(waiting.poll().is_none());
    governor.unpin(low, cache).unwrap();
    governor.balance();
    assert_eq!(bytes(&mut waiting), 3);
}

#[test]
fn a_blocked_thread_that_is_first_in_line_evicts_by_itself() {
    let governor = Governor::new(GovernorConfig::new(10)).unwrap();
    governor.on_reclaim(|_| ReclaimAnswer::Freed);
    let low = TenantConfig { priority: Priority::Low, ..tenant(1) };
    let low = governor.register_tenant(low).unwrap();
    let high = governor.register_tenant(tenant(2)).unwrap();
    let cache = Request::new(low, AllocationType::Cache, 10).pinned(true);
    let cache = governor.request(&cache).unwrap().into_id();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| governor.acquire(&fixed(high, 6), SURELY).map(|g| g.bytes()));
        while governor.waiters() == 0 {
            std::thread::yield_now();
        }
        governor.unpin(low, cache).unwrap();
        assert_eq!(waiter.join().unwrap(), Ok(6));
    });
}

// What becomes of waiters meanwhile.

#[test]
fn who_cannot_fit_any_more_has_nothing_set_aside() {
    let clock = ManualClock::new();
    let governor = governor(10, &clock);
    let [one, two] = [1, 2].map(|n| governor.register_tenant(tenant(n)).unwrap());
    let mut held: Vec<_> = (0..2).map(|_| governor.request(&fixed(one, 4)).unwrap()).collect();
    let mut large = governor.enqueue(&fixed(two, 9), FOREVER).unwrap();
    clock.advance_ns(2 * PATIENCE_NS);
    drop(held.pop());
    assert_eq!(governor.usage(two).unwrap().set_aside_bytes, 6);
    assert_eq!(governor.snapshot().live_bytes, 4);
    let mut small = governor.enqueue(&fixed(one, 3), FOREVER).unwrap();
    assert!(small.poll().is_none());
    governor.set_capacity(8).unwrap();
    assert_eq!(bytes(&mut small), 3);
    assert_eq!(governor.usage(two).unwrap().set_aside_bytes, 0);
    // It still waits, and is served once it can be.
    assert!(large.poll().is_none());
    drop(held);
    governor.set_capacity(10).unwrap();
    assert_eq!(bytes(&mut large), 9);
}

#[test]
fn an_aged_waiter_is_not_passed_by_its_own_tenant_whoever_is_short() {
    let clock = ManualClock::new();
    let governor = governor(10, &clock);
    let config = GroupConfig { limit_bytes: Some(6), ..GroupConfig::new("g") };
    let group = governor.register_group(config).unwrap();
    let [one, two] = [1, 2]
        .map(|n| governor.register_tenant(TenantConfig { parent: Some(group), ..tenant(n) }))
        .map(Result::unwrap);
    let other = governor.register_tenant(tenant(3)).unwrap();
    let (first, _second) = (governor.request(&fixed(two, 3)), governor.request(&fixed(two, 1)));
    let _other = governor.request(&fixed(other, 3)).unwrap();
    // Two are aged, and one of them is the senior; both keep their tenants' later ones back.
    let mut larger = governor.enqueue(&fixed(other, 5), FOREVER).unwrap();
    clock.advance_ns(1);
    let mut large = governor.enqueue(&fixed(one, 5), FOREVER).unwrap();
    let mut small = governor.enqueue(&fixed(one, 1), FOREVER).unwrap();
    assert_eq!(bytes(&mut small), 1);
    let mut later = governor.enqueue(&fixed(one, 1), FOREVER).unwrap();
    assert_eq!(bytes(&mut later), 1);
    clock.advance_ns(2 * PATIENCE_NS);
    governor.balance();
    let mut late = governor.enqueue(&fixed(one, 1), FOREVER).unwrap();
    assert!(late.poll().is_none() && large.poll().is_none());
    drop(first.unwrap());
    assert_eq!(bytes(&mut larger), 5);
    assert_eq!(bytes(&mut large), 5);
    assert_eq!(bytes(&mut late), 1);
}

/// Who leaves unserved has not used its turn: those of its tenant behind it move forward.
#[test]
fn a_cancelled_wait_costs_its_tenant_no_turn() {
    let clock = ManualClock::new();
    let governor = governor(100, &clock);
    let [one, two] = [1, 2].map(|n| governor.register_tenant(tenant(n)).unwrap());
    let all = governor.request(&fixed(one, 100)).unwrap();
    let given_up: Vec<_> =
        (0..10).map(|_| governor.enqueue(&fixed(one, 30), FOREVER).unwrap()).collect();
    let mut patient = governor.enqueue(&fixed(one, 30), FOREVER).unwrap();
    let mut others: Vec<_> =
        (0..4).map(|_| governor.enqueue(&fixed(two, 35), FOREVER).unwrap()).collect();
    drop(given_up);
    all.shrink(70).unwrap();
    // 30 bytes are the first turn of its tenant, 35 are that of the other one.
    assert!(others[1].poll().is_none());
    assert_eq!(bytes(&mut patient) + bytes(&mut others[0]), 65);
}

#[test]
fn a_waiter_that_finds_no_slot_has_idle_ones_collected() {
    let clock = ManualClock::new();
    let config = GovernorConfig {
        tenants_max: 2,
        grants_max: 1,
        pool_pressure: false,
        clock: clock.clone().into(),
        ..GovernorConfig::new(1_000)
    };
    let governor = Governor::new(config).unwrap();
    let [one, two] = [1, 2].map(|n| governor.register_tenant(tenant(n)).unwrap());
    // All segments of the table belong to the first tenant in the end, and most slots are idle.
    let mut held = Vec::new();
    let denied = loop {
        match governor.try_request(&fixed(one, 1)) {
            Ok(grant) => held.push(grant),
            Err(refusal) => break refusal,
        }
    };
    assert_eq!(denied.denial().unwrap().reason, DenialReason::SlotsExhausted);
    let mut waiting = governor.enqueue(&fixed(two, 1), FOREVER).unwrap();
    assert!(waiting.poll().is_none());
    drop(held);
    governor.balance();
    assert_eq!(bytes(&mut waiting), 1);
}

#[test]
fn bytes_set_aside_are_no_pressure() {
    let clock = ManualClock::new();
    let config = GovernorConfig {
        quantum_bytes: 0,
        patience_ns: PATIENCE_NS,
        clock: clock.clone().into(),
        ..GovernorConfig::new(100)
    };
    let governor = Governor::new(config).unwrap();
    let [one, two] = [1, 2].map(|n| governor.register_tenant(tenant(n)).unwrap());
    let _five = governor.request(&fixed(one, 5)).unwrap();
    let rest = governor.request(&fixed(one, 60)).unwrap();
    let _large = governor.enqueue(&fixed(two, 96), FOREVER).unwrap();
    clock.advance_ns(2 * PATIENCE_NS);
    drop(rest);
    let report = governor.balance();
    assert_eq!(governor.usage(two).unwrap().set_aside_bytes, 95);
    assert_eq!((report.pressure, report.live_bytes), (Pressure::Normal, 5));
}

#[test]
fn a_tenant_with_grants_is_not_idle_although_bytes_are_set_aside() {
    let clock = ManualClock::new();
    let governor = governor(10, &clock);
    let [one, two] = [1, 2].map(|n| governor.register_tenant(tenant(n)).unwrap());
    let _own = governor.request(&fixed(two, 1)).unwrap();
    let held = governor.request(&fixed(one, 4)).unwrap();
    let _stays = governor.request(&fixed(one, 5)).unwrap();
    let mut large = governor.enqueue(&fixed(two, 5), FOREVER).unwrap();
    clock.advance_ns(2 * PATIENCE_NS);
    drop(held);
    assert_eq!(governor.usage(two).unwrap().set_aside_bytes, 4);
    let refused = governor.unregister_tenant(two, Unregister::IfIdle);
    assert_eq!(refused, Err(Error::GrantsLive { bytes: 1 }));
    assert!(large.poll().is_none());
}

// Waiting only where others are in the way, and looking at a ticket without taking it.

#[test]
fn who_waits_only_for_others_is_refused_at_its_own_limits() {
    let governor = Arc::new(governor(100, &ManualClock::new()));
    let one = governor.register_tenant(tenant(1)).unwrap();
    let limited = TenantConfig {
        limit_bytes: Some(50),
        grants_max: [Some(1), None, None, None],
        ..tenant(2)
    };
    let two = governor.register_tenant(limited).unwrap();
    let wait = |request: &Request| governor.request_or_enqueue_owned(request, FOREVER);
    let mut granted = wait(&fixed(one, 80)).unwrap();
    assert!(granted.is_ready() && granted.is_granted());
    let all = granted.poll().unwrap().unwrap();
    assert!(!granted.is_ready() && !granted.is_granted(), "the answer was taken");
    let reason = |request| wait(&request).map(drop).unwrap_err().denial().unwrap().reason;
    assert_eq!(reason(fixed(two, 51)), DenialReason::TenantLimit);
    assert_eq!(reason(fixed(one, 101)), DenialReason::Capacity, "more than there is");
    let mut waiting = wait(&fixed(two, 30)).unwrap();
    assert!(!waiting.is_ready() && waiting.poll().is_none());
    // Others that wait are no reason to wait: it goes before them if it fits while they do not.
    let mut small = wait(&fixed(one, 5)).unwrap();
    let small = small.poll().unwrap().unwrap();
    all.shrink(15).unwrap();
    assert!(waiting.is_ready() && waiting.is_granted());
    assert!(waiting.is_ready(), "a look takes nothing");
    let held = waiting.poll().unwrap().unwrap();
    assert_eq!((held.bytes(), small.bytes()), (30, 5));
    assert_eq!(reason(fixed(two, 1)), DenialReason::GrantCount);
}

#[test]
fn a_ticket_is_ready_when_its_time_is_over() {
    let clock = ManualClock::new();
    let governor = governor(10, &clock);
    let one = governor.register_tenant(tenant(1)).unwrap();
    let _all = governor.request(&fixed(one, 10)).unwrap();
    let mut ticket = governor.enqueue(&fixed(one, 1), Duration::from_nanos(5)).unwrap();
    clock.set_ns(4);
    assert!(!ticket.is_ready());
    clock.set_ns(5);
    assert!(ticket.is_ready() && !ticket.is_granted());
    let no = *ticket.poll().unwrap().unwrap_err().denial().unwrap();
    assert_eq!(no.reason, DenialReason::WaitedTooLong);
}

#[test]
fn bytes_ahead_are_those_of_who_is_due_first() {
    let governor = governor(100, &ManualClock::new());
    let one = governor.register_tenant(tenant(1)).unwrap();
    let critical = TenantConfig { priority: Priority::Critical, ..tenant(2) };
    let two = governor.register_tenant(critical).unwrap();
    let _all = governor.request(&fixed(one, 100)).unwrap();
    assert_eq!(governor.bytes_ahead(&fixed(two, 10)), Ok(0));
    let _small = governor.enqueue(&fixed(one, 10), FOREVER).unwrap();
    let _large = governor.enqueue(&fixed(one, 60), FOREVER).unwrap();
    assert_eq!(governor.bytes_ahead(&fixed(one, 5)), Ok(70), "first in, first out");
    assert_eq!(governor.bytes_ahead(&fixed(two, 5)), Ok(0), "twice the weight, half the bytes");
    assert_eq!(governor.bytes_ahead(&fixed(two, 40)), Ok(10));
    assert_eq!(governor.bytes_ahead(&fixed(two, 0)), Err(Error::ZeroBytes));
}

#[test]
fn what_was_pinned_may_go_for_who_waits() {
    let governor = governor(100, &ManualClock::new());
    governor.on_reclaim(|_| ReclaimAnswer::Freed);
    let low = TenantConfig { priority: Priority::Low, ..tenant(1) };
    let low = governor.register_tenant(low).unwrap();
    let one = governor.register_tenant(tenant(2)).unwrap();
    let block = Request::new(low, AllocationType::Cache, 80);
    let block = governor.request(&block.pinned(true)).unwrap();
    let wanted = fixed(one, 50);
    let mut ticket = governor.enqueue(&wanted, FOREVER).unwrap();
    governor.evict_for(&wanted).unwrap();
    assert!(!ticket.is_ready(), "still pinned");
    block.unpin().unwrap();
    governor.evict_for(&wanted).unwrap();
    assert_eq!(bytes(&mut ticket), 50);
    assert_eq!(governor.evict_for(&fixed(one, 0)), Err(Error::ZeroBytes));
}

#[test]
fn who_waits_is_not_inactive() {
    let clock = ManualClock::new();
    let governor = Governor::new(GovernorConfig {
        tenants_max: 8,
        grants_max: 64,
        quantum_bytes: 0,
        pool_pressure: false,
        inactive_limit_ns: 3_000_000_000,
        clock: clock.clone().into(),
        ..GovernorConfig::new(10)
    });
    let governor = governor.unwrap();
    let limited = |n| TenantConfig { limit_bytes: Some(10), ..tenant(n) };
    let [one, two] = [1, 2].map(|n| governor.register_tenant(limited(n)).unwrap());
    let all = governor.request(&fixed(one, 10)).unwrap();
    let waiting = governor.enqueue(&fixed(two, 5), FOREVER).unwrap();
    governor.report_pressure(Pressure::High);
    governor.balance();
    clock.advance_ns(4_000_000_000);
    governor.balance();
    drop(all);
    assert!(waiting.is_granted(), "{:?}", governor.usage(two));
}

#[test]
fn who_has_just_come_is_not_inactive() {
    let clock = ManualClock::new();
    let governor = Governor::new(GovernorConfig {
        tenants_max: 8,
        grants_max: 64,
        pool_pressure: false,
        inactive_limit_ns: 3_600_000_000_000,
        clock: clock.clone().into(),
        ..GovernorConfig::new(10)
    });
    let governor = governor.unwrap();
    governor.report_pressure(Pressure::High);
    clock.advance_ns(7_200_000_000_000);
    let one = TenantConfig { limit_bytes: Some(10), ..tenant(1) };
    let one = governor.register_tenant(one).unwrap();
    governor.balance();
    assert!(!governor.usage(one).unwrap().limit_lowered, "registered this very moment");
    let answer = governor.try_request(&fixed(one, 5)).map(Grant::into_id);
    assert!(answer.is_ok(), "memory is free and it is below its limit");
}

#[test]
fn who_waits_has_a_share_as_large_as_its_limits_allow() {
    let governor = Governor::new(GovernorConfig {
        tenants_max: 8,
        grants_max: 64,
        quantum_bytes: 0,
        pool_pressure: false,
        clock: ManualClock::new().into(),
        ..GovernorConfig::new(100)
    });
    let governor = governor.unwrap();
    let limited = |n, bytes| TenantConfig { limit_bytes: Some(bytes), ..tenant(n) };
    let [one, two, three] = [limited(1, 100), limited(2, 100), limited(3, 20)]
        .map(|config| governor.register_tenant(config).unwrap());
    let _all = governor.request(&fixed(one, 100)).unwrap();
    let share_of_one = || {
        governor.balance();
        governor.usage(one).unwrap().share_bytes
    };
    assert!(share_of_one() >= 100, "nobody else is active");
    let large = governor.enqueue(&fixed(two, 5), FOREVER).unwrap();
    assert_eq!(share_of_one(), 50);
    large.cancel();
    // What it waits for beyond its limits is not in the way of others.
    let small = [20; 3].map(|bytes| governor.enqueue(&fixed(three, bytes), FOREVER).unwrap());
    assert_eq!(share_of_one(), 80);
    drop(small);
    assert!(share_of_one() >= 100);
}

#[test]
fn the_balancer_evicts_for_the_line_what_was_kept_alive_until_now() {
    let clock = ManualClock::new();
    let governor = governor(10, &clock);
    governor.on_reclaim(|_| ReclaimAnswer::Freed);
    let low = TenantConfig { priority: Priority::Low, ..tenant(1) };
    let low = governor.register_tenant(low).unwrap();
    let high = governor.register_tenant(tenant(2)).unwrap();
    let cache = governor.request(&Request::new(low, AllocationType::Cache, 10)).unwrap().into_id();
    governor.keep_alive(low, cache, Duration::from_secs(10)).unwrap();
    let mut waiting = governor.enqueue(&fixed(high, 3), FOREVER).unwrap();
    governor.balance();
    assert!(waiting.poll().is_none(), "it is kept alive");
    clock.advance_ns(20_000_000_000);
    governor.balance();
    assert!(waiting.is_granted(), "its time was over 10 s ago");
}

#[test]
fn the_balancer_asks_an_owner_again_who_was_busy_when_somebody_queued() {
    let clock = ManualClock::new();
    let governor = governor(10, &clock);
    let asked = Arc::new(AtomicU64::new(0));
    let count = asked.clone();
    governor.on_reclaim(move |_| match count.fetch_add(1, Ordering::SeqCst) {
        0 => ReclaimAnswer::Busy,
        _ => ReclaimAnswer::Freed,
    });
    let low = TenantConfig { priority: Priority::Low, ..tenant(1) };
    let low = governor.register_tenant(low).unwrap();
    let high = governor.register_tenant(tenant(2)).unwrap();
    governor.request(&Request::new(low, AllocationType::Cache, 10)).unwrap().into_id();
    let waiting = governor.enqueue(&fixed(high, 3), FOREVER).unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    for _ in 0..10 {
        clock.advance_ns(governor.config().busy_cooldown_ns);
        governor.balance();
    }
    assert!(waiting.is_granted(), "asked {} times", asked.load(Ordering::SeqCst));
}

#[test]
fn a_denial_for_want_of_places_is_counted_like_any_other() {
    let config = GovernorConfig { waiters_max: 0, tenants_max: 8, ..GovernorConfig::new(10) };
    let governor = Governor::new(GovernorConfig { grants_max: 64, ..config }).unwrap();
    let one = governor.register_tenant(tenant(1)).unwrap();
    let _all = governor.request(&fixed(one, 10)).unwrap();
    let denied = || governor.usage(one).unwrap().denied;
    let before = denied();
    assert!(governor.enqueue(&fixed(one, 1), FOREVER).is_err());
    assert_eq!(denied(), before + 1);
}

#[test]
fn what_is_set_aside_for_a_tenant_is_no_reason_to_go_below_its_guarantee() {
    let clock = ManualClock::new();
    let governor = governor(100, &clock);
    governor.on_reclaim(|_| ReclaimAnswer::Freed);
    let config = TenantConfig { guarantee_bytes: 50, priority: Priority::Low, ..tenant(1) };
    let one = governor.register_tenant(config).unwrap();
    let two = governor.register_tenant(tenant(2)).unwrap();
    let high = TenantConfig { priority: Priority::Critical, ..tenant(3) };
    let high = governor.register_tenant(high).unwrap();
    let work = |bytes| Request::new(one, AllocationType::Inference, bytes).pinned(true);
    let guaranteed: Vec<_> = (0..5).map(|_| governor.request(&work(10)).unwrap()).collect();
    let mut held: Vec<_> = (0..5).map(|_| governor.request(&fixed(two, 10)).unwrap()).collect();
    let _large = governor.enqueue(&fixed(one, 45), FOREVER).unwrap();
    clock.advance_ns(2 * PATIENCE_NS);
    held.truncate(2);
    let usage = || governor.usage(one).unwrap();
    assert!(usage().set_aside_bytes >= 30, "{:?}", usage());
    guaranteed.iter().for_each(|grant| grant.unpin().unwrap());
    for _ in 0..3 {
        let _ = governor.request(&fixed(high, 10)).map(Grant::into_id);
    }
    assert_eq!(
        usage().evicted_bytes,
        0,
        "all 50 bytes of its grants are guaranteed: {:?}",
        usage()
    );
}

#[test]
fn an_executor_of_its_own_looks_after_who_is_first_in_line() {
    let clock = ManualClock::new();
    let governor = governor(10, &clock);
    let low = governor.register_tenant(TenantConfig { priority: Priority::Low, ..tenant(1) });
    let low = low.unwrap();
    let high = governor.register_tenant(TenantConfig { priority: Priority::High, ..tenant(2) });
    let high = high.unwrap();
    let asked = Arc::new(AtomicU64::new(0));
    let count = asked.clone();
    governor.on_reclaim(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        ReclaimAnswer::Freed
    });
    let caches = [5, 5].map(|bytes| {
        let cache = Request::new(low, AllocationType::Cache, bytes).pinned(true);
        governor.request(&cache).unwrap().into_id()
    });
    let mut tickets = [5, 5].map(|bytes| governor.enqueue(&fixed(high, bytes), FOREVER).unwrap());
    caches.iter().for_each(|cache| governor.unpin(low, *cache).unwrap());
    tickets[1].look_after();
    assert_eq!(asked.load(Ordering::SeqCst), 0, "it is not its turn");
    assert!(tickets.iter().all(|ticket| !ticket.is_ready()));
    tickets[0].look_after();
    let first = tickets[0].poll().expect("decided").expect("granted");
    assert_eq!((asked.load(Ordering::SeqCst), first.bytes()), (1, 5));
    assert!(!tickets[1].is_ready(), "what it did not need stays");
    tickets[0].look_after();
    assert_eq!(asked.load(Ordering::SeqCst), 1, "it has its answer");
    tickets[1].look_after();
    assert_eq!((asked.load(Ordering::SeqCst), bytes(&mut tickets[1])), (2, 5));
}

/// The handle is of a tenant whose slot another has: what that one is short of is not its concern.
#[test]
fn nobody_stands_in_line_for_a_tenant_that_is_gone() {
    let config = GovernorConfig { tenants_max: 2, ..GovernorConfig::new(100) };
    let governor = Governor::new(config).unwrap();
    let [other, gone] = [1, 2].map(|n| governor.register_tenant(tenant(n)).unwrap());
    governor.unregister_tenant(gone, Unregister::IfIdle).unwrap();
    let next = governor.register_tenant(tenant(3)).unwrap();
    assert_eq!(next.index(), gone.index());
    let _all = governor.try_request(&fixed(other, 100)).unwrap();
    let waits = governor.enqueue(&fixed(other, 10), FOREVER).unwrap();
    let refusal = governor.enqueue(&fixed(gone, 10), FOREVER).err();
    let is_gone = matches!(refusal, Some(Refusal::Misuse(Error::Gone { .. })));
    assert!(is_gone, "{refusal:?}");
    assert!(!waits.is_ready());
}
