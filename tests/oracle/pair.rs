//! The governor and the model side by side: every answer and every victim must be equal.

use super::model::{self, Account, Answer, Limits, Model, No, Script};
use allotment::os::ManualClock;
use allotment::*;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const CAPACITY: u64 = 120;
const COOLDOWN_NS: u64 = 50;

/// What is done; numbers are taken modulo what there is.
#[derive(Clone, Debug)]
pub enum Op {
    Request {
        tenant: usize,
        kind: usize,
        bytes: u64,
        traits: u8,
        evicting: bool,
    },
    Reserve {
        tenant: usize,
        kind: usize,
        bytes: u64,
        ttl_ns: u64,
    },
    Batch(Vec<(usize, usize, u64)>),
    Grow {
        grant: usize,
        by: u64,
        evicting: bool,
    },
    Shrink {
        grant: usize,
        by: u64,
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
    Commit {
        grant: usize,
    },
    Decline {
        grant: usize,
    },
    SetTenant {
        tenant: usize,
        limits: Limits,
    },
    SetGroup {
        group: usize,
        guarantee: u64,
        beyond: Option<u64>,
    },
    SetCapacity(u64),
    Register {
        parent: usize,
        limits: Limits,
    },
    Unregister {
        tenant: usize,
        how: u8,
    },
    Balance,
    Report(u8),
    Advance(u64),
    /// A grant that has ended, by its place among those.
    Stale {
        grant: usize,
    },
    /// A number that nobody was given.
    Foreign {
        tenant: usize,
        number: u64,
    },
}

/// How owners answer for their grants, by cookie: the same rule for both.
fn script(cookie: u64) -> ReclaimAnswer {
    match cookie % 8 {
        3 => ReclaimAnswer::Busy,
        5 => ReclaimAnswer::Deferred,
        _ => ReclaimAnswer::Freed,
    }
}

/// The governor and the model side by side.
pub struct Pair {
    governor: Governor,
    clock: ManualClock,
    evicted: Arc<Mutex<Vec<u64>>>,
    model: Model,
    groups: [GroupHandle; 3],
    tenants: Vec<TenantHandle>,
    ids: HashMap<u64, GrantId>,
    cookies: u64,
}

impl Pair {
    pub fn new(pool_pressure: bool, headroom: u64, quantum: u64, all: &[(usize, Limits)]) -> Self {
        let clock = ManualClock::new();
        let governor = Governor::new(GovernorConfig {
            tenants_max: 32,
            groups_max: 4,
            grants_max: 4096,
            quantum_bytes: quantum,
            headroom_bytes: headroom,
            busy_cooldown_ns: COOLDOWN_NS,
            pool_pressure,
            clock: clock.clone().into(),
            ..GovernorConfig::new(CAPACITY)
        })
        .unwrap();
        governor.on_leak(|_| {});
        let evicted = Arc::new(Mutex::new(Vec::new()));
        let seen = evicted.clone();
        governor.on_reclaim(move |victim| {
            seen.lock().unwrap().push(victim.cookie);
            script(victim.cookie)
        });
        let group = |parent| GroupConfig { parent, ..GroupConfig::new("") };
        let outer = governor.register_group(group(None)).unwrap();
        let inner = governor.register_group(group(Some(outer))).unwrap();
        let other = governor.register_group(group(None)).unwrap();
        let mut pair = Self {
            governor,
            clock,
            evicted,
            model: Model::new(CAPACITY, pool_pressure, headroom, COOLDOWN_NS),
            groups: [outer, inner, other],
            tenants: Vec::new(),
            ids: HashMap::new(),
            cookies: 0,
        };
        for (group, handle) in pair.groups.iter().enumerate() {
            pair.model.groups[group].index = index_of(handle.as_u64());
        }
        for (parent, limits) in all {
            pair.register(*parent, limits);
        }
        pair
    }

