//! The rate against an exact bucket of tokens in 128 bits.

use allotment::internals::rate::{Rate, RateLimit, RateLimitError, RateRefused, TOLERANCE_NS_MAX};
use allotment::os::ManualClock;
use allotment::{AllocationType, DenialReason, Governor, GovernorConfig, Grant, ReclaimAnswer};
use allotment::{Refusal, Request, TenantConfig, TenantHandle, TenantId};
use proptest::prelude::*;

/// A token bucket, counted in nanoseconds of filling so that it is exact: a token is an interval.
/// It holds what was in it after the last request that passed, and when that was.
struct Bucket {
    interval_ns: i128,
    full_ns: i128,
    filled_ns: i128,
    passed_at_ns: i128,
}

impl Bucket {
    fn new(interval_ns: u64, bucket_depth: u64) -> Self {
        let interval_ns = i128::from(interval_ns);
        let full_ns = interval_ns * i128::from(bucket_depth);
        Self { interval_ns, full_ns, filled_ns: full_ns, passed_at_ns: 0 }
    }

    /// Passes, or says how long the token takes to come. Time that goes back takes filling back.
    fn try_pass(&mut self, now_ns: u64) -> Result<(), u64> {
        let since_ns = i128::from(now_ns) - self.passed_at_ns;
        let filled_ns = (self.filled_ns + since_ns).min(self.full_ns);
        if filled_ns < self.interval_ns {
            return Err((self.interval_ns - filled_ns) as u64);
        }
        self.filled_ns = filled_ns - self.interval_ns;
        self.passed_at_ns = i128::from(now_ns);
        Ok(())
    }
}

fn as_wait(answer: Result<(), RateRefused>) -> Result<(), u64> {
    answer.map_err(|refused| match refused {
        RateRefused::RetryAfter { wait_ns } => wait_ns,
        RateRefused::Contended => panic!("contended with one thread"),
    })
}

/// A start, and steps of time: mostly within a few intervals, now and then backwards or far ahead.
fn times(interval_ns: u64) -> impl Strategy<Value = Vec<i64>> {
    let near = 3 * i64::try_from(interval_ns).unwrap();
    let step = prop_oneof![
        4 => Just(0),
        8 => 0..=near,
        2 => -near..=0,
        1 => 0..=near * 100,
    ];
    prop::collection::vec(step, 0..200)
}

proptest! {
    #[test]
    fn agrees_with_a_bucket_of_tokens(
        (interval_ns, times) in (1..2_000_000_000u64).prop_flat_map(|i| (Just(i), times(i))),
        bucket_depth in 1..12u64,
        start_ns in 0..u64::MAX / 4,
    ) {
        let limit = RateLimit::from_interval(interval_ns, bucket_depth).unwrap();
        let rate = Rate::new();
        let mut bucket = Bucket::new(interval_ns, bucket_depth);
        let mut now_ns = start_ns;
        for step_ns in times {
            now_ns = now_ns.saturating_add_signed(step_ns);
            prop_assert_eq!(as_wait(rate.try_pass(limit, now_ns)), bucket.try_pass(now_ns));
        }
    }

    /// L1, and that a wait is exact: one nanosecond less is refused, the wait itself passes.
    #[test]
    fn never_more_than_depth_and_rate_and_waits_are_exact(
        requests_per_second in 1..=1_000_000_000u64,
        bucket_depth in 1..50u64,
        steps in prop::collection::vec(0..50_000_000u64, 1..200),
    ) {
        let limit = RateLimit::new(requests_per_second, bucket_depth).unwrap();
        let rate = Rate::new();
        let (mut now_ns, mut passed) = (1_000_000, 0u128);
        let start_ns = now_ns;
        for step_ns in steps {
            now_ns += step_ns;
            match as_wait(rate.try_pass(limit, now_ns)) {
                Ok(()) => passed += 1,
                Err(wait_ns) => {
                    let early = as_wait(rate.try_pass(limit, now_ns + wait_ns - 1));
                    prop_assert_eq!(early, Err(1));
                    now_ns += wait_ns;
                    prop_assert_eq!(as_wait(rate.try_pass(limit, now_ns)), Ok(()));
                    passed += 1;
                }
            }
            let elapsed_ns = u128::from(now_ns - start_ns);
            // The rate asked for, not the rounded interval: rounding never lets more pass.
            let filled = elapsed_ns * u128::from(requests_per_second) / 1_000_000_000;
            prop_assert!(passed <= u128::from(bucket_depth) + filled);
        }
    }

    /// No time, however odd, makes arithmetic overflow, and a refusal changes nothing.
    #[test]
    fn any_times_are_answered(
        interval_ns in 1..=u64::MAX,
        tolerance_ns in any::<u64>(),
        times in prop::collection::vec(any::<u64>(), 1..50),
    ) {
        let odd = RateLimit { interval_ns, tolerance_ns };
        let limit = RateLimit::from_interval(interval_ns, 1).unwrap();
        let (odd_rate, rate) = (Rate::new(), Rate::new());
        for now_ns in times {
            let _ = as_wait(odd_rate.try_pass(odd, now_ns));
            let first = as_wait(rate.try_pass(limit, now_ns));
            let second = as_wait(rate.try_pass(limit, now_ns));
            prop_assert!(second.is_err(), "a bucket of one passes once at a time");
            prop_assert!(first.is_ok() || first == second);
        }
    }
}

