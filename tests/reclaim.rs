//! Owners that hang, panic or answer late: nobody waits for them for long, and no byte is lost.

use allotment::os::ManualClock;
use allotment::*;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const SHORT: Duration = Duration::from_millis(30);
/// Much longer than anything here takes; only a fault waits for so long.
const TOO_LONG: Duration = Duration::from_secs(60);
const COOLDOWN_NS: u64 = 1_000_000_000;

struct Stage {
    clock: ManualClock,
    governor: Arc<Governor>,
    /// Its handler hangs.
    bad: TenantHandle,
    /// Its handler frees.
    good: TenantHandle,
    /// Goes before both.
    high: TenantHandle,
    /// What the bad handler answers, for each time it is asked.
    answers: Sender<ReclaimAnswer>,
    /// Who was asked.
    asked: Receiver<Victim>,
}

/// A pool of 100 bytes.
fn stage() -> Stage {
    let clock = ManualClock::new();
    let governor = Governor::new(GovernorConfig {
        tenants_max: 8,
        grants_max: 1_024,
        events_max: 1_024,
        pool_pressure: false,
        quantum_bytes: 0,
        clock: clock.clone().into(),
        ..GovernorConfig::new(100)
    });
    let governor = Arc::new(governor.unwrap());
    let tenant = |number: u128, priority| {
        let id = TenantId::from_u128(number);
        let config = TenantConfig { priority, ..TenantConfig::new(id, format!("{number}")) };
        governor.register_tenant(config).unwrap()
    };
    let bad = tenant(1, Priority::Low);
    let good = tenant(2, Priority::Normal);
    let high = tenant(3, Priority::High);
    let ((answers, next), (tell, asked)) = (channel(), channel());
    let (next, told) = (Mutex::new(next), tell.clone());
    governor
        .on_tenant_reclaim_within(bad, SHORT, move |victim| {
            told.send(*victim).unwrap();
            next.lock().unwrap().recv().unwrap_or(ReclaimAnswer::Busy)
        })
        .unwrap();
    governor.on_reclaim_within(TOO_LONG, move |victim| {
        tell.send(*victim).unwrap();
        ReclaimAnswer::Freed
    });
    Stage { clock, governor, bad, good, high, answers, asked }
}

impl Stage {
    fn cache(&self, tenant: TenantHandle, bytes: u64) -> GrantId {
        let request = Request::new(tenant, AllocationType::Cache, bytes);
        self.governor.request(&request).unwrap().into_id()
    }

    fn ask(&self, bytes: u64) -> Result<GrantId, Refusal> {
        let request = Request::new(self.high, AllocationType::Inference, bytes);
        self.governor.request(&request).map(Grant::into_id)
    }

    fn used(&self, tenant: TenantHandle) -> u64 {
        self.governor.usage(tenant).unwrap().used_bytes
    }

    /// Tenants asked since the last call.
    fn asked(&self) -> Vec<TenantHandle> {
        self.asked.try_iter().map(|victim| victim.tenant).collect()
    }

    fn events(&self, kind: EventKind) -> Vec<Event> {
        let mut reader = self.governor.events();
        let mut found = Vec::new();
        loop {
            match reader.read() {
                EventRead::Event(event) => found.push(event),
                EventRead::Lost(_) => {}
                EventRead::Empty => break,
            }
        }
        found.retain(|event| event.kind == kind);
        found
    }

    /// Steps until something is as it should be: a late answer takes its way over a thread.
    fn until(&self, what: &str, is: impl Fn(&Self) -> bool) {
        let begin = Instant::now();
        while !is(self) {
            assert!(begin.elapsed() < TOO_LONG, "{what} never came");
            std::thread::sleep(Duration::from_millis(2));
            self.governor.balance();
        }
    }

    /// Everything goes back, and everything adds up.
    fn close(self) {
        for tenant in [self.bad, self.good, self.high] {
            self.governor.unregister_tenant(tenant, Unregister::Force).unwrap();
        }
        assert_eq!(self.governor.snapshot().live_bytes, 0);
        assert_eq!(self.governor.snapshot().claimed_bytes, 0);
    }
}

