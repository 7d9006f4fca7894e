//! What the governor promises, said by a model of one thread: plain tables, and for each operation
//! with its answer the states it may lead to.
//!
//! ```text
//! need(tenant) = max(guarantee, used)            used alone, once it is closed
//! need(group)  = max(guarantee, sum of the needs of its tenants)
//! need(pool)   = sum of the needs of its groups and tenants
//!
//! G1  a request is granted where used + bytes <= limit of the tenant, and wherever a need above
//!     it rises, need <= limit of the group, need <= capacity
//! G2  it is denied by an account only where that account has no room for it (I6)
//! G3  a victim is live, not pinned, no loaded model, of no higher priority than who asks for it;
//!     its tenant keeps its guarantee, unless it asks itself (I7)
//! G4  a grant ends once (I3), whoever ends it
//! G5  who waits is served where it fits, and passes one that asked before it for the same tenant
//!     only if that one did not fit at some moment since (I8)
//! ```
//!
//! An answer *contended* (or *busy*) says that the governor gave up: it is allowed anywhere,
//! changes nothing, and never comes here. What is not decided by an answer is left open: which
//! victim is chosen and when a waiter is served are operations of their own, that happen somewhere
//! between the call and the return of what caused them.
//!
//! The governor does less than a lock around it would in three respects, which are said here.
//!
//! 1. Bytes that a release, a shrink or an eviction takes off a grant are free somewhat later than
//!    the grant is over ([`Operation::Back`], [`Operation::BackAll`]), though before that call
//!    returns.
//! 2. Where the capacity, or the limit of a group, was lowered below what is in use, bytes that are
//!    released while another thread is buying for the same tenant stay with it for that long, and
//!    may be taken into use again, though no more than the bound before ([`State`], `slack`). What
//!    was claimed before is gone when the call that lowers it returns. Where calls never overlap
//!    there is none of that.
//! 3. A waiter that gives up may be served all the same by who is at the line: its bytes come back
//!    when those calls that were beside its last one have returned ([`Operation::Returned`]).
//!    And who looks may find that it waits still when its bytes are taken already, until whoever
//!    serves it has returned.

use crate::checker::Specification;

/// Most tenants.
pub const TENANTS_MAX: usize = 4;
/// Most groups.
pub const GROUPS_MAX: usize = 2;
/// Most grants there ever are.
pub const GRANTS_MAX: usize = 56;
/// Most requests that ever wait.
pub const TICKETS_MAX: usize = 12;
/// Most requests of a batch.
pub const BATCH_MAX: usize = 3;
/// No limit but the parent's.
pub const NO_LIMIT: u16 = u16::MAX;
/// Number of the allocation type that is never evicted.
pub const FIXED: u8 = 0;
/// Types of allocations.
pub const KINDS: usize = 4;

/// The account that denied something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    /// The tenant's own limit.
    Tenant,
    /// The group above it.
    Group,
    /// The pool.
    Pool,
}

const LEVELS: [Level; 3] = [Level::Tenant, Level::Group, Level::Pool];

/// A group, with the tenants that name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Group {
    /// Ceiling.
    pub limit: u16,
    /// Floor.
    pub guarantee: u16,
}

/// A tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tenant {
    /// The group above it.
    pub group: Option<u8>,
    /// Ceiling.
    pub limit: u16,
    /// Floor.
    pub guarantee: u16,
    /// Who goes first.
    pub priority: u8,
    /// Most live grants of one type, and which.
    pub count: Option<(u8, u8)>,
    /// No request of it is granted any more.
    pub closed: bool,
    /// Bytes in use.
    pub used: u16,
}

