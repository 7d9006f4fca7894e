//! Linux: `/proc`, pressure stall information (PSI) and cgroups, of version 2 and of version 1.
//!
//! A process shares its memory with the machine and with every cgroup above it. So a sample walks
//! from its own cgroup up to the mount point:
//!
//! ```text
//! headroom(c)     = limit(c) - (memory.current(c) - inactive_file(c))   limit = min(max, high)
//! available_bytes = min(MemAvailable, headroom of each c on the way up)
//! limit_bytes     = min(limit of each c), where below MemTotal
//! ```
//!
//! `memory.high` counts as a limit because the kernel slows down whoever exceeds it. Of the page
//! cache only `inactive_file` counts as free, as the kubelet reckons it. Where the memory
//! controller is one of version 1, its files have other names and the same meaning; both trees are
//! walked, since a machine may have both. A missing file says that the machine lacks a feature; a
//! file that is there and cannot be read is an error, because a limit that is not seen ends in the
//! death of the process. Only PSI is a bonus: whatever is wrong with it, the sample goes without.

mod text;

use std::fs;
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};

use super::{MachineLevel, OsError, Probe, Sample};
use text::{CgroupMount, UNLIMITED};

/// `errno` of a read from a file of a cgroup that was just removed.
const ENODEV: i32 = 19;

/// From which figures on the machine counts as short of memory. 0 switches an available bound off,
/// anything above 1,000,000 a stall bound.
///
/// The defaults sit well before the point at which other software starts to kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Stalls from which the level is Warning, in parts per million of the last ten seconds.
    pub warning_stall_ppm: u32,
    /// Stalls from which the level is Critical.
    pub critical_stall_ppm: u32,
    /// Available memory below which the level is Warning, in parts per million of what could be
    /// available at all.
    pub warning_available_ppm: u32,
    /// Available memory below which the level is Critical.
    pub critical_available_ppm: u32,
}

impl Thresholds {
    /// 7 %: some task waited 70 ms of each second. Android's low memory killer begins with cached
    /// apps at that figure; a cache is the right thing to give up then.
    pub const WARNING_STALL_PPM: u32 = 70_000;
    /// 30 %: half of the 60 % at which systemd-oomd kills by default.
    pub const CRITICAL_STALL_PPM: u32 = 300_000;
    /// 5 %: half of what earlyoom waits for. Without swap there may be no stall before the end, so
    /// stalls alone would come too late.
    pub const WARNING_AVAILABLE_PPM: u32 = 50_000;
    /// 2 %: less than a burst of requests can take within one sampling interval.
    pub const CRITICAL_AVAILABLE_PPM: u32 = 20_000;

    fn level(&self, sample: &Sample) -> MachineLevel {
        let stall_ppm = sample.stall_ppm.unwrap_or(0);
        let whole_bytes = sample.limit_bytes.unwrap_or(sample.total_bytes);
        let below = |ppm: u32| {
            let bound = u128::from(whole_bytes) * u128::from(ppm);
            u128::from(sample.available_bytes) * 1_000_000 < bound
        };
        if stall_ppm >= self.critical_stall_ppm || below(self.critical_available_ppm) {
            MachineLevel::Critical
        } else if stall_ppm >= self.warning_stall_ppm || below(self.warning_available_ppm) {
            MachineLevel::Warning
        } else {
            MachineLevel::Normal
        }
    }
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            warning_stall_ppm: Self::WARNING_STALL_PPM,
            critical_stall_ppm: Self::CRITICAL_STALL_PPM,
            warning_available_ppm: Self::WARNING_AVAILABLE_PPM,
            critical_available_ppm: Self::CRITICAL_AVAILABLE_PPM,
        }
    }
}

/// What the cgroups from our own up to the mount point allow.
struct CgroupView {
    /// The smallest headroom, [`UNLIMITED`] without any limit.
    headroom_bytes: u64,
    /// The cgroup with the smallest limit, if any has one.
    tightest: Option<Tightest>,
}

struct Tightest {
    directory: PathBuf,
    limit_bytes: u64,
    used_bytes: u64,
}

/// The names of a cgroup's files.
#[derive(Debug)]
struct Files {
    limits: &'static [&'static str],
    used: &'static str,
    /// The line of `memory.stat`, the cgroups below included.
    droppable: &'static str,
}

static FILES_2: Files = Files {
    limits: &["memory.max", "memory.high"],
    used: "memory.current",
    droppable: "inactive_file",
};
static FILES_1: Files = Files {
    limits: &["memory.limit_in_bytes"],
    used: "memory.usage_in_bytes",
    droppable: "total_inactive_file",
};

