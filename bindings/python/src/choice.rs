//! Choices from a few words: enumerations of Python, whose members are texts.
//!
//! Their numbers are those of the library. A member, or a text that a program has written down, is
//! found by its address; any other text by comparison.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyString, PyType};

/// One enumeration.
pub(crate) struct Choice {
    name: String,
    members: Vec<Py<PyAny>>,
    words: Vec<Py<PyString>>,
}

/// All of them.
pub(crate) struct Choices {
    pub kind: Choice,
    pub priority: Choice,
    pub isolation: Choice,
    pub policy: Choice,
    pub pressure: Choice,
    pub reason: Choice,
    pub answer: Choice,
    pub unregister: Choice,
}

static CHOICES: PyOnceLock<Choices> = PyOnceLock::new();

/// The enumerations of `_choices.py`.
#[inline]
pub(crate) fn choices(py: Python<'_>) -> PyResult<&Choices> {
    CHOICES.get_or_try_init(py, || {
        let module = py.import("allotment._choices")?;
        let choice = |name: &str| Choice::new(&module.getattr(name)?.cast_into::<PyType>()?);
        Ok(Choices {
            kind: choice("Kind")?,
            priority: choice("Priority")?,
            isolation: choice("Isolation")?,
            policy: choice("Policy")?,
            pressure: choice("Pressure")?,
            reason: choice("Reason")?,
            answer: choice("Reclaim")?,
            unregister: choice("Unregister")?,
        })
    })
}

impl Choice {
    fn new(class: &Bound<'_, PyType>) -> PyResult<Self> {
        let (mut members, mut words) = (Vec::new(), Vec::new());
        for member in class.try_iter()? {
            let member = member?;
            let word = member.getattr("value")?.cast_into::<PyString>()?;
            words.push(PyString::intern(class.py(), &word.to_cow()?).unbind());
            members.push(member.unbind());
        }
        Ok(Self { name: class.name()?.to_cow()?.to_lowercase(), members, words })
    }

    /// The number of what was chosen.
    #[inline]
    pub(crate) fn number(&self, value: &Bound<'_, PyAny>) -> PyResult<usize> {
        let same = |at: &usize| {
            self.words[*at].as_ptr() == value.as_ptr()
                || self.members[*at].as_ptr() == value.as_ptr()
        };
        match (0..self.words.len()).find(same) {
            Some(at) => Ok(at),
            None => self.number_by_text(value),
        }
    }

    #[cold]
    fn number_by_text(&self, value: &Bound<'_, PyAny>) -> PyResult<usize> {
        let py = value.py();
        let Ok(text) = value.cast::<PyString>() else {
            return Err(PyTypeError::new_err(format!(
                "{} is a text, one of {}, not {}",
                self.name,
                self.known(py),
                value.repr()?
            )));
        };
        let text = text.to_cow()?;
        let found = self
            .words
            .iter()
            .position(|word| word.bind(py).to_cow().is_ok_and(|word| word == text));
        found.ok_or_else(|| {
            let (name, known) = (&self.name, self.known(py));
            PyValueError::new_err(format!("there is no {name} '{text}': choose one of {known}"))
        })
    }

    fn known(&self, py: Python<'_>) -> String {
        let words: Vec<String> =
            self.words.iter().map(|word| format!("'{}'", word.bind(py))).collect();
        words.join(", ")
    }

    /// The member of a number.
    pub(crate) fn member(&self, py: Python<'_>, number: usize) -> Option<Py<PyAny>> {
        self.members.get(number).map(|member| member.clone_ref(py))
    }
}
