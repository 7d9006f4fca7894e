//! Requests that wait: places kept for who asks again, and what becomes of them.

use super::*;

const SECOND_NS: u64 = 1_000_000_000;
const MODEL: AllocationType = AllocationType::ModelLoad;

/// A pool of 100 MiB that the first tenant, "chat", has filled with two models, and a second
/// tenant, "coder".
struct Full {
    manager: Manager,
    clock: ManualClock,
    chat: TenantId,
    coder: TenantId,
    held: [String; 2],
}

impl Full {
    fn new() -> Self {
        Self::with(ManagerOptions::default(), |_| {})
    }

    fn with(options: ManagerOptions, tune: fn(&mut GovernorConfig)) -> Self {
        let clock = ManualClock::new();
        let manager = clocked(100, &clock, options, tune);
        let (chat, coder) = (named(&manager, 1, "chat", 300), named(&manager, 2, "coder", 90));
        let held = [60, 40].map(|mb| granted(ask(&manager, chat, mb, "llama", MODEL)));
        Self { manager, clock, chat, coder, held }
    }

    /// The second tenant asks for 50 MiB, always the same.
    fn ask(&self) -> Response {
        ask(&self.manager, self.coder, 50, "codestral", MODEL)
    }

    /// 60 MiB come free.
    fn make_room(&self) {
        release(&self.manager, self.chat, &self.held[0], 60);
    }

    fn pass(&self, secs: u64) {
        self.clock.advance_ns(secs * SECOND_NS);
    }

    fn usage(&self, tenant: TenantId) -> TenantUsage {
        now(self.manager.get_tenant_usage(tenant)).unwrap()
    }

    /// What waits, and the MiB that are assigned and not fetched.
    fn in_queue(&self) -> (u64, u64) {
        let page = all(&self.manager);
        let assigned = page.global_memory_status.assigned_memory_bytes;
        (page.summary.waiting_requests, assigned / MIB)
    }

    /// The same of one tenant.
    fn in_queue_of(&self, tenant: TenantId) -> (u64, u64) {
        let usage = self.usage(tenant);
        (usage.waiting_requests, usage.assigned_memory_bytes / MIB)
    }

    /// Nothing but the models of the first tenant is left.
    fn nothing_is_left_of_coder(&self) {
        assert_eq!(self.in_queue(), (0, 0));
        assert_eq!(allocated_mb(&self.manager, self.coder), 0);
        assert_eq!(self.manager.governor().waiters(), 0);
    }
}

#[test]
fn a_request_is_queued_and_granted_when_its_bytes_came_free() {
    let full = Full::new();
    assert_eq!(queued(full.ask()), 30, "nothing is known of the wait");
    assert_eq!(full.in_queue(), (1, 0), "a place holds nothing while it waits");
    assert_eq!(full.in_queue_of(full.coder), (1, 0));
    assert_eq!(full.usage(full.coder).denied_requests, 0, "to be queued is no denial");
    assert_eq!(queued(full.ask()), 30);
    assert_eq!(full.in_queue(), (1, 0), "the same request has one place");
    full.make_room();
    assert_eq!(full.in_queue(), (0, 50), "they are its own before it asks");
    assert_eq!(allocated_mb(&full.manager, full.coder), 50);
    // Nobody else gets them.
    queued(ask(&full.manager, full.chat, 20, "llama", MODEL));
    assert_eq!(full.in_queue(), (1, 50));
    assert_eq!(full.in_queue_of(full.coder), (0, 50));
    let held = granted(full.ask());
    assert_eq!(full.in_queue(), (1, 0));
    release(&full.manager, full.coder, &held, 50);
}

