//! Bytes that a tenant holds, as an object of Python.
//!
//! ```text
//! released once: by `release`, by the end of a `with`, or when the object goes
//! the grant -> its tenant -> the governor, which so lives as long as anything is held
//! ```

use crate::error::{refused, released};
use crate::governor::Governor;
use crate::size::{size, time};
use crate::tenant::Tenant;
use allotment::{AllocationType, Error, GrantId, Refusal, Released, TenantHandle};
use pyo3::prelude::*;
use std::sync::atomic::Ordering;
use std::time::Duration;

#[expect(clippy::disallowed_types, reason = "no part of the core's models")]
type Flag = std::sync::atomic::AtomicBool;

/// Times a verb is tried again while another thread changes the same grant, which takes a moment.
const TURNS_MAX: u32 = 1_000;

/// Bytes granted to a tenant: released by `release`, at the end of a `with`, or when nobody has the
/// object any more.
///
/// Any thread may call it. Its verbs raise StaleGrant once it was released, Evicted once it was
/// evicted, Closed on a closed governor and ForkedError in a fork; nothing has changed then. They
/// take a moment, except for `grow` with `evict`. Sizes are ints of bytes or texts as "4 GiB".
#[pyclass(frozen, weakref, module = "allotment")]
pub(crate) struct Grant {
    tenant: Py<Tenant>,
    handle: TenantHandle,
    id: GrantId,
    kind: AllocationType,
    released: Flag,
}

impl Grant {
    pub(crate) fn new(tenant: Py<Tenant>, id: GrantId, kind: AllocationType) -> Self {
        let handle = tenant.get().handle;
        Self { tenant, handle, id, kind, released: Flag::new(false) }
    }

    #[inline]
    fn governor(&self) -> &Governor {
        self.tenant.get().governor.get()
    }

    /// The governor, if the grant can be changed.
    #[inline]
    fn open(&self, py: Python<'_>) -> PyResult<&allotment::Governor> {
        let governor = self.governor().open(py)?;
        // Relaxed: under the interpreter's lock; what is released elsewhere the library knows.
        if self.released.load(Ordering::Relaxed) {
            return Err(released(py));
        }
        Ok(governor)
    }

    /// Gives the bytes back, waiting for a thread that is just changing the grant.
    fn give_back(&self) -> Result<Released, Error> {
        loop {
            match self.governor().inner().release(self.handle, self.id) {
                Err(Error::Busy(_)) => std::thread::yield_now(),
                answer => return answer,
            }
        }
    }

    /// Whether this is the call that releases it.
    #[inline]
    fn ends(&self) -> bool {
        // Relaxed: it decides who calls the library, and publishes nothing.
        !self.released.swap(true, Ordering::Relaxed)
    }

    /// Calls a verb. A grant that nobody has released and that has ended all the same was evicted:
    /// the library cannot tell any more once its slot has another grant.
    fn call(
        &self,
        py: Python<'_>,
        verb: impl Fn(&allotment::Governor, TenantHandle, GrantId) -> Result<(), Refusal>,
    ) -> PyResult<()> {
        let answer = self.try_call(py, verb)?.map_err(|refusal| match refusal {
            // Relaxed: as in `open`.
            Refusal::Misuse(Error::StaleGrant(id)) if !self.released.load(Ordering::Relaxed) => {
                Refusal::Misuse(Error::Evicted(id))
            }
            refusal => refusal,
        });
        answer.map_err(|refusal| refused(py, self.governor().inner(), &refusal))
    }

    /// The same, in the words of the library.
    fn call_plainly(
        &self,
        py: Python<'_>,
        verb: impl Fn(&allotment::Governor, TenantHandle, GrantId) -> Result<(), Error>,
    ) -> PyResult<()> {
        let answer = self.try_call(py, |governor, tenant, id| Ok(verb(governor, tenant, id)?))?;
        answer.map_err(|refusal| refused(py, self.governor().inner(), &refusal))
    }

    /// Calls a verb, again while another thread is changing the grant for a moment.
    fn try_call(
        &self,
        py: Python<'_>,
        verb: impl Fn(&allotment::Governor, TenantHandle, GrantId) -> Result<(), Refusal>,
    ) -> PyResult<Result<(), Refusal>> {
        let governor = self.open(py)?;
        let mut answer = verb(governor, self.handle, self.id);
        for _ in 0..TURNS_MAX {
            if !matches!(answer, Err(Refusal::Misuse(Error::Busy(_)))) {
                break;
            }
            std::thread::yield_now();
            answer = verb(governor, self.handle, self.id);
        }
        Ok(answer)
    }
}

#[pymethods]
impl Grant {
    /// The grant's number, by which victims, denials and explanations name it.
    #[getter]
    fn id(&self) -> u64 {
        self.id.as_u64()
    }

    /// The tenant that holds it.
    #[getter]
    fn tenant(&self, py: Python<'_>) -> Py<Tenant> {
        self.tenant.clone_ref(py)
    }

    /// What it was requested for.
    #[getter]
    fn kind(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        Ok(crate::choice::choices(py)?.kind.member(py, self.kind as usize))
    }

