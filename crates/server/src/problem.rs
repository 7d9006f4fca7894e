//! The negative answers: problem documents (RFC 9457). A denial carries its figures; what may
//! succeed later says when to come again.
//!
//! | status | what |
//! |---|---|
//! | 400 | a value that makes no sense, named with its bound |
//! | 401, 403 | no token, or one that does not reach so far |
//! | 404 | nothing of that name for whoever asks |
//! | 409 | the state of the world forbids it: a tenant that holds memory, a name taken twice |
//! | 410 | the lease has ended, and how |
//! | 412 | the epoch is not in force: somebody else holds the lease now |
//! | 429 | too many requests of the tenant; `Retry-After` |
//! | 503 | denied, and waiting can help; `Retry-After` |
//! | 507 | denied, and waiting cannot help |

use crate::book::{End, NotHeld};
use allotment::{
    AccountName, AllocationDenial, AllocationRefusal, Denial, DenialReason, Error, MemoryError,
};
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// After how many seconds to come again where nothing more exact is known.
pub const RETRY_AFTER_SECS: u64 = 1;

/// Every kind of negative answer.
pub const KINDS: [&str; 31] = [
    "busy",
    "denied",
    "duplicate",
    "ended",
    "ending",
    "guarantee-unavailable",
    "guarantees-exceed",
    "has-children",
    "holds-memory",
    "impossible",
    "invalid",
    "machine",
    "no-audit",
    "no-method",
    "no-route",
    "no-token",
    "not-found",
    "not-json",
    "not-kept",
    "not-now",
    "scope",
    "stale-epoch",
    "state-full",
    "table-full",
    "too-large",
    "too-many",
    "too-many-listeners",
    "too-slow",
    "unsound",
    "wanted",
    "wrong-host",
];

/// A negative answer.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    kind: &'static str,
    title: &'static str,
    detail: String,
    figures: Map<String, Value>,
    retry_after_secs: Option<u64>,
}

impl Problem {
    /// One of a kind, which programs compare, with a sentence for people.
    pub fn new(
        status: StatusCode,
        kind: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        let detail = detail.into();
        debug_assert!(KINDS.contains(&kind), "{kind} is told nowhere");
        Self { status, kind, title, detail, figures: Map::new(), retry_after_secs: None }
    }

    /// A value that makes no sense.
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid", "the request makes no sense", detail)
    }

    /// Nothing of that name, for whoever asks.
    pub fn not_found(what: &str) -> Self {
        let detail = format!("there is no such {what}, or your token does not reach it");
        Self::new(StatusCode::NOT_FOUND, "not-found", "not found", detail)
    }

    /// Called too often.
    pub fn too_many(after: Duration) -> Self {
        let (status, title) = (StatusCode::TOO_MANY_REQUESTS, "too many calls");
        let secs = after.as_secs_f64().ceil().max(1.0) as u64;
        let detail = format!("this tenant calls more often than it may; again in {secs} s");
        let problem = Self::new(status, "too-many", title, detail);
        Self { retry_after_secs: Some(secs), ..problem }
    }

    /// The memory of a lease is wanted elsewhere: it does not change any more.
    pub fn wanted() -> Self {
        let detail = "its holder was asked to release it, and it can only be released whole";
        Self::new(StatusCode::CONFLICT, "wanted", "the memory is wanted elsewhere", detail)
    }

    /// Nobody's limit: an operator has put the tenant on hold, or others were faster.
    pub fn not_now(why: String, available_bytes: u64) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "not-now", "not now", why)
            .with("available_bytes", available_bytes)
            .retry_after(RETRY_AFTER_SECS)
    }

    /// The sentence.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The same with more words in its sentence.
    pub fn and_also(mut self, more: &str) -> Self {
        self.detail.push_str(more);
        self
    }

    /// It may succeed after so many seconds.
    pub fn retry_after(self, seconds: u64) -> Self {
        Self { retry_after_secs: Some(seconds), ..self }
    }

    /// The same with a value of its own.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.figures.insert(name.to_string(), value.into());
        self
    }

    fn denied(no: AllocationDenial) -> Self {
        let Some(denial) = no.denial else {
            return Self::not_now(no.reason, no.available_bytes);
        };
        let status = match (denial.reason, denial.waiting_can_help) {
            (DenialReason::RateLimit, _) => StatusCode::TOO_MANY_REQUESTS,
            (_, true) => StatusCode::SERVICE_UNAVAILABLE,
            (_, false) => StatusCode::INSUFFICIENT_STORAGE,
        };
        let mut problem = Self::new(status, "denied", "denied", no.reason)
            .with("available_bytes", no.available_bytes)
            .with("denial", figures(&denial));
        if status != StatusCode::INSUFFICIENT_STORAGE {
            let known = denial.retry_after_ns.map(|ns| ns.div_ceil(1_000_000_000).max(1));
            problem.retry_after_secs = Some(known.unwrap_or(RETRY_AFTER_SECS));
        }
        problem
    }
}

/// The name of a reason, as programs read it.
pub fn reason_name(reason: DenialReason) -> &'static str {
    match reason {
        DenialReason::TenantLimit => "tenant_limit",
        DenialReason::GroupLimit => "group_limit",
        DenialReason::Capacity => "capacity",
        DenialReason::GrantCount => "grant_count",
        DenialReason::RateLimit => "rate_limit",
        DenialReason::SlotsExhausted => "slots_exhausted",
        DenialReason::Contended => "contended",
        DenialReason::WaitedTooLong => "waited_too_long",
        DenialReason::WaitersExhausted => "waiters_exhausted",
        DenialReason::AuditFull => "audit_full",
        _ => "other",
    }
}

