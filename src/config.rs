//! What is configured, validated once; an error names the offending field.

use crate::core::account::{LEVELS, Settings};
use crate::core::events::Recorded;
use crate::core::handle::{GroupHandle, INDEX_MAX};
use crate::core::policy::Policy;
use crate::core::pressure::Thresholds;
use crate::core::rate::{RateLimit, TOLERANCE_NS_MAX};
use crate::core::word::BYTES_MAX;
use crate::error::Error;
use crate::os::Clock;
use uuid::Uuid;

/// Identifies a tenant across restarts and machines.
pub type TenantId = Uuid;

/// What memory is taken for. Decides who goes first when memory is short: background work, then
/// caches, then running inference; a loaded model never, unless its owner marked it evictable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum AllocationType {
    /// Weights: persistent, not evicted unless marked evictable.
    ModelLoad = 0,
    /// A running request.
    Inference = 1,
    /// Results and KV blocks that can be rebuilt.
    Cache = 2,
    /// Work nobody waits for.
    Background = 3,
}

impl AllocationType {
    /// All types, by number.
    pub const ALL: [Self; 4] = [Self::ModelLoad, Self::Inference, Self::Cache, Self::Background];

    /// The type with this number.
    pub fn from_u8(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// The type's name in lower case.
    pub fn name(self) -> &'static str {
        ["model load", "inference", "cache", "background"][self as usize]
    }
}

/// Who goes first when not all can. The weight decides fair shares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Priority {
    /// Weight 1; evicted first.
    Low = 0,
    /// Weight 2.
    #[default]
    Normal = 1,
    /// Weight 3.
    High = 2,
    /// Weight 4; evicted last.
    Critical = 3,
}

impl Priority {
    /// All priorities, lowest first.
    pub const ALL: [Self; 4] = [Self::Low, Self::Normal, Self::High, Self::Critical];

    /// The weight of the fair share.
    pub fn weight(self) -> u64 {
        self as u64 + 1
    }

    /// The priority's name in lower case.
    pub fn name(self) -> &'static str {
        ["low", "normal", "high", "critical"][self as usize]
    }
}

/// How strictly a tenant's own limits bind it. The pool's capacity binds everybody always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Isolation {
    /// The tenant's limits are ignored; its guarantee is kept.
    None = 0,
    /// Up to the burst limit while pressure is normal, the limit when it is high, the fair share
    /// when it is critical.
    #[default]
    Soft = 1,
    /// The limit, whatever the pressure.
    Hard = 2,
}

impl Isolation {
    /// The level's name in lower case.
    pub fn name(self) -> &'static str {
        ["none", "soft", "hard"][self as usize]
    }
}

/// Whether what a governor does is recorded for an audit log, and what happens while the log
/// cannot keep up, or its disk is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum AuditMode {
    /// There is no audit log.
    #[default]
    Off = 0,
    /// Memory comes first: records that find no room are lost, and the log says how many.
    DropAndCount = 1,
    /// The log comes first: a request, growth or change whose records would find no room is refused
    /// ([`crate::DenialReason::AuditFull`], [`Error::AuditFull`]). Room for the record of its end
    /// is kept from the moment a grant is made, so releasing and evicting always go on.
    FailClosed = 2,
}

impl AuditMode {
    /// Events kept at least where there is an audit log, 64 bytes each.
    pub const EVENTS_MIN: u32 = 1 << 12;
    /// Events kept where there is an audit log and nothing is said: 4 MiB. Its writer may be kept
    /// from running for some milliseconds, in which a governor can make tens of thousands.
    pub const EVENTS_DEFAULT: u32 = 1 << 16;

    /// The mode's name in lower case.
    pub fn name(self) -> &'static str {
        ["off", "drop-and-count", "fail-closed"][self as usize]
    }
}

/// Priority and isolation as the core carries them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Traits {
    pub priority: Priority,
    pub isolation: Isolation,
}

impl Traits {
    pub(crate) fn pack(self) -> u64 {
        (self.priority as u64) | (self.isolation as u64) << 8
    }

