//! Releases, growth, batches, isolation: what a tenant does all day.

use super::*;

#[test]
fn a_release_of_a_part_shrinks_and_of_all_ends() {
    let manager = manager(100);
    let one = named(&manager, 1, "chat", 100);
    let held = granted(inference(&manager, one, 10));
    assert_eq!(now(manager.release_allocation(one, &held, 4)), Ok(Released::Returned));
    assert_eq!(allocated_mb(&manager, one), 6);
    let before = all(&manager);
    let too_much = now(manager.release_allocation(one, &held, 7)).unwrap_err();
    let wrong = MemoryError::WrongAmount {
        allocation_id: held.clone(),
        held_bytes: 6 * MIB,
        amount_bytes: 7 * MIB,
    };
    assert_eq!(too_much, wrong);
    assert_eq!(
        too_much.to_string(),
        format!("7 MiB to be released, but allocation {held} holds 6 MiB; pass at most that")
    );
    assert_eq!(all(&manager), before);
    assert_eq!(now(manager.release_allocation(one, &held, 6)), Ok(Released::Returned));
    assert_eq!(allocated_mb(&manager, one), 0);
    let again = now(manager.release_allocation(one, &held, 6)).unwrap_err();
    assert!(matches!(again, MemoryError::UnknownAllocation { .. }), "{again}");
}

#[test]
fn the_twins_are_exact_in_bytes() {
    let manager = manager(1);
    let one = named(&manager, 1, "chat", 1);
    let kind = AllocationType::Inference;
    let asked = |bytes| now(manager.request_allocation_bytes(one, bytes, "m", kind)).unwrap();
    let held = granted(asked(MIB - 1));
    let (_, available) = denied(asked(2));
    assert_eq!(available, 0, "one byte is no MiB");
    let last = granted(asked(1));
    let usage = now(manager.get_tenant_usage(one)).unwrap();
    assert_eq!((usage.allocated_memory_bytes, usage.allocated_memory_mb), (MIB, 1));
    now(manager.release_allocation_bytes(one, &held, MIB - 2)).unwrap();
    now(manager.grow_allocation_bytes(one, &last, 7)).unwrap();
    let usage = now(manager.get_tenant_usage(one)).unwrap();
    assert_eq!((usage.allocated_memory_bytes, usage.allocated_memory_mb), (9, 1));
    now(manager.release_allocation_bytes(one, &held, 1)).unwrap();
    now(manager.release_allocation_bytes(one, &last, 8)).unwrap();
    assert_eq!(allocated_mb(&manager, one), 0);
}

#[test]
fn an_allocation_grows_within_the_limits() {
    let manager = manager(100);
    let one = named(&manager, 1, "chat", 20);
    let held = granted(inference(&manager, one, 10));
    let grown = now(manager.grow_allocation(one, &held, 10)).unwrap();
    assert_eq!(grown, Response::Granted { allocation_id: held.clone() });
    let (reason, available) = denied(now(manager.grow_allocation(one, &held, 1)).unwrap());
    assert_eq!(
        reason,
        "tenant chat may hold at most its max_memory_mb of 20 MiB: it holds 20 MiB, and 1 MiB more \
         are 1 MiB too many; its largest model is llama-7b (20 MiB); release some of it or raise \
         max_memory_mb"
    );
    assert_eq!(available, 0);
    now(manager.release_allocation(one, &held, 20)).unwrap();
}

#[test]
fn what_was_granted_goes_back_with_the_last_clone() {
    let manager = manager(10);
    let one = named(&manager, 1, "chat", 10);
    let _held = granted(inference(&manager, one, 10));
    let clone = manager.clone();
    drop(manager);
    assert_eq!(allocated_mb(&clone, one), 10);
    drop(clone);
}

