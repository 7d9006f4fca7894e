//! Refusals as data: the figures of the governor beside the sentence, and what is no denial of its.

use super::*;

fn exact(tenant: TenantId, bytes: u64) -> AllocationAsk {
    AllocationAsk {
        tenant_id: tenant,
        bytes,
        model_name: "llama".to_string(),
        allocation_type: AllocationType::ModelLoad,
    }
}

fn denial(refused: AllocationRefusal) -> AllocationDenial {
    match refused {
        AllocationRefusal::Denied(denial) => *denial,
        AllocationRefusal::Misuse(error) => panic!("{error}"),
    }
}

#[test]
fn what_is_granted_is_an_allocation_like_any_other() {
    let manager = manager(64);
    let chat = named(&manager, 1, "chat", 64);
    let id = now(manager.allocate(&exact(chat, 3), Duration::ZERO)).unwrap();
    now(manager.extend(chat, &id, 4)).unwrap();
    assert_eq!(now(manager.get_tenant_usage(chat)).unwrap().allocated_memory_bytes, 7);
    assert_eq!(now(manager.release_allocation_bytes(chat, &id, 7)), Ok(Released::Returned));
}

#[test]
fn a_denial_has_the_figures_it_was_decided_by() {
    let manager = manager(64);
    let chat = named(&manager, 1, "chat", 16);
    let refused = now(manager.allocate(&exact(chat, 17 * MIB), Duration::ZERO)).unwrap_err();
    assert!(refused.to_string().contains("16 MiB"), "{refused}");
    let no = denial(refused);
    let figures = no.denial.expect("the governor's");
    assert_eq!((figures.reason, figures.short_bytes), (DenialReason::TenantLimit, MIB));
    assert_eq!(no.available_bytes, 16 * MIB);

    let id = now(manager.allocate(&exact(chat, 16 * MIB), Duration::ZERO)).unwrap();
    let no = denial(now(manager.extend(chat, &id, 1)).unwrap_err());
    assert_eq!(no.denial.map(|denial| denial.short_bytes), Some(1));
}

#[test]
fn who_is_frozen_is_refused_by_nobody_but_the_operator() {
    let manager = manager(64);
    let chat = named(&manager, 1, "chat", 16);
    now(manager.freeze_tenant(chat)).unwrap();
    let no = denial(now(manager.allocate(&exact(chat, 1), Duration::ZERO)).unwrap_err());
    assert_eq!((no.denial, no.available_bytes), (None, 0));
}

#[test]
fn without_a_wait_there_is_no_place_in_line() {
    let manager = manager(16);
    let [chat, other] = [1, 2].map(|id| named(&manager, id, "chat", 16));
    now(manager.allocate(&exact(chat, 16 * MIB), Duration::ZERO)).unwrap();
    let no = denial(now(manager.allocate(&exact(other, 1), Duration::ZERO)).unwrap_err());
    let figures = no.denial.expect("the governor's");
    assert_eq!((figures.reason, figures.waiting_can_help), (DenialReason::Capacity, true));
    assert_eq!(now(manager.get_tenant_dashboard()).unwrap().summary.waiting_requests, 0);
}

#[test]
fn misuse_is_named() {
    let manager = manager(16);
    let chat = named(&manager, 1, "chat", 16);
    let nobody = TenantId::from_u128(9);
    let misuse = |ask: &AllocationAsk| now(manager.allocate(ask, Duration::ZERO)).unwrap_err();
    let unknown = AllocationRefusal::Misuse(MemoryError::UnknownTenant(nobody));
    assert_eq!(misuse(&exact(nobody, 1)), unknown);
    assert_eq!(misuse(&exact(chat, 0)), AllocationRefusal::Misuse(MemoryError::ZeroAmount));
    let none = now(manager.extend(chat, "none", 1)).unwrap_err();
    let AllocationRefusal::Misuse(MemoryError::UnknownAllocation { .. }) = none else {
        panic!("{none}");
    };
}

#[test]
fn explanations_are_exact_in_bytes() {
    let manager = manager(16);
    let chat = named(&manager, 1, "chat", 8);
    let fits = now(manager.explain_exactly(&exact(chat, 8 * MIB))).unwrap();
    assert!(fits.would_be_granted);
    let beyond = now(manager.explain_exactly(&exact(chat, 8 * MIB + 1))).unwrap();
    assert_eq!((beyond.would_be_granted, beyond.details.short_bytes), (false, 1));
}

#[test]
fn an_allocation_is_shown_and_returned_whole_however_much_it_has_become() {
    let manager = manager(16);
    let chat = named(&manager, 1, "chat", 16);
    let id = now(manager.allocate(&exact(chat, 3), Duration::ZERO)).unwrap();
    now(manager.extend(chat, &id, 4)).unwrap();
    now(manager.pin_allocation(chat, &id, true)).unwrap();
    let shown = now(manager.get_allocation(chat, &id)).unwrap();
    assert_eq!((shown.bytes, shown.pinned, shown.model_name.as_str()), (7, true, "llama"));
    assert_eq!(shown.allocation_type, AllocationType::ModelLoad);
    assert_eq!(now(manager.release_allocation_whole(chat, &id)), Ok(Released::Returned));
    assert!(now(manager.get_allocation(chat, &id)).is_err());
    assert!(now(manager.release_allocation_whole(chat, &id)).is_err());
}

#[test]
fn everything_of_a_tenant_is_changed_in_bytes() {
    let manager = manager(16);
    let chat = named(&manager, 1, "chat", 16);
    let lower = |config: &mut TenantConfig| {
        config.limit_bytes = Some(5);
        config.name = "talk".to_string();
    };
    now(manager.update_tenant_bytes(chat, lower)).unwrap();
    let no = denial(now(manager.allocate(&exact(chat, 6), Duration::ZERO)).unwrap_err());
    assert_eq!(no.denial.map(|denial| denial.limit), Some(5));
    assert_eq!(now(manager.get_tenant_usage(chat)).unwrap().name, "talk");
    let unnamed = |config: &mut TenantConfig| config.name.clear();
    assert!(now(manager.update_tenant_bytes(chat, unnamed)).is_err());
    assert_eq!(now(manager.get_tenant_usage(chat)).unwrap().name, "talk");
    let nobody = TenantId::from_u128(9);
    let unknown = Err(MemoryError::UnknownTenant(nobody));
    assert_eq!(now(manager.update_tenant_bytes(nobody, lower)), unknown);
}
