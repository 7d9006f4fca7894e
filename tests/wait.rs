//! The fair queue: the line against a naive one, and what its users are promised: shares by weight,
//! no head-of-line blocking, ageing, deadlines, cancellation, and no byte lost by any of them.

use allotment::internals::sync::{AtomicU64, Ordering};
use allotment::os::ManualClock;
use allotment::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

const MIB: u64 = 1 << 20;
const SECOND_NS: u64 = 1_000_000_000;
const FOREVER: Duration = Duration::from_secs(1 << 30);
const PATIENCE_NS: u64 = 100;

fn governor(capacity_bytes: u64, clock: &ManualClock) -> Governor {
    let config = GovernorConfig {
        tenants_max: 16,
        grants_max: 4_096,
        quantum_bytes: 0,
        pool_pressure: false,
        patience_ns: PATIENCE_NS,
        clock: clock.clone().into(),
        ..GovernorConfig::new(capacity_bytes)
    };
    Governor::new(config).unwrap()
}

fn tenant(number: u128, priority: Priority) -> TenantConfig {
    TenantConfig { priority, ..TenantConfig::new(TenantId::from_u128(number), number.to_string()) }
}

/// What nobody else may take: models are never evicted unless marked so.
fn fixed(tenant: TenantHandle, bytes: u64) -> Request {
    Request::new(tenant, AllocationType::ModelLoad, bytes)
}

fn denial(refusal: Refusal) -> Denial {
    match refusal {
        Refusal::Denied(denial) => denial,
        Refusal::Misuse(error) => panic!("{error}"),
    }
}

// The line against a naive one.

const PRIORITIES: [Priority; 4] =
    [Priority::Low, Priority::Normal, Priority::High, Priority::Critical];

#[derive(Clone, Copy, Debug)]
enum Step {
    Enqueue { tenant: usize, bytes: u64, wait: u64 },
    Release(usize),
    Cancel(usize),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0..4usize, 1..12u64, prop_oneof![Just(1 << 40), 1..400u64])
            .prop_map(|(tenant, bytes, wait)| Step::Enqueue { tenant, bytes, wait }),
        4 => (0..64usize).prop_map(Step::Release),
        1 => (0..64usize).prop_map(Step::Cancel),
        2 => (1..80u64).prop_map(Step::Pass),
    ]
}

#[derive(Clone, Copy, Debug)]
struct Waiter {
    number: u64,
    tenant: usize,
    bytes: u64,
    tag: u64,
    cost: u64,
    ageing: u64,
    deadline: u64,
    cancelled: bool,
}

/// The rules of `core/wait.rs`, with a sorted list and plain sums.
#[derive(Debug, Default)]
struct Naive {
    capacity: u64,
    limits: [u64; 4],
    used: [u64; 4],
    tags: [u64; 4],
    time: u64,
    line: Vec<Waiter>,
    senior: Option<(u64, u64)>,
    /// When the senior last gained anything.
    gained: u64,
    now: u64,
    /// What those who left unserved in this walk had added to the tags behind them, and the last
    /// tag that was moved by it.
    credit: [u64; 4],
    moved: [u64; 4],
}

impl Naive {
    fn room(&self, tenant: usize) -> u64 {
        let own = self.limits[tenant] - self.used[tenant];
        own.min(self.capacity - self.used.iter().sum::<u64>())
    }

    fn enqueue(&mut self, number: u64, tenant: usize, bytes: u64, wait: u64) {
        let cost = bytes * 12 / (tenant as u64 + 1);
        let tag = self.tags[tenant].max(self.time) + cost;
        self.tags[tenant] = tag;
        let (ageing, deadline, cancelled) = (self.now, self.now + wait, false);
        let at = self.line.partition_point(|other| other.tag <= tag);
        let waiter = Waiter { number, tenant, bytes, tag, cost, ageing, deadline, cancelled };
        self.line.insert(at, waiter);
    }

    /// Takes a waiter out of the line that was not served; says whether bytes came free.
    fn give_up(&mut self, waiter: Waiter) -> bool {
        self.line.retain(|other| other.number != waiter.number);
        self.tags[waiter.tenant] -= waiter.cost;
        self.credit[waiter.tenant] += waiter.cost;
        match self.senior {
            Some((number, aside)) if number == waiter.number => {
                self.senior = None;
                self.used[waiter.tenant] -= aside;
                aside > 0
            }
            _ => false,
        }
    }

    fn set_aside(&mut self) {
        let Some((number, aside)) = self.senior else { return };
        let waiter = *self.line.iter().find(|w| w.number == number).unwrap();
        let more = self.room(waiter.tenant).min(waiter.bytes - aside);
        if more > 0 {
            self.gained = self.now;
        }
        self.used[waiter.tenant] += more;
        self.senior = Some((number, aside + more));
    }

    /// Those behind one that left unserved stand as if it had never asked, but not before those who
    /// would enter now.
    fn move_forward(&mut self, waiter: &mut Waiter) {
        let (credit, moved) = (self.credit[waiter.tenant], self.moved[waiter.tenant]);
        if credit > 0 {
            let first = self.time.max(moved) + waiter.cost;
            waiter.tag = waiter.tag.saturating_sub(credit).max(waiter.tag.min(first));
            self.moved[waiter.tenant] = waiter.tag;
            self.tags[waiter.tenant] = waiter.tag;
            let at = self.line.iter().position(|other| other.number == waiter.number).unwrap();
            self.line[at].tag = waiter.tag;
        }
    }

    fn make_senior(&mut self, oldest: u64) -> bool {
        let freed = self.senior.is_some_and(|(_, aside)| aside > 0);
        if let Some((number, aside)) = self.senior {
            if self.now - self.gained <= PATIENCE_NS {
                return false;
            }
            let at = self.line.iter().position(|waiter| waiter.number == number).unwrap();
            self.line[at].ageing = self.now;
            self.used[self.line[at].tenant] -= aside;
        }
        self.senior = Some((oldest, 0));
        self.gained = self.now;
        self.set_aside();
        freed
    }

