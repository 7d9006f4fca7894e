//! A limit on the rate of requests: the generic cell rate algorithm, in one word per tenant.
//!
//! The virtual scheduling form of ITU-T I.371, annex A. The word is the theoretical arrival time
//! (TAT): when the next request would come if all came at exactly the rate. A request at `now` may
//! be early by the tolerance:
//!
//! ```text
//! interval  = time per request             tolerance = (bucket_depth - 1) * interval
//! pass      if TAT <= now + tolerance      and then  TAT := max(TAT, now) + interval
//! ```
//!
//! It is the token bucket of `bucket_depth` tokens, filled by one token per interval, without a
//! timer and without a second word for the time of the last visit.
//!
//! Invariants:
//!
//! ```text
//! word  TAT, or a number from FULL on: the bucket is full, and of that generation
//! L1  passed between t0 and t1 <= bucket_depth + (t1 - t0) / interval
//! L2  TAT never decreases              (save by reset)
//! L3  a refusal is what the rule above says for the TAT and the limit at some instant of the call
//! L4  a token is taken at the limit in force, from the word that was looked at before the limit
//! ```
//!
//! L3 holds although the load may be stale: by L2 an older TAT refuses less, never more. Losing a
//! race costs a further attempt, and losing all of them is not called a refusal of the rate.
//!
//! L4 holds because the limit, and whose it is, is asked for after each look at the word, and the
//! exchange is from what was seen there. If the cell went to another tenant in between, or another
//! request passed at a limit that was set since, the word is another, and all is looked at again.
//! A bucket that nobody has used yet is full *of its generation*, so it is never taken for one of a
//! tenant that is gone. One in use is taken for it only if both have the same TAT, to the
//! nanosecond, and a request was on its way from the one to the other.
//!
//! Time comes in with the call. Where it comes back (samples of two threads that cross, or a clock
//! that was set back) TAT stays, so L1 holds over the latest time seen, and a request is judged by
//! the time it brings: it may be told to wait as much longer as its time is behind.

use super::region::Zeroed;
use super::sync::{AtomicU64, Ordering};

/// How often a request tries to move the word. Another thread passed at each failure.
pub const ATTEMPTS_MAX: u32 = 16;

/// Words from here on are no times but full buckets, by the generation of their cell's tenant.
const FULL: u64 = u64::MAX - u32::MAX as u64;

/// Nanoseconds in a second.
const SECOND_NS: u64 = 1_000_000_000;

/// How fast, and how many at once. [`RateLimit::new`] makes sensible ones; the fields are open so
/// that a record may keep them apart. No values break the arithmetic: at worst, with an interval of
/// 0, a limit lets everything pass. A tenant is only given one that could have been made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Time per request.
    pub interval_ns: u64,
    /// How much too early a request may come: `(bucket_depth - 1) * interval_ns`.
    pub tolerance_ns: u64,
}

/// Why a limit cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RateLimitError {
    /// The rate is zero, or finer than the clock.
    #[error("{0} requests per second is outside 1..=1000000000: choose a rate within")]
    RequestsPerSecond(u64),
    /// No time between requests is no limit.
    #[error("an interval of 0 ns is below 1: leave the limit away if there is to be none")]
    Interval,
    /// A bucket of no tokens passes nothing.
    #[error("a bucket depth of 0 is below 1, and would pass nothing: choose at least 1")]
    BucketDepth,
    /// The bucket takes longer to fill than time can say.
    #[error(
        "a bucket of {bucket_depth} requests every {interval_ns} ns fills in more than \
             {TOLERANCE_NS_MAX} ns: choose a smaller depth"
    )]
    Tolerance {
        /// The depth asked for.
        bucket_depth: u64,
        /// The interval it goes with.
        interval_ns: u64,
    },
}

/// Largest tolerance, and so the longest that a tenant can save up: 146 years.
pub const TOLERANCE_NS_MAX: u64 = u64::MAX / 4;

/// Why a request did not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateRefused {
    /// The rate is used up. After so many nanoseconds a request passes if no other does before.
    RetryAfter {
        /// The wait, counted from the time of the request; at least 1.
        wait_ns: u64,
    },
    /// Other requests of the tenant passed at each of [`ATTEMPTS_MAX`] attempts: nothing is known.
    Contended,
}

/// The state of one tenant's limit. Zero is a full bucket.
#[derive(Debug)]
pub struct Rate {
    /// The theoretical arrival time in ns, or from [`FULL`] on a full bucket.
    word: AtomicU64,
}

// SAFETY: an atomic is valid when zero, zero is a full bucket, and it needs no Drop.
unsafe impl Zeroed for Rate {
    fn empty() -> Self {
        Self { word: AtomicU64::new(0) }
    }
}

impl RateLimit {
    /// So many requests per second, and at most `bucket_depth` at once after a pause.
    ///
    /// The interval is rounded up to whole nanoseconds: the rate kept is never above the one asked
    /// for, and below it by less than `requests_per_second` parts in 1 000 000 000.
    ///
    /// # Errors
    ///
    /// [`RateLimitError`] says which value is outside its bounds.
    pub const fn new(requests_per_second: u64, bucket_depth: u64) -> Result<Self, RateLimitError> {
        if requests_per_second == 0 || requests_per_second > SECOND_NS {
            return Err(RateLimitError::RequestsPerSecond(requests_per_second));
        }
        Self::from_interval(SECOND_NS.div_ceil(requests_per_second), bucket_depth)
    }

