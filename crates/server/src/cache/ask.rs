//! Room for a request: at once where there is some, after others have gone where that is enough,
//! or in its turn.
//!
//! Whoever waits for room has nothing of the governor's meanwhile, and stands in its line
//! afterwards for the rest of its time: first comes what is scarce for caches alone, so that a
//! cache that cannot have its room keeps nobody waiting who needs none. Only the first in line has
//! caches go for it, when it becomes that and then every [`LOOK_AGAIN`]: what comes free is for it.

use super::denial::{Denied, NoRoom};
use super::room::{Next, Room, Rooms, Sight, Turn};
use super::yielding::{Plan, candidates, evict};
use crate::state::State;
use allotment::{AllocationAsk, AllocationType, Priority, TenantHold, TenantId};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How often whoever is first in line looks for caches that may go by now, and whoever waits
/// whether its tenant is still there.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What would become of a request that asks for room now.
pub struct Outlook {
    /// It would be refused.
    pub denied: Option<Denied>,
    /// What would go for it, or be asked for.
    pub plan: Plan,
    /// What tenants hold of it, the largest first.
    pub holders: Vec<(TenantId, u64)>,
}

fn priority_of(state: &State, tenant: TenantId) -> Priority {
    let governor = state.manager.governor();
    let config = governor.find(tenant).and_then(|handle| governor.tenant_config(handle).ok());
    // Whoever is gone is refused by the governor.
    config.map_or_else(Priority::default, |config| config.priority)
}

fn denied(ask: &AllocationAsk, sight: Sight) -> NoRoom {
    NoRoom::Denied(Denied::new(ask.bytes, sight, None))
}

/// Takes room for a request, or waits for it until a time; none is needed for other kinds. A grant
/// that is to grow does not go for that.
///
/// # Errors
///
/// There is none, or the tenant may not ask any more.
pub async fn room(
    state: &State,
    ask: &AllocationAsk,
    growing: Option<&str>,
    until: Option<Instant>,
) -> Result<Option<Room>, NoRoom> {
    if ask.allocation_type != AllocationType::Cache {
        return Ok(None);
    }
    let (rooms, priority) = (&state.cache.rooms, priority_of(state, ask.tenant_id));
    let sight = match rooms.take(ask.bytes, priority) {
        Ok(room) => return Ok(Some(room)),
        Err(sight) => sight,
    };
    if sight.limit_bytes.is_some_and(|limit_bytes| ask.bytes > limit_bytes) {
        return Err(denied(ask, sight));
    }
    let room = match until {
        None => at_once(state, rooms, ask, growing, priority).await,
        Some(until) => in_turn(state, rooms, ask, priority, until).await,
    };
    room.map(Some)
}

/// With others that look one after the other: two that come at once do not take each other for
/// somebody who waits.
async fn at_once(
    state: &State,
    rooms: &Arc<Rooms>,
    ask: &AllocationAsk,
    growing: Option<&str>,
    priority: Priority,
) -> Result<Room, NoRoom> {
    let _alone = state.cache.looking.lock().await;
    let turn = rooms.enter(ask.tenant_id, ask.bytes, priority);
    let turn = turn.map_err(|sight| denied(ask, sight))?;
    if turn.is_first() {
        evict(state, ask, growing, rooms.short_bytes(ask.bytes), false).await?;
    }
    turn.leave().map_err(|sight| denied(ask, sight))
}

async fn in_turn(
    state: &State,
    rooms: &Arc<Rooms>,
    ask: &AllocationAsk,
    priority: Priority,
    until: Instant,
) -> Result<Room, NoRoom> {
    let begun = Instant::now();
    let turn = rooms.enter(ask.tenant_id, ask.bytes, priority);
    let mut turn = turn.map_err(|sight| denied(ask, sight))?;
    loop {
        if turn.is_first() {
            // Not beyond its time, however many look before it.
            timeout_at(until, evict_for_first(state, rooms, ask, &turn)).await.unwrap_or(Ok(()))?;
        }
        match turn.next(until.min(Instant::now() + LOOK_AGAIN)).await {
            Next::Room(room) => return Ok(room),
            Next::Never => return Err(denied(ask, rooms.sight(priority))),
            Next::News | Next::Over => {}
        }
        if Instant::now() >= until {
            let waited = Some(begun.elapsed());
            let denied = |sight| NoRoom::Denied(Denied::new(ask.bytes, sight, waited));
            return turn.leave().map_err(denied);
        }
        check_open(state, ask).await?;
    }
}

async fn evict_for_first(
    state: &State,
    rooms: &Rooms,
    ask: &AllocationAsk,
    turn: &Turn,
) -> Result<(), NoRoom> {
    let _alone = state.cache.looking.lock().await;
    if turn.is_first() {
        evict(state, ask, None, rooms.short_bytes(ask.bytes), true).await?;
    }
    Ok(())
}

/// Whether the tenant may still ask: the line of the governor is left at once by one that may not.
async fn check_open(state: &State, ask: &AllocationAsk) -> Result<(), NoRoom> {
    let usage = state.manager.get_tenant_usage(ask.tenant_id).await?;
    if usage.hold == TenantHold::None {
        return Ok(());
    }
    let explained = state.manager.explain_exactly(ask).await?;
    // It may have been thawed meanwhile.
    explained.on_hold.map_or(Ok(()), |why| Err(NoRoom::OnHold(why)))
}

/// What the limit would do to a request now; none: nothing.
pub async fn outlook(state: &State, ask: &AllocationAsk) -> Option<Outlook> {
    if ask.allocation_type != AllocationType::Cache {
        return None;
    }
    let rooms = &state.cache.rooms;
    let sight = rooms.sight(priority_of(state, ask.tenant_id));
    let denied = Denied::new(ask.bytes, sight, None);
    if denied.short_bytes() == 0 {
        return None;
    }
    let held = candidates(state, None).await;
    let mut sums: HashMap<TenantId, u64> = HashMap::new();
    for item in &held {
        *sums.entry(item.tenant).or_default() += item.bytes;
    }
    let mut holders: Vec<(TenantId, u64)> = sums.into_iter().collect();
    holders.sort_unstable_by_key(|(tenant, bytes)| (Reverse(*bytes), *tenant));
    // For whom it is not yet its turn, and for whom nothing can be enough, nothing goes.
    let mut plan = Plan::default();
    if denied.behind_bytes() == 0 && denied.waiting_can_help() {
        plan = Plan::new(state, ask.tenant_id, held, denied.short_bytes());
        if !plan.is_enough(denied.short_bytes()) {
            plan = Plan::default();
        }
    }
    let is_granted = plan.gone_bytes >= denied.short_bytes();
    Some(Outlook { denied: (!is_granted).then_some(denied), plan, holders })
}