#[test]
fn an_owner_that_hangs_keeps_its_grant_and_the_next_victim_goes() {
    let stage = stage();
    let kept = stage.cache(stage.bad, 50);
    stage.cache(stage.good, 50);
    stage.ask(50).unwrap();
    assert_eq!(stage.asked(), [stage.bad, stage.good]);
    assert_eq!((stage.used(stage.bad), stage.used(stage.good)), (50, 0));
    let [event] = stage.events(EventKind::ReclaimTimedOut)[..] else { panic!("one event") };
    assert_eq!((event.grant, event.bytes), (kept.as_u64(), 50));
    assert_eq!(stage.governor.snapshot().reclaim_timeouts, 1);
    // It is live: its owner may use it and return it.
    stage.governor.touch(stage.bad, kept).unwrap();
    assert_eq!(stage.governor.release(stage.bad, kept), Ok(Released::Returned));
    stage.close();
}

#[test]
fn an_owner_that_owes_an_answer_is_left_alone_for_the_cool_down() {
    let stage = stage();
    stage.cache(stage.bad, 25);
    stage.cache(stage.bad, 25);
    stage.ask(50).unwrap();
    stage.ask(10).unwrap_err();
    assert_eq!(stage.asked(), [stage.bad], "asked once, and not for its other grant");
    stage.ask(10).unwrap_err();
    assert_eq!(stage.asked(), []);
    stage.clock.advance_ns(COOLDOWN_NS);
    stage.ask(10).unwrap_err();
    assert_eq!(stage.asked(), [stage.bad], "the cool-down is over");
    stage.clock.advance_ns(COOLDOWN_NS);
    stage.ask(10).unwrap_err();
    assert_eq!(stage.asked(), [], "it owes two answers");
    stage.answers.send(ReclaimAnswer::Busy).unwrap();
    stage.answers.send(ReclaimAnswer::Busy).unwrap();
    stage.answers.send(ReclaimAnswer::Freed).unwrap();
    stage.until("a third question", |stage| {
        stage.clock.advance_ns(COOLDOWN_NS);
        stage.ask(10).is_ok()
    });
    assert_eq!(stage.used(stage.bad), 25);
    stage.close();
}

#[test]
fn what_is_freed_late_ends_then() {
    let stage = stage();
    let late = stage.cache(stage.bad, 60);
    let other = stage.cache(stage.bad, 40);
    stage.ask(50).unwrap_err();
    assert_eq!(stage.used(stage.bad), 100);
    stage.answers.send(ReclaimAnswer::Freed).unwrap();
    stage.until("the end of the grant", |stage| stage.used(stage.bad) == 40);
    let victim = stage.events(EventKind::ReclaimTimedOut)[0].grant;
    let ended = if victim == late.as_u64() { late } else { other };
    assert_eq!(ended, late);
    assert_eq!(stage.governor.release(stage.bad, late), Ok(Released::Evicted));
    let usage = stage.governor.usage(stage.bad).unwrap();
    assert_eq!((usage.evicted, usage.evicted_bytes), (1, 60));
    assert_eq!(stage.events(EventKind::Evicted).len(), 1);
    stage.ask(60).unwrap();
    stage.close();
}

#[test]
fn whoever_is_short_finds_what_was_freed_late() {
    let stage = stage();
    stage.cache(stage.bad, 60);
    stage.ask(50).unwrap_err();
    stage.answers.send(ReclaimAnswer::Freed).unwrap();
    let begin = Instant::now();
    while stage.ask(50).is_err() {
        assert!(begin.elapsed() < TOO_LONG, "the late answer never came");
    }
    assert_eq!(stage.used(stage.bad), 0);
    stage.close();
}

