//! The names of what can happen, of allocation types and of reasons, as they are shown and asked
//! for on the command line.

use allotment::audit::Body;
use allotment::{AllocationType, DenialReason, EventKind};

/// What a governor does.
const EVENTS: [(EventKind, &str); 21] = [
    (EventKind::Granted, "granted"),
    (EventKind::Denied, "denied"),
    (EventKind::Grown, "grown"),
    (EventKind::Shrunk, "shrunk"),
    (EventKind::Released, "released"),
    (EventKind::Evicted, "evicted"),
    (EventKind::Registered, "registered"),
    (EventKind::Unregistered, "unregistered"),
    (EventKind::LimitsChanged, "limits-changed"),
    (EventKind::PressureChanged, "pressure-changed"),
    (EventKind::CapacityChanged, "capacity-changed"),
    (EventKind::ReservationExpired, "reservation-expired"),
    (EventKind::Leak, "leak"),
    (EventKind::ReclaimTimedOut, "reclaim-timed-out"),
    (EventKind::ReclaimPanicked, "reclaim-panicked"),
    (EventKind::FreedNotSeen, "freed-not-seen"),
    (EventKind::Queued, "queued"),
    (EventKind::Withdrawn, "withdrawn"),
    (EventKind::Taken, "taken"),
    (EventKind::ReclaimAnswered, "reclaim-answered"),
    (EventKind::Emergency, "emergency"),
];

/// What it was asked for, where that is recorded.
const CALLS: [(EventKind, &str); 12] = [
    (EventKind::Asked, "asked"),
    (EventKind::Intended, "intended"),
    (EventKind::Touched, "touched"),
    (EventKind::Pinned, "pinned"),
    (EventKind::KeptAlive, "kept-alive"),
    (EventKind::Committed, "committed"),
    (EventKind::Declined, "declined"),
    (EventKind::Balanced, "balanced"),
    (EventKind::PressureReported, "pressure-reported"),
    (EventKind::Measured, "measured"),
    (EventKind::Polled, "polled"),
    (EventKind::Tried, "tried"),
];

/// The log's own records.
const OWN: [&str; 10] = [
    "opened",
    "checkpoint",
    "seal",
    "gap",
    "refused",
    "balance",
    CONFIGURED,
    "retired",
    "recovered",
    "unknown",
];

/// The texts of a log.
pub const CONFIGURED: &str = "configured";

/// Kinds that are shown only to who asks for them.
pub const QUIET: [&str; 3] = ["checkpoint", "balance", CONFIGURED];

const TYPES: [&str; 4] = ["model-load", "inference", "cache", "background"];

const REASONS: [(DenialReason, &str); 10] = [
    (DenialReason::TenantLimit, "tenant-limit"),
    (DenialReason::GroupLimit, "group-limit"),
    (DenialReason::Capacity, "capacity"),
    (DenialReason::GrantCount, "grant-count"),
    (DenialReason::RateLimit, "rate-limit"),
    (DenialReason::SlotsExhausted, "slots-exhausted"),
    (DenialReason::Contended, "contended"),
    (DenialReason::WaitedTooLong, "waited-too-long"),
    (DenialReason::WaitersExhausted, "waiters-exhausted"),
    (DenialReason::AuditFull, "audit-full"),
];

/// What kind of record this is.
pub fn name(body: &Body) -> &'static str {
    match body {
        Body::Event(event) => event_name(event.kind),
        Body::Opened { .. } => "opened",
        Body::Checkpoint { .. } => "checkpoint",
        Body::Seal { .. } => "seal",
        Body::Gap { .. } => "gap",
        Body::Refused { .. } => "refused",
        Body::Balance { .. } => "balance",
        Body::Text(_) => CONFIGURED,
        Body::Retired { .. } => "retired",
        Body::Recovered { .. } => "recovered",
        _ => "unknown",
    }
}

fn event_name(kind: EventKind) -> &'static str {
    let mut all = EVENTS.iter().chain(&CALLS);
    all.find(|(known, _)| *known == kind).map_or("unknown", |(_, name)| name)
}

/// Whether a kind is that of calls.
pub fn is_call(name: &str) -> bool {
    CALLS.iter().any(|(_, call)| *call == name)
}

/// The name of an allocation type; none for a code that is not known.
pub fn type_name(code: u8) -> Option<&'static str> {
    TYPES.get(usize::from(code)).copied()
}

/// The name of the reason of a denial.
pub fn reason_name(code: u8) -> Option<&'static str> {
    REASONS.iter().find(|(reason, _)| reason.code() == code).map(|(_, name)| *name)
}

/// A kind on the command line.
pub fn parse(text: &str) -> Result<&'static str, String> {
    let events = EVENTS.iter().chain(&CALLS).map(|(_, name)| *name);
    choose(text, events.chain(OWN))
}

/// An allocation type on the command line, as its code.
pub fn parse_type(text: &str) -> Result<u8, String> {
    let name = choose(text, TYPES)?;
    Ok(AllocationType::ALL.iter().zip(TYPES).find(|(_, known)| *known == name).map_or(0, code))
}

fn code((kind, _): (&AllocationType, &str)) -> u8 {
    *kind as u8
}

/// A reason on the command line, as its code.
pub fn parse_reason(text: &str) -> Result<u8, String> {
    let name = choose(text, REASONS.map(|(_, name)| name))?;
    let known = REASONS.iter().find(|(_, known)| *known == name);
    Ok(known.map_or(0, |(reason, _)| reason.code()))
}

fn choose(
    text: &str,
    names: impl IntoIterator<Item = &'static str>,
) -> Result<&'static str, String> {
    let names: Vec<_> = names.into_iter().collect();
    let found = names.iter().find(|name| **name == text).copied();
    found.ok_or_else(|| format!("choose of {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_has_one_name() {
        for kind in EventKind::ALL {
            let name = event_name(kind);
            assert_eq!(parse(name), Ok(name), "{kind:?}");
        }
        let mut names: Vec<_> = EventKind::ALL.into_iter().map(event_name).chain(OWN).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), EventKind::ALL.len() + OWN.len());
        for kind in AllocationType::ALL {
            let name = type_name(kind as u8).unwrap();
            assert_eq!((parse_type(name), name), (Ok(kind as u8), &*kind.name().replace(' ', "-")));
        }
        for (reason, name) in REASONS {
            assert_eq!(parse_reason(name), Ok(reason.code()));
            assert_eq!(reason_name(reason.code()), Some(name));
        }
        assert!(parse("bought").unwrap_err().contains("granted, denied"));
    }
}
