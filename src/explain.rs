//! Why a request would be refused, and what would have to happen: as data, changing nothing.

use crate::circle::CircularWait;
use crate::config::AllocationType;
use crate::core::account::{DEPTH_MAX, ROOT};
use crate::core::admission::Ask;
use crate::core::grants::flag;
use crate::core::handle::{GrantId, TenantHandle};
use crate::core::order::{ALL_TYPES, Ahead, Goal, Order, Requester, Shortage, Sums, goes_for_own};
use crate::core::queue::Pick;
use crate::core::sync::lock;
use crate::core::word::Owner;
use crate::error::{AccountName, DenialReason, Error, Pins};
use crate::governor::{Governor, PINS_LOOK_MAX, REQUEST_ROUNDS_MAX};
use crate::registration::Admin;
use crate::request::Request;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::iter::Peekable;

/// Holders named in an explanation.
const HOLDERS_MAX: usize = 5;
/// Victims and pins listed one by one; totals count all.
const LISTED_MAX: usize = 16;
/// Victims a plan may have.
const PLAN_MAX: usize = 65_536;

/// What would decide a request now.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Explanation {
    /// Who asks.
    pub tenant: String,
    /// For what.
    pub allocation_type: AllocationType,
    /// Bytes asked for.
    pub asked_bytes: u64,
    /// The check that refuses; none: the request would be granted at once.
    pub reason: Option<DenialReason>,
    /// The account that refuses.
    pub account: AccountName,
    /// What people call that account.
    pub account_name: String,
    /// Bytes missing there.
    pub short_bytes: u64,
    /// Bytes in use there, guarantees that are not used included.
    pub used_bytes: u64,
    /// Its limit in force: bytes, or grants for [`DenialReason::GrantCount`].
    pub limit: u64,
    /// The largest holders below that account, largest first.
    pub holders: Vec<Holder>,
    /// What `request` would evict, in the order of eviction.
    pub evictions: Plan,
    /// Grants that could have made room but are pinned or kept alive.
    pub pins: Pins,
    /// The first of them.
    pub pinned: Vec<GrantId>,
    /// Whether the same request can succeed later without a change of configuration.
    pub waiting_can_help: bool,
    /// Other requests of the tenant wait in a circle with other tenants.
    pub circle: Option<CircularWait>,
}

/// A tenant that holds memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Holder {
    /// The tenant.
    pub tenant: TenantHandle,
    /// Its name.
    pub name: String,
    /// Bytes it holds.
    pub bytes: u64,
    /// Percent of what is held below the account that refuses.
    pub share_percent: f64,
}

/// The smallest set of evictions, in the order the governor follows, that would admit a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Grants that would go.
    pub grants: u32,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes still missing after all of them; 0: the request would be granted. Where bytes are
    /// missing, a request is denied before it evicts anything, unless only the sizes of whole
    /// grants are in the way.
    pub missing_bytes: u64,
    /// The first of them.
    pub victims: Vec<PlannedVictim>,
}

/// A grant that would be evicted.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedVictim {
    /// The grant.
    pub grant: GrantId,
    /// Who holds it.
    pub tenant: String,
    /// What it was requested for.
    pub allocation_type: AllocationType,
    /// Bytes it holds.
    pub bytes: u64,
}

/// A level at which a request is refused.
pub(crate) struct Obstruction {
    pub account: u32,
    pub short: u64,
    pub used: u64,
    pub limit: u64,
    /// Accounts below that would pay for the request out of their guarantee, if so many bytes went
    /// below them.
    pub instead: Vec<(u32, u64)>,
}

impl Obstruction {
    fn new(account: u32, short: u64, used: u64, limit: u64) -> Self {
        Self { account, short, used, limit, instead: Vec::new() }
    }
}

/// Bytes that count as gone, by tenant: reservations that have run out, then what a plan evicts.
pub(crate) type Gone = HashMap<u32, u64>;

