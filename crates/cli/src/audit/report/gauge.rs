//! What all hold together, added up while time goes by. It knows nothing of tenants, types or
//! grants, and adds in another way than `series.rs`: so it tells whether that is right.

use std::collections::BTreeMap;

use super::period::Period;

/// See the top of this file.
#[derive(Clone, Debug)]
pub struct Gauge {
    period: Period,
    total: i128,
    at_ns: i128,
    byte_ns: BTreeMap<i64, i128>,
}

impl Gauge {
    /// Nothing held yet.
    pub fn new(period: Period) -> Self {
        Self { period, total: 0, at_ns: 0, byte_ns: BTreeMap::new() }
    }

    /// Bytes held by now.
    pub fn total(&self) -> i128 {
        self.total
    }

    /// The total changes at a time, which may be a moment before the last one.
    pub fn change(&mut self, at_ns: i128, bytes: i128) {
        if self.total != 0 {
            let (first, last) = (self.at_ns.min(at_ns), self.at_ns.max(at_ns));
            let sign = if at_ns < self.at_ns { -1 } else { 1 };
            self.spread(first, last, sign * self.total);
        }
        self.at_ns = at_ns;
        self.total += bytes;
    }

    /// So many bytes from `first` to `last`, to each period its share.
    fn spread(&mut self, mut first: i128, last: i128, bytes: i128) {
        while first < last {
            let number = self.period.at(first);
            let until = self.period.end(number).unwrap_or(last).min(last);
            *self.byte_ns.entry(number).or_default() += bytes * (until - first);
            first = until;
        }
    }

    /// Byte-nanoseconds of a period.
    pub fn byte_ns(&self, number: i64) -> i128 {
        self.byte_ns.get(&number).copied().unwrap_or(0)
    }
}
