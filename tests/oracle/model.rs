//! A governor of one thread, as simple as can be: lists, and sums computed anew each time.

use allotment::{DenialReason, ReclaimAnswer};
use std::cmp::Ordering;

/// How owners answer, by cookie.
pub type Script = fn(u64) -> ReclaimAnswer;

/// Rounds of evicting and asking again.
const ROUNDS_MAX: usize = 8;

/// Something that has a limit. Groups: 0 below the pool, 1 below 0, 2 below the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Account {
    Pool,
    Group(usize),
    Tenant(usize),
}

/// What a call must answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Ok(bool),
    /// Reason, index of the account (0: the pool), bytes short.
    Denied(DenialReason, u32, u64),
    Error(&'static str),
}

impl Answer {
    pub fn is_granted(&self) -> bool {
        matches!(self, Self::Ok(_))
    }
}

/// Why there is no grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum No {
    Closed,
    Count,
    Full { account: Account, asked: u64, short: u64 },
}

/// A level that refuses.
struct Full {
    account: Account,
    asked: u64,
    short: u64,
    /// Accounts below whose guarantee would cover the request if so many bytes went below them.
    instead: Vec<(Account, u64)>,
}

/// What a tenant may have.
#[derive(Clone, Debug)]
pub struct Limits {
    pub guarantee: u64,
    pub limit: Option<u64>,
    /// Beyond the limit.
    pub burst: Option<u64>,
    pub priority: u8,
    /// 0 none, 1 soft, 2 hard.
    pub isolation: u8,
    /// Most grants of one kind.
    pub count: Option<(usize, u32)>,
}

impl Limits {
    pub fn none() -> Self {
        Self { guarantee: 0, limit: None, burst: None, priority: 1, isolation: 1, count: None }
    }

    /// The limit at a pressure level, shares left aside.
    fn at(&self, level: u8) -> u64 {
        let limit = self.limit.unwrap_or(u64::MAX / 4);
        match (self.isolation, level) {
            (0, _) => u64::MAX / 4,
            (1, 0) => limit + self.burst.unwrap_or(0),
            _ => limit,
        }
    }

    fn weight(&self) -> u64 {
        u64::from(self.priority) + 1
    }
}

#[derive(Clone, Debug)]
pub struct Tenant {
    /// 3: directly below the pool.
    pub parent: usize,
    pub limits: Limits,
    pub index: u32,
    pub open: bool,
    clock: u64,
}

#[derive(Clone, Debug, Default)]
pub struct Group {
    pub guarantee: u64,
    pub limit: Option<u64>,
    pub index: u32,
}

#[derive(Clone, Debug)]
pub struct Grant {
    pub cookie: u64,
    pub tenant: usize,
    pub kind: usize,
    pub bytes: u64,
    pub pinned: bool,
    pub fixed: bool,
    pub uncommitted: bool,
    pub expires_ns: u64,
    pub keep_until_ns: u64,
    pub touched: u64,
    /// The account for whose shortage its owner has promised to release it.
    pub deferred: Option<Account>,
}

impl Grant {
    pub fn new(cookie: u64, tenant: usize, kind: usize, bytes: u64) -> Self {
        Self {
            cookie,
            tenant,
            kind,
            bytes,
            pinned: false,
            fixed: false,
            uncommitted: false,
            expires_ns: 0,
            keep_until_ns: 0,
            touched: 0,
            deferred: None,
        }
    }

    fn is_expired(&self, now_ns: u64) -> bool {
        self.expires_ns != 0 && self.expires_ns <= now_ns
    }

    fn may_go(&self, now_ns: u64) -> bool {
        let held = self.pinned || self.fixed || self.keep_until_ns > now_ns;
        let free = if self.uncommitted { self.is_expired(now_ns) } else { !held };
        free && self.deferred.is_none()
    }
}

/// For whom, where and how much.
#[derive(Clone, Copy)]
struct Shortage {
    account: Account,
    goal: Goal,
    /// Tenant, kind, bytes; none: the balancer.
    requester: Option<(usize, usize, u64)>,
    kinds: [bool; 4],
    priority_first: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Goal {
    Demand(u64),
    Bytes(u64),
    Grants(u64),
}

/// What an eviction or a step of the balancer did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report {
    pub level: u8,
    pub grants: u32,
    pub freed: u64,
    pub deferred: u64,
    pub expired: u32,
}

