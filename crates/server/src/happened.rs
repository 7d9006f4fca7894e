//! What happened, as it is told over HTTP: the names of kinds, and the bodies of events.
//!
//! Names are those of the library in small letters with `_`, and are never given to another kind.

use allotment::{DenialReason, Event, EventKind, Pressure};
use serde::Serialize;
use utoipa::ToSchema;

/// Every kind of event.
const KINDS: [(EventKind, &str); EventKind::ALL.len()] = [
    (EventKind::Granted, "granted"),
    (EventKind::Denied, "denied"),
    (EventKind::Grown, "grown"),
    (EventKind::Shrunk, "shrunk"),
    (EventKind::Released, "released"),
    (EventKind::Evicted, "evicted"),
    (EventKind::Registered, "registered"),
    (EventKind::Unregistered, "unregistered"),
    (EventKind::LimitsChanged, "limits_changed"),
    (EventKind::PressureChanged, "pressure_changed"),
    (EventKind::CapacityChanged, "capacity_changed"),
    (EventKind::ReservationExpired, "reservation_expired"),
    (EventKind::Leak, "leak"),
    (EventKind::ReclaimTimedOut, "reclaim_timed_out"),
    (EventKind::ReclaimPanicked, "reclaim_panicked"),
    (EventKind::FreedNotSeen, "freed_not_seen"),
    (EventKind::Asked, "asked"),
    (EventKind::Intended, "intended"),
    (EventKind::Touched, "touched"),
    (EventKind::Pinned, "pinned"),
    (EventKind::KeptAlive, "kept_alive"),
    (EventKind::Committed, "committed"),
    (EventKind::Declined, "declined"),
    (EventKind::Balanced, "balanced"),
    (EventKind::PressureReported, "pressure_reported"),
    (EventKind::Measured, "measured"),
    (EventKind::Queued, "queued"),
    (EventKind::Withdrawn, "withdrawn"),
    (EventKind::Taken, "taken"),
    (EventKind::ReclaimAnswered, "reclaim_answered"),
    (EventKind::Emergency, "emergency"),
    (EventKind::Polled, "polled"),
    (EventKind::Tried, "tried"),
];
/// By their codes.
const TYPES: [&str; 4] = ["model_load", "inference", "cache", "background"];

/// What a kind is called.
pub fn kind_name(kind: EventKind) -> &'static str {
    KINDS[usize::from(kind.code() - 1)].1
}

/// The names of all kinds, in the order of their codes.
pub fn kind_names() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|(_, name)| *name)
}

fn kinds() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
    crate::words::words(kind_names())
}

/// The kind of a name.
pub fn kind_named(text: &str) -> Option<EventKind> {
    KINDS.iter().find(|(_, name)| *name == text).map(|(kind, _)| *kind)
}

/// The name of an allocation type by its code.
pub fn type_name(code: u8) -> Option<&'static str> {
    TYPES.get(usize::from(code)).copied()
}

/// An event of the governor. What does not apply is absent.
#[derive(Serialize, ToSchema)]
pub struct EventBody<'a> {
    #[schema(schema_with = kinds)]
    kind: &'static str,
    /// When, in ms since 1970.
    time_ms: u64,
    /// The id of the tenant concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'a str>,
    /// What people call the tenant or the group.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    /// The grant, as answers call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    grant: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    of_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    /// What the account uses afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    used_bytes: Option<u64>,
    /// Of a denial: which check.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    short_bytes: Option<u64>,
    /// Levels of pressure, before and after.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<&'static str>,
}

impl<'a> EventBody<'a> {
    /// Of an event at a time of day, about somebody if that is known.
    pub fn new(
        event: &Event,
        time_ms: u64,
        tenant: Option<&'a str>,
        name: Option<&'a str>,
    ) -> Self {
        let denied = event.kind == EventKind::Denied;
        let pressure = event.kind == EventKind::PressureChanged;
        let level = |level: u8| pressure.then(|| pressure_name(level));
        Self {
            kind: kind_name(event.kind),
            time_ms,
            tenant,
            name,
            grant: event.grant_id().map(|grant| grant.to_string()),
            of_type: type_name(event.allocation_type).filter(|_| event.has_type()),
            bytes: tells_bytes(event.kind).then_some(event.bytes),
            used_bytes: event.tells_use().then_some(event.used_bytes),
            reason: denied.then(|| reason_of(event.reason)),
            short_bytes: denied.then_some(event.detail),
            from: level(event.from),
            to: level(event.to),
        }
    }
}

fn pressure_name(level: u8) -> &'static str {
    let mut levels = Pressure::ALL.into_iter();
    levels.find(|known| *known as u8 == level).map_or("other", Pressure::name)
}

fn reason_of(code: u8) -> &'static str {
    use crate::problem::reason_name;
    let known = [
        DenialReason::TenantLimit,
        DenialReason::GroupLimit,
        DenialReason::Capacity,
        DenialReason::GrantCount,
        DenialReason::RateLimit,
        DenialReason::SlotsExhausted,
        DenialReason::Contended,
        DenialReason::WaitedTooLong,
        DenialReason::WaitersExhausted,
        DenialReason::AuditFull,
    ];
    known.into_iter().find(|reason| reason.code() == code).map_or("other", reason_name)
}

fn tells_bytes(kind: EventKind) -> bool {
    use EventKind::{Balanced, LimitsChanged, PressureChanged, PressureReported, Tried};
    !matches!(kind, Balanced | LimitsChanged | PressureChanged | PressureReported | Tried)
}

#[cfg(test)]
mod tests {
    use super::*;
    use allotment::AllocationType;
    use std::collections::BTreeSet;

    #[test]
    fn everything_has_one_name() {
        for kind in EventKind::ALL {
            assert_eq!(kind_named(kind_name(kind)), Some(kind));
            let camel = format!("{kind:?}");
            assert_eq!(kind_name(kind).replace('_', ""), camel.to_lowercase());
        }
        assert_eq!(kind_names().collect::<BTreeSet<_>>().len(), EventKind::ALL.len());
        for kind in AllocationType::ALL {
            assert_eq!(type_name(kind as u8), Some(&*kind.name().replace(' ', "_")));
        }
        assert_eq!((kind_named("bought"), type_name(4)), (None, None));
    }

    #[test]
    fn a_body_has_what_its_kind_tells() {
        let denied = Event {
            reason: DenialReason::TenantLimit.code(),
            bytes: 8,
            detail: 3,
            grant: 17,
            ..Event::new(EventKind::Denied, 5)
        };
        let body = EventBody::new(&denied, 1, None, Some("chat"));
        let body = serde_json::to_value(body).unwrap();
        let expected = serde_json::json!({
            "kind": "denied", "time_ms": 1, "name": "chat", "type": TYPES[0], "bytes": 8,
            "used_bytes": 0, "reason": "tenant_limit", "short_bytes": 3,
        });
        assert_eq!(body, expected, "a place in line is no grant");
        let changed = Event { to: 1, ..Event::new(EventKind::PressureChanged, 5) };
        let body = serde_json::to_value(EventBody::new(&changed, 1, None, None)).unwrap();
        let [normal, high] = [Pressure::Normal, Pressure::High].map(Pressure::name);
        let expected = serde_json::json!({
            "kind": "pressure_changed", "time_ms": 1, "from": normal, "to": high,
        });
        assert_eq!(body, expected);
    }
}
