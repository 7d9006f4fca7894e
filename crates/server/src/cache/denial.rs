//! A denial by the limit over all caches: its figures, and what is told of them.

use super::line::Before;
use super::room::Sight;
use crate::problem::{Problem, RETRY_AFTER_SECS};
use allotment::MemoryError;
use axum::http::StatusCode;
use serde_json::json;
use std::fmt;
use std::time::Duration;

/// What the check is called, as programs read it.
pub const REASON: &str = "cache_limit";
/// What it is a check of, as programs read it.
pub const ACCOUNT: &str = "caches";
/// The same for people.
pub const ACCOUNT_NAME: &str = "all caches";

/// Why there is no room under the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denied {
    /// What was asked for.
    pub asked_bytes: u64,
    /// What all caches have.
    pub held_bytes: u64,
    /// What they may have together.
    pub limit_bytes: u64,
    before: Before,
    waited: Option<Duration>,
}

impl Denied {
    /// Of what somebody saw who came in vain.
    pub fn new(asked_bytes: u64, sight: Sight, waited: Option<Duration>) -> Self {
        let Sight { limit_bytes, taken_bytes, before } = sight;
        let limit_bytes = limit_bytes.unwrap_or(u64::MAX);
        Self { asked_bytes, held_bytes: taken_bytes, limit_bytes, before, waited }
    }

    /// Whether it would fit if caches held nothing.
    pub fn waiting_can_help(&self) -> bool {
        self.asked_bytes <= self.limit_bytes
    }

    /// What has to come free, or by how much the limit is too low by itself.
    pub fn short_bytes(&self) -> u64 {
        if !self.waiting_can_help() {
            return self.asked_bytes - self.limit_bytes;
        }
        let before = self.held_bytes.saturating_add(self.before.bytes);
        before.saturating_add(self.asked_bytes).saturating_sub(self.limit_bytes)
    }

    /// What could be had now.
    pub fn available_bytes(&self) -> u64 {
        self.limit_bytes.saturating_sub(self.held_bytes).saturating_sub(self.before.bytes)
    }

    /// What goes before it.
    pub fn behind_bytes(&self) -> u64 {
        self.before.bytes
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { asked_bytes, held_bytes, limit_bytes, before, waited } = self;
        write!(
            f,
            "caches hold {held_bytes} of the {limit_bytes} bytes that they may have together \
             (`limit` of `[cache]`); for {asked_bytes} more {} are short",
            self.short_bytes()
        )?;
        if before.requests > 0 && self.waiting_can_help() {
            let s = if before.requests == 1 { " is" } else { "s are" };
            let Before { requests, bytes } = before;
            write!(f, ", as {requests} request{s} before it in line for {bytes}")?;
        }
        if let Some(waited) = waited {
            write!(f, "; it has waited {} ms", waited.as_millis())?;
        }
        match self.waiting_can_help() {
            true => f.write_str("; release caches, ask with `wait_ms`, or raise the limit"),
            false => write!(f, "; ask for at most {limit_bytes}, or raise the limit"),
        }
    }
}

/// Why somebody has no room.
#[derive(Debug)]
pub enum NoRoom {
    /// There is none.
    Denied(Denied),
    /// The tenant was put on hold while it waited; in words.
    OnHold(String),
    /// It is gone, or the machine has failed.
    Misuse(MemoryError),
}

impl NoRoom {
    /// What is no denial.
    pub fn misuse(self) -> Option<MemoryError> {
        match self {
            Self::Denied(_) | Self::OnHold(_) => None,
            Self::Misuse(error) => Some(error),
        }
    }
}

impl From<MemoryError> for NoRoom {
    fn from(error: MemoryError) -> Self {
        Self::Misuse(error)
    }
}

impl From<NoRoom> for Problem {
    fn from(no: NoRoom) -> Self {
        match no {
            NoRoom::Denied(denied) => denied.into(),
            NoRoom::OnHold(why) => Self::not_now(why, 0),
            NoRoom::Misuse(error) => error.into(),
        }
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        let helps = denied.waiting_can_help();
        let status = match helps {
            true => StatusCode::SERVICE_UNAVAILABLE,
            false => StatusCode::INSUFFICIENT_STORAGE,
        };
        let problem = Self::new(status, "denied", "denied", denied.to_string())
            .with("available_bytes", denied.available_bytes())
            .with(
                "denial",
                json!({
                    "reason": REASON,
                    "account": ACCOUNT,
                    "asked_bytes": denied.asked_bytes,
                    "short_bytes": denied.short_bytes(),
                    "available_bytes": denied.available_bytes(),
                    "limit": denied.limit_bytes,
                    "waiting_can_help": helps,
                    "retry_after_ns": null,
                    "pinned_grants": 0,
                    "pinned_bytes": 0,
                }),
            );
        match helps {
            true => problem.retry_after(RETRY_AFTER_SECS),
            false => problem,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied(asked_bytes: u64, taken_bytes: u64, requests: u64, bytes: u64) -> Denied {
        let before = Before { requests, bytes };
        Denied::new(asked_bytes, Sight { limit_bytes: Some(100), taken_bytes, before }, None)
    }

    #[test]
    fn what_is_short_has_to_come_free_or_is_above_the_limit_by_itself() {
        for (of, short_bytes, available_bytes, helps) in [
            (denied(30, 90, 0, 0), 20, 10, true),
            (denied(30, 90, 2, 50), 70, 0, true),
            (denied(30, 20, 1, 70), 20, 10, true),
            // The limit was lowered below what is held.
            (denied(100, 150, 0, 0), 150, 0, true),
            (denied(130, 40, 0, 0), 30, 60, false),
        ] {
            let figures = (of.short_bytes(), of.available_bytes(), of.waiting_can_help());
            assert_eq!(figures, (short_bytes, available_bytes, helps), "{of:?}");
        }
    }

    #[test]
    fn it_says_which_limit_what_is_held_what_is_short_and_what_to_do() {
        let limit = "100 bytes that they may have together (`limit` of `[cache]`); for";
        let waited = Denied { waited: Some(Duration::from_millis(7)), ..denied(30, 90, 1, 5) };
        for (of, text) in [
            (
                denied(30, 90, 0, 0),
                format!(
                    "caches hold 90 of the {limit} 30 more 20 are short; release caches, ask with \
                     `wait_ms`, or raise the limit"
                ),
            ),
            (
                waited,
                format!(
                    "caches hold 90 of the {limit} 30 more 25 are short, as 1 request is before \
                     it in line for 5; it has waited 7 ms; release caches, ask with `wait_ms`, or \
                     raise the limit"
                ),
            ),
            (
                denied(130, 40, 1, 5),
                format!(
                    "caches hold 40 of the {limit} 130 more 30 are short; ask for at most 100, or \
                     raise the limit"
                ),
            ),
        ] {
            assert_eq!(of.to_string(), text);
        }
    }
}
