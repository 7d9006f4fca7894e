//! The bars: what is promised of speed and size, and whether it was met.

use crate::bare::CONTENDED;
use crate::crowd::{FEW, MANY};
use crate::datafusion::{FAIR, GREEDY, TRACKED, TRACKED_CONSUMER};
use crate::denials::{DENIED_BY_POOL, QUIET_BEYOND, QUIET_INSIDE, STORM_BEYOND, STORM_INSIDE};
use crate::facade::{FACADE, FACADE_TOGETHER};
use crate::figures::{Figure, ratios};
use crate::ours::{
    BEYOND, DENIED, GROW_BEYOND, GROW_INSIDE, INSIDE, OBSERVED, ONE_TENANT, OWN_TENANTS, TOUCH,
};
use crate::sections::Measured;
use crate::semaphore::{SEMAPHORE, SEMAPHORE_TOGETHER};
use crate::tail;
use crate::victims::{AMONG_FEW, AMONG_MANY};

/// What a median has to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Need {
    /// At most this.
    AtMost(f64),
    /// At least this.
    AtLeast(f64),
}

impl Need {
    /// Whether a number is as it has to be.
    pub fn is_met(self, number: f64) -> bool {
        match self {
            Self::AtMost(most) => number <= most,
            Self::AtLeast(least) => number >= least,
        }
    }
}

/// One line of the table.
pub struct Bar {
    /// What is measured.
    pub what: &'static str,
    /// What it has to be.
    pub need: Need,
    /// The unit of both; none for a ratio.
    pub unit: &'static str,
    /// What it is; none where it could not be measured here.
    pub got: Option<Figure>,
}

impl Bar {
    /// Whether the median is as it has to be.
    pub fn is_met(&self) -> Option<bool> {
        self.got.map(|got| self.need.is_met(got.median))
    }
}

fn at_most(what: &'static str, most: f64, got: Figure) -> Bar {
    Bar { what, need: Need::AtMost(most), unit: "", got: Some(got) }
}

fn at_least(what: &'static str, least: f64, got: Figure) -> Bar {
    Bar { what, need: Need::AtLeast(least), unit: "", got: Some(got) }
}

fn in_unit(unit: &'static str, bar: Bar) -> Bar {
    Bar { unit, ..bar }
}

/// All bars.
pub fn bars(measured: &Measured) -> Vec<Bar> {
    let mut bars = hot_path(measured);
    bars.extend(denials(measured));
    bars.extend(peers(measured));
    bars.extend(scale(measured));
    bars.extend(memory(measured));
    bars.extend(keys(measured));
    bars
}

fn hot_path(Measured { alone, .. }: &Measured) -> Vec<Bar> {
    let to_bare = |what, most, side| at_most(what, most, alone.to_bare(side));
    vec![
        to_bare("request + release inside the guarantee ÷ bare pair", 2.4, INSIDE),
        to_bare("request + release beyond it, idle claim at hand ÷ bare pair", 2.6, BEYOND),
        to_bare("the same with events and rate limit on ÷ bare pair", 5.0, OBSERVED),
        to_bare("grow + shrink inside ÷ bare pair", 2.3, GROW_INSIDE),
        to_bare("grow + shrink beyond ÷ bare pair", 2.4, GROW_BEYOND),
        to_bare("touch ÷ bare pair", 0.25, TOUCH),
        to_bare("denied at the own limit ÷ bare pair", 1.0, DENIED),
    ]
}

fn denials(Measured { denials, storm, .. }: &Measured) -> Vec<Bar> {
    let slower = |with, without| {
        let slower = ratios(storm.of(with), storm.of(without));
        Figure::of(&slower.iter().map(|ratio| 100.0 * (ratio - 1.0)).collect::<Vec<_>>())
    };
    let inside = slower(STORM_INSIDE, QUIET_INSIDE);
    let beyond = slower(STORM_BEYOND, QUIET_BEYOND);
    let us = denials.figure(DENIED_BY_POOL).times(1e-3);
    vec![
        in_unit("µs", at_most("denied by the root, 10,000 tenants", 50.0, us)),
        in_unit("%", at_most("a storm of them slows grants inside a guarantee by", 10.0, inside)),
        in_unit("%", at_most("a storm of them slows grants beyond one by", 10.0, beyond)),
    ]
}

