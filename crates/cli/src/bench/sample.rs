//! What several rounds of one measure say together.

/// Median and spread of some rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample {
    /// The middle round; of an even number the mean of the two in the middle.
    pub median: f64,
    /// From the lowest to the highest round, as a share of the median.
    pub spread: f64,
}

impl Sample {
    /// Of at least one round.
    pub fn of(mut rounds: Vec<f64>) -> Self {
        rounds.sort_by(f64::total_cmp);
        let middle = rounds.len() / 2;
        let median = if rounds.len().is_multiple_of(2) {
            f64::midpoint(rounds[middle - 1], rounds[middle])
        } else {
            rounds[middle]
        };
        Self { median, spread: (rounds[rounds.len() - 1] - rounds[0]) / median }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(Sample::of(vec![9.0, 1.0, 2.0]).median, 2.0);
        assert_eq!(Sample::of(vec![4.0, 1.0, 9.0, 2.0]).median, 3.0);
        assert_eq!(Sample::of(vec![7.0]), Sample { median: 7.0, spread: 0.0 });
    }

    #[test]
    fn the_spread_is_a_share_of_the_median() {
        assert_eq!(Sample::of(vec![11.0, 10.0, 9.0]).spread, 0.2);
        assert_eq!(Sample::of(vec![5.0, 5.0]).spread, 0.0);
    }
}
