//! Configurations that wait to be written down: an event is too small for one, so it carries a
//! number, and the configuration stands here under it until the audit log has taken it.
//!
//! ```text
//! D1  numbers are given in the order of the changes, under the administrative mutex
//! D2  kept <= capacity of the ring of events: older ones go first
//! ```
//!
//! While room is kept for records (fail closed) nothing goes before it was taken: every change has
//! a record that was not read yet.

use crate::config::{AuditMode, GovernorConfig, GroupConfig, TenantConfig};
use crate::core::handle::{GroupHandle, TenantHandle};
use crate::core::sync::{AtomicU64, Mutex, Ordering, lock};
use std::collections::VecDeque;

/// What a tenant or group is configured to.
#[derive(Clone, Debug)]
pub(crate) enum Detail {
    Tenant(TenantHandle, TenantConfig),
    Group(GroupHandle, GroupConfig),
    /// It was refused, and is not in force.
    Tried(Box<Detail>),
}

/// Numbers, and what stands under them.
pub(crate) struct Details {
    kept: Mutex<VecDeque<(u64, Detail)>>,
    kept_max: usize,
    /// The last number of a configuration; 0: none yet.
    last: AtomicU64,
    /// The last number of a request that stood in line.
    tickets: AtomicU64,
}

impl Details {
    pub(crate) fn new(config: &GovernorConfig) -> Self {
        let audited = config.audit != AuditMode::Off;
        Self {
            kept: Mutex::default(),
            kept_max: if audited { config.recorded().capacity as usize } else { 0 },
            last: AtomicU64::new(0),
            tickets: AtomicU64::new(0),
        }
    }

    /// Keeps a configuration and answers its number; 0 if nobody wants it. The caller holds the
    /// administrative mutex.
    pub(crate) fn keep(&self, detail: impl FnOnce() -> Detail) -> u64 {
        if self.kept_max == 0 {
            return 0;
        }
        // Relaxed: a number, given under the administrative mutex.
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let mut kept = lock(&self.kept);
        if kept.len() == self.kept_max {
            kept.pop_front();
        }
        kept.push_back((number, detail()));
        number
    }

    /// Takes what stands under a number and before it, oldest first.
    pub(crate) fn take_up_to(&self, number: u64) -> Vec<(u64, Detail)> {
        let mut kept = lock(&self.kept);
        let taken = kept.partition_point(|&(n, _)| n <= number);
        kept.drain(..taken).collect()
    }

    /// A number for a request that stands in line.
    pub(crate) fn next_ticket(&self) -> u64 {
        // Relaxed: only the number matters.
        self.tickets.fetch_add(1, Ordering::Relaxed) + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TenantId;

    #[test]
    fn the_oldest_goes_first_and_numbers_are_never_reused() {
        let audited = GovernorConfig { audit: AuditMode::DropAndCount, ..GovernorConfig::new(1) };
        let mut details = Details::new(&audited);
        details.kept_max = 2;
        let tenant = |n| {
            let config = TenantConfig::new(TenantId::from_u128(n), n.to_string());
            Detail::Tenant(TenantHandle::new(1, 1, 1), config)
        };
        let numbers = [1, 2, 3].map(|n| details.keep(|| tenant(n)));
        assert_eq!(numbers, [1, 2, 3]);
        assert!(details.take_up_to(1).is_empty(), "it had to go");
        let taken: Vec<u64> = details.take_up_to(3).into_iter().map(|(n, _)| n).collect();
        assert_eq!(taken, [2, 3]);
        assert_eq!(Details::new(&GovernorConfig::new(1)).keep(|| tenant(1)), 0, "nobody wants it");
    }
}
