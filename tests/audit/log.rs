//! The log of a governor at work: everything is in it, and while it has no room each mode keeps its
//! promise.

use super::*;
use allotment::os::ManualClock;
use allotment::*;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

const CAPACITY: u64 = 1 << 40;

fn governor(audit: AuditMode, config: GovernorConfig) -> Arc<Governor> {
    // Small enough to be full now and then.
    let events_max = AuditMode::EVENTS_MIN;
    Arc::new(Governor::new(GovernorConfig { audit, events_max, ..config }).unwrap())
}

fn tenant(governor: &Governor, number: u128) -> TenantHandle {
    let name = format!("tenant {number}");
    governor.register_tenant(TenantConfig::new(TenantId::from_u128(number), name)).unwrap()
}

fn start(governor: &Arc<Governor>, scratch: &Scratch) -> AuditLog {
    let (sync, buffer_records_max) = (SyncPolicy::Never, 2_048);
    let options = JournalOptions { sync, buffer_records_max, ..JournalOptions::default() };
    AuditLog::start(governor, &scratch.log(), &key(), options).unwrap()
}

fn cache(of: TenantHandle, bytes: u64) -> Request {
    Request::new(of, AllocationType::Cache, bytes)
}

/// What a log says, in order.
fn bodies(folder: &Path) -> Vec<Body> {
    records(folder).iter().map(Record::body).collect()
}

fn events(folder: &Path) -> Vec<Event> {
    let event = |body| if let Body::Event(event) = body { Some(event) } else { None };
    bodies(folder).into_iter().filter_map(event).collect()
}

fn count(folder: &Path, kind: EventKind) -> u64 {
    events(folder).iter().filter(|event| event.kind == kind).count() as u64
}

/// The configurations with their topics, in order.
fn configured(folder: &Path) -> Vec<(u8, Configured)> {
    let mut texts = Texts::default();
    let text = |body| if let Body::Text(part) = body { Some(part) } else { None };
    let parts = bodies(folder).into_iter().filter_map(text);
    let whole = parts.filter_map(|part| texts.push(&part)).map(|(topic, _, text)| (topic, text));
    whole.map(|(topic, text)| (topic, Configured::parse(&text).expect("a configuration"))).collect()
}

fn is_sound(folder: &Path, head: &Head) -> Verdict {
    let verdict = verify(folder, &key(), Some(head)).unwrap();
    assert!(verdict.is_intact() && verdict.sealed, "{verdict:?}");
    verdict
}

#[test]
fn what_the_program_notes_is_in_it_in_order_and_nobody_takes_it_for_a_configuration() {
    let scratch = Scratch::new();
    let governor = governor(AuditMode::FailClosed, GovernorConfig::new(100));
    let log = start(&governor, &scratch);
    let chat = tenant(&governor, 1);
    log.flush().unwrap();
    let as_a_tenant = Configured::Tenant(chat, TenantConfig::new(TenantId::nil(), "other")).text();
    // One that is cut does not end within a character.
    let long = "é".repeat(TEXT_BYTES_MAX);
    for note in ["", "limit: 1 -> 2", &as_a_tenant, &long] {
        log.note(note).unwrap();
    }
    let head = log.close().unwrap();
    is_sound(&scratch.log(), &head);
    let mut texts = Texts::default();
    let text = |body| if let Body::Text(part) = body { Some(part) } else { None };
    let whole = bodies(&scratch.log()).into_iter().filter_map(text);
    let whole = whole.filter_map(|part| texts.push(&part));
    let notes: Vec<_> = whole.filter(|(topic, ..)| *topic == NOTED_TOPIC).collect();
    let ids: Vec<u64> = notes.iter().map(|(_, id, _)| *id).collect();
    let wanted = ["", "limit: 1 -> 2", &as_a_tenant].map(|note| format!("noted\n{note}"));
    let told: Vec<&String> = notes.iter().map(|(.., text)| text).collect();
    assert_eq!((&ids[..], &told[..3]), (&[1, 2, 3, 4][..], &wanted.each_ref()[..]));
    assert!((TEXT_BYTES_MAX - 1..=TEXT_BYTES_MAX).contains(&told[3].len()));
    assert!(told.iter().all(|text| Configured::parse(text).is_none()));
}

