//! One look at everything: statistics, history and alerts.
//!
//! ```text
//! N1  watched tenants = those that asked for something, or held something, in the last hour
//! N2  sums of the pool = what was counted of every tenant up to its last look, also of those that
//!     are gone
//! N3  a look takes no lock of a tenant, and allocates nothing, unless something begins or ends:
//!     an alert, a history, the watch of a tenant; or an alert of the pool is open
//! ```
//!
//! A tenant is watched from its first request on. One that neither asks nor holds anything for the
//! whole of the long history is looked at no more, and gives its history back. So a look costs a
//! load of each account, for the sum of what is live, and some dozens of loads for each tenant that
//! was active in the last hour. While two or more requests wait it looks for a circle as well.
//!
//! Whoever looks holds the monitor's lock, takes the records' lock of a tenant at most for its
//! name, and lets go of all before anybody is called. Nobody holds records and asks for the
//! monitor.

use super::alerts::{Alert, AlertChange, AlertKind, AlertLevel, AlertStream};
use super::allocation::{Given, Refused};
use super::eviction::balancing;
use super::history::{History, IDLE_NS_MAX, Look, UsageHistory};
use super::statistics::{
    Count, Histogram, MemoryStatistics, Statistics, Timing, Totals, share_percent,
};
use super::tenant::Tenant;
use super::thresholds::AlertThresholds;
use super::trend::{ALERTS_OF_ALL, Recent, Trend, above, fill_percent, of_utilisation};
use super::trigger::{Pace, Reading, Trigger};
use super::{Counter, Inner, MultiTenantMemoryManager, lock};
use crate::TenantHandle;
use crate::balance::BalanceReport;
use crate::circle::CircularWait;
use crate::config::TenantId;
use crate::meter::Meter;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

/// What a look of the monitor saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MonitorReport {
    /// Tenants that are watched.
    pub watched_tenants: usize,
    /// Alerts that were raised.
    pub raised: usize,
    /// Alerts that were cleared.
    pub cleared: usize,
}

/// What the manager keeps for monitoring.
pub(super) struct Monitoring {
    pub thresholds: AlertThresholds,
    pub alerts: Arc<AlertStream>,
    /// Of all tenants.
    pub latency: Histogram,
    pub waits: Histogram,
    /// Steps of the balancer that evicted something.
    balanced: Counter,
    histories_max: usize,
    /// Tenants that have begun to ask since the last look.
    arrivals: Mutex<Vec<Arc<Tenant>>>,
    state: Mutex<Monitor>,
}

impl Monitoring {
    /// Most histories at once, unless set: 16 MiB at most.
    pub(super) const HISTORIES_MAX: usize = 4_096;

    pub(super) fn new(
        thresholds: AlertThresholds,
        alerts_max: usize,
        histories_max: usize,
    ) -> Self {
        Self {
            thresholds,
            alerts: Arc::new(AlertStream::new(alerts_max)),
            latency: Histogram::default(),
            waits: Histogram::default(),
            balanced: Counter::new(0),
            histories_max,
            arrivals: Mutex::default(),
            state: Mutex::new(Monitor::new()),
        }
    }

    /// Has the monitor look at a tenant from now on. At most `most` wait for that; others are
    /// noticed at a later request.
    #[cold]
    fn welcome(&self, tenant: &Arc<Tenant>, most: usize) {
        let mut arrivals = lock(&self.arrivals);
        // Relaxed: of two requests at once the lock lets one in; a request that misses the end of
        // a watch is followed by others.
        let watched = &tenant.statistics.get().watched;
        if arrivals.len() < most && !watched.swap(true, Ordering::Relaxed) {
            arrivals.push(tenant.clone());
        }
    }
}

impl Drop for Monitoring {
    fn drop(&mut self) {
        self.alerts.close();
    }
}

/// A tenant that is looked at.
struct Watch {
    /// The tenant's handle and counters, at hand.
    handle: TenantHandle,
    counted: Arc<Statistics>,
    tenant: Arc<Tenant>,
    /// What was added to the sums.
    last: Totals,
    trend: Trend,
    /// Whether it is as full as the pool is at High.
    pressed: bool,
    history: Option<Box<History>>,
    since_ns: u64,
    asked_ns: u64,
    active_ns: u64,
}

