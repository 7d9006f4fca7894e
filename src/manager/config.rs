//! The settings of the facade, in MiB, and how they become the governor's.

use super::alerts::AlertStream;
use super::emergency::EmergencyLog;
use super::error::MemoryError;
use super::eviction::Listener;
use super::machine::Machine;
use super::monitor::Monitoring;
use super::names::Shown;
use super::queue::{Queue, QueueOptions};
use super::reason::Mib;
use super::thresholds::AlertThresholds;
use crate::RateLimit;
use crate::config::{GovernorConfig, Isolation, Priority, TenantConfig, TenantId};
use crate::os::Probe;
use std::time::Duration;

/// One MiB in bytes.
pub(super) const MIB: u64 = 1 << 20;
/// Most MiB anything can be set to: what 48 bits of bytes hold.
pub(super) const MB_MAX: u64 = ((1 << 48) - 1) / MIB;
/// Most requests a second that a rate can be set to: what a clock of 1 ns can tell apart.
const RATE_MAX: u64 = 1_000_000_000;

/// Who goes first when not all can: Critical, High, Normal or Low.
pub type TenantPriority = Priority;
/// How strictly a tenant's own limits bind it: None, Soft or Hard.
pub type IsolationLevel = Isolation;
/// How short memory is: Normal, High or Critical.
pub type MemoryPressure = crate::Pressure;

/// How a manager is set up. More can be said with [`ManagerOptions`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryConfig {
    /// Memory to share, in MiB: 1 to 268435455.
    pub max_memory_mb: u64,
    /// Whether a thread looks at the machine every so often, as
    /// [`start_monitoring`](crate::MultiTenantMemoryManager::start_monitoring) does: how short of
    /// memory the machine is then counts as pressure.
    pub enable_monitoring: bool,
    /// Time between two looks of the monitor, in seconds, and before the first one; at least 1 if
    /// monitoring is enabled.
    pub monitoring_interval_secs: u64,
    /// Whether a thread balances memory every so often, as
    /// [`balance_memory`](crate::MultiTenantMemoryManager::balance_memory) does.
    pub enable_memory_balancing: bool,
    /// Time between two steps of the balancer, in seconds, and before the first one; at least 1 if
    /// balancing is enabled.
    pub balancing_interval_secs: u64,
    /// Whether cold content is compressed. Accepted, and nothing is compressed: the manager decides
    /// and never touches the bytes. It says so in
    /// [`MultiTenantMemoryManager::warnings`](crate::MultiTenantMemoryManager::warnings) and in its
    /// `Debug` output, and prints nothing: whoever reads the settings at the start of a service
    /// logs these.
    pub enable_compression: bool,
    /// The size, in MiB, from which content is compressed.
    pub compression_threshold_mb: u64,
}

impl MemoryConfig {
    pub(super) fn max_bytes(&self) -> Result<u64, MemoryError> {
        config_bytes("max_memory_mb", self.max_memory_mb, 1)
    }

    /// What is accepted and has no effect, or not the expected one.
    pub(super) fn warnings(&self) -> Vec<String> {
        let threshold = self.compression_threshold_mb;
        let compression = self.enable_compression.then(|| {
            format!(
                "enable_compression: nothing is compressed, so the compression_threshold_mb of \
                 {threshold} has no effect either; compress what you keep yourself and release \
                 the difference, or set it to false"
            )
        });
        compression.into_iter().collect()
    }

    pub(super) fn validate(&self) -> Result<(), MemoryError> {
        self.max_bytes()?;
        if self.enable_monitoring {
            self.monitoring_interval()?;
        }
        if self.enable_memory_balancing {
            interval_secs("balancing_interval_secs", self.balancing_interval_secs)?;
        }
        Ok(())
    }

    /// Seconds between two looks of the monitor, if that can be.
    pub(super) fn monitoring_interval(&self) -> Result<u64, MemoryError> {
        interval_secs("monitoring_interval_secs", self.monitoring_interval_secs)
    }
}

/// A tenant: the party whose memory is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantMemoryConfig {
    /// The tenant's identity: a UUID.
    pub tenant_id: TenantId,
    /// Ceiling, in MiB. May exceed what there is: the pool binds everybody.
    pub max_memory_mb: u64,
    /// Who goes first when not all can.
    pub priority: TenantPriority,
    /// Floor, in MiB, at most `max_memory_mb`: always granted, never evicted. The guarantees of
    /// all tenants fit into the pool.
    pub guaranteed_memory_mb: u64,
    /// Higher ceiling while pressure is normal, in MiB, at least `max_memory_mb`. For
    /// [`Isolation::Soft`](crate::Isolation::Soft) only: with another isolation it is accepted, has
    /// no effect, and
    /// [`MultiTenantMemoryManager::warnings`](crate::MultiTenantMemoryManager::warnings) says so.
    pub burst_limit_mb: Option<u64>,
    /// How strictly the ceilings bind.
    pub isolation_level: IsolationLevel,
}

