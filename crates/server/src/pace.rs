//! How often a tenant may call: so many times a second, with so many at once (GCRA, the leaky
//! bucket that remembers one time and no level).
//!
//! ```text
//! P1  due(t) <= now + burst * interval       of every tenant t that has been let through
//! P2  a tenant without an entry has not called for long enough to have its whole burst
//! ```

use allotment::TenantId;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Most tenants that are counted one by one; further ones share what those have who act for none.
const COUNTED_MAX: usize = 16_384;

/// How often a tenant may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Calls in a second, on average: 1 or more.
    pub calls_per_second: u32,
    /// Calls at once, after a while without any: 1 or more.
    pub burst: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self { calls_per_second: 5_000, burst: 10_000 }
    }
}

/// When the next call of each tenant would be due if it called at its pace.
pub struct Paces {
    interval_ns: u64,
    ahead_ns_max: u64,
    due_ns: Mutex<HashMap<Option<TenantId>, u64>>,
}

impl Paces {
    /// Nobody has called yet.
    pub fn new(pace: Pace) -> Self {
        let interval_ns = 1_000_000_000 / u64::from(pace.calls_per_second.max(1));
        let ahead_ns_max = interval_ns * u64::from(pace.burst.max(1) - 1);
        Self { interval_ns, ahead_ns_max, due_ns: Mutex::default() }
    }

    /// Counts a call at `now_ns`, of a tenant or of somebody who acts for none.
    ///
    /// # Errors
    ///
    /// After how long it may call again; this one does not count.
    pub fn count(&self, of: Option<TenantId>, now_ns: u64) -> Result<(), Duration> {
        let mut due_ns = self.due_ns.lock().unwrap_or_else(PoisonError::into_inner);
        let mut of = of;
        if due_ns.len() >= COUNTED_MAX && !due_ns.contains_key(&of) {
            due_ns.retain(|_, due_ns| *due_ns > now_ns);
            of = of.filter(|_| due_ns.len() < COUNTED_MAX);
        }
        let due = due_ns.entry(of).or_insert(now_ns);
        let ahead_ns = due.saturating_sub(now_ns);
        if ahead_ns > self.ahead_ns_max {
            return Err(Duration::from_nanos(ahead_ns - self.ahead_ns_max));
        }
        *due = (*due).max(now_ns).saturating_add(self.interval_ns);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn tenant(number: usize) -> Option<TenantId> {
        Some(TenantId::from_u128(number as u128))
    }

    #[test]
    fn so_many_at_once_and_then_at_a_pace() {
        let paces = Paces::new(Pace { calls_per_second: 100, burst: 3 });
        for _ in 0..3 {
            assert_eq!(paces.count(tenant(1), 0), Ok(()));
        }
        assert_eq!(paces.count(tenant(1), 0), Err(Duration::from_millis(10)));
        assert_eq!(paces.count(tenant(1), 4 * MS), Err(Duration::from_millis(6)));
        assert_eq!(paces.count(tenant(2), 0), Ok(()), "another one is not held up");
        assert_eq!(paces.count(None, 0), Ok(()));
        assert_eq!(paces.count(tenant(1), 10 * MS), Ok(()));
        assert!(paces.count(tenant(1), 10 * MS).is_err());
        for _ in 0..3 {
            assert_eq!(paces.count(tenant(1), 1_000 * MS), Ok(()), "never more than the burst");
        }
        assert!(paces.count(tenant(1), 1_000 * MS).is_err());
    }

    #[test]
    fn the_table_has_a_bound_and_forgets_only_the_rested() {
        let paces = Paces::new(Pace { calls_per_second: 1, burst: 1 });
        for number in 0..COUNTED_MAX + 2 {
            let known = number < COUNTED_MAX;
            let counted = paces.count(tenant(number), 0);
            assert_eq!(counted.is_ok(), known || number == COUNTED_MAX, "{number}");
        }
        let length = || paces.due_ns.lock().unwrap().len();
        assert!(length() <= COUNTED_MAX + 1);
        assert!(paces.count(tenant(0), 1).is_err(), "still remembered");
        assert_eq!(paces.count(tenant(COUNTED_MAX + 5), 2_000 * MS), Ok(()));
        assert_eq!(length(), 1);
    }
}
