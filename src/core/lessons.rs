//! What evictions taught: how soon grants of each frequency come back after they were evicted.
//!
//! A rule that orders victims is right at the margin when it regrets none of its classes more than
//! another: of a hundred evicted grants, as many return soon whether they were used once or fifty
//! times. The frequency alone cannot know. Where a scan runs through, a grant used once is worth
//! next to nothing; where use comes in bursts, a high count is old fame. So a queue learns a weight
//! for each class of frequency from the evictions that turn out to have been mistakes:
//!
//! ```text
//! returning  = share of the evicted that return soon     (a running mean over 1,024 evictions)
//! evicted    weight of its class *= 1 - STEP x returning
//! returned   weight of its class *= 1 + STEP             if absent <= slots of the queue / 4
//! at rest    returns(class) / evictions(class) = returning, the same for every class
//! always     1/16 <= weight <= 16
//! ```
//!
//! Weights are kept as the bits of an `f32`: adding to them multiplies, near enough, and no
//! function of the machine's library is asked, so that every machine learns the same. All accesses
//! are relaxed and none is a read-modify-write; a lesson lost to a race is one among thousands.
//!
//! Only slow paths come here: an eviction, and a request whose key was evicted before.

use super::region::Zeroed;
use super::sync::{AtomicU32, Ordering};

/// Classes of frequency: two for each power of two, from 1 up to 192 and more.
pub const CLASSES: usize = 16;

/// What one return adds to the bits of a weight: 1/256 of a doubling. Twice as much ran into the
/// bounds in the longest of the traces this was measured on, and gained little in the others.
const STEP: u32 = 1 << 15;
/// How far a weight may move from 1: four doublings.
const BOUND: i32 = 4 << 23;
/// Bits of the weight 1.
const EVEN: i32 = 0x3f80_0000;
/// The share 1 in `returning`.
const WHOLE: u32 = 1 << 24;
/// Evictions, as a power of two, over which `returning` is a mean.
const MEAN_BITS: u32 = 10;
/// A return is soon if the key was absent for at most the slots of the queue over this: longer
/// absences say more about the size of the queue than about the choice of the victim.
const SOON_SHARE: u32 = 4;

const _: () = assert!(STEP < 1 << 23 && (STEP as u64 * WHOLE as u64) < 1 << 40);

/// The class of a frequency.
#[inline]
pub fn class(frequency: u32) -> usize {
    // The exponent and the first bit of the mantissa, counted from those of 1.
    let half_octave = (frequency.max(1) as f32).to_bits() >> 22;
    (half_octave as usize - (EVEN as usize >> 22)).min(CLASSES - 1)
}

/// What a queue has learned. All zero bytes: nothing yet, every weight is 1.
#[repr(C)]
pub struct Lessons {
    /// Bits of each weight, less those of 1.
    moved: [AtomicU32; CLASSES],
    returning: AtomicU32,
}

// SAFETY: atomics only; all zero is a queue that has learned nothing.
unsafe impl Zeroed for Lessons {
    fn empty() -> Self {
        let zero = || AtomicU32::new(0);
        Self { moved: std::array::from_fn(|_| zero()), returning: zero() }
    }
}

impl Lessons {
    /// The weights as they are now. Steps: one load for each class.
    #[inline]
    pub fn weights(&self) -> Weights {
        // Relaxed: weights are advice and order nothing.
        let moved = |cell: &AtomicU32| cell.load(Ordering::Relaxed) as i32;
        Weights(std::array::from_fn(|i| f32::from_bits((EVEN + moved(&self.moved[i])) as u32)))
    }

    /// Learns that a grant of this frequency, whose key will be remembered, was evicted.
    pub fn evicted(&self, frequency: u32) {
        // Relaxed: a lost update is a lesson less.
        let order = Ordering::Relaxed;
        let returning = self.returning.load(order);
        self.returning.store(returning - (returning >> MEAN_BITS), order);
        let step = (u64::from(STEP) * u64::from(returning)) / u64::from(WHOLE);
        self.shift(frequency, -(step as i32));
    }

    /// Learns that a key came back `absent` operations after it was evicted with this frequency.
    /// `slots` is the size of the queue, in grants.
    pub fn returned(&self, frequency: u32, absent: u32, slots: u32) {
        if absent > slots / SOON_SHARE {
            return;
        }
        // Relaxed: as in `evicted`.
        let order = Ordering::Relaxed;
        let returning = self.returning.load(order) + (WHOLE >> MEAN_BITS);
        self.returning.store(returning.min(WHOLE), order);
        self.shift(frequency, STEP as i32);
    }

