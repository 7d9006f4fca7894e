//! Which caches go for another one that has no room under the limit: the asking tenant's own, then
//! those of tenants with a lower priority down to their guarantees, in the order of
//! `eviction_policy`. Nothing goes if all of that would not be enough.

use super::items::{self, Item, held};
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

impl Plan {
    /// What would go of what is held, for so many bytes.
    pub fn new(state: &State, asking: TenantId, held: Vec<Item>, short_bytes: u64) -> Self {
        let mut plan = Self::default();
        let Some(own) = yielding(state, asking) else { return plan };
        let now_ns = state.now_ns();
        let order = items::order(held, Limits::of(state).settings.eviction_policy, now_ns);
        let (own_items, others): (Vec<Item>, Vec<Item>) =
            order.into_iter().partition(|item| item.tenant == asking);
        let mut tenants: HashMap<TenantId, Option<Yielding>> = HashMap::new();
        for item in own_items.into_iter().chain(others) {
            if plan.is_enough(short_bytes) {
                break;
            }
            if item.tenant != asking {
                let of = tenants.entry(item.tenant).or_insert_with(|| yielding(state, item.tenant));
                let lower =
                    |of: &&mut Yielding| of.priority < own.priority && of.spare_bytes >= item.bytes;
                let Some(of) = of.as_mut().filter(lower) else { continue };
                of.spare_bytes -= item.bytes;
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
    let now_ns = state.now_ns();
    let by_ns = now_ns.saturating_add(nanoseconds(state.bounds.evict_within));
    let mut gone = 0;
    for item in plan.items {
        if item.on_evict == OnEvict::AtOnce && !at_once {
            continue;
        }
        let wanted = state.book().want(&item.id, Cause::Limit, now_ns, by_ns);
        match wanted {
            Wanted::Asked => state.note_gone(&item, false),
            Wanted::Unknown | Wanted::Free => {}
            Wanted::Ended => {
                match state.manager.release_allocation_whole(item.tenant, &item.id).await {
                    Ok(_) => {
                        gone += 1;
                        state.note_gone(&item, true);
                        state.metrics.evicted(AllocationType::Cache, Cause::Limit, item.bytes);
                    }
                    Err(MemoryError::UnknownTenant(_) | MemoryError::UnknownAllocation { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }
    if gone > 0 {
        state.cache.note_evicted(gone);
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
