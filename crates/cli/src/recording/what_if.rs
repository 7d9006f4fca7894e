//! `--what-if`: a recorded day under other limits, and what would have become of whom.
//!
//! The day is taken as a trace (`day.rs`) and run twice through a governor of the recorded kind: as
//! it was configured, and as the other file has it. The first run is the yardstick: as far as it
//! does not come to what was recorded, the day cannot be told from its log alone, and that share is
//! printed. Then the difference between the two runs is the answer.
//!
//! Tenants that the file does not name stay as they were, or become as its `[defaults]` say. Those
//! that only the file names are registered too, ask for nothing, and are named in a note: a
//! guarantee of theirs takes memory from everybody.
//!
//! Each sitting of a log is a run of its own, with an empty memory at its beginning, as it was
//! configured then; of a stretch of time, from what was held when it began. Counts and times are
//! added up by tenant; a peak is the highest of all.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use allotment_config::{Group, Setup, Tenant, load, suggestion};
use serde::Serialize;
use uuid::Uuid;

use super::day::{Day, Told};
use crate::args::{ReplayArgs, Size};
use crate::audit::when;
use crate::failure::CliError;
use crate::replay::plan::Plan;
use crate::replay::progress::Progress;
use crate::replay::single_run::SingleRun;
use crate::report::columns::{Grid, shorten};
use crate::report::{RunReport, TenantReport, human, table};

/// Most tenants that are shown; of more, those for whom most changes.
const TENANTS_SHOWN_MAX: usize = 20;

/// What one tenant was told, in the log or in a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    pub granted: u64,
    pub denied: u64,
    pub evicted: u64,
    /// Requests that were served after a wait, and how long they waited on average.
    pub waited: u64,
    pub wait_mean_s: f64,
    pub load_seconds: f64,
    pub peak_used_bytes: u64,
}

/// One tenant of a day.
#[derive(Clone, Debug, Serialize)]
pub struct TenantChange {
    pub name: String,
    pub recorded: Figures,
    pub before: Figures,
    pub after: Figures,
}

/// The answer to "what if".
#[derive(Clone, Debug, Serialize)]
pub struct WhatIf {
    pub log: String,
    pub what_if: String,
    /// Sittings of the log on which something was asked for, each run by itself.
    pub sittings: usize,
    /// What of the log was looked at: one sitting, and times of day; none: all.
    pub sitting: Option<u64>,
    pub since: Option<String>,
    pub until: Option<String>,
    /// Of the last of them.
    pub capacity_before_bytes: u64,
    pub capacity_after_bytes: u64,
    /// Grants, denials and evictions of the run as configured that are not as recorded, out of all.
    pub apart: u64,
    pub answers: u64,
    /// Changes of limits on the day, which are not made again.
    pub changes: u64,
    /// Places at which the log has lost events.
    pub gaps: u64,
    /// Whether what was asked is in the log, or only what was answered.
    pub has_calls: bool,
    /// Tenants of the file that are not in the log.
    pub strangers: Vec<String>,
    pub sums: TenantChange,
    pub tenants: Vec<TenantChange>,
}

/// One sitting, run twice.
struct Sitting {
    capacities_bytes: [u64; 2],
    /// By id: a tenant may have another name on another day.
    tenants: Vec<(Uuid, TenantChange)>,
    /// Of all together: recorded, as configured, what if.
    peaks_bytes: [u64; 3],
}

impl Sitting {
    fn run(args: &ReplayArgs, day: Day, file: &Setup) -> Result<Self, CliError> {
        let after = overlaid(&day.setup, file);
        let Day { workload, setup, governor, told, peak_bytes, .. } = day;
        let workload = Arc::new(workload);
        let run = |setup: &Setup| -> Result<RunReport, CliError> {
            let mut plan = Plan::of_setup(args, setup, &workload, Size::Configured, None)?;
            plan.base = Some(governor.clone());
            let (workload, size, policy) = (&workload, Size::Configured, None);
            SingleRun { args, workload, plan, size, policy }.report(&Progress::on_terminal())
        };
        let now = run(&setup)?;
        let then = run(&after).map_err(|error| {
            CliError::new(format!(
                "{error}; tenants that the file does not name keep what they had"
            ))
        })?;
        let runs = now.tenants.iter().zip(&then.tenants);
        let tenants = setup.tenants.iter().zip(&told).zip(runs);
        let change = |((tenant, told), (before, after)): (_, (&TenantReport, &TenantReport))| {
            let (tenant, told): (&Tenant, &Told) = (tenant, told);
            let change = TenantChange {
                name: tenant.name.clone(),
                recorded: Figures::of_log(told),
                before: Figures::of_run(before),
                after: Figures::of_run(after),
            };
            (tenant.id, change)
        };
        Ok(Self {
            capacities_bytes: [setup.capacity_bytes, after.capacity_bytes],
            tenants: tenants.map(change).collect(),
            peaks_bytes: [peak_bytes, now.peak_used_bytes, then.peak_used_bytes],
        })
    }
}

