//! A report for people: a table for each period, then what was checked and what to know.

use std::fmt::Write;

use super::super::when;
use super::amount::gib_hours;
use super::books::{Books, Story};
use super::rows::{Row, Scope, Section};
use crate::report::columns::{Grid, shorten};
use crate::report::{human, table};

const HEADERS: [(&str, bool); 10] = [
    ("Tenant", false),
    ("Type", false),
    ("GiB h", true),
    ("Peak", true),
    ("Held", true),
    ("Grants", true),
    ("Grown", true),
    ("Released", true),
    ("Evicted", true),
    ("Denied", true),
];

/// The report, ending in a new line. `verified`: whether it was, and what was found.
pub fn text(books: &Books, sections: &[Section], verified: Option<&[String]>) -> String {
    let mut out = String::new();
    for section in sections {
        let (from, to) = (when::short(section.from_ns), when::short(section.to_ns));
        let _ = writeln!(out, "{from} to {to}\n\n{}", table::text(&grid(&section.rows)));
    }
    push_story(&mut out, &books.story, sections);
    match verified {
        None => out.push_str("The log was not verified: --key FILE does that, too.\n"),
        Some([]) => out.push_str("The log was verified and is intact.\n"),
        Some(findings) => {
            out.push_str("THE LOG IS NOT INTACT:\n");
            push_lines(&mut out, findings);
        }
    }
    out
}

fn grid(rows: &[Row]) -> Grid {
    let is_alone = |row: &Row| {
        let types = rows.iter().filter(|other| {
            other.scope == Scope::Type && (&other.id, &other.name) == (&row.id, &row.name)
        });
        row.scope == Scope::Tenant && types.count() == 1
    };
    // The sum of one is that one.
    let shown = rows.iter().filter(|row| !is_alone(row));
    Grid { headers: HEADERS.to_vec(), rows: shown.map(cells).collect() }
}

fn cells(row: &Row) -> Vec<String> {
    let figures = &row.figures;
    let counts = &figures.counts;
    let bytes = |bytes: i128| human::bytes(u64::try_from(bytes).unwrap_or(0));
    let evicted = match counts.evicted {
        0 => "0".to_string(),
        count => format!("{} ({})", human::count(count), human::bytes(counts.evicted_bytes)),
    };
    let what = match row.scope {
        Scope::Type => row.allocation_type.unwrap_or_default(),
        Scope::Tenant => "all",
        Scope::Group => "group",
        Scope::Total => "",
    };
    vec![
        shorten(&row.name),
        what.to_string(),
        gib_hours(figures.byte_ns),
        bytes(figures.peak_bytes),
        bytes(figures.held_bytes),
        human::count(counts.granted),
        human::count(counts.grown),
        human::count(counts.released),
        evicted,
        human::count(counts.denied),
    ]
}

fn push_story(out: &mut String, story: &Story, sections: &[Section]) {
    let Story { records, sittings, .. } = story;
    let records = human::plural(*records, "record");
    let writers = match sittings {
        0 => "from within one sitting".to_string(),
        count => format!("of {}", human::plural(*count, "sitting")),
    };
    let _ = writeln!(out, "{records} {writers}.");
    if sections.is_empty() {
        out.push_str("Nobody held or asked for anything then.\n");
    }
    if story.faults.is_empty() {
        out.push_str("Checked: the tenants' byte-seconds and bytes add up to the total's.\n");
    } else {
        out.push_str("THE BOOKS DO NOT ADD UP:\n");
        push_lines(out, &story.faults);
    }
    if !story.damage.is_empty() {
        out.push_str("THE LOG IS DAMAGED; verify it:\n");
        push_lines(out, &story.damage);
    }
    for warning in warnings(story) {
        let _ = writeln!(out, "{warning}");
    }
}

/// What to know before the figures are used, a sentence each.
pub fn warnings(story: &Story) -> Vec<String> {
    let mut all = Vec::new();
    if story.events_lost > 0 {
        let events = human::plural(story.events_lost, "event");
        let moved = match story.events_lost_of_bytes {
            0 => "none of them about bytes",
            _ => "so that counts are the least there can have been",
        };
        all.push(format!("Warning: {events} lost before they reached the log, {moved}."));
    }
    if story.requests_refused > 0 {
        let requests = human::plural(story.requests_refused, "request");
        let bytes = human::bytes(story.refused_bytes);
        all.push(format!(
            "Note: {requests} of {bytes} refused for want of room in the log; not among denials."
        ));
    }
    if story.began_late {
        all.push(
            "Warning: a sitting began while its governor was at work: what was held then is known \
             only of tenants with a record since, and not of which type."
                .to_string(),
        );
    }
    if story.corrections > 0 {
        let times = human::plural(story.corrections, "time");
        let bytes = human::bytes(story.corrected_bytes);
        all.push(format!(
            "Warning: bytes are estimates: {times} an account was set right by what it said it \
             used, {bytes} in all."
        ));
    }
    if story.has_no_day {
        let text = "Warning: the log says nothing of the time of day; times begin at 1970.";
        all.push(text.to_string());
    }
    all
}

fn push_lines(out: &mut String, lines: &[String]) {
    for line in lines {
        let _ = writeln!(out, "  {line}");
    }
}