#[test]
fn what_happened_is_in_it_in_order() {
    let scratch = Scratch::new();
    let clock = ManualClock::new();
    let config = GovernorConfig { clock: clock.clone().into(), ..GovernorConfig::new(100) };
    let governor = governor(AuditMode::FailClosed, config);
    let log = start(&governor, &scratch);
    let team = governor.register_group(GroupConfig::new("team")).unwrap();
    let config = TenantConfig { parent: Some(team), ..TenantConfig::new(TenantId::nil(), "chat") };
    let chat = governor.register_tenant(config).unwrap();
    clock.set_ns(5);
    let grant = governor.request(&cache(chat, 60)).unwrap();
    grant.grow(10).unwrap();
    grant.shrink(20).unwrap();
    assert!(governor.try_request(&cache(chat, 70)).is_err());
    governor.set_tenant(chat, |now| now.limit_bytes = Some(90)).unwrap();
    governor.set_capacity(200).unwrap();
    drop(grant);
    governor.unregister_tenant(chat, Unregister::IfIdle).unwrap();
    let head = log.close().unwrap();
    is_sound(&scratch.log(), &head);
    let told: Vec<_> = events(&scratch.log())
        .iter()
        .map(|e| (e.kind, e.account, e.time_ns, e.bytes, e.used_bytes))
        .collect();
    let chat = chat.index();
    use EventKind::*;
    assert_eq!(
        told,
        [
            (Registered, team.index(), 0, 0, 0),
            (Registered, chat, 0, 0, 0),
            (Granted, chat, 5, 60, 60),
            (Grown, chat, 5, 10, 70),
            (Shrunk, chat, 5, 20, 50),
            (Denied, chat, 5, 70, 50),
            (LimitsChanged, chat, 5, 90, 50),
            (CapacityChanged, 0, 5, 200, 50),
            (Released, chat, 5, 50, 0),
            (Unregistered, chat, 5, 0, 0),
        ]
    );
    let configured = configured(&scratch.log());
    let [(1, Configured::Governor(_)), (1, Configured::Group(_, team)), rest @ ..] =
        &configured[..]
    else {
        panic!("{configured:?}");
    };
    assert_eq!(team.name, "team");
    let limits: Vec<_> = rest
        .iter()
        .map(|(_, of)| if let Configured::Tenant(_, of) = of { of.limit_bytes } else { None })
        .collect();
    assert_eq!(limits, [None, Some(90)], "as it was registered, and as it was changed");
}

#[test]
fn a_log_goes_on_where_the_last_one_ended() {
    let scratch = Scratch::new();
    let governor = governor(AuditMode::FailClosed, GovernorConfig::new(CAPACITY));
    let one = tenant(&governor, 1);
    let mut held = Vec::new();
    for sitting in 1..=3_u64 {
        let log = start(&governor, &scratch);
        assert_eq!(log.status().mode, AuditMode::FailClosed);
        held.push(governor.request(&cache(one, sitting)).unwrap());
        log.flush().unwrap();
        assert_eq!(count(&scratch.log(), EventKind::Granted), 2 * sitting - 1);
        let head = log.close().unwrap();
        is_sound(&scratch.log(), &head);
        // In nobody's log yet: the next one has it.
        drop(governor.request(&cache(one, 100)).unwrap());
    }
    drop(held);
    let log = start(&governor, &scratch);
    let head = log.close().unwrap();
    is_sound(&scratch.log(), &head);
    assert_eq!(count(&scratch.log(), EventKind::Granted), 6);
    assert_eq!(count(&scratch.log(), EventKind::Released), 6);
    assert_eq!(count(&scratch.log(), EventKind::Registered), 1);
}

#[test]
fn segments_begin_with_who_is_there_and_what_they_hold() {
    let scratch = Scratch::new();
    let governor = governor(AuditMode::FailClosed, GovernorConfig::new(CAPACITY));
    let options = JournalOptions {
        segment_bytes_max: (HEADER_BYTES + 64 * RECORD_BYTES) as u64,
        keep_segments_max: Some(2),
        sync: SyncPolicy::Never,
        ..JournalOptions::default()
    };
    let log = AuditLog::start(&governor, &scratch.log(), &key(), options).unwrap();
    let one = tenant(&governor, 1);
    let model = Request::new(one, AllocationType::ModelLoad, 7_000);
    let held = governor.request(&model).unwrap();
    for _ in 0..300 {
        drop(governor.request(&cache(one, 1)).unwrap());
        log.flush().unwrap();
    }
    let head = log.close().unwrap();
    let verdict = is_sound(&scratch.log(), &head);
    assert!(verdict.first_sequence > 1, "the oldest segments are gone");
    assert_eq!(count(&scratch.log(), EventKind::Registered), 0);
    let stated = configured(&scratch.log());
    let names: Vec<_> = stated
        .iter()
        .filter_map(|(topic, of)| match of {
            Configured::Tenant(_, of) if *topic == STATED_TOPIC => Some(of.name.as_str()),
            _ => None,
        })
        .collect();
    assert!(!names.is_empty() && names.iter().all(|name| *name == "tenant 1"));
    let balance = bodies(&scratch.log()).into_iter().find_map(|body| match body {
        Body::Balance { account, allocation_type: 0, bytes, grants, .. } => {
            Some((account, bytes, grants))
        }
        _ => None,
    });
    assert_eq!(balance, Some((one.index(), 7_000, 1)));
    drop(held);
}

