//! How owners are asked to free their grants: by a callback, or by polling.
//!
//! The governor marks the grant as being evicted and asks with nothing held, so a handler may call
//! any function of the governor. A handler that panics counts as busy, whatever it throws
//! (`caught.rs`). A tenant without a handler is asked through [`Governor::next_victim`]
//! (`polled.rs`): its victims count as being freed until they are released or declined, or their
//! time is over (`promises.rs`).
//!
//! | the handler | runs on | if it hangs |
//! |---|---|---|
//! | [`Governor::on_reclaim`] | the thread that is short, or balances | that thread hangs |
//! | [`Governor::on_reclaim_within`] | a thread of `workers.rs` | busy, after the time-out |
//!
//! After a time-out the grant is live again. An answer that comes later waits to be seen by whoever
//! is short next, or by the next step of the balancer: [`ReclaimAnswer::Freed`] ends the grant
//! then, if nothing else has; any other changes nothing.

use crate::caught::caught;
use crate::config::AllocationType;
use crate::core::admission::Granted;
use crate::core::events::{End, EventKind, Observer};
use crate::core::evict::{Owners, ReclaimAnswer};
use crate::core::grants;
use crate::core::handle::{GrantId, TenantHandle};
use crate::core::sync::{AtomicU64, Mutex, Ordering, lock};
use crate::core::word::{Owner, State};
use crate::error::Error;
use crate::governor::{Governor, refusal};
use crate::polled::Polled;
use crate::promises::Promises;
use crate::workers::{Party, Reply, Workers};
use arc_swap::{ArcSwap, Guard};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Victims that wait to be polled; further ones are left alone until some were taken.
pub(crate) const POLLED_MAX: usize = 65_536;

/// A grant that was chosen to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Victim {
    /// The grant.
    pub grant: GrantId,
    /// Who holds it.
    pub tenant: TenantHandle,
    /// What it was requested for.
    pub allocation_type: AllocationType,
    /// Bytes it holds.
    pub bytes: u64,
    /// The number the caller gave it.
    pub cookie: u64,
    /// The name of its content.
    pub key: u64,
}

type Ask = Arc<dyn Fn(&Victim) -> ReclaimAnswer + Send + Sync>;

#[derive(Clone)]
struct Handler {
    ask: Ask,
    /// How long its answer is waited for; zero: it runs on the thread that asks.
    timeout: Duration,
}

/// The handlers, replaced whole when one changes, so that an eviction reads them without a lock.
#[derive(Clone, Default)]
struct Handlers {
    any: Option<Handler>,
    of: HashMap<TenantHandle, Handler>,
}

/// Handlers and the victims that wait to be polled.
#[derive(Default)]
pub(crate) struct Reclaim {
    handlers: ArcSwap<Handlers>,
    polled: Mutex<Polled>,
    workers: Workers,
    late: Arc<Late>,
    pub(crate) promises: Promises,
    timed_out: AtomicU64,
    panicked: AtomicU64,
}

impl Reclaim {
    /// Changes a copy of the handlers, and drops what nobody uses any more of those before.
    fn change(&self, change: impl Fn(&mut Handlers)) {
        self.handlers.rcu(|now| {
            let mut next = Handlers::clone(now);
            change(&mut next);
            next
        });
    }
}

/// Grants that were freed after nobody waited for that any more: at most one for each time that an
/// owner was asked since somebody last looked, which every shortage does first.
#[derive(Default)]
struct Late {
    freed: Mutex<Vec<(GrantId, Owner)>>,
    /// How many, to be looked at without the lock.
    count: AtomicU64,
}

impl Late {
    fn push(&self, grant: GrantId, owner: Owner) {
        let mut freed = lock(&self.freed);
        freed.push((grant, owner));
        self.note(freed.len());
    }

    /// The caller holds the lock.
    fn note(&self, count: usize) {
        // Release: pairs with the Acquire in `any`.
        self.count.store(count as u64, Ordering::Release);
    }

    fn any(&self) -> bool {
        // Acquire: pairs with the Release in `note`.
        self.count.load(Ordering::Acquire) > 0
    }
}

