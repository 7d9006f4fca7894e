//! Rounds: all sides take turns, and the bare pair is read before each of them and at the end. A
//! round in which its readings lie too far apart was disturbed, and is done again.

use crate::figures::{Figure, median, ratios, spread};

/// Readings of the bare pair may lie this far apart within a round, as a part of their median.
pub const SPREAD_MAX: f64 = 0.05;

/// How long and how often things are measured.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Rounds of each section.
    pub rounds: usize,
    /// Most rounds of a section that are done again.
    pub repeats_max: usize,
    /// Time of one side in one round, in ms.
    pub side_ms: u64,
    /// Most requests of a key trace: its head.
    pub keys_max: usize,
}

/// One thing that is measured beside others.
pub struct Side<'a> {
    /// What the document calls it.
    pub name: String,
    /// Measures once: ns per operation, unless its section says otherwise.
    pub measure: Box<dyn FnMut() -> f64 + 'a>,
}

impl<'a> Side<'a> {
    /// A side with its measurement.
    pub fn new(name: impl Into<String>, measure: impl FnMut() -> f64 + 'a) -> Self {
        Self { name: name.into(), measure: Box::new(measure) }
    }
}

/// What the rounds of one section gave.
pub struct Series {
    /// The sides, in the order of `values`.
    pub names: Vec<String>,
    /// By side, then by round.
    pub values: Vec<Vec<f64>>,
    /// The bare pair, by round: the median of its readings.
    pub bare: Vec<f64>,
    /// How far its readings lay apart, by round.
    pub spreads: Vec<f64>,
    /// Rounds that were done again.
    pub repeated: usize,
}

struct Round {
    values: Vec<f64>,
    bare: f64,
    spread: f64,
}

impl Series {
    /// Measures all sides in turns, `check` before each of them and at the end. Where quiet rounds
    /// are not to be had within `repeats_max`, the least disturbed ones count.
    pub fn measure(plan: &Plan, repeats_max: usize, check: &mut Side, sides: &mut [Side]) -> Self {
        let mut rounds: Vec<Round> = Vec::new();
        let quiet = |rounds: &[Round]| rounds.iter().filter(|r| r.spread <= SPREAD_MAX).count();
        while rounds.len() < plan.rounds + repeats_max && quiet(&rounds) < plan.rounds {
            rounds.push(Round::measure(check, sides));
        }
        let repeated = rounds.len() - plan.rounds;
        rounds.sort_by(|a, b| a.spread.total_cmp(&b.spread));
        rounds.truncate(plan.rounds);
        let of_side = |side: usize| rounds.iter().map(|round| round.values[side]).collect();
        Self {
            names: sides.iter().map(|side| side.name.clone()).collect(),
            values: (0..sides.len()).map(of_side).collect(),
            bare: rounds.iter().map(|round| round.bare).collect(),
            spreads: rounds.iter().map(|round| round.spread).collect(),
            repeated,
        }
    }

    /// What a side gave, by round.
    ///
    /// # Panics
    ///
    /// If there is no side of that name.
    pub fn of(&self, name: &str) -> &[f64] {
        let place = self.names.iter().position(|known| known == name);
        &self.values[place.unwrap_or_else(|| panic!("no side is called `{name}`"))]
    }

    /// What a side gave.
    pub fn figure(&self, name: &str) -> Figure {
        Figure::of(self.of(name))
    }

    /// One side over another.
    pub fn ratio(&self, over: &str, under: &str) -> Figure {
        Figure::of(&ratios(self.of(over), self.of(under)))
    }

    /// A side over the bare pair.
    pub fn to_bare(&self, over: &str) -> Figure {
        Figure::of(&ratios(self.of(over), &self.bare))
    }

    /// Rounds that count although they were disturbed.
    pub fn noisy(&self) -> usize {
        self.spreads.iter().filter(|&&spread| spread > SPREAD_MAX).count()
    }
}

impl Round {
    fn measure(check: &mut Side, sides: &mut [Side]) -> Self {
        let (mut values, mut readings) = (Vec::new(), Vec::new());
        for side in sides {
            readings.push((check.measure)());
            values.push((side.measure)());
        }
        readings.push((check.measure)());
        Self { values, bare: median(&readings), spread: spread(&readings) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        Plan { rounds: 3, repeats_max: 0, side_ms: 1, keys_max: 1 }
    }

    /// A check that reads what it is told, then 10 for ever.
    fn told(readings: &[f64]) -> Side<'static> {
        let mut readings: Vec<f64> = readings.iter().rev().copied().collect();
        Side::new("check", move || readings.pop().unwrap_or(10.0))
    }

    /// Counts its measurements.
    fn counting() -> Side<'static> {
        let mut count = 0.0;
        Side::new("counting", move || {
            count += 1.0;
            count
        })
    }

    #[test]
    fn quiet_rounds_count_at_once() {
        let series = Series::measure(&plan(), 5, &mut told(&[]), &mut [counting()]);
        assert_eq!((series.repeated, series.noisy()), (0, 0));
        assert_eq!(series.of("counting"), [1.0, 2.0, 3.0]);
        assert_eq!(series.to_bare("counting").median, 0.2);
        assert_eq!(series.ratio("counting", "counting"), Figure::once(1.0));
    }

    #[test]
    fn a_disturbed_round_is_done_again() {
        // Two readings a round: the second round is 6 % apart.
        let mut check = told(&[10.0, 10.0, 10.0, 10.6]);
        let series = Series::measure(&plan(), 5, &mut check, &mut [counting()]);
        assert_eq!((series.repeated, series.noisy()), (1, 0));
        assert_eq!(series.of("counting"), [1.0, 3.0, 4.0]);
    }

    #[test]
    fn without_quiet_rounds_the_least_disturbed_count() {
        let mut check = told(&[10.0, 30.0, 10.0, 11.0, 10.0, 12.0, 10.0, 20.0]);
        let series = Series::measure(&plan(), 1, &mut check, &mut [counting()]);
        assert_eq!((series.repeated, series.noisy()), (1, 3));
        assert_eq!(series.of("counting"), [2.0, 3.0, 4.0]);
    }
}
