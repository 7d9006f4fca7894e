//! What an operator could change, in words: each follows from a figure, names it, and asks for one
//! thing. A pure function of what the dashboard shows.
//!
//! | figure | advice |
//! |---|---|
//! | denials and waits within 10 % above the guarantee | raise the guarantee |
//! | peak at most half the guarantee, while the pool was short for others | lower the guarantee |
//! | denials at the own limit while the pool had room | raise the limit |
//! | silent, holding what cannot be evicted, while the pool was short for others | release it |
//! | the same of what could be evicted, but for a priority above normal | lower the priority |
//! | the pool was short while nearly all that is claimed is in use | add memory |
//! | reclaim handlers that panicked, or took long | fix, or shorten them |
//! | most of all requests, most of them denied | limit the rate |
//!
//! Figures count from the registration of a tenant on, through the manager.

use super::config::{MIB, TenantPriority};
use super::dashboard::TenantUsage;
use super::history::MINUTE_NS;
use super::reason::Mib;
use crate::config::TenantId;
use std::fmt;

/// Recommendations on one page.
const SHOWN_MAX: usize = 16;
/// Denials and waits of one cause that are no accident.
const DENIALS_MIN: u64 = 3;
/// A tenant that has not asked for this long is silent; less is not known of one for certain.
const LONG_NS: u64 = 10 * MINUTE_NS;
/// Percent of the claimed bytes in use from which on the pool is well used.
const EFFICIENT_PERCENT: f64 = 90.0;
/// Requests below which nobody floods.
const FLOOD_REQUESTS_MIN: u64 = 100;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum RecommendationKind {
    /// A tenant needs a higher floor.
    RaiseGuarantee,
    /// A tenant does not need its floor.
    LowerGuarantee,
    /// A tenant needs a higher ceiling.
    RaiseLimit,
    /// A tenant keeps memory that nobody may evict, and does not use it.
    ReleaseModels,
    /// A tenant keeps memory from others that it does not use.
    LowerPriority,
    /// There is not enough memory.
    AddMemory,
    /// A reclaim handler panics.
    FixReclaim,
    /// A reclaim handler takes too long.
    ShortenReclaim,
    /// A tenant floods the manager with requests.
    LimitRate,
}

/// One piece of advice. Its [`fmt::Display`] is the sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recommendation {
    /// What is to be done.
    pub kind: RecommendationKind,
    /// For which tenant; none: for all.
    pub tenant: Option<TenantId>,
    /// How often what it follows from has happened.
    pub weight: u64,
    /// One sentence: what to do, the figure it follows from.
    pub text: String,
}

impl fmt::Display for Recommendation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The figures of all tenants together.
struct All {
    requests: u64,
    short: Short,
}

/// How often the pool was short: denials, and requests that had to wait.
#[derive(Clone, Copy)]
struct Short {
    denials: u64,
    waits: u64,
}

impl Short {
    fn of(tenant: &TenantUsage) -> Self {
        Self { denials: tenant.statistics.denials.pool, waits: tenant.statistics.waits }
    }

    fn times(self) -> u64 {
        self.denials + self.waits
    }

    fn of_others(self, but: &TenantUsage) -> Self {
        let own = Self::of(but);
        Self { denials: self.denials - own.denials, waits: self.waits - own.waits }
    }

    /// What the pool did with requests, `whose` may be "" or " of others".
    fn say(self, whose: &str) -> String {
        match self {
            Self { denials, waits: 0 } => format!("denied {denials} requests{whose}"),
            Self { denials: 0, waits } => format!("let {waits} requests{whose} wait"),
            Self { denials, waits } => {
                format!("denied {denials} requests{whose} and let {waits} wait")
            }
        }
    }
}

/// At most sixteen, those that follow from most first.
pub(super) fn recommend(
    tenants: &[TenantUsage],
    efficiency_percent: f64,
    reclaim_ms: u64,
) -> Vec<Recommendation> {
    let sum = |figure: fn(&TenantUsage) -> u64| tenants.iter().map(figure).sum();
    let all = All {
        requests: sum(|tenant| tenant.statistics.requests),
        short: Short {
            denials: sum(|tenant| tenant.statistics.denials.pool),
            waits: sum(|tenant| tenant.statistics.waits),
        },
    };
    let rules = [raise_guarantee, lower_guarantee, raise_limit, release_models, lower_priority];
    let mut found: Vec<Recommendation> = tenants
        .iter()
        .flat_map(|tenant| {
            let of_rules = rules.iter().filter_map(|rule| rule(tenant, &all));
            of_rules.chain(limit_rate(tenant, &all)).chain(about_reclaim(tenant, reclaim_ms))
        })
        .collect();
    found.extend(add_memory(&all, efficiency_percent));
    found.sort_by_key(|advice| (std::cmp::Reverse(advice.weight), advice.kind, advice.tenant));
    found.truncate(SHOWN_MAX);
    found
}

fn advice(kind: RecommendationKind, of: &TenantUsage, weight: u64, text: String) -> Recommendation {
    Recommendation { kind, tenant: Some(of.tenant_id), weight, text }
}

/// A tenth more, in whole MiB.
fn a_tenth_above(bytes: u64) -> Mib {
    Mib(bytes.saturating_add(bytes / 10).div_ceil(MIB).saturating_mul(MIB))
}

