//! Why a request would be refused, and what would have to happen: as data, changing nothing.

use crate::config::AllocationType;
use crate::core::account::ROOT;
use crate::core::admission::Ask;
use crate::core::evict::{ALL_TYPES, Barren, Goal, Order, Requester, Shortage, goes_for_own};
use crate::core::grants::flag;
use crate::core::handle::{GrantId, TenantHandle};
use crate::core::queue::Pick;
use crate::core::sync::lock;
use crate::core::word::Owner;
use crate::error::{AccountName, DenialReason, Error, Pins};
use crate::governor::{Governor, PINS_LOOK_MAX};
use crate::request::Request;
use std::collections::HashMap;
use std::fmt;

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
    /// Grants that could have made room but are pinned, kept alive, or of a type that stays.
    pub pins: Pins,
    /// The first of them.
    pub pinned: Vec<GrantId>,
    /// Whether the same request can succeed later without a change of configuration.
    pub waiting_can_help: bool,
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
    /// Bytes still missing after all of them; 0: the request would be granted.
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

struct Obstruction {
    account: u32,
    short: u64,
    used: u64,
    limit: u64,
}

impl Governor {
    /// Says what would decide `request` now: the account and check that refuses, bytes short, the
    /// largest holders, the smallest set of evictions that would admit it or how far it falls
    /// short, pins in the way, and whether waiting can help. Changes nothing; the rate limit is
    /// not consulted. Allocates; steps grow with accounts and grants. Exact at rest.
    ///
    /// # Errors
    ///
    /// As [`Governor::request`] for misuse.
    pub fn explain(&self, request: &Request) -> Result<Explanation, Error> {
        let mut ask = self.ask(request)?;
        ask.now_ns = self.clock().now_ns();
        self.check_registered(request.tenant)?;
        let queue = &self.core.tenant(ask.account).queues[usize::from(ask.kind)];
        let full = queue.grants_max().filter(|&max| queue.counted() >= u64::from(max));
        let (reason, obstruction) = match (full, self.obstruction(&ask)) {
            (Some(max), _) => {
                let used = queue.counted();
                let limit = u64::from(max);
                let account = ask.account;
                (Some(DenialReason::GrantCount), Obstruction { account, short: 0, used, limit })
            }
            (None, Some(o)) => (Some(self.reason_of(o.account, ask.account)), o),
            (None, None) => {
                let (account, limit) = (ROOT, self.core.accounts.limit(ROOT));
                (None, Obstruction { account, short: 0, used: self.live_bytes(), limit })
            }
        };
        let account = obstruction.account;
        let shortage = self.shortage_of(&ask, &obstruction, reason);
        let pinned = self.pinned(&ask, &shortage, usize::MAX);
        let first = pinned.first().map(|p| p.0);
        let pins =
            Pins { grants: pinned.len() as u32, bytes: pinned.iter().map(|p| p.1).sum(), first };
        Ok(Explanation {
            tenant: self.name_of(ask.account),
            allocation_type: request.allocation_type,
            asked_bytes: ask.bytes,
            reason,
            account: self.account_name(account),
            account_name: self.name_of(account),
            short_bytes: obstruction.short,
            used_bytes: obstruction.used,
            limit: obstruction.limit,
            holders: self.holders(account),
            evictions: if reason.is_some() { self.plan(&ask, &shortage) } else { Plan::default() },
            pins: if reason.is_some() { pins } else { Pins::default() },
            pinned: pinned.iter().map(|p| p.0).take(LISTED_MAX).collect(),
            waiting_can_help: reason
                .is_some_and(|r| r == DenialReason::GrantCount || ask.bytes <= obstruction.limit),
        })
    }