/// Where a grant is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Life {
    Unborn,
    Live,
    /// Chosen as a victim.
    Chosen,
    /// The same, and it is over for its owner: who has chosen it takes its bytes off.
    Told,
    /// Over for its owner: who unregisters its tenant by force takes its bytes off.
    InHand,
    Over,
    /// Over, and not by its owner.
    Taken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Grant {
    tenant: u8,
    kind: u8,
    pinned: bool,
    life: Life,
    bytes: u16,
    /// Bytes taken off it that are still in use.
    owed: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Turn {
    Absent,
    Waiting,
    Served,
    Done,
    /// Nothing can be served to it any more.
    Over,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Ticket {
    turn: Turn,
    tenant: u8,
    bytes: u16,
    /// Place in the order in which they asked.
    place: u8,
    /// How many had asked when it did not fit last.
    short: u8,
    /// Whether it holds bytes although it gave up.
    holds: bool,
}

/// Everything later answers depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// Bytes to share.
    pub capacity: u16,
    /// Up to where bytes may still be granted that were claimed before the capacity was lowered.
    slack: u16,
    /// The same, for each group.
    slacks: [u16; GROUPS_MAX],
    /// All groups; those that are not used have neither tenants nor guarantee.
    pub groups: [Group; GROUPS_MAX],
    /// All tenants; those that are not used are closed.
    pub tenants: [Tenant; TENANTS_MAX],
    grants: [Grant; GRANTS_MAX],
    tickets: [Ticket; TICKETS_MAX],
    asked: u8,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// For whom.
    pub tenant: u8,
    /// Of which type.
    pub kind: u8,
    /// How much.
    pub bytes: u16,
    /// Never to be evicted.
    pub pinned: bool,
}

/// What was done, and what the governor answered; grants, tickets and tenants by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A request was granted.
    Granted(Ask, u8),
    /// A request was denied.
    Denied(Ask, Level),
    /// A request was denied because its tenant has enough grants of that type.
    Counted(Ask),
    /// The tenant is unregistered.
    Gone(u8),
    /// A batch was granted: as many grants as there are asks, from this number on.
    GrantedAll([Option<Ask>; BATCH_MAX], u8),
    /// A batch was denied at one of its requests.
    DeniedAll([Option<Ask>; BATCH_MAX], Level),
    /// A grant has grown.
    Grown(u8, u16),
    /// A grant may not grow.
    GrowthDenied(u8, u16, Level),
    /// A grant has shrunk.
    Shrunk(u8, u16),
    /// It has no more than that.
    ShrunkTooMuch(u8, u16),
    /// A release ended the grant.
    Released(u8),
    /// A release, or a change, found the grant evicted.
    Evicted(u8),
    /// The same for a release: the grant is evicted, or is being evicted and over by this.
    ReleasedEvicted(u8),
    /// A release, or a change, found the grant over.
    Stale(u8),
    /// Bytes that were taken off a grant are free.
    Back(u8, u16),
    /// The same for all bytes of a grant that was released.
    BackAll(u8),
    /// A grant was chosen as a victim for a request of this tenant.
    Chosen(u8, u8),
    /// Its owner was busy.
    Spared(u8),
    /// It is over.
    Ended(u8),
    /// It is over because its tenant was unregistered by force, if it ever was and was not yet.
    Forced(u8),
    /// The capacity was changed; whether several threads were ever in calls at once.
    Capacity(u16, bool),
    /// That capacity is below what is guaranteed.
    CapacityExceeded(u16),
    /// Limit and guarantee of a tenant were changed.
    Configured(u8, u16, u16),
    /// The same, or nothing: grants were being published whose number is limited.
    PerhapsConfigured(u8, u16, u16),
    /// That guarantee is more than its parent has.
    GuaranteeExceeds(u8, u16),
    /// There is no room for that guarantee now.
    GuaranteeUnavailable(u8, u16),
    /// The limit of a group was changed; whether several threads were ever in calls at once.
    Bounded(u8, u16, bool),
    /// A tenant was unregistered.
    Closed(u8),
    /// A tenant without grants was unregistered.
    ClosedIdle(u8),
    /// It has grants, and was not unregistered.
    NotIdle(u8),
    /// A tenant uses so many bytes.
    Used(u8, u16),
    /// A request waits.
    Waits(u8, Ask),
    /// It was served: with this grant, if that was ever seen, or else perhaps never.
    Served(u8, Option<(u8, u8)>),
    /// It still waits.
    WaitsStill(u8),
    /// It still waits although nobody is at work any more.
    WaitsInVain(u8),
    /// Its answer was taken: a grant.
    Taken(u8),
    /// Its answer was taken: the tenant is gone.
    TakenGone(u8),
    /// It gave up.
    Cancelled(u8),
    /// What it was served all the same is free, if it ever was.
    Returned(u8),
}

