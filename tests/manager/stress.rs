//! Many threads at once: owners, evictions, drains and revocations against the manager's records.

use super::*;
use std::collections::HashMap;
use std::sync::Mutex;

const THREADS: u64 = 4;
const ROUNDS: u64 = 1_500;
const KINDS: [AllocationType; 4] = AllocationType::ALL;

/// A number after a number, the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// Nothing is held twice and nothing lost: what the governor counts is what the records say.
fn adds_up(manager: &Manager) {
    let page = all(manager);
    let sum = |tenant: &TenantUsage| tenant.models.iter().map(|model| model.bytes).sum::<u64>();
    for tenant in &page.tenant_summaries {
        let held = tenant.allocated_memory_bytes + tenant.observed_over_bytes;
        assert_eq!(sum(tenant) + tenant.assigned_memory_bytes, held, "{tenant:?}");
    }
    let all: u64 = page.tenant_summaries.iter().map(sum).sum();
    let global = &page.global_memory_status;
    let held = global.allocated_memory_bytes + global.observed_over_bytes;
    assert_eq!(all + global.assigned_memory_bytes, held, "M3");
    assert_eq!(manager.governor().snapshot().live_bytes, global.allocated_memory_bytes);
}

/// Ends what is queued.
fn empty_the_queue(manager: &Manager) {
    for tenant in all(manager).tenant_summaries {
        now(manager.freeze_tenant(tenant.tenant_id)).unwrap();
        now(manager.thaw_tenant(tenant.tenant_id)).unwrap();
    }
    let page = all(manager);
    assert_eq!(page.summary.waiting_requests, 0);
    assert_eq!(page.global_memory_status.assigned_memory_bytes, 0);
}

/// Awaits its turn for a few polls, then gives up.
fn await_a_while(
    manager: &Manager,
    dice: &mut Dice,
    request: MemoryAllocationRequest,
    mine: &Mutex<HashMap<String, u64>>,
) {
    let mb = request.requested_memory_mb;
    let mut turn = pin!(manager.acquire_allocation(request, Duration::from_secs(1)));
    for _ in 0..1 + dice.below(3) {
        match turn.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => std::thread::yield_now(),
            Poll::Ready(Ok(Response::Granted { allocation_id })) => {
                mine.lock().unwrap().insert(allocation_id, mb);
                return;
            }
            Poll::Ready(answer) => return drop(answer.unwrap()),
        }
    }
}

/// What one thread does with one of its tenants' allocations.
fn one_step(
    manager: &Manager,
    dice: &mut Dice,
    tenant: TenantId,
    mine: &Mutex<HashMap<String, u64>>,
) {
    let (mb, kind) = (1 + dice.below(9), KINDS[dice.below(4) as usize]);
    let pick = |dice: &mut Dice| {
        let mut mine = mine.lock().unwrap();
        let nth = dice.below(mine.len().max(1) as u64) as usize;
        let key = mine.keys().nth(nth).cloned()?;
        mine.remove_entry(&key)
    };
    match dice.below(8) {
        0..=2 => {
            if let Response::Granted { allocation_id } = ask(manager, tenant, mb, "m", kind) {
                mine.lock().unwrap().insert(allocation_id, mb);
            }
        }
        3 if dice.below(4) == 0 => {
            await_a_while(manager, dice, request(tenant, mb, "m", kind), mine)
        }
        3 | 4 => {
            // Whoever takes an entry out of the map is alone with that allocation, but for
            // evictions, drains and revocations.
            let Some((id, held)) = pick(dice) else { return };
            now(manager.release_allocation(tenant, &id, held)).unwrap();
        }
        5 => {
            let Some((id, held)) = pick(dice) else { return };
            if held > 1 {
                match now(manager.release_allocation(tenant, &id, 1)) {
                    Ok(Released::Returned) => drop(mine.lock().unwrap().insert(id, held - 1)),
                    Ok(Released::Evicted) => {}
                    // Being evicted; whether it went after all, the end will tell.
                    Err(MemoryError::AllocationEnded { .. }) => {
                        mine.lock().unwrap().insert(id, held);
                    }
                    Err(error) => panic!("{error}"),
                }
            } else {
                mine.lock().unwrap().insert(id, held);
            }
        }
        6 => {
            let Some((id, held)) = pick(dice) else { return };
            let grown = match now(manager.grow_allocation(tenant, &id, 1)) {
                Ok(Response::Granted { .. }) => 1,
                Ok(_) | Err(MemoryError::AllocationEnded { .. }) => 0,
                // It went while it grew, and somebody else has its slot.
                Err(MemoryError::UnknownAllocation { .. }) => 0,
                Err(error) => panic!("{error}"),
            };
            mine.lock().unwrap().insert(id, held + grown);
        }
        _ => {
            let Some((id, held)) = pick(dice) else { return };
            if dice.below(4) == 0 {
                match now(manager.revoke_allocation(tenant, &id)) {
                    Ok(bytes) => assert_eq!(bytes, held * MIB),
                    Err(MemoryError::AllocationEnded { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            } else {
                let _ = now(manager.touch_allocation(tenant, &id));
            }
            mine.lock().unwrap().insert(id, held);
        }
    }
}

fn hammer(manager: &Manager, seed: u64) {
    let tenants: Vec<TenantId> = (1..=3).map(id).collect();
    let held: Vec<Mutex<HashMap<String, u64>>> = tenants.iter().map(|_| Mutex::default()).collect();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (tenants, held) = (&tenants, &held);
            scope.spawn(move || {
                let mut dice = Dice(seed + thread);
                for round in 0..ROUNDS {
                    let which = dice.below(3) as usize;
                    one_step(manager, &mut dice, tenants[which], &held[which]);
                    if thread == 0 && round % 64 == 0 {
                        now(manager.balance_memory()).unwrap();
                        now(manager.drain_tenant(tenants[which])).unwrap();
                        now(manager.thaw_tenant(tenants[which])).unwrap();
                    }
                    if thread == 1 && round % 256 == 128 {
                        now(manager.set_observe_only(round % 512 == 128));
                    }
                }
            });
        }
    });
    now(manager.set_observe_only(false));
    adds_up(manager);
    empty_the_queue(manager);
    adds_up(manager);
    for (tenant, held) in tenants.iter().zip(held) {
        for (id, mb) in held.into_inner().unwrap() {
            now(manager.release_allocation(*tenant, &id, mb)).unwrap();
        }
        let left = now(manager.get_tenant_usage(*tenant)).unwrap();
        assert_eq!((left.allocated_memory_bytes, left.allocations), (0, 0));
        assert_eq!(left.observed_over_bytes, 0);
    }
    assert_eq!(all(manager).global_memory_status.allocated_memory_bytes, 0);
}

