//! Evictions by the public interface: who is asked, how often, and what an owner may do meanwhile.

use allotment::os::ManualClock;
use allotment::*;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use AllocationType::{Background, Cache, Inference, ModelLoad};

fn small(capacity_bytes: u64) -> GovernorConfig {
    GovernorConfig {
        tenants_max: 128,
        groups_max: 4,
        grants_max: 1024,
        quantum_bytes: 0,
        pool_pressure: false,
        clock: ManualClock::new().into(),
        ..GovernorConfig::new(capacity_bytes)
    }
}

fn tenant(number: u128) -> TenantConfig {
    TenantConfig { policy: Policy::Lru, ..TenantConfig::new(TenantId::from_u128(number), "") }
}

fn with(priority: Priority, number: u128) -> TenantConfig {
    TenantConfig { priority, ..tenant(number) }
}

/// A governor whose owners free everything at once, and the cookies of what they freed.
fn freeing(config: GovernorConfig) -> (Governor, Arc<Mutex<Vec<u64>>>) {
    let governor = Governor::new(config).unwrap();
    let gone = Arc::new(Mutex::new(Vec::new()));
    let seen = gone.clone();
    governor.on_reclaim(move |victim| {
        seen.lock().unwrap().push(victim.cookie);
        ReclaimAnswer::Freed
    });
    (governor, gone)
}

fn take(governor: &Governor, tenant: TenantHandle, kind: AllocationType, bytes: u64, cookie: u64) {
    governor.request(&Request::new(tenant, kind, bytes).cookie(cookie)).unwrap().into_id();
}

fn denied<T: std::fmt::Debug>(answer: Result<T, Refusal>) -> Denial {
    *answer.unwrap_err().denial().expect("a denial")
}

fn forget(governor: Governor) {
    governor.on_leak(|_| {});
}

/// A group's guarantee is kept for the group: taking from below it would free nothing above it.
#[test]
fn a_group_is_not_evicted_below_its_guarantee() {
    let (governor, gone) = freeing(small(100));
    let team = GroupConfig { guarantee_bytes: 50, ..GroupConfig::new("team") };
    let team = governor.register_group(team).unwrap();
    let low = TenantConfig { parent: Some(team), ..with(Priority::Low, 1) };
    let low = governor.register_tenant(low).unwrap();
    let high = governor.register_tenant(with(Priority::High, 2)).unwrap();
    (0..4).for_each(|n| take(&governor, low, Cache, 10, n));
    take(&governor, high, Inference, 50, 10);
    let no = denied(governor.request(&Request::new(high, Inference, 5)));
    assert_eq!((no.reason, no.short_bytes), (DenialReason::Capacity, 5));
    assert_eq!(*gone.lock().unwrap(), [], "nothing that could help");
    assert!(no.waiting_can_help, "once it has released some itself");
    let no = denied(governor.request(&Request::new(high, Inference, 51)));
    assert!(!no.waiting_can_help, "51 bytes never fit beside a guarantee of 50");
    forget(governor);
}

/// What an owner releases of its own while it is asked for a grant serves a request of its group:
/// no other grant goes for it.
#[test]
fn what_a_sibling_releases_meanwhile_is_not_evicted_for_again() {
    for (released, evicted) in [(0, 5), (1, 4), (3, 2), (4, 1)] {
        let governor = Arc::new(Governor::new(small(100)).unwrap());
        let team = governor.register_group(GroupConfig::new("team")).unwrap();
        let child = |p, n| TenantConfig { parent: Some(team), ..with(p, n) };
        let low = governor.register_tenant(child(Priority::Low, 1)).unwrap();
        let high = governor.register_tenant(child(Priority::High, 2)).unwrap();
        let request = Request::new(low, Cache, 10);
        let grants = [(); 10].map(|()| governor.request(&request).unwrap().into_id());
        let going = Mutex::new(grants[10 - released..].to_vec());
        let weak = Arc::downgrade(&governor);
        let gone = Arc::new(Mutex::new(0));
        let seen = gone.clone();
        governor.on_reclaim(move |_| {
            *seen.lock().unwrap() += 1;
            for grant in going.lock().unwrap().drain(..) {
                weak.upgrade().unwrap().release(low, grant).unwrap();
            }
            ReclaimAnswer::Freed
        });
        let granted = governor.request(&Request::new(high, Inference, 50)).unwrap();
        assert_eq!(*gone.lock().unwrap(), evicted, "{released} released");
        drop(granted);
        governor.on_leak(|_| {});
    }
}

