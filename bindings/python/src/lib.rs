//! The Python binding: what of the package `allotment` is native. Everything that Python says as
//! well is in `python/allotment`: words, data classes, exceptions, awaiting.
//!
//! | I want to see | open |
//! |---|---|
//! | the front door | `governor.rs` |
//! | who asks, by which verbs | `tenant.rs`, `group.rs`, `request.rs` |
//! | what is held | `grant.rs` |
//! | how threads and tasks wait | `ticket.rs`, and `_waiting.py` |
//! | how callables of Python are called | `handler.rs`, `attach.rs` |
//! | what becomes of a fork | `fork.rs` |
//! | how sizes, times and words are read | `size.rs`, `argument.rs`, `choice.rs`, `settings.rs` |
//! | what is raised, and what is seen | `error.rs`, `view.rs` |

mod argument;
mod attach;
mod choice;
mod error;
mod fork;
mod governor;
mod grant;
mod group;
mod handler;
mod request;
mod settings;
mod size;
mod tenant;
mod ticket;
mod view;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

/// What pickling an object raises that stands for something of this process.
fn cannot_be_pickled(what: &str, of: &str) -> PyErr {
    PyTypeError::new_err(format!(
        "cannot pickle 'allotment.{what}': it stands for {of} in this process; \
         pass what the other process needs to ask for its own"
    ))
}

#[pymodule]
mod _native {
    #[pymodule_export]
    use crate::governor::{_close_door, Governor};
    #[pymodule_export]
    use crate::grant::Grant;
    #[pymodule_export]
    use crate::group::Group;
    #[pymodule_export]
    use crate::tenant::Tenant;
    #[pymodule_export]
    use crate::ticket::{Ticket, Wish};

    use pyo3::exceptions::PyImportError;
    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(_module: &Bound<'_, PyModule>) -> PyResult<()> {
        // SAFETY: the thread is attached to an interpreter, which so exists.
        let interpreter =
            unsafe { pyo3::ffi::PyInterpreterState_GetID(pyo3::ffi::PyInterpreterState_Get()) };
        if interpreter != 0 {
            let message = "allotment works in the main interpreter, not in subinterpreters";
            return Err(PyImportError::new_err(message));
        }
        // From now on forks are seen.
        crate::fork::epoch();
        Ok(())
    }
}
