//! Real threads on one governor: every verb at random, while limits, guarantees, pressure and
//! capacity move, handlers answer, release, ask again, defer and panic. A ledger of its own, kept
//! from the answers alone, is held against the capacity and the limits at every step; at the end
//! everything must be back: bytes, claims, slots.
//!
//! ```text
//! ledger <= bytes in live grants, at every instant:
//!     bytes enter it after the governor granted them and leave it before they are given back
//! record of a grant:
//!     0 not yet counted -> bytes -> ENDING -> ENDED by its handler -> RELEASED by its owner
//! ```
//!
//! `ALLOT_STRESS_SEED` and `ALLOT_STRESS_MS` run one seed, and longer.

use allotment::os::ManualClock;
use allotment::*;
use std::cell::Cell;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

const SEEDS: [u64; 2] = [0x5eed, 20_261_122];
const ROUND_MS: u64 = 1_100;
const WORKERS: u64 = 3;
const CAPACITY: u64 = 1_000;
const RECORDS: usize = 1 << 21;
const ENDING: i64 = -1;
const ENDED: i64 = -2;
const RELEASED: i64 = -3;
const HELD_MAX: usize = 60;
/// Guarantee of tenant 0, whose one user is the first worker.
const FLOOR: u64 = 100;
/// Cookie of a grant without a record.
const UNRECORDED: u64 = u64::MAX;
/// The most each tenant and each of the two groups may ever use.
const TENANT_MAX: [u64; 7] = [CAPACITY, CAPACITY, 150, 200, 400, 120, 400];
const GROUP_OF: [Option<usize>; 7] = [None, None, Some(0), Some(0), Some(1), Some(1), Some(1)];
const GROUP_MAX: [u64; 2] = [300, 400];
/// Guarantee of the second group.
const GROUP_FLOOR: u64 = 80;

/// Xorshift: enough to mix verbs, and the same again for the same seed.
struct Random(Cell<u64>);

impl Random {
    fn new(seed: u64) -> Self {
        Self(Cell::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1))
    }

    fn below(&self, n: u64) -> u64 {
        let mut x = self.0.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.0.set(x);
        (x >> 11) % n
    }

    fn one_in(&self, n: u64) -> bool {
        self.below(n) == 0
    }
}

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// What the answers add up to.
#[derive(Default)]
struct Ledger {
    total: AtomicI64,
    tenants: [AtomicI64; 7],
    groups: [AtomicI64; 2],
}

impl Ledger {
    fn add(&self, tenant: usize, bytes: i64) -> Result<(), String> {
        check("capacity", &self.total, bytes, CAPACITY)?;
        check("tenant", &self.tenants[tenant], bytes, TENANT_MAX[tenant])?;
        match GROUP_OF[tenant] {
            Some(group) => check("group", &self.groups[group], bytes, GROUP_MAX[group]),
            None => Ok(()),
        }
    }
}

fn check(what: &str, sum: &AtomicI64, bytes: i64, max: u64) -> Result<(), String> {
    let now = sum.fetch_add(bytes, SeqCst) + bytes;
    if bytes > 0 && now > max as i64 { Err(format!("{what}: {now} above {max}")) } else { Ok(()) }
}

/// A victim that was promised.
struct Promise {
    tenant: TenantHandle,
    grant: GrantId,
    keep: bool,
}

/// The governor, and what the test knows about it.
struct Scene {
    governor: Governor,
    clock: ManualClock,
    tenants: Vec<TenantHandle>,
    groups: [GroupHandle; 3],
    ledger: Ledger,
    records: Vec<AtomicI64>,
    records_used: AtomicI64,
    promises: Mutex<Vec<Promise>>,
    faults: Mutex<Vec<String>>,
    dice: AtomicI64,
}

fn tenant(number: u128) -> TenantConfig {
    TenantConfig::new(TenantId::from_u128(number), format!("tenant {number}"))
}

