//! The fair queue under a scheduler that chooses at random, before every access to an atomic,
//! which thread goes on: a thousand waiters with deadlines, given up at random, among releases and
//! changes of limits. No byte is lost, nobody is served twice, nobody is forgotten.
//!
//! The scheduler needs atomics that let it choose:
//! `RUSTFLAGS="--cfg allot_steps" cargo test --release --test schedules`. The same seed makes the
//! same choices. Loom (`loom-tests`) tries every interleaving of two or three threads instead.

#[cfg(not(allot_steps))]
#[test]
fn schedules_are_tried_in_a_build_of_their_own() {
    println!("run it as RUSTFLAGS=\"--cfg allot_steps\" cargo test --release --test schedules");
}

#[cfg(allot_steps)]
mod scheduled {
    use allotment::internals::sync::before_access;
    use allotment::os::ManualClock;
    use allotment::*;
    use shuttle::scheduler::RandomScheduler;
    use shuttle::{Config, FailurePersistence, MaxSteps, Runner};
    use std::collections::BTreeSet;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    const BYTES_MAX: u64 = 12;
    const PATIENCE_NS: u64 = 20;
    const FOREVER: Duration = Duration::from_secs(1 << 30);
    const TENANTS: usize = 4;
    const PRIORITIES: [Priority; TENANTS] =
        [Priority::Low, Priority::Normal, Priority::High, Priority::Critical];
    /// Looks at tickets, without any progress of its own, after which a thread says that its
    /// waiters were forgotten.
    const LOOKS_MAX: u32 = 1_000_000;

    /// Random numbers, the same for the same seed.
    struct Random(u64);

    impl Random {
        fn below(&mut self, bound: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (self.0 >> 33) % bound
        }
    }

    /// What became of waiters.
    #[derive(Debug, Default, PartialEq, Eq)]
    struct Tally {
        granted: usize,
        late: usize,
        cancelled: usize,
        gone: usize,
    }

    /// Everybody's grants, kept beside the governor.
    #[derive(Default)]
    struct Books {
        live: BTreeSet<u64>,
        bytes: u64,
        tally: Tally,
    }

    struct Crowd {
        governor: Arc<Governor>,
        clock: ManualClock,
        capacity: u64,
        tenants: [TenantHandle; TENANTS],
        leaving: TenantHandle,
        books: Mutex<Books>,
    }

    fn config(i: usize) -> TenantConfig {
        let id = TenantId::from_u128(i as u128 + 1);
        TenantConfig { priority: PRIORITIES[i % TENANTS], ..TenantConfig::new(id, i.to_string()) }
    }

    fn fixed(tenant: TenantHandle, bytes: u64) -> Request {
        Request::new(tenant, AllocationType::ModelLoad, bytes)
    }

    impl Crowd {
        fn new(capacity: u64, waiters_max: u32) -> Self {
            let clock = ManualClock::new();
            let config_of_all = GovernorConfig {
                tenants_max: 8,
                grants_max: 256,
                quantum_bytes: 4,
                patience_ns: PATIENCE_NS,
                waiters_max,
                clock: clock.clone().into(),
                ..GovernorConfig::new(capacity)
            };
            let governor = Arc::new(Governor::new(config_of_all).unwrap());
            let tenant = |i| governor.register_tenant(config(i)).unwrap();
            let tenants = std::array::from_fn(tenant);
            let leaving = tenant(TENANTS);
            Self { governor, clock, capacity, tenants, leaving, books: Mutex::default() }
        }

        fn note_grant(&self, grant: &OwnedGrant) {
            // Read before the books are locked: with threads that take turns nobody may block.
            let (id, bytes) = (grant.id().as_u64(), grant.bytes());
            let mut books = self.books.lock().unwrap();
            assert!(books.live.insert(id), "a grant was given twice");
            books.bytes += bytes;
            assert!(books.bytes <= self.capacity, "{} bytes", books.bytes);
            books.tally.granted += 1;
        }

        fn release(&self, grant: OwnedGrant) {
            let (id, bytes) = (grant.id().as_u64(), grant.bytes());
            {
                let mut books = self.books.lock().unwrap();
                assert!(books.live.remove(&id));
                books.bytes -= bytes;
            }
            drop(grant);
        }

