//! Who goes first within one queue: pure rules, no table.
//!
//! ```text
//! every policy   expired first                        ties: least recently touched first
//! Lru            least recently touched first
//! Lfu            least often touched first
//! Ttl            soonest to expire first, never last
//! Size           largest first
//! Hybrid         least value per byte first:
//!                (frequency - 3/4) x weight(frequency) x cost / (bytes x age)
//! ```
//!
//! `age` is the number of the tenant's operations since the grant was last touched, and `weight`
//! what the queue has learned from its evictions (`lessons.rs`).
//!
//! Why this form. A grant touched n times and then not for an age is expected back about n times
//! in such an age, so frequency / age estimates its rate of use (as in GDSF and hyperbolic caching,
//! with the age counted from the last touch, which forgets old fame in time). The first use is no
//! evidence of a second: it counts a quarter, so that a scan passes through quickly; what comes
//! back soon after that has a ghost (`ghost.rs`) and returns with the frequency it had.
//!
//! A queue of up to [`EXACT_SLOTS`] is scanned whole. Of a larger one half a segment is looked at
//! for each victim, in turns, and the least worth seen is remembered in order (`backlog.rs`); where
//! that is not to be had, the least worth of [`WINDOW`] slots goes.
//!
//! All arithmetic is exact or plain `f32`: the same choice on every machine.

use super::lessons::Weights;

/// Largest queue, in slots, that is scanned whole for each victim.
pub const EXACT_SLOTS: u32 = 64;
/// Slots of a larger queue that are looked at for one victim while its backlog is not to be had.
pub const WINDOW: u32 = 32;
/// A ghost's frequency is believed for this many times as many operations as the queue has grants.
const GHOST_SPAN: u32 = 8;

/// The order in which the grants of one queue go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Policy {
    /// Least recently touched first.
    Lru = 0,
    /// Least often touched first.
    Lfu = 1,
    /// Soonest to expire first, what never expires last.
    Ttl = 2,
    /// Largest first.
    Size = 3,
    /// Least value per byte first.
    #[default]
    Hybrid = 4,
}

/// A name that is no policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no policy `{0}`: choose lru, lfu, ttl, size or hybrid")]
pub struct UnknownPolicy(pub String);

impl Policy {
    /// All policies, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::Lru, Self::Lfu, Self::Ttl, Self::Size, Self::Hybrid];

    /// The policy with this number.
    #[inline]
    pub fn from_u8(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// The number of the policy.
    #[inline]
    pub fn as_u8(self) -> u8 {
        self as u8
    }

    /// Whether the order of two grants may change while neither is touched.
    #[inline]
    pub fn fades(self) -> bool {
        self == Self::Hybrid
    }

    /// The name of the policy, in lower case.
    pub fn name(self) -> &'static str {
        ["lru", "lfu", "ttl", "size", "hybrid"][usize::from(self.as_u8())]
    }
}

impl std::fmt::Display for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

impl std::str::FromStr for Policy {
    type Err = UnknownPolicy;

    /// Takes the names that `Display` gives.
    fn from_str(name: &str) -> Result<Self, UnknownPolicy> {
        let found = Self::ALL.into_iter().find(|policy| policy.name() == name);
        found.ok_or_else(|| UnknownPolicy(name.to_owned()))
    }
}

/// `touched:32 | cost:12 | frequency:20`: when a grant was last used, what it costs to rebuild and
/// how often it was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recency(pub u64);

const FREQUENCY_BITS: u32 = 20;
const COST_BITS: u32 = 12;
const COST_MAX: u32 = (1 << COST_BITS) - 1;
/// Where the cost's 5 bits of exponent and 7 bits of mantissa stand in an `f32`.
const COST_SHIFT: u32 = 16;
const ONE: u32 = 0x3f80_0000;
/// Frequencies are counted up to here.
pub const FREQUENCY_MAX: u32 = (1 << FREQUENCY_BITS) - 1;

const _: () = assert!(32 + COST_BITS + FREQUENCY_BITS == u64::BITS);

