//! The second pair of eyes: sums that know only the answers a driver saw, never the governor's
//! own figures, and say where the two disagree.
//!
//! ```text
//! L1  total            = sum of used(t) over tenants = sum of what was granted and not given back
//! L2  overcommit       = max over time of total - capacity, used(t) - limit(t), used(g) - limit(g)
//! L3  leaked           = | bytes the governor counts as live - total |
//! L4  guarantee broken = a request within its tenant's guarantee denied, or an eviction for one
//!                        tenant that leaves another below its guarantee
//! ```
//!
//! Each of the three figures is 0 in a correct run, and each has a test that seeds its fault.

use std::collections::HashMap;

/// What may not be exceeded, and what has to be kept.
#[derive(Clone, Debug, Default)]
pub struct Bounds {
    /// Bytes of the whole pool.
    pub capacity_bytes: u64,
    /// One entry per tenant, by its number.
    pub tenants: Vec<TenantBounds>,
    /// One entry per group, by its number.
    pub groups: Vec<GroupBounds>,
}

/// The bounds of one tenant.
#[derive(Clone, Debug, Default)]
pub struct TenantBounds {
    /// Bytes that are always granted.
    pub guarantee_bytes: u64,
    /// The limit where it is fixed and hard.
    pub limit_bytes: Option<u64>,
    /// The group the tenant belongs to.
    pub group: Option<usize>,
}

/// The bounds of one group.
#[derive(Clone, Debug, Default)]
pub struct GroupBounds {
    /// The limit where it is fixed.
    pub limit_bytes: Option<u64>,
    /// The group above it.
    pub parent: Option<usize>,
}

/// What one tenant was told.
#[derive(Clone, Debug, Default)]
pub struct TenantSums {
    /// Bytes held now.
    pub used_bytes: u64,
    /// Most bytes held at one time.
    pub peak_used_bytes: u64,
    /// Grants given.
    pub granted: u64,
    /// Requests and growths refused.
    pub denied: u64,
    /// Grants taken away.
    pub evicted: u64,
}

/// What was seen over time.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Most bytes held at one time.
    pub peak_bytes: u64,
    /// Most bytes by which a fixed bound was ever exceeded.
    pub overcommit_bytes: u64,
    /// How often a guarantee was not kept.
    pub guarantee_violations: u64,
    /// Grants taken away.
    pub evicted_grants: u64,
    /// Their bytes.
    pub evicted_bytes: u64,
    /// Bytes given back that were never granted.
    pub unknown_bytes: u64,
}

/// The sums of one replay.
#[derive(Debug)]
pub struct Ledger {
    bounds: Bounds,
    tenants: Vec<TenantSums>,
    /// Bytes held below each group that has a limit.
    groups: HashMap<usize, u64>,
    total_bytes: u64,
    observed: Observed,
}

impl Ledger {
    /// Empty sums under these bounds.
    pub fn new(bounds: Bounds) -> Self {
        let limited = |(group, bounds): (usize, &GroupBounds)| {
            bounds.limit_bytes.is_some().then_some((group, 0))
        };
        Self {
            tenants: vec![TenantSums::default(); bounds.tenants.len()],
            groups: bounds.groups.iter().enumerate().filter_map(limited).collect(),
            bounds,
            total_bytes: 0,
            observed: Observed::default(),
        }
    }

    /// The sums of several threads, added up after they came to rest.
    pub fn at_rest(bounds: Bounds, tenants: Vec<TenantSums>, observed: Observed) -> Self {
        let mut ledger = Self::new(bounds);
        ledger.observed = observed;
        for (tenant, sums) in tenants.iter().enumerate() {
            ledger.add(tenant as u32, sums.used_bytes);
        }
        ledger.tenants = tenants;
        ledger
    }

    /// A request of `bytes` was granted.
    #[inline]
    pub fn granted(&mut self, tenant: u32, bytes: u64) {
        self.tenants[tenant as usize].granted += 1;
        self.add(tenant, bytes);
    }

    /// A grant was grown by `bytes`.
    #[inline]
    pub fn grown(&mut self, tenant: u32, bytes: u64) {
        self.add(tenant, bytes);
    }

    /// A request or a growth of `bytes` was denied.
    pub fn denied(&mut self, tenant: u32, bytes: u64) {
        let sums = &mut self.tenants[tenant as usize];
        sums.denied += 1;
        let guarantee_bytes = self.bounds.tenants[tenant as usize].guarantee_bytes;
        if sums.used_bytes.saturating_add(bytes) <= guarantee_bytes {
            self.observed.guarantee_violations += 1;
        }
    }

    /// A grant of `bytes` was given back.
    #[inline]
    pub fn released(&mut self, tenant: u32, bytes: u64) {
        self.subtract(tenant, bytes);
    }

    /// A grant of `bytes` was taken away for the sake of a request of tenant `by`.
    #[inline]
    pub fn evicted(&mut self, tenant: u32, bytes: u64, by: u32) {
        self.subtract(tenant, bytes);
        self.observed.evicted_grants += 1;
        self.observed.evicted_bytes += bytes;
        let sums = &mut self.tenants[tenant as usize];
        sums.evicted += 1;
        let guarantee_bytes = self.bounds.tenants[tenant as usize].guarantee_bytes;
        if tenant != by && sums.used_bytes < guarantee_bytes {
            self.observed.guarantee_violations += 1;
        }
    }

    /// What was seen over time.
    pub fn observed(&self) -> &Observed {
        &self.observed
    }