fn governor(clock: &ManualClock) -> (Governor, [GroupHandle; 3], Vec<TenantHandle>) {
    let config = GovernorConfig {
        tenants_max: 16,
        groups_max: 4,
        grants_max: 1_024,
        quantum_bytes: 16,
        busy_cooldown_ns: 50,
        events_max: 64,
        clock: clock.clone().into(),
        ..GovernorConfig::new(CAPACITY)
    };
    let governor = Governor::new(config).unwrap();
    let group = |name, parent, limit, guarantee_bytes| {
        let limit_bytes = Some(limit);
        let config = GroupConfig { parent, limit_bytes, guarantee_bytes, ..GroupConfig::new(name) };
        governor.register_group(config).unwrap()
    };
    let left = group("left", None, GROUP_MAX[0], 0);
    let right = group("right", None, GROUP_MAX[1], GROUP_FLOOR);
    let inner = group("inner", Some(right), GROUP_MAX[1], 0);
    let hard = |n, parent| TenantConfig { isolation: Isolation::Hard, parent, ..tenant(n) };
    let configs = [
        TenantConfig { guarantee_bytes: FLOOR, ..hard(1, None) },
        TenantConfig { priority: Priority::Low, ..tenant(2) },
        TenantConfig { limit_bytes: Some(TENANT_MAX[2]), ..hard(3, Some(left)) },
        TenantConfig { limit_bytes: Some(TENANT_MAX[3]), ..hard(4, Some(left)) },
        TenantConfig { priority: Priority::High, parent: Some(right), ..tenant(5) },
        TenantConfig {
            limit_bytes: Some(60),
            burst_bytes: Some(TENANT_MAX[5]),
            parent: Some(right),
            ..tenant(6)
        },
        TenantConfig {
            grants_max: [None, Some(9), Some(5), None],
            rate: RateLimit::new(1_000_000_000, 1 << 30).ok(),
            priority: Priority::Critical,
            parent: Some(inner),
            ..tenant(7)
        },
    ];
    let tenants = configs.map(|config| governor.register_tenant(config).unwrap());
    (governor, [left, right, inner], tenants.into())
}

impl Scene {
    fn new() -> Arc<Self> {
        let clock = ManualClock::new();
        let (governor, groups, tenants) = governor(&clock);
        let scene = Arc::new(Self {
            governor,
            clock,
            tenants,
            groups,
            ledger: Ledger::default(),
            records: (0..RECORDS).map(|_| AtomicI64::new(0)).collect(),
            records_used: AtomicI64::new(0),
            promises: Mutex::default(),
            faults: Mutex::default(),
            dice: AtomicI64::new(1),
        });
        let weak: Weak<Self> = Arc::downgrade(&scene);
        scene.governor.on_reclaim(move |victim| {
            weak.upgrade().map_or(ReclaimAnswer::Busy, |scene| scene.handle(victim))
        });
        scene
    }

    /// Faults are collected: one that panicked in a handler would pass for a busy owner.
    fn fault(&self, why: impl Into<String>) {
        self.faults.lock().unwrap().push(why.into());
    }

    fn is_faulty(&self) -> bool {
        !self.faults.lock().unwrap().is_empty()
    }

    fn number(&self, of: TenantHandle) -> Option<usize> {
        self.tenants.iter().position(|&t| t == of)
    }

    fn new_record(&self) -> Option<usize> {
        usize::try_from(self.records_used.fetch_add(1, SeqCst)).ok().filter(|&r| r < RECORDS)
    }

    fn count(&self, tenant: usize, bytes: i64) {
        if let Err(why) = self.ledger.add(tenant, bytes) {
            self.fault(why);
        }
    }

    /// Counts what was granted, unless the grant has ended already.
    fn granted(&self, tenant: usize, record: usize, bytes: u64) {
        if self.records[record].compare_exchange(0, bytes as i64, SeqCst, SeqCst).is_ok() {
            self.count(tenant, bytes as i64);
        }
    }

    /// Counts growth, unless the grant has ended already.
    fn grown(&self, tenant: usize, record: usize, by: i64) {
        let add = |v: i64| (v > 0).then_some(v + by);
        if self.records[record].fetch_update(SeqCst, SeqCst, add).is_ok() {
            self.count(tenant, by);
        }
    }

    /// Counts bytes as given back; says whether they were counted. Out of the sums first, so that
    /// whoever ends the grant meanwhile does not give back what still stands there.
    fn shrinks(&self, tenant: usize, record: usize, by: i64) -> bool {
        self.count(tenant, -by);
        let take = |v: i64| (v > by).then_some(v - by);
        let counted = self.records[record].fetch_update(SeqCst, SeqCst, take).is_ok();
        if !counted {
            self.count(tenant, by);
        }
        counted
    }