impl WhatIf {
    /// Asks it of the log in `folder`.
    pub fn of(args: &ReplayArgs, folder: &Path, other: &Path) -> Result<Self, CliError> {
        let file = load(other).map_err(|error| CliError::new(error.to_string()))?;
        let days = Day::all(folder, &args.trace.stretch())?;
        let (sittings, has_calls) = (days.len(), days.iter().all(|day| day.governor.audit_calls));
        let changes = days.iter().map(|day| day.changes).sum();
        let gaps = days.iter().map(|day| day.gaps).sum();
        let mut tenants: Vec<TenantChange> = Vec::new();
        let mut places: HashMap<Uuid, usize> = HashMap::new();
        let (mut capacities_bytes, mut peaks_bytes, mut apart) = ([0; 2], [0; 3], 0);
        for day in days {
            let sitting = Sitting::run(args, day, &file)?;
            capacities_bytes = sitting.capacities_bytes;
            for (peak, other) in peaks_bytes.iter_mut().zip(sitting.peaks_bytes) {
                *peak = other.max(*peak);
            }
            for (id, change) in sitting.tenants {
                apart += change.apart();
                match places.get(&id) {
                    Some(place) => tenants[*place].add(change),
                    None => {
                        places.insert(id, tenants.len());
                        tenants.push(change);
                    }
                }
            }
        }
        let [capacity_before_bytes, capacity_after_bytes] = capacities_bytes;
        Ok(Self {
            log: folder.display().to_string(),
            what_if: other.display().to_string(),
            sittings,
            sitting: args.trace.sitting,
            since: args.trace.since.map(when::short),
            until: args.trace.until.map(when::short),
            capacity_before_bytes,
            capacity_after_bytes,
            apart,
            answers: tenants.iter().map(|tenant| tenant.recorded.answers()).sum(),
            changes,
            gaps,
            has_calls,
            strangers: strangers(&file, &tenants),
            sums: sums(&tenants, peaks_bytes),
            tenants,
        })
    }

    /// For people, ending in a new line.
    pub fn text(&self) -> String {
        let mut shown: Vec<&TenantChange> = self.tenants.iter().collect();
        shown.sort_by_key(|tenant| std::cmp::Reverse(tenant.change()));
        shown.truncate(TENANTS_SHOWN_MAX);
        let mut rows = Vec::new();
        for tenant in shown.iter().copied().chain([&self.sums]) {
            rows.push(row(&tenant.name, "as it was", &tenant.before));
            rows.push(row("", "what if", &tenant.after));
        }
        let headers = vec![
            ("Tenant", false),
            ("", false),
            ("Granted", true),
            ("Denied", true),
            ("Evicted", true),
            ("Waited", true),
            ("Mean wait", true),
            ("Loading", true),
            ("Peak", true),
        ];
        let mut text = self.title();
        text.push_str(&table::text(&Grid { headers, rows }));
        let more = self.tenants.len() - shown.len();
        if more > 0 {
            text.push_str(&format!(
                "... and {}: --json lists them\n",
                human::plural(more as u64, "other")
            ));
        }
        text.push_str(&self.yardstick());
        text
    }

    /// What was run: the log, and which of its sittings.
    fn title(&self) -> String {
        let Self { log, what_if, .. } = self;
        let which = match (self.sitting, self.sittings) {
            (Some(sitting), _) => format!(", sitting {sitting}"),
            (None, 0 | 1) => String::new(),
            (None, several) => format!(", {several} sittings added up"),
        };
        let bound = |word, time: &Option<String>| {
            time.as_ref().map(|time| format!("{word} {time}")).unwrap_or_default()
        };
        let (since, until) = (bound(", from", &self.since), bound(", until", &self.until));
        format!("{log}{which}{since}{until}, under {what_if}\n\n")
    }

    /// How far the run as configured comes to what was recorded, and what else to know.
    fn yardstick(&self) -> String {
        let share = human::percent(self.apart as f64 / self.answers.max(1) as f64);
        let mut text = format!(
            "\nRun as it was configured, the day comes out with {} of {} apart from the log \
             ({share}).\n",
            human::count(self.apart),
            human::plural(self.answers, "answer")
        );
        if !self.has_calls {
            text.push_str(
                "The log has no calls, only answers: each grant is taken as a request of its own, \
                 and what was\nused again is not known. `audit_calls` in the governor's \
                 configuration records them.\n",
            );
        }
        if self.changes > 0 {
            let changes = human::plural(self.changes, "change");
            text.push_str(&format!("{changes} of limits on that day were not made again.\n"));
        }
        if self.gaps > 0 {
            let gaps = human::plural(self.gaps, "gap");
            text.push_str(&format!("The log has {gaps}: what is in them was not asked again.\n"));
        }
        let known: Vec<&str> = self.tenants.iter().map(|tenant| tenant.name.as_str()).collect();
        for name in &self.strangers {
            let near = suggestion(name, &known);
            let (name, what_if) = (shorten(name), &self.what_if);
            text.push_str(&format!(
                "Note: {what_if} names `{name}`, which is not in the log: it asks for nothing, \
                 and its\nguarantee is kept from the others{near}\n"
            ));
        }
        text
    }
}

