//! Waiting for memory: tickets, blocking, and `async` on any runtime.
//!
//! | I want | call |
//! |---|---|
//! | to block until there is room | [`Governor::acquire`] |
//! | a place in line, and to look when I like | [`Governor::enqueue`], then [`HeldTicket::poll`] |
//! | to await it | `governor.enqueue_owned(..)?.await` |
//! | to wait only while others hold what I need | [`Governor::request_or_enqueue_owned`] |
//! | to wait in an executor of my own | [`HeldTicket::look_after`] every [`LOOK_AFTER_EVERY`] |
//! | to know how long it takes | [`HeldTicket::estimate`], [`Governor::estimated_wait`] |
//!
//! The line itself, who is served next and when bytes are set aside, is `core/wait.rs`; who is
//! woken is `wakers.rs`. Here is what needs a thread or a task: looking after a place in line.
//!
//! Bytes belong to a waiter before it wakes. A ticket that is dropped gives up its place, and gives
//! back a grant that had just been assigned, so a future may be dropped at any await point.

use crate::config::AllocationType;
use crate::core::admission::{Ask, No};
use crate::core::bugs::{Bug, planted};
use crate::core::events::{EventKind, GRANT_RECORDS, Verb};
use crate::core::handle::TenantHandle;
use crate::core::pressure::Pressure;
use crate::core::wait::{DECIDED_MAX, Decided, Left};
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

