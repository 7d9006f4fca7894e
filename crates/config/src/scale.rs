//! The same configuration for a smaller or a larger memory.
//!
//! ```text
//! size' = size x capacity' / capacity, rounded down, limits 1 at least
//! ```
//!
//! What held between sizes holds between them then: floors of parts add up to no more than the
//! floor of the whole, and no size comes to stand above one that was above it.

use super::keys::BYTES_MAX;
use super::{Defaults, Setup, Tenant};

impl Setup {
    /// The same with this capacity (1 byte to 256 TiB less one), and all sizes in proportion.
    ///
    /// ```
    /// # use std::path::Path;
    /// let text = "capacity = \"24GiB\"\n[[tenants]]\nname = \"chat\"\nguarantee = \"6GiB\"";
    /// let setup = allotment_config::parse(text, Path::new("allot.toml"))?;
    /// assert_eq!(setup.scaled(12 << 30).tenants[0].guarantee_bytes, 3 << 30);
    /// # Ok::<(), allotment_config::ConfigError>(())
    /// ```
    #[must_use]
    pub fn scaled(&self, capacity_bytes: u64) -> Setup {
        let whole = u128::from(self.capacity_bytes.max(1));
        let most = |bytes: u128| u64::try_from(bytes).unwrap_or(u64::MAX).min(BYTES_MAX);
        let size = |bytes: u64| most(u128::from(bytes) * u128::from(capacity_bytes) / whole);
        let limit = |bytes: Option<u64>| bytes.map(|bytes| size(bytes).max(1));
        let tenant = |tenant: &Tenant| Tenant {
            guarantee_bytes: size(tenant.guarantee_bytes),
            limit_bytes: limit(tenant.limit_bytes),
            burst_bytes: limit(tenant.burst_bytes),
            ..tenant.clone()
        };
        let mut scaled = Setup { capacity_bytes, ..self.clone() };
        for group in &mut scaled.groups {
            group.guarantee_bytes = size(group.guarantee_bytes);
            group.limit_bytes = limit(group.limit_bytes);
        }
        scaled.tenants = self.tenants.iter().map(tenant).collect();
        scaled.defaults = self.defaults.as_ref().map(|Defaults(all)| Defaults(tenant(all)));
        scaled
    }
}

#[cfg(test)]
mod tests {
    use super::super::{parse, write};
    use std::path::Path;

    const ODD: &str = r#"
        capacity = 1000003
        [[groups]]
        name = "g"
        guarantee = 333337
        limit = 333338
        [defaults]
        limit = 7
        burst = 11
        [[tenants]]
        name = "a"
        group = "g"
        guarantee = 166668
        limit = 166669
        [[tenants]]
        name = "b"
        group = "g"
        guarantee = 166669
        [[tenants]]
        name = "c"
        guarantee = 666666
        limit = 666667
        burst = 999999
    "#;

    #[test]
    fn whatever_was_sound_is_sound_in_any_size() {
        let setup = parse(ODD, Path::new("odd.toml")).unwrap();
        assert_eq!(setup.scaled(setup.capacity_bytes), setup);
        for capacity_bytes in (1..2_000).chain([999_983, 1_000_004, 1 << 40, super::BYTES_MAX]) {
            let scaled = setup.scaled(capacity_bytes);
            let read = parse(&write(&scaled), Path::new("scaled.toml"));
            assert_eq!(read.unwrap_or_else(|why| panic!("{capacity_bytes}: {why}")), scaled);
        }
        let half = setup.scaled(500_001);
        assert_eq!(half.tenants[2].guarantee_bytes, 666_666 * 500_001 / 1_000_003);
    }
}
