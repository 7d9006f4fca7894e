//! Whether a history is linearizable: whether every operation can take effect at one point between
//! its call and its return, so that a sequential specification explains all answers.
//!
//! ```text
//! L1  an operation comes next only if no other one that is left had returned before its call
//! L2  a set of operations that has led to a state once, in vain, is not looked at again
//! ```
//!
//! The search is that of Wing and Gong ("Testing and verifying concurrent objects", 1993) with the
//! memory of Lowe ("Testing for linearizability", 2017): depth first over which operation comes
//! next, remembering pairs of the set of operations that are done and the state they led to. The
//! specification may be non-deterministic: one operation may lead to several states.

use std::collections::HashSet;
use std::hash::Hash;

/// Most operations of a history: one bit each.
pub const OPERATIONS_MAX: usize = 128;

/// What operations do, one at a time.
pub trait Specification {
    /// All that later answers depend on.
    type State: Clone + Eq + Hash;
    /// An operation with its answer.
    type Operation;

    /// Adds the states to which `operation` can lead from `state`; none, if its answer is wrong
    /// there.
    fn follow(&self, state: &Self::State, operation: &Self::Operation, to: &mut Vec<Self::State>);
}

/// An operation with the time of its call and of its return. No two times of a history are equal,
/// save that operations may share both.
#[derive(Clone, Debug)]
pub struct Interval<O> {
    /// When it was called.
    pub call: u32,
    /// When it returned.
    pub ret: u32,
    /// What it was, and what it answered.
    pub operation: O,
}

/// No order of the operations explains their answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The longest explained beginning, as places in the history.
    pub explained: Vec<usize>,
    /// The operations of which one would have to come next.
    pub stuck: Vec<usize>,
}

/// A choice of the search that can be taken back.
struct Choice<S> {
    /// The operation that was taken, by its place in the order of returns.
    taken: usize,
    /// Where it led, and has not been followed yet.
    states: Vec<S>,
    /// The state before it.
    before: S,
}

/// One search.
struct Search<'a, S: Specification> {
    specification: &'a S,
    history: &'a [Interval<S::Operation>],
    /// Places in the history, in the order of returns.
    order: Vec<usize>,
    done: u128,
    seen: HashSet<(u128, S::State)>,
    choices: Vec<Choice<S::State>>,
    best: Vec<usize>,
}

/// An order of the operations, as places in the history, that explains their answers.
///
/// # Errors
///
/// How far the answers could be explained.
///
/// # Panics
///
/// If there are more than [`OPERATIONS_MAX`] operations.
pub fn check<S: Specification>(
    specification: &S,
    begin: &S::State,
    history: &[Interval<S::Operation>],
) -> Result<Vec<usize>, Violation> {
    let length = history.len();
    assert!(length <= OPERATIONS_MAX, "{length} operations; at most {OPERATIONS_MAX}: say less");
    let mut order: Vec<usize> = (0..length).collect();
    order.sort_by_key(|&at| (history[at].ret, at));
    let mut search = Search {
        specification,
        history,
        order,
        done: 0,
        seen: HashSet::new(),
        choices: Vec::with_capacity(length),
        best: Vec::new(),
    };
    search.run(begin.clone())
}

impl<S: Specification> Search<'_, S> {
    fn run(&mut self, begin: S::State) -> Result<Vec<usize>, Violation> {
        let (mut state, mut from) = (begin, 0);
        loop {
            if self.choices.len() == self.history.len() {
                return Ok(self.explained());
            }
            match self.next(&state, from) {
                Some((taken, mut states)) => {
                    let after = states.pop().expect("a state to which the operation leads");
                    self.done |= 1 << taken;
                    let before = std::mem::replace(&mut state, after);
                    self.choices.push(Choice { taken, states, before });
                    from = 0;
                }
                None => {
                    // The same set and state are not looked at again (L2).
                    self.note_best();
                    self.seen.insert((self.done, state));
                    let Some((back, next)) = self.back() else { return Err(self.violation()) };
                    (state, from) = (back, next);
                }
            }
            // A state that was seen is left at once: as if nothing could follow it.
            while from == 0 && !self.seen.is_empty() && self.is_seen(&state) {
                let Some((back, next)) = self.back() else { return Err(self.violation()) };
                (state, from) = (back, next);
            }
        }
    }

    fn is_seen(&self, state: &S::State) -> bool {
        self.seen.contains(&(self.done, state.clone()))
    }

    /// The first operation from a place of the order on that may come next (L1), and where it
    /// leads.
    fn next(&self, state: &S::State, from: usize) -> Option<(usize, Vec<S::State>)> {
        let mut states = Vec::new();
        let first = (0..self.order.len()).find(|&at| self.done & 1 << at == 0)?;
        let returned = self.history[self.order[first]].ret;
        for at in first.max(from)..self.order.len() {
            let interval = &self.history[self.order[at]];
            if self.done & 1 << at != 0 || interval.call > returned {
                continue;
            }
            self.specification.follow(state, &interval.operation, &mut states);
            if !states.is_empty() {
                return Some((at, states));
            }
        }
        None
    }

    /// Takes choices back until another one can be made: the state before it, and from where on to
    /// look.
    fn back(&mut self) -> Option<(S::State, usize)> {
        let mut choice = self.choices.pop()?;
        if let Some(other) = choice.states.pop() {
            self.choices.push(choice);
            return Some((other, 0));
        }
        self.done &= !(1 << choice.taken);
        Some((choice.before, choice.taken + 1))
    }

    fn explained(&self) -> Vec<usize> {
        self.choices.iter().map(|choice| self.order[choice.taken]).collect()
    }

    fn note_best(&mut self) {
        if self.choices.len() > self.best.len() || self.best.is_empty() {
            self.best = self.explained();
        }
    }

    fn violation(&mut self) -> Violation {
        let left = |at: &usize| !self.best.contains(at);
        let returned = self.order.iter().filter(|at| left(at)).map(|&at| self.history[at].ret);
        let first = returned.min().unwrap_or(u32::MAX);
        let mut stuck: Vec<usize> = self.order.iter().copied().filter(left).collect();
        stuck.retain(|&at| self.history[at].call <= first);
        Violation { explained: std::mem::take(&mut self.best), stuck }
    }
}
