//! What is refused, and that nothing has changed then.

use super::*;

#[test]
fn a_refused_configuration_grants_nothing_and_says_why() {
    let manager = Manager::new(memory(0));
    let fault = "max_memory_mb: 0 is out of range; use 1 to 268435455";
    let error = now(manager.register_tenant(tenant(1, 10))).unwrap_err();
    assert_eq!(error.to_string(), fault);
    let (reason, available) = denied(inference(&manager, id(1), 1));
    assert_eq!(reason, format!("nothing is granted: the configuration was refused, {fault}"));
    assert_eq!(available, 0);
    let refused = [
        (
            MemoryConfig { max_memory_mb: 1 << 28, ..memory(1) },
            "max_memory_mb: 268435456 is out of \
          range; use 1 to 268435455",
        ),
        (
            MemoryConfig { enable_monitoring: true, monitoring_interval_secs: 0, ..memory(1) },
            "monitoring_interval_secs: 0 \
          seconds leave no time between two steps; use at least 1",
        ),
        (
            MemoryConfig { enable_memory_balancing: true, balancing_interval_secs: 0, ..memory(1) },
            "balancing_interval_secs: 0 \
          seconds leave no time between two steps; use at least 1",
        ),
    ];
    for (config, why) in refused {
        assert_eq!(Manager::try_new(config).unwrap_err().to_string(), why);
    }
    let off = MemoryConfig { enable_monitoring: false, monitoring_interval_secs: 0, ..memory(1) };
    assert!(Manager::try_new(off).is_ok(), "what is off needs no interval");
    let options = ManagerOptions::default().governor(|governor| governor.high_percent = 101);
    let thresholds = Manager::try_new_with(memory(1), options).unwrap_err();
    assert_eq!(thresholds.to_string(), "high_percent: 101 is out of range; use 1 to 95");
    let alerts = Manager::try_new_with(memory(1), ManagerOptions::default().alerts_max(0));
    assert_eq!(alerts.unwrap_err().to_string(), "alerts_max: 0 is out of range; use at least 1");
    assert!(Manager::try_new_with(memory(1), ManagerOptions::default().alerts_max(1)).is_ok());
}

#[test]
fn a_tenant_that_cannot_be_is_refused() {
    let manager = manager(100);
    named(&manager, 1, "chat", 50);
    let before = all(&manager);
    let refused =
        |config: TenantMemoryConfig| now(manager.register_tenant(config)).unwrap_err().to_string();
    let two = tenant(2, 50);
    assert_eq!(
        refused(TenantMemoryConfig { guaranteed_memory_mb: 51, ..two.clone() }),
        "guaranteed_memory_mb: 51 exceeds the max_memory_mb of 50; lower the guarantee or raise \
         the maximum"
    );
    assert_eq!(
        refused(TenantMemoryConfig { burst_limit_mb: Some(49), ..two.clone() }),
        "burst_limit_mb: 49 is below the max_memory_mb of 50; raise it, or use None for no burst"
    );
    assert_eq!(
        refused(TenantMemoryConfig { burst_limit_mb: Some(u64::MAX), ..two.clone() }),
        "burst_limit_mb: 18446744073709551615 is out of range; use 1 to 268435455"
    );
    assert_eq!(
        refused(TenantMemoryConfig { max_memory_mb: 0, ..two.clone() }),
        "max_memory_mb: 0 is out of range; use 1 to 268435455"
    );
    assert_eq!(
        refused(tenant(1, 50)),
        format!(
            "tenant {} is already registered; change it with update_tenant, or unregister it",
            id(1)
        )
    );
    assert_eq!(
        refused(TenantMemoryConfig { guaranteed_memory_mb: 101, ..tenant(2, 200) }),
        "guarantees of 101 MiB exceed the 100 MiB of the pool; lower one of them \
         or raise max_memory_mb of the manager"
    );
    let update = TenantMemoryConfig { guaranteed_memory_mb: 101, ..tenant(1, 200) };
    assert!(matches!(
        now(manager.update_tenant(update)),
        Err(MemoryError::GuaranteesExceed { .. })
    ));
    let unknown = now(manager.update_tenant(two)).unwrap_err();
    assert_eq!(
        unknown.to_string(),
        format!("tenant {} is not registered; register it with register_tenant first", id(2))
    );
    assert_eq!(all(&manager), before);
}

