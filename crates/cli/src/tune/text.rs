//! The report as text: what each configuration costs, what it means for each tenant, who pays, and
//! the configuration that is proposed.

use std::fmt::Write;

use super::report::{FOUND, NO_LIMITS, Outcome, Payer, TenantOutcome, TuneReport};
use crate::report::columns::{Grid, shorten};
use crate::report::human::{self, plural, short};
use crate::report::table;

/// Most tenants that are shown; of more, those for whom most changes, then those that ask most.
const TENANTS_SHOWN_MAX: usize = 8;

/// What a cell says that has nothing to say.
const ABSENT: &str = "-";

/// The report for people, ending in a new line.
pub fn text(report: &TuneReport) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{} share {}. Tuned on the first {} % of {} ({}), with {}, seed {}.\n\
         All figures are of the other {}, on which nothing was tuned.\n",
        plural(tenants_len(report) as u64, "tenant"),
        amount(report, report.capacity_bytes),
        report.train_percent,
        shorten(&report.trace),
        plural(report.train_requests as u64, "request"),
        plural(report.evaluations as u64, "run"),
        report.seed,
        plural(report.held_out_requests as u64, "request")
    );
    out.push_str(&table::text(&costs(report)));
    let _ = writeln!(
        out,
        "cost = weight x denials of each tenant + {} x seconds of rebuilding\n",
        report.rebuild_weight
    );
    let shown = shown(report);
    out.push_str(&table::text(&tenants(report, &shown)));
    let more = tenants_len(report) - shown.len();
    if more > 0 {
        let _ = writeln!(out, "... and {}: --json lists them", plural(more as u64, "other"));
    }
    push_verdict(&mut out, report);
    push_no_limits(&mut out, report);
    let _ = write!(out, "\nThe proposed configuration\n\n{}", report.config);
    out
}

fn tenants_len(report: &TuneReport) -> usize {
    report.outcomes.first().map_or(0, |outcome| outcome.tenants.len())
}

fn amount(report: &TuneReport, amount: u64) -> String {
    if report.unit.as_deref() == Some("objects") {
        return human::plural(amount, "object");
    }
    human::bytes(amount)
}

/// One row for each configuration.
fn costs(report: &TuneReport) -> Grid {
    let headers = vec![
        ("", false),
        ("Cost", true),
        ("Denials, weighted", true),
        ("Rebuilding, weighted", true),
        ("Peak", true),
        ("Cost on the tuned part", true),
    ];
    let row = |outcome: &Outcome| {
        vec![
            outcome.name.to_string(),
            figure(outcome.cost.total),
            figure(outcome.cost.weighted_denials),
            figure(outcome.cost.weighted_rebuild),
            amount(report, outcome.peak_used_bytes),
            figure(outcome.cost_in_training.total),
        ]
    };
    Grid { headers, rows: report.outcomes.iter().map(row).collect() }
}

/// A cost, without decimals where it is a whole number or a large one.
fn figure(cost: f64) -> String {
    let is_plain = cost.fract() == 0.0 || cost >= 1000.0;
    if is_plain { human::count(cost.round() as u64) } else { format!("{cost:.2}") }
}

/// Places of the tenants that are shown, in the order of the trace.
fn shown(report: &TuneReport) -> Vec<usize> {
    let mut places: Vec<usize> = (0..tenants_len(report)).collect();
    let [.., before, after] = &report.outcomes[..] else { return places };
    if places.len() > TENANTS_SHOWN_MAX {
        let change = |at: usize| {
            let (before, after) = (&before.tenants[at], &after.tenants[at]);
            let denials = before.told.denied.abs_diff(after.told.denied) as f64;
            let seconds = |tenant: &TenantOutcome| tenant.told.rebuild_seconds.unwrap_or(0.0);
            after.weight * denials
                + report.rebuild_weight * (seconds(before) - seconds(after)).abs()
        };
        let asked = |at: usize| after.tenants[at].told.granted + after.tenants[at].told.denied;
        places.sort_by(|a, b| {
            change(*b).total_cmp(&change(*a)).then(asked(*b).cmp(&asked(*a))).then(a.cmp(b))
        });
        places.truncate(TENANTS_SHOWN_MAX);
        places.sort_unstable();
    }
    places
}

/// One row for each tenant under each configuration.
fn tenants(report: &TuneReport, shown: &[usize]) -> Grid {
    let headers = vec![
        ("Tenant", false),
        ("Weight", true),
        ("", false),
        ("Guarantee", true),
        ("Limit", true),
        ("Burst", true),
        ("Isolation", false),
        ("Granted", true),
        ("Denied", true),
        ("Evicted", true),
        ("Loading", true),
        ("Rebuilding", true),
        ("Peak", true),
    ];
    let mut rows = Vec::new();
    for at in shown {
        for outcome in &report.outcomes {
            rows.push(row(report, outcome, &outcome.tenants[*at]));
        }
    }
    without_empty_columns(&Grid { headers, rows })
}

