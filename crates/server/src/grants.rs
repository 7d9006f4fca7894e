//! Requests, and what is done with a grant: every change of it names the epoch of its lease.
//!
//! ```text
//! POST   /v1/requests                 asks, at once or with a wait      201
//! GET    /v1/grants                   those there are                   200
//! GET    /v1/grants/{id}              one of them                       200
//! POST   /v1/grants/{id}/renew        its holder lives                  200
//! POST   /v1/grants/{id}/takeover     another process goes on with it   200
//! POST   /v1/grants/{id}/grow         more bytes                        200
//! POST   /v1/grants/{id}/shrink       fewer                             200
//! POST   /v1/grants/{id}/touch        used again: goes later            204
//! DELETE /v1/grants/{id}?epoch=N      all of it back                    204
//! ```

use crate::book::{Acting, End, Lease, NotHeld, OnEvict};
use crate::cache::{self, NoRoom};
use crate::keeper::end_expired;
use crate::metrics::Outcome;
use crate::problem::Problem;
use crate::reach::Reach;
use crate::state::{State, nanoseconds};
use crate::words::{At, Body, Kind, Query, Size, created};
use allotment::{AllocationAsk, AllocationRefusal, AllocationView, MemoryError, TenantId};
use axum::Json;
use axum::extract::State as Shared;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Duration, Instant};
use utoipa::ToSchema;

/// Longest wait for a turn.
const WAIT_MAX: Duration = Duration::from_secs(3_600);
/// Shortest lease: below it a holder could hardly renew in time.
const LEASE_MIN: Duration = Duration::from_millis(100);
/// Most characters that say what a grant is for.
const MODEL_CHARACTERS_MAX: usize = 128;
/// Most grants of one page.
const PAGE_MAX: usize = 1_000;
const NS_IN_MS: u64 = 1_000_000;

/// What is asked for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    tenant: String,
    bytes: Size,
    #[serde(rename = "type")]
    kind: Kind,
    #[serde(default)]
    model: String,
    #[serde(default)]
    wait_ms: u64,
    lease_ms: Option<u64>,
    #[serde(default)]
    on_evict: Evicting,
}

impl Ask {
    /// With the tenant found, exact in bytes.
    ///
    /// # Errors
    ///
    /// That there is no such tenant within reach.
    pub fn exact(self, state: &State, reach: &Reach) -> Result<AllocationAsk, Problem> {
        Ok(AllocationAsk {
            tenant_id: reach.tenant(state, &self.tenant)?,
            bytes: self.bytes.0,
            model_name: self.model,
            allocation_type: self.kind.0,
        })
    }
}

#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Evicting {
    #[default]
    Ask,
    AtOnce,
}

/// A grant and its lease.
#[derive(Serialize, ToSchema)]
pub struct GrantBody {
    id: String,
    epoch: u64,
    tenant: String,
    bytes: u64,
    #[serde(rename = "type")]
    kind: String,
    model: String,
    pinned: bool,
    lease_ms: u64,
    expires_in_ms: u64,
    evict_within_ms: Option<u64>,
}

/// How long a lease still lasts, and whether its memory is wanted.
#[derive(Serialize, ToSchema)]
pub struct LeaseBody {
    id: String,
    epoch: u64,
    lease_ms: u64,
    expires_in_ms: u64,
    evict_within_ms: Option<u64>,
}

/// The lease that the caller has.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Epoch {
    epoch: u64,
}

/// More or less, in the lease that the caller has.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Resize {
    epoch: u64,
    bytes: Size,
}

/// Whose grants to list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Whose {
    tenant: Option<String>,
    #[serde(default)]
    after: u64,
}

fn milliseconds(until_ns: u64, now_ns: u64) -> u64 {
    until_ns.saturating_sub(now_ns) / NS_IN_MS
}

impl LeaseBody {
    fn new(id: String, lease: &Lease, now_ns: u64) -> Self {
        Self {
            id,
            epoch: lease.epoch,
            lease_ms: lease.lease_ns / NS_IN_MS,
            expires_in_ms: milliseconds(lease.deadline_ns, now_ns),
            evict_within_ms: lease.wanted_by_ns.map(|by_ns| milliseconds(by_ns, now_ns)),
        }
    }
}

