//! What a run was like, as data, and the three ways to show it.
//!
//! - here: [`RunReport`] and its parts, and [`Verdict`], the one sentence a reader wants first
//! - `columns.rs`: the cells of all tables, shared by text and page
//! - `waits.rs`: what became of requests that could wait, and what they were told
//! - `legend.rs`: what the columns of the waits count, in words
//! - `table.rs`: text for a terminal; `json.rs`: for programs; `html.rs`: a page for people
//! - `chart.rs`: the page's drawings; `human.rs`: sizes, counts and rates as people write them

pub mod chart;
pub mod columns;
pub mod html;
pub mod human;
pub mod json;
pub mod legend;
pub mod table;
pub mod waits;

use serde::Serialize;

pub use self::html::html;
pub use self::json::json;
pub use self::table::table;
pub use self::waits::{WaitReport, Waited};

/// One run of one trace under one policy at one size. A field that does not apply is `None`,
/// and null in the JSON form; keys are never left out.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RunReport {
    /// The trace as the caller named it.
    pub trace: String,
    /// How the trace was read.
    pub format: String,
    /// The eviction policy.
    pub policy: String,
    /// What a key counts: `bytes`, or `objects` where every key counts as one and the figures
    /// called bytes are numbers of objects.
    pub unit: Option<String>,
    /// The capacity that was governed.
    pub capacity_bytes: Option<u64>,
    /// The same as a share of the trace's footprint, in percent.
    pub capacity_percent: Option<f64>,
    /// The same in blocks, for traces that count blocks.
    pub capacity_blocks: Option<u64>,
    /// The number of equal slots, for traces of models that take a place each.
    pub slots: Option<u64>,
    /// Requests of the trace; one may need several grants, or none where all it needs is there.
    pub requests: u64,
    /// Grants given.
    pub granted: u64,
    /// Grants denied.
    pub denied: u64,
    /// Grants taken back from their holders.
    pub evicted_grants: u64,
    /// Their bytes.
    pub evicted_bytes: u64,
    /// Accesses served from memory, for cache traces.
    pub hits: Option<u64>,
    /// Accesses that were not.
    pub misses: Option<u64>,
    /// hits / (hits + misses), 0 to 1.
    pub hit_ratio: Option<f64>,
    /// As `hit_ratio`, counting a block only if all blocks before it in its prompt were hits.
    pub prefix_hit_ratio: Option<f64>,
    /// Seconds spent loading models, by the trace's own figures.
    pub load_seconds: Option<f64>,
    /// The most bytes in use at one time.
    pub peak_used_bytes: u64,
    /// The most bytes in use above the capacity; 0 in a sound run.
    pub overcommit_bytes: u64,
    /// Bytes still counted after everything was released; 0 in a sound run.
    pub leaked_bytes: u64,
    /// Requests within a guarantee that were denied; 0 in a sound run.
    pub guarantee_violations: u64,
    /// Bytes the governor itself needs.
    pub tracking_bytes: u64,
    /// Events replayed in a second of real time.
    pub events_per_second: f64,
    /// `events_per_second` beside that of a plain LRU list fed the same events (1 = as fast).
    pub plain_lru_ratio: Option<f64>,
    /// Threads that replayed.
    pub threads: u64,
    /// The seed of everything random.
    pub seed: u64,
    /// How long a request may wait, in s; none: nobody waits.
    pub wait_max_s: Option<f64>,
    /// What became of all requests, where they could wait.
    pub waits: Option<WaitReport>,
    /// One entry for each tenant.
    pub tenants: Vec<TenantReport>,
    /// How the run went over time; drawn, not serialised.
    #[serde(skip)]
    pub history: History,
    /// Every wait and every estimate; drawn, not serialised.
    #[serde(skip)]
    pub waited: Waited,
}

/// One tenant of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct TenantReport {
    /// The tenant's name.
    pub name: String,
    /// The group it belongs to.
    pub group: Option<String>,
    /// Its priority.
    pub priority: String,
    /// Its isolation level.
    pub isolation: String,
    /// Grants given.
    pub granted: u64,
    /// Grants denied.
    pub denied: u64,
    /// Grants taken back.
    pub evicted: u64,
    /// Seconds to load what was not there, by the trace's own figures.
    pub load_seconds: Option<f64>,
    /// The same without the first load of each item, and with jobs that were evicted; at a GiB a
    /// second (an object in a millisecond) where the trace has no figures. None in a run of several
    /// threads or with waits.
    pub rebuild_seconds: Option<f64>,
    /// The most bytes it used at one time.
    pub peak_used_bytes: u64,
    /// Its guarantee.
    pub guarantee_bytes: u64,
    /// Its limit.
    pub limit_bytes: Option<u64>,
    /// What became of its requests, where they could wait: of those that it made, also where the
    /// grant that they waited for is another tenant's, as a model is.
    pub waits: Option<WaitReport>,
}

/// A run over time, thinned to some hundreds of points.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The names that `Point::used_bytes` goes by.
    pub tenants: Vec<String>,
    /// Points in order of time.
    pub points: Vec<Point>,
}

