//! Alerts: when they are raised and when they are over, the stream, and the callback.

use super::*;
use std::sync::{Arc, Mutex};

/// Kind, level, tenant, and whether it was raised.
type Seen = (AlertKind, AlertLevel, Option<TenantId>, AlertChange);

fn seen(reader: &mut AlertReader) -> Vec<Seen> {
    let alerts = std::iter::from_fn(|| reader.try_next());
    alerts.map(|a| (a.kind, a.level, a.tenant, a.raised_or_cleared)).collect()
}

fn raised(kind: AlertKind, tenant: TenantId) -> Seen {
    (kind, AlertLevel::Warning, Some(tenant), AlertChange::Raised)
}

fn cleared(kind: AlertKind, tenant: TenantId) -> Seen {
    (kind, AlertLevel::Warning, Some(tenant), AlertChange::Cleared)
}

#[test]
fn a_tenant_that_swings_around_its_threshold_raises_one_alert() {
    let monitored = Monitored::new(1_000);
    let one = named(&monitored.manager, 1, "chat", 100);
    let mut alerts = monitored.manager.alerts();
    granted(inference(&monitored.manager, one, 88));
    monitored.look(1);
    assert_eq!(seen(&mut alerts), []);
    for _ in 0..200 {
        let more = granted(inference(&monitored.manager, one, 5));
        monitored.look(1);
        monitored.release(one, &more, 5);
        monitored.look(1);
    }
    assert_eq!(seen(&mut alerts), [raised(AlertKind::TenantUtilisation, one)]);
    let open = monitored.usage(one).open_alerts;
    let [alert] = &open[..] else { panic!("{open:?}") };
    assert_eq!((alert.value, alert.threshold, alert.time_ns), (93.0, 90.0, 2 * SECOND));
    let said = "warning: tenant chat: utilisation of 93.0 % is above 90.0 %";
    assert_eq!(alert.to_string(), said);
    assert_eq!(now(monitored.manager.get_tenant_dashboard()).unwrap().open_alerts, open);
}

#[test]
fn an_alert_is_over_below_the_band() {
    let monitored = Monitored::new(1_000);
    let one = named(&monitored.manager, 1, "chat", 100);
    let mut alerts = monitored.manager.alerts();
    let held = granted(inference(&monitored.manager, one, 91));
    assert_eq!(monitored.look(1).raised, 1);
    monitored.release(one, &held, 5);
    monitored.look(10);
    assert_eq!(seen(&mut alerts), [raised(AlertKind::TenantUtilisation, one)], "86 of 100");
    monitored.release(one, &held, 1);
    assert_eq!(monitored.look(1).cleared, 1);
    assert_eq!(seen(&mut alerts), [cleared(AlertKind::TenantUtilisation, one)]);
    assert_eq!(monitored.usage(one).open_alerts, []);
}

#[test]
fn an_alert_within_the_band_is_over_after_a_while() {
    let monitored = Monitored::new(1_000);
    let one = named(&monitored.manager, 1, "chat", 100);
    let held = granted(inference(&monitored.manager, one, 91));
    monitored.look(1);
    monitored.release(one, &held, 2);
    let changes: Vec<usize> = (0..62).map(|_| monitored.look(1).cleared).collect();
    assert_eq!(changes.iter().position(|&cleared| cleared == 1), Some(60), "60 s after the first");
}

