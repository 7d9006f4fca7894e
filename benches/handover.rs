//! What it costs to hand bytes over to who waits for them: the release that does it, with 1, 10 and
//! 1,000 waiters, and how long it takes from the release until the waiter has its grant.
//!
//! `cargo bench --bench handover`
//!
//! | | measured |
//! |---|---|
//! | release, N waiters | a release that serves the first in line, with one look at the clock |
//! | a pair that serves nobody, N waiters | a small request and its release while N want much |
//! | enqueue, release, poll | all that a hand-over takes, on one thread |
//! | to a thread that polls, that sleeps | from the release to the grant on another core |

mod bare_pair;

use allotment::*;
use bare_pair::settings;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::mpsc;
use std::time::{Duration, Instant};

type Group<'c> = BenchmarkGroup<'c, WallTime>;

const MIB: u64 = 1 << 20;
const PAGE: u64 = 4_096;
const TENANTS: u128 = 10;
const LINES: [(usize, &str); 3] = [(1, "1 waiter"), (10, "10 waiters"), (1_000, "1,000 waiters")];
const FOREVER: Duration = Duration::from_secs(1 << 30);
/// Longer than a thread takes from its place in line until it sleeps.
const UNTIL_ASLEEP: Duration = Duration::from_micros(50);

/// Tenants of one pool, of which nothing can be evicted: they wait for each other.
struct Stage {
    governor: Governor,
    tenants: Vec<TenantHandle>,
}

impl Stage {
    fn new(capacity_bytes: u64) -> Self {
        let config = GovernorConfig {
            // Nothing is set aside for who is passed over.
            patience_ns: u64::MAX,
            pool_pressure: false,
            ..GovernorConfig::new(capacity_bytes)
        };
        let governor = Governor::new(config).expect("a configuration in range");
        let register = |number| {
            let config = TenantConfig::new(TenantId::from_u128(number), "bench");
            governor.register_tenant(config).expect("room for a tenant")
        };
        let tenants = (1..=TENANTS).map(register).collect();
        Self { governor, tenants }
    }

    fn ask(&self, number: usize, bytes: u64) -> Request {
        Request::new(self.tenants[number % self.tenants.len()], AllocationType::ModelLoad, bytes)
    }

    fn take(&self, number: usize, bytes: u64) -> Grant<'_> {
        self.governor.try_request(&self.ask(number, bytes)).expect("room in the pool")
    }

    fn enqueue(&self, number: usize, bytes: u64) -> Ticket<'_> {
        let ticket = self.governor.enqueue(&self.ask(number, bytes), FOREVER);
        let ticket = ticket.expect("a place in line");
        assert!(!ticket.is_ready(), "it has to wait");
        ticket
    }
}

/// Time of so many releases. Whoever is served stands in line again behind all others, so that the
/// line stays as long as it is.
fn releases(stage: &Stage, waiters: usize, times: usize) -> Duration {
    let mut holder = stage.take(0, PAGE);
    let mut line: VecDeque<_> = (1..=waiters).map(|n| stage.enqueue(n, PAGE)).collect();
    let mut time = Duration::ZERO;
    for done in 1..=times {
        assert_eq!(stage.governor.waiters() as usize, waiters);
        let begin = Instant::now();
        drop(holder);
        time += begin.elapsed();
        let served = line.pop_front().and_then(|mut first| first.poll());
        holder = served.expect("its turn has come").expect("a grant");
        line.push_back(stage.enqueue(waiters + done, PAGE));
    }
    // Who gives up first is not served by the last release.
    drop(line);
    drop(holder);
    time
}

fn release(group: &mut Group) {
    let stage = Stage::new(PAGE);
    for (waiters, named) in LINES {
        group.bench_function(format!("release, {named}"), |b| {
            b.iter_custom(|times| releases(&stage, waiters, times as usize));
        });
    }
}

/// What is left in the pool is enough for a small request, and for nobody in line.
fn serves_nobody(group: &mut Group) {
    let stage = Stage::new(64 * MIB);
    let most = stage.take(0, 63 * MIB);
    for (waiters, named) in LINES {
        group.bench_function(format!("a pair that serves nobody, {named}"), |b| {
            let line: Vec<_> = (1..=waiters).map(|n| stage.enqueue(n, 32 * MIB)).collect();
            let request = stage.ask(0, PAGE);
            b.iter(|| drop(stage.governor.try_request(black_box(&request))));
            let seen = stage.governor.usage(stage.tenants[0]).expect("a tenant");
            assert_eq!(seen.denied, 0, "all of them fit");
            assert!(line.iter().all(|ticket| !ticket.is_ready()), "nobody was served");
        });
    }
    drop(most);
}

fn on_one_thread(group: &mut Group) {
    let stage = Stage::new(PAGE);
    let mut holder = Some(stage.take(0, PAGE));
    let mut number = 0;
    group.bench_function("enqueue, release, poll", |b| {
        b.iter(|| {
            number += 1;
            let mut ticket = stage.enqueue(number, PAGE);
            drop(holder.take());
            let served = ticket.poll().expect("its turn has come");
            holder = Some(black_box(served.expect("a grant")));
        });
    });
}

/// Waits for the one grant there is, gives it back, and says when it came.
fn wait(stage: &Stage, sleeps: bool) -> Instant {
    let mut ticket = stage.enqueue(1, PAGE);
    loop {
        let answer = if sleeps { ticket.wait(FOREVER) } else { ticket.poll() };
        let now = Instant::now();
        if let Some(answer) = answer {
            drop(answer.expect("a grant"));
            return now;
        }
        std::hint::spin_loop();
    }
}

/// Time from each release until the other thread has its grant.
fn latency(stage: &Stage, releases: u64, sleeps: bool) -> Duration {
    let (ask, asked) = mpsc::channel();
    let (serve, served) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for () in asked {
                serve.send(wait(stage, sleeps)).expect("somebody listens");
            }
        });
        let mut time = Duration::ZERO;
        for _ in 0..releases {
            let grant = stage.take(0, PAGE);
            ask.send(()).expect("somebody listens");
            while stage.governor.waiters() == 0 {
                std::hint::spin_loop();
            }
            let stands = Instant::now();
            while stands.elapsed() < UNTIL_ASLEEP {
                std::hint::spin_loop();
            }
            let begin = Instant::now();
            drop(grant);
            time += served.recv().expect("it was served") - begin;
        }
        drop(ask);
        time
    })
}

fn to_another_thread(group: &mut Group) {
    let stage = Stage::new(PAGE);
    for (name, sleeps) in [("to a thread that polls", false), ("to a thread that sleeps", true)] {
        group.bench_function(name, |b| {
            b.iter_custom(|releases| latency(&stage, releases, sleeps));
        });
    }
}

fn handover(criterion: &mut Criterion) {
    let mut group = bare_pair::group(criterion, "handover");
    release(&mut group);
    serves_nobody(&mut group);
    on_one_thread(&mut group);
    to_another_thread(&mut group);
    group.finish();
}

criterion_group! { name = benches; config = settings(); targets = handover }
criterion_main!(benches);
