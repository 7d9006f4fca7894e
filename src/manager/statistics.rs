//! What is counted of one tenant: answers and their causes, time, reclaim; read as
//! [`MemoryStatistics`].
//!
//! ```text
//! requests       = granted + denied + queued + misused, growth included, each time it is asked;
//!                  who awaits its turn asks once, and is granted or denied in the end
//! samples        = quick requests / SAMPLE_EVERY + all slow ones, weighted so
//!                  that the histogram stands for all requests
//! average        = sum of weighted times / sum of weights            (exact over the samples)
//! p99            = upper bound of the bucket that holds it, at most the largest time seen
//! efficiency     = bytes in use / bytes claimed x 100
//! ```
//!
//! Counters are relaxed atomics that many threads add to; figures of one reading may be apart by
//! the requests that are going on. A tenant that never asked has none of this in memory.

use super::Counter;
use crate::os::Clock;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock};

/// One in so many quick requests is counted in the histogram; all others are.
pub(super) const SAMPLE_EVERY: u64 = 8;
/// From here on a request is slow: it has evicted, or was held up.
const SLOW_NS: u64 = 1 << 16;

/// Buckets of a histogram: each but the last is twice as wide as the one before.
const BUCKETS: usize = 32;
/// The first bucket ends at 2^8 ns, the last but one at 2^38 ns: 275 s.
const FIRST_BITS: u32 = 8;

/// What is counted; [`Count::EvictedBytes`] is counted by the governor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Count {
    Requests,
    Granted,
    Denied,
    Queued,
    Waits,
    WaitsNearGuarantee,
    OwnLimit,
    OwnLimitWithRoom,
    GroupLimit,
    Pool,
    NearGuarantee,
    RequestRate,
    OtherCause,
    Balanced,
    ReclaimAsked,
    ReclaimBusy,
    ReclaimPanicked,
    ReclaimSlow,
    LatencyNs,
    LatencyWeight,
    EvictedBytes,
}

const KEPT: usize = Count::EvictedBytes as usize;

/// All counts at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals([u64; KEPT + 1]);

impl Totals {
    pub(super) fn get(&self, count: Count) -> u64 {
        self.0[count as usize]
    }

    pub(super) fn set(&mut self, count: Count, value: u64) {
        self.0[count as usize] = value;
    }

    /// Adds what another one has gained since an earlier reading of it.
    pub(super) fn add_gain(&mut self, now: &Self, earlier: &Self) {
        for (sum, (now, earlier)) in self.0.iter_mut().zip(now.0.iter().zip(earlier.0)) {
            *sum = sum.saturating_add(now.saturating_sub(earlier));
        }
    }
}

/// Times in buckets of powers of two.
#[derive(Default)]
pub(super) struct Histogram {
    buckets: [Counter; BUCKETS],
    sum_ns: Counter,
    largest_ns: Counter,
}

impl Histogram {
    /// Counts a time that stands for `weight` of them.
    pub(super) fn note(&self, ns: u64, weight: u64) {
        // Relaxed: statistics.
        let order = Ordering::Relaxed;
        self.buckets[bucket(ns)].fetch_add(weight, order);
        self.sum_ns.fetch_add(ns.saturating_mul(weight), order);
        self.largest_ns.fetch_max(ns, order);
    }

    /// Count, average and 99th percentile.
    pub(super) fn summary(&self) -> LatencySummary {
        // Relaxed: statistics.
        let read = |counter: &Counter| counter.load(Ordering::Relaxed);
        let counts = self.buckets.each_ref().map(read);
        let count: u64 = counts.iter().sum();
        let largest_ns = read(&self.largest_ns);
        // The smallest time that at most one in a hundred exceeds.
        let rank = count - count / 100;
        let mut below = 0;
        let p99 = counts.iter().position(|&count| {
            below += count;
            below >= rank
        });
        LatencySummary {
            count,
            average_ns: read(&self.sum_ns).checked_div(count).unwrap_or(0),
            p99_ns_max: p99.map_or(0, upper_ns).min(largest_ns),
            largest_ns,
        }
    }
}

/// Which bucket a time falls into.
fn bucket(ns: u64) -> usize {
    let bits = u64::BITS - ns.leading_zeros();
    (bits.saturating_sub(FIRST_BITS) as usize).min(BUCKETS - 1)
}

/// The longest time of a bucket.
fn upper_ns(bucket: usize) -> u64 {
    match bucket {
        last if last == BUCKETS - 1 => u64::MAX,
        other => (1 << (other as u32 + FIRST_BITS)) - 1,
    }
}

/// How long requests took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LatencySummary {
    /// Requests that this stands for, within eight of the real number.
    pub count: u64,
    /// Average time, in ns; 0 if there was none.
    pub average_ns: u64,
    /// 99 of 100 took at most this long, in ns: the upper bound of a bucket whose lower bound is
    /// half of it, or the longest time.
    pub p99_ns_max: u64,
    /// The longest time, in ns.
    pub largest_ns: u64,
}

