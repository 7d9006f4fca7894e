//! What is configured: keyword arguments, by the names of the library's configuration without their
//! units, since sizes and times of Python have their own.

use crate::argument::{flag, number};
use crate::choice::choices;
use crate::size::{ns, size, time, time_or_ever};
use allotment::os::{Clock, ManualClock};
use allotment::{
    AllocationType, GovernorConfig, GroupConfig, Isolation, Policy, Priority, RateLimit,
    TenantConfig,
};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use uuid::Uuid;

/// A change of a tenant's configuration.
type Change = Box<dyn Fn(&mut TenantConfig) + Send + Sync>;

const ISOLATIONS: [Isolation; 3] = [Isolation::None, Isolation::Soft, Isolation::Hard];
/// As the C ABI allows.
const NAME_BYTES_MAX: usize = 255;

fn unexpected(verb: &str, name: &str) -> PyErr {
    PyTypeError::new_err(format!("{verb}() got an unexpected keyword argument '{name}'"))
}

/// Each keyword argument, with its name.
fn each(
    arguments: Option<&Bound<'_, PyDict>>,
    mut take: impl FnMut(&str, &Bound<'_, PyAny>) -> PyResult<()>,
) -> PyResult<()> {
    for (name, value) in arguments.into_iter().flat_map(|arguments| arguments.iter()) {
        take(&name.cast::<PyString>()?.to_cow()?, &value)?;
    }
    Ok(())
}

fn optional<'py, T>(
    value: &Bound<'py, PyAny>,
    some: impl FnOnce(&Bound<'py, PyAny>) -> PyResult<T>,
) -> PyResult<Option<T>> {
    if value.is_none() { Ok(None) } else { some(value).map(Some) }
}

/// A name that the C ABI could say as well.
pub(crate) fn name(name: &str) -> PyResult<()> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains('\0') {
        return Err(PyValueError::new_err(format!(
            "{name:?} is no name: use 1 to {NAME_BYTES_MAX} bytes of UTF-8 without NUL"
        )));
    }
    Ok(())
}

/// How a governor is set up.
pub(crate) fn governor(
    capacity_bytes: u64,
    settings: Option<&Bound<'_, PyDict>>,
) -> PyResult<GovernorConfig> {
    let mut config = GovernorConfig::new(capacity_bytes);
    each(settings, |name, value| set(&mut config, name, value))?;
    Ok(config)
}

fn set(config: &mut GovernorConfig, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
    match name {
        "tenants_max" => config.tenants_max = number(name, value)?,
        "groups_max" => config.groups_max = number(name, value)?,
        "grants_max" => config.grants_max = number(name, value)?,
        "ghost_keys_max" => config.ghost_keys_max = number(name, value)?,
        "events_max" => config.events_max = number(name, value)?,
        "waiters_max" => config.waiters_max = number(name, value)?,
        "victims_max" => config.victims_max = number(name, value)?,
        "patience" => config.patience_ns = ns(time(name, value)?),
        "quantum" => config.quantum_bytes = size(value)?,
        "headroom" => config.headroom_bytes = size(value)?,
        "busy_cooldown" => config.busy_cooldown_ns = ns(time(name, value)?),
        "promise" => config.promise_ns = ns(time_or_ever(name, value)?),
        "freed_shows" => config.freed_shows_ns = ns(time(name, value)?),
        "idle_claim" => config.idle_claim_ns = ns(time_or_ever(name, value)?),
        "inactive_limit" => config.inactive_limit_ns = ns(time_or_ever(name, value)?),
        "pool_pressure" => config.pool_pressure = flag(name, value)?,
        "warning_percent" => config.warning_percent = number(name, value)?,
        "high_percent" => config.high_percent = number(name, value)?,
        "critical_percent" => config.critical_percent = number(name, value)?,
        "hysteresis_percent" => config.hysteresis_percent = number(name, value)?,
        "high_relief_percent" => config.high_relief_percent = number(name, value)?,
        "critical_relief_percent" => config.critical_relief_percent = number(name, value)?,
        "manual_clock" => {
            let clock = || Clock::from(ManualClock::new());
            config.clock = if flag(name, value)? { clock() } else { Clock::monotonic() };
        }
        _ => return Err(unexpected("Governor", name)),
    }
    Ok(())
}

