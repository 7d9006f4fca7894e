//! The slowest answers: more threads than cores, each request timed by itself; and the bare pair
//! under the same load.
//!
//! Whoever is sent off its core in the middle of an operation waits until the others have had
//! theirs. That meets an operation as often as it takes long: so bare pairs are also timed in
//! stretches about as long as a request that evicts.

use crate::bare::{BYTES, Word};
use crate::ours::{cached, governor, tenant};
use crate::rounds::{Plan, Series, Side};
use allotment::{Governor, GovernorConfig, Grant, ReclaimAnswer, Refusal, TenantHandle};
use hdrhistogram::Histogram;
use std::hint::black_box;
use std::sync::{Barrier, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What the bar is about: most requests find room, every eighth has to make it.
pub const REQUEST: &str = "`request`, one in eight is kept and something evicted for it";
/// The harder load.
const EVICTING: &str = "`request`, each is kept and something evicted for it";
const PAIR: &str = "bare pair, all on one line";
const PAIRS: &str = "64 bare pairs in a row, all on one line";
/// What is shown of each.
pub const QUANTILES: [(&str, f64); 4] =
    [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("p99.99", 0.9999)];

/// Grants that a full pool has.
const GRANTS: u64 = 10_000;
const KEPT_EVERY: u64 = 8;
const PAIRS_IN_A_ROW: u32 = 64;
/// A time in ns that nothing takes.
const NS_MAX: u64 = 60_000_000_000;

/// What was seen of one load.
pub struct Seen {
    /// ns of each answer.
    pub answers: Histogram<u64>,
    /// Requests that were refused, among the answers.
    pub refused: u64,
}

impl Seen {
    fn nothing() -> Self {
        let answers = Histogram::new_with_max(NS_MAX, 3).expect("bounds in range");
        Self { answers, refused: 0 }
    }

    fn add(&mut self, other: &Self) {
        self.answers.add(&other.answers).expect("the same bounds");
        self.refused += other.refused;
    }
}

/// What was seen in all rounds, those that were done again included.
pub struct Tails {
    /// Threads at once.
    pub threads: usize,
    /// p99.99 in ns, by round.
    pub series: Series,
    /// What was seen, by side.
    pub seen: Vec<Seen>,
    /// Evictions for each request of the first load.
    pub evicted_per_request: f64,
}

/// A full pool, with a tenant for each of `2 x cores` threads.
struct Tail {
    threads: usize,
    governor: Governor,
    tenants: Vec<TenantHandle>,
    word: Word,
    /// By side.
    seen: [Mutex<Seen>; 4],
    /// Evictions during the first load.
    evicted: Mutex<u64>,
}

/// Measures all loads; `check` makes rounds of sides.
pub fn measure(plan: &Plan, check: impl FnOnce(&mut [Side]) -> Series) -> Tails {
    let tail = Tail::new();
    let series = check(&mut tail.sides(plan));
    let seen = tail.seen.map(|seen| seen.into_inner().unwrap_or_else(PoisonError::into_inner));
    let evicted = tail.evicted.into_inner().unwrap_or_else(PoisonError::into_inner);
    let evicted_per_request = evicted as f64 / seen[0].answers.len() as f64;
    Tails { threads: tail.threads, series, seen: seen.into(), evicted_per_request }
}

impl Tail {
    fn new() -> Self {
        let threads = 2 * std::thread::available_parallelism().map_or(1, usize::from);
        let config = GovernorConfig { pool_pressure: false, ..GovernorConfig::new(GRANTS * BYTES) };
        let governor = governor(config);
        governor.on_reclaim(|_| ReclaimAnswer::Freed);
        let tenants: Vec<TenantHandle> = (0..threads)
            .map(|n| governor.register_tenant(tenant(n as u128)).expect("room for a tenant"))
            .collect();
        let seen = std::array::from_fn(|_| Mutex::new(Seen::nothing()));
        let (word, evicted) = (Word::default(), Mutex::default());
        let tail = Self { threads, governor, tenants, word, seen, evicted };
        for n in 0..2 * GRANTS as usize {
            tail.request(n % threads).expect("one that may go").into_id();
        }
        tail
    }

    /// The loads; each measures p99.99 in ns.
    fn sides(&self, plan: &Plan) -> Vec<Side<'_>> {
        let time = Duration::from_millis(5 * plan.side_ms);
        vec![
            Side::new(REQUEST, move || {
                let before = self.evicted_so_far();
                // What is not kept is dropped by the caller, after it was timed.
                let load = self.load(time, |thread, number| {
                    let grant = self.request(thread)?;
                    if number % KEPT_EVERY > 0 {
                        return Ok(Some(grant));
                    }
                    grant.into_id();
                    Ok(None)
                });
                *self.evicted.lock().unwrap_or_else(PoisonError::into_inner) +=
                    self.evicted_so_far() - before;
                self.note(0, load)
            }),
            Side::new(EVICTING, move || {
                let load = self.load(time, |thread, _| Ok(self.request(thread)?.into_id()));
                self.note(1, load)
            }),
            Side::new(PAIR, move || {
                let load = self.load(time, |_, _| {
                    self.word.pair();
                    Ok(())
                });
                self.note(2, load)
            }),
            Side::new(PAIRS, move || {
                let load = self.load(time, |_, _| {
                    (0..PAIRS_IN_A_ROW).for_each(|_| self.word.pair());
                    Ok(())
                });
                self.note(3, load)
            }),
        ]
    }

    fn request(&self, thread: usize) -> Result<Grant<'_>, Refusal> {
        self.governor.request(black_box(&cached(self.tenants[thread], BYTES)))
    }

    fn evicted_so_far(&self) -> u64 {
        self.governor.snapshot().tenants.iter().map(|tenant| tenant.evicted).sum()
    }

    /// Adds what a side has seen to what it had seen before; its p99.99.
    fn note(&self, side: usize, seen: Seen) -> f64 {
        self.seen[side].lock().unwrap_or_else(PoisonError::into_inner).add(&seen);
        seen.answers.value_at_quantile(0.9999) as f64
    }

    /// Does `op` on all threads for a time, each one timed; it is told the thread and the how
    /// manieth it is. What it answers is dropped when the time is taken.
    fn load<T>(
        &self,
        time: Duration,
        op: impl Fn(usize, u64) -> Result<T, Refusal> + Sync,
    ) -> Seen {
        let begin = Barrier::new(self.threads);
        let mut sum = Seen::nothing();
        std::thread::scope(|scope| {
            let work = |thread| {
                let (begin, op) = (&begin, &op);
                move || {
                    let (mut seen, mut number) = (Seen::nothing(), 0);
                    begin.wait();
                    let end = Instant::now() + time;
                    let mut began = Instant::now();
                    while began < end {
                        let answer = op(thread, number);
                        let took = began.elapsed().as_nanos() as u64;
                        seen.answers.saturating_record(took);
                        seen.refused += u64::from(answer.is_err());
                        drop(answer);
                        number += 1;
                        began = Instant::now();
                    }
                    seen
                }
            };
            let running: Vec<_> = (0..self.threads).map(|k| scope.spawn(work(k))).collect();
            for thread in running {
                sum.add(&thread.join().expect("a load does not panic"));
            }
        });
        sum
    }
}
