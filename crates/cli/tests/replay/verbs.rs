//! Random calls of every verb of a governor, by one thread: the recording comes out to the bit.

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use allotment::audit::{AuditLog, Body, JournalOptions, Key, Reader, SyncPolicy, verify};
use allotment::os::ManualClock;
use allotment::*;

use crate::command::Folder;
use crate::recordings::{Dice, again, to_the_bit};

/// Calls of one recording.
const TURNS: u64 = 1_500;
/// Records that have room.
const RING: u32 = 1 << 13;
/// Recordings.
const SEEDS: u64 = 30;
const CAPACITY: u64 = 1_000;

/// Who calls.
struct Caller {
    dice: Dice,
    governor: Arc<Governor>,
    clock: ManualClock,
    tenants: Vec<TenantHandle>,
    /// Handles of tenants that are gone, too.
    all: Vec<TenantHandle>,
    groups: Vec<GroupHandle>,
    held: Vec<(TenantHandle, GrantId)>,
    /// Ids that were given back: nobody should use them any more.
    over: VecDeque<(TenantHandle, GrantId)>,
    tickets: Vec<OwnedTicket>,
    numbers: u128,
}

impl Caller {
    fn new(seed: u64, audit: AuditMode) -> Self {
        let mut dice = Dice(seed * 2_654_435_761 + 1);
        let clock = ManualClock::new();
        let config = GovernorConfig {
            audit,
            audit_calls: true,
            clock: clock.clone().into(),
            tenants_max: 6,
            groups_max: 3,
            grants_max: 16 * (8 + dice.below(24)) as u32,
            events_max: RING,
            waiters_max: 1 + dice.below(12) as u32,
            ghost_keys_max: 64,
            quantum_bytes: [0, 16, 100][dice.below(3) as usize],
            headroom_bytes: [0, 0, 20][dice.below(3) as usize],
            victims_max: [1, 3, 1_000][dice.below(3) as usize],
            patience_ns: 1 + dice.below(400),
            busy_cooldown_ns: dice.below(300),
            promise_ns: 1 + dice.below(600),
            freed_shows_ns: dice.below(300),
            idle_claim_ns: [u64::MAX, 100, 500][dice.below(3) as usize],
            inactive_limit_ns: [u64::MAX, 200][dice.below(2) as usize],
            pool_pressure: dice.below(2) == 0,
            ..GovernorConfig::new(CAPACITY)
        };
        let governor = Arc::new(Governor::new(config).unwrap());
        let (tenants, all, groups) = (Vec::new(), Vec::new(), Vec::new());
        let (held, over, tickets) = (Vec::new(), VecDeque::new(), Vec::new());
        let numbers = 0;
        Self { dice, governor, clock, tenants, all, groups, held, over, tickets, numbers }
    }

    fn below(&mut self, n: u64) -> u64 {
        self.dice.below(n)
    }

    fn one_of<T: Copy>(&mut self, of: &[T]) -> Option<T> {
        (!of.is_empty()).then(|| of[self.below(of.len() as u64) as usize])
    }

    fn tenant_config(&mut self) -> TenantConfig {
        self.numbers += 1;
        let id = TenantId::from_u128(self.numbers);
        let mut config = TenantConfig::new(id, format!("tenant {}", self.numbers));
        self.shuffle(&mut config);
        let groups = self.groups.clone();
        config.parent = if self.below(2) == 0 { self.one_of(&groups) } else { None };
        config
    }

    fn shuffle(&mut self, config: &mut TenantConfig) {
        config.guarantee_bytes = [0, 0, 30, 80][self.below(4) as usize];
        config.limit_bytes = [None, Some(200), Some(500)][self.below(3) as usize];
        config.burst_bytes = config.limit_bytes.map(|limit| limit + self.below(2) * 100);
        config.priority = Priority::ALL[self.below(4) as usize];
        config.isolation =
            [Isolation::None, Isolation::Soft, Isolation::Hard][self.below(3) as usize];
        config.policy = [Policy::Lru, Policy::Lfu, Policy::Ttl, Policy::Size, Policy::Hybrid]
            [self.below(5) as usize];
        let kind = self.below(4) as usize;
        config.grants_max = [None; 4];
        config.grants_max[kind] = [None, Some(3)][self.below(2) as usize];
        let rate = RateLimit { interval_ns: 40, tolerance_ns: 120 };
        config.rate = (self.below(5) == 0).then_some(rate);
    }

