//! What one has without knowing anything, and so what every proposal is held against: memory that
//! is split evenly, and memory without limits.
//!
//! ```text
//! E1  even split: limit(t) = capacity / tenants, rounded down; no guarantees, bursts or groups
//! E2  no limits: none of these, and no isolation
//! E3  priority, policy, rate and counts are those of the configuration, where there is one
//! ```
//!
//! The split that is shown is hard: nobody takes from anybody. A search that begins with it begins
//! with the same limits and soft isolation, as a hard tenant's burst has no effect, and without
//! bursts memory that is idle stays so.

use allotment::Isolation;
use allotment_config::{Setup, Tenant, parse};

use crate::failure::CliError;

/// `setup` with its tenants, and no others, at even parts of the capacity.
pub fn even(setup: &Setup, tenants: Vec<Tenant>, isolation: Isolation) -> Result<Setup, CliError> {
    let limit_bytes = setup.capacity_bytes / tenants.len().max(1) as u64;
    if limit_bytes == 0 {
        return Err(CliError::new(format!(
            "a capacity of {} cannot be split among {} tenants; give at least 1 for each",
            setup.capacity_bytes,
            tenants.len()
        )));
    }
    let part = |tenant: Tenant| Tenant {
        group: None,
        guarantee_bytes: 0,
        limit_bytes: Some(limit_bytes),
        burst_bytes: None,
        isolation,
        ..tenant
    };
    let tenants = tenants.into_iter().map(part).collect();
    Ok(Setup { groups: Vec::new(), tenants, defaults: None, ..setup.clone() })
}

/// `setup` with its tenants, and no others, each of which may have everything.
pub fn open(setup: &Setup, tenants: Vec<Tenant>) -> Setup {
    let all = |tenant: Tenant| Tenant {
        group: None,
        guarantee_bytes: 0,
        limit_bytes: None,
        burst_bytes: None,
        isolation: Isolation::None,
        ..tenant
    };
    let tenants = tenants.into_iter().map(all).collect();
    Setup { groups: Vec::new(), tenants, defaults: None, ..setup.clone() }
}

/// The tenants of a trace as the configuration knows them.
pub fn tenants(setup: &Setup, names: &[String]) -> Vec<Tenant> {
    let known = |name: &String| {
        let named = setup.tenants.iter().find(|tenant| tenant.name == *name).cloned();
        named.or_else(|| Some(setup.defaults.as_ref()?.tenant(name)))
    };
    names.iter().map(|name| known(name).unwrap_or_else(|| Tenant::named(name))).collect()
}

/// A configuration that knows a capacity and nobody yet.
pub fn empty(capacity_bytes: u64) -> Result<Setup, CliError> {
    let text = format!("capacity = {capacity_bytes}\n");
    let empty = parse(&text, "--capacity".as_ref());
    empty.map_err(|error| CliError::new(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_the_same() {
        let names = ["a", "b", "c"].map(str::to_string);
        let setup = empty(1000).unwrap();
        let split = even(&setup, tenants(&setup, &names), Isolation::Hard).unwrap();
        assert_eq!(split.capacity_bytes, 1000);
        for (tenant, name) in split.tenants.iter().zip(names) {
            assert_eq!((&tenant.name, tenant.limit_bytes), (&name, Some(333)));
            assert_eq!((tenant.guarantee_bytes, tenant.isolation), (0, Isolation::Hard));
        }
        let few = empty(2).unwrap();
        let refused =
            even(&few, tenants(&few, &["a", "b", "c"].map(str::to_string)), Isolation::Hard);
        assert!(refused.unwrap_err().to_string().contains("2 cannot be split among 3"));
    }

    #[test]
    fn a_capacity_has_bounds() {
        assert!(empty(1 << 48).unwrap_err().to_string().starts_with("--capacity:1: "));
    }
}
