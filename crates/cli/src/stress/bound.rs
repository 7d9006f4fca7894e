//! What the pool may have claimed at most, looked at all the time.
//!
//! ```text
//! claimed(pool) <= ceiling                      at every instant
//! ceiling = max(capacity now, what was claimed when it was lowered), from above
//! ```
//!
//! The ceiling goes up before the capacity does. It comes down once a look, made after the capacity
//! was lowered, finds no more claimed than that: from then on nothing above it may be charged.

use std::sync::Mutex;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};

use allotment::{Error, Governor};

use super::count::{Word, lock};
use super::fault::Fault;

/// The ceiling, and the capacity as it was last set.
pub(super) struct Bound {
    capacity_bytes: Mutex<u64>,
    ceiling_bytes: Word,
    changes: Word,
}

impl Bound {
    pub fn new(capacity_bytes: u64) -> Self {
        Self {
            capacity_bytes: Mutex::new(capacity_bytes),
            ceiling_bytes: capacity_bytes.into(),
            changes: 0.into(),
        }
    }

    /// Changes the capacity, one thread at a time.
    ///
    /// # Errors
    ///
    /// As [`Governor::set_capacity`].
    pub fn set_capacity(&self, governor: &Governor, to_bytes: u64) -> Result<(), Error> {
        let mut now = lock(&self.capacity_bytes);
        self.settle(governor, *now);
        // Acquire: pairs with the Release in `set_ceiling`.
        let ceiling = self.ceiling_bytes.load(Acquire);
        self.set_ceiling(ceiling.max(to_bytes));
        governor.set_capacity(to_bytes)?;
        *now = to_bytes;
        self.settle(governor, to_bytes);
        Ok(())
    }

    fn settle(&self, governor: &Governor, capacity_bytes: u64) {
        if governor.pool_meter().claimed_bytes <= capacity_bytes {
            self.set_ceiling(capacity_bytes);
        }
    }

    fn set_ceiling(&self, bytes: u64) {
        // Release, AcqRel: pair with the Acquire in `look`, which sees that something changed.
        self.changes.fetch_add(1, AcqRel);
        self.ceiling_bytes.store(bytes, Release);
        self.changes.fetch_add(1, AcqRel);
    }

    /// Holds what is claimed now against the ceiling, unless that changes meanwhile.
    ///
    /// # Errors
    ///
    /// If it is more.
    pub fn look(&self, claimed_bytes: impl FnOnce() -> u64) -> Result<(), Fault> {
        // Acquire: pairs with the Release and AcqRel in `set_ceiling`.
        let before = self.changes.load(Acquire);
        let ceiling = self.ceiling_bytes.load(Acquire);
        let claimed = claimed_bytes();
        // AcqRel: a read that cannot move before those of the governor's words.
        let same = before.is_multiple_of(2) && self.changes.fetch_add(0, AcqRel) == before;
        match same && claimed > ceiling {
            true => Err(Fault::over("bytes claimed of the pool, at most", ceiling, claimed)),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use allotment::{AllocationType, GovernorConfig, Request, TenantConfig, TenantId};

    use super::*;

    #[test]
    fn the_ceiling_follows_the_capacity_and_comes_down_once_use_has() {
        let config = GovernorConfig { quantum_bytes: 0, ..GovernorConfig::new(100) };
        let governor = Governor::new(config).unwrap();
        let id = TenantId::from_u128(1);
        let tenant = governor.register_tenant(TenantConfig::new(id, "one")).unwrap();
        let bound = Bound::new(100);
        let held = governor.request(&Request::new(tenant, AllocationType::Cache, 90)).unwrap();
        bound.set_capacity(&governor, 50).unwrap();
        let claimed = || governor.pool_meter().claimed_bytes;
        assert!(bound.look(claimed).is_ok(), "it was claimed before");
        assert!(bound.look(|| 101).is_err());
        drop(held);
        governor.balance();
        bound.set_capacity(&governor, 50).unwrap();
        assert!(bound.look(claimed).is_ok() && bound.look(|| 51).is_err());
        bound.set_capacity(&governor, 70).unwrap();
        assert!(bound.look(|| 70).is_ok() && bound.look(|| 71).is_err());
    }
}
