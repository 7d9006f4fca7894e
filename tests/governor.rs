//! The governor by its public interface: what each verb grants, denies, refuses and evicts.

use allotment::os::ManualClock;
use allotment::*;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const MIB: u64 = 1 << 20;

fn small(capacity_bytes: u64) -> GovernorConfig {
    GovernorConfig {
        tenants_max: 8,
        groups_max: 4,
        grants_max: 256,
        pool_pressure: false,
        ..GovernorConfig::new(capacity_bytes)
    }
}

fn tenant(number: u128) -> TenantConfig {
    TenantConfig::new(TenantId::from_u128(number), format!("tenant {number}"))
}

fn denial(refusal: Refusal) -> Denial {
    *refusal.denial().expect("a denial")
}

#[test]
fn a_grant_is_counted_until_it_is_dropped() {
    let governor = Governor::new(small(100 * MIB)).unwrap();
    let one = governor.register_tenant(tenant(1)).unwrap();
    let grant = governor.try_request(&Request::new(one, AllocationType::Cache, MIB)).unwrap();
    assert_eq!(governor.snapshot().live_bytes, MIB);
    grant.grow(MIB).unwrap();
    assert_eq!(grant.bytes(), 2 * MIB);
    grant.shrink(MIB / 2).unwrap();
    grant.true_up(5 * MIB).unwrap();
    assert_eq!(governor.usage(one).unwrap().used_bytes, 5 * MIB);
    assert_eq!(grant.release(), Ok(Released::Returned));
    let usage = governor.usage(one).unwrap();
    assert_eq!((usage.used_bytes, usage.peak_bytes, usage.granted), (0, 5 * MIB, 1));
}

#[test]
fn the_pool_denies_with_data() {
    let governor = Governor::new(small(10)).unwrap();
    let one = governor.register_tenant(tenant(1)).unwrap();
    let two = governor.register_tenant(tenant(2)).unwrap();
    let held = governor.try_request(&Request::new(one, AllocationType::Inference, 7)).unwrap();
    let no = governor.try_request(&Request::new(two, AllocationType::Inference, 5)).unwrap_err();
    let no = denial(no);
    assert_eq!(no.reason, DenialReason::Capacity);
    assert_eq!((no.asked_bytes, no.short_bytes, no.available_bytes), (5, 2, 3));
    assert!(no.waiting_can_help);
    drop(held);
    let _five = governor.try_request(&Request::new(two, AllocationType::Inference, 5)).unwrap();
}

#[test]
fn a_guarantee_is_kept_whatever_others_do() {
    let governor = Governor::new(small(10)).unwrap();
    let one = governor.register_tenant(TenantConfig { guarantee_bytes: 4, ..tenant(1) }).unwrap();
    let two = governor.register_tenant(tenant(2)).unwrap();
    let all = governor.try_request(&Request::new(two, AllocationType::Inference, 7));
    assert_eq!(denial(all.unwrap_err()).short_bytes, 1);
    let _six = governor.try_request(&Request::new(two, AllocationType::Inference, 6)).unwrap();
    let _four = governor.try_request(&Request::new(one, AllocationType::Inference, 4)).unwrap();
}

#[test]
fn a_short_request_evicts_the_least_recently_used_of_its_own() {
    let governor = Governor::new(small(4)).unwrap();
    let config = TenantConfig { policy: Policy::Lru, ..tenant(1) };
    let one = governor.register_tenant(config).unwrap();
    let gone = Arc::new(Mutex::new(Vec::new()));
    let seen = gone.clone();
    governor.on_reclaim(move |victim| {
        seen.lock().unwrap().push(victim.cookie);
        ReclaimAnswer::Freed
    });
    let block = |n: u64| Request::new(one, AllocationType::Cache, 1).cookie(n);
    let ids: Vec<GrantId> =
        (0..4).map(|n| governor.request(&block(n)).unwrap().into_id()).collect();
    governor.touch(one, ids[0]).unwrap();
    let _fifth = governor.request(&block(4)).unwrap().into_id();
    assert_eq!(*gone.lock().unwrap(), [1]);
    assert_eq!(governor.release(one, ids[1]), Ok(Released::Evicted));
    assert_eq!(governor.release(one, ids[0]), Ok(Released::Returned));
    assert_eq!(governor.snapshot().live_bytes, 3);
}