#[test]
fn late_answers_to_what_has_ended_or_is_kept_change_nothing() {
    for answer in [ReclaimAnswer::Freed, ReclaimAnswer::Busy, ReclaimAnswer::Deferred] {
        let stage = stage();
        let gone = stage.cache(stage.bad, 60);
        stage.ask(50).unwrap_err();
        if answer == ReclaimAnswer::Freed {
            assert_eq!(stage.governor.release(stage.bad, gone), Ok(Released::Returned));
            // Its slot is used again, for a grant that nobody has freed.
            stage.cache(stage.bad, 60);
        }
        stage.answers.send(answer).unwrap();
        // The second question comes after the first was answered.
        stage.answers.send(ReclaimAnswer::Freed).unwrap();
        stage.clock.advance_ns(COOLDOWN_NS - 1);
        for _ in 0..20 {
            stage.governor.balance();
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(stage.used(stage.bad), 60, "{answer:?}");
        stage.clock.advance_ns(1);
        stage.until("the end of the grant", |stage| stage.ask(50).is_ok());
        assert_eq!(stage.used(stage.bad), 0, "{answer:?}");
        stage.close();
    }
}

#[test]
fn a_panic_is_recorded_on_either_kind_of_thread() {
    for timeout in [Duration::ZERO, TOO_LONG] {
        let stage = stage();
        let handler = |_: &Victim| -> ReclaimAnswer { panic!("the owner's own fault") };
        stage.governor.on_tenant_reclaim_within(stage.bad, timeout, handler).unwrap();
        stage.cache(stage.bad, 50);
        stage.cache(stage.good, 50);
        stage.ask(50).unwrap();
        assert_eq!(stage.asked(), [stage.good]);
        assert_eq!(stage.events(EventKind::ReclaimPanicked).len(), 1);
        let snapshot = stage.governor.snapshot();
        assert_eq!((snapshot.reclaim_panics, snapshot.reclaim_timeouts), (1, 0));
        stage.close();
    }
}

/// What an owner throws, and what throws again when it is dropped.
struct Thrown;

impl Drop for Thrown {
    fn drop(&mut self) {
        panic!("also what was thrown");
    }
}

#[test]
fn what_an_owner_throws_may_throw_again_on_either_kind_of_thread() {
    for timeout in [Duration::ZERO, TOO_LONG] {
        let stage = stage();
        let (tell, thrown) = channel();
        let handler = move |_: &Victim| -> ReclaimAnswer {
            tell.send(()).unwrap();
            std::panic::panic_any(Thrown)
        };
        stage.governor.on_tenant_reclaim_within(stage.bad, timeout, handler).unwrap();
        let kept = stage.cache(stage.bad, 50);
        stage.cache(stage.good, 50);
        let granted = stage.ask(50).unwrap();
        assert_eq!((thrown.try_iter().count(), stage.asked()), (1, vec![stage.good]));
        let snapshot = stage.governor.snapshot();
        assert_eq!((snapshot.reclaim_panics, snapshot.reclaim_timeouts), (1, 0));
        // It is live, and its owner is asked again once it was left alone for a while.
        stage.governor.touch(stage.bad, kept).unwrap();
        stage.ask(50).unwrap_err();
        assert_eq!(thrown.try_iter().count(), 0);
        stage.clock.advance_ns(COOLDOWN_NS);
        stage.ask(50).unwrap_err();
        assert_eq!(thrown.try_iter().count(), 1);
        assert_eq!(stage.governor.release(stage.bad, kept), Ok(Released::Returned));
        stage.governor.release(stage.high, granted).unwrap();
        // Nothing is on its way any more that others would wait for.
        stage.cache(stage.good, 100);
        stage.ask(50).unwrap();
        assert_eq!(stage.asked(), [stage.good]);
        stage.close();
    }
}

#[test]
fn handlers_within_handlers_end_when_no_thread_is_left() {
    let stage = stage();
    let (weak, high) = (Arc::downgrade(&stage.governor), stage.high);
    let deepest = Arc::new(Mutex::new((0u32, 0u32)));
    let depth = deepest.clone();
    stage.governor.on_reclaim_within(TOO_LONG, move |_| {
        {
            let mut depth = depth.lock().unwrap();
            depth.0 += 1;
            depth.1 = depth.1.max(depth.0);
        }
        // Short itself, it evicts the next one, whose handler does the same.
        let governor = weak.upgrade().expect("the governor of the caller");
        drop(governor.request(&Request::new(high, AllocationType::Inference, 50)));
        depth.lock().unwrap().0 -= 1;
        ReclaimAnswer::Freed
    });
    for _ in 0..20 {
        stage.cache(stage.good, 5);
    }
    let (done, told) = channel();
    let governor = stage.governor.clone();
    std::thread::spawn(move || {
        let request = Request::new(high, AllocationType::Inference, 50);
        drop(governor.request(&request));
        done.send(()).unwrap();
    });
    told.recv_timeout(TOO_LONG).expect("nobody waits for a thread that waits itself");
    let (now, most) = *deepest.lock().unwrap();
    assert!(now == 0 && most > 1, "{most} at once, {now} left");
    // Those for whom there was no thread are live, and may go later.
    stage.governor.on_reclaim(|_| ReclaimAnswer::Freed);
    stage.clock.advance_ns(COOLDOWN_NS);
    stage.ask(100).unwrap();
    stage.close();
}

#[test]
fn a_governor_goes_while_an_owner_hangs() {
    let stage = stage();
    let kept = stage.cache(stage.bad, 50);
    stage.cache(stage.bad, 50);
    stage.ask(50).unwrap_err();
    stage.governor.unregister_tenant(stage.bad, Unregister::Force).unwrap();
    let gone = Arc::downgrade(&stage.governor);
    let (done, told) = channel();
    let (governor, answers) = (stage.governor, stage.answers);
    std::thread::spawn(move || {
        drop(governor);
        done.send(()).unwrap();
    });
    told.recv_timeout(TOO_LONG).expect("nobody waits for the owner");
    assert!(gone.upgrade().is_none());
    // Its answer, if one comes at last, is nobody's.
    answers.send(ReclaimAnswer::Freed).unwrap();
    assert_ne!(kept.as_u64(), 0);
}

#[test]
fn one_owner_that_hangs_does_not_take_all_threads() {
    const ASKERS: u64 = 8;
    let governor = Governor::new(GovernorConfig {
        tenants_max: 8,
        grants_max: 1_024,
        pool_pressure: false,
        quantum_bytes: 0,
        ..GovernorConfig::new(90)
    });
    let governor = Arc::new(governor.unwrap());
    let tenant = |number: u128, priority| {
        let id = TenantId::from_u128(number);
        let config = TenantConfig { priority, ..TenantConfig::new(id, format!("{number}")) };
        governor.register_tenant(config).unwrap()
    };
    let (bad, good) = (tenant(1, Priority::Low), tenant(2, Priority::Normal));
    let high = tenant(3, Priority::High);
    let ((release, hangs), (tell, asked)) = (channel::<()>(), channel());
    let (hangs, tell) = (Mutex::new(hangs), Mutex::new(tell));
    let hangs = Arc::new(hangs);
    let told = Arc::new(tell);
    let (hang, tell) = (hangs.clone(), told.clone());
    governor
        .on_tenant_reclaim_within(bad, Duration::from_secs(1), move |_| {
            tell.lock().unwrap().send(()).unwrap();
            // Until the test is over.
            let _ = hang.lock().unwrap().recv();
            ReclaimAnswer::Busy
        })
        .unwrap();
    governor.on_reclaim_within(TOO_LONG, |_| ReclaimAnswer::Freed);
    let cache = |tenant, bytes| {
        let request = Request::new(tenant, AllocationType::Cache, bytes);
        governor.request(&request).unwrap().into_id()
    };
    for _ in 0..ASKERS {
        cache(bad, 10);
    }
    let ask = || {
        let request = Request::new(high, AllocationType::Inference, 10);
        governor.request(&request).map(|grant| grant.into_id())
    };
    let _free = ask().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..ASKERS {
            scope.spawn(|| ask().map(|_| ()).unwrap_err());
        }
    });
    let at_once = asked.try_iter().count();
    // There is room for somebody else, whose owner answers at once.
    governor.set_capacity(100).unwrap();
    cache(good, 10);
    let answer = ask();
    drop(release);
    assert!(answer.is_ok(), "{at_once} threads hang in one owner: {answer:?}");
}