/// How often a thread that waits looks after the line by itself ([`HeldTicket::look_after`]). A
/// change that was left to others is seen at the latest then.
pub const LOOK_AFTER_EVERY: Duration = Duration::from_millis(50);
/// Waiters for whom a step of the balancer evicts.
const LINE_LOOK_MAX: u32 = 8;
/// How often a thread looks along the line anew that nobody waits in, and others leave notes for.
const NOBODY_WAITS_MAX: usize = 64;

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
    /// Its number in the records; 0: it did not stand in line, or nothing is recorded.
    number: u64,
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
        enqueue_with(self, request, wait_max, Waits::Anywhere)
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
        enqueue_with(self.clone(), request, wait_max, Waits::Anywhere)
    }

    /// Like [`Governor::request_owned`], but where memory is short above the tenant and waiting
    /// can help, a place in line for up to `wait_max`. At its own limits a tenant is refused. Goes
    /// before those who wait if it fits while they do not. Does not block.
    ///
    /// # Errors
    ///
    /// As [`Governor::request`]; [`DenialReason::WaitersExhausted`].
    pub fn request_or_enqueue_owned(
        self: &Arc<Self>,
        request: &Request,
        wait_max: Duration,
    ) -> Result<OwnedTicket, Refusal> {
        enqueue_with(self.clone(), request, wait_max, Waits::Above)
    }

    /// How long `request` would wait if it were made now, by the rate at which waiters were served
    /// lately; `None` if that is unknown, and wherever waiting cannot help. As
    /// [`HeldTicket::estimate`]; zero if its bytes are free, or can be evicted for it and nobody is
    /// before it.
    ///
    /// Looks only: takes no bytes and no place, evicts nothing, and asks neither rate nor number of
    /// grants. Steps grow with the line, and if nobody waits with the number of tenants.
    pub fn estimated_wait(&self, request: &Request) -> Option<Duration> {
        let ask = self.ask_in_line(request).ok()?;
        let free = self.core.accounts.shortage(ask.account, ask.bytes).is_none();
        let in_turn = !self.core.scarcity.is_waited();
        if free || in_turn && self.attainable(request).ok()? >= ask.bytes {
            return Some(Duration::ZERO);
        }
        if !self.core.can_ever_fit(&ask) {
            return None;
        }
        self.core.wait_ns_of(&ask, self.clock().now_ns()).map(Duration::from_nanos)
    }

    /// Requests that wait now.
    pub fn waiters(&self) -> u32 {
        self.core.scarcity.waiters()
    }

    /// Bytes due to those behind whom `request` would stand in line if it entered it now. A look
    /// while the line may move; steps grow with the line.
    ///
    /// # Errors
    ///
    /// As [`Governor::evict_for`].
    pub fn bytes_ahead(&self, request: &Request) -> Result<u64, Error> {
        Ok(self.core.owed_before(&self.ask_in_line(request)?))
    }

    /// Evicts what may go for a request that stands in line, as [`Governor::request`] would: what
    /// was pinned or busy when it entered may go by now. Whoever is next in line gets it.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`], [`Error::Foreign`], [`Error::ZeroBytes`], [`Error::TooLarge`].
    pub fn evict_for(&self, request: &Request) -> Result<(), Error> {
        let mut ask = self.ask_in_line(request)?;
        ask.now_ns = self.clock().now_ns();
        self.note_evict_for(request, &ask);
        self.serve_waiters();
        self.evict_for_waiter(&ask);
        self.tell_pressure();
        Ok(())
    }

    /// The request of a tenant that is registered: its handle may be of an earlier one in its slot.
    fn ask_in_line(&self, request: &Request) -> Result<Ask, Error> {
        let ask = self.ask(request)?;
        if self.core.is_gone(&ask) {
            return Err(Error::Gone { what: "tenant", number: request.tenant.as_u64() });
        }
        Ok(ask)
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
        if scarcity.is_waited() && (self.core.is_unsettled() || self.core.waiting.is_noted()) {
            self.hand_over();
        }
    }

    /// The same, also if nobody waits any more: a note may be of one who has given up, and whom
    /// nobody has let go of yet. For who left the line to others, or was taken for one of them.
    pub(crate) fn serve_left(&self) {
        if self.core.scarcity.is_waited() {
            self.hand_over();
        } else if self.core.waiting.is_noted() {
            self.walk_line();
        }
    }

    #[cold]
    pub(crate) fn hand_over(&self) {
        self.lower_pressure();
        // A walk collects what is idle, and then the pressure may be seen to have fallen: at most
        // so many times. Whoever lowers it looks at the line.
        for _ in 1..Pressure::ALL.len() {
            if self.walk_line() != Left::Clear || !self.lower_pressure() {
                return;
            }
        }
        self.walk_line();
    }

    /// Serves those who fit at the present level of pressure; says how the line was left.
    fn walk_line(&self) -> Left {
        // One that named all it could goes on itself: those it woke may be in no hurry. So does
        // one that was left notes by who has given up.
        for _ in 0..=self.config.waiters_max as usize / DECIDED_MAX + NOBODY_WAITS_MAX {
            let mut decided = Decided::told_to(self);
            let left = self.core.hand_over(self.clock().now_ns(), &mut decided);
            decided.cells().iter().for_each(|&cell| {
                self.wakers.wake(cell);
            });
            if decided.lacks_slots {
                self.note_slots_exhausted();
            }
            if left == Left::Clear || left == Left::Noted && self.is_left_to_others() {
                return left;
            }
        }
        // The next one that waits looks, or a step of the balancer.
        Left::Full
    }

    /// Whether somebody looks at the line where this thread left it. Who still waits does so when
    /// it gives up, if not before: the first in line who can be woken is.
    #[cold]
    fn is_left_to_others(&self) -> bool {
        let is_waited = self.core.scarcity.is_waited();
        if is_waited {
            let mut standing = self.core.waiting.standing();
            standing.any(|cell| self.wakers.wake(cell));
        }
        is_waited
    }

    /// A request that does not wait, with the core's own words for a refusal.
    fn request_now(&self, ask: Ask) -> Result<Grant<'_>, (No, Extent)> {
        match self.admit(&ask) {
            Ok(granted) => Ok(self.granted(&ask, granted)),
            Err(no) => self.request_evicting(ask, no).inspect(|_| self.tell_pressure()),
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

    /// The request of one who stands in line, as far as it decides who is evicted for it.
    fn plain_request(&self, ask: &Ask) -> Request {
        let kind = AllocationType::ALL[usize::from(ask.kind)];
        Request::new(self.tenant_handle(ask.owner()), kind, ask.bytes)
    }

    /// Evicts what may go for a request that stands in line, once.
    fn evict_for_waiter(&self, ask: &Ask) {
        if let Some(obstacle) = self.core.accounts.shortage(ask.account, ask.bytes) {
            let ask = &Ask { now_ns: self.clock().now_ns(), ..*ask };
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
            None => self.serve_left(),
        }
        ticket
    }
}