/// Balances by account and type, as they are stated last.
fn balances(folder: &Path) -> Vec<(u32, u8, u64, u64)> {
    let mut last = HashMap::new();
    for body in bodies(folder) {
        match body {
            Body::Balance { account, allocation_type, bytes, grants, .. } => {
                last.insert((account, allocation_type), (bytes, grants));
            }
            _ => continue,
        }
    }
    last.into_iter()
        .map(|((account, kind), (bytes, grants))| (account, kind, bytes, grants))
        .collect()
}

#[test]
fn the_next_log_begins_with_what_the_last_one_knew_also_without_its_segments() {
    let scratch = Scratch::new();
    let governor = governor(AuditMode::FailClosed, GovernorConfig::new(CAPACITY));
    let options = || JournalOptions {
        segment_bytes_max: (HEADER_BYTES + 64 * RECORD_BYTES) as u64,
        keep_segments_max: Some(1),
        sync: SyncPolicy::Never,
        ..JournalOptions::default()
    };
    let start = || AuditLog::start(&governor, &scratch.log(), &key(), options()).unwrap();
    let log = start();
    let one = tenant(&governor, 1);
    let kept = governor.request(&cache(one, 7_000)).unwrap();
    log.close().unwrap();
    // In the ring when the next one begins, which begins before it.
    kept.grow(500).unwrap();
    let more = governor.request(&cache(one, 20)).unwrap();
    let log = start();
    log.flush().unwrap();
    assert_eq!(balances(&scratch.log()), [(one.index(), 2, 7_000, 1)]);
    let stated = configured(&scratch.log());
    assert!(matches!(stated.last(), Some((STATED_TOPIC, Configured::Tenant(of, _))) if *of == one));
    drop(kept);
    for _ in 0..100 {
        drop(governor.request(&Request::new(one, AllocationType::Inference, 3)).unwrap());
        log.flush().unwrap();
    }
    let head = log.close().unwrap();
    let verdict = is_sound(&scratch.log(), &head);
    assert!(verdict.first_sequence > 1, "the segments of the first are gone");
    assert_eq!(balances(&scratch.log()), [(one.index(), 2, 20, 1)]);
    drop(more);
}

/// Threads that ask as fast as they can, until so many grants were made.
fn load(governor: &Arc<Governor>, tenants: &[TenantHandle], grants: u64) -> u64 {
    std::thread::scope(|scope| {
        let asks = |&of: &TenantHandle| {
            scope.spawn(move || {
                let (mut granted, mut refused) = (0, 0);
                while granted < grants {
                    match governor.try_request(&cache(of, 64)) {
                        Ok(grant) => {
                            granted += 1;
                            drop(grant);
                        }
                        Err(refusal) => {
                            let reason = refusal.denial().expect("a denial").reason;
                            assert_eq!(reason, DenialReason::AuditFull);
                            refused += 1;
                            std::thread::yield_now();
                        }
                    }
                }
                refused
            })
        };
        let threads: Vec<_> = tenants.iter().map(asks).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    })
}

#[test]
fn fail_closed_loses_nothing_however_fast_it_goes() {
    const GRANTS: u64 = 30_000;
    let scratch = Scratch::new();
    let governor = governor(AuditMode::FailClosed, GovernorConfig::new(CAPACITY));
    let log = start(&governor, &scratch);
    let tenants = [1, 2, 3].map(|number| tenant(&governor, number));
    let refused = load(&governor, &tenants, GRANTS);
    log.flush().unwrap();
    let status = log.status();
    assert_eq!((status.events_lost, status.error), (0, None));
    let head = log.close().unwrap();
    let verdict = is_sound(&scratch.log(), &head);
    assert_eq!(verdict.events_lost, 0);
    assert_eq!(count(&scratch.log(), EventKind::Granted), 3 * GRANTS);
    assert_eq!(count(&scratch.log(), EventKind::Released), 3 * GRANTS);
    let summed: u64 = bodies(&scratch.log())
        .iter()
        .map(|body| if let Body::Refused { requests, .. } = body { *requests } else { 0 })
        .sum();
    assert_eq!(summed, refused, "who was refused is summed up in it");
}