#[test]
fn the_pool_warns_at_90_percent_and_is_critical_at_95() {
    let monitored = Monitored::new(1_000);
    let one = named(&monitored.manager, 1, "chat", 1_000);
    let mut alerts = monitored.manager.alerts();
    let of_pool = |reader: &mut AlertReader| -> Vec<(AlertLevel, AlertChange)> {
        let all = seen(reader).into_iter().filter(|a| a.0 == AlertKind::GlobalUtilisation);
        all.map(|alert| (alert.1, alert.3)).collect()
    };
    granted(inference(&monitored.manager, one, 900));
    monitored.look(1);
    assert_eq!(of_pool(&mut alerts), [], "at 90 % is not above it");
    let more = granted(inference(&monitored.manager, one, 1));
    monitored.look(1);
    assert_eq!(of_pool(&mut alerts), [(AlertLevel::Warning, AlertChange::Raised)]);
    let most = granted(inference(&monitored.manager, one, 50));
    monitored.look(1);
    assert_eq!(of_pool(&mut alerts), [(AlertLevel::Critical, AlertChange::Raised)]);
    monitored.release(one, &most, 50);
    monitored.release(one, &more, 1);
    monitored.look(10);
    assert_eq!(of_pool(&mut alerts), [(AlertLevel::Critical, AlertChange::Cleared)]);
}

#[test]
fn thresholds_that_contradict_each_other_are_refused() {
    let refused = |change: fn(&mut AlertThresholds)| {
        let mut thresholds = AlertThresholds::default();
        change(&mut thresholds);
        let options = ManagerOptions::default().thresholds(thresholds);
        Manager::try_new_with(memory(100), options).unwrap_err().to_string()
    };
    assert_eq!(
        refused(|t| t.global_critical_percent = 80),
        "global_critical_percent: 80 is out of range; use 90 to 100"
    );
    assert_eq!(
        refused(|t| t.utilisation_hysteresis_points = 90),
        "utilisation_hysteresis_points: 90 is out of range; use 0 to 89"
    );
    assert_eq!(
        refused(|t| t.tenant_utilisation_percent = 101),
        "tenant_utilisation_percent: 101 is out of range; use 1 to 100"
    );
    assert_eq!(refused(|t| t.settle_secs = 4), "settle_secs: 4 is out of range; use 5 to 86400");
    assert_eq!(refused(|t| t.latency_ms = 0), "latency_ms: 0 is out of range; use at least 1");
}

#[test]
fn a_slow_reader_counts_what_it_lost() {
    let clock = ManualClock::new();
    let options = ManagerOptions::default().alerts_max(3);
    let manager = clocked(1_000, &clock, options, |_| {});
    let monitored = Monitored { manager, clock };
    let mut alerts = monitored.manager.alerts();
    let one = named(&monitored.manager, 1, "chat", 100);
    for _ in 0..5 {
        let held = granted(inference(&monitored.manager, one, 95));
        monitored.look(10);
        monitored.release(one, &held, 95);
        monitored.look(10);
    }
    let sequences: Vec<u64> =
        std::iter::from_fn(|| alerts.try_next()).map(|alert| alert.sequence).collect();
    assert_eq!((sequences, alerts.lost()), (vec![7, 8, 9], 7));
    let mut late = monitored.manager.alerts();
    assert_eq!((late.try_next().map(|alert| alert.sequence), late.lost()), (Some(7), 7));
}

/// Counts how often it is woken.
struct Woken(Mutex<u32>);

impl std::task::Wake for Woken {
    fn wake(self: Arc<Self>) {
        *self.0.lock().unwrap() += 1;
    }
}

#[test]
fn a_reader_is_woken_by_the_next_alert_and_by_the_end() {
    let monitored = Monitored::new(1_000);
    let one = named(&monitored.manager, 1, "chat", 100);
    let woken = Arc::new(Woken(Mutex::new(0)));
    let waker = Waker::from(woken.clone());
    let mut context = Context::from_waker(&waker);
    let mut alerts = monitored.manager.alerts();
    {
        let mut next = pin!(alerts.next());
        assert!(next.as_mut().poll(&mut context).is_pending());
        assert!(next.as_mut().poll(&mut context).is_pending(), "registers once");
        granted(inference(&monitored.manager, one, 95));
        monitored.look(1);
        assert_eq!(*woken.0.lock().unwrap(), 1);
        let Poll::Ready(Some(alert)) = next.as_mut().poll(&mut context) else { panic!() };
        assert_eq!(alert.kind, AlertKind::TenantUtilisation);
    }
    let mut next = pin!(alerts.next());
    assert!(next.as_mut().poll(&mut context).is_pending());
    drop(monitored);
    assert_eq!(*woken.0.lock().unwrap(), 2);
    assert_eq!(next.as_mut().poll(&mut context), Poll::Ready(None));
}