#[test]
fn eviction_follows_type_then_priority_and_keeps_guarantees() {
    let governor = Governor::new(small(12)).unwrap();
    let gone = Arc::new(Mutex::new(Vec::new()));
    let seen = gone.clone();
    governor.on_reclaim(move |victim| {
        seen.lock().unwrap().push(victim.cookie);
        ReclaimAnswer::Freed
    });
    let with = |n, priority, guarantee_bytes| {
        let config = TenantConfig { priority, guarantee_bytes, ..tenant(n) };
        governor.register_tenant(config).unwrap()
    };
    let low = with(1, Priority::Low, 2);
    let normal = with(2, Priority::Normal, 0);
    let critical = with(3, Priority::Critical, 0);
    let take = |tenant, kind, cookie| {
        let request = Request::new(tenant, kind, 2).cookie(cookie);
        governor.request(&request).unwrap().into_id();
    };
    take(low, AllocationType::Cache, 1);
    take(low, AllocationType::Cache, 2);
    take(low, AllocationType::Inference, 3);
    take(normal, AllocationType::Background, 4);
    take(normal, AllocationType::Cache, 5);
    take(normal, AllocationType::ModelLoad, 6);
    let explained =
        governor.explain(&Request::new(critical, AllocationType::Inference, 8)).unwrap();
    assert_eq!(explained.reason, Some(DenialReason::Capacity));
    assert_eq!((explained.evictions.grants, explained.evictions.missing_bytes), (4, 0));
    let request = Request::new(critical, AllocationType::Inference, 8);
    governor.request(&request).unwrap().into_id();
    // Background first, then caches by priority; the low tenant keeps its guarantee of 2.
    assert_eq!(*gone.lock().unwrap(), [4, 1, 2, 5]);
    let no = governor.request(&Request::new(critical, AllocationType::Inference, 2)).unwrap_err();
    assert_eq!(denial(no).reason, DenialReason::Capacity);
    assert_eq!(gone.lock().unwrap().len(), 4);
}

#[test]
fn pins_forbid_eviction_and_are_named() {
    let governor = Governor::new(small(4)).unwrap();
    governor.on_reclaim(|_| ReclaimAnswer::Freed);
    let one = governor.register_tenant(tenant(1)).unwrap();
    let block = Request::new(one, AllocationType::Cache, 2).pinned(true);
    let a = governor.request(&block).unwrap();
    let b = governor.request(&block).unwrap();
    let no = denial(governor.request(&block).unwrap_err());
    assert_eq!((no.pins.grants, no.pins.bytes, no.pins.first), (2, 4, Some(a.id())));
    b.unpin().unwrap();
    let c = governor.request(&block).unwrap();
    assert_eq!(b.release(), Ok(Released::Evicted));
    assert_eq!((a.bytes(), c.bytes()), (2, 2));
}

#[test]
fn a_reservation_that_is_not_committed_gives_its_bytes_back() {
    let clock = ManualClock::new();
    let config = GovernorConfig { clock: clock.clone().into(), ..small(4) };
    let governor = Governor::new(config).unwrap();
    let one = governor.register_tenant(tenant(1)).unwrap();
    let all = Request::new(one, AllocationType::ModelLoad, 4);
    let kept = governor.reserve(&all, Duration::from_secs(1)).unwrap().commit().unwrap();
    drop(kept);
    let lost = governor.reserve(&all, Duration::from_secs(1)).unwrap();
    assert!(governor.request(&all).is_err());
    clock.advance_ns(1_000_000_000);
    // Whether or not the next grant has its slot.
    let grant = governor.request(&all).unwrap();
    let id = lost.id();
    assert_eq!(lost.commit().unwrap_err(), Error::Expired(id));
    assert_eq!(grant.bytes(), 4);
    drop(grant);
    let _forgotten = governor.reserve(&all, Duration::from_secs(1)).unwrap().into_id();
    clock.advance_ns(1_000_000_000);
    assert_eq!(governor.balance().reservations_expired, 1);
    assert_eq!(governor.snapshot().live_bytes, 0);
}

