//! Models of the rate limit: two or three requests of one tenant at once. Times are in intervals.
#![cfg(allot_loom)]

use allotment::internals::rate::{Rate, RateLimit, RateRefused};
use loom_tests::{control, model, thread};
use std::sync::Arc;

const INTERVAL_NS: u64 = 10;

fn limit(bucket_depth: u64) -> RateLimit {
    RateLimit::from_interval(INTERVAL_NS, bucket_depth).unwrap()
}

/// Requests at these times, each on its own thread; the answers in that order.
fn all_at_once<const N: usize>(
    rate: &Arc<Rate>,
    bucket_depth: u64,
    times_ns: [u64; N],
) -> [Result<(), RateRefused>; N] {
    let threads = times_ns.map(|now_ns| {
        let rate = rate.clone();
        thread::spawn(move || rate.try_pass(limit(bucket_depth), now_ns))
    });
    threads.map(|thread| thread.join().unwrap())
}

fn passed(answers: &[Result<(), RateRefused>]) -> usize {
    answers.iter().filter(|answer| answer.is_ok()).count()
}

/// L1 and L3: of three requests at once exactly the depth of two pass, and the third is told the
/// wait that one thread would be told.
#[test]
fn exactly_the_depth_passes() {
    model("rate::exactly_the_depth_passes", None, || {
        let answers = all_at_once(&Arc::new(Rate::new()), 2, [0; 3]);
        assert_eq!(passed(&answers), 2);
        let refused = Err(RateRefused::RetryAfter { wait_ns: INTERVAL_NS });
        assert!(answers.contains(&refused), "a true wait");
    });
}

/// I6: where there is room for all, nobody is refused for another's race, nor called contended.
#[test]
fn with_room_nobody_is_refused() {
    model("rate::with_room_nobody_is_refused", None, || {
        assert_eq!(passed(&all_at_once(&Arc::new(Rate::new()), 3, [0; 3])), 3);
    });
}

/// I6: a request that is refused leaves no trace, so it does not refuse another that fits. The
/// bucket is empty at 0, and has one token at 10.
#[test]
fn a_refused_request_refuses_nobody_else() {
    model("rate::a_refused_request_refuses_nobody_else", None, || {
        let rate = Arc::new(Rate::new());
        assert_eq!(rate.try_pass(limit(1), 0), Ok(()));
        let [early, due] = all_at_once(&rate, 1, [0, INTERVAL_NS]);
        assert!(early.is_err());
        assert_eq!(due, Ok(()));
    });
}

/// Times that cross: the answers are those of one order of the two requests.
#[test]
fn crossing_times_are_answered_as_in_some_order() {
    model("rate::crossing_times_are_answered_as_in_some_order", None, || {
        let answers = all_at_once(&Arc::new(Rate::new()), 1, [0, INTERVAL_NS]);
        let wait = Err(RateRefused::RetryAfter { wait_ns: 2 * INTERVAL_NS });
        let orders = [[Ok(()), Ok(())], [wait, Ok(())]];
        assert!(orders.contains(&answers), "{answers:?}");
    });
}

/// The same rule with its word moved in three wrong ways.
mod weakened {
    use super::INTERVAL_NS;
    use loom::sync::atomic::{AtomicU64, Ordering};

    #[derive(Clone, Copy)]
    pub enum Move {
        /// A plain store instead of an exchange.
        Store,
        /// One attempt, whose failure counts as a refusal.
        OneAttempt,
        /// Add first, take back when it was too much.
        AddAndTakeBack,
    }

    /// Whether a request passes a bucket of `bucket_depth`, all times within one interval of 0.
    pub fn passes(word: &AtomicU64, how: Move, bucket_depth: u64, now_ns: u64) -> bool {
        let tolerance_ns = (bucket_depth - 1) * INTERVAL_NS;
        let seen_ns = match how {
            Move::AddAndTakeBack => word.fetch_add(INTERVAL_NS, Ordering::AcqRel),
            _ => word.load(Ordering::Acquire),
        };
        let fits = seen_ns <= now_ns + tolerance_ns;
        let next_ns = seen_ns.max(now_ns) + INTERVAL_NS;
        match how {
            Move::Store if fits => {
                word.store(next_ns, Ordering::Release);
                true
            }
            Move::OneAttempt if fits => {
                let order = (Ordering::AcqRel, Ordering::Acquire);
                word.compare_exchange(seen_ns, next_ns, order.0, order.1).is_ok()
            }
            Move::AddAndTakeBack if !fits => {
                word.fetch_sub(INTERVAL_NS, Ordering::AcqRel);
                false
            }
            _ => fits,
        }
    }

    /// Two requests at once, on a bucket of which `used` tokens are gone.
    pub fn two_at_once(how: Move, bucket_depth: u64, used: u64, times_ns: [u64; 2]) -> [bool; 2] {
        let word = std::sync::Arc::new(AtomicU64::new(used * INTERVAL_NS));
        let threads = times_ns.map(|now_ns| {
            let word = word.clone();
            loom_tests::thread::spawn(move || passes(&word, how, bucket_depth, now_ns))
        });
        threads.map(|thread| thread.join().unwrap())
    }
}

/// A mistake that contradicts a claim.
fn caught(mistake: &str, claim: &str, f: impl Fn() + Send + Sync + 'static) {
    control(&format!("rate::{mistake}"), || model(&format!("rate::{claim}"), None, f));
}

#[test]
#[should_panic(expected = "more passed than the depth")]
fn control_a_plain_store_passes_too_many() {
    caught("a_plain_store", "exactly_the_depth_passes", || {
        let answers = weakened::two_at_once(weakened::Move::Store, 1, 0, [0, 0]);
        assert_ne!(answers, [true, true], "more passed than the depth");
    });
}

#[test]
#[should_panic(expected = "refused with room for both")]
fn control_one_attempt_refuses_for_a_race() {
    caught("one_attempt", "with_room_nobody_is_refused", || {
        let answers = weakened::two_at_once(weakened::Move::OneAttempt, 2, 0, [0, 0]);
        assert_eq!(answers, [true, true], "refused with room for both");
    });
}

#[test]
#[should_panic(expected = "refused for another's transient")]
fn control_adding_first_refuses_for_a_transient() {
    caught("adding_first", "a_refused_request_refuses_nobody_else", || {
        let times_ns = [0, INTERVAL_NS];
        let [_, due] = weakened::two_at_once(weakened::Move::AddAndTakeBack, 1, 1, times_ns);
        assert!(due, "refused for another's transient");
    });
}
