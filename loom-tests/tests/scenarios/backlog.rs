// Scenarios of `src/core/backlog.rs`. Each is run twice: by `backlog.rs` against the library, where
// it must hold, and by `backlog_mutants.rs` against broken copies, where it must fail. Whoever has
// this as a module has the code under test beside it, as `super::backlog`.
//
// Every entry says of which queue it is in all of its fields, so that a mixed one shows.

use super::backlog::{Backlog, Backlogs, Entry, Source};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom_tests::{model, thread};

/// Two queues, by their owner's word.
const FIRST: u64 = 1;
const SECOND: u64 = 2;

/// What threads know beside loom.
#[derive(Default)]
struct Ledger {
    held: bool,
    /// Entries added and not removed.
    entries: usize,
    /// What went wrong while the backlog was held: a panic there would leave it held.
    faults: Vec<String>,
}

struct World {
    backlogs: Backlogs,
    /// Whether the first queue has ended.
    ended: AtomicU32,
    ledger: std::sync::Mutex<Ledger>,
}

impl World {
    /// One backlog for both queues.
    fn new() -> Arc<Self> {
        let (backlogs, ended) = (Backlogs::new(1), AtomicU32::new(0));
        Arc::new(Self { backlogs, ended, ledger: Default::default() })
    }

    /// Does something with the backlog of a queue; false if it was not to be had.
    fn with(&self, queue: u64, work: impl FnOnce(&mut Backlog<'_>, &mut Vec<String>)) -> bool {
        let of = Source { owner: queue, segments: 3, policy: 0, clock: 0, fades: false };
        // Relaxed: ordered by the fences of `hold` and `give_back`.
        let is_open = || queue != FIRST || self.ended.load(Ordering::Relaxed) == 0;
        let Some(mut backlog) = self.backlogs.hold(&of, is_open) else { return false };
        let twice = std::mem::replace(&mut self.ledger.lock().unwrap().held, true);
        let mut faults = Vec::new();
        work(&mut backlog, &mut faults);
        let mut ledger = self.ledger.lock().unwrap();
        ledger.held = false;
        ledger.faults.extend(twice.then(|| "HELD TWICE".to_string()));
        ledger.faults.extend(faults);
        true
    }

    /// Takes all entries there are, and adds one.
    fn search(&self, queue: u64) -> bool {
        self.with(queue, |backlog, faults| {
            while let Some(entry) = backlog.first() {
                note(entry, queue, faults);
                backlog.remove_first();
            }
            faults.extend(backlog.add(of(queue)).map(|_| "no room".to_string()));
        })
    }

    /// Adds an entry, and expects those that were added before.
    fn add(&self, queue: u64) -> bool {
        self.with(queue, |backlog, faults| {
            let known = std::mem::replace(&mut self.ledger.lock().unwrap().entries, backlog.len());
            faults.extend((known != backlog.len()).then(|| "LOST ENTRY".to_string()));
            backlog.first().inspect(|&entry| note(entry, queue, faults));
            faults.extend(backlog.add(of(queue)).map(|_| "no room".to_string()));
            self.ledger.lock().unwrap().entries += 1;
        })
    }

    /// The first queue ends.
    fn end_first(&self) {
        // Relaxed: as in `with`.
        self.ended.store(1, Ordering::Relaxed);
        self.backlogs.give_back(FIRST);
    }

    fn check(&self) {
        let faults = &self.ledger.lock().unwrap().faults;
        assert!(faults.is_empty(), "{faults:?}");
    }
}

fn note(entry: Entry, queue: u64, faults: &mut Vec<String>) {
    faults.extend((entry != of(queue)).then(|| format!("STRANGE ENTRY: {entry:?}")));
}

fn of(queue: u64) -> Entry {
    Entry { key: queue << 32 | queue, slot: queue as u32 }
}

/// A backlog is held by one search at a time.
pub fn one_search_at_a_time_has_the_backlog() {
    model("backlog::one_search_at_a_time_has_the_backlog", None, || {
        let world = World::new();
        let other = world.clone();
        let thread = thread::spawn(move || other.search(FIRST));
        let mine = world.search(FIRST);
        let theirs = thread.join().unwrap();
        assert!(mine || theirs, "it was free for one of them");
        assert!(world.search(FIRST), "and is free again");
        world.check();
    });
}

/// Who has the backlog next finds all that was added, whole.
pub fn the_next_search_finds_what_was_added() {
    model("backlog::the_next_search_finds_what_was_added", None, || {
        let world = World::new();
        let other = world.clone();
        let thread = thread::spawn(move || other.add(FIRST));
        world.add(FIRST);
        thread.join().unwrap();
        world.add(FIRST);
        world.check();
    });
}

/// A queue ends while it is searched, and another one takes its backlog: it begins with no entries,
/// and a search that comes late touches none of its own, and keeps nothing.
pub fn the_next_queue_begins_without_entries() {
    model("backlog::the_next_queue_begins_without_entries", None, || {
        let world = World::new();
        world.search(FIRST);
        let other = world.clone();
        let late = thread::spawn(move || other.search(FIRST));
        world.end_first();
        world.search(SECOND);
        late.join().unwrap();
        assert!(world.search(SECOND), "nobody else has it");
        world.check();
    });
}
