//! What is recorded of a governor: every answer and every end of a grant, on request also what was
//! asked; and the room that records need, where nothing may happen without one.
//!
//! ```text
//! room of a request            = 2: its answer and, if that is a grant, the grant's end
//! room of one that is queued   = 2 more: that it stands in line, and that it does so no longer
//! room of a growth, a change   = 1
//! ```
//!
//! A verb takes the room of its records before it does anything ([`crate::AuditMode::FailClosed`]);
//! what it does not need goes back at once, and what was recorded when the log has written it. What
//! moves no bytes and cannot be refused (pressure, faults of owners, calls) is recorded if there is
//! room, and counted otherwise.
//!
//! Without an audit log all of this is one branch before a verb and one where it has decided.

use crate::config::AllocationType;
use crate::core::account::ROOT;
use crate::core::admission::Ask;
use crate::core::credit::NoRoom;
use crate::core::events::{End, Event, EventKind, GRANT_RECORDS, Observer, Verb, asked};
use crate::core::grants::flag;
use crate::core::handle::{GrantId, TenantHandle};
use crate::core::pressure::Pressure;
use crate::core::sync::{Ordering, lock};
use crate::core::word::Owner;
use crate::details::Detail;
use crate::error::{AccountName, Denial, DenialReason, Error, Pins, Refusal};
use crate::governor::Governor;
use crate::request::Request;

/// Room beyond that of a request for one that is queued.
const QUEUE_RECORDS: u64 = 2;

impl Observer for Governor {
    fn granted(&self, owner: Owner, grant: (u32, u32), bytes: u64) {
        self.record(EventKind::Granted, owner, grant, bytes);
    }

    fn grown(&self, owner: Owner, grant: (u32, u32), bytes: u64) {
        self.record(EventKind::Grown, owner, grant, bytes);
    }

    fn shrunk(&self, owner: Owner, grant: (u32, u32), bytes: u64) {
        self.record_less(EventKind::Shrunk, owner, grant, bytes, 0);
    }

    fn ended(&self, owner: Owner, grant: (u32, u32), bytes: u64, end: End) {
        let kind = match end {
            End::Released => EventKind::Released,
            End::Evicted | End::Forced => EventKind::Evicted,
            End::Expired => EventKind::ReservationExpired,
        };
        self.record_less(kind, owner, grant, bytes, u8::from(end == End::Forced));
    }
}

impl Governor {
    /// Before a request: takes room for its records, and records the call.
    #[inline]
    pub(crate) fn begin(&self, verb: Verb, request: &Request, ask: &Ask) -> Result<(), Refusal> {
        if self.core.events.is_plain() {
            Ok(())
        } else {
            self.begin_recorded(verb, request, ask, 0)
        }
    }

    /// The same for one that may wait for so long.
    pub(crate) fn begin_waiting(
        &self,
        verb: Verb,
        request: &Request,
        ask: &Ask,
        wait_ns: u64,
    ) -> Result<(), Refusal> {
        match self.core.events.is_plain() {
            true => Ok(()),
            false => self.begin_recorded(verb, request, ask, wait_ns),
        }
    }

    /// The same for a batch.
    pub(crate) fn begin_all(&self, requests: &[Request], asks: &[Ask]) -> Result<(), Refusal> {
        if self.core.events.is_plain() {
            return Ok(());
        }
        asks.iter().try_for_each(|ask| self.check_handle(ask))?;
        let sum = asks.iter().map(|ask| ask.bytes).sum();
        let calls: u64 = requests.iter().map(|request| self.call_records(request)).sum();
        let room = GRANT_RECORDS * asks.len() as u64 + calls;
        self.take_room(room, &Ask { bytes: sum, ..asks[0] })?;
        for (place, (request, ask)) in requests.iter().zip(asks).enumerate() {
            let place = (place as u64) << 32 | asks.len() as u64;
            self.record_asked(Verb::RequestAll, request, ask, place);
        }
        Ok(())
    }

    #[cold]
    fn begin_recorded(
        &self,
        verb: Verb,
        request: &Request,
        ask: &Ask,
        last: u64,
    ) -> Result<(), Refusal> {
        self.check_handle(ask)?;
        self.take_room(GRANT_RECORDS + self.call_records(request), ask)?;
        self.record_asked(verb, request, ask, last);
        Ok(())
    }