    /// The difference between `live_bytes`, as the governor counts them, and these sums.
    pub fn leaked_bytes(&self, live_bytes: u64) -> u64 {
        live_bytes.abs_diff(self.total_bytes).saturating_add(self.observed.unknown_bytes)
    }

    /// The sums of each tenant, by its number.
    pub fn tenants(&self) -> &[TenantSums] {
        &self.tenants
    }

    #[inline]
    fn add(&mut self, tenant: u32, bytes: u64) {
        self.total_bytes += bytes;
        self.observed.peak_bytes = self.observed.peak_bytes.max(self.total_bytes);
        let sums = &mut self.tenants[tenant as usize];
        sums.used_bytes += bytes;
        sums.peak_used_bytes = sums.peak_used_bytes.max(sums.used_bytes);
        let bounds = &self.bounds.tenants[tenant as usize];
        let past_limit = sums.used_bytes.saturating_sub(bounds.limit_bytes.unwrap_or(u64::MAX));
        let past_capacity = self.total_bytes.saturating_sub(self.bounds.capacity_bytes);
        self.observed.overcommit_bytes =
            self.observed.overcommit_bytes.max(past_limit).max(past_capacity);
        let mut above = bounds.group;
        while let Some(group) = above {
            self.add_to_group(group, bytes);
            above = self.bounds.groups[group].parent;
        }
    }

    fn add_to_group(&mut self, group: usize, bytes: u64) {
        let Some(used_bytes) = self.groups.get_mut(&group) else { return };
        *used_bytes += bytes;
        let limit_bytes = self.bounds.groups[group].limit_bytes.unwrap_or(u64::MAX);
        self.observed.overcommit_bytes =
            self.observed.overcommit_bytes.max(used_bytes.saturating_sub(limit_bytes));
    }

    #[inline]
    fn subtract(&mut self, tenant: u32, bytes: u64) {
        let used_bytes = &mut self.tenants[tenant as usize].used_bytes;
        let known = bytes.min(*used_bytes);
        *used_bytes -= known;
        self.observed.unknown_bytes += bytes - known;
        self.total_bytes -= known;
        let mut above = self.bounds.tenants[tenant as usize].group;
        while let Some(group) = above {
            if let Some(used_bytes) = self.groups.get_mut(&group) {
                *used_bytes -= known;
            }
            above = self.bounds.groups[group].parent;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two tenants of 40 guaranteed and at most 60, in a group of at most 90, in a pool of 100.
    fn bounds() -> Bounds {
        let tenant = TenantBounds { guarantee_bytes: 40, limit_bytes: Some(60), group: Some(0) };
        let group = GroupBounds { limit_bytes: Some(90), parent: None };
        Bounds { capacity_bytes: 100, tenants: vec![tenant; 2], groups: vec![group] }
    }

    #[test]
    fn a_correct_run_shows_no_fault() {
        let mut ledger = Ledger::new(bounds());
        ledger.granted(0, 40);
        ledger.grown(0, 10);
        ledger.granted(1, 40);
        ledger.denied(1, 20);
        ledger.evicted(0, 10, 1);
        ledger.released(1, 40);
        assert_eq!(ledger.leaked_bytes(40), 0);
        assert_eq!(ledger.observed().overcommit_bytes, 0);
        assert_eq!(ledger.observed().guarantee_violations, 0);
        assert_eq!(ledger.observed().peak_bytes, 90);
        assert_eq!(ledger.observed().evicted_grants, 1);
        assert_eq!(ledger.observed().evicted_bytes, 10);
    }

    #[test]
    fn more_than_the_capacity_is_overcommit() {
        let mut bounds = bounds();
        bounds.groups[0].limit_bytes = None;
        let mut ledger = Ledger::new(bounds);
        ledger.granted(0, 55);
        ledger.granted(1, 55);
        ledger.released(0, 55);
        assert_eq!(ledger.observed().overcommit_bytes, 10);
    }

    #[test]
    fn more_than_a_tenants_limit_is_overcommit() {
        let mut ledger = Ledger::new(bounds());
        ledger.granted(0, 60);
        ledger.grown(0, 3);
        assert_eq!(ledger.observed().overcommit_bytes, 3);
    }

    #[test]
    fn more_than_a_groups_limit_is_overcommit() {
        let mut ledger = Ledger::new(bounds());
        ledger.granted(0, 50);
        ledger.granted(1, 45);
        assert_eq!(ledger.observed().overcommit_bytes, 5);
    }

    #[test]
    fn a_byte_that_only_one_side_knows_is_leaked() {
        let mut ledger = Ledger::new(bounds());
        ledger.granted(0, 50);
        assert_eq!(ledger.leaked_bytes(49), 1);
        assert_eq!(ledger.leaked_bytes(51), 1);
        ledger.released(0, 50);
        ledger.released(0, 50);
        assert_eq!(ledger.leaked_bytes(0), 50, "a grant given back twice");
    }

    #[test]
    fn a_denial_within_the_guarantee_is_a_violation() {
        let mut ledger = Ledger::new(bounds());
        ledger.granted(0, 30);
        ledger.denied(0, 11);
        assert_eq!(ledger.observed().guarantee_violations, 0);
        ledger.denied(0, 10);
        assert_eq!(ledger.observed().guarantee_violations, 1);
    }

    #[test]
    fn an_eviction_below_anothers_guarantee_is_a_violation() {
        let mut ledger = Ledger::new(bounds());
        ledger.granted(0, 45);
        ledger.evicted(0, 10, 0);
        assert_eq!(ledger.observed().guarantee_violations, 0, "a tenant may evict its own");
        ledger.evicted(0, 10, 1);
        assert_eq!(ledger.observed().guarantee_violations, 1);
    }
}
