//! The last refusals and the last evictions, with what people ask about them.
//!
//! ```text
//! GET /v1/denials?tenant=      the last refusals, newest first              200
//! GET /v1/evictions?tenant=    what was to go in the last minute, newest first   200
//!
//! N1  entries have rising numbers: whoever has seen up to one has seen all changes before it
//! N2  refusals <= DENIALS_MAX, evictions <= EVICTIONS_MAX: the oldest go first
//! N3  refusals alike (tenant, type, model, check, account) are one entry, with how often
//! ```
//!
//! Alike are one entry, so that a tenant that asks in a loop does not push out what others asked.

use crate::book::{Acting, Book};
use crate::cache::{self, NoRoom};
use crate::problem::{Problem, account_name, reason_name};
use crate::state::State;
use crate::words::{Kind, Query};
use allotment::{AccountName, AllocationAsk, AllocationDenial, EvictedAllocation, TenantId};
use axum::Json;
use axum::extract::State as Shared;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;
use utoipa::ToSchema;

/// Refusals that are kept.
const DENIALS_MAX: usize = 256;
/// Evictions that are kept.
const EVICTIONS_MAX: usize = 256;
/// Nobody's limit: an operator has put the tenant on hold, or others were faster.
const NOT_NOW: &str = "not_now";
/// How long an eviction is shown.
const EVICTIONS_WITHIN_MS: u64 = 60_000;

/// A refusal, as it is told.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct DenialBody {
    /// Rises with every change.
    pub number: u64,
    time_ms: u64,
    times: u64,
    tenant: String,
    name: String,
    model: String,
    #[serde(rename = "type")]
    kind: String,
    /// The check that refused: `cache_limit` for the limit over all caches, `not_now` for none.
    reason: &'static str,
    /// Whose check: `pool`, `group`, `tenant`, `caches`.
    account: &'static str,
    account_name: String,
    asked_bytes: u64,
    short_bytes: u64,
    limit: u64,
    available_bytes: u64,
    waiting_can_help: bool,
    pinned_grants: u64,
    pinned_bytes: u64,
    text: String,
    /// The same without the names of others.
    #[serde(skip)]
    own_text: String,
}

/// An eviction, as it is told.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct EvictedBody {
    /// Rises with every entry.
    pub number: u64,
    time_ms: u64,
    tenant: String,
    name: String,
    grant: String,
    model: String,
    #[serde(rename = "type")]
    kind: String,
    bytes: u64,
    /// Whether its holder was asked; if not, it ended at once.
    asked: bool,
    /// Whether its bytes are free; if not, its holder has not released it yet.
    pub freed: bool,
}

/// Whose.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Whose {
    tenant: Option<String>,
}

#[derive(Default)]
struct Inner {
    last: u64,
    denials: VecDeque<DenialBody>,
    evictions: VecDeque<EvictedBody>,
}

/// The last of both.
#[derive(Default)]
pub struct Recent {
    inner: Mutex<Inner>,
}

