//! What a tenant and a grant cost in memory: growth of what is resident, and what the governor
//! says itself. Measured first of all, while nothing was freed that could be used again.

use crate::bare::BYTES;
use crate::ours::{cached, governor, tenant};
use allotment::{Governor, GovernorConfig, TenantConfig};
use std::fs;

const TENANTS: u32 = 50_000;
const GRANTS: u32 = 1_000_000;

/// Bytes of one of many.
#[derive(Clone, Copy)]
pub struct Each {
    /// By growth of the resident set; none where the system does not tell.
    pub resident_bytes: Option<f64>,
    /// By [`Governor::tracking_bytes`].
    pub tracked_bytes: f64,
}

/// An idle tenant, and a grant.
pub struct Memory {
    /// A tenant that is registered and holds nothing.
    pub tenant: Each,
    /// A grant that is held.
    pub grant: Each,
}

/// Registers many tenants, and takes many grants.
pub fn measure() -> Memory {
    Memory { tenant: of_tenant(), grant: of_grant() }
}

fn of_tenant() -> Each {
    let config = GovernorConfig { tenants_max: TENANTS, ..GovernorConfig::new(1 << 40) };
    let governor = governor(config);
    grown(&governor, TENANTS, |n| {
        let config = TenantConfig { name: format!("tenant-{n}"), ..tenant(u128::from(n)) };
        governor.register_tenant(config).expect("room for a tenant");
    })
}

fn of_grant() -> Each {
    let config = GovernorConfig { grants_max: 2 * GRANTS, ..GovernorConfig::new(1 << 40) };
    let governor = governor(config);
    let holder = governor.register_tenant(tenant(1)).expect("room for a tenant");
    grown(&governor, GRANTS, |_| {
        let grant = governor.try_request(&cached(holder, BYTES)).expect("room for a page");
        grant.into_id();
    })
}

/// What each of `count` things has added.
fn grown(governor: &Governor, count: u32, add: impl FnMut(u32)) -> Each {
    let (resident, tracked) = (resident_bytes(), governor.tracking_bytes());
    (0..count).for_each(add);
    let each = |before: u64, after: u64| after.saturating_sub(before) as f64 / f64::from(count);
    Each {
        resident_bytes: resident.zip(resident_bytes()).map(|(before, after)| each(before, after)),
        tracked_bytes: each(tracked, governor.tracking_bytes()),
    }
}

/// Bytes of the process that are in memory.
fn resident_bytes() -> Option<u64> {
    Some(resident_pages(&fs::read_to_string("/proc/self/statm").ok()?)? * page_bytes()?)
}

/// The second field of `statm`.
fn resident_pages(statm: &str) -> Option<u64> {
    statm.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// The size that `smaps` names; `statm` counts in such pages.
fn page_bytes() -> Option<u64> {
    let smaps = fs::read_to_string("/proc/self/smaps").ok()?;
    let line = smaps.lines().find_map(|line| line.strip_prefix("KernelPageSize:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_field_is_what_is_resident() {
        assert_eq!(resident_pages("1000 250 30 1 0 200 0\n"), Some(250));
        assert_eq!(resident_pages(""), None);
    }
}
