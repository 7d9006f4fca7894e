//! The search: a few random beginnings, then steps that shrink.
//!
//! The cost of a candidate is a count of a deterministic replay: without noise, but a staircase
//! with plateaus and cliffs in up to three figures a tenant, and without a slope to follow. A
//! pattern search asks for nothing else: it polls the neighbours of the best so far, goes to one
//! that is better, and halves its step where none is. What it finds is no worse than all its
//! neighbours one unit away, but only near where it began; so it begins several times, from the
//! best of what was drawn at random in the first quarter of the runs.
//!
//! ```text
//! R1  what is found never costs more than the start on what it was judged by
//! R2  runs <= budget, and no candidate is run twice
//! R3  the same seed, budget and space find the same, with any number of threads
//! ```
//!
//! R3 holds because candidates are judged in batches of a fixed size, each put together before any
//! of it is judged, and compared by (cost, changes, place in the batch).

use std::collections::HashMap;

use indicatif::ProgressBar;

use super::space::{Move, Shares, Space};
use crate::dice::Dice;
use crate::failure::CliError;

/// Candidates put together before any of them is judged; also the most threads of any use.
pub const BATCH: usize = 16;

/// One in so many runs is a beginning.
const EXPLORED_SHARE: usize = 4;

/// Drawings for each beginning that is wanted: in a small space most are known already.
const DRAWS_PER_BEGIN: usize = 8;

/// A candidate and how good it is; less is better.
#[derive(Clone, Debug)]
struct Judged {
    cost: f64,
    changes: usize,
    shares: Shares,
}

impl Judged {
    fn is_better_than(&self, other: &Self) -> bool {
        let by_cost = self.cost.total_cmp(&other.cost);
        by_cost.then(self.changes.cmp(&other.changes)).is_lt()
    }
}

/// What came out.
#[derive(Clone, Debug)]
pub struct Found {
    /// The best candidate.
    pub shares: Shares,
    /// Candidates that were judged.
    pub runs: usize,
}

/// One search.
pub struct Search<'a> {
    /// Where to search.
    pub space: &'a Space,
    /// What a candidate costs; called from several threads at one time.
    pub judge: &'a (dyn Fn(&Shares) -> Result<f64, CliError> + Sync),
    /// Most candidates to judge, at least 1.
    pub budget: usize,
    /// How many at one time, at least 1.
    pub threads: usize,
    /// Follows the runs.
    pub bar: &'a ProgressBar,
}

/// What is known so far.
struct State {
    dice: Dice,
    costs: HashMap<Shares, f64>,
    best: Judged,
}

impl Search<'_> {
    /// Searches from the start of the space and from random beginnings.
    pub fn run(&self, seed: u64) -> Result<Found, CliError> {
        let start = self.space.start();
        let cost = (self.judge)(&start)?;
        self.bar.inc(1);
        let best = Judged { cost, changes: 0, shares: start.clone() };
        let costs = HashMap::from([(start, cost)]);
        let mut state = State { dice: Dice(seed), costs, best };
        let mut explored = (self.budget / EXPLORED_SHARE).max(1);
        while state.costs.len() < self.budget {
            let mut begins = self.explore(&mut state, explored)?;
            if begins.is_empty() {
                break;
            }
            begins.insert(0, state.best.clone());
            begins.sort_by(|a, b| a.cost.total_cmp(&b.cost).then(a.changes.cmp(&b.changes)));
            begins.dedup_by(|a, b| a.shares == b.shares);
            for begin in begins {
                self.descend(&mut state, begin)?;
            }
            explored = BATCH;
        }
        Ok(Found { shares: state.best.shares, runs: state.costs.len() })
    }

    /// New candidates anywhere: the open one first, then random ones.
    fn explore(&self, state: &mut State, most: usize) -> Result<Vec<Judged>, CliError> {
        let mut drawn = vec![self.space.open()];
        drawn.retain(|shares| !state.costs.contains_key(shares));
        for _ in 0..DRAWS_PER_BEGIN * most {
            if drawn.len() >= most {
                break;
            }
            let shares = self.space.random(&mut state.dice);
            if !state.costs.contains_key(&shares) && !drawn.contains(&shares) {
                drawn.push(shares);
            }
        }
        let mut judged = Vec::new();
        for batch in drawn.chunks(BATCH) {
            judged.extend(self.judge_all(state, batch.to_vec())?);
        }
        Ok(judged)
    }

    /// From one candidate down to one that no neighbour betters, with steps that shrink.
    fn descend(&self, state: &mut State, begin: Judged) -> Result<(), CliError> {
        let mut here = begin;
        let mut step_bytes = self.space.step_bytes_max();
        while step_bytes >= self.space.unit_bytes() && state.costs.len() < self.budget {
            match self.poll(state, &here, step_bytes)? {
                Some(better) => here = better,
                None => step_bytes /= 2,
            }
        }
        Ok(())
    }

    /// A neighbour that is better, looked for in a random order; none if there is none.
    fn poll(
        &self,
        state: &mut State,
        here: &Judged,
        step_bytes: u64,
    ) -> Result<Option<Judged>, CliError> {
        let mut moves: Vec<Move> = self.space.moves();
        shuffle(&mut moves, &mut state.dice);
        let mut batch = Vec::new();
        while let Some(step) = moves.pop() {
            let shares = self.space.moved(&here.shares, step, step_bytes);
            if shares != here.shares && !batch.contains(&shares) {
                batch.push(shares);
            }
            if batch.len() < BATCH && !moves.is_empty() {
                continue;
            }
            let judged = self.judge_all(state, std::mem::take(&mut batch))?;
            let better = judged.into_iter().filter(|other| other.is_better_than(here));
            let best =
                better.reduce(|best, other| if other.is_better_than(&best) { other } else { best });
            if best.is_some() {
                return Ok(best);
            }
        }
        Ok(None)
    }

    /// What each of a batch costs, without those that the budget does not reach.
    fn judge_all(&self, state: &mut State, batch: Vec<Shares>) -> Result<Vec<Judged>, CliError> {
        let mut fresh: Vec<&Shares> = Vec::new();
        for shares in &batch {
            if !state.costs.contains_key(shares) && !fresh.contains(&shares) {
                fresh.push(shares);
            }
        }
        fresh.truncate(self.budget - state.costs.len());
        for (shares, cost) in fresh.iter().zip(self.costs(&fresh)?) {
            state.costs.insert((*shares).clone(), cost);
        }
        let mut judged = Vec::new();
        for shares in batch {
            let Some(cost) = state.costs.get(&shares) else { continue };
            let changes = self.space.changes(&shares);
            judged.push(Judged { cost: *cost, changes, shares });
        }
        for other in &judged {
            if other.is_better_than(&state.best) {
                state.best = other.clone();
            }
        }
        Ok(judged)
    }

    /// Judges candidates, some at one time; thread k takes every n-th from the k-th on.
    fn costs(&self, batch: &[&Shares]) -> Result<Vec<f64>, CliError> {
        let threads = self.threads.clamp(1, batch.len().max(1));
        let share_of = |first: usize| {
            let own = batch.iter().skip(first).step_by(threads);
            let judged = own.map(|shares| {
                let cost = (self.judge)(shares);
                self.bar.inc(1);
                cost
            });
            judged.collect::<Result<Vec<f64>, CliError>>()
        };
        let shares = std::thread::scope(|scope| {
            let others: Vec<_> =
                (1..threads).map(|first| scope.spawn(move || share_of(first))).collect();
            let mut shares = vec![share_of(0)];
            shares.extend(others.into_iter().map(|other| {
                other.join().unwrap_or_else(|_| {
                    Err(CliError::new("a replay stopped unexpectedly; see the message above"))
                })
            }));
            shares.into_iter().collect::<Result<Vec<_>, CliError>>()
        })?;
        Ok((0..batch.len()).map(|at| shares[at % threads][at / threads]).collect())
    }
}

