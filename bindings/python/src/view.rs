//! What is seen of a governor, made into the data classes of `_views.py`.
//!
//! They are made by position: the order here is the order of the fields there.

use crate::choice::{Choices, choices};
use allotment::{
    BalanceReport, Event, EventKind, Explanation, Governor, Snapshot, TenantSnapshot, Victim,
};
use pyo3::IntoPyObjectExt;
use pyo3::call::PyCallArgs;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyTuple;

/// The data classes, by their place among those that were looked up.
#[derive(Clone, Copy)]
pub(crate) enum View {
    Denial,
    Victim,
    TenantUsage,
    Snapshot,
    Holder,
    PlannedVictim,
    Explanation,
    Balance,
    Event,
}

const NAMES: [&str; 9] = [
    "Denial",
    "Victim",
    "TenantUsage",
    "Snapshot",
    "Holder",
    "PlannedVictim",
    "Explanation",
    "Balance",
    "Event",
];

/// The data classes.
pub(crate) struct Views(Vec<Py<PyAny>>);

static VIEWS: PyOnceLock<Views> = PyOnceLock::new();

pub(crate) fn views(py: Python<'_>) -> PyResult<&Views> {
    VIEWS.get_or_try_init(py, || {
        let module = py.import("allotment._views")?;
        let class = |name| module.getattr(name).map(Bound::unbind);
        Ok(Views(NAMES.into_iter().map(class).collect::<PyResult<_>>()?))
    })
}

impl Views {
    pub(crate) fn make<'py>(
        &self,
        py: Python<'py>,
        view: View,
        fields: impl PyCallArgs<'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.0[view as usize].bind(py).call1(fields)
    }
}

/// A tuple of fields; the largest have more of them than tuples of Rust convert.
macro_rules! fields {
    ($py:expr; $($field:expr),+ $(,)?) => {
        PyTuple::new($py, [$($field.into_bound_py_any($py)?),+])?
    };
}

/// A victim; `name` is the tenant's.
pub(crate) fn victim<'py>(
    py: Python<'py>,
    victim: &Victim,
    name: String,
) -> PyResult<Bound<'py, PyAny>> {
    views(py)?.make(
        py,
        View::Victim,
        (
            name,
            victim.tenant.as_u64(),
            victim.grant.as_u64(),
            choices(py)?.kind.member(py, victim.allocation_type as usize),
            victim.bytes,
            victim.cookie,
            victim.key,
        ),
    )
}

/// One tenant.
pub(crate) fn usage<'py>(py: Python<'py>, seen: &TenantSnapshot) -> PyResult<Bound<'py, PyAny>> {
    let Choices { priority, isolation, .. } = choices(py)?;
    let fields = fields![py;
        &seen.name,
        seen.tenant.as_u64(),
        seen.id.to_string(),
        &seen.group,
        seen.used_bytes,
        seen.peak_bytes,
        seen.guarantee_bytes,
        seen.limit_bytes,
        seen.limit_lowered,
        seen.claimed_bytes,
        seen.set_aside_bytes,
        seen.share_bytes,
        seen.measured_bytes,
        seen.unaccounted_bytes,
        priority.member(py, seen.priority as usize),
        isolation.member(py, seen.isolation as usize),
        seen.granted,
        seen.denied,
        seen.evicted,
        seen.evicted_bytes,
    ];
    views(py)?.make(py, View::TenantUsage, fields)
}

/// The whole, and how many wait.
pub(crate) fn snapshot<'py>(
    py: Python<'py>,
    seen: &Snapshot,
    waiters: u32,
) -> PyResult<Bound<'py, PyAny>> {
    let tenants = seen.tenants.iter().map(|tenant| usage(py, tenant));
    let tenants = PyTuple::new(py, tenants.collect::<PyResult<Vec<_>>>()?)?;
    let fields = fields![py;
        seen.capacity_bytes,
        seen.live_bytes,
        seen.claimed_bytes,
        seen.measured_bytes,
        seen.unaccounted_bytes,
        seen.shortfalls,
        choices(py)?.pressure.member(py, seen.pressure as usize),
        seen.share_bytes,
        waiters,
        seen.reclaim_timeouts,
        seen.groups,
        tenants,
    ];
    views(py)?.make(py, View::Snapshot, fields)
}

/// What would decide a request.
pub(crate) fn explanation<'py>(py: Python<'py>, seen: &Explanation) -> PyResult<Bound<'py, PyAny>> {
    let (views, Choices { kind, reason, .. }) = (views(py)?, choices(py)?);
    let holders = seen.holders.iter().map(|holder| {
        views.make(py, View::Holder, (&holder.name, holder.bytes, holder.share_percent))
    });
    let victims = seen.evictions.victims.iter().map(|victim| {
        let kind = kind.member(py, victim.allocation_type as usize);
        let fields = (victim.grant.as_u64(), &victim.tenant, kind, victim.bytes);
        views.make(py, View::PlannedVictim, fields)
    });
    let fields = fields![py;
        &seen.tenant,
        kind.member(py, seen.allocation_type as usize),
        seen.asked_bytes,
        seen.reason.and_then(|why| reason.member(py, usize::from(why.code()) - 1)),
        &seen.account_name,
        seen.short_bytes,
        seen.used_bytes,
        seen.limit,
        seen.waiting_can_help,
        PyTuple::new(py, holders.collect::<PyResult<Vec<_>>>()?)?,
        PyTuple::new(py, victims.collect::<PyResult<Vec<_>>>()?)?,
        seen.evictions.grants,
        seen.evictions.bytes,
        seen.evictions.missing_bytes,
        seen.pins.grants,
        seen.pins.bytes,
        seen.to_string(),
    ];
    views.make(py, View::Explanation, fields)
}

/// A step of the balancer.
pub(crate) fn balance<'py>(py: Python<'py>, report: &BalanceReport) -> PyResult<Bound<'py, PyAny>> {
    let fields = (
        choices(py)?.pressure.member(py, report.pressure as usize),
        report.live_bytes,
        report.evicted_grants,
        report.freed_bytes,
        report.deferred_bytes,
        report.reservations_expired,
    );
    views(py)?.make(py, View::Balance, fields)
}

/// Something that happened.
pub(crate) fn event<'py>(py: Python<'py>, event: &Event) -> PyResult<Bound<'py, PyAny>> {
    let fields = (
        word(event.kind),
        event.sequence,
        event.time_ns as f64 / 1e9,
        event.account,
        event.grant,
        event.bytes,
        event.used_bytes,
        event.from,
        event.to,
        event.reason,
        event.detail,
    );
    views(py)?.make(py, View::Event, fields)
}

/// Events that were overwritten before they were read.
pub(crate) fn lost<'py>(
    py: Python<'py>,
    governor: &Governor,
    count: u64,
) -> PyResult<Bound<'py, PyAny>> {
    let time = governor.clock().now_ns() as f64 / 1e9;
    views(py)?.make(py, View::Event, ("lost", 0, time, 0, 0, 0, 0, 0, 0, 0, count))
}

/// `LimitsChanged` is `limits_changed`.
fn word(kind: EventKind) -> String {
    let mut word = String::new();
    for letter in format!("{kind:?}").chars() {
        if letter.is_ascii_uppercase() && !word.is_empty() {
            word.push('_');
        }
        word.push(letter.to_ascii_lowercase());
    }
    word
}
