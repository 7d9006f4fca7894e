//! Places in the queue: what becomes of a request that the pool cannot serve now, but could if
//! others gave something back.
//!
//! ```text
//! request    -> Queued                 a place is taken in the governor's line
//! the same   -> Granted                its bytes were assigned: they were its own before it asked
//!            -> Queued                 it waits, with a fresh estimate
//!            -> Denied                 it has waited as long as it may
//! silence    -> the place lapses       and whoever is next gets what was assigned to it
//!
//! Q1  bytes(place) = its request's bytes once they were assigned, 0 before
//! Q2  a place leaves the table once, under its tenant's mutex; who took it out has what it holds
//! Q3  places(tenant) <= queue_places_max
//! Q4  a place that was not asked for may lapse from: last answer + the wait it told + queue_keep
//!     and does by the governor's alarm; where the clock is moved by hand, or no thread can be had,
//!     by the next step of the manager, verb that names a tenant, or poll of who awaits its turn
//! Q5  a place enters only while its tenant is registered and not on hold
//! ```
//!
//! A request is the same if tenant, model, allocation type and bytes are. Who awaits its turn
//! (`acquire.rs`) has a place of its own, which lasts as long as its future.
//!
//! Tickets are dropped and answers taken with nothing held: both may wake tasks.

use super::allocation::{Given, Refused, Wanted};
use super::error::MemoryError;
use super::record::Key;
use super::tenant::Tenant;
use super::{Counter, Inner, MultiTenantMemoryManager, lock};
use crate::config::AllocationType;
use crate::error::{DenialReason, Refusal};
use crate::waiting::OwnedTicket;
use crate::wakers::wake_caught;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock, Weak};
use std::task::{Wake, Waker};
use std::time::Duration;

/// Longest time that anybody can be made to wait, or a place be kept.
const TIME_MAX: Duration = Duration::from_secs(24 * 3_600);
/// Most places that can be set for one tenant: as many as can wait at all.
const PLACES_MAX: u32 = 1 << 16;
/// Never.
const NEVER: u64 = u64::MAX;
/// Since when a request waits that did not wait.
pub(super) const JUST_NOW: u64 = u64::MAX;

/// How requests are queued.
#[derive(Clone, Copy, Debug)]
pub(super) struct QueueOptions {
    pub enabled: bool,
    pub wait_max: Duration,
    /// None: ten seconds, or the longest wait if that is less.
    pub keep_set: Option<Duration>,
    pub places_max: u32,
}

impl Default for QueueOptions {
    fn default() -> Self {
        let wait_max = Duration::from_secs(30);
        Self { enabled: true, wait_max, keep_set: None, places_max: 64 }
    }
}

impl QueueOptions {
    fn keep(&self) -> Duration {
        self.keep_set.unwrap_or(self.wait_max.min(Duration::from_secs(10)))
    }
}

impl QueueOptions {
    pub(super) fn validate(&self) -> Result<(), MemoryError> {
        let refuse = |field, problem| Err(MemoryError::Config { field, problem });
        if self.wait_max.is_zero() || self.wait_max > TIME_MAX {
            let (wait, most) = (self.wait_max.as_secs_f64(), TIME_MAX.as_secs());
            let problem =
                format!("{wait} s is out of range; use more than 0 s, up to {most} s (24 h)");
            return refuse("queue_wait_max", problem);
        }
        let (keep, most) = (self.keep(), self.wait_max);
        if keep.is_zero() || keep > most {
            let (keep, most) = (keep.as_secs_f64(), most.as_secs_f64());
            let problem = format!(
                "{keep} s is out of range; use more than 0 s, up to the queue_wait_max of {most} s"
            );
            return refuse("queue_keep", problem);
        }
        if self.places_max == 0 || self.places_max > PLACES_MAX {
            let way = "switch queueing off to queue nothing";
            let problem =
                format!("{} is out of range; use 1 to {PLACES_MAX}, or {way}", self.places_max);
            return refuse("queue_places_max", problem);
        }
        Ok(())
    }
}

/// What all tenants' places have in common.
pub(super) struct Queue {
    pub options: QueueOptions,
    /// No place lapses before this time.
    next_lapse_ns: Counter,
    /// Lets places lapse when it is woken; set once.
    lapser: OnceLock<Waker>,
    /// Names of awaited places given so far.
    awaited: Counter,
}