impl State {
    /// A pool with these groups and tenants.
    pub fn new(capacity: u16, groups: &[Group], tenants: &[Tenant]) -> Self {
        let nobody = Tenant {
            group: None,
            limit: 0,
            guarantee: 0,
            priority: 0,
            count: None,
            closed: true,
            used: 0,
        };
        let nothing =
            Grant { tenant: 0, kind: 0, pinned: false, life: Life::Unborn, bytes: 0, owed: 0 };
        let none = Group { limit: NO_LIMIT, guarantee: 0 };
        Self {
            capacity,
            slack: 0,
            slacks: [0; GROUPS_MAX],
            groups: std::array::from_fn(|i| groups.get(i).copied().unwrap_or(none)),
            tenants: std::array::from_fn(|i| tenants.get(i).copied().unwrap_or(nobody)),
            grants: [nothing; GRANTS_MAX],
            tickets: [Ticket {
                turn: Turn::Absent,
                tenant: 0,
                bytes: 0,
                place: 0,
                short: 0,
                holds: false,
            }; TICKETS_MAX],
            asked: 0,
        }
    }

    fn need_of_tenant(&self, tenant: u8) -> u16 {
        let tenant = &self.tenants[usize::from(tenant)];
        if tenant.closed { tenant.used } else { tenant.used.max(tenant.guarantee) }
    }

    fn need_of_group(&self, group: u8) -> u16 {
        let below = (0..TENANTS_MAX as u8).filter(|&t| self.group_of(t) == Some(group));
        let sum: u16 = below.map(|t| self.need_of_tenant(t)).sum();
        sum.max(self.groups[usize::from(group)].guarantee)
    }

    fn need_of_pool(&self) -> u16 {
        let own = (0..TENANTS_MAX as u8).filter(|&t| self.group_of(t).is_none());
        let tenants: u16 = own.map(|t| self.need_of_tenant(t)).sum();
        let groups: u16 = (0..GROUPS_MAX as u8).map(|g| self.need_of_group(g)).sum();
        tenants + groups
    }

    fn group_of(&self, tenant: u8) -> Option<u8> {
        self.tenants[usize::from(tenant)].group
    }

    /// What bounds an account at most: the limit of the tenant, the group or the pool; with `late`,
    /// or what was claimed before that was lowered.
    fn bound(&self, tenant: u8, level: Level, late: bool) -> u16 {
        let group = self.group_of(tenant).map(usize::from);
        let (limit, slack) = match level {
            Level::Tenant => (self.tenants[usize::from(tenant)].limit, 0),
            Level::Group => group.map_or((NO_LIMIT, 0), |g| (self.groups[g].limit, self.slacks[g])),
            Level::Pool => (self.capacity, self.slack),
        };
        if late { limit.max(slack) } else { limit }
    }

    /// What an account needs: a tenant, or one above it.
    fn need(&self, tenant: u8, level: Level) -> u16 {
        match level {
            Level::Tenant => self.tenants[usize::from(tenant)].used,
            Level::Group => self.group_of(tenant).map_or(0, |group| self.need_of_group(group)),
            Level::Pool => self.need_of_pool(),
        }
    }