impl Watch {
    fn new(tenant: Arc<Tenant>, now_ns: u64) -> Self {
        let counted = tenant.statistics.get().clone();
        let last = *lock(&counted.settled);
        Self {
            handle: tenant.handle,
            counted,
            trend: Trend::new(now_ns, &last, 0),
            tenant,
            last,
            pressed: false,
            history: None,
            since_ns: now_ns,
            asked_ns: now_ns,
            active_ns: now_ns,
        }
    }

    /// Enters what the tenant has done since the last look.
    fn turn(&mut self, now_ns: u64, totals: Totals, meter: &Meter, high: (u8, u8)) {
        let gained = |count| totals.get(count).saturating_sub(self.last.get(count));
        let look = Look {
            used_bytes: meter.used_bytes,
            requests: gained(Count::Requests),
            denied: gained(Count::Denied),
            evicted_bytes: gained(Count::EvictedBytes),
        };
        if look.requests > 0 {
            self.asked_ns = now_ns;
        }
        if look.requests > 0 || look.used_bytes > 0 {
            self.active_ns = now_ns;
        }
        let percent = fill_percent(meter.used_bytes, meter.limit_bytes);
        let (high, points) = (f64::from(high.0), f64::from(high.1));
        let pressed = percent >= if self.pressed { high - points } else { high };
        let rises = self.trend.pressure_events + u64::from(pressed && !self.pressed);
        self.pressed = pressed;
        self.trend.turn(now_ns, &totals, rises);
        if let Some(history) = &mut self.history {
            history.note(now_ns, &look);
        }
        self.last = totals;
    }

    /// Whether it may be looked at no more.
    fn is_idle(&self, now_ns: u64) -> bool {
        now_ns.saturating_sub(self.active_ns) >= IDLE_NS_MAX
            && !self.trend.triggers.iter().any(Trigger::is_raised)
    }
}

/// The pool, looked at.
struct PoolWatch {
    /// What all tenants did, as far as the monitor has looked.
    sums: Totals,
    /// Requests as of the last look.
    requests: u64,
    trend: Trend,
    critical: Trigger,
    measurement: Trigger,
    circle: Trigger,
    unfreed: Trigger,
    /// Frees that did not show in the measurements, as of the last look.
    shortfalls: u64,
    /// The circle that was seen last, and in how many looks in a row.
    seen_circle: Option<CircularWait>,
    circle_looks: u32,
    history: History,
    peak_bytes: u64,
    /// The longest time any owner took to answer.
    reclaim_largest_ns: u64,
}

/// What makes two alerts the same one.
type Key = (Option<TenantId>, AlertKind, AlertLevel);

/// Everything the looks have found so far.
struct Monitor {
    now_ns: u64,
    watches: Vec<Watch>,
    /// Where the watch of a tenant is, by its handle.
    places: HashMap<u64, usize>,
    histories: usize,
    pool: PoolWatch,
    open: BTreeMap<Key, Alert>,
    /// Alerts of the look that is going on.
    fired: Vec<Alert>,
}

impl Monitor {
    fn new() -> Self {
        let sums = Totals::default();
        Self {
            now_ns: 0,
            watches: Vec::new(),
            places: HashMap::new(),
            histories: 0,
            pool: PoolWatch {
                sums,
                requests: 0,
                trend: Trend::new(0, &sums, 0),
                critical: Trigger::default(),
                measurement: Trigger::default(),
                circle: Trigger::default(),
                unfreed: Trigger::default(),
                shortfalls: 0,
                seen_circle: None,
                circle_looks: 0,
                history: History::new(),
                peak_bytes: 0,
                reclaim_largest_ns: 0,
            },
            open: BTreeMap::new(),
            fired: Vec::new(),
        }
    }

    fn fire(
        &mut self,
        reading: &Reading,
        tenant: Option<TenantId>,
        name: String,
        raised_or_cleared: AlertChange,
    ) {
        let alert = Alert {
            kind: reading.kind,
            tenant,
            name,
            level: reading.level,
            value: reading.value,
            latest: reading.value,
            threshold: reading.threshold,
            time_ns: self.now_ns,
            raised_or_cleared,
            sequence: 0,
        };
        let key = (tenant, alert.kind, alert.level);
        match raised_or_cleared {
            AlertChange::Raised => self.open.insert(key, alert.clone()),
            AlertChange::Cleared => self.open.remove(&key),
        };
        self.fired.push(alert);
    }

