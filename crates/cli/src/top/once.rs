//! `--once`: one table, or one document of JSON, from the first thing that the stream says.

use serde::Serialize;

use super::known::{Known, Tenant, Told};
use super::rows::{Column, Wanted, rows};
use super::server::{Server, away};
use super::stream::Stream;
use crate::failure::CliError;
use crate::replay::output::print;
use crate::report::columns::Grid;
use crate::report::human::{bytes, count, percent};
use crate::report::table;

/// Raised when a key changes its meaning or goes away; new keys do not count.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    server: &'a str,
    version: &'a str,
    time_ms: u64,
    pool: OfPool<'a>,
    groups: Vec<OfGroup<'a>>,
    tenants: Vec<OfTenant<'a>>,
    alerts: Vec<&'a str>,
    advice: Vec<&'a str>,
}

#[derive(Serialize)]
struct OfPool<'a> {
    capacity_bytes: u64,
    used_bytes: u64,
    evictable_bytes: u64,
    idle_bytes: u64,
    unclaimed_bytes: u64,
    guaranteed_bytes: u64,
    pressure: &'a str,
    high_percent: u8,
    critical_percent: u8,
    waiting_requests: u64,
    refused_last_minute: u64,
    evicted_bytes_last_minute: u64,
}

#[derive(Serialize)]
struct OfGroup<'a> {
    name: &'a str,
    parent: Option<&'a str>,
    used_bytes: u64,
    idle_bytes: u64,
    guarantee_bytes: u64,
    limit_bytes: Option<u64>,
}

#[derive(Serialize)]
struct OfTenant<'a> {
    name: &'a str,
    /// Only where others have the same name.
    id: Option<&'a str>,
    group: Option<&'a str>,
    priority: &'a str,
    hold: &'a str,
    used_bytes: u64,
    evictable_bytes: u64,
    idle_bytes: u64,
    guarantee_bytes: u64,
    /// Null as long as all wants fit.
    fair_bytes: Option<u64>,
    above_bytes: u64,
    limit_bytes: Option<u64>,
    burst_bytes: Option<u64>,
    ceiling_bytes: Option<u64>,
    grants: u64,
    waiting_requests: u64,
    refused_requests: u64,
    evicted_grants: u64,
    evicted_bytes: u64,
}

/// Prints it.
pub fn run(server: &Server, as_json: bool) -> Result<(), CliError> {
    let failed = |why: &str| CliError::new(format!("{}: {why}", server.address));
    let reader = server.watch().map_err(|trouble| failed(trouble.text()))?;
    let told = Stream::new(reader).next().map_err(|error| failed(&away(&error)))?;
    let Told::Snapshot(known) = told else {
        return Err(failed("the server tells of a change before it has told everything"));
    };
    let text = if as_json { json(&server.address, &known) } else { text(&server.address, &known) };
    print(&text)
}

/// The tenants in the order of the screen, below what the pool has.
fn text(address: &str, known: &Known) -> String {
    let pool = &known.pool;
    let share = percent(pool.used_bytes as f64 / pool.capacity_bytes.max(1) as f64);
    let (used, capacity) = (bytes(pool.used_bytes), bytes(pool.capacity_bytes));
    let (pressure, waiting) = (&pool.pressure, count(pool.waiting_requests));
    let refused = count(known.refused_lately());
    let evicted = bytes(known.evicted_bytes_lately());
    let mut out = format!(
        "{address}: {used} of {capacity} in use, {share}, pressure {pressure}, {waiting} waiting\n\
         in the last minute: refused {refused}, evicted {evicted}\n"
    );
    let named = [("Group", false), ("Hold", false)];
    let figures = Column::ALL[1..].iter().map(|column| (column.title(), true));
    let headers = [(Column::Tenant.title(), false)].into_iter().chain(named).chain(figures);
    let row = |tenant: &Tenant| {
        let group = tenant.group.clone().unwrap_or_else(|| "-".to_string());
        let hold = if tenant.is_held() { tenant.about.hold.clone() } else { "-".to_string() };
        let figures = Column::ALL[1..].iter().map(|column| column.cell(tenant, known));
        [tenant.name.clone(), group, hold].into_iter().chain(figures).collect()
    };
    let shown = rows(known, &Wanted::default());
    let rows: Vec<Vec<String>> = shown.iter().filter_map(|row| row.tenant()).map(row).collect();
    if rows.is_empty() {
        out.push_str("there are no tenants yet\n");
    } else {
        out.push('\n');
        out.push_str(&table::text(&Grid { headers: headers.collect(), rows }));
    }
    out
}

