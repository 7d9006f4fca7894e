//! What a monitor reads of a tenant and of the pool, again and again: plain loads, without the
//! administrative mutex, without names, without allocation. For people: `snapshot.rs`.

use crate::core::account::ROOT;
use crate::core::handle::TenantHandle;
use crate::core::sync::Ordering;
use crate::core::word::BYTES_MAX;
use crate::governor::Governor;

/// One tenant's figures, read one after the other while others go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Meter {
    /// Bytes in live grants.
    pub used_bytes: u64,
    /// The most bytes in use at once.
    pub peak_bytes: u64,
    /// Bytes paid for: in use, guaranteed, or idle.
    pub claimed_bytes: u64,
    /// Floor.
    pub guarantee_bytes: u64,
    /// The ceiling in force; the pool's, if the tenant has none.
    pub limit_bytes: u64,
    /// Bytes evicted so far.
    pub evicted_bytes: u64,
}

/// The pool's figures, read one after the other while others go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolMeter {
    /// Bytes to share.
    pub capacity_bytes: u64,
    /// Bytes in live grants.
    pub live_bytes: u64,
    /// Bytes claimed by tenants and groups: in use, guaranteed, or idle.
    pub claimed_bytes: u64,
    /// Times at which the pressure went to a higher level.
    pub pressure_rises: u64,
}

impl Governor {
    /// A tenant's figures; none if it is gone. A dozen loads: wait-free, allocates nothing.
    ///
    /// ```
    /// use allotment::*;
    ///
    /// let governor = Governor::new(GovernorConfig::new(8 << 20))?;
    /// let chat = governor.register_tenant(TenantConfig::new(TenantId::from_u128(1), "chat"))?;
    /// let grant = governor.request(&Request::new(chat, AllocationType::Cache, 1 << 20))?;
    /// assert_eq!(governor.meter(chat).map(|meter| meter.used_bytes), Some(1 << 20));
    /// drop(grant);
    /// governor.unregister_tenant(chat, Unregister::IfIdle)?;
    /// assert_eq!(governor.meter(chat), None);
    /// # Ok::<(), Refusal>(())
    /// ```
    pub fn meter(&self, tenant: TenantHandle) -> Option<Meter> {
        let (index, generation) = self.resolve(tenant).ok()?;
        let accounts = &self.core.accounts;
        let head = accounts.head(index);
        if head.generation() != generation || head.closed() {
            return None;
        }
        let beside = self.core.tenant(index);
        let [_, _, evicted_bytes, _] = beside.tally.read();
        let limit = accounts.limit(index);
        Some(Meter {
            used_bytes: accounts.used(index).saturating_sub(self.core.aside_of(index)),
            peak_bytes: accounts.get(index).peak(),
            claimed_bytes: accounts.claim(index),
            guarantee_bytes: accounts.guarantee(index),
            limit_bytes: if limit < BYTES_MAX { limit } else { accounts.limit(ROOT) },
            evicted_bytes,
        })
    }

    /// The pool's figures. Wait-free, allocates nothing; a load for each tenant there ever was at
    /// once, for the sum of what is live.
    pub fn pool_meter(&self) -> PoolMeter {
        PoolMeter {
            capacity_bytes: self.core.accounts.limit(ROOT),
            live_bytes: self.live_bytes(),
            claimed_bytes: self.core.accounts.used(ROOT),
            // Relaxed: a statistic.
            pressure_rises: self.pressure_rises.load(Ordering::Relaxed),
        }
    }

    /// Bytes of the pool that nobody has claimed. A few loads.
    pub fn unclaimed_bytes(&self) -> u64 {
        self.core.accounts.room(ROOT)
    }
}
