//! Requests that wait: tickets to poll, to wait for, to cancel, or to be told of.
//!
//! A ticket is a number; a table of the governor's says which *place* it stands for. A place has
//! one state behind a mutex that nobody holds while the governor or a function of the caller's
//! runs:
//!
//! ```text
//! standing ---- a thread takes it out to look ----> out ---- nothing yet ----> standing
//!                                                   out ---- an answer  ----> answered
//! standing, answered ---- cancelled, or the answer taken ----> ended
//! out ---- cancelled ----> ended; whoever has it out gives it up
//! ```
//!
//! Who finds it out leaves a note, and whoever has it out looks again before it puts it back: no
//! answer is missed. Bytes belong to the ticket from the moment it is served; a cancelled ticket
//! gives them back.

use crate::callback::{UserData, allot_drop_fn};
use crate::denial::{allot_denial, refused};
use crate::governor::allot_governor;
use crate::grant::allot_grant;
use crate::guard::{Answer, Fault, call, call_held, call_held_to_end};
use crate::line::Line;
use crate::pointer::{Out, OutStruct, out, out_struct_optional, read};
use crate::request::{allot_request_spec, answer, ns_of};
use crate::status::{ALLOT_ERROR_STALE_TICKET, ALLOT_OK, ALLOT_QUEUED, allot_status};
use allotment::{LOOK_AFTER_EVERY, OwnedGrant, OwnedTicket, Refusal};
use std::collections::HashMap;
use std::ffi::c_void;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

/// A request that waits, by value; never 0. Ends when its answer is taken or it is cancelled.
pub type allot_ticket = u64;

/// Told that allot_ticket_poll has an answer, once. Called on a thread of the library's, with
/// nothing held, so it may call any function. The governor is valid during the call. Must not jump;
/// what it throws ends the process.
pub type allot_ticket_fn = Option<
    unsafe extern "C-unwind" fn(
        governor: *mut allot_governor,
        ticket: allot_ticket,
        user_data: *mut c_void,
    ),
>;

#[expect(clippy::disallowed_types, reason = "a name, no part of the core's models")]
static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);

/// A function to be told.
pub(crate) struct Notice {
    pub(crate) function: unsafe extern "C-unwind" fn(*mut allot_governor, u64, *mut c_void),
    pub(crate) user_data: Arc<UserData>,
    pub(crate) governor: Weak<allot_governor>,
}

/// All places of a governor, and the thread that tells of them.
#[derive(Default)]
pub(crate) struct Tickets {
    places: Mutex<HashMap<allot_ticket, Arc<Place>>>,
    line: Line,
}

pub(crate) struct Place {
    pub(crate) ticket: allot_ticket,
    inner: Mutex<Inner>,
    changed: Condvar,
    line: Line,
}

struct Inner {
    state: State,
    /// Somebody woke it, or found it out: it is to be looked at again.
    noted: bool,
    notice: Option<Notice>,
}