    /// Whether an account is in the way of the step from `before`: its need has risen beyond its
    /// bound.
    fn is_full(&self, before: &Self, tenant: u8, level: Level, late: bool) -> bool {
        let need = self.need(tenant, level);
        need > self.bound(tenant, level, late) && need > before.need(tenant, level)
    }

    /// The state in which a tenant uses more, whether or not it may.
    fn using(&self, tenant: u8, bytes: u16) -> Self {
        let mut state = *self;
        state.tenants[usize::from(tenant)].used += bytes;
        state
    }

    /// G1.
    fn charged(&self, tenant: u8, bytes: u16) -> Option<Self> {
        let after = self.using(tenant, bytes);
        let open = !self.tenants[usize::from(tenant)].closed;
        (open && !LEVELS.iter().any(|&at| after.is_full(self, tenant, at, true))).then_some(after)
    }

    /// Whether there is room, without what may be there or not.
    fn fits(&self, tenant: u8, bytes: u16) -> bool {
        let open = !self.tenants[usize::from(tenant)].closed;
        open && !LEVELS.iter().any(|&level| self.denies(tenant, bytes, level))
    }

    /// G2.
    fn denies(&self, tenant: u8, bytes: u16, level: Level) -> bool {
        self.using(tenant, bytes).is_full(self, tenant, level, false)
    }

    fn take_off(&mut self, tenant: u8, bytes: u16) {
        self.tenants[usize::from(tenant)].used -= bytes;
    }

    /// Grants of a tenant and type; with `leaving` also those whose bytes are not free yet, though
    /// they may count no more.
    fn count(&self, tenant: u8, kind: u8, leaving: bool) -> u8 {
        let counts = |g: &&Grant| {
            let counts = match g.life {
                Life::Live => true,
                Life::Chosen | Life::Told | Life::InHand => leaving,
                Life::Over => leaving && g.bytes > 0,
                Life::Unborn | Life::Taken => false,
            };
            counts && g.tenant == tenant && g.kind == kind
        };
        self.grants.iter().filter(counts).count() as u8
    }

    /// Whether the number of grants allows one more.
    fn may_have_more(&self, ask: &Ask, leaving: bool) -> bool {
        match self.tenants[usize::from(ask.tenant)].count {
            Some((kind, most)) if kind == ask.kind => self.count(ask.tenant, kind, leaving) < most,
            _ => true,
        }
    }

    fn granted(&self, ask: &Ask, grant: u8) -> Option<Self> {
        let mut after = self.charged(ask.tenant, ask.bytes)?;
        let born = Grant {
            tenant: ask.tenant,
            kind: ask.kind,
            pinned: ask.pinned,
            life: Life::Live,
            bytes: ask.bytes,
            owed: 0,
        };
        let is = std::mem::replace(&mut after.grants[usize::from(grant)], born);
        (is.life == Life::Unborn && self.may_have_more(ask, false)).then_some(after)
    }

    fn granted_all(&self, asks: &[Option<Ask>], first: u8) -> Option<Self> {
        let numbered = asks.iter().flatten().zip(first..);
        numbered.into_iter().try_fold(*self, |state, (ask, grant)| state.granted(ask, grant))
    }

    /// A batch charges one tenant after the other, each for all it asks for, and is denied by one.
    fn denies_all(&self, asks: &[Option<Ask>], level: Level) -> bool {
        let mut charged = *self;
        for (at, ask) in asks.iter().flatten().enumerate() {
            if asks[..at].iter().flatten().any(|earlier| earlier.tenant == ask.tenant) {
                continue;
            }
            let sum = sum_of(asks, ask.tenant);
            if charged.denies(ask.tenant, sum, level) {
                return true;
            }
            charged = charged.using(ask.tenant, sum);
        }
        false
    }

    fn with_grant(&self, grant: u8, change: impl FnOnce(&mut Grant)) -> Self {
        let mut state = *self;
        change(&mut state.grants[usize::from(grant)]);
        state
    }

