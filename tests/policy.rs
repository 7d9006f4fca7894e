//! The order of eviction: each policy against a naive sort of what its name says.

use allotment::internals::lessons::{Lessons, Weights, class};
use allotment::internals::policy::{Candidate, Judge, Policy, Recency};
use allotment::internals::region::Zeroed;
use proptest::prelude::*;
use std::cmp::{Ordering, Reverse};

const NOW_NS: u64 = 1_000;

/// A grant as a test sees it.
#[derive(Clone, Copy, Debug)]
struct Plain {
    bytes: u64,
    age: u32,
    frequency: u32,
    cost: u32,
    expires_ns: u64,
}

impl Plain {
    fn seen(self, clock: u32) -> Candidate {
        let recency = Recency::new(clock.wrapping_sub(self.age), self.cost, self.frequency);
        Candidate { bytes: self.bytes, recency, expires_ns: self.expires_ns }
    }

    fn expired(self) -> bool {
        self.expires_ns != 0 && self.expires_ns <= NOW_NS
    }

    /// Value per byte by the textbook, with even weights.
    fn value(self) -> f64 {
        let evidence = f64::from(self.frequency) - 0.75;
        evidence * f64::from(self.cost) / (self.bytes as f64 * f64::from(self.age.max(1)))
    }
}

/// Few values, so that ties are common. Costs have 8 significant bits, which are kept exactly.
fn plain() -> impl Strategy<Value = Plain> {
    let expires_ns = prop_oneof![Just(0), 1..2_000_u64];
    (1..9_u64, 0..12_u32, 1..6_u32, 1..5_u32, expires_ns).prop_map(
        |(kib, age, frequency, cost, expires_ns)| Plain {
            bytes: kib << 10,
            age,
            frequency,
            cost,
            expires_ns,
        },
    )
}

fn judge(policy: Policy, clock: u32) -> Judge {
    Judge { policy, clock, now_ns: NOW_NS, weights: Weights::EVEN }
}

/// What the names of the policies promise, said with a sort key for each.
fn naive(policy: Policy, a: &Plain, b: &Plain) -> Ordering {
    let oldest_first = b.age.cmp(&a.age);
    let fresh_last = b.expired().cmp(&a.expired());
    if fresh_last.is_ne() || a.expired() {
        return fresh_last.then(oldest_first);
    }
    let never_last = |p: &Plain| if p.expires_ns == 0 { u64::MAX } else { p.expires_ns };
    let by_policy = match policy {
        Policy::Lru => Ordering::Equal,
        Policy::Lfu => a.frequency.cmp(&b.frequency),
        Policy::Ttl => never_last(a).cmp(&never_last(b)),
        Policy::Size => Reverse(a.bytes).cmp(&Reverse(b.bytes)),
        Policy::Hybrid => a.value().total_cmp(&b.value()),
    };
    by_policy.then(oldest_first)
}

proptest! {
    #[test]
    fn exact_policies_sort_like_their_names(
        grants in prop::collection::vec(plain(), 0..40),
        clock: u32,
    ) {
        for policy in [Policy::Lru, Policy::Lfu, Policy::Ttl, Policy::Size] {
            let judge = judge(policy, clock);
            let mut sorted = grants.clone();
            sorted.sort_by_key(|grant| judge.worth(&grant.seen(clock)));
            for pair in sorted.windows(2) {
                prop_assert!(naive(policy, &pair[0], &pair[1]).is_le(), "{policy}: {pair:?}");
            }
        }
    }

    #[test]
    fn hybrid_sorts_by_value_per_byte(
        grants in prop::collection::vec(plain(), 0..40),
        clock: u32,
    ) {
        let judge = judge(Policy::Hybrid, clock);
        let mut sorted = grants.clone();
        sorted.sort_by_key(|grant| judge.worth(&grant.seen(clock)));
        for pair in sorted.windows(2) {
            let [a, b] = [pair[0], pair[1]];
            prop_assert!(a.expired() || !b.expired());
            if a.expired() == b.expired() && !a.expired() {
                // An f32 tells values apart that differ by more than its rounding.
                prop_assert!(a.value() <= b.value() * (1.0 + 1e-6), "{pair:?}");
            }
        }
    }

    #[test]
    fn worth_orders_totally_and_alike_on_every_clock(a in plain(), b in plain(), clock: u32) {
        for policy in Policy::ALL {
            let order = |clock| {
                let judge = judge(policy, clock);
                judge.worth(&a.seen(clock)).cmp(&judge.worth(&b.seen(clock)))
            };
            prop_assert_eq!(order(clock), order(0), "the clock has no zero: {}", policy);
        }
    }

    #[test]
    fn only_what_fades_changes_its_order_by_itself(
        a in plain(), b in plain(), clock: u32, later in 0..1_000_000u32,
    ) {
        for policy in Policy::ALL.into_iter().filter(|policy| !policy.fades()) {
            let order = |now| {
                let judge = judge(policy, now);
                judge.worth(&a.seen(clock)).cmp(&judge.worth(&b.seen(clock)))
            };
            prop_assert_eq!(order(clock), order(clock.wrapping_add(later)));
        }
    }

    #[test]
    fn hybrid_keeps_what_is_used_more_costs_more_is_smaller_or_younger(
        grant in plain(),
        clock: u32,
        by in 2..50_u32,
    ) {
        let grant = Plain { expires_ns: 0, age: grant.age + 1, ..grant };
        let judge = judge(Policy::Hybrid, clock);
        let worth = |grant: Plain| judge.worth(&grant.seen(clock));
        let better = [
            Plain { frequency: grant.frequency * by, ..grant },
            Plain { cost: grant.cost * by, ..grant },
            Plain { bytes: grant.bytes / u64::from(by), ..grant },
            Plain { age: grant.age / by, ..grant },
        ];
        for better in better {
            prop_assert!(worth(better) > worth(grant), "{better:?} {grant:?}");
        }
    }

    #[test]
    fn a_touch_never_makes_a_grant_go_sooner(grant in plain(), clock: u32) {
        for policy in Policy::ALL {
            let judge = judge(policy, clock);
            let before = grant.seen(clock);
            let after = Candidate { recency: before.recency.touched(clock), ..before };
            prop_assert!(judge.worth(&after) >= judge.worth(&before), "{policy}");
        }
    }

    #[test]
    fn classes_rise_with_the_frequency(frequency in 1..u32::MAX) {
        prop_assert!(class(frequency) <= class(frequency + 1));
        prop_assert!(class(frequency) < class(frequency.saturating_mul(2)) || frequency > 95);
    }

    #[test]
    fn weights_stay_in_bounds_whatever_is_learned(
        lessons in prop::collection::vec((1..300_u32, 0..200_u32, any::<bool>()), 0..2_000),
    ) {
        let learned = Lessons::empty();
        for (frequency, absent, returned) in lessons {
            if returned {
                learned.returned(frequency, absent, 400);
            } else {
                learned.evicted(frequency);
            }
        }
        let weights = learned.weights();
        for frequency in 1..300 {
            prop_assert!((1.0 / 16.0..=16.0).contains(&weights.of(frequency)));
        }
    }
}