#[test]
fn a_batch_is_granted_whole_or_not_at_all() {
    let governor = Governor::new(small(10)).unwrap();
    let one = governor.register_tenant(tenant(1)).unwrap();
    let two = governor.register_tenant(tenant(2)).unwrap();
    let of = |tenant, bytes| Request::new(tenant, AllocationType::Inference, bytes);
    let batch = governor.request_all(&[of(one, 3), of(two, 4), of(one, 3)]).unwrap();
    assert_eq!(governor.snapshot().live_bytes, 10);
    drop(batch);
    let no = governor.request_all(&[of(one, 3), of(two, 8)]).unwrap_err();
    assert_eq!(denial(no).reason, DenialReason::Capacity);
    assert_eq!(governor.snapshot().live_bytes, 0);
}

#[test]
fn the_number_of_grants_can_be_limited_also_later() {
    let governor = Governor::new(small(100)).unwrap();
    governor.on_reclaim(|_| ReclaimAnswer::Freed);
    let one = governor.register_tenant(tenant(1)).unwrap();
    let block = Request::new(one, AllocationType::Cache, 1);
    let a = governor.request(&block).unwrap();
    governor.set_tenant(one, |c| c.grants_max[AllocationType::Cache as usize] = Some(2)).unwrap();
    let b = governor.try_request(&block).unwrap();
    let no = denial(governor.try_request(&block).unwrap_err());
    assert_eq!((no.reason, no.limit), (DenialReason::GrantCount, 2));
    let c = governor.request(&block).unwrap();
    assert_eq!(governor.snapshot().live_bytes, 2);
    drop((a, b, c));
    assert_eq!(governor.snapshot().live_bytes, 0);
    let _two = (governor.try_request(&block).unwrap(), governor.try_request(&block).unwrap());
    assert!(governor.try_request(&block).is_err());
}

#[test]
fn victims_without_a_handler_are_polled() {
    let governor = Governor::new(small(4)).unwrap();
    let one = governor.register_tenant(tenant(1)).unwrap();
    let block = Request::new(one, AllocationType::Cache, 4).cookie(7);
    let first = governor.request(&block).unwrap();
    let no = denial(governor.request(&block).unwrap_err());
    assert!(no.waiting_can_help);
    let victim = governor.next_victim().unwrap();
    assert_eq!((victim.grant, victim.cookie), (first.id(), 7));
    assert_eq!(first.release(), Ok(Released::Evicted));
    assert!(governor.next_victim().is_none());
    let second = governor.request(&block).unwrap();
    governor.request(&block).unwrap_err();
    governor.decline(one, second.id()).unwrap();
    assert_eq!(second.bytes(), 4);
    second.touch().unwrap();
}

#[test]
fn a_tenant_is_unregistered_idle_drained_or_by_force() {
    let governor = Governor::new(small(100)).unwrap();
    let one = governor.register_tenant(TenantConfig { guarantee_bytes: 9, ..tenant(1) }).unwrap();
    let block = Request::new(one, AllocationType::Cache, 3).pinned(true);
    let held = governor.request(&block).unwrap();
    let busy = governor.unregister_tenant(one, Unregister::IfIdle);
    assert_eq!(busy, Err(Error::GrantsLive { bytes: 3 }));
    governor.unregister_tenant(one, Unregister::Drain).unwrap();
    assert!(matches!(governor.request(&block), Err(Refusal::Misuse(Error::Gone { .. }))));
    assert_eq!(governor.find(TenantId::from_u128(1)), None);
    drop(held);
    let again = governor.register_tenant(tenant(1)).unwrap();
    assert_ne!(again, one);
    let forced = governor.request(&Request::new(again, AllocationType::Cache, 5)).unwrap();
    governor.unregister_tenant(again, Unregister::Force).unwrap();
    assert_eq!(governor.snapshot().live_bytes, 0);
    assert_eq!(governor.snapshot().claimed_bytes, 0);
    assert_eq!(forced.bytes(), 0);
}