enum State {
    Standing(OwnedTicket),
    /// This thread is looking.
    Out(ThreadId),
    Answered(Result<OwnedGrant, Refusal>),
    Ended,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while one is held.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Tickets {
    fn enter(&self, waiting: OwnedTicket) -> allot_ticket {
        // Relaxed: a name; those of all governors differ, so that a foreign one is not found.
        let ticket = NEXT.fetch_add(1, Ordering::Relaxed);
        let inner = Inner { state: State::Standing(waiting), noted: false, notice: None };
        let place = Place {
            ticket,
            inner: Mutex::new(inner),
            changed: Condvar::new(),
            line: self.line.clone(),
        };
        lock(&self.places).insert(ticket, Arc::new(place));
        ticket
    }

    fn find(&self, ticket: allot_ticket) -> Result<Arc<Place>, Fault> {
        let place = lock(&self.places).get(&ticket).cloned();
        place.ok_or(ALLOT_ERROR_STALE_TICKET.into())
    }

    fn forget(&self, ticket: allot_ticket) {
        // What it holds is dropped with nothing held.
        let place = lock(&self.places).remove(&ticket);
        drop(place);
    }

    /// Nobody is told any more, and all that wait give up.
    pub(crate) fn end_all(&self) {
        self.line.stop();
        let places = std::mem::take(&mut *lock(&self.places));
        places.values().for_each(|place| {
            place.end();
        });
    }
}

impl Place {
    /// Looks whether there is an answer by now, unless another thread is at it, who looks again.
    pub(crate) fn look(self: &Arc<Self>, looks_after: bool) {
        loop {
            let mut inner = lock(&self.inner);
            inner.noted = matches!(inner.state, State::Out(_));
            let mut waiting =
                match std::mem::replace(&mut inner.state, State::Out(thread::current().id())) {
                    State::Standing(waiting) => waiting,
                    other => {
                        inner.state = other;
                        return;
                    }
                };
            drop(inner);
            if looks_after {
                waiting.look_after();
            }
            let waker = Waker::from(self.clone());
            let polled = Pin::new(&mut waiting).poll(&mut Context::from_waker(&waker));
            let mut inner = lock(&self.inner);
            if matches!(inner.state, State::Ended) {
                // Cancelled meanwhile: what it was given goes back, with nothing held.
                drop(inner);
                return;
            }
            inner.state = match polled {
                Poll::Pending => State::Standing(waiting),
                Poll::Ready(answer) => State::Answered(answer),
            };
            let is_answered = matches!(inner.state, State::Answered(_));
            let (noted, told) = (inner.noted, inner.notice.is_some());
            drop(inner);
            if is_answered {
                self.changed.notify_all();
                if told {
                    self.line.push(self.clone());
                }
            }
            if is_answered || !noted {
                return;
            }
        }
    }

    /// The answer, if there is one: then the place has ended.
    fn take(&self) -> Result<Option<Result<OwnedGrant, Refusal>>, Fault> {
        let mut inner = lock(&self.inner);
        let notice = match inner.state {
            State::Ended => return Err(ALLOT_ERROR_STALE_TICKET.into()),
            State::Standing(_) | State::Out(_) => return Ok(None),
            State::Answered(_) => inner.notice.take(),
        };
        let State::Answered(answer) = std::mem::replace(&mut inner.state, State::Ended) else {
            return Ok(None);
        };
        drop(inner);
        self.changed.notify_all();
        // May be the last that lets something of the caller's go.
        drop(notice);
        Ok(Some(answer))
    }

    /// Gives the place up; says whether it had not ended yet.
    fn end(&self) -> bool {
        let mut inner = lock(&self.inner);
        let notice = inner.notice.take();
        let state = std::mem::replace(&mut inner.state, State::Ended);
        drop(inner);
        self.changed.notify_all();
        drop(notice);
        !matches!(state, State::Ended)
    }

    /// Who is told, if there is an answer that nobody has taken; once.
    pub(crate) fn take_notice(&self) -> Option<Notice> {
        let mut inner = lock(&self.inner);
        match inner.state {
            State::Answered(_) => inner.notice.take(),
            _ => None,
        }
    }

    /// Sets who is told.
    fn notify_by(self: &Arc<Self>, notice: Notice) -> Result<(), Fault> {
        let mut inner = lock(&self.inner);
        if matches!(inner.state, State::Ended) {
            return Err(ALLOT_ERROR_STALE_TICKET.into());
        }
        let before = inner.notice.replace(notice);
        drop(inner);
        drop(before);
        // Whoever is to be told may be told now.
        self.line.push(self.clone());
        Ok(())
    }

    /// Whether this thread is looking at it, and is within a callback by now.
    fn is_looked_at_here(&self) -> bool {
        matches!(lock(&self.inner).state, State::Out(by) if by == thread::current().id())
    }

