//! Jobs that wait their turn, where a trace says that they do: they stand in the governor's line,
//! begin when they are served, and give up at their deadline. In one thread.

use std::time::Duration;

use allotment::{DenialReason, Grant, Refusal, Request, TenantHandle, Ticket};

use super::books::Books;
use super::memory::Memory;
use super::waits::WaitSums;
use super::worker::{Worker, misuse};
use crate::failure::CliError;
use crate::trace::workload::Job;

/// Someone in the governor's line.
pub struct Waiting<'a> {
    job: &'a Job,
    tenant: u32,
    handle: TenantHandle,
    ticket: Ticket<'a>,
    entered_ns: u64,
    deadline_ns: u64,
}

/// Who waits, and what became of those who did.
#[derive(Default)]
pub struct Line<'a> {
    waiting: Vec<Waiting<'a>>,
    /// By tenant; empty where nobody ever waits.
    sums: Vec<WaitSums>,
}

impl<'a> Line<'a> {
    /// Whether nobody stands in it.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// When the next of them gives up.
    pub fn deadline_ns(&self) -> Option<u64> {
        self.waiting.iter().map(|waiting| waiting.deadline_ns).min()
    }

    /// What became of those who waited, by tenant.
    pub fn into_sums(self) -> Vec<WaitSums> {
        self.sums
    }

    fn sums(&mut self, tenant: u32) -> &mut WaitSums {
        let needed = tenant as usize + 1;
        if self.sums.len() < needed {
            self.sums.resize(needed, WaitSums::default());
        }
        &mut self.sums[tenant as usize]
    }
}

impl<'a, B: Books, M: Memory> Worker<'a, B, M> {
    /// A job asks for its memory, and stands in line for up to `wait_ns` if there is none.
    pub(super) fn enter(
        &mut self,
        (tenant, handle): (u32, TenantHandle),
        job: &'a Job,
        request: &Request,
        wait_ns: u64,
    ) -> Result<(), CliError> {
        self.books.asks(tenant);
        let governor = self.floor.governor.governor();
        let mut ticket = match governor.enqueue(request, Duration::from_nanos(wait_ns)) {
            Ok(ticket) => ticket,
            Err(refusal) => return self.turned_away(tenant, job, &refusal),
        };
        let entered_ns = self.now_ns;
        if let Some(answer) = ticket.poll() {
            return self.answered((tenant, handle), job, entered_ns, answer);
        }
        self.books.waits(tenant);
        let estimate = ticket.estimate();
        self.line.sums(tenant).told(estimate);
        let deadline_ns = entered_ns.saturating_add(wait_ns);
        self.line.waiting.push(Waiting { job, tenant, handle, ticket, entered_ns, deadline_ns });
        Ok(())
    }

    /// Looks after all who wait, until nobody has an answer.
    pub(super) fn serve(&mut self) -> Result<(), CliError> {
        let mut at = 0;
        while at < self.line.waiting.len() {
            let Some(answer) = self.line.waiting[at].ticket.poll() else {
                at += 1;
                continue;
            };
            let waiting = self.line.waiting.remove(at);
            let of = (waiting.tenant, waiting.handle);
            self.answered(of, waiting.job, waiting.entered_ns, answer)?;
            // It may have let in one that came before it.
            at = 0;
        }
        Ok(())
    }

    fn answered(
        &mut self,
        (tenant, handle): (u32, TenantHandle),
        job: &'a Job,
        entered_ns: u64,
        answer: Result<Grant<'a>, Refusal>,
    ) -> Result<(), CliError> {
        let grant = match answer {
            Ok(grant) => grant.into_id(),
            Err(refusal) => return self.turned_away(tenant, job, &refusal),
        };
        let waited_ns = self.now_ns - entered_ns;
        let sums = self.line.sums(tenant);
        match waited_ns {
            0 => sums.at_once += 1,
            _ => sums.granted(waited_ns, None),
        }
        self.books.granted(tenant, job.bytes);
        self.begin(tenant, handle, self.now_ns, job, grant);
        Ok(())
    }

    fn turned_away(&mut self, tenant: u32, job: &Job, refusal: &Refusal) -> Result<(), CliError> {
        let denial = match refusal {
            Refusal::Denied(denial) => denial,
            Refusal::Misuse(error) => return Err(misuse(error)),
        };
        self.books.denied(tenant, job.bytes);
        let sums = self.line.sums(tenant);
        match denial.reason {
            DenialReason::WaitedTooLong => sums.gave_up += 1,
            _ => sums.denied += 1,
        }
        Ok(())
    }
}
