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

/// Passes that follow the slope before the level is searched by halves.
const SLOPES_MAX: u32 = 8;

/// What the parties take at a level.
struct Taken {
    /// All together.
    bytes: u128,
    /// All together, one unit of water higher.
    next: u128,
    /// Weights of those that take more when the water rises.
    rising: u128,
}

fn taken(active: impl Iterator<Item = Party>, water: u64) -> Taken {
    active.fold(Taken { bytes: 0, next: 0, rising: 0 }, |sum, party| {
        let wanted = u128::from(party.want.saturating_sub(party.guarantee));
        let (weight, water) = (u128::from(party.weight), u128::from(water));
        Taken {
            bytes: sum.bytes + wanted.min(weight * water),
            next: sum.next + wanted.min(weight * (water + 1)),
            rising: sum.rising + if wanted > weight * water { weight } else { 0 },
        }
    })
}

/// The water level, where `guaranteed` is the sum of all guarantees, those of inactive tenants
/// included. Exact.
///
/// What is taken grows ever slower with the level, so to follow its slope never leads too high:
/// mostly that takes a handful of passes over the parties. At most 58 passes.
pub fn water_level(
    capacity: u64,
    guaranteed: u64,
    active: impl Iterator<Item = Party> + Clone,
) -> u64 {
    let spare = u128::from(capacity.saturating_sub(guaranteed));
    if taken(active.clone(), capacity).bytes <= spare {
        return capacity;
    }
    // Invariant: `low` fits; `high` is the highest that may.
    let (mut low, mut high) = (0, capacity - 1);
    for _ in 0..SLOPES_MAX {
        let now = taken(active.clone(), low);
        // Parties that are looked at in a running governor may want more than in the last pass.
        let left = spare.saturating_sub(now.bytes);
        let step = left.checked_div(now.rising).unwrap_or(0) as u64;
        if step > 0 {
            low += step;
        } else if now.next <= spare {
            low += 1;
        } else {
            return low;
        }
    }
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if taken(active.clone(), middle).bytes <= spare {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    fn party(guarantee: u64, weight: u64, want: u64) -> Party {
        Party { guarantee, weight, want }
    }

    fn level(capacity: u64, parties: &[Party]) -> u64 {
        let guaranteed = parties.iter().map(|p| p.guarantee).sum();
        water_level(capacity, guaranteed, parties.iter().copied())
    }

    #[test]
    fn spare_bytes_are_shared_by_weight() {
        let parties = [party(0, 4, 1000), party(0, 3, 1000), party(0, 2, 1000), party(0, 1, 1000)];
        assert_eq!(level(100, &parties), 10);
    }

    #[test]
    fn who_wants_less_leaves_the_rest_to_the_others() {
        let parties = [party(0, 1, 10), party(0, 1, 1000), party(0, 1, 1000)];
        assert_eq!(level(100, &parties), 45);
    }

    #[test]
    fn guarantees_come_first_also_those_of_the_inactive() {
        let parties = [party(40, 1, 0), party(20, 1, 1000), party(0, 1, 1000)];
        assert_eq!(level(100, &parties), 20);
    }

    #[test]
    fn nobody_is_short_when_everything_fits() {
        assert_eq!(level(100, &[party(0, 1, 10)]), 100);
        assert_eq!(level(100, &[]), 100);
    }
}
