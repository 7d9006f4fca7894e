//! Metrics for Prometheus, as OpenMetrics text: what was asked for over HTTP is counted as it
//! happens, what is held is looked up when somebody scrapes.
//!
//! `tenant` is a label of at most [`LABELS_MAX`] tenants: those that came first and are still
//! there. All others together are `other`: a thousand tenants do not make a thousand series.

use crate::book::Cause;
use crate::state::State;
use allotment::{AllocationType, TenantDashboard, TenantId, TenantUsage};
use axum::extract::State as Shared;
use axum::http::header;
use axum::response::IntoResponse;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Most tenants with a label of their own.
const LABELS_MAX: usize = 100;
/// The label of all others.
const OTHER: &str = "other";
/// What OpenMetrics calls itself.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Bounds of durations, in seconds: a decision takes microseconds, a turn in line may take minutes.
const DECIDED: [f64; 9] = [1e-6, 4e-6, 16e-6, 64e-6, 256e-6, 1e-3, 4e-3, 64e-3, 1.0];
const WAITED: [f64; 9] = [1e-3, 1e-2, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0];

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It has a grant.
    Granted,
    /// It was denied.
    Denied,
    /// It made no sense.
    Misuse,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    tenant: String,
    r#type: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EvictedLabels {
    r#type: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TenantLabel {
    tenant: String,
}

/// What is counted as it happens.
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    decided: Histogram,
    waited: Histogram,
    expired: Counter,
    evicted: Family<EvictedLabels, Counter>,
    labels: Mutex<HashMap<TenantId, String>>,
}

fn type_name(kind: AllocationType) -> &'static str {
    match kind {
        AllocationType::ModelLoad => "model_load",
        AllocationType::Inference => "inference",
        AllocationType::Cache => "cache",
        AllocationType::Background => "background",
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("allot");
        let requests = Family::default();
        let decided = Histogram::new(DECIDED);
        let waited = Histogram::new(WAITED);
        let expired = Counter::default();
        registry.register("requests", "Requests for memory", requests.clone());
        let help = "Time to decide a request that does not wait";
        registry.register_with_unit("request_duration", help, Unit::Seconds, decided.clone());
        let help = "Time from a request that may wait to its answer";
        registry.register_with_unit("wait_duration", help, Unit::Seconds, waited.clone());
        let help = "Leases that nobody renewed in time";
        registry.register("leases_expired", help, expired.clone());
        let evicted = Family::default();
        let help = "Bytes of leases that have ended because they were wanted elsewhere";
        registry.register_with_unit("evicted", help, Unit::Bytes, evicted.clone());
        let labels = Mutex::default();
        Self { registry, requests, decided, waited, expired, evicted, labels }
    }
}