    /// An alert that stays open shows what was measured last.
    fn renew(&mut self, reading: &Reading, tenant: Option<TenantId>) {
        if let Some(alert) = self.open.get_mut(&(tenant, reading.kind, reading.level)) {
            alert.latest = reading.value;
        }
    }

    fn open_of(&self, tenant: Option<TenantId>) -> Vec<Alert> {
        let first = (tenant, AlertKind::TenantUtilisation, AlertLevel::Warning);
        let its = self.open.range(first..).take_while(|(key, _)| key.0 == tenant);
        its.map(|(_, alert)| alert.clone()).collect()
    }

    /// Answers whether anybody has come.
    fn welcome(&mut self, arrivals: &mut Vec<Arc<Tenant>>) -> bool {
        let come = !arrivals.is_empty();
        for tenant in arrivals.drain(..) {
            let handle = tenant.handle.as_u64();
            if let std::collections::hash_map::Entry::Vacant(place) = self.places.entry(handle) {
                place.insert(self.watches.len());
                self.watches.push(Watch::new(tenant, self.now_ns));
            }
        }
        come
    }

    /// Looks at a tenant no more.
    fn part(&mut self, at: usize, is_gone: bool) {
        let watch = self.watches.swap_remove(at);
        self.places.remove(&watch.handle.as_u64());
        if let Some(moved) = self.watches.get(at) {
            self.places.insert(moved.handle.as_u64(), at);
        }
        self.histories -= usize::from(watch.history.is_some());
        let statistics = &watch.counted;
        let totals = statistics.totals(watch.last.get(Count::EvictedBytes));
        self.pool.sums.add_gain(&totals, &watch.last);
        *lock(&statistics.settled) = totals;
        if !is_gone {
            // Relaxed: a request that misses this is followed by others.
            statistics.watched.store(false, Ordering::Relaxed);
            return;
        }
        let id = Some(watch.tenant.id);
        for alert in self.open_of(id) {
            self.open.remove(&(id, alert.kind, alert.level));
            let (time_ns, raised_or_cleared) = (self.now_ns, AlertChange::Cleared);
            let (value, latest) = (0.0, 0.0);
            self.fired.push(Alert { value, latest, time_ns, raised_or_cleared, ..alert });
        }
    }
}

impl Inner {
    /// A look at everything at a time of the governor's clock; an earlier one than that of the
    /// last look counts as the same. Calls back with nothing held.
    pub(super) fn monitor_step(&self, now_ns: u64) -> MonitorReport {
        let mut monitor = lock(&self.monitoring.state);
        monitor.now_ns = monitor.now_ns.max(now_ns);
        if monitor.welcome(&mut lock(&self.monitoring.arrivals)) {
            self.part_gone(&mut monitor);
        }
        let mut at = 0;
        while at < monitor.watches.len() {
            at += usize::from(self.look_at(&mut monitor, at));
        }
        self.look_at_pool(&mut monitor);
        let mut fired = std::mem::take(&mut monitor.fired);
        if !fired.is_empty() {
            self.monitoring.alerts.enter(&mut fired);
        }
        let watched_tenants = monitor.watches.len();
        drop(monitor);
        self.monitoring.alerts.announce(&fired);
        let count = |change| fired.iter().filter(|a| a.raised_or_cleared == change).count();
        MonitorReport {
            watched_tenants,
            raised: count(AlertChange::Raised),
            cleared: count(AlertChange::Cleared),
        }
    }

    /// Parts with those that are gone before anybody is looked at who has come: it may have the id
    /// of one of them, whose alerts are cleared before its own are raised.
    fn part_gone(&self, monitor: &mut Monitor) {
        let mut at = 0;
        while let Some(watch) = monitor.watches.get(at) {
            match self.governor.meter(watch.handle) {
                Some(_) => at += 1,
                None => monitor.part(at, true),
            }
        }
    }

