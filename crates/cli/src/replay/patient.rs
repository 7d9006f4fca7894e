//! The loop of `--wait`: a request that finds no room stands in the governor's line, runs once it
//! is served, and gives its bytes to those who wait when it ends. In virtual time, on one thread.
//!
//! What a running request holds, so that nobody may take it, and for how long:
//!
//! - `mooncake`: one `Inference` grant for the KV of its whole prompt and its output, for which it
//!   waits. It runs for the prefill of those blocks that are no cached prefix, then for its output.
//! - `alibaba-lora`: a pin on its base model, and its own working memory on top, as without
//!   `--wait`. It waits for a place for the model, unless that is resident. It runs for the model's
//!   load time, if it has to be loaded, and then for its recorded time.
//!
//! A prompt has its own copy of the blocks it finds in the cache, as where engines fetch prefixes
//! from a pool; what it computed stays behind as blocks when it ends, if nobody waits for the room.
//! A request whose model is resident runs at once, whoever waits for places; who waits for a model
//! that another one brings in runs with it. What can never be held is denied.
//!
//! Whatever falls due by the time of a request is done before it, in the order of time.

use std::ops::Range;
use std::time::Duration;

use allotment::{
    AllocationType, DenialReason, Grant, GrantId, Refusal, Request, TenantHandle, Ticket,
};
use indicatif::ProgressBar;

use super::books::{Books, OwnBooks};
use super::history::Sampler;
use super::running::Agenda;
use super::waits::WaitSums;
use super::worker::{Floor, Tally, give_back, item_request, job_request, misuse};
use crate::failure::CliError;
use crate::trace::BLOCK_TOKENS;
use crate::trace::workload::{self, Requests, Workload};

/// Time to compute one token of a prompt: 10,000 tokens per second.
const PREFILL_NS_PER_TOKEN: u64 = 100_000;

const MS_NS: u64 = 1_000_000;

/// What a request waits for.
#[derive(Clone, Copy)]
enum Want {
    /// So many bytes of its own.
    Bytes(u64),
    /// The place of an item of so many bytes.
    Item(u32, u64),
}

/// Someone in the governor's line.
struct Waiter<'a> {
    request: &'a workload::Request,
    ticket: Ticket<'a>,
    entered_ns: u64,
    deadline_ns: u64,
    estimate: Option<Duration>,
}

/// A request that runs.
struct Run<'a> {
    request: &'a workload::Request,
    handle: TenantHandle,
    /// What it holds for itself, and how much.
    held: Option<(GrantId, u64)>,
}

/// The worker of a replay in which requests wait.
pub struct Patient<'a> {
    floor: &'a Floor<'a>,
    wait_max: Duration,
    books: OwnBooks<'a>,
    tally: Tally,
    waits: Vec<WaitSums>,
    /// In the order in which they came, and so of their deadlines.
    line: Vec<Waiter<'a>>,
    running: Agenda<Run<'a>>,
    /// Running requests that use each item.
    users: Vec<u32>,
    now_ns: u64,
}

impl<'a> Patient<'a> {
    /// A worker with nothing to do yet.
    pub fn new(floor: &'a Floor<'a>, wait_max: Duration, books: OwnBooks<'a>) -> Self {
        Self {
            floor,
            wait_max,
            books,
            tally: Tally::default(),
            waits: vec![WaitSums::default(); floor.workload.tenants.len()],
            line: Vec::new(),
            running: Agenda::default(),
            users: vec![0; floor.workload.items.len()],
            now_ns: 0,
        }
    }

    /// Makes all requests, then lets all that wait and run come to their end.
    pub fn run(&mut self, sampler: &mut Sampler, bar: &ProgressBar) -> Result<(), CliError> {
        let Requests::Listed(requests) = &self.floor.workload.requests else { return Ok(()) };
        for (done, request) in (1..).zip(requests) {
            self.pass_until(request.at_ns)?;
            self.set_time(request.at_ns);
            self.arrive(request)?;
            self.serve()?;
            self.floor.keep_up()?;
            if sampler.is_due(done) || done == requests.len() {
                let governor = self.floor.governor;
                sampler.take(done, self.now_ns, governor, &self.books, &self.tally);
                bar.set_position(done as u64);
            }
        }
        self.pass_until(u64::MAX)
    }

    /// What was counted, the books, and the waits of each tenant.
    pub fn close(self) -> (Tally, OwnBooks<'a>, Vec<WaitSums>) {
        (self.tally, self.books, self.waits)
    }

