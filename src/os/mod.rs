//! What the machine says about memory and time. It fills a [`Sample`] and decides nothing.
//!
//! | file | what is there |
//! |---|---|
//! | `mod.rs` | [`Sample`], [`Probe`], [`OsError`]; [`probe`] picks the probe of this machine |
//! | `clock.rs` | [`Clock`]: nanoseconds since creation, or a hand that a test moves |
//! | `fake.rs` | [`Scripted`]: samples and errors in a given order |
//! | `linux.rs` | `/proc` and cgroups; `linux/text.rs` reads their texts, as pure functions |
//! | `macos.rs` | Mach counters and the memory pressure that dispatch reports |
//! | `mac_pages.rs` | what a Mac's page counts mean, as a pure function |
//!
//! Nothing here is called on a hot path: one sample is a handful of system calls.

mod clock;
mod fake;
#[cfg(target_os = "linux")]
pub mod linux;
#[cfg(any(target_os = "macos", test))]
mod mac_pages;
#[cfg(target_os = "macos")]
pub mod macos;

pub use clock::{Clock, ManualClock};
pub use fake::Scripted;

use std::io::ErrorKind;
use std::path::PathBuf;

/// How short of memory the machine says it is. The order is the order of severity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MachineLevel {
    /// Nothing to report.
    #[default]
    Normal,
    /// Memory is short: what is cheap to rebuild should go.
    Warning,
    /// The machine is close to killing processes.
    Critical,
}

/// One look at the machine's memory. `None` means that the machine does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Physical memory of the machine.
    pub total_bytes: u64,
    /// What of it is set aside for those who ask for it as such, and can be had by nobody else
    /// (Linux: huge pages).
    pub reserved_bytes: Option<u64>,
    /// What can still be allocated without swapping, here and under every limit above us.
    pub available_bytes: u64,
    /// What this process keeps in memory, compressed memory or swap; clean pages of files, which
    /// the machine can drop, are left out.
    pub process_bytes: Option<u64>,
    /// The tightest limit set on a set of processes that includes this one (Linux: cgroups).
    /// `None` where there is none below [`Self::total_bytes`].
    pub limit_bytes: Option<u64>,
    /// What is in use under [`Self::limit_bytes`], or, without a limit, on the whole machine.
    pub used_bytes: Option<u64>,
    /// The machine's own judgement.
    pub level: MachineLevel,
    /// Share of the last ten seconds in which some task waited for memory, in parts per million
    /// (Linux: PSI `some avg10`).
    pub stall_ppm: Option<u32>,
    /// Size of the swap space.
    pub swap_total_bytes: Option<u64>,
    /// What of it is in use.
    pub swap_used_bytes: Option<u64>,
}

impl Sample {
    /// A machine at ease that says no more than these two figures.
    pub const fn new(total_bytes: u64, available_bytes: u64) -> Self {
        Self {
            total_bytes,
            reserved_bytes: None,
            available_bytes,
            process_bytes: None,
            limit_bytes: None,
            used_bytes: None,
            level: MachineLevel::Normal,
            stall_ppm: None,
            swap_total_bytes: None,
            swap_used_bytes: None,
        }
    }

    /// The most that programs can have together, whatever they hold now: all memory but what is
    /// reserved, or the limit.
    pub fn shareable_bytes(&self) -> u64 {
        let rest_bytes = self.total_bytes.saturating_sub(self.reserved_bytes.unwrap_or(0));
        self.limit_bytes.map_or(rest_bytes, |limit_bytes| limit_bytes.min(rest_bytes))
    }
}

/// Something that can look at the machine. Exclusive, so that a probe may keep state.
pub trait Probe: Send + Sync {
    /// Looks once. Costs a handful of system calls.
    ///
    /// # Errors
    ///
    /// When a source that every sample needs cannot be read; the next call may succeed.
    fn sample(&mut self) -> Result<Sample, OsError>;
}

/// Why the machine could not be sampled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OsError {
    /// A file could not be read.
    #[error("cannot read {}: {kind}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system answered.
        kind: ErrorKind,
    },
    /// A file was read but does not hold what it should.
    #[error("{} does not hold {expected}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        expected: &'static str,
    },
    /// A Mach call failed.
    #[error("{call} failed with kern_return {code}")]
    Mach {
        /// The call.
        call: &'static str,
        /// Its `kern_return_t`; 0 when it succeeded and returned less than asked for.
        code: i32,
    },
    /// Another call of the system failed.
    #[error("{call} failed: {kind}")]
    Call {
        /// The call and its main argument.
        call: &'static str,
        /// What the system answered.
        kind: ErrorKind,
    },
    /// The probe panicked, which is its own fault.
    #[error("the probe panicked: mend it, or use the one of this machine")]
    Panicked,
    /// No probe was written for this system.
    #[error("no probe for {system}: write one of your own, or use Linux or macOS")]
    Unsupported {
        /// The system's name.
        system: &'static str,
    },
}

/// The probe of this machine. It never fails here: what kept it from being set up is what its
/// samples then answer.
pub fn probe() -> Box<dyn Probe> {
    match this_machine() {
        Ok(probe) => probe,
        Err(error) => Box::new(Scripted::new(Err(error))),
    }
}

#[cfg(target_os = "linux")]
fn this_machine() -> Result<Box<dyn Probe>, OsError> {
    Ok(Box::new(linux::LinuxProbe::here()?))
}

#[cfg(target_os = "macos")]
fn this_machine() -> Result<Box<dyn Probe>, OsError> {
    Ok(Box::new(macos::MacProbe::here()?))
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn this_machine() -> Result<Box<dyn Probe>, OsError> {
    Err(OsError::Unsupported { system: std::env::consts::OS })
}
