//! Waiting for memory: tickets, blocking, and `async` on any runtime.
//!
//! | I want | call |
//! |---|---|
//! | to block until there is room | [`Governor::acquire`] |
//! | a place in line, and to look when I like | [`Governor::enqueue`], then [`HeldTicket::poll`] |
//! | to await it | `governor.enqueue_owned(..)?.await` |
//!
//! The line itself, who is served next and when bytes are set aside, is `core/wait.rs`; who is
//! woken is `wakers.rs`. Here is what needs a thread or a task: looking after a place in line.
//!
//! Bytes belong to a waiter before it wakes. A ticket that is dropped gives up its place, and gives
//! back a grant that had just been assigned, so a future may be dropped at any await point.

use crate::core::admission::{Ask, No};
use crate::core::handle::TenantHandle;
use crate::core::pressure::Pressure;
use crate::core::wait::{DECIDED_MAX, Decided};
use crate::core::waiters::{self, Outcome};
use crate::error::{Denial, DenialReason, Error, Refusal};
use crate::governor::{Effort, Extent, Governor};
use crate::grant::{Grant, HeldGrant};
use crate::request::Request;
use std::borrow::Borrow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// A place in line that borrows its governor.
pub type Ticket<'g> = HeldTicket<&'g Governor>;

/// A place in line that shares its governor, for tasks that outlive the caller.
pub type OwnedTicket = HeldTicket<Arc<Governor>>;

/// How often a thread that waits looks after the line by itself. A change that was left to others
/// is seen at the latest then.
const LOOK_AFTER_EVERY: Duration = Duration::from_millis(50);
/// Waiters for whom a step of the balancer evicts.
const LINE_LOOK_MAX: u32 = 8;

/// A place in line, or a grant that was there at once. A future of the grant, on any runtime.
///
/// Dropping it gives up the place. `Send` and `Sync`.
///
/// ```
/// use allotment::*;
/// use std::time::Duration;
///
/// let governor = Governor::new(GovernorConfig::new(8 << 20))?;
/// let chat = governor.register_tenant(TenantConfig::new(TenantId::from_u128(1), "chat"))?;
/// let running = Request::new(chat, AllocationType::ModelLoad, 6 << 20);
/// let first = governor.request(&running)?;
/// let mut second = governor.enqueue(&running, Duration::from_secs(30))?;
/// assert!(second.poll().is_none());
/// drop(first);
/// let second = second.poll().expect("its bytes came free")?;
/// assert_eq!(second.bytes(), 6 << 20);
/// # Ok::<(), Refusal>(())
/// ```
#[must_use = "a ticket gives up its place when it is dropped"]
pub struct HeldTicket<G: Borrow<Governor> + Clone> {
    governor: G,
    ask: Ask,
    place: Standing<G>,
    /// When its task is woken although nothing was decided.
    alarm_ns: Option<u64>,
}

enum Standing<G: Borrow<Governor>> {
    /// Parked; the denial that would have been the answer.
    Waiting(waiters::Ticket, Denial),
    Granted(HeldGrant<G>),
    /// The answer was taken.
    Done,
}

/// An answer that a ticket comes to.
type Answer<G> = Result<HeldGrant<G>, Refusal>;

