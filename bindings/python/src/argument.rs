//! Arguments that are plain numbers and flags, each refused by its name.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBool;

/// A number of things.
pub(crate) fn number<T: TryFrom<u64>>(name: &str, value: &Bound<'_, PyAny>) -> PyResult<T> {
    if value.is_instance_of::<PyBool>() || value.getattr("__index__").is_err() {
        return Err(PyTypeError::new_err(format!("{name} is an int, not {}", value.repr()?)));
    }
    let number = value.extract::<u64>().ok().and_then(|number| T::try_from(number).ok());
    number.ok_or_else(|| {
        let most = 8 * size_of::<T>();
        PyValueError::new_err(format!("{name}: {value} is out of range; use 0 to 2**{most} - 1"))
    })
}

/// Yes or no.
pub(crate) fn flag(name: &str, value: &Bound<'_, PyAny>) -> PyResult<bool> {
    let no_flag = || PyTypeError::new_err(format!("{name} is True or False, not {value}"));
    value.cast::<PyBool>().map(|flag| flag.is_true()).map_err(|_| no_flag())
}
