//! Who goes on: chosen before every access to an atomic, from a seed.
//!
//! | schedule | who goes on |
//! |---|---|
//! | in turn | each thread to its end, in a random order: tells how many steps there are |
//! | at random | at each access with a given probability another thread, any of them |
//! | by priority | the thread of the highest priority; it becomes the lowest at `depth - 1` steps |
//!
//! The last is PCT (Burckhardt, Kothari, Musuvathi, Nagarakatti, "A randomized scheduler with
//! probabilistic guarantees of finding bugs", ASPLOS 2010): of n threads with k steps in all it
//! finds a bug of depth d with a probability of at least 1 / (n k^(d-1)).
//!
//! The choice is made in the hook that the counted atomics call, so that a thread that goes on
//! costs a few instructions; only a change of threads goes through shuttle, whose tasks the threads
//! are. A thread that makes [`STALLED`] steps in a row waits for another one and steps back.

use crate::random::Random;
use shuttle::scheduler::{Schedule, Scheduler, Task, TaskId};
use std::cell::{Cell, RefCell};

/// Most threads.
pub const THREADS_MAX: usize = 4;
/// Steps in a row after which a thread is taken to wait for another one.
pub const STALLED: u64 = 20_000;

/// Steps of one schedule after which it has no end.
pub const STEPS_MAX: u64 = 2_000_000;

/// How threads take turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Each to its end.
    InTurn,
    /// At random, every so many steps on average.
    AtRandom(u64),
    /// By priority, with a bound of the steps and a depth.
    ByPriority(u64, u32),
}

/// The present schedule on this thread of the machine.
struct Turns {
    /// Whether threads take turns now.
    on: Cell<bool>,
    running: Cell<usize>,
    steps: Cell<u64>,
    /// The step at which something has to be decided.
    decide_at: Cell<u64>,
    own: [Cell<u64>; THREADS_MAX + 1],
    choice: RefCell<Choice>,
}

struct Choice {
    order: Order,
    random: Random,
    /// Not yet ended, by number.
    alive: [bool; THREADS_MAX],
    /// The higher goes first; all are different.
    priorities: [i64; THREADS_MAX],
    lowest: i64,
    /// Steps at which the running thread becomes the lowest, the next one last.
    changes: Vec<u64>,
    next: usize,
    stalls: u64,
}

thread_local! {
    static TURNS: Turns = Turns {
        on: Cell::new(false),
        running: Cell::new(0),
        steps: Cell::new(0),
        decide_at: Cell::new(u64::MAX),
        own: Default::default(),
        choice: RefCell::new(Choice {
            order: Order::InTurn,
            random: Random::new(0, 0),
            alive: [false; THREADS_MAX],
            priorities: [0; THREADS_MAX],
            lowest: 0,
            changes: Vec::new(),
            next: 0,
            stalls: 0,
        }),
    };
}

/// Lets the atomics of this process ask here.
pub fn install() {
    allotment::internals::sync::before_access(before_access);
}

fn before_access() {
    let switched = TURNS.with(Turns::step);
    if switched {
        let me = TURNS.with(|turns| turns.running.get());
        shuttle::thread::yield_now();
        TURNS.with(|turns| turns.running.set(me));
    }
}

impl Turns {
    /// Counts a step; says whether another thread goes on.
    fn step(&self) -> bool {
        let (me, step) = (self.running.get(), self.steps.get() + 1);
        self.steps.set(step);
        self.own[me].set(self.own[me].get() + 1);
        step >= self.decide_at.get() && self.decide(me, step)
    }

    #[cold]
    fn decide(&self, me: usize, step: u64) -> bool {
        assert!(step < STEPS_MAX, "a schedule without an end");
        if !self.on.get() {
            self.decide_at.set(step + STALLED);
            return false;
        }
        let mut choice = self.choice.borrow_mut();
        let change = match choice.order {
            Order::AtRandom(_) => {
                choice.next = choice.any();
                choice.next != me
            }
            Order::InTurn | Order::ByPriority(..) => {
                let due = choice.changes.last() == Some(&step);
                if due {
                    choice.changes.pop();
                } else {
                    choice.stalls += 1;
                }
                choice.lowest -= 1;
                choice.priorities[me] = choice.lowest;
                choice.next = choice.highest();
                choice.next != me
            }
        };
        self.decide_at.set(choice.decide_next(step));
        change
    }
}

