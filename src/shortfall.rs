//! Whether memory that was said to be freed is seen to be: a pure account of what was measured.
//!
//! An owner that answers [`crate::ReclaimAnswer::Freed`] without freeing anything makes a governor
//! that is right on paper and a process that is killed. So the measurements that follow have to
//! show what it freed, within a time:
//!
//! ```text
//! base    = measured last + what was declared since then, before it was freed
//! target  = base - freed
//! seen    measured <= target + what was declared since it was freed, or measured <= declared
//! missing = what is measured above that, at most what was freed
//! ```
//!
//! What was never accounted for stays in base and target alike, and memory that was declared but
//! not yet used is no reason for an alarm: whoever stays within what is declared is believed.

use std::collections::VecDeque;

/// Frees that wait to be seen; further ones are seen together with the last.
const PENDING_MAX: usize = 64;

/// Memory that was said to be freed and is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    pub freed_bytes: u64,
    pub missing_bytes: u64,
}

/// Follows what is declared, freed and measured of one party.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// The last measurement, and what was declared then.
    last: Option<(u64, u64)>,
    /// Oldest first.
    pending: VecDeque<Free>,
}

/// Bytes that were freed.
#[derive(Debug)]
struct Free {
    bytes: u64,
    /// What is measured has to come down to this.
    target: u64,
    /// What was declared once they were freed.
    declared: u64,
    deadline_ns: u64,
}

impl Free {
    /// The most that may be measured while so much is declared.
    fn allowed(&self, declared: u64) -> u64 {
        let grown = declared.saturating_sub(self.declared);
        self.target.saturating_add(grown).max(declared)
    }
}

impl Watch {
    /// Bytes were said to be freed, which leaves `declared`; they have to be seen by `deadline_ns`.
    /// Before the first measurement there is nothing they could be held against.
    pub(crate) fn freed(&mut self, bytes: u64, declared: u64, deadline_ns: u64) {
        let latest = self.pending.back().map(|free| (free.target, free.declared));
        let Some((measured, declared_then)) = latest.or(self.last) else { return };
        let grown = declared.saturating_add(bytes).saturating_sub(declared_then);
        let target = measured.saturating_add(grown).saturating_sub(bytes);
        let mut free = Free { bytes, target, declared, deadline_ns };
        if self.pending.len() == PENDING_MAX
            && let Some(last) = self.pending.pop_back()
        {
            free.bytes = free.bytes.saturating_add(last.bytes);
        }
        self.pending.push_back(free);
    }

    /// So much is measured while so much is declared. Answers what was to be seen by now and is
    /// not, once for each free.
    pub(crate) fn measured(&mut self, bytes: u64, declared: u64, now_ns: u64) -> Option<Missing> {
        self.last = Some((bytes, declared));
        let mut sum = Missing { freed_bytes: 0, missing_bytes: 0 };
        while let Some(free) = self.pending.front() {
            let missing = bytes.saturating_sub(free.allowed(declared)).min(free.bytes);
            if missing > 0 && now_ns < free.deadline_ns {
                break;
            }
            if missing > 0 {
                sum.freed_bytes = sum.freed_bytes.saturating_add(free.bytes);
                sum.missing_bytes = sum.missing_bytes.saturating_add(missing);
            }
            self.pending.pop_front();
            // It was told of; those after it answer for their own.
            for later in &mut self.pending {
                later.target = later.target.saturating_add(missing);
            }
        }
        (sum.missing_bytes > 0).then_some(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(freed_bytes: u64, missing_bytes: u64) -> Option<Missing> {
        Some(Missing { freed_bytes, missing_bytes })
    }

    #[test]
    fn what_is_seen_in_time_is_believed() {
        let mut watch = Watch::default();
        assert_eq!(watch.measured(100, 80, 0), None);
        watch.freed(30, 50, 10);
        assert_eq!(watch.measured(95, 50, 5), None);
        assert_eq!(watch.measured(70, 50, 9), None);
        assert_eq!(watch.measured(100, 50, 99), None, "that is another matter");
    }

    #[test]
    fn what_is_not_seen_in_time_is_missing_once() {
        let mut watch = Watch::default();
        watch.measured(100, 80, 0);
        watch.freed(30, 50, 10);
        assert_eq!(watch.measured(90, 50, 9), None, "there is time left");
        assert_eq!(watch.measured(90, 50, 10), missing(30, 20));
        assert_eq!(watch.measured(90, 50, 11), None);
    }

    #[test]
    fn no_more_is_missing_than_was_freed() {
        let mut watch = Watch::default();
        watch.measured(100, 80, 0);
        watch.freed(30, 50, 10);
        assert_eq!(watch.measured(1_000, 50, 10), missing(30, 30));
    }

    #[test]
    fn what_is_declared_is_believed() {
        let mut watch = Watch::default();
        // Of 100 bytes 40 are in use, and of the 50 freed only 20 were.
        watch.measured(40, 100, 0);
        watch.freed(50, 50, 10);
        assert_eq!(watch.measured(20, 50, 10), None);
        // Before any measurement nothing is known.
        let mut blind = Watch::default();
        blind.freed(50, 50, 10);
        assert_eq!(blind.measured(100, 50, 10), None);
    }

    #[test]
    fn growth_before_and_after_is_no_fault() {
        let mut watch = Watch::default();
        // 30 are never accounted for. 50 more come before 50 go, and 40 after that.
        watch.measured(80, 50, 0);
        watch.freed(50, 50, 10);
        assert_eq!(watch.measured(80, 50, 10), None);
        watch.freed(20, 30, 20);
        assert_eq!(watch.measured(100, 70, 20), None);
        watch.freed(20, 50, 30);
        assert_eq!(watch.measured(100, 50, 30), missing(20, 20));
    }

    #[test]
    fn each_free_answers_for_itself() {
        let mut watch = Watch::default();
        watch.measured(100, 100, 0);
        watch.freed(10, 90, 10);
        watch.freed(20, 70, 20);
        assert_eq!(watch.measured(80, 70, 10), None, "the first is seen");
        assert_eq!(watch.measured(80, 70, 20), missing(20, 10));
        watch.measured(100, 100, 30);
        watch.freed(10, 90, 40);
        watch.freed(20, 70, 50);
        assert_eq!(watch.measured(100, 70, 40), missing(10, 10));
        assert_eq!(watch.measured(80, 70, 50), None, "the second is seen");
    }

    #[test]
    fn what_is_pending_is_bounded_and_nothing_is_forgotten() {
        let mut watch = Watch::default();
        watch.measured(1_000, 1_000, 0);
        for n in 1..=500 {
            watch.freed(2, 1_000 - 2 * n, n);
        }
        assert_eq!(watch.pending.len(), PENDING_MAX);
        assert_eq!(watch.measured(1_000, 0, 500), missing(1_000, 1_000));
    }
}