    /// Records of a call: what is asked for, and what it is meant for if that is said.
    fn call_records(&self, request: &Request) -> u64 {
        match (self.core.events.has_calls(), request.intent) {
            (false, _) => 0,
            (true, None) => 1,
            (true, Some(_)) => 2,
        }
    }

    /// Refuses a handle of an earlier tenant: records name the account, and so would say that its
    /// tenant of now has asked.
    fn check_handle(&self, ask: &Ask) -> Result<(), Error> {
        if self.is_of_slot(ask) {
            return Ok(());
        }
        let tenant = self.tenant_handle(ask.owner());
        Err(Error::Gone { what: "tenant", number: tenant.as_u64() })
    }

    /// Before a growth, whose arguments are checked later.
    #[inline]
    pub(crate) fn begin_growth(
        &self,
        verb: Verb,
        tenant: TenantHandle,
        grant: GrantId,
        bytes: u64,
    ) -> Result<(), Refusal> {
        match self.core.events.is_plain() {
            true => Ok(()),
            false => self.begin_recorded_growth(verb, tenant, grant, bytes),
        }
    }

    #[cold]
    fn begin_recorded_growth(
        &self,
        verb: Verb,
        tenant: TenantHandle,
        grant: GrantId,
        bytes: u64,
    ) -> Result<(), Refusal> {
        let owner = self.owner(tenant, grant)?;
        let calls = u64::from(self.core.events.has_calls());
        self.take_room(1 + calls, &self.growth(owner, bytes))?;
        if calls > 0 {
            let event = self.event(EventKind::Asked, owner, (0, 0), bytes);
            let grant = grant.as_u64();
            self.push(Event { from: verb as u8, grant, used_bytes: 0, ..event });
        }
        Ok(())
    }

    /// Before a change that is not a request: room for its one record.
    #[inline]
    pub(crate) fn take_room_for_change(&self) -> Result<(), Error> {
        self.core.events.take_room(1).map_err(|no| match no {
            NoRoom::Exhausted { .. } => Error::AuditFull,
            NoRoom::Contended => Error::Contended,
        })
    }

    /// Gives the room of a growth or change back if it came to nothing.
    #[inline]
    pub(crate) fn or_give_back<T>(&self, answer: Result<T, Error>) -> Result<T, Error> {
        if answer.is_err() {
            self.core.events.give_room(1);
        }
        answer
    }

    /// Room for the records of a request, or its denial, which itself is only counted.
    fn take_room(&self, records: u64, ask: &Ask) -> Result<(), Refusal> {
        let Err(no) = self.core.events.take_room(records) else { return Ok(()) };
        self.core.events.count_refused(ask.bytes);
        self.core.tenant(ask.account).tally.note_denied();
        let (reason, limit) = match no {
            NoRoom::Exhausted { free } => (DenialReason::AuditFull, free),
            NoRoom::Contended => (DenialReason::Contended, 0),
        };
        let tenant = TenantHandle::new(self.tag, ask.generation, ask.account);
        Err(Refusal::Denied(Denial {
            reason,
            account: AccountName::Tenant(tenant),
            asked_bytes: ask.bytes,
            short_bytes: 0,
            available_bytes: 0,
            limit,
            waiting_can_help: true,
            retry_after_ns: None,
            pins: Pins::default(),
        }))
    }

    /// Records that a request stands in line, and answers its number there: 0 if nothing is
    /// recorded. Whoever has it records once more when it does so no longer.
    pub(crate) fn begin_queue(&self, ask: &Ask) -> Result<u64, Refusal> {
        if !self.core.events.is_enabled() {
            return Ok(0);
        }
        self.take_room(QUEUE_RECORDS, ask).inspect_err(|_| {
            self.core.events.give_room(GRANT_RECORDS);
        })?;
        let number = self.details.next_ticket();
        self.record_ticket(EventKind::Queued, ask, number, 0);
        Ok(number)
    }

    /// Records what becomes of a request that stood in line.
    pub(crate) fn record_ticket(&self, kind: EventKind, ask: &Ask, ticket: u64, detail: u64) {
        if ticket != 0 {
            let _slots = lock(&self.slots);
            let event = self.event_of(kind, ask);
            self.push(Event { grant: ticket, detail, ..event });
        }
    }

