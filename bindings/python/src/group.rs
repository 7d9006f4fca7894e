//! A group of tenants, which share a guarantee and a limit.

use crate::error::raised;
use crate::governor::Governor;
use crate::settings;
use allotment::{Error, GroupHandle};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Times a change is tried again while other threads change the same account.
pub(crate) const TURNS_MAX: u32 = 1_000;

/// A registered group: an organisation, a team, whose tenants' guarantees come out of its own.
/// `Governor.register_group` makes it. Any thread may call it.
#[pyclass(frozen, weakref, module = "allotment")]
pub(crate) struct Group {
    pub(crate) governor: Py<Governor>,
    pub(crate) handle: GroupHandle,
}

/// Makes a change, again while other threads change the same account.
pub(crate) fn again(change: impl Fn() -> Result<(), Error>) -> Result<(), Error> {
    let mut answer = change();
    for _ in 0..TURNS_MAX {
        if answer != Err(Error::Contended) {
            break;
        }
        std::thread::yield_now();
        answer = change();
    }
    answer
}

#[pymethods]
impl Group {
    /// Its number, by which denials and explanations name it.
    #[getter]
    fn handle(&self) -> u64 {
        self.handle.as_u64()
    }

    /// Whose it is.
    #[getter]
    fn governor(&self, py: Python<'_>) -> Py<Governor> {
        self.governor.clone_ref(py)
    }

    /// Its name.
    #[getter]
    fn name(&self, py: Python<'_>) -> PyResult<String> {
        let governor = self.governor.get().open(py)?;
        let config = governor.group_config(self.handle).map_err(|error| raised(py, &error))?;
        Ok(config.name)
    }

    /// Changes guarantee and limit while it runs. Nothing is taken away.
    ///
    /// Raises MisuseError for limits out of order; nothing has changed then.
    #[pyo3(signature = (**settings), text_signature = "($self, *, guarantee=0, limit=None)")]
    fn update(&self, py: Python<'_>, settings: Option<&Bound<'_, PyDict>>) -> PyResult<()> {
        let governor = self.governor.get().open(py)?;
        let config = governor.group_config(self.handle).map_err(|error| raised(py, &error))?;
        let mut next = config;
        settings::group(&mut next, "update", settings)?;
        let changed = py.detach(|| {
            again(|| governor.set_group(self.handle, |config| config.clone_from(&next)))
        });
        changed.map_err(|error| raised(py, &error))
    }

    /// Unregisters it, once it has no tenants and groups any more.
    ///
    /// Raises StateError with the code "has_children" before that.
    fn unregister(&self, py: Python<'_>) -> PyResult<()> {
        let governor = self.governor.get().open(py)?;
        let done = py.detach(|| governor.unregister_group(self.handle));
        done.map_err(|error| raised(py, &error))
    }

    fn __repr__(&self) -> String {
        format!("<allotment.Group {}>", self.handle)
    }

    fn __eq__(&self, other: &Self) -> bool {
        self.governor.is(&other.governor) && self.handle == other.handle
    }

    fn __hash__(&self) -> u64 {
        self.handle.as_u64()
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(crate::cannot_be_pickled("Group", "its governor"))
    }

    fn __traverse__(&self, visit: pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        visit.call(&self.governor)
    }
}