    /// One request per interval, and at most `bucket_depth` at once after a pause. For rates below
    /// one per second, and for exact ones.
    ///
    /// # Errors
    ///
    /// [`RateLimitError`] says which value is outside its bounds.
    pub const fn from_interval(
        interval_ns: u64,
        bucket_depth: u64,
    ) -> Result<Self, RateLimitError> {
        if interval_ns == 0 {
            return Err(RateLimitError::Interval);
        }
        let Some(early) = bucket_depth.checked_sub(1) else {
            return Err(RateLimitError::BucketDepth);
        };
        match early.checked_mul(interval_ns) {
            Some(tolerance_ns) if tolerance_ns <= TOLERANCE_NS_MAX => {
                Ok(Self { interval_ns, tolerance_ns })
            }
            _ => Err(RateLimitError::Tolerance { bucket_depth, interval_ns }),
        }
    }

    /// Time between two requests that keep the rate, in ns.
    pub const fn interval_ns(self) -> u64 {
        self.interval_ns
    }

    /// How many requests pass at once after a pause.
    pub const fn bucket_depth(self) -> u64 {
        match self.tolerance_ns.checked_div(self.interval_ns) {
            Some(early) => early.saturating_add(1),
            None => u64::MAX,
        }
    }

    /// The rule: the next theoretical arrival time, or how long the request is too early.
    #[inline]
    const fn judge(self, word: u64, now_ns: u64) -> Result<u64, u64> {
        let theoretical_arrival_ns = if word < FULL { word } else { 0 };
        let early_ns = theoretical_arrival_ns.saturating_sub(now_ns);
        if early_ns > self.tolerance_ns {
            return Err(early_ns - self.tolerance_ns);
        }
        let start_ns = now_ns.saturating_add(early_ns);
        match start_ns.checked_add(self.interval_ns) {
            Some(next_ns) if next_ns < FULL => Ok(next_ns),
            // The end of time, 584 years on: nothing passes rather than everything.
            _ => Err(u64::MAX),
        }
    }
}

impl Rate {
    /// A full bucket.
    pub fn new() -> Self {
        Self::empty()
    }

    /// Takes one token if there is one. The limit may differ from call to call: the next call is
    /// judged by the limit it brings.
    ///
    /// Wait-free: one load and at most [`ATTEMPTS_MAX`] read-modify-writes, one without contention.
    ///
    /// # Errors
    ///
    /// [`RateRefused`]; nothing has changed.
    #[inline]
    pub fn try_pass(&self, limit: RateLimit, now_ns: u64) -> Result<(), RateRefused> {
        self.try_pass_by(|| Ok(Some(limit)), now_ns)
    }

    /// The same by the limit that is in force; without one everything passes. It is asked for after
    /// each look at the bucket, once without contention, and may refuse the request itself.
    ///
    /// # Errors
    ///
    /// [`RateRefused`], or what `limit` answered; nothing has changed.
    #[inline]
    pub fn try_pass_by<E: From<RateRefused>>(
        &self,
        limit: impl Fn() -> Result<Option<RateLimit>, E>,
        now_ns: u64,
    ) -> Result<(), E> {
        // Acquire: pairs with the Release in `reset` and of the exchange below; the limit that is
        // asked for next, and whose it is, is not older than the word.
        let mut seen = self.word.load(Ordering::Acquire);
        for _ in 0..ATTEMPTS_MAX {
            let Some(limit) = limit()? else { return Ok(()) };
            let next_ns = match limit.judge(seen, now_ns) {
                Ok(next_ns) => next_ns,
                Err(wait_ns) => return Err(RateRefused::RetryAfter { wait_ns }.into()),
            };
            // Release: whoever sees this word sees the limit by which it was made. Acquire on
            // failure: as above.
            let (success, failure) = (Ordering::Release, Ordering::Acquire);
            match self.word.compare_exchange(seen, next_ns, success, failure) {
                Ok(_) => return Ok(()),
                Err(newer) => seen = newer,
            }
        }
        Err(RateRefused::Contended.into())
    }

    /// Fills the bucket, for the tenant of this generation: another word than any before.
    pub fn reset(&self, generation: u32) {
        // Release: pairs with the Acquire in `try_pass_by`; whoever sees this word sees that the
        // account of the last tenant was closed.
        self.word.store(FULL + u64::from(generation), Ordering::Release);
    }
}

impl Default for Rate {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::super::region::tests::{assert_empty_is_zeroed, words};
    use super::*;

    words! { Rate: word }

    #[test]
    fn an_empty_cell_is_a_zeroed_one() {
        assert_empty_is_zeroed::<Rate>();
    }

    /// A word of its own for each, and none of them a time.
    #[test]
    fn every_generation_begins_with_a_full_bucket_of_its_own() {
        let limit = RateLimit::from_interval(7, 1).unwrap();
        for generation in [0, 1, 2, u32::MAX] {
            let rate = Rate::new();
            rate.reset(generation);
            // Relaxed: one thread.
            let word = rate.word.load(Ordering::Relaxed);
            assert_eq!(word - FULL, generation.into());
            assert_eq!(limit.judge(word, 0), Ok(7));
        }
        assert_eq!(limit.judge(0, FULL - 8), Ok(FULL - 1));
        assert_eq!(limit.judge(0, FULL - 7), Err(u64::MAX), "the end of time");
    }
}
