//! A tenant: the party whose bytes are counted, and the verbs by which it gets memory.

use crate::choice::choices;
use crate::error::{raised, refused};
use crate::governor::Governor;
use crate::grant::Grant;
use crate::group::again;
use crate::handler::callable;
use crate::request::{Asked, read};
use crate::settings::Changes;
use crate::size::{size, time};
use crate::ticket::{self, Wish};
use crate::view;
use allotment::{AllocationType, GrantId, Refusal, Request, TenantHandle, Unregister};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyList, PyType};
use std::time::Duration;

const HOWS: [Unregister; 3] = [Unregister::IfIdle, Unregister::Drain, Unregister::Force];

static ACQUIRING: PyOnceLock<Py<PyType>> = PyOnceLock::new();

/// A registered tenant: an app, an agent, a model. `Governor.register_tenant` makes it.
///
/// Any thread may call it. Sizes are ints of bytes or texts as "4 GiB", times are seconds or a
/// timedelta. What gets memory takes a size, a kind ("model_load", "inference", "cache" or
/// "background") and by keyword: `key` names the content, so that its frequency is remembered;
/// `cookie` is handed back with the victim; after `ttl` seconds the content has expired and goes
/// first; `cost` is what it takes to build it again; `evictable` lets a loaded model go; `pinned`
/// keeps the grant until `unpin`.
#[pyclass(frozen, weakref, module = "allotment")]
pub(crate) struct Tenant {
    pub(crate) governor: Py<Governor>,
    pub(crate) handle: TenantHandle,
}

impl Tenant {
    #[inline]
    fn open(&self, py: Python<'_>) -> PyResult<&allotment::Governor> {
        self.governor.get().open(py)
    }

    /// A request that is made at once: with the interpreter let go, unless it takes no time.
    fn ask(
        slf: &Bound<'_, Self>,
        request: &Request,
        kind: AllocationType,
        verb: impl Fn(&allotment::Governor) -> Result<GrantId, Refusal> + Sync,
    ) -> PyResult<Grant> {
        let py = slf.py();
        let governor = slf.get().open(py)?;
        let id = match governor.grant_at_once(request) {
            Some(id) => GrantId::from_u64(id.get()),
            None => py.detach(|| verb(governor)).map_err(|no| refused(py, governor, &no))?,
        };
        Ok(Grant::new(slf.clone().unbind(), id, kind))
    }
}

#[pymethods]
impl Tenant {
    /// Its number, by which victims and denials name it.
    #[getter]
    fn handle(&self) -> u64 {
        self.handle.as_u64()
    }

    /// By what events name it.
    #[getter]
    fn slot(&self) -> u64 {
        self.handle.as_u64() & 0xff_ffff
    }

    /// Whose it is.
    #[getter]
    fn governor(&self, py: Python<'_>) -> Py<Governor> {
        self.governor.clone_ref(py)
    }

    /// Its name.
    #[getter]
    fn name(&self) -> String {
        self.governor.get().name_of(self.handle)
    }

    /// Bytes in its live grants. A dozen loads.
    ///
    /// Raises Gone if it is not registered any more.
    #[getter]
    fn used(&self, py: Python<'_>) -> PyResult<u64> {
        let governor = self.open(py)?;
        match governor.meter(self.handle) {
            Some(meter) => Ok(meter.used_bytes),
            None => {
                let number = self.handle.as_u64();
                Err(raised(py, &allotment::Error::Gone { what: "tenant", number }))
            }
        }
    }