    /// Looks at a tenant; false if its watch is over.
    fn look_at(&self, monitor: &mut Monitor, at: usize) -> bool {
        let (now_ns, config) = (monitor.now_ns, self.governor.config());
        let thresholds = &self.monitoring.thresholds;
        let watch = &mut monitor.watches[at];
        let Some(meter) = self.governor.meter(watch.handle) else {
            monitor.part(at, true);
            return false;
        };
        let totals = watch.counted.totals(meter.evicted_bytes);
        let pool = &mut monitor.pool;
        if totals != watch.last {
            pool.sums.add_gain(&totals, &watch.last);
        }
        if totals.get(Count::ReclaimAsked) > watch.last.get(Count::ReclaimAsked) {
            let largest_ns = watch.counted.reclaim_largest_ns();
            pool.reclaim_largest_ns = pool.reclaim_largest_ns.max(largest_ns);
        }
        if watch.history.is_none() && monitor.histories < self.monitoring.histories_max {
            watch.history = Some(Box::new(History::new()));
            monitor.histories += 1;
        }
        watch.turn(now_ns, totals, &meter, (config.high_percent, config.hysteresis_percent));
        if watch.is_idle(now_ns) {
            monitor.part(at, false);
            return false;
        }
        let percent = fill_percent(meter.used_bytes, meter.limit_bytes);
        let bound = thresholds.tenant_utilisation_percent;
        if watch.trend.is_quiet() && percent <= f64::from(bound) {
            return true;
        }
        let readings =
            watch.trend.readings(thresholds, (AlertKind::TenantUtilisation, percent, bound));
        let pace = Pace::of(thresholds);
        for (number, reading) in readings.iter().enumerate() {
            let watch = &mut monitor.watches[at];
            let (trigger, id) = (&mut watch.trend.triggers[number], watch.tenant.id);
            if let Some(change) = trigger.pull(reading, pace, now_ns) {
                let name = lock(&watch.tenant.held).name.clone();
                monitor.fire(reading, Some(id), format!("tenant {name}"), change);
            } else if trigger.is_raised() {
                monitor.renew(reading, Some(id));
            }
        }
        true
    }

    fn look_at_pool(&self, monitor: &mut Monitor) {
        let (now_ns, thresholds) = (monitor.now_ns, &self.monitoring.thresholds);
        let meter = self.governor.pool_meter();
        let pool = &mut monitor.pool;
        let before = pool.trend.now();
        let after = Recent::of(&pool.sums);
        let requests = pool.sums.get(Count::Requests);
        pool.peak_bytes = pool.peak_bytes.max(meter.live_bytes);
        pool.trend.turn(now_ns, &pool.sums, meter.pressure_rises);
        let look = Look {
            used_bytes: meter.live_bytes,
            requests: requests - std::mem::replace(&mut pool.requests, requests),
            denied: after.denied - before.denied,
            evicted_bytes: after.evicted_bytes - before.evicted_bytes,
        };
        pool.history.note(now_ns, &look);
        let percent = fill_percent(meter.live_bytes, meter.capacity_bytes);
        let (kind, pace) = (AlertKind::GlobalUtilisation, Pace::of(thresholds));
        let bounds = (thresholds.global_utilisation_percent, thresholds.global_critical_percent);
        let readings = pool.trend.readings(thresholds, (kind, percent, bounds.0));
        let critical = of_utilisation(thresholds, kind, AlertLevel::Critical, percent, bounds.1);
        let silent = self.silence(now_ns);
        let found = self.governor.shortfalls();
        let new = found - std::mem::replace(&mut pool.shortfalls, found);
        let not_freed = above(thresholds, AlertKind::FreedNotMeasured, new as f64, 0);
        let PoolWatch { trend, critical: full, measurement, unfreed, .. } = pool;
        let common = trend.triggers.iter_mut().zip(&readings).take(ALERTS_OF_ALL);
        let seen: Vec<(Reading, Option<AlertChange>)> = common
            .chain([(full, &critical), (measurement, &silent), (unfreed, &not_freed)])
            .filter_map(|(trigger, reading)| {
                let change = trigger.pull(reading, pace, now_ns);
                (change.is_some() || trigger.is_raised()).then_some((*reading, change))
            })
            .collect();
        for (reading, change) in seen {
            match change {
                Some(change) => monitor.fire(&reading, None, "the pool".to_string(), change),
                None => monitor.renew(&reading, None),
            }
        }
        self.look_for_circle(monitor);
    }

