//! Misuse of the interface: every kind has its error, and changes nothing.

use allotment::os::ManualClock;
use allotment::*;
use std::time::Duration;

use AllocationType::Cache;

/// A field, and what spoils it.
type Spoilt<C> = (&'static str, fn(&mut C));

const SECOND: Duration = Duration::from_secs(1);

fn small() -> GovernorConfig {
    GovernorConfig {
        tenants_max: 4,
        groups_max: 8,
        grants_max: 16,
        quantum_bytes: 0,
        pool_pressure: false,
        ..GovernorConfig::new(1_000)
    }
}

fn tenant(number: u128) -> TenantConfig {
    TenantConfig::new(TenantId::from_u128(number), "")
}

/// One governor with two tenants; the first holds a grant of 10 bytes.
struct Scene {
    governor: Governor,
    clock: ManualClock,
    one: TenantHandle,
    two: TenantHandle,
    held: GrantId,
}

impl Scene {
    fn new() -> Self {
        let clock = ManualClock::new();
        let config = GovernorConfig { clock: clock.clone().into(), ..small() };
        let governor = Governor::new(config).unwrap();
        governor.on_leak(|_| {});
        let one = governor.register_tenant(tenant(1)).unwrap();
        let two = governor.register_tenant(tenant(2)).unwrap();
        let held = governor.request(&Request::new(one, Cache, 10)).unwrap().into_id();
        Self { governor, clock, one, two, held }
    }

    /// Runs what must fail, and sees that it changed nothing.
    fn refuses<T, E: Into<Refusal>>(&self, what: impl FnOnce(&Governor) -> Result<T, E>) -> Error {
        let before = self.governor.snapshot();
        let Err(refusal) = what(&self.governor) else { panic!("must be refused") };
        assert_eq!(self.governor.snapshot(), before, "nothing has changed");
        match refusal.into() {
            Refusal::Misuse(error) => {
                let text = error.to_string();
                assert!(text.starts_with(|c: char| !c.is_uppercase()), "{text}");
                error
            }
            Refusal::Denied(denial) => panic!("a denial: {denial}"),
        }
    }

    /// Calls everything that takes a grant of a tenant, and answers the errors.
    fn on_grant(&self, tenant: TenantHandle, id: GrantId) -> Vec<Error> {
        vec![
            self.refuses(|g| g.release(tenant, id)),
            self.refuses(|g| g.touch(tenant, id)),
            self.refuses(|g| g.bytes_of(tenant, id)),
            self.refuses(|g| g.grow(tenant, id, 1)),
            self.refuses(|g| g.grow_evicting(tenant, id, 1)),
            self.refuses(|g| g.shrink(tenant, id, 1)),
            self.refuses(|g| g.true_up(tenant, id, 1)),
            self.refuses(|g| g.pin(tenant, id)),
            self.refuses(|g| g.unpin(tenant, id)),
            self.refuses(|g| g.keep_alive(tenant, id, SECOND)),
            self.refuses(|g| g.commit(tenant, id)),
            self.refuses(|g| g.decline(tenant, id)),
        ]
    }

    /// Calls everything that takes a tenant alone.
    fn on_tenant(&self, tenant: TenantHandle) -> Vec<Error> {
        let request = Request::new(tenant, Cache, 1);
        assert_eq!(self.governor.estimated_wait(&request), None);
        vec![
            self.refuses(|g| g.try_request(&request).map(drop)),
            self.refuses(|g| g.request(&request).map(drop)),
            self.refuses(|g| g.reserve(&request, SECOND).map(drop)),
            self.refuses(|g| g.request_all(&[request]).map(drop)),
            self.refuses(|g| g.explain(&request)),
            self.refuses(|g| g.bytes_ahead(&request)),
            self.refuses(|g| g.evict_for(&request)),
            self.refuses(|g| g.usage(tenant)),
            self.refuses(|g| g.tenant_config(tenant)),
            self.refuses(|g| g.set_tenant(tenant, |_| panic!("nothing to change"))),
            self.refuses(|g| g.on_tenant_reclaim(tenant, |_| ReclaimAnswer::Freed)),
            self.refuses(|g| g.clear_on_tenant_reclaim(tenant)),
            self.refuses(|g| g.unregister_tenant(tenant, Unregister::Force)),
        ]
    }
}

#[test]
fn a_grant_that_has_ended() {
    let scene = Scene::new();
    let Scene { governor, one, held, .. } = &scene;
    assert_eq!(governor.release(*one, *held), Ok(Released::Returned));
    for error in scene.on_grant(*one, *held) {
        assert_eq!(error, Error::StaleGrant(*held));
    }
    // Also once its slot holds another grant.
    let next = governor.request(&Request::new(*one, Cache, 10)).unwrap();
    for error in scene.on_grant(*one, *held) {
        assert_eq!(error, Error::StaleGrant(*held));
    }
    assert_eq!(next.bytes(), 10);
}

#[test]
fn a_grant_that_was_evicted() {
    let scene = Scene::new();
    let Scene { governor, one, held, .. } = &scene;
    governor.on_reclaim(|_| ReclaimAnswer::Freed);
    drop(governor.request(&Request::new(*one, Cache, 1_000)).unwrap());
    assert_eq!(governor.release(*one, *held), Ok(Released::Evicted));
    let owner = |e: &Error| *e == Error::Evicted(*held) || *e == Error::Expired(*held);
    for error in [
        scene.refuses(|g| g.touch(*one, *held)),
        scene.refuses(|g| g.bytes_of(*one, *held)),
        scene.refuses(|g| g.grow(*one, *held, 1)),
        scene.refuses(|g| g.shrink(*one, *held, 1)),
        scene.refuses(|g| g.pin(*one, *held)),
        scene.refuses(|g| g.commit(*one, *held)),
    ] {
        assert!(owner(&error), "{error}");
    }
}

#[test]
fn a_grant_of_another_tenant() {
    let scene = Scene::new();
    for error in scene.on_grant(scene.two, scene.held) {
        assert_eq!(error, Error::NotYours { grant: scene.held, tenant: scene.two });
    }
}

#[test]
fn a_grant_of_another_tenant_that_is_asked_for() {
    let scene = Scene::new();
    // Handed out to be polled, its owner has not released it yet.
    assert!(scene.governor.request(&Request::new(scene.one, Cache, 1_000)).is_err());
    assert_eq!(scene.governor.next_victim().map(|victim| victim.grant), Some(scene.held));
    for error in scene.on_grant(scene.two, scene.held) {
        assert_eq!(error, Error::NotYours { grant: scene.held, tenant: scene.two });
    }
}

#[test]
fn handles_of_another_governor() {
    let (scene, other) = (Scene::new(), Scene::new());
    for error in scene.on_grant(scene.one, other.held) {
        assert_eq!(error, Error::Foreign { what: "grant", number: other.held.as_u64() });
    }
    let foreign = Error::Foreign { what: "tenant", number: other.one.as_u64() };
    for error in scene.on_tenant(other.one).into_iter().chain(scene.on_grant(other.one, scene.held))
    {
        assert_eq!(error, foreign);
    }
    let group = other.governor.register_group(GroupConfig::new("")).unwrap();
    let foreign = Error::Foreign { what: "group", number: group.as_u64() };
    let below = || TenantConfig { parent: Some(group), ..tenant(3) };
    assert_eq!(scene.refuses(|g| g.register_tenant(below())), foreign);
    assert_eq!(scene.refuses(|g| g.set_group(group, |_| ())), foreign);
    assert_eq!(scene.refuses(|g| g.group_config(group)), foreign);
    assert_eq!(scene.refuses(|g| g.unregister_group(group)), foreign);
}

#[test]
fn handles_that_never_were() {
    let scene = Scene::new();
    // Any number is a handle: with the right tag it is gone, with another it is foreign.
    let tag = scene.one.as_u64() >> 56 << 56;
    let nobodys = tag | u64::from(scene.two.index() + 1);
    for number in
        [nobodys, tag, tag | 0xff_ffff, tag | 1 << 24 | 5, tag | u64::MAX >> 8, u64::MAX, 0]
    {
        let handle = TenantHandle::from_u64(number);
        for error in scene.on_tenant(handle) {
            let fits = matches!(&error, Error::Gone { .. } | Error::Foreign { .. });
            assert!(fits, "{number:x}: {error}");
        }
        let id = GrantId::from_u64(number);
        for error in scene.on_grant(scene.one, id) {
            let foreign = matches!(error, Error::Foreign { what: "grant", .. });
            assert!(foreign || error == Error::StaleGrant(id), "{number:x}: {error}");
        }
        let group = GroupHandle::from_u64(number);
        let error = scene.refuses(|g| g.unregister_group(group));
        assert!(matches!(error, Error::Gone { .. } | Error::Foreign { .. }), "{error}");
    }
    // The index of a tenant is no group, and the other way round.
    let as_group = GroupHandle::from_u64(scene.one.as_u64());
    let error = scene.refuses(|g| g.set_group(as_group, |_| ()));
    assert_eq!(error, Error::Gone { what: "group", number: scene.one.as_u64() });
    assert_eq!(scene.refuses(|g| g.group_config(as_group)), error);
}

#[test]
fn a_tenant_that_is_gone() {
    let scene = Scene::new();
    let Scene { governor, one, two, held, .. } = &scene;
    governor.unregister_tenant(*two, Unregister::IfIdle).unwrap();
    governor.unregister_tenant(*one, Unregister::Drain).unwrap();
    for (tenant, error) in scene
        .on_tenant(*one)
        .into_iter()
        .map(|e| (one, e))
        .chain(scene.on_tenant(*two).into_iter().map(|e| (two, e)))
    {
        assert_eq!(error, Error::Gone { what: "tenant", number: tenant.as_u64() });
    }
    let gone = Error::Gone { what: "tenant", number: one.as_u64() };
    assert_eq!(scene.refuses(|g| g.grow(*one, *held, 1)), gone, "it drains");
    assert_eq!(governor.release(*one, *held), Ok(Released::Returned));
    // Also once its slot holds another tenant.
    let again = governor.register_tenant(tenant(1)).unwrap();
    assert!(again != *one && governor.find(TenantId::from_u128(1)) == Some(again));
    for error in scene.on_tenant(*one).into_iter().chain(scene.on_grant(*one, *held)) {
        let fits = error == gone || error == Error::StaleGrant(*held);
        assert!(fits, "{error}");
    }
}

#[test]
fn sizes_out_of_range() {
    let scene = Scene::new();
    let Scene { one, held, .. } = &scene;
    let max = (1 << 44) - 1;
    for bytes in [0, max + 1, u64::MAX] {
        let must = if bytes == 0 { Error::ZeroBytes } else { Error::TooLarge { bytes, max } };
        let request = Request::new(*one, Cache, bytes);
        assert_eq!(scene.refuses(|g| g.try_request(&request).map(drop)), must);
        assert_eq!(scene.refuses(|g| g.request(&request).map(drop)), must);
        assert_eq!(scene.refuses(|g| g.reserve(&request, SECOND).map(drop)), must);
        let batch = [Request::new(*one, Cache, 1), request];
        assert_eq!(scene.refuses(|g| g.request_all(&batch).map(drop)), must);
        assert_eq!(scene.refuses(|g| g.explain(&request)), must);
        assert_eq!(scene.refuses(|g| g.true_up(*one, *held, bytes)), must);
        assert_eq!(scene.refuses(|g| g.grow(*one, *held, bytes)), must);
        assert_eq!(scene.refuses(|g| g.grow_evicting(*one, *held, bytes)), must);
    }
    // A grant of 10 bytes cannot grow beyond what one grant holds.
    let error = scene.refuses(|g| g.grow(*one, *held, max - 9));
    assert_eq!(error, Error::TooLarge { bytes: max + 1, max });
    assert_eq!(scene.refuses(|g| g.shrink(*one, *held, 0)), Error::ZeroBytes);
    for by in [10, 11, u64::MAX] {
        let must = Error::ShrinkTooMuch { grant: *held, held: 10, by };
        assert_eq!(scene.refuses(|g| g.shrink(*one, *held, by)), must);
    }
    // The largest sizes that are allowed are denied, not broken.
    let largest = Request::new(*one, Cache, max);
    let denial = scene.governor.request(&largest).map(drop).unwrap_err();
    assert!(!denial.denial().unwrap().waiting_can_help);
    let batch = scene.governor.request_all(&[largest; 64]).map(drop).unwrap_err();
    assert_eq!(batch.denial().unwrap().asked_bytes, max * 64);
    let error = scene.refuses(|g| g.request_all(&[Request::new(*one, Cache, 1); 65]).map(drop));
    assert!(matches!(error, Error::Config { field: "requests", .. }));
}

#[test]
fn reservations() {
    let scene = Scene::new();
    let Scene { governor, clock, one, held, .. } = &scene;
    assert_eq!(scene.refuses(|g| g.commit(*one, *held)), Error::NotReserved(*held));
    let request = Request::new(*one, Cache, 5);
    let reserve = || governor.reserve(&request, SECOND).unwrap();
    let kept = reserve().commit().unwrap();
    let twice = scene.refuses(|g| g.commit(*one, kept.id()));
    assert_eq!(twice, Error::NotReserved(kept.id()));
    let late = reserve().into_id();
    clock.advance_ns(1_000_000_000);
    assert_eq!(scene.refuses(|g| g.commit(*one, late)), Error::Expired(late));
    assert_eq!(governor.balance().reservations_expired, 1);
    assert_eq!(scene.refuses(|g| g.commit(*one, late)), Error::Expired(late));
    let never = governor.reserve(&request, Duration::MAX).unwrap();
    clock.advance_ns(u64::MAX / 2);
    assert_eq!(governor.balance().reservations_expired, 0);
    drop(never.commit().unwrap());
    let lost = governor.reserve(&request, Duration::ZERO).unwrap();
    let id = lost.id();
    assert_eq!(lost.commit().unwrap_err(), Error::Expired(id));
    assert_eq!(governor.usage(*one).unwrap().used_bytes, 15, "the first, and what was kept");
}

/// Every field of the configuration, below and above its range.
#[test]
fn configurations_of_the_governor() {
    let fields: [Spoilt<GovernorConfig>; 25] = [
        ("capacity_bytes", |c| c.capacity_bytes = 0),
        ("capacity_bytes", |c| c.capacity_bytes = 1 << 48),
        ("tenants_max", |c| c.tenants_max = 0),
        ("tenants_max", |c| c.tenants_max = u32::MAX),
        ("groups_max", |c| c.groups_max = (1 << 16) + 1),
        ("grants_max", |c| c.grants_max = 0),
        ("grants_max", |c| c.grants_max = (1 << 23) + 1),
        ("ghost_keys_max", |c| c.ghost_keys_max = u32::MAX),
        ("events_max", |c| c.events_max = u32::MAX),
        ("quantum_bytes", |c| c.quantum_bytes = u64::MAX),
        ("headroom_bytes", |c| c.headroom_bytes = u64::MAX),
        ("victims_max", |c| c.victims_max = 0),
        ("critical_percent", |c| c.critical_percent = 0),
        ("critical_percent", |c| c.critical_percent = 101),
        ("high_percent", |c| c.high_percent = 0),
        ("high_percent", |c| c.high_percent = 96),
        ("warning_percent", |c| c.warning_percent = 0),
        ("warning_percent", |c| c.warning_percent = 91),
        ("promise_ns", |c| c.promise_ns = 0),
        ("hysteresis_percent", |c| c.hysteresis_percent = 80),
        ("hysteresis_percent", |c| c.hysteresis_percent = u8::MAX),
        ("high_relief_percent", |c| c.high_relief_percent = 101),
        ("high_relief_percent", |c| c.high_relief_percent = u8::MAX),
        ("critical_relief_percent", |c| c.critical_relief_percent = 101),
        ("critical_relief_percent", |c| c.critical_relief_percent = u8::MAX),
    ];
    for (field, spoil) in fields {
        let mut config = small();
        spoil(&mut config);
        match Governor::new(config) {
            Err(Error::Config { field: named, problem }) => {
                assert_eq!(named, field);
                assert!(problem.contains("use "), "{problem}");
            }
            other => panic!("{field}: {other:?}"),
        }
    }
}

#[test]
fn configurations_of_tenants_and_groups() {
    let scene = Scene::new();
    let governor = &scene.governor;
    let too_much = 1 << 48;
    let spoilt: [Spoilt<TenantConfig>; 8] = [
        ("guarantee_bytes", |c| c.guarantee_bytes = 1 << 48),
        ("limit_bytes", |c| c.limit_bytes = Some(0)),
        ("limit_bytes", |c| c.limit_bytes = Some(u64::MAX)),
        ("limit_bytes", |c| (c.guarantee_bytes, c.limit_bytes) = (11, Some(10))),
        ("burst_bytes", |c| (c.limit_bytes, c.burst_bytes) = (Some(10), Some(9))),
        ("burst_bytes", |c| (c.limit_bytes, c.burst_bytes) = (Some(10), Some(u64::MAX))),
        ("rate.interval_ns", |c| c.rate = Some(RateLimit { interval_ns: 0, tolerance_ns: 0 })),
        ("rate.tolerance_ns", |c| {
            c.rate = Some(RateLimit { interval_ns: 1, tolerance_ns: u64::MAX })
        }),
    ];
    for (field, spoil) in spoilt {
        let mut config = tenant(3);
        spoil(&mut config);
        let registered = scene.refuses(|g| g.register_tenant(config));
        let set = scene.refuses(|g| g.set_tenant(scene.one, spoil));
        for error in [registered, set] {
            assert!(matches!(error, Error::Config { field: named, .. } if named == field));
        }
    }
    let group = governor.register_group(GroupConfig::new("team")).unwrap();
    let spoilt: [Spoilt<GroupConfig>; 3] = [
        ("guarantee_bytes", |c| c.guarantee_bytes = u64::MAX),
        ("limit_bytes", |c| c.limit_bytes = Some(0)),
        ("limit_bytes", |c| (c.guarantee_bytes, c.limit_bytes) = (11, Some(10))),
    ];
    for (field, spoil) in spoilt {
        let mut config = GroupConfig::new("");
        spoil(&mut config);
        let registered = scene.refuses(|g| g.register_group(config));
        let set = scene.refuses(|g| g.set_group(group, spoil));
        for error in [registered, set] {
            assert!(matches!(error, Error::Config { field: named, .. } if named == field));
        }
    }
    for bytes in [0, too_much, u64::MAX] {
        let error = scene.refuses(|g| g.set_capacity(bytes));
        assert!(matches!(error, Error::Config { field: "capacity_bytes", .. }));
    }
}

#[test]
fn promises_that_cannot_be_kept() {
    let scene = Scene::new();
    let Scene { governor, one, .. } = &scene;
    let promise = |n, guarantee_bytes| TenantConfig { guarantee_bytes, ..tenant(n) };
    let error = scene.refuses(|g| g.register_tenant(promise(3, 1_001)));
    assert!(matches!(error, Error::GuaranteesExceed { sum: 1_001, bound: 1_000, .. }));
    let error = scene.refuses(|g| g.register_tenant(promise(3, 991)));
    assert_eq!(error, Error::GuaranteeUnavailable { short: 1 }, "10 bytes are in use");
    governor.set_tenant(scene.two, |c| c.guarantee_bytes = 900).unwrap();
    let error = scene.refuses(|g| g.set_tenant(*one, |c| c.guarantee_bytes = 101));
    assert!(matches!(error, Error::GuaranteesExceed { sum: 1_001, .. }));
    let error = scene.refuses(|g| g.set_capacity(899));
    assert!(matches!(error, Error::GuaranteesExceed { sum: 900, bound: 899, .. }));
    let group = GroupConfig { guarantee_bytes: 50, ..GroupConfig::new("team") };
    let group = governor.register_group(group).unwrap();
    let child = |n, g| TenantConfig { parent: Some(group), ..promise(n, g) };
    let error = scene.refuses(|g| g.register_tenant(child(3, 51)));
    assert!(matches!(error, Error::GuaranteesExceed { sum: 51, bound: 50, .. }));
    governor.register_tenant(child(3, 50)).unwrap();
    let error = scene.refuses(|g| g.set_group(group, |c| c.guarantee_bytes = 49));
    assert!(matches!(error, Error::GuaranteesExceed { sum: 50, bound: 49, .. }));
}

/// Neither is the slot's last tenant there again, nor who was to be its next.
#[test]
fn a_promise_that_cannot_be_kept_in_the_slot_of_who_is_gone() {
    let governor = Governor::new(GovernorConfig { tenants_max: 2, ..small() }).unwrap();
    let [one, two] = [1, 2].map(|n| governor.register_tenant(tenant(n)).unwrap());
    let held = governor.try_request(&Request::new(one, Cache, 10)).unwrap();
    governor.unregister_tenant(two, Unregister::IfIdle).unwrap();
    let guarantee_bytes = governor.config().capacity_bytes;
    let promise = || TenantConfig { guarantee_bytes, ..tenant(3) };
    let ids = [1, 2, 3].map(TenantId::from_u128);
    for _ in 0..2 {
        let error = governor.register_tenant(promise()).unwrap_err();
        assert!(matches!(error, Error::GuaranteeUnavailable { .. }), "{error}");
        assert_eq!(ids.map(|id| governor.find(id)), [Some(one), None, None]);
    }
    drop(held);
    let three = governor.register_tenant(promise()).unwrap();
    assert_eq!(ids.map(|id| governor.find(id)), [Some(one), None, Some(three)]);
    assert_eq!(governor.try_request(&Request::new(three, Cache, 10)).unwrap().bytes(), 10);
}

#[test]
fn registrations_that_do_not_fit() {
    let scene = Scene::new();
    let Scene { governor, one, .. } = &scene;
    let error = scene.refuses(|g| g.register_tenant(tenant(1)));
    assert_eq!(error, Error::DuplicateTenant(TenantId::from_u128(1)));
    let error = scene.refuses(|g| g.unregister_tenant(*one, Unregister::IfIdle));
    assert_eq!(error, Error::GrantsLive { bytes: 10 });
    // Six levels: five groups, and the tenant below them.
    let mut parent = None;
    for depth in 1..=5 {
        let group = GroupConfig { parent, ..GroupConfig::new(depth.to_string()) };
        parent = Some(governor.register_group(group).unwrap());
    }
    let deeper = || GroupConfig { parent, ..GroupConfig::new("") };
    assert_eq!(scene.refuses(|g| g.register_group(deeper())), Error::TooDeep { depth: 6, max: 5 });
    governor.register_tenant(TenantConfig { parent, ..tenant(3) }).unwrap();
    let error = scene.refuses(|g| g.unregister_group(parent.unwrap()));
    assert_eq!(error, Error::HasChildren { children: 1 });
    governor.register_tenant(tenant(4)).unwrap();
    let error = scene.refuses(|g| g.register_tenant(tenant(5)));
    assert_eq!(error, Error::TableFull { what: "tenants", max: 4, field: "tenants_max" });
    for name in ["six", "seven", "eight"] {
        governor.register_group(GroupConfig::new(name)).unwrap();
    }
    let error = scene.refuses(|g| g.register_group(GroupConfig::new("")));
    assert_eq!(error, Error::TableFull { what: "groups", max: 8, field: "groups_max" });
    // A slot that has drained is found, however many are draining.
    governor.unregister_tenant(*one, Unregister::Drain).unwrap();
    let error = scene.refuses(|g| g.register_tenant(tenant(5)));
    assert!(matches!(error, Error::TableFull { .. }), "it still drains");
    governor.release(*one, scene.held).unwrap();
    governor.register_tenant(tenant(5)).unwrap();
}

/// A full table of grants is a denial: it holds at least as many as configured.
#[test]
fn a_full_table_of_grants_is_denied() {
    let scene = Scene::new();
    let mut held = Vec::new();
    let no = loop {
        match scene.governor.request(&Request::new(scene.two, Cache, 1)) {
            Ok(grant) => held.push(grant),
            Err(refusal) => break *refusal.denial().unwrap(),
        }
    };
    assert_eq!((no.reason, no.short_bytes), (DenialReason::SlotsExhausted, 0));
    assert!(no.waiting_can_help && held.len() + 1 >= 16);
    held.pop();
    held.push(scene.governor.request(&Request::new(scene.two, Cache, 1)).unwrap());
}

/// Nobody waits for a grant that is declined although it was never chosen.
#[test]
fn declining_what_nobody_wants() {
    let scene = Scene::new();
    let error = scene.refuses(|g| g.decline(scene.one, scene.held));
    assert_eq!(error, Error::StaleGrant(scene.held));
    assert!(scene.governor.next_victim().is_none());
}
