//! The short way answers like the long one: the same calls on a governor that records nothing, so
//! that verbs go straight through where nothing is in the way (`core/hot_path.rs`), and on one that
//! records, where every verb takes its general form. Answers, victims and figures are equal.

use allotment::os::ManualClock;
use allotment::*;
use proptest::prelude::*;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const CAPACITY: u64 = 100;
const TENANTS: usize = 3;

/// What is done; numbers are taken modulo what there is.
#[derive(Clone, Debug)]
enum Op {
    Request {
        tenant: usize,
        kind: usize,
        bytes: u64,
        traits: u8,
    },
    Grow {
        grant: usize,
        by: u64,
    },
    Shrink {
        grant: usize,
        by: u64,
    },
    TrueUp {
        grant: usize,
        to: u64,
    },
    Release {
        grant: usize,
    },
    Touch {
        grant: usize,
    },
    Pin {
        grant: usize,
        pinned: bool,
    },
    KeepAlive {
        grant: usize,
        for_ns: u64,
    },
    /// The wrong tenant releases.
    Steal {
        grant: usize,
    },
    SetTenant {
        tenant: usize,
        limits: Limits,
    },
    SetCapacity(u64),
    /// The tenant goes, and another one comes.
    Replace {
        tenant: usize,
    },
    Balance,
    Report(usize),
    Advance(u64),
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    guarantee: u64,
    limit: Option<u64>,
    burst: Option<u64>,
    isolation: usize,
    policy: usize,
    grants_max: Option<u32>,
}

fn limits() -> impl Strategy<Value = Limits> {
    let count = proptest::option::weighted(0.2, 0_u32..4);
    let (limit, burst) = (proptest::option::of(20_u64..90), proptest::option::of(0_u64..30));
    (0_u64..20, limit, burst, 0_usize..3, 0_usize..5, count).prop_map(
        |(guarantee, limit, burst, isolation, policy, grants_max)| Limits {
            guarantee,
            limit,
            burst,
            isolation,
            policy,
            grants_max,
        },
    )
}

fn op() -> impl Strategy<Value = Op> {
    let bytes = || prop_oneof![8 => 1_u64..12, 2 => 10_u64..60, 1 => 60_u64..140, 1 => Just(0)];
    let grant = || 0_usize..60;
    prop_oneof![
        12 => (0_usize..TENANTS, 0_usize..4, bytes(), any::<u8>()).prop_map(
            |(tenant, kind, bytes, traits)| Op::Request { tenant, kind, bytes, traits }
        ),
        3 => (grant(), bytes()).prop_map(|(grant, by)| Op::Grow { grant, by }),
        3 => (grant(), bytes()).prop_map(|(grant, by)| Op::Shrink { grant, by }),
        1 => (grant(), bytes()).prop_map(|(grant, to)| Op::TrueUp { grant, to }),
        6 => grant().prop_map(|grant| Op::Release { grant }),
        3 => grant().prop_map(|grant| Op::Touch { grant }),
        1 => (grant(), any::<bool>()).prop_map(|(grant, pinned)| Op::Pin { grant, pinned }),
        1 => (grant(), 0_u64..100).prop_map(|(grant, for_ns)| Op::KeepAlive { grant, for_ns }),
        1 => grant().prop_map(|grant| Op::Steal { grant }),
        1 => (0_usize..TENANTS, limits()).prop_map(|(tenant, limits)| {
            Op::SetTenant { tenant, limits }
        }),
        1 => (70_u64..130).prop_map(Op::SetCapacity),
        1 => (0_usize..TENANTS).prop_map(|tenant| Op::Replace { tenant }),
        1 => Just(Op::Balance),
        1 => (0_usize..3).prop_map(Op::Report),
        1 => (0_u64..60).prop_map(Op::Advance),
    ]
}

/// One of the two governors.
struct Side {
    governor: Governor,
    clock: ManualClock,
    victims: Arc<Mutex<Vec<String>>>,
    tenants: Vec<TenantHandle>,
    registered: u128,
    /// Every grant there ever was: its tenant and its id.
    grants: Vec<(TenantHandle, GrantId)>,
}

