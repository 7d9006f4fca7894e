//! The cells of all tables, runs, tenants and waits, as text: what the terminal and the page share.
//! A column in which no row has anything to say is left out.

use super::{RunReport, TenantReport, WaitReport, human};

/// The most tenants shown in full; of more, the ones with the most grants.
pub const TENANTS_SHOWN_MAX: usize = 12;
/// How many are shown where there are more.
pub const TENANTS_TOP: usize = 10;

const NAME_CHARS_MAX: usize = 36;
const ABSENT: &str = "-";

/// A table as text: one header per column, rows of equal length.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Grid {
    /// Names of the columns, and whether they hold numbers (and so stand to the right).
    pub headers: Vec<(&'static str, bool)>,
    /// The cells.
    pub rows: Vec<Vec<String>>,
}

type Column<T> = (&'static str, bool, fn(&RunReport, &T) -> Option<String>);

const RUN_COLUMNS: [Column<RunReport>; 15] = [
    ("Trace", false, |run, _| Some(shorten(&run.trace))),
    ("Policy", false, |run, _| Some(run.policy.clone())),
    ("Size", true, |run, _| run.size()),
    ("Requests", true, |run, _| Some(human::count(run.requests))),
    ("Granted", true, |run, _| Some(human::count(run.granted))),
    ("Denied", true, |run, _| Some(human::count(run.denied))),
    ("Evicted", true, |run, _| Some(human::count(run.evicted_grants))),
    ("Hits", true, |run, _| run.hit_ratio.map(human::percent)),
    ("Prefix hits", true, |run, _| run.prefix_hit_ratio.map(human::percent)),
    ("Loading", true, |run, _| run.load_seconds.map(human::seconds)),
    ("Peak", true, |run, _| Some(run.amount(run.peak_used_bytes))),
    ("Ledger", false, |run, _| Some(run.ledger())),
    ("Events", true, |run, _| Some(human::rate(run.events_per_second))),
    ("vs LRU", true, |run, _| run.plain_lru_ratio.map(|ratio| format!("{ratio:.2}x"))),
    ("Threads", true, |run, _| (run.threads > 1).then(|| human::count(run.threads))),
];

const TENANT_COLUMNS: [Column<TenantReport>; 11] = [
    ("Tenant", false, |_, tenant| Some(shorten(&tenant.name))),
    ("Group", false, |_, tenant| tenant.group.as_deref().map(shorten)),
    ("Priority", false, |_, tenant| Some(tenant.priority.clone())),
    ("Isolation", false, |_, tenant| Some(tenant.isolation.clone())),
    ("Guarantee", true, |run, tenant| Some(run.amount(tenant.guarantee_bytes))),
    ("Limit", true, |run, tenant| Some(run.amount(tenant.limit_bytes?))),
    ("Peak", true, |run, tenant| Some(run.amount(tenant.peak_used_bytes))),
    ("Granted", true, |_, tenant| Some(human::count(tenant.granted))),
    ("Denied", true, |_, tenant| Some(human::count(tenant.denied))),
    ("Evicted", true, |_, tenant| Some(human::count(tenant.evicted))),
    ("Rebuilding", true, |_, tenant| tenant.rebuild_seconds.filter(above_0).map(human::seconds)),
];

fn above_0(seconds: &f64) -> bool {
    *seconds > 0.0
}

/// Waits of somebody: of a run, or of one of its tenants.
struct WaitRow {
    name: String,
    waits: WaitReport,
}

const WAIT_COLUMNS: [Column<WaitRow>; 13] = [
    ("Waits", false, |_, row| Some(shorten(&row.name))),
    ("At once", true, |_, row| Some(human::count(row.waits.granted_at_once))),
    ("Later", true, |_, row| Some(human::count(row.waits.granted_after_wait))),
    ("Gave up", true, |_, row| Some(human::count(row.waits.gave_up))),
    ("Denied", true, |_, row| Some(human::count(row.waits.denied))),
    ("p50", true, |_, row| row.waits.wait_p50_s.map(human::seconds)),
    ("p90", true, |_, row| row.waits.wait_p90_s.map(human::seconds)),
    ("p99", true, |_, row| row.waits.wait_p99_s.map(human::seconds)),
    ("Longest", true, |_, row| row.waits.wait_longest_s.map(human::seconds)),
    ("Estimates", true, |_, row| Some(human::count(row.waits.estimates))),
    ("Unknown", true, |_, row| Some(human::count(row.waits.estimates_unknown))),
    ("Judged", true, |_, row| Some(human::count(row.waits.estimates_judged))),
    ("Estimate / real", true, |_, row| estimate_ratio(&row.waits)),
];

/// `1.02 (0.97 to 1.09)`: the median, and what lies between a tenth and nine tenths.
fn estimate_ratio(waits: &WaitReport) -> Option<String> {
    let (low, high) = (waits.estimate_ratio_p10?, waits.estimate_ratio_p90?);
    Some(format!("{:.2} ({low:.2} to {high:.2})", waits.estimate_ratio_p50?))
}

/// One row for each run in which requests could wait; `None` if there is none.
pub fn waits(runs: &[RunReport]) -> Option<Grid> {
    let row = |run: &RunReport| {
        let size = run.size().map(|size| format!(", {size}")).unwrap_or_default();
        format!("{}{size}", run.policy)
    };
    let rows: Vec<_> = runs
        .iter()
        .filter_map(|run| Some((run, WaitRow { name: row(run), waits: run.waits.clone()? })))
        .collect();
    wait_grid(&rows)
}

/// One row for each tenant of a run that had to wait, those that waited most often first, and how
/// many more there are. `None` for a run of fewer than two tenants.
pub fn waits_of_tenants(run: &RunReport) -> Option<(Grid, usize)> {
    if run.tenants.len() < 2 {
        return None;
    }
    let row = |tenant: &TenantReport| {
        let waits = tenant.waits.clone().filter(|waits| waits.waited() > 0)?;
        Some((run, WaitRow { name: tenant.name.clone(), waits }))
    };
    let mut rows: Vec<_> = run.tenants.iter().filter_map(row).collect();
    rows.sort_by_key(|(_, row)| std::cmp::Reverse(row.waits.waited()));
    let all = rows.len();
    rows.truncate(if all > TENANTS_SHOWN_MAX { TENANTS_TOP } else { all });
    Some((wait_grid(&rows)?, all - rows.len()))
}

fn wait_grid(rows: &[(&RunReport, WaitRow)]) -> Option<Grid> {
    let rows: Vec<_> = rows.iter().map(|(run, row)| (*run, row)).collect();
    (!rows.is_empty()).then(|| grid(&WAIT_COLUMNS, &rows))
}

/// One row for each run.
pub fn runs(runs: &[RunReport]) -> Grid {
    grid(&RUN_COLUMNS, &runs.iter().map(|run| (run, run)).collect::<Vec<_>>())
}

/// One row for each tenant of a run, and how many more there are. `None` for a run of fewer
/// than two tenants: its row already says everything.
pub fn tenants(run: &RunReport) -> Option<(Grid, usize)> {
    if run.tenants.len() < 2 {
        return None;
    }
    let mut shown: Vec<&TenantReport> = run.tenants.iter().collect();
    if shown.len() > TENANTS_SHOWN_MAX {
        shown.sort_by_key(|tenant| std::cmp::Reverse(tenant.granted));
        shown.truncate(TENANTS_TOP);
    }
    let rows: Vec<_> = shown.into_iter().map(|tenant| (run, tenant)).collect();
    Some((grid(&TENANT_COLUMNS, &rows), run.tenants.len() - rows.len()))
}

fn grid<T>(columns: &[Column<T>], rows: &[(&RunReport, &T)]) -> Grid {
    let mut grid = Grid { headers: Vec::new(), rows: vec![Vec::new(); rows.len()] };
    for (name, is_number, cell) in columns {
        let cells: Vec<Option<String>> = rows.iter().map(|(run, row)| cell(run, row)).collect();
        if cells.iter().all(Option::is_none) {
            continue;
        }
        grid.headers.push((name, *is_number));
        for (row, cell) in grid.rows.iter_mut().zip(cells) {
            row.push(cell.unwrap_or_else(|| ABSENT.to_string()));
        }
    }
    grid
}

/// A name as a cell. The end of a long one says more than its beginning: it is a path as often as
/// not. What a terminal would obey rather than show is replaced.
pub fn shorten(name: &str) -> String {
    let shown: Vec<char> =
        name.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if shown.len() <= NAME_CHARS_MAX {
        return shown.into_iter().collect();
    }
    let kept = shown.len() - (NAME_CHARS_MAX - 3);
    "...".chars().chain(shown[kept..].iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_without_a_value_are_left_out() {
        let plain = RunReport { trace: "a".into(), ..RunReport::default() };
        let names = |grid: &Grid| grid.headers.iter().map(|(name, _)| *name).collect::<Vec<_>>();
        assert!(!names(&runs(std::slice::from_ref(&plain))).contains(&"Hits"));
        let cache = RunReport { hit_ratio: Some(0.5), ..plain.clone() };
        let both = runs(&[plain, cache]);
        let at = names(&both).iter().position(|name| *name == "Hits").unwrap();
        assert_eq!((both.rows[0][at].as_str(), both.rows[1][at].as_str()), ("-", "50.0 %"));
    }

    #[test]
    fn many_tenants_are_cut_to_the_busiest() {
        let tenant =
            |n: u64| TenantReport { name: n.to_string(), granted: n, ..Default::default() };
        let run = |n| RunReport { tenants: (0..n).map(tenant).collect(), ..Default::default() };
        assert_eq!(tenants(&run(1)), None);
        assert_eq!(tenants(&run(12)).unwrap().0.rows.len(), 12);
        let (grid, more) = tenants(&run(40)).unwrap();
        assert_eq!((grid.rows.len(), more), (10, 30));
        assert_eq!(grid.rows[0][0], "39");
    }

    #[test]
    fn waits_are_shown_where_requests_could_wait() {
        let waits = |n| WaitReport { granted_after_wait: n, ..WaitReport::default() };
        let tenant = |n: u64| TenantReport {
            name: n.to_string(),
            waits: Some(waits(n)),
            ..TenantReport::default()
        };
        let plain = RunReport { policy: "lru".into(), ..RunReport::default() };
        assert_eq!(super::waits(std::slice::from_ref(&plain)), None);
        assert_eq!(waits_of_tenants(&plain), None);
        let all = WaitReport {
            wait_mean_s: Some(3.0),
            wait_p50_s: Some(2.5),
            estimate_ratio_p10: Some(0.5),
            estimate_ratio_p50: Some(1.0),
            estimate_ratio_p90: Some(2.0),
            ..waits(780)
        };
        let run =
            RunReport { waits: Some(all), tenants: (0..40).map(tenant).collect(), ..plain.clone() };
        let grid = super::waits(&[plain, run.clone()]).unwrap();
        assert_eq!(grid.rows.len(), 1);
        assert_eq!(grid.rows[0].last().unwrap(), "1.00 (0.50 to 2.00)");
        assert!(grid.headers.contains(&("p50", true)) && !grid.headers.contains(&("p90", true)));
        let (grid, more) = waits_of_tenants(&run).unwrap();
        // The one that never waited is not among them.
        assert_eq!((grid.rows.len(), more), (10, 29));
        assert_eq!((grid.rows[0][0].as_str(), grid.rows[0][2].as_str()), ("39", "39"));
    }

    #[test]
    fn names_are_shortened_and_harmless() {
        assert_eq!(shorten("a\u{1b}[31mb"), "a\u{fffd}[31mb");
        let long = shorten(&"x".repeat(50));
        assert_eq!(long.chars().count(), NAME_CHARS_MAX);
        assert!(long.starts_with("..."));
    }
}
