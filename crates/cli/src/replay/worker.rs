//! One worker: takes requests off the trace, asks the governor, books the answers.
//!
//! An item that is resident is touched (a hit); one that is not is requested (a miss). A job is
//! requested, grown while it runs, and released when its time is over. Before a request is made,
//! everything that falls due by its time is done.

use std::ops::Range;

use allotment::{
    AllocationType, Error, Governor, GrantId, Intent, Released, Request, TenantHandle,
};
use indicatif::ProgressBar;

use super::books::{Books, Found, JOB_COOKIE};
use super::history::Sampler;
use super::line::Line;
use super::memory::{Answer, Memory};
use super::recorder::Recorder;
use super::roster::Roster;
use super::running::{Agenda, Running};
use super::time::Time;
use super::waits::WaitSums;
use crate::failure::CliError;
use crate::trace::workload::{self, Job, Requests, Workload};

/// Virtual time between two keys of a trace without times.
const KEY_STEP_NS: u64 = 1_000_000;

/// Keys between two moves of the clock; to move it costs as much as a hit.
const KEYS_PER_MOVE: usize = 64;

/// Most requests made in one go, between checks of the books.
const STRETCH_MAX: usize = 4096;

/// Stretches into which even a short trace is cut.
const STRETCHES_MIN: usize = 1024;

/// How often an item is looked up again after its grant went stale.
const FINDS_MAX: usize = 8;

/// What a worker counted.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Uses of items that were resident.
    pub hits: u64,
    /// Uses of items that were not.
    pub misses: u64,
    /// Hits after hits only, counted from the start of their request.
    pub prefix_hits: u64,
    /// Cost of the misses, in ms.
    pub load_ms: u64,
}

impl Tally {
    /// Hits out of all uses.
    pub fn hit_ratio(&self) -> Option<f64> {
        let uses = self.hits + self.misses;
        (uses > 0).then(|| self.hits as f64 / uses as f64)
    }

    /// Adds what another worker counted.
    pub fn add(&mut self, other: &Self) {
        self.hits += other.hits;
        self.misses += other.misses;
        self.prefix_hits += other.prefix_hits;
        self.load_ms += other.load_ms;
    }
}

/// What all workers of a replay share.
pub struct Floor<'a, M = Governor> {
    /// The trace.
    pub workload: &'a Workload,
    /// The governor under test, or who asks it.
    pub governor: &'a M,
    /// Its tenants.
    pub roster: &'a Roster,
    /// What makes its time pass.
    pub time: Time<'a>,
    /// False where jobs are outside the budget and not asked for.
    pub with_jobs: bool,
    /// Virtual time between two steps of the balancer; none: it never runs.
    pub balance_every_ns: Option<u64>,
    /// Workers in all.
    pub workers: usize,
    /// The log of what happens.
    pub recorder: Option<&'a Recorder>,
}

impl<M> Floor<'_, M> {
    /// A time to wait for the log, where it is behind.
    pub fn keep_up(&self) -> Result<(), CliError> {
        self.recorder.map_or(Ok(()), Recorder::keep_up)
    }
}

/// One worker and its books.
pub struct Worker<'a, B, M = Governor> {
    pub(super) floor: &'a Floor<'a, M>,
    pub(super) books: B,
    pub(super) line: Line<'a>,
    tally: Tally,
    agenda: Agenda<Running>,
    /// Bytes of the resident items, where the trace has some given back.
    item_bytes: Vec<u64>,
    /// Worker 0 leads: it makes time pass, takes samples and draws the bar.
    number: usize,
    pub(super) now_ns: u64,
    /// When the balancer takes its next step.
    balance_ns: u64,
}

impl<'a, B: Books, M: Memory> Worker<'a, B, M> {
    /// A worker with nothing to do yet.
    pub fn new(floor: &'a Floor<'a, M>, number: usize, books: B) -> Self {
        let (tally, agenda, line) = (Tally::default(), Agenda::default(), Line::default());
        let has_drops = floor.workload.has_drops();
        let item_bytes = vec![0; if has_drops { floor.workload.items.len() } else { 0 }];
        let (now_ns, balance_ns) = (0, 0);
        Self { floor, books, line, tally, agenda, item_bytes, number, now_ns, balance_ns }
    }