    pub fn apply(&mut self, op: &Op) {
        match op {
            Op::Request { tenant, kind, bytes, traits, evicting } => {
                self.request(*tenant, *kind, *bytes, *traits, *evicting);
            }
            Op::Reserve { tenant, kind, bytes, ttl_ns } => {
                self.reserve(*tenant, *kind, *bytes, *ttl_ns);
            }
            Op::Batch(asks) => self.batch(asks),
            Op::SetTenant { tenant, limits } => self.set_tenant(*tenant, limits),
            Op::SetGroup { group, guarantee, beyond } => {
                self.set_group(*group, *guarantee, *beyond);
            }
            Op::SetCapacity(bytes) => {
                let is = plain(self.governor.set_capacity(*bytes));
                assert_eq!(is, self.model.set_capacity(*bytes));
            }
            Op::Register { parent, limits } => {
                if self.tenants.len() < 20 {
                    self.register(*parent, limits);
                }
            }
            Op::Unregister { tenant, how } => self.unregister(*tenant, *how),
            Op::Balance => self.balance(),
            Op::Report(level) => {
                self.governor.report_pressure(pressure(*level));
                self.model.report(*level);
            }
            Op::Advance(ns) => {
                self.clock.advance_ns(*ns);
                self.model.now_ns += ns;
            }
            Op::Stale { grant } => self.stale(*grant),
            Op::Foreign { tenant, number } => self.foreign(*tenant, *number),
            on_grant => self.on_grant(on_grant),
        }
        self.check();
    }

    /// Everything is given back; then nobody holds anything.
    pub fn finish(mut self) {
        while let Some(grant) = self.model.grants.first() {
            let (tenant, cookie) = (self.tenants[grant.tenant], grant.cookie);
            let released = self.governor.release(tenant, self.ids[&cookie]);
            let released = plain(released.map(|how| how == Released::Evicted));
            assert_eq!(released, self.model.release(cookie));
            self.check();
        }
        let snapshot = self.governor.snapshot();
        assert_eq!((snapshot.live_bytes, snapshot.reclaim_panics), (0, 0));
        assert!(snapshot.tenants.iter().all(|tenant| tenant.set_aside_bytes == 0));
    }

    fn on_grant(&mut self, op: &Op) {
        let grant = match op {
            Op::Grow { grant, .. }
            | Op::Shrink { grant, .. }
            | Op::Release { grant }
            | Op::Touch { grant }
            | Op::Pin { grant, .. }
            | Op::KeepAlive { grant, .. }
            | Op::Commit { grant }
            | Op::Decline { grant } => *grant,
            _ => unreachable!("not on a grant"),
        };
        if self.model.grants.is_empty() {
            return;
        }
        let grant = &self.model.grants[grant % self.model.grants.len()];
        let cookie = grant.cookie;
        let (tenant, id) = (self.tenants[grant.tenant], self.ids[&cookie]);
        let governor = &self.governor;
        let (is, must) = match op {
            Op::Grow { by, evicting: true, .. } => {
                let is = answer(governor.grow_evicting(tenant, id, *by));
                (is, self.model.grow(cookie, *by, true, script))
            }
            Op::Grow { by, .. } => (
                answer(governor.grow(tenant, id, *by)),
                self.model.grow(cookie, *by, false, script),
            ),
            Op::Shrink { by, .. } => {
                (plain(governor.shrink(tenant, id, *by)), self.model.shrink(cookie, *by))
            }
            Op::Release { .. } => {
                let released = governor.release(tenant, id);
                (plain(released.map(|how| how == Released::Evicted)), self.model.release(cookie))
            }
            Op::Touch { .. } => (plain(governor.touch(tenant, id)), self.model.touch(cookie)),
            Op::Pin { pinned: true, .. } => {
                (plain(governor.pin(tenant, id)), self.model.pin(cookie, true))
            }
            Op::Pin { .. } => (plain(governor.unpin(tenant, id)), self.model.pin(cookie, false)),
            Op::KeepAlive { for_ns, .. } => {
                let is = governor.keep_alive(tenant, id, Duration::from_nanos(*for_ns));
                (plain(is), self.model.keep_alive(cookie, *for_ns))
            }
            Op::Commit { .. } => (plain(governor.commit(tenant, id)), self.model.commit(cookie)),
            _ => (plain(governor.decline(tenant, id)), self.model.decline(cookie)),
        };
        assert_eq!(is, must);
    }

    fn stale(&self, grant: usize) {
        let has_ended = |cookie: &u64| self.model.grants.iter().all(|g| g.cookie != *cookie);
        let ended = (1..=self.cookies).filter(|cookie| self.ids.contains_key(cookie));
        let ended: Vec<u64> = ended.filter(has_ended).collect();
        if !ended.is_empty() {
            let id = self.ids[&ended[grant % ended.len()]];
            self.tenants.iter().for_each(|&tenant| self.refuses_grant(tenant, id));
        }
    }