/// Denials by cause. A request that was refused while only observing counts as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DenialCounts {
    /// At the tenant's own limit.
    pub own_limit: u64,
    /// Those of them for which the pool had unclaimed memory at that moment.
    pub own_limit_with_room: u64,
    /// At the limit of a group above the tenant.
    pub group_limit: u64,
    /// By the pool.
    pub pool: u64,
    /// Those of the pool's and the groups' that would have left the tenant within 10 % above its
    /// guarantee.
    pub near_guarantee: u64,
    /// Asked too often.
    pub request_rate: u64,
    /// Anything else: too many allocations, too long a wait, a tenant on hold.
    pub other: u64,
}

/// What owners answered when an allocation was to go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReclaimCounts {
    /// Times an owner was asked.
    pub asked: u64,
    /// Answers that kept the allocation.
    pub busy: u64,
    /// Handlers that panicked.
    pub panicked: u64,
    /// Answers that took longer than [`reclaim_ms`](crate::AlertThresholds::reclaim_ms).
    pub slow: u64,
    /// The longest time an answer took, in ns.
    pub largest_ns: u64,
}

/// What happened so far, of one tenant or of all.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct MemoryStatistics {
    /// Requests for memory, growth included; one that was queued counts each time it is asked.
    pub requests: u64,
    /// Granted ones.
    pub granted: u64,
    /// Denied ones.
    pub denied: u64,
    /// Those that were told to come back.
    pub queued: u64,
    /// Requests that took a place in the queue, however often they were asked.
    pub waits: u64,
    /// Those of them that would leave the tenant within 10 % above its guarantee.
    pub waits_near_guarantee: u64,
    /// Percent of the answers that granted; 100 where there were none.
    pub success_percent: f64,
    /// Why requests were denied.
    pub denials: DenialCounts,
    /// How long requests took to be decided, evictions for them included, time in the queue not.
    /// Sampled: one in eight of those that took less than 65 us, and all others.
    pub latency: LatencySummary,
    /// How long requests waited in line until they were granted.
    pub wait: LatencySummary,
    /// Bytes evicted in the last minute, as far as the monitor has looked.
    pub evicted_bytes_per_minute: u64,
    /// Times in the last hour at which the pressure rose: of the pool to a higher level, of a
    /// tenant to the fill of its ceiling that is High for the pool.
    pub pressure_events_per_hour: u64,
    /// Times the balancer asked for something back; of all tenants: its steps that evicted.
    pub balancing_events: u64,
    /// What owners answered.
    pub reclaim: ReclaimCounts,
    /// Percent of the bytes claimed that are in live allocations; 100 where none is claimed.
    pub efficiency_percent: f64,
    /// Most bytes in live allocations at once; of all tenants: at a look of the monitor.
    pub peak_bytes: u64,
}

/// The live counters of one tenant.
#[derive(Default)]
pub(super) struct Statistics {
    counts: [Counter; KEPT],
    latency: Histogram,
    waits: Histogram,
    reclaim_largest_ns: Counter,
    /// Requests that took less than [`SLOW_NS`].
    quick: Counter,
    /// Whether the monitor looks at the tenant.
    pub watched: super::Switch,
    /// What the monitor had added to the sums when it last looked away.
    pub settled: Mutex<Totals>,
}

/// The counters of a tenant, from its first request on.
#[derive(Default)]
pub(super) struct Counted(OnceLock<Arc<Statistics>>);

impl Counted {
    /// The counters, made if there are none.
    pub(super) fn get(&self) -> &Arc<Statistics> {
        self.0.get_or_init(Arc::default)
    }

    /// The counters, if there are any.
    pub(super) fn look(&self) -> Option<&Statistics> {
        self.0.get().map(Arc::as_ref)
    }
}

impl Statistics {
    /// Counts one.
    pub(super) fn note(&self, count: Count) {
        self.add(count, 1);
    }

    fn add(&self, count: Count, by: u64) {
        // Relaxed: a statistic.
        self.counts[count as usize].fetch_add(by, Ordering::Relaxed);
    }

    /// Counts a request.
    pub(super) fn note_request(&self) {
        self.note(Count::Requests);
    }

    /// How many requests one that took so long stands for; none, if others stand for it. Quick
    /// ones are counted apart, so that slow ones between them do not choose the samples.
    pub(super) fn weight_of(&self, ns: u64) -> u64 {
        // Relaxed: a statistic.
        let quick = || self.quick.fetch_add(1, Ordering::Relaxed);
        match ns >= SLOW_NS {
            true => 1,
            false if quick().is_multiple_of(SAMPLE_EVERY) => SAMPLE_EVERY,
            false => 0,
        }
    }

    /// Counts the time a request took, which stands for `weight` of them.
    pub(super) fn note_latency(&self, ns: u64, weight: u64) {
        self.latency.note(ns, weight);
        self.add(Count::LatencyNs, ns.saturating_mul(weight));
        self.add(Count::LatencyWeight, weight);
    }

    /// Counts the time a request waited in line until it was granted.
    pub(super) fn note_wait(&self, ns: u64) {
        self.waits.note(ns, 1);
    }

    /// Counts the time an owner took to answer.
    pub(super) fn note_reclaim_ns(&self, ns: u64) {
        // Relaxed: a statistic.
        self.reclaim_largest_ns.fetch_max(ns, Ordering::Relaxed);
    }

