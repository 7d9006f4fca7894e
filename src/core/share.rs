//! Fair shares, by water-filling in integers.
//!
//! ```text
//! share(t) = guarantee(t) + weight(t) x water
//! water = the most for which  sum over active t of min(want(t) - guarantee(t), weight(t) x water)
//!         <= capacity - sum of all guarantees
//! ```
//!
//! A tenant that wants less than its share leaves the rest to the others; one number, the water
//! level, says everybody's share. What integers leave over is less than the sum of the weights.

/// A tenant as the shares see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Party {
    /// Its floor.
    pub guarantee: u64,
    /// Its weight, at least 1.
    pub weight: u64,
    /// Bytes it wants; 0: not active.
    pub want: u64,
}

/// The water level. Steps: 48 passes over the parties.
pub fn water_level(capacity: u64, parties: impl Iterator<Item = Party> + Clone) -> u64 {
    let guaranteed: u64 = parties.clone().map(|p| p.guarantee).sum();
    let spare = u128::from(capacity.saturating_sub(guaranteed));
    let taken = |water: u64| -> u128 {
        let beyond = |p: Party| {
            let wanted = u128::from(p.want.saturating_sub(p.guarantee));
            wanted.min(u128::from(p.weight) * u128::from(water))
        };
        parties.clone().map(beyond).sum()
    };
    // Invariant: `low` fits; everything above `high` does not, or is more than the capacity.
    let (mut low, mut high) = (0, capacity);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if taken(middle) <= spare { low = middle } else { high = middle - 1 }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    fn party(guarantee: u64, weight: u64, want: u64) -> Party {
        Party { guarantee, weight, want }
    }

    #[test]
    fn spare_bytes_are_shared_by_weight() {
        let parties = [party(0, 4, 1000), party(0, 3, 1000), party(0, 2, 1000), party(0, 1, 1000)];
        assert_eq!(water_level(100, parties.into_iter()), 10);
    }

    #[test]
    fn who_wants_less_leaves_the_rest_to_the_others() {
        let parties = [party(0, 1, 10), party(0, 1, 1000), party(0, 1, 1000)];
        assert_eq!(water_level(100, parties.into_iter()), 45);
    }

    #[test]
    fn guarantees_come_first_also_those_of_the_inactive() {
        let parties = [party(40, 1, 0), party(20, 1, 1000), party(0, 1, 1000)];
        assert_eq!(water_level(100, parties.into_iter()), 20);
    }

    #[test]
    fn nobody_is_short_when_everything_fits() {
        assert_eq!(water_level(100, [party(0, 1, 10)].into_iter()), 100);
        assert_eq!(water_level(100, [].into_iter()), 100);
    }
}