fn peers(Measured { alone, together, .. }: &Measured) -> Vec<Bar> {
    let ratio = |what, least, over, under| at_least(what, least, alone.ratio(over, under));
    let together = |what, least, over, under| at_least(what, least, together.ratio(over, under));
    vec![
        ratio("`GreedyMemoryPool` ÷ our grow + shrink inside", 0.95, GREEDY, GROW_INSIDE),
        ratio("`FairSpillPool` ÷ our grow + shrink inside", 1.5, FAIR, GROW_INSIDE),
        ratio("`TrackConsumersPool` ÷ our grow + shrink inside", 2.7, TRACKED, GROW_INSIDE),
        ratio(
            "`TrackConsumersPool`: register, take, drop ÷ our request + release inside",
            5.5,
            TRACKED_CONSUMER,
            INSIDE,
        ),
        ratio("the same ÷ our request + release beyond", 5.0, TRACKED_CONSUMER, BEYOND),
        ratio("tokio `Semaphore` ÷ our request + release inside", 0.95, SEMAPHORE, INSIDE),
        together(
            "tokio `Semaphore` ÷ ours, two threads, one tenant",
            1.2,
            SEMAPHORE_TOGETHER,
            ONE_TENANT,
        ),
        ratio("plain facade ÷ our request + release inside", 13.0, FACADE, INSIDE),
        together("plain facade ÷ ours, two threads", 20.0, FACADE_TOGETHER, OWN_TENANTS),
    ]
}

fn scale(measured: &Measured) -> Vec<Bar> {
    let Measured { together, crowd, victims, tail, .. } = measured;
    // A thread's time per operation says throughput the other way round.
    let two_to_one = together.ratio(INSIDE, OWN_TENANTS).times(2.0);
    let to_contended = together.ratio(CONTENDED, ONE_TENANT);
    let slowest = tail.series.figure(tail::REQUEST).times(1e-3);
    vec![
        at_least("two threads, own tenants: throughput ÷ one thread", 1.95, two_to_one),
        at_least("two threads, one tenant: throughput ÷ contended bare pair", 0.35, to_contended),
        at_most("100,000 tenants at random ÷ 16 tenants", 4.0, crowd.ratio(MANY, FEW)),
        at_most(
            "one victim among a million grants ÷ among a thousand",
            3.0,
            victims.ratio(AMONG_MANY, AMONG_FEW),
        ),
        in_unit(
            "µs",
            at_most("p99.99 of `request`, 2 × cores threads, one in eight evicts", 100.0, slowest),
        ),
    ]
}

fn memory(Measured { memory, .. }: &Measured) -> Vec<Bar> {
    let bar = |what, most, resident: Option<f64>| Bar {
        what,
        need: Need::AtMost(most),
        unit: "B",
        got: resident.map(Figure::once),
    };
    vec![
        bar("resident memory of an idle tenant", 1_024.0, memory.tenant.resident_bytes),
        bar("resident memory of a grant", 96.0, memory.grant.resident_bytes),
    ]
}

fn keys(Measured { keys, .. }: &Measured) -> Vec<Bar> {
    let speed = keys.as_ref().map(crate::keys::Keys::to_moka);
    let above = keys.as_ref().map(|keys| Figure::once(100.0 * keys.above_peers()));
    vec![
        Bar {
            what: "recorded keys: operations per second ÷ moka, mean of all points",
            need: Need::AtLeast(1.0),
            unit: "",
            got: speed,
        },
        Bar {
            what: "recorded keys: hit ratio above the mean of moka and quick_cache",
            need: Need::AtLeast(0.0),
            unit: "points",
            got: above,
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_decides() {
        let got = Figure { median: 2.4, low: 2.0, high: 9.0 };
        assert_eq!(at_most("", 2.4, got).is_met(), Some(true));
        assert_eq!(at_most("", 2.3, got).is_met(), Some(false));
        assert_eq!(at_least("", 2.4, got).is_met(), Some(true));
        assert_eq!(at_least("", 2.5, got).is_met(), Some(false));
        assert_eq!(Bar { got: None, ..at_least("", 2.5, got) }.is_met(), None);
    }
}