    /// Forgets everything: the queue gets another owner.
    pub fn forget(&self) {
        // What was never written to stays so, and costs no memory.
        if self.is_blank() {
            return;
        }
        for cell in self.moved.iter().chain([&self.returning]) {
            // Relaxed: as in `evicted`.
            cell.store(0, Ordering::Relaxed);
        }
    }

    /// Whether nothing was learned yet.
    pub fn is_blank(&self) -> bool {
        let mut cells = self.moved.iter().chain([&self.returning]);
        // Relaxed: as in `evicted`.
        cells.all(|cell| cell.load(Ordering::Relaxed) == 0)
    }

    fn shift(&self, frequency: u32, by: i32) {
        let cell = &self.moved[class(frequency)];
        // Relaxed: as in `evicted`.
        let order = Ordering::Relaxed;
        let moved = (cell.load(order) as i32 + by).clamp(-BOUND, BOUND);
        cell.store(moved as u32, order);
    }
}

/// A weight for each class of frequency.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weights([f32; CLASSES]);

impl Weights {
    /// Nothing learned: every class weighs 1.
    pub const EVEN: Self = Self([1.0; CLASSES]);

    /// The weight of a grant of this frequency.
    #[inline]
    pub fn of(&self, frequency: u32) -> f32 {
        self.0[class(frequency)]
    }
}

#[cfg(test)]
mod tests {
    use super::super::region::tests::{assert_empty_is_zeroed, words};
    use super::*;

    words! { Lessons: moved returning }

    #[test]
    fn an_empty_cell_is_a_zeroed_one() {
        assert_empty_is_zeroed::<Lessons>();
    }

    #[test]
    fn two_classes_for_each_power_of_two() {
        let first_of = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192];
        let classes: Vec<_> = first_of.iter().map(|&f| class(f)).collect();
        // 1.5 is no frequency: class 1 stays empty.
        assert_eq!(classes, [0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
        assert_eq!((class(0), class(191), class(u32::MAX)), (0, 14, 15));
    }

    #[test]
    fn nothing_learned_weighs_even() {
        let lessons = Lessons::empty();
        assert!(lessons.is_blank());
        assert_eq!(lessons.weights(), Weights::EVEN);
        lessons.returned(1, 0, 100);
        assert!(!lessons.is_blank());
    }

    /// An eviction costs as much of a return's gain as there are returns among what is evicted,
    /// and without returns it teaches nothing in the end.
    #[test]
    fn an_eviction_counts_by_how_much_returns() {
        let lessons = Lessons::empty();
        (0..10_000).for_each(|_| lessons.returned(9, 0, 100));
        // Relaxed: one thread.
        let moved = |frequency| lessons.moved[class(frequency)].load(Ordering::Relaxed) as i32;
        assert_eq!(moved(1), 0);
        lessons.evicted(1);
        assert_eq!(moved(1), -(STEP as i32), "all came back lately");
        (0..10_000).for_each(|_| lessons.evicted(9));
        let before = moved(1);
        lessons.evicted(1);
        assert!(before - moved(1) < STEP as i32 / 100, "none came back lately");
    }

    #[test]
    fn what_returns_soon_gains_and_what_stays_away_loses() {
        let lessons = Lessons::empty();
        for _ in 0..10_000 {
            lessons.evicted(1);
            lessons.evicted(9);
            lessons.returned(9, 25, 100);
        }
        let weights = lessons.weights();
        assert!(weights.of(1) < 0.5 && weights.of(9) > 2.0, "{weights:?}");
        assert_eq!(weights.of(100), 1.0);
        lessons.forget();
        assert_eq!(lessons.weights(), Weights::EVEN);
    }

    #[test]
    fn equal_returns_teach_nothing() {
        let lessons = Lessons::empty();
        for turn in 0..100_000_u32 {
            for frequency in [1, 4] {
                lessons.evicted(frequency);
                if turn % 10 == 0 {
                    lessons.returned(frequency, 0, 100);
                }
            }
        }
        let weights = lessons.weights();
        let ratio = weights.of(1) / weights.of(4);
        assert!((0.9..1.1).contains(&ratio), "{weights:?}");
    }

    #[test]
    fn a_late_return_is_no_lesson() {
        let lessons = Lessons::empty();
        lessons.returned(3, 26, 100);
        assert_eq!(lessons.weights(), Weights::EVEN);
    }

    #[test]
    fn weights_keep_their_bounds() {
        let lessons = Lessons::empty();
        for _ in 0..100_000 {
            lessons.returned(u32::MAX, 0, 1);
            lessons.evicted(1);
        }
        let weights = lessons.weights();
        assert_eq!((weights.of(u32::MAX), weights.of(1)), (16.0, 1.0 / 16.0));
    }
}
