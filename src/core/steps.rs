//! How many steps a verb takes at most, whatever other threads do (I5).
//!
//! A step is one access of the calling thread to an atomic, plain or read-modify-write. Each bound
//! is summed up from the bounds of the loops below it, so it follows when one of those changes.
//!
//! ```text
//! steps(verb) <= constant + by_account x accounts + by_segment x segments
//! ```
//!
//! The two factors belong to the slow paths of a request and of growth alone: certifying that an
//! ancestor is full, collecting what is idle, looking for a slot when the table is used up. The
//! bounds are far above what happens: the hot path takes two read-modify-writes and some thirty
//! plain accesses. `tests/steps.rs` counts.
//!
//! While somebody waits, whoever frees bytes or finds claim idle may hand it over as well: steps
//! that grow with the line (`wait.rs`) come on top.

use super::account::{
    CHARGE_AT_ONCE_TURNS_MAX, CHARGE_ROUNDS_MAX, CHARGE_TURNS_MAX, DEPTH_MAX, LEVELS,
    RECORD_LOOKS_MAX, TRIM_LOOKS_MAX, TRIM_TURNS_MAX,
};
use super::admission::RESTARTS_MAX;
use super::credit::TAKE_TURNS_MAX;
use super::events::EVENT_WORDS;
use super::evict::PASS_TURNS_MAX;
use super::grants::{HOLD_TURNS_MAX, SLOTS};
use super::queue::{QUEUE_TURNS_MAX, SEARCH_SEGMENTS};
use super::rate::ATTEMPTS_MAX;
use super::ring::PUSH_READ_MODIFY_WRITES_MAX;
use super::tenant::TYPES;
use super::word::BYTES_BITS;

/// The most steps of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepsMax {
    /// Whatever the size of the tables.
    pub constant: u64,
    /// For each account that was ever registered.
    pub by_account: u64,
    /// For each segment of slots that was ever in use.
    pub by_segment: u64,
}

impl StepsMax {
    const fn new(constant: u64) -> Self {
        Self { constant, by_account: 0, by_segment: 0 }
    }

    const fn plus(self, other: Self) -> Self {
        Self {
            constant: self.constant + other.constant,
            by_account: self.by_account + other.by_account,
            by_segment: self.by_segment + other.by_segment,
        }
    }

    const fn times(self, n: u32) -> Self {
        Self {
            constant: self.constant * n as u64,
            by_account: self.by_account * n as u64,
            by_segment: self.by_segment * n as u64,
        }
    }

    /// The bound where there are so many accounts and segments.
    pub const fn among(self, accounts: u64, segments: u64) -> u64 {
        self.constant + self.by_account * accounts + self.by_segment * segments
    }
}

// account.rs

/// Limit in force: level, limit, and at the highest level weight, guarantee and water level.
const LIMIT: u64 = 5;
/// So many values of the record in force; changes and the used word before and after each look.
const fn in_force(values: u64) -> u64 {
    RECORD_LOOKS_MAX as u64 * (values + 4)
}
const HEAD: u64 = in_force(1);
/// Head and guarantee.
const GUARANTEE: u64 = in_force(2);
/// Changes, used word, head, limit, guarantee, claim.
const VIEW: u64 = 5 + LIMIT;
/// Used word, limit and head once more.
const REFUSAL: u64 = 2 + LIMIT;
/// Exchange, changes; if a version may have come round once more, the subtraction, and two notes.
const COMMIT: u64 = 6;
const LEVELS_UP: u64 = DEPTH_MAX as u64;
/// The guarantee; of each account above what it is, its guarantee, and use and limit once more.
const WITHIN_ABOVE: u64 = 1 + LEVELS_UP * (1 + VIEW + 1 + REFUSAL);
/// A refusal is the longest of the ways on but for the payment of a group, which looks for excess
/// first; buying takes a mark, generation, parent, payment.
const TURN: u64 = VIEW + REFUSAL + WITHIN_ABOVE;
const _: () = assert!(REFUSAL >= COMMIT);
/// Used word, guarantee (head, bytes), claim.
const LOOK: u64 = 4;
/// So many looks; after each the exchange of the claim, the count of trims; turns; the hand-back.
const TRIM: u64 = TRIM_LOOKS_MAX as u64 * (LOOK + 3 + TRIM_TURNS_MAX as u64 * (LOOK + 1) + 4);
/// Limit and use are looked at at last.
const COLLECT_ABOVE: u64 = 1 + LEVELS_UP * (TRIM + 1) + in_force(LIMIT) + 1;
/// Two looks below, from the top down, between two at the account.
const CERTIFY: StepsMax = StepsMax {
    constant: VIEW + 2 * REFUSAL + 2 + 2 * (LEVELS_UP + 1),
    by_account: 2 * (LEVELS_UP + LEVELS_UP + 1 + LOOK + 1),
    by_segment: 0,
};
const COLLECT: StepsMax = StepsMax {
    constant: LEVELS_UP + 1,
    by_account: LEVELS_UP + LEVELS_UP + TRIM + 1 + COLLECT_ABOVE,
    by_segment: 0,
};
const ROUND: StepsMax = StepsMax::new(CHARGE_TURNS_MAX as u64 * TURN).plus(CERTIFY).plus(COLLECT);
const ACCOUNT_CHARGE: StepsMax = StepsMax::new(VIEW + COMMIT).plus(ROUND.times(CHARGE_ROUNDS_MAX));
const _: () = assert!(LEVELS == 3);

