//! What each verb costs in atomic steps: the budget of the hot path, exactly, and the bound of
//! `src/core/steps.rs`, never exceeded however full, deep or contended the governor is.
//!
//! Counts need atomics that count: `RUSTFLAGS="--cfg allot_steps" cargo test --test steps`.

#[cfg(not(allot_steps))]
#[test]
fn steps_are_counted_in_a_build_of_their_own() {
    println!("run it as RUSTFLAGS=\"--cfg allot_steps\" cargo test --test steps");
}

#[cfg(allot_steps)]
mod counted {
    use allotment::internals::steps::{self, StepsMax};
    use allotment::internals::sync::{AtomicU64, Ordering, Steps, count_steps};
    use allotment::os::ManualClock;
    use allotment::*;
    use std::io::Write;

    const MIB: u64 = 1 << 20;

    fn config(capacity_bytes: u64) -> GovernorConfig {
        GovernorConfig {
            tenants_max: 512,
            groups_max: 64,
            grants_max: 2_048,
            clock: ManualClock::new().into(),
            ..GovernorConfig::new(capacity_bytes)
        }
    }

    fn tenant(number: u128) -> TenantConfig {
        TenantConfig::new(TenantId::from_u128(number), format!("tenant {number}"))
    }

    /// Past the capture of test output: the table is what people run this for.
    fn say(line: &str) {
        writeln!(std::io::stdout().lock(), "{line}").unwrap();
    }

    fn denied<T>(answer: Result<T, Refusal>) -> Denial {
        *answer.err().expect("a refusal").denial().expect("a denial")
    }

    /// What the other figures are made of: each access once, exchanges that fail among them, and
    /// those of the call alone.
    #[test]
    fn each_access_is_counted_once() {
        let word = AtomicU64::new(1);
        // Relaxed: one thread.
        let order = Ordering::Relaxed;
        let all = || {
            word.store(word.load(order) + 1, order);
            word.fetch_add(1, order);
            let refused = word.compare_exchange(7, 8, order, order);
            (word.load(order), refused)
        };
        for _ in 0..2 {
            word.store(1, order);
            let (answer, steps) = count_steps(all);
            assert_eq!(answer, (3, Err(3)));
            assert_eq!(steps, Steps { accesses: 3, read_modify_writes: 2 });
        }
    }

    /// Rows of the table; a row that is not as budgeted is a fault.
    #[derive(Default)]
    struct Budget {
        faults: Vec<String>,
    }

    impl Budget {
        fn row<T>(&mut self, verb: &str, budget: u64, f: impl FnOnce() -> T) -> T {
            let (answer, Steps { accesses, read_modify_writes }) = count_steps(f);
            say(&format!("{verb:<46} {read_modify_writes:>5} {budget:>7} {accesses:>9}"));
            if read_modify_writes != budget {
                self.faults.push(format!("{verb}: {read_modify_writes}, not {budget}"));
            }
            answer
        }

        /// Request, grow, shrink, touch, release of one tenant, all at the budget of section 4.
        fn verbs(&mut self, place: &str, governor: &Governor, of: TenantHandle, extra: (u64, u64)) {
            let row = |verb: &str| format!("{verb}, {place}");
            let request = Request::new(of, AllocationType::Cache, MIB);
            let id = self.row(&row("request"), 2 + extra.0, || {
                governor.try_request(&request).unwrap().into_id()
            });
            self.row(&row("grow"), 2, || governor.grow(of, id, MIB)).unwrap();
            self.row(&row("shrink"), 2, || governor.shrink(of, id, MIB)).unwrap();
            self.row(&row("touch"), 0, || governor.touch(of, id)).unwrap();
            self.row(&row("bytes"), 0, || governor.bytes_of(of, id)).unwrap();
            self.row(&row("release"), 2 + extra.1, || governor.release(of, id)).unwrap();
        }
    }

    /// A tenant that has used 8 MiB before: its claim, its peak and a slot are there.
    fn register(governor: &Governor, config: TenantConfig) -> TenantHandle {
        let of = governor.register_tenant(config).unwrap();
        drop(governor.try_request(&Request::new(of, AllocationType::Cache, 8 * MIB)).unwrap());
        of
    }