    /// The grant is over and its bytes are free.
    fn ended(&self, grant: u8) -> Self {
        let Grant { tenant, bytes, .. } = self.grants[usize::from(grant)];
        let mut state = self.with_grant(grant, |g| {
            g.life = Life::Taken;
            g.bytes = 0;
        });
        state.take_off(tenant, bytes);
        state
    }

    /// G3.
    fn may_choose(&self, grant: u8, asking: u8) -> bool {
        let victim = &self.grants[usize::from(grant)];
        let (owner, asks) =
            (&self.tenants[usize::from(victim.tenant)], &self.tenants[usize::from(asking)]);
        let leaves = [Life::Chosen, Life::Told, Life::InHand];
        let leaving =
            self.grants.iter().filter(|g| leaves.contains(&g.life) && g.tenant == victim.tenant);
        let leaving: u16 = leaving.map(|g| g.bytes).sum();
        let floor = if owner.closed { 0 } else { owner.guarantee };
        let kept = owner.used.saturating_sub(leaving + victim.bytes) >= floor;
        let others = kept && owner.priority <= asks.priority;
        let own = victim.tenant == asking;
        victim.life == Life::Live && !victim.pinned && victim.kind != FIXED && (own || others)
    }

    /// Σ guarantees of the siblings of a tenant, and what their parent has for them.
    fn promised(&self, tenant: u8) -> (u16, u16) {
        let group = self.group_of(tenant);
        let open = |t: &u8| !self.tenants[usize::from(*t)].closed;
        let siblings = (0..TENANTS_MAX as u8).filter(open);
        let siblings = siblings.filter(|&t| t != tenant && self.group_of(t) == group);
        let tenants: u16 = siblings.map(|t| self.tenants[usize::from(t)].guarantee).sum();
        match group {
            Some(group) => (tenants, self.groups[usize::from(group)].guarantee),
            None => (tenants + self.groups.iter().map(|g| g.guarantee).sum::<u16>(), self.capacity),
        }
    }

    fn guaranteeing(&self, tenant: u8, guarantee: u16) -> Self {
        let mut state = *self;
        state.tenants[usize::from(tenant)].guarantee = guarantee;
        state
    }

    /// Whether the pool or the group has room for a guarantee.
    fn affords(&self, tenant: u8, guarantee: u16, late: bool) -> bool {
        let after = self.guaranteeing(tenant, guarantee);
        !LEVELS.iter().any(|&level| after.is_full(self, tenant, level, late))
    }

    /// G5.
    fn served(&self, ticket: u8) -> Option<Self> {
        let waits = self.tickets[usize::from(ticket)];
        let mut after = self.charged(waits.tenant, waits.bytes)?;
        let before = |t: &&Ticket| {
            t.turn == Turn::Waiting && t.tenant == waits.tenant && t.place < waits.place
        };
        let passes = |t: &Ticket| t.short < waits.place && self.fits(t.tenant, t.bytes);
        if waits.turn != Turn::Waiting || self.tickets.iter().filter(before).any(passes) {
            return None;
        }
        after.tickets[usize::from(ticket)].turn = Turn::Served;
        Some(after)
    }

    /// Remembers of those who wait that they do not fit now.
    fn note_short(&mut self) {
        for at in 0..usize::from(self.asked) {
            let Ticket { turn, tenant, bytes, .. } = self.tickets[at];
            if turn == Turn::Waiting && !self.fits(tenant, bytes) {
                self.tickets[at].short = self.asked;
            }
        }
    }

    fn holding(&self, ticket: u8, holds: bool) -> Self {
        let mut state = *self;
        state.tickets[usize::from(ticket)].holds = holds;
        state
    }

    fn turned(&self, ticket: u8, turn: Turn) -> Self {
        let mut state = *self;
        state.tickets[usize::from(ticket)].turn = turn;
        state
    }
}

fn sum_of(asks: &[Option<Ask>], tenant: u8) -> u16 {
    asks.iter().flatten().filter(|ask| ask.tenant == tenant).map(|ask| ask.bytes).sum()
}