/// What it costs to rebuild content, as a [`Recency`] keeps it: with 8 significant bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost(u32);

impl Cost {
    /// Of a cost in the tenant's unit; 0 counts as 1.
    #[inline]
    pub fn new(cost: u32) -> Self {
        let cost = ((cost.max(1) as f32).to_bits() - ONE) >> COST_SHIFT;
        Self(cost.min(COST_MAX) << FREQUENCY_BITS)
    }
}

impl Recency {
    /// Of a new grant. `cost` 0 counts as 1.
    #[inline]
    pub fn new(clock: u32, cost: u32, frequency: u32) -> Self {
        Self::of(clock, Cost::new(cost), frequency)
    }

    /// Of a new grant whose cost was packed before.
    #[inline]
    pub fn of(clock: u32, cost: Cost, frequency: u32) -> Self {
        Self(u64::from(clock) << 32 | u64::from(cost.0 | frequency.clamp(1, FREQUENCY_MAX)))
    }

    /// After a touch at `clock`.
    #[inline]
    pub fn touched(self, clock: u32) -> Self {
        let low = self.0 as u32;
        let more = u32::from(self.frequency() < FREQUENCY_MAX);
        Self(u64::from(clock) << 32 | u64::from(low + more))
    }

    /// The tenant's clock at the last touch.
    #[inline]
    pub fn last_touch(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Uses so far, the first included.
    #[inline]
    pub fn frequency(self) -> u32 {
        self.0 as u32 & FREQUENCY_MAX
    }

    /// Cost to rebuild, as it was kept.
    #[inline]
    pub fn cost(self) -> f32 {
        f32::from_bits((((self.0 as u32) >> FREQUENCY_BITS) << COST_SHIFT) + ONE)
    }

    /// Operations of the tenant since the last touch.
    ///
    /// A touch by another thread may be ahead of the clock that was read before: it is of age 0.
    /// After some 4 billion operations without a touch a grant looks new again.
    #[inline]
    fn age(self, clock: u32) -> u32 {
        const AHEAD: u32 = 1 << 20;
        let shifted = clock.wrapping_sub(self.last_touch()).wrapping_add(AHEAD);
        shifted.saturating_sub(AHEAD)
    }
}

/// The frequency of a grant whose key returns `absent` operations after it was evicted from a
/// queue of `slots` grants, used `frequency` times.
#[inline]
pub fn frequency_at_return(frequency: u32, absent: u32, slots: u32) -> u32 {
    let believed = absent <= slots.saturating_mul(GHOST_SPAN);
    if believed { frequency.saturating_add(1) } else { 1 }
}

/// What a policy sees of a grant.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// Bytes it holds: less than 2^63.
    pub bytes: u64,
    /// When and how often it was used, and what it costs to rebuild.
    pub recency: Recency,
    /// When it expires, by the governor's clock; 0: never.
    pub expires_ns: u64,
}

/// `rank:64 | youth:32`: what a grant is worth. The least worth goes first; among equals, the
/// least recently touched. Comparable within one queue, policy and moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Worth(u128);

/// The rule of one search for victims.
#[derive(Clone, Copy, Debug)]
pub struct Judge {
    /// The order of the queue.
    pub policy: Policy,
    /// The tenant's clock.
    pub clock: u32,
    /// Now, by the governor's clock.
    pub now_ns: u64,
    /// What the queue has learned; only Hybrid looks at it.
    pub weights: Weights,
}

impl Judge {
    /// What a grant is worth now.
    #[inline]
    pub fn worth(&self, candidate: &Candidate) -> Worth {
        let age = candidate.recency.age(self.clock);
        let expired = candidate.expires_ns != 0 && candidate.expires_ns <= self.now_ns;
        let rank = if expired { 0 } else { self.rank(candidate, age) };
        Worth(u128::from(rank) << 32 | u128::from(u32::MAX - age))
    }