#[test]
fn groups_bound_their_children() {
    let governor = Governor::new(small(100)).unwrap();
    let team =
        GroupConfig { limit_bytes: Some(10), guarantee_bytes: 6, ..GroupConfig::new("team") };
    let team = governor.register_group(team).unwrap();
    let child = |n, g| TenantConfig { parent: Some(team), guarantee_bytes: g, ..tenant(n) };
    let one = governor.register_tenant(child(1, 4)).unwrap();
    let over = governor.register_tenant(child(2, 3)).unwrap_err();
    assert!(matches!(over, Error::GuaranteesExceed { sum: 7, bound: 6, .. }));
    let two = governor.register_tenant(child(2, 2)).unwrap();
    let _six = governor.request(&Request::new(one, AllocationType::Cache, 6).pinned(true)).unwrap();
    let no = governor.request(&Request::new(two, AllocationType::Cache, 5)).unwrap_err();
    assert_eq!(denial(no).reason, DenialReason::GroupLimit);
    let _four = governor.request(&Request::new(two, AllocationType::Cache, 4)).unwrap();
    assert!(matches!(governor.unregister_group(team), Err(Error::HasChildren { children: 2 })));
}

#[test]
fn an_owned_grant_keeps_its_governor() {
    let governor = Arc::new(Governor::new(small(10)).unwrap());
    let one = governor.register_tenant(tenant(1)).unwrap();
    let grant = governor.request_owned(&Request::new(one, AllocationType::Cache, 4)).unwrap();
    let stored = governor.request_owned(&Request::new(one, AllocationType::Cache, 4)).unwrap();
    assert_eq!(Arc::strong_count(&governor), 3);
    let id = stored.into_id();
    assert_eq!(grant.release(), Ok(Released::Returned));
    assert_eq!(Arc::strong_count(&governor), 1);
    assert_eq!(governor.release(one, id), Ok(Released::Returned));
}

#[test]
fn a_governor_dropped_with_live_grants_reports_them() {
    let governor = Governor::new(small(10)).unwrap();
    let one = governor.register_tenant(tenant(1)).unwrap();
    let report = Arc::new(Mutex::new(None));
    let seen = report.clone();
    governor.on_leak(move |leak| *seen.lock().unwrap() = Some(leak.clone()));
    let _kept = governor.request(&Request::new(one, AllocationType::Cache, 4)).unwrap().into_id();
    drop(governor);
    let leak = report.lock().unwrap().take().expect("a report");
    assert_eq!((leak.grants, leak.bytes), (1, 4));
    assert_eq!(leak.tenants[0].name, "tenant 1");
}

#[test]
fn a_grant_becomes_an_owned_one_without_a_change() {
    let governor = Arc::new(Governor::new(small(10)).unwrap());
    let one = governor.register_tenant(tenant(1)).unwrap();
    let request = Request::new(one, AllocationType::Cache, 3);
    let owned: Vec<OwnedGrant> = governor
        .request_all(&[request, request])
        .unwrap()
        .into_iter()
        .map(|grant| grant.into_owned(&governor))
        .collect();
    assert_eq!(governor.snapshot().live_bytes, 6);
    assert_eq!(owned.iter().map(OwnedGrant::bytes).sum::<u64>(), 6);
    drop(owned);
    assert_eq!(governor.snapshot().live_bytes, 0);
}

#[test]
#[should_panic(expected = "the grant is another governor's")]
fn a_grant_does_not_become_another_governors() {
    let (here, there) = (Governor::new(small(10)).unwrap(), Governor::new(small(10)).unwrap());
    let one = here.register_tenant(tenant(1)).unwrap();
    let grant = here.request(&Request::new(one, AllocationType::Cache, 3)).unwrap();
    let _ = grant.into_owned(&Arc::new(there));
}

