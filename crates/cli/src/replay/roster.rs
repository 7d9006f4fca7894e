//! The tenants of a replay and their handles. A tenant is registered when the trace first names
//! it, as a service meets its users.

use std::sync::{Mutex, OnceLock, PoisonError};

use allotment::{
    Governor, GroupHandle, Isolation, Policy, Priority, TenantConfig, TenantHandle, TenantId,
};
use allotment_config::Tenant;

use super::worker::misuse;
use crate::failure::CliError;

/// What a tenant of a replay is registered as.
#[derive(Clone, Debug)]
pub struct TenantPlan {
    /// Its name.
    pub name: String,
    /// The number of its group.
    pub group: Option<usize>,
    /// Its priority.
    pub priority: Priority,
    /// Its isolation.
    pub isolation: Isolation,
    /// Its guarantee.
    pub guarantee_bytes: u64,
    /// Its limit.
    pub limit_bytes: Option<u64>,
}

impl TenantPlan {
    /// A tenant as the configuration has it.
    pub fn of(tenant: &Tenant) -> Self {
        Self {
            name: tenant.name.clone(),
            group: tenant.group,
            priority: tenant.priority,
            isolation: tenant.isolation,
            guarantee_bytes: tenant.guarantee_bytes,
            limit_bytes: tenant.limit_bytes,
        }
    }

    /// A tenant that is counted and nothing else.
    pub fn unlimited(name: &str) -> Self {
        Self {
            name: name.to_string(),
            group: None,
            priority: Priority::Normal,
            isolation: Isolation::None,
            guarantee_bytes: 0,
            limit_bytes: None,
        }
    }
}

/// Handles by tenant number.
pub struct Roster {
    plans: Vec<TenantPlan>,
    groups: Vec<GroupHandle>,
    policy: Policy,
    seed: u64,
    handles: Vec<OnceLock<TenantHandle>>,
    registering: Mutex<()>,
}

impl Roster {
    /// Nobody registered yet.
    pub fn new(
        plans: Vec<TenantPlan>,
        groups: Vec<GroupHandle>,
        policy: Policy,
        seed: u64,
    ) -> Self {
        let handles = plans.iter().map(|_| OnceLock::new()).collect();
        Self { plans, groups, policy, seed, handles, registering: Mutex::new(()) }
    }

    /// Tenants that are all registered.
    pub fn registered(handles: Vec<TenantHandle>) -> Self {
        let handles = handles.into_iter().map(OnceLock::from).collect();
        let roster = Self::new(Vec::new(), Vec::new(), Policy::default(), 0);
        Self { handles, ..roster }
    }

    /// The handle of `tenant`, registered on first sight.
    #[inline]
    pub fn handle(&self, governor: &Governor, tenant: u32) -> Result<TenantHandle, CliError> {
        match self.handles[tenant as usize].get() {
            Some(handle) => Ok(*handle),
            None => self.register(governor, tenant),
        }
    }

    #[cold]
    fn register(&self, governor: &Governor, tenant: u32) -> Result<TenantHandle, CliError> {
        let _one_at_a_time = self.registering.lock().unwrap_or_else(PoisonError::into_inner);
        let place = tenant as usize;
        if let Some(handle) = self.handles[place].get() {
            return Ok(*handle);
        }
        let plan = &self.plans[place];
        let id = TenantId::from_u64_pair(self.seed, u64::from(tenant) + 1);
        let config = TenantConfig {
            parent: plan.group.map(|group| self.groups[group]),
            priority: plan.priority,
            isolation: plan.isolation,
            guarantee_bytes: plan.guarantee_bytes,
            limit_bytes: plan.limit_bytes,
            policy: self.policy,
            ..TenantConfig::new(id, &plan.name)
        };
        let handle = governor.register_tenant(config).map_err(|error| misuse(&error))?;
        Ok(*self.handles[place].get_or_init(|| handle))
    }
}