    /// The rank of a grant in 32 bits, and its age: what a backlog orders by. Times of expiry less
    /// than 17 ms apart count as equal, and sizes that agree in 24 bits.
    #[inline(always)]
    pub fn brief(&self, candidate: &Candidate) -> (u32, u32) {
        const TICK_BITS: u32 = 24;
        let age = candidate.recency.age(self.clock);
        if candidate.expires_ns != 0 && candidate.expires_ns <= self.now_ns {
            return (0, age);
        }
        if self.policy == Policy::Hybrid {
            return (self.value_per_byte(candidate, age).to_bits(), age);
        }
        let brief = match self.policy {
            Policy::Lru | Policy::Hybrid => 1,
            Policy::Lfu => candidate.recency.frequency(),
            Policy::Ttl if candidate.expires_ns == 0 => u32::MAX,
            Policy::Ttl => (candidate.expires_ns >> TICK_BITS).clamp(1, u32::MAX.into()) as u32,
            Policy::Size => u32::MAX - (candidate.bytes as f32).to_bits(),
        };
        (brief, age)
    }

    /// At least 1: nothing that has not expired goes before what has.
    #[inline]
    fn rank(&self, candidate: &Candidate, age: u32) -> u64 {
        // Asked first: a jump by table costs the scan more than the arithmetic.
        if self.policy == Policy::Hybrid {
            // Positive floats order like their bits.
            return self.value_per_byte(candidate, age).to_bits().into();
        }
        match self.policy {
            Policy::Lfu => candidate.recency.frequency().into(),
            Policy::Ttl if candidate.expires_ns == 0 => u64::MAX,
            Policy::Ttl => candidate.expires_ns,
            Policy::Size => u64::MAX - candidate.bytes,
            Policy::Lru | Policy::Hybrid => 1,
        }
    }

    /// Between 2^-82 and 2^57: never 0, never infinite.
    #[inline]
    fn value_per_byte(&self, candidate: &Candidate, age: u32) -> f32 {
        const FIRST_USE: f32 = 0.75;
        let frequency = candidate.recency.frequency();
        let evidence = (frequency as f32 - FIRST_USE) * self.weights.of(frequency);
        // Signed integers become floats in one instruction; no grant has 2^63 bytes.
        let price = (candidate.bytes.max(1) as i64) as f32 * i64::from(age.max(1)) as f32;
        evidence * candidate.recency.cost() / price
    }
}

#[cfg(test)]
mod tests {
    use super::super::lessons::Lessons;
    use super::super::region::Zeroed;
    use super::*;

    #[test]
    fn numbers_and_names_go_both_ways() {
        for policy in Policy::ALL {
            assert_eq!(Policy::from_u8(policy.as_u8()), Some(policy));
            assert_eq!(policy.to_string().parse(), Ok(policy));
            assert_eq!(policy.fades(), policy == Policy::Hybrid);
        }
        assert_eq!(Policy::from_u8(5), None);
        assert_eq!(format!("{:>4}|", Policy::Lru), " lru|");
        let error = "LRU".parse::<Policy>().unwrap_err().to_string();
        assert_eq!(error, "there is no policy `LRU`: choose lru, lfu, ttl, size or hybrid");
    }

    fn judge(policy: Policy) -> Judge {
        Judge { policy, clock: 100, now_ns: 0, weights: Weights::EVEN }
    }

    #[test]
    fn what_never_expires_goes_after_what_does() {
        let recency = Recency::new(0, 1, 1);
        let of = |expires_ns| Candidate { bytes: 1, recency, expires_ns };
        let brief = |expires_ns| judge(Policy::Ttl).brief(&of(expires_ns)).0;
        assert!(brief(1) < brief(1 << 30) && brief(1 << 30) < brief(0));
        let worth = |expires_ns| judge(Policy::Ttl).worth(&of(expires_ns));
        assert!(worth(1) < worth(2) && worth(u64::MAX - 1) < worth(0));
    }