    /// Takes a grant out of the ledger, or waits until who was faster has done it; says whether
    /// the caller was the first.
    fn end(&self, tenant: usize, record: usize, how: i64) -> bool {
        let record = &self.records[record];
        let begin = |v: i64| (v >= 0).then_some(ENDING);
        let first = match record.fetch_update(SeqCst, SeqCst, begin) {
            Ok(bytes) => {
                self.count(tenant, -bytes);
                true
            }
            Err(_) => {
                while record.load(SeqCst) == ENDING {
                    std::thread::yield_now();
                }
                false
            }
        };
        record.fetch_min(how, SeqCst);
        first
    }

    fn has_ended(&self, record: usize) -> bool {
        self.records[record].load(SeqCst) < 0
    }

    /// The owner's answer for a victim.
    fn handle(&self, victim: &Victim) -> ReclaimAnswer {
        let random = Random::new(self.dice.fetch_add(1, SeqCst) as u64);
        let choice = random.below(12);
        match choice {
            0 => return ReclaimAnswer::Busy,
            // Quieter than `panic!`: the hook that prints is not called.
            1 => std::panic::resume_unwind(Box::new("a handler that panics")),
            2 => self.ask_again(&random),
            _ => {}
        }
        let (tenant, grant) = (victim.tenant, victim.grant);
        if choice == 3 {
            self.promises.lock().unwrap().push(Promise { tenant, grant, keep: true });
            return ReclaimAnswer::Deferred;
        }
        if victim.cookie != UNRECORDED
            && let Some(number) = self.number(tenant)
            && !self.end(number, victim.cookie as usize, ENDED)
        {
            // The owner is about to release it.
            return ReclaimAnswer::Busy;
        }
        match choice {
            4 => {
                self.promises.lock().unwrap().push(Promise { tenant, grant, keep: false });
                ReclaimAnswer::Deferred
            }
            5 | 6 => {
                self.release_victim(victim);
                ReclaimAnswer::Freed
            }
            _ => ReclaimAnswer::Freed,
        }
    }

    /// A handler may release its victim itself, unless the owner did it meanwhile.
    fn release_victim(&self, victim: &Victim) {
        let answer = self.governor.release(victim.tenant, victim.grant);
        let recorded = victim.cookie != UNRECORDED;
        let by_owner = || self.records[victim.cookie as usize].load(SeqCst) == RELEASED;
        if recorded && answer != Ok(Released::Evicted) && !by_owner() {
            self.fault(format!("released by its handler: {answer:?}"));
        }
    }

    /// A handler may call any function of the governor, also one that evicts.
    fn ask_again(&self, random: &Random) {
        if DEPTH.get() >= 2 {
            return;
        }
        DEPTH.set(DEPTH.get() + 1);
        let of = self.tenants[1 + random.below(6) as usize];
        let request = Request::new(of, kind(random), 1 + random.below(30)).cookie(UNRECORDED);
        drop(self.governor.request(&request));
        DEPTH.set(DEPTH.get() - 1);
    }

    fn keep_promises(&self) {
        loop {
            let Some(promise) = self.promises.lock().unwrap().pop() else { return };
            let Promise { tenant, grant, keep } = promise;
            if keep {
                self.governor.decline(tenant, grant).ok();
            } else {
                while matches!(self.governor.release(tenant, grant), Err(Error::Busy(_))) {
                    std::thread::yield_now();
                }
            }
        }
    }
}

fn kind(random: &Random) -> AllocationType {
    AllocationType::ALL[random.below(4) as usize]
}

/// A grant as its owner knows it.
struct Entry {
    tenant: usize,
    id: GrantId,
    record: usize,
    bytes: u64,
}

/// One thread that requests, resizes, touches and releases.
struct Worker<'a> {
    scene: &'a Scene,
    number: u64,
    random: Random,
    held: Vec<Entry>,
}

impl<'a> Worker<'a> {
    fn new(scene: &'a Scene, seed: u64, number: u64) -> Self {
        Self { scene, number, random: Random::new(seed ^ number << 32), held: Vec::new() }
    }