#[test]
fn what_is_attainable_counts_what_may_go() {
    let governor = Governor::new(small(100)).unwrap();
    let group = governor
        .register_group(GroupConfig { limit_bytes: Some(80), ..GroupConfig::new("team") })
        .unwrap();
    let low = TenantConfig { priority: Priority::Low, parent: Some(group), ..tenant(1) };
    let low = governor.register_tenant(low).unwrap();
    let high = TenantConfig { priority: Priority::High, parent: Some(group), ..tenant(2) };
    let high = governor.register_tenant(high).unwrap();
    let outside = governor.register_tenant(tenant(3)).unwrap();
    let other = TenantConfig { limit_bytes: Some(30), guarantee_bytes: 5, ..tenant(4) };
    let other = governor.register_tenant(other).unwrap();
    let ask = |tenant, bytes| Request::new(tenant, AllocationType::Inference, bytes);
    let attainable = |tenant| governor.attainable(&ask(tenant, 1_000)).unwrap();
    let all = |tenants: [TenantHandle; 4]| tenants.map(attainable);
    assert_eq!(all([low, high, outside, other]), [80, 80, 95, 30]);
    let cache = Request::new(low, AllocationType::Cache, 50);
    let _cache = governor.request(&cache).unwrap();
    let _fixed = governor.request(&Request::new(high, AllocationType::ModelLoad, 10)).unwrap();
    assert_eq!(all([low, high, outside, other]), [70, 70, 85, 30]);
    assert_eq!(governor.attainable(&ask(high, 7)), Ok(7), "at most what was asked for");
    let shown = |account| {
        let holders = governor.largest_holders(account).unwrap().into_iter();
        holders.map(|h| (h.name, h.bytes)).collect::<Vec<_>>()
    };
    let two = [("tenant 1".to_string(), 50), ("tenant 2".to_string(), 10)];
    assert_eq!(shown(AccountName::Pool), two);
    assert_eq!(shown(AccountName::Group(group)), two);
    assert_eq!(shown(AccountName::Tenant(high)), two[1..]);
    let name = |account| governor.name(account).unwrap();
    assert_eq!(name(AccountName::Pool), "the pool");
    assert_eq!(name(AccountName::Group(group)), "team");
    governor.unregister_tenant(outside, Unregister::IfIdle).unwrap();
    assert!(governor.largest_holders(AccountName::Tenant(outside)).is_err());
    assert!(governor.attainable(&ask(outside, 1)).is_err());
}

/// A capacity was lowered below what is in use; nothing commits until it is below, not even what a
/// tenant had paid for that is gone.
#[test]
fn what_a_leaving_tenant_had_paid_for_is_no_way_past_a_lowered_capacity() {
    let governor = Governor::new(small(120)).unwrap();
    let config = GroupConfig { guarantee_bytes: 18, ..GroupConfig::new("group") };
    let group = governor.register_group(config).unwrap();
    let inside = |number| TenantConfig { parent: Some(group), ..tenant(number) };
    let one = governor.register_tenant(inside(1)).unwrap();
    let config = TenantConfig { guarantee_bytes: 11, ..inside(2) };
    let leaving = governor.register_tenant(config).unwrap();
    let other = governor.register_tenant(inside(3)).unwrap();
    let _held = governor.request(&Request::new(one, AllocationType::ModelLoad, 36)).unwrap();
    governor.set_capacity(20).unwrap();
    governor.unregister_tenant(leaving, Unregister::IfIdle).unwrap();
    let no = governor.try_request(&Request::new(other, AllocationType::ModelLoad, 1));
    assert_eq!(denial(no.unwrap_err()).reason, DenialReason::Capacity);
    assert_eq!(governor.snapshot().live_bytes, 36);
}