impl Governor {
    /// Sets the handler that is asked for victims of tenants without a handler of their own.
    /// It runs on the thread that is short of memory (or balances), with nothing held.
    pub fn on_reclaim(&self, handler: impl Fn(&Victim) -> ReclaimAnswer + Send + Sync + 'static) {
        self.on_reclaim_within(Duration::ZERO, handler);
    }

    /// Like [`Governor::on_reclaim`], but whoever is short waits at most `timeout` for an answer:
    /// the handler runs on one of a few threads of the governor. Zero means the thread that asks.
    ///
    /// Without an answer in time the grant counts as busy: it is live again and left alone for
    /// [`crate::GovernorConfig::busy_cooldown_ns`], and an event is recorded. Its tenant is asked
    /// for nothing more until the handler has returned or that time is over. A later
    /// [`ReclaimAnswer::Freed`] ends the grant when somebody is short next, or at the next step of
    /// the balancer, unless it has ended already; any other late answer changes nothing.
    ///
    /// One tenant is asked at most two things at a time: who would ask it a third one waits, within
    /// the same time-out.
    ///
    /// A handler that never returns keeps its thread until the process ends, also when the governor
    /// is dropped. Once all threads are taken by such handlers, every victim counts as busy.
    ///
    /// ```
    /// use allotment::*;
    /// use std::time::Duration;
    ///
    /// let governor = Governor::new(GovernorConfig::new(1 << 20))?;
    /// governor.on_reclaim_within(Duration::from_millis(200), |victim| {
    ///     println!("drop block {}", victim.cookie);
    ///     ReclaimAnswer::Freed
    /// });
    /// # Ok::<(), Error>(())
    /// ```
    pub fn on_reclaim_within(
        &self,
        timeout: Duration,
        handler: impl Fn(&Victim) -> ReclaimAnswer + Send + Sync + 'static,
    ) {
        let handler = Handler { ask: Arc::new(handler), timeout };
        self.reclaim.change(|handlers| handlers.any = Some(handler.clone()));
    }

    /// Takes the handler for all away: victims of tenants without one of their own are polled from
    /// now on ([`Governor::next_victim`]). Nothing happens if there is none.
    ///
    /// An eviction that has begun, on another thread or around this call, goes on with the handlers
    /// there were; so the handler is dropped here or by the last of those, with nothing held. May
    /// be called from any thread, also by the handler itself. Copies the table of handlers.
    ///
    /// ```
    /// use allotment::*;
    ///
    /// let governor = Governor::new(GovernorConfig::new(1 << 20))?;
    /// let chat = governor.register_tenant(TenantConfig::new(TenantId::from_u128(1), "chat"))?;
    /// governor.on_reclaim(|_| ReclaimAnswer::Freed);
    /// governor.clear_on_reclaim();
    /// let cached = governor.request(&Request::new(chat, AllocationType::Cache, 1 << 20))?;
    /// assert!(governor.request(&Request::new(chat, AllocationType::Inference, 1 << 20)).is_err());
    /// assert_eq!(governor.next_victim().map(|victim| victim.grant), Some(cached.id()));
    /// # Ok::<(), Refusal>(())
    /// ```
    pub fn clear_on_reclaim(&self) {
        self.reclaim.change(|handlers| handlers.any = None);
    }

    /// Sets the handler that is asked for victims of one tenant.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`] if the tenant is not registered.
    pub fn on_tenant_reclaim(
        &self,
        tenant: TenantHandle,
        handler: impl Fn(&Victim) -> ReclaimAnswer + Send + Sync + 'static,
    ) -> Result<(), Error> {
        self.on_tenant_reclaim_within(tenant, Duration::ZERO, handler)
    }