#[test]
fn the_callback_may_call_anything_and_may_panic() {
    let monitored = Monitored::new(1_000);
    let one = named(&monitored.manager, 1, "chat", 100);
    let two = named(&monitored.manager, 2, "coder", 100);
    let told = Arc::new(Mutex::new(Vec::new()));
    let (inside, list) = (monitored.manager.clone(), told.clone());
    monitored.manager.on_alert(move |alert| {
        let tenant = alert.tenant.unwrap();
        // With nothing held: every verb works, another look included.
        assert_eq!(now(inside.get_tenant_usage(tenant)).unwrap().open_alerts[0].kind, alert.kind);
        assert_eq!(now(inside.monitor_now()), now(inside.monitor_now()));
        granted(inference(&inside, tenant, 1));
        inside.on_alert(|_| panic!("the listener's own fault"));
        list.lock().unwrap().push(alert.clone());
    });
    granted(inference(&monitored.manager, one, 95));
    assert_eq!(monitored.look(1).raised, 1);
    assert_eq!(told.lock().unwrap().len(), 1);
    assert_eq!(allocated_mb(&monitored.manager, one), 96);
    granted(inference(&monitored.manager, two, 95));
    assert_eq!(monitored.look(1).raised, 1, "though the listener panicked");
    assert_eq!(seen(&mut monitored.manager.alerts()).len(), 2);
}

#[test]
fn a_tenant_that_leaves_takes_its_alerts_with_it() {
    let monitored = Monitored::new(1_000);
    let one = named(&monitored.manager, 1, "chat", 100);
    granted(inference(&monitored.manager, one, 95));
    monitored.look(1);
    let mut alerts = monitored.manager.alerts();
    now(monitored.manager.unregister_tenant_by_force(one)).unwrap();
    let report = monitored.look(1);
    assert_eq!((report.watched_tenants, report.raised, report.cleared), (0, 0, 1));
    let kind = AlertKind::TenantUtilisation;
    assert_eq!(seen(&mut alerts), [raised(kind, one), cleared(kind, one)]);
    let page = now(monitored.manager.get_tenant_dashboard()).unwrap();
    assert_eq!((page.open_alerts, page.statistics.granted), (vec![], 1));
}

#[test]
fn a_circle_is_reported_when_it_is_seen_twice() {
    let monitored = Monitored::new(100);
    let governor = monitored.manager.governor();
    let (one, two) =
        (named(&monitored.manager, 1, "chat", 100), named(&monitored.manager, 2, "coder", 100));
    let model =
        |tenant, mb| ask(&monitored.manager, tenant, mb, "llama", AllocationType::ModelLoad);
    let held = granted(model(one, 60));
    granted(model(two, 40));
    let wait = |tenant, mb| {
        let handle = governor.find(tenant).unwrap();
        let request = Request::new(handle, AllocationType::ModelLoad, mb * MIB);
        governor.enqueue(&request, std::time::Duration::from_secs(3_600)).unwrap()
    };
    let mut alerts = monitored.manager.alerts();
    let mut circles = || -> Vec<_> {
        let all = std::iter::from_fn(|| alerts.try_next());
        all.filter(|a| a.kind == AlertKind::CircularWait).collect()
    };
    let waits = [wait(one, 20), wait(two, 10)];
    monitored.look(1);
    assert_eq!(circles(), [], "seen once");
    monitored.look(1);
    let raised = circles();
    let [alert] = &raised[..] else { panic!("{raised:?}") };
    assert_eq!((alert.name.as_str(), alert.value), ("chat, coder", 2.0));
    assert_eq!(
        alert.to_string(),
        "critical: chat, coder wait in a circle, each for memory that only they hold"
    );
    for _ in 0..10 {
        monitored.look(1);
    }
    assert_eq!(circles(), [], "once is enough");
    let asked = request(one, 1, "llama", AllocationType::Inference);
    let explained = now(monitored.manager.explain(&asked)).unwrap();
    assert!(explained.to_string().contains("chat, coder wait in a circle"), "{explained}");
    monitored.release(one, &held, 60);
    monitored.look(1);
    let over = circles();
    assert_eq!((over.len(), over[0].raised_or_cleared), (1, AlertChange::Cleared));
    drop(waits);
}

