//! Numbers of several rounds: the median, and how far they lie apart.

/// A median with its extremes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    /// The middle one; of an even number the mean of the two in the middle.
    pub median: f64,
    /// The smallest.
    pub low: f64,
    /// The largest.
    pub high: f64,
}

impl Figure {
    /// Of at least one number.
    pub fn of(numbers: &[f64]) -> Self {
        let mut sorted = numbers.to_vec();
        sorted.sort_by(f64::total_cmp);
        let [low, .., high] = sorted[..] else {
            let only = sorted[0];
            return Self { median: only, low: only, high: only };
        };
        Self { median: middle(&sorted), low, high }
    }

    /// Of what was measured once, because it does not vary.
    pub fn once(number: f64) -> Self {
        Self { median: number, low: number, high: number }
    }

    /// In another unit.
    pub fn times(self, factor: f64) -> Self {
        let Self { median, low, high } = self;
        Self { median: median * factor, low: low * factor, high: high * factor }
    }
}

/// The middle of some numbers.
pub fn median(numbers: &[f64]) -> f64 {
    Figure::of(numbers).median
}

fn middle(sorted: &[f64]) -> f64 {
    let half = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[half] } else { f64::midpoint(sorted[half - 1], sorted[half]) }
}

/// How far numbers lie apart, as a part of their median.
pub fn spread(numbers: &[f64]) -> f64 {
    let Figure { median, low, high } = Figure::of(numbers);
    (high - low) / median
}

/// `over[i] / under[i]` for each round: a ratio is taken within its round.
pub fn ratios(over: &[f64], under: &[f64]) -> Vec<f64> {
    over.iter().zip(under).map(|(over, under)| over / under).collect()
}

/// The mean of ratios: two that are each other's inverse cancel.
pub fn geometric_mean(ratios: &[f64]) -> f64 {
    (ratios.iter().map(|ratio| ratio.ln()).sum::<f64>() / ratios.len() as f64).exp()
}

/// The arithmetic mean.
pub fn mean(numbers: &[f64]) -> f64 {
    numbers.iter().sum::<f64>() / numbers.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(Figure::of(&[3.0]), Figure::once(3.0));
        let five = Figure::of(&[5.0, 1.0, 4.0, 2.0, 30.0]);
        assert_eq!(five, Figure { median: 4.0, low: 1.0, high: 30.0 });
        assert_eq!(median(&[4.0, 1.0, 2.0, 9.0]), 3.0);
    }

    #[test]
    fn the_spread_is_a_part_of_the_median() {
        assert_eq!(spread(&[7.0]), 0.0);
        assert_eq!(spread(&[9.5, 10.0, 10.5]), 0.1);
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        // Whatever slows both down in one round is not seen.
        assert_eq!(ratios(&[20.0, 40.0], &[10.0, 20.0]), [2.0, 2.0]);
        assert_eq!(geometric_mean(&[0.5, 2.0]), 1.0);
        assert_eq!(mean(&[1.0, 2.0, 6.0]), 3.0);
    }
}