#[test]
fn a_promise_that_is_never_kept_does_not_shield_everybody_else() {
    let stage = stage();
    stage.cache(stage.bad, 10);
    stage.cache(stage.good, 90);
    stage.answers.send(ReclaimAnswer::Deferred).unwrap();
    assert!(stage.ask(10).is_err(), "its owner promised to release it");
    assert_eq!(stage.asked(), [stage.bad]);
    for _ in 0..60 {
        stage.clock.advance_ns(60 * COOLDOWN_NS);
        stage.governor.balance();
        if stage.ask(10).is_ok() {
            return;
        }
    }
    panic!("an hour later others still wait for the promise; asked since: {:?}", stage.asked());
}

#[test]
fn a_promise_holds_for_its_time_and_can_be_kept_after_it() {
    let stage = stage();
    let promise_ns = stage.governor.config().promise_ns;
    let slow = stage.cache(stage.bad, 10);
    stage.cache(stage.good, 90);
    stage.answers.send(ReclaimAnswer::Deferred).unwrap();
    stage.ask(10).unwrap_err();
    stage.clock.advance_ns(promise_ns - 1);
    stage.governor.balance();
    stage.ask(10).unwrap_err();
    assert_eq!(stage.asked(), [stage.bad], "its owner has promised");
    stage.clock.advance_ns(1);
    stage.ask(10).unwrap();
    assert_eq!(stage.asked(), [stage.good], "it was not kept");
    assert_eq!((stage.used(stage.bad), stage.used(stage.good)), (10, 0));
    // A grant like any other: it is not being freed, and goes when its owner says so.
    assert!(stage.governor.decline(stage.bad, slow).is_err());
    assert_eq!(stage.governor.release(stage.bad, slow), Ok(Released::Returned));
    stage.close();
}