impl Side {
    fn new(audit: AuditMode, quantum_bytes: u64, pool_pressure: bool, all: &[Limits]) -> Self {
        let clock = ManualClock::new();
        let governor = Governor::new(GovernorConfig {
            tenants_max: 16,
            groups_max: 1,
            grants_max: 256,
            quantum_bytes,
            pool_pressure,
            audit,
            clock: clock.clone().into(),
            ..GovernorConfig::new(CAPACITY)
        })
        .unwrap();
        governor.on_leak(|_| {});
        let victims = Arc::new(Mutex::new(Vec::new()));
        let seen = victims.clone();
        governor.on_reclaim(move |victim| {
            let Victim { bytes, key, cookie, allocation_type, .. } = *victim;
            let victim = format!("{allocation_type:?} {bytes} {key} {cookie}");
            seen.lock().unwrap().push(victim);
            ReclaimAnswer::Freed
        });
        let (tenants, grants) = Default::default();
        let mut side = Self { governor, clock, victims, tenants, registered: 0, grants };
        for limits in all {
            let handle = side.register(limits);
            side.tenants.push(handle);
        }
        side
    }

    fn register(&mut self, limits: &Limits) -> TenantHandle {
        self.registered += 1;
        let config = TenantConfig::new(TenantId::from_u128(self.registered), "one of three");
        let bound = Self::bound(config.clone(), limits);
        let registered = self.governor.register_tenant(bound);
        registered.unwrap_or_else(|_| self.governor.register_tenant(config).unwrap())
    }

    fn bound(config: TenantConfig, limits: &Limits) -> TenantConfig {
        let isolation = [Isolation::None, Isolation::Soft, Isolation::Hard][limits.isolation];
        let policy = [Policy::Lru, Policy::Lfu, Policy::Ttl, Policy::Size, Policy::Hybrid];
        let burst_bytes = limits.limit.zip(limits.burst).map(|(limit, more)| limit + more);
        TenantConfig {
            guarantee_bytes: limits.guarantee,
            limit_bytes: limits.limit,
            burst_bytes,
            isolation,
            policy: policy[limits.policy],
            grants_max: [None, None, limits.grants_max, None],
            ..config
        }
    }

    /// Does it and says what came of it, in words that do not name the governor.
    fn apply(&mut self, op: &Op) -> String {
        match *op {
            Op::Request { tenant, kind, bytes, traits } => {
                self.request(self.tenants[tenant], kind, bytes, traits)
            }
            Op::SetTenant { tenant, ref limits } => {
                let set = self.governor.set_tenant(self.tenants[tenant], |config| {
                    *config = Self::bound(config.clone(), limits);
                });
                told(set)
            }
            Op::SetCapacity(bytes) => told(self.governor.set_capacity(bytes)),
            Op::Replace { tenant } => {
                let gone = self.tenants[tenant];
                let unregistered = self.governor.unregister_tenant(gone, Unregister::Force);
                let late = self.request(gone, 2, 1, 0);
                let none = limits_of_nobody();
                self.tenants[tenant] = self.register(&none);
                told(unregistered) + &late
            }
            Op::Balance => format!("{:?}", self.governor.balance().pressure),
            Op::Report(level) => {
                self.governor.report_pressure(Pressure::ALL[level]);
                String::new()
            }
            Op::Advance(ns) => {
                self.clock.advance_ns(ns);
                String::new()
            }
            _ => self.on_grant(op),
        }
    }

    /// Some have a key, some a cookie, some are pinned; most have nothing.
    fn request(&mut self, tenant: TenantHandle, kind: usize, bytes: u64, traits: u8) -> String {
        let request = Request::new(tenant, AllocationType::ALL[kind], bytes);
        let request = request.evictable(traits.is_multiple_of(3)).cost(1 + u32::from(traits % 5));
        let request = match traits % 16 {
            1 => request.key(u64::from(traits / 16)),
            2 => request.cookie(u64::from(traits)),
            3 => request.pinned(true),
            4 => request.ttl(Duration::from_nanos(u64::from(traits))),
            5 => request.pinned(true).pinned(false).key(7).key(0),
            _ => request,
        };
        let granted = match traits & 32 {
            0 => self.governor.request(&request),
            _ => self.governor.try_request(&request),
        };
        let granted = granted.map(Grant::into_id);
        if let Ok(id) = granted {
            self.grants.push((tenant, id));
        }
        refused(granted)
    }