/// What a service makes of the three answers: it works on what it gets, and comes back for what
/// was queued, once for each place.
#[test]
fn a_service_matches_all_three_answers() {
    let manager = manager(100);
    let tenants = [named(&manager, 1, "chat", 60), named(&manager, 2, "coder", 60)];
    let (mut running, mut queue, mut refused) = (Vec::new(), Vec::new(), 0);
    let mut todo: Vec<_> = (0..20).map(|n| (tenants[n % 2], 10 + 5 * (n as u64 % 5))).collect();
    let mut finished = 0;
    for round in 0..100 {
        todo.append(&mut queue);
        for (tenant, mb) in std::mem::take(&mut todo) {
            match ask(&manager, tenant, mb, &format!("task of {mb}"), MODEL) {
                Response::Granted { allocation_id } => running.push((tenant, allocation_id, mb)),
                Response::Queued { estimated_wait_time_secs } => {
                    assert!(estimated_wait_time_secs >= 1);
                    queue.push((tenant, mb));
                }
                Response::Denied { reason, .. } => {
                    assert!(
                        reason.contains("may hold at most its max_memory_mb of 60 MiB"),
                        "{reason}"
                    );
                    refused += 1;
                    queue.push((tenant, mb));
                }
            }
        }
        if round % 2 == 1 && !running.is_empty() {
            let (tenant, held, mb) = running.remove(0);
            release(&manager, tenant, &held, mb);
            finished += 1;
        }
        if finished == 20 {
            break;
        }
    }
    assert_eq!((finished, queue.len()), (20, 0));
    assert!(refused > 0);
    let page = all(&manager);
    assert_eq!((page.summary.waiting_requests, page.summary.total_allocations), (0, 0));
    assert_eq!(page.global_memory_status.allocated_memory_bytes, 0);
}

#[test]
fn the_answer_counts_down_and_is_never_zero() {
    let full = Full::new();
    assert_eq!(queued(full.ask()), 30);
    full.clock.advance_ns(12 * SECOND_NS + SECOND_NS / 2);
    assert_eq!(queued(full.ask()), 18, "17.5 s are left");
    full.pass(17);
    assert_eq!(queued(full.ask()), 1, "half a second is left");
    full.clock.advance_ns(SECOND_NS / 2);
    denied(full.ask());
}

#[test]
fn the_answer_is_the_estimate_where_one_is_known() {
    let full = Full::new();
    // 10 MiB a second are served.
    let kind = AllocationType::Inference;
    release(&full.manager, full.chat, &full.held[1], 10);
    let mut small = granted(ask(&full.manager, full.chat, 10, "first", kind));
    queued(full.ask());
    now(full.manager.explain(&request(full.coder, 50, "codestral", MODEL))).unwrap();
    for n in 0..5 {
        let name = format!("small {n}");
        let next = |name: &str| ask(&full.manager, full.chat, 10, name, kind);
        queued(next(&name));
        full.pass(1);
        release(&full.manager, full.chat, &small, 10);
        small = granted(next(&name));
    }
    let secs = queued(full.ask());
    assert!((1..25).contains(&secs), "{secs} s of at most 25");
    let request = request(full.coder, 50, "codestral", MODEL);
    let explained = now(full.manager.explain(&request)).unwrap();
    assert_eq!(explained.estimated_wait_time_secs, Some(secs));
    assert!(explained.to_string().ends_with(&format!("estimated wait: {secs} s")), "{explained}");
}

#[test]
fn who_is_told_to_come_back_sooner_is_waited_for_less() {
    let full = Full::new();
    let governor = full.manager.governor();
    let chat = governor.find(full.chat).unwrap();
    assert_eq!(queued(full.ask()), 30);
    // 10 MiB a second are served, to waiters that are none of the manager's.
    let small = Request::new(chat, AllocationType::Inference, 10 * MIB);
    let mut served = Vec::new();
    for _ in 0..5 {
        let mut ticket = governor.enqueue(&small, Duration::from_secs(9)).unwrap();
        full.pass(1);
        release(&full.manager, full.chat, &full.held[0], 10);
        served.push(ticket.poll().expect("10 MiB came free").unwrap());
    }
    let secs = queued(full.ask());
    assert!((1..15).contains(&secs), "{secs} s");
    full.pass(secs + 9);
    assert_eq!(full.usage(full.coder).waiting_requests, 1);
    full.pass(1);
    assert_eq!(full.usage(full.coder).waiting_requests, 0, "not after 40 s, as was told first");
}

