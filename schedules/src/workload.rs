//! Runs a program against a real governor, and records what it answers.
//!
//! The threads of a program are tasks of shuttle and take turns on one thread of the machine, so
//! what they share here is a cell of that thread. It is never borrowed while the governor is
//! called.

use crate::histories::{Came, Event, Fault, History};
use crate::programs::{Action, Leaving, Program};
use crate::specification::{
    Ask, FIXED, GRANTS_MAX, Level, NO_LIMIT, Operation, State, TENANTS_MAX, TICKETS_MAX,
};
use crate::turns;
use allotment::internals::steps::{self, StepsMax};
use allotment::os::ManualClock;
use allotment::{
    AccountName, AllocationType, DenialReason, Error, Governor, GovernorConfig, GrantId,
    GroupConfig, GroupHandle, Isolation, OwnedTicket, Priority, ReclaimAnswer, Refusal, Released,
    Request, TenantConfig, TenantHandle, TenantId, Unregister, Victim,
};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

const FOREVER: Duration = Duration::from_secs(1 << 30);
/// Accounts there are at most: pool, groups, tenants.
const ACCOUNTS: u64 = 8;
/// Segments of slots there are at most.
const SEGMENTS: u64 = 64;

/// A request that waits.
struct Waiting {
    number: u8,
    ask: Ask,
    /// When it could have been served first.
    since: u32,
    ticket: OwnedTicket,
}

/// What a thread is in the middle of.
#[derive(Clone, Copy, Default)]
struct Calling {
    call: u32,
    tenant: u8,
}

/// All that is recorded of a schedule.
struct Scene {
    governor: Arc<Governor>,
    tenants: Vec<TenantHandle>,
    groups: Vec<GroupHandle>,
    events: Vec<Event>,
    time: u32,
    numbers: HashMap<u64, u8>,
    /// Grants that were answered, with their tenants: what threads pick from.
    known: Vec<(GrantId, u8)>,
    waiting: Vec<Waiting>,
    /// Tickets that were given up: number, since when, and the times of that call.
    cancelled: Vec<(u8, u32, u32, u32)>,
    /// Those that wait to the end.
    left: Vec<Waiting>,
    tickets: u8,
    /// Whether somebody has begun to stand in line, with or without a ticket so far.
    asked_to_wait: bool,
    calling: [Calling; turns::THREADS_MAX + 1],
    /// Tenants whose grants are counted.
    counts: [bool; TENANTS_MAX],
    /// Whose the grants are, by their numbers.
    owners: [u8; GRANTS_MAX],
    /// Tenants that were unregistered by force, and when.
    forced: Vec<(u8, Event)>,
    steps_max: [u64; STEPPED.len()],
    steps_waiting_max: [u64; STEPPED.len()],
    broken: Option<String>,
}

/// Verbs whose steps are bounded.
pub const STEPPED: [&str; 4] = ["request", "grow", "shrink", "release"];
/// The same while somebody waits, to whom they may hand over: more steps, with every waiter.
pub const STEPPED_WAITING: [&str; 4] =
    ["request_waiting", "grow_waiting", "shrink_waiting", "release_waiting"];
const BOUNDS: [StepsMax; 4] = [steps::REQUEST, steps::GROW, steps::SHRINK, steps::RELEASE];

/// The most own steps of a verb, by its place in [`STEPPED`], while nobody waits.
pub fn steps_bound(verb: usize) -> u64 {
    BOUNDS[verb].among(ACCOUNTS, SEGMENTS)
}

/// A history and the figures of its schedule.
pub struct Outcome {
    /// What was answered.
    pub history: History,
    /// The most own steps of a verb while nobody waited, which are bounded.
    pub steps_max: [u64; STEPPED.len()],
    /// The most own steps of a verb while somebody waited, to whom it may have handed over.
    pub steps_waiting_max: [u64; STEPPED.len()],
    /// Steps of all threads while they took turns.
    pub steps: u64,
    /// Times a thread that waited had to be made to step back.
    pub stalls: u64,
    /// What broke.
    pub broken: Option<Fault>,
}

