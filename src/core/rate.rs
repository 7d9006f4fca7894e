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
//! word  which of two limits is in force, and TAT, or a number from FULL on: the bucket is full,
//!       and of that generation
//! L1  passed between t0 and t1 <= bucket_depth + (t1 - t0) / interval
//! L2  TAT never decreases, save by a change of the limit, to TAT <= now + tolerance + interval of
//!     the new one, and by 1 ns at least: nobody owes more than an empty bucket  (and by reset)
//! L3  a refusal is what the rule above says for the TAT and the limit at some instant of the call
//! L4  a token is taken at the limit in force, from the word that was looked at before the limit
//! ```
//!
//! The limit in force changes by the exchange that changes TAT, so nobody is judged by the one
//! before and the other after a change. L3 holds because the word is looked at again after the
//! limit was read: if it is the same, both were in force. It may be stale, but by L2 an older TAT
//! refuses less, never more, at one limit. Losing a race costs a further attempt, and losing all of
//! them is not called a refusal of the rate.
//!
//! L4 holds because the limit, and whose it is, is asked for after each look at the word, and the
//! exchange is from what was seen there. If the cell went to another tenant in between, another
//! request passed or the limit was changed, the word is another, and all is looked at again.
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

/// In a word: the second of the two limits is in force. The rest is a time, or a full bucket.
const SECOND: u64 = 1 << 63;
/// Words from here on are no times but full buckets, by the generation of their cell's tenant and
/// by how often its limit was changed.
const FULL: u64 = SECOND - FULL_WORDS;
const FULL_WORDS: u64 = 1 << 48;
/// One more change of the limit of a full bucket.
const ONE_CHANGE: u64 = 1 << u32::BITS;

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

/// One tenant's limit, and how much of it is used. Zero is a full bucket without a limit.
#[derive(Debug)]
#[repr(C)]
pub struct Rate {
    /// The theoretical arrival time in ns, or from [`FULL`] on a full bucket; with [`SECOND`].
    word: AtomicU64,
    /// The limit in force, and the one before or after it.
    limits: [Limit; 2],
}

/// A limit as it is stored.
#[derive(Debug)]
#[repr(C)]
struct Limit {
    /// 0: there is no limit.
    interval_ns: AtomicU64,
    tolerance_ns: AtomicU64,
}

// SAFETY: atomics are valid when zero, zero is a full bucket without a limit; no Drop is needed.
unsafe impl Zeroed for Rate {
    fn empty() -> Self {
        let limit = || Limit { interval_ns: AtomicU64::new(0), tolerance_ns: AtomicU64::new(0) };
        Self { word: AtomicU64::new(0), limits: [limit(), limit()] }
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
        let time = word & !SECOND;
        let theoretical_arrival_ns = if time < FULL { time } else { 0 };
        let early_ns = theoretical_arrival_ns.saturating_sub(now_ns);
        if early_ns > self.tolerance_ns {
            return Err(early_ns - self.tolerance_ns);
        }
        let start_ns = now_ns.saturating_add(early_ns);
        match start_ns.checked_add(self.interval_ns) {
            Some(next_ns) if next_ns < FULL => Ok(next_ns | (word & SECOND)),
            // The end of time, 292 years on: nothing passes rather than everything.
            _ => Err(u64::MAX),
        }
    }
}

impl Limit {
    fn set(&self, limit: Option<RateLimit>) {
        let (interval_ns, tolerance_ns) = limit.map_or((0, 0), |l| (l.interval_ns, l.tolerance_ns));
        // Release: pairs with the Acquire in `get`; whoever reads a limit that is not in force yet
        // sees the change that put the other one in force, and so another word than before.
        let order = Ordering::Release;
        self.interval_ns.store(interval_ns, order);
        self.tolerance_ns.store(tolerance_ns, order);
    }

    #[inline]
    fn get(&self) -> Option<RateLimit> {
        // Acquire: pairs with the Release in `set`; the word, and whose account it is, looked at
        // next, are not older.
        let order = Ordering::Acquire;
        let interval_ns = self.interval_ns.load(order);
        (interval_ns != 0)
            .then(|| RateLimit { interval_ns, tolerance_ns: self.tolerance_ns.load(order) })
    }
}

impl Rate {
    /// A full bucket.
    pub fn new() -> Self {
        Self::empty()
    }

    /// Takes one token if there is one, whatever limit is in force. The limit may differ from call
    /// to call: the next call is judged by the limit it brings.
    ///
    /// Wait-free: at most [`ATTEMPTS_MAX`] times a load and a read-modify-write, one of each
    /// without contention.
    ///
    /// # Errors
    ///
    /// [`RateRefused`]; nothing has changed.
    #[inline]
    pub fn try_pass(&self, limit: RateLimit, now_ns: u64) -> Result<(), RateRefused> {
        self.pass(|_| Ok(Some(limit)), now_ns)
    }

    /// The same by the limit that is in force; without one everything passes. Where there is one,
    /// `check` is called after each look at the bucket and the limit, once without contention, and
    /// may refuse the request itself.
    ///
    /// # Errors
    ///
    /// [`RateRefused`], or what `check` answered; nothing has changed.
    #[inline]
    pub fn try_pass_by<E: From<RateRefused>>(
        &self,
        check: impl Fn() -> Result<(), E>,
        now_ns: u64,
    ) -> Result<(), E> {
        self.pass(
            |word| self.limit_of(word).map(|limit| check().map(|()| limit)).transpose(),
            now_ns,
        )
    }