    fn work(mut self, until: Instant) {
        while Instant::now() < until && !self.scene.is_faulty() {
            (0..64).for_each(|_| self.step());
        }
        while !self.held.is_empty() {
            self.release();
        }
    }

    fn step(&mut self) {
        match self.random.below(20) {
            0..=5 if self.held.len() < HELD_MAX => self.request(),
            6 if self.held.len() < HELD_MAX => self.request_all(),
            7 if self.held.len() < HELD_MAX => self.reserve(),
            8..=10 if !self.held.is_empty() => self.resize(),
            11..=13 if !self.held.is_empty() => self.touch(),
            14 => self.scene.keep_promises(),
            _ if !self.held.is_empty() => self.release(),
            _ => {}
        }
    }

    /// Any tenant, but tenant 0 is the first worker's alone.
    fn tenant(&self) -> usize {
        match self.random.below(7) as usize {
            0 if self.number != 0 => 1,
            tenant => tenant,
        }
    }

    /// A request, and its bytes.
    fn ask(&self, tenant: usize, record: usize) -> (Request, u64) {
        let most = if self.random.one_in(12) { 300 } else { 40 };
        let bytes = 1 + self.random.below(most);
        let request = Request::new(self.scene.tenants[tenant], kind(&self.random), bytes);
        let request = request.cookie(record as u64).evictable(self.random.one_in(2));
        let request = request.key(self.random.below(50)).cost(self.random.below(9) as u32);
        let request = match self.random.below(8) {
            0 => request.ttl(Duration::from_nanos(self.random.below(500))),
            1 => request.pinned(true),
            _ => request,
        };
        (request, bytes)
    }

    fn request(&mut self) {
        let Some(record) = self.scene.new_record() else { return };
        let tenant = self.tenant();
        let (request, bytes) = self.ask(tenant, record);
        let held: u64 = self.held.iter().filter(|e| e.tenant == tenant).map(|e| e.bytes).sum();
        let governor = &self.scene.governor;
        let answer = match self.random.one_in(3) {
            true => governor.try_request(&request),
            false => governor.request(&request),
        };
        match answer {
            Ok(grant) => {
                self.scene.granted(tenant, record, bytes);
                self.held.push(Entry { tenant, id: grant.into_id(), record, bytes });
            }
            Err(no) if tenant == 0 && held + bytes <= FLOOR => {
                self.scene.fault(format!("inside the guarantee, {held} + {bytes}: {no:?}"));
            }
            Err(Refusal::Denied(_)) => {}
            Err(Refusal::Misuse(error)) => self.scene.fault(format!("request: {error:?}")),
        }
    }

    fn request_all(&mut self) {
        let count = 2 + self.random.below(3);
        let asked: Option<Vec<_>> = (0..count)
            .map(|_| {
                let (record, tenant) = (self.scene.new_record()?, self.tenant().max(1));
                Some((tenant, record, self.ask(tenant, record)))
            })
            .collect();
        let Some(asked) = asked else { return };
        let requests: Vec<Request> = asked.iter().map(|(_, _, (request, _))| *request).collect();
        match self.scene.governor.request_all(&requests) {
            Ok(grants) => {
                for ((tenant, record, (_, bytes)), grant) in asked.into_iter().zip(grants) {
                    self.scene.granted(tenant, record, bytes);
                    self.held.push(Entry { tenant, id: grant.into_id(), record, bytes });
                }
            }
            Err(Refusal::Denied(_)) => {}
            Err(Refusal::Misuse(error)) => self.scene.fault(format!("batch: {error:?}")),
        }
    }

    fn reserve(&mut self) {
        let Some(record) = self.scene.new_record() else { return };
        let tenant = self.tenant().max(1);
        let (request, bytes) = self.ask(tenant, record);
        let ttl = Duration::from_nanos(1 + self.random.below(300));
        let Ok(reservation) = self.scene.governor.reserve(&request, ttl) else { return };
        match self.random.below(4) {
            0 => drop(reservation),
            // Nobody commits it: a later step of the balancer gives it back.
            1 => drop(reservation.into_id()),
            _ => {
                if let Ok(grant) = reservation.commit() {
                    self.scene.granted(tenant, record, bytes);
                    self.held.push(Entry { tenant, id: grant.into_id(), record, bytes });
                }
            }
        }
    }

