//! What a denial says: one sentence with the limit, the shortfall, the largest holders and one
//! thing to do.

use super::allocation::{No, Wanted};
use super::config::MIB;
use super::emergency::TenantHold;
use super::names::Shown;
use super::record::Key;
use super::statistics::Count;
use super::tenant::Tenant;
use super::{MultiTenantMemoryManager, lock};
use crate::config::{Isolation, TenantConfig};
use crate::error::{AccountName, Denial, DenialReason, Pins};
use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

/// Holders named in a sentence.
const NAMED_MAX: usize = 2;

/// Bytes for people, exact where they are whole MiB; with `{:#}` always.
pub(super) struct Mib(pub u64);

impl fmt::Display for Mib {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes.is_multiple_of(MIB) => write!(f, "{} MiB", bytes / MIB),
            bytes if bytes < MIB || f.alternate() => write!(f, "{bytes} bytes"),
            bytes => write!(f, "{:.1} MiB", bytes as f64 / MIB as f64),
        }
    }
}

/// A model or a tenant, with the bytes it holds.
type Named = (String, u64);

impl MultiTenantMemoryManager {
    /// The negative answer in words, and what the tenant could get now.
    pub(super) fn denied(&self, wanted: &Wanted, denial: &Denial) -> No {
        self.note_cause(wanted, denial);
        let name = lock(&wanted.tenant.held).name.clone();
        let (reason, available_bytes) = match denial.reason {
            DenialReason::TenantLimit => {
                (self.own_limit(&name, wanted, denial), self.available(wanted))
            }
            DenialReason::GroupLimit | DenialReason::Capacity => {
                let to_do = self.to_do_about(wanted, denial);
                (self.short_there(&name, denial, &to_do), self.available(wanted))
            }
            DenialReason::RateLimit => (self.too_often(&name, wanted, denial), 0),
            DenialReason::GrantCount => (too_many(&name, wanted, denial), 0),
            DenialReason::SlotsExhausted => (self.table_full(), 0),
            DenialReason::WaitersExhausted => (self.queue_full(&name, wanted, denial), 0),
            DenialReason::AuditFull => (
                "the audit log has no room for the record of this request, and nothing is granted \
                 without one; an operator makes room on its disk, see its status"
                    .to_string(),
                0,
            ),
            // `waited_in_vain` says more.
            DenialReason::WaitedTooLong => (denial.to_string(), 0),
            DenialReason::Contended => (
                "other threads kept changing the same account and the \
                 answer is not certain; ask again"
                    .to_string(),
                0,
            ),
        };
        No { denial: Some(Box::new(*denial)), ..No::new(reason, available_bytes) }
    }

    /// Counts why a request was denied, as far as recommendations follow from it.
    fn note_cause(&self, wanted: &Wanted, denial: &Denial) {
        let (statistics, governor) = (wanted.tenant.statistics.get(), &self.inner.governor);
        let cause = match denial.reason {
            DenialReason::TenantLimit => Count::OwnLimit,
            DenialReason::GroupLimit => Count::GroupLimit,
            DenialReason::Capacity => Count::Pool,
            DenialReason::RateLimit => Count::RequestRate,
            _ => Count::OtherCause,
        };
        statistics.note(cause);
        if cause == Count::OwnLimit && governor.unclaimed_bytes() >= wanted.bytes {
            statistics.note(Count::OwnLimitWithRoom);
        }
        if !matches!(cause, Count::GroupLimit | Count::Pool) {
            return;
        }
        if self.is_near_guarantee(wanted) {
            statistics.note(Count::NearGuarantee);
        }
    }

    /// Counts a request that takes a place in the queue.
    pub(super) fn note_place(&self, wanted: &Wanted) {
        let statistics = wanted.tenant.statistics.get();
        statistics.note(Count::Waits);
        if self.is_near_guarantee(wanted) {
            statistics.note(Count::WaitsNearGuarantee);
        }
    }

    /// Whether a request would leave its tenant within 10 % above its guarantee.
    fn is_near_guarantee(&self, wanted: &Wanted) -> bool {
        self.inner.governor.meter(wanted.tenant.handle).is_some_and(|meter| {
            let (total, floor) = (meter.used_bytes + wanted.bytes, meter.guarantee_bytes);
            total <= floor.saturating_add(floor / 10)
        })
    }

    /// What a tenant could get now, at most what was asked for, counting what would be evicted.
    pub(super) fn available(&self, wanted: &Wanted) -> u64 {
        // One that was unregistered meanwhile gets nothing.
        self.inner.governor.attainable(&wanted.request()).unwrap_or(0)
    }

    pub(super) fn on_hold(&self, tenant: &Tenant, hold: TenantHold) -> String {
        let name = lock(&tenant.held).name.clone();
        let state = match hold {
            TenantHold::Draining => "being drained",
            TenantHold::Frozen | TenantHold::None => "frozen",
        };
        format!(
            "tenant {name} is {state}: it keeps what it holds and gets nothing more; an operator \
             ends that with thaw_tenant"
        )
    }

