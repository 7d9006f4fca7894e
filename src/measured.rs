//! What is measured beside what is declared.
//!
//! Grants say what their owners declared. Who can measure what a tenant, or the whole process,
//! really holds reports it, and then:
//!
//! ```text
//! unaccounted(tenant) = measured - declared, where larger
//! fill of the pool    = max(declared + sum of unaccounted(tenant), measured of the process)
//! ```
//!
//! Bytes set aside for a tenant that waits are in none of its grants, and are not declared.
//!
//! Limits bind what is declared: a request is never decided by a measurement. Pressure counts the
//! fill, so what was not declared makes the balancer evict. Memory that was said to be freed has
//! to show in the measurements ([`crate::shortfall`]).
//!
//! Nothing here is on a hot path: evictions look at one word, and go on if nobody measures.

use crate::core::Core;
use crate::core::account::ROOT;
use crate::core::events::EventKind;
use crate::core::handle::TenantHandle;
use crate::core::sync::{AtomicU64, Mutex, Ordering, lock};
use crate::core::word::Owner;
use crate::error::Error;
use crate::governor::Governor;
use crate::shortfall::{Missing, Watch};
use std::collections::{BTreeMap, VecDeque};

/// Shortfalls kept for whoever takes them; the oldest go first.
const SHORTFALLS_MAX: usize = 64;

/// Memory that an owner said it freed, and that measurements still show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shortfall {
    /// Whose measurement shows it; none: that of the process.
    pub tenant: Option<TenantHandle>,
    /// When it was found, in ns of the governor's clock.
    pub time_ns: u64,
    /// Bytes that were said to be freed.
    pub freed_bytes: u64,
    /// Bytes of those that are still there.
    pub missing_bytes: u64,
    /// Bytes measured.
    pub measured_bytes: u64,
    /// Bytes in live grants then.
    pub declared_bytes: u64,
}

/// What is known of one tenant, or of the process.
#[derive(Debug, Default)]
struct Known {
    generation: u32,
    bytes: u64,
    unaccounted: u64,
    watch: Watch,
}

#[derive(Default)]
struct Reports {
    /// By account; an entry of an earlier generation is nobody's.
    tenants: BTreeMap<u32, Known>,
    /// Σ unaccounted over tenants.
    unaccounted: u128,
    process: Option<Known>,
    found: VecDeque<Shortfall>,
    found_so_far: u64,
}

/// What was reported, and the sums of it that pressure reads.
#[derive(Default)]
pub(crate) struct Measured {
    reports: Mutex<Reports>,
    /// Parties that report.
    parties: AtomicU64,
    /// Σ unaccounted over tenants, as of their last report or the last balancer step.
    unaccounted: AtomicU64,
    process: AtomicU64,
}

impl Measured {
    /// Whether anybody measures.
    fn is_on(&self) -> bool {
        // Acquire: pairs with the Release in `publish`.
        self.parties.load(Ordering::Acquire) > 0
    }

    /// Makes the sums known; the caller holds the lock.
    fn publish(&self, reports: &Reports) {
        let unaccounted = u64::try_from(reports.unaccounted).unwrap_or(u64::MAX);
        // Release: pairs with the Acquire in `fill` and `is_on`.
        let order = Ordering::Release;
        self.unaccounted.store(unaccounted, order);
        self.process.store(reports.process.as_ref().map_or(0, |known| known.bytes), order);
        let parties = reports.tenants.len() + usize::from(reports.process.is_some());
        self.parties.store(parties as u64, order);
    }

    /// Bytes that fill the pool while so many are declared.
    pub(crate) fn fill(&self, declared: u64) -> u64 {
        // Acquire: pairs with the Release in `publish`.
        let load = |word: &AtomicU64| word.load(Ordering::Acquire);
        declared.saturating_add(load(&self.unaccounted)).max(load(&self.process))
    }

    /// Brings the sums up to date, and forgets tenants that are gone. Steps grow with the number
    /// of tenants that report.
    pub(crate) fn refresh(&self, core: &Core) {
        if !self.is_on() {
            return;
        }
        let mut reports = lock(&self.reports);
        let mut sum = 0;
        reports.tenants.retain(|&tenant, known| {
            let head = core.accounts.head(tenant);
            let same = !head.closed() && head.generation() == known.generation;
            if same {
                known.unaccounted = known.bytes.saturating_sub(declared(core, tenant));
                sum += u128::from(known.unaccounted);
            }
            same
        });
        reports.unaccounted = sum;
        self.publish(&reports);
    }

