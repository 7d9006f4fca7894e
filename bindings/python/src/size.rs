//! Sizes and times as Python programs write them: `4 << 30`, `"4 GiB"`, `2.5`, a `timedelta`.
//!
//! A size is exact: what is no whole number of bytes is refused, never rounded.

use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyInt, PyString};
use std::time::Duration;

/// Factors by unit, as in the configuration file. Without an `i` a unit is a power of 1000.
const UNITS: [(&str, u64); 9] = [
    ("B", 1),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];
/// Digits after the point that are looked at: more than any unit can use.
const DIGITS_MAX: usize = 27;

/// Bytes of a size.
#[inline]
pub(crate) fn size(value: &Bound<'_, PyAny>) -> PyResult<u64> {
    if !value.is_exact_instance_of::<PyInt>() {
        return other_size(value);
    }
    match value.extract() {
        Ok(bytes) => Ok(bytes),
        Err(_) => other_size(value),
    }
}

#[cold]
fn other_size(value: &Bound<'_, PyAny>) -> PyResult<u64> {
    if let Ok(text) = value.cast::<PyString>() {
        return parse(&text.to_cow()?).map_err(PyValueError::new_err);
    }
    if value.is_instance_of::<PyBool>() || !value.hasattr("__index__")? {
        let kind = value.get_type().name()?;
        return Err(PyTypeError::new_err(format!(
            "a size is an int of bytes or a text such as '4 GiB', not {kind} {}",
            value.repr()?
        )));
    }
    value.extract::<u64>().map_err(|error| {
        match error.is_instance_of::<PyOverflowError>(value.py()) {
            true => PyValueError::new_err(format!("{value} bytes is no size; use 0 to 2**64 - 1")),
            false => error,
        }
    })
}

/// Bytes of a size as text, or what is wrong with it.
fn parse(text: &str) -> Result<u64, String> {
    let trimmed = text.trim();
    let end = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_');
    let (number, unit) = trimmed.split_at(end.unwrap_or(trimmed.len()));
    let number = number.replace('_', "");
    let (whole, fraction) = number.split_once('.').unwrap_or((&number, ""));
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_digits(fraction) || number.ends_with('.') {
        return Err(format!("'{text}' is no size; write for example '512 MiB' or '8 GiB'"));
    }
    let unit = unit.trim();
    let factor = match unit {
        "" => 1,
        unit => match UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)) {
            Some(&(_, factor)) => u128::from(factor),
            None => {
                let known = UNITS.map(|(name, _)| name).join(", ");
                return Err(format!("'{text}' has the unknown unit '{unit}'; use {known}"));
            }
        },
    };
    let too_large = || format!("'{text}' is more than 2**64 - 1 bytes");
    let whole: u128 = whole.parse().map_err(|_| too_large())?;
    let fraction = fraction.trim_end_matches('0');
    let inexact = || format!("'{text}' is no whole number of bytes");
    let part = match fraction.len() {
        0 => 0,
        digits if digits > DIGITS_MAX || factor == 1 => return Err(inexact()),
        digits => {
            // At most 10^27 and 2^40: their product needs more than 128 bits only without need.
            let numerator: u128 = fraction.parse().map_err(|_| inexact())?;
            let product = numerator.checked_mul(factor).ok_or_else(inexact)?;
            let scale = 10u128.pow(digits as u32);
            if product % scale != 0 {
                return Err(inexact());
            }
            product / scale
        }
    };
    let bytes = whole.checked_mul(factor).and_then(|bytes| bytes.checked_add(part));
    bytes.and_then(|bytes| u64::try_from(bytes).ok()).ok_or_else(too_large)
}

/// A time: seconds as int or float, or a `timedelta`. Infinity is for ever.
pub(crate) fn time(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Duration> {
    if value.is_instance_of::<PyBool>() {
        return Err(no_time(name, value));
    }
    if let Ok(seconds) = value.extract::<f64>() {
        if seconds == f64::INFINITY {
            return Ok(Duration::MAX);
        }
        return Duration::try_from_secs_f64(seconds).map_err(|_| {
            let shown = format!("{name}: {seconds} s is no time; use 0 or more seconds");
            PyValueError::new_err(shown)
        });
    }
    if value.getattr("total_seconds").is_err() {
        return Err(no_time(name, value));
    }
    value.extract::<Duration>().map_err(|_| {
        PyValueError::new_err(format!("{name}: {value} is no time; use 0 or more seconds"))
    })
}

#[cold]
fn no_time(name: &str, value: &Bound<'_, PyAny>) -> PyErr {
    PyTypeError::new_err(format!("{name} is a number of seconds or a timedelta, not {value}"))
}

/// The same, where `None` is for ever.
pub(crate) fn time_or_ever(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Duration> {
    if value.is_none() { Ok(Duration::MAX) } else { time(name, value) }
}

/// Nanoseconds of a time, at most for ever.
pub(crate) fn ns(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