    /// The account that would refuse, with everything idle counted as free: exactly what a
    /// request finds once it has collected it.
    fn obstruction(&self, ask: &Ask) -> Option<Obstruction> {
        let accounts = &self.core.accounts;
        let needs = self.needs();
        let used = accounts.used(ask.account);
        let limit = accounts.limit(ask.account);
        let guarantee = accounts.guarantee(ask.account);
        if used + ask.bytes > limit {
            let short = used + ask.bytes - limit;
            return Some(Obstruction { account: ask.account, short, used, limit });
        }
        let mut more = (used + ask.bytes).max(guarantee) - used.max(guarantee);
        let mut account = ask.account;
        while account != ROOT && more > 0 {
            account = accounts.parent(account);
            let used = needs.get(&account).copied().unwrap_or(0);
            let (limit, guarantee) = (accounts.limit(account), accounts.guarantee(account));
            if used + more > limit {
                return Some(Obstruction { account, short: used + more - limit, used, limit });
            }
            more = (used + more).max(guarantee) - used.max(guarantee);
        }
        None
    }

    /// What each group and the root must pay for: the sum of max(guarantee, use) of its children.
    fn needs(&self) -> HashMap<u32, u64> {
        let accounts = &self.core.accounts;
        let mut needs: HashMap<u32, u64> = HashMap::new();
        for tenant in accounts.tenants() {
            let need = accounts.used(tenant).max(accounts.guarantee(tenant));
            *needs.entry(accounts.parent(tenant)).or_default() += need;
        }
        let mut groups: Vec<u32> = accounts.groups().collect();
        groups.sort_by_key(|&g| std::cmp::Reverse(accounts.depth(g)));
        for group in groups {
            let below = needs.get(&group).copied().unwrap_or(0);
            let need = below.max(accounts.guarantee(group));
            *needs.entry(accounts.parent(group)).or_default() += need;
        }
        needs
    }

    fn shortage_of(
        &self,
        ask: &Ask,
        obstruction: &Obstruction,
        reason: Option<DenialReason>,
    ) -> Shortage {
        let counted = reason == Some(DenialReason::GrantCount);
        let (account, kind) = (ask.account, ask.kind);
        Shortage {
            account: obstruction.account,
            goal: if counted { Goal::OneGrant } else { Goal::Bytes(obstruction.short) },
            requester: Some(Requester { account, kind, bytes: ask.bytes }),
            types: if counted { 1 << ask.kind } else { ALL_TYPES },
            order: Order::TypeFirst,
            victims_max: self.config.victims_max,
            now_ns: ask.now_ns,
            keep_until_ns: 0,
        }
    }

    /// Plays the eviction through without touching anything.
    fn plan(&self, ask: &Ask, shortage: &Shortage) -> Plan {
        let mut plan = Plan::default();
        let mut barren = Barren::default();
        let mut gone: HashMap<u32, u64> = HashMap::new();
        let mut waiting: HashMap<(u32, u8), std::vec::IntoIter<Pick>> = HashMap::new();
        let done = |plan: &Plan| match shortage.goal {
            Goal::OneGrant => plan.grants > 0,
            Goal::Bytes(bytes) | Goal::Demand(bytes) => plan.bytes >= bytes,
        };
        while !done(&plan) && (plan.grants as usize) < PLAN_MAX {
            let left = |tenant: u32| gone.get(&tenant).copied().unwrap_or(0);
            let Some(rank) = self.core.next_queue(shortage, &barren, &left) else { break };
            let generation = self.core.accounts.generation(rank.account);
            let owner = Owner::new(rank.account, generation, rank.kind);
            let queue = waiting
                .entry((rank.account, rank.kind))
                .or_insert_with(|| self.core.picks(owner, ask.now_ns).into_iter());
            let next = queue.next().filter(|pick| {
                let leaving = left(rank.account) + pick.word.bytes();
                self.core.may_lose(shortage, rank.account, leaving)
            });
            let Some(pick) = next else {
                if barren.add(rank.account, rank.kind) {
                    continue;
                }
                break;
            };
            *gone.entry(rank.account).or_default() += pick.word.bytes();
            plan.grants += 1;
            plan.bytes += pick.word.bytes();
            if plan.victims.len() < LISTED_MAX {
                let generation = self.core.grants.generation(pick.slot);
                plan.victims.push(PlannedVictim {
                    grant: GrantId::new(self.tag, generation, pick.slot),
                    tenant: self.name_of(rank.account),
                    allocation_type: AllocationType::ALL[usize::from(rank.kind)],
                    bytes: pick.word.bytes(),
                });
            }
        }
        if let Goal::Bytes(bytes) = shortage.goal {
            plan.missing_bytes = bytes.saturating_sub(plan.bytes);
        }
        plan
    }