    /// What was reported of a tenant.
    pub(crate) fn of_tenant(&self, tenant: u32, generation: u32) -> Option<u64> {
        if !self.is_on() {
            return None;
        }
        let reports = lock(&self.reports);
        let known = reports.tenants.get(&tenant).filter(|known| known.generation == generation);
        known.map(|known| known.bytes)
    }

    /// What was reported of the process.
    pub(crate) fn of_process(&self) -> Option<u64> {
        lock(&self.reports).process.as_ref().map(|known| known.bytes)
    }

    /// Shortfalls found so far.
    pub(crate) fn shortfalls(&self) -> u64 {
        lock(&self.reports).found_so_far
    }

    /// Bytes of memory in use.
    pub(crate) fn tracking_bytes(&self) -> u64 {
        (lock(&self.reports).tenants.len() * size_of::<(u32, Known)>()) as u64
    }
}

impl Reports {
    /// Takes a tenant out.
    fn forget(&mut self, account: u32) -> Option<Known> {
        let known = self.tenants.remove(&account)?;
        self.unaccounted -= u128::from(known.unaccounted);
        Some(known)
    }

    fn keep(&mut self, account: u32, known: Known) {
        self.unaccounted += u128::from(known.unaccounted);
        self.tenants.insert(account, known);
    }
}

impl Known {
    fn measured(&mut self, bytes: u64, declared: u64, now_ns: u64) -> Option<Missing> {
        self.bytes = bytes;
        self.unaccounted = bytes.saturating_sub(declared);
        self.watch.measured(bytes, declared, now_ns)
    }
}

/// Bytes in live grants of a tenant.
fn declared(core: &Core, tenant: u32) -> u64 {
    core.accounts.used(tenant).saturating_sub(core.aside_of(tenant))
}

impl Governor {
    /// Reports what a tenant really holds, in bytes, however it was measured; `None` if it is not
    /// measured any more. What it holds beyond its grants counts as pressure from the next step of
    /// the balancer on, and is named by [`Governor::snapshot`]. No limit is measured by it.
    ///
    /// Takes two mutexes, one after the other.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`] if the tenant is not registered.
    ///
    /// ```
    /// use allotment::*;
    ///
    /// let governor = Governor::new(GovernorConfig::new(24 << 30))?;
    /// let chat = governor.register_tenant(TenantConfig::new(TenantId::from_u128(1), "chat"))?;
    /// let _weights = governor.request(&Request::new(chat, AllocationType::ModelLoad, 8 << 30))?;
    /// governor.report_measured(chat, Some(9 << 30))?;
    /// assert_eq!(governor.usage(chat)?.unaccounted_bytes, 1 << 30);
    /// # Ok::<(), Refusal>(())
    /// ```
    pub fn report_measured(&self, tenant: TenantHandle, bytes: Option<u64>) -> Result<(), Error> {
        self.check_registered(tenant)?;
        let to = u8::from(bytes.is_some());
        self.note_plain_call(EventKind::Measured, tenant.index(), to, bytes.unwrap_or(0));
        self.enter_measured(tenant, bytes)
    }

    /// The same for a tenant that was registered just now. It may be gone by now, and its slot be
    /// another's.
    fn enter_measured(&self, tenant: TenantHandle, bytes: Option<u64>) -> Result<(), Error> {
        let (account, generation) = (tenant.index(), tenant.generation());
        let mut reports = lock(&self.measured.reports);
        if self.core.accounts.generation(account) != generation {
            return Err(Error::Gone { what: "tenant", number: tenant.as_u64() });
        }
        match bytes {
            None => drop(reports.forget(account)),
            Some(bytes) => {
                let declared = declared(&self.core, account);
                let known = reports.forget(account).filter(|known| known.generation == generation);
                let mut known = known.unwrap_or(Known { generation, ..Known::default() });
                let missing = known.measured(bytes, declared, self.clock().now_ns());
                reports.keep(account, known);
                self.note_missing(&mut reports, Some(tenant), (bytes, declared), missing);
            }
        }
        self.measured.publish(&reports);
        Ok(())
    }