    /// Bytes it holds now; 0 once it was released or evicted. A few loads.
    #[getter]
    fn bytes(&self, py: Python<'_>) -> PyResult<u64> {
        let governor = self.governor();
        governor.here(py)?;
        // Relaxed: as in `open`.
        if self.released.load(Ordering::Relaxed) {
            return Ok(0);
        }
        Ok(governor.inner().bytes_of(self.handle, self.id).unwrap_or(0))
    }

    /// Whether it holds its bytes still: neither released nor evicted.
    #[getter]
    fn is_live(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.bytes(py)? > 0)
    }

    /// Tells the eviction queue that the content was used, so that it goes later. A few plain
    /// accesses.
    ///
    /// Raises Evicted if it was evicted, StaleGrant if it was released.
    fn touch(&self, py: Python<'_>) -> PyResult<()> {
        self.call(py, |governor, tenant, id| Ok(governor.touch(tenant, id)?))
    }

    /// Adds bytes. With `evict` what may go is evicted when memory is short, never this grant.
    ///
    /// Raises Denied, Evicted, StaleGrant; ValueError for a size that cannot be.
    #[pyo3(signature = (by, *, evict = false))]
    fn grow(&self, py: Python<'_>, by: &Bound<'_, PyAny>, evict: bool) -> PyResult<()> {
        let by = size(by)?;
        if !evict {
            return self.call(py, |governor, tenant, id| governor.grow(tenant, id, by));
        }
        self.call(py, |governor, tenant, id| py.detach(|| governor.grow_evicting(tenant, id, by)))
    }

    /// Gives back part of the bytes.
    ///
    /// Raises MisuseError where it does not hold more than that: release it to return all.
    fn shrink(&self, py: Python<'_>, by: &Bound<'_, PyAny>) -> PyResult<()> {
        let by = size(by)?;
        self.call(py, |governor, tenant, id| Ok(governor.shrink(tenant, id, by)?))
    }

    /// Grows or shrinks to what was measured, at least 1 byte. Evicts nothing.
    ///
    /// Raises as `grow`.
    fn true_up(&self, py: Python<'_>, measured: &Bound<'_, PyAny>) -> PyResult<()> {
        let measured = size(measured)?;
        self.call(py, |governor, tenant, id| governor.true_up(tenant, id, measured))
    }

    /// Forbids eviction until `unpin`.
    fn pin(&self, py: Python<'_>) -> PyResult<()> {
        self.call(py, |governor, tenant, id| Ok(governor.pin(tenant, id)?))
    }

    /// Allows eviction again.
    fn unpin(&self, py: Python<'_>) -> PyResult<()> {
        self.call(py, |governor, tenant, id| Ok(governor.unpin(tenant, id)?))
    }

    /// Forbids eviction for so many seconds from now on.
    fn keep_alive(&self, py: Python<'_>, duration: &Bound<'_, PyAny>) -> PyResult<()> {
        let for_: Duration = time("duration", duration)?;
        self.call(py, |governor, tenant, id| Ok(governor.keep_alive(tenant, id, for_)?))
    }

    /// Makes a reservation a grant.
    ///
    /// Raises StaleGrant with the code "expired" if its time ran out, MisuseError if it is none.
    fn commit(&self, py: Python<'_>) -> PyResult<()> {
        self.call_plainly(py, |governor, tenant, id| governor.commit(tenant, id))
    }

    /// Keeps a grant that was chosen to go: after `next_victim`, or after "deferred".
    fn decline(&self, py: Python<'_>) -> PyResult<()> {
        self.call_plainly(py, |governor, tenant, id| governor.decline(tenant, id))
    }

    /// Gives the bytes back. Answers whether they went back by this call: not if it was released
    /// before, or evicted. Calling it again does nothing, like `close` of a file. Works on a closed
    /// governor, too.
    ///
    /// Raises ForkedError in a fork of the process.
    fn release(&self, py: Python<'_>) -> PyResult<bool> {
        self.governor().here(py)?;
        Ok(self.ends() && matches!(self.give_back(), Ok(Released::Returned)))
    }

    fn __enter__(slf: Bound<'_, Self>) -> PyResult<Bound<'_, Self>> {
        slf.get().open(slf.py())?;
        Ok(slf)
    }

    #[pyo3(signature = (_kind, _error, _traceback, /))]
    fn __exit__(
        &self,
        _kind: Option<&Bound<'_, PyAny>>,
        _error: Option<&Bound<'_, PyAny>>,
        _traceback: Option<&Bound<'_, PyAny>>,
    ) {
        if self.ends() && self.governor().is_here() {
            // One that was evicted meanwhile has nothing left to give back.
            let _ = self.give_back();
        }
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let name = self.governor().name_of(self.handle);
        let bytes = if self.governor().is_here() { self.bytes(py)? } else { 0 };
        let kind = self.kind.name();
        Ok(match bytes {
            0 => format!("<allotment.Grant of {name}, ended>"),
            bytes => format!("<allotment.Grant of {name}, {bytes} bytes for {kind}>"),
        })
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(crate::cannot_be_pickled("Grant", "memory"))
    }

    fn __traverse__(&self, visit: pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        visit.call(&self.tenant)
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        // The bookkeeping of a fork is its parent's.
        if self.ends() && self.governor().is_here() {
            // One that was evicted has nothing left to give back.
            let _ = self.give_back();
        }
    }
}
