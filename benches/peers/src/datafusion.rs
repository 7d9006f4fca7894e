//! DataFusion's memory pools: a reservation grows and shrinks, or comes and goes.

use crate::bare::BYTES;
use crate::rounds::{Plan, Side};
use crate::timing::{alone, each, together};
use datafusion_execution::memory_pool::{
    FairSpillPool, GreedyMemoryPool, MemoryConsumer, MemoryPool, MemoryReservation,
    TrackConsumersPool,
};
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::sync::Arc;

/// Growth in the pool that only counts.
pub const GREEDY: &str = "`GreedyMemoryPool`: grow + shrink";
/// Growth in the pool that divides.
pub const FAIR: &str = "`FairSpillPool`: grow + shrink";
/// Growth in the pool that knows its consumers.
pub const TRACKED: &str = "`TrackConsumersPool<Greedy>`: grow + shrink";
/// A consumer of the pool that only counts.
pub const GREEDY_CONSUMER: &str = "`GreedyMemoryPool`: register, take, drop";
/// A consumer of the pool that knows it.
pub const TRACKED_CONSUMER: &str = "`TrackConsumersPool<Greedy>`: register, take, drop";
/// Two threads in one pool.
pub const GREEDY_TOGETHER: &str = "`GreedyMemoryPool`: grow + shrink, two threads";
/// Two threads in the pool that knows its consumers.
pub const TRACKED_TOGETHER: &str = "`TrackConsumersPool<Greedy>`: grow + shrink, two threads";

const PAGE: usize = BYTES as usize;
const CAPACITY: usize = 1 << 40;

fn greedy() -> Arc<dyn MemoryPool> {
    Arc::new(GreedyMemoryPool::new(CAPACITY))
}

fn tracked() -> Arc<dyn MemoryPool> {
    let top = NonZeroUsize::new(5).expect("five is not zero");
    Arc::new(TrackConsumersPool::new(GreedyMemoryPool::new(CAPACITY), top))
}

/// All pools on this thread.
pub fn sides(plan: &Plan) -> Vec<Side<'static>> {
    // Sharing evenly is what it is for: with a consumer that can spill.
    let fair: Arc<dyn MemoryPool> = Arc::new(FairSpillPool::new(CAPACITY));
    let spilling = MemoryConsumer::new("bench").with_can_spill(true).register(&fair);
    vec![
        growing(plan, GREEDY, reservation(&greedy())),
        growing(plan, FAIR, spilling),
        growing(plan, TRACKED, reservation(&tracked())),
        consuming(plan, GREEDY_CONSUMER, greedy()),
        consuming(plan, TRACKED_CONSUMER, tracked()),
    ]
}

/// Two threads, each its own consumer of one pool.
pub fn sides_together(plan: &Plan) -> Vec<Side<'static>> {
    let two = |name, pool: Arc<dyn MemoryPool>| {
        let reservations = [reservation(&pool), reservation(&pool)];
        together(plan, name, 2, move |k, times| {
            (0..times).for_each(|_| grow_and_shrink(&reservations[k]));
        })
    };
    vec![two(GREEDY_TOGETHER, greedy()), two(TRACKED_TOGETHER, tracked())]
}

/// A reservation that holds a page already, as a grant does that grows.
fn reservation(pool: &Arc<dyn MemoryPool>) -> MemoryReservation {
    let reservation = MemoryConsumer::new("bench").register(pool);
    reservation.try_grow(PAGE).expect("room for a page");
    reservation
}

fn growing(plan: &Plan, name: &str, reservation: MemoryReservation) -> Side<'static> {
    alone(plan, name, each(move || grow_and_shrink(&reservation)))
}

#[inline]
fn grow_and_shrink(reservation: &MemoryReservation) {
    black_box(reservation).try_grow(black_box(PAGE)).expect("room for a page");
    black_box(reservation).shrink(black_box(PAGE));
}

fn consuming(plan: &Plan, name: &str, pool: Arc<dyn MemoryPool>) -> Side<'static> {
    alone(
        plan,
        name,
        each(move || {
            let reservation = MemoryConsumer::new(black_box("bench")).register(&pool);
            reservation.try_grow(black_box(PAGE)).expect("room for a page");
            black_box(&reservation);
        }),
    )
}