#[test]
fn a_burst_of_the_depth_passes_at_once_also_at_time_zero() {
    let limit = RateLimit::new(1000, 3).unwrap();
    let rate = Rate::new();
    let answers = [0; 5].map(|now_ns| as_wait(rate.try_pass(limit, now_ns)));
    assert_eq!(answers, [Ok(()), Ok(()), Ok(()), Err(1_000_000), Err(1_000_000)]);
    rate.reset(2);
    assert_eq!(rate.try_pass(limit, 0), Ok(()));
}

#[test]
fn a_clock_set_back_passes_no_more() {
    let limit = RateLimit::new(1, 1).unwrap();
    let rate = Rate::new();
    assert_eq!(rate.try_pass(limit, 5_000_000_000), Ok(()));
    assert_eq!(as_wait(rate.try_pass(limit, 2_000_000_000)), Err(4_000_000_000));
    assert_eq!(rate.try_pass(limit, 6_000_000_000), Ok(()));
}

#[test]
fn a_changed_limit_judges_the_next_request() {
    let rate = Rate::new();
    let wide = RateLimit::new(10, 10).unwrap();
    let narrow = RateLimit::new(10, 1).unwrap();
    for _ in 0..10 {
        assert_eq!(rate.try_pass(wide, 0), Ok(()));
    }
    assert_eq!(as_wait(rate.try_pass(wide, 0)), Err(100_000_000));
    assert_eq!(as_wait(rate.try_pass(narrow, 0)), Err(1_000_000_000));
}

#[test]
fn at_the_end_of_time_nothing_passes() {
    let limit = RateLimit::new(1, 5).unwrap();
    let rate = Rate::new();
    assert_eq!(as_wait(rate.try_pass(limit, u64::MAX)), Err(u64::MAX));
}

#[test]
fn limits_are_validated() {
    use RateLimitError::{BucketDepth, Interval, RequestsPerSecond};
    assert_eq!(RateLimit::new(0, 1), Err(RequestsPerSecond(0)));
    assert_eq!(RateLimit::new(1_000_000_001, 1), Err(RequestsPerSecond(1_000_000_001)));
    assert_eq!(RateLimit::new(1, 0), Err(BucketDepth));
    assert_eq!(RateLimit::from_interval(0, 1), Err(Interval));
    let too_deep = RateLimit::from_interval(TOLERANCE_NS_MAX, 3).unwrap_err();
    assert_eq!(
        too_deep.to_string(),
        "a bucket of 3 requests every 4611686018427387903 ns fills in more than \
         4611686018427387903 ns: choose a smaller depth"
    );
    let limit = RateLimit::new(3, 4).unwrap();
    assert_eq!((limit.interval_ns, limit.tolerance_ns), (333_333_334, 1_000_000_002));
    assert_eq!(RateLimit::new(1_000_000_000, 1).unwrap().interval_ns, 1);
}

/// The fields are open, so also of limits that nothing makes.
#[test]
fn every_limit_has_a_depth() {
    let depth = |interval_ns, tolerance_ns| RateLimit { interval_ns, tolerance_ns }.bucket_depth();
    assert_eq!(depth(40, 120), 4);
    for tolerance_ns in [0, 1, u64::MAX] {
        assert_eq!(depth(0, tolerance_ns), u64::MAX, "everything passes");
        assert_eq!(depth(u64::MAX, tolerance_ns), if tolerance_ns == u64::MAX { 2 } else { 1 });
    }
    assert_eq!(depth(1, u64::MAX), u64::MAX);
}

