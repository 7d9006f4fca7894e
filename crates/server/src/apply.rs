//! From one configuration to another while everything runs.
//!
//! ```text
//! A1  what is refused has changed nothing
//! A2  sum of guarantees <= what stands above them, before and after each step
//! A3  an entry that is the same in both configurations is left alone, whatever requests have made
//!     of it; one that differs is applied whole
//! A4  who is not named any more is drained: nothing is taken by force
//! ```
//!
//! Guarantees fall before anything rises: of tenants, then of groups from the bottom up. Then comes
//! the capacity, then groups from the top down, then tenants. Each step knows how to be undone; if
//! one is refused, those before it are.

use crate::state::{State, at_once};
use allotment::{
    Error, GroupConfig, GroupHandle, MemoryError, MultiTenantMemoryManager, TenantConfig, TenantId,
};
use allotment_config::{Group, Setup, Tenant};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Attempts to change a group while others do.
const CHANGE_TURNS_MAX: u32 = 100;

/// Who is not named any more and has not left yet.
#[derive(Clone, Debug, Default)]
pub struct Leaving {
    /// Tenants, with their names.
    pub tenants: BTreeMap<TenantId, String>,
    /// Groups.
    pub groups: BTreeSet<String>,
}

/// Why a configuration is not applied.
#[derive(Debug)]
pub enum NotApplied {
    /// It asks for what cannot be done to a running server; the text says of whom.
    Impossible(String),
    /// A step was refused. What could not be undone is named in the text.
    Refused(MemoryError, String),
}

impl std::fmt::Display for NotApplied {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Impossible(why) => f.write_str(why),
            Self::Refused(error, more) => write!(f, "{error}{more}"),
        }
    }
}

/// What is registered now.
struct Live {
    groups: Vec<(GroupHandle, GroupConfig)>,
    tenants: HashMap<TenantId, TenantConfig>,
}

impl Live {
    fn of(manager: &MultiTenantMemoryManager) -> Self {
        let governor = manager.governor();
        let groups = governor.groups().into_iter();
        let groups = groups
            .filter_map(|group| Some((group.group, governor.group_config(group.group).ok()?)));
        let tenants = governor.snapshot().tenants.into_iter();
        let tenants = tenants.filter_map(|tenant| governor.tenant_config(tenant.tenant).ok());
        let tenants = tenants.map(|config| (config.id, config)).collect();
        Self { groups: groups.collect(), tenants }
    }

    fn group(&self, name: &str) -> Option<&(GroupHandle, GroupConfig)> {
        self.groups.iter().find(|(_, config)| config.name == name)
    }

    fn name_of(&self, group: Option<GroupHandle>) -> Option<&str> {
        let found = self.groups.iter().find(|(handle, _)| Some(*handle) == group);
        found.map(|(_, config)| config.name.as_str())
    }
}

/// What is to be done, found out before anything is.
#[derive(Default)]
struct Plan<'s> {
    /// By their ids in the governor.
    tenants: Vec<(TenantId, &'s Tenant, Option<&'s str>)>,
    groups: Vec<(&'s Group, Option<&'s str>)>,
    leaving: Leaving,
}

fn group_name(setup: &Setup, at: Option<usize>) -> Option<&str> {
    at.map(|at| setup.groups[at].name.as_str())
}

/// Whether two tenants of two configurations are to have the same.
pub fn same_tenant(a: (&Setup, &Tenant), b: (&Setup, &Tenant)) -> bool {
    let bare = |tenant: &Tenant| Tenant { group: None, ..tenant.clone() };
    bare(a.1) == bare(b.1) && group_name(a.0, a.1.group) == group_name(b.0, b.1.group)
}

/// Whether two groups of two configurations are to have the same.
pub fn same_group(a: (&Setup, &Group), b: (&Setup, &Group)) -> bool {
    let bare = |group: &Group| Group { parent: None, ..group.clone() };
    bare(a.1) == bare(b.1) && group_name(a.0, a.1.parent) == group_name(b.0, b.1.parent)
}