    /// About a request; of nobody, once another tenant has its slot. While the caller holds
    /// [`Governor::slots`] no other one comes to have it, and the record of that comes later.
    fn event_of(&self, kind: EventKind, ask: &Ask) -> Event {
        if self.is_of_slot(ask) {
            return self.event(kind, ask.owner(), (0, 0), ask.bytes);
        }
        let nobody = Owner::new(ROOT, 0, ask.kind);
        Event { used_bytes: 0, ..self.event(kind, nobody, (0, 0), ask.bytes) }
    }

    /// Whether the slot is the tenant's that asks, or was the last time that it was anybody's.
    pub(crate) fn is_of_slot(&self, ask: &Ask) -> bool {
        self.core.accounts.generation(ask.account) == ask.generation
    }

    /// Records that somebody asks for the answer of a request in line, which is there.
    #[cold]
    pub(crate) fn note_polled(&self, ask: &Ask, ticket: u64) {
        let _slots = lock(&self.slots);
        let event = self.event_of(EventKind::Polled, ask);
        self.core.events.push_if_room(&Event { grant: ticket, ..event });
    }

    fn record_asked(&self, verb: Verb, request: &Request, ask: &Ask, last: u64) {
        if !self.core.events.has_calls() {
            return;
        }
        let event = self.event(EventKind::Asked, ask.owner(), (0, 0), ask.bytes);
        let time_ns = if ask.now_ns > 0 { ask.now_ns } else { event.time_ns };
        if let Some(intent) = request.intent {
            self.push(Event {
                kind: EventKind::Intended,
                time_ns,
                grant: intent.hold_ns,
                bytes: intent.grow_bytes,
                detail: intent.grow_step_bytes,
                used_bytes: intent.grow_step_ns,
                ..event
            });
        }
        let mut flags = 0;
        if request.flags & flag::PINNED != 0 {
            flags |= asked::PINNED;
        }
        if ask.fields.flags & flag::FIXED == 0 && ask.kind == AllocationType::ModelLoad as u8 {
            flags |= asked::EVICTABLE;
        }
        if request.ttl_ns.is_some() {
            flags |= asked::TIMED;
        }
        self.push(Event {
            time_ns,
            from: verb as u8,
            to: flags,
            grant: request.key,
            cost: request.cost,
            detail: request.ttl_ns.unwrap_or(0),
            used_bytes: last,
            ..event
        });
    }

    #[cold]
    pub(crate) fn record_denial(&self, ask: &Ask, denial: &Denial, ticket: u64) {
        let event = self.event_of(EventKind::Denied, ask);
        let (reason, detail) = (denial.reason.code(), denial.short_bytes);
        self.push(Event { reason, detail, grant: ticket, ..event });
    }

    /// Records that somebody asks to evict for a request in line.
    pub(crate) fn note_evict_for(&self, request: &Request, ask: &Ask) {
        if !self.core.events.has_calls() {
            return;
        }
        match self.core.events.take_room(1) {
            Ok(()) => {
                let plain = Request { intent: None, ..*request };
                self.record_asked(Verb::EvictFor, &plain, ask, 0);
            }
            Err(_) => self.core.events.note_lost(ask.account),
        }
    }

    /// Records a call about a grant that has succeeded, where calls are recorded.
    pub(crate) fn note_call_of(
        &self,
        kind: EventKind,
        tenant: TenantHandle,
        grant: GrantId,
        to: u8,
        detail: u64,
    ) {
        if self.core.events.has_calls() {
            // Of a grant that has ended since: the slot's owner of now would be another's.
            let owner = self.owner(tenant, grant);
            let owner = owner.unwrap_or(Owner::new(tenant.index(), tenant.generation(), 0));
            self.note_call(kind, owner, grant, to, detail);
        }
    }

    #[cold]
    pub(crate) fn note_call(
        &self,
        kind: EventKind,
        owner: Owner,
        grant: GrantId,
        to: u8,
        detail: u64,
    ) {
        let event = self.event(kind, owner, (0, 0), 0);
        self.core.events.push_if_room(&Event { to, detail, grant: grant.as_u64(), ..event });
    }

    /// Records a call that is about no grant, where calls are recorded.
    pub(crate) fn note_plain_call(&self, kind: EventKind, account: u32, to: u8, bytes: u64) {
        if self.core.events.has_calls() {
            let event = Event { account, to, bytes, ..Event::new(kind, self.clock().now_ns()) };
            self.core.events.push_if_room(&event);
        }
    }

