//! The measurement for programs. Keys are stable, with the unit at the end. Costs are medians of
//! rounds; a ratio is such a median divided by that of the bare pair.

use serde::{Serialize, Serializer};

use super::Bench;
use super::latency::Percentiles;
use super::rounds::{Cost, ROUNDS};
use super::throughput::{ASKED_FOR_PER_SECOND, Rates};

/// Raised when a key changes its meaning or goes away; new keys do not count.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Document {
    schema: u32,
    /// Of `allot`.
    version: &'static str,
    os: &'static str,
    arch: &'static str,
    cores: usize,
    /// Then no figure means anything.
    debug_build: bool,
    took_s: f64,
    /// The bare pair spread by more than 5 %: ratios are worth more than times.
    noisy: bool,
    throughput: Throughput,
    costs: Costs,
    latency: Latency,
}

#[derive(Serialize)]
struct Throughput {
    asked_for_per_second: u64,
    all_threads: usize,
    one_thread_allocations_per_second: f64,
    all_threads_allocations_per_second: f64,
    /// All threads against one.
    allocations_ratio: f64,
    one_thread_bare_pairs_per_second: f64,
    all_threads_bare_pairs_per_second: f64,
    bare_pairs_ratio: f64,
}

#[derive(Serialize)]
struct Costs {
    rounds: usize,
    /// For each case, `bare_pair` among them: `…_ns`, `…_spread_percent` from the quickest to the
    /// slowest round, and `…_ratio`.
    #[serde(flatten, serialize_with = "as_map")]
    figures: Vec<(String, f64)>,
}

#[derive(Serialize)]
struct Latency {
    threads: usize,
    /// What reading the clock takes; each time has about one reading in it.
    timer_ns: f64,
    requests: u64,
    denied: u64,
    evicted: u64,
    /// Evictions for 100 requests.
    evicted_percent: f64,
    request: Times,
    bare_pair: Times,
}

#[derive(Serialize)]
struct Times {
    samples: u64,
    p50_ns: u64,
    p99_ns: u64,
    p99_9_ns: u64,
    p99_99_ns: u64,
    max_ns: u64,
}

/// The measurement as indented JSON, ending in a new line.
pub(super) fn json(bench: &Bench) -> String {
    let Bench { machine, latency, .. } = bench;
    let document = Document {
        schema: SCHEMA,
        version: machine.version,
        os: machine.os,
        arch: machine.arch,
        cores: machine.cores,
        debug_build: machine.debug_build,
        took_s: bench.took.as_secs_f64(),
        noisy: bench.is_noisy(),
        throughput: throughput(bench),
        costs: Costs { rounds: ROUNDS, figures: figures(bench) },
        latency: Latency {
            threads: latency.threads,
            timer_ns: latency.timer_ns,
            requests: latency.requests,
            denied: latency.denied,
            evicted: latency.evicted,
            evicted_percent: latency.evicted_percent(),
            request: times(&latency.request),
            bare_pair: times(&latency.bare_pair),
        },
    };
    let mut text =
        serde_json::to_string_pretty(&document).expect("plain fields always have a JSON form");
    text.push('\n');
    text
}

fn throughput(bench: &Bench) -> Throughput {
    let seen = &bench.throughput;
    let Rates { one_thread, all_threads } = seen.allocations;
    Throughput {
        asked_for_per_second: ASKED_FOR_PER_SECOND,
        all_threads: seen.threads,
        one_thread_allocations_per_second: one_thread,
        all_threads_allocations_per_second: all_threads,
        allocations_ratio: seen.allocations.ratio(),
        one_thread_bare_pairs_per_second: seen.bare_pairs.one_thread,
        all_threads_bare_pairs_per_second: seen.bare_pairs.all_threads,
        bare_pairs_ratio: seen.bare_pairs.ratio(),
    }
}

fn figures(bench: &Bench) -> Vec<(String, f64)> {
    let of = |cost: &Cost| {
        let Cost { key, ns, .. } = cost;
        [
            (format!("{key}_ns"), ns.median),
            (format!("{key}_spread_percent"), ns.spread * 100.0),
            (format!("{key}_ratio"), bench.ratio(cost)),
        ]
    };
    bench.costs.iter().flat_map(of).collect()
}

fn as_map<S: Serializer>(figures: &[(String, f64)], to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(figures.iter().map(|(key, figure)| (key, figure)))
}

fn times(of: &Percentiles) -> Times {
    Times {
        samples: of.samples,
        p50_ns: of.p50,
        p99_ns: of.p99,
        p99_9_ns: of.p99_9,
        p99_99_ns: of.p99_99,
        max_ns: of.max,
    }
}
