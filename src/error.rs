//! What can go wrong, and what can be refused: an [`Error`] is misuse or the world, a [`Denial`]
//! is an answer with data. A verb that can meet both answers with a [`Refusal`].

use crate::core::handle::{GrantId, GroupHandle, TenantHandle};
use std::fmt;
use uuid::Uuid;

/// Misuse of the interface, or a state of the world in which the call makes no sense. Nothing has
/// changed when one is returned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A configuration value is out of range.
    #[error("{field}: {problem}")]
    Config {
        /// The offending field.
        field: &'static str,
        /// What is wrong with it and what would be right.
        problem: String,
    },
    /// The handle or id carries another governor's tag.
    #[error("{what} {number:016x} belongs to another governor; use the governor that made it")]
    Foreign {
        /// "tenant", "group" or "grant".
        what: &'static str,
        /// The handle as a number.
        number: u64,
    },
    /// The tenant or group was unregistered, or never existed.
    #[error(
        "{what} {number:016x} is not registered (any more); register it and use the new handle"
    )]
    Gone {
        /// "tenant" or "group".
        what: &'static str,
        /// The handle as a number.
        number: u64,
    },
    /// The grant ended before, or never existed.
    #[error("grant {0} has ended; a grant is returned exactly once")]
    StaleGrant(GrantId),
    /// The grant is another tenant's.
    #[error("grant {grant} does not belong to tenant {tenant}; pass the tenant that requested it")]
    NotYours {
        /// The grant.
        grant: GrantId,
        /// The tenant that was named.
        tenant: TenantHandle,
    },
    /// The grant was evicted, or is being evicted, so it can no longer be changed.
    #[error("grant {0} was evicted; request it again")]
    Evicted(GrantId),
    /// Another thread is changing the same grant.
    #[error("grant {0} is being changed by another thread; call again")]
    Busy(GrantId),
    /// A request for nothing.
    #[error("zero bytes requested; a grant holds at least 1 byte")]
    ZeroBytes,
    /// More than a grant can ever hold.
    #[error("{bytes} bytes requested; one grant holds at most {max} bytes: split it")]
    TooLarge {
        /// Bytes asked for.
        bytes: u64,
        /// The most one grant can hold.
        max: u64,
    },
    /// A grant cannot give back more than it holds.
    #[error("shrink by {by} bytes, but grant {grant} holds {held}; release it to return all")]
    ShrinkTooMuch {
        /// The grant.
        grant: GrantId,
        /// Bytes it holds.
        held: u64,
        /// Bytes to be given back.
        by: u64,
    },
    /// The reservation was committed before, or is a plain grant.
    #[error("grant {0} is not a reservation that waits to be committed")]
    NotReserved(GrantId),
    /// The reservation's time to commit ran out.
    #[error("reservation {0} has expired; reserve again")]
    Expired(GrantId),
    /// A tenant with this id is registered already.
    #[error("tenant {0} is already registered; find it by its id, or unregister it first")]
    DuplicateTenant(Uuid),
    /// A table is full.
    #[error("all {max} {what} are taken; create the governor with a larger {field}")]
    TableFull {
        /// "tenants" or "groups".
        what: &'static str,
        /// How many there are.
        max: u32,
        /// The field of the configuration that says so.
        field: &'static str,
    },
    /// Groups are nested too deep.
    #[error("group is {depth} levels below the pool; at most {max} are possible")]
    TooDeep {
        /// Depth asked for.
        depth: u32,
        /// The most levels.
        max: u32,
    },
    /// Guarantees may not promise more than their parent has.
    #[error("guarantees of {sum} bytes exceed the {bound} bytes of {parent}; lower one of them")]
    GuaranteesExceed {
        /// Σ guarantees, the new one included.
        sum: u64,
        /// Guarantee of the parent group, or the capacity.
        bound: u64,
        /// "the pool" or the group's name.
        parent: String,
    },
    /// A guarantee is free on paper, but others use the bytes now.
    #[error("{short} bytes of the guarantee are in use by others now; evict or try again later")]
    GuaranteeUnavailable {
        /// Bytes that are missing.
        short: u64,
    },
    /// The tenant still holds grants.
    #[error("tenant still holds {bytes} bytes in grants; release them, drain it, or use force")]
    GrantsLive {
        /// Bytes in live grants.
        bytes: u64,
    },
    /// The group still has children.
    #[error("group still has {children} children; unregister them first")]
    HasChildren {
        /// Tenants and groups below it.
        children: u32,
    },
    /// The audit log has no room for the record of this, and nothing may happen without one.
    #[error(
        "the audit log has no room for the record of this; make room on its disk, see its status, \
         then call again"
    )]
    AuditFull,
    /// A bounded number of attempts ran out because other threads were at work.
    #[error("other threads are changing the same account; call again")]
    Contended,
}

