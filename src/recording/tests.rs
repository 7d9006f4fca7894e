//! Threads that use every verb, and a reader who adds up the records: E5, E6 and C1 hold for it,
//! and what it adds up to in the end is what the governor says.

use crate::core::ring::{Cursor, Read};
use crate::*;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

const CAPACITY: u64 = 1_000;
const RING: u64 = AuditMode::EVENTS_MIN as u64;

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }
}

/// What a reader adds up.
#[derive(Default)]
struct Sums {
    cursor: Cursor,
    records: u64,
    lost: u64,
    total: u64,
    peak: u64,
    grants: HashMap<u64, u64>,
    queued: HashMap<u64, u64>,
}

impl Sums {
    /// Reads on, and gives back the room of what was read; says whether there was anything.
    fn read_on(&mut self, governor: &Governor) -> bool {
        let events = &governor.core.events;
        let mut any = false;
        loop {
            match events.read(&mut self.cursor) {
                Read::Event(event) => self.add(&event),
                Read::Lost(count) => self.lost += count,
                Read::Empty => return any,
            }
            any = true;
            events.give_room(1);
        }
    }

    fn add(&mut self, event: &Event) {
        self.records += 1;
        let Event { kind, grant, bytes, .. } = *event;
        match kind {
            EventKind::Granted => {
                assert_eq!(self.grants.insert(grant, bytes), None, "granted once: {event:?}");
                self.total += bytes;
            }
            EventKind::Grown => {
                *self.grants.get_mut(&grant).expect("of a live grant") += bytes;
                self.total += bytes;
            }
            EventKind::Shrunk => {
                let held = self.grants.get_mut(&grant).expect("of a live grant");
                assert!(*held > bytes);
                *held -= bytes;
                self.total -= bytes;
            }
            EventKind::Released | EventKind::Evicted | EventKind::ReservationExpired => {
                let held = self.grants.remove(&grant);
                assert_eq!(held, Some(bytes), "a live grant ends once: {event:?}");
                self.total -= bytes;
            }
            EventKind::Queued => {
                assert_eq!(self.queued.insert(grant, bytes), None);
            }
            EventKind::Taken | EventKind::Withdrawn => {
                assert_eq!(self.queued.remove(&grant), Some(bytes), "{event:?}");
            }
            EventKind::Denied if grant != 0 => {
                assert_eq!(self.queued.remove(&grant), Some(bytes), "{event:?}");
            }
            _ => {}
        }
        self.peak = self.peak.max(self.total);
        assert!(self.total <= CAPACITY, "E5: {} after {event:?}", self.total);
    }
}

fn governor(audit: AuditMode, audit_calls: bool) -> Arc<Governor> {
    let config = GovernorConfig {
        audit,
        audit_calls,
        events_max: AuditMode::EVENTS_MIN,
        tenants_max: 64,
        grants_max: 512,
        quantum_bytes: 16,
        busy_cooldown_ns: 1,
        promise_ns: 1_000_000,
        patience_ns: 100_000,
        ..GovernorConfig::new(CAPACITY)
    };
    Arc::new(Governor::new(config).unwrap())
}

fn tenant(governor: &Governor, number: u128) -> TenantHandle {
    let config = TenantConfig {
        guarantee_bytes: 20,
        limit_bytes: Some(700),
        ..TenantConfig::new(TenantId::from_u128(number), number.to_string())
    };
    governor.register_tenant(config).unwrap()
}

/// One thread's turns: every verb, on tenants that others use as well.
fn play(governor: &Arc<Governor>, tenants: &[TenantHandle], seed: u64, turns: u32) {
    let mut dice = Random(seed);
    let mut held: Vec<(TenantHandle, GrantId)> = Vec::new();
    let mut tickets = Vec::new();
    for turn in 0..turns {
        let of = tenants[dice.below(tenants.len() as u64) as usize];
        let kind = AllocationType::ALL[dice.below(4) as usize];
        let request = Request::new(of, kind, 1 + dice.below(120)).key(dice.below(9));
        let meant = Intent { hold_ns: dice.below(9), ..Intent::default() };
        let request = if turn % 3 == 0 { request.intent(meant) } else { request };
        let grant = (!held.is_empty()).then(|| dice.below(held.len() as u64) as usize);
        match (dice.below(14), grant) {
            (0, _) => held.extend(governor.try_request(&request).ok().map(|g| (of, g.into_id()))),
            (1, _) => held.extend(governor.request(&request).ok().map(|g| (of, g.into_id()))),
            (2, _) => drop(governor.request_all(&[request, request.pinned(true)])),
            (3, _) => drop(governor.reserve(&request, Duration::from_nanos(dice.below(9_000)))),
            (4, _) => tickets.extend(governor.enqueue(&request, Duration::from_micros(50))),
            (5, _) if !tickets.is_empty() => {
                let at = dice.below(tickets.len() as u64) as usize;
                let mut ticket: Ticket<'_> = tickets.swap_remove(at);
                if dice.below(2) == 0 {
                    let grant = ticket.poll().and_then(Result::ok);
                    held.extend(grant.map(|grant| (grant.tenant(), grant.into_id())));
                }
            }
            (6, Some(at)) => drop(governor.grow(held[at].0, held[at].1, 1 + dice.below(30))),
            (7, Some(at)) => drop(governor.grow_evicting(held[at].0, held[at].1, 5)),
            (8, Some(at)) => drop(governor.shrink(held[at].0, held[at].1, 1 + dice.below(9))),
            (9, Some(at)) => drop(governor.pin(held[at].0, held[at].1)),
            (10, Some(at)) => drop(governor.touch(held[at].0, held[at].1)),
            (11, _) if turn % 16 == 0 => drop(governor.balance()),
            (12, _) if turn % 64 == 0 => leave(governor, seed * 1_000 + u64::from(turn)),
            (_, Some(at)) => {
                let (of, grant) = held.swap_remove(at);
                while matches!(governor.release(of, grant), Err(Error::Busy(_))) {}
            }
            _ => {}
        }
    }
    for (of, grant) in held {
        while matches!(governor.release(of, grant), Err(Error::Busy(_))) {}
    }
}