impl Governor {
    /// Says what would decide `request` now: the account and check that refuses, bytes short, the
    /// largest holders, the smallest set of evictions that would admit it or how far it falls
    /// short, pins in the way, and whether waiting can help. Changes nothing; neither the limit of
    /// the rate nor the table of grants is consulted. Allocates; steps grow with accounts and
    /// grants. Exact at rest.
    ///
    /// # Errors
    ///
    /// As [`Governor::request`] for misuse.
    pub fn explain(&self, request: &Request) -> Result<Explanation, Error> {
        let mut ask = self.ask(request)?;
        ask.now_ns = self.clock().now_ns();
        self.check_registered(request.tenant)?;
        let expired = self.expired(ask.now_ns);
        let mut gone = Gone::new();
        for (owner, bytes) in &expired {
            *gone.entry(owner.account()).or_default() += bytes;
        }
        let first = self.obstructions(&ask, &gone).into_iter().next();
        let alike = expired.iter().filter(|(owner, _)| *owner == ask.owner()).count() as u64;
        let count = self.count_in_the_way(&ask, alike);
        let (reason, obstruction) = match (count, first) {
            (Some(o), _) => (Some(DenialReason::GrantCount), o),
            (None, Some(o)) => (Some(self.reason_of(o.account, ask.account)), o),
            (None, None) => {
                let (account, limit) = (ROOT, self.core.accounts.limit(ROOT));
                (None, Obstruction::new(account, 0, self.live_bytes(), limit))
            }
        };
        let Obstruction { account, short, used, limit, .. } = obstruction;
        let pinned = match reason {
            Some(_) => self.pinned(&ask, account, usize::MAX),
            None => Vec::new(),
        };
        let first = pinned.first().map(|p| p.0);
        let bytes = pinned.iter().map(|p| p.1).sum();
        let counted = reason == Some(DenialReason::GrantCount);
        let holders = {
            let admin = lock(&self.admin);
            self.holders(&admin, account)
        };
        let mut explained = Explanation {
            tenant: String::new(),
            allocation_type: AllocationType::ALL[usize::from(ask.kind)],
            asked_bytes: ask.bytes,
            reason,
            account: self.account_name(account),
            account_name: self.name_of(account),
            short_bytes: short,
            used_bytes: used,
            limit,
            holders,
            evictions: self.plan(&ask, self.count_in_the_way(&ask, alike), gone),
            pins: Pins { grants: pinned.len() as u32, bytes, first },
            pinned: pinned.iter().map(|p| p.0).take(LISTED_MAX).collect(),
            waiting_can_help: reason.is_some()
                && (!counted || limit > 0)
                && self.core.can_ever_fit(&ask),
            circle: self.circle_of(request.tenant),
        };
        // At last: while the tenant is registered, what was said of its account and of those above
        // is about nobody else.
        explained.tenant = self.name(AccountName::Tenant(request.tenant))?;
        Ok(explained)
    }

    /// The limit on the number of grants, if it refuses; so many of them have run out.
    fn count_in_the_way(&self, ask: &Ask, expired: u64) -> Option<Obstruction> {
        let queue = &self.core.tenant(ask.account).queues[usize::from(ask.kind)];
        let used = queue.counted().saturating_sub(expired);
        let limit = queue.grants_max().map(u64::from)?;
        (used >= limit).then(|| Obstruction::new(ask.account, 0, used, limit))
    }

    /// Every level that refuses, from the tenant up, and what must go below each. Everything idle
    /// counts as free: exactly what a request finds once it has collected it.
    pub(crate) fn obstructions(&self, ask: &Ask, gone: &Gone) -> Vec<Obstruction> {
        let accounts = &self.core.accounts;
        let needs = self.needs(gone);
        let (mut found, mut instead) = (Vec::new(), Vec::new());
        let (mut account, mut more) = (ask.account, ask.bytes);
        let mut used = self.used_without(account, gone);
        while more > 0 {
            let (limit, guarantee) = (accounts.limit(account), accounts.guarantee(account));
            let short = (used + more).saturating_sub(limit);
            if short > 0 {
                let instead = instead.clone();
                found.push(Obstruction { account, short, used, limit, instead });
            }
            if guarantee > 0 {
                instead.push((account, (used + more).saturating_sub(guarantee)));
            }
            if account == ROOT {
                break;
            }
            more = (used + more).max(guarantee) - used.max(guarantee);
            account = accounts.parent(account);
            used = needs.get(&account).copied().unwrap_or(0);
        }
        found
    }

    fn used_without(&self, tenant: u32, gone: &Gone) -> u64 {
        let gone = gone.get(&tenant).copied().unwrap_or(0);
        self.core.accounts.used(tenant).saturating_sub(gone)
    }

