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
    use allotment::internals::Sizes;
    use allotment::internals::account::{Accounts, LEVELS, Obstacle, ROOT, Settings};
    use allotment::internals::admission::{Ask, Granted, No};
    use allotment::internals::events::{Nobody, Recorded};
    use allotment::internals::grants::Fields;
    use allotment::internals::hot_path::Asked;
    use allotment::internals::policy::Cost;
    use allotment::internals::sync::before_access;
    use allotment::internals::word::{BYTES_MAX, Owner};
    use allotment::internals::{Core, wait::Decided};
    use allotment::{AllocationType, Governor, GovernorConfig, Request};
    use allotment::{TenantConfig, TenantId, Unregister};
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
        Settings { limits: [limit; LEVELS], guarantee, share_weight: 0, traits: 0, counted: 0 }
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
}