#[test]
fn what_drop_and_count_loses_it_counts_to_the_event() {
    const GRANTS: u64 = 30_000;
    let scratch = Scratch::new();
    let governor = governor(AuditMode::DropAndCount, GovernorConfig::new(CAPACITY));
    let log = start(&governor, &scratch);
    let tenants = [1, 2, 3].map(|number| tenant(&governor, number));
    let refused = load(&governor, &tenants, GRANTS);
    assert_eq!(refused, 0, "nothing is refused for the sake of the log");
    log.flush().unwrap();
    let head = log.close().unwrap();
    let verdict = is_sound(&scratch.log(), &head);
    let recorded = events(&scratch.log()).len() as u64;
    assert_eq!(recorded + verdict.events_lost, 3 + 2 * 3 * GRANTS);
    let registered = configured(&scratch.log());
    let tenants = registered.iter().filter(|(_, of)| matches!(of, Configured::Tenant(..)));
    assert_eq!(tenants.count(), 3, "configurations are not lost with their events");
    // S2: what ends has begun, or has begun in a gap that stands before its end.
    let (mut held, mut has_gap) = (HashMap::new(), false);
    for body in bodies(&scratch.log()) {
        match body {
            Body::Gap { .. } => has_gap = true,
            Body::Event(event) if event.kind == EventKind::Granted => {
                held.insert(event.grant, event.bytes);
            }
            Body::Event(event) if event.kind == EventKind::Released => {
                assert!(held.remove(&event.grant).is_some() || has_gap, "{event:?}");
            }
            _ => {}
        }
    }
}

/// E6, read from a log: a grant is granted, then changed, then ended, once each.
#[test]
fn the_records_of_one_grant_are_in_order() {
    let scratch = Scratch::new();
    let config = GovernorConfig { grants_max: 256, ..GovernorConfig::new(900) };
    let governor = governor(AuditMode::FailClosed, config);
    let log = start(&governor, &scratch);
    governor.on_reclaim(|_| ReclaimAnswer::Freed);
    let tenants = [1, 2, 3].map(|number| tenant(&governor, number));
    std::thread::scope(|scope| {
        for of in tenants {
            let governor = &governor;
            scope.spawn(move || {
                for turn in 0..3_000_u64 {
                    let Ok(grant) = governor.request(&cache(of, 1 + turn % 300)) else { continue };
                    let _ = grant.grow(turn % 7 + 1);
                    std::mem::forget(grant);
                }
            });
        }
    });
    let head = log.close().unwrap();
    is_sound(&scratch.log(), &head);
    let (mut held, mut total) = (HashMap::new(), 0_u64);
    for event in events(&scratch.log()) {
        match event.kind {
            EventKind::Granted => assert_eq!(held.insert(event.grant, event.bytes), None),
            EventKind::Grown => *held.get_mut(&event.grant).unwrap() += event.bytes,
            EventKind::Evicted => assert_eq!(held.remove(&event.grant), Some(event.bytes)),
            _ => continue,
        }
        match event.kind {
            EventKind::Evicted => total -= event.bytes,
            _ => total += event.bytes,
        }
        assert!(total <= 900, "E5");
    }
    assert_eq!(total, governor.snapshot().live_bytes);
    governor.on_leak(|_| {});
}

#[test]
fn who_cannot_be_written_down_is_told_why() {
    let scratch = Scratch::new();
    let refused = |governor: &Arc<Governor>, folder: &Path, key: &Key| {
        let log = AuditLog::start(governor, folder, key, JournalOptions::default());
        log.expect_err("refused").to_string()
    };
    let without = governor(AuditMode::Off, GovernorConfig::new(CAPACITY));
    let said = refused(&without, &scratch.log(), &key());
    assert!(said.contains("set `audit` in its configuration"), "{said}");
    let governor = governor(AuditMode::FailClosed, GovernorConfig::new(CAPACITY));
    let file = scratch.0.join("file");
    std::fs::write(&file, "").unwrap();
    let said = refused(&governor, &file.join("log"), &key());
    assert!(said.contains("name a folder"), "{said}");
    // It may be begun elsewhere, once.
    let log = start(&governor, &scratch);
    let said = refused(&governor, &scratch.0.join("other"), &key());
    assert!(said.contains("has a log already"), "{said}");
    log.close().unwrap();
    let said = refused(&governor, &scratch.log(), &Key::from_bytes(&[9; 32]));
    assert!(said.contains("load the key of this log"), "{said}");
    start(&governor, &scratch).close().unwrap();
}