#[test]
fn a_batch_is_granted_whole_or_not_at_all() {
    let manager = manager(100);
    let (one, two) = (named(&manager, 1, "chat", 20), named(&manager, 2, "coder", 100));
    let kind = AllocationType::ModelLoad;
    let batch = |sizes: &[(TenantId, u64)]| {
        let requests = sizes.iter().map(|&(tenant, mb)| request(tenant, mb, "m", kind)).collect();
        now(manager.request_allocations(requests))
    };
    let before = all(&manager);
    let no = batch(&[(two, 30), (one, 15), (one, 15)]).unwrap();
    let MemoryBatchResponse::Denied { reason, available_memory_mb } = no else { panic!("{no:?}") };
    assert_eq!(
        reason,
        "tenant chat may hold at most its max_memory_mb of 20 MiB: it holds 0 MiB, and 30 MiB more \
         are 10 MiB too many; ask for less or raise max_memory_mb"
    );
    assert_eq!(available_memory_mb, 20);
    let mut left = all(&manager);
    assert_eq!(left.global_memory_status.allocated_memory_bytes, 0);
    // What was paid for may stay with it until others want it.
    left.tenant_summaries.iter_mut().for_each(|usage| usage.claimed_memory_bytes = 0);
    assert_eq!(left.tenant_summaries, before.tenant_summaries);
    let yes = batch(&[(two, 30), (one, 15), (one, 5)]).unwrap();
    let MemoryBatchResponse::Granted { allocation_ids } = yes else { panic!("{yes:?}") };
    assert_eq!(allocation_ids.len(), 3);
    assert_eq!((allocated_mb(&manager, one), allocated_mb(&manager, two)), (20, 30));
    now(manager.release_allocation(two, &allocation_ids[0], 30)).unwrap();
    now(manager.release_allocation(one, &allocation_ids[1], 15)).unwrap();
    now(manager.release_allocation(one, &allocation_ids[2], 5)).unwrap();
    assert_eq!(batch(&[]), Ok(MemoryBatchResponse::Granted { allocation_ids: Vec::new() }));
    let before = all(&manager);
    let unknown = batch(&[(one, 1), (id(9), 1)]);
    assert_eq!(unknown, Err(MemoryError::UnknownTenant(id(9))));
    let many = batch(&vec![(two, 1); 65]).unwrap_err();
    assert_eq!(many.to_string(), "requests: 65 in one batch; at most 64: split it");
    assert_eq!(all(&manager), before);
    now(manager.freeze_tenant(one)).unwrap();
    let no = batch(&[(two, 1), (one, 1)]).unwrap();
    assert!(matches!(no, MemoryBatchResponse::Denied { .. }));
    assert_eq!(allocated_mb(&manager, two), 0);
}

#[test]
fn isolation_decides_which_limit_binds() {
    let manager = manager(100);
    let levels = [
        (1, IsolationLevel::None, 100),
        (2, IsolationLevel::Soft, 30),
        (3, IsolationLevel::Hard, 20),
    ];
    for (number, isolation_level, most) in levels {
        let config =
            TenantMemoryConfig { isolation_level, burst_limit_mb: Some(30), ..tenant(number, 20) };
        now(manager.register_tenant(config)).unwrap();
        let (_, available) = denied(inference(&manager, id(number), most + 1));
        assert_eq!(available, most, "{isolation_level:?}");
        let held = granted(inference(&manager, id(number), most));
        now(manager.release_allocation(id(number), &held, most)).unwrap();
    }
}

#[test]
fn a_tenant_comes_and_goes_and_changes() {
    let manager = manager(100);
    let one = named(&manager, 1, "chat", 10);
    let held = granted(inference(&manager, one, 10));
    denied(inference(&manager, one, 5));
    now(manager.update_tenant(tenant(1, 15))).unwrap();
    granted(inference(&manager, one, 5));
    assert_eq!(now(manager.get_tenant_usage(one)).unwrap().name, "chat", "keeps its name");
    assert_eq!(now(manager.unregister_tenant_by_force(one)), Ok(15 * MIB));
    assert_eq!(
        now(manager.release_allocation(one, &held, 10)),
        Err(MemoryError::UnknownTenant(one))
    );
    now(manager.register_tenant(tenant(1, 10))).unwrap();
    let usage = now(manager.get_tenant_usage(one)).unwrap();
    assert_eq!((usage.allocated_memory_mb, usage.name), (0, one.to_string()));
    let old = now(manager.release_allocation(one, &held, 10)).unwrap_err();
    assert!(matches!(old, MemoryError::UnknownAllocation { .. }), "{old}");
    now(manager.unregister_tenant(one)).unwrap();
    assert_eq!(now(manager.unregister_tenant(one)), Err(MemoryError::UnknownTenant(one)));
}