impl Governor {
    /// Like [`Governor::request`], but where waiting can help, waits for up to `wait_max` for its
    /// turn: first in first out within the tenant, and fair between tenants by weight.
    ///
    /// Blocks the thread. A request within its tenant's guarantee never waits.
    ///
    /// # Errors
    ///
    /// As [`Governor::request`]; [`DenialReason::WaitedTooLong`] if its turn did not come in time,
    /// [`DenialReason::WaitersExhausted`] if too many wait, [`Error::Gone`] if the tenant was
    /// unregistered meanwhile.
    pub fn acquire(&self, request: &Request, wait_max: Duration) -> Result<Grant<'_>, Refusal> {
        let mut ticket = self.enqueue(request, wait_max)?;
        loop {
            if let Some(answer) = ticket.wait(wait_max.max(LOOK_AFTER_EVERY)) {
                return answer;
            }
        }
    }

    /// A grant at once, or a place in line for up to `wait_max` by the governor's clock. Does not
    /// block; evicts like [`Governor::request`].
    ///
    /// # Errors
    ///
    /// As [`Governor::request`] where waiting cannot help; [`DenialReason::WaitersExhausted`].
    pub fn enqueue(&self, request: &Request, wait_max: Duration) -> Result<Ticket<'_>, Refusal> {
        enqueue_with(self, request, wait_max)
    }

    /// Like [`Governor::enqueue`], with a ticket and a grant that keep the governor alive.
    ///
    /// # Errors
    ///
    /// As [`Governor::enqueue`].
    pub fn enqueue_owned(
        self: &Arc<Self>,
        request: &Request,
        wait_max: Duration,
    ) -> Result<OwnedTicket, Refusal> {
        enqueue_with(self.clone(), request, wait_max)
    }

    /// Requests that wait now.
    pub fn waiters(&self) -> u32 {
        self.core.scarcity.waiters()
    }

    /// Serves whoever fits by now. Called after bytes, slots or limits have changed; costs a load
    /// if nobody waits.
    #[inline]
    pub(crate) fn serve_waiters(&self) {
        if self.core.scarcity.is_waited() {
            self.hand_over();
        }
    }

    /// The same, for who may only have found that claim goes back.
    #[inline]
    pub(crate) fn serve_noted(&self) {
        let scarcity = &self.core.scarcity;
        if scarcity.is_waited() && (scarcity.is_unsettled() || self.core.waiting.is_noted()) {
            self.hand_over();
        }
    }

    #[cold]
    pub(crate) fn hand_over(&self) {
        if self.pressure() != Pressure::Normal && self.may_be_relieved() {
            // With the pressure a lower limit of who waits may end.
            self.evaluate_pressure(self.live_bytes());
        }
        // One that named all it could goes on itself: those it woke may be in no hurry.
        for _ in 0..=self.config.waiters_max as usize / DECIDED_MAX {
            let mut decided = Decided::default();
            self.core.hand_over(self.clock().now_ns(), &mut decided);
            decided.cells().iter().for_each(|&cell| self.wakers.wake(cell));
            if decided.lacks_slots {
                self.note_slots_exhausted();
            }
            if decided.cells().len() < DECIDED_MAX {
                break;
            }
        }
    }

    /// A request that does not wait, with the core's own words for a refusal.
    fn request_now(&self, ask: Ask) -> Result<Grant<'_>, (No, Extent)> {
        match self.admit(&ask) {
            Ok(granted) => Ok(self.granted(&ask, granted)),
            Err(no) => self.request_evicting(ask, no),
        }
    }

    /// Whether the request stays within its tenant's guarantee.
    fn is_guaranteed(&self, ask: &Ask) -> bool {
        let accounts = &self.core.accounts;
        accounts.used(ask.account).saturating_add(ask.bytes) <= accounts.guarantee(ask.account)
    }

    /// Why a request has to stand in line: what it is short of now, or that others are before it.
    fn short_of(&self, ask: &Ask) -> No {
        let paced = self.core.pace(ask);
        let short = || self.core.accounts.shortage(ask.account, ask.bytes);
        paced.err().unwrap_or_else(|| short().map_or(No::Contended, No::from))
    }

    /// Evicts what may go by now for those who stand first in line.
    pub(crate) fn evict_for_line(&self) {
        for place in 0..LINE_LOOK_MAX {
            let Some((_, ask)) = self.core.waiting.look(place) else { return };
            self.evict_for_waiter(&ask);
        }
    }

    /// Evicts what may go for a request that stands in line, once.
    fn evict_for_waiter(&self, ask: &Ask) {
        if let Some(obstacle) = self.core.accounts.shortage(ask.account, ask.bytes) {
            self.make_room(ask, obstacle.into(), &mut Effort::default());
            self.serve_waiters();
        }
    }

    /// Parks a request.
    fn park(&self, ask: &mut Ask, wait_max: Duration) -> Option<waiters::Ticket> {
        ask.now_ns = self.clock().now_ns();
        let wait_ns = u64::try_from(wait_max.as_nanos()).unwrap_or(u64::MAX);
        let ticket = self.core.enter_line(ask, ask.now_ns.saturating_add(wait_ns));
        match ticket {
            Some(_) => self.hand_over(),
            None => self.serve_noted(),
        }
        ticket
    }
}

