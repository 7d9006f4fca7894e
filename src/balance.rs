//! The balancer's step, and where pressure is evaluated.
//!
//! A step gives expired reservations back, and idle slots where they ran out; ends promises to
//! release that were not kept; evaluates pressure from the pool's fill, declared or measured, and
//! the machine's last report; computes the fair shares, hands up claim that nobody uses, and frees
//! memory: at High background work and caches until live bytes have fallen by a fifth, at Critical
//! by two fifths, lowest priority first. It never takes a tenant below its guarantee.
//!
//! A step looks at all tenants twice, at those that use something or wait a few times more, and
//! once along the line (`benches/balance.rs` says what that costs).

use crate::core::account::ROOT;
use crate::core::events::EventKind;
use crate::core::evict::Relief;
use crate::core::order::{ALL_TYPES, BACKGROUND, CACHE, Goal, Order, Shortage, priority};
use crate::core::pressure::{Gauge, Live, Pressure};
use crate::core::share::{Party, water_level};
use crate::core::sync::{Ordering, lock};
use crate::governor::Governor;
use crate::idle::After;

/// What one pass over the tenants finds.
#[derive(Default)]
struct Survey {
    /// Bytes in use.
    used: u64,
    /// Bytes of those that are being evicted.
    leaving: u64,
    /// Guarantees of all tenants.
    guaranteed: u64,
    /// Tenants that use something, or wait for it.
    active: Vec<Party>,
    /// Tenants that wait, in ascending order.
    waiting: Vec<u32>,
    /// Tenants that use more than any level of pressure allows.
    above_limit: Vec<u32>,
}

/// Attempts to change what is known of pressure while others do.
const GAUGE_TURNS_MAX: u32 = 16;

/// What a balancer step saw and did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BalanceReport {
    /// Pressure before anything was freed.
    pub pressure: Pressure,
    /// Bytes in live grants before anything was freed.
    pub live_bytes: u64,
    /// Grants that ended.
    pub evicted_grants: u32,
    /// Bytes that are free now.
    pub freed_bytes: u64,
    /// Bytes whose owners promised to free them.
    pub deferred_bytes: u64,
    /// Reservations that were given back because nobody committed them.
    pub reservations_expired: u32,
}

impl Governor {
    /// One step of the balancer; call it every second or so. Calls reclaim handlers with nothing
    /// held. Several threads may be at it at once: each counts what the others are freeing when it
    /// looks. Together they free no more than keeps a limit that was lowered; of pressure each
    /// relieves its part of what it sees, like steps one after the other. Steps grow with the
    /// number of tenants.
    pub fn balance(&self) -> BalanceReport {
        self.step(true)
    }

    /// The same, without evicting anything.
    pub fn balance_without_eviction(&self) -> BalanceReport {
        self.step(false)
    }

    fn step(&self, evicts: bool) -> BalanceReport {
        self.note_plain_call(EventKind::Balanced, ROOT, u8::from(evicts), 0);
        let now_ns = self.clock().now_ns();
        let reservations_expired = self.return_expired(now_ns);
        self.shed_if_wanted();
        self.end_freed_late();
        self.end_broken_promises(now_ns);
        let mut survey = Survey::default();
        let live = self.core.waiting.live(|| {
            survey = self.survey();
            survey.used
        });
        self.measured.refresh(&self.core);
        let pressure = self.evaluate_pressure(live);
        let accounts = &self.core.accounts;
        let active = survey.active.iter().copied();
        accounts.set_water(water_level(accounts.limit(ROOT), survey.guaranteed, active));
        let (claim_ns, inactive_ns) = (self.config.idle_claim_ns, self.config.inactive_limit_ns);
        let after = After { claim_ns, inactive_ns };
        let asked = |tenant| self.asked_so_far(tenant);
        let inactive = self.idle.look(accounts, asked, &survey.waiting, now_ns, after);
        self.review_ceilings(pressure, inactive);
        let relief = match evicts {
            true => {
                let relief = self.relieve_pressure(pressure, live.most, survey.leaving, now_ns);
                self.relieve_excess(&survey, now_ns).after(relief)
            }
            false => Relief::default(),
        };
        if relief.grants > 0 {
            self.evaluate_pressure(self.live());
        }
        self.serve_left();
        if self.core.scarcity.is_waited() {
            self.evict_for_line();
        }
        self.tell_pressure();
        BalanceReport {
            pressure,
            live_bytes: live.most,
            evicted_grants: relief.grants,
            freed_bytes: relief.freed,
            deferred_bytes: relief.deferred,
            reservations_expired,
        }
    }

