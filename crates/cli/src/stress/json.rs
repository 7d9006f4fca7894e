//! The run for programs. Keys are stable, with the unit at the end.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Stress;
use super::fault::Fault;
use super::tally::{Outcome, REASONS};
use super::verb::Verb;

/// Raised when a key changes its meaning or goes away; new keys do not count.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    seed: u64,
    sound: bool,
    threads: u64,
    tenants: u64,
    capacity_bytes: u64,
    events_recorded: bool,
    took_s: f64,
    operations: u64,
    operations_per_second: f64,
    /// Grants that their owners freed when they were asked.
    evicted: u64,
    busy: u64,
    deferred: u64,
    calls_within_owners: u64,
    panics_survived: u64,
    threads_ended_holding: u64,
    leaked_grants: u64,
    leaked_bytes: u64,
    quiet_points: u64,
    over_committed_bytes: u64,
    lost_bytes: u64,
    discrepancy: Option<Discrepancy<'a>>,
    verbs: Vec<Of>,
}

#[derive(Serialize)]
struct Discrepancy<'a> {
    what: &'a str,
    tenant: Option<&'a str>,
    /// None: it was found while the threads were at work.
    quiet_point: Option<u64>,
    expected: u64,
    seen: u64,
}

#[derive(Serialize)]
struct Of {
    verb: &'static str,
    calls: u64,
    share_percent: f64,
    ok: u64,
    nothing: u64,
    misuse: u64,
    /// By the reason, those that there were.
    denied: BTreeMap<String, u64>,
}

/// The run as indented JSON, ending in a new line.
pub(super) fn json(stress: &Stress) -> String {
    let document = Document {
        schema: SCHEMA,
        seed: stress.seed,
        sound: stress.fault.is_none(),
        threads: stress.threads,
        tenants: stress.tenants,
        capacity_bytes: stress.capacity_bytes,
        events_recorded: stress.events,
        took_s: stress.took.as_secs_f64(),
        operations: stress.tally.all(),
        operations_per_second: stress.per_second(),
        evicted: stress.evicted,
        busy: stress.busy,
        deferred: stress.deferred,
        calls_within_owners: stress.calls_within,
        panics_survived: stress.panics,
        threads_ended_holding: stress.threads_ended,
        leaked_grants: stress.leaked.0,
        leaked_bytes: stress.leaked.1,
        quiet_points: stress.quiet_points,
        over_committed_bytes: stress.over_bytes(),
        lost_bytes: stress.lost_bytes(),
        discrepancy: stress.fault.as_ref().map(discrepancy),
        verbs: Verb::ALL.into_iter().map(|verb| of(stress, verb)).collect(),
    };
    let mut text =
        serde_json::to_string_pretty(&document).expect("plain fields always have a JSON form");
    text.push('\n');
    text
}

fn discrepancy(fault: &Fault) -> Discrepancy<'_> {
    Discrepancy {
        what: &fault.what,
        tenant: fault.tenant.as_deref(),
        quiet_point: fault.quiet_point,
        expected: fault.expected,
        seen: fault.seen,
    }
}

fn of(stress: &Stress, verb: Verb) -> Of {
    let tally = &stress.tally;
    let denied = REASONS.map(|reason| (reason, tally.of(verb, Outcome::Denied(reason))));
    let denied = denied.into_iter().filter(|&(_, times)| times > 0);
    Of {
        verb: verb.name(),
        calls: tally.calls(verb),
        share_percent: tally.share(verb) * 100.0,
        ok: tally.of(verb, Outcome::Done),
        nothing: tally.of(verb, Outcome::Nothing),
        misuse: tally.of(verb, Outcome::Misuse),
        denied: denied.map(|(reason, times)| (reason.to_string(), times)).collect(),
    }
}