    /// Serves who fits; answers their numbers in the order in which they were served.
    fn hand_over(&mut self) -> Vec<u64> {
        let mut served = Vec::new();
        loop {
            let mut again = false;
            if let Some((number, aside)) = self.senior {
                let waiter = *self.line.iter().find(|w| w.number == number).unwrap();
                if waiter.cancelled || waiter.deadline <= self.now {
                    self.used[waiter.tenant] -= aside;
                    self.senior = None;
                }
            }
            self.set_aside();
            if let Some((number, aside)) = self.senior {
                let waiter = *self.line.iter().find(|w| w.number == number).unwrap();
                if aside == waiter.bytes {
                    served.push(number);
                    self.senior = None;
                    self.line.retain(|other| other.number != number);
                    self.time = self.time.max(waiter.tag);
                } else if waiter.bytes - aside
                    > self.limits[waiter.tenant] - self.used[waiter.tenant]
                {
                    self.used[waiter.tenant] -= aside;
                    self.senior = None;
                    again |= aside > 0;
                }
            }
            let (mut held_up, mut oldest) = ([false; 4], None::<Waiter>);
            (self.credit, self.moved) = ([0; 4], [0; 4]);
            for mut waiter in self.line.clone() {
                self.move_forward(&mut waiter);
                if waiter.cancelled || waiter.deadline <= self.now {
                    again |= self.give_up(waiter);
                    continue;
                }
                held_up[waiter.tenant] |=
                    self.senior.is_some_and(|(number, _)| number == waiter.number);
                if held_up[waiter.tenant] {
                    continue;
                }
                let aged = self.now - waiter.ageing >= PATIENCE_NS;
                held_up[waiter.tenant] |= aged && waiter.bytes > self.room(waiter.tenant);
                if waiter.bytes <= self.room(waiter.tenant) {
                    self.used[waiter.tenant] += waiter.bytes;
                    self.line.retain(|other| other.number != waiter.number);
                    self.time = self.time.max(waiter.tag);
                    served.push(waiter.number);
                } else if waiter.bytes <= self.limits[waiter.tenant] - self.used[waiter.tenant]
                    && aged
                    && oldest.is_none_or(|o| waiter.ageing < o.ageing)
                {
                    oldest = Some(waiter);
                }
            }
            self.line.sort_by_key(|waiter| waiter.tag);
            if let Some(oldest) = oldest {
                again |= self.make_senior(oldest.number);
            }
            if !again {
                return served;
            }
        }
    }
}

/// The governor and the naive line, side by side.
struct Both<'g> {
    governor: &'g Governor,
    clock: &'g ManualClock,
    handles: Vec<TenantHandle>,
    naive: Naive,
    tickets: BTreeMap<u64, Ticket<'g>>,
    held: Vec<(usize, Grant<'g>)>,
}

impl<'g> Both<'g> {
    fn new(governor: &'g Governor, clock: &'g ManualClock, limits: [u64; 4]) -> Self {
        let register = |i: usize| {
            let config = TenantConfig {
                limit_bytes: Some(limits[i]),
                isolation: Isolation::Hard,
                ..tenant(i as u128 + 1, PRIORITIES[i])
            };
            governor.register_tenant(config).unwrap()
        };
        let capacity = governor.snapshot().capacity_bytes;
        let naive = Naive { capacity, limits, ..Naive::default() };
        let handles = (0..4).map(register).collect();
        Self { governor, clock, handles, naive, tickets: BTreeMap::new(), held: Vec::new() }
    }

    /// Does a step in both; whom the naive line serves.
    fn step(&mut self, number: u64, step: Step) -> Vec<u64> {
        let naive = &mut self.naive;
        match step {
            Step::Enqueue { tenant, bytes, wait } => {
                let bytes = bytes.min(naive.capacity).min(naive.limits[tenant]);
                let request = fixed(self.handles[tenant], bytes);
                let wait_max = Duration::from_nanos(wait);
                let ticket = self.governor.enqueue(&request, wait_max).unwrap();
                self.tickets.insert(number, ticket);
                if naive.line.is_empty() && bytes <= naive.room(tenant) {
                    // Nobody waits: it does not stand in line at all.
                    naive.used[tenant] += bytes;
                    return vec![number];
                }
                naive.enqueue(number, tenant, bytes, wait);
            }
            Step::Release(n) if !self.held.is_empty() => {
                let (tenant, grant) = self.held.swap_remove(n % self.held.len());
                naive.used[tenant] -= grant.bytes();
                drop(grant);
            }
            Step::Cancel(n) if !naive.line.is_empty() => {
                let at = n % naive.line.len();
                naive.line[at].cancelled = true;
                self.tickets.remove(&naive.line[at].number).unwrap().cancel();
            }
            Step::Pass(ns) => {
                self.clock.advance_ns(ns);
                naive.now += ns;
                self.governor.balance();
            }
            Step::Release(_) | Step::Cancel(_) => return Vec::new(),
        }
        naive.hand_over()
    }

