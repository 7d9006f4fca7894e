//! What a call raises: the classes of `_errors.py`, made of the library's errors and denials.

use crate::choice::choices;
use crate::view::{View, views};
use allotment::{AccountName, Denial, DenialReason, Error, Governor, Refusal};
use pyo3::call::PyCallArgs;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

static ERRORS: PyOnceLock<Py<PyModule>> = PyOnceLock::new();

/// An error of a class of `_errors.py`. An import that fails is an error as well.
fn made<'py>(py: Python<'py>, class: &str, args: impl PyCallArgs<'py>) -> PyErr {
    let instance = || {
        let module =
            ERRORS.get_or_try_init(py, || py.import("allotment._errors").map(Bound::unbind))?;
        let class = module.bind(py).getattr(class)?.cast_into::<PyType>()?;
        class.call1(args)
    };
    match instance() {
        Ok(error) => PyErr::from_value(error),
        Err(error) => error,
    }
}

/// What a call on a closed governor raises.
#[cold]
pub(crate) fn closed(py: Python<'_>) -> PyErr {
    let message = "the governor was closed: make another one, it takes no more calls";
    made(py, "Closed", (message, "closed"))
}

/// What a call in a fork raises.
#[cold]
pub(crate) fn forked(py: Python<'_>) -> PyErr {
    let message = "the governor was made before this process was forked: make one of its own here";
    made(py, "ForkedError", (message, "forked"))
}

/// What a verb of a grant that was released raises.
#[cold]
pub(crate) fn released(py: Python<'_>) -> PyErr {
    let message = "the grant was released before: nothing is held that could change";
    made(py, "StaleGrant", (message, "stale_grant"))
}

/// What a name that nobody has raises.
#[cold]
pub(crate) fn nobody(py: Python<'_>, what: &str, name: &str) -> PyErr {
    let message = format!("there is no {what} '{name}': register it first");
    made(py, "Gone", (message, "gone"))
}

/// What a value raises that cannot be.
#[cold]
pub(crate) fn misuse(py: Python<'_>, message: &str, code: &str) -> PyErr {
    made(py, "MisuseError", (message, code))
}

/// An error of the library.
#[cold]
pub(crate) fn raised(py: Python<'_>, error: &Error) -> PyErr {
    let (class, code) = match error {
        Error::Config { .. } => ("MisuseError", "config"),
        Error::Foreign { .. } => ("MisuseError", "foreign"),
        Error::NotYours { .. } => ("MisuseError", "not_yours"),
        Error::ZeroBytes => ("MisuseError", "zero_bytes"),
        Error::TooLarge { .. } => ("MisuseError", "too_large"),
        Error::ShrinkTooMuch { .. } => ("MisuseError", "shrink_too_much"),
        Error::NotReserved(_) => ("MisuseError", "not_reserved"),
        Error::DuplicateTenant(_) => ("MisuseError", "duplicate_tenant"),
        Error::TooDeep { .. } => ("MisuseError", "too_deep"),
        Error::GuaranteesExceed { .. } => ("MisuseError", "guarantees_exceed"),
        Error::Gone { .. } => ("Gone", "gone"),
        Error::StaleGrant(_) => ("StaleGrant", "stale_grant"),
        Error::Expired(_) => ("StaleGrant", "expired"),
        Error::Evicted(_) => ("Evicted", "evicted"),
        Error::Busy(_) => ("StateError", "busy"),
        Error::TableFull { .. } => ("StateError", "table_full"),
        Error::GuaranteeUnavailable { .. } => ("StateError", "guarantee_unavailable"),
        Error::GrantsLive { .. } => ("StateError", "grants_live"),
        Error::HasChildren { .. } => ("StateError", "has_children"),
        Error::AuditFull => ("StateError", "audit_full"),
        Error::Contended => ("StateError", "contended"),
        _ => ("AllotmentError", "other"),
    };
    made(py, class, (error.to_string(), code))
}

/// A refusal of a governor's, who knows the names of its accounts.
#[cold]
pub(crate) fn refused(py: Python<'_>, governor: &Governor, refusal: &Refusal) -> PyErr {
    let denial = match refusal {
        Refusal::Misuse(error) => return raised(py, error),
        Refusal::Denied(denial) => denial,
    };
    let late = denial.reason == DenialReason::WaitedTooLong;
    match shown(py, governor, denial) {
        Ok(shown) => made(py, if late { "Timeout" } else { "Denied" }, (shown,)),
        Err(error) => error,
    }
}

fn shown<'py>(
    py: Python<'py>,
    governor: &Governor,
    denial: &Denial,
) -> PyResult<Bound<'py, PyAny>> {
    let kind = match denial.account {
        AccountName::Pool => "pool",
        AccountName::Group(_) => "group",
        AccountName::Tenant(_) => "tenant",
    };
    // Who is gone by now has no name.
    let name = governor.name(denial.account).unwrap_or_else(|_| format!("a {kind} that is gone"));
    let reason = usize::from(denial.reason.code()) - 1;
    views(py)?.make(
        py,
        View::Denial,
        (
            choices(py)?.reason.member(py, reason),
            name,
            kind,
            denial.asked_bytes,
            denial.short_bytes,
            denial.available_bytes,
            denial.limit,
            denial.waiting_can_help,
            denial.retry_after_ns.map(|ns| ns as f64 / 1e9),
            denial.pins.grants,
            denial.pins.bytes,
            denial.pins.first.map(|grant| grant.as_u64()),
        ),
    )
}
