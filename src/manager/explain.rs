//! What would decide a request, in the facade's names; nothing is changed by asking.

use super::allocation::{MemoryAllocationRequest, Wanted, amount_bytes};
use super::config::MIB;
use super::detailed::AllocationAsk;
use super::error::MemoryError;
use super::reason::Mib;
use super::record::Key;
use super::tenant::Tenant;
use super::{MultiTenantMemoryManager, lock};
use crate::config::{AllocationType, TenantId};
use crate::error::DenialReason;
use crate::explain::Explanation;
use std::fmt;

/// What would decide a request now.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct AllocationExplanation {
    /// Who would ask.
    pub tenant_id: TenantId,
    /// Whether it would be granted, after the evictions below if there are any.
    pub would_be_granted: bool,
    /// Why nothing is granted to the tenant at all; none: the limits decide.
    pub on_hold: Option<String>,
    /// What would be evicted for it, in that order; the first 16.
    pub would_evict: Vec<PlannedEviction>,
    /// Allocations that could have made room but are pinned; the first 16.
    pub pinned_allocation_ids: Vec<String>,
    /// What the tenant could get now, at most what it would ask for, in whole MiB.
    pub available_memory_mb: u64,
    /// Whether the same request can succeed later without a change of configuration.
    pub waiting_can_help: bool,
    /// Whether it would be queued, or waits in the queue already.
    pub would_be_queued: bool,
    /// Bytes wanted by those who would go before it in the queue, if it would be queued.
    pub queued_behind_bytes: Option<u64>,
    /// When its turn is likely to come, if it would be queued; none: unknown.
    pub estimated_wait_time_secs: Option<u64>,
    /// Everything else: the account that refuses, its limit, the largest holders.
    pub details: Explanation,
}

/// An allocation that would be evicted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedEviction {
    /// The allocation.
    pub allocation_id: String,
    /// The name of its holder.
    pub tenant_name: String,
    /// What it was requested for.
    pub model_name: String,
    /// What kind of use.
    pub allocation_type: AllocationType,
    /// Bytes it holds.
    pub bytes: u64,
}

impl MultiTenantMemoryManager {
    /// Says what would decide `request` now: the check that refuses, the largest holders, what
    /// would be evicted, pins in the way, whether it would be queued, behind how much, and for how
    /// long as far as that is known. Changes nothing, and asks for no place in the queue. Cost:
    /// grows with tenants, allocations and the queue.
    ///
    /// # Errors
    ///
    /// As [`Self::request_allocation`].
    pub async fn explain(
        &self,
        request: &MemoryAllocationRequest,
    ) -> Result<AllocationExplanation, MemoryError> {
        let ask = AllocationAsk {
            tenant_id: request.tenant_id,
            bytes: amount_bytes(request.requested_memory_mb)?,
            model_name: request.model_name.clone(),
            allocation_type: request.allocation_type,
        };
        self.explain_exactly(&ask).await
    }

    /// [`Self::explain`], exact in bytes.
    ///
    /// # Errors
    ///
    /// As [`Self::explain`].
    pub async fn explain_exactly(
        &self,
        ask: &AllocationAsk,
    ) -> Result<AllocationExplanation, MemoryError> {
        if let Some(fault) = &self.inner.fault {
            return Err(fault.clone());
        }
        let wanted = Wanted {
            bytes: ask.bytes,
            tenant: self.tenant(ask.tenant_id)?,
            model: ask.model_name.clone(),
            kind: ask.allocation_type,
        };
        self.explain_wanted(&wanted)
    }

    fn explain_wanted(&self, wanted: &Wanted) -> Result<AllocationExplanation, MemoryError> {
        let (tenant, tenant_id) = (&wanted.tenant, wanted.tenant.id);
        let explained = self.inner.governor.explain(&wanted.request());
        let details = explained.map_err(|error| MemoryError::of_tenant(error, tenant_id))?;
        let hold = lock(&tenant.held).hold;
        let on_hold = (hold != Default::default()).then(|| self.on_hold(tenant, hold));
        let admitted = details.reason.is_none() || details.evictions.missing_bytes == 0;
        let open = on_hold.is_none();
        let outlook = self.outlook(wanted);
        let granted = open && (admitted || outlook.is_assigned);
        let above = [Some(DenialReason::Capacity), Some(DenialReason::GroupLimit)];
        let short_above = details.waiting_can_help && above.contains(&details.reason);
        let room = outlook.has_place || !self.has_all_places(tenant);
        let queued = open && !granted && self.is_queueing() && short_above && room;
        Ok(AllocationExplanation {
            tenant_id,
            would_be_granted: granted,
            on_hold,
            would_evict: self.planned(&details),
            pinned_allocation_ids: details.pinned.iter().map(|id| id.to_string()).collect(),
            available_memory_mb: if open { self.available(wanted) / MIB } else { 0 },
            waiting_can_help: details.waiting_can_help,
            would_be_queued: queued,
            queued_behind_bytes: queued.then_some(outlook.behind_bytes),
            estimated_wait_time_secs: outlook.estimate_secs.filter(|_| queued),
            details,
        })
    }

    /// The governor's plan, with what the manager knows of each victim.
    fn planned(&self, details: &Explanation) -> Vec<PlannedEviction> {
        let tenants = self.tenants();
        let model = |tenant: &Tenant, key| {
            lock(&tenant.held).records.get(&key).map(|record| record.model.clone())
        };
        let victims = details.evictions.victims.iter();
        victims
            .map(|victim| {
                let key = Key::Grant(victim.grant);
                PlannedEviction {
                    allocation_id: key.to_string(),
                    tenant_name: victim.tenant.clone(),
                    model_name: tenants.iter().find_map(|t| model(t, key)).unwrap_or_default(),
                    allocation_type: victim.allocation_type,
                    bytes: victim.bytes,
                }
            })
            .collect()
    }
}

impl fmt::Display for AllocationExplanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.on_hold {
            Some(on_hold) => f.write_str(on_hold),
            None => {
                self.details.fmt(f)?;
                let Some(behind_bytes) = self.queued_behind_bytes else { return Ok(()) };
                write!(f, "\n  would be queued behind {}; estimated wait: ", Mib(behind_bytes))?;
                match self.estimated_wait_time_secs {
                    Some(secs) => write!(f, "{secs} s"),
                    None => f.write_str("unknown"),
                }
            }
        }
    }
}