/// What a sibling frees stays in their group when the group's guarantee holds it there, and serves
/// the request: nothing more goes.
#[test]
fn what_a_sibling_frees_within_the_groups_guarantee_is_enough() {
    let (governor, gone) = freeing(small(100));
    let team = GroupConfig { guarantee_bytes: 50, ..GroupConfig::new("team") };
    let team = governor.register_group(team).unwrap();
    let child = |p, n| TenantConfig { parent: Some(team), ..with(p, n) };
    let low = governor.register_tenant(child(Priority::Low, 1)).unwrap();
    let high = governor.register_tenant(child(Priority::High, 2)).unwrap();
    let other = governor.register_tenant(with(Priority::Low, 3)).unwrap();
    (0..4).for_each(|n| take(&governor, low, Cache, 10, n));
    take(&governor, high, Inference, 10, 10);
    (20..25).for_each(|n| take(&governor, other, ModelLoad, 10, n));
    take(&governor, high, Inference, 5, 11);
    assert_eq!(*gone.lock().unwrap(), [0], "one of 10 bytes for 5");
    forget(governor);
}

/// More queues without a victim than any fixed table remembers.
#[test]
fn a_victim_behind_many_empty_queues_is_found() {
    let (governor, gone) = freeing(small(200));
    let high = governor.register_tenant(with(Priority::High, 1)).unwrap();
    let mut fixed = Vec::new();
    for n in 2..102 {
        let low = governor.register_tenant(with(Priority::Low, n)).unwrap();
        drop(governor.request(&Request::new(low, Background, 1)).unwrap());
        fixed.push(governor.request(&Request::new(low, ModelLoad, 1)).unwrap());
    }
    let last = governor.register_tenant(tenant(103)).unwrap();
    take(&governor, last, Inference, 100, 7);
    take(&governor, high, Inference, 50, 8);
    assert_eq!(*gone.lock().unwrap(), [7]);
    drop(fixed);
    forget(governor);
}

/// A request that nothing can admit evicts nothing: pinned grants and fixed models do not count as
/// what could go, nor does a request that another level will refuse.
#[test]
fn hopeless_requests_evict_nothing() {
    let (governor, gone) = freeing(small(100));
    let low = governor.register_tenant(with(Priority::Low, 1)).unwrap();
    let limited = TenantConfig { limit_bytes: Some(20), ..with(Priority::High, 2) };
    let high = governor.register_tenant(limited).unwrap();
    take(&governor, low, Cache, 5, 0);
    take(&governor, low, ModelLoad, 80, 1);
    let free = governor.register_tenant(with(Priority::High, 3)).unwrap();
    let no = denied(governor.request(&Request::new(free, Inference, 21)));
    assert_eq!(no.short_bytes, 6, "5 may go");
    // At its own limit it would have to evict its 10, and then the pool would refuse the rest.
    take(&governor, high, Cache, 10, 2);
    let pinned = Request::new(free, Cache, 5).pinned(true);
    let pinned = governor.request(&pinned).unwrap();
    let no = denied(governor.request(&Request::new(high, Cache, 20)));
    assert_eq!(no.reason, DenialReason::TenantLimit);
    let explained = governor.explain(&Request::new(high, Cache, 20)).unwrap();
    assert_eq!(explained.evictions.missing_bytes, 5, "10 of its own, 5 of the low tenant's");
    assert_eq!(*gone.lock().unwrap(), []);
    drop(pinned);
    forget(governor);
}

