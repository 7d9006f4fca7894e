//! What a tenant asks for.

use crate::config::AllocationType;
use crate::core::handle::TenantHandle;
use std::time::Duration;

/// What a caller means to do with what it asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Intent {
    /// How long it will hold the memory, in ns; `u64::MAX`: to the end.
    pub hold_ns: u64,
    /// Bytes by which it will grow in all.
    pub grow_bytes: u64,
    /// Bytes of each growth; the last may be smaller.
    pub grow_step_bytes: u64,
    /// Time between two growths, in ns; the first is at once.
    pub grow_step_ns: u64,
}

/// A request for memory. Begin with [`Request::new`] and say more where it matters.
///
/// ```
/// # use allotment::*;
/// # let governor = Governor::new(GovernorConfig::new(1 << 30))?;
/// # let tenant = governor.register_tenant(TenantConfig::new(TenantId::from_u128(1), "chat"))?;
/// let block = Request::new(tenant, AllocationType::Cache, 2 << 20).key(0x5eed).cost(40);
/// let grant = governor.request(&block)?;
/// assert_eq!(grant.bytes(), 2 << 20);
/// # Ok::<(), Refusal>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    pub(crate) tenant: TenantHandle,
    pub(crate) allocation_type: AllocationType,
    pub(crate) bytes: u64,
    pub(crate) key: u64,
    pub(crate) cookie: u64,
    pub(crate) cost: u32,
    pub(crate) ttl_ns: Option<u64>,
    pub(crate) evictable: bool,
    pub(crate) pinned: bool,
    pub(crate) intent: Option<Intent>,
}

impl Request {
    /// A request of `tenant` for `bytes` (1 to 16 TiB) of one type.
    pub fn new(tenant: TenantHandle, allocation_type: AllocationType, bytes: u64) -> Self {
        Self {
            tenant,
            allocation_type,
            bytes,
            key: 0,
            cookie: 0,
            cost: 1,
            ttl_ns: None,
            evictable: false,
            pinned: false,
            intent: None,
        }
    }

    /// Names the content, so that its frequency is remembered when it is evicted and comes back.
    /// 0 means no name.
    pub fn key(self, key: u64) -> Self {
        Self { key, ..self }
    }

    /// A number of the caller's own, handed back with the victim when the grant is evicted.
    pub fn cookie(self, cookie: u64) -> Self {
        Self { cookie, ..self }
    }

    /// What it costs to rebuild the content, in any unit the tenant uses for all its requests
    /// (milliseconds, say). Costs are compared within one tenant only; 0 counts as 1.
    pub fn cost(self, cost: u32) -> Self {
        Self { cost, ..self }
    }

    /// When the content expires; an expired grant goes before all others.
    pub fn ttl(self, ttl: Duration) -> Self {
        Self { ttl_ns: Some(u64::try_from(ttl.as_nanos()).unwrap_or(u64::MAX)), ..self }
    }

    /// Whether a loaded model may be evicted. Other types always may.
    pub fn evictable(self, evictable: bool) -> Self {
        Self { evictable, ..self }
    }

    /// Whether the grant is pinned from the start: never evicted until it is unpinned.
    pub fn pinned(self, pinned: bool) -> Self {
        Self { pinned, ..self }
    }

    /// What the caller means to do with the memory. Decides nothing; an audit log that records
    /// calls keeps it, so that "what if" knows how long a request that was denied would have held
    /// its memory.
    pub fn intent(self, intent: Intent) -> Self {
        Self { intent: Some(intent), ..self }
    }
}