    /// Everything a step has to know of all tenants.
    fn survey(&self) -> Survey {
        let accounts = &self.core.accounts;
        let mut survey = Survey { waiting: self.waiting_tenants(), ..Survey::default() };
        for tenant in accounts.tenants() {
            survey.guaranteed += accounts.guarantee(tenant);
            let used = accounts.used(tenant);
            if used == 0 {
                if survey.waiting.binary_search(&tenant).is_ok() {
                    survey.active.push(self.party(tenant, used));
                }
                continue;
            }
            let leaving = self.core.freeing(tenant).bytes();
            survey.used += used;
            survey.leaving += leaving;
            survey.active.push(self.party(tenant, used));
            if used.saturating_sub(leaving) > self.highest_limit(tenant) {
                survey.above_limit.push(tenant);
            }
        }
        survey
    }

    /// Tenants that stand in line, in ascending order. Steps grow with the line; allocates only if
    /// somebody waits.
    fn waiting_tenants(&self) -> Vec<u32> {
        if !self.core.scarcity.is_waited() {
            return Vec::new();
        }
        let is_here = |account, generation| {
            let head = self.core.accounts.head(account);
            head.generation() == generation && !head.closed()
        };
        let in_line = self.core.waiting.wanted();
        let tenants = in_line.filter(|&(account, generation, _)| is_here(account, generation));
        let mut tenants: Vec<u32> = tenants.map(|(account, ..)| account).collect();
        tenants.sort_unstable();
        tenants.dedup();
        tenants
    }

    /// Frees what the level of pressure wants freed.
    fn relieve_pressure(&self, pressure: Pressure, live: u64, leaving: u64, now_ns: u64) -> Relief {
        let (percent, types, order) = match pressure {
            Pressure::Normal => return Relief::default(),
            Pressure::High => {
                let types = 1 << BACKGROUND | 1 << CACHE;
                (self.config.high_relief_percent, types, Order::TypeFirst)
            }
            Pressure::Critical => {
                (self.config.critical_relief_percent, ALL_TYPES, Order::PriorityFirst)
            }
        };
        let target = (u128::from(live) * u128::from(percent)).div_ceil(100) as u64;
        // What an earlier step, or a request, has chosen already is on its way.
        match target.saturating_sub(leaving) {
            0 => Relief::default(),
            target => self.relieve(ROOT, Goal::Bytes(target), types, order, now_ns),
        }
    }

    fn relieve(&self, account: u32, goal: Goal, types: u8, order: Order, now_ns: u64) -> Relief {
        let shortage = Shortage {
            account,
            goal,
            requester: None,
            types,
            order,
            victims_max: self.config.victims_max,
            now_ns,
            keep_until_ns: now_ns.saturating_add(self.config.busy_cooldown_ns.max(1)),
        };
        if self.core.accounts.is_inner(account) {
            // So that what groups use is what their tenants need, and their guarantees are exact.
            self.core.accounts.collect(account, u64::MAX);
        }
        if !self.core.may_free_any(&shortage) {
            return Relief::default();
        }
        self.core.make_room(&shortage, &self.asking())
    }

    /// Evicts below every account that uses more than its configured limit since that was lowered.
    fn relieve_excess(&self, survey: &Survey, now_ns: u64) -> Relief {
        if self.core.scarcity.has_excess() {
            self.review_excess(&mut lock(&self.admin));
        }
        let accounts = &self.core.accounts;
        let inner = std::iter::once(ROOT).chain(accounts.groups());
        let inner = inner.filter(|_| self.core.scarcity.has_excess());
        let mut sum = Relief::default();
        for account in survey.above_limit.iter().copied().chain(inner) {
            let leaving = self.core.freeing(account).bytes();
            let staying = accounts.used(account).saturating_sub(leaving);
            let to = self.highest_limit(account);
            let by = staying.saturating_sub(to);
            if by > 0 {
                let (goal, order) = (Goal::Down { to, by }, Order::TypeFirst);
                sum = self.relieve(account, goal, ALL_TYPES, order, now_ns).after(sum);
            }
        }
        if self.core.scarcity.has_excess() {
            self.review_excess(&mut lock(&self.admin));
        }
        sum
    }

    /// The highest of the limits of all levels of pressure; none for an account that was closed,
    /// whose grants end when their owners say so.
    fn highest_limit(&self, account: u32) -> u64 {
        let accounts = &self.core.accounts;
        if accounts.head(account).closed() {
            return u64::MAX;
        }
        accounts.settings(account).limits.into_iter().max().unwrap_or(0)
    }

    /// Tells the governor how short the machine is; pressure is the worse of this and the pool's
    /// own fill.
    pub fn report_pressure(&self, machine: Pressure) {
        self.note_plain_call(EventKind::PressureReported, ROOT, machine as u8, 0);
        let live = self.live();
        while self.change_gauge(live, |gauge| gauge.reported(machine)).is_none() {}
        self.serve_waiters();
        self.tell_pressure();
    }

