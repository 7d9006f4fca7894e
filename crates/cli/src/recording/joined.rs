//! The sittings of a log as one trace: one after the other, for who looks for limits.
//!
//! ```text
//! J1  every request of every day is in it once, in order, with its tenant and its items
//! J2  nothing outlives its day: jobs end with it, and items are given back
//! J3  a day begins PAUSE_NS after the one before it has ended
//! ```
//!
//! The configuration to begin with is that of the last day. Tenants that it does not have any more
//! are as they were last, without guarantee and group: their memory has been given to others.

use std::collections::HashMap;
use std::path::Path;

use allotment_config::{Setup, Tenant};
use uuid::Uuid;

use super::day::Day;
use super::stretch::Stretch;
use crate::failure::CliError;
use crate::trace::workload::{Items, Request, Requests, UseBytes, Workload};

/// Long enough for pressure to fall and for rates to recover.
const PAUSE_NS: u64 = 60_000_000_000;

/// The log in a folder as one trace, and its configuration.
pub fn joined(folder: &Path, stretch: &Stretch) -> Result<(Workload, Setup), CliError> {
    Ok(join(Day::all(folder, stretch)?))
}

/// The days, of which there is one at least, as one trace. Of one day it is as it was.
fn join(mut days: Vec<Day>) -> (Workload, Setup) {
    let last = days.pop().expect("a log without days is refused");
    if days.is_empty() {
        return (last.workload, last.setup);
    }
    let setup = union(&days, last.setup.clone());
    days.push(last);
    let numbers = setup.tenants.iter().zip(0..).map(|(tenant, number)| (tenant.id, number));
    let mut all = Joined {
        numbers: numbers.collect(),
        items: Items::default(),
        uses: Vec::new(),
        use_bytes: Vec::new(),
        requests: Vec::new(),
        begin_ns: 0,
    };
    let name = days[0].workload.name.clone();
    let footprints = days.iter().map(|day| day.workload.footprint_bytes);
    let footprint_bytes = footprints.fold(0, u64::saturating_add);
    days.into_iter().for_each(|day| all.add(day));
    let workload = Workload {
        name,
        tenants: setup.tenants.iter().map(|tenant| tenant.name.clone()).collect(),
        items: all.items,
        uses: all.uses,
        use_bytes: UseBytes::PerUse(all.use_bytes),
        requests: Requests::Listed(all.requests),
        footprint_bytes,
    };
    (workload, setup)
}

/// The last configuration, with all who were there before. Names stay unique.
fn union(earlier: &[Day], last: Setup) -> Setup {
    let mut setup = last;
    for tenant in earlier.iter().rev().flat_map(|day| &day.setup.tenants) {
        if setup.tenants.iter().any(|known| known.id == tenant.id) {
            continue;
        }
        let is_taken = setup.tenants.iter().any(|known| known.name == tenant.name);
        let name = match is_taken {
            true => format!("{} {}", tenant.name, tenant.id),
            false => tenant.name.clone(),
        };
        let gone = Tenant { name, group: None, guarantee_bytes: 0, ..tenant.clone() };
        setup.tenants.push(gone);
    }
    setup
}

/// What has been put together so far.
struct Joined {
    /// The number of each tenant.
    numbers: HashMap<Uuid, u32>,
    items: Items,
    uses: Vec<u32>,
    use_bytes: Vec<u64>,
    requests: Vec<Request>,
    /// When the next day begins.
    begin_ns: u64,
}

impl Joined {
    fn add(&mut self, day: Day) {
        let Day { workload, setup, begun_ns, ended_ns, .. } = day;
        let tenants: Vec<u32> = setup.tenants.iter().map(|t| self.numbers[&t.id]).collect();
        let first_item = self.items.len() as u32;
        let first_use = self.uses.len() as u32;
        let end_ns = self.begin_ns + ended_ns.saturating_sub(begun_ns);
        let Items { keys, tenants: owners, costs_ms, types } = workload.items;
        let items_len = keys.len() as u32;
        self.items.keys.extend(keys);
        self.items.tenants.extend(owners.iter().map(|owner| tenants[*owner as usize]));
        self.items.costs_ms.extend(costs_ms);
        self.items.types.extend(types);
        self.use_bytes.extend((0..workload.uses.len()).map(|place| workload.use_bytes.at(place)));
        self.uses.extend(workload.uses.iter().map(|item| first_item + item));
        let Requests::Listed(requests) = workload.requests else { return };
        for mut request in requests {
            request.at_ns = self.begin_ns + request.at_ns.saturating_sub(begun_ns);
            request.tenant = tenants[request.tenant as usize];
            request.uses = request.uses.start + first_use..request.uses.end + first_use;
            request.drops = request.drops.map(|item| first_item + item);
            if let Some(job) = &mut request.job {
                let left_ns = end_ns.saturating_sub(request.at_ns);
                job.held_ns = Some(job.held_ns.map_or(left_ns, |held_ns| held_ns.min(left_ns)));
            }
            self.requests.push(request);
        }
        let place = self.uses.len() as u32;
        for item in first_item..first_item + items_len {
            let tenant = self.items.tenant(item);
            let (at_ns, uses) = (end_ns, place..place);
            self.requests.push(Request { at_ns, tenant, uses, job: None, drops: Some(item) });
        }
        self.begin_ns = end_ns.saturating_add(PAUSE_NS);
    }
}

