//! Ceilings of tenants that were least active lately, lowered while memory is short.
//!
//! Off unless [`crate::GovernorConfig::inactive_limit_ns`] says after what time without a request a
//! tenant counts as inactive. At High and Critical its ceiling then comes down to what it has:
//!
//! ```text
//! limit in force at High and Critical = min(limit, max(guarantee, used when it was lowered))
//! ```
//!
//! so that those who are at work find what is freed. Those at rest longest come first, a bounded
//! number with each step. The limit at Normal stays, so the end of the pressure restores it at
//! once; the next step tidies up. A tenant that asks again, even in vain, has its ceiling back with
//! the next step, and one that stands in line keeps it. Tenants without isolation have no ceiling
//! to lower.
//!
//! The configuration a tenant was given is never touched: other settings are put in force by the
//! one way in which settings change, under the administrative mutex.

use crate::config::{Isolation, TenantConfig};
use crate::core::account::Settings;
use crate::core::events::EventKind;
use crate::core::handle::TenantHandle;
use crate::core::pressure::Pressure;
use crate::core::sync::lock;
use crate::core::word::Owner;
use crate::governor::Governor;
use crate::registration::{Admin, Kind};
use std::collections::BTreeSet;

/// Ceilings lowered in one step of the balancer.
const LOWERED_MAX: usize = 256;

impl Governor {
    /// Restores and lowers ceilings. `inactive` are tenants with the time since which they rest.
    pub(crate) fn review_ceilings(&self, pressure: Pressure, mut inactive: Vec<(u64, u32)>) {
        if self.config.inactive_limit_ns == u64::MAX {
            return;
        }
        if pressure == Pressure::Normal {
            inactive.clear();
        }
        let resting: BTreeSet<u32> = inactive.iter().map(|&(_, tenant)| tenant).collect();
        let mut admin = lock(&self.admin);
        let at_work: Vec<u32> = admin.lowered.difference(&resting).copied().collect();
        for tenant in at_work {
            self.restore(&mut admin, tenant);
        }
        inactive.retain(|(_, tenant)| !admin.lowered.contains(tenant));
        inactive.sort_unstable();
        // Those that have nothing to be lowered do not count.
        let lowered = inactive.into_iter().filter(|&(_, tenant)| self.lower(&mut admin, tenant));
        lowered.take(LOWERED_MAX).count();
    }

    /// What a tenant has asked for so far: another number after every request.
    pub(crate) fn asked_so_far(&self, tenant: u32) -> u64 {
        let [denied, ..] = self.core.tenant(tenant).tally.read();
        denied << u32::BITS | u64::from(self.core.accounts.get(tenant).clock())
    }

    /// Whether the ceiling of a tenant is lower than configured.
    pub(crate) fn is_lowered(&self, tenant: TenantHandle) -> bool {
        lock(&self.admin).lowered.contains(&tenant.index())
    }

    /// Lowers a ceiling; says whether it did.
    fn lower(&self, admin: &mut Admin, tenant: u32) -> bool {
        let Some(mut settings) = settings_of(admin, tenant, |c| c.isolation != Isolation::None)
        else {
            return false;
        };
        let before = settings.limits;
        let ceiling = settings.guarantee.max(self.core.accounts.used(tenant));
        for limit in &mut settings.limits[Pressure::High as usize..] {
            *limit = ceiling.min(*limit);
        }
        let lowered = settings.limits != before && self.put_in_force(admin, tenant, &settings);
        if lowered {
            admin.lowered.insert(tenant);
        }
        lowered
    }

    fn restore(&self, admin: &mut Admin, tenant: u32) {
        let restored = settings_of(admin, tenant, |_| true)
            .is_none_or(|settings| self.put_in_force(admin, tenant, &settings));
        if restored {
            admin.lowered.remove(&tenant);
        }
    }

    /// The caller holds the administrative mutex.
    fn put_in_force(&self, _admin: &mut Admin, tenant: u32, settings: &Settings) -> bool {
        let changed = self.core.accounts.configure(tenant, settings).is_ok();
        if changed {
            let owner = Owner::new(tenant, self.core.accounts.generation(tenant), 0);
            let ceiling = settings.limits[Pressure::High as usize];
            self.note(EventKind::LimitsChanged, owner, (0, 0), ceiling, 0);
        }
        changed
    }
}