#[test]
fn misuse_of_allocations_is_refused() {
    let manager = manager(100);
    let (one, two) = (named(&manager, 1, "chat", 50), named(&manager, 2, "coder", 50));
    let held = granted(inference(&manager, one, 10));
    let before = all(&manager);
    let kind = AllocationType::Inference;
    let asked = |tenant, mb| now(manager.request_allocation(request(tenant, mb, "m", kind)));
    assert_eq!(asked(one, 0), Err(MemoryError::ZeroAmount));
    let huge = MemoryError::TooLarge { amount_mb: u64::MAX, max_mb: 16_777_215 };
    assert_eq!(asked(one, u64::MAX), Err(huge.clone()));
    assert_eq!(
        huge.to_string(),
        "an amount of 18446744073709551615 MiB; one allocation holds at most 16777215 MiB: split it"
    );
    let bytes = now(manager.request_allocation_bytes(one, 1 << 44, "m", kind)).unwrap_err();
    assert_eq!(bytes, MemoryError::TooLarge { amount_mb: 16_777_216, max_mb: 16_777_215 });
    assert_eq!(asked(id(9), 1), Err(MemoryError::UnknownTenant(id(9))));
    let release = |tenant, id: &str, mb| now(manager.release_allocation(tenant, id, mb));
    assert_eq!(release(one, &held, 0), Err(MemoryError::ZeroAmount));
    let too_much = |mb| release(one, &held, mb).unwrap_err().to_string();
    let of_held = format!("to be released, but allocation {held} holds 10 MiB; pass at most that");
    assert_eq!(too_much(11), format!("11 MiB {of_held}"));
    assert_eq!(too_much(u64::MAX), format!("at least 17592186044415 MiB {of_held}"));
    let exact = now(manager.release_allocation_bytes(one, &held, u64::MAX)).unwrap_err();
    assert_eq!(exact.to_string(), format!("18446744073709551615 bytes {of_held}"));
    assert_eq!(
        MemoryError::ZeroAmount.to_string(),
        "an amount of 0; pass at least 1 MiB, or 1 byte where the amount is in bytes"
    );
    let foreign = release(two, &held, 10).unwrap_err();
    assert_eq!(
        foreign.to_string(),
        format!(
            "allocation {held} does not belong to tenant {two}; pass the tenant that requested it"
        )
    );
    assert_eq!(release(id(9), &held, 10), Err(MemoryError::UnknownTenant(id(9))));
    for wrong in
        ["", "0", "observed-1", "observed-", &held.to_uppercase(), &format!("0{held}"), "ä"]
    {
        if *wrong == held {
            continue;
        }
        let unknown = release(one, wrong, 10).unwrap_err();
        assert!(matches!(unknown, MemoryError::UnknownAllocation { .. }), "{wrong}: {unknown}");
        assert!(now(manager.touch_allocation(one, wrong)).is_err());
        assert!(now(manager.grow_allocation(one, wrong, 1)).is_err());
        assert!(now(manager.revoke_allocation(one, wrong)).is_err());
    }
    let holds = now(manager.unregister_tenant(one)).unwrap_err();
    assert_eq!(
        holds.to_string(),
        format!(
            "tenant {one} still holds 10 MiB in 1 allocations; release them, or use \
                 unregister_tenant_by_force"
        )
    );
    for verb in [now(manager.freeze_tenant(id(9))), now(manager.thaw_tenant(id(9)))] {
        assert_eq!(verb, Err(MemoryError::UnknownTenant(id(9))));
    }
    assert!(now(manager.drain_tenant(id(9))).is_err());
    assert!(now(manager.get_tenant_usage(id(9))).is_err());
    assert!(now(manager.explain(&request(id(9), 1, "m", kind))).is_err());
    assert_eq!(all(&manager), before);
    assert_eq!(now(manager.emergency_log()), []);
}

#[test]
fn another_managers_allocation_is_unknown() {
    let (here, there) = (manager(10), manager(10));
    let one = named(&here, 1, "chat", 10);
    named(&there, 1, "chat", 10);
    let held = granted(inference(&there, one, 5));
    granted(inference(&here, one, 5));
    let unknown = now(here.release_allocation(one, &held, 5)).unwrap_err();
    assert!(matches!(unknown, MemoryError::UnknownAllocation { .. }), "{unknown}");
    assert_eq!(allocated_mb(&here, one), 5);
}

