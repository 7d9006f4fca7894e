//! What a driver knows by itself: which items are resident, and the ledger of the answers.
//!
//! [`Books`] is what a worker writes into; [`OwnBooks`] are those of a replay in one thread, with
//! no lock on the way of a hit. `shared_books` has those of several threads.

use std::cell::RefCell;

use allotment::{GrantId, Victim};

use super::loads::{LoadSums, Loads};
use crate::failure::CliError;
use crate::ledger::Ledger;
use crate::trace::workload::Workload;

/// The cookie of a job is this bit and its tenant; the cookie of an item is its number.
pub const JOB_COOKIE: u64 = 1 << 63;

/// The tenant for whom the balancer evicts.
pub const NOBODY: u32 = u32::MAX;

/// Where an item is.
pub enum Found {
    /// Resident under this grant.
    Resident(GrantId),
    /// Another thread is asking for it.
    OnItsWay,
    /// Not resident; whoever found that asks for it and books the answer.
    Absent,
}

/// The records that one worker writes into. A grant is booked after it was given and a release
/// before it is made, so that sums read meanwhile are never above the truth.
pub trait Books {
    /// Where `item` is.
    fn find(&mut self, item: u32) -> Found;

    /// The governor no longer knows the grant that [`Books::find`] answered with.
    fn stale(&mut self, item: u32) -> Result<(), CliError>;

    /// A request of `tenant` is about to be made.
    fn asks(&mut self, tenant: u32);

    /// The item's request was granted.
    fn item_granted(&mut self, item: u32, grant: GrantId, tenant: u32, bytes: u64);

    /// The item's request was denied.
    fn item_denied(&mut self, item: u32, tenant: u32, bytes: u64);

    /// A request of `by` found a place in line, and may have taken something away.
    fn waits(&mut self, by: u32);

    /// Takes out an item that its owner gives back.
    fn take_out(&mut self, item: u32) -> Option<GrantId>;

    /// The request of a job was granted.
    fn granted(&mut self, tenant: u32, bytes: u64);

    /// The request or growth of a job was denied.
    fn denied(&mut self, tenant: u32, bytes: u64);

    /// A job was grown.
    fn grown(&mut self, tenant: u32, bytes: u64);

    /// Gives `bytes` back by `give_back`, which says whether the grant was still ours.
    fn release(
        &mut self,
        tenant: u32,
        bytes: u64,
        give_back: impl FnOnce() -> Result<bool, CliError>,
    ) -> Result<(), CliError>;

    /// Lets the balancer take a step, which may evict on nobody's behalf.
    fn balance<T>(&mut self, step: impl FnOnce() -> T);

    /// Some requests have passed: a time for costly checks.
    fn pause(&mut self);

    /// Bytes that each tenant holds, by its number, and denials and evictions of all.
    fn state(&self, used_bytes: &mut Vec<u64>) -> (u64, u64);
}

/// A grant that the governor took away.
struct Taken {
    cookie: u64,
    bytes: u64,
}

thread_local! {
    /// The mail box between the reclaim callback and the books. The governor asks on the thread
    /// that requests, so a replay in one thread needs no lock for it.
    static TAKEN: RefCell<Vec<Taken>> = const { RefCell::new(Vec::new()) };
}

/// Notes an eviction for the books of this thread; called by the governor.
pub fn note_taken(victim: &Victim) {
    let taken = Taken { cookie: victim.cookie, bytes: victim.bytes };
    TAKEN.with_borrow_mut(|mail| mail.push(taken));
}

/// The books of a replay in one thread.
pub struct OwnBooks<'a> {
    workload: &'a Workload,
    resident: Vec<Option<GrantId>>,
    ledger: Ledger,
    loads: Loads,
    denied: u64,
}

impl<'a> OwnBooks<'a> {
    /// Empty books. One at a time in each thread.
    pub fn new(workload: &'a Workload, ledger: Ledger) -> Self {
        TAKEN.with_borrow_mut(Vec::clear);
        let resident = vec![None; workload.items.len()];
        Self { workload, resident, ledger, loads: Loads::new(workload), denied: 0 }
    }

    /// Whether `item` is resident, and under which grant.
    pub fn resident(&self, item: u32) -> Option<GrantId> {
        self.resident[item as usize]
    }

    /// What misses cost each tenant, by its number.
    pub fn loads(&self) -> &[LoadSums] {
        self.loads.tenants()
    }

    /// The resident items and the ledger.
    pub fn close(self) -> (Vec<Option<GrantId>>, Ledger) {
        (self.resident, self.ledger)
    }

    /// Books what the governor took away while it answered a request of `by`.
    #[inline]
    fn settle(&mut self, by: u32) {
        TAKEN.with_borrow_mut(|taken| {
            for Taken { cookie, bytes } in taken.drain(..) {
                let tenant = if cookie & JOB_COOKIE == 0 {
                    self.resident[cookie as usize] = None;
                    self.workload.items.tenant(cookie as u32)
                } else {
                    let tenant = (cookie & !JOB_COOKIE) as u32;
                    self.loads.job_evicted(tenant, bytes);
                    tenant
                };
                self.ledger.evicted(tenant, bytes, by);
            }
        });
    }
}

impl Books for OwnBooks<'_> {
    #[inline]
    fn find(&mut self, item: u32) -> Found {
        match self.resident[item as usize] {
            Some(grant) => Found::Resident(grant),
            None => Found::Absent,
        }
    }

    fn stale(&mut self, item: u32) -> Result<(), CliError> {
        let key = self.workload.items.keys[item as usize];
        Err(CliError::new(format!(
            "the governor no longer knows the grant of key {key}, which it never took away"
        )))
    }

    #[inline]
    fn asks(&mut self, _tenant: u32) {}

    fn waits(&mut self, by: u32) {
        self.settle(by);
    }

    fn take_out(&mut self, item: u32) -> Option<GrantId> {
        self.resident[item as usize].take()
    }

    #[inline]
    fn item_granted(&mut self, item: u32, grant: GrantId, tenant: u32, bytes: u64) {
        self.granted(tenant, bytes);
        self.resident[item as usize] = Some(grant);
        self.loads.missed(self.workload, item, bytes);
    }

    fn item_denied(&mut self, item: u32, tenant: u32, bytes: u64) {
        self.denied(tenant, bytes);
        self.loads.missed(self.workload, item, bytes);
    }

    #[inline]
    fn granted(&mut self, tenant: u32, bytes: u64) {
        self.settle(tenant);
        self.ledger.granted(tenant, bytes);
    }

    fn denied(&mut self, tenant: u32, bytes: u64) {
        self.settle(tenant);
        self.denied += 1;
        self.ledger.denied(tenant, bytes);
    }

    fn grown(&mut self, tenant: u32, bytes: u64) {
        self.settle(tenant);
        self.ledger.grown(tenant, bytes);
    }

    fn release(
        &mut self,
        tenant: u32,
        bytes: u64,
        give_back: impl FnOnce() -> Result<bool, CliError>,
    ) -> Result<(), CliError> {
        if give_back()? {
            self.ledger.released(tenant, bytes);
        }
        Ok(())
    }

    fn balance<T>(&mut self, step: impl FnOnce() -> T) {
        step();
        self.settle(NOBODY);
    }

    fn pause(&mut self) {}

    fn state(&self, used_bytes: &mut Vec<u64>) -> (u64, u64) {
        used_bytes.clear();
        used_bytes.extend(self.ledger.tenants().iter().map(|sums| sums.used_bytes));
        (self.denied, self.ledger.observed().evicted_grants)
    }
}
