//! What is measured beside what is declared: sums, pressure, and frees that nobody sees.

use allotment::os::ManualClock;
use allotment::*;
use std::time::Duration;

const WINDOW_NS: u64 = 10_000_000_000;

struct Stage {
    clock: ManualClock,
    governor: Governor,
    one: TenantHandle,
    two: TenantHandle,
}

/// A pool of 100 bytes, with two tenants.
fn stage() -> Stage {
    let clock = ManualClock::new();
    let governor = Governor::new(GovernorConfig {
        tenants_max: 8,
        grants_max: 1_024,
        events_max: 1_024,
        quantum_bytes: 0,
        clock: clock.clone().into(),
        ..GovernorConfig::new(100)
    });
    let governor = governor.unwrap();
    governor.on_reclaim(|_| ReclaimAnswer::Freed);
    let tenant = |number: u128| {
        let config = TenantConfig::new(TenantId::from_u128(number), format!("{number}"));
        governor.register_tenant(config).unwrap()
    };
    let (one, two) = (tenant(1), tenant(2));
    Stage { clock, governor, one, two }
}

impl Stage {
    fn cache(&self, tenant: TenantHandle, bytes: u64) -> GrantId {
        let request = Request::new(tenant, AllocationType::Cache, bytes);
        self.governor.request(&request).unwrap().into_id()
    }

    fn unseen(&self) -> Vec<u64> {
        let mut reader = self.governor.events();
        let mut found = Vec::new();
        loop {
            match reader.read() {
                EventRead::Event(event) if event.kind == EventKind::FreedNotSeen => {
                    found.push(event.bytes);
                }
                EventRead::Event(_) | EventRead::Lost(_) => {}
                EventRead::Empty => return found,
            }
        }
    }

    fn close(self) {
        for tenant in [self.one, self.two] {
            self.governor.unregister_tenant(tenant, Unregister::Force).unwrap();
        }
    }
}

#[test]
fn a_tenant_that_holds_more_than_it_says_shows() {
    let stage = stage();
    let (governor, one, two) = (&stage.governor, stage.one, stage.two);
    stage.cache(one, 20);
    stage.cache(two, 30);
    assert_eq!(governor.usage(one).unwrap().measured_bytes, None);
    governor.report_measured(one, Some(35)).unwrap();
    governor.report_measured(two, Some(10)).unwrap();
    let of = |tenant| {
        let usage = governor.usage(tenant).unwrap();
        (usage.measured_bytes, usage.unaccounted_bytes)
    };
    assert_eq!((of(one), of(two)), ((Some(35), 15), (Some(10), 0)));
    let snapshot = governor.snapshot();
    assert_eq!((snapshot.measured_bytes, snapshot.unaccounted_bytes), (None, 15));
    assert_eq!(snapshot.live_bytes, 50, "declared and measured stay apart");
    // What is declared by now accounts for it.
    stage.cache(one, 10);
    governor.balance();
    assert_eq!((of(one), governor.snapshot().unaccounted_bytes), ((Some(35), 5), 5));
    governor.report_measured(one, None).unwrap();
    assert_eq!((of(one), governor.snapshot().unaccounted_bytes), ((None, 0), 0));
    // A process is measured whole: the larger of both sums counts.
    governor.report_measured_process(Some(72));
    let snapshot = governor.snapshot();
    assert_eq!((snapshot.measured_bytes, snapshot.unaccounted_bytes), (Some(72), 12));
    stage.close();
}

#[test]
fn pressure_is_the_worse_of_declared_and_measured() {
    let stage = stage();
    let governor = &stage.governor;
    stage.cache(stage.one, 50);
    governor.report_measured(stage.one, Some(90)).unwrap();
    assert_eq!(governor.pressure(), Pressure::Normal, "counts from the next step on");
    let report = governor.balance();
    assert_eq!((report.pressure, report.live_bytes), (Pressure::High, 50));
    assert_eq!(report.freed_bytes, 50, "so that less is in use");
    // 90 are measured still.
    governor.balance();
    assert_eq!(governor.pressure(), Pressure::High);
    governor.report_measured(stage.one, Some(10)).unwrap();
    governor.balance();
    assert_eq!(governor.pressure(), Pressure::Normal);
    governor.report_measured_process(Some(96));
    assert_eq!(governor.pressure(), Pressure::Critical, "at once");
    governor.report_measured_process(Some(40));
    assert_eq!(governor.pressure(), Pressure::Normal);
    governor.report_measured_process(Some(90));
    governor.report_measured_process(None);
    assert_eq!(governor.pressure(), Pressure::Normal);
    stage.close();
}