#[test]
fn a_log_that_is_dropped_is_sealed() {
    let scratch = Scratch::new();
    let governor = governor(AuditMode::DropAndCount, GovernorConfig::new(CAPACITY));
    drop(start(&governor, &scratch));
    assert!(verify(&scratch.log(), &key(), None).unwrap().sealed);
}

/// A checkpoint that is asked for has everything that happened before.
#[test]
fn a_checkpoint_covers_what_was_recorded_before() {
    let scratch = Scratch::new();
    let governor = governor(AuditMode::FailClosed, GovernorConfig::new(CAPACITY));
    let log = start(&governor, &scratch);
    let one = tenant(&governor, 1);
    drop(governor.request(&cache(one, 1)).unwrap());
    let head = log.checkpoint().unwrap();
    let verdict = verify(&scratch.log(), &key(), Some(&head)).unwrap();
    assert!(verdict.is_intact() && !verdict.sealed);
    assert_eq!(count(&scratch.log(), EventKind::Released), 1);
    let tail = verdict.tail.expect("not sealed");
    assert_eq!(tail.after.as_ref().map(|after| after.sequence), Some(head.sequence));
}

#[cfg(target_os = "linux")]
mod full_disk {
    use super::*;
    use crate::limited::{alone, limit};

    /// More than the ring of events and the buffer of the journal take together.
    const MANY: u64 = 20_000;

    fn full(audit: AuditMode) -> (Scratch, Arc<Governor>, AuditLog, TenantHandle) {
        let scratch = Scratch::new();
        let governor = governor(audit, GovernorConfig::new(CAPACITY));
        let log = start(&governor, &scratch);
        let one = tenant(&governor, 1);
        log.flush().unwrap();
        limit(std::fs::metadata(scratch.segment(1)).unwrap().len() + 10_000);
        (scratch, governor, log, one)
    }

