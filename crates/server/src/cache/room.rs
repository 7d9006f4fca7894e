//! Room for caches: with a `limit` in `[cache]`, all grants of the type `cache` together hold no
//! more. The governor knows limits of tenants and groups, and none of a type; so whoever asks for
//! a grant of a cache, or for more in one, takes its room here before it asks the governor.
//!
//! ```text
//! R1  what is asked for + what is held <= the limit, whenever room is taken
//! R2  counts.held_bytes >= what is held by grants that are answered: what ends is found at a look
//! ```
//!
//! Where there is no room, caches go first: the asking tenant's own, then those of tenants with a
//! lower priority down to their guarantees, in the order of `eviction_policy`. What is still short
//! then is denied, with figures. A limit below what is held revokes nothing.

use super::items::{self, Item, held};
use super::{Cause, Limits, Wanted};
use crate::problem::Problem;
use crate::state::{State, nanoseconds};
use allotment::{AllocationType, MemoryError, Priority, TenantId};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is counted between two looks.
#[derive(Debug)]
struct Counts {
    /// At least what is held; all there is, if nobody has looked yet.
    held_bytes: u64,
    /// What is asked for, and not answered yet.
    asking_bytes: u64,
    /// What was granted, ever.
    granted_bytes: u64,
}

/// Room that is taken, and what was granted of it.
#[derive(Debug)]
pub struct Rooms(Mutex<Counts>);

impl Default for Rooms {
    fn default() -> Self {
        Self(Mutex::new(Counts { held_bytes: u64::MAX, asking_bytes: 0, granted_bytes: 0 }))
    }
}

impl Rooms {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn short_bytes(&self, bytes: u64, limit_bytes: u64) -> u64 {
        let counts = self.counts();
        let all = counts.held_bytes.saturating_add(counts.asking_bytes).saturating_add(bytes);
        all.saturating_sub(limit_bytes)
    }

    /// Takes room, or says how many bytes are short.
    fn take(&self, bytes: u64, limit_bytes: u64) -> Result<Room<'_>, u64> {
        let mut counts = self.counts();
        let all = counts.held_bytes.saturating_add(counts.asking_bytes).saturating_add(bytes);
        if all > limit_bytes {
            return Err(all - limit_bytes);
        }
        counts.asking_bytes += bytes;
        Ok(Room { rooms: self, bytes, granted: false })
    }
}

/// Room that somebody has until it is answered.
#[derive(Debug)]
pub struct Room<'r> {
    rooms: &'r Rooms,
    bytes: u64,
    granted: bool,
}

impl Room<'_> {
    /// The governor has granted it.
    pub fn granted(mut self) {
        self.granted = true;
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        let mut counts = self.rooms.counts();
        counts.asking_bytes -= self.bytes;
        if self.granted {
            counts.held_bytes = counts.held_bytes.saturating_add(self.bytes);
            counts.granted_bytes = counts.granted_bytes.wrapping_add(self.bytes);
        }
    }
}

/// Takes room for bytes of a kind; none is needed of other kinds, and where there is no limit. A
/// grant that is to grow does not go for that.
///
/// # Errors
///
/// A denial with its figures, if there is none.
pub async fn room<'s>(
    state: &'s State,
    tenant: TenantId,
    kind: AllocationType,
    bytes: u64,
    growing: Option<&str>,
) -> Result<Option<Room<'s>>, Problem> {
    if kind != AllocationType::Cache {
        return Ok(None);
    }
    let limits = Limits::of(state);
    let rooms = &state.cache.rooms;
    let Some(limit_bytes) = limits.settings.bytes_max else {
        // Nobody counts: whoever sets a limit has to look first.
        rooms.counts().held_bytes = u64::MAX;
        return Ok(None);
    };
    if bytes > limit_bytes {
        return Err(denied(bytes, limit_bytes, bytes - limit_bytes));
    }
    if let Ok(room) = rooms.take(bytes, limit_bytes) {
        return Ok(Some(room));
    }
    let _alone = state.cache.looking.lock().await;
    let granted_before = rooms.counts().granted_bytes;
    let mut held = held(state).await;
    {
        let mut counts = rooms.counts();
        let meanwhile = counts.granted_bytes.wrapping_sub(granted_before);
        counts.held_bytes = held.all.bytes.saturating_add(meanwhile);
    }
    let short_bytes = rooms.short_bytes(bytes, limit_bytes);
    if short_bytes > 0 {
        held.items.retain(|item| Some(&*item.id) != growing);
        let order = items::order(held.items, limits.settings.eviction_policy, state.now_ns());
        let gone_bytes = evict(state, tenant, order, short_bytes).await?;
        let mut counts = rooms.counts();
        counts.held_bytes = counts.held_bytes.saturating_sub(gone_bytes);
    }
    let taken = rooms.take(bytes, limit_bytes);
    taken.map(Some).map_err(|short_bytes| denied(bytes, limit_bytes, short_bytes))
}

fn denied(bytes: u64, limit_bytes: u64, short_bytes: u64) -> Problem {
    Problem::no_room_for_caches(bytes, limit_bytes, short_bytes)
}

/// Who yields to whom, and how far.
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

/// Has so many bytes go, and answers how many are gone already.
async fn evict(
    state: &State,
    asking: TenantId,
    order: Vec<Item>,
    short_bytes: u64,
) -> Result<u64, Problem> {
    let Some(own) = yielding(state, asking) else { return Ok(0) };
    let now_ns = state.now_ns();
    let by_ns = now_ns.saturating_add(nanoseconds(state.bounds.evict_within));
    let (own_items, others): (Vec<Item>, Vec<Item>) =
        order.into_iter().partition(|item| item.tenant == asking);
    let mut tenants: HashMap<TenantId, Option<Yielding>> = HashMap::new();
    let (mut gone_bytes, mut items_gone, mut coming_bytes) = (0, 0, 0);
    for item in own_items.into_iter().chain(others) {
        if gone_bytes + coming_bytes >= short_bytes {
            break;
        }
        if item.tenant != asking {
            let of = tenants.entry(item.tenant).or_insert_with(|| yielding(state, item.tenant));
            let lower =
                |of: &&mut Yielding| of.priority < own.priority && of.spare_bytes >= item.bytes;
            let Some(of) = of.as_mut().filter(lower) else { continue };
            of.spare_bytes -= item.bytes;
        }
        let wanted = state.book().want(&item.id, Cause::Limit, now_ns, by_ns);
        match wanted {
            Wanted::Asked => coming_bytes += item.bytes,
            Wanted::Unknown | Wanted::Free => {}
            Wanted::Ended => {
                match state.manager.release_allocation_whole(item.tenant, &item.id).await {
                    Ok(_) => {
                        gone_bytes += item.bytes;
                        items_gone += 1;
                        state.metrics.evicted(AllocationType::Cache, Cause::Limit, item.bytes);
                    }
                    Err(MemoryError::UnknownTenant(_) | MemoryError::UnknownAllocation { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
    }
    if items_gone > 0 {
        state.cache.note_evicted(items_gone);
    }
    Ok(gone_bytes)
}