thread_local! {
    static SCENE: RefCell<Option<Scene>> = const { RefCell::new(None) };
}

fn scene<T>(f: impl FnOnce(&mut Scene) -> T) -> T {
    SCENE.with(|scene| f(scene.borrow_mut().as_mut().expect("a schedule is running")))
}

impl Scene {
    fn new(program: &Program) -> Self {
        let State { capacity, groups, tenants, .. } = &program.begin;
        let governor = Governor::new(GovernorConfig {
            tenants_max: 4,
            groups_max: 2,
            grants_max: 256,
            ghost_keys_max: 0,
            waiters_max: TICKETS_MAX as u32,
            patience_ns: u64::MAX,
            quantum_bytes: program.quantum.into(),
            pool_pressure: false,
            clock: ManualClock::new().into(),
            ..GovernorConfig::new((*capacity).into())
        });
        let governor = Arc::new(governor.expect("a configuration"));
        governor.on_reclaim(answer);
        governor.on_leak(|_| {});
        let group = |i: usize| {
            let limit_bytes = limit_of(groups[i].limit);
            let guarantee_bytes = groups[i].guarantee.into();
            GroupConfig { guarantee_bytes, limit_bytes, ..GroupConfig::new(i.to_string()) }
        };
        let register = |i| governor.register_group(group(i)).expect("a group");
        let groups: Vec<_> = (0..usize::from(program.groups)).map(register).collect();
        let tenant = |i: usize| {
            let tenant = &tenants[i];
            let mut grants_max = [None; 4];
            if let Some((kind, most)) = tenant.count {
                grants_max[usize::from(kind)] = Some(most.into());
            }
            let id = TenantId::from_u128(1 + i as u128);
            let config = TenantConfig {
                parent: tenant.group.map(|group| groups[usize::from(group)]),
                guarantee_bytes: tenant.guarantee.into(),
                limit_bytes: limit_of(tenant.limit),
                priority: Priority::ALL[usize::from(tenant.priority)],
                isolation: Isolation::Hard,
                grants_max,
                ..TenantConfig::new(id, i.to_string())
            };
            governor.register_tenant(config).expect("a tenant")
        };
        let tenants = (0..usize::from(program.tenants)).map(tenant).collect();
        Self {
            governor,
            tenants,
            groups,
            events: Vec::with_capacity(64),
            time: 0,
            numbers: HashMap::new(),
            known: Vec::new(),
            waiting: Vec::new(),
            cancelled: Vec::new(),
            left: Vec::new(),
            tickets: 0,
            asked_to_wait: false,
            calling: Default::default(),
            counts: program.begin.tenants.map(|tenant| tenant.count.is_some()),
            owners: [0; GRANTS_MAX],
            forced: Vec::new(),
            steps_max: [0; STEPPED.len()],
            steps_waiting_max: [0; STEPPED.len()],
            broken: None,
        }
    }

    fn now(&mut self) -> u32 {
        self.time += 1;
        self.time
    }

    /// The number of a grant, whoever sees it first.
    fn number(&mut self, grant: GrantId) -> u8 {
        let next = self.numbers.len() as u8;
        *self.numbers.entry(grant.as_u64()).or_insert(next)
    }

    /// The number of a grant that was just answered.
    fn born(&mut self, grant: GrantId, tenant: u8) -> u8 {
        let number = self.number(grant);
        self.owners[usize::from(number)] = tenant;
        self.known.push((grant, tenant));
        number
    }

    fn enter(&mut self, called: bool, call: u32, ret: u32, came: Came) {
        let running = turns::running();
        let thread = (running != turns::ALONE).then_some(running as u8);
        self.events.push(Event { thread, called, call, ret, came });
    }