/// Now, in ms since 1970.
pub fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl DenialBody {
    fn new(state: &State, ask: &AllocationAsk, no: &AllocationDenial) -> Self {
        let governor = state.manager.governor();
        let name = state.name_of(ask.tenant_id).unwrap_or_default();
        let denial = no.denial.as_ref();
        let account = denial.map(|denial| denial.account);
        let refuser = match account {
            Some(AccountName::Pool) => "the pool".to_string(),
            Some(AccountName::Group(group)) => {
                governor.group_config(group).map(|config| config.name).unwrap_or_default()
            }
            Some(AccountName::Tenant(_)) | None => name.clone(),
        };
        Self {
            number: 0,
            time_ms: unix_ms(),
            times: 1,
            tenant: ask.tenant_id.to_string(),
            name,
            model: ask.model_name.clone(),
            kind: Kind(ask.allocation_type).name(),
            reason: denial.map_or(NOT_NOW, |denial| reason_name(denial.reason)),
            account: account.map_or("tenant", account_name),
            account_name: refuser,
            asked_bytes: ask.bytes,
            short_bytes: denial.map_or(0, |denial| denial.short_bytes),
            limit: denial.map_or(0, |denial| denial.limit),
            available_bytes: no.available_bytes,
            waiting_can_help: denial.is_none_or(|denial| denial.waiting_can_help),
            pinned_grants: denial.map_or(0, |denial| denial.pins.grants.into()),
            pinned_bytes: denial.map_or(0, |denial| denial.pins.bytes),
            text: no.reason.clone(),
            own_text: denial.map_or_else(|| no.reason.clone(), ToString::to_string),
        }
    }

    /// As it is told to whoever sees this tenant alone: the facade's sentence names other holders.
    #[must_use]
    pub fn for_its_tenant(mut self) -> Self {
        if self.account != "tenant" {
            self.text.clone_from(&self.own_text);
        }
        self
    }

    /// Of a request for a cache that has no room under the limit of caches; none: it made no sense.
    fn without_room(state: &State, ask: &AllocationAsk, no: &NoRoom) -> Option<Self> {
        let name = state.name_of(ask.tenant_id).unwrap_or_default();
        let body = |text: String| Self {
            number: 0,
            time_ms: unix_ms(),
            times: 1,
            tenant: ask.tenant_id.to_string(),
            name: name.clone(),
            model: ask.model_name.clone(),
            kind: Kind(ask.allocation_type).name(),
            reason: NOT_NOW,
            account: "tenant",
            account_name: name.clone(),
            asked_bytes: ask.bytes,
            short_bytes: 0,
            limit: 0,
            available_bytes: 0,
            waiting_can_help: true,
            pinned_grants: 0,
            pinned_bytes: 0,
            own_text: text.clone(),
            text,
        };
        match no {
            NoRoom::Denied(denied) => Some(Self {
                reason: cache::REASON,
                account: cache::ACCOUNT,
                account_name: cache::ACCOUNT_NAME.to_string(),
                short_bytes: denied.short_bytes(),
                limit: denied.limit_bytes,
                available_bytes: denied.available_bytes(),
                waiting_can_help: denied.waiting_can_help(),
                ..body(denied.to_string())
            }),
            NoRoom::OnHold(why) => Some(body(why.clone())),
            NoRoom::Misuse(_) => None,
        }
    }

    fn is_like(&self, other: &Self) -> bool {
        let key = |body: &Self| (body.reason, body.account);
        key(self) == key(other)
            && self.tenant == other.tenant
            && self.kind == other.kind
            && self.model == other.model
            && self.account_name == other.account_name
    }
}

impl Recent {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a refusal.
    pub fn denied(&self, state: &State, ask: &AllocationAsk, no: &AllocationDenial) {
        self.enter(DenialBody::new(state, ask, no));
    }

    /// Enters a refusal for want of room for a cache; no misuse.
    pub fn no_room(&self, state: &State, ask: &AllocationAsk, no: &NoRoom) {
        if let Some(body) = DenialBody::without_room(state, ask, no) {
            self.enter(body);
        }
    }

    fn enter(&self, mut denial: DenialBody) {
        let mut inner = self.inner();
        let alike = inner.denials.iter().position(|old| old.is_like(&denial));
        if let Some(old) = alike.and_then(|place| inner.denials.remove(place)) {
            denial.times = old.times.saturating_add(1);
        }
        inner.last += 1;
        denial.number = inner.last;
        if inner.denials.len() == DENIALS_MAX {
            inner.denials.pop_front();
        }
        inner.denials.push_back(denial);
    }

    /// Enters that an allocation is to go; of one that was entered already nothing new.
    pub fn evicted(&self, name: String, evicted: &EvictedAllocation, freed: bool) {
        let mut inner = self.inner();
        if inner.evictions.iter().any(|old| old.grant == evicted.allocation_id) {
            return;
        }
        inner.last += 1;
        let body = EvictedBody {
            number: inner.last,
            time_ms: unix_ms(),
            tenant: evicted.tenant_id.to_string(),
            name,
            grant: evicted.allocation_id.clone(),
            model: evicted.model_name.clone(),
            kind: Kind(evicted.allocation_type).name(),
            bytes: evicted.bytes,
            asked: !freed,
            freed,
        };
        if inner.evictions.len() == EVICTIONS_MAX {
            inner.evictions.pop_front();
        }
        inner.evictions.push_back(body);
    }

    /// Refusals, newest first, of one tenant or of all, with a number above `after`.
    pub fn denials(&self, tenant: Option<TenantId>, after: u64) -> Vec<DenialBody> {
        let tenant = tenant.map(|tenant| tenant.to_string());
        let inner = self.inner();
        let newest = inner.denials.iter().rev().take_while(|denial| denial.number > after);
        let of = newest.filter(|denial| tenant.as_ref().is_none_or(|id| *id == denial.tenant));
        of.cloned().collect()
    }

