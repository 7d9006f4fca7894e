//! Tenants: who is there, and what each may have.
//!
//! ```text
//! GET    /v1/tenants                        all                                  200
//! POST   /v1/tenants                        registers one                        201
//! GET    /v1/tenants/{tenant}               by id or name                        200
//! PATCH  /v1/tenants/{tenant}               changes what is named                200
//! DELETE /v1/tenants/{tenant}?mode=idle     or force                             204
//! POST   /v1/tenants/{tenant}/{freeze, thaw, drain}                              200
//! ```

use crate::book::{Acting, End};
use crate::problem::Problem;
use crate::reach::Reach;
use crate::state::State;
use crate::words::{At, Body, Change, Query, Rank, Size, Walls, created};
use allotment::{TenantConfig, TenantHold, TenantId, TenantUsage};
use axum::Json;
use axum::extract::State as Shared;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use uuid::Uuid;

/// What a tenant is to be: of a new one all that differs from the defaults, of one that is there
/// what is to change.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    name: Option<String>,
    #[schema(value_type = Option<String>)]
    id: Option<Uuid>,
    group: Option<String>,
    guarantee: Option<Size>,
    #[serde(default)]
    #[schema(value_type = Option<Size>)]
    limit: Change<Size>,
    #[serde(default)]
    #[schema(value_type = Option<Size>)]
    burst: Change<Size>,
    priority: Option<Rank>,
    isolation: Option<Walls>,
}

/// How a tenant or a group leaves.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leaving {
    #[serde(default)]
    pub mode: Mode,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Only if it holds nothing.
    #[default]
    Idle,
    /// Whatever it holds.
    Force,
}

/// A tenant, what it may have and what it has.
#[derive(Serialize, ToSchema)]
pub struct TenantBody {
    id: String,
    name: String,
    group: Option<String>,
    priority: &'static str,
    isolation: &'static str,
    hold: &'static str,
    guarantee_bytes: u64,
    limit_bytes: Option<u64>,
    burst_bytes: Option<u64>,
    limit_in_force_bytes: Option<u64>,
    fair_share_bytes: u64,
    used_bytes: u64,
    claimed_bytes: u64,
    peak_bytes: u64,
    unevictable_bytes: u64,
    measured_bytes: Option<u64>,
    grants: u64,
    waiting_requests: u64,
    granted_requests: u64,
    denied_requests: u64,
    evicted_grants: u64,
    evicted_bytes: u64,
}

impl Wish {
    fn apply(&self, config: &mut TenantConfig) {
        config.guarantee_bytes = self.guarantee.map_or(config.guarantee_bytes, |size| size.0);
        self.limit.map(|size| size.0).apply(&mut config.limit_bytes);
        self.burst.map(|size| size.0).apply(&mut config.burst_bytes);
        config.priority = self.priority.map_or(config.priority, |rank| rank.0);
        config.isolation = self.isolation.map_or(config.isolation, |walls| walls.0);
        if let Some(name) = &self.name {
            config.name.clone_from(name);
        }
    }
}

fn taken(name: &str) -> Problem {
    let (status, title) = (StatusCode::CONFLICT, "it is there already");
    let detail = format!("there is a tenant `{name}` already; change it or remove it");
    Problem::new(status, "duplicate", title, detail)
}

/// As answers call it.
pub fn hold_name(hold: TenantHold) -> &'static str {
    match hold {
        TenantHold::None => "none",
        TenantHold::Frozen => "frozen",
        TenantHold::Draining => "draining",
    }
}

impl State {
    async fn body_of(&self, id: TenantId) -> Result<TenantBody, Problem> {
        let usage = self.usage_of(id).await?;
        self.body(usage)
    }

    /// As answers have it.
    pub fn body(&self, usage: TenantUsage) -> Result<TenantBody, Problem> {
        let governor = self.manager.governor();
        let handle = governor.find(usage.tenant_id).ok_or_else(|| Problem::not_found("tenant"))?;
        let config = governor.tenant_config(handle)?;
        let group = config.parent.and_then(|group| governor.group_config(group).ok());
        Ok(TenantBody {
            id: usage.tenant_id.to_string(),
            name: usage.name,
            group: group.map(|group| group.name),
            priority: config.priority.name(),
            isolation: config.isolation.name(),
            hold: hold_name(usage.hold),
            guarantee_bytes: config.guarantee_bytes,
            limit_bytes: config.limit_bytes,
            burst_bytes: config.burst_bytes,
            limit_in_force_bytes: usage.limit_in_force_bytes,
            fair_share_bytes: usage.fair_share_bytes,
            used_bytes: usage.allocated_memory_bytes,
            claimed_bytes: usage.claimed_memory_bytes,
            peak_bytes: usage.peak_memory_bytes,
            unevictable_bytes: usage.unevictable_memory_bytes,
            measured_bytes: usage.measured_memory_bytes,
            grants: usage.allocations,
            waiting_requests: usage.waiting_requests,
            granted_requests: usage.granted_requests,
            denied_requests: usage.denied_requests,
            evicted_grants: usage.evicted_allocations,
            evicted_bytes: usage.evicted_memory_bytes,
        })
    }
}

/// All tenants within reach, in the order of their ids.
pub async fn list(
    Shared(state): Shared<Arc<State>>,
    reach: Reach,
) -> Result<Json<Vec<TenantBody>>, Problem> {
    let page = state.page().await?;
    let tenants = page.tenant_summaries.into_iter().filter(|usage| reach.has(usage.tenant_id));
    // One that has left meanwhile is left out.
    let bodies = tenants.filter_map(|usage| state.body(usage).ok());
    Ok(Json(bodies.collect()))
}