#[cfg(test)]
mod tests {
    use allotment::{AllocationType, GovernorConfig};
    use allotment_config::parse;

    use super::*;
    use crate::trace::workload::Job;

    /// A day from 100 to 200 of tenants that each use an item at 110 and hold 5 bytes from 120 on.
    fn day(capacity: u64, names: &[&str]) -> Day {
        let tenants: String =
            names.iter().map(|n| format!("[[tenants]]\nname = \"{n}\"\nguarantee = 9\n")).collect();
        let text = format!("capacity = {capacity}\n{tenants}");
        let setup = parse(&text, "day".as_ref()).unwrap();
        let count = names.len() as u32;
        let used = (0..count).map(|n| Request {
            at_ns: 110,
            tenant: n,
            uses: n..n + 1,
            job: None,
            drops: None,
        });
        let job = Job::new(AllocationType::Inference, 5);
        let held = (0..count).map(|n| Request {
            at_ns: 120,
            tenant: n,
            uses: count..count,
            job: Some(Job { held_ns: (n > 0).then_some(7), ..job.clone() }),
            drops: None,
        });
        let workload = Workload {
            name: "day".to_string(),
            tenants: names.iter().map(|name| name.to_string()).collect(),
            items: Items {
                keys: vec![1; names.len()],
                tenants: (0..count).collect(),
                costs_ms: vec![3; names.len()],
                types: vec![AllocationType::Cache; names.len()],
            },
            uses: (0..count).collect(),
            use_bytes: UseBytes::PerUse(vec![50; names.len()]),
            requests: Requests::Listed(used.chain(held).collect()),
            footprint_bytes: 50 * names.len() as u64,
        };
        Day {
            workload,
            setup,
            governor: GovernorConfig::new(capacity),
            begun_ns: 100,
            ended_ns: 200,
            told: Vec::new(),
            peak_bytes: 0,
            changes: 0,
            gaps: 0,
        }
    }

    #[test]
    fn nothing_outlives_its_day() {
        let (workload, setup) = join(vec![day(100, &["a", "b"]), day(80, &["c", "a"])]);
        let Requests::Listed(requests) = &workload.requests else { panic!("not listed") };
        let second = 100 + PAUSE_NS;
        let told = |at: usize| {
            let Request { at_ns, tenant, job, drops, uses } = &requests[at];
            let item = uses.clone().next().map(|place| workload.uses[place as usize]);
            let held_ns = job.as_ref().map(|job| job.held_ns);
            (*at_ns, workload.tenants[*tenant as usize].as_str(), item, held_ns, *drops)
        };
        let expected = [
            (10, "a", Some(0), None, None),
            (10, "b", Some(1), None, None),
            (20, "a", None, Some(Some(80)), None),
            (20, "b", None, Some(Some(7)), None),
            (100, "a", None, None, Some(0)),
            (100, "b", None, None, Some(1)),
            (second + 10, "c", Some(2), None, None),
            (second + 10, "a", Some(3), None, None),
            (second + 20, "c", None, Some(Some(80)), None),
            (second + 20, "a", None, Some(Some(7)), None),
            (second + 100, "c", None, None, Some(2)),
            (second + 100, "a", None, None, Some(3)),
        ];
        assert_eq!((0..requests.len()).map(told).collect::<Vec<_>>(), expected);
        assert_eq!((setup.capacity_bytes, workload.footprint_bytes), (80, 200));
        let tenants: Vec<_> =
            setup.tenants.iter().map(|t| (t.name.as_str(), t.guarantee_bytes)).collect();
        assert_eq!(tenants, [("c", 9), ("a", 9), ("b", 0)]);
    }

    #[test]
    fn one_day_is_as_it_was() {
        let (workload, setup) = join(vec![day(100, &["a"])]);
        assert_eq!((workload.requests_len(), setup.capacity_bytes), (2, 100));
    }
}