/// The settings a tenant was given, if it is registered and `is` one.
fn settings_of(admin: &Admin, tenant: u32, is: fn(&TenantConfig) -> bool) -> Option<Settings> {
    match &admin.nodes.get(&tenant)?.kind {
        Kind::Tenant(config) if is(config) => config.settings().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::os::ManualClock;
    use crate::*;

    const SECOND: u64 = 1_000_000_000;

    struct Stage {
        clock: ManualClock,
        governor: Governor,
        tenants: [TenantHandle; 3],
    }

    /// Three tenants, of whom the first has a guarantee and the last no isolation.
    fn stage(inactive_limit_ns: u64) -> Stage {
        let clock = ManualClock::new();
        let governor = Governor::new(GovernorConfig {
            tenants_max: 8,
            grants_max: 64,
            events_max: 256,
            quantum_bytes: 0,
            inactive_limit_ns,
            clock: clock.clone().into(),
            ..GovernorConfig::new(1_000)
        });
        let governor = governor.unwrap();
        let tenant = |number: u128, guarantee_bytes, isolation| {
            let config = TenantConfig {
                guarantee_bytes,
                isolation,
                limit_bytes: Some(500),
                ..TenantConfig::new(TenantId::from_u128(number), "")
            };
            governor.register_tenant(config).unwrap()
        };
        let tenants = [
            tenant(1, 50, Isolation::Soft),
            tenant(2, 0, Isolation::Hard),
            tenant(3, 0, Isolation::None),
        ];
        Stage { clock, governor, tenants }
    }

    impl Stage {
        fn limit(&self, tenant: usize) -> Option<u64> {
            self.governor.usage(self.tenants[tenant]).unwrap().limit_bytes
        }

        fn is_lowered(&self, tenant: usize) -> bool {
            self.governor.usage(self.tenants[tenant]).unwrap().limit_lowered
        }

        fn ask(&self, tenant: usize, bytes: u64) -> Result<Grant<'_>, Refusal> {
            let request = Request::new(self.tenants[tenant], AllocationType::ModelLoad, bytes);
            self.governor.try_request(&request)
        }

        fn step(&self, seconds: u64) {
            self.clock.advance_ns(seconds * SECOND);
            self.governor.balance();
        }

        fn changes(&self) -> usize {
            let mut reader = self.governor.events();
            let mut count = 0;
            while let EventRead::Event(event) = reader.read() {
                count += usize::from(event.kind == EventKind::LimitsChanged);
            }
            count
        }
    }

    #[test]
    fn those_at_rest_come_down_to_what_they_have_while_memory_is_short() {
        let stage = stage(3 * SECOND);
        let held = (stage.ask(0, 20).unwrap(), stage.ask(1, 70).unwrap());
        stage.step(0);
        stage.step(3);
        assert_eq!((stage.limit(0), stage.limit(1)), (Some(500), Some(500)), "memory is plentiful");
        stage.governor.report_pressure(Pressure::High);
        assert_eq!(stage.limit(1), Some(500), "that is for the balancer to do");
        stage.step(0);
        assert_eq!((stage.limit(0), stage.limit(1)), (Some(50), Some(70)));
        assert_eq!(stage.limit(2), None, "it has no ceiling");
        assert_eq!([0, 1, 2].map(|n| stage.is_lowered(n)), [true, true, false]);
        assert_eq!(stage.changes(), 2);
        drop(stage.ask(0, 30).expect("its guarantee"));
        // One asks within its guarantee, the other in vain: both are at work.
        stage.ask(1, 1).unwrap_err();
        stage.step(1);
        assert_eq!((stage.limit(0), stage.limit(1)), (Some(500), Some(500)));
        assert_eq!(stage.changes(), 4);
        drop(held);
    }

    #[test]
    fn the_end_of_pressure_restores_every_ceiling_at_once() {
        let stage = stage(3 * SECOND);
        let held = stage.ask(1, 70).unwrap();
        stage.step(0);
        stage.governor.report_pressure(Pressure::Critical);
        stage.step(3);
        assert_eq!(stage.limit(1), Some(70));
        stage.governor.report_pressure(Pressure::Normal);
        assert_eq!(stage.limit(1), Some(500), "before any step");
        stage.step(1);
        assert!(!stage.is_lowered(1));
        stage.governor.report_pressure(Pressure::High);
        assert_eq!(stage.limit(1), Some(500));
        drop(held);
    }

    #[test]
    fn what_an_administrator_sets_is_in_force() {
        let stage = stage(3 * SECOND);
        stage.step(0);
        stage.governor.report_pressure(Pressure::High);
        stage.step(3);
        assert!(stage.is_lowered(0));
        let (one, two) = (stage.tenants[0], stage.tenants[1]);
        stage.governor.set_tenant(one, |config| config.limit_bytes = Some(300)).unwrap();
        assert_eq!((stage.limit(0), stage.is_lowered(0)), (Some(300), false));
        stage.governor.unregister_tenant(two, Unregister::IfIdle).unwrap();
        stage.governor.report_pressure(Pressure::Normal);
        stage.step(1);
        assert_eq!(stage.limit(0), Some(300));
    }

    #[test]
    fn unless_it_is_asked_for_nothing_is_lowered() {
        let stage = stage(u64::MAX);
        stage.step(0);
        stage.governor.report_pressure(Pressure::Critical);
        for _ in 0..5 {
            stage.step(1_000);
        }
        assert_eq!([0, 1, 2].map(|n| stage.is_lowered(n)), [false; 3]);
        assert_eq!((stage.limit(1), stage.changes()), (Some(500), 0));
    }
}