/// First and second criterion, bytes below the share, index, kind.
type Rank = (u8, u8, i64, u32, usize);

#[derive(Clone)]
pub struct Model {
    pub now_ns: u64,
    pub level: u8,
    pub water: u64,
    pub tenants: Vec<Tenant>,
    pub groups: [Group; 3],
    pub grants: Vec<Grant>,
    /// Cookies of the grants whose owners were asked, in order.
    pub evicted: Vec<u64>,
    capacity: u64,
    headroom: u64,
    cooldown_ns: u64,
    pool_pressure: bool,
    fill: u8,
    machine: u8,
}

/// The sums.
impl Model {
    pub fn new(capacity: u64, pool_pressure: bool, headroom: u64, cooldown_ns: u64) -> Self {
        Self {
            now_ns: 0,
            level: 0,
            water: 0,
            tenants: Vec::new(),
            groups: Default::default(),
            grants: Vec::new(),
            evicted: Vec::new(),
            capacity,
            headroom,
            cooldown_ns,
            pool_pressure,
            fill: 0,
            machine: 0,
        }
    }

    fn parent(&self, account: Account) -> Option<Account> {
        let above = match account {
            Account::Pool => return None,
            Account::Group(group) => [3, 0, 3][group],
            Account::Tenant(tenant) => self.tenants[tenant].parent,
        };
        Some(if above == 3 { Account::Pool } else { Account::Group(above) })
    }

    fn path(&self, tenant: usize) -> Vec<Account> {
        std::iter::successors(Some(Account::Tenant(tenant)), |&at| self.parent(at)).collect()
    }

    fn children(&self, account: Account) -> Vec<Account> {
        let groups = (0..3).map(Account::Group);
        let tenants = (0..self.tenants.len()).map(Account::Tenant);
        groups.chain(tenants).filter(|&child| self.parent(child) == Some(account)).collect()
    }

    pub fn used(&self, tenant: usize) -> u64 {
        self.grants.iter().filter(|g| g.tenant == tenant).map(|g| g.bytes).sum()
    }

    /// What is in use below an account, guarantees included: of a tenant what it uses.
    pub fn needs(&self, account: Account) -> u64 {
        if let Account::Tenant(tenant) = account {
            return self.used(tenant);
        }
        let children = self.children(account);
        children.iter().map(|&c| self.needs(c).max(self.guarantee(c))).sum()
    }

    fn guarantee(&self, account: Account) -> u64 {
        match account {
            Account::Pool => 0,
            Account::Group(group) => self.groups[group].guarantee,
            Account::Tenant(t) if self.tenants[t].open => self.tenants[t].limits.guarantee,
            Account::Tenant(_) => 0,
        }
    }

    fn limit(&self, account: Account) -> u64 {
        match account {
            Account::Pool => self.capacity,
            Account::Group(group) => self.groups[group].limit.unwrap_or(u64::MAX / 4),
            Account::Tenant(t) if !self.tenants[t].open => 0,
            Account::Tenant(t) => {
                let limits = &self.tenants[t].limits;
                let share = limits.guarantee + limits.weight() * self.water;
                let capped = limits.isolation == 1 && self.level == 2;
                let limit = limits.at(self.level);
                if capped { limit.min(share) } else { limit }
            }
        }
    }

    fn highest_limit(&self, account: Account) -> u64 {
        match account {
            Account::Tenant(t) if self.tenants[t].open => {
                (0..3).map(|level| self.tenants[t].limits.at(level)).max().unwrap()
            }
            other => self.limit(other),
        }
    }

    fn freeing(&self, account: Account) -> u64 {
        let counts = |grant: &&Grant| {
            let path = self.path(grant.tenant);
            let top = grant.deferred.map(|d| path.iter().position(|&at| at == d).unwrap());
            top.is_some_and(|top| path[..=top].contains(&account))
        };
        self.grants.iter().filter(counts).map(|g| g.bytes).sum()
    }

    fn above_share(&self, tenant: usize) -> i64 {
        let guarantee = self.guarantee(Account::Tenant(tenant));
        let share = guarantee + self.tenants[tenant].limits.weight() * self.water;
        self.used(tenant) as i64 - share as i64
    }

    fn count(&self, tenant: usize, kind: usize) -> u64 {
        self.grants.iter().filter(|g| (g.tenant, g.kind) == (tenant, kind)).count() as u64
    }

