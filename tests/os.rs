//! The machine's side through the public interface: this machine, and machines made of files.

use allotment::os::{Clock, MachineLevel, ManualClock, OsError, Probe, Sample, Scripted, probe};

#[test]
fn this_machine_answers_sensibly() {
    let mut probe = probe();
    let sample = match probe.sample() {
        Err(OsError::Unsupported { system }) => {
            assert_eq!(system, std::env::consts::OS);
            return;
        }
        answer => answer.unwrap(),
    };
    println!("{sample:?}");
    assert!(sample.total_bytes > 64 << 20, "{sample:?}");
    assert!(sample.available_bytes <= sample.total_bytes, "{sample:?}");
    assert!(sample.process_bytes.is_some_and(|bytes| bytes > 0), "{sample:?}");
    assert!(sample.limit_bytes.is_none_or(|bytes| bytes < sample.total_bytes), "{sample:?}");
    assert!(sample.swap_used_bytes <= sample.swap_total_bytes, "{sample:?}");
}

#[test]
fn this_machine_sees_the_process_grow() {
    let mut probe = probe();
    let Ok(before) = probe.sample() else { return };
    let block = vec![1_u8; 64 << 20];
    let after = probe.sample().unwrap();
    let grown_bytes = after.process_bytes.unwrap().saturating_sub(before.process_bytes.unwrap());
    assert!(grown_bytes > 48 << 20, "64 MiB were touched, {grown_bytes} seen");
    assert_eq!(std::hint::black_box(&block)[12_345], 1);
}

#[test]
fn a_script_stands_in_for_a_machine() {
    let calm = Sample::new(16 << 30, 8 << 30);
    let tense = Sample { level: MachineLevel::Warning, ..calm };
    let mut probe: Box<dyn Probe> = Box::new(Scripted::new(Ok(calm)).then(Ok(tense)));
    assert_eq!(probe.sample(), Ok(calm));
    assert_eq!(probe.sample(), Ok(tense));
    assert_eq!(probe.sample(), Ok(tense));
    assert!(MachineLevel::Normal < MachineLevel::Warning);
    assert!(MachineLevel::Warning < MachineLevel::Critical);
}