        /// Enqueues so many, and looks after them until all are decided.
        fn wait_for_all(&self, waiters: usize, seed: u64) {
            let mut random = Random(seed);
            let mut tickets: Vec<OwnedTicket> = Vec::new();
            let mut held = Vec::new();
            // Most are to be served.
            let cancelled_min = waiters * 3 / 4;
            for _ in 0..waiters {
                let tenant = match random.below(5) {
                    0 => self.leaving,
                    n => self.tenants[n as usize % TENANTS],
                };
                let wait = match random.below(4) {
                    0 => Duration::from_nanos(1 + random.below(200)),
                    _ => FOREVER,
                };
                let request = fixed(tenant, 1 + random.below(BYTES_MAX));
                match self.governor.enqueue_owned(&request, wait) {
                    Ok(ticket) => tickets.push(ticket),
                    Err(Refusal::Misuse(Error::Gone { .. })) => self.note(|tally| tally.gone += 1),
                    Err(refusal) => panic!("{refusal}"),
                }
            }
            let mut looks = 0;
            while !tickets.is_empty() {
                let may_cancel = tickets.len() > cancelled_min;
                let went_on = self.look_after(&mut tickets, &mut held, may_cancel, &mut random);
                looks = if went_on { 0 } else { looks + 1 };
                assert!(looks < LOOKS_MAX, "{} waiters are forgotten", tickets.len());
            }
            held.into_iter().for_each(|grant| self.release(grant));
        }

        fn note(&self, count: impl FnOnce(&mut Tally)) {
            count(&mut self.books.lock().unwrap().tally);
        }

        /// One look at one of the tickets, or something else; says whether anything went on.
        fn look_after(
            &self,
            tickets: &mut Vec<OwnedTicket>,
            held: &mut Vec<OwnedGrant>,
            may_cancel: bool,
            random: &mut Random,
        ) -> bool {
            match random.below(256) {
                0..16 => {
                    self.clock.advance_ns(1 + random.below(20));
                }
                16..24 if may_cancel => {
                    tickets.swap_remove(random.below(tickets.len() as u64) as usize).cancel();
                    self.note(|tally| tally.cancelled += 1);
                    return true;
                }
                24..128 if !held.is_empty() => {
                    let grant = held.swap_remove(random.below(held.len() as u64) as usize);
                    self.release(grant);
                    return true;
                }
                _ => {}
            }
            let at = random.below(tickets.len() as u64) as usize;
            let Some(answer) = tickets[at].poll() else {
                shuttle::thread::yield_now();
                return false;
            };
            drop(tickets.swap_remove(at));
            match answer {
                Ok(grant) => {
                    self.note_grant(&grant);
                    held.push(grant);
                }
                Err(Refusal::Denied(no)) => {
                    assert_eq!(no.reason, DenialReason::WaitedTooLong);
                    self.note(|tally| tally.late += 1);
                }
                Err(Refusal::Misuse(Error::Gone { .. })) => self.note(|tally| tally.gone += 1),
                Err(refusal) => panic!("{refusal}"),
            }
            true
        }

        /// Changes limits and the capacity, balances, and lets a tenant go. In the end everybody
        /// could be served.
        fn administer(&self, seed: u64) {
            let mut random = Random(seed);
            for _ in 0..8 {
                match random.below(3) {
                    0 => {
                        let less = random.below(self.capacity - BYTES_MAX);
                        self.governor.set_capacity(self.capacity - less).unwrap();
                    }
                    1 => {
                        let tenant = self.tenants[random.below(TENANTS as u64) as usize];
                        let limit = (random.below(2) == 0).then(|| BYTES_MAX + random.below(20));
                        self.governor.set_tenant(tenant, |c| c.limit_bytes = limit).unwrap();
                    }
                    _ => {
                        self.governor.balance();
                    }
                }
            }
            self.governor.unregister_tenant(self.leaving, Unregister::Drain).unwrap();
            for tenant in self.tenants {
                self.governor.set_tenant(tenant, |c| c.limit_bytes = None).unwrap();
            }
            self.governor.set_capacity(self.capacity).unwrap();
        }

        /// Nothing is left of anybody: all bytes are free, and all places in line.
        fn assert_at_rest(&self, waiters: usize) {
            let (governor, books) = (&self.governor, self.books.lock().unwrap());
            // Pressure, and with it the lower limits, ends with the next step.
            governor.balance();
            assert_eq!((governor.snapshot().live_bytes, governor.waiters()), (0, 0));
            let Tally { granted, late, cancelled, gone } = books.tally;
            assert_eq!((granted + late + cancelled + gone, books.live.len()), (waiters, 0));
            let _all = governor.try_request(&fixed(self.tenants[0], self.capacity)).unwrap();
            let places = governor.config().waiters_max;
            let enqueue = || governor.enqueue(&fixed(self.tenants[1], 1), FOREVER).unwrap();
            let again: Vec<_> = (0..places).map(|_| enqueue()).collect();
            assert_eq!(governor.waiters(), places);
            drop(again);
        }
    }

