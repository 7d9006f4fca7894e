//! How one side is timed: in batches, of which the median counts, so that what interrupts one of
//! them is not seen.

use crate::figures::{mean, median};
use crate::rounds::{Plan, Side};
use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Time of one batch on one thread: far above what it costs to look at the clock, and far below the
/// time that others have the core once they have it, so that they are in few batches.
const BATCH: Duration = Duration::from_micros(200);
/// Time of one batch on several threads: far above what it costs to start them.
pub const BATCH_TOGETHER: Duration = Duration::from_millis(10);
/// Operations of a thread between two looks whether the batch is over.
const CHUNK: u64 = 512;

/// An operation, done so many times.
pub fn each(mut op: impl FnMut()) -> impl FnMut(u64) {
    move |times| {
        for _ in 0..times {
            op();
        }
    }
}

/// A side on this thread; `run` does the operation so many times.
pub fn alone<'a>(plan: &Plan, name: impl Into<String>, mut run: impl FnMut(u64) + 'a) -> Side<'a> {
    let batches = batches(plan, BATCH);
    let mut times = 0;
    Side::new(name, move || {
        if times == 0 {
            times = calibrated(&mut run);
        }
        let batch = |_| {
            let began = Instant::now();
            run(black_box(times));
            began.elapsed().as_nanos() as f64 / times as f64
        };
        median(&(0..batches).map(batch).collect::<Vec<_>>())
    })
}

/// Batches that fit into the time of a side.
pub fn batches(plan: &Plan, batch: Duration) -> u128 {
    (Duration::from_millis(plan.side_ms).as_nanos() / batch.as_nanos()).max(1)
}

/// How many operations take about one batch. Warms up on the way.
fn calibrated(run: &mut impl FnMut(u64)) -> u64 {
    let mut times = 1;
    loop {
        let began = Instant::now();
        run(black_box(times));
        let took = began.elapsed();
        if took >= BATCH / 4 {
            let fit = times as f64 * BATCH.as_secs_f64() / took.as_secs_f64();
            return (fit as u64).max(1);
        }
        times *= 2;
    }
}

/// A side on several threads at once; `run(k, n)` does the operation `n` times on thread `k`.
/// Measures ns per operation of one thread, `threads / throughput`.
pub fn together<'a>(
    plan: &Plan,
    name: impl Into<String>,
    threads: usize,
    run: impl Fn(usize, u64) + Sync + 'a,
) -> Side<'a> {
    let batches = batches(plan, BATCH_TOGETHER);
    Side::new(name, move || {
        let batch = |_| 1.0 / mean(&throughputs(threads, BATCH_TOGETHER, &run));
        median(&(0..batches).map(batch).collect::<Vec<_>>())
    })
}

/// Like [`together`] on two threads, measuring thread 0 alone; thread 1 is there to disturb it.
pub fn beside<'a>(
    plan: &Plan,
    name: impl Into<String>,
    run: impl Fn(usize, u64) + Sync + 'a,
) -> Side<'a> {
    let batches = batches(plan, BATCH_TOGETHER);
    Side::new(name, move || {
        let batch = |_| 1.0 / throughputs(2, BATCH_TOGETHER, &run)[0];
        median(&(0..batches).map(batch).collect::<Vec<_>>())
    })
}

/// Operations of each thread per ns. Runs for a time, not for a number: all threads are there until
/// the end. Each is kept on a core of its own: two that take turns on one never meet.
fn throughputs(threads: usize, time: Duration, run: &(impl Fn(usize, u64) + Sync)) -> Vec<f64> {
    let (begin, over) = (Barrier::new(threads + 1), AtomicBool::new(false));
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    std::thread::scope(|scope| {
        let work = |k| {
            let (begin, over, core) = (&begin, &over, cores.get(k).copied());
            move || {
                core.map(core_affinity::set_for_current);
                begin.wait();
                let (began, mut done) = (Instant::now(), 0);
                while !over.load(Ordering::Relaxed) {
                    run(k, black_box(CHUNK));
                    done += CHUNK;
                }
                done as f64 / began.elapsed().as_nanos() as f64
            }
        };
        let running: Vec<_> = (0..threads).map(|k| scope.spawn(work(k))).collect();
        begin.wait();
        std::thread::sleep(time);
        over.store(true, Ordering::Relaxed);
        running.into_iter().map(|thread| thread.join().expect("a side does not panic")).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        Plan { rounds: 1, repeats_max: 0, side_ms: 20, keys_max: 1 }
    }

    #[test]
    fn a_batch_is_fitted_to_its_time() {
        let mut side = alone(&plan(), "sleeps", |times| {
            std::thread::sleep(Duration::from_micros(100) * times as u32);
        });
        let ns = (side.measure)();
        assert!((100_000.0..1_000_000.0).contains(&ns), "{ns}");
    }

    #[test]
    fn two_threads_are_counted_by_thread() {
        let nap = |_, times| std::thread::sleep(Duration::from_micros(10) * times as u32);
        let ns = (together(&plan(), "sleeps", 2, nap).measure)();
        assert!((10_000.0..40_000.0).contains(&ns), "{ns}");
    }
}