/// A tenant that comes, takes something, and is sent away by force.
fn leave(governor: &Governor, number: u64) {
    let config = TenantConfig::new(TenantId::from_u128(number.into()), "short");
    let Ok(of) = governor.register_tenant(config) else { return };
    let request = Request::new(of, AllocationType::Inference, 9);
    let _held: Vec<_> = (0..3).filter_map(|_| governor.request(&request).ok()).collect();
    // Without room for its record it stays, as it would in production.
    let _ = governor.unregister_tenant(of, Unregister::Force);
}

fn run(audit: AuditMode, calls: bool, threads: u64, turns: u32) -> (Arc<Governor>, Sums) {
    let governor = governor(audit, calls);
    let tenants: Vec<_> = (1..=4).map(|number| tenant(&governor, number)).collect();
    governor.on_reclaim(|victim| match victim.grant.as_u64() % 7 {
        0 => ReclaimAnswer::Busy,
        1 => ReclaimAnswer::Deferred,
        _ => ReclaimAnswer::Freed,
    });
    let mut sums = Sums::default();
    std::thread::scope(|scope| {
        let (governor, tenants) = (&governor, &tenants);
        let workers: Vec<_> = (1..=threads)
            .map(|seed| scope.spawn(move || play(governor, tenants, seed, turns)))
            .collect();
        while workers.iter().any(|worker| !worker.is_finished()) {
            sums.read_on(governor);
        }
    });
    while sums.read_on(&governor) {}
    (governor, sums)
}

#[test]
fn a_reader_adds_up_to_what_is_in_use_and_never_to_more() {
    for calls in [false, true] {
        let (governor, sums) = run(AuditMode::FailClosed, calls, 3, 4_000);
        assert_eq!(sums.lost, 0, "while room is kept nothing is lost");
        assert!(sums.records > 2_000 && sums.peak > CAPACITY / 2, "{}", sums.records);
        let snapshot = governor.snapshot();
        assert_eq!(sums.total, snapshot.live_bytes);
        assert_eq!(sums.grants.len() as u64, live_grants(&governor));
        assert!(sums.queued.is_empty(), "{:?}", sums.queued);
        let events = &governor.core.events;
        let promised = sums.grants.len() as u64;
        assert_eq!(events.free_room(), Some(RING - promised), "C1 at rest");
    }
}

fn live_grants(governor: &Governor) -> u64 {
    governor.leak_report().map_or(0, |report| report.grants)
}

#[test]
fn without_a_reader_everything_is_denied_and_everything_can_be_returned() {
    let governor = governor(AuditMode::FailClosed, false);
    let of = tenant(&governor, 1);
    let request = Request::new(of, AllocationType::Inference, 1);
    let mut grants = Vec::new();
    let refusal = loop {
        match governor.request(&request) {
            Ok(grant) if grants.len() < 100 => grants.push(grant),
            Ok(_) => {}
            Err(refusal) => break refusal,
        }
    };
    let denial = *refusal.denial().expect("a denial");
    assert_eq!((denial.reason, denial.waiting_can_help), (DenialReason::AuditFull, true));
    let (last, first) = (grants.pop().unwrap(), grants.pop().unwrap());
    // A request needs room for two records: one may be left.
    let growth = (0..2).find_map(|_| first.grow(1).err()).unwrap();
    assert_eq!(growth.denial().map(|denial| denial.reason), Some(DenialReason::AuditFull));
    assert_eq!(governor.shrink(of, first.id(), 1), Err(Error::AuditFull));
    let other = TenantConfig::new(TenantId::from_u128(2), "other");
    assert_eq!(governor.register_tenant(other).unwrap_err(), Error::AuditFull);
    assert_eq!(governor.unregister_tenant(of, Unregister::Force), Err(Error::AuditFull));
    drop((last, first, grants));
    assert_eq!(governor.snapshot().live_bytes, 0, "whoever holds something can return it");
    assert!(governor.request(&request).is_err(), "that makes no room");
    let [refused, bytes] = governor.core.events.take_refused();
    assert_eq!((refused, bytes), (3, 3));
    let mut sums = Sums::default();
    while sums.read_on(&governor) {}
    assert_eq!((sums.lost, sums.total), (0, 0));
    assert!(governor.request(&request).is_ok());
}

#[test]
fn where_records_may_be_lost_nothing_is_ever_denied_for_them() {
    let governor = governor(AuditMode::DropAndCount, true);
    let of = tenant(&governor, 1);
    let request = Request::new(of, AllocationType::Inference, 1);
    for _ in 0..RING {
        governor.request(&request).unwrap().touch().unwrap();
    }
    let mut cursor = Cursor::default();
    let first = governor.core.events.read(&mut cursor);
    // The registration; then asked, granted, touched and released each time.
    assert_eq!(first, Read::Lost(1 + 4 * RING - RING));
    assert_eq!(governor.core.events.free_room(), None);
}

#[test]
fn a_number_of_events_that_is_no_power_of_two_is_rounded_up() {
    let config = GovernorConfig { events_max: 1_000, ..GovernorConfig::new(1) };
    assert_eq!(Governor::new(config).unwrap().core.events.capacity(), 1_024);
}