    fn request(&mut self) -> Option<(TenantHandle, Request)> {
        let tenants = self.tenants.clone();
        let all = self.all.clone();
        let of = if self.below(30) == 0 { self.one_of(&all) } else { self.one_of(&tenants) }?;
        let kind = AllocationType::ALL[self.below(4) as usize];
        let bytes = 1 + if self.below(8) == 0 { self.below(600) } else { self.below(120) };
        let mut request = Request::new(of, kind, bytes)
            .key(self.below(9))
            .cost(self.below(5) as u32)
            .pinned(self.below(12) == 0)
            .evictable(self.below(2) == 0);
        if self.below(6) == 0 {
            request = request.ttl(Duration::from_nanos(self.below(300)));
        }
        if self.below(5) == 0 {
            let (hold_ns, grow_bytes) = (self.below(90), self.below(20));
            let intent = Intent { hold_ns, grow_bytes, grow_step_bytes: 3, grow_step_ns: 7 };
            request = request.intent(intent);
        }
        Some((of, request))
    }

    fn wait(&mut self) -> Duration {
        Duration::from_nanos([50, 500, 5_000][self.below(3) as usize])
    }

    fn ask(&mut self) {
        let Some((of, request)) = self.request() else { return };
        let governor = Arc::clone(&self.governor);
        let got = match self.below(9) {
            0 | 1 => governor.try_request(&request).map(|grant| vec![grant.into_id()]),
            2 | 3 => governor.request(&request).map(|grant| vec![grant.into_id()]),
            4 => {
                let ttl = Duration::from_nanos(self.below(400));
                governor.reserve(&request, ttl).map(|reserved| vec![reserved.into_id()])
            }
            5 => return self.ask_all(request),
            6 | 7 => {
                let wait = self.wait();
                let ticket = match self.below(2) {
                    0 => governor.enqueue_owned(&request, wait),
                    _ => governor.request_or_enqueue_owned(&request, wait),
                };
                return self.tickets.extend(ticket.ok());
            }
            _ => return drop(governor.evict_for(&request)),
        };
        self.held.extend(got.into_iter().flatten().map(|grant| (of, grant)));
    }

    fn ask_all(&mut self, first: Request) {
        let mut requests = vec![first];
        for _ in 0..self.below(4) {
            requests.extend(self.request().map(|(_, request)| request));
        }
        let governor = Arc::clone(&self.governor);
        let Ok(grants) = governor.request_all(&requests) else { return };
        for grant in grants {
            self.held.push((grant.tenant(), grant.into_id()));
        }
    }

    fn use_one(&mut self) {
        let over: Vec<_> = self.over.iter().copied().collect();
        let held = self.held.clone();
        let one = if self.below(10) == 0 { self.one_of(&over) } else { self.one_of(&held) };
        let Some((of, grant)) = one else { return };
        let (governor, by) = (Arc::clone(&self.governor), 1 + self.below(60));
        match self.below(12) {
            0 => drop(governor.grow(of, grant, by)),
            1 | 2 => drop(governor.grow_evicting(of, grant, by)),
            3 => drop(governor.shrink(of, grant, by)),
            4 => drop(governor.true_up(of, grant, by)),
            5 => drop(governor.pin(of, grant)),
            6 => drop(governor.unpin(of, grant)),
            7 => drop(governor.keep_alive(of, grant, Duration::from_nanos(by * 3))),
            8 => drop(governor.commit(of, grant)),
            9 => drop(governor.decline(of, grant)),
            _ => drop(governor.touch(of, grant)),
        }
    }

    fn release(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let at = self.below(self.held.len() as u64) as usize;
        let (of, grant) = self.held.swap_remove(at);
        let _ = self.governor.release(of, grant);
        self.over.push_back((of, grant));
        if self.over.len() > 20 {
            self.over.pop_front();
        }
    }

    fn look_at_ticket(&mut self) {
        if self.tickets.is_empty() {
            return;
        }
        let at = self.below(self.tickets.len() as u64) as usize;
        match self.below(4) {
            0 => drop(self.tickets.swap_remove(at)),
            1 => {
                let waited = self.tickets[at].wait(Duration::from_millis(1));
                if let Some(answer) = waited {
                    drop(self.tickets.swap_remove(at));
                    self.keep(answer);
                }
            }
            _ => {
                if let Some(answer) = self.tickets[at].poll() {
                    drop(self.tickets.swap_remove(at));
                    self.keep(answer);
                }
            }
        }
    }

    fn keep(&mut self, answer: Result<OwnedGrant, Refusal>) {
        self.held.extend(answer.ok().map(|grant| (grant.tenant(), grant.into_id())));
    }

