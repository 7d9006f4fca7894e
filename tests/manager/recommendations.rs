//! What the dashboard recommends: from which figure, in which words, and when it does not.

use super::*;

fn said(monitored: &Monitored) -> Vec<(RecommendationKind, String)> {
    let page = now(monitored.manager.get_tenant_dashboard()).unwrap();
    page.recommendations.iter().map(|advice| (advice.kind, advice.to_string())).collect()
}

fn model(manager: &Manager, tenant: TenantId, mb: u64) -> Response {
    ask(manager, tenant, mb, "llama", AllocationType::ModelLoad)
}

/// A tenant with a guarantee and a name.
fn guaranteed(manager: &Manager, number: u128, name: &str, mb: u64) -> TenantId {
    let config = TenantMemoryConfig { guaranteed_memory_mb: mb, ..tenant(number, 1_000) };
    now(manager.register_tenant(config)).unwrap();
    now(manager.set_tenant_name(id(number), name)).unwrap();
    id(number)
}

#[test]
fn denials_just_above_the_guarantee_ask_for_more_of_it() {
    let monitored = Monitored::new(1_000);
    let manager = &monitored.manager;
    let one = guaranteed(manager, 1, "chat", 500);
    let two = named(manager, 2, "coder", 1_000);
    granted(model(manager, one, 500));
    granted(model(manager, two, 400));
    granted(model(manager, two, 100));
    for _ in 0..2 {
        denied(model(manager, one, 50));
    }
    assert_eq!(said(&monitored), [], "two are an accident");
    for _ in 2..41 {
        denied(model(manager, one, 50));
    }
    assert_eq!(
        said(&monitored),
        [
            (
                RecommendationKind::RaiseGuarantee,
                "raise the guarantee of chat from 500 MiB to 550 MiB: 41 denials inside 10 % \
                 above it"
                    .to_string()
            ),
            (
                RecommendationKind::AddMemory,
                "add memory (max_memory_mb of the manager): the pool denied 41 requests, and \
                 100 % of what is claimed of it is in use"
                    .to_string()
            ),
        ]
    );
}

#[test]
fn waits_just_above_the_guarantee_ask_for_more_of_it() {
    let manager = clocked(1_000, &ManualClock::new(), ManagerOptions::default(), |_| {});
    let monitored = Monitored { manager, clock: ManualClock::new() };
    let manager = &monitored.manager;
    let one = guaranteed(manager, 1, "chat", 500);
    let two = named(manager, 2, "coder", 1_000);
    granted(model(manager, one, 500));
    granted(model(manager, two, 500));
    for mb in 1..=3 {
        // However often it is asked, it waits once.
        for _ in 0..5 {
            assert!(matches!(model(manager, one, mb), Response::Queued { .. }));
        }
    }
    let texts: Vec<String> = said(&monitored).into_iter().map(|(_, text)| text).collect();
    assert_eq!(
        texts,
        [
            "raise the guarantee of chat from 500 MiB to 550 MiB: 3 waits inside 10 % above it",
            "add memory (max_memory_mb of the manager): the pool let 3 requests wait, and 100 % of \
             what is claimed of it is in use",
        ]
    );
}

#[test]
fn a_guarantee_that_is_never_used_is_too_high() {
    let monitored = Monitored::new(1_000);
    let manager = &monitored.manager;
    let one = guaranteed(manager, 1, "chat", 600);
    let two = named(manager, 2, "coder", 1_000);
    granted(model(manager, one, 100));
    granted(model(manager, two, 350));
    (0..3).for_each(|_| drop(denied(model(manager, two, 100))));
    monitored.look(1);
    assert_eq!(said(&monitored), [], "it may still need it");
    monitored.look(600);
    let text = "lower the guarantee of chat from 600 MiB to 110 MiB: it never held more than \
                100 MiB, while the pool denied 3 requests of others";
    let silent = "release or unpin models of chat: it has not asked for 10 minutes and holds \
                  100 MiB that nobody may evict, while the pool denied 3 requests of others";
    assert_eq!(
        said(&monitored),
        [
            (RecommendationKind::LowerGuarantee, text.to_string()),
            (RecommendationKind::ReleaseModels, silent.to_string()),
        ]
    );
    assert_eq!(monitored.usage(one).unevictable_memory_bytes, 100 * MIB);
}

