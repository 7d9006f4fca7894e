//! What misses cost, and how much of it is for what could have been there still.
//!
//! ```text
//! load(t)     = sum over misses of t's items: time to load the item
//! rebuild(t)  = the same without the first miss of each item
//!             + time to load the bytes of t's jobs that were evicted
//! ```
//!
//! An item that was asked for before is missing because it was evicted or refused; both count, as
//! else whoever refuses everything would have nothing to rebuild.
//!
//! The time to load is that of the trace where it has one; else a GiB takes a second, and where
//! objects are counted each takes a millisecond. An evicted job counts at once: nothing in a trace
//! asks for it again.

use crate::trace::workload::{Workload, load_ns_of_bytes};

/// What misses cost one tenant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadSums {
    /// All of them.
    pub load_ns: u64,
    /// Those of items that had been asked for before, and evicted jobs.
    pub rebuild_ns: u64,
}

impl LoadSums {
    /// All of them, in s.
    pub fn load_seconds(&self) -> f64 {
        self.load_ns as f64 / 1e9
    }

    /// For what could have been there still, in s.
    pub fn rebuild_seconds(&self) -> f64 {
        self.rebuild_ns as f64 / 1e9
    }
}

/// The sums of a replay, and which items have been asked for.
pub struct Loads {
    /// By item.
    asked: Vec<bool>,
    tenants: Vec<LoadSums>,
}

impl Loads {
    /// Nothing loaded.
    pub fn new(workload: &Workload) -> Self {
        let tenants = vec![LoadSums::default(); workload.tenants.len()];
        Self { asked: vec![false; workload.items.len()], tenants }
    }

    /// The sums of each tenant, by its number.
    pub fn tenants(&self) -> &[LoadSums] {
        &self.tenants
    }

    /// An item was needed and not there.
    #[inline]
    pub fn missed(&mut self, workload: &Workload, item: u32, bytes: u64) {
        let load_ns = workload.load_ns(item, bytes);
        let sums = &mut self.tenants[workload.items.tenant(item) as usize];
        sums.load_ns = sums.load_ns.saturating_add(load_ns);
        if std::mem::replace(&mut self.asked[item as usize], true) {
            sums.rebuild_ns = sums.rebuild_ns.saturating_add(load_ns);
        }
    }

    /// The governor took the bytes of a job away.
    pub fn job_evicted(&mut self, tenant: u32, bytes: u64) {
        let sums = &mut self.tenants[tenant as usize];
        sums.rebuild_ns = sums.rebuild_ns.saturating_add(load_ns_of_bytes(bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::workload::{Items, Requests, UseBytes};

    fn workload(use_bytes: UseBytes, costs_ms: Vec<u32>) -> Workload {
        Workload {
            name: String::new(),
            tenants: vec!["a".to_string(), "b".to_string()],
            items: Items { keys: vec![7, 8], tenants: vec![0, 1], costs_ms, types: Vec::new() },
            uses: Vec::new(),
            use_bytes,
            requests: Requests::EachUse,
            footprint_bytes: 0,
        }
    }

    #[test]
    fn only_the_first_load_is_not_rebuilding() {
        let workload = workload(UseBytes::Each(5), vec![100, 200]);
        let mut loads = Loads::new(&workload);
        for item in [0, 0, 1, 0] {
            loads.missed(&workload, item, 5);
        }
        let seconds = |sums: &LoadSums| (sums.load_seconds(), sums.rebuild_seconds());
        let seen: Vec<_> = loads.tenants().iter().map(seconds).collect();
        assert_eq!(seen, [(0.3, 0.2), (0.2, 0.0)]);
    }

    #[test]
    fn a_gib_takes_a_second_and_an_object_a_millisecond() {
        let bytes = workload(UseBytes::PerUse(Vec::new()), Vec::new());
        assert_eq!(bytes.load_ns(0, 3 << 29), 1_500_000_000);
        let objects = workload(UseBytes::Each(1), Vec::new());
        assert_eq!(objects.load_ns(0, 1), 1_000_000);
        let mut loads = Loads::new(&bytes);
        loads.job_evicted(1, 1 << 30);
        assert_eq!(loads.tenants()[1], LoadSums { load_ns: 0, rebuild_ns: 1_000_000_000 });
    }
}