#[test]
fn what_is_accepted_without_effect_is_said() {
    assert_eq!(manager(10).warnings(), Vec::<String>::new());
    let config = MemoryConfig { enable_compression: true, ..memory(10) };
    let manager = Manager::try_new(config.clone()).unwrap();
    let warning = "enable_compression: nothing is compressed, so the compression_threshold_mb of \
                   64 has no effect either; compress what you keep yourself and release the \
                   difference, or set it to false";
    assert_eq!(manager.warnings(), [warning]);
    assert!(format!("{manager:?}").contains(warning), "{manager:?}");
    let one = named(&manager, 1, "chat", 10);
    granted(inference(&manager, one, 10));
    // Also where the configuration was refused for something else.
    let refused = Manager::new(MemoryConfig { max_memory_mb: 0, ..config });
    assert_eq!(refused.warnings(), [warning]);
}

#[test]
fn thresholds_out_of_order_are_refused() {
    let refused = |tune: fn(&mut GovernorConfig)| {
        let options = ManagerOptions::default().governor(tune);
        Manager::try_new_with(memory(1), options).unwrap_err().to_string()
    };
    assert_eq!(
        refused(|governor| governor.warning_percent = 91),
        "warning_percent: 91 is out of range; use 1 to 90"
    );
    assert_eq!(
        refused(|governor| governor.critical_percent = 89),
        "high_percent: 90 is out of range; use 1 to 89"
    );
    assert_eq!(
        refused(|governor| governor.hysteresis_percent = 80),
        "hysteresis_percent: 80 is out of range; use 0 to 79"
    );
}

/// Two tenants in a pool of 100 MiB, the first of which holds all; two requests are queued, and
/// one of them is awaited.
#[test]
fn misuse_changes_nothing_while_requests_are_queued() {
    let manager = manager(100);
    let (one, two) = (named(&manager, 1, "chat", 100), named(&manager, 2, "coder", 100));
    let held = granted(ask(&manager, one, 100, "llama", AllocationType::ModelLoad));
    let kind = AllocationType::Inference;
    queued(ask(&manager, two, 50, "queued", kind));
    let awaited = manager.acquire_allocation(request(two, 20, "m", kind), Duration::from_secs(9));
    let mut awaited = pin!(awaited);
    let mut poll = || awaited.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(poll().is_pending());
    let before = all(&manager);
    assert_eq!(before.summary.waiting_requests, 2);
    let asked = |tenant, mb| now(manager.request_allocation(request(tenant, mb, "queued", kind)));
    assert_eq!(asked(two, 0), Err(MemoryError::ZeroAmount));
    assert!(matches!(asked(two, u64::MAX), Err(MemoryError::TooLarge { .. })));
    assert_eq!(asked(id(9), 50), Err(MemoryError::UnknownTenant(id(9))));
    let acquired = |tenant, mb| {
        let request = request(tenant, mb, "queued", kind);
        now(manager.acquire_allocation(request, Duration::MAX))
    };
    assert_eq!(acquired(two, 0), Err(MemoryError::ZeroAmount));
    assert!(matches!(acquired(two, u64::MAX), Err(MemoryError::TooLarge { .. })));
    assert_eq!(acquired(id(9), 50), Err(MemoryError::UnknownTenant(id(9))));
    let exact = manager.acquire_allocation_bytes(two, 1 << 44, "m", kind, Duration::MAX);
    assert!(matches!(now(exact), Err(MemoryError::TooLarge { .. })));
    // A place in the queue is no allocation.
    for (tenant, wrong) in [(two, held.as_str()), (two, "queued"), (one, "0"), (id(9), &held)] {
        assert!(now(manager.release_allocation(tenant, wrong, 50)).is_err());
        assert!(now(manager.grow_allocation(tenant, wrong, 1)).is_err());
        assert!(now(manager.touch_allocation(tenant, wrong)).is_err());
        assert!(now(manager.pin_allocation(tenant, wrong, true)).is_err());
        assert!(now(manager.revoke_allocation(tenant, wrong)).is_err());
    }
    let release = |mb| now(manager.release_allocation(one, &held, mb));
    assert!(matches!(release(101), Err(MemoryError::WrongAmount { .. })));
    assert!(matches!(release(u64::MAX), Err(MemoryError::WrongAmount { .. })));
    assert_eq!(release(0), Err(MemoryError::ZeroAmount));
    let refused =
        |config: TenantMemoryConfig| (now(manager.register_tenant(config.clone())), config);
    let three = tenant(3, 50);
    for (answer, config) in [
        refused(tenant(2, 50)),
        refused(TenantMemoryConfig { guaranteed_memory_mb: 51, ..three.clone() }),
        refused(TenantMemoryConfig { burst_limit_mb: Some(49), ..three.clone() }),
        refused(TenantMemoryConfig { max_memory_mb: 0, ..three.clone() }),
        refused(TenantMemoryConfig { max_memory_mb: u64::MAX, ..three }),
    ] {
        assert!(answer.is_err(), "{config:?}");
    }
    assert!(now(manager.unregister_tenant(one)).is_err());
    assert_eq!(all(&manager), before);
    // A part that is released serves who fits: the awaited 20, not the queued 50.
    assert_eq!(release(20), Ok(Released::Returned));
    let Poll::Ready(answer) = poll() else { panic!("20 MiB came free") };
    granted(answer.unwrap());
    assert_eq!((allocated_mb(&manager, one), allocated_mb(&manager, two)), (80, 20));
}