impl TenantMemoryConfig {
    /// Checks everything that can be checked without the other tenants, in the caller's units.
    pub(super) fn validate(&self) -> Result<(), MemoryError> {
        let (max, guaranteed) = (self.max_memory_mb, self.guaranteed_memory_mb);
        config_bytes("max_memory_mb", max, 1)?;
        let refuse = |field, problem| Err(MemoryError::Config { field, problem });
        if guaranteed > max {
            let way = "lower the guarantee or raise the maximum";
            let problem = format!("{guaranteed} exceeds the max_memory_mb of {max}; {way}");
            return refuse("guaranteed_memory_mb", problem);
        }
        let Some(burst) = self.burst_limit_mb else { return Ok(()) };
        config_bytes("burst_limit_mb", burst, 1)?;
        if burst < max {
            let way = "raise it, or use None for no burst";
            let problem = format!("{burst} is below the max_memory_mb of {max}; {way}");
            return refuse("burst_limit_mb", problem);
        }
        Ok(())
    }

    /// Enters these settings into the governor's.
    pub(super) fn apply(&self, to: &mut TenantConfig) {
        to.guarantee_bytes = self.guaranteed_memory_mb * MIB;
        to.limit_bytes = Some(self.max_memory_mb * MIB);
        to.burst_bytes = self.burst_limit_mb.map(|burst| burst * MIB);
        to.priority = self.priority;
        to.isolation = self.isolation_level;
    }
}

type Tune = Box<dyn FnOnce(&mut GovernorConfig) + Send>;

/// What can be set beyond the [`MemoryConfig`].
///
/// ```
/// use allotment::ManagerOptions;
///
/// let options = ManagerOptions::default()
///     .governor(|governor| governor.high_percent = 85)
///     .queue_wait_max(std::time::Duration::from_secs(60))
///     .emergency_log_max(10_000);
/// ```
#[must_use]
pub struct ManagerOptions {
    tune: Option<Tune>,
    log_max: usize,
    queue: QueueOptions,
    probe: Option<Box<dyn Probe>>,
    reclaim_timeout: Duration,
    measure_process: bool,
    thresholds: AlertThresholds,
    alerts_max: usize,
    histories_max: usize,
}

/// Options as a manager is built from them.
pub(super) struct Settled {
    pub governor: GovernorConfig,
    pub log: EmergencyLog,
    pub queue: Queue,
    pub machine: Machine,
    pub listener: Listener,
    pub monitoring: Monitoring,
}

impl Default for ManagerOptions {
    fn default() -> Self {
        Self {
            tune: None,
            log_max: EmergencyLog::DEFAULT_MAX,
            queue: QueueOptions::default(),
            probe: None,
            reclaim_timeout: Duration::from_secs(1),
            measure_process: false,
            thresholds: AlertThresholds::default(),
            alerts_max: AlertStream::DEFAULT_MAX,
            histories_max: Monitoring::HISTORIES_MAX,
        }
    }
}

impl ManagerOptions {
    /// Changes the governor's own configuration: thresholds of pressure, sizes of tables, the
    /// clock, a capacity that is exact in bytes. Called once, when the manager is created.
    pub fn governor(self, tune: impl FnOnce(&mut GovernorConfig) + Send + 'static) -> Self {
        Self { tune: Some(Box::new(tune)), ..self }
    }

    /// Most emergency verbs that are remembered; the oldest go first. 1024 unless set.
    pub fn emergency_log_max(self, entries: usize) -> Self {
        Self { log_max: entries, ..self }
    }

    /// Whether requests that the pool cannot serve now are queued; if not, they are denied. On
    /// unless switched off.
    pub fn queueing(mut self, on: bool) -> Self {
        self.queue.enabled = on;
        self
    }

    /// How long a queued request waits at most, up to 24 hours; then it is denied. 30 s unless set.
    pub fn queue_wait_max(mut self, wait_max: Duration) -> Self {
        self.queue.wait_max = wait_max;
        self
    }

    /// How long a place in the queue, or what was assigned to it, is kept beyond the time after
    /// which the answer said to ask again; at most [`Self::queue_wait_max`]. 10 s
    /// unless set, or the longest wait if that is shorter.
    pub fn queue_keep(mut self, keep: Duration) -> Self {
        self.queue.keep_set = Some(keep);
        self
    }

    /// Most places that one tenant may have in the queue, 1 to 65536; all tenants together have
    /// [`GovernorConfig::waiters_max`]. 64 unless set.
    pub fn queue_places_max(mut self, places_max: u32) -> Self {
        self.queue.places_max = places_max;
        self
    }

