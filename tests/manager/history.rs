//! What a tenant held and asked in the last minute and the last hour, and for whom that is kept.

use super::*;

fn seconds(usage: &TenantUsage) -> Vec<(u64, u64, u32)> {
    let points = usage.history.as_ref().expect("it is active").seconds.iter();
    points.map(|p| (p.time_ns / SECOND, p.used_bytes / MIB, p.requests)).collect()
}

#[test]
fn a_second_shows_the_most_a_look_saw_and_gaps_stay_gaps() {
    let monitored = Monitored::new(1_000);
    let manager = &monitored.manager;
    let one = named(manager, 1, "chat", 100);
    assert_eq!(monitored.usage(one).history, None, "it never asked");
    let held = granted(inference(manager, one, 30));
    assert_eq!(monitored.usage(one).history, None, "nobody has looked");
    monitored.look(1);
    granted(inference(manager, one, 20));
    monitored.look(0);
    monitored.release(one, &held, 30);
    monitored.look(0);
    denied(inference(manager, one, 90));
    monitored.look(4);
    assert_eq!(seconds(&monitored.usage(one)), [(1, 50, 2), (5, 20, 1)]);
    let history = monitored.usage(one).history.unwrap();
    let [minute] = &history.minutes[..] else { panic!("{history:?}") };
    assert_eq!((minute.used_bytes, minute.requests, minute.denied), (50 * MIB, 3, 1));
    let of_pool = now(manager.get_tenant_dashboard()).unwrap().history;
    assert_eq!(of_pool.seconds, history.seconds, "there is no other tenant");
}

#[test]
fn an_hour_is_kept_and_no_more() {
    let monitored = Monitored::new(1_000);
    let one = named(&monitored.manager, 1, "chat", 100);
    let held = granted(inference(&monitored.manager, one, 30));
    for _ in 0..200 {
        monitored.look(30);
    }
    let history = monitored.usage(one).history.unwrap();
    assert_eq!((history.seconds.len(), history.minutes.len()), (2, 60));
    assert!(history.minutes.iter().all(|point| point.used_bytes == 30 * MIB));
    monitored.release(one, &held, 30);
}

#[test]
fn a_tenant_that_is_idle_for_an_hour_gives_its_history_back() {
    let clock = ManualClock::new();
    let options = ManagerOptions::default().histories_max(1);
    let manager = clocked(1_000, &clock, options, |_| {});
    let monitored = Monitored { manager, clock };
    let (one, two) =
        (named(&monitored.manager, 1, "chat", 100), named(&monitored.manager, 2, "coder", 100));
    let held = granted(inference(&monitored.manager, one, 30));
    monitored.look(1);
    granted(inference(&monitored.manager, two, 30));
    monitored.look(1);
    let has = |tenant| monitored.usage(tenant).history.is_some();
    assert_eq!((has(one), has(two)), (true, false), "there is room for one");
    assert_eq!(monitored.usage(two).statistics.granted, 1, "and its statistics are kept");
    monitored.look(3_600);
    assert_eq!((has(one), has(two)), (true, false), "it holds something");
    monitored.release(one, &held, 30);
    monitored.look(3_598);
    assert!(has(one));
    let report = monitored.look(2);
    assert_eq!((report.watched_tenants, has(one), has(two)), (1, false, true));
    granted(inference(&monitored.manager, one, 5));
    assert_eq!(monitored.look(1).watched_tenants, 2);
    let all = now(monitored.manager.get_tenant_dashboard()).unwrap().statistics;
    assert_eq!((all.requests, all.granted), (3, 3), "nothing is counted twice");
}