    /// Every level that refuses `bytes` more.
    fn refusals(&self, tenant: usize, bytes: u64) -> Vec<Full> {
        let mut more = bytes;
        let (mut found, mut instead) = (Vec::new(), Vec::new());
        for account in self.path(tenant) {
            if more == 0 {
                break;
            }
            let (used, guarantee) = (self.needs(account), self.guarantee(account));
            if used + more > self.limit(account) {
                let short = used + more - self.limit(account);
                found.push(Full { account, asked: more, short, instead: instead.clone() });
            }
            if guarantee > 0 {
                instead.push((account, (used + more).saturating_sub(guarantee)));
            }
            more = (used + more).max(guarantee) - used.max(guarantee);
        }
        found
    }

    /// Whether `bytes` can be granted as things are.
    pub fn decide(&self, tenant: usize, kind: usize, bytes: u64) -> Result<(), No> {
        let Tenant { open, limits, .. } = &self.tenants[tenant];
        if !open {
            return Err(No::Closed);
        }
        if limits
            .count
            .is_some_and(|(k, most)| k == kind && self.count(tenant, kind) >= u64::from(most))
        {
            return Err(No::Count);
        }
        self.fits(tenant, bytes)
    }

    fn fits(&self, tenant: usize, bytes: u64) -> Result<(), No> {
        if !self.tenants[tenant].open {
            return Err(No::Closed);
        }
        match self.refusals(tenant, bytes).first() {
            Some(&Full { account, asked, short, .. }) => Err(No::Full { account, asked, short }),
            None => Ok(()),
        }
    }
}

/// Evictions.
impl Model {
    fn goes_first(kind: usize) -> u8 {
        [3, 2, 1, 0][kind]
    }

    fn is_below(&self, tenant: usize, account: Account) -> bool {
        self.path(tenant).contains(&account)
    }

    fn kinds(&self, s: &Shortage, tenant: usize) -> Vec<usize> {
        let own = s.requester.filter(|r| r.0 == tenant);
        let goes = |kind: &usize| {
            let early = own
                .is_none_or(|own| *kind != 1 && Self::goes_first(*kind) <= Self::goes_first(own.1));
            s.kinds[*kind] && early
        };
        (0..4).filter(goes).collect()
    }

    fn compared(&self, s: &Shortage, tenant: usize) -> Ordering {
        let priority = |t: usize| self.tenants[t].limits.priority;
        s.requester.map_or(Ordering::Less, |r| priority(tenant).cmp(&priority(r.0)))
    }

    fn may_be_asked(&self, s: &Shortage, tenant: usize) -> bool {
        if s.requester.is_some_and(|r| r.0 == tenant) {
            return true;
        }
        let account = Account::Tenant(tenant);
        let freeing = self.freeing(account);
        let willing = match self.compared(s, tenant) {
            Ordering::Less => true,
            Ordering::Equal => self.above_share(tenant) > freeing as i64,
            Ordering::Greater => false,
        };
        willing && self.used(tenant) - freeing > self.guarantee(account)
    }

    /// What the tenant, and the groups above it that the requester is not in, have to spare.
    fn spare(&self, s: &Shortage, tenant: usize) -> u64 {
        let shared = s.requester.map_or(vec![s.account], |r| self.path(r.0));
        let path = self.path(tenant);
        let alone = path.iter().take_while(|&&at| at != s.account && !shared.contains(&at));
        let guarded = alone.filter(|&&at| at == Account::Tenant(tenant) || self.guarantee(at) > 0);
        let spare =
            guarded.map(|&at| self.needs(at).saturating_sub(self.guarantee(at) + self.freeing(at)));
        spare.min().unwrap_or(u64::MAX)
    }

    /// How far above its share the requester will be.
    fn requester_after(&self, s: &Shortage) -> i64 {
        s.requester.map_or(i64::MIN, |(tenant, _, bytes)| {
            let freeing = self.freeing(Account::Tenant(tenant));
            self.above_share(tenant) - freeing as i64 + bytes as i64
        })
    }