    fn own_limit(&self, name: &str, wanted: &Wanted, denial: &Denial) -> String {
        let config = self.inner.governor.tenant_config(wanted.tenant.handle).ok();
        let limit = match &config {
            _ if self.inner.governor.is_lowered(wanted.tenant.handle) => {
                "ceiling, lowered while it asked for nothing and memory is short,"
            }
            Some(config) => limit_name(config, denial.limit),
            None => "limit",
        };
        let (bound, asked, short) =
            (Mib(denial.limit), Mib(denial.asked_bytes), Mib(denial.short_bytes));
        let used = Mib(denial.limit.saturating_sub(denial.available_bytes));
        let largest = named("its largest models are", "its largest model is", &models(wanted));
        let all = config.as_ref().is_some_and(|config| highest(config) < wanted.bytes);
        let to_do = match &config {
            _ if denial.pins.grants > 0 => self.about_pins(&denial.pins),
            _ if all => format!("ask for less or raise {}", highest_name(config.as_ref())),
            Some(config) if denial.limit < highest(config) => {
                "release some of it or wait until pressure is normal".to_string()
            }
            _ => format!("release some of it or raise {}", highest_name(config.as_ref())),
        };
        format!(
            "tenant {name} may hold at most its {limit} of {bound}: it holds {used}, and {asked} \
             more are {short} too many; {largest}{to_do}"
        )
    }

    /// What is short of a request now, as a refusal would say it; none: it would be granted.
    fn short_now(&self, wanted: &Wanted) -> Option<Denial> {
        let now = self.inner.governor.explain(&wanted.request()).ok()?;
        Some(Denial {
            reason: now.reason?,
            account: now.account,
            asked_bytes: now.asked_bytes,
            short_bytes: now.short_bytes,
            available_bytes: now.limit.saturating_sub(now.used_bytes),
            limit: now.limit,
            waiting_can_help: now.waiting_can_help,
            retry_after_ns: None,
            pins: now.pins,
        })
    }

    /// The negative answer to a request whose turn did not come.
    pub(super) fn waited_in_vain(&self, wanted: &Wanted, waited: Duration) -> No {
        let waited = format!("waited {:.3} s in the queue", waited.as_secs_f64());
        let waited = waited.replace(".000 s", " s");
        match self.short_now(wanted).map(|denial| self.denied(wanted, &denial)) {
            Some(no) => No { reason: format!("{waited}: {}", no.reason), ..no },
            None => {
                let reason = format!("{waited}, where others came first; ask again, for it fits");
                No::new(reason, self.available(wanted))
            }
        }
    }

    /// The negative answer to a request for which its tenant has no place in the queue left.
    pub(super) fn out_of_places(&self, wanted: &Wanted) -> No {
        match self.short_now(wanted) {
            Some(denial) => self.denied(wanted, &denial),
            None => {
                let reason = "others were faster, and there is room again; ask again".to_string();
                No::new(reason, self.available(wanted))
            }
        }
    }

    /// The negative answer to a request whose place was closed while it was awaited.
    pub(super) fn closed_meanwhile(&self, wanted: &Wanted) -> No {
        let name = lock(&wanted.tenant.held).name.clone();
        let reason = format!(
            "tenant {name} was put on hold while this request waited, and is not any more; ask \
             again"
        );
        No::new(reason, self.available(wanted))
    }

    fn queue_full(&self, name: &str, wanted: &Wanted, denial: &Denial) -> String {
        let taken = format!("all {} places in the queue are taken (waiters_max)", denial.limit);
        match self.short_now(wanted) {
            Some(short) => self.short_there(name, &short, &format!("try again later, for {taken}")),
            None => format!("{taken}; try again"),
        }
    }

    /// One thing to do where memory is short above the tenant.
    fn to_do_about(&self, wanted: &Wanted, denial: &Denial) -> String {
        match denial.pins.grants {
            0 if !denial.waiting_can_help => "ask for less".to_string(),
            0 if self.has_all_places(&wanted.tenant) => {
                let most = self.inner.queue.options.places_max;
                format!(
                    "ask again for one of the requests it has in the queue, {most} at most \
                     (queue_places_max)"
                )
            }
            0 => "try again when memory was released".to_string(),
            _ => self.about_pins(&denial.pins),
        }
    }

