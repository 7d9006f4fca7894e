//! The front door: a governor, how it is set up, and how it ends.
//!
//! ```text
//! the library's governor lives <=> this object lives
//! tenants, groups, grants and tickets keep this object alive; no handler does
//! ```
//!
//! No lock of the library is held while the interpreter is waited for: it calls with nothing held.
//! The other way round is fine, for locks that are held for a moment. What may take longer, or call
//! somebody, lets the interpreter go; so does the end of a governor, which waits for its thread.

use crate::attach;
use crate::choice::choices;
use crate::error::{closed, forked, misuse, nobody, raised};
use crate::fork;
use crate::grant::Grant;
use crate::group::Group;
use crate::handler::{Handler, Names, asker, callable, lock, look, ring, teller};
use crate::settings::{self, Changes};
use crate::size::{size, time};
use crate::tenant::Tenant;
use crate::view;
use allotment::os::Clock;
use allotment::{
    EventMark, EventRead, GovernorConfig, GroupConfig, GroupHandle, Pressure, TenantConfig,
    TenantHandle,
};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

#[expect(clippy::disallowed_types, reason = "no part of the core's models")]
type Flag = std::sync::atomic::AtomicBool;

/// Handlers by whose victims they are asked for; none: of all without one of their own.
type Handlers = HashMap<Option<TenantHandle>, Arc<Handler>>;

/// Many tenants share the memory of one governor, and nobody over-commits it.
///
/// Governor("24 GiB") sets everything else by default. Any thread may call it. It lives until its
/// last tenant, group and grant has gone; close() ends it earlier for all who call it, as does the
/// end of a `with`.
#[pyclass(frozen, weakref, module = "allotment")]
pub(crate) struct Governor {
    /// None once it has been let go.
    inner: Option<Arc<allotment::Governor>>,
    epoch: u32,
    closed: Flag,
    handlers: Mutex<Handlers>,
    listener: Arc<Handler>,
    waiting: Mutex<Vec<Weak<Handler>>>,
    names: Arc<Names>,
}

impl Governor {
    fn made(governor: allotment::Governor) -> Self {
        Self {
            inner: Some(Arc::new(governor)),
            epoch: fork::epoch(),
            closed: Flag::new(false),
            handlers: Mutex::default(),
            listener: Arc::default(),
            waiting: Mutex::default(),
            names: Arc::default(),
        }
    }

    /// The library's governor, which can be shared.
    #[inline]
    pub(crate) fn shared(&self) -> &Arc<allotment::Governor> {
        self.inner.as_ref().expect("it is let go by `drop` alone")
    }

    /// The library's governor, for who has checked that it may be called.
    #[inline]
    pub(crate) fn inner(&self) -> &allotment::Governor {
        self.shared()
    }

    /// Whether this process made it.
    #[inline]
    pub(crate) fn is_here(&self) -> bool {
        self.epoch == fork::now()
    }

    /// Refuses in a fork.
    #[inline]
    pub(crate) fn here(&self, py: Python<'_>) -> PyResult<()> {
        if self.is_here() { Ok(()) } else { Err(forked(py)) }
    }

    /// The library's governor, unless this is a fork, or it is closed.
    #[inline]
    pub(crate) fn open(&self, py: Python<'_>) -> PyResult<&allotment::Governor> {
        self.here(py)?;
        // Relaxed: who must see it is told by other means.
        if self.closed.load(Ordering::Relaxed) {
            return Err(closed(py));
        }
        Ok(self.inner())
    }

    /// The name of a tenant; one that is gone has none.
    pub(crate) fn name_of(&self, tenant: TenantHandle) -> String {
        self.names.get(tenant)
    }

    /// Learns the name that a tenant has now.
    pub(crate) fn learn_name(&self, tenant: TenantHandle) {
        if let Ok(config) = self.inner().tenant_config(tenant) {
            self.names.set(tenant, &config.name);
        }
    }

    /// Forgets a tenant that is gone.
    pub(crate) fn forget(&self, tenant: TenantHandle) {
        self.names.forget(tenant);
        self.forget_handler(Some(tenant));
    }