#[test]
fn accounts_are_found_by_name() {
    let governor = Governor::new(small(100)).unwrap();
    let named = |number, name: &str| TenantConfig { name: name.into(), ..tenant(number) };
    assert_eq!((governor.find_named("a"), governor.find_group("a")), (None, None));
    let group = governor.register_group(GroupConfig::new("a")).unwrap();
    assert_eq!((governor.find_named("a"), governor.find_group("a")), (None, Some(group)));
    let b = governor.register_tenant(named(1, "b")).unwrap();
    let [first, second] = [2, 3].map(|n| governor.register_tenant(named(n, "a")).unwrap());
    assert_eq!(governor.find_named("a"), Some(first), "in the lowest slot");
    assert_eq!((governor.find_named("b"), governor.find_group("b")), (Some(b), None));
    governor.set_tenant(b, |config| config.name = "a".into()).unwrap();
    assert_eq!((governor.find_named("a"), governor.find_named("b")), (Some(b), None), "renamed");
    for (how, next) in [(Unregister::Drain, Some(first)), (Unregister::Force, Some(second))] {
        governor.unregister_tenant(governor.find_named("a").unwrap(), how).unwrap();
        assert_eq!(governor.find_named("a"), next, "not one that is gone");
    }
    governor.unregister_tenant(second, Unregister::IfIdle).unwrap();
    let again = governor.register_tenant(named(4, "a")).unwrap();
    assert_eq!(governor.find_named("a"), Some(again), "with the generation of its slot");
    assert_eq!(governor.find_named(""), None);
    governor.unregister_group(group).unwrap();
    assert_eq!(governor.find_group("a"), None);
}

#[test]
fn the_bytes_of_a_grant_are_told_until_it_has_ended() {
    let governor = Arc::new(Governor::new(small(100)).unwrap());
    let one = governor.register_tenant(tenant(1)).unwrap();
    let cache = governor.request(&Request::new(one, AllocationType::Cache, 10)).unwrap().into_id();
    assert_eq!(governor.bytes_of(one, cache), Ok(10));
    governor.grow(one, cache, 30).unwrap();
    assert_eq!(governor.bytes_of(one, cache), Ok(40));
    governor.shrink(one, cache, 5).unwrap();
    assert_eq!(governor.bytes_of(one, cache), Ok(35));
    let weak = Arc::downgrade(&governor);
    governor.on_reclaim(move |victim| {
        // It is asked for it: it still holds it.
        let told = weak.upgrade().unwrap().bytes_of(victim.tenant, victim.grant);
        assert_eq!(told, Ok(35));
        ReclaimAnswer::Deferred
    });
    governor.request(&Request::new(one, AllocationType::Inference, 90)).unwrap_err();
    assert_eq!(governor.bytes_of(one, cache), Ok(35), "until its owner releases it");
    assert_eq!(governor.snapshot().reclaim_panics, 0);
    governor.release(one, cache).unwrap();
    assert_eq!(governor.bytes_of(one, cache), Err(Error::StaleGrant(cache)));
}

/// Grants of one slot, each larger than the one before: the bytes told are those of the grant asked
/// for, never those of the next one.
#[test]
fn the_bytes_of_the_next_grant_in_a_slot_are_not_told() {
    const ROUNDS: u64 = 20_000;
    let governor = Governor::new(GovernorConfig { grants_max: 16, ..small(100 * MIB) }).unwrap();
    let one = governor.register_tenant(tenant(1)).unwrap();
    let make = |bytes| {
        let request = Request::new(one, AllocationType::Cache, bytes);
        governor.try_request(&request).unwrap().into_id()
    };
    let latest = Mutex::new((1, make(1)));
    std::thread::scope(|threads| {
        threads.spawn(|| {
            let mut held = latest.lock().unwrap().1;
            for bytes in 2..ROUNDS {
                governor.release(one, held).unwrap();
                held = make(bytes);
                *latest.lock().unwrap() = (bytes, held);
            }
        });
        loop {
            let (bytes, grant) = *latest.lock().unwrap();
            for _ in 0..10 {
                match governor.bytes_of(one, grant) {
                    Ok(told) => assert_eq!(told, bytes),
                    Err(error) => assert_eq!(error, Error::StaleGrant(grant)),
                }
            }
            if bytes == ROUNDS - 1 {
                break;
            }
        }
    });
}

