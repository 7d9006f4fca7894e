//! What is measured, in the dashboard.

use super::*;
use allotment::os::{Sample, Scripted};
use std::time::{Duration, Instant};

#[test]
fn what_is_measured_stands_beside_what_is_declared() {
    let manager = manager(100);
    let one = named(&manager, 1, "chat", 100);
    cache(&manager, one, 60);
    now(manager.report_measured(one, 70 * MIB)).unwrap();
    let usage = now(manager.get_tenant_usage(one)).unwrap();
    assert_eq!(usage.allocated_memory_bytes, 60 * MIB);
    assert_eq!(usage.measured_memory_bytes, Some(70 * MIB));
    assert_eq!(usage.unaccounted_memory_bytes, 10 * MIB);
    now(manager.report_measured_process(85 * MIB));
    let global = all(&manager).global_memory_status;
    assert_eq!(global.measured_memory_bytes, Some(85 * MIB));
    assert_eq!(global.unaccounted_memory_bytes, 25 * MIB);
    now(manager.report_measured(one, None)).unwrap();
    now(manager.report_measured_process(None));
    let page = all(&manager);
    assert_eq!(page.tenant_summaries[0].measured_memory_bytes, None);
    assert_eq!(page.global_memory_status.unaccounted_memory_bytes, 0);
    let unknown = now(manager.report_measured(id(9), 1)).unwrap_err();
    assert_eq!(unknown, MemoryError::UnknownTenant(id(9)));
}

#[test]
fn an_owner_that_learns_later_has_freed_nothing_yet() {
    // Nobody is told of the eviction before the next call, so the memory is still there.
    let clock = ManualClock::new();
    let ticks = clock.clone();
    let options = ManagerOptions::default().governor(move |governor| {
        governor.pool_pressure = false;
        governor.freed_shows_ns = 5;
        governor.clock = ticks.into();
    });
    let manager = Manager::try_new_with(memory(100), options).unwrap();
    let one = named(&manager, 1, "chat", 100);
    cache(&manager, one, 60);
    now(manager.report_measured(one, 60 * MIB)).unwrap();
    granted(inference(&manager, one, 50));
    clock.advance_ns(5);
    now(manager.report_measured(one, 110 * MIB)).unwrap();
    assert_eq!(all(&manager).global_memory_status.shortfalls, 1);
    assert_eq!(manager.governor().take_shortfalls()[0].missing_bytes, 60 * MIB);
}

#[test]
fn the_monitor_measures_the_process_where_it_is_told_to() {
    for on in [false, true] {
        let held = Sample { process_bytes: Some(90 * MIB), ..Sample::new(1 << 40, 1 << 39) };
        let config = MemoryConfig { monitoring_interval_secs: 1, ..memory(100) };
        let options = ManagerOptions::default().probe(Scripted::new(Ok(held))).measure_process(on);
        let manager = Manager::try_new_with(config, options).unwrap();
        now(manager.start_monitoring()).unwrap();
        let begin = Instant::now();
        while manager.background_status().monitor_steps == 0 {
            assert!(begin.elapsed() < Duration::from_secs(60), "the monitor never looked");
            std::thread::sleep(Duration::from_millis(5));
        }
        let global = all(&manager).global_memory_status;
        assert_eq!(global.measured_memory_bytes, on.then_some(90 * MIB));
        let pressure = if on { MemoryPressure::High } else { MemoryPressure::Normal };
        assert_eq!(global.memory_pressure, pressure);
    }
}