    /// Lets a handler go.
    pub(crate) fn forget_handler(&self, whose: Option<TenantHandle>) {
        let handler = lock(&self.handlers).remove(&whose);
        drop(handler.and_then(|handler| handler.set(None)));
    }

    /// Sets who is asked for victims.
    pub(crate) fn set_reclaim(
        &self,
        py: Python<'_>,
        whose: Option<TenantHandle>,
        asked: Py<PyAny>,
        within: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        // Zero means the thread that is short, so that no time at all is the shortest that is one.
        let timeout = match within.filter(|within| !within.is_none()) {
            Some(within) => time("within", within)?.max(Duration::from_nanos(1)),
            None => Duration::ZERO,
        };
        let governor = self.open(py)?;
        let handler = lock(&self.handlers).entry(whose).or_default().clone();
        let call = asker(Arc::downgrade(&handler), self.names.clone());
        match whose {
            None => governor.on_reclaim_within(timeout, call),
            Some(tenant) => {
                let set = governor.on_tenant_reclaim_within(tenant, timeout, call);
                if let Err(error) = set {
                    self.forget_handler(whose);
                    return Err(raised(py, &error));
                }
            }
        }
        drop(handler.set(Some(asked)));
        Ok(())
    }

    /// Notes who awaits a ticket, to be woken when the governor is closed.
    pub(crate) fn note_waiting(&self, bell: &Arc<Handler>) {
        let mut waiting = lock(&self.waiting);
        if waiting.len() == waiting.capacity() {
            waiting.retain(|bell| bell.strong_count() > 0);
            let room = waiting.len().max(16);
            waiting.reserve(room);
        }
        waiting.push(Arc::downgrade(bell));
    }

    /// All callables, taken out to be dropped with nothing held.
    fn let_go(&self) {
        let handlers = std::mem::take(&mut *lock(&self.handlers));
        for handler in handlers.values() {
            drop(handler.set(None));
        }
        drop(self.listener.set(None));
    }

    fn tenant_of(slf: &Bound<'_, Self>, who: &Bound<'_, PyAny>) -> PyResult<Py<Tenant>> {
        let py = slf.py();
        if let Ok(tenant) = who.cast::<Tenant>() {
            if !tenant.get().governor.is(slf) {
                let message = "the tenant is another governor's; use the governor that made it";
                return Err(misuse(py, message, "foreign"));
            }
            return Ok(tenant.clone().unbind());
        }
        let name: String = who.extract()?;
        let handle = slf.get().open(py)?.find_named(&name);
        let handle = handle.ok_or_else(|| nobody(py, "tenant", &name))?;
        Py::new(py, Tenant { governor: slf.clone().unbind(), handle })
    }
}