    /// Records what moves no bytes and cannot be refused.
    #[inline]
    pub(crate) fn note(
        &self,
        kind: EventKind,
        owner: Owner,
        grant: (u32, u32),
        bytes: u64,
        to: u8,
    ) {
        if self.core.events.is_enabled() {
            let event = self.event(kind, owner, grant, bytes);
            self.core.events.push_if_room(&Event { to, ..event });
        }
    }

    /// Records that somebody used a verb of an emergency, on a tenant, or on all; one that is gone
    /// by it is named by the record of that.
    pub(crate) fn note_emergency(&self, verb: u8, tenant: Option<TenantHandle>, bytes: u64) {
        let owner = tenant.map_or(Owner::new(ROOT, 0, 0), |tenant| {
            Owner::new(tenant.index(), tenant.generation(), 0)
        });
        self.note(EventKind::Emergency, owner, (0, 0), bytes, verb);
    }

    /// Records a change of the configuration, for which there is room, with all that was changed.
    pub(crate) fn note_configured(
        &self,
        kind: EventKind,
        owner: Owner,
        bytes: u64,
        detail: impl FnOnce() -> Detail,
    ) {
        if self.core.events.is_enabled() {
            let detail = self.details.keep(self.core.events.pushed(), detail);
            let event = self.event(kind, owner, (0, 0), bytes);
            self.push(Event { detail, ..event });
        }
    }

    /// Records what was to be configured and was refused, where calls are recorded: it may have
    /// collected claim. Gives the room of the change back otherwise.
    pub(crate) fn note_tried(&self, account: u32, is_known: bool, detail: impl FnOnce() -> Detail) {
        if !self.core.events.has_calls() {
            return self.core.events.give_room(1);
        }
        let before = self.core.events.pushed();
        let detail = self.details.keep(before, || Detail::Tried(Box::new(detail())));
        let event = self.event(EventKind::Tried, Owner::new(account, 0, 0), (0, 0), 0);
        self.push(Event { detail, to: u8::from(is_known), ..event });
    }

    /// Records a change of administration for which there is room.
    pub(crate) fn note_change(&self, kind: EventKind, owner: Owner, bytes: u64, to: u8) {
        if self.core.events.is_enabled() {
            let event = self.event(kind, owner, (0, 0), bytes);
            self.push(Event { to, ..event });
        }
    }

    pub(crate) fn note_pressure(&self, from: Pressure, to: Pressure, used_bytes: u64) {
        if self.core.events.is_enabled() {
            let event = Event::new(EventKind::PressureChanged, self.clock().now_ns());
            let (from, to) = (from as u8, to as u8);
            self.core.events.push_if_room(&Event { from, to, used_bytes, ..event });
        }
    }

    #[cold]
    fn record(&self, kind: EventKind, owner: Owner, grant: (u32, u32), bytes: u64) {
        if !self.core.events.is_lost(owner.account()) {
            self.push(self.event(kind, owner, grant, bytes));
        }
    }

    /// Records that bytes leave, which are in use still: what is used is said without them.
    #[cold]
    fn record_less(&self, kind: EventKind, owner: Owner, grant: (u32, u32), bytes: u64, to: u8) {
        if self.core.events.is_lost(owner.account()) {
            return;
        }
        let event = self.event(kind, owner, grant, bytes);
        let used_bytes = event.used_bytes.saturating_sub(bytes);
        self.push(Event { used_bytes, to, ..event });
    }

    fn push(&self, event: Event) {
        self.core.events.push(&event);
    }

    fn event(
        &self,
        kind: EventKind,
        owner: Owner,
        (slot, generation): (u32, u32),
        bytes: u64,
    ) -> Event {
        let is_of_grant = generation != 0;
        let grant = if is_of_grant { GrantId::new(self.tag, generation, slot).as_u64() } else { 0 };
        Event {
            account: owner.account(),
            allocation_type: owner.allocation_type(),
            grant,
            bytes,
            used_bytes: self.core.accounts.used(owner.account()),
            ..Event::new(kind, self.event_ns())
        }
    }

    /// The time of a record. To look at the clock takes longer than all else about a record; where
    /// they come so fast that it would show, the writer of the log tells it.
    #[inline]
    fn event_ns(&self) -> u64 {
        // Relaxed: a time; nothing else is read on its account.
        match self.told_ns.load(Ordering::Relaxed) {
            0 => self.clock().now_ns(),
            told_ns => told_ns,
        }
    }
}

#[cfg(test)]
mod room;
#[cfg(test)]
mod tests;