#[test]
fn limits_bind_what_is_declared_only() {
    let stage = stage();
    stage.governor.report_measured(stage.one, Some(1_000_000)).unwrap();
    stage.governor.report_measured_process(Some(u64::MAX));
    stage.cache(stage.one, 60);
    stage.cache(stage.two, 40);
    stage.close();
}

#[test]
fn a_free_that_nobody_sees_is_told_once() {
    let stage = stage();
    let (governor, one) = (&stage.governor, stage.one);
    stage.cache(one, 60);
    governor.report_measured(one, Some(60)).unwrap();
    governor.report_measured_process(Some(80));
    // Evicts the cache, whose owner says that it is freed.
    stage.cache(one, 50);
    assert_eq!(governor.usage(one).unwrap().used_bytes, 50);
    stage.clock.advance_ns(WINDOW_NS - 1);
    governor.report_measured(one, Some(110)).unwrap();
    assert_eq!(governor.take_shortfalls(), [], "there is time left");
    stage.clock.advance_ns(1);
    governor.report_measured(one, Some(105)).unwrap();
    governor.report_measured_process(Some(70));
    let [found] = governor.take_shortfalls()[..] else { panic!("one shortfall") };
    assert_eq!((found.tenant, found.time_ns), (Some(one), WINDOW_NS));
    assert_eq!((found.freed_bytes, found.missing_bytes), (60, 55));
    assert_eq!((found.measured_bytes, found.declared_bytes), (105, 50));
    assert_eq!(stage.unseen(), [55]);
    assert_eq!(governor.snapshot().shortfalls, 1);
    governor.report_measured(one, Some(105)).unwrap();
    assert_eq!(governor.take_shortfalls(), []);
    stage.close();
}

#[test]
fn the_process_answers_for_all_tenants() {
    let stage = stage();
    stage.cache(stage.one, 60);
    stage.governor.report_measured_process(Some(75));
    stage.cache(stage.one, 50);
    stage.cache(stage.two, 20);
    stage.clock.advance_ns(WINDOW_NS);
    // 15 beside all grants, and 70 in grants.
    stage.governor.report_measured_process(Some(85));
    assert_eq!(stage.governor.take_shortfalls(), []);
    // The pool needs the 50 for the 60.
    stage.cache(stage.one, 60);
    stage.clock.advance_ns(WINDOW_NS);
    stage.governor.report_measured_process(Some(115));
    let [found] = stage.governor.take_shortfalls()[..] else { panic!("one shortfall") };
    assert_eq!((found.tenant, found.freed_bytes, found.missing_bytes), (None, 50, 20));
    stage.close();
}

#[test]
fn reports_of_tenants_that_are_gone_are_refused_and_forgotten() {
    let stage = stage();
    let (governor, one) = (&stage.governor, stage.one);
    governor.report_measured(one, Some(90)).unwrap();
    governor.unregister_tenant(one, Unregister::IfIdle).unwrap();
    let gone = governor.report_measured(one, Some(95));
    assert!(matches!(gone, Err(Error::Gone { what: "tenant", .. })), "{gone:?}");
    assert_eq!(governor.balance().pressure, Pressure::Normal);
    assert_eq!(governor.snapshot().unaccounted_bytes, 0);
    let again = TenantConfig::new(TenantId::from_u128(3), "again");
    let again = governor.register_tenant(again).unwrap();
    assert_eq!(governor.usage(again).unwrap().measured_bytes, None);
    let foreign = stage_of_another().report_measured(again, Some(1));
    assert!(matches!(foreign, Err(Error::Foreign { .. })), "{foreign:?}");
}

#[test]
fn what_is_set_aside_for_who_waits_is_not_declared() {
    let stage = stage();
    let (governor, one, two) = (&stage.governor, stage.one, stage.two);
    let model = |tenant, bytes| Request::new(tenant, AllocationType::ModelLoad, bytes);
    let held = [(one, 60), (two, 30)].map(|(t, bytes)| governor.request(&model(t, bytes)).unwrap());
    let patience_ns = governor.config().patience_ns;
    let waits = governor.enqueue(&model(one, 40), Duration::from_secs(1 << 20)).unwrap();
    stage.clock.advance_ns(patience_ns);
    governor.balance();
    let usage = governor.usage(one).unwrap();
    assert_eq!((usage.used_bytes, usage.set_aside_bytes), (60, 10));
    governor.report_measured(one, Some(75)).unwrap();
    assert_eq!(governor.usage(one).unwrap().unaccounted_bytes, 15);
    assert_eq!(governor.snapshot().unaccounted_bytes, 15, "as reported");
    governor.balance();
    assert_eq!(governor.snapshot().unaccounted_bytes, 15, "as of the last step");
    drop((waits, held));
    stage.close();
}

fn stage_of_another() -> Governor {
    stage().governor
}