/// The number of grants and the bytes both refuse: one is not evicted for the number alone.
#[test]
fn a_request_too_large_evicts_nothing_for_its_number() {
    let (governor, gone) = freeing(small(100));
    let mut config = TenantConfig { limit_bytes: Some(10), ..tenant(1) };
    config.grants_max[Cache as usize] = Some(1);
    let one = governor.register_tenant(config).unwrap();
    take(&governor, one, Cache, 5, 0);
    assert_eq!(
        denied(governor.request(&Request::new(one, Cache, 20))).reason,
        DenialReason::GrantCount
    );
    assert_eq!(*gone.lock().unwrap(), []);
    take(&governor, one, Cache, 10, 1);
    assert_eq!(*gone.lock().unwrap(), [0]);
    forget(governor);
}

/// A capacity lowered below use: one request frees the whole difference.
#[test]
fn a_request_frees_what_a_lowered_capacity_is_short_of() {
    let (governor, gone) = freeing(small(100));
    let one = governor.register_tenant(tenant(1)).unwrap();
    (0..10).for_each(|n| take(&governor, one, Cache, 10, n));
    governor.set_capacity(50).unwrap();
    take(&governor, one, Cache, 10, 10);
    assert_eq!(*gone.lock().unwrap(), [0, 1, 2, 3, 4, 5]);
    assert_eq!(governor.snapshot().live_bytes, 50);
    forget(governor);
}

/// I1: claim that is idle when the capacity is lowered, or becomes idle later, admits nothing.
#[test]
fn idle_claim_does_not_outlive_a_lowered_capacity() {
    let governor = Governor::new(GovernorConfig { quantum_bytes: 100, ..small(100) }).unwrap();
    let one = governor.register_tenant(tenant(1)).unwrap();
    let two = governor.register_tenant(tenant(2)).unwrap();
    drop(governor.try_request(&Request::new(two, Cache, 20)).unwrap());
    let held = governor.try_request(&Request::new(one, Cache, 60)).unwrap();
    let rest = governor.try_request(&Request::new(one, Cache, 20)).unwrap();
    governor.set_capacity(50).unwrap();
    let no = denied(governor.try_request(&Request::new(two, Cache, 1)));
    assert_eq!((no.reason, no.short_bytes), (DenialReason::Capacity, 31));
    drop(held);
    // 20 are in use; what was released is the pool's, not the tenant's.
    let no = denied(governor.try_request(&Request::new(one, Cache, 31)));
    assert_eq!((no.reason, no.short_bytes), (DenialReason::Capacity, 1));
    let _fits = governor.try_request(&Request::new(two, Cache, 30)).unwrap();
    drop(rest);
}

/// The balancer brings use down to a limit that was lowered, without being asked for pressure.
#[test]
fn the_balancer_evicts_down_to_a_lowered_limit() {
    let (governor, gone) = freeing(small(100));
    let one = governor.register_tenant(tenant(1)).unwrap();
    (0..6).for_each(|n| take(&governor, one, Cache, 10, n));
    governor.set_tenant(one, |c| c.limit_bytes = Some(35)).unwrap();
    assert_eq!(governor.balance().freed_bytes, 30);
    assert_eq!(*gone.lock().unwrap(), [0, 1, 2]);
    governor.set_capacity(15).unwrap();
    assert_eq!(governor.balance().freed_bytes, 20);
    forget(governor);
}