    fn holders(&self, account: u32) -> Vec<Holder> {
        let accounts = &self.core.accounts;
        let admin = lock(&self.admin);
        let below = |&(&index, _): &(&u32, _)| {
            !accounts.is_inner(index) && (index == account || accounts.is_below(index, account))
        };
        let mut holders: Vec<Holder> = admin
            .nodes
            .iter()
            .filter(below)
            .map(|(&index, node)| Holder {
                tenant: TenantHandle::new(self.tag, node.generation, index),
                name: node.name().to_string(),
                bytes: accounts.used(index),
                share_percent: 0.0,
            })
            .filter(|holder| holder.bytes > 0)
            .collect();
        let sum: u64 = holders.iter().map(|h| h.bytes).sum();
        holders.sort_by_key(|h| std::cmp::Reverse(h.bytes));
        holders.truncate(HOLDERS_MAX);
        for holder in &mut holders {
            holder.share_percent = holder.bytes as f64 * 100.0 / sum as f64;
        }
        holders
    }

    pub(crate) fn name_of(&self, account: u32) -> String {
        let admin = lock(&self.admin);
        match admin.nodes.get(&account) {
            Some(node) => node.name().to_string(),
            None if account == ROOT => "the pool".to_string(),
            None => "a tenant that is gone".to_string(),
        }
    }

    /// Pins met on a bounded look, for a denial.
    pub(crate) fn pins_in_the_way(&self, account: u32, ask: &Ask) -> Pins {
        let obstruction = Obstruction { account, short: 0, used: 0, limit: 0 };
        let shortage = self.shortage_of(ask, &obstruction, None);
        let pinned = self.pinned(ask, &shortage, PINS_LOOK_MAX);
        Pins {
            grants: pinned.len() as u32,
            bytes: pinned.iter().map(|p| p.1).sum(),
            first: pinned.first().map(|p| p.0),
        }
    }

    /// Grants that the shortage could ask for, were they not pinned or kept alive.
    fn pinned(&self, ask: &Ask, shortage: &Shortage, look_max: usize) -> Vec<(GrantId, u64)> {
        let accounts = &self.core.accounts;
        let account = shortage.account;
        let own = |t: u32| t == ask.account;
        let tenants: Vec<u32> = if accounts.is_inner(account) {
            let below = |&t: &u32| account == ROOT || accounts.is_below(t, account);
            let lower = |t: u32| self.traits(t).priority < self.traits(ask.account).priority;
            accounts.tenants().filter(below).filter(|&t| own(t) || lower(t)).collect()
        } else {
            vec![account]
        };
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

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.allocation_type.name();
        let asked = Size(self.asked_bytes);
        let Some(reason) = self.reason else {
            return write!(f, "{} asks {asked} for {kind}: it would be granted", self.tenant);
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
        let (grants, bytes) = (plan.grants, Size(plan.bytes));
        match plan.missing_bytes {
            _ if grants == 0 => writeln!(f, "  nothing may be evicted for it")?,
            0 => writeln!(f, "  evicting {grants} grants ({bytes}) would admit it")?,
            missing => {
                let missing = Size(missing);
                writeln!(f, "  evicting {grants} grants ({bytes}) leaves {missing} missing")?;
            }
        }
        if self.pins.grants > 0 {
            let (grants, bytes) = (self.pins.grants, Size(self.pins.bytes));
            writeln!(f, "  {grants} pinned grants hold {bytes}")?;
        }
        f.write_str(match self.waiting_can_help {
            true => "  waiting can help",
            false => "  waiting cannot help: it exceeds the limit itself",
        })
    }
}

/// Bytes for people: three digits and a binary unit.
struct Size(u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = ["B", "KiB", "MiB", "GiB", "TiB"];
        let unit = (self.0.max(1).ilog2() / 10).min(4);
        let value = self.0 as f64 / (1u64 << (10 * unit)) as f64;
        let digits = if unit == 0 || value >= 100.0 { 0 } else { 1 };
        write!(f, "{value:.digits$} {}", units[unit as usize])
    }
}