    /// What unregistering by force may have ended.
    fn add_forced(&mut self) {
        for (tenant, event) in std::mem::take(&mut self.forced) {
            for grant in
                (0..self.numbers.len() as u8).filter(|&g| self.owners[usize::from(g)] == tenant)
            {
                let came = Came::To(Operation::Forced(grant));
                self.events.push(Event { called: false, came, ..event });
            }
        }
    }

    /// What those may have been served that gave up.
    fn add_cancelled(&mut self) {
        for (ticket, since, call, ret) in std::mem::take(&mut self.cancelled) {
            let beside = self.events.iter().filter(|e| e.call <= ret && call <= e.ret);
            let last = beside.map(|event| event.ret).max().unwrap_or(ret);
            for operation in [Operation::Served(ticket, None), Operation::Returned(ticket)] {
                self.enter(false, since, last, Came::To(operation));
            }
        }
    }

    /// Room for what one more call may add.
    fn has_room(&self) -> bool {
        self.numbers.len() + 8 < GRANTS_MAX && usize::from(self.tickets) + 1 < TICKETS_MAX
    }
}

fn limit_of(limit: u16) -> Option<u64> {
    (limit != NO_LIMIT).then_some(limit.into())
}

/// An owner is asked for a grant: some are busy.
fn answer(victim: &Victim) -> ReclaimAnswer {
    scene(|scene| {
        let Calling { call, tenant } = scene.calling[turns::running()];
        let grant = scene.number(victim.grant);
        let now = scene.now();
        scene.enter(false, call, now, Came::To(Operation::Chosen(grant, tenant)));
        let busy = grant % 7 == 3;
        let then = if busy { Operation::Spared(grant) } else { Operation::Ended(grant) };
        // Its end is that of the call, which `called` writes.
        scene.enter(false, now, u32::MAX, Came::To(then));
        if busy { ReclaimAnswer::Busy } else { ReclaimAnswer::Freed }
    })
}

/// What a call of the governor came to, and what it has caused beside.
struct Answered {
    came: Came,
    beside: Option<Operation>,
}

impl From<Operation> for Answered {
    fn from(operation: Operation) -> Self {
        Self { came: Came::To(operation), beside: None }
    }
}

impl From<Came> for Answered {
    fn from(came: Came) -> Self {
        Self { came, beside: None }
    }
}

/// Calls the governor and records what it answers; `verb` says which bound of steps holds.
fn called<T>(
    tenant: u8,
    verb: Option<usize>,
    call: impl FnOnce(&Arc<Governor>) -> T,
    answer: impl FnOnce(&mut Scene, T) -> Answered,
) -> (u32, u32) {
    let (governor, begin) = scene(|scene| {
        let call = scene.now();
        scene.calling[turns::running()] = Calling { call, tenant };
        (scene.governor.clone(), call)
    });
    let before = turns::own_steps();
    let answered = call(&governor);
    let steps = turns::own_steps() - before;
    scene(|scene| {
        let ret = scene.now();
        let me = turns::running();
        let thread = (me != turns::ALONE).then_some(me as u8);
        let open = |event: &&mut Event| event.ret == u32::MAX && event.thread == thread;
        scene.events.iter_mut().filter(open).for_each(|event| event.ret = ret);
        let Answered { came, beside } = answer(scene, answered);
        scene.enter(true, begin, ret, came);
        if let Some(operation) = beside {
            scene.enter(false, begin, ret, Came::To(operation));
        }
        if let Some(verb) = verb {
            // Who hands over to those who wait makes more.
            if scene.asked_to_wait {
                scene.steps_waiting_max[verb] = scene.steps_waiting_max[verb].max(steps);
                return (begin, ret);
            }
            scene.steps_max[verb] = scene.steps_max[verb].max(steps);
            let bound = steps_bound(verb);
            if steps > bound {
                let what = format!("{} took {steps} steps; at most {bound}", STEPPED[verb]);
                scene.broken = Some(what);
            }
        }
        (begin, ret)
    })
}

