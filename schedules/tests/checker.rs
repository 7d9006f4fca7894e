//! The checker of linearizability against histories whose answer is known: written by hand, and
//! made at random with or without a mistake.

use proptest::prelude::*;
use schedules::checker::{Interval, Specification, check};

/// A cell that is written and read; a write may also fail and change nothing.
struct Cell;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Write(u8),
    Read(u8),
    /// Nobody was told whether it succeeded.
    MayWrite(u8),
    /// Writes if the cell has the first value.
    Exchange(u8, u8, bool),
}

impl Specification for Cell {
    type State = u8;
    type Operation = Op;

    fn follow(&self, state: &u8, operation: &Op, to: &mut Vec<u8>) {
        match *operation {
            Op::Write(value) => to.push(value),
            Op::Read(value) if value == *state => to.push(value),
            Op::Read(_) => {}
            Op::MayWrite(value) => to.extend([*state, value]),
            Op::Exchange(from, value, true) if from == *state => to.push(value),
            Op::Exchange(from, _, false) if from != *state => to.push(*state),
            Op::Exchange(..) => {}
        }
    }
}

fn history(intervals: &[(u32, u32, Op)]) -> Vec<Interval<Op>> {
    let all = intervals.iter().map(|&(call, ret, operation)| Interval { call, ret, operation });
    all.collect()
}

fn is_explained(intervals: &[(u32, u32, Op)]) -> bool {
    check(&Cell, &0, &history(intervals)).is_ok()
}

#[test]
fn good_histories_pass() {
    assert!(is_explained(&[]));
    assert!(is_explained(&[(1, 2, Op::Write(1)), (3, 4, Op::Read(1))]));
    // A read beside a write may come before it or after it.
    assert!(is_explained(&[(1, 4, Op::Write(1)), (2, 3, Op::Read(0))]));
    assert!(is_explained(&[(1, 4, Op::Write(1)), (2, 3, Op::Read(1))]));
    // The last to return comes first.
    assert!(is_explained(&[(1, 8, Op::Write(1)), (2, 3, Op::Read(1)), (4, 5, Op::Read(1))]));
    assert!(is_explained(&[
        (1, 9, Op::Exchange(2, 3, true)),
        (2, 8, Op::Exchange(1, 2, true)),
        (3, 7, Op::Exchange(0, 1, true)),
    ]));
    // Whether it has written is seen later.
    assert!(is_explained(&[(1, 2, Op::MayWrite(5)), (3, 4, Op::Read(5))]));
    assert!(is_explained(&[(1, 2, Op::MayWrite(5)), (3, 4, Op::Read(0))]));
}

#[test]
fn bad_histories_fail() {
    assert!(!is_explained(&[(1, 2, Op::Read(1))]));
    assert!(!is_explained(&[(1, 2, Op::Write(1)), (3, 4, Op::Read(0))]));
    // Two reads beside a write see it come and go.
    assert!(!is_explained(&[(1, 8, Op::Write(1)), (2, 3, Op::Read(1)), (4, 5, Op::Read(0))]));
    // Only one of two can have exchanged.
    assert!(!is_explained(&[(1, 4, Op::Exchange(0, 1, true)), (2, 3, Op::Exchange(0, 2, true))]));
    // It cannot have written and not written.
    assert!(!is_explained(&[(1, 2, Op::MayWrite(5)), (3, 4, Op::Read(5)), (5, 6, Op::Read(0)),]));
}

#[test]
fn what_cannot_be_explained_is_named() {
    let intervals = [(1, 2, Op::Write(1)), (3, 4, Op::Read(1)), (5, 6, Op::Read(7))];
    let violation = check(&Cell, &0, &history(&intervals)).unwrap_err();
    assert_eq!((violation.explained, violation.stuck), (vec![0, 1], vec![2]));
}

/// Many operations at once, of which none can be explained: without the memory of what was tried
/// the search would look at every order of them.
#[test]
fn what_was_tried_is_not_tried_again() {
    let mut intervals: Vec<(u32, u32, Op)> =
        (0..14).map(|at| (at, 100 + at, Op::Write(at as u8 % 2))).collect();
    intervals.push((50, 51, Op::Read(9)));
    assert!(!is_explained(&intervals));
}

/// A sequence of operations with true answers, each stretched so that it overlaps with others.
fn stretched() -> impl Strategy<Value = Vec<(u32, u32, Op)>> {
    let one = (0_u8..4, 0_u8..4, 0_u8..4, 0_u32..40, 0_u32..40);
    proptest::collection::vec(one, 1..24).prop_map(|all| {
        let mut value = 0;
        let each = all.into_iter().enumerate().map(|(at, (which, from, to, before, after))| {
            let operation = match which {
                0 => Op::Write(to),
                1 => Op::Read(value),
                2 => Op::MayWrite(to),
                _ => Op::Exchange(from, to, from == value),
            };
            let mut states = Vec::new();
            Cell.follow(&value, &operation, &mut states);
            value = states[usize::from(from) % states.len()];
            let point = 100 + 10 * at as u32;
            (point - before, point + 1 + after, operation)
        });
        each.collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn stretched_sequences_pass(intervals in stretched()) {
        prop_assert!(is_explained(&intervals));
    }

    /// A value is read that nobody ever wrote.
    #[test]
    fn a_false_answer_fails(mut intervals in stretched(), at in any::<prop::sample::Index>()) {
        let at = at.index(intervals.len());
        intervals[at].2 = Op::Read(9);
        prop_assert!(!is_explained(&intervals));
    }

    /// Whatever the checker says of few operations, trying all orders says as well.
    #[test]
    fn the_checker_agrees_with_trying_all_orders(
        all in proptest::collection::vec((0_u32..12, 1_u32..8, 0_u8..3, 0_u8..3), 1..6),
    ) {
        let intervals: Vec<(u32, u32, Op)> = all
            .into_iter()
            .enumerate()
            .map(|(at, (call, length, which, value))| {
                let operation = match which {
                    0 => Op::Write(value),
                    1 => Op::Read(value),
                    _ => Op::MayWrite(value),
                };
                // All times differ.
                (8 * call + at as u32, 8 * (call + length) + at as u32, operation)
            })
            .collect();
        prop_assert_eq!(is_explained(&intervals), any_order(&intervals, 0));
    }
}

/// Whether any order explains the answers, by trying all.
fn any_order(left: &[(u32, u32, Op)], state: u8) -> bool {
    left.is_empty()
        || (0..left.len()).any(|next| {
            let mut others = left.to_vec();
            let (call, _, operation) = others.remove(next);
            let mut states = Vec::new();
            Cell.follow(&state, &operation, &mut states);
            others.iter().all(|&(_, ret, _)| ret > call)
                && states.into_iter().any(|state| any_order(&others, state))
        })
}
