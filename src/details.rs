//! Configurations that wait to be written down: an event is too small for one, so it carries a
//! number, and the configuration stands here under it until the audit log has taken it.
//!
//! ```text
//! D1  numbers are given in the order of the changes, under the administrative mutex
//! D2  kept <= capacity of the ring of events: older ones go first
//! ```
//!
//! While room is kept for records (fail closed) nothing goes before it was taken: every change has
//! a record that was not read yet. Where events may be lost, each detail says with which event its
//! own can begin, so that it is written down even if its event never is.

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

/// A configuration that waits.
struct Kept {
    number: u64,
    /// Events recorded before it: its own is none of them.
    before: u64,
    detail: Detail,
}

/// Numbers, and what stands under them.
pub(crate) struct Details {
    kept: Mutex<VecDeque<Kept>>,
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

    /// Keeps a configuration, `before` as many events as are recorded now, and answers its number;
    /// 0 if nobody wants it. The caller holds the administrative mutex.
    pub(crate) fn keep(&self, before: u64, detail: impl FnOnce() -> Detail) -> u64 {
        if self.kept_max == 0 {
            return 0;
        }
        // Relaxed: a number, given under the administrative mutex.
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let mut kept = lock(&self.kept);
        if kept.len() == self.kept_max {
            kept.pop_front();
        }
        kept.push_back(Kept { number, before, detail: detail() });
        number
    }

    /// Takes what stands under a number and before it, oldest first.
    pub(crate) fn take_up_to(&self, number: u64) -> Vec<(u64, Detail)> {
        self.take_while(|kept| kept.number <= number)
    }

    /// Takes what may belong to an event before the one with this number, oldest first.
    pub(crate) fn take_before(&self, event: u64) -> Vec<(u64, Detail)> {
        self.take_while(|kept| kept.before < event)
    }

    fn take_while(&self, is_taken: impl FnMut(&Kept) -> bool) -> Vec<(u64, Detail)> {
        let mut kept = lock(&self.kept);
        let taken = kept.partition_point(is_taken);
        kept.drain(..taken).map(|kept| (kept.number, kept.detail)).collect()
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
        let numbers = [1, 2, 3].map(|n| details.keep(10 * n as u64, || tenant(n)));
        assert_eq!(numbers, [1, 2, 3]);
        assert!(details.take_up_to(1).is_empty(), "it had to go");
        let numbers = |taken: Vec<(u64, Detail)>| -> Vec<u64> {
            taken.into_iter().map(|(number, _)| number).collect()
        };
        assert!(details.take_before(20).is_empty(), "event 20 is the first that it can be");
        assert_eq!(numbers(details.take_before(21)), [2]);
        assert_eq!(numbers(details.take_up_to(3)), [3]);
        let off = Details::new(&GovernorConfig::new(1));
        assert_eq!(off.keep(0, || tenant(1)), 0, "nobody wants it");
    }
}
