//! Looks at the whole, and what an operator sets in motion.
//!
//! ```text
//! GET    /healthz         lives; no token     200
//! GET    /readyz          takes requests; no token   200
//! GET    /v1/usage        the pool            200
//! GET    /v1/snapshot     the pool, groups and tenants at one time   200
//! POST   /v1/explain      what would decide a request; changes nothing   200
//! POST   /v1/balance      a step of the balancer now   200
//! ```

use crate::cache::{self, Outlook};
use crate::grants::Ask;
use crate::groups::GroupBody;
use crate::problem::{Problem, account_name, reason_name};
use crate::reach::Reach;
use crate::state::State;
use crate::tenants::{self, TenantBody};
use crate::words::{Body, Kind};
use allotment::{AllocationAsk, AllocationExplanation, TenantDashboard};
use axum::Json;
use axum::extract::State as Shared;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// Caches that are listed as going for another one, as many as the governor lists.
const VICTIMS_MAX: usize = 16;
/// Holders of caches that are listed.
const HOLDERS_MAX: usize = 5;

/// The pool.
#[derive(Serialize, ToSchema)]
pub struct PoolBody {
    capacity_bytes: u64,
    used_bytes: u64,
    claimed_bytes: u64,
    unclaimed_bytes: u64,
    measured_bytes: Option<u64>,
    pressure: &'static str,
    tenants: usize,
    grants: u64,
    leases: usize,
    waiting_requests: u64,
    tracking_bytes: u64,
}

/// Everything at about one time.
#[derive(Serialize, ToSchema)]
pub struct SnapshotBody {
    pool: PoolBody,
    groups: Vec<GroupBody>,
    tenants: Vec<TenantBody>,
}

/// What would decide a request.
#[derive(Serialize, ToSchema)]
pub struct ExplanationBody {
    would_be_granted: bool,
    on_hold: Option<String>,
    /// The check that refuses: `cache_limit` for the limit over all caches.
    reason: Option<&'static str>,
    /// Whose check, or whose figures: `pool`, `group`, `tenant`, `caches`.
    account: &'static str,
    account_name: String,
    asked_bytes: u64,
    short_bytes: u64,
    used_bytes: u64,
    limit_bytes: u64,
    waiting_can_help: bool,
    queued_behind_bytes: Option<u64>,
    estimated_wait_secs: Option<u64>,
    holders: Vec<HolderBody>,
    would_evict: Vec<VictimBody>,
    pinned: Vec<String>,
    text: String,
}

#[derive(Serialize, ToSchema)]
struct HolderBody {
    name: String,
    bytes: u64,
    share_percent: f64,
}

#[derive(Serialize, ToSchema)]
struct VictimBody {
    id: String,
    tenant: String,
    model: String,
    #[serde(rename = "type")]
    kind: String,
    bytes: u64,
}

/// What a step of the balancer did.
#[derive(Serialize, ToSchema)]
pub struct BalanceBody {
    pressure: &'static str,
    evicted_grants: u32,
    freed_bytes: u64,
    deferred_bytes: u64,
}

/// Lives.
pub async fn health() -> &'static str {
    "ok\n"
}

impl PoolBody {
    /// As it stands on a page of the facade.
    pub fn new(state: &State, page: &TenantDashboard) -> Self {
        let pool = &page.global_memory_status;
        Self {
            capacity_bytes: pool.max_memory_bytes,
            used_bytes: pool.allocated_memory_bytes,
            claimed_bytes: pool.claimed_memory_bytes,
            unclaimed_bytes: pool.max_memory_bytes.saturating_sub(pool.claimed_memory_bytes),
            measured_bytes: pool.measured_memory_bytes,
            pressure: state.manager.governor().pressure().name(),
            tenants: page.summary.total_tenants,
            grants: page.summary.total_allocations,
            leases: state.book().len(),
            waiting_requests: page.summary.waiting_requests,
            tracking_bytes: pool.tracking_bytes,
        }
    }
}

async fn pool(state: &State) -> Result<PoolBody, Problem> {
    let page = state.page().await?;
    Ok(PoolBody::new(state, &page))
}

/// The pool.
pub async fn usage(Shared(state): Shared<Arc<State>>) -> Result<Json<PoolBody>, Problem> {
    pool(&state).await.map(Json)
}

/// The pool, groups and tenants.
pub async fn snapshot(Shared(state): Shared<Arc<State>>) -> Result<Json<SnapshotBody>, Problem> {
    let pool = pool(&state).await?;
    let groups = state.manager.governor().groups().into_iter().map(GroupBody::from).collect();
    let Json(tenants) = tenants::list(Shared(state), Reach::All).await?;
    Ok(Json(SnapshotBody { pool, groups, tenants }))
}

/// Leaves out what is of tenants beyond reach, or names them: sums and shortfalls stay.
fn cut(state: &State, reach: &Reach, explained: &mut AllocationExplanation) {
    if *reach == Reach::All {
        return;
    }
    let governor = state.manager.governor();
    let book = state.book();
    let is_ours = |id: &str| book.look(id, reach.acting(), None).is_ok();
    explained.would_evict.retain(|victim| is_ours(&victim.allocation_id));
    explained.pinned_allocation_ids.retain(|id| is_ours(id));
    drop(book);
    explained.details.holders.retain(|holder| {
        governor.tenant_config(holder.tenant).is_ok_and(|config| reach.has(config.id))
    });
    explained.details.circle = None;
}