/// Tenants that the file names and the log does not.
fn strangers(file: &Setup, tenants: &[TenantChange]) -> Vec<String> {
    let is_known = |name: &String| tenants.iter().any(|tenant| tenant.name == *name);
    let names = file.tenants.iter().map(|tenant| &tenant.name);
    names.filter(|name| !is_known(name)).cloned().collect()
}

impl Figures {
    fn of_log(told: &Told) -> Self {
        Self {
            granted: told.granted,
            denied: told.denied,
            evicted: told.evicted,
            waited: told.served,
            wait_mean_s: told.waited_ns as f64 / 1e9 / told.served.max(1) as f64,
            load_seconds: told.load_ms as f64 / 1e3,
            peak_used_bytes: told.peak_bytes,
        }
    }

    fn of_run(run: &TenantReport) -> Self {
        let waits = run.waits.as_ref();
        Self {
            granted: run.granted,
            denied: run.denied,
            evicted: run.evicted,
            waited: waits.map_or(0, |waits| waits.granted_after_wait),
            wait_mean_s: waits.and_then(|waits| waits.wait_mean_s).unwrap_or(0.0),
            load_seconds: run.load_seconds.unwrap_or(0.0),
            peak_used_bytes: run.peak_used_bytes,
        }
    }

    fn answers(&self) -> u64 {
        self.granted + self.denied + self.evicted
    }

    fn apart(&self, other: &Self) -> u64 {
        self.granted.abs_diff(other.granted)
            + self.denied.abs_diff(other.denied)
            + self.evicted.abs_diff(other.evicted)
    }

    fn add(&mut self, other: &Self) {
        let waited_s = self.waited as f64 * self.wait_mean_s;
        let waited_s = waited_s + other.waited as f64 * other.wait_mean_s;
        self.granted += other.granted;
        self.denied += other.denied;
        self.evicted += other.evicted;
        self.waited += other.waited;
        self.wait_mean_s = waited_s / self.waited.max(1) as f64;
        self.load_seconds += other.load_seconds;
    }
}

impl TenantChange {
    /// The same tenant on another day.
    fn add(&mut self, other: Self) {
        let pairs = [
            (&mut self.recorded, &other.recorded),
            (&mut self.before, &other.before),
            (&mut self.after, &other.after),
        ];
        for (sum, figures) in pairs {
            sum.add(figures);
            sum.peak_used_bytes = sum.peak_used_bytes.max(figures.peak_used_bytes);
        }
        self.name = other.name;
    }

    fn apart(&self) -> u64 {
        self.recorded.apart(&self.before)
    }

    /// How much changes for it, to order by.
    fn change(&self) -> u64 {
        let loading = (self.before.load_seconds - self.after.load_seconds).abs();
        self.before.apart(&self.after)
            + loading as u64
            + self.before.waited.abs_diff(self.after.waited)
    }
}

/// All tenants together; their peaks were at several times, so that of all is a figure of its own.
fn sums(tenants: &[TenantChange], peaks_bytes: [u64; 3]) -> TenantChange {
    let [recorded, before, after] =
        peaks_bytes.map(|peak_used_bytes| Figures { peak_used_bytes, ..Figures::default() });
    let mut sums = TenantChange { name: "all".to_string(), recorded, before, after };
    for tenant in tenants {
        sums.recorded.add(&tenant.recorded);
        sums.before.add(&tenant.before);
        sums.after.add(&tenant.after);
    }
    sums
}

fn row(name: &str, what: &str, figures: &Figures) -> Vec<String> {
    let seconds = |seconds: f64| match seconds {
        0.0 => "-".to_string(),
        seconds => human::seconds(seconds),
    };
    vec![
        shorten(name),
        what.to_string(),
        human::count(figures.granted),
        human::count(figures.denied),
        human::count(figures.evicted),
        human::count(figures.waited),
        seconds(figures.wait_mean_s),
        seconds(figures.load_seconds),
        human::bytes(figures.peak_used_bytes),
    ]
}

/// The recorded configuration with what the file says instead.
fn overlaid(recorded: &Setup, file: &Setup) -> Setup {
    let mut groups = file.groups.clone();
    // Groups that the file does not name stay, with their parents by name.
    let place = |groups: &[Group], name: &str| groups.iter().position(|g| g.name == name);
    for group in &recorded.groups {
        if place(&groups, &group.name).is_none() {
            let parent = group.parent.and_then(|at| place(&groups, &recorded.groups[at].name));
            groups.push(Group { parent, ..group.clone() });
        }
    }
    let kept = |tenant: &Tenant| {
        let group = tenant.group.and_then(|at| place(&groups, &recorded.groups[at].name));
        Tenant { group, ..tenant.clone() }
    };
    let mut tenants = file.tenants.clone();
    for tenant in &recorded.tenants {
        if tenants.iter().all(|named| named.name != tenant.name) {
            let defaults = file.defaults.as_ref();
            tenants.push(defaults.map_or_else(|| kept(tenant), |d| d.tenant(&tenant.name)));
        }
    }
    Setup { groups, tenants, grants_max: file.grants_max.or(recorded.grants_max), ..file.clone() }
}
