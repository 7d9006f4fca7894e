//! The books of several threads: resident items in shards, sums per worker.
//!
//! Each worker adds to two rising sums of its own per tenant: bytes booked in, after a grant was
//! given, and bytes booked out, before they are given back. Whoever reads all sums in first and
//! all sums out second gets a figure that is never above what was held at any instant between:
//!
//! ```text
//! S1  (sum of in, read before T) - (sum of out, read after T) <= bytes held at T <= capacity
//! ```
//!
//! So a figure above a bound is a real overcommitment, never a race of the readers. At rest the
//! figure is exact.

use std::cell::Cell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use allotment::{GrantId, Victim};

use super::books::{Books, Found, JOB_COOKIE, NOBODY};
use super::gate::Gate;
use crate::failure::CliError;
use crate::ledger::{Bounds, Ledger, Observed, TenantSums};
use crate::trace::workload::Workload;

/// Shards of the resident items.
const SHARDS: usize = 256;

/// Least answers between two checks of one worker.
const CHECK_EVERY: u64 = 4096;

thread_local! {
    /// The worker on this thread, and the tenant whose request it is making.
    static WORKER: Cell<(usize, u32)> = const { Cell::new((0, 0)) };
}

/// One item among several threads.
#[derive(Clone, Copy)]
enum Place {
    Absent,
    /// A worker is asking for it.
    Asked,
    /// It was granted to the asking worker and taken away before that worker booked it.
    AskedAndTaken,
    Resident(GrantId),
}

/// The sums of one worker, by tenant.
struct Sums {
    in_bytes: Vec<u64>,
    out_bytes: Vec<u64>,
    granted: Vec<u64>,
    denied: Vec<u64>,
    evicted: Vec<u64>,
    evicted_bytes: u64,
}

/// What all workers of a replay write into.
pub struct SharedBooks {
    workload: Arc<Workload>,
    bounds: Bounds,
    places: Vec<Mutex<Vec<Place>>>,
    workers: Vec<Mutex<Sums>>,
    /// One per tenant; none for a tenant without a guarantee.
    gates: Vec<Option<Mutex<Gate>>>,
    observed: Mutex<(Observed, Vec<u64>)>,
}

impl SharedBooks {
    /// Empty books for this many workers.
    pub fn new(workload: Arc<Workload>, bounds: Bounds, workers: usize) -> Self {
        let tenants = bounds.tenants.len();
        let per_shard = workload.items.len().div_ceil(SHARDS);
        let gate =
            |guarantee_bytes| (guarantee_bytes > 0).then(|| Mutex::new(Gate::new(guarantee_bytes)));
        Self {
            workload,
            places: (0..SHARDS).map(|_| Mutex::new(vec![Place::Absent; per_shard])).collect(),
            workers: (0..workers).map(|_| Mutex::new(Sums::new(tenants))).collect(),
            gates: bounds.tenants.iter().map(|tenant| gate(tenant.guarantee_bytes)).collect(),
            observed: Mutex::new((Observed::default(), vec![0; tenants])),
            bounds,
        }
    }

    /// Notes an eviction; called by the governor on the thread that needs the bytes, before they
    /// are free.
    pub fn take(&self, victim: &Victim) {
        let (worker, by) = WORKER.get();
        let tenant = if victim.cookie & JOB_COOKIE == 0 {
            let item = victim.cookie as u32;
            let mut places = self.shard(item);
            let place = &mut places[item as usize / SHARDS];
            *place = match *place {
                Place::Asked | Place::AskedAndTaken => Place::AskedAndTaken,
                Place::Absent | Place::Resident(_) => Place::Absent,
            };
            self.workload.items.tenant(item)
        } else {
            (victim.cookie & !JOB_COOKIE) as u32
        };
        let mut sums = locked(&self.workers[worker]);
        sums.out_bytes[tenant as usize] += victim.bytes;
        sums.evicted[tenant as usize] += 1;
        sums.evicted_bytes += victim.bytes;
        drop(sums);
        if let Some(mut gate) = self.gate(tenant) {
            gate.taken(victim.bytes, tenant == by);
        }
    }