    /// A circle counts once it is seen in two looks in a row, by any of its tenants.
    fn look_for_circle(&self, monitor: &mut Monitor) {
        let pool = &mut monitor.pool;
        let circle = self.governor.circular_wait();
        let (kind, level) = (AlertKind::CircularWait, AlertLevel::Critical);
        let is_again = match (&circle, &pool.seen_circle) {
            (Some(now), Some(before)) => now.tenants.iter().any(|t| before.tenants.contains(t)),
            _ => false,
        };
        pool.circle_looks = if is_again { pool.circle_looks.saturating_add(1) } else { 1 };
        let tenants = circle.as_ref().filter(|_| pool.circle_looks > 1);
        let value = tenants.map_or(0.0, |circle| circle.tenants.len() as f64);
        let reading = Reading { kind, level, value, threshold: 1.0, clear: 0.0 };
        let pace = Pace::of(&self.monitoring.thresholds);
        let change = pool.circle.pull(&reading, pace, monitor.now_ns);
        let name = tenants.map(|circle| circle.names.join(", "));
        pool.seen_circle = circle;
        if let Some(change) = change {
            monitor.fire(&reading, None, name.unwrap_or_else(|| "the pool".to_string()), change);
        }
    }

    /// For how long the machine could not be read.
    fn silence(&self, now_ns: u64) -> Reading {
        let thresholds = &self.monitoring.thresholds;
        let failing_ns = self.machine.failing_since_ns();
        let silent_ns = failing_ns.map_or(0, |since| now_ns.saturating_sub(since));
        let value = silent_ns as f64 / 1e9;
        above(thresholds, AlertKind::MeasurementMissing, value, thresholds.measurement_secs)
    }
}

/// What is known of a tenant beside what it holds.
pub(super) struct TenantReport {
    pub statistics: MemoryStatistics,
    pub history: Option<UsageHistory>,
    pub open: Vec<Alert>,
    /// For how long it has been watched, and has not asked.
    pub watched_ns: u64,
    pub silent_ns: u64,
}

/// What is known of the pool beside what it holds.
pub(super) struct PoolReport {
    pub statistics: MemoryStatistics,
    pub history: UsageHistory,
    pub open: Vec<Alert>,
}

impl Inner {
    /// Counts a request and begins to time it.
    pub(super) fn begin(&self, tenant: &Arc<Tenant>) -> Timing {
        let statistics = tenant.statistics.get();
        // Relaxed: see `welcome`.
        if !statistics.watched.load(Ordering::Relaxed) {
            self.monitoring.welcome(tenant, self.governor.config().tenants_max as usize);
        }
        statistics.note_request();
        Timing::begin(self.governor.clock())
    }

    /// The same, where a request may be told to come back.
    pub(super) fn finish_given(
        &self,
        tenant: &Tenant,
        timing: &Timing,
        answer: &Result<Given, Refused>,
    ) {
        if let Ok(Given::Queued { .. }) = answer {
            tenant.statistics.get().note(Count::Queued);
            self.time(tenant, timing);
        } else {
            self.finish(tenant, timing, answer);
        }
    }

    /// Counts the answer and the time it took.
    pub(super) fn finish<T>(&self, tenant: &Tenant, timing: &Timing, answer: &Result<T, Refused>) {
        if self.count(tenant, answer) {
            self.time(tenant, timing);
        }
    }

    /// Counts an answer; says whether it is one, not misuse.
    pub(super) fn count<T>(&self, tenant: &Tenant, answer: &Result<T, Refused>) -> bool {
        tenant.statistics.get().note(match answer {
            Ok(_) => Count::Granted,
            Err(Refused::Denied(_)) => Count::Denied,
            Err(Refused::Misuse(_)) => return false,
        });
        true
    }

    /// Counts the time a decision took.
    pub(super) fn time(&self, tenant: &Tenant, timing: &Timing) {
        let (statistics, ns) = (tenant.statistics.get(), timing.end(self.governor.clock()));
        let weight = statistics.weight_of(ns);
        if weight > 0 {
            statistics.note_latency(ns, weight);
            self.monitoring.latency.note(ns, weight);
        }
    }

    /// Counts the time a request waited in line until it was granted.
    pub(super) fn note_wait(&self, tenant: &Tenant, ns: u64) {
        tenant.statistics.get().note_wait(ns);
        self.monitoring.waits.note(ns, 1);
    }

    /// A step of the balancer, counted.
    pub(super) fn balance_counted(&self) -> BalanceReport {
        let report = balancing(|| self.governor.balance());
        if report.evicted_grants > 0 {
            // Relaxed: a statistic.
            self.monitoring.balanced.fetch_add(1, Ordering::Relaxed);
        }
        report
    }

