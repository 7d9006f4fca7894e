//! What operators of a cache ask: how much memory it has, and to have some of it back. The paths
//! and the names in the answers are those that a cache service of that kind has.
//!
//! ```text
//! GET    /api/cache/memory         figures                      200
//! POST   /api/cache/memory/evict   some of it back, now         200
//! POST   /api/cache/memory/reset   peak and counts from now on  200
//! GET    /api/cache/status         figures of each cache        200
//! ```
//!
//! The cache is all grants of the type `cache`, each one item. Those whose `model` begins with
//! `mimir` are Mimir's, all others those of tenants. Limits come from `[cache]` of the
//! configuration and the pool's capacity. They are watched, every [`WATCH_EVERY`] and whenever
//! somebody asks, and bind nobody: what memory is needed for, the governor decides. Only `limit`
//! binds, where it is set, and with it `eviction_threshold`:
//!
//! | file | what is there |
//! |---|---|
//! | `ask` | how a request comes to its room under the limit |
//! | `room`, `line` | the room that is taken, and who waits for some |
//! | `yielding` | which caches go for another one |
//! | `denial` | why there is no room |
//! | `items` | what is held, and the order in which it goes |

mod ask;
mod denial;
mod items;
mod line;
mod room;
mod yielding;

pub use ask::{Outlook, outlook, room};
pub use denial::{ACCOUNT, ACCOUNT_NAME, NoRoom, REASON};
pub use room::{Room, Rooms};

use crate::book::{Cause, Wanted};
use crate::problem::Problem;
use crate::state::{State, nanoseconds};
use allotment::{AllocationType, MemoryError};
use allotment_config::CacheSettings;
use axum::Json;
use axum::extract::State as Shared;
use items::{Held, Item, held};
use jiff::Timestamp;
use serde::Serialize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use utoipa::ToSchema;

/// Between two looks.
const WATCH_EVERY: Duration = Duration::from_secs(30);
/// Percent of what is held that goes at least, when somebody asks for an eviction.
const EVICTED_PERCENT_MIN: u64 = 20;

/// How much of caches there may be, as it is configured now.
struct Limits {
    settings: CacheSettings,
    max_bytes: u64,
}

/// What is kept between two looks.
#[derive(Default)]
pub struct Cache {
    counted: Mutex<Counted>,
    /// What is taken of the limit, and who waits for it.
    pub rooms: Arc<Rooms>,
    /// One looks at everything, or evicts, at a time.
    looking: tokio::sync::Mutex<()>,
}

#[derive(Clone, Default)]
struct Counted {
    peak_bytes: u64,
    evictions: u64,
    warnings: u64,
    last_eviction: Option<Timestamp>,
}

/// Figures of the memory of all caches.
#[derive(Serialize, ToSchema)]
pub struct ManagementBody {
    current_memory_bytes: u64,
    max_memory_bytes: u64,
    memory_usage_percent: f64,
    peak_memory_bytes: u64,
    cache_item_count: u64,
    max_cache_size: u32,
    tenant_cache_count: u64,
    max_tenant_cache_size: u32,
    mimir_cache_count: u64,
    max_mimir_cache_size: u32,
    eviction_count: u64,
    memory_warnings: u64,
    last_eviction: Option<String>,
    last_memory_check: String,
    eviction_policy: &'static str,
    eviction_threshold: f64,
    memory_threshold: f64,
}

/// The answer to `/api/cache/memory`.
#[derive(Serialize, ToSchema)]
pub struct MemoryBody {
    memory_management: ManagementBody,
}

/// Figures of one cache.
#[derive(Serialize, ToSchema)]
pub struct CacheBody {
    item_count: u64,
    max_items: u32,
    memory_bytes: u64,
}

/// The answer to `/api/cache/status`.
#[derive(Serialize, ToSchema)]
pub struct CachesBody {
    general_cache: CacheBody,
    tenant_discovery_cache: CacheBody,
    mimir_discovery_cache: CacheBody,
    memory_management: ManagementBody,
}

/// What an eviction did.
#[derive(Serialize, ToSchema)]
pub struct EvictionBody {
    /// Items that are gone.
    evicted_items: u64,
    evicted_bytes: u64,
    /// Items whose holders learn at their next renewal that they are to release them.
    asked_items: u64,
    asked_bytes: u64,
    memory_management: ManagementBody,
}

impl Limits {
    fn of(state: &State) -> Self {
        let configured = state.configured.effective();
        let (settings, whole_bytes) = (&configured.setup.cache, configured.setup.capacity_bytes);
        let usual_bytes = settings.limit_bytes(whole_bytes).min(whole_bytes);
        let max_bytes = settings.bytes_max.unwrap_or(usual_bytes);
        Self { settings: settings.clone(), max_bytes }
    }