/// One moment of a run.
#[derive(Clone, Debug, Default)]
pub struct Point {
    /// Seconds since the start, in the trace's time.
    pub time_s: f64,
    /// Bytes in use, one for each of `History::tenants`.
    pub used_bytes: Vec<u64>,
    /// 0 Normal, 1 High, 2 Critical.
    pub pressure: u8,
    /// Denials so far.
    pub denied: u64,
    /// Evictions so far.
    pub evicted: u64,
    /// The hit ratio by then, 0 to 1.
    pub hit_ratio: Option<f64>,
}

/// The sentence that stands above everything else: did the governor keep its word?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Nothing was over, leaked or broken.
    pub sound: bool,
    /// The sentence, with a capital letter and a full stop.
    pub sentence: String,
}

impl RunReport {
    /// Whether the run kept every promise.
    pub fn is_sound(&self) -> bool {
        self.overcommit_bytes == 0 && self.leaked_bytes == 0 && self.guarantee_violations == 0
    }

    /// Whether the figures called bytes are bytes; else every object counts as one.
    pub fn counts_bytes(&self) -> bool {
        self.unit.as_deref() != Some("objects")
    }

    /// An amount of memory, in the unit of the run.
    pub fn amount(&self, amount: u64) -> String {
        if self.counts_bytes() { human::bytes(amount) } else { human::count(amount) }
    }

    /// The promises that were broken, in words; "clean" where none was.
    pub fn ledger(&self) -> String {
        let mut broken = Vec::new();
        if self.overcommit_bytes > 0 {
            broken.push(format!("{} over", self.amount(self.overcommit_bytes)));
        }
        if self.leaked_bytes > 0 {
            broken.push(format!("{} leaked", self.amount(self.leaked_bytes)));
        }
        if self.guarantee_violations > 0 {
            broken.push(human::plural(self.guarantee_violations, "guarantee") + " broken");
        }
        if broken.is_empty() { "clean".to_string() } else { broken.join(", ") }
    }

    /// The size of the run as people name it: bytes, blocks, slots or a share of the trace.
    pub fn size(&self) -> Option<String> {
        let share = self.capacity_percent.map(|percent| format!("{} %", human::short(percent)));
        let absolute = match (self.capacity_bytes, self.capacity_blocks, self.slots) {
            (_, Some(blocks), _) => Some(human::plural(blocks, "block")),
            (_, _, Some(slots)) => Some(human::plural(slots, "slot")),
            (Some(bytes), _, _) if self.counts_bytes() => Some(human::bytes(bytes)),
            (Some(objects), _, _) => Some(human::plural(objects, "object")),
            _ => None,
        };
        match (absolute, share) {
            (Some(absolute), Some(share)) => Some(format!("{absolute} ({share})")),
            (absolute, share) => absolute.or(share),
        }
    }
}

/// The verdict over all runs.
pub fn verdict(runs: &[RunReport]) -> Verdict {
    let unsound: Vec<&RunReport> = runs.iter().filter(|run| !run.is_sound()).collect();
    let sentence = match (runs.len(), unsound.as_slice()) {
        (0, _) => "Nothing was run.".to_string(),
        (1, []) => "Never over capacity, nothing leaked, every guarantee kept.".to_string(),
        (many, []) => {
            format!("{many} runs: never over capacity, nothing leaked, every guarantee kept.")
        }
        (1, [run, ..]) => format!("Not sound: {}.", run.ledger()),
        (many, [run, ..]) => format!(
            "Not sound: {} of {many} runs; the first, {} under {}: {}.",
            unsound.len(),
            run.trace,
            run.policy,
            run.ledger()
        ),
    };
    Verdict { sound: !runs.is_empty() && unsound.is_empty(), sentence }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_names_what_broke() {
        assert!(!verdict(&[]).sound);
        let good = RunReport::default();
        assert!(verdict(std::slice::from_ref(&good)).sound);
        let bad = RunReport {
            trace: "a.csv".into(),
            policy: "lru".into(),
            overcommit_bytes: 3 << 30,
            guarantee_violations: 1,
            ..good.clone()
        };
        let one = verdict(std::slice::from_ref(&bad));
        assert_eq!(one.sentence, "Not sound: 3 GiB over, 1 guarantee broken.");
        let two = verdict(&[good, bad]);
        assert!(!two.sound);
        assert!(two.sentence.contains("1 of 2 runs; the first, a.csv under lru"));
    }

    #[test]
    fn a_size_is_named_in_its_own_unit() {
        let run = RunReport { capacity_bytes: Some(24 << 30), ..RunReport::default() };
        assert_eq!(run.size().as_deref(), Some("24 GiB"));
        let run = RunReport { capacity_percent: Some(10.0), ..run };
        assert_eq!(run.size().as_deref(), Some("24 GiB (10 %)"));
        let run = RunReport { capacity_blocks: Some(1), ..RunReport::default() };
        assert_eq!(run.size().as_deref(), Some("1 block"));
        assert_eq!(RunReport::default().size(), None);
        let objects = Some("objects".to_string());
        let run = RunReport { unit: objects, capacity_bytes: Some(2048), ..RunReport::default() };
        assert_eq!(run.size().as_deref(), Some("2,048 objects"));
        assert_eq!(run.amount(1024), "1,024");
    }
}