#[test]
fn who_waited_as_long_as_it_may_is_denied() {
    let full = Full::new();
    queued(full.ask());
    full.pass(30);
    let (reason, available) = denied(full.ask());
    assert_eq!(
        reason,
        "waited 30 s in the queue: the pool of 100 MiB has 0 MiB left for tenant coder, 50 MiB \
         short of the 50 MiB it asks for; the largest holder is chat (100 MiB); try again when \
         memory was released"
    );
    assert_eq!(available, 0);
    full.nothing_is_left_of_coder();
    assert_eq!(queued(full.ask()), 30, "a new place");
}

#[test]
fn what_was_assigned_in_time_is_granted_later() {
    let full = Full::new();
    queued(full.ask());
    full.pass(29);
    full.make_room();
    full.pass(10);
    granted(full.ask());
}

#[test]
fn a_place_that_nobody_asks_for_lapses() {
    for how in 0..3 {
        let full = Full::new();
        queued(full.ask());
        full.pass(39);
        assert_eq!(queued(ask(&full.manager, full.chat, 1, "m", MODEL)), 30);
        assert_eq!(full.usage(full.coder).waiting_requests, 1, "30 s told, and 10 s kept");
        full.pass(1);
        // Somebody else's call is enough.
        match how {
            0 => drop(all(&full.manager)),
            1 => drop(now(full.manager.balance_memory()).unwrap()),
            _ => drop(full.usage(full.chat)),
        }
        assert_eq!(full.manager.governor().waiters(), 1, "that of the other tenant");
        assert_eq!(full.usage(full.coder).waiting_requests, 0);
    }
}

#[test]
fn what_was_assigned_and_is_not_fetched_goes_to_who_is_next() {
    let full = Full::new();
    let images = named(&full.manager, 3, "images", 100);
    queued(full.ask());
    full.make_room();
    full.pass(20);
    let next = || ask(&full.manager, images, 60, "sdxl", AllocationType::Inference);
    assert_eq!(queued(next()), 30);
    full.pass(19);
    queued(next());
    assert_eq!(full.in_queue_of(images), (1, 0));
    full.pass(1);
    // 40 s after the only answer: the next call of anybody serves who is next.
    let held = granted(next());
    full.nothing_is_left_of_coder();
    release(&full.manager, images, &held, 60);
    granted(full.ask());
}

#[test]
fn a_place_is_for_the_same_tenant_model_type_and_size() {
    let full = Full::new();
    queued(full.ask());
    let (manager, coder) = (&full.manager, full.coder);
    queued(ask(manager, coder, 50, "another", MODEL));
    queued(ask(manager, coder, 50, "codestral", AllocationType::Inference));
    queued(ask(manager, coder, 51, "codestral", MODEL));
    queued(ask(manager, full.chat, 50, "codestral", MODEL));
    assert_eq!(full.usage(coder).waiting_requests, 4);
    full.make_room();
    assert_eq!(full.in_queue_of(coder), (3, 50), "first in, first out");
    granted(full.ask());
    // And byte for byte.
    let exact = manager.request_allocation_bytes(coder, 51 * MIB, "codestral", MODEL);
    queued(now(exact).unwrap());
    assert_eq!(full.usage(coder).waiting_requests, 3);
}

#[test]
fn only_what_others_can_give_back_is_waited_for() {
    let full = Full::new();
    let (manager, coder) = (&full.manager, full.coder);
    let (reason, _) = denied(ask(manager, coder, 91, "m", MODEL));
    assert!(reason.contains("most its max_memory_mb of 90 MiB"), "its own limit: {reason}");
    let (reason, _) = denied(ask(manager, full.chat, 101, "m", MODEL));
    assert!(reason.ends_with("ask for less"), "more than there is: {reason}");
    assert_eq!(all(manager).summary.waiting_requests, 0);
    // All at once or not at all: a batch is never queued.
    let batch = now(manager.request_allocations(vec![request(coder, 50, "m", MODEL)])).unwrap();
    assert!(matches!(batch, MemoryBatchResponse::Denied { .. }), "{batch:?}");
    // Who holds memory while it waits for more can stand in its own way.
    let (reason, _) = denied(now(manager.grow_allocation(full.chat, &full.held[0], 1)).unwrap());
    assert!(reason.starts_with("the pool of 100 MiB has 0 MiB left"), "{reason}");
    assert_eq!(all(manager).summary.waiting_requests, 0);
}