    /// Like [`Governor::on_tenant_reclaim`], with a time-out as for
    /// [`Governor::on_reclaim_within`].
    ///
    /// # Errors
    ///
    /// [`Error::Gone`] if the tenant is not registered.
    pub fn on_tenant_reclaim_within(
        &self,
        tenant: TenantHandle,
        timeout: Duration,
        handler: impl Fn(&Victim) -> ReclaimAnswer + Send + Sync + 'static,
    ) -> Result<(), Error> {
        self.check_registered(tenant)?;
        let handler = Handler { ask: Arc::new(handler), timeout };
        self.reclaim.change(|handlers| {
            handlers.of.insert(tenant, handler.clone());
        });
        Ok(())
    }

    /// Takes a tenant's own handler away: its victims go to the handler for all, or are polled if
    /// there is none. Nothing happens if it has none. As [`Governor::clear_on_reclaim`] otherwise,
    /// and takes the administrative mutex for a look.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`] if the tenant is not registered, [`Error::Foreign`] if it is another
    /// governor's.
    pub fn clear_on_tenant_reclaim(&self, tenant: TenantHandle) -> Result<(), Error> {
        self.check_registered(tenant)?;
        self.forget_handler(tenant);
        Ok(())
    }

    pub(crate) fn forget_handler(&self, tenant: TenantHandle) {
        if self.reclaim.handlers.load().of.contains_key(&tenant) {
            self.reclaim.change(|handlers| {
                handlers.of.remove(&tenant);
            });
        }
    }

    /// Forgets the handlers of those who had the slot of a tenant before: of the last one, if it
    /// drained, whose generation need not be the one before, for registrations that failed have had
    /// theirs.
    pub(crate) fn forget_handlers_before(&self, tenant: TenantHandle) {
        let is_before = |other: &TenantHandle| {
            other.index() == tenant.index() && other.generation() < tenant.generation()
        };
        if self.reclaim.handlers.load().of.keys().any(is_before) {
            self.reclaim.change(|handlers| handlers.of.retain(|other, _| !is_before(other)));
        }
    }

    /// The next victim of a tenant without a handler. Its owner frees the memory and calls
    /// [`Governor::release`], or keeps it and calls [`Governor::decline`].
    ///
    /// Poll often: a victim for which neither was called within
    /// [`crate::GovernorConfig::promise_ns`] of being chosen counts as declined when somebody is
    /// short next, or at the next step of the balancer. It may be released later, like any grant.
    pub fn next_victim(&self) -> Option<Victim> {
        loop {
            let victim = lock(&self.reclaim.polled).pop()?;
            if self.is_promised(victim.grant) {
                return Some(victim);
            }
        }
    }

    /// Keeps a victim that was polled or deferred: it is live again, and left alone for a while.
    ///
    /// # Errors
    ///
    /// [`Error::StaleGrant`] if it has ended or nobody is waiting for it.
    pub fn decline(&self, tenant: TenantHandle, grant: GrantId) -> Result<(), Error> {
        let owner = self.owner(tenant, grant)?;
        let now_ns = self.clock().now_ns();
        let keep_until_ns = now_ns.saturating_add(self.config.busy_cooldown_ns.max(1));
        self.core
            .decline(grant.index(), grant.generation(), owner, keep_until_ns)
            .map_err(|refused| refusal(refused, grant))?;
        self.forget_poll_if_over(grant);
        self.note_call_of(EventKind::Declined, tenant, grant, 0, 0);
        Ok(())
    }

    /// Whether enough victims wait to be polled; those that have ended meanwhile do not count.
    fn polled_is_full(&self) -> bool {
        let mut polled = lock(&self.reclaim.polled);
        if polled.len() >= POLLED_MAX {
            polled.retain(|grant| self.is_promised(grant));
        }
        polled.len() >= POLLED_MAX
    }

    /// Forgets the victims that nobody waits for any more: one that is chosen again is handed out
    /// once.
    pub(crate) fn forget_ended_polls(&self) {
        lock(&self.reclaim.polled).retain(|grant| self.is_promised(grant));
    }

    /// Forgets a victim that is not to be polled after all. What is put there after the first look
    /// was chosen later, and stays.
    fn forget_poll_if_over(&self, grant: GrantId) {
        let Some(place) = lock(&self.reclaim.polled).place(grant) else { return };
        if !self.is_promised(grant) {
            lock(&self.reclaim.polled).remove(place);
        }
    }