    fn may_lose(&self, s: &Shortage, tenant: usize, bytes: u64) -> bool {
        if s.requester.is_some_and(|r| r.0 == tenant) {
            return true;
        }
        let leaving = (self.freeing(Account::Tenant(tenant)) + bytes) as i64;
        let stays = self.compared(s, tenant) != Ordering::Equal
            || self.above_share(tenant) - leaving >= self.requester_after(s);
        bytes <= self.spare(s, tenant) && stays
    }

    fn candidate(&self, tenant: usize, kind: usize) -> Option<usize> {
        let of = |&at: &usize| {
            let grant = &self.grants[at];
            (grant.tenant, grant.kind) == (tenant, kind) && grant.may_go(self.now_ns)
        };
        let order =
            |&at: &usize| (!self.grants[at].is_expired(self.now_ns), self.grants[at].touched);
        (0..self.grants.len()).filter(of).min_by_key(order)
    }

    fn next(&self, s: &Shortage, after: Option<Rank>) -> Option<(Rank, usize)> {
        let mut ranks = Vec::new();
        for (tenant, t) in self.tenants.iter().enumerate() {
            if !self.is_below(tenant, s.account) || !self.may_be_asked(s, tenant) {
                continue;
            }
            let below = self.freeing(Account::Tenant(tenant)) as i64 - self.above_share(tenant);
            for kind in self.kinds(s, tenant) {
                let (first, priority) = (Self::goes_first(kind), t.limits.priority);
                let rank = match s.priority_first {
                    true => (priority, first, below, t.index, kind),
                    false => (first, priority, below, t.index, kind),
                };
                ranks.push((rank, tenant));
            }
        }
        ranks.into_iter().filter(|(rank, _)| after.is_none_or(|after| *rank > after)).min()
    }

    fn evictable(&self, s: &Shortage, tenant: usize) -> u64 {
        let kinds = self.kinds(s, tenant);
        let goes =
            |g: &&Grant| g.tenant == tenant && kinds.contains(&g.kind) && g.may_go(self.now_ns);
        self.grants.iter().filter(goes).map(|g| g.bytes).sum()
    }

    fn suffices(&self, s: &Shortage, needed: u64) -> bool {
        let own = s.requester.map(|r| r.0).filter(|&own| self.is_below(own, s.account));
        let from_own = own.map_or(0, |own| self.evictable(s, own).min(needed));
        let others = (0..self.tenants.len())
            .filter(|&t| Some(t) != s.requester.map(|r| r.0) && self.is_below(t, s.account))
            .filter(|&t| self.may_be_asked(s, t))
            .map(|t| {
                let mut spare = self.spare(s, t);
                if self.compared(s, t) == Ordering::Equal {
                    let after = self.requester_after(s) - from_own as i64;
                    let freeing = self.freeing(Account::Tenant(t)) as i64;
                    spare = spare.min((self.above_share(t) - freeing - after).max(0) as u64);
                }
                self.evictable(s, t).min(spare)
            });
        let leaving: u64 = (0..self.tenants.len())
            .filter(|&t| self.is_below(t, s.account))
            .map(|t| self.freeing(Account::Tenant(t)))
            .sum();
        leaving + from_own + others.sum::<u64>() >= needed
    }

    /// Bytes that leave `account` when the tenant frees `bytes`: guarantees may hold some back.
    fn reaching(&self, tenant: usize, bytes: u64, account: Account) -> u64 {
        let mut rising = bytes;
        for at in self.path(tenant) {
            if at == account {
                break;
            }
            let (used, guarantee) = (self.needs(at), self.guarantee(at));
            rising = used.max(guarantee) - (used - rising).max(guarantee);
        }
        rising
    }

    fn promised_grants(&self, tenant: usize, kind: usize) -> u64 {
        let of = |g: &&Grant| (g.tenant, g.kind) == (tenant, kind) && g.deferred.is_some();
        self.grants.iter().filter(of).count() as u64
    }