/// What would decide a request.
pub async fn explain(
    Shared(state): Shared<Arc<State>>,
    reach: Reach,
    Body(ask): Body<Ask>,
) -> Result<Json<ExplanationBody>, Problem> {
    let ask = ask.exact(&state, &reach)?;
    let mut explained = state.manager.explain_exactly(&ask).await?;
    cut(&state, &reach, &mut explained);
    let on_hold = explained.on_hold.is_some();
    let mut body = ExplanationBody::new(explained);
    // Room under the limit of caches comes before what the governor says, but after an operator.
    if let Some(outlook) = cache::outlook(&state, &ask).await.filter(|_| !on_hold) {
        body.take(&state, &reach, &ask, outlook);
    }
    Ok(Json(body))
}

impl ExplanationBody {
    fn new(explained: AllocationExplanation) -> Self {
        let text = explained.to_string();
        let details = explained.details;
        let holders = details.holders.into_iter().map(|holder| HolderBody {
            name: holder.name,
            bytes: holder.bytes,
            share_percent: holder.share_percent,
        });
        let victims = explained.would_evict.into_iter().map(|victim| VictimBody {
            id: victim.allocation_id,
            tenant: victim.tenant_name,
            model: victim.model_name,
            kind: Kind(victim.allocation_type).name(),
            bytes: victim.bytes,
        });
        Self {
            would_be_granted: explained.would_be_granted,
            on_hold: explained.on_hold,
            reason: details.reason.map(reason_name),
            account: account_name(details.account),
            account_name: details.account_name,
            asked_bytes: details.asked_bytes,
            short_bytes: details.short_bytes,
            used_bytes: details.used_bytes,
            limit_bytes: details.limit,
            waiting_can_help: details.waiting_can_help,
            queued_behind_bytes: explained.queued_behind_bytes,
            estimated_wait_secs: explained.estimated_wait_time_secs,
            holders: holders.collect(),
            would_evict: victims.collect(),
            pinned: explained.pinned_allocation_ids,
            text,
        }
    }

    /// What the limit over all caches makes of it: caches go first, or it is refused there.
    fn take(&mut self, state: &State, reach: &Reach, ask: &AllocationAsk, outlook: Outlook) {
        let Outlook { denied, plan, holders } = outlook;
        let name_of = |tenant| state.name_of(tenant).unwrap_or_default();
        let within = plan.items.into_iter().filter(|item| reach.has(item.tenant));
        let victims = within.take(VICTIMS_MAX).map(|item| VictimBody {
            tenant: name_of(item.tenant),
            id: item.id,
            model: item.model,
            kind: Kind(ask.allocation_type).name(),
            bytes: item.bytes,
        });
        let mut victims: Vec<VictimBody> = victims.collect();
        let Some(denied) = denied else {
            // The governor may choose some of them as well.
            let more = std::mem::take(&mut self.would_evict).into_iter();
            let more: Vec<_> = more.filter(|v| victims.iter().all(|own| own.id != v.id)).collect();
            victims.extend(more);
            self.would_evict = victims;
            self.text.push_str("\n  caches go first, for the `limit` of `[cache]`");
            return;
        };
        let name = name_of(ask.tenant_id);
        let share = |bytes: u64| bytes as f64 * 100.0 / denied.held_bytes.max(1) as f64;
        let holders = holders.into_iter().filter(|(tenant, _)| reach.has(*tenant));
        let holders = holders.take(HOLDERS_MAX).map(|(tenant, bytes)| HolderBody {
            name: name_of(tenant),
            bytes,
            share_percent: share(bytes),
        });
        *self = Self {
            would_be_granted: false,
            on_hold: None,
            reason: Some(cache::REASON),
            account: cache::ACCOUNT,
            account_name: cache::ACCOUNT_NAME.to_string(),
            asked_bytes: denied.asked_bytes,
            short_bytes: denied.short_bytes(),
            used_bytes: denied.held_bytes,
            limit_bytes: denied.limit_bytes,
            waiting_can_help: denied.waiting_can_help(),
            queued_behind_bytes: denied.waiting_can_help().then(|| denied.behind_bytes()),
            estimated_wait_secs: None,
            holders: holders.collect(),
            would_evict: victims,
            pinned: Vec::new(),
            text: format!("{name} asks {} bytes for cache: refused\n  {denied}", ask.bytes),
        };
    }
}

/// A step of the balancer.
pub async fn balance(Shared(state): Shared<Arc<State>>) -> Result<Json<BalanceBody>, Problem> {
    let report = state.manager.balance_memory().await?;
    Ok(Json(BalanceBody {
        pressure: report.pressure.name(),
        evicted_grants: report.evicted_grants,
        freed_bytes: report.freed_bytes,
        deferred_bytes: report.deferred_bytes,
    }))
}