    /// Evictions of the last minute, newest first, of one tenant or of all. What its holder has
    /// released meanwhile is freed.
    pub fn evictions(&self, book: &Book, tenant: Option<TenantId>) -> Vec<EvictedBody> {
        let tenant = tenant.map(|tenant| tenant.to_string());
        let since_ms = unix_ms().saturating_sub(EVICTIONS_WITHIN_MS);
        let mut inner = self.inner();
        for eviction in inner.evictions.iter_mut().filter(|eviction| !eviction.freed) {
            eviction.freed = book.look(&eviction.grant, Acting::Anybody, None).is_err();
        }
        let newest = inner.evictions.iter().rev().filter(|eviction| eviction.time_ms >= since_ms);
        let of = newest.filter(|eviction| tenant.as_ref().is_none_or(|id| *id == eviction.tenant));
        of.cloned().collect()
    }
}

/// The last refusals.
pub async fn denials(
    Shared(state): Shared<Arc<State>>,
    Query(whose): Query<Whose>,
) -> Result<Json<Vec<DenialBody>>, Problem> {
    let tenant = whose.tenant.map(|text| state.tenant(&text).ok_or(text)).transpose();
    let tenant = tenant.map_err(|_| Problem::not_found("tenant"))?;
    Ok(Json(state.recent.denials(tenant, 0)))
}

/// What was to go in the last minute.
pub async fn evictions(
    Shared(state): Shared<Arc<State>>,
    Query(whose): Query<Whose>,
) -> Result<Json<Vec<EvictedBody>>, Problem> {
    let tenant = whose.tenant.map(|text| state.tenant(&text).ok_or(text)).transpose();
    let tenant = tenant.map_err(|_| Problem::not_found("tenant"))?;
    Ok(Json(state.recent.evictions(&state.book(), tenant)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(tenant: &str, model: &str) -> DenialBody {
        DenialBody {
            number: 0,
            time_ms: 0,
            times: 1,
            tenant: tenant.to_string(),
            name: String::new(),
            model: model.to_string(),
            kind: "inference".to_string(),
            reason: "capacity",
            account: "pool",
            account_name: "the pool".to_string(),
            asked_bytes: 1,
            short_bytes: 1,
            limit: 1,
            available_bytes: 0,
            waiting_can_help: true,
            pinned_grants: 0,
            pinned_bytes: 0,
            text: String::new(),
            own_text: String::new(),
        }
    }

    #[test]
    fn refusals_alike_are_one_entry_and_the_newest() {
        let recent = Recent::default();
        recent.enter(refused("a", "x"));
        recent.enter(refused("b", "x"));
        (0..10_000).for_each(|_| recent.enter(refused("a", "x")));
        let seen = |body: &DenialBody| (body.tenant.clone(), body.times);
        let all: Vec<_> = recent.denials(None, 0).iter().map(seen).collect();
        assert_eq!(all, [("a".to_string(), 10_001), ("b".to_string(), 1)]);
        let newest = recent.denials(None, 0)[0].number;
        assert!(recent.denials(None, newest).is_empty());
        assert_eq!(recent.denials(None, newest - 1).len(), 1);
    }

    #[test]
    fn the_oldest_refusals_go_first() {
        let recent = Recent::default();
        (0..DENIALS_MAX + 10).for_each(|n| recent.enter(refused("a", &n.to_string())));
        let kept = recent.denials(None, 0);
        assert_eq!((kept.len(), &*kept[DENIALS_MAX - 1].model), (DENIALS_MAX, "10"));
    }

    #[test]
    fn an_eviction_is_entered_once_and_freed_when_its_lease_is_gone() {
        use crate::book::{End, OnEvict};
        let (recent, mut book) = (Recent::default(), Book::new(0));
        let tenant = TenantId::from_u128(7);
        book.begin("g".to_string(), tenant, 1_000, OnEvict::Ask, 0);
        let evicted = EvictedAllocation {
            allocation_id: "g".to_string(),
            tenant_id: tenant,
            model_name: String::new(),
            allocation_type: allotment::AllocationType::Cache,
            bytes: 5,
        };
        recent.evicted(String::new(), &evicted, false);
        recent.evicted(String::new(), &evicted, false);
        let shown = |book: &Book, of| -> Vec<bool> {
            recent.evictions(book, of).iter().map(|eviction| eviction.freed).collect()
        };
        assert_eq!(shown(&book, None), [false]);
        assert!(shown(&book, Some(TenantId::from_u128(8))).is_empty());
        book.end("g", Acting::Anybody, None, End::Released).unwrap();
        assert_eq!(shown(&book, Some(tenant)), [true]);
    }
}
