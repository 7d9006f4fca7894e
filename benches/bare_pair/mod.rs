//! The yardstick of every bench: `fetch_add` and `fetch_sub` on one word that has its cache line to
//! itself. Whoever counts what is taken and given back pays at least that.
//!
//! It is measured in every process, before anything else and whatever was filtered, as
//! `GROUP/bare pair`. So a result that is older than it comes from another run, and
//! `scripts/ratios.sh` does not divide the one by the other.

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion};
use crossbeam_utils::CachePadded;
use std::hint::black_box;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// What is taken and given back.
pub type Word = CachePadded<AtomicI64>;

/// Short measurements: what differs from run to run differs by more than they are unsure of.
pub fn settings() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(50)
        .nresamples(10_000)
}

/// A group of results, once the bare pair was measured for it.
pub fn group<'c>(criterion: &'c mut Criterion, name: &str) -> BenchmarkGroup<'c, WallTime> {
    // A profile shall show what was asked for alone.
    if !std::env::args().any(|argument| argument.starts_with("--profile-time")) {
        let always = settings().configure_from_args();
        let mut always = always.with_filter(format!("^{name}/bare pair$"));
        let word = Word::default();
        let mut group = always.benchmark_group(name);
        group.bench_function("bare pair", |b| b.iter(|| bare_pair(&word)));
        group.finish();
        assert_eq!(word.load(Ordering::Relaxed), 0, "what was taken was given back");
    }
    criterion.benchmark_group(name)
}

/// One pair.
#[inline(always)]
pub fn bare_pair(word: &Word) {
    // AcqRel: what request and release pay at least; nothing else pairs with it.
    black_box(word).fetch_add(black_box(4_096), Ordering::AcqRel);
    black_box(word).fetch_sub(black_box(4_096), Ordering::AcqRel);
}
