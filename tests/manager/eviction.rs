//! Who learns of an eviction, and what the owner's next call answers.

use super::*;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

#[test]
fn an_evicted_allocation_leaves_the_records_and_its_release_says_so_once() {
    let manager = manager(100);
    let one = named(&manager, 1, "chat", 100);
    let kv = cache(&manager, one, 60);
    let held = granted(inference(&manager, one, 50));
    let usage = now(manager.get_tenant_usage(one)).unwrap();
    assert_eq!((usage.allocated_memory_mb, usage.allocations), (50, 1));
    assert_eq!((usage.evicted_allocations, usage.evicted_memory_bytes), (1, 60 * MIB));
    let ended = now(manager.touch_allocation(one, &kv)).unwrap_err();
    assert_eq!(
        ended.to_string(),
        format!("allocation {kv} was evicted; its memory is gone, request it again")
    );
    assert_eq!(now(manager.grow_allocation(one, &kv, 1)).unwrap_err(), ended);
    assert_eq!(now(manager.release_allocation(one, &kv, 60)), Ok(Released::Evicted));
    let twice = now(manager.release_allocation(one, &kv, 60)).unwrap_err();
    assert!(matches!(twice, MemoryError::UnknownAllocation { .. }), "{twice}");
    now(manager.release_allocation(one, &held, 50)).unwrap();
    assert_eq!(allocated_mb(&manager, one), 0);
}

#[test]
fn the_callback_is_told_and_may_call_anything() {
    let manager = manager(100);
    let one = named(&manager, 1, "chat", 100);
    let told = Arc::new(Mutex::new(Vec::new()));
    let (seen, inside) = (told.clone(), manager.clone());
    manager.on_evict(move |evicted| {
        // With nothing held: every verb works, also on the victim itself.
        assert_eq!(now(inside.get_tenant_usage(evicted.tenant_id)).unwrap().allocations, 1);
        now(inside.touch_allocation(evicted.tenant_id, &evicted.allocation_id)).unwrap();
        let small = granted(ask(&inside, evicted.tenant_id, 1, "log", AllocationType::Inference));
        now(inside.release_allocation(evicted.tenant_id, &small, 1)).unwrap();
        seen.lock().unwrap().push(evicted.clone());
        ReclaimAnswer::Freed
    });
    let kv = cache(&manager, one, 60);
    granted(inference(&manager, one, 50));
    let expected = EvictedAllocation {
        allocation_id: kv,
        tenant_id: one,
        model_name: "kv".to_string(),
        allocation_type: AllocationType::Cache,
        bytes: 60 * MIB,
    };
    assert_eq!(*told.lock().unwrap(), [expected]);
}

#[test]
fn a_busy_owner_keeps_its_allocation_and_so_does_one_that_panics() {
    let manager = manager(100);
    let one = named(&manager, 1, "chat", 100);
    let kv = cache(&manager, one, 60);
    manager.on_evict(|_| ReclaimAnswer::Busy);
    let (reason, available) = denied(inference(&manager, one, 50));
    assert_eq!(
        reason,
        "tenant chat may hold at most its max_memory_mb of 100 MiB: it holds 60 MiB, and 50 MiB \
         more are 10 MiB too many; its largest model is kv (60 MiB); try again soon, for 60 MiB \
         are just in use"
    );
    assert_eq!(available, 40);
    let other = super::manager(100);
    named(&other, 1, "chat", 100);
    let same = cache(&other, one, 60);
    other.on_evict(|_| panic!("the owner's own fault"));
    denied(inference(&other, one, 50));
    for (manager, kv) in [(&manager, kv), (&other, same)] {
        assert_eq!(allocated_mb(manager, one), 60);
        assert_eq!(now(manager.release_allocation(one, &kv, 60)), Ok(Released::Returned));
    }
}