/// The model.
#[derive(Clone, Copy, Debug)]
pub struct Governing;

impl Specification for Governing {
    type State = State;
    type Operation = Operation;

    fn follow(&self, state: &State, operation: &Operation, to: &mut Vec<State>) {
        match *operation {
            Operation::Served(..)
            | Operation::Waits(..)
            | Operation::WaitsStill(_)
            | Operation::WaitsInVain(_)
            | Operation::Taken(_)
            | Operation::TakenGone(_)
            | Operation::Cancelled(_)
            | Operation::Returned(_) => follow_ticket(state, operation, to),
            Operation::Capacity(..)
            | Operation::CapacityExceeded(_)
            | Operation::Configured(..)
            | Operation::GuaranteeExceeds(..)
            | Operation::GuaranteeUnavailable(..)
            | Operation::Bounded(..)
            | Operation::Closed(_)
            | Operation::ClosedIdle(_)
            | Operation::NotIdle(_)
            | Operation::Gone(_)
            | Operation::Used(..) => to.extend(configured(state, operation)),
            Operation::PerhapsConfigured(tenant, limit, guarantee) => {
                to.push(*state);
                to.extend(configured(state, &Operation::Configured(tenant, limit, guarantee)));
            }
            Operation::Granted(..)
            | Operation::Denied(..)
            | Operation::Counted(_)
            | Operation::GrantedAll(..)
            | Operation::DeniedAll(..) => to.extend(requested(state, operation)),
            _ => follow_grant(state, operation, to),
        }
        to.iter_mut().for_each(State::note_short);
    }
}

fn requested(state: &State, operation: &Operation) -> Option<State> {
    match operation {
        Operation::Granted(ask, grant) => state.granted(ask, *grant),
        Operation::Denied(ask, level) => {
            state.denies(ask.tenant, ask.bytes, *level).then_some(*state)
        }
        Operation::Counted(ask) => (!state.may_have_more(ask, true)).then_some(*state),
        Operation::GrantedAll(asks, first) => state.granted_all(asks, *first),
        Operation::DeniedAll(asks, level) => state.denies_all(asks, *level).then_some(*state),
        _ => None,
    }
}

/// What its owner does with a grant.
fn follow_owner(state: &State, grant: u8, operation: &Operation, to: &mut Vec<State>) {
    let Grant { tenant, life, bytes, .. } = state.grants[usize::from(grant)];
    let live = life == Life::Live;
    // An evictor looks at a grant before it takes hold of it: meanwhile it is as if it were live.
    let held = live || life == Life::Chosen;
    let becomes = |next: Life| state.with_grant(grant, |g| g.life = next);
    let shrunk = |by| state.with_grant(grant, |g| (g.bytes, g.owed) = (g.bytes - by, g.owed + by));
    match *operation {
        Operation::Grown(_, by) if live => {
            let grown = |s: State| s.with_grant(grant, |g| g.bytes += by);
            to.extend(state.charged(tenant, by).map(grown));
        }
        Operation::GrowthDenied(_, by, level) if held && state.denies(tenant, by, level) => {
            to.push(*state);
        }
        Operation::Shrunk(_, by) if live && by < bytes => to.push(shrunk(by)),
        Operation::ShrunkTooMuch(_, by) if held && by >= bytes => to.push(*state),
        Operation::Released(_) if live => to.push(becomes(Life::Over)),
        // Who unregisters its tenant by force has it in hand.
        Operation::Evicted(_) | Operation::ReleasedEvicted(_)
            if live && state.tenants[usize::from(tenant)].closed =>
        {
            to.push(becomes(Life::InHand));
        }
        Operation::Evicted(_) if !live => to.push(*state),
        Operation::ReleasedEvicted(_) => match life {
            // Either the owner or the evictor takes the bytes off.
            Life::Chosen => to.extend([state.ended(grant), becomes(Life::Told)]),
            // Also over: its slot may hold the next grant by now, which is what was seen.
            Life::Told | Life::InHand | Life::Taken | Life::Over => to.push(*state),
            _ => {}
        },
        Operation::Stale(_) if !live => to.push(*state),
        _ => {}
    }
}

