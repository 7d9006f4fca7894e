//! Requests that have to buy, all of them: nobody has idle claim when they are made.
//!
//! A tenant keeps what it has bought for its next request. So some requests are made and held, each
//! of which buys just what it needs, then all are released, and then the tenant's claim is handed
//! up, which is not measured.

use allotment::*;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Bytes of a request.
const PAGE: u64 = 4_096;
/// Requests held at once. Few, so that they fit in the first cache like a single one does.
const HELD: u64 = 64;

/// A governor over what is held at once, beside `held_by_others`: the last request fills it.
pub fn governor(held_by_others: u64) -> Governor {
    let config = GovernorConfig {
        // No byte more than is needed is bought, however much there is.
        quantum_bytes: 0,
        // A tenant is at rest once a step of the balancer finds it as the one before did.
        idle_claim_ns: 0,
        pool_pressure: false,
        ..GovernorConfig::new(held_by_others + HELD * PAGE)
    };
    Governor::new(config).expect("a capacity in range")
}

/// Time of so many requests and releases.
pub fn pairs(governor: &Governor, of: TenantHandle, pairs: u64) -> Duration {
    let request = Request::new(of, AllocationType::Cache, PAGE);
    let mut held = Vec::with_capacity(HELD as usize);
    let mut time = Duration::ZERO;
    hand_up(governor);
    for done in (0..pairs).step_by(HELD as usize) {
        let count = HELD.min(pairs - done);
        let unclaimed = governor.unclaimed_bytes();
        assert_eq!(unclaimed, HELD * PAGE, "nobody has idle claim");
        let begin = Instant::now();
        for _ in 0..count {
            held.push(governor.try_request(black_box(&request)).expect("room in the pool"));
        }
        time += begin.elapsed();
        let bought = unclaimed - governor.unclaimed_bytes();
        assert_eq!(bought, count * PAGE, "each has bought what it needs of the pool itself");
        let begin = Instant::now();
        held.clear();
        time += begin.elapsed();
        hand_up(governor);
    }
    time
}

/// The first step of the balancer sees what a tenant did, the second that it does no more.
fn hand_up(governor: &Governor) {
    governor.balance_without_eviction();
    governor.balance_without_eviction();
}