fn raise_guarantee(of: &TenantUsage, _: &All) -> Option<Recommendation> {
    let denials = of.statistics.denials.near_guarantee;
    let waits = of.statistics.waits_near_guarantee;
    let now = of.guaranteed_memory_mb * MIB;
    let (name, to) = (&of.name, a_tenth_above(now));
    (denials + waits >= DENIALS_MIN && now > 0).then(|| {
        let figures = match (denials, waits) {
            (_, 0) => format!("{denials} denials"),
            (0, _) => format!("{waits} waits"),
            _ => format!("{denials} denials and {waits} waits"),
        };
        let text = format!(
            "raise the guarantee of {name} from {} to {to}: {figures} inside 10 % above it",
            Mib(now)
        );
        advice(RecommendationKind::RaiseGuarantee, of, denials + waits, text)
    })
}

fn lower_guarantee(of: &TenantUsage, all: &All) -> Option<Recommendation> {
    let others = all.short.of_others(of);
    let (now, peak) = (of.guaranteed_memory_mb * MIB, of.peak_memory_bytes);
    let unused = peak <= now / 2 && now >= 2 * MIB && of.watched_ns >= LONG_NS;
    (unused && others.times() >= DENIALS_MIN).then(|| {
        let (name, to) = (&of.name, a_tenth_above(peak));
        let text = format!(
            "lower the guarantee of {name} from {} to {to}: it never held more than {}, while the \
             pool {}",
            Mib(now),
            Mib(peak),
            others.say(" of others")
        );
        advice(RecommendationKind::LowerGuarantee, of, others.times(), text)
    })
}

fn raise_limit(of: &TenantUsage, _: &All) -> Option<Recommendation> {
    let denials = of.statistics.denials.own_limit_with_room;
    let (name, now) = (&of.name, Mib(of.max_memory_mb? * MIB));
    (denials >= DENIALS_MIN).then(|| {
        let text = format!(
            "raise max_memory_mb of {name} above {now}: {denials} denials at its own limit while \
             the pool had room"
        );
        advice(RecommendationKind::RaiseLimit, of, denials, text)
    })
}

/// How the pool was short for others, while this tenant was silent.
fn short_beside(of: &TenantUsage, all: &All) -> Option<Short> {
    let others = all.short.of_others(of);
    (of.silent_ns >= LONG_NS && others.times() >= DENIALS_MIN).then_some(others)
}

fn release_models(of: &TenantUsage, all: &All) -> Option<Recommendation> {
    let others = short_beside(of, all).filter(|_| of.unevictable_memory_bytes > 0)?;
    let (name, bytes) = (&of.name, Mib(of.unevictable_memory_bytes));
    let minutes = of.silent_ns / MINUTE_NS;
    let text = format!(
        "release or unpin models of {name}: it has not asked for {minutes} minutes and holds \
         {bytes} that nobody may evict, while the pool {}",
        others.say(" of others")
    );
    Some(advice(RecommendationKind::ReleaseModels, of, others.times(), text))
}

fn lower_priority(of: &TenantUsage, all: &All) -> Option<Recommendation> {
    let evictable = of.allocated_memory_bytes.saturating_sub(of.unevictable_memory_bytes);
    let beyond = evictable > of.guaranteed_memory_mb * MIB && of.priority > TenantPriority::Normal;
    let others = short_beside(of, all).filter(|_| beyond)?;
    let (name, priority, bytes) = (&of.name, of.priority.name(), Mib(evictable));
    let minutes = of.silent_ns / MINUTE_NS;
    let text = format!(
        "lower the priority of {name} from {priority}: it has not asked for {minutes} minutes and \
         holds {bytes} that could be evicted, while the pool {}",
        others.say(" of others")
    );
    Some(advice(RecommendationKind::LowerPriority, of, others.times(), text))
}

fn limit_rate(of: &TenantUsage, all: &All) -> Option<Recommendation> {
    let (asked, denied) = (of.statistics.requests, of.statistics.denied);
    let floods = asked >= FLOOD_REQUESTS_MIN && asked > all.requests / 2 && asked < all.requests;
    (floods && denied > asked / 2).then(|| {
        let (name, sum) = (&of.name, all.requests);
        let text = format!(
            "limit the requests of {name} with set_request_rate: {asked} of all {sum} were its \
             own, and {denied} of those were denied"
        );
        advice(RecommendationKind::LimitRate, of, denied, text)
    })
}

fn about_reclaim(of: &TenantUsage, reclaim_ms: u64) -> Option<Recommendation> {
    let (name, reclaim) = (&of.name, &of.statistics.reclaim);
    let (panicked, slow) = (reclaim.panicked, reclaim.slow);
    if panicked > 0 {
        let text = format!(
            "fix the on_evict callback for {name}: it panicked {}, and nothing was freed by that",
            Times(panicked)
        );
        return Some(advice(RecommendationKind::FixReclaim, of, panicked, text));
    }
    (slow > 0).then(|| {
        let longest = reclaim.largest_ns / 1_000_000;
        let text = format!(
            "shorten the on_evict callback for {name}: it took longer than {reclaim_ms} ms {}, at \
             most {longest} ms",
            Times(slow)
        );
        advice(RecommendationKind::ShortenReclaim, of, slow, text)
    })
}

/// "once", or how many times.
struct Times(u64);

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => f.write_str("once"),
            times => write!(f, "{times} times"),
        }
    }
}

fn add_memory(all: &All, efficiency_percent: f64) -> Option<Recommendation> {
    let short = all.short;
    (short.times() >= DENIALS_MIN && efficiency_percent >= EFFICIENT_PERCENT).then(|| {
        Recommendation {
            kind: RecommendationKind::AddMemory,
            tenant: None,
            weight: short.times(),
            text: format!(
                "add memory (max_memory_mb of the manager): the pool {}, and \
             {efficiency_percent:.0} % of what is claimed of it is in use",
                short.say("")
            ),
        }
    })
}