/// Where a request waits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waits {
    /// In its turn, wherever waiting can help.
    Anywhere,
    /// Only where others hold what it needs.
    Above,
}

fn enqueue_with<G: Borrow<Governor> + Clone>(
    shared: G,
    request: &Request,
    wait_max: Duration,
    waits: Waits,
) -> Result<HeldTicket<G>, Refusal> {
    let governor: &Governor = shared.borrow();
    let mut ask = governor.ask(request)?;
    let verb = if waits == Waits::Above { Verb::RequestOrEnqueue } else { Verb::Enqueue };
    let wait_ns = u64::try_from(wait_max.as_nanos()).unwrap_or(u64::MAX);
    governor.begin_waiting(verb, request, &ask, wait_ns)?;
    match find_standing(&shared, &mut ask, wait_max, waits) {
        Ok((place, number)) => {
            let ticket = HeldTicket { governor: shared, ask, place, alarm_ns: None, number };
            if let Standing::Waiting(..) = ticket.place {
                ticket.governor.borrow().tell_pressure();
            }
            Ok(ticket)
        }
        Err(refusal) => {
            governor.tell_pressure();
            Err(refusal)
        }
    }
}

/// A grant or a place in line, and its number in the records.
fn find_standing<G: Borrow<Governor> + Clone>(
    shared: &G,
    ask: &mut Ask,
    wait_max: Duration,
    waits: Waits,
) -> Result<(Standing<G>, u64), Refusal> {
    let governor: &Governor = shared.borrow();
    // Whoever waits goes first, but a guarantee is kept whoever waits.
    let in_turn =
        waits == Waits::Above || !governor.core.scarcity.is_waited() || governor.is_guaranteed(ask);
    let (no, extent) = match in_turn.then(|| governor.request_now(*ask).map(Grant::into_id)) {
        Some(Ok(id)) => {
            let grant = HeldGrant::new(shared.clone(), id, ask.owner());
            return Ok((Standing::Granted(grant), 0));
        }
        Some(Err(no)) => no,
        None => (governor.short_of(ask), Extent::of(ask.bytes)),
    };
    // In line nobody is asked for its rate any more.
    let may_wait = no.is_paced() && governor.core.can_ever_fit(ask);
    let denial = match governor.refusal_of(ask, no, extent) {
        // First: what it is short of may be the next tenant's of the slot.
        _ if governor.core.is_gone(ask) => return Err(governor.denied(ask, No::Closed, extent)),
        Refusal::Denied(denial) if may_wait && denial.is_worth(waits) => denial,
        _ => return Err(governor.denied(ask, no, extent)),
    };
    let number = governor.begin_queue(ask)?;
    let Some(ticket) = governor.park(ask, wait_max) else {
        governor.core.events.give_room(GRANT_RECORDS);
        let limit = u64::from(governor.config().waiters_max);
        let reason = DenialReason::WaitersExhausted;
        let denial = Denial { reason, limit, ..denial };
        return Err(governor.count_denial(ask, denial, number));
    };
    if !in_turn && governor.core.waiting.waiters.outcome(ticket) == Outcome::Waiting {
        governor.evict_for_waiter(ask);
    }
    Ok((Standing::Waiting(ticket, denial), number))
}

impl<G: Borrow<Governor> + Clone> HeldTicket<G> {
    /// The answer, if there is one by now; taken once, after that always `None`. A few plain
    /// accesses while there is none, and nobody left the line to others.
    pub fn poll(&mut self) -> Option<Answer<G>> {
        match std::mem::replace(&mut self.place, Standing::Done) {
            Standing::Granted(grant) => Some(Ok(grant)),
            Standing::Done => None,
            Standing::Waiting(ticket, denial) => self.look(ticket, denial),
        }
    }

    /// Whether [`HeldTicket::poll`] has an answer: looks and takes nothing. Wait-free.
    pub fn is_ready(&self) -> bool {
        match self.place {
            Standing::Granted(_) => true,
            Standing::Done => false,
            Standing::Waiting(ticket, _) => {
                self.is_late(ticket) || self.outcome(ticket) != Outcome::Waiting
            }
        }
    }