/// A tree of cgroups that bounds memory.
#[derive(Clone, Debug)]
struct Tree {
    mount: CgroupMount,
    files: &'static Files,
    /// The path of this process in it, from `/proc/self/cgroup`.
    own: fn(&str) -> Option<&str>,
}

/// Samples a Linux machine.
#[derive(Clone, Debug)]
pub struct LinuxProbe {
    root: PathBuf,
    trees: Vec<Tree>,
    thresholds: Thresholds,
}

impl LinuxProbe {
    /// The probe of this machine.
    ///
    /// # Errors
    ///
    /// When `/proc/self/mountinfo` is there and cannot be read.
    pub fn here() -> Result<Self, OsError> {
        Self::at("/")
    }

    /// A probe of the machine whose files lie below `root`: a container's, or a test's.
    ///
    /// # Errors
    ///
    /// When `proc/self/mountinfo` is there and cannot be read.
    pub fn at(root: impl Into<PathBuf>) -> Result<Self, OsError> {
        let root = root.into();
        let mountinfo = read_if_there(&root.join("proc/self/mountinfo"))?.unwrap_or_default();
        let tree =
            |mount: Option<CgroupMount>, files, own| Some(Tree { mount: mount?, files, own });
        let trees = [
            tree(text::cgroup2_mount(&mountinfo), &FILES_2, text::own_cgroup2),
            tree(text::cgroup1_mount(&mountinfo), &FILES_1, text::own_cgroup1),
        ];
        let trees = trees.into_iter().flatten().collect();
        Ok(Self { root, trees, thresholds: Thresholds::default() })
    }

    /// The same probe with other thresholds for its level.
    #[must_use]
    pub fn with_thresholds(mut self, thresholds: Thresholds) -> Self {
        self.thresholds = thresholds;
        self
    }

    /// This process's cgroups and those above them, up to the mount points. Read anew for every
    /// sample, since a process can be moved.
    fn cgroups(&self) -> Result<Vec<(PathBuf, &'static Files)>, OsError> {
        let own = read_if_there(&self.root.join("proc/self/cgroup"))?.unwrap_or_default();
        let mut cgroups = Vec::new();
        for Tree { mount, files, own: of } in &self.trees {
            let Some(own) = of(&own) else { continue };
            let point = self.root.join(mount.point.trim_start_matches('/'));
            let below = point.join(mount.below(own));
            let within = below.ancestors().take_while(|cgroup| cgroup.starts_with(&point));
            cgroups.extend(within.map(|cgroup| (cgroup.to_owned(), *files)));
        }
        Ok(cgroups)
    }

    /// The pressure of those we share memory with: the cgroup with the tightest limit, or else the
    /// whole machine. A neighbour who stalls at its own limit is not our concern.
    fn stall_ppm(&self, limited: Option<&Tightest>) -> Option<u32> {
        let stall = |path: PathBuf| text::stall_ppm(&fs::read_to_string(path).ok()?);
        limited
            .and_then(|cgroup| stall(cgroup.directory.join("memory.pressure")))
            .or_else(|| stall(self.root.join("proc/pressure/memory")))
    }
}

impl Probe for LinuxProbe {
    fn sample(&mut self) -> Result<Sample, OsError> {
        let meminfo_path = self.root.join("proc/meminfo");
        let meminfo = read(&meminfo_path)?;
        let wrong = |expected| OsError::Parse { path: meminfo_path.clone(), expected };
        let total_bytes = text::kib_line(&meminfo, "MemTotal")
            .filter(|&bytes| bytes > 0)
            .ok_or_else(|| wrong("`MemTotal` in kB"))?;
        let free_bytes =
            text::available_bytes(&meminfo).ok_or_else(|| wrong("`MemAvailable` in kB"))?;
        let swap_total_bytes = text::kib_line(&meminfo, "SwapTotal");
        let swap_free_bytes = text::kib_line(&meminfo, "SwapFree");

        let view = view(&self.cgroups()?)?;
        let limited = view.tightest.filter(|cgroup| cgroup.limit_bytes < total_bytes);
        let machine_used_bytes = total_bytes.saturating_sub(free_bytes);
        let status = read_if_there(&self.root.join("proc/self/status"))?;
        let mut sample = Sample {
            total_bytes,
            reserved_bytes: text::huge_pages_bytes(&meminfo),
            available_bytes: free_bytes.min(view.headroom_bytes),
            process_bytes: status.as_deref().and_then(text::process_bytes),
            limit_bytes: limited.as_ref().map(|cgroup| cgroup.limit_bytes),
            used_bytes: Some(limited.as_ref().map_or(machine_used_bytes, |c| c.used_bytes)),
            level: MachineLevel::Normal,
            stall_ppm: self.stall_ppm(limited.as_ref()),
            swap_total_bytes,
            swap_used_bytes: swap_total_bytes
                .zip(swap_free_bytes)
                .map(|(total, free)| total.saturating_sub(free)),
        };
        sample.level = self.thresholds.level(&sample);
        Ok(sample)
    }
}