    pub(crate) fn unpack(word: u64) -> Self {
        let isolation = [Isolation::None, Isolation::Soft, Isolation::Hard];
        Self {
            priority: Priority::ALL[(word & 3) as usize],
            isolation: isolation[((word >> 8) as usize).min(2)],
        }
    }
}

/// How the whole is set up. Begin with [`GovernorConfig::new`] and change what differs.
#[derive(Clone, Debug)]
pub struct GovernorConfig {
    /// Bytes to share, 1 to 2^48 - 1.
    pub capacity_bytes: u64,
    /// Most tenants registered at once, 1 to 2^20. Costs address space, not memory.
    pub tenants_max: u32,
    /// Most groups registered at once, up to 2^16.
    pub groups_max: u32,
    /// Most live grants, 1 to 2^23. Costs address space, not memory.
    pub grants_max: u32,
    /// Content keys whose frequency is remembered after eviction; 0: none.
    pub ghost_keys_max: u32,
    /// Events kept for readers, rounded up to a power of two; 0: none are recorded. For an audit
    /// log at least [`AuditMode::EVENTS_MIN`] are kept, and 0 means
    /// [`AuditMode::EVENTS_DEFAULT`].
    pub events_max: u32,
    /// Whether there is an audit log ([`crate::audit`]), and what happens while it has no room.
    pub audit: AuditMode,
    /// Whether the audit log also gets what was asked for and used, so that a recording of one
    /// thread replays to the bit. About twice the records.
    pub audit_calls: bool,
    /// Most requests that wait at once, up to 2^16; 0: nobody can wait.
    pub waiters_max: u32,
    /// How long a waiter may be passed over by smaller ones before bytes are set aside for it, in
    /// ns.
    pub patience_ns: u64,
    /// Bytes of claim bought beyond the need while the pool is far from full.
    pub quantum_bytes: u64,
    /// Bytes freed beyond a shortage when victims are evicted for it: the next requests need not
    /// evict. A cache of many small grants gains speed from room for about ten of them; where
    /// grants are large leave it 0, for a whole grant goes for the last byte of it.
    pub headroom_bytes: u64,
    /// Most victims evicted for one request.
    pub victims_max: u32,
    /// For how long a victim whose owner answered busy is left alone, in ns.
    pub busy_cooldown_ns: u64,
    /// Within what time a grant has to be released whose owner said it would be, or that was handed
    /// out to be polled, in ns, at least 1; `u64::MAX`: it may take for ever, and keeps others from
    /// being evicted for as long. After that it counts as declined ([`crate::Governor::decline`]).
    /// At most 65536 promises are kept in mind: for one more the oldest counts as declined early.
    pub promise_ns: u64,
    /// Within what time memory that was said to be freed has to show in what is measured, in ns.
    pub freed_shows_ns: u64,
    /// For how long a tenant requests and releases nothing before a step of the balancer hands up
    /// the claim it does not use, so that it is free for others, in ns; `u64::MAX`: never.
    pub idle_claim_ns: u64,
    /// For how long a tenant requests nothing before its ceiling comes down to what it holds, or to
    /// its guarantee, while pressure is High or Critical, in ns; `u64::MAX`, the default: never.
    /// A request, also one that is denied, raises it again with the next step of the balancer.
    pub inactive_limit_ns: u64,
    /// Whether the fill of the pool counts as pressure. Switch it off for a process whose whole
    /// purpose is a full cache; the machine's own signal still counts.
    pub pool_pressure: bool,
    /// Percent of capacity at which a warning event is raised.
    pub warning_percent: u8,
    /// Percent of capacity at which pressure is High.
    pub high_percent: u8,
    /// Percent of capacity at which pressure is Critical.
    pub critical_percent: u8,
    /// Percentage points below a threshold at which its level ends.
    pub hysteresis_percent: u8,
    /// Percent of live bytes a balancer step frees at High.
    pub high_relief_percent: u8,
    /// Percent of live bytes a balancer step frees at Critical.
    pub critical_relief_percent: u8,
    /// Where time comes from.
    pub clock: Clock,
}