    fn resize(&mut self) {
        let at = self.random.below(self.held.len() as u64) as usize;
        let (scene, random, entry) = (self.scene, &self.random, &mut self.held[at]);
        let of = scene.tenants[entry.tenant];
        let up = random.one_in(2);
        let by = if up { 1 + random.below(50) } else { random.below(entry.bytes) };
        if by == 0 {
            return;
        }
        let counted = !up && scene.shrinks(entry.tenant, entry.record, by as i64);
        let answer = match (up, random.below(3)) {
            (true, 0) => scene.governor.grow_evicting(of, entry.id, by),
            (true, 1) => scene.governor.true_up(of, entry.id, entry.bytes + by),
            (true, _) => scene.governor.grow(of, entry.id, by),
            (false, 0) => scene.governor.true_up(of, entry.id, entry.bytes - by),
            (false, _) => scene.governor.shrink(of, entry.id, by).map_err(Refusal::from),
        };
        match answer {
            Ok(()) if up => {
                entry.bytes += by;
                scene.grown(entry.tenant, entry.record, by as i64);
            }
            Ok(()) => entry.bytes -= by,
            Err(refusal) => {
                if counted {
                    scene.grown(entry.tenant, entry.record, by as i64);
                }
                Self::excuse(scene, entry, &refusal);
            }
        }
    }

    /// A grant may be refused as ended only if it has ended, and nothing else may go wrong.
    fn excuse(scene: &Scene, entry: &Entry, refusal: &Refusal) {
        let fine = match refusal {
            Refusal::Denied(_) | Refusal::Misuse(Error::Busy(_) | Error::Evicted(_)) => true,
            Refusal::Misuse(Error::StaleGrant(_)) => scene.has_ended(entry.record),
            Refusal::Misuse(_) => false,
        };
        // A grant that was evicted holds nothing: growing it to a measured size may ask too much.
        if !fine && !scene.has_ended(entry.record) {
            scene.fault(format!("{:?} of tenant {}: {refusal:?}", entry.id, entry.tenant));
        }
    }

    fn touch(&mut self) {
        let at = self.random.below(self.held.len() as u64) as usize;
        let (governor, entry) = (&self.scene.governor, &self.held[at]);
        let of = self.scene.tenants[entry.tenant];
        let answer = match self.random.below(6) {
            0 => governor.pin(of, entry.id),
            1 | 2 => governor.unpin(of, entry.id),
            3 => governor.keep_alive(of, entry.id, Duration::from_nanos(20)),
            // Touch knows no victims: what is not live has ended, as far as it can tell.
            _ => {
                governor.touch(of, entry.id).ok();
                Ok(())
            }
        };
        if let Err(error) = answer {
            Self::excuse(self.scene, entry, &error.into());
        }
    }

    fn release(&mut self) {
        let at = self.random.below(self.held.len() as u64) as usize;
        let entry = self.held.swap_remove(at);
        let of = self.scene.tenants[entry.tenant];
        let first = self.scene.end(entry.tenant, entry.record, RELEASED);
        let answer = loop {
            match self.scene.governor.release(of, entry.id) {
                Err(Error::Busy(_)) => std::thread::yield_now(),
                answer => break answer,
            }
        };
        let fine = match answer {
            Ok(Released::Evicted) => true,
            Ok(Released::Returned) => first,
            Err(Error::StaleGrant(_)) => !first,
            Err(_) => false,
        };
        if !fine {
            let (id, tenant) = (entry.id, entry.tenant);
            self.scene.fault(format!("{id:?} of tenant {tenant}, first {first}: {answer:?}"));
        }
    }
}

/// One thread that changes what the others rely on.
struct Administrator<'a> {
    scene: &'a Scene,
    random: Random,
    moves_capacity: bool,
}