fn request_of(ask: &Ask) -> Request {
    let tenant = scene(|scene| scene.tenants[usize::from(ask.tenant)]);
    let kind = AllocationType::ALL[usize::from(ask.kind)];
    let request = Request::new(tenant, kind, ask.bytes.into());
    if ask.pinned { request.pinned(true) } else { request }
}

fn level_of(account: AccountName) -> Level {
    match account {
        AccountName::Tenant(_) => Level::Tenant,
        AccountName::Group(_) => Level::Group,
        AccountName::Pool => Level::Pool,
    }
}

/// What a refusal says, of a request or of a growth.
fn refused(
    scene: &mut Scene,
    refusal: &Refusal,
    tenant: u8,
    denied: impl FnOnce(Level) -> Operation,
    counted: Option<Ask>,
) -> Answered {
    match refusal {
        Refusal::Denied(denial) => match (denial.reason, counted) {
            (DenialReason::Contended, _) => Came::ToNothing.into(),
            (DenialReason::GrantCount, Some(ask)) => Operation::Counted(ask).into(),
            (DenialReason::TenantLimit | DenialReason::GroupLimit | DenialReason::Capacity, _) => {
                denied(level_of(denial.account)).into()
            }
            _ => broken(scene, format!("a denial that was not to be expected: {denial}")),
        },
        Refusal::Misuse(error) => error_of(scene, error, tenant),
    }
}

fn error_of(scene: &mut Scene, error: &Error, tenant: u8) -> Answered {
    match error {
        Error::Gone { .. } => Operation::Gone(tenant).into(),
        Error::Contended => Came::ToNothing.into(),
        Error::Busy(grant) => Came::ToBusy(scene.number(*grant)).into(),
        Error::Evicted(grant) => Operation::Evicted(scene.number(*grant)).into(),
        Error::StaleGrant(grant) => Operation::Stale(scene.number(*grant)).into(),
        error => broken(scene, format!("an error that was not to be expected: {error}")),
    }
}

fn broken(scene: &mut Scene, what: String) -> Answered {
    scene.broken = Some(what);
    Came::ToNothing.into()
}

/// Does one thing, if there is what it needs.
fn perform(action: &Action) {
    if !scene(|scene| scene.has_room()) {
        return;
    }
    match *action {
        Action::Try(ask) => request(&ask, false),
        Action::Request(ask) => request(&ask, true),
        Action::Batch(asks) => batch(&asks),
        Action::Grow(pick, by) => on_grant(pick, true, |grant, tenant, handle| {
            grow(grant, tenant, handle, by);
        }),
        Action::Shrink(pick, by) => on_grant(pick, true, |grant, tenant, handle| {
            shrink(grant, tenant, handle, by);
        }),
        Action::Release(pick, known) => on_grant(pick, known, release),
        Action::Enqueue(ask) => enqueue(&ask),
        Action::Poll(pick) => on_ticket(pick, |waiting| poll(waiting, false)),
        Action::Cancel(pick) => on_ticket(pick, cancel),
        Action::Look(tenant) => look(tenant),
        _ => configure(action),
    }
}

fn request(ask: &Ask, evicting: bool) {
    let request = request_of(ask);
    called(
        ask.tenant,
        (!evicting).then_some(0),
        |governor| match evicting {
            true => governor.request(&request).map(|grant| grant.into_id()),
            false => governor.try_request(&request).map(|grant| grant.into_id()),
        },
        |scene, answer| match answer {
            Ok(id) => Operation::Granted(*ask, scene.born(id, ask.tenant)).into(),
            Err(no) => {
                refused(scene, &no, ask.tenant, |at| Operation::Denied(*ask, at), Some(*ask))
            }
        },
    );
}