impl GovernorConfig {
    /// The defaults for a pool of so many bytes.
    pub fn new(capacity_bytes: u64) -> Self {
        Self {
            capacity_bytes,
            tenants_max: 16_384,
            groups_max: 1_024,
            grants_max: 1 << 20,
            ghost_keys_max: 1 << 18,
            events_max: 0,
            audit: AuditMode::Off,
            audit_calls: false,
            waiters_max: 4_096,
            patience_ns: 10_000_000_000,
            quantum_bytes: 1 << 20,
            headroom_bytes: 0,
            victims_max: 65_536,
            busy_cooldown_ns: 1_000_000_000,
            promise_ns: 10_000_000_000,
            freed_shows_ns: 10_000_000_000,
            idle_claim_ns: 10_000_000_000,
            inactive_limit_ns: u64::MAX,
            pool_pressure: true,
            warning_percent: 80,
            high_percent: 90,
            critical_percent: 95,
            hysteresis_percent: 5,
            high_relief_percent: 20,
            critical_relief_percent: 40,
            clock: Clock::monotonic(),
        }
    }

    pub(crate) fn validate(&self) -> Result<(), Error> {
        in_range("capacity_bytes", self.capacity_bytes, 1, BYTES_MAX)?;
        in_range("tenants_max", self.tenants_max.into(), 1, 1 << 20)?;
        in_range("groups_max", self.groups_max.into(), 0, 1 << 16)?;
        in_range("grants_max", self.grants_max.into(), 1, u64::from(INDEX_MAX + 1) / 2)?;
        in_range("ghost_keys_max", self.ghost_keys_max.into(), 0, 1 << 28)?;
        in_range("events_max", self.events_max.into(), 0, 1 << 24)?;
        in_range("waiters_max", self.waiters_max.into(), 0, 1 << 16)?;
        in_range("quantum_bytes", self.quantum_bytes, 0, BYTES_MAX)?;
        in_range("headroom_bytes", self.headroom_bytes, 0, BYTES_MAX)?;
        in_range("victims_max", self.victims_max.into(), 1, u64::from(u32::MAX))?;
        in_range("promise_ns", self.promise_ns, 1, u64::MAX)?;
        in_range("critical_percent", self.critical_percent.into(), 1, 100)?;
        let critical = u64::from(self.critical_percent);
        in_range("high_percent", self.high_percent.into(), 1, critical)?;
        in_range("warning_percent", self.warning_percent.into(), 1, self.high_percent.into())?;
        let lowest = u64::from(self.warning_percent) - 1;
        in_range("hysteresis_percent", self.hysteresis_percent.into(), 0, lowest)?;
        in_range("high_relief_percent", self.high_relief_percent.into(), 0, 100)?;
        in_range("critical_relief_percent", self.critical_relief_percent.into(), 0, 100)
    }

    /// What the core records.
    pub(crate) fn recorded(&self) -> Recorded {
        let kept = match (self.audit, self.events_max) {
            (AuditMode::Off, kept) => kept,
            (_, 0) => AuditMode::EVENTS_DEFAULT,
            (_, kept) => kept.max(AuditMode::EVENTS_MIN),
        };
        Recorded {
            capacity: if kept > 0 { kept.next_power_of_two() } else { 0 },
            calls: self.audit != AuditMode::Off && self.audit_calls,
            with_room: self.audit == AuditMode::FailClosed,
        }
    }

    pub(crate) fn thresholds(&self) -> Thresholds {
        Thresholds {
            warning_percent: self.warning_percent,
            high_percent: self.high_percent,
            critical_percent: self.critical_percent,
            hysteresis_percent: self.hysteresis_percent,
        }
    }
}

fn in_range(field: &'static str, value: u64, low: u64, high: u64) -> Result<(), Error> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(Error::Config { field, problem: format!("{value} is out of range; use {low} to {high}") })
}

