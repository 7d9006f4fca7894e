//! From a trace, a size and a policy to the governor that the trace is replayed against.

use std::collections::HashMap;
use std::time::Duration;

use allotment::{AuditMode, GovernorConfig, Isolation};
use allotment_config::{Group, Setup};

use super::patient;
use super::roster::TenantPlan;
use crate::args::{PolicyName, ReplayArgs, Size};
use crate::failure::CliError;
use crate::ledger::{Bounds, GroupBounds, TenantBounds};
use crate::trace::workload::{Requests, UseBytes, Workload};
use crate::trace::{Format, SINGLE_TENANT};

/// Slots beyond what the trace can hold at one time, for requests under way.
const GRANTS_SPARE: u64 = 1024;

/// Slots that one tenant may occupy without filling them: the governor gives them out in segments
/// for each of the four allocation types.
const GRANTS_SPARE_PER_TENANT: u64 = 4 * 16;

/// Most grants of one governor.
const GRANTS_MAX: u64 = 1 << 23;

/// Ghost keys for each item that fits: a key is worth remembering for some capacities of others.
const GHOSTS_PER_ITEM: u64 = 4;

/// A cache of keys that is full frees this part of its capacity beyond what is asked, as a power of
/// two: most requests find room then. Few enough that no hit ratio shows it.
const HEADROOM_SHARE_BITS: u32 = 13;

/// Most requests that one governor lets wait.
const WAITERS_MAX: usize = 1 << 16;

/// Virtual time between two steps of the balancer, where pressure counts.
const BALANCE_EVERY_NS: u64 = 1_000_000_000;

/// The governor of one run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Bytes of the pool.
    pub capacity_bytes: u64,
    /// Most grants at one time.
    pub grants_max: u32,
    /// Content keys remembered after eviction.
    pub ghost_keys_max: u32,
    /// Most requests that wait at one time.
    pub waiters_max: Option<u32>,
    /// Freed beyond a shortage.
    pub headroom_bytes: u64,
    /// Groups by number; a parent comes before its children.
    pub groups: Vec<Group>,
    /// Tenants by number, as in the workload.
    pub tenants: Vec<TenantPlan>,
    /// False where jobs are outside the budget.
    pub with_jobs: bool,
    /// Virtual time between two steps of the balancer; none: it never runs.
    pub balance_every_ns: Option<u64>,
    /// The configuration that all this comes from.
    pub setup: Option<Setup>,
    /// The place of each tenant in the configuration.
    pub places: Vec<usize>,
    /// The governor of a recorded day, which counts where the configuration says nothing.
    pub base: Option<GovernorConfig>,
}

impl Plan {
    /// The plan of a run without a configuration.
    pub fn of_trace(args: &ReplayArgs, workload: &Workload, size: Size) -> Result<Self, CliError> {
        let with_jobs = !matches!(size, Size::Blocks(_));
        let capacity_bytes = capacity(workload, size)?;
        let later_ns = args.wait.map_or(0, |wait_max| later_ns(workload, wait_max));
        let (_, jobs_bytes) = if with_jobs { workload.peak_jobs(later_ns) } else { (0, 0) };
        let mut tenants: Vec<_> =
            workload.tenants.iter().map(|name| TenantPlan::unlimited(name)).collect();
        let mut groups = Vec::new();
        let mut pool_bytes = capacity_bytes;
        if args.trace.format == Format::AlibabaLora {
            groups.push(shared_models());
            tenants[0].group = Some(0);
            if args.wait.is_some() {
                // The same limit one step higher: who waits for a place waits for others.
                groups[0].limit_bytes = Some(capacity_bytes);
            } else {
                tenants[0].isolation = Isolation::Hard;
                tenants[0].limit_bytes = Some(capacity_bytes);
            }
            pool_bytes = capacity_bytes.checked_add(jobs_bytes).ok_or_else(too_large)?;
        }
        let is_keys = args.trace.format.is_keys();
        let headroom_bytes = if is_keys { capacity_bytes >> HEADROOM_SHARE_BITS } else { 0 };
        let ghost_keys = most_items(workload, capacity_bytes).saturating_mul(GHOSTS_PER_ITEM);
        Ok(Self {
            capacity_bytes: pool_bytes,
            grants_max: most_grants(workload, capacity_bytes, with_jobs, later_ns),
            waiters_max: args.wait.map(|_| workload.requests_len().min(WAITERS_MAX) as u32),
            ghost_keys_max: ghost_keys.min(workload.items.len() as u64) as u32,
            headroom_bytes,
            groups,
            tenants,
            with_jobs,
            balance_every_ns: None,
            setup: None,
            places: Vec::new(),
            base: None,
        })
    }

