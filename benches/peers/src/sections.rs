//! What is measured, section by section; what a bar compares stands in one section.

use crate::bare::{self, Word};
use crate::crowd::Crowd;
use crate::denials::FullPool;
use crate::facade::{self, PlainFacade};
use crate::keys::Keys;
use crate::map::{self, MapManager};
use crate::memory::{self, Memory};
use crate::ours::Ours;
use crate::rounds::{Plan, Series, Side};
use crate::tail::{self, Tails};
use crate::tasks::Runtimes;
use crate::victims::Caches;
use crate::{datafusion, manager, semaphore};
use std::io::Result;
use std::path::Path;
use std::sync::Arc;

const CAPACITY: u64 = 1 << 40;

/// All that was measured.
pub struct Measured {
    /// Bytes of a tenant and a grant.
    pub memory: Memory,
    /// One thread.
    pub alone: Series,
    /// Two threads.
    pub together: Series,
    /// Few tenants and many.
    pub crowd: Series,
    /// Evictions from few grants and from many.
    pub victims: Series,
    /// Evictions for each request of those, by side.
    pub evicted_per_request: Vec<f64>,
    /// Denials by the pool.
    pub denials: Series,
    /// Grants beside a storm of them.
    pub storm: Series,
    /// Slowest answers.
    pub tail: Tails,
    /// Recorded keys; none where there are no traces.
    pub keys: Option<Keys>,
}

impl Measured {
    /// Measures everything; recorded keys below `traces`, if there are any.
    pub fn all(plan: &Plan, traces: Option<&Path>) -> Result<Self> {
        eprintln!("memory");
        // First: later there is freed memory that would be used again.
        let memory = memory::measure();
        let (victims, evicted_per_request) = victims(plan);
        let (denials, storm) = denials(plan);
        Ok(Self {
            memory,
            alone: one_thread(plan),
            together: two_threads(plan),
            crowd: crowd(plan),
            victims,
            evicted_per_request,
            denials,
            storm,
            tail: tail::measure(plan, |sides| alone_checked("slowest answers", plan, sides)),
            keys: traces.map(|folder| recorded(plan, folder)).transpose()?,
        })
    }

    /// The sections that rounds were counted of, by name.
    pub fn series(&self) -> [(&'static str, &Series); 7] {
        [
            ("one thread", &self.alone),
            ("two threads", &self.together),
            ("many tenants", &self.crowd),
            ("one victim", &self.victims),
            ("denials", &self.denials),
            ("storm of denials", &self.storm),
            ("slowest answers", &self.tail.series),
        ]
    }
}

/// Checked by the bare pair on one thread.
fn alone_checked(section: &str, plan: &Plan, sides: &mut [Side]) -> Series {
    eprintln!("{section}");
    let word = Word::default();
    Series::measure(plan, plan.repeats_max, &mut bare::alone_on(plan, &word), sides)
}

/// Checked by bare pairs on two threads that do not meet: both cores have to be free.
fn apart_checked(section: &str, plan: &Plan, sides: &mut [Side]) -> Series {
    eprintln!("{section}");
    let words = [Word::default(), Word::default()];
    Series::measure(plan, plan.repeats_max, &mut bare::apart(plan, &words), sides)
}

fn one_thread(plan: &Plan) -> Series {
    let (ours, semaphore) = (Ours::new(), semaphore::semaphore());
    let (map, plain) =
        (MapManager::new(CAPACITY, 2), PlainFacade::new(CAPACITY, &facade::tenants()));
    let runtimes = Runtimes::new();
    let manager = runtimes.alone.block_on(manager::manager());
    let mut sides = ours.alone(plan);
    sides.extend(datafusion::sides(plan));
    sides.push(semaphore::side(plan, &semaphore));
    sides.push(map::side(plan, &map));
    sides.push(facade::side(plan, &plain, &runtimes));
    sides.push(manager::side(plan, &manager, &runtimes));
    alone_checked("one thread", plan, &mut sides)
}

fn two_threads(plan: &Plan) -> Series {
    let (ours, semaphore, word) = (Ours::new(), semaphore::semaphore(), Word::default());
    let (map, plain) =
        (MapManager::new(CAPACITY, 2), Arc::new(PlainFacade::new(CAPACITY, &facade::tenants())));
    let runtimes = Runtimes::new();
    let manager = runtimes.alone.block_on(manager::manager());
    let mut sides = ours.together(plan);
    sides.push(bare::contended(plan, &word));
    sides.extend(datafusion::sides_together(plan));
    sides.push(semaphore::side_together(plan, &semaphore));
    sides.push(map::side_together(plan, &map));
    sides.push(facade::side_together(plan, plain, &runtimes));
    sides.push(manager::side_together(plan, &manager, &runtimes));
    apart_checked("two threads", plan, &mut sides)
}

fn crowd(plan: &Plan) -> Series {
    let crowd = Crowd::new();
    alone_checked("many tenants", plan, &mut crowd.sides(plan))
}

fn denials(plan: &Plan) -> (Series, Series) {
    let pool = FullPool::new();
    let denials = alone_checked("denials", plan, &mut [pool.alone(plan)]);
    (denials, apart_checked("a storm of denials", plan, &mut pool.beside(plan)))
}

fn victims(plan: &Plan) -> (Series, Vec<f64>) {
    let caches = Caches::new();
    let series = alone_checked("one victim", plan, &mut caches.sides(plan));
    (series, caches.evicted_per_request())
}

fn recorded(plan: &Plan, folder: &Path) -> Result<Keys> {
    eprintln!("recorded keys");
    let word = Word::default();
    Keys::measure(plan, &mut bare::alone_on(plan, &word), folder)
}