    /// Whether a grant waits for its owner. The word is looked at first: if the slot is still the
    /// grant's after that, it is the grant's word.
    pub(crate) fn is_promised(&self, grant: GrantId) -> bool {
        let slot = grant.index();
        let word = self.core.grants.word(slot);
        let same = self.core.grants.generation(slot) == grant.generation();
        same && word.state() == State::Deferred
    }

    fn victim(&self, victim: &grants::Victim) -> Victim {
        let kind = usize::from(victim.owner.allocation_type());
        Victim {
            grant: GrantId::new(self.tag, victim.generation, victim.slot),
            tenant: self.tenant_handle(victim.owner),
            allocation_type: AllocationType::ALL[kind],
            bytes: victim.bytes,
            cookie: victim.fields.cookie,
            key: victim.fields.key,
        }
    }
}

impl Governor {
    /// Asks a tenant on a thread of the pool; `late` gets an answer that comes after the time-out,
    /// none if there was a panic instead, on that thread.
    pub(crate) fn ask_within(
        &self,
        timeout: Duration,
        tenant: TenantHandle,
        question: impl FnOnce() -> ReclaimAnswer + Send + 'static,
        late: impl FnOnce(Option<ReclaimAnswer>) + Send + 'static,
    ) -> Reply<ReclaimAnswer> {
        let party = Party {
            number: tenant.as_u64(),
            now_ns: self.clock().now_ns(),
            cooldown_ns: self.config.busy_cooldown_ns,
        };
        self.reclaim.workers.ask(party, timeout, question, late)
    }

    /// What an owner's reply means; a panic or a time-out is counted and recorded. One that panics
    /// has not freed anything it could vouch for.
    fn answer_of(
        &self,
        reply: Reply<ReclaimAnswer>,
        owner: Owner,
        place: Granted,
        bytes: u64,
    ) -> ReclaimAnswer {
        let (count, kind) = match reply {
            Reply::Answered(answer) => return answer,
            Reply::NotAsked => return ReclaimAnswer::Busy,
            Reply::TimedOut => (&self.reclaim.timed_out, EventKind::ReclaimTimedOut),
            Reply::Panicked => (&self.reclaim.panicked, EventKind::ReclaimPanicked),
        };
        // Relaxed: a statistic.
        count.fetch_add(1, Ordering::Relaxed);
        self.note(kind, owner, place, bytes, 0);
        ReclaimAnswer::Busy
    }

    /// The same for who asks by itself; about a grant, or about bytes beside all grants.
    pub(crate) fn answer_about(
        &self,
        reply: Reply<ReclaimAnswer>,
        tenant: TenantHandle,
        grant: Option<GrantId>,
        kind: AllocationType,
        bytes: u64,
    ) -> ReclaimAnswer {
        let owner = Owner::new(tenant.index(), tenant.generation(), kind as u8);
        let place = grant.map_or((0, 0), |grant| (grant.index(), grant.generation()));
        self.answer_of(reply, owner, place, bytes)
    }

    /// Records that a victim stays for now.
    fn note_answer(&self, answer: ReclaimAnswer, owner: Owner, victim: &Victim) {
        let place = (victim.grant.index(), victim.grant.generation());
        let to = if answer == ReclaimAnswer::Busy { 1 } else { 2 };
        self.note(EventKind::ReclaimAnswered, owner, place, victim.bytes, to);
    }

    /// Owners that did not answer in time, and owners that panicked, so far.
    pub(crate) fn reclaim_faults(&self) -> [u64; 2] {
        // Relaxed: statistics.
        [&self.reclaim.timed_out, &self.reclaim.panicked].map(|n| n.load(Ordering::Relaxed))
    }

    /// Ends the grants that were freed after a time-out; says whether any ended by this.
    #[inline]
    pub(crate) fn end_freed_late(&self) -> bool {
        self.reclaim.late.any() && self.end_all_freed_late()
    }