    /// The plan of a run whose tenants a configuration names, or has defaults for.
    pub fn of_setup(
        args: &ReplayArgs,
        setup: &Setup,
        workload: &Workload,
        size: Size,
        policy: Option<PolicyName>,
    ) -> Result<Self, CliError> {
        let mut setup = setup.clone();
        let later_ns = args.wait.map_or(0, |wait_max| later_ns(workload, wait_max));
        match size {
            Size::Configured => {}
            Size::Slots(_) => {
                let (_, jobs_bytes) = workload.peak_jobs(later_ns);
                let models_bytes = capacity(workload, size)?;
                setup.capacity_bytes =
                    models_bytes.checked_add(jobs_bytes).ok_or_else(too_large)?;
            }
            _ => setup.capacity_bytes = capacity(workload, size)?,
        }
        let places = places(&mut setup, workload)?;
        if let Some(policy) = policy {
            setup.tenants.iter_mut().for_each(|tenant| tenant.policy = policy.policy());
        }
        let with_jobs = !matches!(size, Size::Blocks(_));
        let grants_max = most_grants(workload, setup.capacity_bytes, with_jobs, later_ns);
        let grants_max = *setup.grants_max.get_or_insert(grants_max);
        Ok(Self {
            capacity_bytes: setup.capacity_bytes,
            grants_max,
            waiters_max: None,
            ghost_keys_max: 0,
            headroom_bytes: 0,
            groups: setup.groups.clone(),
            tenants: places.iter().map(|place| TenantPlan::of(&setup.tenants[*place])).collect(),
            with_jobs,
            balance_every_ns: setup.pressure.pool.then_some(BALANCE_EVERY_NS),
            setup: Some(setup),
            places,
            base: None,
        })
    }

    /// A governor as the configuration says, and otherwise as on the recorded day.
    pub fn based(&self, config: GovernorConfig) -> GovernorConfig {
        let Some(base) = &self.base else { return config };
        GovernorConfig {
            capacity_bytes: config.capacity_bytes,
            tenants_max: base.tenants_max.max(config.tenants_max),
            groups_max: base.groups_max.max(config.groups_max),
            grants_max: base.grants_max.max(config.grants_max),
            pool_pressure: config.pool_pressure,
            warning_percent: config.warning_percent,
            high_percent: config.high_percent,
            critical_percent: config.critical_percent,
            hysteresis_percent: config.hysteresis_percent,
            events_max: 0,
            audit: AuditMode::Off,
            clock: config.clock,
            ..base.clone()
        }
    }

    /// What the ledger holds the governor to.
    pub fn bounds(&self) -> Bounds {
        let tenant = |plan: &TenantPlan| TenantBounds {
            guarantee_bytes: plan.guarantee_bytes,
            limit_bytes: plan.limit_bytes.filter(|_| plan.isolation == Isolation::Hard),
            group: plan.group,
        };
        let group =
            |plan: &Group| GroupBounds { limit_bytes: plan.limit_bytes, parent: plan.parent };
        Bounds {
            capacity_bytes: self.capacity_bytes,
            tenants: self.tenants.iter().map(tenant).collect(),
            groups: self.groups.iter().map(group).collect(),
        }
    }
}

/// The group that owns what all tenants use.
fn shared_models() -> Group {
    let name = "shared".to_string();
    Group { name, parent: None, guarantee_bytes: 0, limit_bytes: None }
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

/// Grants that can live at one time, with some to spare.
fn most_grants(workload: &Workload, capacity_bytes: u64, with_jobs: bool, later_ns: u64) -> u32 {
    let (jobs, _) = if with_jobs { workload.peak_jobs(later_ns) } else { (0, 0) };
    let items = most_items(workload, capacity_bytes);
    let spare = GRANTS_SPARE + workload.tenants.len() as u64 * GRANTS_SPARE_PER_TENANT;
    let grants = items.saturating_add(jobs).saturating_add(spare);
    grants.min(GRANTS_MAX) as u32
}

/// How much later than in the trace a job may end where requests wait and load what they need.
fn later_ns(workload: &Workload, wait_max: Duration) -> u64 {
    let wait_ns = u64::try_from(wait_max.as_nanos()).unwrap_or(u64::MAX);
    let Requests::Listed(requests) = &workload.requests else { return wait_ns };
    let loading = requests.iter().map(|request| patient::loading_ns(workload, request));
    wait_ns.saturating_add(loading.max().unwrap_or(0))
}

/// Where each tenant of the trace stands in the configuration. The tenant of a trace that knows
/// only one is the only one of the configuration, whatever its name. One that is not there comes
/// to its end, as its defaults say.
fn places(setup: &mut Setup, workload: &Workload) -> Result<Vec<usize>, CliError> {
    let is_single = workload.tenants.len() == 1 && workload.tenants[0] == SINGLE_TENANT;
    if is_single && setup.tenants.len() == 1 {
        return Ok(vec![0]);
    }
    let named = setup.tenants.iter().enumerate().map(|(at, tenant)| (tenant.name.clone(), at));
    let named: HashMap<String, usize> = named.collect();
    let mut place = |name: &String| {
        if let Some(at) = named.get(name) {
            return Ok(*at);
        }
        let Some(defaults) = &setup.defaults else {
            return Err(CliError::new(format!(
                "{}: the trace has the unknown tenant '{name}'; add it to the file of --config, \
                 or say under [defaults] what tenants have that it does not name",
                workload.name
            )));
        };
        setup.tenants.push(defaults.tenant(name));
        Ok(setup.tenants.len() - 1)
    };
    workload.tenants.iter().map(&mut place).collect()
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
