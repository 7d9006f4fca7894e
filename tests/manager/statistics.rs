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
    let none = now(manager.get_tenant_dashboard()).unwrap().statistics;
    assert_eq!(none.requests, 0, "the monitor has not looked");
    monitored.look(1);
    let all = now(manager.get_tenant_dashboard()).unwrap().statistics;
    assert_eq!((all.requests, all.granted, all.denied), (6, 3, 3));
    assert_eq!((all.denials.own_limit, all.denials.pool, all.peak_bytes), (2, 1, 95 * MIB));
    now(manager.unregister_tenant_by_force(two)).unwrap();
    monitored.look(1);
    let after = now(manager.get_tenant_dashboard()).unwrap().statistics;
    assert_eq!((after.requests, after.granted, after.denied), (6, 3, 3), "it did ask");
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
