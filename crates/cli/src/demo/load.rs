//! The minute that both runs live through: who wishes for what, when, and for how long.
//!
//! A wish is fixed before either run begins, so that both meet the same load. Times are
//! nanoseconds from the start.

use allotment::AllocationType;

use crate::dice::Dice;

/// Length of the story.
pub const END_NS: u64 = 60 * SECOND;
const SECOND: u64 = 1_000_000_000;
const MS: u64 = 1_000_000;
const MIB: u64 = 1 << 20;

/// Places of the tenants in `machine.toml`.
pub const CHAT: usize = 0;
pub const CODER: usize = 1;
pub const IMAGES: usize = 2;
pub const INDEXER: usize = 3;

/// A wish for memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Wish {
    /// The tenant, by its place in the machine.
    pub tenant: usize,
    /// What it is for.
    pub kind: AllocationType,
    /// How much.
    pub bytes: u64,
    /// Milliseconds it would take to build the contents again.
    pub cost_ms: u32,
}

/// What happens to a wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// It is used: asked for, unless it is still there from an earlier use.
    Use,
    /// Its owner is done with it.
    Done,
}

/// One moment: a step of one wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Event {
    /// When.
    pub at_ns: u64,
    /// The wish, by its place in `Load::wishes`.
    pub wish: usize,
    /// What happens to it.
    pub step: Step,
}

/// All wishes and what happens to them, in order of time.
#[derive(Debug, Default, PartialEq)]
pub struct Load {
    pub wishes: Vec<Wish>,
    pub events: Vec<Event>,
}

impl Load {
    /// The minute of a seed: always the same for the same seed.
    pub fn of(seed: u64) -> Load {
        let mut load = Load::default();
        let mut dice = Dice(seed);
        load.model(CHAT, 5120, 0, END_NS);
        load.model(CODER, 3584, 2 * SECOND, END_NS);
        load.conversations(CHAT, 140, (32, 96), &mut dice);
        load.conversations(CODER, 42, (128, 352), &mut dice);
        for (from, until) in [(16, 25), (38, 50)] {
            load.image_burst(from * SECOND, until * SECOND, &mut dice);
        }
        load.indexing(&mut dice);
        load.events.sort();
        load
    }

    fn wish(&mut self, wish: Wish, uses_ns: &[u64], done_ns: u64) {
        let place = self.wishes.len();
        self.wishes.push(wish);
        for &at_ns in uses_ns.iter().filter(|at| **at < END_NS) {
            self.events.push(Event { at_ns, wish: place, step: Step::Use });
        }
        self.events.push(Event { at_ns: done_ns.min(END_NS), wish: place, step: Step::Done });
    }

    fn model(&mut self, tenant: usize, mib: u64, from_ns: u64, until_ns: u64) {
        let kind = AllocationType::ModelLoad;
        let wish = Wish { tenant, kind, bytes: mib * MIB, cost_ms: mib as u32 * 2 };
        self.wish(wish, &[from_ns], until_ns);
    }

    /// Conversations: a few turns each. Every turn computes for a while (Inference) over what
    /// the conversation has said so far (Cache), which is kept in case another turn follows.
    fn conversations(&mut self, tenant: usize, count: u64, mib: (u64, u64), dice: &mut Dice) {
        for _ in 0..count {
            let begin = dice.between(3 * SECOND, END_NS - 2 * SECOND);
            let mut turns = vec![begin];
            for _ in 1..dice.between(2, 6) {
                let thinking = dice.between(1_500 * MS, 7_000 * MS);
                turns.push(turns[turns.len() - 1] + thinking);
            }
            let size = dice.between(mib.0, mib.1);
            for &turn in turns.iter().filter(|turn| **turn < END_NS) {
                let kind = AllocationType::Inference;
                let bytes = (size / 2 + dice.between(16, 48)) * MIB;
                let wish = Wish { tenant, kind, bytes, cost_ms: 0 };
                self.wish(wish, &[turn], turn + dice.between(400 * MS, 1_600 * MS));
            }
            let kept_until = turns[turns.len() - 1] + 8 * SECOND;
            let kind = AllocationType::Cache;
            let wish = Wish { tenant, kind, bytes: size * MIB, cost_ms: size as u32 * 4 };
            self.wish(wish, &turns, kept_until);
        }
    }

    /// A burst of pictures: a model for its length, and several pictures at a time.
    fn image_burst(&mut self, from_ns: u64, until_ns: u64, dice: &mut Dice) {
        self.model(IMAGES, 2_048, from_ns, until_ns);
        let mut at = from_ns + 300 * MS;
        while at < until_ns {
            let kind = AllocationType::Inference;
            let bytes = dice.between(600, 1_200) * MIB;
            let wish = Wish { tenant: IMAGES, kind, bytes, cost_ms: 0 };
            self.wish(wish, &[at], (at + dice.between(2_000 * MS, 3_600 * MS)).min(until_ns));
            at += dice.between(220 * MS, 500 * MS);
        }
    }

    /// Segments of an index, one after the other for as long as the minute lasts.
    fn indexing(&mut self, dice: &mut Dice) {
        let mut at = SECOND;
        while at < END_NS {
            let kind = AllocationType::Background;
            let bytes = dice.between(160, 288) * MIB;
            let wish = Wish { tenant: INDEXER, kind, bytes, cost_ms: 350 };
            self.wish(wish, &[at], at + dice.between(14 * SECOND, 22 * SECOND));
            at += dice.between(300 * MS, 500 * MS);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_minute() {
        assert_eq!(Load::of(1), Load::of(1));
        assert_ne!(Load::of(1), Load::of(2));
    }

    #[test]
    fn every_wish_is_used_in_order_and_done_within_the_minute() {
        let load = Load::of(3);
        assert!(load.events.is_sorted());
        for wish in 0..load.wishes.len() {
            let own: Vec<&Event> = load.events.iter().filter(|e| e.wish == wish).collect();
            let (last, uses) = own.split_last().unwrap();
            assert_eq!(last.step, Step::Done);
            assert!(!uses.is_empty() && uses.iter().all(|event| event.step == Step::Use));
            assert!(last.at_ns <= END_NS);
        }
    }
}
