//! What is asked for: a size, a kind, and options by keyword.

use crate::argument::{flag, number};
use crate::choice::choices;
use crate::size::{size, time, time_or_ever};
use allotment::{AllocationType, Request, TenantHandle};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use std::time::Duration;

/// A request, and for how long it may wait.
pub(crate) struct Asked {
    pub request: Request,
    pub kind: AllocationType,
    pub timeout: Duration,
}

/// Reads a request; `waits` says whether the verb takes a time-out.
#[inline]
pub(crate) fn read(
    tenant: TenantHandle,
    bytes: &Bound<'_, PyAny>,
    kind: &Bound<'_, PyAny>,
    options: Option<&Bound<'_, PyDict>>,
    waits: bool,
) -> PyResult<Asked> {
    let kind = AllocationType::ALL[choices(kind.py())?.kind.number(kind)?];
    let request = Request::new(tenant, kind, size(bytes)?);
    let mut asked = Asked { request, kind, timeout: Duration::MAX };
    if let Some(options) = options {
        for (name, value) in options.iter() {
            asked.option(&name.cast::<PyString>()?.to_cow()?, &value, waits)?;
        }
    }
    Ok(asked)
}

impl Asked {
    fn option(&mut self, name: &str, value: &Bound<'_, PyAny>, waits: bool) -> PyResult<()> {
        let request = self.request;
        match name {
            "timeout" if waits => {
                self.timeout = time_or_ever(name, value)?;
                return Ok(());
            }
            "key" => self.request = request.key(number(name, value)?),
            "cookie" => self.request = request.cookie(number(name, value)?),
            "ttl" if value.is_none() => {}
            "ttl" => self.request = request.ttl(time(name, value)?),
            "cost" => self.request = request.cost(number(name, value)?),
            "evictable" => self.request = request.evictable(flag(name, value)?),
            "pinned" => self.request = request.pinned(flag(name, value)?),
            _ => {
                let message = format!("got an unexpected keyword argument '{name}'");
                return Err(PyTypeError::new_err(message));
            }
        }
        Ok(())
    }
}