fn crowded(busy_cooldown_ns: u64) -> Manager {
    let options = ManagerOptions::default().governor(move |governor| {
        governor.tenants_max = 8;
        governor.grants_max = 4_096;
        governor.busy_cooldown_ns = busy_cooldown_ns;
    });
    let manager = Manager::try_new_with(memory(120), options).unwrap();
    let priorities = [TenantPriority::Low, TenantPriority::Normal, TenantPriority::Critical];
    for (number, priority) in (1..).zip(priorities) {
        let config =
            TenantMemoryConfig { priority, guaranteed_memory_mb: 10, ..tenant(number, 80) };
        now(manager.register_tenant(config)).unwrap();
    }
    manager
}

#[test]
fn records_and_governor_agree_when_nobody_is_asked() {
    let manager = crowded(1);
    hammer(&manager, 1);
    let evicted: u64 =
        all(&manager).tenant_summaries.iter().map(|tenant| tenant.evicted_allocations).sum();
    assert!(evicted > 0, "a crowded pool evicts");
}

#[test]
fn records_and_governor_agree_with_owners_of_every_kind() {
    let manager = crowded(1);
    let dice = Mutex::new(Dice(7));
    manager.on_evict(move |_| match dice.lock().unwrap().below(4) {
        0 => ReclaimAnswer::Busy,
        1 => ReclaimAnswer::Deferred,
        _ => ReclaimAnswer::Freed,
    });
    hammer(&manager, 100);
}

#[test]
fn a_freeze_is_over_when_it_returns() {
    let manager = crowded(1);
    let asking = Mutex::new(true);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while *asking.lock().unwrap() {
                    if let Response::Granted { allocation_id } = inference(&manager, id(1), 2) {
                        let _ = now(manager.grow_allocation(id(1), &allocation_id, 1));
                    }
                }
            });
        }
        for _ in 0..200 {
            now(manager.freeze_tenant(id(1))).unwrap();
            let before = now(manager.get_tenant_usage(id(1))).unwrap();
            let ids = before.allocations;
            std::thread::yield_now();
            let after = now(manager.get_tenant_usage(id(1))).unwrap();
            assert!(after.allocations <= ids, "{} after {ids}", after.allocations);
            now(manager.thaw_tenant(id(1))).unwrap();
            now(manager.drain_tenant(id(1))).unwrap();
            now(manager.thaw_tenant(id(1))).unwrap();
        }
        *asking.lock().unwrap() = false;
    });
    now(manager.unregister_tenant_by_force(id(1))).unwrap();
    adds_up(&manager);
}