    /// Sleeps until it is noted or has an answer, for at most so long; says whether it was.
    fn sleep(&self, at_most: Duration) -> bool {
        let inner = lock(&self.inner);
        let quiet = |inner: &mut Inner| match inner.state {
            State::Standing(_) => !inner.noted,
            // Whoever has it out looks again where it is noted.
            State::Out(_) => true,
            State::Answered(_) | State::Ended => false,
        };
        let slept = self.changed.wait_timeout_while(inner, at_most, quiet);
        !slept.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

/// Called by whoever serves the ticket: leaves a note and nothing else.
impl Wake for Place {
    fn wake(self: Arc<Self>) {
        let told = {
            let mut inner = lock(&self.inner);
            let first = !std::mem::replace(&mut inner.noted, true);
            first && inner.notice.is_some()
        };
        self.changed.notify_all();
        if told {
            self.line.clone().push(self);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.end();
    }
}

fn taken(
    governor: &allot_governor,
    place: &Place,
    out_grant: Out<allot_grant>,
    out_denial: Option<OutStruct<allot_denial>>,
) -> Answer {
    let Some(granted) = place.take()? else { return Ok(ALLOT_QUEUED) };
    governor.tickets.forget(place.ticket);
    answer(granted.map(OwnedGrant::into_id), out_grant, out_denial)
}

/// Asks for memory; where it is not there and waiting can help, gets a place in line for up to
/// wait_ns_max by the governor's clock. Evicts like allot_request, once; what may go later is
/// evicted by allot_ticket_wait and allot_balance.
///
/// Owns: the caller the grant, or the ticket: to be ended by taking its answer or by
/// allot_ticket_cancel. Threads: any. Blocks: as allot_request; not for its turn; allocates.
/// Returns: ALLOT_OK and *out_grant; ALLOT_QUEUED and *out_ticket; ALLOT_DENIED and *out_denial
/// where waiting cannot help, or too many wait; errors as for allot_try_request. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_enqueue(
    governor: *mut allot_governor,
    request: *const allot_request_spec,
    wait_ns_max: u64,
    out_grant: *mut allot_grant,
    out_ticket: *mut allot_ticket,
    out_denial: *mut allot_denial,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        call_held(governor, |governor| {
            let request = read(request)?.checked()?;
            let out_grant = out(out_grant)?;
            let out_ticket = out(out_ticket)?;
            let out_denial = out_struct_optional(out_denial)?;
            let wait_max = Duration::from_nanos(wait_ns_max);
            let mut waiting = match governor.inner.enqueue_owned(&request, wait_max) {
                Ok(waiting) => waiting,
                Err(refusal) => return refused(refusal, out_denial),
            };
            if let Some(granted) = waiting.poll() {
                return answer(granted.map(OwnedGrant::into_id), out_grant, out_denial);
            }
            let ticket = governor.tickets.enter(waiting);
            out_ticket.write(ticket);
            // From now on it is known, and is woken.
            governor.tickets.find(ticket)?.look(false);
            Ok(ALLOT_QUEUED)
        })
    }
}

/// The answer to a ticket, if there is one by now; with it the ticket ends.
///
/// Owns: the caller the grant. Threads: any. Blocks: on mutexes, for moments. Returns: ALLOT_OK and
/// *out_grant; ALLOT_QUEUED: it still waits; ALLOT_DENIED and *out_denial, with
/// ALLOT_REASON_WAITED_TOO_LONG; ALLOT_ERROR_GONE if the tenant was unregistered meanwhile;
/// ALLOT_ERROR_STALE_TICKET. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_ticket_poll(
    governor: *mut allot_governor,
    ticket: allot_ticket,
    out_grant: *mut allot_grant,
    out_denial: *mut allot_denial,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        call_held(governor, |governor| {
            let out_grant = out(out_grant)?;
            let out_denial = out_struct_optional(out_denial)?;
            let place = governor.tickets.find(ticket)?;
            place.look(false);
            taken(governor, &place, out_grant, out_denial)
        })
    }
}

