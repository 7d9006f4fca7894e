//! Allocations per second, with their releases: on one thread, and on all cores at once, each of
//! them a tenant of its own.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use allotment::Request;

use super::bare::Bare;
use super::cases::{FLOOR_BYTES, GRANT_BYTES, once, plenty, request, tenant};
use super::sample::Sample;
use super::{broken, refused};
use crate::failure::CliError;

/// Rounds of all four: one thread and all, of the governor and of the bare pair.
pub(super) const ROUNDS: usize = 5;

/// What such a benchmark was once asked to reach.
pub(super) const ASKED_FOR_PER_SECOND: u64 = 10_000;

/// Turns between two looks at the clock.
const BATCH: u64 = 1_000;

/// What was reached.
pub(super) struct Throughput {
    /// Threads of those figures that are not of one.
    pub threads: usize,
    /// Requests granted and released per second.
    pub allocations: Rates,
    /// Bare pairs per second, each thread on a line of its own.
    pub bare_pairs: Rates,
}

/// How often per second.
pub(super) struct Rates {
    /// On one thread.
    pub one_thread: f64,
    /// On all together.
    pub all_threads: f64,
}

impl Rates {
    /// All together against one.
    pub fn ratio(&self) -> f64 {
        self.all_threads / self.one_thread
    }
}

impl Throughput {
    /// Measures for about `time`; `step` is told of every round.
    pub fn measured(threads: usize, time: Duration, step: impl Fn()) -> Result<Self, CliError> {
        let governor = plenty().map_err(refused)?;
        let register = |number| {
            Ok(request(tenant(&governor, number, FLOOR_BYTES).map_err(refused)?, GRANT_BYTES))
        };
        let requests = (0..threads).map(register).collect::<Result<Vec<Request>, _>>()?;
        let allocate: Vec<_> = requests.iter().map(|request| || once(&governor, request)).collect();
        let lines: Vec<Bare> = (0..threads).map(|_| Bare::default()).collect();
        let add: Vec<_> = lines.iter().map(|line| || line.pair()).collect();
        let slice = time / (4 * ROUNDS) as u32;
        let mut rates: [Vec<f64>; 4] = Default::default();
        for _ in 0..ROUNDS {
            rates[0].push(per_second(&allocate[..1], slice)?);
            rates[1].push(per_second(&add[..1], slice)?);
            rates[2].push(per_second(&allocate, slice)?);
            rates[3].push(per_second(&add, slice)?);
            step();
        }
        let [allocations, pairs, all_allocations, all_pairs] =
            rates.map(|rounds| Sample::of(rounds).median);
        Ok(Self {
            threads,
            allocations: Rates { one_thread: allocations, all_threads: all_allocations },
            bare_pairs: Rates { one_thread: pairs, all_threads: all_pairs },
        })
    }
}

/// Lets all work at once, each on a thread of its own.
fn per_second<W: Fn() -> bool + Sync>(workers: &[W], time: Duration) -> Result<f64, CliError> {
    let start = Barrier::new(workers.len());
    thread::scope(|scope| {
        let start = &start;
        let spawn = |work| scope.spawn(move || rate(work, time, start));
        let running: Vec<_> = workers.iter().map(spawn).collect();
        running.into_iter().map(|thread| thread.join().expect("counting never panics")).sum()
    })
}

/// What one thread reaches from the moment on when all are there.
fn rate(work: &impl Fn() -> bool, time: Duration, start: &Barrier) -> Result<f64, CliError> {
    start.wait();
    let begin = Instant::now();
    let mut turns = 0;
    loop {
        if !(0..BATCH).all(|_| work()) {
            return Err(broken("request + release on all cores"));
        }
        turns += BATCH;
        let took = begin.elapsed();
        if took >= time {
            return Ok(turns as f64 / took.as_secs_f64());
        }
    }
}
