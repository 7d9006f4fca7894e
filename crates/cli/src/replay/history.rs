//! Samples of a replay over virtual time, a few hundred in all.

use allotment::Governor;

use super::books::Books;
use super::worker::Tally;
use crate::report::{History, Point};
use crate::trace::workload::Workload;

/// Parts of a trace between two samples.
const SAMPLES: usize = 600;

/// Tenants that are drawn one by one; the others are drawn as one.
const TENANTS_SHOWN: usize = 11;

const OTHERS: &str = "others";

/// Collects samples.
pub struct Sampler {
    history: History,
    /// The place of each tenant's bytes in a point.
    places: Vec<usize>,
    used_bytes: Vec<u64>,
    stride: usize,
    next: usize,
}

impl Sampler {
    /// Shows the tenants that ask for the most bytes over the whole trace.
    pub fn new(workload: &Workload, asked_bytes: &[u64]) -> Self {
        let mut order: Vec<usize> = (0..workload.tenants.len()).collect();
        order.sort_by_key(|tenant| std::cmp::Reverse(asked_bytes[*tenant]));
        let mut history = History::default();
        let mut places = vec![TENANTS_SHOWN; order.len()];
        for (place, tenant) in order.iter().take(TENANTS_SHOWN).enumerate() {
            places[*tenant] = place;
            history.tenants.push(workload.tenants[*tenant].clone());
        }
        if order.len() > TENANTS_SHOWN {
            history.tenants.push(OTHERS.to_string());
        }
        let stride = workload.requests_len().div_ceil(SAMPLES).max(1);
        Self { history, places, used_bytes: Vec::new(), stride, next: 0 }
    }

    /// True if a sample is due once `done` requests of the trace were made.
    pub fn is_due(&self, done: usize) -> bool {
        done >= self.next
    }

    /// Takes a sample.
    pub fn take(
        &mut self,
        done: usize,
        now_ns: u64,
        governor: &Governor,
        books: &impl Books,
        tally: &Tally,
    ) {
        self.next = done + self.stride;
        let (denied, evicted) = books.state(&mut self.used_bytes);
        let mut used_bytes = vec![0; self.history.tenants.len()];
        for (place, bytes) in self.places.iter().zip(&self.used_bytes) {
            used_bytes[*place] += bytes;
        }
        self.history.points.push(Point {
            time_s: now_ns as f64 / 1e9,
            used_bytes,
            pressure: governor.pressure() as u8,
            denied,
            evicted,
            hit_ratio: tally.hit_ratio(),
        });
    }

    /// All samples.
    pub fn close(self) -> History {
        self.history
    }
}

/// Bytes that each tenant asks for over the whole trace, whatever is resident.
pub fn asked_bytes(workload: &Workload) -> Vec<u64> {
    use crate::trace::workload::Requests;
    let mut asked = vec![0_u64; workload.tenants.len()];
    for (place, item) in workload.uses.iter().enumerate() {
        let tenant = workload.items.tenant(*item) as usize;
        asked[tenant] = asked[tenant].saturating_add(workload.use_bytes.at(place));
    }
    let Requests::Listed(requests) = &workload.requests else { return asked };
    for request in requests {
        let Some(job) = &request.job else { continue };
        let grown = job.growth.as_ref().map_or(0, |growth| growth.total_bytes);
        let asked = &mut asked[request.tenant as usize];
        *asked = asked.saturating_add(job.bytes).saturating_add(grown);
    }
    asked
}