impl<'s> Plan<'s> {
    fn new(before: &'s Setup, after: &'s Setup, live: &Live) -> Result<Self, String> {
        let mut plan = Self::default();
        let old: HashMap<&str, &Group> = before.groups.iter().map(|g| (&*g.name, g)).collect();
        for group in &after.groups {
            let same =
                old.get(&*group.name).is_some_and(|o| same_group((before, o), (after, group)));
            if !same {
                plan.groups.push((group, group_name(after, group.parent)));
            }
        }
        let new: BTreeSet<&str> = after.groups.iter().map(|group| &*group.name).collect();
        let gone = old.keys().filter(|name| !new.contains(*name) && live.group(name).is_some());
        plan.leaving.groups = gone.map(|name| name.to_string()).collect();

        let old: HashMap<TenantId, &Tenant> = before.tenants.iter().map(|t| (t.id, t)).collect();
        let there = &live.tenants;
        let named: HashMap<&str, TenantId> =
            there.values().map(|tenant| (&*tenant.name, tenant.id)).collect();
        let mut kept = BTreeSet::new();
        for tenant in &after.tenants {
            // One that was registered by a request and is named now is meant by its name.
            let id = match there.contains_key(&tenant.id) {
                true => tenant.id,
                false => named.get(&*tenant.name).copied().unwrap_or(tenant.id),
            };
            if id != tenant.id && old.contains_key(&id) {
                return Err(format!(
                    "tenant `{}` gets another id: remove it first, and name it once it has left",
                    tenant.name
                ));
            }
            kept.insert(id);
            let same =
                old.get(&tenant.id).is_some_and(|o| same_tenant((before, o), (after, tenant)));
            if !same {
                plan.tenants.push((id, tenant, group_name(after, tenant.group)));
            }
        }
        let gone = before.tenants.iter().filter(|tenant| !kept.contains(&tenant.id));
        let gone = gone.filter_map(|tenant| there.get(&tenant.id));
        plan.leaving.tenants = gone.map(|tenant| (tenant.id, tenant.name.clone())).collect();
        plan.groups_are_there(after, live);
        plan.nobody_moves(live)?;
        plan.names_are_free(live)?;
        plan.guarantees_fit(after, live)?;
        Ok(plan)
    }

    /// A group that a request has removed comes back if somebody new is to stand in it.
    fn groups_are_there(&mut self, after: &'s Setup, live: &Live) {
        let mut needed: BTreeSet<&str> =
            self.tenants.iter().filter_map(|(.., group)| *group).collect();
        needed.extend(self.groups.iter().filter_map(|(_, parent)| *parent));
        // Those they stand in come before them.
        for group in after.groups.iter().rev() {
            let parent = group_name(after, group.parent);
            let planned = self.groups.iter().any(|(known, _)| known.name == group.name);
            if needed.contains(&*group.name) && !planned && live.group(&group.name).is_none() {
                needed.extend(parent);
                self.groups.push((group, parent));
            }
        }
        let place = |name: &str| after.groups.iter().position(|group| group.name == name);
        self.groups.sort_by_cached_key(|(group, _)| place(&group.name));
    }

    /// A running tenant or group stays where it is.
    fn nobody_moves(&self, live: &Live) -> Result<(), String> {
        let place = |group: Option<&str>| match group {
            Some(group) => format!("group `{group}`"),
            None => "no group".to_string(),
        };
        for (id, tenant, group) in &self.tenants {
            let now = live.tenants.get(id).map(|config| live.name_of(config.parent));
            if let Some(now) = now.filter(|now| now != group) {
                return Err(format!(
                    "tenant `{}` is in {} and cannot move to {} while it runs: remove it first, \
                     or start the server again",
                    tenant.name,
                    place(now),
                    place(*group)
                ));
            }
        }
        for (group, parent) in &self.groups {
            let now = live.group(&group.name).map(|(_, config)| live.name_of(config.parent));
            if let Some(now) = now.filter(|now| now != parent) {
                return Err(format!(
                    "group `{}` is in {} and cannot move to {} while it runs: start the server \
                     again",
                    group.name,
                    place(now),
                    place(*parent)
                ));
            }
        }
        Ok(())
    }

    /// Names are what tenants are found by.
    fn names_are_free(&self, live: &Live) -> Result<(), String> {
        let named: HashMap<&str, &TenantConfig> =
            live.tenants.values().map(|config| (&*config.name, config)).collect();
        for (id, tenant, _) in &self.tenants {
            let other = named.get(&*tenant.name).filter(|other| other.id != *id);
            let renamed =
                |other: &TenantConfig| self.tenants.iter().any(|(id, ..)| *id == other.id);
            if let Some(other) = other.filter(|other| !renamed(other)) {
                return Err(format!(
                    "there is a tenant `{}` already, of the id {}: remove or rename it first",
                    other.name, other.id
                ));
            }
        }
        Ok(())
    }

