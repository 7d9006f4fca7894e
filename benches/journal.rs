//! How many records a second one thread appends and flushes, and verifies.
//!
//! `cargo bench --bench journal`
//!
//! A million records in batches of a full buffer, to a folder in the system's place for temporary
//! files, or in the one that is named (`cargo bench --bench journal -- FOLDER`). Each line is the
//! median, the worst and the best of some runs.

use allotment::audit::*;
use std::path::{Path, PathBuf};
use std::time::Instant;

const RECORDS: u64 = 1_000_000;
const RUNS: usize = 9;

fn main() {
    let named = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let base = named.map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = base.join(format!("allotment-audit-bench-{}", std::process::id()));
    let key = Key::from_bytes(&[7; 32]);
    let mut rates = [(); 4].map(|()| Vec::new());
    for _ in 0..RUNS {
        rates[0].push(append(&folder, &key, SyncPolicy::Never, false));
        rates[1].push(append(&folder, &key, SyncPolicy::Never, true));
        rates[2].push(append(&folder, &key, SyncPolicy::Checkpoint, true));
        let begun = Instant::now();
        let verdict = verify(&folder, &key, None).expect("the log is there");
        assert!(verdict.is_intact() && verdict.records >= RECORDS);
        rates[3].push(verdict.records as f64 / begun.elapsed().as_secs_f64());
    }
    std::fs::remove_dir_all(&folder).expect("the folder is ours");
    let names = [
        "append and flush",
        "the same, a checkpoint every 1,000 records, not synced",
        "the same, synced",
        "verify",
    ];
    for (name, mut rates) in names.into_iter().zip(rates) {
        rates.sort_by(f64::total_cmp);
        let [median, worst, best] = [RUNS / 2, 0, RUNS - 1].map(|at| rates[at] / 1e6);
        println!("{median:6.2} {worst:6.2} {best:6.2}  million records/s: {name}");
    }
}

/// Records a second of a new log.
fn append(folder: &Path, key: &Key, sync: SyncPolicy, with_checkpoints: bool) -> f64 {
    std::fs::remove_dir_all(folder).ok();
    let options = JournalOptions { sync, ..JournalOptions::default() };
    let mut journal = Journal::open(folder, key, options, Moment::now(0)).expect("a new log");
    let begun = Instant::now();
    for number in 0..RECORDS {
        let words = [number, 1, number, 4096, 0, number, 0];
        if with_checkpoints && journal.is_checkpoint_due(Moment { unix_ns: 0, clock_ns: 0 }) {
            journal.checkpoint(Moment { unix_ns: number, clock_ns: 0 }).expect("a checkpoint");
        }
        if journal.room() == 0 {
            journal.flush().expect("room on the drive");
            if journal.is_full() {
                journal.rotate(Moment::now(0), []).expect("room on the drive");
            }
        }
        journal.append(&words).expect("there is room in the buffer");
    }
    journal.flush().expect("room on the drive");
    RECORDS as f64 / begun.elapsed().as_secs_f64()
}