    fn relieve(&mut self, s: &Shortage, script: Script) -> Report {
        let mut report = Report::default();
        let mut after = None;
        let mut demand = if let Goal::Demand(bytes) = s.goal { bytes } else { 0 };
        while let Some((rank, tenant)) = self.next(s, after) {
            let kind = rank.4;
            let enough = match s.goal {
                Goal::Bytes(bytes) => report.freed + report.deferred >= bytes,
                Goal::Grants(grants) => {
                    u64::from(report.grants) + self.promised_grants(tenant, kind) >= grants
                }
                Goal::Demand(_) => {
                    let free = self.limit(s.account) + self.freeing(s.account);
                    demand == 0 || self.needs(s.account) + demand <= free
                }
            };
            if enough {
                break;
            }
            let candidate = self.candidate(tenant, kind);
            let candidate = candidate.filter(|&at| self.may_lose(s, tenant, self.grants[at].bytes));
            let Some(at) = candidate else {
                after = Some(rank);
                continue;
            };
            let grant = self.grants[at].clone();
            let answer = if grant.uncommitted {
                ReclaimAnswer::Freed
            } else {
                self.evicted.push(grant.cookie);
                script(grant.cookie)
            };
            match answer {
                ReclaimAnswer::Freed => {
                    let reaching = self.reaching(tenant, grant.bytes, s.account);
                    demand = demand.saturating_sub(grant.bytes - reaching);
                    self.grants.remove(at);
                    report.grants += 1;
                    report.freed += grant.bytes;
                }
                ReclaimAnswer::Deferred => {
                    self.grants[at].deferred = Some(s.account);
                    report.deferred += grant.bytes;
                }
                ReclaimAnswer::Busy => {
                    let until = self.now_ns + self.cooldown_ns;
                    let grant = &mut self.grants[at];
                    grant.keep_until_ns = grant.keep_until_ns.max(until);
                }
            }
        }
        report
    }

    fn shortage(&self, account: Account, goal: Goal, ask: (usize, usize, u64)) -> Shortage {
        let kinds = match goal {
            Goal::Grants(_) => [0, 1, 2, 3].map(|kind| kind == ask.1),
            _ => [true; 4],
        };
        Shortage { account, goal, requester: Some(ask), kinds, priority_first: false }
    }

    /// Evicts for a refusal; says whether asking again makes sense.
    fn make_room(&mut self, ask: (usize, usize, u64), no: No, script: Script) -> bool {
        let (account, goal) = match no {
            No::Full { account, asked, .. } if asked <= self.limit(account) => {
                let limit = self.limit(account);
                (account, Goal::Demand((asked + self.headroom).min(limit)))
            }
            No::Count => match self.tenants[ask.0].limits.count {
                Some((_, most)) if most > 0 => {
                    let above = self.count(ask.0, ask.1) + 1 - u64::from(most);
                    (Account::Tenant(ask.0), Goal::Grants(above))
                }
                _ => return false,
            },
            _ => return false,
        };
        if self.return_expired() > 0 {
            return true;
        }
        if let Goal::Grants(grants) = goal {
            let s = self.shortage(account, goal, ask);
            let kinds = self.kinds(&s, ask.0);
            let goes =
                |g: &&Grant| g.tenant == ask.0 && kinds.contains(&g.kind) && g.may_go(self.now_ns);
            let going = self.grants.iter().filter(goes).count() as u64;
            if going + self.promised_grants(ask.0, ask.1) < grants {
                return false;
            }
        }
        let all = self.refusals(ask.0, ask.2);
        let goes =
            |account, bytes| self.suffices(&self.shortage(account, Goal::Bytes(bytes), ask), bytes);
        let hopeless = all.iter().any(|full| {
            let mut instead = full.instead.iter();
            !goes(full.account, full.short) && !instead.any(|&(account, b)| goes(account, b))
        });
        if hopeless {
            return false;
        }
        self.relieve(&self.shortage(account, goal, ask), script).grants > 0
    }
}

/// The calls.
impl Model {
    pub fn return_expired(&mut self) -> u32 {
        let before = self.grants.len();
        let now_ns = self.now_ns;
        self.grants.retain(|g| !(g.uncommitted && g.is_expired(now_ns)));
        (before - self.grants.len()) as u32
    }

    fn tick(&mut self, tenant: usize) -> u64 {
        self.tenants[tenant].clock += 1;
        self.tenants[tenant].clock
    }

    fn denied(&mut self, tenant: usize, no: No) -> Answer {
        let own = self.tenants[tenant].index;
        match no {
            No::Closed => Answer::Error("gone"),
            No::Count => Answer::Denied(DenialReason::GrantCount, own, 0),
            No::Full { account: Account::Pool, short, .. } => {
                if self.pool_pressure {
                    self.evaluate();
                }
                Answer::Denied(DenialReason::Capacity, 0, short)
            }
            No::Full { account: Account::Group(group), short, .. } => {
                Answer::Denied(DenialReason::GroupLimit, self.groups[group].index, short)
            }
            No::Full { short, .. } => Answer::Denied(DenialReason::TenantLimit, own, short),
        }
    }