/// Any order, each as likely.
fn shuffle<T>(items: &mut [T], dice: &mut Dice) {
    for at in (1..items.len()).rev() {
        items.swap(at, dice.between(0, at as u64 + 1) as usize);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Mutex;

    use allotment_config::parse;

    use super::*;

    fn space() -> Space {
        let text = "capacity = 4096\n\
            [[tenants]]\nname = \"a\"\nlimit = 1024\n[[tenants]]\nname = \"b\"\nlimit = 1024\n";
        Space::new(parse(text, Path::new("start.toml")).unwrap(), vec![0, 1])
    }

    /// A staircase with its lowest step at a limit of 3,000 and a guarantee of 700.
    fn staircase(shares: &Shares) -> f64 {
        let limit_bytes = shares[0].limit_bytes.unwrap_or(4096);
        let away = limit_bytes.abs_diff(3000) / 64 + shares[1].guarantee_bytes.abs_diff(700) / 64;
        away as f64
    }

    /// What is found, and everything that was judged for it.
    fn search(seed: u64, budget: usize, threads: usize) -> (Found, Vec<Shares>) {
        let seen = Mutex::new(Vec::new());
        let judge = |shares: &Shares| {
            seen.lock().unwrap().push(shares.clone());
            Ok(staircase(shares))
        };
        let (space, bar) = (space(), ProgressBar::hidden());
        let search = Search { space: &space, judge: &judge, budget, threads, bar: &bar };
        let found = search.run(seed).unwrap();
        (found, seen.into_inner().unwrap())
    }

    #[test]
    fn the_lowest_step_is_found() {
        for seed in 0..20 {
            let (found, _) = search(seed, 400, 1);
            assert_eq!(staircase(&found.shares), 0.0, "seed {seed}: {:?}", found.shares);
            assert_eq!(found.shares[0].guarantee_bytes, 0, "seed {seed}: changed for nothing");
        }
    }

    #[test]
    fn the_budget_is_kept_and_nothing_is_judged_twice() {
        for budget in [1, 2, 3, 17, 100] {
            let (found, mut seen) = search(3, budget, 2);
            assert_eq!((found.runs, seen.len()), (budget, budget));
            seen.sort_by_key(|shares| format!("{shares:?}"));
            seen.dedup();
            assert_eq!(seen.len(), budget);
        }
    }

    #[test]
    fn it_is_never_worse_than_the_start() {
        let start = staircase(&space().start());
        for (seed, budget) in (0..20).zip(1..) {
            assert!(staircase(&search(seed, budget, 1).0.shares) <= start);
        }
    }

    #[test]
    fn threads_do_not_matter_and_seeds_do() {
        let found = |seed, threads| search(seed, 60, threads).0.shares;
        assert_eq!(found(5, 1), found(5, 3));
        assert_eq!(found(5, 1), found(5, 16));
        let distinct: std::collections::HashSet<_> = (0..8).map(|seed| found(seed, 1)).collect();
        assert!(distinct.len() > 1);
    }

    #[test]
    fn a_failure_ends_it() {
        let judge = |shares: &Shares| match shares[0].limit_bytes {
            Some(1024) => Ok(1.0),
            _ => Err(CliError::new("broken")),
        };
        let (space, bar) = (space(), ProgressBar::hidden());
        let search = Search { space: &space, judge: &judge, budget: 50, threads: 2, bar: &bar };
        assert_eq!(search.run(1).unwrap_err().to_string(), "broken");
    }
}
