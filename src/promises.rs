//! Promises of owners to release what was chosen to go, and the end of those that are not kept.
//!
//! A grant whose owner answered [`crate::ReclaimAnswer::Deferred`], or that was handed out to be
//! polled, counts as being freed, and so covers the shortages of everybody (E1 of
//! `core/evict.rs`). If its owner never releases it nobody else would be evicted for them.
//!
//! ```text
//! P1  one promise for each grant: the latest
//! P2  promises <= PROMISES_MAX: for one more the oldest is ended early
//! P3  a promise whose time is over is ended by whoever is short next, or by the next step of the
//!     balancer: its grant is live again, left alone for the cool-down, and not being freed
//! P4  next_due_ns = when the first promise is due, so that a look costs one load until then
//! ```
//!
//! A promise that was kept stays in the list until it is due, so that a release costs nothing
//! here, and then turns out to be over. So does one that was declined.

use crate::core::grants::Refused;
use crate::core::handle::GrantId;
use crate::core::sync::{AtomicU64, Mutex, Ordering, lock};
use crate::core::word::{Owner, State};
use crate::governor::Governor;
use std::collections::{BTreeMap, HashMap};

/// As many as can wait to be polled.
const PROMISES_MAX: usize = crate::reclaim::POLLED_MAX;
/// When nothing is due.
const NEVER: u64 = u64::MAX;

/// What owners have promised.
pub(crate) struct Promises {
    list: Mutex<List>,
    next_due_ns: AtomicU64,
}

impl Default for Promises {
    fn default() -> Self {
        Self { list: Mutex::default(), next_due_ns: AtomicU64::new(NEVER) }
    }
}

impl Promises {
    /// The caller holds the list.
    fn note_due(&self, list: &List) {
        // Release: pairs with the Acquire in `end_broken_promises`.
        self.next_due_ns.store(list.next_due_ns(), Ordering::Release);
    }
}

#[derive(Default)]
struct List {
    /// By the time at which they are due.
    due: BTreeMap<(u64, GrantId), Owner>,
    /// When the promise of a grant is due.
    times: HashMap<GrantId, u64>,
}

impl List {
    /// P1.
    fn insert(&mut self, grant: GrantId, owner: Owner, due_ns: u64) {
        if let Some(earlier_ns) = self.times.insert(grant, due_ns) {
            self.due.remove(&(earlier_ns, grant));
        }
        self.due.insert((due_ns, grant), owner);
    }

    fn next_due_ns(&self) -> u64 {
        self.due.first_key_value().map_or(NEVER, |(&(due_ns, _), _)| due_ns)
    }

    /// Takes out the oldest that is due by a time.
    fn pop_due(&mut self, now_ns: u64) -> Option<(GrantId, Owner)> {
        let ((_, grant), owner) =
            self.due.first_entry().filter(|e| e.key().0 <= now_ns)?.remove_entry();
        self.times.remove(&grant);
        Some((grant, owner))
    }

    fn is_full(&self) -> bool {
        self.times.len() >= PROMISES_MAX
    }

    /// Forgets the promises that are over.
    fn retain(&mut self, is_open: impl Fn(GrantId) -> bool) {
        self.due.retain(|&(_, grant), _| is_open(grant));
        let due = &self.due;
        self.times.retain(|&grant, &mut due_ns| due.contains_key(&(due_ns, grant)));
    }
}

impl Governor {
    /// The owner of a grant has promised to release it, or will be polled for it. Where the list
    /// is full of promises that are all open, this looks at each of them.
    pub(crate) fn note_promise(&self, grant: GrantId, owner: Owner) {
        let now_ns = self.clock().now_ns();
        let due_ns = now_ns.saturating_add(self.config.promise_ns);
        if due_ns == NEVER {
            return;
        }
        let promises = &self.reclaim.promises;
        let mut list = lock(&promises.list);
        if list.is_full() {
            list.retain(|grant| self.is_promised(grant));
        }
        if list.is_full()
            && let Some((oldest, owner)) = list.pop_due(NEVER)
        {
            self.end_promise(oldest, owner, now_ns);
            self.forget_ended_polls();
        }
        list.insert(grant, owner, due_ns);
        promises.note_due(&list);
    }

    /// Ends the promises whose time is over.
    #[inline]
    pub(crate) fn end_broken_promises(&self, now_ns: u64) {
        // Acquire: pairs with the Release in `note_due`.
        if self.reclaim.promises.next_due_ns.load(Ordering::Acquire) <= now_ns {
            self.end_due_promises(now_ns);
        }
    }

    #[cold]
    fn end_due_promises(&self, now_ns: u64) {
        let promises = &self.reclaim.promises;
        // Held meanwhile: who else is short has to find them ended.
        let mut list = lock(&promises.list);
        while let Some((grant, owner)) = list.pop_due(now_ns) {
            self.end_promise(grant, owner, now_ns);
        }
        self.forget_ended_polls();
        promises.note_due(&list);
    }

    /// Ends a promise, unless it is over: then its grant has ended, or is live.
    fn end_promise(&self, grant: GrantId, owner: Owner, now_ns: u64) {
        let keep_until_ns = now_ns.saturating_add(self.config.busy_cooldown_ns.max(1));
        let (slot, generation) = (grant.index(), grant.generation());
        let end = || self.core.decline(slot, generation, owner, keep_until_ns);
        // Busy is a grant that was declined and is being asked for again, which makes a promise of
        // its own; or one that another thread holds for the few instructions of a release.
        while end() == Err(Refused::Busy) && self.core.grants.word(slot).state() == State::Tuning {
            std::thread::yield_now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(number: u32) -> GrantId {
        GrantId::new(1, 1, number)
    }

    #[test]
    fn promises_come_in_the_order_of_their_times_one_for_each_grant() {
        let (mut list, owner) = (List::default(), Owner::new(1, 1, 2));
        assert_eq!((list.next_due_ns(), list.pop_due(NEVER)), (NEVER, None));
        for (number, due_ns) in [(7, 30), (5, 10), (6, 20), (5, 40)] {
            list.insert(grant(number), owner, due_ns);
        }
        assert_eq!(list.next_due_ns(), 20);
        assert_eq!(list.pop_due(19), None);
        assert_eq!(list.pop_due(20), Some((grant(6), owner)));
        list.insert(grant(8), owner, 50);
        list.retain(|of| of != grant(7));
        assert_eq!(list.pop_due(39), None, "it was over");
        let left = std::iter::from_fn(|| list.pop_due(NEVER)).map(|(of, _)| of);
        assert!(left.eq([grant(5), grant(8)]));
        assert!(list.times.is_empty());
    }
}