/// Waits for the answer to a ticket, for up to timeout_ns of real time. While it is first in line
/// it evicts what may go by now; a callback that runs within it and waits for the same ticket is
/// answered at once.
///
/// Owns: the caller the grant. Threads: any; another one may cancel the ticket meanwhile. Blocks:
/// for up to timeout_ns, and as long as reclaim callbacks take. Returns: as allot_ticket_poll;
/// ALLOT_QUEUED when the time is over. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_ticket_wait(
    governor: *mut allot_governor,
    ticket: allot_ticket,
    timeout_ns: u64,
    out_grant: *mut allot_grant,
    out_denial: *mut allot_denial,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        call_held(governor, |governor| {
            let out_grant = out(out_grant)?;
            let out_denial = out_struct_optional(out_denial)?;
            let place = governor.tickets.find(ticket)?;
            let (begin, timeout) = (Instant::now(), Duration::from_nanos(timeout_ns));
            let mut looks_after = false;
            loop {
                place.look(looks_after);
                let status = taken(governor, &place, out_grant, out_denial)?;
                let left = timeout.saturating_sub(begin.elapsed());
                // A callback that waits for what its own thread is looking after would wait for
                // itself.
                if status != ALLOT_QUEUED || left.is_zero() || place.is_looked_at_here() {
                    return Ok(status);
                }
                looks_after = !place.sleep(left.min(LOOK_AFTER_EVERY));
            }
        })
    }
}

/// Gives a place in line up. A grant that it was just given goes back: by the time this returns, or
/// when the look at the ticket ends that another thread, or the library's, has begun before.
///
/// Owns: takes the ticket. Threads: any. Blocks: on mutexes, for moments. Returns: ALLOT_OK;
/// ALLOT_ERROR_STALE_TICKET if its answer was taken, or it was cancelled before. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_ticket_cancel(
    governor: *mut allot_governor,
    ticket: allot_ticket,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        call_held_to_end(governor, |governor| {
            let place = governor.tickets.find(ticket)?;
            governor.tickets.forget(ticket);
            if !place.end() {
                return Err(ALLOT_ERROR_STALE_TICKET.into());
            }
            Ok(ALLOT_OK)
        })
    }
}

/// How long a ticket will still wait, in ns from now on, by the rate at which waiters were served
/// lately; ALLOT_UNKNOWN if that is not known, 0 if it has its answer.
///
/// Threads: any. Blocks: on mutexes, for moments; steps grow with the line. Returns: ALLOT_OK and
/// *out_wait_ns; ALLOT_ERROR_STALE_TICKET. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_ticket_estimate(
    governor: *mut allot_governor,
    ticket: allot_ticket,
    out_wait_ns: *mut u64,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        call(governor, |governor| {
            let out_wait_ns = out(out_wait_ns)?;
            let place = governor.tickets.find(ticket)?;
            let wait_ns = match &lock(&place.inner).state {
                State::Standing(waiting) => ns_of(waiting.estimate()),
                State::Out(_) => crate::governor::ALLOT_UNKNOWN,
                State::Answered(_) => 0,
                State::Ended => return Err(ALLOT_ERROR_STALE_TICKET.into()),
            };
            out_wait_ns.write(wait_ns);
            Ok(ALLOT_OK)
        })
    }
}

/// Sets who is told when a ticket has an answer, at once if it has one. The answer stays until
/// allot_ticket_poll takes it. A second call replaces the first. Who takes the answer or cancels
/// the ticket earlier may still meet a call that is under way on the library's thread.
///
/// Owns: takes user_data if it answers ALLOT_OK, and gives it back by drop_fn. Threads: any.
/// Blocks: on mutexes, for moments; the first one starts a thread. Returns: ALLOT_OK;
/// ALLOT_ERROR_NULL for no function; ALLOT_ERROR_STALE_TICKET; ALLOT_ERROR_THREAD. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_ticket_on_ready(
    governor: *mut allot_governor,
    ticket: allot_ticket,
    function: allot_ticket_fn,
    user_data: *mut c_void,
    drop_fn: allot_drop_fn,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        call_held(governor, |governor| {
            let function = function.ok_or(Fault::from(crate::status::ALLOT_ERROR_NULL))?;
            let place = governor.tickets.find(ticket)?;
            governor.tickets.line.start()?;
            UserData::new(user_data, drop_fn).hand_over(|user_data| {
                let governor = Arc::downgrade(&governor.hold());
                place.notify_by(Notice { function, user_data, governor })?;
                Ok(ALLOT_OK)
            })
        })
    }
}