#[test]
fn a_deferred_allocation_is_released_by_its_owner() {
    let manager = manager(100);
    let one = named(&manager, 1, "chat", 100);
    let kv = cache(&manager, one, 60);
    manager.on_evict(|_| ReclaimAnswer::Deferred);
    denied(inference(&manager, one, 50));
    let part = now(manager.release_allocation(one, &kv, 10)).unwrap_err();
    assert!(matches!(part, MemoryError::AllocationEnded { how: "evicted", .. }), "{part}");
    assert_eq!(now(manager.release_allocation(one, &kv, 60)), Ok(Released::Evicted));
    granted(inference(&manager, one, 50));
}

#[test]
fn an_owner_that_releases_while_it_is_asked_is_fine() {
    let manager = manager(100);
    let one = named(&manager, 1, "chat", 100);
    let kv = cache(&manager, one, 60);
    let inside = manager.clone();
    manager.on_evict(move |evicted| {
        let id = &evicted.allocation_id;
        let released = now(inside.release_allocation(evicted.tenant_id, id, 60));
        assert_eq!(released, Ok(Released::Evicted));
        ReclaimAnswer::Freed
    });
    granted(inference(&manager, one, 50));
    assert_eq!(allocated_mb(&manager, one), 50);
    assert!(now(manager.release_allocation(one, &kv, 60)).is_err(), "it was released");
}

/// What an owner does that cannot tell a new allocation from one it is about to release.
#[test]
fn busy_hinders_no_release() {
    let manager = manager(100);
    let one = named(&manager, 1, "chat", 100);
    let kv = cache(&manager, one, 60);
    let inside = manager.clone();
    manager.on_evict(move |evicted| {
        let id = &evicted.allocation_id;
        let released = now(inside.release_allocation(evicted.tenant_id, id, 60));
        assert_eq!(released, Ok(Released::Evicted));
        ReclaimAnswer::Busy
    });
    granted(inference(&manager, one, 50));
    assert_eq!(allocated_mb(&manager, one), 50, "nothing is lost, and nothing counted twice");
    assert!(now(manager.release_allocation(one, &kv, 60)).is_err(), "it was released");
    granted(inference(&manager, one, 50));
}

#[test]
fn the_balancer_evicts_caches_under_pressure() {
    let manager = with(100, |governor| governor.pool_pressure = true);
    let one = named(&manager, 1, "chat", 100);
    let caches: Vec<_> = (0..9).map(|_| cache(&manager, one, 10)).collect();
    let report = now(manager.balance_memory()).unwrap();
    assert_eq!(report.pressure, MemoryPressure::High);
    assert_eq!((report.evicted_grants, report.freed_bytes), (2, 20 * MIB));
    assert_eq!(allocated_mb(&manager, one), 70);
    let ends = caches.iter().map(|id| now(manager.release_allocation(one, id, 10)).unwrap());
    assert_eq!(ends.filter(|end| *end == Released::Evicted).count(), 2);
}

#[test]
fn ends_are_remembered_for_a_while() {
    let manager = with(10, |governor| governor.grants_max = 16_384);
    let one = named(&manager, 1, "chat", 10);
    let bytes = 4 * MIB;
    let kind = AllocationType::Cache;
    let ask = || granted(now(manager.request_allocation_bytes(one, bytes, "kv", kind)).unwrap());
    let first = ask();
    let ids: Vec<_> = (0..4_098).map(|_| ask()).collect();
    // All but the last two were evicted: 4097 of them, and the first is forgotten.
    let release = |id: &str| now(manager.release_allocation_bytes(one, id, bytes));
    assert!(matches!(release(&first), Err(MemoryError::UnknownAllocation { .. })));
    assert!(ids[..4_096].iter().all(|id| release(id) == Ok(Released::Evicted)));
    assert!(ids[4_096..].iter().all(|id| release(id) == Ok(Released::Returned)));
    assert_eq!(allocated_mb(&manager, one), 0);
}

/// Much longer than anything here takes; only a fault waits for so long.
const TOO_LONG: Duration = Duration::from_secs(60);