#[test]
fn too_many_denials_are_an_alert_once_there_were_enough_requests() {
    let monitored = Monitored::new(1_000);
    let one = named(&monitored.manager, 1, "chat", 100);
    let mut alerts = monitored.manager.alerts();
    for _ in 0..19 {
        denied(inference(&monitored.manager, one, 101));
    }
    monitored.look(1);
    assert_eq!(seen(&mut alerts), [], "19 say nothing yet");
    granted(inference(&monitored.manager, one, 1));
    monitored.look(1);
    let success = AlertKind::SuccessRate;
    let of_pool = (success, AlertLevel::Warning, None, AlertChange::Raised);
    assert_eq!(seen(&mut alerts), [raised(success, one), of_pool]);
    let open = monitored.usage(one).open_alerts;
    let said = "warning: tenant chat: success rate of 5.0 % is below 90.0 %";
    assert_eq!(open[0].to_string(), said);
    let grants = |count| {
        for _ in 0..count {
            let held = granted(inference(&monitored.manager, one, 1));
            monitored.release(one, &held, 1);
        }
    };
    grants(191);
    monitored.look(5);
    assert_eq!(seen(&mut alerts), [], "91 % is within its hysteresis");
    grants(29);
    monitored.look(1);
    let of_pool = (success, AlertLevel::Warning, None, AlertChange::Cleared);
    assert_eq!(seen(&mut alerts), [cleared(success, one), of_pool], "92 % is not");
    assert_eq!(monitored.usage(one).open_alerts, []);
}

#[test]
fn pressure_that_rises_again_and_again_is_an_alert() {
    let monitored = Monitored::new(1_000);
    let one = named(&monitored.manager, 1, "chat", 100);
    granted(inference(&monitored.manager, one, 80));
    let rises = |count| {
        for _ in 0..count {
            let more = granted(inference(&monitored.manager, one, 10));
            monitored.look(1);
            monitored.release(one, &more, 4);
            monitored.look(1);
            monitored.release(one, &more, 6);
            monitored.look(1);
        }
    };
    rises(5);
    assert_eq!(monitored.usage(one).statistics.pressure_events_per_hour, 5);
    assert_eq!(seen(&mut monitored.manager.alerts()), [], "86 % is within its hysteresis");
    rises(1);
    let pressure = AlertKind::PressureEvents;
    assert_eq!(seen(&mut monitored.manager.alerts()), [raised(pressure, one)]);
    monitored.look(3_600);
    let over = [raised(pressure, one), cleared(pressure, one)];
    assert_eq!(seen(&mut monitored.manager.alerts()), over);
}

/// A machine that cannot be read until it is repaired.
struct Broken(Arc<Mutex<bool>>);

impl os::Probe for Broken {
    fn sample(&mut self) -> Result<os::Sample, os::OsError> {
        if *self.0.lock().unwrap() {
            return Err(os::OsError::Unsupported { system: "a script" });
        }
        Ok(os::Sample::new(100, 50))
    }
}