/// What is set of a group.
pub(crate) fn group(
    config: &mut GroupConfig,
    verb: &str,
    settings: Option<&Bound<'_, PyDict>>,
) -> PyResult<()> {
    each(settings, |name, value| {
        match name {
            "guarantee" => config.guarantee_bytes = size(value)?,
            "limit" => config.limit_bytes = optional(value, size)?,
            _ => return Err(unexpected(verb, name)),
        }
        Ok(())
    })
}

/// What is to be set of a tenant, as changes that can be made at once.
pub(crate) struct Changes {
    changes: Vec<Change>,
    rate: Option<Option<f64>>,
    depth: Option<u64>,
}

impl Changes {
    pub(crate) fn read(verb: &str, settings: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let mut read = Self { changes: Vec::new(), rate: None, depth: None };
        each(settings, |name, value| {
            match name {
                "rate" => read.rate = Some(optional(value, |value| value.extract::<f64>())?),
                "rate_depth" => read.depth = Some(number(name, value)?),
                _ => read.changes.push(change(verb, name, value)?),
            }
            Ok(())
        })?;
        if let Some(limit) = read.limit()? {
            read.changes.push(Box::new(move |config| config.rate = limit));
        }
        Ok(read)
    }

    /// The limit of the rate, if anything is said of it.
    fn limit(&self) -> PyResult<Option<Option<RateLimit>>> {
        let Some(per_second) = self.rate else {
            return match self.depth {
                Some(_) => Err(PyValueError::new_err("rate_depth goes with rate: say both")),
                None => Ok(None),
            };
        };
        let Some(per_second) = per_second else { return Ok(Some(None)) };
        if !(per_second > 0.0 && per_second <= 1e9) {
            let message = format!("rate: {per_second} requests a second is outside 0 to 1e9");
            return Err(PyValueError::new_err(message));
        }
        let interval_ns = (1e9 / per_second).ceil() as u64;
        let limit = RateLimit::from_interval(interval_ns, self.depth.unwrap_or(1));
        limit
            .map(|limit| Some(Some(limit)))
            .map_err(|error| PyValueError::new_err(format!("rate: {error}")))
    }

    pub(crate) fn apply(&self, config: &mut TenantConfig) {
        self.changes.iter().for_each(|change| change(config));
    }
}

fn change(verb: &str, name: &str, value: &Bound<'_, PyAny>) -> PyResult<Change> {
    let choices = choices(value.py())?;
    Ok(match name {
        "name" => {
            let text: String = value.extract()?;
            self::name(&text)?;
            Box::new(move |config| config.name.clone_from(&text))
        }
        "guarantee" => {
            let bytes = size(value)?;
            Box::new(move |config| config.guarantee_bytes = bytes)
        }
        "limit" => {
            let bytes = optional(value, size)?;
            Box::new(move |config| config.limit_bytes = bytes)
        }
        "burst" => {
            let bytes = optional(value, size)?;
            Box::new(move |config| config.burst_bytes = bytes)
        }
        "priority" => {
            let priority = Priority::ALL[choices.priority.number(value)?];
            Box::new(move |config| config.priority = priority)
        }
        "isolation" => {
            let isolation = ISOLATIONS[choices.isolation.number(value)?];
            Box::new(move |config| config.isolation = isolation)
        }
        "policy" => {
            let policy = Policy::ALL[choices.policy.number(value)?];
            Box::new(move |config| config.policy = policy)
        }
        "grants_max" => {
            let most = grants_max(value)?;
            Box::new(move |config| config.grants_max = most)
        }
        _ => return Err(unexpected(verb, name)),
    })
}

/// Most live grants by kind; a kind that is not there is not limited.
fn grants_max(value: &Bound<'_, PyAny>) -> PyResult<[Option<u32>; AllocationType::ALL.len()]> {
    let mut most = [None; AllocationType::ALL.len()];
    let Ok(by_kind) = value.cast::<PyDict>() else {
        let message = format!("grants_max is a dict by kind, not {}", value.repr()?);
        return Err(PyTypeError::new_err(message));
    };
    for (kind, grants) in by_kind.iter() {
        most[choices(value.py())?.kind.number(&kind)?] = Some(number("grants_max", &grants)?);
    }
    Ok(most)
}

/// The id of a tenant; of its name where none is given, so that it is always the same.
pub(crate) fn id(value: Option<&Bound<'_, PyAny>>, name: &str) -> PyResult<Uuid> {
    match value.filter(|value| !value.is_none()) {
        Some(value) => value.extract(),
        None => Ok(allotment_config::id_of(name)),
    }
}
