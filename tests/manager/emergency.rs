//! Freeze, thaw, drain, revoke.

use super::*;
use std::sync::{Arc, Mutex};

#[test]
fn a_frozen_tenant_keeps_what_it_holds_and_gets_nothing_more() {
    let manager = manager(100);
    let one = named(&manager, 1, "chat", 50);
    let held = granted(inference(&manager, one, 10));
    now(manager.freeze_tenant(one)).unwrap();
    let why = "tenant chat is frozen: it keeps what it holds and gets nothing more; an operator \
               ends that with thaw_tenant";
    assert_eq!(denied(inference(&manager, one, 1)), (why.to_string(), 0));
    let growth = now(manager.grow_allocation(one, &held, 1)).unwrap();
    assert_eq!(denied(growth), (why.to_string(), 0));
    let request = request(one, 1, "m", AllocationType::Cache);
    let explained = now(manager.explain(&request)).unwrap();
    assert_eq!(explained.to_string(), why);
    assert!(!explained.would_be_granted);
    assert_eq!(all(&manager).summary.tenants_on_hold, 1);
    now(manager.release_allocation(one, &held, 4)).unwrap();
    assert_eq!(allocated_mb(&manager, one), 6);
    now(manager.thaw_tenant(one)).unwrap();
    granted(inference(&manager, one, 1));
    granted(now(manager.grow_allocation(one, &held, 1)).unwrap());
}

#[test]
fn a_drain_asks_for_all_that_may_go() {
    let manager = manager(100);
    now(manager.register_tenant(TenantMemoryConfig { guaranteed_memory_mb: 50, ..tenant(1, 50) }))
        .unwrap();
    let one = id(1);
    let model = granted(ask(&manager, one, 5, "llama", AllocationType::ModelLoad));
    let run = granted(ask(&manager, one, 4, "run", AllocationType::Inference));
    let kv = granted(ask(&manager, one, 3, "kv", AllocationType::Cache));
    let kept = granted(ask(&manager, one, 2, "pinned", AllocationType::Cache));
    let work = granted(ask(&manager, one, 1, "work", AllocationType::Background));
    now(manager.pin_allocation(one, &kept, true)).unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let seen = order.clone();
    manager.on_evict(move |evicted| {
        seen.lock().unwrap().push(evicted.model_name.clone());
        match evicted.allocation_type {
            AllocationType::Inference => ReclaimAnswer::Deferred,
            _ => ReclaimAnswer::Freed,
        }
    });
    let report = now(manager.drain_tenant(one)).unwrap();
    let expected = DrainReport {
        freed_allocations: 2,
        freed_bytes: 4 * MIB,
        deferred_allocations: 1,
        busy_allocations: 0,
        held_bytes: 11 * MIB,
    };
    assert_eq!(report, expected);
    assert_eq!(*order.lock().unwrap(), ["work", "kv", "run"]);
    assert_eq!(allocated_mb(&manager, one), 11);
    let (reason, _) = denied(inference(&manager, one, 1));
    assert!(reason.contains("is being drained"), "{reason}");
    for (gone, mb) in [(&kv, 3), (&work, 1)] {
        assert_eq!(now(manager.release_allocation(one, gone, mb)), Ok(Released::Evicted));
    }
    for (there, mb) in [(&model, 5), (&run, 4), (&kept, 2)] {
        assert_eq!(now(manager.release_allocation(one, there, mb)), Ok(Released::Returned));
    }
    now(manager.thaw_tenant(one)).unwrap();
    granted(inference(&manager, one, 50));
}

#[test]
fn a_revoked_allocation_is_over_and_its_owner_learns_at_the_next_call() {
    let manager = manager(100);
    let (one, two) = (named(&manager, 1, "chat", 50), named(&manager, 2, "coder", 50));
    let held = granted(ask(&manager, one, 10, "llama", AllocationType::ModelLoad));
    now(manager.pin_allocation(one, &held, true)).unwrap();
    let foreign = now(manager.revoke_allocation(two, &held)).unwrap_err();
    assert!(matches!(foreign, MemoryError::ForeignAllocation { .. }), "{foreign}");
    assert_eq!(now(manager.revoke_allocation(one, &held)), Ok(10 * MIB));
    assert_eq!(allocated_mb(&manager, one), 0);
    let ended = now(manager.touch_allocation(one, &held)).unwrap_err();
    assert_eq!(
        ended.to_string(),
        format!("allocation {held} was revoked; its memory is gone, request it again")
    );
    assert_eq!(now(manager.revoke_allocation(one, &held)), Err(ended));
    assert_eq!(now(manager.release_allocation(one, &held, 10)), Ok(Released::Evicted));
    assert!(now(manager.release_allocation(one, &held, 10)).is_err(), "told once");
}

#[test]
fn every_use_is_recorded_and_the_record_is_bounded() {
    let clock = ManualClock::new();
    let time = clock.clone();
    let options = ManagerOptions::default()
        .governor(move |governor| governor.clock = time.into())
        .emergency_log_max(4);
    let manager = Manager::try_new_with(memory(100), options).unwrap();
    let one = named(&manager, 1, "chat", 50);
    let held = granted(ask(&manager, one, 10, "llama", AllocationType::ModelLoad));
    clock.set_ns(7);
    now(manager.freeze_tenant(one)).unwrap();
    now(manager.thaw_tenant(one)).unwrap();
    now(manager.drain_tenant(one)).unwrap();
    now(manager.revoke_allocation(one, &held)).unwrap();
    now(manager.unregister_tenant_by_force(one)).unwrap();
    let log = now(manager.emergency_log());
    let said: Vec<_> = log.iter().map(|entry| (entry.verb, entry.what.as_str())).collect();
    let revoked = format!("llama ({held}) of 10 MiB");
    assert_eq!(
        said,
        [
            (EmergencyVerb::Thaw, "may ask again; holds 10 MiB"),
            (EmergencyVerb::Drain, "0 allocations of 0 MiB ended; holds 10 MiB"),
            (EmergencyVerb::Revoke, revoked.as_str()),
            (EmergencyVerb::UnregisterByForce, "ended 0 allocations of 0 MiB"),
        ]
    );
    assert!(log.iter().all(|entry| entry.tenant_id == Some(one) && entry.time_ns == 7));
}