    /// A byte more is larger, however large both are and whichever was used last.
    #[test]
    fn the_largest_goes_first() {
        for bytes in [1, 1 << 20, 1 << 40] {
            let of = |bytes, touched| Candidate {
                bytes,
                recency: Recency::new(touched, 1, 1),
                expires_ns: 0,
            };
            let judge = judge(Policy::Size);
            assert!(judge.worth(&of(bytes + 1, 99)) < judge.worth(&of(bytes, 1)), "{bytes}");
        }
    }

    #[test]
    fn what_costs_more_to_rebuild_is_worth_more() {
        let of = |cost| Candidate { bytes: 8, recency: Recency::new(1, cost, 2), expires_ns: 0 };
        let value = |cost| judge(Policy::Hybrid).value_per_byte(&of(cost), 4);
        assert_eq!(value(64), 64.0 * value(1));
    }

    #[test]
    fn value_is_weighed_by_what_was_learned() {
        let lessons = Lessons::empty();
        lessons.returned(2, 0, 100);
        let weights = lessons.weights();
        assert!(weights.of(2) > 1.0);
        let of = |weights| {
            let judge = Judge { weights, ..judge(Policy::Hybrid) };
            let recency = Recency::new(1, 1, 2);
            judge.value_per_byte(&Candidate { bytes: 8, recency, expires_ns: 0 }, 4)
        };
        let ratio = of(weights) / of(Weights::EVEN);
        assert!((ratio - weights.of(2)).abs() < 1e-6, "{ratio} {weights:?}");
    }

    #[test]
    fn recency_keeps_what_it_was_given() {
        let new = Recency::new(u32::MAX, 100, 3);
        assert_eq!((new.last_touch(), new.frequency(), new.cost()), (u32::MAX, 3, 100.0));
        let touched = new.touched(0);
        assert_eq!((touched.last_touch(), touched.frequency(), touched.cost()), (0, 4, 100.0));
    }

    #[test]
    fn cost_keeps_its_order_of_magnitude_to_the_end() {
        for cost in [1, 2, 3, 255, 256, 39_010, u32::MAX / 3, u32::MAX] {
            let kept = f64::from(Recency::new(0, cost, 1).cost());
            let exact = f64::from(cost);
            assert!(kept <= exact + 1.0 && kept >= exact * (1.0 - 1.0 / 128.0), "{cost} {kept}");
        }
        assert_eq!(Recency::new(0, 0, 0), Recency::new(0, 1, 1));
    }

    #[test]
    fn frequency_saturates_and_leaves_the_cost_alone() {
        let most = Recency::new(0, u32::MAX, u32::MAX);
        let touched = most.touched(9);
        assert_eq!(touched.frequency(), FREQUENCY_MAX);
        assert_eq!(touched.cost(), most.cost());
    }

    #[test]
    fn a_touch_ahead_of_the_clock_is_young() {
        let recency = |clock| Recency::new(clock, 1, 1);
        assert_eq!(recency(10).age(15), 5);
        assert_eq!(recency(20).age(15), 0);
        assert_eq!(recency(u32::MAX).age(4), 5);
        assert_eq!(recency(0).age(u32::MAX / 2), u32::MAX / 2);
    }

    #[test]
    fn the_extremes_of_value_stay_finite() {
        let judge = Judge {
            policy: Policy::Hybrid,
            clock: u32::MAX >> 1,
            now_ns: 0,
            weights: Weights::EVEN,
        };
        let worth = |bytes, recency| {
            judge.value_per_byte(
                &Candidate { bytes, recency, expires_ns: 0 },
                recency.age(judge.clock),
            )
        };
        let least = worth((1 << 44) - 1, Recency::new(0, 1, 1));
        let most = worth(0, Recency::new(judge.clock, u32::MAX, u32::MAX));
        assert!(least.is_normal() && most.is_normal() && least < most, "{least} {most}");
    }

    #[test]
    fn a_ghost_is_believed_for_a_while() {
        assert_eq!(frequency_at_return(5, 800, 100), 6);
        assert_eq!(frequency_at_return(5, 801, 100), 1);
        assert_eq!(frequency_at_return(u32::MAX, 0, u32::MAX), u32::MAX);
    }
}