    /// The resident items and a ledger of all sums. The workers have ended.
    pub fn close(&self) -> (Vec<Option<GrantId>>, Ledger) {
        self.check();
        let mut resident = vec![None; self.workload.items.len()];
        for (item, grant) in resident.iter_mut().enumerate() {
            if let Place::Resident(id) = self.shard(item as u32)[item / SHARDS] {
                *grant = Some(id);
            }
        }
        let (mut observed, peaks) = locked(&self.observed).clone();
        let mut tenants = vec![TenantSums::default(); peaks.len()];
        for worker in &self.workers {
            let sums = locked(worker);
            observed.evicted_bytes += sums.evicted_bytes;
            for (tenant, all) in tenants.iter_mut().enumerate() {
                all.granted += sums.granted[tenant];
                all.denied += sums.denied[tenant];
                all.evicted += sums.evicted[tenant];
                observed.evicted_grants += sums.evicted[tenant];
            }
        }
        let held = self.held();
        for (tenant, all) in tenants.iter_mut().enumerate() {
            let used_bytes = held[tenant];
            all.used_bytes = used_bytes.max(0).unsigned_abs();
            all.peak_used_bytes = peaks[tenant].max(all.used_bytes);
            observed.unknown_bytes += used_bytes.min(0).unsigned_abs();
        }
        for gate in self.gates.iter().flatten() {
            observed.guarantee_violations += locked(gate).violations();
        }
        (resident, Ledger::at_rest(self.bounds.clone(), tenants, observed))
    }

    /// Bytes held by each tenant, never above the truth at one instant of this call.
    fn held(&self) -> Vec<i64> {
        let mut held = vec![0_i64; self.bounds.tenants.len()];
        for worker in &self.workers {
            for (held, bytes) in held.iter_mut().zip(&locked(worker).in_bytes) {
                *held = held.saturating_add_unsigned(*bytes);
            }
        }
        for worker in &self.workers {
            for (held, bytes) in held.iter_mut().zip(&locked(worker).out_bytes) {
                *held = held.saturating_sub_unsigned(*bytes);
            }
        }
        held
    }

    /// Compares what is held with all fixed bounds.
    fn check(&self) {
        let held = self.held();
        let mut groups = vec![0_i64; self.bounds.groups.len()];
        let mut past = 0;
        let excess = |held: i64, limit_bytes: Option<u64>| {
            held.max(0).unsigned_abs().saturating_sub(limit_bytes.unwrap_or(u64::MAX))
        };
        for (held, bounds) in held.iter().zip(&self.bounds.tenants) {
            past = past.max(excess(*held, bounds.limit_bytes));
            let mut above = bounds.group;
            while let Some(group) = above {
                groups[group] += held;
                above = self.bounds.groups[group].parent;
            }
        }
        for (held, bounds) in groups.iter().zip(&self.bounds.groups) {
            past = past.max(excess(*held, bounds.limit_bytes));
        }
        let total: i64 = held.iter().sum();
        past = past.max(excess(total, Some(self.bounds.capacity_bytes)));
        let mut observed = locked(&self.observed);
        let (seen, peaks) = &mut *observed;
        seen.overcommit_bytes = seen.overcommit_bytes.max(past);
        seen.peak_bytes = seen.peak_bytes.max(total.max(0).unsigned_abs());
        for (peak, held) in peaks.iter_mut().zip(held) {
            *peak = (*peak).max(held.max(0).unsigned_abs());
        }
    }

    fn shard(&self, item: u32) -> MutexGuard<'_, Vec<Place>> {
        locked(&self.places[item as usize % SHARDS])
    }

    fn gate(&self, tenant: u32) -> Option<MutexGuard<'_, Gate>> {
        self.gates[tenant as usize].as_ref().map(locked)
    }
}

impl Sums {
    fn new(tenants: usize) -> Self {
        Self {
            in_bytes: vec![0; tenants],
            out_bytes: vec![0; tenants],
            granted: vec![0; tenants],
            denied: vec![0; tenants],
            evicted: vec![0; tenants],
            evicted_bytes: 0,
        }
    }
}

/// One worker's view of the shared books.
pub struct WorkerBooks<'a> {
    shared: &'a SharedBooks,
    worker: usize,
    answers: u64,
    /// What the gate said when the request under way began.
    asked: Option<u64>,
}

impl<'a> WorkerBooks<'a> {
    /// The books of `worker`; made and used on its own thread.
    pub fn new(shared: &'a SharedBooks, worker: usize) -> Self {
        WORKER.set((worker, 0));
        Self { shared, worker, answers: 0, asked: None }
    }

