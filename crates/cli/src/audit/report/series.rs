//! What somebody held, period by period.
//!
//! Bytes come and go at times that need not be in order: threads tell of what they did a moment
//! later. So nothing is added up while time goes by; each change is weighed with its time, and
//!
//! ```text
//! S1  opening(p)   = sum of the changes before p
//! S2  integral(p)  = (opening(p) + sum of changes in p) * (end - start)
//!                    - sum over changes in p of change * (its time - start)
//! ```
//!
//! which is exact in whole byte-nanoseconds.

use super::period::Period;

/// What happened, by number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests granted.
    pub granted: u64,
    /// Requests denied.
    pub denied: u64,
    /// Grants that grew.
    pub grown: u64,
    /// Grants that shrank.
    pub shrunk: u64,
    /// Grants released by their owners.
    pub released: u64,
    /// Reservations that ran out.
    pub expired: u64,
    /// Grants taken back.
    pub evicted: u64,
    /// Their bytes.
    pub evicted_bytes: u64,
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.granted += other.granted;
        self.denied += other.denied;
        self.grown += other.grown;
        self.shrunk += other.shrunk;
        self.released += other.released;
        self.expired += other.expired;
        self.evicted += other.evicted;
        self.evicted_bytes += other.evicted_bytes;
    }
}

/// What became of one period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Bytes times nanoseconds.
    pub byte_ns: i128,
    /// The most bytes held at one time.
    pub peak_bytes: i128,
    /// Held when the period ended, or the log.
    pub held_bytes: i128,
    /// What happened.
    pub counts: Counts,
}

/// One period as it is being read.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    number: i64,
    change: i128,
    weighed: i128,
    peak: i128,
    counts: Counts,
}

/// A change, or something that happened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Step {
    /// In which period.
    pub number: i64,
    /// How long after its start, or after 1970 if it has none.
    pub after_ns: i128,
    /// Bytes that came; negative: that went.
    pub bytes: i128,
    /// What happened.
    pub counts: Counts,
}

/// See the top of this file.
#[derive(Clone, Debug, Default)]
pub struct Series {
    held: i128,
    parts: Vec<Part>,
    /// What was held when the log ended, and in which period.
    end: Option<(i64, i128)>,
}

impl Series {
    /// Takes a step.
    pub fn step(&mut self, step: &Step) {
        self.held += step.bytes;
        let held = self.held;
        let part = self.part(step.number);
        part.change += step.bytes;
        part.weighed += step.bytes * step.after_ns;
        part.counts.add(&step.counts);
        if step.bytes != 0 {
            part.peak = part.peak.max(held);
        }
    }

    /// The log ends: what is held is held no longer.
    pub fn close(&mut self, number: i64, after_ns: i128) {
        self.end = Some((number, self.held));
        self.step(&Step { number, after_ns, bytes: -self.held, ..Step::default() });
    }

    fn part(&mut self, number: i64) -> &mut Part {
        // Nearly always the last one.
        let at = match self.parts.last() {
            Some(part) if part.number == number => self.parts.len() - 1,
            _ => match self.parts.binary_search_by_key(&number, |part| part.number) {
                Ok(at) => at,
                Err(at) => {
                    self.parts.insert(at, Part { number, ..Part::default() });
                    at
                }
            },
        };
        &mut self.parts[at]
    }

    /// The figures of every period in which something was held or happened. After
    /// [`Series::close`]; a period without end is one until then, `end_ns`.
    pub fn figures(&self, period: &Period, end_ns: i128) -> Vec<(i64, Figures)> {
        let mut all = Vec::new();
        let mut opening = 0;
        let mut next = None;
        for part in &self.parts {
            // Periods in which nothing happened while something was held.
            if let Some(next) = next
                && opening != 0
            {
                for number in next..part.number {
                    let empty = Part { number, ..Part::default() };
                    all.push((number, self.close_part(&empty, opening, period, end_ns)));
                }
            }
            all.push((part.number, self.close_part(part, opening, period, end_ns)));
            opening += part.change;
            next = Some(part.number + 1);
        }
        all
    }

    fn close_part(&self, part: &Part, opening: i128, period: &Period, end_ns: i128) -> Figures {
        let start = period.start(part.number).unwrap_or(0);
        let end = period.end(part.number).unwrap_or(end_ns);
        let closing = opening + part.change;
        let at_end = self.end.filter(|(number, _)| *number == part.number);
        Figures {
            byte_ns: closing * (end - start) - part.weighed,
            peak_bytes: part.peak.max(opening),
            held_bytes: closing + at_end.map_or(0, |(_, held)| held),
            counts: part.counts,
        }
    }
}
