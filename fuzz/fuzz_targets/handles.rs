//! Any numbers as handles, as grants and as what they are asked for: whatever was not given out is
//! refused as misuse, and refusing changes nothing.

#![no_main]

use allotment::os::ManualClock;
use allotment::*;
use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use std::time::Duration;

/// Numbers, and how each is bent towards those that were given out.
#[derive(Arbitrary, Debug)]
struct Case {
    numbers: Vec<Number>,
    bytes: u64,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Number {
    Any(u64),
    /// One that was given out, with some bits turned.
    Near {
        which: u8,
        turned: u64,
    },
    /// The tag of the governor, and anything behind it.
    Tagged(u64),
}

const TAG_SHIFT: u32 = 56;

/// A governor with everything that has a handle, of which some have ended.
struct Scene {
    governor: Governor,
    given: Vec<u64>,
    tenants: [TenantHandle; 2],
    group: GroupHandle,
    grants: [(TenantHandle, GrantId); 3],
}

impl Scene {
    fn new() -> Self {
        let governor = Governor::new(GovernorConfig {
            tenants_max: 8,
            groups_max: 4,
            grants_max: 64,
            waiters_max: 4,
            clock: ManualClock::new().into(),
            ..GovernorConfig::new(1_000)
        })
        .unwrap();
        governor.on_leak(|_| {});
        let tenant = |number: u128| TenantConfig::new(TenantId::from_u128(number), "");
        let register = |number| governor.register_tenant(tenant(number)).unwrap();
        let group = governor.register_group(GroupConfig::new("team")).unwrap();
        let gone = governor.register_group(GroupConfig::new("gone")).unwrap();
        governor.unregister_group(gone).unwrap();
        let [one, two, three] = [1, 2, 3].map(register);
        let grant = |tenant, bytes| {
            let request = Request::new(tenant, AllocationType::Inference, bytes);
            (tenant, governor.request(&request).unwrap().into_id())
        };
        let (grants, ended) = ([grant(one, 10), grant(one, 20), grant(two, 30)], grant(one, 40));
        governor.release(ended.0, ended.1).unwrap();
        governor.unregister_tenant(three, Unregister::Force).unwrap();
        let handles = [one, two, three].map(TenantHandle::as_u64);
        let groups = [group, gone].map(GroupHandle::as_u64);
        let ids = [grants[0].1, grants[1].1, grants[2].1, ended.1].map(GrantId::as_u64);
        let given = handles.into_iter().chain(groups).chain(ids).collect();
        Self { governor, given, tenants: [one, two], group, grants }
    }

    fn number(&self, number: Number) -> u64 {
        match number {
            Number::Any(number) => number,
            Number::Near { which, turned } => {
                self.given[usize::from(which) % self.given.len()] ^ turned
            }
            Number::Tagged(number) => {
                let rest = u64::MAX >> (u64::BITS - TAG_SHIFT);
                self.given[0] & !rest | number & rest
            }
        }
    }

    fn as_tenant(&self, number: u64, bytes: u64) {
        let (governor, tenant) = (&self.governor, TenantHandle::from_u64(number));
        if self.tenants.contains(&tenant) {
            return;
        }
        let request = Request::new(tenant, AllocationType::Cache, bytes);
        assert!(is_misuse(governor.try_request(&request)));
        assert!(is_misuse(governor.request(&request)));
        assert!(is_misuse(governor.reserve(&request, Duration::from_nanos(bytes))));
        assert!(is_misuse(governor.request_all(&[request, request])));
        assert!(is_misuse(governor.enqueue(&request, Duration::from_nanos(bytes))));
        assert!(governor.explain(&request).is_err() && governor.bytes_ahead(&request).is_err());
        assert!(governor.evict_for(&request).is_err());
        assert_eq!(governor.estimated_wait(&request), None);
        assert!(governor.usage(tenant).is_err() && governor.tenant_config(tenant).is_err());
        assert!(governor.set_tenant(tenant, |_| panic!("nobody to change")).is_err());
        assert!(governor.on_tenant_reclaim(tenant, |_| ReclaimAnswer::Freed).is_err());
        assert!(governor.clear_on_tenant_reclaim(tenant).is_err());
        assert!(governor.report_measured(tenant, Some(bytes)).is_err());
        assert!(governor.unregister_tenant(tenant, Unregister::Force).is_err());
        for (_, id) in self.grants {
            self.as_grant_of(tenant, id, bytes);
        }
    }

    fn as_group(&self, number: u64) {
        let (governor, group) = (&self.governor, GroupHandle::from_u64(number));
        if group == self.group {
            return;
        }
        assert!(governor.group_config(group).is_err());
        assert!(governor.set_group(group, |_| panic!("nobody to change")).is_err());
        assert!(governor.unregister_group(group).is_err());
        let below = GroupConfig { parent: Some(group), ..GroupConfig::new("below") };
        assert!(governor.register_group(below).is_err());
        let id = TenantId::from_u128(9);
        let below = TenantConfig { parent: Some(group), ..TenantConfig::new(id, "") };
        assert!(governor.register_tenant(below).is_err());
    }

    fn as_grant(&self, number: u64, bytes: u64) {
        let id = GrantId::from_u64(number);
        for tenant in self.tenants {
            if !self.grants.contains(&(tenant, id)) {
                self.as_grant_of(tenant, id, bytes);
            }
        }
    }

    fn as_grant_of(&self, tenant: TenantHandle, id: GrantId, bytes: u64) {
        let governor = &self.governor;
        let time = Duration::from_nanos(bytes);
        assert!(governor.release(tenant, id).is_err() && governor.touch(tenant, id).is_err());
        assert!(governor.bytes_of(tenant, id).is_err());
        assert!(is_misuse(governor.grow(tenant, id, bytes)));
        assert!(is_misuse(governor.grow_evicting(tenant, id, bytes)));
        assert!(is_misuse(governor.true_up(tenant, id, bytes)));
        assert!(governor.shrink(tenant, id, bytes).is_err());
        assert!(governor.pin(tenant, id).is_err() && governor.unpin(tenant, id).is_err());
        assert!(governor.keep_alive(tenant, id, time).is_err());
        assert!(governor.commit(tenant, id).is_err() && governor.decline(tenant, id).is_err());
    }
}

fn is_misuse<T>(result: Result<T, Refusal>) -> bool {
    matches!(result, Err(Refusal::Misuse(_)))
}

fuzz_target!(|case: Case| {
    let scene = Scene::new();
    let before = scene.governor.snapshot();
    for &number in &case.numbers {
        let number = scene.number(number);
        scene.as_tenant(number, case.bytes);
        scene.as_group(number);
        scene.as_grant(number, case.bytes);
    }
    assert_eq!(scene.governor.snapshot(), before, "nothing has changed");
    for (at, (tenant, id)) in scene.grants.into_iter().enumerate() {
        assert_eq!(scene.governor.bytes_of(tenant, id), Ok(10 * (1 + at as u64)));
        assert_eq!(scene.governor.release(tenant, id), Ok(Released::Returned));
    }
    assert_eq!(scene.governor.snapshot().live_bytes, 0);
});
