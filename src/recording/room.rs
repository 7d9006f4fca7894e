//! C1 where calls end early: whatever becomes of a call, at rest every record that is not to come
//! has its room back, and no record was pushed without.

use crate::core::events::Event;
use crate::core::ring::{Cursor, Read};
use crate::os::ManualClock;
use crate::*;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

const CAPACITY: u64 = 1_000;
const RING: u64 = AuditMode::EVENTS_MIN as u64;

fn governor(clock: &ManualClock, audit_calls: bool) -> Arc<Governor> {
    let config = GovernorConfig {
        audit: AuditMode::FailClosed,
        audit_calls,
        tenants_max: 8,
        grants_max: 512,
        quantum_bytes: 0,
        events_max: RING as u32,
        pool_pressure: false,
        clock: clock.clone().into(),
        ..GovernorConfig::new(CAPACITY)
    };
    Arc::new(Governor::new(config).unwrap())
}

fn tenant(governor: &Governor, number: u128, limit_bytes: Option<u64>) -> TenantHandle {
    let config = TenantConfig { limit_bytes, ..TenantConfig::new(TenantId::from_u128(number), "") };
    governor.register_tenant(config).unwrap()
}

fn cache(of: TenantHandle, bytes: u64) -> Request {
    Request::new(of, AllocationType::Cache, bytes)
}

/// Reads everything, and gives its room back.
fn read(governor: &Governor, cursor: &mut Cursor) -> Vec<Event> {
    let mut events = Vec::new();
    loop {
        match governor.core.events.read(cursor) {
            Read::Event(event) => events.push(event),
            Read::Lost(count) => panic!("{count} lost"),
            Read::Empty => break,
        }
        governor.core.events.give_room(1);
    }
    events
}

/// C1, with so many grants that are live.
#[track_caller]
fn is_whole(governor: &Governor, cursor: &mut Cursor, live: u64) {
    read(governor, cursor);
    assert_eq!(governor.core.events.free_room(), Some(RING - live));
}

#[test]
fn a_batch_takes_room_for_what_it_is_meant_for() {
    let governor = governor(&ManualClock::new(), true);
    let of = tenant(&governor, 1, Some(100));
    let meant = cache(of, 10).intent(Intent::default());
    let granted = governor.request_all(&[meant, cache(of, 10), meant]).unwrap();
    assert!(governor.request_all(&[meant, cache(of, 99)]).is_err());
    is_whole(&governor, &mut Cursor::default(), granted.len() as u64);
}

/// Calls something once, when it is woken.
struct Call(Mutex<Option<Box<dyn FnOnce() + Send>>>);

impl Wake for Call {
    fn wake(self: Arc<Self>) {
        let call = self.0.lock().unwrap().take();
        call.into_iter().for_each(|call| call());
    }
}

/// More waiters than one hand-over can name are decided at once, so whoever is woken first looks at
/// the line in turn, and wakes one who ends what the first was just about.
#[test]
fn a_growth_whose_grant_ends_while_others_are_woken_keeps_no_room() {
    const WAITERS: usize = crate::core::wait::DECIDED_MAX + 1;
    let clock = ManualClock::new();
    let governor = governor(&clock, false);
    let [grower, waits] = [Some(100), None].map(|limit| {
        let number = limit.unwrap_or(1);
        tenant(&governor, number.into(), limit)
    });
    let grant = governor.request(&cache(grower, 100)).unwrap().into_id();
    let (grows, ends) = (governor.clone(), governor.clone());
    let answer = Arc::new(Mutex::new(None));
    let told = answer.clone();
    let first = move || *told.lock().unwrap() = Some(grows.grow(grower, grant, 10));
    let last = move || {
        ends.unregister_tenant(grower, Unregister::Force).unwrap();
        let next = tenant(&ends, 7, None);
        assert_eq!(next.index(), grower.index(), "it has its slot");
    };
    let mut tickets: Vec<Ticket<'_>> = (0..WAITERS)
        .map(|_| governor.enqueue(&cache(waits, CAPACITY), Duration::from_nanos(10)).unwrap())
        .collect();
    let mut calls: Vec<Option<Box<dyn FnOnce() + Send>>> = (0..WAITERS).map(|_| None).collect();
    calls[0] = Some(Box::new(first));
    calls[WAITERS - 1] = Some(Box::new(last));
    for (ticket, call) in tickets.iter_mut().zip(calls) {
        let waker = Waker::from(Arc::new(Call(Mutex::new(call))));
        assert!(Pin::new(ticket).poll(&mut Context::from_waker(&waker)).is_pending());
    }
    clock.advance_ns(10);
    governor.report_pressure(Pressure::Normal);
    let answer = answer.lock().unwrap().take().expect("the first was woken");
    assert!(matches!(answer, Err(Refusal::Misuse(Error::Gone { .. }))), "{answer:?}");
    drop(tickets);
    is_whole(&governor, &mut Cursor::default(), 0);
}

#[test]
fn who_uses_the_handle_of_a_former_tenant_is_not_taken_for_the_present_one() {
    let governor = governor(&ManualClock::new(), true);
    let former = tenant(&governor, 1, None);
    governor.unregister_tenant(former, Unregister::IfIdle).unwrap();
    let present = tenant(&governor, 2, None);
    assert_eq!(present.index(), former.index());
    let held = governor.request(&cache(present, CAPACITY)).unwrap().into_id();
    let mut cursor = Cursor::default();
    read(&governor, &mut cursor);
    let is_gone = |refusal: Refusal| matches!(refusal, Refusal::Misuse(Error::Gone { .. }));
    let stale = cache(former, 10);
    assert!(governor.request(&stale).is_err_and(is_gone));
    assert!(governor.request_all(&[cache(present, 1), stale]).is_err_and(is_gone));
    assert!(governor.enqueue(&stale, Duration::ZERO).is_err_and(is_gone));
    assert!(matches!(governor.evict_for(&stale), Err(Error::Gone { .. })));
    assert_eq!(governor.usage(present).unwrap().used_bytes, CAPACITY, "nothing is evicted for it");
    assert_eq!(read(&governor, &mut cursor), [], "nor is anything said of it");
    governor.release(present, held).unwrap();
    is_whole(&governor, &mut cursor, 0);
}

#[test]
fn a_call_that_has_no_room_is_counted() {
    let governor = governor(&ManualClock::new(), true);
    let of = tenant(&governor, 1, None);
    while governor.core.events.free_room() != Some(0) {
        governor.report_pressure(Pressure::Normal);
    }
    assert_eq!(governor.core.events.take_lost(), 0);
    governor.evict_for(&cache(of, 1)).unwrap();
    assert_eq!(governor.core.events.take_lost(), 1);
}