    fn publish(&mut self, mut grant: Grant) {
        grant.touched = self.tick(grant.tenant);
        self.grants.push(grant);
    }

    pub fn request(&mut self, grant: Grant, evicting: bool, script: Script) -> Answer {
        let ask = (grant.tenant, grant.kind, grant.bytes);
        let mut decided = self.decide(ask.0, ask.1, ask.2);
        for _ in 0..ROUNDS_MAX {
            match decided {
                Err(no) if evicting && self.make_room(ask, no, script) => {
                    decided = self.decide(ask.0, ask.1, ask.2);
                }
                _ => break,
            }
        }
        match decided {
            Ok(()) => {
                self.publish(grant);
                Answer::Ok(false)
            }
            Err(no) => self.denied(ask.0, no),
        }
    }

    /// All or nothing, without evictions.
    pub fn request_all(&mut self, grants: Vec<Grant>) -> Answer {
        for (at, grant) in grants.iter().enumerate() {
            let Tenant { open, limits, .. } = &self.tenants[grant.tenant];
            let alike = |other: &&Grant| (other.tenant, other.kind) == (grant.tenant, grant.kind);
            if !open {
                return Answer::Error("gone");
            }
            let first = !grants[..at].iter().any(|other| alike(&other));
            let all =
                self.count(grant.tenant, grant.kind) + grants.iter().filter(alike).count() as u64;
            let most = limits.count.filter(|(kind, _)| *kind == grant.kind);
            if first && most.is_some_and(|(_, most)| all > u64::from(most)) {
                return self.denied(grant.tenant, No::Count);
            }
        }
        let before = self.grants.clone();
        for (at, grant) in grants.iter().enumerate() {
            if grants[..at].iter().any(|other| other.tenant == grant.tenant) {
                continue;
            }
            let same = grants.iter().filter(|other| other.tenant == grant.tenant);
            if let Err(no) = self.fits(grant.tenant, same.clone().map(|g| g.bytes).sum()) {
                self.grants = before;
                return self.denied(grant.tenant, no);
            }
            self.grants.extend(same.cloned());
        }
        self.grants = before;
        grants.into_iter().for_each(|grant| self.publish(grant));
        Answer::Ok(false)
    }

    fn at(&self, cookie: u64) -> usize {
        self.grants.iter().position(|g| g.cookie == cookie).unwrap()
    }

    pub fn grow(&mut self, cookie: u64, by: u64, evicting: bool, script: Script) -> Answer {
        let grant = &self.grants[self.at(cookie)];
        if grant.deferred.is_some() {
            return Answer::Error("evicted");
        }
        let (ask, kept) = ((grant.tenant, grant.kind, by), grant.keep_until_ns);
        let mut decided = self.fits(ask.0, by);
        for _ in 0..ROUNDS_MAX {
            let Err(no) = decided else { break };
            if !evicting {
                break;
            }
            let at = self.at(cookie);
            self.grants[at].keep_until_ns = u64::MAX;
            let again = self.make_room(ask, no, script);
            let Some(at) = self.grants.iter().position(|g| g.cookie == cookie) else {
                // It was a reservation that had run out.
                return Answer::Error("evicted");
            };
            self.grants[at].keep_until_ns = kept;
            if !again {
                break;
            }
            decided = self.fits(ask.0, by);
        }
        match decided {
            Ok(()) => {
                let at = self.at(cookie);
                self.grants[at].bytes += by;
                Answer::Ok(false)
            }
            Err(no) => self.denied(ask.0, no),
        }
    }

    pub fn shrink(&mut self, cookie: u64, by: u64) -> Answer {
        let at = self.at(cookie);
        let grant = &mut self.grants[at];
        match grant.deferred {
            Some(_) => return Answer::Error("evicted"),
            None if by >= grant.bytes => return Answer::Error("shrink too much"),
            None => grant.bytes -= by,
        }
        Answer::Ok(false)
    }

    pub fn release(&mut self, cookie: u64) -> Answer {
        let at = self.at(cookie);
        Answer::Ok(self.grants.remove(at).deferred.is_some())
    }