    /// Ends what runs and what waits up to `until_ns`, each at its time.
    fn pass_until(&mut self, until_ns: u64) -> Result<(), CliError> {
        loop {
            let deadline_ns = self.line.first().map(|waiter| waiter.deadline_ns);
            let Some(next_ns) = self.running.next_ns().into_iter().chain(deadline_ns).min() else {
                return Ok(());
            };
            if next_ns > until_ns {
                return Ok(());
            }
            self.set_time(next_ns);
            self.floor.keep_up()?;
            if let Some((_, run)) = self.running.next(next_ns) {
                self.end(&run)?;
            }
            self.serve()?;
        }
    }

    fn arrive(&mut self, request: &'a workload::Request) -> Result<(), CliError> {
        let want = self.want(request);
        if let Want::Item(item, _) = want
            && self.books.resident(item).is_some()
        {
            self.waits[request.tenant as usize].at_once += 1;
            return self.begin(request, None, true);
        }
        let (tenant, ask) = self.ask(request, want)?;
        self.books.asks(tenant);
        let mut ticket = match self.floor.governor.enqueue(&ask, self.wait_max) {
            Ok(ticket) => ticket,
            Err(refusal) => return self.refused(request, tenant, &refusal),
        };
        if let Some(answer) = ticket.poll() {
            return self.answered(request, None, answer);
        }
        self.books.waits(tenant);
        let estimate = self.estimate(&ticket, want);
        self.waits[request.tenant as usize].told(estimate);
        let entered_ns = self.now_ns;
        let wait_ns = u64::try_from(self.wait_max.as_nanos()).unwrap_or(u64::MAX);
        let deadline_ns = entered_ns.saturating_add(wait_ns);
        self.line.push(Waiter { request, ticket, entered_ns, deadline_ns, estimate });
        Ok(())
    }

    fn want(&self, request: &workload::Request) -> Want {
        want(self.floor.workload, request)
    }

    /// The governor's word for a place in line; an item that another one waits for comes with that
    /// one.
    fn estimate(&self, ticket: &Ticket<'_>, want: Want) -> Option<Duration> {
        let own = ticket.estimate();
        let Want::Item(item, _) = want else { return own };
        let earlier = self.line.iter().filter(|other| self.waits_for(other.request, item));
        earlier.filter_map(|other| other.ticket.estimate()).chain(own).min()
    }

    fn waits_for(&self, request: &workload::Request, wanted: u32) -> bool {
        matches!(self.want(request), Want::Item(item, _) if item == wanted)
    }

    /// The request to the governor, and whose it is.
    fn ask(&self, request: &workload::Request, want: Want) -> Result<(u32, Request), CliError> {
        let (workload, governor) = (self.floor.workload, self.floor.governor);
        match want {
            Want::Bytes(bytes) => {
                let handle = self.floor.roster.handle(governor, request.tenant)?;
                let ask = job_request(request.tenant, handle, AllocationType::Inference, bytes);
                Ok((request.tenant, ask))
            }
            Want::Item(item, bytes) => {
                let tenant = workload.items.tenant(item);
                let handle = self.floor.roster.handle(governor, tenant)?;
                Ok((tenant, item_request(workload, item, handle, bytes).pinned(true)))
            }
        }
    }

    /// Looks after all who wait, until nobody has an answer.
    fn serve(&mut self) -> Result<(), CliError> {
        let mut at = 0;
        while at < self.line.len() {
            let Some(answer) = self.line[at].ticket.poll() else {
                at += 1;
                continue;
            };
            let waiter = self.line.remove(at);
            self.answered(waiter.request, Some((waiter.entered_ns, waiter.estimate)), answer)?;
            // It may have let in one that came before it.
            at = 0;
        }
        Ok(())
    }

    /// The governor has answered a request, which waited since a time after it was told something.
    fn answered(
        &mut self,
        request: &'a workload::Request,
        waited: Option<(u64, Option<Duration>)>,
        answer: Result<Grant<'a>, Refusal>,
    ) -> Result<(), CliError> {
        let want = self.want(request);
        let tenant = match want {
            Want::Bytes(_) => request.tenant,
            Want::Item(item, _) => self.floor.workload.items.tenant(item),
        };
        let grant = match answer {
            Ok(grant) => grant,
            Err(refusal) => return self.refused(request, tenant, &refusal),
        };
        self.count(request, waited);
        match want {
            Want::Bytes(bytes) => {
                let grant = grant.into_id();
                self.books.granted(tenant, bytes);
                self.begin(request, Some((grant, bytes)), false)
            }
            // Another one has brought it in at the same instant.
            Want::Item(item, _) if self.books.resident(item).is_some() => {
                drop(grant);
                self.begin(request, None, true)
            }
            Want::Item(item, bytes) => {
                self.books.item_granted(item, grant.into_id(), tenant, bytes);
                self.begin(request, None, false)?;
                self.join(item)
            }
        }
    }