/// What comes of it without its owner.
fn follow_grant(state: &State, operation: &Operation, to: &mut Vec<State>) {
    let Some(grant) = operation.grant() else { return };
    let Grant { tenant, life, bytes, owed, .. } = state.grants[usize::from(grant)];
    let becomes = |next: Life| state.with_grant(grant, |g| g.life = next);
    match *operation {
        Operation::Back(_, by) if owed >= by => {
            let mut free = state.with_grant(grant, |g| g.owed -= by);
            free.take_off(tenant, by);
            to.push(free);
        }
        Operation::BackAll(_) if life == Life::Over && bytes > 0 => {
            let mut free = state.with_grant(grant, |g| g.bytes = 0);
            free.take_off(tenant, bytes);
            to.push(free);
        }
        Operation::Chosen(_, asking) if state.may_choose(grant, asking) => {
            to.push(becomes(Life::Chosen));
        }
        Operation::Spared(_) => match life {
            Life::Chosen => to.push(becomes(Life::Live)),
            Life::Taken => to.push(*state),
            _ => {}
        },
        Operation::Ended(_) => match life {
            Life::Chosen | Life::Told => to.push(state.ended(grant)),
            Life::Taken => to.push(*state),
            _ => {}
        },
        Operation::Forced(_) => match life {
            Life::Live | Life::InHand => {
                if state.tenants[usize::from(tenant)].closed {
                    to.push(state.ended(grant));
                }
            }
            // Either of them takes the bytes off, the other finds it over.
            Life::Chosen | Life::Told => {
                if state.tenants[usize::from(tenant)].closed {
                    to.extend([state.ended(grant), becomes(Life::Told)]);
                }
            }
            _ => to.push(*state),
        },
        _ => follow_owner(state, grant, operation, to),
    }
}

fn configured(state: &State, operation: &Operation) -> Option<State> {
    let mut after = *state;
    let holds = match *operation {
        Operation::Capacity(bytes, beside) => {
            after.slack = if beside { state.slack.max(state.capacity) } else { 0 };
            after.capacity = bytes;
            promised_by_pool(state) <= bytes
        }
        Operation::CapacityExceeded(bytes) => promised_by_pool(state) > bytes,
        Operation::Configured(tenant, limit, guarantee) => {
            let (others, bound) = state.promised(tenant);
            let it = &mut after.tenants[usize::from(tenant)];
            (it.limit, it.guarantee) = (limit, guarantee);
            let rises = guarantee > state.tenants[usize::from(tenant)].guarantee;
            !it.closed
                && (!rises || others + guarantee <= bound && state.affords(tenant, guarantee, true))
        }
        Operation::GuaranteeExceeds(tenant, guarantee) => {
            let (others, bound) = state.promised(tenant);
            others + guarantee > bound
        }
        Operation::GuaranteeUnavailable(tenant, guarantee) => {
            !state.affords(tenant, guarantee, false)
        }
        Operation::Bounded(group, limit, beside) => {
            let group = usize::from(group);
            let before = state.slacks[group].max(state.groups[group].limit);
            after.slacks[group] = if beside { before } else { 0 };
            after.groups[group].limit = limit;
            true
        }
        Operation::Closed(tenant) | Operation::ClosedIdle(tenant) => {
            let it = &mut after.tenants[usize::from(tenant)];
            let was_open = !std::mem::replace(&mut it.closed, true);
            was_open && (it.used == 0 || matches!(operation, Operation::Closed(_)))
        }
        Operation::NotIdle(tenant) => {
            let it = &state.tenants[usize::from(tenant)];
            !it.closed && it.used > 0
        }
        Operation::Gone(tenant) => state.tenants[usize::from(tenant)].closed,
        Operation::Used(tenant, bytes) => state.tenants[usize::from(tenant)].used == bytes,
        _ => false,
    };
    holds.then_some(after)
}

