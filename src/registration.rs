//! Who is registered, and every change of limits: the administrative side of the governor.
//!
//! ```text
//! I2  sum of guarantees of the children <= guarantee of the group, or capacity
//! ```
//!
//! One administrator at a time holds the mutex, and calls nobody's code while holding it. Requests
//! take it only to give back reservations that have run out, or segments when the table of grants
//! is full; never inside the bounded verbs. A slot is given away again once its tenant has drained:
//! nothing in use, nothing on its way, its segments returned. What the next one is called and how
//! it is treated is written while the slot is closed, before its generation is in force: whoever
//! sees the generation sees whose it is.

use crate::config::{AllocationType, GovernorConfig, GroupConfig, TenantConfig, TenantId, Traits};
use crate::core::account::{LEVELS, Obstacle, ROOT, Settings};
use crate::core::bugs::{Bug, planted};
use crate::core::events::EventKind;
use crate::core::grants::SLOTS;
use crate::core::handle::{GrantId, GroupHandle, TenantHandle};
use crate::core::sync::lock;
use crate::core::word::{BYTES_MAX, Owner, State};
use crate::details::Detail;
use crate::error::{AccountName, Error};
use crate::governor::Governor;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::Ordering;

/// Closed slots looked at for one that has drained before a fresh one is taken; all, if there is
/// no fresh one.
const DRAINED_LOOK_MAX: usize = 16;
/// Reservations kept track of before the first look for committed ones.
const RESERVATIONS_MIN: usize = 1_024;
/// Times a slot that is being published is looked at again before the caller has to.
const COUNT_TURNS_MAX: u32 = 1_000;

/// What becomes of a tenant's grants when it is unregistered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unregister {
    /// Refuse while it holds grants.
    IfIdle,
    /// No new grants; the live ones run on until they are released.
    Drain,
    /// All grants end now; releasing them later answers [`crate::Released::Evicted`] or that the
    /// tenant is gone.
    Force,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Tenant(TenantConfig),
    Group(GroupConfig),
}

/// A registered tenant or group.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub kind: Kind,
    pub generation: u32,
    pub parent: u32,
    pub children: u32,
    pub children_guarantee: u64,
    /// How often it was configured anew.
    changes: u64,
}

impl Node {
    pub(crate) fn name(&self) -> &str {
        match &self.kind {
            Kind::Tenant(tenant) => &tenant.name,
            Kind::Group(group) => &group.name,
        }
    }

    fn is_tenant(&self) -> bool {
        matches!(self.kind, Kind::Tenant(_))
    }

    fn guarantee(&self) -> u64 {
        match &self.kind {
            Kind::Tenant(tenant) => tenant.guarantee_bytes,
            Kind::Group(group) => group.guarantee_bytes,
        }
    }
}

/// What administration keeps, behind one mutex.
pub(crate) struct Admin {
    pub capacity_bytes: u64,
    /// Registered accounts by index, in order, so that every walk is deterministic.
    pub nodes: BTreeMap<u32, Node>,
    /// Tenants whose ceiling is lower than configured.
    pub lowered: BTreeSet<u32>,
    root_children_guarantee: u64,
    closed: [VecDeque<(u32, u32)>; 2],
    fresh: [u32; 2],
    /// By the time they run out, and their grant's number. Some may have been committed.
    reservations: BTreeMap<(u64, u64), Owner>,
    /// When there are more, those that were committed are sorted out.
    reservations_max: usize,
}

/// Once it goes, and with it whatever was held, looks who fits by now, if anything was tried: also
/// a change that was refused may have bought claim, or left some idle, on its way. What was refused
/// before is as if it had not been called, so nothing of it has to be recorded.
pub(crate) struct LookAgain<'g> {
    governor: &'g Governor,
    tried: Cell<bool>,
}

impl<'g> LookAgain<'g> {
    pub(crate) fn at(governor: &'g Governor) -> Self {
        Self { governor, tried: Cell::new(false) }
    }

    /// From here on something may change.
    pub(crate) fn try_change(&self) {
        self.tried.set(true);
    }
}

impl Drop for LookAgain<'_> {
    fn drop(&mut self) {
        if !self.tried.get() {
            return;
        }
        if self.governor.core.scarcity.is_waited() {
            self.governor.core.scarcity.unsettle();
        }
        self.governor.serve_left();
    }
}

const GROUPS: usize = 0;
const TENANTS: usize = 1;

impl Admin {
    pub(crate) fn new(config: &GovernorConfig) -> Self {
        Self {
            capacity_bytes: config.capacity_bytes,
            nodes: BTreeMap::new(),
            lowered: BTreeSet::new(),
            root_children_guarantee: 0,
            closed: Default::default(),
            fresh: [0, 0],
            reservations: BTreeMap::new(),
            reservations_max: RESERVATIONS_MIN,
        }
    }