    #[test]
    fn the_hot_path_keeps_its_budget() {
        let governor = Governor::new(config(100 * MIB)).unwrap();
        let rate = Some(RateLimit::new(1_000_000, 1_000).unwrap());
        let counted = [None, None, Some(9), None];
        let floor = TenantConfig { guarantee_bytes: 10 * MIB, ..tenant(1) };
        let inside = register(&governor, floor);
        let beyond = register(&governor, tenant(2));
        let paced = register(&governor, TenantConfig { rate, ..tenant(3) });
        let numbered = register(&governor, TenantConfig { grants_max: counted, ..tenant(4) });
        let both = register(&governor, TenantConfig { rate, grants_max: counted, ..tenant(5) });
        say(&format!("\n{:<46} {:>5} {:>7} {:>9}", "verb", "rmw", "budget", "accesses"));
        let mut budget = Budget::default();
        budget.verbs("inside the guarantee", &governor, inside, (0, 0));
        budget.verbs("beyond it, claim at hand", &governor, beyond, (0, 0));
        budget.verbs("rate limited", &governor, paced, (1, 0));
        budget.verbs("number limited", &governor, numbered, (2, 1));
        budget.verbs("rate and number limited", &governor, both, (3, 1));
        assert!(budget.faults.is_empty(), "{:#?}", budget.faults);
    }

    #[test]
    fn what_goes_beyond_the_budget_is_known() {
        let governor = Governor::new(config(100 * MIB)).unwrap();
        let limit = TenantConfig { limit_bytes: Some(8 * MIB), ..tenant(1) };
        let limited = register(&governor, limit);
        let fresh = governor.register_tenant(tenant(2)).unwrap();
        let of = |tenant, bytes| Request::new(tenant, AllocationType::Cache, bytes);
        let mut budget = Budget::default();
        let no = budget.row("denied at the own limit", 1, || {
            denied(governor.try_request(&of(limited, 9 * MIB)))
        });
        assert_eq!(no.reason, DenialReason::TenantLimit);
        // The slot takes a segment (spare and back, fresh, linked, counted), which is kept for the
        // second attempt: the first finds no claim. The bytes take a payment (mark, the parent's
        // exchange, the payment), the use is a new peak; then slot and exchange.
        let first = budget.row("first request of a tenant", 11, || {
            governor.try_request(&of(fresh, MIB)).unwrap()
        });
        let second = budget.row("next request, new peak, claim bought", 7, || {
            governor.try_request(&of(fresh, MIB)).unwrap()
        });
        drop((first, second));
        governor.try_request(&of(fresh, 3 * MIB / 2)).unwrap().release().unwrap();
        // Slot, twice; mark and back; two idle claims handed back, six each; mark and back; the
        // tally.
        let no = budget.row("denied by the pool, idle claim of two", 19, || {
            denied(governor.try_request(&of(fresh, 101 * MIB)))
        });
        assert_eq!(no.reason, DenialReason::Capacity);
        let recorded = GovernorConfig { events_max: 64, ..config(100 * MIB) };
        let governor = Governor::new(recorded).unwrap();
        let recorded = register(&governor, tenant(1));
        let id = budget.row("request, events recorded", 4, || {
            governor.try_request(&of(recorded, MIB)).unwrap().into_id()
        });
        budget.row("release, events recorded", 4, || governor.release(recorded, id)).unwrap();
        for (audit_calls, request, touch) in [(false, 5, 0), (true, 7, 3)] {
            let audit = AuditMode::FailClosed;
            let audited = GovernorConfig { audit, audit_calls, ..config(100 * MIB) };
            let governor = Governor::new(audited).unwrap();
            let recorded = register(&governor, tenant(1));
            let what = if audit_calls { "fail closed, calls too" } else { "fail closed" };
            let row = |verb: &str| format!("{verb}, {what}");
            let id = budget.row(&row("request"), request, || {
                governor.try_request(&of(recorded, MIB)).unwrap().into_id()
            });
            budget.row(&row("touch"), touch, || governor.touch(recorded, id)).unwrap();
            budget.row(&row("release"), 4, || governor.release(recorded, id)).unwrap();
        }
        assert!(budget.faults.is_empty(), "{:#?}", budget.faults);
    }

    /// The most steps of one verb so far, against its bound.
    struct Worst {
        verb: &'static str,
        bound: u64,
        most: u64,
        calls: u64,
    }

    impl Worst {
        fn new(verb: &'static str, max: StepsMax, accounts: u64, segments: u64) -> Self {
            Self { verb, bound: max.among(accounts, segments), most: 0, calls: 0 }
        }

        fn call<T>(&mut self, f: impl FnOnce() -> T) -> T {
            let (answer, steps) = count_steps(f);
            let steps = steps.accesses + steps.read_modify_writes;
            assert!(steps <= self.bound, "{}: {steps} steps, bound {}", self.verb, self.bound);
            self.most = self.most.max(steps);
            self.calls += 1;
            answer
        }
    }

    /// All verbs against their bounds, in one scenario and one thread.
    struct Bounds {
        request: Worst,
        grow: Worst,
        shrink: Worst,
        touch: Worst,
        release: Worst,
    }

