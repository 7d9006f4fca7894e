//! How long single requests take where memory is short and threads are more than cores. The bare
//! pair goes through the same: what it shows at the far end is the scheduler's doing.

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::bare::Bare;
use super::crowd::{self, Member};
use super::{broken, refused};
use crate::dice::Dice;
use crate::failure::CliError;

/// Rounds of both, in turn.
pub(super) const ROUNDS: usize = 5;

/// Longest time that is told from longer ones: a minute.
const LONGEST_NS: u64 = 60_000_000_000;

/// Significant digits that are kept of each time.
const DIGITS: u8 = 3;

/// Readings of the clock by which it is measured.
const READINGS: u32 = 100_000;

/// Something that a thread does again and again.
pub(super) trait Turn: Send {
    /// Does it once, by the number that was thrown.
    fn turn(&mut self, dice: u64);
}

/// What was found.
pub(super) struct Latency {
    /// Threads at work.
    pub threads: usize,
    /// What reading the clock takes, in ns; each time has about one reading in it.
    pub timer_ns: f64,
    /// Requests of all threads.
    pub requests: u64,
    /// Those that were denied.
    pub denied: u64,
    /// Grants that were evicted for them.
    pub evicted: u64,
    /// Of one request, what it evicts and the release of the block before.
    pub request: Percentiles,
    /// Of one bare pair, on one line for all threads.
    pub bare_pair: Percentiles,
}

/// Of many times, in ns.
pub(super) struct Percentiles {
    /// How many.
    pub samples: u64,
    /// Half of them take at most this long.
    pub p50: u64,
    /// All but one in 100.
    pub p99: u64,
    /// All but one in 1,000.
    pub p99_9: u64,
    /// All but one in 10,000.
    pub p99_99: u64,
    /// All.
    pub max: u64,
}

impl Latency {
    /// Measures for about `time`; `step` is told of every round.
    pub fn measured(threads: usize, time: Duration, step: impl Fn()) -> Result<Self, CliError> {
        let governor = crowd::governor(threads).map_err(refused)?;
        let members = (0..threads).map(|number| Member::new(&governor, number));
        let mut members = members.collect::<Result<Vec<_>, _>>().map_err(refused)?;
        members.iter_mut().for_each(Member::fill);
        let before = counts(&members)?;
        let line = Bare::default();
        let mut pairs: Vec<Pair> = (0..threads).map(|_| Pair(&line)).collect();
        let slice = time / (2 * ROUNDS) as u32;
        let (mut request, mut bare_pair) = (histogram(), histogram());
        for round in 0..ROUNDS as u64 {
            add(&mut request, times(&mut members, slice, round));
            add(&mut bare_pair, times(&mut pairs, slice, round));
            step();
        }
        let after = counts(&members)?;
        members.iter_mut().for_each(Member::leave);
        if governor.snapshot().live_bytes != 0 {
            return Err(broken("all grants are back, but not all bytes"));
        }
        let [requests, denied, evicted] = [0, 1, 2].map(|at| after[at] - before[at]);
        Ok(Self {
            threads,
            timer_ns: timer_ns(),
            requests,
            denied,
            evicted,
            request: Percentiles::of(&request),
            bare_pair: Percentiles::of(&bare_pair),
        })
    }

    /// Grants that were evicted for 100 requests.
    pub fn evicted_percent(&self) -> f64 {
        self.evicted as f64 / self.requests as f64 * 100.0
    }
}

/// Requests, denials and evictions of all.
fn counts(members: &[Member]) -> Result<[u64; 3], CliError> {
    let mut sums = [0; 3];
    for member in members {
        let evicted = member.evicted().map_err(|error| broken(&error.to_string()))?;
        sums[0] += member.requests;
        sums[1] += member.denied;
        sums[2] += evicted;
    }
    Ok(sums)
}

struct Pair<'l>(&'l Bare);

impl Turn for Pair<'_> {
    fn turn(&mut self, dice: u64) {
        black_box((self.0.pair(), dice));
    }
}

/// Lets all work at once, each on a thread of its own, and times every turn.
fn times<W: Turn>(workers: &mut [W], time: Duration, seed: u64) -> Histogram<u64> {
    let start = Barrier::new(workers.len());
    thread::scope(|scope| {
        let spawn = |(number, work)| {
            let (start, dice) = (&start, Dice(seed << 32 | number as u64));
            scope.spawn(move || times_of(work, time, dice, start))
        };
        let running: Vec<_> = workers.iter_mut().enumerate().map(spawn).collect();
        let mut all = histogram();
        for thread in running {
            add(&mut all, thread.join().expect("counting never panics"));
        }
        all
    })
}

fn times_of(
    work: &mut impl Turn,
    time: Duration,
    mut dice: Dice,
    start: &Barrier,
) -> Histogram<u64> {
    let mut times = histogram();
    start.wait();
    let end = Instant::now() + time;
    loop {
        let dice = dice.next();
        let begin = Instant::now();
        work.turn(dice);
        let now = Instant::now();
        times.saturating_record((now - begin).as_nanos() as u64);
        if now >= end {
            return times;
        }
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(LONGEST_NS, DIGITS).expect("bounds and digits that are possible")
}

fn add(all: &mut Histogram<u64>, more: Histogram<u64>) {
    all.add(more).expect("both have the same bounds");
}

/// What one reading of the clock takes, in ns.
fn timer_ns() -> f64 {
    let begin = Instant::now();
    for _ in 0..READINGS {
        black_box(Instant::now());
    }
    begin.elapsed().as_nanos() as f64 / f64::from(READINGS)
}

impl Percentiles {
    fn of(times: &Histogram<u64>) -> Self {
        let at_most = |share| times.value_at_quantile(share);
        Self {
            samples: times.len(),
            p50: at_most(0.5),
            p99: at_most(0.99),
            p99_9: at_most(0.999),
            p99_99: at_most(0.9999),
            max: times.max(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_what_was_recorded() {
        let mut times = histogram();
        (1..=1_000_u64).for_each(|ns| times.saturating_record(ns));
        times.saturating_record(u64::MAX);
        let seen = Percentiles::of(&times);
        assert_eq!((seen.samples, seen.p50, seen.p99), (1_001, 501, 991));
        // What is longer than the longest counts as the longest, to three digits.
        assert!(seen.max.abs_diff(LONGEST_NS) < LONGEST_NS / 500, "{}", seen.max);
        assert_eq!((seen.p99_9, seen.p99_99), (1_000, seen.max));
    }

    #[test]
    fn a_crowd_is_granted_all_and_evicts_for_some() {
        let seen = Latency::measured(3, Duration::from_millis(50), || ()).unwrap();
        assert!(seen.requests > 0 && seen.evicted > 0 && seen.evicted < seen.requests);
        assert_eq!(seen.request.samples, seen.requests);
    }
}