impl Administrator<'_> {
    fn work(&self, until: Instant) {
        let mut events = self.scene.governor.events();
        while Instant::now() < until && !self.scene.is_faulty() {
            self.scene.clock.advance_ns(1 + self.random.below(40));
            self.step();
            while !matches!(events.read(), EventRead::Empty) {}
            if self.random.one_in(4) {
                std::thread::sleep(Duration::from_micros(200));
            }
        }
    }

    fn step(&self) {
        let (governor, tenants) = (&self.scene.governor, &self.scene.tenants);
        let random = &self.random;
        match random.below(11) {
            0 => drop(governor.balance()),
            1 => governor.report_pressure(Pressure::ALL[random.below(3) as usize]),
            2 => self.tolerate(governor.set_tenant(tenants[3], |c| {
                c.limit_bytes = Some(20 + random.below(181));
            })),
            3 => self.tolerate(governor.set_tenant(tenants[4], |c| {
                c.guarantee_bytes = random.below(GROUP_FLOOR + 1);
                c.policy = [Policy::Lru, Policy::Lfu, Policy::Hybrid][random.below(3) as usize];
            })),
            4 => self.tolerate(governor.set_tenant(tenants[6], |c| {
                c.grants_max[2] = (!random.one_in(3)).then(|| 1 + random.below(8) as u32);
            })),
            5 => self.tolerate(governor.set_group(self.scene.groups[0], |c| {
                c.limit_bytes = Some(100 + random.below(201));
            })),
            6 if self.moves_capacity => {
                self.tolerate(governor.set_capacity(CAPACITY / 2 + random.below(CAPACITY / 2 + 1)));
            }
            7 => drop(governor.snapshot()),
            8 => {
                let bytes = 1 + random.below(500);
                let request = Request::new(tenants[1], AllocationType::Inference, bytes);
                governor.explain(&request).map_or_else(|e| self.scene.fault(e.to_string()), drop);
            }
            _ => self.come_and_go(),
        }
    }

    /// A tenant that registers, takes something and is unregistered in one of two ways.
    fn come_and_go(&self) {
        let (governor, random) = (&self.scene.governor, &self.random);
        let config = TenantConfig {
            guarantee_bytes: random.below(20),
            parent: Some(self.scene.groups[random.below(3) as usize]),
            ..tenant(100 + u128::from(random.below(9)))
        };
        let guest = match governor.register_tenant(config) {
            Ok(guest) => guest,
            Err(error) => return self.tolerate(Err(error)),
        };
        let mut live = Vec::new();
        for _ in 0..random.below(20) {
            let request = Request::new(guest, kind(random), 1 + random.below(20));
            live.extend(governor.request(&request.cookie(UNRECORDED)).map(Grant::into_id));
        }
        let force = random.one_in(2);
        let how = if force { Unregister::Force } else { Unregister::Drain };
        if let Err(error) = governor.unregister_tenant(guest, how) {
            self.scene.fault(format!("unregister: {error:?}"));
        }
        for id in live {
            while matches!(governor.release(guest, id), Err(Error::Busy(_))) {
                std::thread::yield_now();
            }
        }
        if governor.usage(guest).is_ok() {
            self.scene.fault("an unregistered tenant has usage");
        }
    }

    /// What an administrator may be told while others work.
    fn tolerate(&self, answer: Result<(), Error>) {
        match answer {
            Ok(())
            | Err(
                Error::Contended
                | Error::GuaranteesExceed { .. }
                | Error::GuaranteeUnavailable { .. }
                | Error::TableFull { .. },
            ) => {}
            Err(error) => self.scene.fault(format!("administration: {error:?}")),
        }
    }
}

fn run(seed: u64, moves_capacity: bool) {
    let scene = Scene::new();
    scene.dice.store(seed as i64, SeqCst);
    let ms = std::env::var("ALLOT_STRESS_MS").ok().and_then(|ms| ms.parse().ok());
    let until = Instant::now() + Duration::from_millis(ms.unwrap_or(ROUND_MS));
    std::thread::scope(|scope| {
        let scene = &*scene;
        for number in 0..WORKERS {
            scope.spawn(move || Worker::new(scene, seed, number).work(until));
        }
        let random = Random::new(!seed);
        scope.spawn(move || Administrator { scene, random, moves_capacity }.work(until));
    });
    scene.keep_promises();
    let faults = std::mem::take(&mut *scene.faults.lock().unwrap());
    let tenants = scene.governor.snapshot().tenants;
    let sum = |of: fn(&TenantSnapshot) -> u64| tenants.iter().map(of).sum::<u64>();
    let (granted, denied) = (sum(|t| t.granted), sum(|t| t.denied));
    println!("seed {seed}: {granted} granted, {denied} denied, {} evicted", sum(|t| t.evicted));
    assert!(faults.is_empty(), "seed {seed}: {faults:#?}");
    everything_is_back(&scene, seed);
}

