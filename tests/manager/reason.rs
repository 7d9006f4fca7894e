//! What a denial says, word for word.

use super::*;

#[test]
fn the_reason_names_the_tenants_own_limit() {
    let manager = manager(1000);
    let one = named(&manager, 1, "chat", 512);
    let kind = AllocationType::ModelLoad;
    ask(&manager, one, 100, "judge", kind);
    ask(&manager, one, 200, "llama-7b", kind);
    ask(&manager, one, 50, "tiny", kind);
    let (reason, available) = denied(ask(&manager, one, 256, "llama-7b", kind));
    assert_eq!(
        reason,
        "tenant chat may hold at most its max_memory_mb of 512 MiB: it holds 350 MiB, and 256 MiB \
         more are 94 MiB too many; its largest models are llama-7b (200 MiB) and judge (100 MiB); \
         release some of it or raise max_memory_mb"
    );
    assert_eq!(available, 162);
    let (reason, available) = denied(ask(&manager, one, 600, "llama-7b", kind));
    assert_eq!(
        reason,
        "tenant chat may hold at most its max_memory_mb of 512 MiB: it holds 350 MiB, and 600 MiB \
         more are 438 MiB too many; its largest models are llama-7b (200 MiB) and judge (100 MiB); \
         ask for less or raise max_memory_mb"
    );
    assert_eq!(available, 162);
}

#[test]
fn the_reason_names_the_burst_limit_and_the_limit_under_pressure() {
    let manager = with(1000, |governor| governor.pool_pressure = true);
    let burst = TenantMemoryConfig {
        burst_limit_mb: Some(400),
        isolation_level: IsolationLevel::Soft,
        ..tenant(1, 200)
    };
    now(manager.register_tenant(burst)).unwrap();
    now(manager.set_tenant_name(id(1), "chat")).unwrap();
    let kind = AllocationType::ModelLoad;
    let held = granted(ask(&manager, id(1), 300, "llama-7b", kind));
    let (reason, available) = denied(ask(&manager, id(1), 150, "llama-7b", kind));
    assert_eq!(
        reason,
        "tenant chat may hold at most its burst_limit_mb of 400 MiB: it holds 300 MiB, and 150 MiB \
         more are 50 MiB too many; its largest model is llama-7b (300 MiB); release some of it or \
         raise burst_limit_mb"
    );
    assert_eq!(available, 100);
    let other = named(&manager, 2, "indexer", 1000);
    granted(ask(&manager, other, 620, "index", kind));
    assert_eq!(now(manager.balance_memory()).unwrap().pressure, MemoryPressure::High);
    now(manager.release_allocation(id(1), &held, 150)).unwrap();
    let (reason, _) = denied(ask(&manager, id(1), 100, "llama-7b", kind));
    assert_eq!(
        reason,
        "tenant chat may hold at most its max_memory_mb of 200 MiB: it holds 150 MiB, and 100 MiB \
         more are 50 MiB too many; its largest model is llama-7b (150 MiB); release some of it or \
         wait until pressure is normal"
    );
}

#[test]
fn the_reason_names_the_pool_and_its_largest_holders() {
    let manager = unqueued(1024);
    let kind = AllocationType::ModelLoad;
    let chat = named(&manager, 1, "chat", 1024);
    for (number, name, mb) in [(2, "coder", 600), (3, "images", 300), (4, "indexer", 24)] {
        let tenant = named(&manager, number, name, 1024);
        granted(ask(&manager, tenant, mb, "m", kind));
    }
    let (reason, available) = denied(ask(&manager, chat, 156, "m", kind));
    assert_eq!(
        reason,
        "the pool of 1024 MiB has 100 MiB left for tenant chat, 56 MiB short of the 156 MiB it \
         asks for; the largest holders are coder (600 MiB) and images (300 MiB); try again when \
         memory was released"
    );
    assert_eq!(available, 100);
    // A guarantee that nobody uses is not there for others.
    now(manager.register_tenant(TenantMemoryConfig {
        guaranteed_memory_mb: 60,
        ..tenant(5, 1024)
    }))
    .unwrap();
    let (reason, available) = denied(ask(&manager, chat, 1000, "m", kind));
    assert_eq!(
        reason,
        "the pool of 1024 MiB has 40 MiB left for tenant chat, 960 MiB short of the 1000 MiB it \
         asks for; the largest holders are coder (600 MiB) and images (300 MiB); ask for less"
    );
    assert_eq!(available, 40);
}