#[pymethods]
impl Governor {
    #[new]
    #[pyo3(
        signature = (capacity, **settings),
        text_signature = "(capacity, *, tenants_max=16384, groups_max=1024, grants_max=1048576, \
                          ghost_keys_max=262144, events_max=0, waiters_max=4096, \
                          victims_max=65536, patience=10, quantum='1 MiB', headroom=0, \
                          busy_cooldown=1, promise=10, freed_shows=10, idle_claim=10, \
                          inactive_limit=None, pool_pressure=True, warning_percent=80, \
                          high_percent=90, critical_percent=95, hysteresis_percent=5, \
                          high_relief_percent=20, critical_relief_percent=40, \
                          manual_clock=False)"
    )]
    fn new(
        py: Python<'_>,
        capacity: &Bound<'_, PyAny>,
        settings: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let config = settings::governor(size(capacity)?, settings)?;
        let made = py.detach(|| allotment::Governor::new(config));
        made.map(Self::made).map_err(|error| raised(py, &error))
    }

    /// A governor by the text of a configuration file, with its groups and tenants registered:
    /// `tenant` and `group` find them. What such a text cannot say is taken from the keywords,
    /// which are those of the class.
    ///
    /// Raises MisuseError with the line that is wrong.
    #[staticmethod]
    #[pyo3(signature = (text, **settings))]
    fn from_toml(
        py: Python<'_>,
        text: &str,
        settings: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let config = settings::governor(1, settings)?;
        let setup = allotment_config::parse(text, std::path::Path::new("configuration"))
            .map_err(|error| misuse(py, &error.to_string(), "config"))?;
        let clock = config.clock.clone();
        let built = py.detach(|| {
            setup.build(clock, |read| GovernorConfig {
                capacity_bytes: read.capacity_bytes,
                tenants_max: config.tenants_max.max(read.tenants_max),
                groups_max: config.groups_max.max(read.groups_max),
                grants_max: setup.grants_max.unwrap_or(config.grants_max),
                pool_pressure: read.pool_pressure,
                warning_percent: read.warning_percent,
                high_percent: read.high_percent,
                critical_percent: read.critical_percent,
                hysteresis_percent: read.hysteresis_percent,
                ..config
            })
        });
        let built = built.map_err(|error| raised(py, &error))?;
        let governor = Self::made(built.governor);
        for (tenant, handle) in setup.tenants.iter().zip(built.tenants) {
            governor.names.set(handle, &tenant.name);
        }
        Ok(governor)
    }

    /// Ends the governor for all who call it: later calls raise Closed, and so do threads and tasks
    /// that wait for their turn. Handlers are let go. Grants stay what they are until they are
    /// released. Calling it again does nothing.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.here(py)?;
        // Relaxed: those who wait look again within moments, or are woken below.
        if self.closed.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        self.inner().clear_on_reclaim();
        self.inner().clear_on_pressure();
        let tenants: Vec<TenantHandle> = lock(&self.handlers).keys().flatten().copied().collect();
        for tenant in tenants {
            // One that is gone has no handler either.
            let _ = self.inner().clear_on_tenant_reclaim(tenant);
        }
        self.let_go();
        let waiting = std::mem::take(&mut *lock(&self.waiting));
        waiting.iter().for_each(ring);
        Ok(())
    }

    /// Whether `close` was called.
    #[getter]
    fn is_closed(&self) -> bool {
        // Relaxed: as in `open`.
        self.closed.load(Ordering::Relaxed)
    }

    fn __enter__(slf: Bound<'_, Self>) -> PyResult<Bound<'_, Self>> {
        slf.get().open(slf.py())?;
        Ok(slf)
    }

    #[pyo3(signature = (_kind, _error, _traceback, /))]
    fn __exit__(
        &self,
        py: Python<'_>,
        _kind: Option<&Bound<'_, PyAny>>,
        _error: Option<&Bound<'_, PyAny>>,
        _traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        if self.is_here() { self.close(py) } else { Ok(()) }
    }

    /// Registers a tenant, in a group or directly below the pool. Its guarantee is paid for when
    /// this returns.
    ///
    /// Sizes are ints of bytes or texts such as "4 GiB". `rate` is requests a second, of which
    /// `rate_depth` may come at once after a pause; `id` a UUID, made of the name unless given.
    ///
    /// Raises MisuseError for limits out of order and names that are taken, StateError where others
    /// use the bytes of the guarantee now.
    #[pyo3(
        signature = (name, *, group = None, id = None, **settings),
        text_signature = "($self, name, *, group=None, id=None, guarantee=0, limit=None, \
                          burst=None, priority='normal', isolation='soft', policy='hybrid', \
                          grants_max={}, rate=None, rate_depth=1)"
    )]
    fn register_tenant(
        slf: &Bound<'_, Self>,
        name: &str,
        group: Option<&Bound<'_, Group>>,
        id: Option<&Bound<'_, PyAny>>,
        settings: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Py<Tenant>> {
        let py = slf.py();
        settings::name(name)?;
        let governor = slf.get().open(py)?;
        let mut config = TenantConfig::new(settings::id(id, name)?, name);
        config.parent = group.map(|group| group.get().handle);
        Changes::read("register_tenant", settings)?.apply(&mut config);
        let name = config.name.clone();
        let registered = py.detach(|| governor.register_tenant(config));
        let handle = registered.map_err(|error| raised(py, &error))?;
        slf.get().names.set(handle, &name);
        Py::new(py, Tenant { governor: slf.clone().unbind(), handle })
    }

    /// Registers a group, below another one or directly below the pool.
    ///
    /// Raises MisuseError for limits out of order and more than six levels.
    #[pyo3(
        signature = (name, *, parent = None, **settings),
        text_signature = "($self, name, *, parent=None, guarantee=0, limit=None)"
    )]
    fn register_group(
        slf: &Bound<'_, Self>,
        name: &str,
        parent: Option<&Bound<'_, Group>>,
        settings: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Py<Group>> {
        let py = slf.py();
        settings::name(name)?;
        let governor = slf.get().open(py)?;
        let mut config = GroupConfig::new(name);
        config.parent = parent.map(|parent| parent.get().handle);
        settings::group(&mut config, "register_group", settings)?;
        let registered = py.detach(|| governor.register_group(config));
        let handle = registered.map_err(|error| raised(py, &error))?;
        Py::new(py, Group { governor: slf.clone().unbind(), handle })
    }

    /// The tenant of that name, or None. Steps grow with the number of accounts: keep what you
    /// have.
    fn tenant(slf: &Bound<'_, Self>, name: &str) -> PyResult<Option<Py<Tenant>>> {
        let py = slf.py();
        let found: Option<TenantHandle> = slf.get().open(py)?.find_named(name);
        let tenant = |handle| Py::new(py, Tenant { governor: slf.clone().unbind(), handle });
        found.map(tenant).transpose()
    }

    /// The group of that name, or None.
    fn group(slf: &Bound<'_, Self>, name: &str) -> PyResult<Option<Py<Group>>> {
        let py = slf.py();
        let found: Option<GroupHandle> = slf.get().open(py)?.find_group(name);
        let group = |handle| Py::new(py, Group { governor: slf.clone().unbind(), handle });
        found.map(group).transpose()
    }

    /// `Tenant.acquire` of a tenant, or of the one of a name.
    ///
    /// Raises Gone where there is none of that name.
    #[pyo3(
        signature = (tenant, size, kind, **options),
        text_signature = "($self, tenant, size, kind, *, timeout=None, key=0, cookie=0, \
                          ttl=None, cost=1, evictable=False, pinned=False)"
    )]
    fn acquire(
        slf: &Bound<'_, Self>,
        tenant: &Bound<'_, PyAny>,
        size: &Bound<'_, PyAny>,
        kind: &Bound<'_, PyAny>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Grant> {
        let tenant = Self::tenant_of(slf, tenant)?;
        Tenant::acquire(tenant.bind(slf.py()), size, kind, options)
    }

    /// `Tenant.acquire_async` of a tenant, or of the one of a name.
    ///
    /// Raises Gone where there is none of that name.
    #[pyo3(
        signature = (tenant, size, kind, **options),
        text_signature = "($self, tenant, size, kind, *, timeout=None, key=0, cookie=0, \
                          ttl=None, cost=1, evictable=False, pinned=False)"
    )]
    fn acquire_async<'py>(
        slf: &Bound<'py, Self>,
        tenant: &Bound<'_, PyAny>,
        size: &Bound<'_, PyAny>,
        kind: &Bound<'_, PyAny>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let tenant = Self::tenant_of(slf, tenant)?;
        Tenant::acquire_async(tenant.bind(slf.py()), size, kind, options)
    }

    /// `Tenant.try_acquire` of a tenant, or of the one of a name.
    ///
    /// Raises Gone where there is none of that name.
    #[pyo3(
        signature = (tenant, size, kind, **options),
        text_signature = "($self, tenant, size, kind, *, key=0, cookie=0, ttl=None, cost=1, \
                          evictable=False, pinned=False)"
    )]
    fn try_acquire(
        slf: &Bound<'_, Self>,
        tenant: &Bound<'_, PyAny>,
        size: &Bound<'_, PyAny>,
        kind: &Bound<'_, PyAny>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Option<Grant>> {
        let tenant = Self::tenant_of(slf, tenant)?;
        Tenant::try_acquire(tenant.bind(slf.py()), size, kind, options)
    }

    /// `Tenant.explain` of a tenant, or of the one of a name.
    ///
    /// Raises Gone where there is none of that name.
    fn explain<'py>(
        slf: &Bound<'py, Self>,
        tenant: &Bound<'py, PyAny>,
        size: &Bound<'py, PyAny>,
        kind: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let tenant = Self::tenant_of(slf, tenant)?;
        tenant.get().explain(slf.py(), size, kind)
    }

    /// Sets who is asked for victims of tenants without a handler of their own; also as a
    /// decorator. A second call replaces the first.
    ///
    /// The handler gets a Victim, and answers "freed", "deferred" or "busy". Without `within` it
    /// runs on the thread that is short of memory, or balances. With so many seconds it runs on a
    /// thread of the library's, and whoever is short waits at most so long. Several threads may
    /// call it at once, with nothing held: it may call anything. What it raises goes to
    /// sys.unraisablehook, and counts as busy.
    #[pyo3(signature = (handler, *, within = None))]
    fn on_reclaim<'py>(
        &self,
        py: Python<'py>,
        handler: Bound<'py, PyAny>,
        within: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.set_reclaim(py, None, callable(&handler)?, within)?;
        Ok(handler)
    }

    /// Nobody is asked any more; `next_victim` hands victims out.
    fn clear_on_reclaim(&self, py: Python<'_>) -> PyResult<()> {
        self.open(py)?.clear_on_reclaim();
        self.forget_handler(None);
        Ok(())
    }

    /// The next victim of a tenant that has nobody to be asked, or None. Its owner frees the memory
    /// and releases the grant, or calls `Grant.decline`.
    fn next_victim<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let victim = self.open(py)?.next_victim();
        let shown = |v: allotment::Victim| view::victim(py, &v, self.names.get(v.tenant));
        victim.map(shown).transpose()
    }

    /// Sets who is told when the pressure is another one than it was told last; also as a
    /// decorator. A second call replaces the first. It is told by calls that evict, wait or
    /// balance, on their thread, with nothing held; what it raises goes to sys.unraisablehook.
    fn on_pressure<'py>(
        &self,
        py: Python<'py>,
        handler: Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let governor = self.open(py)?;
        let told = callable(&handler)?;
        governor.on_pressure(teller(Arc::downgrade(&self.listener)));
        drop(self.listener.set(Some(told)));
        Ok(handler)
    }

    /// Nobody is told of pressure any more.
    fn clear_on_pressure(&self, py: Python<'_>) -> PyResult<()> {
        self.open(py)?.clear_on_pressure();
        drop(self.listener.set(None));
        Ok(())
    }

    /// Tells the governor how short the machine is: pressure is the worse of this and the pool's
    /// own fill.
    fn report_pressure(&self, py: Python<'_>, machine: &Bound<'_, PyAny>) -> PyResult<()> {
        let machine = Pressure::ALL[choices(py)?.pressure.number(machine)?];
        let governor = self.open(py)?;
        py.detach(|| governor.report_pressure(machine));
        Ok(())
    }

    /// The pressure in force.
    #[getter]
    fn pressure(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let pressure = self.open(py)?.pressure();
        Ok(choices(py)?.pressure.member(py, pressure as usize))
    }

    /// Says what the process really holds, in bytes; None: it is not measured any more. All of it
    /// counts against the capacity.
    fn report_measured(&self, py: Python<'_>, bytes: &Bound<'_, PyAny>) -> PyResult<()> {
        let bytes = if bytes.is_none() { None } else { Some(size(bytes)?) };
        let governor = self.open(py)?;
        py.detach(|| governor.report_measured_process(bytes));
        Ok(())
    }

    /// One step of the balancer, as a Balance: evicts under pressure, and what may go by now for
    /// those who wait; gives back what has run out. Somebody has to call it every second or so, or
    /// leave that to `keep_balanced`.
    fn balance<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let governor = self.open(py)?;
        let report = py.detach(|| governor.balance());
        view::balance(py, &report)
    }

    /// A context manager, within which a thread of its own calls `balance` every so many seconds.
    #[pyo3(signature = (every = 1.0))]
    fn keep_balanced<'py>(slf: &Bound<'py, Self>, every: f64) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        slf.get().open(py)?;
        py.import("allotment._balancing")?.getattr("KeepingBalanced")?.call1((slf, every))
    }

    /// Everything, as a Snapshot of plain data.
    fn snapshot<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let governor = self.open(py)?;
        let seen = py.detach(|| governor.snapshot());
        view::snapshot(py, &seen, governor.waiters())
    }

    /// Events from the mark on, and the mark after them: see `allotment.EventReader`.
    fn _events<'py>(
        &self,
        py: Python<'py>,
        mark: (u64, u64),
        most: usize,
    ) -> PyResult<(Bound<'py, PyList>, (u64, u64))> {
        let governor = self.open(py)?;
        let mut reader = governor.events_after(EventMark { position: mark.0, lost: mark.1 });
        let mut events = Vec::new();
        while events.len() < most {
            match reader.read() {
                EventRead::Event(event) => events.push(view::event(py, &event)?),
                EventRead::Lost(count) => events.push(view::lost(py, governor, count)?),
                _ => break,
            }
        }
        let mark = reader.mark();
        Ok((PyList::new(py, events)?, (mark.position, mark.lost)))
    }

    /// What happened, from the oldest event that is kept on, as an iterator that ends where there
    /// is nothing more yet; iterate again to go on. Needs `events_max`.
    fn events<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        slf.get().open(py)?;
        py.import("allotment._events")?.getattr("EventReader")?.call1((slf,))
    }

    /// Changes the capacity while everything runs. Below what is in use nothing is taken away.
    ///
    /// Raises MisuseError where the guarantees would no longer fit.
    fn set_capacity(&self, py: Python<'_>, capacity: &Bound<'_, PyAny>) -> PyResult<()> {
        let capacity = size(capacity)?;
        let governor = self.open(py)?;
        let done = py.detach(|| governor.set_capacity(capacity));
        done.map_err(|error| raised(py, &error))
    }

    /// Seconds of its clock since it was made.
    fn now(&self, py: Python<'_>) -> PyResult<f64> {
        Ok(self.open(py)?.clock().now_ns() as f64 / 1e9)
    }

    /// Moves a manual clock on, by so many seconds.
    ///
    /// Raises MisuseError if the clock is the machine's.
    fn advance_clock(&self, py: Python<'_>, by: &Bound<'_, PyAny>) -> PyResult<()> {
        let by = time("by", by)?;
        match self.open(py)?.clock() {
            Clock::Manual(clock) => {
                clock.advance_ns(crate::size::ns(by));
                Ok(())
            }
            Clock::Monotonic(_) => {
                let message =
                    "the clock is the machine's: make the governor with manual_clock=True";
                Err(misuse(py, message, "clock"))
            }
        }
    }

    fn __repr__(&self) -> String {
        if !self.is_here() {
            return "<allotment.Governor of the parent process>".to_string();
        }
        if self.is_closed() {
            return "<allotment.Governor, closed>".to_string();
        }
        let pool = self.inner().pool_meter();
        format!("<allotment.Governor, {} of {} bytes in use>", pool.live_bytes, pool.capacity_bytes)
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(crate::cannot_be_pickled("Governor", "memory"))
    }

    fn __traverse__(&self, visit: pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        if let Some(handlers) = look(&self.handlers) {
            for handler in handlers.values() {
                handler.visit(&visit)?;
            }
        }
        self.listener.visit(&visit)
    }

    fn __clear__(&self) {
        self.let_go();
    }
}

impl Drop for Governor {
    fn drop(&mut self) {
        let inner = self.inner.take();
        if !self.is_here() {
            // Its threads are the parent's, and are not here to be waited for.
            std::mem::forget(inner);
            return;
        }
        // Its thread may be waiting for the interpreter, and is waited for here.
        let mut inner = Some(inner);
        Python::try_attach(|py| {
            let inner = inner.take();
            py.detach(|| drop(inner));
        });
    }
}

/// Lets no thread of the library come to the interpreter any more; called when that ends.
#[pyfunction]
pub(crate) fn _close_door(py: Python<'_>) {
    attach::close(py);
}