/// What becomes of another tenant's id is told so that it is true before and after its eviction.
#[test]
fn a_foreign_id_is_refused_truly_before_and_after_its_eviction() {
    let manager = manager(100);
    let (one, two) = (named(&manager, 1, "chat", 100), named(&manager, 2, "coder", 100));
    let kv = cache(&manager, one, 60);
    let refused = || now(manager.release_allocation(two, &kv, 60)).unwrap_err().to_string();
    let before = format!("allocation {kv} does not belong to tenant {two}; ");
    assert!(refused().starts_with(&before), "{}", refused());
    granted(inference(&manager, one, 50));
    assert_eq!(
        refused(),
        format!(
            "allocation {kv} is not held by tenant {two}: it was released before, or never granted \
             to this tenant; pass the id of an answer that granted it, and its tenant, once"
        )
    );
    assert_eq!(now(manager.release_allocation(one, &kv, 20)), Ok(Released::Evicted), "all of it");
    let later = now(manager.release_allocation(one, &kv, 40)).unwrap_err();
    assert!(matches!(later, MemoryError::UnknownAllocation { .. }), "{later}");
}

#[test]
fn a_burst_without_effect_is_said_while_its_tenant_has_it() {
    let manager = manager(100);
    let bursting = |number, isolation_level| TenantMemoryConfig {
        burst_limit_mb: Some(30),
        isolation_level,
        ..tenant(number, 20)
    };
    for (number, isolation) in
        [(3, IsolationLevel::None), (2, IsolationLevel::Soft), (1, IsolationLevel::Hard)]
    {
        now(manager.register_tenant(bursting(number, isolation))).unwrap();
    }
    named(&manager, 4, "no burst", 20);
    now(manager.set_tenant_name(id(1), "chat")).unwrap();
    let hard = "burst_limit_mb of tenant chat: 30 MiB has no effect, because with isolation Hard \
                max_memory_mb binds whatever the pressure; set isolation_level to Soft, or \
                burst_limit_mb to None";
    let none = format!(
        "burst_limit_mb of tenant {}: 30 MiB has no effect, because with isolation None none of \
         its own limits binds; set isolation_level to Soft, or burst_limit_mb to None",
        id(3)
    );
    assert_eq!(manager.warnings(), [hard, none.as_str()]);
    let without = TenantMemoryConfig { burst_limit_mb: None, ..bursting(1, IsolationLevel::Hard) };
    now(manager.update_tenant(without)).unwrap();
    assert_eq!(manager.warnings(), [none.as_str()]);
    now(manager.update_tenant(bursting(2, IsolationLevel::Hard))).unwrap();
    assert_eq!(manager.warnings().len(), 2);
    now(manager.update_tenant(bursting(2, IsolationLevel::Soft))).unwrap();
    now(manager.unregister_tenant(id(3))).unwrap();
    assert_eq!(manager.warnings(), Vec::<String>::new());
}