    #[inline]
    fn pass<E: From<RateRefused>>(
        &self,
        limit: impl Fn(u64) -> Result<Option<RateLimit>, E>,
        now_ns: u64,
    ) -> Result<(), E> {
        let mut seen = self.word();
        for _ in 0..ATTEMPTS_MAX {
            // Where the word has changed meanwhile it may be one that is just being lifted.
            let Some(limit) = limit(seen)? else { return Ok(()) };
            let newer = match limit.judge(seen, now_ns) {
                Ok(next) => {
                    // Release: whoever sees this word sees the limit by which it was made. Acquire
                    // on failure: as in `word`.
                    let (success, failure) = (Ordering::Release, Ordering::Acquire);
                    match self.word.compare_exchange(seen, next, success, failure) {
                        Ok(_) => return Ok(()),
                        Err(newer) => newer,
                    }
                }
                Err(wait_ns) => match self.word() {
                    same if same == seen => return Err(RateRefused::RetryAfter { wait_ns }.into()),
                    newer => newer,
                },
            };
            seen = newer;
        }
        Err(RateRefused::Contended.into())
    }

    #[inline]
    fn word(&self) -> u64 {
        // Acquire: pairs with the Release in `reset`, and of the exchanges in `pass` and `set`; the
        // limit that is looked at next, and whose it is, is not older than the word.
        self.word.load(Ordering::Acquire)
    }

    #[inline]
    fn limit_of(&self, word: u64) -> Option<RateLimit> {
        self.limits[usize::from(word & SECOND != 0)].get()
    }

    /// The limit in force, if there is one.
    #[inline]
    pub fn limit(&self) -> Option<RateLimit> {
        self.limit_of(self.word())
    }

    /// Changes the limit; `None` lifts it. What was used at the one before counts for no more than
    /// the tokens of an empty bucket. The caller holds the administrative mutex: one at a time.
    pub fn set(&self, limit: Option<RateLimit>, now_ns: u64) {
        let mut seen = self.word();
        self.limits[usize::from(seen & SECOND == 0)].set(limit);
        let empty_ns = limit.map_or(FULL, |limit| {
            now_ns.saturating_add(limit.tolerance_ns).saturating_add(limit.interval_ns)
        });
        loop {
            let time = seen & !SECOND;
            // Another word in any case, also after two changes, so that nobody passes who has
            // looked before.
            let next = match time.checked_sub(FULL) {
                Some(full) => FULL + (full + ONE_CHANGE) % FULL_WORDS,
                None => time.saturating_sub(1).min(empty_ns),
            };
            // AcqRel: Release pairs with the Acquire in `word`; the limit is stored before. Acquire
            // on success and failure: as in `word`, for the next change.
            let order = (Ordering::AcqRel, Ordering::Acquire);
            match self.word.compare_exchange(seen, next | (!seen & SECOND), order.0, order.1) {
                Ok(_) => return,
                // A request has passed at the limit before.
                Err(newer) => seen = newer,
            }
        }
    }

    /// Fills the bucket, for the tenant of this generation: another word than any before.
    pub fn reset(&self, generation: u32) {
        // Relaxed: changed under the mutex only, which the caller holds.
        let second = self.word.load(Ordering::Relaxed) & SECOND;
        // Release: pairs with the Acquire in `word`; whoever sees this word sees that the account
        // of the last tenant was closed.
        self.word.store((FULL + u64::from(generation)) | second, Ordering::Release);
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

    words! { Rate: word limits }
    words! { Limit: interval_ns tolerance_ns }

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
            let word = rate.word();
            assert_eq!(word - FULL, generation.into());
            assert_eq!(limit.judge(word, 0), Ok(7));
        }
        assert_eq!(limit.judge(0, FULL - 8), Ok(FULL - 1));
        assert_eq!(limit.judge(0, FULL - 7), Err(u64::MAX), "the end of time");
    }

    /// L4. Whoever has looked before a change, or before two, passes by none of the words after it.
    #[test]
    fn every_change_of_the_limit_makes_another_word() {
        let limit = RateLimit::from_interval(7, 2).unwrap();
        for used in [false, true] {
            let rate = Rate::new();
            rate.reset(u32::MAX);
            rate.set(Some(limit), 100);
            if used {
                rate.try_pass(limit, 100).unwrap();
            }
            let mut words = vec![rate.word()];
            for change in 1..=20_u64 {
                rate.set((change % 3 != 0).then_some(limit), 100);
                assert!(!words.contains(&rate.word()), "{change}");
                words.push(rate.word());
                let full = (rate.word() & !SECOND).checked_sub(FULL);
                assert_eq!(full.map(|full| full as u32), (!used).then_some(u32::MAX));
            }
        }
    }

    #[test]
    fn what_is_used_counts_for_no_more_than_an_empty_bucket_of_the_next_limit() {
        let (slow, fast) = (RateLimit::new(1, 5).unwrap(), RateLimit::new(1_000, 3).unwrap());
        let rate = Rate::new();
        rate.set(Some(slow), 0);
        let pass = |now_ns| rate.try_pass_by(|| Ok::<_, RateRefused>(()), now_ns);
        (0..5).for_each(|_| assert_eq!(pass(50), Ok(())));
        rate.set(Some(fast), 50);
        assert_eq!(pass(50), Err(RateRefused::RetryAfter { wait_ns: 1_000_000 }));
        assert_eq!(rate.limit(), Some(fast));
        assert_eq!(pass(1_000_050), Ok(()));
        rate.set(None, 1_000_050);
        assert_eq!((rate.limit(), pass(0)), (None, Ok(())));
    }
}
