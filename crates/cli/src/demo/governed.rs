//! The minute with a governor: every wish is a request, and the answer is taken for an answer.
//!
//! [`run`] keeps books beside the governor and remembers one denial; [`time`] lives through the
//! same minute again and again with neither, to measure what a decision costs.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use allotment::os::{Clock, ManualClock};
use allotment::{
    AllocationType, DenialReason, Error, GrantId, Isolation, ReclaimAnswer, Refusal, Released,
    Request,
};
use allotment_config::{Built, Setup, Tenant};

use super::load::{Event, Load, Step, Wish};
use super::timeline::Timeline;
use crate::ledger::{Bounds, Ledger, TenantBounds};

/// How often the balancer looks.
const BALANCE_NS: u64 = 1_000_000_000;
/// The balancer acts for no tenant in particular.
const NOBODY: u32 = u32::MAX;
/// For how long the minute is repeated to measure it.
const TIMED: Duration = Duration::from_millis(400);

/// What one tenant got.
#[derive(Clone, Debug, Default)]
pub struct Got {
    pub granted: u64,
    pub denied: u64,
    pub evicted: u64,
    pub evicted_bytes: u64,
    /// Milliseconds of work that evictions threw away.
    pub evicted_cost_ms: u64,
    /// Uses of something that was still there.
    pub hits: u64,
}

/// One request that was refused, and what the governor said about it at that moment.
#[derive(Clone, Debug)]
pub struct Refused {
    pub at_ns: u64,
    pub tenant: usize,
    pub kind: AllocationType,
    pub bytes: u64,
    /// Whether the pool was short, rather than a limit reached.
    pub by_pool: bool,
    pub explanation: String,
}

/// How it went.
#[derive(Debug)]
pub struct Governed {
    /// What was granted, when.
    pub timeline: Timeline,
    /// The most bytes above the capacity or a limit, by the books.
    pub over_bytes: u64,
    /// Bytes at the end on which the books and the governor disagree.
    pub leaked_bytes: u64,
    /// Guarantees not kept, and models evicted.
    pub broken: u64,
    /// One entry for each tenant.
    pub got: Vec<Got>,
    pub refused: Option<Refused>,
    /// Bytes the governor itself needs.
    pub tracking_bytes: u64,
}

/// What a decision costs.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Requests in one minute.
    pub decisions: u64,
    /// Nanoseconds of the whole minute for each of them, in the median minute: releases, touches
    /// and evictions included.
    pub ns_per_decision: f64,
}

/// Lives through the load once, with books.
pub fn run(load: &Load, setup: &Setup) -> Result<Governed, Error> {
    let (mut machine, evicted) = Machine::with_record(load, setup)?;
    let mut story = Story::new(setup);
    let mut balanced_ns = 0;
    for event in &load.events {
        if event.at_ns >= balanced_ns + BALANCE_NS {
            balanced_ns = event.at_ns;
            machine.clock.set_ns(event.at_ns);
            machine.built.governor.balance();
            story.evictions(load, &evicted, NOBODY);
        }
        let wish = &load.wishes[event.wish];
        let answer = machine.step(event, wish)?;
        story.evictions(load, &evicted, wish.tenant as u32);
        story.answer(answer, event, wish, &machine)?;
        story.timeline.mark(event.at_ns);
    }
    let governor = &machine.built.governor;
    let observed = story.ledger.observed();
    Ok(Governed {
        over_bytes: observed.overcommit_bytes,
        leaked_bytes: story.ledger.leaked_bytes(governor.snapshot().live_bytes),
        broken: observed.guarantee_violations + story.models_evicted,
        timeline: story.timeline,
        got: story.got,
        refused: story.refused,
        tracking_bytes: governor.tracking_bytes(),
    })
}

/// Lives through the load without books, for as long as `TIMED`, and takes the median minute.
pub fn time(load: &Load, setup: &Setup) -> Result<Timing, Error> {
    let begin = Instant::now();
    let mut minutes = Vec::new();
    let mut decisions = 1;
    while minutes.len() < 3 || begin.elapsed() < TIMED {
        let mut machine = Machine::new(load, setup)?;
        let start = Instant::now();
        let mut asked = 0u64;
        for event in &load.events {
            let answer = machine.step(event, &load.wishes[event.wish])?;
            asked += u64::from(matches!(answer, Answer::Granted | Answer::Denied));
        }
        minutes.push(start.elapsed());
        decisions = asked.max(1);
    }
    minutes.sort();
    let median = minutes[minutes.len() / 2];
    Ok(Timing { decisions, ns_per_decision: median.as_nanos() as f64 / decisions as f64 })
}

/// What came of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Granted,
    Denied,
    /// It was still there and has been touched.
    Hit,
    Released,
    /// Done with something that was never granted, or taken back before.
    Nothing,
}

/// A governor, its clock, and the grants held of it.
struct Machine {
    built: Built,
    clock: ManualClock,
    held: Vec<Option<GrantId>>,
}

type Evicted = Arc<Mutex<Vec<usize>>>;

impl Machine {
    fn new(load: &Load, setup: &Setup) -> Result<Machine, Error> {
        let clock = ManualClock::new();
        let built = setup.build(Clock::Manual(clock.clone()), |config| config)?;
        built.governor.on_reclaim(|_| ReclaimAnswer::Freed);
        Ok(Machine { built, clock, held: vec![None; load.wishes.len()] })
    }

