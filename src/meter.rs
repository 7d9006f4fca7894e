//! What a monitor reads of a tenant and of the pool, again and again: plain loads, without the
//! administrative mutex, without names, without allocation.

use crate::core::account::ROOT;
use crate::core::handle::TenantHandle;
use crate::core::sync::Ordering;
use crate::core::word::BYTES_MAX;
use crate::governor::Governor;

/// One tenant's figures, read one after the other while others go on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meter {
    pub used_bytes: u64,
    pub peak_bytes: u64,
    pub claimed_bytes: u64,
    pub guarantee_bytes: u64,
    /// The ceiling in force; the pool's, if the tenant has none.
    pub limit_bytes: u64,
    pub evicted_bytes: u64,
}

/// The pool's figures.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PoolMeter {
    pub capacity_bytes: u64,
    /// Bytes in live grants.
    pub live_bytes: u64,
    /// Bytes in use, guaranteed or idle.
    pub claimed_bytes: u64,
    /// Times at which the pressure went to a higher level.
    pub pressure_rises: u64,
}

impl Governor {
    /// A tenant's figures; none if it is gone. Wait-free.
    pub(crate) fn meter(&self, tenant: TenantHandle) -> Option<Meter> {
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
            used_bytes: accounts.used(index),
            peak_bytes: beside.peak(),
            claimed_bytes: accounts.claim(index),
            guarantee_bytes: accounts.guarantee(index),
            limit_bytes: if limit < BYTES_MAX { limit } else { accounts.limit(ROOT) },
            evicted_bytes,
        })
    }

    /// The pool's figures. Wait-free; steps grow with the number of tenants.
    pub(crate) fn pool_meter(&self) -> PoolMeter {
        PoolMeter {
            capacity_bytes: self.core.accounts.limit(ROOT),
            live_bytes: self.live_bytes(),
            claimed_bytes: self.core.accounts.used(ROOT),
            // Relaxed: a statistic.
            pressure_rises: self.pressure_rises.load(Ordering::Relaxed),
        }
    }

    /// Bytes of the pool that nobody has claimed. Wait-free.
    pub(crate) fn unclaimed_bytes(&self) -> u64 {
        self.core.accounts.room(ROOT)
    }

    /// When the machine's pressure was last reported, in ns of the governor's clock; none: never.
    pub(crate) fn reported_ns(&self) -> Option<u64> {
        // Relaxed: a time that publishes nothing.
        self.reported_ns.load(Ordering::Relaxed).checked_sub(1)
    }
}