/// Registers a tenant. Two may not have one name, since names are what it is found by.
pub async fn register(
    Shared(state): Shared<Arc<State>>,
    Body(wish): Body<Wish>,
) -> Result<Response, Problem> {
    let governor = state.manager.governor();
    let _alone = state.administration.lock().await;
    let Some(name) = &wish.name else {
        return Err(Problem::invalid("a tenant has a `name`: 1 to 128 characters"));
    };
    if state.tenant(name).is_some() {
        return Err(taken(name));
    }
    let id = TenantId::from_u128(wish.id.unwrap_or_else(Uuid::new_v4).as_u128());
    let mut config = TenantConfig::new(id, name);
    if let Some(group) = &wish.group {
        let found = governor.find_group(group);
        config.parent = Some(found.ok_or_else(|| Problem::not_found("group"))?);
    }
    wish.apply(&mut config);
    state.manager.register_tenant_bytes(config).await?;
    if let Err(problem) = state.keep_tenant(id) {
        state.manager.unregister_tenant(id).await?;
        return Err(problem);
    }
    let body = state.body_of(id).await?;
    Ok(created("/v1/tenants", &id.to_string(), Json(body)))
}

/// One tenant.
pub async fn look(
    Shared(state): Shared<Arc<State>>,
    reach: Reach,
    At(tenant): At<String>,
) -> Result<Json<TenantBody>, Problem> {
    let id = reach.tenant(&state, &tenant)?;
    state.body_of(id).await.map(Json)
}

/// Changes what is named of a tenant, while it runs. A limit below what it holds revokes nothing.
/// A name that is taken would be told by the answer, so it is for those who see all of them.
pub async fn change(
    Shared(state): Shared<Arc<State>>,
    reach: Reach,
    At(tenant): At<String>,
    Body(wish): Body<Wish>,
) -> Result<Json<TenantBody>, Problem> {
    if wish.id.is_some() || wish.group.is_some() {
        return Err(Problem::invalid("`id` and `group` stay: register another tenant instead"));
    }
    if wish.name.is_some() && reach != Reach::All {
        let detail = "a tenant's `name` is what scopes name it by: it needs the scope `admin`";
        let (status, title) = (StatusCode::FORBIDDEN, "the token does not reach so far");
        return Err(Problem::new(status, "scope", title, detail));
    }
    let governor = state.manager.governor();
    let _alone = state.administration.lock().await;
    let id = reach.tenant(&state, &tenant)?;
    if let Some(name) = &wish.name
        && state.tenant(name).is_some_and(|other| other != id)
    {
        return Err(taken(name));
    }
    let handle = governor.find(id).ok_or_else(|| Problem::not_found("tenant"))?;
    let before = governor.tenant_config(handle)?;
    state.manager.update_tenant_bytes(id, |config| wish.apply(config)).await?;
    if let Err(problem) = state.keep_tenant(id) {
        state.manager.update_tenant_bytes(id, |config| config.clone_from(&before)).await?;
        return Err(problem);
    }
    state.body_of(id).await.map(Json)
}

/// Removes a tenant: idle, if it holds nothing; by force whatever it holds.
pub async fn remove(
    Shared(state): Shared<Arc<State>>,
    reach: Reach,
    At(tenant): At<String>,
    Query(leaving): Query<Leaving>,
) -> Result<StatusCode, Problem> {
    let _alone = state.administration.lock().await;
    let id = reach.tenant(&state, &tenant)?;
    state.remove_tenant(id, leaving.mode).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl State {
    /// Removes a tenant, with administration locked.
    ///
    /// # Errors
    ///
    /// That it holds memory, unless by force; that the disk does not take it.
    pub async fn remove_tenant(&self, id: TenantId, mode: Mode) -> Result<(), Problem> {
        let name = self.name_of(id).unwrap_or_default();
        match mode {
            Mode::Idle => self.manager.unregister_tenant(id).await?,
            Mode::Force => {
                self.manager.unregister_tenant_by_force(id).await?;
                // Their memory went with their tenant, and nobody of the same id is there yet.
                let mut book = self.book();
                for (grant, _) in book.of(Acting::Among(&[id])) {
                    let _ = book.end(&grant, Acting::Anybody, None, End::Revoked);
                }
            }
        }
        self.cache.rooms.tell(id);
        self.keep_tenant_gone(id, &name)
    }
}

/// Nothing more for this tenant, until it is thawed.
pub async fn freeze(
    Shared(state): Shared<Arc<State>>,
    reach: Reach,
    At(tenant): At<String>,
) -> Result<Json<TenantBody>, Problem> {
    let id = reach.tenant(&state, &tenant)?;
    state.manager.freeze_tenant(id).await?;
    state.cache.rooms.tell(id);
    state.body_of(id).await.map(Json)
}

/// Ends a freeze or a drain.
pub async fn thaw(
    Shared(state): Shared<Arc<State>>,
    reach: Reach,
    At(tenant): At<String>,
) -> Result<Json<TenantBody>, Problem> {
    let id = reach.tenant(&state, &tenant)?;
    state.manager.thaw_tenant(id).await?;
    state.body_of(id).await.map(Json)
}

/// Freezes a tenant and asks back whatever may go.
pub async fn drain(
    Shared(state): Shared<Arc<State>>,
    reach: Reach,
    At(tenant): At<String>,
) -> Result<Json<TenantBody>, Problem> {
    let id = reach.tenant(&state, &tenant)?;
    state.manager.drain_tenant(id).await?;
    state.cache.rooms.tell(id);
    state.body_of(id).await.map(Json)
}
