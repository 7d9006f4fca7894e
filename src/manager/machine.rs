//! What the machine says about its memory, and what others measure, and what the manager makes of
//! it.
//!
//! | the machine says | counts as pressure |
//! |---|---|
//! | normal | none: the pool's own fill decides |
//! | warning | High, at least |
//! | critical | Critical |
//!
//! A look that fails changes nothing: what was reported last stands, and the error can be read. A
//! probe that panics is a look that failed: what else the monitor looks at does not depend on it.

use super::error::MemoryError;
use super::{Inner, MultiTenantMemoryManager, lock};
use crate::Pressure;
use crate::caught::caught;
use crate::config::TenantId;
use crate::os::{MachineLevel, OsError, Probe, Sample};
use std::sync::Mutex;

/// The machine as it was when it was last looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineLook {
    /// When, in ns of the governor's clock.
    pub time_ns: u64,
    /// What it said, or why nothing could be read.
    pub answer: Result<Sample, OsError>,
}

/// The machine, to be looked at by one thread at a time.
#[derive(Default)]
pub(super) struct Machine {
    /// None until the first look, which picks the probe of this machine.
    probe: Mutex<Option<Box<dyn Probe>>>,
    last: Mutex<Option<MachineLook>>,
    /// Since when every look has failed.
    failing_since_ns: Mutex<Option<u64>>,
    /// Whether what the process holds is reported as well.
    measures_process: bool,
}

impl Machine {
    pub(super) fn seen_by(probe: Option<Box<dyn Probe>>, measures_process: bool) -> Self {
        Self { probe: Mutex::new(probe), measures_process, ..Self::default() }
    }

    /// Since when every look has failed; none: the last one did not, or there was none.
    pub(super) fn failing_since_ns(&self) -> Option<u64> {
        *lock(&self.failing_since_ns)
    }
}

impl Inner {
    /// Looks at the machine and reports how short of memory it is. A handful of system calls.
    pub(super) fn look_at_machine(&self, now_ns: u64) {
        let answer = {
            let mut probe = lock(&self.machine.probe);
            let look = || probe.get_or_insert_with(crate::os::probe).sample();
            caught(look).unwrap_or(Err(OsError::Panicked))
        };
        if let Ok(sample) = &answer {
            if self.machine.measures_process {
                self.governor.report_measured_process(sample.process_bytes);
            }
            self.governor.report_pressure(match sample.level {
                MachineLevel::Normal => Pressure::Normal,
                MachineLevel::Warning => Pressure::High,
                MachineLevel::Critical => Pressure::Critical,
            });
        }
        {
            let mut failing = lock(&self.machine.failing_since_ns);
            *failing = answer.is_err().then(|| failing.unwrap_or(now_ns));
        }
        *lock(&self.machine.last) = Some(MachineLook { time_ns: now_ns, answer });
    }
}

impl MultiTenantMemoryManager {
    /// Reports what a tenant really holds, in bytes, however it was measured; `None` if it is not
    /// measured any more. What it holds beyond its allocations shows in the dashboard, counts as
    /// pressure from the next step of the balancer on, and binds nobody's limit.
    ///
    /// Memory that its owner said to have freed has to show in later reports, within
    /// [`freed_shows_ns`](crate::GovernorConfig::freed_shows_ns).
    ///
    /// # Errors
    ///
    /// [`MemoryError::UnknownTenant`].
    pub async fn report_measured(
        &self,
        tenant_id: TenantId,
        bytes: impl Into<Option<u64>>,
    ) -> Result<(), MemoryError> {
        let tenant = self.tenant(tenant_id)?;
        let reported = self.inner.governor.report_measured(tenant.handle, bytes.into());
        reported.map_err(|error| MemoryError::of_tenant(error, tenant_id))
    }

    /// Reports what the process as a whole really holds, in bytes; `None` if it is not measured any
    /// more. All of it counts against `max_memory_mb` as pressure, at once.
    pub async fn report_measured_process(&self, bytes: impl Into<Option<u64>>) {
        self.inner.governor.report_measured_process(bytes.into());
    }

    /// What the monitor saw when it last looked at the machine; none before its first step.
    pub fn machine(&self) -> Option<MachineLook> {
        lock(&self.inner.machine.last).clone()
    }
}