    /// What each group and the root must pay for: the sum of max(guarantee, use) of its children.
    fn needs(&self, gone: &Gone) -> HashMap<u32, u64> {
        let accounts = &self.core.accounts;
        let mut needs: HashMap<u32, u64> = HashMap::new();
        for tenant in accounts.tenants() {
            let need = self.used_without(tenant, gone).max(accounts.guarantee(tenant));
            *needs.entry(accounts.parent(tenant)).or_default() += need;
        }
        let mut groups: Vec<u32> = accounts.groups().collect();
        // Each depth is read once: a slot may get another group meanwhile, and a sort that sees two
        // depths of one panics.
        groups.sort_by_cached_key(|&g| std::cmp::Reverse(accounts.depth(g)));
        for group in groups {
            let below = needs.get(&group).copied().unwrap_or(0);
            let need = below.max(accounts.guarantee(group));
            *needs.entry(accounts.parent(group)).or_default() += need;
        }
        needs
    }

    pub(crate) fn shortage(&self, ask: &Ask, account: u32, goal: Goal) -> Shortage {
        let keep_until_ns = ask.now_ns.saturating_add(self.config.busy_cooldown_ns.max(1));
        Shortage {
            account,
            goal,
            requester: Some(Requester {
                account: ask.account,
                kind: ask.kind,
                bytes: ask.bytes,
                growing: None,
            }),
            types: if let Goal::Grants(_) = goal { 1 << ask.kind } else { ALL_TYPES },
            order: Order::TypeFirst,
            victims_max: self.config.victims_max,
            now_ns: ask.now_ns,
            keep_until_ns,
        }
    }

    /// Plays the evictions of a request through without touching anything.
    fn plan(&self, ask: &Ask, count: Option<Obstruction>, gone: Gone) -> Plan {
        let mut draft = Draft::new(self.needs(&gone), gone);
        if let Some(Obstruction { used, limit, .. }) = count {
            let grants = used + 1 - limit;
            let shortage = self.shortage(ask, ask.account, Goal::Grants(1));
            let promised = self.core.promised_grants(ask.owner());
            for _ in promised..grants {
                if limit == 0 || !self.plan_for(ask, &shortage, 1, &mut draft) {
                    draft.plan.missing_bytes = ask.bytes;
                }
            }
            if promised > 0 || draft.plan.missing_bytes > 0 {
                draft.plan.missing_bytes = ask.bytes;
                return draft.plan;
            }
        }
        // In rounds, like a request: what went for one level may bring others into play.
        for _ in 0..REQUEST_ROUNDS_MAX {
            let Some(o) = self.obstructions(ask, &draft.gone).into_iter().next() else { break };
            let asked = o.short + o.limit - o.used;
            let demand = self.with_headroom(asked, o.limit);
            let coming = self.core.freeing(o.account).bytes();
            let wanted = (o.used + demand).saturating_sub(o.limit + coming);
            let shortage = self.shortage(ask, o.account, Goal::Demand(demand));
            if !self.plan_for(ask, &shortage, wanted, &mut draft) {
                break;
            }
        }
        let left = self.obstructions(ask, &draft.gone).into_iter().next();
        draft.plan.missing_bytes = left.map_or(0, |left| left.short);
        draft.plan
    }