    fn runner(iterations: usize) -> Runner<RandomScheduler> {
        before_access(shuttle::thread::yield_now);
        let mut config = Config::new();
        config.max_steps = MaxSteps::None;
        config.stack_size = 1 << 18;
        config.failure_persistence = FailurePersistence::None;
        Runner::new(RandomScheduler::new_from_seed(42, iterations), config)
    }

    fn run(capacity: u64, threads: usize, waiters_each: usize, iterations: usize) {
        let sums = Arc::new(Mutex::new(Tally::default()));
        let sums_of_all = sums.clone();
        runner(iterations).run(move || {
            let waiters = threads * waiters_each;
            let crowd = Arc::new(Crowd::new(capacity, waiters as u32));
            let seed =
                u64::from(shuttle::rand::RngCore::next_u32(&mut shuttle::rand::thread_rng()));
            let all = crowd.governor.request_owned(&fixed(crowd.tenants[0], capacity)).unwrap();
            let start = |thread: usize| {
                let crowd = crowd.clone();
                let seed = seed + thread as u64;
                shuttle::thread::spawn(move || match thread {
                    0 => crowd.administer(seed),
                    _ => crowd.wait_for_all(waiters_each, seed),
                })
            };
            let running: Vec<_> = (0..=threads).map(start).collect();
            drop(all);
            running.into_iter().for_each(|thread| thread.join().unwrap());
            crowd.assert_at_rest(waiters);
            let books = crowd.books.lock().unwrap();
            let mut sums = sums.lock().unwrap();
            sums.granted += books.tally.granted;
            sums.late += books.tally.late;
            sums.cancelled += books.tally.cancelled;
            sums.gone += books.tally.gone;
        });
        let sums = sums_of_all.lock().unwrap();
        println!("{iterations} schedules of {threads} x {waiters_each} waiters: {sums:?}");
        let Tally { granted, late, cancelled, gone } = *sums;
        assert!(granted > 0 && late > 0 && cancelled > 0 && gone > 0);
    }

    #[test]
    fn a_few_waiters_under_many_schedules() {
        run(20, 3, 6, 500);
    }

    #[test]
    fn a_thousand_waiters_lose_nothing() {
        run(64, 10, 100, 1);
    }

    /// Each of three threads asks for its own tenant, whose grants are all caches, in a pool that
    /// is full of them. While they evict, their tenants change places in the order of eviction, and
    /// any of them may sleep in the middle. A request overlooks no queue, and what is held up by
    /// one that sleeps is nothing to wait for.
    #[test]
    fn few_are_denied_whose_own_grants_may_go() {
        const EACH: u64 = 3;
        const REQUESTS: u32 = 6;
        let denied = Arc::new(Mutex::new(Vec::new()));
        let denied_of_all = denied.clone();
        runner(3_000).run(move || {
            let crowd = Arc::new(Crowd::new(3 * EACH, 2));
            crowd.governor.on_reclaim(|_| ReclaimAnswer::Freed);
            let cache = |of| Request::new(of, AllocationType::Cache, 1);
            let ask = move |crowd: &Crowd, thread: usize| {
                crowd.governor.request(&cache(crowd.tenants[thread])).map(Grant::into_id)
            };
            for thread in 0..3 {
                let config = |c: &mut TenantConfig| c.priority = Priority::Normal;
                crowd.governor.set_tenant(crowd.tenants[thread], config).unwrap();
                (0..EACH).for_each(|_| assert!(ask(&crowd, thread).is_ok()));
            }
            let start = |thread: usize| {
                let (crowd, denied) = (crowd.clone(), denied.clone());
                shuttle::thread::spawn(move || {
                    for _ in 0..REQUESTS {
                        if let Err(refusal) = ask(&crowd, thread) {
                            denied.lock().unwrap().push(refusal);
                        }
                    }
                })
            };
            let running: Vec<_> = (0..3).map(start).collect();
            running.into_iter().for_each(|thread| thread.join().unwrap());
        });
        let denied = denied_of_all.lock().unwrap();
        let asked = 3_000 * 3 * REQUESTS as usize;
        println!("{} denied of {asked}", denied.len());
        assert!(denied.len() < asked / 5_000, "{} denied of {asked}", denied.len());
    }
}
