//! A cache of keys as one would write it with each library: the same keys, values of the same
//! size, room for the same number of entries, each library as it comes.

use crate::ours::governor;
use allotment::{
    AllocationType, Governor, GovernorConfig, GrantId, Policy, ReclaimAnswer, Request,
    TenantConfig, TenantHandle, TenantId,
};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A cache that is asked for one key after the other.
pub trait Cache {
    /// The value of `key`, or none; one that is not there is put in.
    fn use_key(&mut self, key: u64) -> Option<u64>;

    /// Entries it holds.
    fn entries(&mut self) -> u64;
}

/// How a cache is made, for so many entries.
pub type Make = fn(usize) -> Box<dyn Playing>;

/// Plays keys through a cache without a call through a table for each of them.
pub trait Playing {
    /// Uses all keys; how many were found.
    fn play(&mut self, keys: &[u64]) -> u64;

    /// Entries it holds.
    fn held(&mut self) -> u64;
}

impl<C: Cache> Playing for C {
    fn play(&mut self, keys: &[u64]) -> u64 {
        let found = |key: &&u64| std::hint::black_box(self.use_key(**key)).is_some();
        keys.iter().filter(found).count() as u64
    }

    fn held(&mut self) -> u64 {
        self.entries()
    }
}

/// Our own side that the bar is about.
pub const OURS: &str = "Allotment, hybrid";
/// The peer that the bar is about.
pub const MOKA: &str = "moka";
/// The other one whose hit ratio counts.
pub const QUICK_CACHE: &str = "quick_cache";

/// Entries beyond its capacity that a cache may hold: one that divides it by shards rounds up.
pub const ROUNDED_UP: u64 = 32;

/// Every cache that is compared.
pub const CACHES: [(&str, Make); 9] = [
    (OURS, |n| Box::new(Governed::new(n, Policy::Hybrid))),
    ("Allotment, lru", |n| Box::new(Governed::new(n, Policy::Lru))),
    ("Allotment, hybrid, map behind a mutex", |n| Box::new(Shared::new(n))),
    (MOKA, |n| Box::new(Moka::new(n, moka::policy::EvictionPolicy::tiny_lfu(), false))),
    ("moka, maintained after each insert", |n| {
        Box::new(Moka::new(n, moka::policy::EvictionPolicy::tiny_lfu(), true))
    }),
    ("moka, lru", |n| Box::new(Moka::new(n, moka::policy::EvictionPolicy::lru(), false))),
    (QUICK_CACHE, |n| Box::new(quick_cache::sync::Cache::new(n))),
    ("foyer, lru", |n| Box::new(foyer_memory::Cache::builder(n).build())),
    ("foyer, lfu", |n| {
        let policy = foyer_memory::LfuConfig::default();
        Box::new(foyer_memory::Cache::builder(n).with_eviction_config(policy).build())
    }),
];

/// What is kept for a key: its value, and the grant that allows for it.
struct Entry {
    grant: GrantId,
    value: u64,
}

/// Grants beyond the capacity for which there is a slot: segments may be part empty.
const GRANTS_SPARE: usize = 8_192;
/// Evicted keys that are remembered, for each entry.
const GHOSTS: usize = 4;
/// The part of the capacity that is freed beyond the need, as a power of two.
const HEADROOM_BITS: u32 = 13;

/// A governor with one tenant that may hold `entries` bytes: each entry counts 1.
fn governed(entries: usize, policy: Policy) -> (Governor, TenantHandle) {
    let capacity_bytes = entries as u64;
    let config = GovernorConfig {
        tenants_max: 1,
        groups_max: 0,
        grants_max: (2 * entries + GRANTS_SPARE) as u32,
        ghost_keys_max: (GHOSTS * entries) as u32,
        headroom_bytes: capacity_bytes >> HEADROOM_BITS,
        pool_pressure: false,
        ..GovernorConfig::new(capacity_bytes)
    };
    let governor = governor(config);
    let config = TenantConfig { policy, ..TenantConfig::new(TenantId::from_u128(1), "keys") };
    let tenant = governor.register_tenant(config).expect("room for a tenant");
    (governor, tenant)
}

/// 0 would be no name.
fn request(tenant: TenantHandle, key: u64) -> Request {
    Request::new(tenant, AllocationType::Cache, 1).key(key.wrapping_add(1)).cookie(key)
}