    fn foreign(&self, tenant: usize, number: u64) {
        let tenant = self.tenants[tenant % self.tenants.len()];
        let id = GrantId::from_u64(number);
        if !self.model.grants.iter().any(|grant| self.ids[&grant.cookie] == id) {
            self.refuses_grant(tenant, id);
        }
        let nobody = TenantHandle::from_u64(number);
        if !self.tenants.contains(&nobody) {
            for grant in &self.model.grants {
                self.refuses_grant(nobody, self.ids[&grant.cookie]);
            }
            let before = self.governor.snapshot();
            let request = Request::new(nobody, AllocationType::Cache, 1);
            assert!(matches!(self.governor.request(&request), Err(Refusal::Misuse(_))));
            assert!(self.governor.usage(nobody).is_err());
            assert!(self.governor.unregister_tenant(nobody, Unregister::Force).is_err());
            assert_eq!(self.governor.snapshot(), before, "nothing has changed");
        }
    }

    /// Every verb on a grant that this tenant does not hold is misuse, and changes nothing; only
    /// the release of what was evicted is told so.
    fn refuses_grant(&self, tenant: TenantHandle, id: GrantId) {
        let governor = &self.governor;
        let before = governor.snapshot();
        let misuse = |result| matches!(result, Err(Refusal::Misuse(_)));
        assert!(matches!(governor.release(tenant, id), Ok(Released::Evicted) | Err(_)));
        assert!(governor.bytes_of(tenant, id).is_err() && governor.touch(tenant, id).is_err());
        assert!(misuse(governor.grow(tenant, id, 1)) && misuse(governor.true_up(tenant, id, 1)));
        assert!(misuse(governor.grow_evicting(tenant, id, 1)));
        assert!(governor.shrink(tenant, id, 1).is_err() && governor.commit(tenant, id).is_err());
        assert!(governor.pin(tenant, id).is_err() && governor.unpin(tenant, id).is_err());
        assert!(governor.keep_alive(tenant, id, Duration::ZERO).is_err());
        assert!(governor.decline(tenant, id).is_err());
        assert_eq!(governor.snapshot(), before, "nothing has changed");
    }

    fn request(&mut self, tenant: usize, kind: usize, bytes: u64, traits: u8, evicting: bool) {
        let tenant = tenant % self.tenants.len();
        self.cookies += 1;
        let (pinned, evictable, ttl) = (traits % 13 == 1, traits % 2 == 1, traits % 11 == 2);
        let ttl_ns = if ttl { u64::from(traits) } else { 0 };
        let mut request = Request::new(self.tenants[tenant], AllocationType::ALL[kind], bytes)
            .cookie(self.cookies)
            .pinned(pinned)
            .evictable(evictable);
        if ttl {
            request = request.ttl(Duration::from_nanos(ttl_ns));
        }
        let fixed = kind == 0 && !evictable;
        let grant = model::Grant {
            pinned,
            fixed,
            expires_ns: if ttl { (self.model.now_ns + ttl_ns).max(1) } else { 0 },
            ..model::Grant::new(self.cookies, tenant, kind, bytes)
        };
        if evicting {
            self.check_explanation(&request, &grant);
        }
        let granted = match evicting {
            true => self.governor.request(&request),
            false => self.governor.try_request(&request),
        };
        let granted = granted.map(Grant::into_id);
        if let Ok(id) = granted {
            self.ids.insert(self.cookies, id);
        }
        assert_eq!(answer(granted), self.model.request(grant, evicting, script));
    }

    /// `explain` says what `request` is going to do.
    fn check_explanation(&mut self, request: &Request, grant: &model::Grant) {
        let Ok(explained) = self.governor.explain(request) else { return };
        let mut model = self.model.clone();
        model.return_expired();
        let decided = model.decide(grant.tenant, grant.kind, grant.bytes);
        match decided {
            Ok(()) => assert_eq!(explained.reason, None),
            Err(No::Closed) => unreachable!("explained"),
            Err(No::Count) => assert_eq!(explained.reason, Some(DenialReason::GrantCount)),
            Err(No::Full { account, short, .. }) => {
                let name = self.name(account, grant.tenant);
                assert_eq!((explained.account, explained.short_bytes), (name, short));
            }
        }
        let evicted = std::mem::take(&mut model.evicted);
        assert!(evicted.is_empty());
        let granted = model.request(grant.clone(), true, |_| ReclaimAnswer::Freed).is_granted();
        let plan = &explained.evictions;
        assert_eq!(granted, plan.missing_bytes == 0, "{explained}");
        if granted {
            let planned: Vec<GrantId> = plan.victims.iter().map(|victim| victim.grant).collect();
            let victims = model.evicted.iter().take(planned.len().max(16));
            let victims: Vec<GrantId> = victims.map(|cookie| self.ids[cookie]).collect();
            assert_eq!(planned, victims, "{explained}");
        }
    }

