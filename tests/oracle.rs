//! The whole governor against a model of one thread: every answer and every victim must be equal.
//!
//! The model (`oracle/model.rs`) keeps plain lists and computes everything anew each time: what a
//! group must pay is the sum of what its children need, and nothing is ever idle. Policy is Lru and
//! queues are small, so that the order of eviction is exact. `oracle/pair.rs` calls both; so does
//! the fuzz target `calls`.

#[path = "oracle/model.rs"]
mod model;
#[path = "oracle/pair.rs"]
mod pair;

use model::Limits;
use pair::{Op, Pair};
use proptest::prelude::*;

fn limits() -> impl Strategy<Value = Limits> {
    let count = proptest::option::weighted(0.15, 0_u32..4);
    let beyond = proptest::option::weighted(0.4, 0_u64..60);
    let burst = proptest::option::weighted(0.3, 0_u64..30);
    let guarantee = prop_oneof![3 => Just(0), 2 => 0_u64..30];
    (guarantee, beyond, burst, 0_u8..4, 0_u8..3, 0_usize..4, count).prop_map(
        |(guarantee, beyond, burst, priority, isolation, kind, count)| Limits {
            guarantee,
            limit: beyond.map(|b| (guarantee + b).max(1)),
            burst,
            priority,
            isolation,
            count: count.map(|most| (kind, most)),
        },
    )
}

fn op() -> impl Strategy<Value = Op> {
    let bytes = || prop_oneof![6 => 1_u64..20, 2 => 10_u64..70, 1 => 60_u64..140];
    let one = || (0_usize..8, 0_usize..4, bytes());
    prop_oneof![
        14 => (one(), any::<u8>(), any::<bool>()).prop_map(|((tenant, kind, bytes), traits, e)| {
            Op::Request { tenant, kind, bytes, traits, evicting: e || traits & 1 == 0 }
        }),
        1 => (one(), 0_u64..100).prop_map(|((tenant, kind, bytes), ttl_ns)| {
            Op::Reserve { tenant, kind, bytes, ttl_ns }
        }),
        1 => proptest::collection::vec(one(), 0..5).prop_map(Op::Batch),
        3 => (0_usize..40, bytes(), any::<bool>()).prop_map(|(grant, by, evicting)| {
            Op::Grow { grant, by, evicting }
        }),
        1 => (0_usize..40, 1_u64..12).prop_map(|(grant, by)| Op::Shrink { grant, by }),
        4 => (0_usize..40).prop_map(|grant| Op::Release { grant }),
        2 => (0_usize..40).prop_map(|grant| Op::Touch { grant }),
        1 => (0_usize..40, any::<bool>()).prop_map(|(grant, pinned)| Op::Pin { grant, pinned }),
        1 => (0_usize..40, 0_u64..100).prop_map(|(grant, for_ns)| Op::KeepAlive { grant, for_ns }),
        1 => (0_usize..40).prop_map(|grant| Op::Commit { grant }),
        1 => (0_usize..40).prop_map(|grant| Op::Decline { grant }),
        2 => (0_usize..8, limits()).prop_map(|(tenant, limits)| Op::SetTenant { tenant, limits }),
        1 => (0_usize..3, 0_u64..50, proptest::option::of(0_u64..60)).prop_map(
            |(group, guarantee, beyond)| Op::SetGroup { group, guarantee, beyond }
        ),
        1 => (20_u64..160).prop_map(Op::SetCapacity),
        1 => (0_usize..4, limits()).prop_map(|(parent, limits)| Op::Register { parent, limits }),
        1 => (0_usize..8, 0_u8..3).prop_map(|(tenant, how)| Op::Unregister { tenant, how }),
        1 => Just(Op::Balance),
        1 => (0_u8..3).prop_map(Op::Report),
        1 => (0_u64..60).prop_map(Op::Advance),
        1 => (0_usize..40).prop_map(|grant| Op::Stale { grant }),
        1 => (0_usize..8, any::<u64>()).prop_map(|(tenant, number)| Op::Foreign { tenant, number }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(512),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_governor_answers_like_the_model(
        pool_pressure in any::<bool>(),
        headroom in prop_oneof![2 => Just(0_u64), 1 => 0_u64..20],
        quantum in prop_oneof![Just(0_u64), Just(7), Just(1 << 20)],
        tenants in proptest::collection::vec((0_usize..4, limits()), 1..5),
        ops in proptest::collection::vec(op(), 1..80),
    ) {
        let mut pair = Pair::new(pool_pressure, headroom, quantum, &tenants);
        for op in &ops {
            pair.apply(op);
        }
        pair.finish();
    }
}
