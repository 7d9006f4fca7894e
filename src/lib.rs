//! Allotment: a memory governor. Many tenants share one memory; the governor grants or denies
//! every request under quotas, guarantees, bursts and priorities, evicts what can be rebuilt when
//! memory is short, never over-commits by a byte, and can say who holds what and why.
//!
//! ```
//! use allotment::*;
//!
//! let governor = Governor::new(GovernorConfig::new(24 << 30))?;
//! let chat = governor.register_tenant(TenantConfig {
//!     guarantee_bytes: 8 << 30,
//!     priority: Priority::Critical,
//!     ..TenantConfig::new(TenantId::from_u128(1), "chat")
//! })?;
//! match governor.request(&Request::new(chat, AllocationType::Inference, 2 << 30)) {
//!     Ok(grant) => println!("{} bytes until it is dropped", grant.bytes()),
//!     Err(Refusal::Denied(denial)) => println!("not now: {denial}"),
//!     Err(Refusal::Misuse(error)) => return Err(error),
//! }
//! # Ok::<(), Error>(())
//! ```
//!
//! [`MultiTenantMemoryManager`] stands over it: tenants by UUID, sizes in MiB, `async` verbs, a
//! reason in words, a queue, alerts, threads that look after it.
//!
//! ```
//! use allotment::*;
//!
//! async fn load(manager: &MultiTenantMemoryManager, chat: TenantId) -> Result<(), MemoryError> {
//!     let request = MemoryAllocationRequest {
//!         tenant_id: chat,
//!         requested_memory_mb: 6 * 1024,
//!         model_name: "llama-7b".to_string(),
//!         allocation_type: AllocationType::ModelLoad,
//!     };
//!     match manager.request_allocation(request).await? {
//!         MemoryAllocationResponse::Granted { allocation_id } => {
//!             manager.release_allocation(chat, &allocation_id, 6 * 1024).await?;
//!         }
//!         MemoryAllocationResponse::Denied { reason, .. } => println!("{reason}"),
//!         MemoryAllocationResponse::Queued { estimated_wait_time_secs } => {
//!             println!("ask again for the same in {estimated_wait_time_secs} s");
//!         }
//!     }
//!     Ok(())
//! }
//! ```
//!
//! # Where is ...?
//!
//! | I want to see | open |
//! |---|---|
//! | where a grant is decided | `core/admission.rs` |
//! | the counting: used and claim, buying, trimming, the pool | `core/account.rs` |
//! | a grant's life in one word | `core/grants.rs` |
//! | who is evicted first | `core/order.rs` across tenants, `core/policy.rs` within a queue |
//! | how bytes are got back | `core/evict.rs` |
//! | how owners are asked, and what if they hang | `reclaim.rs`, `workers.rs` |
//! | what if they promise and do not keep it | `promises.rs` |
//! | how a victim is found | `core/queue.rs` |
//! | what a balancer step does | `balance.rs`, `idle.rs`, `ceiling.rs` |
//! | who is told how short memory is, and when | `listener.rs`, `core/listener.rs` |
//! | who waits, who is served next, who is woken | `waiting.rs`, `core/wait.rs`, `wakers.rs` |
//! | how a wait is estimated | `core/estimate.rs`, over what `core/turnover.rs` counts |
//! | who waits in a circle | `core/circle.rs`, and what is read for it: `circle.rs` |
//! | what the machine says | `os/linux.rs`, `os/macos.rs` |
//! | what is measured beside what is declared | `measured.rs`, `shortfall.rs` |
//! | what is recorded, the room for it, what had none | `recording.rs`, `core/events.rs` |
//! | how that is read | `events.rs` |
//! | what is configured | `config.rs` |
//! | what can be refused, and why | `error.rs`, `explain.rs`, `room.rs` |
//! | the facade in MiB and names, [`MultiTenantMemoryManager`] | `manager/` |
//! | when there is an alert, and when it is over | `manager/alerts.rs`, `manager/thresholds.rs` |
//! | the log that proves what happened | `audit/` |
//! | that it is true | `tests/`, `loom-tests/tests/`, by the same file names |

pub mod audit;
mod balance;
mod caught;
mod ceiling;
mod circle;
mod config;
mod core;
mod details;
mod error;
mod events;
mod explain;
mod governor;
mod grant;
mod idle;
mod leak;
mod listener;
mod manager;
mod measured;
mod meter;
pub mod os;
mod polled;
mod promises;
mod reclaim;
mod recording;
mod registration;
mod request;
mod room;
mod shortfall;
mod snapshot;
mod waiting;
mod wakers;
mod workers;

pub use crate::core::batch::BATCH_MAX;
pub use crate::core::events::{Event, EventKind, Verb, asked};
pub use crate::core::evict::ReclaimAnswer;
pub use crate::core::handle::{GrantId, GroupHandle, TenantHandle};
pub use crate::core::policy::Policy;
pub use crate::core::pressure::Pressure;
pub use crate::core::rate::RateLimit;
pub use crate::core::ring::Read as EventRead;
pub use balance::BalanceReport;
pub use circle::CircularWait;
pub use config::{
    AllocationType, AuditMode, GovernorConfig, GroupConfig, Isolation, Priority, TenantConfig,
    TenantId,
};
pub use error::{AccountName, Denial, DenialReason, Error, Pins, Refusal};
pub use events::{EventMark, EventReader};
pub use explain::{Explanation, Holder, Plan, PlannedVictim};
pub use governor::Governor;
pub use grant::{Grant, HeldGrant, OwnedGrant, Released, Reservation};
pub use leak::{Leak, LeakReport};
pub use manager::{
    Alert, AlertChange, AlertKind, AlertLevel, AlertReader, AlertThresholds, AllocationAsk,
    AllocationCounts, AllocationDenial, AllocationExplanation, AllocationRefusal, AllocationView,
    BackgroundStatus, DashboardSummary, DenialCounts, DrainReport, EmergencyEntry, EmergencyVerb,
    EvictedAllocation, GlobalMemoryStatus, HistoryPoint, IsolationLevel, LatencySummary,
    MachineLook, ManagerOptions, MemoryAllocationRequest, MemoryAllocationResponse,
    MemoryBatchResponse, MemoryConfig, MemoryError, MemoryPressure, MemoryStatistics, ModelUsage,
    MonitorReport, MultiTenantMemoryManager, PlannedEviction, ReclaimCounts, Recommendation,
    RecommendationKind, TenantDashboard, TenantHold, TenantMemoryConfig, TenantPriority,
    TenantUsage, UsageHistory,
};
pub use measured::Shortfall;
pub use meter::{Meter, PoolMeter};
pub use reclaim::Victim;
pub use registration::Unregister;
pub use request::{Intent, Request};
pub use snapshot::{GroupSnapshot, Snapshot, TenantSnapshot};
pub use waiting::{HeldTicket, LOOK_AFTER_EVERY, OwnedTicket, Ticket};

/// The core's own types, for its models and tests. Not part of the interface.
#[doc(hidden)]
pub mod internals {
    pub use crate::core::*;
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

#[cfg(doctest)]
#[doc = include_str!("../docs/AUDIT.md")]
mod audit_guide {}
