//! What every decoder delivers: tenants, keyed items, uses of them, and requests with a lifetime.
//!
//! Keys and names are replaced by dense numbers while a trace is decoded, so that a replay looks
//! up nothing by hash.

use std::collections::HashMap;
use std::hash::Hash;
use std::ops::Range;

use allotment::AllocationType;

const MS_NS: u64 = 1_000_000;

/// A decoded trace, the same for all formats.
pub struct Workload {
    /// The file's name, for the report.
    pub name: String,
    /// Names of the tenants; their place is their number.
    pub tenants: Vec<String>,
    /// The keyed things that may stay resident, by their number.
    pub items: Items,
    /// Item numbers in the order of their use.
    pub uses: Vec<u32>,
    /// What one use asks for when its item is not resident.
    pub use_bytes: UseBytes,
    /// When the uses happen, and what else is asked for.
    pub requests: Requests,
    /// Distinct items, or the sum of their last sizes: 100 % for `--capacity-percent`.
    pub footprint_bytes: u64,
}

/// The keyed things of a trace. An empty column stands for one value throughout.
#[derive(Clone, Default)]
pub struct Items {
    /// The content key of each item.
    pub keys: Vec<u64>,
    /// The tenant that owns it; empty: tenant 0.
    pub tenants: Vec<u32>,
    /// What it costs to rebuild, in ms; empty: 1.
    pub costs_ms: Vec<u32>,
    /// Its allocation type; empty: `Cache`.
    pub types: Vec<AllocationType>,
}

/// Bytes asked for by each use.
pub enum UseBytes {
    /// All alike.
    Each(u64),
    /// One figure per use.
    PerUse(Vec<u64>),
}

/// How uses are grouped into requests.
pub enum Requests {
    /// Every use is a request; they follow each other at equal steps of virtual time.
    EachUse,
    /// Listed one by one, in order of time.
    Listed(Vec<Request>),
}

/// One request of a trace.
pub struct Request {
    /// Virtual time from the start of the trace.
    pub at_ns: u64,
    /// Who asks; owns the job.
    pub tenant: u32,
    /// Its uses, as places in [`Workload::uses`].
    pub uses: Range<u32>,
    /// Memory that is held for a while.
    pub job: Option<Job>,
    /// An item that its owner gives back, if it is resident.
    pub drops: Option<u32>,
}

/// Memory that a request holds for a time of its own, whatever the cache does.
#[derive(Clone)]
pub struct Job {
    /// What kind of memory it is.
    pub allocation: AllocationType,
    /// Bytes at the start, never 0.
    pub bytes: u64,
    /// How long it is held; none: to the end of the trace.
    pub held_ns: Option<u64>,
    /// Bytes that come while it runs.
    pub growth: Option<Growth>,
    /// Whether it may be evicted; none: as its kind says.
    pub pinned: Option<bool>,
    /// How long it waits its turn where there is no room; none: it does not.
    pub wait_ns: Option<u64>,
}

impl Job {
    /// A job of so many bytes, to the end of the trace.
    pub fn new(allocation: AllocationType, bytes: u64) -> Self {
        Self { allocation, bytes, held_ns: None, growth: None, pinned: None, wait_ns: None }
    }
}

/// How a job grows.
#[derive(Clone)]
pub struct Growth {
    /// Bytes added in all.
    pub total_bytes: u64,
    /// Bytes added at each step; the last may be smaller.
    pub step_bytes: u64,
    /// Time between two steps; the first is at the start.
    pub step_ns: u64,
}

impl Items {
    /// Number of items.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// The tenant that owns `item`.
    #[inline]
    pub fn tenant(&self, item: u32) -> u32 {
        self.tenants.get(item as usize).copied().unwrap_or(0)
    }

    /// What `item` costs to rebuild, in ms.
    #[inline]
    pub fn cost_ms(&self, item: u32) -> u32 {
        self.costs_ms.get(item as usize).copied().unwrap_or(1)
    }

    /// The allocation type of `item`.
    #[inline]
    pub fn allocation(&self, item: u32) -> AllocationType {
        self.types.get(item as usize).copied().unwrap_or(AllocationType::Cache)
    }
}

impl UseBytes {
    /// Bytes of the use at `place`.
    #[inline]
    pub fn at(&self, place: usize) -> u64 {
        match self {
            Self::Each(bytes) => *bytes,
            Self::PerUse(bytes) => bytes[place],
        }
    }
}

