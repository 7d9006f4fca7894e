//! A part of a trace: some of its requests, in their order, from a time of 0.
//!
//! ```text
//! P1  parts FROM-MIDDLE and MIDDLE-TO of a trace have each of its requests FROM-TO once
//! P2  tenants, items and their numbers are those of the whole trace
//! ```

use std::fmt;
use std::ops::Range;

use super::workload::{Request, Requests, UseBytes, Workload};

/// From one percentage of the requests to another: `60-100`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Requests before this are left out; 0 to 99.
    pub from_percent: u8,
    /// And those from here on; above `from_percent`, at most 100.
    pub to_percent: u8,
}

impl Part {
    /// Reads `FROM-TO`. The error says what is wrong, without the name of the option.
    pub fn parse(text: &str) -> Result<Self, String> {
        let percents = text.split_once('-').and_then(|(from, to)| {
            Some((from.parse::<u8>().ok()?, to.trim_end_matches('%').parse::<u8>().ok()?))
        });
        match percents {
            Some((from_percent, to_percent)) if from_percent < to_percent && to_percent <= 100 => {
                Ok(Self { from_percent, to_percent })
            }
            _ => Err("write two whole numbers from 0 to 100 that rise, such as 60-100".to_string()),
        }
    }

    /// The places of its requests among `requests_len`.
    fn range(self, requests_len: usize) -> Range<usize> {
        let at = |percent: u8| (requests_len as u128 * u128::from(percent) / 100) as usize;
        at(self.from_percent)..at(self.to_percent)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.from_percent, self.to_percent)
    }
}

impl Workload {
    /// The requests of `part` as a trace of its own. The footprint stays that of the whole.
    pub fn part(&self, part: Part) -> Self {
        let range = part.range(self.requests_len());
        let (uses, requests) = match &self.requests {
            Requests::EachUse => (range, Requests::EachUse),
            Requests::Listed(requests) => listed(&requests[range]),
        };
        Self {
            name: self.name.clone(),
            tenants: self.tenants.clone(),
            items: self.items.clone(),
            uses: self.uses[uses.clone()].to_vec(),
            use_bytes: match &self.use_bytes {
                UseBytes::Each(bytes) => UseBytes::Each(*bytes),
                UseBytes::PerUse(bytes) => UseBytes::PerUse(bytes[uses].to_vec()),
            },
            requests,
            footprint_bytes: self.footprint_bytes,
        }
    }
}

/// The uses of some requests, which lie side by side, and the requests as they count from there.
fn listed(requests: &[Request]) -> (Range<usize>, Requests) {
    let (Some(first), Some(last)) = (requests.first(), requests.last()) else {
        return (0..0, Requests::Listed(Vec::new()));
    };
    let (start_ns, start) = (first.at_ns, first.uses.start);
    let moved = |request: &Request| Request {
        at_ns: request.at_ns - start_ns,
        tenant: request.tenant,
        uses: request.uses.start - start..request.uses.end - start,
        job: request.job.clone(),
        drops: request.drops,
    };
    let uses = start as usize..last.uses.end as usize;
    (uses, Requests::Listed(requests.iter().map(moved).collect()))
}

#[cfg(test)]
mod tests {
    use super::super::workload::Items;
    use super::*;

    fn part(from_percent: u8, to_percent: u8) -> Part {
        Part { from_percent, to_percent }
    }

    fn workload(requests: Requests) -> Workload {
        Workload {
            name: "t".to_string(),
            tenants: vec!["a".to_string()],
            items: Items { keys: vec![1, 2], ..Items::default() },
            uses: vec![0, 1, 1, 0, 1],
            use_bytes: UseBytes::PerUse(vec![10, 20, 30, 40, 50]),
            requests,
            footprint_bytes: 70,
        }
    }

    #[test]
    fn a_part_is_written_as_two_percentages() {
        assert_eq!(Part::parse("60-100"), Ok(part(60, 100)));
        assert_eq!(part(0, 7).to_string(), "0-7");
        for text in ["60", "-", "60-60", "70-60", "0-101", "-5-9", "a-b", "1.5-2"] {
            assert!(Part::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_request_is_in_one_of_two_parts() {
        for requests_len in [1, 2, 3, 99, 100, 101, 20_927] {
            for middle in 1..100 {
                let (head, tail) = (part(0, middle), part(middle, 100));
                let (head, tail) = (head.range(requests_len), tail.range(requests_len));
                assert_eq!((head.start, head.end, tail.end), (0, tail.start, requests_len));
            }
        }
    }

    #[test]
    fn uses_are_requests() {
        let rest = workload(Requests::EachUse).part(part(60, 100));
        assert_eq!((rest.requests_len(), rest.uses), (2, vec![0, 1]));
        assert!(matches!(rest.use_bytes, UseBytes::PerUse(bytes) if bytes == [40, 50]));
    }

    #[test]
    fn times_and_uses_count_from_the_start_of_the_part() {
        let request = |at_ns, uses| Request { at_ns, tenant: 0, uses, job: None, drops: None };
        let requests = vec![request(5, 0..2), request(7, 2..2), request(9, 2..5)];
        let rest = workload(Requests::Listed(requests)).part(part(34, 100));
        let Requests::Listed(requests) = &rest.requests else { panic!("not listed") };
        let seen: Vec<_> = requests.iter().map(|r| (r.at_ns, r.uses.clone())).collect();
        assert_eq!(seen, [(0, 0..0), (2, 0..3)]);
        assert_eq!((rest.uses, rest.footprint_bytes), (vec![1, 0, 1], 70));
        assert!(matches!(rest.use_bytes, UseBytes::PerUse(bytes) if bytes == [30, 40, 50]));
    }
}