#[test]
fn a_machine_that_cannot_be_read_is_an_alert() {
    let (clock, broken) = (ManualClock::new(), Arc::new(Mutex::new(true)));
    let time = clock.clone();
    let options = ManagerOptions::default()
        .probe(Broken(broken.clone()))
        .governor(move |governor| governor.clock = time.into());
    let config = MemoryConfig { monitoring_interval_secs: 1, ..memory(1_000) };
    let monitored = Monitored { manager: Manager::try_new_with(config, options).unwrap(), clock };
    let mut alerts = monitored.manager.alerts();
    monitored.look(1_000);
    assert_eq!(seen(&mut alerts), [], "nobody looks at the machine");
    now(monitored.manager.start_monitoring()).unwrap();
    let look = |is_read: bool| {
        let begin = std::time::Instant::now();
        while monitored.manager.machine().is_none_or(|look| look.answer.is_ok() != is_read) {
            assert!(begin.elapsed() < Duration::from_secs(60), "the monitor runs");
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    look(false);
    monitored.look(60);
    assert_eq!(seen(&mut alerts), []);
    monitored.look(1);
    let (kind, level) = (AlertKind::MeasurementMissing, AlertLevel::Warning);
    assert_eq!(seen(&mut alerts), [(kind, level, None, AlertChange::Raised)]);
    *broken.lock().unwrap() = false;
    look(true);
    monitored.look(5);
    assert_eq!(seen(&mut alerts), [(kind, level, None, AlertChange::Cleared)]);
}

#[test]
fn an_open_alert_shows_the_value_of_the_last_look() {
    let monitored = Monitored::new(1_000);
    let one = named(&monitored.manager, 1, "chat", 100);
    granted(inference(&monitored.manager, one, 92));
    monitored.look(1);
    granted(inference(&monitored.manager, one, 5));
    monitored.look(1);
    let open = monitored.usage(one).open_alerts;
    let [alert] = &open[..] else { panic!("{open:?}") };
    assert_eq!((alert.value, alert.latest), (92.0, 97.0));
    assert_eq!(alert.time_ns, SECOND, "when it began");
}

#[test]
fn a_waker_that_panics_keeps_no_other_reader_asleep() {
    use allotment::internals::sync::{AtomicU64, Ordering};
    struct Faulty;
    impl std::task::Wake for Faulty {
        fn wake(self: Arc<Self>) {
            panic!("the reader's own fault");
        }
    }
    struct Woken(AtomicU64);
    impl std::task::Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let monitored = Monitored::new(1_000);
    let one = named(&monitored.manager, 1, "chat", 100);
    let mut readers = [monitored.manager.alerts(), monitored.manager.alerts()];
    let [faulty, sound] = &mut readers;
    let (mut faulty, mut sound) = (pin!(faulty.next()), pin!(sound.next()));
    let woken = Arc::new(Woken(AtomicU64::new(0)));
    let waker = Waker::from(Arc::new(Faulty));
    assert!(faulty.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    let waker = Waker::from(woken.clone());
    assert!(sound.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    granted(inference(&monitored.manager, one, 95));
    let look = std::panic::AssertUnwindSafe(|| monitored.look(1).raised);
    let raised = std::panic::catch_unwind(look);
    assert_eq!(woken.0.load(Ordering::SeqCst), 1, "one alert, and the look came to {raised:?}");
}

#[test]
fn a_tenant_that_comes_back_keeps_its_alert_when_its_former_self_is_forgotten() {
    let monitored = Monitored::new(1_000);
    let manager = &monitored.manager;
    let both = [named(manager, 1, "chat", 100), named(manager, 2, "coder", 100)];
    for tenant in both {
        let held = granted(inference(manager, tenant, 10));
        monitored.release(tenant, &held, 10);
    }
    monitored.look(1);
    for tenant in both {
        now(manager.unregister_tenant(tenant)).unwrap();
    }
    let coder = named(manager, 2, "coder", 100);
    granted(inference(manager, coder, 95));
    let mut alerts = manager.alerts();
    monitored.look(1);
    assert_eq!(monitored.usage(coder).utilization_percentage, 95.0);
    assert_eq!(seen(&mut alerts), [raised(AlertKind::TenantUtilisation, coder)]);
    assert_eq!(monitored.usage(coder).open_alerts.len(), 1);
}