/// Bytes, claims and slots, once nobody holds anything.
fn everything_is_back(scene: &Scene, seed: u64) {
    let governor = &scene.governor;
    scene.clock.advance_ns(1_000_000_000);
    governor.report_pressure(Pressure::Normal);
    governor.set_capacity(CAPACITY).unwrap();
    governor.balance();
    let snapshot = governor.snapshot();
    assert_eq!(snapshot.live_bytes, 0, "seed {seed}: {snapshot:#?}");
    assert_eq!(scene.ledger.total.load(SeqCst), 0, "seed {seed}");
    assert_eq!(snapshot.pressure, Pressure::Normal, "seed {seed}");
    claims_are_guarantees(scene, seed);
    numbers_are_exact(scene, seed);
    evictions_are_exact(scene, seed);
    let slots = slots(governor, &scene.tenants, &scene.groups);
    let (fresh, groups, tenants) = self::governor(&ManualClock::new());
    assert_eq!(slots, self::slots(&fresh, &tenants, &groups), "seed {seed}: slots were lost");
    assert!(slots >= governor.config().grants_max, "seed {seed}: {slots} slots");
}

/// Tenants that take all there is in turn leave the others their guarantees, and no byte is
/// stranded anywhere. Below a group with a guarantee, idle claim within it may stay.
fn claims_are_guarantees(scene: &Scene, seed: u64) {
    let tenants = scene.governor.snapshot().tenants;
    assert_eq!(tenants.len(), scene.tenants.len(), "seed {seed}: {tenants:#?}");
    let group = |tenant: &TenantSnapshot| GROUP_OF[scene.number(tenant.tenant).unwrap()];
    let mates = take(scene, seed, 4, GROUP_MAX[1]);
    for mate in mates.iter().filter(|t| group(t) == Some(1)) {
        assert_eq!(mate.claimed_bytes, mate.guarantee_bytes, "seed {seed}: {mate:#?}");
    }
    for (taker, guaranteed) in [(1, FLOOR + GROUP_FLOOR), (0, GROUP_FLOOR)] {
        let others = take(scene, seed, taker, CAPACITY - guaranteed);
        let (inside, outside): (Vec<_>, Vec<_>) =
            others.into_iter().partition(|t| group(t) == Some(1));
        for other in outside {
            assert_eq!(other.claimed_bytes, other.guarantee_bytes, "seed {seed}: {other:#?}");
        }
        let claimed: u64 = inside.iter().map(|t| t.claimed_bytes).sum();
        assert!(claimed <= GROUP_FLOOR, "seed {seed}: {inside:#?}");
        assert_eq!(scene.governor.snapshot().claimed_bytes, CAPACITY, "seed {seed}");
    }
}

/// All other tenants, at a moment when one had so many bytes.
fn take(scene: &Scene, seed: u64, tenant: usize, bytes: u64) -> Vec<TenantSnapshot> {
    let of = scene.tenants[tenant];
    let all = Request::new(of, AllocationType::Inference, bytes);
    let grant = scene.governor.try_request(&all).unwrap_or_else(|no| panic!("seed {seed}: {no:?}"));
    let mut snapshot = scene.governor.snapshot();
    assert_eq!(snapshot.live_bytes, bytes, "seed {seed}");
    assert_eq!(grant.release(), Ok(Released::Returned));
    snapshot.tenants.retain(|t| t.tenant != of);
    snapshot.tenants
}

/// No count of grants was lost.
fn numbers_are_exact(scene: &Scene, seed: u64) {
    let of = scene.tenants[6];
    scene.governor.set_tenant(of, |c| c.grants_max = [Some(3); 4]).unwrap();
    for kind in AllocationType::ALL {
        let one = || scene.governor.try_request(&Request::new(of, kind, 1));
        let three = [one(), one(), one()];
        assert!(three.iter().all(Result::is_ok), "seed {seed}: {three:?}");
        let no = one().unwrap_err();
        assert_eq!(no.denial().unwrap().reason, DenialReason::GrantCount, "seed {seed}");
    }
}

