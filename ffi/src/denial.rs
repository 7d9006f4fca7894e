//! The negative answer, as data.

use crate::governor::ALLOT_UNKNOWN;
use crate::guard::Answer;
use crate::pointer::{OutStruct, Versioned};
use crate::status::ALLOT_DENIED;
use allotment::{AccountName, Denial, Refusal};

/// Why a request was denied. Numbers are never changed and never used again; 0 is no reason.
pub type allot_denial_reason = u32;

/// The tenant's own limit in force.
pub const ALLOT_REASON_TENANT_LIMIT: allot_denial_reason = 1;
/// The limit of a group above the tenant.
pub const ALLOT_REASON_GROUP_LIMIT: allot_denial_reason = 2;
/// The capacity of the whole.
pub const ALLOT_REASON_CAPACITY: allot_denial_reason = 3;
/// The tenant's limit on the number of grants of this type.
pub const ALLOT_REASON_GRANT_COUNT: allot_denial_reason = 4;
/// The tenant's rate of requests.
pub const ALLOT_REASON_RATE_LIMIT: allot_denial_reason = 5;
/// The table of grants is full.
pub const ALLOT_REASON_SLOTS_EXHAUSTED: allot_denial_reason = 6;
/// The bound of steps ran out before the answer was certain; call again.
pub const ALLOT_REASON_CONTENDED: allot_denial_reason = 7;
/// The request waited for its turn, which did not come in time.
pub const ALLOT_REASON_WAITED_TOO_LONG: allot_denial_reason = 8;
/// As many requests wait as can.
pub const ALLOT_REASON_WAITERS_EXHAUSTED: allot_denial_reason = 9;
/// The audit log has no room for the records, and nothing is granted without them.
pub const ALLOT_REASON_AUDIT_FULL: allot_denial_reason = 10;

/// What kind of account a number names.
pub type allot_account_kind = u32;

/// The whole; its number is 0.
pub const ALLOT_ACCOUNT_POOL: allot_account_kind = 0;
/// A group, by its allot_group.
pub const ALLOT_ACCOUNT_GROUP: allot_account_kind = 1;
/// A tenant, by its allot_tenant.
pub const ALLOT_ACCOUNT_TENANT: allot_account_kind = 2;

/// Why a request was denied. Begin with ALLOT_DENIAL_INIT. Written where a call answers
/// ALLOT_DENIED, and only there.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct allot_denial {
    /// sizeof(allot_denial).
    pub struct_size: u32,
    /// Which check refused: one of the ALLOT_REASON numbers.
    pub reason: allot_denial_reason,
    /// The account at which it refused.
    pub account: u64,
    /// What that is: one of the ALLOT_ACCOUNT numbers.
    pub account_kind: allot_account_kind,
    /// 1: the same request can succeed later without a change of configuration.
    pub waiting_can_help: u32,
    /// Bytes asked for.
    pub asked_bytes: u64,
    /// Bytes missing at that account; 0 where bytes are not what is short.
    pub short_bytes: u64,
    /// Bytes that account had left.
    pub available_bytes: u64,
    /// The limit that applied: bytes, or grants for ALLOT_REASON_GRANT_COUNT.
    pub limit: u64,
    /// When the same request can succeed, ns from now; ALLOT_UNKNOWN.
    pub retry_after_ns: u64,
    /// Bytes of grants in the way that are pinned or kept alive.
    pub pinned_bytes: u64,
    /// One of those grants; 0: none was met.
    pub pinned_first: u64,
    /// How many were met.
    pub pinned_grants: u32,
    /// 0.
    pub reserved: u32,
}

// SAFETY: numbers only, none of them padded.
unsafe impl Versioned for allot_denial {
    const SIZE_MIN: usize = 88;
}

impl Default for allot_denial {
    fn default() -> Self {
        Self {
            struct_size: size_of::<Self>() as u32,
            reason: 0,
            account: 0,
            account_kind: ALLOT_ACCOUNT_POOL,
            waiting_can_help: 0,
            asked_bytes: 0,
            short_bytes: 0,
            available_bytes: 0,
            limit: 0,
            retry_after_ns: ALLOT_UNKNOWN,
            pinned_bytes: 0,
            pinned_first: 0,
            pinned_grants: 0,
            reserved: 0,
        }
    }
}

impl From<&Denial> for allot_denial {
    fn from(denial: &Denial) -> Self {
        let (account_kind, account) = number(denial.account);
        Self {
            reason: denial.reason.code().into(),
            account,
            account_kind,
            waiting_can_help: denial.waiting_can_help.into(),
            asked_bytes: denial.asked_bytes,
            short_bytes: denial.short_bytes,
            available_bytes: denial.available_bytes,
            limit: denial.limit,
            retry_after_ns: denial.retry_after_ns.unwrap_or(ALLOT_UNKNOWN),
            pinned_bytes: denial.pins.bytes,
            pinned_first: denial.pins.first.map_or(0, |grant| grant.as_u64()),
            pinned_grants: denial.pins.grants,
            ..Self::default()
        }
    }
}

/// An account's kind and number.
pub(crate) fn number(account: AccountName) -> (allot_account_kind, u64) {
    match account {
        AccountName::Pool => (ALLOT_ACCOUNT_POOL, 0),
        AccountName::Group(group) => (ALLOT_ACCOUNT_GROUP, group.as_u64()),
        AccountName::Tenant(tenant) => (ALLOT_ACCOUNT_TENANT, tenant.as_u64()),
    }
}

/// Writes a denial for whoever wants it; misuse is an error.
#[cold]
pub(crate) fn refused(refusal: Refusal, out: Option<OutStruct<allot_denial>>) -> Answer {
    match refusal {
        Refusal::Denied(denial) => {
            if let Some(out) = out {
                out.write(&(&denial).into());
            }
            Ok(ALLOT_DENIED)
        }
        Refusal::Misuse(error) => Err(error.into()),
    }
}
