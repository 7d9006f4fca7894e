//! The slowest answers: more threads than cores, each request evicts, each is timed by itself;
//! and the bare pair under the same load.

use crate::bare::{BYTES, Word};
use crate::ours::{cached, tenant};
use crate::rounds::{Plan, Series, Side};
use allotment::{Governor, GovernorConfig, ReclaimAnswer, TenantHandle};
use hdrhistogram::Histogram;

use std::hint::black_box;
use std::sync::{Barrier, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Requests.
pub const REQUEST: &str = "`request` that evicts";
/// The least.
pub const BARE: &str = "bare pair on one line";
/// What is shown of each.
pub const QUANTILES: [(&str, f64); 4] =
    [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("p99.99", 0.9999)];

/// Grants that a full pool has.
const GRANTS: u64 = 10_000;
/// A time in ns that nothing takes.
const NS_MAX: u64 = 60_000_000_000;

/// What was seen in all rounds, those that were done again included.
pub struct Tails {
    /// Threads at once.
    pub threads: usize,
    /// p99.99 in ns, by round.
    pub series: Series,
    /// Every request.
    pub requests: Histogram<u64>,
    /// Every bare pair.
    pub pairs: Histogram<u64>,
}

/// A full pool, and what was seen of it so far.
pub struct Tail {
    threads: usize,
    governor: Governor,
    tenants: Vec<TenantHandle>,
    word: Word,
    requests: Mutex<Vec<Histogram<u64>>>,
    pairs: Mutex<Vec<Histogram<u64>>>,
}

impl Tail {
    /// A tenant for each of `2 x cores` threads.
    pub fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = 2 * cores;
        let config = GovernorConfig { pool_pressure: false, ..GovernorConfig::new(GRANTS * BYTES) };
        let governor = Governor::new(config).expect("a capacity in range");
        governor.on_reclaim(|_| ReclaimAnswer::Freed);
        let tenants: Vec<TenantHandle> = (0..threads)
            .map(|n| governor.register_tenant(tenant(n as u128)).expect("room for a tenant"))
            .collect();
        let (requests, pairs) = (Mutex::default(), Mutex::default());
        let tail = Self { threads, governor, tenants, word: Word::default(), requests, pairs };
        (0..2 * GRANTS as usize).for_each(|n| tail.request(n % threads));
        tail
    }

    /// Threads at once.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Both loads; measures p99.99 in ns.
    pub fn sides(&self, plan: &Plan) -> Vec<Side<'_>> {
        let time = Duration::from_millis(5 * plan.side_ms);
        let timed = move |seen: &Mutex<Vec<Histogram<u64>>>, histogram: Histogram<u64>| {
            let tail = histogram.value_at_quantile(0.9999) as f64;
            seen.lock().unwrap_or_else(PoisonError::into_inner).push(histogram);
            tail
        };
        vec![
            Side::new(REQUEST, move || {
                timed(&self.requests, self.load(time, |thread| self.request(thread)))
            }),
            Side::new(BARE, move || timed(&self.pairs, self.load(time, |_| self.word.pair()))),
        ]
    }

    /// All that was seen: requests, and bare pairs.
    pub fn histograms(&self) -> [Histogram<u64>; 2] {
        [&self.requests, &self.pairs]
            .map(|seen| merged(&seen.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    fn request(&self, thread: usize) {
        let block = cached(self.tenants[thread], BYTES);
        self.governor.request(black_box(&block)).expect("one that may go").into_id();
    }

    /// Does `op` on all threads for a time, each one timed.
    fn load(&self, time: Duration, op: impl Fn(usize) + Sync) -> Histogram<u64> {
        let begin = Barrier::new(self.threads);
        let histograms: Vec<Histogram<u64>> = std::thread::scope(|scope| {
            let work = |thread| {
                let (begin, op) = (&begin, &op);
                move || {
                    let mut seen = histogram();
                    begin.wait();
                    let mut now = Instant::now();
                    let end = now + time;
                    while now < end {
                        let began = now;
                        op(thread);
                        now = Instant::now();
                        seen.saturating_record((now - began).as_nanos() as u64);
                        // What it costs to record is nobody's.
                        now = Instant::now();
                    }
                    seen
                }
            };
            let running: Vec<_> = (0..self.threads).map(|k| scope.spawn(work(k))).collect();
            running.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        merged(&histograms)
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(NS_MAX, 3).expect("bounds in range")
}

fn merged(histograms: &[Histogram<u64>]) -> Histogram<u64> {
    let mut sum = histogram();
    for other in histograms {
        sum.add(other).expect("the same bounds");
    }
    sum
}
