//! `allot doctor` from the outside: on machines made of files, on this one, and in a cgroup with a
//! limit where one can be made.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use allotment::os::Probe;
use allotment::os::linux::LinuxProbe;
use allotment_config::Layers;
use serde_json::Value;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// A folder of one test's own, empty at the start: a configuration, and `/proc` and `/sys` of a
/// machine.
struct Machine(PathBuf);

impl Machine {
    /// 16 GiB, 8 of them available, 2 GiB of swap.
    fn new(test: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("doctor-{test}"));
        let _ = fs::remove_dir_all(&path);
        let meminfo = "MemTotal: 16777216 kB\nMemFree: 524288 kB\nMemAvailable: 8388608 kB\n\
            SwapTotal: 2097152 kB\nSwapFree: 2097152 kB\nCommitLimit: 10485760 kB\n\
            Committed_AS: 4194304 kB\nHugePages_Total: 0\nHugePages_Free: 0\n\
            Hugepagesize: 2048 kB\n";
        Self(path).with("proc/meminfo", meminfo)
    }

    fn with(self, file: &str, text: &str) -> Self {
        let path = self.0.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    /// In a cgroup with this limit, of which 100 MiB are used.
    fn in_cgroup(self, limit_bytes: u64) -> Self {
        let mount = "31 23 0:28 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw\n";
        let used = (100 * MIB).to_string();
        self.with("proc/self/mountinfo", mount)
            .with("proc/self/cgroup", "0::/llm.service\n")
            .with("sys/fs/cgroup/llm.service/memory.max", &format!("{limit_bytes}\n"))
            .with("sys/fs/cgroup/llm.service/memory.current", &used)
    }

    fn doctor(&self, words: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_allot"));
        command.args(["doctor", "--root", "."]).args(words.split_whitespace());
        command.current_dir(&self.0).output().unwrap()
    }

    /// What is printed by a visit that ends with this code.
    #[track_caller]
    fn printed(&self, words: &str, code: i32) -> String {
        let output = self.doctor(words);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), &*complaint), (Some(code), ""), "{words}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[track_caller]
    fn visit(&self, words: &str, code: i32) -> Value {
        serde_json::from_str(&self.printed(&format!("{words} --json"), code)).unwrap()
    }
}

/// Words of all findings that weigh so much.
fn found(visit: &Value, weight: &str) -> Vec<String> {
    let findings = visit["findings"].as_array().unwrap();
    let of_weight = findings.iter().filter(|finding| finding["weight"] == weight);
    of_weight.map(|finding| finding["kind"].as_str().unwrap().to_string()).collect()
}

/// What is suggested is a configuration, and fits.
#[track_caller]
fn assert_suggested_fits(machine: Machine, visit: &Value) -> allotment_config::Setup {
    let text = visit["suggested_toml"].as_str().unwrap();
    let setup = allotment_config::parse(text, Path::new("suggested.toml"));
    let setup = setup.unwrap_or_else(|why| panic!("{why}\n{text}"));
    let machine = machine.with("suggested.toml", text);
    assert_eq!(machine.visit("--config suggested.toml", 0)["fits"], true);
    setup
}

#[test]
fn in_a_cgroup_of_512_mib_there_are_512_mib() {
    let machine = Machine::new("cgroup").in_cgroup(512 * MIB);
    let machine = machine.with(
        "allot.toml",
        "capacity = \"1GiB\"\n[[tenants]]\nname = \"chat\"\nguarantee = \"768MiB\"\n",
    );
    let visit = machine.visit("--config allot.toml", 1);
    let seen = &visit["machine"];
    assert_eq!(
        (&seen["limit_bytes"], &seen["total_bytes"]),
        (&(512 * MIB).into(), &(16 * GIB).into())
    );
    assert_eq!(
        (&seen["shareable_bytes"], &seen["used_bytes"]),
        (&(512 * MIB).into(), &(100 * MIB).into())
    );
    assert_eq!(seen["available_bytes"], 412 * MIB);
    assert_eq!(found(&visit, "unfit"), ["capacity_beyond_machine", "guarantees_beyond_machine"]);
    assert_eq!(visit["findings"][0]["bytes"], 512 * MIB);
    assert_eq!(visit["findings"][1]["bytes"], 256 * MIB);
    let printed = machine.printed("--config allot.toml", 1);
    let expected = "does not fit: the capacity of 1 GiB is 512 MiB more than the cgroup's limit of \
                    512 MiB";
    assert!(printed.contains(expected), "{printed}");
    let setup = assert_suggested_fits(machine, &visit);
    assert!(setup.capacity_bytes <= 512 * MIB / 100 * 80, "{setup:?}");
    assert_eq!(setup.tenants[0].guarantee_bytes, setup.capacity_bytes * 3 / 4);
}