/// Deferred bytes are on their way: neither the balancer nor a counted type asks for more.
#[test]
fn what_was_promised_is_not_asked_for_again() {
    let governor = Governor::new(small(100)).unwrap();
    let asked = Arc::new(Mutex::new(0));
    let seen = asked.clone();
    governor.on_reclaim(move |_| {
        *seen.lock().unwrap() += 1;
        ReclaimAnswer::Deferred
    });
    let mut config = tenant(1);
    config.grants_max[Cache as usize] = Some(10);
    let one = governor.register_tenant(config).unwrap();
    let mut grants: Vec<Grant> =
        (0..10).map(|_| governor.request(&Request::new(one, Cache, 10)).unwrap()).collect();
    for _ in 0..3 {
        let no = denied(governor.request(&Request::new(one, Cache, 10)));
        assert!(no.waiting_can_help);
    }
    assert_eq!(*asked.lock().unwrap(), 1);
    governor.report_pressure(Pressure::High);
    for _ in 0..3 {
        governor.balance();
    }
    assert_eq!(*asked.lock().unwrap(), 2, "a fifth is 20 bytes, 10 are promised");
    grants.drain(..).for_each(drop);
    assert_eq!(governor.snapshot().live_bytes, 0);
    governor.balance();
    let again = governor.request(&Request::new(one, Cache, 100)).unwrap();
    drop(again);
}

/// A busy owner is asked once for each grant, also without a cool-down.
#[test]
fn busy_owners_are_not_asked_forever() {
    let governor = Governor::new(GovernorConfig { busy_cooldown_ns: 0, ..small(100) }).unwrap();
    let asked = Arc::new(Mutex::new(0));
    let seen = asked.clone();
    governor.on_reclaim(move |_| {
        *seen.lock().unwrap() += 1;
        ReclaimAnswer::Busy
    });
    let one = governor.register_tenant(tenant(1)).unwrap();
    let _grants: Vec<Grant> =
        (0..10).map(|_| governor.request(&Request::new(one, Cache, 10)).unwrap()).collect();
    denied(governor.request(&Request::new(one, Cache, 10)));
    assert_eq!(*asked.lock().unwrap(), 10);
}

/// Growth never evicts the grant that grows.
#[test]
fn a_grant_does_not_grow_over_itself() {
    let (governor, gone) = freeing(small(20));
    let one = governor.register_tenant(tenant(1)).unwrap();
    let first = governor.request(&Request::new(one, Cache, 10).cookie(1)).unwrap();
    let second = governor.request(&Request::new(one, Cache, 10).cookie(2)).unwrap();
    governor.grow_evicting(one, first.id(), 10).unwrap();
    assert_eq!((first.bytes(), gone.lock().unwrap().clone()), (20, vec![2]));
    let no = denied(governor.grow_evicting(one, first.id(), 10));
    assert_eq!((no.pins.grants, no.waiting_can_help), (0, false));
    assert_eq!(second.release(), Ok(Released::Evicted));
    // It may go again for others.
    let third = governor.request(&Request::new(one, Cache, 10).cookie(3)).unwrap();
    assert_eq!(*gone.lock().unwrap(), [2, 1]);
    drop((first, third));
}

