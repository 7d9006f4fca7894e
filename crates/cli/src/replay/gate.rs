//! Watching a guarantee from several threads without false alarms.
//!
//! A denial is judged only if nothing else of the tenant was under way from before the request
//! until after its answer: then `used` is exact and the answer stands against it. An eviction is
//! judged only while nothing is under way.

/// What is known of one tenant that has a guarantee.
pub struct Gate {
    guarantee_bytes: u64,
    /// Bytes held; exact while nothing is under way, and possibly negative meanwhile.
    used_bytes: i64,
    /// Requests and releases that have begun and are not booked to the end.
    under_way: u64,
    /// Beginnings, ends and evictions so far.
    moves: u64,
    violations: u64,
}

/// What [`Gate::asks`] answers while something else is under way: no `moves` is ever this.
const UNDECIDABLE: u64 = u64::MAX;

impl Gate {
    /// A tenant that holds nothing.
    pub fn new(guarantee_bytes: u64) -> Self {
        Self { guarantee_bytes, used_bytes: 0, under_way: 0, moves: 0, violations: 0 }
    }

    /// A request or growth begins; the answer belongs into [`Gate::denied`].
    pub fn asks(&mut self) -> u64 {
        self.begin();
        if self.under_way == 1 { self.moves } else { UNDECIDABLE }
    }

    /// The request or growth was granted.
    pub fn granted(&mut self, bytes: u64) {
        self.used_bytes = self.used_bytes.saturating_add_unsigned(bytes);
        self.end();
    }

    /// The request or growth that began at `asked` was denied.
    pub fn denied(&mut self, bytes: u64, asked: Option<u64>) {
        let is_inside = self.used_bytes.saturating_add_unsigned(bytes) <= self.guarantee();
        if asked == Some(self.moves) && is_inside {
            self.violations += 1;
        }
        self.end();
    }

    /// A release begins.
    pub fn releases(&mut self, bytes: u64) {
        self.used_bytes = self.used_bytes.saturating_sub_unsigned(bytes);
        self.begin();
    }

    /// The release is over; `counted_twice` bytes had been taken away before.
    pub fn released(&mut self, counted_twice: u64) {
        self.used_bytes = self.used_bytes.saturating_add_unsigned(counted_twice);
        self.end();
    }

    /// A grant was taken away, by a request of the tenant's own or of another.
    pub fn taken(&mut self, bytes: u64, is_own: bool) {
        self.used_bytes = self.used_bytes.saturating_sub_unsigned(bytes);
        self.moves += 1;
        if !is_own && self.under_way == 0 && self.used_bytes < self.guarantee() {
            self.violations += 1;
        }
    }

    /// How often the guarantee was not kept.
    pub fn violations(&self) -> u64 {
        self.violations
    }

    fn guarantee(&self) -> i64 {
        i64::try_from(self.guarantee_bytes).unwrap_or(i64::MAX)
    }

    fn begin(&mut self) {
        self.under_way += 1;
        self.moves += 1;
    }

    fn end(&mut self) {
        self.under_way -= 1;
        self.moves += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quiet_denial_within_the_guarantee_is_a_violation() {
        let mut gate = Gate::new(10);
        gate.asks();
        gate.granted(6);
        let asked = gate.asks();
        gate.denied(5, Some(asked));
        assert_eq!(gate.violations(), 0, "6 + 5 is outside");
        let asked = gate.asks();
        gate.denied(4, Some(asked));
        assert_eq!(gate.violations(), 1);
    }

    #[test]
    fn a_denial_beside_another_request_is_not_judged() {
        let mut gate = Gate::new(10);
        let first = gate.asks();
        let second = gate.asks();
        gate.denied(1, Some(second));
        gate.denied(1, Some(first));
        assert_eq!(gate.violations(), 0);
    }

    #[test]
    fn an_eviction_below_the_guarantee_by_another_is_a_violation() {
        let mut gate = Gate::new(10);
        gate.asks();
        gate.granted(12);
        gate.taken(2, false);
        gate.taken(2, true);
        assert_eq!(gate.violations(), 0);
        gate.taken(2, false);
        assert_eq!(gate.violations(), 1);
    }
}