fn batch(asks: &[Option<Ask>; crate::specification::BATCH_MAX]) {
    let requests: Vec<Request> = asks.iter().flatten().map(request_of).collect();
    let first = asks[0].map_or(0, |ask| ask.tenant);
    called(
        first,
        None,
        |governor| {
            let granted = governor.request_all(&requests);
            granted.map(|all| all.into_iter().map(|grant| grant.into_id()).collect::<Vec<_>>())
        },
        |scene, answer| match answer {
            Ok(ids) => {
                // Nobody can have seen them before: nothing is evicted where there are batches.
                let tenants = asks.iter().flatten().map(|ask| ask.tenant);
                let born = ids.into_iter().zip(tenants).map(|(id, of)| scene.born(id, of));
                let first = born.min().unwrap_or(0);
                Operation::GrantedAll(*asks, first).into()
            }
            Err(no) => refused(scene, &no, first, |at| Operation::DeniedAll(*asks, at), None),
        },
    );
}

fn on_grant(pick: u64, stays: bool, f: impl FnOnce(GrantId, u8, TenantHandle)) {
    let picked = scene(|scene| {
        let at = (!scene.known.is_empty()).then(|| pick as usize % scene.known.len())?;
        let (id, tenant) = if stays { scene.known[at] } else { scene.known.swap_remove(at) };
        Some((id, tenant, scene.tenants[usize::from(tenant)]))
    });
    if let Some((id, tenant, handle)) = picked {
        f(id, tenant, handle);
    }
}

fn grow(id: GrantId, tenant: u8, handle: TenantHandle, by: u16) {
    called(
        tenant,
        Some(1),
        |governor| governor.grow(handle, id, by.into()),
        |scene, answer| {
            let grant = scene.number(id);
            match answer {
                Ok(()) => Operation::Grown(grant, by).into(),
                Err(no) => {
                    let denied = |at| Operation::GrowthDenied(grant, by, at);
                    refused(scene, &no, tenant, denied, None)
                }
            }
        },
    );
}

fn shrink(id: GrantId, tenant: u8, handle: TenantHandle, by: u16) {
    called(
        tenant,
        Some(2),
        |governor| governor.shrink(handle, id, by.into()),
        |scene, answer| {
            let grant = scene.number(id);
            match answer {
                Ok(()) => {
                    let came = Came::To(Operation::Shrunk(grant, by));
                    Answered { came, beside: Some(Operation::Back(grant, by)) }
                }
                Err(Error::ShrinkTooMuch { .. }) => Operation::ShrunkTooMuch(grant, by).into(),
                Err(error) => error_of(scene, &error, tenant),
            }
        },
    );
}

fn release(id: GrantId, tenant: u8, handle: TenantHandle) {
    called(
        tenant,
        Some(3),
        |governor| governor.release(handle, id),
        |scene, answer| {
            let grant = scene.number(id);
            match answer {
                Ok(Released::Returned) => {
                    let came = Came::To(Operation::Released(grant));
                    Answered { came, beside: Some(Operation::BackAll(grant)) }
                }
                Ok(Released::Evicted) => Operation::ReleasedEvicted(grant).into(),
                Err(error) => error_of(scene, &error, tenant),
            }
        },
    );
}

fn look(tenant: u8) {
    let handle = scene(|scene| scene.tenants[usize::from(tenant)]);
    called(
        tenant,
        None,
        |governor| governor.meter(handle),
        |_, meter| match meter {
            Some(meter) => Operation::Used(tenant, meter.used_bytes as u16).into(),
            None => Operation::Gone(tenant).into(),
        },
    );
}

fn configure(action: &Action) {
    match *action {
        Action::Capacity(bytes) => {
            called(
                0,
                None,
                |governor| governor.set_capacity(bytes.into()),
                |scene, answer| match answer {
                    Ok(()) => Operation::Capacity(bytes, false).into(),
                    Err(Error::GuaranteesExceed { .. }) => {
                        Operation::CapacityExceeded(bytes).into()
                    }
                    Err(error) => error_of(scene, &error, 0),
                },
            );
        }
        Action::Configure(tenant, limit, guarantee) => configure_tenant(tenant, limit, guarantee),
        Action::Bound(group, limit) => {
            let handle = scene(|scene| scene.groups[usize::from(group)]);
            called(
                0,
                None,
                |governor| governor.set_group(handle, |c| c.limit_bytes = limit_of(limit)),
                |scene, answer| match answer {
                    Ok(()) => Operation::Bounded(group, limit, false).into(),
                    Err(error) => error_of(scene, &error, 0),
                },
            );
        }
        Action::Unregister(tenant, how) => unregister(tenant, how),
        _ => {}
    }
}