/// Sums up `cgroups`. The root cgroup, and any without the memory controller, has no memory files
/// and sets no limit.
fn view(cgroups: &[(PathBuf, &Files)]) -> Result<CgroupView, OsError> {
    let mut view = CgroupView { headroom_bytes: UNLIMITED, tightest: None };
    for (cgroup, files) in cgroups {
        let mut limit_bytes = UNLIMITED;
        for file in files.limits {
            limit_bytes = limit_bytes.min(limit(cgroup, file)?);
        }
        if limit_bytes == UNLIMITED {
            continue;
        }
        let current_path = cgroup.join(files.used);
        let Some(current) = read_if_there(&current_path)? else { continue };
        let used_bytes: u64 = current
            .trim()
            .parse()
            .map_err(|_| OsError::Parse { path: current_path, expected: "a number of bytes" })?;
        let stat = read_if_there(&cgroup.join("memory.stat"))?.unwrap_or_default();
        let droppable_bytes = text::stat_line(&stat, files.droppable).unwrap_or(0);
        let held_bytes = used_bytes.saturating_sub(droppable_bytes);
        view.headroom_bytes = view.headroom_bytes.min(limit_bytes.saturating_sub(held_bytes));
        if view.tightest.as_ref().is_none_or(|known| limit_bytes < known.limit_bytes) {
            view.tightest = Some(Tightest { directory: cgroup.clone(), limit_bytes, used_bytes });
        }
    }
    Ok(view)
}

fn limit(cgroup: &Path, file: &str) -> Result<u64, OsError> {
    let path = cgroup.join(file);
    let Some(content) = read_if_there(&path)? else { return Ok(UNLIMITED) };
    let expected = "a number of bytes or `max`";
    text::bytes_or_max(&content).ok_or(OsError::Parse { path, expected })
}

fn read(path: &Path) -> Result<String, OsError> {
    fs::read_to_string(path)
        .map_err(|error| OsError::Read { path: path.to_owned(), kind: error.kind() })
}

/// Reads a file that a machine may lack.
fn read_if_there(path: &Path) -> Result<Option<String>, OsError> {
    let lacks = |error: &Error| {
        let gone = [ErrorKind::NotFound, ErrorKind::NotADirectory, ErrorKind::Unsupported];
        gone.contains(&error.kind()) || error.raw_os_error() == Some(ENODEV)
    };
    match fs::read_to_string(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if lacks(&error) => Ok(None),
        Err(error) => Err(OsError::Read { path: path.to_owned(), kind: error.kind() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(available_bytes: u64, limit_bytes: Option<u64>, stall_ppm: Option<u32>) -> Sample {
        Sample { limit_bytes, stall_ppm, ..Sample::new(1_000_000, available_bytes) }
    }

    #[test]
    fn level_is_the_worse_of_stalls_and_what_is_left() {
        use MachineLevel::*;
        let level =
            |available, limit, stall| Thresholds::default().level(&sample(available, limit, stall));
        assert_eq!(level(500_000, None, None), Normal);
        assert_eq!(level(500_000, None, Some(69_999)), Normal);
        assert_eq!(level(500_000, None, Some(70_000)), Warning);
        assert_eq!(level(500_000, None, Some(300_000)), Critical);
        assert_eq!(level(50_000, None, Some(0)), Normal);
        assert_eq!(level(49_999, None, Some(0)), Warning);
        assert_eq!(level(19_999, None, None), Critical);
        assert_eq!(level(19_999, Some(200_000), None), Normal, "a tenth of the limit is left");
        assert_eq!(level(3_999, Some(200_000), None), Critical);
    }

    #[test]
    fn thresholds_can_be_switched_off() {
        let deaf = Thresholds {
            warning_stall_ppm: u32::MAX,
            critical_stall_ppm: u32::MAX,
            warning_available_ppm: 0,
            critical_available_ppm: 0,
        };
        assert_eq!(deaf.level(&sample(0, None, Some(1_000_000))), MachineLevel::Normal);
    }
}
