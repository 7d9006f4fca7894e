//! What can go wrong: misuse, or a state of the world in which the call makes no sense.
//!
//! A denial is no error but an answer
//! ([`MemoryAllocationResponse::Denied`](crate::MemoryAllocationResponse::Denied)).

use super::config::MIB;
use super::names::Shown;
use super::reason::Mib;
use crate::config::TenantId;
use crate::error::Error;
use std::fmt;

/// Why a call of the manager was refused. Nothing has changed when one is returned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// A configuration value is out of range, or contradicts another one.
    #[error("{field}: {problem}")]
    Config {
        /// The offending field.
        field: &'static str,
        /// What is wrong with it and what would be right.
        problem: String,
    },
    /// No tenant has this id.
    #[error("tenant {0} is not registered; register it with register_tenant first")]
    UnknownTenant(TenantId),
    /// A tenant with this id is registered already.
    #[error("tenant {0} is already registered; change it with update_tenant, or unregister it")]
    DuplicateTenant(TenantId),
    /// The guarantees of all tenants have to fit into the pool.
    #[error(
        "guarantees of {:#} exceed the {:#} of {}; lower one of them or raise max_memory_mb of the \
         manager",
        Mib(*sum_bytes), Mib(*bound_bytes), Shown(parent)
    )]
    GuaranteesExceed {
        /// Σ guarantees, the new one included.
        sum_bytes: u64,
        /// What there is for them.
        bound_bytes: u64,
        /// "the pool" or a group's name.
        parent: String,
    },
    /// The tenant still holds memory.
    #[error(
        "tenant {tenant_id} still holds {:#} in {allocations} allocations; release them, or use \
         unregister_tenant_by_force",
        Mib(*bytes)
    )]
    TenantHoldsMemory {
        /// The tenant.
        tenant_id: TenantId,
        /// Its live allocations.
        allocations: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// The tenant never had such an allocation, or has returned it.
    #[error(
        "allocation {} is not held by tenant {tenant_id}: it was released before, or never granted \
         to this tenant; pass the id of an answer that granted it, and its tenant, once",
        Shown(allocation_id)
    )]
    UnknownAllocation {
        /// The id that was passed.
        allocation_id: String,
        /// The tenant that was named.
        tenant_id: TenantId,
    },
    /// The allocation is another tenant's.
    #[error(
        "allocation {} does not belong to tenant {tenant_id}; pass the tenant that requested it",
        Shown(allocation_id)
    )]
    ForeignAllocation {
        /// The id that was passed.
        allocation_id: String,
        /// The tenant that was named.
        tenant_id: TenantId,
    },
    /// The allocation was evicted or revoked, or is being evicted, and cannot be changed any more.
    #[error("allocation {} was {how}; its memory is gone, request it again", Shown(allocation_id))]
    AllocationEnded {
        /// The id that was passed.
        allocation_id: String,
        /// "evicted" or "revoked".
        how: &'static str,
    },
    /// An allocation cannot give back more than it holds.
    #[error(
        "{} to be released, but allocation {} holds {:#}; pass at most that",
        Amount(*amount_bytes), Shown(allocation_id), Mib(*held_bytes)
    )]
    WrongAmount {
        /// The id that was passed.
        allocation_id: String,
        /// Bytes it holds.
        held_bytes: u64,
        /// Bytes to be released; 2^64 - 2^20 also stands for more MiB than fit here.
        amount_bytes: u64,
    },
    /// Nothing was asked for, or nothing is to be given back.
    #[error("an amount of 0; pass at least 1 MiB, or 1 byte where the amount is in bytes")]
    ZeroAmount,
    /// More than one allocation can ever hold.
    #[error("an amount of {amount_mb} MiB; one allocation holds at most {max_mb} MiB: split it")]
    TooLarge {
        /// MiB that were passed.
        amount_mb: u64,
        /// The most one allocation can hold, in whole MiB.
        max_mb: u64,
    },
    /// The system could not start a thread.
    #[error("thread {name} could not be started: {kind}; free some threads, or balance by hand")]
    Thread {
        /// The thread.
        name: &'static str,
        /// What the system answered.
        kind: std::io::ErrorKind,
    },
    /// The audit log cannot be begun or written.
    #[error("{problem}")]
    Audit {
        /// What is in the way, and what to do.
        problem: String,
    },
    /// Anything else the governor refuses.
    #[error(transparent)]
    Governor(Error),
}

/// Most MiB that can be said in bytes, in bytes.
const AMOUNT_MAX: u64 = u64::MAX / MIB * MIB;

/// Bytes for an amount in MiB. Where they cannot be said, the most that can: more than anything
/// holds.
pub(super) fn amount_to_release(mb: u64) -> u64 {
    mb.saturating_mul(MIB).min(AMOUNT_MAX)
}

/// An amount to be released, in words.
struct Amount(u64);

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0 == AMOUNT_MAX { "at least " } else { "" })?;
        write!(f, "{:#}", Mib(self.0))
    }
}

impl MemoryError {
    /// The governor's error about a tenant, in the words of the facade.
    pub(super) fn of_tenant(error: Error, tenant_id: TenantId) -> Self {
        match error {
            Error::Gone { .. } => Self::UnknownTenant(tenant_id),
            Error::DuplicateTenant(id) => Self::DuplicateTenant(id),
            other => other.into(),
        }
    }

    /// The governor's error about an allocation, in the words of the facade.
    pub(super) fn of_allocation(error: Error, allocation_id: &str, tenant_id: TenantId) -> Self {
        let allocation_id = allocation_id.to_string();
        match error {
            Error::Evicted(_) => Self::AllocationEnded { allocation_id, how: "evicted" },
            Error::StaleGrant(_) => Self::UnknownAllocation { allocation_id, tenant_id },
            other => Self::of_tenant(other, tenant_id),
        }
    }
}

impl From<Error> for MemoryError {
    fn from(error: Error) -> Self {
        match error {
            Error::Config { field, problem } => Self::Config { field, problem },
            Error::GuaranteesExceed { sum, bound, parent } => {
                Self::GuaranteesExceed { sum_bytes: sum, bound_bytes: bound, parent }
            }
            Error::ZeroBytes => Self::ZeroAmount,
            Error::TooLarge { bytes, max } => {
                Self::TooLarge { amount_mb: bytes.div_ceil(1 << 20), max_mb: max >> 20 }
            }
            other => Self::Governor(other),
        }
    }
}