    /// Asks for memory, and where it is not there and waiting can help, waits for its turn: first
    /// in first out within the tenant, fair between tenants by weight. Evicts like `request` before
    /// it waits. Other threads of Python run meanwhile, and signals are seen.
    ///
    /// Waits for up to `timeout` seconds; None: for ever. In a coroutine use `acquire_async`.
    ///
    /// Raises Timeout if its turn did not come in time, Denied where waiting cannot help, Closed if
    /// the governor is closed meanwhile, Gone if the tenant is unregistered meanwhile.
    #[pyo3(
        signature = (size, kind, **options),
        text_signature = "($self, size, kind, *, timeout=None, key=0, cookie=0, ttl=None, \
                          cost=1, evictable=False, pinned=False)"
    )]
    pub(crate) fn acquire(
        slf: &Bound<'_, Self>,
        size: &Bound<'_, PyAny>,
        kind: &Bound<'_, PyAny>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Grant> {
        let asked = read(slf.get().handle, size, kind, options, true)?;
        ticket::acquire(slf, &asked)
    }

    /// The same for a coroutine of asyncio: to be awaited, or entered with `async with`. A task
    /// that is cancelled gives up its place; its bytes go back if it just got them.
    ///
    /// Eviction handlers without a time-out of their own run on the thread of the event loop.
    #[pyo3(
        signature = (size, kind, **options),
        text_signature = "($self, size, kind, *, timeout=None, key=0, cookie=0, ttl=None, \
                          cost=1, evictable=False, pinned=False)"
    )]
    pub(crate) fn acquire_async<'py>(
        slf: &Bound<'py, Self>,
        size: &Bound<'_, PyAny>,
        kind: &Bound<'_, PyAny>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        slf.get().open(py)?;
        let asked = read(slf.get().handle, size, kind, options, true)?;
        let wish = Wish { tenant: slf.clone().unbind(), asked };
        ACQUIRING.import(py, "allotment._waiting", "Acquiring")?.call1((wish,))
    }

    /// Looks and answers at once: evicts nothing and asks nobody. None where it is denied.
    ///
    /// Raises ValueError for a size or kind that cannot be, Gone if the tenant is not registered.
    #[pyo3(
        signature = (size, kind, **options),
        text_signature = "($self, size, kind, *, key=0, cookie=0, ttl=None, cost=1, \
                          evictable=False, pinned=False)"
    )]
    pub(crate) fn try_acquire(
        slf: &Bound<'_, Self>,
        size: &Bound<'_, PyAny>,
        kind: &Bound<'_, PyAny>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Option<Grant>> {
        let py = slf.py();
        let Asked { request, kind, .. } = read(slf.get().handle, size, kind, options, false)?;
        let governor = slf.get().open(py)?;
        match governor.try_request(&request) {
            Ok(grant) => {
                let id = grant.into_id();
                Ok(Some(Grant::new(slf.clone().unbind(), id, kind)))
            }
            Err(Refusal::Denied(_)) => Ok(None),
            Err(refusal) => Err(refused(py, governor, &refusal)),
        }
    }

    /// Asks for memory, and evicts what may go when it is short. Does not wait. Eviction handlers
    /// run within it, on this thread or while it waits for them.
    ///
    /// Raises Denied with the check that refused.
    #[pyo3(
        signature = (size, kind, **options),
        text_signature = "($self, size, kind, *, key=0, cookie=0, ttl=None, cost=1, \
                          evictable=False, pinned=False)"
    )]
    fn request(
        slf: &Bound<'_, Self>,
        size: &Bound<'_, PyAny>,
        kind: &Bound<'_, PyAny>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Grant> {
        let Asked { request, kind, .. } = read(slf.get().handle, size, kind, options, false)?;
        Self::ask(slf, &request, kind, |governor| {
            governor.request(&request).map(allotment::Grant::into_id)
        })
    }

    /// Asks for several grants of one kind, at most 64: all of them or none. Evicts nothing.
    ///
    /// Raises Denied for the first that is refused.
    fn request_all(
        slf: &Bound<'_, Self>,
        sizes: Vec<Bound<'_, PyAny>>,
        kind: &Bound<'_, PyAny>,
    ) -> PyResult<Py<PyList>> {
        let py = slf.py();
        let kind = AllocationType::ALL[choices(py)?.kind.number(kind)?];
        let request = |bytes| Ok(Request::new(slf.get().handle, kind, size(bytes)?));
        let requests: Vec<Request> = sizes.iter().map(request).collect::<PyResult<_>>()?;
        let governor = slf.get().open(py)?;
        let granted = py.detach(|| {
            let grants = governor.request_all(&requests)?;
            Ok(grants.into_iter().map(allotment::Grant::into_id).collect::<Vec<_>>())
        });
        let ids = granted.map_err(|refusal| refused(py, governor, &refusal))?;
        // All of them first: one that could not be made leaves none behind that nobody has.
        let grants: Vec<Grant> =
            ids.into_iter().map(|id| Grant::new(slf.clone().unbind(), id, kind)).collect();
        let grants = grants.into_iter().map(|grant| Bound::new(py, grant));
        Ok(PyList::new(py, grants.collect::<PyResult<Vec<_>>>()?)?.unbind())
    }

    /// Sets bytes aside for `ttl` seconds for a grant that is still being prepared: counted, never
    /// evicted, and given back unless `commit` of it comes in time. Evicts like `request`.
    ///
    /// Raises as `request`.
    #[pyo3(signature = (size, kind, *, ttl))]
    fn reserve(
        slf: &Bound<'_, Self>,
        size: &Bound<'_, PyAny>,
        kind: &Bound<'_, PyAny>,
        ttl: &Bound<'_, PyAny>,
    ) -> PyResult<Grant> {
        let py = slf.py();
        let ttl = time("ttl", ttl)?;
        let Asked { request, kind, .. } = read(slf.get().handle, size, kind, None, false)?;
        let governor = slf.get().open(py)?;
        let reserved = py.detach(|| Ok(governor.reserve(&request, ttl)?.into_id()));
        let id = reserved.map_err(|refusal: Refusal| refused(py, governor, &refusal))?;
        Ok(Grant::new(slf.clone().unbind(), id, kind))
    }

    /// The most bytes, at most those asked for, that could be granted now, counting what would be
    /// evicted for it. Changes nothing.
    fn attainable(
        &self,
        py: Python<'_>,
        size: &Bound<'_, PyAny>,
        kind: &Bound<'_, PyAny>,
    ) -> PyResult<u64> {
        let Asked { request, .. } = read(self.handle, size, kind, None, false)?;
        let governor = self.open(py)?;
        let bytes = py.detach(|| governor.attainable(&request));
        bytes.map_err(|error| raised(py, &error))
    }

    /// How many seconds the request would wait if it were made now; None if that is not known, and
    /// wherever waiting cannot help. Changes nothing.
    fn estimated_wait(
        &self,
        py: Python<'_>,
        size: &Bound<'_, PyAny>,
        kind: &Bound<'_, PyAny>,
    ) -> PyResult<Option<f64>> {
        let Asked { request, .. } = read(self.handle, size, kind, None, false)?;
        let governor = self.open(py)?;
        Ok(py.detach(|| governor.estimated_wait(&request)).as_ref().map(Duration::as_secs_f64))
    }

    /// What would decide a request now: who refuses, who holds the memory, what would be evicted,
    /// whether waiting can help. Changes nothing; steps grow with tenants and grants.
    pub(crate) fn explain<'py>(
        &self,
        py: Python<'py>,
        size: &Bound<'py, PyAny>,
        kind: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let Asked { request, .. } = read(self.handle, size, kind, None, false)?;
        let governor = self.open(py)?;
        let explained = py.detach(|| governor.explain(&request));
        view::explanation(py, &explained.map_err(|error| raised(py, &error))?)
    }

    /// Its numbers, as a TenantUsage.
    fn usage<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let governor = self.open(py)?;
        let seen = py.detach(|| governor.usage(self.handle));
        view::usage(py, &seen.map_err(|error| raised(py, &error))?)
    }

    /// Changes what is named while it runs: the same keywords as `register_tenant`, and `name`.
    ///
    /// Raises MisuseError for limits out of order; nothing has changed then.
    #[pyo3(signature = (**settings))]
    fn update(&self, py: Python<'_>, settings: Option<&Bound<'_, PyDict>>) -> PyResult<()> {
        let changes = Changes::read("update", settings)?;
        let governor = self.open(py)?;
        let changed = py
            .detach(|| again(|| governor.set_tenant(self.handle, |config| changes.apply(config))));
        changed.map_err(|error| raised(py, &error))?;
        self.governor.get().learn_name(self.handle);
        Ok(())
    }

    /// Unregisters it. Requests of it that wait raise Gone.
    ///
    /// Raises StateError with the code "grants_live" where it holds grants and `how` is "if_idle".
    #[pyo3(signature = (how = None))]
    fn unregister(&self, py: Python<'_>, how: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let how = match how {
            Some(how) => HOWS[choices(py)?.unregister.number(how)?],
            None => Unregister::IfIdle,
        };
        let governor = self.open(py)?;
        let done = py.detach(|| governor.unregister_tenant(self.handle, how));
        done.map_err(|error| raised(py, &error))?;
        if how != Unregister::Drain {
            self.governor.get().forget(self.handle);
        }
        Ok(())
    }

    /// Says what the tenant really holds, in bytes; None: it is not measured any more.
    fn report_measured(&self, py: Python<'_>, bytes: &Bound<'_, PyAny>) -> PyResult<()> {
        let bytes = if bytes.is_none() { None } else { Some(size(bytes)?) };
        let governor = self.open(py)?;
        let done = py.detach(|| governor.report_measured(self.handle, bytes));
        done.map_err(|error| raised(py, &error))
    }

    /// Sets who is asked for victims of this tenant, as `Governor.on_reclaim` does for all.
    #[pyo3(signature = (handler, *, within = None))]
    fn on_reclaim<'py>(
        &self,
        py: Python<'py>,
        handler: Bound<'py, PyAny>,
        within: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let asked = callable(&handler)?;
        self.governor.get().set_reclaim(py, Some(self.handle), asked, within)?;
        Ok(handler)
    }

    /// Its victims are asked of whom `Governor.on_reclaim` has set.
    fn clear_on_reclaim(&self, py: Python<'_>) -> PyResult<()> {
        let governor = self.open(py)?;
        let done = governor.clear_on_tenant_reclaim(self.handle);
        self.governor.get().forget_handler(Some(self.handle));
        done.map_err(|error| raised(py, &error))
    }

    fn __repr__(&self) -> String {
        format!("<allotment.Tenant {} {:?}>", self.handle, self.name())
    }

    fn __eq__(&self, other: &Self) -> bool {
        self.governor.is(&other.governor) && self.handle == other.handle
    }

    fn __hash__(&self) -> u64 {
        self.handle.as_u64()
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(crate::cannot_be_pickled("Tenant", "its governor"))
    }

    fn __traverse__(&self, visit: pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        visit.call(&self.governor)
    }
}
