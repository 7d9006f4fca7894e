//! Awaiting one's turn: on time, at most once, and no byte lost by a future that is dropped.

use super::*;
use allotment::internals::sync::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Wake;

const MODEL: AllocationType = AllocationType::ModelLoad;
const MINUTE: Duration = Duration::from_secs(60);

/// Counts how often a task was woken.
#[derive(Default)]
struct Woken(AtomicU64);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        // Relaxed: read on the thread that wakes, or after it was joined.
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Woken {
    fn times(&self) -> u64 {
        // Relaxed: as above.
        self.0.load(Ordering::Relaxed)
    }
}

fn poll<F: Future>(future: &mut std::pin::Pin<&mut F>, woken: &Arc<Woken>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(&Waker::from(woken.clone())))
}

/// What an operator does.
type Verb = fn(&Full);

/// A runtime of one task.
fn block_on<T>(task: impl Future<Output = T>) -> T {
    struct Thread(std::thread::Thread);
    impl Wake for Thread {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Thread(std::thread::current())));
    let mut task = pin!(task);
    loop {
        match task.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(answer) => return answer,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// A pool of 100 MiB that "chat" has filled, and "coder" who wants 50 of them.
struct Full {
    manager: Manager,
    clock: ManualClock,
    chat: TenantId,
    coder: TenantId,
    held: String,
}

impl Full {
    fn new() -> Self {
        let clock = ManualClock::new();
        let manager = clocked(100, &clock, ManagerOptions::default(), |_| {});
        let (chat, coder) = (named(&manager, 1, "chat", 100), named(&manager, 2, "coder", 90));
        let held = granted(ask(&manager, chat, 100, "llama", MODEL));
        Self { manager, clock, chat, coder, held }
    }

    async fn acquire(&self) -> Result<Response, MemoryError> {
        let request = request(self.coder, 50, "codestral", MODEL);
        self.manager.acquire_allocation(request, MINUTE).await
    }

    fn make_room(&self) {
        release(&self.manager, self.chat, &self.held, 60);
    }

    fn in_queue(&self) -> (u64, u64) {
        let page = all(&self.manager);
        let assigned = page.global_memory_status.assigned_memory_bytes;
        (page.summary.waiting_requests, assigned / MIB)
    }

    fn live_mb(&self) -> u64 {
        self.manager.governor().snapshot().live_bytes / MIB
    }
}

#[test]
fn what_fits_is_granted_at_once() {
    let manager = manager(100);
    let one = named(&manager, 1, "chat", 100);
    let acquired = manager.acquire_allocation(request(one, 50, "m", MODEL), MINUTE);
    let held = granted(now(acquired).unwrap());
    release(&manager, one, &held, 50);
    let exact = manager.acquire_allocation_bytes(one, 7, "m", MODEL, MINUTE);
    let held = granted(now(exact).unwrap());
    assert_eq!(now(manager.get_tenant_usage(one)).unwrap().allocated_memory_bytes, 7);
    assert_eq!(now(manager.release_allocation_bytes(one, &held, 7)), Ok(Released::Returned));
}

#[test]
fn a_task_is_woken_when_its_bytes_are_its_own() {
    let full = Full::new();
    let (mut turn, woken) = (pin!(full.acquire()), Arc::new(Woken::default()));
    assert!(poll(&mut turn, &woken).is_pending());
    assert!(poll(&mut turn, &woken).is_pending());
    assert_eq!((full.in_queue(), woken.times()), ((1, 0), 0));
    full.make_room();
    assert_eq!((full.in_queue(), woken.times()), ((0, 50), 1), "before it is polled");
    let Poll::Ready(answer) = poll(&mut turn, &woken) else { panic!("it was woken") };
    let held = granted(answer.unwrap());
    assert_eq!((full.in_queue(), full.live_mb()), ((0, 0), 90));
    release(&full.manager, full.coder, &held, 50);
}

#[test]
fn a_future_may_be_dropped_at_any_point() {
    for polls in 0..4 {
        for room_after in 0..4 {
            let full = Full::new();
            let woken = Arc::new(Woken::default());
            let mut answer = None;
            {
                let mut turn = pin!(full.acquire());
                for polled in 0..polls {
                    if polled == room_after {
                        full.make_room();
                    }
                    if let Poll::Ready(ready) = poll(&mut turn, &woken) {
                        answer = Some(granted(ready.unwrap()));
                        break;
                    }
                }
                if polls == room_after {
                    full.make_room();
                }
            }
            let room = if room_after <= polls { 60 } else { 0 };
            let got = if answer.is_some() { 50 } else { 0 };
            assert_eq!(answer.is_some(), room_after < polls, "{polls} polls, room at {room_after}");
            assert_eq!(full.live_mb(), 100 - room + got);
            assert_eq!(full.in_queue(), (0, 0));
            assert_eq!(full.manager.governor().waiters(), 0);
            if let Some(held) = answer {
                release(&full.manager, full.coder, &held, 50);
            }
        }
    }
}

#[test]
fn what_a_dropped_future_had_goes_to_who_is_next() {
    let full = Full::new();
    let woken = Arc::new(Woken::default());
    let mut next = pin!(full.acquire());
    {
        let mut first = pin!(full.acquire());
        assert!(poll(&mut first, &woken).is_pending());
        assert!(poll(&mut next, &woken).is_pending());
        full.make_room();
        assert_eq!((full.in_queue(), woken.times()), ((1, 50), 1));
    }
    assert_eq!((full.in_queue(), woken.times()), ((0, 50), 2));
    let Poll::Ready(answer) = poll(&mut next, &woken) else { panic!("it was woken") };
    granted(answer.unwrap());
}

#[test]
fn it_waits_at_its_own_limit_and_is_denied_what_can_never_be() {
    let manager = manager(100);
    let one = named(&manager, 1, "chat", 50);
    let held = granted(ask(&manager, one, 40, "m", MODEL));
    let acquire = |mb| manager.acquire_allocation(request(one, mb, "m", MODEL), MINUTE);
    let (mut turn, woken) = (pin!(acquire(20)), Arc::new(Woken::default()));
    assert!(poll(&mut turn, &woken).is_pending());
    release(&manager, one, &held, 10);
    let Poll::Ready(answer) = poll(&mut turn, &woken) else { panic!("there is room") };
    granted(answer.unwrap());
    let (reason, _) = denied(now(acquire(51)).unwrap());
    assert!(reason.ends_with("ask for less or raise max_memory_mb"), "{reason}");
    assert_eq!(now(acquire(0)), Err(MemoryError::ZeroAmount));
    let unknown = manager.acquire_allocation(request(id(9), 1, "m", MODEL), MINUTE);
    assert_eq!(now(unknown), Err(MemoryError::UnknownTenant(id(9))));
    now(manager.set_observe_only(true));
    granted(now(acquire(51)).unwrap());
}

#[test]
fn who_waited_in_vain_is_told_why() {
    let full = Full::new();
    let (mut turn, woken) = (pin!(full.acquire()), Arc::new(Woken::default()));
    assert!(poll(&mut turn, &woken).is_pending());
    full.clock.advance_ns(60_000_000_000);
    let Poll::Ready(answer) = poll(&mut turn, &woken) else { panic!("its time is over") };
    assert_eq!(
        denied(answer.unwrap()),
        (
            "waited 60 s in the queue: the pool of 100 MiB has 0 MiB left for tenant coder, 50 MiB \
             short of the 50 MiB it asks for; the largest holder is chat (100 MiB); try again when \
             memory was released"
                .to_string(),
            0
        )
    );
    assert_eq!(full.in_queue(), (0, 0));
    let at_once = full
        .manager
        .acquire_allocation(request(full.coder, 50, "codestral", MODEL), Duration::ZERO);
    let (reason, _) = denied(now(at_once).unwrap());
    assert!(reason.starts_with("waited 0 s in the queue: the pool of 100 MiB"), "{reason}");
}

#[test]
fn a_deadline_is_kept_while_nothing_happens() {
    let manager = Manager::try_new(memory(10)).unwrap();
    let one = named(&manager, 1, "chat", 10);
    granted(ask(&manager, one, 10, "m", MODEL));
    let request = request(one, 1, "m", MODEL);
    let (reason, _) =
        denied(block_on(manager.acquire_allocation(request, Duration::from_millis(30))).unwrap());
    assert!(reason.starts_with("waited "), "{reason}");
    assert!(
        reason.contains("tenant chat may hold at most its max_memory_mb of 10 MiB"),
        "{reason}"
    );
}

#[test]
fn operators_end_the_wait() {
    let verbs: [(&str, Verb); 4] = [
        ("tenant coder is frozen", |full| now(full.manager.freeze_tenant(full.coder)).unwrap()),
        ("tenant coder is being drained", |full| {
            now(full.manager.drain_tenant(full.coder)).unwrap();
        }),
        ("tenant coder was put on hold while this request waited", |full| {
            now(full.manager.freeze_tenant(full.coder)).unwrap();
            now(full.manager.thaw_tenant(full.coder)).unwrap();
        }),
        ("granted", |full| now(full.manager.set_observe_only(true))),
    ];
    for assigned in [false, true] {
        for (why, verb) in verbs {
            let full = Full::new();
            let (mut turn, woken) = (pin!(full.acquire()), Arc::new(Woken::default()));
            assert!(poll(&mut turn, &woken).is_pending());
            if assigned {
                full.make_room();
            }
            let before = woken.times();
            verb(&full);
            assert_eq!(woken.times(), before + 1, "{why}");
            assert_eq!(full.in_queue(), (0, 0), "{why}: at once");
            assert_eq!(full.live_mb(), if assigned { 40 } else { 100 });
            match poll(&mut turn, &woken) {
                Poll::Ready(Ok(Response::Denied { reason, .. })) => {
                    assert!(reason.starts_with(why), "{reason}");
                }
                Poll::Ready(Ok(Response::Granted { .. })) => assert_eq!(why, "granted"),
                other => panic!("{why}: {other:?}"),
            }
        }
    }
}

#[test]
fn the_wait_ends_with_the_tenant() {
    for assigned in [false, true] {
        for force in [false, true] {
            let full = Full::new();
            let (mut turn, woken) = (pin!(full.acquire()), Arc::new(Woken::default()));
            assert!(poll(&mut turn, &woken).is_pending());
            if assigned {
                full.make_room();
            }
            match force {
                true => drop(now(full.manager.unregister_tenant_by_force(full.coder)).unwrap()),
                false => now(full.manager.unregister_tenant(full.coder)).unwrap(),
            }
            assert!(woken.times() > 0);
            assert_eq!(full.live_mb(), if assigned { 40 } else { 100 });
            let Poll::Ready(answer) = poll(&mut turn, &woken) else { panic!("it is gone") };
            assert_eq!(answer, Err(MemoryError::UnknownTenant(full.coder)));
        }
    }
}

#[test]
fn who_awaits_leaves_no_place_that_nobody_asks_for() {
    let full = Full::new();
    let same = || ask(&full.manager, full.coder, 50, "codestral", MODEL);
    queued(same());
    let (mut turn, woken) = (pin!(full.acquire()), Arc::new(Woken::default()));
    assert!(poll(&mut turn, &woken).is_pending());
    assert_eq!(full.in_queue(), (1, 0), "one place, not two");
    full.make_room();
    let Poll::Ready(answer) = poll(&mut turn, &woken) else { panic!("it was woken") };
    release(&full.manager, full.coder, &granted(answer.unwrap()), 50);
    // Bytes that were there for whoever asks again are there for who awaits.
    granted(ask(&full.manager, full.chat, 60, "m", MODEL));
    queued(same());
    release(&full.manager, full.chat, &full.held, 40);
    assert_eq!(full.in_queue(), (1, 0));
    let page = all(&full.manager);
    assert_eq!(page.global_memory_status.allocated_memory_mb, 60);
    let acquired =
        full.manager.acquire_allocation(request(full.coder, 40, "codestral", MODEL), MINUTE);
    granted(now(acquired).unwrap());
}

#[test]
fn places_that_are_awaited_are_bounded_too() {
    let options = ManagerOptions::default().queue_places_max(1);
    let manager = clocked(100, &ManualClock::new(), options, |_| {});
    let one = named(&manager, 1, "chat", 100);
    granted(ask(&manager, one, 100, "llama", MODEL));
    let two = named(&manager, 2, "coder", 100);
    let acquire = || manager.acquire_allocation(request(two, 50, "m", MODEL), MINUTE);
    let (mut turn, woken) = (pin!(acquire()), Arc::new(Woken::default()));
    assert!(poll(&mut turn, &woken).is_pending());
    let (reason, _) = denied(now(acquire()).unwrap());
    assert!(reason.ends_with("1 at most (queue_places_max)"), "{reason}");
}

#[test]
fn tasks_of_many_threads_all_get_their_turn() {
    const TASKS: u64 = 4;
    const ROUNDS: u64 = 200;
    let options = ManagerOptions::default().governor(|governor| {
        governor.tenants_max = 8;
        governor.grants_max = 4_096;
    });
    let manager = Manager::try_new_with(memory(20), options).unwrap();
    let tenants = [named(&manager, 1, "chat", 20), named(&manager, 2, "coder", 15)];
    let most = Mutex::new(0);
    std::thread::scope(|scope| {
        for task in 0..TASKS {
            let (manager, most) = (&manager, &most);
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let tenant = tenants[(task % 2) as usize];
                    let mb = 5 + (task + round) % 8;
                    let request = request(tenant, mb, "m", MODEL);
                    let held =
                        granted(block_on(manager.acquire_allocation(request, MINUTE)).unwrap());
                    let live = manager.governor().snapshot().live_bytes;
                    let mut most = most.lock().unwrap();
                    *most = live.max(*most);
                    drop(most);
                    release(manager, tenant, &held, mb);
                }
            });
        }
    });
    assert!(*most.lock().unwrap() <= 20 * MIB);
    let page = all(&manager);
    assert_eq!(page.global_memory_status.allocated_memory_bytes, 0);
    assert_eq!(page.summary.waiting_requests, 0);
    let granted: u64 = page.tenant_summaries.iter().map(|tenant| tenant.granted_requests).sum();
    assert_eq!(granted, TASKS * ROUNDS);
}