    /// What the monitor looks at instead of this machine: a container's files, or a script.
    pub fn probe(self, probe: impl Probe + 'static) -> Self {
        Self { probe: Some(Box::new(probe)), ..self }
    }

    /// How long the callback of [`on_evict`](crate::MultiTenantMemoryManager::on_evict) may take
    /// before others are asked, one second unless set. Zero: as long as it likes, on the thread
    /// that asks.
    ///
    /// The thread that requests is blocked while an owner is asked, in `async` verbs too: for up to
    /// this long for each allocation that is asked for. On a runtime that is a thread of the
    /// executor's, on which nothing else runs meanwhile: keep this short, let the callback answer
    /// at once (`Deferred`, if freeing takes time), or request on a thread of your own.
    pub fn reclaim_timeout(self, timeout: Duration) -> Self {
        Self { reclaim_timeout: timeout, ..self }
    }

    /// Whether each look of the monitor at the machine also reports what the process holds, as
    /// [`report_measured_process`](crate::MultiTenantMemoryManager::report_measured_process) does.
    /// Off unless set: right where the process holds little beside what it is granted here.
    pub fn measure_process(self, on: bool) -> Self {
        Self { measure_process: on, ..self }
    }

    /// From where on something is worth an alert. A manager is not created with thresholds that
    /// contradict each other.
    pub fn thresholds(self, thresholds: AlertThresholds) -> Self {
        Self { thresholds, ..self }
    }

    /// Most alerts that are kept for readers, at least 1; the oldest go first. 1024 unless set.
    pub fn alerts_max(self, alerts: usize) -> Self {
        Self { alerts_max: alerts, ..self }
    }

    /// Most tenants whose history is kept at once, about 4 KiB each. 4096 unless set. Tenants
    /// that become active beyond that have none, until another one has been idle for an hour; their
    /// statistics and alerts are as those of all others.
    pub fn histories_max(self, tenants: usize) -> Self {
        Self { histories_max: tenants, ..self }
    }

    pub(super) fn settle(self, capacity_bytes: u64) -> Result<Settled, MemoryError> {
        self.queue.validate()?;
        self.thresholds.validate()?;
        if self.alerts_max == 0 {
            let problem = "0 is out of range; use at least 1".to_string();
            return Err(MemoryError::Config { field: "alerts_max", problem });
        }
        let mut governor = GovernorConfig::new(capacity_bytes);
        if let Some(tune) = self.tune {
            tune(&mut governor);
        }
        Ok(Settled {
            governor,
            log: EmergencyLog::new(self.log_max),
            queue: Queue::new(self.queue),
            machine: Machine::seen_by(self.probe, self.measure_process),
            listener: Listener::waiting_for(self.reclaim_timeout),
            monitoring: Monitoring::new(self.thresholds, self.alerts_max, self.histories_max),
        })
    }
}

impl std::fmt::Debug for ManagerOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("ManagerOptions");
        shown.field("log_max", &self.log_max).field("queue", &self.queue);
        shown.field("thresholds", &self.thresholds).finish_non_exhaustive()
    }
}

fn interval_secs(field: &'static str, secs: u64) -> Result<u64, MemoryError> {
    if secs > 0 {
        return Ok(secs);
    }
    let problem = "0 seconds leave no time between two steps; use at least 1".to_string();
    Err(MemoryError::Config { field, problem })
}

/// A setting in MiB as bytes.
fn config_bytes(field: &'static str, mb: u64, low: u64) -> Result<u64, MemoryError> {
    if (low..=MB_MAX).contains(&mb) {
        return Ok(mb * MIB);
    }
    let problem = format!("{mb} is out of range; use {low} to {MB_MAX}");
    Err(MemoryError::Config { field, problem })
}

/// A rate of requests as the governor keeps it, with a bucket of one second.
pub(super) fn config_rate(requests_per_second: u64) -> Result<RateLimit, MemoryError> {
    // Nothing else is refused: a bucket of one second's requests fills in a second.
    RateLimit::new(requests_per_second, requests_per_second).map_err(|_| MemoryError::Config {
        field: "requests_per_second",
        problem: format!(
            "{requests_per_second} is out of range; use 1 to {RATE_MAX}, or None for no limit"
        ),
    })
}

/// What is said of a tenant whose burst limit its isolation leaves without effect.
pub(super) fn burst_warning(config: &TenantConfig) -> Option<String> {
    let burst = Mib(config.burst_bytes?);
    let (isolation, why) = match config.isolation {
        Isolation::Soft => return None,
        Isolation::Hard => ("Hard", "max_memory_mb binds whatever the pressure"),
        Isolation::None => ("None", "none of its own limits binds"),
    };
    let name = Shown(&config.name);
    Some(format!(
        "burst_limit_mb of tenant {name}: {burst} has no effect, because with isolation \
         {isolation} {why}; set isolation_level to Soft, or burst_limit_mb to None"
    ))
}
