//! Requests and growth whose refusals are data: for layers above that answer programs, where a
//! sentence and MiB do not do.

use super::MultiTenantMemoryManager;
use super::allocation::{No, Refused, Wanted};
use super::error::MemoryError;
use super::record::Key;
use crate::config::{AllocationType, TenantId};
use crate::error::Denial;
use std::fmt;
use std::time::Duration;

/// What a tenant asks for, exact in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllocationAsk {
    /// Who asks.
    pub tenant_id: TenantId,
    /// How much: 1 to 2^44 - 1 bytes.
    pub bytes: u64,
    /// What for, in the tenant's own words: a model, a task. Need not be unique.
    pub model_name: String,
    /// What kind of use: decides who goes first when memory is short.
    pub allocation_type: AllocationType,
}

/// One live allocation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AllocationView {
    /// Its id.
    pub allocation_id: String,
    /// Who holds it.
    pub tenant_id: TenantId,
    /// What it was requested for.
    pub model_name: String,
    /// What kind of use.
    pub allocation_type: AllocationType,
    /// Bytes it holds.
    pub bytes: u64,
    /// Whether it may not be evicted.
    pub pinned: bool,
}

/// The negative answer: in words, and with the figures it was decided by.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AllocationDenial {
    /// One sentence: the limit, the shortfall, the largest holders, and what to do.
    pub reason: String,
    /// What this tenant could get now, in bytes, counting what would be evicted for it.
    pub available_bytes: u64,
    /// What the governor refused; none where an operator or the manager's own state did, as a
    /// tenant that is frozen.
    pub denial: Option<Denial>,
}

/// Why nothing was granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllocationRefusal {
    /// An answer: not now, or not at all, and why.
    Denied(Box<AllocationDenial>),
    /// Misuse.
    Misuse(MemoryError),
}

impl fmt::Display for AllocationRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(denial) => f.write_str(&denial.reason),
            Self::Misuse(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for AllocationRefusal {}

impl From<Refused> for AllocationRefusal {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Misuse(error) => Self::Misuse(error),
            Refused::Denied(No { reason, available_bytes, denial }) => {
                let denial = denial.map(|denial| *denial);
                Self::Denied(Box::new(AllocationDenial { reason, available_bytes, denial }))
            }
        }
    }
}

impl MultiTenantMemoryManager {
    /// Requests memory, and awaits its turn for up to `wait_max` by the manager's clock; with a
    /// wait of zero it is answered at once and has no place in the queue. Answers the id of the
    /// allocation. Everything else is as of [`Self::acquire_allocation_bytes`], what blocks and
    /// what dropping the future does included.
    ///
    /// # Errors
    ///
    /// A denial with its figures, or what [`Self::acquire_allocation`] calls misuse.
    ///
    /// ```
    /// use allotment::*;
    /// use std::time::Duration;
    ///
    /// # async fn example(manager: &MultiTenantMemoryManager) {
    /// let ask = AllocationAsk {
    ///     tenant_id: TenantId::from_u128(1),
    ///     bytes: 64 << 20,
    ///     model_name: "llama-7b".to_string(),
    ///     allocation_type: AllocationType::Cache,
    /// };
    /// match manager.allocate(&ask, Duration::from_secs(5)).await {
    ///     Ok(allocation_id) => println!("{allocation_id}"),
    ///     Err(AllocationRefusal::Denied(no)) => {
    ///         let short = no.denial.map_or(0, |denial| denial.short_bytes);
    ///         println!("{short} bytes short: {}", no.reason);
    ///     }
    ///     Err(AllocationRefusal::Misuse(error)) => println!("{error}"),
    /// }
    /// # }
    /// ```
    pub async fn allocate(
        &self,
        ask: &AllocationAsk,
        wait_max: Duration,
    ) -> Result<String, AllocationRefusal> {
        let AllocationAsk { tenant_id, bytes, ref model_name, allocation_type } = *ask;
        let wanted = self.wanted_bytes(tenant_id, bytes, model_name.clone(), allocation_type)?;
        let granted = match wait_max.is_zero() {
            true => self.request_at_once(&wanted),
            false => self.acquire(&wanted, wait_max).await,
        };
        Ok(granted?.to_string())
    }

    /// [`Self::grow_allocation_bytes`], with the figures of a denial.
    ///
    /// # Errors
    ///
    /// A denial with its figures, or what [`Self::grow_allocation`] calls misuse.
    pub async fn extend(
        &self,
        tenant_id: TenantId,
        allocation_id: &str,
        additional_bytes: u64,
    ) -> Result<(), AllocationRefusal> {
        self.grow(tenant_id, allocation_id, additional_bytes)?;
        Ok(())
    }

    /// What an allocation is, and holds now.
    ///
    /// # Errors
    ///
    /// [`MemoryError::UnknownAllocation`], [`MemoryError::ForeignAllocation`],
    /// [`MemoryError::AllocationEnded`], [`MemoryError::UnknownTenant`].
    pub async fn get_allocation(
        &self,
        tenant_id: TenantId,
        allocation_id: &str,
    ) -> Result<AllocationView, MemoryError> {
        let mut view = AllocationView {
            allocation_id: allocation_id.to_string(),
            tenant_id,
            model_name: String::new(),
            allocation_type: AllocationType::Cache,
            bytes: 0,
            pinned: false,
        };
        self.with_record(tenant_id, allocation_id, |record| {
            (view.bytes, view.pinned) = (record.bytes(), record.pinned);
            (view.model_name, view.allocation_type) = (record.model.clone(), record.kind);
            Ok(())
        })?;
        Ok(view)
    }

    /// A request that takes no place in the queue.
    fn request_at_once(&self, wanted: &Wanted) -> Result<Key, Refused> {
        let timing = self.inner.begin(&wanted.tenant);
        let granted = self.check_open(wanted).and_then(|()| match self.is_observe_only() {
            true => self.request_observed(wanted),
            false => self.request_unqueued(wanted),
        });
        self.inner.finish(&wanted.tenant, &timing, &granted);
        granted
    }
}