    /// Bytes that keep track of reservations.
    pub(crate) fn reservations_bytes(&self) -> usize {
        self.reservations.len() * size_of::<((u64, u64), Owner)>()
    }

    /// What whoever has the slot now is called.
    pub(crate) fn name_of(&self, account: u32) -> String {
        match self.nodes.get(&account) {
            Some(node) => node.name().to_string(),
            None if account == ROOT => "the pool".to_string(),
            None => "a tenant that is gone".to_string(),
        }
    }

    fn promised(&mut self, parent: u32) -> &mut u64 {
        match self.nodes.get_mut(&parent) {
            Some(node) => &mut node.children_guarantee,
            None => &mut self.root_children_guarantee,
        }
    }

    /// I2, for a child of `parent` whose guarantee becomes `new` instead of `old`.
    fn check_guarantees(&mut self, parent: u32, old: u64, new: u64) -> Result<(), Error> {
        let (name, bound) = match self.nodes.get(&parent) {
            Some(node) => (format!("group {}", node.name()), node.guarantee()),
            None => ("the pool".to_string(), self.capacity_bytes),
        };
        let sum = *self.promised(parent) - old + new;
        if new > old && sum > bound {
            return Err(Error::GuaranteesExceed { sum, bound, parent: name });
        }
        Ok(())
    }

    /// Children of `account` promise at least this much; its own promise may not go below.
    fn promised_by(&self, account: u32) -> u64 {
        match self.nodes.get(&account) {
            Some(node) => node.children_guarantee,
            None => self.root_children_guarantee,
        }
    }
}

/// Tags tell governors of one process apart; they come round after 255.
pub(crate) fn next_tag() -> u8 {
    #[expect(clippy::disallowed_types, reason = "a name, no part of the core's models")]
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    // Relaxed: only the value matters.
    (NEXT.fetch_add(1, Ordering::Relaxed) % 255) as u8 + 1
}

impl Governor {
    /// Registers a tenant. Its guarantee is paid for before this returns.
    ///
    /// Cost: takes the administrative mutex; steps grow with the number of accounts only if the
    /// guarantee has to be collected from idle claims.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for limits out of order, [`Error::DuplicateTenant`],
    /// [`Error::GuaranteesExceed`], [`Error::GuaranteeUnavailable`] if others use the bytes now,
    /// [`Error::TableFull`], [`Error::Gone`] for a parent that is not registered;
    /// [`Error::Contended`] if the one place left is a gone tenant's, of which another thread is
    /// still asking for something: call again.
    pub fn register_tenant(&self, config: TenantConfig) -> Result<TenantHandle, Error> {
        let afterwards = LookAgain::at(self);
        let settings = config.settings()?;
        let mut admin = lock(&self.admin);
        let parent = self.parent_of(&admin, config.parent)?;
        let id = config.id;
        if self.find_locked(&admin, id).is_some() {
            return Err(Error::DuplicateTenant(id));
        }
        admin.check_guarantees(parent, 0, settings.guarantee)?;
        self.take_room_for_change()?;
        afterwards.try_change();
        // Until it is recorded whose the slot is now.
        let slots = lock(&self.slots);
        let prepare = |index, generation| self.begin_tenant(index, generation, &config);
        let opened = self.open(&mut admin, TENANTS, parent, &settings, prepare);
        let (index, generation) = opened.inspect_err(|_| {
            self.note_tried(ROOT, false, || self.detail_of(ROOT, 1, &Kind::Tenant(config.clone())));
        })?;
        self.enter(&mut admin, index, generation, parent, Kind::Tenant(config));
        drop(slots);
        // Cannot fail: the id is new and there are as many entries as tenants.
        let entered = self.core.enter(id.as_u128(), index);
        debug_assert!(entered.is_ok());
        drop(admin);
        let tenant = TenantHandle::new(self.tag, generation, index);
        if generation > 1 {
            self.forget_handlers_before(tenant);
        }
        Ok(tenant)
    }

    /// Registers a group.
    ///
    /// # Errors
    ///
    /// As [`Governor::register_tenant`]; [`Error::TooDeep`] beyond six levels.
    pub fn register_group(&self, config: GroupConfig) -> Result<GroupHandle, Error> {
        let afterwards = LookAgain::at(self);
        let settings = config.settings()?;
        let mut admin = lock(&self.admin);
        let parent = self.parent_of(&admin, config.parent)?;
        let (depth, max) = (self.core.accounts.depth(parent) + 1, crate::core::account::DEPTH_MAX);
        if depth >= max {
            return Err(Error::TooDeep { depth, max: max - 1 });
        }
        admin.check_guarantees(parent, 0, settings.guarantee)?;
        self.take_room_for_change()?;
        afterwards.try_change();
        let opened = self.open(&mut admin, GROUPS, parent, &settings, |_, _| ());
        let (index, generation) = opened.inspect_err(|_| {
            self.note_tried(ROOT, false, || self.detail_of(ROOT, 1, &Kind::Group(config.clone())));
        })?;
        self.enter(&mut admin, index, generation, parent, Kind::Group(config));
        Ok(GroupHandle::new(self.tag, generation, index))
    }