impl GrantBody {
    fn new(view: AllocationView, lease: &Lease, now_ns: u64) -> Self {
        let LeaseBody { id, epoch, lease_ms, expires_in_ms, evict_within_ms } =
            LeaseBody::new(view.allocation_id, lease, now_ns);
        Self {
            id,
            epoch,
            tenant: view.tenant_id.to_string(),
            bytes: view.bytes,
            kind: Kind(view.allocation_type).name(),
            model: view.model_name,
            pinned: view.pinned,
            lease_ms,
            expires_in_ms,
            evict_within_ms,
        }
    }
}

impl State {
    /// What it means that the manager does not change an allocation: its lease has ended, or its
    /// memory is wanted elsewhere, or it is gone, with its tenant or by an operator's hand.
    async fn struck(&self, id: &str, tenant: TenantId, error: MemoryError) -> Problem {
        let gone = matches!(
            error,
            MemoryError::UnknownTenant(_)
                | MemoryError::UnknownAllocation { .. }
                | MemoryError::AllocationEnded { .. }
        );
        if !gone {
            return error.into();
        }
        if let Err(not) = self.book().look(id, Acting::Anybody, None) {
            return not.into();
        }
        if self.manager.get_allocation(tenant, id).await.is_ok() {
            return Problem::wanted();
        }
        let ended = self.book().end(id, Acting::Anybody, None, End::Revoked);
        // Nothing is there any more; if something were, it would be nobody's from now on.
        let _ = self.manager.release_allocation_whole(tenant, id).await;
        ended.err().unwrap_or(NotHeld::Ended(End::Revoked)).into()
    }

    /// Counts an answer to a request that began at a time, and enters a refusal among the last
    /// ones.
    pub fn note_answer(
        &self,
        ask: &AllocationAsk,
        granted: &Result<String, AllocationRefusal>,
        begun: Instant,
        waits: bool,
    ) {
        let outcome = match granted {
            Ok(_) => Outcome::Granted,
            Err(AllocationRefusal::Denied(_)) => Outcome::Denied,
            Err(AllocationRefusal::Misuse(_)) => Outcome::Misuse,
        };
        let who = (ask.tenant_id, || self.name_of(ask.tenant_id).unwrap_or_default());
        self.metrics.requested(who, ask.allocation_type, outcome, begun.elapsed(), waits);
        if let Err(AllocationRefusal::Denied(no)) = granted {
            self.recent.denied(self, ask, no);
        }
    }

    /// Counts a request for a cache that has no room, and enters it among the last refusals.
    pub fn note_no_room(&self, ask: &AllocationAsk, no: &NoRoom, begun: Instant, waits: bool) {
        let outcome = match no {
            NoRoom::Denied(_) | NoRoom::OnHold(_) => Outcome::Denied,
            NoRoom::Misuse(_) => Outcome::Misuse,
        };
        let who = (ask.tenant_id, || self.name_of(ask.tenant_id).unwrap_or_default());
        self.metrics.requested(who, ask.allocation_type, outcome, begun.elapsed(), waits);
        self.recent.no_room(self, ask, no);
    }

    /// Begins a change of a lease's memory.
    ///
    /// # Errors
    ///
    /// That the caller does not have the lease, or that another change is under way.
    pub fn change(&self, id: &str, reach: &Reach, epoch: u64) -> Result<Change<'_>, Problem> {
        let lease = self.book().change(id, reach.acting(), epoch)?;
        Ok(Change { state: self, id: id.to_string(), lease })
    }

    async fn shown(&self, id: &str, lease: &Lease) -> Result<GrantBody, Problem> {
        let view = self.manager.get_allocation(lease.tenant, id).await;
        match view {
            Ok(view) => Ok(GrantBody::new(view, lease, self.now_ns())),
            Err(error) => Err(self.struck(id, lease.tenant, error).await),
        }
    }
}

/// A change of a lease's memory, under way until it is dropped.
pub struct Change<'s> {
    state: &'s State,
    id: String,
    lease: Lease,
}

impl Change<'_> {
    /// Whose it is.
    pub fn tenant(&self) -> TenantId {
        self.lease.tenant
    }
}

impl Drop for Change<'_> {
    fn drop(&mut self) {
        self.state.book().changed(&self.id);
    }
}