    /// Counts a request that was granted.
    fn count(&mut self, request: &workload::Request, waited: Option<(u64, Option<Duration>)>) {
        let sums = &mut self.waits[request.tenant as usize];
        match waited {
            Some((entered_ns, estimate)) if entered_ns < self.now_ns => {
                sums.granted(self.now_ns - entered_ns, estimate);
            }
            _ => sums.at_once += 1,
        }
    }

    /// All who wait for an item that is there now run with it.
    fn join(&mut self, item: u32) -> Result<(), CliError> {
        while let Some(at) = self.line.iter().position(|w| self.waits_for(w.request, item)) {
            let Waiter { request, ticket, entered_ns, estimate, .. } = self.line.remove(at);
            ticket.cancel();
            self.count(request, Some((entered_ns, estimate)));
            self.begin(request, None, true)?;
        }
        Ok(())
    }

    fn refused(
        &mut self,
        request: &workload::Request,
        tenant: u32,
        refusal: &Refusal,
    ) -> Result<(), CliError> {
        let denial = match refusal {
            Refusal::Denied(denial) => denial,
            Refusal::Misuse(error) => return Err(misuse(error)),
        };
        let (Want::Bytes(bytes) | Want::Item(_, bytes)) = self.want(request);
        self.books.denied(tenant, bytes);
        let sums = &mut self.waits[request.tenant as usize];
        match denial.reason {
            DenialReason::WaitedTooLong => sums.gave_up += 1,
            _ => sums.denied += 1,
        }
        Ok(())
    }

    /// A request that was granted what it waited for begins to run.
    fn begin(
        &mut self,
        request: &'a workload::Request,
        held: Option<(GrantId, u64)>,
        was_resident: bool,
    ) -> Result<(), CliError> {
        let (workload, governor) = (self.floor.workload, self.floor.governor);
        let handle = self.floor.roster.handle(governor, request.tenant)?;
        let (held, loading_ns) = match self.want(request) {
            Want::Bytes(_) => (held, self.use_prefix(request.uses.clone())?),
            Want::Item(item, _) => (self.job(request, handle)?, self.use_item(item, was_resident)?),
        };
        let run_ns = request.job.as_ref().and_then(|job| job.held_ns).unwrap_or(0);
        let end_ns = self.now_ns.saturating_add(loading_ns).saturating_add(run_ns);
        debug_assert!(loading_ns <= self::loading_ns(workload, request));
        self.running.add(Run { request, handle, held }, Some(end_ns));
        Ok(())
    }

    /// Touches the cached blocks of a prompt, from the last to the first; answers how long the
    /// blocks behind its cached prefix take.
    fn use_prefix(&mut self, uses: Range<u32>) -> Result<u64, CliError> {
        let (blocks, mut prefix) = (u64::from(uses.end - uses.start), 0);
        for place in uses.rev() {
            let item = self.floor.workload.uses[place as usize];
            let hit = self.touch(item)?;
            prefix = if hit { prefix + 1 } else { 0 };
            self.tally.hits += u64::from(hit);
            self.tally.misses += u64::from(!hit);
        }
        self.tally.prefix_hits += prefix;
        Ok((blocks - prefix) * BLOCK_TOKENS * PREFILL_NS_PER_TOKEN)
    }

    /// Touches an item; false if it is not resident.
    fn touch(&mut self, item: u32) -> Result<bool, CliError> {
        let Some(grant) = self.books.resident(item) else { return Ok(false) };
        let tenant = self.floor.workload.items.tenant(item);
        let handle = self.floor.roster.handle(self.floor.governor, tenant)?;
        self.floor.governor.touch(handle, grant).map_err(|error| misuse(&error))?;
        Ok(true)
    }

    /// One more user of a resident item; answers how long loading it takes.
    fn use_item(&mut self, item: u32, was_resident: bool) -> Result<u64, CliError> {
        let users = &mut self.users[item as usize];
        *users += 1;
        let is_first = *users == 1;
        if !was_resident {
            let load_ms = u64::from(self.floor.workload.items.cost_ms(item));
            self.tally.misses += 1;
            self.tally.load_ms += load_ms;
            return Ok(load_ms * MS_NS);
        }
        self.tally.hits += 1;
        self.touch(item)?;
        if is_first && let Some(grant) = self.books.resident(item) {
            let handle = self.owner(item)?;
            self.floor.governor.pin(handle, grant).map_err(|error| misuse(&error))?;
        }
        Ok(0)
    }