fn enqueue_with<G: Borrow<Governor> + Clone>(
    shared: G,
    request: &Request,
    wait_max: Duration,
) -> Result<HeldTicket<G>, Refusal> {
    let governor: &Governor = shared.borrow();
    let mut ask = governor.ask(request)?;
    // Whoever waits goes first, but a guarantee is kept whoever waits.
    let in_turn = !governor.core.scarcity.is_waited() || governor.is_guaranteed(&ask);
    let (no, extent) = match in_turn.then(|| governor.request_now(ask).map(Grant::into_id)) {
        Some(Ok(id)) => {
            let grant = HeldGrant::new(shared.clone(), id, ask.owner());
            let place = Standing::Granted(grant);
            return Ok(HeldTicket { governor: shared, ask, place, alarm_ns: None });
        }
        Some(Err(no)) => no,
        None => (governor.short_of(&ask), Extent::of(ask.bytes)),
    };
    let denial = match governor.refusal_of(&ask, no, extent) {
        Refusal::Denied(denial)
            if denial.is_worth_waiting() && governor.core.can_ever_fit(&ask) =>
        {
            denial
        }
        _ => return Err(governor.denied(&ask, no, extent)),
    };
    let Some(ticket) = governor.park(&mut ask, wait_max) else {
        let limit = u64::from(governor.config().waiters_max);
        let reason = DenialReason::WaitersExhausted;
        return Err(Denial { reason, limit, ..denial }.into());
    };
    if !in_turn && governor.core.waiting.waiters.outcome(ticket) == Outcome::Waiting {
        governor.evict_for_waiter(&ask);
    }
    let place = Standing::Waiting(ticket, denial);
    Ok(HeldTicket { governor: shared, ask, place, alarm_ns: None })
}

impl<G: Borrow<Governor> + Clone> HeldTicket<G> {
    /// The answer, if there is one by now; taken once, after that always `None`. A few plain
    /// accesses while there is none.
    pub fn poll(&mut self) -> Option<Answer<G>> {
        match std::mem::replace(&mut self.place, Standing::Done) {
            Standing::Granted(grant) => Some(Ok(grant)),
            Standing::Done => None,
            Standing::Waiting(ticket, denial) => self.look(ticket, denial),
        }
    }

    fn look(&mut self, ticket: waiters::Ticket, denial: Denial) -> Option<Answer<G>> {
        let governor: &Governor = self.governor.borrow();
        let late =
            governor.clock().now_ns() >= governor.core.waiting.waiters.deadline_ns(ticket.index);
        if late && governor.core.expire(ticket) {
            governor.hand_over();
        }
        if governor.core.waiting.waiters.outcome(ticket) == Outcome::Waiting {
            self.place = Standing::Waiting(ticket, denial);
            return None;
        }
        governor.wakers.forget(ticket.index, self.alarm_ns);
        let answer = match governor.core.take_outcome(ticket) {
            Outcome::Granted(slot, generation) => {
                let id = governor.granted(&self.ask, (slot, generation)).into_id();
                Ok(HeldGrant::new(self.governor.clone(), id, self.ask.owner()))
            }
            Outcome::Closed => {
                let tenant = governor.tenant_handle(self.ask.owner());
                Err(Error::Gone { what: "tenant", number: tenant.as_u64() }.into())
            }
            Outcome::Expired | Outcome::Stale | Outcome::Waiting => {
                let reason = DenialReason::WaitedTooLong;
                Err(governor.count_denial(&self.ask, Denial { reason, ..denial }))
            }
        };
        // Who was woken goes on where the hand-over has left off.
        governor.serve_noted();
        Some(answer)
    }