#[test]
fn groups_move_while_a_request_is_explained() {
    const GROUPS: usize = 60;
    let config = GovernorConfig { groups_max: 64, ..small(100) };
    let governor = Governor::new(config).unwrap();
    let one = governor.register_tenant(tenant(1)).unwrap();
    let request = Request::new(one, AllocationType::Cache, 1);
    let top = governor.register_group(GroupConfig::new("top")).unwrap();
    let group = |parent| governor.register_group(GroupConfig { parent, ..GroupConfig::new("g") });
    let mut groups: Vec<_> = (0..GROUPS).map(|_| group(None).unwrap()).collect();
    std::thread::scope(|scope| {
        let moving = scope.spawn(|| {
            // From one level to the other and back, so that no order of levels stays true.
            for turn in 0..40_000 {
                let at = turn * 7 % GROUPS;
                governor.unregister_group(groups[at]).unwrap();
                groups[at] = group((turn / GROUPS).is_multiple_of(2).then_some(top)).unwrap();
            }
        });
        while !moving.is_finished() {
            assert!(governor.explain(&request).unwrap().reason.is_none());
            assert_eq!(governor.attainable(&request), Ok(1));
        }
    });
}

#[test]
fn the_next_tenant_of_a_slot_has_used_nothing() {
    let governor = Governor::new(GovernorConfig { tenants_max: 1, ..small(100) }).unwrap();
    let one = governor.register_tenant(tenant(1)).unwrap();
    drop(governor.request(&Request::new(one, AllocationType::Cache, 10)).unwrap());
    governor.request(&Request::new(one, AllocationType::Cache, 101)).unwrap_err();
    governor.unregister_tenant(one, Unregister::IfIdle).unwrap();
    let two = governor.register_tenant(tenant(2)).unwrap();
    assert_eq!(one.index(), two.index(), "the only slot");
    let usage = governor.usage(two).unwrap();
    assert_eq!((usage.used_bytes, usage.peak_bytes), (0, 0));
    assert_eq!((usage.granted, usage.denied), (0, 0));
}

/// As many grants in one slot as the low bits of a generation can tell apart.
#[test]
fn a_grant_is_told_from_the_one_whose_generation_ends_alike() {
    let governor = Governor::new(GovernorConfig { grants_max: 16, ..small(100) }).unwrap();
    let one = governor.register_tenant(tenant(1)).unwrap();
    let request = Request::new(one, AllocationType::Cache, 1);
    let make = || governor.try_request(&request).unwrap().into_id();
    let _others: Vec<GrantId> = (1..16).map(|_| make()).collect();
    let first = make();
    governor.release(one, first).unwrap();
    let last = (0..1 << 16).fold(first, |before, _| {
        let next = make();
        assert_eq!(next.index(), before.index(), "the only slot");
        if next.as_u64() >> 24 & 0xffff != first.as_u64() >> 24 & 0xffff {
            governor.release(one, next).unwrap();
        }
        next
    });
    assert_eq!(last.as_u64() - first.as_u64(), 1 << 40, "the generations end alike");
    assert_eq!(governor.bytes_of(one, first), Err(Error::StaleGrant(first)));
    assert_eq!(governor.touch(one, first), Err(Error::StaleGrant(first)));
    assert_eq!(governor.release(one, first), Err(Error::StaleGrant(first)));
    assert_eq!(governor.bytes_of(one, last), Ok(1));
}

