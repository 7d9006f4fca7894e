//! The texts of `/proc` and of cgroups, read by pure functions.
//!
//! `None` means that the text does not hold what was asked for.

/// A limit that is none: cgroup files say `max`.
pub const UNLIMITED: u64 = u64::MAX;

/// Where a tree of cgroups is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CgroupMount {
    /// The cgroup that is seen at the mount point.
    pub root: String,
    /// The mount point.
    pub point: String,
}

impl CgroupMount {
    /// The path of `cgroup` (as in `/proc/self/cgroup`) below the mount point, without a leading
    /// slash. A cgroup outside of what is mounted is taken as the mount point itself: its limits
    /// are the nearest that can be seen from here.
    pub fn below<'a>(&self, cgroup: &'a str) -> &'a str {
        let inside = match self.root.as_str() {
            "/" => Some(cgroup),
            root => {
                cgroup.strip_prefix(root).filter(|rest| rest.is_empty() || rest.starts_with('/'))
            }
        };
        let rest = inside.unwrap_or("").trim_start_matches('/');
        if rest.split('/').any(|part| part == "..") { "" } else { rest }
    }
}

/// The mount of the cgroup v2 tree among the lines of `/proc/self/mountinfo`.
pub fn cgroup2_mount(mountinfo: &str) -> Option<CgroupMount> {
    mount(mountinfo, |kind, _| kind == "cgroup2")
}

/// The mount of the cgroup v1 tree of the memory controller.
pub fn cgroup1_mount(mountinfo: &str) -> Option<CgroupMount> {
    mount(mountinfo, |kind, options| kind == "cgroup" && options.split(',').any(|o| o == "memory"))
}

/// A line is `id parent device root point options [tags ...] - type source options`.
fn mount(mountinfo: &str, is_wanted: fn(&str, &str) -> bool) -> Option<CgroupMount> {
    mountinfo.lines().find_map(|line| {
        let (mount, filesystem) = line.split_once(" - ")?;
        let mut filesystem = filesystem.split(' ');
        let (kind, options) = (filesystem.next()?, filesystem.nth(1).unwrap_or_default());
        if !is_wanted(kind, options) {
            return None;
        }
        let mut fields = mount.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        Some(CgroupMount { root: unescape(root), point: unescape(point) })
    })
}

/// Undoes the kernel's `\040` for a space, `\011` for a tab, and the like.
fn unescape(field: &str) -> String {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let octal = tail.get(..3).filter(|_| first == b'\\');
        let code = octal.and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[3..];
            }
            None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// This process's cgroup v2 path among the lines of `/proc/self/cgroup`.
pub fn own_cgroup2(text: &str) -> Option<&str> {
    alive(text.lines().find_map(|line| line.strip_prefix("0::"))?)
}

/// Its path in the cgroup v1 tree of the memory controller: `4:memory:/a/b`.
pub fn own_cgroup1(text: &str) -> Option<&str> {
    alive(text.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        controllers.split(',').any(|name| name == "memory").then_some(path)
    })?)
}

fn alive(path: &str) -> Option<&str> {
    // The kernel says so when the cgroup was removed while the process was still in it.
    Some(path.strip_suffix(" (deleted)").unwrap_or(path))
}

/// `name:   123 kB`, as in `/proc/meminfo` and `/proc/self/status`, in bytes.
pub fn kib_line(text: &str, name: &str) -> Option<u64> {
    let kib: u64 = value(text, name)?.strip_suffix("kB")?.trim_end().parse().ok()?;
    kib.checked_mul(1024)
}

/// What follows `name:`.
fn value<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value.map(str::trim)
}

/// `name 123`, as in `memory.stat`, in bytes.
pub fn stat_line(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?.trim().parse().ok()
}

/// A number of bytes, or `max` for [`UNLIMITED`], as in `memory.max`.
pub fn bytes_or_max(text: &str) -> Option<u64> {
    match text.trim() {
        "max" => Some(UNLIMITED),
        number => number.parse().ok(),
    }
}

/// What can be allocated without swapping, from `/proc/meminfo`.
///
/// Kernels before 3.14 have no `MemAvailable`; free pages and the page cache stand in for it.
pub fn available_bytes(meminfo: &str) -> Option<u64> {
    kib_line(meminfo, "MemAvailable").or_else(|| {
        let caches = kib_line(meminfo, "Buffers")?.checked_add(kib_line(meminfo, "Cached")?)?;
        kib_line(meminfo, "MemFree")?.checked_add(caches)
    })
}