    /// Whether its bytes belong to it already. Wait-free.
    pub fn is_granted(&self) -> bool {
        match self.place {
            Standing::Granted(_) => true,
            Standing::Done => false,
            Standing::Waiting(ticket, _) => matches!(self.outcome(ticket), Outcome::Granted(..)),
        }
    }

    fn outcome(&self, ticket: waiters::Ticket) -> Outcome {
        self.governor.borrow().core.waiting.waiters.outcome(ticket)
    }

    fn is_late(&self, ticket: waiters::Ticket) -> bool {
        let governor: &Governor = self.governor.borrow();
        governor.clock().now_ns() >= governor.core.waiting.waiters.deadline_ns(ticket.index)
    }

    fn look(&mut self, ticket: waiters::Ticket, denial: Denial) -> Option<Answer<G>> {
        let governor: &Governor = self.governor.borrow();
        let is_late = self.is_late(ticket);
        if governor.core.events.has_calls() && (is_late || self.outcome(ticket) != Outcome::Waiting)
        {
            governor.note_polled(&self.ask, self.number);
        }
        if is_late && governor.core.expire(ticket) {
            governor.hand_over();
        }
        let waits = || governor.core.waiting.waiters.outcome(ticket) == Outcome::Waiting;
        if waits() {
            // Who was woken to look at the line does so.
            governor.serve_noted();
        }
        if waits() {
            self.place = Standing::Waiting(ticket, denial);
            return None;
        }
        governor.wakers.forget(ticket.index, self.alarm_ns);
        let answer = match governor.core.take_outcome(ticket) {
            Outcome::Granted(slot, generation) => {
                let id = governor.granted(&self.ask, (slot, generation)).into_id();
                governor.record_ticket(EventKind::Taken, &self.ask, self.number, id.as_u64());
                Ok(HeldGrant::new(self.governor.clone(), id, self.ask.owner()))
            }
            Outcome::Closed => {
                governor.record_ticket(EventKind::Withdrawn, &self.ask, self.number, 0);
                let tenant = governor.tenant_handle(self.ask.owner());
                Err(Error::Gone { what: "tenant", number: tenant.as_u64() }.into())
            }
            Outcome::Expired | Outcome::Stale | Outcome::Waiting => {
                let reason = DenialReason::WaitedTooLong;
                Err(governor.count_denial(&self.ask, Denial { reason, ..denial }, self.number))
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

    /// Looks whether the line goes on by itself, and if this ticket is the first in it evicts what
    /// may go by now: what was pinned or busy when it entered. What a thread in
    /// [`HeldTicket::wait`] does every [`crate::LOOK_AFTER_EVERY`], for executors of one's own;
    /// then look for the answer.
    ///
    /// Not needed for what a release hands over: that comes, and wakes, without it. Costs a few
    /// plain accesses where there is nothing to do, and nothing once there is an answer. Of the
    /// first in line it is a whole eviction, which calls reclaim handlers with nothing held, so it
    /// must not be called with a lock that they take; its steps are not bounded by a constant.
    ///
    /// May be called from any thread, also while others do the same.
    ///
    /// ```
    /// use allotment::*;
    /// use std::time::Duration;
    ///
    /// let governor = Governor::new(GovernorConfig::new(8 << 20))?;
    /// let chat = governor.register_tenant(TenantConfig::new(TenantId::from_u128(1), "chat"))?;
    /// governor.on_reclaim(|_| ReclaimAnswer::Freed);
    /// let cached = governor.request(&Request::new(chat, AllocationType::Cache, 8 << 20))?;
    /// governor.pin(chat, cached.id())?;
    /// let running = Request::new(chat, AllocationType::Inference, 8 << 20);
    /// let mut ticket = governor.enqueue(&running, Duration::from_secs(30))?;
    /// governor.unpin(chat, cached.id())?;
    /// assert!(ticket.poll().is_none(), "nobody has looked whether it may go by now");
    /// ticket.look_after();
    /// assert!(ticket.poll().is_some());
    /// # Ok::<(), Refusal>(())
    /// ```
    pub fn look_after(&self) {
        let Standing::Waiting(ticket, _) = self.place else { return };
        let governor: &Governor = self.governor.borrow();
        match governor.core.waiting.look(0) {
            Some((first, ask)) if first == ticket => {
                let ask = Ask { now_ns: governor.clock().now_ns(), ..ask };
                governor.note_evict_for(&governor.plain_request(&ask), &ask);
                governor.serve_waiters();
                governor.evict_for_waiter(&ask);
                governor.tell_pressure();
            }
            _ => governor.serve_noted(),
        }
    }

    /// Sets who is woken once there is an answer, at the latest at its deadline; to be called
    /// before [`HeldTicket::is_ready`]. Answers who was set before, to be dropped with nothing
    /// held: it may be the last of its task, which may have tickets as well.
    #[must_use = "to be dropped with nothing held"]
    pub(crate) fn wake_by(&mut self, waker: Waker) -> Option<Waker> {
        if let (Standing::Waiting(ticket, _), None) = (&self.place, self.alarm_ns) {
            let governor: &Governor = self.governor.borrow();
            let deadline_ns = governor.core.waiting.waiters.deadline_ns(ticket.index);
            governor.wakers.set_alarm(ticket.index, deadline_ns);
            self.alarm_ns = Some(deadline_ns);
        }
        self.set_waker(waker)
    }

    fn set_waker(&self, waker: Waker) -> Option<Waker> {
        let Standing::Waiting(ticket, _) = self.place else { return None };
        self.governor.borrow().wakers.set(ticket.index, waker)
    }

    /// Registers who is woken, then looks.
    fn poll_with(&mut self, waker: &Waker) -> Poll<Option<Answer<G>>> {
        drop(self.set_waker(waker.clone()));
        self.polled()
    }

    fn polled(&mut self) -> Poll<Option<Answer<G>>> {
        match self.poll() {
            None if matches!(self.place, Standing::Waiting(..)) => Poll::Pending,
            answer => Poll::Ready(answer),
        }
    }

    /// Gives up the place. A grant that was assigned just before goes back.
    pub fn cancel(self) {}

    /// Its number in the records of events and of the audit log; none if it did not stand in line,
    /// or nothing is recorded.
    pub fn number(&self) -> Option<u64> {
        (self.number != 0).then_some(self.number)
    }

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

    /// How long it will still wait, from now on, by the governor's clock; `None` if that is
    /// unknown.
    ///
    /// The bytes due to those before it and to itself, at the rate at which waiters were served in
    /// about the last 10 s of waiting. Unknown until that has happened at two instants, at a limit
    /// of its own tenant, and where something else than bytes is missing. Neither a promise nor a
    /// bound: who is due earlier or fits sooner may pass it, who gives up makes way.
    ///
    /// Blocks nobody; steps grow with the line.
    pub fn estimate(&self) -> Option<Duration> {
        let Standing::Waiting(ticket, _) = self.place else { return None };
        let governor: &Governor = self.governor.borrow();
        let wait_ns = governor.core.wait_ns(ticket, governor.clock().now_ns())?;
        Some(Duration::from_nanos(wait_ns))
    }
}

impl<G: Borrow<Governor> + Clone> Drop for HeldTicket<G> {
    fn drop(&mut self) {
        let Standing::Waiting(ticket, _) = self.place else { return };
        let governor: &Governor = self.governor.borrow();
        governor.wakers.forget(ticket.index, self.alarm_ns);
        governor.core.withdraw(ticket);
        governor.record_ticket(EventKind::Withdrawn, &self.ask, self.number, 0);
        match governor.core.take_outcome(ticket) {
            Outcome::Granted(..) if planted(Bug::CancelledKept) => {}
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
        drop(this.wake_by(context.waker().clone()));
        this.polled().map(|answer| answer.expect("a ticket is not polled after it was ready"))
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
    /// Whether it may turn into a grant while the request, which has passed its rate, waits in line
    /// there.
    fn is_worth(&self, waits: Waits) -> bool {
        let above = [DenialReason::Capacity, DenialReason::GroupLimit].contains(&self.reason);
        (waits == Waits::Anywhere || above) && self.waiting_can_help
    }
}