/// The count of limited grants where events are recorded, which the usual request and release are
/// too short for.
#[test]
fn grants_are_counted_out_whoever_ends_them() {
    let governor = Governor::new(GovernorConfig { events_max: 64, ..small(100) }).unwrap();
    governor.on_reclaim(|_| ReclaimAnswer::Freed);
    let mut config = tenant(1);
    config.grants_max = [Some(1); 4];
    let one = governor.register_tenant(config).unwrap();
    for kind in [AllocationType::Cache, AllocationType::Inference, AllocationType::Cache] {
        let request = Request::new(one, kind, 60);
        let grant = governor.request(&request).expect("the one before is evicted, or has ended");
        assert!(governor.try_request(&request.clone()).is_err(), "it is the one");
        if kind == AllocationType::Inference {
            assert_eq!(grant.release(), Ok(Released::Returned));
            drop(governor.try_request(&request).expect("it has ended"));
        } else {
            grant.into_id();
        }
    }
    assert_eq!(governor.snapshot().live_bytes, 60);
}

#[test]
fn a_refused_request_leaves_no_trace_in_the_count() {
    let governor = Governor::new(small(10)).unwrap();
    let [one, two] = [1, 2].map(|n| governor.register_tenant(tenant(n)).unwrap());
    let of = |tenant, bytes| Request::new(tenant, AllocationType::Cache, bytes);
    let _held = governor.try_request(&of(one, 8)).unwrap();
    for limit in [None, Some(1)] {
        let limit_grants = |c: &mut TenantConfig| c.grants_max = [limit; 4];
        governor.set_tenant(two, limit_grants).unwrap();
        let no = denial(governor.try_request(&of(two, 5)).unwrap_err());
        assert_eq!((no.reason, no.short_bytes), (DenialReason::Capacity, 3));
    }
    let _only = governor.try_request(&of(two, 1)).unwrap();
    let no = denial(governor.try_request(&of(two, 1)).unwrap_err());
    assert_eq!((no.reason, no.limit), (DenialReason::GrantCount, 1));
}

#[test]
fn an_account_of_events_is_whoever_was_registered_last() {
    let config = GovernorConfig { tenants_max: 1, events_max: 64, ..small(MIB) };
    let governor = Governor::new(config).unwrap();
    let group = governor.register_group(GroupConfig::new("team")).unwrap();
    let mut mark = EventMark::default();
    let mut next = || {
        let mut reader = governor.events_after(mark);
        let EventRead::Event(event) = reader.read() else { panic!("no event") };
        mark = reader.mark();
        (event.kind, governor.account(event.account))
    };
    assert_eq!(next(), (EventKind::Registered, Some(AccountName::Group(group))));
    let one = governor.register_tenant(tenant(1)).unwrap();
    assert_eq!(next(), (EventKind::Registered, Some(AccountName::Tenant(one))));
    governor.unregister_tenant(one, Unregister::IfIdle).unwrap();
    assert_eq!(next(), (EventKind::Unregistered, None));
    let two = governor.register_tenant(tenant(2)).unwrap();
    assert_eq!((two.index(), next().1), (one.index(), Some(AccountName::Tenant(two))));
    assert_eq!(governor.account(0), Some(AccountName::Pool));
    assert_eq!(governor.account(u32::MAX), None);
}

/// Grants of a group that is gone end when their owners say so: nothing is short of them.
#[test]
fn a_group_that_is_gone_is_above_no_limit() {
    let governor = Governor::new(GovernorConfig { quantum_bytes: 0, ..small(100) }).unwrap();
    let group = governor.register_group(GroupConfig::new("team")).unwrap();
    let config = TenantConfig { parent: Some(group), ..tenant(1) };
    let [left, stays] = [config, tenant(2)].map(|c| governor.register_tenant(c).unwrap());
    let of = |tenant| Request::new(tenant, AllocationType::ModelLoad, 10);
    let _drains = governor.try_request(&of(left)).unwrap();
    governor.unregister_tenant(left, Unregister::Drain).unwrap();
    governor.unregister_group(group).unwrap();
    governor.set_capacity(90).unwrap();
    drop(governor.try_request(&of(stays)).unwrap());
    assert_eq!(governor.unclaimed_bytes(), 70, "in plenty the claim stays with the tenant");
}