    fn short_there(&self, name: &str, denial: &Denial, to_do: &str) -> String {
        let governor = &self.inner.governor;
        let place = match denial.account {
            AccountName::Pool => "the pool".to_string(),
            other => {
                governor.name(other).map_or("its group".into(), |n| format!("group {}", Shown(&n)))
            }
        };
        let (bound, asked, short) =
            (Mib(denial.limit), Mib(denial.asked_bytes), Mib(denial.short_bytes));
        let left = Mib(denial.asked_bytes.saturating_sub(denial.short_bytes));
        // A group that was unregistered meanwhile has no holders.
        let holders = governor.largest_holders(denial.account).unwrap_or_default();
        let holders: Vec<Named> = holders.into_iter().map(|h| (h.name, h.bytes)).collect();
        let largest = named("the largest holders are", "the largest holder is", &holders);
        format!(
            "{place} of {bound} has {left} left for tenant {name}, {short} short of the {asked} it \
             asks for; {largest}{to_do}"
        )
    }

    /// What may be done about allocations that could have made room: unpin them, or wait for the
    /// owners that were asked and are using them.
    fn about_pins(&self, pins: &Pins) -> String {
        let bytes = Mib(pins.bytes);
        let is_pinned = |key| {
            let mut tenants = self.tenants().into_iter();
            tenants.any(|t| lock(&t.held).records.get(&key).is_some_and(|record| record.pinned))
        };
        match pins.first.map(Key::Grant).is_some_and(is_pinned) {
            true if pins.grants == 1 => format!("unpin the allocation of {bytes} in the way"),
            true => format!("unpin some of the {} allocations in the way ({bytes})", pins.grants),
            false => format!("try again soon, for {bytes} are just in use"),
        }
    }

    fn too_often(&self, name: &str, wanted: &Wanted, denial: &Denial) -> String {
        let config = self.inner.governor.tenant_config(wanted.tenant.handle).ok();
        let rate = config.and_then(|config| config.rate).map_or(0.0, |rate| {
            let interval_ns = rate.interval_ns.max(1) as f64;
            1e9 / interval_ns
        });
        let after = denial.retry_after_ns.unwrap_or(0) as f64 / 1e9;
        format!(
            "tenant {name} may ask {rate:.3} times a second and has used that up; ask again in \
             {after:.3} s"
        )
    }

    fn table_full(&self) -> String {
        let max = self.inner.governor.config().grants_max;
        format!(
            "no place for another allocation is left (grants_max is {max}); release small ones or \
             create the manager with a larger grants_max"
        )
    }
}

fn too_many(name: &str, wanted: &Wanted, denial: &Denial) -> String {
    let (limit, kind) = (denial.limit, wanted.kind.name());
    format!("tenant {name} may hold at most {limit} allocations for {kind}; release one of them")
}

/// The setting that a limit in force comes from.
fn limit_name(config: &TenantConfig, limit: u64) -> &'static str {
    match config.isolation {
        Isolation::Soft if config.burst_bytes == Some(limit) => "burst_limit_mb",
        _ if config.limit_bytes == Some(limit) => "max_memory_mb",
        _ => "fair share, in force while pressure is critical,",
    }
}

/// The most a tenant may ever hold by its own settings.
fn highest(config: &TenantConfig) -> u64 {
    match config.isolation {
        Isolation::None => u64::MAX,
        Isolation::Hard => config.limit_bytes.unwrap_or(u64::MAX),
        Isolation::Soft => config.burst_bytes.or(config.limit_bytes).unwrap_or(u64::MAX),
    }
}

fn highest_name(config: Option<&TenantConfig>) -> &'static str {
    let bursts = config.is_some_and(|c| c.isolation == Isolation::Soft && c.burst_bytes.is_some());
    if bursts { "burst_limit_mb" } else { "max_memory_mb" }
}

/// A tenant's models, largest first.
fn models(wanted: &Wanted) -> Vec<Named> {
    let held = lock(&wanted.tenant.held);
    let mut sums: HashMap<&str, u64> = HashMap::new();
    for record in held.records.values() {
        *sums.entry(&record.model).or_default() += record.granted_bytes();
    }
    let mut models: Vec<Named> =
        sums.into_iter().map(|(name, bytes)| (name.to_string(), bytes)).collect();
    models.retain(|&(_, bytes)| bytes > 0);
    models.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    models
}

/// "the largest are A (2 MiB) and B (1 MiB); ", or nothing if there is nobody.
fn named(several: &str, one: &str, all: &[Named]) -> String {
    let shown = |(name, bytes): &Named| format!("{} ({})", Shown(name), Mib(*bytes));
    match all.iter().take(NAMED_MAX).map(shown).collect::<Vec<_>>().as_slice() {
        [] => String::new(),
        [only] => format!("{one} {only}; "),
        both => format!("{several} {}; ", both.join(" and ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_exact_where_they_are_whole() {
        let shown = [0, 1, MIB - 1, MIB, 3 * MIB, 3 * MIB / 2].map(|bytes| Mib(bytes).to_string());
        assert_eq!(format!("{:#}", Mib(3 * MIB / 2)), "1572864 bytes");
        assert_eq!(shown, ["0 MiB", "1 bytes", "1048575 bytes", "1 MiB", "3 MiB", "1.5 MiB"]);
    }
}