// queue.rs and grants.rs

const LANES: u64 = SLOTS as u64;
/// Word, generation, exchange, owner, and the store that undoes it.
const RESERVE_SLOT: u64 = 5;
/// The slot released last, or where the hints are and one of them; the same to set one.
const HINT: u64 = 5;
/// Where to begin, the segments looked at, where to go on.
const SEARCH: u64 = 3 + SEARCH_SEGMENTS as u64 * (2 + LANES * RESERVE_SLOT);
/// Counted as spare or fresh, and given away with the sum of its generations.
const TAKE_SEGMENT: u64 = 8 + LANES + 2;
/// The returned segments, a bit each: a word of 64, and an attempt at each bit.
const TAKE_BY_SEGMENT: u64 = 2;
/// The turns; the hints and the slots that are freed, or else everything back.
const LINK: u64 = QUEUE_TURNS_MAX as u64 * 4 + 2 + 2 * LANES + 6;
/// A look at a whole queue for certainty: owner, next, and every slot.
const LOOK_BY_SEGMENT: u64 = 3 + LANES * (RESERVE_SLOT + 2);
const RESERVE: StepsMax = StepsMax {
    constant: HINT + RESERVE_SLOT + SEARCH + 2 * (TAKE_SEGMENT + LINK) + 6,
    by_account: 0,
    by_segment: 2 * (TAKE_BY_SEGMENT + LOOK_BY_SEGMENT),
};
/// Word, generation and owner, exchange; owner and generation again, and the store that undoes it.
const HOLD: u64 = HOLD_TURNS_MAX as u64 * 5 + 3;
/// Key, cookie, expiry, until when it is kept, flags.
const FIELDS: u64 = 5;

// admission.rs and evict.rs

const COUNT: u64 = QUEUE_TURNS_MAX as u64 * 3 + 1;
/// The bucket; at each attempt limit and account in force.
const RATE: u64 = 1 + ATTEMPTS_MAX as u64 * (2 + HEAD + 1);
const PREPARE: StepsMax = StepsMax::new(HEAD + COUNT).plus(RESERVE);
const ABANDON: u64 = 2 + HINT + 1;
/// A set of ghosts, what was learned, and which policy asks.
const RECALL: u64 = 64;
/// Clock, recall, generation, fields, recency, word, count, use and peak.
const PUBLISH: u64 = 2 + RECALL + 2 + FIELDS + 2 + 1 + 3;
/// Once more, between two looks at the batch word.
const CHARGE: StepsMax = ACCOUNT_CHARGE.times(2).plus(StepsMax::new(3));
/// The subtraction; where a limit was lowered below use, the claim goes up as well.
const UNCHARGE: u64 = 2 + TRIM + COLLECT_ABOVE;
/// The accounts on the way of a deferred victim's bytes: looked at, handed up, and left.
const RETURN_DEFERRED: u64 = (LEVELS_UP + 1) * (2 + PASS_TURNS_MAX as u64 * TRIM + 1);

// The front door: whose grant it is, the record of an event, the data of a denial, and what a
// refusal sets off: a look at the fill of the pool, or the return of segments without grants.

const OWNER: u64 = 8;
const EVENT: u64 = PUSH_READ_MODIFY_WRITES_MAX + EVENT_WORDS as u64 + 4;
/// A look, the exchanges; then it is given back, or the refusal counted.
const ROOM: u64 = 1 + TAKE_TURNS_MAX as u64 + 4;
/// What was asked for, and what for.
const CALL: u64 = ROOM + 2 * EVENT;
/// Head, limits, guarantee, weight, traits.
const SETTINGS: u64 = in_force(4 + LEVELS as u64);
/// What the limits on the way to the root allow.
const ATTAINABLE: u64 = SETTINGS + LEVELS_UP * (1 + SETTINGS + 2 + GUARANTEE);
/// Less the guarantees of others on each level.
const PROMISED: u64 = LEVELS_UP * (1 + LOOK + GUARANTEE);
/// Guarantee, priority, use and want of a tenant.
const PARTY: u64 = GUARANTEE + HEAD + 1 + ATTAINABLE;
/// What is set aside, before and after; the water level is found by bisection of the capacity.
const POOL_FILL: StepsMax = StepsMax {
    constant: 4 + 2 * (VIEW + in_force(LIMIT)) + ROOM + EVENT,
    by_account: 1 + (2 + BYTES_BITS as u64) * (PARTY + 1),
    by_segment: 0,
};
/// Announced twice, with head and tally; then every segment is retired or not.
const SHED: StepsMax =
    StepsMax { constant: 2, by_account: TYPES as u64 * 9, by_segment: 8 + 5 * LANES };