    /// The sums as they will be, with everyone who was registered by requests.
    fn guarantees_fit(&self, after: &Setup, live: &Live) -> Result<(), String> {
        let mut tenants: HashMap<TenantId, (u64, Option<&str>)> = live
            .tenants
            .values()
            .map(|config| (config.id, (config.guarantee_bytes, live.name_of(config.parent))))
            .collect();
        for id in self.leaving.tenants.keys() {
            tenants.entry(*id).and_modify(|(guarantee, _)| *guarantee = 0);
        }
        for (id, tenant, group) in &self.tenants {
            tenants.insert(*id, (tenant.guarantee_bytes, *group));
        }
        let mut groups: HashMap<&str, (u64, Option<&str>)> = live
            .groups
            .iter()
            .map(|(_, g)| (&*g.name, (g.guarantee_bytes, live.name_of(g.parent))))
            .collect();
        for (group, parent) in &self.groups {
            groups.insert(&group.name, (group.guarantee_bytes, *parent));
        }
        let mut promised: HashMap<Option<&str>, u128> = HashMap::new();
        for (guarantee, group) in tenants.values() {
            *promised.entry(*group).or_default() += u128::from(*guarantee);
        }
        // One that leaves keeps as much as is promised below it.
        for (name, (guarantee, parent)) in &groups {
            if !self.leaving.groups.contains(*name) {
                *promised.entry(*parent).or_default() += u128::from(*guarantee);
            }
        }
        let bound = |group: &Option<&str>| match group {
            Some(name) if self.leaving.groups.contains(*name) => u128::MAX,
            Some(name) => groups.get(name).map_or(0, |(guarantee, _)| u128::from(*guarantee)),
            None => u128::from(after.capacity_bytes),
        };
        let over = promised.iter().find(|(group, sum)| **sum > bound(group));
        over.map_or(Ok(()), |(group, sum)| {
            let above = group.map_or("the capacity".to_string(), |name| format!("group `{name}`"));
            Err(format!(
                "with those that requests have registered, guarantees below {above} add up to \
                 {sum} bytes, more than its {}; lower one, or unregister a tenant",
                bound(group)
            ))
        })
    }
}

enum Undo {
    Capacity(u64),
    Group(GroupHandle, GroupConfig),
    Tenant(TenantConfig),
    NewGroup(GroupHandle),
    NewTenant(TenantId),
}

/// Steps on their way.
struct Steps<'m> {
    manager: &'m MultiTenantMemoryManager,
    live: Live,
    undo: Vec<Undo>,
}

fn set_group(
    manager: &MultiTenantMemoryManager,
    group: GroupHandle,
    wanted: &GroupConfig,
) -> Result<(), MemoryError> {
    let mut answer = Err(Error::Contended);
    for _ in 0..CHANGE_TURNS_MAX {
        answer = manager.governor().set_group(group, |config| {
            config.guarantee_bytes = wanted.guarantee_bytes;
            config.limit_bytes = wanted.limit_bytes;
        });
        if answer != Err(Error::Contended) {
            break;
        }
        std::thread::yield_now();
    }
    answer.map_err(MemoryError::Governor)
}

fn set_tenant(
    manager: &MultiTenantMemoryManager,
    id: TenantId,
    wanted: &TenantConfig,
) -> Result<(), MemoryError> {
    at_once(manager.update_tenant_bytes(id, |config| {
        *config = TenantConfig { id: config.id, parent: config.parent, ..wanted.clone() };
    }))
}