    fn enter(&self, admin: &mut Admin, index: u32, generation: u32, parent: u32, kind: Kind) {
        let node =
            Node { kind, generation, parent, children: 0, children_guarantee: 0, changes: 0 };
        *admin.promised(parent) += node.guarantee();
        if let Some(parent) = admin.nodes.get_mut(&parent) {
            parent.children += 1;
        }
        let owner = Owner::new(index, generation, 0);
        self.note_configured(EventKind::Registered, owner, node.guarantee(), || {
            self.detail_of(index, generation, &node.kind)
        });
        admin.nodes.insert(index, node);
    }

    fn detail_of(&self, index: u32, generation: u32, kind: &Kind) -> Detail {
        match kind {
            Kind::Tenant(config) => {
                Detail::Tenant(TenantHandle::new(self.tag, generation, index), config.clone())
            }
            Kind::Group(config) => {
                Detail::Group(GroupHandle::new(self.tag, generation, index), config.clone())
            }
        }
    }

    /// All that is registered now, groups before tenants.
    pub(crate) fn all_details(&self) -> Vec<Detail> {
        let admin = lock(&self.admin);
        let nodes = admin.nodes.iter();
        nodes.map(|(&index, node)| self.detail_of(index, node.generation, &node.kind)).collect()
    }

    fn parent_of(&self, admin: &Admin, parent: Option<GroupHandle>) -> Result<u32, Error> {
        parent.map_or(Ok(ROOT), |group| self.group_node(admin, group))
    }

    pub(crate) fn group_node(&self, admin: &Admin, group: GroupHandle) -> Result<u32, Error> {
        let (what, number) = ("group", group.as_u64());
        if group.tag() != self.tag {
            return Err(Error::Foreign { what, number });
        }
        let node = admin.nodes.get(&group.index());
        let same = node.is_some_and(|n| n.generation == group.generation());
        let inner = self.core.accounts.is_inner(group.index());
        if same && inner { Ok(group.index()) } else { Err(Error::Gone { what, number }) }
    }

    pub(crate) fn tenant_node(&self, admin: &Admin, tenant: TenantHandle) -> Result<u32, Error> {
        let (index, generation) = self.resolve(tenant)?;
        match admin.nodes.get(&index) {
            Some(node) if node.generation == generation => Ok(index),
            _ => Err(Error::Gone { what: "tenant", number: tenant.as_u64() }),
        }
    }

    pub(crate) fn check_registered(&self, tenant: TenantHandle) -> Result<(), Error> {
        self.tenant_node(&lock(&self.admin), tenant).map(|_| ())
    }

    /// Makes the record beside a closed account that of its next tenant. If that cannot be opened
    /// all the same, nobody reads it: no entry leads there, and no handle is of its generation.
    fn begin_tenant(&self, index: u32, generation: u32, config: &TenantConfig) {
        self.core.begin(index, config.id.as_u128(), generation);
        let tenant = self.core.tenant(index);
        tenant.rate.set(config.rate, self.clock().now_ns());
        for (queue, max) in tenant.queues.iter().zip(config.grants_max) {
            queue.set_policy(config.policy);
            queue.set_grants_max(max);
        }
    }

    /// A slot for a new account: one that has drained, or a fresh one. Calls `prepare` with its
    /// index and next generation while it is closed.
    fn open(
        &self,
        admin: &mut Admin,
        kind: usize,
        parent: u32,
        settings: &Settings,
        prepare: impl FnOnce(u32, u32),
    ) -> Result<(u32, u32), Error> {
        let accounts = &self.core.accounts;
        let (groups_max, tenants_max) = accounts.capacity();
        let (begin, max) = [(1, groups_max), (accounts.tenants_begin(), tenants_max)][kind];
        let fresh = admin.fresh[kind] < max;
        let look_max = if fresh { DRAINED_LOOK_MAX } else { usize::MAX };
        let index = match self.drained(admin, kind, look_max) {
            Some(index) => index,
            None if fresh => {
                admin.fresh[kind] += 1;
                begin + admin.fresh[kind] - 1
            }
            // Only what other threads have on its way keeps one from being taken.
            None if self.is_any_empty(admin, kind) => return Err(Error::Contended),
            None => {
                let (what, field) = [("groups", "groups_max"), ("tenants", "tenants_max")][kind];
                return Err(Error::TableFull { what, max, field });
            }
        };
        // The last generation there is was left out above.
        prepare(index, accounts.generation(index) + 1);
        match accounts.open(index, parent, settings) {
            Ok(generation) => Ok((index, generation)),
            Err(obstacle) => {
                admin.closed[kind].push_front((index, accounts.generation(index)));
                Err(guarantee_error(obstacle))
            }
        }
    }