/// More bytes in an allocation, as a request for them.
pub fn growth(of: AllocationView, bytes: u64) -> AllocationAsk {
    AllocationAsk {
        tenant_id: of.tenant_id,
        bytes,
        model_name: of.model_name,
        allocation_type: of.allocation_type,
    }
}

fn within(name: &str, given_ms: u64, low: Duration, high: Duration) -> Result<Duration, Problem> {
    let given = Duration::from_millis(given_ms);
    if (low..=high).contains(&given) {
        return Ok(given);
    }
    let (low, high) = (low.as_millis(), high.as_millis());
    Err(Problem::invalid(format!("{name} of {given_ms} is out of range: use {low} to {high}")))
}

/// Asks for memory: at once, or with a wait in line that ends with the connection.
pub async fn request(
    Shared(state): Shared<Arc<State>>,
    reach: Reach,
    Body(ask): Body<Ask>,
) -> Result<Response, Problem> {
    let length = ask.model.chars().count();
    if length > MODEL_CHARACTERS_MAX || ask.model.chars().any(char::is_control) {
        let detail = format!(
            "model: at most {MODEL_CHARACTERS_MAX} characters, none of them a control character"
        );
        return Err(Problem::invalid(detail));
    }
    let wait = within("wait_ms", ask.wait_ms, Duration::ZERO, WAIT_MAX)?;
    let lease = match ask.lease_ms {
        Some(lease_ms) => within("lease_ms", lease_ms, LEASE_MIN, state.bounds.max)?,
        None => state.bounds.default,
    };
    let on_evict = match ask.on_evict {
        Evicting::Ask => OnEvict::Ask,
        Evicting::AtOnce => OnEvict::AtOnce,
    };
    let ask = ask.exact(&state, &reach)?;
    let begun = Instant::now();
    let waits = !wait.is_zero();
    let until = waits.then(|| begun + wait);
    let room = cache::room(&state, &ask, None, until.map(Into::into)).await;
    let room = room.inspect_err(|no| state.note_no_room(&ask, no, begun, waits))?;
    // The rest of its time it may stand in the governor's line.
    let wait =
        until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()));
    let granted = state.manager.allocate(&ask, wait).await;
    state.note_answer(&ask, &granted, begun, waits);
    let id = granted.map_err(|refusal| match refusal {
        AllocationRefusal::Misuse(error) => error.into(),
        AllocationRefusal::Denied(no) => reach.denied(*no),
    })?;
    // Nothing is awaited until the lease has begun: whoever leaves meanwhile leaves a lease behind.
    let lease = state.begin_lease(&id, ask.tenant_id, (nanoseconds(lease), on_evict), room);
    let body = state.shown(&id, &lease).await?;
    Ok(created("/v1/grants", &id, Json(body)))
}

/// All leases, or those of one tenant, in the order of their epochs: a page of them, of which the
/// next one comes after the last epoch.
pub async fn list(
    Shared(state): Shared<Arc<State>>,
    reach: Reach,
    Query(whose): Query<Whose>,
) -> Result<Json<Vec<GrantBody>>, Problem> {
    let reach = match whose.tenant {
        Some(tenant) => Reach::These(vec![reach.tenant(&state, &tenant)?]),
        None => reach,
    };
    let mut leases = state.book().of(reach.acting());
    leases.retain(|(_, lease)| lease.epoch > whose.after);
    leases.sort_by_key(|(_, lease)| lease.epoch);
    leases.truncate(PAGE_MAX);
    let mut grants = Vec::with_capacity(leases.len());
    for (id, lease) in leases {
        // One that has ended meanwhile is left out.
        grants.extend(state.shown(&id, &lease).await.ok());
    }
    Ok(Json(grants))
}

/// One grant.
pub async fn look(
    Shared(state): Shared<Arc<State>>,
    reach: Reach,
    At(id): At<String>,
) -> Result<Json<GrantBody>, Problem> {
    let lease = state.book().look(&id, reach.acting(), None)?.clone();
    state.shown(&id, &lease).await.map(Json)
}

/// The holder lives: the lease lasts for its whole time again.
pub async fn renew(
    Shared(state): Shared<Arc<State>>,
    reach: Reach,
    At(id): At<String>,
    Body(Epoch { epoch }): Body<Epoch>,
) -> Result<Json<LeaseBody>, Problem> {
    let now_ns = state.now_ns();
    end_expired(&state, now_ns).await;
    let lease = state.book().renew(&id, reach.acting(), epoch, now_ns)?;
    // What was revoked is not renewed.
    if let Err(error) = state.manager.get_allocation(lease.tenant, &id).await {
        return Err(state.struck(&id, lease.tenant, error).await);
    }
    Ok(Json(LeaseBody::new(id, &lease, now_ns)))
}

