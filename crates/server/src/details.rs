//! One tenant in detail: what it held over time, by type and model, and what happened to it.
//!
//! ```text
//! GET /v1/tenants/{tenant}/details     200
//! ```

use crate::book::Acting;
use crate::events::END;
use crate::happened::EventBody;
use crate::problem::Problem;
use crate::reach::Reach;
use crate::recent::{DenialBody, EvictedBody};
use crate::state::State;
use crate::tenants::TenantBody;
use crate::watch::{AdviceBody, Calendar, HistoryBody};
use crate::words::{At, Kind};
use allotment::{Event, EventKind, EventMark, EventRead, TenantId};
use axum::Json;
use axum::extract::State as Shared;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use utoipa::ToSchema;

/// Events of the tail.
const EVENTS_MAX: usize = 50;
/// Lines of what is held; the smallest are left out.
const HELD_MAX: usize = 100;

/// One tenant.
#[derive(Serialize, ToSchema)]
pub struct DetailsBody<'a> {
    /// When this look was taken.
    time_ms: u64,
    tenant: TenantBody,
    history: HistoryBody,
    held: Vec<HeldBody>,
    held_left_out: usize,
    denials: Vec<DenialBody>,
    evictions: Vec<EvictedBody>,
    events: Vec<EventBody<'a>>,
    advice: Vec<AdviceBody>,
    alerts: Vec<AdviceBody>,
}

/// What is held of one type under one model name.
#[derive(Serialize, ToSchema)]
struct HeldBody {
    #[serde(rename = "type")]
    kind: String,
    model: String,
    grants: u64,
    bytes: u64,
    pinned_bytes: u64,
    /// When the first of their leases ends unless it is renewed.
    expires_in_ms: u64,
}

/// All of one tenant.
pub async fn look(
    Shared(state): Shared<Arc<State>>,
    reach: Reach,
    At(tenant): At<String>,
) -> Result<Response, Problem> {
    let id = reach.tenant(&state, &tenant)?;
    let page = state.page().await?;
    // One look for both: what is said of a tenant on one page is of one time.
    let usage = page.tenant_summaries.iter().find(|usage| usage.tenant_id == id).cloned();
    let usage = usage.ok_or_else(|| Problem::not_found("tenant"))?;
    let calendar = Calendar::new(&state);
    let history = usage.history.as_ref().map(|history| calendar.history(history));
    let alerts = AdviceBody::of_alerts(&usage.open_alerts);
    let tenant = state.body(usage)?;
    let mut held = held(&state, id).await;
    let held_left_out = held.len().saturating_sub(HELD_MAX);
    held.truncate(HELD_MAX);
    let (text, name) = (id.to_string(), state.name_of(id).unwrap_or_default());
    let body = |event: &Event| {
        EventBody::new(event, calendar.unix_ms(event.time_ns), Some(&*text), Some(&*name))
    };
    let mut denials = state.recent.denials(Some(id), 0);
    if reach != Reach::All {
        denials = denials.into_iter().map(DenialBody::for_its_tenant).collect();
    }
    let body = DetailsBody {
        time_ms: calendar.now_ms(),
        tenant,
        history: history.unwrap_or_default(),
        held,
        held_left_out,
        denials,
        evictions: state.recent.evictions(&state.book(), Some(id)),
        events: events(&state, id).iter().rev().map(body).collect(),
        advice: AdviceBody::of_page(&page, Some(id)),
        alerts,
    };
    Ok(Json(body).into_response())
}

/// By type and model, largest first.
async fn held(state: &State, tenant: TenantId) -> Vec<HeldBody> {
    let now_ns = state.now_ns();
    let leases = state.book().of(Acting::Among(&[tenant]));
    let mut sums: BTreeMap<(String, String), HeldBody> = BTreeMap::new();
    for (id, lease) in leases {
        // One that has ended meanwhile is left out.
        let Ok(view) = state.manager.get_allocation(tenant, &id).await else { continue };
        let (kind, model) = (Kind(view.allocation_type).name(), view.model_name);
        let expires_in_ms = lease.deadline_ns.saturating_sub(now_ns) / 1_000_000;
        let sum = sums.entry((kind.clone(), model.clone())).or_insert(HeldBody {
            kind,
            model,
            grants: 0,
            bytes: 0,
            pinned_bytes: 0,
            expires_in_ms,
        });
        sum.grants += 1;
        sum.bytes += view.bytes;
        sum.pinned_bytes += if view.pinned { view.bytes } else { 0 };
        sum.expires_in_ms = sum.expires_in_ms.min(expires_in_ms);
    }
    let mut held: Vec<HeldBody> = sums.into_values().collect();
    held.sort_by_key(|sum| std::cmp::Reverse(sum.bytes));
    held
}

/// The last events about a tenant that the governor still knows, oldest first.
fn events(state: &State, tenant: TenantId) -> VecDeque<Event> {
    let governor = state.manager.governor();
    let mut events = VecDeque::new();
    let Some(handle) = governor.find(tenant) else { return events };
    let end = governor.events_after(END).position();
    let mut reader = governor.events_after(EventMark::default());
    while reader.position() < end {
        match reader.read() {
            EventRead::Event(event) if event.account == handle.index() => {
                // Whoever had the number before was somebody else.
                if event.kind == EventKind::Registered {
                    events.clear();
                }
                if events.len() == EVENTS_MAX {
                    events.pop_front();
                }
                events.push_back(event);
            }
            EventRead::Event(_) => {}
            // Somebody else may have had the number until then.
            EventRead::Lost(_) => events.clear(),
            EventRead::Empty => break,
        }
    }
    events
}
