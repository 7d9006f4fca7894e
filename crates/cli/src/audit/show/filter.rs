//! Which records are shown: those that every option lets pass.

use allotment::EventKind;
use allotment::audit::Body;

use super::super::kind;
use super::{Happened, ShowArgs};

/// See the top of this file.
pub struct Filter {
    tenant: Option<String>,
    /// Whether somebody of that name was met.
    is_met: bool,
    kinds: Vec<&'static str>,
    types: Vec<u8>,
    since: Option<i128>,
    until: Option<i128>,
    grant: Option<u64>,
    reasons: Vec<u8>,
    min_bytes: Option<u64>,
    calls: bool,
}

impl Filter {
    /// As the options say.
    pub fn new(args: &ShowArgs) -> Self {
        Self {
            tenant: args.tenant.clone(),
            is_met: false,
            kinds: args.kind.clone(),
            types: args.types.clone(),
            since: args.since,
            until: args.until,
            grant: args.grant,
            reasons: args.reason.clone(),
            min_bytes: args.min_bytes,
            calls: args.calls,
        }
    }

    /// The tenant that was asked for, if nobody of that name was met.
    pub fn unmet(&self) -> Option<&str> {
        self.tenant.as_deref().filter(|_| !self.is_met)
    }

    /// Whether this is to be shown.
    pub fn wants(&mut self, happened: &Happened<'_>) -> bool {
        self.wants_party(happened)
            && self.wants_kind(kind::name(happened.body))
            && self.wants_time(happened.unix_ns)
            && self.wants_words(happened.body)
    }

    fn wants_party(&mut self, happened: &Happened<'_>) -> bool {
        let Some(wanted) = &self.tenant else { return true };
        let id = happened.id().map(|id| id.to_string());
        let is_id = id.is_some_and(|id| id.eq_ignore_ascii_case(wanted));
        let is_it = is_id || happened.name().is_some_and(|name| name == *wanted);
        self.is_met |= is_it;
        is_it
    }

    fn wants_kind(&self, name: &'static str) -> bool {
        if self.kinds.is_empty() {
            !kind::QUIET.contains(&name) && (self.calls || !kind::is_call(name))
        } else {
            self.kinds.contains(&name)
        }
    }

    /// What has no time of its own is shown unless a time is asked for.
    fn wants_time(&self, unix_ns: Option<i128>) -> bool {
        let is_late = self.since.is_none_or(|since| unix_ns.is_some_and(|at| at >= since));
        let is_early = self.until.is_none_or(|until| unix_ns.is_some_and(|at| at < until));
        is_late && is_early
    }

    /// What asks for a type, a grant, a reason or bytes asks for records that have them.
    fn wants_words(&self, body: &Body) -> bool {
        let (kind, bytes) = match body {
            Body::Event(event) => (event.has_type().then_some(event.allocation_type), event.bytes),
            Body::Balance { allocation_type, bytes, .. } => (Some(*allocation_type), *bytes),
            Body::Refused { bytes, .. } => (None, *bytes),
            _ => (None, 0),
        };
        let event = if let Body::Event(event) = body { Some(event) } else { None };
        let has_grant = |id| {
            event.is_some_and(|event| event.grant_id().is_some_and(|grant| grant.as_u64() == id))
        };
        let denied = event.filter(|event| event.kind == EventKind::Denied);
        let has_reason = || denied.is_some_and(|event| self.reasons.contains(&event.reason));
        (self.types.is_empty() || kind.is_some_and(|kind| self.types.contains(&kind)))
            && self.grant.is_none_or(has_grant)
            && (self.reasons.is_empty() || has_reason())
            && self.min_bytes.is_none_or(|min| bytes >= min)
    }
}