    /// As `new`, and every wish that was evicted is noted.
    fn with_record(load: &Load, setup: &Setup) -> Result<(Machine, Evicted), Error> {
        let machine = Machine::new(load, setup)?;
        let evicted = Evicted::default();
        let record = evicted.clone();
        machine.built.governor.on_reclaim(move |victim| {
            record.lock().expect("nobody panics with it").push(victim.cookie as usize);
            ReclaimAnswer::Freed
        });
        Ok((machine, evicted))
    }

    fn request(&self, place: usize, wish: &Wish) -> Request {
        Request::new(self.built.tenants[wish.tenant], wish.kind, wish.bytes)
            .cookie(place as u64)
            .key(place as u64 + 1)
            .cost(wish.cost_ms)
            .pinned(wish.kind == AllocationType::Inference)
    }

    fn step(&mut self, event: &Event, wish: &Wish) -> Result<Answer, Error> {
        self.clock.set_ns(event.at_ns);
        let governor = &self.built.governor;
        let tenant = self.built.tenants[wish.tenant];
        let held = self.held[event.wish];
        match (event.step, held) {
            (Step::Done, None) => Ok(Answer::Nothing),
            (Step::Done, Some(grant)) => {
                self.held[event.wish] = None;
                // Anything else means that the grant was taken back before.
                let released = governor.release(tenant, grant) == Ok(Released::Returned);
                Ok(if released { Answer::Released } else { Answer::Nothing })
            }
            (Step::Use, Some(grant)) if governor.touch(tenant, grant).is_ok() => Ok(Answer::Hit),
            (Step::Use, _) => match governor.request(&self.request(event.wish, wish)) {
                Ok(grant) => {
                    self.held[event.wish] = Some(grant.into_id());
                    Ok(Answer::Granted)
                }
                Err(Refusal::Denied(_)) => {
                    self.held[event.wish] = None;
                    Ok(Answer::Denied)
                }
                Err(Refusal::Misuse(error)) => Err(error),
            },
        }
    }
}

/// What is written down along the way.
struct Story {
    ledger: Ledger,
    timeline: Timeline,
    got: Vec<Got>,
    refused: Option<Refused>,
    models_evicted: u64,
}

impl Story {
    fn new(setup: &Setup) -> Story {
        let bounds = |tenant: &Tenant| TenantBounds {
            guarantee_bytes: tenant.guarantee_bytes,
            limit_bytes: match tenant.isolation {
                Isolation::None => None,
                Isolation::Soft => tenant.burst_bytes.or(tenant.limit_bytes),
                Isolation::Hard => tenant.limit_bytes,
            },
            group: None,
        };
        let tenants = setup.tenants.iter().map(bounds).collect();
        Story {
            ledger: Ledger::new(Bounds {
                capacity_bytes: setup.capacity_bytes,
                tenants,
                groups: Vec::new(),
            }),
            timeline: Timeline::new(setup.tenants.len()),
            got: vec![Got::default(); setup.tenants.len()],
            refused: None,
            models_evicted: 0,
        }
    }

    /// Books what was evicted for a tenant, or by the balancer for nobody in particular.
    fn evictions(&mut self, load: &Load, evicted: &Evicted, by: u32) {
        for place in evicted.lock().expect("nobody panics with it").drain(..) {
            let wish = &load.wishes[place];
            self.ledger.evicted(wish.tenant as u32, wish.bytes, by);
            self.timeline.subtract(wish.tenant, wish.bytes);
            self.models_evicted += u64::from(wish.kind == AllocationType::ModelLoad);
            let got = &mut self.got[wish.tenant];
            got.evicted += 1;
            got.evicted_bytes += wish.bytes;
            got.evicted_cost_ms += u64::from(wish.cost_ms);
        }
    }

    fn answer(
        &mut self,
        answer: Answer,
        event: &Event,
        wish: &Wish,
        machine: &Machine,
    ) -> Result<(), Error> {
        let tenant = wish.tenant as u32;
        let got = &mut self.got[wish.tenant];
        match answer {
            Answer::Granted => {
                got.granted += 1;
                self.ledger.granted(tenant, wish.bytes);
                self.timeline.add(wish.tenant, wish.bytes);
            }
            Answer::Denied => {
                got.denied += 1;
                self.ledger.denied(tenant, wish.bytes);
                self.remember(event, wish, machine)?;
            }
            Answer::Released => {
                self.ledger.released(tenant, wish.bytes);
                self.timeline.subtract(wish.tenant, wish.bytes);
            }
            Answer::Hit => got.hits += 1,
            Answer::Nothing => {}
        }
        Ok(())
    }

    /// Keeps the most telling denial: by the pool rather than by a limit of one's own, then of the
    /// more important tenant, then the larger.
    fn remember(&mut self, event: &Event, wish: &Wish, machine: &Machine) -> Result<(), Error> {
        let request = machine.request(event.wish, wish);
        let explanation = machine.built.governor.explain(&request)?;
        let refused = Refused {
            at_ns: event.at_ns,
            tenant: wish.tenant,
            kind: wish.kind,
            bytes: wish.bytes,
            by_pool: explanation.reason == Some(DenialReason::Capacity),
            explanation: explanation.to_string(),
        };
        let weight = |of: &Refused| (of.by_pool, std::cmp::Reverse(of.tenant), of.bytes);
        if self.refused.as_ref().is_none_or(|kept| weight(kept) < weight(&refused)) {
            self.refused = Some(refused);
        }
        Ok(())
    }
}