    /// Reports what the process as a whole really holds, in bytes; `None` if it is not measured any
    /// more. For processes that hold little beside what is granted here: all of it counts against
    /// the capacity, at once. Steps grow with the number of tenants.
    pub fn report_measured_process(&self, bytes: Option<u64>) {
        let to = u8::from(bytes.is_some());
        self.note_plain_call(EventKind::Measured, ROOT, to, bytes.unwrap_or(0));
        let live = self.live();
        let declared = live.most;
        let mut reports = lock(&self.measured.reports);
        match bytes {
            None => reports.process = None,
            Some(bytes) => {
                let now_ns = self.clock().now_ns();
                let known = reports.process.get_or_insert_default();
                let missing = known.measured(bytes, declared, now_ns);
                self.note_missing(&mut reports, None, (bytes, declared), missing);
            }
        }
        self.measured.publish(&reports);
        drop(reports);
        self.evaluate_pressure(live);
        self.serve_waiters();
        self.tell_pressure();
    }

    /// How often that was found so far.
    pub(crate) fn shortfalls(&self) -> u64 {
        self.measured.shortfalls()
    }

    /// Memory that was said to be freed and was not seen to be within
    /// [`crate::GovernorConfig::freed_shows_ns`]: what was found since this was last called, at
    /// most the last 64, oldest first. Each was also recorded as an event.
    pub fn take_shortfalls(&self) -> Vec<Shortfall> {
        lock(&self.measured.reports).found.drain(..).collect()
    }

    fn note_missing(
        &self,
        reports: &mut Reports,
        tenant: Option<TenantHandle>,
        (measured_bytes, declared_bytes): (u64, u64),
        missing: Option<Missing>,
    ) {
        let Some(Missing { freed_bytes, missing_bytes }) = missing else { return };
        let time_ns = self.clock().now_ns();
        if reports.found.len() == SHORTFALLS_MAX {
            reports.found.pop_front();
        }
        reports.found.push_back(Shortfall {
            tenant,
            time_ns,
            freed_bytes,
            missing_bytes,
            measured_bytes,
            declared_bytes,
        });
        reports.found_so_far += 1;
        let owner = tenant.map_or(Owner::new(ROOT, 0, 0), |tenant| {
            Owner::new(tenant.index(), tenant.generation(), 0)
        });
        self.note(EventKind::FreedNotSeen, owner, (0, 0), missing_bytes, 0);
    }

    /// An owner says that it freed so many bytes, which leaves `used` of its tenant's.
    #[inline]
    pub(crate) fn note_freed(&self, owner: Owner, bytes: u64, used: u64) {
        if self.measured.is_on() {
            self.expect_drop(owner, bytes, used);
        }
    }

    #[cold]
    fn expect_drop(&self, owner: Owner, bytes: u64, used: u64) {
        let account = owner.account();
        let left = used.saturating_sub(self.core.aside_of(account));
        let deadline_ns = self.clock().now_ns().saturating_add(self.config.freed_shows_ns);
        // What of the process is declared is asked for only where somebody measures it.
        let live_bytes = self.measured.of_process().map(|_| {
            let others = self.live_bytes().saturating_sub(declared(&self.core, account));
            others.saturating_add(left)
        });
        let mut reports = lock(&self.measured.reports);
        let known = reports.tenants.get_mut(&account);
        if let Some(known) = known.filter(|known| known.generation == owner.generation()) {
            known.watch.freed(bytes, left, deadline_ns);
        }
        if let (Some(known), Some(live_bytes)) = (&mut reports.process, live_bytes) {
            known.watch.freed(bytes, live_bytes, deadline_ns);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::*;

    #[test]
    fn a_report_that_comes_late_is_not_taken_for_the_next_tenant_of_its_slot() {
        let config = GovernorConfig { tenants_max: 1, ..GovernorConfig::new(1_000) };
        let governor = Governor::new(config).unwrap();
        let register = |number| {
            let config = TenantConfig::new(TenantId::from_u128(number), "");
            governor.register_tenant(config).unwrap()
        };
        let one = register(1);
        governor.unregister_tenant(one, Unregister::IfIdle).unwrap();
        let two = register(2);
        assert_eq!(two.index(), one.index());
        governor.report_measured(two, Some(70)).unwrap();
        for bytes in [None, Some(5)] {
            // It was registered when it was looked at, and is not by now.
            let late = governor.enter_measured(one, bytes);
            assert!(matches!(late, Err(Error::Gone { what: "tenant", .. })), "{late:?}");
            assert_eq!(governor.usage(two).unwrap().measured_bytes, Some(70));
        }
        assert_eq!(governor.snapshot().unaccounted_bytes, 70);
    }
}