#[test]
fn tenants_come_and_go_while_everybody_asks() {
    let manager = crowded(1);
    let asking = Mutex::new(true);
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let (manager, asking) = (&manager, &asking);
            scope.spawn(move || {
                let mut dice = Dice(thread);
                while *asking.lock().unwrap() {
                    let tenant = id(1 + u128::from(dice.below(3)));
                    let (mb, kind) = (1 + dice.below(9), KINDS[dice.below(4) as usize]);
                    let pair = vec![request(tenant, mb, "m", kind); 2];
                    let ids = match now(manager.request_allocations(pair)) {
                        Ok(MemoryBatchResponse::Granted { allocation_ids }) => allocation_ids,
                        Ok(_) | Err(MemoryError::UnknownTenant(_)) => continue,
                        Err(error) => panic!("{error}"),
                    };
                    for held in ids {
                        match now(manager.release_allocation(tenant, &held, mb)) {
                            // Its tenant is another one by now, or gone.
                            Ok(_)
                            | Err(MemoryError::UnknownTenant(_))
                            | Err(MemoryError::UnknownAllocation { .. }) => {}
                            Err(error) => panic!("{error}"),
                        }
                    }
                }
            });
        }
        for round in 0..300 {
            let number = 1 + round % 3;
            now(manager.unregister_tenant_by_force(id(number))).unwrap();
            is_gone(&manager, id(number));
            now(manager.register_tenant(tenant(number, 80))).unwrap();
        }
        *asking.lock().unwrap() = false;
    });
    adds_up(&manager);
    for number in 1..=3 {
        now(manager.unregister_tenant_by_force(id(number))).unwrap();
    }
    assert_eq!(manager.governor().snapshot().live_bytes, 0);
}

/// A tenant that is gone is gone for every verb.
fn is_gone(manager: &Manager, tenant: TenantId) {
    let kind = AllocationType::Cache;
    let asked = now(manager.request_allocation(request(tenant, 1, "m", kind)));
    assert_eq!(asked, Err(MemoryError::UnknownTenant(tenant)));
}

/// Whoever is queued comes back or does not, while the clock runs away below everybody's places.
#[test]
fn places_lapse_while_everybody_asks() {
    const STEP_NS: u64 = 50_000_000;
    let clock = ManualClock::new();
    let seconds = Duration::from_secs;
    let options = ManagerOptions::default().queue_wait_max(seconds(2)).queue_keep(seconds(1));
    let manager = clocked(60, &clock, options.queue_places_max(6), |_| {});
    for number in 1..=3 {
        named(&manager, number, "tenant", 40);
    }
    let answers: [u64; 3] = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (manager, clock) = (&manager, &clock);
                scope.spawn(move || {
                    let (mut dice, mut answers) = (Dice(thread), [0; 3]);
                    let mut mine = Vec::new();
                    for _ in 0..ROUNDS {
                        let tenant = id(1 + u128::from(dice.below(3)));
                        let mb = 5 + 5 * dice.below(5);
                        match ask(manager, tenant, mb, "m", AllocationType::ModelLoad) {
                            Response::Granted { allocation_id } => {
                                mine.push((tenant, allocation_id, mb));
                                answers[0] += 1;
                            }
                            Response::Queued { .. } => answers[1] += 1,
                            Response::Denied { .. } => answers[2] += 1,
                        }
                        if mine.len() > dice.below(4) as usize {
                            let (tenant, held, mb) = mine.swap_remove(0);
                            release(manager, tenant, &held, mb);
                        }
                        clock.advance_ns(dice.below(2) * STEP_NS);
                        // One figure: a sum over tenants may count bytes that move meanwhile twice.
                        assert!(manager.governor().snapshot().claimed_bytes <= 60 * MIB);
                    }
                    for (tenant, held, mb) in mine {
                        release(manager, tenant, &held, mb);
                    }
                    answers
                })
            })
            .collect();
        let all = threads.into_iter().map(|thread| thread.join().unwrap());
        all.fold([0; 3], |sum, of| std::array::from_fn(|i| sum[i] + of[i]))
    });
    assert!(answers.iter().all(|&count| count > 0), "{answers:?}");
    adds_up(&manager);
    clock.advance_ns(3 * 1_000_000_000);
    let page = all(&manager);
    assert_eq!(page.summary.waiting_requests, 0);
    assert_eq!(page.global_memory_status.allocated_memory_bytes, 0, "{page:?}");
    assert_eq!(manager.governor().waiters(), 0);
}
