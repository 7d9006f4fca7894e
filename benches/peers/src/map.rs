//! What one would write first: tenants and their grants in maps behind one mutex.

use crate::bare::BYTES;
use crate::rounds::{Plan, Side};
use crate::timing::{alone, each, together};
use std::collections::HashMap;
use std::hint::black_box;
use std::sync::{Mutex, PoisonError};

/// On one thread.
pub const MAP: &str = "`Mutex<HashMap>` manager: request + release";
/// On two threads, each its own tenant.
pub const MAP_TOGETHER: &str = "`Mutex<HashMap>` manager: request + release, two threads";

/// Lets tenants share a capacity, each up to its limit.
pub struct MapManager {
    state: Mutex<State>,
}

struct State {
    free_bytes: u64,
    tenants: HashMap<u64, Tenant>,
    grants: HashMap<u64, Held>,
    grants_so_far: u64,
}

struct Tenant {
    used_bytes: u64,
    limit_bytes: u64,
}

struct Held {
    tenant: u64,
    bytes: u64,
}

impl MapManager {
    /// A manager of tenants numbered from 0.
    pub fn new(capacity_bytes: u64, tenants: u64) -> Self {
        let tenant = |number| (number, Tenant { used_bytes: 0, limit_bytes: capacity_bytes });
        let state = State {
            free_bytes: capacity_bytes,
            tenants: (0..tenants).map(tenant).collect(),
            grants: HashMap::new(),
            grants_so_far: 0,
        };
        Self { state: Mutex::new(state) }
    }

    /// Grants `bytes`, or not.
    pub fn request(&self, tenant: u64, bytes: u64) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *state;
        let account = state.tenants.get_mut(&tenant)?;
        if bytes > state.free_bytes || account.used_bytes + bytes > account.limit_bytes {
            return None;
        }
        state.free_bytes -= bytes;
        account.used_bytes += bytes;
        state.grants_so_far += 1;
        state.grants.insert(state.grants_so_far, Held { tenant, bytes });
        Some(state.grants_so_far)
    }

    /// Gives a grant back; says whether there was one.
    pub fn release(&self, grant: u64) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *state;
        let Some(held) = state.grants.remove(&grant) else { return false };
        state.free_bytes += held.bytes;
        if let Some(account) = state.tenants.get_mut(&held.tenant) {
            account.used_bytes -= held.bytes;
        }
        true
    }

    #[inline]
    fn take_and_give_back(&self, tenant: u64) {
        let grant = self.request(black_box(tenant), black_box(BYTES)).expect("room for a page");
        assert!(self.release(black_box(grant)), "it was granted");
    }
}

/// On this thread.
pub fn side<'a>(plan: &Plan, manager: &'a MapManager) -> Side<'a> {
    alone(plan, MAP, each(|| manager.take_and_give_back(0)))
}

/// On two threads.
pub fn side_together<'a>(plan: &Plan, manager: &'a MapManager) -> Side<'a> {
    together(plan, MAP_TOGETHER, 2, |k, times| {
        (0..times).for_each(|_| manager.take_and_give_back(k as u64));
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts() {
        let manager = MapManager::new(10, 2);
        let first = manager.request(0, 6).unwrap();
        assert_eq!(manager.request(1, 5), None, "more than is free");
        assert_eq!(manager.request(7, 1), None, "no such tenant");
        assert!(manager.release(first));
        assert!(!manager.release(first), "a grant is returned once");
        assert!(manager.request(1, 10).is_some());
    }
}