    /// Waits for the answer, for up to `timeout` of real time. Blocks the thread.
    pub fn wait(&mut self, timeout: Duration) -> Option<Answer<G>> {
        let begin = Instant::now();
        let waker = Waker::from(Arc::new(Parked(std::thread::current())));
        loop {
            if let Poll::Ready(answer) = self.poll_with(&waker) {
                return answer;
            }
            let left = timeout.checked_sub(begin.elapsed()).filter(|left| !left.is_zero())?;
            std::thread::park_timeout(left.min(LOOK_AFTER_EVERY));
            self.look_after();
        }
    }

    /// Looks whether the line goes on by itself. Who is first in it evicts what may go by now.
    fn look_after(&self) {
        let Standing::Waiting(ticket, _) = self.place else { return };
        let governor: &Governor = self.governor.borrow();
        governor.serve_waiters();
        if let Some((first, ask)) = governor.core.waiting.look(0)
            && first == ticket
        {
            governor.evict_for_waiter(&ask);
        }
    }

    /// Registers who is woken, then looks.
    fn poll_with(&mut self, waker: &Waker) -> Poll<Option<Answer<G>>> {
        if let Standing::Waiting(ticket, _) = self.place {
            self.governor.borrow().wakers.set(ticket.index, waker);
        }
        match self.poll() {
            None if matches!(self.place, Standing::Waiting(..)) => Poll::Pending,
            answer => Poll::Ready(answer),
        }
    }

    /// Gives up the place. A grant that was assigned just before goes back.
    pub fn cancel(self) {}

    /// The tenant that waits.
    pub fn tenant(&self) -> TenantHandle {
        self.governor.borrow().tenant_handle(self.ask.owner())
    }

    /// Bytes that all who stand before it want, and its own; none if it does not stand in line.
    /// An estimate: the line may move meanwhile.
    pub fn bytes_before(&self) -> Option<u64> {
        match self.place {
            Standing::Waiting(ticket, _) => {
                self.governor.borrow().core.waiting.bytes_before(ticket)
            }
            _ => None,
        }
    }
}

impl<G: Borrow<Governor> + Clone> Drop for HeldTicket<G> {
    fn drop(&mut self) {
        let Standing::Waiting(ticket, _) = self.place else { return };
        let governor: &Governor = self.governor.borrow();
        governor.wakers.forget(ticket.index, self.alarm_ns);
        governor.core.withdraw(ticket);
        match governor.core.take_outcome(ticket) {
            Outcome::Granted(slot, generation) => {
                drop(governor.granted(&self.ask, (slot, generation)))
            }
            _ => governor.hand_over(),
        }
    }
}

impl<G: Borrow<Governor> + Clone + Unpin> Future for HeldTicket<G> {
    type Output = Answer<G>;

    /// # Panics
    ///
    /// If polled after it was ready.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let (Standing::Waiting(ticket, _), None) = (&this.place, this.alarm_ns) {
            let governor: &Governor = this.governor.borrow();
            let deadline_ns = governor.core.waiting.waiters.deadline_ns(ticket.index);
            governor.wakers.set_alarm(ticket.index, deadline_ns);
            this.alarm_ns = Some(deadline_ns);
        }
        let answer = this.poll_with(context.waker());
        answer.map(|answer| answer.expect("a ticket is not polled after it was ready"))
    }
}

impl<G: Borrow<Governor> + Clone> std::fmt::Debug for HeldTicket<G> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Ticket");
        shown.field("tenant", &self.tenant()).field("bytes", &self.ask.bytes);
        shown.field("waiting", &matches!(self.place, Standing::Waiting(..))).finish()
    }
}

/// A thread that is parked until it is woken.
struct Parked(Thread);

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

impl Denial {
    /// Whether it may turn into a grant while the request waits in line.
    fn is_worth_waiting(&self) -> bool {
        self.waiting_can_help && self.reason != DenialReason::RateLimit
    }
}
