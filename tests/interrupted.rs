//! One call of the core with another thread's calls between any two of its steps, each place in
//! turn: what has to be true whoever comes in between, and where.
//!
//! A thread stops before its n-th access to an atomic until it is told to go on. So there is no
//! chance in it, and the real atomics and the whole core are at work. Loom (`loom-tests`) tries
//! every order of two threads on small tables instead, `tests/schedules.rs` chance on large ones.
//!
//! Needs atomics that let a test come in between:
//! `RUSTFLAGS="--cfg allot_steps" cargo test --test interrupted`.

#[cfg(not(allot_steps))]
#[test]
fn calls_are_interrupted_in_a_build_of_their_own() {
    println!("run it as RUSTFLAGS=\"--cfg allot_steps\" cargo test --test interrupted");
}

#[cfg(allot_steps)]
mod stepped {
    use allotment::internals::account::{Accounts, LEVELS, Obstacle, ROOT, Settings, Trimmed};
    use allotment::internals::admission::{Ask, Granted, No};
    use allotment::internals::backlog::{Backlogs, Source};
    use allotment::internals::events::{Nobody, Recorded};
    use allotment::internals::evict::{Owners, ReclaimAnswer, Relief};
    use allotment::internals::grants::{Fields, Grants, NoSegment, Refused, SLOTS, Victim, flag};
    use allotment::internals::hot_path::Asked;
    use allotment::internals::order::{Goal, Order, Requester, Shortage};
    use allotment::internals::policy::Cost;
    use allotment::internals::queue::{NoSlot, Queue};
    use allotment::internals::rate::{Rate, RateLimit, RateRefused};
    use allotment::internals::sync::before_access;
    use allotment::internals::wait::{Decided, Left};
    use allotment::internals::waiters::{Outcome, Ticket};
    use allotment::internals::word::{BYTES_MAX, CONFIG_VERSIONS, Owner, Purpose, State};
    use allotment::internals::{Core, Sizes};
    use allotment::os::ManualClock;
    use allotment::{
        AccountName, AllocationType, DenialReason, Error, EventKind, EventRead, Governor,
        GovernorConfig, Grant, GrantId, GroupConfig, GroupHandle, Holder, OwnedTicket, Pressure,
        Refusal,
    };
    use allotment::{
        IsolationLevel, ManagerOptions, MemoryAllocationRequest, MemoryAllocationResponse,
        MemoryConfig,
    };
    use allotment::{MultiTenantMemoryManager as Manager, TenantMemoryConfig, TenantPriority};
    use allotment::{Priority, Request, TenantConfig, TenantHandle, TenantId, Unregister};
    use std::cell::{Cell, RefCell};
    use std::cmp::Ordering::{Equal, Greater, Less};
    use std::pin::{Pin, pin};
    use std::rc::Rc;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::sync::{Arc, Mutex};
    use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};
    use std::thread::{Scope, ScopedJoinHandle, scope};
    use std::time::Duration;

    /// No call of these tests takes as many steps.
    const STEPS_MAX: u32 = 10_000;

    /// Where a thread stops: after so many more accesses, and then again.
    struct Stop {
        left: u32,
        then: Option<u32>,
        reached: Sender<()>,
        go_on: Receiver<()>,
    }

    thread_local! {
        static STOP: RefCell<Option<Stop>> = const { RefCell::new(None) };
        /// Called before each access of this thread, save its own.
        static BETWEEN: RefCell<Option<Box<dyn FnMut()>>> = const { RefCell::new(None) };
    }

    fn before_each() {
        stop_if_due();
        if let Some(mut between) = BETWEEN.take() {
            between();
            BETWEEN.set(Some(between));
        }
    }

    fn stop_if_due() {
        let due = STOP.with_borrow_mut(|stop| match stop {
            Some(Stop { left: 0, .. }) | None => stop.take(),
            Some(stop) => {
                stop.left -= 1;
                None
            }
        });
        if let Some(stop) = due {
            stop.reached.send(()).unwrap();
            // An error: the test has failed elsewhere.
            let _ = stop.go_on.recv();
            if let Some(left) = stop.then {
                STOP.set(Some(Stop { left, then: None, ..stop }));
            }
        }
    }

    /// A call in a thread of its own.
    struct Call<'scope, T> {
        thread: ScopedJoinHandle<'scope, T>,
        reached: Receiver<()>,
        go_on: Sender<()>,
        /// Whether it stopped, and not ended before.
        stopped: bool,
    }

    impl<'scope, T: Send + 'scope> Call<'scope, T> {
        /// Makes a call up to its step of that number.
        fn begin<'env>(
            scope: &'scope Scope<'scope, 'env>,
            step: u32,
            call: impl FnOnce() -> T + Send + 'scope,
        ) -> Self {
            Self::begin_and_stop_again(scope, step, None, call)
        }

        /// The same; once it goes on, it stops again after so many steps more.
        fn begin_and_stop_again<'env>(
            scope: &'scope Scope<'scope, 'env>,
            step: u32,
            then: Option<u32>,
            call: impl FnOnce() -> T + Send + 'scope,
        ) -> Self {
            before_access(before_each);
            let ((reached, is_reached), (go_on, may_go_on)) = (channel(), channel());
            let thread = scope.spawn(move || {
                STOP.set(Some(Stop { left: step, then, reached, go_on: may_go_on }));
                let answer = call();
                STOP.take();
                answer
            });
            let stopped = is_reached.recv().is_ok();
            Self { thread, reached: is_reached, go_on, stopped }
        }

        /// Goes on to where it stops again.
        fn go_on(&mut self) {
            if self.stopped {
                self.go_on.send(()).unwrap();
                self.stopped = self.reached.recv().is_ok();
            }
        }

        /// Goes on to its end, for which it may need that others go on.
        fn let_go(&mut self) {
            if self.stopped {
                self.go_on.send(()).unwrap();
                self.stopped = false;
            }
        }

        fn end(mut self) -> T {
            self.let_go();
            self.thread.join().unwrap()
        }
    }

    /// Makes `call` on a `new` state with `other` before each of its steps in turn, and at last
    /// after it; `check` is told the state and both answers.
    fn at_every_step<S: Sync, A: Send, B>(
        new: impl Fn() -> S,
        call: impl Fn(&S) -> A + Sync,
        other: impl Fn(&S) -> B,
        check: impl Fn(&S, A, B),
    ) {
        for step in 0..STEPS_MAX {
            let state = new();
            let (stopped, answer, others) = scope(|scope| {
                let begun = Call::begin(scope, step, || call(&state));
                let stopped = begun.stopped;
                let others = other(&state);
                (stopped, begun.end(), others)
            });
            check(&state, answer, others);
            if !stopped {
                assert!(step > 0, "the call had no steps to stop at");
                return;
            }
        }
        panic!("a call takes more than {STEPS_MAX} steps");
    }

    /// The same where `call` may stop while it holds a mutex that `other` takes: that one stops as
    /// well then, and both go on.
    fn beside_every_step<S: Sync, A: Send, B: Send>(
        new: impl Fn() -> S,
        call: impl Fn(&S) -> A + Sync,
        other: impl Fn(&S) -> B + Sync,
        check: impl Fn(&S, A, B),
    ) {
        for step in 0..STEPS_MAX {
            let state = new();
            let (stopped, answer, others) = scope(|scope| {
                let mut begun = Call::begin(scope, step, || call(&state));
                let stopped = begun.stopped;
                let mut beside = Call::begin(scope, STEPS_MAX, || other(&state));
                begun.let_go();
                beside.let_go();
                (stopped, begun.end(), beside.end())
            });
            check(&state, answer, others);
            if !stopped {
                assert!(step > 0, "the call had no steps to stop at");
                return;
            }
        }
        panic!("a call takes more than {STEPS_MAX} steps");
    }

    fn settings(limit: u64, guarantee: u64) -> Settings {
        Settings { limits: [limit; LEVELS], guarantee, ..Settings::default() }
    }

    /// Tenants of these limits and guarantees, the first of them account 1.
    fn accounts(capacity: u64, tenants: &[(u64, u64)]) -> Accounts {
        let accounts = Accounts::new(capacity, 0, tenants.len() as u32, 0);
        for (index, &(limit, guarantee)) in (1..).zip(tenants) {
            accounts.open(index, ROOT, &settings(limit, guarantee)).unwrap();
        }
        accounts
    }

    /// The same with all that is beside the accounts.
    fn core(capacity_bytes: u64, quantum_bytes: u64, tenants: &[(u64, u64)]) -> Core {
        let core = Core::new(&Sizes {
            capacity_bytes,
            groups_max: 0,
            tenants_max: tenants.len() as u32,
            grants_max: 64,
            ghost_keys_max: 0,
            quantum_bytes,
            events: Recorded::default(),
            waiters_max: 4,
            patience_ns: 1 << 40,
        });
        for (index, &(limit, guarantee)) in (1..).zip(tenants) {
            let generation = core.accounts.open(index, ROOT, &settings(limit, guarantee)).unwrap();
            core.begin(index, index.into(), generation);
        }
        core
    }

    fn ask(account: u32, bytes: u64) -> Ask {
        let fields = Fields::default();
        Ask { account, generation: 1, kind: 0, bytes, fields, cost: 1, now_ns: 0, paced: false }
    }

    /// A request of which there is nothing to say.
    struct Plain(Ask);

    impl Asked for Plain {
        fn owner(&self) -> Owner {
            self.0.owner()
        }
        fn bytes(&self) -> u64 {
            self.0.bytes
        }
        fn key(&self) -> u64 {
            0
        }
        fn fields(&self) -> Fields {
            self.0.fields
        }
        fn cost(&self) -> Cost {
            Cost::new(self.0.cost)
        }
    }

    #[test]
    fn an_account_that_closes_while_idle_has_granted_nothing() {
        at_every_step(
            || accounts(10, &[(10, 0)]),
            |accounts| accounts.close_within(1, 0),
            |accounts| accounts.charge(1, 1, 0, 5),
            |accounts, closed, charged| {
                assert_eq!(closed, charged == Err(Obstacle::Closed), "{charged:?}");
                assert_eq!(accounts.used(1), if closed { 0 } else { 5 });
            },
        );
    }

    #[test]
    fn a_tenant_that_goes_while_idle_holds_no_grant() {
        let new = || {
            let config = GovernorConfig { tenants_max: 2, ..GovernorConfig::new(10) };
            let governor = Governor::new(config).unwrap();
            let id = TenantId::from_u128(1);
            let tenant = governor.register_tenant(TenantConfig::new(id, "")).unwrap();
            (governor, tenant)
        };
        at_every_step(
            new,
            |(governor, tenant)| governor.unregister_tenant(*tenant, Unregister::IfIdle),
            |(governor, tenant)| {
                let request = Request::new(*tenant, AllocationType::ModelLoad, 5);
                governor.try_request(&request).map(|grant| grant.into_id())
            },
            |(governor, _), gone, granted| {
                assert_eq!(gone.is_ok(), granted.is_err(), "{gone:?} {granted:?}");
                let live = governor.snapshot().live_bytes;
                assert_eq!(live, if gone.is_ok() { 0 } else { 5 });
            },
        );
    }

    /// A tenant has what a batch has charged for a moment when it goes and another is to have its
    /// place.
    #[test]
    fn no_table_is_full_of_tenants_that_a_batch_has_charged() {
        let new = || {
            let config = GovernorConfig { tenants_max: 2, ..GovernorConfig::new(10) };
            let governor = Governor::new(config).unwrap();
            let tenants = [1, 2].map(|number| {
                let config = TenantConfig::new(TenantId::from_u128(number), "");
                governor.register_tenant(config).unwrap()
            });
            (governor, tenants)
        };
        at_every_step(
            new,
            |(governor, tenants)| {
                let of =
                    |at: usize, bytes| Request::new(tenants[at], AllocationType::ModelLoad, bytes);
                governor.request_all(&[of(0, 5), of(1, 6)]).is_err()
            },
            |(governor, tenants)| {
                governor.unregister_tenant(tenants[0], Unregister::Drain).unwrap();
                let next = TenantConfig::new(TenantId::from_u128(3), "");
                governor.register_tenant(next)
            },
            |_, refused, registered| {
                assert!(refused);
                assert!(matches!(registered, Ok(_) | Err(Error::Contended)), "{registered:?}");
            },
        );
    }

    /// A tenant is looked for while its slot goes to another, at any step of both.
    #[test]
    fn nobody_is_found_by_the_id_of_the_slots_last_tenant() {
        let [old, new] = [1, 2].map(TenantId::from_u128);
        for (step, wanted) in (0..STEPS_MAX).flat_map(|step| [(step, old), (step, new)]) {
            let mut found_whole = false;
            for step_of_next in 0..STEPS_MAX {
                let config = GovernorConfig { tenants_max: 1, ..GovernorConfig::new(10) };
                let governor = Governor::new(config).unwrap();
                let register = |id| governor.register_tenant(TenantConfig::new(id, "")).unwrap();
                let last = register(old);
                let (stopped, found, next) = scope(|scope| {
                    let find = Call::begin(scope, step, || governor.find(wanted));
                    found_whole = !find.stopped;
                    governor.unregister_tenant(last, Unregister::IfIdle).unwrap();
                    let next = Call::begin(scope, step_of_next, || register(new));
                    (next.stopped, find.end(), next.end())
                });
                let its_own = if wanted == old { last } else { next };
                assert!(found.is_none_or(|found| found == its_own), "{step}, {step_of_next}");
                assert_eq!((governor.find(old), governor.find(new)), (None, Some(next)));
                if !stopped {
                    break;
                }
            }
            if found_whole && wanted == new {
                return;
            }
        }
        panic!("a search takes more than {STEPS_MAX} steps");
    }

    /// A request of a tenant has a slot for a moment, or is buying for it, when the tenant goes and
    /// another is to have its place.
    #[test]
    fn no_table_is_full_of_tenants_that_have_gone_and_hold_nothing() {
        let contended = Cell::new([0; 3]);
        let register = |governor: &Governor| {
            governor.register_tenant(TenantConfig::new(TenantId::from_u128(2), ""))
        };
        for (place, events_max, bytes) in [(0, 0, 5), (1, 64, 5), (2, 0, 11)] {
            let new = || {
                let config =
                    GovernorConfig { tenants_max: 1, events_max, ..GovernorConfig::new(10) };
                let governor = Governor::new(config).unwrap();
                let config = TenantConfig::new(TenantId::from_u128(1), "");
                let tenant = governor.register_tenant(config).unwrap();
                (governor, tenant)
            };
            at_every_step(
                new,
                |(governor, tenant)| {
                    let request = Request::new(*tenant, AllocationType::ModelLoad, bytes);
                    governor.try_request(&request).map(|grant| grant.into_id()).is_ok()
                },
                |(governor, tenant)| {
                    governor.unregister_tenant(*tenant, Unregister::IfIdle).ok()?;
                    Some(register(governor))
                },
                |(governor, _), granted, registered| {
                    let Some(registered) = registered else { return assert!(granted) };
                    assert!(!granted);
                    if let Err(error) = registered {
                        assert_eq!(error, Error::Contended);
                        contended.set(std::array::from_fn(|at| {
                            contended.get()[at] + u32::from(at == place)
                        }));
                        register(governor).unwrap();
                    }
                },
            );
        }
        assert!(contended.get().iter().all(|&count| count > 0), "{contended:?}");
    }

    /// The same of a group, of which a tenant that has gone with it was buying.
    #[test]
    fn no_table_is_full_of_groups_that_have_gone_and_hold_nothing() {
        let new = || {
            let config =
                GovernorConfig { tenants_max: 2, groups_max: 1, ..GovernorConfig::new(10) };
            let governor = Governor::new(config).unwrap();
            let group = governor.register_group(GroupConfig::new("")).unwrap();
            let config = TenantConfig::new(TenantId::from_u128(1), "");
            let config = TenantConfig { parent: Some(group), ..config };
            let tenant = governor.register_tenant(config).unwrap();
            (governor, group, tenant)
        };
        at_every_step(
            new,
            |(governor, _, tenant)| {
                let request = Request::new(*tenant, AllocationType::ModelLoad, 5);
                governor.try_request(&request).map(|grant| grant.into_id()).is_ok()
            },
            |(governor, group, tenant)| {
                governor.unregister_tenant(*tenant, Unregister::IfIdle).ok()?;
                governor.unregister_group(*group).unwrap();
                Some(governor.register_group(GroupConfig::new("next")))
            },
            |(governor, ..), granted, registered| {
                let Some(registered) = registered else { return assert!(granted) };
                if let Err(error) = registered {
                    assert_eq!(error, Error::Contended);
                    governor.register_group(GroupConfig::new("next")).unwrap();
                }
            },
        );
    }

    /// Account and tenant are looked up by their handles while their slots go to others that are
    /// called otherwise and hold something.
    #[test]
    fn nobody_is_told_the_name_or_the_use_of_the_slots_next_owner() {
        let new = || {
            let config = GovernorConfig {
                tenants_max: 1,
                groups_max: 1,
                grants_max: 64,
                ghost_keys_max: 0,
                ..GovernorConfig::new(10)
            };
            let governor = Governor::new(config).unwrap();
            governor.on_leak(|_| {});
            let group = governor.register_group(GroupConfig::new("first group")).unwrap();
            let config = TenantConfig::new(TenantId::from_u128(1), "first");
            let config = TenantConfig { parent: Some(group), ..config };
            let tenant = governor.register_tenant(config).unwrap();
            (governor, group, tenant)
        };
        let replace = |(governor, group, tenant): &(Governor, GroupHandle, TenantHandle)| {
            governor.unregister_tenant(*tenant, Unregister::IfIdle).unwrap();
            governor.unregister_group(*group).unwrap();
            let group = governor.register_group(GroupConfig::new("next group")).unwrap();
            let config = TenantConfig::new(TenantId::from_u128(2), "next");
            let config = TenantConfig { parent: Some(group), ..config };
            let tenant = governor.register_tenant(config).unwrap();
            let request = Request::new(tenant, AllocationType::ModelLoad, 5);
            governor.try_request(&request).unwrap().into_id();
        };
        fn largest(holders: Vec<Holder>) -> String {
            holders.first().map_or("first".to_string(), |holder| holder.name.clone())
        }
        type Look = fn(&Governor, GroupHandle, TenantHandle) -> Result<String, Error>;
        let looks: [Look; 5] = [
            |governor, _, tenant| governor.name(AccountName::Tenant(tenant)),
            |governor, group, _| governor.name(AccountName::Group(group)),
            |governor, _, tenant| {
                governor.largest_holders(AccountName::Tenant(tenant)).map(largest)
            },
            |governor, group, _| governor.largest_holders(AccountName::Group(group)).map(largest),
            |governor, _, tenant| {
                let request = Request::new(tenant, AllocationType::ModelLoad, 11);
                governor.explain(&request).map(|explained| explained.tenant)
            },
        ];
        for look in looks {
            beside_every_step(
                new,
                |(governor, group, tenant)| look(governor, *group, *tenant),
                replace,
                |_, told, ()| match told {
                    Ok(told) => assert!(told.starts_with("first"), "{told}"),
                    Err(error) => assert!(matches!(error, Error::Gone { .. }), "{error}"),
                },
            );
        }
    }

    /// Its owner gives up a place in line, or looks at it in time or too late, while its tenant
    /// goes and another gets the slot.
    #[test]
    fn what_becomes_of_a_ticket_is_never_told_of_the_next_tenant_of_its_slot() {
        for (late, gives_up) in [(false, true), (false, false), (true, false)] {
            let mut answered = false;
            for step in 0..STEPS_MAX {
                let clock = ManualClock::new();
                let config = GovernorConfig {
                    tenants_max: 2,
                    events_max: 256,
                    clock: clock.clone().into(),
                    ..GovernorConfig::new(10)
                };
                let governor = Governor::new(config).unwrap();
                governor.on_leak(|_| {});
                let register = |number| {
                    governor.register_tenant(TenantConfig::new(TenantId::from_u128(number), ""))
                };
                let [other, one] = [1, 2].map(|number| register(number).unwrap());
                let request =
                    |tenant, bytes| Request::new(tenant, AllocationType::ModelLoad, bytes);
                governor.request(&request(other, 10)).unwrap().into_id();
                let mut ticket =
                    governor.enqueue(&request(one, 5), Duration::from_secs(1)).unwrap();
                if late {
                    clock.advance_ns(2 * SECOND_NS);
                }
                let next = scope(|scope| {
                    let mut call = Call::begin(scope, step, move || match gives_up {
                        true => drop(ticket),
                        false => drop(ticket.poll()),
                    });
                    answered = !call.stopped;
                    // It stops where the call has what it needs.
                    let mut next = Call::begin(scope, STEPS_MAX, || {
                        governor.unregister_tenant(one, Unregister::IfIdle).unwrap();
                        register(3).unwrap()
                    });
                    call.let_go();
                    next.let_go();
                    call.end();
                    next.end()
                });
                assert_eq!(next.index(), one.index());
                assert_eq!(governor.usage(next).unwrap().denied, 0, "{step}");
                let (mut events, mut registered) = (governor.events(), 0);
                while let EventRead::Event(event) = events.read() {
                    let is_its = event.account == next.index();
                    registered += u32::from(is_its && event.kind == EventKind::Registered);
                    let told = is_its && registered == 2 && event.kind != EventKind::Registered;
                    assert!(!told, "{step}: {event:?}");
                }
                assert_eq!(registered, 2);
                if answered {
                    break;
                }
            }
            assert!(answered);
        }
    }

    const SECOND_NS: u64 = 1_000_000_000;
    const MILLISECOND_NS: u64 = SECOND_NS / 1_000;
    const HOUR_NS: u64 = 3_600 * SECOND_NS;

    /// A governor of one tenant, by a clock that shows ten seconds, where events are recorded, so
    /// that no request is the usual one, paced or not.
    fn paced(rate: RateLimit) -> (Governor, ManualClock, TenantHandle) {
        let clock = ManualClock::new();
        clock.set_ns(10 * SECOND_NS);
        let config = GovernorConfig {
            tenants_max: 1,
            events_max: 64,
            clock: clock.clone().into(),
            ..GovernorConfig::new(100)
        };
        let governor = Governor::new(config).unwrap();
        let config = TenantConfig::new(TenantId::from_u128(1), "");
        let config = TenantConfig { rate: Some(rate), ..config };
        let tenant = governor.register_tenant(config).unwrap();
        (governor, clock, tenant)
    }

    fn every(interval_ns: u64, bucket_depth: u64) -> RateLimit {
        RateLimit::from_interval(interval_ns, bucket_depth).unwrap()
    }

    fn set_rate(governor: &Governor, tenant: TenantHandle, rate: Option<RateLimit>) {
        governor.set_tenant(tenant, |config| config.rate = rate).unwrap();
    }

    /// A request, released at once: how long it has to wait for its rate, or whatever else refused.
    fn wait_ns(governor: &Governor, tenant: TenantHandle) -> Result<u64, Refusal> {
        match governor.try_request(&Request::new(tenant, AllocationType::Cache, 1)) {
            Ok(grant) => grant.release().map_or_else(|error| Err(error.into()), |_| Ok(0)),
            Err(refusal) => match refusal.denial().and_then(|denial| denial.retry_after_ns) {
                Some(wait_ns) => Ok(wait_ns),
                None => Err(refusal),
            },
        }
    }

    /// The tenant that asks is gone, and the next one in its slot has a bucket of its own.
    #[test]
    fn no_request_takes_a_token_from_the_next_tenant_of_its_slot() {
        at_every_step(
            || paced(every(HOUR_NS, 3)),
            |(governor, _, old)| wait_ns(governor, *old),
            |(governor, _, old)| {
                governor.unregister_tenant(*old, Unregister::Drain).unwrap();
                let rate = Some(every(MILLISECOND_NS, 1));
                let config = TenantConfig::new(TenantId::from_u128(2), "");
                match governor.register_tenant(TenantConfig { rate, ..config }) {
                    Ok(new) => Some(new),
                    // The old one holds something, or has a slot for a moment.
                    Err(Error::TableFull { .. }) => {
                        assert!(governor.snapshot().live_bytes > 0);
                        None
                    }
                    Err(error) => {
                        assert_eq!(error, Error::Contended);
                        None
                    }
                }
            },
            |(governor, ..), old, new| {
                assert!(!old.is_ok_and(|wait_ns| wait_ns > 0), "nobody has passed before");
                if let Some(new) = new {
                    assert_eq!(wait_ns(governor, new).unwrap(), 0);
                    assert_eq!(wait_ns(governor, new).unwrap(), MILLISECOND_NS);
                }
            },
        );
    }

    /// The rate goes up while a request is on its way, and another passes at the new one.
    #[test]
    fn no_request_passes_at_a_pace_that_was_over_when_it_passed() {
        at_every_step(
            || paced(every(HOUR_NS, 2)),
            |(governor, _, tenant)| wait_ns(governor, *tenant).unwrap(),
            |(governor, _, tenant)| {
                set_rate(governor, *tenant, Some(every(MILLISECOND_NS, 2)));
                wait_ns(governor, *tenant).unwrap()
            },
            |(governor, _, tenant), one, two| {
                assert_eq!(one, 0);
                // Else the first has passed before, and at most its bucket was empty then.
                assert!(two == 0 || two == MILLISECOND_NS, "{two}");
                assert_eq!(wait_ns(governor, *tenant).unwrap(), MILLISECOND_NS);
            },
        );
    }

    /// The bucket is empty, or is emptied by a request that is on its way when the rate goes up, in
    /// one change or in two.
    #[test]
    fn nobody_owes_more_than_an_empty_bucket_once_the_rate_has_changed() {
        let (slow, fast) = (every(HOUR_NS, 2), every(MILLISECOND_NS, 2));
        let new = |used| {
            let (governor, clock, tenant) = paced(slow);
            (0..used).for_each(|_| assert_eq!(wait_ns(&governor, tenant).unwrap(), 0));
            (governor, clock, tenant)
        };
        let ask = |(governor, _, tenant): &(Governor, ManualClock, TenantHandle)| {
            wait_ns(governor, *tenant).unwrap()
        };
        for (used, is_lifted) in
            [(0, false), (1, false), (2, false), (0, true), (1, true), (2, true)]
        {
            let set = |(governor, _, tenant): &(Governor, ManualClock, TenantHandle)| {
                if is_lifted {
                    set_rate(governor, *tenant, None);
                }
                set_rate(governor, *tenant, Some(fast));
            };
            let check = |state: &_, waited| {
                assert!([0, MILLISECOND_NS, HOUR_NS].contains(&waited), "{waited}");
                let next = ask(state);
                assert!(next <= MILLISECOND_NS, "{used} were used: {next}");
            };
            at_every_step(|| new(used), ask, set, |state, waited, ()| check(state, waited));
            at_every_step(|| new(used), set, ask, |state, (), waited| check(state, waited));
        }
    }

    /// The rate is lifted while a request is on its way for which a token is left.
    #[test]
    fn no_request_is_refused_by_a_rate_that_is_being_lifted() {
        let new = || {
            let (governor, clock, tenant) = paced(every(SECOND_NS, 3));
            (0..2).for_each(|_| assert_eq!(wait_ns(&governor, tenant).unwrap(), 0));
            (governor, clock, tenant)
        };
        at_every_step(
            new,
            |(governor, _, tenant)| wait_ns(governor, *tenant).unwrap(),
            |(governor, _, tenant)| {
                set_rate(governor, *tenant, None);
                wait_ns(governor, *tenant).unwrap()
            },
            |_, one, two| assert_eq!((one, two), (0, 0)),
        );
    }

    /// The bucket is as it was left a second ago, and the rate is set while a request is on its
    /// way, which was made without one.
    #[test]
    fn a_request_is_judged_by_its_own_time_whenever_a_rate_is_set() {
        let new = || {
            let (governor, clock, tenant) = paced(every(MILLISECOND_NS, 1));
            assert_eq!(wait_ns(&governor, tenant).unwrap(), 0);
            set_rate(&governor, tenant, None);
            clock.advance_ns(SECOND_NS);
            (governor, clock, tenant)
        };
        for then_asked in [false, true] {
            at_every_step(
                new,
                |(governor, _, tenant)| wait_ns(governor, *tenant).unwrap(),
                |(governor, _, tenant)| {
                    set_rate(governor, *tenant, Some(every(MILLISECOND_NS, 1)));
                    then_asked.then(|| wait_ns(governor, *tenant).unwrap())
                },
                |_, one, two| {
                    assert!(one <= MILLISECOND_NS, "{one}");
                    assert!(two.is_none_or(|two| two <= MILLISECOND_NS), "{two:?}");
                },
            );
        }
    }

    /// L1. Others of its tenant pass at each of its attempts, and so it never does: then it has no
    /// place in line either, where nobody would ask for its token any more.
    #[test]
    fn nobody_waits_in_line_who_has_not_passed_the_rate() {
        before_access(before_each);
        for others_wait in [false, true] {
            let (governor, _, tenant) = paced(every(MILLISECOND_NS, 1 << 20));
            let governor = Arc::new(governor);
            let request = move |bytes| Request::new(tenant, AllocationType::ModelLoad, bytes);
            let all = governor.request(&request(100)).unwrap().into_id();
            let wait_max = Duration::from_secs(9);
            let before = others_wait.then(|| governor.enqueue(&request(1), wait_max).unwrap());
            let others = governor.clone();
            BETWEEN.set(Some(Box::new(move || {
                others.try_request(&request(1)).map(Grant::into_id).unwrap_err();
            })));
            let denied = governor.enqueue(&request(1), wait_max).map(drop);
            BETWEEN.take();
            let reason = denied.unwrap_err().denial().map(|denial| denial.reason);
            assert_eq!(reason, Some(DenialReason::Contended));
            assert_eq!(governor.waiters(), u32::from(others_wait));
            drop(before);
            governor.release(tenant, all).unwrap();
        }
    }

    /// A batch charges one tenant, is refused for the other and gives back, with a whole or a
    /// halved request of the first between any two of its steps.
    fn beside_a_refused_batch<A: Send>(
        request: impl Fn(&Core) -> A + Sync,
        is_fair: impl Fn(A) -> bool,
    ) {
        let batch = |core: &Core| {
            let mut granted = [Granted::default(); 2];
            core.admit_all(&[ask(1, 8), ask(2, 6)], &mut granted, &Nobody)
        };
        for step in 0..STEPS_MAX {
            let mut requested = false;
            for step_of_batch in 0..STEPS_MAX {
                let core = core(15, 0, &[(10, 10), (5, 5)]);
                let (stopped, answer, refused) = scope(|scope| {
                    let begun = Call::begin(scope, step, || request(&core));
                    requested = !begun.stopped;
                    let batch = Call::begin(scope, step_of_batch, || batch(&core));
                    (batch.stopped, begun.end(), batch.end())
                });
                assert!(refused.is_err());
                assert!(is_fair(answer), "stopped at {step}, the batch at {step_of_batch}");
                if !stopped {
                    break;
                }
            }
            if requested {
                return;
            }
        }
    }

    #[test]
    fn no_request_is_refused_for_bytes_of_a_batch_that_begins_while_it_looks() {
        let fair = |answer| matches!(answer, Ok(_) | Err(No::Contended));
        beside_a_refused_batch(|core| core.admit(&ask(1, 5), &Nobody), fair);
    }

    #[test]
    fn no_request_is_refused_at_once_for_bytes_of_a_batch_that_begins_while_it_looks() {
        beside_a_refused_batch(|core| core.refuse_at_once(&Plain(ask(1, 5))), |no| no.is_none());
    }

    /// One of whose tenant another stands before it is not served while a batch may hide that that
    /// one fits: a note is left, and whoever is next in line serves it.
    #[test]
    fn nobody_overtakes_another_of_its_tenant_while_a_batch_is_in_flight() {
        let new = || {
            let core = core(100, 0, &[(100, 0), (100, 0), (100, 0)]);
            core.admit(&ask(3, 90), &Nobody).unwrap();
            let tickets = [20, 5].map(|bytes| core.enter_line(&ask(1, bytes), u64::MAX).unwrap());
            (core, tickets)
        };
        let unclear = std::cell::Cell::new(0);
        at_every_step(
            new,
            |(core, _)| {
                let mut granted = [Granted::default(); 2];
                core.admit_all(&[ask(2, 1), ask(3, 20)], &mut granted, &Nobody).is_err()
            },
            |(core, _)| {
                let mut decided = Decided::default();
                let left = core.hand_over(0, &mut decided);
                assert_eq!(left, Left::Clear);
                let waits_still = decided.cells().is_empty();
                assert_eq!(core.waiting.is_noted(), waits_still, "for those who change something");
                unclear.set(unclear.get() + u32::from(waits_still));
                waits_still
            },
            |(core, [large, small]), refused, waits_still| {
                let mut decided = Decided::default();
                assert_eq!(core.hand_over(0, &mut decided), Left::Clear);
                assert_eq!((refused, decided.cells().len()), (true, usize::from(waits_still)));
                assert!(matches!(core.take_outcome(*small), Outcome::Granted(..)));
                assert_eq!(core.take_outcome(*large), Outcome::Waiting);
                assert!(!core.waiting.is_noted());
            },
        );
        assert!(unclear.get() > 0, "no step of the batch hid anything");
    }

    /// W6. The same at the tenant's own limit, where the first one fits without what the batch has
    /// for a moment.
    #[test]
    fn nobody_overtakes_another_at_their_limit_while_a_batch_is_in_flight() {
        let new = || {
            let core = core(100, 0, &[(20, 0), (5, 0)]);
            core.admit(&ask(1, 8), &Nobody).unwrap();
            let tickets = [10, 4].map(|bytes| core.enter_line(&ask(1, bytes), u64::MAX).unwrap());
            (core, tickets)
        };
        at_every_step(
            new,
            |(core, _)| {
                let mut granted = [Granted::default(); 2];
                core.admit_all(&[ask(1, 8), ask(2, 6)], &mut granted, &Nobody).is_err()
            },
            |(core, _)| core.hand_over(0, &mut Decided::default()),
            |(core, [first, second]), refused, _| {
                assert!(refused);
                hand_over(core, 0);
                assert!(matches!(core.take_outcome(*first), Outcome::Granted(..)));
                assert_eq!(core.take_outcome(*second), Outcome::Waiting);
            },
        );
    }

    /// A batch of others holds up nobody at the own limit.
    #[test]
    fn who_fits_is_served_behind_who_does_not_while_others_have_a_batch() {
        let new = || {
            let core = core(100, 0, &[(20, 0), (50, 0), (5, 0)]);
            core.admit(&ask(1, 12), &Nobody).unwrap();
            let tickets = [10, 4].map(|bytes| core.enter_line(&ask(1, bytes), u64::MAX).unwrap());
            (core, tickets)
        };
        at_every_step(
            new,
            |(core, _)| {
                let mut granted = [Granted::default(); 2];
                core.admit_all(&[ask(2, 8), ask(3, 6)], &mut granted, &Nobody).is_err()
            },
            |(core, [first, second])| {
                hand_over(core, 0);
                assert!(matches!(core.take_outcome(*second), Outcome::Granted(..)));
                assert_eq!(core.take_outcome(*first), Outcome::Waiting);
            },
            |_, refused, ()| assert!(refused),
        );
    }

    /// The capacity goes up when the request has looked at it, and then what was idle is in use:
    /// the pool had room before, by what was idle, and has room after.
    #[test]
    fn no_request_is_refused_by_a_limit_that_was_raised_while_it_looked() {
        let new = || {
            let accounts = accounts(10, &[(BYTES_MAX, 0), (BYTES_MAX, 0)]);
            accounts.charge(2, 1, 0, 10).unwrap();
            accounts.uncharge(2, 10);
            accounts
        };
        at_every_step(
            new,
            |accounts| accounts.charge(1, 1, 0, 5),
            |accounts| {
                accounts.configure(ROOT, &settings(20, 0)).unwrap();
                accounts.charge(2, 1, 0, 10)
            },
            |accounts, one, two| {
                assert_eq!((one, two), (Ok(()), Ok(())));
                assert_eq!((accounts.claim(ROOT), accounts.used(ROOT)), (20, 15));
                accounts.assert_at_rest();
            },
        );
    }

    /// The pool is above a capacity that was lowered, and refuses what goes beyond a guarantee.
    /// When the rest of it is released meanwhile, the request is within the guarantee.
    #[test]
    fn nothing_is_refused_for_which_nothing_is_asked_of_the_pool() {
        let new = || {
            let accounts = accounts(20, &[(BYTES_MAX, 5), (BYTES_MAX, 0)]);
            accounts.charge(1, 1, 0, 4).unwrap();
            accounts.charge(2, 1, 0, 10).unwrap();
            accounts.configure(ROOT, &settings(8, 0)).unwrap();
            accounts
        };
        at_every_step(
            new,
            |accounts| accounts.charge(1, 1, 0, 3),
            |accounts| accounts.uncharge(1, 4),
            |accounts, charged, ()| {
                if let Err(no) = charged {
                    let full = Obstacle::Full { account: ROOT, asked: 2, used: 15, limit: 8 };
                    assert_eq!(no, full);
                }
                accounts.assert_at_rest();
            },
        );
    }

    /// Either a claim is not idle, or whoever looks at the line next knows that one may be.
    fn assert_nothing_withheld(core: &Core) {
        let (used, claim) = (core.accounts.used(1), core.accounts.claim(1));
        assert!(core.scarcity.is_unsettled() || claim == used, "claim {claim}, used {used}");
    }

    /// Another tenant begins to wait for more than it may ever have.
    fn wait(core: &Core) {
        core.enter_line(&ask(2, 11), u64::MAX).unwrap();
        core.hand_over(0, &mut Decided::default());
    }

    #[test]
    fn a_request_withholds_nothing_from_who_begins_to_wait() {
        at_every_step(
            || core(100, 64, &[(BYTES_MAX, 0), (10, 0)]),
            |core| core.admit(&ask(1, 20), &Nobody).map(|_| ()),
            wait,
            |core, granted, ()| {
                assert_eq!(granted, Ok(()));
                assert_nothing_withheld(core);
            },
        );
    }

    #[test]
    fn a_growth_withholds_nothing_from_who_begins_to_wait() {
        let new = || {
            let core = core(100, 64, &[(BYTES_MAX, 0), (10, 0)]);
            let (slot, generation) = core.admit(&ask(1, 20), &Nobody).unwrap();
            core.give_up_claim(1);
            (core, slot, generation)
        };
        at_every_step(
            new,
            |&(ref core, slot, generation)| {
                core.grow(slot, generation, ask(1, 20).owner(), 4, &Nobody).unwrap()
            },
            |(core, ..)| wait(core),
            |(core, ..), grown, ()| {
                assert_eq!(grown, Ok(()));
                assert_nothing_withheld(core);
            },
        );
    }

    /// The same where nobody waits but the pool is to shrink.
    #[test]
    fn nothing_is_bought_beyond_the_need_while_there_is_excess() {
        let core = core(100, 64, &[(BYTES_MAX, 0)]);
        core.scarcity.set_excess(true);
        let (slot, generation) = core.admit(&ask(1, 20), &Nobody).unwrap();
        assert_eq!(core.accounts.claim(1), 20);
        core.grow(slot, generation, ask(1, 20).owner(), 4, &Nobody).unwrap().unwrap();
        assert_eq!(core.accounts.claim(1), 24);
        core.scarcity.set_excess(false);
        core.admit(&ask(1, 1), &Nobody).unwrap();
        assert!(core.accounts.claim(1) > 25, "in plenty more is bought");
    }

    /// I1. What is released while the pool is above a lowered capacity goes up to it by way of the
    /// group, and nobody in that group takes it on its way.
    #[test]
    fn nothing_is_taken_of_what_a_lowered_capacity_is_short_of() {
        let new = || {
            let config =
                GovernorConfig { groups_max: 1, quantum_bytes: 0, ..GovernorConfig::new(100) };
            let governor = Governor::new(config).unwrap();
            let group = governor.register_group(GroupConfig::new("team")).unwrap();
            let tenants = [(1, Some(group)), (2, Some(group)), (3, None)].map(|(id, parent)| {
                let config =
                    TenantConfig { parent, ..TenantConfig::new(TenantId::from_u128(id), "") };
                governor.register_tenant(config).unwrap()
            });
            let take = |tenant, bytes| {
                let request = Request::new(tenant, AllocationType::ModelLoad, bytes);
                governor.try_request(&request).unwrap().into_id()
            };
            take(tenants[0], 40);
            take(tenants[2], 40);
            let released = take(tenants[0], 20);
            governor.set_capacity(50).unwrap();
            (governor, tenants, released)
        };
        at_every_step(
            new,
            |&(ref governor, [one, ..], released)| governor.release(one, released).is_ok(),
            |&(ref governor, [_, two, _], _)| {
                let request = Request::new(two, AllocationType::ModelLoad, 10);
                governor.try_request(&request).map(|grant| grant.into_id()).is_ok()
            },
            |(governor, ..), released, granted| {
                let live = governor.snapshot().live_bytes;
                assert!(released && !granted && live == 80, "{live} bytes are live, of at most 50");
            },
        );
    }

    /// The same, seen from the accounts: what one of a group gave back has come to the group and
    /// not gone on, while another of it asks and the pool above is configured anew.
    #[test]
    fn nothing_is_taken_of_it_while_the_pool_above_is_configured() {
        let new = || {
            let accounts = Accounts::new(100, 1, 3, 0);
            for (index, parent) in [(1, ROOT), (2, 1), (3, 1), (4, ROOT)] {
                accounts.open(index, parent, &settings(BYTES_MAX, 0)).unwrap();
            }
            accounts.charge(2, 1, 0, 60).unwrap();
            accounts.charge(4, 1, 0, 40).unwrap();
            accounts.configure(ROOT, &settings(50, 0)).unwrap();
            accounts.uncharge(2, 20);
            assert_eq!(accounts.trim(2), Trimmed::Freed(20));
            accounts
        };
        for (step, capacity) in (0..STEPS_MAX).flat_map(|step| [(step, 50), (step, 45)]) {
            let mut asked_whole = false;
            for step_of_change in 0..STEPS_MAX {
                let accounts = new();
                let (stopped, charged) = scope(|scope| {
                    let ask = Call::begin(scope, step, || accounts.charge(3, 1, 0, 10));
                    asked_whole = !ask.stopped;
                    let change = Call::begin(scope, step_of_change, || {
                        accounts.configure(ROOT, &settings(capacity, 0))
                    });
                    let (stopped, charged) = (change.stopped, ask.end());
                    change.end().unwrap();
                    (stopped, charged)
                });
                assert!(charged.is_err(), "{step}, {step_of_change}: 90 of {capacity} or 50");
                if !stopped {
                    break;
                }
            }
            if asked_whole && capacity == 45 {
                return;
            }
        }
        panic!("a charge takes more than {STEPS_MAX} steps");
    }

    /// One tenant with all of a pool, in grants of 10 and 90, above a capacity that was lowered.
    fn above_its_capacity() -> (Governor, TenantHandle, [GrantId; 2]) {
        let config =
            GovernorConfig { tenants_max: 1, quantum_bytes: 0, ..GovernorConfig::new(100) };
        let governor = Governor::new(config).unwrap();
        let config = TenantConfig::new(TenantId::from_u128(1), "");
        let tenant = governor.register_tenant(config).unwrap();
        let grants = [10, 90].map(|bytes| take(&governor, tenant, bytes).unwrap());
        governor.set_capacity(50).unwrap();
        (governor, tenant, grants)
    }

    fn take(governor: &Governor, tenant: TenantHandle, bytes: u64) -> Result<GrantId, Refusal> {
        let request = Request::new(tenant, AllocationType::ModelLoad, bytes);
        governor.try_request(&request).map(|grant| grant.into_id())
    }

    /// Where a release has taken its bytes out of use, and done nothing more.
    fn step_out_of_use() -> u32 {
        let is_out = |&step: &u32| {
            let (governor, tenant, [released, _]) = above_its_capacity();
            scope(|scope| {
                let release = Call::begin(scope, step, || governor.release(tenant, released));
                let live = governor.snapshot().live_bytes;
                release.end().unwrap();
                live == 90
            })
        };
        (0..STEPS_MAX).find(is_out).expect("a release takes bytes out of use")
    }

    /// A request or a growth by 3 bytes, of who still holds 90.
    fn take_more(governor: &Governor, tenant: TenantHandle, grows: Option<GrantId>) -> bool {
        match grows {
            Some(grant) => governor.grow(tenant, grant, 3).is_ok(),
            None => take(governor, tenant, 3).is_ok(),
        }
    }

    /// I1. What is released above a lowered capacity goes up, though another call of its tenant has
    /// taken some of it into use again while it was on its way.
    #[test]
    fn no_idle_claim_stays_behind_above_a_lowered_capacity() {
        let released_at = step_out_of_use();
        for grows in [false, true] {
            let is_last = Cell::new(false);
            for step in (0..STEPS_MAX).take_while(|_| !is_last.get()) {
                for step_of_release in 0..STEPS_MAX {
                    let (governor, tenant, [released, kept]) = above_its_capacity();
                    let stopped = scope(|scope| {
                        let then = Some(step_of_release);
                        let release = || governor.release(tenant, released);
                        let mut release =
                            Call::begin_and_stop_again(scope, released_at, then, release);
                        let more = || take_more(&governor, tenant, grows.then_some(kept));
                        let more = Call::begin(scope, step, more);
                        is_last.set(!more.stopped);
                        release.go_on();
                        more.end();
                        let stopped = release.stopped;
                        release.end().unwrap();
                        stopped
                    });
                    let idle = take(&governor, tenant, 1).is_ok();
                    assert!(!idle, "{grows}, {step}, {step_of_release}");
                    if !stopped {
                        break;
                    }
                }
            }
        }
    }

    /// Whoever takes some of it into use hands on what is left, as one does that asks for more than
    /// is at hand.
    #[test]
    fn who_takes_what_is_on_its_way_up_leaves_none_of_it_idle() {
        let released_at = step_out_of_use();
        for grows in [false, true] {
            let (governor, tenant, [released, kept]) = above_its_capacity();
            scope(|scope| {
                let release =
                    Call::begin(scope, released_at, || governor.release(tenant, released));
                assert!(take_more(&governor, tenant, grows.then_some(kept)));
                assert!(take(&governor, tenant, 1).is_err(), "{grows}");
                release.end().unwrap();
            });
        }
    }

    /// One tenant that has paid for all there is, and uses none of it.
    fn all_idle() -> Accounts {
        let accounts = accounts(10, &[(10, 0)]);
        accounts.charge(1, 1, 0, 10).unwrap();
        accounts.uncharge(1, 10);
        accounts
    }

    fn charge_at_once(accounts: &Accounts) -> Option<u64> {
        let what = (5, Purpose::Request);
        accounts.charge_at_once(accounts.get(1), 1, what, || accounts.charge_again(1, 1, what))
    }

    #[test]
    fn a_charge_at_once_is_made_after_another_that_was_faster() {
        // The larger of them leaves just enough.
        for others in [2, 5] {
            at_every_step(
                all_idle,
                charge_at_once,
                |accounts| accounts.charge(1, 1, 0, others),
                |accounts, used, other| {
                    let either = used == Some(5) || used == Some(5 + others);
                    assert!(either && other.is_ok(), "{used:?} {other:?}");
                    assert_eq!(accounts.used(1), 5 + others);
                    accounts.assert_at_rest();
                },
            );
        }
    }

    /// The slot has gone to the next grant, which was evicted: that is not what became of this one.
    #[test]
    fn who_releases_twice_is_not_told_of_the_eviction_of_the_next_grant() {
        let new = || {
            let core = core(10, 0, &[(10, 0)]);
            let granted = core.admit(&ask(1, 5), &Nobody).unwrap();
            core.release(granted.0, granted.1, ask(1, 5).owner(), &Nobody).unwrap();
            (core, granted)
        };
        let next_is_evicted = |(core, (slot, _)): &(Core, Granted)| {
            assert_eq!(core.admit(&ask(1, 5), &Nobody).unwrap().0, *slot);
            let victim = core.grants.claim_victim(*slot, core.grants.word(*slot), |_| true);
            core.grants.settle_freed(&victim.unwrap());
        };
        at_every_step(
            new,
            |(core, (slot, generation))| {
                core.release(*slot, *generation, ask(1, 5).owner(), &Nobody)
            },
            next_is_evicted,
            |_, released, ()| assert_eq!(released, Err(Refused::Stale)),
        );
        at_every_step(
            new,
            |(core, (slot, generation))| core.bytes_of(*slot, *generation, ask(1, 5).owner()),
            next_is_evicted,
            |_, bytes, ()| assert_eq!(bytes, Err(Refused::Stale)),
        );
    }

    /// All is guaranteed, so what is charged is at hand, and nothing was ever in use but a grant of
    /// two bytes.
    fn one_grant_of_two() -> (Core, Granted) {
        let core = core(10, 0, &[(10, 10)]);
        let granted = core.admit(&ask(1, 2), &Nobody).unwrap();
        (core, granted)
    }

    #[test]
    fn a_request_at_once_is_granted_after_a_charge_that_was_faster() {
        at_every_step(
            one_grant_of_two,
            |(core, _)| core.request_at_once(&Plain(ask(1, 5)), false),
            |(core, _)| core.accounts.charge(1, 1, 0, 3),
            |(core, _), granted, other| {
                let (slot, _) = granted.expect("there is room for both");
                assert_eq!((other, core.accounts.used(1)), (Ok(()), 10));
                assert_eq!(core.grants.word(slot).bytes(), 5);
                assert!(matches!(core.accounts.get(1).peak(), 7 | 10));
            },
        );
    }

    #[test]
    fn a_growth_at_once_is_made_after_a_charge_that_was_faster() {
        at_every_step(
            one_grant_of_two,
            |(core, (slot, generation))| {
                let owner = ask(1, 5).owner();
                core.grow_at_once(core.grants.slot(*slot), *generation, owner, 5)
            },
            |(core, _)| core.accounts.charge(1, 1, 0, 3),
            |(core, (slot, _)), grown, other| {
                assert_eq!((grown, other, core.accounts.used(1)), (Some(()), Ok(()), 10));
                assert_eq!(core.grants.word(*slot).bytes(), 7);
                assert!(matches!(core.accounts.get(1).peak(), 7 | 10));
            },
        );
    }

    #[test]
    fn of_two_charges_that_do_not_both_fit_one_is_made() {
        at_every_step(
            all_idle,
            charge_at_once,
            |accounts| accounts.charge(1, 1, 0, 8),
            |accounts, used, other| {
                assert_ne!(used.is_some(), other.is_ok());
                assert_eq!(accounts.used(1), if other.is_ok() { 8 } else { 5 });
                accounts.assert_at_rest();
            },
        );
    }

    #[test]
    fn a_charge_at_once_and_a_close_exclude_each_other() {
        at_every_step(
            all_idle,
            charge_at_once,
            |accounts| accounts.close_within(1, 0),
            |accounts, used, closed| {
                assert_ne!(used.is_some(), closed);
                assert_eq!(accounts.used(1), if closed { 0 } else { 5 });
            },
        );
    }

    /// What is written for a configuration that is not put in force after all is seen by nobody:
    /// one who looks, with two configurations meanwhile, of which the last one is refused because
    /// of a charge in the middle of it.
    #[test]
    fn a_close_that_is_refused_closes_nobody() {
        let configure = |accounts: &Accounts| {
            accounts.configure(1, &settings(9, 0)).unwrap();
            accounts.close_within(1, 0)
        };
        let (mut refused, mut steps) = (0, 0);
        for looked in 0..4 {
            for configured in 0..STEPS_MAX {
                let accounts = all_idle();
                let (head, closed, charged, stopped) = scope(|scope| {
                    let look = Call::begin(scope, looked, || accounts.head(1));
                    let admin = Call::begin(scope, configured, || configure(&accounts));
                    let charged = accounts.charge(1, 1, 0, 2).is_ok();
                    let stopped = admin.stopped;
                    (look.end(), admin.end(), charged, stopped)
                });
                assert!(closed || !head.closed(), "after {looked} and {configured} steps");
                assert!(closed != charged, "one excludes the other");
                refused += u32::from(!closed);
                steps += 1;
                if !stopped {
                    break;
                }
            }
        }
        assert!(refused > 0 && steps > 4 * 10, "{refused} of {steps} were refused");
    }

    /// Nor is anybody refused by what was written for it.
    #[test]
    fn a_close_that_is_refused_leaves_nobody_short() {
        let configure = |accounts: &Accounts| {
            accounts.configure(1, &settings(9, 0)).unwrap();
            accounts.close_within(1, 0)
        };
        let mut refused = 0;
        for looked in 0..8 {
            for configured in 0..STEPS_MAX {
                let accounts = all_idle();
                let (short, closed, stopped) = scope(|scope| {
                    let look = Call::begin(scope, looked, || accounts.shortage(1, 3));
                    let admin = Call::begin(scope, configured, || configure(&accounts));
                    accounts.charge(1, 1, 0, 2).ok();
                    let stopped = admin.stopped;
                    (look.end(), admin.end(), stopped)
                });
                assert!(closed || short.is_none(), "{short:?} of 9 or 10, of which 2 are in use");
                refused += u32::from(!closed);
                if !stopped {
                    break;
                }
            }
        }
        assert!(refused > 0, "in the middle of it there is such a step");
    }

    /// P2. Who sleeps while the versions come round, and as often again, sees nothing of it either.
    #[test]
    fn a_close_that_is_refused_is_not_seen_after_a_round_of_versions() {
        let configure = |accounts: &Accounts, times: u32| {
            (0..times).for_each(|_| accounts.configure(1, &settings(10, 0)).unwrap());
        };
        let mut refused = 0;
        for (looked, then) in (0..6).flat_map(|looked| (0..4).map(move |then| (looked, then))) {
            for configured in 0..STEPS_MAX {
                let accounts = all_idle();
                let (head, closed, stopped) = scope(|scope| {
                    let head = || accounts.head(1);
                    let mut look = Call::begin_and_stop_again(scope, looked, Some(then), head);
                    configure(&accounts, CONFIG_VERSIONS - 1);
                    let admin = Call::begin(scope, configured, || accounts.close_within(1, 0));
                    accounts.charge(1, 1, 0, 2).ok();
                    let stopped = admin.stopped;
                    let closed = admin.end();
                    look.go_on();
                    if !closed {
                        configure(&accounts, 1);
                    }
                    (look.end(), closed, stopped)
                });
                assert!(closed || !head.closed(), "{looked}, {then} and {configured} steps");
                refused += u32::from(!closed);
                if !stopped {
                    break;
                }
            }
        }
        assert!(refused > 0, "in the middle of it there is such a step");
    }

    /// As many configurations as there are versions, so that the word looks as it did before.
    fn configure_round(accounts: &Accounts) {
        for _ in 0..CONFIG_VERSIONS {
            accounts.configure(1, &settings(10, 0)).unwrap();
        }
    }

    /// P2. Who has slept through all versions cannot know that what it read still holds.
    #[test]
    fn a_charge_that_slept_through_all_versions_is_taken_back() {
        let (at_once, in_turn) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
        at_every_step(all_idle, charge_at_once, configure_round, |accounts, used, ()| {
            at_once.set(at_once.get() + u32::from(used.is_none()));
            assert_eq!(accounts.used(1), used.unwrap_or(0));
            accounts.assert_at_rest();
        });
        let charge = |accounts: &Accounts| accounts.charge(1, 1, 0, 5);
        let check = |accounts: &Accounts, charged: Result<(), Obstacle>, ()| {
            in_turn.set(in_turn.get() + u32::from(charged == Err(Obstacle::Contended)));
            assert_eq!(accounts.used(1), if charged.is_ok() { 5 } else { 0 });
            accounts.assert_at_rest();
        };
        at_every_step(all_idle, charge, configure_round, check);
        at_every_step(|| accounts(10, &[(10, 0)]), charge, configure_round, check);
        assert!(at_once.get() > 0 && in_turn.get() > 0, "there is such a step");
    }

    /// S1, W4. The bytes that it had for a moment are idle then, and somebody waits for them.
    #[test]
    fn what_a_charge_that_is_taken_back_had_goes_to_who_waits() {
        let new = || {
            let config = GovernorConfig {
                tenants_max: 2,
                quantum_bytes: 0,
                pool_pressure: false,
                ..GovernorConfig::new(100)
            };
            let governor = Arc::new(Governor::new(config).unwrap());
            let [one, two] = [1, 2].map(|id| {
                let config = TenantConfig::new(TenantId::from_u128(id), "");
                let config = TenantConfig { limit_bytes: Some(100), ..config };
                governor.register_tenant(config).unwrap()
            });
            let kept = take(&governor, one, 40).unwrap();
            let released = take(&governor, one, 60).unwrap();
            governor.release(one, released).unwrap();
            (governor, [one, two], kept)
        };
        for grows in [false, true] {
            let taken_back = Cell::new(0);
            at_every_step(
                new,
                |&(ref governor, [one, _], kept)| match grows {
                    true => governor.grow(one, kept, 60),
                    false => {
                        // By the shortest way.
                        let request = Request::new(one, AllocationType::Inference, 60);
                        governor.try_request(&request).map(|grant| _ = grant.into_id())
                    }
                },
                |(governor, [one, two], _)| {
                    for left in (0..CONFIG_VERSIONS - 1).rev() {
                        let limit = 90 + u64::from(left);
                        let lower = |config: &mut TenantConfig| config.limit_bytes = Some(limit);
                        governor.set_tenant(*one, lower).unwrap();
                    }
                    let request = Request::new(*two, AllocationType::ModelLoad, 60);
                    governor.enqueue_owned(&request, Duration::from_secs(1)).unwrap()
                },
                |_, granted, ticket| {
                    assert!(granted.is_ok() || ticket.is_granted(), "{grows}: {granted:?}");
                    taken_back.set(taken_back.get() + u32::from(granted.is_err()));
                },
            );
            assert!(taken_back.get() > 0, "there is such a step");
        }
    }

    /// I6. A payment that is taken back has changed nothing, and denies nobody.
    #[test]
    fn nobody_is_refused_for_bytes_of_a_payment_that_is_taken_back() {
        let new = || {
            let accounts = Accounts::new(1_000, 1, 2, 0);
            for (index, parent, limit) in [(1, ROOT, 100), (2, 1, 100), (3, 1, 100)] {
                accounts.open(index, parent, &settings(limit, 0)).unwrap();
            }
            // All is paid for, and in the group.
            accounts.charge(2, 1, 0, 100).unwrap();
            accounts.uncharge(2, 100);
            assert_eq!(accounts.trim(2), Trimmed::Freed(100));
            accounts
        };
        let mut taken_back = 0;
        for step in 0..STEPS_MAX {
            let mut paid_whole = false;
            for step_of_other in 0..STEPS_MAX {
                let accounts = new();
                let (stopped, paid, other) = scope(|scope| {
                    let pay = Call::begin(scope, step, || accounts.charge(2, 1, 0, 60));
                    paid_whole = !pay.stopped;
                    if accounts.used(1) == 0 || accounts.used(2) > 0 {
                        return (false, pay.end(), Ok(()));
                    }
                    for _ in 1..CONFIG_VERSIONS {
                        accounts.configure(1, &settings(100, 0)).unwrap();
                    }
                    let other = Call::begin(scope, step_of_other, || accounts.charge(3, 1, 0, 50));
                    let (stopped, paid) = (other.stopped, pay.end());
                    (stopped, paid, other.end())
                });
                if paid.is_err() {
                    taken_back += u32::from(paid == Err(Obstacle::Contended));
                    assert_eq!(accounts.used(2), 0, "{paid:?}");
                    let true_answer = matches!(other, Ok(()) | Err(Obstacle::Contended));
                    assert!(true_answer, "{step}, {step_of_other}: {other:?}");
                }
                if !stopped {
                    break;
                }
            }
            if paid_whole {
                assert!(taken_back > 0, "there is such a step");
                return;
            }
        }
        panic!("a charge takes more than {STEPS_MAX} steps");
    }

    /// Of idle claim that is handed back, none is handed back twice, and none that came into use.
    #[test]
    fn idle_claim_goes_back_once() {
        at_every_step(
            all_idle,
            |accounts| accounts.trim(1),
            |accounts| accounts.trim(1),
            |accounts, one, two| {
                let freed = |trimmed| matches!(trimmed, Trimmed::Freed(10));
                assert!(freed(one) != freed(two), "{one:?} {two:?}");
                assert_eq!((accounts.claim(1), accounts.used(ROOT)), (0, 0));
                accounts.assert_at_rest();
            },
        );
        at_every_step(
            all_idle,
            |accounts| accounts.trim(1),
            |accounts| accounts.charge(1, 1, 0, 4),
            |accounts, trimmed, charged| {
                if charged.is_err() {
                    assert_eq!(charged, Err(Obstacle::Contended), "the claim is on its way");
                    accounts.charge(1, 1, 0, 4).unwrap();
                }
                assert_eq!(accounts.used(1), 4);
                let fair = [Trimmed::Freed(10), Trimmed::Freed(6), Trimmed::Busy];
                assert!(fair.contains(&trimmed), "{trimmed:?}");
                accounts.assert_at_rest();
            },
        );
    }

    /// A request begins again when its type comes to be counted, and is counted then.
    #[test]
    fn a_grant_is_counted_if_its_type_was_when_it_was_charged() {
        let counted = Settings { counted: 1, ..settings(10, 0) };
        at_every_step(
            || core(10, 0, &[(10, 0)]),
            |core| core.admit(&ask(1, 5), &Nobody),
            |core| core.accounts.configure(1, &counted).unwrap(),
            |core, granted, ()| {
                let (slot, _) = granted.unwrap();
                let count = core.tenant(1).queues[0].counted();
                let is_counted = core.grants.flags(slot) & flag::COUNTED != 0;
                assert_eq!(count, u64::from(is_counted));
            },
        );
    }

    /// Owners who free what they are asked for.
    struct Freeing;

    impl Owners for Freeing {
        fn reclaim(&self, _: &Victim) -> Option<ReclaimAnswer> {
            Some(ReclaimAnswer::Freed)
        }
        fn hand_out(&self, _: &Victim) {}
        fn note_promise(&self, _: &Victim) {}
        fn note_end(&self, _: &Victim) {}
    }

    /// A core with grants of 5 bytes each, all of the first tenant.
    fn with_grants(count: u32) -> (Core, Vec<Granted>) {
        let core = core(100, 0, &[(100, 0)]);
        let grants = (0..count).map(|_| core.admit(&ask(1, 5), &Nobody).unwrap()).collect();
        (core, grants)
    }

    /// Evicts one grant as the balancer does.
    fn evict(core: &Core) -> Relief {
        relieve(core, ROOT, Goal::Bytes(5))
    }

    /// Evicts for nobody's request.
    fn relieve(core: &Core, account: u32, goal: Goal) -> Relief {
        let (requester, types) = (None, 1);
        let (order, victims_max, now_ns, keep_until_ns) = (Order::TypeFirst, 8, 0, 1);
        let shortage =
            Shortage { account, goal, requester, types, order, victims_max, now_ns, keep_until_ns };
        core.make_room(&shortage, &Freeing)
    }

    /// So many bytes are in use, none on their way, and the slots agree.
    fn assert_settled(core: &Core, grants: &[Granted], used: u64) {
        let held: u64 = grants.iter().map(|&(slot, _)| core.grants.word(slot).bytes()).sum();
        let freeing = [ROOT, 1].map(|account| core.freeing(account).bytes());
        assert_eq!((core.accounts.used(1), held, freeing), (used, used, [0, 0]));
        core.accounts.assert_at_rest();
    }

    #[test]
    fn a_victim_that_its_owner_releases_leaves_once() {
        at_every_step(
            || with_grants(1),
            |(core, _)| evict(core),
            |(core, grants)| core.release(grants[0].0, grants[0].1, ask(1, 5).owner(), &Nobody),
            |(core, grants), relief, released| {
                assert_settled(core, grants, 0);
                let told = matches!(released, Err(Refused::Evicted | Refused::Busy) | Ok((5, _)));
                assert!(told && relief.grants <= 1, "{relief:?} {released:?}");
                assert!(relief.grants == 1 || released == Ok((5, false)));
            },
        );
    }

    #[test]
    fn two_evictions_take_two_victims() {
        at_every_step(
            || with_grants(3),
            |(core, _)| evict(core),
            |(core, _)| evict(core),
            |(core, grants), one, two| {
                assert_eq!((one.grants, one.freed, two.grants, two.freed), (1, 5, 1, 5));
                assert_settled(core, grants, 5);
            },
        );
    }

    /// Neither goes on once both together have brought use down to where it may be.
    #[test]
    fn two_who_bring_use_down_take_what_is_beyond_it() {
        for account in [ROOT, 1] {
            let down = |(core, _): &(Core, _)| {
                let goal = Goal::Down { to: 15, by: 15 };
                relieve(core, account, goal).grants
            };
            at_every_step(
                || with_grants(6),
                down,
                down,
                |(core, grants), one, two| {
                    assert_eq!(one + two, 3, "{one} and {two} of account {account}");
                    assert_settled(core, grants, 15);
                },
            );
        }
    }

    /// A pool of 25, filled by so many grants of 5 bytes of two tenants of the lowest priority,
    /// accounts 2 and 3, which are in a group of this guarantee or in none. The tenant beside them,
    /// account 4, has the highest.
    fn filled(guarantee: Option<u64>, grants: [u32; 2]) -> Core {
        let core = Core::new(&Sizes {
            capacity_bytes: 25,
            groups_max: 1,
            tenants_max: 3,
            grants_max: 64,
            ghost_keys_max: 0,
            quantum_bytes: 0,
            events: Recorded::default(),
            waiters_max: 4,
            patience_ns: 1 << 40,
        });
        let parent = if guarantee.is_some() { 1 } else { ROOT };
        let high = Settings { traits: 3, ..settings(BYTES_MAX, 0) };
        let group = settings(BYTES_MAX, guarantee.unwrap_or(0));
        let low = settings(BYTES_MAX, 0);
        let accounts = [(1, ROOT, group), (2, parent, low), (3, parent, low), (4, ROOT, high)];
        for (index, parent, settings) in accounts {
            let generation = core.accounts.open(index, parent, &settings).unwrap();
            core.begin(index, index.into(), generation);
        }
        for (account, grants) in [2, 3].into_iter().zip(grants) {
            (0..grants).for_each(|_| assert!(core.admit(&ask(account, 5), &Nobody).is_ok()));
        }
        core
    }

    /// Evicts what a request of the fourth account is short of in the pool.
    fn evict_for(core: &Core, bytes: u64) -> Relief {
        let requester = Some(Requester { account: 4, kind: 0, bytes, growing: None });
        let (account, goal, types) = (ROOT, Goal::Demand(bytes), 1);
        let (order, victims_max, now_ns, keep_until_ns) = (Order::TypeFirst, 100, 0, 1);
        let shortage =
            Shortage { account, goal, requester, types, order, victims_max, now_ns, keep_until_ns };
        core.make_room(&shortage, &Freeing)
    }

    /// Bytes in grants of an account.
    fn held(core: &Core, account: u32) -> u64 {
        let slots = core.slots(ask(account, 1).owner());
        slots.map(|slot| core.grants.word(slot).bytes()).sum()
    }

    /// What was freed is the victim's claim as long as a request of its tenant is buying: the next
    /// victim's bytes would not come further.
    #[test]
    fn nothing_more_goes_for_bytes_that_cannot_go_up_yet() {
        for guarantee in [None, Some(0), Some(15)] {
            at_every_step(
                || filled(guarantee, [5, 0]),
                |core| core.accounts.charge(2, 1, 0, 1),
                |core| [(); 3].map(|()| evict_for(core, 5)),
                |core, charged, relieved| {
                    let victims: u32 = relieved.iter().map(|relief| relief.grants).sum();
                    // The byte that was charged in between may cost another one.
                    assert!((1..=2).contains(&victims), "{guarantee:?} {charged:?} {relieved:?}");
                    assert_eq!(held(core, 2), 25 - 5 * u64::from(victims));
                    assert_eq!([ROOT, 1, 2].map(|a| core.freeing(a).bytes()), [0; 3]);
                    core.accounts.assert_at_rest();
                    core.accounts.charge(4, 1, 0, 4).expect("what went is there");
                },
            );
        }
    }

    /// What a group has that its tenants use no more is not what is guaranteed to it.
    #[test]
    fn a_group_keeps_its_guarantee_in_grants_while_freed_bytes_cannot_go_up() {
        for grants in [[5, 0], [3, 2], [2, 3]] {
            at_every_step(
                || filled(Some(15), grants),
                |core| core.accounts.charge(2, 1, 0, 1),
                |core| [5, 15, 5].map(|bytes| evict_for(core, bytes)),
                |core, charged, relieved| {
                    let left = held(core, 2) + held(core, 3);
                    assert!(left >= 15, "{left} of 15 {grants:?} {charged:?} {relieved:?}");
                    let freeing = [ROOT, 1, 2, 3].map(|account| core.freeing(account).bytes());
                    assert_eq!(freeing, [0; 4]);
                    core.accounts.assert_at_rest();
                },
            );
        }
    }

    /// The fourth account evicts from a group that has at least 15 bytes in grants.
    fn evict_down_to_15(core: &Core) {
        evict_for(core, 5);
        let left = held(core, 2) + core.accounts.used(3);
        assert!(left >= 15, "{left} of 15");
    }

    /// What another thread is handing up of a group is in nobody's grants.
    #[test]
    fn a_group_keeps_its_guarantee_in_grants_while_idle_claim_goes_up() {
        let new = || {
            let core = filled(Some(15), [3, 0]);
            let (slot, generation) = core.admit(&ask(2, 5), &Nobody).unwrap();
            core.admit(&ask(4, 5), &Nobody).unwrap();
            core.release(slot, generation, ask(2, 5).owner(), &Nobody).unwrap();
            core
        };
        at_every_step(new, |core| core.accounts.trim(2), evict_down_to_15, |_, _, ()| ());
    }

    /// Nor is what another has paid into the group and not yet in use.
    #[test]
    fn a_group_keeps_its_guarantee_in_grants_while_claim_is_bought() {
        let pay = |core: &Core| core.accounts.charge(3, 1, 0, 10);
        at_every_step(|| filled(Some(15), [3, 0]), pay, evict_down_to_15, |_, _, ()| ());
    }

    /// What goes from one tenant to another while both are looked at was never there twice.
    #[test]
    fn a_group_keeps_its_guarantee_in_grants_while_they_change_hands() {
        let new = || {
            let core = filled(Some(22), [1, 3]);
            let (slot, generation) = core.admit(&ask(2, 5), &Nobody).unwrap();
            (core, slot, generation)
        };
        at_every_step(
            new,
            |(core, ..)| evict_for(core, 5),
            |&(ref core, slot, generation)| {
                core.release(slot, generation, ask(2, 5).owner(), &Nobody).unwrap();
                core.admit(&ask(3, 5), &Nobody).is_ok()
            },
            |(core, ..), relief, _| {
                let left = held(core, 2) + held(core, 3);
                assert!(left >= 22 || left == 20 && relief.grants == 0, "{left} of 22: {relief:?}");
            },
        );
    }

    /// E2. What is set aside for the senior below a group is given up, and as much set aside for
    /// the next one beside it, while it is told what the group has in grants.
    #[test]
    fn a_group_keeps_its_guarantee_in_grants_while_the_senior_changes() {
        let new = || {
            let core = Core::new(&Sizes {
                capacity_bytes: 100,
                groups_max: 1,
                tenants_max: 3,
                grants_max: 64,
                ghost_keys_max: 0,
                quantum_bytes: 0,
                events: Recorded::default(),
                waiters_max: 4,
                patience_ns: 10,
            });
            let high = Settings { traits: 3, ..settings(BYTES_MAX, 0) };
            let (group, low) = (settings(BYTES_MAX, 50), settings(BYTES_MAX, 0));
            for (index, parent, settings) in
                [(1, ROOT, group), (2, 1, low), (3, 1, low), (4, ROOT, high)]
            {
                let generation = core.accounts.open(index, parent, &settings).unwrap();
                core.begin(index, index.into(), generation);
            }
            for (account, kind, bytes) in [(2, 0, 20), (2, 0, 20), (3, 0, 20), (4, 1, 10)] {
                core.admit(&Ask { kind, ..ask(account, bytes) }, &Nobody).unwrap();
            }
            for (account, bytes) in [(2, 60), (4, 40)] {
                core.enter_line(&ask(account, bytes), u64::MAX).unwrap();
                hand_over(&core, 0);
            }
            // The second time it has made way for itself, and waits for less long than the other.
            [20, 40].map(|now_ns| hand_over(&core, now_ns));
            assert_eq!(core.aside_of(2), 30);
            core
        };
        at_every_step(
            new,
            |core| evict_for(core, 5),
            |core| {
                hand_over(core, 60);
                assert_eq!(core.aside_of(4), 30);
            },
            |core, relief, ()| {
                assert_eq!((held(core, 2) + held(core, 3), relief.grants), (60, 0));
            },
        );
    }

    /// Evicts while the third account releases what it has between any two steps, and takes as much
    /// into use again.
    fn evict_beside_a_busy_one(core: Core, bytes: u64) -> Relief {
        before_access(before_each);
        let (core, owner) = (Arc::new(core), ask(3, 1).owner());
        let busy = core.clone();
        BETWEEN.set(Some(Box::new(move || {
            let live = |&slot: &u32| busy.grants.word(slot).bytes() == 5;
            let slot = busy.slots(owner).find(live).unwrap();
            busy.release(slot, busy.grants.generation(slot), owner, &Nobody).unwrap();
            busy.admit(&ask(3, 5), &Nobody).unwrap();
        })));
        let relief = evict_for(&core, bytes);
        BETWEEN.take();
        assert_eq!(held(&core, 3), 5);
        relief
    }

    /// What others of its group release and take all the time is not certain to be there, and what
    /// it has itself is.
    #[test]
    fn a_group_with_a_busy_tenant_is_evicted_as_far_as_it_may() {
        let relief = evict_beside_a_busy_one(filled(Some(10), [4, 1]), 10);
        assert_eq!((relief.grants, relief.enough), (2, true));
    }

    /// Where it is not certain that a group may lose anything, those after it in order do.
    #[test]
    fn who_is_after_a_busy_group_is_asked_in_its_place() {
        let core = filled(Some(5), [1, 1]);
        (0..3).for_each(|_| assert!(core.admit(&ask(4, 5), &Nobody).is_ok()));
        let relief = evict_beside_a_busy_one(core, 5);
        assert_eq!((relief.grants, relief.enough), (1, true));
    }

    /// A request that has evicted has what went, or is told that others are in the way; and it goes
    /// round the tenant that is in the way.
    #[test]
    fn who_has_evicted_is_granted_or_told_to_come_again() {
        for others in [0, 1] {
            let new = || {
                let config = GovernorConfig {
                    tenants_max: 3,
                    quantum_bytes: 0,
                    pool_pressure: false,
                    ..GovernorConfig::new(25 + 5 * others)
                };
                let governor = Governor::new(config).unwrap();
                let gone = Arc::new(Mutex::new(0));
                let seen = gone.clone();
                governor.on_reclaim(move |_| {
                    *seen.lock().unwrap() += 1;
                    ReclaimAnswer::Freed
                });
                let tenants = [Priority::Low, Priority::Normal, Priority::High].map(|priority| {
                    let id = TenantId::from_u128(1 + priority as u128);
                    let config = TenantConfig { priority, ..TenantConfig::new(id, "") };
                    governor.register_tenant(config).unwrap()
                });
                for (tenant, grants) in [(0, 5), (1, others)] {
                    let request = Request::new(tenants[tenant], AllocationType::Cache, 5);
                    (0..grants).for_each(|_| _ = governor.request(&request).unwrap().into_id());
                }
                governor.on_leak(|_| {});
                (governor, tenants, gone)
            };
            at_every_step(
                new,
                |(governor, [low, ..], _)| {
                    let request = Request::new(*low, AllocationType::Cache, 1);
                    governor.try_request(&request).map(|grant| grant.into_id()).is_ok()
                },
                |(governor, [.., high], _)| {
                    let request = Request::new(*high, AllocationType::Inference, 5);
                    governor.request(&request).map(|grant| grant.into_id())
                },
                |(_, _, gone), low, high| {
                    let gone = *gone.lock().unwrap();
                    assert!(gone <= 2, "{gone} went: {low} {high:?}");
                    match high {
                        Ok(_) => {}
                        Err(no) if others == 0 => {
                            let denial = no.denial().expect("a denial");
                            assert_eq!(denial.reason, DenialReason::Contended, "{gone} {low}");
                        }
                        no => panic!("{no:?}, though another could go: {gone} {low}"),
                    }
                },
            );
        }
    }

    /// A tenant holds eight grants when the number it may hold is lowered to four.
    #[test]
    fn two_requests_above_their_number_evict_what_both_need() {
        let new = || {
            let config = GovernorConfig { tenants_max: 1, ..GovernorConfig::new(100) };
            let governor = Governor::new(config).unwrap();
            let gone = Arc::new(Mutex::new(0));
            let seen = gone.clone();
            governor.on_reclaim(move |_| {
                *seen.lock().unwrap() += 1;
                ReclaimAnswer::Freed
            });
            let one = TenantConfig::new(TenantId::from_u128(1), "");
            let one = governor.register_tenant(one).unwrap();
            let request = Request::new(one, AllocationType::Cache, 1);
            (0..8).for_each(|_| _ = governor.request(&request).unwrap().into_id());
            let may_hold = |config: &mut TenantConfig| config.grants_max[2] = Some(4);
            governor.set_tenant(one, may_hold).unwrap();
            governor.on_leak(|_| {});
            (governor, request, gone)
        };
        let request = |(governor, request, _): &(Governor, Request, _)| {
            governor.request(request).map(|grant| grant.into_id())
        };
        at_every_step(new, request, request, |(governor, _, gone), one, two| {
            let gone = *gone.lock().unwrap();
            let undecided = two.as_ref().err().and_then(Refusal::denial).map(|no| no.reason);
            assert!(one.is_ok(), "{one:?} {two:?}, {gone} went");
            // Who is refused while another is counted that is not decided cannot know more.
            assert!(two.is_ok() || undecided == Some(DenialReason::Contended), "{two:?}");
            assert_eq!(gone, 5 + u32::from(two.is_ok()), "{two:?}");
            assert_eq!(governor.snapshot().live_bytes, 4);
        });
    }

    /// Whoever finds the only grant of a queue on its way out is not told that none may go.
    #[test]
    fn a_place_that_another_is_about_to_free_is_waited_for() {
        let new = || {
            let core = core(100, 0, &[(100, 0)]);
            let counted = Settings { counted: 1, ..settings(100, 0) };
            core.accounts.configure(1, &counted).unwrap();
            core.tenant(1).queues[0].set_grants_max(Some(1));
            core.admit(&ask(1, 5), &Nobody).unwrap();
            core
        };
        let relieve = |core: &Core| {
            let requester = Some(Requester { account: 1, kind: 0, bytes: 5, growing: None });
            let (account, goal, types, order) = (1, Goal::Grants(1), 1, Order::TypeFirst);
            let (victims_max, now_ns, keep_until_ns) = (8, 0, 1);
            let shortage = Shortage {
                account,
                goal,
                requester,
                types,
                order,
                victims_max,
                now_ns,
                keep_until_ns,
            };
            core.make_room(&shortage, &Freeing)
        };
        at_every_step(new, relieve, relieve, |core, one, two| {
            assert_eq!(one.grants + two.grants, 1);
            let may_ask_again = [one, two].map(|r| r.grants > 0 || r.enough || r.raced);
            assert_eq!(may_ask_again, [true; 2], "{one:?} {two:?}");
            assert_eq!(core.tenant(1).queues[0].counted(), 0);
        });
    }

    #[test]
    fn who_asks_for_a_victim_is_told_its_bytes_or_that_it_was_evicted() {
        at_every_step(
            || with_grants(1),
            |(core, _)| evict(core),
            |(core, grants)| core.bytes_of(grants[0].0, grants[0].1, ask(1, 5).owner()),
            |(core, grants), relief, bytes| {
                assert_eq!(relief.grants, 1);
                assert!(matches!(bytes, Ok(5) | Err(Refused::Evicted)), "{bytes:?}");
                assert_settled(core, grants, 0);
            },
        );
    }

    #[test]
    fn what_ends_by_force_while_it_is_evicted_ends_once() {
        at_every_step(
            || with_grants(1),
            |(core, _)| evict(core),
            |(core, grants)| core.end_by_force(grants[0].0, ask(1, 5).owner(), &Nobody),
            |(core, grants), relief, ended| {
                assert!(ended || relief.grants == 1, "one of them ends it");
                assert_settled(core, grants, 0);
                assert_eq!(core.grants.word(grants[0].0).state(), State::Free);
            },
        );
    }

    /// A full pool of one tenant whose largest grant goes first: 9 bytes, which are to grow, beside
    /// others of 4.
    fn one_grows() -> (Governor, TenantHandle, GrantId) {
        let config = GovernorConfig {
            tenants_max: 1,
            quantum_bytes: 0,
            pool_pressure: false,
            ..GovernorConfig::new(25)
        };
        let governor = Governor::new(config).unwrap();
        governor.on_reclaim(|_| allotment::ReclaimAnswer::Freed);
        governor.on_leak(|_| {});
        let config = TenantConfig::new(TenantId::from_u128(1), "");
        let config = TenantConfig { policy: allotment::Policy::Size, ..config };
        let tenant = governor.register_tenant(config).unwrap();
        let take = |bytes| {
            let request = Request::new(tenant, AllocationType::Cache, bytes);
            governor.try_request(&request).unwrap().into_id()
        };
        let growing = take(9);
        (0..4).for_each(|_| _ = take(4));
        (governor, tenant, growing)
    }

    /// Two threads let one grant grow: it goes for the growth of neither.
    #[test]
    fn a_grant_that_two_threads_let_grow_does_not_go_for_it() {
        for step in 0..STEPS_MAX {
            let mut whole = false;
            // Not every step of the other: as many as it takes to stop at each of its calls.
            for other in (0..STEPS_MAX).step_by(11) {
                let (governor, tenant, growing) = one_grows();
                let grow = || governor.grow_evicting(tenant, growing, 4);
                let (stopped, answers) = scope(|scope| {
                    let first = Call::begin(scope, other, grow);
                    let second = Call::begin(scope, step, grow);
                    whole = !second.stopped;
                    let stopped = first.stopped;
                    (stopped, [first.end(), second.end()])
                });
                let bytes = governor.bytes_of(tenant, growing);
                let held = 9 + 4 * answers.iter().filter(|answer| answer.is_ok()).count() as u64;
                assert_eq!(bytes, Ok(held), "stopped at {other} and {step}: {answers:?}");
                if !stopped {
                    break;
                }
            }
            if whole {
                return;
            }
        }
    }

    /// It may go again once it has grown, whoever was changing it meanwhile.
    #[test]
    fn a_grant_that_has_grown_may_go_for_others() {
        for step in 0..STEPS_MAX {
            let mut whole = false;
            for other in 0..STEPS_MAX {
                let (governor, tenant, growing) = one_grows();
                let stopped = scope(|scope| {
                    let grow = || governor.grow_evicting(tenant, growing, 4).is_ok();
                    let grow = Call::begin(scope, step, grow);
                    let shrink = || governor.shrink(tenant, growing, 1).is_ok();
                    let shrink = Call::begin(scope, other, shrink);
                    whole = !grow.stopped;
                    let stopped = shrink.stopped;
                    grow.end();
                    shrink.end();
                    stopped
                });
                let all = governor.request(&Request::new(tenant, AllocationType::Cache, 25));
                assert!(all.is_ok(), "stopped at {step} and {other}: {:?}", all.err());
                if !stopped {
                    break;
                }
            }
            if whole {
                return;
            }
        }
    }

    /// Who commits a reservation has nothing left to call again with: it waits for a thread that
    /// holds the grant, here to count it, and stops in the middle.
    #[test]
    fn a_reservation_is_committed_whoever_is_changing_it() {
        /// More than it takes to find that the grant is held.
        const STEPS_OF_COMMIT: u32 = 1_000;
        for step in 0..STEPS_MAX {
            let (governor, _, tenant) = paced(every(MILLISECOND_NS, 1));
            let request = Request::new(tenant, AllocationType::Cache, 5);
            let reserved = governor.reserve(&request, Duration::from_secs(1)).unwrap();
            let (stopped, committed) = scope(|scope| {
                let count = Call::begin(scope, step, || {
                    governor.set_tenant(tenant, |config| config.grants_max = [Some(9); 4])
                });
                let commit = Call::begin(scope, STEPS_OF_COMMIT, || {
                    reserved.commit().map(|grant| grant.into_id())
                });
                let stopped = count.stopped;
                count.end().unwrap();
                (stopped, commit.end())
            });
            let live = committed.and_then(|id| governor.bytes_of(tenant, id));
            assert_eq!(live, Ok(5), "stopped at {step}");
            governor.on_leak(|_| {});
            if !stopped {
                return;
            }
        }
    }

    /// The count is right whoever comes first: it says again later, or has counted it.
    #[test]
    fn what_is_counted_while_it_is_evicted_is_counted_once_or_never() {
        at_every_step(
            || with_grants(1),
            |(core, grants)| core.count_existing(grants[0].0, ask(1, 5).owner()),
            |(core, grants)| {
                let slot = grants[0].0;
                core.grants.claim_victim(slot, core.grants.word(slot), |_| true)
            },
            |(core, grants), settled, victim| {
                let is_counted = core.grants.flags(grants[0].0) & flag::COUNTED != 0;
                assert!(settled || victim.is_some(), "nobody else was at it");
                assert_eq!(is_counted, settled);
                if let Some(victim) = victim {
                    let leaves_the_count = victim.fields.flags & flag::COUNTED != 0;
                    assert_eq!(leaves_the_count, is_counted, "its evictor goes by what it saw");
                }
                assert_eq!(core.tenant(1).queues[0].counted(), u64::from(settled));
            },
        );
    }

    #[test]
    fn two_who_begin_to_wait_both_stand_in_line() {
        let enter = |core: &Core| core.enter_line(&ask(1, 11), u64::MAX).unwrap();
        at_every_step(
            || core(10, 0, &[(10, 0)]),
            enter,
            enter,
            |core, one, two| {
                assert_ne!(one.index, two.index);
                core.hand_over(0, &mut Decided::default());
                assert_eq!(core.waiting.standing().count(), 2);
                assert_eq!(core.waiting.waiters.taken(), 2);
                assert!(core.withdraw(one) && core.withdraw(two));
                core.hand_over(0, &mut Decided::default());
                assert_eq!(core.waiting.waiters.taken(), 0);
                // The next waiters have their cells.
                let _ = [enter(core), enter(core)];
                assert_eq!([one, two].map(|t| core.take_outcome(t)), [Outcome::Stale; 2]);
                assert!(!core.withdraw(one) && !core.withdraw(two));
            },
        );
    }

    /// W5. Who begins to wait first has what is idle collected, and may never go on after it was
    /// counted: who comes next finds it all the same.
    #[test]
    fn who_waits_second_finds_what_the_first_was_about_to_collect() {
        let new = || {
            let core = core(10, 0, &[(10, 0), (10, 0), (10, 0)]);
            let (slot, generation) = core.admit(&ask(3, 10), &Nobody).unwrap();
            core.release(slot, generation, ask(3, 10).owner(), &Nobody).unwrap();
            assert_eq!(core.accounts.claim(3), 10);
            core
        };
        at_every_step(
            new,
            |core| core.enter_line(&ask(1, 11), u64::MAX).is_some(),
            |core| {
                let ticket = core.enter_line(&ask(2, 5), u64::MAX).unwrap();
                core.hand_over(0, &mut Decided::default());
                core.take_outcome(ticket)
            },
            |_, _, second| assert!(matches!(second, Outcome::Granted(..)), "{second:?}"),
        );
    }

    #[test]
    fn of_two_requests_a_bucket_passes_as_many_as_it_holds() {
        for depth in [1, 2] {
            let limit = RateLimit::new(1_000, depth).unwrap();
            let pass = |rate: &Rate| rate.try_pass(limit, 5_000_000);
            at_every_step(Rate::default, pass, pass, |_, one, two| {
                let refused: Vec<_> = [one, two].into_iter().filter_map(Result::err).collect();
                let wait = RateRefused::RetryAfter { wait_ns: 1_000_000 };
                assert_eq!(refused, vec![wait; 2 - depth as usize]);
            });
        }
    }

    #[test]
    fn of_two_grants_that_are_counted_as_many_pass_as_may() {
        for most in [1, 2] {
            let new = || {
                let queue = Queue::empty();
                queue.set_grants_max(Some(most));
                queue
            };
            let count = |queue: &Queue| queue.count_in(1);
            at_every_step(new, count, count, |queue, one, two| {
                assert_eq!(queue.counted(), u64::from(most));
                let passed = [one, two].iter().filter(|answer| answer.is_ok()).count();
                assert_eq!(passed as u32, most);
                assert!([one, two].iter().all(|&answer| answer.is_ok() || answer == Err(None)));
            });
        }
    }

    #[test]
    fn a_backlog_that_is_taken_meanwhile_is_not_anothers() {
        let of = |owner| Source { owner, segments: 8, policy: 0, clock: 0, fades: false };
        at_every_step(
            || Backlogs::new(1),
            |backlogs| backlogs.hold(&of(1), || true).is_some(),
            |backlogs| backlogs.hold(&of(2), || true).is_some(),
            |backlogs, one, two| {
                assert!(one != two, "there is one backlog");
                let holder = if one { 1 } else { 2 };
                assert!(backlogs.hold(&of(holder), || true).is_some(), "and nobody is at it");
                assert!(backlogs.hold(&of(3 - holder), || true).is_none());
            },
        );
    }

    /// Whoever comes meanwhile with the same queue's grants to choose from goes without.
    #[test]
    fn a_queue_has_one_backlog() {
        let of = |owner| Source { owner, segments: 8, policy: 0, clock: 0, fades: false };
        at_every_step(
            || Backlogs::new(8),
            |backlogs| backlogs.hold(&of(1), || true).is_some(),
            |backlogs| backlogs.hold(&of(1), || true).is_some(),
            |backlogs, one, two| {
                assert!(one || two, "there are two that are free");
                assert!(backlogs.hold(&of(2), || true).is_some(), "one is left");
                assert!(backlogs.hold(&of(1), || true).is_some());
            },
        );
    }

    /// A search that began before its queue ended keeps no backlog from others.
    #[test]
    fn no_backlog_is_a_queues_that_has_ended() {
        let new = || {
            let core = core(100, 0, &[(100, 0)]);
            let grants = [(); 4 * SLOTS as usize + 1];
            let grants = grants.map(|()| core.admit(&ask(1, 1), &Nobody).unwrap());
            let owner = ask(1, 1).owner();
            for (slot, generation) in grants {
                core.release(slot, generation, owner, &Nobody).unwrap();
            }
            core.accounts.close(1);
            core
        };
        at_every_step(
            new,
            |core| core.pick(ask(1, 1).owner(), 0).is_some(),
            |core| core.end_queues(1),
            |core, picked, ended| {
                assert!(!picked && ended, "there are no grants");
                let of = |owner| Source { owner, segments: 8, policy: 0, clock: 0, fades: false };
                let held = [1, 2].map(|owner| core.grants.backlogs.hold(&of(owner), || true));
                assert!(held.iter().all(Option::is_some), "all there are can be had");
            },
        );
    }

    /// The segment between two that have grants goes to another tenant.
    #[test]
    fn who_ends_all_grants_misses_none_behind_a_segment_that_changes_hands() {
        let new = || {
            let core = core(100, 0, &[(100, 0), (100, 0)]);
            let grants = [(); 3 * SLOTS as usize];
            let grants = grants.map(|()| core.admit(&ask(1, 1), &Nobody).unwrap());
            let middle = SLOTS..2 * SLOTS;
            for (slot, generation) in grants.into_iter().filter(|(slot, _)| middle.contains(slot)) {
                core.release(slot, generation, ask(1, 1).owner(), &Nobody).unwrap();
            }
            assert_eq!(core.accounts.used(1), 2 * u64::from(SLOTS));
            core
        };
        at_every_step(
            new,
            |core| {
                core.accounts.close(1);
                core.end_all(1, 1, &Nobody, std::thread::yield_now);
            },
            |core| {
                core.queue(ask(1, 1).owner()).shed(&core.grants, true);
                core.admit(&ask(2, 1), &Nobody).map(|_| ())
            },
            |core, (), other| {
                assert_eq!(other, Ok(()));
                assert_eq!((core.accounts.used(1), core.accounts.used(2)), (0, 1));
            },
        );
    }

    #[test]
    fn two_who_take_segments_get_different_ones() {
        let owner = Owner::new(1, 1, 0);
        let returned = || {
            let grants = Grants::new(2);
            let taken = [(); 2].map(|()| grants.take_segment(owner).unwrap());
            taken.into_iter().for_each(|index| grants.return_segment(index));
            grants
        };
        let take = |grants: &Grants| grants.take_segment(owner);
        at_every_step(returned, take, take, |_, one, two| assert_ne!(one.unwrap(), two.unwrap()));
        let new = || Grants::new(1);
        at_every_step(new, take, take, |grants, one, two| {
            assert_ne!(one.is_ok(), two.is_ok());
            let refused = one.and(two).unwrap_err();
            assert_eq!(refused, NoSegment::OnTheWay, "the other has not linked it yet");
            grants.return_segment(one.or(two).unwrap());
            grants.keep_segment(take(grants).unwrap());
            assert_eq!(take(grants), Err(NoSegment::Exhausted), "none is on its way any more");
        });
    }

    /// No slot is lost or given twice when free segments go back while a request looks for one.
    #[test]
    fn a_segment_that_is_given_back_meanwhile_is_not_lost() {
        const SEGMENTS: u32 = 3;
        let owner = Owner::new(1, 1, 0);
        let new = || {
            let (grants, queue) = (Grants::new(SEGMENTS), Queue::empty());
            queue.begin(1);
            grants.unreserve(queue.reserve(&grants, owner).unwrap());
            (grants, queue)
        };
        at_every_step(
            new,
            |(grants, queue)| queue.shed(grants, true),
            |(grants, queue)| queue.reserve(grants, owner),
            |(grants, queue), _, reserved| {
                let mut slots: Vec<u32> = reserved.ok().into_iter().collect();
                let none = loop {
                    match queue.reserve(grants, owner) {
                        Ok(slot) => slots.push(slot),
                        Err(none) => break none,
                    }
                };
                slots.sort_unstable();
                slots.dedup();
                assert_eq!((slots.len() as u32, none), (SEGMENTS * SLOTS, NoSlot::Contended));
                assert_eq!(queue.segments(), SEGMENTS);
            },
        );
    }

    /// A guarantee is promised once it is paid for, and what is paid for is not in use elsewhere.
    #[test]
    fn a_guarantee_and_a_charge_that_do_not_both_fit_exclude_each_other() {
        at_every_step(
            || accounts(10, &[(10, 0), (10, 0)]),
            |accounts| accounts.configure(1, &settings(10, 5)),
            |accounts| accounts.charge(2, 1, 0, 7),
            |accounts, configured, charged| {
                assert_ne!(configured.is_ok(), charged.is_ok(), "{configured:?} {charged:?}");
                accounts.assert_at_rest();
            },
        );
    }

    /// Who finds the claim on its way has to come again.
    #[test]
    fn a_guarantee_is_not_trimmed_away_while_it_is_promised() {
        let trim = |accounts: &Accounts| accounts.trim(1);
        let promise = |accounts: &Accounts| accounts.configure(1, &settings(10, 5));
        let check = |accounts: &Accounts, promised: Result<(), Obstacle>| {
            if promised.is_err() {
                assert_eq!(promised, Err(Obstacle::Contended));
                promise(accounts).unwrap();
            }
            assert!(accounts.claim(1) >= 5);
            accounts.assert_at_rest();
        };
        at_every_step(all_idle, promise, trim, |accounts, promised, _| check(accounts, promised));
        at_every_step(all_idle, trim, promise, |accounts, _, promised| check(accounts, promised));
    }

    /// All slots of a queue of one segment, reserved: no grant is published yet.
    fn full_queue(grants: Grants) -> (Grants, Queue) {
        let queue = Queue::empty();
        queue.begin(1);
        for _ in 0..SLOTS {
            queue.reserve(&grants, Owner::new(1, 1, 0)).unwrap();
        }
        (grants, queue)
    }

    #[test]
    fn a_slot_that_comes_free_meanwhile_is_found_or_still_there() {
        let reserve =
            |(grants, queue): &(Grants, Queue)| queue.reserve(grants, Owner::new(1, 1, 0));
        at_every_step(
            || full_queue(Grants::new(1)),
            reserve,
            |(grants, _)| grants.unreserve(SLOTS / 2),
            |full, reserved, ()| match reserved {
                Ok(slot) => assert_eq!((slot, reserve(full)), (SLOTS / 2, Err(NoSlot::Contended))),
                Err(_) => assert_eq!(reserve(full), Ok(SLOTS / 2)),
            },
        );
    }

    /// Of a segment that is on its way nobody says that there is none.
    #[test]
    fn a_segment_that_comes_back_meanwhile_is_found_or_still_there() {
        let new = || {
            let (grants, queue) = full_queue(Grants::new(2));
            let taken = grants.take_segment(Owner::new(2, 1, 0)).unwrap();
            (grants, queue, taken)
        };
        let reserve =
            |(grants, queue, _): &(Grants, Queue, u32)| queue.reserve(grants, Owner::new(1, 1, 0));
        at_every_step(
            new,
            reserve,
            |(grants, _, taken)| grants.return_segment(*taken),
            |state, reserved, ()| {
                let slot = match reserved {
                    Err(none) => {
                        assert_eq!(none, NoSlot::Contended);
                        reserve(state)
                    }
                    found => found,
                };
                assert_eq!(slot.unwrap() / SLOTS, state.2);
            },
        );
    }

    /// Looks along the line until all is clear.
    fn hand_over(core: &Core, now_ns: u64) {
        while core.hand_over(now_ns, &mut Decided::default()) != Left::Clear {}
    }

    /// The first tenant waits for 5 bytes, which the second had and has just released. Nobody has
    /// looked at the line since: that is the call.
    fn one_waits(now_ns: u64) -> (Core, Ticket) {
        let core = core(10, 0, &[(10, 0), (10, 0)]);
        let (slot, generation) = core.admit(&ask(2, 10), &Nobody).unwrap();
        let ticket = core.enter_line(&ask(1, 5), u64::MAX).unwrap();
        hand_over(&core, now_ns);
        core.release(slot, generation, ask(2, 10).owner(), &Nobody).unwrap();
        (core, ticket)
    }

    /// A time at which it has just begun to wait, and one at which bytes are set aside for it.
    const SOON_AND_LATE: [u64; 2] = [0, 1 << 41];

    /// What came between has no effect on the waiter, once the line was looked at again: it has
    /// its bytes, which nobody else had at the same time.
    fn assert_served(core: &Core, ticket: Ticket, now_ns: u64) -> Granted {
        hand_over(core, now_ns);
        let Outcome::Granted(slot, generation) = core.take_outcome(ticket) else {
            panic!("it is not served")
        };
        assert_eq!((core.accounts.used(1), core.waiting.aside_bytes()), (5, 0));
        assert_eq!(core.waiting.waiters.taken(), 0);
        (slot, generation)
    }

    #[test]
    fn a_waiter_is_counted_if_its_type_was_when_it_was_served() {
        let counted = Settings { counted: 1, ..settings(10, 0) };
        for now_ns in SOON_AND_LATE {
            at_every_step(
                || one_waits(now_ns),
                |(core, _)| hand_over(core, now_ns),
                |(core, _)| core.accounts.configure(1, &counted).unwrap(),
                |(core, ticket), (), ()| {
                    let (slot, _) = assert_served(core, *ticket, now_ns);
                    let is_counted = core.grants.flags(slot) & flag::COUNTED != 0;
                    assert_eq!(core.tenant(1).queues[0].counted(), u64::from(is_counted));
                },
            );
        }
    }

    #[test]
    fn a_waiter_whose_bytes_another_takes_meanwhile_gets_the_next() {
        for now_ns in SOON_AND_LATE {
            at_every_step(
                || one_waits(now_ns),
                |(core, _)| hand_over(core, now_ns),
                |(core, _)| core.admit(&ask(2, 8), &Nobody),
                |(core, ticket), (), other| {
                    assert!(core.accounts.used(1) + core.accounts.used(2) <= 10);
                    if let Ok((slot, generation)) = other {
                        core.release(slot, generation, ask(2, 8).owner(), &Nobody).unwrap();
                    }
                    assert_served(core, *ticket, now_ns);
                },
            );
        }
    }

    #[test]
    fn a_waiter_that_gives_up_meanwhile_has_nothing_or_its_grant() {
        for now_ns in SOON_AND_LATE {
            at_every_step(
                || one_waits(now_ns),
                |(core, _)| hand_over(core, now_ns),
                |(core, ticket)| core.withdraw(*ticket),
                |(core, ticket), (), withdrawn| {
                    if !withdrawn {
                        assert_served(core, *ticket, now_ns);
                        return;
                    }
                    hand_over(core, now_ns);
                    assert_eq!(core.take_outcome(*ticket), Outcome::Stale);
                    assert_eq!((core.accounts.used(1), core.waiting.waiters.taken()), (0, 0));
                },
            );
        }
    }

    #[test]
    fn a_waiter_whose_tenant_closes_meanwhile_has_nothing_or_its_grant() {
        for now_ns in SOON_AND_LATE {
            at_every_step(
                || one_waits(now_ns),
                |(core, _)| hand_over(core, now_ns),
                |(core, _)| core.accounts.close(1),
                |(core, ticket), (), ()| {
                    hand_over(core, now_ns);
                    match core.take_outcome(*ticket) {
                        Outcome::Closed => assert_eq!(core.accounts.used(1), 0),
                        Outcome::Granted(slot, _) => {
                            assert_eq!(
                                (core.accounts.used(1), core.grants.word(slot).bytes()),
                                (5, 5)
                            );
                        }
                        other => panic!("{other:?}"),
                    }
                    assert_eq!((core.waiting.aside_bytes(), core.waiting.waiters.taken()), (0, 0));
                },
            );
        }
    }

    /// The slots of the first tenant that another thread is just at: they have to be tried again.
    fn held_up(core: &Core, try_at: impl Fn(u32, Owner) -> bool) -> Vec<u32> {
        let owner = ask(1, 5).owner();
        let segments = core.tenant(1).queues[0].chain(&core.grants, owner);
        let slots = segments.flat_map(|segment| segment * SLOTS..(segment + 1) * SLOTS);
        slots.filter(|&slot| !try_at(slot, owner)).collect()
    }

    /// What an administrator counts, and whoever is served meanwhile.
    #[test]
    fn a_waiter_that_is_served_while_its_type_comes_to_be_counted_is_counted() {
        let counted = Settings { counted: 1, ..settings(10, 0) };
        for now_ns in SOON_AND_LATE {
            at_every_step(
                || one_waits(now_ns),
                |(core, _)| hand_over(core, now_ns),
                |(core, _)| {
                    core.accounts.configure(1, &counted).unwrap();
                    core.tenant(1).queues[0].set_grants_max(Some(1));
                    held_up(core, |slot, owner| core.count_existing(slot, owner))
                },
                |(core, ticket), (), again| {
                    let owner = ask(1, 5).owner();
                    assert!(again.into_iter().all(|slot| core.count_existing(slot, owner)));
                    assert_served(core, *ticket, now_ns);
                    assert_eq!(core.tenant(1).queues[0].counted(), 1);
                },
            );
        }
    }

    #[test]
    fn a_waiter_whose_tenant_goes_by_force_holds_nothing_afterwards() {
        let end = |core: &Core, slot, owner| core.end_by_force(slot, owner, &Nobody);
        for now_ns in SOON_AND_LATE {
            at_every_step(
                || one_waits(now_ns),
                |(core, _)| hand_over(core, now_ns),
                |(core, _)| {
                    core.accounts.close(1);
                    held_up(core, |slot, owner| end(core, slot, owner))
                },
                |(core, ticket), (), again| {
                    let owner = ask(1, 5).owner();
                    assert!(again.into_iter().all(|slot| end(core, slot, owner)));
                    hand_over(core, now_ns);
                    core.take_outcome(*ticket);
                    assert_eq!((core.accounts.used(1), core.waiting.aside_bytes()), (0, 0));
                },
            );
        }
    }

    /// Somebody looks along the line while a tenant goes, which waits for that; and the other way
    /// round.
    #[test]
    fn a_waiter_is_not_served_once_its_tenant_has_gone_while_idle() {
        let close = |core: &Core| core.close_while_idle(1, std::thread::yield_now).is_ok();
        for now_ns in SOON_AND_LATE {
            for (step, goes_first) in (0..STEPS_MAX).flat_map(|s| [(s, false), (s, true)]) {
                let (core, ticket) = one_waits(now_ns);
                let (closed, stopped) = scope(|scope| match goes_first {
                    true => {
                        let leaves = Call::begin(scope, step, || close(&core));
                        let stopped = leaves.stopped;
                        core.hand_over(now_ns, &mut Decided::default());
                        (leaves.end(), stopped)
                    }
                    false => {
                        let walk = || _ = core.hand_over(now_ns, &mut Decided::default());
                        let walks = Call::begin(scope, step, walk);
                        let stopped = walks.stopped;
                        let leaves = scope.spawn(|| close(&core));
                        walks.end();
                        (leaves.join().unwrap(), stopped)
                    }
                });
                hand_over(&core, now_ns);
                let granted = matches!(core.take_outcome(ticket), Outcome::Granted(..));
                assert_eq!(closed, !granted, "after {step} steps");
                let used = if granted { 5 } else { 0 };
                assert_eq!((core.accounts.used(1), core.waiting.aside_bytes()), (used, 0));
                if !stopped && goes_first {
                    break;
                }
            }
        }
    }

    /// The first tenant waits for 8 of 10 bytes, has 4 of them set aside, and holds none.
    fn one_has_bytes_aside() -> (Core, Ticket) {
        let core = core(10, 0, &[(10, 0), (10, 0)]);
        core.admit(&ask(2, 6), &Nobody).unwrap();
        let ticket = core.enter_line(&ask(1, 8), u64::MAX).unwrap();
        hand_over(&core, SOON_AND_LATE[1]);
        assert_eq!((core.aside_of(1), core.accounts.used(1)), (4, 4));
        (core, ticket)
    }

    /// The bytes that were set aside for a waiter become a grant's while its tenant goes.
    #[test]
    fn a_tenant_that_goes_while_idle_is_granted_nothing_of_what_was_aside() {
        at_every_step(
            one_has_bytes_aside,
            |(core, _)| core.close_while_idle(1, std::thread::yield_now),
            |(core, ticket)| {
                assert!(core.withdraw(*ticket));
                hand_over(core, SOON_AND_LATE[1]);
                core.admit(&ask(1, 4), &Nobody)
            },
            |(core, _), closed, granted| {
                hand_over(core, SOON_AND_LATE[1]);
                assert_eq!(closed.is_ok(), granted.is_err(), "{closed:?} {granted:?}");
                assert_eq!(core.accounts.used(1), if granted.is_ok() { 4 } else { 0 });
            },
        );
    }

    /// A governor of 10 bytes, of whose tenants the second has 6; the first waits for 8, has 4 of
    /// them set aside, and is the only one that waits. The third has nothing.
    struct OneWaits {
        governor: Arc<Governor>,
        tenants: [TenantHandle; 3],
        ticket: Mutex<Option<OwnedTicket>>,
    }

    impl OneWaits {
        fn new() -> Self {
            let clock = ManualClock::new();
            let config = GovernorConfig {
                tenants_max: 3,
                pool_pressure: false,
                clock: clock.clone().into(),
                ..GovernorConfig::new(10)
            };
            let governor = Arc::new(Governor::new(config).unwrap());
            let tenants = [1, 2, 3].map(|number| {
                let config = TenantConfig::new(TenantId::from_u128(number), number.to_string());
                governor.register_tenant(config).unwrap()
            });
            let request = |tenant, bytes| Request::new(tenant, AllocationType::ModelLoad, bytes);
            _ = governor.request(&request(tenants[1], 6)).unwrap().into_id();
            let wait_max = Duration::from_secs(3_600);
            let ticket = governor.enqueue_owned(&request(tenants[0], 8), wait_max).unwrap();
            clock.advance_ns(SECOND_NS + governor.config().patience_ns);
            governor.report_pressure(Pressure::Normal);
            let waits = Self { governor, tenants, ticket: Mutex::new(Some(ticket)) };
            assert_eq!(waits.set_aside_bytes(), 4);
            waits
        }

        fn set_aside_bytes(&self) -> u64 {
            self.governor.usage(self.tenants[0]).unwrap().set_aside_bytes
        }

        fn give_up(&self) {
            drop(self.ticket.lock().unwrap().take());
        }
    }

    /// The pool by its own fill, of which so much is in grants. What is set aside for one who waits
    /// is in none: whoever looks at the fill while it is tried what there is for that one, or while
    /// it is given up, is told of no other pressure.
    #[test]
    fn what_is_being_set_aside_changes_no_pressure() {
        for (granted, level) in [(70, Pressure::Normal), (96, Pressure::Critical)] {
            let new = || {
                let clock = ManualClock::new();
                let config = GovernorConfig {
                    tenants_max: 2,
                    clock: clock.clone().into(),
                    ..GovernorConfig::new(100)
                };
                let governor = Arc::new(Governor::new(config).unwrap());
                let tenants = [1, 2].map(|number| {
                    let config = TenantConfig::new(TenantId::from_u128(number), number.to_string());
                    governor.register_tenant(config).unwrap()
                });
                let of = |tenant, bytes| Request::new(tenant, AllocationType::ModelLoad, bytes);
                _ = governor.request(&of(tenants[0], granted)).unwrap().into_id();
                let wait_max = Duration::from_secs(3_600);
                let ticket = governor.enqueue_owned(&of(tenants[1], 50), wait_max).unwrap();
                clock.advance_ns(SECOND_NS + governor.config().patience_ns);
                (governor, tenants, Mutex::new(Some(ticket)))
            };
            let look = |governor: &Governor| {
                governor.report_pressure(Pressure::Normal);
                governor.pressure()
            };
            let set_aside =
                |governor: &Governor, tenant| governor.usage(tenant).unwrap().set_aside_bytes;
            at_every_step(
                new,
                |(governor, ..)| look(governor),
                |(governor, ..)| look(governor),
                |(governor, tenants, _), one, two| {
                    assert_eq!([one, two], [level; 2]);
                    assert_eq!(set_aside(governor, tenants[1]), 100 - granted);
                },
            );
            at_every_step(
                || {
                    let state = new();
                    assert_eq!(look(&state.0), level);
                    state
                },
                |(.., ticket)| drop(ticket.lock().unwrap().take()),
                |(governor, ..)| look(governor),
                |(governor, tenants, _), (), seen| {
                    assert_eq!(seen, level);
                    assert_eq!(set_aside(governor, tenants[1]), 0);
                },
            );
        }
    }

    /// W4. The last of those who wait gives up while a tenant goes, for which the line is held:
    /// what it had is nobody's afterwards.
    #[test]
    fn who_gives_up_while_a_tenant_goes_leaves_nothing_behind() {
        at_every_step(
            OneWaits::new,
            |waits| waits.governor.unregister_tenant(waits.tenants[2], Unregister::IfIdle),
            OneWaits::give_up,
            |waits, gone, ()| {
                assert_eq!((gone, waits.set_aside_bytes()), (Ok(()), 0));
            },
        );
    }

    /// The same while somebody looks along the line for as long as notes keep coming: that one
    /// leaves it to who waits, and nobody does.
    #[test]
    fn who_gives_up_while_others_look_for_long_leaves_nothing_behind() {
        before_access(before_each);
        for last in 1..STEPS_MAX {
            let waits = Arc::new(OneWaits::new());
            let accesses = Rc::new(Cell::new(0));
            let (others, counted) = (waits.clone(), accesses.clone());
            BETWEEN.set(Some(Box::new(move || {
                counted.set(counted.get() + 1);
                match counted.get().cmp(&last) {
                    Less => others.governor.report_pressure(Pressure::Normal),
                    Equal => others.give_up(),
                    Greater => {}
                }
            })));
            waits.governor.report_pressure(Pressure::Normal);
            BETWEEN.take();
            if accesses.get() < last {
                assert!(last > 1, "nobody has looked at the line");
                return;
            }
            assert_eq!(waits.set_aside_bytes(), 0, "it has given up at step {last}");
        }
        panic!("somebody looks at the line for ever");
    }

    /// Whoever comes to stand in line late, when its tenant is gone, costs the next one in that
    /// tenant's slot nothing.
    #[test]
    fn nobody_stands_behind_what_the_last_tenant_of_its_slot_waited_for() {
        let new = || {
            let config = GovernorConfig { tenants_max: 2, ..GovernorConfig::new(100) };
            let governor = Arc::new(Governor::new(config).unwrap());
            let tenants = [1, 2].map(|number| {
                let config = TenantConfig::new(TenantId::from_u128(number), number.to_string());
                governor.register_tenant(config).unwrap()
            });
            let all = Request::new(tenants[1], AllocationType::ModelLoad, 100);
            _ = governor.request(&all).unwrap().into_id();
            (governor, tenants)
        };
        let enqueue = |governor: &Arc<Governor>, tenant, bytes| {
            let request = Request::new(tenant, AllocationType::ModelLoad, bytes);
            governor.enqueue_owned(&request, Duration::from_secs(9))
        };
        at_every_step(
            new,
            |(governor, [one, _])| enqueue(governor, *one, 50).map(drop),
            |(governor, [one, _])| {
                governor.unregister_tenant(*one, Unregister::Drain).unwrap();
                // Not while its request has a slot.
                governor.register_tenant(TenantConfig::new(TenantId::from_u128(3), "")).ok()
            },
            |(governor, [_, two]), _, next| {
                let Some(next) = next else { return };
                let larger = enqueue(governor, *two, 30).unwrap();
                let smaller = enqueue(governor, next, 10).unwrap();
                let before = [&smaller, &larger].map(|ticket| ticket.bytes_before());
                assert_eq!(before, [Some(10), Some(40)]);
            },
        );
    }

    /// W6. Of two of a tenant, of which the first fits all the time, the second does not pass it:
    /// not for a count that is on its way, nor for bytes.
    #[test]
    fn nobody_overtakes_another_of_its_tenant_while_a_request_is_on_its_way() {
        let counted = |core: Core| {
            let counted = Settings { counted: 1, ..settings(BYTES_MAX, 0) };
            core.accounts.configure(1, &counted).unwrap();
            core.tenant(1).queues[0].set_grants_max(Some(1));
            core
        };
        let new = || {
            let core = counted(core(10, 0, &[(10, 0), (10, 0)]));
            let (slot, generation) = core.admit(&ask(2, 10), &Nobody).unwrap();
            let line = [(0, 5), (1, 8)].map(|(kind, bytes)| {
                core.enter_line(&Ask { kind, ..ask(1, bytes) }, u64::MAX).unwrap()
            });
            hand_over(&core, 0);
            core.release(slot, generation, ask(2, 10).owner(), &Nobody).unwrap();
            (core, line)
        };
        at_every_step(
            new,
            |(core, _)| core.admit(&ask(1, 11), &Nobody).is_err(),
            |(core, _)| core.hand_over(0, &mut Decided::default()),
            |(core, [first, second]), refused, _| {
                assert!(refused);
                hand_over(core, 0);
                assert!(matches!(core.take_outcome(*first), Outcome::Granted(..)));
                assert_eq!(core.take_outcome(*second), Outcome::Waiting);
            },
        );
    }

    /// W4. A request has the last slot for a moment, and is refused by its limit: then it looks
    /// along the line, where nobody could be served for want of that slot.
    #[test]
    fn who_is_denied_offers_the_slot_it_had_to_those_who_wait() {
        const LIMIT: u64 = 1_000;
        let new = || {
            let config = GovernorConfig {
                tenants_max: 1,
                grants_max: SLOTS,
                pool_pressure: false,
                ..GovernorConfig::new(2 * LIMIT)
            };
            let governor = Governor::new(config).unwrap();
            let limited = TenantConfig::new(TenantId::from_u128(1), "");
            let limited = TenantConfig { limit_bytes: Some(LIMIT), ..limited };
            let tenant = governor.register_tenant(limited).unwrap();
            let one = Request::new(tenant, AllocationType::Inference, 1);
            let take = || governor.try_request(&one).map(|grant| grant.into_id());
            let held: Vec<_> = std::iter::from_fn(|| take().ok()).collect();
            governor.release(tenant, *held.last().unwrap()).unwrap();
            (governor, tenant, held)
        };
        let request = |tenant, bytes| Request::new(tenant, AllocationType::Inference, bytes);
        at_every_step(
            new,
            |&(ref governor, tenant, ref held)| {
                let rest = LIMIT + 1 - held.len() as u64;
                governor.try_request(&request(tenant, rest)).map(|grant| grant.into_id()).is_ok()
            },
            |&(ref governor, tenant, ref held)| {
                governor.grow(tenant, held[0], 1).ok();
                let wait_max = std::time::Duration::from_secs(9);
                // It waits on: nobody else looks at the line from here on.
                governor.enqueue(&request(tenant, 1), wait_max).map(std::mem::forget).is_ok()
            },
            |(governor, _, held), granted, enqueued| {
                assert!((granted, enqueued) != (false, false) && held.len() > 1);
                assert!(granted || governor.waiters() == 0, "it waits for nobody");
            },
        );
    }

    /// W4. A request buys more than it needs, and before it can give that up a walk along the line
    /// collects it, to be sure that a waiter is short: one that was looked at before may fit now.
    #[test]
    fn what_a_walk_collects_is_offered_to_those_it_has_passed() {
        let new = || {
            let core = core(100, 64, &[(100, 0), (100, 0), (100, 0), (100, 0)]);
            let holds = [83, 17].map(|bytes| core.admit(&ask(4, bytes), &Nobody).unwrap());
            let first = core.enter_line(&ask(2, 15), u64::MAX).unwrap();
            for bytes in [50, 1] {
                core.enter_line(&ask(3, bytes), u64::MAX).unwrap();
            }
            hand_over(&core, 0);
            let (slot, generation) = holds[1];
            core.release(slot, generation, ask(4, 17).owner(), &Nobody).unwrap();
            (core, first)
        };
        at_every_step(
            new,
            |(core, _)| core.admit(&ask(1, 1), &Nobody).is_ok(),
            |(core, _)| core.hand_over(0, &mut Decided::default()),
            |(core, first), _, left| {
                let free = 100 - core.accounts.used(ROOT);
                let served = matches!(core.take_outcome(*first), Outcome::Granted(..));
                let looks_again = core.is_unsettled() || core.waiting.is_noted();
                assert!(served || looks_again || free < 15, "{free} are free, 15 wanted: {left:?}");
            },
        );
    }

    /// Without a place among the tenant's grants no bytes are set aside for it.
    #[test]
    fn a_waiter_that_may_hold_no_more_grants_meanwhile_withholds_nothing() {
        let counted = Settings { counted: 1, ..settings(10, 0) };
        for now_ns in SOON_AND_LATE {
            at_every_step(
                || one_waits(now_ns),
                |(core, _)| hand_over(core, now_ns),
                |(core, _)| {
                    core.tenant(1).queues[0].set_grants_max(Some(0));
                    core.accounts.configure(1, &counted).unwrap();
                },
                |(core, ticket), (), ()| {
                    hand_over(core, now_ns);
                    let used = match core.take_outcome(*ticket) {
                        Outcome::Waiting => 0,
                        Outcome::Granted(..) => 5,
                        other => panic!("{other:?}"),
                    };
                    assert_eq!((core.accounts.used(1), core.waiting.aside_bytes()), (used, 0));
                },
            );
        }
    }

    #[test]
    fn nobody_is_admitted_by_a_tenant_that_has_closed_whatever_its_rate() {
        let new = || {
            let core = core(10, 0, &[(10, 0)]);
            core.tenant(1).rate.set(Some(RateLimit::new(1, 1).unwrap()), 0);
            core
        };
        at_every_step(
            new,
            |core| core.admit(&ask(1, 5), &Nobody),
            |core| core.accounts.close_within(1, 0),
            |core, granted, closed| {
                assert!(closed == (granted == Err(No::Closed)), "{granted:?}");
                assert_eq!(core.accounts.used(1), if closed { 0 } else { 5 });
            },
        );
    }

    /// Whoever has a rate is refused by it first.
    #[test]
    fn nothing_is_refused_at_once_where_the_rate_is_asked_before() {
        let core = core(10, 0, &[(10, 0)]);
        let too_much = Plain(ask(1, 11));
        assert_eq!(core.refuse_at_once(&too_much), Some((0, 10)));
        let paced = Settings { paced: true, ..settings(10, 0) };
        core.accounts.configure(1, &paced).unwrap();
        assert_eq!(core.refuse_at_once(&too_much), None);
    }
    /// A governor of 10 bytes that one tenant has in its cache, with cookie 1, and another wants.
    fn one_has_all() -> (Governor, ManualClock, [TenantHandle; 2], GrantId) {
        let clock = ManualClock::new();
        let governor = Governor::new(GovernorConfig {
            tenants_max: 2,
            grants_max: 64,
            pool_pressure: false,
            clock: clock.clone().into(),
            ..GovernorConfig::new(10)
        });
        let governor = governor.unwrap();
        let tenants = [(1, Priority::Low), (2, Priority::High)].map(|(number, priority)| {
            let config = TenantConfig::new(TenantId::from_u128(number), number.to_string());
            governor.register_tenant(TenantConfig { priority, ..config }).unwrap()
        });
        let all = Request::new(tenants[0], AllocationType::Cache, 10).cookie(1);
        let grant = governor.request(&all).unwrap().into_id();
        (governor, clock, tenants, grant)
    }

    /// Nobody is to be asked: the cache is to be polled.
    fn want_all(governor: &Governor, tenant: TenantHandle) {
        let request = Request::new(tenant, AllocationType::Inference, 10);
        governor.request(&request).map(Grant::into_id).unwrap_err();
    }

    /// Its slot may have a grant of another by the time that it is handed out.
    #[test]
    fn who_polls_is_never_given_a_grant_as_that_of_another() {
        let new = || {
            let state = one_has_all();
            want_all(&state.0, state.2[1]);
            state
        };
        at_every_step(
            new,
            |(governor, ..)| governor.next_victim(),
            |(governor, _, [one, _], grant)| {
                governor.release(*one, *grant).unwrap();
                let next = Request::new(*one, AllocationType::Cache, 10).cookie(2);
                let next = governor.request(&next).unwrap().into_id();
                assert_eq!(next.index(), grant.index());
            },
            |(.., grant), victim, ()| {
                let found = victim.map(|victim| (victim.grant, victim.cookie));
                assert!(found.is_none_or(|found| found == (*grant, 1)), "{victim:?}");
            },
        );
    }

    /// Whoever declines comes before the victim was put among those to be polled, or after.
    #[test]
    fn who_is_declined_and_chosen_again_is_handed_out_once() {
        let declined = Cell::new(0);
        at_every_step(
            one_has_all,
            |(governor, _, [_, two], _)| want_all(governor, *two),
            |(governor, _, [one, _], grant)| governor.decline(*one, *grant).is_ok(),
            |(governor, clock, [one, two], grant), (), is_declined| {
                if !is_declined {
                    governor.decline(*one, *grant).unwrap();
                }
                declined.set(declined.get() + u32::from(is_declined));
                clock.advance_ns(governor.config().busy_cooldown_ns);
                want_all(governor, *two);
                assert_eq!(governor.next_victim().map(|victim| victim.grant), Some(*grant));
                assert_eq!(governor.next_victim(), None);
            },
        );
        assert!(declined.get() > 1, "before it was put there, and after");
    }

    /// What is left of the first time is no victim before it was put there again.
    #[test]
    fn who_is_polled_for_while_it_is_chosen_again_is_handed_out_once() {
        let new = || {
            let state = one_has_all();
            let (governor, clock, [one, two], grant) = &state;
            want_all(governor, *two);
            governor.decline(*one, *grant).unwrap();
            clock.advance_ns(governor.config().busy_cooldown_ns);
            state
        };
        at_every_step(
            new,
            |(governor, _, [_, two], _)| want_all(governor, *two),
            |(governor, ..)| governor.next_victim(),
            |(governor, .., grant), (), first| {
                let rest = std::iter::from_fn(|| governor.next_victim());
                let all: Vec<_> = first.into_iter().chain(rest).map(|v| v.grant).collect();
                assert_eq!(all, [*grant]);
            },
        );
    }

    thread_local! {
        /// What cloning a waker of `Cloned` does, once.
        static WHEN_CLONED: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) };
        static WOKEN: Cell<u32> = const { Cell::new(0) };
    }

    /// A waker of this thread's that does something when it is cloned.
    fn busy_waker() -> Waker {
        fn clone(_: *const ()) -> RawWaker {
            if let Some(act) = WHEN_CLONED.take() {
                act();
            }
            RawWaker::new(std::ptr::null(), &TABLE)
        }
        fn wake(_: *const ()) {
            WOKEN.set(WOKEN.get() + 1);
        }
        fn drop(_: *const ()) {}
        static TABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake, drop);
        // SAFETY: nothing is behind it.
        unsafe { Waker::new(std::ptr::null(), &TABLE) }
    }

    /// A manager of 100 MiB, all of which one tenant has.
    fn full_manager() -> (Arc<Manager>, TenantHandle, GrantId) {
        let memory = MemoryConfig {
            max_memory_mb: 100,
            enable_monitoring: false,
            monitoring_interval_secs: 10,
            enable_memory_balancing: false,
            balancing_interval_secs: 30,
            enable_compression: false,
            compression_threshold_mb: 64,
        };
        let options = ManagerOptions::default().governor(|governor| {
            governor.tenants_max = 4;
            governor.grants_max = 64;
            governor.pool_pressure = false;
            governor.clock = ManualClock::new().into();
        });
        let manager = Manager::try_new_with(memory, options).unwrap();
        for number in [1, 2] {
            let config = TenantMemoryConfig {
                tenant_id: TenantId::from_u128(number),
                max_memory_mb: 100,
                priority: TenantPriority::Normal,
                guaranteed_memory_mb: 0,
                burst_limit_mb: None,
                isolation_level: IsolationLevel::Hard,
            };
            answer_of(&mut pin!(manager.register_tenant(config))).unwrap().unwrap();
        }
        let one = manager.governor().find(TenantId::from_u128(1)).unwrap();
        let all = Request::new(one, AllocationType::ModelLoad, 100 << 20);
        let all = manager.governor().request(&all).unwrap().into_id();
        (Arc::new(manager), one, all)
    }

    fn answer_of<F: Future>(future: &mut Pin<&mut F>) -> Option<F::Output> {
        match future.as_mut().poll(&mut Context::from_waker(&busy_waker())) {
            Poll::Ready(answer) => Some(answer),
            Poll::Pending => None,
        }
    }

    /// Two name a tenant at once: one of the names is in force, in all that is said of it.
    #[test]
    fn two_who_name_a_tenant_leave_it_one_name() {
        let id = TenantId::from_u128(1);
        let set = |manager: &Manager, how: usize, name: &str| {
            let answer = match how {
                0 => answer_of(&mut pin!(manager.set_tenant_name(id, name))),
                _ => {
                    let change = |config: &mut TenantConfig| config.name = name.to_string();
                    answer_of(&mut pin!(manager.update_tenant_bytes(id, change)))
                }
            };
            answer.unwrap().unwrap();
        };
        for how in [0, 1] {
            let mut named = false;
            for step in 0..STEPS_MAX {
                let (manager, tenant, _) = full_manager();
                manager.governor().on_leak(|_| {});
                scope(|scope| {
                    let first = Call::begin(scope, step, || set(&manager, how, "first"));
                    named = !first.stopped;
                    let second = scope.spawn(|| set(&manager, how, "second"));
                    // It ends, or the first one has what it needs.
                    let mut looks = 0..20;
                    while !second.is_finished() && looks.next().is_some() {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    first.end();
                });
                let wanted = MemoryAllocationRequest {
                    tenant_id: id,
                    requested_memory_mb: 50,
                    model_name: String::new(),
                    allocation_type: AllocationType::ModelLoad,
                };
                let answer = answer_of(&mut pin!(manager.request_allocation(wanted)));
                let Some(Ok(MemoryAllocationResponse::Denied { reason, .. })) = answer else {
                    panic!("{answer:?}");
                };
                let name = manager.governor().tenant_config(tenant).unwrap().name;
                assert!(reason.contains(&name), "{how}, {step}: {name} in: {reason}");
                if named {
                    break;
                }
            }
            assert!(named);
        }
    }

    /// While a future is about to say who is to be woken, somebody looks at the line for as long as
    /// notes keep coming. With the last of these the bytes come free that the future waits for. If
    /// nobody looks after that, the line is left to whoever can be woken.
    #[test]
    fn a_line_that_is_left_to_a_future_before_it_can_be_woken_is_looked_at() {
        for last in 1..STEPS_MAX {
            let (manager, one, all) = full_manager();
            let accesses = Rc::new(Cell::new(0));
            let (walker, counted) = (manager.clone(), accesses.clone());
            let walk = move || {
                let others = walker.clone();
                BETWEEN.set(Some(Box::new(move || {
                    counted.set(counted.get() + 1);
                    match counted.get().cmp(&last) {
                        Less => others.governor().report_pressure(Pressure::Normal),
                        Equal => _ = others.governor().release(one, all).unwrap(),
                        Greater => {}
                    }
                })));
                walker.governor().report_pressure(Pressure::Normal);
                BETWEEN.take();
            };
            before_access(before_each);
            WHEN_CLONED.set(Some(Box::new(walk)));
            WOKEN.set(0);
            let wanted = MemoryAllocationRequest {
                tenant_id: TenantId::from_u128(2),
                requested_memory_mb: 50,
                model_name: String::new(),
                allocation_type: AllocationType::ModelLoad,
            };
            let mut future = pin!(manager.acquire_allocation(wanted, Duration::from_secs(60)));
            let answer = answer_of(&mut future);
            assert!(WHEN_CLONED.take().is_none(), "it was about to wait");
            if accesses.get() < last {
                assert!(last > 1, "nobody has looked at the line");
                return;
            }
            let is_told = answer.is_some() || WOKEN.get() > 0;
            assert!(is_told, "its bytes came free at step {last}");
        }
        panic!("somebody looks at the line for ever");
    }
}
