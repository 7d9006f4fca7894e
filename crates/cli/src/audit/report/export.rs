//! A report for programs: as CSV, one line for each row, or as one JSON object. Keys and columns
//! are stable, new ones may come at the end. Byte-seconds are texts: exact, and larger than what
//! programs that read JSON keep.

use std::fmt::Write;

use serde_json::{Value, json};

use super::super::when;
use super::amount::{byte_seconds, gib_hours};
use super::books::{Books, Story};
use super::rows::{Row, Section};

const COLUMNS: &str = "from,to,scope,tenant_id,name,group,type,byte_seconds,gib_hours,peak_bytes,\
    held_bytes,granted,denied,grown,shrunk,released,expired,evicted,evicted_bytes";

/// Lines of comma-separated values under their names.
pub fn csv(sections: &[Section]) -> String {
    let mut out = format!("{COLUMNS}\n");
    for section in sections {
        for row in &section.rows {
            let counts = &row.figures.counts;
            let texts = [
                when::short(section.from_ns),
                when::short(section.to_ns),
                row.scope.name().to_string(),
                row.id.clone().unwrap_or_default(),
                quoted(&row.name),
                quoted(row.group.as_deref().unwrap_or_default()),
                row.allocation_type.unwrap_or_default().to_string(),
                byte_seconds(row.figures.byte_ns),
                gib_hours(row.figures.byte_ns),
                row.figures.peak_bytes.to_string(),
                row.figures.held_bytes.to_string(),
            ];
            let numbers = [
                counts.granted,
                counts.denied,
                counts.grown,
                counts.shrunk,
                counts.released,
                counts.expired,
                counts.evicted,
                counts.evicted_bytes,
            ];
            let numbers = numbers.map(|number| number.to_string());
            let _ = writeln!(out, "{},{}", texts.join(","), numbers.join(","));
        }
    }
    out
}

/// As RFC 4180 has it.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_string()
    }
}

/// The whole report, indented, ending in a new line.
pub fn json(books: &Books, sections: &[Section], verified: Option<&[String]>) -> String {
    let story = &books.story;
    let periods = sections.iter().map(|section| {
        json!({
            "from": when::utc(section.from_ns),
            "to": when::utc(section.to_ns),
            "rows": section.rows.iter().map(row).collect::<Vec<_>>(),
        })
    });
    let Story { faults, damage, .. } = story;
    let value = json!({
        "records": story.records,
        "sittings": story.sittings,
        "first": story.first_ns.map(when::utc),
        "last": story.last_ns.map(when::utc),
        "adds_up": faults.is_empty(),
        "is_exact": is_exact(story),
        "faults": faults,
        "damage": damage,
        "verified": verified.map(<[String]>::is_empty),
        "findings": verified,
        "events_lost": story.events_lost,
        "events_lost_of_bytes": story.events_lost_of_bytes,
        "requests_refused": story.requests_refused,
        "refused_bytes": story.refused_bytes,
        "began_late": story.began_late,
        "corrections": story.corrections,
        "corrected_bytes": story.corrected_bytes,
        "has_no_day": story.has_no_day,
        "periods": periods.collect::<Vec<_>>(),
    });
    format!("{value:#}\n")
}

/// Whether no record that is about bytes is known to be missing.
fn is_exact(story: &Story) -> bool {
    story.events_lost_of_bytes == 0
        && !story.began_late
        && story.damage.is_empty()
        && story.faults.is_empty()
}

fn row(row: &Row) -> Value {
    let figures = &row.figures;
    let counts = &figures.counts;
    json!({
        "scope": row.scope.name(),
        "tenant_id": row.id,
        "name": row.name,
        "group": row.group,
        "type": row.allocation_type,
        "byte_seconds": byte_seconds(figures.byte_ns),
        "gib_hours": gib_hours(figures.byte_ns),
        "peak_bytes": u64::try_from(figures.peak_bytes).unwrap_or(0),
        "held_bytes": u64::try_from(figures.held_bytes).unwrap_or(0),
        "granted": counts.granted,
        "denied": counts.denied,
        "grown": counts.grown,
        "shrunk": counts.shrunk,
        "released": counts.released,
        "expired": counts.expired,
        "evicted": counts.evicted,
        "evicted_bytes": counts.evicted_bytes,
    })
}
