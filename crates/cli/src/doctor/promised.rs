//! What a configuration promises, added up: of each account that stands below the whole, so that a
//! group counts once and not again with its members.

use allotment_config::Setup;

/// Sums over the tenants and groups that stand in no group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promised {
    /// What is shared.
    pub capacity_bytes: u64,
    /// What can always be had.
    pub guarantees_bytes: u128,
    /// What can be had at most; one without a limit can have the whole.
    pub limits_bytes: u128,
    /// Tenants with a limit above the capacity, which they never reach.
    pub limits_beyond: usize,
}

impl Promised {
    /// What this configuration promises.
    pub fn of(setup: &Setup) -> Self {
        let groups = setup.groups.iter().filter(|group| group.parent.is_none());
        let tenants = setup.tenants.iter().filter(|tenant| tenant.group.is_none());
        let groups = groups.map(|group| (group.guarantee_bytes, group.limit_bytes));
        let tenants = tenants.map(|tenant| (tenant.guarantee_bytes, tenant.limit_bytes));
        let capacity_bytes = setup.capacity_bytes;
        let mut promised =
            Self { capacity_bytes, guarantees_bytes: 0, limits_bytes: 0, limits_beyond: 0 };
        for (guarantee_bytes, limit_bytes) in groups.chain(tenants) {
            promised.guarantees_bytes += u128::from(guarantee_bytes);
            promised.limits_bytes += u128::from(limit_bytes.unwrap_or(capacity_bytes));
        }
        let beyond = |limit_bytes: &Option<u64>| limit_bytes.is_some_and(|b| b > capacity_bytes);
        let limits = setup.tenants.iter().map(|tenant| tenant.limit_bytes);
        promised.limits_beyond = limits.filter(beyond).count();
        promised
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn a_group_counts_once_and_nobody_has_more_than_the_whole() {
        let text = "capacity = 100\n[[groups]]\nname = \"g\"\nguarantee = 40\nlimit = 50\n\
            [[tenants]]\nname = \"a\"\ngroup = \"g\"\nguarantee = 30\nlimit = 50\n\
            [[tenants]]\nname = \"b\"\nguarantee = 20\nlimit = 300\n[[tenants]]\nname = \"c\"\n";
        let setup = allotment_config::parse(text, Path::new("a.toml")).unwrap();
        let promised = Promised::of(&setup);
        assert_eq!((promised.guarantees_bytes, promised.limits_bytes), (60, 50 + 300 + 100));
        assert_eq!((promised.capacity_bytes, promised.limits_beyond), (100, 1));
    }
}
