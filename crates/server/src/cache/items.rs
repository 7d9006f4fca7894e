//! The items of the cache: grants of the type `cache`, and the order in which they go.

use crate::book::{Lease, OnEvict, Place};
use crate::state::State;
use allotment::{AllocationType, EvictedAllocation, Policy, TenantId};
use std::cmp::Ordering;
use std::collections::HashMap;

/// Leases that are looked at before others go on.
const PAGE_MAX: usize = 500;
/// What the `model` of Mimir's items begins with.
const MIMIR: &str = "mimir";

/// An item.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its grant.
    pub id: String,
    /// Who holds it.
    pub tenant: TenantId,
    /// Bytes it holds.
    pub bytes: u64,
    /// What it was asked for.
    pub model: String,
    /// Which cache it is of.
    pub is_mimir: bool,
    /// What to do for it to go.
    pub on_evict: OnEvict,
    /// By when its holder should release it, if somebody has asked for that.
    pub wanted_by_ns: Option<u64>,
    used_ns: u64,
    uses: u32,
    deadline_ns: u64,
}

/// Items together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// How many.
    pub items: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Sum {
    /// One more, of so many bytes.
    pub fn add(&mut self, bytes: u64) {
        self.items += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }

    fn take(&mut self, bytes: u64) {
        self.items -= 1;
        self.bytes -= bytes;
    }
}

/// What is held.
#[derive(Debug, Default)]
pub struct Held {
    /// Each item.
    pub items: Vec<Item>,
    /// All of them.
    pub all: Sum,
    /// Mimir's.
    pub mimir: Sum,
}

impl Held {
    fn new(items: Vec<Item>) -> Self {
        let mut held = Self::default();
        for item in &items {
            held.all.add(item.bytes);
            if item.is_mimir {
                held.mimir.add(item.bytes);
            }
        }
        Self { items, ..held }
    }

    /// One is counted no more.
    pub fn leaves(&mut self, item: &Item) {
        self.all.take(item.bytes);
        if item.is_mimir {
            self.mimir.take(item.bytes);
        }
    }

    /// Those of tenants.
    pub fn of_tenants(&self) -> Sum {
        let (all, mimir) = (self.all, self.mimir);
        Sum { items: all.items - mimir.items, bytes: all.bytes - mimir.bytes }
    }
}

/// Looks at every lease, some at a time.
pub async fn held(state: &State) -> Held {
    let mut items = HashMap::new();
    let mut after: Option<Place> = None;
    loop {
        let page = state.book().page(after.as_ref(), PAGE_MAX);
        let is_last = page.len() < PAGE_MAX;
        after = page.last().map(|(place, _)| place.clone());
        for ((_, (tenant, id)), lease) in page {
            // One that has ended meanwhile is left out.
            let Ok(view) = state.manager.get_allocation(tenant, &id).await else { continue };
            if view.allocation_type == AllocationType::Cache {
                let item = Item::new(&lease, id, view.bytes, view.model_name);
                items.insert(item.id.clone(), item);
            }
        }
        // A further page would have what has begun since, beside what has made way for it.
        if is_last {
            break;
        }
        tokio::task::yield_now().await;
    }
    Held::new(items.into_values().collect())
}

impl Item {
    fn new(lease: &Lease, id: String, bytes: u64, model: String) -> Self {
        let begins = model.get(..MIMIR.len());
        let is_mimir = begins.is_some_and(|begins| begins.eq_ignore_ascii_case(MIMIR));
        Self {
            id,
            tenant: lease.tenant,
            bytes,
            model,
            is_mimir,
            on_evict: lease.on_evict,
            wanted_by_ns: lease.wanted_by_ns,
            used_ns: lease.used_ns,
            uses: lease.uses,
            deadline_ns: lease.deadline_ns,
        }
    }

    /// Whether its holder was asked for it, and has not released it in time.
    pub fn is_late(&self, now_ns: u64) -> bool {
        self.wanted_by_ns.is_some_and(|by_ns| by_ns <= now_ns)
    }

    /// As the governor would tell of it.
    pub fn evicted(&self) -> EvictedAllocation {
        EvictedAllocation {
            allocation_id: self.id.clone(),
            tenant_id: self.tenant,
            model_name: self.model.clone(),
            allocation_type: AllocationType::Cache,
            bytes: self.bytes,
        }
    }

    /// Uses for each byte and for the time since the last one.
    fn worth(&self, now_ns: u64) -> f64 {
        let age_ns = now_ns.saturating_sub(self.used_ns).max(1);
        f64::from(self.uses) / (self.bytes.max(1) as f64 * age_ns as f64)
    }
}

/// First what goes first; of alike what was not used for longer, and then by id.
pub fn order(mut items: Vec<Item>, policy: Policy, now_ns: u64) -> Vec<Item> {
    let by_policy = |a: &Item, b: &Item| match policy {
        Policy::Lru => Ordering::Equal,
        Policy::Lfu => a.uses.cmp(&b.uses),
        Policy::Ttl => a.deadline_ns.cmp(&b.deadline_ns),
        Policy::Size => b.bytes.cmp(&a.bytes),
        Policy::Hybrid => a.worth(now_ns).total_cmp(&b.worth(now_ns)),
    };
    items.sort_unstable_by(|a, b| {
        by_policy(a, b).then(a.used_ns.cmp(&b.used_ns)).then_with(|| a.id.cmp(&b.id))
    });
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(id: &str, bytes: u64, used_ns: u64, uses: u32, deadline_ns: u64) -> Item {
        Item {
            id: id.into(),
            tenant: TenantId::from_u128(1),
            bytes,
            model: String::new(),
            is_mimir: false,
            on_evict: OnEvict::Ask,
            wanted_by_ns: None,
            used_ns,
            uses,
            deadline_ns,
        }
    }

    #[test]
    fn each_policy_has_its_order() {
        let items = vec![
            item("old", 10, 100, 9, 4_000),
            item("large", 500, 300, 5, 3_000),
            item("rare", 10, 400, 1, 2_000),
            item("short", 20, 200, 7, 1_000),
        ];
        for (policy, expected) in [
            (Policy::Lru, ["old", "short", "large", "rare"]),
            (Policy::Lfu, ["rare", "large", "short", "old"]),
            (Policy::Ttl, ["short", "rare", "large", "old"]),
            (Policy::Size, ["large", "short", "old", "rare"]),
            // 5 / (500 x 200), 1 / (10 x 100), 7 / (20 x 300), 9 / (10 x 400).
            (Policy::Hybrid, ["large", "rare", "short", "old"]),
        ] {
            let order = order(items.clone(), policy, 500);
            let ids: Vec<&str> = order.iter().map(|item| &*item.id).collect();
            assert_eq!(ids, expected, "{policy}");
        }
    }
}
