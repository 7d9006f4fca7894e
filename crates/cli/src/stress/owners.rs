//! What owners answer when they are asked for a grant: freed, busy, later, or a panic; some release
//! it themselves first, some call the governor again from within.
//!
//! What an owner frees is noted in the ledger before it says so. A grant that the governor was told
//! no cookie of is never freed by its owner.

use std::cell::Cell;
use std::collections::VecDeque;
use std::panic::resume_unwind;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use allotment::{
    AllocationType, Governor, Pressure, ReclaimAnswer, Released, Request, TenantHandle, Victim,
};

use super::cells::Cells;
use super::count::{self, Word, lock};
use super::fault::Fault;
use crate::dice::Dice;

/// Promises that are kept in mind.
const PROMISES_MAX: usize = 256;

/// Longer than what a handler with a time-out is given.
const TOO_LONG: Duration = Duration::from_micros(400);

/// What a handler with a time-out is given.
pub(super) const TIMEOUT: Duration = Duration::from_micros(200);

thread_local! {
    /// Calls from within a handler.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    static DICE: Cell<u64> = const { Cell::new(0) };
}

/// Counts of what owners did.
#[derive(Default)]
pub(super) struct Answers {
    pub freed: Word,
    pub busy: Word,
    pub deferred: Word,
    /// Panics of handlers that run on the thread that asks.
    pub panics: Word,
    /// Panics of handlers with a time-out, which may come too late to be counted.
    pub panics_within: Word,
    /// Panics of who is told of pressure, and of who edits a configuration.
    pub panics_of_others: Word,
    /// Calls from within a handler.
    pub calls_within: Word,
}

/// All owners.
pub(super) struct Owners {
    pub cells: Cells,
    pub answers: Answers,
    governor: Weak<Governor>,
    tenants: Box<[TenantHandle]>,
    promises: Mutex<VecDeque<Victim>>,
    threads: Word,
    fault: Mutex<Option<Fault>>,
}

/// What the handler that was set does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Runs {
    /// On the thread that asks.
    Here,
    /// On a thread of the governor, which may take too long.
    Aside,
}

impl Owners {
    pub fn new(
        governor: &Arc<Governor>,
        seed: u64,
        cells: Cells,
        tenants: Box<[TenantHandle]>,
    ) -> Self {
        Self {
            cells,
            answers: Answers::default(),
            governor: Arc::downgrade(governor),
            tenants,
            promises: Mutex::default(),
            threads: Word::new(seed | 1),
            fault: Mutex::default(),
        }
    }

    /// A handler for the governor.
    pub fn handler(
        self: &Arc<Self>,
        runs: Runs,
    ) -> impl Fn(&Victim) -> ReclaimAnswer + Send + Sync + 'static {
        let owners = self.clone();
        move |victim| owners.answer(victim, runs)
    }

    /// The oldest promise that nobody has looked at yet.
    pub fn promise(&self) -> Option<Victim> {
        lock(&self.promises).pop_front()
    }

    /// What a handler found wrong: one that panicked with it would pass for a busy owner.
    pub fn fault(&self) -> Option<Fault> {
        lock(&self.fault).clone()
    }

    fn answer(&self, victim: &Victim, runs: Runs) -> ReclaimAnswer {
        let dice = self.roll();
        let (count, answer) = match dice % 64 {
            _ if victim.cookie == 0 => (&self.answers.busy, ReclaimAnswer::Busy),
            0..=2 => (&self.answers.busy, ReclaimAnswer::Busy),
            3 => self.panic(runs),
            4..=6 => {
                let mut promises = lock(&self.promises);
                if promises.len() < PROMISES_MAX {
                    promises.push_back(*victim);
                }
                (&self.answers.deferred, ReclaimAnswer::Deferred)
            }
            7..=9 => {
                self.call_again(dice >> 6);
                self.free(victim)
            }
            10..=12 => {
                self.release(victim);
                self.free(victim)
            }
            13..=20 if runs == Runs::Aside => {
                std::thread::sleep(TOO_LONG);
                self.free(victim)
            }
            _ => self.free(victim),
        };
        count::one(count);
        answer
    }

    fn free(&self, victim: &Victim) -> (&Word, ReclaimAnswer) {
        self.cells.gone(victim.cookie);
        (&self.answers.freed, ReclaimAnswer::Freed)
    }

    fn panic(&self, runs: Runs) -> ! {
        count::one(match runs {
            Runs::Here => &self.answers.panics,
            Runs::Aside => &self.answers.panics_within,
        });
        // Quieter than `panic!`: the hook that prints is not called.
        resume_unwind(Box::new("an owner that panics"))
    }

    /// An owner may release its grant by itself.
    fn release(&self, victim: &Victim) {
        let Some(governor) = self.governor.upgrade() else { return };
        let answer = governor.release(victim.tenant, victim.grant);
        if let Err(fault) = self.note_release(victim.cookie, &answer) {
            lock(&self.fault).get_or_insert(fault);
        }
    }

    /// Notes what a release has answered.
    pub fn note_release(
        &self,
        cookie: u64,
        answer: &Result<Released, allotment::Error>,
    ) -> Result<(), Fault> {
        match answer {
            Ok(Released::Returned) => self.cells.returned(cookie),
            Ok(Released::Evicted) => {
                self.cells.gone(cookie);
                Ok(())
            }
            Err(_) => Ok(()),
        }
    }

    /// An owner may call anything.
    fn call_again(&self, dice: u64) {
        let Some(governor) = self.governor.upgrade() else { return };
        if DEPTH.get() >= 2 {
            return;
        }
        DEPTH.set(DEPTH.get() + 1);
        count::one(&self.answers.calls_within);
        let tenant = self.tenants[dice as usize % self.tenants.len()];
        let request = Request::new(tenant, AllocationType::Inference, 1 + (dice >> 8) % 8_192);
        match (dice >> 24) % 8 {
            0 => drop(governor.snapshot()),
            1 => {
                governor.balance();
            }
            2 => governor.report_pressure(Pressure::Normal),
            3 => drop(governor.explain(&request)),
            4 => drop(governor.set_tenant(tenant, |_| {})),
            5 => drop(governor.try_request(&request)),
            _ => drop(governor.request(&request)),
        }
        DEPTH.set(DEPTH.get() - 1);
    }

    fn roll(&self) -> u64 {
        if DICE.get() == 0 {
            // Relaxed: only the number matters.
            DICE.set(self.threads.fetch_add(1, Relaxed));
        }
        let mut dice = Dice(DICE.get());
        let rolled = dice.next();
        DICE.set(dice.0.max(1));
        rolled
    }
}
