//! What is counted: answers and their causes, time, eviction, reclaim.

use super::*;

#[test]
fn answers_are_counted_by_tenant_and_in_all() {
    let monitored = Monitored::new(100);
    let manager = &monitored.manager;
    let (one, two) = (named(manager, 1, "chat", 40), named(manager, 2, "coder", 100));
    let held = granted(inference(manager, one, 30));
    denied(inference(manager, one, 20));
    denied(inference(manager, one, 11));
    granted(now(manager.grow_allocation(one, &held, 5)).unwrap());
    granted(ask(manager, two, 60, "llama", AllocationType::ModelLoad));
    denied(ask(manager, two, 10, "llama", AllocationType::ModelLoad));
    let one = monitored.usage(one).statistics;
    assert_eq!((one.requests, one.granted, one.denied), (4, 2, 2));
    assert_eq!((one.success_percent, one.peak_bytes), (50.0, 35 * MIB));
    assert_eq!((one.denials.own_limit, one.denials.own_limit_with_room), (2, 2));
    let other = monitored.usage(two).statistics;
    assert_eq!((other.requests, other.granted, other.denials.pool), (2, 1, 1));
    // The sums are those of now, whether the monitor has looked or not.
    for _ in 0..2 {
        let all = now(manager.get_tenant_dashboard()).unwrap().statistics;
        assert_eq!((all.requests, all.granted, all.denied), (6, 3, 3));
        assert_eq!((all.denials.own_limit, all.denials.pool, all.peak_bytes), (2, 1, 95 * MIB));
        monitored.look(1);
    }
    denied(ask(manager, two, 10, "llama", AllocationType::ModelLoad));
    now(manager.unregister_tenant_by_force(two)).unwrap();
    monitored.look(1);
    let after = now(manager.get_tenant_dashboard()).unwrap().statistics;
    assert_eq!((after.requests, after.granted, after.denied), (7, 3, 4), "it did ask");
}

#[test]
fn a_request_that_stays_near_the_guarantee_is_counted_when_it_is_denied() {
    let monitored = Monitored::new(100);
    let manager = &monitored.manager;
    let guaranteed = TenantMemoryConfig { guaranteed_memory_mb: 50, ..tenant(1, 100) };
    now(manager.register_tenant(guaranteed)).unwrap();
    let two = named(manager, 2, "coder", 100);
    granted(ask(manager, id(1), 50, "llama", AllocationType::ModelLoad));
    granted(ask(manager, two, 50, "llama", AllocationType::ModelLoad));
    denied(inference(manager, id(1), 5));
    denied(inference(manager, id(1), 6));
    let denials = monitored.usage(id(1)).statistics.denials;
    assert_eq!((denials.pool, denials.near_guarantee), (2, 1), "55 MiB is 10 % above 50 MiB");
}

#[test]
fn slow_requests_are_always_timed() {
    let monitored = Monitored::new(100);
    let manager = &monitored.manager;
    let one = named(manager, 1, "chat", 100);
    let clock = monitored.clock.clone();
    manager.on_evict(move |_| {
        clock.advance_ns(400_000_000);
        ReclaimAnswer::Freed
    });
    let mut alerts = manager.alerts();
    cache(manager, one, 60);
    granted(inference(manager, one, 50));
    monitored.look(1);
    let seen = monitored.usage(one).statistics;
    // One that was granted at once stands for eight; one was slow.
    assert_eq!((seen.latency.count, seen.latency.largest_ns), (9, 400_000_000));
    assert_eq!(seen.latency.average_ns, 400_000_000 / 9);
    assert_eq!((seen.reclaim.asked, seen.reclaim.largest_ns), (1, 400_000_000));
    assert_eq!(seen.evicted_bytes_per_minute, 60 * MIB);
    let kinds: Vec<_> =
        std::iter::from_fn(|| alerts.try_next()).map(|a| (a.kind, a.tenant)).collect();
    let evicted = AlertKind::EvictionRate;
    assert_eq!(kinds, [(evicted, Some(one)), (evicted, None)], "44 ms on average");
    for _ in 0..3 {
        cache(manager, one, 40);
        let held = granted(inference(manager, one, 20));
        monitored.release(one, &held, 20);
    }
    monitored.look(1);
    let alert = alerts.try_next().unwrap();
    assert_eq!((alert.kind, alert.tenant), (AlertKind::AllocationLatency, Some(one)));
}

#[test]
fn what_the_balancer_does_is_counted() {
    let thresholds = AlertThresholds::default();
    let monitored = Monitored::with(100, |governor| governor.pool_pressure = true, thresholds);
    let manager = &monitored.manager;
    let one = named(manager, 1, "chat", 100);
    (0..9).for_each(|_| drop(cache(manager, one, 10)));
    now(manager.balance_memory()).unwrap();
    monitored.look(1);
    let all = now(manager.get_tenant_dashboard()).unwrap().statistics;
    assert_eq!((all.balancing_events, all.pressure_events_per_hour), (1, 1));
    assert_eq!(all.evicted_bytes_per_minute, 20 * MIB);
    assert_eq!(monitored.usage(one).statistics.balancing_events, 2);
    now(manager.balance_memory()).unwrap();
    let events = now(manager.get_tenant_dashboard()).unwrap().statistics.balancing_events;
    assert_eq!(events, 1, "a step that evicts nothing is none");
}