    fn sums(&self) -> MutexGuard<'a, Sums> {
        locked(&self.shared.workers[self.worker])
    }

    fn arrived(&mut self, tenant: u32, bytes: u64) {
        if let Some(mut gate) = self.shared.gate(tenant) {
            gate.granted(bytes);
        }
        self.answers += 1;
    }
}

impl Books for WorkerBooks<'_> {
    fn find(&mut self, item: u32) -> Found {
        let mut places = self.shared.shard(item);
        let place = &mut places[item as usize / SHARDS];
        match *place {
            Place::Resident(grant) => Found::Resident(grant),
            Place::Asked | Place::AskedAndTaken => Found::OnItsWay,
            Place::Absent => {
                *place = Place::Asked;
                Found::Absent
            }
        }
    }

    fn stale(&mut self, _item: u32) -> Result<(), CliError> {
        // Another worker's request took the grant away after it was found here.
        Ok(())
    }

    fn asks(&mut self, tenant: u32) {
        WORKER.set((self.worker, tenant));
        self.asked = self.shared.gate(tenant).map(|mut gate| gate.asks());
    }

    fn waits(&mut self, by: u32) {
        // Only a replay in one thread has a line.
        debug_assert!(false, "tenant {by} waits");
    }

    fn take_out(&mut self, item: u32) -> Option<GrantId> {
        let mut places = self.shared.shard(item);
        let place = &mut places[item as usize / SHARDS];
        match *place {
            Place::Resident(grant) => {
                *place = Place::Absent;
                Some(grant)
            }
            _ => None,
        }
    }

    fn item_granted(&mut self, item: u32, grant: GrantId, tenant: u32, bytes: u64) {
        self.granted(tenant, bytes);
        let mut places = self.shared.shard(item);
        let place = &mut places[item as usize / SHARDS];
        *place = match *place {
            Place::AskedAndTaken => Place::Absent,
            _ => Place::Resident(grant),
        };
    }

    fn item_denied(&mut self, item: u32, tenant: u32, bytes: u64) {
        self.shared.shard(item)[item as usize / SHARDS] = Place::Absent;
        self.denied(tenant, bytes);
    }

    fn granted(&mut self, tenant: u32, bytes: u64) {
        let mut sums = self.sums();
        sums.granted[tenant as usize] += 1;
        sums.in_bytes[tenant as usize] += bytes;
        drop(sums);
        self.arrived(tenant, bytes);
    }

    fn denied(&mut self, tenant: u32, bytes: u64) {
        self.sums().denied[tenant as usize] += 1;
        if let Some(mut gate) = self.shared.gate(tenant) {
            gate.denied(bytes, self.asked);
        }
        self.answers += 1;
    }

    fn grown(&mut self, tenant: u32, bytes: u64) {
        self.sums().in_bytes[tenant as usize] += bytes;
        self.arrived(tenant, bytes);
    }

    fn release(
        &mut self,
        tenant: u32,
        bytes: u64,
        give_back: impl FnOnce() -> Result<bool, CliError>,
    ) -> Result<(), CliError> {
        self.sums().out_bytes[tenant as usize] += bytes;
        if let Some(mut gate) = self.shared.gate(tenant) {
            gate.releases(bytes);
        }
        let is_ours = give_back()?;
        if !is_ours {
            // It was booked out when it was taken away.
            self.sums().in_bytes[tenant as usize] += bytes;
        }
        if let Some(mut gate) = self.shared.gate(tenant) {
            gate.released(if is_ours { 0 } else { bytes });
        }
        Ok(())
    }

    fn balance<T>(&mut self, step: impl FnOnce() -> T) {
        WORKER.set((self.worker, NOBODY));
        step();
    }

    fn pause(&mut self) {
        let costly = (self.shared.bounds.tenants.len() * self.shared.workers.len()) as u64;
        if self.answers >= CHECK_EVERY.max(costly) {
            self.answers = 0;
            self.shared.check();
        }
    }

    fn state(&self, used_bytes: &mut Vec<u64>) -> (u64, u64) {
        used_bytes.clear();
        used_bytes.extend(self.shared.held().iter().map(|held| held.max(&0).unsigned_abs()));
        let (mut denied, mut evicted) = (0, 0);
        for worker in &self.shared.workers {
            let sums = locked(worker);
            denied += sums.denied.iter().sum::<u64>();
            evicted += sums.evicted.iter().sum::<u64>();
        }
        (denied, evicted)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