#[test]
fn the_machine_is_told_as_its_files_have_it() {
    let stalls = "some avg10=12.50 avg60=3.00 avg300=1.00 total=9\n\
        full avg10=2.00 avg60=1.00 avg300=0.00 total=1\n";
    let machine = Machine::new("files")
        .with("proc/pressure/memory", stalls)
        .with("proc/sys/vm/overcommit_memory", "2\n")
        .with("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n")
        .with("proc/1/status", "Name:\tinit\nVmRSS:\t   8 kB\n")
        .with("proc/7/status", "Name:\tllm\u{1b}[2J\nVmRSS:\t 4194304 kB\n")
        .with("proc/9/status", "Name:\tkthread\n")
        .with("proc/no-number/status", "Name:\tx\nVmRSS:\t 1 kB\n")
        .with("allot.toml", "capacity = \"9GiB\"\n");
    let visit = machine.visit("--config allot.toml", 0);
    let seen = &visit["machine"];
    assert_eq!(seen["stall_some_ppm"], serde_json::json!([125_000, 30_000, 10_000]));
    assert_eq!(seen["stall_full_ppm"], serde_json::json!([20_000, 10_000, 0]));
    assert_eq!((&seen["overcommit_mode"], &seen["level"]), (&2.into(), &"warning".into()));
    assert_eq!(seen["transparent_huge_pages"], "madvise");
    assert_eq!(
        (&seen["commit_limit_bytes"], &seen["committed_bytes"]),
        (&(10 * GIB).into(), &(4 * GIB).into())
    );
    assert_eq!(visit["processes_seen"], 2);
    let largest = &visit["processes"][0];
    assert_eq!((&largest["name"], &largest["bytes"]), (&"llm?[2J".into(), &(4 * GIB).into()));
    assert_eq!(visit["processes"][1]["pid"], 1);
    assert_eq!(found(&visit, "warning"), ["held_by_others", "beyond_commit_limit", "stalls"]);
    // 9 GiB, 8 of them available; 6 GiB that the kernel promises.
    assert_eq!(visit["findings"][0]["bytes"], GIB);
    assert_eq!(visit["findings"][1]["bytes"], 3 * GIB);
    let printed = machine.printed("--config allot.toml", 0);
    assert!(
        printed.contains("stalls") || printed.contains("waited for memory in 12.5 %"),
        "{printed}"
    );
    assert!(!printed.contains('\u{1b}'), "{printed}");
    assert!(printed.trim_end().ends_with("allot.toml fits."), "{printed}");
}

#[test]
fn huge_pages_and_limits_that_overlap() {
    let pages = "MemTotal: 16777216 kB\nMemAvailable: 8388608 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n\
        HugePages_Total: 6\nHugePages_Free: 2\nHugepagesize: 1048576 kB\n";
    let machine = Machine::new("pages").with("proc/meminfo", pages).with(
        "allot.toml",
        "capacity = \"9728MiB\"\n[[tenants]]\nname = \"a\"\nlimit = \"8GiB\"\n\
         [[tenants]]\nname = \"b\"\nlimit = \"24GiB\"\n",
    );
    let visit = machine.visit("--config allot.toml", 0);
    assert_eq!(visit["machine"]["shareable_bytes"], 10 * GIB);
    assert_eq!(visit["machine"]["huge_pages_bytes"], 6 * GIB);
    let warnings = ["little_left", "held_by_others", "limits_beyond_capacity"];
    assert_eq!(found(&visit, "warning"), warnings);
    assert_eq!(found(&visit, "note"), ["limits_overlap", "no_swap", "huge_pages"]);
    assert_eq!(visit["promised"]["limits_bytes"], 32 * GIB);
    // A server that is not told its capacity takes the same for itself.
    let sample = LinuxProbe::at(&machine.0).unwrap().sample().unwrap();
    assert_eq!(sample.shareable_bytes(), 10 * GIB);
    let usual = Layers::default().memory(Some(sample.shareable_bytes())).read().unwrap();
    assert_eq!(visit["machine"]["shared_bytes"], usual.setup.capacity_bytes);
    // One byte more than the machine has beside these pages.
    let beyond = machine.with("allot.toml", &format!("capacity = {}\n", 10 * GIB + 1));
    let visit = beyond.visit("--config allot.toml", 1);
    assert_eq!(visit["findings"][0]["bytes"], 1);
    assert_suggested_fits(beyond, &visit);
}

#[test]
fn without_a_configuration_one_is_suggested() {
    let machine = Machine::new("none");
    let visit = machine.visit("", 0);
    assert_eq!((&visit["promised"], &visit["fits"]), (&Value::Null, &true.into()));
    let setup = assert_suggested_fits(machine, &visit);
    assert_eq!(setup.capacity_bytes, 16 * GIB / 100 * 80 / MIB * MIB);
}