#[test]
fn a_promise_that_is_made_again_has_all_its_time() {
    let stage = stage();
    let promise_ns = stage.governor.config().promise_ns;
    let kept = stage.cache(stage.bad, 100);
    stage.answers.send(ReclaimAnswer::Deferred).unwrap();
    stage.ask(10).unwrap_err();
    stage.governor.decline(stage.bad, kept).unwrap();
    stage.clock.advance_ns(promise_ns / 2);
    stage.answers.send(ReclaimAnswer::Deferred).unwrap();
    stage.ask(10).unwrap_err();
    assert_eq!(stage.asked(), [stage.bad, stage.bad]);
    stage.clock.advance_ns(promise_ns - 1);
    stage.governor.balance();
    assert_eq!(stage.governor.release(stage.bad, kept), Ok(Released::Evicted));
    stage.ask(100).unwrap();
    stage.close();
}

#[test]
fn a_victim_that_nobody_polls_does_not_shield_everybody_else() {
    let clock = ManualClock::new();
    let governor = Governor::new(GovernorConfig {
        tenants_max: 8,
        grants_max: 1_024,
        pool_pressure: false,
        quantum_bytes: 0,
        promise_ns: 5,
        busy_cooldown_ns: 5,
        clock: clock.clone().into(),
        ..GovernorConfig::new(100)
    });
    let governor = governor.unwrap();
    let tenant = |number: u128, priority| {
        let id = TenantId::from_u128(number);
        let config = TenantConfig { priority, ..TenantConfig::new(id, format!("{number}")) };
        governor.register_tenant(config).unwrap()
    };
    let (deaf, good) = (tenant(1, Priority::Low), tenant(2, Priority::Normal));
    let high = tenant(3, Priority::High);
    governor.on_tenant_reclaim(good, |_| ReclaimAnswer::Freed).unwrap();
    let ask = |tenant, kind, bytes| {
        governor.request(&Request::new(tenant, kind, bytes)).map(Grant::into_id)
    };
    let unpolled = ask(deaf, AllocationType::Cache, 50).unwrap();
    ask(good, AllocationType::Cache, 50).unwrap();
    ask(high, AllocationType::Inference, 50).unwrap_err();
    clock.advance_ns(5);
    ask(high, AllocationType::Inference, 50).unwrap();
    // It is chosen again after its cool-down, and then handed out once.
    clock.advance_ns(5);
    ask(high, AllocationType::Inference, 50).unwrap_err();
    assert_eq!(governor.next_victim().map(|victim| victim.grant), Some(unpolled));
    assert_eq!(governor.next_victim(), None);
    assert_eq!(governor.release(deaf, unpolled), Ok(Released::Evicted));
    ask(high, AllocationType::Inference, 50).unwrap();
}

