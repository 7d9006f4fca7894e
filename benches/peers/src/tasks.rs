//! Runtimes for what is awaited, and how two tasks of one are timed.

use crate::figures::{mean, median};
use crate::rounds::{Plan, Side};
use crate::timing::{BATCH_TOGETHER, batches};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use tokio::runtime::{Builder, Runtime};

/// Operations of a task between two looks whether the batch is over.
const CHUNK: u64 = 64;

/// The runtimes of a service: of one thread, and of two.
pub struct Runtimes {
    /// Runs what is awaited on the thread that waits for it.
    pub alone: Runtime,
    /// Two threads that share their tasks: one that waits for a lock goes on wherever that is
    /// cheapest.
    pub workers: Runtime,
}

impl Runtimes {
    /// Both.
    pub fn new() -> Self {
        let alone = Builder::new_current_thread().build().expect("a runtime");
        let workers = Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
        Self { alone, workers }
    }
}

/// A side of two tasks at once; `run(k, n)` does the operation `n` times in task `k`. Measures ns
/// per operation of one task, `2 / throughput`.
pub fn together_in_tasks<'a, Run, Done>(
    plan: &Plan,
    name: &str,
    workers: &'a Runtime,
    run: Run,
) -> Side<'a>
where
    Run: Fn(usize, u64) -> Done + Clone + Send + Sync + 'static,
    Done: Future<Output = ()> + Send + 'static,
{
    let batches = batches(plan, BATCH_TOGETHER);
    Side::new(name, move || {
        let batch = |_| {
            let over = Arc::new(AtomicBool::new(false));
            let tasks = [0, 1].map(|k| workers.spawn(throughput(k, run.clone(), over.clone())));
            std::thread::sleep(BATCH_TOGETHER);
            over.store(true, Ordering::Relaxed);
            let own = tasks.map(|task| workers.block_on(task).expect("a side does not panic"));
            1.0 / mean(&own)
        };
        median(&(0..batches).map(batch).collect::<Vec<_>>())
    })
}

/// Operations of a task per ns.
async fn throughput<Run, Done>(task: usize, run: Run, over: Arc<AtomicBool>) -> f64
where
    Run: Fn(usize, u64) -> Done,
    Done: Future<Output = ()>,
{
    let (began, mut done) = (Instant::now(), 0);
    while !over.load(Ordering::Relaxed) {
        run(task, black_box(CHUNK)).await;
        done += CHUNK;
    }
    done as f64 / began.elapsed().as_nanos() as f64
}
