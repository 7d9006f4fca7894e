//! How many requests and releases 1 to 16 threads get done together, beside the bare pair on one
//! word by as many threads.
//!
//! `cargo bench --bench contention`
//!
//! | tenants | |
//! |---|---|
//! | one tenant | all threads ask for the same one |
//! | own tenants | each thread for its own |
//! | 64 tenants at random | each thread for any of them, another one each time |
//!
//! Where there is *plenty*, every tenant has idle claim at hand and every request is granted. *Near
//! the limit* the pool has room for one grant of every two threads, at least for one: whoever asks
//! while it is full is denied, and a tenant that has no claim takes the idle claim of another.
//!
//! The time is that of a request by any thread, granted or not, with its release: the shorter, the
//! more they get done together.

mod bare_pair;

use allotment::*;
use bare_pair::{Word, bare_pair, settings};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, SamplingMode};
use criterion::{criterion_group, criterion_main};
use std::cell::OnceCell;
use std::hint::black_box;
use std::sync::Barrier;
use std::time::{Duration, Instant};

const MIB: u64 = 1 << 20;
const PAGE: u64 = 4_096;
const THREADS: [usize; 5] = [1, 2, 4, 8, 16];
const MANY: usize = 64;

/// Time in which so many threads, which begin together, do `pairs` in all. `work` is called on each
/// of them with its number and what it has to do.
fn together(threads: usize, pairs: u64, work: impl Fn(usize, u64) + Sync) -> Duration {
    let each = pairs.div_ceil(threads as u64);
    let (barrier, work) = (Barrier::new(threads), &work);
    let times: Vec<(Instant, Instant)> = std::thread::scope(|scope| {
        let begin = |thread| {
            let barrier = &barrier;
            scope.spawn(move || {
                barrier.wait();
                let begin = Instant::now();
                work(thread, each);
                (begin, Instant::now())
            })
        };
        let workers: Vec<_> = (0..threads).map(begin).collect();
        workers.into_iter().map(|worker| worker.join().expect("no panic")).collect()
    });
    let begin = times.iter().map(|time| time.0).min().expect("a thread");
    let end = times.iter().map(|time| time.1).max().expect("a thread");
    // Some more were done where they do not divide.
    (end - begin).mul_f64(pairs as f64 / (each * threads as u64) as f64)
}

/// Whom a thread asks for.
#[derive(Clone, Copy, PartialEq)]
enum Choice {
    One,
    Own,
    Random,
}

struct Stage {
    governor: Governor,
    choice: Choice,
    requests: Vec<Request>,
}

impl Stage {
    fn new(threads: usize, choice: Choice, is_scarce: bool) -> Self {
        let room = PAGE * (threads as u64 / 2).max(1);
        let config = GovernorConfig {
            // A full pool is what is measured, not what is done about it.
            pool_pressure: false,
            ..GovernorConfig::new(if is_scarce { room } else { 1 << 40 })
        };
        let governor = Governor::new(config).expect("a configuration in range");
        let tenants = match choice {
            Choice::One => 1,
            Choice::Own => threads,
            Choice::Random => MANY,
        };
        let register = |number: usize| {
            let config = TenantConfig::new(TenantId::from_u128(number as u128 + 1), "bench");
            let of = governor.register_tenant(config).expect("room for a tenant");
            if !is_scarce {
                let much = Request::new(of, AllocationType::Cache, 64 * MIB);
                drop(governor.try_request(&much).expect("room in the pool"));
            }
            Request::new(of, AllocationType::Cache, PAGE)
        };
        let requests = (0..tenants).map(register).collect();
        Self { governor, choice, requests }
    }

    /// So many requests by a thread, each released if it is granted.
    fn ask(&self, thread: usize, pairs: u64) {
        let own = if self.choice == Choice::Own { thread } else { 0 };
        let mut random = thread as u64 + 1;
        for _ in 0..pairs {
            let mut at = own;
            if self.choice == Choice::Random {
                // The multiplier of Knuth's 64-bit linear congruential generator.
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                at = (random >> 32) as usize % MANY;
            }
            drop(self.governor.try_request(black_box(&self.requests[at])));
        }
    }

    /// Requests granted and denied so far.
    fn counts(&self) -> (u64, u64) {
        let tenants = self.governor.snapshot().tenants;
        tenants.iter().fold((0, 0), |(g, d), of| (g + of.granted, d + of.denied))
    }
}

fn named(threads: usize) -> &'static str {
    match threads {
        1 => "1 thread",
        2 => "2 threads",
        4 => "4 threads",
        8 => "8 threads",
        _ => "16 threads",
    }
}

fn bare(group: &mut BenchmarkGroup<WallTime>) {
    for threads in THREADS {
        let word = Word::default();
        group.bench_function(BenchmarkId::new("bare pair", named(threads)), |b| {
            b.iter_custom(|pairs| {
                together(threads, pairs, |_, pairs| (0..pairs).for_each(|_| bare_pair(&word)))
            });
        });
    }
}

fn measure(group: &mut BenchmarkGroup<WallTime>, name: &str, choice: Choice, is_scarce: bool) {
    for threads in THREADS {
        let stage = OnceCell::new();
        group.bench_function(BenchmarkId::new(name, named(threads)), |b| {
            let stage = stage.get_or_init(|| Stage::new(threads, choice, is_scarce));
            b.iter_custom(|pairs| {
                let before = stage.counts();
                let time = together(threads, pairs, |thread, pairs| stage.ask(thread, pairs));
                let (granted, denied) = stage.counts();
                let asked = granted - before.0 + denied - before.1;
                assert_eq!(asked, pairs.next_multiple_of(threads as u64), "all were answered");
                assert!(granted > before.0, "somebody gets what there is");
                assert!(is_scarce || denied == 0, "there is enough for all");
                time
            });
            assert_eq!(stage.governor.pool_meter().live_bytes, 0, "all was given back");
        });
        if let Some((granted, denied)) = stage.get().map(Stage::counts).filter(|_| is_scarce) {
            let percent = 100.0 * granted as f64 / (granted + denied) as f64;
            println!("{:24}granted: {percent:.1} %", "");
        }
    }
}

fn contention(criterion: &mut Criterion) {
    let mut group = bare_pair::group(criterion, "contention");
    // The same number of pairs in each sample, so that threads begin and end equally often.
    group.sampling_mode(SamplingMode::Flat);
    bare(&mut group);
    for (room, is_scarce) in [("plenty", false), ("near the limit", true)] {
        measure(&mut group, &format!("one tenant, {room}"), Choice::One, is_scarce);
        measure(&mut group, &format!("own tenants, {room}"), Choice::Own, is_scarce);
        measure(&mut group, &format!("64 tenants at random, {room}"), Choice::Random, is_scarce);
    }
    group.finish();
}

criterion_group! { name = benches; config = settings(); targets = contention }
criterion_main!(benches);
