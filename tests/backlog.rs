//! `src/core/backlog.rs` against a plain sorted list: whatever comes and goes, the least worth
//! entries are kept, and leave in order.

use allotment::internals::backlog::{Backlogs, Entry};
use proptest::prelude::*;

const OWNER: u64 = 1 << 32 | 1;
/// Places of a backlog whose queue is small.
const PLACES: usize = 64;

#[derive(Clone, Copy, Debug)]
enum Step {
    Add { rank: u64, touched: u32 },
    RemoveFirst,
    LetGo,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let touched = prop_oneof![3 => 0..1_000_u32, 1 => (u32::MAX - 500)..=u32::MAX];
    let step = prop_oneof![
        6 => (0..4_u64, touched).prop_map(|(rank, touched)| Step::Add { rank, touched }),
        3 => Just(Step::RemoveFirst),
        1 => Just(Step::LetGo),
    ];
    proptest::collection::vec(step, 1..400)
}

/// Where an entry belongs in the plain list; the clock wraps at 0.
fn order(entry: &Entry) -> (u64, i64) {
    (entry.rank, i64::from(entry.touched as i32))
}

proptest! {
    #[test]
    fn the_least_are_kept_and_leave_in_order(steps in steps()) {
        let backlogs = Backlogs::new(256);
        let mut plain: Vec<Entry> = Vec::new();
        let mut held = backlogs.hold(OWNER, 1).unwrap();
        for (slot, step) in (0..).zip(steps) {
            match step {
                Step::Add { rank, touched } => {
                    let entry = Entry { rank, touched, slot };
                    let left = held.add(entry);
                    plain.push(entry);
                    plain.sort_by_key(order);
                    let most = (plain.len() > PLACES).then(|| plain.pop().unwrap());
                    prop_assert_eq!(left.as_ref().map(order), most.as_ref().map(order));
                    if let (Some(left), Some(most)) = (left, most) && left != most {
                        // Of equals another one left.
                        let at = plain.iter().position(|other| *other == left).unwrap();
                        plain[at] = most;
                    }
                }
                Step::RemoveFirst => {
                    let first = held.first();
                    held.remove_first();
                    prop_assert_eq!(first.as_ref().map(order), plain.first().map(order));
                    if let Some(first) = first {
                        let at = plain.iter().position(|other| *other == first).unwrap();
                        plain.remove(at);
                    }
                }
                Step::LetGo => {
                    drop(held);
                    held = backlogs.hold(OWNER, 1).unwrap();
                }
            }
            prop_assert_eq!(held.len(), plain.len());
            let bar = (plain.len() == PLACES).then(|| order(&plain[PLACES - 1]));
            prop_assert_eq!(held.bar().as_ref().map(order), bar);
        }
    }
}
