// Scenarios of `src/core/lessons.rs`. Included by `lessons.rs`, where they hold, and by
// `core_mutants.rs`, where they fail.
//
// A race may lose a lesson. What it may not do is teach another one than was given.

use super::core::lessons::Lessons;
use super::core::region::Zeroed;
use loom::sync::Arc;
use loom_tests::{model, thread};

const FREQUENCY: u32 = 9;
/// The most a class may weigh.
const HEAVIEST: f32 = 16.0;
/// Lessons after which a class weighs that.
const LESSONS_TO_BOUND: u32 = 1024;

fn returned(lessons: &Lessons) {
    lessons.returned(FREQUENCY, 0, 1);
}

/// What a class weighs after so many lessons, one after the other.
fn weight_after(count: u32) -> f32 {
    let lessons = Lessons::empty();
    (0..count).for_each(|_| returned(&lessons));
    lessons.weights().of(FREQUENCY)
}

/// A weight never passes its bound, although several find it a lesson below.
pub fn weights_keep_their_bounds_whoever_learns() {
    model("lessons::weights_keep_their_bounds_whoever_learns", None, || {
        let lessons = Arc::new(Lessons::empty());
        (1..LESSONS_TO_BOUND).for_each(|_| returned(&lessons));
        let other = lessons.clone();
        let other = thread::spawn(move || {
            returned(&other);
            other.weights().of(FREQUENCY)
        });
        returned(&lessons);
        let seen = [lessons.weights().of(FREQUENCY), other.join().unwrap()];
        assert!(seen.iter().all(|&weight| weight <= HEAVIEST), "OUT OF BOUNDS: {seen:?}");
    });
}

/// Two learn and one looks: it sees none, one or both of the lessons, and at rest at least one is
/// left.
pub fn a_weight_moves_by_whole_lessons() {
    model("lessons::a_weight_moves_by_whole_lessons", Some(3), || {
        let lessons = Arc::new(Lessons::empty());
        let learning = [0, 1].map(|_| {
            let lessons = lessons.clone();
            thread::spawn(move || returned(&lessons))
        });
        let whole = [0, 1, 2].map(weight_after);
        let seen = lessons.weights().of(FREQUENCY);
        assert!(whole.contains(&seen), "HALF A LESSON: {seen}");
        for thread in learning {
            thread.join().unwrap();
        }
        let left = lessons.weights().of(FREQUENCY);
        assert!(whole[1..].contains(&left), "HALF A LESSON: {left}");
    });
}