    /// A part of the limit.
    fn part_bytes(&self, part: f64) -> u64 {
        (self.max_bytes as f64 * part) as u64
    }

    /// What has to go, first to last, for all to be within the limits, and at least a part.
    fn victims(&self, mut held: Held, now_ns: u64) -> Vec<Item> {
        let settings = &self.settings;
        let share_bytes = held.all.bytes / 100 * (100 - EVICTED_PERCENT_MIN);
        let goal_bytes = self.part_bytes(settings.memory_threshold).min(share_bytes);
        let items = std::mem::take(&mut held.items);
        let order = items::order(items, settings.eviction_policy, now_ns);
        let mut victims = Vec::new();
        for item in order {
            let mimir = held.mimir.items > settings.mimir_max_items.into();
            let tenants = held.all.items - held.mimir.items > settings.tenant_max_items.into();
            let too_many = held.all.items > settings.max_items.into();
            let of_its_cache = if item.is_mimir { mimir } else { tenants };
            if held.all.bytes > goal_bytes || too_many || of_its_cache {
                held.leaves(&item);
                victims.push(item);
            }
        }
        victims
    }
}

impl Cache {
    /// Items go, or their holders were asked.
    pub fn note_evicted(&self, items: u64) {
        let mut counted = self.counted();
        counted.evictions = counted.evictions.saturating_add(items);
        counted.last_eviction = Some(Timestamp::now());
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a look into account, and says all there is to say.
    fn figures(&self, limits: &Limits, held: &Held) -> ManagementBody {
        let settings = &limits.settings;
        let bytes = held.all.bytes;
        let mut counted = self.counted();
        counted.peak_bytes = counted.peak_bytes.max(bytes);
        if bytes >= limits.part_bytes(settings.memory_threshold) {
            counted.warnings = counted.warnings.saturating_add(1);
        }
        let percent = bytes as f64 / limits.max_bytes as f64 * 100.0;
        ManagementBody {
            current_memory_bytes: bytes,
            max_memory_bytes: limits.max_bytes,
            memory_usage_percent: (percent * 10.0).round() / 10.0,
            peak_memory_bytes: counted.peak_bytes,
            cache_item_count: held.all.items,
            max_cache_size: settings.max_items,
            tenant_cache_count: held.all.items - held.mimir.items,
            max_tenant_cache_size: settings.tenant_max_items,
            mimir_cache_count: held.mimir.items,
            max_mimir_cache_size: settings.mimir_max_items,
            eviction_count: counted.evictions,
            memory_warnings: counted.warnings,
            last_eviction: counted.last_eviction.map(written),
            last_memory_check: written(Timestamp::now()),
            eviction_policy: settings.eviction_policy.name(),
            eviction_threshold: settings.eviction_threshold,
            memory_threshold: settings.memory_threshold,
        }
    }
}

/// `2026-01-31T09:30:00Z`.
fn written(time: Timestamp) -> String {
    format!("{time:.0}")
}

/// Looks every now and then, until the server is gone.
pub async fn watch(state: Weak<State>) {
    loop {
        tokio::time::sleep(WATCH_EVERY).await;
        let Some(state) = state.upgrade() else { return };
        // What the manager refuses now it may not at the next look.
        let _ = look(&state).await;
    }
}

/// Takes what is held into account, and has some of it go if that is due.
async fn look(state: &State) -> Result<(), MemoryError> {
    let _alone = state.cache.looking.lock().await;
    let held = held(state).await;
    state.cache.figures(&Limits::of(state), &held);
    yielding::keep_below(state, held).await
}

/// `GET /api/cache/memory`.
pub async fn memory(Shared(state): Shared<Arc<State>>) -> Json<MemoryBody> {
    let _alone = state.cache.looking.lock().await;
    let memory_management = state.cache.figures(&Limits::of(&state), &held(&state).await);
    Json(MemoryBody { memory_management })
}

/// `GET /api/cache/status`.
pub async fn status(Shared(state): Shared<Arc<State>>) -> Json<CachesBody> {
    let _alone = state.cache.looking.lock().await;
    let held = held(&state).await;
    let limits = Limits::of(&state);
    let settings = &limits.settings;
    let cache = |sum: items::Sum, max_items| CacheBody {
        item_count: sum.items,
        max_items,
        memory_bytes: sum.bytes,
    };
    Json(CachesBody {
        general_cache: cache(held.all, settings.max_items),
        tenant_discovery_cache: cache(held.of_tenants(), settings.tenant_max_items),
        mimir_discovery_cache: cache(held.mimir, settings.mimir_max_items),
        memory_management: state.cache.figures(&limits, &held),
    })
}

/// `POST /api/cache/memory/evict`.
pub async fn evict(Shared(state): Shared<Arc<State>>) -> Result<Json<EvictionBody>, Problem> {
    let _alone = state.cache.looking.lock().await;
    let now_ns = state.now_ns();
    let by_ns = now_ns.saturating_add(nanoseconds(state.bounds.evict_within));
    let victims = Limits::of(&state).victims(held(&state).await, now_ns);
    let (mut gone, mut asked) = (items::Sum::default(), items::Sum::default());
    for item in victims {
        let wanted = state.book().want(&item.id, Cause::Operator, now_ns, by_ns);
        match wanted {
            Wanted::Asked => {
                asked.add(item.bytes);
                state.note_gone(&item, false);
            }
            Wanted::Ended | Wanted::Free => {
                match state.manager.release_allocation_whole(item.tenant, &item.id).await {
                    Ok(_) => {
                        gone.add(item.bytes);
                        state.note_gone(&item, true);
                        state.metrics.evicted(AllocationType::Cache, Cause::Operator, item.bytes);
                    }
                    // It has ended by itself at the same moment.
                    Err(MemoryError::UnknownTenant(_) | MemoryError::UnknownAllocation { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Wanted::Unknown => {}
        }
    }
    if gone.items + asked.items > 0 {
        state.cache.note_evicted(gone.items + asked.items);
    }
    Ok(Json(EvictionBody {
        evicted_items: gone.items,
        evicted_bytes: gone.bytes,
        asked_items: asked.items,
        asked_bytes: asked.bytes,
        memory_management: state.cache.figures(&Limits::of(&state), &held(&state).await),
    }))
}

/// `POST /api/cache/memory/reset`.
pub async fn reset(Shared(state): Shared<Arc<State>>) -> Json<MemoryBody> {
    let _alone = state.cache.looking.lock().await;
    let held = held(&state).await;
    *state.cache.counted() = Counted::default();
    Json(MemoryBody { memory_management: state.cache.figures(&Limits::of(&state), &held) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{LeaseBounds, at_once};
    use crate::{Door, book::Acting};
    use allotment::AllocationAsk;
    use std::path::Path;

    const MIB: u64 = 1 << 20;
    const SETUP: &str = r#"
capacity = "64MiB"
tenants = [{ name = "kept", guarantee = "4MiB" }, { name = "other" }]

[cache]
limit = "16MiB"
memory_threshold = 0.5
eviction_threshold = 0.75
eviction_policy = "lru"
"#;

    fn state(setup: &str) -> Arc<State> {
        let setup = allotment_config::parse(setup, Path::new("allot.toml")).unwrap();
        State::new(&setup, Door::new("t", Vec::new()), LeaseBounds::default()).unwrap()
    }

    fn hold(state: &State, tenant: &str, mib: u64) -> String {
        let ask = AllocationAsk {
            tenant_id: state.tenant(tenant).unwrap(),
            bytes: mib * MIB,
            model_name: String::new(),
            allocation_type: AllocationType::Cache,
        };
        state.hold_bytes(&ask).unwrap().unwrap()
    }

    /// Which of these a look leaves.
    fn left(state: &State, ids: &[String]) -> Vec<bool> {
        at_once(look(state)).unwrap();
        let book = state.book();
        ids.iter().map(|id| book.look(id, Acting::Anybody, None).is_ok()).collect()
    }

    #[test]
    fn from_the_threshold_on_caches_go_until_there_is_less_down_to_guarantees() {
        let state = state(SETUP);
        let mut ids = vec![hold(&state, "kept", 4), hold(&state, "other", 3)];
        ids.push(hold(&state, "other", 4));
        assert_eq!(left(&state, &ids), [true; 3], "11 of 16 MiB");
        ids.push(hold(&state, "other", 1));
        // 12 are three quarters: 4 have to go, and the first is within its tenant's guarantee.
        assert_eq!(left(&state, &ids), [true, false, false, true]);
        assert_eq!(state.cache.counted().evictions, 2);
        assert_eq!(left(&state, &ids), [true, false, false, true], "5 are less");
    }

    #[test]
    fn without_a_limit_nothing_goes_by_itself() {
        let state = state(&SETUP.replace("limit = \"16MiB\"\n", ""));
        let ids = [hold(&state, "other", 30), hold(&state, "other", 30)];
        assert_eq!(left(&state, &ids), [true; 2]);
    }
}