/// What is set aside as huge pages, from `/proc/meminfo`.
///
/// Kernels before 4.17 do not add up pages of all sizes; there those of the usual size count.
pub fn huge_pages_bytes(meminfo: &str) -> Option<u64> {
    kib_line(meminfo, "Hugetlb").or_else(|| {
        let count: u64 = value(meminfo, "HugePages_Total")?.parse().ok()?;
        count.checked_mul(kib_line(meminfo, "Hugepagesize")?)
    })
}

/// What the process keeps, from `/proc/self/status`: anonymous and shared memory, in RAM or in
/// swap. Pages of files are left out, as a Mac's footprint leaves them out.
///
/// Kernels before 4.5 do not split the resident set; there the whole of it counts.
pub fn process_bytes(status: &str) -> Option<u64> {
    let split = || kib_line(status, "RssAnon")?.checked_add(kib_line(status, "RssShmem")?);
    let resident = split().or_else(|| kib_line(status, "VmRSS"))?;
    resident.checked_add(kib_line(status, "VmSwap").unwrap_or(0))
}

/// `some avg10` of a pressure file, in parts per million: `1.23` percent are 12,300.
pub fn stall_ppm(pressure: &str) -> Option<u32> {
    let some = pressure.lines().find_map(|line| line.strip_prefix("some "))?;
    let percent = some.split(' ').find_map(|field| field.strip_prefix("avg10="))?;
    let (whole, hundredths) = percent.split_once('.')?;
    if hundredths.len() != 2 {
        return None;
    }
    let (whole, hundredths): (u32, u32) = (whole.parse().ok()?, hundredths.parse().ok()?);
    whole.checked_mul(10_000)?.checked_add(hundredths * 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMINFO: &str = "\
MemTotal:       32768000 kB
MemFree:         1200000 kB
MemAvailable:   20480000 kB
Buffers:          300000 kB
Cached:         18000000 kB
SwapCached:            0 kB
SwapTotal:       8388604 kB
SwapFree:        8000000 kB
HugePages_Total:       0
";

    const MOUNTINFO: &str = "\
22 27 0:21 / /proc rw,relatime - proc proc rw
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:4 master:1 - cgroup2 cgroup2 rw,nsdelegate
";

    #[test]
    fn meminfo_lines() {
        assert_eq!(kib_line(MEMINFO, "MemTotal"), Some(32_768_000 << 10));
        assert_eq!(kib_line(MEMINFO, "Cached"), Some(18_000_000 << 10), "not SwapCached");
        assert_eq!(kib_line(MEMINFO, "Mem"), None, "a prefix of a name is no name");
        assert_eq!(kib_line(MEMINFO, "HugePages_Total"), None, "no unit, no bytes");
        assert_eq!(kib_line("MemTotal: 99999999999999999999 kB", "MemTotal"), None);
        assert_eq!(kib_line("MemTotal: 18446744073709551615 kB", "MemTotal"), None, "overflow");
    }

    #[test]
    fn available_on_new_and_old_kernels() {
        assert_eq!(available_bytes(MEMINFO), Some(20_480_000 << 10));
        let old: String = MEMINFO
            .lines()
            .filter(|l| !l.contains("Avail"))
            .fold(String::new(), |text, line| text + line + "\n");
        assert_eq!(available_bytes(&old), Some(19_500_000 << 10));
        assert_eq!(available_bytes(""), None);
    }

    #[test]
    fn huge_pages_on_new_and_old_kernels() {
        assert_eq!(huge_pages_bytes(MEMINFO), None, "of a size that is not said");
        let old = "HugePages_Total:    3\nHugePages_Rsvd:   1\nHugepagesize:    2048 kB\n";
        assert_eq!(huge_pages_bytes(old), Some(6 << 20));
        let new = format!("{old}Hugetlb:    1054720 kB\n");
        assert_eq!(huge_pages_bytes(&new), Some((1 << 30) + (6 << 20)), "of all sizes");
        assert_eq!(huge_pages_bytes(&old.replace("3", "18446744073709551615")), None, "overflow");
    }

    #[test]
    fn process_on_new_and_old_kernels() {
        let new = "Name:\tserver\nVmRSS:\t  5000 kB\nRssAnon:\t  3000 kB\nRssFile:\t  1500 kB\n\
                   RssShmem:\t   500 kB\nVmSwap:\t    24 kB\n";
        assert_eq!(process_bytes(new), Some(3524 << 10));
        assert_eq!(process_bytes("VmRSS:\t  5000 kB\n"), Some(5000 << 10));
        assert_eq!(process_bytes("Name:\tkthreadd\n"), None, "a kernel thread has no memory");
    }

    #[test]
    fn stalls() {
        let text = "some avg10=1.23 avg60=0.50 avg300=0.10 total=123456\n\
                    full avg10=9.99 avg60=0.00 avg300=0.00 total=0\n";
        assert_eq!(stall_ppm(text), Some(12_300));
        assert_eq!(stall_ppm("some avg10=100.00 avg60=0.00"), Some(1_000_000));
        assert_eq!(stall_ppm("some avg10=0.05 avg60=0.00"), Some(500));
        for odd in
            ["", "some", "some avg10=", "some avg10=1", "some avg10=1.5 x", "some avg10=a.bc"]
        {
            assert_eq!(stall_ppm(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn limits() {
        assert_eq!(bytes_or_max("max\n"), Some(UNLIMITED));
        assert_eq!(bytes_or_max("1073741824\n"), Some(1 << 30));
        assert_eq!(bytes_or_max("1G\n"), None);
        assert_eq!(bytes_or_max(""), None);
        let stat = "anon 100\nfile 200\nactive_file 50\ninactive_file 150\n";
        assert_eq!(stat_line(stat, "inactive_file"), Some(150));
        assert_eq!(stat_line(stat, "file"), Some(200));
        assert_eq!(stat_line(stat, "slab"), None);
    }

    #[test]
    fn cgroup_of_a_process() {
        let service = "0::/system.slice/allot.service\n";
        assert_eq!(own_cgroup2(service), Some("/system.slice/allot.service"));
        assert_eq!(own_cgroup1(service), None, "version 2 alone");
        let hybrid = "5:devices:/\n4:memory:/a/b\n0::/\n";
        assert_eq!((own_cgroup2(hybrid), own_cgroup1(hybrid)), (Some("/"), Some("/a/b")));
        assert_eq!(own_cgroup2("0::/gone (deleted)\n"), Some("/gone"));
        assert_eq!(own_cgroup1("3:cpuset,memory:/gone (deleted)\n"), Some("/gone"));
        assert_eq!(own_cgroup2("4:memory:/a/b\n"), None, "version 1 alone");
        assert_eq!(own_cgroup1("4:memory_of:/a/b\n1:name=memory:/a\n"), None, "other controllers");
    }

    #[test]
    fn mounts() {
        let mount = cgroup2_mount(MOUNTINFO).unwrap();
        assert_eq!((mount.root.as_str(), mount.point.as_str()), ("/", "/sys/fs/cgroup/unified"));
        let spaced = r"41 31 0:38 /a\040b /mnt/my\040groups\134x rw - cgroup2 none rw";
        let mount = cgroup2_mount(spaced).unwrap();
        assert_eq!((mount.root.as_str(), mount.point.as_str()), ("/a b", r"/mnt/my groups\x"));
        let mount = cgroup1_mount(MOUNTINFO).unwrap();
        assert_eq!((mount.root.as_str(), mount.point.as_str()), ("/", "/sys/fs/cgroup/memory"));
        assert_eq!(cgroup1_mount("4 3 0:3 / /c rw - cgroup cgroup rw,cpuset"), None);
        let none: String = MOUNTINFO.lines().take(3).collect::<Vec<_>>().join("\n");
        assert_eq!(cgroup2_mount(&none), None);
        assert_eq!(cgroup2_mount("41 31 - cgroup2"), None, "cut short");
    }

    #[test]
    fn paths_below_a_mount() {
        let mount = |root: &str| CgroupMount { root: root.into(), point: "/c".into() };
        assert_eq!(mount("/").below("/a/b"), "a/b");
        assert_eq!(mount("/").below("/"), "");
        assert_eq!(mount("/docker/12").below("/docker/12/app"), "app");
        assert_eq!(mount("/docker/12").below("/docker/12"), "");
        assert_eq!(mount("/docker/12").below("/docker/123"), "", "a sibling is not below");
        assert_eq!(mount("/").below("/../other"), "", "outside of the namespace");
    }
}
