//! Deciding without refusing: for the time in which limits are tried out, and for the day on which
//! they turn out to be wrong.
//!
//! While only observing, every request is decided as always, but nothing is evicted and nobody is
//! refused: what would have been denied is granted beside the governor's budget, kept in its own
//! sum, and recorded with the reason. Nobody is queued either. The budget itself is never exceeded.
//! A freeze or a drain still holds: it is an operator's command, not a decision.

use super::allocation::{No, Refused, Wanted};
use super::emergency::EmergencyVerb;
use super::queue;
use super::record::{Key, Record};
use super::{MultiTenantMemoryManager, lock};
use crate::error::Denial;
use std::collections::VecDeque;
use std::sync::atomic::Ordering;

/// Reasons remembered for each tenant.
const REASONS_MAX: usize = 8;

/// What would have been denied to a tenant, or granted only after an eviction.
#[derive(Clone, Debug, Default)]
pub(super) struct ObservedLog {
    pub evictions: u64,
    pub denials: u64,
    /// Oldest first.
    pub reasons: VecDeque<String>,
}

impl ObservedLog {
    fn note(&mut self, reason: String) {
        self.denials += 1;
        if self.reasons.len() == REASONS_MAX {
            self.reasons.pop_front();
        }
        self.reasons.push_back(reason);
    }
}

impl MultiTenantMemoryManager {
    /// Switches between deciding and only observing. What was granted beyond the budget stays
    /// valid until it is released, also after the switch back; the dashboard shows how much it is,
    /// and how many requests would have been denied or would have evicted something.
    pub async fn set_observe_only(&self, on: bool) {
        // AcqRel: pairs with the Acquire in `Inner::is_observe_only`.
        if self.inner.observe_only.swap(on, Ordering::AcqRel) != on {
            let what = if on { "nobody is refused from now on" } else { "limits apply again" };
            self.note_emergency(EmergencyVerb::ObserveOnly, None, 0, what.to_string());
            if on {
                self.close_all_places();
            }
        }
    }

    /// Nobody waits any more: who awaits is granted now, who asks again as well.
    fn close_all_places(&self) {
        for tenant in self.inner.tenants.all() {
            let places = lock(&tenant.held).places.take_all();
            queue::close(places);
        }
    }

    /// Whether the manager only observes.
    pub fn is_observe_only(&self) -> bool {
        self.inner.is_observe_only()
    }

    /// Notes what does not fit; answers the allocation that is granted instead.
    pub(super) fn observe(&self, wanted: &Wanted, denial: &Denial) -> (Key, Record) {
        self.note_observed(wanted, self.denied(wanted, denial));
        self.beyond_budget(wanted)
    }

    /// As [`Self::observe`], for one of a batch that evicts nothing and is denied for `reason`.
    pub(super) fn observe_batch(&self, wanted: &Wanted, reason: &str) -> (Key, Record) {
        self.note_observed(wanted, No::new(reason.to_string(), 0));
        self.beyond_budget(wanted)
    }

    fn beyond_budget(&self, wanted: &Wanted) -> (Key, Record) {
        // Relaxed: only the value matters.
        let number = self.inner.observed.fetch_add(1, Ordering::Relaxed) + 1;
        (Key::Observed(number), wanted.record().observed(wanted.bytes))
    }

    fn note_observed(&self, wanted: &Wanted, no: No) {
        let observed = &mut lock(&wanted.tenant.held).observed;
        match no.available_bytes >= wanted.bytes {
            // An eviction would have made room.
            true => observed.evictions += 1,
            false => observed.note(no.reason),
        }
    }

    /// As [`Self::observe`], for growth.
    pub(super) fn observe_growth(
        &self,
        wanted: &Wanted,
        key: Key,
        denial: &Denial,
    ) -> Result<Key, Refused> {
        self.note_observed(wanted, self.denied(wanted, denial));
        self.add_observed(wanted, key)
    }

    /// Growth of an allocation that was only observed.
    pub(super) fn grow_observed(&self, wanted: &Wanted, key: Key) -> Result<Key, Refused> {
        if self.is_observe_only() {
            return self.add_observed(wanted, key);
        }
        let reason = format!(
            "allocation {key} was granted beyond the budget while nobody was refused and cannot \
             grow; release it and request it again"
        );
        Err(Refused::Denied(No::new(reason, 0)))
    }

    fn add_observed(&self, wanted: &Wanted, key: Key) -> Result<Key, Refused> {
        let mut held = lock(&wanted.tenant.held);
        if let Some(shut) = held.shut() {
            drop(held);
            return Err(self.shut_out(wanted, shut));
        }
        let Some(record) = held.records.get_mut(&key) else {
            drop(held);
            return Err(Refused::Misuse(self.missing(&wanted.tenant, &key.to_string())));
        };
        record.observed_bytes = record.observed_bytes.saturating_add(wanted.bytes);
        Ok(key)
    }
}
