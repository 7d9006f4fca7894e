//! Deciding without refusing.

use super::*;

#[test]
fn nobody_is_refused_and_nothing_evicted_while_observing() {
    let manager = manager(100);
    let one = named(&manager, 1, "chat", 60);
    now(manager.set_observe_only(true));
    assert!(manager.is_observe_only());
    let kv = cache(&manager, one, 50);
    // A cache could go for it, but stays.
    let beside = granted(inference(&manager, one, 20));
    let usage = now(manager.get_tenant_usage(one)).unwrap();
    assert_eq!((usage.observed_evictions, usage.observed_denials), (1, 0));
    now(manager.release_allocation(one, &beside, 20)).unwrap();
    now(manager.pin_allocation(one, &kv, true)).unwrap();
    let over = granted(inference(&manager, one, 20));
    let usage = now(manager.get_tenant_usage(one)).unwrap();
    assert_eq!((usage.allocated_memory_mb, usage.observed_over_mb), (50, 20));
    assert_eq!((usage.observed_denials, usage.allocations), (1, 2));
    assert_eq!(
        usage.observed_reasons,
        ["tenant chat may hold at most its max_memory_mb of 60 MiB: it holds 50 MiB, and 20 MiB \
             more are 10 MiB too many; its largest model is kv (50 MiB); release some of it or \
             raise max_memory_mb"]
    );
    let dashboard = all(&manager);
    assert!(dashboard.summary.observe_only);
    assert_eq!(dashboard.summary.observed_denials, 1);
    assert_eq!(dashboard.global_memory_status.observed_over_mb, 20);
    assert_eq!(dashboard.global_memory_status.allocated_memory_mb, 50);
    // Within the budget it is decided as ever.
    let fits = granted(inference(&manager, one, 10));
    assert!(!fits.starts_with("observed"));
    assert_eq!(now(manager.release_allocation(one, &kv, 50)), Ok(Released::Returned));
    assert_eq!(now(manager.release_allocation(one, &over, 5)), Ok(Released::Returned));
    assert_eq!(now(manager.get_tenant_usage(one)).unwrap().observed_over_mb, 15);
    // Valid after the switch back, until it is released.
    now(manager.set_observe_only(false));
    let too_much = now(manager.release_allocation(one, &over, 16)).unwrap_err();
    assert!(matches!(too_much, MemoryError::WrongAmount { .. }), "{too_much}");
    denied(inference(&manager, one, 60));
    let (reason, _) = denied(now(manager.grow_allocation(one, &over, 1)).unwrap());
    assert_eq!(
        reason,
        format!(
            "allocation {over} was granted beyond the budget while nobody was refused and \
                 cannot grow; release it and request it again"
        )
    );
    assert!(now(manager.unregister_tenant(one)).is_err(), "it holds something");
    assert_eq!(now(manager.release_allocation(one, &over, 15)), Ok(Released::Returned));
    assert!(now(manager.release_allocation(one, &over, 15)).is_err());
    now(manager.release_allocation(one, &fits, 10)).unwrap();
    now(manager.unregister_tenant(one)).unwrap();
}

#[test]
fn growth_and_batches_and_rates_are_only_observed() {
    let manager = manager(100);
    let one = named(&manager, 1, "chat", 20);
    now(manager.set_observe_only(true));
    let held = granted(inference(&manager, one, 20));
    granted(now(manager.grow_allocation(one, &held, 7)).unwrap());
    let usage = now(manager.get_tenant_usage(one)).unwrap();
    assert_eq!((usage.allocated_memory_mb, usage.observed_over_mb), (20, 7));
    assert_eq!(usage.models[0].bytes, 27 * MIB);
    // What is beyond the budget goes back first.
    now(manager.release_allocation(one, &held, 10)).unwrap();
    let usage = now(manager.get_tenant_usage(one)).unwrap();
    assert_eq!((usage.allocated_memory_mb, usage.observed_over_mb), (17, 0));
    now(manager.release_allocation(one, &held, 17)).unwrap();

    let two = |mb| vec![request(one, mb, "m", AllocationType::ModelLoad); 2];
    let batch = now(manager.request_allocations(two(15))).unwrap();
    let MemoryBatchResponse::Granted { allocation_ids } = batch else { panic!("{batch:?}") };
    let over = granted(now(manager.grow_allocation(one, &allocation_ids[0], 5)).unwrap());
    assert_eq!(over, allocation_ids[0]);
    assert_eq!(now(manager.get_tenant_usage(one)).unwrap().observed_over_mb, 35);
    now(manager.release_allocation(one, &allocation_ids[0], 20)).unwrap();
    now(manager.release_allocation(one, &allocation_ids[1], 15)).unwrap();

    now(manager.set_request_rate(one, Some(1))).unwrap();
    for _ in 0..12 {
        granted(inference(&manager, one, 1));
    }
    let usage = now(manager.get_tenant_usage(one)).unwrap();
    assert_eq!(usage.observed_reasons.len(), 8, "only the last ones are kept");
    assert_eq!(usage.observed_denials, 1 + 2 + 11);
    assert_eq!(now(manager.unregister_tenant_by_force(one)), Ok(12 * MIB));
}

#[test]
fn misuse_is_refused_while_observing_and_an_operator_is_obeyed() {
    let manager = manager(100);
    let one = named(&manager, 1, "chat", 20);
    now(manager.set_observe_only(true));
    now(manager.set_observe_only(true));
    let kind = AllocationType::Cache;
    assert!(now(manager.request_allocation(request(one, 0, "m", kind))).is_err());
    assert!(now(manager.request_allocation(request(id(9), 1, "m", kind))).is_err());
    now(manager.freeze_tenant(one)).unwrap();
    denied(inference(&manager, one, 1));
    let verbs: Vec<_> = now(manager.emergency_log()).iter().map(|entry| entry.verb).collect();
    assert_eq!(verbs, [EmergencyVerb::ObserveOnly, EmergencyVerb::Freeze]);
}

#[test]
fn balancing_evicts_nothing_while_observing() {
    let manager = with(100, |governor| governor.pool_pressure = true);
    let one = named(&manager, 1, "chat", 100);
    for _ in 0..9 {
        cache(&manager, one, 10);
    }
    now(manager.set_observe_only(true));
    let report = now(manager.balance_memory()).unwrap();
    assert_eq!((report.evicted_grants, report.live_bytes), (0, 90 * MIB));
    now(manager.set_observe_only(false));
    assert_eq!(now(manager.balance_memory()).unwrap().evicted_grants, 2);
}
