//! The jobs that are running, and when each wants something next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use allotment::{GrantId, TenantHandle};

/// One running job.
pub struct Running {
    /// Its grant.
    pub grant: GrantId,
    /// Who owns it.
    pub handle: TenantHandle,
    /// The number of its tenant.
    pub tenant: u32,
    /// Bytes it holds.
    pub bytes: u64,
    /// Bytes it will still grow by.
    pub left_bytes: u64,
    /// Bytes of one step.
    pub step_bytes: u64,
    /// Time between two steps.
    pub step_ns: u64,
    /// When it ends; none: with the trace.
    pub end_ns: Option<u64>,
}

/// What runs, in the order in which it wants something.
pub struct Agenda<J> {
    /// Time, a number that keeps the order of equal times, and the place of the job.
    due: BinaryHeap<Reverse<(u64, u64, usize)>>,
    jobs: Vec<Option<J>>,
    free: Vec<usize>,
    sequence: u64,
}

impl<J> Default for Agenda<J> {
    fn default() -> Self {
        Self { due: BinaryHeap::new(), jobs: Vec::new(), free: Vec::new(), sequence: 0 }
    }
}

impl<J> Agenda<J> {
    /// Adds a job that wants something at `at_ns`; without a time it only waits for the end.
    pub fn add(&mut self, job: J, at_ns: Option<u64>) {
        let place = self.free.pop().unwrap_or_else(|| {
            self.jobs.push(None);
            self.jobs.len() - 1
        });
        self.jobs[place] = Some(job);
        if let Some(at_ns) = at_ns {
            self.due.push(Reverse((at_ns, self.sequence, place)));
            self.sequence += 1;
        }
    }

    /// When the next job wants something.
    pub fn next_ns(&self) -> Option<u64> {
        self.due.peek().map(|Reverse((at_ns, ..))| *at_ns)
    }

    /// Takes out the next job that wants something at `until_ns` or before, and when.
    #[inline]
    pub fn next(&mut self, until_ns: u64) -> Option<(u64, J)> {
        let Reverse((at_ns, _, place)) = *self.due.peek()?;
        if at_ns > until_ns {
            return None;
        }
        self.due.pop();
        let job = self.jobs[place].take()?;
        self.free.push(place);
        Some((at_ns, job))
    }

    /// Takes out the jobs that end with the trace.
    pub fn rest(&mut self) -> impl Iterator<Item = J> + use<J> {
        std::mem::take(&mut self.jobs).into_iter().flatten()
    }
}