#[test]
fn nothing_is_lost_while_others_look() {
    const THREADS: u128 = 3;
    const ROUNDS: u64 = 2_000;
    let monitored = Monitored::new(1_000);
    let manager = &monitored.manager;
    for number in 1..=THREADS {
        named(manager, number, "t", 100);
    }
    std::thread::scope(|scope| {
        for number in 1..=THREADS {
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let mb = if round % 4 == 0 { 101 } else { 1 };
                    if let Response::Granted { allocation_id } = inference(manager, id(number), mb)
                    {
                        now(manager.release_allocation(id(number), &allocation_id, 1)).unwrap();
                    }
                }
            });
        }
        // Looks, and the ends and beginnings of watches, an hour apart.
        scope.spawn(|| {
            for _ in 0..200 {
                monitored.look(4_000);
            }
        });
    });
    // A request that crossed the end of a watch is seen with the next one.
    for number in 1..=THREADS {
        granted(inference(manager, id(number), 1));
    }
    monitored.look(1);
    let all = now(manager.get_tenant_dashboard()).unwrap();
    let (tenants, seen) = (THREADS as u64, all.statistics);
    let (asked, denied) = (tenants * (ROUNDS + 1), tenants * ROUNDS / 4);
    assert_eq!((seen.requests, seen.granted, seen.denied), (asked, asked - denied, denied));
    for tenant in all.tenant_summaries {
        let seen = tenant.statistics;
        assert_eq!((seen.requests, seen.granted), (ROUNDS + 1, 1 + ROUNDS * 3 / 4));
    }
}

/// A manager that queues, full but for `free` MiB of 100.
fn full(free: u64) -> (Monitored, TenantId, String) {
    let clock = ManualClock::new();
    let manager = clocked(100, &clock, ManagerOptions::default(), |_| {});
    let one = named(&manager, 1, "chat", 100);
    let held = granted(ask(&manager, one, 100 - free, "llama", AllocationType::ModelLoad));
    (Monitored { manager, clock }, one, held)
}

#[test]
fn time_in_the_queue_is_counted_apart() {
    let (monitored, one, held) = full(10);
    let two = named(&monitored.manager, 2, "coder", 100);
    for _ in 0..2 {
        let response = inference(&monitored.manager, two, 50);
        assert!(matches!(response, Response::Queued { .. }), "{response:?}");
    }
    monitored.clock.advance_ns(3 * SECOND);
    monitored.release(one, &held, 90);
    granted(inference(&monitored.manager, two, 50));
    monitored.look(1);
    let seen = monitored.usage(two).statistics;
    assert_eq!((seen.requests, seen.queued, seen.granted, seen.denied), (3, 2, 1, 0));
    assert_eq!((seen.wait.count, seen.wait.average_ns), (1, 3 * SECOND));
    assert_eq!(seen.latency.largest_ns, 0, "no answer took long");
    assert_eq!(seen.success_percent, 100.0);
    let all = now(monitored.manager.get_tenant_dashboard()).unwrap().statistics;
    assert_eq!((all.queued, all.wait), (2, seen.wait));
}

#[test]
fn a_request_that_is_awaited_is_one_request() {
    let (monitored, one, held) = full(10);
    let two = named(&monitored.manager, 2, "coder", 100);
    let asked = request(two, 50, "llama", AllocationType::Inference);
    let mut turn = pin!(monitored.manager.acquire_allocation(asked, Duration::from_secs(60)));
    let mut context = Context::from_waker(Waker::noop());
    assert!(turn.as_mut().poll(&mut context).is_pending());
    monitored.clock.advance_ns(2 * SECOND);
    monitored.release(one, &held, 90);
    let Poll::Ready(Ok(response)) = turn.as_mut().poll(&mut context) else { panic!("its turn") };
    granted(response);
    let seen = monitored.usage(two).statistics;
    assert_eq!((seen.requests, seen.queued, seen.granted, seen.denied), (1, 0, 1, 0));
    assert_eq!(seen.waits, 1);
    assert_eq!((seen.wait.count, seen.wait.average_ns), (1, 2 * SECOND));
}

#[test]
fn an_owner_that_does_not_answer_in_time_is_slow() {
    let manager = {
        let options =
            ManagerOptions::default().queueing(false).reclaim_timeout(Duration::from_millis(20));
        clocked(100, &ManualClock::new(), options, |_| {})
    };
    let one = named(&manager, 1, "chat", 100);
    let (tell, told) = std::sync::mpsc::channel::<()>();
    let told = std::sync::Mutex::new(told);
    manager.on_evict(move |_| {
        // Until the test is over.
        told.lock().unwrap().recv().unwrap_err();
        ReclaimAnswer::Busy
    });
    cache(&manager, one, 60);
    denied(inference(&manager, one, 50));
    let seen = now(manager.get_tenant_usage(one)).unwrap().statistics.reclaim;
    assert_eq!((seen.asked, seen.slow, seen.panicked), (1, 1, 0));
    drop(tell);
}
