//! Callables of Python that the library calls: eviction handlers, and who is told of pressure.
//!
//! ```text
//! the governor's object  -> Handler -> callable     seen by the garbage collector
//! the library's closure  ~> Handler                 weak: it keeps nothing alive
//! ```
//!
//! What a callable raises goes to `sys.unraisablehook`, and counts as no answer: busy. Only the
//! interrupt of the keyboard is raised again, where Python looks for it next.

use crate::attach::attached;
use crate::choice::choices;
use crate::view;
use allotment::{Pressure, ReclaimAnswer, TenantHandle, Victim};
use pyo3::exceptions::{PyKeyboardInterrupt, PyTypeError};
use pyo3::prelude::*;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak};

/// What may be called, for as long as it is set.
#[derive(Default)]
pub(crate) struct Handler(Mutex<Option<Py<PyAny>>>);

/// What a panic left behind is whole: every change is a single step.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// For the garbage collector, which may not wait: whoever has a lock of this crate has the
/// interpreter as well, so that it is free now.
pub(crate) fn look<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

impl Handler {
    /// Sets what is called from now on. Answers what was before, to be dropped with nothing held.
    #[must_use = "to be dropped with nothing held"]
    pub(crate) fn set(&self, callable: Option<Py<PyAny>>) -> Option<Py<PyAny>> {
        std::mem::replace(&mut *lock(&self.0), callable)
    }

    fn get(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        lock(&self.0).as_ref().map(|callable| callable.clone_ref(py))
    }

    pub(crate) fn visit(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        match look(&self.0) {
            Some(callable) => visit.call(callable.as_ref()),
            None => Ok(()),
        }
    }
}

/// A callable, or that this is none.
pub(crate) fn callable(value: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    if !value.is_callable() {
        return Err(PyTypeError::new_err(format!("{} cannot be called", value.repr()?)));
    }
    Ok(value.clone().unbind())
}

/// Reports what a callable has raised where nobody can catch it.
fn report(py: Python<'_>, error: PyErr, callable: &Py<PyAny>) {
    if error.is_instance_of::<PyKeyboardInterrupt>(py) {
        // SAFETY: may always be called.
        unsafe { pyo3::ffi::PyErr_SetInterrupt() };
        return;
    }
    error.write_unraisable(py, Some(callable.bind(py)));
}

/// The names of tenants, for victims: asking the governor for one would take a reference to it.
#[derive(Default)]
pub(crate) struct Names(Mutex<HashMap<TenantHandle, String>>);

impl Names {
    pub(crate) fn set(&self, tenant: TenantHandle, name: &str) {
        lock(&self.0).insert(tenant, name.to_string());
    }

    pub(crate) fn forget(&self, tenant: TenantHandle) {
        lock(&self.0).remove(&tenant);
    }

    pub(crate) fn get(&self, tenant: TenantHandle) -> String {
        let name = lock(&self.0).get(&tenant).cloned();
        name.unwrap_or_else(|| "a tenant that is gone".to_string())
    }
}

/// What the library calls for a victim.
pub(crate) fn asker(
    handler: Weak<Handler>,
    names: Arc<Names>,
) -> impl Fn(&Victim) -> ReclaimAnswer + Send + Sync + 'static {
    move |victim| {
        let Some(handler) = handler.upgrade() else { return ReclaimAnswer::Busy };
        let answer = attached(|py| ask(py, &handler, victim, &names));
        answer.unwrap_or(ReclaimAnswer::Busy)
    }
}

fn ask(py: Python<'_>, handler: &Handler, victim: &Victim, names: &Names) -> ReclaimAnswer {
    let Some(callable) = handler.get(py) else { return ReclaimAnswer::Busy };
    let answer = view::victim(py, victim, names.get(victim.tenant))
        .and_then(|shown| callable.bind(py).call1((shown,)))
        .and_then(|said| answer(&said));
    answer.unwrap_or_else(|error| {
        report(py, error, &callable);
        ReclaimAnswer::Busy
    })
}

fn answer(said: &Bound<'_, PyAny>) -> PyResult<ReclaimAnswer> {
    let answers = [ReclaimAnswer::Freed, ReclaimAnswer::Deferred, ReclaimAnswer::Busy];
    if said.is_none() {
        let message = "an eviction handler answers 'freed', 'deferred' or 'busy', not None: \
                       say what became of the memory";
        return Err(PyTypeError::new_err(message));
    }
    choices(said.py())?.answer.number(said).map(|number| answers[number])
}

/// What the library calls when the pressure is another one.
pub(crate) fn teller(handler: Weak<Handler>) -> impl Fn(Pressure) + Send + Sync + 'static {
    move |pressure| {
        let Some(handler) = handler.upgrade() else { return };
        attached(|py| {
            let Some(callable) = handler.get(py) else { return };
            let told = choices(py)
                .map(|choices| choices.pressure.member(py, pressure as usize))
                .and_then(|member| callable.bind(py).call1((member,)).map(drop));
            if let Err(error) = told {
                report(py, error, &callable);
            }
        });
    }
}

/// Calls something that nobody waits for.
pub(crate) fn ring(handler: &Weak<Handler>) {
    let Some(handler) = handler.upgrade() else { return };
    attached(|py| {
        let Some(callable) = handler.get(py) else { return };
        if let Err(error) = callable.bind(py).call0() {
            report(py, error, &callable);
        }
    });
}