    /// Plans evictions for one shortage until they free `wanted` bytes, or the request no longer
    /// needs any from there; says whether there were any.
    fn plan_for(&self, ask: &Ask, shortage: &Shortage, wanted: u64, draft: &mut Draft) -> bool {
        let accounts = &self.core.accounts;
        let (mut after, mut ahead, mut freed) = (None, Ahead::default(), 0);
        let before = draft.plan.grants;
        let mut demand = match shortage.goal {
            Goal::Demand(bytes) => bytes,
            _ => 1,
        };
        let mut waiting: HashMap<(u32, u8), Peekable<std::vec::IntoIter<Pick>>> = HashMap::new();
        while freed < wanted && demand > 0 && (draft.plan.grants as usize) < PLAN_MAX {
            let leaving = |account| {
                let gone = draft.gone.get(&account).copied().unwrap_or(0);
                gone.saturating_add(self.core.freeing(account).bytes())
            };
            let used = |account| match accounts.is_inner(account) {
                true => draft.used.get(&account).copied().unwrap_or(0),
                false => self.core.in_grants(account),
            };
            let sums = Sums { used: &used, leaving: &leaving };
            let Some(rank) = self.core.next_queue(shortage, after, sums, &mut ahead) else { break };
            let owner = Owner::new(rank.account, accounts.generation(rank.account), rank.kind);
            let queue = waiting.entry((rank.account, rank.kind)).or_insert_with(|| {
                let picks = self.core.picks(owner, ask.now_ns);
                // Reservations that have run out are gone before anything is evicted.
                let counts = |slot| self.core.grants.flags(slot) & flag::UNCOMMITTED == 0;
                let fresh = |p: &Pick| !draft.slots.contains(&p.slot) && counts(p.slot);
                let fresh = picks.into_iter().filter(fresh);
                fresh.collect::<Vec<_>>().into_iter().peekable()
            });
            let next = queue.next_if(|pick| {
                self.core.may_lose(shortage, rank.account, pick.word.bytes(), sums)
            });
            let Some(pick) = next else {
                after = Some(rank);
                continue;
            };
            ahead = Ahead::default();
            freed += pick.word.bytes();
            // What a guarantee holds below the account serves the request there.
            demand =
                demand.saturating_sub(pick.word.bytes() - self.draft(draft, owner, pick, shortage));
        }
        draft.plan.grants > before
    }

    /// Enters a victim into a plan; answers the bytes that reach the account that is short.
    fn draft(&self, draft: &mut Draft, owner: Owner, pick: Pick, shortage: &Shortage) -> u64 {
        let accounts = &self.core.accounts;
        let (tenant, bytes) = (owner.account(), pick.word.bytes());
        let (mut at, mut rising, mut reached) = (tenant, bytes, 0);
        for _ in 0..=DEPTH_MAX {
            let used = match at == tenant {
                true => self.used_without(tenant, &draft.gone),
                false => draft.now.get(&at).copied().unwrap_or(0),
            };
            if at == shortage.account {
                reached = rising;
            }
            // Others go on meanwhile: a victim may hold more than its account does by now.
            let left = used.saturating_sub(rising);
            draft.now.insert(at, left);
            *draft.gone.entry(at).or_default() += bytes;
            if at == ROOT {
                break;
            }
            let guarantee = accounts.guarantee(at);
            rising = used.max(guarantee) - left.max(guarantee);
            at = accounts.parent(at);
        }
        draft.slots.insert(pick.slot);
        let plan = &mut draft.plan;
        plan.grants += 1;
        plan.bytes += bytes;
        if plan.victims.len() < LISTED_MAX {
            let generation = self.core.grants.generation(pick.slot);
            plan.victims.push(PlannedVictim {
                grant: GrantId::new(self.tag, generation, pick.slot),
                tenant: self.name_of(tenant),
                allocation_type: AllocationType::ALL[usize::from(owner.allocation_type())],
                bytes,
            });
        }
        reached
    }

    /// The largest holders at or below an account.
    pub(crate) fn holders(&self, admin: &Admin, account: u32) -> Vec<Holder> {
        let accounts = &self.core.accounts;
        let below = |&index: &u32| {
            !accounts.is_inner(index) && (index == account || accounts.is_below(index, account))
        };
        let holding = admin.nodes.keys().copied().filter(below);
        let mut held: Vec<(u32, u64)> =
            holding.map(|index| (index, accounts.used(index))).filter(|h| h.1 > 0).collect();
        let sum: u64 = held.iter().map(|&(_, bytes)| bytes).sum();
        held.sort_by_key(|&(_, bytes)| std::cmp::Reverse(bytes));
        let largest = held.into_iter().take(HOLDERS_MAX);
        largest
            .map(|(index, bytes)| Holder {
                tenant: TenantHandle::new(self.tag, admin.nodes[&index].generation, index),
                name: admin.nodes[&index].name().to_string(),
                bytes,
                share_percent: bytes as f64 * 100.0 / sum as f64,
            })
            .collect()
    }

    /// What whoever has the slot now is called.
    pub(crate) fn name_of(&self, account: u32) -> String {
        lock(&self.admin).name_of(account)
    }

    /// Pins met on a bounded look, for a denial.
    pub(crate) fn pins_in_the_way(&self, account: u32, ask: &Ask) -> Pins {
        let pinned = self.pinned(ask, account, PINS_LOOK_MAX);
        Pins {
            grants: pinned.len() as u32,
            bytes: pinned.iter().map(|p| p.1).sum(),
            first: pinned.first().map(|p| p.0),
        }
    }

