//! Denials by the pool itself: whether idle claim is left anywhere is looked up in every account,
//! and other tenants should not feel it.

use crate::bare::{BYTES, Word};
use crate::ours::{cached, governor, take_and_drop, tenant};
use crate::rounds::{Plan, Side};
use crate::timing::{alone, beside, each};
use allotment::{AccountName, Governor, GovernorConfig, Request, TenantConfig, TenantHandle};
use std::hint::black_box;

/// A denial.
pub const DENIED_BY_POOL: &str = "denied by the root, 10,000 tenants";
/// Grants inside a guarantee while another thread does something else.
pub const QUIET_INSIDE: &str = "request + release inside, beside bare pairs of another thread";
/// Grants inside a guarantee while another thread is denied again and again.
pub const STORM_INSIDE: &str = "request + release inside, beside a storm of denials";
/// The same beyond the guarantee, without the storm.
pub const QUIET_BEYOND: &str = "request + release beyond, beside bare pairs of another thread";
/// The same beyond the guarantee, where the storm takes idle claim away.
pub const STORM_BEYOND: &str = "request + release beyond, beside a storm of denials";

const TENANTS: u128 = 10_000;
const HELD_BYTES: u64 = 16 * BYTES;
/// More than is free, and little beside the capacity: everybody has to be asked.
const ASKED_BYTES: u64 = 2 * HELD_BYTES;

/// A pool that its tenants have filled to the last byte.
pub struct FullPool {
    governor: Governor,
    word: Word,
    denied: Request,
    inside: Request,
    beyond: Request,
}

impl FullPool {
    /// Fills it.
    pub fn new() -> Self {
        let guaranteed = HELD_BYTES;
        let config = GovernorConfig {
            tenants_max: TENANTS as u32 + 1,
            // Denials would come sooner, from a share, while the pool itself counted as pressure.
            pool_pressure: false,
            ..GovernorConfig::new(TENANTS as u64 * HELD_BYTES + guaranteed + BYTES)
        };
        let governor = governor(config);
        let guarantee = TenantConfig { guarantee_bytes: guaranteed, ..tenant(TENANTS + 1) };
        let inside = governor.register_tenant(guarantee).expect("room for a tenant");
        let others: Vec<TenantHandle> = (1..=TENANTS)
            .map(|n| governor.register_tenant(tenant(n)).expect("room for a tenant"))
            .collect();
        for other in &others {
            let held = cached(*other, HELD_BYTES);
            governor.try_request(&held).expect("room for all").into_id();
        }
        let [denied, beyond] = [others[0], others[1]];
        let pool = Self {
            denied: cached(denied, ASKED_BYTES),
            inside: cached(inside, BYTES),
            beyond: cached(beyond, BYTES),
            word: Word::default(),
            governor,
        };
        pool.check();
        pool
    }

    /// That the pool is what refuses.
    fn check(&self) {
        let refusal = self.governor.try_request(&self.denied).expect_err("more than is free");
        let account = refusal.denial().map(|denial| denial.account);
        assert_eq!(account, Some(AccountName::Pool));
    }

    /// One denial after the other.
    pub fn alone<'a>(&'a self, plan: &Plan) -> Side<'a> {
        alone(plan, DENIED_BY_POOL, each(|| self.be_denied()))
    }

    /// Grants of this thread with and without denials on another one.
    pub fn beside(&self, plan: &Plan) -> Vec<Side<'_>> {
        let granted = |name, request, storms: bool| {
            beside(plan, name, move |thread, times| match (thread, storms) {
                (0, _) => (0..times).for_each(|_| take_and_drop(&self.governor, request)),
                (_, true) => (0..times).for_each(|_| self.be_denied()),
                (_, false) => (0..times).for_each(|_| self.word.pair()),
            })
        };
        vec![
            granted(QUIET_INSIDE, &self.inside, false),
            granted(STORM_INSIDE, &self.inside, true),
            granted(QUIET_BEYOND, &self.beyond, false),
            granted(STORM_BEYOND, &self.beyond, true),
        ]
    }

    #[inline]
    fn be_denied(&self) {
        let answer = self.governor.try_request(black_box(&self.denied));
        black_box(&answer).as_ref().expect_err("more than is free");
    }
}
