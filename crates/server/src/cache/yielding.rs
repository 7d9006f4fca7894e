//! Which caches go where `limit` of `[cache]` is set, in the order of `eviction_policy`.
//!
//! - Another one has no room: the asking tenant's own go, then those of tenants with a lower
//!   priority down to their guarantees; none if all of them would not be enough.
//! - `eviction_threshold` is reached: those of all tenants go, down to their guarantees, until
//!   `memory_threshold` is kept.

use super::items::{self, Held, Item, held};
use super::{Cause, Limits, Wanted};
use crate::book::OnEvict;
use crate::state::{State, nanoseconds};
use allotment::{AllocationAsk, AllocationType, MemoryError, Priority, TenantId};
use std::collections::HashMap;

/// What would go, first to last, and what would come of it.
#[derive(Debug, Default)]
pub struct Plan {
    /// Those that would go.
    pub items: Vec<Item>,
    /// Bytes that are free at once.
    pub gone_bytes: u64,
    /// Bytes that come when their holders have released them.
    pub coming_bytes: u64,
}

/// Who yields, and how far.
struct Yielding {
    priority: Priority,
    /// What it has above its guarantee.
    spare_bytes: u64,
}

fn yielding(state: &State, tenant: TenantId) -> Option<Yielding> {
    let governor = state.manager.governor();
    let handle = governor.find(tenant)?;
    let config = governor.tenant_config(handle).ok()?;
    let used_bytes = governor.usage(handle).ok()?.used_bytes;
    let spare_bytes = used_bytes.saturating_sub(config.guarantee_bytes);
    Some(Yielding { priority: config.priority, spare_bytes })
}

/// Those of whom something was looked at.
#[derive(Default)]
struct Tenants(HashMap<TenantId, Option<Yielding>>);

impl Tenants {
    /// Whether an item's tenant yields it: it may, and stays above its guarantee.
    fn yields(&mut self, state: &State, item: &Item, may: impl Fn(&Yielding) -> bool) -> bool {
        let of = self.0.entry(item.tenant).or_insert_with(|| yielding(state, item.tenant));
        let Some(of) = of.as_mut().filter(|of| may(of)) else { return false };
        let rest_bytes = of.spare_bytes.checked_sub(item.bytes);
        of.spare_bytes = rest_bytes.unwrap_or(of.spare_bytes);
        rest_bytes.is_some()
    }
}

impl Plan {
    /// What would go of what is held, for so many bytes that somebody asks for.
    pub fn new(state: &State, asking: TenantId, held: Vec<Item>, short_bytes: u64) -> Self {
        let Some(own) = yielding(state, asking) else { return Self::default() };
        let order = items::order(held, Limits::of(state).settings.eviction_policy, state.now_ns());
        let (mut items, others): (Vec<Item>, Vec<Item>) =
            order.into_iter().partition(|item| item.tenant == asking);
        items.extend(others);
        let mut tenants = Tenants::default();
        Self::of(state, items, short_bytes, |item| {
            item.tenant == asking || tenants.yields(state, item, |of| of.priority < own.priority)
        })
    }

    /// What goes of what is held for caches to hold so many bytes less.
    pub fn down_by(state: &State, held: Vec<Item>, short_bytes: u64) -> Self {
        let policy = Limits::of(state).settings.eviction_policy;
        let items = items::order(held, policy, state.now_ns());
        let mut tenants = Tenants::default();
        Self::of(state, items, short_bytes, |item| tenants.yields(state, item, |_| true))
    }

    fn of(
        state: &State,
        items: Vec<Item>,
        short_bytes: u64,
        mut may_go: impl FnMut(&Item) -> bool,
    ) -> Self {
        let (mut plan, now_ns) = (Self::default(), state.now_ns());
        for item in items {
            if plan.is_enough(short_bytes) {
                break;
            }
            if !may_go(&item) {
                continue;
            }
            match item.on_evict {
                OnEvict::AtOnce => plan.gone_bytes += item.bytes,
                // Whoever does not release it in time is not counted on.
                OnEvict::Ask if item.is_late(now_ns) => {}
                OnEvict::Ask => plan.coming_bytes += item.bytes,
            }
            plan.items.push(item);
        }
        plan
    }

    /// Whether there is so much room, once all have gone.
    pub fn is_enough(&self, short_bytes: u64) -> bool {
        self.gone_bytes.saturating_add(self.coming_bytes) >= short_bytes
    }
}

/// What is held, but for what is not to go for its own growth.
pub async fn candidates(state: &State, growing: Option<&str>) -> Vec<Item> {
    let mut held = held(state).await.items;
    held.retain(|item| Some(&*item.id) != growing);
    held
}

/// Has caches go for a request that is so many bytes short. Whoever waits keeps what comes free
/// meanwhile; for others nothing goes at once before the rest has come.
///
/// # Errors
///
/// What the manager refuses, which is a bug or a machine that fails.
pub async fn evict(
    state: &State,
    ask: &AllocationAsk,
    growing: Option<&str>,
    short_bytes: u64,
    waits: bool,
) -> Result<(), MemoryError> {
    let held = candidates(state, growing).await;
    let plan = Plan::new(state, ask.tenant_id, held, short_bytes);
    if !plan.is_enough(short_bytes) {
        return Ok(());
    }
    let at_once = waits || plan.gone_bytes >= short_bytes;
    let items = plan.items.into_iter();
    carry_out(state, items.filter(|item| at_once || item.on_evict == OnEvict::Ask)).await
}

/// Has caches go until `memory_threshold` is kept, if they hold `eviction_threshold` or more of the
/// limit.
///
/// # Errors
///
/// As [`evict`].
pub async fn keep_below(state: &State, held: Held) -> Result<(), MemoryError> {
    let limits = Limits::of(state);
    let settings = &limits.settings;
    let is_due = held.all.bytes >= limits.part_bytes(settings.eviction_threshold);
    if settings.bytes_max.is_none() || !is_due {
        return Ok(());
    }
    let over_bytes = held.all.bytes.saturating_sub(limits.part_bytes(settings.memory_threshold));
    carry_out(state, Plan::down_by(state, held.items, over_bytes).items).await
}

/// Ends items that may go at once, and asks the holders of the others.
async fn carry_out(
    state: &State,
    items: impl IntoIterator<Item = Item>,
) -> Result<(), MemoryError> {
    let now_ns = state.now_ns();
    let by_ns = now_ns.saturating_add(nanoseconds(state.bounds.evict_within));
    let mut evicted = 0;
    for item in items {
        let wanted = state.book().want(&item.id, Cause::Limit, now_ns, by_ns);
        match wanted {
            Wanted::Asked => {
                // Whoever is asked again was counted before.
                evicted += u64::from(item.wanted_by_ns.is_none());
                state.note_gone(&item, false);
            }
            Wanted::Unknown | Wanted::Free => {}
            Wanted::Ended => {
                match state.manager.release_allocation_whole(item.tenant, &item.id).await {
                    Ok(_) => {
                        evicted += 1;
                        state.note_gone(&item, true);
                        state.metrics.evicted(AllocationType::Cache, Cause::Limit, item.bytes);
                    }
                    Err(MemoryError::UnknownTenant(_) | MemoryError::UnknownAllocation { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }
    if evicted > 0 {
        state.cache.note_evicted(evicted);
    }
    Ok(())
}

impl State {
    /// Enters an item that goes, or whose holder was asked, among the last evictions.
    pub fn note_gone(&self, item: &Item, freed: bool) {
        let name = self.name_of(item.tenant).unwrap_or_default();
        self.recent.evicted(name, &item.evicted(), freed);
    }
}
