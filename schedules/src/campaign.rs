//! Many schedules, one after the other or on several threads of the machine, and what they come to.
//!
//! Schedule number i of a seed is the same whatever ran before it: program i / [`EACH`], in the
//! order that i chooses. The first schedule of a program runs its threads in turn and so tells how
//! many steps there are, which those by priority need to know.

use crate::histories::{Fault, History};
use crate::programs::{self, Program};
use crate::random::Random;
use crate::turns::{self, Chosen, Order};
use crate::workload::{self, Outcome, STEPPED, STEPPED_WAITING};
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};
use std::cell::RefCell;
use std::rc::Rc;

/// Schedules of each program.
pub const EACH: u64 = 16;
/// A stack takes what the deepest call of the governor needs, and the search of the checker.
const STACK_BYTES: usize = 1 << 18;

/// Which schedules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The seed of all.
    pub seed: u64,
    /// Threads of each program; none: 2 to 4.
    pub threads: Option<usize>,
    /// Depth of those by priority; none: 3 to 5.
    pub depth: Option<u32>,
}

/// Figures of schedules.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// Schedules.
    pub schedules: u64,
    /// Calls that were answered, and checked.
    pub operations: u64,
    /// Schedules in which calls of two threads overlapped.
    pub overlapping: u64,
    /// Calls of schedules at random, which were given up, and all of them.
    pub given_up_at_random: u64,
    /// The same.
    pub at_random: u64,
    /// Calls of schedules by priority, which were given up, and all of them.
    pub given_up_by_priority: u64,
    /// The same.
    pub by_priority: u64,
    /// Sum of the logarithms of the chances to miss a bug, of schedules by priority, by depth.
    pub ln_missed: [f64; DEPTHS],
    /// The most own steps of a verb while nobody waited.
    pub steps_max: [u64; STEPPED.len()],
    /// The most own steps of a verb while somebody waited.
    pub steps_waiting_max: [u64; STEPPED.len()],
}

/// Depths there are chances for: up to this one.
pub const DEPTHS: usize = 8;

/// A schedule that went wrong.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its number.
    pub number: u64,
    /// What was answered.
    pub history: History,
    /// What is wrong with it.
    pub fault: Fault,
}

impl Figures {
    /// All that are whole numbers, by name.
    pub fn numbers(&self) -> Vec<(&'static str, u64)> {
        let mut copy = *self;
        let numbers = copy.places().into_iter().map(|(name, place)| (name, *place));
        numbers.collect()
    }

    /// Sets the one of this name, if there is one.
    pub fn set(&mut self, name: &str, value: u64) -> Option<()> {
        let (_, place) = self.places().into_iter().find(|(of, _)| *of == name)?;
        *place = value;
        Some(())
    }

    fn places(&mut self) -> Vec<(&'static str, &mut u64)> {
        let mut places = vec![
            ("schedules", &mut self.schedules),
            ("operations", &mut self.operations),
            ("overlapping", &mut self.overlapping),
            ("given_up_at_random", &mut self.given_up_at_random),
            ("at_random", &mut self.at_random),
            ("given_up_by_priority", &mut self.given_up_by_priority),
            ("by_priority", &mut self.by_priority),
        ];
        places.extend(STEPPED.into_iter().zip(&mut self.steps_max));
        places.extend(STEPPED_WAITING.into_iter().zip(&mut self.steps_waiting_max));
        places
    }

    /// Adds those of other schedules.
    pub fn add(&mut self, other: &Self) {
        self.schedules += other.schedules;
        self.operations += other.operations;
        self.overlapping += other.overlapping;
        self.given_up_at_random += other.given_up_at_random;
        self.at_random += other.at_random;
        self.given_up_by_priority += other.given_up_by_priority;
        self.by_priority += other.by_priority;
        for (sum, more) in self.ln_missed.iter_mut().zip(other.ln_missed) {
            *sum += more;
        }
        self.note_steps(other.steps_max, other.steps_waiting_max);
    }

    fn note_steps(&mut self, alone: [u64; STEPPED.len()], waiting: [u64; STEPPED.len()]) {
        let most = self.steps_max.iter_mut().chain(&mut self.steps_waiting_max);
        for (most, steps) in most.zip(alone.into_iter().chain(waiting)) {
            *most = (*most).max(steps);
        }
    }