fn json(address: &str, known: &Known) -> String {
    let pool = &known.pool;
    let groups = known.groups.iter().map(|group| OfGroup {
        name: &group.name,
        parent: group.parent.as_deref(),
        used_bytes: group.used_bytes,
        idle_bytes: group.claimed_bytes.saturating_sub(group.used_bytes),
        guarantee_bytes: group.guarantee_bytes,
        limit_bytes: group.limit_bytes,
    });
    let document = Document {
        schema: SCHEMA,
        server: address,
        version: &known.version,
        time_ms: known.time_ms,
        pool: OfPool {
            capacity_bytes: pool.capacity_bytes,
            used_bytes: pool.used_bytes,
            evictable_bytes: known.sum(|tenant| tenant.figures.evictable_bytes),
            idle_bytes: known.sum(Tenant::idle_bytes),
            unclaimed_bytes: known.unclaimed_bytes(),
            guaranteed_bytes: known.sum(|tenant| tenant.about.guarantee_bytes),
            pressure: &pool.pressure,
            high_percent: known.high_percent,
            critical_percent: known.critical_percent,
            waiting_requests: pool.waiting_requests,
            refused_last_minute: known.refused_lately(),
            evicted_bytes_last_minute: known.evicted_bytes_lately(),
        },
        groups: groups.collect(),
        tenants: rows(known, &Wanted::default())
            .iter()
            .filter_map(|row| row.tenant())
            .map(|tenant| of_tenant(tenant, known))
            .collect(),
        alerts: known.alerts.iter().map(|said| &*said.text).collect(),
        advice: known.advice.iter().map(|said| &*said.text).collect(),
    };
    let text = serde_json::to_string_pretty(&document);
    text.expect("plain fields always have a JSON form") + "\n"
}

fn of_tenant<'a>(tenant: &'a Tenant, known: &Known) -> OfTenant<'a> {
    let (about, figures) = (&tenant.about, &tenant.figures);
    OfTenant {
        name: &about.name,
        id: tenant.id(),
        group: about.group.as_deref(),
        priority: &about.priority,
        hold: &about.hold,
        used_bytes: figures.used_bytes,
        evictable_bytes: figures.evictable_bytes,
        idle_bytes: tenant.idle_bytes(),
        guarantee_bytes: about.guarantee_bytes,
        fair_bytes: tenant.fair_bytes(known),
        above_bytes: tenant.above_bytes(known),
        limit_bytes: about.limit_bytes,
        burst_bytes: about.burst_bytes,
        ceiling_bytes: figures.ceiling_bytes,
        grants: figures.grants,
        waiting_requests: figures.waiting,
        refused_requests: figures.denied,
        evicted_grants: figures.evicted,
        evicted_bytes: figures.evicted_bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::super::known::tests::known;
    use super::*;

    #[test]
    fn the_table_has_all_columns_and_all_tenants() {
        let text = text("http://127.0.0.1:7180", &known());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0],
            "http://127.0.0.1:7180: 12 GiB of 16 GiB in use, 75.0 %, pressure high, 2 waiting"
        );
        assert_eq!(lines[1], "in the last minute: refused 5, evicted 1 GiB");
        assert!(Column::ALL.iter().all(|column| lines[3].contains(column.title())), "{text}");
        let words = |line: &str| line.split_whitespace().map(str::to_string).collect::<Vec<_>>();
        let batch = "batch night frozen 6 GiB - 6 GiB none - 6 GiB 1 1,234 3 GiB -";
        assert_eq!(words(lines[5]).join(" "), batch);
        let first = |line: &&str| line.split_whitespace().next().unwrap_or("").to_string();
        let names: Vec<String> = lines[5..].iter().map(first).collect();
        assert_eq!(names, ["batch", "chat", "index"]);
        let none = super::text("http://127.0.0.1:7180", &Known::default());
        assert!(none.ends_with("there are no tenants yet\n"), "{none}");
    }

    #[test]
    fn the_document_has_the_fields_that_are_documented() {
        let text = json("http://127.0.0.1:7180", &known());
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(document["schema"], 1);
        assert_eq!(document["pool"]["refused_last_minute"], 5);
        assert_eq!(document["tenants"][0]["hold"], "frozen");
        assert_eq!(document["tenants"][1]["idle_bytes"], 1_u64 << 30);
        let page = include_str!("../../../../docs/SERVER.md");
        let (_, page) = page.split_once("## In a terminal").unwrap();
        for of in [&document, &document["pool"], &document["groups"][0], &document["tenants"][0]] {
            for field in of.as_object().unwrap().keys() {
                assert!(page.contains(&format!("`{field}`")), "docs/SERVER.md lacks `{field}`");
            }
        }
    }
}