impl Metrics {
    /// Counts a request and how long it took; `waits` if it might stand in line. The tenant's name
    /// is asked for where it needs a label.
    pub fn requested(
        &self,
        (tenant, name): (TenantId, impl FnOnce() -> String),
        kind: AllocationType,
        outcome: Outcome,
        took: Duration,
        waits: bool,
    ) {
        let outcome = match outcome {
            Outcome::Granted => "granted",
            Outcome::Denied => "denied",
            Outcome::Misuse => "misuse",
        };
        let labels =
            RequestLabels { tenant: self.label(tenant, name), r#type: type_name(kind), outcome };
        self.requests.get_or_create(&labels).inc();
        let durations = if waits { &self.waited } else { &self.decided };
        durations.observe(took.as_secs_f64());
    }

    /// Counts a lease that has ended because its memory was wanted elsewhere.
    pub fn evicted(&self, kind: AllocationType, cause: Cause, bytes: u64) {
        let labels = EvictedLabels { r#type: type_name(kind), reason: cause.name() };
        self.evicted.get_or_create(&labels).inc_by(bytes);
    }

    /// Counts a lease whose holder has vanished.
    pub fn expired(&self) {
        self.expired.inc();
    }

    fn labels(&self) -> MutexGuard<'_, HashMap<TenantId, String>> {
        self.labels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn label(&self, tenant: TenantId, name: impl FnOnce() -> String) -> String {
        let mut labels = self.labels();
        if labels.len() < LABELS_MAX {
            labels.entry(tenant).or_insert_with(name);
        }
        labels.get(&tenant).map_or(OTHER, String::as_str).to_string()
    }

    /// Lets tenants go that are no more, and gives labels that are free to the largest of the
    /// others.
    fn relabel(&self, tenants: &[TenantUsage]) -> HashMap<TenantId, String> {
        let mut labels = self.labels();
        let there: HashMap<TenantId, &TenantUsage> =
            tenants.iter().map(|tenant| (tenant.tenant_id, tenant)).collect();
        labels.retain(|id, _| there.contains_key(id));
        let mut others: Vec<&TenantUsage> =
            tenants.iter().filter(|tenant| !labels.contains_key(&tenant.tenant_id)).collect();
        others.sort_by_key(|tenant| std::cmp::Reverse(tenant.allocated_memory_bytes));
        for tenant in others.into_iter().take(LABELS_MAX.saturating_sub(labels.len())) {
            labels.insert(tenant.tenant_id, tenant.name.clone());
        }
        labels.clone()
    }
}

/// Figures of one label.
#[derive(Clone, Copy, Debug, Default)]
struct OfTenant {
    used_bytes: u64,
    guarantee_bytes: u64,
    ceiling_bytes: u64,
    peak_bytes: u64,
    waiting: u64,
    evicted: u64,
    evicted_bytes: u64,
}

impl OfTenant {
    /// A tenant without a limit in force has the pool's.
    fn add(&mut self, tenant: &TenantUsage, capacity_bytes: u64) {
        let ceiling_bytes = tenant.limit_in_force_bytes.unwrap_or(capacity_bytes);
        self.ceiling_bytes = self.ceiling_bytes.saturating_add(ceiling_bytes);
        self.used_bytes += tenant.allocated_memory_bytes;
        self.guarantee_bytes += tenant.guaranteed_memory_mb << 20;
        self.peak_bytes += tenant.peak_memory_bytes;
        self.waiting += tenant.waiting_requests;
        self.evicted += tenant.evicted_allocations;
        self.evicted_bytes += tenant.evicted_memory_bytes;
    }
}

/// What is held, at the time of a scrape.
#[derive(Debug)]
struct Held {
    pool: [(&'static str, &'static str, Option<Unit>, u64); 10],
    tenants: BTreeMap<String, OfTenant>,
}

type Figure = fn(&OfTenant) -> u64;

const GAUGES: [(&str, &str, Option<Unit>, Figure); 5] = [
    ("allot_tenant_used", "Bytes in live grants", Some(Unit::Bytes), |of| of.used_bytes),
    ("allot_tenant_guarantee", "Floor", Some(Unit::Bytes), |of| of.guarantee_bytes),
    ("allot_tenant_ceiling", "Limit in force", Some(Unit::Bytes), |of| of.ceiling_bytes),
    ("allot_tenant_peak", "Most bytes at once", Some(Unit::Bytes), |of| of.peak_bytes),
    ("allot_tenant_waiting_requests", "Requests in line", None, |of| of.waiting),
];
const COUNTERS: [(&str, &str, Option<Unit>, Figure); 2] = [
    ("allot_tenant_evicted_grants", "Grants evicted", None, |of| of.evicted),
    ("allot_tenant_evicted", "Bytes evicted", Some(Unit::Bytes), |of| of.evicted_bytes),
];

impl Held {
    fn new(state: &State, page: &TenantDashboard) -> Self {
        let labels = state.metrics.relabel(&page.tenant_summaries);
        let capacity_bytes = page.global_memory_status.max_memory_bytes;
        let mut tenants: BTreeMap<String, OfTenant> = BTreeMap::new();
        for tenant in &page.tenant_summaries {
            let label = labels.get(&tenant.tenant_id).map_or(OTHER, String::as_str);
            tenants.entry(label.to_string()).or_default().add(tenant, capacity_bytes);
        }
        let (pool, bytes) = (&page.global_memory_status, Some(Unit::Bytes));
        let pressure = state.manager.governor().pressure() as u64;
        let leases = state.book().len() as u64;
        let refused = u64::from(state.configured.history().last_error.is_some());
        let behind = u64::from(state.kept.is_behind());
        Self {
            pool: [
                ("allot_capacity", "Memory to share", bytes.clone(), pool.max_memory_bytes),
                ("allot_used", "Bytes in live grants", bytes.clone(), pool.allocated_memory_bytes),
                ("allot_claimed", "In use, promised or idle", bytes, pool.claimed_memory_bytes),
                ("allot_pressure_level", "0 normal, 1 high, 2 critical", None, pressure),
                ("allot_leases", "Leases that live", None, leases),
                ("allot_grants", "Live grants", None, page.summary.total_allocations),
                ("allot_waiting_requests", "In line", None, page.summary.waiting_requests),
                ("allot_tenants", "Registered", None, page.summary.total_tenants as u64),
                ("allot_config_refused", "1: the last change was refused", None, refused),
                ("allot_state_behind", "1: the disk lacks what is in force", None, behind),
            ],
            tenants,
        }
    }
}

impl Collector for Held {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        for (name, help, unit, value) in &self.pool {
            encoder
                .encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?
                .encode_gauge(value)?;
        }
        for (name, help, unit, figure) in &GAUGES {
            let kind = MetricType::Gauge;
            let mut family = encoder.encode_descriptor(name, help, unit.as_ref(), kind)?;
            for (tenant, figures) in &self.tenants {
                let label = TenantLabel { tenant: tenant.clone() };
                family.encode_family(&label)?.encode_gauge(&figure(figures))?;
            }
        }
        for (name, help, unit, figure) in &COUNTERS {
            let kind = MetricType::Counter;
            let mut family = encoder.encode_descriptor(name, help, unit.as_ref(), kind)?;
            for (tenant, figures) in &self.tenants {
                let label = TenantLabel { tenant: tenant.clone() };
                let mut counter = family.encode_family(&label)?;
                counter.encode_counter::<NoLabelSet, _, u64>(&figure(figures), None)?;
            }
        }
        Ok(())
    }
}

fn text(state: &State, page: &TenantDashboard) -> Result<String, fmt::Error> {
    let mut held = Registry::default();
    held.register_collector(Box::new(Held::new(state, page)));
    let mut text = String::new();
    encode_registry(&mut text, &state.metrics.registry)?;
    encode_registry(&mut text, &held)?;
    encode_eof(&mut text)?;
    Ok(text)
}

/// `GET /metrics`.
pub async fn scrape(
    Shared(state): Shared<Arc<State>>,
) -> Result<impl IntoResponse, crate::problem::Problem> {
    let page = state.page().await?;
    let text = text(&state, &page).expect("text is written to memory");
    Ok(([(header::CONTENT_TYPE, OPEN_METRICS)], text))
}
