//! What an audit log costs: grants per second without one, with one that may lose records, and with
//! one that may not, side by side.
//!
//! `cargo bench --bench audit`
//!
//! Each side has a governor of its own, and a log that is written by its own thread: to memory
//! where there is a folder for that, so that what the system does to bring files to the disk, which
//! needs cores as well, is not in the figures; then to the build folder, where it is.
//!
//! The sides take turns for [`TURN`] each, [`ROUNDS`] times; printed are the median and the range
//! of their rates, the ratio of each round to the bare side of that round, and what was lost,
//! refused or is missing. At the end every log is sealed and verified, and its grants are counted:
//! with *fail closed* all that were made must be in it.

use allotment::audit::{AuditLog, Body, JournalOptions, Key, Reader, SyncPolicy, verify};
use allotment::*;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

const MIB: u64 = 1 << 20;
const TURN: Duration = Duration::from_millis(300);
const ROUNDS: usize = 9;

/// One governor, and its log.
struct Side {
    name: &'static str,
    governor: Arc<Governor>,
    log: Option<AuditLog>,
    folder: PathBuf,
    tenants: Vec<TenantHandle>,
    granted: u64,
    denied: u64,
    rates: Vec<f64>,
}

impl Side {
    fn new(name: &'static str, audit: AuditMode, threads: usize, place: &Path, key: &Key) -> Self {
        let config =
            GovernorConfig { audit, events_max: events_max(audit), ..GovernorConfig::new(1 << 40) };
        let governor = Arc::new(Governor::new(config).expect("a configuration in range"));
        let folder = place.join(name.replace(' ', "-"));
        let options = JournalOptions { sync: SyncPolicy::Never, ..JournalOptions::default() };
        let log = (audit != AuditMode::Off)
            .then(|| AuditLog::start(&governor, &folder, key, options).expect("a new folder"));
        let tenants = (1..=threads as u128).map(|number| {
            let config = TenantConfig {
                guarantee_bytes: 128 * MIB,
                ..TenantConfig::new(TenantId::from_u128(number), "bench")
            };
            governor.register_tenant(config).expect("room for a tenant")
        });
        let tenants = tenants.collect();
        let (granted, denied, rates) = (0, 0, Vec::new());
        Self { name, governor, log, folder, tenants, granted, denied, rates }
    }

    /// Requests and releases on a thread for each tenant, for one turn.
    fn turn(&mut self) {
        let begin = Instant::now();
        let end = begin + TURN;
        let counts: Vec<(u64, u64)> = std::thread::scope(|scope| {
            let governor = &self.governor;
            let workers: Vec<_> = self
                .tenants
                .iter()
                .map(|&of| scope.spawn(move || ask_and_return(governor, of, end)))
                .collect();
            workers.into_iter().map(|worker| worker.join().expect("no panic")).collect()
        });
        let seconds = begin.elapsed().as_secs_f64();
        let granted: u64 = counts.iter().map(|count| count.0).sum();
        self.granted += granted;
        self.denied += counts.iter().map(|count| count.1).sum::<u64>();
        self.rates.push(granted as f64 / seconds);
        if let Some(log) = &self.log {
            // The next side begins with a quiet machine.
            log.flush().expect("room on the disk");
        }
    }

    fn close(self, key: &Key, bare: &[f64]) {
        let ratios = self.rates.iter().zip(bare).map(|(rate, bare)| rate / bare);
        let (rates, ratios) = (Spread::of(self.rates.clone()), Spread::of(ratios.collect()));
        println!("{:<16} {rates:.2} M grants/s, {ratios:.2} of the bare side", self.name);
        let Some(log) = self.log else { return };
        let status = log.status();
        let head = log.close().expect("room on the disk");
        let verdict = verify(&self.folder, key, Some(&head)).expect("a log");
        assert!(verdict.is_intact() && verdict.sealed, "{verdict:?}");
        let recorded = grants_in(&self.folder);
        let missing = self.granted - recorded;
        println!(
            "{:<16} {} grants, {recorded} in the log, {missing} missing ({:.1} %); {} requests \
             refused for want of room; {} records verified, {} events in gaps",
            "",
            self.granted,
            missing as f64 * 100.0 / self.granted as f64,
            self.denied,
            verdict.records,
            verdict.events_lost
        );
        if status.mode == AuditMode::FailClosed {
            assert_eq!((missing, verdict.events_lost), (0, 0), "fail closed loses nothing");
        }
        std::fs::remove_dir_all(&self.folder).expect("our own folder");
    }
}

/// As much as a service would keep: a quarter of a second of such a load.
fn events_max(audit: AuditMode) -> u32 {
    if audit == AuditMode::Off { 0 } else { 1 << 20 }
}

fn ask_and_return(governor: &Governor, of: TenantHandle, end: Instant) -> (u64, u64) {
    let request = Request::new(of, AllocationType::Cache, 4_096);
    let (mut granted, mut denied) = (0, 0);
    while Instant::now() < end {
        for _ in 0..256 {
            match black_box(governor.try_request(black_box(&request))) {
                Ok(grant) => {
                    drop(grant);
                    granted += 1;
                }
                Err(_) => denied += 1,
            }
        }
    }
    (granted, denied)
}

fn grants_in(folder: &Path) -> u64 {
    let reader = Reader::open(folder, None).expect("a log");
    let is_grant = |body: &Body| matches!(body, Body::Event(e) if e.kind == EventKind::Granted);
    reader.map(|entry| entry.expect("a whole record").record.body()).filter(is_grant).count() as u64
}

struct Spread {
    values: Vec<f64>,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Self { values }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scale = if self.values[0] > 1_000.0 { 1e6 } else { 1.0 };
        let at = |place: usize| self.values[place] / scale;
        let last = self.values.len() - 1;
        write!(f, "{:.2} ({:.2} to {:.2})", at(last / 2), at(0), at(last))
    }
}

fn main() {
    let places = [Path::new("/dev/shm"), Path::new(env!("CARGO_TARGET_TMPDIR"))];
    for (base, what) in places.into_iter().zip(["memory", "the build folder"]) {
        if !base.is_dir() {
            println!("skipped: no folder for a log in {what}");
            continue;
        }
        let place = base.join(format!("allotment-audit-bench-{}", std::process::id()));
        std::fs::create_dir_all(&place).expect("a place for the log");
        for threads in [1, 2] {
            println!("{threads} asking at once, the log in {what}");
            compare(threads, &place);
        }
        std::fs::remove_dir_all(&place).expect("our own folder");
    }
}

fn compare(threads: usize, place: &Path) {
    let key = Key::from_bytes(&[7; 32]);
    let mut sides = [
        Side::new("no audit", AuditMode::Off, threads, place, &key),
        Side::new("drop and count", AuditMode::DropAndCount, threads, place, &key),
        Side::new("fail closed", AuditMode::FailClosed, threads, place, &key),
    ];
    for _ in 0..ROUNDS {
        sides.iter_mut().for_each(Side::turn);
    }
    let bare = sides[0].rates.clone();
    for side in sides {
        side.close(&key, &bare);
    }
}
