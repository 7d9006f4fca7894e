//! Awaiting one's turn: a request as a future, on any runtime.
//!
//! The place stands in its tenant's table like every other (`queue.rs`), so a freeze or a leave
//! ends it at once. Bytes belong to it before its task wakes; a future that is dropped, at any
//! await point, gives its place or its bytes back.
//!
//! A task that waits is woken by whoever gives memory back, also when that is a place that lapses,
//! and by the governor's alarm at its deadline. It says who is to be woken before it looks at the
//! line and at its place, so what is left to it or decided is seen or wakes it.

use super::allocation::{Answer, MemoryAllocationRequest, Refused, Wanted, answer};
use super::queue::{Entered, JUST_NOW, Place, PlaceKey, close};
use super::record::Key;
use super::{MultiTenantMemoryManager, lock};
use crate::config::{AllocationType, TenantId};
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

impl MultiTenantMemoryManager {
    /// Requests memory and awaits its turn for up to `wait_max` by the manager's clock: Granted, or
    /// Denied with the reason; never Queued. Unlike [`Self::request_allocation`] it also waits at
    /// the tenant's own limits, where a release of its own makes room. While only observing it is
    /// granted at once.
    ///
    /// The thread that polls is blocked while owners are asked ([`Self::on_evict`]), as in
    /// [`Self::request_allocation`]; awaiting itself blocks nothing.
    ///
    /// A place that [`Self::request_allocation`] was given for the same request ends, or is fetched
    /// if its bytes are there. Both count for the most places of a tenant.
    ///
    /// Needs no runtime. Dropping the future at any await point gives up the place, and gives back
    /// what was assigned to it just before. A freeze, a drain or a leave of the tenant ends the
    /// wait. A future that nobody polls keeps its place, and what was assigned to it, until it is
    /// dropped.
    ///
    /// # Errors
    ///
    /// As [`Self::request_allocation`], and [`MemoryError::UnknownTenant`] if the tenant was
    /// unregistered meanwhile.
    ///
    /// [`MemoryError::UnknownTenant`]: crate::MemoryError::UnknownTenant
    pub async fn acquire_allocation(
        &self,
        request: MemoryAllocationRequest,
        wait_max: Duration,
    ) -> Answer {
        match self.wanted(request) {
            Ok(wanted) => answer(self.acquire(&wanted, wait_max).await),
            Err(refused) => answer(Err(refused)),
        }
    }

    /// [`Self::acquire_allocation`], exact in bytes.
    ///
    /// # Errors
    ///
    /// As [`Self::acquire_allocation`].
    pub async fn acquire_allocation_bytes(
        &self,
        tenant_id: TenantId,
        bytes: u64,
        model_name: &str,
        allocation_type: AllocationType,
        wait_max: Duration,
    ) -> Answer {
        match self.wanted_bytes(tenant_id, bytes, model_name.to_string(), allocation_type) {
            Ok(wanted) => answer(self.acquire(&wanted, wait_max).await),
            Err(refused) => answer(Err(refused)),
        }
    }

    pub(super) async fn acquire(
        &self,
        wanted: &Wanted,
        wait_max: Duration,
    ) -> Result<Key, Refused> {
        let timing = self.inner.begin(&wanted.tenant);
        let begun = self.begin_to_wait(wanted, wait_max);
        self.inner.time(&wanted.tenant, &timing);
        let answer = match begun {
            Ok(Begun::Granted(key)) => Ok(key),
            Ok(Begun::Waits(key)) => {
                let turn = Turn { manager: self, wanted, key };
                poll_fn(|context| turn.poll(context)).await
            }
            Err(refused) => Err(refused),
        };
        self.inner.count(&wanted.tenant, &answer);
        answer
    }

    fn begin_to_wait(&self, wanted: &Wanted, wait_max: Duration) -> Result<Begun, Refused> {
        self.check_open(wanted)?;
        if self.is_observe_only() {
            return self.request_observed(wanted).map(Begun::Granted);
        }
        // The same request was queued: who awaits it goes on, and leaves no place that nobody asks
        // for. Its turn is not used up by leaving.
        match self.take_place(wanted) {
            Some(Place { ticket, entered_ns, .. }) if ticket.is_granted() => {
                return self.fetch(wanted, ticket, entered_ns).map(Begun::Granted);
            }
            place => close(place),
        }
        if self.has_all_places(&wanted.tenant) {
            return self.request_unqueued(wanted).map(Begun::Granted);
        }
        let governor = &self.inner.governor;
        let ticket = governor.enqueue_owned(&wanted.request(), wait_max);
        let ticket = ticket.map_err(|refusal| self.refused_by(wanted, refusal))?;
        if ticket.is_ready() {
            return self.fetch(wanted, ticket, JUST_NOW).map(Begun::Granted);
        }
        let place = Place::new(ticket, wanted.bytes, governor.clock().now_ns(), wait_max);
        let key = self.inner.queue.next_awaited();
        match self.enter_place(wanted, key.clone(), place)? {
            Entered::Granted(key) => Ok(Begun::Granted(key)),
            Entered::Waiting(_) => Ok(Begun::Waits(key)),
        }
    }
}

/// What an attempt to be granted at once came to.
enum Begun {
    Granted(Key),
    /// It has this place.
    Waits(PlaceKey),
}

/// A future's place. Dropped with its future: the place is given back, if it is still there.
struct Turn<'m> {
    manager: &'m MultiTenantMemoryManager,
    wanted: &'m Wanted,
    key: PlaceKey,
}

impl Turn<'_> {
    fn poll(&self, context: &mut Context<'_>) -> Poll<Result<Key, Refused>> {
        // With nothing held: the bytes of places that lapse may be its own.
        self.manager.inner.lapse_places_now();
        let (in_line, in_table) = (context.waker().clone(), context.waker().clone());
        let mut held = lock(&self.wanted.tenant.held);
        let Some(place) = held.places.get_mut(&self.key) else {
            drop(held);
            return Poll::Ready(self.closed());
        };
        let before: [Option<Waker>; 2] =
            [place.ticket.wake_by(in_line), place.waker.replace(in_table)];
        drop(held);
        // With nothing held: they may be the last of their tasks.
        drop(before);
        // Both after the wakers were set: what is left to it, or decided, before is seen here, and
        // what comes later wakes it. Who was woken to go on along the line does so.
        self.manager.inner.governor.serve_noted();
        self.look()
    }

    fn look(&self) -> Poll<Result<Key, Refused>> {
        let mut held = lock(&self.wanted.tenant.held);
        let Some(place) = held.places.get_mut(&self.key) else {
            drop(held);
            return Poll::Ready(self.closed());
        };
        let ready = if place.ticket.is_ready() { held.places.take(&self.key) } else { None };
        drop(held);
        match ready {
            Some(Place { ticket, entered_ns, .. }) => {
                Poll::Ready(self.manager.fetch(self.wanted, ticket, entered_ns))
            }
            None => Poll::Pending,
        }
    }

    /// The place was closed by an operator.
    fn closed(&self) -> Result<Key, Refused> {
        let (manager, wanted) = (self.manager, self.wanted);
        manager.check_open(wanted)?;
        match manager.is_observe_only() {
            true => manager.request_observed(wanted),
            false => Err(Refused::Denied(manager.closed_meanwhile(wanted))),
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let place = lock(&self.wanted.tenant.held).places.take(&self.key);
        // Nobody is left to wake; and with nothing held.
        drop(place);
    }
}