    /// Makes this worker's share of the requests, then lets all jobs with an end come to it.
    pub fn run(&mut self, mut lead: Option<(&mut Sampler, &ProgressBar)>) -> Result<(), CliError> {
        let workload = self.floor.workload;
        let requests = workload.requests_len();
        let stretch = (requests / STRETCHES_MIN).clamp(1, STRETCH_MAX);
        for (turn, start) in (0..requests).step_by(stretch).enumerate() {
            if self.floor.time.is_over() {
                break;
            }
            if turn % self.floor.workers != self.number {
                continue;
            }
            let range = start..requests.min(start + stretch);
            let done = range.end;
            match &workload.requests {
                Requests::EachUse => self.use_keys(workload, range)?,
                Requests::Listed(listed) => self.make_requests(&listed[range])?,
            }
            self.books.pause();
            self.floor.keep_up()?;
            if let Some((sampler, bar)) = &mut lead
                && (sampler.is_due(done) || done == requests)
            {
                let governor = self.floor.governor.governor();
                sampler.take(done, self.now_ns, governor, &self.books, &self.tally);
                bar.set_position(done as u64);
            }
        }
        if self.floor.time.is_over() { Ok(()) } else { self.do_until(u64::MAX) }
    }

    /// Releases the jobs that end with the trace.
    pub fn release_rest(&mut self) -> Result<(), CliError> {
        for job in self.agenda.rest().collect::<Vec<_>>() {
            self.end(&job)?;
        }
        Ok(())
    }

    /// What was counted, and the books.
    pub fn close(self) -> (Tally, B, Vec<WaitSums>) {
        (self.tally, self.books, self.line.into_sums())
    }

    /// The hot loop of the keys formats: no hashing, no allocation.
    fn use_keys(&mut self, workload: &Workload, range: Range<usize>) -> Result<(), CliError> {
        for place in range {
            if place % KEYS_PER_MOVE == 0 {
                self.set_time(place as u64 * KEY_STEP_NS);
                if self.floor.time.is_over() {
                    break;
                }
            }
            let bytes = workload.use_bytes.at(place);
            self.use_item(workload.uses[place], bytes)?;
        }
        Ok(())
    }

    fn make_requests(&mut self, requests: &'a [workload::Request]) -> Result<(), CliError> {
        let workload = self.floor.workload;
        for request in requests {
            self.do_until(request.at_ns)?;
            self.set_time(request.at_ns);
            if self.floor.time.is_over() {
                break;
            }
            self.balance(request.at_ns);
            if !self.line.is_empty() {
                self.serve()?;
            }
            if let Some(item) = request.drops {
                self.give_item_back(item)?;
            }
            self.use_chain(workload, request.uses.start as usize..request.uses.end as usize)?;
            if let Some(job) = &request.job
                && self.floor.with_jobs
            {
                self.start(request.tenant, request.at_ns, job)?;
            }
        }
        Ok(())
    }

    /// Uses the items of one request, each of which is of use only with all before it. From the
    /// last to the first, as serving engines do it, so that the end of a chain is older than its
    /// beginning and goes before it. What was found without a miss when the first one is reached
    /// is the prefix that was of use.
    fn use_chain(&mut self, workload: &Workload, places: Range<usize>) -> Result<(), CliError> {
        let mut prefix = 0;
        for place in places.rev() {
            let hit = self.use_item(workload.uses[place], workload.use_bytes.at(place))?;
            prefix = if hit { prefix + 1 } else { 0 };
        }
        self.tally.prefix_hits += prefix;
        Ok(())
    }

    /// Touches or requests one item; true if it was resident.
    #[inline]
    fn use_item(&mut self, item: u32, bytes: u64) -> Result<bool, CliError> {
        let tenant = self.floor.workload.items.tenant(item);
        let handle = self.handle(tenant)?;
        for _ in 0..FINDS_MAX {
            match self.books.find(item) {
                Found::Resident(grant) => {
                    if self.floor.governor.touch(handle, grant) {
                        self.tally.hits += 1;
                        return Ok(true);
                    }
                    self.books.stale(item)?;
                }
                Found::OnItsWay => {
                    self.tally.hits += 1;
                    return Ok(true);
                }
                Found::Absent => {
                    self.fetch(item, tenant, handle, bytes)?;
                    break;
                }
            }
        }
        self.tally.misses += 1;
        self.tally.load_ms += u64::from(self.floor.workload.items.cost_ms(item));
        Ok(false)
    }

