//! Waiting for one's turn: a thread that waits, and a place in line for who awaits it.
//!
//! ```text
//! a ticket ends once: its grant is taken by `poll`, or it is cancelled
//! cancelled, or let go, it gives up its place, and gives back what it was just given
//! ```

use crate::attach;
use crate::error::refused;
use crate::grant::Grant;
use crate::handler::{self, Handler, lock, look, ring};
use crate::request::Asked;
use crate::tenant::Tenant;
use allotment::{AllocationType, Governor, GrantId, OwnedGrant, OwnedTicket, Refusal};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use std::pin::Pin;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// How long a thread waits before it looks for signals, and whether its governor was closed.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The usual grant, of which there is nothing to say, if nobody waits who would go before it.
fn at_once(governor: &Governor, asked: &Asked) -> Option<GrantId> {
    let id = (governor.waiters() == 0).then(|| governor.grant_at_once(&asked.request))??;
    Some(GrantId::from_u64(id.get()))
}

/// Waits for a grant of the tenant, with the interpreter let go.
pub(crate) fn acquire(tenant: &Bound<'_, Tenant>, asked: &Asked) -> PyResult<Grant> {
    let py = tenant.py();
    let home = tenant.get().governor.get();
    let governor = home.open(py)?;
    let grant = |id| Grant::new(tenant.clone().unbind(), id, asked.kind);
    if let Some(id) = at_once(governor, asked) {
        return Ok(grant(id));
    }
    let ticket = py.detach(|| governor.enqueue(&asked.request, asked.timeout));
    let mut ticket = ticket.map_err(|refusal| refused(py, governor, &refusal))?;
    loop {
        let answer = py.detach(|| {
            let answer = ticket.wait(LOOK_EVERY);
            while attach::is_closed() {
                // The interpreter ends, and this thread may not come back to it.
                std::thread::park();
            }
            answer
        });
        match answer {
            Some(Ok(held)) => return Ok(grant(held.into_id())),
            Some(Err(refusal)) => return Err(refused(py, governor, &refusal)),
            None => {
                py.check_signals()?;
                home.open(py)?;
            }
        }
    }
}

/// Wakes who awaits a ticket.
struct Bell(Weak<Handler>);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        ring(&self.0);
    }
}

/// What a request comes to at first.
#[derive(IntoPyObject)]
pub(crate) enum Place {
    Granted(Grant),
    InLine(Py<Ticket>),
}

/// A request that is about to be made: what `acquire_async` has read of its arguments.
#[pyclass(frozen, module = "allotment._native")]
pub(crate) struct Wish {
    pub tenant: Py<Tenant>,
    pub asked: Asked,
}

#[pymethods]
impl Wish {
    /// Makes it: the usual grant at once, or a ticket.
    fn enqueue(&self, py: Python<'_>) -> PyResult<Place> {
        let home = self.tenant.get().governor.get();
        if let Some(id) = at_once(home.open(py)?, &self.asked) {
            let tenant = self.tenant.clone_ref(py);
            return Ok(Place::Granted(Grant::new(tenant, id, self.asked.kind)));
        }
        let governor = home.shared();
        let ticket = py.detach(|| governor.enqueue_owned(&self.asked.request, self.asked.timeout));
        let ticket = ticket.map_err(|refusal| refused(py, governor, &refusal))?;
        let ticket = Ticket {
            ticket: Mutex::new(Some(ticket)),
            bell: Arc::default(),
            kind: self.asked.kind,
            tenant: self.tenant.clone_ref(py),
        };
        Ok(Place::InLine(Py::new(py, ticket)?))
    }

    fn __traverse__(&self, visit: pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        visit.call(&self.tenant)
    }
}

/// A place in line, or a grant that was there at once.
#[pyclass(frozen, module = "allotment._native")]
pub(crate) struct Ticket {
    ticket: Mutex<Option<OwnedTicket>>,
    bell: Arc<Handler>,
    kind: AllocationType,
    tenant: Py<Tenant>,
}

impl Ticket {
    /// The grant, or why there is none, as an object of its own.
    fn answer(&self, py: Python<'_>, answer: Result<OwnedGrant, Refusal>) -> PyResult<Grant> {
        let governor = self.tenant.get().governor.get().shared();
        match answer {
            Ok(held) => Ok(Grant::new(self.tenant.clone_ref(py), held.into_id(), self.kind)),
            Err(refusal) => Err(refused(py, governor, &refusal)),
        }
    }

    fn take(&self) -> Option<OwnedTicket> {
        lock(&self.ticket).take()
    }
}

#[pymethods]
impl Ticket {
    /// The grant, if it is there by now; else `ready` is called once, on any thread, when it is
    /// worth to look again.
    fn poll(&self, py: Python<'_>, ready: &Bound<'_, PyAny>) -> PyResult<Option<Grant>> {
        let home = self.tenant.get().governor.get();
        home.open(py)?;
        let ready = handler::callable(ready)?;
        // Not with the lock held: to look may wake others, and so run what may come back here.
        let Some(mut ticket) = self.take() else {
            return Err(PyRuntimeError::new_err("the ticket has ended: it is polled no more"));
        };
        drop(self.bell.set(Some(ready)));
        home.note_waiting(&self.bell);
        let waker = Waker::from(Arc::new(Bell(Arc::downgrade(&self.bell))));
        match Pin::new(&mut ticket).poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(answer) => self.answer(py, answer).map(Some),
            Poll::Pending => {
                *lock(&self.ticket) = Some(ticket);
                Ok(None)
            }
        }
    }

    /// Gives up the place; a grant that was assigned just before goes back.
    fn cancel(&self) {
        if self.tenant.get().governor.get().is_here() {
            drop(self.take());
        }
        drop(self.bell.set(None));
    }

    fn __traverse__(&self, visit: pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        visit.call(&self.tenant)?;
        self.bell.visit(&visit)
    }

    fn __clear__(&self) {
        drop(self.bell.set(None));
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let ticket = look(&self.ticket).and_then(|mut ticket| ticket.take());
        if !self.tenant.get().governor.get().is_here() {
            // The line of a fork is its parent's.
            std::mem::forget(ticket);
        }
    }
}