impl Queue {
    pub(super) fn new(options: QueueOptions) -> Self {
        let (next_lapse_ns, awaited) = (Counter::new(NEVER), Counter::new(0));
        Self { options, next_lapse_ns, lapser: OnceLock::new(), awaited }
    }

    pub(super) fn next_awaited(&self) -> PlaceKey {
        // Relaxed: only the value matters.
        PlaceKey::Awaited(self.awaited.fetch_add(1, Ordering::Relaxed))
    }

    /// Answers whether nothing was to lapse as early as that.
    fn note_lapse(&self, lapses_ns: u64) -> bool {
        // Relaxed: called with the tenant's table held. Who exchanges in `is_due` looks at that
        // table afterwards: either it finds the place, or this comes later and stays.
        lapses_ns < self.next_lapse_ns.fetch_min(lapses_ns, Ordering::Relaxed)
    }

    /// No place lapses before this time, unless somebody looks at the tables just now.
    fn next_lapse_ns(&self) -> u64 {
        // Relaxed: a hint, as in `note_lapse`.
        self.next_lapse_ns.load(Ordering::Relaxed)
    }

    /// Whether anything can have lapsed, without asking what time it is where nothing can.
    fn may_lapse(&self) -> bool {
        self.next_lapse_ns() != NEVER
    }

    /// Whether anything can have lapsed by now; whoever is told so looks at every tenant.
    fn is_due(&self, now_ns: u64) -> bool {
        if now_ns < self.next_lapse_ns() {
            return false;
        }
        // Relaxed: ordered by the tables that are looked at next, as in `note_lapse`.
        self.next_lapse_ns.swap(NEVER, Ordering::Relaxed) != NEVER
    }
}

/// Whose place it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PlaceKey {
    /// Whoever asks for the same.
    Asked { model: String, kind: AllocationType, bytes: u64 },
    /// A future's.
    Awaited(u64),
}

impl PlaceKey {
    fn of(wanted: &Wanted) -> Self {
        Self::Asked { model: wanted.model.clone(), kind: wanted.kind, bytes: wanted.bytes }
    }
}

/// A place in the queue.
pub(super) struct Place {
    pub ticket: OwnedTicket,
    bytes: u64,
    pub entered_ns: u64,
    /// When it has waited as long as it may.
    until_ns: u64,
    /// When it lapses unless it is asked for.
    lapses_ns: u64,
    /// When it was last looked for something to evict.
    evicted_ns: u64,
    /// Who awaits it.
    pub waker: Option<Waker>,
}

impl Place {
    /// A place in line since `now_ns`.
    pub(super) fn new(ticket: OwnedTicket, bytes: u64, now_ns: u64, wait_max: Duration) -> Self {
        Self {
            ticket,
            bytes,
            entered_ns: now_ns,
            until_ns: now_ns.saturating_add(nanos(wait_max)),
            lapses_ns: NEVER,
            evicted_ns: now_ns,
            waker: None,
        }
    }

    /// Q1.
    fn assigned_bytes(&self) -> u64 {
        if self.ticket.is_granted() { self.bytes } else { 0 }
    }

    /// Whole seconds after which to ask again: what is estimated; where nothing is known, or it
    /// would be longer, until there is an answer in any case.
    fn wait_secs(&self, now_ns: u64) -> u64 {
        let left = Duration::from_nanos(self.until_ns.saturating_sub(now_ns));
        whole_secs(self.ticket.estimate().map_or(left, |estimate| estimate.min(left)))
    }

    /// Tells when to ask again, and keeps the place for longer than that.
    fn tell(&mut self, now_ns: u64, keep: Duration) -> u64 {
        let secs = self.wait_secs(now_ns);
        let told_ns = now_ns.saturating_add(nanos(Duration::from_secs(secs)));
        self.lapses_ns = told_ns.saturating_add(nanos(keep));
        secs
    }

    /// Whether something that was busy or pinned may go for it by now; asked once in a while.
    fn may_evict(&mut self, now_ns: u64, every_ns: u64) -> bool {
        let due = now_ns.saturating_sub(self.evicted_ns) >= every_ns;
        if due {
            self.evicted_ns = now_ns;
        }
        due
    }
}