#[test]
fn a_limit_in_the_way_while_there_is_room_is_too_low() {
    let monitored = Monitored::new(1_000);
    let one = named(&monitored.manager, 1, "chat", 100);
    for _ in 0..12 {
        denied(inference(&monitored.manager, one, 101));
    }
    let text = "raise max_memory_mb of chat above 100 MiB: 12 denials at its own limit while the \
                pool had room";
    assert_eq!(said(&monitored), [(RecommendationKind::RaiseLimit, text.to_string())]);
    let full = Monitored::new(1_000);
    let one = named(&full.manager, 1, "chat", 100);
    let two = named(&full.manager, 2, "coder", 1_000);
    granted(model(&full.manager, two, 900));
    for _ in 0..12 {
        denied(inference(&full.manager, one, 101));
    }
    assert_eq!(said(&full), [], "the pool has no room for it");
}

#[test]
fn a_silent_tenant_of_high_priority_keeps_others_out() {
    let monitored = Monitored::new(1_000);
    let manager = &monitored.manager;
    let high = TenantMemoryConfig { priority: TenantPriority::High, ..tenant(1, 1_000) };
    now(manager.register_tenant(high)).unwrap();
    now(manager.set_tenant_name(id(1), "search")).unwrap();
    let two = named(manager, 2, "coder", 1_000);
    cache(manager, id(1), 800);
    (0..3).for_each(|_| drop(denied(inference(manager, two, 300))));
    monitored.look(1);
    monitored.look(60 * 25);
    let text = "lower the priority of search from high: it has not asked for 25 minutes and holds \
                800 MiB that could be evicted, while the pool denied 3 requests of others";
    let lower = (RecommendationKind::LowerPriority, text.to_string());
    assert!(said(&monitored).contains(&lower), "{:?}", said(&monitored));
    cache(manager, id(1), 1);
    monitored.look(1);
    assert!(!said(&monitored).contains(&lower), "it asks again");
}

#[test]
fn handlers_that_panic_or_take_long_are_named() {
    let monitored = Monitored::new(1_000);
    let manager = &monitored.manager;
    let one = named(manager, 1, "chat", 100);
    let clock = monitored.clock.clone();
    manager.on_evict(move |_| {
        clock.advance_ns(2_300_000_000);
        ReclaimAnswer::Freed
    });
    cache(manager, one, 60);
    granted(inference(manager, one, 50));
    let text = "shorten the on_evict callback for chat: it took longer than 1000 ms once, at most \
                2300 ms";
    assert_eq!(said(&monitored), [(RecommendationKind::ShortenReclaim, text.to_string())]);
    manager.on_evict(|_| panic!("the owner's own fault"));
    cache(manager, one, 50);
    denied(inference(manager, one, 50));
    let text =
        "fix the on_evict callback for chat: it panicked once, and nothing was freed by that";
    assert_eq!(said(&monitored), [(RecommendationKind::FixReclaim, text.to_string())]);
    let mut alerts = manager.alerts();
    monitored.look(1);
    let kinds: Vec<AlertKind> =
        std::iter::from_fn(|| alerts.try_next()).map(|alert| alert.kind).collect();
    assert!(kinds.contains(&AlertKind::ReclaimPanicked), "{kinds:?}");
    assert!(kinds.contains(&AlertKind::ReclaimTimedOut), "{kinds:?}");
}

#[test]
fn a_tenant_that_floods_is_to_be_slowed_down() {
    let monitored = Monitored::new(1_000);
    let manager = &monitored.manager;
    let (one, two) = (named(manager, 1, "scan", 100), named(manager, 2, "chat", 900));
    granted(model(manager, two, 900));
    for _ in 0..99 {
        denied(inference(manager, one, 101));
    }
    assert_eq!(said(&monitored), []);
    denied(inference(manager, one, 101));
    let text = "limit the requests of scan with set_request_rate: 100 of all 101 were its own, \
                and 100 of those were denied";
    assert_eq!(said(&monitored), [(RecommendationKind::LimitRate, text.to_string())]);
}

#[test]
fn there_are_at_most_sixteen_and_the_weightiest_come_first() {
    let monitored = Monitored::new(10_000);
    for number in 1..=20 {
        let tenant = named(&monitored.manager, number, &format!("t{number}"), 100);
        for _ in 0..3 + number {
            denied(inference(&monitored.manager, tenant, 101));
        }
    }
    let page = now(monitored.manager.get_tenant_dashboard()).unwrap();
    let weights: Vec<u64> = page.recommendations.iter().map(|advice| advice.weight).collect();
    assert_eq!(weights, (8..=23).rev().collect::<Vec<u64>>());
}