fn promised_by_pool(state: &State) -> u16 {
    let own = state.tenants.iter().filter(|t| !t.closed && t.group.is_none());
    let groups: u16 = state.groups.iter().map(|g| g.guarantee).sum();
    own.map(|t| t.guarantee).sum::<u16>() + groups
}

fn follow_ticket(state: &State, operation: &Operation, to: &mut Vec<State>) {
    let turn = |ticket: u8| state.tickets[usize::from(ticket)].turn;
    match *operation {
        Operation::Waits(ticket, ask) if turn(ticket) == Turn::Absent => {
            let mut after = *state;
            let Ask { tenant, bytes, .. } = ask;
            after.asked += 1;
            let place = after.asked;
            let waits =
                Ticket { turn: Turn::Waiting, tenant, bytes, place, short: 0, holds: false };
            after.tickets[usize::from(ticket)] = waits;
            to.push(after);
        }
        Operation::Served(ticket, None) => {
            to.push(*state);
            let Ticket { turn, tenant, bytes, holds, .. } = state.tickets[usize::from(ticket)];
            match turn {
                Turn::Waiting => to.extend(state.served(ticket)),
                Turn::Done if !holds => {
                    let charged = state.charged(tenant, bytes);
                    to.extend(charged.map(|after| after.holding(ticket, true)));
                }
                _ => {}
            }
        }
        Operation::Served(ticket, Some((grant, kind))) => {
            let Ticket { tenant, bytes, .. } = state.tickets[usize::from(ticket)];
            let ask = Ask { tenant, kind, bytes, pinned: false };
            let served = state.served(ticket).and_then(|_| state.granted(&ask, grant));
            to.extend(served.map(|after| after.turned(ticket, Turn::Served)));
        }
        Operation::WaitsStill(ticket) if [Turn::Waiting, Turn::Served].contains(&turn(ticket)) => {
            to.push(*state);
        }
        Operation::WaitsInVain(ticket) if turn(ticket) == Turn::Waiting => {
            let Ticket { tenant, bytes, .. } = state.tickets[usize::from(ticket)];
            if !state.fits(tenant, bytes) {
                to.push(*state);
            }
        }
        Operation::Taken(ticket) if turn(ticket) == Turn::Served => {
            to.push(state.turned(ticket, Turn::Done));
        }
        Operation::TakenGone(ticket) => {
            let Ticket { turn, tenant, .. } = state.tickets[usize::from(ticket)];
            if turn == Turn::Waiting && state.tenants[usize::from(tenant)].closed {
                to.push(state.turned(ticket, Turn::Done));
            }
        }
        _ => follow_leaving(state, operation, to),
    }
}

/// What becomes of one that gives up.
fn follow_leaving(state: &State, operation: &Operation, to: &mut Vec<State>) {
    match *operation {
        Operation::Cancelled(ticket) => {
            let Ticket { turn, tenant, bytes, .. } = state.tickets[usize::from(ticket)];
            let mut after = state.turned(ticket, Turn::Done);
            match turn {
                Turn::Waiting => to.push(after),
                Turn::Served => {
                    to.push(after.holding(ticket, true));
                    after.take_off(tenant, bytes);
                    to.push(after);
                }
                Turn::Absent | Turn::Done | Turn::Over => {}
            }
        }
        Operation::Returned(ticket) => {
            let Ticket { turn, tenant, bytes, holds, .. } = state.tickets[usize::from(ticket)];
            let mut after = state.holding(ticket, false);
            if holds {
                after.take_off(tenant, bytes);
            }
            if turn == Turn::Done {
                to.push(after.turned(ticket, Turn::Over));
            }
        }
        _ => {}
    }
}
