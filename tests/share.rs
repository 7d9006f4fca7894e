//! The water level against a search by halves, the definition word by word.

use allotment::internals::share::{Party, water_level};
use proptest::prelude::*;

/// The most for which what everybody takes fits, found without knowing anything about slopes.
fn by_halves(capacity: u64, guaranteed: u64, active: &[Party]) -> u64 {
    let spare = u128::from(capacity.saturating_sub(guaranteed));
    let taken = |water: u64| -> u128 {
        let of = |p: &Party| {
            let wanted = u128::from(p.want.saturating_sub(p.guarantee));
            wanted.min(u128::from(p.weight) * u128::from(water))
        };
        active.iter().map(of).sum()
    };
    let (mut low, mut high) = (0, capacity);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if taken(middle) <= spare { low = middle } else { high = middle - 1 }
    }
    low
}

fn party(want_max: u64) -> impl Strategy<Value = Party> {
    (0..=want_max / 8, 1..=4u64, 0..=want_max).prop_map(|(guarantee, weight, want)| Party {
        guarantee,
        weight,
        want,
    })
}

proptest! {
    #[test]
    fn the_slope_leads_where_halving_leads(
        parties in prop::collection::vec(party(1_000), 0..40),
        capacity in 1..20_000u64,
        inactive in 0..1_000u64,
    ) {
        let guaranteed = parties.iter().map(|p| p.guarantee).sum::<u64>() + inactive;
        let level = water_level(capacity, guaranteed, parties.iter().copied());
        prop_assert_eq!(level, by_halves(capacity, guaranteed, &parties));
    }

    #[test]
    fn also_with_the_largest_figures(parties in prop::collection::vec(party(1 << 48), 0..40)) {
        let capacity = (1 << 48) - 1;
        let level = water_level(capacity, 0, parties.iter().copied());
        prop_assert_eq!(level, by_halves(capacity, 0, &parties));
    }
}

/// Weights fall as fast as the levels rise at which a party has enough. So each pass along the
/// slope gets past one bend only, and the rest is found by halves.
#[test]
fn a_slope_with_very_many_bends_is_followed_to_its_end() {
    const BENDS: u64 = 12;
    const EACH: u64 = 1 << 44;
    let bends = (0..BENDS).map(|n| Party { guarantee: 0, weight: EACH >> (4 * n), want: EACH });
    let parties: Vec<_> = bends.clone().collect();
    let all = BENDS * EACH;
    for capacity in [1, 1_000, 1 << 20, EACH, all / 2, all - EACH, all - 1, all] {
        let level = water_level(capacity, 0, bends.clone());
        assert_eq!(level, by_halves(capacity, 0, &parties), "capacity {capacity}");
    }
}