#[test]
fn a_full_group_is_waited_for_as_well() {
    let full = Full::with(ManagerOptions::default(), |_| {});
    let (manager, governor) = (&full.manager, full.manager.governor());
    full.make_room();
    let team = GroupConfig { limit_bytes: Some(20 * MIB), ..GroupConfig::new("research") };
    let team = governor.register_group(team).unwrap();
    for number in [11, 12] {
        let config = TenantConfig { parent: Some(team), ..TenantConfig::new(id(number), "member") };
        now(manager.register_tenant_bytes(config)).unwrap();
    }
    let held = granted(ask(manager, id(11), 15, "m", MODEL));
    queued(ask(manager, id(12), 10, "m", MODEL));
    release(manager, id(11), &held, 15);
    granted(ask(manager, id(12), 10, "m", MODEL));
}

#[test]
fn nobody_is_queued_where_queueing_is_off() {
    let off = Full::with(ManagerOptions::default().queueing(false), |_| {});
    let (reason, _) = denied(off.ask());
    assert!(reason.ends_with("try again when memory was released"), "{reason}");
    let none = Full::with(ManagerOptions::default(), |governor| governor.waiters_max = 0);
    assert_eq!(denied(none.ask()).0, reason);
}

#[test]
fn places_are_bounded_for_each_tenant() {
    let full = Full::with(ManagerOptions::default().queue_places_max(2), |_| {});
    let (manager, coder) = (&full.manager, full.coder);
    queued(full.ask());
    queued(ask(manager, coder, 20, "second", MODEL));
    let third = || ask(manager, coder, 30, "third", MODEL);
    let (reason, available) = denied(third());
    assert_eq!(
        reason,
        "the pool of 100 MiB has 0 MiB left for tenant coder, 30 MiB short of the 30 MiB it asks \
         for; the largest holder is chat (100 MiB); ask again for one of the requests it has in \
         the queue, 2 at most (queue_places_max)"
    );
    assert_eq!(available, 0);
    queued(ask(manager, full.chat, 1, "another tenant", MODEL));
    full.make_room();
    granted(full.ask());
    queued(third());
}

#[test]
fn places_are_bounded_for_all_tenants_together() {
    let full = Full::with(ManagerOptions::default(), |governor| governor.waiters_max = 1);
    queued(full.ask());
    let (reason, _) = denied(ask(&full.manager, full.coder, 20, "second", MODEL));
    assert_eq!(
        reason,
        "the pool of 100 MiB has 0 MiB left for tenant coder, 20 MiB short of the 20 MiB it asks \
         for; the largest holder is chat (100 MiB); try again later, for all 1 places in the queue \
         are taken (waiters_max)"
    );
}

#[test]
fn a_freeze_and_a_drain_end_what_is_queued() {
    for drains in [false, true] {
        for assigned in [false, true] {
            let full = Full::new();
            queued(full.ask());
            if assigned {
                full.make_room();
            }
            let next = named(&full.manager, 3, "next", 100);
            let wide = || ask(&full.manager, next, 55, "m", MODEL);
            queued(wide());
            match drains {
                true => drop(now(full.manager.drain_tenant(full.coder)).unwrap()),
                false => now(full.manager.freeze_tenant(full.coder)).unwrap(),
            }
            assert_eq!(full.in_queue_of(full.coder), (0, 0));
            let (reason, available) = denied(full.ask());
            let state = if drains { "being drained" } else { "frozen" };
            assert!(reason.starts_with(&format!("tenant coder is {state}: it keeps")), "{reason}");
            assert_eq!(available, 0);
            // What was assigned has gone to who is next.
            assert_eq!(full.in_queue_of(next), if assigned { (0, 55) } else { (1, 0) });
            now(full.manager.thaw_tenant(full.coder)).unwrap();
            queued(full.ask());
        }
    }
}