#[test]
fn the_future_travels() {
    fn travels<T: Send>(future: T) -> T {
        future
    }
    let full = Full::new();
    drop(travels(full.acquire()));
    assert_eq!(full.in_queue(), (0, 0), "nothing happens before it is polled");
}

#[test]
fn what_nobody_fetched_goes_to_who_awaits_its_turn() {
    let full = Full::new();
    let other = named(&full.manager, 3, "other", 90);
    // Its client asks once and never again.
    queued(ask(&full.manager, other, 50, "forgotten", MODEL));
    let (mut turn, woken) = (pin!(full.acquire()), Arc::new(Woken::default()));
    assert!(poll(&mut turn, &woken).is_pending());
    full.make_room();
    // Told to come back after 30 s at most, and kept for 10 s beyond that.
    full.clock.advance_ns(59 * SECOND);
    let answer = poll(&mut turn, &woken);
    assert!(answer.is_ready(), "the bytes have been nobody's for 19 s");
}

#[test]
fn a_place_lapses_although_nobody_calls_the_manager() {
    let options = ManagerOptions::default()
        .queue_wait_max(Duration::from_secs(1))
        .queue_keep(Duration::from_millis(1))
        .governor(|governor| governor.pool_pressure = false);
    let manager = Manager::try_new_with(memory(100), options).unwrap();
    let (chat, coder) = (named(&manager, 1, "chat", 100), named(&manager, 2, "coder", 90));
    let other = named(&manager, 3, "other", 90);
    let held = granted(ask(&manager, chat, 100, "llama", MODEL));
    queued(ask(&manager, other, 50, "forgotten", MODEL));
    let wanted = request(coder, 50, "codestral", MODEL);
    let (mut turn, woken) =
        (pin!(manager.acquire_allocation(wanted, 60 * MINUTE)), Arc::new(Woken::default()));
    assert!(poll(&mut turn, &woken).is_pending());
    release(&manager, chat, &held, 60);
    let begin = std::time::Instant::now();
    while woken.times() == 0 {
        assert!(begin.elapsed() < MINUTE, "nobody let the place lapse");
        std::thread::sleep(Duration::from_millis(10));
    }
    let Poll::Ready(answer) = poll(&mut turn, &woken) else { panic!("its bytes came free") };
    granted(answer.unwrap());
}