const DENIAL: StepsMax =
    StepsMax::new(5 + in_force(LIMIT) + EVENT + ATTAINABLE + PROMISED).plus(POOL_FILL).plus(SHED);

// hot_path.rs

/// Changes, used word, gauge, pass, generation, claim; then as for any charge.
const CHARGE_AT_ONCE: u64 = 6 + COMMIT + CHARGE_AT_ONCE_TURNS_MAX as u64 * (VIEW + COMMIT);
/// Rate, policy, hints, slot, bytes; clock, recall, peak and what is published, or all given back.
const REQUEST_AT_ONCE: u64 = 2 + HINT + RESERVE_SLOT + CHARGE_AT_ONCE + PUBLISH + ABANDON;
/// Owner and word, the exchange, generation and owner, and the store that undoes it or lets go.
const HOLD_AT_ONCE: u64 = 6;

/// Of `try_request`.
pub const REQUEST: StepsMax = PREPARE
    .plus(CHARGE)
    .plus(StepsMax::new(ABANDON))
    .times(RESTARTS_MAX)
    .plus(StepsMax::new(REQUEST_AT_ONCE + 3 + RATE + PUBLISH + UNCHARGE + EVENT + CALL))
    .plus(DENIAL);
/// Of `grow`.
pub const GROW: StepsMax = CHARGE
    .plus(StepsMax::new(HEAD))
    .times(RESTARTS_MAX)
    .plus(StepsMax::new(HOLD_AT_ONCE + CHARGE_AT_ONCE + 3))
    .plus(StepsMax::new(2 * OWNER + 3 + HOLD + 1 + 3 + UNCHARGE + EVENT + CALL))
    .plus(DENIAL);
/// Of `shrink`.
pub const SHRINK: StepsMax =
    StepsMax::new(HOLD_AT_ONCE + OWNER + HOLD + 1 + UNCHARGE + EVENT + ROOM);
/// Of `touch`: whether it is live or held, clock, recency.
pub const TOUCH: StepsMax = StepsMax::new(4 + OWNER + 3 + 4 + 2 + 2 + ROOM + EVENT);
/// Of `release`: the slot, its count, the used word; for a victim that was deferred also the way
/// of its bytes to the account that was short.
pub const RELEASE: StepsMax = StepsMax::new(HOLD_AT_ONCE + 1)
    .plus(StepsMax::new(OWNER + HOLD + 1 + 2 + 1 + HINT + UNCHARGE + RETURN_DEFERRED + EVENT));

#[cfg(test)]
mod tests {
    use super::*;

    /// Of tables of several sizes, where the sum would show what was added to the wrong place.
    const TABLES: [(u64, u64); 4] = [(0, 0), (1, 0), (0, 1), (1_000, 70)];

    fn bound(constant: u64, by_account: u64, by_segment: u64) -> StepsMax {
        StepsMax { constant, by_account, by_segment }
    }

    #[test]
    fn a_bound_is_a_sum_of_its_three_parts() {
        let bounds = TABLES.map(|(accounts, segments)| bound(7, 5, 3).among(accounts, segments));
        assert_eq!(bounds, [7, 12, 10, 7 + 5_000 + 210]);
        assert_eq!(StepsMax::new(7), bound(7, 0, 0));
    }

    #[test]
    fn one_call_after_the_other_takes_as_many_steps_as_both() {
        let (one, two) = (bound(7, 5, 3), bound(11, 13, 17));
        for (accounts, segments) in TABLES {
            let among = |bound: StepsMax| bound.among(accounts, segments);
            assert_eq!(among(one.plus(two)), among(one) + among(two));
            assert_eq!(among(one.times(3)), among(one.plus(one).plus(one)));
            assert_eq!(among(one.times(0)), 0);
        }
    }

    /// What the table at the top says of the two factors.
    #[test]
    fn only_requests_and_growth_look_at_every_account() {
        let grows = |verb: StepsMax| (verb.by_account > 0, verb.by_segment > 0);
        assert_eq!([REQUEST, GROW].map(grows), [(true, true); 2]);
        assert_eq!([SHRINK, TOUCH, RELEASE].map(grows), [(false, false); 3]);
    }
}
