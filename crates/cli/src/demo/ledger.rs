//! A second set of books, kept from the answers alone: it knows nothing of how the governor
//! counts, and so can say whether the governor kept its word.
//!
//! ```text
//! over      max over time of (sum of bytes held - capacity)
//! leaked    bytes the governor still counts when everything has been given back
//! broken    denials within a guarantee + evictions by others below one + evictions of models
//! ```

use super::timeline::Timeline;

/// What a tenant was promised.
pub type Guarantees = Vec<u64>;

/// The books.
#[derive(Debug)]
pub struct Ledger {
    capacity_bytes: u64,
    guarantees: Guarantees,
    /// Who holds what.
    pub timeline: Timeline,
    /// The most bytes above the capacity.
    pub over_bytes: u64,
    /// Bytes counted at the end that nobody holds, or held that nobody counts.
    pub leaked_bytes: u64,
    /// Promises broken.
    pub broken: u64,
}

impl Ledger {
    /// Empty books.
    pub fn new(capacity_bytes: u64, guarantees: Guarantees) -> Ledger {
        let timeline = Timeline::new(guarantees.len());
        Ledger { capacity_bytes, guarantees, timeline, over_bytes: 0, leaked_bytes: 0, broken: 0 }
    }

    /// A request was granted.
    pub fn granted(&mut self, tenant: usize, bytes: u64) {
        self.timeline.add(tenant, bytes);
        let over = self.timeline.total().saturating_sub(self.capacity_bytes);
        self.over_bytes = self.over_bytes.max(over);
    }

    /// A request was denied.
    pub fn denied(&mut self, tenant: usize, bytes: u64) {
        if self.timeline.of(tenant) + bytes <= self.guarantees[tenant] {
            self.broken += 1;
        }
    }

    /// A grant was released by its owner.
    pub fn released(&mut self, tenant: usize, bytes: u64) {
        self.timeline.subtract(tenant, bytes);
    }

    /// A grant was taken back: for another tenant, or because its owner wanted room itself.
    pub fn evicted(&mut self, tenant: usize, bytes: u64, for_another: bool, is_model: bool) {
        self.timeline.subtract(tenant, bytes);
        let below = for_another && self.timeline.of(tenant) < self.guarantees[tenant];
        self.broken += u64::from(below) + u64::from(is_model);
    }

    /// Everything was given back; this is what the governor still counts.
    pub fn close(&mut self, counted_bytes: u64) {
        self.leaked_bytes = counted_bytes.abs_diff(self.timeline.total());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_broken_promise_is_seen() {
        let mut ledger = Ledger::new(10, vec![4, 0]);
        ledger.granted(0, 4);
        ledger.granted(1, 6);
        ledger.denied(0, 1);
        assert_eq!((ledger.over_bytes, ledger.broken), (0, 0));
        ledger.granted(1, 2);
        assert_eq!(ledger.over_bytes, 2);
        ledger.evicted(0, 1, false, false);
        assert_eq!(ledger.broken, 0, "a tenant may evict its own");
        ledger.evicted(0, 1, true, false);
        assert_eq!(ledger.broken, 1, "others may not take it below its guarantee");
        ledger.denied(0, 2);
        assert_eq!(ledger.broken, 2, "a request within the guarantee is granted");
        ledger.evicted(1, 8, true, true);
        assert_eq!(ledger.broken, 3, "models stay");
        ledger.released(0, 2);
        ledger.close(7);
        assert_eq!(ledger.leaked_bytes, 7);
    }
}
