//! The front door. Each verb is short and names the file that does it.
//!
//! | verbs | done in |
//! |---|---|
//! | `try_request`, `grow`, `shrink`, `touch`, `bytes_of`, `release` | `core/admission.rs` |
//! | `request`, `grow_evicting` | `core/admission.rs`, then `core/evict.rs` |
//! | `request_all` | `core/batch.rs` |
//! | `acquire`, `enqueue` | `waiting.rs`, and who is served next: `core/wait.rs` |
//! | `register_…`, `unregister_…`, `set_…`, `find…` | `registration.rs` |
//! | `on_…reclaim`, `clear_on_…reclaim`, `next_victim`, `decline` | `reclaim.rs`, `workers.rs` |
//! | owners that do not release what they said they would | `promises.rs` |
//! | `balance`, `report_pressure` | `balance.rs`, and idle claim: `idle.rs` |
//! | `on_pressure`, `clear_on_pressure` | `listener.rs` |
//! | `report_measured`, `take_shortfalls` | `measured.rs` |
//! | `snapshot`, `tracking_bytes` | `snapshot.rs` |
//! | `meter`, `pool_meter`, `unclaimed_bytes` | `meter.rs` |
//! | `explain` | `explain.rs` |
//! | `attainable`, `largest_holders`, `name` | `room.rs` |
//! | `circular_wait` | `circle.rs` |
//! | `events`, `events_from`, `events_after` | `events.rs` |
//! | what is recorded of all this, and the room for it | `recording.rs`, `details.rs` |

use crate::audit::Rest;
use crate::config::GovernorConfig;
use crate::core::account::ROOT;
use crate::core::admission::{Ask, Granted, No};
use crate::core::batch::BATCH_MAX;
use crate::core::events::{EventKind, GRANT_RECORDS, Verb};
use crate::core::evict::Relief;
use crate::core::grants::{Fields, Refused, Slot, flag};
use crate::core::handle::{GrantId, TenantHandle};
use crate::core::order::{Goal, Sums};
use crate::core::sync::{AtomicU32, AtomicU64, Mutex, lock, pause};
use crate::core::word::{GRANT_BYTES_MAX, Owner, SlotWord};
use crate::core::{Core, Sizes};
use crate::details::Details;
use crate::error::{AccountName, Denial, DenialReason, Error, Pins, Refusal};
use crate::explain::Gone;
use crate::grant::{Grant, OwnedGrant, Released, Reservation};
use crate::idle::Idle;
use crate::leak::Listeners;
use crate::listener::Listening;
use crate::measured::Measured;
use crate::os::Clock;
use crate::reclaim::Reclaim;
use crate::registration::Admin;
use crate::request::{Gates, Request};
use crate::wakers::Wakers;
use crossbeam_utils::CachePadded;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

/// What a request has done to be granted.
pub(crate) struct Effort {
    /// What was evicted, once it was tried.
    relief: Option<Relief>,
    /// Rounds left to wait for bytes that others are freeing.
    patience: u32,
    /// Rounds in which others were in the way.
    unclear: u32,
    /// The grant that is to grow.
    growing: Option<Granted>,
}

impl Default for Effort {
    fn default() -> Self {
        Self { relief: None, patience: 4, unclear: 0, growing: None }
    }
}

/// What a denial says beside the check that refused.
#[derive(Clone, Copy)]
pub(crate) struct Extent {
    /// Whether eviction was tried: then pins may be in the way.
    evicted: bool,
    /// Bytes the tenant would hold by this request: of the whole grant, or of its whole batch.
    total: u64,
}

impl Extent {
    pub(crate) fn of(total: u64) -> Self {
        Self { evicted: false, total }
    }
}

/// The number of a grant, or why there is none.
type Answer = Result<NonZeroU64, Refusal>;

/// The tag of no handle.
const NO_TAG: u32 = 1 << u8::BITS;
/// Records of a growth, or of the denial of one.
const GROWTH_RECORDS: u64 = 1;
/// Rounds of evicting and asking again before a request gives up.
pub(crate) const REQUEST_ROUNDS_MAX: u32 = 8;
/// Rounds in which others are in the way before a request goes by what it sees.
const UNCLEAR_MAX: u32 = 3;
/// Looks at what others are freeing before a request lets them run: about what an eviction takes.
const LOOKS_MAX: u32 = 64;
/// Slots looked at to name the pins in the way of a denied request.
pub(crate) const PINS_LOOK_MAX: usize = 1_024;

/// Lets many tenants share one memory: grants or denies every request under quotas, guarantees,
/// bursts and priorities, and evicts what can be rebuilt when memory is short.
///
/// `Send` and `Sync`; share it by reference or in an `Arc`. Creating one reserves address space
/// for its tables; after that `try_request`, `grow`, `shrink`, `touch` and `release` finish in a
/// bounded number of their own steps whatever other threads do, without lock, allocation or
/// system call. While requests wait, whoever frees bytes may also hand them over and wake.
///
/// ```
/// use allotment::*;
///
/// let governor = Governor::new(GovernorConfig::new(24 << 30))?;
/// let chat = governor.register_tenant(TenantConfig {
///     guarantee_bytes: 8 << 30,
///     limit_bytes: Some(12 << 30),
///     priority: Priority::Critical,
///     ..TenantConfig::new(TenantId::from_u128(1), "chat")
/// })?;
/// let grant = governor.request(&Request::new(chat, AllocationType::Inference, 1 << 30))?;
/// assert_eq!(governor.snapshot().live_bytes, 1 << 30);
/// drop(grant);
/// assert_eq!(governor.snapshot().live_bytes, 0);
/// # Ok::<(), Refusal>(())
/// ```
pub struct Governor {
    pub(crate) core: Core,
    pub(crate) tag: u8,
    /// The same, or [`NO_TAG`] where verbs are recorded: they do not take the hot path then.
    usual_tag: u32,
    gates: Gates,
    pub(crate) config: GovernorConfig,
    pub(crate) admin: Mutex<Admin>,
    /// Held while a tenant's slot goes to the next one, until that is recorded, and by whoever
    /// records something of a tenant that may have gone. Nobody waits for anything with it.
    pub(crate) slots: Mutex<()>,
    /// When the next reservation runs out.
    pub(crate) due_ns: AtomicU64,
    /// 1: a request found the table of grants full.
    pub(crate) slots_wanted: AtomicU32,
    pub(crate) idle: Idle,
    pub(crate) measured: Measured,
    /// Times at which the pressure went to a higher level.
    pub(crate) pressure_rises: AtomicU64,
    pub(crate) reclaim: Reclaim,
    pub(crate) leaks: Listeners,
    pub(crate) listening: Listening,
    pub(crate) wakers: Wakers,
    pub(crate) details: Details,
    /// 1: an audit log is being written.
    pub(crate) is_audited: AtomicU32,
    /// What the last audit log has left to the next.
    pub(crate) audit_rest: Mutex<Option<Rest>>,
    /// What time it is for records, where the writer of a log tells; 0: look at the clock.
    pub(crate) told_ns: CachePadded<AtomicU64>,
}