    fn reserve(&mut self, tenant: usize, kind: usize, bytes: u64, ttl_ns: u64) {
        let tenant = tenant % self.tenants.len();
        self.cookies += 1;
        let kind_of = AllocationType::ALL[kind];
        let request = Request::new(self.tenants[tenant], kind_of, bytes).cookie(self.cookies);
        let reserved = self.governor.reserve(&request, Duration::from_nanos(ttl_ns));
        let reserved = reserved.map(Reservation::into_id);
        if let Ok(id) = reserved {
            self.ids.insert(self.cookies, id);
        }
        let grant = model::Grant {
            fixed: kind == 0,
            uncommitted: true,
            expires_ns: (self.model.now_ns + ttl_ns).max(1),
            ..model::Grant::new(self.cookies, tenant, kind, bytes)
        };
        assert_eq!(answer(reserved), self.model.request(grant, true, script));
    }

    fn batch(&mut self, asks: &[(usize, usize, u64)]) {
        let first = self.cookies + 1;
        self.cookies += asks.len() as u64;
        let numbered = asks.iter().zip(first..);
        let (requests, grants): (Vec<Request>, Vec<model::Grant>) = numbered
            .map(|(&(tenant, kind, bytes), cookie)| {
                let tenant = tenant % self.tenants.len();
                let kind_of = AllocationType::ALL[kind];
                let request = Request::new(self.tenants[tenant], kind_of, bytes).cookie(cookie);
                let fixed = kind == 0;
                (request, model::Grant { fixed, ..model::Grant::new(cookie, tenant, kind, bytes) })
            })
            .unzip();
        let granted = self.governor.request_all(&requests);
        let granted = granted.map(|all| {
            for (grant, cookie) in all.into_iter().zip(first..) {
                self.ids.insert(cookie, grant.into_id());
            }
        });
        assert_eq!(answer(granted), self.model.request_all(grants));
    }

    fn config(&self, limits: &Limits, mut config: TenantConfig) -> TenantConfig {
        config.guarantee_bytes = limits.guarantee;
        config.limit_bytes = limits.limit;
        config.burst_bytes = limits.limit.and_then(|limit| Some(limit + limits.burst?));
        config.priority = Priority::ALL[usize::from(limits.priority)];
        let isolation = [Isolation::None, Isolation::Soft, Isolation::Hard];
        config.isolation = isolation[usize::from(limits.isolation)];
        config.policy = Policy::Lru;
        config.grants_max = [None; 4];
        if let Some((kind, most)) = limits.count {
            config.grants_max[kind] = Some(most);
        }
        config
    }

    fn register(&mut self, parent: usize, limits: &Limits) {
        let id = TenantId::from_u128(1 + self.tenants.len() as u128);
        let parent_handle = self.groups.get(parent % 4).copied();
        let config = TenantConfig { parent: parent_handle, ..TenantConfig::new(id, "") };
        let registered = self.governor.register_tenant(self.config(limits, config));
        let index = registered.as_ref().map_or(0, |handle| index_of(handle.as_u64()));
        let must = self.model.register(self.groups.len().min(parent % 4), limits, index);
        if let Ok(handle) = registered {
            self.tenants.push(handle);
        }
        assert_eq!(plain(registered), must);
        if self.tenants.is_empty() {
            // There has to be somebody to ask.
            self.register(3, &Limits::none());
        }
    }

    fn set_tenant(&mut self, tenant: usize, limits: &Limits) {
        let tenant = tenant % self.tenants.len();
        let (model, handle) = (&mut self.model, self.tenants[tenant]);
        let must = model.set_tenant(tenant, limits);
        let before = self.governor.tenant_config(handle).ok();
        let after = before.map(|before| self.config(limits, before));
        let is = self.governor.set_tenant(handle, |config| *config = after.unwrap());
        assert_eq!(plain(is), must);
    }

