//! One look at everything that the dashboard shows, and what has changed since the one before.
//!
//! ```text
//! V1  what a watcher has after a snapshot and all changes since = the last look
//! V2  a tenant has one row number as long as it is registered, and nobody else has it later
//! ```
//!
//! Rows are arrays, since there may be thousands: [`TENANT_COLUMNS`] and [`FIGURE_COLUMNS`] say
//! what stands where, and every snapshot carries them.

use crate::events::END;
use crate::groups::GroupBody;
use crate::looks::PoolBody;
use crate::recent::{DenialBody, EvictedBody, Recent, unix_ms};
use crate::state::{State, at_once};
use allotment::{
    Alert, EventKind, EventMark, EventRead, HistoryPoint, Pressure, Recommendation,
    TenantDashboard, TenantId, TenantUsage, UsageHistory,
};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use utoipa::ToSchema;

/// What stands where in the first part of a row, which rarely changes.
const TENANT_COLUMNS: [&str; 9] = [
    "n",
    "id",
    "name",
    "group",
    "priority",
    "hold",
    "guarantee_bytes",
    "limit_bytes",
    "burst_bytes",
];
/// What stands where in the second part.
const FIGURE_COLUMNS: [&str; 11] = [
    "n",
    "ceiling_bytes",
    "fair_bytes",
    "used_bytes",
    "evictable_bytes",
    "claimed_bytes",
    "grants",
    "waiting",
    "denied",
    "evicted",
    "evicted_bytes",
];
/// Changes of pressure that a snapshot tells of.
const PRESSURE_CHANGES_MAX: usize = 256;
const NS_IN_MS: u64 = 1_000_000;

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Tenant(
    u32,
    Option<String>,
    String,
    Option<String>,
    &'static str,
    &'static str,
    u64,
    Option<u64>,
    Option<u64>,
);

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Figures(u32, Option<u64>, u64, u64, u64, u64, u64, u64, u64, u64, u64);

/// A second or a minute: when it began in ms since 1970, most bytes in use, requests, denials,
/// bytes evicted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Point(u64, u64, u32, u32, u64);

/// What was used over time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct HistoryBody {
    #[schema(value_type = Vec<Vec<u64>>)]
    seconds: Vec<Point>,
    #[schema(value_type = Vec<Vec<u64>>)]
    minutes: Vec<Point>,
}

/// A sentence that somebody should read.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct AdviceBody {
    tenant: Option<String>,
    name: Option<String>,
    text: String,
}

/// Everything at about one time.
pub struct View {
    /// When the look was taken.
    time_ms: u64,
    pool: PoolBody,
    history: HistoryBody,
    groups: Vec<GroupBody>,
    rows: BTreeMap<TenantId, (Tenant, Figures)>,
    advice: Vec<AdviceBody>,
    alerts: Vec<AdviceBody>,
    evictions: Vec<EvictedBody>,
}

/// From times of the governor's clock to ms since 1970.
#[derive(Clone, Copy)]
pub struct Calendar {
    unix_ms: u64,
    now_ns: u64,
}

impl Calendar {
    /// As of now.
    pub fn new(state: &State) -> Self {
        Self { unix_ms: unix_ms(), now_ns: state.now_ns() }
    }

    /// The time of day that it is of.
    pub fn now_ms(&self) -> u64 {
        self.unix_ms
    }

    /// The time of day of a time of the clock that has passed.
    pub fn unix_ms(&self, at_ns: u64) -> u64 {
        self.unix_ms.saturating_sub(self.now_ns.saturating_sub(at_ns) / NS_IN_MS)
    }

    fn point(&self, point: &HistoryPoint) -> Point {
        let at_ms = self.unix_ms(point.time_ns);
        Point(at_ms, point.used_bytes, point.requests, point.denied, point.evicted_bytes)
    }

    /// A history in times of day.
    pub fn history(&self, of: &UsageHistory) -> HistoryBody {
        let points = |points: &[HistoryPoint]| points.iter().map(|p| self.point(p)).collect();
        HistoryBody { seconds: points(&of.seconds), minutes: points(&of.minutes) }
    }
}

impl AdviceBody {
    /// Of alerts that are open.
    pub fn of_alerts(alerts: &[Alert]) -> Vec<Self> {
        let body = |alert: &Alert| Self {
            tenant: alert.tenant.map(|tenant| tenant.to_string()),
            name: alert.tenant.map(|_| alert.name.clone()),
            text: alert.to_string(),
        };
        alerts.iter().map(body).collect()
    }