    fn note(&mut self, program: &Program, order: Order, outcome: &Outcome) {
        let operations = outcome.history.operations();
        let given_up = outcome.history.given_up();
        self.schedules += 1;
        self.operations += operations;
        self.overlapping += u64::from(outcome.history.overlaps());
        self.note_steps(outcome.steps_max, outcome.steps_waiting_max);
        match order {
            Order::InTurn => {}
            Order::AtRandom(_) => {
                self.at_random += operations;
                self.given_up_at_random += given_up;
            }
            Order::ByPriority(bound, depth) => {
                self.by_priority += operations;
                self.given_up_by_priority += given_up;
                // The bound holds where there were no more steps than it was told, and no thread
                // had to wait.
                if outcome.steps <= bound && outcome.stalls == 0 {
                    let (n, k) = (program.threads.len() as f64, bound as f64);
                    let found = 1.0 / (n * k.powi(depth as i32 - 1));
                    self.ln_missed[depth as usize % DEPTHS] += (-found).ln_1p();
                }
            }
        }
    }
}

/// What goes on from one schedule to the next.
struct Progress {
    plan: Plan,
    next: u64,
    end: u64,
    program: Option<(u64, Program, u64)>,
    order: Order,
    measuring: bool,
    figures: Figures,
    found: Option<Found>,
}

impl Progress {
    /// Prepares the next schedule, if there is one.
    fn prepare(&mut self) -> bool {
        if self.next >= self.end || self.found.is_some() {
            return false;
        }
        let number = self.next / EACH;
        let written = self.program.as_ref().is_some_and(|(of, ..)| *of == number);
        if !written {
            let program = programs::write(self.plan.seed, number, self.plan.threads);
            self.program = Some((number, program, 0));
        }
        let Some((_, program, steps)) = &self.program else { return false };
        // Also where it begins in the middle of those of a program.
        self.measuring = *steps == 0;
        let of = if self.measuring { number * EACH } else { self.next };
        let mut random = Random::new(!self.plan.seed, of);
        self.order = match of % EACH {
            0 => Order::InTurn,
            1..=6 => Order::AtRandom(random.pick(&[1, 2, 4, 8, 16, 32, 64])),
            _ => {
                let depth = self.plan.depth.unwrap_or_else(|| 3 + random.below(3) as u32);
                Order::ByPriority(*steps + steps / 4 + 8, depth)
            }
        };
        turns::begin(program.threads.len(), self.order, random);
        true
    }

    fn run(&mut self) {
        let Some((_, program, steps)) = &mut self.program else { return };
        let outcome = workload::run(program);
        let (of, first) = (self.next, self.next.is_multiple_of(EACH));
        if self.measuring {
            *steps = outcome.steps.max(1);
        }
        if self.measuring && !first {
            return;
        }
        self.figures.note(program, self.order, &outcome);
        let checked = match outcome.broken {
            Some(fault) => Err(fault),
            None => outcome.history.check(),
        };
        if let Err(fault) = checked {
            self.found = Some(Found { number: of, history: outcome.history, fault });
        }
        self.next += 1;
    }
}

/// Runs the schedules from `begin` to before `end`, up to the first that goes wrong.
pub fn run(plan: Plan, begin: u64, end: u64) -> (Figures, Option<Found>) {
    turns::install();
    let progress = Rc::new(RefCell::new(Progress {
        plan,
        next: begin,
        end,
        program: None,
        order: Order::InTurn,
        measuring: false,
        figures: Figures::default(),
        found: None,
    }));
    thread_local! {
        static PROGRESS: RefCell<Option<Rc<RefCell<Progress>>>> = const { RefCell::new(None) };
    }
    PROGRESS.with(|cell| *cell.borrow_mut() = Some(progress.clone()));
    let mut config = Config::new();
    config.max_steps = MaxSteps::None;
    config.stack_size = STACK_BYTES;
    config.failure_persistence = FailurePersistence::None;
    let next = progress.clone();
    let scheduler = Chosen { next: move || next.borrow_mut().prepare() };
    Runner::new(scheduler, config).run(|| {
        let progress = PROGRESS.with(|cell| cell.borrow().clone());
        if let Some(progress) = progress {
            progress.borrow_mut().run();
        }
    });
    PROGRESS.with(|cell| cell.borrow_mut().take());
    let mut progress = progress.borrow_mut();
    (progress.figures, progress.found.take())
}