impl Steps<'_> {
    fn set_tenant(&mut self, id: TenantId, wanted: &TenantConfig) -> Result<(), MemoryError> {
        let Some(config) = self.live.tenants.get_mut(&id) else { return Ok(()) };
        set_tenant(self.manager, id, wanted)?;
        self.undo.push(Undo::Tenant(config.clone()));
        *config = TenantConfig { id, parent: config.parent, ..wanted.clone() };
        Ok(())
    }

    fn set_group(&mut self, name: &str, wanted: &GroupConfig) -> Result<(), MemoryError> {
        let found = self.live.groups.iter_mut().find(|(_, config)| config.name == name);
        let Some((group, config)) = found else { return Ok(()) };
        set_group(self.manager, *group, wanted)?;
        self.undo.push(Undo::Group(*group, config.clone()));
        (config.guarantee_bytes, config.limit_bytes) = (wanted.guarantee_bytes, wanted.limit_bytes);
        Ok(())
    }

    fn lower_tenant(&mut self, id: TenantId, guarantee_bytes: u64) -> Result<(), MemoryError> {
        let found = self.live.tenants.get(&id);
        let Some(config) = found.filter(|config| config.guarantee_bytes > guarantee_bytes) else {
            return Ok(());
        };
        self.set_tenant(id, &TenantConfig { guarantee_bytes, ..config.clone() })
    }

    fn lower_group(&mut self, name: &str, guarantee_bytes: u64) -> Result<(), MemoryError> {
        let Some((_, config)) = self.live.group(name) else { return Ok(()) };
        if config.guarantee_bytes <= guarantee_bytes {
            return Ok(());
        }
        self.set_group(name, &GroupConfig { guarantee_bytes, ..config.clone() })
    }

    /// What is promised to who stands directly in a group.
    fn promised(&self, name: &str) -> u64 {
        let Some((group, _)) = self.live.group(name) else { return 0 };
        let tenants = self.live.tenants.values().filter(|config| config.parent == Some(*group));
        let groups = self.live.groups.iter().filter(|(_, config)| config.parent == Some(*group));
        let tenants = tenants.map(|config| config.guarantee_bytes);
        tenants.chain(groups.map(|(_, config)| config.guarantee_bytes)).sum()
    }

    fn lower(&mut self, plan: &Plan<'_>) -> Result<(), MemoryError> {
        for id in plan.leaving.tenants.keys() {
            self.lower_tenant(*id, 0)?;
        }
        for (id, tenant, _) in &plan.tenants {
            self.lower_tenant(*id, tenant.guarantee_bytes)?;
        }
        // Groups are registered after those they stand in.
        let names: Vec<String> =
            self.live.groups.iter().rev().map(|(_, config)| config.name.clone()).collect();
        for name in names {
            if plan.leaving.groups.contains(&name) {
                self.lower_group(&name, self.promised(&name))?;
            } else if let Some((group, _)) = plan.groups.iter().find(|(g, _)| g.name == name) {
                self.lower_group(&name, group.guarantee_bytes)?;
            }
        }
        Ok(())
    }

    fn raise(&mut self, plan: &Plan<'_>, capacity_bytes: u64) -> Result<(), MemoryError> {
        let governor = self.manager.governor();
        let before = governor.snapshot().capacity_bytes;
        if before != capacity_bytes {
            governor.set_capacity(capacity_bytes)?;
            self.undo.push(Undo::Capacity(before));
        }
        for (group, parent) in &plan.groups {
            let wanted = GroupConfig {
                parent: parent.and_then(|name| self.live.group(name)).map(|(handle, _)| *handle),
                guarantee_bytes: group.guarantee_bytes,
                limit_bytes: group.limit_bytes,
                ..GroupConfig::new(&group.name)
            };
            if self.live.group(&group.name).is_some() {
                self.set_group(&group.name, &wanted)?;
                continue;
            }
            let handle = governor.register_group(wanted.clone())?;
            self.undo.push(Undo::NewGroup(handle));
            self.live.groups.push((handle, wanted));
        }
        for (id, tenant, group) in &plan.tenants {
            let parent = group.and_then(|name| self.live.group(name)).map(|(handle, _)| *handle);
            let unplaced = Tenant { group: None, ..(*tenant).clone() };
            let wanted = TenantConfig { id: *id, parent, ..unplaced.config(&[]) };
            if self.live.tenants.contains_key(id) {
                self.set_tenant(*id, &wanted)?;
                continue;
            }
            at_once(self.manager.register_tenant_bytes(wanted.clone()))?;
            self.undo.push(Undo::NewTenant(*id));
            self.live.tenants.insert(*id, wanted);
        }
        Ok(())
    }

    /// Takes back what was done; answers of whom that was refused.
    fn take_back(self) -> String {
        let mut refused = Vec::new();
        for step in self.undo.into_iter().rev() {
            let (who, answer) = match step {
                Undo::Capacity(bytes) => {
                    let answer = self.manager.governor().set_capacity(bytes);
                    ("the capacity".to_string(), answer.map_err(MemoryError::from))
                }
                Undo::Group(group, config) => {
                    let answer = set_group(self.manager, group, &config);
                    (format!("group `{}`", config.name), answer)
                }
                Undo::Tenant(config) => {
                    let answer = set_tenant(self.manager, config.id, &config);
                    (format!("tenant `{}`", config.name), answer)
                }
                Undo::NewGroup(group) => {
                    let answer = self.manager.governor().unregister_group(group);
                    ("a new group".to_string(), answer.map_err(MemoryError::from))
                }
                Undo::NewTenant(id) => {
                    let answer = at_once(self.manager.unregister_tenant_by_force(id));
                    ("a new tenant".to_string(), answer.map(|_| ()))
                }
            };
            if let Err(error) = answer {
                refused.push(format!("{who} ({error})"));
            }
        }
        match refused.is_empty() {
            true => String::new(),
            false => format!("; and this could not be undone: {}", refused.join(", ")),
        }
    }
}

/// Does to whoever is registered what makes `after` of `before`. The caller has locked
/// administration. Answers who leaves by it.
///
/// # Errors
///
/// Why nothing was changed.
pub fn apply(state: &State, before: &Setup, after: &Setup) -> Result<Leaving, NotApplied> {
    let live = Live::of(&state.manager);
    let plan = Plan::new(before, after, &live).map_err(NotApplied::Impossible)?;
    let mut steps = Steps { manager: &state.manager, live, undo: Vec::new() };
    let done = steps.lower(&plan).and_then(|()| steps.raise(&plan, after.capacity_bytes));
    if let Err(error) = done {
        let more = steps.take_back();
        return Err(NotApplied::Refused(error, more));
    }
    for id in plan.leaving.tenants.keys() {
        // One that was removed meanwhile has left.
        let _ = at_once(state.manager.drain_tenant(*id));
    }
    Ok(plan.leaving)
}