fn configure_tenant(tenant: u8, limit: u16, guarantee: u16) {
    let handle = scene(|scene| scene.tenants[usize::from(tenant)]);
    called(
        tenant,
        None,
        |governor| {
            governor.set_tenant(handle, |config| {
                (config.limit_bytes, config.guarantee_bytes) = (limit_of(limit), guarantee.into());
            })
        },
        |scene, answer| match answer {
            Ok(()) => Operation::Configured(tenant, limit, guarantee).into(),
            Err(Error::GuaranteesExceed { .. }) => {
                Operation::GuaranteeExceeds(tenant, guarantee).into()
            }
            Err(Error::GuaranteeUnavailable { .. }) => {
                Operation::GuaranteeUnavailable(tenant, guarantee).into()
            }
            Err(Error::Contended) if scene.counts[usize::from(tenant)] => {
                Operation::PerhapsConfigured(tenant, limit, guarantee).into()
            }
            Err(error) => error_of(scene, &error, tenant),
        },
    );
}

fn unregister(tenant: u8, how: Leaving) {
    let handle = scene(|scene| scene.tenants[usize::from(tenant)]);
    let way = match how {
        Leaving::Idle => Unregister::IfIdle,
        Leaving::Drain => Unregister::Drain,
        Leaving::Force => Unregister::Force,
    };
    called(
        tenant,
        None,
        |governor| governor.unregister_tenant(handle, way),
        |scene, answer| match answer {
            Ok(()) if how == Leaving::Idle => Operation::ClosedIdle(tenant).into(),
            Ok(()) => Operation::Closed(tenant).into(),
            Err(Error::GrantsLive { .. }) => Operation::NotIdle(tenant).into(),
            Err(error) => error_of(scene, &error, tenant),
        },
    );
    scene(|scene| {
        let last = scene.events.last().copied();
        if let Some(event) = last.filter(|event| {
            how == Leaving::Force && event.came == Came::To(Operation::Closed(tenant))
        }) {
            scene.forced.push((tenant, event));
        }
    });
}

fn enqueue(ask: &Ask) {
    let request = request_of(ask);
    let mut waits = None;
    scene(|scene| scene.asked_to_wait = true);
    let (since, _) = called(
        ask.tenant,
        None,
        |governor| {
            let mut ticket = governor.enqueue_owned(&request, FOREVER)?;
            // What people see of it tells whether it was granted at once.
            let waiting = format!("{ticket:?}").contains("waiting: true");
            Ok(if waiting { Err(ticket) } else { Ok(ticket.poll()) })
        },
        |scene, answer: Result<_, Refusal>| match answer {
            Ok(Ok(Some(Ok(grant)))) => {
                Operation::Granted(*ask, scene.born(grant.into_id(), ask.tenant)).into()
            }
            Ok(Err(ticket)) => {
                let number = scene.tickets;
                scene.tickets += 1;
                waits = Some((number, ticket));
                Operation::Waits(number, *ask).into()
            }
            Err(no) | Ok(Ok(Some(Err(no)))) => {
                refused(scene, &no, ask.tenant, |at| Operation::Denied(*ask, at), Some(*ask))
            }
            Ok(Ok(None)) => broken(scene, "a ticket without an answer that does not wait".into()),
        },
    );
    if let Some((number, ticket)) = waits {
        scene(|scene| scene.waiting.push(Waiting { number, ask: *ask, since, ticket }));
    }
}