    /// Whether there is a closed account of which, and below which, no grants are left.
    fn is_any_empty(&self, admin: &Admin, kind: usize) -> bool {
        let accounts = &self.core.accounts;
        let mut held = BTreeSet::new();
        for &(tenant, _) in &admin.closed[TENANTS] {
            let mut at = if self.core.holds_grants(tenant) { tenant } else { ROOT };
            while at != ROOT {
                held.insert(at);
                at = accounts.parent(at);
            }
        }
        admin.closed[kind].iter().any(|(index, _)| !held.contains(index))
    }

    fn drained(&self, admin: &mut Admin, kind: usize, look_max: usize) -> Option<u32> {
        if kind == GROUPS && look_max == usize::MAX {
            // What its gone tenants have left idle is in use of a group.
            for &(tenant, _) in &admin.closed[TENANTS] {
                self.core.accounts.is_drained(tenant);
            }
        }
        for _ in 0..admin.closed[kind].len().min(look_max) {
            let (index, generation) = admin.closed[kind].pop_front()?;
            let retired = generation == u32::MAX;
            if retired {
                continue;
            }
            if self.core.accounts.is_drained(index) && self.core.end_queues(index) {
                return Some(index);
            }
            admin.closed[kind].push_back((index, generation));
        }
        None
    }

    /// Finds a tenant by its id. Lock-free.
    pub fn find(&self, id: TenantId) -> Option<TenantHandle> {
        let index = self.core.find(id.as_u128())?;
        let head = self.core.accounts.head(index);
        // The id of this generation or of one that came after it, whole or in part: if the account
        // is as open afterwards, it is of this one.
        let same = self.core.tenant(index).uuid() == id.as_u128();
        let after = self.core.accounts.head(index);
        let live = !head.closed() && !after.closed() && after.generation() == head.generation();
        (same && live).then(|| TenantHandle::new(self.tag, head.generation(), index))
    }