#[test]
fn threads_pass_exactly_the_depth() {
    const DEPTH: u64 = if cfg!(miri) { 20 } else { 10_000 };
    let limit = RateLimit::new(1, DEPTH).unwrap();
    let rate = Rate::new();
    let pass_all = || {
        let mut passed = 0;
        loop {
            match rate.try_pass(limit, 7) {
                Ok(()) => passed += 1,
                Err(RateRefused::Contended) => {}
                Err(RateRefused::RetryAfter { .. }) => return passed,
            }
        }
    };
    let passed: u64 = std::thread::scope(|scope| {
        let threads = [(); 4].map(|()| scope.spawn(pass_all));
        threads.map(|t| t.join().unwrap()).into_iter().sum()
    });
    assert_eq!(passed, DEPTH);
}

#[cfg(allot_steps)]
#[test]
fn a_pass_is_one_load_and_one_exchange() {
    use allotment::internals::sync::count_steps;
    let limit = RateLimit::new(1, 1).unwrap();
    let rate = Rate::new();
    let (_, steps) = count_steps(|| rate.try_pass(limit, 0));
    assert_eq!((steps.accesses, steps.read_modify_writes), (1, 1));
    let (_, steps) = count_steps(|| rate.try_pass(limit, 0));
    assert_eq!((steps.accesses, steps.read_modify_writes), (2, 0), "looked at again");
}

const SECOND_NS: u64 = 1_000_000_000;

/// A governor of 10 bytes whose time stands still, and a tenant that may ask once a second, and
/// `at_once` times after a pause.
fn paced(at_once: u64) -> (Governor, ManualClock, TenantHandle) {
    let clock = ManualClock::new();
    let config = GovernorConfig {
        tenants_max: 2,
        grants_max: 256,
        clock: clock.clone().into(),
        ..GovernorConfig::new(10)
    };
    let governor = Governor::new(config).unwrap();
    let rate = Some(RateLimit::new(1, at_once).unwrap());
    let config = TenantConfig { rate, ..TenantConfig::new(TenantId::from_u128(1), "") };
    let tenant = governor.register_tenant(config).unwrap();
    (governor, clock, tenant)
}

/// After how long the rate lets a request pass; none if it is not what refuses it.
fn retry_after_ns(answer: Result<Grant<'_>, Refusal>) -> Option<u64> {
    let denial = *answer.err()?.denial().unwrap();
    assert_eq!(denial.reason == DenialReason::RateLimit, denial.retry_after_ns.is_some());
    denial.retry_after_ns
}

#[test]
fn a_tenant_asks_no_faster_than_its_rate() {
    let (governor, clock, tenant) = paced(2);
    let ask = || governor.request(&Request::new(tenant, AllocationType::Cache, 1));
    let _held = [ask().unwrap(), ask().unwrap()];
    assert_eq!(retry_after_ns(ask()), Some(SECOND_NS));
    clock.advance_ns(SECOND_NS - 1);
    assert_eq!(retry_after_ns(ask()), Some(1));
    clock.advance_ns(1);
    assert_eq!(ask().unwrap().bytes(), 1);
    assert_eq!(retry_after_ns(ask()), Some(SECOND_NS));
}

/// A request that is refused and tried again after something was evicted for it has passed once.
#[test]
fn a_request_passes_its_rate_once() {
    let (governor, _, tenant) = paced(3);
    governor.on_reclaim(|_| ReclaimAnswer::Freed);
    let cache = governor.request(&Request::new(tenant, AllocationType::Cache, 10)).unwrap();
    cache.into_id();
    let ask = |bytes| governor.request(&Request::new(tenant, AllocationType::Inference, bytes));
    let held = ask(6).expect("the cache goes");
    assert_eq!(governor.usage(tenant).unwrap().used_bytes, 6);
    let more = ask(4).expect("one was left to ask");
    assert_eq!(retry_after_ns(ask(1)), Some(SECOND_NS));
    drop((held, more));
}

/// Also where nothing else keeps a request from being the usual one.
#[test]
fn a_rate_that_is_set_later_paces_the_next_request() {
    let (governor, _, tenant) = paced(1);
    let ask = || governor.request(&Request::new(tenant, AllocationType::Cache, 1));
    let set = |rate| governor.set_tenant(tenant, |config| config.rate = rate).unwrap();
    for _ in 0..2 {
        set(None);
        assert!((0..3).all(|_| ask().is_ok()));
        set(Some(RateLimit::new(1, 1).unwrap()));
        // Each change of the limit forgives a nanosecond.
        let left = SECOND_NS - 2..=SECOND_NS;
        let wait_ns = retry_after_ns(ask().and_then(|_| ask()));
        assert!(wait_ns.is_some_and(|wait_ns| left.contains(&wait_ns)), "{wait_ns:?}");
        assert_eq!(retry_after_ns(ask()), wait_ns);
    }
}
