//! Eviction on recorded keys: each cache plays each trace at each capacity, in turns.

use crate::caches::{CACHES, MOKA, Make, OURS, QUICK_CACHE, ROUNDED_UP};
use crate::figures::{Figure, geometric_mean, mean, median, ratios};
use crate::rounds::{Plan, Series, Side};
use crate::trace::{TRACES, Trace};
use std::cell::RefCell;
use std::io::Result;
use std::path::Path;
use std::time::Instant;

/// Capacities, in percent of the different keys.
const PERCENTS: [usize; 2] = [1, 10];
/// Rounds of one point that are done again at most: they are long.
const REPEATS_MAX: usize = 3;

/// What one cache did with one trace at one capacity.
pub struct Played {
    /// Keys per second.
    pub speed: Figure,
    /// Keys that were found, as a part of all.
    pub hit_ratio: f64,
}

/// One trace at one capacity.
pub struct Point {
    /// The trace.
    pub trace: &'static str,
    /// Keys played.
    pub keys: usize,
    /// Whether those are only the head of the trace.
    pub is_head: bool,
    /// Capacity in percent of the different keys.
    pub percent: usize,
    /// Entries of each cache.
    pub capacity: usize,
    /// By cache, as in [`CACHES`].
    pub played: Vec<Played>,
    /// Speed of ours over moka's, by round.
    pub to_moka: Vec<f64>,
    /// Rounds done again, rounds that count although they were disturbed, and the largest spread.
    pub noise: (usize, usize, f64),
}

/// All points.
pub struct Keys(pub Vec<Point>);

impl Keys {
    /// Plays everything below `folder`. A trace that is not there is named and left out.
    pub fn measure(plan: &Plan, check: &mut Side, folder: &Path) -> Result<Self> {
        let mut points = Vec::new();
        for what in TRACES {
            if !folder.join(what.1).exists() {
                eprintln!("  left out: there is no {} among the traces", what.1);
                continue;
            }
            let trace = Trace::read(folder, what, plan.keys_max)?;
            for percent in PERCENTS {
                eprintln!("  {} at {percent} %", trace.name);
                points.push(Point::measure(plan, check, &trace, percent));
            }
        }
        Ok(Self(points))
    }

    /// Speed of ours over moka's: the mean of all points, in each round.
    pub fn to_moka(&self) -> Figure {
        let rounds = self.0.first().map_or(0, |point| point.to_moka.len());
        let of_round = |round: usize| {
            let ratios: Vec<f64> = self.0.iter().map(|point| point.to_moka[round]).collect();
            geometric_mean(&ratios)
        };
        Figure::of(&(0..rounds).map(of_round).collect::<Vec<_>>())
    }

    /// Hit ratio of ours, above the mean of moka's and quick_cache's: the mean of all points.
    pub fn above_peers(&self) -> f64 {
        mean(&self.0.iter().map(Point::above_peers).collect::<Vec<_>>())
    }

    /// Points at which ours is as fast as moka, at which it finds as much as the peers' mean, and
    /// at which both hold.
    pub fn holds_at(&self) -> [usize; 3] {
        let is_fast = |point: &Point| median(&point.to_moka) >= 1.0;
        let finds = |point: &Point| point.above_peers() >= 0.0;
        [
            self.0.iter().filter(|point| is_fast(point)).count(),
            self.0.iter().filter(|point| finds(point)).count(),
            self.0.iter().filter(|point| is_fast(point) && finds(point)).count(),
        ]
    }
}

impl Point {
    fn measure(plan: &Plan, check: &mut Side, trace: &Trace, percent: usize) -> Self {
        let capacity = trace.capacity(percent);
        let hits: Vec<RefCell<Vec<f64>>> = CACHES.iter().map(|_| RefCell::default()).collect();
        let mut sides: Vec<Side> = CACHES
            .iter()
            .zip(&hits)
            .map(|((name, make), hits)| {
                Side::new(*name, || {
                    let (ns, hit_ratio) = play(*make, capacity, &trace.keys);
                    hits.borrow_mut().push(hit_ratio);
                    ns
                })
            })
            .collect();
        let series = Series::measure(plan, REPEATS_MAX.min(plan.repeats_max), check, &mut sides);
        drop(sides);
        let played = hits.iter().zip(&series.values).map(|(hits, ns)| Played {
            speed: Figure::of(&ns.iter().map(|ns| 1e9 / ns).collect::<Vec<_>>()),
            hit_ratio: median(&hits.borrow()),
        });
        Self {
            trace: trace.name,
            keys: trace.keys.len(),
            is_head: trace.is_head,
            percent,
            capacity,
            played: played.collect(),
            to_moka: ratios(series.of(MOKA), series.of(OURS)),
            noise: (series.repeated, series.noisy(), Figure::of(&series.spreads).high),
        }
    }

    /// What a cache did here.
    ///
    /// # Panics
    ///
    /// If there is no cache of that name.
    pub fn of(&self, name: &str) -> &Played {
        let place = CACHES.iter().position(|(known, _)| *known == name);
        &self.played[place.unwrap_or_else(|| panic!("no cache is called `{name}`"))]
    }

    fn above_peers(&self) -> f64 {
        let peers = [MOKA, QUICK_CACHE].map(|name| self.of(name).hit_ratio);
        self.of(OURS).hit_ratio - mean(&peers)
    }
}

/// One pass through an empty cache: ns per key, and the part of keys that were found.
fn play(make: Make, capacity: usize, keys: &[u64]) -> (f64, f64) {
    let mut cache = make(capacity);
    let began = Instant::now();
    let found = cache.play(keys);
    let took = began.elapsed();
    let held = cache.held();
    assert!(held <= capacity as u64 + ROUNDED_UP, "a cache of {capacity} entries holds {held}");
    (took.as_nanos() as f64 / keys.len() as f64, found as f64 / keys.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A point at which only these three caches have played.
    fn point(ours: f64, moka: f64, quick: f64, to_moka: f64) -> Point {
        let hit_ratio = |name: &str| match name {
            OURS => ours,
            MOKA => moka,
            QUICK_CACHE => quick,
            _ => 0.0,
        };
        let played = |(name, _): &(&str, Make)| Played {
            speed: Figure::once(1.0),
            hit_ratio: hit_ratio(name),
        };
        Point {
            trace: "made up",
            keys: 1,
            is_head: false,
            percent: 1,
            capacity: 1,
            played: CACHES.iter().map(played).collect(),
            to_moka: vec![to_moka; 3],
            noise: (0, 0, 0.0),
        }
    }

    #[test]
    fn all_points_count_the_same() {
        let fast = point(0.5, 0.4, 0.4, 4.0);
        let slow = point(0.3, 0.5, 0.3, 0.25);
        let keys = Keys(vec![fast, slow]);
        assert_eq!(keys.to_moka(), Figure::once(1.0));
        assert!((keys.above_peers() - 0.0).abs() < 1e-9, "{}", keys.above_peers());
        assert_eq!(keys.holds_at(), [1, 1, 1]);
    }

    #[test]
    fn what_was_found_is_counted() {
        let (_, hit_ratio) = play(CACHES[0].1, 4, &[1, 2, 1, 2, 3, 1, 2, 3]);
        assert_eq!(hit_ratio, 5.0 / 8.0);
    }
}