    fn compare(&mut self, served: Vec<u64>) {
        for number in served {
            let mut ticket = self.tickets.remove(&number).unwrap();
            let grant = ticket.poll().expect("the naive line serves it").unwrap();
            let tenant = self.handles.iter().position(|&h| h == grant.tenant()).unwrap();
            self.held.push((tenant, grant));
        }
        let line = &self.naive.line;
        self.tickets.retain(|number, ticket| {
            let waits = ticket.poll().is_none();
            assert_eq!(waits, line.iter().any(|w| w.number == *number), "waiter {number} waits");
            waits
        });
        let used = |&h: &TenantHandle| {
            let usage = self.governor.usage(h).unwrap();
            usage.used_bytes + usage.set_aside_bytes
        };
        let used: Vec<u64> = self.handles.iter().map(used).collect();
        assert_eq!(used, self.naive.used);
        assert_eq!(self.governor.waiters() as usize, line.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Enqueue, release, cancel and time in any order: the line serves whom the naive one serves,
    /// and the sums agree after every step.
    #[test]
    fn the_line_agrees_with_a_naive_one(
        steps in prop::collection::vec(step(), 1..120),
        capacity in 8..40u64,
        limits in prop::array::uniform4(12..40u64),
    ) {
        let clock = ManualClock::new();
        let governor = governor(capacity, &clock);
        let mut both = Both::new(&governor, &clock, limits);
        for (number, step) in (1..).zip(steps) {
            let served = both.step(number, step);
            both.compare(served);
        }
        drop(both);
        prop_assert_eq!((governor.snapshot().live_bytes, governor.waiters()), (0, 0));
    }
}

// What its users are promised.

/// Four tenants of weights 1 to 4, each with `depth` requests of a size of its own in line; what
/// comes free is handed over `turns` times. Answers the bytes that each was served.
fn shares(depth: [usize; 4], sizes: [u64; 4], turns: usize) -> [u64; 4] {
    let clock = ManualClock::new();
    let governor = governor(64, &clock);
    let handle = |i: usize| governor.register_tenant(tenant(i as u128 + 1, PRIORITIES[i])).unwrap();
    let handles: [TenantHandle; 4] = std::array::from_fn(handle);
    let hold = governor.register_tenant(tenant(9, Priority::Normal)).unwrap();
    let full = governor.request(&fixed(hold, 64)).unwrap();
    let enqueue = |i: usize| governor.enqueue(&fixed(handles[i], sizes[i]), FOREVER).unwrap();
    let mut line: Vec<(usize, Ticket<'_>)> = Vec::new();
    for (tenant, &depth) in depth.iter().enumerate() {
        line.extend((0..depth).map(|_| (tenant, enqueue(tenant))));
    }
    full.release().unwrap();
    let mut running = std::collections::VecDeque::new();
    let mut served = [0; 4];
    let mut hand_overs = 0;
    while hand_overs < turns {
        let mut still = Vec::new();
        for (tenant, mut ticket) in std::mem::take(&mut line) {
            match ticket.poll() {
                Some(grant) => {
                    running.push_back(grant.unwrap());
                    served[tenant] += sizes[tenant];
                    hand_overs += 1;
                    still.push((tenant, enqueue(tenant)));
                }
                None => still.push((tenant, ticket)),
            }
        }
        line = still;
        let oldest = running.pop_front().expect("somebody was served");
        drop(oldest);
    }
    served
}

/// Jain's index of fairness: 1 if all are equal.
fn jain(of: &[f64]) -> f64 {
    let (sum, squares) = (of.iter().sum::<f64>(), of.iter().map(|x| x * x).sum::<f64>());
    sum * sum / (of.len() as f64 * squares)
}

#[test]
fn freed_bytes_are_shared_by_weight() {
    for (depth, sizes) in [([1; 4], [4; 4]), ([8; 4], [4; 4]), ([1, 2, 9, 1], [3; 4])] {
        let served = shares(depth, sizes, 10_000);
        let total: u64 = served.iter().sum();
        let weighted: Vec<f64> =
            served.iter().zip(1..).map(|(&b, weight)| b as f64 / f64::from(weight)).collect();
        println!("{depth:?} {sizes:?}: {served:?}, Jain {:.5}", jain(&weighted));
        assert!(jain(&weighted) >= 0.99, "{served:?}");
        for (&bytes, weight) in served.iter().zip(1..) {
            let share = bytes as f64 / total as f64;
            let due = f64::from(weight) / 10.0;
            assert!((share / due - 1.0).abs() <= 0.02, "weight {weight}: {share} of {due}");
        }
    }
}

#[test]
fn a_flood_of_requests_gains_nothing() {
    let calm = shares([4; 4], [4; 4], 10_000);
    let flooded = shares([400, 4, 4, 4], [4; 4], 10_000);
    println!("calm {calm:?}, flooded {flooded:?}");
    let share = |of: [u64; 4]| of[0] as f64 / of.iter().sum::<u64>() as f64;
    assert!(share(flooded) <= share(calm) * 1.02, "{calm:?} {flooded:?}");
}

#[test]
fn a_large_waiter_delays_no_small_one_and_is_served_once_aged() {
    let clock = ManualClock::new();
    let governor = governor(16 * MIB, &clock);
    let big = governor.register_tenant(tenant(1, Priority::Normal)).unwrap();
    let small = governor.register_tenant(tenant(2, Priority::Normal)).unwrap();
    let mut busy: std::collections::VecDeque<_> =
        (0..16).map(|_| governor.request(&fixed(small, MIB)).unwrap()).collect();
    let mut large = governor.enqueue(&fixed(big, 8 * MIB), FOREVER).unwrap();
    let mut passed = 0;
    let mut waiting = governor.enqueue(&fixed(small, MIB), FOREVER).unwrap();
    for turn in 1.. {
        assert!(turn < 200, "the large one starves");
        busy.pop_front();
        clock.advance_ns(PATIENCE_NS / 20);
        if large.poll().is_some_and(|grant| grant.is_ok()) {
            break;
        }
        if let Some(grant) = waiting.poll() {
            busy.push_back(grant.unwrap());
            waiting = governor.enqueue(&fixed(small, MIB), FOREVER).unwrap();
            passed += 1;
            // Aged: from now on every byte that comes free is set aside.
            assert!(turn <= 21, "passed when it was aged, at turn {turn}");
        }
    }
    println!("{passed} small ones passed before it was aged");
    assert!(passed >= 15);
}

#[test]
fn an_aged_waiter_at_its_own_limit_is_not_passed_by_its_own_tenant() {
    let clock = ManualClock::new();
    let governor = governor(100, &clock);
    let config = TenantConfig {
        limit_bytes: Some(10),
        isolation: Isolation::Hard,
        ..tenant(1, Priority::Normal)
    };
    let one = governor.register_tenant(config).unwrap();
    let first = governor.request(&fixed(one, 5)).unwrap();
    let second = governor.request(&fixed(one, 5)).unwrap();
    let mut large = governor.enqueue(&fixed(one, 8), FOREVER).unwrap();
    let mut small = governor.enqueue(&fixed(one, 2), FOREVER).unwrap();
    clock.advance_ns(PATIENCE_NS);
    drop(first);
    assert!(small.poll().is_none() && large.poll().is_none());
    drop(second);
    let large = large.poll().unwrap().unwrap();
    assert_eq!(small.poll().unwrap().unwrap().bytes() + large.bytes(), 10);
}

/// Groups in groups, as deep as they go, and each has less left than those below it: what the least
/// has is set aside at once.
#[test]
fn an_aged_waiter_far_below_has_what_the_least_of_all_above_it_has() {
    let clock = ManualClock::new();
    let governor = governor(100, &clock);
    let mut numbers = 1..;
    let mut holder = |parent, bytes| {
        let config = tenant(numbers.next().unwrap(), Priority::Normal);
        let holder = governor.register_tenant(TenantConfig { parent, ..config }).unwrap();
        (holder, governor.request(&fixed(holder, bytes)).unwrap())
    };
    let (other, first) = holder(None, 9);
    let last = governor.request(&fixed(other, 1)).unwrap();
    let (mut held, mut parent) = (vec![first], None);
    for depth in 1..=5 {
        let config = GroupConfig { parent, limit_bytes: Some(100), ..GroupConfig::new("") };
        parent = Some(governor.register_group(config).unwrap());
        held.push(holder(parent, if depth < 5 { 10 } else { 40 }).1);
    }
    let below = TenantConfig { parent, ..tenant(16, Priority::Normal) };
    let below = governor.register_tenant(below).unwrap();
    let mut large = governor.enqueue(&fixed(below, 70), FOREVER).unwrap();
    assert_eq!(governor.try_request(&fixed(other, 10)).map(|grant| grant.bytes()), Ok(10));
    clock.advance_ns(PATIENCE_NS);
    drop(last);
    let nothing_left = governor.try_request(&fixed(other, 1)).map(|grant| grant.bytes());
    assert_eq!(denial(nothing_left.unwrap_err()).available_bytes, 0);
    held.pop();
    assert!(large.poll().is_none());
    held.clear();
    assert_eq!(large.poll().unwrap().unwrap().bytes(), 70);
}

#[test]
fn a_guarantee_never_waits() {
    let clock = ManualClock::new();
    let governor = governor(10, &clock);
    let config = TenantConfig { guarantee_bytes: 4, ..tenant(1, Priority::Low) };
    let one = governor.register_tenant(config).unwrap();
    let two = governor.register_tenant(tenant(2, Priority::Critical)).unwrap();
    let _all = governor.request(&fixed(two, 6)).unwrap();
    let mut waiting = governor.enqueue(&fixed(two, 3), FOREVER).unwrap();
    clock.advance_ns(2 * PATIENCE_NS);
    governor.balance();
    assert_eq!(governor.acquire(&fixed(one, 4), Duration::ZERO).unwrap().bytes(), 4);
    assert!(waiting.poll().is_none());
}

#[test]
fn what_can_never_be_granted_is_denied_at_once() {
    let clock = ManualClock::new();
    let governor = governor(10, &clock);
    let one = governor.register_tenant(tenant(1, Priority::Normal)).unwrap();
    let _held = governor.request(&fixed(one, 8)).unwrap();
    let _waiting = governor.enqueue(&fixed(one, 4), FOREVER).unwrap();
    let no = denial(governor.enqueue(&fixed(one, 11), FOREVER).unwrap_err());
    assert_eq!((no.reason, no.waiting_can_help), (DenialReason::Capacity, false));
    assert_eq!(governor.waiters(), 1);
}

#[test]
fn a_deadline_ends_the_wait_and_gives_back_what_was_set_aside() {
    let clock = ManualClock::new();
    let governor = governor(10, &clock);
    let one = governor.register_tenant(tenant(1, Priority::Normal)).unwrap();
    let two = governor.register_tenant(tenant(2, Priority::Normal)).unwrap();
    let held: Vec<_> = (0..2).map(|_| governor.request(&fixed(one, 5)).unwrap()).collect();
    let wait = Duration::from_nanos(3 * PATIENCE_NS);
    let mut large = governor.enqueue(&fixed(two, 8), wait).unwrap();
    clock.advance_ns(2 * PATIENCE_NS);
    let mut held = held.into_iter();
    drop(held.next());
    let mut small = governor.enqueue(&fixed(one, 5), FOREVER).unwrap();
    assert!(large.poll().is_none() && small.poll().is_none());
    let usage = governor.usage(two).unwrap();
    assert_eq!((usage.used_bytes, usage.set_aside_bytes), (0, 5));
    clock.advance_ns(PATIENCE_NS);
    let no = denial(large.poll().unwrap().unwrap_err());
    assert_eq!((no.reason, no.asked_bytes), (DenialReason::WaitedTooLong, 8));
    assert!(large.poll().is_none());
    assert_eq!(small.poll().unwrap().unwrap().bytes(), 5);
    assert_eq!(governor.usage(two).unwrap().set_aside_bytes, 0);
}

#[test]
fn unregistering_answers_those_who_wait() {
    let clock = ManualClock::new();
    let governor = governor(10, &clock);
    let one = governor.register_tenant(tenant(1, Priority::Normal)).unwrap();
    let two = governor.register_tenant(tenant(2, Priority::Normal)).unwrap();
    let held: Vec<_> = (0..2).map(|_| governor.request(&fixed(one, 5)).unwrap()).collect();
    let mut waiting = governor.enqueue(&fixed(two, 8), FOREVER).unwrap();
    clock.advance_ns(2 * PATIENCE_NS);
    let mut held = held.into_iter();
    drop(held.next());
    // What is set aside for a waiter is no grant.
    let usage = governor.usage(two).unwrap();
    assert_eq!((usage.used_bytes, usage.set_aside_bytes), (0, 5));
    governor.unregister_tenant(two, Unregister::IfIdle).unwrap();
    assert!(matches!(waiting.poll(), Some(Err(Refusal::Misuse(Error::Gone { .. })))));
    assert_eq!(governor.snapshot().live_bytes, 5);
    let two = governor.register_tenant(tenant(2, Priority::Normal)).unwrap();
    assert_eq!(governor.request(&fixed(two, 5)).unwrap().bytes(), 5);
}

#[test]
fn places_in_line_run_out_and_come_back() {
    let clock = ManualClock::new();
    let config = GovernorConfig {
        waiters_max: 2,
        pool_pressure: false,
        clock: clock.clone().into(),
        ..GovernorConfig::new(10)
    };
    let governor = Governor::new(config).unwrap();
    let one = governor.register_tenant(tenant(1, Priority::Normal)).unwrap();
    let held = governor.request(&fixed(one, 10)).unwrap();
    let first = governor.enqueue(&fixed(one, 1), FOREVER).unwrap();
    let _second = governor.enqueue(&fixed(one, 1), FOREVER).unwrap();
    let no = denial(governor.enqueue(&fixed(one, 1), FOREVER).unwrap_err());
    assert_eq!((no.reason, no.limit), (DenialReason::WaitersExhausted, 2));
    first.cancel();
    let third = governor.enqueue(&fixed(one, 1), FOREVER).unwrap();
    assert_eq!(third.bytes_before(), Some(2));
    drop(third);
    drop(held);
}

#[test]
fn changes_of_limits_and_capacity_let_waiters_in() {
    let clock = ManualClock::new();
    let governor = governor(10, &clock);
    let config = TenantConfig {
        limit_bytes: Some(4),
        isolation: Isolation::Hard,
        ..tenant(1, Priority::Normal)
    };
    let one = governor.register_tenant(config).unwrap();
    let _held = governor.request(&fixed(one, 4)).unwrap();
    let mut waiting = governor.enqueue(&fixed(one, 3), FOREVER).unwrap();
    governor.set_tenant(one, |config| config.limit_bytes = Some(12)).unwrap();
    let _three = waiting.poll().unwrap().unwrap();
    let mut waiting = governor.enqueue(&fixed(one, 5), FOREVER).unwrap();
    assert!(waiting.poll().is_none());
    governor.set_capacity(12).unwrap();
    assert_eq!(waiting.poll().unwrap().unwrap().bytes(), 5);
}

#[test]
fn what_an_ended_group_or_tenant_had_paid_for_lets_waiters_in() {
    let clock = ManualClock::new();
    let governor = governor(100, &clock);
    let group = |guarantee| GroupConfig { guarantee_bytes: guarantee, ..GroupConfig::new("g") };
    let one = governor.register_tenant(tenant(1, Priority::Normal)).unwrap();
    // A group without tenants, whose guarantee is paid for.
    let empty = governor.register_group(group(60)).unwrap();
    let held = governor.request(&fixed(one, 30)).unwrap();
    let mut waiting = governor.enqueue(&fixed(one, 30), FOREVER).unwrap();
    assert!(waiting.poll().is_none());
    governor.unregister_group(empty).unwrap();
    drop(waiting.poll().unwrap().unwrap());
    drop(held);
    // A tenant that leaves the claim of its guarantee with its group.
    let group = governor.register_group(group(10)).unwrap();
    let inside = |number| TenantConfig { parent: Some(group), ..tenant(number, Priority::Normal) };
    let config = TenantConfig { guarantee_bytes: 10, ..inside(2) };
    let leaving = governor.register_tenant(config).unwrap();
    let staying = governor.register_tenant(inside(3)).unwrap();
    let _five = governor.request(&fixed(staying, 5)).unwrap();
    let _fifty = governor.request(&fixed(one, 50)).unwrap();
    let mut waiting = governor.enqueue(&fixed(one, 40), FOREVER).unwrap();
    assert!(waiting.poll().is_none());
    governor.unregister_tenant(leaving, Unregister::IfIdle).unwrap();
    assert_eq!(waiting.poll().unwrap().unwrap().bytes(), 40);
}

#[test]
fn what_a_group_bought_beyond_the_need_is_not_withheld() {
    let config = GovernorConfig { pool_pressure: false, ..GovernorConfig::new(16 * MIB) };
    let governor = Governor::new(config).unwrap();
    let config = GroupConfig { guarantee_bytes: 4 * MIB, ..GroupConfig::new("g") };
    let group = governor.register_group(config).unwrap();
    let inside = TenantConfig { parent: Some(group), ..tenant(1, Priority::Normal) };
    let inside = governor.register_tenant(inside).unwrap();
    let other = governor.register_tenant(tenant(2, Priority::Normal)).unwrap();
    let _first = governor.request(&fixed(inside, 7 * MIB / 2)).unwrap();
    let held = governor.request(&fixed(other, 6 * MIB)).unwrap();
    let mut waiting = governor.enqueue(&fixed(other, 8 * MIB), FOREVER).unwrap();
    let _second = governor.try_request(&fixed(inside, MIB)).unwrap();
    held.shrink(5 * MIB / 2).unwrap();
    assert_eq!(waiting.poll().unwrap().unwrap().bytes(), 8 * MIB);
}

#[test]
fn who_may_hold_no_more_grants_has_no_bytes_set_aside() {
    let clock = ManualClock::new();
    let governor = governor(10, &clock);
    let config =
        TenantConfig { grants_max: [Some(1), None, None, None], ..tenant(1, Priority::Normal) };
    let counted = governor.register_tenant(config).unwrap();
    let two = governor.register_tenant(tenant(2, Priority::Normal)).unwrap();
    let _only = governor.request(&fixed(counted, 1)).unwrap();
    let held = governor.request(&fixed(two, 9)).unwrap();
    let mut greedy = governor.enqueue(&fixed(counted, 9), FOREVER).unwrap();
    clock.advance_ns(2 * PATIENCE_NS);
    let mut small = governor.enqueue(&fixed(two, 5), FOREVER).unwrap();
    drop(held);
    assert_eq!(small.poll().unwrap().unwrap().bytes(), 5);
    assert!(greedy.poll().is_none());
}

#[test]
fn a_waiter_evicts_what_may_go_although_others_wait() {
    let clock = ManualClock::new();
    let governor = governor(10, &clock);
    governor.on_reclaim(|_| ReclaimAnswer::Freed);
    let low = governor.register_tenant(tenant(1, Priority::Low)).unwrap();
    let high = governor.register_tenant(tenant(2, Priority::High)).unwrap();
    let _model = governor.request(&fixed(low, 5)).unwrap();
    let _cache = governor.request(&Request::new(low, AllocationType::Cache, 5)).unwrap().into_id();
    let _stuck = governor.enqueue(&fixed(low, 10), FOREVER).unwrap();
    assert_eq!(governor.waiters(), 1);
    let mut waiting = governor.enqueue(&fixed(high, 3), FOREVER).unwrap();
    assert_eq!(waiting.poll().unwrap().unwrap().bytes(), 3);
}

// Estimates.

fn patient(capacity_bytes: u64, patience_s: u64, clock: &ManualClock) -> Governor {
    let config = GovernorConfig {
        pool_pressure: false,
        quantum_bytes: 0,
        clock: clock.clone().into(),
        patience_ns: patience_s * SECOND_NS,
        ..GovernorConfig::new(capacity_bytes)
    };
    Governor::new(config).unwrap()
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

/// Memory that comes free by 1 MiB per 100 ms, and twenty who always wait for 1 MiB each: what they
/// are told as they enter, and how long it took. In between come pauses in which nobody waits.
#[test]
fn estimates_come_true_when_bytes_come_free_steadily() {
    const STEP_NS: u64 = SECOND_NS / 10;
    const WAITERS: usize = 20;
    let clock = ManualClock::new();
    let governor = governor(WAITERS as u64 * MIB, &clock);
    let tenants = PRIORITIES.map(|p| governor.register_tenant(tenant(p as u128 + 1, p)).unwrap());
    let enqueue = |i: usize| governor.enqueue(&fixed(tenants[i % 4], MIB), FOREVER).unwrap();
    let mut ratios = Vec::new();
    for round in 0..3 {
        let mut running: std::collections::VecDeque<_> =
            (0..WAITERS).map(|_| governor.request(&fixed(tenants[0], MIB)).unwrap()).collect();
        let mut line = Vec::new();
        for i in 0..WAITERS {
            let ticket = enqueue(i);
            assert_eq!(ticket.estimate().is_none(), round == 0, "round {round}, waiter {i}");
            line.push((clock.now_ns(), ticket.estimate(), ticket));
        }
        let mut entered = 0;
        while !line.is_empty() {
            clock.advance_ns(STEP_NS);
            drop(running.pop_front().expect("whoever is served runs"));
            let mut still = Vec::new();
            for (since, told, mut ticket) in line {
                let Some(grant) = ticket.poll() else {
                    still.push((since, told, ticket));
                    continue;
                };
                running.push_back(grant.unwrap());
                assert_eq!(ticket.estimate(), None, "it waits no longer");
                let real_ns = (clock.now_ns() - since) as f64;
                ratios.extend(told.map(|told| told.as_nanos() as f64 / real_ns));
                if entered < 200 {
                    let ticket = enqueue(entered);
                    entered += 1;
                    still.push((clock.now_ns(), ticket.estimate(), ticket));
                }
            }
            line = still;
        }
        clock.advance_ns(1_000 * SECOND_NS);
    }
    let (count, median) = (ratios.len(), median(ratios));
    println!("{count} estimates, median of estimate / real wait {median:.3}");
    assert!(count > 600 && (0.5..=2.0).contains(&median), "{count} estimates, {median}");
}

#[test]
fn an_estimate_counts_down_and_grows_while_nothing_comes_free() {
    let clock = ManualClock::new();
    let governor = governor(4, &clock);
    let one = governor.register_tenant(tenant(1, Priority::Normal)).unwrap();
    let request = fixed(one, 1);
    let mut running: Vec<_> = (0..4).map(|_| governor.request(&request).unwrap()).collect();
    assert_eq!(governor.estimated_wait(&request), None);
    let mut line: Vec<_> = (0..4).map(|_| governor.enqueue(&request, FOREVER).unwrap()).collect();
    for _ in 0..2 {
        assert_eq!(line[3].estimate(), None);
        clock.advance_ns(SECOND_NS);
        drop(running.pop());
    }
    // Two were served in two seconds; two are left, and whoever comes next is the third.
    let seconds = |n: u64| Some(Duration::from_secs(n));
    assert_eq!((line[2].estimate(), line[3].estimate()), (seconds(1), seconds(2)));
    assert_eq!(governor.estimated_wait(&request), seconds(3));
    clock.advance_ns(2 * SECOND_NS);
    assert_eq!((line[2].estimate(), line[3].estimate()), (seconds(2), seconds(4)));
    drop(line.split_off(2));
    // The two that leave make way, and say nothing of the rate: two bytes in four seconds.
    assert_eq!(governor.estimated_wait(&request), seconds(2));
    drop(running);
    assert_eq!(governor.estimated_wait(&request), seconds(0));
    assert_eq!(governor.estimated_wait(&fixed(one, 5)), None, "it can never be granted");
}

#[test]
fn a_limit_of_its_own_has_no_estimate_and_does_not_spoil_those_of_others() {
    let clock = ManualClock::new();
    let governor = governor(10, &clock);
    let config = TenantConfig {
        limit_bytes: Some(4),
        isolation: Isolation::Hard,
        ..tenant(1, Priority::Normal)
    };
    let limited = governor.register_tenant(config).unwrap();
    let free = governor.register_tenant(tenant(2, Priority::Normal)).unwrap();
    let _full = governor.request(&fixed(limited, 4)).unwrap();
    let mut running: Vec<_> = (0..6).map(|_| governor.request(&fixed(free, 1)).unwrap()).collect();
    let stuck = governor.enqueue(&fixed(limited, 4), FOREVER).unwrap();
    // An hour in which only the limited one waits.
    clock.advance_ns(3_600 * SECOND_NS);
    governor.balance();
    let line: Vec<_> =
        (0..5).map(|_| governor.enqueue(&fixed(free, 1), FOREVER).unwrap()).collect();
    for _ in 0..2 {
        clock.advance_ns(SECOND_NS);
        drop(running.pop());
    }
    assert_eq!(line[4].estimate(), Some(Duration::from_secs(3)));
    assert_eq!(stuck.estimate(), None);
    assert_eq!(governor.estimated_wait(&fixed(limited, 1)), None);
}

#[test]
fn an_estimate_leaves_out_who_gives_up_before_and_who_is_passed() {
    let clock = ManualClock::new();
    let governor = patient(40, 50, &clock);
    let one = governor.register_tenant(tenant(1, Priority::Normal)).unwrap();
    let mut running: Vec<_> = (0..40).map(|_| governor.request(&fixed(one, 1)).unwrap()).collect();
    let enqueue = |bytes, seconds| {
        governor.enqueue(&fixed(one, bytes), Duration::from_secs(seconds)).unwrap()
    };
    let told = |ticket: &Ticket<'_>| ticket.estimate().unwrap().as_secs();
    let _line: Vec<_> = (0..8).map(|_| enqueue(1, 1_000)).collect();
    for _ in 0..2 {
        clock.advance_ns(SECOND_NS);
        drop(running.pop());
    }
    // A byte a second, and six are due: of three who wait for 8 s only two are served by then.
    let _hasty: Vec<_> = (0..3).map(|_| enqueue(1, 8)).collect();
    let patient = enqueue(1, 1_000);
    assert_eq!(told(&patient), 9);
    // One byte comes free before twenty do.
    let large = enqueue(20, 1_000);
    let small = enqueue(1, 1_000);
    assert_eq!((told(&large), told(&small)), (29, 10));
    // Once the large one is aged, what comes free is for it.
    clock.advance_ns(50 * SECOND_NS);
    governor.balance();
    assert!(told(&small) > told(&large));
}

/// What is set aside for the senior is not waited for once more, by it or by those behind it.
#[test]
fn an_estimate_counts_what_is_set_aside() {
    let clock = ManualClock::new();
    let governor = patient(40, 3, &clock);
    let one = governor.register_tenant(tenant(1, Priority::Normal)).unwrap();
    let mut running: Vec<_> = (0..40).map(|_| governor.request(&fixed(one, 1)).unwrap()).collect();
    let enqueue = |bytes| governor.enqueue(&fixed(one, bytes), FOREVER).unwrap();
    let _served = [enqueue(1), enqueue(1)];
    for _ in 0..2 {
        clock.advance_ns(SECOND_NS);
        drop(running.pop());
    }
    let large = enqueue(20);
    clock.advance_ns(4 * SECOND_NS);
    governor.balance();
    let small = enqueue(1);
    let told = |ticket: &Ticket<'_>| ticket.estimate().unwrap().as_secs();
    // Two bytes in six seconds.
    assert_eq!((told(&large), told(&small)), (60, 63));
    running.truncate(30);
    assert_eq!(governor.usage(one).unwrap().set_aside_bytes, 8);
    assert_eq!((told(&large), told(&small)), (36, 39));
}

/// Who is short of much more than what comes free at once is passed, and does not count.
#[test]
fn an_estimate_leaves_out_who_is_larger_by_half_of_what_comes_free_at_once() {
    let clock = ManualClock::new();
    let governor = patient(100, 1_000, &clock);
    let one = governor.register_tenant(tenant(1, Priority::Normal)).unwrap();
    let mut running: Vec<_> = (0..10).map(|_| governor.request(&fixed(one, 10)).unwrap()).collect();
    let enqueue = |bytes| governor.enqueue(&fixed(one, bytes), FOREVER).unwrap();
    let _served = [enqueue(10), enqueue(10)];
    for _ in 0..2 {
        clock.advance_ns(10 * SECOND_NS);
        drop(running.pop());
    }
    // Ten bytes in ten seconds, so that five bytes more are too many.
    for (first, behind_it) in [(4, 5), (6, 7), (7, 1), (20, 1)] {
        let _first = enqueue(first);
        let told = enqueue(1).estimate().unwrap().as_secs();
        assert_eq!(told, behind_it, "behind one of {first}");
    }
}

#[test]
fn a_blocked_thread_wakes_with_its_grant() {
    let governor = Governor::new(GovernorConfig::new(10)).unwrap();
    let one = governor.register_tenant(tenant(1, Priority::Normal)).unwrap();
    let held = governor.request(&fixed(one, 10)).unwrap();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| governor.acquire(&fixed(one, 6), FOREVER).map(|g| g.bytes()));
        while governor.waiters() == 0 {
            std::thread::yield_now();
        }
        drop(held);
        assert_eq!(waiter.join().unwrap(), Ok(6));
    });
    assert_eq!(governor.snapshot().live_bytes, 0);
}

#[test]
fn a_future_is_woken_and_may_be_dropped_at_any_point() {
    let governor = Arc::new(Governor::new(GovernorConfig::new(10)).unwrap());
    let one = governor.register_tenant(tenant(1, Priority::Normal)).unwrap();
    let woken = Arc::new(Count(AtomicU64::new(0)));
    let waker = Waker::from(woken.clone());
    let mut context = Context::from_waker(&waker);
    // 0: dropped before it is polled; 1: while it waits; 2: once its grant is assigned.
    for when in 0..4 {
        let held = governor.request(&fixed(one, 10)).unwrap();
        let mut ticket = governor.enqueue_owned(&fixed(one, 4), FOREVER).unwrap();
        if when > 0 {
            assert!(Future::poll(std::pin::Pin::new(&mut ticket), &mut context).is_pending());
        }
        if when < 2 {
            drop(ticket);
            drop(held);
        } else {
            let before = woken.0.load(Ordering::SeqCst);
            drop(held);
            assert_eq!(woken.0.load(Ordering::SeqCst), before + 1);
            if when == 2 {
                drop(ticket);
            } else {
                match Future::poll(std::pin::Pin::new(&mut ticket), &mut context) {
                    Poll::Ready(grant) => assert_eq!(grant.unwrap().bytes(), 4),
                    Poll::Pending => panic!("woken without its grant"),
                }
            }
        }
        assert_eq!((governor.snapshot().live_bytes, governor.waiters()), (0, 0));
    }
}

struct Count(AtomicU64);

impl std::task::Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Threads that acquire, release, give up and come too late, all at once, in a memory for a third
/// of them: nobody is forgotten, and no byte is lost.
#[test]
fn a_crowd_of_waiters_loses_nothing() {
    const THREADS: u64 = 8;
    const ROUNDS: u64 = 400;
    let config = GovernorConfig { patience_ns: SECOND_NS / 1_000, ..GovernorConfig::new(30) };
    let governor = Governor::new(config).unwrap();
    let tenants: Vec<_> = (0..4)
        .map(|i| governor.register_tenant(tenant(i as u128 + 1, PRIORITIES[i])).unwrap())
        .collect();
    let (granted, late) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (governor, tenants, granted, late) = (&governor, &tenants, &granted, &late);
            scope.spawn(move || {
                let mut seed = thread + 1;
                for _ in 0..ROUNDS {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let random = seed >> 33;
                    let request = fixed(tenants[(random % 4) as usize], 1 + random / 4 % 12);
                    let wait = match random / 64 % 4 {
                        0 => Duration::from_micros(random % 50),
                        _ => FOREVER,
                    };
                    let mut ticket = governor.enqueue(&request, wait).unwrap();
                    if random / 256 % 8 == 0 {
                        ticket.cancel();
                        continue;
                    }
                    match ticket.wait(FOREVER) {
                        Some(Ok(grant)) => {
                            granted.fetch_add(1, Ordering::Relaxed);
                            if random / 4_096 % 2 == 0 {
                                std::thread::yield_now();
                            }
                            drop(grant);
                        }
                        Some(Err(refusal)) => {
                            assert_eq!(denial(refusal).reason, DenialReason::WaitedTooLong);
                            late.fetch_add(1, Ordering::Relaxed);
                        }
                        None => panic!("forgotten"),
                    }
                }
            });
        }
    });
    let (granted, late) = (granted.load(Ordering::Relaxed), late.load(Ordering::Relaxed));
    println!("{granted} granted, {late} too late");
    assert_eq!((governor.snapshot().live_bytes, governor.waiters()), (0, 0));
    assert!(granted > THREADS * ROUNDS / 4);
}