/// The columns in which some row has something to say.
fn without_empty_columns(grid: &Grid) -> Grid {
    let is_told = |column: &usize| grid.rows.iter().any(|row| row[*column] != ABSENT);
    let columns: Vec<usize> = (0..grid.headers.len()).filter(is_told).collect();
    let row = |row: &Vec<String>| columns.iter().map(|column| row[*column].clone()).collect();
    Grid {
        headers: columns.iter().map(|column| grid.headers[*column]).collect(),
        rows: grid.rows.iter().map(row).collect(),
    }
}

fn row(report: &TuneReport, outcome: &Outcome, tenant: &TenantOutcome) -> Vec<String> {
    let told = &tenant.told;
    let size = |bytes: Option<u64>| bytes.map_or(ABSENT.to_string(), |bytes| amount(report, bytes));
    let seconds = |seconds: Option<f64>| match seconds {
        None => ABSENT.to_string(),
        Some(0.0) => "0 s".to_string(),
        Some(seconds) => human::seconds(seconds),
    };
    vec![
        shorten(&told.name),
        short(tenant.weight),
        outcome.name.to_string(),
        amount(report, told.guarantee_bytes),
        size(told.limit_bytes),
        size(tenant.burst_bytes),
        told.isolation.clone(),
        human::count(told.granted),
        human::count(told.denied),
        human::count(told.evicted),
        seconds(told.load_seconds),
        seconds(told.rebuild_seconds),
        amount(report, told.peak_used_bytes),
    ]
}

fn push_verdict(out: &mut String, report: &TuneReport) {
    let [.., before, after] = &report.outcomes[..] else { return };
    if report.proposed != FOUND {
        let _ = writeln!(
            out,
            "\nNothing better was found: on the part it was not tuned on, the best of the search \
             costs {},\nno less than the {} with {}, which is proposed as it is.",
            figure(after.cost.total),
            before.name,
            figure(before.cost.total)
        );
        return;
    }
    let _ = writeln!(
        out,
        "\nWhat was found costs {} instead of {} ({}).\n\nWho pays, against the {}",
        figure(after.cost.total),
        figure(before.cost.total),
        change(before.cost.total, after.cost.total),
        before.name
    );
    if report.who_pays.is_empty() {
        let _ = writeln!(out, "  nobody");
    }
    for payer in report.who_pays.iter().take(TENANTS_SHOWN_MAX) {
        let _ = writeln!(out, "  {}", pays(payer));
    }
    let more = report.who_pays.len().saturating_sub(TENANTS_SHOWN_MAX);
    if more > 0 {
        let _ = writeln!(out, "  ... and {}: --json lists them", plural(more as u64, "other"));
    }
}

/// Isolation is not tuned, and what it protects from does not show in the cost: where it costs more
/// than it saves, one should know.
fn push_no_limits(out: &mut String, report: &TuneReport) {
    let cost = |name| {
        let named = report.outcomes.iter().find(|outcome| outcome.name == name);
        named.map(|outcome| outcome.cost.total)
    };
    let (Some(open), Some(proposed)) = (cost(NO_LIMITS), cost(report.proposed)) else { return };
    if open < proposed {
        let _ = writeln!(
            out,
            "\nWithout any limits it would cost {}, but nothing would keep one tenant from taking \
             the memory\nof the others. Isolation is not tuned.",
            figure(open)
        );
    }
}

/// `-12.5 %`.
fn change(before: f64, after: f64) -> String {
    if before == 0.0 {
        return "from nothing".to_string();
    }
    format!("{:+.1} %", (after - before) / before * 100.0)
}

fn pays(payer: &Payer) -> String {
    let mut parts = Vec::new();
    if payer.denied_more() > 0 {
        parts.push(format!(
            "{} more ({} instead of {})",
            plural(payer.denied_more(), "denial"),
            human::count(payer.denied_after),
            human::count(payer.denied_before)
        ));
    }
    if payer.rebuild_seconds_more() > 0.0 {
        parts.push(format!(
            "{} more of rebuilding ({} instead of {})",
            human::seconds(payer.rebuild_seconds_more()),
            human::seconds(payer.rebuild_seconds_after),
            human::seconds(payer.rebuild_seconds_before)
        ));
    }
    format!("{}: {}", shorten(&payer.name), parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_and_figures_are_short() {
        assert_eq!(change(200.0, 150.0), "-25.0 %");
        assert_eq!(change(0.0, 1.0), "from nothing");
        assert_eq!((figure(12_345.6), figure(0.125)), ("12,346".into(), "0.12".into()));
        assert_eq!((figure(0.0), figure(999.5)), ("0".into(), "999.50".into()));
    }

    #[test]
    fn a_payer_is_told_in_words() {
        let payer = Payer {
            name: "code".to_string(),
            denied_before: 3,
            denied_after: 5,
            rebuild_seconds_before: 1.0,
            rebuild_seconds_after: 3.0,
        };
        let text = "code: 2 denials more (5 instead of 3), 2.00 s more of rebuilding (3.00 s \
                    instead of 1.00 s)";
        assert_eq!(pays(&payer), text);
    }
}