    pub fn touch(&mut self, cookie: u64) -> Answer {
        let at = self.at(cookie);
        self.grants[at].touched = self.tick(self.grants[at].tenant);
        Answer::Ok(false)
    }

    pub fn pin(&mut self, cookie: u64, pinned: bool) -> Answer {
        let at = self.at(cookie);
        if self.grants[at].deferred.is_some() {
            return Answer::Error("evicted");
        }
        self.grants[at].pinned = pinned;
        Answer::Ok(false)
    }

    pub fn keep_alive(&mut self, cookie: u64, for_ns: u64) -> Answer {
        let at = self.at(cookie);
        if self.grants[at].deferred.is_some() {
            return Answer::Error("evicted");
        }
        self.grants[at].keep_until_ns = self.now_ns + for_ns;
        Answer::Ok(false)
    }

    pub fn commit(&mut self, cookie: u64) -> Answer {
        let (at, now_ns) = (self.at(cookie), self.now_ns);
        let grant = &mut self.grants[at];
        if grant.deferred.is_some() || grant.uncommitted && grant.is_expired(now_ns) {
            return Answer::Error("expired");
        }
        if !grant.uncommitted {
            return Answer::Error("not reserved");
        }
        (grant.uncommitted, grant.expires_ns) = (false, 0);
        Answer::Ok(false)
    }

    pub fn decline(&mut self, cookie: u64) -> Answer {
        let at = self.at(cookie);
        let until = self.now_ns + self.cooldown_ns;
        let grant = &mut self.grants[at];
        if grant.deferred.take().is_none() {
            return Answer::Error("stale");
        }
        grant.keep_until_ns = grant.keep_until_ns.max(until);
        Answer::Ok(false)
    }

    /// Whether `account`, or a new child of `parent`, can promise `guarantee`.
    fn can_promise(&self, parent: Account, old: u64, used: u64, new: u64) -> Result<(), Answer> {
        let bound = match parent {
            Account::Group(group) => self.groups[group].guarantee,
            _ => self.capacity,
        };
        if new > old && self.promised(parent) - old + new > bound {
            return Err(Answer::Error("guarantees exceed"));
        }
        let mut more = used.max(new).saturating_sub(used.max(old));
        let mut at = Some(parent);
        while let Some(account) = at.filter(|_| more > 0) {
            let (used, guarantee) = (self.needs(account), self.guarantee(account));
            if used + more > self.limit(account) {
                return Err(Answer::Error("guarantee unavailable"));
            }
            more = (used + more).max(guarantee) - used.max(guarantee);
            at = self.parent(account);
        }
        Ok(())
    }

    fn promised(&self, parent: Account) -> u64 {
        self.children(parent).iter().map(|&child| self.guarantee(child)).sum()
    }

    pub fn register(&mut self, parent: usize, limits: &Limits, index: u32) -> Answer {
        let above = if parent == 3 { Account::Pool } else { Account::Group(parent) };
        if let Err(answer) = self.can_promise(above, 0, 0, limits.guarantee) {
            return answer;
        }
        self.tenants.push(Tenant { parent, limits: limits.clone(), index, open: true, clock: 0 });
        Answer::Ok(false)
    }

    pub fn set_tenant(&mut self, tenant: usize, limits: &Limits) -> Answer {
        if !self.tenants[tenant].open {
            return Answer::Error("gone");
        }
        let account = Account::Tenant(tenant);
        let (parent, used) = (self.parent(account).unwrap(), self.used(tenant));
        let old = self.guarantee(account);
        if let Err(answer) = self.can_promise(parent, old, used, limits.guarantee) {
            return answer;
        }
        self.tenants[tenant].limits = limits.clone();
        Answer::Ok(false)
    }

    pub fn set_group(&mut self, group: usize, guarantee: u64, limit: Option<u64>) -> Answer {
        let account = Account::Group(group);
        if guarantee < self.promised(account) {
            return Answer::Error("guarantees exceed");
        }
        let (parent, used) = (self.parent(account).unwrap(), self.needs(account));
        let old = self.guarantee(account);
        if let Err(answer) = self.can_promise(parent, old, used, guarantee) {
            return answer;
        }
        (self.groups[group].guarantee, self.groups[group].limit) = (guarantee, limit);
        Answer::Ok(false)
    }