    fn owner(&self, item: u32) -> Result<TenantHandle, CliError> {
        self.floor.roster.handle(self.floor.governor, self.floor.workload.items.tenant(item))
    }

    /// The bytes of a request that runs on an item; the pool has room for them.
    fn job(
        &mut self,
        request: &workload::Request,
        handle: TenantHandle,
    ) -> Result<Option<(GrantId, u64)>, CliError> {
        let Some(job) = &request.job else { return Ok(None) };
        let ask = job_request(request.tenant, handle, job.allocation, job.bytes);
        self.books.asks(request.tenant);
        match self.floor.governor.request(&ask) {
            Ok(grant) => {
                self.books.granted(request.tenant, job.bytes);
                Ok(Some((grant.into_id(), job.bytes)))
            }
            Err(Refusal::Denied(_)) => {
                self.books.denied(request.tenant, job.bytes);
                Ok(None)
            }
            Err(Refusal::Misuse(error)) => Err(misuse(&error)),
        }
    }

    /// A request ends: what it held goes to those who wait.
    fn end(&mut self, run: &Run<'a>) -> Result<(), CliError> {
        let governor = self.floor.governor;
        if let Some((grant, bytes)) = run.held {
            let tenant = run.request.tenant;
            self.books.release(tenant, bytes, || give_back(governor, run.handle, grant))?;
        }
        if let Want::Item(item, _) = self.want(run.request) {
            let users = &mut self.users[item as usize];
            *users -= 1;
            if *users == 0
                && let Some(grant) = self.books.resident(item)
            {
                let handle = self.owner(item)?;
                governor.unpin(handle, grant).map_err(|error| misuse(&error))?;
            }
        }
        if governor.waiters() > 0 {
            // What may go by now goes for those who are first in line.
            self.books.balance(|| governor.balance());
            self.serve()?;
        }
        match self.want(run.request) {
            Want::Bytes(_) if governor.waiters() == 0 => self.leave(run.request.uses.clone()),
            _ => Ok(()),
        }
    }

    /// The blocks of a prompt stay behind, as far as there is room that nobody waits for.
    fn leave(&mut self, uses: Range<u32>) -> Result<(), CliError> {
        let (workload, governor) = (self.floor.workload, self.floor.governor);
        for place in uses.rev() {
            let item = workload.uses[place as usize];
            if self.touch(item)? {
                continue;
            }
            let (tenant, bytes) =
                (workload.items.tenant(item), workload.use_bytes.at(place as usize));
            let ask = item_request(workload, item, self.owner(item)?, bytes);
            self.books.asks(tenant);
            match governor.request(&ask) {
                Ok(grant) => self.books.item_granted(item, grant.into_id(), tenant, bytes),
                Err(Refusal::Denied(_)) => self.books.item_denied(item, tenant, bytes),
                Err(Refusal::Misuse(error)) => return Err(misuse(&error)),
            }
        }
        Ok(())
    }

    fn set_time(&mut self, now_ns: u64) {
        self.now_ns = now_ns;
        self.floor.time.come_to(now_ns);
    }
}

/// What a request waits for: the place of its item, if that is one that has to be loaded, or else
/// bytes for its blocks and its output.
fn want(workload: &Workload, request: &workload::Request) -> Want {
    let first = workload.uses.get(request.uses.start as usize).copied().unwrap_or(0);
    if !request.uses.is_empty() && workload.items.allocation(first) == AllocationType::ModelLoad {
        return Want::Item(first, workload.use_bytes.at(request.uses.start as usize));
    }
    let prompt = request.uses.clone().map(|place| workload.use_bytes.at(place as usize));
    let prompt = prompt.fold(0, u64::saturating_add);
    let output = request.job.as_ref().map_or(0, |job| job.bytes);
    Want::Bytes(prompt.saturating_add(output).max(1))
}

/// The longest that a request may take before it runs as the trace has it.
pub fn loading_ns(workload: &Workload, request: &workload::Request) -> u64 {
    match want(workload, request) {
        Want::Bytes(_) => request.uses.len() as u64 * BLOCK_TOKENS * PREFILL_NS_PER_TOKEN,
        Want::Item(item, _) => u64::from(workload.items.cost_ms(item)) * MS_NS,
    }
}