    /// All counts, with what the governor has counted.
    pub(super) fn totals(&self, evicted_bytes: u64) -> Totals {
        let mut totals = Totals::default();
        for (total, counter) in totals.0.iter_mut().zip(&self.counts) {
            // Relaxed: a statistic.
            *total = counter.load(Ordering::Relaxed);
        }
        totals.set(Count::EvictedBytes, evicted_bytes);
        totals
    }

    /// The longest time an owner took to answer.
    pub(super) fn reclaim_largest_ns(&self) -> u64 {
        // Relaxed: a statistic.
        self.reclaim_largest_ns.load(Ordering::Relaxed)
    }

    pub(super) fn latency(&self) -> LatencySummary {
        self.latency.summary()
    }

    pub(super) fn waits(&self) -> LatencySummary {
        self.waits.summary()
    }
}

/// How long one request takes.
#[derive(Debug)]
pub(super) struct Timing {
    begun_ns: u64,
}

impl Timing {
    /// Begins to time a request.
    pub(super) fn begin(clock: &Clock) -> Self {
        Self { begun_ns: clock.now_ns() }
    }

    /// The time it took, in ns.
    pub(super) fn end(&self, clock: &Clock) -> u64 {
        clock.now_ns().saturating_sub(self.begun_ns)
    }
}

impl MemoryStatistics {
    /// What is derived from counts alone; the rest is filled in with `..`.
    pub(super) fn of(totals: &Totals) -> Self {
        let get = |count| totals.get(count);
        let (granted, denied) = (get(Count::Granted), get(Count::Denied));
        Self {
            requests: get(Count::Requests),
            granted,
            denied,
            queued: get(Count::Queued),
            waits: get(Count::Waits),
            waits_near_guarantee: get(Count::WaitsNearGuarantee),
            success_percent: share_percent(granted, granted + denied),
            denials: DenialCounts {
                own_limit: get(Count::OwnLimit),
                own_limit_with_room: get(Count::OwnLimitWithRoom),
                group_limit: get(Count::GroupLimit),
                pool: get(Count::Pool),
                near_guarantee: get(Count::NearGuarantee),
                request_rate: get(Count::RequestRate),
                other: get(Count::OtherCause),
            },
            balancing_events: get(Count::Balanced),
            reclaim: ReclaimCounts {
                asked: get(Count::ReclaimAsked),
                busy: get(Count::ReclaimBusy),
                panicked: get(Count::ReclaimPanicked),
                slow: get(Count::ReclaimSlow),
                largest_ns: 0,
            },
            efficiency_percent: 100.0,
            ..Self::default()
        }
    }
}

/// A share in percent; all of nothing is 100.
pub(super) fn share_percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 100.0 } else { part as f64 * 100.0 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_in_the_bucket_whose_bounds_hold_it() {
        for ns in [0, 1, 255, 256, 257, 511, 512, 1 << 20, (1 << 38) - 1, 1 << 38, u64::MAX] {
            let at = bucket(ns);
            assert!(ns <= upper_ns(at), "{ns}");
            assert!(at == 0 || ns > upper_ns(at - 1), "{ns}");
        }
        assert_eq!((bucket(0), bucket(u64::MAX)), (0, BUCKETS - 1));
    }

    #[test]
    fn the_99th_percentile_is_a_bound_of_a_sorted_list() {
        let histogram = Histogram::default();
        assert_eq!(histogram.summary(), LatencySummary::default());
        let mut times = Vec::new();
        let mut ns: u64 = 1;
        for number in 0..5_000u64 {
            ns = ns.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(number | 1);
            let time = (ns >> 40) << (ns % 12);
            histogram.note(time, 1);
            times.push(time);
            if number % 97 != 0 {
                continue;
            }
            let mut sorted = times.clone();
            sorted.sort_unstable();
            let exact = sorted[sorted.len() - sorted.len() / 100 - 1];
            let seen = histogram.summary();
            assert!(seen.p99_ns_max >= exact, "{seen:?}, exactly {exact}");
            assert!(seen.p99_ns_max <= (2 * exact).max(255), "{seen:?}, exactly {exact}");
        }
        let seen = histogram.summary();
        assert_eq!(seen.average_ns, times.iter().sum::<u64>() / 5_000);
        assert_eq!(Some(&seen.largest_ns), times.iter().max());
    }

    #[test]
    fn a_sample_stands_for_those_that_were_not_timed() {
        let statistics = Statistics::default();
        // Slow ones in between do not choose which of the quick ones are samples.
        let weights =
            (0..160).map(|at| statistics.weight_of(if at % 2 == 0 { SLOW_NS } else { 5 }));
        assert_eq!(weights.sum::<u64>(), 160);
        statistics.note_latency(1_000, SAMPLE_EVERY);
        statistics.note_latency(90_000, 1);
        let seen = statistics.latency();
        assert_eq!((seen.count, seen.average_ns), (9, 98_000 / 9));
        statistics.note_wait(5);
        assert_eq!((statistics.waits().count, statistics.latency().count), (1, 9));
    }
}