    fn wait_for_error(log: &AuditLog) {
        while log.status().error.is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn fail_closed_refuses_and_loses_nothing() {
        alone("log::full_disk::fail_closed_refuses_and_loses_nothing", || {
            let (scratch, governor, log, one) = full(AuditMode::FailClosed);
            let mut held = Vec::new();
            let mut granted = 0;
            let denial = loop {
                match governor.try_request(&cache(one, 1)) {
                    Ok(grant) => {
                        granted += 1;
                        held.extend((granted % 2 == 0).then_some(grant));
                    }
                    Err(refusal) => {
                        wait_for_error(&log);
                        break *refusal.denial().expect("a denial");
                    }
                }
            };
            assert_eq!(denial.reason, DenialReason::AuditFull);
            assert!(log.flush().is_err());
            let said = log.status().error.expect("the disk is full");
            assert!(said.contains("free some room"), "{said}");
            // Whoever holds something can return it, also now.
            drop(held);
            assert_eq!(governor.snapshot().live_bytes, 0);
            limit(libc::RLIM_INFINITY);
            log.flush().or_else(|_| log.flush()).unwrap();
            assert_eq!(log.status().error, None);
            drop(governor.try_request(&cache(one, 1)).expect("it goes on by itself"));
            let head = log.close().unwrap();
            let verdict = is_sound(&scratch.log(), &head);
            assert_eq!(verdict.events_lost, 0);
            assert_eq!(count(&scratch.log(), EventKind::Granted), granted + 1);
            assert_eq!(count(&scratch.log(), EventKind::Released), granted + 1);
        });
    }

    /// What was read and not written is in the next log, once, and its room came back once.
    #[test]
    fn fail_closed_loses_nothing_if_it_is_closed_meanwhile() {
        alone("log::full_disk::fail_closed_loses_nothing_if_it_is_closed_meanwhile", || {
            let (scratch, governor, log, one) = full(AuditMode::FailClosed);
            let ask = || governor.try_request(&cache(one, 1));
            let mut granted = 0;
            while let Ok(grant) = ask() {
                granted += 1;
                if granted % 50 == 0 {
                    let name = format!("{granted} ").repeat(200);
                    let _ = governor.set_tenant(one, |now| now.name = name);
                }
                drop(grant);
            }
            let mut closed = log.close();
            for _ in 0..3 {
                assert!(closed.is_err(), "the disk is full");
                // The next one cannot even begin, or cannot go on.
                let options = JournalOptions { sync: SyncPolicy::Never, ..Default::default() };
                let Ok(log) = AuditLog::start(&governor, &scratch.log(), &key(), options) else {
                    continue;
                };
                closed = log.close();
            }
            limit(libc::RLIM_INFINITY);
            let log = start(&governor, &scratch);
            while ask().is_err() {
                std::thread::yield_now();
            }
            let head = log.close().unwrap();
            let verdict = is_sound(&scratch.log(), &head);
            assert_eq!(verdict.events_lost, 0);
            assert_eq!(count(&scratch.log(), EventKind::Granted), granted + 1);
            assert_eq!(count(&scratch.log(), EventKind::Released), granted + 1);
            let configured = configured(&scratch.log());
            let changes = configured.iter().filter(|(topic, _)| *topic == 1).count() as u64;
            let changed = count(&scratch.log(), EventKind::LimitsChanged);
            assert_eq!(changes, 2 + changed, "each once, beside governor and registration");
            // Nobody reads: the ring takes what it has room for, and no more.
            let held = std::iter::from_fn(|| ask().ok()).count() as u64;
            assert_eq!(2 * held, u64::from(AuditMode::EVENTS_MIN));
        });
    }

    #[test]
    fn drop_and_count_goes_on_and_counts() {
        alone("log::full_disk::drop_and_count_goes_on_and_counts", || {
            let (scratch, governor, log, one) = full(AuditMode::DropAndCount);
            let use_memory = |of| {
                for _ in 0..MANY {
                    drop(governor.try_request(&cache(of, 1)).expect("memory comes first"));
                }
                MANY
            };
            // Until the journal's buffer is full as well, and the ring is not read any more.
            let mut granted = use_memory(one);
            while log.status().errors < 4 {
                granted += use_memory(one);
            }
            let two = tenant(&governor, 2);
            granted += use_memory(two);
            // Administration is recorded as long as there is a place, and overwrites itself.
            (0..MANY).for_each(|_| governor.set_capacity(CAPACITY).unwrap());
            limit(libc::RLIM_INFINITY);
            log.flush().or_else(|_| log.flush()).unwrap();
            let lost = log.status().events_lost;
            assert!(lost > 0);
            let head = log.close().unwrap();
            let verdict = is_sound(&scratch.log(), &head);
            assert_eq!(verdict.events_lost, lost);
            let recorded = events(&scratch.log()).len() as u64;
            assert_eq!(recorded + lost, 2 + 2 * granted + MANY, "to the event");
            assert_eq!(count(&scratch.log(), EventKind::Registered), 1, "the other is lost");
            let names = configured(&scratch.log()).into_iter().filter_map(|(_, of)| match of {
                Configured::Tenant(_, config) => Some(config.name),
                _ => None,
            });
            assert!(names.eq(["tenant 1", "tenant 2"]), "its configuration is not");
            let mut gap_ns = 0;
            for body in bodies(&scratch.log()) {
                match body {
                    Body::Gap { clock_ns, .. } => gap_ns = clock_ns,
                    Body::Event(event) => assert!(gap_ns <= event.time_ns, "{event:?}"),
                    _ => {}
                }
            }
        });
    }

    #[test]
    fn a_log_that_cannot_be_written_to_its_end_says_so() {
        alone("log::full_disk::a_log_that_cannot_be_written_to_its_end_says_so", || {
            let (scratch, governor, log, one) = full(AuditMode::DropAndCount);
            for _ in 0..MANY {
                drop(governor.try_request(&cache(one, 1)).unwrap());
            }
            let said = log.close().unwrap_err().to_string();
            assert!(said.contains("free some room"), "{said}");
            limit(libc::RLIM_INFINITY);
            let verdict = verify(&scratch.log(), &key(), None).unwrap();
            assert!(verdict.is_intact() && !verdict.sealed);
            // The next one goes on with it.
            let head = start(&governor, &scratch).close().unwrap();
            is_sound(&scratch.log(), &head);
        });
    }
}