    impl Bounds {
        /// Of a scenario with so many accounts, and not more than one segment for each of them.
        fn new(accounts: u64) -> Self {
            Self::with_segments(accounts, accounts)
        }

        fn with_segments(accounts: u64, segments: u64) -> Self {
            let worst = |verb, max| Worst::new(verb, max, accounts, segments);
            Self {
                request: worst("request", steps::REQUEST),
                grow: worst("grow", steps::GROW),
                shrink: worst("shrink", steps::SHRINK),
                touch: worst("touch", steps::TOUCH),
                release: worst("release", steps::RELEASE),
            }
        }

        fn request(&mut self, g: &Governor, request: &Request) -> Result<GrantId, Denial> {
            let answer = self.request.call(|| g.try_request(request).map(Grant::into_id));
            answer.map_err(|refusal| *refusal.denial().expect("a denial"))
        }

        /// A grant's life.
        fn live(&mut self, g: &Governor, request: &Request, of: TenantHandle) {
            let Ok(id) = self.request(g, request) else { return };
            let grown = self.grow.call(|| g.grow(of, id, 3));
            self.touch.call(|| g.touch(of, id)).unwrap();
            if grown.is_ok() {
                let shrunk = self.shrink.call(|| g.shrink(of, id, 2));
                assert!(matches!(shrunk, Ok(()) | Err(Error::AuditFull)), "{shrunk:?}");
            }
            self.release.call(|| g.release(of, id)).unwrap();
        }

        fn say(&self, scenario: &str) {
            say(&format!("\n{scenario:<28} {:>9} {:>9} {:>12}", "calls", "most", "bound"));
            for w in [&self.request, &self.grow, &self.shrink, &self.touch, &self.release] {
                say(&format!("  {:<26} {:>9} {:>9} {:>12}", w.verb, w.calls, w.most, w.bound));
            }
        }
    }

    #[test]
    fn a_pool_full_of_idle_claims_stays_within_the_bound() {
        const OTHERS: u64 = 400;
        let governor =
            Governor::new(GovernorConfig { quantum_bytes: 0, ..config(OTHERS * 100) }).unwrap();
        let mut bounds = Bounds::new(OTHERS + 2);
        let of = |tenant, bytes| Request::new(tenant, AllocationType::Cache, bytes);
        let idle = |number: u64| {
            let other = governor.register_tenant(tenant(number.into())).unwrap();
            drop(governor.try_request(&of(other, 100)).unwrap());
        };
        (1..=OTHERS).for_each(idle);
        let late = governor.register_tenant(tenant(9_999)).unwrap();
        assert_eq!(governor.snapshot().claimed_bytes, OTHERS * 100, "all of it is idle claim");
        let all = bounds.request(&governor, &of(late, OTHERS * 100)).unwrap();
        let no = bounds.grow.call(|| denied(governor.grow(late, all, 1)));
        assert_eq!(no.reason, DenialReason::Capacity);
        let no = bounds.request(&governor, &of(late, 1)).unwrap_err();
        assert_eq!(no.reason, DenialReason::Capacity);
        bounds.release.call(|| governor.release(late, all)).unwrap();
        bounds.say("400 tenants, all claim idle");
    }

    #[test]
    fn a_deep_hierarchy_stays_within_the_bound() {
        let capacity_bytes = 10_000;
        let governor =
            Governor::new(GovernorConfig { quantum_bytes: 7, ..config(capacity_bytes) }).unwrap();
        let mut bounds = Bounds::new(40);
        let of = |tenant, bytes| Request::new(tenant, AllocationType::Cache, bytes);
        let (mut parent, mut number) = (None, 0);
        let mut leaves = Vec::new();
        for level in 0..5 {
            let limit_bytes = Some(capacity_bytes - level * 1_000);
            let name = format!("level {level}");
            let group = GroupConfig { parent, limit_bytes, ..GroupConfig::new(name) };
            parent = Some(governor.register_group(group).unwrap());
            for _ in 0..3 {
                number += 1;
                let leaf = TenantConfig { parent, ..tenant(number) };
                leaves.push(governor.register_tenant(leaf).unwrap());
            }
        }
        // Each takes all there is in turn, so that every claim lies idle somewhere else.
        for &leaf in leaves.iter().chain(leaves.iter().rev()) {
            for bytes in [capacity_bytes, 6_000, 5_000, 1] {
                bounds.live(&governor, &of(leaf, bytes), leaf);
            }
        }
        bounds.say("five groups deep");
    }