thread_local! {
    /// Keys that went. The governor asks on the thread that requests, so one that has its cache to
    /// itself needs no lock for them.
    static GONE: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

/// A map of one thread, and a governor that says what goes.
struct Governed {
    entries: HashMap<u64, Entry>,
    governor: Governor,
    tenant: TenantHandle,
}

impl Governed {
    fn new(entries: usize, policy: Policy) -> Self {
        let (governor, tenant) = governed(entries, policy);
        GONE.with_borrow_mut(Vec::clear);
        governor.on_reclaim(|victim| {
            GONE.with_borrow_mut(|gone| gone.push(victim.cookie));
            ReclaimAnswer::Freed
        });
        Self { entries: HashMap::new(), governor, tenant }
    }
}

impl Cache for Governed {
    #[inline]
    fn use_key(&mut self, key: u64) -> Option<u64> {
        if let Some(entry) = self.entries.get(&key) {
            self.governor.touch(self.tenant, entry.grant).expect("what is evicted is taken out");
            return Some(entry.value);
        }
        let granted = self.governor.request(&request(self.tenant, key));
        GONE.with_borrow_mut(|gone| {
            for victim in gone.drain(..) {
                self.entries.remove(&victim);
            }
        });
        if let Ok(grant) = granted {
            self.entries.insert(key, Entry { grant: grant.into_id(), value: key });
        }
        None
    }

    fn entries(&mut self) -> u64 {
        self.entries.len() as u64
    }
}

/// The same with a map that threads could share, as they can the other libraries' caches.
struct Shared {
    entries: Arc<Mutex<HashMap<u64, Entry>>>,
    governor: Governor,
    tenant: TenantHandle,
}

impl Shared {
    fn new(entries: usize) -> Self {
        let (governor, tenant) = governed(entries, Policy::Hybrid);
        let entries: Arc<Mutex<HashMap<u64, Entry>>> = Arc::default();
        let map = Arc::clone(&entries);
        governor.on_reclaim(move |victim| {
            map.lock().unwrap_or_else(PoisonError::into_inner).remove(&victim.cookie);
            ReclaimAnswer::Freed
        });
        Self { entries, governor, tenant }
    }
}

impl Cache for Shared {
    #[inline]
    fn use_key(&mut self, key: u64) -> Option<u64> {
        if let Some(entry) = self.entries.lock().unwrap_or_else(PoisonError::into_inner).get(&key)
            && self.governor.touch(self.tenant, entry.grant).is_ok()
        {
            return Some(entry.value);
        }
        // With the map open: the governor asks for victims meanwhile.
        if let Ok(grant) = self.governor.request(&request(self.tenant, key)) {
            let entry = Entry { grant: grant.into_id(), value: key };
            self.entries.lock().unwrap_or_else(PoisonError::into_inner).insert(key, entry);
        }
        None
    }

    fn entries(&mut self) -> u64 {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).len() as u64
    }
}

/// moka, which works off what it has put aside on the threads that call it, now and then.
struct Moka {
    cache: moka::sync::Cache<u64, u64>,
    /// Whether that is done after each insert.
    is_maintained: bool,
}

impl Moka {
    fn new(entries: usize, policy: moka::policy::EvictionPolicy, is_maintained: bool) -> Self {
        let builder = moka::sync::Cache::builder().max_capacity(entries as u64);
        Self { cache: builder.eviction_policy(policy).build(), is_maintained }
    }
}

impl Cache for Moka {
    #[inline]
    fn use_key(&mut self, key: u64) -> Option<u64> {
        let found = self.cache.get(&key);
        if found.is_none() {
            self.cache.insert(key, key);
            if self.is_maintained {
                self.cache.run_pending_tasks();
            }
        }
        found
    }

    fn entries(&mut self) -> u64 {
        self.cache.run_pending_tasks();
        self.cache.entry_count()
    }
}

impl Cache for quick_cache::sync::Cache<u64, u64> {
    #[inline]
    fn use_key(&mut self, key: u64) -> Option<u64> {
        let found = self.get(&key);
        if found.is_none() {
            self.insert(key, key);
        }
        found
    }

    fn entries(&mut self) -> u64 {
        self.len() as u64
    }
}

impl Cache for foyer_memory::Cache<u64, u64> {
    #[inline]
    fn use_key(&mut self, key: u64) -> Option<u64> {
        let found = self.get(&key).map(|entry| *entry.value());
        if found.is_none() {
            self.insert(key, key);
        }
        found
    }

    fn entries(&mut self) -> u64 {
        foyer_memory::Cache::entries(self) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_goes() {
        let mut cache = Governed::new(2, Policy::Lru);
        // 1 and 2 are new, 1 is found, 3 takes the place of 2, 2 that of 1.
        assert_eq!(cache.play(&[1, 2, 1, 3, 2, 1]), 1);
        assert_eq!(cache.held(), 2);
    }

    #[test]
    fn no_cache_holds_more_than_it_may() {
        let keys: Vec<u64> = (0..20_000).map(|n| n * n % 3_001).collect();
        for (name, make) in CACHES {
            let mut cache = make(500);
            let found = cache.play(&keys);
            assert!(cache.held() <= 500 + ROUNDED_UP, "{name} holds {}", cache.held());
            assert!((100..keys.len() as u64).contains(&found), "{name} found {found}");
        }
    }

    #[test]
    fn a_key_of_any_value_has_a_name() {
        let mut cache = Governed::new(2, Policy::Hybrid);
        assert_eq!(cache.play(&[u64::MAX, 0, u64::MAX, 0]), 2);
    }
}
