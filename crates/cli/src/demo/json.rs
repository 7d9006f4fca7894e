//! The demo for programs. Keys are stable; all but `ns_per_decision` follow from the seed.

use serde::Serialize;

use super::Minute;
use super::timeline::MOMENTS;

/// Raised when a key changes its meaning or goes away; new keys do not count.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    seed: u64,
    sound: bool,
    capacity_bytes: u64,
    without: Without,
    with: With,
    tenants: Vec<Tenant<'a>>,
    denial: Option<Denial<'a>>,
    decisions: u64,
    ns_per_decision: f64,
    timeline: Vec<Moment>,
}

#[derive(Serialize)]
struct Without {
    peak_bytes: u64,
    over_bytes: u64,
    out_of_memory_s: Option<f64>,
}

#[derive(Serialize)]
struct With {
    peak_bytes: u64,
    over_bytes: u64,
    leaked_bytes: u64,
    guarantees_broken: u64,
    tracking_bytes: u64,
}

#[derive(Serialize)]
struct Tenant<'a> {
    name: &'a str,
    priority: &'static str,
    isolation: &'static str,
    guarantee_bytes: u64,
    limit_bytes: Option<u64>,
    burst_bytes: Option<u64>,
    wished_peak_bytes: u64,
    peak_bytes: u64,
    granted: u64,
    denied: u64,
    reused: u64,
    evicted: u64,
    evicted_bytes: u64,
    evicted_cost_ms: u64,
}

#[derive(Serialize)]
struct Denial<'a> {
    at_s: f64,
    tenant: &'a str,
    allocation_type: &'static str,
    bytes: u64,
    explanation: &'a str,
}

#[derive(Serialize)]
struct Moment {
    from_s: f64,
    wished_bytes: Vec<u64>,
    used_bytes: Vec<u64>,
}

/// The minute as indented JSON, ending in a new line.
pub(super) fn json(minute: &Minute) -> String {
    let Minute { setup, without, with, timing, .. } = minute;
    let document = Document {
        schema: SCHEMA,
        seed: minute.seed,
        sound: minute.is_sound(),
        capacity_bytes: setup.capacity_bytes,
        without: Without {
            peak_bytes: without.timeline.peak_bytes,
            over_bytes: without.timeline.peak_bytes.saturating_sub(setup.capacity_bytes),
            out_of_memory_s: without.out_of_memory_ns.map(seconds),
        },
        with: With {
            peak_bytes: with.timeline.peak_bytes,
            over_bytes: with.over_bytes,
            leaked_bytes: with.leaked_bytes,
            guarantees_broken: with.broken,
            tracking_bytes: with.tracking_bytes,
        },
        tenants: (0..setup.tenants.len()).map(|at| tenant(minute, at)).collect(),
        denial: with.refused.as_ref().map(|refused| Denial {
            at_s: seconds(refused.at_ns),
            tenant: &setup.tenants[refused.tenant].name,
            allocation_type: refused.kind.name(),
            bytes: refused.bytes,
            explanation: &refused.explanation,
        }),
        decisions: timing.decisions,
        ns_per_decision: timing.ns_per_decision,
        timeline: timeline(minute),
    };
    let mut text =
        serde_json::to_string_pretty(&document).expect("plain fields always have a JSON form");
    text.push('\n');
    text
}

fn tenant(minute: &Minute, at: usize) -> Tenant<'_> {
    let (tenant, got) = (&minute.setup.tenants[at], &minute.with.got[at]);
    Tenant {
        name: &tenant.name,
        priority: tenant.priority.name(),
        isolation: tenant.isolation.name(),
        guarantee_bytes: tenant.guarantee_bytes,
        limit_bytes: tenant.limit_bytes,
        burst_bytes: tenant.burst_bytes,
        wished_peak_bytes: minute.without.timeline.peaks[at],
        peak_bytes: minute.with.timeline.peaks[at],
        granted: got.granted,
        denied: got.denied,
        reused: got.hits,
        evicted: got.evicted,
        evicted_bytes: got.evicted_bytes,
        evicted_cost_ms: got.evicted_cost_ms,
    }
}

fn timeline(minute: &Minute) -> Vec<Moment> {
    let wished = minute.without.timeline.columns(MOMENTS);
    let used = minute.with.timeline.columns(MOMENTS);
    let moments = wished.into_iter().zip(used).enumerate();
    moments
        .map(|(at, (wished_bytes, used_bytes))| Moment {
            from_s: seconds(super::load::END_NS) * at as f64 / MOMENTS as f64,
            wished_bytes,
            used_bytes,
        })
        .collect()
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}