/// I9: whatever an owner calls while it is asked, nobody waits for ever and no byte is lost.
#[test]
fn an_owner_may_call_anything_while_it_is_asked() {
    for answer in [ReclaimAnswer::Freed, ReclaimAnswer::Busy, ReclaimAnswer::Deferred] {
        for deed in 0..8 {
            let governor = Arc::new(Governor::new(small(100)).unwrap());
            let one = governor.register_tenant(tenant(1)).unwrap();
            let two = governor.register_tenant(with(Priority::High, 2)).unwrap();
            let weak = Arc::downgrade(&governor);
            let kept: OnceLock<GrantId> = OnceLock::new();
            governor.on_reclaim(move |victim| {
                let governor = weak.upgrade().unwrap();
                match deed {
                    0 => drop(governor.release(victim.tenant, victim.grant)),
                    1 => drop(governor.unregister_tenant(victim.tenant, Unregister::Force)),
                    2 => {
                        drop(governor.release(victim.tenant, victim.grant));
                        drop(governor.unregister_tenant(victim.tenant, Unregister::Force));
                    }
                    3 => drop(governor.unregister_tenant(victim.tenant, Unregister::Drain)),
                    4 => {
                        drop(governor.register_tenant(tenant(9)));
                        governor.set_tenant(victim.tenant, |c| c.grants_max[2] = Some(5)).ok();
                        governor.set_capacity(100).unwrap();
                    }
                    5 => {
                        let more = Request::new(victim.tenant, Cache, 1);
                        if let Ok(grant) = governor.try_request(&more) {
                            let _ = kept.set(grant.into_id());
                        }
                    }
                    6 => {
                        assert!(governor.touch(victim.tenant, victim.grant).is_ok());
                        assert!(governor.pin(victim.tenant, victim.grant).is_err());
                        assert!(governor.decline(victim.tenant, victim.grant).is_err());
                        governor.balance();
                        let _ = governor.snapshot();
                        let _ = governor.explain(&Request::new(victim.tenant, Cache, 1));
                    }
                    _ => panic!("owners may even fail"),
                }
                answer
            });
            let ids: Vec<GrantId> = (0..10)
                .map(|_| governor.request(&Request::new(one, Cache, 10)).unwrap().into_id())
                .collect();
            drop(governor.request(&Request::new(two, Inference, 10)));
            for id in ids {
                let _ = governor.release(one, id);
            }
            let _ = governor.unregister_tenant(one, Unregister::Force);
            let snapshot = governor.snapshot();
            assert_eq!((snapshot.live_bytes, deed), (0, deed), "{answer:?}");
            // Nothing counts as being freed any more: a short request finds its own victim.
            governor.on_reclaim(|_| ReclaimAnswer::Freed);
            let cache = governor.try_request(&Request::new(two, Cache, 100)).unwrap();
            let again = governor.request(&Request::new(two, Inference, 100)).unwrap();
            assert_eq!((cache.bytes(), again.bytes()), (0, 100), "{answer:?} {deed}");
        }
    }
}

/// I9: a configuration is edited with nothing held.
#[test]
fn a_change_of_configuration_may_call_the_governor() {
    let governor = Governor::new(small(100)).unwrap();
    let one = governor.register_tenant(tenant(1)).unwrap();
    let team = governor.register_group(GroupConfig::new("team")).unwrap();
    governor
        .set_tenant(one, |config| {
            config.limit_bytes = Some(governor.snapshot().capacity_bytes / 2);
        })
        .unwrap();
    assert_eq!(governor.tenant_config(one).unwrap().limit_bytes, Some(50));
    let lost = governor.set_tenant(one, |config| {
        config.limit_bytes = Some(1);
        governor.set_tenant(one, |config| config.limit_bytes = Some(60)).unwrap();
    });
    assert_eq!(lost, Err(Error::Contended), "nobody's change is lost unnoticed");
    assert_eq!(governor.tenant_config(one).unwrap().limit_bytes, Some(60));
    governor.set_group(team, |_| drop(governor.snapshot())).unwrap();
}

/// A tenant that drains keeps its handler: it still holds what it is asked for.
#[test]
fn a_draining_tenant_is_asked_by_its_own_handler() {
    let governor = Governor::new(small(10)).unwrap();
    let one = governor.register_tenant(tenant(1)).unwrap();
    let two = governor.register_tenant(with(Priority::High, 2)).unwrap();
    governor.on_tenant_reclaim(one, |_| ReclaimAnswer::Freed).unwrap();
    let held = governor.request(&Request::new(one, Cache, 10)).unwrap();
    governor.unregister_tenant(one, Unregister::Drain).unwrap();
    let grant = governor.request(&Request::new(two, Cache, 10)).unwrap();
    assert_eq!(held.release(), Ok(Released::Evicted));
    drop(grant);
}

/// Victims that ended before they were polled do not fill the list of those that wait.
#[test]
fn victims_that_ended_do_not_fill_the_poll() {
    let governor = Governor::new(small(1)).unwrap();
    let one = governor.register_tenant(tenant(1)).unwrap();
    for _ in 0..70_000 {
        let grant = governor.request(&Request::new(one, Cache, 1)).unwrap();
        denied(governor.request(&Request::new(one, Cache, 1)));
        assert_eq!(grant.release(), Ok(Released::Evicted), "it was chosen");
    }
}

