//! The numbers, and the explanation of a request.

use super::*;

#[test]
fn the_dashboard_shows_who_holds_what() {
    let manager = manager(100);
    now(manager.register_tenant(TenantMemoryConfig {
        priority: TenantPriority::Critical,
        guaranteed_memory_mb: 20,
        ..tenant(1, 40)
    }))
    .unwrap();
    let empty = all(&manager);
    assert_eq!(empty.summary.memory_efficiency, 0.0, "20 MiB are claimed and not in use");
    let two = named(&manager, 2, "coder", 50);
    granted(ask(&manager, id(1), 10, "llama", AllocationType::ModelLoad));
    granted(ask(&manager, two, 20, "llama", AllocationType::ModelLoad));
    granted(ask(&manager, two, 25, "codestral", AllocationType::Inference));
    let page = all(&manager);
    let summary = &page.summary;
    assert_eq!((summary.total_tenants, summary.critical_tenants), (2, 1));
    assert_eq!((summary.active_tenants, summary.total_allocations), (2, 3));
    // 55 MiB in use; 20 of the first tenant and 45 of the second are claimed.
    let efficiency = 5_500.0 / 65.0;
    assert!((summary.memory_efficiency - efficiency).abs() < 1e-9, "{summary:?}");
    let global = &page.global_memory_status;
    assert_eq!((global.max_memory_mb, global.allocated_memory_mb), (100, 55));
    assert_eq!((global.claimed_memory_mb, global.unclaimed_memory_mb), (65, 35));
    assert_eq!(global.memory_pressure, MemoryPressure::Normal);
    let [one, two] = &page.tenant_summaries[..] else { panic!("{page:?}") };
    assert_eq!((one.name.as_str(), two.name.as_str()), (id(1).to_string().as_str(), "coder"));
    assert_eq!(one.utilization_percentage, 25.0);
    assert_eq!(one.memory_pressure, MemoryPressure::Normal);
    assert_eq!((two.utilization_percentage, two.memory_pressure), (90.0, MemoryPressure::High));
    assert_eq!((two.max_memory_mb, two.guaranteed_memory_mb), (Some(50), 0));
    let kinds = two.allocations_by_type;
    assert_eq!((kinds.model_load, kinds.inference, kinds.cache, kinds.background), (1, 1, 0, 0));
    let models = |models: &[ModelUsage]| -> Vec<(String, u64, u64)> {
        models.iter().map(|m| (m.model_name.clone(), m.allocations, m.bytes / MIB)).collect()
    };
    assert_eq!(models(&two.models), [("codestral".into(), 1, 25), ("llama".into(), 1, 20)]);
    assert_eq!(models(&page.models), [("llama".into(), 2, 30), ("codestral".into(), 1, 25)]);
    let again = all(&manager).tenant_summaries.remove(1);
    let mut usage = now(manager.get_tenant_usage(id(2))).unwrap();
    assert_eq!(usage.statistics.granted, 2);
    usage.statistics = again.statistics;
    assert_eq!((&usage, &again), (two, two));
}

#[test]
fn a_tenant_is_critical_near_its_limit() {
    let manager = manager(1000);
    let one = named(&manager, 1, "chat", 100);
    for (mb, pressure) in [
        (89, MemoryPressure::Normal),
        (90, MemoryPressure::High),
        (94, MemoryPressure::High),
        (95, MemoryPressure::Critical),
    ] {
        let held = granted(inference(&manager, one, mb));
        assert_eq!(now(manager.get_tenant_usage(one)).unwrap().memory_pressure, pressure);
        now(manager.release_allocation(one, &held, mb)).unwrap();
    }
}

#[test]
fn an_explanation_names_what_would_go() {
    let manager = manager(100);
    let low = TenantMemoryConfig { priority: TenantPriority::Low, ..tenant(1, 100) };
    now(manager.register_tenant(low)).unwrap();
    now(manager.set_tenant_name(id(1), "indexer")).unwrap();
    let chat = named(&manager, 2, "chat", 100);
    let kv = cache(&manager, id(1), 80);
    let before = all(&manager);
    let explain =
        |mb| now(manager.explain(&request(chat, mb, "llama", AllocationType::Inference))).unwrap();
    let fits = explain(20);
    assert!(fits.would_be_granted && fits.would_evict.is_empty());
    assert_eq!((fits.available_memory_mb, fits.details.reason), (20, None));
    let evicts = explain(30);
    assert!(evicts.would_be_granted);
    let victim = PlannedEviction {
        allocation_id: kv,
        tenant_name: "indexer".to_string(),
        model_name: "kv".to_string(),
        allocation_type: AllocationType::Cache,
        bytes: 80 * MIB,
    };
    assert_eq!(evicts.would_evict, [victim]);
    assert_eq!(evicts.details.reason, Some(DenialReason::Capacity));
    let never = explain(101);
    assert!(!never.would_be_granted && !never.waiting_can_help);
    assert_eq!((never.available_memory_mb, never.estimated_wait_time_secs), (100, None));
    assert!(
        never.to_string().starts_with("chat asks 101 MiB for inference: refused by"),
        "{never}"
    );
    assert_eq!(all(&manager), before);
}