    /// Grants that a shortage of the account could ask for, were they not pinned or kept alive.
    fn pinned(&self, ask: &Ask, account: u32, look_max: usize) -> Vec<(GrantId, u64)> {
        let own = |t: u32| t == ask.account;
        let lower = |t: u32| self.traits(t).priority < self.traits(ask.account).priority;
        let below = self.core.tenants_below(account);
        let tenants: Vec<u32> = below.filter(|&t| own(t) || lower(t)).collect();
        let slots = tenants.iter().flat_map(|&t| {
            self.slots_of(t).filter(move |(_, kind)| !own(t) || goes_for_own(*kind as u8, ask.kind))
        });
        slots
            .take(look_max)
            .filter_map(|(slot, _)| {
                let fields = self.core.grants.fields(slot);
                let word = self.core.grants.word(slot);
                let held = fields.flags & flag::PINNED != 0 || fields.keep_until_ns > ask.now_ns;
                let id = GrantId::new(self.tag, self.core.grants.generation(slot), slot);
                (held && word.special()).then_some((id, word.bytes()))
            })
            .collect()
    }
}

/// A plan as far as it has got.
struct Draft {
    plan: Plan,
    /// What each group and the root must pay for before anything goes.
    used: HashMap<u32, u64>,
    /// And after what is planned.
    now: HashMap<u32, u64>,
    gone: Gone,
    slots: HashSet<u32>,
}

impl Draft {
    fn new(used: HashMap<u32, u64>, gone: Gone) -> Self {
        Self { plan: Plan::default(), now: used.clone(), used, gone, slots: HashSet::new() }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.allocation_type.name();
        let asked = Size(self.asked_bytes);
        let Some(reason) = self.reason else {
            write!(f, "{} asks {asked} for {kind}: it would be granted", self.tenant)?;
            return self.circle.iter().try_for_each(|circle| write!(f, "\n  {circle}"));
        };
        writeln!(f, "{} asks {asked} for {kind}: refused by the {reason}", self.tenant)?;
        let account = &self.account_name;
        if reason == DenialReason::GrantCount {
            writeln!(f, "  {account} holds {} of {} grants", self.used_bytes, self.limit)?;
        } else {
            let (used, limit, short) =
                (Size(self.used_bytes), Size(self.limit), Size(self.short_bytes));
            writeln!(f, "  {account}: {used} of {limit} in use, {short} short")?;
        }
        for holder in &self.holders {
            let (name, bytes) = (&holder.name, Size(holder.bytes));
            writeln!(f, "  {name:<12} holds {bytes} ({:.0} %)", holder.share_percent)?;
        }
        let plan = &self.evictions;
        let (grants, bytes) = (Grants(plan.grants), Size(plan.bytes));
        match plan.missing_bytes {
            _ if plan.grants == 0 => writeln!(f, "  nothing may be evicted for it")?,
            0 => writeln!(f, "  evicting {grants} ({bytes}) would admit it")?,
            missing => {
                let missing = Size(missing);
                writeln!(f, "  evicting {grants} ({bytes}) leaves {missing} missing")?;
            }
        }
        if self.pins.grants > 0 {
            let (grants, bytes) = (self.pins.grants, Size(self.pins.bytes));
            writeln!(f, "  {grants} pinned grants hold {bytes}")?;
        }
        f.write_str(match self.waiting_can_help {
            true => "  waiting can help",
            false => "  waiting cannot help: it exceeds the limit itself",
        })?;
        self.circle.iter().try_for_each(|circle| write!(f, "\n  {circle}"))
    }
}

/// A number of grants for people.
struct Grants(u32);

impl fmt::Display for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = if self.0 == 1 { "" } else { "s" };
        write!(f, "{} grant{s}", self.0)
    }
}

/// Bytes for people: three digits and a binary unit.
pub(crate) struct Size(pub u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = ["B", "KiB", "MiB", "GiB", "TiB"];
        let unit = (self.0.max(1).ilog2() / 10).min(4);
        let value = self.0 as f64 / (1u64 << (10 * unit)) as f64;
        let digits = if unit == 0 || value >= 100.0 { 0 } else { 1 };
        write!(f, "{value:.digits$} {}", units[unit as usize])
    }
}
