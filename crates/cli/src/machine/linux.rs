//! Linux: what `/proc` and `/sys` say beside the library's probe. All of it is a bonus: what is
//! missing, or reads as something else, is left out.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use super::processes::SEEN_MAX;
use super::{HugePages, More, Overcommit, Processes, Stalls};

/// As much as is read of a file.
const TEXT_BYTES_MAX: u64 = 64 << 10;

/// What is said beside the probe.
pub fn more(root: &Path) -> More {
    let meminfo = text(&root.join("proc/meminfo")).unwrap_or_default();
    More {
        stalls: text(&root.join("proc/pressure/memory")).and_then(|text| stalls(&text)),
        overcommit: overcommit(root, &meminfo),
        huge_pages: huge_pages(root, &meminfo),
        gpu_bytes: None,
    }
}

/// The largest processes by what is resident.
pub fn processes(root: &Path) -> Processes {
    let mut processes = Processes::default();
    let Ok(entries) = fs::read_dir(root.join("proc")) else { return processes };
    for entry in entries.take(SEEN_MAX).flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // One that ended meanwhile has no files any more, and a thread of the kernel no memory.
        let Some(status) = text(&entry.path().join("status")) else { continue };
        let Some(bytes) = kib(&status, "VmRSS") else { continue };
        processes.see(pid, bytes, || line(&status, "Name").unwrap_or_default().to_string());
    }
    processes
}

fn text(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(TEXT_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn overcommit(root: &Path, meminfo: &str) -> Option<Overcommit> {
    let mode = text(&root.join("proc/sys/vm/overcommit_memory"))?.trim().parse().ok()?;
    Some(Overcommit {
        mode,
        limit_bytes: kib(meminfo, "CommitLimit")?,
        committed_bytes: kib(meminfo, "Committed_AS")?,
    })
}

fn huge_pages(root: &Path, meminfo: &str) -> Option<HugePages> {
    let transparent = text(&root.join("sys/kernel/mm/transparent_hugepage/enabled"));
    // The one in force stands in brackets.
    let in_force = |text: String| Some(text.split_once('[')?.1.split_once(']')?.0.to_string());
    let free: u64 = line(meminfo, "HugePages_Free")?.parse().ok()?;
    Some(HugePages {
        free_bytes: free.checked_mul(kib(meminfo, "Hugepagesize")?)?,
        transparent: transparent.and_then(in_force),
    })
}

/// What follows `name:`.
fn line<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let value = |line: &'a str| line.strip_prefix(name)?.strip_prefix(':');
    Some(text.lines().find_map(value)?.trim())
}

/// `name:   123 kB`, in bytes.
fn kib(text: &str, name: &str) -> Option<u64> {
    line(text, name)?.strip_suffix("kB")?.trim_end().parse::<u64>().ok()?.checked_mul(1024)
}

/// `some avg10=1.23 avg60=... avg300=... total=...`, and a line `full` like it.
fn stalls(text: &str) -> Option<Stalls> {
    let of = |kind: &str| -> Option<[u32; 3]> {
        let line = text.lines().find_map(|line| line.strip_prefix(kind)?.strip_prefix(' '))?;
        let share = |name: &str| {
            let percent = line.split(' ').find_map(|word| word.strip_prefix(name))?;
            let ppm = percent.parse::<f64>().ok()? * 10_000.0;
            (0.0..=1e6).contains(&ppm).then(|| ppm.round() as u32)
        };
        Some([share("avg10=")?, share("avg60=")?, share("avg300=")?])
    };
    Some(Stalls { some_ppm: of("some")?, full_ppm: of("full").unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stalls_are_read_or_left_out() {
        let text = "some avg10=1.50 avg60=0.07 avg300=100.00 total=9\nfull avg10=0.00 avg60=0.00 \
                    avg300=2.00 total=1\n";
        let seen = stalls(text).unwrap();
        assert_eq!(seen.some_ppm, [15_000, 700, 1_000_000]);
        assert_eq!(seen.full_ppm, [0, 0, 20_000]);
        for text in ["", "some", "some avg10=x avg60=0.00 avg300=0.00", "full avg10=0.00"] {
            assert_eq!(stalls(text), None, "{text}");
        }
        assert_eq!(stalls("some avg10=101.00 avg60=0.00 avg300=0.00"), None);
    }

    #[test]
    fn lines_are_found_by_their_whole_name() {
        let text =
            "HugePages_Free:        3\nHugePages_Total:       4\nHugepagesize:       2048 kB\n";
        assert_eq!((line(text, "HugePages_Total"), line(text, "HugePages")), (Some("4"), None));
        assert_eq!(kib(text, "Hugepagesize"), Some(2 << 20));
        assert_eq!(kib(text, "HugePages_Total"), None, "no unit");
    }
}