    pub fn set_capacity(&mut self, capacity: u64) -> Answer {
        if self.promised(Account::Pool) > capacity {
            return Answer::Error("guarantees exceed");
        }
        self.capacity = capacity;
        Answer::Ok(false)
    }

    /// 0 if idle, 1 drain, 2 force.
    pub fn unregister(&mut self, tenant: usize, how: u8) -> Answer {
        if !self.tenants[tenant].open {
            return Answer::Error("gone");
        }
        if how == 0 && self.used(tenant) > 0 {
            return Answer::Error("grants live");
        }
        self.tenants[tenant].open = false;
        if how == 2 {
            self.grants.retain(|g| g.tenant != tenant);
        }
        Answer::Ok(false)
    }

    pub fn report(&mut self, level: u8) {
        self.machine = level;
        self.evaluate();
    }

    fn evaluate(&mut self) {
        if self.pool_pressure {
            let live: u64 = self.grants.iter().map(|g| g.bytes).sum();
            let reaches = |percent: u64| live * 100 >= self.capacity * percent;
            let critical = reaches(if self.fill == 2 { 90 } else { 95 });
            let high = reaches(if self.fill >= 1 { 85 } else { 90 });
            self.fill = if critical { 2 } else { u8::from(high) };
        }
        let level = self.fill.max(self.machine);
        if level != self.level && level == 2 {
            self.share_out();
        }
        self.level = level;
    }

    fn share_out(&mut self) {
        let all = 0..self.tenants.len();
        let guarantee = |t: usize| self.guarantee(Account::Tenant(t));
        let wants = |t: usize| {
            let least = self.path(t).iter().map(|&at| self.highest_limit(at)).min().unwrap();
            if self.used(t) == 0 { 0 } else { least.max(self.used(t)) }
        };
        let promised: u64 = all.clone().map(guarantee).sum();
        let spare = self.capacity.saturating_sub(promised);
        let fits = |water: &u64| {
            let takes = |t: usize| {
                let most = self.tenants[t].limits.weight() * water;
                wants(t).saturating_sub(guarantee(t)).min(most)
            };
            all.clone().map(takes).sum::<u64>() <= spare
        };
        self.water = (0..=self.capacity).rev().find(fits).unwrap_or(0);
    }

    pub fn balance(&mut self, script: Script) -> Report {
        let expired = self.return_expired();
        let live: u64 = self.grants.iter().map(|g| g.bytes).sum();
        self.evaluate();
        let level = self.level;
        self.share_out();
        let target = (live * [0, 20, 40][usize::from(level)]).div_ceil(100);
        let leaving: u64 = (0..self.tenants.len()).map(|t| self.freeing(Account::Tenant(t))).sum();
        let mut sum = Report { level, expired, ..Report::default() };
        let mut shortage = Shortage {
            account: Account::Pool,
            goal: Goal::Bytes(target.saturating_sub(leaving)),
            requester: None,
            kinds: [false, false, true, true],
            priority_first: false,
        };
        if level == 2 {
            (shortage.kinds, shortage.priority_first) = ([true; 4], true);
        }
        if target > leaving {
            sum = self.relieve_more(sum, &shortage, script);
        }
        let mut tenants: Vec<usize> = (0..self.tenants.len()).collect();
        tenants.retain(|&t| self.tenants[t].open);
        tenants.sort_by_key(|&t| self.tenants[t].index);
        let mut groups = [0, 1, 2];
        groups.sort_by_key(|&group| self.groups[group].index);
        let accounts = tenants.into_iter().map(Account::Tenant).chain([Account::Pool]);
        for account in accounts.chain(groups.map(Account::Group)) {
            let left = self.needs(account).saturating_sub(self.freeing(account));
            let above = left.saturating_sub(self.highest_limit(account));
            if above > 0 {
                let (goal, kinds) = (Goal::Bytes(above), [true; 4]);
                let all = Shortage { account, goal, kinds, priority_first: false, ..shortage };
                sum = self.relieve_more(sum, &all, script);
            }
        }
        if sum.grants > 0 {
            self.evaluate();
        }
        sum
    }

    fn relieve_more(&mut self, sum: Report, shortage: &Shortage, script: Script) -> Report {
        let more = self.relieve(shortage, script);
        Report {
            grants: sum.grants + more.grants,
            freed: sum.freed + more.freed,
            deferred: sum.deferred + more.deferred,
            ..sum
        }
    }
}