    /// A release that carries the bytes of a promised victim up to the pool, and one that hands
    /// its claim up because the capacity was lowered below use.
    #[test]
    fn releases_on_behalf_of_others_stay_within_the_bound() {
        let governor = Governor::new(config(1_000)).unwrap();
        governor.on_reclaim(|_| ReclaimAnswer::Deferred);
        let mut bounds = Bounds::new(10);
        let mut parent = None;
        for level in 0..5 {
            let group = GroupConfig { parent, ..GroupConfig::new(format!("level {level}")) };
            parent = Some(governor.register_group(group).unwrap());
        }
        let low = TenantConfig { parent, priority: Priority::Low, ..tenant(1) };
        let low = governor.register_tenant(low).unwrap();
        let high = governor.register_tenant(tenant(2)).unwrap();
        let of = |tenant, bytes| Request::new(tenant, AllocationType::Cache, bytes);
        let promised = bounds.request(&governor, &of(low, 500)).unwrap();
        let kept = bounds.request(&governor, &of(low, 400)).unwrap();
        let answer = governor.request(&of(high, 200));
        assert!(denied(answer).waiting_can_help);
        let victim = [promised, kept].into_iter();
        let ended = |id| bounds.release.call(|| governor.release(low, id)).unwrap();
        let answers: Vec<_> = victim.map(ended).collect();
        assert!(answers.contains(&Released::Evicted), "{answers:?}");
        let (one, two) = (of(low, 600), of(low, 300));
        let (one, two) = (bounds.request(&governor, &one), bounds.request(&governor, &two));
        governor.set_capacity(100).unwrap();
        bounds.shrink.call(|| governor.shrink(low, one.unwrap(), 50)).unwrap();
        bounds.release.call(|| governor.release(low, one.unwrap())).unwrap();
        bounds.release.call(|| governor.release(low, two.unwrap())).unwrap();
        bounds.say("on behalf of others");
    }

    #[test]
    fn a_full_slot_table_stays_within_the_bound() {
        let small = GovernorConfig { grants_max: 64, ..config(100 * MIB) };
        let governor = Governor::new(small).unwrap();
        let mut bounds = Bounds::with_segments(2, 64 + 64 / 16);
        let one = governor.register_tenant(tenant(1)).unwrap();
        let request = Request::new(one, AllocationType::Cache, 1);
        let mut live = Vec::new();
        let no = loop {
            match bounds.request(&governor, &request) {
                Ok(id) => live.push(id),
                Err(no) => break no,
            }
        };
        assert_eq!(no.reason, DenialReason::SlotsExhausted);
        assert!(live.len() >= 64, "{} slots", live.len());
        // The slot farthest from where the search begins.
        for id in live {
            bounds.release.call(|| governor.release(one, id)).unwrap();
            bounds.request(&governor, &request).unwrap();
        }
        bounds.say("all slots taken");
    }

    #[test]
    fn four_threads_on_one_tenant_stay_within_the_bound() {
        four_threads_on_one_tenant(AuditMode::Off);
        four_threads_on_one_tenant(AuditMode::DropAndCount);
        four_threads_on_one_tenant(AuditMode::FailClosed);
    }

    fn four_threads_on_one_tenant(audit: AuditMode) {
        const THREADS: u32 = 4;
        let config = GovernorConfig { audit, audit_calls: true, ..config(1_000) };
        let governor = Governor::new(GovernorConfig { quantum_bytes: 0, ..config }).unwrap();
        let team = governor.register_group(GroupConfig::new("team")).unwrap();
        let counted = [Some(3), None, Some(3), None];
        let rate = Some(RateLimit::new(1_000_000_000, 1 << 40).unwrap());
        let config = TenantConfig { parent: Some(team), grants_max: counted, rate, ..tenant(1) };
        let (one, two) = (
            governor.register_tenant(config).unwrap(),
            governor.register_tenant(tenant(2)).unwrap(),
        );
        let run = |thread: u32| {
            let mut bounds = Bounds::with_segments(4, 8);
            for i in 0..3_000 {
                let kind = AllocationType::ALL[(i % 4) as usize];
                let of = if (i + thread).is_multiple_of(3) { two } else { one };
                let bytes = if i % 16 == 0 { 900 } else { 1 + u64::from(i % 200) };
                bounds.live(&governor, &Request::new(of, kind, bytes), of);
                if thread == 0 && i % 64 == 0 {
                    let limit_bytes = Some(500 + u64::from(i % 400));
                    governor.set_tenant(one, |c| c.limit_bytes = limit_bytes).ok();
                }
            }
            bounds
        };
        let worst = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS).map(|t| scope.spawn(move || run(t))).collect();
            let done = threads.into_iter().map(|t| t.join().unwrap());
            done.max_by_key(|bounds| bounds.request.most).unwrap()
        });
        worst.say(&format!("four threads, audit {}", audit.name()));
        assert_eq!(governor.snapshot().live_bytes, 0);
    }
}