/// Where a request was refused, as programs read it.
pub fn account_name(account: AccountName) -> &'static str {
    match account {
        AccountName::Pool => "pool",
        AccountName::Group(_) => "group",
        AccountName::Tenant(_) => "tenant",
    }
}

fn figures(denial: &Denial) -> Value {
    json!({
        "reason": reason_name(denial.reason),
        "account": account_name(denial.account),
        "asked_bytes": denial.asked_bytes,
        "short_bytes": denial.short_bytes,
        "available_bytes": denial.available_bytes,
        "limit": denial.limit,
        "waiting_can_help": denial.waiting_can_help,
        "retry_after_ns": denial.retry_after_ns,
        "pinned_grants": denial.pins.grants,
        "pinned_bytes": denial.pins.bytes,
    })
}

impl From<AllocationRefusal> for Problem {
    fn from(refusal: AllocationRefusal) -> Self {
        match refusal {
            AllocationRefusal::Denied(no) => Self::denied(*no),
            AllocationRefusal::Misuse(error) => error.into(),
        }
    }
}

impl From<MemoryError> for Problem {
    fn from(error: MemoryError) -> Self {
        let detail = error.to_string();
        let conflict = |kind, title| Self::new(StatusCode::CONFLICT, kind, title, &*detail);
        match error {
            MemoryError::UnknownTenant(_) => Self::not_found("tenant"),
            MemoryError::UnknownAllocation { .. } | MemoryError::ForeignAllocation { .. } => {
                Self::not_found("grant")
            }
            MemoryError::AllocationEnded { .. } => NotHeld::Ended(End::Evicted).into(),
            MemoryError::DuplicateTenant(_) => conflict("duplicate", "it is there already"),
            MemoryError::GuaranteesExceed { .. } => {
                conflict("guarantees-exceed", "guarantees exceed what there is")
            }
            MemoryError::TenantHoldsMemory { .. } => {
                conflict("holds-memory", "the tenant still holds memory")
            }
            MemoryError::Governor(error) => error.into(),
            MemoryError::Thread { .. } | MemoryError::Audit { .. } => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "machine", "the machine", detail)
            }
            _ => Self::invalid(detail),
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        let conflict = |kind, title| Self::new(StatusCode::CONFLICT, kind, title, &*detail);
        match error {
            Error::Gone { what, .. } => Self::not_found(what),
            Error::GuaranteesExceed { .. } => {
                conflict("guarantees-exceed", "guarantees exceed what there is")
            }
            Error::GuaranteeUnavailable { .. } => {
                conflict("guarantee-unavailable", "others use those bytes now")
            }
            Error::HasChildren { .. } => conflict("has-children", "the group has children"),
            Error::GrantsLive { .. } => conflict("holds-memory", "the tenant still holds memory"),
            Error::TableFull { .. } => conflict("table-full", "a table is full"),
            Error::Contended | Error::Busy(_) | Error::AuditFull => {
                let status = StatusCode::SERVICE_UNAVAILABLE;
                let problem = Self::new(status, "busy", "not now", detail);
                Self { retry_after_secs: Some(RETRY_AFTER_SECS), ..problem }
            }
            _ => Self::invalid(detail),
        }
    }
}

impl From<NotHeld> for Problem {
    fn from(not: NotHeld) -> Self {
        match not {
            NotHeld::Unknown => Self::not_found("grant"),
            NotHeld::Stale => Self::new(
                StatusCode::PRECONDITION_FAILED,
                "stale-epoch",
                "somebody else holds the lease",
                "the lease was taken over since that epoch; whoever has the old one must not use \
                 its memory any more",
            ),
            NotHeld::Changing => {
                let detail = "another call is changing the same lease; call again";
                let problem = Self::new(StatusCode::CONFLICT, "busy", "not now", detail);
                Self { retry_after_secs: Some(RETRY_AFTER_SECS), ..problem }
            }
            NotHeld::Ended(how) => Self::new(
                StatusCode::GONE,
                "ended",
                "the lease has ended",
                format!("the lease was {}; its memory is counted for others now", how.name()),
            )
            .with("how", how.name()),
        }
    }
}

/// Nothing is served under this path.
pub async fn no_route() -> Problem {
    let (status, title) = (StatusCode::NOT_FOUND, "there is no such route");
    Problem::new(status, "no-route", title, "nothing is served under this path")
}

/// The path is there, but not for this method.
pub async fn no_method() -> Problem {
    let (status, title) = (StatusCode::METHOD_NOT_ALLOWED, "not by this method");
    Problem::new(status, "no-method", title, "the path is served, but not by this method")
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = self.figures;
        body.insert("type".to_string(), format!("urn:allotment:problem:{}", self.kind).into());
        body.insert("title".to_string(), self.title.into());
        body.insert("status".to_string(), self.status.as_u16().into());
        body.insert("detail".to_string(), self.detail.into());
        let mut response = (self.status, Json(Value::Object(body))).into_response();
        let headers = response.headers_mut();
        let kind = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, kind);
        if let Some(seconds) = self.retry_after_secs {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
