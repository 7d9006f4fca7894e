//! The run for people: what was done, one row for each verb, the verdict.

use std::fmt::Write;

use super::Stress;
use super::tally::{Outcome, REASONS};
use super::verb::Verb;
use crate::report::columns::Grid;
use crate::report::human::{bytes, count, percent, plural, rate, seconds};
use crate::report::table;

/// The whole text, ending in a new line.
pub(super) fn text(stress: &Stress) -> String {
    let mut out = format!(
        "allot stress: {} and {} in {} for {}, seed {}{}\n\n",
        plural(stress.threads, "thread"),
        plural(stress.tenants, "tenant"),
        bytes(stress.capacity_bytes),
        seconds(stress.took.as_secs_f64()),
        stress.seed,
        if stress.events { ", events recorded" } else { "" }
    );
    out.push_str(&table::text(&verbs(stress)));
    let _ = writeln!(out, "\n{}", table::text(&denials(stress)).trim_end());
    let _ = writeln!(out, "\n{}", table::text(&figures(stress)).trim_end());
    let _ = match &stress.fault {
        None => writeln!(out, "\nno byte lost, none over"),
        Some(fault) => writeln!(out, "\n{fault}"),
    };
    out
}

fn verbs(stress: &Stress) -> Grid {
    let headers = vec![
        ("Verb", false),
        ("Calls", true),
        ("Share", true),
        ("Ok", true),
        ("Nothing", true),
        ("Denied", true),
        ("Misuse", true),
    ];
    let tally = &stress.tally;
    let row = |verb: Verb| {
        vec![
            verb.name().to_string(),
            count(tally.calls(verb)),
            format!("{:.2} %", tally.share(verb) * 100.0),
            amount(tally.of(verb, Outcome::Done)),
            amount(tally.of(verb, Outcome::Nothing)),
            amount(tally.denied(verb)),
            amount(tally.of(verb, Outcome::Misuse)),
        ]
    };
    Grid { headers, rows: Verb::ALL.into_iter().map(row).collect() }
}

/// Why verbs were denied, those that were.
fn denials(stress: &Stress) -> Grid {
    let headers = vec![("Denied", false), ("Times", true), ("Most often", false)];
    let row = |reason| {
        let denied = |&verb: &Verb| stress.tally.of(verb, Outcome::Denied(reason));
        let times: u64 = Verb::ALL.iter().map(denied).sum();
        let most = Verb::ALL.into_iter().max_by_key(denied).filter(|_| times > 0);
        let most = most.map_or("-", Verb::name).to_string();
        vec![reason.to_string(), amount(times), most]
    };
    Grid { headers, rows: REASONS.into_iter().map(row).collect() }
}

fn figures(stress: &Stress) -> Grid {
    let (leaked, leaked_bytes) = stress.leaked;
    let rows = [
        ("operations", count(stress.tally.all())),
        ("operations per second", rate(stress.per_second())),
        ("grants freed by their owners when asked", count(stress.evicted)),
        ("owners that were busy", count(stress.busy)),
        ("owners that promised", count(stress.deferred)),
        ("calls from within an owner", count(stress.calls_within)),
        ("panics survived", count(stress.panics)),
        ("threads that ended while they held grants", count(stress.threads_ended)),
        ("grants leaked on purpose, and told of", format!("{leaked} of {}", bytes(leaked_bytes))),
        ("quiet points checked", count(stress.quiet_points)),
        ("over-committed bytes", count(stress.over_bytes())),
        ("lost bytes", count(stress.lost_bytes())),
        ("rarest verb", percent(stress.tally.share(stress.tally.rarest()))),
    ];
    let rows = rows.map(|(name, figure)| vec![name.to_string(), figure]).into();
    Grid { headers: vec![("In all", false), ("", true)], rows }
}

fn amount(number: u64) -> String {
    if number == 0 { "-".to_string() } else { count(number) }
}