    /// Of recommendations, about one tenant or all.
    pub fn of_page(page: &TenantDashboard, about: Option<TenantId>) -> Vec<Self> {
        let all = page.recommendations.iter();
        let chosen = all.filter(|advice| about.is_none() || advice.tenant == about);
        let name = |tenant: Option<TenantId>| {
            let summary = page.tenant_summaries.iter().find(|of| Some(of.tenant_id) == tenant);
            summary.map(|summary| summary.name.clone())
        };
        let body = |advice: &Recommendation| Self {
            tenant: advice.tenant.map(|tenant| tenant.to_string()),
            name: name(advice.tenant),
            text: advice.text.clone(),
        };
        chosen.map(body).collect()
    }
}

/// Row numbers of tenants.
#[derive(Default)]
pub struct Numbers {
    last: u32,
    of: HashMap<TenantId, u32>,
}

impl Numbers {
    fn of(&mut self, tenant: TenantId) -> u32 {
        let Self { last, of } = self;
        *of.entry(tenant).or_insert_with(|| {
            *last += 1;
            *last
        })
    }

    fn keep(&mut self, rows: &BTreeMap<TenantId, (Tenant, Figures)>) {
        self.of.retain(|tenant, _| rows.contains_key(tenant));
    }
}

impl View {
    /// A look. Cost: grows with tenants and allocations.
    pub fn new(state: &State, numbers: &mut Numbers) -> Self {
        let governor = state.manager.governor();
        let page = at_once(state.page()).expect("it has no errors");
        let calendar = Calendar::new(state);
        let mut names: HashMap<&str, u32> = HashMap::new();
        for usage in &page.tenant_summaries {
            *names.entry(&usage.name).or_default() += 1;
        }
        let rows = page.tenant_summaries.iter().filter_map(|usage| {
            // One that has left meanwhile is left out.
            let config = governor.tenant_config(governor.find(usage.tenant_id)?).ok()?;
            let group = config.parent.map(|group| governor.group_config(group)).transpose().ok()?;
            let n = numbers.of(usage.tenant_id);
            let tenant = Tenant(
                n,
                // Others are found by their names, and ids are long.
                (names[&*usage.name] > 1).then(|| usage.tenant_id.to_string()),
                usage.name.clone(),
                group.map(|group| group.name),
                config.priority.name(),
                crate::tenants::hold_name(usage.hold),
                config.guarantee_bytes,
                config.limit_bytes,
                config.burst_bytes,
            );
            Some((usage.tenant_id, (tenant, figures(n, usage))))
        });
        let rows = rows.collect();
        numbers.keep(&rows);
        Self {
            time_ms: calendar.now_ms(),
            pool: PoolBody::new(state, &page),
            history: calendar.history(&page.history),
            groups: governor.groups().into_iter().map(GroupBody::from).collect(),
            rows,
            advice: AdviceBody::of_page(&page, None),
            alerts: AdviceBody::of_alerts(&page.open_alerts),
            evictions: state.recent.evictions(&state.book(), None),
        }
    }
}

fn figures(n: u32, usage: &TenantUsage) -> Figures {
    let used = usage.allocated_memory_bytes;
    Figures(
        n,
        usage.limit_in_force_bytes,
        usage.fair_share_bytes,
        used,
        used.saturating_sub(usage.unevictable_memory_bytes),
        usage.claimed_memory_bytes,
        usage.allocations,
        usage.waiting_requests,
        usage.denied_requests,
        usage.evicted_allocations,
        usage.evicted_memory_bytes,
    )
}

/// Everything, for who begins to watch.
#[derive(Serialize)]
pub struct SnapshotBody<'a> {
    boot: &'a str,
    version: &'static str,
    time_ms: u64,
    high_percent: u8,
    critical_percent: u8,
    hysteresis_percent: u8,
    tenant_columns: &'static [&'static str],
    figure_columns: &'static [&'static str],
    pool: &'a PoolBody,
    history: &'a HistoryBody,
    pressure: Vec<(u64, &'static str)>,
    groups: &'a [GroupBody],
    tenants: Vec<&'a Tenant>,
    figures: Vec<&'a Figures>,
    advice: &'a [AdviceBody],
    alerts: &'a [AdviceBody],
    denials: Vec<DenialBody>,
    evictions: &'a [EvictedBody],
}

/// What has changed since the change before. What is absent is as it was.
#[derive(Serialize)]
pub struct ChangeBody<'a> {
    time_ms: u64,
    pool: &'a PoolBody,
    seconds: &'a [Point],
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<&'a [GroupBody]>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tenants: Vec<&'a Tenant>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    figures: Vec<&'a Figures>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    gone: Vec<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<&'a [AdviceBody]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alerts: Option<&'a [AdviceBody]>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    denials: Vec<DenialBody>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    evictions: Vec<&'a EvictedBody>,
}

