//! All cases in turn, round after round: what disturbs the machine for a while disturbs all of
//! them, and their ratios stay.

use std::time::{Duration, Instant};

use super::broken;
use super::cases::Case;
use super::sample::Sample;
use crate::failure::CliError;

/// Rounds in which every case is measured once.
pub(super) const ROUNDS: usize = 11;

/// What one case costs.
pub(super) struct Cost {
    /// The name in the JSON form.
    pub key: &'static str,
    /// The name in the table.
    pub name: &'static str,
    /// Time of one turn, in ns.
    pub ns: Sample,
}

/// Measures all cases for about `time`; `step` is told of every round.
pub(super) fn measured(
    cases: &mut [Case],
    time: Duration,
    step: impl Fn(),
) -> Result<Vec<Cost>, CliError> {
    // One round more, for finding out how many turns take that long.
    let slice = time / (cases.len() * (ROUNDS + 1)) as u32;
    let turns = cases.iter_mut().map(|case| turns_in(case, slice));
    let turns = turns.collect::<Result<Vec<u64>, _>>()?;
    let mut ns = vec![Vec::with_capacity(ROUNDS); cases.len()];
    for round in 0..ROUNDS {
        for place in 0..cases.len() {
            // Another one first in every round, so that none always comes after the same.
            let at = (round * 3 + place) % cases.len();
            let took = timed(&mut cases[at], turns[at])?;
            ns[at].push(took.as_nanos() as f64 / turns[at] as f64);
        }
        step();
    }
    let cost = |(case, ns): (&Case, _)| Cost { key: case.key, name: case.name, ns: Sample::of(ns) };
    Ok(cases.iter().zip(ns).map(cost).collect())
}

/// How many turns take about as long as `slice`.
fn turns_in(case: &mut Case, slice: Duration) -> Result<u64, CliError> {
    let mut turns = 1;
    loop {
        let took = timed(case, turns)?;
        if took * 4 >= slice {
            let turns = turns as f64 * slice.as_secs_f64() / took.as_secs_f64();
            return Ok((turns as u64).max(1));
        }
        turns *= 2;
    }
}

fn timed(case: &mut Case, turns: u64) -> Result<Duration, CliError> {
    let begin = Instant::now();
    let is_right = (case.turns)(turns);
    let took = begin.elapsed();
    if is_right { Ok(took) } else { Err(broken(case.name)) }
}