#[test]
fn one_promise_too_many_ends_the_oldest() {
    const PROMISES_MAX: u64 = 65_536;
    let governor = Governor::new(GovernorConfig {
        tenants_max: 8,
        pool_pressure: false,
        quantum_bytes: 0,
        victims_max: u32::MAX,
        clock: ManualClock::new().into(),
        ..GovernorConfig::new(PROMISES_MAX + 1)
    });
    let governor = governor.unwrap();
    let config = TenantConfig::new(TenantId::from_u128(1), "one");
    let one = governor.register_tenant(config).unwrap();
    governor.on_reclaim(|_| ReclaimAnswer::Deferred);
    let small = Request::new(one, AllocationType::Cache, 1);
    let all: Vec<_> =
        (0..=PROMISES_MAX).map(|_| governor.request(&small).unwrap().into_id()).collect();
    let large = Request::new(one, AllocationType::Inference, PROMISES_MAX + 1);
    drop(governor.request(&large));
    // Who is live again was not promised any more.
    let live = all.iter().filter(|&&grant| governor.decline(one, grant).is_err());
    assert_eq!(live.count(), 1);
}

/// Says when it is dropped, and what the governor says then.
struct Kept(std::sync::Weak<Governor>, Sender<Option<TenantHandle>>);

impl Drop for Kept {
    fn drop(&mut self) {
        // With the administrative mutex held this would never return.
        let found = self.0.upgrade().and_then(|governor| governor.find_named("3"));
        self.1.send(found).unwrap();
    }
}

#[test]
fn without_a_handler_of_its_own_a_tenant_is_asked_by_that_for_all_or_polled() {
    let stage = stage();
    let (tell, dropped) = channel();
    let (high, weak) = (stage.high, Arc::downgrade(&stage.governor));
    let kept = Kept(weak.clone(), tell.clone());
    let own = move |_: &Victim| {
        let _ = &kept;
        ReclaimAnswer::Busy
    };
    stage.governor.on_tenant_reclaim(stage.bad, own).unwrap();
    stage.cache(stage.bad, 50);
    stage.ask(80).unwrap_err();
    assert_eq!(stage.asked(), [], "by its own");
    assert_eq!(dropped.try_iter().count(), 0);
    stage.governor.clear_on_tenant_reclaim(stage.bad).unwrap();
    assert_eq!(dropped.try_iter().collect::<Vec<_>>(), [Some(high)], "with nothing held");
    stage.clock.advance_ns(COOLDOWN_NS + 1);
    let first = stage.ask(80).unwrap();
    assert_eq!(stage.asked(), [stage.bad], "by the handler for all");
    stage.governor.release(stage.high, first).unwrap();
    stage.governor.clear_on_tenant_reclaim(stage.bad).expect("it has none: nothing happens");

    let kept = Kept(weak, tell);
    stage.governor.on_reclaim(move |_| {
        let _ = &kept;
        ReclaimAnswer::Freed
    });
    stage.governor.clear_on_reclaim();
    stage.governor.clear_on_reclaim();
    assert_eq!(dropped.try_iter().collect::<Vec<_>>(), [Some(high)], "with nothing held");
    let polled = stage.cache(stage.good, 50);
    stage.ask(80).unwrap_err();
    assert_eq!(stage.asked(), []);
    let victim = stage.governor.next_victim().expect("polled");
    assert_eq!((victim.grant, victim.tenant), (polled, stage.good));
    stage.close();
}