/// Rounded up, and at least 1 for who waits.
fn whole_secs(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The places of one tenant, behind its mutex.
#[derive(Default)]
pub(super) struct Places(BTreeMap<PlaceKey, Place>);

impl Places {
    pub(super) fn get_mut(&mut self, key: &PlaceKey) -> Option<&mut Place> {
        self.0.get_mut(key)
    }

    /// Q2.
    pub(super) fn take(&mut self, key: &PlaceKey) -> Option<Place> {
        self.0.remove(key)
    }

    /// All of them; to be closed with nothing held.
    pub(super) fn take_all(&mut self) -> Vec<Place> {
        std::mem::take(&mut self.0).into_values().collect()
    }

    /// Those whose bytes were assigned; to be closed with nothing held.
    pub(super) fn take_assigned(&mut self) -> Vec<Place> {
        let assigned = self.0.extract_if(.., |_, place| place.ticket.is_granted());
        assigned.map(|(_, place)| place).collect()
    }

    /// Those that nobody has asked for, and when the next of the others lapses.
    fn take_lapsed(&mut self, now_ns: u64) -> (Vec<Place>, u64) {
        let lapsed = self.0.extract_if(.., |_, place| place.lapses_ns <= now_ns);
        let lapsed = lapsed.map(|(_, place)| place).collect();
        let next_ns = self.0.values().map(|place| place.lapses_ns).min();
        (lapsed, next_ns.unwrap_or(NEVER))
    }

    /// Requests that wait for their bytes.
    pub(super) fn waiting(&self) -> u64 {
        self.0.values().filter(|place| !place.ticket.is_granted()).count() as u64
    }

    /// Bytes that were assigned and not fetched.
    pub(super) fn assigned_bytes(&self) -> u64 {
        self.0.values().fold(0, |sum, place| sum.saturating_add(place.assigned_bytes()))
    }
}

/// Gives places back: their bytes, if they were assigned, go to whoever is next. Called with
/// nothing held.
pub(super) fn close(places: impl IntoIterator<Item = Place>) {
    for Place { ticket, waker, .. } in places {
        drop(ticket);
        if let Some(waker) = waker {
            wake_caught(waker);
        }
    }
}

/// What was found of a place.
enum Found {
    /// None, or it has lapsed; whether there may be one.
    Nothing { may_queue: bool },
    /// It has an answer.
    Ready(Box<Place>),
    /// It waits; whether to look once more for something to evict.
    Waiting { secs: u64, evict: bool },
}

/// What a request is that was asked.
pub(super) enum Again {
    /// One that was queued before, and this is its answer.
    Given(Given),
    /// A new one; whether it may have a place.
    New { may_queue: bool },
}

/// What came of an attempt to enter a place.
pub(super) enum Entered {
    /// It has one now, or had one; after so many seconds to ask again.
    Waiting(u64),
    /// Its turn had come meanwhile.
    Granted(Key),
}

/// What is known of a request that would have to wait.
pub(super) struct Outlook {
    /// Bytes that go before it.
    pub behind_bytes: u64,
    /// When its turn is likely to come; none: unknown.
    pub estimate_secs: Option<u64>,
    /// Whether it has a place already.
    pub has_place: bool,
    /// Whether its bytes were assigned already.
    pub is_assigned: bool,
}

/// Lets the places of a manager lapse when the alarm goes off.
struct Lapser(Weak<Inner>);

impl Wake for Lapser {
    fn wake(self: Arc<Self>) {
        let Some(inner) = self.0.upgrade() else { return };
        inner.lapse_places_now();
        // If nothing was due any more, nobody has set the alarm for the next.
        let next_ns = inner.queue.next_lapse_ns();
        if next_ns != NEVER {
            inner.set_lapse_alarm(next_ns);
        }
    }
}

impl Inner {
    /// Lets places lapse that nobody has asked for in time. Costs a load where none can have. For
    /// whoever looks after the manager from time to time; called with nothing held.
    pub(super) fn lapse_places(&self, now_ns: u64) {
        if !self.queue.is_due(now_ns) {
            return;
        }
        for tenant in self.tenants.all() {
            let lapsed = {
                let mut held = lock(&tenant.held);
                let (lapsed, next_ns) = held.places.take_lapsed(now_ns);
                self.note_lapse(next_ns);
                lapsed
            };
            close(lapsed);
        }
    }

    /// The same, as of now.
    pub(super) fn lapse_places_now(&self) {
        if self.queue.may_lapse() {
            self.lapse_places(self.governor.clock().now_ns());
        }
    }

    /// A place lapses at this time. Whoever brings the next lapse forward sets the alarm: also who
    /// has looked at all tables, for what is left in them.
    fn note_lapse(&self, lapses_ns: u64) {
        if self.queue.note_lapse(lapses_ns) {
            self.set_lapse_alarm(lapses_ns);
        }
    }

    fn set_lapse_alarm(&self, at_ns: u64) {
        if let Some(lapser) = self.queue.lapser.get() {
            self.governor.wakers.set_owner_alarm(at_ns, lapser);
        }
    }

    /// Has places lapse by the governor's alarm from now on.
    pub(super) fn lapse_by_alarm(self: &Arc<Self>) {
        let lapser = Lapser(Arc::downgrade(self));
        self.queue.lapser.get_or_init(|| Waker::from(Arc::new(lapser)));
    }

    /// How long nothing is tried again that was not to be evicted.
    fn evict_every_ns(&self) -> u64 {
        self.governor.config().busy_cooldown_ns.max(1)
    }
}

impl MultiTenantMemoryManager {
    /// Whether requests can wait at all.
    pub(super) fn is_queueing(&self) -> bool {
        let waiters = self.inner.governor.config().waiters_max;
        self.inner.queue.options.enabled && waiters > 0 && !self.is_observe_only()
    }

    pub(super) fn has_all_places(&self, tenant: &Tenant) -> bool {
        lock(&tenant.held).places.0.len() >= self.inner.queue.options.places_max as usize
    }

    /// Takes the place of the same request out of the table, if there is one.
    pub(super) fn take_place(&self, wanted: &Wanted) -> Option<Place> {
        lock(&wanted.tenant.held).places.take(&PlaceKey::of(wanted))
    }

    /// Goes on where the same request was queued before.
    pub(super) fn ask_again(&self, wanted: &Wanted) -> Result<Again, Refused> {
        let mut found = self.find_place(wanted)?;
        if let Found::Waiting { evict: true, .. } = found {
            // One that is gone by now is told so by the second look.
            let _ = self.inner.governor.evict_for(&wanted.request());
            found = self.find_place(wanted)?;
        }
        Ok(match found {
            Found::Nothing { may_queue } => Again::New { may_queue },
            Found::Ready(place) => {
                let Place { ticket, entered_ns, .. } = *place;
                Again::Given(Given::Granted(self.fetch(wanted, ticket, entered_ns)?))
            }
            Found::Waiting { secs, .. } => Again::Given(Given::Queued { secs }),
        })
    }

    fn find_place(&self, wanted: &Wanted) -> Result<Found, Refused> {
        let (inner, queueing) = (&self.inner, self.is_queueing());
        let (keep, places_max) = (inner.queue.options.keep(), inner.queue.options.places_max);
        let mut held = lock(&wanted.tenant.held);
        if let Some(shut) = held.shut() {
            drop(held);
            return Err(self.shut_out(wanted, shut));
        }
        let may_queue = queueing && held.places.0.len() < places_max as usize;
        if held.places.0.is_empty() {
            return Ok(Found::Nothing { may_queue });
        }
        let (key, now_ns) = (PlaceKey::of(wanted), inner.governor.clock().now_ns());
        let Some(place) = held.places.get_mut(&key) else {
            return Ok(Found::Nothing { may_queue });
        };
        let lapsed = place.lapses_ns <= now_ns;
        if !lapsed && !place.ticket.is_ready() {
            let secs = place.tell(now_ns, keep);
            inner.note_lapse(place.lapses_ns);
            let evict = place.may_evict(now_ns, inner.evict_every_ns());
            return Ok(Found::Waiting { secs, evict });
        }
        let place = held.places.take(&key);
        drop(held);
        Ok(match place {
            Some(place) if !lapsed => Found::Ready(Box::new(place)),
            place => {
                close(place);
                Found::Nothing { may_queue: queueing }
            }
        })
    }

    /// Requests, and takes a place in the queue where only others are in the way.
    pub(super) fn request_or_queue(&self, wanted: &Wanted) -> Result<Given, Refused> {
        let (governor, wait_max) = (&self.inner.governor, self.inner.queue.options.wait_max);
        let ticket = governor.request_or_enqueue_owned(&wanted.request(), wait_max);
        let ticket = ticket.map_err(|refusal| self.refused_by(wanted, refusal))?;
        if ticket.is_ready() {
            return self.fetch(wanted, ticket, JUST_NOW).map(Given::Granted);
        }
        let place = Place::new(ticket, wanted.bytes, governor.clock().now_ns(), wait_max);
        match self.enter_place(wanted, PlaceKey::of(wanted), place)? {
            Entered::Waiting(secs) => Ok(Given::Queued { secs }),
            Entered::Granted(key) => Ok(Given::Granted(key)),
        }
    }

    /// Enters a place that has no answer yet: Q3, Q5. Where the same request has one by now, that
    /// one is kept.
    pub(super) fn enter_place(
        &self,
        wanted: &Wanted,
        key: PlaceKey,
        mut place: Place,
    ) -> Result<Entered, Refused> {
        let options = self.inner.queue.options;
        let (keep, places_max) = (options.keep(), options.places_max);
        let mut held = lock(&wanted.tenant.held);
        if let Some(shut) = held.shut() {
            drop(held);
            close([place]);
            return Err(self.shut_out(wanted, shut));
        }
        // Who switches to observing closes what it finds: looked at with the table held.
        if self.is_observe_only() {
            drop(held);
            close([place]);
            return self.request_observed(wanted).map(Entered::Granted);
        }
        let now_ns = place.entered_ns;
        if let Some(there) = held.places.get_mut(&key) {
            let secs = there.tell(now_ns, keep);
            self.inner.note_lapse(there.lapses_ns);
            drop(held);
            close([place]);
            return Ok(Entered::Waiting(secs));
        }
        if held.places.0.len() >= places_max as usize {
            drop(held);
            close([place]);
            return Err(Refused::Denied(self.out_of_places(wanted)));
        }
        let secs = match key {
            PlaceKey::Asked { .. } => place.tell(now_ns, keep),
            PlaceKey::Awaited(_) => place.wait_secs(now_ns),
        };
        self.inner.note_lapse(place.lapses_ns);
        held.places.0.insert(key, place);
        drop(held);
        self.note_place(wanted);
        Ok(Entered::Waiting(secs))
    }

    /// The answer of a ticket that has one, and has waited since `entered_ns`.
    pub(super) fn fetch(
        &self,
        wanted: &Wanted,
        mut ticket: OwnedTicket,
        entered_ns: u64,
    ) -> Result<Key, Refused> {
        let answer = ticket.poll().expect("a ticket that is ready has an answer");
        match answer {
            Ok(grant) => {
                if entered_ns != JUST_NOW {
                    let now_ns = self.inner.governor.clock().now_ns();
                    self.inner.note_wait(&wanted.tenant, now_ns.saturating_sub(entered_ns));
                }
                self.keep(wanted, Key::Grant(grant.id()), wanted.record().granted(grant))
            }
            Err(Refusal::Denied(denial)) if denial.reason == DenialReason::WaitedTooLong => {
                let now_ns = self.inner.governor.clock().now_ns();
                let waited = Duration::from_nanos(now_ns.saturating_sub(entered_ns));
                Err(Refused::Denied(self.waited_in_vain(wanted, waited)))
            }
            Err(refusal) => Err(self.refused_by(wanted, refusal)),
        }
    }

    /// What is known of the wait of a request: of its place if it has one, else of the queue.
    pub(super) fn outlook(&self, wanted: &Wanted) -> Outlook {
        let governor = &self.inner.governor;
        let of_place = {
            let mut held = lock(&wanted.tenant.held);
            held.places.get_mut(&PlaceKey::of(wanted)).map(|Place { ticket, .. }| Outlook {
                behind_bytes: ticket.bytes_before().unwrap_or(0).saturating_sub(wanted.bytes),
                estimate_secs: ticket.estimate().map(whole_secs),
                has_place: true,
                is_assigned: ticket.is_granted(),
            })
        };
        of_place.unwrap_or_else(|| Outlook {
            // One that was unregistered meanwhile is behind nobody.
            behind_bytes: governor.bytes_ahead(&wanted.request()).unwrap_or(0),
            estimate_secs: governor.estimated_wait(&wanted.request()).map(whole_secs),
            has_place: false,
            is_assigned: false,
        })
    }
}