#[test]
fn the_reason_names_pins_in_the_way() {
    let manager = unqueued(100);
    let low = TenantMemoryConfig { priority: TenantPriority::Low, ..tenant(1, 100) };
    now(manager.register_tenant(low)).unwrap();
    now(manager.set_tenant_name(id(1), "indexer")).unwrap();
    let chat = named(&manager, 2, "chat", 100);
    let held = cache(&manager, id(1), 80);
    now(manager.pin_allocation(id(1), &held, true)).unwrap();
    let (reason, available) = denied(inference(&manager, chat, 30));
    assert_eq!(
        reason,
        "the pool of 100 MiB has 20 MiB left for tenant chat, 10 MiB short of the 30 MiB it asks \
         for; the largest holder is indexer (80 MiB); unpin the allocation of 80 MiB in the way"
    );
    assert_eq!(available, 20);
    now(manager.pin_allocation(id(1), &held, false)).unwrap();
    let (_, available) = denied(inference(&manager, chat, 101));
    assert_eq!(available, 100, "with what would be evicted");
    granted(inference(&manager, chat, 30));
    assert_eq!(now(manager.release_allocation(id(1), &held, 80)), Ok(Released::Evicted));
}

#[test]
fn the_reason_names_the_rate() {
    let manager = manager(100);
    let one = named(&manager, 1, "chat", 100);
    now(manager.set_request_rate(one, Some(2))).unwrap();
    let held: Vec<_> = (0..2).map(|_| granted(inference(&manager, one, 1))).collect();
    let (reason, available) = denied(inference(&manager, one, 1));
    assert_eq!(
        reason,
        "tenant chat may ask 2.000 times a second and has used that up; ask again in 0.500 s"
    );
    assert_eq!(available, 0);
    for held in held {
        now(manager.release_allocation(one, &held, 1)).unwrap();
    }
    now(manager.set_request_rate(one, None)).unwrap();
    granted(inference(&manager, one, 1));
    let none = now(manager.set_request_rate(one, Some(0))).unwrap_err();
    assert_eq!(
        none.to_string(),
        "requests_per_second: 0 is out of range; use 1 to 1000000000, or None for no limit"
    );
    assert!(now(manager.set_request_rate(one, Some(1_000_000_001))).is_err());
    assert_eq!(now(manager.set_request_rate(one, Some(1_000_000_000))), Ok(()));
}

#[test]
fn the_reason_names_a_group_and_its_largest_holders() {
    let manager = unqueued(1000);
    let team = GroupConfig { limit_bytes: Some(100 * MIB), ..GroupConfig::new("research") };
    let team = manager.governor().register_group(team).unwrap();
    for (number, name) in [(1, "chat"), (2, "coder")] {
        let config = TenantConfig { parent: Some(team), ..TenantConfig::new(id(number), name) };
        now(manager.register_tenant_bytes(config)).unwrap();
    }
    granted(ask(&manager, id(1), 60, "m", AllocationType::ModelLoad));
    let (reason, available) = denied(inference(&manager, id(2), 50));
    assert_eq!(
        reason,
        "group research of 100 MiB has 40 MiB left for tenant coder, 10 MiB short of the 50 MiB it \
         asks for; the largest holder is chat (60 MiB); try again when memory was released"
    );
    assert_eq!(available, 40);
}

#[test]
fn the_reason_names_what_else_can_run_out() {
    let manager = with(1000, |governor| governor.grants_max = 16);
    let one = TenantConfig {
        grants_max: [Some(1), None, None, None],
        ..TenantConfig::new(id(1), "chat")
    };
    now(manager.register_tenant_bytes(one)).unwrap();
    granted(ask(&manager, id(1), 1, "llama", AllocationType::ModelLoad));
    let (reason, _) = denied(ask(&manager, id(1), 1, "llama", AllocationType::ModelLoad));
    assert_eq!(
        reason,
        "tenant chat may hold at most 1 allocations for model load; release one of them"
    );
    let refused = (0..1_000).find_map(|_| match inference(&manager, id(1), 1) {
        Response::Denied { reason, .. } => Some(reason),
        _ => None,
    });
    assert_eq!(
        refused.as_deref(),
        Some(
            "no place for another allocation is left (grants_max is 16); release small ones or \
             create the manager with a larger grants_max"
        )
    );
}

#[test]
fn a_ceiling_that_was_lowered_says_so() {
    let clock = ManualClock::new();
    let ticks = clock.clone();
    let options = ManagerOptions::default().governor(move |governor| {
        governor.inactive_limit_ns = 5;
        governor.clock = ticks.into();
    });
    let manager = Manager::try_new_with(memory(100), options).unwrap();
    let one = named(&manager, 1, "chat", 50);
    granted(inference(&manager, one, 20));
    now(manager.balance_memory()).unwrap();
    manager.governor().report_pressure(MemoryPressure::High);
    clock.advance_ns(5);
    now(manager.balance_memory()).unwrap();
    let usage = now(manager.get_tenant_usage(one)).unwrap();
    assert!(usage.limit_lowered);
    assert_eq!(usage.limit_in_force_bytes, Some(20 * MIB));
    let (reason, _) = denied(inference(&manager, one, 10));
    assert_eq!(
        reason,
        "tenant chat may hold at most its ceiling, lowered while it asked for nothing and memory \
         is short, of 20 MiB: it holds 20 MiB, and 10 MiB more are 10 MiB too many; its largest \
         model is llama-7b (20 MiB); release some of it or wait until pressure is normal"
    );
    now(manager.balance_memory()).unwrap();
    granted(inference(&manager, one, 10));
}