/// A group: an inner node of the tree that owns limits for its children.
#[derive(Clone, Debug)]
pub struct GroupConfig {
    /// What people call it.
    pub name: String,
    /// The group above; none: directly below the pool.
    pub parent: Option<GroupHandle>,
    /// Floor of the whole group, in bytes; its children's guarantees come out of it.
    pub guarantee_bytes: u64,
    /// Ceiling of the whole group, in bytes; none: the parent's.
    pub limit_bytes: Option<u64>,
}

impl GroupConfig {
    /// A group below the pool without guarantee or limit.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), parent: None, guarantee_bytes: 0, limit_bytes: None }
    }

    pub(crate) fn settings(&self) -> Result<Settings, Error> {
        let limit = checked_limit(self.limit_bytes, self.guarantee_bytes)?;
        Ok(Settings {
            limits: [limit; LEVELS],
            guarantee: self.guarantee_bytes,
            ..Settings::default()
        })
    }
}

/// A tenant: the party whose bytes are counted.
#[derive(Clone, Debug)]
pub struct TenantConfig {
    /// The tenant's identity.
    pub id: TenantId,
    /// What people call it.
    pub name: String,
    /// The group above; none: directly below the pool.
    pub parent: Option<GroupHandle>,
    /// Floor in bytes: always granted, never reclaimed.
    pub guarantee_bytes: u64,
    /// Ceiling in bytes; none: the parent's.
    pub limit_bytes: Option<u64>,
    /// Higher ceiling while pressure is normal; for [`Isolation::Soft`] only.
    pub burst_bytes: Option<u64>,
    /// Who goes first when not all can.
    pub priority: Priority,
    /// How strictly the limits bind.
    pub isolation: Isolation,
    /// The order of eviction within each of the tenant's queues.
    pub policy: Policy,
    /// Most live grants of each [`AllocationType`], by its number.
    pub grants_max: [Option<u32>; 4],
    /// Most requests a second; none: not limited.
    pub rate: Option<RateLimit>,
}

impl TenantConfig {
    /// A tenant below the pool without guarantee or limits: normal priority, soft isolation.
    pub fn new(id: TenantId, name: impl Into<String>) -> Self {
        Self {
            id,
            name: name.into(),
            parent: None,
            guarantee_bytes: 0,
            limit_bytes: None,
            burst_bytes: None,
            priority: Priority::default(),
            isolation: Isolation::default(),
            policy: Policy::default(),
            grants_max: [None; 4],
            rate: None,
        }
    }

    pub(crate) fn settings(&self) -> Result<Settings, Error> {
        let limit = checked_limit(self.limit_bytes, self.guarantee_bytes)?;
        let burst = match self.burst_bytes {
            None => limit,
            Some(burst) => {
                in_range("burst_bytes", burst, limit, BYTES_MAX)?;
                burst
            }
        };
        if let Some(RateLimit { interval_ns, tolerance_ns }) = self.rate {
            in_range("rate.interval_ns", interval_ns, 1, u64::MAX)?;
            in_range("rate.tolerance_ns", tolerance_ns, 0, TOLERANCE_NS_MAX)?;
        }
        let (limits, soft) = match self.isolation {
            Isolation::None => ([BYTES_MAX; LEVELS], false),
            Isolation::Hard => ([limit; LEVELS], false),
            Isolation::Soft => ([burst, limit, limit], true),
        };
        let traits = Traits { priority: self.priority, isolation: self.isolation };
        let counted = (0..4).filter(|&t| self.grants_max[t].is_some()).map(|t| 1 << t).sum();
        Ok(Settings {
            limits,
            guarantee: self.guarantee_bytes,
            share_weight: if soft { self.priority.weight() } else { 0 },
            traits: traits.pack(),
            counted,
            paced: self.rate.is_some(),
        })
    }
}

fn checked_limit(limit: Option<u64>, guarantee: u64) -> Result<u64, Error> {
    in_range("guarantee_bytes", guarantee, 0, BYTES_MAX)?;
    let Some(limit) = limit else { return Ok(BYTES_MAX) };
    in_range("limit_bytes", limit, guarantee.max(1), BYTES_MAX)?;
    Ok(limit)
}