#[test]
fn places_end_with_their_tenant() {
    for assigned in [false, true] {
        for force in [false, true] {
            let full = Full::new();
            queued(full.ask());
            if assigned {
                full.make_room();
            }
            match force {
                // Bytes of allocations: it held none.
                true => assert_eq!(now(full.manager.unregister_tenant_by_force(full.coder)), Ok(0)),
                false => now(full.manager.unregister_tenant(full.coder)).unwrap(),
            }
            assert_eq!(full.manager.governor().waiters(), 0);
            let page = all(&full.manager);
            assert_eq!(page.summary.waiting_requests, 0);
            let left = if assigned { 40 } else { 100 };
            assert_eq!(page.global_memory_status.allocated_memory_mb, left);
            let asked = full.manager.request_allocation(request(full.coder, 50, "m", MODEL));
            assert_eq!(now(asked), Err(MemoryError::UnknownTenant(full.coder)));
            // One of the same name begins anew.
            named(&full.manager, 2, "coder", 90);
            match (full.ask(), assigned) {
                (Response::Granted { .. }, true) | (Response::Queued { .. }, false) => {}
                (other, _) => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn a_leave_that_is_refused_leaves_what_waits() {
    let full = Full::new();
    queued(ask(&full.manager, full.chat, 30, "more", AllocationType::Inference));
    let refused = now(full.manager.unregister_tenant(full.chat)).unwrap_err();
    assert!(matches!(refused, MemoryError::TenantHoldsMemory { .. }), "{refused}");
    assert_eq!(full.in_queue_of(full.chat), (1, 0));
}

#[test]
fn nobody_waits_while_only_observing() {
    let full = Full::new();
    queued(full.ask());
    now(full.manager.set_observe_only(true));
    assert_eq!(full.manager.governor().waiters(), 0);
    let held = granted(full.ask());
    let usage = full.usage(full.coder);
    assert_eq!((usage.observed_over_mb, usage.waiting_requests), (50, 0));
    let explained = now(full.manager.explain(&request(full.coder, 50, "m", MODEL))).unwrap();
    assert!(!explained.would_be_queued);
    release(&full.manager, full.coder, &held, 50);
    now(full.manager.set_observe_only(false));
    queued(full.ask());
    // What was assigned before the switch is not lost either.
    full.make_room();
    now(full.manager.set_observe_only(true));
    assert_eq!(full.in_queue(), (0, 0));
    granted(full.ask());
    assert_eq!(full.usage(full.coder).observed_over_mb, 0, "there was room");
}

#[test]
fn of_many_who_ask_for_the_same_place_one_gets_it() {
    for _ in 0..50 {
        let full = Full::new();
        queued(full.ask());
        full.make_room();
        let asking = std::sync::Barrier::new(4);
        let ids: Vec<String> = std::thread::scope(|scope| {
            let one = || {
                asking.wait();
                match full.ask() {
                    Response::Granted { allocation_id } => Some(allocation_id),
                    // 10 MiB are left: the others have a place of their own.
                    Response::Queued { .. } => None,
                    // Two of 50 are more than 90.
                    Response::Denied { reason, .. } => {
                        assert!(reason.contains("max_memory_mb of 90 MiB"), "{reason}");
                        None
                    }
                }
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(one)).collect();
            threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(ids.len(), 1, "{ids:?}");
        assert_eq!(allocated_mb(&full.manager, full.coder), 50);
        release(&full.manager, full.coder, &ids[0], 50);
    }
}

#[test]
fn asking_again_evicts_what_was_busy_or_pinned() {
    let full = Full::with(ManagerOptions::default(), |_| {});
    let (manager, chat) = (&full.manager, full.chat);
    full.make_room();
    let low = TenantMemoryConfig { priority: TenantPriority::Low, ..tenant(3, 100) };
    now(manager.register_tenant(low)).unwrap();
    let kv = cache(manager, id(3), 60);
    now(manager.pin_allocation(id(3), &kv, true)).unwrap();
    let again = || ask(manager, chat, 30, "run", AllocationType::Inference);
    queued(again());
    now(manager.pin_allocation(id(3), &kv, false)).unwrap();
    full.pass(1);
    granted(again());
    assert_eq!(now(manager.release_allocation(id(3), &kv, 60)), Ok(Released::Evicted));
}

#[test]
fn to_ask_again_costs_nothing_of_the_rate() {
    let full = Full::new();
    now(full.manager.set_request_rate(full.coder, Some(1))).unwrap();
    queued(full.ask());
    for _ in 0..10 {
        queued(full.ask());
    }
    let (reason, _) = denied(ask(&full.manager, full.coder, 1, "another", MODEL));
    assert!(reason.contains("may ask 1.000 times a second"), "{reason}");
    full.make_room();
    granted(full.ask());
}

#[test]
fn an_explanation_says_whether_it_would_wait_and_behind_how_much() {
    let full = Full::new();
    let explain =
        |tenant, mb| now(full.manager.explain(&request(tenant, mb, "codestral", MODEL))).unwrap();
    let first = explain(full.coder, 50);
    assert!(!first.would_be_granted && first.would_be_queued && first.waiting_can_help);
    assert_eq!((first.queued_behind_bytes, first.estimated_wait_time_secs), (Some(0), None));
    assert!(
        first.to_string().ends_with(
            "\n  waiting can help\n  would be queued behind 0 MiB; estimated wait: unknown"
        ),
        "{first}"
    );
    assert_eq!(full.manager.governor().waiters(), 0, "it asks for no place");
    queued(full.ask());
    assert_eq!(explain(full.coder, 50).queued_behind_bytes, Some(0), "it is the first");
    assert_eq!(explain(full.coder, 60).queued_behind_bytes, Some(50 * MIB));
    let never = explain(full.coder, 91);
    assert!(!never.would_be_queued);
    assert_eq!(never.queued_behind_bytes, None);
    full.make_room();
    let ready = explain(full.coder, 50);
    assert!(ready.would_be_granted && !ready.would_be_queued);
    now(full.manager.freeze_tenant(full.coder)).unwrap();
    assert!(!explain(full.coder, 60).would_be_queued);
}

#[test]
fn options_of_the_queue_name_what_is_wrong() {
    let refused = |options: ManagerOptions| {
        Manager::try_new_with(memory(1), options).unwrap_err().to_string()
    };
    let options = ManagerOptions::default;
    assert_eq!(
        refused(options().queue_wait_max(Duration::ZERO)),
        "queue_wait_max: 0 s is out of range; use more than 0 s, up to 86400 s (24 h)"
    );
    assert_eq!(
        refused(options().queue_wait_max(Duration::from_secs(86_401))),
        "queue_wait_max: 86401 s is out of range; use more than 0 s, up to 86400 s (24 h)"
    );
    assert_eq!(
        refused(options().queue_keep(Duration::ZERO)),
        "queue_keep: 0 s is out of range; use more than 0 s, up to the queue_wait_max of 30 s"
    );
    let five = Duration::from_secs(5);
    assert_eq!(
        refused(options().queue_wait_max(five).queue_keep(five + five)),
        "queue_keep: 10 s is out of range; use more than 0 s, up to the queue_wait_max of 5 s"
    );
    // Where it is not set it is no longer than the longest wait.
    assert!(Manager::try_new_with(memory(1), options().queue_wait_max(five)).is_ok());
    for none_or_many in [0, 65_537] {
        assert_eq!(
            refused(options().queue_places_max(none_or_many)),
            format!(
                "queue_places_max: {none_or_many} is out of range; use 1 to 65536, or switch \
                 queueing off to queue nothing"
            )
        );
    }
    let short = options().queue_wait_max(five).queue_keep(five);
    assert!(Manager::try_new_with(memory(1), short).is_ok());
}

#[test]
fn what_is_set_is_in_force() {
    let options = ManagerOptions::default()
        .queue_wait_max(Duration::from_secs(4))
        .queue_keep(Duration::from_millis(500));
    let full = Full::with(options, |_| {});
    assert_eq!(queued(full.ask()), 4);
    full.clock.advance_ns(4 * SECOND_NS + SECOND_NS / 2 - 1);
    let (reason, _) = denied(full.ask());
    assert!(reason.starts_with("waited 4.500 s in the queue: the pool"), "{reason}");
    assert_eq!(queued(full.ask()), 4);
    full.clock.advance_ns(4 * SECOND_NS + SECOND_NS / 2);
    assert_eq!(queued(full.ask()), 4, "it has lapsed, and this is a new place");
    assert_eq!(full.in_queue(), (1, 0));
}