#[test]
fn misuse_is_told_from_what_does_not_fit() {
    let machine = Machine::new("misuse").with("wrong.toml", "capacity = 1\nlimt = 2\n");
    let complaint = |words: &str| {
        let output = machine.doctor(words);
        assert_eq!(output.status.code(), Some(2), "{words}");
        String::from_utf8(output.stderr).unwrap().trim_end().to_string()
    };
    let wrong = complaint("--config wrong.toml");
    assert!(wrong.starts_with("allot: wrong.toml:2: unknown key `limt`"), "{wrong}");
    let missing = complaint("--config nowhere.toml");
    assert!(missing.contains("no such file"), "{missing}");
    fs::remove_file(machine.0.join("proc/meminfo")).unwrap();
    assert_eq!(complaint(""), "allot: cannot read ./proc/meminfo: entity not found");
}

#[test]
fn this_machine_answers() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_allot"));
    let output = command.args(["doctor", "--json"]).output().unwrap();
    let visit: Value = serde_json::from_slice(&output.stdout).unwrap();
    let sample = allotment::os::probe().sample().unwrap();
    assert_eq!(visit["machine"]["total_bytes"], sample.total_bytes);
    // The memory there is for a server that is not told its capacity.
    let memory_bytes = allotment_config::memory_bytes().unwrap();
    assert_eq!(visit["machine"]["shareable_bytes"], memory_bytes);
    let processes = visit["processes"].as_array().unwrap();
    assert!((1..=10).contains(&processes.len()), "{processes:?}");
    let of = |process: &Value| process["bytes"].as_u64().unwrap();
    assert!(processes.windows(2).all(|pair| of(&pair[0]) >= of(&pair[1])), "{processes:?}");
}

/// A cgroup below that of this process, removed on drop.
struct Cgroup(PathBuf);

/// Where this process is in the trees of version 2 and of version 1, as far as there are such, with
/// the file that bounds a cgroup's memory there.
fn places() -> Vec<(PathBuf, &'static str)> {
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
    let (mounts, own) = (read("/proc/self/mountinfo"), read("/proc/self/cgroup"));
    let point = |kind: &str, options: &str| {
        let mut lines = mounts.lines();
        let line = lines.find(|line| line.contains(kind) && line.ends_with(options))?;
        line.split(' ').nth(4).map(PathBuf::from)
    };
    let path = |mark: &str| own.lines().find_map(|line| Some(line.split_once(mark)?.1));
    let trees = [
        (point(" - cgroup2 ", ""), path("0::"), "memory.max"),
        (point(" - cgroup ", "memory"), path(":memory:"), "memory.limit_in_bytes"),
    ];
    let place = |(point, path, file): (Option<PathBuf>, Option<&str>, _)| {
        Some((point?.join(path?.trim_start_matches('/')), file))
    };
    trees.into_iter().filter_map(place).collect()
}

impl Cgroup {
    /// None, and why, where this machine has none for us.
    fn with_limit(bytes: u64) -> Result<Self, String> {
        let mut reasons = vec!["no tree of cgroups".to_string()];
        for (above, file) in places() {
            let folder = above.join(format!("allotment-doctor-{}", std::process::id()));
            if let Err(why) = fs::create_dir(&folder) {
                reasons.push(format!("{}: {why}", folder.display()));
                continue;
            }
            let cgroup = Self(folder);
            match fs::write(cgroup.0.join(file), bytes.to_string()) {
                Ok(()) => return Ok(cgroup),
                Err(why) => reasons.push(format!("{}: {why}", cgroup.0.join(file).display())),
            }
        }
        Err(reasons.pop().unwrap_or_default())
    }
}

/// Said past the harness, which keeps to itself what a test prints that passes.
fn skipped(why: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: doctor in a real cgroup of 512 MiB, {why}");
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn a_real_cgroup_of_512_mib() {
    let cgroup = match Cgroup::with_limit(512 * MIB) {
        Ok(cgroup) => cgroup,
        Err(why) => {
            return skipped(&format!("none can be made here: {why}"));
        }
    };
    let enter = "echo $$ > \"$1/cgroup.procs\" && exec \"$2\" doctor --json";
    let mut command = Command::new("sh");
    command.args(["-c", enter, "-"]).arg(&cgroup.0).arg(env!("CARGO_BIN_EXE_allot"));
    let output = command.output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    if complaint.contains("cgroup.procs") {
        return skipped(&format!("no process can be moved into one here: {complaint}"));
    }
    let visit: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(visit["machine"]["limit_bytes"], 512 * MIB);
    assert_eq!(visit["machine"]["shareable_bytes"], 512 * MIB);
}