impl Governor {
    /// A governor over `config.capacity_bytes`.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] naming the field that is out of range.
    pub fn new(config: GovernorConfig) -> Result<Self, Error> {
        config.validate()?;
        let core = Core::new(&Sizes {
            capacity_bytes: config.capacity_bytes,
            groups_max: config.groups_max,
            tenants_max: config.tenants_max,
            grants_max: config.grants_max,
            ghost_keys_max: config.ghost_keys_max,
            quantum_bytes: config.quantum_bytes,
            events: config.recorded(),
            waiters_max: config.waiters_max,
            patience_ns: config.patience_ns,
        });
        let tag = crate::registration::next_tag();
        Ok(Self {
            usual_tag: if core.events.is_enabled() { NO_TAG } else { tag.into() },
            gates: Gates::of(tag, core.events.is_enabled()),
            core,
            tag,
            admin: Mutex::new(Admin::new(&config)),
            slots: Mutex::default(),
            due_ns: AtomicU64::new(u64::MAX),
            slots_wanted: AtomicU32::new(0),
            idle: Idle::default(),
            measured: Measured::default(),
            pressure_rises: AtomicU64::new(0),
            reclaim: Reclaim::default(),
            leaks: Listeners::default(),
            listening: Listening::default(),
            wakers: Wakers::new(config.clock.clone(), config.waiters_max),
            details: Details::new(&config),
            is_audited: AtomicU32::new(0),
            audit_rest: Mutex::default(),
            told_ns: CachePadded::new(AtomicU64::new(0)),
            config,
        })
    }

    /// The configuration the governor was created with. The capacity may have changed since: see
    /// [`crate::Snapshot::capacity_bytes`].
    pub fn config(&self) -> &GovernorConfig {
        &self.config
    }

    /// The governor's clock.
    pub fn clock(&self) -> &Clock {
        &self.config.clock
    }