    fn set_group(&mut self, group: usize, guarantee: u64, beyond: Option<u64>) {
        let limit = beyond.map(|beyond| (guarantee + beyond).max(1));
        let must = self.model.set_group(group, guarantee, limit);
        let is = self.governor.set_group(self.groups[group], |config| {
            (config.guarantee_bytes, config.limit_bytes) = (guarantee, limit);
        });
        assert_eq!(plain(is), must);
    }

    fn unregister(&mut self, tenant: usize, how: u8) {
        let tenant = tenant % self.tenants.len();
        let all = [Unregister::IfIdle, Unregister::Drain, Unregister::Force];
        let is = self.governor.unregister_tenant(self.tenants[tenant], all[usize::from(how)]);
        assert_eq!(plain(is), self.model.unregister(tenant, how));
    }

    fn balance(&mut self) {
        let is = self.governor.balance();
        let must = self.model.balance(script);
        assert_eq!(is.pressure, pressure(must.level));
        let freed = (is.evicted_grants, is.freed_bytes, is.deferred_bytes);
        assert_eq!(freed, (must.grants, must.freed, must.deferred));
        assert_eq!(is.reservations_expired, must.expired);
    }

    fn name(&self, account: Account, asking: usize) -> AccountName {
        match account {
            Account::Pool => AccountName::Pool,
            Account::Group(group) => AccountName::Group(self.groups[group]),
            Account::Tenant(tenant) => {
                assert_eq!(tenant, asking);
                AccountName::Tenant(self.tenants[tenant])
            }
        }
    }

    /// After each step: the same victims, and what is used is what is granted.
    fn check(&mut self) {
        let evicted = std::mem::take(&mut *self.evicted.lock().unwrap());
        assert_eq!(evicted, std::mem::take(&mut self.model.evicted), "victims");
        let snapshot = self.governor.snapshot();
        assert_eq!(snapshot.pressure, pressure(self.model.level), "pressure");
        assert_eq!(snapshot.share_bytes, self.model.water, "water");
        let sum: u64 = self.model.grants.iter().map(|grant| grant.bytes).sum();
        assert_eq!(snapshot.live_bytes, sum, "live bytes");
        assert!(snapshot.claimed_bytes >= self.model.needs(Account::Pool), "claims");
        for tenant in &snapshot.tenants {
            let at = self.tenants.iter().position(|&t| t == tenant.tenant).unwrap();
            assert_eq!(tenant.used_bytes, self.model.used(at), "use of {at}");
        }
    }
}

fn index_of(handle: u64) -> u32 {
    (handle & 0xff_ffff) as u32
}

fn pressure(level: u8) -> Pressure {
    Pressure::ALL[usize::from(level)]
}

fn answer<T>(result: Result<T, Refusal>) -> Answer {
    match result {
        Ok(_) => Answer::Ok(false),
        Err(Refusal::Misuse(error)) => plain::<()>(Err(error)),
        Err(Refusal::Denied(denial)) => {
            let level = match denial.account {
                AccountName::Pool => 0,
                AccountName::Group(group) => index_of(group.as_u64()),
                AccountName::Tenant(tenant) => index_of(tenant.as_u64()),
            };
            Answer::Denied(denial.reason, level, denial.short_bytes)
        }
    }
}

trait Flag {
    fn flag(&self) -> bool {
        false
    }
}
impl Flag for () {}
impl Flag for TenantHandle {}
impl Flag for bool {
    fn flag(&self) -> bool {
        *self
    }
}

fn plain<T: Flag>(result: Result<T, Error>) -> Answer {
    match result {
        Ok(flag) => Answer::Ok(flag.flag()),
        Err(error) => Answer::Error(match error {
            Error::Gone { .. } => "gone",
            Error::Evicted(_) => "evicted",
            Error::StaleGrant(_) => "stale",
            Error::NotReserved(_) => "not reserved",
            Error::Expired(_) => "expired",
            Error::ShrinkTooMuch { .. } => "shrink too much",
            Error::GuaranteesExceed { .. } => "guarantees exceed",
            Error::GuaranteeUnavailable { .. } => "guarantee unavailable",
            Error::GrantsLive { .. } => "grants live",
            other => panic!("not foreseen: {other}"),
        }),
    }
}

const _: fn(u64) -> ReclaimAnswer = script as Script;