fn on_ticket(pick: u64, f: impl FnOnce(Waiting)) {
    let picked = scene(|scene| {
        let at = (!scene.waiting.is_empty()).then(|| pick as usize % scene.waiting.len())?;
        Some(scene.waiting.swap_remove(at))
    });
    if let Some(waiting) = picked {
        f(waiting);
    }
}

/// A look at a ticket; `last`, if nobody is at work any more.
fn poll(mut waiting: Waiting, last: bool) {
    let Waiting { number, ask, since, .. } = waiting;
    let mut served = None;
    let mut waits = false;
    let (_, ret) = called(
        ask.tenant,
        None,
        |_| waiting.ticket.poll(),
        |scene, answer| match answer {
            None => {
                waits = true;
                let still = if last {
                    Operation::WaitsInVain(number)
                } else {
                    Operation::WaitsStill(number)
                };
                still.into()
            }
            Some(Ok(grant)) => {
                served = Some(scene.born(grant.into_id(), ask.tenant));
                Operation::Taken(number).into()
            }
            Some(Err(Refusal::Misuse(Error::Gone { .. }))) => Operation::TakenGone(number).into(),
            Some(Err(no)) => broken(scene, format!("an answer that was not to be expected: {no}")),
        },
    );
    scene(|scene| {
        if let Some(grant) = served {
            let operation = Operation::Served(number, Some((grant, FIXED)));
            scene.enter(false, since, ret, Came::To(operation));
        }
        if waits && !last {
            scene.waiting.push(waiting);
        } else if waits {
            scene.left.push(waiting);
        }
    });
}

fn cancel(waiting: Waiting) {
    let Waiting { number, ask, since, ticket } = waiting;
    let cancelled = |_: &mut Scene, ()| Operation::Cancelled(number).into();
    let (call, ret) = called(ask.tenant, None, |_| drop(ticket), cancelled);
    scene(|scene| scene.cancelled.push((number, since, call, ret)));
}

/// Runs a program as one schedule; called as the first task of shuttle, in `order`.
pub fn run(program: &Program) -> Outcome {
    SCENE.with(|cell| *cell.borrow_mut() = Some(Scene::new(program)));
    turns::enter(turns::ALONE);
    program.before.iter().for_each(perform);
    let tasks: Vec<_> = program.threads.iter().cloned().enumerate().collect();
    turns::start();
    let tasks: Vec<_> = tasks
        .into_iter()
        .map(|(thread, actions)| {
            shuttle::thread::spawn(move || {
                turns::enter(thread);
                let done = std::panic::catch_unwind(|| actions.iter().for_each(perform));
                turns::leave(thread);
                done.is_ok()
            })
        })
        .collect();
    let sound = tasks.into_iter().fold(true, |sound, task| sound & task.join().unwrap_or(false));
    let (steps, stalls) = turns::stop();
    turns::enter(turns::ALONE);
    let sound = sound && std::panic::catch_unwind(|| look_at_rest(program)).is_ok();
    let mut scene = SCENE.with(|cell| cell.borrow_mut().take()).expect("a schedule is running");
    scene.add_forced();
    scene.add_cancelled();
    let broken = if sound {
        scene.broken.take()
    } else {
        Some("a thread panicked, or had no end".to_string())
    };
    let events = std::mem::take(&mut scene.events);
    Outcome {
        history: History { begin: program.begin, events },
        steps_max: scene.steps_max,
        steps_waiting_max: scene.steps_waiting_max,
        steps,
        stalls,
        broken: broken.map(Fault::Broken),
    }
}

/// Nobody is at work any more: who waits does not fit, what is used is what is granted, and every
/// byte beyond that can be had.
fn look_at_rest(program: &Program) {
    let waiting = scene(|scene| std::mem::take(&mut scene.waiting));
    waiting.into_iter().for_each(|waiting| poll(waiting, true));
    for tenant in 0..program.tenants {
        look(tenant);
    }
    for tenant in 0..program.tenants {
        for bytes in [16, 8, 4, 2, 1] {
            request(&Ask { tenant, kind: FIXED, bytes, pinned: false }, false);
        }
    }
}
