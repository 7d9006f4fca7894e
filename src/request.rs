//! What a tenant asks for.

use crate::config::AllocationType;
use crate::core::grants::{Fields, flag};
use crate::core::handle::TenantHandle;
use crate::core::hot_path::Asked;
use crate::core::policy::Cost;
use crate::core::word::{GRANT_BYTES_MAX, Owner};
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
    /// Whose slots it uses, if the tenant is who the handle says; with the allocation type.
    pub(crate) owner: Owner,
    pub(crate) bytes: u64,
    pub(crate) key: u64,
    pub(crate) cookie: u64,
    /// As it was told.
    pub(crate) cost: u32,
    pub(crate) packed_cost: Cost,
    /// Of the grant: pinned, or of a type that stays.
    pub(crate) flags: u32,
    /// How the request may take the hot path.
    pub(crate) gate: Gate,
    pub(crate) ttl_ns: Option<u64>,
    pub(crate) intent: Option<Intent>,
}

impl Request {
    /// A request of `tenant` for `bytes` (1 to 16 TiB) of one type.
    #[inline]
    pub fn new(tenant: TenantHandle, allocation_type: AllocationType, bytes: u64) -> Self {
        let kind = allocation_type as u8;
        Self {
            tenant,
            owner: Owner::new(tenant.index(), tenant.generation(), kind),
            bytes,
            key: 0,
            cookie: 0,
            cost: 1,
            packed_cost: Cost::new(1),
            flags: 0,
            gate: Gate::SHUT,
            ttl_ns: None,
            intent: None,
        }
        .evictable(allocation_type != AllocationType::ModelLoad)
    }

    /// Names the content, so that its frequency is remembered when it is evicted and comes back.
    /// 0 means no name.
    #[inline]
    pub fn key(self, key: u64) -> Self {
        Self { key, ..self }.gated()
    }

    /// A number of the caller's own, handed back with the victim when the grant is evicted.
    #[inline]
    pub fn cookie(self, cookie: u64) -> Self {
        Self { cookie, ..self }.gated()
    }

    /// What it costs to rebuild the content, in any unit the tenant uses for all its requests
    /// (milliseconds, say). Costs are compared within one tenant only; 0 counts as 1.
    #[inline]
    pub fn cost(self, cost: u32) -> Self {
        Self { cost, packed_cost: Cost::new(cost), ..self }
    }

    /// When the content expires; an expired grant goes before all others.
    #[inline]
    pub fn ttl(self, ttl: Duration) -> Self {
        let ttl_ns = u64::try_from(ttl.as_nanos()).unwrap_or(u64::MAX);
        Self { ttl_ns: Some(ttl_ns), ..self }.gated()
    }

    /// Whether a loaded model may be evicted. Other types always may.
    #[inline]
    pub fn evictable(self, evictable: bool) -> Self {
        let model = self.owner.allocation_type() == AllocationType::ModelLoad as u8;
        self.flagged(flag::FIXED, model && !evictable)
    }

    /// Whether the grant is pinned from the start: never evicted until it is unpinned.
    #[inline]
    pub fn pinned(self, pinned: bool) -> Self {
        self.flagged(flag::PINNED, pinned)
    }

    /// What the caller means to do with the memory. Decides nothing; an audit log that records
    /// calls keeps it, so that "what if" knows how long a request that was denied would have held
    /// its memory.
    #[inline]
    pub fn intent(self, intent: Intent) -> Self {
        Self { intent: Some(intent), ..self }
    }

    #[inline]
    fn flagged(self, flag: u32, set: bool) -> Self {
        let flags = if set { self.flags | flag } else { self.flags & !flag };
        Self { flags, ..self }.gated()
    }

    #[inline]
    fn gated(self) -> Self {
        let usual = self.ttl_ns.is_none() && (1..=GRANT_BYTES_MAX).contains(&self.bytes);
        let detailed = self.flags != 0 || self.key != 0 || self.cookie != 0;
        let gate = if usual { Gate::of(self.tenant.tag(), detailed) } else { Gate::SHUT };
        Self { gate, ..self }
    }
}

/// By which of a governor's two hot paths a request may go: that of a grant of which there is
/// nothing to say, or the other. One comparison, with the tag of the tenant's governor in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gate(u32);

impl Gate {
    /// By neither.
    const SHUT: Self = Self(u32::MAX);

    #[inline]
    fn of(tag: u8, detailed: bool) -> Self {
        Self(u32::from(tag) | u32::from(detailed) << u8::BITS)
    }
}

/// The gates that a governor opens.
pub(crate) struct Gates {
    pub(crate) plain: Gate,
    pub(crate) detailed: Gate,
}

impl Gates {
    /// For its own tenants, unless requests are recorded.
    pub(crate) fn of(tag: u8, recorded: bool) -> Self {
        // Of no request: all that are shut have every bit set.
        const NONE: Gate = Gate(u32::MAX - 1);
        let of = |detailed| if recorded { NONE } else { Gate::of(tag, detailed) };
        Self { plain: of(false), detailed: of(true) }
    }
}

impl Asked for Request {
    #[inline]
    fn owner(&self) -> Owner {
        self.owner
    }

    #[inline]
    fn bytes(&self) -> u64 {
        self.bytes
    }

    #[inline]
    fn key(&self) -> u64 {
        self.key
    }

    #[inline]
    fn fields(&self) -> Fields {
        let Self { key, cookie, flags, .. } = *self;
        Fields { key, cookie, expires_ns: 0, keep_until_ns: 0, flags }
    }

    #[inline]
    fn cost(&self) -> Cost {
        self.packed_cost
    }
}