    /// Requests an item that is not resident.
    #[inline]
    fn fetch(
        &mut self,
        item: u32,
        tenant: u32,
        handle: TenantHandle,
        bytes: u64,
    ) -> Result<(), CliError> {
        self.books.asks(tenant);
        match self.floor.governor.fetch(self.floor.workload, item, handle, bytes)? {
            Answer::Granted(grant) => {
                if let Some(held) = self.item_bytes.get_mut(item as usize) {
                    *held = bytes;
                }
                self.books.item_granted(item, grant, tenant, bytes);
            }
            Answer::Denied => self.books.item_denied(item, tenant, bytes),
        }
        Ok(())
    }

    /// An item's owner has no more use for it.
    fn give_item_back(&mut self, item: u32) -> Result<(), CliError> {
        let Some(grant) = self.books.take_out(item) else { return Ok(()) };
        let (governor, tenant) = (self.floor.governor, self.floor.workload.items.tenant(item));
        let handle = self.handle(tenant)?;
        let bytes = self.item_bytes[item as usize];
        self.books.release(tenant, bytes, || governor.give_back(handle, grant))
    }

    fn start(&mut self, tenant: u32, at_ns: u64, job: &'a Job) -> Result<(), CliError> {
        let handle = self.handle(tenant)?;
        if let Some(wait_ns) = job.wait_ns.filter(|_| M::IS_OWN) {
            let request = job_request_of(tenant, handle, job);
            return self.enter((tenant, handle), job, &request, wait_ns);
        }
        self.books.asks(tenant);
        let grant = match self.floor.governor.start(tenant, handle, job)? {
            Answer::Granted(grant) => grant,
            Answer::Denied => {
                self.books.denied(tenant, job.bytes);
                return Ok(());
            }
        };
        self.books.granted(tenant, job.bytes);
        self.begin(tenant, handle, at_ns, job, grant);
        Ok(())
    }

    /// A job has its memory: it grows and ends when it wants.
    pub(super) fn begin(
        &mut self,
        tenant: u32,
        handle: TenantHandle,
        at_ns: u64,
        job: &Job,
        grant: GrantId,
    ) {
        let end_ns = job.held_ns.map(|held| at_ns.saturating_add(held));
        let (left_bytes, step_bytes, step_ns) = job
            .growth
            .as_ref()
            .map_or((0, 0, 0), |growth| (growth.total_bytes, growth.step_bytes, growth.step_ns));
        let bytes = job.bytes;
        let running =
            Running { grant, handle, tenant, bytes, left_bytes, step_bytes, step_ns, end_ns };
        self.agenda.add(running, if left_bytes > 0 { Some(at_ns) } else { end_ns });
    }

    /// Does what running jobs want up to `until_ns`.
    #[inline]
    fn do_until(&mut self, until_ns: u64) -> Result<(), CliError> {
        if !self.line.is_empty() {
            return self.do_beside_line(until_ns);
        }
        while let Some((at_ns, job)) = self.agenda.next(until_ns) {
            self.go_on(at_ns, job)?;
            if !self.line.is_empty() {
                return self.do_beside_line(until_ns);
            }
        }
        Ok(())
    }

    /// The same while somebody waits: who is due gives up, and who can be served begins.
    #[cold]
    fn do_beside_line(&mut self, until_ns: u64) -> Result<(), CliError> {
        loop {
            let deadline_ns = self.line.deadline_ns();
            let Some(next_ns) = self.agenda.next_ns().into_iter().chain(deadline_ns).min() else {
                return Ok(());
            };
            if next_ns > until_ns {
                return Ok(());
            }
            match self.agenda.next(next_ns) {
                Some((at_ns, job)) => self.go_on(at_ns, job)?,
                None => self.set_time(next_ns),
            }
            self.serve()?;
        }
    }

    #[inline]
    fn go_on(&mut self, at_ns: u64, job: Running) -> Result<(), CliError> {
        self.set_time(at_ns);
        if job.left_bytes > 0 { self.grow(job, at_ns) } else { self.end(&job) }
    }

