//! A record as one JSON object. Keys are stable, new ones may come; one that does not apply is
//! null, never absent. Ids are hex texts, since programs that read JSON may round large numbers.

use allotment::audit::Body;
use serde_json::{Map, Value, json};

use super::super::{kind, when};
use super::Happened;

const KEYS: [&str; 34] = [
    "sequence",
    "segment",
    "offset",
    "time",
    "clock_ns",
    "kind",
    "account",
    "tenant",
    "tenant_id",
    "type",
    "bytes",
    "used_bytes",
    "grant",
    "ticket",
    "reason",
    "short_bytes",
    "from",
    "to",
    "cost",
    "detail",
    "raw_grant",
    "count",
    "grants",
    "text",
    "text_id",
    "text_topic",
    "first_event",
    "from_ns",
    "first_sequence",
    "first_segment",
    "torn_segment",
    "file_bytes",
    "whole_bytes",
    "words",
];

/// The object, without a line end.
pub fn json(happened: &Happened<'_>) -> String {
    let Happened { entry, body, .. } = happened;
    let mut map: Map<String, Value> =
        KEYS.iter().map(|key| (key.to_string(), Value::Null)).collect();
    let clock_ns = super::clock_ns(body);
    let head = json!({
        "sequence": entry.record.sequence,
        "segment": entry.segment,
        "offset": entry.offset,
        "time": happened.unix_ns.map(when::utc),
        "clock_ns": clock_ns,
        "kind": kind::name(body),
        "account": happened.account,
        "tenant": happened.name(),
        "tenant_id": happened.id().map(|id| id.to_string()),
    });
    put(&mut map, head);
    put(&mut map, words(happened));
    Value::Object(map).to_string()
}

fn put(map: &mut Map<String, Value>, fields: Value) {
    if let Value::Object(fields) = fields {
        map.extend(fields);
    }
}

fn words(happened: &Happened<'_>) -> Value {
    let hex = |id: u64| format!("{id:016x}");
    match *happened.body {
        Body::Event(event) => json!({
            "type": kind::type_name(event.allocation_type).filter(|_| event.has_type()),
            "bytes": event.bytes,
            "used_bytes": event.used_bytes,
            "grant": event.grant_id().map(|grant| grant.to_string()),
            "ticket": event.ticket(),
            "reason": kind::reason_name(event.reason),
            "short_bytes":
                (event.kind == allotment::EventKind::Denied).then_some(event.detail),
            "from": event.from,
            "to": event.to,
            "cost": event.cost,
            "detail": event.detail,
            "raw_grant": hex(event.grant),
        }),
        Body::Gap { first, count, .. } => json!({ "count": count, "first_event": first }),
        Body::Refused { from_ns, requests, bytes, .. } => {
            json!({ "count": requests, "bytes": bytes, "from_ns": from_ns })
        }
        Body::Balance { allocation_type, bytes, grants, .. } => {
            let kind = kind::type_name(allocation_type);
            json!({ "type": kind, "bytes": bytes, "grants": grants })
        }
        Body::Text(_) => {
            let told = happened.told.map(|told| (&told.text, told.id, told.topic));
            json!({
                "text": told.map(|(text, ..)| text),
                "text_id": told.map(|(_, id, _)| id),
                "text_topic": told.map(|(.., topic)| topic),
            })
        }
        Body::Retired { sequence, segment, .. } => {
            json!({ "first_sequence": sequence, "first_segment": segment })
        }
        Body::Recovered { segment, file_bytes, whole_bytes, .. } => {
            json!({ "torn_segment": segment, "file_bytes": file_bytes, "whole_bytes": whole_bytes })
        }
        Body::Unknown(words) => json!({ "words": words.map(hex) }),
        _ => json!({}),
    }
}