#[test]
fn a_manual_clock_drives_a_clock() {
    let hand = ManualClock::new();
    let clock = Clock::from(hand.clone());
    hand.advance_ns(1_500);
    assert_eq!(clock.now_ns(), 1_500);
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::sync::atomic::{AtomicU16, Ordering};

    use allotment::os::linux::{LinuxProbe, Thresholds};
    use allotment::os::{MachineLevel, OsError, Probe, Sample};

    const MEMINFO: &str = "\
MemTotal:       16777216 kB
MemFree:          524288 kB
MemAvailable:    8388608 kB
Buffers:           10000 kB
Cached:          7000000 kB
SwapTotal:       2097152 kB
SwapFree:        2000000 kB
";
    const MOUNTINFO: &str = "\
22 27 0:21 / /proc rw,relatime shared:5 - proc proc rw
31 23 0:28 / /sys/fs/cgroup rw,nosuid,nodev shared:9 - cgroup2 cgroup2 rw,nsdelegate
";
    const STATUS: &str = "Name:\tserver\nVmRSS:\t  300 kB\nRssAnon:\t  200 kB\n\
                          RssFile:\t   90 kB\nRssShmem:\t   10 kB\nVmSwap:\t    4 kB\n";
    const CALM: &str = "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n\
                        full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";
    const STALLED: &str = "some avg10=12.50 avg60=3.00 avg300=1.00 total=9000000\n\
                           full avg10=2.00 avg60=1.00 avg300=0.00 total=1000000\n";
    const MIB: u64 = 1 << 20;

    /// A machine made of files, removed on drop.
    struct Machine(PathBuf);

    impl Machine {
        /// `/proc` alone: no pressure files, no cgroups.
        fn bare() -> Self {
            static NEXT: AtomicU16 = AtomicU16::new(0);
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let name = format!("allotment-os-{}-{number}", std::process::id());
            let machine = Self(std::env::temp_dir().join(name));
            machine.with("proc/meminfo", MEMINFO).with("proc/self/status", STATUS)
        }

        /// A service at `/work.slice/llm.service`, without any limit yet.
        fn with_cgroups() -> Self {
            Self::bare()
                .with("proc/pressure/memory", CALM)
                .with("proc/self/mountinfo", MOUNTINFO)
                .with("proc/self/cgroup", "0::/work.slice/llm.service\n")
                .group("work.slice", "max", "max", 3000 * MIB)
                .group("work.slice/llm.service", "max", "max", 1000 * MIB)
        }

        fn with(self, file: &str, text: &str) -> Self {
            let path = self.0.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
            self
        }

        fn group(self, path: &str, max: &str, high: &str, current_bytes: u64) -> Self {
            let file = |name: &str| format!("sys/fs/cgroup/{path}/memory.{name}");
            self.with(&file("max"), &format!("{max}\n"))
                .with(&file("high"), &format!("{high}\n"))
                .with(&file("current"), &format!("{current_bytes}\n"))
        }

        fn path(&self) -> &Path {
            &self.0
        }

        fn sample(&self) -> Result<Sample, OsError> {
            LinuxProbe::at(self.path())?.sample()
        }
    }

    impl Drop for Machine {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn bytes(bytes: u64) -> String {
        bytes.to_string()
    }

    #[test]
    fn a_machine_without_cgroups_or_pressure() {
        let sample = Machine::bare().sample().unwrap();
        let expected = Sample {
            process_bytes: Some(214 << 10),
            used_bytes: Some(8 << 30),
            swap_total_bytes: Some(2 << 30),
            swap_used_bytes: Some(97_152 << 10),
            ..Sample::new(16 << 30, 8 << 30)
        };
        assert_eq!(sample, expected);
    }

    #[test]
    fn what_is_shareable_is_all_but_huge_pages_or_the_limit() {
        let pages = format!("{MEMINFO}HugePages_Total: 2\nHugepagesize: 1048576 kB\n");
        let sample = |machine: Machine| machine.with("proc/meminfo", &pages).sample().unwrap();
        let bare = sample(Machine::bare());
        assert_eq!((bare.total_bytes, bare.reserved_bytes), (16 << 30, Some(2 << 30)));
        assert_eq!(bare.shareable_bytes(), 14 << 30);
        for (limit_bytes, shareable_bytes) in [(15 << 30, 14 << 30), (4 << 30, 4_u64 << 30)] {
            let limit = bytes(limit_bytes);
            let limited = Machine::with_cgroups().group("work.slice", &limit, "max", 0);
            assert_eq!(sample(limited).shareable_bytes(), shareable_bytes);
        }
        let more = Sample { reserved_bytes: Some(u64::MAX), ..bare };
        assert_eq!(more.shareable_bytes(), 0);
    }

    #[test]
    fn cgroups_without_a_limit_change_nothing() {
        let sample = Machine::with_cgroups().sample().unwrap();
        assert_eq!(sample.limit_bytes, None);
        assert_eq!(sample.available_bytes, 8 << 30);
        assert_eq!(sample.stall_ppm, Some(0));
    }

    #[test]
    fn the_tightest_limit_counts_and_the_smallest_headroom() {
        // Ours is the smaller limit, the one above has less left.
        let machine = Machine::with_cgroups()
            .group("work.slice", &bytes(3072 * MIB), "max", 3000 * MIB)
            .group("work.slice/llm.service", &bytes(2048 * MIB), "max", 1000 * MIB);
        let sample = machine.sample().unwrap();
        assert_eq!(sample.limit_bytes, Some(2048 * MIB));
        assert_eq!(sample.used_bytes, Some(1000 * MIB));
        assert_eq!(sample.available_bytes, 72 * MIB);
    }

    #[test]
    fn high_is_a_limit_too_and_inactive_pages_of_files_are_not_held() {
        let machine = Machine::with_cgroups()
            .group("work.slice/llm.service", &bytes(2048 * MIB), &bytes(1500 * MIB), 1400 * MIB)
            .with(
                "sys/fs/cgroup/work.slice/llm.service/memory.stat",
                &format!("anon {}\ninactive_file {}\n", 900 * MIB, 300 * MIB),
            );
        let sample = machine.sample().unwrap();
        assert_eq!(sample.limit_bytes, Some(1500 * MIB));
        assert_eq!(sample.available_bytes, 400 * MIB);
    }

    #[test]
    fn a_limit_above_the_machine_is_none() {
        let machine = Machine::with_cgroups().group("work.slice", &bytes(64 << 30), "max", MIB);
        assert_eq!(machine.sample().unwrap().limit_bytes, None);
    }

    #[test]
    fn stalls_are_those_of_whom_we_share_the_limit_with() {
        let pressure = "sys/fs/cgroup/work.slice/memory.pressure";
        let machine = Machine::with_cgroups().with(pressure, STALLED);
        assert_eq!(machine.sample().unwrap().stall_ppm, Some(0), "no limit: the whole machine's");

        let machine = machine.group("work.slice", &bytes(4096 * MIB), "max", 3000 * MIB);
        let sample = machine.sample().unwrap();
        assert_eq!(sample.stall_ppm, Some(125_000));
        assert_eq!(sample.level, MachineLevel::Warning);

        let mut patient = LinuxProbe::at(machine.path())
            .unwrap()
            .with_thresholds(Thresholds { warning_stall_ppm: 200_000, ..Thresholds::default() });
        assert_eq!(patient.sample().unwrap().level, MachineLevel::Normal);
    }

    #[test]
    fn a_full_cgroup_is_critical_without_any_stall() {
        let machine = Machine::with_cgroups().group(
            "work.slice/llm.service",
            &bytes(1000 * MIB),
            "max",
            990 * MIB,
        );
        assert_eq!(machine.sample().unwrap().level, MachineLevel::Critical);
        let over = machine.group("work.slice/llm.service", &bytes(1000 * MIB), "max", 1200 * MIB);
        assert_eq!(over.sample().unwrap().available_bytes, 0);
    }

    #[test]
    fn a_container_sees_its_own_cgroup_at_the_mount_point() {
        let mountinfo = "31 23 0:28 /docker/12 /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n";
        let machine = Machine::bare()
            .with("proc/self/mountinfo", mountinfo)
            .with("proc/self/cgroup", "0::/docker/12\n")
            .with("sys/fs/cgroup/memory.max", &bytes(512 * MIB))
            .with("sys/fs/cgroup/memory.current", &bytes(100 * MIB));
        let sample = machine.sample().unwrap();
        assert_eq!(sample.limit_bytes, Some(512 * MIB));
        assert_eq!(sample.available_bytes, 412 * MIB);
    }

    #[test]
    fn limits_of_version_1_are_seen_where_the_memory_controller_is_one() {
        let mountinfo = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n\
            32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
            35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
            41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        // What a cgroup of version 1 has for no limit.
        let none = "9223372036854771712\n";
        let memory = "sys/fs/cgroup/memory";
        let stat = "inactive_file 1\ntotal_inactive_file 52428800\n";
        let machine = Machine::bare()
            .with("proc/self/mountinfo", mountinfo)
            .with("proc/self/cgroup", "5:cpu:/other\n4:memory:/jobs/llm\n0::/\n")
            .with(&format!("{memory}/memory.limit_in_bytes"), none)
            .with(&format!("{memory}/memory.usage_in_bytes"), &bytes(9000 * MIB))
            .with(&format!("{memory}/jobs/memory.limit_in_bytes"), &bytes(512 * MIB))
            .with(&format!("{memory}/jobs/memory.usage_in_bytes"), &bytes(200 * MIB))
            .with(&format!("{memory}/jobs/memory.stat"), stat)
            .with(&format!("{memory}/jobs/llm/memory.limit_in_bytes"), none)
            .with(&format!("{memory}/jobs/llm/memory.usage_in_bytes"), &bytes(100 * MIB));
        let sample = machine.sample().unwrap();
        assert_eq!(sample.limit_bytes, Some(512 * MIB));
        assert_eq!((sample.used_bytes, sample.available_bytes), (Some(200 * MIB), 362 * MIB));
        let free = machine.with(&format!("{memory}/jobs/memory.limit_in_bytes"), none);
        assert_eq!(free.sample().unwrap().limit_bytes, None);
        let odd = free.with(&format!("{memory}/jobs/memory.limit_in_bytes"), "lots\n");
        assert!(odd.sample().unwrap_err().to_string().contains("memory.limit_in_bytes"));
    }

    #[test]
    fn a_process_that_was_moved_is_followed() {
        let machine = Machine::with_cgroups().group("small", &bytes(256 * MIB), "max", 56 * MIB);
        let mut probe = LinuxProbe::at(machine.path()).unwrap();
        assert_eq!(probe.sample().unwrap().limit_bytes, None);
        let machine = machine.with("proc/self/cgroup", "0::/small\n");
        assert_eq!(probe.sample().unwrap().limit_bytes, Some(256 * MIB));
        let _gone = machine.with("proc/self/cgroup", "0::/removed (deleted)\n");
        assert_eq!(probe.sample().unwrap().limit_bytes, None);
    }

    #[test]
    fn errors_name_the_file() {
        let empty = Machine::bare().with("proc/meminfo", "MemTotal: lots\n");
        let error = empty.sample().unwrap_err();
        assert!(matches!(&error, OsError::Parse { path, .. } if path.ends_with("proc/meminfo")));
        assert!(error.to_string().ends_with("proc/meminfo does not hold `MemTotal` in kB"));

        let missing = LinuxProbe::at(empty.path().join("nowhere")).unwrap().sample().unwrap_err();
        assert!(missing.to_string().starts_with("cannot read "), "{missing}");
        assert!(missing.to_string().ends_with("nowhere/proc/meminfo: entity not found"));
    }

    #[test]
    fn a_limit_that_cannot_be_understood_is_an_error_and_not_no_limit() {
        let machine = Machine::with_cgroups().group("work.slice", "1G", "max", MIB);
        let error = machine.sample().unwrap_err();
        let OsError::Parse { path, .. } = &error else { panic!("{error}") };
        assert!(path.ends_with("work.slice/memory.max"), "{error}");
        let machine = machine.group("work.slice", "1000", "max", MIB);
        let machine = machine.with("sys/fs/cgroup/work.slice/memory.current", "?");
        assert!(matches!(machine.sample(), Err(OsError::Parse { .. })));
    }
}