    /// What is known of a tenant. The caller holds no lock.
    pub(super) fn report_of(&self, tenant: &Tenant) -> TenantReport {
        let now_ns = self.governor.clock().now_ns();
        let meter = self.governor.meter(tenant.handle);
        let evicted = meter.map_or(0, |meter| meter.evicted_bytes);
        let counted = tenant.statistics.look();
        let totals = counted.map_or_else(Totals::default, |counted| counted.totals(evicted));
        let mut statistics = MemoryStatistics::of(&totals);
        if let Some(counted) = counted {
            statistics.latency = counted.latency();
            statistics.wait = counted.waits();
            statistics.reclaim.largest_ns = counted.reclaim_largest_ns();
        }
        if let Some(meter) = meter {
            statistics.efficiency_percent = share_percent(meter.used_bytes, meter.claimed_bytes);
            statistics.peak_bytes = meter.peak_bytes;
        }
        let monitor = lock(&self.monitoring.state);
        let mut report = TenantReport {
            statistics,
            history: None,
            open: monitor.open_of(Some(tenant.id)),
            watched_ns: 0,
            silent_ns: 0,
        };
        let place = monitor.places.get(&tenant.handle.as_u64());
        if let Some(watch) = place.map(|&at| &monitor.watches[at]) {
            let statistics = &mut report.statistics;
            statistics.evicted_bytes_per_minute = watch.trend.evicted_bytes_per_minute() as u64;
            statistics.pressure_events_per_hour = watch.trend.pressure_events_per_hour() as u64;
            report.history = watch.history.as_ref().map(|history| history.read(now_ns));
            report.watched_ns = now_ns.saturating_sub(watch.since_ns);
            report.silent_ns = now_ns.saturating_sub(watch.asked_ns);
        }
        report
    }

    /// What is known of the pool: sums as of now, what is counted over time as of the last look.
    /// The caller holds no lock.
    pub(super) fn report_of_pool(&self) -> PoolReport {
        let now_ns = self.governor.clock().now_ns();
        let monitor = lock(&self.monitoring.state);
        let pool = &monitor.pool;
        let mut statistics = MemoryStatistics::of(&self.sums_now(&monitor));
        // Relaxed: a statistic.
        statistics.balancing_events = self.monitoring.balanced.load(Ordering::Relaxed);
        statistics.latency = self.monitoring.latency.summary();
        statistics.wait = self.monitoring.waits.summary();
        statistics.reclaim.largest_ns = pool.reclaim_largest_ns;
        statistics.evicted_bytes_per_minute = pool.trend.evicted_bytes_per_minute() as u64;
        statistics.pressure_events_per_hour = pool.trend.pressure_events_per_hour() as u64;
        let meter = self.governor.pool_meter();
        statistics.efficiency_percent = share_percent(meter.live_bytes, meter.claimed_bytes);
        statistics.peak_bytes = pool.peak_bytes.max(meter.live_bytes);
        let history = pool.history.read(now_ns);
        PoolReport { statistics, history, open: monitor.open.values().cloned().collect() }
    }

    /// The sums of all tenants, with what they have done since the last look.
    fn sums_now(&self, monitor: &Monitor) -> Totals {
        let totals_of = |tenant: &Tenant, last: &Totals| {
            let meter = self.governor.meter(tenant.handle);
            let evicted_bytes = meter.map_or(last.get(Count::EvictedBytes), |m| m.evicted_bytes);
            tenant.statistics.get().totals(evicted_bytes)
        };
        let mut sums = monitor.pool.sums;
        for Watch { tenant, last, .. } in &monitor.watches {
            sums.add_gain(&totals_of(tenant, last), last);
        }
        for tenant in lock(&self.monitoring.arrivals).iter() {
            let last = *lock(&tenant.statistics.get().settled);
            sums.add_gain(&totals_of(tenant, &last), &last);
        }
        sums
    }
}

impl MultiTenantMemoryManager {
    /// One look of the monitor, now: brings statistics, history and alerts up to date, and tells
    /// who listens. For programs without a monitor in the background, and beside it.
    ///
    /// Cost: a load for each registered tenant, some dozens for each that was active in the last
    /// hour.
    pub async fn monitor_now(&self) -> MonitorReport {
        self.inner.monitor_step(self.inner.governor.clock().now_ns())
    }
}
