//! Groups: limits and guarantees that tenants have together.
//!
//! ```text
//! GET    /v1/groups            all                       200
//! POST   /v1/groups            registers one             201
//! GET    /v1/groups/{group}    by name                   200
//! PATCH  /v1/groups/{group}    changes what is named     200
//! DELETE /v1/groups/{group}?mode=idle     or force       204
//! ```

use crate::problem::Problem;
use crate::state::State;
use crate::tenants::{Leaving, Mode};
use crate::words::{At, Body, Change, Query, Size, created};
use allotment::{GroupConfig, GroupSnapshot};
use axum::Json;
use axum::extract::State as Shared;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// Most characters of a name, as of a tenant's.
const NAME_MAX: usize = 128;

/// What a new group is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewGroup {
    name: String,
    parent: Option<String>,
    guarantee: Option<Size>,
    limit: Option<Size>,
}

/// What is to become of a group; what is not named stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = GroupChanges)]
pub struct Changes {
    guarantee: Option<Size>,
    #[serde(default)]
    #[schema(value_type = Option<Size>)]
    limit: Change<Size>,
}

/// A group.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct GroupBody {
    name: String,
    parent: Option<String>,
    used_bytes: u64,
    claimed_bytes: u64,
    guarantee_bytes: u64,
    limit_bytes: Option<u64>,
    children: u32,
}

impl From<GroupSnapshot> for GroupBody {
    fn from(group: GroupSnapshot) -> Self {
        Self {
            name: group.name,
            parent: group.parent,
            used_bytes: group.used_bytes,
            claimed_bytes: group.claimed_bytes,
            guarantee_bytes: group.guarantee_bytes,
            limit_bytes: group.limit_bytes,
            children: group.children,
        }
    }
}

fn body_of(state: &State, name: &str) -> Result<Json<GroupBody>, Problem> {
    let groups = state.manager.governor().groups();
    let found = groups.into_iter().find(|group| group.name == name);
    found.map(|group| Json(group.into())).ok_or_else(|| Problem::not_found("group"))
}

/// All groups.
pub async fn list(Shared(state): Shared<Arc<State>>) -> Json<Vec<GroupBody>> {
    Json(state.manager.governor().groups().into_iter().map(GroupBody::from).collect())
}

/// Registers a group.
pub async fn register(
    Shared(state): Shared<Arc<State>>,
    Body(new): Body<NewGroup>,
) -> Result<Response, Problem> {
    let _alone = state.administration.lock().await;
    let governor = state.manager.governor();
    let length = new.name.chars().count();
    if !(1..=NAME_MAX).contains(&length) || new.name.chars().any(char::is_control) {
        let detail = format!("name: 1 to {NAME_MAX} characters, none of them a control character");
        return Err(Problem::invalid(detail));
    }
    if governor.find_group(&new.name).is_some() {
        let (status, title) = (StatusCode::CONFLICT, "it is there already");
        let detail = format!("there is a group `{}` already; change it or remove it", new.name);
        return Err(Problem::new(status, "duplicate", title, detail));
    }
    let parent = match &new.parent {
        Some(name) => Some(governor.find_group(name).ok_or_else(|| Problem::not_found("group"))?),
        None => None,
    };
    let group = governor.register_group(GroupConfig {
        parent,
        guarantee_bytes: new.guarantee.map_or(0, |size| size.0),
        limit_bytes: new.limit.map(|size| size.0),
        ..GroupConfig::new(&new.name)
    })?;
    if let Err(problem) = state.keep_group(&new.name) {
        governor.unregister_group(group)?;
        return Err(problem);
    }
    let body = body_of(&state, &new.name)?;
    Ok(created("/v1/groups", &new.name, body))
}

/// One group.
pub async fn look(
    Shared(state): Shared<Arc<State>>,
    At(name): At<String>,
) -> Result<Json<GroupBody>, Problem> {
    body_of(&state, &name)
}

/// Changes what is named of a group.
pub async fn change(
    Shared(state): Shared<Arc<State>>,
    At(name): At<String>,
    Body(changes): Body<Changes>,
) -> Result<Json<GroupBody>, Problem> {
    let _alone = state.administration.lock().await;
    let governor = state.manager.governor();
    let group = governor.find_group(&name).ok_or_else(|| Problem::not_found("group"))?;
    let before = governor.group_config(group)?;
    governor.set_group(group, |config| {
        config.guarantee_bytes = changes.guarantee.map_or(config.guarantee_bytes, |size| size.0);
        changes.limit.map(|size| size.0).apply(&mut config.limit_bytes);
    })?;
    if let Err(problem) = state.keep_group(&name) {
        governor.set_group(group, |config| *config = before)?;
        return Err(problem);
    }
    body_of(&state, &name)
}

/// Removes a group: idle, if nothing is below it; by force with all that is, whatever that holds.
pub async fn remove(
    Shared(state): Shared<Arc<State>>,
    At(name): At<String>,
    Query(leaving): Query<Leaving>,
) -> Result<StatusCode, Problem> {
    let _alone = state.administration.lock().await;
    if state.manager.governor().find_group(&name).is_none() {
        return Err(Problem::not_found("group"));
    }
    match leaving.mode {
        Mode::Idle => state.remove_group(&name)?,
        Mode::Force => state.remove_all_below(&name).await?,
    }
    Ok(StatusCode::NO_CONTENT)
}

impl State {
    fn remove_group(&self, name: &str) -> Result<(), Problem> {
        let governor = self.manager.governor();
        let group = governor.find_group(name).ok_or_else(|| Problem::not_found("group"))?;
        governor.unregister_group(group)?;
        self.keep_group_gone(name)
    }

    /// Tenants first, then groups from the bottom up. What was removed before something is refused
    /// stays away.
    async fn remove_all_below(&self, name: &str) -> Result<(), Problem> {
        let governor = self.manager.governor();
        let groups = governor.groups();
        let mut below = vec![name.to_string()];
        // Whoever is found has those below it looked for as well.
        let mut looked = 0;
        while let Some(parent) = below.get(looked).cloned() {
            let children = groups.iter().filter(|group| group.parent.as_ref() == Some(&parent));
            below.extend(children.map(|group| group.name.clone()));
            looked += 1;
        }
        let tenants = governor.snapshot().tenants;
        let is_below = |group: &Option<String>| group.as_ref().is_some_and(|g| below.contains(g));
        for tenant in tenants.into_iter().filter(|tenant| is_below(&tenant.group)) {
            self.remove_tenant(tenant.id, Mode::Force).await?;
        }
        below.iter().rev().try_for_each(|group| self.remove_group(group))
    }
}