/// The last look, for whoever comes, and what has been told.
pub struct Board {
    /// The last look.
    pub view: View,
    /// The last refusal that was told.
    denial: u64,
}

impl Board {
    /// Begins with a look.
    pub fn new(view: View, recent: &Recent) -> Self {
        let denial = recent.denials(None, 0).first().map_or(0, |denial| denial.number);
        Self { view, denial }
    }

    /// Everything that was told so far.
    pub fn snapshot<'a>(&'a self, state: &State, boot: &'a str) -> SnapshotBody<'a> {
        let View { time_ms, pool, history, groups, rows, advice, alerts, evictions } = &self.view;
        let config = state.manager.governor().config();
        let mut denials = state.recent.denials(None, 0);
        // Newer ones come with the next change.
        denials.retain(|denial| denial.number <= self.denial);
        SnapshotBody {
            boot,
            version: env!("CARGO_PKG_VERSION"),
            // That of the figures: whoever joins gets those that others have already.
            time_ms: *time_ms,
            high_percent: config.high_percent,
            critical_percent: config.critical_percent,
            hysteresis_percent: config.hysteresis_percent,
            tenant_columns: &TENANT_COLUMNS,
            figure_columns: &FIGURE_COLUMNS,
            pool,
            history,
            pressure: pressure_changes(state, *time_ms),
            groups,
            tenants: rows.values().map(|(tenant, _)| tenant).collect(),
            figures: rows.values().map(|(_, figures)| figures).collect(),
            advice,
            alerts,
            denials,
            evictions,
        }
    }

    /// Takes a new look; what has changed, after which `then` writes it down.
    pub fn turn<T>(
        &mut self,
        view: View,
        recent: &Recent,
        then: impl FnOnce(&ChangeBody) -> T,
    ) -> T {
        let old = std::mem::replace(&mut self.view, view);
        let new = &self.view;
        let denials = recent.denials(None, self.denial);
        self.denial = denials.first().map_or(self.denial, |denial| denial.number);
        let is_new = |tenant: &TenantId, row: &Tenant| {
            old.rows.get(tenant).is_none_or(|(before, _)| before != row)
        };
        let has_changed = |tenant: &TenantId, row: &Figures| {
            old.rows.get(tenant).is_none_or(|(_, before)| before != row)
        };
        let rows = || new.rows.iter();
        let last = new.history.seconds.len().saturating_sub(2);
        let change = ChangeBody {
            time_ms: new.time_ms,
            pool: &new.pool,
            seconds: &new.history.seconds[last..],
            groups: (old.groups != new.groups).then_some(&new.groups),
            tenants: rows().filter(|(id, row)| is_new(id, &row.0)).map(|(_, row)| &row.0).collect(),
            figures: rows()
                .filter(|(id, row)| has_changed(id, &row.1))
                .map(|(_, row)| &row.1)
                .collect(),
            gone: old
                .rows
                .iter()
                .filter(|(id, row)| new.rows.get(id).is_none_or(|now| now.0.0 != row.0.0))
                .map(|(_, row)| row.0.0)
                .collect(),
            advice: (old.advice != new.advice).then_some(&new.advice),
            alerts: (old.alerts != new.alerts).then_some(&new.alerts),
            denials,
            evictions: new.evictions.iter().filter(|e| !old.evictions.contains(e)).collect(),
        };
        then(&change)
    }
}

/// The last changes of pressure up to a time that the governor still knows, oldest first.
fn pressure_changes(state: &State, until_ms: u64) -> Vec<(u64, &'static str)> {
    let calendar = Calendar::new(state);
    let governor = state.manager.governor();
    let end = governor.events_after(END).position();
    let mut reader = governor.events_after(EventMark::default());
    let mut changes = Vec::new();
    while reader.position() < end {
        match reader.read() {
            EventRead::Event(event) if event.kind == EventKind::PressureChanged => {
                let level = Pressure::ALL.into_iter().find(|level| *level as u8 == event.to);
                let name = level.map_or("other", Pressure::name);
                changes.push((calendar.unix_ms(event.time_ns), name));
            }
            EventRead::Event(_) | EventRead::Lost(_) => {}
            EventRead::Empty => break,
        }
    }
    changes.retain(|(at_ms, _)| *at_ms <= until_ms);
    changes.split_off(changes.len().saturating_sub(PRESSURE_CHANGES_MAX))
}