/// Why a request was denied. The codes are stable: they are never renumbered or reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum DenialReason {
    /// The tenant's own limit in force.
    TenantLimit = 1,
    /// The limit of a group above the tenant.
    GroupLimit = 2,
    /// The capacity of the whole.
    Capacity = 3,
    /// The tenant's limit on the number of grants of this type.
    GrantCount = 4,
    /// The tenant's rate of requests.
    RateLimit = 5,
    /// The table of grants is full.
    SlotsExhausted = 6,
    /// The bound of steps ran out before the answer was certain; call again.
    Contended = 7,
    /// The request waited for its turn, which did not come in time.
    WaitedTooLong = 8,
    /// As many requests wait as can.
    WaitersExhausted = 9,
    /// The audit log has no room for its records, and nothing is granted without them.
    AuditFull = 10,
}

impl DenialReason {
    /// The stable number of the reason.
    pub fn code(self) -> u8 {
        self as u8
    }
}

impl fmt::Display for DenialReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TenantLimit => "tenant limit",
            Self::GroupLimit => "group limit",
            Self::Capacity => "capacity",
            Self::GrantCount => "number of grants",
            Self::RateLimit => "rate limit",
            Self::SlotsExhausted => "grant table full",
            Self::Contended => "contended",
            Self::WaitedTooLong => "its turn did not come in time",
            Self::WaitersExhausted => "all places in line are taken",
            Self::AuditFull => "the audit log has no room",
        })
    }
}

/// An account, by a name that can be used in calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AccountName {
    /// The whole: the root account.
    Pool,
    /// A group.
    Group(GroupHandle),
    /// A tenant.
    Tenant(TenantHandle),
}

/// Grants that could have made room but are pinned or kept alive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pins {
    /// How many were met.
    pub grants: u32,
    /// Their bytes.
    pub bytes: u64,
    /// One of them; `explain` lists more.
    pub first: Option<GrantId>,
}

/// The negative answer, as data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denial {
    /// Which check refused.
    pub reason: DenialReason,
    /// At which account.
    pub account: AccountName,
    /// Bytes asked for.
    pub asked_bytes: u64,
    /// Bytes missing at the account that refused; 0 where bytes are not what is short.
    pub short_bytes: u64,
    /// Bytes the account that refused had left.
    pub available_bytes: u64,
    /// The limit that applied: bytes, or grants for [`DenialReason::GrantCount`].
    pub limit: u64,
    /// Whether the same request can succeed later without a change of configuration.
    pub waiting_can_help: bool,
    /// When it can, where that is known: ns from now.
    pub retry_after_ns: Option<u64>,
    /// Grants in the way that may not be evicted.
    pub pins: Pins,
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reason, asked_bytes, short_bytes, limit, .. } = self;
        match reason {
            DenialReason::TenantLimit | DenialReason::GroupLimit | DenialReason::Capacity => {
                write!(f, "{asked_bytes} bytes denied by {reason}: ")?;
                write!(f, "{short_bytes} bytes short of {limit}")?;
            }
            DenialReason::GrantCount => write!(f, "denied by {reason}: at most {limit}")?,
            _ => write!(f, "{asked_bytes} bytes denied: {reason}")?,
        }
        if self.pins.grants > 0 {
            write!(f, "; {} pinned grants hold {} bytes", self.pins.grants, self.pins.bytes)?;
        }
        f.write_str(if self.waiting_can_help { "; waiting can help" } else { "" })
    }
}

impl std::error::Error for Denial {}

/// Why a verb gave no grant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// An answer: not now, or not at all, and why.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// Misuse.
    #[error(transparent)]
    Misuse(#[from] Error),
}

impl Refusal {
    /// The denial, if it is one.
    pub fn denial(&self) -> Option<&Denial> {
        match self {
            Self::Denied(denial) => Some(denial),
            Self::Misuse(_) => None,
        }
    }
}
