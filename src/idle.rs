//! Claim that nobody uses goes back, so that it is free for others.
//!
//! A tenant keeps what it has paid for, and its next request finds it there. Once nothing was
//! requested or released for [`crate::GovernorConfig::idle_claim_ns`] the balancer hands it up.
//!
//! ```text
//! idle claim = claim - max(used, guarantee)
//! ```
//!
//! That a tenant is at rest shows in its used word, which every charge and every release changes;
//! what it was in the last step is kept here. Requests know nothing of this and pay nothing for it.
//! The rest of a tenant begins at the earliest with the step that first sees it, whoever had its
//! slot before.

use crate::core::account::Accounts;
use crate::core::sync::{Mutex, lock};

/// What the balancer remembers of all tenants from step to step.
#[derive(Default)]
pub(crate) struct Idle(Mutex<Vec<Rest>>);

#[derive(Clone, Copy, Default)]
struct Rest {
    /// Whose it is; 0: nobody was seen here yet.
    generation: u32,
    activity: u64,
    since_ns: u64,
    /// What it had asked for then; kept only where inactive tenants are looked for.
    asked: u64,
    /// When its claim was handed up: again after as long, for what was on its way just then.
    handed_ns: u64,
}

/// From what time of rest on something is done.
#[derive(Clone, Copy)]
pub(crate) struct After {
    /// Idle claim is handed up; `u64::MAX`: never.
    pub claim_ns: u64,
    /// A tenant counts as inactive; `u64::MAX`: never.
    pub inactive_ns: u64,
}

impl Idle {
    /// Hands up the claim of tenants at rest, and answers those that are inactive, with the time
    /// since which they are. `asked` is another number after every request, also one that was
    /// denied; who stands in line, of `waiting` in ascending order, asks all the time. One pass
    /// over the tenants, which reads one line of each, and what `asked` reads where inactive
    /// tenants are looked for.
    pub(crate) fn look(
        &self,
        accounts: &Accounts,
        asked: impl Fn(u32) -> u64,
        waiting: &[u32],
        now_ns: u64,
        after: After,
    ) -> Vec<(u64, u32)> {
        let mut inactive = Vec::new();
        if after.claim_ns.min(after.inactive_ns) == u64::MAX {
            return inactive;
        }
        let mut rests = lock(&self.0);
        let tenants = accounts.tenants();
        let known = rests.len().max(tenants.len());
        rests.resize(known, Rest::default());
        for (rest, tenant) in rests.iter_mut().zip(tenants) {
            let generation = accounts.generation(tenant);
            let activity = accounts.used_word(tenant).activity();
            let asked = if after.inactive_ns < u64::MAX { asked(tenant) } else { 0 };
            if activity != rest.activity || generation != rest.generation {
                let (since_ns, handed_ns) = (now_ns, now_ns);
                *rest = Rest { generation, activity, since_ns, asked, handed_ns };
                continue;
            }
            if asked != rest.asked || waiting.binary_search(&tenant).is_ok() {
                (rest.asked, rest.since_ns) = (asked, now_ns);
            }
            let passed = |since_ns, ns| ns < u64::MAX && now_ns.saturating_sub(since_ns) >= ns;
            if passed(rest.handed_ns, after.claim_ns) {
                accounts.hand_up(tenant);
                rest.handed_ns = now_ns;
            }
            if passed(rest.since_ns, after.inactive_ns) {
                inactive.push((rest.since_ns, tenant));
            }
        }
        inactive
    }

    /// Bytes of memory in use.
    pub(crate) fn tracking_bytes(&self) -> u64 {
        (lock(&self.0).capacity() * size_of::<Rest>()) as u64
    }
}

#[cfg(test)]
mod tests {
    use crate::os::ManualClock;
    use crate::*;

    #[test]
    fn claim_goes_back_after_a_while_of_rest_and_not_while_it_is_used() {
        let clock = ManualClock::new();
        let config = GovernorConfig {
            tenants_max: 8,
            grants_max: 64,
            quantum_bytes: 0,
            idle_claim_ns: 10,
            clock: clock.clone().into(),
            ..GovernorConfig::new(1_000)
        };
        let governor = Governor::new(config).unwrap();
        let guaranteed =
            TenantConfig { guarantee_bytes: 100, ..TenantConfig::new(TenantId::from_u128(1), "a") };
        let one = governor.register_tenant(guaranteed).unwrap();
        let two = TenantConfig::new(TenantId::from_u128(2), "b");
        let two = governor.register_tenant(two).unwrap();
        let take = |tenant, bytes| {
            let request = Request::new(tenant, AllocationType::Inference, bytes);
            governor.try_request(&request).unwrap()
        };
        drop((take(one, 300), take(two, 200)));
        let step = |ns| {
            clock.advance_ns(ns);
            governor.balance();
            governor.snapshot().claimed_bytes
        };
        assert_eq!(step(0), 500);
        assert_eq!(step(9), 500, "it has not rested for long enough");
        drop(take(two, 1));
        assert_eq!(step(1), 300, "what is guaranteed stays");
        let held = take(two, 50);
        assert_eq!(step(9), 300);
        assert_eq!(step(10), 150, "what is in use stays");
        drop(held);
        assert_eq!(step(10), 150);
        assert_eq!(step(10), 100);
    }

    #[test]
    fn who_gets_a_slot_does_not_inherit_the_rest_of_its_predecessor() {
        let clock = ManualClock::new();
        let config = GovernorConfig {
            tenants_max: 1,
            grants_max: 64,
            inactive_limit_ns: 10,
            pool_pressure: false,
            clock: clock.clone().into(),
            ..GovernorConfig::new(1_000)
        };
        let governor = Governor::new(config).unwrap();
        governor.report_pressure(Pressure::High);
        let register = |number| {
            let id = TenantId::from_u128(number);
            let limited = TenantConfig { limit_bytes: Some(500), ..TenantConfig::new(id, "") };
            governor.register_tenant(limited).unwrap()
        };
        let is_lowered_after = |ns, tenant| {
            clock.advance_ns(ns);
            governor.balance();
            governor.usage(tenant).unwrap().limit_lowered
        };
        let one = register(1);
        assert!(!is_lowered_after(20, one));
        assert!(is_lowered_after(10, one));
        governor.unregister_tenant(one, Unregister::IfIdle).unwrap();
        let two = register(2);
        assert_eq!(two.index(), one.index());
        assert!(!is_lowered_after(0, two));
        assert!(!is_lowered_after(9, two));
        assert!(is_lowered_after(1, two));
    }

    #[test]
    fn the_longest_time_means_never() {
        let clock = ManualClock::new();
        let config = GovernorConfig {
            idle_claim_ns: u64::MAX,
            clock: clock.clone().into(),
            ..GovernorConfig::new(1_000)
        };
        let governor = Governor::new(config).unwrap();
        let one = TenantConfig::new(TenantId::from_u128(1), "a");
        let one = governor.register_tenant(one).unwrap();
        drop(governor.try_request(&Request::new(one, AllocationType::Cache, 500)).unwrap());
        let claimed = governor.snapshot().claimed_bytes;
        assert!(claimed >= 500);
        for _ in 0..3 {
            clock.set_ns(u64::MAX);
            governor.balance();
        }
        assert_eq!(governor.snapshot().claimed_bytes, claimed);
    }
}
