//! How a recorded governor was set up, as a file would have it.

use std::collections::{HashMap, HashSet};

use allotment::{GovernorConfig, GroupConfig, GroupHandle, TenantConfig};
use allotment_config::{CacheSettings, Group, Pressure, Setup, Tenant};

use super::untagged;

/// The configuration that stood, as a file would have it. A name that two tenants have is told
/// apart by their ids, and who has none is called by it. Those who are gone have no guarantee where
/// theirs was given to others since.
pub fn of(
    governor: &GovernorConfig,
    groups: &[(GroupHandle, GroupConfig)],
    tenants: &[TenantConfig],
    gone: &HashSet<u32>,
) -> Setup {
    let place = |handle: GroupHandle| {
        groups.iter().position(|(known, _)| untagged(known.as_u64()) == untagged(handle.as_u64()))
    };
    let group = |(_, config): &(GroupHandle, GroupConfig)| Group {
        name: config.name.clone(),
        parent: config.parent.and_then(place),
        guarantee_bytes: config.guarantee_bytes,
        limit_bytes: config.limit_bytes,
    };
    let mut names: HashMap<&str, u32> = HashMap::new();
    tenants.iter().for_each(|tenant| *names.entry(&tenant.name).or_default() += 1);
    let tenant = |config: &TenantConfig| Tenant {
        name: match names[config.name.as_str()] {
            _ if config.name.is_empty() => config.id.to_string(),
            1 => config.name.clone(),
            _ => format!("{} {}", config.name, config.id),
        },
        id: config.id,
        group: config.parent.and_then(place),
        guarantee_bytes: config.guarantee_bytes,
        limit_bytes: config.limit_bytes,
        burst_bytes: config.burst_bytes,
        priority: config.priority,
        isolation: config.isolation,
        policy: config.policy,
        grants_max: config.grants_max,
        rate: config.rate,
    };
    let mut setup = Setup {
        capacity_bytes: governor.capacity_bytes,
        grants_max: Some(governor.grants_max),
        pressure: Pressure {
            warning_percent: governor.warning_percent,
            high_percent: governor.high_percent,
            critical_percent: governor.critical_percent,
            hysteresis_percent: governor.hysteresis_percent,
            pool: governor.pool_pressure,
        },
        cache: CacheSettings::default(),
        groups: groups.iter().map(group).collect(),
        tenants: tenants.iter().map(tenant).collect(),
        defaults: None,
    };
    if !promises_fit(&setup) {
        for tenant in gone {
            setup.tenants[*tenant as usize].guarantee_bytes = 0;
        }
    }
    setup
}

/// Whether no guarantees add up to more than what stands above them.
fn promises_fit(setup: &Setup) -> bool {
    let promised = |above: Option<usize>| {
        let tenants = setup.tenants.iter().filter(|tenant| tenant.group == above);
        let groups = setup.groups.iter().filter(|group| group.parent == above);
        let tenants = tenants.map(|tenant| u128::from(tenant.guarantee_bytes));
        tenants.chain(groups.map(|group| u128::from(group.guarantee_bytes))).sum::<u128>()
    };
    let mut groups = setup.groups.iter().enumerate();
    promised(None) <= u128::from(setup.capacity_bytes)
        && groups.all(|(at, group)| promised(Some(at)) <= u128::from(group.guarantee_bytes))
}