    fn administer(&mut self) {
        let governor = Arc::clone(&self.governor);
        match self.below(9) {
            0 | 1 => {
                let config = self.tenant_config();
                if let Ok(tenant) = governor.register_tenant(config) {
                    self.tenants.push(tenant);
                    self.all.push(tenant);
                    // Those without a handler are polled.
                    if self.below(3) > 0 {
                        let (odd, odd_answer) = (self.below(2), self.below(4));
                        let handler = move |victim: &Victim| match odd_answer {
                            _ if victim.grant.as_u64() % 2 != odd => ReclaimAnswer::Freed,
                            0 => ReclaimAnswer::Freed,
                            1 => ReclaimAnswer::Busy,
                            2 => ReclaimAnswer::Deferred,
                            _ => std::panic::resume_unwind(Box::new("in a handler")),
                        };
                        governor.on_tenant_reclaim(tenant, handler).unwrap();
                    }
                }
            }
            2 => {
                let groups = self.groups.clone();
                let config = GroupConfig {
                    guarantee_bytes: self.below(2) * 100,
                    limit_bytes: (self.below(2) == 0).then_some(400),
                    parent: if self.below(3) == 0 { self.one_of(&groups) } else { None },
                    ..GroupConfig::new("group")
                };
                self.groups.extend(governor.register_group(config));
            }
            3 => {
                let groups = self.groups.clone();
                let Some(group) = self.one_of(&groups) else { return };
                let limit = [None, Some(150), Some(600)][self.below(3) as usize];
                let _ = governor.set_group(group, |config| config.limit_bytes = limit);
            }
            4 => {
                let groups = self.groups.clone();
                let Some(group) = self.one_of(&groups) else { return };
                if governor.unregister_group(group).is_ok() {
                    self.groups.retain(|other| *other != group);
                }
            }
            5 | 6 => {
                let tenants = self.tenants.clone();
                let Some(tenant) = self.one_of(&tenants) else { return };
                let Ok(mut config) = governor.tenant_config(tenant) else { return };
                self.shuffle(&mut config);
                let _ = governor.set_tenant(tenant, |now| *now = config);
            }
            7 => {
                let tenants = self.tenants.clone();
                let Some(tenant) = self.one_of(&tenants) else { return };
                let how = [Unregister::IfIdle, Unregister::Drain, Unregister::Force];
                let how = how[self.below(3) as usize];
                if governor.unregister_tenant(tenant, how).is_ok() {
                    self.tenants.retain(|other| *other != tenant);
                }
            }
            _ => {
                let capacity = [CAPACITY, CAPACITY, 700, 400][self.below(4) as usize];
                let _ = governor.set_capacity(capacity);
            }
        }
    }

    fn look_after(&mut self) {
        let governor = Arc::clone(&self.governor);
        match self.below(7) {
            0 | 1 => drop(governor.balance()),
            2 => drop(governor.balance_without_eviction()),
            3 => {
                let levels =
                    [Pressure::Normal, Pressure::Normal, Pressure::High, Pressure::Critical];
                governor.report_pressure(levels[self.below(4) as usize]);
            }
            4 => {
                let tenants = self.tenants.clone();
                let Some(tenant) = self.one_of(&tenants) else { return };
                let bytes = (self.below(3) > 0).then(|| self.below(300));
                let _ = governor.report_measured(tenant, bytes);
            }
            5 => {
                let bytes = (self.below(3) == 0).then(|| self.below(1_000));
                governor.report_measured_process(bytes);
            }
            _ => {
                while let Some(victim) = governor.next_victim() {
                    match self.below(3) {
                        0 => drop(governor.decline(victim.tenant, victim.grant)),
                        1 => drop(governor.release(victim.tenant, victim.grant)),
                        _ => {}
                    }
                }
            }
        }
    }

    fn turn(&mut self) {
        if self.below(3) == 0 {
            let ns = self.below(90);
            self.clock.advance_ns(ns);
        }
        match self.below(40) {
            0..=13 => self.ask(),
            14..=20 => self.use_one(),
            21..=29 => self.release(),
            30..=33 => self.look_at_ticket(),
            34..=35 => self.administer(),
            _ => self.look_after(),
        }
    }
}

/// Once all is read and nobody waits, all records have room but those of the ends of grants: a
/// change takes room for one.
fn room_is_whole(governor: &Governor) {
    let changes = std::iter::repeat_with(|| governor.set_capacity(CAPACITY));
    let taken = changes.take_while(Result::is_ok).count() as u64;
    let live = governor.leak_report().map_or(0, |report| report.grants);
    assert_eq!(taken + live, u64::from(RING));
}