    #[cold]
    fn end_all_freed_late(&self) -> bool {
        let mut freed = lock(&self.reclaim.late.freed);
        let mut any = false;
        freed.retain(|&(grant, owner)| match self.end_late(grant, owner) {
            Some(ended) => {
                any |= ended;
                false
            }
            // Another thread is changing it at this moment.
            None => true,
        });
        self.reclaim.late.note(freed.len());
        any
    }

    /// Ends a grant that was freed late, unless it has ended; none if it has to be tried again.
    fn end_late(&self, grant: GrantId, owner: Owner) -> Option<bool> {
        let place = (grant.index(), grant.generation());
        let bytes = self.grant_bytes(grant, owner);
        let ended = self.core.end_late(place, owner, self)?;
        if ended {
            self.note_freed(owner, bytes, self.core.accounts.used(owner.account()));
        }
        Some(ended)
    }

    /// Ends a grant that was freed late, waiting for a thread that is just changing it.
    pub(crate) fn end_late_certainly(&self, tenant: TenantHandle, grant: GrantId) {
        // One that is not the tenant's any more has ended.
        let Ok(owner) = self.owner(tenant, grant) else { return };
        while self.end_late(grant, owner).is_none() {
            std::thread::yield_now();
        }
        self.serve_waiters();
    }
}

/// The owners as they can be asked for the victims of one shortage: by the handlers there were
/// when it began.
pub(crate) struct Asking<'g> {
    governor: &'g Governor,
    handlers: Guard<Arc<Handlers>>,
}

impl Governor {
    /// The owners of grants, to be asked for victims.
    pub(crate) fn asking(&self) -> Asking<'_> {
        Asking { governor: self, handlers: self.reclaim.handlers.load() }
    }
}

impl Owners for Asking<'_> {
    fn reclaim(&self, victim: &grants::Victim) -> Option<ReclaimAnswer> {
        let (owner, place) = (victim.owner, (victim.slot, victim.generation));
        let (governor, handlers) = (self.governor, &self.handlers);
        let victim = governor.victim(victim);
        let Some(handler) = handlers.of.get(&victim.tenant).or(handlers.any.as_ref()) else {
            // Handed out, it is as if its owner had promised to release it.
            let answer = governor.polled_is_full().then_some(ReclaimAnswer::Busy);
            governor.note_answer(answer.unwrap_or(ReclaimAnswer::Deferred), owner, &victim);
            return answer;
        };
        let reply = match handler.timeout {
            Duration::ZERO => {
                caught(|| (handler.ask)(&victim)).map_or(Reply::Panicked, Reply::Answered)
            }
            timeout => {
                let (ask, late) = (handler.ask.clone(), governor.reclaim.late.clone());
                let freed = move |answer| {
                    if answer == Some(ReclaimAnswer::Freed) {
                        late.push(victim.grant, owner);
                    }
                };
                governor.ask_within(timeout, victim.tenant, move || ask(&victim), freed)
            }
        };
        let answer = governor.answer_of(reply, owner, place, victim.bytes);
        if answer != ReclaimAnswer::Freed {
            governor.note_answer(answer, owner, &victim);
        } else {
            let used = governor.core.accounts.used(owner.account());
            governor.note_freed(owner, victim.bytes, used.saturating_sub(victim.bytes));
        }
        Some(answer)
    }

    fn hand_out(&self, victim: &grants::Victim) {
        let victim = self.governor.victim(victim);
        lock(&self.governor.reclaim.polled).push(victim);
        // Its owner may have declined it before it was there.
        self.governor.forget_poll_if_over(victim.grant);
    }

    fn note_promise(&self, victim: &grants::Victim) {
        let grant = GrantId::new(self.governor.tag, victim.generation, victim.slot);
        self.governor.note_promise(grant, victim.owner);
    }

    fn note_end(&self, victim: &grants::Victim) {
        let uncommitted = victim.fields.flags & grants::flag::UNCOMMITTED != 0;
        let end = if uncommitted { End::Expired } else { End::Evicted };
        let place = (victim.slot, victim.generation);
        self.governor.ended(victim.owner, place, victim.bytes, end);
    }
}