/// Another process of the tenant goes on with the grant; whoever had it is refused from now on.
pub async fn take_over(
    Shared(state): Shared<Arc<State>>,
    reach: Reach,
    At(id): At<String>,
) -> Result<Json<GrantBody>, Problem> {
    let now_ns = state.now_ns();
    end_expired(&state, now_ns).await;
    let lease = state.book().take_over(&id, reach.acting(), now_ns)?;
    state.shown(&id, &lease).await.map(Json)
}

/// More bytes, evicting like a request.
pub async fn grow(
    Shared(state): Shared<Arc<State>>,
    reach: Reach,
    At(id): At<String>,
    Body(Resize { epoch, bytes }): Body<Resize>,
) -> Result<Json<GrantBody>, Problem> {
    let change = state.change(&id, &reach, epoch)?;
    let tenant = change.lease.tenant;
    let view = match state.manager.get_allocation(tenant, &id).await {
        Ok(view) => view,
        Err(error) => return Err(state.struck(&id, tenant, error).await),
    };
    let ask = growth(view, bytes.0);
    let room = cache::room(&state, &ask, Some(&id), None).await;
    let room = room.inspect_err(|no| state.recent.no_room(&state, &ask, no))?;
    match state.manager.extend(tenant, &id, bytes.0).await {
        Ok(()) => room.into_iter().for_each(|room| state.book().has_room(&id, room)),
        Err(AllocationRefusal::Misuse(error)) => {
            return Err(state.struck(&id, tenant, error).await);
        }
        Err(AllocationRefusal::Denied(no)) => {
            state.recent.denied(&state, &ask, &no);
            return Err(reach.denied(*no));
        }
    }
    state.shown(&id, &change.lease).await.map(Json)
}

/// Fewer bytes; at least one stays.
pub async fn shrink(
    Shared(state): Shared<Arc<State>>,
    reach: Reach,
    At(id): At<String>,
    Body(Resize { epoch, bytes }): Body<Resize>,
) -> Result<Json<GrantBody>, Problem> {
    // Of two at one time the second would find less than it has looked up.
    let change = state.change(&id, &reach, epoch)?;
    let tenant = change.lease.tenant;
    let held = state.shown(&id, &change.lease).await?.bytes;
    if bytes.0 >= held {
        let by = bytes.0;
        let detail = format!("shrink by {by}, but the grant holds {held}; delete it to return all");
        return Err(Problem::invalid(detail));
    }
    if let Err(error) = state.manager.release_allocation_bytes(tenant, &id, bytes.0).await {
        return Err(state.struck(&id, tenant, error).await);
    }
    state.book().has_shrunk(&id, bytes.0);
    state.shown(&id, &change.lease).await.map(Json)
}

/// Used again: it is evicted later.
pub async fn touch(
    Shared(state): Shared<Arc<State>>,
    reach: Reach,
    At(id): At<String>,
    Body(Epoch { epoch }): Body<Epoch>,
) -> Result<StatusCode, Problem> {
    let change = state.change(&id, &reach, epoch)?;
    let tenant = change.lease.tenant;
    if let Err(error) = state.manager.touch_allocation(tenant, &id).await {
        return Err(state.struck(&id, tenant, error).await);
    }
    state.book().touched(&id, state.now_ns());
    Ok(StatusCode::NO_CONTENT)
}

/// All of it back.
pub async fn release(
    Shared(state): Shared<Arc<State>>,
    reach: Reach,
    At(id): At<String>,
    Query(Epoch { epoch }): Query<Epoch>,
) -> Result<StatusCode, Problem> {
    let lease = state.book().end(&id, reach.acting(), Some(epoch), End::Released)?;
    match state.give_back(&id, &lease).await {
        // Evicted at the same moment, or its tenant has left: it is free as well.
        Ok(()) | Err(MemoryError::UnknownTenant(_) | MemoryError::UnknownAllocation { .. }) => {
            Ok(StatusCode::NO_CONTENT)
        }
        Err(error) => Err(error.into()),
    }
}