#[test]
fn a_withdrawn_request_buys_nobody_a_place_before_others() {
    let clock = ManualClock::new();
    let config = GovernorConfig {
        tenants_max: 16,
        grants_max: 4_096,
        quantum_bytes: 0,
        pool_pressure: false,
        patience_ns: u64::MAX,
        clock: clock.clone().into(),
        ..GovernorConfig::new(10_000)
    };
    let governor = Governor::new(config).unwrap();
    let [holder, greedy, honest] =
        [1, 2, 3].map(|n| governor.register_tenant(tenant(n, Priority::Normal)).unwrap());
    let mut held: Vec<_> =
        (0..999).map(|_| governor.request(&fixed(holder, 10)).unwrap()).collect();
    // Ten bytes are free. A large request that does not fit, a small one that passes it and is
    // served at once, and more behind them.
    let large = governor.enqueue(&fixed(greedy, 9_000), FOREVER).unwrap();
    let first = governor.enqueue(&fixed(greedy, 10), FOREVER).unwrap();
    assert!(first.is_granted());
    let mine: Vec<_> =
        (0..20).map(|_| governor.enqueue(&fixed(greedy, 10), FOREVER).unwrap()).collect();
    drop(large);
    let theirs: Vec<_> =
        (0..20).map(|_| governor.enqueue(&fixed(honest, 10), FOREVER).unwrap()).collect();
    for _ in 0..20 {
        held.pop();
    }
    let granted = |of: &[Ticket<'_>]| of.iter().filter(|ticket| ticket.is_granted()).count();
    let got = (granted(&mine), granted(&theirs));
    assert_eq!(got.0 + got.1, 20);
    assert!(got.1 >= 8, "equal weights, and of 20 turns (greedy, honest) got {got:?}");
}

#[test]
fn who_asks_for_much_and_gives_up_again_does_not_spoil_estimates() {
    let clock = ManualClock::new();
    let config = GovernorConfig {
        tenants_max: 16,
        grants_max: 4_096,
        quantum_bytes: 0,
        pool_pressure: false,
        patience_ns: u64::MAX,
        clock: clock.clone().into(),
        ..GovernorConfig::new(1_000)
    };
    let governor = Governor::new(config).unwrap();
    let [holder, honest, other] =
        [1, 2, 3].map(|n| governor.register_tenant(tenant(n, Priority::Normal)).unwrap());
    let mut held: Vec<_> =
        (0..100).map(|_| governor.request(&fixed(holder, 10)).unwrap()).collect();
    let line: Vec<_> =
        (0..20).map(|_| governor.enqueue(&fixed(honest, 10), FOREVER).unwrap()).collect();
    // One of them is served every second.
    for _ in 0..10 {
        clock.advance_ns(SECOND_NS);
        held.pop();
    }
    let told = || line[19].estimate().unwrap().as_secs();
    let before = told();
    assert_eq!(before, 10);
    // Behind all of them somebody asks for nearly everything, and gives up after 10 ms.
    for _ in 0..50 {
        let large = governor.enqueue(&fixed(other, 990), FOREVER).unwrap();
        clock.advance_ns(SECOND_NS / 100);
        drop(large);
    }
    let after = told();
    assert!(after >= before, "{before} s before, {after} s after, and nothing came free since");
}

/// Whether a large request is served although small ones come all the time, while somebody else
/// waits in a group that is full.
fn large_is_served(somebody_waits_in_a_full_group: bool) -> bool {
    let clock = ManualClock::new();
    let governor = governor(100, &clock);
    let group = GroupConfig { limit_bytes: Some(10), ..GroupConfig::new("full") };
    let group = governor.register_group(group).unwrap();
    let inside = TenantConfig { parent: Some(group), ..tenant(1, Priority::Normal) };
    let inside = governor.register_tenant(inside).unwrap();
    let [small, large] =
        [2, 3].map(|n| governor.register_tenant(tenant(n, Priority::Normal)).unwrap());
    let _full = governor.request(&fixed(inside, 10)).unwrap();
    let mut held: std::collections::VecDeque<_> =
        (0..9).map(|_| governor.request(&fixed(small, 10)).unwrap()).collect();
    let _stuck = somebody_waits_in_a_full_group
        .then(|| governor.enqueue(&fixed(inside, 5), FOREVER).unwrap());
    clock.advance_ns(1);
    let waits = governor.enqueue(&fixed(large, 40), FOREVER).unwrap();
    for _ in 0..200 {
        clock.advance_ns(PATIENCE_NS);
        let mut next = governor.enqueue(&fixed(small, 10), FOREVER).unwrap();
        held.pop_front();
        if waits.is_granted() {
            return true;
        }
        held.extend(next.poll().map(Result::unwrap));
    }
    false
}

#[test]
fn who_waits_in_a_full_group_does_not_keep_others_from_ageing() {
    assert!(large_is_served(false));
    assert!(large_is_served(true), "passed over for 200 times its patience");
}