#[test]
fn a_handler_may_take_itself_away() {
    let stage = stage();
    let (tell, dropped) = channel();
    let (weak, bad) = (Arc::downgrade(&stage.governor), stage.bad);
    let kept = Kept(weak.clone(), tell);
    let own = move |_: &Victim| {
        let _ = &kept;
        weak.upgrade().unwrap().clear_on_tenant_reclaim(bad).unwrap();
        weak.upgrade().unwrap().clear_on_reclaim();
        ReclaimAnswer::Freed
    };
    stage.governor.on_tenant_reclaim(stage.bad, own).unwrap();
    stage.cache(stage.bad, 50);
    stage.cache(stage.bad, 50);
    // The eviction that has begun goes on with the handlers there were.
    stage.ask(100).unwrap();
    assert_eq!(dropped.try_iter().collect::<Vec<_>>(), [Some(stage.high)], "after that one");
    assert_eq!(stage.governor.next_victim(), None);
    stage.close();
}

#[test]
fn who_is_declined_without_being_polled_is_handed_out_once_when_it_is_chosen_again() {
    let stage = stage();
    stage.governor.clear_on_reclaim();
    let kept = stage.cache(stage.good, 50);
    stage.ask(80).unwrap_err();
    stage.governor.decline(stage.good, kept).unwrap();
    assert_eq!(stage.governor.next_victim(), None, "it stays");
    stage.ask(80).unwrap_err();
    assert_eq!(stage.governor.next_victim(), None, "it is left alone for a while");
    // Declined and chosen once more: then it stands there as it was chosen last.
    for _ in 0..2 {
        stage.clock.advance_ns(COOLDOWN_NS);
        stage.ask(80).unwrap_err();
        stage.governor.decline(stage.good, kept).unwrap();
    }
    stage.clock.advance_ns(COOLDOWN_NS);
    stage.ask(80).unwrap_err();
    assert_eq!(stage.governor.next_victim().map(|victim| victim.grant), Some(kept));
    assert_eq!(stage.governor.next_victim(), None);
    stage.governor.release(stage.good, kept).unwrap();
    stage.ask(80).unwrap();
    stage.close();
}

/// Also after somebody was to have its slot for whom there was no memory.
#[test]
fn the_handler_of_a_tenant_that_drained_goes_when_its_slot_gets_another() {
    let governor = Governor::new(GovernorConfig { tenants_max: 2, ..GovernorConfig::new(100) });
    let governor = governor.unwrap();
    let tenant = |number| TenantConfig::new(TenantId::from_u128(number), "");
    let [one, two] = [1, 2].map(|number| governor.register_tenant(tenant(number)).unwrap());
    let held = Arc::new(());
    let kept = held.clone();
    let answer = move |_: &Victim| {
        let _ = &kept;
        ReclaimAnswer::Freed
    };
    governor.on_tenant_reclaim(one, answer).unwrap();
    governor.unregister_tenant(one, Unregister::Drain).unwrap();
    let most = governor.request(&Request::new(two, AllocationType::ModelLoad, 60)).unwrap();
    let promised = TenantConfig { guarantee_bytes: 50, ..tenant(3) };
    let refused = governor.register_tenant(promised).unwrap_err();
    assert_eq!(refused, Error::GuaranteeUnavailable { short: 10 });
    assert_eq!(Arc::strong_count(&held), 2, "nobody has its slot yet");
    let next = governor.register_tenant(tenant(3)).unwrap();
    assert_eq!((next.index(), Arc::strong_count(&held)), (one.index(), 1));
    drop(most);
}
