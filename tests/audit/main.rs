//! The audit log by its public interface: what is written is read and proved, and nothing else is.

use allotment::audit::*;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

mod body;
mod folder;
mod head;
mod header;
mod journal;
mod key;
mod log;
mod output;
mod reader;
mod resume;
mod text;
mod verifier;

/// Files that cannot grow, as on a full disk.
#[cfg(target_os = "linux")]
mod limited {
    use std::process::Command;

    const CHILD: &str = "ALLOTMENT_AUDIT_LIMITED";

    /// Lets files of this process grow to `bytes` and no further.
    pub fn limit(bytes: u64) {
        let limits = libc::rlimit { rlim_cur: bytes, rlim_max: libc::RLIM_INFINITY };
        // SAFETY: the limits are ours; without the signal a write that is too long just fails.
        unsafe {
            libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
            assert_eq!(libc::setrlimit(libc::RLIMIT_FSIZE, &limits), 0);
        }
    }

    /// Runs the test of this name in a process of its own, since limits are of the process.
    pub fn alone(name: &str, test: impl FnOnce()) {
        if std::env::var_os(CHILD).is_some() {
            return test();
        }
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name])
            .env(CHILD, "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
    }
}

const SECRET: [u8; 32] = *b"thirty-two bytes that are secret";

/// The system's allocator, counting the allocations of each thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as promised by the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as promised by the caller.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A folder of one test, deleted when it ends.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static COUNT: Mutex<u64> = Mutex::new(0);
        let number = {
            let mut count = COUNT.lock().unwrap();
            *count += 1;
            *count
        };
        // Memory, where there is such a folder: many small logs are written.
        let memory = Path::new("/dev/shm");
        let base = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
        let folder = base.join(format!("allotment-audit-{}-{number}", std::process::id()));
        std::fs::remove_dir_all(&folder).ok();
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn log(&self) -> PathBuf {
        self.0.join("log")
    }

    fn segment(&self, number: u64) -> PathBuf {
        self.log().join(name(number))
    }

    fn open(&self, options: JournalOptions) -> Journal {
        Journal::open(&self.log(), &key(), options, at(1)).unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

fn key() -> Key {
    Key::from_bytes(&SECRET)
}

fn name(segment: u64) -> String {
    format!("{segment:020}.audit")
}

fn at(clock_ns: u64) -> Moment {
    Moment { unix_ns: 1_700_000_000_000_000_000 + clock_ns, clock_ns }
}

/// Words of an event that differ for every number.
fn words(number: u64) -> [u64; RECORD_WORDS] {
    [number, 1 + number % 16, number, number * 3, 0, number, 0]
}

fn append(journal: &mut Journal, numbers: std::ops::Range<u64>) {
    for number in numbers {
        journal.append(&words(number)).unwrap();
    }
}

/// Small segments, as few bytes as possible.
fn small() -> JournalOptions {
    JournalOptions {
        segment_bytes_max: (HEADER_BYTES + 16 * RECORD_BYTES) as u64,
        sync: SyncPolicy::Never,
        ..JournalOptions::default()
    }
}

/// Numbers that look random and are the same in every run (splitmix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// 0 to `count - 1`.
    fn below(&mut self, count: usize) -> usize {
        (self.next() % count as u64) as usize
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }
}

/// All records of a log, read with the key.
fn records(folder: &Path) -> Vec<Record> {
    let key = key();
    let reader = Reader::open(folder, Some(&key)).unwrap();
    reader.map(|entry| entry.unwrap().record).collect()
}
