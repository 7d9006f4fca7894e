//! A governor that is made to do again what a recording says: who is who, and each call by name.
//!
//! Handles and ids of the recording are translated, so a call finds its grant even where the two
//! have gone apart. The clock is moved by hand to the time of each call.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use allotment::audit::Configured;
use allotment::os::{Clock, ManualClock};
use allotment::{
    AllocationType, AuditMode, Event, EventKind, EventRead, Governor, GovernorConfig, GrantId,
    GroupHandle, Intent, OwnedTicket, Pressure, ReclaimAnswer, Refusal, Request, TenantConfig,
    TenantHandle, Unregister, Verb, asked,
};

use crate::failure::CliError;

/// Events that one call may cause and that are compared: more would be lost.
const EVENTS_MAX: u32 = 1 << 20;

/// Answers of owners, by the recorded id of the grant they were asked for; none: a panic.
type Answers = Arc<Mutex<HashMap<u64, Option<ReclaimAnswer>>>>;

/// The governor and the translations.
pub struct Player {
    /// Does again what was recorded.
    pub governor: Arc<Governor>,
    clock: ManualClock,
    tenants: HashMap<u32, TenantHandle>,
    groups: HashMap<u32, GroupHandle>,
    grants: HashMap<u64, (TenantHandle, GrantId)>,
    tickets: HashMap<u64, OwnedTicket>,
    /// The last one, until its number in the recording is known.
    entered: Option<OwnedTicket>,
    answers: Answers,
    /// The event that is drained next.
    position: u64,
}

/// What a call came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A grant, or a growth.
    Granted,
    /// A denial.
    Denied,
    /// A place in line.
    Queued,
    /// Nothing that is an answer, or a call that makes no sense here.
    Nothing,
}

impl Player {
    /// A governor configured as the recorded one. `with_evictions` is false where evictions and
    /// pressure are dictated by the recording.
    pub fn new(config: &GovernorConfig, with_evictions: bool) -> Result<Self, CliError> {
        let clock = ManualClock::new();
        let governor = Governor::new(GovernorConfig {
            events_max: EVENTS_MAX,
            audit: AuditMode::DropAndCount,
            audit_calls: true,
            clock: Clock::Manual(clock.clone()),
            pool_pressure: config.pool_pressure && with_evictions,
            ..config.clone()
        });
        let governor = Arc::new(governor.map_err(|error| CliError::new(error.to_string()))?);
        let answers = Answers::default();
        let told = Arc::clone(&answers);
        governor.on_reclaim(move |victim| {
            let answers = told.lock().unwrap_or_else(PoisonError::into_inner);
            let answer = answers.get(&untagged(victim.grant.as_u64())).copied();
            drop(answers);
            // Without the words that a panic says of itself.
            let panics = || std::panic::resume_unwind(Box::new("as in the recording"));
            answer.map_or(ReclaimAnswer::Freed, |answer| answer.unwrap_or_else(panics))
        });
        governor.on_leak(|_| {});
        let (tenants, groups) = (HashMap::new(), HashMap::new());
        let (grants, tickets) = (HashMap::new(), HashMap::new());
        let entered = None;
        let position = 0;
        Ok(Self { governor, clock, tenants, groups, grants, tickets, entered, answers, position })
    }

    /// What owners answer while the next call is made, by grant.
    pub fn set_answers(&self, answers: impl Iterator<Item = (u64, Option<ReclaimAnswer>)>) {
        let mut told = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        told.clear();
        told.extend(answers.map(|(grant, answer)| (untagged(grant), answer)));
    }

    /// Moves the clock to the time of a call.
    pub fn set_time(&self, time_ns: u64) {
        self.clock.set_ns(time_ns);
    }