/// Records one caller, and makes it again; answers the kinds of what was recorded.
fn comes_out(seed: u64, audit: AuditMode) -> HashSet<EventKind> {
    let folder = Folder::new(&format!("verbs-{seed}"));
    let log = folder.path("log");
    let mut caller = Caller::new(seed, audit);
    let options = JournalOptions { sync: SyncPolicy::Never, ..JournalOptions::default() };
    let key = Key::from_bytes(&[3; 32]);
    let written = AuditLog::start(&caller.governor, Path::new(&log), &key, options).unwrap();
    (0..TURNS).for_each(|_| caller.turn());
    caller.tickets.clear();
    written.flush().unwrap();
    let status = written.status();
    assert_eq!((status.events_lost, status.requests_refused), (0, 0));
    written.close().unwrap();
    if audit == AuditMode::FailClosed {
        room_is_whole(&caller.governor);
    }
    caller.governor.on_leak(|_| {});
    to_the_bit(&again(&log), 50);
    let reader = Reader::open(Path::new(&log), None).unwrap();
    let bodies = reader.map(|entry| entry.unwrap().record.body());
    bodies.filter_map(|body| if let Body::Event(e) = body { Some(e.kind) } else { None }).collect()
}

#[test]
fn every_verb_comes_out_again() {
    let mut kinds = HashSet::new();
    for seed in 1..=SEEDS {
        let audit = [AuditMode::DropAndCount, AuditMode::FailClosed][seed as usize % 2];
        kinds.extend(comes_out(seed, audit));
    }
    let elsewhere = [EventKind::Leak, EventKind::ReclaimTimedOut, EventKind::Emergency];
    let missing: Vec<_> = EventKind::ALL
        .into_iter()
        .filter(|k| !kinds.contains(k) && !elsewhere.contains(k))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// Bytes of all grants by the records of a log: each is granted once, changed, and ended once.
fn held(log: &Path) -> u64 {
    let mut grants = HashMap::new();
    for entry in Reader::open(log, None).unwrap() {
        let Body::Event(event) = entry.unwrap().record.body() else { continue };
        let Event { kind, grant, bytes, .. } = event;
        match kind {
            EventKind::Granted => assert_eq!(grants.insert(grant, bytes), None, "{event:?}"),
            EventKind::Grown => *grants.get_mut(&grant).unwrap() += bytes,
            EventKind::Shrunk => *grants.get_mut(&grant).unwrap() -= bytes,
            EventKind::Released | EventKind::Evicted | EventKind::ReservationExpired => {
                assert_eq!(grants.remove(&grant), Some(bytes), "{event:?}");
            }
            _ => {}
        }
    }
    grants.values().sum()
}

/// Calls of which most find no room, in between of logs that are begun and closed again.
#[test]
fn without_room_nothing_is_lost_whoever_is_refused() {
    for seed in 1..=SEEDS {
        let folder = Folder::new(&format!("verbs-full-{seed}"));
        let log = folder.path("log");
        let log = Path::new(&log);
        let mut caller = Caller::new(seed, AuditMode::FailClosed);
        let key = Key::from_bytes(&[3; 32]);
        let written = |governor: &Arc<Governor>| {
            let options = JournalOptions { sync: SyncPolicy::Never, ..JournalOptions::default() };
            AuditLog::start(governor, log, &key, options).unwrap()
        };
        let mut refused = 0;
        for _ in 0..4 {
            let room = caller.below(60);
            let governor = Arc::clone(&caller.governor);
            let changes = std::iter::repeat_with(|| governor.set_capacity(CAPACITY).is_ok());
            let live = governor.leak_report().map_or(0, |report| report.grants);
            changes.take((u64::from(RING) - room - live) as usize).for_each(drop);
            (0..TURNS / 10).for_each(|_| caller.turn());
            let log = written(&caller.governor);
            (0..TURNS / 10).for_each(|_| caller.turn());
            log.flush().unwrap();
            refused += log.status().requests_refused;
            log.close().unwrap();
        }
        assert!(refused > 0);
        caller.tickets.clear();
        let head = written(&caller.governor).close().unwrap();
        room_is_whole(&caller.governor);
        assert_eq!(held(log), caller.governor.snapshot().live_bytes);
        let verdict = verify(log, &key, Some(&head)).unwrap();
        assert!(verdict.is_intact() && verdict.sealed, "{verdict:?}");
        caller.governor.on_leak(|_| {});
    }
}
