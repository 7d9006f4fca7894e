//! What the machine says about its memory, and what the manager makes of it.
//!
//! | the machine says | counts as pressure |
//! |---|---|
//! | normal | none: the pool's own fill decides |
//! | warning | High, at least |
//! | critical | Critical |
//!
//! A look that fails changes nothing: what was reported last stands, and the error can be read.

use super::{Inner, MultiTenantMemoryManager, lock};
use crate::Pressure;
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
}

impl Machine {
    pub(super) fn seen_by(probe: Option<Box<dyn Probe>>) -> Self {
        Self { probe: Mutex::new(probe), last: Mutex::default() }
    }
}

impl Inner {
    /// Looks at the machine and reports how short of memory it is. A handful of system calls.
    pub(super) fn look_at_machine(&self, now_ns: u64) {
        let answer = {
            let mut probe = lock(&self.machine.probe);
            probe.get_or_insert_with(crate::os::probe).sample()
        };
        if let Ok(sample) = &answer {
            self.governor.report_pressure(match sample.level {
                MachineLevel::Normal => Pressure::Normal,
                MachineLevel::Warning => Pressure::High,
                MachineLevel::Critical => Pressure::Critical,
            });
        }
        *lock(&self.machine.last) = Some(MachineLook { time_ns: now_ns, answer });
    }
}

impl MultiTenantMemoryManager {
    /// What the monitor saw when it last looked at the machine; none before its first step.
    pub fn machine(&self) -> Option<MachineLook> {
        lock(&self.inner.machine.last).clone()
    }
}