    /// The registered tenant of this name, the one in the lowest slot if several have it.
    ///
    /// Takes the administrative mutex; steps grow with the number of accounts. Allocates nothing.
    /// May be called from any thread; another one may give it another name meanwhile.
    ///
    /// ```
    /// use allotment::*;
    ///
    /// let governor = Governor::new(GovernorConfig::new(24 << 30))?;
    /// let chat = governor.register_tenant(TenantConfig::new(TenantId::from_u128(1), "chat"))?;
    /// assert_eq!(governor.find_named("chat"), Some(chat));
    /// assert_eq!(governor.find_named("search"), None);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn find_named(&self, name: &str) -> Option<TenantHandle> {
        let (index, generation) = self.find_node(|node| node.is_tenant() && node.name() == name)?;
        Some(TenantHandle::new(self.tag, generation, index))
    }

    /// The registered group of this name; see [`Governor::find_named`].
    pub fn find_group(&self, name: &str) -> Option<GroupHandle> {
        let (index, generation) =
            self.find_node(|node| !node.is_tenant() && node.name() == name)?;
        Some(GroupHandle::new(self.tag, generation, index))
    }

    /// Who an account of events ([`crate::Event::account`]) is now; nobody once it is unregistered.
    ///
    /// A number is used again by later accounts, and the event `Registered` of an account is
    /// recorded before it is found here. So events before a `Registered` of the same number are
    /// about somebody else, and whoever reads up to the end after this has seen it.
    ///
    /// Takes the administrative mutex for a moment; allocates nothing.
    pub fn account(&self, index: u32) -> Option<AccountName> {
        if index == ROOT {
            return Some(AccountName::Pool);
        }
        let admin = lock(&self.admin);
        let node = admin.nodes.get(&index)?;
        let generation = node.generation;
        Some(match node.kind {
            Kind::Tenant(_) => AccountName::Tenant(TenantHandle::new(self.tag, generation, index)),
            Kind::Group(_) => AccountName::Group(GroupHandle::new(self.tag, generation, index)),
        })
    }

    /// Index and generation of the first registered account that is looked for.
    fn find_node(&self, is_it: impl Fn(&Node) -> bool) -> Option<(u32, u32)> {
        let admin = lock(&self.admin);
        let mut nodes = admin.nodes.iter();
        nodes.find(|(_, node)| is_it(node)).map(|(&index, node)| (index, node.generation))
    }

    fn find_locked(&self, admin: &Admin, id: TenantId) -> Option<u32> {
        let index = self.core.find(id.as_u128())?;
        admin.nodes.contains_key(&index).then_some(index)
    }

    /// The configuration a tenant has now.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`] if it is not registered.
    pub fn tenant_config(&self, tenant: TenantHandle) -> Result<TenantConfig, Error> {
        let admin = lock(&self.admin);
        let index = self.tenant_node(&admin, tenant)?;
        match &admin.nodes[&index].kind {
            Kind::Tenant(config) => Ok(config.clone()),
            Kind::Group(_) => Err(Error::Gone { what: "tenant", number: tenant.as_u64() }),
        }
    }

    /// The configuration a group has now.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`] if it is not registered, [`Error::Foreign`] if it is another governor's.
    pub fn group_config(&self, group: GroupHandle) -> Result<GroupConfig, Error> {
        let admin = lock(&self.admin);
        let index = self.group_node(&admin, group)?;
        match &admin.nodes[&index].kind {
            Kind::Group(config) => Ok(config.clone()),
            Kind::Tenant(_) => Err(Error::Gone { what: "group", number: group.as_u64() }),
        }
    }

    /// Changes guarantee, limits, priority, isolation, policy, rate, counts or name of a tenant
    /// while it runs: `change` edits its configuration, with nothing held; id and parent stay as
    /// they are. A limit below what is used revokes nothing; further requests are denied.
    ///
    /// # Errors
    ///
    /// As [`Governor::register_tenant`]; nothing has changed then. [`Error::Contended`] if another
    /// thread has changed the tenant meanwhile, or grants were being published while their number
    /// began to be limited; call again.
    pub fn set_tenant(
        &self,
        tenant: TenantHandle,
        change: impl FnOnce(&mut TenantConfig),
    ) -> Result<(), Error> {
        let afterwards = LookAgain::at(self);
        let (index, (node, changes)) = {
            let admin = lock(&self.admin);
            let index = self.tenant_node(&admin, tenant)?;
            (index, (admin.nodes[&index].kind.clone(), admin.nodes[&index].changes))
        };
        let Kind::Tenant(before) = node else {
            return Err(Error::Gone { what: "tenant", number: tenant.as_u64() });
        };
        let mut after = before.clone();
        change(&mut after);
        (after.id, after.parent) = (before.id, before.parent);
        let settings = after.settings()?;
        let mut admin = lock(&self.admin);
        self.tenant_node(&admin, tenant)?;
        let kind = Kind::Tenant(after.clone());
        let old = before.guarantee_bytes;
        self.reconfigure(&mut admin, (index, changes), old, &settings, &kind, &afterwards)?;
        let record = self.core.tenant(index);
        if after.rate != before.rate {
            record.rate.set(after.rate, self.clock().now_ns());
        }
        for (kind, queue) in record.queues.iter().enumerate() {
            queue.set_policy(after.policy);
            queue.set_grants_max(after.grants_max[kind]);
        }
        // Also when it was limited before: an earlier call may have met grants being published.
        let mut settled = true;
        for kind in (0..4).filter(|&kind| after.grants_max[kind].is_some()) {
            settled &= self.count_existing(index, kind as u8);
        }
        if let Some(node) = admin.nodes.get_mut(&index) {
            node.kind = kind;
        }
        drop(admin);
        if settled { Ok(()) } else { Err(Error::Contended) }
    }

    /// Counts the grants that were made before their number was limited; false if some were still
    /// being published.
    fn count_existing(&self, index: u32, kind: u8) -> bool {
        let owner = Owner::new(index, self.core.accounts.generation(index), kind);
        let queue = &self.core.tenant(index).queues[usize::from(kind)];
        let segments = queue.chain(&self.core.grants, owner);
        segments.flat_map(|s| s * SLOTS..(s + 1) * SLOTS).all(|slot| {
            (0..COUNT_TURNS_MAX).any(|_| {
                let settled = self.core.count_existing(slot, owner);
                if !settled {
                    std::thread::yield_now();
                }
                settled
            })
        })
    }

    /// Changes guarantee, limit or name of a group while it runs; `change` is called with nothing
    /// held. Below what is in use, nothing is revoked: requests are denied until enough was
    /// released or evicted.
    ///
    /// # Errors
    ///
    /// As [`Governor::register_group`]; nothing has changed then. [`Error::Contended`] if another
    /// thread has changed the group meanwhile; call again.
    pub fn set_group(
        &self,
        group: GroupHandle,
        change: impl FnOnce(&mut GroupConfig),
    ) -> Result<(), Error> {
        let afterwards = LookAgain::at(self);
        let (index, (node, changes)) = {
            let admin = lock(&self.admin);
            let index = self.group_node(&admin, group)?;
            (index, (admin.nodes[&index].kind.clone(), admin.nodes[&index].changes))
        };
        let Kind::Group(before) = node else {
            return Err(Error::Gone { what: "group", number: group.as_u64() });
        };
        let mut after = before.clone();
        change(&mut after);
        after.parent = before.parent;
        let settings = after.settings()?;
        let mut admin = lock(&self.admin);
        self.group_node(&admin, group)?;
        let promised = admin.promised_by(index);
        if settings.guarantee < promised {
            let parent = format!("group {}", before.name);
            let bound = settings.guarantee;
            return Err(Error::GuaranteesExceed { sum: promised, bound, parent });
        }
        let kind = Kind::Group(after);
        let old = before.guarantee_bytes;
        self.reconfigure(&mut admin, (index, changes), old, &settings, &kind, &afterwards)?;
        if let Some(node) = admin.nodes.get_mut(&index) {
            node.kind = kind;
        }
        drop(admin);
        Ok(())
    }

    fn reconfigure(
        &self,
        admin: &mut Admin,
        (index, changes): (u32, u64),
        old_guarantee: u64,
        settings: &Settings,
        kind: &Kind,
        afterwards: &LookAgain<'_>,
    ) -> Result<(), Error> {
        let node = admin.nodes.get_mut(&index).filter(|node| node.changes == changes);
        let parent = node.ok_or(Error::Contended)?.parent;
        admin.check_guarantees(parent, old_guarantee, settings.guarantee)?;
        self.take_room_for_change()?;
        afterwards.try_change();
        let configured = self.core.accounts.configure(index, settings);
        let generation = self.core.accounts.generation(index);
        configured.map_err(guarantee_error).inspect_err(|_| {
            self.note_tried(index, true, || self.detail_of(index, generation, kind));
        })?;
        admin.lowered.remove(&index);
        if let Some(node) = admin.nodes.get_mut(&index) {
            node.changes += 1;
        }
        let promised = admin.promised(parent);
        *promised = *promised - old_guarantee + settings.guarantee;
        self.review_excess(admin);
        self.core.offer_claim(index);
        let (owner, limit) = (Owner::new(index, generation, 0), settings.limits[0]);
        self.note_configured(EventKind::LimitsChanged, owner, limit, || {
            self.detail_of(index, generation, kind)
        });
        Ok(())
    }

    /// Takes away what is idle below every account that is above its limit, and keeps an eye on it
    /// until none is (`core/scarcity.rs`). The caller holds the administrative mutex.
    pub(crate) fn review_excess(&self, _admin: &mut Admin) {
        let accounts = &self.core.accounts;
        // What a group that is gone still holds is drained: its limit of nothing is for requests.
        let in_force = |&account: &u32| !accounts.head(account).closed();
        let above = || {
            let inner = std::iter::once(ROOT).chain(accounts.groups()).filter(in_force);
            inner.filter(|&account| accounts.used(account) > accounts.limit(account))
        };
        if above().next().is_none() {
            self.core.scarcity.set_excess(false);
            return;
        }
        // Before the collection, so that what is released from now on is handed up at once.
        self.core.scarcity.set_excess(true);
        for account in above() {
            accounts.settle(account, std::thread::yield_now);
        }
        self.core.scarcity.set_excess(above().next().is_some());
    }

    /// Changes the capacity while everything runs. Below what is in use, nothing is revoked:
    /// requests are denied until enough was released or evicted. It waits then for requests that
    /// other threads are paying for at the moment, off their core as they may be.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for 0 or more than 2^48 - 1 bytes, [`Error::GuaranteesExceed`] if the
    /// guarantees would no longer fit.
    pub fn set_capacity(&self, capacity_bytes: u64) -> Result<(), Error> {
        let afterwards = LookAgain::at(self);
        GovernorConfig { capacity_bytes, ..GovernorConfig::new(1) }.validate()?;
        let mut admin = lock(&self.admin);
        let sum = admin.promised_by(ROOT);
        if sum > capacity_bytes {
            let parent = "the pool".to_string();
            return Err(Error::GuaranteesExceed { sum, bound: capacity_bytes, parent });
        }
        let kept = if planted(Bug::CapacityIgnored) { admin.capacity_bytes } else { 0 };
        let settings = Settings {
            limits: [capacity_bytes.max(kept).min(BYTES_MAX); LEVELS],
            ..self.core.accounts.settings(ROOT)
        };
        self.take_room_for_change()?;
        afterwards.try_change();
        let configured = self.core.accounts.configure(ROOT, &settings);
        self.or_give_back(configured.map_err(guarantee_error))?;
        admin.capacity_bytes = capacity_bytes;
        self.review_excess(&mut admin);
        let root = Owner::new(ROOT, 0, 0);
        self.note_change(EventKind::CapacityChanged, root, capacity_bytes, 0);
        drop(admin);
        Ok(())
    }

    /// Unregisters a tenant. Its requests that wait are answered at once: it is gone. With
    /// [`Unregister::IfIdle`] it waits for who is handing bytes over to those in line, for a
    /// bounded number of that thread's steps.
    ///
    /// # Errors
    ///
    /// [`Error::GrantsLive`] with [`Unregister::IfIdle`] while it holds grants, [`Error::Gone`]
    /// if it is not registered.
    pub fn unregister_tenant(&self, tenant: TenantHandle, how: Unregister) -> Result<(), Error> {
        let afterwards = LookAgain::at(self);
        self.unregister_unserved(tenant, how, &afterwards)
    }

    /// The same, for who holds a lock, and looks again who fits once it is free: they are woken by
    /// that.
    pub(crate) fn unregister_unserved(
        &self,
        tenant: TenantHandle,
        how: Unregister,
        afterwards: &LookAgain<'_>,
    ) -> Result<(), Error> {
        let mut admin = lock(&self.admin);
        let index = self.tenant_node(&admin, tenant)?;
        self.take_room_for_change()?;
        afterwards.try_change();
        if how == Unregister::IfIdle {
            let closed = self.core.close_while_idle(index, std::thread::yield_now);
            self.or_give_back(closed.map_err(|bytes| Error::GrantsLive { bytes }))?;
        }
        self.core.registry.remove(self.core.tenant(index).uuid(), index);
        self.leave(&mut admin, TENANTS, index, how);
        drop(admin);
        match how {
            // Asked for what it still holds until its slot gets another owner.
            Unregister::Drain => {}
            Unregister::IfIdle => self.forget_handler(tenant),
            Unregister::Force => {
                self.core.end_all(index, tenant.generation(), self, std::thread::yield_now);
                self.forget_handler(tenant);
            }
        }
        Ok(())
    }

    /// Unregisters a group without children.
    ///
    /// # Errors
    ///
    /// [`Error::HasChildren`], [`Error::Gone`].
    pub fn unregister_group(&self, group: GroupHandle) -> Result<(), Error> {
        let afterwards = LookAgain::at(self);
        let mut admin = lock(&self.admin);
        let index = self.group_node(&admin, group)?;
        let children = admin.nodes[&index].children;
        if children > 0 {
            return Err(Error::HasChildren { children });
        }
        self.take_room_for_change()?;
        afterwards.try_change();
        self.leave(&mut admin, GROUPS, index, Unregister::IfIdle);
        drop(admin);
        Ok(())
    }

    fn leave(&self, admin: &mut Admin, kind: usize, index: u32, how: Unregister) {
        let Some(node) = admin.nodes.remove(&index) else { return };
        admin.lowered.remove(&index);
        *admin.promised(node.parent) -= node.guarantee();
        if let Some(parent) = admin.nodes.get_mut(&node.parent) {
            parent.children -= 1;
        }
        self.core.accounts.close(index);
        self.core.offer_claim(index);
        let owner = Owner::new(index, node.generation, 0);
        let used = self.core.accounts.used(index);
        self.note_change(EventKind::Unregistered, owner, used, how as u8);
        admin.closed[kind].push_back((index, node.generation));
    }

    /// Keeps track of a reservation until it runs out.
    pub(crate) fn note_reservation(&self, expires_ns: u64, grant: GrantId, owner: Owner) {
        let mut admin = lock(&self.admin);
        admin.reservations.insert((expires_ns, grant.as_u64()), owner);
        if admin.reservations.len() > admin.reservations_max {
            admin.reservations.retain(|&(_, number), owner| self.is_reserved(number, *owner));
            admin.reservations_max = RESERVATIONS_MIN.max(2 * admin.reservations.len());
        }
        self.note_due(&admin);
    }

    fn is_reserved(&self, number: u64, owner: Owner) -> bool {
        let grant = GrantId::from_u64(number);
        self.core.is_reserved(grant.index(), grant.generation(), owner)
    }

    /// Tells requests when the next reservation runs out.
    fn note_due(&self, admin: &Admin) {
        let due_ns = admin.reservations.keys().next().map_or(u64::MAX, |&(due_ns, _)| due_ns);
        // Release: pairs with the Acquire in `return_expired`.
        self.due_ns.store(due_ns, Ordering::Release);
    }

    /// Reservations whose time to commit ran out: their owners and bytes.
    pub(crate) fn expired(&self, now_ns: u64) -> Vec<(Owner, u64)> {
        let admin = lock(&self.admin);
        let due = admin.reservations.range(..=(now_ns, u64::MAX));
        let due = due.filter(|&(&(_, number), &owner)| self.is_reserved(number, owner));
        let grant = |number| GrantId::from_u64(number);
        due.map(|(&(_, n), &owner)| (owner, self.grant_bytes(grant(n), owner))).collect()
    }

    /// Gives back reservations whose time to commit ran out; says how many.
    pub(crate) fn return_expired(&self, now_ns: u64) -> u32 {
        // Acquire: pairs with the Release in `note_due`.
        if self.due_ns.load(Ordering::Acquire) > now_ns {
            return 0;
        }
        let mut returned = 0;
        let mut admin = lock(&self.admin);
        // A time of u64::MAX means never.
        let last = (now_ns.min(u64::MAX - 1), u64::MAX);
        let due: Vec<_> =
            admin.reservations.range(..=last).map(|(&at, &owner)| (at, owner)).collect();
        for ((expires_ns, number), owner) in due {
            let grant = GrantId::from_u64(number);
            let place = (grant.index(), grant.generation());
            let ended = self.core.end_expired(place, owner, now_ns, self);
            returned += u32::from(ended);
            // Where another thread was just at it, the next call looks again.
            if ended || !self.is_reserved(number, owner) {
                admin.reservations.remove(&(expires_ns, number));
            }
        }
        self.note_due(&admin);
        returned
    }

    /// Gives the free segments of all tenants back to everybody; says whether there were any.
    pub(crate) fn shed_segments(&self) -> bool {
        self.shed_all_tenants(&mut lock(&self.admin))
    }

    /// The table of grants is full: the next step of the balancer makes room in it. Nobody waits
    /// here.
    pub(crate) fn note_slots_exhausted(&self) {
        // Release: pairs with the AcqRel in `shed_if_wanted`.
        self.slots_wanted.store(1, Ordering::Release);
    }

    /// Gives free segments back if a request found none since this was last asked.
    pub(crate) fn shed_if_wanted(&self) {
        // AcqRel: pairs with the Release in `note_slots_exhausted`.
        if self.slots_wanted.swap(0, Ordering::AcqRel) != 0 {
            self.shed_segments();
        }
    }

    /// The caller holds the administrative mutex: one caller at a time sheds.
    fn shed_all_tenants(&self, _admin: &mut Admin) -> bool {
        let mut shed = false;
        for index in self.core.accounts.tenants() {
            let tenant = self.core.tenant(index);
            for queue in &tenant.queues {
                let before = queue.segments();
                if before > 0 {
                    tenant.tally.note_retired(queue.shed(&self.core.grants, true).0);
                    shed |= queue.segments() < before;
                }
            }
        }
        shed
    }

    pub(crate) fn account_name(&self, account: u32) -> AccountName {
        let generation = self.core.accounts.generation(account);
        match account {
            ROOT => AccountName::Pool,
            _ if self.core.accounts.is_inner(account) => {
                AccountName::Group(GroupHandle::new(self.tag, generation.max(1), account))
            }
            _ => AccountName::Tenant(TenantHandle::new(self.tag, generation.max(1), account)),
        }
    }

    /// Priority and isolation in force.
    pub(crate) fn traits(&self, account: u32) -> Traits {
        Traits::unpack(self.core.accounts.traits(account))
    }

    /// All live grants of a tenant, as (slot, type); exact only at rest.
    pub(crate) fn slots_of(
        &self,
        account: u32,
    ) -> impl Iterator<Item = (u32, AllocationType)> + '_ {
        let generation = self.core.accounts.generation(account);
        let queues = self.core.tenant(account).queues.iter().zip(AllocationType::ALL);
        queues.flat_map(move |(queue, kind)| {
            let owner = Owner::new(account, generation, kind as u8);
            let slots = |segment: u32| segment * SLOTS..(segment + 1) * SLOTS;
            let held = [State::Live, State::Evicting, State::Deferred, State::Tuning];
            queue
                .chain(&self.core.grants, owner)
                .flat_map(slots)
                .filter(move |&slot| held.contains(&self.core.grants.word(slot).state()))
                .map(move |slot| (slot, kind))
        })
    }
}

fn guarantee_error(obstacle: Obstacle) -> Error {
    match obstacle {
        Obstacle::Full { asked, used, limit, .. } => {
            Error::GuaranteeUnavailable { short: (used + asked).saturating_sub(limit) }
        }
        _ => Error::Contended,
    }
}
