//! The measurement for people: three tables, and what has to be known to read them.

use std::fmt::Write;

use super::latency::Percentiles;
use super::machine::DEBUG_WARNING;
use super::rounds::{Cost, ROUNDS};
use super::throughput::{ASKED_FOR_PER_SECOND, Rates};
use super::{Bench, NOISY_SPREAD};
use crate::report::columns::Grid;
use crate::report::human::{count, percent, plural, rate, seconds};
use crate::report::table;

/// The whole text, ending in a new line.
pub(super) fn text(bench: &Bench) -> String {
    let Bench { machine, latency, .. } = bench;
    let mut out = format!(
        "allot {} on {} {}, {}; measured for {}\n",
        machine.version,
        machine.os,
        machine.arch,
        plural(machine.cores as u64, "core"),
        seconds(bench.took.as_secs_f64())
    );
    if machine.debug_build {
        let _ = writeln!(out, "{DEBUG_WARNING}");
    }
    let _ = writeln!(out, "\n{}", table::text(&throughput(bench)));
    out.push_str(&table::text(&costs(bench)));
    let _ = writeln!(
        out,
        "bare pair = one fetch_add and one fetch_sub; medians of {ROUNDS} rounds of all in turn"
    );
    if bench.is_noisy() {
        let _ = writeln!(
            out,
            "noisy machine: compare ratios. The bare pair spreads by more than {:.0} %",
            NOISY_SPREAD * 100.0
        );
    }
    let _ = writeln!(out, "\n{}", table::text(&times(bench)).trim_end());
    let _ = writeln!(
        out,
        "{:.1} % of {} requests evicted; {} denied. Each has a release in it,\n\
         and about one reading of the clock, {}.",
        latency.evicted_percent(),
        count(latency.requests),
        count(latency.denied),
        nanoseconds(latency.timer_ns)
    );
    out
}

/// One row for each way to count, and what was once asked for.
fn throughput(bench: &Bench) -> Grid {
    let seen = &bench.throughput;
    let headers = vec![
        ("Per second", false),
        ("One thread", true),
        ("All cores", true),
        ("/ one thread", true),
    ];
    let row = |name: &str, rates: &Rates| {
        let ratio = format!("{:.2}x", rates.ratio());
        vec![name.to_string(), rate(rates.one_thread), rate(rates.all_threads), ratio]
    };
    let asked_for = rate(ASKED_FOR_PER_SECOND as f64);
    let asked_for = vec!["once asked for".to_string(), asked_for.clone(), asked_for, "-".into()];
    let rows = vec![
        row("allocations, each released", &seen.allocations),
        row("bare pairs", &seen.bare_pairs),
        asked_for,
    ];
    Grid { headers, rows }
}

/// One row for each case.
fn costs(bench: &Bench) -> Grid {
    let headers =
        vec![("On one thread", false), ("Time", true), ("/ bare pair", true), ("Spread", true)];
    let row = |cost: &Cost| {
        let ratio = format!("{:.2}x", bench.ratio(cost));
        let time = nanoseconds(cost.ns.median);
        vec![cost.name.to_string(), time, ratio, percent(cost.ns.spread)]
    };
    Grid { headers, rows: bench.costs.iter().map(row).collect() }
}

/// One row each for the governor and the bare pair.
fn times(bench: &Bench) -> Grid {
    let headers = vec![
        ("Each of many", false),
        ("p50", true),
        ("p99", true),
        ("p99.9", true),
        ("p99.99", true),
        ("max", true),
    ];
    let row = |name: &str, of: &Percentiles| {
        let times = [of.p50, of.p99, of.p99_9, of.p99_99, of.max];
        let times = times.into_iter().map(|ns| nanoseconds(ns as f64));
        std::iter::once(name.to_string()).chain(times).collect()
    };
    let latency = &bench.latency;
    let threads = latency.threads;
    let rows = vec![
        row(&format!("request near capacity, {threads} threads"), &latency.request),
        row(&format!("bare pair, {threads} threads on one line"), &latency.bare_pair),
    ];
    Grid { headers, rows }
}

fn nanoseconds(ns: f64) -> String {
    seconds(ns / 1e9)
}
