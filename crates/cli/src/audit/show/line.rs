//! A record as a line for people: when, who, what, and the figures that belong to it.

use allotment::audit::Body;
use allotment::{Event, EventKind, Pressure};

use super::super::{kind, when};
use super::Happened;
use crate::report::human;

/// From this size on a limit is none.
const NO_LIMIT_BYTES: u64 = (1 << 48) - 1;

/// The line, without its end.
pub fn line(happened: &Happened<'_>) -> String {
    let time = happened.unix_ns.map_or_else(|| "-".to_string(), when::utc);
    let name = happened.name().filter(|_| is_about_somebody(happened.body));
    let name = one_line(&name.unwrap_or_else(|| "-".to_string()));
    let said = match happened.body {
        Body::Event(event) => event_words(event),
        body => own_words(body, happened),
    };
    let line = format!("{time:<27}  {name:<12}  {:<16}  {said}", kind::name(happened.body));
    line.trim_end().to_string()
}

fn is_about_somebody(body: &Body) -> bool {
    match body {
        Body::Event(event) => event.account != 0,
        _ => true,
    }
}

fn event_words(event: &Event) -> String {
    use EventKind::{CapacityChanged, LimitsChanged, PressureChanged, Queued, Registered, Taken};
    let bytes = human::bytes(event.bytes);
    let kind = kind::type_name(event.allocation_type).unwrap_or("unknown type");
    let what = match event.kind {
        PressureChanged => format!("{} to {}", pressure(event.from), pressure(event.to)),
        CapacityChanged => format!("to {bytes}"),
        Registered => format!("guaranteed {bytes}"),
        LimitsChanged if event.bytes >= NO_LIMIT_BYTES => "no limit".to_string(),
        LimitsChanged => format!("limit {bytes}"),
        Queued | Taken => format!("{bytes} {kind}"),
        _ if event.bytes == 0 && !event.has_type() => String::new(),
        _ if event.bytes == 0 => kind.to_string(),
        _ if event.has_type() => format!("{bytes} {kind}"),
        _ => bytes,
    };
    let mut parts = vec![what];
    parts.extend(why(event));
    if event.tells_use() {
        parts.push(format!("uses {}", human::bytes(event.used_bytes)));
    }
    parts.extend(event.ticket().map(|ticket| format!("ticket {ticket}")));
    parts.extend(event.grant_id().map(|grant| format!("grant {grant}")));
    parts.retain(|part| !part.is_empty());
    parts.join(", ")
}

fn why(event: &Event) -> Option<String> {
    match event.kind {
        EventKind::Denied => {
            let reason = kind::reason_name(event.reason).unwrap_or("unknown reason");
            let short = event.detail;
            Some(match short {
                0 => format!("refused by {reason}"),
                _ => format!("refused by {reason}, {} short", human::bytes(short)),
            })
        }
        EventKind::Evicted if event.to == 1 => Some("by administration".to_string()),
        EventKind::ReclaimAnswered => {
            Some(if event.to == 1 { "busy" } else { "deferred" }.to_string())
        }
        _ => None,
    }
}

fn pressure(level: u8) -> &'static str {
    Pressure::ALL.get(usize::from(level)).map_or("unknown", |level| level.name())
}

fn own_words(body: &Body, happened: &Happened<'_>) -> String {
    match *body {
        Body::Checkpoint { .. } | Body::Seal { .. } => {
            human::plural(happened.entry.record.sequence, "record")
        }
        Body::Gap { count: 0, .. } => "events were lost before this segment".to_string(),
        Body::Gap { count, .. } => format!("{} lost", human::plural(count, "event")),
        Body::Refused { requests, bytes, .. } => {
            let requests = human::plural(requests, "request");
            format!("{requests} of {} without room in the log", human::bytes(bytes))
        }
        Body::Balance { allocation_type, bytes, grants, .. } => {
            let kind = kind::type_name(allocation_type).unwrap_or("unknown type");
            format!("holds {} {kind} in {}", human::bytes(bytes), human::plural(grants, "grant"))
        }
        Body::Text(_) => happened.told.map_or_else(String::new, |told| one_line(&told.text)),
        Body::Retired { sequence, segment, .. } => {
            format!("segments before {segment}, records before {sequence}")
        }
        Body::Recovered { segment, file_bytes, whole_bytes, .. } => {
            let torn = human::plural(file_bytes.saturating_sub(whole_bytes), "byte");
            format!("segment {segment} ends with {torn} of a record that was never finished")
        }
        Body::Unknown(_) => format!("kind {} of a later version", happened.entry.record.kind()),
        _ => String::new(),
    }
}

/// Words of others, which may hold anything, on one line.
fn one_line(words: &str) -> String {
    let shown = |c: char| if c == '\n' { ' ' } else { char::REPLACEMENT_CHARACTER };
    words.chars().map(|c| if c.is_control() { shown(c) } else { c }).collect()
}