    fn on_grant(&mut self, op: &Op) -> String {
        let of = |grant: &usize| {
            let at = grant.checked_rem(self.grants.len())?;
            // The last ones, of which some have ended.
            self.grants.get(self.grants.len() - 1 - at).copied()
        };
        let governor = &self.governor;
        let done = match op {
            Op::Grow { grant, by } => of(grant).map(|(t, g)| refused(governor.grow(t, g, *by))),
            Op::Shrink { grant, by } => of(grant).map(|(t, g)| told(governor.shrink(t, g, *by))),
            Op::TrueUp { grant, to } => {
                of(grant).map(|(t, g)| refused(governor.true_up(t, g, *to)))
            }
            Op::Release { grant } => of(grant).map(|(t, g)| released(governor.release(t, g))),
            Op::Touch { grant } => of(grant).map(|(t, g)| told(governor.touch(t, g))),
            Op::Pin { grant, pinned: true } => of(grant).map(|(t, g)| told(governor.pin(t, g))),
            Op::Pin { grant, .. } => of(grant).map(|(t, g)| told(governor.unpin(t, g))),
            Op::KeepAlive { grant, for_ns } => of(grant)
                .map(|(t, g)| told(governor.keep_alive(t, g, Duration::from_nanos(*for_ns)))),
            Op::Steal { grant } => of(grant).map(|(t, g)| {
                let thief = self.tenants.iter().find(|&&other| other != t);
                released(governor.release(*thief.expect("there are three"), g))
            }),
            _ => unreachable!("not on a grant"),
        };
        done.unwrap_or_default()
    }

    /// What there is, in figures.
    fn figures(&self) -> String {
        let all = self.governor.snapshot();
        let of = |t: &TenantSnapshot| {
            let bytes = [t.used_bytes, t.peak_bytes, t.claimed_bytes, t.share_bytes];
            let counts = [t.granted, t.denied, t.evicted, t.evicted_bytes];
            format!("{:?} {bytes:?} {counts:?} {:?}", t.id, t.limit_bytes)
        };
        let tenants: Vec<String> = all.tenants.iter().map(of).collect();
        let held = self.grants.iter().map(|&(tenant, grant)| {
            // Whether it was evicted can be told as long as nobody else has the slot.
            self.governor.bytes_of(tenant, grant).ok()
        });
        let held: Vec<Option<u64>> = held.collect();
        let pool = (all.live_bytes, all.claimed_bytes, all.pressure);
        format!("{pool:?} {tenants:#?} {held:?} {:?}", self.victims.lock().unwrap())
    }
}

fn limits_of_nobody() -> Limits {
    Limits { guarantee: 0, limit: None, burst: None, isolation: 2, policy: 4, grants_max: None }
}

fn released(result: Result<Released, Error>) -> String {
    match result {
        Ok(Released::Evicted) => "ended".into(),
        other => told(other),
    }
}

fn told<T>(result: Result<T, Error>) -> String {
    match result {
        Ok(_) => "done".into(),
        // How a grant has ended can be told until its slot is used again: here sooner, there later.
        Err(Error::Evicted(_) | Error::StaleGrant(_)) => "ended".into(),
        Err(Error::ShrinkTooMuch { held, by, .. }) => format!("{by} of {held}"),
        Err(error) => format!("{:?}", std::mem::discriminant(&error)),
    }
}

fn refused<T>(result: Result<T, Refusal>) -> String {
    match result {
        Ok(_) => "done".into(),
        Err(Refusal::Misuse(error)) => told::<()>(Err(error)),
        Err(Refusal::Denied(no)) => {
            let bytes = [no.asked_bytes, no.short_bytes, no.available_bytes, no.limit];
            let pins = (no.pins.grants, no.pins.bytes);
            format!("{:?} {bytes:?} {} {pins:?}", no.reason, no.waiting_can_help)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(256),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_short_way_answers_like_the_long_one(
        quantum in prop_oneof![Just(0_u64), Just(7), Just(1 << 20)],
        pool_pressure in any::<bool>(),
        tenants in proptest::collection::vec(limits(), TENANTS),
        ops in proptest::collection::vec(op(), 1..120),
    ) {
        let side = |audit| Side::new(audit, quantum, pool_pressure, &tenants);
        let (mut short, mut long) = (side(AuditMode::Off), side(AuditMode::DropAndCount));
        for op in &ops {
            prop_assert_eq!(short.apply(op), long.apply(op), "{:?}", op);
            prop_assert_eq!(short.figures(), long.figures(), "after {:?}", op);
        }
    }
}