impl Choice {
    fn any(&mut self) -> usize {
        let alive: u64 = self.alive.iter().map(|&alive| u64::from(alive)).sum();
        let mut skip = self.random.below(alive.max(1));
        for (thread, _) in self.alive.iter().enumerate().filter(|(_, alive)| **alive) {
            if skip == 0 {
                return thread;
            }
            skip -= 1;
        }
        0
    }

    fn highest(&self) -> usize {
        let alive = (0..THREADS_MAX).filter(|&thread| self.alive[thread]);
        alive.max_by_key(|&thread| self.priorities[thread]).unwrap_or(0)
    }

    fn decide_next(&mut self, step: u64) -> u64 {
        match self.order {
            Order::AtRandom(mean) => step + 1 + self.random.below(2 * mean - 1),
            _ => self.changes.last().copied().unwrap_or(u64::MAX).min(step + STALLED),
        }
    }
}

/// Prepares a schedule of so many threads.
pub fn begin(threads: usize, order: Order, mut random: Random) {
    TURNS.with(|turns| {
        turns.on.set(false);
        turns.steps.set(0);
        let mut choice = turns.choice.borrow_mut();
        choice.alive = std::array::from_fn(|thread| thread < threads);
        let mut priorities: [i64; THREADS_MAX] = std::array::from_fn(|thread| thread as i64);
        for at in (1..threads).rev() {
            priorities.swap(at, random.below(at as u64 + 1) as usize);
        }
        choice.priorities = priorities;
        (choice.lowest, choice.stalls) = (0, 0);
        choice.changes.clear();
        if let Order::ByPriority(steps, depth) = order {
            choice.changes.extend((1..depth).map(|_| 1 + random.below(steps.max(1))));
            choice.changes.sort_unstable_by(|a, b| b.cmp(a));
            choice.changes.dedup();
        }
        (choice.order, choice.random) = (order, random);
        choice.next = match order {
            Order::AtRandom(_) => choice.any(),
            _ => choice.highest(),
        };
        turns.decide_at.set(STALLED);
    });
}

/// From now on threads take turns.
pub fn start() {
    TURNS.with(|turns| {
        turns.steps.set(0);
        turns.decide_at.set(turns.choice.borrow_mut().decide_next(0));
        turns.on.set(true);
    });
}

/// From now on whoever runs goes on. Answers the steps made in turns, and how often a thread that
/// waited had to be made to step back.
pub fn stop() -> (u64, u64) {
    TURNS.with(|turns| {
        turns.on.set(false);
        turns.decide_at.set(turns.steps.get() + STALLED);
        (turns.steps.get(), turns.choice.borrow().stalls)
    })
}

/// The number of who starts the threads, and runs before and after them.
pub const ALONE: usize = THREADS_MAX;

/// Says that the thread of this number runs.
pub fn enter(thread: usize) {
    TURNS.with(|turns| turns.running.set(thread));
}

/// Who runs.
pub fn running() -> usize {
    TURNS.with(|turns| turns.running.get())
}

/// Says that it has ended.
pub fn leave(thread: usize) {
    TURNS.with(|turns| {
        let mut choice = turns.choice.borrow_mut();
        choice.alive[thread] = false;
        choice.next = match choice.order {
            Order::AtRandom(_) => choice.any(),
            _ => choice.highest(),
        };
    });
}

/// Steps that the running thread has made.
pub fn own_steps() -> u64 {
    TURNS.with(|turns| turns.own[turns.running.get()].get())
}

/// Shuttle's side: does what was chosen. `next` prepares the next schedule, or ends the campaign.
pub struct Chosen<F> {
    /// Whether there is another schedule.
    pub next: F,
}

impl<F: FnMut() -> bool> Scheduler for Chosen<F> {
    fn new_execution(&mut self) -> Option<Schedule> {
        (self.next)().then(|| Schedule::new(0))
    }

    /// Task 0 starts the others and waits for their ends.
    fn next_task(&mut self, tasks: &[&Task], _: Option<TaskId>, _: bool) -> Option<TaskId> {
        let chosen = TURNS.with(|turns| 1 + turns.choice.borrow().next);
        let find =
            |number: usize| tasks.iter().map(|t| t.id()).find(|&id| usize::from(id) == number);
        find(0).or_else(|| find(chosen)).or_else(|| tasks.first().map(|task| task.id()))
    }

    fn next_u64(&mut self) -> u64 {
        0
    }
}