fn impatient() -> (Manager, ManualClock) {
    let clock = ManualClock::new();
    let ticks = clock.clone();
    let options = ManagerOptions::default().reclaim_timeout(Duration::from_millis(30)).governor(
        move |governor| {
            governor.tenants_max = 64;
            governor.grants_max = 4_096;
            governor.pool_pressure = false;
            governor.clock = ticks.into();
        },
    );
    (Manager::try_new_with(memory(100), options).unwrap(), clock)
}

/// A callback that answers what it is told to, once it is told.
fn on_command(manager: &Manager) -> Sender<ReclaimAnswer> {
    let (answers, next) = channel();
    let next = Mutex::new(next);
    manager.on_evict(move |_| next.lock().unwrap().recv().unwrap_or(ReclaimAnswer::Busy));
    answers
}

fn until(what: &str, is: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is() {
        assert!(begin.elapsed() < TOO_LONG, "{what} never came");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_callback_that_hangs_holds_up_nobody_and_its_late_answer_counts() {
    let (manager, _) = impatient();
    let one = named(&manager, 1, "chat", 100);
    let answers = on_command(&manager);
    let kv = cache(&manager, one, 60);
    denied(inference(&manager, one, 50));
    assert_eq!(allocated_mb(&manager, one), 60);
    now(manager.touch_allocation(one, &kv)).unwrap();
    assert_eq!(manager.governor().snapshot().reclaim_timeouts, 1);
    // Still hanging: it is not asked again, and a drain does not wait for it either.
    denied(inference(&manager, one, 50));
    assert_eq!(now(manager.drain_tenant(one)).unwrap().busy_allocations, 1);
    now(manager.thaw_tenant(one)).unwrap();
    answers.send(ReclaimAnswer::Freed).unwrap();
    until("the end of the allocation", || allocated_mb(&manager, one) == 0);
    let usage = now(manager.get_tenant_usage(one)).unwrap();
    assert_eq!((usage.allocations, usage.evicted_allocations), (0, 1));
    assert_eq!(now(manager.release_allocation(one, &kv, 60)), Ok(Released::Evicted));
    granted(inference(&manager, one, 50));
}

#[test]
fn an_allocation_kept_after_a_time_out_can_be_asked_for_again() {
    let (manager, clock) = impatient();
    let one = named(&manager, 1, "chat", 100);
    let answers = on_command(&manager);
    let kv = cache(&manager, one, 60);
    denied(inference(&manager, one, 50));
    answers.send(ReclaimAnswer::Busy).unwrap();
    clock.advance_ns(1_000_000_000);
    // The late answer has changed nothing; the next one is there in time. Who asks before the late
    // one has come finds it busy, for a cool-down.
    answers.send(ReclaimAnswer::Freed).unwrap();
    until("the eviction", || {
        clock.advance_ns(SECOND);
        matches!(inference(&manager, one, 50), Response::Granted { .. })
    });
    assert_eq!(now(manager.release_allocation(one, &kv, 60)), Ok(Released::Evicted));
}

#[test]
fn an_allocation_whose_callback_panicked_late_can_be_asked_for_again() {
    let (manager, clock) = impatient();
    let one = named(&manager, 1, "chat", 100);
    let (release, hangs) = channel::<()>();
    let hangs = Mutex::new(Some(hangs));
    manager.on_evict(move |_| {
        let first = hangs.lock().unwrap().take();
        if let Some(hangs) = first {
            let _ = hangs.recv();
            panic!("the owner's own fault");
        }
        ReclaimAnswer::Freed
    });
    let kv = cache(&manager, one, 60);
    denied(inference(&manager, one, 50));
    drop(release);
    until("the eviction", || {
        clock.advance_ns(SECOND);
        matches!(inference(&manager, one, 50), Response::Granted { .. })
    });
    assert_eq!(now(manager.release_allocation(one, &kv, 60)), Ok(Released::Evicted));
}

/// What a callback throws, and what throws again when it is dropped.
struct Thrown;

impl Drop for Thrown {
    fn drop(&mut self) {
        panic!("also what was thrown");
    }
}

#[test]
fn what_a_callback_throws_may_throw_again_on_either_kind_of_thread() {
    for timeout in [Duration::ZERO, Duration::from_secs(60)] {
        let clock = ManualClock::new();
        let options = ManagerOptions::default().queueing(false).reclaim_timeout(timeout);
        let manager = clocked(100, &clock, options, |_| {});
        let one = named(&manager, 1, "chat", 100);
        let kv = cache(&manager, one, 60);
        manager.on_evict(|_| std::panic::panic_any(Thrown));
        denied(inference(&manager, one, 50));
        let snapshot = manager.governor().snapshot();
        assert_eq!((snapshot.reclaim_panics, snapshot.reclaim_timeouts), (1, 0));
        // It is asked for again.
        manager.on_evict(|_| ReclaimAnswer::Freed);
        clock.advance_ns(SECOND);
        granted(inference(&manager, one, 50));
        assert_eq!(now(manager.release_allocation(one, &kv, 60)), Ok(Released::Evicted));
    }
}

#[test]
fn what_is_released_while_its_callback_hangs_stays_released() {
    let (manager, _) = impatient();
    let one = named(&manager, 1, "chat", 100);
    let answers = on_command(&manager);
    let kv = cache(&manager, one, 60);
    denied(inference(&manager, one, 50));
    assert_eq!(now(manager.release_allocation(one, &kv, 60)), Ok(Released::Returned));
    let next = cache(&manager, one, 60);
    answers.send(ReclaimAnswer::Freed).unwrap();
    drop(answers);
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(allocated_mb(&manager, one), 60);
    assert_eq!(now(manager.release_allocation(one, &next, 60)), Ok(Released::Returned));
}

#[test]
fn a_manager_goes_while_its_callback_hangs() {
    let (manager, _) = impatient();
    let one = named(&manager, 1, "chat", 100);
    let answers = on_command(&manager);
    cache(&manager, one, 60);
    denied(inference(&manager, one, 50));
    let leaks = Arc::new(Mutex::new(None));
    let told = leaks.clone();
    manager.governor().on_leak(move |leak| *told.lock().unwrap() = Some(leak.clone()));
    let gone = Arc::downgrade(&leaks);
    drop(leaks);
    drop(manager);
    // The governor has gone with everything it knew: nothing was left live.
    assert!(gone.upgrade().is_none());
    drop(answers);
}

#[test]
fn without_a_time_out_the_callback_runs_on_the_thread_that_asks() {
    let options = ManagerOptions::default().reclaim_timeout(Duration::ZERO);
    let manager = Manager::try_new_with(memory(100), options).unwrap();
    let one = named(&manager, 1, "chat", 100);
    cache(&manager, one, 60);
    let here = std::thread::current().id();
    manager.on_evict(move |_| {
        assert_eq!(std::thread::current().id(), here);
        ReclaimAnswer::Freed
    });
    granted(inference(&manager, one, 50));
    assert_eq!(manager.governor().snapshot().reclaim_panics, 0);
}

#[test]
fn an_owner_that_hangs_is_asked_about_one_allocation_once_at_a_time() {
    use allotment::internals::sync::{AtomicU64, Ordering};
    use std::sync::{Arc, Mutex, mpsc};
    let clock = ManualClock::new();
    let options =
        ManagerOptions::default().queueing(false).reclaim_timeout(Duration::from_millis(30));
    let manager = clocked(100, &clock, options, |_| {});
    let one = named(&manager, 1, "chat", 100);
    cache(&manager, one, 100);
    let (release, hangs) = mpsc::channel::<()>();
    let hangs = Mutex::new(hangs);
    let (inside, most) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (now_inside, at_most) = (inside.clone(), most.clone());
    manager.on_evict(move |_| {
        at_most.fetch_max(now_inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        let _ = hangs.lock().unwrap().recv();
        now_inside.fetch_sub(1, Ordering::SeqCst);
        ReclaimAnswer::Busy
    });
    for _ in 0..3 {
        denied(inference(&manager, one, 50));
        clock.advance_ns(10 * SECOND);
    }
    drop(release);
    assert_eq!(most.load(Ordering::SeqCst), 1, "several threads ask about the same allocation");
}
