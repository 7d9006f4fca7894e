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
    use allotment::internals::order::{Goal, Order, Shortage};
    use allotment::internals::policy::Cost;
    use allotment::internals::queue::{NoSlot, Queue};
    use allotment::internals::rate::{Rate, RateLimit, RateRefused};
    use allotment::internals::sync::before_access;
    use allotment::internals::wait::{Decided, Left};
    use allotment::internals::waiters::{Outcome, Ticket};
    use allotment::internals::word::{BYTES_MAX, CONFIG_VERSIONS, Owner, Purpose, State};
    use allotment::internals::{Core, Sizes};
    use allotment::os::ManualClock;
    use allotment::{AllocationType, Governor, GovernorConfig, Refusal};
    use allotment::{Request, TenantConfig, TenantHandle, TenantId, Unregister};
    use std::cell::RefCell;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::thread::{Scope, ScopedJoinHandle, scope};

    /// No call of these tests takes as many steps.
    const STEPS_MAX: u32 = 10_000;

    /// Where a thread stops: after so many more accesses.
    struct Stop {
        left: u32,
        reached: Sender<()>,
        go_on: Receiver<()>,
    }

    thread_local! {
        static STOP: RefCell<Option<Stop>> = const { RefCell::new(None) };
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
        }
    }

    /// A call in a thread of its own.
    struct Call<'scope, T> {
        thread: ScopedJoinHandle<'scope, T>,
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
            before_access(stop_if_due);
            let ((reached, is_reached), (go_on, may_go_on)) = (channel(), channel());
            let thread = scope.spawn(move || {
                STOP.set(Some(Stop { left: step, reached, go_on: may_go_on }));
                let answer = call();
                STOP.take();
                answer
            });
            Self { thread, go_on, stopped: is_reached.recv().is_ok() }
        }

        fn end(self) -> T {
            if self.stopped {
                self.go_on.send(()).unwrap();
            }
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
                assert!(step > 1, "the call had no steps to stop at");
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
                governor.register_tenant(TenantConfig { rate, ..config }).ok()
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
                // Else the first has passed before, at the rate there was.
                if two == 0 {
                    assert_eq!(wait_ns(governor, *tenant).unwrap(), MILLISECOND_NS);
                }
            },
        );
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

    /// As many configurations as there are versions, so that the word looks as it did before.
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
        let (account, goal, requester, types) = (ROOT, Goal::Bytes(5), None, 1);
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
            |backlogs| backlogs.hold(&of(1)).is_some(),
            |backlogs| backlogs.hold(&of(2)).is_some(),
            |backlogs, one, two| {
                assert!(one != two, "there is one backlog");
                let holder = if one { 1 } else { 2 };
                assert!(backlogs.hold(&of(holder)).is_some(), "and nobody is at it");
                assert!(backlogs.hold(&of(3 - holder)).is_none());
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
            core.tenant(1).set_rate(Some(RateLimit::new(1, 1).unwrap()));
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
}