    /// Grows a job by one step. One that may not grow is cut off: it cannot go on without.
    fn grow(&mut self, mut job: Running, at_ns: u64) -> Result<(), CliError> {
        let bytes = job.step_bytes.min(job.left_bytes);
        self.books.asks(job.tenant);
        if !self.floor.governor.grow(job.handle, job.grant, bytes)? {
            self.books.denied(job.tenant, bytes);
            return self.end(&job);
        }
        self.books.grown(job.tenant, bytes);
        job.bytes += bytes;
        job.left_bytes -= bytes;
        let next_ns = if job.left_bytes > 0 { Some(at_ns + job.step_ns) } else { job.end_ns };
        self.agenda.add(job, next_ns);
        Ok(())
    }

    /// Gives a job's bytes back.
    fn end(&mut self, job: &Running) -> Result<(), CliError> {
        let memory = self.floor.governor;
        self.books.release(job.tenant, job.bytes, || memory.give_back(job.handle, job.grant))?;
        let governor = memory.governor();
        if M::IS_OWN && governor.waiters() > 0 {
            // What may go by now goes for those who are first in line.
            self.books.balance(|| governor.balance());
        }
        Ok(())
    }

    /// A step of the balancer, where one is due.
    fn balance(&mut self, now_ns: u64) {
        let Some(every_ns) = self.floor.balance_every_ns else { return };
        if self.number == 0 && now_ns >= self.balance_ns {
            self.balance_ns = now_ns.saturating_add(every_ns);
            let governor = self.floor.governor.governor();
            self.books.balance(|| governor.balance());
        }
    }

    #[inline]
    fn handle(&self, tenant: u32) -> Result<TenantHandle, CliError> {
        self.floor.roster.handle(self.floor.governor.governor(), tenant)
    }

    #[inline]
    fn set_time(&mut self, now_ns: u64) {
        self.now_ns = now_ns;
        if self.number == 0 {
            self.floor.time.come_to(now_ns);
        }
    }
}

/// The request of an item that is not resident.
#[inline]
pub fn item_request(workload: &Workload, item: u32, handle: TenantHandle, bytes: u64) -> Request {
    let items = &workload.items;
    Request::new(handle, items.allocation(item), bytes)
        .key(items.keys[item as usize])
        .cost(items.cost_ms(item))
        .cookie(u64::from(item))
        .evictable(true)
}

/// The request of a job. What runs is in use; what is kept only for later may go.
pub fn job_request(tenant: u32, handle: TenantHandle, kind: AllocationType, bytes: u64) -> Request {
    let is_kept = matches!(kind, AllocationType::Inference | AllocationType::ModelLoad);
    Request::new(handle, kind, bytes)
        .cookie(JOB_COOKIE | u64::from(tenant))
        .evictable(!is_kept)
        .pinned(is_kept)
}

/// The request that a job begins with.
pub fn job_request_of(tenant: u32, handle: TenantHandle, job: &Job) -> Request {
    let request = job_request(tenant, handle, job.allocation, job.bytes);
    let request = match job.pinned {
        None => request,
        Some(pinned) => request.pinned(pinned).evictable(!pinned),
    };
    request.intent(intent(job))
}

/// What a job means to do, for the log.
fn intent(job: &Job) -> Intent {
    let hold_ns = job.held_ns.unwrap_or(u64::MAX);
    match &job.growth {
        None => Intent { hold_ns, ..Intent::default() },
        Some(growth) => Intent {
            hold_ns,
            grow_bytes: growth.total_bytes,
            grow_step_bytes: growth.step_bytes,
            grow_step_ns: growth.step_ns,
        },
    }
}

/// Releases a grant, once nobody is at it; says whether it was still ours.
pub fn give_back(
    governor: &Governor,
    handle: TenantHandle,
    grant: GrantId,
) -> Result<bool, CliError> {
    loop {
        return match governor.release(handle, grant) {
            Ok(Released::Returned) => Ok(true),
            Ok(Released::Evicted) => Ok(false),
            Err(Error::StaleGrant(_) | Error::Evicted(_)) => Ok(false),
            Err(Error::Busy(_)) => {
                std::thread::yield_now();
                continue;
            }
            Err(error) => Err(misuse(&error)),
        };
    }
}

/// The governor calls the driver's call a mistake.
pub fn misuse(error: &Error) -> CliError {
    CliError::new(format!("the governor refused a call: {error}"))
}