/// Nothing is left of bytes on their way or of demand: as much is evicted as is short, not less
/// and not more.
fn evictions_are_exact(scene: &Scene, seed: u64) {
    let governor = &scene.governor;
    governor.on_reclaim(|_| ReclaimAnswer::Freed);
    let (low, normal) = (scene.tenants[1], scene.tenants[0]);
    let block = Request::new(low, AllocationType::Cache, 10);
    let pool = CAPACITY - FLOOR - GROUP_FLOOR;
    let held: Vec<_> = (0..pool / 10).map(|_| governor.request(&block).unwrap()).collect();
    let much = Request::new(normal, AllocationType::Inference, FLOOR + pool - 20);
    let answer = governor.request(&much).unwrap_or_else(|no| panic!("seed {seed}: {no:?}"));
    let kept = held.iter().filter(|grant| grant.bytes() > 0).count();
    assert_eq!((kept, answer.bytes()), (2, FLOOR + pool - 20), "seed {seed}");
}

/// How many grants can be live at once, with all slots of those that were unregistered returned.
fn slots(governor: &Governor, tenants: &[TenantHandle], groups: &[GroupHandle]) -> u32 {
    governor.set_capacity(1 << 30).unwrap();
    for &group in groups {
        governor.set_group(group, |c| c.limit_bytes = None).unwrap();
    }
    for &of in tenants {
        let lift = |c: &mut TenantConfig| {
            (c.limit_bytes, c.burst_bytes, c.rate, c.grants_max) = (None, None, None, [None; 4]);
        };
        governor.set_tenant(of, lift).unwrap();
    }
    let mut all = tenants.to_vec();
    for number in tenants.len() as u32..governor.config().tenants_max {
        all.push(governor.register_tenant(tenant(u128::from(1_000 + number))).unwrap());
    }
    let mut live = Vec::new();
    for &of in &all {
        for kind in AllocationType::ALL {
            let no = loop {
                match governor.try_request(&Request::new(of, kind, 1)) {
                    Ok(grant) => live.push(grant),
                    Err(no) => break no,
                }
            };
            assert_eq!(no.denial().unwrap().reason, DenialReason::SlotsExhausted);
        }
    }
    live.len() as u32
}

fn for_each_seed(run: impl Fn(u64)) {
    match std::env::var("ALLOT_STRESS_SEED").ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => run(seed),
        None => SEEDS.into_iter().for_each(run),
    }
}

#[test]
fn the_ledger_stays_within_a_fixed_capacity() {
    for_each_seed(|seed| run(seed, false));
}

#[test]
fn everything_moves_and_everything_comes_back() {
    for_each_seed(|seed| run(seed, true));
}

#[test]
fn a_handler_that_panics_leaves_the_governor_usable() {
    let clock = ManualClock::new();
    let config = GovernorConfig {
        tenants_max: 4,
        groups_max: 1,
        grants_max: 64,
        busy_cooldown_ns: 10,
        clock: clock.clone().into(),
        ..GovernorConfig::new(4)
    };
    let governor = Governor::new(config).unwrap();
    let one = governor.register_tenant(tenant(1)).unwrap();
    let calls = Arc::new(AtomicI64::new(0));
    let seen = calls.clone();
    governor.on_reclaim(move |_| match seen.fetch_add(1, SeqCst) {
        0 => std::panic::resume_unwind(Box::new("a handler that panics")),
        _ => ReclaimAnswer::Freed,
    });
    let request = Request::new(one, AllocationType::Cache, 4);
    let first = governor.request(&request).unwrap();
    let no = governor.request(&request).unwrap_err();
    assert_eq!(no.denial().unwrap().reason, DenialReason::Capacity);
    // The victim lives, is left alone for a while, and can be used and asked for again.
    assert_eq!((first.bytes(), calls.load(SeqCst)), (4, 1));
    first.shrink(1).unwrap();
    first.grow(1).unwrap();
    clock.advance_ns(11);
    let second = governor.request(&request).unwrap();
    assert_eq!(calls.load(SeqCst), 2);
    assert_eq!(
        (first.release(), second.release()),
        (Ok(Released::Evicted), Ok(Released::Returned))
    );
    assert_eq!(governor.snapshot().live_bytes, 0);
    assert_eq!(governor.balance().live_bytes, 0);
}
