//! What this machine has, what of it may be shared, and who holds the most of it. The figures of
//! the library's probe, and beside them what only a person wants to know.
//!
//! | file | what is there |
//! |---|---|
//! | `processes` | the largest processes, a few of many |
//! | `linux` | stalls, overcommit, huge pages, processes, from `/proc` |
//! | `macos` | what the GPU works with, and footprints of processes |
//!
//! ```text
//! shareable = min(what the library's probe calls shareable, the GPU's working set)
//! shared    = four fifths of it, where nobody says, as `"auto"` of a configuration
//! ```

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "macos")]
mod macos;
mod processes;

use std::path::Path;

use allotment::os::{Probe, Sample, probe};

pub use self::processes::{Process, Processes};
use crate::failure::CliError;

/// What was seen of a machine.
#[derive(Clone, Debug)]
pub struct Machine {
    /// What the library's probe says.
    pub sample: Sample,
    /// What the system says beside that.
    pub more: More,
    /// The largest processes.
    pub processes: Processes,
}

/// What only some systems say.
#[derive(Clone, Debug, Default)]
pub struct More {
    /// Share of the time in which tasks waited for memory, in parts per million.
    pub stalls: Option<Stalls>,
    /// What the kernel promises beyond what it has.
    pub overcommit: Option<Overcommit>,
    /// Huge pages: what they take, the sample says.
    pub huge_pages: Option<HugePages>,
    /// What the GPU works with without getting slow (Mac).
    pub gpu_bytes: Option<u64>,
}

/// Share of the last 10, 60 and 300 seconds, in parts per million.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stalls {
    /// In which some task waited.
    pub some_ppm: [u32; 3],
    /// In which all tasks waited.
    pub full_ppm: [u32; 3],
}

/// What the kernel promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overcommit {
    /// 0: what seems possible, 1: everything, 2: no more than the limit.
    pub mode: u8,
    /// The most that may be promised, where the mode is 2.
    pub limit_bytes: u64,
    /// What is promised.
    pub committed_bytes: u64,
}

/// Pages that are set aside for those who ask for huge ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HugePages {
    /// What of those of the usual size nobody has.
    pub free_bytes: u64,
    /// Whether usual memory may become huge pages: `always`, `madvise`, `never`.
    pub transparent: Option<String>,
}

impl Machine {
    /// Looks at this machine, or at the one whose `/proc` lies below `root` (Linux).
    ///
    /// # Errors
    ///
    /// What could not be read.
    pub fn look(root: Option<&Path>) -> Result<Self, CliError> {
        let sample = probe_of(root)?.sample().map_err(|error| CliError::new(error.to_string()))?;
        let (more, processes) = more(root.unwrap_or(Path::new("/")));
        Ok(Self { sample, more, processes })
    }

    /// The most that programs of this machine can have together.
    pub fn shareable_bytes(&self) -> u64 {
        let bytes = self.sample.shareable_bytes();
        self.more.gpu_bytes.map_or(bytes, |gpu_bytes| gpu_bytes.min(bytes))
    }

    /// What is shared where nobody says.
    pub fn shared_bytes(&self) -> u64 {
        allotment_config::shared_bytes(self.shareable_bytes())
    }
}

/// What is shared of this machine where nobody says.
///
/// # Errors
///
/// If the machine does not say what it has.
pub fn shared_bytes() -> Result<u64, CliError> {
    let sample = probe().sample();
    let sample = sample.map_err(|error| {
        CliError::new(format!("{error}: say how much memory there is to share"))
    })?;
    let (more, processes) = more_without_processes(Path::new("/"));
    Ok(Machine { sample, more, processes }.shared_bytes())
}

#[cfg(target_os = "linux")]
fn probe_of(root: Option<&Path>) -> Result<Box<dyn Probe>, CliError> {
    let Some(root) = root else { return Ok(probe()) };
    match allotment::os::linux::LinuxProbe::at(root) {
        Ok(probe) => Ok(Box::new(probe)),
        Err(error) => Err(CliError::new(error.to_string())),
    }
}

#[cfg(not(target_os = "linux"))]
fn probe_of(root: Option<&Path>) -> Result<Box<dyn Probe>, CliError> {
    match root {
        None => Ok(probe()),
        Some(root) => Err(CliError::new(format!(
            "{}: only the files of a Linux machine can be read; leave --root out",
            root.display()
        ))),
    }
}

#[cfg(target_os = "linux")]
fn more(root: &Path) -> (More, Processes) {
    (linux::more(root), linux::processes(root))
}

#[cfg(target_os = "linux")]
fn more_without_processes(root: &Path) -> (More, Processes) {
    (linux::more(root), Processes::default())
}

#[cfg(target_os = "macos")]
fn more(_root: &Path) -> (More, Processes) {
    (macos::more(), macos::processes())
}

#[cfg(target_os = "macos")]
fn more_without_processes(_root: &Path) -> (More, Processes) {
    (macos::more(), Processes::default())
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn more(root: &Path) -> (More, Processes) {
    more_without_processes(root)
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn more_without_processes(_root: &Path) -> (More, Processes) {
    (More::default(), Processes::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shareable_is_the_tightest_of_all_bounds() {
        let sample = Sample::new(64 << 30, 1 << 30);
        let processes = Processes::default();
        let mut machine = Machine { sample, more: More::default(), processes };
        assert_eq!(machine.shareable_bytes(), 64 << 30);
        machine.sample.reserved_bytes = Some(8 << 30);
        assert_eq!(machine.shareable_bytes(), 56 << 30);
        machine.more.gpu_bytes = Some(48 << 30);
        assert_eq!(machine.shareable_bytes(), 48 << 30);
        machine.sample.limit_bytes = Some(1000);
        assert_eq!((machine.shareable_bytes(), machine.shared_bytes()), (1000, 800));
    }
}