impl Workload {
    /// Number of requests: a line, a record or a key of the trace.
    pub fn requests_len(&self) -> usize {
        match &self.requests {
            Requests::EachUse => self.uses.len(),
            Requests::Listed(requests) => requests.len(),
        }
    }

    /// What it takes to load `item` of so many bytes: the trace's own time; else a GiB takes a
    /// second, and an object, where objects are counted, a millisecond.
    #[inline]
    pub fn load_ns(&self, item: u32, bytes: u64) -> u64 {
        let counts_objects = matches!(self.use_bytes, UseBytes::Each(1));
        if counts_objects || !self.items.costs_ms.is_empty() {
            return u64::from(self.items.cost_ms(item)) * MS_NS;
        }
        load_ns_of_bytes(bytes)
    }

    /// Whether some items are given back by their owners.
    pub fn has_drops(&self) -> bool {
        let Requests::Listed(requests) = &self.requests else { return false };
        requests.iter().any(|request| request.drops.is_some())
    }

    /// Most jobs and most job bytes alive at one time, if every job is granted, and each may hold
    /// its bytes at any time up to `later_ns` after its end.
    pub fn peak_jobs(&self, later_ns: u64) -> (u64, u64) {
        let Requests::Listed(requests) = &self.requests else { return (0, 0) };
        let mut changes = Vec::new();
        for request in requests {
            let Some(job) = &request.job else { continue };
            let grown = job.growth.as_ref().map_or(0, |growth| growth.total_bytes);
            let bytes = i128::from(job.bytes.saturating_add(grown));
            // An end sorts before a start at the same instant, but never before its own start.
            let held = job.held_ns.map(|held| held.max(1).saturating_add(later_ns));
            let end = held.map_or(u64::MAX, |held| request.at_ns.saturating_add(held));
            changes.push((request.at_ns, 1_i64, bytes));
            changes.push((end, -1, -bytes));
        }
        changes.sort_unstable();
        let (mut jobs, mut bytes, mut jobs_peak, mut bytes_peak) = (0, 0, 0, 0);
        for (_, job, change) in changes {
            jobs += job;
            bytes += change;
            jobs_peak = jobs_peak.max(jobs);
            bytes_peak = bytes_peak.max(bytes);
        }
        (jobs_peak.unsigned_abs(), u64::try_from(bytes_peak).unwrap_or(u64::MAX))
    }
}

/// What it takes to load so many bytes, at a GiB a second.
pub fn load_ns_of_bytes(bytes: u64) -> u64 {
    let load_ns = (u128::from(bytes) * 1_000_000_000) >> 30;
    u64::try_from(load_ns).unwrap_or(u64::MAX)
}

/// Gives out dense numbers in the order of first sight.
pub struct Numbering<K> {
    numbers: HashMap<K, u32>,
}

impl<K: Hash + Eq> Numbering<K> {
    /// No numbers given yet.
    pub fn new() -> Self {
        Self { numbers: HashMap::new() }
    }

    /// The number of `key`, and whether it is new. A trace with more than 2^32 - 1 distinct keys
    /// would not fit into memory long before.
    pub fn number(&mut self, key: K) -> (u32, bool) {
        let next = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        let number = *self.numbers.entry(key).or_insert(next);
        (number, number == next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(at_ns: u64, bytes: u64, held_ns: Option<u64>) -> Request {
        let job = Job { held_ns, ..Job::new(AllocationType::Inference, bytes) };
        Request { at_ns, tenant: 0, uses: 0..0, job: Some(job), drops: None }
    }

    #[test]
    fn numbers_are_dense_in_order_of_first_sight() {
        let mut numbering = Numbering::new();
        let seen: Vec<_> = [7, 9, 7].into_iter().map(|key| numbering.number(key)).collect();
        assert_eq!(seen, [(0, true), (1, true), (0, false)]);
    }

    #[test]
    fn the_peak_counts_jobs_that_overlap() {
        let requests = vec![job(0, 10, Some(5)), job(5, 20, Some(5)), job(7, 40, None)];
        let workload = Workload {
            name: String::new(),
            tenants: Vec::new(),
            items: Items::default(),
            uses: Vec::new(),
            use_bytes: UseBytes::Each(1),
            requests: Requests::Listed(requests),
            footprint_bytes: 0,
        };
        assert_eq!(workload.peak_jobs(0), (2, 60));
        assert_eq!(workload.peak_jobs(3), (3, 70));
    }
}
