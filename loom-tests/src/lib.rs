//! What all models share: how a model is run, bounded and put on record.
//!
//! With `ALLOT_LOOM_RECORD=<file>` every model that holds and every control that is caught adds a
//! line to that file, of which `run.sh table` makes the tables of `docs/MODELS.md`:
//!
//! ```text
//! model | control    name    claim    threads    bound of preemptions    executions    seconds
//! ```
#![cfg(allot_loom)]

use std::cell::{Cell, RefCell};
use std::io::Write;
use std::time::Instant;

/// Loom's threads, counted: no model says how many it has in another way than by starting them.
pub mod thread {
    pub use loom::thread::{JoinHandle, yield_now};

    /// Starts a thread of a model.
    #[track_caller]
    pub fn spawn<T: 'static>(f: impl FnOnce() -> T + 'static) -> JoinHandle<T> {
        super::THREADS.set(super::THREADS.get() + 1);
        loom::thread::spawn(f)
    }
}

// Loom lets all threads of an execution take turns on the thread of the test.
thread_local! {
    /// Threads of this execution.
    static THREADS: Cell<u32> = const { Cell::new(1) };
    static EXECUTIONS: Cell<u64> = const { Cell::new(0) };
    /// The mistake that is to be caught.
    static MISTAKE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// A model that is run; on record when that ends.
struct Run<'n> {
    claim: &'n str,
    bound: String,
    started: f64,
}

/// Seconds of work of this thread, or of the clock where the system does not tell.
fn seconds() -> f64 {
    static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    let worked = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let worked_ns = worked.and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
    worked_ns.map_or_else(|| START.elapsed().as_secs_f64(), |ns| ns as f64 / 1e9)
}

/// Runs `f` under every interleaving with at most `preemptions` preemptions (`None`: all of them)
/// and prints how many executions that were.
pub fn model(claim: &str, preemptions: Option<usize>, f: impl Fn() + Send + Sync + 'static) {
    EXECUTIONS.set(0);
    let bound = preemptions.map_or("none".to_string(), |p| p.to_string());
    let _run = Run { claim, bound, started: seconds() };
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.max_branches = 100_000;
    builder.check(move || {
        THREADS.set(1);
        EXECUTIONS.set(EXECUTIONS.get() + 1);
        f();
    });
}

/// Runs a scenario on something with a mistake, which the scenario has to find.
pub fn control(mistake: &str, scenario: impl FnOnce()) {
    let _until_it_ends = Mistake::begin(mistake);
    scenario();
}

/// While it lives a model that fails is caught, and not on record as one that holds.
struct Mistake;

impl Mistake {
    fn begin(name: &str) -> Self {
        MISTAKE.set(Some(name.to_string()));
        Self
    }
}

impl Drop for Mistake {
    fn drop(&mut self) {
        MISTAKE.set(None);
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        let Self { claim, bound, .. } = self;
        let (threads, executions) = (THREADS.get(), EXECUTIONS.get());
        let seconds = seconds() - self.started;
        let mistake = MISTAKE.with_borrow(Clone::clone);
        let what = match (&mistake, std::thread::panicking()) {
            (None, false) => format!("model\t{claim}"),
            (Some(mistake), true) => format!("control\t{mistake}"),
            // The test fails.
            _ => return,
        };
        let line = format!("{what}\t{claim}\t{threads}\t{bound}\t{executions}\t{seconds:.1}\n");
        eprint!("{line}");
        if let Some(path) = std::env::var_os("ALLOT_LOOM_RECORD") {
            let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
            // In one piece: tests run side by side.
            file.expect("a file to write to").write_all(line.as_bytes()).expect("room on the disk");
        }
    }
}

/// A test for each of these scenarios, which are beside it in `scenario`.
#[macro_export]
macro_rules! models {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                scenario::$name();
            }
        )*
    };
}

/// The bound of a model that is to try every interleaving.
pub const ALL: Option<usize> = None;

/// So many preemptions, or as many as `full` with `ALLOT_LOOM=full`.
pub fn bound(usual: usize, full: impl Into<Option<usize>>) -> Option<usize> {
    if self::full() { full.into() } else { Some(usual) }
}

/// Whether `ALLOT_LOOM=full` asks for the higher bounds, which take minutes instead of seconds. Not
/// for a mistake: that is caught within the usual ones.
pub fn full() -> bool {
    let asked = std::env::var("ALLOT_LOOM").is_ok_and(|bounds| bounds == "full");
    asked && MISTAKE.with_borrow(Option::is_none)
}