    /// Looks and answers: no eviction, no handler asked, bounded steps, no lock or allocation. Goes
    /// before those who wait if it fits while they do not; [`Governor::acquire`] waits its turn.
    /// Where it finds claim idle that somebody waits for it hands it over, and wakes them: then its
    /// steps grow with the line.
    ///
    /// # Errors
    ///
    /// [`Refusal::Denied`] with the account and check that refused; [`Refusal::Misuse`] for a
    /// stale or foreign tenant, zero bytes, or more than one grant can hold.
    #[inline(always)]
    pub fn try_request(&self, request: &Request) -> Result<Grant<'_>, Refusal> {
        match self.grant_at_once(request) {
            Some(id) => Ok(self.grant_of(request, id)),
            None => self.try_request_in_full(request).map(|id| self.grant_of(request, id)),
        }
    }

    #[inline(never)]
    fn try_request_in_full(&self, request: &Request) -> Answer {
        let Some((used, limit)) = self.denied_at_once(request) else {
            return self.try_request_in_general(request);
        };
        // It may have had a slot for a moment, without which a look at the line was unclear.
        self.serve_noted();
        if request.bytes <= limit {
            return self.denied_for_now(request, used, limit);
        }
        Err(denied_by_limit(request, used, limit, false).into())
    }

    #[inline(never)]
    fn try_request_in_general(&self, request: &Request) -> Answer {
        if let Some(number) = self.detailed_at_once(request) {
            return Ok(number);
        }
        let ask = self.ask(request)?;
        self.begin(Verb::TryRequest, request, &ask)?;
        match self.admit(&ask) {
            Ok(granted) => Ok(self.granted(&ask, granted).into_number()),
            Err(no) => Err(self.denied(&ask, no, Extent::of(ask.bytes))),
        }
    }

    /// Like [`Governor::try_request`], but when memory is short first evicts what may go: the
    /// tenant's own grants at its own limit, those of others below it when an ancestor is short.
    ///
    /// Calls reclaim handlers, with nothing held. Its steps are not bounded by a constant.
    ///
    /// # Errors
    ///
    /// As [`Governor::try_request`].
    #[inline]
    pub fn request(&self, request: &Request) -> Result<Grant<'_>, Refusal> {
        match self.grant_at_once(request) {
            Some(id) => Ok(self.grant_of(request, id)),
            None => self.request_in_full(request).map(|id| self.grant_of(request, id)),
        }
    }

    #[inline(never)]
    fn request_in_full(&self, request: &Request) -> Answer {
        if let Some(number) = self.detailed_at_once(request) {
            return Ok(number);
        }
        let ask = self.ask(request)?;
        self.begin(Verb::Request, request, &ask)?;
        match self.admit(&ask) {
            Ok(granted) => Ok(self.granted(&ask, granted).into_number()),
            Err(no) => self.request_or_deny(ask, no).map(Grant::into_number),
        }
    }

    /// Like [`Governor::request`], with a grant that keeps the governor alive and can be stored.
    ///
    /// # Errors
    ///
    /// As [`Governor::try_request`].
    pub fn request_owned(self: &Arc<Self>, request: &Request) -> Result<OwnedGrant, Refusal> {
        Ok(self.request(request)?.into_owned(self))
    }

    /// The number of the usual grant, of which there is nothing to say: `core/hot_path.rs`.
    /// For the C interface, like the other verbs `at_once`: they have done all or nothing.
    #[doc(hidden)]
    #[inline(always)]
    pub fn grant_at_once(&self, request: &Request) -> Option<NonZeroU64> {
        if request.gate != self.gates.plain {
            return None;
        }
        self.number_of(request, self.core.request_at_once(request, false)?)
    }

    /// The same of a grant with flags, key or cookie.
    #[inline(never)]
    fn detailed_at_once(&self, request: &Request) -> Option<NonZeroU64> {
        if request.gate != self.gates.detailed {
            return None;
        }
        self.number_of(request, self.core.request_at_once(request, true)?)
    }

    /// The usual denial: by the tenant's own limit. Answers use and limit.
    #[inline(always)]
    fn denied_at_once(&self, request: &Request) -> Option<(u64, u64)> {
        if request.gate != self.gates.plain {
            return None;
        }
        self.core.refuse_at_once(request)
    }

    /// The denial of a request that may fit later.
    #[inline(never)]
    fn denied_for_now(&self, request: &Request, used: u64, limit: u64) -> Answer {
        let can_help = self.core.accounts.may_attain(request.tenant.index(), request.bytes);
        Err(denied_by_limit(request, used, limit, can_help).into())
    }

    #[inline(always)]
    fn number_of(&self, request: &Request, (slot, generation): Granted) -> Option<NonZeroU64> {
        if self.core.scarcity.any() {
            self.after_purchase(request.owner);
        }
        NonZeroU64::new(GrantId::new(self.tag, generation, slot).as_u64())
    }

    /// The grant of a number, which fits into a register where the grant itself does not.
    #[inline(always)]
    fn grant_of(&self, request: &Request, number: NonZeroU64) -> Grant<'_> {
        Grant::new(self, GrantId::from_u64(number.get()), request.owner)
    }

    /// Where bytes are scarce, claim beyond the need goes back at once: it may have been on its way
    /// when this took some of it into use.
    #[cold]
    #[inline(never)]
    fn after_purchase(&self, owner: Owner) {
        self.core.give_up_rest(owner.account());
        self.serve_noted();
    }

    /// Where bytes are scarce, the claim of who gave some back goes up, and to those who wait.
    #[cold]
    #[inline(never)]
    fn after_return(&self, owner: Owner) {
        self.core.offer_claim(owner.account());
        self.serve_waiters();
    }

    /// Whose grant it is, and where, if both are this governor's.
    #[inline(always)]
    fn slot_of(&self, tenant: TenantHandle, grant: GrantId) -> Option<(Slot<'_>, Owner)> {
        if u32::from(tenant.tag()) != self.usual_tag || grant.tag() != tenant.tag() {
            return None;
        }
        let slot = self.core.grants.find(grant.index())?;
        let owner = slot.owner();
        owner.is_of(tenant.index(), tenant.generation()).then_some((slot, owner))
    }

    /// Where a grant is that the caller has as an object, and so is this governor's; none where
    /// what happens is recorded.
    #[inline(always)]
    fn slot_at_hand(&self, grant: GrantId) -> Option<Slot<'_>> {
        // SAFETY: objects are only made of grants that this governor gave.
        (self.usual_tag != NO_TAG).then(|| unsafe { self.core.grants.slot_at(grant.index()) })
    }

    /// An admission, and a look at the line if claim went back by it.
    #[inline]
    pub(crate) fn admit(&self, ask: &Ask) -> Result<Granted, No> {
        let answer = self.core.admit(ask, self);
        self.serve_noted();
        answer
    }

    /// Goes on where an admission was refused, to the grant or the denial. Either may have changed
    /// the pressure.
    #[cold]
    fn request_or_deny(&self, ask: Ask, no: No) -> Result<Grant<'_>, Refusal> {
        let answer = self.request_evicting(ask, no);
        let answer = answer.map_err(|(no, extent)| self.denied(&ask, no, extent));
        self.tell_pressure();
        answer
    }

    /// Goes on where an admission was refused.
    #[cold]
    pub(crate) fn request_evicting(
        &self,
        mut ask: Ask,
        mut no: No,
    ) -> Result<Grant<'_>, (No, Extent)> {
        let answer = self.request_in_rounds(&mut ask, &mut no);
        // What was evicted beyond the need is for those who wait.
        self.serve_waiters();
        answer
    }

    fn request_in_rounds(&self, ask: &mut Ask, no: &mut No) -> Result<Grant<'_>, (No, Extent)> {
        let mut effort = Effort::default();
        for _ in 0..REQUEST_ROUNDS_MAX {
            ask.now_ns = self.clock().now_ns();
            ask.paced |= no.is_paced();
            if !self.make_room(ask, *no, &mut effort) {
                break;
            }
            match self.admit(ask) {
                Ok(granted) => return Ok(self.granted(ask, granted)),
                Err(again) => *no = again,
            }
        }
        Err((*no, Extent { evicted: effort.relief.is_some(), total: ask.bytes }))
    }

    /// Frees what the refusal `no` is short of; says whether asking again makes sense.
    pub(crate) fn make_room(&self, ask: &Ask, no: No, effort: &mut Effort) -> bool {
        let elsewhere = no == No::Contended;
        let no = match no {
            // Nothing is evicted for a request that has not passed its rate.
            No::Unpaced => return true,
            No::Contended => match self.held_up(ask, effort) {
                Some(obstacle) => obstacle,
                None => return true,
            },
            no => no,
        };
        let (account, goal) = match no {
            No::Slots => return self.shed_segments(),
            No::Full { account, asked, limit, .. } if asked <= limit => {
                (account, Goal::Demand(self.with_headroom(asked, limit)))
            }
            No::Count { .. } => {
                let queue = self.core.queue(ask.owner());
                match queue.grants_max() {
                    Some(0) => return false,
                    // It was just lifted, or another grant has gone.
                    _ if queue.beyond(1) == 0 => return true,
                    _ => (ask.account, Goal::Grants(1)),
                }
            }
            _ => return false,
        };
        self.end_broken_promises(ask.now_ns);
        if self.return_expired(ask.now_ns) > 0 || self.end_freed_late() {
            return true;
        }
        let earlier = effort.relief.unwrap_or_default();
        effort.relief = Some(earlier);
        if self.is_hopeless(ask, no, goal, effort.growing) {
            return false;
        }
        let shortage = self.shortage(ask, account, goal).sparing(effort.growing);
        let owners = self.asking();
        let relief = match elsewhere {
            true => self.core.make_room_elsewhere(&shortage, &owners),
            false => self.core.make_room(&shortage, &owners),
        };
        effort.relief = Some(relief.after(earlier));
        if relief.raced && relief.grants == 0 {
            // Whoever is in the way may be off its core.
            std::thread::yield_now();
        }
        // Another grant may have gone meanwhile, and left its place.
        let has_place = |grants| self.core.queue(ask.owner()).beyond(grants) == 0;
        let has_place = matches!(goal, Goal::Grants(grants) if has_place(grants));
        if relief.grants > 0 || relief.raced || has_place {
            return true;
        }
        // Another thread is freeing enough, or an owner has promised to.
        effort.patience = effort.patience.saturating_sub(u32::from(relief.enough));
        let again = relief.enough && relief.promised == 0 && effort.patience > 0;
        if again {
            self.await_others(ask, account);
        }
        again
    }

    /// What a request is short of that finds others at work again and again: one of them may be off
    /// its core, and what it holds up meanwhile is as good as in use.
    fn held_up(&self, ask: &Ask, effort: &mut Effort) -> Option<No> {
        effort.unclear += 1;
        if effort.unclear < UNCLEAR_MAX {
            return None;
        }
        let obstacle = self.core.accounts.shortage(ask.account, ask.bytes);
        if obstacle.is_none() {
            std::thread::yield_now();
        }
        obstacle.map(No::from)
    }

    /// Waits while others are freeing what is missing in `account`: for a moment, as they are
    /// likely at work, and else until they have had their turn.
    fn await_others(&self, ask: &Ask, account: u32) {
        for _ in 0..LOOKS_MAX {
            let short = self.core.accounts.shortage(ask.account, ask.bytes).is_some();
            if !short || self.core.freeing(account).bytes() == 0 {
                return;
            }
            pause();
        }
        std::thread::yield_now();
    }

    /// What is freed for a request of `asked` bytes where the limit allows it.
    pub(crate) fn with_headroom(&self, asked: u64, limit: u64) -> u64 {
        asked.saturating_add(self.config.headroom_bytes).min(limit.max(asked))
    }

    /// Whether the request would be refused even if everything went that may go for it: then
    /// nothing is evicted in vain.
    fn is_hopeless(&self, ask: &Ask, no: No, goal: Goal, growing: Option<Granted>) -> bool {
        let core = &self.core;
        let of = |account, goal| self.shortage(ask, account, goal).sparing(growing);
        let (used, leaving) = (|a| core.in_grants(a), |a| core.freeing(a).bytes());
        let sums = Sums { used: &used, leaving: &leaving };
        if let No::Full { account: ROOT, asked, used, limit } = no
            && !core.scarcity.has_excess()
        {
            // The usual case: the tenant has enough of its own that may go.
            let short = (used + asked).saturating_sub(limit);
            if core.evictable(&of(ROOT, goal), ask.account, short) >= short {
                return false;
            }
        }
        let suffices =
            |account, short| core.suffices(&of(account, Goal::Bytes(short)), short, sums);
        // Where there is excess, what is freed may bring the request within a guarantee.
        let excess = core.scarcity.has_excess();
        // Nothing has to be bought from above if the claim covers the request in the end.
        let covered = match no {
            No::Full { account, asked, used, limit } => {
                if !excess && !suffices(account, (used + asked).saturating_sub(limit)) {
                    return true;
                }
                account == ROOT || core.accounts.claim(account) >= limit
            }
            _ => {
                let (shortage, owner) = (of(ask.account, goal), ask.owner());
                let Goal::Grants(grants) = goal else { return true };
                let beyond = || core.queue(owner).beyond(grants);
                let needed = beyond();
                let going = core.evictable_grants(&shortage, owner, needed);
                // Looked at again: what others have evicted meanwhile need not go any more.
                if going < needed.min(beyond()) && !core.is_being_evicted(ask.account) {
                    return true;
                }
                let Some(pick) = core.pick(owner, ask.now_ns) else { return false };
                let used = core.accounts.used(ask.account).saturating_sub(pick.word.bytes());
                let after = used + ask.bytes;
                after <= core.accounts.limit(ask.account).min(core.accounts.claim(ask.account))
            }
        };
        (!covered || excess)
            && self.obstructions(ask, &Gone::new()).iter().any(|o| {
                let mut instead = o.instead.iter();
                !suffices(o.account, o.short)
                    && !instead.any(|&(account, bytes)| suffices(account, bytes))
            })
    }

    /// Sets bytes aside for `ttl`: counted like a grant, never evicted, and given back unless
    /// [`Reservation::commit`] is called in time. Evicts like [`Governor::request`].
    ///
    /// # Errors
    ///
    /// As [`Governor::try_request`].
    pub fn reserve(&self, request: &Request, ttl: Duration) -> Result<Reservation<'_>, Refusal> {
        let mut ask = self.ask(request)?;
        let ttl_ns = u64::try_from(ttl.as_nanos()).unwrap_or(u64::MAX);
        ask.now_ns = self.clock().now_ns();
        ask.fields.flags |= flag::UNCOMMITTED;
        ask.fields.expires_ns = ask.now_ns.saturating_add(ttl_ns).max(1);
        self.begin(Verb::Reserve, &Request { ttl_ns: Some(ttl_ns), ..*request }, &ask)?;
        let grant = match self.admit(&ask) {
            Ok(granted) => self.granted(&ask, granted),
            Err(no) => self.request_or_deny(ask, no)?,
        };
        self.note_reservation(ask.fields.expires_ns, grant.id(), ask.owner());
        Ok(Reservation::new(grant))
    }

    /// Makes a reservation a grant.
    ///
    /// # Errors
    ///
    /// [`Error::Expired`] if its time ran out, or [`Error::StaleGrant`] once its slot has another
    /// grant; [`Error::NotReserved`] if it is a grant already.
    pub fn commit(&self, tenant: TenantHandle, grant: GrantId) -> Result<(), Error> {
        let now_ns = self.clock().now_ns();
        self.change(tenant, grant, |fields| {
            if fields.flags & flag::UNCOMMITTED == 0 {
                return Err(Error::NotReserved(grant));
            }
            if fields.is_expired(now_ns) {
                return Err(Error::Expired(grant));
            }
            fields.flags &= !flag::UNCOMMITTED;
            fields.expires_ns = 0;
            Ok(())
        })
        .map_err(|error| match error {
            Error::Evicted(_) => Error::Expired(grant),
            other => other,
        })?;
        self.note_call_of(EventKind::Committed, tenant, grant, 0, 0);
        Ok(())
    }

    /// Grants all of `requests`, at most 64, or none; does not evict. One charge for each tenant.
    /// Of no requests, all are granted.
    ///
    /// # Errors
    ///
    /// As [`Governor::try_request`], for the first request that is refused.
    pub fn request_all(&self, requests: &[Request]) -> Result<Vec<Grant<'_>>, Refusal> {
        if requests.len() > BATCH_MAX {
            let problem = format!("{} in one batch; at most {BATCH_MAX}: split it", requests.len());
            return Err(Error::Config { field: "requests", problem }.into());
        }
        let asks: Vec<Ask> = requests.iter().map(|r| self.ask(r)).collect::<Result<_, _>>()?;
        let mut granted = vec![Granted::default(); asks.len()];
        if asks.is_empty() {
            return Ok(Vec::new());
        }
        self.begin_all(requests, &asks)?;
        let answer = self.core.admit_all(&asks, &mut granted, self);
        if self.core.scarcity.any() {
            for ask in &asks {
                self.core.give_up_rest(ask.account);
            }
            self.serve_waiters();
        }
        match answer {
            Ok(()) => {
                let grants = asks.iter().zip(granted);
                Ok(grants.map(|(ask, granted)| self.granted(ask, granted)).collect())
            }
            Err((refused, no)) => {
                let ask = &asks[refused];
                let below = |a: &&Ask| match no {
                    No::Full { account, .. } => {
                        a.account == account || self.core.accounts.is_below(a.account, account)
                    }
                    _ => std::ptr::eq(*a, ask),
                };
                let total = asks.iter().filter(below).map(|a| a.bytes).sum();
                self.core.events.give_room(GRANT_RECORDS * (asks.len() as u64 - 1));
                Err(self.denied(&Ask { bytes: total, ..*ask }, no, Extent::of(total)))
            }
        }
    }

    /// Tells the eviction queue that the content was used: a few plain accesses.
    ///
    /// # Errors
    ///
    /// [`Error::StaleGrant`] if the grant has ended, [`Error::Evicted`] if it was evicted,
    /// [`Error::NotYours`] if it is another tenant's.
    #[inline]
    pub fn touch(&self, tenant: TenantHandle, grant: GrantId) -> Result<(), Error> {
        match self.touch_at_once(tenant, grant) {
            Some(()) => Ok(()),
            None => self.touch_in_full(tenant, grant),
        }
    }

    /// The same by who has the grant as an object.
    #[inline]
    pub(crate) fn touch_held(&self, grant: GrantId, owner: Owner) -> Result<(), Error> {
        let slot = self.slot_at_hand(grant);
        match slot.and_then(|slot| self.core.touch_at_once(slot, grant.generation(), owner)) {
            Some(()) => Ok(()),
            None => self.touch_in_full(self.tenant_handle(owner), grant),
        }
    }

    #[doc(hidden)]
    #[inline(always)]
    pub fn touch_at_once(&self, tenant: TenantHandle, grant: GrantId) -> Option<()> {
        let (slot, owner) = self.slot_of(tenant, grant)?;
        self.core.touch_at_once(slot, grant.generation(), owner)
    }

    #[cold]
    fn touch_in_full(&self, tenant: TenantHandle, grant: GrantId) -> Result<(), Error> {
        let owner = self.owner(tenant, grant)?;
        let touched = self.core.touch(grant.index(), grant.generation(), owner);
        touched.map_err(|refused| refusal(refused, grant))?;
        if self.core.events.has_calls() {
            self.note_call(EventKind::Touched, owner, grant, 0, 0);
        }
        Ok(())
    }

    /// Bytes a grant holds now, also while its owner is asked for it. A few loads, no
    /// read-modify-write; may be called from any thread. While another thread grows or shrinks the
    /// grant, what it held before.
    ///
    /// # Errors
    ///
    /// As [`Governor::touch`]; [`Error::Foreign`] for a tenant or a grant of another governor,
    /// [`Error::Gone`] for a tenant whose slot has another owner by now.
    ///
    /// ```
    /// use allotment::*;
    ///
    /// let governor = Governor::new(GovernorConfig::new(8 << 30))?;
    /// let chat = governor.register_tenant(TenantConfig::new(TenantId::from_u128(1), "chat"))?;
    /// let running = Request::new(chat, AllocationType::Inference, 1 << 30);
    /// let grant = governor.request(&running)?.into_id();
    /// governor.grow(chat, grant, 1 << 20)?;
    /// assert_eq!(governor.bytes_of(chat, grant)?, (1 << 30) + (1 << 20));
    /// governor.release(chat, grant)?;
    /// assert_eq!(governor.bytes_of(chat, grant), Err(Error::StaleGrant(grant)));
    /// # Ok::<(), Refusal>(())
    /// ```
    pub fn bytes_of(&self, tenant: TenantHandle, grant: GrantId) -> Result<u64, Error> {
        let owner = self.owner(tenant, grant)?;
        let bytes = self.core.bytes_of(grant.index(), grant.generation(), owner);
        bytes.map_err(|refused| refusal(refused, grant))
    }

    /// Adds bytes to a live grant, without evicting. Two read-modify-writes when the tenant's
    /// claim suffices; bounded always.
    ///
    /// # Errors
    ///
    /// [`Refusal::Denied`] as for a request; [`Refusal::Misuse`] if the grant has ended, is being
    /// evicted, is another tenant's, or would exceed what one grant can hold.
    #[inline]
    pub fn grow(&self, tenant: TenantHandle, grant: GrantId, by: u64) -> Result<(), Refusal> {
        match self.grow_at_once(tenant, grant, by) {
            Some(()) => Ok(()),
            None => self.grow_in_full(tenant, grant, by),
        }
    }

    /// The same by who has the grant as an object.
    #[inline]
    pub(crate) fn grow_held(&self, grant: GrantId, owner: Owner, by: u64) -> Result<(), Refusal> {
        let slot = self.slot_at_hand(grant);
        match slot.and_then(|slot| self.grow_slot(slot, grant, owner, by)) {
            Some(()) => Ok(()),
            None => self.grow_in_full(self.tenant_handle(owner), grant, by),
        }
    }

    #[doc(hidden)]
    #[inline(always)]
    pub fn grow_at_once(&self, tenant: TenantHandle, grant: GrantId, by: u64) -> Option<()> {
        let (slot, owner) = self.slot_of(tenant, grant)?;
        self.grow_slot(slot, grant, owner, by)
    }

    #[inline(always)]
    fn grow_slot(&self, slot: Slot<'_>, grant: GrantId, owner: Owner, by: u64) -> Option<()> {
        self.core.grow_at_once(slot, grant.generation(), owner, by)?;
        if self.core.scarcity.any() {
            self.after_purchase(owner);
        }
        Some(())
    }

    #[inline(never)]
    fn grow_in_full(&self, tenant: TenantHandle, grant: GrantId, by: u64) -> Result<(), Refusal> {
        self.begin_growth(Verb::Grow, tenant, grant, by)?;
        match self.or_give_back(self.try_grow(tenant, grant, by))? {
            Ok(()) => Ok(()),
            Err(no) => {
                // Whoever was woken meanwhile may have ended the grant, and its tenant.
                let owner = self.or_give_back(self.owner(tenant, grant))?;
                Err(self.growth_denied(owner, grant, by, no, false))
            }
        }
    }

    /// Like [`Governor::grow`], but evicts like [`Governor::request`] when memory is short; never
    /// the grant itself.
    ///
    /// # Errors
    ///
    /// As [`Governor::grow`].
    pub fn grow_evicting(&self, tenant: TenantHandle, id: GrantId, by: u64) -> Result<(), Refusal> {
        self.begin_growth(Verb::GrowEvicting, tenant, id, by)?;
        let Err(no) = self.or_give_back(self.try_grow(tenant, id, by))? else { return Ok(()) };
        let answer = self.grow_or_deny((tenant, id, by), no);
        self.tell_pressure();
        answer
    }

    /// Goes on where a growth was refused, to its end or the denial.
    #[cold]
    fn grow_or_deny(
        &self,
        (tenant, id, by): (TenantHandle, GrantId, u64),
        no: No,
    ) -> Result<(), Refusal> {
        let owner = self.or_give_back(self.owner(tenant, id))?;
        let mut effort =
            Effort { growing: Some((id.index(), id.generation())), ..Effort::default() };
        let answer = self.grow_in_rounds((tenant, id, by), owner, no, &mut effort);
        self.serve_waiters();
        let answer = self.or_give_back(answer)?;
        answer.map_err(|no| self.growth_denied(owner, id, by, no, effort.relief.is_some()))
    }

    fn grow_in_rounds(
        &self,
        (tenant, id, by): (TenantHandle, GrantId, u64),
        owner: Owner,
        mut no: No,
        effort: &mut Effort,
    ) -> Result<Result<(), No>, Error> {
        for _ in 0..REQUEST_ROUNDS_MAX {
            let ask = Ask { now_ns: self.clock().now_ns(), ..self.growth(owner, by) };
            if !self.make_room(&ask, no, effort) {
                break;
            }
            match self.try_grow(tenant, id, by)? {
                Ok(()) => return Ok(Ok(())),
                Err(again) => no = again,
            }
        }
        Ok(Err(no))
    }

    #[cold]
    fn growth_denied(
        &self,
        owner: Owner,
        grant: GrantId,
        by: u64,
        no: No,
        evicted: bool,
    ) -> Refusal {
        let total = self.grant_bytes(grant, owner).saturating_add(by);
        self.denied_with(&self.growth(owner, by), no, Extent { evicted, total }, GROWTH_RECORDS)
    }

    fn try_grow(
        &self,
        tenant: TenantHandle,
        grant: GrantId,
        by: u64,
    ) -> Result<Result<(), No>, Error> {
        let owner = self.owner(tenant, grant)?;
        check_size(by)?;
        check_size(self.grant_bytes(grant, owner).saturating_add(by))?;
        let answer = self.core.grow(grant.index(), grant.generation(), owner, by, self);
        self.serve_noted();
        answer.map_err(|refused| refusal(refused, grant))
    }

    /// Gives back part of a grant. Two read-modify-writes.
    ///
    /// # Errors
    ///
    /// [`Error::ShrinkTooMuch`] if the grant does not hold more than that, [`Error::ZeroBytes`];
    /// nothing has changed.
    #[inline]
    pub fn shrink(&self, tenant: TenantHandle, grant: GrantId, by: u64) -> Result<(), Error> {
        match self.shrink_at_once(tenant, grant, by) {
            Some(()) => Ok(()),
            None => self.shrink_in_full(tenant, grant, by),
        }
    }

    /// The same by who has the grant as an object.
    #[inline]
    pub(crate) fn shrink_held(&self, grant: GrantId, owner: Owner, by: u64) -> Result<(), Error> {
        let slot = self.slot_at_hand(grant);
        match slot.and_then(|slot| self.shrink_slot(slot, grant, owner, by)) {
            Some(()) => Ok(()),
            None => self.shrink_in_full(self.tenant_handle(owner), grant, by),
        }
    }

    #[doc(hidden)]
    #[inline(always)]
    pub fn shrink_at_once(&self, tenant: TenantHandle, grant: GrantId, by: u64) -> Option<()> {
        let (slot, owner) = self.slot_of(tenant, grant)?;
        self.shrink_slot(slot, grant, owner, by)
    }

    #[inline(always)]
    fn shrink_slot(&self, slot: Slot<'_>, grant: GrantId, owner: Owner, by: u64) -> Option<()> {
        self.core.shrink_at_once(slot, grant.generation(), owner, by)?;
        if self.core.scarcity.any() {
            self.after_return(owner);
        }
        Some(())
    }

    #[inline(never)]
    fn shrink_in_full(&self, tenant: TenantHandle, grant: GrantId, by: u64) -> Result<(), Error> {
        let owner = self.owner(tenant, grant)?;
        if by == 0 {
            return Err(Error::ZeroBytes);
        }
        self.take_room_for_change()?;
        let shrunk = self.core.shrink(grant.index(), grant.generation(), owner, by, self);
        let shrunk = shrunk.map_err(|refused| refusal(refused, grant));
        let shrunk = shrunk
            .and_then(|shrunk| shrunk.map_err(|held| Error::ShrinkTooMuch { grant, held, by }));
        self.or_give_back(shrunk)?;
        self.serve_waiters();
        Ok(())
    }

    /// Grows or shrinks a grant to what was measured, at least 1 byte. Does not evict.
    ///
    /// # Errors
    ///
    /// As [`Governor::grow`] and [`Governor::shrink`].
    pub fn true_up(
        &self,
        tenant: TenantHandle,
        grant: GrantId,
        measured_bytes: u64,
    ) -> Result<(), Refusal> {
        check_size(measured_bytes)?;
        let held = self.grant_bytes(grant, self.owner(tenant, grant)?);
        match measured_bytes.checked_sub(held) {
            Some(0) => Ok(()),
            Some(more) => self.grow(tenant, grant, more),
            None => Ok(self.shrink(tenant, grant, held - measured_bytes)?),
        }
    }

    /// Forbids eviction of a grant until [`Governor::unpin`]. Bounded.
    ///
    /// # Errors
    ///
    /// [`Error::Evicted`] if it is too late, [`Error::StaleGrant`] if the grant has ended.
    pub fn pin(&self, tenant: TenantHandle, grant: GrantId) -> Result<(), Error> {
        self.change(tenant, grant, |fields| {
            fields.flags |= flag::PINNED;
            Ok(())
        })?;
        self.note_call_of(EventKind::Pinned, tenant, grant, 1, 0);
        Ok(())
    }

    /// Allows eviction of a grant again. Bounded.
    ///
    /// # Errors
    ///
    /// As [`Governor::pin`].
    pub fn unpin(&self, tenant: TenantHandle, grant: GrantId) -> Result<(), Error> {
        self.change(tenant, grant, |fields| {
            fields.flags &= !flag::PINNED;
            Ok(())
        })?;
        self.note_call_of(EventKind::Pinned, tenant, grant, 0, 0);
        Ok(())
    }

    /// Forbids eviction of a grant for a while from now on. Bounded.
    ///
    /// # Errors
    ///
    /// As [`Governor::pin`].
    pub fn keep_alive(
        &self,
        tenant: TenantHandle,
        grant: GrantId,
        for_: Duration,
    ) -> Result<(), Error> {
        let for_ns = u64::try_from(for_.as_nanos()).unwrap_or(u64::MAX);
        let until_ns = self.clock().now_ns().saturating_add(for_ns);
        self.change(tenant, grant, |fields| {
            fields.keep_until_ns = until_ns;
            Ok(())
        })?;
        self.note_call_of(EventKind::KeptAlive, tenant, grant, 0, for_ns);
        Ok(())
    }

    /// Returns a grant. Two read-modify-writes, bounded. While somebody waits it also hands over
    /// what came free, unless another thread is at it: its steps grow with the line then.
    ///
    /// # Errors
    ///
    /// [`Error::StaleGrant`] if it was returned before, [`Error::NotYours`] if it is another
    /// tenant's, [`Error::Busy`] if another thread is changing it at this moment.
    #[inline]
    pub fn release(&self, tenant: TenantHandle, grant: GrantId) -> Result<Released, Error> {
        match self.release_at_once(tenant, grant) {
            Some(()) => Ok(Released::Returned),
            None => self.release_in_full(tenant, grant),
        }
    }

    #[doc(hidden)]
    #[inline(always)]
    pub fn release_at_once(&self, tenant: TenantHandle, grant: GrantId) -> Option<()> {
        let (slot, owner) = self.slot_of(tenant, grant)?;
        self.release_slot(slot, grant, owner)
    }

    #[inline(never)]
    fn release_in_full(&self, tenant: TenantHandle, grant: GrantId) -> Result<Released, Error> {
        let owner = self.owner(tenant, grant)?;
        self.release_owned(grant, owner)
    }

    #[inline(always)]
    fn release_at_hand(&self, grant: GrantId, owner: Owner) -> Option<()> {
        self.release_slot(self.slot_at_hand(grant)?, grant, owner)
    }

    #[inline(always)]
    fn release_slot(&self, slot: Slot<'_>, grant: GrantId, owner: Owner) -> Option<()> {
        let at = (slot, grant.index());
        if let Err(word) = self.core.release_at_once(at, grant.generation(), owner)? {
            self.release_held(grant.index(), word, owner);
        } else if self.core.scarcity.any() {
            self.after_return(owner);
        }
        Some(())
    }

    #[inline(never)]
    fn release_held(&self, index: u32, word: SlotWord, owner: Owner) {
        self.core.release_held(index, word, owner);
        if self.core.scarcity.any() {
            self.after_return(owner);
        }
    }

    #[inline(never)]
    fn release_owned(&self, grant: GrantId, owner: Owner) -> Result<Released, Error> {
        match self.core.release(grant.index(), grant.generation(), owner, self) {
            Ok((_, evicting)) => {
                self.serve_waiters();
                Ok(if evicting { Released::Evicted } else { Released::Returned })
            }
            Err(Refused::Evicted) => Ok(Released::Evicted),
            Err(refused) => Err(refusal(refused, grant)),
        }
    }

    /// Returns a grant whose owner has no way to call again, waiting for a thread that is just
    /// changing it.
    #[inline]
    pub(crate) fn release_certainly(
        &self,
        grant: GrantId,
        owner: Owner,
    ) -> Result<Released, Error> {
        match self.release_of(grant, owner) {
            Some(()) => Ok(Released::Returned),
            None => self.release_insistently(grant, owner),
        }
    }

    #[inline(never)]
    fn release_of(&self, grant: GrantId, owner: Owner) -> Option<()> {
        self.release_at_hand(grant, owner)
    }

    /// The same, whatever became of the grant.
    #[inline(never)]
    pub(crate) fn release_quietly(&self, grant: GrantId, owner: Owner) {
        if self.release_at_hand(grant, owner).is_none() {
            self.release_somehow(grant, owner);
        }
    }

    #[cold]
    #[inline(never)]
    fn release_somehow(&self, grant: GrantId, owner: Owner) {
        let _ = self.release_insistently(grant, owner);
    }

    #[inline(never)]
    fn release_insistently(&self, grant: GrantId, owner: Owner) -> Result<Released, Error> {
        loop {
            match self.release_owned(grant, owner) {
                Err(Error::Busy(_)) => std::thread::yield_now(),
                answer => return answer,
            }
        }
    }

    fn change(
        &self,
        tenant: TenantHandle,
        grant: GrantId,
        change: impl FnOnce(&mut Fields) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let owner = self.owner(tenant, grant)?;
        self.core
            .change(grant.index(), grant.generation(), owner, change)
            .map_err(|refused| refusal(refused, grant))?
    }

    /// Bytes a grant holds now, 0 if it has ended.
    pub(crate) fn grant_bytes(&self, grant: GrantId, owner: Owner) -> u64 {
        let word = self.core.grants.word(grant.index());
        let (slot, generation) = (grant.index(), grant.generation());
        let same = self.core.grants.generation(slot) == generation;
        if same && self.core.grants.owner(slot) == owner { word.bytes() } else { 0 }
    }

    #[inline]
    pub(crate) fn ask(&self, request: &Request) -> Result<Ask, Error> {
        let (account, generation) = self.resolve(request.tenant)?;
        check_size(request.bytes)?;
        // A limit that is set from here on is for the requests after this one, which has no time to
        // be judged by.
        let rated = self.core.tenant(account).rate.limit().is_some();
        let timed = rated || request.ttl_ns.is_some();
        let now_ns = if timed { self.clock().now_ns() } else { 0 };
        let expires_ns = request.ttl_ns.map_or(0, |ttl| now_ns.saturating_add(ttl).max(1));
        let (key, cookie) = (request.key, request.cookie);
        let flags = request.flags;
        let fields = Fields { key, cookie, expires_ns, keep_until_ns: 0, flags };
        Ok(Ask {
            account,
            generation,
            kind: request.owner.allocation_type(),
            bytes: request.bytes,
            fields,
            cost: request.cost,
            now_ns,
            paced: !rated,
        })
    }

    pub(crate) fn growth(&self, owner: Owner, bytes: u64) -> Ask {
        Ask {
            account: owner.account(),
            generation: owner.generation(),
            kind: owner.allocation_type(),
            bytes,
            fields: Fields::default(),
            cost: 0,
            now_ns: 0,
            paced: true,
        }
    }

    #[inline]
    pub(crate) fn granted(&self, ask: &Ask, (slot, generation): Granted) -> Grant<'_> {
        Grant::new(self, GrantId::new(self.tag, generation, slot), ask.owner())
    }

    #[inline]
    pub(crate) fn resolve(&self, tenant: TenantHandle) -> Result<(u32, u32), Error> {
        let (what, number) = ("tenant", tenant.as_u64());
        if tenant.tag() != self.tag {
            return Err(Error::Foreign { what, number });
        }
        let accounts = &self.core.accounts;
        let last = accounts.tenants_begin() + accounts.capacity().1;
        // Generations begin at one: a slot that nobody has had is at none.
        let may_be = (accounts.tenants_begin()..last).contains(&tenant.index());
        if !may_be || tenant.generation() == 0 {
            return Err(Error::Gone { what, number });
        }
        Ok((tenant.index(), tenant.generation()))
    }

    /// Whose slots a grant id points into, if that is the tenant named.
    #[inline]
    pub(crate) fn owner(&self, tenant: TenantHandle, grant: GrantId) -> Result<Owner, Error> {
        let (account, generation) = self.resolve(tenant)?;
        if grant.tag() != self.tag {
            return Err(Error::Foreign { what: "grant", number: grant.as_u64() });
        }
        let slot = grant.index();
        if !self.core.grants.contains(slot) {
            return Err(Error::StaleGrant(grant));
        }
        let owner = self.core.grants.owner(slot);
        if owner.account() == account && owner.generation() == generation {
            return Ok(owner);
        }
        if self.core.accounts.generation(account) != generation {
            return Err(Error::Gone { what: "tenant", number: tenant.as_u64() });
        }
        // Also while it is asked for, or changed.
        let held = self.core.bytes_of(slot, grant.generation(), owner).is_ok();
        Err(if held { Error::NotYours { grant, tenant } } else { Error::StaleGrant(grant) })
    }

    pub(crate) fn tenant_handle(&self, owner: Owner) -> TenantHandle {
        TenantHandle::new(self.tag, owner.generation(), owner.account())
    }

    /// The answer to a request that is denied, counted and recorded.
    #[cold]
    pub(crate) fn denied(&self, ask: &Ask, no: No, extent: Extent) -> Refusal {
        self.denied_with(ask, no, extent, GRANT_RECORDS)
    }

    /// The same, where room for so many records was taken.
    fn denied_with(&self, ask: &Ask, no: No, extent: Extent, room: u64) -> Refusal {
        match self.refusal_of(ask, no, extent) {
            Refusal::Denied(denial) => {
                self.core.events.give_room(room - 1);
                self.count_denial(ask, denial, 0)
            }
            misuse => {
                self.core.events.give_room(room);
                misuse
            }
        }
    }

    /// Counts and records a denial, of a request that has waited by its number in line. Its record
    /// has room.
    pub(crate) fn count_denial(&self, ask: &Ask, denial: Denial, ticket: u64) -> Refusal {
        // Who looks at a place in line may do so long after its tenant has gone.
        let waited = ticket != 0 || denial.reason == DenialReason::WaitedTooLong;
        let _slots = waited.then(|| lock(&self.slots));
        if self.is_of_slot(ask) {
            self.core.tenant(ask.account).tally.note_denied();
        }
        if self.core.events.is_enabled() {
            self.record_denial(ask, &denial, ticket);
        }
        denial.into()
    }

    /// What a refusal of the core means to the caller.
    pub(crate) fn refusal_of(&self, ask: &Ask, no: No, extent: Extent) -> Refusal {
        let number = TenantHandle::new(self.tag, ask.generation, ask.account);
        if no == No::Closed {
            return Error::Gone { what: "tenant", number: number.as_u64() }.into();
        }
        let mut denial = Denial {
            reason: DenialReason::Contended,
            account: AccountName::Tenant(number),
            asked_bytes: ask.bytes,
            short_bytes: 0,
            available_bytes: 0,
            limit: 0,
            waiting_can_help: true,
            retry_after_ns: None,
            pins: Pins::default(),
        };
        match no {
            No::Full { account, asked, used, limit } => {
                denial.reason = self.reason_of(account, ask.account);
                denial.account = self.account_name(account);
                denial.short_bytes = (used + asked).saturating_sub(limit);
                denial.available_bytes = limit.saturating_sub(used);
                denial.limit = limit;
                let inner = self.core.accounts.is_inner(account);
                denial.waiting_can_help =
                    extent.total <= self.core.accounts.attainable(ask.account, inner);
                if !denial.waiting_can_help && self.core.is_gone(ask) {
                    // Unregistered since: a closed tenant has no limits to speak of.
                    return Error::Gone { what: "tenant", number: number.as_u64() }.into();
                }
                if extent.evicted {
                    denial.pins = self.pins_in_the_way(account, ask);
                }
                if account == ROOT {
                    self.note_pool_refusal();
                }
            }
            No::Count { .. } => {
                let queue = &self.core.tenant(ask.account).queues[usize::from(ask.kind)];
                denial.reason = DenialReason::GrantCount;
                denial.limit = queue.grants_max().map_or(0, u64::from);
                denial.waiting_can_help = denial.limit > 0;
            }
            No::Rate(after_ns) => {
                denial.reason = DenialReason::RateLimit;
                denial.retry_after_ns = Some(after_ns);
            }
            No::Slots => {
                denial.reason = DenialReason::SlotsExhausted;
                self.note_slots_exhausted();
            }
            No::Closed | No::Contended | No::Unpaced => {}
        }
        denial.into()
    }

    pub(crate) fn reason_of(&self, account: u32, tenant: u32) -> DenialReason {
        match account {
            ROOT => DenialReason::Capacity,
            account if account == tenant => DenialReason::TenantLimit,
            _ => DenialReason::GroupLimit,
        }
    }
}

#[inline(always)]
fn denied_by_limit(request: &Request, used: u64, limit: u64, waiting_can_help: bool) -> Denial {
    let Request { tenant, bytes, .. } = *request;
    Denial {
        reason: DenialReason::TenantLimit,
        account: AccountName::Tenant(tenant),
        asked_bytes: bytes,
        short_bytes: used + bytes - limit,
        available_bytes: limit.saturating_sub(used),
        limit,
        waiting_can_help,
        retry_after_ns: None,
        pins: Pins::default(),
    }
}

fn check_size(bytes: u64) -> Result<(), Error> {
    match bytes {
        0 => Err(Error::ZeroBytes),
        1..=GRANT_BYTES_MAX => Ok(()),
        _ => Err(Error::TooLarge { bytes, max: GRANT_BYTES_MAX }),
    }
}

pub(crate) fn refusal(refused: Refused, grant: GrantId) -> Error {
    match refused {
        Refused::Stale => Error::StaleGrant(grant),
        Refused::Evicted => Error::Evicted(grant),
        Refused::Busy => Error::Busy(grant),
    }
}

impl std::fmt::Debug for Governor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Governor").field("tag", &self.tag).finish_non_exhaustive()
    }
}