    /// The pressure in force.
    pub fn pressure(&self) -> Pressure {
        self.core.accounts.gauge().level()
    }

    /// Bytes in live grants. Steps grow with the number of tenants.
    pub(crate) fn live(&self) -> Live {
        self.core.waiting.live(|| self.core.accounts.used_by_tenants())
    }

    /// At most how many that are.
    pub(crate) fn live_bytes(&self) -> u64 {
        self.live().most
    }

    /// Pressure once so many bytes of the pool's capacity were seen in grants. Lock-free.
    pub(crate) fn evaluate_pressure(&self, live: Live) -> Pressure {
        let mut turns = 0..GAUGE_TURNS_MAX;
        let after = turns.find_map(|_| self.change_gauge(live, |gauge| gauge));
        // Others that evaluate again and again see what this thread saw.
        after.unwrap_or_else(|| self.core.accounts.gauge()).level()
    }

    /// Evaluates the pressure if it may have fallen; says whether it has. With it a lower limit of
    /// who waits may end.
    pub(crate) fn lower_pressure(&self) -> bool {
        let before = self.pressure();
        before != Pressure::Normal
            && self.may_be_relieved()
            && self.evaluate_pressure(self.live()) < before
    }

    /// Whether the fill of the pool may have fallen below its level, by a look at the root alone:
    /// what is claimed of it is at least what is live.
    fn may_be_relieved(&self) -> bool {
        let accounts = &self.core.accounts;
        let (gauge, thresholds) = (accounts.gauge(), self.config.thresholds());
        let most = self.measured.fill(accounts.used(ROOT));
        let fullest = gauge.filled(&thresholds, most, accounts.limit(ROOT));
        self.config.pool_pressure && fullest.level() < gauge.level()
    }

    /// One change of what is known of pressure, the pool's fill always; none if another thread was
    /// faster.
    fn change_gauge(&self, live: Live, next: impl Fn(Gauge) -> Gauge) -> Option<Gauge> {
        let before = self.core.accounts.gauge();
        let mut after = next(before);
        if self.config.pool_pressure {
            let (thresholds, capacity) = (self.config.thresholds(), self.core.accounts.limit(ROOT));
            let most = self.measured.fill(live.most);
            // Never more, though another figure may have been reported meanwhile.
            let least = self.measured.fill(live.least).min(most);
            after = after.filled_within(&thresholds, Live { least, most }, capacity);
        }
        if after == before {
            return Some(after);
        }
        if after.level() == Pressure::Critical && before.level() != Pressure::Critical {
            self.share_out();
        }
        if !self.core.accounts.change_gauge(before, after) {
            return None;
        }
        if after.level() > before.level() {
            // Relaxed: a statistic.
            self.pressure_rises.fetch_add(1, Ordering::Relaxed);
        }
        if after.level() != before.level() || after.is_warned() != before.is_warned() {
            let (from, to) = (before.level(), after.level());
            self.note_pressure(from, to, live.most);
        }
        Some(after)
    }

    /// Computes everybody's fair share, without a survey: this may be a request, so it allocates
    /// nothing. Who waits and holds nothing has its share with the next step.
    fn share_out(&self) {
        let accounts = &self.core.accounts;
        let guaranteed = accounts.tenants().map(|tenant| accounts.guarantee(tenant)).sum();
        let active = accounts.tenants().filter_map(|tenant| {
            let used = accounts.used(tenant);
            (used > 0).then(|| self.party(tenant, used))
        });
        accounts.set_water(water_level(accounts.limit(ROOT), guaranteed, active));
    }

    /// A tenant that uses something or waits for it, as the shares see it. It wants what its limits
    /// allow, which is as much as it uses and waits for in so far as that can ever be its own: who
    /// may have less leaves the rest to the others.
    fn party(&self, tenant: u32, used: u64) -> Party {
        let accounts = &self.core.accounts;
        Party {
            guarantee: accounts.guarantee(tenant),
            weight: u64::from(priority(accounts.traits(tenant))) + 1,
            want: accounts.attainable(tenant, false).max(used),
        }
    }

    /// The pool has refused a request: pressure may have risen since the last step. Lock-free;
    /// steps grow with the number of tenants, as those of the refusal itself do.
    pub(crate) fn note_pool_refusal(&self) {
        let before = self.pressure();
        if self.config.pool_pressure && self.evaluate_pressure(self.live()) < before {
            // With the pressure a lower limit of who waits may have ended.
            self.serve_waiters();
        }
    }
}