    /// Registers who is configured so, or changes who is registered already.
    pub fn configure(&mut self, configured: &Configured) -> Result<(), CliError> {
        match configured {
            Configured::Tenant(handle, config) => {
                let config = self.translated(config);
                match self.tenants.get(&handle.index()) {
                    Some(known) if self.governor.tenant_config(*known).is_ok() => {
                        let known = *known;
                        // A change that is refused here is one that came apart before.
                        let _ = self.governor.set_tenant(known, |now| *now = config);
                    }
                    _ => {
                        let new = self.governor.register_tenant(config).map_err(refused)?;
                        self.tenants.insert(handle.index(), new);
                    }
                }
            }
            Configured::Group(handle, config) => {
                let mut config = config.clone();
                config.parent = config.parent.and_then(|parent| self.group(parent));
                match self.groups.get(&handle.index()).copied() {
                    Some(known) => {
                        let set = self.governor.set_group(known, |now| *now = config.clone());
                        if set.is_err() {
                            let new = self.governor.register_group(config).map_err(refused)?;
                            self.groups.insert(handle.index(), new);
                        }
                    }
                    None => {
                        let new = self.governor.register_group(config).map_err(refused)?;
                        self.groups.insert(handle.index(), new);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Asks once more for what was refused, of who `is_known` or of somebody new.
    pub fn try_to_configure(&self, configured: &Configured, is_known: bool) {
        let governor = &self.governor;
        match configured {
            Configured::Tenant(handle, config) => {
                let config = self.translated(config);
                match self.tenants.get(&handle.index()) {
                    Some(known) if is_known => {
                        drop(governor.set_tenant(*known, |now| *now = config));
                    }
                    _ => drop(governor.register_tenant(config)),
                }
            }
            Configured::Group(handle, config) => {
                let mut config = config.clone();
                config.parent = config.parent.and_then(|parent| self.group(parent));
                match self.groups.get(&handle.index()) {
                    Some(known) if is_known => {
                        drop(governor.set_group(*known, |now| *now = config));
                    }
                    _ => drop(governor.register_group(config)),
                }
            }
            _ => {}
        }
    }

    fn translated(&self, config: &TenantConfig) -> TenantConfig {
        let parent = config.parent.and_then(|parent| self.group(parent));
        TenantConfig { parent, ..config.clone() }
    }

    fn group(&self, recorded: GroupHandle) -> Option<GroupHandle> {
        self.groups.get(&recorded.index()).copied()
    }

    /// Ends the registration of an account.
    pub fn unregister(&mut self, event: &Event) {
        let how = [Unregister::IfIdle, Unregister::Drain, Unregister::Force];
        let how = how.get(usize::from(event.to)).copied().unwrap_or(Unregister::Drain);
        if let Some(tenant) = self.tenants.get(&event.account) {
            let _ = self.governor.unregister_tenant(*tenant, how);
        } else if let Some(group) = self.groups.remove(&event.account) {
            let _ = self.governor.unregister_group(group);
        }
    }

    /// The request that an `Asked` tells of.
    pub fn request(&self, call: &Event) -> Option<Request> {
        let tenant = *self.tenants.get(&call.account)?;
        let kind = AllocationType::from_u8(call.allocation_type)?;
        let has = |flag: u8| call.to & flag != 0;
        let request = Request::new(tenant, kind, call.bytes)
            .key(call.grant)
            .cost(call.cost)
            .pinned(has(asked::PINNED))
            .evictable(has(asked::EVICTABLE));
        let timed = has(asked::TIMED);
        Some(if timed { request.ttl(Duration::from_nanos(call.detail)) } else { request })
    }

    /// Makes the call of an `Asked`. The recording's word for what it was granted is given to
    /// [`Self::knows`] later.
    pub fn ask(&mut self, call: &Event, intent: Option<Intent>) -> (Answer, Option<GrantId>) {
        let Some(verb) = Verb::from_code(call.from) else { return (Answer::Nothing, None) };
        if matches!(verb, Verb::Grow | Verb::GrowEvicting) {
            return (self.grow(call, verb), None);
        }
        let Some(request) = self.request(call) else { return (Answer::Nothing, None) };
        let request = intent.map_or(request, |intent| request.intent(intent));
        let governor = &self.governor;
        let granted = match verb {
            Verb::TryRequest => governor.try_request(&request).map(|grant| grant.into_id()),
            Verb::Request => governor.request(&request).map(|grant| grant.into_id()),
            Verb::Reserve => {
                let ttl = Duration::from_nanos(call.detail);
                governor.reserve(&request, ttl).map(|reservation| reservation.into_id())
            }
            Verb::EvictFor => {
                let _ = governor.evict_for(&request);
                return (Answer::Nothing, None);
            }
            Verb::Enqueue | Verb::RequestOrEnqueue => return self.enqueue(call, &request, verb),
            _ => return (Answer::Nothing, None),
        };
        answer(granted)
    }

    /// Makes the call of a batch.
    pub fn ask_all(&mut self, calls: &[(Event, Option<Intent>)]) {
        let request = |(call, intent): &(Event, Option<Intent>)| {
            let request = self.request(call)?;
            Some(intent.map_or(request, |intent| request.intent(intent)))
        };
        let Some(requests) = calls.iter().map(request).collect::<Option<Vec<_>>>() else { return };
        if let Ok(grants) = self.governor.request_all(&requests) {
            grants.into_iter().for_each(|grant| {
                grant.into_id();
            });
        }
    }

    /// A request without eviction, for recordings that dictate who goes.
    pub fn try_ask(&self, request: &Request) -> (Answer, Option<GrantId>) {
        answer(self.governor.try_request(request).map(|grant| grant.into_id()))
    }

    fn grow(&mut self, call: &Event, verb: Verb) -> Answer {
        let known = self.grants.get(&untagged(call.grant)).copied();
        let Some((tenant, grant)) = known.or_else(|| self.ended(call)) else {
            return Answer::Nothing;
        };
        let grown = match verb {
            Verb::Grow => self.governor.grow(tenant, grant, call.bytes),
            _ => self.governor.grow_evicting(tenant, grant, call.bytes),
        };
        match grown {
            Ok(()) => Answer::Granted,
            Err(Refusal::Denied(_)) => Answer::Denied,
            Err(Refusal::Misuse(_)) => Answer::Nothing,
        }
    }

    /// A grant that is over: its id is what it is in the recording, but for the governor's tag.
    fn ended(&self, call: &Event) -> Option<(TenantHandle, GrantId)> {
        let tenant = *self.tenants.get(&call.account)?;
        let tag = tenant.as_u64() & !(u64::MAX >> 8);
        Some((tenant, GrantId::from_u64(tag | untagged(call.grant))))
    }

    fn enqueue(
        &mut self,
        call: &Event,
        request: &Request,
        verb: Verb,
    ) -> (Answer, Option<GrantId>) {
        let wait_max = Duration::from_nanos(call.used_bytes);
        let ticket = match verb {
            Verb::Enqueue => self.governor.enqueue_owned(request, wait_max),
            _ => self.governor.request_or_enqueue_owned(request, wait_max),
        };
        let mut ticket = match ticket {
            Ok(ticket) => ticket,
            Err(refusal) => return answer(Err(refusal)),
        };
        if ticket.number().is_some() {
            self.entered = Some(ticket);
            return (Answer::Queued, None);
        }
        // It never stood in line: its grant is there.
        match ticket.poll() {
            Some(granted) => answer(granted.map(|grant| grant.into_id())),
            None => (Answer::Nothing, None),
        }
    }

    /// The request that was queued last stands under this number in the recording; without one it
    /// does not stand in line there, and gives up its place here.
    pub fn knows_ticket(&mut self, recorded: Option<u64>) {
        if let (Some(number), Some(ticket)) = (recorded, self.entered.take()) {
            self.tickets.insert(number, ticket);
        }
    }

    /// Takes the answer of a request that stood in line.
    pub fn take(&mut self, number: u64) -> (Answer, Option<GrantId>) {
        let Some(mut ticket) = self.tickets.remove(&number) else { return (Answer::Nothing, None) };
        match ticket.poll() {
            Some(granted) => answer(granted.map(|grant| grant.into_id())),
            None => (Answer::Queued, None),
        }
    }

    /// Gives up a place in line.
    pub fn withdraw(&mut self, number: u64) {
        self.tickets.remove(&number);
    }

    /// A recorded grant is this one here.
    pub fn knows(&mut self, recorded: u64, account: u32, grant: GrantId) {
        if let Some(tenant) = self.tenants.get(&account) {
            self.grants.insert(untagged(recorded), (*tenant, grant));
        }
    }

    /// What its governor has recorded since this was last called.
    pub fn drain(&mut self) -> Vec<Event> {
        let mut reader = self.governor.events_from(self.position);
        let mut events = Vec::new();
        loop {
            match reader.read() {
                EventRead::Event(event) => events.push(event),
                EventRead::Lost(_) => {}
                EventRead::Empty => break,
            }
        }
        self.position = reader.position();
        events
    }

    /// Returns a grant that the recorded caller did not get.
    pub fn give_back(&self, tenant: TenantHandle, grant: GrantId) {
        let _ = self.governor.release(tenant, grant);
    }

    /// The tenant of an account.
    pub fn tenant(&self, account: u32) -> Option<TenantHandle> {
        self.tenants.get(&account).copied()
    }

    /// Releases a grant, if it is live here.
    pub fn release(&mut self, recorded: u64) {
        if let Some((tenant, grant)) = self.grants.remove(&untagged(recorded)) {
            // It may have been evicted here, where it was not there.
            let _ = self.governor.release(tenant, grant);
        }
    }

    /// Grows a grant without evicting.
    pub fn try_grow(&self, event: &Event) -> Answer {
        match self.grants.get(&untagged(event.grant)) {
            None => Answer::Nothing,
            Some(&(tenant, grant)) => match self.governor.grow(tenant, grant, event.bytes) {
                Ok(()) => Answer::Granted,
                Err(Refusal::Denied(_)) => Answer::Denied,
                Err(Refusal::Misuse(_)) => Answer::Nothing,
            },
        }
    }

    /// Makes a call that is about one grant, or about none, and has no answer to compare.
    pub fn call(&mut self, event: &Event) {
        let governor = Arc::clone(&self.governor);
        match event.kind {
            EventKind::Balanced if event.to == 0 => drop(governor.balance_without_eviction()),
            EventKind::Balanced => drop(governor.balance()),
            EventKind::PressureReported => {
                let levels = [Pressure::Normal, Pressure::High, Pressure::Critical];
                if let Some(level) = levels.get(usize::from(event.to)) {
                    governor.report_pressure(*level);
                }
            }
            EventKind::Measured => self.measure(event),
            EventKind::CapacityChanged => drop(governor.set_capacity(event.bytes)),
            _ => {}
        }
        let Some(&(tenant, grant)) = self.grants.get(&untagged(event.grant)) else { return };
        // What is refused here has come apart from the recording before.
        let _ = match event.kind {
            EventKind::Touched => governor.touch(tenant, grant),
            EventKind::Pinned if event.to == 1 => governor.pin(tenant, grant),
            EventKind::Pinned => governor.unpin(tenant, grant),
            EventKind::KeptAlive => {
                governor.keep_alive(tenant, grant, Duration::from_nanos(event.detail))
            }
            EventKind::Committed => governor.commit(tenant, grant),
            EventKind::Declined => governor.decline(tenant, grant),
            EventKind::Shrunk => governor.shrink(tenant, grant, event.bytes),
            _ => Ok(()),
        };
    }

    fn measure(&self, event: &Event) {
        let bytes = (event.to == 1).then_some(event.bytes);
        match self.tenants.get(&event.account) {
            Some(tenant) => drop(self.governor.report_measured(*tenant, bytes)),
            None => self.governor.report_measured_process(bytes),
        }
    }
}

fn answer(granted: Result<GrantId, Refusal>) -> (Answer, Option<GrantId>) {
    match granted {
        Ok(grant) => (Answer::Granted, Some(grant)),
        Err(Refusal::Denied(_)) => (Answer::Denied, None),
        Err(Refusal::Misuse(_)) => (Answer::Nothing, None),
    }
}

/// Slot and generation of a grant's id: the same in a recording and in what does it again.
pub fn untagged(grant: u64) -> u64 {
    grant & (u64::MAX >> 8)
}

fn refused(error: allotment::Error) -> CliError {
    CliError::new(format!("the recording cannot be done again: {error}"))
}
