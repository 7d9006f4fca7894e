//! `[cache]`: how large caches may become, and when and in which order they shrink.

use allotment::Policy;

use super::POLICIES;
use super::reader::{Reader, Whole};

/// Least bytes of the limit that is worked out: 100 MiB.
const LIMIT_BYTES_MIN: u64 = 100 << 20;
/// Most bytes of the limit that is worked out: 2 GiB.
const LIMIT_BYTES_MAX: u64 = 2 << 30;

/// How large caches may become, and when and in which order they shrink.
#[derive(Clone, Debug, PartialEq)]
pub struct CacheSettings {
    /// Share of the machine's memory for caches, in percent, 1 to 100. 25 unless set. See
    /// [`CacheSettings::limit_bytes`].
    pub memory_percent: u8,
    /// Most bytes that all caches may have together, above which nothing more is granted to them.
    /// None: nothing is refused because of it.
    pub bytes_max: Option<u64>,
    /// Most items of all caches together, 1 to 8388608. 1000 unless set.
    pub max_items: u32,
    /// Most items of the caches of tenants, 1 to 8388608. 500 unless set.
    pub tenant_max_items: u32,
    /// Most items of the cache of Mimir's components, 1 to 8388608. 500 unless set.
    pub mimir_max_items: u32,
    /// Share of the limit from which on there are warnings, 0.01 to 1. 0.8 unless set.
    pub memory_threshold: f64,
    /// Share of the limit from which on items go, 0.01 to 1 and at least `memory_threshold`. 0.9
    /// unless set.
    pub eviction_threshold: f64,
    /// Which items go first. `Hybrid` unless set.
    pub eviction_policy: Policy,
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self {
            memory_percent: 25,
            bytes_max: None,
            max_items: 1_000,
            tenant_max_items: 500,
            mimir_max_items: 500,
            memory_threshold: 0.8,
            eviction_threshold: 0.9,
            eviction_policy: Policy::Hybrid,
        }
    }
}

impl CacheSettings {
    /// Most bytes of caches on a machine of so much memory: its share of `memory_percent`, at
    /// least 100 MiB and at most 2 GiB.
    pub fn limit_bytes(&self, machine_bytes: u64) -> u64 {
        let share = u128::from(machine_bytes) * u128::from(self.memory_percent) / 100;
        (share as u64).clamp(LIMIT_BYTES_MIN, LIMIT_BYTES_MAX)
    }
}

/// The section, or what is so without one, where so many bytes are shared.
pub fn read(top: &Reader<'_>, capacity_bytes: u64) -> CacheSettings {
    let usual = CacheSettings::default();
    let Some(reader) = top.table("cache") else { return usual };
    let items = |key, usual| reader.number(key).map_or(usual, |items| items as u32);
    let percent = reader.number("memory_percent");
    let mut cache = CacheSettings {
        bytes_max: None,
        memory_percent: percent.map_or(usual.memory_percent, |percent| percent as u8),
        max_items: items("max_items", usual.max_items),
        tenant_max_items: items("tenant_max_items", usual.tenant_max_items),
        mimir_max_items: items("mimir_max_items", usual.mimir_max_items),
        memory_threshold: reader.real("memory_threshold").unwrap_or(usual.memory_threshold),
        eviction_threshold: reader.real("eviction_threshold").unwrap_or(usual.eviction_threshold),
        eviction_policy: reader.choice("eviction_policy", &POLICIES).unwrap_or_default(),
    };
    let auto = Some(cache.limit_bytes(capacity_bytes).min(capacity_bytes));
    cache.bytes_max = reader.size("limit", Whole { share_of: Some(capacity_bytes), auto });
    if cache.memory_threshold > cache.eviction_threshold {
        let message = format!(
            "`memory_threshold` is {}, above the `eviction_threshold` of {}; warnings come first",
            cache.memory_threshold, cache.eviction_threshold
        );
        reader.complain("memory_threshold", message);
    }
    cache
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_the_machine_within_bounds() {
        let cache = CacheSettings::default();
        assert_eq!(cache.limit_bytes(4 << 30), 1 << 30);
        assert_eq!(cache.limit_bytes(100 << 20), 100 << 20, "no less");
        assert_eq!(cache.limit_bytes(u64::MAX), 2 << 30, "no more");
        let half = CacheSettings { memory_percent: 50, ..cache };
        assert_eq!(half.limit_bytes((1 << 30) + 1), 1 << 29);
    }
}