/// At Critical a tenant is held to its fair share although the pool has room, and one that is below
/// its share may take from an equal that is above it.
#[test]
fn at_critical_shares_bind() {
    let (governor, gone) = freeing(small(100));
    let one = governor.register_tenant(tenant(1)).unwrap();
    let two = governor.register_tenant(tenant(2)).unwrap();
    (0..9).for_each(|n| take(&governor, one, Inference, 10, n));
    take(&governor, two, Inference, 5, 10);
    governor.report_pressure(Pressure::Critical);
    let no = denied(governor.request(&Request::new(one, Inference, 2)));
    assert_eq!((no.reason, no.limit), (DenialReason::TenantLimit, 50));
    assert!(no.waiting_can_help, "pressure may fall");
    take(&governor, two, Inference, 20, 11);
    assert_eq!(*gone.lock().unwrap(), [0, 1]);
    forget(governor);
}

/// A tenant whose limit is small leaves the rest of its share to the others.
#[test]
fn who_may_have_less_leaves_the_rest_to_the_others() {
    let governor = Governor::new(small(100)).unwrap();
    let less = TenantConfig { limit_bytes: Some(10), ..tenant(1) };
    let less = governor.register_tenant(less).unwrap();
    let more = governor.register_tenant(tenant(2)).unwrap();
    let grants = [less, more].map(|t| governor.request(&Request::new(t, Cache, 1)).unwrap());
    governor.balance();
    assert_eq!(governor.usage(more).unwrap().share_bytes, 90);
    drop(grants);
}

/// Where all wants fit nobody's share ends before the pool does, nor is it more than that.
#[test]
fn a_share_is_never_more_than_the_pool() {
    let governor = Governor::new(small(100)).unwrap();
    let first = TenantConfig { limit_bytes: Some(10), priority: Priority::High, ..tenant(1) };
    let first = governor.register_tenant(first).unwrap();
    let grant = governor.request(&Request::new(first, Cache, 1)).unwrap();
    governor.balance();
    assert_eq!(governor.usage(first).unwrap().share_bytes, 100);
    drop(grant);
}

/// Segments that others keep free do not make a table full.
#[test]
fn free_slots_of_others_are_not_withheld() {
    let config = GovernorConfig { tenants_max: 2, grants_max: 64, ..small(10_000) };
    let governor = Governor::new(config).unwrap();
    let one = governor.register_tenant(tenant(1)).unwrap();
    let two = governor.register_tenant(tenant(2)).unwrap();
    let ask = |t| governor.try_request(&Request::new(t, Cache, 1));
    let all: Vec<Grant> = std::iter::from_fn(|| ask(one).ok()).collect();
    assert!(all.len() >= 64);
    assert_eq!(denied(ask(two)).reason, DenialReason::SlotsExhausted);
    assert_eq!(governor.usage(one).unwrap().granted, all.len() as u64);
    let granted = all.len() as u64;
    drop(all);
    let _grant = governor.request(&Request::new(two, Cache, 1)).unwrap();
    assert_eq!(governor.usage(one).unwrap().granted, granted, "counted although shed");
}

/// Reservations that were committed are not kept track of until their time.
#[test]
fn committed_reservations_are_forgotten() {
    let governor = Governor::new(small(10)).unwrap();
    let one = governor.register_tenant(tenant(1)).unwrap();
    let hour = Duration::from_secs(3600);
    let before = governor.tracking_bytes();
    for _ in 0..10_000 {
        drop(governor.reserve(&Request::new(one, Cache, 1), hour).unwrap().commit().unwrap());
    }
    let grown = governor.tracking_bytes() - before;
    assert!(grown < 200_000, "{grown} bytes for nothing");
}
