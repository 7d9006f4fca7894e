//! From a trace, a size and a policy to the governor that the trace is replayed against.

use crate::args::{ReplayArgs, Size};
use crate::failure::CliError;
use crate::ledger::{Bounds, GroupBounds, TenantBounds};
use crate::trace::Format;
use crate::trace::workload::{UseBytes, Workload};

use super::roster::TenantPlan;
use allotment::Isolation;

/// Slots beyond what the trace can hold at one time, for requests under way.
const GRANTS_SPARE: u64 = 1024;

/// A group of a replay.
#[derive(Clone, Debug)]
pub struct GroupPlan {
    /// Its name.
    pub name: String,
    /// The number of the group above it.
    pub parent: Option<usize>,
    /// Its guarantee.
    pub guarantee_bytes: u64,
    /// Its limit.
    pub limit_bytes: Option<u64>,
}

/// The governor of one run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Bytes of the pool.
    pub capacity_bytes: u64,
    /// Most grants at one time.
    pub grants_max: u64,
    /// Most items at one time.
    pub items_max: u64,
    /// Groups by number; a parent comes before its children.
    pub groups: Vec<GroupPlan>,
    /// Tenants by number, as in the workload.
    pub tenants: Vec<TenantPlan>,
    /// False where jobs are outside the budget.
    pub with_jobs: bool,
}

impl Plan {
    /// The plan of a run without a configuration.
    pub fn of_trace(args: &ReplayArgs, workload: &Workload, size: Size) -> Result<Self, CliError> {
        let with_jobs = !matches!(size, Size::Blocks(_));
        let capacity_bytes = capacity(workload, size)?;
        let (jobs_max, jobs_bytes) = if with_jobs { workload.peak_jobs() } else { (0, 0) };
        let mut tenants: Vec<_> =
            workload.tenants.iter().map(|name| TenantPlan::unlimited(name)).collect();
        let mut groups = Vec::new();
        let items_max = most_items(workload, capacity_bytes);
        let mut plan_bytes = capacity_bytes;
        if args.format == Format::AlibabaLora {
            groups.push(shared_models());
            tenants[0].group = Some(0);
            tenants[0].isolation = Isolation::Hard;
            tenants[0].limit_bytes = Some(capacity_bytes);
            plan_bytes = capacity_bytes.checked_add(jobs_bytes).ok_or_else(too_large)?;
        }
        Ok(Self {
            capacity_bytes: plan_bytes,
            grants_max: items_max.saturating_add(jobs_max).saturating_add(GRANTS_SPARE),
            items_max,
            groups,
            tenants,
            with_jobs,
        })
    }

    /// What the ledger holds the governor to.
    pub fn bounds(&self) -> Bounds {
        let tenant = |plan: &TenantPlan| TenantBounds {
            guarantee_bytes: plan.guarantee_bytes,
            limit_bytes: plan.limit_bytes.filter(|_| plan.isolation == Isolation::Hard),
            group: plan.group,
        };
        let group =
            |plan: &GroupPlan| GroupBounds { limit_bytes: plan.limit_bytes, parent: plan.parent };
        Bounds {
            capacity_bytes: self.capacity_bytes,
            tenants: self.tenants.iter().map(tenant).collect(),
            groups: self.groups.iter().map(group).collect(),
        }
    }
}

/// The group that owns what all tenants use.
fn shared_models() -> GroupPlan {
    let name = "shared".to_string();
    GroupPlan { name, parent: None, guarantee_bytes: 0, limit_bytes: None }
}

/// Bytes of the items' budget.
fn capacity(workload: &Workload, size: Size) -> Result<u64, CliError> {
    let unit_bytes = match workload.use_bytes {
        UseBytes::Each(bytes) => bytes,
        UseBytes::PerUse(_) => 1,
    };
    match size {
        Size::Capacity(bytes) => Ok(bytes),
        Size::Percent(percent) => Ok(percent_of(workload.footprint_bytes, percent)),
        Size::Blocks(count) | Size::Slots(count) => {
            count.checked_mul(unit_bytes).ok_or_else(too_large)
        }
        Size::Configured => Err(CliError::new("give a size, or a --config that has one")),
    }
}

/// Rounded to the nearest, at least 1.
pub fn percent_of(footprint_bytes: u64, percent: f64) -> u64 {
    ((footprint_bytes as f64 * percent / 100.0).round() as u64).max(1)
}

fn too_large() -> CliError {
    CliError::new("the size is past 2^64 bytes; choose a smaller one")
}

/// Items that fit at one time.
fn most_items(workload: &Workload, capacity_bytes: u64) -> u64 {
    let least_bytes = match &workload.use_bytes {
        UseBytes::Each(bytes) => *bytes,
        UseBytes::PerUse(bytes) => bytes.iter().copied().min().unwrap_or(1),
    };
    (capacity_bytes / least_bytes.max(1)).min(workload.items.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_is_rounded_and_never_nothing() {
        assert_eq!(percent_of(186_880, 0.1), 187);
        assert_eq!(percent_of(186_880, 1.0), 1869);
        assert_eq!(percent_of(279_261_548, 0.1), 279_262);
        assert_eq!(percent_of(10, 0.1), 1);
    }
}
